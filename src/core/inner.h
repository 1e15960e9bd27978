/*
 * inner: what the files of core/ share among themselves. Nobody else includes it.
 *
 * A call holds legs (SIP dialogs seen from above), one bridge (who should hear whom), at most one
 * running transfer (why that changes) and the open segments (what is on record about it). An event
 * travels: core.c finds the call -> leg.c absorbs what is late or private to a dialog -> call.c
 * turns the rest into a word of the table -> transfer.c looks the row up and runs its verbs ->
 * bridge.c brings the media in line -> ears.c says who hears music instead, moh.c has it played by a
 * SIP server if no engine can -> segment.c brings the intervals in line.
 */
#ifndef SEGUE_CORE_INNER_H
#define SEGUE_CORE_INNER_H

#include "core/core.h"
#include "core/dialplan.h"
#include "core/numbers.h"
#include "core/order.h"

#include <uthash.h>

/* ---- states and words of the table ----------------------------------------------------------- */

#define CALL_STATE_LIST(X)                                                                         \
	X(SETUP, "SETUP")           /* the caller waits, somebody is being rung */                 \
	X(ORIGINATE, "ORIGINATE")   /* click-to-dial: the phone of who is to call rings first */   \
	X(ANSWERING, "ANSWERING")   /* somebody answered; media with the caller is being agreed */ \
	X(TALK, "TALK")             /* two parties are connected (one may hold the other) */       \
	X(RING, "RING")             /* transfer: target rings, the transferor is still there */    \
	X(JOIN, "JOIN")             /* transfer: target answered, media moves over to it */        \
	X(UNDO, "UNDO")             /* instant: a join failed; how did they come together? */      \
	X(RESUME, "RESUME")         /* transfer failed: the transferor may take the caller back */ \
	X(BACK, "BACK")             /* they talk again, unless the phone hangs up on the failure */ \
	X(ALONE, "ALONE")           /* nobody is with the kept party; somebody is rung for it */   \
	X(ALONE_JOIN, "ALONE_JOIN") /* somebody answered for it; media moves over */               \
	X(WAIT, "WAIT")             /* in a queue: the caller hears music, agents are being asked */ \
	X(QUEUE_JOIN, "QUEUE_JOIN") /* an agent of the queue answered; media is being agreed */   \
	X(PASSED, "PASSED")         /* the kept party's side carries the transfer out itself */    \
	X(PASSED_ALONE, "PASSED_ALONE") /* and the transferor has left */                          \
	X(STAY_WAIT, "STAY_WAIT")   /* in a queue, and the transferor stays until somebody answers */ \
	X(STAY_JOIN, "STAY_JOIN")   /* an agent of the queue answered; media moves over to them */ \
	X(CONSULT_RING, "CONSULT_RING") /* consultation: the target rings, the kept party is held */\
	X(CONSULT_JOIN, "CONSULT_JOIN") /* it answered; media with the owner is being agreed */    \
	X(CONSULT_WAIT, "CONSULT_WAIT") /* consultation of a queue: it looks for somebody */       \
	X(CONSULT_QUEUE_JOIN, "CONSULT_QUEUE_JOIN") /* somebody of the queue answered the owner */ \
	X(CONSULT, "CONSULT")       /* owner and target talk, the kept party is held */            \
	X(ASIDE, "ASIDE")           /* owner and kept party talk, the target is held */            \
	X(FIND, "FIND")             /* transfer: where is what it replaces? The transferor is still there */ \
	X(ALONE_FIND, "ALONE_FIND") /* the same, and nobody is with the kept party */              \
	X(CHAIN, "CHAIN")           /* instant: which step of the fallback chain is next? */       \
	X(END, "END")               /* over; the last dialogs are closing */
ENUM_DECLARE(call_state, CALL_STATE_LIST);

