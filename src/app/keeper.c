/* keeper: see keeper.h. */
#include "app/keeper.h"

#include "base/log.h"
#include "store/calls.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#define KEEP_MAGIC 0x6b656570u
#define BUILD_MAX 32
#define FULL_TOLD_MS 60000

struct record {
	uint32_t magic, nlegs;
	uint64_t last;    /* the newest fact when it was written */
	uint32_t core;    /* bytes of the core's snapshot, which follow; then the legs */
	unsigned char build[BUILD_MAX]; /* of the program: another one has other structs */
};

struct kept {
	call_id id;
	UT_hash_handle hh;
};

struct keeper {
	struct calls *calls;
	struct ledger *ledger;
	struct core *core;
	struct kept *kept; /* of this run, or restored */
	unsigned char build[BUILD_MAX];
	unsigned char *buf;
	size_t cap;
	bool recover;
	int64_t told_ms;
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
	k->ledger = ledger;
	k->core = core;
	k->recover = cfg->recover;
	dl_iterate_phdr(find_build, k->build);
	*out = k;
	return 0;
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
	calls_close(k->calls);
	free(k->buf);
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
	calls_forget(k->calls, id);
}

static void remember(struct keeper *k, call_id id)
{
	struct kept *e;

	HASH_FIND(hh, k->kept, &id, sizeof(id), e);
	if (e != NULL || (e = calloc(1, sizeof(*e))) == NULL)
		return;
	e->id = id;
	HASH_ADD(hh, k->kept, id, sizeof(e->id), e);
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

/* The dialogs of the call's legs; false: the kept party's is not up, so there is nothing to keep. */
static bool keep_legs(struct sip *sip, const struct call_view *v, struct record *r, struct sip_kept *out)
{
	bool kept = false;

	for (unsigned i = 0; i < v->nlegs; i++) {
		if (sip_keep(sip, v->legs[i].id, out) != 0)
			continue;
		r->nlegs++;
		kept = kept || str_eq(v->legs[i].role, "kept");
	}
	return kept;
}

static void tell_failure(struct keeper *k, call_id id, int rc)
{
	int64_t now = loop_now_ms();

	if (k->told_ms != 0 && now - k->told_ms < FULL_TOLD_MS)
		return;
	k->told_ms = now;
	log_kv(LOG_LEVEL_WARN, (struct log_ref){id}, "call_not_kept", "why", strerror(rc), NULL);
}

static int write_down(struct keeper *k, struct sip *sip, const struct call_view *v)
{
	struct record r = {.magic = KEEP_MAGIC, .last = ledger_newest(k->ledger)};
	struct sip_kept legs = {0};
	void *core = NULL;
	size_t n = 0;
	int rc = ENOENT;

	if (keep_legs(sip, v, &r, &legs))
		rc = core_snapshot(k->core, v->id, &core, &n);
	if (rc == 0 && !room(k, sizeof(r) + n + legs.len))
		rc = ENOMEM;
	if (rc == 0) {
		r.core = (uint32_t)n;
		memcpy(r.build, k->build, BUILD_MAX);
		memcpy(k->buf, &r, sizeof(r));
		memcpy(k->buf + sizeof(r), core, n);
		memcpy(k->buf + sizeof(r) + n, legs.bytes, legs.len);
		rc = calls_put(k->calls, v->id, k->buf, sizeof(r) + n + legs.len);
	}
	free(core);
	free(legs.bytes);
	return rc;
}

static void keep(struct keeper *k, struct sip *sip, call_id id)
{
	struct call_view v;
	int rc;

	if (!core_keeps(k->core, id) || !core_view(k->core, id, &v)) {
		forget(k, id);
		return;
	}
	rc = write_down(k, sip, &v);
	if (rc == 0)
		remember(k, id);
	else
		forget(k, id);
	if (rc != 0 && rc != ENOENT)
		tell_failure(k, id, rc);
}

/* Several facts are about one call, mostly. */
static void keep_named(struct keeper *k, struct sip *sip, const struct core_out *out, call_id done)
{
	for (unsigned i = 0; i < out->nfacts; i++) {
		call_id id = out->facts[i].call;

		if (id == ID_NONE || id == done)
			continue;
		keep(k, sip, id);
		done = id;
	}
}

void keeper_step(struct keeper *k, struct sip *sip, const struct event *ev, const struct core_out *out)
{
	call_id id = ev->leg != ID_NONE ? id_call(ev->leg) : ev->call, partner;

	if (k == NULL || !knows_build(k))
		return;
	if (out->nfacts == 0 && ev->type != EV_OA_DONE && ev->type != EV_CLOSED)
		return;
	if (ev->type == EV_INVITE)
		return; /* nobody has answered yet */
	id = core_call_of(k->core, id);
	if (id != ID_NONE) {
		keep(k, sip, id);
		partner = core_partner(k->core, id);
		if (partner != ID_NONE)
			keep(k, sip, partner);
	}
	keep_named(k, sip, out, id);
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

/* The process ended between the facts of a step and what is kept of its call: they do not agree. */
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
	for (unsigned i = 0; i < l->r.nlegs && i < VIEW_LEGS_MAX; i++) {
		size_t used = 0;
		leg_id id = p < end ? sip_restore(sip, p, (size_t)(end - p), &used) : ID_NONE;

		if (id == ID_NONE)
			return false;
		legs[(*n)++] = id;
		p += used;
	}
	return *n > 0;
}

static bool restore_one(struct keeper *k, struct sip *sip, struct loaded *l)
{
	leg_id legs[VIEW_LEGS_MAX];
	const char *why = NULL;
	unsigned n = 0;

	if (l->r.magic != KEEP_MAGIC || sizeof(l->r) + l->r.core > l->len)
		return false;
	if (!restore_legs(sip, l, legs, &n))
		why = "its dialogs could not be restored";
	else if (!k->recover)
		why = "control.recover is off";
	else if (memcmp(l->r.build, k->build, BUILD_MAX) != 0)
		why = "another build of segued kept it";
	else if (l->stale)
		why = "it was in the middle of a step";
	else if (core_restore(k->core, l->bytes + sizeof(l->r), l->r.core) != 0)
		why = "its state could not be restored";
	else
		return true;
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){l->id}, "call_not_restored", "why", why, NULL);
	for (unsigned i = 0; i < n; i++)
		sip_farewell(sip, legs[i], 503, "Restarted");
	return false;
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
			remember(k, ld.list[i].id);
			(*ids)[n++] = ld.list[i].id;
		} else {
			calls_forget(k->calls, ld.list[i].id);
		}
		free(ld.list[i].bytes);
	}
	free(ld.list);
	return n;
}
