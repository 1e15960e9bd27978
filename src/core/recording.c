/*
 * recording: which conversations are kept as sound. Derived after each step, like what people hear: a
 * visit is recorded while its agent talks with the customer, if the configuration names the agent or
 * the queue that the call came through, or if somebody asked for it. A hold or a consultation pauses
 * it, unless the configuration lets it run on; whatever ends that, a consultation that failed too, it
 * goes on (E-130). Each part is a recording of its own, with its visit and where in that it begins.
 */
#include "core/inner.h"

#include <stdio.h>

static bool names(const char (*list)[USER_MAX], unsigned n, const char *name)
{
	for (unsigned i = 0; i < n && name[0]; i++)
		if (str_eq(list[i], "*") || str_eq(list[i], name))
			return true;
	return false;
}

static bool by_config(const struct core *c, const struct call *k, const struct leg *l)
{
	return names(c->cfg.record_user, c->cfg.nrecord_user, l->user) ||
	       names(c->cfg.record_queue, c->cfg.nrecord_queue, k->came_by);
}

static bool is_wanted(const struct core *c, const struct call *k, const struct leg *l)
{
	switch ((enum record_wish)k->record) {
	case WISH_START:
		return true;
	case WISH_STOP:
		return false;
	case WISH_PAUSE:
		return !uuid_eq(&k->record_seg, &l->seg_id) && by_config(c, k, l);
	default:
		return by_config(c, k, l);
	}
}

static bool is_paused(const struct call *k, const struct leg *l)
{
	enum interval now = (enum interval)k->segs[l->seg].state;

	return now == IV_HOLDING || now == IV_CONSULTING;
}

static bool is_talk(const struct call *k, const struct leg *l)
{
	enum interval now = (enum interval)k->segs[l->seg].state;

	return now == IV_TALKING || now == IV_HELD || now == IV_CONFERENCE;
}

static bool is_on(const struct core *c, const struct call *k, const struct leg *l)
{
	if (l->seg == NO_SEG || l->user[0] == '\0' || l->state != LEG_UP || !is_wanted(c, k, l))
		return false;
	if (is_talk(k, l) || uuid_is_nil(&l->recording))
		return is_talk(k, l);
	return k->state == JOIN || (is_paused(k, l) && c->cfg.record_hold); /* goes on, at least */
}

static void tell(struct core *c, struct call *k, const struct leg *l, const char *type)
{
	if (k->open == RECORD_OPEN)
		timeline(c, k, &(struct timeline_note){
				       .type = type, .actor = l->user, .leg = l, .via = ORIGIN_SYSTEM});
}

static void begin(struct core *c, struct call *k, struct leg *l)
{
	const struct segment *s = &k->segs[l->seg];
	char id[UUID_STRLEN];
	struct fact *f;

	l->recording = core_uuid(c, k);
	f = fact_add(c, k, FACT_RECORDING_STARTED);
	f->recording_started.rec = l->recording;
	f->recording_started.conv = k->conv;
	f->recording_started.seg = l->seg_id;
	f->recording_started.offset_ms = s->answered ? c->ev->now - s->answered : 0;
	snprintf(f->recording_started.file, sizeof(f->recording_started.file), "%s/%s.wav",
		c->cfg.record_dir, uuid_str(&l->recording, id));
	tell(c, k, l, "recording_on");
	act_add(c, ACT_RECORD, l->id)->record.recording = l->recording;
}

static bool is_pause(const struct call *k, const char *why)
{
	return str_eq(why, "hold") || (str_eq(why, "command") && k->record == WISH_PAUSE);
}

void recording_end(struct core *c, struct call *k, struct leg *l, const char *why)
{
	struct fact *f;

	if (uuid_is_nil(&l->recording))
		return;
	f = fact_add(c, k, FACT_RECORDING_ENDED);
	f->recording_ended.rec = l->recording;
	str_set(f->recording_ended.why, why);
	tell(c, k, l, is_pause(k, why) ? "recording_paused" : "recording_off");
	l->recording = (uuid){{0}};
	act_add(c, ACT_RECORD, l->id);
}

static const char *why_over(const struct core *c, const struct call *k, const struct leg *l)
{
	if (l->seg == NO_SEG)
		return "end";
	return is_wanted(c, k, l) ? "hold" : "command";
}

void recording_sync(struct core *c, struct call *k)
{
	struct leg *on = NULL;

	if (!c->cfg.can_play)
		return;
	for (unsigned i = 0; i < k->nlegs && on == NULL; i++)
		if (is_on(c, k, k->legs[i]))
			on = k->legs[i];
	for (unsigned i = 0; i < k->nlegs; i++)
		if (k->legs[i] != on)
			recording_end(c, k, k->legs[i], why_over(c, k, k->legs[i]));
	if (on && uuid_is_nil(&on->recording))
		begin(c, k, on);
}

/* Who has the call now: the visit that a pause is about. */
static uuid present_visit(const struct call *k)
{
	const struct leg *l = NULL;

	for (unsigned i = 0; i < k->nlegs && (l == NULL || uuid_is_nil(&l->recording)); i++)
		if (k->legs[i]->seg != NO_SEG && k->legs[i]->user[0])
			l = k->legs[i];
	return l ? l->seg_id : (uuid){{0}};
}

void recording_command(struct core *c, struct call *k)
{
	const struct ev_record *e = &c->ev->record;
	struct action *a = act_add(c, ACT_REPLY, ID_NONE);
	const char *why = k->open != RECORD_OPEN ? "The conversation is closed"
			  : c->cfg.can_play      ? NULL
						 : "No media engine is configured";

	a->cmd = e->cmd;
	a->status = why ? 409 : 200;
	str_set(a->text, why ? why : "Done");
	audit(c, k, e->asker, e->origin, "record", record_wish_name((int)e->wish),
		why ? "refused" : "done", why ? why : "");
	if (why)
		return;
	k->record = (uint8_t)e->wish;
	k->record_seg = present_visit(k);
}
