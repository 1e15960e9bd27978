/* batch: see batch.h. The array format is array_recv()'s: dimensions, flags, element type, size,
 * lower bound, then each element with its length, all big endian. */
#include "db/batch.h"

#include <stdlib.h>
#include <string.h>

#define OID_BYTEA	17
#define OID_INT8	20
#define OID_TEXT	25
#define OID_TIMESTAMPTZ 1184
#define OID_UUID	2950

#define OID_BYTEA_ARRAY	      1001
#define OID_TEXT_ARRAY	      1009
#define OID_INT8_ARRAY	      1016
#define OID_TIMESTAMPTZ_ARRAY 1185
#define OID_UUID_ARRAY	      2951

#define ARRAY_HEAD 20

/* PostgreSQL counts microseconds from 2000-01-01. */
#define PG_EPOCH_US 946684800000000LL

struct column {
	unsigned char *p;
	size_t len, cap;
	uint32_t nulls; /* has a NULL */
};

struct group {
	unsigned rows;
	struct column col[GROUP_COLUMNS_MAX];
};

struct batch {
	struct group group[GROUPS];
};

static const char *const rejected_names[] = {"fact_id", "fact", "bytes", "error"};
static const unsigned rejected_types[] = {OID_INT8, OID_TEXT, OID_BYTEA, OID_TEXT};
#define REJECTED_COLUMNS 4

/* ---- what a group consists of ------------------------------------------------------------ */

static unsigned column_count(unsigned group)
{
	return group == GROUP_REJECTED ? REJECTED_COLUMNS
				       : 2 + fact_describe((enum fact_type)group)->nfields;
}

static unsigned element_type(unsigned group, unsigned column)
{
	if (group == GROUP_REJECTED)
		return rejected_types[column];
	if (column < 2)
		return column == 0 ? OID_INT8 : OID_TIMESTAMPTZ;
	switch (fact_describe((enum fact_type)group)->fields[column - 2].kind) {
	case FIELD_UUID:
		return OID_UUID;
	case FIELD_TEXT:
		return OID_TEXT;
	case FIELD_TIME:
		return OID_TIMESTAMPTZ;
	default:
		return OID_INT8;
	}
}

static unsigned array_type(unsigned element)
{
	switch (element) {
	case OID_BYTEA:
		return OID_BYTEA_ARRAY;
	case OID_TEXT:
		return OID_TEXT_ARRAY;
	case OID_UUID:
		return OID_UUID_ARRAY;
	case OID_TIMESTAMPTZ:
		return OID_TIMESTAMPTZ_ARRAY;
	default:
		return OID_INT8_ARRAY;
	}
}

unsigned batch_types(unsigned group, unsigned *oids)
{
	unsigned n = column_count(group);

	for (unsigned i = 0; i < n; i++)
		oids[i] = array_type(element_type(group, i));
	return n;
}

const char *batch_column(unsigned group, unsigned column)
{
	if (group == GROUP_REJECTED)
		return rejected_names[column];
	if (column < 2)
		return column == 0 ? "fact_id" : "at";
	return fact_describe((enum fact_type)group)->fields[column - 2].name;
}

/* ---- filling ----------------------------------------------------------------------------- */

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (24 - 8 * i));
}

/* Room for one element of n bytes behind its length; NULL without memory. */
static unsigned char *add_element(struct column *c, size_t n)
{
	unsigned char *p;

	if (c->len + 4 + n > c->cap) {
		size_t cap = 2 * c->cap + 1024 + n;

		p = realloc(c->p, cap);
		if (!p)
			return NULL;
		c->p = p;
		c->cap = cap;
	}
	if (c->len == 0)
		c->len = ARRAY_HEAD;
	p = c->p + c->len;
	put32(p, (uint32_t)n);
	c->len += 4 + n;
	return p + 4;
}

static bool add_null(struct column *c)
{
	unsigned char *p = add_element(c, 0);

	if (p)
		put32(p - 4, UINT32_MAX);
	c->nulls = 1;
	return p != NULL;
}

static bool add_int(struct column *c, int64_t v)
{
	unsigned char *p = add_element(c, 8);

	for (int i = 0; p && i < 8; i++)
		p[i] = (unsigned char)((uint64_t)v >> (56 - 8 * i));
	return p != NULL;
}

