/*
 * api_routes: the one table of routes. Requests are found in it, their fields checked by it, and the
 * OpenAPI document and docs/api.md printed from it.
 */
#include "app/api_internal.h"

#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FIELDS(a) .fields = (a), .nfields = COUNT(a)
#define GIVES(s)  .answer = SCHEMA_##s
#define MAKES(s)  .made = SCHEMA_##s

/* ---- fields ---------------------------------------------------------------------------------- */

#define CALL_IN_PATH                                                                               \
	{                                                                                          \
		"call", IN_PATH, API_CALL, REQUIRED, .doc = "Id of the call, such as 17.2."        \
	}
#define NUMBER_DOC                                                                                 \
	"Number, or name of a user, a queue or an IVR, as the dial plan and the directory know it."

static const struct api_field login_fields[] = {
	{"user", IN_BODY, API_TEXT, REQUIRED, 1, USER_MAX - 1, .doc = "Name of the user."},
	{"password", IN_BODY, API_TEXT, REQUIRED, 1, 255, .doc = "The panel's password."},
};

static const struct api_field calls_fields[] = {
	{"state", IN_QUERY, API_WORD, OPTIONAL,
		.choice = API_SHOWN_STATES,
		.doc = "Only calls in this state."},
	{"agent", IN_QUERY, API_TEXT, OPTIONAL, 1, USER_MAX - 1,
		.doc = "Only calls that this user is a party of."},
	{"queue", IN_QUERY, API_TEXT, OPTIONAL, 1, USER_MAX - 1,
		.doc = "Only calls that came to this queue."},
	{"number", IN_QUERY, API_TEXT, OPTIONAL, 1, NUM_MAX - 1,
		.doc = "Only customers whose number has this in it, as the answer shows it."},
	{"limit", IN_QUERY, API_INT, OPTIONAL, 1, API_CALLS_MAX,
		.doc = "How many; 1000 if it is not given."},
	{"cursor", IN_QUERY, API_INT, OPTIONAL, 0, INT64_MAX, .doc = "`next` of the page before."},
};

static const struct api_field dial_fields[] = {
	{"number", IN_BODY, API_TEXT, REQUIRED, 1, NUM_MAX - 1, .doc = NUMBER_DOC},
	{"user", IN_BODY, API_TEXT, OPTIONAL, 1, USER_MAX - 1,
		.doc = "Whose phone rings first, and who then calls; oneself, if it is not given."},
	{"case", IN_BODY, API_TEXT, OPTIONAL, 1, KEY_MAX - 1,
		.doc = "Key of the case that the call belongs to."},
	{"answer", IN_BODY, API_WORD, OPTIONAL, .choice = "manual auto",
		.doc = "auto: the phone is asked to answer by itself (Answer-Mode, Call-Info and "
		       "Alert-Info); manual, if it is not given."},
};

static const struct api_field call_fields[] = {CALL_IN_PATH};

static const struct api_field transfer_fields[] = {
	CALL_IN_PATH,
	{"number", IN_BODY, API_TEXT, REQUIRED, 1, NUM_MAX - 1, .doc = NUMBER_DOC},
	{"kind", IN_BODY, API_WORD, OPTIONAL, .choice = "blind consult",
		.doc = "blind, if it is not given; consult: the agent talks with the target first."},
	{"stay", IN_BODY, API_BOOL, OPTIONAL,
		.doc = "To a queue: the agent keeps the line until somebody answers there. Not "
		       "given: they are released when the queue takes the caller. 409 if nobody is "
		       "with the caller who could keep it."},
};

static const struct api_field note_fields[] = {
	CALL_IN_PATH,
	{"text", IN_BODY, API_TEXT, REQUIRED, 1, 2000, .doc = "The note."},
};

static const struct api_field record_fields[] = {
	CALL_IN_PATH,
	{"action", IN_BODY, API_WORD, REQUIRED, .choice = "start pause stop config",
		.doc = "start; pause, until the present agent's visit ends; stop, for the rest of the "
		       "call; config, as the configuration says."},
};

static const struct api_field targets_fields[] = {
	CALL_IN_PATH,
	{"number", IN_QUERY, API_TEXT, OPTIONAL, 1, NUM_MAX - 1,
		.doc = "Judge this number alone, as somebody types it."},
};

