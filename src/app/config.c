/*
 * config: see config.h. The libconfig tree is walked in the order of the file, so problems come in
 * that order; what belongs together is checked after it, with the lines still at hand.
 */
#include "app/config.h"

#include "app/options.h"
#include "core/dialplan.h"

#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
	config_t lc;
	const char *path;
	struct app_config *cfg;
	config_problem_fn *fn;
	void *arg;
	unsigned problems;
};

__attribute__((format(printf, 4, 0)))
static void tell(struct reader *r, const char *file, unsigned line, const char *fmt, va_list ap)
{
	char text[768], whole[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (line != 0)
		snprintf(whole, sizeof(whole), "%s:%u: %s", file ? file : r->path, line, text);
	else
		snprintf(whole, sizeof(whole), "%s: %s", file ? file : r->path, text);
	for (char *s = whole; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?'; /* what a file says must not drive a terminal */
	r->problems++;
	r->fn(r->arg, whole);
}

static void __attribute__((format(printf, 3, 4)))
problem(struct reader *r, const config_setting_t *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(r, at ? config_setting_source_file(at) : NULL, at ? config_setting_source_line(at) : 0,
		fmt, ap);
	va_end(ap);
}

static void __attribute__((format(printf, 4, 5)))
problem_at(struct reader *r, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(r, file, line, fmt, ap);
	va_end(ap);
}

/* ---- values -------------------------------------------------------------------------------- */

/* A setting's value as text, as it would be typed without quotes; cut if need be. */
static const char *setting_text(const config_setting_t *s, char *buf, size_t size)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		str_copy(buf, size, config_setting_get_string(s));
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(buf, size, "%lld", config_setting_get_int64(s));
		break;
	case CONFIG_TYPE_BOOL:
		str_copy(buf, size, config_setting_get_bool(s) ? "true" : "false");
		break;
	case CONFIG_TYPE_FLOAT:
		snprintf(buf, size, "%g", config_setting_get_float(s));
		break;
	case CONFIG_TYPE_GROUP:
		str_copy(buf, size, "{...}");
		break;
	case CONFIG_TYPE_ARRAY:
		str_copy(buf, size, "[...]");
		break;
	default:
		str_copy(buf, size, "(...)");
	}
	return buf;
}

static bool type_fits(const struct option *o, const config_setting_t *s)
{
	int have = config_setting_type(s), want = option_file_type(o);

	return have == want || (want == CONFIG_TYPE_INT && have == CONFIG_TYPE_INT64);
}

/* "transfer.ring", "peers[2].name" */
static void setting_path(const struct option *o, const config_setting_t *group, char *buf, size_t n)
{
	int i = config_setting_index(group);

	if (section_find(o->section)->list_max)
		snprintf(buf, n, "%s[%d].%s", o->section, i + 1, o->name);
	else
		snprintf(buf, n, "%s.%s", o->section, o->name);
}

static void wrong_value(struct reader *r, const struct option *o, const config_setting_t *group,
	const config_setting_t *s, const char *expected)
{
	char path[80], text[160];

	setting_path(o, group, path, sizeof(path));
	if (o->flags & OPT_SECRET)
		problem(r, s, "%s: %s", path, expected);
	else
		problem(r, s, "%s = `%s': %s", path, setting_text(s, text, sizeof(text)), expected);
}

static void read_one(struct reader *r, const struct option *o, const config_setting_t *group,
	const config_setting_t *s, void *dst)
{
	char text[1024], err[512], what[256];

	if (!type_fits(o, s)) {
		option_expected(o, what, sizeof(what));
		snprintf(err, sizeof(err), "expected %s%s", what,
			option_file_type(o) == CONFIG_TYPE_STRING ? ", in double quotes" : "");
		wrong_value(r, o, group, s, err);
		return;
	}
	if (option_parse(o, setting_text(s, text, sizeof(text)), dst, err, sizeof(err)))
		wrong_value(r, o, group, s, err);
}

