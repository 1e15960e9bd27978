/* referto: see referto.h. */
#include "sip/referto.h"

#include <strings.h>

#include "sip/headers.h"

/* A Refer-To may hold long carried headers; more than this is no phone (E-121). */
#define REFERTO_MAX 4096

static const struct {
	const char *text;
	uint16_t status;
} errors[] = {
#define REFERTO_ROW_(id, sentence, code) [id] = {sentence, code},
	REFERTO_ERROR_TABLE(REFERTO_ROW_)
#undef REFERTO_ROW_
};

const char *referto_error_text(enum referto_error e)
{
	return (unsigned)e < REFERTO_ERROR_COUNT_ ? errors[e].text : "?";
}

uint16_t referto_error_status(enum referto_error e)
{
	return (unsigned)e < REFERTO_ERROR_COUNT_ ? errors[e].status : 400;
}

/* ---- Replaces ------------------------------------------------------------------------------ */

/* Printable ASCII without what would end a value or open another. */
static int is_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f ||
			strchr(",;\"", s.p[i]))
			return 0;
	return s.n > 0;
}

/* Copies a value that is there for the first time. 0 or EINVAL. */
static int take_once(char *dst, size_t size, struct slice value)
{
	if (dst[0] != '\0' || !is_word(value) || memchr(value.p, '=', value.n))
		return EINVAL;
	return str_copy_n(dst, size, value.p, value.n) ? 0 : EINVAL;
}

/* How a header that names a dialog calls its parameters. */
struct dialog_words {
	const char *to_tag, *from_tag, *flag;
};

static int dialog_param(struct slice param, const struct dialog_words *w, struct replaces *r)
{
	struct slice value, name = slice_trim(slice_cut(param, "=", &value));

	value = slice_trim(value);
	if (slice_iis(name, w->to_tag))
		return take_once(r->to_tag, sizeof(r->to_tag), value);
	if (slice_iis(name, w->from_tag))
		return take_once(r->from_tag, sizeof(r->from_tag), value);
	if (w->flag && slice_iis(name, w->flag)) {
		r->early_only = true;
		return value.p ? EINVAL : 0;
	}
	return is_word(name) && (!value.p || is_word(value)) ? 0 : EINVAL;
}

static int dialog_parse(struct slice text, const struct dialog_words *w, struct replaces *r)
{
	struct slice rest, id = slice_trim(slice_cut(text, ";", &rest));
	int rc = 0;

	memset(r, 0, sizeof(*r));
	if (!is_word(id) || !str_copy_n(r->call_id, sizeof(r->call_id), id.p, id.n))
		rc = EINVAL;
	while (!rc && rest.p) {
		struct slice param = slice_trim(slice_cut(rest, ";", &rest));

		rc = param.n > 0 ? dialog_param(param, w, r) : EINVAL;
	}
	if (!rc && (r->to_tag[0] == '\0' || r->from_tag[0] == '\0'))
		rc = EINVAL;
	if (rc)
		memset(r, 0, sizeof(*r));
	return rc;
}

int replaces_parse(const char *value, size_t len, struct replaces *r)
{
	static const struct dialog_words words = {"to-tag", "from-tag", "early-only"};

	return dialog_parse(slice_of(value, len), &words, r);
}

int target_dialog_parse(const char *value, size_t len, struct replaces *r)
{
	static const struct dialog_words words = {"local-tag", "remote-tag", NULL};

	return dialog_parse(slice_of(value, len), &words, r);
}

int replaces_print(char *buf, size_t size, const struct replaces *r)
{
	struct out o = {buf, size, 0, size == 0};

	out_str(&o, r->call_id);
	out_str(&o, ";to-tag=");
	out_str(&o, r->to_tag);
	out_str(&o, ";from-tag=");
	out_str(&o, r->from_tag);
	if (r->early_only)
		out_str(&o, ";early-only");
	return out_end(&o);
}

/* ---- headers inside the URI ---------------------------------------------------------------- */

static int is_header_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

	return n > 0 && name[n] == '\0';
}

/* A value that can stand on one line of a message. */
static int is_header_value(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < 0x20 || *value == 0x7f)
			return 0;
	return 1;
}