#define WORD_LIST(X)                                                                               \
	X(T_PROGRESS, "target rings")                                                              \
	X(T_ANSWER, "target answers")                                                              \
	X(T_REFUSED, "target refuses")    /* the last of those being rung */                       \
	X(T_GONE, "target hangs up")      /* after its answer, before the join */                  \
	X(K_GONE, "kept party gone")                                                               \
	X(O_GONE, "owner gone")                                                                    \
	X(SETTLED, "media settled")                                                                \
	X(JOIN_FAILED, "media refused")                                                            \
	X(RESUMED, "owner takes back")                                                             \
	X(GUARD, "guard expires")                                                                  \
	X(XFER_REQ, "transfer asked")                                                              \
	X(XFER_OK, "transfer admitted")                                                            \
	X(XFER_CANCEL, "cancel asked")                                                             \
	X(XFER_RESUME, "recall asked")    /* the transferor wants the caller back */              \
	X(RESUME_OK, "recall admitted")                                                            \
	X(COMPLETE_REQ, "complete asked")                                                          \
	X(SWAP_REQ, "swap asked")                                                                  \
	X(HOLD_REQ, "hold asked")                                                                  \
	X(UNHOLD_REQ, "unhold asked")                                                              \
	X(HANGUP_REQ, "hang-up asked")                                                             \
	X(Q_IN, "queue takes caller")                                                              \
	X(Q_STAY, "queue takes caller, owner stays")                                               \
	X(Q_OFFER, "agent is free")                                                                \
	X(Q_TIME, "time to ask on")       /* an offer rang long enough, or more may be asked */    \
	X(Q_EMPTY, "queue is empty")                                                               \
	X(CONSULT_OK, "consultation admitted")                                                     \
	X(MEET_UP, "meets a call that is up")                                                      \
	X(MEET_RINGING, "meets a call that rings")                                                 \
	X(MEET_QUEUED, "meets a call in a queue")                                                  \
	X(MEET_NONE, "meets nothing")     /* what it replaces is not there */                      \
	X(MEET_FAR, "meets nothing here") /* what it replaces may be on another node */            \
	X(FOUND, "found on a node")                                                                \
	X(FOUND_NOT, "found nowhere")                                                              \
	X(O_LEFT, "owner leaves in mid-consult")                                                   \
	X(ONHOOK, "kept party goes back") /* to who has hung up */                                 \
	X(PICKUP, "another phone takes over")                                                      \
	X(TAKEN, "another node takes over the caller")                                             \
	X(PASS_OK, "transfer is passed on")                                                        \
	X(R_TAKEN, "other side takes REFER")                                                       \
	X(R_UNABLE, "other side knows no REFER")                                                   \
	X(R_PROGRESS, "referred call rings")                                                       \
	X(R_DONE, "referred call is up")                                                           \
	X(R_FAILED, "referred call fails") /* or the REFER was refused */                          \
	X(UNDO_BLIND, "join undone")                                                               \
	X(UNDO_CONSULT, "join of a consultation undone")                                           \
	X(UNDO_MEET, "join of two calls undone")                                                   \
	X(UNDO_PART, "join of two calls undone, owner left")                                       \
	X(UNDO_ALONE, "join undone, owner left")                                                   \
	X(UNDO_LEFT, "caller of an undone join is alone")                                          \
	X(FB_RECALL, "chain says recall")                                                          \
	X(FB_USER, "chain says user")                                                              \
	X(FB_QUEUE, "chain says queue")                                                            \
	X(FB_VOICEMAIL, "chain says voicemail")                                                    \
	X(FB_ANNOUNCE, "chain says announce")                                                      \
	X(FB_END, "chain is at its end")
ENUM_DECLARE(word, WORD_LIST);

/* ---- legs ------------------------------------------------------------------------------------ */

#define LEG_STATE_LIST(X)                                                                          \
	X(LEG_NEW, "new")             /* incoming, no more than 100 sent */                        \
	X(LEG_EARLY, "early")         /* incoming, 18x sent */                                     \
	X(LEG_ANSWERED, "answered")   /* incoming, 200 sent, ACK awaited */                        \
	X(LEG_DIALING, "dialing")     /* outgoing, INVITE sent */                                  \
	X(LEG_RINGING, "ringing")     /* outgoing, 1xx received */                                 \
	X(LEG_UP, "up")                                                                            \
	X(LEG_NOTIFYING, "notifying") /* released; its final NOTIFY is under way (E-005) */        \
	X(LEG_PARTING, "parting")     /* released; its own BYE is awaited for T_bye (E-003) */     \
	X(LEG_CLOSING, "closing")     /* BYE, CANCEL or final response is under way */
ENUM_DECLARE(leg_state, LEG_STATE_LIST);

#define ROLE_LIST(X)                                                                               \
	X(ROLE_NONE, "none")                                                                       \
	X(ROLE_KEPT, "kept")     /* who must not be lost: the caller, later the transferee */      \
	X(ROLE_OWNER, "owner")   /* who talks with the kept party */                               \
	X(ROLE_TARGET, "target") /* being rung, or answered and not yet joined */                  \
	X(ROLE_AIDE, "aide")     /* the transferor's second dialog, until the transfer is over */  \
	X(ROLE_MUSIC, "music")   /* no party: a server that plays to one who is held (RFC 7088) */ \
	X(ROLE_PAST, "past")     /* released */
ENUM_DECLARE(role, ROLE_LIST);

/* Offer/answer of one leg, RFC 3264. "We" is segue. */
#define OA_LIST(X)                                                                                 \
	X(OA_IDLE, "idle")                                                                         \
	X(OA_SENT, "sent")           /* our offer is out */                                        \
	X(OA_GLARE, "glare")         /* our offer met 491; TIMER_GLARE runs */                     \
	X(OA_RECV, "recv")           /* their offer waits for our answer */                        \
	X(OA_RECV_NONE, "recv_none") /* they want an offer from us, in the 2xx */                  \
	X(OA_GIVEN, "given")         /* we gave it; the answer comes with the ACK */               \
	X(OA_ASKED, "asked")         /* our INVITE had no SDP: the offer comes with the 2xx */     \
	X(OA_OWED, "owed")           /* it came; our answer goes out with the ACK */
