/* own: session descriptions for a party that is an engine playing music: it sends, it listens to
 * nobody, and it speaks one codec that the other side offered. Written for hostile input: bounded and
 * linear, nothing is trusted to be well-formed. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "media/inner.h"

#define OWN_HEAD                                                                                   \
	"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=music\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
#define LINE_MAX_ 256

struct reader {
	const char *p, *end;
};

/* The next line without its end, cut to the buffer. */
static bool next_line(struct reader *r, char *line, size_t size)
{
	const char *eol;
	size_t n;

	if (r->p >= r->end)
		return false;
	eol = memchr(r->p, '\n', (size_t)(r->end - r->p));
	if (eol == NULL)
		eol = r->end;
	n = (size_t)(eol - r->p);
	if (n > 0 && r->p[n - 1] == '\r')
		n--;
	str_copy_n(line, size, r->p, n);
	r->p = eol + 1;
	return true;
}

/* "m=audio 4000 RTP/AVP 8 0 101": the formats, or NULL for another line. */
static char *formats_of(char *line, bool *audio, bool *active, char **media, char **proto)
{
	char *save = NULL, *word;
	char *port;

	if (strncmp(line, "m=", 2) != 0)
		return NULL;
	word = strtok_r(line + 2, " ", &save);
	port = strtok_r(NULL, " ", &save);
	*proto = strtok_r(NULL, " ", &save);
	if (word == NULL || port == NULL || *proto == NULL || save == NULL)
		return NULL;
	*media = word;
	*audio = strcmp(word, "audio") == 0;
	*active = strcmp(port, "0") != 0;
	return save;
}

/* Of the formats that are offered: G.711 if it is among them, since that costs nothing. */
static void choose(const char *formats, char *chosen, size_t size)
{
	char list[LINE_MAX_], *save = NULL, *f;

	str_copy(list, sizeof(list), formats);
	chosen[0] = '\0';
	for (f = strtok_r(list, " ", &save); f != NULL; f = strtok_r(NULL, " ", &save)) {
		if (chosen[0] == '\0')
			str_copy(chosen, size, f);
		if (strcmp(f, "8") == 0 || strcmp(f, "0") == 0) {
			str_copy(chosen, size, f);
			return;
		}
	}
}

struct writer {
	char *buf;
	size_t size, at;
};

static void put(struct writer *w, const char *text)
{
	size_t n = strlen(text);

	if (w->at + n >= w->size)
		return;
	memcpy(w->buf + w->at, text, n + 1);
	w->at += n;
}

static void put3(struct writer *w, const char *a, const char *b, const char *c)
{
	put(w, a);
	put(w, b);
	put(w, c);
}

/* The a=rtpmap and a=fmtp lines of one format. */
static void put_format(struct writer *w, const char *offer, size_t len, const char *format)
{
	struct reader r = {offer, offer + len};
	char line[LINE_MAX_], map[48], fmtp[48];

	snprintf(map, sizeof(map), "a=rtpmap:%s ", format);
	snprintf(fmtp, sizeof(fmtp), "a=fmtp:%s ", format);
	while (next_line(&r, line, sizeof(line)))
		if (strncmp(line, map, strlen(map)) == 0 || strncmp(line, fmtp, strlen(fmtp)) == 0)
			put3(w, line, "\r\n", "");
}

size_t own_offer(char *buf, size_t size)
{
	struct writer w = {buf, size, 0};

	put(&w, OWN_HEAD "m=audio 9 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\n"
			 "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
			 "a=fmtp:101 0-15\r\na=sendonly\r\n");
	return w.at;
}

/* Is there audio that needs no key? A phone that may do both offers both (RFC 4568). */
static bool has_plain_audio(const char *offer, size_t len)
{
	struct reader r = {offer, offer + len};
	char line[LINE_MAX_];
	bool audio, active;

	while (next_line(&r, line, sizeof(line))) {
		char *media, *proto;

		if (formats_of(line, &audio, &active, &media, &proto) != NULL && audio && active &&
			strstr(proto, "SAVP") == NULL)
			return true;
	}
	return false;
}

size_t own_answer(const char *offer, size_t len, char *buf, size_t size)
{
	struct writer w = {buf, size, 0};
	struct reader r = {offer, offer + len};
	char line[LINE_MAX_], format[24];
	bool audio, active, secure, plain = has_plain_audio(offer, len), taken = false;

	put(&w, OWN_HEAD);
	while (next_line(&r, line, sizeof(line))) {
		char *media, *proto;
		const char *formats = formats_of(line, &audio, &active, &media, &proto);

		if (formats == NULL)
			continue;
		choose(formats, format, sizeof(format));
		secure = strstr(proto, "SAVP") != NULL;
		if (taken || !audio || !active || (secure && plain)) { /* one stream is enough */
			put3(&w, "m=", media, " 0 ");
			put3(&w, proto, " ", format);
			put(&w, "\r\n");
			continue;
		}
		taken = true;
		put3(&w, "m=audio 9 RTP/AVP ", format, "\r\n");
		put_format(&w, offer, len, format);
		put(&w, "a=sendonly\r\n");
	}
	return w.at;
}

/* "a=recvonly". False: the line says nothing of that. */
static bool direction_of(const char *line, bool *sends)
{
	*sends = strcmp(line, "a=sendrecv") == 0 || strcmp(line, "a=sendonly") == 0;
	return *sends || strcmp(line, "a=recvonly") == 0 || strcmp(line, "a=inactive") == 0;
}

bool own_sends(const char *sdp, size_t len)
{
	struct reader r = {sdp, sdp + len};
	enum { SESSION, OTHER, AUDIO } part = SESSION;
	bool all = true, its = true, sends, audio, active;
	char line[LINE_MAX_], *media, *proto;

	while (next_line(&r, line, sizeof(line))) {
		if (direction_of(line, &sends)) {
			all = part == SESSION ? sends : all;
			its = part == OTHER ? its : sends;
		} else if (formats_of(line, &audio, &active, &media, &proto) != NULL) {
			if (part == AUDIO)
				break;
			part = audio && active ? AUDIO : OTHER;
			its = all;
		}
	}
	return its;
}
