/*
 * digits: ACT_DIGITS by INFO (application/dtmf-relay), one for each key, at the pace of a finger. Keys in
 * the audio are the business of media/keys.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sofia-sip/sip_header.h>

#include "sip/internal.h"

#define TONE_MS	 160
#define STEP_MS	 260 /* a tone and a gap */
#define PAUSE_MS 1000

struct digits {
	char left[DIGITS_MAX]; /* to be pressed yet */
	su_timer_t *timer;
};

void digits_abandon(struct sip_leg *l)
{
	if (l->digits == NULL)
		return;
	su_timer_destroy(l->digits->timer);
	free(l->digits);
	l->digits = NULL;
}

/* Whoever does not understand the first key will not understand the next one. */
static void on_response(struct request *r, const sip_t *response)
{
	char status[16];

	if (response->sip_status->st_status < 300 || r->leg->digits == NULL)
		return;
	snprintf(status, sizeof(status), "%d", response->sip_status->st_status);
	log_kv(LOG_LEVEL_WARN, (struct log_ref){r->leg->id}, "digits_refused", "status", status, NULL);
	digits_abandon(r->leg);
}

static void add_body(msg_t *msg, char key)
{
	char text[48];
	sip_payload_t *body;

	snprintf(text, sizeof(text), "Signal=%c\r\nDuration=%d\r\n", key, TONE_MS);
	message_add_line(msg, "Content-Type", "application/dtmf-relay");
	body = sip_payload_create(msg_home(msg), text, (isize_t)strlen(text));
	if (body != NULL)
		msg_header_insert(msg, (msg_pub_t *)sip_object(msg), (msg_header_t *)body);
}

/* 0, or an errno: this key could not be sent. */
static int press(struct sip_leg *l, char key)
{
	struct stack_dest d;
	msg_t *msg;

	if (l->state == SIDE_ENDING || l->state == SIDE_OVER)
		return ENOTCONN;
	msg = dialog_request(&l->dialog, l->sip->stack, SIP_METHOD_INFO);
	if (msg == NULL)
		return ENOMEM;
	add_body(msg, key);
	dialog_dest(&l->dialog, &d);
	return request_send(l, msg, &d, on_response) != NULL ? 0 : EIO;
}

static void next_key(struct sip_leg *l);

static void on_timer(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *arg)
{
	struct sip_leg *l = arg;
	struct sip *s = l->sip;

	sip_enter(s);
	next_key(l);
	sip_leave(s);
}

static void next_key(struct sip_leg *l)
{
	struct digits *d = l->digits;
	char key = d->left[0];

	if (key == '\0' || (key != ',' && press(l, key) != 0)) {
		digits_abandon(l);
		return;
	}
	memmove(d->left, d->left + 1, strlen(d->left));
	su_timer_set_interval(d->timer, on_timer, l, key == ',' ? PAUSE_MS : STEP_MS);
}

void digits_send(struct sip_leg *l, const struct action *a)
{
	digits_abandon(l);
	l->digits = calloc(1, sizeof(*l->digits));
	if (l->digits == NULL)
		return;
	str_set(l->digits->left, a->text);
	l->digits->timer = su_timer_create(su_root_task(l->sip->root), STEP_MS);
	if (l->digits->timer == NULL)
		digits_abandon(l);
	else
		next_key(l);
}
