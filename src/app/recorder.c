/* recorder: see recorder.h. */
#include "app/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <uthash.h>

/* A row of the directory, found by what it is about. */
struct row {
	struct row_key {
		uint32_t type;
		char a[USER_MAX], b[USER_MAX];
	} key;
	unsigned place;
	UT_hash_handle hh;
};

struct recorder {
	struct core_config cfg;
	unsigned node;
	struct event *ring;
	unsigned size;
	uint64_t total;
	struct row *rows;  /* the directory, by key */
	struct event *dir; /* and as events, in no order */
	struct row **dir_row;
	unsigned ndir, dir_cap;
};

struct recorder *recorder_create(unsigned events, const struct core_config *cfg, unsigned node)
{
	struct recorder *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->cfg = *cfg;
	r->node = node;
	r->size = events;
	r->ring = events ? calloc(events, sizeof(r->ring[0])) : NULL;
	if (events == 0 || r->ring != NULL)
		return r;
	free(r);
	return NULL;
}

static struct recorder *crash_recorder;

void recorder_destroy(struct recorder *r)
{
	if (r == NULL)
		return;
	if (crash_recorder == r)
		crash_recorder = NULL;
	HASH_CLEAR(hh, r->rows);
	for (unsigned i = 0; i < r->ndir; i++)
		free(r->dir_row[i]);
	free(r->dir_row);
	free(r->dir);
	free(r->ring);
	free(r);
}

void recorder_reconfigure(struct recorder *r, const struct core_config *cfg)
{
	r->cfg = *cfg;
}

/* ---- the directory ------------------------------------------------------------------------- */

/* Fills *key and returns true if the event is a row of the directory. */
static bool row_key(const struct event *ev, struct row_key *key, bool *gone)
{
	memset(key, 0, sizeof(*key));
	key->type = ev->type;
	switch (ev->type) {
	case EV_DIR_USER:
		str_set(key->a, ev->user.user);
		*gone = ev->user.gone;
		return true;
	case EV_DIR_QUEUE:
		str_set(key->a, ev->queue.queue);
		*gone = ev->queue.gone;
		return true;
	case EV_DIR_MEMBER:
		str_set(key->a, ev->member.queue);
		str_set(key->b, ev->member.user);
		*gone = ev->member.gone;
		return true;
	case EV_DIR_IVR:
		str_set(key->a, ev->ivr.ivr);
		*gone = ev->ivr.gone;
		return true;
	case EV_DIR_CLASS:
		str_set(key->a, ev->class.name);
		str_set(key->b, ev->class.pattern);
		*gone = ev->class.gone;
		return true;
	case EV_DIR_SKILL:
		str_set(key->a, ev->skill.user);
		str_set(key->b, ev->skill.skill);
		*gone = ev->skill.gone;
		return true;
	case EV_DIR_NEED:
		str_set(key->a, ev->need.queue);
		str_set(key->b, ev->need.skill);
		*gone = ev->need.gone;
		return true;
	case EV_DIR_HOURS:
		str_set(key->a, ev->hours.queue);
		*gone = ev->hours.gone;
		return true;
	case EV_AGENT:
		str_set(key->a, ev->agent.user);
		*gone = false;
		return true;
	case EV_AGENT_REACH:
		str_set(key->a, ev->reach.user);
		*gone = ev->reach.reachable;
		return true;
	case EV_CONTACTS:
		str_set(key->a, ev->contacts.user);
		*gone = ev->contacts.n == 0;
		return true;
	default:
		return false;
	}
}

static int grow_directory(struct recorder *r)
{
	unsigned cap = r->dir_cap ? r->dir_cap * 2 : 64;
	struct event *dir = realloc(r->dir, cap * sizeof(dir[0]));
	struct row **rows;

	if (dir == NULL)
		return ENOMEM;
	r->dir = dir;
	rows = realloc(r->dir_row, cap * sizeof(rows[0]));
	if (rows == NULL)
		return ENOMEM;
	r->dir_row = rows;
	r->dir_cap = cap;
	return 0;
}

