/*
 * contract: what the core and the adapters promise each other (core/event.h, core/action.h,
 * sip/sip.h), as a machine. It follows every event and action and says which events an adapter
 * could send now, and which actions of the core break the promise. It knows nothing of how the
 * core works, so it judges a simulated step, a scenario and a recorded file alike.
 */
#ifndef SEGUE_SIM_CONTRACT_H
#define SEGUE_SIM_CONTRACT_H

#include <uthash.h>

#include "core/core.h"

#define CT_RULE_MAX 48
#define CT_TEXT_MAX 400

/* A leg as the SIP adapter sees it. */
enum ct_leg_state {
	CT_INCOMING, /* INVITE received, no final response sent */
	CT_ANSWERED, /* 2xx sent, no ACK yet */
	CT_DIALING,  /* INVITE sent, no final response yet */
	CT_UP,
	CT_ENDING, /* something ended it; CLOSED is to come */
	CT_CLOSED
};

struct ct_sdp { /* what a leg was given: whose SDP, in which version and direction */
	leg_id from;
	uint32_t ver;
	enum dir dir;
	bool music; /* that of a music server */
};

struct ct_timer {
	bool armed;
	uint32_t serial;
	int64_t due;
};

struct ct_leg {
	leg_id id;
	call_id call;	   /* in which the core last showed it: legs move when calls meet */
	enum ct_leg_state state;
	bool outbound;
	bool from_outside; /* a caller, by a trunk */
	bool met;	   /* .. and the target of a transfer, as the core last showed it */
	bool immediate;	   /* its phone keeps the line until it hears 200 (E-011) */
	bool ever_up;
	bool cancelling;   /* HANGUP went to an INVITE that has no final response */
	bool crossed;	   /* its 2xx crossed that CANCEL: HANGUP must be repeated */
	bool hangup_sent;  /* HANGUP or REJECT by the core */
	bool peer_ended;   /* BYE, CANCEL, GONE, final response: not the core's doing */
	bool must_hang_up; /* NO_ACK: the core has to end it */
	bool must_reject;  /* CANCEL: the core has to answer 487 */
	bool rel_required; /* its SDP in a 1xx is final (RFC 3262 section 5) */
	bool late;	   /* INVITE without SDP */
	bool owes_ack;	   /* our INVITE was late: ACT_ACK is due */
	bool sdp_in_1xx;   /* a reliable 1xx carried the answer */
	bool offer_in;	   /* OFFER waits for our answer */
	bool none_in;	   /* OFFER_NONE does */
	bool offer_out;	   /* our OFFER waits for OA_DONE */
	unsigned asked;	   /* OFFERs since its media were last seen to be right */
	bool oa_failed;	   /* the last exchange was refused */
	bool hold_failed;  /* .. before the present process */
	bool unsure;	   /* what it has the present process cannot know: it is to be asked, or asks */
	bool unknown;	   /* it was asked for that, and refused */
	bool named;	   /* our last OFFER said whom it is with */
	bool unnamed;	   /* .. and was under way when a process died: whom it shows nobody knows */
	bool kept;	   /* the process that died had written its dialog down */
	bool lost;	   /* it had not: nobody is there, and nothing said to it arrives */
	bool untold;	   /* .. which the core has not been told */
	bool parted;	   /* let go by the table; only its BYE is awaited */
	bool numbered;	   /* it has a number that others can be shown */
	bool offered_to;   /* an agent, who was rung for a caller of a queue */
	bool ack_due;	   /* we offered in a 2xx: answer comes with OA_DONE */
	uint32_t ver, ver_prev, ver_top; /* its own SDP: now, before a pending offer, newest */
	enum dir dir, dir_prev;		 /* direction it wrote */
	enum dir intent, intent_prev;	 /* what it wants itself: sendrecv unless it holds */
	struct ct_sdp given, offered;	 /* agreed; in flight */
	enum hears hears;		 /* as last said */
	char music[USER_MAX];		 /* .. with this */
	bool unplayed;			 /* .. which no engine plays */
	bool music_in_1xx;		 /* a 1xx said that music is at the other end */
	uint64_t referred; /* our REFER that it has, 0 none */
	bool refer_out;    /* .. and has not answered */
	bool refer_told;   /* its last NOTIFY came */
	bool refer_taken;  /* it has accepted it */
	bool refer_heard;  /* some NOTIFY came */
	bool refer_lost;   /* the process before had one for it, or would have had */
	bool recorded;
	uint64_t refer;			 /* cmd of the newest REFER accepted on it, 0: none */
	struct ct_timer timer[timer_kind_count_];
	int64_t since, closed_at;
	struct dest dest;
	leg_id plays_to; /* it is a music server, and who hears it; else ID_NONE */
	UT_hash_handle hh;
};

