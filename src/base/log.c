/*
 * log: see log.h. One mutex covers the settings, the output and the ring of kept lines, so a line
 * is never torn and the ring's order is the order on the screen.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <uthash.h>
#include <utlist.h>

ENUM_DEFINE(log_level, LOG_LEVEL_LIST)
ENUM_DEFINE(log_target, LOG_TARGET_LIST)

#define LINE_MAX_ 2048              /* a longer line is cut */
#define KEEP_PER_CALL 64            /* newest lines of one call */
#define KEEP_BYTES_MAX (4u << 20)   /* of all calls together: the oldest line goes first */

/* A line being built. Room for the newline is always left. */
struct line {
	char text[LINE_MAX_];
	size_t len;
	size_t body; /* where the part after the time begins, for syslog */
};

struct kept_call;

/* A kept line, in two lists: of its call, and of all lines by age. */
struct kept {
	struct kept *prev, *next;         /* of its call, oldest first */
	struct kept *all_prev, *all_next; /* of every call, oldest first */
	struct kept_call *call;
	size_t bytes;
	char text[];
};

struct kept_call {
	call_id id;
	struct kept *lines;
	unsigned n;
	UT_hash_handle hh;
};

static struct {
	pthread_mutex_t lock;
	enum log_target target;
	enum log_level min;
	bool holding;
	char held[4 * LINE_MAX_]; /* lines that wait for log_release() */
	size_t nheld;
	struct kept_call *calls;
	struct kept *oldest;
	size_t bytes;
} g = {.lock = PTHREAD_MUTEX_INITIALIZER, .target = LOG_TARGET_STDERR, .min = LOG_LEVEL_INFO};

/* ---- building a line ---------------------------------------------------------------------- */

static void put_n(struct line *l, const char *s, size_t n)
{
	size_t room = sizeof(l->text) - 2 - l->len;

	if (n > room)
		n = room;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void put(struct line *l, const char *s)
{
	put_n(l, s, strlen(s));
}

static void put_time(struct line *l)
{
	static __thread time_t second;
	static __thread char stamp[24];
	struct timespec ts;
	struct tm tm;
	char ms[] = ".000Z";
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec != second) {
		second = ts.tv_sec;
		gmtime_r(&second, &tm);
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	}
	n = (int)(ts.tv_nsec / 1000000);
	for (int i = 3; i > 0; i--, n /= 10)
		ms[i] = (char)('0' + n % 10);
	put(l, stamp);
	put_n(l, ms, sizeof(ms) - 1);
}

/* Length of the UTF-8 character at s that may be printed as it is; 0 for control characters (C0,
 * DEL, C1), overlong forms, surrogates and bytes that are no UTF-8. */
static size_t printable(const unsigned char *s)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
	uint32_t c;

	if (n == 0 || s[0] > 0xf4 || s[0] < 0x20 || s[0] == 0x7f)
		return 0;
	if (n == 1)
		return 1;
	c = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c < 0xa0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

/* ASCII that stands in a value as it is, without quotes. */
static bool is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static bool needs_quotes(const char *v)
{
	const unsigned char *s = (const unsigned char *)v;
	size_t n;

	while (is_plain(*s))
		s++;
	for (; *s != '\0'; s += n) {
		n = *s >= 0x80 ? printable(s) : is_plain(*s);
		if (n == 0)
			return true;
	}
	return false;
}

static void put_escaped(struct line *l, unsigned char c)
{
	char hex[8];

	switch (c) {
	case '\n':
		put(l, "\\n");
		break;
	case '\r':
		put(l, "\\r");
		break;
	case '\t':
		put(l, "\\t");
		break;
	case '"':
	case '\\':
		put_n(l, (const char[]){'\\', (char)c}, 2);
		break;
	default:
		snprintf(hex, sizeof(hex), "\\x%02x", c);
		put(l, hex);
	}
}