static const struct api_field agent_state_fields[] = {
	{"user", IN_PATH, API_TEXT, REQUIRED, 1, USER_MAX - 1, .doc = "Name of the user."},
	{"state", IN_BODY, API_WORD, REQUIRED, .choice = "available away logged_out",
		.doc = "What the agent wants; available also ends the work after a call."},
	{"reason", IN_BODY, API_TEXT, OPTIONAL, 1, REASON_MAX - 1,
		.doc = "away: why, such as lunch."},
};

static const struct api_field transfer_id_fields[] = {
	{"transfer", IN_PATH, API_UUID, REQUIRED, .doc = "Id of the transfer."},
};

static const struct api_field agents_fields[] = {
	{"queue", IN_QUERY, API_TEXT, OPTIONAL, 1, USER_MAX - 1,
		.doc = "Only members of this queue."},
};

#define FROM_TO                                                                                    \
	{"from", IN_QUERY, API_TIME, OPTIONAL, .doc = "Not before this time."},                    \
	{"to", IN_QUERY, API_TIME, OPTIONAL, .doc = "Before this time."}

#define CONVERSATION_FILTERS                                                                       \
	FROM_TO,                                                                                   \
	{"agent", IN_QUERY, API_TEXT, OPTIONAL, 1, USER_MAX - 1, .doc = "This user was rung."},    \
	{"queue", IN_QUERY, API_TEXT, OPTIONAL, 1, USER_MAX - 1, .doc = "It came to this queue."}, \
	{"number", IN_QUERY, API_TEXT, OPTIONAL, 1, NUM_MAX - 1,                                   \
		.doc = "The customer's number or name has this in it, as the answer shows them."}, \
	{"contact", IN_QUERY, API_TEXT, OPTIONAL, 1, NUM_MAX - 1,                                  \
		.doc = "The customer's whole number; 403 for who sees numbers masked."},           \
	{"case", IN_QUERY, API_TEXT, OPTIONAL, 1, KEY_MAX - 1, .doc = "Key or id of its case."},   \
	{"outcome", IN_QUERY, API_WORD, OPTIONAL,                                                  \
		.choice = "answered abandoned failed live transferred", .doc = "How it ended."},   \
	{"cursor", IN_QUERY, API_UUID, OPTIONAL, .doc = "`next` of the page before."}

static const struct api_field conversations_fields[] = {
	CONVERSATION_FILTERS,
	{"limit", IN_QUERY, API_INT, OPTIONAL, 1, 200, .doc = "How many; 50 if it is not given."},
};

static const struct api_field csv_fields[] = {
	CONVERSATION_FILTERS,
	{"limit", IN_QUERY, API_INT, OPTIONAL, 1, 1000000, .doc = "How many; all, if it is not given."},
};

static const struct api_field conversation_fields[] = {
	{"conversation", IN_PATH, API_UUID, REQUIRED, .doc = "Id of the conversation."},
};

static const struct api_field case_fields[] = {
	{"case", IN_PATH, API_TEXT, REQUIRED, 1, KEY_MAX - 1, .doc = "Key or id of the case."},
};

static const struct api_field contact_fields[] = {
	{"number", IN_PATH, API_TEXT, REQUIRED, 1, NUM_MAX - 1, .doc = "The customer's number."},
};

static const struct api_field agent_report_fields[] = {
	FROM_TO,
	{"agent", IN_QUERY, API_TEXT, OPTIONAL, 1, USER_MAX - 1, .doc = "Only this user."},
};

static const struct api_field queue_report_fields[] = {
	FROM_TO,
	{"queue", IN_QUERY, API_TEXT, OPTIONAL, 1, USER_MAX - 1, .doc = "Only this queue."},
	{"by", IN_QUERY, API_WORD, OPTIONAL, .choice = "hour half_hour recent",
		.doc = "Length of the times that are summed; hour if it is not given. recent: one row "
		       "for the last 15 minutes, whatever from and to."},
};

static const struct api_field recording_fields[] = {
	{"recording", IN_PATH, API_UUID, REQUIRED, .doc = "Id of the recording."},
};

static const struct api_field events_fields[] = {
	{"last_event_id", IN_QUERY, API_TEXT, OPTIONAL, 1, 60,
		.doc = "As the header Last-Event-ID, for clients that cannot set it."},
};

