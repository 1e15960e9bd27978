/*
 * types: the plain data that events, actions and facts share. Everything here can be copied with
 * memcpy, written to a file and read back; nothing points anywhere.
 */
#ifndef SEGUE_CORE_TYPES_H
#define SEGUE_CORE_TYPES_H

#include "base/id.h"
#include "base/names.h"
#include "base/str.h"
#include "base/uuid.h"

#define NUM_MAX 64   /* a dialled number or user part, with NUL */
#define USER_MAX 64  /* users.name, queues.name, ivrs.name, peer names */
#define NAME_MAX_ 96 /* a display name */
#define KEY_MAX 96   /* an external case key, an asker */
#define FILE_MAX 256
#define TEXT_MAX 128 /* a reason phrase, a short explanation */
#define REPLACES_MAX 256 /* Call-ID and both tags of a dialog, as the value of a Replaces header */
#define DIGITS_MAX 32 /* keys of a phone, 0-9 * # A-D, and "," for a pause */
#define NOTE_MAX 240 /* one part of a remark that somebody wrote */

/* What somebody can be called to, or transferred to. */
#define TARGET_KIND_LIST(X)                                                                        \
	X(TARGET_NONE, "none")                                                                     \
	X(TARGET_USER, "user")                                                                     \
	X(TARGET_QUEUE, "queue")                                                                   \
	X(TARGET_IVR, "ivr")                                                                       \
	X(TARGET_EXTERNAL, "external")                                                             \
	X(TARGET_VOICEMAIL, "voicemail")
ENUM_DECLARE(target_kind, TARGET_KIND_LIST);

/* users.role: what somebody may do beyond his own calls, and which numbers he may dial. */
#define USER_ROLE_LIST(X)                                                                          \
	X(USER_AGENT, "agent")                                                                     \
	X(USER_SUPERVISOR, "supervisor")                                                           \
	X(USER_ADMIN, "admin")
ENUM_DECLARE(user_role, USER_ROLE_LIST);

/* Where an incoming INVITE comes from; the adapter has authenticated it. */
#define SOURCE_KIND_LIST(X)                                                                        \
	X(SOURCE_PEER, "peer")                                                                     \
	X(SOURCE_USER, "user")
ENUM_DECLARE(source_kind, SOURCE_KIND_LIST);

/* Who asked for something; records.md "asked_via". */
#define ORIGIN_LIST(X)                                                                             \
	X(ORIGIN_SIP, "sip") /* a party's own signalling: ringing, answering, hanging up */       \
	X(ORIGIN_REFER, "sip_refer")                                                               \
	X(ORIGIN_API, "api")                                                                       \
	X(ORIGIN_PANEL, "panel")                                                                   \
	X(ORIGIN_CTL, "ctl")                                                                       \
	X(ORIGIN_DTMF, "dtmf")                                                                     \
	X(ORIGIN_SYSTEM, "system")
ENUM_DECLARE(origin, ORIGIN_LIST);

/* Media direction as the party that wrote the SDP states it (RFC 4566 section 6). */
#define DIR_LIST(X)                                                                                \
	X(DIR_INACTIVE, "inactive")                                                                \
	X(DIR_RECVONLY, "recvonly")                                                                \
	X(DIR_SENDONLY, "sendonly")                                                                \
	X(DIR_SENDRECV, "sendrecv")
ENUM_DECLARE(dir, DIR_LIST);

/* What somebody hears. */
#define HEARS_LIST(X)                                                                              \
	X(HEARS_PEER, "peer")         /* whoever its session is with */                            \
	X(HEARS_MUSIC, "music")       /* and not the peer */                                       \
	X(HEARS_RINGBACK, "ringback")                                                              \
	X(HEARS_PLACE, "place")       /* an announcement of the place in a queue, once */         \
	X(HEARS_NOTHING, "nothing")
ENUM_DECLARE(hears, HEARS_LIST);

/* Whether a call is kept as sound. */
#define RECORD_WISH_LIST(X)                                                                        \
	X(WISH_CONFIG, "config") /* as the configuration says */                                   \
	X(WISH_START, "start")                                                                     \
	X(WISH_PAUSE, "pause")   /* not while the present agent has the call */                    \
	X(WISH_STOP, "stop")     /* not for the rest of the call */
ENUM_DECLARE(record_wish, RECORD_WISH_LIST);

/* Who takes a call that a phone is sent: its person, or the phone by itself (RFC 5373). */
#define ANSWERING_LIST(X)                                                                          \
	X(ANSWER_MANUAL, "manual")                                                                 \
	X(ANSWER_AUTO, "auto")
ENUM_DECLARE(answering, ANSWERING_LIST);