static void put_value(struct line *l, const char *v)
{
	const unsigned char *s = (const unsigned char *)v;

	if (!needs_quotes(v)) {
		put(l, v);
		return;
	}
	put(l, "\"");
	while (*s != '\0') {
		size_t n = printable(s);

		if (n == 0 || *s == '"' || *s == '\\') {
			put_escaped(l, *s++);
			continue;
		}
		put_n(l, (const char *)s, n);
		s += n;
	}
	put(l, "\"");
}

/* The word of a secret that begins with that letter; NULL: none. */
static const char *secret_word(char first)
{
	switch (first | 0x20) {
	case 'p':
		return "password";
	case 's':
		return "secret";
	case 'h':
		return "ha1";
	case 'a':
		return "authorization";
	case 't':
		return "token";
	default:
		return NULL;
	}
}

/* A secret that somebody passes by mistake must not end up in a file. Asked for each pair of each
 * line. */
static bool is_secret(const char *key)
{
	for (; *key != '\0'; key++) {
		const char *word = secret_word(*key);

		if (word != NULL && (key[1] | 0x20) == word[1] &&
			strncasecmp(key, word, strlen(word)) == 0)
			return true;
	}
	return false;
}

static void put_pair(struct line *l, const char *key, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	put(l, " ");
	put(l, key);
	put(l, "=");
	put_value(l, is_secret(key) ? "***" : value);
}

static void put_head(struct line *l, enum log_level level, const struct log_ref *ref,
	const char *event)
{
	char id[ID_STRLEN], xfer[UUID_STRLEN];

	l->len = 0;
	put_time(l);
	put(l, " ");
	l->body = l->len;
	put(l, log_level_name(level));
	if (ref->id != ID_NONE)
		put_pair(l, "call", id_str(id_call(ref->id), id));
	if (id_legno(ref->id) != 0)
		put_pair(l, "leg", id_str(ref->id, id));
	if (ref->xfer != NULL && !uuid_is_nil(ref->xfer))
		put_pair(l, "xfer", uuid_str(ref->xfer, xfer));
	put(l, " ");
	put(l, event);
}

/* ---- kept lines ---------------------------------------------------------------------------- */

static void forget(struct kept *k)
{
	struct kept_call *c = k->call;

	DL_DELETE(c->lines, k);
	DL_DELETE2(g.oldest, k, all_prev, all_next);
	g.bytes -= k->bytes;
	if (--c->n == 0) {
		HASH_DEL(g.calls, c);
		free(c);
	}
	free(k);
}

static struct kept_call *call_of(call_id id)
{
	struct kept_call *c;

	HASH_FIND(hh, g.calls, &id, sizeof(id), c);
	if (c != NULL || (c = calloc(1, sizeof(*c))) == NULL)
		return c;
	c->id = id;
	HASH_ADD(hh, g.calls, id, sizeof(c->id), c);
	return c;
}

static void keep(call_id id, const struct line *l)
{
	size_t bytes = sizeof(struct kept) + l->len + 1;
	struct kept *k = malloc(bytes);
	struct kept_call *c = k ? call_of(id) : NULL;

	if (c == NULL) {
		free(k); /* the line has been written; only the copy for seguectl is missing */
		return;
	}
	k->call = c;
	k->bytes = bytes;
	memcpy(k->text, l->text, l->len);
	k->text[l->len] = '\0';
	DL_APPEND(c->lines, k);
	DL_APPEND2(g.oldest, k, all_prev, all_next);
	c->n++;
	g.bytes += bytes;
	if (c->n > KEEP_PER_CALL)
		forget(c->lines);
	while (g.bytes > KEEP_BYTES_MAX)
		forget(g.oldest);
}

static void __attribute__((destructor)) forget_all(void)
{
	while (g.oldest != NULL)
		forget(g.oldest);
}

/* ---- output --------------------------------------------------------------------------------- */

static int syslog_level(enum log_level level)
{
	static const int map[] = {[LOG_LEVEL_DEBUG] = LOG_DEBUG,
		[LOG_LEVEL_INFO] = LOG_INFO,
		[LOG_LEVEL_NOTICE] = LOG_NOTICE,
		[LOG_LEVEL_WARN] = LOG_WARNING,
		[LOG_LEVEL_ERROR] = LOG_ERR};

	return map[level];
}