/* ---- routes ---------------------------------------------------------------------------------- */

const struct api_route api_routes[] = {
	{"POST", "/api/v1/login", OPEN, 0, api_run_login,
		"Begins a session: sets the cookie segue_session and tells who one is.",
		"200 401 429 503", GIVES(ME), FIELDS(login_fields)},
	{"POST", "/api/v1/logout", KNOWN, 0, api_run_logout, "Ends the session.", "204"},
	{"GET", "/api/v1/me", KNOWN, 0, api_run_me,
		"Who one is: role, permissions, departments.", "200", GIVES(ME)},

	{"GET", "/api/v1/calls", PERMITTED, PERM_VIEW, api_run_calls,
		"The calls that live now, oldest first, 1000 at most, or a page at a time.", "200",
		GIVES(CALLS), FIELDS(calls_fields)},
	{"POST", "/api/v1/calls", PERMITTED, PERM_DIAL, api_run_dial,
		"Click-to-dial: the user's phone rings, and once it is taken up the number is called. "
		"Agents call for themselves, supervisors for those of their departments too. 409: he "
		"has no phone registered, is on a call, or is away.",
		"201 404 409", GIVES(CALL_NOW), FIELDS(dial_fields)},
	{"GET", "/api/v1/calls/{call}", PERMITTED, PERM_VIEW, api_run_call,
		"One call with its legs, its segments so far and its story.", "200 404",
		GIVES(CALL_DETAIL), FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/transfer", PERMITTED, PERM_TRANSFER, api_run_transfer,
		"Transfers a call. An agent's own leg transfers; for others, whoever talks with "
		"the customer.",
		"200 201 404 409", GIVES(CALL_NOW), MAKES(TRANSFER), FIELDS(transfer_fields)},
	{"GET", "/api/v1/calls/{call}/targets", PERMITTED, PERM_TRANSFER, api_run_targets,
		"To whom this call could be transferred: everybody, each with what stands against "
		"it.",
		"200 404", GIVES(TARGETS), FIELDS(targets_fields)},
	{"POST", "/api/v1/calls/{call}/retry", PERMITTED, PERM_TRANSFER, api_run_retry,
		"Transfers to somebody else: calls off what is under way, if need be, and asks "
		"anew.",
		"200 201 404 409", GIVES(CALL_NOW), MAKES(TRANSFER), FIELDS(transfer_fields)},
	{"POST", "/api/v1/calls/{call}/complete", PERMITTED, PERM_TRANSFER, api_run_complete,
		"Ends a consultation: the customer is joined with the target.", "200 404 409",
		GIVES(CALL_NOW), FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/swap", PERMITTED, PERM_TRANSFER, api_run_swap,
		"In a consultation: the agent talks with the other of the two.", "200 404 409",
		GIVES(CALL_NOW), FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/cancel", PERMITTED, PERM_TRANSFER, api_run_cancel,
		"Calls off the transfer or the consultation that is under way.", "200 404 409",
		GIVES(CALL_NOW), FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/resume", PERMITTED, PERM_TRANSFER, api_run_resume,
		"Brings the customer back to who transferred.",
		"200 404 409", GIVES(CALL_NOW), FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/hangup", PERMITTED, PERM_HANGUP, api_run_hangup,
		"Ends a call.", "200 404 409", GIVES(CALL_NOW), FIELDS(call_fields)},

	{"POST", "/api/v1/calls/{call}/hold", PERMITTED, PERM_CONTROL, api_run_hold,
		"Holds both sides; the customer hears music.",
		"200 404 409", GIVES(CALL_NOW), FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/unhold", PERMITTED, PERM_CONTROL, api_run_unhold,
		"They talk again.", "200 404 409", GIVES(CALL_NOW), FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/note", PERMITTED, PERM_CONTROL, api_run_note,
		"Writes a note to the conversation.",
		"200 404 409", GIVES(CALL_NOW), FIELDS(note_fields)},
	{"POST", "/api/v1/calls/{call}/recording", PERMITTED, PERM_CONTROL, api_run_record,
		"Records the call from now on, or does not.",
		"200 404 409", GIVES(CALL_NOW), FIELDS(record_fields)},
	{"POST", "/api/v1/calls/{call}/conference", PERMITTED, PERM_TRANSFER, api_run_mixer,
		"All three talk. Not offered.", "501", FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/whisper", PERMITTED, PERM_CONTROL, api_run_mixer,
		"Talk to the agent alone. Not offered.", "501", FIELDS(call_fields)},
	{"POST", "/api/v1/calls/{call}/barge", PERMITTED, PERM_CONTROL, api_run_mixer,
		"Join a call that goes on. Not offered.", "501", FIELDS(call_fields)},

	{"GET", "/api/v1/transfers/{transfer}", PERMITTED, PERM_VIEW, api_run_transfer_get,
		"A transfer that runs, or ended a while ago.", "200 404",
		GIVES(TRANSFER), FIELDS(transfer_id_fields)},
	{"GET", "/api/v1/agents", PERMITTED, PERM_VIEW, api_run_agents,
		"Everybody with a phone, and what they do.",
		"200", GIVES(AGENTS), FIELDS(agents_fields)},
	{"POST", "/api/v1/agents/{user}/state", PERMITTED, PERM_AGENTS, api_run_agent_state,
		"Says what an agent wants. Agents say so for themselves, supervisors for those of "
		"their departments.",
		"200 404 409", GIVES(AGENT), FIELDS(agent_state_fields)},
	{"GET", "/api/v1/queues", PERMITTED, PERM_VIEW, api_run_queues,
		"Queues: who waits, who could answer.", "200", GIVES(QUEUES)},

	{"GET", "/api/v1/conversations", PERMITTED, PERM_HISTORY, api_run_conversations,
		"The call log: conversations, newest first, a page at a time.", "200 503",
		GIVES(CONVERSATIONS), FIELDS(conversations_fields)},
	{"GET", "/api/v1/conversations.csv", PERMITTED, PERM_HISTORY, api_run_conversations_csv,
		"The same as a table for spreadsheets: all of them, as fast as they are read.",
		"200 503", "text/csv",
		FIELDS(csv_fields)},
	{"GET", "/api/v1/conversations/{conversation}", PERMITTED, PERM_HISTORY,
		api_run_conversation,
		"One conversation: segments with intervals, transfers, timeline, notes, "
		"recordings.",
		"200 404 503", GIVES(CONVERSATION_DETAIL), FIELDS(conversation_fields)},
	{"GET", "/api/v1/cases/{case}", PERMITTED, PERM_HISTORY, api_run_case,
		"A case with its conversations and its timeline.", "200 404 503",
		GIVES(CASE), FIELDS(case_fields)},
	{"GET", "/api/v1/contacts/{number}", PERMITTED, PERM_HISTORY, api_run_contact,
		"What there is about a customer: names, cases, who talked with them. Not for who sees "
		"numbers masked: the answer would confirm what is not shown.",
		"200 404 503", GIVES(CONTACT), FIELDS(contact_fields)},
	{"GET", "/api/v1/reports/agents", PERMITTED, PERM_HISTORY, api_run_agent_report,
		"Per agent and day: offers, answers, times, transfers (view agent_day).", "200 503",
		GIVES(AGENT_DAYS), FIELDS(agent_report_fields)},
	{"GET", "/api/v1/reports/queues", PERMITTED, PERM_HISTORY, api_run_queue_report,
		"Per queue and hour: offered, answered, abandoned, in time (view queue_hour; by "
		"half_hour: queue_half_hour; by recent: queue_recent).",
		"200 503", GIVES(QUEUE_TIMES), FIELDS(queue_report_fields)},
	{"GET", "/api/v1/recordings/{recording}", PERMITTED, PERM_RECORDINGS, api_run_recording,
		"A recording; parts of it with the header Range.", "200 206 304 404 416 503", "audio/wav",
		FIELDS(recording_fields)},

	{"GET", "/api/v1/events", PERMITTED, PERM_VIEW, api_run_events,
		"Server-sent events: a snapshot, then every change.", "200 503",
		"text/event-stream", FIELDS(events_fields)},
	{"GET", "/metrics", PERMITTED, PERM_METRICS, api_run_metrics, "Figures for Prometheus.",
		"200", "text/plain"},
	{"GET", "/healthz", OPEN, 0, api_run_healthz, "Is the process alive?",
		"200", GIVES(HEALTH)},
	{"GET", "/readyz", OPEN, 0, api_run_readyz, "Can it take calls?", "200 503", GIVES(READY)},
	{"GET", "/api/v1/openapi.json", OPEN, 0, api_run_openapi, "This interface, as OpenAPI 3.1.",
		"200", GIVES(DOCUMENT)},
};
const unsigned api_routes_count = COUNT(api_routes);

