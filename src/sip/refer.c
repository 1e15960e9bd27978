/*
 * refer: REFER (RFC 3515), inside the dialog of the call that it moves, or outside with a
 * Target-Dialog that names it (RFC 4538). Each that can be carried out at all is one EV_TRANSFER,
 * answered by ACT_REFER_ACCEPT or ACT_REFER_REJECT; what follows is in notify.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_extra.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/refer.h"
#include "sip/referto.h"

#define MAX_FORWARDS   70
#define REFER_CMD      (1ull << 63) /* our commands, apart from those of the control socket */

/* ---- life --------------------------------------------------------------------------------- */

struct refer *refer_find(struct sip *s, uint64_t cmd)
{
	struct refer *r;

	HASH_FIND(hh, s->refers, &cmd, sizeof(cmd), r);
	return r;
}

struct dialog *refer_dialog(struct refer *r)
{
	return r->own != NULL ? r->own : &r->leg->dialog;
}

static struct refer *refer_new(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct refer *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->cmd = REFER_CMD | ++l->sip->serial;
	r->leg = l;
	r->t = t;
	r->id = request->sip_cseq->cs_seq;
	r->status = 100;
	r->max_forwards = MAX_FORWARDS;
	r->next = l->refers;
	l->refers = r;
	HASH_ADD(hh, l->sip->refers, cmd, sizeof(r->cmd), r);
	return r;
}

/* While it waits for its answer only the core knows whether it is accepted; if not, no NOTIFY comes. */
bool refer_keeps(const struct refer *r)
{
	return r->own == NULL && r->sub == SUB_WANTED &&
	       (r->state == REFER_ASKED || r->state == REFER_ACTIVE || r->state == REFER_FINAL);
}

int refer_restore(struct sip_leg *l, uint64_t cmd, uint32_t id, bool asked)
{
	struct refer *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ENOMEM;
	r->cmd = cmd;
	r->leg = l;
	r->id = id;
	r->status = 100;
	r->state = asked ? REFER_ASKED : REFER_ACTIVE;
	r->next = l->refers;
	l->refers = r;
	HASH_ADD(hh, l->sip->refers, cmd, sizeof(r->cmd), r);
	if ((cmd & ~REFER_CMD) > l->sip->serial) /* no other one gets its name */
		l->sip->serial = cmd & ~REFER_CMD;
	return 0;
}

void sip_refer_taken(struct sip *s, uint64_t cmd)
{
	struct refer *r = refer_find(s, cmd);

	if (r != NULL && r->state == REFER_ASKED && r->t == NULL)
		r->state = REFER_ACTIVE;
}

/* ---- the dialog of a REFER that came outside of its call's ---- */

static struct dialog *own_new(struct sip *s, struct stack_server *t, const sip_t *request)
{
	struct dialog *d = calloc(1, sizeof(*d));
	struct stack_dest flow = {.listener = -1};
	struct stack_addr from;
	char source[SOURCE_MAX];

	if (d == NULL)
		return NULL;
	dialog_make_tag(d, sip_random(s));
	stack_server_source(s->stack, t, &from);
	source_print(&from, source, sizeof(source));
	source_parse(source, &flow);
	if (dialog_init_uas(d, s->stack, request, &flow) == 0 && d->target != NULL &&
		dialog_set_contact(d, s->stack, &flow) == 0)
		return d;
	dialog_done(d);
	free(d);
	return NULL;
}

static void own_add(struct refer *r, struct dialog *own)
{
	r->own = own;
	stack_server_tag(r->t, own->tag);
	HASH_ADD_KEYPTR(hh_own, r->leg->sip->refer_dialogs, own->tag, strlen(own->tag), r);
}

static void own_free(struct refer *r)
{
	if (r->own == NULL)
		return;
	HASH_DELETE(hh_own, r->leg->sip->refer_dialogs, r);
	dialog_done(r->own);
	free(r->own);
}

struct refer *refer_by_tag(struct sip *s, const char *tag)
{
	struct refer *r;

	HASH_FIND(hh_own, s->refer_dialogs, tag, strlen(tag), r);
	return r;
}

static void refer_free(struct refer *r)
{
	struct refer **p = &r->leg->refers;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	HASH_DELETE(hh, r->leg->sip->refers, r);
	own_free(r);
	text_clear(&r->target);
	text_clear(&r->replaces);
	text_clear(&r->referred_by);
	text_clear(&r->headers);
	free(r);
}

void refer_abandon(struct sip_leg *l)
{
	while (l->refers != NULL) {
		if (l->refers->t != NULL)
			reply_simple(l->sip, l, l->refers->t, 481, NULL);
		refer_free(l->refers);
	}
}

/* ---- the request -------------------------------------------------------------------------- */