static enum referto_error take_replaces(struct referto *r, const char *value)
{
	if (r->replaces.call_id[0] != '\0')
		return REFERTO_TWO_REPLACES;
	return replaces_parse(value, strlen(value), &r->replaces) ? REFERTO_REPLACES : REFERTO_OK;
}

static void carry(struct referto *r, const char *name, const char *value)
{
	struct referto_header *h = &r->headers[r->nheaders];

	if (r->nheaders == REFERTO_HEADERS_MAX ||
		!headers_may_pass(name, HEADER_TRIP_REFERTO, 0)) {
		r->ndropped++;
		return;
	}
	str_set(h->name, name);
	str_set(h->value, value);
	r->nheaders++;
}

/* One name=value of the URI's headers. An = inside the value is part of it (E-062). */
static enum referto_error take_header(struct referto *r, struct slice one)
{
	char name[REFERTO_NAME_MAX], value[REFERTO_VALUE_MAX];
	struct slice raw, raw_name = slice_cut(one, "=", &raw);
	int replaces = slice_iis(raw_name, "Replaces");

	if (!raw.p || uri_unescape(name, sizeof(name), raw_name.p, raw_name.n) ||
		!is_header_name(name))
		return REFERTO_HEADERS;
	if (uri_unescape(value, sizeof(value), raw.p, raw.n) || !is_header_value(value))
		return replaces ? REFERTO_REPLACES : REFERTO_HEADERS;
	if (str_ieq(name, "Replaces"))
		return take_replaces(r, value);
	if (str_ieq(name, "body") || value[0] == '\0')
		r->ndropped++;
	else
		carry(r, name, value);
	return REFERTO_OK;
}

static enum referto_error take_headers(struct referto *r, struct slice headers)
{
	enum referto_error e = REFERTO_OK;

	while (!e && headers.p)
		e = take_header(r, slice_cut(headers, "&", &headers));
	return e;
}

/* ---- parameters ---------------------------------------------------------------------------- */

/* Replaces as a parameter, not percent-encoded as a rule: its own ; and = follow as if they were
 * parameters, so it takes all that is left. */
static enum referto_error take_replaces_param(struct referto *r, struct slice params)
{
	char value[REFERTO_VALUE_MAX];

	for (struct slice rest = params; rest.p;) {
		struct slice raw, one = slice_cut(rest, ";", &rest);
		struct slice name = slice_cut(one, "=", &raw);

		if (!slice_iis(slice_trim(name), "Replaces") || !raw.p)
			continue;
		if (uri_unescape(value, sizeof(value), raw.p,
			    params.n - (size_t)(raw.p - params.p)))
			return REFERTO_REPLACES;
		return take_replaces(r, value);
	}
	return REFERTO_OK;
}

static enum referto_error check_method(struct slice params)
{
	char method[32];

	if (uri_param(params, "method", method, sizeof(method)) && !str_eq(method, "INVITE"))
		return REFERTO_METHOD;
	return REFERTO_OK;
}

/* To a queue: the transferor stays until somebody picks up. A parameter of our own. */
static bool has_stay(struct slice params)
{
	for (struct slice rest = params; rest.p;) {
		struct slice value, one = slice_cut(rest, ";", &rest);

		if (slice_iis(slice_trim(slice_cut(one, "=", &value)), "stay"))
			return !value.p || !slice_iis(slice_trim(value), "no");
	}
	return false;
}

/* Writes the URI without the parameters that are for us. */
static int print_target(struct referto *r, const struct uri *u)
{
	char params[URI_MAX];
	struct out o = {params, sizeof(params), 0, 0};
	struct uri target = *u;

	for (struct slice rest = u->params; rest.p;) {
		struct slice value, one = slice_cut(rest, ";", &rest);
		struct slice name = slice_cut(one, "=", &value);

		if (slice_iis(name, "Replaces"))
			break;
		if (slice_iis(name, "method") || slice_iis(name, "stay"))
			continue;
		if (o.at > 0)
			out_str(&o, ";");
		out_slice(&o, one);
	}
	if (out_end(&o))
		return ENOSPC;
	target.params = slice_str(params);
	return uri_print(&target, r->uri, sizeof(r->uri));
}

