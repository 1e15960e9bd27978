/* jo: see jo.h. */
#include "app/jo.h"

#include "base/str.h"

#include <stdio.h>
#include <time.h>

json_t *jo_string(const char *text)
{
	json_t *j = json_string(text ? text : "");
	char copy[2048];

	if (j != NULL)
		return j;
	str_set(copy, text);
	for (char *s = copy; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			*s = '?';
	return json_string(copy);
}

void jo_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, jo_string(text));
}

void jo_text_or_null(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, str_empty(text) ? json_null() : jo_string(text));
}

void jo_int(json_t *o, const char *key, int64_t v)
{
	json_object_set_new(o, key, json_integer(v));
}

void jo_bool(json_t *o, const char *key, bool v)
{
	json_object_set_new(o, key, json_boolean(v));
}

void jo_id(json_t *o, const char *key, uint64_t id)
{
	char buf[ID_STRLEN];

	jo_text_or_null(o, key, id == ID_NONE ? NULL : id_str(id, buf));
}

void jo_uuid(json_t *o, const char *key, const uuid *u)
{
	char buf[UUID_STRLEN];

	jo_text_or_null(o, key, uuid_is_nil(u) ? NULL : uuid_str(u, buf));
}

const char *jo_time_str(int64_t us, char buf[JO_TIME_MAX])
{
	time_t s = (time_t)(us / 1000000);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(buf, JO_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, JO_TIME_MAX - n, ".%03dZ", (int)(us / 1000 % 1000));
	return buf;
}

void jo_time(json_t *o, const char *key, int64_t us)
{
	char buf[JO_TIME_MAX];

	jo_text_or_null(o, key, us ? jo_time_str(us, buf) : NULL);
}
