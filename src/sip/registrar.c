/* registrar: see registrar.h. Two indexes over the same bindings (by user, by number) and a wheel
 * of seconds for expiry. */
#include "sip/registrar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

ENUM_DEFINE(binding_kind, BINDING_KIND_LIST)

#define WHEEL 4096 /* seconds; what expires later goes round more than once */
#define FILE_MAGIC "segue-registrar 1"
#define FILE_TEXTS 7   /* fields of a line: user uri path call_id instance source user_agent, */
#define FILE_NUMBERS 5 /* then id cseq reg_id q expires */

struct node {
	struct binding b;
	struct owner *owner;
	struct node *prev, *next;             /* of the same user */
	struct node *wheel_prev, *wheel_next; /* expiring in the same slot */
	UT_hash_handle hh;                    /* by id */
	char text[];                          /* the strings of b */
};

struct owner {
	char name[USER_MAX];
	struct node *nodes;
	UT_hash_handle hh;
};

struct registrar {
	struct registrar_config cfg;
	struct owner *owners;
	struct node *by_id;
	struct node *wheel[WHEEL];
	int64_t swept; /* second up to which the wheel was swept; -1 never */
	uint32_t last_id;
	uint64_t refreshes;
};

/* ---- bindings ------------------------------------------------------------------------------ */

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static const char *keep(char **at, const char *s)
{
	char *copy = *at;
	size_t n = strlen(or_empty(s)) + 1;

	memcpy(copy, or_empty(s), n);
	*at += n;
	return copy;
}

/* A binding that is in no index yet, strings copied. NULL without memory. */
static struct node *node_new(const struct binding *b)
{
	const char *const text[] = {b->uri, b->path, b->call_id, b->instance, b->source,
		b->user_agent};
	size_t size = 0;
	struct node *n;
	char *at;

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		size += strlen(or_empty(text[i])) + 1;
	n = calloc(1, sizeof(*n) + size);
	if (!n)
		return NULL;
	n->b = *b;
	at = n->text;
	n->b.uri = keep(&at, b->uri);
	n->b.path = keep(&at, b->path);
	n->b.call_id = keep(&at, b->call_id);
	n->b.instance = keep(&at, b->instance);
	n->b.source = keep(&at, b->source);
	n->b.user_agent = keep(&at, b->user_agent);
	return n;
}

static struct owner *owner_find(const struct registrar *r, const char *user)
{
	struct owner *o;

	HASH_FIND_STR(r->owners, user, o);
	return o;
}

/* Finds or makes; NULL without memory. */
static struct owner *owner_get(struct registrar *r, const char *user)
{
	struct owner *o = owner_find(r, user);

	if (o)
		return o;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	str_set(o->name, user);
	HASH_ADD_STR(r->owners, name, o);
	return o;
}

static void owner_release(struct registrar *r, struct owner *o)
{
	if (o->nodes)
		return;
	HASH_DEL(r->owners, o);
	free(o);
}

static struct node **wheel_slot(struct registrar *r, const struct node *n)
{
	return &r->wheel[(uint64_t)(n->b.expires / 1000) % WHEEL];
}

static void link_node(struct registrar *r, struct owner *o, struct node *n)
{
	n->owner = o;
	n->b.user = o->name;
	n->b.updated = ++r->refreshes;
	DL_PREPEND(o->nodes, n);
	HASH_ADD(hh, r->by_id, b.id, sizeof(n->b.id), n);
	if (n->b.kind == BINDING_REGISTERED)
		DL_APPEND2(*wheel_slot(r, n), n, wheel_prev, wheel_next);
}

static void unlink_node(struct registrar *r, struct node *n)
{
	DL_DELETE(n->owner->nodes, n);
	HASH_DELETE(hh, r->by_id, n);
	if (n->b.kind == BINDING_REGISTERED)
		DL_DELETE2(*wheel_slot(r, n), n, wheel_prev, wheel_next);
	free(n);
}

