/*
 * jo: putting values into JSON objects. Text from the network need not be UTF-8; JSON must be, so
 * what is not becomes question marks.
 */
#ifndef SEGUE_APP_JO_H
#define SEGUE_APP_JO_H

#include "base/id.h"
#include "base/uuid.h"

#include <jansson.h>

json_t *jo_string(const char *text); /* NULL: "" */
void jo_text(json_t *o, const char *key, const char *text);
void jo_text_or_null(json_t *o, const char *key, const char *text); /* "" and NULL: null */
void jo_int(json_t *o, const char *key, int64_t v);
void jo_bool(json_t *o, const char *key, bool v);
/* null for ID_NONE, a nil uuid, and the time 0. */
void jo_id(json_t *o, const char *key, uint64_t id);
void jo_uuid(json_t *o, const char *key, const uuid *u);
/* UTC microseconds as 2026-11-21T14:02:11.123Z. */
void jo_time(json_t *o, const char *key, int64_t us);

#define JO_TIME_MAX 28
const char *jo_time_str(int64_t us, char buf[JO_TIME_MAX]);

#endif
