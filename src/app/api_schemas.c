/* api_schemas: see api_schemas.h. */
#include "app/api_internal.h"
#include "core/fact.h"

#include <stdlib.h>

ENUM_DEFINE(api_schema, API_SCHEMA_LIST)

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum kind {
	TEXT,
	INT,
	NUMBER,
	BOOL,
	TIME, /* RFC 3339 */
	DAY,
	UUID,
	OBJECT, /* `of` */
	LIST,   /* of `of` */
	TEXTS,  /* a list of texts */
	WORDS,  /* a list of words */
	MAP,    /* of lists of `of` */
	NOTES,  /* a map of texts */
	ABLE,   /* true, or a word that says why not */
	ANY,
};

enum when {
	ALWAYS,
	OR_NULL,
	MAY_LACK,
	MAY_LACK_OR_NULL,
};

/* The i-th word, NULL behind the last. */
typedef const char *words_fn(unsigned i);

struct property {
	const char *name;
	enum kind kind;
	enum when when;
	const char *doc;
	enum api_schema of;
	words_fn *words;
	const char *choice; /* likewise: words of no name table, blank separated */
};

#define BASES_MAX   3
#define CHOICES_MAX 4

struct schema {
	const char *doc;
	const struct property *own;
	unsigned nown;
	enum api_schema base[BASES_MAX];     /* their properties come first */
	enum api_schema one_of[CHOICES_MAX]; /* instead of properties */
};

/* ---- words ----------------------------------------------------------------------------------- */

#define NAMES(tag)                                                                                 \
	static const char *words_of_##tag(unsigned i)                                              \
	{                                                                                          \
		return i < (unsigned)tag##_count_ ? tag##_name((int)i) : NULL;                     \
	}
NAMES(perm)
NAMES(viewer_role)
NAMES(user_role)
NAMES(agent_state)
NAMES(agent_intent)
NAMES(target_kind)
NAMES(fallback_kind)
NAMES(origin)
NAMES(xfer_kind)

#define VIEW_WORDS(name, which)                                                                    \
	static const char *words_of_##name(unsigned i)                                             \
	{                                                                                          \
		return core_word(which, i);                                                        \
	}
VIEW_WORDS(table_state, WORDS_STATE)
VIEW_WORDS(call_kind, WORDS_KIND)
VIEW_WORDS(interval, WORDS_INTERVAL)
VIEW_WORDS(role, WORDS_ROLE)
VIEW_WORDS(leg_state, WORDS_LEG)

/* Those of constraints of the tables, and of who writes them. */
#define STAGES		 "asked accepted ringing answered joined ended"
#define OUTCOMES	 "completed failed cancelled abandoned recalled fell_back"
#define SEGMENT_KINDS	 "agent queue ivr consult external voicemail recall monitor"
#define CONVERSATION_ENDS "live answered abandoned failed"
#define WHY_NOTS                                                                                   \
	"not_answered no_agent transfer_running consulting no_transfer no_consultation not_alone " \
	"not_waiting held not_held not_now ended in_menu voicemail fax"

/* ---- errors ---------------------------------------------------------------------------------- */

static const struct property error[] = {
	{"error", OBJECT, ALWAYS, "What is wrong.", SCHEMA_ERROR_DETAIL},
};

static const struct property error_detail[] = {
	{"code", TEXT, ALWAYS, "A word for programs: see the table of errors in docs/api-shapes.md."},
	{"message", TEXT, ALWAYS, "A sentence for people."},
	{"field", TEXT, MAY_LACK, "400, 403: which field, parameter or header it is about."},
	{"permission", TEXT, MAY_LACK, "403: which permission is missing.", .words = words_of_perm},
	{"department", TEXT, MAY_LACK_OR_NULL, "403 not_yours: whose it is, for supervisors."},
	{"state", TEXT, MAY_LACK, "The state of the call now.", .choice = API_SHOWN_STATES},
	{"call", OBJECT, MAY_LACK, "The call as it is now.", SCHEMA_CALL},
};

/* ---- who one is ------------------------------------------------------------------------------ */

static const struct property me[] = {
	{"user", TEXT, OR_NULL, "Name of the user; null: a token of no user."},
	{"name", TEXT, ALWAYS, "Name for people, of the user or the token."},
	{"number", TEXT, OR_NULL, "The user's number."},
	{"role", TEXT, ALWAYS, "What is seen.", .words = words_of_viewer_role},
	{"permissions", WORDS, ALWAYS, "What may be done.", .words = words_of_perm},
	{"departments", TEXTS, ALWAYS, "Queues that are supervised."},
	{"numbers_masked", BOOL, ALWAYS, "Outside numbers are shown without their middle."},
	{"limits", OBJECT, ALWAYS, "When a panel shall warn.", SCHEMA_LIMITS},
	{"now", TIME, ALWAYS, "The time at segue."},
};

static const struct property limits[] = {
	{"long_call_ms", INT, ALWAYS, "A call that goes on for longer is long; 0: none is."},
	{"long_away_ms", INT, ALWAYS, "An agent who is away for longer is long away; 0: none is."},
};

/* ---- calls ----------------------------------------------------------------------------------- */

static const struct property calls[] = {
	{"at", TIME, ALWAYS, "When this was so."},
	{"total", INT, ALWAYS, "How many fit, also those that are not in this answer."},
	{"next", INT, OR_NULL, "What to send as `cursor` for those that come after; null: there are none."},
	{"calls", LIST, ALWAYS, "The calls, oldest first, each as it is when it is written.", SCHEMA_CALL},
};

static const struct property call[] = {
	{"id", TEXT, ALWAYS, "Id of the call, such as 17.841858. No call after a restart has it."},
	{"conversation", UUID, OR_NULL, "Id of its conversation: the key of all that is on record."},
	{"kind", TEXT, ALWAYS, "From where to where.", .words = words_of_call_kind},
	{"state", TEXT, ALWAYS, "Its state for people.", .choice = API_SHOWN_STATES},
	{"table_state", TEXT, ALWAYS, "Its row in the table of docs/transfers.md.",
		.words = words_of_table_state},
	{"interval", TEXT, OR_NULL, "What its time counts as now.", .words = words_of_interval},
	{"customer", OBJECT, ALWAYS, "The outside party.", SCHEMA_CUSTOMER},
	{"dialled", TEXT, OR_NULL, "The number that was dialled."},
	{"source", TEXT, OR_NULL, "The trunk or user that it came from."},
	{"with", OBJECT, OR_NULL, "Who talks with the customer.", SCHEMA_WITH},
	{"started_at", TIME, OR_NULL, "When it came in or was dialled."},
	{"since", TIME, OR_NULL, "When the table's state began."},
	{"deadline", TIME, OR_NULL, "When the table's state ends by its guard, such as a target's ringing."},
	{"queue", OBJECT, OR_NULL, "Its place while it waits in a queue.", SCHEMA_PLACE},
	{"department", TEXT, OR_NULL, "The queue that it came through, also after the answer."},
	{"transfer", OBJECT, OR_NULL, "The transfer that is running.", SCHEMA_TRANSFER},
	{"recording", TEXT, ALWAYS, "Is it being recorded?", .choice = "on paused off"},
	{"case", TEXT, OR_NULL, "Key of its case, if a CRM gave one."},
	{"recovered", BOOL, ALWAYS, "It began under the segued before this one."},
	{"parties", LIST, ALWAYS, "Its legs.", SCHEMA_PARTY},
	{"so_far", LIST, ALWAYS, "What its parties besides the customer have been doing, the latest 48.",
		SCHEMA_SPAN},
	{"can", OBJECT, ALWAYS, "What can be done with it now.", SCHEMA_CAN},
};