/* Whose audio runs through a media engine. */
#define ANCHOR_LIST(X)                                                                             \
	X(ANCHOR_NEVER, "never")                                                                   \
	X(ANCHOR_PEER, "peer")     /* if one of the two is a peer that asks for it */              \
	X(ANCHOR_ALWAYS, "always")
ENUM_DECLARE(anchoring, ANCHOR_LIST);

/* How keys are pressed for a peer (ACT_DIGITS). */
#define DTMF_LIST(X)                                                                               \
	X(DTMF_AUTO, "auto") /* in its audio, and by INFO if no engine carries that */             \
	X(DTMF_RTP, "rtp")   /* in its audio: telephone events (RFC 4733), or tones */             \
	X(DTMF_INFO, "info") /* INFO with application/dtmf-relay */
ENUM_DECLARE(dtmf, DTMF_LIST);

/* Who ends the dialog of a transferor after the transfer (E-003). */
#define BYE_POLICY_LIST(X)                                                                         \
	X(BYE_WAIT, "wait") /* the phone; segue after T_bye */                                     \
	X(BYE_NOW, "now")   /* segue, as soon as the final NOTIFY is answered */
ENUM_DECLARE(bye_policy, BYE_POLICY_LIST);

/* What the NOTIFYs of a REFER tell its sender (E-011). */
#define REFER_PROGRESS_LIST(X)                                                                     \
	X(REFER_PROGRESS_REAL, "real")           /* how it goes, and how it ends */                \
	X(REFER_PROGRESS_IMMEDIATE, "immediate") /* that it has worked, at once */
ENUM_DECLARE(refer_progress, REFER_PROGRESS_LIST);

/* Who carries a REFER out in calls with a peer (E-070, R-056). */
#define REFER_MODE_LIST(X)                                                                         \
	X(REFER_REJECT, "reject")       /* the peer may not refer; what others ask for we do */    \
	X(REFER_TERMINATE, "terminate") /* we do, whoever asks */                                  \
	X(REFER_TRANSPARENT, "transparent") /* the other side of the call; we, if it cannot */
ENUM_DECLARE(refer_mode, REFER_MODE_LIST);

/* What a body said about the session, as the SDP scanner saw it. The text itself stays with the
 * adapter, kept as the leg's latest remote SDP. */
#define SDP_WHAT_LIST(X)                                                                           \
	X(SDP_NONE, "none")     /* no session description in the message */                        \
	X(SDP_OFFER, "offer")                                                                      \
	X(SDP_ANSWER, "answer")                                                                    \
	X(SDP_BAD, "bad")       /* there was a body, and it is no usable SDP */
ENUM_DECLARE(sdp_what, SDP_WHAT_LIST);

struct sdp_note {
	enum sdp_what what;
	enum dir dir;  /* of the first active audio stream, else of the first active stream */
	bool same;     /* says nothing that the leg's previous SDP did not say (o= version aside). For
			* an answer also true if it merely picks from what was said before, or differs
			* in direction alone: that is in `dir`. */
	bool usable;   /* at least one stream has a port (false: port 0 everywhere, E-033) */
	bool image;    /* an active m=image stream: a fax is running (E-053) */
};

/* Where an outbound INVITE goes. */
#define DEST_KIND_LIST(X)                                                                          \
	X(DEST_CONTACT, "contact") /* one registered or static contact of a user */                \
	X(DEST_PEER, "peer")       /* a number through a peer (trunk, PBX, IVR platform) */      \
	X(DEST_MUSIC, "music")     /* a SIP URI that plays music to whoever calls it (RFC 7088) */
ENUM_DECLARE(dest_kind, DEST_KIND_LIST);

struct dest {
	enum dest_kind kind;
	char user[USER_MAX]; /* whose phone; "" for a peer */
	uint32_t contact;    /* DEST_CONTACT: the registrar's number for that contact */
	char peer[USER_MAX]; /* DEST_PEER: name of the peer in the config */
	char number[NUM_MAX]; /* user part of the Request-URI; DEST_MUSIC: all of that URI */
};

/* ---- queues and agents ------------------------------------------------------------------------ */

#define SKILL_MAX 32    /* name of a skill */
#define REASON_MAX 32   /* why an agent is away */
#define ZONE_MAX 48     /* a time zone as the IANA calls it, such as Europe/Berlin */
#define OVERFLOW_MAX 6  /* places where a queue sends those whom it does not take */
#define NEEDS_MAX 8     /* skills that one queue asks for */

