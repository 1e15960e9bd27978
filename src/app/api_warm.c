/*
 * api_warm: who begins to listen is sent all calls and people at once. Their rows are rendered first, a few
 * in each turn of the loop, and are kept (api_call_row(), api_user_row()); so the snapshot is only put
 * together, whoever comes first, or all at once after a restart. One pass over the calls serves everybody
 * who waits for it.
 */
#include "app/api_internal.h"

#include <stdlib.h>
#include <unistd.h>

#include <utlist.h>

#define SLICE 8	 /* rows of one turn, some 50 us each if nobody has rendered them */
#define USERS 64 /* likewise, 8 us each, most of which look the same as before */
#define FEW   20 /* so many need no turns of their own */

struct waiting {
	struct api_request *q;
	void (*then)(struct api_request *q);
	struct waiting *prev, *next;
};

struct api_warm {
	struct api *api;
	struct waiting *waiting, *late; /* for this pass; for the next */
	call_id *calls;
	unsigned n, at;
	char (*users)[USER_MAX];
	unsigned nusers, user_at;
	int bell; /* for the next turn: whatever else the loop has to do comes first */
	struct loop_watch *watch;
};

static void drop(struct waiting **list, const struct api_request *q)
{
	struct waiting *w, *next;

	DL_FOREACH_SAFE(*list, w, next)
	{
		if (q != NULL && w->q != q)
			continue;
		DL_DELETE(*list, w);
		free(w);
	}
}

static bool list_users(struct api_warm *m)
{
	struct live_user *all = live_users(m->api->live), *u, *next;
	void *users = realloc(m->users, (HASH_COUNT(all) + 1) * sizeof(m->users[0]));

	m->nusers = m->user_at = 0;
	if (users == NULL)
		return false;
	m->users = users;
	HASH_ITER(hh, all, u, next)
	str_set(m->users[m->nusers++], u->row.user);
	return true;
}

/* Lists the calls and people of now. False without memory: then there is nothing to be done before. */
static bool begin_pass(struct api_warm *m)
{
	struct live_call *all = live_calls(m->api->live), *k, *next;
	call_id *calls = realloc(m->calls, (HASH_COUNT(all) + 1) * sizeof(*calls));

	m->n = m->at = 0;
	if (calls == NULL)
		return false;
	m->calls = calls; /* before anything else may fail: the old ones are gone */
	if (!list_users(m))
		return false;
	HASH_ITER(hh, all, k, next)
	calls[m->n++] = k->id;
	return true;
}

static void end_pass(struct api_warm *m)
{
	struct waiting *w;

	while ((w = m->waiting) != NULL) {
		struct api_request *q = w->q;
		void (*then)(struct api_request *q) = w->then;

		DL_DELETE(m->waiting, w);
		free(w);
		then(q);
	}
	m->waiting = m->late;
	m->late = NULL;
	if (m->waiting != NULL && begin_pass(m))
		loop_bell_ring(m->bell);
	else if (m->waiting != NULL)
		end_pass(m);
}

static void render_users(struct api_warm *m)
{
	for (unsigned i = 0; i < USERS && m->user_at < m->nusers; i++, m->user_at++) {
		struct live_user *u = live_user(m->api->live, m->users[m->user_at]);

		if (u != NULL)
			api_user_row(m->api, u);
	}
}

static void on_turn(void *arg, int events)
{
	struct api_warm *m = arg;
	const struct waiting *w;
	bool wanted[2] = {false, false};

	loop_bell_ack(m->bell);
	DL_FOREACH(m->waiting, w)
	wanted[w->q->viewer.masked] = true;
	for (unsigned i = 0; i < SLICE && m->at < m->n; i++, m->at++) {
		struct live_call *k = live_call(m->api->live, m->calls[m->at]);

		for (int masked = 0; k != NULL && masked < 2; masked++)
			if (wanted[masked])
				api_call_row(m->api, k, masked);
	}
	if (m->at == m->n)
		render_users(m);
	if ((m->at < m->n || m->user_at < m->nusers) && m->waiting != NULL)
		loop_bell_ring(m->bell);
	else
		end_pass(m);
}

void api_warm(struct api_request *q, void (*then)(struct api_request *q))
{
	struct api_warm *m = q->api->warm;
	unsigned rows = HASH_COUNT(live_calls(q->api->live)) + HASH_COUNT(live_users(q->api->live));
	struct waiting *w = rows > FEW ? calloc(1, sizeof(*w)) : NULL;

	if (w == NULL) {
		then(q);
		return;
	}
	w->q = q;
	w->then = then;
	if (m->waiting != NULL) {
		DL_APPEND(m->late, w);
		return;
	}
	DL_APPEND(m->waiting, w);
	if (begin_pass(m))
		loop_bell_ring(m->bell);
	else
		end_pass(m);
}

void api_warm_over(struct api_request *q)
{
	drop(&q->api->warm->waiting, q);
	drop(&q->api->warm->late, q);
}

struct api_warm *api_warm_create(struct api *a)
{
	struct api_warm *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->api = a;
	m->bell = loop_bell_open();
	if (m->bell >= 0)
		m->watch = loop_watch(a->parts.loop, m->bell, LOOP_IN, on_turn, m);
	if (m->watch != NULL)
		return m;
	api_warm_destroy(m);
	return NULL;
}

void api_warm_destroy(struct api_warm *m)
{
	if (m == NULL)
		return;
	drop(&m->waiting, NULL);
	drop(&m->late, NULL);
	free(m->calls);
	free(m->users);
	loop_unwatch(m->watch);
	if (m->bell >= 0)
		close(m->bell);
	free(m);
}
