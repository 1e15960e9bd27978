/*
 * action: everything the core can ask the adapters to do, as plain data. The runner carries the
 * actions of a step out in order, after the step's facts are in the store; a failure comes back
 * as an event, never as a return value.
 */
#ifndef SEGUE_CORE_ACTION_H
#define SEGUE_CORE_ACTION_H

#include "core/event.h"

#define ACTION_LIST(X)                                                                             \
	/* -- sip: initial INVITE ---------------------------------------------------------- */    \
	X(ACT_DIAL, "DIAL")           /* send INVITE on the new leg; SDP from `from`, else late offer */\
	X(ACT_PROGRESS, "PROGRESS")   /* 1xx to the caller, with SDP of `from` unless 0 */         \
	X(ACT_ANSWER, "ANSWER")       /* 200 to the caller; SDP of `from` (answer, or our offer if the\
					 INVITE had none); from 0: no SDP, 1xx carried it */       \
	X(ACT_ACK, "ACK")             /* our late-offer INVITE got its offer in 2xx: ACK with SDP of \
					 `from` as answer. Every other 2xx is ACKed by the adapter. */\
	X(ACT_REJECT, "REJECT")       /* final non-2xx to the caller's INVITE */                   \
	X(ACT_HANGUP, "HANGUP")       /* end the leg whatever its state: CANCEL, BYE, or 4xx       \
					 with `status`; CLOSED follows. A 2xx that crosses a CANCEL \
					 is ACKed by the adapter and reported as EV_ANSWER; the core\
					 repeats HANGUP and the adapter sends BYE (R-004) */       \
	/* -- sip: offer/answer inside the dialog ------------------------------------------ */    \
	X(ACT_OFFER, "OFFER")         /* re-INVITE (UPDATE while early) with SDP of `from`, from 0:\
					 what this leg was last given, with direction `dir` */     \
	X(ACT_OFFER_ANSWER, "OFFER_ANSWER") /* answer the pending OFFER / OFFER_NONE with SDP of   \
					 `from`; from 0: what this leg was last given */           \
	X(ACT_OFFER_REJECT, "OFFER_REJECT") /* 488, 491, 500 (+ Retry-After); the adapter puts the \
					 leg's remote SDP back to what it was before (R-013) */    \
	X(ACT_INFO, "INFO")           /* pass the INFO kept under `ref` of leg `from` to `leg` and relay\
					 its answer; leg 0: answer it 481/200 as fits */           \
	X(ACT_DIGITS, "DIGITS")       /* press the keys in `text` for the leg, one after the other; "," \
					 waits a second. RTP: EV_UNPRESSED if no engine does it */ \
	/* -- sip: REFER and its subscription ----------------------------------------------- */   \
	X(ACT_REFER_ACCEPT, "REFER_ACCEPT") /* 202 */                                              \
	X(ACT_REFER_REJECT, "REFER_REJECT") /* `status` */                                         \
	X(ACT_NOTIFY, "NOTIFY")       /* sipfrag `status` `text`; final: terminated;reason=noresource,\
					 then EV_NOTIFY_DONE, always */                            \
	X(ACT_LOCATE, "LOCATE")       /* which node has the dialog that REFER `cmd` replaces? EV_LOCATED\
					 follows, or the guard expires (E-090) */                  \
	X(ACT_REFER, "REFER")         /* pass the REFER kept under `cmd` on to `leg`; EV_REFERRED comes, \
					 always, then EV_REFER_NOTIFY for each NOTIFY */           \
	/* -- commands ---------------------------------------------------------------------- */   \
	X(ACT_REPLY, "REPLY")         /* to a command: status 200/202, or 4xx with text; 202's text is the\
					 id of the transfer, or of the call that was begun */      \
	/* -- queues ------------------------------------------------------------------------ */   \
	X(ACT_POSITION, "POSITION")   /* leg waits in a queue: its place, for the panel and for an  \
					 announcement; sent when it enters and when it changes */  \
	/* -- media ------------------------------------------------------------------------- */   \
	X(ACT_MEDIA, "MEDIA")         /* what the leg hears from now on; sent when it changes. A new leg\
					 hears its peer. EV_UNPLAYED if no engine carries it */    \
	X(ACT_RECORD, "RECORD")       /* the engine keeps what this leg and its peer say under that id;\
					 nil: no more. The leg is freed only after that */         \
	/* -- runner ------------------------------------------------------------------------ */   \
	X(ACT_TIMER, "TIMER")         /* (re)start the timer of (id, kind): ms from now; ms < 0 stops */\
	X(ACT_LEG_FREE, "LEG_FREE")   /* the core forgot this leg; so must the adapter */          \
	X(ACT_CALL_FREE, "CALL_FREE")
