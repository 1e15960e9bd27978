/* rows: see rows.h. */
#include "db/rows.h"

#include "core/dialplan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

ENUM_DEFINE(row_kind, ROW_KIND_LIST)

#define STR_(x) #x
#define STR(x)	STR_(x)

#define COPY_HEAD "segue directory 2"

/* A name or number that is taken, for the checks across rows. */
struct taken {
	char key[NUM_MAX + 16]; /* "user alice", "queue support", "number 101" */
	char by[USER_MAX + 16]; /* "user alice" */
	UT_hash_handle hh;
};

struct rows {
	struct row **row;
	size_t n, cap;
	size_t count[row_kind_count_];
	struct taken *taken;
	char why[256];
};

/* ---- what is asked for ------------------------------------------------------------------- */

static const struct {
	unsigned columns;
	const char *query;
} kinds[] = {
	/* An empty list of classes is "-": nothing may be dialled, while NULL leaves it to the role. */
	[ROW_USER] = {11, "SELECT name, coalesce(number, ''), display_name, enabled, may_transfer,"
			  " coalesce(contact, ''), coalesce(ha1_md5, ''), coalesce(ha1_sha256, ''),"
			  " role, coalesce(voicemail, ''), CASE WHEN may_dial = '{}' THEN '-'"
			  " ELSE coalesce(array_to_string(may_dial, ','), '') END"
			  " FROM segue.users ORDER BY 1"},
	[ROW_AGENT] = {7, "SELECT user_name, intent, coalesce(reason, ''), coalesce(via, ''),"
			  " coalesce(set_by, ''), (extract(epoch FROM since) * 1000000)::bigint,"
			  " fact_id IS NULL FROM segue.agent_states ORDER BY 1"},
	[ROW_QUEUE] = {24, "SELECT name, coalesce(number, ''), display_name, coalesce(voicemail, ''),"
			  " strategy,"
			   " coalesce(ring_ms, 0), coalesce(retry_ms, 0), wrapup_ms,"
			   " coalesce(max_wait_ms, 0), coalesce(max_length, 0), weight,"
			   " coalesce(service_ms, (SELECT value::bigint FROM segue.settings"
			   " WHERE key = 'service_level_ms'), 0), service_goal, widen_ms, boost_ms,"
			   " announce_after_ms, announce_every_ms, keep_wait,"
			   " join_empty, leave_empty, entry, coalesce(music, ''),"
			   " coalesce(announce, ''),"
			   " (SELECT coalesce(string_agg(kind || ':' || target, ' '"
			   " ORDER BY position), '') FROM segue.queue_overflow o"
			   " WHERE o.queue = q.name) FROM segue.queues q ORDER BY 1"},
	/* Whole days, so that what is read twice on one day is the same; as many openings as fit. */
	[ROW_HOURS] = {4, "WITH span AS (SELECT date_trunc('day', now(), 'UTC') AS since),"
			  " opening AS (SELECT queue, opens, closes,"
			  " row_number() OVER (PARTITION BY queue ORDER BY opens) AS n FROM span,"
			  " segue.queue_openings(NULL, since, since + interval '15 days'))"
			  " SELECT k.queue, (extract(epoch FROM coalesce(min(opens)"
			  " FILTER (WHERE n > " STR(OPENINGS_MAX) "), since + interval '15 days'))"
			  " * 1000000)::bigint,"
			  " coalesce(string_agg((extract(epoch FROM opens) * 1000000)::bigint"
			  " || '-' || (extract(epoch FROM closes) * 1000000)::bigint, ' ' ORDER BY n)"
			  " FILTER (WHERE n <= " STR(OPENINGS_MAX) "), ''),"
			  " (SELECT coalesce(q.time_zone, (SELECT value FROM segue.settings"
			  " WHERE key = 'time_zone'), 'UTC') FROM segue.queues q WHERE q.name = k.queue)"
			  " FROM span CROSS JOIN (SELECT queue FROM segue.queue_hours"
			  " UNION SELECT queue FROM segue.queue_exceptions) k"
			  " LEFT JOIN opening o ON o.queue = k.queue GROUP BY k.queue, since ORDER BY 1"},
	[ROW_IVR] = {6, "SELECT name, number, peer, dial, coalesce(digits, ''), display_name"
			" FROM segue.ivrs ORDER BY 1"},
	[ROW_CLASS] = {3, "SELECT name, pattern, coalesce(array_to_string(roles, ','), '-')"
			  " FROM segue.number_classes ORDER BY 1, 2"},
	[ROW_MEMBER] = {5, "SELECT queue, user_name, level, position, weight"
			   " FROM segue.queue_members ORDER BY 1, 2"},
	[ROW_SKILL] = {3, "SELECT user_name, skill, level FROM segue.user_skills ORDER BY 1, 2"},
	[ROW_NEED] = {4, "SELECT queue, skill, level, floor FROM segue.queue_skills ORDER BY 1, 2"},
};

