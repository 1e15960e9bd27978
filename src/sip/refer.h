/*
 * refer: what refer.c and notify.c share: one accepted REFER and the subscription that it created
 * (RFC 3515). The subscription lives in the dialog of the call, or in one of its own if the REFER
 * came outside of it (RFC 4538).
 */
#ifndef SEGUE_SIP_REFER_H
#define SEGUE_SIP_REFER_H

#include "sip/internal.h"

#define SUBSCRIPTION_S 300

enum refer_state {
	REFER_ASKED,	/* the request waits for its answer; one that was kept: nobody knows if it had it */
	REFER_ACTIVE,	/* 202 was sent, NOTIFYs flow */
	REFER_SILENT,	/* Refer-Sub: false, or the subscription was ended by the peer */
	REFER_FINAL,	/* the final NOTIFY is under way */
	REFER_FINISHED, /* EV_NOTIFY_DONE was reported */
};

enum refer_waits {
	NOTHING_WAITS,
	NOTIFY_WAITS,
	FINAL_WAITS,
	GOODBYE_WAITS, /* the peer unsubscribed, or the call is over */
};

struct refer {
	uint64_t cmd;
	struct sip_leg *leg;
	enum refer_state state;
	enum { SUB_WANTED, SUB_REFUSED } sub;
	struct stack_server *t;	 /* REFER_ASKED */
	uint32_t id;		 /* CSeq of the REFER: id parameter of its Event */
	struct dialog *own;	 /* of the subscription; NULL: the leg's */
	struct text target;	 /* URI of the Refer-To */
	struct text replaces;	 /* a dialog that is not here, as a Replaces value; empty: none */
	unsigned long max_forwards;
	struct text referred_by; /* header value for the INVITE */
	struct text headers;	 /* allow-listed headers of the Refer-To, as lines */
	struct request *notify;	 /* under way */
	uint16_t status;	 /* newest status told or to be told */
	char text[TEXT_MAX];
	enum refer_waits waits;	 /* for the answer to the NOTIFY that is under way */
	const char *reason;	 /* GOODBYE_WAITS */
	struct refer *next; /* of the same leg */
	UT_hash_handle hh, hh_own;
};

struct refer *refer_find(struct sip *s, uint64_t cmd);
/* The one whose own dialog has this local tag; NULL if there is none. */
struct refer *refer_by_tag(struct sip *s, const char *tag);
/* Is its subscription one that outlives the process? */
bool refer_keeps(const struct refer *r);
/* One that was taken in the process before: its NOTIFYs go on. 0 or ENOMEM. */
int refer_restore(struct sip_leg *l, uint64_t cmd, uint32_t id, bool asked);
/* Where its NOTIFYs go. */
struct dialog *refer_dialog(struct refer *r);

#endif
