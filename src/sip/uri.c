/* uri: see uri.h. */
#include "sip/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

ENUM_DEFINE(uri_scheme, URI_SCHEME_LIST)
ENUM_DEFINE(uri_error, URI_ERROR_LIST)
ENUM_DEFINE(uri_part, URI_PART_LIST)

/* ---- characters ---------------------------------------------------------------------------- */

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static int is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static int is_unreserved(char c)
{
	return is_alnum(c) || is_one_of(c, "-_.!~*'()");
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* What may follow %: two hex digits that are no NUL. Returns the byte or -1. */
static int escaped_byte(const char *p, size_t left)
{
	int hi, lo;

	if (left < 3 || p[0] != '%')
		return -1;
	hi = hex_value(p[1]);
	lo = hex_value(p[2]);
	if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
		return -1;
	return hi << 4 | lo;
}

/* Every byte is unreserved, in extra, or part of a good escape. */
static enum uri_error check_chars(const char *p, size_t n, const char *extra)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '%') {
			if (escaped_byte(p + i, n - i) < 0)
				return URI_BAD_ESCAPE;
			i += 2;
		} else if (!is_unreserved(p[i]) && !is_one_of(p[i], extra)) {
			return URI_BAD_CHAR;
		}
	}
	return URI_OK;
}

/* Length of the UTF-8 character at p, 0 if there is none (RFC 3629, no surrogates). */
static size_t utf8_len(const char *text, size_t left)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (left < n || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* UTF-8 without control characters. */
static int is_clean_text(const char *s)
{
	size_t left = strlen(s), n;

	for (; left > 0; s += n, left -= n) {
		n = utf8_len(s, left);
		if (n == 0 || is_control(*s))
			return 0;
	}
	return 1;
}

/* ---- escaping ------------------------------------------------------------------------------ */

static const char *plain_chars(enum uri_part part)
{
	switch (part) {
	case URI_PART_USER:
		return "&=+$,/"; /* ; and ? are legal too, but some readers split there */
	case URI_PART_PARAM:
		return "[]/:&+$";
	default:
		return "[]/?:+$";
	}
}

int uri_escape(char *buf, size_t size, const char *text, size_t len, enum uri_part part)
{
	static const char hex[] = "0123456789ABCDEF";
	const char *plain = plain_chars(part);
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		int keep = is_unreserved(text[i]) || is_one_of(text[i], plain);

		if (size - at < (keep ? 2u : 4u)) {
			buf[0] = '\0';
			return ENOSPC;
		}
		if (keep) {
			buf[at++] = text[i];
		} else {
			buf[at++] = '%';
			buf[at++] = hex[c >> 4];
			buf[at++] = hex[c & 15];
		}
	}
	buf[at] = '\0';
	return 0;
}

int uri_unescape(char *buf, size_t size, const char *text, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)text[i];

		if (c == '%') {
			c = escaped_byte(text + i, len - i);
			i += 2;
		}
		if (c <= 0) {
			buf[0] = '\0';
			return EINVAL;
		}
		if (at + 1 >= size) {
			buf[0] = '\0';
			return ENOSPC;
		}
		buf[at++] = (char)c;
	}
	buf[at] = '\0';
	return 0;
}

/* ---- hosts --------------------------------------------------------------------------------- */

static int is_ipv6(const char *p, size_t n, struct in6_addr *out)
{
	char text[INET6_ADDRSTRLEN];

	return n < sizeof(text) && str_copy_n(text, sizeof(text), p, n) &&
	       inet_pton(AF_INET6, text, out) == 1;
}

static int is_ipv4(const char *p, size_t n)
{
	struct in_addr addr;
	char text[INET_ADDRSTRLEN];

	return n < sizeof(text) && str_copy_n(text, sizeof(text), p, n) &&
	       inet_pton(AF_INET, text, &addr) == 1;
}

