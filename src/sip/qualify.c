/*
 * qualify: are the users' phones still there? Each contact is asked with OPTIONS (RFC 3261 section
 * 11) once per sip.qualify; any answer will do. One that is silent makes its contact unreachable
 * until it answers again or registers anew; the core is told of every change (E-109).
 *
 * Contacts wait in one list, the next to be asked first. All wait equally long, so whoever was asked
 * goes to the end and the list stays in order; those asked wait in a second one for their answer.
 */
#include "config.h"

#include <stdlib.h>
#include <stdio.h>

#include <sofia-sip/sip_header.h>
#include <utlist.h>

#include "sip/internal.h"
#include "sip/print.h"

#define ANSWER_T1 8  /* an answer may take so many T1: four tries over UDP */
#define BURST_MIN 16 /* contacts asked in one second, at least; else what spreads them evenly */

#define PROBE_LIST(X)                                                                              \
	X(PROBE_WAITS, "waits") /* for its turn */                                                 \
	X(PROBE_ASKED, "asked") /* OPTIONS is out */
enum probe_state { PROBE_LIST(ENUM_ITEM_) };

struct probe {
	struct stack_client_sink sink; /* first */
	struct sip *sip;
	uint32_t contact;
	char user[USER_MAX];
	enum probe_state state;
	enum { CONTACT_THERE, CONTACT_SILENT } heard; /* what the core was told */
	int64_t due;			/* of the next question, or of the answer */
	struct stack_client *t;		/* while asked */
	struct probe *prev, *next;
	UT_hash_handle hh;
};

static struct probe *find(const struct sip *s, uint32_t contact)
{
	struct probe *p;

	HASH_FIND(hh, s->probes, &contact, sizeof(contact), p);
	return p;
}

static struct probe **list_of(struct sip *s, const struct probe *p)
{
	return p->state == PROBE_WAITS ? &s->probes_waiting : &s->probes_asked;
}

static void queue(struct probe *p, enum probe_state state, int64_t due)
{
	DL_DELETE(*list_of(p->sip, p), p);
	p->state = state;
	p->due = due;
	DL_APPEND(*list_of(p->sip, p), p);
}

static void release(struct probe *p)
{
	if (p->t != NULL)
		stack_client_release(p->t);
	p->t = NULL;
}

static void drop(struct probe *p)
{
	struct sip *s = p->sip;

	release(p);
	DL_DELETE(*list_of(s, p), p);
	HASH_DEL(s->probes, p);
	free(p);
}

static void add(struct sip *s, const char *user, uint32_t contact)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return; /* it counts as reachable then */
	p->sip = s;
	p->contact = contact;
	str_set(p->user, user);
	HASH_ADD(hh, s->probes, contact, sizeof(p->contact), p);
	DL_PREPEND(s->probes_waiting, p); /* asked with the next tick */
}

/* ---- what the core is told ------------------------------------------------------------------ */

static bool is_silent(const struct sip *s, uint32_t contact)
{
	const struct probe *p = find(s, contact);

	return p != NULL && p->heard == CONTACT_SILENT;
}

bool qualify_reaches(const struct sip *s, const char *user)
{
	uint32_t id[CONTACTS_MAX];
	unsigned n = registrar_contacts(s->registrar, user, id), silent = 0;

	for (unsigned i = 0; i < n; i++)
		silent += is_silent(s, id[i]) ? 1 : 0;
	return silent < n;
}

static void heard(struct probe *p, int what)
{
	struct sip *s = p->sip;
	char user[USER_MAX];

	if ((int)p->heard == what)
		return;
	p->heard = what;
	str_set(user, p->user);
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0},
		what == CONTACT_SILENT ? "contact_silent" : "contact_answers", "user", user, NULL);
	sip_emit_reach(s, user);
}

/* ---- asking --------------------------------------------------------------------------------- */

static int64_t interval(const struct sip *s)
{
	return (int64_t)s->cfg.qualify_s * 1000;
}

