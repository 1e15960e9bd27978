-- The directory: who and what can be called. Written by ops or a CRM, read by segued, which keeps a
-- copy in memory and is told of every change (channel segue_directory).
--
-- Applied once, in a transaction, by `seguectl db init` and `seguectl db upgrade`.

CREATE SCHEMA segue;
COMMENT ON SCHEMA segue IS 'segue: directory of users and queues, and the ledger of calls';

CREATE TABLE segue.migrations (
	version    integer PRIMARY KEY,
	name       text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE segue.migrations IS 'Files of sql/ that have been applied';
COMMENT ON COLUMN segue.migrations.version IS 'Number at the start of the file name';
COMMENT ON COLUMN segue.migrations.name IS 'File name';
COMMENT ON COLUMN segue.migrations.applied_at IS 'When it was applied';

CREATE TABLE segue.settings (
	key   text PRIMARY KEY,
	value text NOT NULL
);
COMMENT ON TABLE segue.settings IS 'Values that SQL functions and views need';
COMMENT ON COLUMN segue.settings.key IS
	'realm: SIP digest realm of all passwords; service_level_ms: a queue call answered within this counts as in time';
COMMENT ON COLUMN segue.settings.value IS 'The value, as text';

INSERT INTO segue.settings (key, value) VALUES ('realm', 'segue'), ('service_level_ms', '20000');

CREATE TABLE segue.users (
	name         text PRIMARY KEY,
	number       text,
	display_name text NOT NULL DEFAULT '',
	role         text NOT NULL DEFAULT 'agent',
	enabled      boolean NOT NULL DEFAULT true,
	may_transfer boolean NOT NULL DEFAULT true,
	contact      text,
	ha1_md5      text,
	ha1_sha256   text,
	created_at   timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT users_number_unique UNIQUE (number),
	CONSTRAINT users_name_valid CHECK (name ~ '^[A-Za-z0-9._+-]{1,63}$'),
	CONSTRAINT users_number_valid CHECK (number ~ '^[A-Za-z0-9*#+._-]{1,63}$'),
	CONSTRAINT users_display_name_valid
		CHECK (octet_length(display_name) <= 95 AND display_name !~ '[[:cntrl:]]'),
	CONSTRAINT users_role_valid CHECK (role IN ('agent', 'supervisor', 'admin')),
	CONSTRAINT users_contact_valid
		CHECK (contact ~* '^sips?:[^[:space:]<>"]+$' AND octet_length(contact) <= 255),
	CONSTRAINT users_ha1_md5_valid CHECK (ha1_md5 ~ '^[0-9a-f]{32}$'),
	CONSTRAINT users_ha1_sha256_valid CHECK (ha1_sha256 ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE segue.users IS 'People with a phone';
COMMENT ON COLUMN segue.users.name IS 'Login of the phone and name in the ledger';
COMMENT ON COLUMN segue.users.number IS 'Number under which the user is called; NULL: cannot be called';
COMMENT ON COLUMN segue.users.display_name IS 'Name shown to people, at most 95 bytes';
COMMENT ON COLUMN segue.users.role IS 'agent, supervisor or admin';
COMMENT ON COLUMN segue.users.enabled IS 'false: phones may not register and the user is not rung';
COMMENT ON COLUMN segue.users.may_transfer IS 'false: transfers asked for by this user are refused';
COMMENT ON COLUMN segue.users.contact IS
	'SIP URI of a phone behind a PBX that does not register with segue; NULL: the phone registers';
COMMENT ON COLUMN segue.users.ha1_md5 IS
	'hex md5(name:realm:password) for digest; set with segue.set_sip_password()';
COMMENT ON COLUMN segue.users.ha1_sha256 IS 'hex sha256(name:realm:password), likewise';
COMMENT ON COLUMN segue.users.created_at IS 'When the row was made';

CREATE TABLE segue.queues (
	name         text PRIMARY KEY,
	number       text,
	display_name text NOT NULL DEFAULT '',
	CONSTRAINT queues_number_unique UNIQUE (number),
	CONSTRAINT queues_name_valid CHECK (name ~ '^[A-Za-z0-9._+-]{1,63}$'),
	CONSTRAINT queues_number_valid CHECK (number ~ '^[A-Za-z0-9*#+._-]{1,63}$'),
	CONSTRAINT queues_display_name_valid
		CHECK (octet_length(display_name) <= 95 AND display_name !~ '[[:cntrl:]]')
);
COMMENT ON TABLE segue.queues IS 'Queues; a department or a territory is a queue';
COMMENT ON COLUMN segue.queues.name IS 'Name in the ledger';
COMMENT ON COLUMN segue.queues.number IS 'Number under which the queue is called';
COMMENT ON COLUMN segue.queues.display_name IS 'Name shown to people, at most 95 bytes';

CREATE TABLE segue.queue_members (
	queue     text NOT NULL,
	user_name text NOT NULL,
	CONSTRAINT queue_members_unique PRIMARY KEY (queue, user_name),
	CONSTRAINT queue_members_queue_exists FOREIGN KEY (queue)
		REFERENCES segue.queues ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT queue_members_user_exists FOREIGN KEY (user_name)
		REFERENCES segue.users ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE segue.queue_members IS 'Who answers which queue';
COMMENT ON COLUMN segue.queue_members.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_members.user_name IS 'Name of the user';

CREATE TABLE segue.ivrs (
	name         text PRIMARY KEY,
	number       text NOT NULL,
	display_name text NOT NULL DEFAULT '',
	peer         text NOT NULL,
	dial         text NOT NULL,
	CONSTRAINT ivrs_number_unique UNIQUE (number),
	CONSTRAINT ivrs_name_valid CHECK (name ~ '^[A-Za-z0-9._+-]{1,63}$'),
	CONSTRAINT ivrs_number_valid CHECK (number ~ '^[A-Za-z0-9*#+._-]{1,63}$'),
	CONSTRAINT ivrs_display_name_valid
		CHECK (octet_length(display_name) <= 95 AND display_name !~ '[[:cntrl:]]'),
	CONSTRAINT ivrs_peer_valid CHECK (octet_length(peer) BETWEEN 1 AND 63),
	CONSTRAINT ivrs_dial_valid CHECK (dial ~ '^[A-Za-z0-9*#+._-]{1,63}$')
);
COMMENT ON TABLE segue.ivrs IS 'Numbers of voice menus on another platform';
COMMENT ON COLUMN segue.ivrs.name IS 'Name in the ledger';
COMMENT ON COLUMN segue.ivrs.number IS 'Number that callers and agents dial';
COMMENT ON COLUMN segue.ivrs.display_name IS 'Name shown to people, at most 95 bytes';
COMMENT ON COLUMN segue.ivrs.peer IS 'Peer of segue.conf through which it is reached';
COMMENT ON COLUMN segue.ivrs.dial IS 'Number that the peer is sent';

CREATE TABLE segue.number_classes (
	name    text NOT NULL,
	pattern text NOT NULL,
	roles   text[] NOT NULL DEFAULT '{agent,supervisor,admin}',
	CONSTRAINT number_classes_unique PRIMARY KEY (name, pattern),
	CONSTRAINT number_classes_pattern_valid CHECK (pattern <> '' AND octet_length(pattern) <= 63),
	CONSTRAINT number_classes_roles_valid
		CHECK (roles <@ '{agent,supervisor,admin}'::text[])
);
COMMENT ON TABLE segue.number_classes IS 'What may be dialled by whom';
COMMENT ON COLUMN segue.number_classes.name IS 'Name of the class, such as national or premium';
COMMENT ON COLUMN segue.number_classes.pattern IS 'Pattern of the numbers in it, as in the dial plan';
COMMENT ON COLUMN segue.number_classes.roles IS 'Roles that may dial them';

CREATE TABLE segue.api_tokens (
	token_sha256 text PRIMARY KEY,
	name         text NOT NULL,
	scopes       text[] NOT NULL DEFAULT '{}',
	created_at   timestamptz NOT NULL DEFAULT now(),
	expires_at   timestamptz,
	CONSTRAINT api_tokens_hash_valid CHECK (token_sha256 ~ '^[0-9a-f]{64}$'),
	CONSTRAINT api_tokens_name_valid CHECK (octet_length(name) BETWEEN 1 AND 63)
);
COMMENT ON TABLE segue.api_tokens IS 'Keys to the HTTP interface';
COMMENT ON COLUMN segue.api_tokens.token_sha256 IS 'hex sha256 of the token; the token itself is kept nowhere';
COMMENT ON COLUMN segue.api_tokens.name IS 'Who uses it, for the audit';
COMMENT ON COLUMN segue.api_tokens.scopes IS 'What it may do';
COMMENT ON COLUMN segue.api_tokens.created_at IS 'When it was made';
COMMENT ON COLUMN segue.api_tokens.expires_at IS 'From when on it is refused; NULL: never';

-- ---- telling segued ---------------------------------------------------------------------------

CREATE FUNCTION segue.notify_directory() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('segue_directory', TG_TABLE_NAME);
	RETURN NULL;
END $$;
COMMENT ON FUNCTION segue.notify_directory() IS 'Tells every segued that a directory table changed';

CREATE TRIGGER users_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.users
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
CREATE TRIGGER queues_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.queues
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
CREATE TRIGGER queue_members_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.queue_members
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
CREATE TRIGGER ivrs_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.ivrs
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();

-- ---- passwords --------------------------------------------------------------------------------

CREATE FUNCTION segue.set_sip_password(p_user text, p_password text, p_realm text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_realm text := (SELECT value FROM segue.settings WHERE key = 'realm');
	v_text  text;
BEGIN
	IF coalesce(p_password, '') = '' THEN
		RAISE EXCEPTION 'user "%": the password is empty', p_user
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF p_realm IS NOT NULL AND p_realm IS DISTINCT FROM v_realm THEN
		IF EXISTS (SELECT FROM segue.users WHERE ha1_md5 IS NOT NULL AND name <> p_user) THEN
			RAISE EXCEPTION 'realm "%": other passwords were set for realm "%"', p_realm, v_realm
				USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Update segue.settings and set every password again.';
		END IF;
		INSERT INTO segue.settings VALUES ('realm', p_realm)
			ON CONFLICT (key) DO UPDATE SET value = excluded.value;
		v_realm := p_realm;
	END IF;
	v_text := p_user || ':' || v_realm || ':' || p_password;
	UPDATE segue.users SET ha1_md5 = md5(v_text),
		ha1_sha256 = encode(sha256(convert_to(v_text, 'UTF8')), 'hex')
		WHERE name = p_user;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user "%" does not exist', p_user USING ERRCODE = 'no_data_found';
	END IF;
END $$;
COMMENT ON FUNCTION segue.set_sip_password(text, text, text) IS
	'Sets the SIP password of a user. Only its digests are kept. The realm is that of segue.settings; '
	'a realm given here replaces it as long as no other password has been set';
