-- Reports about queues and agents, who answered a transfer to a queue, and what of it must add up.

ALTER TABLE segue.transfers
	ADD COLUMN answered_by         text,
	ADD COLUMN answered_segment_id uuid,
	ADD COLUMN queue_answered_at   timestamptz;
COMMENT ON COLUMN segue.transfers.answered_by IS
	'To a queue: the user who took the caller there at last. The transfer was completed when the queue took them; NULL: nobody has';
COMMENT ON COLUMN segue.transfers.answered_segment_id IS 'Segment of that user';
COMMENT ON COLUMN segue.transfers.queue_answered_at IS 'When that user answered';

-- ---- agents -----------------------------------------------------------------------------------

CREATE VIEW segue.agent_times AS
SELECT l.user_name, l.was AS state, d.day::date AS day,
	greatest(l.at - l.was_ms * interval '1 ms', d.day) AS started_at,
	least(l.at, d.day + interval '1 day') AS ended_at
FROM segue.agent_log l, generate_series(date_trunc('day', l.at - l.was_ms * interval '1 ms'),
	l.at, interval '1 day') AS d (day)
WHERE l.was_ms > 0 AND least(l.at, d.day + interval '1 day') > d.day;
COMMENT ON VIEW segue.agent_times IS
	'What agents were and for how long, cut at midnight of the session''s time zone; what they are now is not in it yet';

DROP VIEW segue.agent_day;
CREATE VIEW segue.agent_day AS
WITH visits AS (
	SELECT s.who AS user_name, s.offered_at::date AS day, count(*) AS offers,
		count(*) FILTER (WHERE s.answered_at <= coalesce(s.ended_at, 'infinity')) AS answers,
		sum(s.ring_ms) AS ring_ms, sum(s.talk_ms) AS talk_ms,
		sum(s.hold_ms) AS hold_ms, sum(s.held_ms) AS held_ms, sum(s.consult_ms) AS consult_ms,
		count(*) FILTER (WHERE s.answered_at IS NOT NULL AND x.outcome = 'completed')
			AS transfers_in,
		count(*) FILTER (WHERE q.queued) AS queue_offers,
		count(*) FILTER (WHERE q.queued
			AND s.answered_at <= coalesce(s.ended_at, 'infinity')) AS queue_answers,
		count(*) FILTER (WHERE q.queued AND s.outcome IN ('no_answer', 'declined', 'busy',
			'unreachable')) AS queue_missed
	FROM segue.segments s LEFT JOIN segue.transfers x ON x.id = s.transfer_id_in,
		LATERAL (SELECT EXISTS (SELECT FROM segue.segments v
			WHERE v.conversation_id = s.conversation_id AND v.kind = 'queue' AND v.seq < s.seq
			AND s.offered_at < coalesce(v.ended_at, 'infinity')) AS queued) q
	WHERE s.kind IN ('agent', 'recall', 'consult') AND s.who IS NOT NULL
	GROUP BY 1, 2
), asked AS (
	SELECT t.asker AS user_name, t.asked_at::date AS day, count(*) AS transfers_out
	FROM segue.transfers t
	WHERE t.outcome = 'completed' AND t.asked_via <> 'system' AND t.asker IS NOT NULL
	GROUP BY 1, 2
), was AS (
	SELECT t.user_name, t.day,
		(extract(epoch FROM sum(t.ended_at - t.started_at) FILTER (WHERE t.state = 'wrapup'))
			* 1000)::bigint AS acw_ms,
		(extract(epoch FROM sum(t.ended_at - t.started_at) FILTER (WHERE t.state = 'free'))
			* 1000)::bigint AS free_ms,
		(extract(epoch FROM sum(t.ended_at - t.started_at) FILTER (WHERE t.state = 'away'))
			* 1000)::bigint AS away_ms,
		(extract(epoch FROM sum(t.ended_at - t.started_at) FILTER (WHERE t.state <> 'logged_out'))
			* 1000)::bigint AS logged_in_ms
	FROM segue.agent_times t GROUP BY 1, 2
)
SELECT user_name, day, coalesce(v.offers, 0) AS offers, coalesce(v.answers, 0) AS answers,
	coalesce(v.talk_ms, 0)::bigint AS talk_ms, coalesce(v.hold_ms, 0)::bigint AS hold_ms,
	coalesce(v.held_ms, 0)::bigint AS held_ms, coalesce(v.consult_ms, 0)::bigint AS consult_ms,
	coalesce(v.ring_ms, 0)::bigint AS ring_ms, coalesce(w.acw_ms, 0) AS acw_ms,
	(coalesce(v.talk_ms + v.hold_ms + v.consult_ms, 0) + coalesce(w.acw_ms, 0))::bigint
		AS handle_ms,
	coalesce(v.transfers_in, 0) AS transfers_in, coalesce(a.transfers_out, 0) AS transfers_out,
	coalesce(v.queue_offers, 0) AS queue_offers, coalesce(v.queue_answers, 0) AS queue_answers,
	coalesce(v.queue_missed, 0) AS queue_missed, coalesce(w.logged_in_ms, 0) AS logged_in_ms,
	coalesce(w.free_ms, 0) AS free_ms, coalesce(w.away_ms, 0) AS away_ms
