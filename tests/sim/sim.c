/* sim: see sim.h. */
#include "sim/sim.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/judge.h"
#include "sim/print.h"

/* FNV-1a over what the core said, so that two runs can be compared. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

static bool leads_always(const struct chain *ch)
{
	for (unsigned i = 0; i < ch->n; i++) {
		if (ch->step[i].kind == FALLBACK_HANGUP)
			return false;
		if (ch->step[i].kind == FALLBACK_ANNOUNCE && ch->step[i].causes == 0)
			return true;
	}
	return false;
}

void sim_init(struct sim *s, const struct core_config *cfg)
{
	memset(s, 0, sizeof(*s));
	s->cfg = *cfg;
	s->core = core_create(cfg, 0);
	if (s->core == NULL)
		abort();
	s->hash = HASH_START;
	core_out_init(&s->out);
	contract_init(&s->ct);
	s->ct.cfg = &s->cfg;
	s->ct.chain_leads = leads_always(&cfg->fallback[TARGET_NONE]);
	books_init(&s->books);
}

void sim_done(struct sim *s)
{
	core_destroy(s->core);
	core_out_done(&s->out);
	contract_done(&s->ct);
	books_done(&s->books);
	death_done(&s->death);
	shown_forget(&s->shown);
	free(s->dir);
}

void sim_fail(struct sim *s, const char *rule, const char *text)
{
	if (s->failed)
		return;
	s->failed = true;
	str_set(s->rule, rule);
	str_set(s->text, text);
}

static void hash_bytes(struct sim *s, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		s->hash = (s->hash ^ p[i]) * HASH_PRIME;
}

static void hash_action(struct sim *s, const struct action *a)
{
	uint64_t plain[] = {a->type, a->leg, a->from, a->call, a->dir, a->status, a->q850,
		a->retry_after, a->cmd};

	hash_bytes(s, plain, sizeof(plain));
	hash_bytes(s, a->text, strlen(a->text));
	if (a->type == ACT_DIAL)
		hash_bytes(s, a->dial.dest.number, strlen(a->dial.dest.number));
	if (a->type == ACT_TIMER)
		hash_bytes(s, &a->timer.ms, sizeof(a->timer.ms));
}

static void hash_output(struct sim *s)
{
	unsigned char buf[FACT_ENCODED_MAX];

	for (unsigned i = 0; i < s->out.nactions; i++)
		hash_action(s, &s->out.actions[i]);
	for (unsigned i = 0; i < s->out.nfacts; i++)
		hash_bytes(s, buf, fact_encode(&s->out.facts[i], buf));
}

/* ---- recording ------------------------------------------------------------------------------- */

static struct sim_item *record_item(struct sim *s, int kind)
{
	struct sim_record *r = s->record;
	struct sim_item *item;

	if (r == NULL)
		return NULL;
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 256;
		r->items = realloc(r->items, r->cap * sizeof(*r->items));
		if (r->items == NULL)
			abort();
	}
	r->lenient = s->ct.lenient;
	item = &r->items[r->n++];
	*item = (struct sim_item){.kind = kind};
	return item;
}

static void record(struct sim *s, const struct event *ev)
{
	struct sim_item *item = record_item(s, SIM_EVENT);

	if (item != NULL)
		item->ev = *ev;
}

static void record_moment(struct sim *s, int kind, int64_t now, uint64_t how)
{
	struct sim_item *item = record_item(s, kind);

	if (item != NULL)
		item->ev = (struct event){.now = now, .rnd = how};
}

void sim_record_death(struct sim *s, int64_t now, enum ending how, enum lore lore)
{
	struct event *ev;

	record_moment(s, SIM_DEATH, s->ct.now, lore);
	if (s->record == NULL)
		return;
	ev = &s->record->items[s->record->n - 1].ev;
	ev->wall = now; /* when it is there again */
	ev->call = (call_id)how;
}

void sim_record_fates(struct sim *s, int64_t now)
{
	record_moment(s, SIM_FATES, now, 0);
}

