/* death: see death.h. */
#include "sim/death.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/judge.h"
#include "sim/sim.h"

/* ---- what is kept ---------------------------------------------------------------------------- */

static void forget(struct death *d, call_id id)
{
	struct death_call *k;

	HASH_FIND(hh, d->kept, &id, sizeof(id), k);
	if (k == NULL)
		return;
	HASH_DEL(d->kept, k);
	free(k->bytes);
	free(k);
}

void death_done(struct death *d)
{
	struct death_call *k, *kt;
	struct death_fact *f, *ft;

	HASH_ITER (hh, d->kept, k, kt)
		forget(d, k->id);
	HASH_ITER (hh, d->newest, f, ft) {
		HASH_DEL(d->newest, f);
		free(f);
	}
	free(d->ids);
}

void death_facts(struct death *d, const struct core_out *out)
{
	for (unsigned i = 0; i < out->nfacts; i++) {
		call_id call = out->facts[i].call;
		struct death_fact *f;

		d->nfacts++;
		if (call == ID_NONE)
			continue;
		HASH_FIND(hh, d->newest, &call, sizeof(call), f);
		if (f == NULL) {
			if ((f = calloc(1, sizeof(*f))) == NULL)
				abort();
			f->call = call;
			HASH_ADD(hh, d->newest, call, sizeof(f->call), f);
		}
		f->seq = d->nfacts;
	}
}

/* It is up, or our BYE is on its way. */
static bool is_up(const struct ct_leg *l)
{
	return (l->state == CT_UP && !l->owes_ack) || (l->state == CT_ENDING && l->ever_up && !l->peer_ended);
}

static unsigned legs_of(struct sim *s, call_id id, leg_id legs[DEATH_LEGS_MAX])
{
	unsigned n = core_legs(s->core, id, legs, DEATH_LEGS_MAX);

	if (n > DEATH_LEGS_MAX)
		abort();
	return n;
}

/* The dialogs that the adapter has, of those that the core wants kept. */
static void note_legs(struct sim *s, struct death_call *k)
{
	leg_id legs[DEATH_LEGS_MAX];
	unsigned n = legs_of(s, k->id, legs);

	k->nlegs = 0;
	for (unsigned i = 0; i < n; i++) {
		struct ct_leg *l = contract_leg(&s->ct, legs[i]);

		if (l != NULL && is_up(l) && core_keeps_leg(s->core, l->id))
			k->legs[k->nlegs++] = l->id;
	}
}

static void keep_one(void *arg, call_id id)
{
	struct sim *s = arg;
	struct death *d = &s->death;
	struct death_call *k;

	forget(d, id);
	if (!core_keeps(s->core, id))
		return;
	if ((k = calloc(1, sizeof(*k))) == NULL)
		abort();
	k->id = id;
	k->facts = d->nfacts;
	if (core_snapshot(s->core, id, &k->bytes, &k->len) != 0) {
		sim_fail(s, "keep-refused", "core_keeps() says yes, core_snapshot() no");
		free(k);
		return;
	}
	note_legs(s, k);
	HASH_ADD(hh, d->kept, id, sizeof(k->id), k);
}

void death_keep(struct sim *s, const struct event *ev)
{
	core_each_changed(s->core, ev, &s->out, keep_one, s);
}

/* Facts came after it was kept. */
static bool is_stale(const struct death *d, const struct death_call *k)
{
	const struct death_fact *f;

	HASH_FIND(hh, d->newest, &k->id, sizeof(k->id), f);
	return f != NULL && f->seq > k->facts;
}

/* ---- an orderly end -------------------------------------------------------------------------- */

static bool is_kept(const struct death_call *k, leg_id leg)
{
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i] == leg)
			return true;
	return false;
}

/* What people see of a call: who of those who stay is in it as what, where it stands, what can be done with
 * it. */
static void brief(const struct core *core, const struct death_call *k, char *buf)
{
	struct call_view v;
	int n = 0;

	buf[0] = '\0';
	if (!core_view(core, k->id, &v))
		return;
	n = snprintf(buf, BRIEF_MAX, "%s %s with %s target %s interval %s can %d%d%d%d%d%d%d%d", v.state,
		v.kind, v.with, v.target, v.interval ? v.interval : "none",
		v.can_transfer, v.can_cancel, v.can_complete, v.can_swap, v.can_hold, v.can_unhold,
		v.can_resume, v.can_move);
	for (unsigned i = 0; i < v.nlegs && n > 0 && n < BRIEF_MAX; i++)
		if (is_kept(k, v.legs[i].id))
			n += snprintf(buf + n, BRIEF_MAX - (size_t)n, " %u:%s", id_legno(v.legs[i].id),
				v.legs[i].role);
}