/* ---- finding --------------------------------------------------------------------------------- */

/* Does the path fit the pattern? What stands for {..} goes into param. */
static bool path_fits(
	const char *pattern, const char *path, char param[API_PARAMS_MAX][API_VALUE_MAX])
{
	unsigned n = 0;

	while (*pattern != '\0') {
		size_t len = strcspn(path, "/");

		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		if (len == 0 || len >= API_VALUE_MAX || n == API_PARAMS_MAX)
			return false;
		str_copy_n(param[n++], API_VALUE_MAX, path, len);
		path += len;
		pattern = strchr(pattern, '}') + 1;
	}
	return *path == '\0';
}

const struct api_route *api_find_route(const char *method, const char *path,
	char param[API_PARAMS_MAX][API_VALUE_MAX], bool *other_method)
{
	for (unsigned i = 0; i < api_routes_count; i++) {
		if (!path_fits(api_routes[i].path, path, param))
			continue;
		if (str_eq(api_routes[i].method, method))
			return &api_routes[i];
		*other_method = true;
	}
	return NULL;
}

void api_allowed(const char *path, char *buf, size_t size)
{
	char param[API_PARAMS_MAX][API_VALUE_MAX];

	buf[0] = '\0';
	for (unsigned i = 0; i < api_routes_count; i++) {
		if (!path_fits(api_routes[i].path, path, param))
			continue;
		str_append(buf, size, buf[0] ? ", " : "");
		str_append(buf, size, api_routes[i].method);
		if (str_eq(api_routes[i].method, "GET"))
			str_append(buf, size, ", HEAD");
	}
}

