/* pair: see inner.h. The requests about one pair go out one after the other, each when the one before
 * was answered, so the engine sees them in order. */
#include "media/inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

#include <utlist.h>

#include "base/log.h"

#define HEAL_AT_ONCE 10
#define HEAL_EVERY_MS 20

ENUM_DEFINE(pair_state, PAIR_LIST)
ENUM_DEFINE(op_kind, OP_LIST)

/* ---- finding ------------------------------------------------------------------------------- */

static struct pair_key key_of(leg_id x, leg_id y)
{
	struct pair_key k = {x < y ? x : y, x < y ? y : x};

	return k;
}

struct pair *pair_find(struct media *m, leg_id x, leg_id y)
{
	struct pair_key k = key_of(x, y);
	struct pair *p;

	HASH_FIND(hh, m->pairs, &k, sizeof(k), p);
	return p;
}

unsigned pair_side(const struct pair *p, leg_id id)
{
	return p->side[0].id == id ? 0 : 1;
}

static const char *tag_of(leg_id id, char *buf)
{
	return id == ID_MUSIC ? "music" : id_str(id, buf);
}

/* "segue-STAMP-17.2.1-17.2.2", and a number from the second engine on. */
static void name_call(struct pair *p)
{
	char a[ID_STRLEN], b[ID_STRLEN], life[16] = "";

	if (p->life > 1)
		snprintf(life, sizeof(life), "-%u", p->life);
	snprintf(p->id, sizeof(p->id), "segue-%llx-%s-%s%s", (unsigned long long)p->media->stamp,
		tag_of(p->side[0].id, a), tag_of(p->side[1].id, b), life);
}

struct pair *pair_get(struct media *m, leg_id x, leg_id y)
{
	struct pair *p = pair_find(m, x, y);
	leg_id id[2] = {x, y};

	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->media = m;
	p->key = key_of(x, y);
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &p->side[i];

		*s = (struct side){.pair = p, .id = id[i]};
		s->leg = id[i] == ID_MUSIC ? NULL : mleg_get(m, id[i]);
		if (s->leg != NULL)
			DL_APPEND(s->leg->sides, s);
	}
	p->open = NOBODY;
	HASH_ADD(hh, m->pairs, key, sizeof(p->key), p);
	return p;
}

/* ---- going --------------------------------------------------------------------------------- */

static void op_free(struct op *op)
{
	text_clear(&op->text);
	free(op);
}

static void tell_ready(struct media *m, call_id call, const char *sdp, size_t len)
{
	if (call != ID_NONE)
		m->hooks.ready(m->hooks.arg, call, sdp, len);
}

/* Also one whose first offer is still on its way. */
static void delete_call(struct pair *p)
{
	if (p->state == PAIR_ANCHORED || p->request != 0)
		ng_request(p->media->ng, p->engine,
			json_pack("{ss ss si}", "command", "delete", "call-id", p->id,
				"delete-delay", 0),
			NULL, NULL);
}

/* Drops all that was to be asked. Returns the call whose job waited for one of these. */
static call_id drop_ops(struct pair *p)
{
	struct op *op, *next;
	call_id waits = ID_NONE;

	ng_forget(p->media->ng, p->request);
	p->request = 0;
	DL_FOREACH_SAFE (p->ops, op, next) {
		if (op->waits != ID_NONE)
			waits = op->waits;
		DL_DELETE(p->ops, op);
		op_free(op);
	}
	return waits;
}

void pair_destroy(struct pair *p)
{
	struct media *m = p->media;
	call_id waits;

	delete_call(p);
	waits = drop_ops(p);
	if (p->state == PAIR_ANCHORED)
		m->status.pairs--;
	if (p->queued)
		DL_DELETE(m->heal, p);
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &p->side[i];

		text_clear(&s->sdp);
		if (s->leg == NULL)
			continue;
		if (s->leg->keys.pair == p)
			keys_forget(m, s->leg);
		DL_DELETE(s->leg->sides, s);
		if (s->leg->pair == p)
			s->leg->pair = NULL;
		if (s->leg->was == p)
			s->leg->was = NULL;
	}
	HASH_DEL(m->pairs, p);
	free(p);
	tell_ready(m, waits, NULL, 0);
}

static bool is_used(const struct side *s)
{
	return s->leg != NULL && (s->leg->pair == s->pair || s->leg->was == s->pair);
}

void pair_review(struct pair *p)
{
	bool whole = p->side[0].leg != NULL && p->side[1].leg != NULL;

	if (!whole && !is_used(&p->side[0]) && !is_used(&p->side[1]))
		pair_destroy(p);
}