FROM visits v FULL JOIN was w USING (user_name, day) LEFT JOIN asked a USING (user_name, day);
COMMENT ON VIEW segue.agent_day IS
	'Per user and day (of the session''s time zone): offers, answers, times, completed transfers in and out; visits count on the day they began, states on the day they were';
COMMENT ON COLUMN segue.agent_day.offers IS 'Times the user was rung';
COMMENT ON COLUMN segue.agent_day.answers IS 'Of these: answered';
COMMENT ON COLUMN segue.agent_day.talk_ms IS 'Joined with a customer, neither side holding';
COMMENT ON COLUMN segue.agent_day.hold_ms IS 'With a customer on hold';
COMMENT ON COLUMN segue.agent_day.held_ms IS 'Held by a customer';
COMMENT ON COLUMN segue.agent_day.consult_ms IS 'Consulting a colleague, or consulted';
COMMENT ON COLUMN segue.agent_day.ring_ms IS 'Rung';
COMMENT ON COLUMN segue.agent_day.acw_ms IS 'Wrap-up: work after calls';
COMMENT ON COLUMN segue.agent_day.handle_ms IS 'talk + hold + consult + acw';
COMMENT ON COLUMN segue.agent_day.transfers_in IS 'Callers taken over by a completed transfer';
COMMENT ON COLUMN segue.agent_day.transfers_out IS 'Completed transfers asked for';
COMMENT ON COLUMN segue.agent_day.queue_offers IS 'Of offers: callers of queues';
COMMENT ON COLUMN segue.agent_day.queue_answers IS 'Of these: answered';
COMMENT ON COLUMN segue.agent_day.queue_missed IS 'Of these: declined, busy or not answered; not those that were withdrawn';
COMMENT ON COLUMN segue.agent_day.logged_in_ms IS 'In any state but logged_out';
COMMENT ON COLUMN segue.agent_day.free_ms IS 'Free to be offered a caller';
COMMENT ON COLUMN segue.agent_day.away_ms IS 'Away, while on no call';

-- ---- queues -----------------------------------------------------------------------------------

DROP VIEW segue.queue_hour;
CREATE VIEW segue.queue_hour AS
WITH visits AS (
	SELECT s.who AS queue, date_trunc('hour', s.offered_at) AS hour, s.outcome, s.wait_ms,
		q.service_goal, s.outcome = 'answered' AND s.wait_ms <= coalesce(q.service_ms, (SELECT value::bigint
			FROM segue.settings WHERE key = 'service_level_ms')) AS in_time
	FROM segue.segments s LEFT JOIN segue.queues q ON q.name = s.who WHERE s.kind = 'queue'
)
SELECT queue, hour, count(*) AS offered, count(*) FILTER (WHERE outcome = 'answered') AS answered,
	count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
	count(*) FILTER (WHERE in_time) AS answered_in_time,
	round(100.0 * count(*) FILTER (WHERE in_time)
		/ nullif(count(outcome), 0), 1) AS service_level,
	coalesce(avg(wait_ms), 0)::bigint AS avg_wait_ms,
	count(*) FILTER (WHERE outcome NOT IN ('answered', 'abandoned')) AS overflowed,
	count(*) FILTER (WHERE outcome IS NULL) AS waiting,
	avg(wait_ms) FILTER (WHERE outcome = 'answered')::bigint AS speed_of_answer_ms,
	avg(wait_ms) FILTER (WHERE outcome = 'abandoned')::bigint AS abandoned_after_ms,
	max(wait_ms) AS longest_wait_ms, max(service_goal) AS service_goal
