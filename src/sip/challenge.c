/* challenge: digest in both directions. Users prove who they are; trunks that ask get the
 * credentials of their config, once (E-035). */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

/* ---- users prove themselves ---------------------------------------------------------------- */

static const char *ha1_of(const struct sip_user *u, enum digest_alg alg)
{
	if (alg == DIGEST_SHA256)
		return u->ha1_sha256;
	return alg == DIGEST_MD5 ? u->ha1_md5 : "";
}

/* Where to begin in the list of algorithms: MD5 alone for a phone that gives up on SHA-256, unless
 * this user has no hash for it. */
static unsigned first_algorithm(const struct sip *s, const sip_t *request,
	const struct sip_user *known)
{
	const char *phone =
		request->sip_user_agent != NULL ? request->sip_user_agent->g_string : NULL;

	return (known == NULL || known->ha1_md5[0] != '\0') && device_is_md5_only(s, phone);
}

/* 401 with one challenge per algorithm that can work, strongest first. */
static void ask(struct sip *s, struct stack_server *t, const sip_t *request,
	enum digest_verdict why, const struct sip_user *known)
{
	static const enum digest_alg algs[] = {DIGEST_SHA256, DIGEST_MD5};
	msg_t *msg = stack_response(t, 401, NULL);
	char value[DIGEST_HEADER_MAX];

	for (unsigned i = first_algorithm(s, request, known); msg != NULL && i < 2; i++)
		if ((known == NULL || ha1_of(known, algs[i])[0] != '\0') &&
			digest_challenge(
				s->digest, algs[i], why, sip_clock(), value, sizeof(value)) == 0)
			message_add_line(msg, "WWW-Authenticate", value);
	reply_final(s, NULL, t, msg);
}

/* Credentials for our realm in the request: 1 and them, 0 if there are none. */
static int find_credentials(
	struct sip *s, const sip_t *request, struct digest_creds *c, enum digest_verdict *v)
{
	const sip_authorization_t *au;
	char value[DIGEST_HEADER_MAX];

	for (au = request->sip_authorization; au != NULL; au = au->au_next) {
		message_raw_value((const sip_header_t *)au, value, sizeof(value));
		*v = digest_creds_parse(s->digest, value, c);
		if (*v != DIGEST_ABSENT)
			return 1;
	}
	*v = DIGEST_ABSENT;
	return 0;
}

bool challenge_present(struct sip *s, const sip_t *request)
{
	struct digest_creds c;
	enum digest_verdict v;

	return find_credentials(s, request, &c, &v) != 0;
}

static enum digest_verdict verify(struct sip *s, const sip_t *request, struct digest_creds *c,
	struct sip_user *u, bool *known)
{
	const sip_payload_t *pl = request->sip_payload;

	*known = s->hooks.find_user(s->hooks.arg, c->username, u) && u->enabled;
	return digest_check(s->digest, c, *known ? ha1_of(u, c->alg) : NULL,
		request->sip_request->rq_method_name, pl != NULL ? pl->pl_data : "",
		pl != NULL ? pl->pl_len : 0, sip_clock());
}

static void log_refusal(struct sip *s, struct stack_server *t, const sip_t *request,
	const char *user, enum digest_verdict v)
{
	struct stack_addr from;
	char source[SOURCE_MAX];

	stack_server_source(s->stack, t, &from);
	source_print(&from, source, sizeof(source));
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "auth_refused", "method",
		request->sip_request->rq_method_name, "user", user, "source", source, "why",
		digest_verdict_name(v), NULL);
}

bool challenge_check(struct sip *s, struct stack_server *t, const sip_t *request,
	const char *expect, struct sip_user *u)
{
	struct digest_creds c;
	enum digest_verdict v;
	struct sip_user claimed;
	bool known = false, claims = false;
	const char *name = expect != NULL ? expect : request->sip_from->a_url->url_user;

	memset(&c, 0, sizeof(c));
	if (find_credentials(s, request, &c, &v) && v == DIGEST_OK)
		v = verify(s, request, &c, u, &known);
	if (v == DIGEST_OK && (expect == NULL || strcmp(expect, u->name) == 0))
		return true;
	if (v == DIGEST_OK) { /* good credentials of somebody else (E-078) */
		log_refusal(s, t, request, u->name, DIGEST_WRONG);
		sip_emit_audit(s, u->name, request->sip_request->rq_method_name, expect,
			"dialog of another user");
		reply_simple(s, NULL, t, 403, NULL);
		return false;
	}
	if (v == DIGEST_WRONG || v == DIGEST_BAD)
		log_refusal(s, t, request, c.username, v);
	if (name != NULL)
		claims = s->hooks.find_user(s->hooks.arg, name, &claimed);
	ask(s, t, request, v, claims ? &claimed : NULL);
	return false;
}

/* ---- we prove ourselves --------------------------------------------------------------------- */

struct credentials {
	const char *name;
	char value[DIGEST_HEADER_MAX];
};

static void add_credentials(msg_t *msg, void *arg)
{
	const struct credentials *c = arg;

	message_add_line(msg, c->name, c->value);
}

/* The first challenge that we can answer (RFC 8760 section 2.3). */
static int find_challenge(const sip_t *response, struct digest_ask *a)
{
	const msg_auth_t *au = response->sip_status->st_status == 401
				       ? response->sip_www_authenticate
				       : response->sip_proxy_authenticate;
	char value[DIGEST_HEADER_MAX];

	for (; au != NULL; au = au->au_next) {
		message_raw_value((const sip_header_t *)au, value, sizeof(value));
		if (digest_ask_parse(value, a) == 0)
			return 0;
	}
	return ENOENT;
}

int challenge_answer(struct request *r, const sip_t *response)
{
	struct sip_leg *l = r->leg;
	const struct sip_peer *p = peer_by_name(l->sip, l->peer);
	struct digest_ask a;
	struct credentials c;
	char uri[DIGEST_URI_MAX], cnonce[33];
	msg_t *sent;
	const sip_t *sip;
	int err;

	if (p == NULL || p->username[0] == '\0' || (r->tried & TRIED_AUTH) ||
		(r->method == sip_method_invite && l->state != SIDE_CALLING && l->state != SIDE_UP))
		return EPERM;
	err = find_challenge(response, &a);
	if (err != 0 || digest_cnonce(cnonce) != 0)
		return ENOENT;
	sent = stack_client_request(r->t);
	sip = sip_object(sent);
	if (url_e(uri, sizeof(uri), sip->sip_request->rq_url) >= (issize_t)sizeof(uri))
		uri[0] = '\0';
	c.name = response->sip_status->st_status == 401 ? "Authorization" : "Proxy-Authorization";
	err = digest_answer(&a, p->username, p->password, sip->sip_request->rq_method_name, uri,
		sip->sip_payload != NULL ? sip->sip_payload->pl_data : "",
		sip->sip_payload != NULL ? sip->sip_payload->pl_len : 0, 1, cnonce, c.value,
		sizeof(c.value));
	msg_destroy(sent);
	if (err != 0)
		return err;
	r->tried |= TRIED_AUTH;
	return request_repeat(r, NULL, add_credentials, &c);
}
