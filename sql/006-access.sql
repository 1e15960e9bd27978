-- Who may look at calls and move them over HTTP: passwords, departments, tokens.

ALTER TABLE segue.users ADD COLUMN password text;
ALTER TABLE segue.users ADD CONSTRAINT users_password_valid CHECK (password LIKE '$%');
COMMENT ON COLUMN segue.users.password IS
	'crypt(3) hash of the panel''s password (yescrypt); `seguectl passwd` makes it. NULL: no login';

CREATE TABLE segue.queue_supervisors (
	queue     text NOT NULL,
	user_name text NOT NULL,
	CONSTRAINT queue_supervisors_unique PRIMARY KEY (queue, user_name),
	CONSTRAINT queue_supervisors_queue_exists FOREIGN KEY (queue)
		REFERENCES segue.queues ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT queue_supervisors_user_exists FOREIGN KEY (user_name)
		REFERENCES segue.users ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE segue.queue_supervisors IS
	'Departments of supervisors: calls of these queues and of their members are theirs to see and move';
COMMENT ON COLUMN segue.queue_supervisors.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_supervisors.user_name IS 'Name of the supervisor';

ALTER TABLE segue.api_tokens ADD COLUMN user_name text;
ALTER TABLE segue.api_tokens ADD CONSTRAINT api_tokens_user_exists FOREIGN KEY (user_name)
	REFERENCES segue.users ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE segue.api_tokens ADD CONSTRAINT api_tokens_name_unique UNIQUE (name);
ALTER TABLE segue.api_tokens ADD CONSTRAINT api_tokens_scopes_valid CHECK (scopes <@
	'{view,transfer,hangup,control,agents,history,recordings,metrics}'::text[]);
COMMENT ON COLUMN segue.api_tokens.user_name IS
	'The token sees and may no more than this user; NULL: everything, as far as its scopes go';

CREATE TRIGGER api_tokens_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.api_tokens
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
CREATE TRIGGER queue_supervisors_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
	ON segue.queue_supervisors FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