ENUM_DECLARE(oa, OA_LIST);

/* Which SDP a leg has been given: whose, which version, and whether as a hold made by us. */
struct given {
	leg_id from;
	uint16_t rv;
	uint8_t told;  /* enum dir the leg was told */
	uint8_t mode;  /* enum given_mode */
};
#define RV_UNSURE UINT16_MAX /* as given.rv: what it has is not known (recover.c) */
enum given_mode {
	GIVEN_CONNECT,
	GIVEN_HOLD,
	GIVEN_MUSIC, /* only in flight: moh.c */
	GIVEN_STANDS /* it was not: two who never stop changing are not asked any more (ROUNDS_MAX) */
};

/* Music from a SIP server, for a leg that is held and that no media engine plays to. */
#define MOH_LIST(X)                                                                                \
	X(MOH_NONE, "none")                                                                        \
	X(MOH_WANTED, "wanted") /* a server is to be called */                                     \
	X(MOH_CALLED, "called") /* it was: leg.music is the dialog with it */                      \
	X(MOH_FAILED, "failed") /* it did not play: silence, until the hold is over */
ENUM_DECLARE(moh, MOH_LIST);

#define NO_SEG (-1)

/* After a restart: has the core been told whether its dialog is there? */
enum fate { FATE_KNOWN, FATE_UNTOLD };

struct leg {
	leg_id id;
	uint8_t state;  /* enum leg_state */
	uint8_t role;   /* enum role */
	uint8_t oa;     /* enum oa */
	uint8_t source; /* enum source_kind: a user's leg or a peer's */
	uint8_t kind;   /* enum target_kind of the party: USER, IVR, EXTERNAL, VOICEMAIL */
	uint8_t will;   /* enum dir: what this party itself wants */
	uint8_t will_prev;
	uint8_t reoffers; /* times we asked again because the answer held without reason (E-051) */
	uint16_t rv, rv_prev, rv_top; /* version of its SDP: now, before the pending offer, newest */
	struct given given, offered;  /* agreed; in flight */
	struct given refused;         /* what it would not take: not offered again */
	uint8_t hears; /* enum hears: as last said in ACT_MEDIA */
	uint32_t tune; /* .. and, of music, as call.tune was then */
	uint8_t moh;   /* enum moh */
	uint16_t music_rv; /* the version of the server's session that it has, not what `given` says;
			    * 0: none, it has what `given` says; of a phone
			    * that holds who hears it: not 0, it was told to send nothing meanwhile */
	leg_id music;  /* the music server's leg; of that leg: who hears it */
	uint16_t unsaid; /* times that it changed its session for the music alone: whoever is with it
			  * next has to hear of that */
	bool outbound, rel_required, immediate, may_refer, image;
	uint8_t bye;    /* enum bye_policy */
	int16_t seg;    /* index into call->segs, NO_SEG */
	uint16_t fail_status;
	uint16_t notify_status; /* what that says */
	uint64_t notify; /* cmd of its final NOTIFY while that is unanswered, else 0 */
	uint64_t referred; /* cmd of the REFER that was passed on to it and is unanswered, else 0 */
	uint8_t fate;     /* enum fate */
	uint64_t unheard; /* cmd of a final NOTIFY that the process before had sent, 0: none */
	int64_t unseen_since; /* of a run before; 0: it has shown since then that it is there */
	uint32_t timer[timer_kind_count_]; /* serial of the running timer, 0: none */
	int64_t since;
	uuid recording; /* nil: none runs */
	uuid seg_id;    /* outlives the segment: a late answer is still recorded (E-016) */
	char user[USER_MAX], peer[USER_MAX];
	struct leg *user_next, *user_prev; /* the same person's other legs: presence.h */
	char queue[USER_MAX]; /* it serves a caller of this queue; its wrap-up follows */
	int64_t served;       /* talk with that caller in segments that are closed, ms */
	struct party party;
};

/* ---- segments -------------------------------------------------------------------------------- */

#define INTERVAL_LIST(X)                                                                           \
	X(IV_QUEUED, "queued")                                                                     \
	X(IV_RINGING, "ringing")                                                                   \
	X(IV_TALKING, "talking")                                                                   \
	X(IV_HOLDING, "holding")                                                                   \
	X(IV_HELD, "held")                                                                         \
	X(IV_CONSULTING, "consulting")                                                             \
	X(IV_CONFERENCE, "conference")                                                             \
	X(IV_LIMBO, "limbo")                                                                       \
	X(IV_WRAPUP, "wrapup")                                                                     \
	X(IV_MENU, "menu") /* with an IVR or voicemail: nobody's talk */
ENUM_DECLARE(interval, INTERVAL_LIST);

#define IV_FREE 255