/* ---- states -------------------------------------------------------------------------------- */

static void set_state(struct pair *p, enum pair_state next)
{
	struct media_status *st = &p->media->status;

	if (p->state == next)
		return;
	if (p->state == PAIR_ANCHORED)
		st->pairs--;
	if (next == PAIR_ANCHORED) {
		st->pairs++;
		st->anchored++;
	}
	if (next == PAIR_BYPASSED)
		st->bypassed++;
	p->state = next;
}

/* What the engine was told about ears is forgotten with the engine. */
static void forget_engine(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		p->side[i].blocked = false;
		p->side[i].playing = HEARS_PEER;
	}
	p->recording[0] = '\0';
	keys_lost(p);
}

static void heal_arm(struct media *m, int64_t ms)
{
	struct itimerspec t = {.it_value = {.tv_nsec = ms * 1000000}};

	timerfd_settime(m->timer, 0, &t, NULL);
}

/* Both legs are to be told, in their turn. */
static void queue_healing(struct pair *p)
{
	struct media *m = p->media;

	if (p->queued)
		return;
	p->queued = true;
	if (m->heal == NULL)
		heal_arm(m, 1);
	DL_APPEND(m->heal, p);
}

void pair_heal_some(struct media *m)
{
	for (unsigned n = 0; n < HEAL_AT_ONCE && m->heal != NULL; n++) {
		struct pair *p = m->heal;
		leg_id id[2] = {p->side[0].id, p->side[1].id};

		DL_DELETE(m->heal, p);
		p->queued = false;
		for (unsigned i = 0; i < 2; i++)
			if (id[i] != ID_MUSIC)
				m->hooks.lost(m->hooks.arg, id[i]); /* may destroy the pair */
	}
	if (m->heal != NULL)
		heal_arm(m, HEAL_EVERY_MS);
}

static void lose(struct pair *p)
{
	if (p->state != PAIR_ANCHORED)
		return;
	set_state(p, PAIR_LOST);
	forget_engine(p);
	queue_healing(p);
}

void pair_engine_lost(struct media *m, unsigned engine)
{
	struct pair *p, *next;

	HASH_ITER(hh, m->pairs, p, next)
	if (p->engine == engine)
		lose(p);
}

static void give_up(struct pair *p, const char *why)
{
	leg_id leg = p->side[0].id != ID_MUSIC ? p->side[0].id : p->side[1].id;

	log_kv(LOG_LEVEL_WARN, (struct log_ref){leg}, "media_not_anchored", "why", why, NULL);
	set_state(p, PAIR_BYPASSED);
	forget_engine(p);
}

/* ---- requests ------------------------------------------------------------------------------ */

/* From its first offer on: an engine that has let audio pass unseen cannot press a key in it. */
static bool is_keyed(const struct pair *p)
{
	return (p->side[0].leg != NULL && p->side[0].leg->keyed) ||
	       (p->side[1].leg != NULL && p->side[1].leg->keyed);
}

static json_t *write_exchange(const struct pair *p, const struct op *op)
{
	char a[ID_STRLEN], b[ID_STRLEN];
	unsigned offerer = op->kind == OP_OFFER ? op->side : 1 - op->side;
	json_t *d = json_pack("{ss ss ss ss ss% ss s[ss] s[s]}", "command", op_kind_name((int)op->kind),
		"call-id", p->id, "from-tag", tag_of(p->side[offerer].id, a), "to-tag",
		tag_of(p->side[1 - offerer].id, b), "sdp", op->text.p, op->text.n, "ICE", "remove",
		"replace", "origin", "session-connection", "flags", "trust-address");

	if (d != NULL && is_keyed(p))
		json_array_append_new(json_object_get(d, "flags"), json_string("inject-DTMF"));
	if (d != NULL && op->proto[0] != '\0')
		json_object_set_new(d, "transport-protocol", json_string(op->proto));
	return d;
}