/* ---- the value ----------------------------------------------------------------------------- */

static enum referto_error uri_trouble(enum uri_error e)
{
	switch (e) {
	case URI_OK:
		return REFERTO_OK;
	case URI_BAD_SCHEME:
		return REFERTO_SCHEME;
	case URI_LONG:
		return REFERTO_LONG;
	case URI_BAD_HEADER:
		return REFERTO_HEADERS;
	default:
		return REFERTO_SYNTAX;
	}
}

/* The one element of the value. */
static enum referto_error only_element(struct slice value, struct slice *element)
{
	struct slice more;

	if (!addr_next(&value.p, &value.n, element))
		return REFERTO_MISSING;
	return addr_next(&value.p, &value.n, &more) ? REFERTO_SEVERAL : REFERTO_OK;
}

static enum referto_error read_addr(const struct addr *a, struct referto *r)
{
	enum referto_error e = check_method(a->uri.params);

	if (!e && a->form == ADDR_BARE)
		e = check_method(a->params); /* without <> it lands behind the URI */
	if (!e)
		e = take_headers(r, a->uri.headers);
	if (!e)
		e = take_replaces_param(r, a->uri.params);
	if (!e && a->form == ADDR_BARE)
		e = take_replaces_param(r, a->params);
	if (e)
		return e;
	r->stay = has_stay(a->uri.params) || (a->form == ADDR_BARE && has_stay(a->params));
	r->scheme = a->uri.scheme;
	r->port = a->uri.port;
	str_set(r->user, a->uri.user);
	str_set(r->host, a->uri.host);
	str_set(r->name, a->name);
	return print_target(r, &a->uri) ? REFERTO_LONG : REFERTO_OK;
}

/* Where a Replaces parameter begins in the element; NULL if there is none. */
static const char *find_replaces_param(struct slice element)
{
	static const char word[] = ";replaces=";
	const size_t n = sizeof(word) - 1;

	for (size_t i = 0; i + n <= element.n && element.p[i] != '?'; i++)
		if (strncasecmp(element.p + i, word, n) == 0)
			return element.p + i;
	return NULL;
}

/* A Replaces parameter that is not escaped has an @ in its Call-ID as a rule, which no URI can have
 * there: it is taken out before the rest is read. SYNTAX if that is not the trouble. */
static enum referto_error read_unescaped(struct slice element, struct referto *r)
{
	const char *from = find_replaces_param(element), *end = element.p + element.n, *to;
	char text[REFERTO_MAX + 1], value[REFERTO_VALUE_MAX];
	struct slice raw;
	struct addr a;
	enum referto_error e;

	if (!from)
		return REFERTO_SYNTAX;
	to = memchr(from, '>', (size_t)(end - from));
	if (!to)
		to = end;
	raw = slice_skip(slice_of(from, (size_t)(to - from)), strlen(";replaces="));
	str_copy_n(text, sizeof(text), element.p, (size_t)(from - element.p));
	memcpy(text + (from - element.p), to, (size_t)(end - to));
	text[(from - element.p) + (end - to)] = '\0';
	e = uri_trouble(addr_parse(text, strlen(text), &a));
	if (!e && uri_unescape(value, sizeof(value), raw.p, raw.n))
		e = REFERTO_REPLACES;
	if (!e)
		e = read_addr(&a, r);
	return e ? e : take_replaces(r, value);
}

enum referto_error referto_parse(const char *value, size_t len, struct referto *r)
{
	struct slice element;
	struct addr a;
	enum referto_error e;

	memset(r, 0, sizeof(*r));
	if (!value)
		return REFERTO_MISSING;
	if (len > REFERTO_MAX)
		return REFERTO_LONG;
	e = only_element(slice_of(value, len), &element);
	if (e)
		return e;
	e = uri_trouble(addr_parse(element.p, element.n, &a));
	if (e == REFERTO_SYNTAX)
		return read_unescaped(element, r);
	return e ? e : read_addr(&a, r);
}
