-- Targets of transfers: mailboxes, digits for a menu, and who may dial which class of numbers.

ALTER TABLE segue.users
	ADD COLUMN voicemail text,
	ADD COLUMN may_dial text[],
	ADD CONSTRAINT users_voicemail_valid CHECK (voicemail ~ '^[A-Za-z0-9*#+._-]{1,63}$'),
	ADD CONSTRAINT users_may_dial_valid CHECK (octet_length(array_to_string(may_dial, ',')) <= 127
		AND array_position(may_dial, NULL) IS NULL);
COMMENT ON COLUMN segue.users.voicemail IS
	'Number of the user''s mailbox, as the dial plan knows it; NULL: transfer.voicemail_prefix and the number';
COMMENT ON COLUMN segue.users.may_dial IS
	'Classes of outside numbers that this user may dial, and no others; NULL: those of the role';

ALTER TABLE segue.queues
	ADD COLUMN voicemail text,
	ADD CONSTRAINT queues_voicemail_valid CHECK (voicemail ~ '^[A-Za-z0-9*#+._-]{1,63}$');
COMMENT ON COLUMN segue.queues.voicemail IS 'Number of the queue''s mailbox, likewise';

ALTER TABLE segue.ivrs
	ADD COLUMN digits text,
	ADD CONSTRAINT ivrs_digits_valid CHECK (digits ~ '^[0-9*#A-D,]{1,31}$');
COMMENT ON COLUMN segue.ivrs.digits IS
	'Keys pressed for the caller once the menu has answered; a comma waits a second';

-- A class without roles means what its name says: local, national, mobile, emergency and free are for
-- everybody, premium, international and all other names for nobody.
ALTER TABLE segue.number_classes
	ALTER COLUMN roles DROP DEFAULT,
	ALTER COLUMN roles DROP NOT NULL,
	ADD CONSTRAINT number_classes_name_valid CHECK (name ~ '^[a-z][a-z0-9_-]{0,30}$');
COMMENT ON TABLE segue.number_classes IS
	'What may be dialled by whom. The pattern with the most elements decides; numbers that no row knows are '
	'local, national or international by segue.conf, and international ones are for nobody';
COMMENT ON COLUMN segue.number_classes.pattern IS
	'Pattern of the numbers in it, as in the dial plan; it is held against the number as it is sent and against '
	'its E.164 form, such as +49900.';
COMMENT ON COLUMN segue.number_classes.roles IS
	'Roles that may dial them; NULL: everybody for local, national, mobile, emergency and free, nobody for others';

CREATE TRIGGER number_classes_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
	ON segue.number_classes FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
