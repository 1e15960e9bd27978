/* script: see script.h. One line is one instruction; words are split at blanks, "..." keeps blanks
 * together. Setting up comes first, the first timed line opens the stage. */
#include "trace/script.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "core/dialplan.h"
#include "trace/stage.h"

#define WORDS_MAX 24
#define SETUP_MAX 64
#define LINE_MAX_ 400

struct script {
	struct stage st;
	struct core_config cfg;
	struct event setup[SETUP_MAX]; /* the directory, told when the stage opens */
	unsigned nsetup, contact;
	bool open;
	FILE *out;
	unsigned line;
	const char *path;
	char *err;
	size_t errsize;
	char *word[WORDS_MAX];
	unsigned nwords;
};

/* ---- words ----------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int wrong(struct script *s, const char *fmt, ...)
{
	const char *base = strrchr(s->path, '/');
	va_list ap;
	int n;

	n = snprintf(s->err, s->errsize, "%s:%u: ", base ? base + 1 : s->path, s->line);
	va_start(ap, fmt);
	vsnprintf(s->err + n, s->errsize - (size_t)n, fmt, ap);
	va_end(ap);
	return EINVAL;
}

static void split(struct script *s, char *text)
{
	char *p = text;

	s->nwords = 0;
	while (s->nwords < WORDS_MAX) {
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '\0' || *p == '#')
			return;
		if (*p == '"') {
			s->word[s->nwords++] = ++p;
			while (*p != '\0' && *p != '"')
				p++;
		} else {
			s->word[s->nwords++] = p;
			while (*p != '\0' && !isspace((unsigned char)*p))
				p++;
		}
		if (*p != '\0')
			*p++ = '\0';
	}
}

static const char *word(const struct script *s, unsigned i)
{
	return i < s->nwords ? s->word[i] : "";
}

static bool has_word(const struct script *s, unsigned from, const char *what)
{
	for (unsigned i = from; i < s->nwords; i++)
		if (strcmp(s->word[i], what) == 0)
			return true;
	return false;
}

/* The word after `what`, "" if there is none. */
static const char *word_after(const struct script *s, unsigned from, const char *what)
{
	for (unsigned i = from; i + 1 < s->nwords; i++)
		if (strcmp(s->word[i], what) == 0)
			return s->word[i + 1];
	return "";
}

static bool find_dir(const struct script *s, unsigned from, enum dir *dir)
{
	for (unsigned i = from; i < s->nwords; i++)
		if (dir_parse(s->word[i]) >= 0) {
			*dir = (enum dir)dir_parse(s->word[i]);
			return true;
		}
	return false;
}

static uint16_t find_status(const struct script *s, unsigned from, uint16_t otherwise)
{
	for (unsigned i = from; i < s->nwords; i++)
		if (isdigit((unsigned char)s->word[i][0]) && strlen(s->word[i]) == 3)
			return (uint16_t)atoi(s->word[i]);
	return otherwise;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	size_t offset;
} times[] = {
	{"setup_ms", offsetof(struct core_config, setup_ms)},
	{"ring_ms", offsetof(struct core_config, ring_ms)},
	{"recall_ms", offsetof(struct core_config, recall_ms)},
	{"join_ms", offsetof(struct core_config, join_ms)},
	{"resume_ms", offsetof(struct core_config, resume_ms)},
	{"bye_ms", offsetof(struct core_config, bye_ms)},
	{"notify_ms", offsetof(struct core_config, notify_ms)},
	{"close_ms", offsetof(struct core_config, close_ms)},
	{"locate_ms", offsetof(struct core_config, locate_ms)},
	{"queue_ring_ms", offsetof(struct core_config, queue_ring_ms)},
	{"queue_retry_ms", offsetof(struct core_config, queue_retry_ms)},
	{"queue_wait_ms", offsetof(struct core_config, queue_wait_ms)},
};

/* config fallback recall user:carol announce:0777 hangup
 * config fallback.user recall voicemail?busy,no_answer */
static int config_fallback(struct script *s, const char *kind)
{
	struct chain *ch = &s->cfg.fallback[kind ? target_kind_parse(kind) : TARGET_NONE];

	ch->n = 0;
	for (unsigned i = 2; i < s->nwords; i++)
		if (ch->n >= FALLBACK_MAX || fallback_parse(s->word[i], &ch->step[ch->n++]) != 0)
			return wrong(s, "\"%s\" is no fallback", s->word[i]);
	return 0;
}

