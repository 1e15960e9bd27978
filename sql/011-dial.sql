-- Click-to-dial over HTTP: a scope of its own, since it makes calls.

ALTER TABLE segue.api_tokens DROP CONSTRAINT api_tokens_scopes_valid;
ALTER TABLE segue.api_tokens ADD CONSTRAINT api_tokens_scopes_valid CHECK (scopes <@
	'{view,transfer,hangup,dial,control,agents,history,recordings,metrics}'::text[]);
