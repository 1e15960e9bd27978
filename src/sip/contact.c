/* contact: how one contact of a user is reached: Request-URI, Path, and whether its own flow (the
 * connection or NAT binding that its REGISTER came through) is used. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "sip/internal.h"

void contact_dest(const char *text, struct stack_dest *d)
{
	struct uri u;
	char transport[16], port[STR_NUMBER_MAX];

	d->listener = -1;
	d->uri[0] = '\0';
	if (uri_parse_str(text, &u) != URI_OK || u.scheme == URI_TEL)
		return;
	if (!uri_param(u.params, "transport", transport, sizeof(transport)))
		transport[0] = '\0';
	if (strlen(transport) >= 8)
		transport[0] = '\0';
	str_put(d->uri, u.scheme == URI_SIPS ? "sips:" : "sip:", u.host, u.port != 0 ? ":" : "",
		u.port != 0 ? str_number(u.port, port) : "",
		transport[0] != '\0' ? ";transport=" : "", transport);
}

void contact_route(const struct sip *s, const struct binding *b, const char *number,
	struct contact_route *r)
{
	const char *path = b->path;
	size_t len = strlen(b->path);
	struct slice first;
	struct addr a;
	char uri[URI_MAX];

	*r = (struct contact_route){.dest.listener = -1, .next.listener = -1};
	str_set(r->ruri, b->uri);
	str_set(r->path, b->path);
	if (len > 0 && addr_next(&path, &len, &first) &&
		addr_parse(first.p, first.n, &a) == URI_OK &&
		uri_print(&a.uri, uri, sizeof(uri)) == 0)
		contact_dest(uri, &r->dest);
	else if (b->source[0] == '\0' || !source_parse(b->source, &r->dest))
		contact_dest(b->uri, &r->dest);
	else
		r->next = r->dest;
	identity_uri(s, number, uri, sizeof(uri));
	str_put(r->to, "<", uri, ">");
}

void contact_add_route(msg_t *msg, const char *path)
{
	size_t len = strlen(path);
	struct slice element;
	char value[URI_MAX];

	while (addr_next(&path, &len, &element)) {
		str_copy_n(value, sizeof(value), element.p, element.n);
		message_add_line(msg, "Route", value);
	}
}