static void read_list(struct reader *r, const struct option *o, const config_setting_t *group,
	config_setting_t *s, char *base)
{
	unsigned n = 0;
	char err[200], what[128];

	if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
		option_expected(o, what, sizeof(what));
		snprintf(err, sizeof(err), "expected a list in [ ], each of it %s", what);
		wrong_value(r, o, group, s, err);
		return;
	}
	n = (unsigned)config_setting_length(s);
	if (n > o->list_max) {
		snprintf(err, sizeof(err), "expected at most %u entries, there are %u", o->list_max,
			n);
		wrong_value(r, o, group, s, err);
		return;
	}
	if (o->type == OPT_EXAMPLE) {
		for (unsigned i = 0; i < n; i++)
			read_one(r, o, group, config_setting_get_elem(s, i), NULL);
		return;
	}
	memset(base + o->offset, 0, o->size * o->list_max);
	for (unsigned i = 0; i < n; i++)
		read_one(
			r, o, group, config_setting_get_elem(s, i), base + o->offset + i * o->size);
	*(unsigned *)(base + o->count_offset) = n;
}

/* ---- groups -------------------------------------------------------------------------------- */

static void unknown_option(struct reader *r, const char *section, const config_setting_t *s)
{
	const char *name = config_setting_name(s), *near = option_suggest(section, name);

	if (near != NULL)
		problem(r, s, "unknown option `%s' in %s: did you mean `%s'?", name, section, near);
	else
		problem(r, s, "unknown option `%s' in %s: see segue.conf(5) for all options", name,
			section);
}

static bool is_empty(const struct option *o, const char *base)
{
	return o->list_max ? *(const unsigned *)(base + o->count_offset) == 0
			   : o->type != OPT_KIND && base[o->offset] == '\0';
}

/* An option that must be there, and is not, or is empty. */
static void check_required(struct reader *r, const struct section *sec,
	const config_setting_t *group, const char *base)
{
	for (unsigned i = 0; i < options_count; i++) {
		const struct option *o = &options[i];
		char path[80], what[128];
		bool given;

		if (!(o->flags & OPT_REQUIRED) || !str_eq(o->section, sec->name))
			continue;
		given = config_setting_get_member(group, o->name) != NULL;
		if (given ? !o->list_max || !is_empty(o, base)
			  : o->def[0] != '\0' && sec->list_max == 0)
			continue; /* a wrong value has been told already */
		setting_path(o, group, path, sizeof(path));
		option_expected(o, what, sizeof(what));
		problem(r, group, "%s is %s: expected %s", path, given ? "empty" : "missing", what);
	}
}

static void read_group(
	struct reader *r, const struct section *sec, config_setting_t *group, char *base)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const struct option *o = option_find(sec->name, config_setting_name(s));

		if (o == NULL)
			unknown_option(r, sec->name, s);
		else if (o->list_max)
			read_list(r, o, group, s, base);
		else
			read_one(r, o, group, s, base + o->offset);
	}
	check_required(r, sec, group, base);
}

static void read_group_list(struct reader *r, const struct section *sec, config_setting_t *list)
{
	char *array = (char *)r->cfg + sec->offset;
	unsigned n = (unsigned)config_setting_length(list);

	if (n > sec->list_max) {
		problem(r, list, "%s has %u entries: expected at most %u", sec->name, n,
			sec->list_max);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		config_setting_t *group = config_setting_get_elem(list, i);
		char *base = array + i * sec->size;
		char text[160];

		options_default_element(sec, base);
		if (config_setting_is_group(group))
			read_group(r, sec, group, base);
		else
			problem(r, group, "%s[%u] = `%s': expected a group { name = value; ... }",
				sec->name, i + 1, setting_text(group, text, sizeof(text)));
	}
	*(unsigned *)((char *)r->cfg + sec->count_offset) = n;
}

static void unknown_section(struct reader *r, const config_setting_t *s)
{
	const char *name = config_setting_name(s), *near = section_suggest(name);
	char all[256];

	for (unsigned i = 0; near == NULL && i < options_count; i++)
		if (str_eq(options[i].name, name)) {
			problem(r, s,
				"option `%s' stands outside a section: did you mean `%s: { %s = "
				"...; };'?",
				name, options[i].section, name);
			return;
		}
	if (near != NULL) {
		problem(r, s, "unknown section `%s': did you mean `%s'?", name, near);
		return;
	}
	all[0] = '\0';
	for (unsigned i = 0; i < sections_count; i++) {
		str_append(all, sizeof(all),
			i == 0 ? "" : i + 1 < sections_count ? ", " : " or ");
		str_append(all, sizeof(all), sections[i].name);
	}
	problem(r, s, "unknown section `%s': expected %s", name, all);
}