static void tell(struct registrar *r, const char *user)
{
	if (r->cfg.changed)
		r->cfg.changed(r->cfg.arg, user);
}

/* Forgets the user if nothing is left of it, and tells. */
static void settle(struct registrar *r, struct owner *o)
{
	char user[USER_MAX];

	str_set(user, o->name);
	owner_release(r, o);
	tell(r, user);
}

struct registrar *registrar_create(const struct registrar_config *cfg)
{
	struct registrar *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->cfg = *cfg;
	r->swept = -1;
	return r;
}

void registrar_configure(struct registrar *r, const struct registrar_config *cfg)
{
	r->cfg = *cfg;
}

void registrar_destroy(struct registrar *r)
{
	struct node *n, *tmp;
	struct owner *o, *otmp;

	if (!r)
		return;
	HASH_ITER(hh, r->by_id, n, tmp)
		unlink_node(r, n);
	HASH_ITER(hh, r->owners, o, otmp)
		owner_release(r, o);
	free(r);
}

/* ---- REGISTER ------------------------------------------------------------------------------ */

/* One contact of a request, understood. */
struct wish {
	struct addr addr;
	char uri[URI_MAX];
	char instance[URI_PARAM_MAX];
	uint32_t reg_id;
	uint16_t q;
	uint32_t expires_s;  /* 0: remove */
	struct node *fresh;  /* what will be linked; NULL for a removal */
};

struct plan {
	const struct registrar_request *req;
	int64_t now;
	struct wish wish[CONTACTS_MAX];
	unsigned n;
};

/* Seconds as text; what is no number counts as absent (RFC 3261 section 20.19). */
static int read_seconds(const char *text, uint32_t *seconds)
{
	uint64_t v = 0;

	if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return 0;
	for (; *text; text++)
		v = v < UINT32_MAX ? v * 10 + (uint64_t)(*text - '0') : v;
	*seconds = v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
	return 1;
}

/* q = "0" [ "." 0*3DIGIT ] | "1" [ "." 0*3("0") ]; anything else counts as 1. */
static uint16_t read_q(const char *text)
{
	unsigned v = 0, scale = 100;

	if (text[0] != '0' || (text[1] != '.' && text[1] != '\0') || text[1] == '\0')
		return text[0] == '0' && text[1] == '\0' ? 0 : 1000;
	for (text += 2; *text >= '0' && *text <= '9' && scale > 0; text++, scale /= 10)
		v += (unsigned)(*text - '0') * scale;
	return (uint16_t)v;
}

static uint32_t wished_expiry(const struct registrar *r, const struct plan *plan,
	const struct wish *w)
{
	char text[32];
	uint32_t s;

	if (uri_param(w->addr.params, "expires", text, sizeof(text)) && read_seconds(text, &s))
		return s;
	if (plan->req->expires) {
		struct slice value = slice_trim(slice_str(plan->req->expires));

		if (str_copy_n(text, sizeof(text), value.p, value.n) && read_seconds(text, &s))
			return s;
	}
	return r->cfg.expires_default_s;
}

/* An instance goes back into the 200 between quotes, and must not be cut: a URN is shorter. */
static int is_instance(const char *s)
{
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("\"\\", *p))
			return 0;
	return strlen(s) < URI_PARAM_MAX - 1;
}

