/* statements: see statements.h. */
#include "db/statements.h"

#include "db/batch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct statement {
	unsigned group;
	const char *sql;
};

static const struct statement statements[] = {
	/* A case for those conversations that have none to join: the case that the peer named, or one
	 * for a number without an open case. If several are in one batch, the first opens it. */
	{FACT_CONVERSATION_OPENED,
		"WITH f AS MATERIALIZED (SELECT * FROM @ WHERE kind <> 'internal')"
		" INSERT INTO segue.cases (id, case_key, origin, customer_number, customer_name,"
		" opened_at, outbox_id, fact_id)"
		" SELECT DISTINCT ON (coalesce('key ' || f.case_key, 'number ' || f.customer_number,"
		" 'conv ' || f.conv)) f.conv, f.case_key,"
		" CASE WHEN f.case_key IS NULL THEN 'segue' ELSE 'external' END,"
		" f.customer_number, f.customer_name, f.at, $1, f.fact_id"
		" FROM f"
		" WHERE NOT EXISTS (SELECT FROM segue.conversations c WHERE c.id = f.conv)"
		" AND NOT EXISTS (SELECT FROM segue.cases k WHERE k.case_key = f.case_key)"
		" AND (f.case_key IS NOT NULL OR NOT EXISTS (SELECT FROM segue.cases k"
		" WHERE k.customer_number = f.customer_number AND k.closed_at IS NULL))"
		" AND (f.case_key IS NOT NULL OR NOT EXISTS (SELECT FROM f e"
		" WHERE e.case_key IS NOT NULL AND e.customer_number = f.customer_number"
		" AND e.fact_id < f.fact_id))"
		" ORDER BY coalesce('key ' || f.case_key, 'number ' || f.customer_number,"
		" 'conv ' || f.conv), f.fact_id"
		" ON CONFLICT DO NOTHING"},
	/* Now every one finds its case: the named one, else the newest open one of the number. */
	{FACT_CONVERSATION_OPENED,
		"INSERT INTO segue.conversations (id, case_id, kind, customer_number, customer_name,"
		" dialled, source, sip_call_id, call, started_at, outbox_id, fact_id)"
		" SELECT f.conv, CASE WHEN f.kind = 'internal' THEN NULL"
		" WHEN f.case_key IS NOT NULL THEN"
		" (SELECT k.id FROM segue.cases k WHERE k.case_key = f.case_key)"
		" WHEN f.customer_number IS NULL THEN"
		" (SELECT k.id FROM segue.cases k WHERE k.id = f.conv)"
		" ELSE (SELECT k.id FROM segue.cases k WHERE k.customer_number = f.customer_number"
		" AND k.closed_at IS NULL ORDER BY k.opened_at <= f.at DESC, k.opened_at DESC LIMIT 1)"
		" END, f.kind, f.customer_number, f.customer_name, f.dialled, f.source,"
		" f.sip_call_id, f.call, f.at, $1, f.fact_id"
		" FROM @ ORDER BY f.fact_id"
		" ON CONFLICT (id) DO NOTHING"},
	{FACT_CONVERSATION_CLOSED,
		"UPDATE segue.conversations c SET ended_at = f.at, ended_by = f.ended_by,"
		" sip_cause = f.sip_cause, total_ms = f.total_ms, ring_ms = f.ring_ms,"
		" wait_ms = f.wait_ms, talk_ms = f.talk_ms, agent_talk_ms = f.agent_talk_ms,"
		" hold_ms = f.hold_ms, held_ms = f.held_ms, consult_ms = f.consult_ms,"
		" limbo_ms = f.limbo_ms, ivr_ms = f.ivr_ms, n_requested = f.n_requested,"
		" n_failed = f.n_failed, n_blind = f.n_blind, n_consult = f.n_consult,"
		" n_semi = f.n_semi, estimated = f.estimated <> 0, outcome = f.outcome,"
		" closed_fact_id = f.fact_id"
		" FROM @ WHERE c.id = f.conv AND c.ended_at IS NULL"},
	{FACT_SEGMENT_OPENED,
		"INSERT INTO segue.segments (id, conversation_id, seq, kind, who, number, offered_at,"
		" transfer_id_in, prev_segment_id, outbox_id, fact_id)"
		" SELECT f.seg, f.conv, f.n, f.kind, f.who, f.number, f.at, f.transfer_in, f.prev,"
		" $1, f.fact_id FROM @ ON CONFLICT (id) DO NOTHING"},
	{FACT_SEGMENT_ANSWERED,
		"UPDATE segue.segments s SET answered_at = f.at, answered_fact_id = f.fact_id"
		" FROM @ WHERE s.id = f.seg AND s.answered_at IS NULL"},
	{FACT_SEGMENT_CLOSED, /* what goes on elsewhere has no durations */
		"UPDATE segue.segments s SET ended_at = f.at, outcome = f.outcome,"
		" sip_cause = f.sip_cause, released_by = f.released_by,"
		" transfer_id_out = f.transfer_out, tracking = f.tracking,"
		" ring_ms = CASE WHEN f.tracking IS NULL THEN f.ring_ms END,"
		" talk_ms = CASE WHEN f.tracking IS NULL THEN f.talk_ms END,"
		" hold_ms = CASE WHEN f.tracking IS NULL THEN f.hold_ms END,"
		" held_ms = CASE WHEN f.tracking IS NULL THEN f.held_ms END,"
		" consult_ms = CASE WHEN f.tracking IS NULL THEN f.consult_ms END,"
		" wait_ms = CASE WHEN f.tracking IS NULL THEN f.wait_ms END,"
		" limbo_ms = CASE WHEN f.tracking IS NULL THEN f.limbo_ms END,"
		" acw_ms = CASE WHEN f.tracking IS NULL THEN f.acw_ms END,"
		" estimated = f.estimated <> 0, closed_fact_id = f.fact_id"
		" FROM @ WHERE s.id = f.seg AND s.ended_at IS NULL"},
	{FACT_INTERVAL,
		"INSERT INTO segue.intervals (segment_id, seq, state, started_at, ended_at,"
		" duration_ms, outbox_id, fact_id)"
		" SELECT f.seg, f.n, f.state, f.\"from\", f.\"to\", f.ms, $1, f.fact_id"
		" FROM @ ON CONFLICT (segment_id, seq) DO NOTHING"},
	{FACT_TRANSFER_OPENED,
		"INSERT INTO segue.transfers (id, conversation_id, kind, asked_via, asker, target_kind,"
		" target, number, from_segment_id, attempt, prev_transfer_id, asked_at, outbox_id,"
		" fact_id)"
		" SELECT f.xfer, f.conv, f.kind, f.via, f.asker, f.target_kind, f.target, f.number,"
		" f.from_seg, f.attempt, f.prev, f.at, $1, f.fact_id"
		" FROM @ ON CONFLICT (id) DO NOTHING"},
	/* Several marks of one transfer may be in one batch. */
	{FACT_TRANSFER_MARKED,
		"UPDATE segue.transfers t SET"
		" accepted_at = coalesce(t.accepted_at, m.accepted),"
		" target_ringing_at = coalesce(t.target_ringing_at, m.ringing),"
		" target_answered_at = coalesce(t.target_answered_at, m.answered),"
		" joined_at = coalesce(t.joined_at, m.joined),"
		" kind = CASE WHEN m.semi THEN 'semi' ELSE t.kind END,"
		" to_segment_id = CASE WHEN t.ended_at IS NULL THEN coalesce(m.to_seg, t.to_segment_id)"
		" ELSE coalesce(t.to_segment_id, m.to_seg) END"
		" FROM (SELECT f.xfer, min(f.at) FILTER (WHERE f.mark = 'accepted') AS accepted,"
		" min(f.at) FILTER (WHERE f.mark = 'ringing') AS ringing,"
		" min(f.at) FILTER (WHERE f.mark = 'answered') AS answered,"
		" min(f.at) FILTER (WHERE f.mark = 'joined') AS joined,"
		" bool_or(f.mark = 'semi') AS semi,"
		" (array_agg(f.to_seg ORDER BY f.fact_id DESC) FILTER (WHERE f.to_seg IS NOT NULL"
		" AND f.mark <> 'answered_by'))[1] AS to_seg FROM @ GROUP BY f.xfer) m"
		" WHERE t.id = m.xfer"},
	/* An agent took the caller whom the transfer had brought to a queue. */
	{FACT_TRANSFER_MARKED,
		"UPDATE segue.transfers t SET answered_segment_id = f.to_seg, queue_answered_at = f.at,"
		" answered_by = (SELECT s.who FROM segue.segments s WHERE s.id = f.to_seg)"
		" FROM @ WHERE t.id = f.xfer AND f.mark = 'answered_by'"
		" AND t.answered_segment_id IS NULL"},
	{FACT_TRANSFER_CLOSED,
		"UPDATE segue.transfers t SET ended_at = f.at, outcome = f.outcome, cause = f.cause,"
		" sip_status = f.sip_status, to_segment_id = coalesce(f.to_seg, t.to_segment_id),"
		" next_transfer_id = f.next, closed_fact_id = f.fact_id"
		" FROM @ WHERE t.id = f.xfer AND t.ended_at IS NULL"},
	{FACT_TIMELINE,
		"INSERT INTO segue.timeline (conversation_id, seq, at, type, actor, via, segment_id,"
		" transfer_id, headline, data, outbox_id, fact_id)"
		" SELECT f.conv, f.seq, f.at, f.type, f.actor, f.via, f.seg, f.xfer, f.headline <> 0,"
		" CASE WHEN f.key2 IS NOT NULL THEN"
		" jsonb_build_object(coalesce(f.key1, ''), f.value1, f.key2, f.value2)"
		" WHEN f.key1 IS NOT NULL THEN jsonb_build_object(f.key1, f.value1) END,"
		" $1, f.fact_id FROM @ ON CONFLICT (conversation_id, seq) DO NOTHING"},
	/* The last one to answer has the case; within an outbox facts are in order, between two of
	 * them only the time tells. */
	{FACT_CASE_OWNER,
		"UPDATE segue.cases k SET owner = o.\"user\", owner_since = o.at, owner_outbox_id = $1,"
		" owner_fact_id = o.fact_id"
		" FROM (SELECT DISTINCT ON (c.case_id) c.case_id, f.\"user\", f.at, f.fact_id"
		" FROM @ JOIN segue.conversations c ON c.id = f.conv"
		" ORDER BY c.case_id, f.fact_id DESC) o"
		" WHERE k.id = o.case_id AND (k.owner_fact_id IS NULL"
		" OR (k.owner_outbox_id = $1 AND k.owner_fact_id < o.fact_id)"
		" OR (k.owner_outbox_id <> $1 AND k.owner_since < o.at))"},
	{FACT_AUDIT,
		"INSERT INTO segue.audit (outbox_id, fact_id, at, who, via, action, object, result, why,"
		" conversation_id, transfer_id)"
		" SELECT $1, f.fact_id, f.at, f.who, f.via, f.action, f.object, f.result, f.why, f.conv,"
		" f.xfer FROM @ ON CONFLICT (outbox_id, fact_id) DO NOTHING"},
	/* A merged conversation's people and transfers belong to the older one from now on; they are put in
	 * the order in which they came, and keep the name of where they began. */
	{FACT_CONVERSATION_MERGED,
		"UPDATE segue.conversations c SET merged_into = f.\"into\" FROM @ WHERE c.id = f.conv"},
	{FACT_CONVERSATION_MERGED,
		"SELECT segue.merge_conversation(f.conv, f.\"into\", f.shift::integer)"
		" FROM @ ORDER BY f.fact_id"},
	/* The other node's facts may come later than this one: then its case is not known yet. */
	{FACT_CONVERSATION_LINKED,
		"UPDATE segue.conversations c SET linked_to = f.\"to\", case_id = coalesce(c.case_id,"
		" (SELECT o.case_id FROM segue.conversations o WHERE o.id = f.\"to\"))"
		" FROM @ WHERE c.id = f.conv"},
	{FACT_SEGMENT_CHANGED,
		"UPDATE segue.segments s SET kind = f.kind, transfer_id_in = f.transfer_in"
		" FROM @ WHERE s.id = f.seg"},
	/* A long note comes in parts. */
	{FACT_NOTE,
		"INSERT INTO segue.notes AS n (id, conversation_id, author, at, body, outbox_id, fact_id)"
		" SELECT f.note, (array_agg(f.conv))[1], min(f.author), min(f.at),"
		" string_agg(f.text, '' ORDER BY f.fact_id), $1, max(f.fact_id) FROM @ GROUP BY f.note"
		" ON CONFLICT (id) DO UPDATE SET body = n.body || excluded.body,"
		" fact_id = excluded.fact_id WHERE n.fact_id < excluded.fact_id"},
	{FACT_AGENT_STATE,
		"INSERT INTO segue.agent_log (outbox_id, fact_id, user_name, at, state, was, was_ms,"
		" intent, reason, via, set_by, queue, conversation_id)"
		" SELECT $1, f.fact_id, f.\"user\", f.at, f.state, f.was, f.ms, f.intent, f.reason,"
		" f.via, f.asker, f.queue, f.conv FROM @ ON CONFLICT (outbox_id, fact_id) DO NOTHING"},
	/* Work after a call belongs to the visit that it follows; another call may have cut it in two. */
	{FACT_AGENT_STATE,
		"UPDATE segue.segments s SET acw_ms = w.ms FROM"
		" (SELECT l.conversation_id, l.user_name, sum(l.was_ms) AS ms FROM"
		" (SELECT DISTINCT f.conv, f.\"user\" FROM @ WHERE f.was = 'wrapup') f"
		" JOIN segue.agent_log l ON l.conversation_id = f.conv AND l.user_name = f.\"user\""
		" AND l.was = 'wrapup' GROUP BY 1, 2) w"
		" WHERE s.id = (SELECT v.id FROM segue.segments v"
		" WHERE v.conversation_id = w.conversation_id AND v.who = w.user_name"
		" AND v.kind IN ('agent', 'recall') AND v.answered_at IS NOT NULL"
		" ORDER BY v.seq DESC LIMIT 1)"},
	/* The newest choice of each agent; what was written by hand meanwhile is newer still. */
	{FACT_AGENT_STATE,
		"INSERT INTO segue.agent_states AS a (user_name, intent, reason, since, via, set_by,"
		" outbox_id, fact_id)"
		" SELECT DISTINCT ON (f.\"user\") f.\"user\", f.intent, f.reason,"
		" min(f.at) OVER (PARTITION BY f.\"user\", f.intent, f.reason), f.via, f.asker, $1,"
		" f.fact_id FROM @ WHERE EXISTS (SELECT FROM segue.users u WHERE u.name = f.\"user\")"
		" ORDER BY f.\"user\", f.fact_id DESC"
		" ON CONFLICT (user_name) DO UPDATE SET intent = excluded.intent,"
		" reason = excluded.reason, since = excluded.since, via = excluded.via,"
		" set_by = excluded.set_by, outbox_id = excluded.outbox_id, fact_id = excluded.fact_id"
		" WHERE (a.intent, a.reason) IS DISTINCT FROM (excluded.intent, excluded.reason)"
		" AND a.since <= excluded.since"},
	/* After all that the run before has left in this batch. */
	{FACT_RECORDING_STARTED,
		"INSERT INTO segue.recordings (id, conversation_id, segment_id, file, offset_ms,"
		" started_at, outbox_id, fact_id)"
		" SELECT f.rec, f.conv, f.seg, f.file, f.offset_ms, f.at, $1, f.fact_id FROM @"
		" ON CONFLICT (id) DO NOTHING"},
	{FACT_RECORDING_ENDED,
		"UPDATE segue.recordings r SET ended_at = f.at,"
		" state = CASE WHEN f.why = 'end' THEN 'ended' ELSE 'paused' END"
		" FROM @ WHERE r.id = f.rec"},
	{FACT_STARTED,
		"SELECT segue.close_left_open($1, f.fact_id, f.kept) FROM @ ORDER BY f.fact_id"},
	{FACT_STARTED,
		"SELECT segue.end_recordings($1, f.fact_id) FROM @ ORDER BY f.fact_id"},
	{GROUP_REJECTED,
		"INSERT INTO segue.rejected_facts (outbox_id, fact_id, fact, bytes, error)"
		" SELECT $1, f.fact_id, f.fact, f.bytes, f.error FROM @"
		" ON CONFLICT (outbox_id, fact_id) DO NOTHING"},
};

unsigned statement_count(void)
{
	return sizeof(statements) / sizeof(statements[0]);
}

unsigned statement_group(unsigned i)
{
	return statements[i].group;
}

/* The row source: the arrays $2.. side by side, as f. */
static void source(unsigned group, char *buf, size_t size)
{
	unsigned types[GROUP_COLUMNS_MAX], n = batch_types(group, types);
	size_t len = (size_t)snprintf(buf, size, "unnest(");

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s$%u", i ? ", " : "", i + 2);
	len += (size_t)snprintf(buf + len, size - len, ") AS f(");
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s\"%s\"", i ? ", " : "",
			batch_column(group, i));
	len += (size_t)snprintf(buf + len, size - len, ")");
	assert(len < size);
}

void statement_text(unsigned i, char *buf)
{
	const char *at = strchr(statements[i].sql, '@');
	char from[1500];

	source(statements[i].group, from, sizeof(from));
	snprintf(buf, STATEMENT_MAX, "%.*s%s%s", (int)(at - statements[i].sql), statements[i].sql,
		from, at + 1);
}