struct segment {
	uuid id, transfer_in;
	uint8_t state;      /* enum interval */
	uint8_t kind;       /* enum target_kind, for what the time with it means */
	bool consult;       /* a consultation so far: its time is nobody's talk */
	uint16_t n, nint;   /* sequence in the conversation; intervals closed */
	int64_t opened, answered, since; /* monotonic ms; answered 0: not */
	int64_t base; /* adds up with monotonic time to UTC microseconds; of the call it began in */
	int64_t sum[interval_count_];
	char who[USER_MAX];
};

/* ---- transfer -------------------------------------------------------------------------------- */

#define SUB_LIST(X)                                                                                \
	X(SUB_NONE, "none")     /* no subscription: a command, Refer-Sub: false, or it ended */    \
	X(SUB_ACTIVE, "active")                                                                    \
	X(SUB_FINAL, "final")   /* the final NOTIFY was sent; leg.notify tells if it is answered */
ENUM_DECLARE(sub, SUB_LIST);

#define STEP_LIST(X)                                                                               \
	X(STEP_TARGET, "target")     /* the target that was asked for */                           \
	X(STEP_RECALL, "recall")     /* it is how the open row ends, whoever that was for */       \
	X(STEP_USER, "user")                                                                       \
	X(STEP_QUEUE, "queue")                                                                     \
	X(STEP_VOICEMAIL, "voicemail")                                                             \
	X(STEP_ANNOUNCE, "announcement")                                                           \
	X(STEP_OWN_RECALL, "own recall") /* a recall with a row of its own */
ENUM_DECLARE(step, STEP_LIST);

enum mark { MARK_NONE, MARK_RINGING, MARK_ANSWERED };
enum passed { PASSED_SENT, PASSED_TAKEN, PASSED_TOLD /* NOTIFYs come */ };
enum meeting { MET_BY_CHANCE, MET_CONSULTATION };

struct target {
	uint8_t kind; /* enum target_kind */
	bool may_transfer;
	bool there;            /* another node has it: the INVITE replaces a dialog there (E-090) */
	char name[USER_MAX];   /* user, queue, ivr or peer */
	char number[NUM_MAX];  /* as asked */
	char dial[NUM_MAX];    /* as sent, for peers */
	char peer[USER_MAX];
	char digits[DIGITS_MAX]; /* keys to press once it has answered */
};

struct xfer {
	uuid id, prev;        /* nil: no row is open */
	uint64_t cmd;         /* pending REFER; 0 for commands */
	uint64_t reply;       /* pending command; 0 for REFER */
	leg_id refer_leg;     /* where the REFER came from */
	call_id met;          /* whose legs came into this call for it; they may have to go back */
	leg_id replaces;      /* the dialog that a REFER which was passed on names, ID_NONE */
	leg_id passed_to;     /* the leg that has it, ID_NONE */
	uint8_t passed;       /* enum passed: what is known of it */
	uint8_t met_as;       /* enum meeting: what that call was for this one */
	uint8_t origin;       /* enum origin */
	uint8_t kind;         /* enum xfer_kind */
	uint8_t sub;          /* enum sub */
	uint8_t step;         /* enum step */
	uint8_t next_fallback; /* index into the chain */
	uint8_t asked_kind;    /* enum target_kind: what was asked for, whose chain it is */
	uint8_t attempt;
	uint8_t mark;         /* enum mark: how far the present attempt came */
	uint16_t status;      /* why the last attempt failed; 0: nothing yet */
	bool immediate, no_sub;
	bool stay;            /* to a queue: the transferor stays until somebody answers there */
	char asker[KEY_MAX];
	char recall_user[USER_MAX];
	char asked[USER_MAX]; /* name of the user or queue that was asked for */
	uuid from_seg;
	uuid first; /* the row that somebody asked for, from which the chain goes on */
	struct target target;
	uint8_t refused;      /* enum cause: that of status, if no status of SIP says so; else NONE */
};

/* ---- bridge ---------------------------------------------------------------------------------- */

#define BRIDGE_LIST(X)                                                                             \
	X(BRIDGE_NONE, "none")                                                                     \
	X(BRIDGE_HOLD, "hold")             /* a (and b) are held by us */                          \
	X(BRIDGE_UNSETTLED, "unsettled")   /* a and b should hear each other */                    \
	X(BRIDGE_SETTLED, "settled")       /* they do */                                           \
	X(BRIDGE_EARLY, "early")           /* a hears b, who has not answered yet */
ENUM_DECLARE(bridge_state, BRIDGE_LIST);

struct bridge {
	uint8_t state; /* enum bridge_state */
	uint8_t rounds; /* offers made on our own account since the last CONNECT */
	leg_id a, b;
	leg_id held; /* a third party, who waits meanwhile */
};

/* ---- waiting ---------------------------------------------------------------------------------- */

#define HOPS_MAX 8 /* queues that one transfer or call goes through at most */

/* Announcements of the place, while music is heard. */
enum speech { SPEECH_NONE, SPEECH_RUNS };