static const struct property customer[] = {
	{"number", TEXT, OR_NULL, "The number, maybe without its middle; null: withheld."},
	{"name", TEXT, OR_NULL, "The name that came with it."},
};

static const struct property with[] = {
	{"user", TEXT, OR_NULL, "Name of the user; null: an outside number or a menu."},
	{"name", TEXT, OR_NULL, "Name for people."},
	{"number", TEXT, OR_NULL, "The number."},
};

static const struct property place[] = {
	{"name", TEXT, ALWAYS, "Name of the queue."},
	{"position", INT, ALWAYS, "Place in it, from 1."},
	{"estimate_ms", INT, ALWAYS, "How long it will wait still; -1: nobody knows."},
};

static const struct property party[] = {
	{"leg", TEXT, ALWAYS, "Id of the leg, such as 17.2.1."},
	{"role", TEXT, ALWAYS, "Its part in the call.", .words = words_of_role},
	{"state", TEXT, ALWAYS, "The state of its dialog.", .words = words_of_leg_state},
	{"direction", TEXT, ALWAYS, "in: it called; out: it was called.", .choice = "in out"},
	{"user", TEXT, OR_NULL, "Name of the user; null: somebody outside."},
	{"name", TEXT, OR_NULL, "Name for people."},
	{"number", TEXT, OR_NULL, "Its number."},
	{"peer", TEXT, OR_NULL, "The trunk it is behind."},
	{"changing", BOOL, ALWAYS, "Its media is being changed."},
	{"since", TIME, OR_NULL, "When the state of its dialog began."},
};

static const struct property span[] = {
	{"state", TEXT, ALWAYS, "What the time counts as.", .words = words_of_interval},
	{"from", TIME, OR_NULL, "When it began."},
	{"to", TIME, OR_NULL, "When it ended; null: it goes on."},
};

#define CAN(verb, what) {verb, ABLE, ALWAYS, what, .choice = WHY_NOTS}
static const struct property can[] = {
	CAN("transfer", "POST transfer: true, or why not."),
	CAN("move", "POST transfer of somebody who waits in a queue."),
	CAN("consult", "POST transfer with kind consult."),
	CAN("complete", "POST complete."),
	CAN("swap", "POST swap."),
	CAN("cancel", "POST cancel."),
	CAN("resume", "POST resume."),
	CAN("hold", "POST hold."),
	CAN("unhold", "POST unhold."),
	CAN("hangup", "POST hangup."),
};

static const struct property ended_call[] = {
	{"id", TEXT, ALWAYS, "Id of the call that was."},
	{"state", TEXT, ALWAYS, "It has ended meanwhile.", .choice = "ended"},
};

static const struct property call_detail[] = {
	{"segments", LIST, ALWAYS, "The visits of its parties so far.", SCHEMA_SEGMENT},
	{"story", LIST, ALWAYS, "What happened, in sentences; empty for who sees numbers masked.",
		SCHEMA_SENTENCE},
	{"sip_call_id", TEXT, ALWAYS, "Call-ID of its first leg."},
};

#define SEGMENT_HEAD                                                                               \
	{"id", UUID, ALWAYS, "Id of the visit."},                                                  \
	{"seq", INT, ALWAYS, "Order within the conversation, from 1."},                            \
	{"kind", TEXT, ALWAYS, "Who visits.", .choice = SEGMENT_KINDS},                            \
	{"who", TEXT, OR_NULL, "Name of the user, queue or IVR; null: an outside number."},        \
	{"name", TEXT, OR_NULL, "Name for people."},                                               \
	{"number", TEXT, OR_NULL, "Number that was called."},                                      \
	{"offered_at", TIME, ALWAYS, "When it was rung, or entered."},                             \
	{"answered_at", TIME, OR_NULL, "When it answered."},                                       \
	{"ended_at", TIME, OR_NULL, "When it was released; null: it goes on."},                    \
	{"outcome", TEXT, OR_NULL,                                                                 \
		"How it ended, such as completed, transferred, busy, no_answer, declined."},       \
	{"transfer_in", UUID, OR_NULL, "The transfer that brought the customer."}

#define SEGMENT_SUMS(when, more)                                                                   \
	{"ring_ms", INT, when, "It rang." more},                                                   \
	{"talk_ms", INT, when, "Joined with the customer, neither side holding."},                 \
	{"hold_ms", INT, when, "It holds the customer."},                                          \
	{"held_ms", INT, when, "The customer holds it."},                                          \
	{"consult_ms", INT, when, "It consults, or is consulted."},                                \
	{"wait_ms", INT, when, "The customer waits in this queue."}

static const struct property segment[] = {
	SEGMENT_HEAD,
	SEGMENT_SUMS(ALWAYS, " Sums of one that goes on are of what is over."),
};

static const struct property sentence[] = {
	{"at", TIME, OR_NULL, "When."},
	{"text", TEXT, ALWAYS, "What happened."},
};

/* ---- transfers ------------------------------------------------------------------------------- */

static const struct property transfer_target[] = {
	{"kind", TEXT, OR_NULL, "What it is.", .words = words_of_target_kind},
	{"name", TEXT, OR_NULL, "Name of the user, queue or IVR."},
	{"number", TEXT, OR_NULL, "The number that was asked for."},
};

static const struct property transfer_wish[] = {
	{"id", UUID, ALWAYS, "Id of the transfer."},
	{"kind", TEXT, ALWAYS, "How.", .words = words_of_xfer_kind},
	{"via", TEXT, ALWAYS, "By what it was asked for.", .words = words_of_origin},
	{"asker", TEXT, OR_NULL, "Who asked for it: a user, a token, a number."},
	{"target", OBJECT, ALWAYS, "To whom.", SCHEMA_TARGET_OF},
	{"attempt", INT, ALWAYS, "1: as asked for; more: a step of the fallback chain."},
	{"outcome", TEXT, OR_NULL, "How it ended; null: it runs.", .choice = OUTCOMES},
	{"cause", TEXT, OR_NULL,
		"Why it failed, such as busy, no_answer, declined, unreachable, not_permitted."},
	{"asked_at", TIME, ALWAYS, "When it was asked for."},
	{"ringing_at", TIME, OR_NULL, "When the target rang."},
	{"answered_at", TIME, OR_NULL, "When the target answered."},
	{"ended_at", TIME, OR_NULL, "When its outcome was settled."},
	{"previous", UUID, OR_NULL, "The transfer whose fallback this is."},
	{"next", UUID, OR_NULL, "The step of the fallback chain that followed."},
};

static const struct property transfer[] = {
	{"call", TEXT, OR_NULL, "Id of the call."},
	{"conversation", UUID, OR_NULL, "Id of the conversation."},
	{"stage", TEXT, ALWAYS, "How far it has come.", .choice = STAGES},
	{"sip_status", INT, OR_NULL, "The SIP status behind the cause; 0 or null: none."},
	{"joined_at", TIME, MAY_LACK_OR_NULL, "When both were joined; of transfers on record."},
	{"from_segment", UUID, MAY_LACK_OR_NULL, "The visit that ended by it; of transfers on record."},
	{"to_segment", UUID, MAY_LACK_OR_NULL, "The visit that began by it; of transfers on record."},
};

static const struct property past_transfer[] = {
	{"sip_status", INT, OR_NULL, "The SIP status behind the cause; 0 or null: none."},
	{"joined_at", TIME, OR_NULL, "When both were joined."},
	{"from_segment", UUID, OR_NULL, "The visit that ended by it."},
	{"to_segment", UUID, OR_NULL, "The visit that began by it."},
};