static int do_config(struct script *s)
{
	const char *key = word(s, 1), *value = word(s, 2);

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (strcmp(times[i].name, key) == 0) {
			*(int64_t *)((char *)&s->cfg + times[i].offset) = atoll(value);
			return 0;
		}
	if (strcmp(key, "fallback") == 0)
		return config_fallback(s, NULL);
	if (str_starts(key, "fallback.") && target_kind_parse(key + 9) > 0)
		return config_fallback(s, key + 9);
	if (strcmp(key, "recall_prefix") == 0)
		str_set(s->cfg.recall_prefix, value);
	else if (strcmp(key, "voicemail_prefix") == 0)
		str_set(s->cfg.voicemail_prefix, value);
	else if (strcmp(key, "onhook_join") == 0)
		s->cfg.onhook_join = strcmp(value, "yes") == 0;
	else if (strcmp(key, "dial_unknown") == 0)
		s->cfg.dial_unknown = strcmp(value, "yes") == 0;
	else if (strcmp(key, "consult_belongs") == 0)
		s->cfg.consult_belongs = strcmp(value, "yes") == 0;
	else if (strcmp(key, "no_answer_status") == 0)
		s->cfg.no_answer_status = (uint16_t)atoi(value);
	else if (strcmp(key, "refer_foreign") == 0)
		s->cfg.refer_foreign = strcmp(value, "yes") == 0;
	else if (strcmp(key, "redirect") == 0)
		s->cfg.redirect = strcmp(value, "yes") == 0;
	else if (strcmp(key, "ring_hears") == 0 && hears_parse(value) >= 0)
		s->cfg.ring_hears = (enum hears)hears_parse(value);
	else if (strcmp(key, "country") == 0)
		str_set(s->cfg.numbering.country, value);
	else if (strcmp(key, "ring_busy") == 0)
		s->cfg.ring_busy = strcmp(value, "yes") == 0;
	else if (strcmp(key, "ring_away") == 0)
		s->cfg.ring_away = strcmp(value, "yes") == 0;
	else if (strcmp(key, "ring_unregistered") == 0)
		s->cfg.ring_unregistered = strcmp(value, "yes") == 0;
	else if (strcmp(key, "music_uri") == 0)
		str_set(s->cfg.music_uri, value);
	else if (strcmp(key, "can_play") == 0)
		s->cfg.can_play = strcmp(value, "yes") == 0;
	else if (strcmp(key, "record_user") == 0)
		str_set(s->cfg.record_user[s->cfg.nrecord_user++], value);
	else if (strcmp(key, "record_hold") == 0)
		s->cfg.record_hold = strcmp(value, "yes") == 0;
	else if (strcmp(key, "away_after") == 0)
		s->cfg.away_after = (unsigned)atoi(value);
	else if (strcmp(key, "withdraw_away") == 0)
		s->cfg.withdraw_away = strcmp(value, "yes") == 0;
	else if (strcmp(key, "redirect_max") == 0)
		s->cfg.redirect_max = (unsigned)atoi(value);
	else
		return wrong(s, "\"%s\" is no option", key);
	return 0;
}

/* peer NAME caller|transferor|business [NUMBER] [late_sdp] [node N] [terminate|transparent]
 *      [dtmf rtp|info] */
static int do_peer(struct script *s)
{
	struct core_peer *p = &s->cfg.peer[s->cfg.npeer++];
	int policy = caller_id_parse(word(s, 2));

	if (policy < 0)
		return wrong(s, "\"%s\" is no caller-ID policy", word(s, 2));
	str_set(p->name, word(s, 1));
	p->policy.caller_id = (enum caller_id)policy;
	if (isdigit((unsigned char)word(s, 3)[0]) || word(s, 3)[0] == '+')
		str_set(p->policy.business.number, word(s, 3));
	p->policy.late_sdp = has_word(s, 3, "late_sdp");
	p->policy.dtmf = has_word(s, 3, "dtmf") ? (enum dtmf)dtmf_parse(word_after(s, 3, "dtmf"))
						: DTMF_AUTO;
	p->policy.early_media = !has_word(s, 3, "no_early");
	p->policy.node = (unsigned)atoi(word_after(s, 3, "node"));
	p->policy.refer = has_word(s, 3, "transparent") ? REFER_TRANSPARENT
			  : has_word(s, 3, "terminate") ? REFER_TERMINATE
							: REFER_REJECT;
	return 0;
}

static struct event *setup(struct script *s, enum ev type)
{
	struct event *ev = &s->setup[s->nsetup++];

	if (s->nsetup >= SETUP_MAX)
		abort();
	*ev = (struct event){.type = type};
	return ev;
}

static void set_contacts(struct script *s, const char *user, unsigned n)
{
	struct event *ev = setup(s, EV_CONTACTS);

	str_set(ev->contacts.user, user);
	ev->contacts.n = n;
	for (unsigned i = 0; i < n && i < CONTACTS_MAX; i++)
		ev->contacts.contact[i] = ++s->contact;
}

/* user NAME NUMBER [phones N] [disabled] [no_transfer] [voicemail NUMBER] [supervisor]
 * [may_dial CLASS,CLASS] */
static int do_user(struct script *s)
{
	struct event *ev = setup(s, EV_DIR_USER);
	const char *phones = word_after(s, 3, "phones");

	str_set(ev->user.user, word(s, 1));
	str_set(ev->user.number, word(s, 2));
	str_set(ev->user.name, word(s, 1));
	ev->user.enabled = !has_word(s, 3, "disabled");
	ev->user.may_transfer = !has_word(s, 3, "no_transfer");
	str_set(ev->user.voicemail, word_after(s, 3, "voicemail"));
	str_set(ev->user.may_dial, word_after(s, 3, "may_dial"));
	if (has_word(s, 3, "supervisor"))
		ev->user.role = USER_SUPERVISOR;
	set_contacts(s, word(s, 1), phones[0] ? (unsigned)atoi(phones) : 1);
	return 0;
}

static const struct {
	const char *name;
	size_t offset;
} queue_numbers[] = {
	{"ring_ms", offsetof(struct ev_dir_queue, ring_ms)},
	{"retry_ms", offsetof(struct ev_dir_queue, retry_ms)},
	{"wrapup_ms", offsetof(struct ev_dir_queue, wrapup_ms)},
	{"max_wait_ms", offsetof(struct ev_dir_queue, max_wait_ms)},
	{"max_length", offsetof(struct ev_dir_queue, max_length)},
	{"weight", offsetof(struct ev_dir_queue, weight)},
	{"widen_ms", offsetof(struct ev_dir_queue, widen_ms)},
	{"boost_ms", offsetof(struct ev_dir_queue, boost_ms)},
	{"announce_after_ms", offsetof(struct ev_dir_queue, announce_after_ms)},
	{"announce_every_ms", offsetof(struct ev_dir_queue, announce_every_ms)},
};