/* Somebody has answered him a moment ago: he is being told so, or his ACK is on its way. */
static bool is_being_answered(struct sim *s, const struct call_view *v)
{
	for (unsigned i = 0; i < v->nlegs; i++) {
		const struct ct_leg *l = contract_leg(&s->ct, v->legs[i].id);

		if (l != NULL && strcmp(v->legs[i].role, "kept") == 0)
			return l->state != CT_UP;
	}
	return false;
}

/* Who believes to be in a call goes on with it in the next process, or is hung up by it. */
static void check_nobody_left(struct sim *s, call_id id, const struct death_call *k)
{
	struct call_view v;

	if (!core_view(s->core, id, &v) || strcmp(v.state, "END") == 0 || is_being_answered(s, &v))
		return;
	for (unsigned i = 0; i < v.nlegs; i++) {
		const struct ct_leg *l = contract_leg(&s->ct, v.legs[i].id);

		if (l != NULL && l->state == CT_UP && !l->owes_ack && (k == NULL || !is_kept(k, l->id)))
			sim_fail(s, "dialog-not-kept", "the next process cannot hang up who has answered");
	}
}

/* Between two steps everybody who can be kept is written down. */
static void check_all_kept(struct sim *s)
{
	for (call_id id = core_next_call(s->core, ID_NONE); id != ID_NONE;
		id = core_next_call(s->core, id)) {
		struct death_call *k;

		HASH_FIND(hh, s->death.kept, &id, sizeof(id), k);
		if (core_keeps(s->core, id) && (k == NULL || is_stale(&s->death, k)))
			sim_fail(s, "call-not-kept", "a call that may be kept was not written down");
		check_nobody_left(s, id, k);
	}
}

/* .. and is written once more: what was not worth it at each step is worth it now. */
static void keep_all(struct sim *s)
{
	for (call_id id = core_next_call(s->core, ID_NONE); id != ID_NONE;
		id = core_next_call(s->core, id)) {
		struct death_call *k;

		keep_one(s, id);
		HASH_FIND(hh, s->death.kept, &id, sizeof(id), k);
		if (k != NULL)
			brief(s->core, k, k->shown);
	}
}

static void check_same(struct sim *s, const struct death_call *k)
{
	char text[BK_TEXT_MAX], now[BRIEF_MAX];

	brief(s->core, k, now);
	if (k->shown[0] == '\0' || strcmp(k->shown, now) == 0)
		return;
	snprintf(text, sizeof(text), "it was <%.180s> and is kept as <%.180s>", k->shown, now);
	sim_fail(s, "stop-keeps-another", text);
}

/* ---- the next process ------------------------------------------------------------------------ */