/* A last label that starts with a digit makes it an IPv4 address (RFC 3261: toplabel is alpha). */
static int is_hostname(const char *p, size_t n)
{
	size_t label = 0;

	if (n > 0 && p[n - 1] == '.')
		n--;
	if (n == 0)
		return 0;
	for (size_t i = 0; i <= n; i++) {
		if (i == n || p[i] == '.') {
			if (i == label || p[label] == '-' || p[i - 1] == '-')
				return 0;
			if (i == n && is_digit(p[label]))
				return is_ipv4(p, n);
			label = i + 1;
		} else if (!is_alnum(p[i]) && p[i] != '-' && p[i] != '_') {
			return 0;
		}
	}
	return 1;
}

int uri_host_valid(const char *host, size_t len)
{
	struct in6_addr addr;

	if (len == 0 || len >= URI_HOST_MAX || memchr(host, '\0', len))
		return 0;
	if (host[0] == '[')
		return host[len - 1] == ']' && is_ipv6(host + 1, len - 2, &addr);
	return is_hostname(host, len);
}

static struct slice bare_host(const char *host)
{
	size_t n = strlen(host);

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']')
		return slice_of(host + 1, n - 2);
	if (n > 1 && host[n - 1] == '.')
		n--;
	return slice_of(host, n);
}

int uri_host_equal(const char *a, const char *b)
{
	struct slice x = bare_host(a), y = bare_host(b);
	struct in6_addr ax, ay;

	if (is_ipv6(x.p, x.n, &ax) && is_ipv6(y.p, y.n, &ay))
		return memcmp(&ax, &ay, sizeof(ax)) == 0;
	return x.n == y.n && strncasecmp(x.p, y.p, x.n) == 0;
}

/* ---- parsing ------------------------------------------------------------------------------- */

static int parse_scheme(struct slice *s, enum uri_scheme *scheme)
{
	for (int i = 0; i < (int)uri_scheme_count_; i++) {
		size_t n = strlen(uri_scheme_name(i));

		if (s->n > n && s->p[n] == ':' && strncasecmp(s->p, uri_scheme_name(i), n) == 0) {
			*scheme = (enum uri_scheme)i;
			s->p += n + 1;
			s->n -= n + 1;
			return 1;
		}
	}
	return 0;
}

/* userinfo: user[;parameters][:password] (RFC 3261 section 25.1). */
static enum uri_error parse_userinfo(struct slice info, struct uri *u)
{
	enum uri_error e = check_chars(info.p, info.n, "&=+$,;?/:");
	struct slice user, rest;

	if (e)
		return e;
	u->userinfo = info;
	user = slice_cut(info, ";:", &rest);
	if (user.n == 0)
		return URI_BAD_USER;
	if (uri_unescape(u->user, sizeof(u->user), user.p, user.n) || !is_clean_text(u->user))
		return URI_BAD_USER;
	return URI_OK;
}

static enum uri_error parse_port(struct slice s, uint16_t *port)
{
	unsigned value = 0;

	if (s.n == 0 || s.n > 5)
		return URI_BAD_PORT;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_digit(s.p[i]))
			return URI_BAD_PORT;
		value = value * 10 + (unsigned)(s.p[i] - '0');
	}
	if (value == 0 || value > 65535)
		return URI_BAD_PORT;
	*port = (uint16_t)value;
	return URI_OK;
}

static enum uri_error parse_hostport(struct slice s, struct uri *u)
{
	size_t n = 0;

	if (s.n > 0 && s.p[0] == '[')
		while (n < s.n && s.p[n] != ']')
			n++;
	while (n < s.n && s.p[n] != ':')
		n++;
	if (!uri_host_valid(s.p, n))
		return URI_BAD_HOST;
	str_copy_n(u->host, sizeof(u->host), s.p, n);
	for (char *p = u->host; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	if (n == s.n)
		return URI_OK;
	return parse_port(slice_of(s.p + n + 1, s.n - n - 1), &u->port);
}

/* Each parameter is name or name=value; none is empty. */
static enum uri_error check_params(struct slice params)
{
	enum uri_error e;