static void read_section(struct reader *r, config_setting_t *s)
{
	const struct section *sec = section_find(config_setting_name(s));
	char text[160];

	if (sec == NULL) {
		unknown_section(r, s);
	} else if (sec->list_max == 0) {
		if (config_setting_is_group(s))
			read_group(r, sec, s, (char *)r->cfg);
		else
			problem(r, s, "%s = `%s': expected a group { name = value; ... }",
				sec->name, setting_text(s, text, sizeof(text)));
	} else if (config_setting_is_list(s)) {
		read_group_list(r, sec, s);
	} else {
		problem(r, s, "%s = `%s': expected a list of groups ( { ... }, { ... } )",
			sec->name, setting_text(s, text, sizeof(text)));
	}
}

/* ---- what belongs together ------------------------------------------------------------------ */

static config_setting_t *find_setting(struct reader *r, const char *path)
{
	return config_lookup(&r->lc, path);
}

/* The i-th group of a list section, or its member `name` if the file has it. */
static config_setting_t *find_member(
	struct reader *r, const char *section, unsigned i, const char *name)
{
	config_setting_t *list = find_setting(r, section);
	config_setting_t *group = list ? config_setting_get_elem(list, i) : NULL;
	config_setting_t *member = group ? config_setting_get_member(group, name) : NULL;

	return member ? member : group;
}

static void check_times(struct reader *r)
{
	const struct sip_config *sip = &r->cfg->sip;

	if (sip->expires_min_s > sip->expires_max_s)
		problem(r, find_setting(r, "sip.expires_min"),
			"sip.expires_min = `%us': expected no more than sip.expires_max = %us",
			sip->expires_min_s, sip->expires_max_s);
	if (sip->session_expires_s != 0 && sip->session_expires_s < sip->min_se_s)
		problem(r, find_setting(r, "sip.session_expires"),
			"sip.session_expires = `%us': expected 0s or at least sip.min_se = %us",
			sip->session_expires_s, sip->min_se_s);
	if (r->cfg->core.close_ms <= 64 * (int64_t)sip->t1_ms)
		problem(r, find_setting(r, "call.close"),
			"call.close = `%lldms': expected more than 64 * sip.t1 = %ums",
			(long long)r->cfg->core.close_ms, 64 * sip->t1_ms);
}

static bool only(const char *text, const char *set)
{
	return text[strspn(text, set)] == '\0';
}

/* The realm stands in quotes in every challenge, and phones hash it byte by byte. */
static void check_texts(struct reader *r)
{
	const struct numbering *n = &r->cfg->core.numbering;
	const char *realm = r->cfg->sip.realm;

	for (const char *p = realm; *p != '\0'; p++)
		if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ' || (unsigned char)*p > '~') {
			problem(r, find_setting(r, "sip.realm"),
				"sip.realm = `%s': expected ASCII without quotes and backslashes", realm);
			break;
		}
	if (!only(n->country, "0123456789"))
		problem(r, find_setting(r, "numbers.country"),
			"numbers.country = `%s': expected digits such as 49", n->country);
	if (!only(n->area, "0123456789"))
		problem(r, find_setting(r, "numbers.area"),
			"numbers.area = `%s': expected digits such as 89", n->area);
}

static void check_music_uri(struct reader *r)
{
	const char *uri = r->cfg->core.music_uri;

	if (uri[0] != '\0' && !str_is_sip_uri(uri))
		problem(r, find_setting(r, "media.music_uri"),
			"media.music_uri = `%s': expected a SIP URI such as sip:music@pbx.example.com",
			uri);
}

static void note_lines(struct reader *r)
{
	config_setting_t *at = find_setting(r, "ledger.database");

	const char *file = at != NULL ? config_setting_source_file(at) : NULL;

	str_set(r->cfg->database_at, file != NULL ? file : r->path);
	if (at != NULL)
		snprintf(r->cfg->database_at + strlen(r->cfg->database_at), 16, ":%d",
			config_setting_source_line(at));
}

