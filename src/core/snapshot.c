/*
 * snapshot: a call as plain bytes and back, and the checks that can be made from inside. The bytes
 * are the call's structs one after the other behind a header that names their sizes, so a snapshot
 * of another build is refused, not misread.
 */
#include "core/inner.h"
#include "core/presence.h"
#include "core/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_MAGIC 0x73656702u /* "seg" and the version of this layout */

struct header {
	uint32_t magic, call_size, leg_size, seg_size;
	uint32_t nlegs, nsegs, nshells;
};

static size_t size_of(const struct header *h)
{
	return sizeof(*h) + sizeof(struct call) * (1 + (size_t)h->nshells) +
	       h->nlegs * sizeof(struct leg) + h->nsegs * sizeof(struct segment);
}

/* The call from which leg i of k came, if no leg before it came from there. It leads here, and may be a
 * call again if a join fails: then it goes on as it was, and counts its legs from where it was. */
static const struct call *shell_of(const struct core *c, const struct call *k, unsigned i)
{
	call_id id = id_call(k->legs[i]->id);

	for (unsigned j = 0; j < i; j++)
		if (id_call(k->legs[j]->id) == id)
			return NULL;
	return id == k->id ? NULL : call_find(c, id);
}

int core_snapshot(const struct core *c, call_id id, void **buf, size_t *len)
{
	const struct call *k = call_find(c, id);
	struct header h = {SNAPSHOT_MAGIC, sizeof(struct call), sizeof(struct leg),
		sizeof(struct segment), 0, 0, 0};
	const struct call *shell;
	unsigned char *p;

	if (k == NULL || k->merged_into != ID_NONE)
		return ENOENT;
	h.nlegs = k->nlegs;
	h.nsegs = k->nsegs;
	for (unsigned i = 0; i < k->nlegs; i++)
		h.nshells += shell_of(c, k, i) != NULL;
	*len = size_of(&h);
	if ((*buf = p = malloc(*len)) == NULL)
		return ENOMEM;
	memcpy(p, &h, sizeof(h));
	p += sizeof(h);
	memcpy(p, k, sizeof(*k));
	p += sizeof(*k);
	for (unsigned i = 0; i < k->nlegs; i++, p += sizeof(struct leg))
		memcpy(p, k->legs[i], sizeof(struct leg));
	if (k->nsegs)
		memcpy(p, k->segs, k->nsegs * sizeof(struct segment));
	p += k->nsegs * sizeof(struct segment);
	for (unsigned i = 0; i < k->nlegs; i++)
		if ((shell = shell_of(c, k, i)) != NULL) {
			memcpy(p, shell, sizeof(*shell));
			p += sizeof(*shell);
		}
	return 0;
}

/* ---- restore --------------------------------------------------------------------------------- */

static bool header_fits(const struct header *h, size_t len)
{
	return h->magic == SNAPSHOT_MAGIC && h->call_size == sizeof(struct call) &&
	       h->leg_size == sizeof(struct leg) && h->seg_size == sizeof(struct segment) &&
	       h->nlegs < UINT16_MAX && h->nsegs < UINT16_MAX && h->nshells <= h->nlegs &&
	       len == size_of(h);
}

static void free_slots_rebuild(struct core *c)
{
	c->free_slot = UINT32_MAX;
	for (uint32_t i = c->nslots; i-- > 0;)
		if (c->slots[i].call == NULL) {
			c->slots[i].next_free = c->free_slot;
			c->free_slot = i;
		}
}

/* Makes the very slot of id exist and empty. */
static int claim_slot(struct core *c, call_id id)
{
	uint32_t want = id_slot(id), cap = c->slots_cap ? c->slots_cap : 64;
	struct slot *s;

	if (want < c->nslots && c->slots[want].call)
		return EEXIST;
	while (cap <= want)
		cap *= 2;
	if (cap > c->slots_cap) {
		if ((s = realloc(c->slots, cap * sizeof(*s))) == NULL)
			return ENOMEM;
		c->slots = s;
		c->slots_cap = cap;
	}
	for (; c->nslots <= want; c->nslots++)
		c->slots[c->nslots] = (struct slot){NULL, c->cfg.first_gen, UINT32_MAX};
	c->slots[want].gen = id_gen(id);
	return 0;
}

