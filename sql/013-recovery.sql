-- segued was restarted under live calls: what it goes on with is not closed.

CREATE FUNCTION segue.close_left_open(p_outbox integer, p_fact bigint, p_kept bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM segue.close_conversation(c.id, p_outbox, p_fact) FROM segue.conversations c
		WHERE c.outbox_id = p_outbox AND c.ended_at IS NULL AND c.fact_id < p_fact
		AND NOT EXISTS (SELECT 1 FROM segue.timeline t WHERE t.conversation_id = c.id
			AND t.outbox_id = p_outbox AND t.type = 'recovered'
			AND t.fact_id >= p_fact - p_kept AND t.fact_id < p_fact);
END $$;
COMMENT ON FUNCTION segue.close_left_open(integer, bigint, bigint) IS
	'A segued has started (this fact says so): ends what its earlier run left open, except what the so many facts before it say it goes on with';
