-- Views for people and reports, and the check that the ledger adds up.

CREATE VIEW segue.call_log AS
SELECT c.id AS conversation_id, c.started_at, c.ended_at, c.kind,
	coalesce(c.outcome, 'live') AS outcome, c.customer_number, c.customer_name, c.dialled,
	EXISTS (SELECT FROM segue.transfers t
		WHERE t.conversation_id = c.id AND t.outcome = 'completed') AS transferred,
	(SELECT array_agg(s.who ORDER BY s.seq) FROM segue.segments s
		WHERE s.conversation_id = c.id AND s.kind IN ('agent', 'recall')
		AND s.answered_at <= coalesce(s.ended_at, 'infinity')) AS agents,
	c.ended_by, c.total_ms, c.ring_ms, c.wait_ms, c.talk_ms, c.hold_ms, c.held_ms, c.consult_ms,
	c.limbo_ms, c.ivr_ms, c.n_requested, c.n_failed, c.n_blind, c.n_consult, c.n_semi, c.estimated,
	c.case_id, k.case_key, k.owner AS case_owner,
	(SELECT jsonb_agg(jsonb_build_object('seq', s.seq, 'kind', s.kind, 'who',
			coalesce(s.who, s.number), 'offered_at', s.offered_at, 'answered_at',
			s.answered_at, 'ended_at', s.ended_at, 'outcome', s.outcome, 'ring_ms', s.ring_ms,
			'talk_ms', s.talk_ms, 'hold_ms', s.hold_ms, 'by_transfer', t.kind, 'asked_by',
			t.asker, 'transfer_outcome', t.outcome) ORDER BY s.seq)
		FROM segue.segments s LEFT JOIN segue.transfers t ON t.id = s.transfer_id_in
		WHERE s.conversation_id = c.id) AS thread
FROM segue.conversations c LEFT JOIN segue.cases k ON k.id = c.case_id
WHERE c.merged_into IS NULL;
COMMENT ON VIEW segue.call_log IS
	'One row per conversation, with its thread of segments as JSON; transferred says it at once';
COMMENT ON COLUMN segue.call_log.outcome IS 'live while it goes on, then answered, abandoned or failed';
COMMENT ON COLUMN segue.call_log.transferred IS 'At least one transfer was completed';
COMMENT ON COLUMN segue.call_log.agents IS 'Users who talked with the customer, in order';
COMMENT ON COLUMN segue.call_log.thread IS 'Every visit of a party, in order';

CREATE VIEW segue.case_timeline AS
SELECT c.case_id, k.case_key, k.customer_number, k.owner AS case_owner, t.conversation_id, t.at,
	t.seq, t.type, t.actor, t.via, coalesce(s.who, s.number) AS segment_who,
	coalesce(x.target, x.number) AS transfer_target, x.outcome AS transfer_outcome, t.headline,
	t.data, c.started_at AS conversation_started_at
FROM segue.timeline t
JOIN segue.conversations c ON c.id = t.conversation_id
JOIN segue.cases k ON k.id = c.case_id
LEFT JOIN segue.segments s ON s.id = t.segment_id
LEFT JOIN segue.transfers x ON x.id = t.transfer_id
ORDER BY c.case_id, c.started_at, t.conversation_id, t.seq;
COMMENT ON VIEW segue.case_timeline IS
	'Everything that happened in the conversations of a case, in order; headline rows alone tell the short story';