static int read_wish(struct registrar *r, struct plan *plan, struct slice element,
	const char **why)
{
	struct wish *w = &plan->wish[plan->n];
	char text[32];
	uint32_t s;

	if (addr_parse(element.p, element.n, &w->addr) || w->addr.uri.scheme == URI_TEL) {
		*why = "Contact is malformed";
		return 400;
	}
	uri_print(&w->addr.uri, w->uri, sizeof(w->uri)); /* fits: no longer than what was parsed */
	w->q = 1000;
	if (uri_param(w->addr.params, "q", text, sizeof(text)))
		w->q = read_q(text);
	uri_param(w->addr.params, "+sip.instance", w->instance, sizeof(w->instance));
	if (!is_instance(w->instance)) {
		*why = "+sip.instance is malformed";
		return 400;
	}
	if (uri_param(w->addr.params, "reg-id", text, sizeof(text)) && read_seconds(text, &s))
		w->reg_id = s;
	w->expires_s = wished_expiry(r, plan, w);
	if (w->expires_s > 0 && w->expires_s < r->cfg.expires_min_s) {
		*why = "Interval Too Brief";
		return 423;
	}
	if (w->expires_s > r->cfg.expires_max_s)
		w->expires_s = r->cfg.expires_max_s;
	plan->n++;
	return 200;
}

static int read_wishes(struct registrar *r, struct plan *plan, const char **why)
{
	struct slice list = slice_str(plan->req->contact), element;
	int status = 200;

	while (status == 200 && addr_next(&list.p, &list.n, &element)) {
		if (plan->n == CONTACTS_MAX) {
			*why = "too many contacts";
			return 403;
		}
		status = read_wish(r, plan, element, why);
	}
	return status;
}

/* Same device, or same URI (RFC 3261 section 10.3 step 7, RFC 5626 section 6). */
static int is_binding_of(const struct node *n, const struct wish *w)
{
	struct uri u;

	if (n->b.kind != BINDING_REGISTERED)
		return 0;
	if (w->instance[0] && n->b.instance[0])
		return str_eq(w->instance, n->b.instance) && w->reg_id == n->b.reg_id;
	return uri_parse_str(n->b.uri, &u) == URI_OK && uri_equal(&u, &w->addr.uri);
}

static struct node *find_binding(const struct owner *o, const struct wish *w)
{
	struct node *n;

	if (!o)
		return NULL;
	DL_FOREACH(o->nodes, n)
		if (is_binding_of(n, w))
			return n;
	return NULL;
}

/* Step 7: a request of the same Call-ID must be newer than what set the binding. */
static int is_newer(const struct node *n, const struct registrar_request *req)
{
	return !str_eq(n->b.call_id, req->call_id) || req->cseq > n->b.cseq;
}

static int check_order(const struct owner *o, const struct plan *plan, const char **why)
{
	for (unsigned i = 0; i < plan->n; i++) {
		const struct node *n = find_binding(o, &plan->wish[i]);

		if (n && !is_newer(n, plan->req)) {
			*why = "CSeq is older than the binding";
			return 500;
		}
	}
	return 200;
}

static int make_nodes(struct plan *plan)
{
	for (unsigned i = 0; i < plan->n; i++) {
		struct wish *w = &plan->wish[i];
		const struct registrar_request *req = plan->req;
		struct binding b = {
			.kind = BINDING_REGISTERED, .uri = w->uri, .path = req->path,
			.call_id = req->call_id, .cseq = req->cseq, .instance = w->instance,
			.reg_id = w->reg_id, .q = w->q, .source = req->source,
			.user_agent = req->user_agent,
			.expires = plan->now + (int64_t)w->expires_s * 1000,
		};

		if (w->expires_s == 0)
			continue;
		w->fresh = node_new(&b);
		if (!w->fresh)
			return 503;
	}
	return 200;
}

static void free_nodes(struct plan *plan)
{
	for (unsigned i = 0; i < plan->n; i++)
		free(plan->wish[i].fresh);
}

/* Makes room for one more: what was refreshed longest ago gives way. */
static void evict(struct registrar *r, struct owner *o)
{
	struct node *n, *oldest = NULL;
	unsigned count = 0;

	DL_FOREACH(o->nodes, n) {
		count++;
		if (n->b.kind == BINDING_REGISTERED &&
			(!oldest || n->b.updated < oldest->b.updated))
			oldest = n;
	}
	if (count >= CONTACTS_MAX && oldest)
		unlink_node(r, oldest);
}

