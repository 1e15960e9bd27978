-- Music of a queue may come from a SIP server, where no media engine carries the call (RFC 7088).

ALTER TABLE segue.queues DROP CONSTRAINT queues_music_valid;
ALTER TABLE segue.queues ADD CONSTRAINT queues_music_valid CHECK
	(music ~ '^[A-Za-z0-9._+-]{1,63}$' OR
		(length(music) <= 63 AND music ~ '^sips?:[A-Za-z0-9_.!~*''()&=+$,;?/%@:\[\]-]+$'));
COMMENT ON COLUMN segue.queues.music IS
	'What callers hear: NAME, the file NAME.wav of the media engines, or the SIP URI of a music server, which plays where no engine carries the call; NULL: the standard music';