static int by_id(const struct death_call *a, const struct death_call *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

static void bring_back(struct sim *s, const struct death_call *k)
{
	struct death *d = &s->death;

	if (is_stale(d, k)) {
		sim_fail(s, "kept-is-stale", "facts are on record that what is kept knows nothing of");
		return;
	}
	if (core_restore(s->core, k->bytes, k->len) != 0) {
		sim_fail(s, "restore-refused", "core_restore() of what was kept failed");
		return;
	}
	check_same(s, k);
	d->recovered++;
	d->ids[d->nids++] = k->id;
	for (unsigned i = 0; i < k->nlegs; i++) {
		struct ct_leg *l = contract_leg(&s->ct, k->legs[i]);

		if (l != NULL)
			l->kept = true;
	}
}

/* What the adapters and the books know of it. */
static void tell_restored(struct sim *s, call_id id, int64_t now)
{
	struct event nothing = {.type = EV_AUDIT, .now = now};
	struct call_view v;

	if (!core_view(s->core, id, &v)) {
		sim_fail(s, "restore-lost", "a restored call is not there");
		return;
	}
	s->out.leg = ID_NONE;
	core_recovered(s->core, id, now, &s->out);
	death_facts(&s->death, &s->out);
	books_step(&s->books, &s->out);
	contract_step(&s->ct, &nothing, &s->out);
	if (core_view(s->core, id, &v) && !s->ct.failed) {
		judge_call(&s->ct, &v);
		books_compare(&s->books, &v);
	}
}

static bool is_back(void *arg, const uuid *conv)
{
	struct sim *s = arg;
	struct call_view v;

	for (unsigned i = 0; i < s->death.nids; i++)
		if (core_view(s->core, s->death.ids[i], &v) && uuid_eq(&v.conv, conv))
			return true;
	return false;
}

static void note_lives(struct sim *s)
{
	struct call_view v;

	for (call_id id = core_next_call(s->core, ID_NONE); id != ID_NONE;
		id = core_next_call(s->core, id)) {
		struct bk_conv *c = core_view(s->core, id, &v) ? books_conv(&s->books, &v.conv) : NULL;

		if (c != NULL)
			c->lives = true;
	}
}

void sim_die(struct sim *s, int64_t now, enum ending how, enum lore lore,
	void (*fn)(void *arg, const struct event *ev), void *arg)
{
	const struct event nothing = {.type = EV_AUDIT, .now = now};
	struct death *d = &s->death;
	struct death_call *k, *kt;
	leg_id legs[DEATH_LEGS_MAX];
	struct call_view v;
	bool in_step = d->dead;

	if (s->failed)
		return;
	now = now > s->ct.now ? now : s->ct.now;
	sim_record_death(s, now, how, lore);
	d->doom = DOOM_NONE;
	d->dead = false;
	d->lore = lore;
	d->died_at = s->ct.now;
	d->deaths++;
	d->nids = 0;
	d->ids = realloc(d->ids, (HASH_COUNT(d->kept) + 1) * sizeof(*d->ids));
	if (d->ids == NULL)
		abort();
	HASH_SORT(d->kept, by_id);
	note_lives(s);
	if (!in_step)
		check_all_kept(s);
	if (how == ENDING_STOPPED)
		keep_all(s);
	sim_new_core(s, lore);
	HASH_ITER (hh, d->kept, k, kt)
		bring_back(s, k);
	HASH_ITER (hh, d->kept, k, kt)
		forget(d, k->id);
	books_cut(&s->books, is_back, s);
	contract_died(&s->ct, now, d->ids, d->nids);
	for (unsigned i = 0; i < d->nids; i++)
		if (core_view(s->core, d->ids[i], &v))
			contract_reborn(&s->ct, &v, legs, legs_of(s, d->ids[i], legs));
	contract_forget(&s->ct, d->ids, d->nids);
	for (unsigned i = 0; i < d->nids && !s->failed; i++) {
		tell_restored(s, d->ids[i], now);
		keep_one(s, d->ids[i]);
		if (fn != NULL && !s->failed)
			fn(arg, &nothing);
	}
	sim_collect(s);
}

/* ---- what it is told ------------------------------------------------------------------------- */

static void tell(struct sim *s, struct event *ev, int64_t now,
	void (*fn)(void *arg, const struct event *ev), void *arg)
{
	ev->now = now;
	ev->wall = SIM_WALL0 + now * 1000;
	ev->rnd = ((uint64_t)now << 20) + ++s->death.told;
	if (sim_step(s, ev) && fn != NULL)
		fn(arg, ev);
}

static void tell_directory(struct sim *s, int64_t now,
	void (*fn)(void *arg, const struct event *ev), void *arg)
{
	unsigned n = s->ndir;
	struct event *rows = malloc((n + 1) * sizeof(*rows));

	if (rows == NULL)
		abort();
	memcpy(rows, s->dir, n * sizeof(*rows));
	for (unsigned i = 0; i < n && !s->failed; i++)
		tell(s, &rows[i], now, fn, arg);
	free(rows);
}

static void tell_fates(struct sim *s, int64_t now, enum dialog_fate fate,
	void (*fn)(void *arg, const struct event *ev), void *arg)
{
	leg_id legs[DEATH_LEGS_MAX];

	for (unsigned i = 0; i < s->death.nids; i++) {
		unsigned n = legs_of(s, s->death.ids[i], legs);

		for (unsigned j = 0; j < n && !s->failed; j++) {
			struct event ev = {.type = EV_RECOVERED, .leg = legs[j]};
			struct ct_leg *l = contract_leg(&s->ct, ev.leg);

			if (l == NULL || (l->lost ? DIALOG_LOST : DIALOG_KEPT) != fate)
				continue;
			ev.recovered.fate = fate;
			ev.recovered.seen = s->death.died_at;
			tell(s, &ev, now, fn, arg);
		}
	}
}

void sim_fates(struct sim *s, int64_t now, void (*fn)(void *arg, const struct event *ev), void *arg)
{
	struct sim_record *keep = s->record;

	if (s->failed)
		return;
	now = now > s->ct.now ? now : s->ct.now;
	sim_record_fates(s, now);
	s->record = NULL; /* it follows from the rest */
	if (s->death.lore == LORE_LATE)
		tell_directory(s, now, fn, arg);
	tell_fates(s, now, DIALOG_LOST, fn, arg);
	tell_fates(s, now, DIALOG_KEPT, fn, arg);
	s->death.nids = 0;
	s->record = keep;
}