/* What a call knows about its queue; the rest (who is asked) is derived from its legs. */
struct waiting {
	char queue[USER_MAX];   /* in which it waits, or waited last; "" none */
	char except[USER_MAX];  /* who transferred it there is not asked at first (E-072) .. */
	int64_t except_until;   /* .. until then */
	int64_t entered;        /* monotonic ms */
	int64_t ticket;         /* between those who came in the same millisecond */
	int64_t credit;         /* it is placed as if it had entered so much earlier */
	int64_t before;         /* waited in queues before this one */
	uint32_t timer;         /* serial of TIMER_QUEUE, 0: none */
	uint32_t place_timer;   /* of TIMER_PLACE */
	uint8_t speech;         /* enum speech */
	uint8_t refused;        /* enum cause: why the last queue did not take it, where call.status does
				 * not say so; NONE: that says it all */
	uint64_t hops[HOPS_MAX]; /* queues that it has been sent to, by their tags */
	uint8_t nhops, next_overflow;
	int16_t seg;            /* of the queue, NO_SEG */
	uuid seg_id;
	uuid xfer;              /* the transfer that brought it: who answers is to be told */
};

/* ---- call ------------------------------------------------------------------------------------ */

#define CALL_KIND_LIST(X)                                                                          \
	X(CALL_INBOUND, "inbound")                                                                 \
	X(CALL_OUTBOUND, "outbound")                                                               \
	X(CALL_INTERNAL, "internal")
ENUM_DECLARE(call_kind, CALL_KIND_LIST);

#define WORDS_MAX 16

struct call {
	call_id id;
	uint8_t state; /* enum call_state */
	uint8_t kind;  /* enum call_kind */
	uint8_t open;  /* enum record: is the conversation row open? */
	uint8_t acc_state; /* enum interval the conversation's time is booked under */
	bool answered;     /* somebody was connected, for however short a time */
	uint8_t redirects;
	uint8_t word;   /* enum word: the one being carried out */
	uint8_t nwords;
	uint8_t words[WORDS_MAX]; /* internal events of this step, in order */
	uint16_t legno;           /* last leg number given out */
	uint16_t seq, nsegs_total, status;
	uint16_t n_requested, n_failed, n_blind, n_consult, n_semi;
	uint32_t timer; /* serial of TIMER_STATE, 0: none */
	int64_t mono0, wall0; /* one time base for everything on record (E-125) */
	int64_t since, acc_since;
	int64_t acc[interval_count_], agent_talk;
	uuid conv;
	leg_id customer; /* the leg that has no segment; ID_NONE in internal calls */
	leg_id request;  /* leg of the pending transfer request, during one step */
	leg_id meet;     /* the transferor's leg in the call that this one meets, likewise */
	call_id consult; /* the consultation that is held for this call, ID_NONE */
	bool consulting; /* that one is connected: both talk there */
	char consulter[USER_MAX]; /* whose it is */
	call_id consult_of; /* the call for which this one is a consultation, ID_NONE */
	call_id merged_into; /* where its legs are now; it only leads there until they are gone */
	uint16_t moved;  /* so many of them */
	struct bridge bridge;
	struct xfer xfer;
	struct waiting wait;
	struct waiter *waiter; /* its place in the queue, while it waits */
	struct target target; /* of the set-up, later of the chain's next step */
	struct party from;
	char source[USER_MAX], dialled[NUM_MAX];
	uint8_t record;   /* enum record_wish: what somebody asked for */
	uuid record_seg;  /* WISH_PAUSE: in which visit */
	char came_by[USER_MAX]; /* the queue that it was in last, "" none */
	char music[USER_MAX]; /* what it hears while it is held or waits; "" the standard one */
	uint32_t tune;        /* stands for it; 0: the standard one */
	char ended_by[16]; /* who ended it, for the record */
	struct leg **legs; /* stable addresses within a step */
	struct segment *segs; /* slots; IV_FREE in state marks an unused one */
	uint16_t nlegs, legs_cap, nsegs, segs_cap;
};
enum record { RECORD_NONE, RECORD_OPEN, RECORD_CLOSED };

/* ---- directory ------------------------------------------------------------------------------- */

struct dir_user {
	struct ev_dir_user row;
	uint32_t ncontacts;
	uint32_t contact[CONTACTS_MAX];
	UT_hash_handle by_name, by_number;
};

struct dir_ivr {
	struct ev_dir_ivr row;
	UT_hash_handle by_name, by_number;
};

struct agent;
struct dir_queue;

/* Agents and who of them has to be looked at: acd.h. */
struct acd {
	struct agent *agents;
	struct agent *touched; /* their state may have changed */
	struct agent *fresh;   /* became free, and no caller was looked for yet */
	struct dir_queue *emptied; /* whose callers may have to leave */
	struct order due;      /* ends of wrap-ups and rests */
	int64_t now;           /* of the newest step */
	int64_t timer_at;      /* when TIMER_AGENT fires, 0: it does not run */
	uint32_t timer, serial;
};

struct slot {
	struct call *call;
	uint32_t gen;
	uint32_t next_free;
};

