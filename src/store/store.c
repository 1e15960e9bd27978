/*
 * store: the outbox as one LMDB table, sequence number -> encoded fact.
 *
 * The map is written in place and commits sync nothing (MDB_WRITEMAP | MDB_NOSYNC), so an append
 * makes no system call; the kernel owns the pages, so they outlive the process however it ends. A
 * thread of the store's own flushes them to disk. Key 0 holds who and where we are (struct home),
 * facts start at 1, and the newest fact is never removed: the next sequence number is the last key
 * plus one.
 *
 * If the machine stops, the last second may be missing on disk, although PostgreSQL may have it.
 * Its numbers must not be given again, or the shipper would take new facts for old ones: after a
 * reboot numbering goes on at the next multiple of 2^32.
 */
#include "store/store.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READERS_MAX 16
#define SYNC_MS	    1000
#define EPOCH	    ((uint64_t)1 << 32)
#define TRIM_MAX    4096 /* facts removed in one transaction, so that the loop is back soon */

/* What key 0 holds. */
struct home {
	uuid identity;
	uuid boot;	/* the boot of the machine that wrote last; nil: unknown */
	uint64_t floor; /* numbers up to here are not given again */
};

struct store {
	MDB_env *env;
	MDB_dbi dbi;
	uuid identity;
	uint64_t last;	   /* newest sequence number; writer only */
	uint64_t trimmed;  /* everything up to here is gone or to be gone; writer only */
	size_t pages_max;  /* of the table; the rest of the map is room to trim in */
	int lock_fd;	   /* held for as long as the store is open */
	atomic_bool dirty; /* something was written since the last sync */
	pthread_t sync_thread;
	pthread_mutex_t mutex; /* guards stopping */
	pthread_cond_t wake;
	bool stopping;
};

static int to_errno(int rc)
{
	switch (rc) {
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return ENOSPC;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PANIC:
	case MDB_PAGE_NOTFOUND:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
		return EBADMSG;
	case MDB_READERS_FULL:
		return EAGAIN;
	default:
		return rc >= 0 ? rc : EIO;
	}
}

static MDB_val key_of(const uint64_t *seq)
{
	return (MDB_val){sizeof(*seq), (void *)(uintptr_t)seq};
}

static uint64_t seq_of(const MDB_val *key)
{
	uint64_t seq;

	memcpy(&seq, key->mv_data, sizeof(seq));
	return seq;
}

/* ---- opening ----------------------------------------------------------------------------- */

/* Holds dir/outbox.lock, so that a second process is refused instead of sharing the outbox. */
static int take_lock(struct store *s, const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/outbox.lock", dir) >= (int)sizeof(path))
		return ENAMETOOLONG;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return errno;
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? EBUSY : errno;
	return 0;
}

static int open_env(struct store *s, const char *path, unsigned size_mb)
{
	const unsigned flags = MDB_NOSUBDIR | MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS | MDB_NOMEMINIT;
	size_t size = (size_t)size_mb << 20;
	int dead, fd, rc;

	rc = mdb_env_create(&s->env);
	if (rc)
		return rc;
	if ((rc = mdb_env_set_mapsize(s->env, size)) ||
		(rc = mdb_env_set_maxreaders(s->env, READERS_MAX)) ||
		(rc = mdb_env_open(s->env, path, flags, 0600)) ||
		(rc = mdb_reader_check(s->env, &dead)) || (rc = mdb_env_get_fd(s->env, &fd)))
		return rc;
	/* The blocks must exist: a full disk behind a mapping is a SIGBUS, not an error. */
	return posix_fallocate(fd, 0, (off_t)size);
}

static uuid new_identity(void)
{
	struct timespec ts;
	uint64_t rnd[2];

	clock_gettime(CLOCK_REALTIME, &ts);
	if (getrandom(rnd, sizeof(rnd), 0) != sizeof(rnd))
		rnd[0] = rnd[1] = (uint64_t)ts.tv_nsec ^ (uint64_t)getpid() << 32;
	return uuid_v7(ts.tv_sec * 1000000LL + ts.tv_nsec / 1000, rnd[0], rnd[1]);
}