static void check_status(struct reader *r)
{
	unsigned status = r->cfg->core.no_answer_status;

	if (status != 408 && status != 480 && status >= 400)
		problem(r, find_setting(r, "transfer.no_answer_status"),
			"transfer.no_answer_status = `%u': expected 408 or 480", status);
}

/* Nothing follows a hang-up, unless that waits for a cause. */
static void check_chain(struct reader *r, const char *path, const struct chain *ch)
{
	config_setting_t *list = find_setting(r, path);

	for (unsigned i = 0; i + 1 < ch->n; i++)
		if (ch->step[i].kind == FALLBACK_HANGUP && ch->step[i].causes == 0)
			problem(r, list ? config_setting_get_elem(list, i) : NULL,
				"%s[%u] = `hangup': expected nothing after it, there are %u more", path,
				i + 1, ch->n - i - 1);
}

static void check_fallback(struct reader *r)
{
	const struct core_config *c = &r->cfg->core;
	char path[64];

	check_chain(r, "transfer.fallback", &c->fallback[TARGET_NONE]);
	for (int kind = TARGET_NONE + 1; kind < (int)target_kind_count_; kind++) {
		snprintf(path, sizeof(path), "fallback.%s", target_kind_name(kind));
		check_chain(r, path, &c->fallback[kind]);
	}
}

static bool peer_exists(const struct app_config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->sip.npeers; i++)
		if (str_eq(cfg->sip.peers[i].name, name))
			return true;
	return false;
}

static void check_listeners(struct reader *r)
{
	const struct sip_config *sip = &r->cfg->sip;
	config_setting_t *list = find_setting(r, "sip.listen");

	for (unsigned i = 0; i < sip->nlisten; i++)
		for (unsigned j = 0; j < i; j++)
			if (sip->listen[i][0] != '\0' && str_eq(sip->listen[i], sip->listen[j]))
				problem(r, list ? config_setting_get_elem(list, i) : NULL,
					"sip.listen[%u] = `%s': expected it once, it is also entry "
					"%u",
					i + 1, sip->listen[i], j + 1);
}

static void check_peers(struct reader *r)
{
	const struct sip_config *sip = &r->cfg->sip;

	for (unsigned i = 0; i < sip->npeers; i++) {
		const struct sip_peer *p = &sip->peers[i];
		config_setting_t *at = find_member(r, "peers", i, "name");

		if (p->name[0] == '\0')
			continue; /* told already */
		if (str_eq(p->name, DIALPLAN_USERS))
			problem(r, at,
				"peers[%u].name = `%s': expected another name, this one means "
				"calls from users in routes",
				i + 1, p->name);
		for (unsigned j = 0; j < i; j++)
			if (str_eq(p->name, sip->peers[j].name))
				problem(r, at,
					"peers[%u].name = `%s': expected a name of its own, "
					"peers[%u] has it",
					i + 1, p->name, j + 1);
		if (p->policy.caller_id == CALLER_ID_BUSINESS && p->policy.business.number[0] == '\0')
			problem(r, find_member(r, "peers", i, "caller_id"),
				"peers[%u].caller_id = `business': expected a "
				"peers[%u].business_number with it",
				i + 1, i + 1);
		if (p->password[0] != '\0' && p->username[0] == '\0')
			problem(r, find_member(r, "peers", i, "password"),
				"peers[%u].password: expected a peers[%u].username with it", i + 1,
				i + 1);
	}
}

/* Several segued on one database. */
static void check_nodes(struct reader *r)
{
	const struct app_config *cfg = r->cfg;

	for (unsigned i = 0; i < cfg->sip.npeers; i++) {
		const struct sip_peer *p = &cfg->sip.peers[i];
		config_setting_t *at = find_member(r, "peers", i, "node");

		if (p->policy.node == 0)
			continue;
		if (p->policy.node == cfg->node)
			problem(r, at, "peers[%u].node = `%u': expected another number than "
				"control.node, which is this one", i + 1, p->policy.node);
	}
	if (cfg->core.locate_ms == 0)
		return;
	if (cfg->node == 0)
		problem(r, find_setting(r, "control.locate"),
			"control.locate = `%lldms': expected a control.node from 1 up with it",
			(long long)cfg->core.locate_ms);
	if (cfg->shipper.conninfo[0] == '\0')
		problem(r, find_setting(r, "control.locate"),
			"control.locate = `%lldms': expected a ledger.database with it",
			(long long)cfg->core.locate_ms);
}

