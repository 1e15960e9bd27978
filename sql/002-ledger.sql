-- The ledger: what happened on each call. Written by segued only, from its outbox of facts; integrators
-- read it. Every row carries the fact that made it, so that a fact that comes twice changes nothing.
-- Durations are milliseconds of a monotonic clock; an empty value is NULL.

CREATE TABLE segue.outboxes (
	id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	identity   uuid NOT NULL,
	shipped    bigint NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL DEFAULT now(),
	shipped_at timestamptz,
	CONSTRAINT outboxes_identity_unique UNIQUE (identity)
) WITH (fillfactor = 10);
COMMENT ON TABLE segue.outboxes IS 'Outboxes of segued processes, and how far each has been shipped';
COMMENT ON COLUMN segue.outboxes.id IS 'Short name of the outbox in ledger rows';
COMMENT ON COLUMN segue.outboxes.identity IS 'Made together with the outbox';
COMMENT ON COLUMN segue.outboxes.shipped IS 'Its facts up to this number are in the tables';
COMMENT ON COLUMN segue.outboxes.created_at IS 'When it was first seen here';
COMMENT ON COLUMN segue.outboxes.shipped_at IS 'When shipped last changed';

CREATE FUNCTION segue.advance_outbox(p_id integer, p_from bigint, p_to bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	UPDATE segue.outboxes SET shipped = p_to, shipped_at = clock_timestamp()
		WHERE id = p_id AND shipped = p_from;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'outbox % is not at fact % any more', p_id, p_from
			USING ERRCODE = 'SG001';
	END IF;
END $$;
COMMENT ON FUNCTION segue.advance_outbox(integer, bigint, bigint) IS
	'Moves the cursor of an outbox in the transaction that stores the facts; SG001 if somebody else has';

CREATE TABLE segue.rejected_facts (
	outbox_id   integer NOT NULL REFERENCES segue.outboxes,
	fact_id     bigint NOT NULL,
	rejected_at timestamptz NOT NULL DEFAULT now(),
	fact        text NOT NULL,
	bytes       bytea NOT NULL,
	error       text NOT NULL,
	CONSTRAINT rejected_facts_unique PRIMARY KEY (outbox_id, fact_id)
);
COMMENT ON TABLE segue.rejected_facts IS
	'Facts that the database refused to store; empty, unless something is wrong with schema or program';
COMMENT ON COLUMN segue.rejected_facts.outbox_id IS 'Outbox it came from';
COMMENT ON COLUMN segue.rejected_facts.fact_id IS 'Its number there';
COMMENT ON COLUMN segue.rejected_facts.rejected_at IS 'When it was refused';
COMMENT ON COLUMN segue.rejected_facts.fact IS 'The fact in readable form';
COMMENT ON COLUMN segue.rejected_facts.bytes IS 'The fact as it was in the outbox';
COMMENT ON COLUMN segue.rejected_facts.error IS 'What the database said';

CREATE TABLE segue.cases (
	id              uuid PRIMARY KEY,
	case_key        text,
	origin          text NOT NULL,
	customer_number text,
	customer_name   text,
	owner           text,
	owner_since     timestamptz,
	opened_at       timestamptz NOT NULL,
	closed_at       timestamptz,
	outbox_id       integer NOT NULL,
	fact_id         bigint NOT NULL,
	owner_outbox_id integer,
	owner_fact_id   bigint,
	CONSTRAINT cases_case_key_unique UNIQUE (case_key),
	CONSTRAINT cases_origin_valid CHECK (origin IN ('segue', 'external')),
	CONSTRAINT cases_external_has_key CHECK ((origin = 'external') = (case_key IS NOT NULL))
) WITH (fillfactor = 80);
-- at most one open case of segue's own per number, also when several segued open one at once
CREATE UNIQUE INDEX cases_one_open_per_number ON segue.cases (customer_number)
	WHERE closed_at IS NULL AND origin = 'segue';
CREATE INDEX cases_customer_number ON segue.cases (customer_number, opened_at);
COMMENT ON TABLE segue.cases IS
	'What conversations are about. A call joins the open case of its customer number, or opens one';
COMMENT ON COLUMN segue.cases.id IS 'Id of the conversation that opened it';
COMMENT ON COLUMN segue.cases.case_key IS 'Key in the CRM (X-Case-ID of a trusted peer); NULL for cases of segue''s own';
COMMENT ON COLUMN segue.cases.origin IS 'segue: opened for a number; external: named by a CRM';
COMMENT ON COLUMN segue.cases.customer_number IS 'Number of the customer; NULL: withheld';
COMMENT ON COLUMN segue.cases.customer_name IS 'Name of the customer as the first call showed it';
COMMENT ON COLUMN segue.cases.owner IS 'User who has the case: the last to answer the customer';
COMMENT ON COLUMN segue.cases.owner_since IS 'When that user answered';
COMMENT ON COLUMN segue.cases.opened_at IS 'Start of its first conversation';
COMMENT ON COLUMN segue.cases.closed_at IS
	'Set by the CRM or by hand: the next call of the number opens a new case. NULL: open';
COMMENT ON COLUMN segue.cases.outbox_id IS 'Outbox of the fact that opened the case';
COMMENT ON COLUMN segue.cases.fact_id IS 'Fact that opened the case';
COMMENT ON COLUMN segue.cases.owner_outbox_id IS 'Outbox of the fact that made the owner';
COMMENT ON COLUMN segue.cases.owner_fact_id IS 'That fact';

CREATE TABLE segue.conversations (
	id              uuid PRIMARY KEY,
	case_id         uuid,
	merged_into     uuid,
	kind            text NOT NULL,
	customer_number text,
	customer_name   text,
	dialled         text,
	source          text,
	sip_call_id     text,
	call            text,
	started_at      timestamptz NOT NULL,
	ended_at        timestamptz,
	outcome         text,
	ended_by        text,
	sip_cause       integer,
	total_ms        bigint,
	ring_ms         bigint,
	wait_ms         bigint,
	talk_ms         bigint,
	agent_talk_ms   bigint,
	hold_ms         bigint,
	held_ms         bigint,
	consult_ms      bigint,
	limbo_ms        bigint,
	ivr_ms          bigint,
	n_requested     integer NOT NULL DEFAULT 0,
	n_failed        integer NOT NULL DEFAULT 0,
	n_blind         integer NOT NULL DEFAULT 0,
	n_consult       integer NOT NULL DEFAULT 0,
	n_semi          integer NOT NULL DEFAULT 0,
	estimated       boolean NOT NULL DEFAULT false,
	outbox_id       integer NOT NULL,
	fact_id         bigint NOT NULL,
	closed_fact_id  bigint,
	CONSTRAINT conversations_case_exists FOREIGN KEY (case_id) REFERENCES segue.cases,
	CONSTRAINT conversations_merged_exists FOREIGN KEY (merged_into) REFERENCES segue.conversations,
	CONSTRAINT conversations_kind_valid CHECK (kind IN ('inbound', 'outbound', 'internal')),
	CONSTRAINT conversations_outcome_valid CHECK (outcome IN ('answered', 'abandoned', 'failed')),
	CONSTRAINT conversations_closed_whole CHECK ((ended_at IS NULL) = (closed_fact_id IS NULL)
		AND (ended_at IS NULL OR (outcome IS NOT NULL AND total_ms >= 0)))
) WITH (fillfactor = 60);
CREATE INDEX conversations_started_at ON segue.conversations (started_at);
CREATE INDEX conversations_customer_number ON segue.conversations (customer_number);
CREATE INDEX conversations_case_id ON segue.conversations (case_id);
CREATE INDEX conversations_open ON segue.conversations (outbox_id) WHERE ended_at IS NULL;
COMMENT ON TABLE segue.conversations IS
	'One row per conversation: everything between the customer''s arrival and leaving, transfers included';
COMMENT ON COLUMN segue.conversations.id IS 'Made with the first leg (UUIDv7)';
COMMENT ON COLUMN segue.conversations.case_id IS 'Case it belongs to; NULL for internal calls';
COMMENT ON COLUMN segue.conversations.merged_into IS 'Older conversation that this one became part of';
COMMENT ON COLUMN segue.conversations.kind IS 'inbound, outbound or internal';
COMMENT ON COLUMN segue.conversations.customer_number IS 'Number of the outside party; NULL: withheld';
COMMENT ON COLUMN segue.conversations.customer_name IS 'Its display name';
COMMENT ON COLUMN segue.conversations.dialled IS 'Number that was dialled';
COMMENT ON COLUMN segue.conversations.source IS 'Peer or user from whom the call came';
COMMENT ON COLUMN segue.conversations.sip_call_id IS 'Call-ID of the first leg, to find it in SIP traces';
COMMENT ON COLUMN segue.conversations.call IS 'Id of the call in the log and in seguectl';
COMMENT ON COLUMN segue.conversations.started_at IS 'When the call came in or was dialled';
COMMENT ON COLUMN segue.conversations.ended_at IS 'When it was over; NULL: it is going on';
COMMENT ON COLUMN segue.conversations.outcome IS 'answered, abandoned (the caller left first) or failed';
COMMENT ON COLUMN segue.conversations.ended_by IS 'customer, agent, external, target, system or command';
COMMENT ON COLUMN segue.conversations.sip_cause IS 'SIP status that ended it; 0: a plain BYE';
COMMENT ON COLUMN segue.conversations.total_ms IS
	'Start to end. The sum of ring, wait, talk, hold, held, consult, limbo and ivr, to 1 ms';
COMMENT ON COLUMN segue.conversations.ring_ms IS 'First ringing: the customer waits for the first answer outside a queue';
COMMENT ON COLUMN segue.conversations.wait_ms IS 'The customer waits in queues';
COMMENT ON COLUMN segue.conversations.talk_ms IS 'At least one other party talks with the customer';
COMMENT ON COLUMN segue.conversations.agent_talk_ms IS 'Sum of talk_ms of the segments; what exceeds talk_ms is overlap';
COMMENT ON COLUMN segue.conversations.hold_ms IS 'The customer is on hold and nobody talks with them';
COMMENT ON COLUMN segue.conversations.held_ms IS 'The customer holds';
COMMENT ON COLUMN segue.conversations.consult_ms IS 'The customer waits while their agent consults somebody';
COMMENT ON COLUMN segue.conversations.limbo_ms IS 'Between leaving one party and being joined to the next, outside queues';
COMMENT ON COLUMN segue.conversations.ivr_ms IS 'In voice menus and voicemail';
COMMENT ON COLUMN segue.conversations.n_requested IS 'Transfers asked for';
COMMENT ON COLUMN segue.conversations.n_failed IS 'Transfers that failed';
COMMENT ON COLUMN segue.conversations.n_blind IS 'Completed blind transfers';
COMMENT ON COLUMN segue.conversations.n_consult IS 'Completed transfers after consulting';
COMMENT ON COLUMN segue.conversations.n_semi IS 'Completed transfers to a target that was still ringing';
COMMENT ON COLUMN segue.conversations.estimated IS 'true: the end was not seen; times end at the last known event';
COMMENT ON COLUMN segue.conversations.outbox_id IS 'Outbox of the facts behind this row';
COMMENT ON COLUMN segue.conversations.fact_id IS 'Fact that opened it';
COMMENT ON COLUMN segue.conversations.closed_fact_id IS 'Fact that closed it';

CREATE TABLE segue.segments (
	id              uuid PRIMARY KEY,
	conversation_id uuid NOT NULL,
	seq             integer NOT NULL,
	kind            text NOT NULL,
	who             text,
	number          text,
	offered_at      timestamptz NOT NULL,
	answered_at     timestamptz,
	ended_at        timestamptz,
	outcome         text,
	sip_cause       integer,
	released_by     text,
	prev_segment_id uuid,
	transfer_id_in  uuid,
	transfer_id_out uuid,
	ring_ms         bigint,
	talk_ms         bigint,
	hold_ms         bigint,
	held_ms         bigint,
	consult_ms      bigint,
	wait_ms         bigint,
	limbo_ms        bigint,
	acw_ms          bigint,
	estimated       boolean NOT NULL DEFAULT false,
	outbox_id       integer NOT NULL,
	fact_id         bigint NOT NULL,
	answered_fact_id bigint,
	closed_fact_id  bigint,
	CONSTRAINT segments_conversation_exists FOREIGN KEY (conversation_id)
		REFERENCES segue.conversations,
	CONSTRAINT segments_seq_unique UNIQUE (conversation_id, seq),
	CONSTRAINT segments_kind_valid CHECK (kind IN ('ivr', 'queue', 'agent', 'consult', 'external',
		'voicemail', 'recall', 'monitor')),
	CONSTRAINT segments_closed_whole CHECK ((ended_at IS NULL) = (closed_fact_id IS NULL)
		AND (ended_at IS NULL OR outcome IS NOT NULL))
) WITH (fillfactor = 60);
CREATE INDEX segments_who_offered_at ON segue.segments (who, offered_at);
COMMENT ON TABLE segue.segments IS
	'One row per visit of one party other than the customer, from the first ring to the release';
COMMENT ON COLUMN segue.segments.id IS 'Its id (UUIDv7)';
COMMENT ON COLUMN segue.segments.conversation_id IS 'Conversation it is part of';
COMMENT ON COLUMN segue.segments.seq IS 'Order of offered_at within the conversation';
COMMENT ON COLUMN segue.segments.kind IS
	'agent, queue, ivr, consult, external, voicemail, recall (a transferor rung again) or monitor';
COMMENT ON COLUMN segue.segments.who IS 'Name of the user, queue or IVR; NULL for outside numbers';
COMMENT ON COLUMN segue.segments.number IS 'Number that was called';
COMMENT ON COLUMN segue.segments.offered_at IS 'When it was rung, or entered';
COMMENT ON COLUMN segue.segments.answered_at IS 'When it answered; NULL: it has not. After ended_at: its answer crossed our giving up';
COMMENT ON COLUMN segue.segments.ended_at IS 'When it was released; NULL: it is going on';
COMMENT ON COLUMN segue.segments.outcome IS 'How it ended, such as released, transferred, busy, no_answer';
COMMENT ON COLUMN segue.segments.sip_cause IS 'SIP status that ended it; 0: none';
COMMENT ON COLUMN segue.segments.released_by IS 'Who ended it';
COMMENT ON COLUMN segue.segments.prev_segment_id IS 'Segment that the customer came from';
COMMENT ON COLUMN segue.segments.transfer_id_in IS 'Transfer that brought the customer';
COMMENT ON COLUMN segue.segments.transfer_id_out IS 'Transfer that took the customer away';
COMMENT ON COLUMN segue.segments.ring_ms IS 'From the INVITE to answer, refusal or giving up';
COMMENT ON COLUMN segue.segments.talk_ms IS 'Joined with the customer, neither side holding';
COMMENT ON COLUMN segue.segments.hold_ms IS 'This party holds the customer';
COMMENT ON COLUMN segue.segments.held_ms IS 'The customer holds this party';
COMMENT ON COLUMN segue.segments.consult_ms IS 'This party consults somebody, or is consulted';
COMMENT ON COLUMN segue.segments.wait_ms IS 'The customer waits in this queue';
COMMENT ON COLUMN segue.segments.limbo_ms IS 'The customer is with nobody';
COMMENT ON COLUMN segue.segments.acw_ms IS 'Work after the call until ready again';
COMMENT ON COLUMN segue.segments.estimated IS 'true: the end was not seen; times end at the last known event';
COMMENT ON COLUMN segue.segments.outbox_id IS 'Outbox of the facts behind this row';
COMMENT ON COLUMN segue.segments.fact_id IS 'Fact that opened it';
COMMENT ON COLUMN segue.segments.answered_fact_id IS 'Fact that it answered';
COMMENT ON COLUMN segue.segments.closed_fact_id IS 'Fact that closed it';

CREATE TABLE segue.intervals (
	segment_id  uuid NOT NULL,
	seq         integer NOT NULL,
	state       text NOT NULL,
	started_at  timestamptz NOT NULL,
	ended_at    timestamptz NOT NULL,
	duration_ms bigint NOT NULL,
	outbox_id   integer NOT NULL,
	fact_id     bigint NOT NULL,
	CONSTRAINT intervals_unique PRIMARY KEY (segment_id, seq),
	CONSTRAINT intervals_segment_exists FOREIGN KEY (segment_id) REFERENCES segue.segments,
	CONSTRAINT intervals_state_valid CHECK (state IN ('queued', 'ringing', 'talking', 'holding',
		'held', 'consulting', 'conference', 'limbo', 'wrapup', 'menu')),
	CONSTRAINT intervals_forward CHECK (ended_at >= started_at AND duration_ms >= 0)
);
COMMENT ON TABLE segue.intervals IS
	'What a segment was doing when: contiguous, disjoint, each from started_at up to but not including ended_at';
COMMENT ON COLUMN segue.intervals.segment_id IS 'Segment it is part of';
COMMENT ON COLUMN segue.intervals.seq IS 'Order within the segment';
COMMENT ON COLUMN segue.intervals.state IS
	'queued, ringing, talking, holding (this party holds), held (the customer holds), consulting, conference, limbo, wrapup or menu (in a voice menu or voicemail)';
COMMENT ON COLUMN segue.intervals.started_at IS 'When the state began';
COMMENT ON COLUMN segue.intervals.ended_at IS 'When the next one began';
COMMENT ON COLUMN segue.intervals.duration_ms IS 'How long it lasted, by the monotonic clock';
COMMENT ON COLUMN segue.intervals.outbox_id IS 'Outbox of the fact behind this row';
COMMENT ON COLUMN segue.intervals.fact_id IS 'That fact';

CREATE TABLE segue.transfers (
	id                 uuid PRIMARY KEY,
	conversation_id    uuid NOT NULL,
	kind               text NOT NULL,
	asked_via          text NOT NULL,
	asker              text,
	target_kind        text,
	target             text,
	number             text,
	from_segment_id    uuid,
	to_segment_id      uuid,
	attempt            integer NOT NULL,
	prev_transfer_id   uuid,
	next_transfer_id   uuid,
	asked_at           timestamptz NOT NULL,
	accepted_at        timestamptz,
	target_ringing_at  timestamptz,
	target_answered_at timestamptz,
	joined_at          timestamptz,
	ended_at           timestamptz,
	outcome            text,
	cause              text,
	sip_status         integer,
	outbox_id          integer NOT NULL,
	fact_id            bigint NOT NULL,
	closed_fact_id     bigint,
	CONSTRAINT transfers_conversation_exists FOREIGN KEY (conversation_id)
		REFERENCES segue.conversations,
	CONSTRAINT transfers_kind_valid CHECK (kind IN ('blind', 'consult', 'semi')),
	CONSTRAINT transfers_asked_via_valid
		CHECK (asked_via IN ('sip_refer', 'api', 'panel', 'ctl', 'dtmf', 'system')),
	CONSTRAINT transfers_outcome_valid CHECK (outcome IN ('completed', 'failed', 'cancelled',
		'abandoned', 'recalled', 'fell_back')),
	CONSTRAINT transfers_closed_whole CHECK ((ended_at IS NULL) = (outcome IS NULL)
		AND (ended_at IS NULL) = (closed_fact_id IS NULL))
) WITH (fillfactor = 60);
CREATE INDEX transfers_conversation_id ON segue.transfers (conversation_id);
CREATE INDEX transfers_asker_asked_at ON segue.transfers (asker, asked_at);
COMMENT ON TABLE segue.transfers IS 'One row per wish to transfer, whatever became of it';
COMMENT ON COLUMN segue.transfers.id IS 'Its id (UUIDv7)';
COMMENT ON COLUMN segue.transfers.conversation_id IS 'Conversation that was to be transferred';
COMMENT ON COLUMN segue.transfers.kind IS
	'blind, consult (asker and target talked first) or semi (completed while the target was ringing)';
COMMENT ON COLUMN segue.transfers.asked_via IS 'sip_refer, api, panel, ctl, dtmf, or system for a step of the fallback chain';
COMMENT ON COLUMN segue.transfers.asker IS 'User or peer who asked';
COMMENT ON COLUMN segue.transfers.target_kind IS 'user, queue, ivr, external or voicemail';
COMMENT ON COLUMN segue.transfers.target IS 'Name of the target';
COMMENT ON COLUMN segue.transfers.number IS 'Number that was asked for';
COMMENT ON COLUMN segue.transfers.from_segment_id IS 'Segment of the party that the customer was with';
COMMENT ON COLUMN segue.transfers.to_segment_id IS 'Segment of the target; NULL: it was never rung';
COMMENT ON COLUMN segue.transfers.attempt IS 'Step in the fallback chain';
COMMENT ON COLUMN segue.transfers.prev_transfer_id IS 'Transfer that this one follows up';
COMMENT ON COLUMN segue.transfers.next_transfer_id IS 'Transfer that follows this one up';
COMMENT ON COLUMN segue.transfers.asked_at IS 'When it was asked for';
COMMENT ON COLUMN segue.transfers.accepted_at IS 'When segue accepted; NULL: refused at once';
COMMENT ON COLUMN segue.transfers.target_ringing_at IS 'When the target rang';
COMMENT ON COLUMN segue.transfers.target_answered_at IS 'When the target answered';
COMMENT ON COLUMN segue.transfers.joined_at IS 'When customer and target could hear each other';
COMMENT ON COLUMN segue.transfers.ended_at IS 'When its outcome was settled; NULL: it is going on';
COMMENT ON COLUMN segue.transfers.outcome IS 'completed, failed, cancelled, abandoned (the customer left), recalled or fell_back';
COMMENT ON COLUMN segue.transfers.cause IS 'Why it failed, or to what it fell back';
COMMENT ON COLUMN segue.transfers.sip_status IS 'SIP status of the target, or of the refusal';
COMMENT ON COLUMN segue.transfers.outbox_id IS 'Outbox of the facts behind this row';
COMMENT ON COLUMN segue.transfers.fact_id IS 'Fact that opened it';
COMMENT ON COLUMN segue.transfers.closed_fact_id IS 'Fact that closed it';

CREATE TABLE segue.timeline (
	conversation_id uuid NOT NULL,
	seq             integer NOT NULL,
	at              timestamptz NOT NULL,
	type            text NOT NULL,
	actor           text,
	via             text,
	segment_id      uuid,
	transfer_id     uuid,
	headline        boolean NOT NULL,
	data            jsonb,
	outbox_id       integer NOT NULL,
	fact_id         bigint NOT NULL,
	CONSTRAINT timeline_unique PRIMARY KEY (conversation_id, seq),
	CONSTRAINT timeline_conversation_exists FOREIGN KEY (conversation_id)
		REFERENCES segue.conversations
);
COMMENT ON TABLE segue.timeline IS 'What happened in a conversation, step by step; never changed';
COMMENT ON COLUMN segue.timeline.conversation_id IS 'Conversation it happened in';
COMMENT ON COLUMN segue.timeline.seq IS 'Order within the conversation, without gaps';
COMMENT ON COLUMN segue.timeline.at IS 'When it happened';
COMMENT ON COLUMN segue.timeline.type IS 'What happened, such as answered or transfer_completed';
COMMENT ON COLUMN segue.timeline.actor IS 'Who did it';
COMMENT ON COLUMN segue.timeline.via IS 'How it was asked for, as in transfers.asked_via';
COMMENT ON COLUMN segue.timeline.segment_id IS 'Segment it concerns';
COMMENT ON COLUMN segue.timeline.transfer_id IS 'Transfer it concerns';
COMMENT ON COLUMN segue.timeline.headline IS 'true: part of the short story, one line per conversation and transfer action';
COMMENT ON COLUMN segue.timeline.data IS 'Details, by name';
COMMENT ON COLUMN segue.timeline.outbox_id IS 'Outbox of the fact behind this row';
COMMENT ON COLUMN segue.timeline.fact_id IS 'That fact';

CREATE TABLE segue.notes (
	id              uuid PRIMARY KEY,
	conversation_id uuid NOT NULL,
	author          text NOT NULL,
	at              timestamptz NOT NULL,
	body            text NOT NULL,
	outbox_id       integer NOT NULL,
	fact_id         bigint NOT NULL,
	CONSTRAINT notes_conversation_exists FOREIGN KEY (conversation_id)
		REFERENCES segue.conversations
);
CREATE INDEX notes_conversation_id ON segue.notes (conversation_id);
COMMENT ON TABLE segue.notes IS 'What agents wrote during a call';
COMMENT ON COLUMN segue.notes.id IS 'Its id (UUIDv7)';
COMMENT ON COLUMN segue.notes.conversation_id IS 'Conversation it belongs to';
COMMENT ON COLUMN segue.notes.author IS 'User who wrote it';
COMMENT ON COLUMN segue.notes.at IS 'When it was written';
COMMENT ON COLUMN segue.notes.body IS 'The text';
COMMENT ON COLUMN segue.notes.outbox_id IS 'Outbox of the fact behind this row';
COMMENT ON COLUMN segue.notes.fact_id IS 'That fact';

CREATE TABLE segue.recordings (
	id              uuid PRIMARY KEY,
	conversation_id uuid NOT NULL,
	segment_id      uuid NOT NULL,
	file            text NOT NULL,
	started_at      timestamptz NOT NULL,
	ended_at        timestamptz,
	outbox_id       integer NOT NULL,
	fact_id         bigint NOT NULL,
	CONSTRAINT recordings_conversation_exists FOREIGN KEY (conversation_id)
		REFERENCES segue.conversations,
	CONSTRAINT recordings_segment_exists FOREIGN KEY (segment_id) REFERENCES segue.segments
);
CREATE INDEX recordings_conversation_id ON segue.recordings (conversation_id);
COMMENT ON TABLE segue.recordings IS 'Recordings of segments';
COMMENT ON COLUMN segue.recordings.id IS 'Its id (UUIDv7)';
COMMENT ON COLUMN segue.recordings.conversation_id IS 'Conversation it belongs to';
COMMENT ON COLUMN segue.recordings.segment_id IS 'Segment that was recorded';
COMMENT ON COLUMN segue.recordings.file IS 'Where the sound is';
COMMENT ON COLUMN segue.recordings.started_at IS 'When it begins';
COMMENT ON COLUMN segue.recordings.ended_at IS 'When it ends; NULL: it is going on';
COMMENT ON COLUMN segue.recordings.outbox_id IS 'Outbox of the fact behind this row';
COMMENT ON COLUMN segue.recordings.fact_id IS 'That fact';

CREATE TABLE segue.audit (
	outbox_id       integer NOT NULL,
	fact_id         bigint NOT NULL,
	at              timestamptz NOT NULL,
	who             text,
	via             text,
	action          text NOT NULL,
	object          text,
	result          text,
	why             text,
	conversation_id uuid,
	transfer_id     uuid,
	CONSTRAINT audit_unique PRIMARY KEY (outbox_id, fact_id)
);
CREATE INDEX audit_at ON segue.audit USING brin (at);
COMMENT ON TABLE segue.audit IS 'Who asked for what, and what they were answered; refusals too';
COMMENT ON COLUMN segue.audit.outbox_id IS 'Outbox of the fact behind this row';
COMMENT ON COLUMN segue.audit.fact_id IS 'That fact';
COMMENT ON COLUMN segue.audit.at IS 'When it was asked';
COMMENT ON COLUMN segue.audit.who IS 'User, peer or address that asked';
COMMENT ON COLUMN segue.audit.via IS 'How: sip_refer, api, panel, ctl, dtmf or system';
COMMENT ON COLUMN segue.audit.action IS 'What was asked for, such as transfer, hangup or register';
COMMENT ON COLUMN segue.audit.object IS 'On what: a number, a user';
COMMENT ON COLUMN segue.audit.result IS 'The answer, such as accepted or refused';
COMMENT ON COLUMN segue.audit.why IS 'Why it was refused';
COMMENT ON COLUMN segue.audit.conversation_id IS 'Conversation it concerned';
COMMENT ON COLUMN segue.audit.transfer_id IS 'Transfer that it became';

-- ---- after a crash ----------------------------------------------------------------------------

CREATE FUNCTION segue.length_ms(p_times tstzmultirange) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(round(sum(extract(epoch FROM upper(r) - lower(r))) * 1000), 0)::bigint
	FROM unnest(p_times) r
$$;
COMMENT ON FUNCTION segue.length_ms(tstzmultirange) IS 'How long these times are together';

CREATE FUNCTION segue.close_segments(p_conversation uuid, p_at timestamptz, p_outbox integer,
	p_fact bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO segue.intervals (segment_id, seq, state, started_at, ended_at, duration_ms, outbox_id,
		fact_id)
	SELECT s.id, coalesce(l.seq, 0) + 1,
		CASE WHEN s.kind = 'queue' THEN 'queued' WHEN s.answered_at IS NULL THEN 'ringing'
			WHEN s.kind IN ('ivr', 'voicemail') THEN 'menu' WHEN h.type = 'hold_on' THEN
			CASE h.actor WHEN 'customer' THEN 'held' ELSE 'holding' END ELSE 'talking' END,
		coalesce(l.ended_at, s.offered_at), p_at,
		round(extract(epoch FROM p_at - coalesce(l.ended_at, s.offered_at)) * 1000), p_outbox, p_fact
	FROM segue.segments s
	LEFT JOIN LATERAL (SELECT i.seq, i.ended_at FROM segue.intervals i WHERE i.segment_id = s.id
		ORDER BY i.seq DESC LIMIT 1) l ON true
	LEFT JOIN LATERAL (SELECT t.type, t.actor FROM segue.timeline t
		WHERE t.conversation_id = p_conversation AND t.segment_id = s.id
		AND t.type IN ('hold_on', 'hold_off') ORDER BY t.seq DESC LIMIT 1) h ON true
	WHERE s.conversation_id = p_conversation AND s.ended_at IS NULL
	AND p_at > coalesce(l.ended_at, s.offered_at);

	UPDATE segue.segments s SET ended_at = p_at, outcome = 'internal', released_by = 'system',
		estimated = true, closed_fact_id = p_fact, ring_ms = m.ring, talk_ms = m.talk,
		hold_ms = m.hold, held_ms = m.held, consult_ms = m.consult, wait_ms = m.wait,
		limbo_ms = m.limbo, acw_ms = m.acw
	FROM (SELECT o.id, coalesce(sum(i.duration_ms) FILTER (WHERE i.state = 'ringing'), 0) AS ring,
		coalesce(sum(i.duration_ms) FILTER (WHERE i.state IN ('talking', 'conference')), 0) AS talk,
		coalesce(sum(i.duration_ms) FILTER (WHERE i.state = 'holding'), 0) AS hold,
		coalesce(sum(i.duration_ms) FILTER (WHERE i.state = 'held'), 0) AS held,
		coalesce(sum(i.duration_ms) FILTER (WHERE i.state = 'consulting'), 0) AS consult,
		coalesce(sum(i.duration_ms) FILTER (WHERE i.state = 'queued'), 0) AS wait,
		coalesce(sum(i.duration_ms) FILTER (WHERE i.state = 'limbo'), 0) AS limbo,
		coalesce(sum(i.duration_ms) FILTER (WHERE i.state = 'wrapup'), 0) AS acw
		FROM segue.segments o LEFT JOIN segue.intervals i ON i.segment_id = o.id
		WHERE o.conversation_id = p_conversation AND o.ended_at IS NULL GROUP BY o.id) m
	WHERE s.id = m.id;
END $$;
COMMENT ON FUNCTION segue.close_segments(uuid, timestamptz, integer, bigint) IS
	'Ends the open segments of a conversation that a crash cut off';

CREATE FUNCTION segue.close_conversation(p_conversation uuid, p_outbox integer, p_fact bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_start timestamptz := (SELECT started_at FROM segue.conversations WHERE id = p_conversation);
	v_at    timestamptz; -- the last that is known of it
	v_seq   integer;
	v_ring tstzmultirange; v_wait tstzmultirange; v_talk tstzmultirange; v_hold tstzmultirange;
	v_held tstzmultirange; v_consult tstzmultirange; v_menu tstzmultirange;
BEGIN
	SELECT greatest(v_start,
		(SELECT max(greatest(s.offered_at, s.answered_at, s.ended_at)) FROM segue.segments s
			WHERE s.conversation_id = p_conversation),
		(SELECT max(i.ended_at) FROM segue.intervals i JOIN segue.segments s ON s.id = i.segment_id
			WHERE s.conversation_id = p_conversation),
		(SELECT max(greatest(x.asked_at, x.accepted_at, x.target_ringing_at, x.target_answered_at,
			x.joined_at, x.ended_at)) FROM segue.transfers x
			WHERE x.conversation_id = p_conversation),
		max(t.at)), coalesce(max(t.seq), 0) + 1
	INTO v_at, v_seq FROM segue.timeline t WHERE t.conversation_id = p_conversation;

	PERFORM segue.close_segments(p_conversation, v_at, p_outbox, p_fact);
	UPDATE segue.transfers SET ended_at = v_at, outcome = 'failed', cause = 'internal',
		closed_fact_id = p_fact WHERE conversation_id = p_conversation AND ended_at IS NULL;
	INSERT INTO segue.timeline (conversation_id, seq, at, type, actor, headline, data, outbox_id,
		fact_id) VALUES (p_conversation, v_seq, v_at, 'conversation_ended', 'system', false,
		'{"estimated": "true"}', p_outbox, p_fact);

	-- at any time the customer is where the best-off party is
	SELECT coalesce(range_agg(r) FILTER (WHERE state IN ('talking', 'conference')), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'consulting'), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'held'), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'holding'), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'menu'), '{}'),
		coalesce(range_agg(r) FILTER (WHERE state = 'queued'), '{}')
	INTO v_talk, v_consult, v_held, v_hold, v_menu, v_wait
	FROM (SELECT i.state, tstzrange(i.started_at, i.ended_at) AS r FROM segue.intervals i
		JOIN segue.segments s ON s.id = i.segment_id WHERE s.conversation_id = p_conversation) i;
	v_consult := v_consult - v_talk;
	v_held := v_held - v_talk - v_consult;
	v_hold := v_hold - v_talk - v_consult - v_held;
	v_menu := v_menu - v_talk - v_consult - v_held - v_hold;
	v_wait := v_wait - v_talk - v_consult - v_held - v_hold - v_menu;
	v_ring := tstzmultirange(tstzrange(v_start, coalesce(
		lower(v_talk + v_consult + v_held + v_hold + v_menu), v_at))) - v_wait;

	UPDATE segue.conversations c SET ended_at = v_at, ended_by = 'system', estimated = true,
		closed_fact_id = p_fact, total_ms = w.total, ring_ms = segue.length_ms(v_ring),
		wait_ms = segue.length_ms(v_wait), talk_ms = segue.length_ms(v_talk),
		hold_ms = segue.length_ms(v_hold), held_ms = segue.length_ms(v_held),
		consult_ms = segue.length_ms(v_consult), ivr_ms = segue.length_ms(v_menu),
		limbo_ms = w.total - segue.length_ms(v_ring + v_wait + v_talk + v_hold + v_held + v_consult
			+ v_menu),
		outcome = CASE WHEN isempty(v_talk + v_hold + v_held + v_consult + v_menu) THEN 'failed'
			ELSE 'answered' END,
		agent_talk_ms = (SELECT coalesce(sum(s.talk_ms), 0) FROM segue.segments s
			WHERE s.conversation_id = p_conversation),
		n_requested = x.requested, n_failed = x.failed, n_blind = x.blind, n_consult = x.consult,
		n_semi = x.semi
	FROM (SELECT round(extract(epoch FROM v_at - v_start) * 1000)::bigint AS total) w,
		(SELECT count(*) AS requested, count(*) FILTER (WHERE outcome = 'failed') AS failed,
			count(*) FILTER (WHERE outcome = 'completed' AND kind = 'blind') AS blind,
			count(*) FILTER (WHERE outcome = 'completed' AND kind = 'consult') AS consult,
			count(*) FILTER (WHERE outcome = 'completed' AND kind = 'semi') AS semi
			FROM segue.transfers WHERE conversation_id = p_conversation) x
	WHERE c.id = p_conversation;
END $$;
COMMENT ON FUNCTION segue.close_conversation(uuid, integer, bigint) IS
	'Ends a conversation that a crash cut off at the last that is known of it; estimated says so';

CREATE FUNCTION segue.close_left_open(p_outbox integer, p_fact bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM segue.close_conversation(c.id, p_outbox, p_fact) FROM segue.conversations c
		WHERE c.outbox_id = p_outbox AND c.ended_at IS NULL AND c.fact_id < p_fact;
END $$;
COMMENT ON FUNCTION segue.close_left_open(integer, bigint) IS
	'A segued has started (this fact says so): ends what its earlier run left open';
