/*
 * identity: how people are shown to others. All that an INVITE says of them is made from two
 * parties of the core, whom it wants presented and who sent the call on, so that From,
 * P-Asserted-Identity, Privacy, Diversion, History-Info and Referred-By never contradict each
 * other.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sofia-sip/msg_header.h>
#include <sofia-sip/sip_header.h>

#include "sip/internal.h"

#define ADDRESS_MAX (URI_MAX + 2 * NAME_MAX_)
#define INDEX_MAX   64 /* of a History-Info entry: "1.1.2" */

/* ---- addresses ---------------------------------------------------------------------------- */

void identity_uri(const struct sip *s, const char *user, char *buf, size_t size)
{
	const char *host = s->cfg.ndomains > 0 ? s->cfg.domains[0] : s->cfg.realm;

	if (uri_build(buf, size, user, host, 0, NULL) != 0)
		str_copy(buf, size, "sip:invalid.invalid");
}

int identity_address(const struct sip *s, const struct party *party, char *buf, size_t size)
{
	char uri[URI_MAX];

	identity_uri(s, party->number, uri, sizeof(uri));
	return addr_print(buf, size, party->name, uri);
}

void identity_from(const struct sip *s, const struct party *caller, char *buf, size_t size)
{
	char uri[URI_MAX];

	if (caller->anonymous) { /* RFC 3323 section 4.1.1.3 */
		str_copy(buf, size, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
	} else if (identity_address(s, caller, buf, size) != 0) {
		identity_uri(s, caller->number, uri, sizeof(uri));
		snprintf(buf, size, "<%s>", uri);
	}
}

/* ---- who calls: RFC 3325 ------------------------------------------------------------------- */

/* Does an asserted identity that was passed on name the party that is presented? */
static bool asserts(const char *value, const struct party *caller)
{
	size_t len = strlen(value);
	char number[NUM_MAX];
	struct slice first;
	struct addr a;

	return addr_next(&value, &len, &first) && addr_parse(first.p, first.n, &a) == URI_OK &&
	       number_clean(number, sizeof(number), a.uri.user) && str_eq(number, caller->number);
}

/* The caller's own assertion, and wish for privacy, have passed where they may. They stay if they are
 * about who is presented; when that is somebody else (the transferor, the business), or the call
 * comes back to a transferor with a mark in the name, they go. */
static void settle_passed(msg_t *msg, const struct act_dial *dial)
{
	sip_t *sip = sip_object(msg);
	const char *asserted = message_header(sip, "P-Asserted-Identity");

	if (asserted != NULL && (dial->recall || !asserts(asserted, &dial->caller)))
		message_remove(msg, "P-Asserted-Identity");
	if (!dial->caller.anonymous && message_is_private(sip))
		msg_header_remove(msg, (msg_pub_t *)sip, (msg_header_t *)sip->sip_privacy);
}

/* A trusted peer is told who calls, whatever From says (RFC 3325 section 9.1). */
static void add_asserted(msg_t *msg, struct sip_leg *l, const struct party *caller)
{
	const struct sip_peer *p = peer_by_name(l->sip, l->peer);
	char value[ADDRESS_MAX];

	if (p == NULL || !p->trusted || caller->number[0] == '\0')
		return;
	if (message_header(sip_object(msg), "P-Asserted-Identity") == NULL &&
		identity_address(l->sip, caller, value, sizeof(value)) == 0)
		message_add_line(msg, "P-Asserted-Identity", value);
	if (caller->anonymous && sip_object(msg)->sip_privacy == NULL)
		message_add_line(msg, "Privacy", "id");
}

/* ---- who sent the call on: RFC 5806, RFC 7044 ---------------------------------------------- */

static enum diversion wanted_diversion(const struct sip_leg *l)
{
	const struct sip_peer *p = peer_by_name(l->sip, l->peer);

	return p != NULL ? p->diversion : DIVERSION_NONE;
}

void identity_add_diversion(msg_t *msg, struct sip_leg *l, const struct act_dial *dial)
{
	char value[ADDRESS_MAX + 64];

	if (dial->diverter.number[0] == '\0' || wanted_diversion(l) != DIVERSION_HEADER ||
		identity_address(l->sip, &dial->diverter, value, ADDRESS_MAX) != 0)
		return;
	str_append(value, sizeof(value), ";reason=deflection;privacy=");
	str_append(value, sizeof(value), dial->diverter.anonymous ? "full" : "off");
	message_add_line(msg, "Diversion", value);
}

/* Index of the last History-Info entry that is in the message; "" if there is none. */
static void last_index(const sip_t *sip, char *index, size_t size)
{
	index[0] = '\0';
	for (const sip_unknown_t *u = sip->sip_unknown; u != NULL; u = u->un_next) {
		const char *p = u->un_value;
		size_t len = p != NULL ? strlen(p) : 0;
		struct slice entry;
		struct addr a;

		if (u->un_name == NULL || strcasecmp(u->un_name, "History-Info") != 0)
			continue;
		while (addr_next(&p, &len, &entry))
			if (addr_parse(entry.p, entry.n, &a) == URI_OK)
				uri_param(a.params, "index", index, size);
	}
	if (strlen(index) > INDEX_MAX - 8 || strspn(index, "0123456789.") != strlen(index))
		index[0] = '\0';
}

/* Two entries more: who had the call and sent it on, and to whom. What came stays before them. */
static void add_history(msg_t *msg, struct sip_leg *l, const struct act_dial *dial)
{
	char index[INDEX_MAX], uri[URI_MAX], value[2 * URI_MAX + 320], target[URI_MAX];
	sip_t *sip = sip_object(msg);

	if (dial->diverter.number[0] == '\0' || wanted_diversion(l) != DIVERSION_HISTORY)
		return;
	if (url_e(target, sizeof(target), sip->sip_request->rq_url) >= (issize_t)sizeof(target))
		return;
	last_index(sip, index, INDEX_MAX);
	str_append(index, sizeof(index), index[0] != '\0' ? ".1" : "1");
	identity_uri(l->sip, dial->diverter.number, uri, sizeof(uri));
	snprintf(value, sizeof(value),
		"<%s?Reason=SIP%%3Bcause%%3D302%s>;index=%s, <%s>;index=%s.1;mp=%s", uri,
		dial->diverter.anonymous ? "&Privacy=history" : "", index, target, index, index);
	message_add_line(msg, "History-Info", value);
}

static void add_referred_by(msg_t *msg, struct sip_leg *l, const struct act_dial *dial)
{
	char uri[URI_MAX], value[URI_MAX + 2];

	if (dial->referred_by[0] == '\0' || sip_object(msg)->sip_referred_by != NULL)
		return;
	identity_uri(l->sip, dial->referred_by, uri, sizeof(uri));
	snprintf(value, sizeof(value), "<%s>", uri);
	message_add_line(msg, "Referred-By", value);
}

void identity_add(msg_t *msg, struct sip_leg *l, const struct act_dial *dial)
{
	settle_passed(msg, dial);
	add_asserted(msg, l, &dial->caller);
	add_history(msg, l, dial);
	if (dial->cmd != 0)
		refer_add_headers(l->sip, dial->cmd, msg);
	add_referred_by(msg, l, dial);
}
