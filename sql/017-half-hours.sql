-- What became of the callers of each queue, by half hour: what the panel's charts are drawn from.

CREATE VIEW segue.queue_half_hour AS
WITH visits AS (
	SELECT s.who AS queue, date_bin('30 min', s.offered_at, 'epoch') AS half_hour, s.outcome,
		s.outcome = 'answered' AND s.wait_ms <= coalesce(q.service_ms, (SELECT value::bigint
			FROM segue.settings WHERE key = 'service_level_ms')) AS in_time
	FROM segue.segments s LEFT JOIN segue.queues q ON q.name = s.who WHERE s.kind = 'queue'
)
SELECT queue, half_hour, count(*) AS offered, count(*) FILTER (WHERE outcome = 'answered') AS answered,
	count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
	count(*) FILTER (WHERE in_time) AS answered_in_time,
	count(*) FILTER (WHERE outcome IS NULL) AS waiting
FROM visits GROUP BY queue, half_hour;
COMMENT ON VIEW segue.queue_half_hour IS
	'Per queue and half hour in which callers came: what became of them; queue_hour has more';
COMMENT ON COLUMN segue.queue_half_hour.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_half_hour.half_hour IS 'Start of the half hour';
COMMENT ON COLUMN segue.queue_half_hour.offered IS 'Callers who entered';
COMMENT ON COLUMN segue.queue_half_hour.answered IS 'Of these: answered by an agent';
COMMENT ON COLUMN segue.queue_half_hour.abandoned IS 'Left before an answer';
COMMENT ON COLUMN segue.queue_half_hour.answered_in_time IS 'Answered within the goal of the queue';
COMMENT ON COLUMN segue.queue_half_hour.waiting IS 'Still there';