/* overflow KIND TARGET */
static int queue_overflows(struct script *s, struct ev_dir_queue *q, const char *kind,
	const char *target)
{
	struct overflow *o = &q->overflow[q->noverflow++];
	int k = overflow_kind_parse(kind);

	if (k < 0 || q->noverflow > OVERFLOW_MAX)
		return wrong(s, "\"%s\" is no overflow", kind);
	o->kind = (enum overflow_kind)k;
	str_set(o->target, target);
	return 0;
}

static int queue_option(struct script *s, struct ev_dir_queue *q, const char *key, const char *value)
{
	int v = 0;

	for (unsigned i = 0; i < sizeof(queue_numbers) / sizeof(queue_numbers[0]); i++)
		if (strcmp(queue_numbers[i].name, key) == 0) {
			*(uint32_t *)((char *)q + queue_numbers[i].offset) = (uint32_t)atoi(value);
			return 0;
		}
	if (strcmp(key, "strategy") == 0)
		q->strategy = (enum strategy)(v = strategy_parse(value));
	else if (strcmp(key, "join_empty") == 0)
		q->join_empty = (enum empty_rule)(v = empty_rule_parse(value));
	else if (strcmp(key, "leave_empty") == 0)
		q->leave_empty = (enum empty_rule)(v = empty_rule_parse(value));
	else if (strcmp(key, "entry") == 0)
		q->entry = (enum queue_entry)(v = queue_entry_parse(value));
	else if (strcmp(key, "keep_wait") == 0)
		q->keep_wait = strcmp(value, "yes") == 0;
	else if (strcmp(key, "voicemail") == 0)
		str_set(q->voicemail, value);
	else if (strcmp(key, "announce") == 0)
		str_set(q->announce, value);
	else if (strcmp(key, "music") == 0)
		str_set(q->music, value);
	else
		v = -1;
	return v < 0 ? wrong(s, "\"%s %s\" is no rule of a queue", key, value) : 0;
}

/* queue NAME NUMBER MEMBER... [with RULE VALUE ... [overflow KIND TARGET]...] */
static int fill_queue(struct script *s, unsigned at, struct ev_dir_queue *q)
{
	unsigned i = at + 2;
	int err = 0;

	str_set(q->queue, word(s, at));
	str_set(q->number, word(s, at + 1));
	while (i < s->nwords && strcmp(s->word[i], "with") != 0)
		i++;
	q->gone = has_word(s, at + 2, "gone");
	for (i++; err == 0 && i + 1 < s->nwords; i += 2)
		if (strcmp(s->word[i], "overflow") == 0) {
			err = queue_overflows(s, q, word(s, i + 1), word(s, i + 2));
			i++;
		} else {
			err = queue_option(s, q, s->word[i], s->word[i + 1]);
		}
	return err;
}

static int do_queue(struct script *s)
{
	struct event *ev = setup(s, EV_DIR_QUEUE);
	int err = fill_queue(s, 1, &ev->queue);

	for (unsigned i = 3; i < s->nwords && strcmp(s->word[i], "with") != 0; i++) {
		ev = setup(s, EV_DIR_MEMBER);
		str_set(ev->member.queue, word(s, 1));
		str_set(ev->member.user, s->word[i]);
	}
	return err;
}

static void fill_member(const struct script *s, unsigned at, struct event *ev)
{
	ev->type = EV_DIR_MEMBER;
	str_set(ev->member.queue, word(s, at));
	str_set(ev->member.user, word(s, at + 1));
	ev->member.gone = has_word(s, at + 2, "gone");
	ev->member.level = (uint32_t)atoi(word_after(s, at + 2, "level"));
	ev->member.order = (uint32_t)atoi(word_after(s, at + 2, "order"));
	ev->member.weight = (uint32_t)atoi(word_after(s, at + 2, "weight"));
}

/* member QUEUE USER [level N] [order N] [weight N] */
static int do_member(struct script *s)
{
	fill_member(s, 1, setup(s, EV_DIR_MEMBER));
	return 0;
}

/* skill USER SKILL LEVEL */
static int do_skill(struct script *s)
{
	struct event *ev = setup(s, EV_DIR_SKILL);

	str_set(ev->skill.user, word(s, 1));
	str_set(ev->skill.skill, word(s, 2));
	ev->skill.level = (uint32_t)atoi(word(s, 3));
	return 0;
}

/* need QUEUE SKILL LEVEL FLOOR */
static int do_need(struct script *s)
{
	struct event *ev = setup(s, EV_DIR_NEED);

	str_set(ev->need.queue, word(s, 1));
	str_set(ev->need.skill, word(s, 2));
	ev->need.level = (uint32_t)atoi(word(s, 3));
	ev->need.floor = (uint32_t)atoi(word(s, 4));
	return 0;
}

/* hours QUEUE always | FROM-UNTIL ... known SECONDS: seconds since the scenario began */
static int fill_hours(struct script *s, unsigned at, struct event *ev)
{
	const char *known = word_after(s, at + 1, "known");
	double from, until;

	ev->type = EV_DIR_HOURS;
	str_set(ev->hours.queue, word(s, at));
	ev->hours.gone = has_word(s, at + 1, "always");
	ev->hours.known_until = SIM_WALL0 + (int64_t)(atof(known[0] ? known : "86400") * 1e6);
	for (unsigned i = at + 1; i < s->nwords && strchr(s->word[i], '-') != NULL; i++) {
		struct opening *o = &ev->hours.open[ev->hours.n];

		if (ev->hours.n++ == OPENINGS_MAX || sscanf(s->word[i], "%lf-%lf", &from, &until) != 2)
			return wrong(s, "\"%s\" is no opening such as 10-20", s->word[i]);
		*o = (struct opening){SIM_WALL0 + (int64_t)(from * 1e6), SIM_WALL0 + (int64_t)(until * 1e6)};
	}
	return 0;
}

