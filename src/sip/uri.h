/*
 * uri: SIP, SIPS and TEL URIs and the name-addr around them, read strictly and written so that no
 * other parser is surprised. What uri_parse() accepts holds no blank, quote or control byte (nor an
 * escaped control byte or NUL), its user part is UTF-8 and its host is a host: it is safe to print,
 * to store, and to give to a library that asserts on bad URLs.
 */
#ifndef SEGUE_SIP_URI_H
#define SEGUE_SIP_URI_H

#include "core/types.h"
#include "sip/slice.h"

#define URI_MAX 1024    /* a URI as text, with NUL; a longer one is refused */
#define URI_HOST_MAX 128
#define URI_PARAM_MAX 256
#define ADDR_TAG_MAX 128

#define URI_SCHEME_LIST(X)                                                                         \
	X(URI_SIP, "sip")                                                                          \
	X(URI_SIPS, "sips")                                                                        \
	X(URI_TEL, "tel")
ENUM_DECLARE(uri_scheme, URI_SCHEME_LIST);

/* The names are sentences for a log line or a reason phrase. */
#define URI_ERROR_LIST(X)                                                                          \
	X(URI_OK, "ok")                                                                            \
	X(URI_EMPTY, "URI is empty")                                                               \
	X(URI_LONG, "URI is too long")                                                             \
	X(URI_BAD_SCHEME, "URI scheme is not sip, sips or tel")                                    \
	X(URI_BAD_CHAR, "URI holds a character that must be escaped")                              \
	X(URI_BAD_ESCAPE, "URI holds a bad % escape")                                              \
	X(URI_BAD_USER, "URI has a bad user part")                                                 \
	X(URI_BAD_HOST, "URI has a bad host")                                                      \
	X(URI_BAD_PORT, "URI has a bad port")                                                      \
	X(URI_BAD_NUMBER, "tel URI has a bad number")                                              \
	X(URI_BAD_PARAM, "URI has a bad parameter")                                                \
	X(URI_BAD_HEADER, "URI has a bad header part")                                             \
	X(URI_BAD_QUOTE, "quoted name is not closed")                                              \
	X(URI_BAD_BRACKET, "< without >")                                                          \
	X(URI_TRAILING, "something follows the URI")
ENUM_DECLARE(uri_error, URI_ERROR_LIST);

struct uri {
	enum uri_scheme scheme;
	char user[NUM_MAX];      /* unescaped, without password and ;parameters; tel: the number
				  * without visual separators; "" none */
	char host[URI_HOST_MAX]; /* lower case, IPv6 in brackets; "" for tel */
	uint16_t port;           /* 0: none given */
	struct slice userinfo;   /* all before the @ as written; tel: the number as written */
	struct slice params;     /* raw, without the first ; */
	struct slice headers;    /* raw, without the ? */
};

/* Splits a URI (RFC 3261 section 19.1, RFC 3966). params and headers point into text. */
enum uri_error uri_parse(const char *text, size_t len, struct uri *u);
enum uri_error uri_parse_str(const char *text, struct uri *u);

/* Writes the URI as it was parsed, with parameters, without headers. 0, or ENOSPC (buf is "" then).
 */
int uri_print(const struct uri *u, char *buf, size_t size);

/* Writes "sip:user@host:port;params", user escaped; user "" leaves it and @ out, port 0 and params
 * ""/NULL likewise; params are the caller's own, unchecked. 0, ENOSPC, or EINVAL for a host that is
 * none. */
int uri_build(char *buf, size_t size, const char *user, const char *host, uint16_t port,
	const char *params);

/* Finds a parameter, name compared without case. Returns 1 and its unescaped value in buf ("" for
 * a flag), 0 if there is none. params: as in struct uri, or of an addr; quotes are taken off. */
int uri_param(struct slice params, const char *name, char *buf, size_t size);

/* Same resource, as far as a registrar must know (RFC 3261 section 19.1.4): scheme, user with case,
 * host without, port, transport, and the parameters user, maddr, method where either has them. */
int uri_equal(const struct uri *a, const struct uri *b);

/* Two host names or addresses are the same: no case, no final dot, IPv6 by value, brackets or
 * not. */
int uri_host_equal(const char *a, const char *b);
/* A name or address that may stand in a URI (IPv6 in brackets). */
int uri_host_valid(const char *host, size_t len);

#define URI_PART_LIST(X)                                                                           \
	X(URI_PART_USER, "user")     /* RFC 3261 user */                                           \
	X(URI_PART_PARAM, "param")   /* pname, pvalue */                                           \
	X(URI_PART_HEADER, "header") /* hname, hvalue: @ ; = are escaped */
ENUM_DECLARE(uri_part, URI_PART_LIST);

/* Escapes what may not stand in that part. 0 or ENOSPC. */
int uri_escape(char *buf, size_t size, const char *text, size_t len, enum uri_part part);
/* Undoes % escapes; refuses broken ones and %00. 0, EINVAL or ENOSPC. */
int uri_unescape(char *buf, size_t size, const char *text, size_t len);

/* Cleans a dialled number: where text is a phone number (digits, + in front, * #, separators
 * "-.()" and blanks) the separators go; any other text (a name) stays as it is. False if cut. */
bool number_clean(char *buf, size_t size, const char *text);

/* ---- name-addr: From, To, Contact, Route, Path, Refer-To, P-Asserted-Identity ------------- */

struct addr {
	char name[NAME_MAX_];  /* display name, unquoted, cut at a UTF-8 boundary if too long; bad
				* bytes are replaced by ? */
	struct uri uri;
	struct slice uri_text; /* the URI as written, without <> */
	struct slice params;   /* header parameters, raw, without the first ; */
	enum addr_form { ADDR_BARE, ADDR_BRACKET } form; /* bare: parameters belong to the header */
};

/* Reads one name-addr or addr-spec that fills the whole text. */
enum uri_error addr_parse(const char *text, size_t len, struct addr *a);

/* Reads the next element of a comma separated list and moves *text, *len behind it; commas inside
 * quotes and <> do not separate. Returns 1 and the raw element, 0 at the end of the list. */
int addr_next(const char **text, size_t *len, struct slice *element);

/* Writes `"name" <uri>`, the name quoted and escaped as needed. 0 or ENOSPC. */
int addr_print(char *buf, size_t size, const char *name, const char *uri);

#endif