enum ct_req_kind { CT_REFER, CT_COMMAND, CT_INFO };

struct ct_req { /* somebody waits for an answer */
	uint64_t cmd;
	enum ct_req_kind kind;
	leg_id leg;
	bool answered, accepted, no_sub;
	bool final;    /* the final NOTIFY was sent */
	bool notified; /* NOTIFY_DONE came */
	bool lost;     /* whoever asked waits for nothing any more: the process that he asked is gone */
	bool sought;   /* what it replaces was looked for elsewhere */
	bool in_advance; /* .. before it was true: the phone holds the line until it hears 200 (E-011) */
	uint16_t said;   /* the status of the final NOTIFY */
	uint64_t said_in; /* .. and its step */
	bool notified_once; /* its phone has heard of it */
	bool closed;     /* that transfer is over */
	uuid xfer;       /* what it is on record as; nil: not yet */
	int64_t final_at;
	UT_hash_handle hh;
};

struct ct_call {
	call_id id;
	struct ct_timer timer;	       /* TIMER_STATE */
	struct ct_timer queue;	       /* TIMER_QUEUE */
	struct ct_timer place;	       /* TIMER_PLACE */
	bool commanded;		       /* HANGUP by command */
	unsigned nlegs;		       /* not yet freed */
	leg_id kept;		       /* who must not be lost, as the core last showed it */
	bool may_transfer, may_cancel; /* what its buttons say, likewise */
	bool may_complete, may_swap, may_resume;
	bool held;		       /* by command: nobody hears anybody, on purpose */
	bool rung_by_command;	       /* its running transfer was asked for by a click */
	int64_t born, empty_since;
	UT_hash_handle hh;
};

struct contract {
	struct ct_leg *legs;
	struct ct_call *calls;
	struct ct_req *reqs;
	struct ct_timer agents; /* TIMER_AGENT */
	const struct core_config *cfg; /* of the core; owned by who set it */
	uint64_t step;
	bool chain_leads;	/* whom nobody has is always led on: to an announcement, if not before */
	int64_t now;
	int64_t restored_at; /* guards began anew */
	char calls_for[USER_MAX]; /* of EV_DIAL: nobody but this user is rung for it in this step */
	call_id originated;  /* the call that this step's EV_DIAL made */
	leg_id stray;	     /* its offer came after it was freed, and waits for its refusal */
	bool located;	     /* this step's event says where a dialog is */
	bool lenient; /* adapters are broken: keep up as well as possible, complain of nothing */
	bool failed;
	char rule[CT_RULE_MAX]; /* which promise was broken, one word with dashes */
	char text[CT_TEXT_MAX]; /* how */
};

void contract_init(struct contract *ct);
void contract_done(struct contract *ct);

/* Could an adapter send this event now? */
bool contract_allows(struct contract *ct, const struct event *ev);

/* Takes in the event and what the core made of it. Sets ct->failed on a broken promise. */
void contract_step(struct contract *ct, const struct event *ev, const struct core_out *out);

/* The event came, and none of the actions was carried out: the process died. */
void contract_missed(struct contract *ct, const struct event *ev, const struct core_out *out);

/* Another process starts with these calls: its adapters have the dialogs that were kept of them, and no
 * transaction. Everything else is gone. */
void contract_died(struct contract *ct, int64_t now, const call_id *ids, unsigned n);
/* The core shows such a call: of its legs those that no adapter has are lost. */
void contract_reborn(
	struct contract *ct, const struct call_view *v, const leg_id *legs, unsigned n);

/* .. and of legs that none of the n calls shows nobody knows any more: the step that freed them was the
 * last. Nor of other calls that have no legs. */
void contract_forget(struct contract *ct, const call_id *ids, unsigned n);

/* After everything is over: nothing may be left behind. */
void contract_end(struct contract *ct);

struct ct_leg *contract_leg(struct contract *ct, leg_id id);
struct ct_call *contract_call(struct contract *ct, call_id id);
struct ct_req *contract_req(struct contract *ct, uint64_t cmd);

/* The armed timer that is due first, up to `until`: fills *ev with its EV_TIMER and returns true.
 * The event's wall and rnd stay as they are. */
bool contract_next_timer(struct contract *ct, int64_t until, struct event *ev);

/* Is this leg held, with music for its ears (RFC 7088)? */
bool contract_hears_music(const struct ct_leg *l);

/* Records a broken promise, unless one is recorded already. */
void contract_fail(struct contract *ct, const char *rule, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What a leg may answer to what it was given (RFC 3264 section 6.1): the reverse of d. */
enum dir dir_reverse(enum dir d);
enum dir dir_and(enum dir a, enum dir b);

#endif