unsigned rows_columns(enum row_kind kind)
{
	return kinds[kind].columns;
}

const char *rows_query(enum row_kind kind)
{
	return kinds[kind].query;
}

/* ---- checks ------------------------------------------------------------------------------ */

static const char *complain(
	struct rows *r, const char *what, const char *value, const char *expected)
{
	snprintf(r->why, sizeof(r->why), "%s \"%.100s\": expected %s", what, value, expected);
	return r->why;
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return true;
	return false;
}

/* Letters, digits and these: what needs no escape in a SIP URI, a log line or a command. */
static bool is_word(const char *s, size_t max)
{
	size_t n = strlen(s);

	return n > 0 && n < max &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789*#+._-") == n;
}

static bool is_hex(const char *s, size_t n)
{
	return s[0] == '\0' || (strlen(s) == n && strspn(s, "0123456789abcdef") == n);
}

static const char *check_name(struct rows *r, const char *name)
{
	return is_word(name, USER_MAX)
		       ? NULL
		       : complain(r, "name", name, "1 to 63 letters, digits or . _ + -");
}

static const char *check_number(struct rows *r, const char *number)
{
	return is_word(number, NUM_MAX)
		       ? NULL
		       : complain(r, "number", number, "1 to 63 digits or letters");
}

static const struct taken *find_taken(const struct rows *r, const char *what, const char *value)
{
	char key[NUM_MAX + 16];
	struct taken *t;

	snprintf(key, sizeof(key), "%s %s", what, value);
	HASH_FIND_STR(r->taken, key, t);
	return t;
}

static void take(
	struct rows *r, const char *what, const char *value, const char *kind, const char *name)
{
	struct taken *t = calloc(1, sizeof(*t));

	if (!t)
		return;
	snprintf(t->key, sizeof(t->key), "%s %s", what, value);
	snprintf(t->by, sizeof(t->by), "%s %s", kind, name);
	HASH_ADD_STR(r->taken, key, t);
}

/* A number leads to one place only. */
static const char *check_free(struct rows *r, const char *number)
{
	const struct taken *t = str_empty(number) ? NULL : find_taken(r, "number", number);

	if (!t)
		return NULL;
	snprintf(r->why, sizeof(r->why), "number \"%s\": is that of %s already", number, t->by);
	return r->why;
}

static const char *check_voicemail(struct rows *r, const char *number)
{
	return number[0] == '\0' || is_word(number, NUM_MAX)
		       ? NULL
		       : complain(r, "voicemail", number, "1 to 63 digits or letters");
}

static const char *check_user(struct rows *r, const char *const *v)
{
	const char *why = check_name(r, v[0]);

	if (!why && v[1][0])
		why = check_number(r, v[1]);
	if (!why)
		why = check_free(r, v[1]);
	if (why)
		return why;
	if (v[5][0] && !str_starts(v[5], "sip:") && !str_starts(v[5], "sips:"))
		return complain(r, "contact", v[5], "a SIP URI such as sip:101@192.0.2.10");
	if (strlen(v[5]) >= sizeof(((struct directory_user *)NULL)->contact))
		return complain(r, "contact", v[5], "at most 255 characters");
	if (!is_hex(v[6], 32))
		return complain(r, "ha1_md5", "...", "32 hex digits");
	if (!is_hex(v[7], 64))
		return complain(r, "ha1_sha256", "...", "64 hex digits");
	if (user_role_parse(v[8]) < 0)
		return complain(r, "role", v[8], "agent, supervisor or admin");
	if (strlen(v[10]) >= sizeof(((struct ev_dir_user *)NULL)->may_dial))
		return complain(r, "may_dial", v[10], "at most 127 characters");
	return check_voicemail(r, v[9]);
}

/* A whole number from least to most; false for anything else. */
static bool read_number(const char *text, int64_t least, int64_t most, int64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoll(text, &end, 10);
	return end != text && *end == '\0' && errno == 0 && *value >= least && *value <= most;
}

static const char *check_count(struct rows *r, const char *what, const char *text, uint32_t most)
{
	char expected[48];
	int64_t value;

	snprintf(expected, sizeof(expected), "a whole number from 0 to %u", most);
	return read_number(text, 0, most, &value) ? NULL : complain(r, what, text, expected);
}