static int do_hours(struct script *s)
{
	return fill_hours(s, 1, setup(s, EV_DIR_HOURS));
}

/* class NAME PATTERN [ROLE ...] */
static int do_class(struct script *s)
{
	struct event *ev = setup(s, EV_DIR_CLASS);

	str_set(ev->class.name, word(s, 1));
	str_set(ev->class.pattern, word(s, 2));
	ev->class.by_name = s->nwords == 3;
	for (unsigned i = 3; i < s->nwords; i++) {
		int role = user_role_parse(s->word[i]);

		if (role < 0)
			return wrong(s, "\"%s\" is no role", s->word[i]);
		ev->class.roles |= (uint8_t)(1u << role);
	}
	return 0;
}

/* ivr NAME NUMBER PEER DIAL [DIGITS] */
static int do_ivr(struct script *s)
{
	struct event *ev = setup(s, EV_DIR_IVR);

	str_set(ev->ivr.ivr, word(s, 1));
	str_set(ev->ivr.number, word(s, 2));
	str_set(ev->ivr.peer, word(s, 3));
	str_set(ev->ivr.dial, word(s, 4));
	str_set(ev->ivr.digits, word(s, 5));
	return 0;
}

/* route PATTERN KIND TARGET [strip N] [prefix P] [source S] [transfer] [then PEER]... */
static int do_route(struct script *s)
{
	struct route *r = &s->cfg.route[s->cfg.nroute++];
	int kind = target_kind_parse(word(s, 2));

	if (kind < 0)
		return wrong(s, "\"%s\" is no kind of target", word(s, 2));
	if (dialplan_pattern_check(word(s, 1), s->err, s->errsize) != 0)
		return EINVAL;
	str_set(r->pattern, word(s, 1));
	r->kind = (enum target_kind)kind;
	str_set(r->target, word(s, 3));
	r->strip = (unsigned)atoi(word_after(s, 4, "strip"));
	str_set(r->prefix, word_after(s, 4, "prefix"));
	str_set(r->source, word_after(s, 4, "source"));
	r->transfer = has_word(s, 4, "transfer");
	for (unsigned i = 4; i + 1 < s->nwords; i++)
		if (strcmp(s->word[i], "then") == 0 && r->nfailover < ROUTE_PEERS_MAX)
			str_set(r->failover[r->nfailover++], s->word[i + 1]);
	return 0;
}

static void open_stage(struct script *s)
{
	if (s->open)
		return;
	s->open = true;
	stage_init(&s->st, &s->cfg, s->out);
	for (unsigned i = 0; i < s->nsetup; i++)
		stage_send(&s->st, &s->setup[i], "");
}

/* ---- what parties do ------------------------------------------------------------------------- */

static struct sdp_note offer_note(const struct script *s, enum dir dir)
{
	struct sdp_note n = {.what = SDP_OFFER, .dir = dir, .usable = true};

	if (has_word(s, 3, "late"))
		n.what = SDP_NONE;
	if (has_word(s, 3, "bad"))
		n.what = SDP_BAD;
	n.usable = !has_word(s, 3, "unusable");
	n.image = has_word(s, 3, "image");
	return n;
}

/* TIME WHO invite NUMBER [from N] [peer P] [late|bad|unusable] [100rel] [immediate] [may_refer] */
static void make_invite(struct script *s, struct event *ev)
{
	const char *who = word(s, 1), *from = word_after(s, 4, "from");
	const char *peer = word_after(s, 4, "peer");
	enum dir dir = DIR_SENDRECV;
	bool user = false;

	for (unsigned i = 0; i < s->nsetup; i++)
		user = user ||
		       (s->setup[i].type == EV_DIR_USER && strcmp(s->setup[i].user.user, who) == 0);
	find_dir(s, 4, &dir);
	ev->invite.source = user ? SOURCE_USER : SOURCE_PEER;
	str_set(ev->invite.user, user ? who : "");
	str_set(ev->invite.peer, user ? "" : peer[0] ? peer : "trunk");
	str_set(ev->invite.from.number, from[0] ? from : user ? who : "+49891000");
	str_set(ev->invite.number, word(s, 3));
	str_set(ev->invite.case_key, word_after(s, 4, "case"));
	ev->invite.sdp = offer_note(s, dir);
	ev->invite.rel_required = has_word(s, 4, "100rel");
	ev->invite.immediate = has_word(s, 4, "immediate");
	ev->invite.may_refer = user || has_word(s, 4, "may_refer");
	ev->invite.from.anonymous = has_word(s, 4, "anonymous");
	ev->invite.early_only = has_word(s, 4, "early_only");
	if (has_word(s, 4, "linked"))
		ev->invite.linked = (uuid){{9}};
	if (has_word(s, 4, "replaces"))
		ev->invite.replaces = stage_leg(&s->st, word_after(s, 4, "replaces"))->id;
}

/* Adds what the line says about a body to what the phone would write by itself. */
static void vary_body(struct script *s, struct sdp_note *n)
{
	enum dir dir;

	if (find_dir(s, 3, &dir))
		n->dir = dir;
	if (has_word(s, 3, "none"))
		n->what = SDP_NONE;
	if (has_word(s, 3, "bad"))
		n->what = SDP_BAD;
	if (has_word(s, 3, "unusable"))
		n->usable = false;
	if (has_word(s, 3, "changed"))
		n->same = false;
	n->image = has_word(s, 3, "image");
}

/* replaces WHO|unknown|ended */
static void set_replaces(struct script *s, struct event *ev)
{
	const char *what = word_after(s, 4, "replaces");

	if (strcmp(what, "unknown") == 0)
		ev->transfer.replaces_status = 481;
	else if (strcmp(what, "ended") == 0)
		ev->transfer.replaces_status = 603;
	else if (what[0])
		ev->transfer.replaces = stage_leg(&s->st, what)->id;
}

