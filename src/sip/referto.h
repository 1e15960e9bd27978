/*
 * referto: what a REFER asks for. Reads Refer-To (RFC 3515 section 2.1) with the headers and the
 * Replaces inside it, as phones really write them, and says in words what is wrong with the rest.
 */
#ifndef SEGUE_SIP_REFERTO_H
#define SEGUE_SIP_REFERTO_H

#include "sip/uri.h"

#define REFERTO_HEADERS_MAX 8
#define REFERTO_NAME_MAX 48
#define REFERTO_VALUE_MAX 512
#define REPLACES_CALLID_MAX 256
#define REPLACES_TAG_MAX 128

/* id, sentence, SIP status. */
#define REFERTO_ERROR_TABLE(X)                                                                     \
	X(REFERTO_OK, "ok", 202)                                                                   \
	X(REFERTO_MISSING, "no Refer-To", 400)                                                     \
	X(REFERTO_SEVERAL, "more than one Refer-To", 400)                                          \
	X(REFERTO_LONG, "Refer-To is too long", 400)                                               \
	X(REFERTO_SYNTAX, "Refer-To is malformed", 400)                                            \
	X(REFERTO_SCHEME, "Refer-To scheme is not sip, sips or tel", 416)                          \
	X(REFERTO_METHOD, "Refer-To method is not INVITE", 403)                                    \
	X(REFERTO_HEADERS, "Refer-To headers are malformed", 400)                                  \
	X(REFERTO_REPLACES, "Replaces is malformed", 400)                                          \
	X(REFERTO_TWO_REPLACES, "more than one Replaces", 400)
#define REFERTO_PAIR_(id, text, status) id,
enum referto_error { REFERTO_ERROR_TABLE(REFERTO_PAIR_) REFERTO_ERROR_COUNT_ };

/* The sentence, and the status that the REFER is answered with. */
const char *referto_error_text(enum referto_error e);
uint16_t referto_error_status(enum referto_error e);

/* A dialog as Replaces names it (RFC 3891 section 3): tags as the receiver of the INVITE sees
 * them, all unescaped, compared byte by byte. */
struct replaces {
	char call_id[REPLACES_CALLID_MAX]; /* "": there is no Replaces */
	char to_tag[REPLACES_TAG_MAX];     /* local tag of who gets the Replaces */
	char from_tag[REPLACES_TAG_MAX];   /* remote tag */
	bool early_only;
};

struct referto_header {
	char name[REFERTO_NAME_MAX];
	char value[REFERTO_VALUE_MAX]; /* unescaped, free of CR, LF and control bytes */
};

struct referto {
	char uri[URI_MAX];       /* what to call: without headers and method */
	enum uri_scheme scheme;
	char user[NUM_MAX];      /* unescaped; "" none (E-063) */
	char host[URI_HOST_MAX]; /* "" for tel */
	uint16_t port;
	char name[NAME_MAX_];    /* display name */
	struct replaces replaces;
	struct referto_header headers[REFERTO_HEADERS_MAX]; /* allow-listed ones (headers.h) */
	unsigned nheaders;
	unsigned ndropped;       /* headers that were not carried */
	bool stay;               /* ;stay: the transferor wants to keep the line until somebody answers */
};

/* Reads the value of the one Refer-To header; NULL is REFERTO_MISSING. E-060..E-064, E-075,
 * */
enum referto_error referto_parse(const char *value, size_t len, struct referto *r);

/* Reads the value of a Replaces header, not percent-encoded. 0, or EINVAL when Call-ID or a tag is
 * missing, doubled, empty, too long or holds bytes that cannot stand in a header. */
int replaces_parse(const char *value, size_t len, struct replaces *r);
/* Reads the value of a Target-Dialog header (RFC 4538 section 7): its local-tag is to_tag, its
 * remote-tag from_tag, both as its receiver sees the dialog. 0 or EINVAL, as above. */
int target_dialog_parse(const char *value, size_t len, struct replaces *r);
/* Writes a Replaces header value. 0 or ENOSPC. */
int replaces_print(char *buf, size_t size, const struct replaces *r);

#endif
