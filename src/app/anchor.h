/*
 * anchor: the way of actions to sip/ when media engines are configured. An action that gives a leg
 * another one's session waits until an engine has put itself into the text; actions of the same call
 * that come after it wait behind it, in order, and all other calls go on.
 */
#ifndef SEGUE_APP_ANCHOR_H
#define SEGUE_APP_ANCHOR_H

#include "app/config.h"
#include "app/loop.h"
#include "core/action.h"
#include "media/media.h"
#include "sip/sip.h"

struct anchor;

struct anchor_hooks {
	void *arg;
	/* Actions are carried out between the two; events that they cause are for after it. */
	void (*begin)(void *arg);
	void (*end)(void *arg);
	void (*emit)(void *arg, const struct event *ev);
};

/* 0 and *out; or an errno (logged). */
int anchor_open(const struct app_config *cfg, struct loop *loop, struct sip *sip,
	const struct anchor_hooks *hooks, struct anchor **out);
void anchor_reconfigure(struct anchor *an, const struct app_config *cfg);
/* NULL does nothing. Actions that wait are dropped. */
void anchor_close(struct anchor *an);

/* Carries out an action of SIP or of media, now or in its turn. */
void anchor_act(struct anchor *an, const struct action *a);
/* Is this music that a party is to hear? */
bool anchor_is_music(const struct action *a);
/* Keys that are to be pressed in somebody's audio: true, and *ev says that nobody could. */
bool anchor_unpressed(const struct action *a, struct event *ev);
/* The same where no engine is configured: a session of ours is one in which nobody speaks. */
void anchor_act_without(struct sip *sip, const struct action *a);
/* What an event says about a session that was given: to be told before, and after, the actions of its
 * step. */
void anchor_before(struct anchor *an, const struct event *ev);
void anchor_after(struct anchor *an, const struct event *ev);

void anchor_status(const struct anchor *an, struct media_status *out);

#endif