/* ---- targets --------------------------------------------------------------------------------- */

static const struct property targets[] = {
	{"at", TIME, ALWAYS, "When this was so."},
	{"call", TEXT, ALWAYS, "Id of the call."},
	{"ring_ms", INT, ALWAYS, "How long a target is rung."},
	{"targets", LIST, ALWAYS, "Everybody; with `number` that number alone.", SCHEMA_TARGET},
	{"fallback", MAP, ALWAYS, "The chain that a transfer to each kind of target walks.", SCHEMA_STEP},
};

static const struct property fallback_step[] = {
	{"kind", TEXT, ALWAYS, "What is done.", .words = words_of_fallback_kind},
	{"target", TEXT, ALWAYS, "User, queue or number; empty: it needs none."},
};

static const struct property judged[] = {
	{"dial", TEXT, ALWAYS, "What to send as `number`."},
	{"selectable", BOOL, ALWAYS, "It may be asked for."},
	{"available", BOOL, ALWAYS, "It is selectable, and no reason stands against it."},
	{"reason", TEXT, OR_NULL, "What stands against it, or what to expect; words in docs/api-shapes.md."},
	{"text", TEXT, OR_NULL, "The reason for people."},
};

#define KIND(word) {"kind", TEXT, ALWAYS, "What it is.", .choice = word}
static const struct property target_user[] = {KIND("user")};
static const struct property target_queue[] = {KIND("queue")};
static const struct property target_menu[] = {KIND("ivr")};
static const struct property target_number[] = {
	{"kind", TEXT, ALWAYS, "What the number is.", .words = words_of_target_kind},
	{"name", TEXT, OR_NULL, "Name of the user, queue, IVR or trunk."},
	{"number", TEXT, ALWAYS, "The number as it was asked for."},
	{"class", TEXT, OR_NULL, "Class of an outside number: local, national, international, or a row of "
				 "segue.number_classes."},
};

/* ---- people and queues ----------------------------------------------------------------------- */

#define AT {"at", TIME, ALWAYS, "When this was so."}
static const struct property agents[] = {
	AT, {"agents", LIST, ALWAYS, "Everybody with a phone.", SCHEMA_AGENT}};
static const struct property queues[] = {AT, {"queues", LIST, ALWAYS, "All queues.", SCHEMA_QUEUE}};

static const struct property agent[] = {
	{"user", TEXT, ALWAYS, "Name of the user."},
	{"name", TEXT, OR_NULL, "Name for people."},
	{"number", TEXT, OR_NULL, "Own number."},
	{"role", TEXT, ALWAYS, "Role in the directory.", .words = words_of_user_role},
	{"enabled", BOOL, ALWAYS, "Not switched off by an admin."},
	{"registered", BOOL, ALWAYS, "A phone is registered."},
	{"state", TEXT, ALWAYS, "What the agent does.", .words = words_of_agent_state},
	{"since", TIME, OR_NULL, "Since when; null: nothing has happened yet."},
	{"until", TIME, OR_NULL, "When wrapup ends."},
	{"intent", TEXT, OR_NULL, "What the agent wants; null: answers no queue.",
		.words = words_of_agent_intent},
	{"reason", TEXT, OR_NULL, "Why away."},
	{"intent_by", TEXT, OR_NULL, "Who said so."},
	{"call", TEXT, OR_NULL, "Id of the call that the agent is on."},
	{"queues", TEXTS, ALWAYS, "Queues that the agent answers."},
	{"answered", INT, ALWAYS, "Queue callers answered since segued was started."},
	{"talk_ms", INT, ALWAYS, "Talk with them."},
};

static const struct property queue[] = {
	{"queue", TEXT, ALWAYS, "Name of the queue."},
	{"name", TEXT, OR_NULL, "Name for people."},
	{"number", TEXT, OR_NULL, "Its number."},
	{"waiting", INT, ALWAYS, "Callers who wait."},
	{"longest_since", TIME, OR_NULL, "Since when the first of them waits."},
	{"estimate_ms", INT, ALWAYS, "How long who would come now would wait; -1: nobody knows."},
	{"members", INT, ALWAYS, "Agents of the queue."},
	{"agents", OBJECT, ALWAYS, "How many of them are in each state.", SCHEMA_QUEUE_AGENTS},
	{"closed", BOOL, ALWAYS, "It takes no callers at this hour; until opens_at."},
	{"opens_at", TIME, OR_NULL, "When it opens next; null: not known, or it has no hours."},
	{"closes_at", TIME, OR_NULL, "When it closes, if it is open; null as there."},
	{"time_zone", TEXT, OR_NULL, "In which its hours are set, such as Europe/Berlin; null: it has none."},
	{"service_ms", INT, ALWAYS, "Who is answered within it is answered in time; 0: no goal."},
	{"service_goal", INT, ALWAYS, "Per cent of the callers who should be."},
	{"max_length", INT, ALWAYS, "How many may wait; 0: any number."},
	{"entered", INT, ALWAYS, "Callers since segued was started."},
	{"answered", INT, ALWAYS, "Of these: answered."},
	{"in_time", INT, ALWAYS, "Of these: in time."},
	{"abandoned", INT, ALWAYS, "Left before an answer."},
	{"overflowed", INT, ALWAYS, "Sent on unanswered."},
};

static const struct property menu[] = {
	{"ivr", TEXT, ALWAYS, "Name of the IVR."},
	{"name", TEXT, OR_NULL, "Name for people."},
	{"number", TEXT, ALWAYS, "Its number."},
};

/* ---- history --------------------------------------------------------------------------------- */

static const struct property conversations[] = {
	{"conversations", LIST, ALWAYS, "Newest first.", SCHEMA_CONVERSATION},
	{"next", UUID, OR_NULL, "What to send as `cursor` for the next page; null: there is none."},
};

static const struct property sums[] = {
	{"total_ms", INT, OR_NULL, "Start to end; null while it goes on, as all sums."},
	{"ring_ms", INT, OR_NULL, "The customer waits for the first answer outside a queue."},
	{"wait_ms", INT, OR_NULL, "The customer waits in queues."},
	{"talk_ms", INT, OR_NULL, "Somebody talks with the customer."},
	{"hold_ms", INT, OR_NULL, "The customer is on hold."},
	{"held_ms", INT, OR_NULL, "The customer holds."},
	{"consult_ms", INT, OR_NULL, "The customer is held for a consultation."},
	{"limbo_ms", INT, OR_NULL, "The customer is with nobody."},
	{"ivr_ms", INT, OR_NULL, "The customer is with a menu or a voicemail."},
};

static const struct property conversation_row[] = {
	{"id", UUID, ALWAYS, "Id of the conversation."},
	{"call", TEXT, OR_NULL, "Id of its call in the log."},
	{"kind", TEXT, ALWAYS, "From where to where.", .words = words_of_call_kind},
	{"customer", OBJECT, ALWAYS, "The outside party.", SCHEMA_CUSTOMER},
	{"dialled", TEXT, OR_NULL, "The number that was dialled."},
	{"source", TEXT, OR_NULL, "The trunk or user that it came from."},
	{"started_at", TIME, ALWAYS, "When it came in or was dialled."},
	{"ended_at", TIME, OR_NULL, "When it was over; null: it goes on."},
	{"outcome", TEXT, ALWAYS, "How it ended.", .choice = CONVERSATION_ENDS},
	{"ended_by", TEXT, OR_NULL, "Who ended it: customer, agent, external, transfer, system or command."},
	{"sip_cause", INT, OR_NULL, "SIP status that ended it; 0: a plain BYE."},
	{"estimated", BOOL, ALWAYS, "Its end was not seen: times end at the last known event."},
	{"merged_into", UUID, OR_NULL, "The older conversation that it became part of."},
	{"linked_to", UUID, OR_NULL, "The conversation on another node that a party came from."},
	{"transferred", BOOL, ALWAYS, "A transfer was completed."},
	{"failed_transfers", INT, ALWAYS, "How many transfers failed."},
	{"case", OBJECT, OR_NULL, "Its case; null of internal calls.", SCHEMA_CASE_OF},
	{"notes", INT, ALWAYS, "How many notes."},
	{"recordings", INT, ALWAYS, "How many recordings."},
};

