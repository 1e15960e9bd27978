/*
 * event: everything that can happen to segue, as plain data. With action.h and fact.h this is the
 * program's whole boundary: adapters turn SIP messages, commands, timers and directory changes
 * into these, core_step() turns these into actions and facts.
 *
 * Every event carries its time and 64 random bits; the core has no clock and no dice of its own.
 */
#ifndef SEGUE_CORE_EVENT_H
#define SEGUE_CORE_EVENT_H

#include "core/types.h"

#define EVENT_LIST(X)                                                                              \
	/* -- a leg's INVITE ------------------------------------------------------------- */      \
	X(EV_INVITE, "INVITE")       /* new incoming call; core_step() returns its leg in out->leg */\
	X(EV_PROGRESS, "PROGRESS")   /* 101..199 to our INVITE, with or without SDP */             \
	X(EV_ANSWER, "ANSWER")       /* first 2xx to our INVITE on this leg, also while CLOSING */ \
	X(EV_REJECT, "REJECT")       /* final non-2xx, timeout (408) or transport failure (503);     \
					also the 487 that ends a cancelled INVITE */               \
	X(EV_REDIRECT, "REDIRECT")   /* 3xx; the first usable contact is in the event (E-028) */   \
	X(EV_CANCEL, "CANCEL")       /* caller gave up before our final answer */                  \
	X(EV_ACK, "ACK")             /* ACK of our 2xx to the initial INVITE; may carry an answer */\
	X(EV_NO_ACK, "NO_ACK")       /* none came in 64*T1 (R-008) */                              \
	/* -- inside the dialog ---------------------------------------------------------- */      \
	X(EV_OFFER, "OFFER")         /* re-INVITE or UPDATE with an offer waits for our answer */  \
	X(EV_OFFER_NONE, "OFFER_NONE") /* re-INVITE without SDP: wants an offer from us in the 2xx */\
	X(EV_OFFER_WITHDRAWN, "OFFER_WITHDRAWN") /* that re-INVITE was cancelled, or its ACK with  \
					the answer never came (E-045) */                           \
	X(EV_OA_DONE, "OA_DONE")     /* our ACT_OFFER was answered, or the answer to an offer that \
					we gave in a 2xx came with the ACK; status 200, or the     \
					failure (488, 491, 500 ..) */                              \
	X(EV_REFRESH, "REFRESH")     /* UPDATE or re-INVITE that changes nothing was answered by the \
					adapter (E-055); for the log and liveness only */          \
	X(EV_INFO, "INFO")           /* INFO to be passed across; request kept under `ref` */      \
	X(EV_MEDIA_LOST, "MEDIA_LOST") /* what this leg sends and hears went through a media engine that\
					is gone: its session is to be agreed anew */               \
	X(EV_PLAYED, "PLAYED")       /* the announcement that this leg heard is over, or cannot be */\
	X(EV_UNPLAYED, "UNPLAYED")   /* the music of ACT_MEDIA is not played to this leg: no media engine\
					carries what it hears (RFC 7088 helps) */                  \
	X(EV_UNPRESSED, "UNPRESSED") /* these keys of ACT_DIGITS were not pressed in the audio of this \
					leg: no media engine carries it, or it could not */        \
	X(EV_RECOVERED, "RECOVERED") /* after a restart: is the dialog of this leg there again? */  \
	X(EV_BYE, "BYE")             /* peer ended the dialog; the adapter has answered 200 */     \
	X(EV_GONE, "GONE")           /* dialog lost: 481/408 in dialog, session timer ran out,      \
					transport lost */                                          \
	X(EV_CLOSED, "CLOSED")       /* after ACT_HANGUP/ACT_REJECT/BYE/GONE: nothing more will come \
					from this leg, its transactions are over */                \
	/* -- transfer ------------------------------------------------------------------- */      \
	X(EV_TRANSFER, "TRANSFER")   /* REFER on a leg, or a command on a call */                  \
	X(EV_REFERRED, "REFERRED")   /* our ACT_REFER was answered, or never will be (408, 503); a peer\
					that says in Allow that it knows no REFER counts as 405 */ \
	X(EV_REFER_NOTIFY, "REFER_NOTIFY") /* NOTIFY about it, answered by the adapter */          \
	X(EV_NOTIFY_DONE, "NOTIFY_DONE") /* the final NOTIFY has its answer (any), or never will */\
	X(EV_LOCATED, "LOCATED")     /* ACT_LOCATE has its answer: which node has that dialog, or none */ \
	/* -- commands ------------------------------------------------------------------- */      \
	X(EV_XFER_CANCEL, "XFER_CANCEL") /* give the transfer or consultation up */                \
	X(EV_HANGUP, "HANGUP")                                                                     \
	X(EV_COMPLETE, "COMPLETE")   /* consultation: hand the caller to the target */             \
	X(EV_SWAP, "SWAP")           /* consultation: the agent talks with the other of the two */ \
	X(EV_HOLD, "HOLD")           /* both sides are held by us, the caller hears music */       \
	X(EV_UNHOLD, "UNHOLD")                                                                     \
	X(EV_RESUME, "RESUME")       /* the transferor wants the caller back, now */               \
	X(EV_NOTE, "NOTE")           /* somebody writes a remark to the conversation */            \
	X(EV_RECORD, "RECORD")       /* record the call from now on, or do not */                  \
	X(EV_DIAL, "DIAL")           /* click-to-dial: a new call that begins with a user's own phone \
					(RFC 5359 section 2.18) */                                 \
	/* -- time ----------------------------------------------------------------------- */      \
	X(EV_TIMER, "TIMER")                                                                       \
	/* -- directory and registrations ------------------------------------------------- */     \
	X(EV_DIR_USER, "DIR_USER")                                                                 \
	X(EV_DIR_QUEUE, "DIR_QUEUE")                                                               \
	X(EV_DIR_MEMBER, "DIR_MEMBER")                                                             \
	X(EV_DIR_IVR, "DIR_IVR")                                                                   \
	X(EV_DIR_CLASS, "DIR_CLASS") /* a pattern of numbers that may be dialled by some */        \
	X(EV_DIR_SKILL, "DIR_SKILL") /* what a user can do */                                      \
	X(EV_DIR_NEED, "DIR_NEED")   /* what a queue asks of its agents */                         \
	X(EV_DIR_HOURS, "DIR_HOURS") /* when a queue is open */                                    \
	X(EV_AGENT, "AGENT")         /* an agent's intent: chosen now (phone code, command), or as it \
					was stored (origin system, cmd 0) */                       \
	X(EV_AGENT_REACH, "AGENT_REACH") /* a user's phones answer OPTIONS, or do so no longer */  \
	X(EV_CONTACTS, "CONTACTS")   /* the whole present set of a user's contacts */              \
	X(EV_AUDIT, "AUDIT")         /* an adapter refused something that must be on record */     \
	X(EV_CONFIG, "CONFIG")       /* after core_reconfigure(): how long callers wait and offers ring \
					holds for those that do already */
