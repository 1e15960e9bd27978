/*
 * api_schemas: what the answers of the HTTP interface are made of: one table, from which the schemas of
 * the OpenAPI document and the tables of docs/api.md are printed. A test holds every answer of the
 * running server against it (tests/http/test_schemas.py).
 */
#ifndef SEGUE_APP_API_SCHEMAS_H
#define SEGUE_APP_API_SCHEMAS_H

#include "base/names.h"

#include <jansson.h>
#include <stdio.h>

#define API_SCHEMA_LIST(X)                                                                         \
	X(SCHEMA_NONE, "none")                                                                     \
	X(SCHEMA_ERROR, "error")                                                                   \
	X(SCHEMA_ERROR_DETAIL, "error_detail")                                                     \
	X(SCHEMA_ME, "me")                                                                         \
	X(SCHEMA_LIMITS, "limits")                                                                 \
	X(SCHEMA_CALLS, "calls")                                                                   \
	X(SCHEMA_CALL, "call")                                                                     \
	X(SCHEMA_CUSTOMER, "customer")                                                             \
	X(SCHEMA_WITH, "with")                                                                     \
	X(SCHEMA_PLACE, "place")                                                                   \
	X(SCHEMA_PARTY, "party")                                                                   \
	X(SCHEMA_SPAN, "span")                                                                     \
	X(SCHEMA_CAN, "can")                                                                       \
	X(SCHEMA_ENDED, "ended_call")                                                              \
	X(SCHEMA_CALL_NOW, "call_now")                                                             \
	X(SCHEMA_CALL_DETAIL, "call_detail")                                                       \
	X(SCHEMA_SEGMENT, "segment")                                                               \
	X(SCHEMA_SENTENCE, "sentence")                                                             \
	X(SCHEMA_TARGET_OF, "transfer_target")                                                     \
	X(SCHEMA_WISH, "transfer_wish")                                                            \
	X(SCHEMA_TRANSFER, "transfer")                                                             \
	X(SCHEMA_TARGETS, "targets")                                                               \
	X(SCHEMA_JUDGED, "judged")                                                                 \
	X(SCHEMA_TARGET, "target")                                                                 \
	X(SCHEMA_TARGET_USER, "target_user")                                                       \
	X(SCHEMA_TARGET_QUEUE, "target_queue")                                                     \
	X(SCHEMA_TARGET_MENU, "target_menu")                                                       \
	X(SCHEMA_TARGET_NUMBER, "target_number")                                                   \
	X(SCHEMA_STEP, "fallback_step")                                                            \
	X(SCHEMA_AGENTS, "agents")                                                                 \
	X(SCHEMA_AGENT, "agent")                                                                   \
	X(SCHEMA_QUEUES, "queues")                                                                 \
	X(SCHEMA_QUEUE, "queue")                                                                   \
	X(SCHEMA_QUEUE_AGENTS, "queue_agents")                                                     \
	X(SCHEMA_MENU, "menu")                                                                     \
	X(SCHEMA_CONVERSATIONS, "conversations")                                                   \
	X(SCHEMA_SUMS, "sums")                                                                     \
	X(SCHEMA_CONVERSATION_ROW, "conversation_row")                                             \
	X(SCHEMA_CONVERSATION, "conversation")                                                     \
	X(SCHEMA_PAST_SEGMENT, "past_segment")                                                     \
	X(SCHEMA_PAST_SEGMENT_DETAIL, "past_segment_detail")                                       \
	X(SCHEMA_INTERVAL, "interval")                                                             \
	X(SCHEMA_CONVERSATION_DETAIL, "conversation_detail")                                       \
	X(SCHEMA_PAST_TRANSFER, "past_transfer")                                                   \
	X(SCHEMA_ENTRY, "timeline_entry")                                                          \
	X(SCHEMA_PAST_ENTRY, "past_timeline_entry")                                                \
	X(SCHEMA_PAST_ENTRY_HEAD, "timeline_head")                                                 \
	X(SCHEMA_REMARK, "remark")                                                                 \
	X(SCHEMA_RECORDED, "recorded")                                                             \
	X(SCHEMA_CASE_OF, "case_of")                                                               \
	X(SCHEMA_CASE, "case")                                                                     \
	X(SCHEMA_CASE_CONVERSATION, "case_conversation")                                           \
	X(SCHEMA_CONTACT, "contact")                                                               \
	X(SCHEMA_CONTACT_AGENT, "contact_agent")                                                   \
	X(SCHEMA_AGENT_DAYS, "agent_days")                                                         \
	X(SCHEMA_AGENT_DAY, "agent_day")                                                           \
	X(SCHEMA_QUEUE_TIMES, "queue_times")                                                       \
	X(SCHEMA_QUEUE_TIME, "queue_time")                                                         \
	X(SCHEMA_SNAPSHOT, "snapshot")                                                             \
	X(SCHEMA_RESUMED, "resumed")                                                               \
	X(SCHEMA_CALL_GONE, "call_gone")                                                           \
	X(SCHEMA_PING, "ping")                                                                     \
	X(SCHEMA_HEALTH, "health")                                                                 \
	X(SCHEMA_READY, "ready")                                                                   \
	X(SCHEMA_DOCUMENT, "document")                                                             \
	X(SCHEMA_WEBHOOK, "webhook")                                                               \
	X(SCHEMA_FACT, "fact")
ENUM_DECLARE(api_schema, API_SCHEMA_LIST);

/* {"$ref": ...} of a schema. */
json_t *api_schema_ref(enum api_schema s);
/* All of them, by name; the facts of webhooks each as fact_TYPE. */
json_t *api_schemas_json(void);
/* The events of the stream: name to schema of the data. */
json_t *api_event_schemas_json(void);
/* What a program is sent that wants webhooks, as OpenAPI writes it down. */
json_t *api_webhooks_json(void);
/* The chapters "Answers", "Events" and "Facts" of docs/api.md. */
void api_print_schemas(FILE *f);

#endif
