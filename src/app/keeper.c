/* keeper: see keeper.h. */
#include "app/keeper.h"

#include "app/pledge.h"
#include "base/log.h"
#include "store/calls.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uthash.h>

#define KEEP_MAGIC 0x6b656570u
#define BUILD_MAX 32
#define FULL_TOLD_MS 60000
#define ALIVE_MS 1000 /* so exactly is known when the process ended */

struct record {
	uint32_t magic, nlegs;
	uint64_t last;    /* the newest fact when it was written */
	uint32_t core;    /* bytes of the core's snapshot, which follow, then the legs; 0: hang them up */
	unsigned char build[BUILD_MAX]; /* of the program: another one has other structs */
};

enum worth { WORTH_NOTHING, WORTH_A_BYE, WORTH_KEEPING };

struct kept {
	call_id id;
	enum worth worth;
	struct kept *next; /* of those that are gone */
	UT_hash_handle hh;
};

struct keeper {
	struct calls *calls;
	struct ledger *ledger;
	struct core *core;
	struct kept *kept; /* of this run, or restored */
	struct kept *gone; /* to be forgotten with the next change: a BYE too many does no harm */
	unsigned char build[BUILD_MAX];
	unsigned char *buf;
	size_t cap;
	leg_id *ids; /* of the call that is being kept, likewise used again */
	unsigned nids;
	struct sip_kept legs; /* its bytes are used again for the next call */
	struct pledge pledge;
	bool recover;
	int64_t told_ms;
	int64_t seen; /* until when the run before lived */
	int beat_fd;  /* -1: not started */
	struct loop_watch *beat;
};

/* ---- which program --------------------------------------------------------------------------- */

/* The linker's build id of the main program. */
static int find_build(struct dl_phdr_info *info, size_t size, void *arg)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *p = (const char *)(info->dlpi_addr + ph->p_vaddr), *end = p + ph->p_memsz;

		while (ph->p_type == PT_NOTE && p + sizeof(ElfW(Nhdr)) <= end) {
			const ElfW(Nhdr) *n = (const void *)p;
			const char *name = p + sizeof(*n), *desc = name + ((n->n_namesz + 3) & ~3u);

			if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 &&
				memcmp(name, "GNU", 4) == 0) {
				memcpy(arg, desc, n->n_descsz < BUILD_MAX ? n->n_descsz : BUILD_MAX);
				return 1;
			}
			p = desc + ((n->n_descsz + 3) & ~3u);
		}
	}
	return 1; /* the first is the program itself */
}