static const struct property conversation[] = {
	{"segments", LIST, ALWAYS, "The visits of its parties.", SCHEMA_PAST_SEGMENT},
};

static const struct property past_segment[] = {
	SEGMENT_HEAD,
	{"tracking", TEXT, OR_NULL, "lost: the call was handed over, nobody knows how long it lasts.",
		.choice = "lost"},
	SEGMENT_SUMS(OR_NULL, " Sums are null while it goes on."),
	{"intervals", LIST, ALWAYS, "Its time, cut without gaps.", SCHEMA_INTERVAL},
};

static const struct property past_segment_detail[] = {
	{"merged_from", UUID, OR_NULL, "The conversation in which it began, if that was merged."},
	{"sip_cause", INT, OR_NULL, "SIP status that ended it; 0: none."},
	{"released_by", TEXT, OR_NULL, "Who ended it."},
	{"previous", UUID, OR_NULL, "The visit that the customer came from."},
	{"transfer_out", UUID, OR_NULL, "The transfer that took the customer away."},
	{"acw_ms", INT, OR_NULL, "Work after the call."},
	{"limbo_ms", INT, OR_NULL, "The customer is with nobody."},
};

static const struct property interval[] = {
	{"state", TEXT, ALWAYS, "What the time counts as.", .words = words_of_interval},
	{"from", TIME, ALWAYS, "When it began."},
	{"to", TIME, ALWAYS, "When the next one began."},
	{"ms", INT, ALWAYS, "How long it lasted."},
};

static const struct property conversation_detail[] = {
	{"sip_call_id", TEXT, OR_NULL, "Call-ID of its first leg."},
	{"segments", LIST, ALWAYS, "The visits of its parties.", SCHEMA_PAST_SEGMENT_DETAIL},
	{"transfers", LIST, ALWAYS, "Its transfers, as asked for.", SCHEMA_PAST_TRANSFER},
	{"timeline", LIST, ALWAYS, "What happened, in order.", SCHEMA_PAST_ENTRY},
	{"remarks", LIST, ALWAYS, "Its notes.", SCHEMA_REMARK},
	{"recorded", LIST, ALWAYS, "Its recordings.", SCHEMA_RECORDED},
};

static const struct property timeline_entry[] = {
	{"conversation", UUID, ALWAYS, "Id of the conversation."},
	{"seq", INT, ALWAYS, "Order within it, from 1, without gaps."},
	{"at", TIME, ALWAYS, "When."},
	{"type", TEXT, ALWAYS, "What, such as answered, transfer_requested, note; more may come."},
	{"actor", TEXT, OR_NULL, "Who did it."},
	{"via", TEXT, ALWAYS, "By what.", .words = words_of_origin},
	{"segment", UUID, OR_NULL, "The visit that it is about."},
	{"transfer", UUID, OR_NULL, "The transfer that it is about."},
	{"data", NOTES, ALWAYS, "More, by name; empty for who sees numbers masked."},
};
static const struct property live_entry[] = {{"call", TEXT, ALWAYS, "Id of the call."}};
static const struct property past_entry[] = {
	{"headline", BOOL, ALWAYS, "Part of the short story."}};

static const struct property remark[] = {
	{"id", UUID, ALWAYS, "Id of the note."},
	{"author", TEXT, OR_NULL, "Who wrote it."},
	{"at", TIME, ALWAYS, "When."},
	{"text", TEXT, ALWAYS, "The note."},
};

static const struct property recorded[] = {
	{"id", UUID, ALWAYS, "Id of the recording: see /api/v1/recordings/{recording}."},
	{"segment", UUID, OR_NULL, "The visit that was recorded."},
	{"started_at", TIME, ALWAYS, "When it began."},
	{"ended_at", TIME, OR_NULL, "When it ended; null: it goes on."},
};

#define CASE_HEAD                                                                                  \
	{"id", UUID, ALWAYS, "Id of the case."},                                                   \
	{"key", TEXT, OR_NULL, "Key in the CRM; null: segue's own."},                              \
	{"origin", TEXT, ALWAYS, "Who made it.", .choice = "segue external"},                      \
	{"owner", TEXT, OR_NULL, "User who has it: the last to answer the customer."},             \
	{"opened_at", TIME, ALWAYS, "When it was opened."},                                        \
	{"closed_at", TIME, OR_NULL, "When it was closed; null: open."}
static const struct property case_of[] = {CASE_HEAD};
static const struct property case_own[] = {
	{"owner_since", TIME, OR_NULL, "When that user answered."},
	{"customer", OBJECT, ALWAYS, "The customer as the first call showed them.", SCHEMA_CUSTOMER},
	{"conversations", LIST, ALWAYS, "Its conversations, newest first.", SCHEMA_CASE_CONVERSATION},
	{"timeline", LIST, ALWAYS, "What happened in all of them, in order.", SCHEMA_PAST_ENTRY},
};
static const struct property case_conversation[] = {
	{"id", UUID, ALWAYS, "Id of the conversation."},
	{"kind", TEXT, ALWAYS, "From where to where.", .words = words_of_call_kind},
	{"started_at", TIME, ALWAYS, "When it came in or was dialled."},
	{"ended_at", TIME, OR_NULL, "When it was over; null: it goes on."},
	{"outcome", TEXT, ALWAYS, "How it ended.", .choice = CONVERSATION_ENDS},
};

static const struct property contact[] = {
	{"number", TEXT, ALWAYS, "The customer's number."},
	{"names", TEXTS, ALWAYS, "Names that came with it."},
	{"conversations", INT, ALWAYS, "How many conversations."},
	{"first_at", TIME, ALWAYS, "Start of the first."},
	{"last_at", TIME, ALWAYS, "Start of the last."},
	{"talk_ms", INT, ALWAYS, "Talk in all of them."},
	{"cases", LIST, ALWAYS, "Their cases, newest first.", SCHEMA_CASE_OF},
	{"agents", LIST, ALWAYS, "Who talked with them, the longest first.", SCHEMA_CONTACT_AGENT},
};
static const struct property contact_agent[] = {
	{"user", TEXT, ALWAYS, "Name of the user."},
	{"conversations", INT, ALWAYS, "In how many conversations."},
	{"talk_ms", INT, ALWAYS, "For how long."},
};

static const struct property agent_days[] = {
	{"agents", LIST, ALWAYS, "By day and user.", SCHEMA_AGENT_DAY}};
