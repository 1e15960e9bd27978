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
	printf("queue%s %s number=%s name=%s voicemail=%s %s ring=%u retry=%u wrapup=%u max=%u/%u weight=%u "
	       "service=%u widen=%u boost=%u keep=%d join=%s leave=%s entry=%s music=%s ",
		r->gone ? " gone" : "", r->queue, r->number, r->name, r->voicemail,
		strategy_name(r->strategy),
		r->ring_ms, r->retry_ms, r->wrapup_ms, r->max_wait_ms, r->max_length, r->weight,
		r->service_ms, r->widen_ms, r->boost_ms, r->keep_wait,
		empty_rule_name(r->join_empty), empty_rule_name(r->leave_empty),
		queue_entry_name(r->entry), r->music);
	if (r->announce[0])
		printf("announce=%s/%u/%u ", r->announce, r->announce_after_ms,
			r->announce_every_ms);
	printf("overflow=");
	for (unsigned i = 0; i < r->noverflow; i++)
		printf("%s%s:%s", i ? "," : "", overflow_kind_name(r->overflow[i].kind),
			r->overflow[i].target);
	putchar('\n');
}

static void on_member(void *arg, const struct ev_dir_member *r)
{
	printf("member%s %s %s level=%u order=%u weight=%u\n", r->gone ? " gone" : "", r->queue,
		r->user, r->level, r->order, r->weight);
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

static void on_skill(void *arg, const struct ev_dir_skill *r)
{
	printf("skill%s %s %s level=%u\n", r->gone ? " gone" : "", r->user, r->skill, r->level);
}

static void on_need(void *arg, const struct ev_dir_need *r)
{
	printf("need%s %s %s level=%u floor=%u\n", r->gone ? " gone" : "", r->queue, r->skill,
		r->level, r->floor);
}

static void on_hours(void *arg, const struct ev_dir_hours *r)
{
	printf("hours%s %s zone=%s until=%lld open=", r->gone ? " gone" : "", r->queue, r->zone,
		(long long)r->known_until);
	for (uint32_t i = 0; i < r->n; i++)
		printf("%s%lld-%lld", i ? "," : "", (long long)r->open[i].from,
			(long long)r->open[i].until);
	putchar('\n');
}

static void on_agent(void *arg, const struct directory_agent *r)
{
	printf("agent%s %s %s reason=%s via=%s by=%s hand=%d since=%lld\n", r->gone ? " gone" : "",
		r->core.user, agent_intent_name(r->core.intent), r->core.reason,
		origin_name(r->core.origin), r->core.asker, r->by_hand, (long long)r->since);
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
	const struct directory_hooks hooks = {NULL, on_user, on_queue, on_member, on_ivr, on_class, on_skill,
		on_need, on_hours, on_agent, on_synced};
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