/* The numbers of a queue's row, in the order of its columns. */
#define QUEUE_NUMBER(f, most) {#f, offsetof(struct ev_dir_queue, f), most}
static const struct {
	const char *name;
	size_t offset;
	uint32_t most;
} queue_numbers[] = {
	QUEUE_NUMBER(ring_ms, 3600000),
	QUEUE_NUMBER(retry_ms, 3600000),
	QUEUE_NUMBER(wrapup_ms, 86400000),
	QUEUE_NUMBER(max_wait_ms, 604800000),
	QUEUE_NUMBER(max_length, 1000000),
	QUEUE_NUMBER(weight, 1000000),
	QUEUE_NUMBER(service_ms, 86400000),
	QUEUE_NUMBER(service_goal, 100),
	QUEUE_NUMBER(widen_ms, 86400000),
	QUEUE_NUMBER(boost_ms, 86400000),
	QUEUE_NUMBER(announce_after_ms, 86400000),
	QUEUE_NUMBER(announce_every_ms, 86400000),
};
enum { QUEUE_NUMBERS = sizeof(queue_numbers) / sizeof(queue_numbers[0]) };

/* Columns of a queue's row. */
enum {
	Q_VOICEMAIL = 3,
	Q_STRATEGY,
	Q_NUMBERS,
	Q_KEEP_WAIT = Q_NUMBERS + QUEUE_NUMBERS,
	Q_JOIN_EMPTY,
	Q_LEAVE_EMPTY,
	Q_ENTRY,
	Q_MUSIC,
	Q_ANNOUNCE,
	Q_OVERFLOW,
};

/* Takes "kind:target" off the front of a list; false when there is none left, or it is no such. */
static bool next_overflow(const char **list, struct overflow *o)
{
	size_t n = strcspn(*list, " "), k = strcspn(*list, ":");
	char kind[16];
	int parsed;

	if (k >= n || !str_copy_n(kind, sizeof(kind), *list, k))
		return false;
	parsed = overflow_kind_parse(kind);
	if (parsed < 0 ||
		!str_copy_n(o->target, sizeof(o->target), *list + k + 1, n - k - 1) ||
		!is_word(o->target, sizeof(o->target)))
		return false;
	o->kind = parsed;
	*list += n + ((*list)[n] == ' ');
	return true;
}

static const char *check_overflow(struct rows *r, const char *list)
{
	const char *at = list;
	struct overflow o;
	unsigned n = 0;

	while (*at && next_overflow(&at, &o))
		n++;
	if (*at)
		return complain(r, "overflow", at, "kind:target such as queue:sales");
	return n <= OVERFLOW_MAX ? NULL : complain(r, "overflow", list, "at most 6 targets");
}

static const char *check_queue(struct rows *r, const char *const *v)
{
	const char *why = check_name(r, v[0]);

	if (!why && v[1][0])
		why = check_number(r, v[1]);
	if (!why)
		why = check_free(r, v[1]);
	for (unsigned i = 0; !why && i < QUEUE_NUMBERS; i++)
		why = check_count(r, queue_numbers[i].name, v[Q_NUMBERS + i], queue_numbers[i].most);
	if (!why)
		why = check_voicemail(r, v[Q_VOICEMAIL]);
	if (why)
		return why;
	if (strategy_parse(v[Q_STRATEGY]) < 0)
		return complain(r, "strategy", v[Q_STRATEGY], "one of those of segue.queues");
	for (unsigned i = Q_JOIN_EMPTY; i <= Q_LEAVE_EMPTY; i++)
		if (empty_rule_parse(v[i]) < 0)
			return complain(r, i == Q_JOIN_EMPTY ? "join_empty" : "leave_empty", v[i],
				"logged_out, away or never");
	if (queue_entry_parse(v[Q_ENTRY]) < 0)
		return complain(r, "entry", v[Q_ENTRY], "answer, ring or early");
	if (v[Q_MUSIC][0] && !is_word(v[Q_MUSIC], USER_MAX) &&
		(strlen(v[Q_MUSIC]) >= USER_MAX || !str_is_sip_uri(v[Q_MUSIC])))
		return complain(r, "music", v[Q_MUSIC],
			"1 to 63 letters, digits or . _ + -, or a SIP URI of at most 63 characters");
	if (v[Q_ANNOUNCE][0] && !is_word(v[Q_ANNOUNCE], USER_MAX))
		return complain(
			r, "announce", v[Q_ANNOUNCE], "1 to 63 letters, digits or . _ + -");
	return check_overflow(r, v[Q_OVERFLOW]);
}