CREATE VIEW segue.agent_day AS
WITH visits AS (
	SELECT s.who AS user_name, s.offered_at::date AS day, count(*) AS offers,
		count(*) FILTER (WHERE s.answered_at <= coalesce(s.ended_at, 'infinity')) AS answers, sum(s.ring_ms) AS ring_ms, sum(s.talk_ms) AS talk_ms,
		sum(s.hold_ms) AS hold_ms, sum(s.held_ms) AS held_ms, sum(s.consult_ms) AS consult_ms,
		sum(s.acw_ms) AS acw_ms,
		count(*) FILTER (WHERE s.answered_at IS NOT NULL AND x.outcome = 'completed')
			AS transfers_in
	FROM segue.segments s LEFT JOIN segue.transfers x ON x.id = s.transfer_id_in
	WHERE s.kind IN ('agent', 'recall', 'consult') AND s.who IS NOT NULL
	GROUP BY 1, 2
), asked AS (
	SELECT t.asker AS user_name, t.asked_at::date AS day, count(*) AS transfers_out
	FROM segue.transfers t
	WHERE t.outcome = 'completed' AND t.asked_via <> 'system' AND t.asker IS NOT NULL
	GROUP BY 1, 2
)
SELECT v.user_name, v.day, v.offers, v.answers, coalesce(v.talk_ms, 0)::bigint AS talk_ms,
	coalesce(v.hold_ms, 0)::bigint AS hold_ms, coalesce(v.held_ms, 0)::bigint AS held_ms,
	coalesce(v.consult_ms, 0)::bigint AS consult_ms, coalesce(v.ring_ms, 0)::bigint AS ring_ms,
	coalesce(v.acw_ms, 0)::bigint AS acw_ms,
	coalesce(v.talk_ms + v.hold_ms + v.consult_ms + v.acw_ms, 0)::bigint AS handle_ms,
	v.transfers_in, coalesce(a.transfers_out, 0) AS transfers_out
FROM visits v LEFT JOIN asked a USING (user_name, day);
COMMENT ON VIEW segue.agent_day IS
	'Per user and day (of the session''s time zone): offers, answers, times, completed transfers in and out';

CREATE VIEW segue.queue_hour AS
WITH visits AS (
	SELECT s.who AS queue, date_trunc('hour', s.offered_at) AS hour, s.answered_at, s.ended_at,
		s.released_by, s.wait_ms, coalesce(s.wait_ms <= (SELECT value::bigint
			FROM segue.settings WHERE key = 'service_level_ms'), false) AS in_time
	FROM segue.segments s WHERE s.kind = 'queue'
)
SELECT queue, hour, count(*) AS offered, count(answered_at) AS answered,
	count(*) FILTER (WHERE answered_at IS NULL AND released_by = 'customer') AS abandoned,
	count(*) FILTER (WHERE answered_at IS NOT NULL AND in_time) AS answered_in_time,
	round(100.0 * count(*) FILTER (WHERE answered_at IS NOT NULL AND in_time)
		/ nullif(count(*) FILTER (WHERE ended_at IS NOT NULL), 0), 1) AS service_level,
	coalesce(avg(wait_ms), 0)::bigint AS avg_wait_ms
FROM visits GROUP BY queue, hour;
COMMENT ON VIEW segue.queue_hour IS
	'Per queue and hour: calls offered, answered, abandoned, and answered within settings.service_level_ms';
COMMENT ON COLUMN segue.queue_hour.service_level IS 'Per cent of the calls that are over which were answered in time';

-- ---- does it add up? --------------------------------------------------------------------------

CREATE FUNCTION segue.check_ledger(p_since timestamptz DEFAULT '-infinity')
RETURNS TABLE (conversation_id uuid, rule text, detail text) LANGUAGE sql STABLE AS $$
WITH conv AS MATERIALIZED (
	SELECT * FROM segue.conversations WHERE started_at >= p_since
), seg AS MATERIALIZED (
	SELECT s.* FROM segue.segments s JOIN conv c ON c.id = s.conversation_id
), xfer AS MATERIALIZED (
	SELECT t.* FROM segue.transfers t JOIN conv c ON c.id = t.conversation_id
), ivl AS MATERIALIZED (
	SELECT i.*, lag(i.ended_at) OVER w AS before, lag(i.seq) OVER w AS seq_before
	FROM segue.intervals i JOIN seg s ON s.id = i.segment_id
	WINDOW w AS (PARTITION BY i.segment_id ORDER BY i.seq)
), sums AS (
	SELECT segment_id, min(started_at) AS first, max(ended_at) AS last, sum(duration_ms) AS total,
		coalesce(sum(duration_ms) FILTER (WHERE state = 'ringing'), 0) AS ring,
		coalesce(sum(duration_ms) FILTER (WHERE state IN ('talking', 'conference')), 0) AS talk,
		coalesce(sum(duration_ms) FILTER (WHERE state = 'holding'), 0) AS hold,
		coalesce(sum(duration_ms) FILTER (WHERE state = 'held'), 0) AS held,
		coalesce(sum(duration_ms) FILTER (WHERE state = 'consulting'), 0) AS consult,
		coalesce(sum(duration_ms) FILTER (WHERE state = 'limbo'), 0) AS limbo
	FROM ivl GROUP BY segment_id
)
-- intervals
SELECT s.conversation_id, 'intervals are contiguous', format('segment %s: interval %s starts at %s, the one before ended at %s',
	s.id, i.seq, i.started_at, i.before)
	FROM ivl i JOIN seg s ON s.id = i.segment_id
	WHERE i.seq_before IS NOT NULL AND (i.before <> i.started_at OR i.seq <> i.seq_before + 1)
