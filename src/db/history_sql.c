/*
 * history_sql: see history_sql.h. PostgreSQL builds the JSON: what comes back is passed on as it is.
 *
 * Every question about conversations begins with the same three parameters, which say who asks:
 *	$1 user whose conversations alone are seen, NULL: all
 *	$2 array of departments (queues): their conversations, and those of their members, are seen too
 *	$3 true: outside numbers without their middle
 */
#include "db/history_sql.h"

/* A time as the interface writes it, and a number as this asker may see it. */
#define T(x) "to_char((" x ") AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
#define NUMBER(x)                                                                                  \
	"CASE WHEN $3::boolean AND length(" x ") > 7 THEN left(" x ", 3) || '****' || right(" x    \
	", 4) ELSE " x " END"

/* The name that somebody outside came with: many carriers send the number there, too. */
#define NAME(x)                                                                                    \
	"CASE WHEN $3::boolean AND length(regexp_replace(" x ", '[^0-9]', '', 'g')) > 7"           \
	" THEN NULL ELSE " x " END"

/* May the asker see conversation c? */
#define SEEN                                                                                       \
	"($1::text IS NULL OR EXISTS (SELECT FROM segue.segments v WHERE v.conversation_id = c.id" \
	" AND (v.who = $1 OR v.who = ANY ($2::text[]) OR v.who IN (SELECT m.user_name"            \
	" FROM segue.queue_members m WHERE m.queue = ANY ($2::text[])))))"

#define CASE_OF(k)                                                                                 \
	"CASE WHEN " k ".id IS NULL THEN NULL ELSE jsonb_build_object('id', " k ".id, 'key', " k   \
	".case_key, 'origin', " k ".origin, 'owner', " k ".owner, 'opened_at', "                   \
	T(k ".opened_at") ", 'closed_at', " T(k ".closed_at") ") END"

#define CUSTOMER_OF(c)                                                                             \
	"jsonb_build_object('number', " NUMBER(c ".customer_number") ", 'name', "                  \
	NAME(c ".customer_name") ")"

#define INTERVALS_OF(s)                                                                            \
	"(SELECT coalesce(jsonb_agg(jsonb_build_object('state', i.state, 'from', "                 \
	T("i.started_at") ", 'to', " T("i.ended_at")                                               \
	", 'ms', i.duration_ms) ORDER BY i.seq), '[]') FROM segue.intervals i"                     \
	" WHERE i.segment_id = " s ".id)"

/* A segment as the list shows it. */
#define SEGMENT                                                                                    \
	"'id', s.id, 'seq', s.seq, 'kind', s.kind, 'who', s.who, 'name',"                          \
	" (SELECT u.display_name FROM segue.users u WHERE u.name = s.who), 'number', "             \
	"CASE WHEN s.kind IN ('queue', 'ivr', 'voicemail') OR EXISTS (SELECT FROM segue.users u"   \
	" WHERE u.name = s.who) THEN s.number ELSE " NUMBER("s.number") " END"                     \
	", 'offered_at', " T("s.offered_at") ", 'answered_at', " T("s.answered_at")                \
	", 'ended_at', " T("s.ended_at") ", 'outcome', s.outcome, 'tracking', s.tracking"     \
	", 'transfer_in', s.transfer_id_in"                                                        \
	", 'ring_ms', s.ring_ms, 'talk_ms', s.talk_ms, 'hold_ms', s.hold_ms, 'held_ms', s.held_ms" \
	", 'consult_ms', s.consult_ms, 'wait_ms', s.wait_ms, 'intervals', " INTERVALS_OF("s")

#define SUMS                                                                                       \
	"'total_ms', c.total_ms, 'ring_ms', c.ring_ms, 'wait_ms', c.wait_ms, 'talk_ms', c.talk_ms," \
	" 'hold_ms', c.hold_ms, 'held_ms', c.held_ms, 'consult_ms', c.consult_ms,"                 \
	" 'limbo_ms', c.limbo_ms, 'ivr_ms', c.ivr_ms"