static const char *check_ivr(struct rows *r, const char *const *v)
{
	const char *why = check_name(r, v[0]);

	if (!why)
		why = check_number(r, v[1]);
	if (!why)
		why = check_free(r, v[1]);
	if (why)
		return why;
	if (v[2][0] == '\0' || strlen(v[2]) >= USER_MAX)
		return complain(r, "peer", v[2], "the name of a peer in segue.conf");
	if (!is_word(v[3], NUM_MAX))
		return complain(r, "dial", v[3], "1 to 63 digits or letters");
	if (strlen(v[4]) >= DIGITS_MAX || v[4][strspn(v[4], "0123456789*#ABCD,")] != '\0')
		return complain(r, "digits", v[4], "at most 31 of 0-9 * # A-D and commas");
	return NULL;
}

/* The roles of a list with commas, a bit for each; -1 if one of them is none. */
static int read_roles(const char *text)
{
	char word[16];
	int roles = 0, role;

	while (*text != '\0') {
		size_t n = strcspn(text, ",");

		if (!str_copy_n(word, sizeof(word), text, n) || (role = user_role_parse(word)) < 0)
			return -1;
		roles |= 1 << role;
		text += n + (text[n] == ',');
	}
	return roles;
}

static const char *check_class(struct rows *r, const char *const *v)
{
	char err[200];

	if (!is_word(v[0], sizeof(((struct ev_dir_class *)NULL)->name)))
		return complain(r, "name", v[0], "1 to 31 letters, digits or _ -");
	if (dialplan_pattern_check(v[1], err, sizeof(err)) != 0) {
		str_set(r->why, err);
		return r->why;
	}
	return str_eq(v[2], "-") || read_roles(v[2]) >= 0
		       ? NULL
		       : complain(r, "roles", v[2], "agent, supervisor and admin");
}

static const char *check_known(
	struct rows *r, const char *kind, const char *column, const char *name)
{
	char expected[32];

	snprintf(expected, sizeof(expected), "the name of a %s", kind);
	return find_taken(r, kind, name) ? NULL : complain(r, column, name, expected);
}

/* Takes "from-until" off the front of a list; false when there is none left, or it is no opening that
 * comes after `least`. */
static bool next_opening(const char **list, int64_t least, struct opening *o)
{
	char from[24], until[24];
	size_t n = strcspn(*list, " "), dash = strcspn(*list, "-");

	if (dash >= n || !str_copy_n(from, sizeof(from), *list, dash) ||
		!str_copy_n(until, sizeof(until), *list + dash + 1, n - dash - 1) ||
		!read_number(from, least, INT64_MAX, &o->from) ||
		!read_number(until, o->from + 1, INT64_MAX, &o->until))
		return false;
	*list += n + ((*list)[n] == ' ');
	return true;
}

static const char *check_hours(struct rows *r, const char *const *v)
{
	const char *why = check_known(r, "queue", "queue", v[0]), *at = v[2];
	struct opening o = {0, 0};
	unsigned n = 0;
	int64_t until;

	if (why)
		return why;
	if (!read_number(v[1], 0, INT64_MAX, &until))
		return complain(r, "known until", v[1], "a time after 1970");
	while (*at && next_opening(&at, o.until, &o))
		n++;
	if (*at)
		return complain(r, "opening", at, "from-until, one after the other");
	if (n > OPENINGS_MAX)
		return complain(r, "openings", v[2], "at most " STR(OPENINGS_MAX));
	return strlen(v[3]) < ZONE_MAX ? NULL : complain(r, "time zone", v[3], "the name of one");
}

static const char *check_member(struct rows *r, const char *const *v)
{
	const char *why = check_known(r, "queue", "queue", v[0]);

	if (!why)
		why = check_known(r, "user", "user_name", v[1]);
	if (!why)
		why = check_count(r, "level", v[2], 1000000);
	if (!why)
		why = check_count(r, "position", v[3], 1000000);
	return why ? why : check_count(r, "weight", v[4], 1000000);
}

static const char *check_skill_name(struct rows *r, const char *skill)
{
	return is_word(skill, SKILL_MAX)
		       ? NULL
		       : complain(r, "skill", skill, "1 to 31 letters, digits or . _ + -");
}

static const char *check_skill(struct rows *r, const char *const *v)
{
	const char *why = check_known(r, "user", "user_name", v[0]);

	if (!why)
		why = check_skill_name(r, v[1]);
	return why ? why : check_count(r, "level", v[2], 1000000);
}

static const char *check_need(struct rows *r, const char *const *v)
{
	const char *why = check_known(r, "queue", "queue", v[0]);

	if (!why)
		why = check_skill_name(r, v[1]);
	if (!why)
		why = check_count(r, "level", v[2], 1000000);
	return why ? why : check_count(r, "floor", v[3], 1000000);
}

