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
	[ROW_QUEUE] = {4, "SELECT name, coalesce(number, ''), display_name, coalesce(voicemail, '')"
			  " FROM segue.queues ORDER BY 1"},
	[ROW_IVR] = {5, "SELECT name, number, peer, dial, coalesce(digits, '') FROM segue.ivrs"
			" ORDER BY 1"},
	[ROW_CLASS] = {3, "SELECT name, pattern, coalesce(array_to_string(roles, ','), '-')"
			  " FROM segue.number_classes ORDER BY 1, 2"},
	[ROW_MEMBER] = {2, "SELECT queue, user_name FROM segue.queue_members ORDER BY 1, 2"},
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

static const char *check_queue(struct rows *r, const char *const *v)
{
	const char *why = check_name(r, v[0]);

	if (!why && v[1][0])
		why = check_number(r, v[1]);
	if (!why)
		why = check_free(r, v[1]);
	return why ? why : check_voicemail(r, v[3]);
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

static const char *check_member(struct rows *r, const char *const *v)
{
	if (!find_taken(r, "queue", v[0]))
		return complain(r, "queue", v[0], "the name of a queue");
	return find_taken(r, "user", v[1]) ? NULL
					   : complain(r, "user_name", v[1], "the name of a user");
}

static const char *check(struct rows *r, enum row_kind kind, const char *const *v)
{
	for (unsigned i = 0; i < kinds[kind].columns; i++)
		if (has_control(v[i]))
			return complain(r, "a value", "...", "no control characters");
	switch (kind) {
	case ROW_USER:
		return check_user(r, v);
	case ROW_QUEUE:
		return check_queue(r, v);
	case ROW_IVR:
		return check_ivr(r, v);
	case ROW_CLASS:
		return check_class(r, v);
	default:
		return check_member(r, v);
	}
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

static void fill(struct row *row, const char *const *v)
{
	switch (row->kind) {
	case ROW_USER:
		fill_user(&row->user, v);
		break;
	case ROW_QUEUE:
		str_set(row->queue.queue, v[0]);
		str_set(row->queue.number, v[1]);
		str_set(row->queue.name, v[2]);
		str_set(row->queue.voicemail, v[3]);
		break;
	case ROW_IVR:
		str_set(row->ivr.ivr, v[0]);
		str_set(row->ivr.number, v[1]);
		str_set(row->ivr.peer, v[2]);
		str_set(row->ivr.dial, v[3]);
		str_set(row->ivr.digits, v[4]);
		break;
	case ROW_CLASS:
		fill_class(&row->class, v);
		break;
	default:
		str_set(row->member.queue, v[0]);
		str_set(row->member.user, v[1]);
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
	if (kind != ROW_MEMBER && kind != ROW_CLASS) {
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

static int compare(const struct row *a, const struct row *b)
{
	int d;

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
		d = strcmp(a->class.name, b->class.name);
		return d ? d : strcmp(a->class.pattern, b->class.pattern);
	default:
		d = strcmp(a->member.queue, b->member.queue);
		return d ? d : strcmp(a->member.user, b->member.user);
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

static void tell_gone(
	const struct row *row, void (*fn)(void *arg, const struct row *row), void *arg)
{
	struct row gone = {.kind = row->kind};

	memcpy(&gone.user, &row->user, row_size(row->kind) - offsetof(struct row, user));
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
	default:
		gone.member.gone = true;
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
		fprintf(f, "\t%s\t%s\t%s\t%s\n", row->queue.queue, row->queue.number,
			row->queue.name, row->queue.voicemail);
		break;
	case ROW_IVR:
		fprintf(f, "\t%s\t%s\t%s\t%s\t%s\n", row->ivr.ivr, row->ivr.number, row->ivr.peer,
			row->ivr.dial, row->ivr.digits);
		break;
	case ROW_CLASS:
		print_class(f, &row->class);
		break;
	default:
		fprintf(f, "\t%s\t%s\n", row->member.queue, row->member.user);
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
