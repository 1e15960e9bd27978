-- What became of the callers of the last 15 minutes: whether a queue is behind its goal now.

CREATE VIEW segue.queue_recent AS
WITH visits AS (
	SELECT s.who AS queue, s.outcome, s.wait_ms, q.service_goal,
		s.outcome = 'answered' AND s.wait_ms <= coalesce(q.service_ms, (SELECT value::bigint
			FROM segue.settings WHERE key = 'service_level_ms')) AS in_time
	FROM segue.queues q JOIN segue.segments s ON s.who = q.name AND s.kind = 'queue'
		AND s.offered_at > now() - interval '15 min'
)
SELECT queue, count(*) AS offered, count(*) FILTER (WHERE outcome = 'answered') AS answered,
	count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
	count(*) FILTER (WHERE in_time) AS answered_in_time,
	round(100.0 * count(*) FILTER (WHERE in_time)
		/ nullif(count(outcome), 0), 1) AS service_level,
	count(*) FILTER (WHERE outcome IS NULL) AS waiting, max(service_goal) AS service_goal
FROM visits GROUP BY queue;
COMMENT ON VIEW segue.queue_recent IS
	'Per queue: what became of the callers who came in the last 15 minutes; no row: nobody came';
COMMENT ON COLUMN segue.queue_recent.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_recent.offered IS 'Callers who entered';
COMMENT ON COLUMN segue.queue_recent.answered IS 'Of these: answered by an agent';
COMMENT ON COLUMN segue.queue_recent.abandoned IS 'Left before an answer';
COMMENT ON COLUMN segue.queue_recent.answered_in_time IS 'Answered within the goal of the queue';
COMMENT ON COLUMN segue.queue_recent.service_level IS
	'Per cent of the callers who wait no more that were answered in time: who left or overflowed counts as not';
COMMENT ON COLUMN segue.queue_recent.waiting IS 'Still there';
COMMENT ON COLUMN segue.queue_recent.service_goal IS 'Per cent that should be answered in time';