static const char *check_agent(struct rows *r, const char *const *v)
{
	const char *why = check_known(r, "user", "user_name", v[0]);
	int64_t since;

	if (why)
		return why;
	if (agent_intent_parse(v[1]) < 0)
		return complain(r, "intent", v[1], "available, away or logged_out");
	if (strlen(v[2]) >= REASON_MAX)
		return complain(r, "reason", v[2], "at most 31 bytes");
	return read_number(v[5], 0, INT64_MAX, &since)
		       ? NULL
		       : complain(r, "since", v[5], "a time after 1970");
}

static const char *check(struct rows *r, enum row_kind kind, const char *const *v)
{
	static const char *(*const checks[])(struct rows *r, const char *const *v) = {
		[ROW_USER] = check_user,
		[ROW_AGENT] = check_agent,
		[ROW_QUEUE] = check_queue,
		[ROW_IVR] = check_ivr,
		[ROW_CLASS] = check_class,
		[ROW_MEMBER] = check_member,
		[ROW_SKILL] = check_skill,
		[ROW_NEED] = check_need,
		[ROW_HOURS] = check_hours,
	};

	for (unsigned i = 0; i < kinds[kind].columns; i++)
		if (has_control(v[i]))
			return complain(r, "a value", "...", "no control characters");
	return checks[kind](r, v);
}

/* ---- taking ------------------------------------------------------------------------------ */

static size_t row_size(enum row_kind kind)
{
	static const size_t size[] = {
		[ROW_USER] = sizeof(struct directory_user),
		[ROW_QUEUE] = sizeof(struct ev_dir_queue),
		[ROW_IVR] = sizeof(struct ev_dir_ivr),
		[ROW_CLASS] = sizeof(struct ev_dir_class),
		[ROW_MEMBER] = sizeof(struct ev_dir_member),
		[ROW_SKILL] = sizeof(struct ev_dir_skill),
		[ROW_NEED] = sizeof(struct ev_dir_need),
		[ROW_HOURS] = sizeof(struct ev_dir_hours),
		[ROW_AGENT] = sizeof(struct directory_agent),
	};

	return offsetof(struct row, user) + size[kind];
}

static void fill_user(struct directory_user *u, const char *const *v)
{
	str_set(u->core.user, v[0]);
	str_set(u->core.number, v[1]);
	str_set(u->core.name, v[2]);
	u->core.enabled = v[3][0] == 't';
	u->core.may_transfer = v[4][0] == 't';
	str_set(u->contact, v[5]);
	str_set(u->ha1_md5, v[6]);
	str_set(u->ha1_sha256, v[7]);
	u->core.role = (enum user_role)user_role_parse(v[8]);
	str_set(u->core.voicemail, v[9]);
	str_set(u->core.may_dial, v[10]);
}

static void fill_class(struct ev_dir_class *c, const char *const *v)
{
	str_set(c->name, v[0]);
	str_set(c->pattern, v[1]);
	c->by_name = str_eq(v[2], "-");
	c->roles = c->by_name ? 0 : (uint8_t)read_roles(v[2]);
}

static uint32_t count_of(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 10); /* it was checked */
}

static void fill_queue(struct ev_dir_queue *q, const char *const *v)
{
	const char *list = v[Q_OVERFLOW];

	str_set(q->queue, v[0]);
	str_set(q->number, v[1]);
	str_set(q->name, v[2]);
	str_set(q->voicemail, v[Q_VOICEMAIL]);
	q->strategy = strategy_parse(v[Q_STRATEGY]);
	for (unsigned i = 0; i < QUEUE_NUMBERS; i++)
		*(uint32_t *)((char *)q + queue_numbers[i].offset) = count_of(v[Q_NUMBERS + i]);
	q->keep_wait = v[Q_KEEP_WAIT][0] == 't';
	q->join_empty = empty_rule_parse(v[Q_JOIN_EMPTY]);
	q->leave_empty = empty_rule_parse(v[Q_LEAVE_EMPTY]);
	q->entry = queue_entry_parse(v[Q_ENTRY]);
	str_set(q->music, v[Q_MUSIC]);
	str_set(q->announce, v[Q_ANNOUNCE]);
	while (q->noverflow < OVERFLOW_MAX && next_overflow(&list, &q->overflow[q->noverflow]))
		q->noverflow++;
}

