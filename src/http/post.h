/*
 * post: sends one HTTP request and waits for the answer. For threads that may wait; libcurl stays
 * behind this header.
 */
#ifndef SEGUE_HTTP_POST_H
#define SEGUE_HTTP_POST_H

#include <stddef.h>

struct http_poster;

/* Once for the process, before any thread. */
int http_post_init(void);

/* A poster keeps its connection open from one request to the next; it belongs to one thread. NULL
 * without memory. *stop != 0 ends a request that is under way. */
struct http_poster *http_poster_create(const char *url, const _Atomic int *stop);
void http_poster_destroy(struct http_poster *p);

/* POSTs body; headers are whole lines, ended by NULL. Redirects are not followed, certificates are
 * checked. Returns the status; 0, and why, if there was none within timeout_ms. */
unsigned http_post(struct http_poster *p, const char *const *headers, const char *body, size_t len,
	unsigned timeout_ms, char *why, size_t size);

#endif