static void write_stderr(const char *text, size_t len)
{
	ssize_t n = write(STDERR_FILENO, text, len);

	(void)n; /* a log that cannot be written must not stop a call */
}

static void write_held(void)
{
	if (g.nheld > 0)
		write_stderr(g.held, g.nheld);
	g.nheld = 0;
}

static void write_out(enum log_level level, struct line *l)
{
	switch (g.target) {
	case LOG_TARGET_SYSLOG:
		l->text[l->len] = '\0';
		syslog(syslog_level(level), "%s", l->text + l->body);
		break;
	case LOG_TARGET_STDERR:
		l->text[l->len] = '\n';
		if (!g.holding) {
			write_stderr(l->text, l->len + 1);
			break;
		}
		if (g.nheld + l->len + 1 > sizeof(g.held))
			write_held();
		memcpy(g.held + g.nheld, l->text, l->len + 1);
		g.nheld += l->len + 1;
		break;
	default:
		break;
	}
}

static void finish(enum log_level level, const struct log_ref *ref, struct line *l)
{
	pthread_mutex_lock(&g.lock);
	write_out(level, l);
	if (ref->id != ID_NONE)
		keep(id_call(ref->id), l);
	pthread_mutex_unlock(&g.lock);
}

void log_open(enum log_target target, enum log_level min)
{
	pthread_mutex_lock(&g.lock);
	write_held();
	if (target == LOG_TARGET_SYSLOG && g.target != LOG_TARGET_SYSLOG)
		openlog("segued", LOG_PID, LOG_DAEMON);
	else if (target != LOG_TARGET_SYSLOG && g.target == LOG_TARGET_SYSLOG)
		closelog();
	g.target = target;
	__atomic_store_n(&g.min, min, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&g.lock);
}

void log_hold(void)
{
	pthread_mutex_lock(&g.lock);
	g.holding = true;
	pthread_mutex_unlock(&g.lock);
}

void log_release(void)
{
	pthread_mutex_lock(&g.lock);
	g.holding = false;
	write_held();
	pthread_mutex_unlock(&g.lock);
}

enum log_level log_min(void)
{
	return __atomic_load_n(&g.min, __ATOMIC_RELAXED);
}

void log_kv(enum log_level level, struct log_ref ref, const char *event, ...)
{
	struct line l;
	const char *key;
	va_list ap;

	if (level < log_min())
		return;
	put_head(&l, level, &ref, event);
	va_start(ap, event);
	while ((key = va_arg(ap, const char *)) != NULL)
		put_pair(&l, key, va_arg(ap, const char *));
	va_end(ap);
	finish(level, &ref, &l);
}

void log_pairs(enum log_level level, struct log_ref ref, const char *event,
	const char *const *pairs, unsigned n)
{
	struct line l;

	if (level < log_min())
		return;
	put_head(&l, level, &ref, event);
	for (unsigned i = 0; i + 1 < n; i += 2)
		put_pair(&l, pairs[i], pairs[i + 1]);
	finish(level, &ref, &l);
}

void log_msg(enum log_level level, struct log_ref ref, const char *event, const char *fmt, ...)
{
	char msg[LINE_MAX_];
	struct line l;
	va_list ap;

	if (level < log_min())
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	put_head(&l, level, &ref, event);
	put_pair(&l, "msg", msg);
	finish(level, &ref, &l);
}

void log_each_of_call(call_id call, void (*fn)(void *arg, const char *line), void *arg)
{
	call_id id = id_call(call);
	struct kept_call *c;
	struct kept *k;

	pthread_mutex_lock(&g.lock);
	HASH_FIND(hh, g.calls, &id, sizeof(id), c);
	if (c != NULL)
		DL_FOREACH(c->lines, k)
			fn(arg, k->text);
	pthread_mutex_unlock(&g.lock);
}
