/* store: nothing that was appended is lost or doubled: not by a trim, a full disk, kill -9, a
 * second process or a reader in another thread. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "store/calls.h"
#include "store/store.h"

#define BATCH 3

static char dir[64];

static int setup(void **state)
{
	strcpy(dir, "/tmp/segue-store-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

static struct store *must_open(unsigned size_mb)
{
	struct store *s;

	assert_int_equal(store_open(dir, size_mb, &s), 0);
	return s;
}

/* Appends BATCH facts; each carries the sequence number that it must get. */
static int append(struct store *s, uint64_t *last)
{
	struct fact f[BATCH];
	uint64_t first, before;

	store_range(s, &first, &before);
	memset(f, 0, sizeof(f));
	for (unsigned i = 0; i < BATCH; i++) {
		f[i].type = FACT_AUDIT;
		f[i].at = (int64_t)(before + 1 + i);
		snprintf(f[i].audit.why, sizeof(f[i].audit.why), "number %llu",
			(unsigned long long)f[i].at);
	}
	return store_append(s, f, BATCH, last);
}

/* What a reader has seen: must start at `next` and go up by one. */
struct reader {
	uint64_t next;
	unsigned n;
};

static bool check_fact(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	struct reader *r = arg;
	struct fact f;

	if (seq != r->next || !fact_decode(bytes, len, &f) || f.at != (int64_t)seq)
		return false;
	r->next++;
	r->n++;
	return true;
}

static void must_hold(struct store *s, uint64_t from, uint64_t to)
{
	struct reader r = {from, 0};
	uint64_t first, last;

	assert_int_equal(store_range(s, &first, &last), 0);
	assert_int_equal(last, to);
	assert_int_equal(store_read(s, from - 1, UINT32_MAX, check_fact, &r), to - from + 1);
	assert_int_equal(r.n, to - from + 1);
}

static void test_append_and_read(void **state)
{
	struct store *s = must_open(4);
	struct reader r = {5, 0};
	uint64_t first, last;
	uuid id, again;

	store_range(s, &first, &last);
	assert_int_equal(first, 0);
	assert_int_equal(last, 0);
	assert_int_equal(store_read(s, 0, 10, check_fact, &r), 0);
	for (unsigned i = 1; i <= 10; i++) {
		assert_int_equal(append(s, &last), 0);
		assert_int_equal(last, i * BATCH);
	}
	must_hold(s, 1, 30);
	assert_int_equal(store_read(s, 4, 7, check_fact, &r), 7);
	assert_int_equal(r.next, 12);
	assert_int_equal(store_append(s, NULL, 0, &last), 0);
	assert_int_equal(last, 30);
	store_identity(s, &id);
	assert_false(uuid_is_nil(&id));
	store_close(s);

	s = must_open(4);
	store_identity(s, &again);
	assert_true(uuid_eq(&id, &again));
	must_hold(s, 1, 30);
	store_close(s);
}

static bool stop_at_once(void *arg, uint64_t seq, const unsigned char *bytes, size_t len)
{
	++*(int *)arg;
	return false;
}

static void test_reader_stops(void **state)
{
	struct store *s = must_open(4);
	uint64_t last;
	int calls = 0;

	append(s, &last);
	assert_int_equal(store_read(s, 0, 10, stop_at_once, &calls), 1);
	assert_int_equal(calls, 1);
	store_close(s);
}

static void test_trim(void **state)
{
	struct store *s = must_open(4);
	uint64_t first, last;

	assert_int_equal(store_trim(s, 0), 0);
	assert_int_equal(store_trim(s, 99), 0); /* nothing there */
	for (unsigned i = 0; i < 4; i++)
		append(s, &last);
	assert_int_equal(store_trim(s, 5), 0);
	must_hold(s, 6, 12);
	store_range(s, &first, &last);
	assert_int_equal(first, 6);
	assert_int_equal(store_trim(s, 12), 0);
	store_range(s, &first, &last);
	assert_int_equal(first, 0);
	assert_int_equal(last, 12);
	store_close(s);

	s = must_open(4); /* numbers are never given twice */
	append(s, &last);
	assert_int_equal(last, 15);
	must_hold(s, 13, 15);
	store_close(s);
}

