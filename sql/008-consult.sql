-- Conversations that meet: a consultation that ends in a transfer, two customers who are joined.
-- The older one keeps its id and gets the people and transfers of the other.

ALTER TABLE segue.segments ADD COLUMN original_conversation_id uuid;
COMMENT ON COLUMN segue.segments.original_conversation_id IS
	'Conversation in which this visit began, if that one was merged into the present one later';

CREATE FUNCTION segue.merge_conversation(p_from uuid, p_into uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_shift integer;
BEGIN
	SELECT coalesce(max(seq), 0) INTO v_shift FROM segue.segments WHERE conversation_id = p_into;
	UPDATE segue.segments SET conversation_id = p_into, seq = seq + v_shift,
		original_conversation_id = coalesce(original_conversation_id, p_from)
		WHERE conversation_id = p_from;
	UPDATE segue.transfers SET conversation_id = p_into WHERE conversation_id = p_from;
END;
$$;
COMMENT ON FUNCTION segue.merge_conversation(uuid, uuid) IS
	'Moves the segments and transfers of the first conversation into the second, after its own';