/* A conversation as the log shows it, of c and its case k. */
#define CONVERSATION                                                                               \
	"'id', c.id, 'call', c.call, 'kind', c.kind, 'customer', " CUSTOMER_OF("c")                \
	", 'dialled', CASE WHEN c.kind = 'outbound' THEN " NUMBER("c.dialled")                     \
	" ELSE c.dialled END, 'source', c.source, 'started_at', " T("c.started_at")                \
	", 'ended_at', " T("c.ended_at") ", 'outcome', coalesce(c.outcome, 'live')"                \
	", 'ended_by', c.ended_by, 'sip_cause', c.sip_cause, 'estimated', c.estimated"             \
	", 'merged_into', c.merged_into, 'linked_to', c.linked_to"                                 \
	", 'transferred', EXISTS (SELECT FROM segue.transfers t"                                   \
	" WHERE t.conversation_id = c.id AND t.outcome = 'completed')"                             \
	", 'failed_transfers', c.n_failed, 'case', " CASE_OF("k") ", " SUMS                        \
	", 'notes', (SELECT count(*) FROM segue.notes n WHERE n.conversation_id = c.id)"           \
	", 'recordings', (SELECT count(*) FROM segue.recordings r WHERE r.conversation_id = c.id)"

#define FROM_CONVERSATIONS                                                                         \
	" FROM segue.conversations c LEFT JOIN segue.cases k ON k.id = c.case_id"

/* $4 from, $5 to, $6 agent, $7 queue, $8 part of the number as the asker sees it, since else one could
 * guess the rest digit by digit, $9 contact's number, $10 case by key or id, $11 outcome; $12 id of the
 * last that was seen, $13 how many. */
#define FILTERED                                                                                   \
	FROM_CONVERSATIONS                                                                         \
	" WHERE c.merged_into IS NULL AND " SEEN                                                   \
	" AND ($4::timestamptz IS NULL OR c.started_at >= $4)"                                     \
	" AND ($5::timestamptz IS NULL OR c.started_at < $5)"                                      \
	" AND ($6::text IS NULL OR EXISTS (SELECT FROM segue.segments s"                           \
	"  WHERE s.conversation_id = c.id AND s.who = $6 AND s.kind <> 'queue'))"                  \
	" AND ($7::text IS NULL OR EXISTS (SELECT FROM segue.segments s"                           \
	"  WHERE s.conversation_id = c.id AND s.who = $7 AND s.kind = 'queue'))"                   \
	" AND ($8::text IS NULL OR position($8 IN " NUMBER("c.customer_number") ") > 0"            \
	"  OR position(lower($8) IN lower(" NAME("c.customer_name") ")) > 0)"                      \
	" AND ($9::text IS NULL OR c.customer_number = $9)"                                        \
	" AND ($10::text IS NULL OR k.case_key = $10 OR k.id::text = $10)"                         \
	" AND ($11::text IS NULL OR coalesce(c.outcome, 'live') = $11 OR ($11 = 'transferred'"     \
	"  AND EXISTS (SELECT FROM segue.transfers t WHERE t.conversation_id = c.id"               \
	"  AND t.outcome = 'completed')))"                                                         \
	" AND ($12::uuid IS NULL OR (c.started_at, c.id) < (SELECT x.started_at, x.id"             \
	"  FROM segue.conversations x WHERE x.id = $12))"                                          \
	" AND ($12::uuid IS NULL OR c.started_at <= (SELECT x.started_at" /* which an index knows */ \
	"  FROM segue.conversations x WHERE x.id = $12))"                                          \
	" ORDER BY c.started_at DESC, c.id DESC LIMIT $13::integer"

/* A field of a CSV line. What a spreadsheet would take for a formula becomes text: also behind blanks, and
 * in the wide letters of East Asia. A number with its + stays one. */
#define FIELD(x)                                                                                   \
	"'\"' || replace(CASE WHEN " x " ~ '^\\s*[=@+\uff1d\uff20\uff0b\uff0d-]' AND " x                  \
	" !~ '^[+][0-9][0-9 ()/.*-]*$' THEN '''' || " x " ELSE coalesce(" x                          \
	", '') END, '\"', '\"\"') || '\"'"

#define TRANSFER                                                                                   \
	"jsonb_build_object('id', t.id, 'kind', t.kind, 'via', t.asked_via, 'asker', t.asker,"     \
	" 'target', jsonb_build_object('kind', t.target_kind, 'name', t.target, 'number',"         \
	" CASE WHEN t.target_kind = 'external' THEN " NUMBER("t.number") " ELSE t.number END),"    \
	" 'from_segment', t.from_segment_id, 'to_segment', t.to_segment_id,"                       \
	" 'attempt', t.attempt, 'previous', t.prev_transfer_id, 'next', t.next_transfer_id,"       \
	" 'asked_at', " T("t.asked_at") ", 'ringing_at', " T("t.target_ringing_at")                \
	", 'answered_at', " T("t.target_answered_at") ", 'joined_at', " T("t.joined_at")           \
	", 'ended_at', " T("t.ended_at") ", 'outcome', t.outcome, 'cause', t.cause,"               \
	" 'sip_status', t.sip_status)"