static json_t *write_op(const struct pair *p, const struct op *op)
{
	char tag[ID_STRLEN];
	json_t *d;

	if (op->kind == OP_OFFER || op->kind == OP_ANSWER)
		return write_exchange(p, op);
	if (op->kind == OP_RECORD) /* at its end the engine would take an empty name for a new one */
		return json_pack("{ss ss ss}", "command", op_kind_name((int)op->kind), "call-id",
			p->id, "metadata", op->text.p);
	if (op->kind == OP_RECORD_END)
		return json_pack(
			"{ss ss}", "command", op_kind_name((int)op->kind), "call-id", p->id);
	d = json_pack("{ss ss ss}", "command", op_kind_name((int)op->kind), "call-id", p->id,
		"from-tag", tag_of(p->side[op->side].id, tag));
	if (d != NULL && (op->kind == OP_PLAY || op->kind == OP_SAY))
		json_object_set_new(d, "file", json_string(op->text.p));
	if (d != NULL && op->kind == OP_PLAY)
		json_object_set_new(d, "repeat-times", json_integer(1000000));
	if (d != NULL && op->kind == OP_PRESS) {
		json_object_set_new(d, "code", json_string(op->text.p));
		json_object_set_new(d, "duration", json_integer(KEYS_TONE_MS));
	}
	return d;
}

static void on_reply(void *arg, int err, const json_t *reply);

static void send_next(struct pair *p)
{
	struct media *m = p->media;
	call_id waits;

	if (p->request != 0 || p->ops == NULL)
		return;
	p->request = ng_request(m->ng, p->engine, write_op(p, p->ops), on_reply, p);
	if (p->request != 0)
		return;
	waits = drop_ops(p);
	give_up(p, strerror(ENOMEM));
	tell_ready(m, waits, NULL, 0);
}

static void op_add(struct pair *p, const struct op *like, const char *text, size_t len)
{
	struct op *op = calloc(1, sizeof(*op));

	if (op == NULL || (text != NULL && text_set(&op->text, text, len) != 0)) {
		log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "out_of_memory", NULL);
		abort(); /* as in the runner: a call whose order is lost cannot go on */
	}
	op->kind = like->kind;
	op->side = like->side;
	op->waits = like->waits;
	str_set(op->proto, like->proto);
	DL_APPEND(p->ops, op);
}

/* The pair begins, or begins anew, with a living engine. */
static bool find_engine(struct pair *p)
{
	int i = ng_pick(p->media->ng);

	if (i < 0)
		return false;
	p->life++;
	p->engine = (unsigned)i;
	name_call(p);
	set_state(p, PAIR_NEW);
	return true;
}

/* What was to be asked about ears goes: that is brought in line when there is an engine again. And
 * what comes before the next offer is about a call that is no more. */
static void keep_from_offer(struct pair *p)
{
	struct op *op, *next;
	bool found = false;

	DL_FOREACH_SAFE(p->ops, op, next)
	{
		bool exchange = op->kind == OP_OFFER || op->kind == OP_ANSWER;

		found = found || op->kind == OP_OFFER;
		if ((found && exchange) || op->waits != ID_NONE)
			continue;
		DL_DELETE(p->ops, op);
		op_free(op);
	}
}

/* The engine did not answer. If an offer is waiting another engine gets it; else the description goes
 * out as it is, and the legs are asked anew when their turn comes. */
static void engine_silent(struct pair *p, int err)
{
	struct media *m = p->media;
	call_id waits;

	lose(p);
	keep_from_offer(p);
	if (p->ops != NULL && p->ops->kind == OP_OFFER) {
		if (find_engine(p)) {
			send_next(p);
			return;
		}
		give_up(p, strerror(err));
	}
	waits = drop_ops(p);
	tell_ready(m, waits, NULL, 0);
}

static void engine_refused(struct pair *p, struct op *op, const json_t *reply)
{
	const char *why = json_string_value(json_object_get(reply, "error-reason"));
	struct media *m = p->media;
	call_id waits;

	if (op->kind == OP_PRESS) {
		keys_refused(&p->side[op->side], why != NULL ? why : "no reason given");
		DL_DELETE(p->ops, op);
		op_free(op);
		send_next(p);
		return;
	}
	log_kv(LOG_LEVEL_WARN, (struct log_ref){p->side[op->side].id}, "media_refused", "command",
		op_kind_name((int)op->kind), "engine", ng_name(m->ng, p->engine), "why",
		why != NULL ? why : "no reason given", "file",
		op->kind == OP_PLAY || op->kind == OP_SAY ? op->text.p : NULL, NULL);
	if (op->kind != OP_OFFER && op->kind != OP_ANSWER) {
		if (op->kind == OP_SAY)
			hearing_said(&p->side[op->side], 0);
		DL_DELETE(p->ops, op);
		op_free(op);
		send_next(p);
		return;
	}
	delete_call(p);
	lose(p);
	waits = drop_ops(p);
	give_up(p, "the engine refused");
	tell_ready(m, waits, NULL, 0);
}

