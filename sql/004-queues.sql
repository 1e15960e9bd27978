-- Queues: which member is offered a caller, how long callers wait and where they go when nobody can
-- take them; skills; and what each agent has chosen to be.

-- ---- queues -----------------------------------------------------------------------------------

ALTER TABLE segue.queues
	ADD COLUMN strategy     text NOT NULL DEFAULT 'longest_idle',
	ADD COLUMN ring_ms      bigint,
	ADD COLUMN retry_ms     bigint,
	ADD COLUMN wrapup_ms    bigint NOT NULL DEFAULT 0,
	ADD COLUMN max_wait_ms  bigint,
	ADD COLUMN max_length   integer,
	ADD COLUMN join_empty   text NOT NULL DEFAULT 'logged_out',
	ADD COLUMN leave_empty  text NOT NULL DEFAULT 'logged_out',
	ADD COLUMN weight       integer NOT NULL DEFAULT 0,
	ADD COLUMN keep_wait    boolean NOT NULL DEFAULT true,
	ADD COLUMN boost_ms     bigint NOT NULL DEFAULT 0,
	ADD COLUMN widen_ms     bigint NOT NULL DEFAULT 0,
	ADD COLUMN entry        text NOT NULL DEFAULT 'answer',
	ADD COLUMN music        text,
	ADD COLUMN service_ms   bigint,
	ADD COLUMN service_goal integer NOT NULL DEFAULT 80,
	ADD CONSTRAINT queues_strategy_valid CHECK (strategy IN ('longest_idle', 'ring_all',
		'round_robin', 'fewest_calls', 'least_talk', 'linear', 'random', 'skills', 'progressive')),
	ADD CONSTRAINT queues_ring_ms_from_1_s_to_10_min CHECK (ring_ms BETWEEN 1000 AND 600000),
	ADD CONSTRAINT queues_retry_ms_from_1_s_to_10_min CHECK (retry_ms BETWEEN 1000 AND 600000),
	ADD CONSTRAINT queues_wrapup_ms_from_0_to_1_h CHECK (wrapup_ms BETWEEN 0 AND 3600000),
	ADD CONSTRAINT queues_max_wait_ms_from_1_s_to_1_day
		CHECK (max_wait_ms BETWEEN 1000 AND 86400000),
	ADD CONSTRAINT queues_max_length_from_1_to_100000 CHECK (max_length BETWEEN 1 AND 100000),
	ADD CONSTRAINT queues_join_empty_valid CHECK (join_empty IN ('logged_out', 'away', 'never')),
	ADD CONSTRAINT queues_leave_empty_valid CHECK (leave_empty IN ('logged_out', 'away', 'never')),
	ADD CONSTRAINT queues_weight_from_0_to_1000 CHECK (weight BETWEEN 0 AND 1000),
	ADD CONSTRAINT queues_boost_ms_from_0_to_1_h CHECK (boost_ms BETWEEN 0 AND 3600000),
	ADD CONSTRAINT queues_widen_ms_from_0_to_1_h CHECK (widen_ms BETWEEN 0 AND 3600000),
	ADD CONSTRAINT queues_entry_valid CHECK (entry IN ('answer', 'ring')),
	ADD CONSTRAINT queues_music_valid CHECK (music ~ '^[A-Za-z0-9._+-]{1,63}$'),
	ADD CONSTRAINT queues_service_ms_from_1_s_to_1_h CHECK (service_ms BETWEEN 1000 AND 3600000),
	ADD CONSTRAINT queues_service_goal_from_1_to_100 CHECK (service_goal BETWEEN 1 AND 100);
COMMENT ON COLUMN segue.queues.strategy IS
	'Which free member is offered the next caller: longest_idle, ring_all, round_robin, fewest_calls, least_talk, linear (by position), random (by weight), skills (who lacks least of queue_skills) or progressive (one, and one more after each ring_ms, until all ring)';
COMMENT ON COLUMN segue.queues.ring_ms IS 'An offer rings this long; NULL: queue.ring of segue.conf';
COMMENT ON COLUMN segue.queues.retry_ms IS
	'After an offer that nobody took the caller waits this long for the next one; NULL: queue.retry of segue.conf';
