/*
 * fact: everything that segue puts on record, as plain data. A fact is written to the outbox
 * before the actions of its step are carried out, shipped to PostgreSQL exactly once, and never
 * changed. What the words mean is defined in docs/records.md.
 *
 * Each fact is declared once, as a list of fields. From that list come the struct, the encoding
 * in the outbox, the printed form and the parameters of the SQL that stores it. Only add fields
 * at the end of a list: older stored facts then still decode, the new fields being zero.
 */
#ifndef SEGUE_CORE_FACT_H
#define SEGUE_CORE_FACT_H

#include "core/types.h"

/* Field kinds: U(name) uuid · S(name, size) text · I(name) integer · M(name) milliseconds ·
 * T(name) UTC time in microseconds. */

#define FACT_CONVERSATION_OPENED_(U, S, I, M, T)                                                   \
	U(conv) S(kind, 12) /* inbound outbound internal */ S(customer_number, NUM_MAX)            \
	S(customer_name, NAME_MAX_) S(dialled, NUM_MAX) S(source, USER_MAX) S(case_key, KEY_MAX)   \
	S(sip_call_id, TEXT_MAX) S(call, ID_STRLEN)

#define FACT_CONVERSATION_CLOSED_(U, S, I, M, T)                                                   \
	U(conv) S(ended_by, 16) /* customer agent external target system command */ I(sip_cause)   \
	M(total_ms) M(ring_ms) M(wait_ms) M(talk_ms) M(agent_talk_ms) M(hold_ms) M(held_ms)        \
	M(consult_ms) M(limbo_ms) M(ivr_ms) I(n_requested) I(n_failed) I(n_blind) I(n_consult)     \
	I(n_semi) I(estimated) S(outcome, 16) /* answered abandoned failed */

#define FACT_SEGMENT_OPENED_(U, S, I, M, T)                                                        \
	U(seg) U(conv) I(n) S(kind, 12) S(who, USER_MAX) S(number, NUM_MAX) U(transfer_in) U(prev)

#define FACT_SEGMENT_ANSWERED_(U, S, I, M, T) U(seg)

#define FACT_SEGMENT_CLOSED_(U, S, I, M, T)                                                        \
	U(seg) S(outcome, 24) I(sip_cause) S(released_by, 16) U(transfer_out) M(ring_ms)           \
	M(talk_ms) M(hold_ms) M(held_ms) M(consult_ms) M(wait_ms) M(limbo_ms) M(acw_ms)            \
	I(estimated) S(tracking, 8) /* lost: it goes on elsewhere, nobody knows how long */

#define FACT_INTERVAL_(U, S, I, M, T) U(seg) I(n) S(state, 12) T(from) T(to) M(ms)

#define FACT_TRANSFER_OPENED_(U, S, I, M, T)                                                       \
	U(xfer) U(conv) S(kind, 8) S(via, 12) S(asker, KEY_MAX) S(target_kind, 12)                 \
	S(target, USER_MAX) S(number, NUM_MAX) U(from_seg) I(attempt) U(prev)

#define FACT_TRANSFER_MARKED_(U, S, I, M, T)                                                       \
	U(xfer) S(mark, 16) /* accepted ringing answered joined; answered_by: to a queue, and to_seg is   \
				the agent who took the call there */ U(to_seg)

#define FACT_TRANSFER_CLOSED_(U, S, I, M, T)                                                       \
	U(xfer) S(outcome, 16) S(cause, 24) I(sip_status) U(to_seg) U(next)

#define FACT_TIMELINE_(U, S, I, M, T)                                                              \
	U(conv) I(seq) S(type, 28) S(actor, KEY_MAX) S(via, 12) U(seg) U(xfer) I(headline)         \
	S(key1, 16) S(value1, TEXT_MAX) S(key2, 16) S(value2, TEXT_MAX)

#define FACT_CASE_OWNER_(U, S, I, M, T) U(conv) S(user, USER_MAX)