FROM visits GROUP BY queue, hour;
COMMENT ON VIEW segue.queue_hour IS
	'Per queue and hour in which callers came: what became of them, and whether they were answered within queues.service_ms (or settings.service_level_ms)';
COMMENT ON COLUMN segue.queue_hour.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_hour.hour IS 'Start of the hour';
COMMENT ON COLUMN segue.queue_hour.offered IS 'Callers who entered';
COMMENT ON COLUMN segue.queue_hour.answered IS 'Of these: answered by an agent';
COMMENT ON COLUMN segue.queue_hour.abandoned IS 'Left before an answer';
COMMENT ON COLUMN segue.queue_hour.answered_in_time IS 'Answered within the goal of the queue';
COMMENT ON COLUMN segue.queue_hour.service_level IS
	'Per cent of the callers who wait no more that were answered in time: who left or overflowed counts as not';
COMMENT ON COLUMN segue.queue_hour.avg_wait_ms IS 'Average wait, whatever its end';
COMMENT ON COLUMN segue.queue_hour.overflowed IS 'Sent on unanswered, or moved by hand';
COMMENT ON COLUMN segue.queue_hour.waiting IS 'Still there';
COMMENT ON COLUMN segue.queue_hour.speed_of_answer_ms IS 'Average wait of those who were answered';
COMMENT ON COLUMN segue.queue_hour.abandoned_after_ms IS 'Average wait of those who left';
COMMENT ON COLUMN segue.queue_hour.longest_wait_ms IS 'Longest wait';
COMMENT ON COLUMN segue.queue_hour.service_goal IS 'Per cent that should be answered in time';

-- ---- does it add up? --------------------------------------------------------------------------

ALTER FUNCTION segue.check_ledger(timestamptz) RENAME TO check_calls;
COMMENT ON FUNCTION segue.check_calls(timestamptz) IS 'The part of check_ledger() about calls and transfers';

CREATE FUNCTION segue.check_queues(p_since timestamptz)
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
	FROM visit q JOIN seg a ON a.conversation_id = q.conversation_id AND a.kind = 'agent'
		AND a.seq > q.seq AND a.offered_at < q.ended_at AND NOT a.estimated
)
SELECT q.conversation_id, 'waiting is the sum of its intervals', format('segment %s: %s, intervals %s',
	q.id, q.wait_ms, q.queued_ms)
	FROM visit q WHERE q.wait_ms <> q.queued_ms
UNION ALL
SELECT q.conversation_id, 'an answered caller of a queue has an agent', format('segment %s', q.id)
	FROM visit q WHERE q.outcome = 'answered' AND NOT EXISTS (SELECT FROM seg a
		WHERE a.conversation_id = q.conversation_id AND a.kind IN ('agent', 'recall')
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
	FROM segue.transfers x JOIN seg q ON q.id = x.to_segment_id
	WHERE x.answered_segment_id IS NOT NULL AND NOT EXISTS (SELECT FROM seg a
		WHERE a.id = x.answered_segment_id AND a.conversation_id = x.conversation_id
		AND a.who = x.answered_by AND a.answered_at >= q.offered_at)
$$;
COMMENT ON FUNCTION segue.check_queues(timestamptz) IS 'The part of check_ledger() about queues';

CREATE FUNCTION segue.check_ledger(p_since timestamptz DEFAULT '-infinity')
RETURNS TABLE (conversation_id uuid, rule text, detail text) LANGUAGE sql STABLE AS $$
	SELECT * FROM segue.check_calls(p_since) UNION ALL SELECT * FROM segue.check_queues(p_since)
$$;
COMMENT ON FUNCTION segue.check_ledger(timestamptz) IS
	'Everything in the ledger that does not add up, for conversations that started since then; no row: all is well';
