/*
 * config: the part of the configuration that decides: times, fallback chain, dial plan, policy.
 * Plain data; app/ fills it from segue.conf, tests by hand.
 */
#ifndef SEGUE_CORE_CONFIG_H
#define SEGUE_CORE_CONFIG_H

#include "core/types.h"

#define ROUTES_MAX 256
#define RECORD_MAX 64 /* users, and queues, whose calls are recorded by name */
#define FALLBACK_MAX 8
#define PATTERN_MAX 64
#define ROUTE_PEERS_MAX 4
#define FAILOVER_CODES_MAX 16

/* One line of the dial plan. First match wins.
 *
 * A pattern is matched against the whole number, left to right: a digit, +, * or # or letter
 * stands for itself, X for any digit, Z for 1-9, N for 2-9, [1-5] for one of a set, a final "."
 * for one or more of anything, a final "!" for zero or more.
 * `strip` characters are cut off the front, `prefix` is put before the rest. */
struct route {
	char pattern[PATTERN_MAX];
	enum target_kind kind;   /* NONE: refuse with 403 */
	char target[USER_MAX];   /* user, queue, ivr or peer name; "" for USER/QUEUE/IVR: look the
				  * (rewritten) number up in the directory */
	unsigned strip;
	char prefix[NUM_MAX];
	char source[USER_MAX];   /* only for calls from this peer; "" any; "users": from users */
	bool transfer;           /* may also be the target of a transfer */
	char failover[ROUTE_PEERS_MAX][USER_MAX]; /* peers tried in order after `target` failed */
	unsigned nfailover;
};

#define ROUTE_INDEX_CHARS 128

/* For each first character the set of routes that can fit; see dialplan_index(). */
struct route_index {
	uint64_t of[ROUTE_INDEX_CHARS][ROUTES_MAX / 64];
	unsigned nroute; /* as many routes were indexed; another count: not to be used */
};

/* Why somebody could not be reached, in the words of the ledger (records.md, "Outcome"). */
#define CAUSE_LIST(X)                                                                              \
	X(CAUSE_NONE, "")                                                                          \
	X(CAUSE_BUSY, "busy")                                                                      \
	X(CAUSE_NO_ANSWER, "no_answer")                                                            \
	X(CAUSE_DECLINED, "declined")                                                              \
	X(CAUSE_UNREACHABLE, "unreachable")                                                        \
	X(CAUSE_INVALID_TARGET, "invalid_target")                                                  \
	X(CAUSE_MEDIA, "media_incompatible")                                                       \
	X(CAUSE_AUTH, "auth")                                                                      \
	X(CAUSE_LOOP, "loop")                                                                      \
	X(CAUSE_INTERNAL, "internal")                                                              \
	X(CAUSE_CANCELLED, "cancelled")                                                            \
	X(CAUSE_CLOSED, "closed") /* a queue, at this hour; no status of SIP says so */
ENUM_DECLARE(cause, CAUSE_LIST);

/* What a final response says about it. */
enum cause cause_of(uint16_t status);

#define FALLBACK_KIND_LIST(X)                                                                      \
	X(FALLBACK_RECALL, "recall")       /* ring the transferor again */                         \
	X(FALLBACK_USER, "user")           /* ring this user */                                    \
	X(FALLBACK_QUEUE, "queue")         /* wait in this queue */                                \
	X(FALLBACK_VOICEMAIL, "voicemail") /* of this user; "": of the user or queue asked for */  \
	X(FALLBACK_ANNOUNCE, "announce")   /* dial this number (an announcement), hang up after */ \
	X(FALLBACK_HANGUP, "hangup")
ENUM_DECLARE(fallback_kind, FALLBACK_KIND_LIST);

/* One step of a chain. */
struct fallback {
	enum fallback_kind kind;
	uint16_t causes;       /* only after one of these, a bit for each enum cause; 0: after any */
	char target[USER_MAX]; /* user or queue, or the number to dial for an announcement */
};

struct chain {
	struct fallback step[FALLBACK_MAX];
	unsigned n;
};

/* Reads "recall", "user:bob", "voicemail?busy,no_answer" .. into *f. 0 or EINVAL. */
int fallback_parse(const char *text, struct fallback *f);

#define CORE_PEERS_MAX 64

/* Whom a trunk is shown as the caller of a call that is transferred to it; a first call always shows
 * who makes it, unless the business is shown. */
#define CALLER_ID_LIST(X)                                                                          \
	X(CALLER_ID_CALLER, "caller")                                                              \
	X(CALLER_ID_TRANSFEROR, "transferor")                                                      \
	X(CALLER_ID_BUSINESS, "business")
ENUM_DECLARE(caller_id, CALLER_ID_LIST);

/* What the core has to know about a peer. */
struct peer_policy {
	enum caller_id caller_id;
	struct party business; /* number "": none, then the caller is shown */
	enum refer_mode refer; /* who carries REFERs out in calls with it */
	enum dtmf dtmf;        /* how keys are pressed for its menus */
	bool late_sdp;         /* it is called without SDP and offers itself (RFC 3725 flow I) */
	bool early_media;      /* its callers may wait in a queue in early media; else they are
				* answered */
	unsigned node;         /* it is the segued of this number, on the same database; 0: none */
};