static void on_answer(struct stack_client_sink *sink, struct stack_client *t, const sip_t *sip)
{
	struct probe *p = (struct probe *)sink;
	struct sip *s = p->sip;

	if (sip->sip_status->st_status < 200)
		return;
	sip_enter(s);
	release(p);
	queue(p, PROBE_WAITS, sip_clock() + interval(s));
	heard(p, stack_is_internal(sip) ? CONTACT_SILENT : CONTACT_THERE);
	sip_leave(s);
}

static msg_t *write_options(struct sip *s, struct dialog *d, const struct contact_route *r)
{
	char from[URI_MAX + 2], uri[URI_MAX], id[40];
	msg_t *msg;

	identity_uri(s, "", uri, sizeof(uri));
	snprintf(from, sizeof(from), "<%s>", uri);
	snprintf(d->tag, sizeof(d->tag), "%016llx", (unsigned long long)sip_random(s));
	snprintf(id, sizeof(id), "%016llx%016llx", (unsigned long long)sip_random(s),
		(unsigned long long)sip_random(s));
	if (dialog_init_uac(d, s->stack, id, from, r->to, &r->next) != 0 ||
		dialog_set_target(d, r->ruri) != 0)
		return NULL;
	msg = dialog_request(d, s->stack, SIP_METHOD_OPTIONS);
	if (msg == NULL)
		return NULL;
	contact_add_route(msg, r->path);
	print_add_constant(msg, s->user_agent);
	print_add_constant(msg, s->accept);
	return msg;
}

/* Asks; a contact to which nothing can be sent at all is as silent as one that says nothing. */
static void ask(struct probe *p, const struct binding *b)
{
	struct sip *s = p->sip;
	struct dialog d = {.tag = ""};
	struct contact_route r;
	msg_t *msg;

	contact_route(s, b, b->user, &r);
	msg = write_options(s, &d, &r);
	p->sink.response = on_answer;
	p->t = msg != NULL ? stack_send(s->stack, msg, &r.dest, &p->sink) : NULL;
	dialog_done(&d);
	if (p->t != NULL) {
		queue(p, PROBE_ASKED, sip_clock() + (int64_t)ANSWER_T1 * s->cfg.t1_ms);
		return;
	}
	queue(p, PROBE_WAITS, sip_clock() + interval(s));
	heard(p, CONTACT_SILENT);
}

static void turn(struct probe *p)
{
	const struct binding *b = registrar_find(p->sip->registrar, p->contact);

	if (b != NULL)
		ask(p, b);
	else
		drop(p);
}

static void give_up(struct probe *p)
{
	release(p);
	queue(p, PROBE_WAITS, sip_clock() + interval(p->sip));
	heard(p, CONTACT_SILENT);
}

void qualify_tick(struct sip *s)
{
	unsigned most = s->cfg.qualify_s ? 2 * HASH_COUNT(s->probes) / s->cfg.qualify_s : 0;
	int64_t now = sip_clock();

	if (s->cfg.qualify_s == 0) {
		qualify_stop(s);
		return;
	}
	while (s->probes_asked != NULL && s->probes_asked->due <= now)
		give_up(s->probes_asked);
	most = most > BURST_MIN ? most : BURST_MIN;
	while (s->probes_waiting != NULL && s->probes_waiting->due <= now && most-- > 0)
		turn(s->probes_waiting);
}

void qualify_contacts(struct sip *s, const char *user)
{
	uint32_t id[CONTACTS_MAX];
	unsigned n = s->cfg.qualify_s ? registrar_contacts(s->registrar, user, id) : 0;

	for (unsigned i = 0; i < n; i++)
		if (find(s, id[i]) == NULL)
			add(s, user, id[i]);
}

/* Nobody is asked any more: whoever was silent counts as reachable again. */
void qualify_stop(struct sip *s)
{
	struct probe *p, *next;

	HASH_ITER(hh, s->probes, p, next)
	{
		heard(p, CONTACT_THERE);
		drop(p);
	}
}
