/*
 * ng: client of rtpengine's control protocol: one UDP datagram "COOKIE JSON" asks, one with the same
 * cookie answers. Several engines; each request has its timeout and one retry; an engine that does
 * not answer counts as dead until it answers a ping again. Nothing here blocks.
 *
 * One thread. Everything happens in ng_dispatch(), which is due when ng_fd() is readable.
 */
#ifndef SEGUE_MEDIA_NG_H
#define SEGUE_MEDIA_NG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NG_ENGINES_MAX 8
#define NG_ENGINE_LEN 64

struct ng_config {
	char engine[NG_ENGINES_MAX][NG_ENGINE_LEN]; /* "127.0.0.1:2223", "[::1]:2223" */
	unsigned nengine;
	unsigned timeout_ms; /* a request is asked again after half of it, and given up after it */
	unsigned ping_ms;    /* between two pings of each engine */
};

struct ng_hooks {
	void *arg;
	/* An engine died or lives again. */
	void (*changed)(void *arg, unsigned engine, bool alive);
};

struct ng;

/* Told once of each request: err 0 and the reply; EPROTO and a reply whose "error-reason" says why;
 * ETIMEDOUT or ECONNREFUSED and NULL. The reply is not the callee's to keep. */
typedef void ng_reply_fn(void *arg, int err, const json_t *reply);

/* 0 and *out; EINVAL for an address that is none, or what socket calls said. Engines count as alive
 * until one of them does not answer. */
int ng_create(const struct ng_config *cfg, const struct ng_hooks *hooks, struct ng **out);
/* Requests under way are forgotten. NULL does nothing. */
void ng_destroy(struct ng *ng);
int ng_fd(const struct ng *ng);
void ng_dispatch(struct ng *ng);

/* A living engine, the next one in turn each time; -1: none lives. */
int ng_pick(struct ng *ng);
bool ng_alive(const struct ng *ng, unsigned engine);
const char *ng_name(const struct ng *ng, unsigned engine);

/* Sends one request; takes `dict` over (NULL: no memory). fn (NULL: nobody cares) is never called
 * before this returns. Returns the request's number; 0 without memory, and fn will not be called. */
uint64_t ng_request(struct ng *ng, unsigned engine, json_t *dict, ng_reply_fn *fn, void *arg);
/* Nobody waits for this request any more; 0 and one that is over do nothing. */
void ng_forget(struct ng *ng, uint64_t request);

#endif
