/*
 * internal: what the verbs of sip/ share. One struct sip, one struct sip_leg per dialog that the
 * core knows, one struct request per client transaction.
 *
 *	receive.c   finds the leg of a request and hands it to its verb
 *	invite_in/out, progress, answer, bye, offer_in/out, info, refer, session_timer: the verbs
 *	peer, caller, challenge, register: who talks to us
 *	named.c     finds the dialog that a Replaces or Target-Dialog names
 *	message.c   what all messages have in common; trace.c what was on the wire
 */
#ifndef SEGUE_SIP_INTERNAL_H
#define SEGUE_SIP_INTERNAL_H

#include <uthash.h>

#include "base/log.h"
#include "base/text.h"
#include "sip/dialog.h"
#include "sip/digest.h"
#include "sip/headers.h"
#include "sip/registrar.h"
#include "sip/sdp.h"
#include "sip/sip.h"
#include "sip/stack.h"

#define LADDER_MAX 200 /* lines */
#define LADDER_TEXT 60 /* characters of one */
#define SOURCE_MAX 96 /* "sip:HOST:PORT;transport=udp#0" */
#define RELIABLES_MAX 8

/* ---- per process -------------------------------------------------------------------------- */

struct sip_peer_match {
	uint16_t peer;  /* index in the config */
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t bits;   /* prefix length */
	uint16_t port;  /* 0: any */
	uint8_t addr[16];
};

#define SIP_MATCHES_MAX (SIP_PEERS_MAX * SIP_PEER_ADDRS_MAX * 2)

struct sip {
	struct sip_config cfg;
	struct sip_hooks hooks;
	su_home_t home[1]; /* constant headers; nothing per call */
	su_root_t *root;
	struct stack *stack;
	struct registrar *registrar;
	struct digest_server *digest;
	su_timer_t *tick; /* registrar expiry, nonces */
	uint64_t malformed; /* messages that were told of in the log */
	bool unsaved;       /* registrations have changed since they were written down .. */
	int64_t save_at;    /* .. which is done again then at the earliest */

	struct sip_leg *by_id, *by_tag, *by_handle;
	struct sip_call *calls;
	struct refer *refers; /* by cmd */
	struct refer *refer_dialogs; /* those in a dialog of their own, by our tag */
	struct ended *ended; /* dialogs that are no more, by our tag, oldest first: named.c */
	struct sip_leg *dead; /* freed at the end of the turn */
	struct sip_leg *unacked; /* has answered; gets its ACK, before all else, when that is on record */
	struct request *dead_requests;
	struct probe *probes, *probes_waiting, *probes_asked; /* by contact; in order of due */
	struct slice instead; /* sip_act_with(): text in place of the session of the action's `from` */
	unsigned depth;       /* of callbacks; the dead are buried at 0 */
	uint64_t serial;      /* handles, refs and commands of ours */
	uint64_t pool[32];    /* random bits in stock */
	unsigned npool;

	struct sip_peer_match match[SIP_MATCHES_MAX];
	unsigned nmatch;
	uint8_t peer_traced[SIP_PEERS_MAX];

	/* constant headers, parsed once */
	sip_allow_t *allow;
	sip_supported_t *supported;     /* replaces, timer, norefersub, tdialog */
	sip_supported_t *supported_rel; /* and 100rel */
	sip_user_agent_t *user_agent;
	sip_server_t *server;
	sip_accept_t *accept;
	sip_content_type_t *type_sdp, *type_sipfrag;
};

/* ---- per call: the ladder ----------------------------------------------------------------- */

/* A line of it; the next one follows its text. Kept for as long as the call lasts, so it is packed. */
struct ladder_entry {
	int64_t wall; /* UTC microseconds */
	uint16_t legno;
	char dir;     /* '<' received, '>' sent */
	uint8_t len;  /* of the text */
};

struct sip_call {
	call_id id;
	unsigned nlegs;
	int traced;
	char *ladder; /* entries with their texts, oldest first */
	unsigned n, used, cap; /* entries; bytes */
	UT_hash_handle hh;
};