COMMENT ON COLUMN segue.queues.wrapup_ms IS
	'A member is left alone this long after a caller of this queue, from the member''s own release on';
COMMENT ON COLUMN segue.queues.max_wait_ms IS 'After this a caller overflows; NULL: queue.max_wait of segue.conf';
COMMENT ON COLUMN segue.queues.max_length IS
	'A caller who comes when so many wait overflows at once; NULL: no limit';
COMMENT ON COLUMN segue.queues.join_empty IS
	'Who comes overflows at once when no member: logged_out: is logged in with a phone that can be reached; away: is so and takes calls; never';
COMMENT ON COLUMN segue.queues.leave_empty IS 'When it becomes that empty, those who wait overflow';
COMMENT ON COLUMN segue.queues.weight IS
	'Of queues that share a member the one with the higher weight is served first; of equals the caller who comes first by waiting';
COMMENT ON COLUMN segue.queues.keep_wait IS
	'true: a caller who is transferred here is placed by all that they have waited in queues during this call; false: at the end';
COMMENT ON COLUMN segue.queues.boost_ms IS 'A transferred caller is placed as if they had waited this much longer';
COMMENT ON COLUMN segue.queues.widen_ms IS
	'Each time a caller has waited this long, one level less of queue_skills will do, down to their floor; 0: never';
COMMENT ON COLUMN segue.queues.entry IS
	'answer: callers are answered and hear music; ring: they hear it ring until a member answers';
COMMENT ON COLUMN segue.queues.music IS 'What callers hear; NULL: the standard music';
COMMENT ON COLUMN segue.queues.service_ms IS
	'A caller who is answered within this was answered in time; NULL: settings.service_level_ms';
COMMENT ON COLUMN segue.queues.service_goal IS 'Per cent of the callers that should be answered in time';

-- ---- members and skills -----------------------------------------------------------------------

ALTER TABLE segue.queue_members
	ADD COLUMN level    integer NOT NULL DEFAULT 1,
	ADD COLUMN position integer NOT NULL DEFAULT 0,
	ADD COLUMN weight   integer NOT NULL DEFAULT 1,
	ADD CONSTRAINT queue_members_level_from_1_to_100 CHECK (level BETWEEN 1 AND 100),
	ADD CONSTRAINT queue_members_position_from_0_to_100000 CHECK (position BETWEEN 0 AND 100000),
	ADD CONSTRAINT queue_members_weight_from_1_to_1000 CHECK (weight BETWEEN 1 AND 1000);
COMMENT ON COLUMN segue.queue_members.level IS
	'Lower levels are offered callers first, a higher one when nobody below is free';
COMMENT ON COLUMN segue.queue_members.position IS 'Order within the level, for strategy linear and among equals';
COMMENT ON COLUMN segue.queue_members.weight IS 'Number of lots, for strategy random';

CREATE TABLE segue.user_skills (
	user_name text NOT NULL,
	skill     text NOT NULL,
	level     integer NOT NULL DEFAULT 1,
	CONSTRAINT user_skills_unique PRIMARY KEY (user_name, skill),
	CONSTRAINT user_skills_user_exists FOREIGN KEY (user_name)
		REFERENCES segue.users ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT user_skills_skill_valid CHECK (skill ~ '^[A-Za-z0-9._+-]{1,31}$'),
	CONSTRAINT user_skills_level_from_1_to_100 CHECK (level BETWEEN 1 AND 100)
);
COMMENT ON TABLE segue.user_skills IS 'What users can do';
COMMENT ON COLUMN segue.user_skills.user_name IS 'Name of the user';
COMMENT ON COLUMN segue.user_skills.skill IS 'Name of the skill, such as french or billing';
COMMENT ON COLUMN segue.user_skills.level IS 'How well, from 1 up';