ENUM_DECLARE(ev, EVENT_LIST);

#define CONTACTS_MAX 8

/* Guards: each transient state has one. Keyed by the call (leg number 0) or by a leg. */
#define TIMER_LIST(X)                                                                              \
	X(TIMER_STATE, "state")   /* the call's present state has lasted too long */               \
	X(TIMER_PART, "part")     /* leg: final NOTIFY unanswered, then T_bye (E-003, E-005) */    \
	X(TIMER_GLARE, "glare")   /* leg: repeat an offer that met 491 (R-009) */                  \
	X(TIMER_CLOSE, "close")   /* leg: CLOSED never came */                                     \
	X(TIMER_MUSIC, "music")   /* leg: the music server that it calls has not answered */       \
	X(TIMER_QUEUE, "queue")   /* call in a queue: an offer has rung long enough, the retry delay is\
				     over, or more agents may be asked now */                      \
	X(TIMER_PLACE, "place")   /* call in a queue: its place is to be announced, or that has taken\
				     too long */                                                   \
	X(TIMER_AGENT, "agent")   /* id 0, one for all: the earliest end of a wrap-up */
ENUM_DECLARE(timer_kind, TIMER_LIST);

struct ev_invite {
	uint64_t handle;      /* adapter's own name for the leg, echoed in nothing; for its maps */
	enum source_kind source;
	char user[USER_MAX];  /* SOURCE_USER: the authenticated user */
	char peer[USER_MAX];  /* SOURCE_PEER: the peer of the config */
	struct party from;
	char number[NUM_MAX]; /* user part of the Request-URI, unescaped */
	char case_key[KEY_MAX]; /* X-Case-ID, only from a peer that is trusted for it; else "" */
	char sip_call_id[TEXT_MAX]; /* for the ledger and the log */
	struct sdp_note sdp;  /* OFFER, NONE (late offer) or BAD */
	bool rel_required;    /* Require: 100rel: an SDP in a 1xx is final (RFC 3262 section 5) */
	bool immediate;       /* this device wants NOTIFY 200 at once (E-011) */
	enum bye_policy bye;  /* .. and is to be hung up so after a transfer */
	bool may_refer;       /* REFER from this leg is allowed (users; peers by config: E-070) */
	leg_id replaces;      /* it comes in the place of this leg (RFC 3891): the adapter has matched
			       * Call-ID and both tags; ID_NONE: it does not */
	bool early_only;      /* .. unless that leg is answered already */
	uuid linked;          /* conversation of the other node that sends this; nil: none (E-090) */
};