static void make_refer(struct script *s, struct event *ev, struct stage_leg *l)
{
	const char *asker = word_after(s, 4, "asker");

	ev->transfer.cmd = l->refer = ++s->st.cmd;
	ev->transfer.origin = ORIGIN_REFER;
	str_set(ev->transfer.asker, asker[0] ? asker : word(s, 1));
	str_set(ev->transfer.number, strcmp(word(s, 3), "nobody") == 0 ? "" : word(s, 3));
	ev->transfer.own_host = !has_word(s, 4, "foreign");
	ev->transfer.no_sub = has_word(s, 4, "no_sub");
	ev->transfer.immediate = has_word(s, 4, "immediate");
	ev->transfer.stay = has_word(s, 4, "stay");
	ev->transfer.may_refer = !has_word(s, 4, "may_not_refer");
	set_replaces(s, ev);
}

/* referred STATUS | notify STATUS|ended */
static void make_referred(struct script *s, struct event *ev)
{
	struct ct_leg *l = contract_leg(&s->st.sim.ct, ev->leg);

	ev->referred.cmd = l ? l->referred : 0;
	ev->referred.status = find_status(s, 3, ev->type == EV_REFERRED ? 202 : 0);
	ev->referred.final = ev->type == EV_REFER_NOTIFY &&
			     (ev->referred.status == 0 || ev->referred.status >= 200);
}

static void make_status(struct script *s, struct event *ev, uint16_t otherwise)
{
	ev->reject.status = find_status(s, 3, otherwise);
	ev->reject.q850 = (uint16_t)atoi(word_after(s, 3, "cause"));
	if (ev->type == EV_REDIRECT) {
		ev->reject.status = 302;
		str_set(ev->reject.number, word(s, 3));
		ev->reject.own_host = !has_word(s, 4, "foreign");
	}
}

static void make_body(struct script *s, struct event *ev, struct stage_leg *l)
{
	struct sdp_note natural = stage_answer(&s->st, l);

	vary_body(s, &natural);
	switch (ev->type) {
	case EV_PROGRESS:
		ev->progress.status = find_status(s, 3, 180);
		ev->progress.reliable = has_word(s, 3, "reliable");
		if (ev->progress.reliable || has_word(s, 3, "sdp"))
			ev->progress.sdp = natural;
		break;
	case EV_ANSWER:
		ev->answer.status = 200;
		ev->answer.immediate = has_word(s, 3, "immediate");
		ev->answer.bye = has_word(s, 3, "bye_now") ? BYE_NOW : BYE_WAIT;
		ev->answer.sdp = natural;
		break;
	case EV_OA_DONE:
		ev->offer.status = find_status(s, 3, 200);
		if (ev->offer.status < 300)
			ev->offer.sdp = natural;
		break;
	default: /* ACK */
		if (contract_leg(&s->st.sim.ct, l->id) && contract_leg(&s->st.sim.ct, l->id)->late)
			ev->offer.sdp = natural;
		break;
	}
}

static const struct {
	const char *name;
	enum ev type;
} verbs[] = {
	{"ring", EV_PROGRESS},
	{"answer", EV_ANSWER},
	{"reject", EV_REJECT},
	{"redirect", EV_REDIRECT},
	{"cancel", EV_CANCEL},
	{"ack", EV_ACK},
	{"no_ack", EV_NO_ACK},
	{"offer", EV_OFFER},
	{"offer_none", EV_OFFER_NONE},
	{"withdraw", EV_OFFER_WITHDRAWN},
	{"done", EV_OA_DONE},
	{"refresh", EV_REFRESH},
	{"media_lost", EV_MEDIA_LOST},
	{"unplayed", EV_UNPLAYED},
	{"unpressed", EV_UNPRESSED},
	{"heard_it", EV_PLAYED},
	{"info", EV_INFO},
	{"bye", EV_BYE},
	{"gone", EV_GONE},
	{"closed", EV_CLOSED},
	{"refer", EV_TRANSFER},
	{"notify_done", EV_NOTIFY_DONE},
	{"referred", EV_REFERRED},
	{"notify", EV_REFER_NOTIFY},
	{"invite", EV_INVITE},
};

static void fill_event(struct script *s, struct event *ev, struct stage_leg *l)
{
	switch (ev->type) {
	case EV_INVITE:
		ev->leg = ID_NONE;
		make_invite(s, ev);
		break;
	case EV_TRANSFER:
		make_refer(s, ev, l);
		break;
	case EV_OFFER:
		find_dir(s, 3, &l->wants);
		ev->offer.sdp = offer_note(s, l->wants);
		break;
	case EV_INFO:
		ev->info.ref = ++s->st.cmd;
		break;
	case EV_UNPRESSED:
		str_set(ev->unpressed.left, word(s, 3));
		break;
	case EV_NOTIFY_DONE:
		ev->notify.cmd = l->refer;
		ev->notify.status = find_status(s, 3, has_word(s, 3, "lost") ? 0 : 200);
		break;
	case EV_REFERRED:
	case EV_REFER_NOTIFY:
		make_referred(s, ev);
		break;
	case EV_REJECT:
		make_status(s, ev, 486);
		break;
	case EV_GONE:
	case EV_REDIRECT:
		make_status(s, ev, 481);
		break;
	case EV_BYE:
		make_status(s, ev, 0);
		break;
	case EV_PROGRESS:
	case EV_ANSWER:
	case EV_OA_DONE:
	case EV_ACK:
		make_body(s, ev, l);
		break;
	default:
		break;
	}
}