/* ---- per leg ------------------------------------------------------------------------------ */

#define SIP_LEG_STATE_LIST(X)                                                                      \
	X(SIDE_CALLING, "calling")       /* our INVITE is out */                                   \
	X(SIDE_CANCELLING, "cancelling") /* and is being cancelled */                              \
	X(SIDE_LATE, "late")             /* 2xx with an offer: the ACK waits for ACT_ACK */        \
	X(SIDE_INCOMING, "incoming")     /* their INVITE waits for our final response */           \
	X(SIDE_ANSWERED, "answered")     /* our 2xx waits for its ACK */                           \
	X(SIDE_LEAVING, "leaving")       /* the same, and a BYE follows the ACK (R-011) */         \
	X(SIDE_UP, "up")                                                                           \
	X(SIDE_ENDING, "ending")         /* the last transactions run; CLOSED follows */           \
	X(SIDE_OVER, "over")             /* CLOSED was reported */
ENUM_DECLARE(sip_leg_state, SIP_LEG_STATE_LIST);

/* Offer/answer inside the dialog. Only one exchange at a time (RFC 3264, R-010, R-023). */
#define SIP_OA_LIST(X)                                                                             \
	X(OA_IDLE, "idle")                                                                         \
	X(OA_SENT, "sent")           /* ACT_OFFER: ours is out */                                  \
	X(OA_REFRESH, "refresh")     /* our session refresh is out */                              \
	X(OA_RECEIVED, "received")   /* theirs waits for ACT_OFFER_ANSWER */                       \
	X(OA_WANTED, "wanted")       /* they want an offer from us (re-INVITE without SDP) */      \
	X(OA_ACK, "ack")             /* our 2xx to a re-INVITE waits for its ACK */                \
	X(OA_ACK_ANSWER, "ack_answer") /* and for the answer in it */
ENUM_DECLARE(sip_oa, SIP_OA_LIST);

#define SIP_REFRESHER_LIST(X)                                                                      \
	X(REFRESHER_NONE, "none")                                                                  \
	X(REFRESHER_US, "us")                                                                      \
	X(REFRESHER_THEM, "them")
ENUM_DECLARE(sip_refresher, SIP_REFRESHER_LIST);

#define SIP_QUEUED_LIST(X)                                                                         \
	X(QUEUED_NOTHING, "nothing")                                                               \
	X(QUEUED_OFFER, "offer")     /* ACT_OFFER waits until the exchange before is over */       \
	X(QUEUED_REFRESH, "refresh")
ENUM_DECLARE(sip_queued, SIP_QUEUED_LIST);

struct sip_leg {
	struct sip *sip;
	leg_id id;       /* ID_NONE until bound */
	uint64_t handle; /* 0 for outbound legs */
	struct sip_call *call;
	struct dialog dialog;
	enum sip_leg_state state;
	enum leg_side { SIDE_UAS, SIDE_UAC } side;
	enum sip_oa oa;

	char user[USER_MAX]; /* whose phone; "" for a peer's leg */
	char peer[USER_MAX];
	uint32_t contact;    /* outbound to a contact: its number */
	char user_agent[64];

	/* INVITE of this dialog */
	struct stack_server *invite;    /* theirs, until ACK or final failure */
	struct stack_server_sink invite_sink;
	struct request *calling;        /* ours, until the final response is dealt with */
	enum rel { REL_NO, REL_SUPPORTED, REL_REQUIRED } rel; /* 100rel of their INVITE */
	struct reliable {               /* last RSeq of each fork (RFC 3262 section 4) */
		uint32_t tag_hash, rseq;
	} *rseq;
	unsigned nrseq;
	unsigned address;               /* index into the peer's addresses (E-036) */
	su_timer_t *failover;
	su_timer_t *progress;           /* until the next reliable 1xx, while they wait */
	uint16_t progress_status;       /* of the latest */
	enum { INVITE_OFFERS, INVITE_LATE } first_offer; /* the INVITE had the offer, or the 2xx has */
	enum { SDP_OPEN, SDP_SETTLED } first_answer; /* settled: a reliable 1xx or the 2xx had it */