struct ev_progress {
	uint16_t status;
	struct sdp_note sdp; /* ANSWER only if sent reliably or as preview; OFFER never */
	bool reliable;       /* the adapter has PRACKed it: the answer is final */
};

struct ev_answer {
	uint16_t status;
	struct sdp_note sdp; /* ANSWER; NONE if a reliable 1xx carried it; OFFER if we sent none */
	bool immediate;
	enum bye_policy bye;
};

struct ev_reject { /* also EV_GONE and EV_BYE, where status may be 0 */
	uint16_t status;
	char text[TEXT_MAX];  /* reason phrase */
	uint16_t q850;        /* from a Reason header, 0 if none (RFC 3326) */
	char number[NUM_MAX]; /* EV_REDIRECT: user part of the contact */
	bool own_host;        /* EV_REDIRECT: that contact is in one of our domains */
};

struct ev_offer { /* EV_OFFER, EV_OFFER_NONE, EV_OA_DONE, EV_ACK */
	struct sdp_note sdp;
	uint16_t status;   /* EV_OA_DONE: 200 or the failure */
};

#define DIALOG_FATE_LIST(X)                                                                        \
	X(DIALOG_KEPT, "kept")                                                                     \
	X(DIALOG_LOST, "lost")
ENUM_DECLARE(dialog_fate, DIALOG_FATE_LIST);

struct ev_recovered {
	enum dialog_fate fate;
	int64_t seen; /* monotonic ms until which its party is known to have been there; 0: unknown */
};

struct ev_info {
	uint64_t ref; /* the adapter's name for the pending INFO; passed back in ACT_INFO */
};

struct ev_unpressed {
	char left[DIGITS_MAX]; /* the first of them is the one that failed */
};

/* records.md: blind, consult (the transferor talked with the target first) and semi (it handed over
 * while the target was still ringing). Nobody asks for semi: it is what a consultation becomes. */
#define XFER_KIND_LIST(X)                                                                          \
	X(XFER_BLIND, "blind")                                                                     \
	X(XFER_CONSULT, "consult")                                                                 \
	X(XFER_SEMI, "semi")
ENUM_DECLARE(xfer_kind, XFER_KIND_LIST);

struct ev_transfer {
	uint64_t cmd;         /* adapter's name for the REFER or command, echoed in every reply */
	enum origin origin;
	enum xfer_kind kind;  /* commands: BLIND, or CONSULT to talk with the target first */
	leg_id replaces;      /* REFER whose Refer-To replaces this leg (E-085); ID_NONE: none, or see */
	uint16_t replaces_status; /* why that leg cannot be had: 481 unknown, 603 ended, 486 answered and
			       * only to be replaced before that; else 0 */
	char asker[KEY_MAX];  /* user name, peer name or "ctl" */
	char number[NUM_MAX]; /* user part of Refer-To, or what the command said */
	bool own_host;        /* Refer-To host is one of our domains, a peer or a listener (E-064) */
	bool no_sub;          /* Refer-Sub: false (E-076) */
	bool immediate;       /* device class wants NOTIFY 200 at once (E-011) */
	bool may_refer;       /* the sender may use REFER at all (E-070) */
	bool stay;            /* to a queue: the transferor keeps the line until somebody answers there */
	bool masked;          /* the asker is shown outside numbers without their middle */
};