/* An SDP came back: it is for the side that did not write the one that was sent. */
static void exchanged(struct pair *p, struct op *op, const json_t *reply)
{
	const char *sdp = json_string_value(json_object_get(reply, "sdp"));
	size_t len = json_string_length(json_object_get(reply, "sdp"));
	struct side *to = &p->side[1 - op->side];
	struct media *m = p->media;
	call_id waits = op->waits;

	set_state(p, PAIR_ANCHORED);
	if (waits != ID_NONE && to->leg != NULL)
		mleg_give(to->leg, p, op->kind == OP_OFFER ? MEDIA_OFFER : MEDIA_ANSWER);
	hearing_sync_pair(p);
	op_free(op);
	send_next(p);
	tell_ready(m, waits, sdp, len); /* the pair may be gone after this */
}

static void on_reply(void *arg, int err, const json_t *reply)
{
	struct pair *p = arg;
	struct op *op = p->ops;

	p->request = 0;
	if (err == ETIMEDOUT || err == ECONNREFUSED) {
		engine_silent(p, err);
		return;
	}
	if (err != 0) {
		engine_refused(p, op, reply);
		return;
	}
	DL_DELETE(p->ops, op);
	if (op->kind == OP_OFFER || op->kind == OP_ANSWER) {
		exchanged(p, op, reply);
		return;
	}
	if (op->kind == OP_PRESS)
		keys_pressed(&p->side[op->side]);
	if (op->kind == OP_SAY)
		hearing_said(&p->side[op->side],
			json_integer_value(json_object_get(reply, "duration")));
	op_free(op);
	send_next(p);
}

/* ---- what is asked ------------------------------------------------------------------------- */

/* Can this be asked of an engine, and is there one? */
static bool is_ready(struct pair *p, enum op_kind kind)
{
	if (p->state == PAIR_ANCHORED)
		return true;
	if (p->state == PAIR_NEW && p->ops != NULL)
		return true; /* the offer is on its way */
	if (p->state == PAIR_BYPASSED || kind != OP_OFFER)
		return false;
	if (find_engine(p))
		return true;
	give_up(p, "no engine answers");
	return false;
}

/* A caller who answers a menu with another number for telephone events than the menu's own sends them
 * under the menu's all the same (RFC 3264 section 6.1). The engine does not know that, and would press
 * the menu's keys as tones: it is told the menu's number. Nobody sees what it makes of that. */
static size_t as_the_engine_sees_it(const struct pair *p, const struct op *op, const char *sdp,
	size_t len, char *buf, size_t size)
{
	const struct side *menu = &p->side[1 - op->side];

	if (op->kind != OP_ANSWER || op->waits != ID_NONE || menu->leg == NULL || !menu->leg->keyed)
		return 0;
	return events_renumber(sdp, len, events_number(menu->sdp.p, menu->sdp.n), buf, size);
}

bool pair_exchange(struct pair *p, enum op_kind kind, unsigned from, const char *sdp, size_t len,
	const char *proto, call_id waits)
{
	struct op op = {.kind = kind, .side = from, .waits = waits};
	char seen[SDP_ROOM];
	size_t n;

	if (sdp != p->side[from].sdp.p) /* said again */
		text_set(&p->side[from].sdp, sdp, len);
	if (!is_ready(p, kind))
		return false;
	p->open = kind == OP_OFFER ? (int)from : NOBODY;
	p->last = from;
	str_set(op.proto, proto);
	n = as_the_engine_sees_it(p, &op, sdp, len, seen, sizeof(seen));
	op_add(p, &op, n > 0 ? seen : sdp, n > 0 ? n : len);
	send_next(p);
	return true;
}

/* Two whom we hold both answer that they only listen, and C's answer may be told before its music is due. */
void pair_let_hear(struct pair *p, unsigned side)
{
	const struct text *mine = &p->side[side].sdp, *peer = &p->side[1 - side].sdp;

	if (p->last == side || p->open != NOBODY || mine->n == 0 || peer->n == 0 ||
		own_sends(peer->p, peer->n))
		return;
	pair_exchange(p, OP_OFFER, 1 - side, peer->p, peer->n, "", ID_NONE);
	pair_exchange(p, OP_ANSWER, side, mine->p, mine->n, "", ID_NONE);
}

void pair_do(struct pair *p, enum op_kind kind, unsigned side, const char *file)
{
	struct op op = {.kind = kind, .side = side};

	op_add(p, &op, file, file != NULL ? strlen(file) : 0);
	send_next(p);
}