	/* in-dialog offer/answer */
	struct stack_server *reinvite;  /* their re-INVITE or UPDATE */
	struct stack_server_sink reinvite_sink;
	struct request *offering;       /* our re-INVITE or UPDATE */
	enum sip_queued queued;
	leg_id queued_from;
	enum sdp_dir queued_dir;
	struct text queued_sdp;         /* in place of queued_from's; empty: as it says itself */
	struct text connected;          /* P-Asserted-Identity for the queued offer; empty: none */
	uint16_t bye_status, bye_q850;  /* SIDE_LEAVING: for the Reason header of the BYE */

	/* session descriptions */
	struct text local;              /* struct sdp_local (our o=, m-lines), unused slots cut */
	struct text remote, remote_was; /* latest from the peer; before the open exchange */
	struct text given, given_was;   /* latest that we gave; before the open exchange */
	struct text headers;            /* lines of the peer's last message that may be passed on */
	unsigned max_forwards;          /* of their INVITE */

	/* session timer (RFC 4028) */
	enum sip_refresher refresher;
	unsigned session_expires;       /* seconds, 0 none */
	unsigned min_se;                /* as learnt from 422 */
	enum { PEER_NO_TIMER, PEER_TIMER } peer_timer;
	enum { PEER_NO_UPDATE, PEER_UPDATE } peer_update;
	enum { PEER_REFER_UNKNOWN, PEER_NO_REFER } peer_refer; /* what its Allow says */
	su_timer_t *timer;
	enum { TIMER_REFRESH, TIMER_EXPIRE } timer_for;

	struct request *requests;       /* client transactions that run */
	struct pending_info *infos;     /* INFOs that wait for their answer */
	struct digits *digits;          /* keys that are being pressed for it; NULL: none */
	struct refer *refers;           /* its REFERs and their subscriptions */
	struct referral *referrals;     /* REFERs that were passed on to it */
	enum { LEG_OWNED, LEG_FREED, LEG_DEAD } life; /* by the core; dead: to be buried */
	struct sip_leg *next_dead;
	UT_hash_handle hh_id, hh_tag, hh_handle;
};

#define TRIED_AUTH 1u  /* with credentials */
#define TRIED_PLAIN 2u /* without our options */
#define TRIED_TARGET 4u /* by Contact, because the phone's own flow is gone */

/* A client transaction. */
struct request;
typedef void request_fn(struct request *r, const sip_t *response);

struct request {
	struct stack_client_sink sink; /* first */
	struct sip_leg *leg;
	struct stack_client *t;
	struct stack_dest dest; /* where it went */
	request_fn *fn; /* every response above 100; the final one releases r afterwards */
	struct dialog *dialog; /* the leg's, or that of a REFER */
	sip_method_t method;
	uint64_t ref;   /* NOTIFY: command; INFO: reference of the one that it answers */
	leg_id other;   /* INFO: the leg which that came from */
	unsigned tried; /* retries spent: TRIED_ bits */
	enum { HEARD_NOTHING, HEARD_SOMETHING } heard;
	struct request *next, **prev;
};

/* ---- sip.c: events and life -------------------------------------------------------------- */

int64_t sip_clock(void); /* monotonic milliseconds */
uint64_t sip_random(struct sip *s);
void sip_enter(struct sip *s);
void sip_leave(struct sip *s);
/* Announces a user's contacts to the core. */
void sip_emit_contacts(struct sip *s, const char *user);
/* Tells the core whether one of the user's contacts answers OPTIONS. */
void sip_emit_reach(struct sip *s, const char *user);
void sip_emit_audit(struct sip *s, const char *who, const char *action, const char *object,
	const char *why);

/* ---- leg.c ------------------------------------------------------------------------------- */

