-- A conversation that was answered is answered, also if the answer is the last that is known of it: a
-- crash had cut it off before anything else happened, so its time to talk is not known.

CREATE OR REPLACE FUNCTION segue.close_conversation(p_conversation uuid, p_outbox integer, p_fact bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_start timestamptz := (SELECT started_at FROM segue.conversations WHERE id = p_conversation);
	v_at    timestamptz; -- the last that is known of it
	v_seq   integer;
	v_ring tstzmultirange; v_wait tstzmultirange; v_talk tstzmultirange; v_hold tstzmultirange;
	v_held tstzmultirange; v_consult tstzmultirange; v_menu tstzmultirange;
BEGIN
	SELECT greatest(v_start,
		(SELECT max(greatest(s.offered_at, s.answered_at, s.ended_at)) FROM segue.segments s
			WHERE s.conversation_id = p_conversation),
		(SELECT max(i.ended_at) FROM segue.intervals i JOIN segue.segments s ON s.id = i.segment_id
			WHERE s.conversation_id = p_conversation),
		(SELECT max(greatest(x.asked_at, x.accepted_at, x.target_ringing_at, x.target_answered_at,
			x.joined_at, x.ended_at)) FROM segue.transfers x
			WHERE x.conversation_id = p_conversation),
		max(t.at)), coalesce(max(t.seq), 0) + 1
	INTO v_at, v_seq FROM segue.timeline t WHERE t.conversation_id = p_conversation;

	PERFORM segue.close_segments(p_conversation, v_at, p_outbox, p_fact);
	UPDATE segue.transfers SET ended_at = v_at, outcome = 'failed', cause = 'internal',
		closed_fact_id = p_fact WHERE conversation_id = p_conversation AND ended_at IS NULL;
	INSERT INTO segue.timeline (conversation_id, seq, at, type, actor, headline, data, outbox_id,
		fact_id) VALUES (p_conversation, v_seq, v_at, 'conversation_ended', 'system', false,
		'{"estimated": "true"}', p_outbox, p_fact);

	-- at any time the customer is where the best-off party is
	SELECT coalesce(range_agg(r) FILTER (WHERE state IN ('talking', 'conference')), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'consulting'), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'held'), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'holding'), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'menu'), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'queued'), '{}')
	INTO v_talk, v_consult, v_held, v_hold, v_menu, v_wait
	FROM (SELECT i.state, tstzrange(i.started_at, i.ended_at) AS r FROM segue.intervals i
		JOIN segue.segments s ON s.id = i.segment_id WHERE s.conversation_id = p_conversation) i;
	v_consult := v_consult - v_talk;
	v_held := v_held - v_talk - v_consult;
	v_hold := v_hold - v_talk - v_consult - v_held;
	v_menu := v_menu - v_talk - v_consult - v_held - v_hold;
	v_wait := v_wait - v_talk - v_consult - v_held - v_hold - v_menu;
	v_ring := tstzmultirange(tstzrange(v_start, coalesce(
		lower(v_talk + v_consult + v_held + v_hold + v_menu), v_at))) - v_wait;

	UPDATE segue.conversations c SET ended_at = v_at, ended_by = 'system', estimated = true,
		closed_fact_id = p_fact, total_ms = w.total, ring_ms = segue.length_ms(v_ring),
		wait_ms = segue.length_ms(v_wait), talk_ms = segue.length_ms(v_talk),
		hold_ms = segue.length_ms(v_hold), held_ms = segue.length_ms(v_held),
		consult_ms = segue.length_ms(v_consult), ivr_ms = segue.length_ms(v_menu),
		limbo_ms = w.total - segue.length_ms(v_ring + v_wait + v_talk + v_hold + v_held + v_consult
			+ v_menu),
		outcome = CASE WHEN NOT isempty(v_talk + v_hold + v_held + v_consult + v_menu) OR EXISTS (
			SELECT FROM segue.timeline t WHERE t.conversation_id = p_conversation
			AND t.type = 'answered') THEN 'answered' ELSE 'failed' END,
		agent_talk_ms = (SELECT coalesce(sum(s.talk_ms), 0) FROM segue.segments s
			WHERE s.conversation_id = p_conversation),
		n_requested = x.requested, n_failed = x.failed, n_blind = x.blind, n_consult = x.consult,
		n_semi = x.semi
	FROM (SELECT round(extract(epoch FROM v_at - v_start) * 1000)::bigint AS total) w,
		(SELECT count(*) AS requested, count(*) FILTER (WHERE outcome = 'failed') AS failed,
			count(*) FILTER (WHERE outcome = 'completed' AND kind = 'blind') AS blind,
			count(*) FILTER (WHERE outcome = 'completed' AND kind = 'consult') AS consult,
			count(*) FILTER (WHERE outcome = 'completed' AND kind = 'semi') AS semi
			FROM segue.transfers WHERE conversation_id = p_conversation) x
	WHERE c.id = p_conversation;
END $$;
