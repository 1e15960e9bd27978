-- Whose a number of a node is: two segued of the same number would erase each other's rows.

ALTER TABLE segue.nodes ADD COLUMN identity uuid;
COMMENT ON COLUMN segue.nodes.identity IS
	'Identity of its outbox. Another segued takes the number when this one was silent for 30 seconds';