CREATE TABLE segue.queue_skills (
	queue text NOT NULL,
	skill text NOT NULL,
	level integer NOT NULL DEFAULT 1,
	floor integer NOT NULL DEFAULT 1,
	CONSTRAINT queue_skills_unique PRIMARY KEY (queue, skill),
	CONSTRAINT queue_skills_queue_exists FOREIGN KEY (queue)
		REFERENCES segue.queues ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT queue_skills_skill_valid CHECK (skill ~ '^[A-Za-z0-9._+-]{1,31}$'),
	CONSTRAINT queue_skills_level_from_1_to_100 CHECK (level BETWEEN 1 AND 100),
	CONSTRAINT queue_skills_floor_from_0_to_level CHECK (floor BETWEEN 0 AND level)
);
COMMENT ON TABLE segue.queue_skills IS 'What a queue asks of its members, at most eight skills';
COMMENT ON COLUMN segue.queue_skills.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_skills.skill IS 'Name of the skill';
COMMENT ON COLUMN segue.queue_skills.level IS 'Level that a member should have';
COMMENT ON COLUMN segue.queue_skills.floor IS
	'Who has less than this is never offered a caller, however long that one waits; 0: those without the skill too, at last';

-- ---- overflow ---------------------------------------------------------------------------------

CREATE TABLE segue.queue_overflow (
	queue    text NOT NULL,
	position integer NOT NULL,
	kind     text NOT NULL,
	target   text NOT NULL,
	CONSTRAINT queue_overflow_unique PRIMARY KEY (queue, position),
	CONSTRAINT queue_overflow_queue_exists FOREIGN KEY (queue)
		REFERENCES segue.queues ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT queue_overflow_position_from_1_to_6 CHECK (position BETWEEN 1 AND 6),
	CONSTRAINT queue_overflow_kind_valid CHECK (kind IN ('queue', 'user', 'ivr', 'voicemail',
		'external', 'announcement')),
	CONSTRAINT queue_overflow_target_valid CHECK (target ~ '^[A-Za-z0-9*#+._-]{1,63}$'),
	CONSTRAINT queue_overflow_not_to_itself CHECK (kind <> 'queue' OR target <> queue)
);
COMMENT ON TABLE segue.queue_overflow IS
	'Where a queue sends callers who waited too long, found it full or found nobody: tried in order';
COMMENT ON COLUMN segue.queue_overflow.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_overflow.position IS 'Order';
COMMENT ON COLUMN segue.queue_overflow.kind IS
	'queue, user, ivr, voicemail, external or announcement (the call ends with it)';
COMMENT ON COLUMN segue.queue_overflow.target IS
	'Name of the queue, user or IVR; else a number, as the dial plan knows it';

-- ---- agents -----------------------------------------------------------------------------------

CREATE TABLE segue.agent_states (
	user_name text PRIMARY KEY,
	intent    text NOT NULL,
	reason    text,
	since     timestamptz NOT NULL DEFAULT now(),
	via       text,
	set_by    text,
	outbox_id integer,
	fact_id   bigint,
	CONSTRAINT agent_states_user_exists FOREIGN KEY (user_name)
		REFERENCES segue.users ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT agent_states_intent_valid CHECK (intent IN ('available', 'away', 'logged_out')),
	CONSTRAINT agent_states_reason_valid
		CHECK (octet_length(reason) BETWEEN 1 AND 31 AND reason !~ '[[:cntrl:]]'),
	CONSTRAINT agent_states_reason_only_of_away CHECK (reason IS NULL OR intent = 'away')
);
COMMENT ON TABLE segue.agent_states IS
	'What agents have chosen to be. Kept by segue across restarts; a CRM may insert and update rows too, and agents become that. What an agent is (ringing, talking, in wrap-up, unreachable) follows from the calls and phones and cannot be set';
COMMENT ON COLUMN segue.agent_states.user_name IS 'Name of the user; without a row: available';
COMMENT ON COLUMN segue.agent_states.intent IS 'available, away or logged_out';
COMMENT ON COLUMN segue.agent_states.reason IS 'Why away, such as lunch; at most 31 bytes';
COMMENT ON COLUMN segue.agent_states.since IS 'Since when';
COMMENT ON COLUMN segue.agent_states.via IS 'How: sip (phone code), ctl, api, panel or system (did not answer); NULL: by hand';
COMMENT ON COLUMN segue.agent_states.set_by IS 'Who chose it';
COMMENT ON COLUMN segue.agent_states.outbox_id IS 'Outbox of the fact behind this row; NULL: written by hand';
COMMENT ON COLUMN segue.agent_states.fact_id IS 'That fact';

