/* print: see print.h. */
#include "sim/print.h"

#include <stdarg.h>
#include <stdio.h>

struct line {
	char *buf;
	size_t len;
	const struct print_names *names;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->buf + l->len, PRINT_MAX - l->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len += (size_t)n;
	if (l->len >= PRINT_MAX)
		l->len = PRINT_MAX - 1;
}

static const char *name_of(struct line *l, uint64_t id, char *buf)
{
	if (l->names != NULL && l->names->name != NULL)
		return l->names->name(l->names->arg, id, buf);
	return id_str(id, buf);
}

static void add_id(struct line *l, const char *key, uint64_t id)
{
	char buf[ID_STRLEN];

	if (id != ID_NONE)
		add(l, " %s%s", key, name_of(l, id, buf));
}

static void add_text(struct line *l, const char *key, const char *value)
{
	if (value[0] != '\0')
		add(l, strchr(value, ' ') != NULL ? " %s=\"%s\"" : " %s=%s", key, value);
}

static void add_num(struct line *l, const char *key, uint64_t value)
{
	if (value != 0)
		add(l, " %s=%llu", key, (unsigned long long)value);
}

static void add_flag(struct line *l, const char *key, bool on)
{
	if (on)
		add(l, " %s", key);
}

static void add_sdp(struct line *l, const struct sdp_note *sdp)
{
	if (sdp->what == SDP_NONE)
		return;
	add(l, " sdp=%s", sdp_what_name(sdp->what));
	if (sdp->what == SDP_BAD)
		return;
	add(l, "/%s", dir_name(sdp->dir));
	add(l, "%s%s%s", sdp->same ? "/same" : "", sdp->usable ? "" : "/unusable",
		sdp->image ? "/image" : "");
}

static void add_invite(struct line *l, const struct ev_invite *i)
{
	add_text(l, "peer", i->peer);
	add_text(l, "user", i->user);
	add_text(l, "from", i->from.number);
	add_text(l, "to", i->number);
	add_text(l, "case", i->case_key);
	add_flag(l, "anonymous", i->from.anonymous);
	add_flag(l, "100rel", i->rel_required);
	add_flag(l, "immediate", i->immediate);
	add_flag(l, "may_refer", i->may_refer);
	add_sdp(l, &i->sdp);
}

static void add_transfer(struct line *l, const struct ev_transfer *t)
{
	add_num(l, "cmd", t->cmd);
	add_text(l, "via", origin_name(t->origin));
	add_text(l, "asker", t->asker);
	add_text(l, "to", t->number);
	add_flag(l, "foreign", !t->own_host);
	add_flag(l, "no_sub", t->no_sub);
	add_flag(l, "stay", t->stay);
	add_flag(l, "masked", t->masked);
	add_flag(l, "immediate", t->immediate);
	add_flag(l, "may_not_refer", !t->may_refer);
}

static void add_directory(struct line *l, const struct event *ev)
{
	switch (ev->type) {
	case EV_DIR_USER:
		add_text(l, "user", ev->user.user);
		add_text(l, "number", ev->user.number);
		add_flag(l, "gone", ev->user.gone);
		add_flag(l, "disabled", !ev->user.enabled);
		add_flag(l, "may_transfer", ev->user.may_transfer);
		break;
	case EV_DIR_QUEUE:
		add_text(l, "queue", ev->queue.queue);
		add_text(l, "number", ev->queue.number);
		add_flag(l, "gone", ev->queue.gone);
		break;
	case EV_DIR_MEMBER:
		add_text(l, "queue", ev->member.queue);
		add_text(l, "user", ev->member.user);
		add_flag(l, "gone", ev->member.gone);
		break;
	case EV_DIR_IVR:
		add_text(l, "ivr", ev->ivr.ivr);
		add_text(l, "number", ev->ivr.number);
		add_text(l, "peer", ev->ivr.peer);
		add_flag(l, "gone", ev->ivr.gone);
		break;
	case EV_DIR_CLASS:
		add_text(l, "class", ev->class.name);
		add_text(l, "pattern", ev->class.pattern);
		add_flag(l, "gone", ev->class.gone);
		break;
	case EV_DIR_SKILL:
		add_text(l, "user", ev->skill.user);
		add_text(l, "skill", ev->skill.skill);
		add_num(l, "level", ev->skill.level);
		add_flag(l, "gone", ev->skill.gone);
		break;
	case EV_DIR_NEED:
		add_text(l, "queue", ev->need.queue);
		add_text(l, "skill", ev->need.skill);
		add_num(l, "level", ev->need.level);
		add_flag(l, "gone", ev->need.gone);
		break;
	case EV_DIR_HOURS:
		add_text(l, "queue", ev->hours.queue);
		add_num(l, "openings", ev->hours.n);
		add_flag(l, "gone", ev->hours.gone);
		break;
	case EV_AGENT:
		add_text(l, "user", ev->agent.user);
		add_text(l, "intent", agent_intent_name(ev->agent.intent));
		break;
	case EV_AGENT_REACH:
		add_text(l, "user", ev->reach.user);
		add_flag(l, "silent", !ev->reach.reachable);
		break;
	case EV_CONTACTS:
		add_text(l, "user", ev->contacts.user);
		for (unsigned i = 0; i < ev->contacts.n; i++)
			add(l, " #%u", ev->contacts.contact[i]);
		break;
	default:
		add_text(l, "who", ev->audit.who);
		add_text(l, "action", ev->audit.action);
		add_text(l, "object", ev->audit.object);
		add_text(l, "why", ev->audit.why);
		break;
	}
}