void sim_doom(struct sim *s, enum doom doom, int64_t now)
{
	record_moment(s, SIM_DOOM, now, doom);
	s->death.doom = doom;
}

void sim_configure(struct sim *s, uint64_t how, int64_t now)
{
	record_moment(s, SIM_CONFIG, now, how);
	s->cfg.queue_wait_ms = how & 1 ? 60000 : how & 2 ? 12000 : 6000;
	s->cfg.queue_ring_ms = how & 4 ? 4000 : 2500;
	core_reconfigure(s->core, &s->cfg);
}

void sim_record_free(struct sim_record *r)
{
	free(r->items);
	*r = (struct sim_record){0};
}

static bool same_dir_row(const struct event *a, const struct event *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case EV_DIR_USER:
		return strcmp(a->user.user, b->user.user) == 0;
	case EV_DIR_QUEUE:
		return strcmp(a->queue.queue, b->queue.queue) == 0;
	case EV_DIR_MEMBER:
		return strcmp(a->member.queue, b->member.queue) == 0 &&
		       strcmp(a->member.user, b->member.user) == 0;
	case EV_DIR_IVR:
		return strcmp(a->ivr.ivr, b->ivr.ivr) == 0;
	case EV_DIR_CLASS:
		return strcmp(a->class.name, b->class.name) == 0 &&
		       strcmp(a->class.pattern, b->class.pattern) == 0;
	case EV_DIR_SKILL:
		return strcmp(a->skill.user, b->skill.user) == 0 &&
		       strcmp(a->skill.skill, b->skill.skill) == 0;
	case EV_DIR_NEED:
		return strcmp(a->need.queue, b->need.queue) == 0 &&
		       strcmp(a->need.skill, b->need.skill) == 0;
	case EV_DIR_HOURS:
		return strcmp(a->hours.queue, b->hours.queue) == 0;
	case EV_AGENT:
		return strcmp(a->agent.user, b->agent.user) == 0;
	case EV_AGENT_REACH:
		return strcmp(a->reach.user, b->reach.user) == 0;
	default:
		return strcmp(a->contacts.user, b->contacts.user) == 0;
	}
}

/* As in the tables, what belongs to a queue goes with it. */
static void forget_queue(struct sim *s, const char *queue)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < s->ndir; i++) {
		const struct event *ev = &s->dir[i];

		if ((ev->type == EV_DIR_MEMBER && strcmp(ev->member.queue, queue) == 0) ||
			(ev->type == EV_DIR_NEED && strcmp(ev->need.queue, queue) == 0) ||
			(ev->type == EV_DIR_HOURS && strcmp(ev->hours.queue, queue) == 0))
			continue;
		s->dir[kept++] = *ev;
	}
	s->ndir = kept;
}

/* Keeps the newest row of the directory for a core that starts later. */
static void note_directory(struct sim *s, const struct event *ev)
{
	unsigned i = 0;

	if (ev->type < EV_DIR_USER || ev->type > EV_CONTACTS)
		return;
	if (ev->type == EV_DIR_QUEUE && ev->queue.gone)
		forget_queue(s, ev->queue.queue);
	while (i < s->ndir && !same_dir_row(&s->dir[i], ev))
		i++;
	if (i == s->dir_cap) {
		s->dir_cap = s->dir_cap ? s->dir_cap * 2 : 32;
		s->dir = realloc(s->dir, s->dir_cap * sizeof(*s->dir));
		if (s->dir == NULL)
			abort();
	}
	s->dir[i] = *ev;
	if (i == s->ndir)
		s->ndir++;
}