static int fill_arrays(struct call *k, const struct header *h, const unsigned char *p)
{
	k->legs = calloc(h->nlegs ? h->nlegs : 1, sizeof(*k->legs));
	k->segs = calloc(h->nsegs ? h->nsegs : 1, sizeof(*k->segs));
	k->legs_cap = (uint16_t)(h->nlegs ? h->nlegs : 1);
	k->segs_cap = (uint16_t)(h->nsegs ? h->nsegs : 1);
	k->nlegs = 0;
	k->nsegs = (uint16_t)h->nsegs;
	if (k->legs == NULL || k->segs == NULL)
		return ENOMEM;
	for (; k->nlegs < h->nlegs; k->nlegs++, p += sizeof(struct leg)) {
		if ((k->legs[k->nlegs] = malloc(sizeof(struct leg))) == NULL)
			return ENOMEM;
		memcpy(k->legs[k->nlegs], p, sizeof(struct leg));
	}
	memcpy(k->segs, p, h->nsegs * sizeof(struct segment));
	return 0;
}

/* Legs that came from other calls keep their ids: what leads from there to here exists again. */
static int rebuild_shell(struct core *c, const unsigned char *p)
{
	struct call *shell = malloc(sizeof(*shell));
	int err;

	if (shell == NULL)
		return ENOMEM;
	memcpy(shell, p, sizeof(*shell));
	shell->waiter = NULL;
	shell->legs = NULL;
	shell->segs = NULL;
	shell->legs_cap = shell->segs_cap = shell->nlegs = shell->nsegs = 0;
	shell->moved = 0;
	if ((err = claim_slot(c, shell->id)) != 0) {
		free(shell);
		return err;
	}
	c->slots[id_slot(shell->id)].call = shell;
	return 0;
}

static int lead_here(struct core *c, struct call *k, const struct leg *l)
{
	struct call *shell = call_find(c, l->id);

	if (id_call(l->id) == k->id)
		return 0;
	if (shell == NULL)
		return EINVAL;
	shell->merged_into = k->id;
	shell->moved++;
	return 0;
}

int core_restore(struct core *c, const void *buf, size_t len)
{
	const unsigned char *p = buf;
	struct header h;
	struct call *k;
	int err;

	if (len < sizeof(h))
		return EINVAL;
	memcpy(&h, p, sizeof(h));
	if (!header_fits(&h, len))
		return EINVAL;
	if ((k = malloc(sizeof(*k))) == NULL)
		return ENOMEM;
	memcpy(k, p + sizeof(h), sizeof(*k));
	k->waiter = NULL; /* core_restored() puts it back in line */
	if ((err = fill_arrays(k, &h, p + sizeof(h) + sizeof(*k))) == 0)
		err = claim_slot(c, k->id);
	if (err) {
		call_free_memory(k);
		return err;
	}
	c->slots[id_slot(k->id)].call = k;
	c->live++;
	p += size_of(&h) - h.nshells * sizeof(struct call);
	for (unsigned i = 0; i < h.nshells && err == 0; i++, p += sizeof(struct call))
		err = rebuild_shell(c, p);
	for (unsigned i = 0; i < k->nlegs && err == 0; i++) {
		presence_restore(c, k->legs[i]);
		err = lead_here(c, k, k->legs[i]);
	}
	free_slots_rebuild(c);
	if (err)
		return err;
	return 0;
}