	while (params.p) {
		struct slice rest, value, name;
		struct slice one = slice_cut(params, ";", &rest);

		name = slice_cut(one, "=", &value);
		if (name.n == 0 || (value.p && value.n == 0))
			return URI_BAD_PARAM;
		e = check_chars(name.p, name.n, "[]/:&+$");
		if (!e)
			e = check_chars(value.p, value.n, "[]/:&+$");
		if (e)
			return e == URI_BAD_CHAR ? URI_BAD_PARAM : e;
		params = rest;
	}
	return URI_OK;
}

/* Headers are only ever read by referto_parse(): here it is enough that they can do no harm.
 * @ ; = , are not legal there, but phones write them in Replaces (R-055). */
static enum uri_error check_headers(struct slice headers)
{
	if (!headers.p)
		return URI_OK;
	if (headers.n == 0)
		return URI_BAD_HEADER;
	return check_chars(headers.p, headers.n, "[]/?:+$&=@;,");
}

static enum uri_error parse_sip(struct slice s, struct uri *u)
{
	const char *at = memchr(s.p, '@', s.n);
	struct slice host;
	enum uri_error e = URI_OK;

	if (at) {
		size_t n = (size_t)(at - s.p);

		e = parse_userinfo(slice_of(s.p, n), u);
		s = slice_of(at + 1, s.n - n - 1);
	}
	if (e)
		return e;
	s = slice_cut(s, "?", &u->headers);
	host = slice_cut(s, ";", &u->params);
	e = parse_hostport(host, u);
	if (!e)
		e = check_params(u->params);
	if (!e)
		e = check_headers(u->headers);
	return e;
}

static enum uri_error parse_tel(struct slice s, struct uri *u)
{
	struct slice number = slice_cut(s, ";", &u->params);
	size_t at = 0;

	u->userinfo = number;
	for (size_t i = 0; i < number.n; i++) {
		char c = number.p[i];

		if (is_one_of(c, "-.()"))
			continue;
		if (!(c == '+' && i == 0) && hex_value(c) < 0 && c != '*' && c != '#')
			return URI_BAD_NUMBER;
		if (at + 1 >= sizeof(u->user))
			return URI_BAD_NUMBER;
		u->user[at++] = c;
	}
	u->user[at] = '\0';
	if (at == 0 || (at == 1 && u->user[0] == '+'))
		return URI_BAD_NUMBER;
	if (u->user[0] == '+' && strspn(u->user + 1, "0123456789") != at - 1)
		return URI_BAD_NUMBER;
	return check_params(u->params);
}

enum uri_error uri_parse(const char *text, size_t len, struct uri *u)
{
	struct slice s = {text, len};