/* A long backlog goes in several calls, each short. */
static void test_trim_is_bounded(void **state)
{
	struct store *s = must_open(32);
	uint64_t last = 0;
	unsigned calls = 0;
	struct reader r;

	while (last < 20000)
		append(s, &last);
	do {
		assert_int_equal(store_trim(s, last - 1), 0);
		r = (struct reader){last, 0};
		calls++;
	} while (store_read(s, 0, 1, check_fact, &r) == 1 && r.n == 0 && calls < 100);
	assert_in_range(calls, 3, 20);
	must_hold(s, last, last);
	store_close(s);
}

static void test_full(void **state)
{
	struct store *s = must_open(1);
	uint64_t first, last, newest = 0, rounds = 0;
	int rc;

	while ((rc = append(s, &last)) == 0)
		newest = last;
	assert_int_equal(rc, ENOSPC);
	assert_int_equal(last, newest);
	assert_true(newest > 2000);
	must_hold(s, 1, newest);
	for (; rounds < 200; rounds++) { /* full again and again, and never stuck */
		store_range(s, &first, &newest);
		assert_int_equal(store_trim(s, first + 100 + newest % 977), 0);
		assert_int_equal(append(s, &last), 0);
		while (append(s, &last) == 0)
			;
	}
	store_range(s, &first, &newest);
	must_hold(s, first, newest);
	store_close(s);
}

static void test_second_process_is_refused(void **state)
{
	struct store *s = must_open(1), *t;

	assert_int_equal(store_open(dir, 1, &t), EBUSY);
	assert_null(t);
	store_close(s);
	store_close(must_open(1));
}

static void test_bad_arguments(void **state)
{
	struct store *s;

	assert_int_equal(store_open(dir, 0, &s), EINVAL);
	assert_int_equal(store_open("/nonexistent/a/b", 1, &s), ENOENT);
	assert_int_equal(store_open("/dev/null", 1, &s), ENOTDIR);
	store_close(NULL);
}

static void test_damaged_file_is_set_aside(void **state)
{
	struct store *s = must_open(1);
	char path[128], cmd[256];
	uint64_t last;
	uuid before, after;
	FILE *f;

	append(s, &last);
	store_identity(s, &before);
	store_close(s);
	snprintf(path, sizeof(path), "%s/outbox.mdb", dir);
	f = fopen(path, "r+");
	assert_non_null(f);
	for (unsigned i = 0; i < 8192; i++)
		fputc('x', f);
	fclose(f);
	s = must_open(1);
	store_identity(s, &after);
	assert_false(uuid_eq(&before, &after));
	append(s, &last);
	assert_int_equal(last, BATCH);
	store_close(s);
	snprintf(cmd, sizeof(cmd), "test -s %s/outbox.mdb.bad-*", dir);
	assert_int_equal(system(cmd), 0);
}

/* ---- the machine stops ------------------------------------------------------------------- */

#define EPOCH ((uint64_t)1 << 32)

