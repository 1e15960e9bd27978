/* replay: see replay.h. Ids are given out by the core, so a recording with something cut out gives
 * calls other ids; events are carried over by "the n-th INVITE, leg m". */
#include "sim/replay.h"

#include <stdlib.h>

#include "sim/print.h"

#define TAIL_MS	  40000 /* after the last event: time for guards to fire */
#define TRIES_MAX 300

/* ---- playing --------------------------------------------------------------------------------- */

struct moved { /* a call's id in the recording and in this run */
	call_id was, is;
	UT_hash_handle hh;
};

struct player {
	struct sim *sim;
	struct moved *calls;
	FILE *story;
};

static uint64_t move_id(struct player *p, uint64_t id)
{
	call_id call = id_call(id);
	struct moved *m;

	if (id == ID_NONE)
		return ID_NONE;
	HASH_FIND(hh, p->calls, &call, sizeof(call), m);
	if (m == NULL)
		return id;
	return id_legno(id) ? id_make_leg(m->is, id_legno(id)) : m->is;
}

static void note_call(struct player *p, call_id was, call_id is)
{
	struct moved *m;

	HASH_FIND(hh, p->calls, &was, sizeof(was), m);
	if (m == NULL) {
		m = calloc(1, sizeof(*m));
		if (m == NULL)
			abort();
		m->was = was;
		HASH_ADD(hh, p->calls, was, sizeof(m->was), m);
	}
	m->is = is;
}

static void tell(struct player *p, const struct event *ev)
{
	const struct core_out *out = &p->sim->out;
	char line[PRINT_MAX];

	if (p->story == NULL)
		return;
	fprintf(p->story, "# %9lld  %s\n", (long long)ev->now, print_event(ev, NULL, line));
	for (unsigned i = 0; i < out->nfacts; i++) {
		fact_print(&out->facts[i], line, sizeof(line));
		fprintf(p->story, "#                . %.140s\n", line);
	}
	for (unsigned i = 0; i < out->nactions; i++)
		fprintf(p->story, "#                > %s\n",
			print_action(&out->actions[i], NULL, line));
}

static void tell_timer(void *arg, const struct event *ev)
{
	tell(arg, ev);
}

static void play_event(struct player *p, const struct event *recorded)
{
	struct event ev = *recorded;

	bool begins = ev.type == EV_INVITE || ev.type == EV_DIAL;

	if (begins)
		ev.leg = ID_NONE;
	ev.leg = move_id(p, ev.leg);
	ev.call = move_id(p, ev.call);
	if (p->sim->ct.lenient)
		sim_shove(p->sim, &ev);
	else if (!sim_step(p->sim, &ev))
		return;
	tell(p, &ev);
	if (begins && recorded->leg != ID_NONE && p->sim->out.leg != ID_NONE)
		note_call(p, id_call(recorded->leg), id_call(p->sim->out.leg));
}

static void say(struct player *p, int64_t now, const char *what)
{
	if (p->story != NULL)
		fprintf(p->story, "# %9lld  %s\n", (long long)now, what);
}

static void play_item(struct player *p, const struct sim_item *item)
{
	int64_t now = item->ev.now;

	switch (item->kind) {
	case SIM_EVENT:
		play_event(p, &item->ev);
		break;
	case SIM_SNAPSHOT:
		sim_snapshot(p->sim, now);
		say(p, now, "snapshot, new core, restore");
		break;
	case SIM_DOOM:
		sim_doom(p->sim, (enum doom)item->ev.rnd, now);
		say(p, now, item->ev.rnd == DOOM_BEFORE ? "killed in the next step, before it is on record"
						        : "killed in the next step, before its actions");
		break;
	case SIM_DEATH:
		sim_die(p->sim, item->ev.wall, (enum ending)item->ev.call, (enum lore)item->ev.rnd, NULL,
			NULL);
		say(p, now, item->ev.call == ENDING_KILLED
				    ? "killed, and another process starts"
				    : "stopped, calls are kept, and another process starts");
		break;
	case SIM_CONFIG:
		sim_configure(p->sim, item->ev.rnd, now);
		say(p, now, "the configuration is another");
		break;
	case SIM_FATES:
		say(p, now, "it is told which dialogs are there again");
		sim_fates(p->sim, now, tell_timer, p);
		break;
	}
}

static void free_player(struct player *p)
{
	struct moved *m, *mt;

	HASH_ITER (hh, p->calls, m, mt) {
		HASH_DEL(p->calls, m);
		free(m);
	}
}

