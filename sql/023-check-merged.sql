-- A conversation that became part of an older one keeps its own times, but its visits have moved there:
-- its talk is compared with theirs.

CREATE FUNCTION segue.check_merged(p_since timestamptz)
RETURNS TABLE (conversation_id uuid, rule text, detail text) LANGUAGE sql STABLE AS $$
WITH RECURSIVE part AS ( -- it and all that had become part of it before
	SELECT c.id AS whole, c.id FROM segue.conversations c
		WHERE c.merged_into IS NOT NULL AND c.started_at >= p_since
	UNION ALL
	SELECT p.whole, c.id FROM part p JOIN segue.conversations c ON c.merged_into = p.id
), began AS (
	SELECT p.whole, coalesce(sum(s.talk_ms), 0) AS talk,
		coalesce(bool_or(s.talk_ms IS NULL OR s.ended_at IS NULL) FILTER (WHERE s.id IS NOT NULL),
			false) AS unknown
	FROM part p LEFT JOIN segue.segments s ON s.original_conversation_id = p.id
		AND s.kind IN ('agent', 'recall', 'external', 'consult')
	GROUP BY 1
)
SELECT c.id, 'who merged talked no longer than their visits', format('%s, %s', c.talk_ms, b.talk)
	FROM began b JOIN segue.conversations c ON c.id = b.whole
	WHERE NOT b.unknown AND c.talk_ms > b.talk
$$;
COMMENT ON FUNCTION segue.check_merged(timestamptz) IS
	'The part of check_ledger() about conversations that became part of another';

CREATE OR REPLACE FUNCTION segue.check_ledger(p_since timestamptz DEFAULT '-infinity')
RETURNS TABLE (conversation_id uuid, rule text, detail text) LANGUAGE sql STABLE AS $$
	SELECT w.* FROM segue.check_calls(p_since) w
		LEFT JOIN segue.conversations c ON c.id = w.conversation_id
		WHERE c.merged_into IS NULL OR w.rule <> 'talk_ms is at most agent_talk_ms'
	UNION ALL SELECT * FROM segue.check_merged(p_since)
	UNION ALL SELECT * FROM segue.check_queues(p_since)
$$;

-- Visits that began in another conversation have its time base: the two agree to the millisecond.
CREATE OR REPLACE FUNCTION segue.check_queues(p_since timestamptz)
RETURNS TABLE (conversation_id uuid, rule text, detail text) LANGUAGE sql STABLE AS $$
WITH seg AS MATERIALIZED (
	SELECT s.* FROM segue.segments s JOIN segue.conversations c ON c.id = s.conversation_id
		WHERE c.started_at >= p_since
), visit AS MATERIALIZED (
	SELECT q.*, (SELECT coalesce(sum(i.duration_ms), 0) FROM segue.intervals i
		WHERE i.segment_id = q.id AND i.state = 'queued') AS queued_ms
	FROM seg q WHERE q.kind = 'queue' AND q.ended_at IS NOT NULL
), offer AS MATERIALIZED (
	SELECT a.id, a.conversation_id, a.who, a.offered_at,
		least(a.answered_at, a.ended_at, q.ended_at) AS until
	FROM visit q JOIN seg a ON a.conversation_id = q.conversation_id AND a.kind IN ('agent', 'consult')
		AND a.seq > q.seq AND a.offered_at < q.ended_at AND NOT a.estimated
)
SELECT q.conversation_id, 'waiting is the sum of its intervals', format('segment %s: %s, intervals %s',
	q.id, q.wait_ms, q.queued_ms)
	FROM visit q WHERE q.wait_ms <> q.queued_ms
UNION ALL
SELECT q.conversation_id, 'an answered caller of a queue has an agent', format('segment %s', q.id)
	FROM visit q WHERE q.outcome = 'answered' AND NOT EXISTS (SELECT FROM seg a
		WHERE a.conversation_id = q.conversation_id AND a.kind IN ('agent', 'recall', 'consult')
		AND a.answered_at BETWEEN q.offered_at - interval '2 ms' AND q.ended_at + interval '2 ms')
UNION ALL
SELECT o.conversation_id, 'an agent is offered one caller at a time', format('user %s: segments %s and %s',
	o.who, o.id, p.id)
	FROM offer o JOIN offer p ON p.who = o.who AND p.conversation_id <> o.conversation_id
		AND p.offered_at >= o.offered_at AND p.offered_at < o.until - interval '2 ms'
		AND p.until > o.offered_at AND p.id <> o.id
UNION ALL
SELECT x.conversation_id, 'who answered a transfer to a queue was offered it there', format('transfer %s', x.id)
	FROM segue.transfers x JOIN seg q ON q.id = x.to_segment_id AND q.kind = 'queue'
	WHERE x.answered_segment_id IS NOT NULL AND NOT EXISTS (SELECT FROM seg a
		WHERE a.id = x.answered_segment_id AND a.conversation_id = x.conversation_id
		AND a.who = x.answered_by AND a.answered_at >= q.offered_at - interval '2 ms')
$$;