#define FACT_AUDIT_(U, S, I, M, T)                                                                 \
	S(who, KEY_MAX) S(via, 12) S(action, 32) S(object, NUM_MAX) S(result, 16)                  \
	S(why, TEXT_MAX) U(conv) U(xfer)

/* segued of this node has started: what an earlier run left open (conversations, segments,
 * transfers with an older fact) was cut off by a crash and is closed by the ledger at its last
 * journalled time, estimated, outcome "internal" (records.md example 10, E-124). Written by the
 * runner before its first event, so everything older in the outbox is on record before it. */
#define FACT_STARTED_(U, S, I, M, T)                                                               \
	I(node) S(version, 32) I(kept) /* so many facts before it: timeline "recovered" of a conversation \
					  that goes on */

/* An agent's state or intent has changed. For the queue callers that a state is about: conv. */
#define FACT_AGENT_STATE_(U, S, I, M, T)                                                           \
	S(user, USER_MAX) S(state, 12) /* enum agent_state */ S(was, 12) M(ms) /* how long it was */\
	S(intent, 12) S(reason, REASON_MAX) S(via, 12) S(asker, KEY_MAX) /* who chose the intent */\
	S(queue, USER_MAX) /* wrapup: after a caller of */ U(conv)

/* conv has become part of the older conversation `into`: a consultation, or two customers joined. Its
 * totals so far are in the CONVERSATION_CLOSED that comes just before. */
#define FACT_CONVERSATION_MERGED_(U, S, I, M, T)                                                   \
	U(conv) U(into) I(shift) /* segments: seq in `into` = seq in conv + shift */

/* A consulted party that was still ringing became somebody else (semi-attended transfer). */
#define FACT_SEGMENT_CHANGED_(U, S, I, M, T) U(seg) S(kind, 12) U(transfer_in)

/* A party of conv came from another node, where its conversation is `to` (E-090). */
#define FACT_CONVERSATION_LINKED_(U, S, I, M, T) U(conv) U(to)

#define FACT_NOTE_(U, S, I, M, T) U(note) U(conv) S(author, KEY_MAX) I(part) S(text, NOTE_MAX)

/* A part of a visit that is kept as sound, from offset_ms after its answer on, in that file once the
 * engine's capture has been converted. */
#define FACT_RECORDING_STARTED_(U, S, I, M, T) U(rec) U(conv) U(seg) M(offset_ms) S(file, FILE_MAX)
#define FACT_RECORDING_ENDED_(U, S, I, M, T) U(rec) S(why, 12) /* hold command end */

#define FACT_LIST(X)                                                                               \
	X(FACT_CONVERSATION_OPENED, "conversation_opened", conversation_opened)                    \
	X(FACT_CONVERSATION_CLOSED, "conversation_closed", conversation_closed)                    \
	X(FACT_SEGMENT_OPENED, "segment_opened", segment_opened)                                   \
	X(FACT_SEGMENT_ANSWERED, "segment_answered", segment_answered)                             \
	X(FACT_SEGMENT_CLOSED, "segment_closed", segment_closed)                                   \
	X(FACT_INTERVAL, "interval", interval)                                                     \
	X(FACT_TRANSFER_OPENED, "transfer_opened", transfer_opened)                                \
	X(FACT_TRANSFER_MARKED, "transfer_marked", transfer_marked)                                \
	X(FACT_TRANSFER_CLOSED, "transfer_closed", transfer_closed)                                \
	X(FACT_TIMELINE, "timeline", timeline)                                                     \
	X(FACT_CASE_OWNER, "case_owner", case_owner)                                               \
	X(FACT_AUDIT, "audit", audit)                                                              \
	X(FACT_STARTED, "started", started)                                                        \
	X(FACT_AGENT_STATE, "agent_state", agent_state)                                               \
	X(FACT_CONVERSATION_MERGED, "conversation_merged", conversation_merged)                    \
	X(FACT_SEGMENT_CHANGED, "segment_changed", segment_changed)                                \
	X(FACT_NOTE, "note", note)                                                                 \
	X(FACT_RECORDING_STARTED, "recording_started", recording_started)                          \
	X(FACT_RECORDING_ENDED, "recording_ended", recording_ended)                                \
	X(FACT_CONVERSATION_LINKED, "conversation_linked", conversation_linked)