/* Returns 1 if the set of contacts changed. */
static int apply_wish(struct registrar *r, struct owner *o, struct wish *w)
{
	struct node *old = find_binding(o, w);
	uint32_t id = old ? old->b.id : 0;

	if (old)
		unlink_node(r, old);
	if (!w->fresh)
		return id != 0;
	if (!id)
		evict(r, o);
	w->fresh->b.id = id ? id : ++r->last_id;
	link_node(r, o, w->fresh);
	w->fresh = NULL;
	return id == 0;
}

static void apply(struct registrar *r, struct owner *o, struct plan *plan)
{
	int changed = 0;

	for (unsigned i = 0; i < plan->n; i++)
		changed |= apply_wish(r, o, &plan->wish[i]);
	if (changed)
		settle(r, o);
	else
		owner_release(r, o);
}

/* Contact: * removes everything (step 6). */
static int remove_all(struct registrar *r, const struct registrar_request *req, const char **why)
{
	struct owner *o = owner_find(r, req->user);
	struct node *n, *tmp;
	int changed = 0;

	if (!req->expires || !slice_is(slice_trim(slice_str(req->expires)), "0")) {
		*why = "Contact: * needs Expires: 0";
		return 400;
	}
	if (!o)
		return 200;
	DL_FOREACH(o->nodes, n) {
		if (n->b.kind == BINDING_REGISTERED && !is_newer(n, req)) {
			*why = "CSeq is older than the binding";
			return 500;
		}
	}
	DL_FOREACH_SAFE(o->nodes, n, tmp) {
		if (n->b.kind == BINDING_REGISTERED) {
			unlink_node(r, n);
			changed = 1;
		}
	}
	if (changed)
		settle(r, o);
	return 200;
}

static int is_too_long(const char *s)
{
	return s && strlen(s) >= REGISTRAR_TEXT_MAX;
}

/* What is kept must be of sane size, and a Path must be a list of SIP URIs. */
static int check_texts(const struct registrar_request *req, const char **why)
{
	struct slice path = slice_str(req->path), element;
	struct addr a;

	if (is_too_long(req->call_id) || is_too_long(req->path) || is_too_long(req->source) ||
		is_too_long(req->user_agent) || strlen(req->user) >= USER_MAX) {
		*why = "header is too long";
		return 400;
	}
	while (addr_next(&path.p, &path.n, &element)) {
		if (addr_parse(element.p, element.n, &a) || a.uri.scheme == URI_TEL) {
			*why = "Path is malformed";
			return 400;
		}
	}
	return 200;
}

static int carry_out(struct registrar *r, struct plan *plan, const char **why)
{
	struct owner *o;
	int status = check_order(owner_find(r, plan->req->user), plan, why);

	if (status == 200)
		status = make_nodes(plan);
	o = status == 200 ? owner_get(r, plan->req->user) : NULL;
	if (o)
		apply(r, o, plan);
	else if (status == 200)
		status = 503;
	free_nodes(plan);
	return status;
}

int registrar_register(struct registrar *r, const struct registrar_request *req, int64_t now,
	const char **why)
{
	struct plan plan = {.req = req, .now = now};
	const char *unused;
	int status;

	why = why ? why : &unused;
	*why = "OK";
	registrar_expire(r, now);
	if (!req->contact)
		return 200;
	status = check_texts(req, why);
	if (status != 200)
		return status;
	if (slice_is(slice_trim(slice_str(req->contact)), "*"))
		return remove_all(r, req, why);
	status = read_wishes(r, &plan, why);
	if (status == 200)
		status = carry_out(r, &plan, why);
	if (status == 503)
		*why = "out of memory";
	return status;
}

/* ---- looking up ---------------------------------------------------------------------------- */