static void check_route(struct reader *r, unsigned i)
{
	const struct route *route = &r->cfg->core.route[i];
	bool to_peer = route->kind == TARGET_EXTERNAL || route->kind == TARGET_VOICEMAIL;

	if (route->source[0] != '\0' && !str_eq(route->source, DIALPLAN_USERS) &&
		!peer_exists(r->cfg, route->source))
		problem(r, find_member(r, "routes", i, "source"),
			"routes[%u].source = `%s': expected the name of a peer, or users", i + 1,
			route->source);
	if (to_peer && !peer_exists(r->cfg, route->target))
		problem(r, find_member(r, "routes", i, "target"),
			"routes[%u].target = `%s': expected the name of a peer, because kind is %s",
			i + 1, route->target, target_kind_name((int)route->kind));
	for (unsigned n = 0; n < route->nfailover; n++)
		if (!peer_exists(r->cfg, route->failover[n]) || !to_peer)
			problem(r, find_member(r, "routes", i, "failover"),
				"routes[%u].failover[%u] = `%s': expected the name of a peer, and "
				"kind external or voicemail",
				i + 1, n + 1, route->failover[n]);
}

/* One example of a route, read from NUMBER->KIND[:TARGET][/NUMBER]. */
struct example {
	char number[NUM_MAX], kind[16], target[USER_MAX], becomes[NUM_MAX];
};

static int read_example(const char *text, struct example *e)
{
	const char *arrow = strstr(text, "->"), *kind, *colon, *slash;

	memset(e, 0, sizeof(*e));
	if (arrow == NULL ||
		!str_copy_n(e->number, sizeof(e->number), text, (size_t)(arrow - text)))
		return EINVAL;
	kind = arrow + 2;
	colon = strpbrk(kind, ":/");
	if (!str_copy_n(
		    e->kind, sizeof(e->kind), kind, colon ? (size_t)(colon - kind) : strlen(kind)))
		return EINVAL;
	slash = colon ? strchr(colon, '/') : NULL;
	if (colon != NULL && *colon == ':' &&
		!str_copy_n(e->target, sizeof(e->target), colon + 1,
			slash ? (size_t)(slash - colon - 1) : strlen(colon + 1)))
		return EINVAL;
	if (slash != NULL && !str_set(e->becomes, slash + 1))
		return EINVAL;
	return target_kind_parse(e->kind) < 0 ? EINVAL : 0;
}

/* What the dial plan says, in the words of an example. */
static void say_result(const struct core_config *cfg, int rc, const struct dialplan_result *res,
	char *buf, size_t size)
{
	if (rc != 0 && rc != EACCES)
		snprintf(buf, size, "%s", rc == ENOENT ? "no route fits it" : strerror(rc));
	else
		snprintf(buf, size, "%s%s%s/%s by routes[%u]", target_kind_name(res->kind),
			str_empty(res->target) ? "" : ":", res->target, res->number,
			(unsigned)(res->route - cfg->route) + 1);
}

static void check_example(struct reader *r, unsigned i, config_setting_t *at, const char *text)
{
	const struct core_config *cfg = &r->cfg->core;
	const struct route *route = &cfg->route[i];
	const char *source = route->source[0] ? route->source : DIALPLAN_USERS;
	struct dialplan_result res;
	struct example e;
	char is[256];
	int rc;

	if (read_example(text, &e)) {
		problem(r, at,
			"routes[%u].examples: `%s': expected NUMBER->KIND:TARGET/NUMBER such as "
			"1001->user/1001",
			i + 1, text);
		return;
	}
	rc = dialplan_match(cfg, e.number, source, &res);
	if ((rc == 0 || rc == EACCES) && res.route == route &&
		str_eq(e.kind, target_kind_name(res.kind)) &&
		(e.target[0] == '\0' || str_eq(e.target, res.target)) &&
		(e.becomes[0] == '\0' || str_eq(e.becomes, res.number)))
		return;
	say_result(cfg, rc, &res, is, sizeof(is));
	problem(r, at, "routes[%u].examples: `%s': expected so, but a call to %s from %s is: %s",
		i + 1, text, e.number, source, is);
}