/* The one Refer-To of a request. What the library could not read may be readable for referto, which
 * knows more of how phones write. */
static const sip_header_t *find_refer_to(const sip_t *request)
{
	const sip_header_t *h = (const sip_header_t *)request->sip_request;

	if (request->sip_refer_to != NULL)
		return (const sip_header_t *)request->sip_refer_to;
	while (h != NULL && !(h->sh_class == sip_error_class && h->sh_error->er_name != NULL &&
				strcasecmp(h->sh_error->er_name, "Refer-To") == 0))
		h = (const sip_header_t *)h->sh_succ;
	return h;
}

static enum referto_error read_refer_to(const sip_t *request, struct referto *to)
{
	char value[4096];
	unsigned n = message_count(request, sip_refer_to_class, "Refer-To");
	const sip_header_t *h = find_refer_to(request);

	if (n > 1 || (request->sip_refer_to != NULL && n == 0))
		return n > 1 ? REFERTO_SEVERAL : REFERTO_SYNTAX;
	if (h == NULL)
		return REFERTO_MISSING;
	message_raw_value(h, value, sizeof(value));
	if (value[0] == '\0')
		return h->sh_class == sip_error_class ? REFERTO_SYNTAX : REFERTO_LONG;
	return referto_parse(value, strlen(value), to);
}

static void refuse(
	struct sip_leg *l, struct stack_server *t, int status, const char *why, const char *object)
{
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){l->id}, "refer_refused", "target", object, "why",
		why, NULL);
	sip_emit_audit(l->sip, l->user[0] != '\0' ? l->user : l->peer, "refer", object, why);
	reply_simple(l->sip, l, t, status, why);
}

/* Not from where this phone's dialog lives: somebody may have learnt its tags (E-078). */
static bool comes_from_elsewhere(struct sip_leg *l, struct stack_server *t)
{
	struct stack_addr from;
	struct stack_dest d;
	char source[SOURCE_MAX];

	if (l->dialog.next == NULL || l->dialog.route != NULL)
		return false;
	stack_server_source(l->sip->stack, t, &from);
	source_print(&from, source, sizeof(source));
	return source_parse(source, &d) && strcmp(d.uri, l->dialog.next) != 0;
}

/* What a REFER asks for. */
struct asked {
	struct referto to;
	leg_id replaces;	  /* the leg in whose place the other party comes */
	uint16_t replaces_status; /* why there is none */
};

/* Finds the leg that is to be replaced. Host and user of the Refer-To do not matter then: phones
 * copy them from where they like. False: it has been answered. */
static bool find_replaced(struct sip_leg *l, struct stack_server *t, struct asked *q)
{
	struct sip_leg *other;

	if (q->to.replaces.call_id[0] == '\0')
		return true;
	other = named_find(l->sip, &q->to.replaces, &q->replaces_status);
	if (other == l) { /* E-091 */
		refuse(l, t, 400, "Replaces Names This Dialog", q->to.user);
		return false;
	}
	if (other != NULL && q->to.replaces.early_only && other->state == SIDE_UP) {
		q->replaces_status = 486; /* answered meanwhile: not to be replaced */
		other = NULL;
	}
	q->replaces = other != NULL ? other->id : ID_NONE;
	return true;
}

/* Is this REFER one that we can carry out at all? False: it has been answered. */
static bool refer_check(
	struct sip_leg *l, struct stack_server *t, const sip_t *request, struct asked *q)
{
	enum referto_error err = read_refer_to(request, &q->to);

	if (err != REFERTO_OK) {
		refuse(l, t, referto_error_status(err), referto_error_text(err), "");
		return false;
	}
	if (l->state != SIDE_UP) {
		refuse(l, t, 403, "Dialog Is Not Confirmed", q->to.user);
		return false;
	}
	return true;
}

static bool target_check(struct sip_leg *l, struct stack_server *t, struct asked *q)
{
	if (!find_replaced(l, t, q))
		return false;
	if (q->to.user[0] == '\0' && q->replaces == ID_NONE) {
		refuse(l, t, 404, "Refer-To Names Nobody", q->to.host);
		return false;
	}
	return true;
}

/* Keeps what the INVITE to the target will carry: Referred-By as written, allowed headers. */
static void keep_headers(struct refer *r, const sip_t *request, const struct referto *to)
{
	char value[2048], uri[URI_MAX];
	size_t n = 0;

	text_set(&r->target, to->uri, strlen(to->uri));
	value[0] = '\0';
	if (request->sip_referred_by != NULL)
		message_raw_value(
			(const sip_header_t *)request->sip_referred_by, value, sizeof(value));
	if (value[0] == '\0' && r->leg->user[0] != '\0') {
		identity_uri(r->leg->sip, r->leg->user, uri, sizeof(uri));
		snprintf(value, sizeof(value), "<%s>", uri);
	}
	if (value[0] != '\0')
		text_set(&r->referred_by, value, strlen(value));
	for (unsigned i = 0; i < to->nheaders; i++) {
		int len = snprintf(value + n, sizeof(value) - n, "%s: %s\r\n", to->headers[i].name,
			to->headers[i].value);

		if (len < 0 || (size_t)len >= sizeof(value) - n)
			break;
		n += (size_t)len;
	}
	if (n > 0)
		text_set(&r->headers, value, n);
}

