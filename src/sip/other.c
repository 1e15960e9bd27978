/* other: OPTIONS, and the methods that we do not serve. */
#include "config.h"

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>

#include "sip/internal.h"

void other_options(struct sip *s, struct stack_server *t, const sip_t *request)
{
	msg_t *msg = stack_response(t, 200, NULL);

	if (msg != NULL) {
		sip_t *sip = sip_object(msg);

		sip_add_dup(msg, sip, (sip_header_t *)s->allow);
		sip_add_dup(msg, sip, (sip_header_t *)s->supported);
		sip_add_dup(msg, sip, (sip_header_t *)s->accept);
	}
	reply_final(s, NULL, t, msg);
}

/* 405 for what SIP knows and we do not serve, 501 for what we never heard of. */
void other_unknown(struct sip *s, struct sip_leg *l, struct stack_server *t, const sip_t *request)
{
	int status = request->sip_request->rq_method == sip_method_unknown ? 501 : 405;
	msg_t *msg = stack_response(t, status, NULL);

	if (msg != NULL)
		sip_add_dup(msg, sip_object(msg), (sip_header_t *)s->allow);
	reply_final(s, l, t, msg);
}