static void drop_row(struct recorder *r, struct row *row)
{
	unsigned last = --r->ndir;

	r->dir[row->place] = r->dir[last];
	r->dir_row[row->place] = r->dir_row[last];
	r->dir_row[row->place]->place = row->place;
	HASH_DEL(r->rows, row);
	free(row);
}

static struct row *add_row(struct recorder *r, const struct row_key *key)
{
	struct row *row;

	if (r->ndir == r->dir_cap && grow_directory(r))
		return NULL;
	row = calloc(1, sizeof(*row));
	if (row == NULL)
		return NULL;
	row->key = *key;
	row->place = r->ndir;
	r->dir_row[r->ndir++] = row;
	HASH_ADD(hh, r->rows, key, sizeof(row->key), row);
	return row;
}

/* Without memory the row is missing in a dump; nothing else depends on it. */
static void keep_row(struct recorder *r, const struct event *ev)
{
	struct row_key key;
	struct row *row;
	bool gone;

	if (!row_key(ev, &key, &gone))
		return;
	HASH_FIND(hh, r->rows, &key, sizeof(key), row);
	if (gone && row != NULL)
		drop_row(r, row);
	if (gone)
		return;
	if (row == NULL)
		row = add_row(r, &key);
	if (row != NULL)
		r->dir[row->place] = *ev;
}

/* ---- events -------------------------------------------------------------------------------- */

void recorder_add(struct recorder *r, const struct event *ev)
{
	if (r->size == 0)
		return;
	r->ring[r->total++ % r->size] = *ev;
	keep_row(r, ev);
}

void recorder_note_leg(struct recorder *r, leg_id leg)
{
	if (r->size > 0 && r->total > 0)
		r->ring[(r->total - 1) % r->size].leg = leg;
}

uint64_t recorder_total(const struct recorder *r)
{
	return r->total;
}

static int write_all(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int recorder_write(const struct recorder *r, int fd)
{
	uint64_t kept = r->total < r->size ? r->total : r->size;
	unsigned first = r->size ? (unsigned)((r->total - kept) % r->size) : 0;
	struct recorder_head head = {
		.magic = RECORDER_MAGIC,
		.event_size = sizeof(struct event),
		.config_size = sizeof(struct core_config),
		.node = r->node,
		.directory = r->ndir,
		.count = r->ndir + kept,
		.missed = r->total - kept,
	};
	uint64_t tail = kept < r->size - first ? kept : r->size - first;
	int rc = write_all(fd, &head, sizeof(head));

	if (rc == 0)
		rc = write_all(fd, &r->cfg, sizeof(r->cfg));
	if (rc == 0)
		rc = write_all(fd, r->dir, r->ndir * sizeof(r->dir[0]));
	if (rc == 0 && kept > 0)
		rc = write_all(fd, r->ring + first, tail * sizeof(r->ring[0]));
	if (rc == 0 && kept > tail)
		rc = write_all(fd, r->ring, (kept - tail) * sizeof(r->ring[0]));
	return rc;
}

int recorder_dump(const struct recorder *r, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return errno;
	rc = recorder_write(r, fd);
	if (close(fd) < 0 && rc == 0)
		rc = errno;
	return rc;
}

/* ---- crash --------------------------------------------------------------------------------- */

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#define NFATAL (sizeof(fatal) / sizeof(fatal[0]))

static char crash_path[256];
static struct sigaction old_action[NFATAL];

static void on_crash(int sig)
{
	for (size_t i = 0; i < NFATAL; i++)
		sigaction(fatal[i], &old_action[i], NULL);
	if (crash_recorder != NULL) {
		unlink(crash_path);
		recorder_dump(crash_recorder, crash_path);
	}
	raise(sig); /* delivered when this handler returns, to whoever had it before */
}

void recorder_dump_on_crash(struct recorder *r, const char *path)
{
	struct sigaction sa = {.sa_handler = on_crash};

	str_set(crash_path, path);
	crash_recorder = r;
	for (size_t i = 0; i < NFATAL; i++)
		sigaction(fatal[i], &sa, &old_action[i]);
}