/* What an agent wants is stored as a fact, and told to a core that starts later. */
static void note_intents(struct sim *s, int64_t now)
{
	for (unsigned i = 0; i < s->out.nfacts; i++) {
		const struct fact_agent_state *f = &s->out.facts[i].agent_state;
		struct event ev = {.type = EV_AGENT, .now = now};

		if (s->out.facts[i].type != FACT_AGENT_STATE || strcmp(f->state, f->was) != 0)
			continue;
		str_set(ev.agent.user, f->user);
		str_set(ev.agent.reason, f->reason);
		str_set(ev.agent.asker, f->asker);
		ev.agent.intent = (enum agent_intent)agent_intent_parse(f->intent);
		ev.agent.origin = ORIGIN_SYSTEM;
		note_directory(s, &ev);
	}
}

/* ---- a step ---------------------------------------------------------------------------------- */

static void look_at_call(struct sim *s, call_id call)
{
	struct call_view v;

	if (call == ID_NONE || !core_view(s->core, id_call(call), &v))
		return;
	judge_call(&s->ct, &v);
	books_compare(&s->books, &v);
}

/* The event's own call, and those that it moved: an agent became free, a queue was emptied, two calls that
 * had met part again, of which one may have nothing to do yet but its record. */
static void look_at_calls(struct sim *s, const struct event *ev)
{
	call_id call = s->out.leg != ID_NONE ? s->out.leg : ev->leg != ID_NONE ? ev->leg : ev->call;
	call_id last = id_call(call);

	look_at_call(s, call);
	for (unsigned i = 0; i < s->out.nactions; i++) {
		if (id_call(s->out.actions[i].call) == last)
			continue;
		last = id_call(s->out.actions[i].call);
		look_at_call(s, last);
	}
	for (unsigned i = 0; i < s->out.nfacts; i++) {
		if (id_call(s->out.facts[i].call) == last)
			continue;
		last = id_call(s->out.facts[i].call);
		look_at_call(s, last);
	}
}

void sim_collect(struct sim *s)
{
	const char *broken = core_check(s->core);

	if (s->ct.failed)
		sim_fail(s, s->ct.rule, s->ct.text);
	if (s->books.failed)
		sim_fail(s, s->books.rule, s->books.text);
	if (broken != NULL)
		sim_fail(s, "core-check", broken);
}

/* A failed assertion inside the core is a finding like any other: it must not end the run before
 * the seed is printed and the events are shrunk. */
static struct {
	bool armed;
	jmp_buf back;
	char text[BK_TEXT_MAX];
} guard;

void __assert_fail(const char *expr, const char *file, unsigned line, const char *func)
{
	const char *base = strrchr(file, '/');

	snprintf(guard.text, sizeof(guard.text), "%s:%u %s(): %s", base ? base + 1 : file, line,
		func, expr);
	if (guard.armed)
		longjmp(guard.back, 1);
	fprintf(stderr, "assertion failed: %s\n", guard.text);
	abort();
}

/* false if the core failed one of its assertions; it is not to be used any more then. */
static bool guarded_step(struct sim *s, const struct event *ev)
{
	if (setjmp(guard.back) != 0) {
		guard.armed = false;
		sim_fail(s, "assertion", guard.text);
		return false;
	}
	guard.armed = true;
	core_step(s->core, ev, &s->out);
	guard.armed = false;
	return true;
}

/* A command may name a call that has become part of another. */
static call_id named_call(const struct sim *s, const struct event *ev)
{
	struct call_view v;

	if (ev->leg != ID_NONE || ev->call == ID_NONE || !core_view(s->core, ev->call, &v))
		return ev->call;
	return v.id;
}

/* The process is killed in this step, before what it changed is kept and on record. A NOTIFY is then not
 * answered, and so what it says is not said: the next process learns of it if it comes again. */
static bool ends_before(struct sim *s, const struct event *ev)
{
	if (s->death.doom != DOOM_BEFORE)
		return false;
	s->out.nactions = s->out.nfacts = 0;
	s->out.leg = ID_NONE;
	if (ev->type != EV_REFER_NOTIFY)
		contract_missed(&s->ct, ev, &s->out);
	s->death.dead = true;
	return true;
}