struct core {
	struct core_config cfg;
	unsigned node;
	struct slot *slots;
	uint32_t nslots, slots_cap, free_slot, live;
	struct dir_user *users, *users_by_number;
	struct dir_queue *queues, *queues_by_number;
	struct dir_ivr *ivrs, *ivrs_by_number;
	struct number_classes classes;
	struct presence *presence;
	struct acd acd;
	/* the step under way */
	const struct event *ev;
	struct core_out *out;
	uint64_t rnd;
	uint32_t serial;
	bool late;       /* it is about a moment that no process has seen */
	uint32_t untold; /* legs of recovered calls of which nobody knows yet whether they are there */
	char said[TEXT_MAX]; /* text of the step's verdict */
};

/* core.c: the step's output */
struct action *act_add(struct core *c, enum act type, leg_id leg);
struct fact *fact_add(struct core *c, struct call *k, enum fact_type type);
void core_name_calls(const struct core *c, struct core_out *out);
uint64_t core_random(struct core *c);
uuid core_uuid(struct core *c, const struct call *k);
int64_t call_stamp(const struct call *k, int64_t mono);
void timer_start(struct core *c, uint64_t id, enum timer_kind kind, uint32_t *serial, int64_t ms);
void timer_stop(struct core *c, uint64_t id, enum timer_kind kind, uint32_t *serial);

/* call.c */
struct call *call_new(struct core *c);
struct call *call_find(const struct core *c, uint64_t id);
struct call *call_of(const struct core *c, uint64_t id); /* follows a merged call to where it is */
void call_free(struct core *c, struct call *k);
void call_free_memory(struct call *k);
struct leg *call_leg(const struct call *k, leg_id id);
struct leg *call_role(const struct call *k, enum role role);
void call_post(struct call *k, enum word w);
void call_run(struct core *c, struct call *k); /* words, bridge, segments until nothing moves */
void call_invite(struct core *c);
void call_set_state(struct core *c, struct call *k, enum call_state next);
void call_command(struct core *c, struct call *k);
struct leg *call_speaker(struct core *c, struct call *k); /* whom a command speaks for; may be NULL */

/* leg.c */
struct leg *leg_add(struct core *c, struct call *k);
void leg_append(struct call *k, struct leg *l);
void leg_event(struct core *c, struct call *k, struct leg *l);
void leg_set_state(struct core *c, struct leg *l, enum leg_state next);
/* Ends a leg from our side. status: SIP cause for CANCEL/BYE's Reason or the final response;
 * outcome and by: for its segment. A leg that is closing already is left alone. */
void leg_drop(struct core *c, struct call *k, struct leg *l, uint16_t status, const char *outcome,
	const char *by);
/* Answers the INVITE of a caller who gets no call; the phone shows the text. */
void leg_refuse(struct core *c, struct call *k, struct leg *l, uint16_t status, const char *text);
void leg_part(struct core *c, struct call *k, struct leg *l);
bool leg_is_live(const struct leg *l);
/* How long a transferor's phone has to hang up by itself, milliseconds. */
int64_t leg_bye_ms(const struct core *c, const struct leg *l);
void leg_take_roles(struct call *k, struct leg *transferor);
void leg_free(struct core *c, struct call *k, struct leg *l);
/* Its dialog is no more, and nothing more comes from it. */
void leg_lost(struct core *c, struct call *k, struct leg *l);

/* bridge.c */
void bridge_connect(struct core *c, struct call *k, struct leg *a, struct leg *b);
void bridge_hold(struct core *c, struct call *k, struct leg *a, struct leg *b);
/* l, which is up, hears what another leg plays before it answers (RFC 3960). */
void bridge_hear(struct call *k, struct leg *l, const struct leg *early);
void bridge_play(struct core *c, struct leg *l);
void bridge_play_early(struct core *c, struct leg *l);
/* The ACK to a 200 that brought the offer we had asked for (OA_OWED). */
void bridge_play_owed(struct core *c, struct leg *l);
bool bridge_run(struct core *c, struct call *k); /* true if it did something */
void bridge_offer(struct core *c, struct call *k, struct leg *l);
void bridge_done(struct core *c, struct call *k, struct leg *l);
void bridge_glare(struct core *c, struct leg *l); /* our offer met 491: once more, later */
void bridge_withdrawn(struct core *c, struct call *k, struct leg *l);
void bridge_media_lost(struct call *k, struct leg *l);
void bridge_doubt(struct leg *l); /* what it was given last may not have arrived, or leads nowhere */
void bridge_unsettle(struct call *k); /* the two are to be asked anew, as often as it takes */
void bridge_forget(struct core *c, struct call *k, struct leg *l);
struct leg *bridge_peer(const struct call *k, const struct leg *l);
bool dir_holds(enum dir d);
enum sdp_dir dir_forced(enum dir d);

/* recover.c */
void recover_leg(struct core *c, struct call *k, struct leg *l); /* EV_RECOVERED */
void recover_told(struct core *c, struct leg *l);
/* When what the event says has happened: now; or, if l left while no process was there to see it, the last
 * moment at which it is known to have been there. */