static void print_contact(struct out *o, const struct binding *b, int64_t now)
{
	int64_t left = b->expires > now ? (b->expires - now + 999) / 1000 : 0;
	char text[48];

	out_str(o, o->at > 0 ? ", <" : "<");
	out_str(o, b->uri);
	snprintf(text, sizeof(text), ">;expires=%" PRId64, left);
	out_str(o, text);
	if (b->q < 1000) {
		snprintf(text, sizeof(text), ";q=0.%03u", b->q);
		out_str(o, text);
	}
	if (b->instance[0]) {
		out_str(o, ";+sip.instance=\"");
		out_str(o, b->instance);
		out_str(o, "\"");
	}
	if (b->reg_id) {
		snprintf(text, sizeof(text), ";reg-id=%" PRIu32, b->reg_id);
		out_str(o, text);
	}
}

int registrar_print_contacts(const struct registrar *r, const char *user, int64_t now, char *buf,
	size_t size)
{
	struct out o = {buf, size, 0, size == 0};
	const struct owner *owner = owner_find(r, user);
	const struct node *n;

	if (owner)
		DL_FOREACH(owner->nodes, n)
			if (n->b.kind == BINDING_REGISTERED)
				print_contact(&o, &n->b, now);
	return out_end(&o);
}

static int is_better(const struct binding *a, const struct binding *b)
{
	return a->q != b->q ? a->q > b->q : a->updated > b->updated;
}

unsigned registrar_contacts(const struct registrar *r, const char *user, uint32_t id[CONTACTS_MAX])
{
	const struct binding *best[CONTACTS_MAX];
	const struct owner *o = owner_find(r, user);
	const struct node *n;
	unsigned count = 0;

	if (!o)
		return 0;
	DL_FOREACH(o->nodes, n) {
		unsigned at;

		if (count == CONTACTS_MAX)
			break;
		for (at = count++; at > 0 && is_better(&n->b, best[at - 1]); at--)
			best[at] = best[at - 1];
		best[at] = &n->b;
	}
	for (unsigned i = 0; i < count; i++)
		id[i] = best[i]->id;
	return count;
}

static struct node *node_find(const struct registrar *r, uint32_t id)
{
	struct node *n;

	HASH_FIND(hh, r->by_id, &id, sizeof(id), n);
	return n;
}

const struct binding *registrar_find(const struct registrar *r, uint32_t id)
{
	const struct node *n = node_find(r, id);

	return n ? &n->b : NULL;
}

const struct binding *registrar_by_source(const struct registrar *r, const char *user,
	const char *source)
{
	const struct owner *o = owner_find(r, user);
	const struct node *n;

	if (!o)
		return NULL;
	DL_FOREACH(o->nodes, n)
		if (n->b.kind == BINDING_REGISTERED && str_eq(n->b.source, source))
			return &n->b;
	return NULL;
}

unsigned registrar_count(const struct registrar *r)
{
	return HASH_COUNT(r->by_id);
}

void registrar_each(const struct registrar *r, void (*fn)(void *arg, const struct binding *b),
	void *arg)
{
	for (const struct node *n = r->by_id; n; n = n->hh.next)
		fn(arg, &n->b);
}

/* ---- other changes ------------------------------------------------------------------------- */

static struct node *find_static(const struct owner *o)
{
	struct node *n;

	DL_FOREACH(o->nodes, n)
		if (n->b.kind == BINDING_STATIC)
			return n;
	return NULL;
}

static int remove_static(struct registrar *r, const char *user)
{
	struct owner *o = owner_find(r, user);
	struct node *n = o ? find_static(o) : NULL;

	if (n) {
		unlink_node(r, n);
		settle(r, o);
	}
	return 0;
}