	memset(u, 0, sizeof(*u));
	if (len == 0)
		return URI_EMPTY;
	if (len >= URI_MAX)
		return URI_LONG;
	if (!parse_scheme(&s, &u->scheme))
		return URI_BAD_SCHEME;
	return u->scheme == URI_TEL ? parse_tel(s, u) : parse_sip(s, u);
}

enum uri_error uri_parse_str(const char *text, struct uri *u)
{
	return uri_parse(text ? text : "", text ? strlen(text) : 0, u);
}

/* ---- printing ------------------------------------------------------------------------------ */

static void put_port(struct out *o, uint16_t port)
{
	char text[8];

	if (port == 0)
		return;
	snprintf(text, sizeof(text), ":%u", port);
	out_str(o, text);
}

int uri_print(const struct uri *u, char *buf, size_t size)
{
	struct out o = {buf, size, 0, 0};

	out_str(&o, uri_scheme_name((int)u->scheme));
	out_str(&o, ":");
	if (u->userinfo.n > 0)
		out_slice(&o, u->userinfo);
	if (u->scheme != URI_TEL) {
		if (u->userinfo.n > 0)
			out_str(&o, "@");
		out_str(&o, u->host);
		put_port(&o, u->port);
	}
	if (u->params.n > 0) {
		out_str(&o, ";");
		out_slice(&o, u->params);
	}
	return out_end(&o);
}

int uri_build(char *buf, size_t size, const char *user, const char *host, uint16_t port,
	const char *params)
{
	struct out o = {buf, size, 0, 0};
	char escaped[NUM_MAX * 3 + 1];

	buf[0] = '\0';
	if (str_empty(host) || !uri_host_valid(host, strlen(host)))
		return EINVAL;
	out_str(&o, "sip:");
	if (!str_empty(user)) {
		if (uri_escape(escaped, sizeof(escaped), user, strlen(user), URI_PART_USER))
			return ENOSPC;
		out_str(&o, escaped);
		out_str(&o, "@");
	}
	out_str(&o, host);
	put_port(&o, port);
	if (!str_empty(params)) {
		out_str(&o, ";");
		out_str(&o, params);
	}
	return out_end(&o);
}

/* ---- parameters ---------------------------------------------------------------------------- */

/* The length of one parameter: up to a ; outside quotes. */
static size_t param_len(struct slice s)
{
	int quoted = 0;
	size_t i;

	for (i = 0; i < s.n && (quoted || s.p[i] != ';'); i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
	}
	return i < s.n ? i : s.n;
}

/* Copies a quoted string without quotes and backslashes. */
static size_t unquote(char *buf, size_t size, struct slice s)
{
	size_t at = 0;

	for (size_t i = 1; i < s.n && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		if (at + 1 < size)
			buf[at++] = s.p[i];
	}
	buf[at] = '\0';
	return at;
}

static void param_value(struct slice value, char *buf, size_t size)
{
	if (value.n > 0 && value.p[0] == '"')
		unquote(buf, size, value);
	else if (uri_unescape(buf, size, value.p, value.n) == EINVAL)
		str_copy_n(buf, size, value.p, value.n); /* a lone %: not ours to judge */
	else if (buf[0] == '\0' && value.n > 0)
		str_copy_n(buf, size, value.p, value.n);
}

int uri_param(struct slice params, const char *name, char *buf, size_t size)
{
	size_t name_len = strlen(name);

	buf[0] = '\0';
	while (params.n > 0) {
		size_t n = param_len(params);
		struct slice value, key = slice_cut(slice_of(params.p, n), "=", &value);

		key = slice_trim(key);
		if (key.n == name_len && strncasecmp(key.p, name, name_len) == 0) {
			if (value.p)
				param_value(slice_trim(value), buf, size);
			return 1;
		}
		if (n == params.n)
			break;
		params = slice_of(params.p + n + 1, params.n - n - 1);
	}
	return 0;
}

/* Both without the parameter, or both with the same value. */
static int same_param(const struct uri *a, const struct uri *b, const char *name)
{
	char x[URI_PARAM_MAX], y[URI_PARAM_MAX];
	int has_a = uri_param(a->params, name, x, sizeof(x));
	int has_b = uri_param(b->params, name, y, sizeof(y));

	return has_a == has_b && str_ieq(x, y);
}

int uri_equal(const struct uri *a, const struct uri *b)
{
	static const char *const params[] = {"transport", "user", "maddr", "method"};

	if (a->scheme != b->scheme || a->port != b->port || !str_eq(a->user, b->user))
		return 0;
	if (!uri_host_equal(a->host, b->host))
		return 0;
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
		if (!same_param(a, b, params[i]))
			return 0;
	return 1;
}

/* ---- numbers ------------------------------------------------------------------------------- */

static int is_phone_number(const char *s)
{
	int digits = 0;

	if (*s == '+')
		s++;
	for (; *s; s++) {
		if (is_digit(*s) || *s == '*' || *s == '#')
			digits++;
		else if (!is_one_of(*s, "-.() "))
			return 0;
	}
	return digits > 0;
}

bool number_clean(char *buf, size_t size, const char *text)
{
	size_t at = 0;

	if (str_empty(text) || !is_phone_number(text))
		return str_copy(buf, size, text);
	for (; *text; text++) {
		if (is_one_of(*text, "-.() "))
			continue;
		if (at + 1 >= size) {
			buf[at] = '\0';
			return false;
		}
		buf[at++] = *text;
	}
	buf[at] = '\0';
	return true;
}

/* ---- name-addr ----------------------------------------------------------------------------- */

/* Makes a display name fit to print: bad UTF-8 and control bytes become ?. */
static void clean_name(char *name)
{
	size_t left = strlen(name), n;

	for (char *p = name; left > 0; p += n, left -= n) {
		n = utf8_len(p, left);
		if (n == 0 || is_control(*p)) {
			*p = '?';
			n = 1;
		}
	}
}

/* Reads `"name"` or bare words before <; leaves *s at the <. */
static enum uri_error parse_name(struct slice *s, char *name, size_t size)
{
	size_t i = 0;

