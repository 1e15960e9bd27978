/*
 * server: HTTP/1.1 inside somebody else's event loop. One fd becomes readable when there is work;
 * http_run() does it and calls the hooks, on the caller's thread. Nothing here blocks.
 *
 *	whole request -> hooks.request() -> exactly one http_reply...(), at once or any time later
 *	-> answered, or the client went away -> hooks.over()
 *
 * Bounds are kept here: connections, size of a request, time until it is whole, idle time. A client
 * that keeps none of them costs a connection for a while and nothing else.
 */
#ifndef SEGUE_HTTP_SERVER_H
#define SEGUE_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_LISTEN_MAX	 4
#define HTTP_ADDRESS_MAX 64
#define HTTP_PROXIES_MAX 8
#define HTTP_PATH_MAX	 256

struct http_config {
	char listen[HTTP_LISTEN_MAX][HTTP_ADDRESS_MAX]; /* "127.0.0.1:8080", "[::1]:8080" */
	unsigned nlisten;
	char tls_cert[HTTP_PATH_MAX]; /* PEM files; "": plain HTTP */
	char tls_key[HTTP_PATH_MAX];
	char proxies[HTTP_PROXIES_MAX][HTTP_ADDRESS_MAX]; /* addresses or networks whose
							   * X-Forwarded-For and -Proto are true */
	unsigned nproxies;
	unsigned connections; /* at most so many, and so many from one address */
	unsigned connections_each;
	unsigned body_max;    /* bytes of a request's body */
	unsigned request_ms;  /* a request must be whole within this time */
	unsigned idle_ms;     /* a connection that moves no byte is closed */
};

struct http;
struct http_request;

struct http_hooks {
	void *arg;
	/* A request is whole. What its accessors return lives until over(). */
	void (*request)(void *arg, struct http_request *r);
	/* Called once for each request that request() was called for: forget it. */
	void (*over)(void *arg, struct http_request *r);
};

/* Listens. 0, or an errno after having logged which address or file is the trouble. */
int http_open(const struct http_config *cfg, const struct http_hooks *hooks, struct http **out);
void http_close(struct http *h);
/* Readable: call http_run(). */
int http_fd(const struct http *h);
void http_run(struct http *h);
/* Connections that are open now. */
unsigned http_connections(const struct http *h);

/* ---- the request ----------------------------------------------------------------------------- */

const char *http_method(const struct http_request *r); /* GET for a HEAD */
const char *http_path(const struct http_request *r);   /* decoded, without the query */
/* A header, a parameter of the query, the body's bytes; NULL if there is none. */
const char *http_header(const struct http_request *r, const char *name);
const char *http_query(const struct http_request *r, const char *name);
const char *http_body(const struct http_request *r, size_t *len);
/* Calls fn for each parameter of the query. */
void http_each_query(const struct http_request *r,
	void (*fn)(void *arg, const char *name, const char *value), void *arg);
/* Copies a cookie's value; false if there is none or it is longer than that. */
bool http_cookie(const struct http_request *r, const char *name, char *buf, size_t size);
/* Who asks: the address behind a trusted proxy, else that of the connection. */
const char *http_client(const struct http_request *r);
/* Came over TLS, here or at a trusted proxy. */
bool http_is_secure(const struct http_request *r);

void http_set_context(struct http_request *r, void *context);
void *http_context(const struct http_request *r);

/* ---- answers --------------------------------------------------------------------------------- */

/* For the reply that follows. A Cache-Control of "no-store" goes with every reply that sets none. */
void http_add_header(struct http_request *r, const char *name, const char *value);

/* The body is copied; a long text is sent as gzip to who takes it. */
void http_reply(
	struct http_request *r, unsigned status, const char *type, const char *body, size_t len);
/* size bytes of a file from offset on; the fd is taken over. */
void http_reply_file(struct http_request *r, unsigned status, const char *type, int fd,
	uint64_t offset, uint64_t size);

#define HTTP_WHOLE (-2)

/* Gives the next bytes of a stream: how many (at most max), 0 if there are none now, HTTP_WHOLE if that was
 * all of it, -1 to cut it off, so that who reads it knows that something is missing. */
typedef ssize_t http_read_fn(void *arg, char *buf, size_t max);
/* Answers 200 with a stream that fn feeds until it ends or the client leaves. */
void http_reply_stream(struct http_request *r, const char *type, http_read_fn *fn, void *arg);
/* Likewise, for a stream that rests most of the time and ends with its connection: many who listen to the
 * same. */
void http_reply_events(struct http_request *r, const char *type, http_read_fn *fn, void *arg);
/* fn has something again; it may be asked for it before this returns. */
void http_stream_wake(struct http_request *r);
/* Ends the connection, also one whose reader takes nothing; over() follows, later. */
void http_cut(struct http_request *r);

#endif
