/*
 * dialog: the identity of one SIP dialog as we keep it (RFC 3261 section 12): Call-ID, tags, CSeq
 * of both directions, route set, remote target, our Contact. It builds requests inside the dialog
 * and knows nothing of calls. One INVITE usage and the refer usages share it (RFC 5057).
 */
#ifndef SEGUE_SIP_DIALOG_H
#define SEGUE_SIP_DIALOG_H

#include "sip/slice.h"
#include "sip/stack.h"

#define DIALOG_TAG_MAX 20

struct dialog {
	char tag[DIALOG_TAG_MAX]; /* local tag, unique in this process; the key of the dialog map */
	/* Each is one block of its own. A home for them costs more than most of what it would hold, and
	 * there are two dialogs to every call for as long as it lasts. */
	sip_call_id_t *call_id;
	sip_from_t *local;       /* as From of our requests, tag included */
	sip_to_t *remote;        /* as To of our requests; the tag once it is known */
	url_t *target;           /* remote target; NULL until a Contact was seen */
	sip_contact_t *contact;  /* ours */
	su_home_t *routes;       /* owns the route set; NULL: there is none */
	sip_route_t *route;      /* route set in the order of our requests */
	uint32_t cseq;           /* of our last request */
	uint32_t remote_cseq;    /* of their last request; 0: none yet */
	uint32_t invite_cseq;    /* of our last INVITE, for its ACK */
	char *next;              /* fixed next hop (a phone's own flow, a peer's address); NULL: none */
	int next_listener;
};

/* All of a dialog that is not zero is given back with dialog_done().
 *
 * A dialog that starts with their INVITE; the response needs d->tag. flow: send our requests back
 * where this came from (phones behind NAT), unless a route set says otherwise. 0 or ENOMEM. */
int dialog_init_uas(
	struct dialog *d, struct stack *s, const sip_t *invite, const struct stack_dest *flow);

/* A dialog that starts with our INVITE. from, to: header values, valid. next: fixed next hop of later
 * requests, or empty. 0, EINVAL or ENOMEM. */
int dialog_init_uac(struct dialog *d, struct stack *s, const char *id, const char *from,
	const char *to, const struct stack_dest *next);
/* A dialog of which all that is known is a 2xx to an INVITE of ours. 0, EINVAL if it has no Contact that
 * could be called, or ENOMEM. */
int dialog_init_answered(struct dialog *d, const sip_t *response);
/* The remote target before a Contact was seen: the Request-URI of our INVITE, valid. 0, EINVAL, ENOMEM. */
int dialog_set_target(struct dialog *d, const char *uri);
/* Our tag, from random bits; before dialog_init. */
void dialog_make_tag(struct dialog *d, uint64_t random);
/* Our Contact, on the listener that is used toward dest. 0, EHOSTUNREACH if none fits, ENOMEM. */
int dialog_set_contact(struct dialog *d, struct stack *s, const struct stack_dest *dest);
/* From now on requests go there; an empty URI: to the target. Without memory all stays as it was. */
void dialog_set_next(struct dialog *d, const struct stack_dest *next);
void dialog_done(struct dialog *d);

/* Takes remote tag, route set and target from a 101..299 response to our first INVITE: the early
 * or confirmed dialog that it belongs to. */
void dialog_take_response(struct dialog *d, const sip_t *response);
/* Target refresh (RFC 3261 section 12.2): from an accepted (re-)INVITE or UPDATE, or its 2xx. */
void dialog_take_target(struct dialog *d, const sip_t *sip);
/* Is this in-dialog request of the dialog's peer? Compares Call-ID and the remote tag. */
bool dialog_matches(const struct dialog *d, const sip_t *request);

/* A new request inside the dialog with Request-URI, Route, From, To, Call-ID, CSeq, Max-Forwards;
 * ACK takes the CSeq of the last INVITE. NULL without memory or target. */
msg_t *dialog_request(
	struct dialog *d, struct stack *s, sip_method_t method, const char *method_name);
/* Where requests of the dialog are sent: the first Route, a phone's own flow, or the target. */
void dialog_dest(const struct dialog *d, struct stack_dest *dest);
/* Writes the parts of the dialog that are text, piece by piece with put(), and reads them again with
 * take(); the rest is the caller's. 0, or an errno: d is then to be given back with dialog_done(). */
struct sip_kept;
int dialog_keep(const struct dialog *d, struct sip_kept *out,
	int (*put)(struct sip_kept *out, const void *p, size_t n));
int dialog_restore(struct dialog *d, struct slice *in, struct slice (*take)(struct slice *in));
/* The same request once more under a new CSeq: after 401, 422, or to another address. */
msg_t *dialog_repeat(struct dialog *d, msg_t *sent);

#endif
