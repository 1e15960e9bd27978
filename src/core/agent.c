/*
 * agent: what a person of the queues wants, and what is true of him. Intent is an event and is
 * kept; the state is derived from intent, phones and live legs whenever one of these has changed,
 * and only the change is put on record. See acd.h.
 */
#include "core/acd.h"
#include "core/presence.h"

#include <stdlib.h>
#include <string.h>

ENUM_DEFINE(missed, MISSED_LIST)

struct agent *agent_find(const struct core *c, const char *user)
{
	struct agent *a = NULL;

	if (!str_empty(user))
		HASH_FIND(hh, c->acd.agents, user, strlen(user), a);
	return a;
}

static void touch(struct core *c, struct agent *a)
{
	if (a->touched)
		return;
	a->touched = 1;
	a->next_touched = c->acd.touched;
	c->acd.touched = a;
}

/* An agent is remembered for good: his intent outlives a change of queues. */
struct agent *agent_get(struct core *c, const char *user)
{
	struct agent *a = agent_find(c, user);

	if (a || str_empty(user))
		return a;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		abort(); /* as in core.c: no honest way to go on without memory */
	str_set(a->user, user);
	a->state = AGENT_UNREACHABLE;
	a->via = ORIGIN_SYSTEM;
	a->since = a->intent_since = a->idle_since = c->ev->now;
	a->no = ++c->acd.serial;
	HASH_ADD(hh, c->acd.agents, user, strlen(a->user), a);
	touch(c, a);
	return a;
}

void agents_free(struct core *c)
{
	struct agent *a, *next;

	HASH_ITER (hh, c->acd.agents, a, next) {
		while (a->skills) {
			struct skill *s = a->skills;

			a->skills = s->next;
			free(s);
		}
		HASH_DEL(c->acd.agents, a);
		free(a);
	}
}

void agent_touch(struct core *c, const char *user)
{
	struct agent *a = c->acd.agents ? agent_find(c, user) : NULL;

	if (a)
		touch(c, a);
}

/* ---- what is true ---------------------------------------------------------------------------- */

static bool reachable(const struct core *c, const struct agent *a)
{
	const struct dir_user *u = directory_user(c, a->user);

	return u && u->row.enabled && u->ncontacts && !a->silent;
}

bool agent_present(const struct core *c, const struct agent *a)
{
	return a->intent != INTENT_LOGGED_OUT && reachable(c, a);
}

bool agent_taking(const struct core *c, const struct agent *a)
{
	return a->intent == INTENT_AVAILABLE && reachable(c, a);
}

/* The leg that says most about what a person is doing; NULL: he is on no call. */
static const struct leg *busiest_leg(const struct core *c, const struct agent *a)
{
	const struct leg *best = NULL;

	for (const struct leg *l = presence_first(c, a->user); l; l = l->user_next) {
		if (!leg_is_live(l))
			continue;
		if (l->state == LEG_UP || l->state == LEG_ANSWERED)
			return l;
		best = l;
	}
	return best;
}

static enum agent_state derive(const struct core *c, const struct agent *a, const struct leg *l)
{
	if (l)
		return l->state == LEG_UP || l->state == LEG_ANSWERED ? AGENT_TALKING
								      : AGENT_RINGING;
	if (a->intent == INTENT_LOGGED_OUT)
		return AGENT_LOGGED_OUT;
	if (!reachable(c, a))
		return AGENT_UNREACHABLE;
	if (a->intent == INTENT_AWAY)
		return AGENT_AWAY;
	return a->wrapup_until > c->ev->now ? AGENT_WRAPUP : AGENT_FREE;
}

static void state_fact(
	struct core *c, const struct agent *a, enum agent_state was, int64_t ms, const uuid *conv)
{
	struct fact *f;