static int do_party(struct script *s)
{
	struct event ev = {0};
	struct stage_leg *l;
	unsigned i = 0;

	while (i < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[i].name, word(s, 2)) != 0)
		i++;
	if (i == sizeof(verbs) / sizeof(verbs[0]))
		return wrong(s, "nobody can \"%s\"", word(s, 2));
	ev.type = verbs[i].type;
	l = stage_leg(&s->st, word(s, 1));
	if (ev.type != EV_INVITE && l->id == ID_NONE)
		return wrong(s, "there is no leg \"%s\" yet", word(s, 1));
	ev.leg = l->id;
	fill_event(s, &ev, l);
	if (!stage_send(&s->st, &ev, word(s, 1)) && s->st.error[0] == '\0')
		return wrong(s, "%s cannot %s now", word(s, 1), word(s, 2));
	return 0;
}

/* ---- commands, directory, snapshots ---------------------------------------------------------- */

static const struct {
	const char *name;
	enum ev type;
} commands[] = {
	{"transfer", EV_TRANSFER}, {"consult", EV_TRANSFER}, {"cancel", EV_XFER_CANCEL},
	{"hangup", EV_HANGUP}, {"complete", EV_COMPLETE}, {"swap", EV_SWAP}, {"hold", EV_HOLD},
	{"unhold", EV_UNHOLD}, {"resume", EV_RESUME}, {"note", EV_NOTE},
	{"record", EV_RECORD}, {"dial", EV_DIAL},
};

static int command_type(const char *name, enum ev *type)
{
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0) {
			*type = commands[i].type;
			return 0;
		}
	return ENOENT;
}

/* TIME ctl COMMAND [NUMBER|TEXT] [of WHO] [as WHO]
 * TIME ctl dial NUMBER for USER [by ASKER] [case KEY] [auto] */
static int do_ctl(struct script *s)
{
	const char *what = word(s, 2), *of = word_after(s, 3, "of"), *as = word_after(s, 3, "as");
	struct event ev = {.call = of[0] ? id_call(stage_leg(&s->st, of)->id)
					 : core_next_call(s->st.sim.core, ID_NONE),
		.leg = as[0] ? stage_leg(&s->st, as)->id : ID_NONE};

	if (command_type(what, &ev.type) != 0)
		return wrong(s, "\"%s\" is no command", what);
	if (ev.type == EV_TRANSFER) {
		ev.transfer.kind = what[0] == 'c' ? XFER_CONSULT : XFER_BLIND;
		ev.transfer.cmd = ++s->st.cmd;
		ev.transfer.origin = ORIGIN_CTL;
		str_set(ev.transfer.asker, word_after(s, 4, "by")[0] ? word_after(s, 4, "by") : "ctl");
		str_set(ev.transfer.number, word(s, 3));
		ev.transfer.own_host = ev.transfer.may_refer = true;
		ev.transfer.stay = has_word(s, 4, "stay");
		ev.transfer.masked = has_word(s, 4, "masked");
	} else if (ev.type == EV_DIAL) {
		ev.call = ID_NONE;
		ev.dial.cmd = ++s->st.cmd;
		ev.dial.origin = ORIGIN_PANEL;
		str_set(ev.dial.number, word(s, 3));
		str_set(ev.dial.user, word_after(s, 4, "for"));
		str_set(ev.dial.asker, word_after(s, 4, "by")[0] ? word_after(s, 4, "by") : ev.dial.user);
		str_set(ev.dial.case_key, word_after(s, 4, "case"));
		ev.dial.answering = has_word(s, 4, "auto") ? ANSWER_AUTO : ANSWER_MANUAL;
	} else if (ev.type == EV_NOTE) {
		ev.note.cmd = ++s->st.cmd;
		ev.note.origin = ORIGIN_CTL;
		ev.note.note = (uuid){{1, (uint8_t)s->st.cmd}};
		str_set(ev.note.asker, "ctl");
		str_set(ev.note.text, word(s, 3));
	} else {
		ev.command.cmd = ++s->st.cmd;
		ev.command.origin = ORIGIN_CTL;
		str_set(ev.command.asker, "ctl");
		if (ev.type == EV_RECORD && record_wish_parse(word(s, 3)) >= 0)
			ev.record.wish = (enum record_wish)record_wish_parse(word(s, 3));
	}
	stage_send(&s->st, &ev, "");
	return 0;
}

/* TIME phones USER N: its contacts are now N new ones */
static int do_phones(struct script *s)
{
	struct event *ev;

	s->nsetup = 0;
	set_contacts(s, word(s, 2), (unsigned)atoi(word(s, 3)));
	ev = &s->setup[0];
	stage_send(&s->st, ev, "");
	return 0;
}

/* TIME agent USER available|away|logged_out [REASON] */
static int do_agent(struct script *s)
{
	struct event ev = {.type = EV_AGENT};
	int intent = agent_intent_parse(word(s, 3));

	if (intent < 0)
		return wrong(s, "\"%s\" is nothing that an agent can want", word(s, 3));
	str_set(ev.agent.user, word(s, 2));
	ev.agent.intent = (enum agent_intent)intent;
	str_set(ev.agent.reason, word(s, 4));
	ev.agent.origin = ORIGIN_DTMF;
	str_set(ev.agent.asker, word(s, 2));
	ev.agent.cmd = ++s->st.cmd;
	stage_send(&s->st, &ev, "");
	return 0;
}

/* TIME silent USER | heard USER: his phones do not, or do, answer OPTIONS */
static int do_reach(struct script *s)
{
	struct event ev = {.type = EV_AGENT_REACH};

	str_set(ev.reach.user, word(s, 2));
	ev.reach.reachable = strcmp(word(s, 1), "heard") == 0;
	stage_send(&s->st, &ev, "");
	return 0;
}