static bool knows_build(const struct keeper *k)
{
	static const unsigned char none[BUILD_MAX];

	return memcmp(k->build, none, BUILD_MAX) != 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void make_good(void *arg, const unsigned char *bytes, size_t len)
{
	pledge_keep(arg, bytes, len);
}

int keeper_open(const struct app_config *cfg, struct ledger *ledger, struct core *core,
	struct keeper **out)
{
	struct keeper *k = calloc(1, sizeof(*k));
	unsigned mb = cfg->outbox_mb / 4 > 16 ? cfg->outbox_mb / 4 : 16;
	int rc = k != NULL ? calls_open(cfg->outbox, mb, &k->calls) : ENOMEM;

	*out = NULL;
	if (rc) {
		log_kv(LOG_LEVEL_WARN, (struct log_ref){0}, "calls_not_kept", "ledger.outbox",
			cfg->outbox, "why", strerror(rc), NULL);
		free(k);
		return 0; /* calls go on as well without */
	}
	calls_noted(k->calls, make_good, ledger);
	k->ledger = ledger;
	k->seen = calls_last_alive(k->calls);
	k->beat_fd = -1;
	k->core = core;
	k->recover = cfg->recover;
	dl_iterate_phdr(find_build, k->build);
	*out = k;
	return 0;
}

static void free_gone(struct keeper *k)
{
	while (k->gone != NULL) {
		struct kept *e = k->gone;

		k->gone = e->next;
		free(e);
	}
}

static int forget_gone(struct keeper *k)
{
	int rc = 0;

	for (const struct kept *e = k->gone; e != NULL && rc == 0; e = e->next)
		rc = calls_forget(k->calls, e->id);
	return rc;
}

/* There is no change that they could go with. */
static void sweep_out(struct keeper *k)
{
	if (k->gone == NULL || calls_begin(k->calls) != 0)
		return;
	if (forget_gone(k) != 0)
		calls_abort(k->calls);
	else if (calls_commit(k->calls) == 0)
		free_gone(k);
}

void keeper_close(struct keeper *k)
{
	struct kept *e, *next;

	if (k == NULL)
		return;
	HASH_ITER(hh, k->kept, e, next)
	{
		HASH_DEL(k->kept, e);
		free(e);
	}
	sweep_out(k);
	if (k->beat_fd >= 0)
		calls_alive(k->calls, loop_now_ms());
	loop_unwatch(k->beat);
	if (k->beat_fd >= 0)
		close(k->beat_fd);
	calls_close(k->calls);
	free(k->buf);
	free(k->ids);
	free_gone(k);
	free(k->legs.bytes);
	free(k->pledge.bytes);
	free(k);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void forget(struct keeper *k, call_id id)
{
	struct kept *e;

	HASH_FIND(hh, k->kept, &id, sizeof(id), e);
	if (e == NULL)
		return;
	HASH_DEL(k->kept, e);
	free(e);
}

static struct kept *kept_find(const struct keeper *k, call_id id)
{
	struct kept *e;

	HASH_FIND(hh, k->kept, &id, sizeof(id), e);
	return e;
}

static void remember(struct keeper *k, call_id id, enum worth worth)
{
	struct kept *e = kept_find(k, id);

	if (e == NULL) {
		if ((e = calloc(1, sizeof(*e))) == NULL)
			return;
		e->id = id;
		HASH_ADD(hh, k->kept, id, sizeof(e->id), e);
	}
	e->worth = worth;
}

static bool room(struct keeper *k, size_t n)
{
	unsigned char *p;

	if (n <= k->cap)
		return true;
	if ((p = realloc(k->buf, 2 * n)) == NULL)
		return false;
	k->buf = p;
	k->cap = 2 * n;
	return true;
}

/* The dialogs of the call's legs, those that the core wants kept. */
static int keep_legs(struct keeper *k, struct sip *sip, call_id id, struct record *r)
{
	unsigned n = core_legs(k->core, id, k->ids, k->nids);

	if (n > k->nids) {
		leg_id *more = realloc(k->ids, n * sizeof(*more));

		if (more == NULL)
			return ENOMEM;
		k->ids = more;
		k->nids = core_legs(k->core, id, more, n);
	}
	k->legs.len = 0;
	for (unsigned i = 0; i < n; i++) {
		int rc = core_keeps_leg(k->core, k->ids[i]) ? sip_keep(sip, k->ids[i], &k->legs)
							    : ENOENT;

		if (rc == 0)
			r->nlegs++;
		else if (rc != ENOENT)
			return rc;
	}
	return 0;
}

static void tell_failure(struct keeper *k, call_id id, int rc)
{
	int64_t now = loop_now_ms();

	if (k->told_ms != 0 && now - k->told_ms < FULL_TOLD_MS)
		return;
	k->told_ms = now;
	log_kv(LOG_LEVEL_WARN, (struct log_ref){id}, "call_not_kept", "why", strerror(rc), NULL);
}

/* ENOENT: there is nothing to be kept of it. */
static int write_down(struct keeper *k, struct sip *sip, call_id id, unsigned nfacts, bool parts)
{
	struct record r = {.magic = KEEP_MAGIC, .last = ledger_newest(k->ledger) + nfacts};
	void *core = NULL;
	size_t n = 0;
	int rc = keep_legs(k, sip, id, &r);

	if (rc == 0 && !parts)
		rc = core_snapshot(k->core, id, &core, &n);
	else if (rc == 0 && r.nlegs == 0)
		rc = ENOENT; /* it never was more than an INVITE */
	if (rc == 0 && !room(k, sizeof(r) + n + k->legs.len))
		rc = ENOMEM;
	if (rc == 0) {
		r.core = (uint32_t)n;
		memcpy(r.build, k->build, BUILD_MAX);
		memcpy(k->buf, &r, sizeof(r));
		if (n > 0)
			memcpy(k->buf + sizeof(r), core, n);
		if (k->legs.len > 0)
			memcpy(k->buf + sizeof(r) + n, k->legs.bytes, k->legs.len);
		rc = calls_put(k->calls, id, k->buf, sizeof(r) + n + k->legs.len);
	}
	free(core);
	return rc;
}

/* A change of what is kept, from its first call to settle(). */
struct keeping {
	struct keeper *keeper;
	struct sip *sip;
	const struct fact *facts; /* that go on record with it */
	unsigned nfacts;
	call_id done; /* in this step; most are about one call */
	bool begun;
	int rc; /* why it has failed, or 0 */
};

static enum worth worth_of(const struct core *c, call_id id)
{
	if (core_keeps(c, id))
		return WORTH_KEEPING;
	return core_parts(c, id) ? WORTH_A_BYE : WORTH_NOTHING;
}

static int keep_one(struct keeping *now, call_id id, enum worth worth)
{
	struct keeper *k = now->keeper;
	int rc = now->begun ? 0 : calls_begin(k->calls);

	if (rc)
		return rc;
	now->begun = true;
	rc = worth == WORTH_NOTHING
		     ? ENOENT
		     : write_down(k, now->sip, id, now->nfacts, worth == WORTH_A_BYE);
	if (rc == 0)
		remember(k, id, worth);
	if (rc != ENOENT)
		return rc;
	forget(k, id);
	return calls_forget(k->calls, id);
}

/* The end of each call: who was to be hung up has been, or is still to be. */
static void parted(struct keeper *k, struct kept *e, enum worth worth)
{
	if (worth == WORTH_A_BYE)
		return;
	HASH_DEL(k->kept, e);
	e->next = k->gone;
	k->gone = e;
}

static void keep(void *arg, call_id id)
{
	struct keeping *now = arg;
	enum worth worth;
	struct kept *e;

	if (id == now->done || now->rc)
		return;
	now->done = id;
	worth = worth_of(now->keeper->core, id);
	e = kept_find(now->keeper, id);
	if (worth == WORTH_NOTHING && e == NULL)
		return;
	if (now->nfacts == 0 && e != NULL && e->worth == WORTH_A_BYE) {
		parted(now->keeper, e, worth);
		return;
	}
	now->rc = keep_one(now, id, worth);
	if (now->rc)
		tell_failure(now->keeper, id, now->rc);
}

/* Ends the change; false if nothing of it is there. */
static bool settle(struct keeping *now)
{
	struct keeper *k = now->keeper;

	if (!now->begun)
		return now->rc == 0;
	if (now->rc == 0 && now->nfacts > 0)
		now->rc = pledge_make(&k->pledge, k->ledger, now->facts, now->nfacts);
	if (now->rc == 0 && now->nfacts > 0)
		now->rc = calls_note(k->calls, k->pledge.bytes, k->pledge.len);
	if (now->rc == 0)
		now->rc = forget_gone(k);
	if (now->rc == 0)
		now->rc = calls_commit(k->calls);
	else
		calls_abort(k->calls);
	if (now->rc == 0)
		free_gone(k);
	return now->rc == 0;
}

/* An older state of it would be no truth any more. */
static void give_up(void *arg, call_id id)
{
	struct keeper *k = arg;

	forget(k, id);
	if (calls_begin(k->calls) != 0)
		return;
	calls_forget(k->calls, id);
	calls_commit(k->calls);
}

void keeper_all(struct keeper *k, struct sip *sip)
{
	if (k == NULL || !knows_build(k))
		return;
	for (call_id id = core_next_call(k->core, ID_NONE); id != ID_NONE; id = core_next_call(k->core, id)) {
		struct keeping now = {.keeper = k, .sip = sip};

		keep(&now, id);
		if (!settle(&now))
			give_up(k, id);
	}
}

void keeper_step(struct keeper *k, struct sip *sip, const struct event *ev, const struct core_out *out)
{
	struct keeping now = {.keeper = k, .sip = sip, .facts = out->facts, .nfacts = out->nfacts};

	if (k == NULL || !knows_build(k))
		return;
	core_each_changed(k->core, ev, out, keep, &now);
	if (!settle(&now))
		core_each_changed(k->core, ev, out, give_up, k);
}

void keeper_began(struct keeper *k, struct sip *sip, const call_id *ids, unsigned n,
	const struct fact *facts, unsigned nfacts)
{
	struct keeping now = {.keeper = k, .sip = sip, .facts = facts, .nfacts = nfacts};

	for (unsigned i = 0; i < n; i++)
		keep(&now, ids[i]);
	if (n > 0 && !settle(&now))
		for (unsigned i = 0; i < n; i++)
			give_up(k, ids[i]);
}

static void on_beat(void *arg, int events)
{
	struct keeper *k = arg;

	(void)events;
	loop_timer_ack(k->beat_fd);
	sweep_out(k);
	calls_alive(k->calls, loop_now_ms());
	loop_timer_set(k->beat_fd, ALIVE_MS);
}

int keeper_start(struct keeper *k, struct loop *loop)
{
	if (k == NULL)
		return 0;
	k->beat_fd = loop_timer_open();
	if (k->beat_fd < 0)
		return errno;
	k->beat = loop_watch(loop, k->beat_fd, LOOP_IN, on_beat, k);
	calls_alive(k->calls, loop_now_ms());
	loop_timer_set(k->beat_fd, ALIVE_MS);
	return k->beat != NULL ? 0 : ENOMEM;
}

int64_t keeper_seen(const struct keeper *k)
{
	return k != NULL ? k->seen : 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct loaded {
	call_id id;
	unsigned char *bytes;
	size_t len;
	struct record r;
	bool stale; /* there are facts of it that came after */
};

struct load {
	struct loaded *list; /* by id, as they are stored */
	unsigned n;
};

static void collect(void *arg, uint64_t id, const unsigned char *bytes, size_t len)
{
	struct load *ld = arg;
	struct loaded *l = realloc(ld->list, (ld->n + 1) * sizeof(*l));

	if (l == NULL)
		return;
	ld->list = l;
	l = &ld->list[ld->n];
	*l = (struct loaded){.id = id, .len = len};
	if (len < sizeof(l->r) || (l->bytes = malloc(len)) == NULL)
		return;
	memcpy(l->bytes, bytes, len);
	memcpy(&l->r, bytes, sizeof(l->r));
	ld->n++;
}

static int by_id(const void *id, const void *loaded)
{
	uint64_t a = *(const call_id *)id, b = ((const struct loaded *)loaded)->id;

	return a < b ? -1 : a > b;
}

/* What was to be kept of the call with its newest facts could not be written, nor the older state removed. */
static void find_stale(void *arg, uint64_t seq, const struct fact *f)
{
	struct load *ld = arg;

	struct loaded *l = bsearch(&f->call, ld->list, ld->n, sizeof(ld->list[0]), by_id);

	if (l != NULL && seq > l->r.last)
		l->stale = true;
}

/* Makes the dialogs again; false if one could not be. */
static bool restore_legs(struct sip *sip, const struct loaded *l, leg_id *legs, unsigned *n)
{
	const unsigned char *p = l->bytes + sizeof(l->r) + l->r.core, *end = l->bytes + l->len;

	*n = 0;
	for (unsigned i = 0; i < l->r.nlegs; i++) {
		size_t used = 0;
		leg_id id = p < end ? sip_restore(sip, p, (size_t)(end - p), &used) : ID_NONE;

		if (id == ID_NONE)
			return false;
		legs[(*n)++] = id;
		p += used;
	}
	return *n > 0;
}

/* Why this call, whose dialogs are there again, cannot go on; NULL: it does. */
static const char *give_back(struct keeper *k, const struct loaded *l)
{
	if (!k->recover)
		return "control.recover is off";
	if (memcmp(l->r.build, k->build, BUILD_MAX) != 0)
		return "another build of segued kept it";
	if (l->stale)
		return "what was kept is older than its facts";
	if (core_restore(k->core, l->bytes + sizeof(l->r), l->r.core) != 0)
		return "its state could not be restored";
	return NULL;
}

static void say_goodbye(struct sip *sip, const leg_id *legs, unsigned n, uint16_t status, const char *text)
{
	for (unsigned i = 0; i < n; i++)
		sip_farewell(sip, legs[i], status, text);
}

static bool restore_one(struct keeper *k, struct sip *sip, struct loaded *l)
{
	bool parts = l->r.core == 0; /* it had ended, and somebody may not know */
	const char *why = NULL;
	unsigned n = 0;
	leg_id *legs;

	if (l->r.magic != KEEP_MAGIC || sizeof(l->r) + l->r.core > l->len || l->r.nlegs > l->len ||
		(legs = calloc(l->r.nlegs + 1, sizeof(*legs))) == NULL)
		return false;
	if (!restore_legs(sip, l, legs, &n))
		why = "its dialogs could not be restored";
	else if (!parts)
		why = give_back(k, l);
	if (parts || why != NULL)
		say_goodbye(sip, legs, n, parts ? 0 : 503, parts ? NULL : "Restarted");
	if (why != NULL)
		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){l->id}, "call_not_restored", "why", why, NULL);
	free(legs);
	return !parts && why == NULL;
}

unsigned keeper_restore(struct keeper *k, struct sip *sip, call_id **ids)
{
	struct load ld = {0};
	unsigned n = 0;

	*ids = NULL;
	if (k == NULL || calls_each(k->calls, collect, &ld) != 0)
		return 0;
	if (ld.n > 0) {
		ledger_each_seq(k->ledger, find_stale, &ld);
		*ids = calloc(ld.n, sizeof(**ids));
	}
	for (unsigned i = 0; i < ld.n; i++) {
		if (*ids != NULL && restore_one(k, sip, &ld.list[i])) {
			remember(k, ld.list[i].id, WORTH_KEEPING);
			(*ids)[n++] = ld.list[i].id;
		} else {
			give_up(k, ld.list[i].id); /* it cannot be given back */
		}
		free(ld.list[i].bytes);
	}
	free(ld.list);
	return n;
}
