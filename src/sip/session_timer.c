/* session_timer: RFC 4028, for each leg by itself. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

static void add_min_se(msg_t *msg, unsigned seconds)
{
	sip_min_se_t x[1];

	sip_min_se_init(x);
	x->min_delta = seconds;
	sip_add_dup(msg, sip_object(msg), (sip_header_t *)x);
}

/* refresher: "refresher=uac", "refresher=uas", or NULL. */
static void add_interval(msg_t *msg, unsigned seconds, const char *refresher)
{
	sip_session_expires_t x[1];
	msg_param_t params[] = {refresher, NULL};

	sip_session_expires_init(x);
	x->x_delta = seconds;
	x->x_params = refresher != NULL ? params : NULL;
	sip_add_dup(msg, sip_object(msg), (sip_header_t *)x);
}

static void on_timer(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg);

/* From now on: a refresh at half time, the end when none came (section 10). */
static void start(struct sip_leg *l)
{
	unsigned se = l->session_expires, margin = se / 3 < 32 ? se / 3 : 32;

	if (se == 0 || l->refresher == REFRESHER_NONE) {
		session_timer_stop(l);
		return;
	}
	if (l->timer == NULL)
		l->timer = su_timer_create(su_root_task(l->sip->root), 1000);
	if (l->timer == NULL)
		return;
	l->timer_for = l->refresher == REFRESHER_US ? TIMER_REFRESH : TIMER_EXPIRE;
	su_timer_set_interval(l->timer, on_timer, l,
		(su_duration_t)(l->timer_for == TIMER_REFRESH ? se / 2 : se - margin) * 1000);
}

void session_timer_restart(struct sip_leg *l)
{
	start(l);
}

void session_timer_stop(struct sip_leg *l)
{
	if (l->timer != NULL)
		su_timer_destroy(l->timer);
	l->timer = NULL;
}

void session_timer_again(struct sip_leg *l, unsigned ms)
{
	if (l->timer == NULL)
		return;
	l->timer_for = TIMER_REFRESH;
	su_timer_set_interval(l->timer, on_timer, l, (su_duration_t)ms);
}

static void on_timer(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
	struct sip_leg *l = arg;
	unsigned se = l->session_expires, margin = se / 3 < 32 ? se / 3 : 32;

	if (l->state != SIDE_UP)
		return;
	sip_enter(l->sip);
	if (l->timer_for == TIMER_REFRESH) {
		l->timer_for = TIMER_EXPIRE; /* unless the refresh is answered */
		su_timer_set_interval(
			timer, on_timer, l, (su_duration_t)(se - margin - se / 2) * 1000);
		offer_refresh(l);
	} else {
		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){l->id}, "session_expired", NULL);
		sip_emit_simple(l, EV_GONE, 408, "Session Timer Expired");
		if (l->state == SIDE_UP)
			bye_send(l, 408, 0, "Session Timer Expired");
	}
	sip_leave(l->sip);
}

/* ---- our requests ------------------------------------------------------------------------- */

void session_timer_offer(struct sip_leg *l, msg_t *msg)
{
	unsigned se = l->session_expires != 0 ? l->session_expires : l->sip->cfg.session_expires_s;

	if (se == 0)
		return;
	if (se < l->min_se)
		se = l->min_se;
	add_interval(msg, se,
		l->session_expires == 0		 ? NULL
		: l->refresher == REFRESHER_US	 ? "refresher=uac"
		: l->refresher == REFRESHER_THEM ? "refresher=uas"
						 : NULL);
	if (l->min_se > 90)
		add_min_se(msg, l->min_se);
}

static void raise_interval(msg_t *msg, void *arg)
{
	struct sip_leg *l = arg;
	sip_t *sip = sip_object(msg);

	if (sip->sip_session_expires != NULL)
		msg_header_remove(msg, (msg_pub_t *)sip, (msg_header_t *)sip->sip_session_expires);
	if (sip->sip_min_se != NULL)
		msg_header_remove(msg, (msg_pub_t *)sip, (msg_header_t *)sip->sip_min_se);
	session_timer_offer(l, msg);
}

int session_timer_repeat(struct request *r)
{
	struct sip_leg *l = r->leg;

	if (l->session_expires != 0 && l->session_expires < l->min_se)
		l->session_expires = l->min_se;
	return request_repeat(r, NULL, raise_interval, l);
}

void session_timer_confirm(struct sip_leg *l, const sip_t *response)
{
	const sip_session_expires_t *x = response->sip_session_expires;

	l->refresher = REFRESHER_NONE;
	l->session_expires = 0;
	if (x != NULL && x->x_delta > 0 && x->x_delta <= 86400) {
		l->session_expires = x->x_delta < 90 ? 90 : (unsigned)x->x_delta;
		l->refresher = x->x_refresher != NULL && strcasecmp(x->x_refresher, "uas") == 0
				       ? REFRESHER_THEM
				       : REFRESHER_US;
	}
	start(l);
}

/* ---- their requests ----------------------------------------------------------------------- */

bool session_timer_check(struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	const sip_session_expires_t *x = request->sip_session_expires;
	unsigned min = l->sip->cfg.min_se_s >= 90 ? l->sip->cfg.min_se_s : 90;
	msg_t *msg;

	if (x == NULL || x->x_delta >= min || !message_has_option(request, "timer"))
		return true;
	msg = stack_response(t, 422, NULL);
	if (msg != NULL)
		add_min_se(msg, min);
	reply_final(l->sip, l, t, msg);
	return false;
}

void session_timer_answer(struct sip_leg *l, msg_t *msg, const sip_t *request)
{
	const sip_session_expires_t *x = request->sip_session_expires;
	bool knows = message_has_option(request, "timer");
	unsigned min = request->sip_min_se != NULL ? (unsigned)request->sip_min_se->min_delta : 0;

	if (x != NULL && x->x_delta <= 86400) {
		l->session_expires = x->x_delta < 90 ? 90 : (unsigned)x->x_delta;
		if (x->x_refresher != NULL)
			l->refresher = strcasecmp(x->x_refresher, "uas") == 0 ? REFRESHER_US
									      : REFRESHER_THEM;
		else if (l->refresher == REFRESHER_NONE || knows)
			l->refresher = knows ? REFRESHER_THEM : REFRESHER_US;
	} else if (l->session_expires == 0 && request->sip_to->a_tag == NULL) {
		l->session_expires = l->sip->cfg.session_expires_s;
		l->refresher = knows ? REFRESHER_THEM : REFRESHER_US;
	}
	if (l->session_expires == 0)
		return;
	if (l->session_expires < min && min <= 86400)
		l->session_expires = min;
	add_interval(msg, l->session_expires,
		l->refresher == REFRESHER_THEM ? "refresher=uac" : "refresher=uas");
	if (l->refresher == REFRESHER_THEM)
		message_add_line(msg, "Require", "timer");
	start(l);
}