struct sip_leg *sip_leg_new(struct sip *s, enum leg_side side);
/* Ties the core's id to the leg and puts it in its call. */
int sip_leg_bind(struct sip_leg *l, leg_id id);
struct sip_leg *sip_leg_find(struct sip *s, leg_id id);
struct sip_leg *sip_leg_by_tag(struct sip *s, const char *tag);
/* Makes the dialog known by its tag. */
void sip_leg_index(struct sip_leg *l);
/* The phone speaks from somewhere else now (NAT, a new connection): there our requests go. */
void sip_leg_take_flow(struct sip_leg *l, struct stack_server *t);
/* Where the dialog's messages go: sets our Contact and the address of our SDP. EHOSTUNREACH if no
 * listener fits. */
int sip_leg_set_local(struct sip_leg *l, const struct stack_dest *d);
/* The core forgot it; it dies when its transactions are over. */
void sip_leg_release(struct sip_leg *l);
void sip_leg_bury(struct sip *s); /* frees the dead */
void sip_leg_drop(struct sip_leg *l); /* frees at once: shutdown, or never announced */

void sip_emit(struct sip_leg *l, struct event *ev);
/* Emits an event that has nothing but a leg and a status. */
void sip_emit_simple(struct sip_leg *l, enum ev type, uint16_t status, const char *text);
/* The dialog is over: ends the timers; CLOSED follows once nothing runs any more. */
void sip_leg_end(struct sip_leg *l);
void sip_leg_check(struct sip_leg *l);
/* Peer's dialog is lost (481, 408, session timer): EV_GONE, then CLOSED. */
void sip_leg_gone(struct sip_leg *l, uint16_t status, const char *text);

/* SDP of a message; 0 if there is none. */
int sip_leg_sdp_of(const sip_t *sip, struct slice *sdp);
/* Notes the SDP of a message from the peer as its latest; fills *note. */
void sip_leg_take_sdp(
	struct sip_leg *l, const sip_t *sip, enum sdp_what what, struct sdp_note *note);
/* Puts the peer's (and our) description back to what held before the open exchange. */
void sip_leg_rollback(struct sip_leg *l);
void sip_leg_commit(struct sip_leg *l);
/* Makes the body for this leg from sip->instead, or else from the latest of `from` (ID_NONE: what it
 * was last given), and notes it as given. Returns a static buffer, NULL if there is nothing to give
 * (logged). */
const char *sip_leg_make_sdp(
	struct sip_leg *l, enum sdp_role role, leg_id from, enum sdp_dir dir, size_t *len);

/* ---- message.c --------------------------------------------------------------------------- */

/* Adds Contact, Allow, Supported, User-Agent to an INVITE, UPDATE or 2xx. */
void message_add_capabilities(msg_t *msg, struct sip_leg *l);
void message_add_sdp(msg_t *msg, struct sip *s, const char *sdp, size_t len);
void message_add_reason(msg_t *msg, uint16_t status, uint16_t q850, const char *text);
/* Keeps the headers of sip that the policy lets out at all. */
void message_keep_headers(struct sip_leg *l, const sip_t *sip);
/* Adds those of `from` that may pass to `to` on this trip. */
void message_pass_headers(
	msg_t *msg, struct sip_leg *to, struct sip_leg *from, enum header_trip trip);
/* The same with the headers of a message that is not kept: INFO. */
void message_pass_headers_of(
	msg_t *msg, struct sip_leg *to, struct sip_leg *from, const sip_t *sip);
/* A body that is no session description and is not marked as optional: 415. False: answered. */
bool message_check_body(
	struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_t *request);
/* Adds one header line; false if it does not parse. */
bool message_add_line(msg_t *msg, const char *name, const char *value);
/* Cause of a Reason header with protocol Q.850, 0 if none. */
uint16_t message_q850(const sip_t *sip);
bool message_has_option(const sip_t *sip, const char *option); /* Supported or Require */