	if (s->p[0] == '"') {
		for (i = 1; i < s->n && s->p[i] != '"'; i++)
			if (s->p[i] == '\\')
				i++;
		if (i >= s->n)
			return URI_BAD_QUOTE;
		unquote(name, size, *s);
		i++;
		while (i < s->n && slice_is_blank(s->p[i]))
			i++;
		if (i == s->n || s->p[i] != '<')
			return URI_EMPTY;
	} else {
		struct slice words;

		while (i < s->n && s->p[i] != '<')
			i++;
		words = slice_trim(slice_of(s->p, i));
		if (words.n > 0 && memchr(words.p, '"', words.n))
			return URI_BAD_QUOTE;
		str_copy_n(name, size, words.p, words.n);
	}
	clean_name(name);
	*s = slice_of(s->p + i, s->n - i);
	return URI_OK;
}

static enum uri_error parse_bracketed(struct slice s, struct addr *a)
{
	enum uri_error e = parse_name(&s, a->name, sizeof(a->name));
	const char *end;

	if (e)
		return e;
	end = memchr(s.p, '>', s.n);
	if (!end)
		return URI_BAD_BRACKET;
	a->form = ADDR_BRACKET;
	a->uri_text = slice_of(s.p + 1, (size_t)(end - s.p - 1));
	s = slice_trim(slice_of(end + 1, s.n - a->uri_text.n - 2));
	if (s.n > 0 && s.p[0] != ';')
		return URI_TRAILING;
	if (s.n > 0)
		a->params = slice_of(s.p + 1, s.n - 1);
	return uri_parse(a->uri_text.p, a->uri_text.n, &a->uri);
}

static enum uri_error parse_bare(struct slice s, struct addr *a)
{
	a->form = ADDR_BARE;
	a->uri_text = slice_trim(slice_cut(s, ";", &a->params));
	return uri_parse(a->uri_text.p, a->uri_text.n, &a->uri);
}

enum uri_error addr_parse(const char *text, size_t len, struct addr *a)
{
	struct slice s = slice_trim(slice_of(text, len));

	memset(a, 0, sizeof(*a));
	if (s.n == 0)
		return URI_EMPTY;
	if (s.p[0] == '"' || memchr(s.p, '<', s.n))
		return parse_bracketed(s, a);
	return parse_bare(s, a);
}

/* The length of the first element of a list. */
static size_t element_len(const char *p, size_t n)
{
	int quoted = 0, angle = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (quoted && p[i] == '\\')
			i++;
		else if (p[i] == '"' && !angle)
			quoted = !quoted;
		else if (!quoted && (p[i] == '<' || p[i] == '>'))
			angle = p[i] == '<';
		else if (!quoted && !angle && p[i] == ',')
			break;
	}
	return i < n ? i : n;
}

int addr_next(const char **text, size_t *len, struct slice *element)
{
	while (*len > 0) {
		size_t n = element_len(*text, *len);
		size_t used = n < *len ? n + 1 : n;

		*element = slice_trim(slice_of(*text, n));
		*text += used;
		*len -= used;
		if (element->n > 0)
			return 1;
	}
	return 0;
}

int addr_print(char *buf, size_t size, const char *name, const char *uri)
{
	struct out o = {buf, size, 0, 0};

	if (!str_empty(name)) {
		out_str(&o, "\"");
		for (; *name; name++) {
			if (*name == '"' || *name == '\\')
				out_str(&o, "\\");
			out_slice(&o, slice_of(is_control(*name) ? "?" : name, 1));
		}
		out_str(&o, "\" ");
	}
	out_str(&o, "<");
	out_str(&o, uri);
	out_str(&o, ">");
	return out_end(&o);
}
