/*
 * slice: pieces of received text, and a writer that cannot overrun. Nothing is copied, nothing is
 * terminated: a slice is valid as long as the text it points into.
 */
#ifndef SEGUE_SIP_SLICE_H
#define SEGUE_SIP_SLICE_H

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *p;
	size_t n;
};

static inline struct slice slice_of(const char *p, size_t n)
{
	return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){s, s ? strlen(s) : 0};
}

static inline int slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline int slice_is(struct slice a, const char *s)
{
	return slice_eq(a, slice_str(s));
}

/* ASCII without case. */
static inline int slice_iis(struct slice a, const char *s)
{
	return a.n == strlen(s) && strncasecmp(a.p ? a.p : "", s, a.n) == 0;
}

static inline int slice_starts(struct slice a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

/* Without the first n bytes. */
static inline struct slice slice_skip(struct slice a, size_t n)
{
	return n < a.n ? slice_of(a.p + n, a.n - n) : slice_of(a.p + a.n, 0);
}

static inline int slice_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without blanks, tabs and line ends at both ends. */
static inline struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && slice_is_blank(s.p[0]))
		s.p++, s.n--;
	while (s.n > 0 && slice_is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* The part before the first byte of set; what follows that byte goes to *rest, whose p is NULL if
 * there was no such byte. */
static inline struct slice slice_cut(struct slice s, const char *set, struct slice *rest)
{
	const char *at = NULL;

	if (set[0] != '\0' && set[1] == '\0') /* as nearly all are: one byte */
		at = s.n > 0 ? (const char *)memchr(s.p, set[0], s.n) : NULL;
	else
		for (size_t i = 0; i < s.n && at == NULL; i++)
			if (s.p[i] != '\0' && strchr(set, s.p[i]))
				at = s.p + i;
	if (at == NULL) {
		*rest = slice_of(NULL, 0);
		return s;
	}
	*rest = slice_of(at + 1, s.n - (size_t)(at + 1 - s.p));
	return slice_of(s.p, (size_t)(at - s.p));
}

/* Next word between blanks and tabs; *s moves behind it. n is 0 at the end. */
static inline struct slice slice_word(struct slice *s)
{
	struct slice word;
	size_t n = 0;

	while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t'))
		s->p++, s->n--;
	while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	word = slice_of(s->p, n);
	s->p += n;
	s->n -= n;
	return word;
}

/* Next line, without its LF or CRLF; *s moves behind it. 0 at the end of the text. */
static inline int slice_line(struct slice *s, struct slice *line)
{
	const char *lf;
	size_t n;

	if (s->n == 0)
		return 0;
	lf = (const char *)memchr(s->p, '\n', s->n);
	n = lf ? (size_t)(lf - s->p) : s->n;
	*line = slice_of(s->p, n > 0 && s->p[n - 1] == '\r' ? n - 1 : n);
	s->p += lf ? n + 1 : n;
	s->n -= lf ? n + 1 : n;
	return 1;
}

/* ---- a writer that fails once and for all when its buffer is full -------------------------- */

struct out {
	char *buf;
	size_t size, at;
	int failed;
};

static inline void out_slice(struct out *o, struct slice s)
{
	if (o->failed || s.n >= o->size - o->at) {
		o->failed = 1;
		return;
	}
	if (s.n > 0)
		memcpy(o->buf + o->at, s.p, s.n);
	o->at += s.n;
}

static inline void out_str(struct out *o, const char *s)
{
	out_slice(o, slice_str(s));
}

/* Terminates the text: 0, or ENOSPC and an empty text. */
static inline int out_end(struct out *o)
{
	if (o->size > 0)
		o->buf[o->failed ? 0 : o->at] = '\0';
	return o->failed ? ENOSPC : 0;
}

#endif