/* The value of a header that the parser does not know; NULL if there is none. */
const char *message_header(const sip_t *sip, const char *name);
/* Takes all headers of that name, which the parser does not know, out of a request of ours. */
void message_remove(msg_t *msg, const char *name);
/* The value of a header as it was written, where the parser kept it; "" if it does not fit. */
void message_raw_value(const sip_header_t *h, char *buf, size_t size);
/* How often a header stands in a request, well formed or not. */
unsigned message_count(const sip_t *request, msg_hclass_t *hc, const char *name);
/* Somebody does not want to be known (RFC 3323). */
bool message_is_private(const sip_t *sip);
bool message_allows(const sip_t *sip, const char *method); /* Allow */
/* Does the leg's peer say that it knows no REFER? Without an Allow nobody can tell. */
void message_note_refer(struct sip_leg *l, const sip_t *sip);

/* Sends a request of the leg; fn NULL: nobody cares for the answer. NULL if it could not be sent. */
struct request *request_send(
	struct sip_leg *l, msg_t *msg, const struct stack_dest *d, request_fn *fn);
/* Sends a request again under a new CSeq, to d (NULL: where it went before), changed by edit (NULL:
 * as it is). 0, or errno; then r has its old transaction still. */
int request_repeat(struct request *r, const struct stack_dest *d,
	void (*edit)(msg_t *msg, void *arg), void *arg);
void request_forget(struct request *r); /* drops it without waiting */
void request_bury(struct sip *s);       /* frees what was forgotten */

/* Answers a request without more: final responses release it. l may be NULL. */
void reply_simple(struct sip *s, struct sip_leg *l, struct stack_server *t, int status,
	const char *phrase);
void reply_retry(struct sip *s, struct sip_leg *l, struct stack_server *t, int status,
	unsigned retry_after);
/* Sends msg as final response and releases t. */
void reply_final(struct sip *s, struct sip_leg *l, struct stack_server *t, msg_t *msg);

/* ---- verbs ------------------------------------------------------------------------------- */

void receive_request(void *sip, struct stack_server *t, const sip_t *request);
/* A 2xx to an INVITE that nothing here waits for. */
void stray_receive(void *sip, const sip_t *response, const struct stack_addr *from);

void invite_receive(struct sip *s, struct stack_server *t, const sip_t *request);
void invite_dial(struct sip *s, const struct action *a);
/* How one contact of a user is reached. */
struct contact_route {
	char ruri[URI_MAX];
	char to[URI_MAX + 8]; /* <sip:number@our host> */
	char path[REGISTRAR_TEXT_MAX];
	struct stack_dest dest; /* of the first request */
	struct stack_dest next; /* of what follows: a phone's own flow, or empty */
};
/* Next hop toward a URI: "sip:host:port;transport=x"; empty if it is none. */
void contact_dest(const char *uri, struct stack_dest *d);
void contact_route(const struct sip *s, const struct binding *b, const char *number,
	struct contact_route *r);
void contact_add_route(msg_t *msg, const char *path);
/* Contacts that are asked with OPTIONS whether they are there. */
void qualify_tick(struct sip *s);
/* The user's contacts may have changed. */
void qualify_contacts(struct sip *s, const char *user);
/* At least one of the user's contacts is not known to be silent. */
bool qualify_reaches(const struct sip *s, const char *user);
void qualify_stop(struct sip *s);

void invite_cancel(struct sip_leg *l, const struct action *a);
/* Tries the peer's next address after a failure that says "not here". 0 if it was sent again. */
/* Presses keys for the leg (ACT_DIGITS); forgets those that are not pressed yet. */
void digits_send(struct sip_leg *l, const struct action *a);
void digits_abandon(struct sip_leg *l);
int invite_failover(struct sip_leg *l, const sip_t *response);
extern const struct stack_server_ops invite_server_ops;

void progress_send(struct sip_leg *l, const struct action *a);
void progress_stop(struct sip_leg *l);
void progress_receive(struct request *r, const sip_t *response);

