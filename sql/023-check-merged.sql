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
