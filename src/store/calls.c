/*
 * calls: one LMDB table, call -> bytes. Key 0 says in which boot of the machine it was written, and when
 * its owner was last alive; the highest key has the note. The map is written in place and commits sync
 * nothing, as in store.c; since a reboot ends all calls, it is never synced either.
 */
#include "store/calls.h"

#include "base/id.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct times { /* under key 0 */
	char boot[64];
	int64_t alive; /* monotonic ms, 0: never said */
};

static const uint64_t key_times = ID_NONE, key_note = UINT64_MAX; /* no calls' */

struct calls {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *change; /* NULL: none has begun */
	struct times times;
};

static int to_errno(int rc)
{
	return rc == MDB_MAP_FULL || rc == MDB_TXN_FULL ? ENOSPC : rc >= 0 ? rc : EIO;
}

static MDB_val key_of(const uint64_t *id)
{
	return (MDB_val){sizeof(*id), (void *)(uintptr_t)id};
}

/* ---- opening ----------------------------------------------------------------------------- */

static int open_env(struct calls *c, const char *path, unsigned size_mb)
{
	const unsigned flags =
		MDB_NOSUBDIR | MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS | MDB_NOMEMINIT | MDB_NOLOCK;
	size_t size = (size_t)size_mb << 20;
	int fd, rc = mdb_env_create(&c->env);

	if (rc)
		return rc;
	if ((rc = mdb_env_set_mapsize(c->env, size)) ||
		(rc = mdb_env_open(c->env, path, flags, 0600)) || (rc = mdb_env_get_fd(c->env, &fd)))
		return rc;
	/* The blocks must exist: a full disk behind a mapping is a SIGBUS, not an error. */
	return posix_fallocate(fd, 0, (off_t)size);
}

/* The text of this boot of the machine; "" if it does not tell. */
static void this_boot(char text[64])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	memset(text, 0, 64);
	if (f != NULL && fgets(text, 64, f) == NULL)
		text[0] = '\0';
	if (f != NULL)
		fclose(f);
}

static int put_times(struct calls *c, MDB_txn *txn)
{
	MDB_val key = key_of(&key_times), val = {sizeof(c->times), &c->times};

	return mdb_put(txn, c->dbi, &key, &val, 0);
}

/* What was written in another boot goes. */
static int load_state(struct calls *c, MDB_txn *txn)
{
	MDB_val key = key_of(&key_times), val;
	int rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &c->dbi);

	if (rc)
		return rc;
	c->times.alive = 0;
	this_boot(c->times.boot);
	rc = mdb_get(txn, c->dbi, &key, &val);
	if (rc == 0 && c->times.boot[0] != '\0' && val.mv_size == sizeof(c->times) &&
		memcmp(val.mv_data, c->times.boot, sizeof(c->times.boot)) == 0) {
		memcpy(&c->times, val.mv_data, sizeof(c->times));
		return 0;
	}
	rc = mdb_drop(txn, c->dbi, 0);
	return rc ? rc : put_times(c, txn);
}

static int try_open(const char *path, unsigned size_mb, struct calls *c)
{
	MDB_txn *txn = NULL;
	int rc = open_env(c, path, size_mb);

	if (rc == 0)
		rc = mdb_txn_begin(c->env, NULL, 0, &txn);
	if (rc == 0 && (rc = load_state(c, txn)) != 0)
		mdb_txn_abort(txn);
	else if (rc == 0)
		rc = mdb_txn_commit(txn);
	if (rc && c->env != NULL) {
		mdb_env_close(c->env);
		c->env = NULL;
	}
	return to_errno(rc);
}

int calls_open(const char *dir, unsigned size_mb, struct calls **out)
{
	struct calls *c = calloc(1, sizeof(*c));
	char path[PATH_MAX];
	int rc;

	*out = NULL;
	if (c == NULL)
		return ENOMEM;
	if (snprintf(path, sizeof(path), "%s/calls.mdb", dir) >= (int)sizeof(path)) {
		free(c);
		return ENAMETOOLONG;
	}
	rc = try_open(path, size_mb, c);
	if (rc != 0 && rc != ENOSPC && unlink(path) == 0)
		rc = try_open(path, size_mb, c);
	if (rc)
		free(c);
	else
		*out = c;
	return rc;
}

void calls_close(struct calls *c)
{
	if (c == NULL)
		return;
	if (c->change != NULL)
		calls_abort(c);
	mdb_env_close(c->env);
	free(c);
}

/* ---- use --------------------------------------------------------------------------------- */

static bool is_call(uint64_t id)
{
	return id != key_times && id != key_note;
}

int calls_begin(struct calls *c)
{
	assert(c->change == NULL);
	return to_errno(mdb_txn_begin(c->env, NULL, 0, &c->change));
}

static int put(struct calls *c, uint64_t id, const void *bytes, size_t len)
{
	MDB_val key = key_of(&id), val = {len, (void *)(uintptr_t)bytes};

	return to_errno(mdb_put(c->change, c->dbi, &key, &val, 0));
}

int calls_put(struct calls *c, uint64_t id, const void *bytes, size_t len)
{
	return is_call(id) ? put(c, id, bytes, len) : EINVAL;
}

int calls_forget(struct calls *c, uint64_t id)
{
	MDB_val key = key_of(&id);
	int rc = is_call(id) ? mdb_del(c->change, c->dbi, &key, NULL) : EINVAL;

	return rc == MDB_NOTFOUND ? 0 : to_errno(rc);
}

int calls_note(struct calls *c, const void *bytes, size_t len)
{
	return put(c, key_note, bytes, len);
}

int calls_commit(struct calls *c)
{
	int rc = mdb_txn_commit(c->change);

	c->change = NULL;
	return to_errno(rc);
}

void calls_abort(struct calls *c)
{
	mdb_txn_abort(c->change);
	c->change = NULL;
}

int calls_noted(struct calls *c, void (*fn)(void *arg, const unsigned char *bytes, size_t len), void *arg)
{
	MDB_val key = key_of(&key_note), val;
	MDB_txn *txn;
	int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);

	if (rc)
		return to_errno(rc);
	rc = mdb_get(txn, c->dbi, &key, &val);
	if (rc == 0)
		fn(arg, val.mv_data, val.mv_size);
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? ENOENT : to_errno(rc);
}

void calls_alive(struct calls *c, int64_t now_ms)
{
	MDB_txn *txn;

	c->times.alive = now_ms;
	if (mdb_txn_begin(c->env, NULL, 0, &txn) != 0)
		return;
	if (put_times(c, txn) != 0)
		mdb_txn_abort(txn);
	else
		mdb_txn_commit(txn);
}

int64_t calls_last_alive(const struct calls *c)
{
	return c->times.alive;
}

int calls_each(struct calls *c,
	void (*fn)(void *arg, uint64_t id, const unsigned char *bytes, size_t len), void *arg)
{
	MDB_val key, val;
	MDB_cursor *cur;
	MDB_txn *txn;
	uint64_t id;
	int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);

	if (rc)
		return to_errno(rc);
	rc = mdb_cursor_open(txn, c->dbi, &cur);
	if (rc == 0) {
		while ((rc = mdb_cursor_get(cur, &key, &val, MDB_NEXT)) == 0) {
			memcpy(&id, key.mv_data, sizeof(id));
			if (is_call(id))
				fn(arg, id, val.mv_data, val.mv_size);
		}
		mdb_cursor_close(cur);
	}
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? 0 : to_errno(rc);
}