/* Which boot of the machine this is; nil if it does not tell. */
static uuid this_boot(void)
{
	char text[UUID_STRLEN] = "";
	uuid boot = {{0}};
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (f && (!fgets(text, sizeof(text), f) || !uuid_parse(text, &boot)))
		boot = (uuid){{0}};
	if (f)
		fclose(f);
	return boot;
}

/* Reads key 0, making it if this outbox is new. */
static int load_home(struct store *s, MDB_txn *txn, struct home *home)
{
	const uint64_t zero = 0;
	MDB_val key = key_of(&zero), val;
	int rc = mdb_get(txn, s->dbi, &key, &val);

	if (rc == MDB_NOTFOUND) {
		*home = (struct home){new_identity(), this_boot(), 0};
		val = (MDB_val){sizeof(*home), home};
		return mdb_put(txn, s->dbi, &key, &val, 0);
	}
	if (rc == 0 && val.mv_size != sizeof(*home))
		return MDB_CORRUPTED;
	if (rc == 0)
		memcpy(home, val.mv_data, sizeof(*home));
	return rc;
}

/* The machine has stopped since this was written: numbering goes on well above whatever was given
 * before. */
static int survive_reboot(struct store *s, MDB_txn *txn, struct home *home)
{
	const uint64_t zero = 0;
	MDB_val key = key_of(&zero), val = {sizeof(*home), home};

	home->boot = this_boot();
	home->floor = (s->last / EPOCH + 1) * EPOCH;
	return mdb_put(txn, s->dbi, &key, &val, 0);
}

static int load_last(struct store *s, MDB_txn *txn)
{
	MDB_cursor *cur;
	MDB_val key, val;
	int rc = mdb_cursor_open(txn, s->dbi, &cur);

	if (rc)
		return rc;
	rc = mdb_cursor_get(cur, &key, &val, MDB_LAST);
	if (rc == 0 && key.mv_size == sizeof(s->last))
		s->last = seq_of(&key);
	mdb_cursor_close(cur);
	return rc;
}

static int load_state(struct store *s, MDB_txn *txn)
{
	const uuid boot = this_boot();
	struct home home;
	MDB_envinfo info;
	MDB_stat stat;
	int rc;

	if ((rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &s->dbi)) ||
		(rc = load_home(s, txn, &home)) || (rc = load_last(s, txn)))
		return rc;
	if (s->last < home.floor)
		s->last = home.floor;
	if (uuid_is_nil(&boot) || !uuid_eq(&boot, &home.boot)) {
		rc = survive_reboot(s, txn, &home);
		if (rc)
			return rc;
		s->last = home.floor;
	}
	s->identity = home.identity;
	if ((rc = mdb_env_info(s->env, &info)) || (rc = mdb_stat(txn, s->dbi, &stat)))
		return rc;
	s->pages_max = info.me_mapsize / stat.ms_psize / 10 * 9;
	return 0;
}

static int load(struct store *s)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc)
		return rc;
	rc = load_state(s, txn);
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

/* ---- is it whole? ------------------------------------------------------------------------ */

/* Reads everything there is. */
static int walk(MDB_txn *txn)
{
	MDB_cursor *cur;
	MDB_val key, val;
	MDB_dbi dbi;
	int rc;

	if ((rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi)) ||
		(rc = mdb_cursor_open(txn, dbi, &cur)))
		return rc;
	while ((rc = mdb_cursor_get(cur, &key, &val, MDB_NEXT)) == 0)
		if (key.mv_size != sizeof(uint64_t) || val.mv_size > FACT_ENCODED_MAX)
			return MDB_CORRUPTED;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int walk_file(const char *path)
{
	MDB_env *env;
	MDB_txn *txn;

	if (mdb_env_create(&env) ||
		mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0600) ||
		mdb_txn_begin(env, NULL, MDB_RDONLY, &txn))
		return MDB_CORRUPTED;
	return walk(txn);
}

/* Looks through the file in a process of its own, because LMDB aborts on pages that a power failure
 * tore. 0, EBADMSG, or another errno. */