static const struct property agent_day[] = {
	{"user_name", TEXT, ALWAYS, "Name of the user."},
	{"day", DAY, ALWAYS, "The day."},
	{"offers", INT, ALWAYS, "Times the user was rung."},
	{"answers", INT, ALWAYS, "Of these: answered."},
	{"talk_ms", INT, ALWAYS, "Joined with a customer, neither side holding."},
	{"hold_ms", INT, ALWAYS, "With a customer on hold."},
	{"held_ms", INT, ALWAYS, "Held by a customer."},
	{"consult_ms", INT, ALWAYS, "Consulting a colleague, or consulted."},
	{"ring_ms", INT, ALWAYS, "Rung."},
	{"acw_ms", INT, ALWAYS, "Wrap-up: work after calls."},
	{"handle_ms", INT, ALWAYS, "Talk, hold, consult and wrap-up."},
	{"transfers_in", INT, ALWAYS, "Callers taken over by a completed transfer."},
	{"transfers_out", INT, ALWAYS, "Completed transfers asked for."},
	{"queue_offers", INT, ALWAYS, "Of offers: callers of queues."},
	{"queue_answers", INT, ALWAYS, "Of these: answered."},
	{"queue_missed", INT, ALWAYS, "Of these: declined, busy or not answered."},
	{"logged_in_ms", INT, ALWAYS, "In any state but logged_out."},
	{"free_ms", INT, ALWAYS, "Free to be offered a caller."},
	{"away_ms", INT, ALWAYS, "Away, while on no call."},
};

static const struct property queue_times[] = {
	{"queues", LIST, ALWAYS, "By time and queue.", SCHEMA_QUEUE_TIME}};
static const struct property queue_time[] = {
	{"queue", TEXT, OR_NULL, "Name of the queue."},
	{"hour", TIME, MAY_LACK, "Start of the hour; not with `by`."},
	{"half_hour", TIME, MAY_LACK, "Start of the half hour; with by=half_hour."},
	{"offered", INT, ALWAYS, "Callers who came while it was open."},
	{"answered", INT, ALWAYS, "Of these: answered by an agent."},
	{"abandoned", INT, ALWAYS, "Left before an answer."},
	{"answered_in_time", INT, ALWAYS, "Answered within the goal of the queue."},
	{"waiting", INT, ALWAYS, "Still there."},
	{"service_level", NUMBER, MAY_LACK_OR_NULL,
		"Per cent of those who wait no more that were answered in time; not by half hours."},
	{"service_goal", INT, MAY_LACK_OR_NULL, "Per cent that should be; not by half hours."},
	{"avg_wait_ms", INT, MAY_LACK, "Average wait, whatever its end; by the hour."},
	{"overflowed", INT, MAY_LACK, "Sent on unanswered, or moved by hand; by the hour."},
	{"speed_of_answer_ms", INT, MAY_LACK_OR_NULL,
		"Average wait of those who were answered; by the hour."},
	{"abandoned_after_ms", INT, MAY_LACK_OR_NULL, "Average wait of those who left; by the hour."},
	{"longest_wait_ms", INT, MAY_LACK_OR_NULL, "Longest wait; by the hour."},
	{"closed", INT, MAY_LACK,
		"Callers who found it closed, in no other figure; not of the last 15 minutes."},
};

/* ---- events and webhooks --------------------------------------------------------------------- */

static const struct property snapshot[] = {
	AT,
	{"seq", INT, ALWAYS, "Number of the last change that is in it."},
	{"total", INT, ALWAYS, "How many calls live; the oldest 1000 are in `calls`."},
	{"calls", LIST, ALWAYS, "Calls that this viewer sees.", SCHEMA_CALL},
	{"agents", LIST, ALWAYS, "Everybody with a phone.", SCHEMA_AGENT},
	{"queues", LIST, ALWAYS, "All queues.", SCHEMA_QUEUE},
	{"menus", LIST, ALWAYS, "All IVRs.", SCHEMA_MENU},
};

static const struct property call_gone[] = {
	{"id", TEXT, ALWAYS, "Id of the call."},
	{"conversation", UUID, OR_NULL, "Id of its conversation."},
	{"why", TEXT, ALWAYS, "left: this viewer has to do with it no longer.",
		.choice = "ended left merged"},
	{"into", TEXT, OR_NULL, "merged: id of the call that it became part of."},
	AT,
};

static const struct property ping[] = {AT};

static const struct property health[] = {{"ok", BOOL, ALWAYS, "The process lives."}};
static const struct property ready[] = {
	{"ok", BOOL, ALWAYS, "It can take calls."},
	{"directory", BOOL, ALWAYS, "The directory has been read."},
	{"stopping", BOOL, ALWAYS, "It takes no new calls."},
	{"database", BOOL, ALWAYS, "PostgreSQL is there."},
	{"outbox_facts", INT, ALWAYS, "Facts that wait for PostgreSQL."},
	{"node_taken_by", TEXT, MAY_LACK, "Address of another segued with this node's number."},
};

static const struct property document[] = {
	{"openapi", TEXT, ALWAYS, "Version of OpenAPI."},
	{"info", ANY, ALWAYS, "Title and version."},
	{"servers", ANY, ALWAYS, "Where."},
	{"security", ANY, ALWAYS, "Session or token."},
	{"paths", ANY, ALWAYS, "Routes."},
	{"webhooks", ANY, ALWAYS, "What is sent to webhooks."},
	{"components", ANY, ALWAYS, "Schemas of answers."},
};

static const struct property webhook[] = {
	{"webhook", TEXT, ALWAYS, "Name of the webhook in segue.conf."},
	{"outbox", UUID, ALWAYS, "Whose facts they are: ids count within it."},
	{"facts", LIST, ALWAYS, "Facts in order, 100 at most.", SCHEMA_FACT},
};

/* ---- the table ------------------------------------------------------------------------------- */

#define OWN(a) .own = (a), .nown = COUNT(a)

