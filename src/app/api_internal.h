/*
 * api_internal: between api.c (requests), api_routes.c (the table) and the handlers.
 */
#ifndef SEGUE_APP_API_INTERNAL_H
#define SEGUE_APP_API_INTERNAL_H

#include "app/access.h"
#include "app/api.h"
#include "app/api_schemas.h"
#include "app/jo.h"
#include "app/live.h"
#include "app/story.h"
#include "app/worker.h"
#include "db/history.h"
#include "http/server.h"

#define API_PARAMS_MAX 3
#define API_VALUE_MAX  128
#define API_CALLS_MAX  1000 /* in one answer */

/* ---- routes ---------------------------------------------------------------------------------- */

enum api_in { IN_PATH, IN_QUERY, IN_BODY };

enum api_type {
	API_TEXT,
	API_INT,
	API_TIME, /* RFC 3339, or a date */
	API_UUID,
	API_CALL, /* 17.2 */
	API_WORD, /* one of `choice` */
	API_BOOL, /* in bodies only */
};

struct api_field {
	const char *name;
	enum api_in in;
	enum api_type type;
	enum { OPTIONAL, REQUIRED } need;
	int64_t min, max;   /* INT: the value; TEXT: bytes */
	const char *choice; /* WORD: blank separated */
	const char *doc;
};

struct api_request;

struct api_route {
	const char *method, *path; /* /api/v1/calls/{call} */
	enum { OPEN, KNOWN, PERMITTED } who; /* anybody; whoever is logged in; whoever has `perm` */
	enum perm perm;
	void (*run)(struct api_request *q);
	const char *doc;
	const char *answers; /* statuses beyond 400, 401 and 403, blank separated */
	const char *type;    /* of the answer; NULL: application/json */
	const struct api_field *fields;
	unsigned nfields;
	enum api_schema answer; /* of a 2xx in JSON */
	enum api_schema made;   /* of a 201, if it differs */
};

/* What a call is doing, for people. */
#define API_SHOWN_STATES                                                                           \
	"ringing queued talking held menu voicemail consulting transferring ended"

extern const struct api_route api_routes[];
extern const unsigned api_routes_count;

/* ---- a request ------------------------------------------------------------------------------- */

struct api_request {
	struct api *api;
	struct http_request *http;
	const struct api_route *route;
	struct viewer viewer;
	bool known;       /* viewer is somebody */
	bool by_panel;    /* came with the panel's header */
	json_t *body;     /* an object, or NULL */
	char param[API_PARAMS_MAX][API_VALUE_MAX]; /* of {..} in the path, in order */
	char idempotency[200]; /* "" none */
	void *own;        /* of the handler while it waits; freed by own_free */
	void (*own_free)(void *own);
	struct live_call *call; /* that the handler is about, while it is on the stack */
};

struct api_events;
struct api_warm;
struct api_login;
struct api_memory;
struct api_metrics;

struct api_counters {
	uint64_t requests[6]; /* by first digit of the status */
	uint64_t refused, login_failed;
};

struct api {
	struct api_parts parts;
	struct http *http;
	struct loop_watch *http_watch;
	struct access *access;
	struct live *live;
	struct history *history; /* NULL: no database is configured */
	struct loop_watch *history_watch;
	struct loop_watch *hours_watch;
	int hours_fd; /* timer: a queue opens or closes */
	struct worker *worker;
	struct api_events *events;
	struct api_warm *warm;
	struct api_login *login;
	struct api_metrics *metrics;
	struct api_memory *memory; /* of idempotency keys */
	struct api_counters counters;
	int64_t audit_since;       /* monotonic ms: start of the minute that audits are counted in */
	unsigned audits;
	char panel_dir[256];
	char *openapi; /* the document, rendered at the start */
	const struct app_config *cfg; /* the present one */
	unsigned session_s;
	int64_t started_us;
};

struct core *api_core(const struct api *a);

/* ---- fields ---------------------------------------------------------------------------------- */

/* The value of a checked field; NULL, the default, if it was not given. */
const char *api_text(const struct api_request *q, const char *name);
/* A BOOL of the body; absent: false. */
bool api_yes(const struct api_request *q, const char *name);
int64_t api_int(const struct api_request *q, const char *name, int64_t otherwise);

/* ---- answers: exactly one for each request ----------------------------------------------------- */