static int inspect(const char *path)
{
	const struct rlimit no_core = {0, 0};
	struct stat st;
	int status, null;
	pid_t pid;

	if (stat(path, &st) < 0 || st.st_size == 0)
		return 0; /* will be made */
	pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		null = open("/dev/null", O_WRONLY);
		if (null >= 0)
			dup2(null, STDERR_FILENO);
		_exit(walk_file(path) == 0 ? 0 : 1);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EBADMSG;
}

/* A map that a power failure tore: keep it for the curious, and go on with an empty one. */
static int set_aside(const char *path)
{
	char bad[PATH_MAX], lock[PATH_MAX];

	if (snprintf(bad, sizeof(bad), "%s.bad-%lld", path, (long long)time(NULL)) >=
			(int)sizeof(bad) ||
		snprintf(lock, sizeof(lock), "%s-lock", path) >= (int)sizeof(lock))
		return ENAMETOOLONG;
	if (rename(path, bad) < 0)
		return errno;
	unlink(lock);
	log_msg(LOG_LEVEL_ERROR, (struct log_ref){0}, "outbox_damaged",
		"%s is no usable outbox; kept as %s, facts in it are not in the tables", path, bad);
	return 0;
}

static int open_and_load(struct store *s, const char *path, unsigned size_mb)
{
	int rc = open_env(s, path, size_mb);

	if (rc == 0)
		rc = load(s);
	if (rc && s->env) {
		mdb_env_close(s->env);
		s->env = NULL;
	}
	return to_errno(rc);
}

/* ---- the thread that syncs --------------------------------------------------------------- */

static void sync_now(struct store *s)
{
	int rc;

	if (!atomic_exchange(&s->dirty, false))
		return;
	rc = mdb_env_sync(s->env, 1);
	if (rc)
		log_msg(LOG_LEVEL_ERROR, (struct log_ref){0}, "outbox_sync", "%s",
			mdb_strerror(rc));
}

static void *sync_main(void *arg)
{
	struct store *s = arg;

	pthread_setname_np(pthread_self(), "outbox-sync");
	pthread_mutex_lock(&s->mutex);
	while (!s->stopping) {
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += SYNC_MS / 1000;
		while (!s->stopping &&
			pthread_cond_timedwait(&s->wake, &s->mutex, &until) != ETIMEDOUT)
			;
		pthread_mutex_unlock(&s->mutex);
		sync_now(s);
		pthread_mutex_lock(&s->mutex);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

static int start_sync(struct store *s)
{
	pthread_condattr_t attr;
	int rc;

	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	rc = pthread_create(&s->sync_thread, NULL, sync_main, s);
	if (rc) {
		pthread_cond_destroy(&s->wake);
		pthread_mutex_destroy(&s->mutex);
	}
	return rc;
}

static void stop_sync(struct store *s)
{
	pthread_mutex_lock(&s->mutex);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->sync_thread, NULL);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
}

/* ---- public ------------------------------------------------------------------------------ */

int store_open(const char *dir, unsigned size_mb, struct store **out)
{
	char path[PATH_MAX];
	struct store *s;
	int rc;

	if (size_mb == 0)
		return EINVAL;
	if (snprintf(path, sizeof(path), "%s/outbox.mdb", dir) >= (int)sizeof(path))
		return ENAMETOOLONG;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return errno;
	s = calloc(1, sizeof(*s));
	if (!s)
		return ENOMEM;
	s->lock_fd = -1;
	rc = take_lock(s, dir);
	if (rc)
		goto out;
	rc = inspect(path);
	if (rc == 0)
		rc = open_and_load(s, path, size_mb);
	if (rc == EBADMSG && (rc = set_aside(path)) == 0)
		rc = open_and_load(s, path, size_mb);
	if (rc == 0)
		rc = start_sync(s);
out:
	if (rc) {
		if (s->env)
			mdb_env_close(s->env);
		if (s->lock_fd >= 0)
			close(s->lock_fd);
		free(s);
		s = NULL;
	}
	*out = s;
	return rc;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	stop_sync(s);
	mdb_env_close(s->env);
	close(s->lock_fd);
	free(s);
}

/* Keeps a part of the map free: removing facts copies pages too, and must never fail for want of
 * them. */
static int check_room(struct store *s, MDB_txn *txn)
{
	MDB_stat st;
	int rc = mdb_stat(txn, s->dbi, &st);

	if (rc)
		return rc;
	return st.ms_leaf_pages + st.ms_branch_pages + st.ms_overflow_pages < s->pages_max
		       ? 0
		       : MDB_MAP_FULL;
}

static int put_facts(struct store *s, MDB_txn *txn, const struct fact *facts, unsigned n)
{
	unsigned char buf[FACT_ENCODED_MAX];

	for (unsigned i = 0; i < n; i++) {
		uint64_t seq = s->last + 1 + i;
		MDB_val key = key_of(&seq), val = {fact_encode(&facts[i], buf), buf};
		int rc = mdb_put(txn, s->dbi, &key, &val, MDB_APPEND);

		if (rc)
			return rc;
	}
	return 0;
}

int store_append(struct store *s, const struct fact *facts, unsigned n, uint64_t *last)
{
	MDB_txn *txn;
	int rc;

	*last = s->last;
	if (n == 0)
		return 0;
	rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc)
		return to_errno(rc);
	if ((rc = check_room(s, txn)) || (rc = put_facts(s, txn, facts, n))) {
		mdb_txn_abort(txn);
		return to_errno(rc);
	}
	rc = mdb_txn_commit(txn);
	if (rc)
		return to_errno(rc);
	s->last += n;
	*last = s->last;
	atomic_store_explicit(&s->dirty, true, memory_order_relaxed);
	return 0;
}