void replay(struct sim *s, const struct core_config *cfg, const struct sim_record *r,
	const bool *keep, sim_mutator *mutator, FILE *story)
{
	struct player p = {.sim = s, .story = story};
	int64_t last = 0;

	sim_init(s, cfg);
	s->mutator = mutator;
	s->ct.lenient = r->lenient;
	for (unsigned i = 0; i < r->n && !s->failed; i++) {
		const struct sim_item *item = &r->items[i];

		if (keep != NULL && !keep[i])
			continue;
		last = item->ev.now;
		sim_timers(s, last, tell_timer, &p);
		if (s->failed)
			break;
		play_item(&p, item);
	}
	if (s->death.dead)
		sim_die(s, last, ENDING_KILLED, LORE_AT_ONCE, NULL, NULL);
	if (s->death.nids > 0)
		sim_fates(s, last, tell_timer, &p);
	if (!r->lenient)
		sim_timers(s, last + TAIL_MS, tell_timer, &p);
	free_player(&p);
}

/* ---- shrinking ------------------------------------------------------------------------------- */

struct shrinker {
	const struct core_config *cfg;
	const struct sim_record *r;
	sim_mutator *mutator;
	const char *rule;
	bool *keep, *trial;
	unsigned tries;
	unsigned rank; /* of the item that is looked at, among those that are kept */
};

static bool still_fails(struct shrinker *h, const bool *keep)
{
	struct sim s;
	bool same;

	h->tries++;
	replay(&s, h->cfg, h->r, keep, h->mutator, NULL);
	same = s.failed && strcmp(s.rule, h->rule) == 0;
	sim_done(&s);
	return same;
}

/* Tries to do without the items that drop() names; keeps the cut if the failure stays. */
static bool try_without(struct shrinker *h,
	bool (*drop)(const struct shrinker *h, unsigned i, uint64_t arg1, uint64_t arg2),
	uint64_t arg1, uint64_t arg2)
{
	bool any = false;

	h->rank = 0;
	for (unsigned i = 0; i < h->r->n; i++) {
		h->trial[i] = h->keep[i] && !drop(h, i, arg1, arg2);
		any = any || h->trial[i] != h->keep[i];
		h->rank += h->keep[i];
	}
	if (!any || h->tries >= TRIES_MAX || !still_fails(h, h->trial))
		return false;
	memcpy(h->keep, h->trial, h->r->n * sizeof(*h->keep));
	return true;
}

static bool of_call(const struct shrinker *h, unsigned i, uint64_t call, uint64_t unused)
{
	const struct event *ev = &h->r->items[i].ev;

	return h->r->items[i].kind == SIM_EVENT && id_call(ev->leg ? ev->leg : ev->call) == call;
}

/* The from-th to (from+len)-th of the items that are left. */
static bool of_range(const struct shrinker *h, unsigned i, uint64_t from, uint64_t len)
{
	return h->keep[i] && h->rank >= from && h->rank < from + len;
}

static unsigned left(const struct shrinker *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h->r->n; i++)
		n += h->keep[i];
	return n;
}

static void cut_calls(struct shrinker *h)
{
	for (unsigned i = 0; i < h->r->n; i++)
		if (h->keep[i] && h->r->items[i].kind == SIM_EVENT &&
			(h->r->items[i].ev.type == EV_INVITE || h->r->items[i].ev.type == EV_DIAL) &&
			h->r->items[i].ev.leg != ID_NONE)
			try_without(h, of_call, id_call(h->r->items[i].ev.leg), 0);
}

static void cut_ranges(struct shrinker *h)
{
	for (unsigned len = left(h) / 2; len > 0; len /= 2)
		for (unsigned from = 0; from < left(h);)
			if (!try_without(h, of_range, from, len))
				from += len;
}

static void print_rest(struct shrinker *h, FILE *out)
{
	struct sim s;

	replay(&s, h->cfg, h->r, h->keep, h->mutator, out);
	fprintf(out, "# %s: %s\n", s.rule, s.text);
	sim_done(&s);
}

void replay_shrink(const struct core_config *cfg, const struct sim_record *r, sim_mutator *mutator,
	const char *rule, FILE *out)
{
	struct shrinker h = {.cfg = cfg, .r = r, .mutator = mutator, .rule = rule};

	h.keep = malloc(r->n * sizeof(*h.keep));
	h.trial = malloc(r->n * sizeof(*h.trial));
	if (h.keep == NULL || h.trial == NULL)
		abort();
	for (unsigned i = 0; i < r->n; i++)
		h.keep[i] = true;
	if (!still_fails(&h, h.keep)) {
		fprintf(out, "# the recording alone does not fail; run the seed again\n");
	} else {
		cut_calls(&h);
		cut_ranges(&h);
		cut_ranges(&h);
		fprintf(out, "# shrunk from %u to %u events in %u tries:\n", r->n, left(&h),
			h.tries);
		print_rest(&h, out);
	}
	free(h.keep);
	free(h.trial);
}
