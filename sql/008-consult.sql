-- Conversations that meet: a consultation that ends in a transfer, two customers who are joined.
-- The older one keeps its id and gets the people and transfers of the other.

ALTER TABLE segue.segments ADD COLUMN original_conversation_id uuid;
COMMENT ON COLUMN segue.segments.original_conversation_id IS
	'Conversation in which this visit began, if that one was merged into the present one later';

CREATE FUNCTION segue.merge_conversation(p_from uuid, p_into uuid, p_shift integer) RETURNS void
LANGUAGE sql AS $$
	UPDATE segue.segments SET conversation_id = p_into, seq = seq + p_shift,
		original_conversation_id = coalesce(original_conversation_id, p_from)
		WHERE conversation_id = p_from;
	UPDATE segue.transfers SET conversation_id = p_into WHERE conversation_id = p_from;
$$;
COMMENT ON FUNCTION segue.merge_conversation(uuid, uuid, integer) IS
	'Moves the segments and transfers of the first conversation into the second, after its own';

-- Who hangs up in mid-consultation may mean to transfer (options: transfer.onhook).
ALTER TABLE segue.transfers DROP CONSTRAINT transfers_asked_via_valid;
ALTER TABLE segue.transfers ADD CONSTRAINT transfers_asked_via_valid
	CHECK (asked_via IN ('sip', 'sip_refer', 'api', 'panel', 'ctl', 'dtmf', 'system'));