	if (a->members == NULL)
		return; /* nobody's agent: no row for each call of each phone */
	f = fact_add(c, NULL, FACT_AGENT_STATE);
	str_set(f->agent_state.user, a->user);
	str_set(f->agent_state.state, agent_state_name(a->state));
	str_set(f->agent_state.was, agent_state_name(was));
	f->agent_state.ms = ms;
	str_set(f->agent_state.intent, agent_intent_name(a->intent));
	str_set(f->agent_state.reason, a->reason);
	str_set(f->agent_state.via, origin_name(a->via));
	str_set(f->agent_state.asker, a->by);
	if (was == AGENT_WRAPUP || a->state == AGENT_WRAPUP)
		str_set(f->agent_state.queue, a->wrapup_queue);
	f->agent_state.conv = *conv;
}

/* Who was cancelled keeps his place among those who wait for work; anybody else begins anew. */
static void begin_idle(struct core *c, struct agent *a, enum agent_state was)
{
	if (a->state == AGENT_FREE && was != AGENT_RINGING)
		a->idle_since = c->ev->now;
}

static void change_state(
	struct core *c, struct agent *a, enum agent_state next, const struct leg *l)
{
	const struct call *k = l ? call_of(c, l->id) : NULL;
	enum agent_state was = (enum agent_state)a->state;
	int64_t ms = c->ev->now - a->since;
	uuid conv = a->conv;

	if (k)
		a->conv = k->conv;
	for (struct member *m = a->members; m; m = m->next) {
		m->queue->count[was]--;
		m->queue->count[next]++;
	}
	a->state = (uint8_t)next;
	a->since = c->ev->now;
	begin_idle(c, a, was);
	state_fact(c, a, was, ms, k ? &k->conv : &conv);
	if (k == NULL && next != AGENT_WRAPUP)
		a->conv = (uuid){{0}};
}

/* ---- what follows from it -------------------------------------------------------------------- */

static void count_members(struct core *c, struct agent *a, bool present, bool taking)
{
	for (struct member *m = a->members; m; m = m->next) {
		struct dir_queue *q = m->queue;
		bool fewer = present < m->present || taking < m->taking;

		q->present += (unsigned)present - (unsigned)m->present;
		q->taking += (unsigned)taking - (unsigned)m->taking;
		m->present = present;
		m->taking = taking;
		if (fewer)
			queue_note_emptied(c, q);
	}
}

static void be_fresh(struct core *c, struct agent *a)
{
	if (a->fresh)
		return;
	a->fresh = 1;
	a->next_fresh = c->acd.fresh;
	c->acd.fresh = a;
}

/* In every set of his queues if he may be asked now, in none otherwise. */
static void place(struct core *c, struct agent *a)
{
	bool free_now = a->state == AGENT_FREE && a->rest_until <= c->ev->now;

	for (struct member *m = a->members; m; m = m->next)
		if (free_now)
			member_free(c, m);
		else
			member_busy(m);
	if (free_now)
		be_fresh(c, a);
}

/* The next time at which something about him changes by itself. */
static void set_due(struct core *c, struct agent *a)
{
	int64_t at = 0, now = c->ev->now;

	if (a->state == AGENT_WRAPUP)
		at = a->wrapup_until;
	else if (a->state == AGENT_FREE && a->rest_until > now)
		at = a->rest_until;
	order_remove(&c->acd.due, &a->due);
	if (at == 0)
		return;
	a->due.key[0] = at;
	a->due.key[3] = a->no;
	order_insert(&c->acd.due, &a->due);
}

static void settle(struct core *c, struct agent *a)
{
	const struct leg *l = busiest_leg(c, a);
	enum agent_state next = derive(c, a, l);

	if (next != a->state)
		change_state(c, a, next, l);
	count_members(c, a, agent_present(c, a), agent_taking(c, a));
	place(c, a);
	set_due(c, a);
}