/* .. or before any action is carried out. */
static bool ends_after(struct sim *s, const struct event *ev)
{
	if (s->death.doom != DOOM_AFTER || s->ct.failed)
		return false;
	contract_missed(&s->ct, ev, &s->out);
	death_keep(s, ev);
	s->death.dead = true;
	return true;
}

/* As the directory says. */
static bool is_closed(const struct sim *s, const char *queue, int64_t wall)
{
	const struct ev_dir_hours *h = NULL;
	bool open = false;

	for (unsigned i = 0; i < s->ndir; i++)
		if (s->dir[i].type == EV_DIR_HOURS && strcmp(s->dir[i].hours.queue, queue) == 0)
			h = &s->dir[i].hours;
	if (h == NULL || h->gone || wall >= h->known_until)
		return false;
	for (unsigned i = 0; i < h->n; i++)
		open = open || (wall >= h->open[i].from && wall < h->open[i].until);
	return !open;
}

/* Nobody is put into a queue that is closed at that moment, and nobody is told that of one that is open. */
static void check_hours(struct sim *s, const struct event *ev)
{
	for (unsigned i = 0; i < s->out.nfacts; i++) {
		const struct fact_timeline *t = &s->out.facts[i].timeline;
		bool entered, refused;

		if (s->out.facts[i].type != FACT_TIMELINE)
			continue;
		entered = strcmp(t->type, "queue_entered") == 0;
		refused = strcmp(t->type, "queue_overflow") == 0 && strcmp(t->value1, "closed") == 0;
		if (entered && is_closed(s, t->actor, ev->wall))
			sim_fail(s, "entered-closed-queue", t->actor);
		if (refused && !is_closed(s, t->actor, ev->wall))
			sim_fail(s, "open-queue-refused", t->actor);
	}
}

static void take_step(struct sim *s, const struct event *ev)
{
	struct event seen = *ev;

	seen.call = named_call(s, ev);
	assert(ev->now >= s->ct.now); /* the world's own promise */
	record(s, ev);
	note_directory(s, ev);
	s->steps++;
	if (ends_before(s, ev))
		return;
	shown_before(s, &seen);
	if (!guarded_step(s, ev))
		return;
	if (s->record != NULL && (ev->type == EV_INVITE || ev->type == EV_DIAL))
		s->record->items[s->record->n - 1].ev.leg = s->out.leg; /* for replay() */
	if (s->mutator != NULL && !s->mutated)
		s->mutator(s, ev, &s->out);
	note_intents(s, ev->now);
	hash_output(s);
	check_hours(s, ev);
	books_step(&s->books, &s->out);
	death_facts(&s->death, &s->out);
	judge_actions(&s->ct, &s->books, &seen, &s->out);
	if (ends_after(s, ev))
		return;
	if (!s->ct.failed)
		contract_step(&s->ct, ev, &s->out);
	if (!s->ct.failed)
		death_keep(s, ev);
	if (!s->ct.failed && !s->books.failed) {
		look_at_calls(s, ev);
		shown_after(s, ev);
	}
	sim_collect(s);
}

bool sim_step(struct sim *s, const struct event *ev)
{
	if (s->failed || s->death.dead || !contract_allows(&s->ct, ev))
		return false;
	take_step(s, ev);
	return true;
}

void sim_shove(struct sim *s, const struct event *ev)
{
	if (!s->failed)
		take_step(s, ev);
}

void sim_timers(
	struct sim *s, int64_t until, void (*fn)(void *arg, const struct event *ev), void *arg)
{
	struct event ev = {0};

	while (!s->failed && !s->death.dead && contract_next_timer(&s->ct, until, &ev)) {
		struct sim_record *keep = s->record;

		ev.wall = SIM_WALL0 + ev.now * 1000;
		ev.rnd = (uint64_t)ev.now * HASH_PRIME ^ ev.timer.serial;
		s->record = NULL; /* timers follow from the rest */
		sim_step(s, &ev);
		s->record = keep;
		if (fn != NULL && !s->death.dead)
			fn(arg, &ev);
	}
}