int64_t recover_moment(struct call *k, struct leg *l, const struct event *ev);

/* passing.c */
struct verdict;
/* The profile of the leg's peer says so. */
bool passing_transparent(const struct core *c, const struct leg *l);
/* Is the REFER of the step for the other side of the call to carry out? */
bool passing_wanted(struct core *c, const struct leg *l, const struct leg *other);
/* l holds a REFER that was passed on: EV_REFERRED, EV_REFER_NOTIFY. */
void passing_event(struct core *c, struct call *k, struct leg *l);
/* Who has it took it, never told anything, and has hung up: it is done, as far as anybody knows. */
bool passing_is_silent(const struct call *k, const struct leg *l);

/* ears.c */
void ears_sync(struct core *c, struct call *k);

#define MUSIC_ANSWER_MS 10000 /* a music server has this long to answer */

/* moh.c: music from a SIP server (RFC 7088) */
/* The server that plays for this call; "": none does. A queue names a file for the engines, or a URI. */
const char *moh_source(const struct core *c, const struct call *k);
bool moh_is_played(const struct leg *l); /* by an engine or a server: it is held, and hears music */
void moh_unplayed(struct core *c, struct call *k, struct leg *l); /* EV_UNPLAYED */
void moh_sync(struct core *c, struct call *k);
/* The answer to an offer of or about music: true, and nobody else has to do with it. */
bool moh_done(struct core *c, struct call *k, struct leg *l);
/* The legs of k are about to move to another call, where music begins anew. */
void moh_leave(struct core *c, struct call *k);
const char *moh_check(const struct call *k);

/* originate.c: EV_DIAL, and what the row of its answer does */
void originate(struct core *c);
void originate_fill_dial(const struct core *c, const struct call *k, struct leg *l, struct action *a);

/* recording.c */
void recording_sync(struct core *c, struct call *k);
void recording_end(struct core *c, struct call *k, struct leg *l, const char *why);
void recording_command(struct core *c, struct call *k);

/* transfer.c, verbs.c */
void table_step(struct core *c, struct call *k, enum word w);
void transfer_request(struct core *c, struct call *k, struct leg *l);
bool table_admits(enum call_state state);
bool table_allows(enum call_state state, enum word w);

/* target.c */
int target_resolve(struct core *c, const char *number, const char *source, struct target *t);
bool target_user(struct core *c, const char *name, struct target *t);
/* NULL: no peer has this name. */
const struct peer_policy *target_peer_policy(const struct core *c, const char *name);
bool target_queue(struct core *c, const char *name, struct target *t);
bool target_voicemail(struct core *c, enum target_kind kind, const char *name, struct target *t);
bool target_overflow(struct core *c, const struct overflow *o, struct target *t);
/* May callers of this peer not be kept in early media? */
bool target_no_early(const struct core *c, const char *peer);
bool target_dial_agent(struct core *c, struct call *k, const char *user);
void target_dial(struct core *c, struct call *k, const struct target *t, leg_id except);
/* Rings t, which a peer has, as an announcement: time with it is nobody's talk. */
void target_announce(struct core *c, struct call *k, const struct target *t);
/* l was dialled for the call's target and both can hear each other: presses the keys that the target
 * wants, if any. */
void target_press_keys(struct core *c, const struct call *k, const struct leg *l);
/* EV_UNPRESSED: the rest goes by INFO, if its peer takes that. */
void target_unpressed(struct core *c, const struct leg *l);
/* Its peer failed with this status: dials the same number through the next peer of its route, in the
 * same role and segment. False: there is none, or another would not mend this. l is then untouched. */
bool target_failover(struct core *c, struct call *k, struct leg *l, uint16_t status);

/* policy.c */
struct verdict {
	uint16_t status;    /* 0: allowed */
	const char *cause;  /* word of the ledger: not_permitted, self, already_party ... */
	const char *text;   /* for people */
};
/* Is the customer with a menu or a voicemail, or is a fax under way? Then no command moves the call
 * (M2, M5): cause is in_menu, voicemail or fax. What the menu itself asks for with REFER is its work. */
struct verdict policy_movable(const struct call *k);
struct verdict policy_transfer(struct core *c, struct call *k, const struct leg *transferor,
	const struct leg *kept, struct target *t);
/* Is t a number that is a party of the call already, admitted for an asker who must not hear so? */
bool policy_hides(const struct target *t);
/* May this user (NULL: somebody who is none of ours) dial what t is sent as? NULL, or the class of
 * numbers that he may not dial. Only outside numbers have a class. */
const char *policy_denied_class(const struct core *c, const struct dir_user *u,
	const struct target *t);
/* Judges the EV_DIAL of the step. On ALLOW *t is who is to be called. */
struct verdict policy_originate(struct core *c, struct target *t);
const char *cause_of_status(uint16_t status);
/* Why the last attempt failed. */
enum cause xfer_cause(const struct xfer *x);
/* The last attempt has failed as the call's status says. */
void xfer_note_status(struct call *k);
/* Is the transferor being rung again, or was it he who came? */
bool xfer_is_recall(const struct xfer *x);