/* Another node may have it. */
static void keep_replaces(struct refer *r, const struct replaces *name)
{
	char value[REFERTO_VALUE_MAX];

	if (replaces_print(value, sizeof(value), name) == 0)
		text_set(&r->replaces, value, strlen(value));
}

/* RFC 4488 section 4, RFC 7614 section 4. */
static bool wants_no_subscription(const sip_t *request)
{
	const sip_refer_sub_t *rs = sip_refer_sub(request);

	return (rs != NULL && rs->rs_value != NULL && strcasecmp(rs->rs_value, "false") == 0) ||
	       sip_has_feature(request->sip_require, "nosub");
}

static void refer_emit(struct refer *r, const struct asked *q)
{
	struct event ev = {.type = EV_TRANSFER};
	struct sip_leg *l = r->leg;
	const struct sip_peer *peer = peer_by_name(l->sip, l->peer);
	const struct referto *to = &q->to;

	ev.transfer.cmd = r->cmd;
	ev.transfer.origin = ORIGIN_REFER;
	str_set(ev.transfer.asker, l->user[0] != '\0' ? l->user : l->peer);
	number_clean(ev.transfer.number, sizeof(ev.transfer.number), to->user);
	ev.transfer.own_host =
		to->scheme == URI_TEL || peer_is_own_host(l->sip, to->host, to->port);
	ev.transfer.replaces = q->replaces;
	ev.transfer.replaces_status = q->replaces_status;
	ev.transfer.no_sub = r->sub == SUB_REFUSED;
	ev.transfer.immediate = device_is_immediate(l->sip, l);
	ev.transfer.stay = to->stay;
	ev.transfer.may_refer = peer != NULL ? peer->policy.refer != REFER_REJECT : l->user[0] != '\0';
	sip_emit(l, &ev);
}

/* own: the dialog that the REFER makes, taken over; NULL: it came in the leg's. */
static void refer_take(struct sip_leg *l, struct stack_server *t, const sip_t *request,
	const struct asked *q, struct dialog *own)
{
	struct refer *r = refer_new(l, t, request);

	if (r == NULL) {
		if (own != NULL)
			dialog_done(own), free(own);
		reply_simple(l->sip, l, t, 500, NULL);
		return;
	}
	if (own != NULL)
		own_add(r, own);
	r->sub = wants_no_subscription(request) ? SUB_REFUSED : SUB_WANTED;
	if (request->sip_max_forwards != NULL)
		r->max_forwards = request->sip_max_forwards->mf_count;
	keep_headers(r, request, &q->to);
	if (q->replaces_status == 481)
		keep_replaces(r, &q->to.replaces);
	refer_emit(r, q);
}

/* This very request had an answer, or a NOTIFY, that its sender may not have: he sends it again to the
 * process that came after (E-124). */
static bool is_taken(const struct sip_leg *l, const sip_t *request)
{
	const struct refer *r = l->refers;

	while (r != NULL && (r->own != NULL || r->id != request->sip_cseq->cs_seq))
		r = r->next;
	return r != NULL && r->state != REFER_ASKED;
}

static void accept_again(struct sip_leg *l, struct stack_server *t)
{
	msg_t *msg = stack_response(t, 202, NULL);

	if (msg != NULL)
		sip_add_dup(msg, sip_object(msg), (sip_header_t *)l->dialog.contact);
	reply_final(l->sip, l, t, msg);
}

void refer_receive(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	struct asked q = {.replaces = ID_NONE};
	struct sip_user u;

	if (!refer_check(l, t, request, &q))
		return;
	if (l->user[0] != '\0' && (l->sip->cfg.auth_refer || comes_from_elsewhere(l, t)) &&
		!challenge_check(l->sip, t, request, l->user, &u))
		return;
	if (is_taken(l, request))
		accept_again(l, t);
	else if (target_check(l, t, &q))
		refer_take(l, t, request, &q, NULL);
}

/* ---- outside of the dialog ------------------------------------------------------------------ */

static void refuse_outside(
	struct sip *s, struct stack_server *t, const sip_t *request, const char *who, const char *why)
{
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "refer_refused", "source", who, "why", why,
		NULL);
	sip_emit_audit(s, who, "refer", request->sip_call_id->i_id, why);
	reply_simple(s, NULL, t, 403, NULL);
}