struct ev_referred { /* EV_REFERRED, EV_REFER_NOTIFY */
	uint64_t cmd;    /* of the ACT_REFER */
	uint16_t status; /* of the response, or in the sipfrag; 0: it said nothing that can be read */
	bool final;      /* EV_REFER_NOTIFY: the subscription has ended */
};

struct ev_notify {
	uint64_t cmd;
	uint16_t status; /* of the NOTIFY; 0 if it timed out or could not be sent */
};

struct ev_located { /* on event.call */
	uint64_t cmd;                /* of the REFER, as ACT_LOCATE gave it */
	uint32_t node;               /* who has it; 0: nobody, or nobody could say */
	char replaces[REPLACES_MAX]; /* the dialog as that node knows it, for ACT_DIAL */
};

struct ev_command { /* EV_XFER_CANCEL to EV_RESUME: on event.call */
	uint64_t cmd;
	enum origin origin;
	char asker[KEY_MAX];
};

struct ev_record { /* begins as ev_command does */
	uint64_t cmd;
	enum origin origin;
	char asker[KEY_MAX];
	enum record_wish wish;
};

struct ev_dial { /* begins as ev_command does */
	uint64_t cmd;
	enum origin origin;
	char asker[KEY_MAX];
	char user[USER_MAX];    /* whose phone rings first, and who then calls .. */
	char number[NUM_MAX];   /* .. whom, as he would dial it */
	char case_key[KEY_MAX]; /* to which case the call belongs; "": whichever the number says */
	enum answering answering;
};

struct ev_note { /* a long remark comes in several parts, one event each, under one id */
	uint64_t cmd;
	enum origin origin;
	char asker[KEY_MAX];
	uuid note;
	uint32_t part; /* 0, 1, 2 .. */
	char text[NOTE_MAX];
};

struct ev_timer {
	enum timer_kind kind;
	uint32_t serial; /* as given in ACT_TIMER: an older serial is stale and ignored */
};

/* One row of the directory as it stands now; gone = true removes it. */
struct ev_dir_user {
	bool gone;
	char user[USER_MAX];
	char number[NUM_MAX];
	char name[NAME_MAX_];
	bool enabled;
	bool may_transfer;
	char voicemail[NUM_MAX]; /* number of the mailbox, as the dial plan knows it; "": none set */
	enum user_role role;
	char may_dial[128];      /* names of number classes, with commas; "": as the role says */
};

struct ev_dir_queue {
	bool gone;
	char queue[USER_MAX];
	char number[NUM_MAX];
	char name[NAME_MAX_];
	char voicemail[NUM_MAX]; /* as for a user */
	enum strategy strategy;
	uint32_t ring_ms;      /* an offer rings this long; 0: as the configuration says */
	uint32_t retry_ms;     /* after an offer that nobody took the caller waits this long for the
				* next one; 0: as the configuration says */
	uint32_t wrapup_ms;    /* after the agent's own release; 0: none */
	uint32_t max_wait_ms;  /* then overflow; 0: as the configuration says */
	uint32_t max_length;   /* callers who wait; more overflow at once; 0: any number */
	uint32_t weight;       /* where queues share agents, the heavier one is served first */
	uint32_t service_ms;   /* a caller answered within this was answered in time; 0: no goal */
	uint32_t service_goal; /* per cent of the callers who should be; 0: not known */
	uint32_t widen_ms;     /* each time a caller has waited this long, one level less is asked of
				* the agents, down to the floor; 0: never */
	uint32_t boost_ms;     /* a transferred caller is placed as if he had waited this much longer */
	bool keep_wait;        /* a transferred caller is placed by what he has waited in this call's
				* queues altogether (E-111); false: he starts at the end */
	enum empty_rule join_empty;  /* a caller who comes while the queue is that empty overflows */
	enum empty_rule leave_empty; /* those who wait overflow when it becomes that empty */
	enum queue_entry entry;
	char music[USER_MAX];  /* what those hear who wait; "": the standard music */
	char announce[USER_MAX];     /* sounds with which their places are announced; "": they are not */
	uint32_t announce_after_ms;  /* a place is announced when a caller has waited this long, */
	uint32_t announce_every_ms;  /* and again this long after each time; 0: once */
	uint32_t noverflow;    /* tried in order; then the fallback chain of the configuration */
	struct overflow overflow[OVERFLOW_MAX];
};

