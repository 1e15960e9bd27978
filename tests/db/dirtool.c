/*
 * dirtool: the directory cache as a program, for the tests in Python.
 *
 *	dirtool CONNINFO COPY    prints every row that is delivered, as one line, until stdin ends;
 *a line "refresh" on stdin asks for a full reading, "trouble" prints it
 */
#include "base/log.h"
#include "db/directory.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_user(void *arg, const struct directory_user *r)
{
	printf("user%s %s number=%s name=%s enabled=%d may_transfer=%d contact=%s md5=%s "
	       "sha256=%.8s role=%s voicemail=%s may_dial=%s\n",
		r->core.gone ? " gone" : "", r->core.user, r->core.number, r->core.name,
		r->core.enabled, r->core.may_transfer, r->contact, r->ha1_md5, r->ha1_sha256,
		user_role_name((int)r->core.role), r->core.voicemail, r->core.may_dial);
}

static void on_queue(void *arg, const struct ev_dir_queue *r)
{
	printf("queue%s %s number=%s name=%s voicemail=%s\n", r->gone ? " gone" : "", r->queue,
		r->number, r->name, r->voicemail);
}

static void on_member(void *arg, const struct ev_dir_member *r)
{
	printf("member%s %s %s\n", r->gone ? " gone" : "", r->queue, r->user);
}

static void on_ivr(void *arg, const struct ev_dir_ivr *r)
{
	printf("ivr%s %s number=%s peer=%s dial=%s digits=%s\n", r->gone ? " gone" : "", r->ivr,
		r->number, r->peer, r->dial, r->digits);
}

static void on_class(void *arg, const struct ev_dir_class *r)
{
	printf("class%s %s %s roles=%u by_name=%d\n", r->gone ? " gone" : "", r->name, r->pattern,
		r->roles, r->by_name);
}

static void on_synced(void *arg, int from_file)
{
	printf("synced %s\n", from_file ? "file" : "database");
}

/* Returns 0 at the end of stdin. */
static int command(struct directory *d)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (n <= 0)
		return 0;
	if (line[0] == 'r')
		directory_refresh(d);
	else
		printf("trouble %s\n", directory_trouble(d) ? directory_trouble(d) : "none");
	return 1;
}

int main(int argc, char **argv)
{
	const struct directory_hooks hooks = {
		NULL, on_user, on_queue, on_member, on_ivr, on_class, on_synced};
	struct directory *d;
	int going = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_INFO);
	if (argc != 3 || directory_start(argv[1], argv[2], &hooks, &d) != 0) {
		fprintf(stderr, "usage: dirtool CONNINFO COPY\n");
		return 2;
	}
	while (going) {
		struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {directory_fd(d), POLLIN, 0}};

		poll(fds, 2, -1);
		if (fds[1].revents)
			directory_dispatch(d);
		if (fds[0].revents)
			going = command(d);
	}
	directory_stop(d);
	return 0;
}