static void check_examples(struct reader *r, unsigned i)
{
	config_setting_t *list = find_member(r, "routes", i, "examples");

	if (list == NULL || !str_eq(config_setting_name(list), "examples"))
		return;
	for (int k = 0; k < config_setting_length(list); k++) {
		config_setting_t *s = config_setting_get_elem(list, (unsigned)k);

		check_example(r, i, s, config_setting_get_string(s));
	}
}

/* What the core has to know of the peers. */
static void tell_core(struct app_config *cfg)
{
	_Static_assert(SIP_PEERS_MAX <= CORE_PEERS_MAX, "the core knows every peer");

	cfg->core.npeer = cfg->sip.npeers;
	for (unsigned i = 0; i < cfg->sip.npeers; i++) {
		str_set(cfg->core.peer[i].name, cfg->sip.peers[i].name);
		cfg->core.peer[i].policy = cfg->sip.peers[i].policy;
	}
}

/* `immediate` is what refer_progress was called before. The two may not say different things. */
static void take_old_word(struct reader *r, const char *list, unsigned i, enum refer_progress *progress)
{
	config_setting_t *at = find_member(r, list, i, "refer_progress");

	if (*progress != REFER_PROGRESS_IMMEDIATE && at != NULL &&
		str_eq(config_setting_name(at), "refer_progress"))
		problem(r, find_member(r, list, i, "immediate"),
			"%s[%u].immediate = `true': expected no other refer_progress beside it than "
			"\"immediate\"",
			list, i + 1);
	*progress = REFER_PROGRESS_IMMEDIATE;
}

static void take_old_words(struct reader *r)
{
	struct sip_config *sip = &r->cfg->sip;

	for (unsigned i = 0; i < sip->npeers; i++)
		if (sip->peers[i].immediate)
			take_old_word(r, "peers", i, &sip->peers[i].progress);
	for (unsigned i = 0; i < sip->ndevices; i++)
		if (sip->devices[i].immediate)
			take_old_word(r, "devices", i, &sip->devices[i].progress);
}

static void check_engines(struct reader *r)
{
	const struct media_config *m = &r->cfg->media;

	for (unsigned i = 0; i < m->nengine; i++)
		for (unsigned j = 0; j < i; j++)
			if (str_eq(m->engine[i], m->engine[j]))
				problem(r, find_setting(r, "media.engines"),
					"media.engines[%u] = `%s': expected another engine, "
					"media.engines[%u] is this one",
					i + 1, m->engine[i], j + 1);
}

static void check_together(struct reader *r)
{
	take_old_words(r);
	check_engines(r);
	check_listeners(r);
	check_times(r);
	check_texts(r);
	check_music_uri(r);
	note_lines(r);
	check_status(r);
	check_fallback(r);
	check_peers(r);
	check_nodes(r);
	for (unsigned i = 0; i < r->cfg->core.nroute; i++)
		check_route(r, i);
	if (r->problems != 0)
		return; /* examples of a broken dial plan would only add noise */
	dialplan_index(&r->cfg->core);
	r->cfg->core.can_play = r->cfg->media.nengine > 0;
	tell_core(r->cfg);
	for (unsigned i = 0; i < r->cfg->core.nroute; i++)
		check_examples(r, i);
}

/* ---- the file ------------------------------------------------------------------------------ */

/* The text of one line of a file, without blanks around it; "" if it cannot be had. */
static void line_text(const char *path, int line, char *buf, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	buf[0] = '\0';
	for (int i = 0; f != NULL && i < line; i++)
		if (fgets(buf, (int)size, f) == NULL)
			buf[0] = '\0';
	if (f != NULL)
		fclose(f);
	n = strspn(buf, " \t");
	memmove(buf, buf + n, strlen(buf + n) + 1);
	buf[strcspn(buf, "\r\n")] = '\0';
}

