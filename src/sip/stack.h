/*
 * stack: the narrow seam under the dialogs. Transports and transactions live below it, dialogs and
 * everything that SIP means above it. Messages are sofia's parsed msg_t/sip_t on both sides; the
 * transaction layer of sofia is named in stack_nta.c alone, so that another one can be put here.
 *
 *	up:   new requests; ACK, CANCEL and silence for a server transaction; responses, timeouts
 *	down: send a response, send a request, send CANCEL, send ACK
 *
 * Retransmissions in both directions are absorbed below. One thread, no locks.
 */
#ifndef SEGUE_SIP_STACK_H
#define SEGUE_SIP_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include <sofia-sip/sip.h>
#include <sofia-sip/su_wait.h>

struct stack;
struct stack_server; /* a request that we were sent */
struct stack_client; /* a request that we sent */

#define STACK_HOST_MAX 64
#define STACK_URI_MAX 160
#define STACK_REASON_MAX 96

/* Where a message came from or goes to, numerically. */
struct stack_addr {
	char proto[8];              /* "udp", "tcp" */
	char host[STACK_HOST_MAX];  /* numeric, IPv6 without brackets */
	unsigned port;
	int listener;               /* index in the config; -1 any that fits */
};

/* Next hop of a request. Empty: the first Route, else the Request-URI, decides. */
struct stack_dest {
	char uri[STACK_URI_MAX]; /* "sip:127.0.0.1:5060;transport=tcp" */
	int listener;            /* -1: any that fits */
};

struct stack_config {
	const char (*listen)[128]; /* "udp:127.0.0.1:5060", "tcp:[::1]:5060" */
	unsigned nlisten;
	unsigned t1_ms;
	unsigned progress_ms; /* the latest 1xx is sent again this often, unless it was reliable */
	unsigned udp_rmem; /* bytes */
};

struct stack_hooks {
	void *arg;
	/* A new request, never ACK. It must be answered exactly once with a final response, now or
	 * later. sip is valid as long as t. */
	void (*request)(void *arg, struct stack_server *t, const sip_t *sip);
	/* A 2xx to an INVITE that is addressed to us, but of no transaction that is here. */
	void (*stray)(void *arg, const sip_t *sip, const struct stack_addr *from);
};

/* What an INVITE server transaction reports; embed the struct in the object that waits. */
struct stack_server_ops;
struct stack_server_sink {
	const struct stack_server_ops *ops;
	/* The stack's own: reliable 1xx that wait for their PRACK, whether one of them brings a session
	 * description, and the 2xx that waits for that. */
	unsigned unacked;
	bool settles;
	msg_t *held;
};
struct stack_server_ops {
	/* ACK of our 2xx; the transaction should be released now. */
	void (*ack)(struct stack_server_sink *s, struct stack_server *t, const sip_t *ack);
	/* CANCEL before our final response; it has been answered 200. */
	void (*cancel)(struct stack_server_sink *s, struct stack_server *t, const sip_t *cancel);
	/* No ACK of our 2xx in 64*T1, or our reliable 1xx was never acknowledged. */
	void (*silence)(struct stack_server_sink *s, struct stack_server *t);
};

/* Responses to a request of ours, 100 included. A timeout is a 408, a transport failure a 503;
 * stack_is_internal() tells them from what the peer sent. After the final one t must be released. */
struct stack_client_sink {
	void (*response)(struct stack_client_sink *s, struct stack_client *t, const sip_t *sip);
	/* The stack's own, zero at first: a CANCEL that waits for the 1xx, and its Reason. */
	enum { STACK_CANCEL_NONE, STACK_CANCEL_WAITS } cancel;
	char reason[STACK_REASON_MAX];
};

/* Opens all listeners on root. NULL after having logged which one failed and why. */
struct stack *stack_create(
	su_root_t *root, const struct stack_config *cfg, const struct stack_hooks *hooks);
/* Closes transports and drops all transactions without further callbacks. */
void stack_destroy(struct stack *s);

/* "host:port" and protocol of the listener that would be used toward d (or that is d->listener);
 * NULL if none fits. */
const char *stack_local(const struct stack *s, const struct stack_dest *d, const char **proto);
/* Is host:port (port 0: any) the address of one of our listeners? */
bool stack_is_local(const struct stack *s, const char *host, unsigned port);

/* Messages that were no SIP, or broken in a header that matters: answered 400 or dropped below
 * without being shown to anybody. Counts from the start. */
uint64_t stack_malformed(const struct stack *s);

/* ---- server transactions ------------------------------------------------------------------
 *
 * An INVITE without any response of ours gets a 100 after 200 ms, as RFC 3261 section 17.2.1 wants it.
 * Most phones ring before that, and a 100 at once would be one message more for nothing. */

/* Where the request came from. */
void stack_server_source(struct stack *s, struct stack_server *t, struct stack_addr *from);
/* The whole request, for tracing; the caller destroys the reference. */
msg_t *stack_server_message(struct stack_server *t);
/* Our To tag for responses; set once, before the first response above 100. */
void stack_server_tag(struct stack_server *t, const char *tag);
/* Who hears of ACK, CANCEL and silence. NULL: nobody any more. */
void stack_server_bind(struct stack_server *t, struct stack_server_sink *sink);

/* A response with all mandatory headers copied from the request. phrase NULL: the standard one. */
msg_t *stack_response(struct stack_server *t, int status, const char *phrase);
/* Sends it; takes the message over. A 2xx to INVITE is sent when the reliable 1xx before it that bring a
 * session description have been acknowledged (RFC 3262 section 5). */
void stack_reply(struct stack_server *t, msg_t *response);
/* Sends a 1xx reliably (RFC 3262); its PRACK is answered 200 below. 0 or EPROTO if the peer does
 * not know 100rel. Takes the message over. */
int stack_reply_reliable(struct stack_server *t, msg_t *response);
/* Has a final response been sent? */
bool stack_server_answered(struct stack_server *t);
/* We are done with it: after a final response, for INVITE 2xx after ACK or silence. */
void stack_server_release(struct stack_server *t);

/* ---- client transactions ------------------------------------------------------------------ */

msg_t *stack_request(struct stack *s);
/* Sends a complete request; Via is added below. Takes the message over. NULL if it cannot be sent
 * at all (no valid next hop): nothing will be reported then. */
struct stack_client *stack_send(
	struct stack *s, msg_t *request, const struct stack_dest *d, struct stack_client_sink *sink);
/* Sends an ACK for a 2xx to the INVITE whose CSeq it carries, before that one is released. For 64*T1
 * it is repeated below when the 2xx is repeated. */
void stack_send_ack(struct stack *s, msg_t *ack, const struct stack_dest *d);
/* The same for a 2xx that came to nobody; d says where to, valid or empty. Each 2xx wants its own. */
void stack_send_late_ack(struct stack *s, msg_t *ack, const struct stack_dest *d);
/* Sends a request whose response is nobody's business; repeated below until there is one. */
void stack_send_alone(struct stack *s, msg_t *request, const struct stack_dest *d);
/* CANCEL, sent as soon as there was a 1xx; reason "" or the value of a Reason header. */
void stack_cancel(struct stack_client *t, const char *reason);
/* The newest response, and the request as it was sent; the caller destroys the reference. */
msg_t *stack_client_message(struct stack_client *t);
msg_t *stack_client_request(struct stack_client *t);
void stack_client_release(struct stack_client *t);
/* The response was made here because of a timeout or transport failure. */
bool stack_is_internal(const sip_t *sip);

#endif
