/* world: see world.h. */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/dialplan.h"
#include "sim/centre.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define CALLS_MAX  10		     /* at once */
#define SLOW_MAX   5		     /* .. so that most people are free */
#define CENTRE_MAX 90		     /* the same in a call centre */
#define T1_64_MS   32000	     /* 64*T1: a SIP transaction gives up */
#define SILENCE_MS (T1_64_MS + 5000) /* INV-1: then nothing may remain */

/* What somebody is going to do. */
enum todo_kind {
	DO_INVITE,
	DO_PROGRESS,
	DO_RELIABLE,
	DO_EARLY_UPDATE,
	DO_ANSWER,
	DO_REJECT,
	DO_REDIRECT,
	DO_CANCEL,
	DO_ACK,
	DO_NO_ACK,
	DO_BYE,
	DO_GONE,
	DO_CLOSED,
	DO_HOLD,
	DO_UNHOLD,
	DO_OFFER,
	DO_OFFER_NONE,
	DO_WITHDRAW,
	DO_OA_DONE,
	DO_REFRESH,
	DO_MEDIA_LOST,
	DO_PLAYED,
	DO_UNPLAYED,
	DO_UNPRESSED,
	DO_INFO,
	DO_REFER,
	DO_CONSULT,
	DO_MEET,
	DO_NOTIFY_DONE,
	DO_LOCATED,
	DO_REFERRED,
	DO_REFER_NOTIFY,
	DO_COMMAND,
	DO_DIAL,
	DO_DIRECTORY,
	DO_CONFIG,
	DO_STRAY,
	DO_SNAPSHOT,
	DO_DIE,
	DO_FATES
};

struct todo {
	int64_t at;
	uint32_t seq;
	enum todo_kind kind;
	leg_id leg;
	uint64_t arg; /* status, or the cmd of a NOTIFY */
};

/* A phone, or whatever answers at the far end of a leg. */
struct phone {
	leg_id id;
	bool is_user;
	bool living;	/* its talk was planned */
	bool gone;	/* it hung up while nobody was there to hear it */
	bool moved;	/* it has another session than the process that died had written down */
	enum dir wants; /* sendrecv, or how it holds */
	char user[USER_MAX];
	UT_hash_handle hh;
};

/* What is common in this world, so that rare rows are taken often enough. */
enum theme {
	THEME_ANY,
	THEME_CLICKS, /* consultations by command */
	THEME_PASSED, /* the trunk is asked to carry out transfers */
	THEME_SLOW    /* as clicks; people are free, but joins take their time: much happens then */
};

static enum theme theme_of(uint64_t seed)
{
	static const enum theme themes[] = {
		THEME_CLICKS, THEME_PASSED, THEME_SLOW, THEME_SLOW, THEME_ANY};

	return themes[seed % COUNT(themes)];
}

struct world {
	struct sim sim;
	enum theme theme;
	struct rng rng;
	int64_t now, skew_us;
	struct todo *heap;
	unsigned nheap, heap_cap;
	uint32_t seq, contact;
	uint64_t cmd;
	struct phone *phones;
	leg_id graves[16]; /* legs that are no more, for late events */
	unsigned ngraves;
	unsigned unplayed; /* per cent of music that no engine plays */
	bool quiet; /* nobody begins anything any more */
	enum world_mode mode;
	struct centre *centre; /* NULL: seven people */
};

static bool clicks_much(const struct world *w)
{
	return w->theme == THEME_CLICKS || w->theme == THEME_SLOW;
}

/* ---- the agenda: a binary heap by time ------------------------------------------------------- */