/* ---- snapshots ------------------------------------------------------------------------------- */

struct saved {
	call_id id;
	void *bytes;
	size_t len;
};

static struct saved *save_all(struct sim *s, unsigned *n)
{
	unsigned count = core_call_count(s->core);
	struct saved *all = calloc(count + 1, sizeof(*all));

	if (all == NULL)
		abort();
	*n = 0;
	for (call_id id = core_next_call(s->core, ID_NONE); id != ID_NONE && *n < count;
		id = core_next_call(s->core, id)) {
		struct saved *one = &all[*n];

		one->id = id;
		if (core_snapshot(s->core, id, &one->bytes, &one->len) != 0)
			sim_fail(s, "snapshot-refused", "core_snapshot() of a live call failed");
		else
			++*n;
	}
	if (*n != count)
		sim_fail(s, "snapshot-lost", "core_next_call() does not show every call");
	return all;
}

void sim_new_core(struct sim *s, enum lore lore)
{
	struct core_out out;

	core_destroy(s->core);
	shown_forget(&s->shown);
	s->core = core_create(&s->cfg, 0);
	if (s->core == NULL)
		abort();
	core_out_init(&out);
	for (unsigned i = 0; lore == LORE_AT_ONCE && i < s->ndir; i++)
		core_step(s->core, &s->dir[i], &out);
	core_out_done(&out);
}

static void forget_timers(struct sim *s, int64_t now)
{
	struct ct_leg *l, *lt;
	struct ct_call *k, *kt;

	s->ct.restored_at = now;
	HASH_ITER (hh, s->ct.legs, l, lt)
		memset(l->timer, 0, sizeof(l->timer));
	HASH_ITER (hh, s->ct.calls, k, kt)
		k->timer = k->queue = (struct ct_timer){0};
	s->ct.agents = (struct ct_timer){0};
}

static void restore_one(struct sim *s, const struct saved *one, int64_t now)
{
	struct event nothing = {.type = EV_AUDIT, .now = now};
	struct call_view v;

	if (core_restore(s->core, one->bytes, one->len - 1) == 0)
		sim_fail(s, "restore-damaged", "core_restore() took half a snapshot");
	if (core_restore(s->core, one->bytes, one->len) != 0) {
		sim_fail(s, "restore-refused", "core_restore() of a snapshot failed");
		return;
	}
	if (core_restore(s->core, one->bytes, one->len) == 0)
		sim_fail(s, "restore-twice", "core_restore() put a call where one is");
	s->out.nactions = s->out.nfacts = 0;
	s->out.leg = ID_NONE;
	core_restored(s->core, one->id, now, &s->out);
	books_step(&s->books, &s->out);
	contract_step(&s->ct, &nothing, &s->out);
	if (core_view(s->core, one->id, &v)) {
		judge_call(&s->ct, &v);
		books_compare(&s->books, &v);
	} else {
		sim_fail(s, "restore-lost", "a restored call is not there");
	}
}

void sim_snapshot(struct sim *s, int64_t now)
{
	struct saved *all;
	unsigned n;

	if (s->failed)
		return;
	record_moment(s, SIM_SNAPSHOT, now, 0);
	all = save_all(s, &n);
	sim_new_core(s, LORE_AT_ONCE);
	forget_timers(s, now);
	for (unsigned i = 0; i < n; i++) {
		if (!s->failed)
			restore_one(s, &all[i], now);
		free(all[i].bytes);
	}
	free(all);
	sim_collect(s);
}

void sim_end(struct sim *s)
{
	struct event ev = {0};

	if (s->failed)
		return;
	if (core_call_count(s->core) != 0)
		sim_fail(s, "call-left", "core_call_count() is not 0 after everybody left (INV-1)");
	contract_end(&s->ct);
	books_end(&s->books);
	if (contract_next_timer(&s->ct, INT64_MAX, &ev))
		sim_fail(s, "timer-left", "a timer still runs after everybody left (INV-1)");
	sim_collect(s);
}