#define FACT_ENUM_(id, name, member) id,
enum fact_type { FACT_LIST(FACT_ENUM_) fact_type_count_ };
#undef FACT_ENUM_

#define FU_(f) uuid f;
#define FS_(f, n) char f[n];
#define FI_(f) int64_t f;
struct fact_conversation_opened { FACT_CONVERSATION_OPENED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_conversation_closed { FACT_CONVERSATION_CLOSED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_segment_opened { FACT_SEGMENT_OPENED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_segment_answered { FACT_SEGMENT_ANSWERED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_segment_closed { FACT_SEGMENT_CLOSED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_interval { FACT_INTERVAL_(FU_, FS_, FI_, FI_, FI_) };
struct fact_transfer_opened { FACT_TRANSFER_OPENED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_transfer_marked { FACT_TRANSFER_MARKED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_transfer_closed { FACT_TRANSFER_CLOSED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_timeline { FACT_TIMELINE_(FU_, FS_, FI_, FI_, FI_) };
struct fact_case_owner { FACT_CASE_OWNER_(FU_, FS_, FI_, FI_, FI_) };
struct fact_audit { FACT_AUDIT_(FU_, FS_, FI_, FI_, FI_) };
struct fact_started { FACT_STARTED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_agent_state { FACT_AGENT_STATE_(FU_, FS_, FI_, FI_, FI_) };
struct fact_conversation_merged { FACT_CONVERSATION_MERGED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_segment_changed { FACT_SEGMENT_CHANGED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_conversation_linked { FACT_CONVERSATION_LINKED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_recording_started { FACT_RECORDING_STARTED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_recording_ended { FACT_RECORDING_ENDED_(FU_, FS_, FI_, FI_, FI_) };
struct fact_note { FACT_NOTE_(FU_, FS_, FI_, FI_, FI_) };
#undef FU_
#undef FS_
#undef FI_

struct fact {
	enum fact_type type;
	int64_t at; /* UTC microseconds; within a conversation, differences are exact milliseconds */
	call_id call; /* the call it is about, for the log; not stored */
#define FACT_MEMBER_(id, name, member) struct fact_##member member;
	union {
		FACT_LIST(FACT_MEMBER_)
	};
#undef FACT_MEMBER_
};

enum fact_field_kind { FIELD_UUID, FIELD_TEXT, FIELD_INT, FIELD_MS, FIELD_TIME };

struct fact_field {
	const char *name;
	enum fact_field_kind kind;
	uint16_t offset; /* from the start of struct fact */
	uint16_t size;   /* of the member, in bytes */
};

struct fact_desc {
	const char *name;
	unsigned nfields;
	const struct fact_field *fields;
};

/* The fields of a fact type, in order; never NULL for a valid type. */
const struct fact_desc *fact_describe(enum fact_type type);

/* Largest encoded fact, in bytes. */
#define FACT_ENCODED_MAX 1600

/* Encodes into buf (at least FACT_ENCODED_MAX bytes); returns the length. */
size_t fact_encode(const struct fact *f, unsigned char *buf);

/* Reads what fact_encode() of this or an older version wrote. Returns false on damaged input;
 * nothing outside buf[0..len) is read. */
bool fact_decode(const unsigned char *buf, size_t len, struct fact *f);

/* Prints "name key=value ..." for logs and traces, empty values dropped; always terminated. */
void fact_print(const struct fact *f, char *buf, size_t size);

#endif
