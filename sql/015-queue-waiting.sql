-- How callers wait: in early media, and with their places announced.

ALTER TABLE segue.queues DROP CONSTRAINT queues_entry_valid;
ALTER TABLE segue.queues
	ADD COLUMN announce          text,
	ADD COLUMN announce_after_ms bigint NOT NULL DEFAULT 15000,
	ADD COLUMN announce_every_ms bigint NOT NULL DEFAULT 45000,
	ADD CONSTRAINT queues_entry_valid CHECK (entry IN ('answer', 'ring', 'early')),
	ADD CONSTRAINT queues_announce_valid CHECK (announce ~ '^[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,62}$'),
	ADD CONSTRAINT queues_announce_after_ms_from_1_s_to_1_h
		CHECK (announce_after_ms BETWEEN 1000 AND 3600000),
	ADD CONSTRAINT queues_announce_every_ms_0_or_from_5_s_to_1_h
		CHECK (announce_every_ms = 0 OR announce_every_ms BETWEEN 5000 AND 3600000);
COMMENT ON COLUMN segue.queues.entry IS
	'answer: callers are answered and hear music; ring: they hear it ring until a member answers; early: the same, with music in early media, if their trunk''s early_media lets it be';
COMMENT ON COLUMN segue.queues.announce IS
	'Directory of sounds, under that of the music, with which places are announced: position-1.wav to position-20.wav and position-many.wav, then, if the wait can be estimated, wait-N.wav (N minutes: 1 to 10, 15, 20, 30, 45, 60) or wait-long.wav; NULL: no announcements';
COMMENT ON COLUMN segue.queues.announce_after_ms IS 'A caller who has waited this long hears the place';
COMMENT ON COLUMN segue.queues.announce_every_ms IS 'And again this long after each announcement; 0: only once';