static void fill_hours(struct ev_dir_hours *h, const char *const *v)
{
	const char *list = v[2];
	int64_t least = 0;

	str_set(h->queue, v[0]);
	h->known_until = strtoll(v[1], NULL, 10);
	while (h->n < OPENINGS_MAX && next_opening(&list, least, &h->open[h->n]))
		least = h->open[h->n++].until;
	str_set(h->zone, v[3]);
}

static void fill_agent(struct directory_agent *a, const char *const *v)
{
	int origin = origin_parse(v[3]);

	str_set(a->core.user, v[0]);
	a->core.intent = agent_intent_parse(v[1]);
	str_set(a->core.reason, v[2]);
	a->core.origin = origin < 0 ? ORIGIN_SYSTEM : (enum origin)origin;
	str_set(a->core.asker, v[4]);
	a->since = strtoll(v[5], NULL, 10);
	a->by_hand = v[6][0] == 't';
}

static void fill(struct row *row, const char *const *v)
{
	switch (row->kind) {
	case ROW_USER:
		fill_user(&row->user, v);
		break;
	case ROW_QUEUE:
		fill_queue(&row->queue, v);
		break;
	case ROW_IVR:
		str_set(row->ivr.ivr, v[0]);
		str_set(row->ivr.number, v[1]);
		str_set(row->ivr.peer, v[2]);
		str_set(row->ivr.dial, v[3]);
		str_set(row->ivr.digits, v[4]);
		str_set(row->ivr.name, v[5]);
		break;
	case ROW_CLASS:
		fill_class(&row->class, v);
		break;
	case ROW_MEMBER:
		str_set(row->member.queue, v[0]);
		str_set(row->member.user, v[1]);
		row->member.level = count_of(v[2]);
		row->member.order = count_of(v[3]);
		row->member.weight = count_of(v[4]);
		break;
	case ROW_SKILL:
		str_set(row->skill.user, v[0]);
		str_set(row->skill.skill, v[1]);
		row->skill.level = count_of(v[2]);
		break;
	case ROW_HOURS:
		fill_hours(&row->hours, v);
		break;
	case ROW_NEED:
		str_set(row->need.queue, v[0]);
		str_set(row->need.skill, v[1]);
		row->need.level = count_of(v[2]);
		row->need.floor = count_of(v[3]);
		break;
	default:
		fill_agent(&row->agent, v);
	}
}

static bool grow(struct rows *r)
{
	size_t cap = r->cap ? 2 * r->cap : 64;
	struct row **p;

	if (r->n < r->cap)
		return true;
	p = realloc(r->row, cap * sizeof(*p));
	if (!p)
		return false;
	r->row = p;
	r->cap = cap;
	return true;
}

const char *rows_take(struct rows *r, enum row_kind kind, const char *const *values)
{
	const char *why = check(r, kind, values);
	struct row *row;

	if (why)
		return why;
	row = grow(r) ? calloc(1, row_size(kind)) : NULL;
	if (!row)
		return "out of memory";
	row->kind = kind;
	fill(row, values);
	r->row[r->n++] = row;
	r->count[kind]++;
	if (kind == ROW_USER || kind == ROW_QUEUE || kind == ROW_IVR) {
		take(r, row_kind_name(kind), values[0], row_kind_name(kind), values[0]);
		if (values[1][0])
			take(r, "number", values[1], row_kind_name(kind), values[0]);
	}
	return NULL;
}

struct rows *rows_create(void)
{
	return calloc(1, sizeof(struct rows));
}

void rows_destroy(struct rows *r)
{
	struct taken *t, *tmp;

	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		free(r->row[i]);
	HASH_ITER(hh, r->taken, t, tmp)
	{
		HASH_DEL(r->taken, t);
		free(t);
	}
	free(r->row);
	free(r);
}

size_t rows_count(const struct rows *r, enum row_kind kind)
{
	return r->count[kind];
}

/* ---- comparing --------------------------------------------------------------------------- */

static int compare_pair(const char *a1, const char *a2, const char *b1, const char *b2)
{
	int d = strcmp(a1, b1);

	return d ? d : strcmp(a2, b2);
}

static int compare(const struct row *a, const struct row *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch (a->kind) {
	case ROW_USER:
		return strcmp(a->user.core.user, b->user.core.user);
	case ROW_QUEUE:
		return strcmp(a->queue.queue, b->queue.queue);
	case ROW_IVR:
		return strcmp(a->ivr.ivr, b->ivr.ivr);
	case ROW_CLASS:
		return compare_pair(a->class.name, a->class.pattern, b->class.name, b->class.pattern);
	case ROW_MEMBER:
		return compare_pair(
			a->member.queue, a->member.user, b->member.queue, b->member.user);
	case ROW_SKILL:
		return compare_pair(a->skill.user, a->skill.skill, b->skill.user, b->skill.skill);
	case ROW_HOURS:
		return strcmp(a->hours.queue, b->hours.queue);
	case ROW_NEED:
		return compare_pair(a->need.queue, a->need.skill, b->need.queue, b->need.skill);
	default:
		return strcmp(a->agent.core.user, b->agent.core.user);
	}
}

