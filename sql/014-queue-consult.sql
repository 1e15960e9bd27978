-- A queue may be consulted, and a transfer to it may stay until somebody answers: who answers then is a
-- consultation, and the transfer leads to that person's segment.

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
		AND a.answered_at BETWEEN q.offered_at AND q.ended_at)
UNION ALL
SELECT o.conversation_id, 'an agent is offered one caller at a time', format('user %s: segments %s and %s',
	o.who, o.id, p.id)
	FROM offer o JOIN offer p ON p.who = o.who AND p.conversation_id <> o.conversation_id
		-- each conversation has a time base of its own: two of them agree to the millisecond
		AND p.offered_at >= o.offered_at AND p.offered_at < o.until - interval '2 ms'
		AND p.until > o.offered_at AND p.id <> o.id
UNION ALL
SELECT x.conversation_id, 'who answered a transfer to a queue was offered it there', format('transfer %s', x.id)
	FROM segue.transfers x JOIN seg q ON q.id = x.to_segment_id AND q.kind = 'queue'
	WHERE x.answered_segment_id IS NOT NULL AND NOT EXISTS (SELECT FROM seg a
		WHERE a.id = x.answered_segment_id AND a.conversation_id = x.conversation_id
		AND a.who = x.answered_by AND a.answered_at >= q.offered_at)
$$;