/* TIME located NODE [of WHO]: the answer to where what REFER replaces is; 0: nowhere */
static int do_located(struct script *s)
{
	const char *of = word_after(s, 3, "of");
	struct event ev = {.type = EV_LOCATED,
		.call = of[0] ? id_call(stage_leg(&s->st, of)->id)
			      : core_next_call(s->st.sim.core, ID_NONE)};

	ev.located.cmd = s->st.sought;
	ev.located.node = (uint32_t)atoi(word(s, 2));
	if (ev.located.node != 0)
		str_set(ev.located.replaces, "there;to-tag=a;from-tag=b");
	stage_send(&s->st, &ev, "");
	return 0;
}

/* TIME member QUEUE USER ... */
static int do_member_now(struct script *s)
{
	struct event ev = {0};

	fill_member(s, 2, &ev);
	stage_send(&s->st, &ev, "");
	return 0;
}

/* TIME queue NAME NUMBER [with ...]: its rules are others now */
static int do_queue_now(struct script *s)
{
	struct event ev = {.type = EV_DIR_QUEUE};
	int err = fill_queue(s, 2, &ev.queue);

	if (err == 0)
		stage_send(&s->st, &ev, "");
	return err;
}

/* TIME hours QUEUE ...: it is open at other times now */
static int do_hours_now(struct script *s)
{
	struct event ev = {0};
	int err = fill_hours(s, 2, &ev);

	if (err == 0)
		stage_send(&s->st, &ev, "");
	return err;
}

/* manual WHO HABIT...: from now on this leg does nothing by itself in these matters */
static int do_manual(struct script *s)
{
	static const char *const habits[] = {"ack", "offer", "notify", "close", "cancel"};
	struct stage_leg *l;

	open_stage(s);
	l = stage_leg(&s->st, word(s, 1));
	for (unsigned i = 2; i < s->nwords; i++) {
		unsigned h = 0;

		while (h < 5 && strcmp(habits[h], s->word[i]) != 0)
			h++;
		if (h == 5)
			return wrong(s, "\"%s\" is no habit", s->word[i]);
		l->manual |= 1u << h;
	}
	return 0;
}

/* ---- expectations, written by hand ----------------------------------------------------------- */

static const struct fact *nth_fact(struct script *s, enum fact_type type, unsigned n)
{
	for (unsigned i = 0; i < s->st.nfacts; i++)
		if (s->st.facts[i].type == type && --n == 0)
			return &s->st.facts[i];
	return NULL;
}

/* The closing fact of the n-th segment or transfer; the n-th fact of another type. */
static const struct fact *fact_of(struct script *s, enum fact_type type, unsigned n)
{
	char name[16];

	for (unsigned i = 0; i < s->st.nfacts; i++) {
		const struct fact *f = &s->st.facts[i];

		if (f->type != type)
			continue;
		snprintf(name, sizeof(name), type == FACT_SEGMENT_CLOSED ? "seg%u" : "xfer%u", n);
		if (type == FACT_SEGMENT_CLOSED &&
			strcmp(stage_uuid(&s->st, &f->segment_closed.seg), name) == 0)
			return f;
		if (type == FACT_TRANSFER_CLOSED &&
			strcmp(stage_uuid(&s->st, &f->transfer_closed.xfer), name) == 0)
			return f;
	}
	if (type == FACT_SEGMENT_CLOSED || type == FACT_TRANSFER_CLOSED)
		return NULL;
	return nth_fact(s, type, n);
}

static void field_text(
	struct script *s, const struct fact *f, const struct fact_field *d, char *buf, size_t size)
{
	const char *at = (const char *)f + d->offset;
	int64_t v;

	if (d->kind == FIELD_TEXT) {
		str_copy(buf, size, at);
	} else if (d->kind == FIELD_UUID) {
		str_copy(buf, size,
			uuid_is_nil((const uuid *)at) ? "-" : stage_uuid(&s->st, (const uuid *)at));
	} else {
		memcpy(&v, at, sizeof(v));
		snprintf(buf, size, "%lld", (long long)v);
	}
}

static int expect_field(struct script *s, const struct fact *f, const char *key, const char *want)
{
	const struct fact_desc *d = fact_describe(f->type);
	char have[TEXT_MAX];

	for (unsigned i = 0; i < d->nfields; i++) {
		if (strcmp(d->fields[i].name, key) != 0)
			continue;
		field_text(s, f, &d->fields[i], have, sizeof(have));
		if (strcmp(have, want) != 0)
			return wrong(s, "%s is %s, expected %s", key, have, want);
		return 0;
	}
	return wrong(s, "%s has no field \"%s\"", d->name, key);
}

static int expect_count(struct script *s, enum fact_type type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->st.nfacts; i++)
		n += s->st.facts[i].type == type;
	if (n != (unsigned)atoi(word(s, 3)))
		return wrong(s, "there are %u of %s, expected %s", n, word(s, 1), word(s, 3));
	return 0;
}

/* expect FACT N FIELD VALUE ...; expect FACT count N. Segments and transfers by their number. */
static int do_expect(struct script *s)
{
	const struct fact *f;
	int type = 0, err = 0;

	while (type < (int)fact_type_count_ &&
		strcmp(fact_describe((enum fact_type)type)->name, word(s, 1)) != 0)
		type++;
	if (type == (int)fact_type_count_)
		return wrong(s, "\"%s\" is no fact", word(s, 1));
	if (strcmp(word(s, 2), "count") == 0)
		return expect_count(s, (enum fact_type)type);
	f = fact_of(s, (enum fact_type)type, (unsigned)atoi(word(s, 2)));
	if (f == NULL)
		return wrong(s, "there is no %s %s", word(s, 1), word(s, 2));
	for (unsigned i = 3; i + 1 < s->nwords && err == 0; i += 2)
		err = expect_field(s, f, s->word[i], s->word[i + 1]);
	return err;
}