/* The JSON is taken over. */
void api_reply(struct api_request *q, unsigned status, json_t *body);
/* 201, with where it is. */
void api_reply_created(struct api_request *q, const char *location, json_t *body);
void api_reply_text(struct api_request *q, unsigned status, const char *type, const char *text,
	size_t len);
void __attribute__((format(printf, 4, 5))) api_fail(
	struct api_request *q, unsigned status, const char *code, const char *fmt, ...);
/* 400 that names the field. */
void __attribute__((format(printf, 3, 4))) api_fail_field(
	struct api_request *q, const char *field, const char *fmt, ...);
/* An error with more than code and message: `more` is taken over and gets those two. */
void api_fail_with(struct api_request *q, unsigned status, const char *code, const char *message,
	json_t *more);
/* 403 for a missing permission; put on record. */
void api_fail_permission(struct api_request *q, enum perm p);
/* Puts a refusal on record (segue.audit). */
void api_audit(struct api *a, const struct viewer *v, enum origin via, const char *action,
	const char *object, const char *why);

/* ---- who sees what ----------------------------------------------------------------------------- */

bool api_sees_user(const struct api *a, const struct viewer *v, const char *user);
bool api_sees_queue(const struct viewer *v, const char *queue);
bool api_sees_call(const struct api *a, const struct viewer *v, const struct live_call *k);

/* 403 for what belongs to another department: says whose it is, and whose departments the viewer has.
 * `what` as in "Mei's call"; department "": none. Put on record. */
void api_fail_not_yours(struct api_request *q, const char *action, const char *object, const char *what,
	const char *department);

/* The same for a user. */
void api_fail_not_your_user(struct api_request *q, const char *action, const char *user);

/* The call of {call}, if it lives and the viewer sees it; NULL after having failed the request. */
struct live_call *api_call(struct api_request *q);

/* ---- JSON of live things (api_json.c) ---------------------------------------------------------- */

json_t *api_call_json(const struct api *a, const struct live_call *k, bool masked);
/* The same as text, which is rendered once for as long as the call looks the same; it lives until the next
 * step. NULL: it is gone, or there is no memory. */
const char *api_call_row(const struct api *a, struct live_call *k, bool masked);
/* Likewise, without asking the core whether something has changed that no step was about: what the events of
 * the stream would have told by now. */
const struct live_text *api_call_told(const struct api *a, struct live_call *k, bool masked);
/* A copy of it that the caller frees. */
char *api_call_text(const struct api *a, const struct live_call *k, bool masked);
json_t *api_call_detail_json(const struct api *a, const struct live_call *k, bool masked);
json_t *api_transfer_json(const struct live_transfer *t, bool masked);
json_t *api_user_json(const struct api *a, const struct live_user *u);
/* The same as text, which is rendered once for as long as the user looks the same; NULL without memory. */
const struct live_text *api_user_row(const struct api *a, struct live_user *u);
void api_person_state(const struct api *a, const struct live_user *u, struct agent_view *v);
json_t *api_queue_json(const struct api *a, const struct live_queue *q);
json_t *api_menu_json(const struct live_ivr *i);
const char *api_shown_state(const struct call_view *v);
/* Writes a number as this viewer may see it. */
void api_mask(const char *number, char *buf, size_t size);
/* The number as somebody sees it who sees numbers masked, or does not. */
void api_show_number(const char *number, bool masked, char *buf, size_t size);

/* ---- handlers ---------------------------------------------------------------------------------- */

/* api_history.c */
void api_run_conversations(struct api_request *q);
void api_run_conversation(struct api_request *q);
void api_run_case(struct api_request *q);
void api_run_contact(struct api_request *q);
void api_run_agent_report(struct api_request *q);
void api_run_queue_report(struct api_request *q);
void api_run_recording(struct api_request *q);
/* A transfer that is not among those of late. */
void api_ask_transfer(struct api_request *q);
/* Asks about the conversations that the request's filters mean: so many, those behind the cursor (NULL: the
 * request's own). */
void api_ask_conversations(struct api_request *q, enum history_topic what, const char *cursor,
	int64_t limit, history_fn *fn);
void api_fail_history(struct api_request *q, enum history_result result);
/* Who sees numbers without their middle finds nothing by a whole one, since the answer would say that it
 * is right. False after having failed the request. */
bool api_may_ask_number(struct api_request *q, const char *field);