/* ---- OpenAPI --------------------------------------------------------------------------------- */

static json_t *schema_of(const struct api_field *f)
{
	json_t *o = json_object(), *words;
	char copy[400], *save, *w;

	jo_text(o, "type",
		f->type == API_INT    ? "integer"
		: f->type == API_BOOL ? "boolean"
				      : "string");
	if (f->type == API_UUID)
		jo_text(o, "format", "uuid");
	if (f->type == API_INT) {
		jo_int(o, "minimum", f->min);
		jo_int(o, "maximum", f->max);
	}
	if (f->type == API_TEXT) {
		jo_int(o, "minLength", f->min);
		jo_int(o, "maxLength", f->max);
	}
	if (f->type != API_WORD)
		return o;
	words = json_array();
	str_set(copy, f->choice);
	for (w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		json_array_append_new(words, jo_string(w));
	json_object_set_new(o, "enum", words);
	return o;
}

/* ---- headers --------------------------------------------------------------------------------- */

static bool changes_something(const struct api_route *r)
{
	return !str_eq(r->method, "GET");
}

static bool is_repeatable(const struct api_route *r)
{
	return str_eq(r->method, "POST") && r->who != OPEN;
}

static bool is_recording(const struct api_route *r)
{
	return r->run == api_run_recording;
}

static bool is_stream(const struct api_route *r)
{
	return r->run == api_run_events;
}

static const struct header {
	const char *name, *doc;
	bool (*is_for)(const struct api_route *r);
} headers[] = {
	{"Idempotency-Key",
		"1 to 100 characters: the same request with the same key is answered as the first "
		"time, for a day, and done once.",
		is_repeatable},
	{"X-Segue", "panel, or anything: needed to log in and with the cookie of a session, not with a "
		    "token.",
		changes_something},
	{"Range", "bytes=A-B: this part alone; of several parts the whole is sent.", is_recording},
	{"If-Range", "The ETag or Last-Modified of the rest: if it is not that any more, the whole is sent.",
		is_recording},
	{"If-None-Match", "An ETag: 304 if it is that still.", is_recording},
	{"Last-Event-ID", "The id of the last event that was heard: what was missed follows.", is_stream},
};

static json_t *parameters_of(const struct api_route *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < COUNT(headers); i++)
		if (headers[i].is_for(r))
			json_array_append_new(list,
				json_pack("{s:s, s:s, s:b, s:s, s:{s:s}}", "name", headers[i].name, "in",
					"header", "required", 0, "description", headers[i].doc, "schema",
					"type", "string"));

	for (unsigned i = 0; i < r->nfields; i++) {
		const struct api_field *f = &r->fields[i];
		json_t *o;

		if (f->in == IN_BODY)
			continue;
		o = json_object();
		jo_text(o, "name", f->name);
		jo_text(o, "in", f->in == IN_PATH ? "path" : "query");
		jo_bool(o, "required", f->need == REQUIRED);
		jo_text(o, "description", f->doc);
		json_object_set_new(o, "schema", schema_of(f));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *body_of(const struct api_route *r)
{
	json_t *properties = json_object(), *required = json_array(), *schema, *p;

	for (unsigned i = 0; i < r->nfields; i++) {
		const struct api_field *f = &r->fields[i];

		if (f->in != IN_BODY)
			continue;
		p = schema_of(f);
		jo_text(p, "description", f->doc);
		json_object_set_new(properties, f->name, p);
		if (f->need == REQUIRED)
			json_array_append_new(required, jo_string(f->name));
	}
	if (json_object_size(properties) == 0) {
		json_decref(properties);
		json_decref(required);
		return NULL;
	}
	schema = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
		"additionalProperties", 0);
	if (json_array_size(required) > 0)
		json_object_set(schema, "required", required);
	p = json_pack("{s:b, s:{s:{s:o}}}", "required", json_array_size(required) > 0, "content",
		"application/json", "schema", schema);
	json_decref(required);
	return p;
}

static const struct {
	const char *status, *meaning;
} meanings[] = {
	{"200", "Done."},
	{"201", "Made; Location says where it is."},
	{"204", "Done; there is nothing to tell."},
	{"206", "The part that was asked for."},
	{"304", "What you have is still right."},
	{"400", "A field, a parameter or the body is not as expected; `field` names it."},
	{"401", "Not logged in, or the token is unknown or has expired."},
	{"403", "Not permitted; `permission` names what is missing. Or not one of yours."},
	{"404", "There is no such thing."},
	{"405", "Not with this method; Allow names those that are."},
	{"409", "Not in this state; `state` and `call` tell the present one."},
	{"413", "The body is longer than a request may be."},
	{"415", "The body is not application/json."},
	{"416", "The file is shorter than that."},
	{"429", "Too often; Retry-After says when to come back."},
	{"501", "Not offered; `message` says what it would need."},
	{"503", "Not now: the database or the directory is away."},
};

static const char *meaning_of(const char *status)
{
	for (size_t i = 0; i < COUNT(meanings); i++)
		if (str_eq(meanings[i].status, status))
			return meanings[i].meaning;
	return "";
}

static bool has_body(const struct api_route *r)
{
	for (unsigned i = 0; i < r->nfields; i++)
		if (r->fields[i].in == IN_BODY)
			return true;
	return false;
}

/* Calls fn for each status that the route may answer with. */
static void each_status(const struct api_route *r, void (*fn)(void *arg, const char *status), void *arg)
{
	char copy[80], *save, *w;

	str_set(copy, r->answers);
	for (w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		fn(arg, w);
	fn(arg, "400");
	if (has_body(r)) {
		fn(arg, "413");
		fn(arg, "415");
	}
	if (r->who != OPEN)
		fn(arg, "401");
	if (r->who == PERMITTED || !str_eq(r->method, "GET"))
		fn(arg, "403");
}

/* What the answer with this status looks like. Whether it is ready /readyz tells with 503, too. */
static enum api_schema schema_of_answer(const struct api_route *r, const char *status)
{
	if (status[0] >= '4')
		return r->run == api_run_readyz && str_eq(status, "503") ? r->answer : SCHEMA_ERROR;
	return str_eq(status, "201") && r->made != SCHEMA_NONE ? r->made : r->answer;
}

static json_t *content_of(const struct api_route *r, const char *status, const char *type)
{
	enum api_schema s = schema_of_answer(r, status);
	json_t *o = json_object(), *content;

	json_object_set_new(o, "schema",
		s != SCHEMA_NONE ? api_schema_ref(s) : json_pack("{s:s}", "type", "string"));
	if (is_stream(r) && status[0] == '2')
		json_object_set_new(o, "x-events", api_event_schemas_json());
	content = json_object();
	json_object_set_new(content, type, o);
	return content;
}

struct responses {
	const struct api_route *route;
	json_t *list;
};

static void add_response(void *arg, const char *status)
{
	struct responses *rs = arg;
	const char *type = rs->route->type && status[0] == '2' ? rs->route->type : "application/json";
	json_t *o = json_pack("{s:s}", "description", meaning_of(status));

	if (!str_eq(status, "204") && !str_eq(status, "304"))
		json_object_set_new(o, "content", content_of(rs->route, status, type));
	if (str_eq(status, "201"))
		json_object_set_new(o, "headers",
			json_pack("{s:{s:s, s:{s:s}}}", "Location", "description",
				"Where what was made can be read.", "schema", "type", "string"));
	json_object_set_new(rs->list, status, o);
}

static void lower(const char *from, char *to, size_t size)
{
	str_copy(to, size, from);
	for (; *to != '\0'; to++)
		if (*to >= 'A' && *to <= 'Z')
			*to = (char)(*to - 'A' + 'a');
}

/* "GET /api/v1/calls/{call}/targets": get_calls_call_targets. Programs that are made from the document
 * call their functions so. */
static void name_of(const struct api_route *r, char *buf, size_t size)
{
	const char *path = str_starts(r->path, "/api/v1/") ? r->path + strlen("/api/v1") : r->path;
	char c[2] = "";

	lower(r->method, buf, size);
	for (; *path != '\0'; path++) {
		c[0] = *path == '/' || *path == '.' ? '_' : *path;
		if (*path != '{' && *path != '}')
			str_append(buf, size, c);
	}
}

static json_t *operation_of(const struct api_route *r)
{
	struct responses rs = {r, json_object()};
	json_t *o = json_object(), *body = body_of(r);
	char name[100];

	name_of(r, name, sizeof(name));
	jo_text(o, "operationId", name);

	jo_text(o, "summary", r->doc);
	json_object_set_new(o, "parameters", parameters_of(r));
	if (body != NULL)
		json_object_set_new(o, "requestBody", body);
	each_status(r, add_response, &rs);
	json_object_set_new(o, "responses", rs.list);
	if (r->who == OPEN)
		json_object_set_new(o, "security", json_array());
	if (r->who == PERMITTED)
		jo_text(o, "x-permission", perm_name(r->perm));
	return o;
}

json_t *api_openapi(void)
{
	json_t *doc, *paths = json_object();

	for (unsigned i = 0; i < api_routes_count; i++) {
		const struct api_route *r = &api_routes[i];
		json_t *path = json_object_get(paths, r->path);
		char method[10];

		if (path == NULL) {
			path = json_object();
			json_object_set_new(paths, r->path, path);
		}
		lower(r->method, method, sizeof(method));
		json_object_set_new(path, method, operation_of(r));
	}
	doc = json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:s}}, s:[{s:s}], s:[{s:[]}, {s:[]}], s:o, "
			"s:{s:{s:{s:s, s:s, s:s}, s:{s:s, s:s}}}}",
		"openapi", "3.1.0", "info", "title", "segue", "version", "1", "license", "name",
		"Apache-2.0", "identifier", "Apache-2.0", "servers", "url", "/", "security",
		"session", "token", "paths", paths, "components", "securitySchemes", "session",
		"type", "apiKey", "in", "cookie", "name", "segue_session", "token", "type", "http",
		"scheme", "bearer");
	json_object_set_new(json_object_get(doc, "components"), "schemas", api_schemas_json());
	json_object_set_new(doc, "webhooks", api_webhooks_json());
	return doc;
}