/* state NAME [with WHO]: the first call is in this state now */
static int do_state(struct script *s)
{
	const char *of = word_after(s, 3, "of");
	call_id call = of[0] ? id_call(stage_leg(&s->st, of)->id)
			     : core_next_call(s->st.sim.core, ID_NONE);
	struct call_view v;

	if (!core_view(s->st.sim.core, call, &v))
		return wrong(s, "there is no call");
	if (strcmp(v.state, word(s, 2)) != 0)
		return wrong(s, "the call is in %s, expected %s", v.state, word(s, 2));
	if (strcmp(word(s, 3), "with") == 0 && strcmp(v.with, word(s, 4)) != 0)
		return wrong(s, "the caller is with \"%s\", expected %s", v.with, word(s, 4));
	return 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* TIME config KEY VALUE: the file was changed, and is read again */
static int do_config_now(struct script *s)
{
	int err;

	memmove(&s->word[0], &s->word[1], --s->nwords * sizeof(s->word[0]));
	err = do_config(s);
	if (err == 0)
		stage_reload(&s->st, &s->cfg);
	return err;
}

/* TIME clock SECONDS: it is set by so much */
static int do_clock(struct script *s)
{
	s->st.skew_us += atoll(word(s, 2)) * 1000000;
	return 0;
}

static int do_told(struct script *s)
{
	stage_tell_fates(&s->st);
	return 0;
}

static int do_kill(struct script *s)
{
	stage_kill(&s->st, atoll(word(s, 2)) * 1000);
	return has_word(s, 3, "untold") ? 0 : do_told(s);
}

static int do_stop(struct script *s)
{
	stage_stop(&s->st, atoll(word(s, 2)) * 1000);
	return has_word(s, 3, "untold") ? 0 : do_told(s);
}

static int do_snapshot(struct script *s)
{
	stage_snapshot(&s->st);
	return 0;
}

/* What happens at a time; anything else is what a party does. */
static int do_now(struct script *s)
{
	static const struct {
		const char *name;
		int (*run)(struct script *s);
	} known[] = {{"ctl", do_ctl}, {"located", do_located}, {"phones", do_phones},
		{"state", do_state}, {"agent", do_agent}, {"silent", do_reach}, {"heard", do_reach},
		{"member", do_member_now}, {"queue", do_queue_now}, {"hours", do_hours_now},
		{"config", do_config_now},
		{"clock", do_clock}, {"kill", do_kill}, {"stop", do_stop}, {"told", do_told},
		{"snapshot", do_snapshot}};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, word(s, 1)) == 0)
			return known[i].run(s);
	return do_party(s);
}

static int do_timed(struct script *s)
{
	double at = atof(word(s, 0) + (word(s, 0)[0] == '+'));
	int64_t ms = (int64_t)(at * 1000 + 0.5);

	open_stage(s);
	if (word(s, 0)[0] == '+')
		ms += s->st.now;
	if (ms < s->st.now)
		return wrong(s, "%s is in the past", word(s, 0));
	stage_until(&s->st, ms);
	if (s->st.error[0] != '\0' || s->nwords == 1)
		return 0;
	return do_now(s);
}

static int do_line(struct script *s)
{
	static const struct {
		const char *name;
		int (*run)(struct script *s);
	} known[] = {{"config", do_config}, {"user", do_user}, {"queue", do_queue}, {"ivr", do_ivr},
		{"class", do_class}, {"peer", do_peer}, {"route", do_route}, {"manual", do_manual},
		{"member", do_member}, {"skill", do_skill}, {"need", do_need},
		{"hours", do_hours}};

	if (s->nwords == 0 || strcmp(word(s, 0), "expect") == 0)
		return 0;
	if (word(s, 0)[0] == '+' || isdigit((unsigned char)word(s, 0)[0]))
		return do_timed(s);
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, word(s, 0)) == 0)
			return known[i].run(s);
	return wrong(s, "\"%s\" is no instruction", word(s, 0));
}

/* Runs every line; expectations are looked at after the end, in a second pass. */
static int each_line(struct script *s, FILE *f, int (*run)(struct script *s))
{
	char text[LINE_MAX_];
	int err = 0;

	rewind(f);
	for (s->line = 1; err == 0 && fgets(text, sizeof(text), f) != NULL; s->line++) {
		split(s, text);
		err = run(s);
		if (err == 0 && s->open && s->st.error[0] != '\0')
			err = wrong(s, "%s", s->st.error);
	}
	return err;
}

static int expect_line(struct script *s)
{
	return strcmp(word(s, 0), "expect") == 0 ? do_expect(s) : 0;
}

int script_play(const char *path, FILE *out, char *err, size_t size)
{
	struct script *s = calloc(1, sizeof(*s));
	FILE *f = fopen(path, "r");
	char *ladder = NULL;
	size_t len = 0;
	int rc = EINVAL;

	if (s == NULL || f == NULL) {
		snprintf(err, size, "%s: cannot be read", path);
		goto out;
	}
	s->path = path;
	s->out = open_memstream(&ladder, &len);
	s->err = err;
	s->errsize = size;
	core_config_default(&s->cfg);
	str_set(s->cfg.numbering.country, "49");
	rc = each_line(s, f, do_line);
	if (rc == 0) {
		open_stage(s);
		stage_end(&s->st);
		if (s->st.error[0] != '\0')
			rc = wrong(s, "%s", s->st.error);
	}
	if (rc == 0)
		rc = each_line(s, f, expect_line);
	fclose(s->out);
	if (s->open) {
		stage_title(&s->st, out);
		stage_done(&s->st);
	}
	fputs(ladder, out);
	free(ladder);
out:
	if (f != NULL)
		fclose(f);
	free(s);
	return rc;
}