/* api_csv.c */
void api_run_conversations_csv(struct api_request *q);

/* api_login.c */
void api_run_login(struct api_request *q);
void api_run_logout(struct api_request *q);
void api_run_me(struct api_request *q);
struct api_login *api_login_create(void);
void api_login_destroy(struct api_login *l);

/* api_live.c */
void api_run_calls(struct api_request *q);
void api_run_call(struct api_request *q);
void api_run_transfer_get(struct api_request *q);
void api_run_agents(struct api_request *q);
void api_run_queues(struct api_request *q);

/* api_verbs.c */
void api_run_transfer(struct api_request *q);
void api_run_complete(struct api_request *q);
void api_run_swap(struct api_request *q);
void api_run_cancel(struct api_request *q);
void api_run_resume(struct api_request *q);
void api_run_retry(struct api_request *q);
void api_run_hold(struct api_request *q);
void api_run_unhold(struct api_request *q);
void api_run_note(struct api_request *q);
void api_run_record(struct api_request *q);
void api_run_agent_state(struct api_request *q);
void api_run_mixer(struct api_request *q);
/* The EV_TRANSFER that a transfer of k by this viewer would be. */
void api_transfer_event(const struct api_request *q, const struct live_call *k, const char *number,
	enum xfer_kind kind, struct event *ev);
void api_run_hangup(struct api_request *q);
void api_run_dial(struct api_request *q);

/* api_targets.c */
void api_run_targets(struct api_request *q);

/* api_events.c */
void api_run_events(struct api_request *q);
/* Keeps so many changes for listeners that are behind. */
struct api_events *api_events_create(struct api *a, unsigned size);
void api_events_destroy(struct api_events *e);
/* The request of a stream is over. */
void api_events_over(struct api_request *q);
unsigned api_events_listeners(const struct api_events *e);
/* Logins, tokens or what is masked may have changed: who listens is looked at. */
void api_events_access(struct api_events *e);
void api_events_call(void *arg, const struct live_call *k);
void api_events_call_left(void *arg, const struct live_call *k, const char *user);
void api_events_call_gone(void *arg, const struct live_call *k, call_id into);
void api_events_transfer(void *arg, const struct live_call *k, const struct live_transfer *t);
void api_events_user(void *arg, const struct live_user *u);
void api_events_queue(void *arg, const struct live_queue *q);
void api_events_ivr(void *arg, const struct live_ivr *i);
void api_events_fact(void *arg, const struct live_call *k, const struct fact *f);

/* api_warm.c: calls `then` once all rows of calls have been rendered, at once if they are few. The request
 * waits meanwhile. */
void api_warm(struct api_request *q, void (*then)(struct api_request *q));
/* The request is over. */
void api_warm_over(struct api_request *q);
struct api_warm *api_warm_create(struct api *a);
void api_warm_destroy(struct api_warm *m);

/* api_metrics.c */
struct api_metrics *api_metrics_create(void);
void api_metrics_destroy(struct api_metrics *m);
void api_metrics_fact(struct api *a, const struct live_call *k, const struct fact *f);
void api_run_metrics(struct api_request *q);
void api_run_healthz(struct api_request *q);
void api_run_readyz(struct api_request *q);

/* api_static.c */
void api_run_file(struct api_request *q);

/* api_routes.c */
void api_run_openapi(struct api_request *q);
/* The route of a request; *other_method if the path exists with another one. */
const struct api_route *api_find_route(const char *method, const char *path,
	char param[API_PARAMS_MAX][API_VALUE_MAX], bool *other_method);
/* The methods that this path takes: "GET, HEAD, POST". */
void api_allowed(const char *path, char *buf, size_t size);
json_t *api_openapi(void);
/* The document as text, which the caller frees; NULL without memory. */
char *api_openapi_text(void);

/* api_memory.c: answers to requests with an Idempotency-Key, kept for a day. */
/* path: the file that they are in; "": none. NULL without memory. */
struct api_memory *api_memory_create(const char *path);
void api_memory_destroy(struct api_memory *m);
/* True: an earlier request had this key and q has been answered. */
bool api_memory_replay(struct api_request *q);
void api_memory_keep(struct api_request *q, unsigned status, const char *location,
	const char *body, size_t len);
/* The request is over, answered or not. */
void api_memory_forget(struct api_request *q);

#endif