struct core_peer {
	char name[USER_MAX];
	struct peer_policy policy;
};

#define NUMBER_SHORT_MAX 3 /* so many digits are a service such as 112, never a local number */

/* How people dial where segue stands. Germany: 49, "0", "00". North America: 1, "1", "011". */
struct numbering {
	char country[8];          /* country code, digits; "": not known */
	char area[12];            /* put before local numbers; "": they stay as they are */
	char trunk[8];            /* trunk prefix: what national numbers begin with, "" nothing */
	char international[8];    /* what international numbers begin with */
	unsigned national_digits; /* a number without any prefix is national from so many digits
				   * on; 0: never */
};

struct core_config {
	uint32_t first_gen; /* of ids: a slot's first call has the next one, so that what had an id in the
			     * process before is not taken for a call of this one */

	/* guards, milliseconds */
	int64_t setup_ms;    /* a first call rings this long before 408/480 goes back */
	int64_t ring_ms;     /* T_ring: a transfer target rings this long (E-026) */
	int64_t recall_ms;   /* a recalled transferor rings this long */
	int64_t join_ms;     /* from the target's answer to joined media */
	int64_t resume_ms;   /* T_resume: a transferor has this long to take the caller back (E-009) */
	int64_t bye_ms;      /* T_bye: after the final NOTIFY's answer (E-003) */
	int64_t notify_ms;   /* the final NOTIFY waits this long for its answer (E-005) */
	int64_t close_ms;    /* CLOSED must come within this; 64*T1 plus a margin */
	int64_t locate_ms;   /* the database has this long to say where a dialog is; 0: it is not
			      * asked, what is not here is unknown (E-090) */

	int64_t queue_ring_ms;  /* an offer of a queue rings this long, unless the queue says */
	int64_t queue_retry_ms; /* between offers that nobody took, unless the queue says */
	int64_t queue_wait_ms;  /* longest wait in a queue, unless the queue says */

	/* agents */
	unsigned away_after;  /* so many offers unanswered in a row set an agent away; 0: never */
	/* What an agent dials to choose an intent; "": nothing. Digits after code_away are the reason. */
	char code_available[16], code_away[16], code_logout[16];
	bool withdraw_away;   /* an offer that rings is withdrawn when its agent sets away (E-113) */

	/* media */
	char music_uri[NUM_MAX]; /* SIP URI that plays music where no engine does; "": none does */
	bool can_play;         /* there are media engines: a caller can be answered into music */
	char record_user[RECORD_MAX][USER_MAX];  /* whose calls are recorded; "*": everybody's */
	unsigned nrecord_user;
	char record_queue[RECORD_MAX][USER_MAX]; /* calls that came through one of these */
	unsigned nrecord_queue;
	bool record_hold;      /* a recording runs on during holds and consultations */
	char record_dir[FILE_MAX - UUID_STRLEN - 8]; /* where the files will be */
	enum hears ring_hears; /* MUSIC or RINGBACK: for who is held while somebody rings for them */

	/* consultation by phone */
	bool onhook_join;       /* an agent who hangs up while he consults puts the two together;
				 * false: the caller goes back to him, once (E-097) */
	bool dial_unknown;      /* REFER that replaces what is not there calls its target anew; false:
				 * 481 in the final NOTIFY (E-089, RFC 5589 section 7.7) */
	bool consult_belongs;   /* a consultation that led to nothing is part of the conversation too */

	/* policy */
	uint16_t no_answer_status; /* sipfrag when the target did not answer: 408 or 480 */
	bool refer_foreign;        /* follow a Refer-To to a foreign domain as a number (E-064) */
	bool ring_busy;            /* a target who is on a call is rung all the same (call waiting) */
	bool ring_away;            /* .. who is away */
	bool ring_unregistered;    /* .. who has no phone: fails then, and the chain goes on */
	bool redirect;             /* follow 3xx to own numbers (E-028) */
	unsigned redirect_max;     /* at most 5 */
	unsigned failover_code[FAILOVER_CODES_MAX]; /* statuses of a trunk that the next one may mend */
	unsigned nfailover_code;

	struct chain fallback[target_kind_count_]; /* by what was asked for; of TARGET_NONE, and
						    * where one is empty: for all the rest */
	char recall_prefix[32];                    /* before the name that a recall shows */
	char voicemail_prefix[NUM_MAX];            /* and the number: whose has no number set */

	struct core_peer peer[CORE_PEERS_MAX];
	unsigned npeer;

	struct numbering numbering;
	struct route route[ROUTES_MAX];
	unsigned nroute;
	struct route_index route_index; /* derived from route[]: dialplan_index() */
};

/* Sensible defaults, no routes: every number is looked up in the directory. */
void core_config_default(struct core_config *cfg);

#endif
