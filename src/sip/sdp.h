/*
 * sdp: session descriptions as text (RFC 4566/8866, RFC 3264). A scanner for the few facts that
 * call control needs, and a rewriter that gives one leg the other party's SDP under the leg's own
 * origin and in the leg's own order of m-lines. All of it works on the text as received: codecs,
 * payload numbers, candidates, keys are never touched.
 *
 * Written for hostile input: bounded, linear, no allocation.
 */
#ifndef SEGUE_SIP_SDP_H
#define SEGUE_SIP_SDP_H

#include "core/action.h"
#include "core/types.h"
#include "sip/uri.h"

#define SDP_MAX 16384      /* bytes; a longer body is refused */
#define SDP_STREAMS_MAX 16 /* m-lines */
#define SDP_LINES_MAX 512
#define SDP_FORMATS_MAX 128 /* in one m-line */

#define SDP_ERROR_LIST(X)                                                                          \
	X(SDP_OK, "ok")                                                                            \
	X(SDP_EMPTY, "SDP is empty")                                                               \
	X(SDP_LONG, "SDP is too long")                                                             \
	X(SDP_NUL, "SDP holds a NUL byte")                                                         \
	X(SDP_NO_VERSION, "SDP does not start with v=0")                                           \
	X(SDP_BAD_LINE, "SDP has a line that is not type=value")                                   \
	X(SDP_BAD_ORIGIN, "SDP has a bad o= line")                                                 \
	X(SDP_BAD_CONNECTION, "SDP has a bad c= line")                                             \
	X(SDP_BAD_MEDIA, "SDP has a bad m= line")                                                  \
	X(SDP_NO_CONNECTION, "an active stream has no c= line")                                    \
	X(SDP_MANY, "SDP has too many lines, m= lines or formats")                                 \
	X(SDP_MISMATCH, "no stream of the source fits the offer")                                  \
	X(SDP_NO_ROOM, "rewritten SDP does not fit the buffer")
ENUM_DECLARE(sdp_error, SDP_ERROR_LIST);

/* One m= section; slices point into the scanned text. */
struct sdp_stream {
	struct slice text;    /* what follows the m-line, to before the next m-line */
	struct slice media, proto, formats;
	uint32_t port, nports;
	bool active;          /* port not 0, or a=bundle-only */
	enum dir dir;         /* as the writer means it: own a= line, else the session's, else
			       * sendrecv; a c= of 0.0.0.0 takes "recv" away */
	bool dir_given;       /* the section has a direction line of its own */
	bool blackhole;       /* c= is 0.0.0.0 or :: */
	struct slice address; /* of the c= line in force */
	struct slice mid;     /* a=mid */
};

struct sdp {
	struct slice session; /* everything before the first m= */
	struct slice origin_user, session_id, version, origin_address; /* o= */
	enum dir dir;         /* session level */
	bool dir_given;
	unsigned n;
	struct sdp_stream stream[SDP_STREAMS_MAX];
};

/* Reads text (LF or CRLF). No m-line at all is no error (RFC 3264 section 5). An m-line with bytes
 * outside of RFC 4566's token set is: such lines make other parsers loop for ever, so they must
 * not even be passed on. */
enum sdp_error sdp_scan(const char *text, size_t len, struct sdp *sdp);

/* Fills the note that an event carries. what: OFFER or ANSWER as the message's place says; BAD
 * comes out for an unusable text, NONE for len 0. prev: what this leg's party said last (its offer
 * or answer), len 0 for nothing. */
void sdp_take_note(enum sdp_what what, const char *text, size_t len, const char *prev,
	size_t prev_len, struct sdp_note *note);

/* An answer can be worked with: at least one of its streams has a codec of the offer (E-033), by name
 * where a payload number has one, since the number may be another. Texts that do not scan count as
 * good: others refuse them. */
bool sdp_answers(struct slice answer, struct slice offer);

/* Two bodies say the same: line by line, o= version, line ends and blank lines aside. */
int sdp_same(struct slice a, struct slice b);

/* What we remember of the SDP side of one leg: plain data, part of its snapshot. To undo an offer
 * that was refused, put an earlier copy back but keep `version`. */
struct sdp_slot {
	char media[16], proto[32];
};
struct sdp_local {
	char address[64];   /* for o=, IPv4 or IPv6 without brackets */
	uint64_t session;   /* o= session id, never changes on a leg */
	uint64_t version;   /* o= version of what was last sent; 0: nothing yet */
	unsigned nslots;    /* m-lines used so far on this leg, whoever offered them */
	struct sdp_slot slot[SDP_STREAMS_MAX];
};
/* session: random or a clock; cut to 62 bits so that no peer overflows. address "" or none: the
 * o= line says 0.0.0.0. */
void sdp_local_init(struct sdp_local *me, uint64_t session, const char *address);

#define SDP_ROLE_LIST(X)                                                                           \
	X(SDP_ROLE_OFFER, "offer")                                                                 \
	X(SDP_ROLE_ANSWER, "answer")
ENUM_DECLARE(sdp_role, SDP_ROLE_LIST);

/* One body to be made for a leg. */
struct sdp_job {
	enum sdp_role role;
	enum sdp_dir dir;
	struct slice source; /* the other party's SDP; or what the leg was last given, to hold,
			      * resume or repeat it */
	struct slice offer;  /* ANSWER: the leg's offer that is answered */
	struct slice last;   /* what this leg was last given; empty: nothing yet. Decides whether
			      * the o= version rises */
};

/* Makes the body for a leg and notes it in *me (untouched on error). buf must not overlap the
 * slices; SDP_MAX is enough as a rule. *len gets the length, buf is NUL terminated.
 *
 * An offer has every m-line this leg ever had, in order: reused by media type, port 0 where the
 * source has nothing for it, new ones behind (E-052; audio<->image may change in place, E-053).
 * An answer has exactly the offer's m-lines, port 0 where the source has none, directions
 * clamped to what the offer permits (E-051a). SDP_MISMATCH: the source has no active stream that
 * fits the offer; the body is made all the same, every stream refused. */
enum sdp_error sdp_rewrite(struct sdp_local *me, const struct sdp_job *job, char *buf, size_t size,
	size_t *len);

/* The direction that an answer may have at most: wanted, clamped to what offered permits. */
enum dir sdp_dir_clamp(enum dir wanted, enum dir offered);
/* The same stream as the other side sees it: sendonly <-> recvonly. */
enum dir sdp_dir_mirror(enum dir d);

/* Finds the session description in a body: the body itself for application/sdp, the part of that
 * type in a multipart body (RFC 5621). content_type "" counts as application/sdp. Returns 1 and the
 * slice, 0 when there is none. */
int sdp_in_body(const char *content_type, const char *body, size_t len, struct slice *sdp);

#endif
