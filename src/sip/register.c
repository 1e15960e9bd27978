/* register: REGISTER, once its sender has proved who he is, goes to the registrar. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

#define CONTACTS_TEXT_MAX 8192

/* Appends the value of a header to a comma separated list; false if it does not fit. */
static bool join(char *buf, size_t size, const sip_header_t *h)
{
	size_t n = strlen(buf);
	issize_t len;

	if (n > 0 && !str_append(buf, size, ", "))
		return false;
	n = strlen(buf);
	len = sip_header_field_e(buf + n, (isize_t)(size - n), h, 0);
	if (len >= 0 && (size_t)len < size - n)
		return true;
	buf[n] = '\0';
	return false;
}

static bool join_contacts(const sip_t *request, char *buf, size_t size)
{
	buf[0] = '\0';
	for (const sip_contact_t *m = request->sip_contact; m != NULL; m = m->m_next) {
		if (m->m_url->url_type == url_any ? !str_append(buf, size, buf[0] ? ", *" : "*")
						  : !join(buf, size, (const sip_header_t *)m))
			return false;
	}
	return true;
}

static bool join_path(const sip_t *request, char *buf, size_t size)
{
	buf[0] = '\0';
	for (const sip_path_t *p = request->sip_path; p != NULL; p = p->r_next)
		if (!join(buf, size, (const sip_header_t *)p))
			return false;
	return true;
}

/* May this user register that address of record? His name or his number, at our host. */
static bool is_own_record(struct sip *s, const sip_t *request, const struct sip_user *u)
{
	const url_t *url = request->sip_to->a_url;
	char name[USER_MAX];

	if (url->url_user == NULL || url->url_host == NULL ||
		uri_unescape(name, sizeof(name), url->url_user, strlen(url->url_user)) != 0)
		return false;
	return (strcmp(name, u->name) == 0 || strcmp(name, u->number) == 0) &&
	       peer_is_own_host(s, url->url_host, 0);
}

static void answer(struct sip *s, struct stack_server *t, const sip_t *request,
	const struct sip_user *u, int status, const char *why)
{
	char value[CONTACTS_TEXT_MAX];
	msg_t *msg = stack_response(t, status, status == 200 ? NULL : why);

	if (msg == NULL) {
		reply_simple(s, NULL, t, 500, NULL);
		return;
	}
	if (status == 423) {
		snprintf(value, sizeof(value), "%u", s->cfg.expires_min_s);
		message_add_line(msg, "Min-Expires", value);
	}
	if (status == 200) {
		if (registrar_print_contacts(
			    s->registrar, u->name, sip_clock(), value, sizeof(value)) == 0 &&
			value[0] != '\0')
			message_add_line(msg, "Contact", value);
		for (const sip_path_t *p = request->sip_path; p != NULL; p = p->r_next)
			sip_add_dup(
				msg, sip_object(msg), (const sip_header_t *)p); /* RFC 3327 5.3 */
	}
	reply_final(s, NULL, t, msg);
}

void register_receive(struct sip *s, struct stack_server *t, const sip_t *request)
{
	char contacts[CONTACTS_TEXT_MAX], path[REGISTRAR_TEXT_MAX], expires[24], source[SOURCE_MAX];
	struct registrar_request req = {0};
	struct stack_addr from;
	struct sip_user u;
	const char *why = NULL;
	int status;

	if (!challenge_check(s, t, request, NULL, &u))
		return;
	stack_server_source(s->stack, t, &from);
	source_print(&from, source, sizeof(source));
	if (!is_own_record(s, request, &u)) {
		log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "register_refused", "user", u.name,
			"source", source, "why", "not his address of record", NULL);
		sip_emit_audit(s, u.name, "register", request->sip_to->a_url->url_user,
			"not his address of record");
		reply_simple(s, NULL, t, 403, NULL);
		return;
	}
	if (!join_contacts(request, contacts, sizeof(contacts)) ||
		!join_path(request, path, sizeof(path))) {
		reply_simple(s, NULL, t, 400, "Too Many Contacts");
		return;
	}
	if (request->sip_expires != NULL)
		snprintf(expires, sizeof(expires), "%lu", request->sip_expires->ex_delta);
	req.user = u.name;
	req.call_id = request->sip_call_id->i_id;
	req.cseq = request->sip_cseq->cs_seq;
	req.contact = request->sip_contact != NULL ? contacts : NULL;
	req.expires = request->sip_expires != NULL ? expires : NULL;
	req.path = request->sip_path != NULL ? path : NULL;
	req.source = source;
	req.user_agent = request->sip_user_agent != NULL ? request->sip_user_agent->g_string : NULL;
	status = registrar_register(s->registrar, &req, sip_clock(), &why);
	log_kv(status == 200 ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE, (struct log_ref){0},
		status == 200 ? "registered" : "register_refused", "user", u.name, "contact",
		contacts, "source", source, "why", status == 200 ? NULL : why, NULL);
	answer(s, t, request, &u, status, why);
}

void register_changed(void *sip, const char *user)
{
	struct sip *s = sip;

	s->unsaved = true;
	sip_emit_contacts(s, user);
}