char *api_openapi_text(void)
{
	json_t *doc = api_openapi();
	char *text = json_dumps(doc, JSON_COMPACT);

	json_decref(doc);
	return text;
}

void api_run_openapi(struct api_request *q)
{
	const struct api *a = q->api;

	if (a->openapi == NULL)
		api_fail(q, 503, "no_memory", "out of memory");
	else
		api_reply_text(q, 200, "application/json", a->openapi, strlen(a->openapi));
}

void api_print_openapi(FILE *f)
{
	json_t *doc = api_openapi();

	json_dumpf(doc, f, JSON_INDENT(1));
	fputc('\n', f);
	json_decref(doc);
}

/* ---- docs/api.md ----------------------------------------------------------------------------- */

static void print_answer(void *arg, const char *status)
{
	fprintf(arg, " %s", status);
}

static const char *type_name(const struct api_field *f)
{
	static const char *const names[] = {[API_TEXT] = "text", [API_INT] = "number",
		[API_TIME] = "time", [API_UUID] = "UUID",
		[API_CALL] = "call", [API_WORD] = "word", [API_BOOL] = "true or false"};

	return names[f->type];
}

static void print_field(FILE *f, const struct api_field *x)
{
	static const char *const in[] = {
		[IN_PATH] = "path", [IN_QUERY] = "query", [IN_BODY] = "body"};

	fprintf(f, "| `%s` | %s | %s%s | %s", x->name, in[x->in], type_name(x),
		x->need == REQUIRED ? ", required" : "", x->doc);
	if (x->type == API_WORD)
		fprintf(f, " One of: %s.", x->choice);
	if (x->type == API_INT)
		fprintf(f, " %lld to %lld.", (long long)x->min, (long long)x->max);
	fputs(" |\n", f);
}