/* How long a state may last from now on, for a guard that has to be started anew. */
static int64_t guard_of(const struct core *c, const struct call *k)
{
	switch ((enum call_state)k->state) {
	case SETUP:
		return c->cfg.setup_ms;
	case ORIGINATE:
	case CONSULT_RING:
	case RING:
		return c->cfg.ring_ms;
	case ALONE:
		return xfer_is_recall(&k->xfer) ? c->cfg.recall_ms : c->cfg.ring_ms;
	case FIND:
	case ALONE_FIND:
		return c->cfg.locate_ms;
	case RESUME:
		return c->cfg.resume_ms;
	case BACK:
		return c->cfg.bye_ms;
	case WAIT:
	case STAY_WAIT:
	case CONSULT_WAIT:
		return queue_guard_ms(c, k);
	default:
		return c->cfg.join_ms;
	}
}

static int64_t leg_guard_of(const struct core *c, enum timer_kind kind, const struct leg *l)
{
	if (kind == TIMER_PART)
		return l->state == LEG_NOTIFYING ? c->cfg.notify_ms : leg_bye_ms(c, l);
	return kind == TIMER_CLOSE ? c->cfg.close_ms : kind == TIMER_MUSIC ? MUSIC_ANSWER_MS : 2100;
}

void core_restored(struct core *c, call_id id, int64_t now, struct core_out *out)
{
	struct event ev = {.type = EV_TIMER, .now = now, .call = id};
	struct call *k = call_find(c, id);

	out->nactions = out->nfacts = 0;
	if (k == NULL)
		return;
	c->ev = &ev;
	c->acd.now = now;
	c->out = out;
	queue_restore(c, k);
	if (k->timer)
		timer_start(c, k->id, TIMER_STATE, &k->timer, guard_of(c, k));
	for (unsigned i = 0; i < k->nlegs; i++) {
		c->untold += k->legs[i]->fate == FATE_UNTOLD;
		for (int t = 0; t < timer_kind_count_; t++)
			if (k->legs[i]->timer[t])
				timer_start(c, k->legs[i]->id, (enum timer_kind)t, &k->legs[i]->timer[t],
					leg_guard_of(c, (enum timer_kind)t, k->legs[i]));
	}
	core_name_calls(c, out);
	c->ev = NULL;
	c->out = NULL;
}

void core_retell(struct core *c, call_id id, int64_t now, struct core_out *out)
{
	struct event ev = {.type = EV_TIMER, .now = now, .call = id};
	struct call *k = call_find(c, id);

	out->nactions = out->nfacts = 0;
	if (k == NULL || k->open != RECORD_OPEN)
		return;
	c->ev = &ev;
	c->out = out;
	record_retell(c, k);
	if (!uuid_is_nil(&k->xfer.id))
		xfer_retell(c, k);
	c->ev = NULL;
	c->out = NULL;
}

/* ---- invariants ------------------------------------------------------------------------------ */

static char complaint[160];

static const char *complain(const struct call *k, const char *what)
{
	char id[ID_STRLEN];

	snprintf(complaint, sizeof(complaint), "call %s in %s: %s", id_str(k->id, id),
		call_state_name(k->state), what);
	return complaint;
}

static unsigned count_role(const struct call *k, enum role role)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->nlegs; i++)
		n += k->legs[i]->role == role;
	return n;
}

static bool consults(unsigned state)
{
	return state == CONSULT_RING || state == CONSULT_JOIN || state == CONSULT ||
	       state == CONSULT_WAIT || state == CONSULT_QUEUE_JOIN || state == ASIDE;
}

static bool is_stable(unsigned state)
{
	return state == TALK || state == CONSULT || state == ASIDE || state == END;
}

static bool has_owner(unsigned state)
{
	return state == TALK || state == RING || state == JOIN || state == RESUME || state == BACK ||
	       state == FIND || state == PASSED || state == STAY_WAIT || state == STAY_JOIN ||
	       consults(state);
}

static bool rings_nobody(unsigned state)
{
	return state == TALK || state == RESUME || state == BACK || state == FIND ||
	       state == ALONE_FIND || state == PASSED || state == PASSED_ALONE;
}

