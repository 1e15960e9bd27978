/* server: see server.h. libmicrohttpd in its external epoll mode; only this file sees it. */
#include "http/server.h"

#include "base/log.h"
#include "base/str.h"
#include "http/gzip.h"
#include "http/push.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#define MEMORY_PER_CONNECTION (24 << 10) /* headers of a request, and the answer's */
#define STREAM_BLOCK	      (8 << 10)
#define PUSH_MAX	      (64 << 10) /* handed to the pusher in one piece */
#define STREAM_SEND_BUFFER    (128 << 10) /* what the kernel keeps for a reader that is slow */
#define SWALLOW		      16 /* a body that is so many times too large is cut off */
#define TICK_MS		      1000
#define HEADERS_MAX	      12
#define PEM_MAX		      (256 << 10)

/* A connection; MHD tells when it begins and ends. */
struct connection {
	struct http *http;
	int fd;
	int64_t deadline; /* the present request must be whole by then; 0 while it is answered */
	struct connection *prev, *next;
};

/* Where a request is on its way. */
enum request_state {
	READING,   /* its body is coming in */
	TOO_LARGE, /* likewise, and is thrown away */
	ASKED,     /* hooks.request() is on the stack */
	WAITING,   /* the connection is suspended until somebody replies */
	ANSWERED,  /* the response is MHD's */
	STREAMING, /* so it is, and fn has been asked */
	DRY,       /* suspended: the stream has nothing now */
	PUSHING,   /* likewise, while the pusher writes */
	PUSHING_MORE, /* and there is more to come */
	REFUSED,   /* answered here, hooks.request() was never called */
	ABORTED,   /* the server closes, or the client has left */
};

struct header {
	char name[40], *value;
};

/* What many are sent is the same. */
struct text {
	unsigned refs;
	size_t len;
	char bytes[];
};

struct http_request {
	struct http *http;
	struct MHD_Connection *mhd;
	struct connection *conn;
	enum request_state state;
	bool head;
	char *method, *path;
	char client[HTTP_ADDRESS_MAX];
	char *body;
	size_t nbody, body_cap;
	struct header header[HEADERS_MAX];
	unsigned nheaders;
	struct MHD_Response *response; /* waits to be queued */
	unsigned status;
	http_read_fn *read;
	void *read_arg;
	enum {
		BY_MHD,  /* MHD asks for more and frames it */
		PUSHABLE, /* as it is on the wire: may be written to the socket while MHD waits */
	} body_goes;
	enum {
		AWAITED, /* somebody works at what comes next, for this reader */
		EVENTS,
	} rests; /* why a stream has nothing now */
	struct text *text; /* the pusher has it, or the socket did not take all of it; else NULL */
	size_t at;         /* so much of it it took */
	void *context;
	struct http_request *prev, *next; /* among the suspended */
};

struct http {
	struct http_config cfg;
	struct http_hooks hooks;
	struct MHD_Daemon *daemon[HTTP_LISTEN_MAX];
	char *cert, *key;
	int epoll, timer, bell;
	struct push *push;
	char *scratch;     /* PUSH_MAX: what is pushed next */
	struct text *last; /* what was pushed last */
	struct connection *conns;
	unsigned nconns;
	struct http_request *suspended;
	int64_t tick_at; /* monotonic ms: when late requests are looked for again */
	int64_t timer_at; /* monotonic ms: when the timer fires; 0: never */
	enum { QUIET, RUNG } rung; /* the bell */
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- addresses ------------------------------------------------------------------------------- */

struct address {
	int family;
	unsigned char bytes[16];
};

/* An IPv4 address that came in over IPv6 is the IPv4 address. */
static void address_of(const struct sockaddr *sa, struct address *a)
{
	memset(a, 0, sizeof(*a));
	a->family = sa->sa_family;
	if (sa->sa_family == AF_INET) {
		memcpy(a->bytes, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)sa)->sin6_addr;

		memcpy(a->bytes, in6, 16);
		if (IN6_IS_ADDR_V4MAPPED(in6)) {
			a->family = AF_INET;
			memmove(a->bytes, a->bytes + 12, 4);
		}
	}
}

