/* peer: the PBXs, trunks and platforms of the config: known by source address, reached through
 * their addresses in order. */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "sip/internal.h"

/* ---- compiling the config ------------------------------------------------------------------ */

/* "host", "host:port", "[v6]:port", "v6" -> host (bare) and port; what follows ; or / is left. */
static void split_host(const char *text, size_t len, char *host, size_t size, unsigned *port)
{
	const char *close = memchr(text, ']', len), *colon;

	*port = 0;
	if (len > 0 && text[0] == '[' && close != NULL) {
		str_copy_n(host, size, text + 1, (size_t)(close - text) - 1);
		if (close + 1 < text + len && close[1] == ':')
			*port = (unsigned)strtoul(close + 2, NULL, 10);
		return;
	}
	colon = memchr(text, ':', len);
	if (colon != NULL && memchr(colon + 1, ':', len - (size_t)(colon + 1 - text)) == NULL) {
		*port = (unsigned)strtoul(colon + 1, NULL, 10);
		len = (size_t)(colon - text);
	}
	str_copy_n(host, size, text, len);
}

static bool is_numeric(const char *host, int *family, uint8_t addr[16])
{
	*family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
	return inet_pton(*family, host, addr) == 1;
}

/* Numeric address of a name, the first that the resolver gives. */
static bool resolve(const char *name, int *family, uint8_t addr[16], char *text, size_t size)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *ai = NULL;
	const void *a;
	bool found;

	if (is_numeric(name, family, addr))
		return str_copy(text, size, name);
	if (getaddrinfo(name, NULL, &hints, &ai) != 0 || ai == NULL)
		return false;
	*family = ai->ai_family;
	a = ai->ai_family == AF_INET6
		    ? (const void *)&((struct sockaddr_in6 *)ai->ai_addr)->sin6_addr
		    : (const void *)&((struct sockaddr_in *)ai->ai_addr)->sin_addr;
	memcpy(addr, a, ai->ai_family == AF_INET6 ? 16 : 4);
	found = inet_ntop(*family, a, text, (socklen_t)size) != NULL;
	freeaddrinfo(ai);
	return found;
}

static void add_match(
	struct sip *s, unsigned peer, int family, const uint8_t *addr, unsigned bits, unsigned port)
{
	struct sip_peer_match *m;

	if (s->nmatch >= SIP_MATCHES_MAX)
		return;
	m = &s->match[s->nmatch++];
	memset(m, 0, sizeof(*m));
	m->peer = (uint16_t)peer;
	m->family = (uint8_t)family;
	m->bits = (uint8_t)bits;
	m->port = (uint16_t)port;
	memcpy(m->addr, addr, family == AF_INET6 ? 16 : 4);
}

/* "10.0.0.0/8", "192.0.2.1", "192.0.2.1:5060", "2001:db8::/32", "[::1]:5060" */
static int compile_match(struct sip *s, unsigned peer, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char host[64], numeric[64];
	uint8_t addr[16];
	unsigned port, bits, width;
	int family;

	split_host(text, len, host, sizeof(host), &port);
	if (!resolve(host, &family, addr, numeric, sizeof(numeric)))
		return EINVAL;
	width = family == AF_INET6 ? 128 : 32;
	bits = slash != NULL ? (unsigned)strtoul(slash + 1, NULL, 10) : width;
	if (bits > width || port > 65535)
		return EINVAL;
	add_match(s, peer, family, addr, bits, port);
	return 0;
}

/* Turns "host[:port][;transport=tcp]" into a numeric URI, and into matches if there are no own. */
static void compile_address(struct sip *s, unsigned peer, char *text, size_t size, bool match)
{
	char host[128], numeric[64], uri[160];
	const char *params = strchr(text, ';');
	size_t len = params != NULL ? (size_t)(params - text) : strlen(text);
	uint8_t addr[16];
	unsigned port;
	int family;
	bool known;

	if (str_starts(text, "sip:"))
		return; /* compiled before */
	split_host(text, len, host, sizeof(host), &port);
	known = resolve(host, &family, addr, numeric, sizeof(numeric));
	if (!known)
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "peer_unresolved", "peer",
			s->cfg.peers[peer].name, "address", text, NULL);
	if (known && match) {
		add_match(s, peer, family, addr, family == AF_INET6 ? 128 : 32, 0);
		add_match(s, peer, family, addr, family == AF_INET6 ? 128 : 32,
			port != 0 ? port : 5060);
	}
	snprintf(uri, sizeof(uri), known && family == AF_INET6 ? "sip:[%s]:%u%s" : "sip:%s:%u%s",
		known ? numeric : host, port != 0 ? port : 5060, params != NULL ? params : "");
	str_copy(text, size, uri);
}

int peer_compile(struct sip *s)
{
	int err = 0;

	s->nmatch = 0;
	for (unsigned i = 0; i < s->cfg.npeers; i++) {
		struct sip_peer *p = &s->cfg.peers[i];

		for (unsigned k = 0; k < p->nmatch; k++)
			if (compile_match(s, i, p->match[k]) != 0) {
				log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "peer_match_bad",
					"peer", p->name, "value", p->match[k], "expected",
					"an address, address:port or address/length", NULL);
				err = EINVAL;
			}
		for (unsigned k = 0; k < p->naddress; k++)
			compile_address(s, i, p->address[k], sizeof(p->address[k]), p->nmatch == 0);
	}
	return err;
}