static const char *check_roles(const struct call *k)
{
	unsigned nk = count_role(k, ROLE_KEPT), no = count_role(k, ROLE_OWNER);
	unsigned nt = count_role(k, ROLE_TARGET);

	if (k->state == CHAIN || k->state == UNDO)
		return complain(k, "an instant state outlived its step");
	if (k->state == END)
		return nk + no + nt ? complain(k, "ended, and somebody still has a role") : NULL;
	if (queue_waits(k->state) != (k->waiter != NULL))
		return complain(k, "place in a queue and state disagree");
	if (k->state == ORIGINATE)
		return nk + no || nt == 0 ? complain(k, "only the caller's own phones may ring") : NULL;
	if (nk != 1)
		return complain(k, "there must be exactly one kept party");
	if (has_owner(k->state) != (no == 1))
		return complain(k, "owner and state disagree");
	if (!queue_waits(k->state) && rings_nobody(k->state) != (nt == 0))
		return complain(k, "targets and state disagree");
	return NULL;
}

static const char *check_timers(const struct call *k)
{
	bool transient = !is_stable(k->state);

	if (transient != (k->timer != 0))
		return complain(k, transient ? "no guard" : "a guard in a stable state");
	for (unsigned i = 0; i < k->nlegs; i++) {
		const struct leg *l = k->legs[i];

		if ((l->state == LEG_CLOSING) != (l->timer[TIMER_CLOSE] != 0))
			return complain(k, "closing leg and its guard disagree");
		if ((l->state == LEG_NOTIFYING || l->state == LEG_PARTING) !=
			(l->timer[TIMER_PART] != 0))
			return complain(k, "parting leg and its guard disagree");
		if (l->oa == OA_GLARE && l->state != LEG_CLOSING && l->timer[TIMER_GLARE] == 0)
			return complain(k, "glare without its timer");
	}
	return NULL;
}

static const char *check_bridge(const struct call *k)
{
	const struct leg *a = call_leg(k, k->bridge.a), *b = call_leg(k, k->bridge.b);

	if (k->bridge.state == BRIDGE_NONE)
		return NULL;
	if ((a && !leg_is_live(a)) || (b && !leg_is_live(b)))
		return complain(k, "somebody hears a dead leg");
	if (k->bridge.state != BRIDGE_HOLD && (a == NULL || b == NULL))
		return complain(k, "a bridge with one end");
	return NULL;
}

static const char *check_segments(const struct call *k)
{
	for (unsigned i = 0; i < k->nlegs; i++) {
		const struct leg *l = k->legs[i];

		if (l->role == ROLE_PAST && l->seg != NO_SEG)
			return complain(k, "a released leg has an open segment");
		if (l->seg != NO_SEG && (l->seg >= k->nsegs || k->segs[l->seg].state == IV_FREE))
			return complain(k, "a leg points at a closed segment");
	}
	return NULL;
}

/* Two calls of which one is a consultation for the other know of each other. */
static const char *check_consult(const struct core *c, const struct call *k)
{
	const struct call *first = k->consult_of ? call_of(c, k->consult_of) : NULL;
	const struct call *second = k->consult ? call_of(c, k->consult) : NULL;

	if (k->merged_into != ID_NONE || c->untold > 0) /* after a restart they are told one by one */
		return NULL;
	if (first && call_of(c, first->consult) != k)
		return complain(k, "a consultation for a call that does not know of it");
	if (second && call_of(c, second->consult_of) != k)
		return complain(k, "a consultation that does not know what it is for");
	return NULL;
}

const char *core_check(const struct core *c)
{
	const char *why = NULL;

	for (uint32_t i = 0; i < c->nslots && why == NULL; i++) {
		const struct call *k = c->slots[i].call;

		if (k == NULL)
			continue;
		if ((why = check_roles(k)) == NULL && (why = check_timers(k)) == NULL &&
			(why = check_bridge(k)) == NULL && (why = check_segments(k)) == NULL &&
			(why = check_consult(c, k)) == NULL &&
			(why = moh_check(k)) != NULL)
			why = complain(k, why);
	}
	return why ? why : acd_check(c);
}