static bool address_parse(const char *text, struct address *a)
{
	memset(a, 0, sizeof(*a));
	a->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(a->family, text, a->bytes) == 1;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	unsigned char mask = (unsigned char)(0xff << (8 - rest));

	return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

/* Is a inside "192.0.2.0/24", or the address that is written without a slash? */
static bool address_in(const struct address *a, const char *net)
{
	char copy[HTTP_ADDRESS_MAX];
	char *slash;
	struct address n;
	unsigned bits;

	str_set(copy, net);
	slash = strchr(copy, '/');
	if (slash != NULL)
		*slash = '\0';
	if (!address_parse(copy, &n) || n.family != a->family)
		return false;
	bits = slash ? (unsigned)strtoul(slash + 1, NULL, 10) : n.family == AF_INET ? 32 : 128;
	return same_bits(a->bytes, n.bytes, bits);
}

static bool is_proxy(const struct http *h, const struct address *a)
{
	for (unsigned i = 0; i < h->cfg.nproxies; i++)
		if (address_in(a, h->cfg.proxies[i]))
			return true;
	return false;
}

static bool peer_address(struct MHD_Connection *c, struct address *a)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (info == NULL || info->client_addr == NULL)
		return false;
	address_of(info->client_addr, a);
	return true;
}

/* The address that a trusted proxy added last to X-Forwarded-For; earlier ones are hearsay. */
static bool forwarded_for(struct MHD_Connection *c, struct address *a)
{
	const char *list = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Forwarded-For");
	const char *last = list ? strrchr(list, ',') : NULL;
	char text[HTTP_ADDRESS_MAX];

	if (list == NULL)
		return false;
	last = last ? last + 1 : list;
	while (*last == ' ')
		last++;
	str_set(text, last);
	text[strcspn(text, " ")] = '\0';
	return address_parse(text, a);
}

static void find_client(struct http_request *r)
{
	struct address a, behind;

	str_set(r->client, "?");
	if (!peer_address(r->mhd, &a))
		return;
	if (is_proxy(r->http, &a) && forwarded_for(r->mhd, &behind))
		a = behind;
	inet_ntop(a.family, a.bytes, r->client, sizeof(r->client));
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct http_request *request_new(
	struct http *h, struct MHD_Connection *c, const char *method, const char *path)
{
	struct http_request *r = calloc(1, sizeof(*r));
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (r == NULL)
		return NULL;
	r->http = h;
	r->mhd = c;
	r->conn = info ? info->socket_context : NULL;
	r->head = str_eq(method, "HEAD");
	r->method = strdup(r->head ? "GET" : method);
	r->path = strdup(path);
	find_client(r);
	return r;
}

static void text_drop(struct text **t)
{
	if (*t != NULL && --(*t)->refs == 0)
		free(*t);
	*t = NULL;
}

static void request_free(struct http_request *r)
{
	if (r->response != NULL)
		MHD_destroy_response(r->response);
	for (unsigned i = 0; i < r->nheaders; i++)
		free(r->header[i].value);
	free(r->method);
	free(r->path);
	free(r->body);
	text_drop(&r->text);
	free(r);
}

/* Adds to the body; false without memory. */
static bool take_body(struct http_request *r, const char *data, size_t len)
{
	size_t cap = r->body_cap ? r->body_cap : 1024;
	char *p;

	if (r->nbody + len > r->http->cfg.body_max) {
		r->state = TOO_LARGE;
		r->nbody += len;
		return r->nbody / SWALLOW <= r->http->cfg.body_max;
	}
	while (cap < r->nbody + len + 1)
		cap *= 2;
	if (cap > r->body_cap) {
		p = realloc(r->body, cap);
		if (p == NULL)
			return false;
		r->body = p;
		r->body_cap = cap;
	}
	memcpy(r->body + r->nbody, data, len);
	r->nbody += len;
	r->body[r->nbody] = '\0';
	return true;
}

static void suspend(struct http_request *r, enum request_state state)
{
	r->state = state;
	DL_APPEND(r->http->suspended, r);
	MHD_suspend_connection(r->mhd);
}

/* A resumed connection is only looked at by the next MHD_run(), and no fd tells of it. */
static void kick(struct http *h)
{
	static const uint64_t one = 1;

	if (h->rung == RUNG || write(h->bell, &one, sizeof(one)) < 0)
		return;
	h->rung = RUNG;
}

static void resume(struct http_request *r, enum request_state state)
{
	r->state = state;
	DL_DELETE(r->http->suspended, r);
	MHD_resume_connection(r->mhd);
	kick(r->http);
}

const char *http_method(const struct http_request *r)
{
	return r->method;
}

const char *http_path(const struct http_request *r)
{
	return r->path;
}

const char *http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

const char *http_query(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_GET_ARGUMENT_KIND, name);
}

