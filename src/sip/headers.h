/*
 * headers: which header fields travel from one leg to another. One table says it for the code and
 * for docs/headers.md. A header that is not in the table and does not start with X- stays behind.
 */
#ifndef SEGUE_SIP_HEADERS_H
#define SEGUE_SIP_HEADERS_H

#include <stdio.h>

#include "core/types.h"

#define HEADER_CLASS_LIST(X)                                                                       \
	X(HEADER_PASS, "passes")            /* copied as it is */                                  \
	X(HEADER_TRUSTED, "passes if trusted") /* copied when both sides are trusted */            \
	X(HEADER_CASE, "passes if believed") /* X-Case-ID: both sides trusted for case ids */      \
	X(HEADER_APPEND, "passes in order") /* a list that tells a story: copied whole, in order */\
	X(HEADER_OWN, "is ours")            /* each leg gets a value of segue's own */             \
	X(HEADER_NEVER, "never passes")
ENUM_DECLARE(header_class, HEADER_CLASS_LIST);

/* What an outgoing request is made for. */
#define HEADER_TRIP_LIST(X)                                                                        \
	X(HEADER_TRIP_CALL, "call")         /* first INVITE of a call, towards its first target */ \
	X(HEADER_TRIP_TRANSFER, "transfer") /* INVITE to a transfer target, from the kept party */ \
	X(HEADER_TRIP_DIALOG, "dialog")     /* requests and responses inside a call: re-INVITE, INFO,\
					       BYE, 18x, 2xx, 4xx */                               \
	X(HEADER_TRIP_REFERTO, "refer-to")  /* written by the transferor into the Refer-To URI */
ENUM_DECLARE(header_trip, HEADER_TRIP_LIST);

/* Trust between the two sides that a header passes (bits; struct sip_peer). Users' phones are
 * trusted to receive, not to assert. */
#define HEADER_TRUST_IDENTITY 1u /* both sides may exchange asserted identities (RFC 3325) */
#define HEADER_TRUST_CASE 2u     /* both sides may exchange X-Case-ID */

struct header_rule {
	const char *name;     /* as we write it */
	const char *compact;  /* one letter, or NULL */
	enum header_class class;
	unsigned trips;       /* 1u << HEADER_TRIP_* in which it may pass at all */
	const char *why;      /* one sentence */
};

/* The rule of a header, by full or compact name, any case; O(1). Never NULL: unknown names get the
 * rule of "X-*" or "*". */
const struct header_rule *headers_find(const char *name, size_t len);

/* May this header be copied on this trip? trust: HEADER_TRUST_ bits. 1 yes, 0 no. */
int headers_may_pass(const char *name, enum header_trip trip, unsigned trust);

/* The table, for tests and docs. */
unsigned headers_count(void);
const struct header_rule *headers_at(unsigned i);
/* Writes docs/headers.md. */
void headers_print_markdown(FILE *out);

#endif
