/* stage: see stage.h. */
#include "trace/stage.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define NETWORK_MS 10
#define COLUMN	   26
#define END_MS	   120000 /* long enough for every guard */

void stage_init(struct stage *st, const struct core_config *cfg, FILE *out)
{
	memset(st, 0, sizeof(*st));
	sim_init(&st->sim, cfg);
	st->out = out;
}

void stage_done(struct stage *st)
{
	sim_done(&st->sim);
	free(st->facts);
}

/* ---- names ----------------------------------------------------------------------------------- */

struct stage_leg *stage_leg(struct stage *st, const char *name)
{
	for (unsigned i = 0; i < st->nlegs; i++)
		if (strcmp(st->legs[i].name, name) == 0)
			return &st->legs[i];
	if (st->nlegs == STAGE_LEGS_MAX)
		abort();
	str_set(st->legs[st->nlegs].name, name);
	st->legs[st->nlegs].wants = DIR_SENDRECV;
	return &st->legs[st->nlegs++];
}

static struct stage_leg *leg_by_id(struct stage *st, leg_id id)
{
	for (unsigned i = 0; i < st->nlegs; i++)
		if (st->legs[i].id == id)
			return &st->legs[i];
	return NULL;
}

const char *stage_leg_name(struct stage *st, uint64_t id)
{
	struct stage_leg *l = leg_by_id(st, id);

	if (id == ID_MUSIC)
		return "music";
	return l ? l->name : "?";
}

/* Ties an id to a name; the second leg of bob is bob/2. */
static void bind_leg(struct stage *st, const char *base, leg_id id)
{
	char name[STAGE_NAME_MAX];
	struct stage_leg *l;

	str_set(name, base);
	for (unsigned n = 2; (l = stage_leg(st, name))->id != ID_NONE; n++)
		snprintf(name, sizeof(name), "%.16s/%u", base, n);
	l->id = id;
	l->column = st->ncolumns++;
}

const char *stage_uuid(struct stage *st, const uuid *id)
{
	for (unsigned i = 0; i < st->nids; i++)
		if (uuid_eq(&st->ids[i].id, id))
			return st->ids[i].name;
	return "?";
}