/* Whose call is meant? NULL: nobody's; a header that fits nothing counts as none. */
static struct sip_leg *target_dialog(struct sip *s, const sip_t *request)
{
	const char *value = message_header(request, "Target-Dialog");
	struct replaces name;
	uint16_t status;

	if (value == NULL || target_dialog_parse(value, strlen(value), &name) != 0)
		return NULL;
	return named_find(s, &name, &status);
}

/* Only the party of that leg may move its call, however well others know its tags (E-078). */
static bool owns(const struct caller *c, const struct sip_leg *l)
{
	return c->peer != NULL ? str_eq(c->peer->name, l->peer) : str_eq(c->user.name, l->user);
}

void refer_receive_outside(struct sip *s, struct stack_server *t, const sip_t *request)
{
	struct asked q = {.replaces = ID_NONE};
	struct dialog *own;
	struct sip_leg *l;
	struct caller c;
	const char *who;
	char source[SOURCE_MAX];

	memset(&c, 0, sizeof(c));
	if (message_header(request, "Target-Dialog") == NULL) {
		stack_server_source(s->stack, t, &c.from);
		source_print(&c.from, source, sizeof(source));
		refuse_outside(s, t, request, source, "outside a dialog");
		return;
	}
	if (!caller_identify(s, t, request, "refer", &c))
		return;
	who = c.peer != NULL ? c.peer->name : c.user.name;
	l = target_dialog(s, request);
	if (l == NULL || !owns(&c, l)) {
		refuse_outside(s, t, request, who,
			l == NULL ? "Target-Dialog names no dialog" : "dialog of another user");
		return;
	}
	trace_request_in(s, l, t, request);
	if (!refer_check(l, t, request, &q) || !target_check(l, t, &q))
		return;
	own = own_new(s, t, request);
	if (own == NULL)
		reply_simple(s, l, t, 400, "Bad Contact");
	else
		refer_take(l, t, request, &q, own);
}

/* ---- answers ------------------------------------------------------------------------------ */

void refer_accept(struct sip *s, const struct action *a)
{
	struct refer *r = refer_find(s, a->cmd);
	msg_t *msg;

	if (r == NULL || r->t == NULL)
		return;
	msg = stack_response(r->t, 202, NULL);
	if (msg != NULL) {
		sip_add_dup(msg, sip_object(msg), (sip_header_t *)refer_dialog(r)->contact);
		if (r->sub == SUB_REFUSED) /* */
			message_add_line(msg, "Refer-Sub", "false");
	}
	reply_final(s, r->leg, r->t, msg);
	r->t = NULL;
	r->state = r->sub == SUB_REFUSED ? REFER_SILENT : REFER_ACTIVE;
}

void refer_reject(struct sip *s, const struct action *a)
{
	struct refer *r = refer_find(s, a->cmd);
	int status = a->status >= 300 ? a->status : 603;

	if (r == NULL || r->t == NULL)
		return;
	if (a->retry_after != 0)
		reply_retry(s, r->leg, r->t, status, a->retry_after);
	else
		reply_simple(s, r->leg, r->t, status, a->text);
	r->t = NULL;
	refer_free(r);
}

/* ---- the INVITE that it causes ------------------------------------------------------------- */

const char *refer_target(struct sip *s, uint64_t cmd)
{
	struct refer *r = refer_find(s, cmd);

	return r != NULL ? r->target.p : NULL;
}

bool sip_refer_replaces(struct sip *s, uint64_t cmd, char *value, size_t size)
{
	struct refer *r = refer_find(s, cmd);

	return r != NULL && r->replaces.n > 0 && str_copy(value, size, r->replaces.p);
}

const char *sip_refer_user(struct sip *s, uint64_t cmd)
{
	struct refer *r = refer_find(s, cmd);

	return r != NULL && r->leg != NULL ? r->leg->user : "";
}

void refer_add_headers(struct sip *s, uint64_t cmd, msg_t *msg)
{
	struct refer *r = refer_find(s, cmd);
	char *lines, *line, *end, *colon;

	if (r == NULL)
		return;
	if (r->referred_by.n > 0)
		message_add_line(msg, "Referred-By", r->referred_by.p);
	if (r->headers.n == 0)
		return;
	lines = su_strdup(msg_home(msg), r->headers.p);
	for (line = lines; line != NULL && *line != '\0'; line = end + 2) {
		end = strstr(line, "\r\n");
		if (end == NULL)
			return;
		*end = '\0';
		colon = strchr(line, ':');
		if (colon != NULL) {
			*colon = '\0';
			message_add_line(msg, line, colon + 2);
		}
	}
}