/* Makes it look as if the last boot of the machine was another one. */
static void reboot(void)
{
	const uint64_t zero = 0;
	MDB_val key = {sizeof(zero), (void *)(uintptr_t)&zero}, val;
	unsigned char home[64];
	char path[128];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	snprintf(path, sizeof(path), "%s/outbox.mdb", dir);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi), 0);
	assert_int_equal(mdb_get(txn, dbi, &key, &val), 0);
	assert_in_range(val.mv_size, 33, sizeof(home));
	memcpy(home, val.mv_data, val.mv_size);
	home[20] ^= 0xff;
	val.mv_data = home;
	assert_int_equal(mdb_put(txn, dbi, &key, &val, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* What was appended last may be lost by then, and may be in the tables: its number is gone. */
static void test_reboot_gives_no_number_twice(void **state)
{
	struct store *s = must_open(4);
	struct reader r = {1, 0};
	uint64_t first, last;
	uuid before, after;

	append(s, &last);
	store_identity(s, &before);
	store_close(s);
	reboot();
	s = must_open(4);
	store_range(s, &first, &last);
	assert_int_equal(first, 1);
	assert_int_equal(last, EPOCH);
	store_close(s); /* and comes back in the same boot, nothing appended */
	s = must_open(4);
	store_identity(s, &after);
	assert_true(uuid_eq(&before, &after));
	assert_int_equal(append(s, &last), 0);
	assert_int_equal(last, EPOCH + BATCH);
	assert_int_equal(store_read(s, 0, BATCH, check_fact, &r), BATCH);
	r.next = EPOCH + 1;
	assert_int_equal(store_read(s, BATCH, 10, check_fact, &r), BATCH);
	assert_int_equal(r.next, EPOCH + BATCH + 1);
	store_close(s);
	reboot();
	s = must_open(4);
	append(s, &last);
	assert_int_equal(last, 2 * EPOCH + BATCH);
	store_close(s);
}

/* Pages that never reached the disk. */
static void test_reboot_with_a_torn_file(void **state)
{
	static const char zeros[4096];
	uuid before, after;
	struct store *s = must_open(4);
	uint64_t last = 0;
	char path[128];
	FILE *f;

	while (last < 3000)
		append(s, &last);
	store_identity(s, &before);
	store_close(s);
	reboot();
	snprintf(path, sizeof(path), "%s/outbox.mdb", dir);
	f = fopen(path, "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, 20 * 4096, SEEK_SET), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(fwrite(zeros, sizeof(zeros), 1, f), 1);
	fclose(f);
	s = must_open(4);
	store_identity(s, &after);
	assert_false(uuid_eq(&before, &after));
	append(s, &last);
	assert_int_equal(last, BATCH);
	store_close(s);
}

/* ---- kill -9 ----------------------------------------------------------------------------- */

/* Appends and trims until killed; says in *done up to where appends have returned. */
static void child_main(_Atomic uint64_t *done)
{
	struct store *s;
	uint64_t last;

	if (store_open(dir, 4, &s))
		_exit(1);
	for (;;) {
		if (append(s, &last))
			_exit(2);
		atomic_store(done, last);
		if (last % 64 < BATCH && last > 300)
			store_trim(s, last - 300);
	}
}

static void test_kill(void **state)
{
	_Atomic uint64_t *done = mmap(
		NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t first, last, before = 0;

	assert_ptr_not_equal(done, MAP_FAILED);
	for (unsigned round = 0; round < 15; round++) {
		const struct timespec nap = {0, 1000000 + round * 777777};
		struct store *s;
		int status;
		pid_t pid;

		atomic_store(done, 0);
		pid = fork();
		if (pid == 0)
			child_main(done);
		while (atomic_load(done) == 0)
			assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
		nanosleep(&nap, NULL); /* somewhere in its work */
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));

		s = must_open(4);
		store_range(s, &first, &last);
		assert_true(last >= atomic_load(done) && last > before);
		assert_int_equal(last % BATCH, 0); /* steps are whole or not there */
		must_hold(s, last > 300 ? last - 299 : 1, last);
		assert_int_equal(append(s, &last), 0);
		before = last;
		store_close(s);
	}
	munmap((void *)done, sizeof(*done));
}

/* ---- two threads ------------------------------------------------------------------------- */

#define THREAD_FACTS 30000

struct shared {
	struct store *s;
	_Atomic uint64_t seen;
	atomic_bool bad;
};

static void *reader_main(void *arg)
{
	struct shared *sh = arg;
	struct reader r = {1, 0};

	while (r.next <= THREAD_FACTS) {
		unsigned had = r.n;
		int n = store_read(sh->s, r.next - 1, 50, check_fact, &r);

		if (n < 0 || r.n - had != (unsigned)n) {
			atomic_store(&sh->bad, true);
			break;
		}
		atomic_store(&sh->seen, r.next - 1);
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	struct shared sh = {must_open(16)};
	uint64_t last = 0;
	pthread_t reader;

	assert_int_equal(pthread_create(&reader, NULL, reader_main, &sh), 0);
	while (last < THREAD_FACTS && !atomic_load(&sh.bad)) {
		int rc = append(sh.s, &last);

		/* a reader that sleeps in the middle keeps the pages it sees from being reused */
		assert_true(rc == 0 || rc == ENOSPC);
		if (rc == ENOSPC)
			sched_yield();
		if (rc == ENOSPC || last % 100 < BATCH)
			assert_int_equal(store_trim(sh.s, atomic_load(&sh.seen)), 0);
	}
	pthread_join(reader, NULL);
	assert_false(atomic_load(&sh.bad));
	store_close(sh.s);
}

/* ---- live calls ------------------------------------------------------------------------------ */

struct seen {
	unsigned n;
	uint64_t id[8];
	size_t len[8];
	unsigned char first[8];
};

static void see(void *arg, uint64_t id, const unsigned char *bytes, size_t len)
{
	struct seen *s = arg;

	assert_in_range(s->n, 0, 7);
	s->id[s->n] = id;
	s->len[s->n] = len;
	s->first[s->n++] = bytes[0];
}

static struct seen look(struct calls *c)
{
	struct seen s = {0};

	assert_int_equal(calls_each(c, see, &s), 0);
	return s;
}

static void note_length(void *arg, const unsigned char *bytes, size_t len)
{
	*(size_t *)arg = len;
}

static size_t noted(struct calls *c)
{
	size_t len = 0;

	assert_int_equal(calls_noted(c, note_length, &len), 0);
	return len;
}

/* A change of one call. */
static void put_one(struct calls *c, uint64_t id, size_t len, int rc)
{
	static unsigned char bytes[1 << 20];

	assert_int_equal(calls_begin(c), 0);
	assert_int_equal(calls_put(c, id, bytes, len), rc);
	if (rc)
		calls_abort(c);
	else
		assert_int_equal(calls_commit(c), 0);
}

/* A process that writes, and is killed: the next one finds the newest of each call, in order. */
static void test_calls_outlive_a_kill(void **state)
{
	static unsigned char bytes[9000];
	struct calls *c;
	struct seen s;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (calls_open(dir, 16, &c) != 0)
			_exit(1);
		for (int i = 0; i < 50; i++) {
			memset(bytes, i, sizeof(bytes));
			if (calls_begin(c) || calls_put(c, 7, bytes, 100 + (size_t)i) ||
				calls_put(c, 3, bytes, 9000) || calls_note(c, bytes, 20 + (size_t)i) ||
				calls_commit(c))
				_exit(1);
		}
		calls_begin(c);
		calls_put(c, 5, bytes, 1);
		calls_forget(c, 5);
		calls_forget(c, 99); /* nobody knows it */
		calls_commit(c);
		calls_alive(c, 1234);
		calls_alive(c, 5678);
		calls_begin(c); /* and of this nothing is there */
		calls_put(c, 6, bytes, 1);
		calls_forget(c, 7);
		calls_note(c, bytes, 1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(calls_open(dir, 16, &c), 0);
	s = look(c);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.id[0], 3);
	assert_int_equal(s.len[0], 9000);
	assert_int_equal(s.id[1], 7);
	assert_int_equal(s.len[1], 149);
	assert_int_equal(s.first[1], 49);
	assert_int_equal(calls_last_alive(c), 5678);
	assert_int_equal(noted(c), 69);
	put_one(c, 1, 10, 0);
	assert_int_equal(look(c).n, 3);
	calls_close(c);
}

/* No room: nothing of that change is there, and others are. */
static void test_calls_without_room(void **state)
{
	struct calls *c;
	size_t len = 0;

	assert_int_equal(calls_open(dir, 1, &c), 0);
	assert_int_equal(calls_noted(c, note_length, &len), ENOENT);
	put_one(c, 1, 100, 0);
	put_one(c, 2, 100, 0);
	put_one(c, 1, 1 << 20, ENOSPC);
	assert_int_equal(look(c).n, 2);
	assert_int_equal(look(c).len[0], 100);
	assert_int_equal(calls_begin(c), 0);
	assert_int_equal(calls_put(c, 3, "x", 1), 0);
	assert_int_equal(calls_note(c, "note", 4), 0);
	calls_abort(c);
	assert_int_equal(look(c).n, 2);
	assert_int_equal(calls_noted(c, note_length, &len), ENOENT);
	put_one(c, 0, 1, EINVAL);
	put_one(c, UINT64_MAX, 1, EINVAL);
	calls_close(c);
}

/* Rubbish in place of the file: a new one is made. */
static void test_calls_damaged(void **state)
{
	char path[128];
	struct calls *c;
	FILE *f;

	snprintf(path, sizeof(path), "%s/calls.mdb", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 10000; i++)
		fputs("rubbish", f);
	fclose(f);
	assert_int_equal(calls_open(dir, 16, &c), 0);
	assert_int_equal(look(c).n, 0);
	put_one(c, 1, 1, 0);
	calls_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_append_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trim_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_process_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_file_is_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reboot_gives_no_number_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reboot_with_a_torn_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls_outlive_a_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls_without_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls_damaged, setup, teardown),
	};

	log_open(LOG_TARGET_NONE, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