int registrar_set_static(struct registrar *r, const char *user, const char *uri)
{
	struct binding b = {.kind = BINDING_STATIC, .uri = uri, .q = 1000, .expires = INT64_MAX};
	struct node *old, *n;
	struct owner *o;
	struct uri u;

	if (str_empty(uri))
		return remove_static(r, user);
	if (uri_parse_str(uri, &u) || u.scheme == URI_TEL || strlen(user) >= USER_MAX)
		return EINVAL;
	o = owner_get(r, user);
	if (!o)
		return ENOMEM;
	old = find_static(o);
	if (old && str_eq(old->b.uri, uri))
		return 0;
	n = node_new(&b);
	if (!n) {
		owner_release(r, o);
		return ENOMEM;
	}
	if (old)
		unlink_node(r, old);
	evict(r, o);
	n->b.id = ++r->last_id;
	link_node(r, o, n);
	tell(r, o->name);
	return 0;
}

void registrar_drop_user(struct registrar *r, const char *user)
{
	struct owner *o = owner_find(r, user);
	struct node *n, *tmp;

	if (!o)
		return;
	DL_FOREACH_SAFE(o->nodes, n, tmp)
		unlink_node(r, n);
	settle(r, o);
}

static void sweep(struct registrar *r, struct node *slot, int64_t now)
{
	struct node *n, *next;

	for (n = slot; n; n = next) {
		struct owner *o = n->owner;

		next = n->wheel_next;
		if (n->b.expires > now)
			continue;
		unlink_node(r, n);
		settle(r, o);
	}
}

void registrar_expire(struct registrar *r, int64_t now)
{
	int64_t second = now / 1000, from = r->swept;

	if (from < 0 || second - from >= WHEEL)
		from = second - WHEEL + 1; /* every slot once */
	for (int64_t s = from; s <= second; s++)
		sweep(r, r->wheel[(uint64_t)s % WHEEL], now);
	r->swept = second;
}

/* ---- the file ------------------------------------------------------------------------------ */

/* One line for each binding: tab separated, strings percent-encoded. */
enum saving { SAVE_SYNCED, SAVE_UNSYNCED };

static int write_binding(FILE *f, const struct binding *b, int64_t now, int64_t wall)
{
	const char *const text[] = {b->user, b->uri, b->path, b->call_id, b->instance, b->source,
		b->user_agent};
	char escaped[3 * REGISTRAR_TEXT_MAX + 1];
	int64_t expires = wall + (b->expires - now + 999) / 1000;

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		if (uri_escape(escaped, sizeof(escaped), text[i], strlen(text[i]), URI_PART_PARAM))
			return EINVAL;
		fprintf(f, "%s\t", escaped);
	}
	fprintf(f, "%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%u\t%" PRId64 "\n", b->id, b->cseq,
		b->reg_id, b->q, expires);
	return 0;
}

static int write_file(const struct registrar *r, FILE *f, int64_t now, int64_t wall, enum saving how)
{
	int rc = 0;

	fprintf(f, "%s %" PRIu32 "\n", FILE_MAGIC, r->last_id);
	for (const struct node *n = r->by_id; !rc && n; n = n->hh.next)
		if (n->b.kind == BINDING_REGISTERED)
			rc = write_binding(f, &n->b, now, wall);
	if (!rc && (fflush(f) != 0 || (how == SAVE_SYNCED && fsync(fileno(f)) != 0)))
		rc = errno;
	return rc;
}

static int save(
	const struct registrar *r, const char *path, int64_t now, int64_t wall, enum saving how)
{
	char tmp[4096];
	FILE *f;
	int rc;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new", path) >= sizeof(tmp))
		return ENAMETOOLONG;
	f = fopen(tmp, "we");
	if (!f)
		return errno;
	rc = write_file(r, f, now, wall, how);
	if (fclose(f) != 0 && !rc)
		rc = errno;
	if (!rc && rename(tmp, path) != 0)
		rc = errno;
	if (rc)
		unlink(tmp);
	return rc;
}

int registrar_save(const struct registrar *r, const char *path, int64_t now, int64_t wall)
{
	return save(r, path, now, wall, SAVE_SYNCED);
}

int registrar_note(const struct registrar *r, const char *path, int64_t now, int64_t wall)
{
	return save(r, path, now, wall, SAVE_UNSYNCED);
}

