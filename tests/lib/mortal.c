/*
 * mortal: lets segued die at a chosen moment, as kill -9 would. Loaded before it (LD_PRELOAD); the file that
 * SEGUE_MORTAL names says, once it is there, at which moment from then on: "7" the seventh, "0" never.
 * Moments are before and after each commit to what is kept on disk, and before each SIP message that is
 * sent, all of the thread that decides; between two of them nothing changes that outlives the process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lmdb.h>

static long left; /* moments; 0: for ever */

/* Somebody may have changed their mind. */
static void ask(void)
{
	const char *path = getenv("SEGUE_MORTAL");
	FILE *f = path != NULL ? fopen(path, "re") : NULL;

	if (f == NULL)
		return;
	if (fscanf(f, "%ld", &left) != 1)
		left = 0;
	fclose(f);
	unlink(path);
}

static void moment(void)
{
	if (gettid() != getpid())
		return;
	ask();
	if (left > 0 && --left == 0)
		kill(getpid(), SIGKILL);
}

int mdb_txn_commit(MDB_txn *txn)
{
	static int (*real)(MDB_txn *txn);
	int rc;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_commit");
	moment();
	rc = real(txn);
	moment();
	return rc;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	static ssize_t (*real)(int fd, const struct msghdr *msg, int flags);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
	moment();
	return real(fd, msg, flags);
}