static bool add_time(struct column *c, int64_t us)
{
	return us ? add_int(c, us - PG_EPOCH_US) : add_null(c);
}

static bool add_bytes(struct column *c, const void *bytes, size_t n)
{
	unsigned char *p = add_element(c, n);

	if (p)
		memcpy(p, bytes, n);
	return p != NULL;
}

/* Length of the UTF-8 character at s (up to n bytes), 0 if there is none (RFC 3629 section 4). */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : low;
	high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : high;
	if (len > n || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* Text that the database takes: bytes that are no UTF-8 (a phone can send any) become "?". */
static bool add_text(struct column *c, const char *s)
{
	size_t n = strlen(s), len;
	unsigned char *p;

	if (n == 0)
		return add_null(c);
	p = add_element(c, n);
	if (!p)
		return false;
	memcpy(p, s, n);
	for (size_t i = 0; i < n; i += len) {
		len = utf8_length(p + i, n - i);
		if (len)
			continue;
		p[i] = '?';
		len = 1;
	}
	return true;
}

static bool add_field(struct column *c, const struct fact_field *d, const char *at)
{
	int64_t v;

	switch (d->kind) {
	case FIELD_TEXT:
		return add_text(c, at);
	case FIELD_UUID:
		return uuid_is_nil((const uuid *)at) ? add_null(c) : add_bytes(c, at, sizeof(uuid));
	default:
		memcpy(&v, at, sizeof(v));
		return d->kind == FIELD_TIME ? add_time(c, v) : add_int(c, v);
	}
}

bool batch_add(struct batch *b, uint64_t seq, const unsigned char *bytes, size_t len)
{
	const struct fact_desc *d;
	struct group *g;
	struct fact f;
	bool ok;

	if (!fact_decode(bytes, len, &f))
		return batch_reject(b, seq, bytes, len, "segued cannot read this fact");
	d = fact_describe(f.type);
	g = &b->group[f.type];
	ok = add_int(&g->col[0], (int64_t)seq) && add_time(&g->col[1], f.at);
	for (unsigned i = 0; i < d->nfields && ok; i++)
		ok = add_field(&g->col[2 + i], &d->fields[i], (char *)&f + d->fields[i].offset);
	g->rows += ok;
	return ok;
}

bool batch_reject(
	struct batch *b, uint64_t seq, const unsigned char *bytes, size_t len, const char *error)
{
	struct group *g = &b->group[GROUP_REJECTED];
	char text[1600] = "?";
	struct fact f;
	bool ok;

	if (fact_decode(bytes, len, &f))
		fact_print(&f, text, sizeof(text));
	ok = add_int(&g->col[0], (int64_t)seq) && add_text(&g->col[1], text) &&
	     add_bytes(&g->col[2], bytes, len) && add_text(&g->col[3], error);
	g->rows += ok;
	return ok;
}

/* ---- life -------------------------------------------------------------------------------- */

struct batch *batch_create(void)
{
	return calloc(1, sizeof(struct batch));
}

void batch_destroy(struct batch *b)
{
	for (unsigned g = 0; b && g < GROUPS; g++)
		for (unsigned i = 0; i < GROUP_COLUMNS_MAX; i++)
			free(b->group[g].col[i].p);
	free(b);
}

void batch_clear(struct batch *b)
{
	for (unsigned g = 0; g < GROUPS; g++) {
		b->group[g].rows = 0;
		for (unsigned i = 0; i < GROUP_COLUMNS_MAX; i++)
			b->group[g].col[i].len = b->group[g].col[i].nulls = 0;
	}
}

unsigned batch_rows(const struct batch *b, unsigned group)
{
	return b->group[group].rows;
}

void batch_columns(struct batch *b, unsigned group, const char **values, int *lengths)
{
	struct group *g = &b->group[group];

	for (unsigned i = 0; i < column_count(group); i++) {
		struct column *c = &g->col[i];

		put32(c->p, 1);
		put32(c->p + 4, c->nulls);
		put32(c->p + 8, element_type(group, i));
		put32(c->p + 12, g->rows);
		put32(c->p + 16, 1);
		values[i] = (const char *)c->p;
		lengths[i] = (int)c->len;
	}
}
