-- Recordings: which part of a visit each one is. Written by segue when it begins and when it ends.

ALTER TABLE segue.recordings
	ADD COLUMN offset_ms bigint NOT NULL DEFAULT 0,
	ADD COLUMN state     text NOT NULL DEFAULT 'recording',
	ADD CONSTRAINT recordings_state_valid CHECK (state IN ('recording', 'paused', 'ended')),
	ADD CONSTRAINT recordings_offset_ms_not_negative CHECK (offset_ms >= 0),
	ADD CONSTRAINT recordings_state_agrees_with_ended_at
		CHECK ((state = 'recording') = (ended_at IS NULL));
COMMENT ON COLUMN segue.recordings.offset_ms IS
	'Where in its segment it begins: milliseconds after the answer';
COMMENT ON COLUMN segue.recordings.state IS
	'recording: it is going on; paused: the visit went on without it, by a hold or a command; ended: with the visit';
COMMENT ON COLUMN segue.recordings.file IS
	'Where the sound is, once contrib/recording-to-wav has made it of the media engine''s capture';

-- A conversation that becomes part of another takes its recordings along.
CREATE OR REPLACE FUNCTION segue.merge_conversation(p_from uuid, p_into uuid, p_shift integer)
RETURNS void LANGUAGE sql AS $$
	UPDATE segue.segments SET conversation_id = p_into, seq = seq + p_shift,
		original_conversation_id = coalesce(original_conversation_id, p_from)
		WHERE conversation_id = p_from;
	UPDATE segue.transfers SET conversation_id = p_into WHERE conversation_id = p_from;
	UPDATE segue.recordings SET conversation_id = p_into WHERE conversation_id = p_from;
$$;

-- What a run that was cut off left recording ended with its visit.
CREATE FUNCTION segue.end_recordings(p_outbox integer, p_before bigint) RETURNS void LANGUAGE sql AS $$
	UPDATE segue.recordings r SET state = 'ended',
		ended_at = greatest(r.started_at, coalesce(s.ended_at, r.started_at))
		FROM segue.segments s
		WHERE r.ended_at IS NULL AND r.outbox_id = p_outbox AND r.fact_id < p_before
		AND s.id = r.segment_id
$$;
COMMENT ON FUNCTION segue.end_recordings(integer, bigint) IS
	'Ends the recordings of this outbox that are older than the fact and are still open';