/* ---- looking up --------------------------------------------------------------------------- */

const struct sip_peer *peer_by_name(const struct sip *s, const char *name)
{
	if (name[0] == '\0')
		return NULL;
	for (unsigned i = 0; i < s->cfg.npeers; i++)
		if (strcmp(s->cfg.peers[i].name, name) == 0)
			return &s->cfg.peers[i];
	return NULL;
}

static bool match_covers(const struct sip_peer_match *m, int family, const uint8_t *addr)
{
	unsigned bytes = m->bits / 8, rest = m->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (m->family != family || memcmp(m->addr, addr, bytes) != 0)
		return false;
	return rest == 0 || ((m->addr[bytes] ^ addr[bytes]) & mask) == 0;
}

static const struct sip_peer *find(
	const struct sip *s, const struct stack_addr *from, unsigned port)
{
	const struct sip_peer_match *best = NULL;
	uint8_t addr[16];
	int family;

	if (!is_numeric(from->host, &family, addr))
		return NULL;
	for (unsigned i = 0; i < s->nmatch; i++) {
		const struct sip_peer_match *m = &s->match[i];

		if (m->port == port && match_covers(m, family, addr) &&
			(best == NULL || m->bits > best->bits))
			best = m;
	}
	return best != NULL ? &s->cfg.peers[best->peer] : NULL;
}

const struct sip_peer *peer_by_source_port(const struct sip *s, const struct stack_addr *from)
{
	return find(s, from, from->port);
}

const struct sip_peer *peer_by_source(const struct sip *s, const struct stack_addr *from)
{
	return find(s, from, 0);
}

int peer_dest(const struct sip *s, const struct sip_peer *p, unsigned i, struct stack_dest *d)
{
	if (i >= p->naddress)
		return ENOENT;
	str_set(d->uri, p->address[i]);
	d->listener = -1;
	return 0;
}

static bool is_peer_host(const struct sip *s, const char *host)
{
	for (unsigned i = 0; i < s->cfg.npeers; i++)
		for (unsigned k = 0; k < s->cfg.peers[i].naddress; k++) {
			struct uri u;

			if (uri_parse_str(s->cfg.peers[i].address[k], &u) == URI_OK &&
				uri_host_equal(u.host, host))
				return true;
		}
	return false;
}

bool peer_is_own_host(const struct sip *s, const char *host, unsigned port)
{
	for (unsigned i = 0; i < s->cfg.ndomains; i++)
		if (uri_host_equal(s->cfg.domains[i], host))
			return true;
	if (uri_host_equal(s->cfg.realm, host)) /* our From shows it where there is no domain */
		return true;
	return stack_is_local(s->stack, host, port) || is_peer_host(s, host);
}

static bool is_of_class(const struct sip_device *dev, const char *user_agent)
{
	return strncasecmp(user_agent, dev->user_agent, strlen(dev->user_agent)) == 0;
}

bool device_is_immediate(const struct sip *s, const struct sip_leg *l)
{
	const struct sip_peer *p = peer_by_name(s, l->peer);

	if (p != NULL && p->progress == REFER_PROGRESS_IMMEDIATE)
		return true;
	for (unsigned i = 0; i < s->cfg.ndevices; i++)
		if (s->cfg.devices[i].progress == REFER_PROGRESS_IMMEDIATE &&
			is_of_class(&s->cfg.devices[i], l->user_agent))
			return true;
	return false;
}

enum bye_policy device_bye_policy(const struct sip *s, const struct sip_leg *l)
{
	const struct sip_peer *p = peer_by_name(s, l->peer);

	if (p != NULL)
		return p->bye;
	for (unsigned i = 0; i < s->cfg.ndevices; i++)
		if (s->cfg.devices[i].bye != BYE_WAIT && is_of_class(&s->cfg.devices[i], l->user_agent))
			return s->cfg.devices[i].bye;
	return BYE_WAIT;
}

bool device_is_md5_only(const struct sip *s, const char *user_agent)
{
	static const struct sip_device known[] = {{.user_agent = "baresip v1."}};

	if (user_agent == NULL)
		return false;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (is_of_class(&known[i], user_agent))
			return true;
	for (unsigned i = 0; i < s->cfg.ndevices; i++)
		if (s->cfg.devices[i].md5_only && is_of_class(&s->cfg.devices[i], user_agent))
			return true;
	return false;
}

/* ---- sources ------------------------------------------------------------------------------ */

void source_print(const struct stack_addr *from, char *buf, size_t size)
{
	bool v6 = strchr(from->host, ':') != NULL;
	char port[STR_NUMBER_MAX], listener[STR_NUMBER_MAX];

	str_join(buf, size,
		(const char *const[]){v6 ? "sip:[" : "sip:", from->host, v6 ? "]:" : ":",
			str_number(from->port, port), ";transport=", from->proto,
			from->listener < 0 ? "#-" : "#",
			str_number((uint64_t)llabs((long long)from->listener), listener), NULL});
}

bool source_parse(const char *text, struct stack_dest *d)
{
	const char *hash = strrchr(text, '#');
	char uri[STACK_URI_MAX];

	if (hash == NULL)
		return false;
	str_copy_n(uri, sizeof(uri), text, (size_t)(hash - text));
	str_set(d->uri, uri);
	d->listener = (int)strtol(hash + 1, NULL, 10);
	return true;
}