struct verdict policy_ask(struct core *c, const struct leg *transferor);

/* segment.c */
void record_open(struct core *c, struct call *k);
void record_retell(struct core *c, struct call *k); /* what is open, for who has not heard of it */
void record_restart(struct core *c, struct call *k, const struct leg *from, const struct leg *to);
/* k is a call of its own from now on, of `from` with `to`; the caller opens their segments. */
void record_begin(struct core *c, struct call *k, const struct leg *from, const struct leg *to,
	enum call_kind kind);
void record_fold(struct core *c, struct call *from, struct call *into);
void record_merge(struct core *c, struct call *from, struct call *into);
void segment_begin(struct core *c, struct call *k, struct leg *l);
void segment_turn(struct core *c, struct call *k, struct leg *l, const char *outcome,
	const char *by);
void segment_change(struct core *c, struct call *k, struct segment *s);
void segment_move(struct call *from, struct leg *l, struct call *to);
void record_close(struct core *c, struct call *k, const char *by);
void segment_open(struct core *c, struct call *k, struct leg *l, const uuid *transfer_in);
void segment_consults(struct core *c, struct call *k, struct leg *l); /* a consultation goes on */
void segment_answered(struct core *c, struct call *k, struct leg *l);
/* A person answers once, whichever phones were rung: the others no longer speak for the segment. */
void segment_is_of(struct call *k, const struct leg *l);
void segment_answered_late(struct core *c, struct call *k, struct leg *l);
void segment_close(struct core *c, struct call *k, struct leg *l, const char *outcome,
	const char *by, uint16_t status, const uuid *transfer_out);
/* A visit that goes on where we do not see it: opened and closed at once. */
void segment_released(struct core *c, struct call *k, const struct target *t, uuid *id);
int segment_open_queue(struct core *c, struct call *k, const char *queue, const char *number, uuid *id);
void segment_close_slot(struct core *c, struct call *k, int slot, const char *outcome, const char *by);
int16_t segment_move_slot(struct call *from, int16_t slot, struct call *to);
void segment_sync(struct core *c, struct call *k);
enum interval segment_state_of(const struct call *k, const struct leg *l);
struct timeline_note {
	const char *type, *actor;
	const struct leg *leg; /* whose segment; may be NULL */
	const uuid *seg;       /* the segment, where no leg has it; may be NULL */
	const char *key1, *value1, *key2, *value2;
	enum origin via;
};
void timeline(struct core *c, struct call *k, const struct timeline_note *n);
void audit(struct core *c, struct call *k, const char *who, enum origin via, const char *action,
	const char *object, const char *result, const char *why);

/* queue.c, offer.c, agent.c, roster.c: who waits, who is asked; the rest of them is in acd.h */
void queue_enter(struct core *c, struct call *k, const struct target *t, const char *except);
bool queue_overflow(struct core *c, struct call *k, struct target *t, enum overflow_kind *kind);
void queue_record_close(struct core *c, struct call *k, const char *by);
/* TIMER_PLACE, EV_PLAYED: the next announcement, or music again. */
void queue_place_due(struct core *c, struct call *k);
void queue_played(struct core *c, struct call *k);
/* What is announced to a caller now. */
void queue_speak(const struct call *k, struct act_media *m);
int64_t queue_guard_ms(const struct core *c, const struct call *k);
void queue_restore(struct core *c, struct call *k);
/* The kept party of k takes over the place in the queue that the caller of `from` has (E-094). */
void queue_inherit(struct core *c, struct call *from, struct call *k);
/* Does a call in this state have a place in a queue? */
bool queue_waits(unsigned state);
void queue_offer_failed(struct core *c, struct call *k, const struct leg *l, uint16_t status);
void acd_run(struct core *c);
/* Is the INVITE of this step a phone code of an agent (queue.available ..)? Then what it asks for is
 * done, and text tells it to the phone. */
bool agent_code(struct core *c, char *text, size_t size);
const char *acd_check(const struct core *c);
void agent_touch(struct core *c, const char *user);
/* The leg's part in its call ends now. If it served a caller of a queue, and no other phone of the
 * same person goes on with that, the wrap-up begins. */
void agent_leaves(struct core *c, struct call *k, struct leg *l);
void agent_event(struct core *c);
void agent_timer(struct core *c);
void roster_event(struct core *c);
void roster_reconfigured(struct core *c);
void roster_recovered(struct core *c); /* of all calls that came back it is known who is there */
void roster_free(struct core *c);

/* directory.c */
void directory_event(struct core *c);
void directory_free(struct core *c);
struct dir_user *directory_user(const struct core *c, const char *name);
struct dir_user *directory_user_by_number(const struct core *c, const char *number);
struct dir_queue *directory_queue(const struct core *c, const char *name_or_number);
struct dir_ivr *directory_ivr(const struct core *c, const char *name_or_number);

#endif