#define ENTRY                                                                                      \
	"jsonb_build_object('conversation', e.conversation_id, 'seq', e.seq, 'at', " T("e.at")     \
	", 'type', e.type, 'actor', CASE WHEN e.actor ~ '^[+0-9]+$' THEN " NUMBER("e.actor")       \
	" ELSE e.actor END, 'via', e.via, 'segment', e.segment_id,"                                \
	" 'transfer', e.transfer_id, 'headline', e.headline,"                                      \
	" 'data', CASE WHEN $3::boolean THEN '{}' ELSE coalesce(e.data, '{}') END)"

static const char *const sql[history_topic_count_] = {
	[ASK_ACCESS] =
		"SELECT jsonb_build_object("
		"'users', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', u.name, 'role', u.role,"
		" 'enabled', u.enabled, 'may_transfer', u.may_transfer, 'password', u.password,"
		" 'departments', (SELECT coalesce(jsonb_agg(s.queue ORDER BY s.queue), '[]')"
		"  FROM segue.queue_supervisors s WHERE s.user_name = u.name))), '[]')"
		" FROM segue.users u),"
		"'tokens', (SELECT coalesce(jsonb_agg(jsonb_build_object('sha256', token_sha256,"
		" 'name', name, 'user', user_name, 'scopes', scopes,"
		" 'expires', (extract(epoch FROM expires_at) * 1000000)::bigint)), '[]')"
		" FROM segue.api_tokens))::text",

	[ASK_CONVERSATIONS] =
		"WITH page AS (SELECT c.id, c.started_at, jsonb_build_object(" CONVERSATION
		", 'segments', (SELECT coalesce(jsonb_agg(jsonb_build_object(" SEGMENT
		") ORDER BY s.seq), '[]') FROM segue.segments s WHERE s.conversation_id = c.id)"
		") AS row" FILTERED ")"
		" SELECT jsonb_build_object('conversations', coalesce(jsonb_agg(row"
		" ORDER BY started_at DESC, id DESC), '[]'), 'next', CASE WHEN count(*) = $13::integer"
		" THEN (array_agg(id ORDER BY started_at, id))[1] END)::text FROM page",

	/* The $13th of those that are meant. */
	[ASK_CONVERSATIONS_NTH] = "SELECT c.id::text" FILTERED " OFFSET $13::integer - 1",

	/* How many lines, the id of the last or -, a newline, and the lines. */
	[ASK_CONVERSATIONS_CSV] =
		"WITH page AS (SELECT c.id, c.started_at, concat_ws(','"
		", " FIELD("c.id::text") ", " FIELD(T("c.started_at")) ", " FIELD(T("c.ended_at"))
		", " FIELD("c.kind") ", " FIELD("coalesce(c.outcome, 'live')")
		", " FIELD(NUMBER("c.customer_number")) ", " FIELD(NAME("c.customer_name"))
		", " FIELD("coalesce(k.case_key, k.id::text)") ", " FIELD("k.owner")
		", " FIELD("(SELECT string_agg(coalesce(s.who, " NUMBER("s.number") "), ' > ' ORDER BY s.seq)"
			   " FROM segue.segments s WHERE s.conversation_id = c.id"
			   " AND s.answered_at IS NOT NULL)")
		", coalesce(c.total_ms, 0), coalesce(c.wait_ms, 0), coalesce(c.talk_ms, 0)"
		", coalesce(c.hold_ms, 0), c.n_requested, c.n_failed) AS line" FILTERED ")"
		" SELECT count(*) || ' ' || coalesce((array_agg(id ORDER BY started_at, id))[1]::text, '-')"
		" || E'\\n' || coalesce(string_agg(line || E'\\r\\n', '' ORDER BY started_at DESC,"
		" id DESC), '') FROM page",

	/* $4 id */
	[ASK_CONVERSATION] =
		"SELECT jsonb_build_object(" CONVERSATION ", 'sip_call_id', c.sip_call_id"
		", 'segments', (SELECT coalesce(jsonb_agg(jsonb_build_object(" SEGMENT
		", 'merged_from', s.original_conversation_id"
		", 'sip_cause', s.sip_cause, 'released_by', s.released_by, 'previous',"
		" s.prev_segment_id, 'transfer_out', s.transfer_id_out, 'acw_ms', s.acw_ms,"
		" 'limbo_ms', s.limbo_ms) ORDER BY s.seq), '[]')"
		" FROM segue.segments s WHERE s.conversation_id = c.id)"
		", 'transfers', (SELECT coalesce(jsonb_agg(" TRANSFER " ORDER BY t.asked_at, t.id),"
		" '[]') FROM segue.transfers t WHERE t.conversation_id = c.id)"
		", 'timeline', (SELECT coalesce(jsonb_agg(" ENTRY " ORDER BY e.seq), '[]')"
		" FROM segue.timeline e WHERE e.conversation_id = c.id)"
		", 'remarks', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', n.id, 'author',"
		" n.author, 'at', " T("n.at") ", 'text', n.body) ORDER BY n.at), '[]')"
		" FROM segue.notes n WHERE n.conversation_id = c.id)"
		", 'recorded', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'segment',"
		" r.segment_id, 'started_at', " T("r.started_at") ", 'ended_at', " T("r.ended_at")
		") ORDER BY r.started_at), '[]')"
		" FROM segue.recordings r WHERE r.conversation_id = c.id)"
		")::text" FROM_CONVERSATIONS " WHERE c.id = $4::uuid AND " SEEN,

	/* $4 key or id */
	[ASK_CASE] =
		"SELECT jsonb_build_object('id', k.id, 'key', k.case_key, 'origin', k.origin,"
		" 'owner', k.owner, 'owner_since', " T("k.owner_since") ", 'opened_at', "
		T("k.opened_at") ", 'closed_at', " T("k.closed_at") ", 'customer', "
		CUSTOMER_OF("k") ", 'conversations', (SELECT coalesce(jsonb_agg(jsonb_build_object("
		"'id', c.id, 'kind', c.kind, 'started_at', " T("c.started_at") ", 'ended_at', "
		T("c.ended_at") ", 'outcome', coalesce(c.outcome, 'live'), " SUMS
		") ORDER BY c.started_at DESC), '[]') FROM segue.conversations c"
		" WHERE c.case_id = k.id AND " SEEN "), 'timeline', (SELECT coalesce(jsonb_agg("
		ENTRY " ORDER BY c.started_at, c.id, e.seq), '[]') FROM segue.timeline e"
		" JOIN segue.conversations c ON c.id = e.conversation_id"
		" WHERE c.case_id = k.id AND " SEEN "))::text FROM segue.cases k"
		" WHERE (k.case_key = $4 OR k.id::text = $4) AND ($1::text IS NULL OR k.owner = $1"
		" OR EXISTS (SELECT FROM segue.conversations c WHERE c.case_id = k.id AND " SEEN "))",

	/* $4 number */
	[ASK_CONTACT] =
		"SELECT CASE WHEN count(*) > 0 THEN jsonb_build_object('number', "
		NUMBER("max(c.customer_number)") ", 'names', array_remove(array_agg(DISTINCT"
		" c.customer_name), NULL), 'conversations', count(*), 'first_at', "
		T("min(c.started_at)") ", 'last_at', " T("max(c.started_at)")
		", 'talk_ms', coalesce(sum(c.talk_ms), 0), 'cases', (SELECT coalesce(jsonb_agg("
		CASE_OF("k") " ORDER BY k.opened_at DESC), '[]') FROM segue.cases k"
		" WHERE k.customer_number = $4), 'agents', (SELECT coalesce(jsonb_agg("
		"jsonb_build_object('user', a.who, 'conversations', a.n, 'talk_ms', a.talk)"
		" ORDER BY a.talk DESC), '[]') FROM (SELECT s.who, count(DISTINCT s.conversation_id)"
		" AS n, coalesce(sum(s.talk_ms), 0) AS talk FROM segue.segments s"
		" JOIN segue.conversations x ON x.id = s.conversation_id"
		" WHERE x.customer_number = $4 AND s.kind IN ('agent', 'recall') AND s.who IS NOT NULL"
		" GROUP BY s.who) a))::text END FROM segue.conversations c"
		" WHERE c.customer_number = $4 AND c.merged_into IS NULL AND " SEEN,

	/* $4 from, $5 to, $6 agent; days are those of UTC */
	[ASK_AGENT_REPORT] =
		"SELECT jsonb_build_object('agents', coalesce(jsonb_agg(to_jsonb(d)"
		" ORDER BY d.day, d.user_name), '[]'))::text FROM segue.agent_day d"
		" WHERE $3::boolean IS NOT NULL"
		" AND ($4::timestamptz IS NULL OR d.day >= ($4 AT TIME ZONE 'UTC')::date)"
		" AND ($5::timestamptz IS NULL OR d.day <= ($5 AT TIME ZONE 'UTC')::date)"
		" AND ($6::text IS NULL OR d.user_name = $6)"
		" AND ($1::text IS NULL OR d.user_name = $1 OR d.user_name IN (SELECT m.user_name"
		"  FROM segue.queue_members m WHERE m.queue = ANY ($2::text[])))",

	/* $4 from, $5 to, $6 queue */
	[ASK_HALF_HOURS] =
		"SELECT jsonb_build_object('queues', coalesce(jsonb_agg(to_jsonb(q) || "
		"jsonb_build_object('half_hour', " T("q.half_hour") ") ORDER BY q.half_hour, q.queue),"
		" '[]'))::text FROM segue.queue_half_hour q WHERE $3::boolean IS NOT NULL"
		" AND ($4::timestamptz IS NULL OR q.half_hour >= $4)"
		" AND ($5::timestamptz IS NULL OR q.half_hour < $5)"
		" AND ($6::text IS NULL OR q.queue = $6)"
		" AND ($1::text IS NULL OR q.queue = ANY ($2::text[]) OR q.queue IN (SELECT m.queue"
		"  FROM segue.queue_members m WHERE m.user_name = $1))",

	/* $4 and $5 are not looked at: it is the last 15 minutes; $6 queue */
	[ASK_RECENT] =
		"SELECT jsonb_build_object('queues', coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.queue),"
		" '[]'))::text FROM segue.queue_recent q WHERE $3::boolean IS NOT NULL"
		" AND ($4::text IS NULL OR true) AND ($5::text IS NULL OR true)"
		" AND ($6::text IS NULL OR q.queue = $6)"
		" AND ($1::text IS NULL OR q.queue = ANY ($2::text[]) OR q.queue IN (SELECT m.queue"
		"  FROM segue.queue_members m WHERE m.user_name = $1))",

	/* $4 from, $5 to, $6 queue */
	[ASK_QUEUE_REPORT] =
		"SELECT jsonb_build_object('queues', coalesce(jsonb_agg(to_jsonb(q) || "
		"jsonb_build_object('hour', " T("q.hour") ") ORDER BY q.hour, q.queue), '[]'))::text"
		" FROM segue.queue_hour q WHERE $3::boolean IS NOT NULL"
		" AND ($4::timestamptz IS NULL OR q.hour >= $4)"
		" AND ($5::timestamptz IS NULL OR q.hour < $5)"
		" AND ($6::text IS NULL OR q.queue = $6)"
		" AND ($1::text IS NULL OR q.queue = ANY ($2::text[]) OR q.queue IN (SELECT m.queue"
		"  FROM segue.queue_members m WHERE m.user_name = $1))",

	/* Not about what a viewer may see: $1 the asking node, $2 Call-ID, $3 to-tag, $4 from-tag, $5 whose
	 * it must be (E-095). A dialog that two nodes claim is nobody's (RFC 3891 section 3). */
	[ASK_DIALOG] =
		"SELECT CASE WHEN count(*) = 1 THEN min(d.node)::text END FROM segue.dialogs d"
		" JOIN segue.nodes n USING (node) WHERE d.local_tag = $3 AND d.remote_tag = $4"
		" AND d.call_id = $2 AND d.node <> $1::integer AND d.user_name = $5"
		" AND n.seen_at > now() - interval '30 s'",

	/* $4 id; the file's name */
	[ASK_RECORDING] =
		"SELECT r.file FROM segue.recordings r JOIN segue.conversations c"
		" ON c.id = r.conversation_id WHERE r.id = $4::uuid AND $3::boolean IS NOT NULL"
		" AND " SEEN,

	/* $4 id */
	[ASK_TRANSFER] =
		"SELECT (" TRANSFER " || jsonb_build_object('conversation', t.conversation_id,"
		" 'call', c.call, 'stage', CASE WHEN t.ended_at IS NULL THEN 'asked' ELSE 'ended' END)"
		")::text FROM segue.transfers t JOIN segue.conversations c"
		" ON c.id = t.conversation_id WHERE t.id = $4::uuid AND (t.asker = $1 OR " SEEN ")",
};

const char *history_sql(enum history_topic what)
{
	return sql[what];
}