struct each_query {
	void (*fn)(void *arg, const char *name, const char *value);
	void *arg;
};

static enum MHD_Result on_query(
	void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct each_query *q = cls;

	q->fn(q->arg, name, value ? value : "");
	return MHD_YES;
}

void http_each_query(const struct http_request *r,
	void (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	struct each_query q = {fn, arg};

	MHD_get_connection_values(r->mhd, MHD_GET_ARGUMENT_KIND, on_query, &q);
}

const char *http_body(const struct http_request *r, size_t *len)
{
	*len = r->nbody;
	return r->body;
}

bool http_cookie(const struct http_request *r, const char *name, char *buf, size_t size)
{
	const char *v = MHD_lookup_connection_value(r->mhd, MHD_COOKIE_KIND, name);

	return v != NULL && str_copy(buf, size, v);
}

const char *http_client(const struct http_request *r)
{
	return r->client;
}

bool http_is_secure(const struct http_request *r)
{
	const char *proto = http_header(r, "X-Forwarded-Proto");
	struct address a;

	if (r->http->cfg.tls_cert[0] != '\0')
		return true;
	return proto != NULL && str_ieq(proto, "https") && peer_address(r->mhd, &a) &&
	       is_proxy(r->http, &a);
}

void http_set_context(struct http_request *r, void *context)
{
	r->context = context;
}

void *http_context(const struct http_request *r)
{
	return r->context;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* What every answer carries: nothing but our own files may run, and nobody may frame us. */
static const struct {
	const char *name, *value;
} always[] = {
	{"Content-Security-Policy",
		"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
		"connect-src 'self'; media-src 'self'; manifest-src 'self'; base-uri 'none'; "
		"form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
};

void http_add_header(struct http_request *r, const char *name, const char *value)
{
	if (r->nheaders == HEADERS_MAX)
		return;
	str_set(r->header[r->nheaders].name, name);
	r->header[r->nheaders].value = strdup(value);
	if (r->header[r->nheaders].value != NULL)
		r->nheaders++;
}

static bool has_header(const struct http_request *r, const char *name)
{
	for (unsigned i = 0; i < r->nheaders; i++)
		if (str_ieq(r->header[i].name, name))
			return true;
	return false;
}

static void add_headers(struct http_request *r, struct MHD_Response *p, const char *type)
{
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		MHD_add_response_header(p, always[i].name, always[i].value);
	if (r->http->cfg.tls_cert[0] != '\0')
		MHD_add_response_header(p, "Strict-Transport-Security", "max-age=31536000");
	if (!has_header(r, MHD_HTTP_HEADER_CACHE_CONTROL))
		MHD_add_response_header(p, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (type != NULL)
		MHD_add_response_header(p, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	for (unsigned i = 0; i < r->nheaders; i++)
		MHD_add_response_header(p, r->header[i].name, r->header[i].value);
}

/* Takes the response over. The request's connection goes on, if it was waiting for it. */
static void give(struct http_request *r, unsigned status, const char *type, struct MHD_Response *p)
{
	if (p == NULL || r->response != NULL || (r->state != ASKED && r->state != WAITING)) {
		if (p != NULL)
			MHD_destroy_response(p);
		return;
	}
	add_headers(r, p, type);
	r->response = p;
	r->status = status;
	if (r->state == WAITING)
		resume(r, ASKED);
}

void http_reply(
	struct http_request *r, unsigned status, const char *type, const char *body, size_t len)
{
	char *packed = NULL;

	if (gzip_is_worth(type, len)) {
		http_add_header(r, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
		if (gzip_is_wanted(http_header(r, MHD_HTTP_HEADER_ACCEPT_ENCODING)))
			packed = gzip_pack(body, len, &len);
	}
	if (packed != NULL) {
		http_add_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
		give(r, status, type,
			MHD_create_response_from_buffer(len, packed, MHD_RESPMEM_MUST_FREE));
		return;
	}
	give(r, status, type,
		MHD_create_response_from_buffer(
			len, len ? (void *)(uintptr_t)body : NULL, MHD_RESPMEM_MUST_COPY));
}

void http_reply_file(struct http_request *r, unsigned status, const char *type, int fd,
	uint64_t offset, uint64_t size)
{
	struct MHD_Response *p = MHD_create_response_from_fd_at_offset64(size, fd, offset);

	if (p == NULL)
		close(fd);
	give(r, status, type, p);
}

/* First of all what a push has left. */
static ssize_t take_rest(struct http_request *r, char *buf, size_t max)
{
	size_t left = r->text->len - r->at, n = left < max ? left : max;

	memcpy(buf, r->text->bytes + r->at, n);
	r->at += n;
	if (n == left)
		text_drop(&r->text);
	return (ssize_t)n;
}

static ssize_t on_stream(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct http_request *r = cls;
	ssize_t n;

	if (r->state == ABORTED)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	n = r->text != NULL ? take_rest(r, buf, max) : r->read(r->read_arg, buf, max);
	if (n < 0)
		return n == HTTP_WHOLE ? MHD_CONTENT_READER_END_OF_STREAM
				       : MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0)
		suspend(r, DRY);
	return n;
}

void http_reply_stream(struct http_request *r, const char *type, http_read_fn *fn, void *arg)
{
	struct MHD_Response *p = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_stream, r, NULL);

	/* not in chunks: a push could not tell where one ends that MHD has begun */
	if (p != NULL && r->body_goes == PUSHABLE)
		MHD_set_response_options(
			p, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	r->read = fn;
	r->read_arg = arg;
	give(r, MHD_HTTP_OK, type, p);
}

void http_reply_events(struct http_request *r, const char *type, http_read_fn *fn, void *arg)
{
	static const int size = STREAM_SEND_BUFFER, at_once = 1;

	r->rests = EVENTS;
	if (r->conn != NULL && r->conn->fd >= 0) {
		setsockopt(r->conn->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(r->conn->fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
		r->body_goes = r->http->cert == NULL ? PUSHABLE : BY_MHD;
	}
	http_reply_stream(r, type, fn, arg);
}

/* The text of what is in the scratch; NULL without memory. */
static struct text *text_of(struct http *h, size_t n)
{
	struct text *t = h->last;

	if (t == NULL || t->len != n || memcmp(t->bytes, h->scratch, n) != 0) {
		t = malloc(sizeof(*t) + n);
		if (t == NULL)
			return NULL;
		t->refs = 1;
		t->len = n;
		memcpy(t->bytes, h->scratch, n);
		text_drop(&h->last);
		h->last = t;
	}
	t->refs++;
	return t;
}

/* What there is now; *last is what the stream said in the end: 0 for no more, -1 for over. */
static size_t fill_scratch(struct http_request *r, ssize_t *last)
{
	size_t n = 0;

	do {
		*last = r->read(r->read_arg, r->http->scratch + n, PUSH_MAX - n);
		n += *last > 0 ? (size_t)*last : 0;
	} while (*last > 0 && n < PUSH_MAX);
	return n;
}

/* Has what there is written past MHD, whose own way costs as much again, and a walk along all connections
 * that wait. MHD goes on when something is wrong, or the socket is full. */
static void push(struct http_request *r)
{
	struct http *h = r->http;
	ssize_t last;
	size_t n = fill_scratch(r, &last);

	if (n == 0 && last == 0)
		return;
	r->text = n > 0 ? text_of(h, n) : NULL;
	r->at = 0;
	if (r->text == NULL) {
		if (n > 0) /* it must not go on with a hole */
			shutdown(r->conn->fd, SHUT_RDWR);
		resume(r, STREAMING); /* and is told there that it is over */
		return;
	}
	r->state = last == 0 ? PUSHING : PUSHING_MORE;
	push_give(h->push, &(struct push_job){.fd = r->conn->fd, .text = r->text->bytes,
				   .len = r->text->len, .arg = r});
}

static void pushed(const struct push_job *job)
{
	struct http_request *r = job->arg;
	bool more = r->state == PUSHING_MORE;

	if (job->written < job->len) {
		r->at = job->written;
		resume(r, STREAMING);
		return;
	}
	text_drop(&r->text);
	r->state = DRY;
	if (more)
		push(r);
}

void http_stream_wake(struct http_request *r)
{
	if (r->state == PUSHING)
		r->state = PUSHING_MORE;
	else if (r->state == DRY && r->body_goes == PUSHABLE)
		push(r);
	else if (r->state == DRY)
		resume(r, STREAMING);
}

void http_cut(struct http_request *r)
{
	if (r->state == DRY)
		resume(r, STREAMING);
	if (r->conn != NULL && r->conn->fd >= 0)
		shutdown(r->conn->fd, SHUT_RDWR);
}

/* ---- MHD's callbacks ------------------------------------------------------------------------- */

static enum MHD_Result refuse(struct http_request *r, unsigned status, const char *text)
{
	char body[160];
	struct MHD_Response *p;
	enum MHD_Result ok;

	snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
		status == MHD_HTTP_CONTENT_TOO_LARGE ? "too_large" : "bad_request", text);
	p = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_COPY);
	if (p == NULL)
		return MHD_NO;
	add_headers(r, p, "application/json");
	MHD_add_response_header(p, MHD_HTTP_HEADER_CONNECTION, "close");
	ok = MHD_queue_response(r->mhd, status, p);
	MHD_destroy_response(p);
	r->state = REFUSED;
	return ok;
}

static enum MHD_Result refuse_size(struct http_request *r)
{
	char text[80];

	snprintf(text, sizeof(text), "expected a body of at most %u bytes", r->http->cfg.body_max);
	return refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, text);
}

/* The headers are there; the body may follow. */
static enum MHD_Result begin(struct http *h, struct MHD_Connection *c, const char *url,
	const char *method, void **con_cls)
{
	struct http_request *r = request_new(h, c, method, url);
	const char *len;

	if (r == NULL || r->method == NULL || r->path == NULL) {
		if (r != NULL)
			request_free(r);
		return MHD_NO;
	}
	*con_cls = r;
	len = http_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
	if (len != NULL && strtoull(len, NULL, 10) > h->cfg.body_max)
		return refuse_size(r);
	return MHD_YES;
}

/* Hands the response to MHD; from here on it tells with on_completed() what became of it. */
static enum MHD_Result queue(struct http_request *r)
{
	enum MHD_Result ok = MHD_queue_response(r->mhd, r->status, r->response);

	MHD_destroy_response(r->response);
	r->response = NULL;
	r->state = r->read ? STREAMING : ANSWERED;
	return ok;
}

static enum MHD_Result whole(struct http_request *r)
{
	struct http *h = r->http;

	if (r->state == TOO_LARGE)
		return refuse_size(r);
	if (r->conn != NULL)
		r->conn->deadline = 0;
	r->state = ASKED;
	h->hooks.request(h->hooks.arg, r);
	if (r->response != NULL)
		return queue(r);
	suspend(r, WAITING);
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **con_cls)
{
	struct http_request *r = *con_cls;

	if (r == NULL)
		return begin(cls, c, url, method, con_cls);
	if (r->state == REFUSED)
		return MHD_NO;
	if (*size > 0) {
		bool ok = take_body(r, data, *size);

		*size = 0;
		return ok ? MHD_YES : MHD_NO;
	}
	if (r->state == ABORTED)
		return MHD_NO;
	return r->response != NULL ? queue(r) : whole(r);
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	struct http *h = cls;
	struct http_request *r = *con_cls;

	*con_cls = NULL;
	if (r == NULL)
		return;
	if (r->state == WAITING || r->state == DRY)
		DL_DELETE(h->suspended, r); /* while it is pushed MHD does not touch it */
	if (r->conn != NULL)
		r->conn->deadline = now_ms() + h->cfg.idle_ms + h->cfg.request_ms;
	if (r->state != READING && r->state != TOO_LARGE && r->state != REFUSED)
		h->hooks.over(h->hooks.arg, r);
	request_free(r);
}

static void connection_begins(struct http *h, struct MHD_Connection *c, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct connection *x = calloc(1, sizeof(*x));

	*context = x;
	h->nconns++;
	if (x == NULL)
		return;
	x->http = h;
	x->fd = info ? info->connect_fd : -1;
	x->deadline = now_ms() + h->cfg.request_ms;
	DL_APPEND(h->conns, x);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *h = cls;
	struct connection *x = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		connection_begins(h, c, context);
		return;
	}
	h->nconns--;
	if (x == NULL)
		return;
	DL_DELETE(h->conns, x);
	free(x);
	*context = NULL;
}

static void __attribute__((format(printf, 2, 0))) on_log(void *cls, const char *fmt, va_list ap)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\r\n")] = '\0';
	log_kv(LOG_LEVEL_DEBUG, (struct log_ref){0}, "http", "msg", text, NULL);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* When something is to be looked at although no fd tells, monotonic ms; 0: never. */
static int64_t next_look(const struct http *h, int64_t now)
{
	int64_t at = 0;
	unsigned long long t;

	if (h->nconns > 0)
		at = h->tick_at > now ? h->tick_at : now + 1;
	for (unsigned i = 0; i < h->cfg.nlisten; i++)
		if (MHD_get_timeout(h->daemon[i], &t) == MHD_YES && (at == 0 || now + (int64_t)t < at))
			at = now + (t ? (int64_t)t : 1);
	return at;
}

/* Sets the timer if it would fire too late; one that fires early finds nothing to do, and setting it at
 * each turn is what costs (an interrupt is programmed). */
static void arm(struct http *h)
{
	struct itimerspec spec = {{0}};
	int64_t now = now_ms(), at = next_look(h, now);

	if (at == 0 || (h->timer_at != 0 && h->timer_at <= at))
		return;
	spec.it_value.tv_sec = (time_t)((at - now) / 1000);
	spec.it_value.tv_nsec = (long)((at - now) % 1000) * 1000000;
	if (timerfd_settime(h->timer, 0, &spec, NULL) == 0)
		h->timer_at = at;
}

static bool has_left(const struct http_request *r)
{
	struct pollfd p = {.fd = r->conn ? r->conn->fd : -1, .events = POLLRDHUP};

	return p.fd >= 0 && poll(&p, 1, 0) == 1;
}

/* MHD does not look at a connection that is suspended: nobody else would see that who waits for an answer,
 * or for the rest of it, has gone. Who listens to events is found out when there is something to say. */
static void drop_left(struct http *h)
{
	struct http_request *r, *next;

	DL_FOREACH_SAFE(h->suspended, r, next)
	if ((r->state == WAITING || (r->state == DRY && r->rests == AWAITED)) && has_left(r))
		resume(r, ABORTED);
}

/* Shuts the connections whose request took too long; MHD then finds them closed. */
static void cut_late(struct http *h)
{
	int64_t now = now_ms();
	struct connection *x;

	if (now < h->tick_at)
		return;
	h->tick_at = now + TICK_MS;
	drop_left(h);
	DL_FOREACH(h->conns, x)
	{
		if (x->deadline == 0 || now < x->deadline || x->fd < 0)
			continue;
		shutdown(x->fd, SHUT_RDWR);
		x->deadline = 0;
	}
}

/* What the fds have to tell that are not MHD's. */
static void hear(struct http *h)
{
	struct push_job job;
	uint64_t n;

	push_heard(h->push);
	while (push_take(h->push, &job))
		pushed(&job);
	if (h->rung == RUNG && read(h->bell, &n, sizeof(n)) > 0)
		h->rung = QUIET;
	if (h->timer_at != 0 && now_ms() >= h->timer_at && read(h->timer, &n, sizeof(n)) > 0)
		h->timer_at = 0;
}

void http_run(struct http *h)
{
	hear(h);
	cut_late(h);
	for (unsigned i = 0; i < h->cfg.nlisten; i++)
		MHD_run(h->daemon[i]);
	arm(h);
}

int http_fd(const struct http *h)
{
	return h->epoll;
}

unsigned http_connections(const struct http *h)
{
	return h->nconns;
}

/* ---- open and close -------------------------------------------------------------------------- */

static void complain(const char *option, const char *value, const char *why)
{
	log_kv(LOG_LEVEL_ERROR, (struct log_ref){0}, "http_not_opened", option, value, "why", why,
		NULL);
}

/* Splits "127.0.0.1:8080" or "[::1]:8080". */
static int parse_listen(const char *text, struct sockaddr_storage *ss)
{
	const char *colon = strrchr(text, ':');
	char host[HTTP_ADDRESS_MAX];
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint16_t port = colon ? htons((uint16_t)strtoul(colon + 1, NULL, 10)) : 0;
	struct sockaddr_in *in4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (text[0] == '[' && len > 2) {
		str_copy_n(host, sizeof(host), text + 1, len - 2);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 ? 0 : EINVAL;
	}
	str_copy_n(host, sizeof(host), text, len);
	in4->sin_family = AF_INET;
	in4->sin_port = port;
	return inet_pton(AF_INET, host, &in4->sin_addr) == 1 ? 0 : EINVAL;
}

static int read_pem(const char *option, const char *path, char **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	ssize_t n = -1;

	*out = fd < 0 ? NULL : calloc(1, PEM_MAX);
	if (*out != NULL)
		n = read(fd, *out, PEM_MAX - 1);
	if (n < 0)
		rc = errno ? errno : ENOMEM;
	if (fd >= 0)
		close(fd);
	if (rc)
		complain(option, path, strerror(rc));
	return rc;
}

static int add_fd(struct http *h, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? errno : 0;
}

/* %00 would end the text that it is in, and what is left may be right and mean something else. So it
 * becomes a byte that no text has: whoever looks at the value finds it wrong. */
static size_t unescape(void *cls, struct MHD_Connection *conn, char *text)
{
	for (char *p = strstr(text, "%00"); p != NULL; p = strstr(p, "%00"))
		memcpy(p, "%FF", 3);
	return MHD_http_unescape(text);
}

static int start_daemon(struct http *h, unsigned i)
{
	struct sockaddr_storage ss;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{h->cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, h->cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, h->key},
		{MHD_OPTION_END, 0, NULL},
	};
	const union MHD_DaemonInfo *info;

	if (parse_listen(h->cfg.listen[i], &ss)) {
		complain("http.listen", h->cfg.listen[i], "not an address and a port");
		return EINVAL;
	}
	if (ss.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	if (h->cert != NULL)
		flags |= MHD_USE_TLS;
	errno = 0;
	h->daemon[i] = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
		MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&ss,
		MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
		MHD_OPTION_CONNECTION_LIMIT, h->cfg.connections,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, h->cfg.connections_each,
		MHD_OPTION_CONNECTION_TIMEOUT, (h->cfg.idle_ms + 999) / 1000,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
		MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	info = h->daemon[i] ? MHD_get_daemon_info(h->daemon[i], MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (info != NULL)
		return add_fd(h, info->epoll_fd);
	complain("http.listen", h->cfg.listen[i],
		errno == EADDRINUSE ? "the address is in use"
		: h->cert           ? "cannot be listened on, or http.tls_cert and tls_key do not fit"
		: errno             ? strerror(errno)
				    : "cannot be listened on");
	return errno ? errno : EADDRNOTAVAIL;
}

static int open_fds(struct http *h)
{
	int rc;

	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	h->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (h->epoll < 0 || h->timer < 0 || h->bell < 0)
		return errno;
	if ((rc = add_fd(h, h->timer)) || (rc = add_fd(h, h->bell)) ||
		(rc = push_open(h->cfg.connections, &h->push)))
		return rc;
	return add_fd(h, push_fd(h->push));
}

int http_open(const struct http_config *cfg, const struct http_hooks *hooks, struct http **out)
{
	struct http *h = calloc(1, sizeof(*h));
	int rc;

	if (h == NULL)
		return ENOMEM;
	h->cfg = *cfg;
	h->hooks = *hooks;
	h->epoll = h->timer = h->bell = -1;
	h->scratch = malloc(PUSH_MAX);
	rc = h->scratch != NULL ? open_fds(h) : ENOMEM;
	if (rc == 0 && cfg->tls_cert[0] != '\0')
		rc = read_pem("http.tls_cert", cfg->tls_cert, &h->cert);
	if (rc == 0 && cfg->tls_cert[0] != '\0')
		rc = read_pem("http.tls_key", cfg->tls_key, &h->key);
	for (unsigned i = 0; rc == 0 && i < cfg->nlisten; i++)
		rc = start_daemon(h, i);
	if (rc) {
		http_close(h);
		return rc;
	}
	*out = h;
	return 0;
}

/* MHD wants no connection to be suspended when it stops. */
void http_close(struct http *h)
{
	if (h == NULL)
		return;
	push_close(h->push);
	while (h->suspended != NULL)
		resume(h->suspended, ABORTED);
	for (unsigned i = 0; i < h->cfg.nlisten; i++)
		if (h->daemon[i] != NULL)
			MHD_stop_daemon(h->daemon[i]);
	if (h->epoll >= 0)
		close(h->epoll);
	if (h->timer >= 0)
		close(h->timer);
	if (h->bell >= 0)
		close(h->bell);
	free(h->scratch);
	text_drop(&h->last);
	free(h->cert);
	if (h->key != NULL)
		explicit_bzero(h->key, PEM_MAX);
	free(h->key);
	free(h);
}