void answer_send(struct sip_leg *l, const struct action *a);
void answer_ack(struct sip_leg *l, const struct action *a);
/* The ACK that was put off until what was answered is on record. */
void answer_ack_owed(struct sip *s);
void answer_reject(struct sip_leg *l, const struct action *a);
void answer_receive(struct request *r, const sip_t *response);
/* ACKs the 2xx of our INVITE; sdp NULL: without a body. */
void answer_send_ack(struct sip_leg *l, const char *sdp, size_t len);
/* ACK, or its absence, for our 2xx. */
void answer_got_ack(struct sip_leg *l, const sip_t *ack);
void answer_no_ack(struct sip_leg *l);

void bye_hangup(struct sip_leg *l, const struct action *a);
void bye_send(struct sip_leg *l, uint16_t status, uint16_t q850, const char *text);
void bye_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request);

void offer_send(struct sip_leg *l, const struct action *a);
void offer_next(struct sip_leg *l); /* sends what was queued, if the way is free */
void offer_refresh(struct sip_leg *l);
void offer_answer(struct sip_leg *l, const struct action *a);
void offer_reject(struct sip_leg *l, const struct action *a);
void offer_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request);
void offer_abandon(struct sip_leg *l); /* the dialog ends: 487 to theirs */

void info_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request);
void info_pass(struct sip *s, const struct action *a);
void info_abandon(struct sip_leg *l);

void refer_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request);
/* REFER outside of any dialog: answered 403 unless its Target-Dialog names one of the sender's. */
void refer_receive_outside(struct sip *s, struct stack_server *t, const sip_t *request);
void refer_subscribe(struct sip_leg *l, struct stack_server *t, const sip_t *request);
void refer_accept(struct sip *s, const struct action *a);
void refer_reject(struct sip *s, const struct action *a);
void refer_notify(struct sip *s, const struct action *a);
/* The URI of that REFER's Refer-To, without headers; NULL if it is not known any more. */
const char *refer_target(struct sip *s, uint64_t cmd);
/* Adds Referred-By and the Refer-To headers of that REFER to an INVITE. */
void refer_add_headers(struct sip *s, uint64_t cmd, msg_t *msg);
void refer_abandon(struct sip_leg *l);
/* ---- refer_out.c: REFERs that are passed on ---- */
void refer_pass(struct sip *s, const struct action *a);
/* NOTIFY inside the leg's dialog. */
void refer_notified(struct sip_leg *l, struct stack_server *t, const sip_t *request);
void refer_pass_abandon(struct sip_leg *l);

/* The leg's call is over: ends the subscriptions that live in dialogs of their own. */
void refer_leg_ends(struct sip_leg *l);
/* A request whose To tag is that of a REFER's own dialog; false: it is of none. */
bool refer_receive_own(struct sip *s, struct stack_server *t, const sip_t *request);

void other_options(struct sip *s, struct stack_server *t, const sip_t *request);
void other_unknown(struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_t *request);

void session_timer_offer(struct sip_leg *l, msg_t *msg);
/* Reads what a request asks for; 422 and false if the interval is too short. */
bool session_timer_check(struct sip_leg *l, struct stack_server *t, const sip_t *request);
void session_timer_answer(struct sip_leg *l, msg_t *msg, const sip_t *request);
int session_timer_repeat(struct request *r); /* after 422, with l->min_se */
void session_timer_confirm(struct sip_leg *l, const sip_t *response);
void session_timer_again(struct sip_leg *l, unsigned ms); /* the refresh met a 491 */
void session_timer_stop(struct sip_leg *l);
void session_timer_restart(struct sip_leg *l); /* of a restored dialog: a whole interval from now */

/* ---- identity.c --------------------------------------------------------------------------- */