ENUM_DECLARE(act, ACTION_LIST);

/* How the rewriter treats direction in an SDP that is passed on. */
#define SDP_DIR_LIST(X)                                                                            \
	X(SDP_DIR_AS_IS, "as_is")       /* as the other party wrote it; an answer is clamped to what\
					   the offer permits (RFC 3264 section 6.1, E-051a) */     \
	X(SDP_DIR_INACTIVE, "inactive") /* the rest: force this on every active stream */          \
	X(SDP_DIR_RECVONLY, "recvonly")                                                            \
	X(SDP_DIR_SENDONLY, "sendonly")                                                            \
	X(SDP_DIR_SENDRECV, "sendrecv")
ENUM_DECLARE(sdp_dir, SDP_DIR_LIST);

/* ACT_ANSWER, ACT_OFFER_ANSWER, ACT_OFFER, ACT_DIAL: no party of the call but a media engine is at the other
 * end of the leg's session. No leg has this id: no call has generation 0. */
#define ID_MUSIC ((leg_id)1)

struct act_media {
	enum hears what;
	char music[USER_MAX]; /* MUSIC: which; "" the standard one. PLACE: with which sounds */
	uint32_t position;    /* PLACE; EV_PLAYED follows when it was said */
	uint32_t minutes;     /* PLACE: how long it will take, rounded up; 0: not said */
};

struct act_digits {
	enum dtmf way; /* DTMF_RTP or DTMF_INFO */
};

struct act_record {
	uuid recording;
};

struct act_dial {
	struct dest dest;
	struct party caller;  /* who is presented to the target: the kept party, or whom the caller-ID
			       * policy of the peer wants shown */
	leg_id like;          /* pass this leg's headers by the header policy; Max-Forwards - 1 */
	uint64_t cmd;         /* Referred-By and allowed Refer-To headers of this REFER; 0: none */
	char referred_by[KEY_MAX]; /* user who transferred, when no REFER says so; "" if none */
	struct party diverter; /* who had the call and sent it on; number "": nobody, or a recall */
	bool recall;          /* Alert-Info, so the phone shows that a call comes back */
	uuid xfer;            /* the transfer that failed before this recall; nil: no recall */
	char replaces[REPLACES_MAX]; /* value of the Replaces header, "": none; the dialog is on the
			       * node that dest.peer is (E-090) */
	uuid conv;            /* told to that node, for its record; nil: nothing is told */
	enum answering answering;
	bool keys;            /* ACT_DIGITS with RTP follows when it has answered */
};

struct act_offer {
	struct party party; /* whom this leg is with from now on (connected line, RFC 5876); number
			     * "": the same as before */
};

/* Whom the REFER that is passed on asks for. */
#define REFER_TO_LIST(X)                                                                           \
	X(REFER_TO_AS_WRITTEN, "as_written") /* what the Refer-To said */                          \
	X(REFER_TO_PEER, "peer")             /* `number` at `peer`, as we would dial it */         \
	X(REFER_TO_US, "us")                 /* `number` here: as a new call */                    \
	X(REFER_TO_LEG, "leg")               /* who is on the other end of leg `replaces`, in the place\
						of that dialog as he knows it (R-056) */
ENUM_DECLARE(refer_to, REFER_TO_LIST);

struct act_refer {
	enum refer_to to;
	char peer[USER_MAX];
	char number[NUM_MAX];
	leg_id replaces;
};

struct act_notify {
	uint64_t cmd;
	bool final;
};

struct act_timer {
	uint64_t id; /* call_id or leg_id */
	enum timer_kind kind;
	uint32_t serial;
	int64_t ms;
};

struct act_position {
	char queue[USER_MAX];
	uint32_t position;   /* 1: next to be served */
	uint32_t waiting;    /* in that queue */
	int64_t estimate_ms; /* how long it will take, from the last answers; -1: nobody knows */
};

struct action {
	enum act type;
	leg_id leg;   /* on which leg */
	leg_id from;  /* whose latest remote SDP (or INFO) is passed; 0: see the action */
	call_id call;
	enum sdp_dir dir;
	uint16_t status;
	uint16_t q850;         /* Reason header, 0: none */
	uint32_t retry_after;  /* seconds, 0: none */
	uint64_t cmd;          /* REFER_*, REPLY; `ref` of INFO */
	char text[TEXT_MAX];   /* reason phrase or explanation, "" for the standard one */
	union {
		struct act_dial dial;
		struct act_offer offer;
		struct act_notify notify;
		struct act_refer refer;
		struct act_timer timer;
		struct act_position position;
		struct act_media media;
		struct act_record record;
		struct act_digits digits;
	};
};

#endif