static const struct schema schemas[api_schema_count_] = {
	[SCHEMA_ERROR] = {"Every answer from 400 on.", OWN(error)},
	[SCHEMA_ERROR_DETAIL] = {"What is wrong.", OWN(error_detail)},
	[SCHEMA_ME] = {"Who one is.", OWN(me)},
	[SCHEMA_LIMITS] = {"When a panel shall warn.", OWN(limits)},
	[SCHEMA_CALLS] = {"Live calls.", OWN(calls)},
	[SCHEMA_CALL] = {"A live call.", OWN(call)},
	[SCHEMA_CUSTOMER] = {"The outside party of a call.", OWN(customer)},
	[SCHEMA_WITH] = {"Who talks with the customer.", OWN(with)},
	[SCHEMA_PLACE] = {"A place in a queue.", OWN(place)},
	[SCHEMA_PARTY] = {"A leg of a call.", OWN(party)},
	[SCHEMA_SPAN] = {"What a party has been doing.", OWN(span)},
	[SCHEMA_CAN] = {"Verbs: true, or the word for why not.", OWN(can)},
	[SCHEMA_ENDED] = {"A call that has ended meanwhile.", OWN(ended_call)},
	[SCHEMA_CALL_NOW] = {"The call as it is after the command.", .one_of = {SCHEMA_CALL, SCHEMA_ENDED}},
	[SCHEMA_CALL_DETAIL] = {"A live call with all that is known.", OWN(call_detail),
		.base = {SCHEMA_CALL}},
	[SCHEMA_SEGMENT] = {"A visit of a party of a live call.", OWN(segment)},
	[SCHEMA_SENTENCE] = {"What happened.", OWN(sentence)},
	[SCHEMA_TARGET_OF] = {"To whom a transfer goes.", OWN(transfer_target)},
	[SCHEMA_WISH] = {"What every transfer has.", OWN(transfer_wish)},
	[SCHEMA_TRANSFER] = {"A transfer.", OWN(transfer), .base = {SCHEMA_WISH}},
	[SCHEMA_TARGETS] = {"To whom a call could be transferred.", OWN(targets)},
	[SCHEMA_JUDGED] = {"What the policy says of a target.", OWN(judged)},
	[SCHEMA_TARGET] = {"A target.", .one_of = {SCHEMA_TARGET_USER, SCHEMA_TARGET_QUEUE,
						SCHEMA_TARGET_MENU, SCHEMA_TARGET_NUMBER}},
	[SCHEMA_TARGET_USER] = {"A person.", OWN(target_user), .base = {SCHEMA_AGENT, SCHEMA_JUDGED}},
	[SCHEMA_TARGET_QUEUE] = {"A queue.", OWN(target_queue), .base = {SCHEMA_QUEUE, SCHEMA_JUDGED}},
	[SCHEMA_TARGET_MENU] = {"An IVR.", OWN(target_menu), .base = {SCHEMA_MENU, SCHEMA_JUDGED}},
	[SCHEMA_TARGET_NUMBER] = {"A number that was typed.", OWN(target_number), .base = {SCHEMA_JUDGED}},
	[SCHEMA_STEP] = {"A step of a fallback chain.", OWN(fallback_step)},
	[SCHEMA_AGENTS] = {"Everybody with a phone.", OWN(agents)},
	[SCHEMA_AGENT] = {"Somebody with a phone.", OWN(agent)},
	[SCHEMA_QUEUES] = {"Queues.", OWN(queues)},
	[SCHEMA_QUEUE] = {"A queue.", OWN(queue)},
	[SCHEMA_QUEUE_AGENTS] = {"Agents by state."},
	[SCHEMA_MENU] = {"An IVR.", OWN(menu)},
	[SCHEMA_CONVERSATIONS] = {"A page of the call log.", OWN(conversations)},
	[SCHEMA_SUMS] = {"Where the time of a conversation went.", OWN(sums)},
	[SCHEMA_CONVERSATION_ROW] = {"What every conversation has.", OWN(conversation_row),
		.base = {SCHEMA_SUMS}},
	[SCHEMA_CONVERSATION] = {"A line of the call log.", OWN(conversation),
		.base = {SCHEMA_CONVERSATION_ROW}},
	[SCHEMA_PAST_SEGMENT] = {"A visit on record.", OWN(past_segment)},
	[SCHEMA_PAST_SEGMENT_DETAIL] = {"A visit on record, with all that is known.",
		OWN(past_segment_detail), .base = {SCHEMA_PAST_SEGMENT}},
	[SCHEMA_INTERVAL] = {"A part of a visit.", OWN(interval)},
	[SCHEMA_CONVERSATION_DETAIL] = {"A conversation with all that is known.",
		OWN(conversation_detail), .base = {SCHEMA_CONVERSATION_ROW}},
	[SCHEMA_PAST_TRANSFER] = {"A transfer on record.", OWN(past_transfer), .base = {SCHEMA_WISH}},
	[SCHEMA_ENTRY] = {"An entry of a timeline.", OWN(live_entry), .base = {SCHEMA_PAST_ENTRY_HEAD}},
	[SCHEMA_PAST_ENTRY] = {"An entry of a timeline on record.", OWN(past_entry),
		.base = {SCHEMA_PAST_ENTRY_HEAD}},
	[SCHEMA_PAST_ENTRY_HEAD] = {"What every entry of a timeline has.", OWN(timeline_entry)},
	[SCHEMA_REMARK] = {"A note.", OWN(remark)},
	[SCHEMA_RECORDED] = {"A recording.", OWN(recorded)},
	[SCHEMA_CASE_OF] = {"A case, in short.", OWN(case_of)},
	[SCHEMA_CASE] = {"A case.", OWN(case_own), .base = {SCHEMA_CASE_OF}},
	[SCHEMA_CASE_CONVERSATION] = {"A conversation of a case.", OWN(case_conversation),
		.base = {SCHEMA_SUMS}},
	[SCHEMA_CONTACT] = {"What there is about a customer.", OWN(contact)},
	[SCHEMA_CONTACT_AGENT] = {"Who talked with a customer.", OWN(contact_agent)},
	[SCHEMA_AGENT_DAYS] = {"Agents by day.", OWN(agent_days)},
	[SCHEMA_AGENT_DAY] = {"A row of the view segue.agent_day.", OWN(agent_day)},
	[SCHEMA_QUEUE_TIMES] = {"Queues by time.", OWN(queue_times)},
	[SCHEMA_QUEUE_TIME] = {"A row of segue.queue_hour, queue_half_hour or queue_recent.",
		OWN(queue_time)},
	[SCHEMA_SNAPSHOT] = {"What a viewer sees: replaces everything.", OWN(snapshot)},
	[SCHEMA_RESUMED] = {"Instead of a snapshot: what was missed follows."},
	[SCHEMA_CALL_GONE] = {"A call that is seen no more.", OWN(call_gone)},
	[SCHEMA_PING] = {"The line is alive.", OWN(ping)},
	[SCHEMA_HEALTH] = {"Is the process alive?", OWN(health)},
	[SCHEMA_READY] = {"Can it take calls?", OWN(ready)},
	[SCHEMA_DOCUMENT] = {"This document.", OWN(document)},
	[SCHEMA_WEBHOOK] = {"What a webhook is sent.", OWN(webhook)},
	[SCHEMA_FACT] = {"A fact: fields by type, as in src/core/fact.h."},
};

/* The data of each event of the stream. */
static const struct {
	const char *event;
	enum api_schema data;
} events[] = {
	{"snapshot", SCHEMA_SNAPSHOT},
	{"resumed", SCHEMA_RESUMED},
	{"call", SCHEMA_CALL},
	{"call_gone", SCHEMA_CALL_GONE},
	{"transfer", SCHEMA_TRANSFER},
	{"timeline", SCHEMA_ENTRY},
	{"agent", SCHEMA_AGENT},
	{"queue", SCHEMA_QUEUE},
	{"menu", SCHEMA_MENU},
	{"ping", SCHEMA_PING},
};

