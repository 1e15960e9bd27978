/* events: the payload number of telephone events (RFC 4733) in a session description. Written for
 * hostile input, as own.c. */
#include <string.h>
#include <strings.h>

#include "media/inner.h"

#define RTPMAP "a=rtpmap:"
#define FMTP   "a=fmtp:"
#define AUDIO  "m=audio "

struct span {
	const char *p;
	size_t n;
};

/* With its end. False: that was all. */
static bool next_line(struct span *text, struct span *line)
{
	const char *eol = text->n > 0 ? memchr(text->p, '\n', text->n) : NULL;

	line->p = text->p;
	line->n = eol != NULL ? (size_t)(eol - text->p) + 1 : text->n;
	text->p += line->n;
	text->n -= line->n;
	return line->n > 0;
}

static bool begins(struct span s, const char *with)
{
	return s.n >= strlen(with) && strncasecmp(s.p, with, strlen(with)) == 0;
}

/* A payload number and the end of it, or -1. */
static int number_at(struct span s, size_t *n)
{
	int number = 0;

	for (*n = 0; *n < s.n && *n < 3 && s.p[*n] >= '0' && s.p[*n] <= '9'; (*n)++)
		number = number * 10 + s.p[*n] - '0';
	return *n > 0 && (*n == s.n || strchr(" \r\n", s.p[*n]) != NULL) ? number : -1;
}

static struct span after(struct span s, size_t n)
{
	return (struct span){s.p + n, s.n - n};
}

/* Of "a=rtpmap:101 telephone-event/8000": 101, and the rest; -1: it is no such line. */
static int number_of(struct span line, const char *attribute, struct span *rest)
{
	size_t n;
	int number;

	if (!begins(line, attribute))
		return -1;
	*rest = after(line, strlen(attribute));
	number = number_at(*rest, &n);
	*rest = after(*rest, n);
	return number;
}

/* Of "m=audio 4000 RTP/AVP 0 101": the formats. */
static bool formats_of(struct span line, struct span *formats)
{
	const char *at;

	if (!begins(line, AUDIO))
		return false;
	*formats = after(line, strlen(AUDIO));
	for (unsigned i = 0; i < 2; i++) {
		at = formats->n > 0 ? memchr(formats->p, ' ', formats->n) : NULL;
		if (at == NULL)
			return false;
		*formats = after(*formats, (size_t)(at - formats->p) + 1);
	}
	return true;
}

int events_number(const char *sdp, size_t len)
{
	struct span text = {sdp, len}, line, rest;

	while (next_line(&text, &line)) {
		int number = number_of(line, RTPMAP, &rest);

		if (number >= 0 && begins(rest, " telephone-event/8000"))
			return number;
	}
	return -1;
}

struct writer {
	char *buf;
	size_t size, at; /* at > size: it did not fit */
};

static void put(struct writer *w, const char *p, size_t n)
{
	if (w->at <= w->size && n <= w->size - w->at)
		memcpy(w->buf + w->at, p, n);
	else
		w->at = w->size + 1;
	if (w->at <= w->size)
		w->at += n;
}

static void put_number(struct writer *w, int number)
{
	char digits[12], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	put(w, p, (size_t)(digits + sizeof(digits) - p));
}

/* The formats with one number in the place of the other. False: that one stands for something else. */
static bool put_formats(struct writer *w, struct span formats, int have, int want)
{
	while (formats.n > 0) {
		size_t n = 0, digits;
		int number;

		while (n < formats.n && strchr(" \r\n", formats.p[n]) == NULL)
			n++;
		number = number_at((struct span){formats.p, n}, &digits);
		if (number == want)
			return false;
		if (number == have)
			put_number(w, want);
		else
			put(w, formats.p, n);
		formats = after(formats, n);
		if (formats.n == 0)
			break;
		put(w, formats.p, 1); /* what comes between two */
		formats = after(formats, 1);
	}
	return true;
}

size_t events_renumber(const char *sdp, size_t len, int want, char *buf, size_t size)
{
	struct span text = {sdp, len}, line, rest;
	struct writer w = {buf, size, 0};
	int have = events_number(sdp, len);

	if (have < 0 || want < 0 || have == want)
		return 0;
	while (next_line(&text, &line)) {
		bool map = number_of(line, RTPMAP, &rest) == have;

		if (formats_of(line, &rest)) {
			put(&w, line.p, (size_t)(rest.p - line.p));
			if (!put_formats(&w, rest, have, want))
				return 0;
		} else if (map || number_of(line, FMTP, &rest) == have) {
			put(&w, line.p, strlen(map ? RTPMAP : FMTP));
			put_number(&w, want);
			put(&w, rest.p, rest.n);
		} else {
			put(&w, line.p, line.n);
		}
	}
	return w.at <= w.size ? w.at : 0;
}
