/* caller: who sends a request that is in no dialog yet: a peer, known by address, or a user, known by
 * digest. Whoever is neither is refused, and that is on record. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <sofia-sip/sip_header.h>

#include "sip/internal.h"

static void refuse_stranger(struct sip *s, struct stack_server *t, const sip_t *request,
	const char *action, const char *source)
{
	const char *number = request->sip_request->rq_url->url_user;
	char event[32];

	snprintf(event, sizeof(event), "%s_refused", action);
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, event, "source", source, "number", number,
		"call_id", request->sip_call_id->i_id, "why", "unknown source", NULL);
	sip_emit_audit(s, source, action, number, "unknown source");
	reply_simple(s, NULL, t, 403, NULL);
}

/* The user whom From claims, if he is one of ours. */
static bool claimed_user(struct sip *s, const sip_t *request, struct sip_user *u)
{
	const url_t *url = request->sip_from->a_url;
	char name[USER_MAX];

	if (url->url_user == NULL || url->url_host == NULL ||
		uri_unescape(name, sizeof(name), url->url_user, strlen(url->url_user)) != 0)
		return false;
	return peer_is_own_host(s, url->url_host, 0) && s->hooks.find_user(s->hooks.arg, name, u);
}

bool caller_identify(struct sip *s, struct stack_server *t, const sip_t *request,
	const char *action, struct caller *c)
{
	char source[SOURCE_MAX];
	bool claims;

	stack_server_source(s->stack, t, &c->from);
	source_print(&c->from, source, sizeof(source));
	c->peer = peer_by_source_port(s, &c->from);
	if (c->peer != NULL)
		return true;
	claims = claimed_user(s, request, &c->user);
	if (challenge_present(s, request) ||
		(claims && registrar_by_source(s->registrar, c->user.name, source) != NULL))
		return challenge_check(s, t, request, NULL, &c->user);
	c->peer = peer_by_source(s, &c->from);
	if (c->peer != NULL)
		return true;
	if (claims)
		return challenge_check(s, t, request, NULL, &c->user);
	refuse_stranger(s, t, request, action, source);
	return false;
}