/* What the fields of facts mean; each has a line here. */
static const struct {
	const char *name, *doc;
} fact_fields[] = {
	{"conv", "Id of the conversation."},
	{"kind", "Kind of the conversation, the visit or the transfer."},
	{"customer_number", "The customer's number; null: withheld."},
	{"customer_name", "The name that came with it."},
	{"dialled", "The number that was dialled."},
	{"source", "The trunk or user that it came from."},
	{"case_key", "Key of the case in the CRM."},
	{"sip_call_id", "Call-ID of the first leg."},
	{"call", "Id of the call in the log."},
	{"ended_by", "Who ended it."},
	{"sip_cause", "SIP status that ended it; 0: none."},
	{"total_ms", "Start to end."},
	{"ring_ms", "Ringing."},
	{"wait_ms", "Waiting in a queue."},
	{"talk_ms", "Talk with the customer."},
	{"agent_talk_ms", "Sum of the talk of all visits."},
	{"hold_ms", "The customer is on hold."},
	{"held_ms", "The customer holds."},
	{"consult_ms", "Consultation."},
	{"limbo_ms", "The customer is with nobody."},
	{"ivr_ms", "The customer is with a menu or a voicemail."},
	{"acw_ms", "Work after the call."},
	{"n_requested", "Transfers asked for."},
	{"n_failed", "Transfers that failed."},
	{"n_blind", "Blind transfers completed."},
	{"n_consult", "Transfers completed after a consultation."},
	{"n_semi", "Transfers completed while the target rang."},
	{"estimated", "1: its end was not seen."},
	{"outcome", "How it ended."},
	{"seg", "Id of the visit (segment)."},
	{"n", "Number of the visit in the conversation, or of the interval in the visit."},
	{"who", "Who visits; of an audit: who asked."},
	{"number", "Number that was called."},
	{"transfer_in", "The transfer that brought the customer."},
	{"prev", "The visit or the transfer before."},
	{"released_by", "Who ended it."},
	{"transfer_out", "The transfer that took the customer away."},
	{"tracking", "lost: it goes on elsewhere."},
	{"state", "What the time counts as, or what the agent does."},
	{"from", "When it began."},
	{"to", "When it ended; of linked conversations: the other one."},
	{"ms", "How long it lasted."},
	{"xfer", "Id of the transfer."},
	{"via", "By what it was asked for."},
	{"asker", "Who asked for it."},
	{"target_kind", "What the target is."},
	{"target", "Name of the target."},
	{"from_seg", "The visit that asks to be ended by it."},
	{"attempt", "1: as asked for; more: a step of the fallback chain."},
	{"mark", "accepted, ringing, answered, joined or answered_by."},
	{"to_seg", "The visit that began by it."},
	{"cause", "Why it failed."},
	{"sip_status", "The SIP status behind it; 0: none."},
	{"next", "The transfer that followed."},
	{"seq", "Number of the entry in its conversation."},
	{"type", "Type of the entry."},
	{"actor", "Who did it."},
	{"headline", "1: part of the short story."},
	{"key1", "Name of value1."},
	{"value1", "More about it."},
	{"key2", "Name of value2."},
	{"value2", "More about it."},
	{"user", "Name of the user."},
	{"action", "What was asked for."},
	{"object", "Of what."},
	{"result", "What came of it: refused, done."},
	{"why", "Why."},
	{"node", "Number of the node."},
	{"version", "Version of segued."},
	{"kept", "Conversations that go on from the run before."},
	{"was", "The state before."},
	{"intent", "What the agent wants."},
	{"reason", "Why away."},
	{"queue", "Name of the queue."},
	{"into", "The conversation that it became part of."},
	{"shift", "Numbers of its visits there are so much higher."},
	{"note", "Id of the note."},
	{"author", "Who wrote it."},
	{"part", "Number of the part: a long note comes in several, from 0."},
	{"text", "The text."},
	{"rec", "Id of the recording."},
	{"offset_ms", "How long after the answer it begins."},
	{"file", "Where the sound is kept."},
};

/* ---- words of a property --------------------------------------------------------------------- */