/* A line of the file, taken apart. */
struct record {
	char text[FILE_TEXTS][REGISTRAR_TEXT_MAX];
	uint64_t number[FILE_NUMBERS];
};

static int read_u64(struct slice s, uint64_t *value)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 18)
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	*value = v;
	return 1;
}

static int read_record(struct slice line, struct record *rec)
{
	const int last = FILE_TEXTS + FILE_NUMBERS - 1;

	for (int i = 0; i <= last; i++) {
		struct slice rest, field = slice_cut(line, "\t", &rest);

		if ((i < last) != (rest.p != NULL))
			return 0;
		if (i < FILE_TEXTS &&
			uri_unescape(rec->text[i], sizeof(rec->text[i]), field.p, field.n))
			return 0;
		if (i >= FILE_TEXTS && !read_u64(field, &rec->number[i - FILE_TEXTS]))
			return 0;
		line = rest;
	}
	return rec->text[0][0] != '\0' && strlen(rec->text[0]) < USER_MAX;
}

/* 0; EINVAL for a record that makes no sense; ENOMEM. */
static int load_record(struct registrar *r, const struct record *rec, int64_t now, int64_t wall)
{
	int64_t left = (int64_t)rec->number[4] - wall;
	struct binding b = {
		.id = (uint32_t)rec->number[0], .kind = BINDING_REGISTERED, .uri = rec->text[1],
		.path = rec->text[2], .call_id = rec->text[3], .instance = rec->text[4],
		.source = rec->text[5], .user_agent = rec->text[6],
		.cseq = (uint32_t)rec->number[1], .reg_id = (uint32_t)rec->number[2],
		.q = (uint16_t)rec->number[3], .expires = now + left * 1000,
	};
	struct owner *o;
	struct node *n;
	struct uri u;

	for (int i = 0; i < 4; i++)
		if (rec->number[i] > (i < 3 ? UINT32_MAX : 1000))
			return EINVAL;
	if (b.id == 0 || b.id > r->last_id || node_find(r, b.id) || uri_parse_str(b.uri, &u))
		return EINVAL;
	if (left <= 0)
		return 0;
	if (!strstr(b.source, "transport=udp"))
		b.source = "";
	if (left > (int64_t)r->cfg.expires_max_s) /* the clock was put back meanwhile */
		b.expires = now + (int64_t)r->cfg.expires_max_s * 1000;
	o = owner_get(r, rec->text[0]);
	n = o ? node_new(&b) : NULL;
	if (!n) {
		if (o)
			owner_release(r, o);
		return ENOMEM;
	}
	evict(r, o);
	link_node(r, o, n);
	return 0;
}

static int load_lines(struct registrar *r, FILE *f, int64_t now, int64_t wall, unsigned *bad)
{
	struct record rec;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;

	while (rc != ENOMEM && (n = getline(&line, &cap, f)) > 0) {
		struct slice text = slice_trim(slice_of(line, (size_t)n)); /* last field: a number */

		rc = read_record(text, &rec) ? load_record(r, &rec, now, wall) : EINVAL;
		if (rc == EINVAL)
			(*bad)++;
	}
	free(line);
	return rc == ENOMEM ? ENOMEM : 0;
}

int registrar_load(struct registrar *r, const char *path, int64_t now, int64_t wall, unsigned *bad)
{
	FILE *f = fopen(path, "re");
	unsigned unused;
	struct owner *o, *tmp;
	int rc;

	bad = bad ? bad : &unused;
	*bad = 0;
	if (!f)
		return errno;
	if (fscanf(f, FILE_MAGIC " %" SCNu32, &r->last_id) != 1 || fgetc(f) != '\n')
		rc = EINVAL;
	else
		rc = load_lines(r, f, now, wall, bad);
	fclose(f);
	HASH_ITER(hh, r->owners, o, tmp)
		tell(r, o->name);
	return rc;
}