static void syntax_problem(struct reader *r)
{
	const char *file = config_error_file(&r->lc), *why = config_error_text(&r->lc);
	int line = config_error_line(&r->lc);
	const char *expected = "name = value; with text and times in double quotes";
	char text[120];

	if (config_error_type(&r->lc) != CONFIG_ERR_PARSE) {
		problem(r, NULL, "cannot be read: %s", strerror(EIO));
		return;
	}
	line_text(file ? file : r->path, line, text, sizeof(text));
	if (str_eq(why, "duplicate setting name"))
		expected = "each name once in its group";
	else if (strstr(why, "include") != NULL)
		expected = "@include and the path of a file that can be read, in double quotes";
	else if (text[0] == '#')
		expected = "the end of the line after the comment";
	problem_at(r, file, (unsigned)line, "%s at or before `%s': expected %s", why, text, expected);
}

static int read_tree(struct reader *r)
{
	struct stat st;

	errno = 0;
	if (stat(r->path, &st) == 0 && S_ISDIR(st.st_mode))
		errno = EISDIR;
	else if (errno == 0)
		access(r->path, R_OK);
	if (errno != 0) {
		problem(r, NULL, "cannot be read: %s", strerror(errno));
		return EINVAL;
	}
	if (config_read_file(&r->lc, r->path) != CONFIG_TRUE) {
		syntax_problem(r);
		return EINVAL;
	}
	return 0;
}

void config_default(struct app_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	options_default(cfg);
	dialplan_index(&cfg->core);
}

int config_load(const char *path, config_problem_fn *fn, void *arg, struct app_config **out)
{
	struct reader r = {.path = path, .fn = fn, .arg = arg};
	config_setting_t *root;
	int rc;

	r.cfg = malloc(sizeof(*r.cfg));
	if (r.cfg == NULL)
		return ENOMEM;
	config_default(r.cfg);
	str_set(r.cfg->file, path);
	config_init(&r.lc);
	rc = read_tree(&r);
	if (rc)
		goto out;
	root = config_root_setting(&r.lc);
	for (int i = 0; i < config_setting_length(root); i++)
		read_section(&r, config_setting_get_elem(root, (unsigned)i));
	check_together(&r);
	if (r.problems != 0)
		rc = EINVAL;
out:
	config_destroy(&r.lc);
	if (rc)
		free(r.cfg);
	else
		*out = r.cfg;
	return rc;
}

/* ---- reload -------------------------------------------------------------------------------- */

static bool copy_back(char *to, const char *from, size_t offset, size_t size)
{
	if (memcmp(to + offset, from + offset, size) == 0)
		return false;
	memcpy(to + offset, from + offset, size);
	return true;
}

void config_keep_fixed(struct app_config *new_cfg, const struct app_config *old,
	void (*fn)(void *arg, const char *path), void *arg)
{
	for (unsigned i = 0; i < options_count; i++) {
		const struct option *o = &options[i];
		size_t size = o->size * (o->list_max ? o->list_max : 1);
		bool changed;
		char path[80];

		if ((o->flags & OPT_RELOAD) || section_find(o->section)->list_max)
			continue;
		changed = copy_back((char *)new_cfg, (const char *)old, o->offset, size);
		if (o->list_max)
			changed |= copy_back((char *)new_cfg, (const char *)old, o->count_offset,
				sizeof(unsigned));
		snprintf(path, sizeof(path), "%s.%s", o->section, o->name);
		if (changed)
			fn(arg, path);
	}
}

int config_parse_value(const char *path, const char *text, char *err, size_t size)
{
	const char *dot = strchr(path, '.');
	const struct option *o;
	char section[32];
	void *scratch;
	int rc;

	err[0] = '\0';
	str_copy_n(section, sizeof(section), path, dot ? (size_t)(dot - path) : strlen(path));
	o = dot ? option_find(section, dot + 1) : NULL;
	if (o == NULL)
		return ENOENT;
	scratch = calloc(1, o->size ? o->size : 1);
	if (scratch == NULL)
		return ENOMEM;
	rc = option_parse(o, text, scratch, err, size);
	free(scratch);
	return rc;
}
