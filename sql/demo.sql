-- A directory to try segue with: three users, a queue, a voice menu, and who may dial what. Apply it
-- with psql, which must be given the passwords:
--
--	psql -v alice_password=... -v bob_password=... -v carol_password=... -f sql/demo.sql
--
-- Safe to apply again; passwords are then set anew.
\set ON_ERROR_STOP on
BEGIN;

INSERT INTO segue.users (name, number, display_name, role) VALUES
	('alice', '101', 'Alice', 'agent'),
	('bob', '102', 'Bob', 'agent'),
	('carol', '103', 'Carol', 'supervisor')
ON CONFLICT (name) DO NOTHING;

INSERT INTO segue.queues (name, number, display_name, announce) VALUES ('support', '200', 'Support', 'en')
ON CONFLICT (name) DO NOTHING;

INSERT INTO segue.queue_members (queue, user_name) VALUES
	('support', 'alice'), ('support', 'bob'), ('support', 'carol')
ON CONFLICT DO NOTHING;

INSERT INTO segue.queue_supervisors (queue, user_name) VALUES ('support', 'carol')
ON CONFLICT DO NOTHING;

INSERT INTO segue.ivrs (name, number, display_name, peer, dial) VALUES
	('menu', '300', 'Main menu', 'pbx', '300')
ON CONFLICT (name) DO NOTHING;

-- International numbers are for supervisors, premium ones for nobody.
INSERT INTO segue.number_classes (name, pattern, roles) VALUES
	('international', '+.', '{supervisor,admin}'), ('premium', '+49900.', NULL),
	('emergency', '11[02]', NULL)
ON CONFLICT (name, pattern) DO NOTHING;

SELECT segue.set_sip_password('alice', :'alice_password');
SELECT segue.set_sip_password('bob', :'bob_password');
SELECT segue.set_sip_password('carol', :'carol_password');

COMMIT;
