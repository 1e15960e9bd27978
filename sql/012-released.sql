-- Visits that go on where segue does not see them: a REFER was passed on, and the other side carried it
-- out (peers: refer_mode = "transparent").
ALTER TABLE segue.segments
	ADD COLUMN tracking text,
	ADD CONSTRAINT segments_tracking_lost_or_null CHECK (tracking = 'lost'),
	ADD CONSTRAINT segments_lost_have_no_durations CHECK (tracking IS NULL OR (ring_ms IS NULL
		AND talk_ms IS NULL AND hold_ms IS NULL AND held_ms IS NULL AND consult_ms IS NULL
		AND wait_ms IS NULL AND limbo_ms IS NULL AND acw_ms IS NULL));
COMMENT ON COLUMN segue.segments.tracking IS
	'lost: the call was handed over (outcome path_released), nobody knows how long it lasts; NULL: seen to its end';