UNION ALL
SELECT s.conversation_id, 'an interval is as long as its times say', format('segment %s: interval %s lasts %s ms', s.id, i.seq, i.duration_ms)
	FROM ivl i JOIN seg s ON s.id = i.segment_id
	WHERE i.ended_at - i.started_at <> i.duration_ms * interval '1 ms'
UNION ALL
SELECT s.conversation_id, 'intervals fill the segment', format('segment %s: intervals %s..%s, segment %s..%s',
	s.id, m.first, m.last, s.offered_at, s.ended_at)
	FROM seg s LEFT JOIN sums m ON m.segment_id = s.id
	WHERE s.ended_at > s.offered_at
	AND (m.first, m.last) IS DISTINCT FROM (s.offered_at, s.ended_at)
UNION ALL
SELECT s.conversation_id, 'segment durations are sums of intervals', format('segment %s: talk %s/%s hold %s/%s held %s/%s ring %s/%s consult %s/%s limbo %s/%s',
	s.id, s.talk_ms, m.talk, s.hold_ms, m.hold, s.held_ms, m.held, s.ring_ms, m.ring,
	s.consult_ms, m.consult, s.limbo_ms, m.limbo)
	FROM seg s JOIN sums m ON m.segment_id = s.id
	WHERE s.ended_at IS NOT NULL
	AND (s.talk_ms, s.hold_ms, s.held_ms, s.ring_ms, s.consult_ms, s.limbo_ms)
		IS DISTINCT FROM (m.talk, m.hold, m.held, m.ring, m.consult, m.limbo)
-- segments
UNION ALL
SELECT s.conversation_id, 'times of a segment are in order', format('segment %s: offered %s, answered %s, ended %s',
	s.id, s.offered_at, s.answered_at, s.ended_at)
	FROM seg s WHERE s.answered_at < s.offered_at OR s.ended_at < s.offered_at
		-- (an answer that crossed our CANCEL is on record after the end: E-016)
		OR (s.ended_at < s.answered_at AND s.talk_ms > 0)
UNION ALL
SELECT s.conversation_id, 'who talked had answered', format('segment %s', s.id)
	FROM seg s WHERE s.talk_ms > 0 AND s.answered_at IS NULL
UNION ALL
SELECT c.id, 'no segment outlives its conversation', format('segment %s', s.id)
	FROM conv c JOIN seg s ON s.conversation_id = c.id
	WHERE c.ended_at IS NOT NULL AND s.ended_at IS NULL
UNION ALL
SELECT min(s.conversation_id::text)::uuid, 'a user has one open agent segment', format('user %s: %s', s.who, count(*))
	FROM seg s WHERE s.kind = 'agent' AND s.answered_at IS NOT NULL AND s.ended_at IS NULL
	GROUP BY s.who HAVING count(*) > 1
-- conversations
UNION ALL
SELECT c.id, 'the parts make the whole', format('total %s, parts %s', c.total_ms, p.parts)
	FROM conv c, LATERAL (SELECT c.ring_ms + c.wait_ms + c.talk_ms + c.hold_ms + c.held_ms
		+ c.consult_ms + c.limbo_ms + c.ivr_ms AS parts) p
	WHERE c.ended_at IS NOT NULL AND abs(c.total_ms - p.parts) > 1