struct ev_dir_member {
	bool gone;
	char queue[USER_MAX];
	char user[USER_MAX];
	uint32_t level;  /* lower levels are asked first; a higher one when nobody below is free */
	uint32_t order;  /* among equals, and for linear */
	uint32_t weight; /* random: number of lots; 0: 1 */
};

struct ev_dir_skill {
	bool gone;
	char user[USER_MAX];
	char skill[SKILL_MAX];
	uint32_t level; /* 1 and up */
};

struct ev_dir_need {
	bool gone;
	char queue[USER_MAX];
	char skill[SKILL_MAX];
	uint32_t level; /* that an agent should have; */
	uint32_t floor; /* who has less than this is never asked, however long the caller waits */
};

/* When a queue takes callers, as whoever knows calendars has worked it out. A queue without such a row,
 * or whose row is gone, is always open. */
#define OPENINGS_MAX 48

struct opening {
	int64_t from, until; /* UTC microseconds; until itself is closed again */
};

struct ev_dir_hours {
	bool gone;
	char queue[USER_MAX];
	int64_t known_until; /* nothing is known from then on: the queue counts as open */
	uint32_t n;          /* of the openings below: in order, they neither meet nor overlap */
	struct opening open[OPENINGS_MAX];
	char zone[ZONE_MAX]; /* in which people have set them; only handed on to those who read them */
};

struct ev_agent {
	char user[USER_MAX];
	enum agent_intent intent; /* AVAILABLE also ends a wrap-up */
	char reason[REASON_MAX];  /* AWAY: why */
	enum origin origin;       /* SYSTEM: as it was stored */
	char asker[KEY_MAX];      /* who chose it: the agent, a supervisor, "ctl" */
	uint64_t cmd;             /* answered by ACT_REPLY; 0: nobody waits for that */
};

struct ev_agent_reach {
	char user[USER_MAX];
	bool reachable;
};

struct ev_dir_ivr {
	bool gone;
	char ivr[USER_MAX];
	char number[NUM_MAX]; /* what callers and agents dial */
	char peer[USER_MAX];  /* through whom it is reached */
	char dial[NUM_MAX];   /* what the peer is sent */
	char digits[DIGITS_MAX]; /* keys to press once it has answered, "," waits a second; "": none */
	char name[NAME_MAX_]; /* as people call it, "": not known */
};

struct ev_dir_class {
	bool gone;
	char name[32];    /* of the class, such as premium */
	char pattern[64]; /* as in the dial plan; with the name it is the key */
	bool by_name;     /* the row names no roles: what a class of this name means */
	uint8_t roles;    /* who may dial it, a bit for each enum user_role */
};

struct ev_contacts {
	char user[USER_MAX];
	uint32_t n;
	uint32_t contact[CONTACTS_MAX];
};

struct ev_audit {
	char who[KEY_MAX];
	char action[32]; /* register, invite, refer, ctl ... */
	char object[NUM_MAX];
	char why[TEXT_MAX];
	enum origin via; /* ORIGIN_SIP: not a command, on record as system */
};

struct event {
	enum ev type;
	int64_t now;   /* monotonic milliseconds, never going back */
	int64_t wall;  /* UTC microseconds; read when a conversation starts (E-125), and to
			* see if a queue is open */
	uint64_t rnd;  /* random bits */
	leg_id leg;    /* events of a leg; EV_TRANSFER by REFER */
	call_id call;  /* commands and call timers; ignored where leg is set */
	union {
		struct ev_invite invite;
		struct ev_progress progress;
		struct ev_answer answer;
		struct ev_reject reject;
		struct ev_offer offer;
		struct ev_info info;
		struct ev_unpressed unpressed;
		struct ev_recovered recovered;
		struct ev_transfer transfer;
		struct ev_notify notify;
		struct ev_located located;
		struct ev_referred referred;
		struct ev_command command;
		struct ev_note note;
		struct ev_record record;
		struct ev_dial dial;
		struct ev_timer timer;
		struct ev_dir_user user;
		struct ev_dir_queue queue;
		struct ev_dir_member member;
		struct ev_dir_ivr ivr;
		struct ev_dir_class class;
		struct ev_dir_skill skill;
		struct ev_dir_need need;
		struct ev_dir_hours hours;
		struct ev_agent agent;
		struct ev_agent_reach reach;
		struct ev_contacts contacts;
		struct ev_audit audit;
	};
};

#endif