static bool earlier(const struct todo *a, const struct todo *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void heap_up(struct world *w, unsigned i)
{
	while (i > 0 && earlier(&w->heap[i], &w->heap[(i - 1) / 2])) {
		struct todo t = w->heap[i];

		w->heap[i] = w->heap[(i - 1) / 2];
		w->heap[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
}

static void heap_down(struct world *w)
{
	for (unsigned i = 0;;) {
		unsigned c = 2 * i + 1;
		struct todo t;

		if (c + 1 < w->nheap && earlier(&w->heap[c + 1], &w->heap[c]))
			c++;
		if (c >= w->nheap || !earlier(&w->heap[c], &w->heap[i]))
			return;
		t = w->heap[i];
		w->heap[i] = w->heap[c];
		w->heap[c] = t;
		i = c;
	}
}

static void plan_arg(struct world *w, int64_t in, enum todo_kind kind, leg_id leg, uint64_t arg)
{
	if (w->nheap == w->heap_cap) {
		w->heap_cap = w->heap_cap ? w->heap_cap * 2 : 256;
		w->heap = realloc(w->heap, w->heap_cap * sizeof(*w->heap));
		if (w->heap == NULL)
			abort();
	}
	w->heap[w->nheap++] = (struct todo){w->now + in, w->seq++, kind, leg, arg};
	heap_up(w, w->nheap - 1);
}

static void plan(struct world *w, int64_t in, enum todo_kind kind, leg_id leg)
{
	plan_arg(w, in, kind, leg, 0);
}

static struct todo next_todo(struct world *w)
{
	struct todo t = w->heap[0];

	w->heap[0] = w->heap[--w->nheap];
	heap_down(w);
	return t;
}

static bool chance(struct world *w, unsigned percent)
{
	return rng_chance(&w->rng, percent);
}

static int64_t range(struct world *w, int64_t from, int64_t to)
{
	return rng_range(&w->rng, from, to);
}

static int64_t network(struct world *w)
{
	return range(w, 1, 60);
}

/* ---- who there is ---------------------------------------------------------------------------- */

static const struct {
	const char *name, *number;
	unsigned phones;
	bool enabled, may_transfer;
} users[] = {
	{"alice", "201", 1, true, true},
	{"bob", "202", 2, true, true},
	{"carol", "203", 1, true, true},
	{"dave", "204", 3, true, true},
	{"erin", "205", 1, true, false},
	{"frank", "206", 1, false, true},
	{"grace", "207", 0, true, true},
};

static const char *const numbers[] = {"201", "202", "203", "204", "205", "206", "207", "300", "301",
	"400", "0891234", "0441234", "0900666", "999", "", "+49 (89) 123", "500", "bob", "601",
	"611", "612", "613", "614"};

static const char *any_number(struct world *w)
{
	return numbers[rng_below(&w->rng, COUNT(numbers))];
}

static const char *good_number(struct world *w)
{
	static const char *const good[] = {"201", "202", "203", "204", "300", "400", "0891234"};

	return good[rng_below(&w->rng, COUNT(good))];
}

static const char *some_number(struct world *w)
{
	const char *user, *number;

	if (w->centre != NULL && chance(w, 85)) {
		centre_agent(w->centre, &user, &number);
		return chance(w, 75) ? centre_queue_number(w->centre) : number;
	}
	return chance(w, 75) ? good_number(w) : any_number(w);
}

static const struct route routes[] = {
	{.pattern = "0900.", .kind = TARGET_NONE},
	{.pattern = "044.",
		.kind = TARGET_EXTERNAL,
		.target = "trunk",
		.strip = 1,
		.prefix = "+49",
		.source = DIALPLAN_USERS},
	{.pattern = "0.",
		.kind = TARGET_EXTERNAL,
		.target = "trunk",
		.strip = 1,
		.prefix = "+49",
		.transfer = true,
		.failover = {"backup", "last"},
		.nfailover = 2},
	{.pattern = "50!", .kind = TARGET_VOICEMAIL, .target = "pbx", .transfer = true},
	{.pattern = "60X", .kind = TARGET_USER, .strip = 3, .prefix = "201", .transfer = true},
	{.pattern = "611", .kind = TARGET_USER, .target = "bob", .transfer = true},
	{.pattern = "612", .kind = TARGET_QUEUE, .target = "support", .transfer = true},
	{.pattern = "613", .kind = TARGET_IVR, .target = "menu", .transfer = true},
	{.pattern = "614", .kind = TARGET_USER, .target = "nobody", .transfer = true},
};

void world_config(uint64_t seed, struct core_config *cfg)
{
	struct rng r = {seed ^ UINT64_C(0xc0ffee)};
	static const char *const chains[][3] = {
		{"recall", "user:carol", "announce:0777"},
		{"recall", "hangup?busy", "hangup"},
		{"user:grace", "recall?no_answer,busy,unreachable", "user:dave"},
		{"announce:0777?declined", "recall", "hangup"},
		{"recall", "queue:support?busy,unreachable", "voicemail"},
		{"voicemail?no_answer", "voicemail:bob?busy", "queue:support"},
	};

	core_config_default(cfg);
	str_set(cfg->voicemail_prefix, "50"); /* only what a route knows is a mailbox */
	for (int kind = TARGET_NONE; kind < (int)target_kind_count_; kind++) {
		struct chain *ch = &cfg->fallback[kind];
		unsigned which = rng_below(&r, COUNT(chains));

		ch->n = kind == TARGET_NONE || rng_chance(&r, 40) ? rng_below(&r, 4) : 0;
		for (unsigned i = 0; i < ch->n; i++)
			if (fallback_parse(chains[which][i], &ch->step[i]) != 0)
				abort();
	}
	cfg->can_play = rng_chance(&r, 60);
	cfg->record_hold = rng_chance(&r, 50);
	cfg->nrecord_user = rng_chance(&r, 50);
	str_set(cfg->record_user[0], "*");
	cfg->queue_ring_ms = 4000;
	cfg->queue_retry_ms = 1500;
	cfg->queue_wait_ms = rng_chance(&r, 50) ? 60000 : 12000;
	cfg->away_after = rng_below(&r, 5);
	cfg->withdraw_away = rng_chance(&r, 50);
	cfg->refer_foreign = rng_chance(&r, 30);
	cfg->onhook_join = rng_chance(&r, 40);
	cfg->consult_belongs = rng_chance(&r, 80);
	cfg->dial_unknown = rng_chance(&r, 25);
	cfg->redirect = rng_chance(&r, 80);
	cfg->redirect_max = rng_below(&r, 6);
	str_set(cfg->numbering.country, rng_chance(&r, 90) ? "49" : "");
	cfg->ring_busy = rng_chance(&r, 80);
	str_set(cfg->peer[0].name, "backup");
	cfg->peer[0].policy.late_sdp = true;
	cfg->peer[1].policy.early_media = rng_chance(&r, 70);
	str_set(cfg->peer[1].name, "trunk");
	cfg->peer[1].policy.late_sdp = rng_chance(&r, 30);
	str_set(cfg->peer[2].name, "far"); /* another segued */
	cfg->peer[2].policy.node = 2;
	cfg->npeer = 3;
	cfg->locate_ms = rng_chance(&r, 85) ? 2000 : 0;
	cfg->peer[1].policy.refer = rng_chance(&r, 60)   ? REFER_REJECT
				    : rng_chance(&r, 70) ? REFER_TRANSPARENT
							 : REFER_TERMINATE;
	if (rng_chance(&r, 30)) {
		str_set(cfg->peer[3].name, "pbx");
		cfg->peer[3].policy.refer = REFER_TRANSPARENT;
		cfg->npeer = 4;
	}
	if (theme_of(seed) == THEME_PASSED)
		cfg->peer[1].policy.refer = REFER_TRANSPARENT;
	if (theme_of(seed) == THEME_CLICKS)
		cfg->ring_ms = 5000; /* nobody answers in time */
	cfg->ring_away = rng_chance(&r, 80);
	cfg->ring_unregistered = rng_chance(&r, 80);
	cfg->no_answer_status = rng_chance(&r, 50) ? 408 : 480;
	if (rng_chance(&r, 30))
		cfg->join_ms = 1500; /* so that joins do time out */
	if (rng_chance(&r, 50))
		cfg->resume_ms = 4000; /* .. and transferors who do nothing are seen */
	memcpy(cfg->route, routes, sizeof(routes));
	cfg->nroute = COUNT(routes);
	str_set(cfg->music_uri, rng_chance(&r, 15) ? "sip:music@192.0.2.9" : "");
}

/* ---- phones ---------------------------------------------------------------------------------- */

static struct phone *phone_of(struct world *w, leg_id id)
{
	struct phone *p;

	HASH_FIND(hh, w->phones, &id, sizeof(id), p);
	return p;
}

static struct phone *phone_new(struct world *w, leg_id id, const char *user)
{
	struct phone *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->id = id;
	p->is_user = user[0] != '\0';
	p->wants = DIR_SENDRECV;
	str_set(p->user, user);
	HASH_ADD(hh, w->phones, id, sizeof(p->id), p);
	return p;
}

static void phone_free(struct world *w, leg_id id)
{
	struct phone *p = phone_of(w, id);

	if (p != NULL) {
		HASH_DEL(w->phones, p);
		free(p);
	}
	w->graves[w->ngraves++ % COUNT(w->graves)] = id;
}

/* What the phone writes: as an offer what it wants, as an answer what `heard` leaves of that. */
static struct sdp_note note(struct world *w, struct phone *p, enum sdp_what what, enum dir heard)
{
	struct ct_leg *l = contract_leg(&w->sim.ct, p->id);
	struct sdp_note n = {.what = what, .usable = true, .dir = p->wants};

	if (what == SDP_ANSWER)
		n.dir = dir_and(p->wants, dir_reverse(heard));
	if (what == SDP_ANSWER && chance(w, 2))
		n.dir = dir_and(n.dir, DIR_RECVONLY); /* holds without reason (E-051) */
	n.same = !p->moved && l != NULL && l->ver != 0 && (what == SDP_ANSWER || n.dir == l->dir) &&
		 !chance(w, 4); /* or it moved: NAT, another codec */
	n.image = chance(w, 1);
	p->moved = false;
	return n;
}

/* ---- sending events -------------------------------------------------------------------------- */

static void react(struct world *w, const struct event *ev);

/* Whoever has a phone in his hand is shown to the call centre's judge. */
static void judge_centre(struct world *w)
{
	struct phone *p, *pt;

	if (w->centre == NULL || w->sim.failed || w->sim.death.nids > 0)
		return; /* after a restart it does not know yet whose phones are there */
	centre_begin(w->centre);
	HASH_ITER (hh, w->phones, p, pt) {
		struct ct_leg *l = p->is_user ? contract_leg(&w->sim.ct, p->id) : NULL;

		if (l != NULL)
			centre_leg(w->centre, p->user, l);
	}
	centre_judge(w->centre, &w->sim);
}

static bool send(struct world *w, struct event *ev)
{
	ev->now = w->now;
	ev->wall = SIM_WALL0 + w->now * 1000 + w->skew_us;
	ev->rnd = rng_next(&w->rng);
	if (!sim_step(&w->sim, ev))
		return false;
	if (w->sim.death.dead)
		return false; /* nothing comes of it any more */
	if (w->centre != NULL)
		centre_hear(w->centre, &w->sim.out);
	if (!w->sim.failed)
		react(w, ev);
	if (ev->type != EV_INVITE) /* whose phone is known only afterwards */
		judge_centre(w);
	return true;
}

static void on_timer(void *arg, const struct event *ev)
{
	struct world *w = arg;

	w->now = ev->now;
	if (w->centre != NULL)
		centre_hear(w->centre, &w->sim.out);
	if (!w->sim.failed)
		react(w, ev);
	judge_centre(w);
}

static bool send_simple(struct world *w, enum ev type, leg_id leg)
{
	struct event ev = {.type = type, .leg = leg};

	return send(w, &ev);
}

static void do_unpressed(struct world *w, leg_id leg)
{
	struct event ev = {.type = EV_UNPRESSED, .leg = leg};

	str_set(ev.unpressed.left, "2#");
	send(w, &ev);
}

/* ---- directory ------------------------------------------------------------------------------- */

static void tell_user(struct world *w, unsigned i, bool gone)
{
	struct event ev = {.type = EV_DIR_USER};

	ev.user.gone = gone;
	ev.user.enabled = users[i].enabled;
	ev.user.may_transfer = users[i].may_transfer;
	str_set(ev.user.user, users[i].name);
	str_set(ev.user.number, users[i].number);
	str_set(ev.user.name, users[i].name);
	ev.user.role = i == 2 ? USER_SUPERVISOR : USER_AGENT;
	str_set(ev.user.may_dial, i == 3 ? "premium,national" : "");
	send(w, &ev);
}

static void tell_contacts(struct world *w, unsigned i, unsigned n)
{
	struct event ev = {.type = EV_CONTACTS};

	str_set(ev.contacts.user, users[i].name);
	ev.contacts.n = n;
	for (unsigned k = 0; k < n; k++)
		ev.contacts.contact[k] = ++w->contact;
	send(w, &ev);
}

static void tell_queue(struct world *w, const char *queue, const char *number)
{
	struct event ev = {.type = EV_DIR_QUEUE};

	str_set(ev.queue.queue, queue);
	str_set(ev.queue.number, number);
	str_set(ev.queue.name, queue);
	send(w, &ev);
}

static void tell_member(struct world *w, const char *queue, const char *user, bool gone)
{
	struct event ev = {.type = EV_DIR_MEMBER};

	str_set(ev.member.queue, queue);
	str_set(ev.member.user, user);
	ev.member.gone = gone;
	send(w, &ev);
}

static void tell_class(struct world *w, const char *name, const char *pattern, uint8_t roles)
{
	struct event ev = {.type = EV_DIR_CLASS};

	str_set(ev.class.name, name);
	str_set(ev.class.pattern, pattern);
	ev.class.roles = roles;
	send(w, &ev);
}

static void tell_event(void *arg, struct event *ev)
{
	send(arg, ev);
}

static void tell_all(struct world *w)
{
	struct event ivr = {.type = EV_DIR_IVR};

	if (w->mode == WORLD_CENTRE) {
		w->centre = centre_create(&w->rng, tell_event, w);
		centre_open(w->centre);
	}

	for (unsigned i = 0; i < COUNT(users); i++) {
		tell_user(w, i, false);
		tell_contacts(w, i, users[i].phones);
	}
	tell_queue(w, "support", "300");
	tell_member(w, "support", "bob", false);
	tell_member(w, "support", "carol", false);
	tell_queue(w, "empty", "301");
	str_set(ivr.ivr.ivr, "menu");
	str_set(ivr.ivr.number, "400");
	str_set(ivr.ivr.peer, "pbx");
	str_set(ivr.ivr.dial, "7400");
	str_set(ivr.ivr.digits, ",12#");
	send(w, &ivr);
	tell_class(w, "premium", "+49900.", 0);
	tell_class(w, "international", "+.", 1u << USER_SUPERVISOR);
}

static void change_directory(struct world *w)
{
	unsigned i = rng_below(&w->rng, COUNT(users));
	struct event ev = {.type = EV_AUDIT};

	if (w->centre != NULL && chance(w, 90)) {
		centre_change(w->centre, SIM_WALL0 + w->now * 1000 + w->skew_us);
		return;
	}
	switch (rng_below(&w->rng, 7)) {
	case 0:
		tell_user(w, i, chance(w, 20));
		break;
	case 5: /* whoever waits there has to go */
		for (i = 0; i < COUNT(users); i++)
			tell_member(w, "support", users[i].name, true);
		tell_member(w, "support", "bob", false);
		tell_member(w, "support", "carol", false);
		break;
	case 1:
		tell_member(w, "support", users[i].name, chance(w, 50));
		break;
	case 2:
		str_set(ev.audit.who, "192.0.2.9");
		str_set(ev.audit.action, "invite");
		str_set(ev.audit.why, "unknown address");
		send(w, &ev);
		break;
	default:
		tell_contacts(w, i, rng_below(&w->rng, users[i].phones + 2));
		break;
	}
}

/* ---- calls ----------------------------------------------------------------------------------- */

static const enum ev clicks[] = {EV_XFER_CANCEL, EV_XFER_CANCEL, EV_XFER_CANCEL, EV_HANGUP,
	EV_COMPLETE, EV_SWAP, EV_HOLD, EV_UNHOLD, EV_RESUME, EV_NOTE,
	EV_RECORD};

static void plan_command(struct world *w, leg_id leg, int64_t within)
{
	unsigned kind = rng_below(&w->rng, 100);

	enum ev click = clicks[rng_below(&w->rng, COUNT(clicks))];

	plan_arg(w, range(w, 0, within), DO_COMMAND, leg,
		kind < (clicks_much(w) ? 40 : 60) ? EV_TRANSFER : click);
}

static unsigned calls_max(const struct world *w)
{
	if (w->centre != NULL)
		return CENTRE_MAX;
	return w->theme == THEME_SLOW ? SLOW_MAX : CALLS_MAX;
}

static void fill_source(struct world *w, struct ev_invite *i)
{
	unsigned u = rng_below(&w->rng, COUNT(users));
	const char *user = users[u].name, *number = users[u].number;
	unsigned outside = w->theme == THEME_PASSED || w->theme == THEME_SLOW ? 85 : 70;

	if (w->centre != NULL)
		centre_agent(w->centre, &user, &number);
	if (chance(w, w->centre != NULL ? 92 : outside)) {
		i->source = SOURCE_PEER;
		str_set(i->peer, chance(w, 80) ? "trunk" : "pbx");
		snprintf(i->from.number, sizeof(i->from.number), "+4989%u",
			rng_below(&w->rng, 1000));
		i->from.anonymous = chance(w, 5);
		i->may_refer = chance(w, 20);
	} else {
		i->source = SOURCE_USER;
		str_set(i->user, user);
		str_set(i->from.number, number);
		i->may_refer = true;
	}
}

/* Sends an INVITE with whatever body; returns the caller's phone, NULL if there is none. */
static struct phone *begin_call(struct world *w, struct event *ev)
{
	struct phone p = {.wants = DIR_SENDRECV}; /* not on the line yet */
	unsigned kind = rng_below(&w->rng, 100);
	struct phone *mine;

	if (ev->invite.number[0] == '\0')
		str_set(ev->invite.number, some_number(w));
	ev->invite.immediate = chance(w, 10);
	ev->invite.bye = chance(w, 20) ? BYE_NOW : BYE_WAIT;
	ev->invite.rel_required = chance(w, 10);
	ev->invite.handle = ++w->cmd;
	snprintf(ev->invite.sip_call_id, sizeof(ev->invite.sip_call_id), "c%llu",
		(unsigned long long)w->cmd);
	if (kind < 85)
		ev->invite.sdp = note(w, &p, SDP_OFFER, DIR_SENDRECV);
	else if (kind < 96)
		ev->invite.sdp.what = SDP_NONE;
	else if (kind < 98)
		ev->invite.sdp.what = SDP_BAD;
	else
		ev->invite.sdp = (struct sdp_note){.what = SDP_OFFER, .dir = DIR_SENDRECV};
	if (!send(w, ev) || w->sim.failed || w->sim.out.leg == ID_NONE)
		return NULL;
	mine = phone_new(w, w->sim.out.leg, ev->invite.user);
	if (contract_leg(&w->sim.ct, mine->id)->state == CT_ENDING)
		plan(w, network(w), DO_CLOSED, mine->id);
	if (chance(w, 12))
		plan(w, range(w, 1, 15000), DO_CANCEL, mine->id);
	return mine;
}

static struct phone *some_phone(struct world *w)
{
	unsigned n = HASH_COUNT(w->phones), i = n ? rng_below(&w->rng, n) : 0;
	struct phone *p = w->phones;

	while (p != NULL && i-- > 0)
		p = p->hh.next;
	return p;
}

/* Calls somebody and is not answered yet. */
static bool calls_out(struct world *w, const struct phone *p)
{
	struct call_view v;

	if (!p->is_user || !core_view(w->sim.core, core_call_of(w->sim.core, p->id), &v) ||
		(strcmp(v.state, "SETUP") != 0 && strcmp(v.state, "WAIT") != 0))
		return false;
	for (unsigned i = 0; i < v.nlegs; i++)
		if (v.legs[i].id == p->id)
			return strcmp(v.legs[i].role, "kept") == 0;
	return false;
}

static struct phone *some_caller(struct world *w)
{
	struct phone *p = w->phones;

	while (p != NULL && !calls_out(w, p))
		p = p->hh.next;
	return p;
}

/* His REFER has come to another node: that one has somebody to come in his place (E-090). */
static void do_take(struct world *w)
{
	struct event ev = {.type = EV_INVITE};
	struct phone *old = some_caller(w);

	if (old == NULL)
		return;
	fill_source(w, &ev.invite);
	ev.invite.source = SOURCE_PEER;
	ev.invite.user[0] = '\0';
	str_set(ev.invite.peer, "pbx");
	ev.invite.replaces = old->id;
	ev.invite.linked = (uuid){{1, 7}};
	begin_call(w, &ev);
}

static void do_invite(struct world *w)
{
	struct event ev = {.type = EV_INVITE};
	struct phone *mine, *old = chance(w, 8) ? some_phone(w) : NULL;

	plan(w, w->centre != NULL ? range(w, 20, 900) : range(w, 100, 4000), DO_INVITE, ID_NONE);
	if (core_call_count(w->sim.core) >= calls_max(w))
		return;
	if (chance(w, 4))
		do_take(w);
	fill_source(w, &ev.invite);
	if (old != NULL) { /* another phone takes over (E-096) */
		ev.invite.replaces = chance(w, 95) ? old->id : old->id ^ 1;
		ev.invite.early_only = chance(w, 20);
		ev.invite.linked = (uuid){{chance(w, 20), 7}};
		if (old->is_user && chance(w, 85)) {
			ev.invite.source = SOURCE_USER;
			str_set(ev.invite.user, old->user);
		}
	}
	mine = begin_call(w, &ev);
	if (mine != NULL && chance(w, 5)) /* the operator is early */
		plan_command(w, mine->id, 1500);
}

/* Somebody who holds a call makes a second one, and most likely brings the two together. */
static void do_consult(struct world *w, struct phone *p)
{
	struct event ev = {.type = EV_INVITE};
	leg_id first = p->id, m;
	struct phone *mine;

	if (!p->is_user)
		return;
	ev.invite.source = SOURCE_USER;
	ev.invite.may_refer = true;
	str_set(ev.invite.user, p->user);
	str_set(ev.invite.from.number, p->user);
	if (chance(w, w->theme == THEME_PASSED ? 80 : 40)) /* where the customer is, too */
		str_set(ev.invite.number, "0891234");
	else if (clicks_much(w) && chance(w, 40))
		str_set(ev.invite.number, "300");
	mine = begin_call(w, &ev);
	if (mine == NULL)
		return;
	m = mine->id;
	if (chance(w, 75))
		plan(w, range(w, 20, 9000), DO_MEET, chance(w, 80) ? first : m);
	if (chance(w, 12))
		plan(w, range(w, 20, 9000), DO_BYE, chance(w, 70) ? first : m); /* E-097 */
	if (chance(w, 10))
		plan(w, range(w, 20, 9000), DO_UNHOLD, first);
}

static const uint16_t refusals[] = {486, 600, 603, 480, 404, 408, 500, 503, 488, 606, 415, 484, 403,
	410, 401, 407, 420, 482, 483};

/* What somebody who is being rung will do. */
static void plan_ringing(struct world *w, leg_id leg)
{
	unsigned kind = rng_below(&w->rng, w->theme == THEME_SLOW ? 72 : 100);
	int64_t ring = range(w, 20, w->theme == THEME_SLOW ? 2500 : 9000);

	if (chance(w, 80))
		plan_arg(w, range(w, 1, 200), DO_PROGRESS, leg, chance(w, 20) ? 183 : 180);
	if (chance(w, 10))
		plan(w, range(w, 100, 300), DO_RELIABLE, leg);
	if (kind < 62) {
		plan(w, ring, DO_ANSWER, leg);
	} else if (kind < 80) {
		plan_arg(w, chance(w, 50) ? network(w) : ring, DO_REJECT, leg,
			refusals[rng_below(&w->rng, COUNT(refusals))]);
	} else if (kind < 85) {
		plan(w, network(w), DO_REDIRECT, leg);
	} else if (kind < 90) {
		plan_arg(w, T1_64_MS, DO_REJECT, leg, 408);
	} /* else it rings on until somebody stops it */
	if (chance(w, 4))
		plan(w, range(w, 300, 2000), DO_EARLY_UPDATE, leg);
}

/* What somebody who is connected will do. */
static void plan_talk(struct world *w, struct phone *p)
{
	if (p->living)
		return;
	p->living = true;
	plan(w, chance(w, 5) ? range(w, 0, 50) : range(w, 500, 40000), DO_BYE, p->id);
	if (chance(w, !p->is_user ? 8 : w->theme == THEME_PASSED || w->theme == THEME_SLOW ? 25 : 60)) {
		int64_t at = range(w, 50, 10000);

		if (chance(w, 60))
			plan(w, at - range(w, 0, 50), DO_HOLD, p->id);
		plan(w, at, DO_REFER, p->id);
		if (chance(w, 15))
			plan(w, at + range(w, 0, 2000), DO_REFER, p->id);
	}
	if (chance(w, !p->is_user ? 0 : w->theme == THEME_PASSED ? 90 : 45)) {
		int64_t at = range(w, 50, 10000);

		if (chance(w, 90))
			plan(w, at - range(w, 20, 50), DO_HOLD, p->id);
		plan(w, at, DO_CONSULT, p->id);
	}
	if (chance(w, 25)) {
		int64_t at = range(w, 50, 10000);

		plan(w, at, DO_HOLD, p->id);
		plan(w, at + range(w, 1, 8000), DO_UNHOLD, p->id);
	}
	if (p->is_user && w->theme == THEME_SLOW && chance(w, 40)) /* with another caller of his */
		plan(w, range(w, 1000, 15000), DO_MEET, p->id);
	if (chance(w, 15))
		plan(w, range(w, 0, 9000), DO_OFFER, p->id);
	if (chance(w, 8))
		plan(w, range(w, 0, 9000), DO_OFFER_NONE, p->id);
	if (chance(w, 8))
		plan(w, range(w, 0, 9000), DO_INFO, p->id);
	if (chance(w, 8))
		plan(w, range(w, 0, 9000), DO_REFRESH, p->id);
	if (chance(w, 4))
		plan(w, range(w, 0, 9000), DO_MEDIA_LOST, p->id);
	if (chance(w, 3))
		plan(w, range(w, 0, 20000), DO_GONE, p->id);
	while (chance(w, clicks_much(w) ? 45 : 22))
		plan_command(w, p->id, 12000);
}

/* ---- one thing that somebody does ------------------------------------------------------------ */

static enum dir heard_by(struct world *w, leg_id leg)
{
	struct ct_leg *l = contract_leg(&w->sim.ct, leg);

	return l ? l->offered.dir : DIR_SENDRECV;
}

static void do_progress(struct world *w, struct phone *p, const struct todo *t)
{
	struct event ev = {.type = EV_PROGRESS, .leg = p->id};
	struct ct_leg *l = contract_leg(&w->sim.ct, p->id);

	ev.progress.status = (uint16_t)t->arg;
	if (t->arg == 183 && !l->late && !l->sdp_in_1xx && l->state == CT_DIALING)
		ev.progress.sdp = note(w, p, SDP_ANSWER, heard_by(w, p->id));
	send(w, &ev);
}

static void do_reliable(struct world *w, struct phone *p)
{
	struct event ev = {.type = EV_PROGRESS, .leg = p->id};
	struct ct_leg *l = contract_leg(&w->sim.ct, p->id);

	if (l->late || l->sdp_in_1xx || l->state != CT_DIALING)
		return;
	ev.progress.status = 183;
	ev.progress.reliable = true;
	ev.progress.sdp = note(w, p, SDP_ANSWER, heard_by(w, p->id));
	send(w, &ev);
}

/* The body of a 2xx to our INVITE, sometimes a useless one (E-033). */
static struct sdp_note answer_body(struct world *w, struct phone *p, const struct ct_leg *l)
{
	unsigned kind = rng_below(&w->rng, 100);

	if (l->sdp_in_1xx && kind < 80)
		return (struct sdp_note){.what = SDP_NONE};
	if (kind < 2)
		return (struct sdp_note){.what = SDP_NONE};
	if (kind < 4)
		return (struct sdp_note){.what = SDP_BAD};
	if (kind < 6)
		return (struct sdp_note){
			.what = l->late ? SDP_OFFER : SDP_ANSWER, .dir = DIR_SENDRECV};
	return note(w, p, l->late ? SDP_OFFER : SDP_ANSWER, heard_by(w, p->id));
}

/* An agent of a queue has answered somebody who still has the caller: a short and rare moment. */
static bool is_rare_join(struct world *w, leg_id leg)
{
	struct call_view v;

	return core_view(w->sim.core, id_call(leg), &v) &&
	       (strcmp(v.state, "STAY_JOIN") == 0 || strcmp(v.state, "CONSULT_QUEUE_JOIN") == 0 ||
		       (strcmp(v.state, "CONSULT_JOIN") == 0 &&
			       chance(w, clicks_much(w) ? 60 : 25)));
}

static bool state_has(struct world *w, leg_id leg, const char *word)
{
	struct call_view v;

	return core_view(w->sim.core, id_call(leg), &v) && strstr(v.state, word) != NULL;
}

/* In this world offers in such a moment are answered late, and often refused. */
static bool is_moment(struct world *w, leg_id leg)
{
	if (w->theme == THEME_PASSED)
		return state_has(w, leg, "PASSED");
	return w->theme == THEME_SLOW && (state_has(w, leg, "JOIN") || state_has(w, leg, "FIND"));
}

/* The agent has somebody to consult with: he turns to the caller and back, and does what else he likes. */
static void plan_aside(struct world *w, leg_id leg)
{
	int64_t from = w->theme == THEME_SLOW ? 2500 : 100;

	if (!state_has(w, leg, "CONSULT_JOIN"))
		return;
	while (chance(w, 70))
		plan_arg(w, range(w, from, from + 3000), DO_COMMAND, leg, EV_SWAP);
	while (w->theme == THEME_SLOW && chance(w, 40))
		plan_arg(w, range(w, from, 4 * from), DO_COMMAND, leg,
			clicks[rng_below(&w->rng, COUNT(clicks))]);
	if (w->theme == THEME_SLOW && chance(w, 25))
		plan(w, range(w, from, 4 * from), DO_BYE,
			id_make_leg(id_call(leg), 1 + rng_below(&w->rng, 4)));
}

/* A phone takes so long to answer an offer that joins it with somebody. */
static int64_t joining(struct world *w)
{
	return w->theme == THEME_SLOW ? range(w, 1, 2500) : network(w);
}

static void crowd_join(struct world *w, leg_id leg)
{
	if (chance(w, 50))
		plan_arg(w, joining(w), DO_COMMAND, leg, chance(w, 50) ? EV_HOLD : EV_UNHOLD);
	while (chance(w, 70))
		plan_arg(w, joining(w), DO_COMMAND, leg,
			chance(w, 30) ? EV_TRANSFER : clicks[rng_below(&w->rng, COUNT(clicks))]);
	if (chance(w, 20))
		plan(w, joining(w), DO_BYE, id_make_leg(id_call(leg), 1 + rng_below(&w->rng, 3)));
}

static void do_answer(struct world *w, struct phone *p)
{
	struct event ev = {.type = EV_ANSWER, .leg = p->id};
	struct ct_leg *l = contract_leg(&w->sim.ct, p->id);

	if (l->state != CT_DIALING && !l->cancelling)
		return;
	ev.answer.status = chance(w, 97) ? 200 : 202;
	ev.answer.immediate = chance(w, 10);
	ev.answer.bye = chance(w, 20) ? BYE_NOW : BYE_WAIT;
	ev.answer.sdp = answer_body(w, p, l);
	if (!send(w, &ev) || w->sim.failed)
		return;
	l = contract_leg(&w->sim.ct, p->id);
	if (l == NULL)
		return;
	if (l->state == CT_UP)
		plan_talk(w, p);
	plan_aside(w, p->id);
	if (chance(w, clicks_much(w) ? 90 : 60) && is_rare_join(w, p->id))
		crowd_join(w, p->id);
	if (chance(w, 3))
		plan(w, range(w, 0, 5), DO_BYE, p->id); /* E-032 */
	if (chance(w, 8)) /* somebody else leaves in the middle of the join */
		plan(w, range(w, 0, 100), DO_BYE,
			id_make_leg(id_call(p->id), 1 + rng_below(&w->rng, 3)));
	if (chance(w, 15)) /* a click that comes in the middle of the join */
		plan_arg(w, range(w, 0, 40), DO_COMMAND, p->id,
			clicks[rng_below(&w->rng, COUNT(clicks))]);
}

static void do_end(struct world *w, const struct todo *t, enum ev type)
{
	struct event ev = {.type = type, .leg = t->leg};

	ev.reject.status = (uint16_t)t->arg;
	if (type == EV_REDIRECT) {
		ev.reject.status = 302;
		ev.reject.own_host = chance(w, 80);
		str_set(ev.reject.number, any_number(w));
	}
	if (type == EV_GONE)
		ev.reject.status = chance(w, 50) ? 481 : 408;
	send(w, &ev);
}

/* After whatever ended a leg its transactions finish, now or never. */
static void plan_close(struct world *w, leg_id leg)
{
	if (chance(w, 96))
		plan(w, network(w), DO_CLOSED, leg);
	else if (chance(w, 70))
		plan(w, T1_64_MS, DO_CLOSED, leg);
}

static void do_offer(struct world *w, struct phone *p)
{
	struct event ev = {.type = EV_OFFER, .leg = p->id};

	ev.offer.sdp = note(w, p, SDP_OFFER, DIR_SENDRECV);
	if (!send(w, &ev)) {
		if (!w->quiet && contract_leg(&w->sim.ct, p->id) != NULL)
			plan(w, range(w, 100, 2000), DO_OFFER, p->id);
		return;
	}
	if (chance(w, 6))
		plan(w, network(w), DO_WITHDRAW, p->id);
}

static void do_hold(struct world *w, struct phone *p, enum todo_kind kind)
{
	p->wants = kind == DO_UNHOLD ? DIR_SENDRECV : chance(w, 70) ? DIR_SENDONLY : DIR_INACTIVE;
	do_offer(w, p);
}

static const uint16_t oa_failures[] = {488, 491, 500, 503, 606, 491, 491, 481, 408};

static void do_oa_done(struct world *w, struct phone *p, const struct todo *t)
{
	struct event ev = {.type = EV_OA_DONE, .leg = p->id};

	ev.offer.status = (uint16_t)t->arg;
	if (t->arg == 200) {
		ev.offer.sdp = note(w, p, SDP_ANSWER, heard_by(w, p->id));
		ev.offer.sdp.usable = chance(w, 98);
	}
	send(w, &ev);
	if (t->arg == 481 || t->arg == 408)
		plan(w, 0, DO_GONE, p->id);
}

static void do_refer(struct world *w, struct phone *p)
{
	struct event ev = {.type = EV_TRANSFER, .leg = p->id};

	ev.transfer.cmd = ++w->cmd;
	ev.transfer.origin = ORIGIN_REFER;
	str_set(ev.transfer.asker, p->is_user ? p->user : "trunk");
	str_set(ev.transfer.number, some_number(w));
	ev.transfer.own_host = chance(w, 93);
	ev.transfer.no_sub = chance(w, 8);
	ev.transfer.immediate = chance(w, 8);
	ev.transfer.may_refer = p->is_user || chance(w, 30);
	ev.transfer.stay = chance(w, 40);
	if (ev.transfer.stay && w->centre == NULL && chance(w, 60))
		str_set(ev.transfer.number, "300");
	send(w, &ev);
}

static const enum ev asides[] = {EV_SWAP, EV_SWAP, EV_HOLD, EV_UNHOLD, EV_RESUME, EV_HANGUP};

/* What an agent does while he consults by clicks. */
static void plan_consult(struct world *w, leg_id leg)
{
	int64_t at = range(w, 10, 12000);

	while (chance(w, 45))
		plan_arg(w, range(w, 10, 9000), DO_COMMAND, leg, EV_SWAP);
	while (chance(w, 50))
		plan_arg(w, range(w, 10, 12000), DO_COMMAND, leg,
			asides[rng_below(&w->rng, COUNT(asides))]);
	while (chance(w, 30)) /* one of those who are in the call */
		plan(w, range(w, 10, 12000), chance(w, 70) ? DO_OFFER : DO_BYE,
			id_make_leg(id_call(leg), 1 + rng_below(&w->rng, 4)));
	if (chance(w, 60))
		plan_arg(w, at, DO_COMMAND, leg, EV_COMPLETE);
}

/* He has turned to the caller, and who was consulted waits. */
static void plan_turned(struct world *w, leg_id leg)
{
	if (!state_has(w, leg, "ASIDE"))
		return;
	while (chance(w, 60))
		plan_arg(w, range(w, 0, 1500), DO_COMMAND, leg,
			chance(w, 25) ? EV_TRANSFER : clicks[rng_below(&w->rng, COUNT(clicks))]);
	if (chance(w, 50))
		plan(w, range(w, 0, 1500), DO_BYE, id_make_leg(id_call(leg), 1 + rng_below(&w->rng, 5)));
}

/* REFER with Replaces: names the other dialog of the same person, if there is one. */
static void do_meet(struct world *w, struct phone *p)
{
	struct event ev = {.type = EV_TRANSFER, .leg = p->id};
	struct phone *other = NULL, *q, *tmp;

	HASH_ITER (hh, w->phones, q, tmp)
		if (q != p && strcmp(q->user, p->user) == 0 && (other == NULL || chance(w, 50)))
			other = q;
	if (chance(w, 5))
		other = some_phone(w);
	ev.transfer.cmd = ++w->cmd;
	ev.transfer.origin = ORIGIN_REFER;
	str_set(ev.transfer.asker, p->user);
	str_set(ev.transfer.number, some_number(w));
	ev.transfer.own_host = ev.transfer.may_refer = true;
	ev.transfer.no_sub = chance(w, 8);
	if (other == NULL || chance(w, 15))
		ev.transfer.replaces_status = chance(w, 75) ? 481 : 603;
	else
		ev.transfer.replaces = chance(w, 96) ? other->id : p->id;
	if (!send(w, &ev) || w->sim.failed || other == NULL || w->theme != THEME_SLOW)
		return;
	if (chance(w, 50)) /* he believes them joined */
		plan(w, range(w, 0, 1500), DO_BYE, other->id);
	if (chance(w, 50))
		plan(w, range(w, 0, 1500), DO_BYE, p->id);
}

/* The database says which node has the dialog, that none has it, or a node that nobody knows. */
static void do_located(struct world *w, const struct todo *t)
{
	struct event ev = {.type = EV_LOCATED, .call = t->leg};
	unsigned kind = rng_below(&w->rng, 100);

	ev.located.cmd = chance(w, 97) ? t->arg : t->arg + 1;
	ev.located.node = kind < 65 ? 2 : kind < 75 ? 3 : 0;
	if (ev.located.node != 0)
		str_set(ev.located.replaces, "elsewhere;to-tag=1;from-tag=2");
	send(w, &ev);
}

/* What happens while that is asked. */
static void plan_find(struct world *w, const struct action *a)
{
	static const enum todo_kind whims[] = {
		DO_BYE, DO_OFFER, DO_OFFER, DO_MEDIA_LOST, DO_MEDIA_LOST, DO_MEDIA_LOST};

	if (chance(w, 85))
		plan_arg(w, range(w, 1, 1900), DO_LOCATED, a->call, a->cmd);
	if (chance(w, 25))
		plan(w, range(w, 0, 300), DO_BYE, a->leg); /* E-001 */
	while (chance(w, 50))
		plan(w, range(w, 0, 1900), whims[rng_below(&w->rng, COUNT(whims))],
			id_make_leg(a->call, 1 + rng_below(&w->rng, 3)));
	while (chance(w, 72))
		plan_arg(w, range(w, 0, 1900), DO_COMMAND, a->call,
			chance(w, 25) ? EV_TRANSFER : clicks[rng_below(&w->rng, COUNT(clicks))]);
}

/* Somebody who sees numbers masked tries whether a guess at the caller's is right. */
static void guess_caller(struct world *w, struct event *ev)
{
	struct call_view v;

	ev->transfer.masked = chance(w, 25);
	if (!ev->transfer.masked || !chance(w, 50) || !core_view(w->sim.core, ev->call, &v) ||
		strncmp(v.customer_number, "+49", 3) != 0)
		return;
	str_set(ev->transfer.number, "0");
	str_append(ev->transfer.number, sizeof(ev->transfer.number), v.customer_number + 3);
}

static void do_command(struct world *w, const struct todo *t)
{
	static const char *const easy[] = {"0891234", "0891234", "0891234", "203", "204", "300"};
	struct event ev = {.type = (enum ev)t->arg, .call = id_call(t->leg)};

	if (ev.type == EV_TRANSFER && chance(w, 20))
		ev.leg = t->leg; /* the panel may say whose call it moves */
	if (ev.type == EV_TRANSFER) {
		ev.transfer.cmd = ++w->cmd;
		ev.transfer.origin = ORIGIN_CTL;
		str_set(ev.transfer.asker, "ctl");
		str_set(ev.transfer.number, some_number(w));
		ev.transfer.own_host = ev.transfer.may_refer = true;
		ev.transfer.kind = chance(w, clicks_much(w) ? 90 : 55) ? XFER_CONSULT : XFER_BLIND;
		ev.transfer.stay = chance(w, 40);
		guess_caller(w, &ev);
		if (w->centre == NULL && w->theme == THEME_SLOW && ev.transfer.kind == XFER_CONSULT)
			str_set(ev.transfer.number, easy[rng_below(&w->rng, COUNT(easy))]);
		else if (w->centre == NULL &&
			 chance(w, ev.transfer.stay || ev.transfer.kind == XFER_CONSULT ? 45 : 0))
			str_set(ev.transfer.number, "300");
		if (ev.transfer.stay && chance(w, 30))
			plan_arg(w, range(w, 0, 8000), DO_COMMAND, t->leg, EV_COMPLETE);
		if (ev.transfer.kind == XFER_CONSULT && chance(w, w->theme == THEME_SLOW ? 30 : 80))
			plan_consult(w, t->leg); /* else they just wait */
		if (chance(w, ev.transfer.kind != XFER_CONSULT ? 60 : w->theme == THEME_SLOW ? 10 : 30))
			plan_arg(w, range(w, 0, 8000), DO_COMMAND, t->leg, EV_XFER_CANCEL);
	} else if (ev.type == EV_NOTE) {
		ev.note = (struct ev_note){.cmd = ++w->cmd, .origin = ORIGIN_CTL};
		str_set(ev.note.asker, "ctl");
		str_set(ev.note.text, "calls back tomorrow");
	} else {
		ev.command.cmd = ++w->cmd;
		ev.command.origin = ORIGIN_CTL;
		str_set(ev.command.asker, "ctl");
	}
	if (ev.type == EV_RECORD)
		ev.record.wish = (enum record_wish)rng_below(&w->rng, record_wish_count_);
	while (ev.type == EV_SWAP && chance(w, clicks_much(w) ? 75 : 50))
		plan_arg(w, range(w, 0, 3000), DO_COMMAND, t->leg,
			asides[rng_below(&w->rng, COUNT(asides))]);
	if (ev.type == EV_SWAP && chance(w, 20)) /* whom he turns away from, perhaps */
		plan(w, range(w, 0, 3000), DO_BYE,
			id_make_leg(id_call(t->leg), 3 + rng_below(&w->rng, 2)));
	if (ev.type == EV_HOLD && chance(w, 80))
		plan_arg(w, range(w, 0, 8000), DO_COMMAND, t->leg, EV_UNHOLD);
	if (send(w, &ev) && !w->sim.failed && ev.type == EV_SWAP && clicks_much(w))
		plan_turned(w, t->leg);
}

/* Somebody clicks on a number: for himself, or for somebody else. */
static void do_dial(struct world *w)
{
	unsigned u = rng_below(&w->rng, COUNT(users));
	const char *user = users[u].name, *number;
	struct event ev = {.type = EV_DIAL};

	plan(w, w->centre != NULL ? range(w, 100, 4000) : range(w, 1000, 20000), DO_DIAL, ID_NONE);
	if (core_call_count(w->sim.core) >= calls_max(w))
		return;
	if (w->centre != NULL)
		centre_agent(w->centre, &user, &number);
	ev.dial.cmd = ++w->cmd;
	ev.dial.origin = chance(w, 70) ? ORIGIN_PANEL : ORIGIN_API;
	ev.dial.answering = chance(w, 50) ? ANSWER_AUTO : ANSWER_MANUAL;
	str_set(ev.dial.user, chance(w, 97) ? user : "nobody");
	str_set(ev.dial.asker, chance(w, 80) ? ev.dial.user : "carol");
	str_set(ev.dial.number, chance(w, 50) ? "0891234" : some_number(w));
	if (!send(w, &ev) || w->sim.failed || w->sim.out.leg == ID_NONE)
		return;
	if (chance(w, 15))
		plan_arg(w, range(w, 0, 9000), DO_COMMAND, w->sim.out.leg,
			clicks[rng_below(&w->rng, COUNT(clicks))]);
	if (chance(w, 10))
		plan_command(w, w->sim.out.leg, 9000);
}

static void do_info(struct world *w, leg_id leg)
{
	struct event ev = {.type = EV_INFO, .leg = leg};

	ev.info.ref = ++w->cmd;
	send(w, &ev);
}

static void do_notify_done(struct world *w, const struct todo *t)
{
	struct event ev = {.type = EV_NOTIFY_DONE, .leg = t->leg};

	if (contract_leg(&w->sim.ct, t->leg) == NULL)
		return;
	ev.notify.cmd = t->arg;
	ev.notify.status = chance(w, 85) ? 200 : chance(w, 70) ? 481 : 0;
	send(w, &ev);
}

static void do_referred(struct world *w, const struct todo *t, enum ev type)
{
	struct ct_leg *l = contract_leg(&w->sim.ct, t->leg);
	struct event ev = {.type = type, .leg = t->leg};

	if (l == NULL || l->referred == 0)
		return;
	ev.referred.cmd = l->referred;
	ev.referred.status = (uint16_t)t->arg;
	ev.referred.final = type == EV_REFER_NOTIFY && (t->arg >= 200 || t->arg == 0);
	send(w, &ev);
}

/* What a machine does with a REFER. */
static void after_refer(struct world *w, leg_id leg, leg_id replaces)
{
	static const uint16_t answers[] = {202, 202, 202, 202, 200, 202, 405, 501, 420, 603, 403, 481,
		408, 503};
	static const uint16_t ends[] = {200, 200, 200, 486, 603, 480, 0, 503};
	uint16_t status = answers[rng_below(&w->rng, COUNT(answers))];
	int64_t at = network(w);

	if (replaces != ID_NONE && chance(w, 70)) { /* knows REFER, but no Replaces */
		unsigned kind = w->theme == THEME_PASSED && chance(w, 40) ? 90 : rng_below(&w->rng, 100);
		int64_t before = range(w, 0, at - 1);

		status = 420;
		if (kind < 30 || kind > 85) /* whom it names leaves */
			plan(w, before, DO_BYE, replaces);
		if (kind > 30 && kind < 45) /* or the transferor's dialog with him */
			plan(w, before, DO_BYE, id_make_leg(id_call(replaces), 1));
		if (kind > 45) /* and the one in which the REFER came */
			plan(w, before, DO_BYE,
				id_make_leg(id_call(leg), id_legno(leg) == 1 ? 2 : 1));
	}
	plan_arg(w, status == 408 ? T1_64_MS : at, DO_REFERRED, leg, status);
	if (status >= 300)
		return;
	if (chance(w, 80)) /* the others say nothing at all */
		plan_arg(w, range(w, 0, 90), DO_REFER_NOTIFY, leg, 100);
	else if (chance(w, 60))
		plan(w, range(w, 50, 9000), DO_BYE, leg);
	if (chance(w, 50))
		plan_arg(w, range(w, 100, 3000), DO_REFER_NOTIFY, leg, 180);
	if (chance(w, 75))
		plan_arg(w, range(w, 100, 12000), DO_REFER_NOTIFY, leg,
			ends[rng_below(&w->rng, COUNT(ends))]);
	if (chance(w, 20))
		plan(w, range(w, 100, 12000), DO_BYE, leg);
	if (chance(w, 30))
		plan(w, range(w, 100, 4000), DO_MEET, leg);
	if (chance(w, 10)) /* the transferor names another dialog of his */
		plan(w, range(w, 10, 2000), DO_MEET,
			id_make_leg(id_call(leg), id_legno(leg) == 1 ? 2 : 1));
}

/* A request inside a dialog that the core has forgotten: it has to be answered all the same. */
static void do_stray_request(struct world *w, leg_id leg)
{
	static const enum ev kinds[] = {EV_TRANSFER, EV_OFFER, EV_OFFER_NONE, EV_INFO};
	struct event ev = {.type = kinds[rng_below(&w->rng, COUNT(kinds))], .leg = leg};

	if (contract_leg(&w->sim.ct, leg) != NULL)
		return;
	if (ev.type == EV_TRANSFER)
		ev.transfer = (struct ev_transfer){.cmd = ++w->cmd, .origin = ORIGIN_REFER};
	else if (ev.type == EV_INFO)
		ev.info.ref = ++w->cmd;
	else
		ev.offer.sdp.what = ev.type == EV_OFFER ? SDP_OFFER : SDP_NONE;
	send(w, &ev);
}

/* Events about legs that are no more, and timers that were stopped a moment ago. */
static void do_stray(struct world *w)
{
	leg_id leg = w->graves[rng_below(&w->rng, COUNT(w->graves))];
	struct event ev = {.type = EV_TIMER};

	plan(w, range(w, 500, 9000), DO_STRAY, ID_NONE);
	if (leg == ID_NONE)
		return;
	ev.leg = chance(w, 50) ? leg : ID_NONE;
	ev.call = id_call(leg);
	ev.timer.kind = (enum timer_kind)rng_below(&w->rng, timer_kind_count_);
	ev.timer.serial = rng_below(&w->rng, 1000);
	switch (rng_below(&w->rng, 4)) {
	case 0:
		do_command(w, &(struct todo){.leg = leg, .arg = EV_HANGUP});
		break;
	case 1:
		do_stray_request(w, leg);
		break;
	default:
		send(w, &ev);
		break;
	}
}

static void do_dialog(struct world *w, struct phone *p, const struct todo *t)
{
	struct event ev = {.type = EV_ACK, .leg = t->leg};
	struct ct_leg *l = contract_leg(&w->sim.ct, t->leg);

	switch (t->kind) {
	case DO_PROGRESS:
		do_progress(w, p, t);
		break;
	case DO_RELIABLE:
		do_reliable(w, p);
		break;
	case DO_ANSWER:
		do_answer(w, p);
		break;
	case DO_ACK:
		if (l->late && l->state == CT_ANSWERED && chance(w, 97))
			ev.offer.sdp = note(w, p, SDP_ANSWER, heard_by(w, t->leg));
		if (send(w, &ev) && !w->sim.failed && phone_of(w, t->leg) == p)
			plan_talk(w, p);
		break;
	case DO_HOLD:
	case DO_UNHOLD:
		do_hold(w, p, t->kind);
		break;
	case DO_OFFER:
	case DO_EARLY_UPDATE:
		do_offer(w, p);
		break;
	case DO_OFFER_NONE:
		send_simple(w, EV_OFFER_NONE, t->leg);
		break;
	case DO_OA_DONE:
		do_oa_done(w, p, t);
		break;
	case DO_REFER:
		do_refer(w, p);
		break;
	case DO_CONSULT:
		do_consult(w, p);
		break;
	case DO_MEET:
		do_meet(w, p);
		break;
	default:
		break;
	}
}

/* ---- segued dies, and comes back -------------------------------------------------------------- */

static bool begins_something(enum todo_kind kind)
{
	return kind == DO_BYE || kind == DO_HOLD || kind == DO_UNHOLD || kind == DO_OFFER ||
	       kind == DO_OFFER_NONE || kind == DO_REFRESH || kind == DO_INFO || kind == DO_REFER ||
	       kind == DO_CONSULT || kind == DO_MEET || kind == DO_EARLY_UPDATE ||
	       kind == DO_MEDIA_LOST;
}

/* Of what was going to happen, what belongs to a transaction of the process that died. */
static bool dies_with_it(enum todo_kind kind)
{
	switch (kind) {
	case DO_PROGRESS:
	case DO_RELIABLE:
	case DO_EARLY_UPDATE:
	case DO_ANSWER:
	case DO_REJECT:
	case DO_REDIRECT:
	case DO_CANCEL:
	case DO_ACK:
	case DO_NO_ACK:
	case DO_CLOSED:
	case DO_WITHDRAW:
	case DO_OA_DONE:
	case DO_PLAYED:
	case DO_NOTIFY_DONE:
	case DO_LOCATED:
	case DO_REFERRED:
	case DO_REFER_NOTIFY:
	case DO_FATES:
		return true;
	default:
		return false;
	}
}

/* What somebody does meanwhile comes when it is there again, or never: a request is repeated for 64*T1. */
static bool comes_late(struct world *w, struct todo *t, int64_t up)
{
	struct phone *p = t->leg != ID_NONE ? phone_of(w, t->leg) : NULL;
	bool heard = up - t->at < T1_64_MS && chance(w, 60);

	if (t->at >= up)
		return true;
	if (p != NULL && (t->kind == DO_GONE || (t->kind == DO_BYE && !heard)))
		p->gone = true;
	if (p != NULL && begins_something(t->kind) && !heard)
		return false;
	t->at = up + range(w, 0, 4000);
	return t->kind != DO_GONE;
}

static void meanwhile(struct world *w, int64_t up)
{
	struct todo *old = w->heap;
	unsigned n = w->nheap;

	w->heap = NULL;
	w->nheap = w->heap_cap = 0;
	for (unsigned i = 0; i < n; i++)
		if (!dies_with_it(old[i].kind) && comes_late(w, &old[i], up))
			plan_arg(w, old[i].at - w->now, old[i].kind, old[i].leg, old[i].arg);
	free(old);
}

/* Dialogs that were ending when it died may be over by now, or their BYE was never heard. */
static void end_dialogs(struct world *w)
{
	struct phone *p, *pt;

	HASH_ITER (hh, w->phones, p, pt) {
		struct ct_leg *l = contract_leg(&w->sim.ct, p->id);

		if (l == NULL || l->peer_ended || (l->state >= CT_ENDING && chance(w, 70)))
			p->gone = true;
		p->moved = chance(w, 20);
	}
}

static void after_death(struct world *w)
{
	struct phone *p, *pt;

	HASH_ITER (hh, w->phones, p, pt) {
		struct ct_leg *l = contract_leg(&w->sim.ct, p->id);

		if (l == NULL)
			phone_free(w, p->id);
		else if (!p->gone && !l->lost)
			plan_talk(w, p);
	}
}

static void on_told(void *arg, const struct event *ev)
{
	struct world *w = arg;

	if (w->centre != NULL)
		centre_hear(w->centre, &w->sim.out);
	if (!w->sim.failed)
		react(w, ev);
}

/* Kill -9, or an orderly end that keeps the calls; and soon or late another process. */
static void die(struct world *w, enum ending how)
{
	int64_t down = chance(w, 15) ? range(w, 4000, 70000) : range(w, 20, 4000);

	if (w->sim.ct.now > w->now)
		w->now = w->sim.ct.now; /* in the step of a timer */
	end_dialogs(w);
	meanwhile(w, w->now + down);
	w->now += down;
	if (w->centre != NULL)
		centre_reborn(w->centre);
	sim_die(&w->sim, w->now, how, chance(w, 50) ? LORE_LATE : LORE_AT_ONCE, on_told, w);
	after_death(w);
	plan(w, chance(w, 50) ? 0 : range(w, 0, 3000), DO_FATES, ID_NONE);
}

static void do_die(struct world *w)
{
	unsigned kind = rng_below(&w->rng, 4);

	plan(w, range(w, 20000, 400000), DO_DIE, ID_NONE);
	if (w->sim.death.nids > 0)
		return; /* the core is still to be told what the last one has cost */
	if (kind == 0 || kind == 3)
		die(w, kind == 0 ? ENDING_KILLED : ENDING_STOPPED);
	else
		sim_doom(&w->sim, kind == 1 ? DOOM_BEFORE : DOOM_AFTER, w->now);
}

/* Somebody changes the file and reloads. */
static void do_config(struct world *w)
{
	struct event ev = {.type = EV_CONFIG};

	plan(w, range(w, 10000, 200000), DO_CONFIG, ID_NONE);
	sim_configure(&w->sim, rng_next(&w->rng), w->now);
	send(w, &ev);
}

static void do_todo(struct world *w, const struct todo *t)
{
	struct phone *p = t->leg != ID_NONE ? phone_of(w, t->leg) : NULL;

	if (p != NULL && p->gone && begins_something(t->kind))
		return;
	if (t->leg != ID_NONE && t->kind != DO_COMMAND && t->kind != DO_LOCATED &&
		(p == NULL || contract_leg(&w->sim.ct, t->leg) == NULL))
		return; /* the adapter knows no such leg any more */
	switch (t->kind) {
	case DO_INVITE:
		do_invite(w);
		break;
	case DO_REJECT:
		do_end(w, t, EV_REJECT);
		break;
	case DO_REDIRECT:
		do_end(w, t, EV_REDIRECT);
		break;
	case DO_BYE:
		do_end(w, t, EV_BYE);
		break;
	case DO_GONE:
		do_end(w, t, EV_GONE);
		break;
	case DO_CANCEL:
		send_simple(w, EV_CANCEL, t->leg);
		break;
	case DO_NO_ACK:
		send_simple(w, EV_NO_ACK, t->leg);
		break;
	case DO_CLOSED:
		send_simple(w, EV_CLOSED, t->leg);
		break;
	case DO_WITHDRAW:
		send_simple(w, EV_OFFER_WITHDRAWN, t->leg);
		break;
	case DO_MEDIA_LOST:
		send_simple(w, EV_MEDIA_LOST, t->leg);
		break;
	case DO_PLAYED:
		send_simple(w, EV_PLAYED, t->leg);
		break;
	case DO_UNPLAYED:
		send_simple(w, EV_UNPLAYED, t->leg);
		break;
	case DO_UNPRESSED:
		do_unpressed(w, t->leg);
		break;
	case DO_REFRESH:
		send_simple(w, EV_REFRESH, t->leg);
		break;
	case DO_INFO:
		do_info(w, t->leg);
		break;
	case DO_LOCATED:
		do_located(w, t);
		break;
	case DO_NOTIFY_DONE:
		do_notify_done(w, t);
		break;
	case DO_REFERRED:
		do_referred(w, t, EV_REFERRED);
		break;
	case DO_REFER_NOTIFY:
		do_referred(w, t, EV_REFER_NOTIFY);
		break;
	case DO_COMMAND:
		do_command(w, t);
		break;
	case DO_DIAL:
		do_dial(w);
		break;
	case DO_DIRECTORY:
		plan(w, range(w, 1000, w->centre != NULL ? 3000 : 20000), DO_DIRECTORY, ID_NONE);
		change_directory(w);
		break;
	case DO_CONFIG:
		do_config(w);
		break;
	case DO_STRAY:
		do_stray(w);
		break;
	case DO_DIE:
		do_die(w);
		break;
	case DO_FATES:
		sim_fates(&w->sim, w->now, on_told, w);
		break;
	case DO_SNAPSHOT:
		plan(w, range(w, 5000, 400000), DO_SNAPSHOT, ID_NONE);
		sim_snapshot(&w->sim, w->now);
		w->skew_us = range(w, -3600, 3600) * 1000000; /* the clock may jump (E-125) */
		break;
	default:
		do_dialog(w, p, t);
		break;
	}
}

/* ---- how the network answers ----------------------------------------------------------------- */

static void after_hangup(struct world *w, leg_id leg)
{
	struct ct_leg *l = contract_leg(&w->sim.ct, leg);

	if (l == NULL || l->state != CT_ENDING)
		return;
	if (!l->cancelling) {
		if (l->ever_up && chance(w, 5))
			plan(w, 0, DO_BYE, leg); /* they cross (E-004) */
		plan_close(w, leg);
		return;
	}
	if (chance(w, 12)) {
		plan(w, network(w), DO_ANSWER, leg); /* 200 crosses CANCEL (R-004) */
		return;
	}
	plan_arg(w, network(w), DO_REJECT, leg, 487);
}

static void after_offer(struct world *w, leg_id leg)
{
	uint16_t failure = oa_failures[rng_below(&w->rng, COUNT(oa_failures))];
	struct phone *p = phone_of(w, leg);
	const struct ct_leg *l = contract_leg(&w->sim.ct, leg);

	if (p != NULL && p->gone) {
		if (chance(w, 85))
			plan_arg(w, network(w), DO_OA_DONE, leg, 481);
		else
			plan_arg(w, T1_64_MS, DO_OA_DONE, leg, 408);
		return;
	}
	if (chance(w, 4))
		plan(w, 0, DO_OFFER, leg); /* glare (E-040, E-042) */
	if (is_moment(w, leg) && chance(w, 90))
		plan_arg(w, joining(w), DO_OA_DONE, leg, chance(w, 65) ? 200 : failure);
	else if (is_rare_join(w, leg) && chance(w, 35))
		plan_arg(w, T1_64_MS, DO_OA_DONE, leg, 408);
	else if (chance(w, l != NULL && l->met ? 70 : 90)) /* of two callers one refuses (R-036) */
		plan_arg(w, network(w), DO_OA_DONE, leg, 200);
	else if (chance(w, 95))
		plan_arg(w, network(w), DO_OA_DONE, leg, failure);
	else
		plan_arg(w, T1_64_MS, DO_OA_DONE, leg, 408);
}

static void after_offer_answer(struct world *w, leg_id leg)
{
	struct ct_leg *l = contract_leg(&w->sim.ct, leg);

	if (l == NULL || !l->ack_due)
		return;
	if (chance(w, 90))
		plan_arg(w, network(w), DO_OA_DONE, leg, 200);
	else
		plan(w, T1_64_MS, DO_WITHDRAW, leg);
}

static void after_final_notify(struct world *w, const struct action *a)
{
	int64_t in = network(w);

	if (chance(w, 95))
		plan_arg(w, in, DO_NOTIFY_DONE, a->leg, a->notify.cmd);
	else
		plan_arg(w, T1_64_MS, DO_NOTIFY_DONE, a->leg, a->notify.cmd);
	if (a->status < 300 && chance(w, 60))
		plan(w, range(w, 0, 1500), DO_BYE, a->leg);
	if (a->status >= 300 && chance(w, 60))
		plan(w, range(w, 0, 1500), DO_UNHOLD, a->leg);
	if (a->status >= 300 && chance(w, 25))
		plan(w, range(w, 0, 1500), DO_REFER, a->leg); /* again (E-079) */
	if (a->status >= 300 && clicks_much(w) && chance(w, 20)) /* he takes another place for it */
		plan(w, range(w, 0, 1500), DO_CONSULT, a->leg);
	if (a->status >= 300 && chance(w, w->theme == THEME_ANY ? 8 : 30))
		plan(w, range(w, 0, 1500), DO_MEET, a->leg);
}

static void after_answer(struct world *w, leg_id leg)
{
	if (chance(w, 3))
		plan(w, network(w), DO_CANCEL, leg); /* too late: changes nothing (R-003) */
	if (chance(w, 3))
		plan(w, 0, DO_BYE, leg);
	if (chance(w, 3))
		plan(w, 0, DO_OFFER, leg);
	if (chance(w, 97))
		plan(w, network(w), DO_ACK, leg);
	else
		plan(w, T1_64_MS, DO_NO_ACK, leg);
}

static void react_action(struct world *w, const struct action *a)
{
	switch (a->type) {
	case ACT_DIAL:
		phone_new(w, a->leg, a->dial.dest.user);
		if (a->dial.dest.kind == DEST_MUSIC && chance(w, 80))
			plan(w, network(w), DO_ANSWER, a->leg);
		else
			plan_ringing(w, a->leg);
		break;
	case ACT_ANSWER:
		after_answer(w, a->leg);
		break;
	case ACT_REJECT:
		plan_close(w, a->leg);
		break;
	case ACT_HANGUP:
		after_hangup(w, a->leg);
		break;
	case ACT_OFFER:
		after_offer(w, a->leg);
		break;
	case ACT_OFFER_ANSWER:
		after_offer_answer(w, a->leg);
		break;
	case ACT_OFFER_REJECT:
		if (a->status == 491 && chance(w, 80))
			plan(w, range(w, 0, 2000), DO_OFFER, a->leg);
		break;
	case ACT_REFER_ACCEPT:
		if (chance(w, 25))
			plan(w, range(w, 0, 400), DO_BYE, a->leg); /* E-001 */
		if (chance(w, 12))
			plan_arg(w, range(w, 0, 6000), DO_COMMAND, a->leg, EV_XFER_CANCEL);
		break;
	case ACT_NOTIFY:
		if (a->notify.final)
			after_final_notify(w, a);
		else if (chance(w, 4))
			plan(w, 0, DO_BYE, a->leg); /* E-007 */
		break;
	case ACT_LOCATE:
		plan_find(w, a);
		break;
	case ACT_MEDIA:
		/* no engine carries it */
		if (a->media.what != HEARS_PEER && w->unplayed && chance(w, w->unplayed))
			plan(w, range(w, 0, 30), DO_UNPLAYED, a->leg);
		if (a->media.what == HEARS_PLACE && chance(w, 90)) /* else the engine is gone */
			plan(w, range(w, 0, 6000), DO_PLAYED, a->leg);
		break;
	case ACT_DIGITS:
		if (a->digits.way == DTMF_RTP && chance(w, 50))
			plan(w, range(w, 0, 1500), DO_UNPRESSED, a->leg);
		break;
	case ACT_REFER:
		after_refer(w, a->leg, a->refer.replaces);
		break;
	case ACT_LEG_FREE:
		phone_free(w, a->leg);
		break;
	default:
		break;
	}
}

static void react(struct world *w, const struct event *ev)
{
	const struct core_out *out = &w->sim.out;
	struct ct_leg *l = contract_leg(&w->sim.ct, ev->leg);
	bool ended = l != NULL && l->state == CT_ENDING && l->peer_ended && !l->hangup_sent;

	if (ended && ev->type != EV_CLOSED && ev->type != EV_OA_DONE &&
		ev->type != EV_NOTIFY_DONE && ev->type != EV_REFERRED &&
		ev->type != EV_REFER_NOTIFY && ev->type != EV_TRANSFER && ev->type != EV_TIMER)
		plan_close(w, ev->leg);
	if (l != NULL && ev->type == EV_REJECT && l->state == CT_ENDING && l->hangup_sent)
		plan_close(w, ev->leg);
	for (unsigned i = 0; i < out->nactions; i++) {
		if (out->actions[i].type == ACT_REJECT && ev->type == EV_INVITE)
			continue; /* do_invite() knows the leg only afterwards */
		react_action(w, &out->actions[i]);
	}
}

/* ---- running --------------------------------------------------------------------------------- */

struct world *world_create(
	uint64_t seed, enum world_mode mode, sim_mutator *mutator, struct sim_record *record)
{
	struct world *w = calloc(1, sizeof(*w));
	struct core_config cfg;

	if (w == NULL)
		abort();
	w->rng.state = seed;
	w->now = 1; /* a machine that is just up: 0 is no time */
	w->mode = mode;
	w->theme = theme_of(seed);
	world_config(seed, &cfg);
	sim_init(&w->sim, &cfg);
	w->sim.ct.lenient = mode == WORLD_CHAOTIC;
	w->sim.mutator = mutator;
	w->sim.record = record;
	w->unplayed = cfg.music_uri[0] == '\0' ? 0 : cfg.can_play ? 15 : 80;
	return w;
}

void world_destroy(struct world *w)
{
	struct phone *p, *pt;

	HASH_ITER (hh, w->phones, p, pt) {
		HASH_DEL(w->phones, p);
		free(p);
	}
	sim_done(&w->sim);
	if (w->centre != NULL)
		centre_destroy(w->centre);
	free(w->heap);
	free(w);
}

/* What a broken adapter sends: anything, about any leg that lives. Only a 2xx to an INVITE that has
 * its final response is left out: not even such an adapter makes that up. */
static void send_nonsense(struct world *w)
{
	static const enum ev kinds[] = {EV_PROGRESS, EV_ANSWER, EV_REJECT, EV_CANCEL, EV_ACK,
		EV_NO_ACK, EV_OFFER, EV_OFFER_NONE, EV_OFFER_WITHDRAWN, EV_OA_DONE, EV_BYE, EV_GONE,
		EV_NOTIFY_DONE};
	struct event ev = {.type = kinds[rng_below(&w->rng, COUNT(kinds))], .now = w->now};
	struct ct_leg *l, *lt;
	unsigned n = rng_below(&w->rng, HASH_COUNT(w->sim.ct.legs) + 1);

	HASH_ITER (hh, w->sim.ct.legs, l, lt)
		if (n-- == 0)
			break;
	if (l == NULL)
		return;
	ev.leg = l->id;
	if (ev.type == EV_ANSWER && !contract_allows(&w->sim.ct, &ev))
		return;
	ev.wall = SIM_WALL0 + w->now * 1000;
	ev.rnd = rng_next(&w->rng);
	ev.offer.sdp = (struct sdp_note){.what = (enum sdp_what)rng_below(&w->rng, sdp_what_count_),
		.dir = DIR_SENDRECV,
		.usable = chance(w, 80)};
	ev.offer.status = chance(w, 50) ? 200 : 500;
	if (ev.type == EV_PROGRESS)
		ev.progress = (struct ev_progress){180, ev.offer.sdp, chance(w, 30)};
	if (ev.type == EV_ANSWER)
		ev.answer = (struct ev_answer){200, ev.offer.sdp, false};
	if (ev.type == EV_REJECT || ev.type == EV_GONE || ev.type == EV_BYE)
		ev.reject = (struct ev_reject){.status = (uint16_t)(300 + rng_below(&w->rng, 400))};
	if (ev.type == EV_NOTIFY_DONE)
		ev.notify = (struct ev_notify){.cmd = w->cmd, .status = 200};
	sim_shove(&w->sim, &ev);
	if (!w->sim.failed)
		react(w, &ev);
}

/* The next thing that happens, be it a timer or somebody's intention. */
static void live(struct world *w)
{
	struct event timer = {0};
	struct todo t;

	if (!w->sim.death.dead && contract_next_timer(&w->sim.ct, w->heap[0].at, &timer)) {
		sim_timers(&w->sim, timer.now, on_timer, w);
		return;
	}
	if (w->sim.death.dead) {
		die(w, ENDING_KILLED);
		return;
	}
	t = next_todo(w);
	w->now = t.at;
	do_todo(w, &t);
	if (w->mode == WORLD_CHAOTIC && !w->sim.failed && chance(w, 5))
		send_nonsense(w);
}

/* Every phone is switched off at once: what is up is lost, what rings times out, and nobody begins
 * anything. */
static void everybody_leaves(struct world *w)
{
	struct ct_leg *l, *lt;
	leg_id ids[512];
	unsigned n = 0;

	w->quiet = true;
	w->nheap = 0;
	HASH_ITER (hh, w->sim.ct.legs, l, lt)
		if (n < COUNT(ids))
			ids[n++] = l->id;
	for (unsigned i = 0; i < n && !w->sim.failed; i++) {
		if (send_simple(w, EV_GONE, ids[i]) || send_simple(w, EV_CANCEL, ids[i]))
			continue;
		plan_arg(w, 0, DO_REJECT, ids[i], 408);
		plan(w, 1, DO_CLOSED, ids[i]);
	}
}

/* While all is quiet, whatever is dialled does not answer and whatever is asked is lost. */
static void silence(struct world *w)
{
	int64_t end = w->now + SILENCE_MS;
	struct event none = {0};

	while (!w->sim.failed && w->now < end &&
		(w->nheap > 0 || contract_next_timer(&w->sim.ct, INT64_MAX, &none))) {
		if (w->nheap > 0 && (w->heap[0].kind == DO_REJECT || w->heap[0].kind == DO_CLOSED ||
					    w->heap[0].kind == DO_ACK)) {
			live(w);
		} else if (w->nheap > 0) {
			next_todo(w);
		} else if (none.now > end) {
			break;
		} else {
			sim_timers(&w->sim, none.now, on_timer, w);
			w->now = none.now;
		}
	}
}

struct sim *world_run(struct world *w, uint64_t steps)
{
	tell_all(w);
	plan(w, 0, DO_INVITE, ID_NONE);
	plan(w, 500, DO_STRAY, ID_NONE);
	plan(w, 5000, DO_DIRECTORY, ID_NONE);
	plan(w, 3000, DO_DIAL, ID_NONE);
	plan(w, range(w, 10000, 200000), DO_CONFIG, ID_NONE);
	plan(w, range(w, 1000, 200000), DO_SNAPSHOT, ID_NONE);
	if (w->mode != WORLD_CHAOTIC)
		plan(w, range(w, 1000, 300000), DO_DIE, ID_NONE);
	while (!w->sim.failed && w->sim.steps < steps && w->nheap > 0)
		live(w);
	if (w->mode == WORLD_CHAOTIC)
		return &w->sim; /* after nonsense nobody can say who is still there */
	if (w->sim.death.dead)
		die(w, ENDING_KILLED);
	if (w->sim.death.nids > 0)
		sim_fates(&w->sim, w->now, on_told, w);
	w->sim.death.doom = DOOM_NONE;
	if (!w->sim.failed)
		everybody_leaves(w);
	silence(w);
	sim_end(&w->sim);
	return &w->sim;
}