static void name_uuid(struct stage *st, const uuid *id, const char *kind, unsigned *n)
{
	if (st->nids == STAGE_IDS_MAX)
		abort();
	st->ids[st->nids].id = *id;
	snprintf(st->ids[st->nids++].name, 16, "%s%u", kind, ++*n);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static void keep_fact(struct stage *st, const struct fact *f)
{
	if (st->nfacts == st->facts_cap) {
		st->facts_cap = st->facts_cap ? st->facts_cap * 2 : 64;
		st->facts = realloc(st->facts, st->facts_cap * sizeof(*st->facts));
		if (st->facts == NULL)
			abort();
	}
	st->facts[st->nfacts++] = *f;
	if (f->type == FACT_CONVERSATION_OPENED)
		name_uuid(st, &f->conversation_opened.conv, "conv", &st->nconvs);
	if (f->type == FACT_SEGMENT_OPENED)
		name_uuid(st, &f->segment_opened.seg, "seg", &st->nsegs);
	if (f->type == FACT_TRANSFER_OPENED)
		name_uuid(st, &f->transfer_opened.xfer, "xfer", &st->nxfers);
}

static void print_field(struct stage *st, const struct fact *f, const struct fact_field *d)
{
	const char *at = (const char *)f + d->offset;
	int64_t v = 0;

	switch (d->kind) {
	case FIELD_UUID:
		if (!uuid_is_nil((const uuid *)at))
			fprintf(st->out, " %s=%s", d->name, stage_uuid(st, (const uuid *)at));
		break;
	case FIELD_TEXT:
		if (at[0] != '\0')
			fprintf(st->out, strchr(at, ' ') ? " %s=\"%s\"" : " %s=%s", d->name, at);
		break;
	case FIELD_TIME:
		memcpy(&v, at, sizeof(v));
		fprintf(st->out, " %s=%.3f", d->name, (double)(v - SIM_WALL0) / 1e6);
		break;
	default:
		memcpy(&v, at, sizeof(v));
		if (v != 0)
			fprintf(st->out, " %s=%" PRId64, d->name, v);
		break;
	}
}

static void print_fact(struct stage *st, const struct fact *f)
{
	const struct fact_desc *d = fact_describe(f->type);

	fprintf(st->out, "             . %s", d->name);
	for (unsigned i = 0; i < d->nfields; i++)
		if (strcmp(d->fields[i].name, "call") != 0 &&
			strcmp(d->fields[i].name, "conv") != 0)
			print_field(st, f, &d->fields[i]);
	fputc('\n', st->out);
}

/* ---- the ladder ------------------------------------------------------------------------------ */

/* One rung: text in the leg's column, a line down in the others. */
static void rung(struct stage *st, leg_id id, const char *text)
{
	struct stage_leg *l = leg_by_id(st, id);

	fprintf(st->out, "%10.3f  ", (double)st->now / 1000);
	for (unsigned i = 0; l != NULL && i < l->column; i++)
		fprintf(st->out, "%-*s", COLUMN, "|");
	fprintf(st->out, "%s\n", text);
}

void stage_title(struct stage *st, FILE *out)
{
	fprintf(out, "            ");
	for (unsigned col = 0; col < st->ncolumns; col++)
		for (unsigned i = 0; i < st->nlegs; i++)
			if (st->legs[i].id != ID_NONE && st->legs[i].column == col)
				fprintf(out, "%-*s", col + 1 < st->ncolumns ? COLUMN : 0,
					st->legs[i].name);
	fputc('\n', out);
}

static const char *sdp_text(const struct sdp_note *sdp, char *buf, size_t size)
{
	if (sdp->what == SDP_NONE)
		return "";
	if (sdp->what == SDP_BAD)
		return " (bad SDP)";
	snprintf(buf, size, " (%s%s%s)", dir_name(sdp->dir), sdp->usable ? "" : ", no port",
		sdp->image ? ", image" : "");
	return buf;
}

/* What the party sends. */
static void event_text(const struct event *ev, char *buf, size_t size)
{
	char sdp[64];

	switch (ev->type) {
	case EV_INVITE:
		snprintf(buf, size, "INVITE %s%s ->", ev->invite.number,
			sdp_text(&ev->invite.sdp, sdp, sizeof(sdp)));
		break;
	case EV_PROGRESS:
		snprintf(buf, size, "%u%s%s ->", ev->progress.status,
			ev->progress.reliable ? " 100rel" : "",
			sdp_text(&ev->progress.sdp, sdp, sizeof(sdp)));
		break;
	case EV_ANSWER:
		snprintf(buf, size, "%u%s ->", ev->answer.status,
			sdp_text(&ev->answer.sdp, sdp, sizeof(sdp)));
		break;
	case EV_REJECT:
		snprintf(buf, size, "%u ->", ev->reject.status);
		break;
	case EV_REDIRECT:
		snprintf(buf, size, "%u %s ->", ev->reject.status, ev->reject.number);
		break;
	case EV_OA_DONE:
		snprintf(buf, size, "%u%s ->", ev->offer.status,
			sdp_text(&ev->offer.sdp, sdp, sizeof(sdp)));
		break;
	case EV_OFFER:
		snprintf(buf, size, "re-INVITE%s ->", sdp_text(&ev->offer.sdp, sdp, sizeof(sdp)));
		break;
	case EV_OFFER_NONE:
		snprintf(buf, size, "re-INVITE ->");
		break;
	case EV_ACK:
		snprintf(buf, size, "ACK%s ->", sdp_text(&ev->offer.sdp, sdp, sizeof(sdp)));
		break;
	case EV_TRANSFER:
		snprintf(buf, size, "REFER %s ->", ev->transfer.number);
		break;
	case EV_NOTIFY_DONE:
		snprintf(buf, size, "%u (NOTIFY) ->", ev->notify.status);
		break;
	case EV_REFERRED:
		snprintf(buf, size, "%u (REFER) ->", ev->referred.status);
		break;
	case EV_REFER_NOTIFY:
		snprintf(buf, size, "NOTIFY %u%s ->", ev->referred.status,
			ev->referred.final ? " final" : "");
		break;
	case EV_RECOVERED:
		snprintf(buf, size, ev->recovered.fate == DIALOG_LOST ? "(lost)" : "(there again)");
		break;
	case EV_CLOSED:
		snprintf(buf, size, "x"); /* nothing more comes from here */
		break;
	default:
		snprintf(buf, size, "%s ->", ev_name((int)ev->type));
		break;
	}
}

static void tell_event(struct stage *st, const struct event *ev)
{
	char text[160];

	if (ev->type == EV_TIMER) {
		fprintf(st->out, "%10.3f  * %s guard%s%s\n", (double)st->now / 1000,
			timer_kind_name((int)ev->timer.kind), ev->leg ? " of " : "",
			ev->leg ? stage_leg_name(st, ev->leg) : "");
	} else if (ev->type == EV_AGENT) {
		fprintf(st->out, "%10.3f  # agent %s: %s %s\n", (double)st->now / 1000, ev->agent.user,
			agent_intent_name((int)ev->agent.intent), ev->agent.reason);
	} else if (ev->type == EV_LOCATED) {
		fprintf(st->out, "%10.3f  # located: %s %u\n", (double)st->now / 1000,
			ev->located.node ? "node" : "nowhere", ev->located.node);
	} else if (ev->type >= EV_DIR_USER) {
		return;
	} else if (ev->leg == ID_NONE && ev->type != EV_INVITE) {
		fprintf(st->out, "%10.3f  # command: %s %s\n", (double)st->now / 1000,
			ev_name((int)ev->type),
			ev->type == EV_TRANSFER ? ev->transfer.number
			: ev->type == EV_DIAL	? ev->dial.number
						: "");
	} else {
		event_text(ev, text, sizeof(text));
		rung(st, ev->leg, text);
	}
}

/* "(bob)", "(bob, sendonly)" or "(as before, sendonly)": which SDP goes out. */
static const char *given_text(struct stage *st, const struct action *a, char *buf, size_t size)
{
	bool old = a->from == ID_NONE;
	const char *dir = a->dir == SDP_DIR_AS_IS ? "" : sdp_dir_name((int)a->dir);

	if (old && (a->type == ACT_DIAL || a->type == ACT_PROGRESS || a->type == ACT_ANSWER))
		return "";
	snprintf(buf, size, " (%s%s%s)", old ? "as before" : stage_leg_name(st, a->from),
		dir[0] ? ", " : "", dir);
	return buf;
}

/* How a HANGUP looks on the wire depends on how far the dialog is. */
static const char *hangup_text(struct stage *st, leg_id leg)
{
	struct ct_leg *l = contract_leg(&st->sim.ct, leg);

	return l != NULL && l->cancelling ? "CANCEL" : "BYE";
}

static const char *recall_text(struct stage *st, const struct act_dial *d, char *buf, size_t size)
{
	if (!d->recall)
		return "";
	snprintf(buf, size, " recall of %s as \"%s\"", stage_uuid(st, &d->xfer), d->caller.name);
	return buf;
}

/* Whom it is shown, where the scenario is about that. */
static void add_identity(struct stage *st, const struct act_dial *d, char *buf, size_t size)
{
	if (st->sim.cfg.npeer == 0 || d->dest.kind != DEST_PEER)
		return;
	str_append(buf, size, " as ");
	str_append(buf, size, d->caller.number);
	str_append(buf, size, d->diverter.number[0] ? " by " : "");
	str_append(buf, size, d->diverter.number);
}

/* The network's cause (Q.850), and when to ask again. */
static void add_reason(const struct action *a, char *buf, size_t size)
{
	size_t n = strlen(buf);

	while (n > 0 && buf[n - 1] == ' ')
		buf[--n] = '\0';
	if (a->q850)
		n += (size_t)snprintf(buf + n, size - n, " cause %u", a->q850);
	if (a->retry_after)
		snprintf(buf + n, size - n, " Retry-After %u", a->retry_after);
}

/* What the party receives. False: nothing to show. */
static bool action_text(struct stage *st, const struct action *a, char *buf, size_t size)
{
	char sdp[64], recall[NAME_MAX_ + 40];

	if (given_text(st, a, sdp, sizeof(sdp))[0] == '\0')
		sdp[0] = '\0';
	switch (a->type) {
	case ACT_DIAL:
		snprintf(buf, size, "<- INVITE %s%s", a->dial.dest.number, sdp);
		str_append(buf, size, recall_text(st, &a->dial, recall, sizeof(recall)));
		str_append(buf, size, a->dial.referred_by[0] ? " referred" : "");
		str_append(buf, size, a->dial.replaces[0] ? " Replaces" : "");
		str_append(buf, size, a->dial.answering == ANSWER_AUTO ? " answer by itself" : "");
		add_identity(st, &a->dial, buf, size);
		return true;
	case ACT_PROGRESS:
		snprintf(buf, size, "<- %u%s", a->status, sdp);
		return true;
	case ACT_ANSWER:
	case ACT_OFFER_ANSWER:
		snprintf(buf, size, "<- 200%s", sdp);
		return true;
	case ACT_ACK:
		snprintf(buf, size, "<- ACK%s", sdp);
		return true;
	case ACT_OFFER:
		snprintf(buf, size, "<- re-INVITE%s", sdp);
		return true;
	case ACT_REJECT:
	case ACT_OFFER_REJECT:
	case ACT_REFER_REJECT:
		snprintf(buf, size, "<- %u %s", a->status, a->text);
		add_reason(a, buf, size);
		return true;
	case ACT_REFER_ACCEPT:
		snprintf(buf, size, "<- 202");
		return true;
	case ACT_NOTIFY:
		snprintf(buf, size, "<- NOTIFY %u%s", a->status, a->notify.final ? " final" : "");
		return true;
	case ACT_REFER:
		snprintf(buf, size, "<- REFER to %s %.40s%s%.40s%s%s", refer_to_name((int)a->refer.to),
			a->refer.number, a->refer.peer[0] ? " at " : "", a->refer.peer,
			a->refer.replaces ? "replacing the other end of " : "",
			a->refer.replaces ? stage_leg_name(st, a->refer.replaces) : "");
		return true;
	case ACT_POSITION:
		snprintf(buf, size, ". place %u of %u in %s", a->position.position, a->position.waiting,
			a->position.queue);
		if (a->position.estimate_ms >= 0)
			str_append(buf, size, ", estimated");
		return true;
	case ACT_HANGUP:
		snprintf(buf, size, "<- %s", hangup_text(st, a->leg));
		add_reason(a, buf, size);
		return true;
	case ACT_RECORD:
		snprintf(buf, size, "<- %s", uuid_is_nil(&a->record.recording) ? "not recorded" : "recorded");
		return true;
	case ACT_MEDIA:
		snprintf(buf, size, "<- hears %s%s%s", hears_name(a->media.what),
			a->media.music[0] ? " " : "", a->media.music);
		if (a->media.what == HEARS_PLACE)
			snprintf(buf + strlen(buf), size - strlen(buf), ": place %u", a->media.position);
		if (a->media.minutes)
			snprintf(buf + strlen(buf), size - strlen(buf), ", %u min", a->media.minutes);
		return true;
	case ACT_DIGITS:
		snprintf(buf, size, "<- keys %s%s", a->text,
			a->digits.way == DTMF_INFO ? " by INFO" : "");
		return true;
	case ACT_INFO:
		snprintf(buf, size, "<- INFO");
		return a->leg != ID_NONE;
	default:
		return false;
	}
}

static void tell_action(struct stage *st, const struct action *a)
{
	char text[256];
	size_t n;

	if (action_text(st, a, text, sizeof(text))) {
		for (n = strlen(text); n > 0 && text[n - 1] == ' ';)
			text[--n] = '\0';
		rung(st, a->leg, text);
	} else if (a->type == ACT_TIMER && a->timer.ms >= 0 && a->timer.kind != TIMER_CLOSE) {
		fprintf(st->out, "             ~ %s guard%s%s: %.3f s\n",
			timer_kind_name((int)a->timer.kind), a->leg ? " of " : "",
			a->leg ? stage_leg_name(st, a->leg) : "", (double)a->timer.ms / 1000);
	} else if (a->type == ACT_LOCATE) {
		st->sought = a->cmd;
		fprintf(st->out, "%10.3f  # where is it?\n", (double)st->now / 1000);
	} else if (a->type == ACT_REPLY) {
		fprintf(st->out, "%10.3f  # reply: %u\n", (double)st->now / 1000, a->status);
	}
}

/* ---- habits ---------------------------------------------------------------------------------- */

static void later(struct stage *st, int64_t in, const struct event *ev)
{
	if (st->nautos == STAGE_AUTO_MAX)
		abort();
	st->autos[st->nautos++] = (struct stage_auto){st->now + in, *ev};
}

static void later_simple(struct stage *st, int64_t in, enum ev type, leg_id leg)
{
	later(st, in, &(struct event){.type = type, .leg = leg});
}

struct sdp_note stage_answer(struct stage *st, const struct stage_leg *l)
{
	struct ct_leg *c = contract_leg(&st->sim.ct, l->id);
	bool late = c != NULL && c->late && c->state == CT_DIALING;

	return (struct sdp_note){.what = late ? SDP_OFFER : SDP_ANSWER,
		.usable = true,
		.dir = late || c == NULL ? l->wants
					 : dir_and(l->wants, dir_reverse(c->offered.dir)),
		.same = c != NULL && c->ver != 0};
}

static void habit_closed(struct stage *st, struct stage_leg *l, int64_t in)
{
	if (!(l->manual & HABIT_CLOSE))
		later_simple(st, in, EV_CLOSED, l->id);
}

static void habit_hangup(struct stage *st, struct stage_leg *l)
{
	struct ct_leg *c = contract_leg(&st->sim.ct, l->id);
	struct event ev = {.type = EV_REJECT, .leg = l->id};

	if (c != NULL && c->cancelling) {
		ev.reject.status = 487;
		if (l->manual & HABIT_CANCEL)
			return;
		later(st, NETWORK_MS, &ev);
	}
	habit_closed(st, l, 2 * NETWORK_MS);
}

static void habit_offer(struct stage *st, struct stage_leg *l)
{
	struct event ev = {.type = EV_OA_DONE, .leg = l->id};
	struct ct_leg *c = contract_leg(&st->sim.ct, l->id);

	if ((l->manual & HABIT_OFFER) || c == NULL || !(c->offer_out || c->ack_due))
		return;
	ev.offer.status = 200;
	ev.offer.sdp = stage_answer(st, l);
	later(st, NETWORK_MS, &ev);
}

static void habit_ack(struct stage *st, struct stage_leg *l)
{
	struct event ev = {.type = EV_ACK, .leg = l->id};
	struct ct_leg *c = contract_leg(&st->sim.ct, l->id);

	if (l->manual & HABIT_ACK)
		return;
	if (c != NULL && c->late)
		ev.offer.sdp = stage_answer(st, l);
	later(st, NETWORK_MS, &ev);
}

static void habit_notify(struct stage *st, struct stage_leg *l, const struct action *a)
{
	struct event ev = {.type = EV_NOTIFY_DONE, .leg = l->id};

	if ((l->manual & HABIT_NOTIFY) || !a->notify.final)
		return;
	ev.notify.cmd = a->notify.cmd;
	ev.notify.status = 200;
	later(st, NETWORK_MS, &ev);
}

static void follow_action(struct stage *st, const struct action *a)
{
	struct stage_leg *l = leg_by_id(st, a->leg);

	if (l == NULL || a->leg == ID_NONE)
		return;
	switch (a->type) {
	case ACT_ANSWER:
		habit_ack(st, l);
		break;
	case ACT_REJECT:
		habit_closed(st, l, NETWORK_MS);
		break;
	case ACT_HANGUP:
		habit_hangup(st, l);
		break;
	case ACT_OFFER:
	case ACT_OFFER_ANSWER:
		habit_offer(st, l);
		break;
	case ACT_NOTIFY:
		habit_notify(st, l, a);
		break;
	default:
		break;
	}
}

static void follow_event(struct stage *st, const struct event *ev)
{
	struct stage_leg *l = leg_by_id(st, ev->leg);

	if (l != NULL && (ev->type == EV_BYE || ev->type == EV_GONE || ev->type == EV_REJECT ||
				 ev->type == EV_REDIRECT))
		habit_closed(st, l, NETWORK_MS);
}

/* ---- playing --------------------------------------------------------------------------------- */

static void bind_new_legs(struct stage *st, const struct event *ev, const char *name)
{
	const struct core_out *out = &st->sim.out;

	if (ev->type == EV_INVITE && out->leg != ID_NONE)
		bind_leg(st, name, out->leg);
	for (unsigned i = 0; i < out->nactions; i++) {
		const struct action *a = &out->actions[i];

		if (a->type == ACT_DIAL)
			bind_leg(st,
				a->dial.dest.kind == DEST_MUSIC ? "music"
				: a->dial.dest.user[0]		? a->dial.dest.user
								: a->dial.dest.peer,
				a->leg);
	}
}

static void tell_step(struct stage *st, struct event *ev)
{
	const struct core_out *out = &st->sim.out;

	if (ev->type == EV_INVITE)
		ev->leg = out->leg;
	tell_event(st, ev);
	for (unsigned i = 0; i < out->nfacts; i++)
		keep_fact(st, &out->facts[i]); /* all first: one may name what the next opens */
	for (unsigned i = 0; i < out->nfacts; i++)
		print_fact(st, &out->facts[i]);
	for (unsigned i = 0; i < out->nactions; i++)
		tell_action(st, &out->actions[i]);
}

static void after_step(struct stage *st, struct event *ev, const char *name)
{
	if (st->sim.failed) {
		snprintf(st->error, sizeof(st->error), "%s: %s", st->sim.rule, st->sim.text);
		return;
	}
	bind_new_legs(st, ev, name);
	tell_step(st, ev);
	follow_event(st, ev);
	for (unsigned i = 0; i < st->sim.out.nactions; i++)
		follow_action(st, &st->sim.out.actions[i]);
}

bool stage_send(struct stage *st, struct event *ev, const char *name)
{
	ev->now = st->now;
	ev->wall = SIM_WALL0 + st->now * 1000 + st->skew_us;
	ev->rnd = ++st->cmd * UINT64_C(0x9e3779b97f4a7c15);
	if (!sim_step(&st->sim, ev))
		return false;
	after_step(st, ev, name);
	return true;
}

static void on_timer(void *arg, const struct event *timer)
{
	struct stage *st = arg;
	struct event ev = *timer;

	st->now = ev.now;
	after_step(st, &ev, "");
}

/* Index of the first thing that happens by itself, -1: none. */
static int first_auto(const struct stage *st)
{
	int best = -1;

	for (unsigned i = 0; i < st->nautos; i++)
		if (best < 0 || st->autos[i].at < st->autos[best].at)
			best = (int)i;
	return best;
}

static void play_auto(struct stage *st, int i)
{
	struct stage_auto a = st->autos[i];

	memmove(&st->autos[i], &st->autos[i + 1],
		(--st->nautos - (unsigned)i) * sizeof(st->autos[0]));
	st->now = a.at;
	stage_send(st, &a.ev, ""); /* overtaken by something else: never mind */
}

void stage_until(struct stage *st, int64_t until)
{
	while (st->error[0] == '\0') {
		int i = first_auto(st);
		int64_t next = i >= 0 && st->autos[i].at < until ? st->autos[i].at : until;
		struct event timer = {0};

		if (contract_next_timer(&st->sim.ct, next, &timer))
			sim_timers(&st->sim, timer.now, on_timer, st);
		else if (i >= 0 && st->autos[i].at <= until)
			play_auto(st, i);
		else
			break;
	}
	if (until > st->now)
		st->now = until;
}

void stage_snapshot(struct stage *st)
{
	fprintf(st->out, "%10.3f  # snapshot, new core, restore\n", (double)st->now / 1000);
	sim_snapshot(&st->sim, st->now);
	if (st->sim.failed)
		snprintf(st->error, sizeof(st->error), "%s: %s", st->sim.rule, st->sim.text);
}

static void on_told(void *arg, const struct event *ev)
{
	struct event copy = *ev;

	after_step(arg, &copy, "");
}

static void go_down(struct stage *st, enum ending how, int64_t down_ms)
{
	fprintf(st->out, "%10.3f  # %s\n", (double)st->now / 1000,
		how == ENDING_KILLED ? "killed" : "stopped, calls are kept");
	st->nautos = 0; /* nothing that was under way arrives */
	st->now += down_ms;
	fprintf(st->out, "%10.3f  # another process is there\n", (double)st->now / 1000);
	sim_die(&st->sim, st->now, how, LORE_AT_ONCE, on_told, st);
	if (st->sim.failed)
		snprintf(st->error, sizeof(st->error), "%s: %s", st->sim.rule, st->sim.text);
}

void stage_tell_fates(struct stage *st)
{
	sim_fates(&st->sim, st->now, on_told, st);
	if (st->sim.failed)
		snprintf(st->error, sizeof(st->error), "%s: %s", st->sim.rule, st->sim.text);
}

void stage_kill(struct stage *st, int64_t down_ms)
{
	go_down(st, ENDING_KILLED, down_ms);
}

void stage_stop(struct stage *st, int64_t down_ms)
{
	go_down(st, ENDING_STOPPED, down_ms);
}

void stage_reload(struct stage *st, const struct core_config *cfg)
{
	struct event ev = {.type = EV_CONFIG};

	fprintf(st->out, "%10.3f  # the configuration is read again\n", (double)st->now / 1000);
	st->sim.cfg = *cfg;
	core_reconfigure(st->sim.core, cfg);
	stage_send(st, &ev, "");
}

void stage_end(struct stage *st)
{
	struct event timer = {0};

	stage_until(st, st->now + 1000);
	while (st->error[0] == '\0' &&
		(st->nautos > 0 || contract_next_timer(&st->sim.ct, st->now + END_MS, &timer)))
		stage_until(st, st->nautos > 0 ? st->autos[first_auto(st)].at : timer.now);
	if (st->error[0] != '\0')
		return;
	sim_end(&st->sim);
	if (st->sim.failed)
		snprintf(st->error, sizeof(st->error), "at the end: %s: %s", st->sim.rule,
			st->sim.text);
}
