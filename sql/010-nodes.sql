-- Several segued on one database: which of them has which dialog. Written by each node for itself; a REFER
-- that replaces a dialog of another node is carried there.

CREATE TABLE segue.nodes (
	node       integer NOT NULL,
	address    text,
	started_at timestamptz NOT NULL,
	seen_at    timestamptz NOT NULL,
	CONSTRAINT nodes_pkey PRIMARY KEY (node),
	CONSTRAINT nodes_node_from_1_to_255 CHECK (node BETWEEN 1 AND 255)
);
COMMENT ON TABLE segue.nodes IS 'The running segued that tell each other where their users'' dialogs are';
COMMENT ON COLUMN segue.nodes.node IS 'control.node of its configuration';
COMMENT ON COLUMN segue.nodes.address IS
	'Where it listens for SIP first; calls go to the peer that is configured for the node';
COMMENT ON COLUMN segue.nodes.started_at IS 'When it came to this database';
COMMENT ON COLUMN segue.nodes.seen_at IS
	'When it was heard last; the dialogs of one that was silent for 30 seconds count no more';

-- Not logged: after a crash of the database each node writes its dialogs anew.
CREATE UNLOGGED TABLE segue.dialogs (
	node       integer NOT NULL,
	local_tag  text NOT NULL,
	remote_tag text NOT NULL,
	call_id    text NOT NULL,
	user_name  text NOT NULL,
	CONSTRAINT dialogs_pkey PRIMARY KEY (local_tag, node)
);
COMMENT ON TABLE segue.dialogs IS 'Answered dialogs of users, which REFER on another node may replace';
COMMENT ON COLUMN segue.dialogs.node IS 'Where it is';
COMMENT ON COLUMN segue.dialogs.local_tag IS 'The tag of that node, to-tag of a Replaces header';
COMMENT ON COLUMN segue.dialogs.remote_tag IS 'The tag of the phone, from-tag of a Replaces header';
COMMENT ON COLUMN segue.dialogs.call_id IS 'Call-ID of the dialog';
COMMENT ON COLUMN segue.dialogs.user_name IS 'Whose phone';
CREATE INDEX dialogs_node ON segue.dialogs (node);

-- Two conversations of one caller, each on its own node.
ALTER TABLE segue.conversations ADD COLUMN linked_to uuid;
COMMENT ON COLUMN segue.conversations.linked_to IS
	'The conversation on another node from which a party of this one came by a transfer; both are one call for people';
CREATE INDEX conversations_linked_to ON segue.conversations (linked_to) WHERE linked_to IS NOT NULL;