int store_read(struct store *s, uint64_t after, unsigned max,
	bool (*fn)(void *arg, uint64_t seq, const unsigned char *bytes, size_t len), void *arg)
{
	uint64_t from = after + 1;
	MDB_val key = key_of(&from), val;
	MDB_cursor *cur;
	unsigned n = 0;
	MDB_txn *txn;
	int rc;

	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return -to_errno(rc);
	rc = mdb_cursor_open(txn, s->dbi, &cur);
	if (rc)
		goto out;
	for (rc = mdb_cursor_get(cur, &key, &val, MDB_SET_RANGE); rc == 0 && n < max;
		rc = mdb_cursor_get(cur, &key, &val, MDB_NEXT)) {
		n++;
		if (!fn(arg, seq_of(&key), val.mv_data, val.mv_size))
			break;
	}
	mdb_cursor_close(cur);
out:
	mdb_txn_abort(txn);
	return rc && rc != MDB_NOTFOUND ? -to_errno(rc) : (int)n;
}

static int del_facts(struct store *s, MDB_txn *txn, uint64_t upto)
{
	const uint64_t one = 1;
	MDB_val key = key_of(&one), val;
	MDB_cursor *cur;
	int rc = mdb_cursor_open(txn, s->dbi, &cur);

	if (rc)
		return rc;
	rc = mdb_cursor_get(cur, &key, &val, MDB_SET_RANGE);
	for (unsigned i = 0; i < TRIM_MAX && rc == 0 && seq_of(&key) <= upto; i++) {
		rc = mdb_cursor_del(cur, 0);
		if (rc == 0)
			rc = mdb_cursor_get(cur, &key, &val, MDB_GET_CURRENT);
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int store_trim(struct store *s, uint64_t upto)
{
	MDB_txn *txn;
	int rc;

	if (upto > s->trimmed)
		s->trimmed = upto < s->last ? upto : s->last;
	if (upto >= s->last) /* the newest stays: it carries the sequence number */
		upto = s->last ? s->last - 1 : 0;
	if (upto == 0)
		return 0;
	rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc)
		return to_errno(rc);
	rc = del_facts(s, txn, upto);
	if (rc) {
		mdb_txn_abort(txn);
		return to_errno(rc);
	}
	atomic_store_explicit(&s->dirty, true, memory_order_relaxed);
	return to_errno(mdb_txn_commit(txn));
}

static bool first_seen(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	*(uint64_t *)arg = seq;
	return false;
}

int store_range(struct store *s, uint64_t *first, uint64_t *last)
{
	int n;

	*first = 0;
	*last = s->last;
	n = store_read(s, s->trimmed, 1, first_seen, first);
	return n < 0 ? -n : 0;
}

uint64_t store_last(const struct store *s)
{
	return s->last;
}

void store_identity(const struct store *s, uuid *id)
{
	*id = s->identity;
}