CREATE FUNCTION segue.agent_state_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF (NEW.outbox_id, NEW.fact_id) IS NOT DISTINCT FROM (OLD.outbox_id, OLD.fact_id)
		AND (NEW.intent, NEW.reason) IS DISTINCT FROM (OLD.intent, OLD.reason) THEN
		NEW.outbox_id := NULL;
		NEW.fact_id := NULL;
		NEW.via := NULL;
		IF NEW.since = OLD.since THEN
			NEW.since := now();
		END IF;
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION segue.agent_state_by_hand() IS
	'Marks a row of agent_states that was changed by anybody but segue';
CREATE TRIGGER agent_states_by_hand BEFORE UPDATE ON segue.agent_states
	FOR EACH ROW EXECUTE FUNCTION segue.agent_state_by_hand();

CREATE TABLE segue.agent_log (
	outbox_id       integer NOT NULL,
	fact_id         bigint NOT NULL,
	user_name       text NOT NULL,
	at              timestamptz NOT NULL,
	state           text NOT NULL,
	was             text,
	was_ms          bigint,
	intent          text NOT NULL,
	reason          text,
	via             text,
	set_by          text,
	queue           text,
	conversation_id uuid,
	CONSTRAINT agent_log_unique PRIMARY KEY (outbox_id, fact_id),
	CONSTRAINT agent_log_state_valid CHECK (state IN ('talking', 'ringing', 'logged_out',
		'unreachable', 'away', 'wrapup', 'free')),
	CONSTRAINT agent_log_forward CHECK (was_ms >= 0)
);
CREATE INDEX agent_log_user_at ON segue.agent_log (user_name, at);
CREATE INDEX agent_log_wrapup ON segue.agent_log (conversation_id) WHERE was = 'wrapup';
COMMENT ON TABLE segue.agent_log IS 'Every change of what an agent is or has chosen to be; never changed';
COMMENT ON COLUMN segue.agent_log.outbox_id IS 'Outbox of the fact behind this row';
COMMENT ON COLUMN segue.agent_log.fact_id IS 'That fact';
COMMENT ON COLUMN segue.agent_log.user_name IS 'Name of the user';
COMMENT ON COLUMN segue.agent_log.at IS 'When it changed';
COMMENT ON COLUMN segue.agent_log.state IS
	'From then on: the first that is true of talking, ringing, logged_out, unreachable, away, wrapup and free';
COMMENT ON COLUMN segue.agent_log.was IS 'Until then; NULL: segue had just started';
COMMENT ON COLUMN segue.agent_log.was_ms IS 'For so long';
COMMENT ON COLUMN segue.agent_log.intent IS 'What the agent has chosen: available, away or logged_out';
COMMENT ON COLUMN segue.agent_log.reason IS 'Why away';
COMMENT ON COLUMN segue.agent_log.via IS 'How that was chosen, as in agent_states.via';
COMMENT ON COLUMN segue.agent_log.set_by IS 'Who chose it';
COMMENT ON COLUMN segue.agent_log.queue IS 'wrapup: after a caller of this queue';
COMMENT ON COLUMN segue.agent_log.conversation_id IS 'Conversation that the state is about';

-- ---- telling segued ---------------------------------------------------------------------------

CREATE TRIGGER user_skills_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.user_skills
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
CREATE TRIGGER queue_skills_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.queue_skills
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
CREATE TRIGGER queue_overflow_notify
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.queue_overflow
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
-- by row: segue's statement runs for every change of state, and most change no row
CREATE TRIGGER agent_states_notify AFTER INSERT OR UPDATE OR DELETE ON segue.agent_states
	FOR EACH ROW EXECUTE FUNCTION segue.notify_directory();
CREATE TRIGGER agent_states_truncate_notify AFTER TRUNCATE ON segue.agent_states
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
-- the goal of queues that have none of their own
CREATE TRIGGER settings_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.settings
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