static int compare_ptr(const void *a, const void *b)
{
	return compare(*(struct row *const *)a, *(struct row *const *)b);
}

void rows_sort(struct rows *r)
{
	if (r->n)
		qsort(r->row, r->n, sizeof(r->row[0]), compare_ptr);
}

void rows_copy(struct row *to, const struct row *from)
{
	memcpy(to, from, row_size(from->kind));
}

static void tell_gone(
	const struct row *row, void (*fn)(void *arg, const struct row *row), void *arg)
{
	struct row gone = {.kind = row->kind};

	rows_copy(&gone, row);
	switch (row->kind) {
	case ROW_USER:
		gone.user.core.gone = true;
		break;
	case ROW_QUEUE:
		gone.queue.gone = true;
		break;
	case ROW_IVR:
		gone.ivr.gone = true;
		break;
	case ROW_CLASS:
		gone.class.gone = true;
		break;
	case ROW_MEMBER:
		gone.member.gone = true;
		break;
	case ROW_SKILL:
		gone.skill.gone = true;
		break;
	case ROW_NEED:
		gone.need.gone = true;
		break;
	case ROW_HOURS:
		gone.hours.gone = true;
		break;
	default:
		gone.agent.gone = true;
	}
	fn(arg, &gone);
}

/* Position of the first row from i on that is not before key. */
static size_t seek(const struct rows *r, size_t i, const struct row *key)
{
	while (i < r->n && compare(r->row[i], key) < 0)
		i++;
	return i;
}

void rows_diff(const struct rows *from, const struct rows *to,
	void (*fn)(void *arg, const struct row *row), void *arg)
{
	static const struct rows none;
	size_t at = 0;

	from = from ? from : &none;
	for (size_t i = from->n; i-- > 0;) { /* backwards: members leave before their queue does */
		const struct row *old = from->row[i];
		const struct row *key = old;

		if (to->n == 0 || bsearch(&key, to->row, to->n, sizeof(key), compare_ptr) == NULL)
			tell_gone(old, fn, arg);
	}
	for (size_t i = 0; i < to->n; i++) {
		const struct row *new = to->row[i];

		at = seek(from, at, new);
		if (at == from->n || compare(from->row[at], new) != 0 ||
			memcmp(from->row[at], new, row_size(new->kind)) != 0)
			fn(arg, new);
	}
}

size_t rows_hours_over(const struct rows *r, int64_t wall, char *names, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct row *row = r->row[i];

		if (row->kind != ROW_HOURS || wall < row->hours.known_until)
			continue;
		str_append(names, size, n++ ? " " : "");
		str_append(names, size, row->hours.queue);
	}
	return n;
}

/* ---- the copy ---------------------------------------------------------------------------- */

static void print_class(FILE *f, const struct ev_dir_class *c)
{
	const char *comma = "";

	fprintf(f, "\t%s\t%s\t%s", c->name, c->pattern, c->by_name ? "-" : "");
	for (int role = 0; role < (int)user_role_count_; role++)
		if (c->roles >> role & 1) {
			fprintf(f, "%s%s", comma, user_role_name(role));
			comma = ",";
		}
	fputc('\n', f);
}

static void print_queue(FILE *f, const struct ev_dir_queue *q)
{
	fprintf(f, "\t%s\t%s\t%s\t%s\t%s", q->queue, q->number, q->name, q->voicemail,
		strategy_name(q->strategy));
	for (unsigned i = 0; i < QUEUE_NUMBERS; i++)
		fprintf(f, "\t%u", *(const uint32_t *)((const char *)q + queue_numbers[i].offset));
	fprintf(f, "\t%c\t%s\t%s\t%s\t%s\t%s\t", q->keep_wait ? 't' : 'f',
		empty_rule_name(q->join_empty), empty_rule_name(q->leave_empty),
		queue_entry_name(q->entry), q->music, q->announce);
	for (unsigned i = 0; i < q->noverflow; i++)
		fprintf(f, "%s%s:%s", i ? " " : "", overflow_kind_name(q->overflow[i].kind),
			q->overflow[i].target);
	fputc('\n', f);
}