/* sip:user@our host */
void identity_uri(const struct sip *s, const char *user, char *buf, size_t size);
/* "Name" <sip:number@our host>: how a party is shown to others. 0, or an errno if it does not fit. */
int identity_address(const struct sip *s, const struct party *party, char *buf, size_t size);
/* The value of From. */
void identity_from(const struct sip *s, const struct party *caller, char *buf, size_t size);
/* Before the headers that pass: Diversion, since the newest comes first. */
void identity_add_diversion(msg_t *msg, struct sip_leg *l, const struct act_dial *dial);
/* After them: P-Asserted-Identity, Privacy, History-Info, Referred-By, and what the REFER carries. */
void identity_add(msg_t *msg, struct sip_leg *l, const struct act_dial *dial);

/* ---- who --------------------------------------------------------------------------------- */

int peer_compile(struct sip *s);
const struct sip_peer *peer_by_name(const struct sip *s, const char *name);
/* exact: only matches that name the port. */
const struct sip_peer *peer_by_source(const struct sip *s, const struct stack_addr *from);
const struct sip_peer *peer_by_source_port(const struct sip *s, const struct stack_addr *from);
/* Next hop of address i of a peer; ENOENT past the last. */
int peer_dest(const struct sip *s, const struct sip_peer *p, unsigned i, struct stack_dest *d);
bool peer_is_own_host(const struct sip *s, const char *host, unsigned port);
bool device_is_immediate(const struct sip *s, const struct sip_leg *l);
enum bye_policy device_bye_policy(const struct sip *s, const struct sip_leg *l);
/* Does it give up when it is offered SHA-256, instead of taking the next challenge (RFC 8760
 * section 2.4)? Some phones are known to; others are named in the config. user_agent may be NULL. */
bool device_is_md5_only(const struct sip *s, const char *user_agent);
void source_print(const struct stack_addr *from, char *buf, size_t size);
bool source_parse(const char *text, struct stack_dest *d);

struct caller {
	const struct sip_peer *peer; /* NULL: the user */
	struct sip_user user;
	struct stack_addr from;
};
/* Who sends a request outside of dialogs, *c zeroed. Peers are known by address, users by digest. A
 * phone on the host of a peer is told apart by the peer's port, by its registration, or by
 * credentials. False: it has been answered (401, 403 with an audit of `action`). */
bool caller_identify(struct sip *s, struct stack_server *t, const sip_t *request,
	const char *action, struct caller *c);

/* Checks the credentials of a request. Returns true and the user, or has answered it (401, 403). */
bool challenge_check(struct sip *s, struct stack_server *t, const sip_t *request,
	const char *expect, struct sip_user *u);
/* Credentials for our realm are in the request. */
bool challenge_present(struct sip *s, const sip_t *request);
/* Answers a 401/407 to r with the peer's credentials, once. 0 if it was sent again. */
int challenge_answer(struct request *r, const sip_t *response);

void register_receive(struct sip *s, struct stack_server *t, const sip_t *request);
void register_changed(void *sip, const char *user);

/* ---- named.c ------------------------------------------------------------------------------ */

/* A node tells another which conversation of its own a call belongs to. */
#define CONVERSATION_HEADER "X-Segue-Conversation"

struct replaces;
/* The dialog that is named so; NULL and *status 481 if there is none, 603 if it has ended. */
struct sip_leg *named_find(struct sip *s, const struct replaces *name, uint16_t *status);
/* The dialog is there, early or answered: other nodes may want to know. */
void named_known(struct sip_leg *l);
/* Keeps for 64*T1 that this dialog was there. */
void named_remember(struct sip_leg *l);
void named_expire(struct sip *s, int64_t now);
void named_forget(struct sip *s); /* all of them */

/* ---- trace.c ------------------------------------------------------------------------------ */

struct sip_call *sip_call_get(struct sip *s, call_id id);
void sip_call_put(struct sip *s, struct sip_call *c);
void trace_request_in(struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_t *sip);
void trace_text_out(struct sip *s, struct sip_leg *l, const char *text);
void trace_message_out(struct sip *s, struct sip_leg *l, msg_t *msg);
void trace_response_in(struct sip_leg *l, struct stack_client *t, const sip_t *sip);

#endif