/* What every POST takes is said once, at the top. */
static bool is_of_this_route(const struct header *h, const struct api_route *r)
{
	return h->is_for(r) && str_eq(r->method, "GET");
}

static bool has_parameters(const struct api_route *r)
{
	bool some = r->nfields > 0;

	for (size_t i = 0; i < COUNT(headers); i++)
		some = some || is_of_this_route(&headers[i], r);
	return some;
}

static void print_made(FILE *f, enum api_schema s)
{
	if (s != SCHEMA_NONE)
		fprintf(f, " Answers with [%s](#%s).", api_schema_name(s), api_schema_name(s));
}

static void print_route(FILE *f, const struct api_route *r)
{
	fprintf(f, "\n### %s %s\n\n%s\n", r->method, r->path, r->doc);
	if (r->who == PERMITTED)
		fprintf(f, "Needs the permission `%s`.", perm_name(r->perm));
	else
		fprintf(f, "%s.", r->who == OPEN ? "For anybody" : "For whoever is logged in");
	if (r->type != NULL)
		fprintf(f, " Answers with `%s`.", r->type);
	print_made(f, r->made != SCHEMA_NONE ? r->made : r->answer);
	if (r->made != SCHEMA_NONE)
		print_made(f, r->answer);
	fputs(" Statuses:", f);
	each_status(r, print_answer, f);
	fputs(".\n", f);
	if (has_parameters(r))
		fputs("\n| field | in | type | meaning |\n|---|---|---|---|\n", f);
	for (unsigned i = 0; i < r->nfields; i++)
		print_field(f, &r->fields[i]);
	for (size_t i = 0; i < COUNT(headers); i++)
		if (is_of_this_route(&headers[i], r))
			fprintf(f, "| `%s` | header | text | %s |\n", headers[i].name, headers[i].doc);
}