void agents_settle(struct core *c)
{
	while (c->acd.touched) {
		struct agent *a = c->acd.touched;

		c->acd.touched = a->next_touched;
		a->touched = 0;
		settle(c, a);
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

/* One timer for all: of the agent whose time comes first. */
void agents_arm(struct core *c)
{
	struct order_node *n = order_first(&c->acd.due);
	int64_t at = n ? n->key[0] : 0;

	if (at == c->acd.timer_at)
		return;
	c->acd.timer_at = at;
	if (at)
		timer_start(c, ID_NONE, TIMER_AGENT, &c->acd.timer, at - c->ev->now);
	else
		timer_stop(c, ID_NONE, TIMER_AGENT, &c->acd.timer);
}

void agent_timer(struct core *c)
{
	struct order_node *n;

	if (c->acd.timer == 0 || c->ev->timer.serial != c->acd.timer)
		return;
	c->acd.timer = 0;
	c->acd.timer_at = 0;
	while ((n = order_first(&c->acd.due)) != NULL && n->key[0] <= c->ev->now) {
		order_remove(&c->acd.due, n);
		touch(c, ORDER_OF(n, struct agent, due));
	}
}

/* ---- offers and calls ------------------------------------------------------------------------ */

static enum missed missed_of(uint16_t status)
{
	switch (status) {
	case 408:
		return MISSED_NO_ANSWER;
	case 486:
	case 600:
		return MISSED_BUSY;
	case 603:
	case 403:
		return MISSED_DECLINED;
	default:
		return MISSED_UNREACHABLE;
	}
}

static void set_intent(struct core *c, struct agent *a, enum agent_intent intent,
	const char *reason, enum origin via, const char *by)
{
	a->intent = (uint8_t)intent;
	str_set(a->reason, intent == INTENT_AWAY ? reason : "");
	a->via = (uint8_t)via;
	str_set(a->by, by);
	a->intent_since = c->ev->now;
	if (intent == INTENT_AVAILABLE) {
		a->wrapup_until = a->rest_until = 0;
		memset(a->missed, 0, sizeof(a->missed));
	}
	touch(c, a);
}

/* Goes to the end of those who wait for work, is left in peace for the retry delay, and is set away
 * when the same has happened too often. An offer that was lost with the process is nobody's fault. */
void agent_missed(struct core *c, const char *user, const struct dir_queue *q, uint16_t status)
{
	struct agent *a = agent_find(c, user);
	enum missed why = missed_of(status);

	if (a == NULL)
		return;
	a->idle_since = c->ev->now;
	a->rest_from = c->ev->now;
	a->rest_until = a->rest_from + queue_retry_ms(c, q);
	str_set(a->rest_queue, q->row.queue);
	if (c->ev->type != EV_RECOVERED)
		a->missed[why]++;
	if (c->cfg.away_after && a->missed[why] >= c->cfg.away_after &&
		a->intent == INTENT_AVAILABLE) {
		set_intent(c, a, INTENT_AWAY, missed_name(why), ORIGIN_SYSTEM, "segue");
		state_fact(c, a, (enum agent_state)a->state, 0, &a->conv);
	}
	touch(c, a);
}

void agent_answered(struct core *c, const char *user)
{
	struct agent *a = agent_find(c, user);

	if (a == NULL)
		return;
	a->answered++;
	memset(a->missed, 0, sizeof(a->missed));
	touch(c, a);
}

void agent_rules_changed(struct core *c, struct agent *a, const struct dir_queue *q)
{
	if (a->rest_until > c->ev->now && str_eq(a->rest_queue, q->row.queue))
		a->rest_until = a->rest_from + queue_retry_ms(c, q);
	if (a->wrapup_until > c->ev->now && str_eq(a->wrapup_queue, q->row.queue))
		a->wrapup_until = a->wrapup_from + q->row.wrapup_ms;
	touch(c, a);
}

static void served(struct core *c, const struct call *k, const struct leg *l)
{
	int64_t talk_ms = l->served;
	struct dir_queue *q = directory_queue(c, l->queue);
	struct agent *a = agent_find(c, l->user);
	int64_t handled = talk_ms + (q ? q->row.wrapup_ms : 0);

	if (q)
		q->handle_ms = q->handle_ms ? q->handle_ms + (handled - q->handle_ms) / 8 : handled;
	if (a == NULL)
		return;
	a->talk_ms += talk_ms;
	a->conv = k->conv;
	if (q && q->row.wrapup_ms) {
		a->wrapup_from = c->ev->now;
		a->wrapup_until = a->wrapup_from + q->row.wrapup_ms;
		str_set(a->wrapup_queue, q->row.queue);
	}
	touch(c, a);
}

/* Another phone of the same person that is with the same caller, or about to be (E-096). */
static struct leg *goes_on(const struct call *k, const struct leg *l)
{
	for (unsigned i = 0; i < k->nlegs; i++) {
		struct leg *o = k->legs[i];

		if (o != l && str_eq(o->user, l->user) && o->state == LEG_UP &&
			(o->role == ROLE_OWNER || o->role == ROLE_TARGET || o->role == ROLE_KEPT))
			return o;
	}
	return NULL;
}

void agent_leaves(struct core *c, struct call *k, struct leg *l)
{
	struct leg *next = l->queue[0] ? goes_on(k, l) : NULL;

	if (next) {
		str_set(next->queue, l->queue);
		next->served += l->served;
	} else if (l->queue[0]) {
		served(c, k, l);
	}
	l->queue[0] = '\0';
}

/* ---- intent ---------------------------------------------------------------------------------- */

static void answer_command(struct core *c, uint64_t cmd, uint16_t status, const char *text)
{
	struct action *a;

	if (cmd == 0)
		return;
	a = act_add(c, ACT_REPLY, ID_NONE);
	a->cmd = cmd;
	a->status = status;
	str_set(a->text, text);
}

static void choose(struct core *c, struct agent *a, const struct ev_agent *e)
{
	set_intent(c, a, e->intent, e->reason, e->origin, e->asker);
	if (e->origin != ORIGIN_SYSTEM) {
		state_fact(c, a, (enum agent_state)a->state, 0, &a->conv);
		audit(c, NULL, e->asker, e->origin, "agent", e->user,
			agent_intent_name((int)e->intent), e->reason);
	}
	if (e->intent != INTENT_AVAILABLE && c->cfg.withdraw_away)
		offers_withdraw(c, a->user);
}

static void on_intent(struct core *c)
{
	const struct ev_agent *e = &c->ev->agent;
	struct agent *a = directory_user(c, e->user) ? agent_get(c, e->user) : NULL;

	if (a == NULL) {
		answer_command(c, e->cmd, 404, "No such user");
		return;
	}
	choose(c, a, e);
	answer_command(c, e->cmd, 200, "Done");
}

/* ---- phone codes ------------------------------------------------------------------------------
 */

/* The intent that a dialled number stands for, -1: none. What follows the code of away is the
 * reason. */
static int intent_of(const struct core_config *cfg, const char *number, const char **reason)
{
	*reason = "";
	if (!str_empty(cfg->code_available) && str_eq(number, cfg->code_available))
		return INTENT_AVAILABLE;
	if (!str_empty(cfg->code_logout) && str_eq(number, cfg->code_logout))
		return INTENT_LOGGED_OUT;
	if (str_empty(cfg->code_away) || !str_starts(number, cfg->code_away))
		return -1;
	*reason = number + strlen(cfg->code_away);
	return INTENT_AWAY;
}

bool agent_code(struct core *c, char *text, size_t size)
{
	static const char *const said[] = {[INTENT_AVAILABLE] = "You take calls",
		[INTENT_AWAY] = "You are away",
		[INTENT_LOGGED_OUT] = "You are logged out"};
	const struct ev_invite *e = &c->ev->invite;
	struct ev_agent chosen = {.origin = ORIGIN_SIP};
	struct agent *a;
	const char *reason;
	int intent;

	if (e->source != SOURCE_USER || (intent = intent_of(&c->cfg, e->number, &reason)) < 0)
		return false;
	a = directory_user(c, e->user) ? agent_get(c, e->user) : NULL;
	if (a == NULL)
		return false;
	str_set(chosen.user, e->user);
	str_set(chosen.asker, e->user);
	str_set(chosen.reason, reason);
	chosen.intent = (enum agent_intent)intent;
	choose(c, a, &chosen);
	str_copy(text, size, said[intent]);
	return true;
}

static void on_reach(struct core *c)
{
	struct agent *a =
		directory_user(c, c->ev->reach.user) ? agent_get(c, c->ev->reach.user) : NULL;

	if (a == NULL)
		return;
	a->silent = !c->ev->reach.reachable;
	touch(c, a);
}

void agent_event(struct core *c)
{
	if (c->ev->type == EV_AGENT)
		on_intent(c);
	else
		on_reach(c);
}