/* Calls fn for each word that the property may be. */
static void each_word(const struct property *p, void (*fn)(void *arg, const char *word), void *arg)
{
	char copy[400], *save, *w;

	for (unsigned i = 0; p->words != NULL && p->words(i) != NULL; i++)
		if (p->words(i)[0] != '\0')
			fn(arg, p->words(i));
	str_set(copy, p->choice ? p->choice : "");
	for (w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		fn(arg, w);
}

static bool has_words(const struct property *p)
{
	return p->words != NULL || p->choice != NULL;
}

static bool is_null_too(const struct property *p)
{
	return p->when == OR_NULL || p->when == MAY_LACK_OR_NULL;
}

/* Calls fn for each property of a schema, those of its bases first. */
static void each_property(
	enum api_schema s, void (*fn)(void *arg, const struct property *p), void *arg)
{
	const struct schema *x = &schemas[s];

	for (unsigned i = 0; i < BASES_MAX && x->base[i] != SCHEMA_NONE; i++)
		each_property(x->base[i], fn, arg);
	for (unsigned i = 0; s == SCHEMA_QUEUE_AGENTS && words_of_agent_state(i) != NULL; i++)
		fn(arg, &(struct property){words_of_agent_state(i), INT, ALWAYS, "How many."});
	for (unsigned i = 0; i < x->nown; i++)
		fn(arg, &x->own[i]);
}

static const char *doc_of_fact_field(const char *name)
{
	for (size_t i = 0; i < COUNT(fact_fields); i++)
		if (str_eq(fact_fields[i].name, name))
			return fact_fields[i].doc;
	return "";
}

/* A field of a fact as a property: of webhooks. */
static struct property fact_property(const struct fact_field *f)
{
	static const enum kind kinds[] = {[FIELD_UUID] = UUID, [FIELD_TEXT] = TEXT, [FIELD_INT] = INT,
		[FIELD_MS] = INT, [FIELD_TIME] = TIME};

	return (struct property){f->name, kinds[f->kind], kinds[f->kind] == INT ? ALWAYS : OR_NULL,
		doc_of_fact_field(f->name)};
}

/* ---- JSON schemas ---------------------------------------------------------------------------- */

static json_t *ref_named(const char *name)
{
	char text[120];

	snprintf(text, sizeof(text), "#/components/schemas/%s", name);
	return json_pack("{s:s}", "$ref", text);
}

json_t *api_schema_ref(enum api_schema s)
{
	return ref_named(api_schema_name(s));
}

static void add_word(void *arg, const char *word)
{
	json_array_append_new(arg, jo_string(word));
}

/* {"type": ..}, with null if that is one of its values. */
static json_t *type_json(const char *type, bool null)
{
	return null ? json_pack("{s:[s, s]}", "type", type, "null") : json_pack("{s:s}", "type", type);
}

static json_t *text_json(const struct property *p, const char *format, bool null)
{
	json_t *o = type_json("string", null), *words;

	if (format != NULL)
		jo_text(o, "format", format);
	if (!has_words(p))
		return o;
	words = json_array();
	each_word(p, add_word, words);
	if (null)
		json_array_append_new(words, json_null());
	json_object_set_new(o, "enum", words);
	return o;
}

static json_t *able_json(const struct property *p)
{
	json_t *words = json_array();

	json_array_append_new(words, json_true());
	each_word(p, add_word, words);
	return json_pack("{s:[s, s], s:o}", "type", "boolean", "string", "enum", words);
}

static json_t *map_json(json_t *of)
{
	return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", of);
}

static json_t *list_json(json_t *of)
{
	return json_pack("{s:s, s:o}", "type", "array", "items", of);
}

static json_t *value_json(const struct property *p)
{
	bool null = is_null_too(p);

	switch (p->kind) {
	case TEXT:
		return text_json(p, NULL, null);
	case UUID:
		return text_json(p, "uuid", null);
	case TIME:
		return text_json(p, "date-time", null);
	case DAY:
		return text_json(p, "date", null);
	case INT:
		return type_json("integer", null);
	case NUMBER:
		return type_json("number", null);
	case BOOL:
		return type_json("boolean", null);
	case OBJECT:
		return null ? json_pack("{s:[o, {s:s}]}", "anyOf", api_schema_ref(p->of), "type", "null")
			    : api_schema_ref(p->of);
	case LIST:
		return list_json(api_schema_ref(p->of));
	case TEXTS:
	case WORDS:
		return list_json(text_json(p, NULL, false));
	case MAP:
		return map_json(list_json(api_schema_ref(p->of)));
	case NOTES:
		return map_json(type_json("string", false));
	case ABLE:
		return able_json(p);
	case ANY:
		break;
	}
	return json_object();
}

struct object {
	json_t *properties, *required;
};

static void add_property(void *arg, const struct property *p)
{
	struct object *o = arg;
	json_t *value = value_json(p);

	jo_text(value, "description", p->doc);
	json_object_set_new(o->properties, p->name, value);
	if (p->when == ALWAYS || p->when == OR_NULL)
		json_array_append_new(o->required, jo_string(p->name));
}

static json_t *object_json(const struct object *o, const char *doc)
{
	json_t *schema = json_pack("{s:s, s:s, s:o}", "type", "object", "description", doc,
		"properties", o->properties);

	if (json_array_size(o->required) > 0)
		json_object_set(schema, "required", o->required);
	json_decref(o->required);
	return schema;
}

static json_t *fact_schema_json(enum fact_type type)
{
	const struct fact_desc *d = fact_describe(type);
	struct object data = {json_object(), json_array()}, o = {json_object(), json_array()};

	for (unsigned i = 0; i < d->nfields; i++) {
		struct property p = fact_property(&d->fields[i]);

		add_property(&data, &p);
	}
	add_property(&o, &(struct property){"id", INT, ALWAYS, "Number of the fact in its outbox."});
	add_property(&o, &(struct property){"type", TEXT, ALWAYS, "Its type.", .choice = d->name});
	add_property(&o, &(struct property){"at", TIME, OR_NULL, "When it happened."});
	json_object_set_new(o.properties, "data", object_json(&data, "Its fields."));
	json_array_append_new(o.required, jo_string("data"));
	return object_json(&o, "A fact of this type.");
}

static void fact_schema_name(enum fact_type type, char *buf, size_t size)
{
	snprintf(buf, size, "fact_%s", fact_describe(type)->name);
}

static json_t *choices_json(enum api_schema s)
{
	json_t *list = json_array();
	char name[60];

	for (int i = 0; s == SCHEMA_FACT && i < fact_type_count_; i++) {
		fact_schema_name((enum fact_type)i, name, sizeof(name));
		json_array_append_new(list, ref_named(name));
	}
	for (unsigned i = 0; i < CHOICES_MAX && schemas[s].one_of[i] != SCHEMA_NONE; i++)
		json_array_append_new(list, api_schema_ref(schemas[s].one_of[i]));
	return json_pack("{s:s, s:o}", "description", schemas[s].doc, "anyOf", list);
}

static bool is_choice(enum api_schema s)
{
	return s == SCHEMA_FACT || schemas[s].one_of[0] != SCHEMA_NONE;
}

json_t *api_schemas_json(void)
{
	json_t *all = json_object();
	char name[60];

	for (int s = SCHEMA_NONE + 1; s < api_schema_count_; s++) {
		struct object o = {json_object(), json_array()};

		each_property((enum api_schema)s, add_property, &o);
		if (!is_choice((enum api_schema)s)) {
			json_object_set_new(all, api_schema_name(s), object_json(&o, schemas[s].doc));
			continue;
		}
		json_decref(o.properties);
		json_decref(o.required);
		json_object_set_new(all, api_schema_name(s), choices_json((enum api_schema)s));
	}
	for (int i = 0; i < fact_type_count_; i++) {
		fact_schema_name((enum fact_type)i, name, sizeof(name));
		json_object_set_new(all, name, fact_schema_json((enum fact_type)i));
	}
	return all;
}

json_t *api_event_schemas_json(void)
{
	json_t *o = json_object();

	for (size_t i = 0; i < COUNT(events); i++)
		json_object_set_new(o, events[i].event, api_schema_ref(events[i].data));
	return o;
}

static json_t *header_json(const char *name, const char *doc)
{
	return json_pack("{s:s, s:s, s:b, s:s, s:{s:s}}", "name", name, "in", "header", "required", 1,
		"description", doc, "schema", "type", "string");
}

json_t *api_webhooks_json(void)
{
	json_t *headers = json_pack("[o, o]",
		header_json("X-Segue-Timestamp", "Seconds since 1970: when it was sent."),
		header_json("X-Segue-Signature",
			"sha256= and the HMAC-SHA256, in hex, of the timestamp, a dot, and the body."));

	return json_pack("{s:{s:{s:s, s:o, s:{s:b, s:{s:{s:o}}}, s:{s:{s:s}, s:{s:s}}}}}", "facts",
		"post", "summary", "Facts as they happen, in order.", "parameters", headers,
		"requestBody", "required", 1, "content", "application/json", "schema",
		api_schema_ref(SCHEMA_WEBHOOK), "responses", "2XX", "description",
		"Taken: the next ones follow.", "default", "description",
		"Not taken: the same are sent again, later.");
}

/* ---- docs/api.md ----------------------------------------------------------------------------- */

static void print_word(void *arg, const char *word)
{
	fprintf(arg, " `%s`", word);
}

static void print_type(FILE *f, const struct property *p)
{
	static const char *const names[] = {[TEXT] = "text", [INT] = "number", [NUMBER] = "number",
		[BOOL] = "true or false", [TIME] = "time", [DAY] = "date", [UUID] = "UUID",
		[TEXTS] = "list of texts", [WORDS] = "list of words", [NOTES] = "texts by name",
		[ABLE] = "true or word", [ANY] = "any", [MAP] = "by word lists of ", [LIST] = "list of ",
		[OBJECT] = ""};
	const char *of = api_schema_name(p->of);

	fputs(names[p->kind], f);
	if (p->of != SCHEMA_NONE)
		fprintf(f, "[%s](#%s)", of, of);
	fputs(is_null_too(p) ? " or null" : "", f);
	fputs(p->when == MAY_LACK || p->when == MAY_LACK_OR_NULL ? ", may lack" : "", f);
}

static void print_property(void *arg, const struct property *p)
{
	FILE *f = arg;

	fprintf(f, "| `%s` | ", p->name);
	print_type(f, p);
	fprintf(f, " | %s", p->doc);
	if (has_words(p)) {
		fputs(" One of:", f);
		each_word(p, print_word, f);
		fputc('.', f);
	}
	fputs(" |\n", f);
}

static void print_choices(FILE *f, enum api_schema s)
{
	fputs(s == SCHEMA_FACT ? " Number `id`, its `type`, when (`at`), and `data`." : " One of:", f);
	for (unsigned i = 0; i < CHOICES_MAX && schemas[s].one_of[i] != SCHEMA_NONE; i++) {
		const char *name = api_schema_name(schemas[s].one_of[i]);

		fprintf(f, " [%s](#%s)", name, name);
	}
	fputs("\n", f);
}

static void print_schema(FILE *f, enum api_schema s)
{
	fprintf(f, "\n### %s\n\n%s", api_schema_name(s), schemas[s].doc);
	if (is_choice(s)) {
		print_choices(f, s);
		return;
	}
	fputs("\n", f);
	if (s != SCHEMA_RESUMED)
		fputs("\n| field | type | meaning |\n|---|---|---|\n", f);
	each_property(s, print_property, f);
}

static void print_fact(FILE *f, enum fact_type type)
{
	const struct fact_desc *d = fact_describe(type);

	fprintf(f, "\n### fact_%s\n\n| field | type | meaning |\n|---|---|---|\n", d->name);
	for (unsigned i = 0; i < d->nfields; i++) {
		struct property p = fact_property(&d->fields[i]);

		print_property(f, &p);
	}
}

void api_print_schemas(FILE *f)
{
	fputs("\n## Events\n\nThe data of each event of `/api/v1/events`:\n\n"
	      "| event | data |\n|---|---|\n",
		f);
	for (size_t i = 0; i < COUNT(events); i++)
		fprintf(f, "| `%s` | [%s](#%s) |\n", events[i].event, api_schema_name(events[i].data),
			api_schema_name(events[i].data));
	fputs("\n## Answers\n\nFields may be added: programs pass over those that they do not know.\n", f);
	for (int s = SCHEMA_NONE + 1; s < api_schema_count_; s++)
		print_schema(f, (enum api_schema)s);
	fputs("\n## Facts\n\nWhat `data` of each type of fact has, in webhooks.\n", f);
	for (int i = 0; i < fact_type_count_; i++)
		print_fact(f, (enum fact_type)i);
}