void api_print_markdown(FILE *f)
{
	static const struct api_route any_post = {.method = "POST", .who = PERMITTED};

	fputs("# The HTTP interface\n\n"
	      "Printed by `segued --print-api` from the table of routes; edit that\n"
	      "(`src/app/api_routes.c`). The same as an OpenAPI 3.1 document is at\n"
	      "`/api/v1/openapi.json`. What answers are made of is [below](#answers), from\n"
	      "`src/app/api_schemas.c`; examples are in [api-shapes.md](api-shapes.md).\n"
	      "In a query a `+` is written `%2B`: `number=%2B4930123`.\n\n"
	      "| status | means |\n|---|---|\n",
		f);
	for (size_t i = 0; i < COUNT(meanings); i++)
		fprintf(f, "| %s | %s |\n", meanings[i].status, meanings[i].meaning);
	fputs("\nHeaders that every POST takes:\n\n| header | meaning |\n|---|---|\n", f);
	for (size_t i = 0; i < COUNT(headers); i++)
		if (headers[i].is_for(&any_post))
			fprintf(f, "| `%s` | %s |\n", headers[i].name, headers[i].doc);
	fputs("\n## Routes\n", f);
	for (unsigned i = 0; i < api_routes_count; i++)
		print_route(f, &api_routes[i]);
	api_print_schemas(f);
}