static void add_detail(struct line *l, const struct event *ev)
{
	switch (ev->type) {
	case EV_INVITE:
		add_invite(l, &ev->invite);
		break;
	case EV_PROGRESS:
		add(l, " %u", ev->progress.status);
		add_flag(l, "reliable", ev->progress.reliable);
		add_sdp(l, &ev->progress.sdp);
		break;
	case EV_ANSWER:
		add(l, " %u", ev->answer.status);
		add_flag(l, "immediate", ev->answer.immediate);
		add_sdp(l, &ev->answer.sdp);
		break;
	case EV_REJECT:
	case EV_REDIRECT:
	case EV_GONE:
	case EV_BYE:
		if (ev->reject.status != 0)
			add(l, " %u", ev->reject.status);
		add_num(l, "q850", ev->reject.q850);
		add_text(l, "to", ev->reject.number);
		break;
	case EV_OA_DONE:
		add(l, " %u", ev->offer.status);
		add_sdp(l, &ev->offer.sdp);
		break;
	case EV_OFFER:
	case EV_OFFER_NONE:
	case EV_ACK:
		add_sdp(l, &ev->offer.sdp);
		break;
	case EV_INFO:
		add_num(l, "ref", ev->info.ref);
		break;
	case EV_UNPRESSED:
		add_text(l, "left", ev->unpressed.left);
		break;
	case EV_TRANSFER:
		add_transfer(l, &ev->transfer);
		break;
	case EV_NOTIFY_DONE:
		add_num(l, "cmd", ev->notify.cmd);
		add(l, " %u", ev->notify.status);
		break;
	case EV_LOCATED:
		add_num(l, "cmd", ev->located.cmd);
		add_num(l, "node", ev->located.node);
		break;
	case EV_REFERRED:
	case EV_REFER_NOTIFY:
		add_num(l, "cmd", ev->referred.cmd);
		add(l, " %u", ev->referred.status);
		add_flag(l, "final", ev->referred.final);
		break;
	case EV_XFER_CANCEL:
	case EV_HANGUP:
	case EV_COMPLETE:
	case EV_SWAP:
	case EV_HOLD:
	case EV_UNHOLD:
	case EV_RESUME:
		add_num(l, "cmd", ev->command.cmd);
		add_text(l, "via", origin_name(ev->command.origin));
		break;
	case EV_DIAL:
		add_num(l, "cmd", ev->dial.cmd);
		add_text(l, "user", ev->dial.user);
		add_text(l, "number", ev->dial.number);
		break;
	case EV_RECORD:
		add_num(l, "cmd", ev->record.cmd);
		add_text(l, "wish", record_wish_name((int)ev->record.wish));
		break;
	case EV_NOTE:
		add_num(l, "cmd", ev->note.cmd);
		add_text(l, "text", ev->note.text);
		break;
	case EV_TIMER:
		add(l, " %s", timer_kind_name(ev->timer.kind));
		break;
	case EV_DIR_USER:
	case EV_DIR_QUEUE:
	case EV_DIR_MEMBER:
	case EV_DIR_IVR:
	case EV_DIR_CLASS:
	case EV_DIR_SKILL:
	case EV_DIR_NEED:
	case EV_DIR_HOURS:
	case EV_AGENT:
	case EV_AGENT_REACH:
	case EV_CONTACTS:
	case EV_AUDIT:
		add_directory(l, ev);
		break;
	default:
		break;
	}
}

const char *print_event(const struct event *ev, const struct print_names *names, char *buf)
{
	struct line l = {.buf = buf, .names = names};

	add(&l, "%s", ev_name(ev->type));
	if (ev->leg != ID_NONE)
		add_id(&l, "", ev->leg);
	else
		add_id(&l, "call ", ev->call);
	add_detail(&l, ev);
	return buf;
}

static void add_dial(struct line *l, const struct act_dial *d)
{
	if (d->dest.kind == DEST_CONTACT)
		add(l, " contact=%s#%u", d->dest.user, d->dest.contact);
	else if (d->dest.kind == DEST_PEER)
		add(l, " peer=%s", d->dest.peer);
	add_text(l, "number", d->dest.number);
	add_text(l, "caller", d->caller.number);
	add_flag(l, "anonymous", d->caller.anonymous);
	add_id(l, "like=", d->like);
	add_text(l, "referred_by", d->referred_by);
	add_flag(l, "recall", d->recall);
}

const char *print_action(const struct action *a, const struct print_names *names, char *buf)
{
	struct line l = {.buf = buf, .names = names};

	add(&l, "%s", act_name(a->type));
	if (a->type == ACT_TIMER) {
		add_id(&l, "", a->timer.id);
		add(&l, " %s", timer_kind_name(a->timer.kind));
		if (a->timer.ms < 0)
			add(&l, " off");
		else
			add(&l, " %lld ms", (long long)a->timer.ms);
		return buf;
	}
	add_id(&l, "", a->leg != ID_NONE ? a->leg : a->call);
	if (a->status != 0)
		add(&l, " %u", a->status);
	if (a->type == ACT_DIAL)
		add_dial(&l, &a->dial);
	if (a->type == ACT_NOTIFY)
		add_num(&l, "cmd", a->notify.cmd);
	if (a->type == ACT_REFER) {
		add_text(&l, "to", refer_to_name((int)a->refer.to));
		add_text(&l, "number", a->refer.number);
		add_id(&l, "replaces=", a->refer.replaces);
	}
	add_id(&l, "from=", a->from);
	if (a->dir != SDP_DIR_AS_IS)
		add(&l, " dir=%s", sdp_dir_name(a->dir));
	add_num(&l, "cmd", a->cmd);
	add_num(&l, "q850", a->q850);
	add_num(&l, "retry_after", a->retry_after);
	add_text(&l, "text", a->text);
	if (a->type == ACT_NOTIFY)
		add_flag(&l, "final", a->notify.final);
	return buf;
}
