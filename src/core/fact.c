/*
 * fact: descriptors, encoding and printing of facts, all derived from the field lists of fact.h.
 *
 * A stored fact is: type, number of fields, at (8 bytes, little endian), then per field one length
 * byte and that many bytes: a uuid 0 or 16, a text without its NUL, an integer zigzagged with its
 * leading zero bytes cut off. Since each field carries its length, a reader passes over fields
 * that it does not know, and fields that a record does not have stay zero.
 */
#include "core/fact.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIELD_(f, k)                                                                               \
	{#f, k, offsetof(struct fact, CUR.f), sizeof(((const struct fact *)NULL)->CUR.f)},
#define FU_(f)	  FIELD_(f, FIELD_UUID)
#define FS_(f, n) FIELD_(f, FIELD_TEXT)
#define FI_(f)	  FIELD_(f, FIELD_INT)
#define FM_(f)	  FIELD_(f, FIELD_MS)
#define FT_(f)	  FIELD_(f, FIELD_TIME)
#define FIELDS_(LIST)                                                                              \
	{                                                                                          \
		LIST(FU_, FS_, FI_, FM_, FT_)                                                      \
	}

#define CUR conversation_opened
static const struct fact_field conversation_opened_fields[] = FIELDS_(FACT_CONVERSATION_OPENED_);
#undef CUR
#define CUR conversation_closed
static const struct fact_field conversation_closed_fields[] = FIELDS_(FACT_CONVERSATION_CLOSED_);
#undef CUR
#define CUR segment_opened
static const struct fact_field segment_opened_fields[] = FIELDS_(FACT_SEGMENT_OPENED_);
#undef CUR
#define CUR segment_answered
static const struct fact_field segment_answered_fields[] = FIELDS_(FACT_SEGMENT_ANSWERED_);
#undef CUR
#define CUR segment_closed
static const struct fact_field segment_closed_fields[] = FIELDS_(FACT_SEGMENT_CLOSED_);
#undef CUR
#define CUR interval
static const struct fact_field interval_fields[] = FIELDS_(FACT_INTERVAL_);
#undef CUR
#define CUR transfer_opened
static const struct fact_field transfer_opened_fields[] = FIELDS_(FACT_TRANSFER_OPENED_);
#undef CUR
#define CUR transfer_marked
static const struct fact_field transfer_marked_fields[] = FIELDS_(FACT_TRANSFER_MARKED_);
#undef CUR
#define CUR transfer_closed
static const struct fact_field transfer_closed_fields[] = FIELDS_(FACT_TRANSFER_CLOSED_);
#undef CUR
#define CUR timeline
static const struct fact_field timeline_fields[] = FIELDS_(FACT_TIMELINE_);
#undef CUR
#define CUR case_owner
static const struct fact_field case_owner_fields[] = FIELDS_(FACT_CASE_OWNER_);
#undef CUR
#define CUR audit
static const struct fact_field audit_fields[] = FIELDS_(FACT_AUDIT_);
#undef CUR
#define CUR started
static const struct fact_field started_fields[] = FIELDS_(FACT_STARTED_);
#undef CUR
#define CUR agent_state
static const struct fact_field agent_state_fields[] = FIELDS_(FACT_AGENT_STATE_);
#undef CUR
#define CUR conversation_merged
static const struct fact_field conversation_merged_fields[] = FIELDS_(FACT_CONVERSATION_MERGED_);
#undef CUR
#define CUR segment_changed
static const struct fact_field segment_changed_fields[] = FIELDS_(FACT_SEGMENT_CHANGED_);
#undef CUR
#define CUR note
static const struct fact_field note_fields[] = FIELDS_(FACT_NOTE_);
#undef CUR
#define CUR recording_started
static const struct fact_field recording_started_fields[] = FIELDS_(FACT_RECORDING_STARTED_);
#undef CUR
#define CUR recording_ended
static const struct fact_field recording_ended_fields[] = FIELDS_(FACT_RECORDING_ENDED_);
#undef CUR
#define CUR conversation_linked
static const struct fact_field conversation_linked_fields[] = FIELDS_(FACT_CONVERSATION_LINKED_);
#undef CUR

#define DESC_(id, name, member)                                                                    \
	[id] = {name, sizeof(member##_fields) / sizeof(member##_fields[0]), member##_fields},
static const struct fact_desc descs[] = {FACT_LIST(DESC_)};

const struct fact_desc *fact_describe(enum fact_type type)
{
	return &descs[type];
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static unsigned char *put_int(unsigned char *p, int64_t value)
{
	unsigned char *len = p++;

	for (uint64_t v = zigzag(value); v; v >>= 8)
		*p++ = (unsigned char)v;
	*len = (unsigned char)(p - len - 1);
	return p;
}

static unsigned char *put_bytes(unsigned char *p, const void *bytes, size_t n)
{
	*p++ = (unsigned char)n;
	memcpy(p, bytes, n);
	return p + n;
}

static unsigned char *put_field(unsigned char *p, const struct fact_field *d, const char *at)
{
	int64_t v;

	switch (d->kind) {
	case FIELD_UUID:
		return put_bytes(p, at, uuid_is_nil((const uuid *)at) ? 0 : sizeof(uuid));
	case FIELD_TEXT:
		return put_bytes(p, at, strnlen(at, d->size - 1u));
	default:
		memcpy(&v, at, sizeof(v));
		return put_int(p, v);
	}
}

#define HEAD_LEN 10 /* type, number of fields, at */

size_t fact_encode(const struct fact *f, unsigned char *buf)
{
	const struct fact_desc *d = fact_describe(f->type);
	unsigned char *p = buf + 2;

	buf[0] = (unsigned char)f->type;
	buf[1] = (unsigned char)d->nfields;
	for (int i = 0; i < 8; i++)
		*p++ = (unsigned char)((uint64_t)f->at >> (8 * i));
	for (unsigned i = 0; i < d->nfields; i++)
		p = put_field(p, &d->fields[i], (const char *)f + d->fields[i].offset);
	return (size_t)(p - buf);
}

static uint64_t get_le(const unsigned char *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static bool get_field(const struct fact_field *d, const unsigned char *p, unsigned n, char *at)
{
	int64_t v;

	switch (d->kind) {
	case FIELD_UUID:
		memcpy(at, p, n == sizeof(uuid) ? n : 0);
		return n == 0 || n == sizeof(uuid);
	case FIELD_TEXT:
		str_copy_n(at, d->size, (const char *)p, n);
		return memchr(p, 0, n) == NULL;
	default:
		if (n > sizeof(v))
			return false;
		v = unzigzag(get_le(p, n));
		memcpy(at, &v, sizeof(v));
		return true;
	}
}

bool fact_decode(const unsigned char *buf, size_t len, struct fact *f)
{
	const unsigned char *p = buf + HEAD_LEN, *end = buf + len;
	const struct fact_desc *d;

	if (len < HEAD_LEN || buf[0] >= fact_type_count_)
		return false;
	memset(f, 0, sizeof(*f));
	f->type = buf[0];
	f->at = (int64_t)get_le(buf + 2, 8);
	d = fact_describe(f->type);
	for (unsigned i = 0; i < buf[1]; i++) {
		unsigned n;

		if (p == end)
			return false;
		n = *p++;
		if (n > (size_t)(end - p))
			return false;
		if (i < d->nfields &&
			!get_field(&d->fields[i], p, n, (char *)f + d->fields[i].offset))
			return false;
		p += n;
	}
	return p == end;
}

/* ---- printing -------------------------------------------------------------------------------- */

struct out {
	char *p, *end; /* end: where the NUL must go at the latest */
};

static void out_char(struct out *o, char c)
{
	if (o->p < o->end)
		*o->p++ = c;
}

static void out_text(struct out *o, const char *s)
{
	while (*s)
		out_char(o, *s++);
}

/* Quoted as soon as it could be mistaken for something else. */
static void out_value(struct out *o, const char *s)
{
	bool plain = true;

	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		plain = plain && *p > ' ' && *p != '"' && *p != '=' && *p != '\\' && *p != 0x7f;
	if (plain) {
		out_text(o, s);
		return;
	}
	out_char(o, '"');
	for (; *s; s++) {
		char hex[5];

		if (*s == '"' || *s == '\\')
			out_char(o, '\\');
		if ((unsigned char)*s >= ' ' && *s != 0x7f) {
			out_char(o, *s);
			continue;
		}
		snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)*s);
		out_text(o, hex);
	}
	out_char(o, '"');
}

static void time_str(int64_t us, char *buf, size_t size)
{
	int64_t frac = us % 1000000;
	time_t sec = (time_t)(us / 1000000 - (frac < 0));
	struct tm tm;
	size_t n;

	frac += frac < 0 ? 1000000 : 0;
	if (!gmtime_r(&sec, &tm) || (n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm)) == 0)
		snprintf(buf, size, "%lldus", (long long)us);
	else
		snprintf(buf + n, size - n, ".%06dZ", (int)frac);
}

/* The value of a field as text; "" for an empty one. buf is for values that are no text. */
static const char *field_str(const struct fact_field *d, const char *at, char *buf, size_t size)
{
	int64_t v;

	if (d->kind == FIELD_TEXT)
		return at;
	buf[0] = '\0';
	if (d->kind == FIELD_UUID)
		return uuid_is_nil((const uuid *)at) ? buf : uuid_str((const uuid *)at, buf);
	memcpy(&v, at, sizeof(v));
	if (v && d->kind == FIELD_TIME)
		time_str(v, buf, size);
	else if (v)
		snprintf(buf, size, "%lld", (long long)v);
	return buf;
}

void fact_print(const struct fact *f, char *buf, size_t size)
{
	const struct fact_desc *d = fact_describe(f->type);
	struct out o = {buf, buf + size - 1};
	char tmp[64];

	out_text(&o, d->name);
	for (unsigned i = 0; i < d->nfields; i++) {
		const struct fact_field *fd = &d->fields[i];
		const char *v = field_str(fd, (const char *)f + fd->offset, tmp, sizeof(tmp));

		if (!v[0])
			continue;
		out_char(&o, ' ');
		out_text(&o, fd->name);
		out_char(&o, '=');
		out_value(&o, v);
	}
	*o.p = '\0';
}