static void print_hours(FILE *f, const struct ev_dir_hours *h)
{
	fprintf(f, "\t%s\t%lld\t", h->queue, (long long)h->known_until);
	for (uint32_t i = 0; i < h->n; i++)
		fprintf(f, "%s%lld-%lld", i ? " " : "", (long long)h->open[i].from,
			(long long)h->open[i].until);
	fprintf(f, "\t%s\n", h->zone);
}

static void print_agent(FILE *f, const struct directory_agent *a)
{
	fprintf(f, "\t%s\t%s\t%s\t%s\t%s\t%lld\t%c\n", a->core.user,
		agent_intent_name(a->core.intent), a->core.reason, origin_name(a->core.origin),
		a->core.asker, (long long)a->since, a->by_hand ? 't' : 'f');
}

static void print_row(FILE *f, const struct row *row)
{
	const struct directory_user *u = &row->user;

	fputs(row_kind_name(row->kind), f);
	switch (row->kind) {
	case ROW_USER:
		fprintf(f, "\t%s\t%s\t%s\t%c\t%c\t%s\t%s\t%s\t%s\t%s\t%s\n", u->core.user,
			u->core.number, u->core.name, u->core.enabled ? 't' : 'f',
			u->core.may_transfer ? 't' : 'f', u->contact, u->ha1_md5, u->ha1_sha256,
			user_role_name((int)u->core.role), u->core.voicemail, u->core.may_dial);
		break;
	case ROW_QUEUE:
		print_queue(f, &row->queue);
		break;
	case ROW_IVR:
		fprintf(f, "\t%s\t%s\t%s\t%s\t%s\t%s\n", row->ivr.ivr, row->ivr.number,
			row->ivr.peer, row->ivr.dial, row->ivr.digits, row->ivr.name);
		break;
	case ROW_CLASS:
		print_class(f, &row->class);
		break;
	case ROW_MEMBER:
		fprintf(f, "\t%s\t%s\t%u\t%u\t%u\n", row->member.queue, row->member.user,
			row->member.level, row->member.order, row->member.weight);
		break;
	case ROW_SKILL:
		fprintf(f, "\t%s\t%s\t%u\n", row->skill.user, row->skill.skill, row->skill.level);
		break;
	case ROW_HOURS:
		print_hours(f, &row->hours);
		break;
	case ROW_NEED:
		fprintf(f, "\t%s\t%s\t%u\t%u\n", row->need.queue, row->need.skill,
			row->need.level, row->need.floor);
		break;
	default:
		print_agent(f, &row->agent);
	}
}

int rows_save(const struct rows *r, const char *path)
{
	char tmp[PATH_MAX];
	FILE *f;
	int fd, err = 0;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	f = fdopen(fd, "w");
	if (!f) {
		err = errno;
		close(fd);
		return err;
	}
	fprintf(f, "%s\n", COPY_HEAD);
	for (size_t i = 0; i < r->n; i++)
		print_row(f, r->row[i]);
	fprintf(f, "end\t%zu\n", r->n);
	if (fflush(f) != 0 || ferror(f) || fsync(fd) < 0)
		err = errno ? errno : EIO;
	if (fclose(f) != 0 && !err)
		err = errno;
	if (!err && rename(tmp, path) < 0)
		err = errno;
	if (err)
		unlink(tmp);
	return err;
}

/* Cuts a line at its tabs; returns how many fields there are (at most max). */
static unsigned split(char *line, const char **field, unsigned max)
{
	unsigned n = 0;

	line[strcspn(line, "\n")] = '\0';
	while (n < max) {
		field[n++] = line;
		line = strchr(line, '\t');
		if (!line)
			break;
		*line++ = '\0';
	}
	return n;
}

/* One line of the copy. Returns 0, EBADMSG, or -1 for its last line. */
static int load_line(struct rows *r, char *line)
{
	const char *field[ROW_COLUMNS_MAX + 1];
	unsigned n = split(line, field, ROW_COLUMNS_MAX + 1);
	int kind;

	if (strcmp(field[0], "end") == 0)
		return n == 2 && strtoul(field[1], NULL, 10) == r->n ? -1 : EBADMSG;
	kind = row_kind_parse(field[0]);
	if (kind < 0 || n != kinds[kind].columns + 1 || rows_take(r, kind, field + 1))
		return EBADMSG;
	return 0;
}

int rows_load(struct rows *r, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	int rc = 0;

	if (!f)
		return errno;
	if (getline(&line, &cap, f) < 0 || strcmp(line, COPY_HEAD "\n") != 0)
		rc = EBADMSG;
	while (rc == 0)
		rc = getline(&line, &cap, f) < 0 ? EBADMSG : load_line(r, line);
	free(line);
	fclose(f);
	return rc < 0 ? 0 : rc;
}