/* Which free agent is offered the next caller. */
#define STRATEGY_LIST(X)                                                                           \
	X(STRATEGY_LONGEST_IDLE, "longest_idle") /* who has had no call for the longest time */    \
	X(STRATEGY_RING_ALL, "ring_all")         /* everybody who is free, at once */              \
	X(STRATEGY_ROUND_ROBIN, "round_robin")   /* in turns: whoever was offered a caller least   \
						    recently, answered or not */                   \
	X(STRATEGY_FEWEST_CALLS, "fewest_calls") /* who has answered the fewest callers */         \
	X(STRATEGY_LEAST_TALK, "least_talk")     /* who has talked with callers the least */       \
	X(STRATEGY_LINEAR, "linear")             /* by the members' order, always from the start */\
	X(STRATEGY_RANDOM, "random")             /* by lot; a member's weight is its number of lots */\
	X(STRATEGY_SKILLS, "skills")             /* who misses the least of what the queue needs */\
	X(STRATEGY_PROGRESSIVE, "progressive")   /* one first, one more each ring_ms, until all ring */
ENUM_DECLARE(strategy, STRATEGY_LIST);

/* When a queue counts as empty, so that nobody may join or that those who wait must leave. */
#define EMPTY_RULE_LIST(X)                                                                         \
	X(EMPTY_LOGGED_OUT, "logged_out") /* nobody is logged in with a phone that can be reached */ \
	X(EMPTY_AWAY, "away")             /* .. and takes calls: who is away does not count */     \
	X(EMPTY_NEVER, "never")
ENUM_DECLARE(empty_rule, EMPTY_RULE_LIST);

/* What a caller hears who has not been answered yet when he enters a queue. */
#define QUEUE_ENTRY_LIST(X)                                                                        \
	X(ENTRY_ANSWER, "answer") /* is answered, and hears music */                               \
	X(ENTRY_RING, "ring")     /* hears it ring until an agent answers: nothing to pay until then */ \
	X(ENTRY_EARLY, "early")   /* the same, and hears music meanwhile, as early media */
ENUM_DECLARE(queue_entry, QUEUE_ENTRY_LIST);

/* Where a queue sends a caller on. */
#define OVERFLOW_KIND_LIST(X)                                                                      \
	X(OVERFLOW_QUEUE, "queue")         /* target: name of a queue */                           \
	X(OVERFLOW_USER, "user")           /* name of a user */                                    \
	X(OVERFLOW_IVR, "ivr")             /* name of an IVR */                                    \
	X(OVERFLOW_VOICEMAIL, "voicemail") /* number of a mailbox, as the dial plan knows it */    \
	X(OVERFLOW_EXTERNAL, "external")   /* number, likewise */                                  \
	X(OVERFLOW_ANNOUNCE, "announcement") /* number, likewise; the call ends with it */
ENUM_DECLARE(overflow_kind, OVERFLOW_KIND_LIST);

struct overflow {
	enum overflow_kind kind;
	char target[NUM_MAX];
};

/* What an agent wants; stored. */
#define AGENT_INTENT_LIST(X)                                                                       \
	X(INTENT_AVAILABLE, "available")                                                           \
	X(INTENT_AWAY, "away")                                                                     \
	X(INTENT_LOGGED_OUT, "logged_out")
ENUM_DECLARE(agent_intent, AGENT_INTENT_LIST);

/* What is true of an agent; derived from intent, phones and live legs, never set. The first in this
 * order that is true. */
#define AGENT_STATE_LIST(X)                                                                        \
	X(AGENT_TALKING, "talking")         /* a call is answered, queue or not */                 \
	X(AGENT_RINGING, "ringing")         /* a phone rings, or dials */                          \
	X(AGENT_LOGGED_OUT, "logged_out")                                                          \
	X(AGENT_UNREACHABLE, "unreachable") /* no contact, or none that answers OPTIONS */         \
	X(AGENT_AWAY, "away")                                                                      \
	X(AGENT_WRAPUP, "wrapup")           /* finishes what the last caller left to do */         \
	X(AGENT_FREE, "free")               /* may be offered a caller */
ENUM_DECLARE(agent_state, AGENT_STATE_LIST);

/* How a peer is told who sent a call on to it. */
#define DIVERSION_LIST(X)                                                                          \
	X(DIVERSION_NONE, "none")                                                                  \
	X(DIVERSION_HEADER, "diversion")     /* RFC 5806 */                                        \
	X(DIVERSION_HISTORY, "history_info") /* RFC 7044 */
ENUM_DECLARE(diversion, DIVERSION_LIST);

/* The party on the other end of a leg, as it presents itself. */
struct party {
	char number[NUM_MAX];
	char name[NAME_MAX_];
	bool anonymous; /* identity is to be kept from untrusted peers (RFC 3323, R-062) */
};

#endif