UNION ALL
SELECT c.id, 'total is start to end', format('total %s, from %s to %s', c.total_ms, c.started_at, c.ended_at)
	FROM conv c WHERE c.ended_at - c.started_at <> c.total_ms * interval '1 ms'
UNION ALL
SELECT c.id, 'agent_talk_ms is the sum over segments', format('%s, segments %s', c.agent_talk_ms, t.talk)
	FROM conv c LEFT JOIN (SELECT s.conversation_id, sum(s.talk_ms) AS talk FROM seg s
		WHERE s.kind IN ('agent', 'recall', 'external', 'consult') GROUP BY 1) t
		ON t.conversation_id = c.id
	WHERE c.ended_at IS NOT NULL AND c.agent_talk_ms <> coalesce(t.talk, 0)
UNION ALL
SELECT c.id, 'talk_ms is at most agent_talk_ms', format('%s, %s', c.talk_ms, c.agent_talk_ms)
	FROM conv c WHERE c.talk_ms > c.agent_talk_ms
UNION ALL
SELECT c.id, 'transfers are counted right', format('blind %s consult %s semi %s', c.n_blind, c.n_consult, c.n_semi)
	FROM conv c LEFT JOIN (SELECT x.conversation_id,
		count(*) FILTER (WHERE x.kind = 'blind') AS blind,
		count(*) FILTER (WHERE x.kind = 'consult') AS consult,
		count(*) FILTER (WHERE x.kind = 'semi') AS semi
		FROM xfer x WHERE x.outcome = 'completed' GROUP BY 1) n ON n.conversation_id = c.id
	WHERE c.ended_at IS NOT NULL AND (c.n_blind, c.n_consult, c.n_semi) IS DISTINCT FROM
		(coalesce(n.blind, 0), coalesce(n.consult, 0), coalesce(n.semi, 0))
-- transfers
UNION ALL
SELECT c.id, 'every transfer has an outcome', format('transfer %s', x.id)
	FROM conv c JOIN xfer x ON x.conversation_id = c.id
	WHERE c.ended_at IS NOT NULL AND x.outcome IS NULL
UNION ALL
SELECT x.conversation_id, 'transfers name segments of their conversation', format('transfer %s', x.id)
	FROM xfer x
	LEFT JOIN seg a ON a.id = x.from_segment_id AND a.conversation_id = x.conversation_id
	LEFT JOIN seg b ON b.id = x.to_segment_id AND b.conversation_id = x.conversation_id
	WHERE x.outcome IS NOT NULL AND ((x.from_segment_id IS NOT NULL AND a.id IS NULL)
		OR (x.to_segment_id IS NOT NULL AND b.id IS NULL)
		OR (x.outcome = 'completed' AND x.to_segment_id IS NULL))
UNION ALL
SELECT x.conversation_id, 'a completed transfer was joined', format('transfer %s', x.id)
	FROM xfer x WHERE x.outcome = 'completed' AND x.joined_at IS NULL
-- timeline
UNION ALL
SELECT t.conversation_id, 'the timeline has no gap', format('seq %s..%s, %s rows', min(t.seq), max(t.seq), count(*))
	FROM segue.timeline t JOIN conv c ON c.id = t.conversation_id
	GROUP BY t.conversation_id
	HAVING count(*) <> max(t.seq) - min(t.seq) + 1 OR min(t.seq) NOT IN (0, 1)
UNION ALL
SELECT c.id, 'a conversation starts and ends on the timeline', format('%s', array_agg(t.type ORDER BY t.seq))
	FROM conv c LEFT JOIN segue.timeline t ON t.conversation_id = c.id
	WHERE c.ended_at IS NOT NULL
	GROUP BY c.id
	HAVING count(*) FILTER (WHERE t.type = 'conversation_started') <> 1
		OR count(*) FILTER (WHERE t.type = 'conversation_ended') <> 1
-- facts
UNION ALL
SELECT NULL, 'no fact was refused', format('outbox %s fact %s: %s', outbox_id, fact_id, error)
	FROM segue.rejected_facts WHERE rejected_at >= p_since
$$;
COMMENT ON FUNCTION segue.check_ledger(timestamptz) IS
	'Everything in the ledger that does not add up, for conversations that started since then; no row: all is well';
