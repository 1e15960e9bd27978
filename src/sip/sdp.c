/* sdp: the scanner. The rewriter is in sdp_rewrite.c. */
#include "sip/sdp.h"

ENUM_DEFINE(sdp_error, SDP_ERROR_LIST)
ENUM_DEFINE(sdp_role, SDP_ROLE_LIST)

/* dir is a set of two bits, which clamp and mirror rely on. */
_Static_assert(DIR_INACTIVE == 0 && DIR_RECVONLY == 1 && DIR_SENDONLY == 2 && DIR_SENDRECV == 3,
	"enum dir must stay a bit set");

enum dir sdp_dir_mirror(enum dir d)
{
	return (enum dir)(((unsigned)d & 1u) << 1 | ((unsigned)d & 2u) >> 1);
}

enum dir sdp_dir_clamp(enum dir wanted, enum dir offered)
{
	return (enum dir)((unsigned)wanted & (unsigned)sdp_dir_mirror(offered));
}

/* ---- lines --------------------------------------------------------------------------------- */

/* RFC 4566 section 9: token-char. */
static int is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		unsigned char low = c | 0x20;

		if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9'))
			continue; /* nearly all of them */
		if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]", c))
			return 0;
	}
	return s.n > 0;
}

static int is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return 0;
	return s.n > 0;
}

/* Tokens joined by slashes: UDP/TLS/RTP/SAVPF. */
static int is_proto(struct slice s)
{
	struct slice rest = s;

	while (rest.p)
		if (!is_token(slice_cut(rest, "/", &rest)))
			return 0;
	return 1;
}

static int read_number(struct slice s, uint32_t max, uint32_t *value)
{
	uint32_t v = 0;

	if (s.n == 0 || s.n > 9)
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		v = v * 10 + (uint32_t)(s.p[i] - '0');
	}
	*value = v;
	return v <= max;
}

/* o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address> */
static enum sdp_error scan_origin(struct slice value, struct sdp *sdp)
{
	struct slice net, type;

	sdp->origin_user = slice_word(&value);
	sdp->session_id = slice_word(&value);
	sdp->version = slice_word(&value);
	net = slice_word(&value);
	type = slice_word(&value);
	sdp->origin_address = slice_word(&value);
	if (net.n == 0 || type.n == 0 || !is_printable(sdp->origin_address))
		return SDP_BAD_ORIGIN;
	return slice_trim(value).n == 0 ? SDP_OK : SDP_BAD_ORIGIN;
}

/* c=<nettype> <addrtype> <connection-address>; an RTP stream may have several, the last stands. */
static enum sdp_error scan_connection(struct slice value, struct slice *address)
{
	struct slice net = slice_word(&value), type = slice_word(&value);

	*address = slice_word(&value);
	if (!is_token(net) || !is_token(type) || !is_printable(*address))
		return SDP_BAD_CONNECTION;
	return slice_trim(value).n == 0 ? SDP_OK : SDP_BAD_CONNECTION;
}

static enum sdp_error check_formats(struct slice formats)
{
	unsigned n = 0;

	for (;;) {
		struct slice one = slice_word(&formats);

		if (one.n == 0)
			return n > 0 ? SDP_OK : SDP_BAD_MEDIA;
		if (!is_token(one))
			return SDP_BAD_MEDIA;
		if (++n > SDP_FORMATS_MAX)
			return SDP_MANY;
	}
}

/* m=<media> <port>[/<number>] <proto> <fmt> ... */
static enum sdp_error scan_media(struct slice value, struct sdp_stream *st)
{
	struct slice port, count;

	st->media = slice_word(&value);
	port = slice_cut(slice_word(&value), "/", &count);
	st->proto = slice_word(&value);
	st->formats = slice_trim(value);
	st->nports = 1;
	if (!is_token(st->media) || !is_proto(st->proto) || !read_number(port, 65535, &st->port))
		return SDP_BAD_MEDIA;
	if (count.p && (!read_number(count, 65535, &st->nports) || st->nports == 0))
		return SDP_BAD_MEDIA;
	st->active = st->port != 0;
	return check_formats(st->formats);
}

static int dir_of(struct slice attribute, enum dir *dir)
{
	if (attribute.n != sizeof("sendrecv") - 1) /* as long as any of them */
		return 0;
	for (int i = 0; i < (int)dir_count_; i++) {
		if (slice_is(attribute, dir_name(i))) {
			*dir = (enum dir)i;
			return 1;
		}
	}
	return 0;
}

static int is_blackhole(struct slice address)
{
	struct slice rest;

	address = slice_cut(address, "/", &rest);
	return slice_is(address, "0.0.0.0") || slice_is(address, "::");
}

static void scan_attribute(struct slice attribute, struct sdp *sdp, struct sdp_stream *st)
{
	enum dir dir;

	attribute = slice_trim(attribute);
	if (dir_of(attribute, &dir)) {
		if (st) {
			st->dir = dir;
			st->dir_given = true;
		} else {
			sdp->dir = dir;
			sdp->dir_given = true;
		}
	} else if (st && slice_starts(attribute, "mid:")) {
		st->mid = slice_skip(attribute, 4);
	} else if (st && slice_is(attribute, "bundle-only")) {
		st->active = true; /* port 0 with its port in the group (RFC 8843 section 6) */
	}
}

/* ---- the whole text ------------------------------------------------------------------------ */

struct scan {
	struct sdp *sdp;
	struct sdp_stream *st;        /* NULL before the first m-line */
	struct slice address;         /* session level */
	int origin;
};

static enum sdp_error open_stream(struct scan *scan, struct slice line, const char *next)
{
	struct sdp *sdp = scan->sdp;

	if (sdp->n == SDP_STREAMS_MAX)
		return SDP_MANY;
	if (sdp->n == 0)
		sdp->session.n = (size_t)(line.p - sdp->session.p);
	else
		scan->st->text.n = (size_t)(line.p - scan->st->text.p);
	scan->st = &sdp->stream[sdp->n++];
	scan->st->text.p = next;
	scan->st->address = scan->address;
	scan->st->dir = sdp->dir;
	return scan_media(slice_skip(line, 2), scan->st);
}

/* next: where the line after this one starts. */
static enum sdp_error scan_line(struct scan *scan, struct slice line, const char *next)
{
	struct slice value;

	if (line.n < 2 || line.p[0] < 'a' || line.p[0] > 'z' || line.p[1] != '=')
		return SDP_BAD_LINE;
	value = slice_skip(line, 2);
	switch (line.p[0]) {
	case 'o':
		if (scan->st || scan->origin++)
			return SDP_BAD_ORIGIN;
		return scan_origin(value, scan->sdp);
	case 'c':
		return scan_connection(value, scan->st ? &scan->st->address : &scan->address);
	case 'm':
		return open_stream(scan, line, next);
	case 'a':
		scan_attribute(value, scan->sdp, scan->st);
		return SDP_OK;
	default:
		return SDP_OK;
	}
}

/* What can be said of the streams only when all lines are known. */
static enum sdp_error finish(struct scan *scan, const char *end)
{
	struct sdp *sdp = scan->sdp;

	if (!scan->origin)
		return SDP_BAD_ORIGIN;
	if (scan->st)
		scan->st->text.n = (size_t)(end - scan->st->text.p);
	for (unsigned i = 0; i < sdp->n; i++) {
		struct sdp_stream *st = &sdp->stream[i];

		if (st->active && st->address.n == 0)
			return SDP_NO_CONNECTION;
		st->blackhole = is_blackhole(st->address);
		if (st->blackhole)
			st->dir = (enum dir)((unsigned)st->dir & ~(unsigned)DIR_RECVONLY);
	}
	return SDP_OK;
}

static enum sdp_error scan_all(struct scan *scan, struct slice rest)
{
	struct slice line;
	enum sdp_error e = SDP_OK;
	unsigned lines = 0;

	while (!e && slice_line(&rest, &line)) {
		if (++lines > SDP_LINES_MAX)
			return SDP_MANY;
		if (lines == 1 && !slice_is(slice_trim(line), "v=0"))
			return SDP_NO_VERSION;
		if (line.n > 0) /* a blank line at the end is a common habit */
			e = scan_line(scan, line, rest.p);
	}
	return e ? e : finish(scan, rest.p);
}

enum sdp_error sdp_scan(const char *text, size_t len, struct sdp *sdp)
{
	struct scan scan = {.sdp = sdp};

	memset(sdp, 0, sizeof(*sdp));
	sdp->dir = DIR_SENDRECV;
	if (len == 0)
		return SDP_EMPTY;
	if (len > SDP_MAX)
		return SDP_LONG;
	if (memchr(text, '\0', len))
		return SDP_NUL;
	sdp->session = slice_of(text, len);
	return scan_all(&scan, sdp->session);
}

/* ---- the note ------------------------------------------------------------------------------ */

/* Next line that is not blank. */
static int next_line(struct slice *text, struct slice *line)
{
	while (slice_line(text, line))
		if (line->n > 0)
			return 1;
	return 0;
}

/* o= lines that differ in the version at most. */
static int same_origin(struct slice a, struct slice b)
{
	for (int field = 0; field < 6; field++) {
		struct slice x = slice_word(&a), y = slice_word(&b);

		if (field != 2 && !slice_eq(x, y))
			return 0;
	}
	return 1;
}

int sdp_same(struct slice a, struct slice b)
{
	struct slice x = {0}, y = {0};

	for (;;) {
		int more_a = next_line(&a, &x), more_b = next_line(&b, &y);

		if (!more_a || !more_b)
			return more_a == more_b;
		if (slice_starts(x, "o=") && slice_starts(y, "o=")) {
			if (!same_origin(x, y))
				return 0;
		} else if (!slice_eq(x, y)) {
			return 0;
		}
	}
}

static int has_line(struct slice text, struct slice wanted)
{
	struct slice line;

	while (slice_line(&text, &line))
		if (slice_eq(line, wanted))
			return 1;
	return 0;
}

static int has_word(struct slice words, struct slice wanted)
{
	for (;;) {
		struct slice word = slice_word(&words);

		if (word.n == 0)
			return 0;
		if (slice_eq(word, wanted))
			return 1;
	}
}

static int words_within(struct slice words, struct slice set)
{
	for (;;) {
		struct slice word = slice_word(&words);

		if (word.n == 0)
			return 1;
		if (!has_word(set, word))
			return 0;
	}
}

/* Every line that can change what is sent where was said before. Session names and times do not
 * count; c= and directions are compared as they take effect. */
static int lines_within(struct slice text, struct slice before)
{
	struct slice line;
	enum dir dir;

	while (next_line(&text, &line)) {
		if (strchr("vostrzc", line.p[0]))
			continue;
		if (slice_starts(line, "a=") && dir_of(slice_trim(slice_skip(line, 2)), &dir))
			continue;
		if (!has_line(before, line))
			return 0;
	}
	return 1;
}

static int stream_picks(const struct sdp_stream *now, const struct sdp_stream *prev)
{
	if (!slice_eq(now->media, prev->media))
		return 0;
	if (!now->active)
		return 1;
	return prev->active && now->port == prev->port && now->nports == prev->nports &&
	       slice_eq(now->proto, prev->proto) && slice_eq(now->address, prev->address) &&
	       words_within(now->formats, prev->formats) && lines_within(now->text, prev->text);
}

/* An answer that merely picks from what was said before, or differs in direction alone. */
static int picks(const struct sdp *now, const struct sdp *prev)
{
	if (!lines_within(now->session, prev->session))
		return 0;
	for (unsigned i = 0; i < now->n; i++) {
		if (i >= prev->n ? now->stream[i].active :
				   !stream_picks(&now->stream[i], &prev->stream[i]))
			return 0;
	}
	return 1;
}

static void note_streams(const struct sdp *sdp, struct sdp_note *note)
{
	const struct sdp_stream *first = NULL, *audio = NULL;

	for (unsigned i = 0; i < sdp->n; i++) {
		const struct sdp_stream *st = &sdp->stream[i];

		if (!st->active)
			continue;
		if (!first)
			first = st;
		if (!audio && slice_is(st->media, "audio"))
			audio = st;
		if (slice_is(st->media, "image"))
			note->image = true;
	}
	if (!audio)
		audio = first;
	note->usable = first != NULL;
	note->dir = audio ? audio->dir : DIR_INACTIVE;
}

/* ---- codecs -------------------------------------------------------------------------------- */

/* Payload numbers that need no a=rtpmap line (RFC 3551), as far as others map them to a number of
 * their own. */
static const struct {
	const char *number, *name;
} assigned[] = {{"0", "PCMU/8000"}, {"3", "GSM/8000"}, {"4", "G723/8000"}, {"8", "PCMA/8000"},
	{"9", "G722/8000"}, {"15", "G728/8000"}, {"18", "G729/8000"}};

/* The codecs of an m-line: "PCMU/8000", or the format itself if nothing names it. */
struct codecs {
	unsigned n;
	struct slice name[SDP_FORMATS_MAX];
};

/* NULL: it is nobody's. */
static const char *assigned_name(struct slice number)
{
	for (unsigned i = 0; i < sizeof(assigned) / sizeof(assigned[0]); i++)
		if (slice_is(number, assigned[i].number))
			return assigned[i].name;
	return NULL;
}

static void name_assigned(struct codecs *cs)
{
	for (unsigned i = 0; i < cs->n; i++) {
		const char *name = assigned_name(cs->name[i]);

		if (name)
			cs->name[i] = slice_str(name);
	}
}

/* "PCMU/8000/1" is "PCMU/8000". */
static struct slice without_channels(struct slice name)
{
	if (name.n > 2 && name.p[name.n - 2] == '/' && name.p[name.n - 1] == '1')
		name.n -= 2;
	return name;
}

static void codecs_of(const struct sdp_stream *st, struct codecs *cs)
{
	struct slice rest = st->formats, text = st->text, line, word[SDP_FORMATS_MAX];

	cs->n = 0;
	while (cs->n < SDP_FORMATS_MAX && (word[cs->n] = slice_word(&rest)).n > 0) {
		cs->name[cs->n] = word[cs->n];
		cs->n++;
	}
	while (slice_line(&text, &line)) {
		struct slice number, name;

		if (!slice_starts(line, "a=rtpmap:"))
			continue;
		name = slice_skip(line, 9);
		number = slice_word(&name);
		name = without_channels(slice_trim(name));
		for (unsigned i = 0; i < cs->n && name.n > 0; i++)
			if (slice_eq(word[i], number))
				cs->name[i] = name;
	}
	name_assigned(cs);
}

/* Says nothing by itself: keys, comfort noise, packets sent twice. */
static bool is_helper(struct slice name)
{
	static const char *const helpers[] = {"telephone-event/", "CN/", "red/", "ulpfec/", "13"};

	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (name.n >= strlen(helpers[i]) &&
			strncasecmp(name.p, helpers[i], strlen(helpers[i])) == 0)
			return true;
	return false;
}

/* Both begin with a codec whose number is everybody's, as most do: no need to read their attributes. */
static bool share_first(struct slice a, struct slice b)
{
	struct slice first = slice_word(&a);

	return slice_eq(first, slice_word(&b)) && assigned_name(first) != NULL;
}

static bool share_codec(const struct sdp_stream *a, const struct sdp_stream *b)
{
	static struct codecs of_a, of_b; /* too large for the stack of a deep call */

	if (share_first(a->formats, b->formats))
		return true;
	codecs_of(a, &of_a);
	codecs_of(b, &of_b);
	for (unsigned i = 0; i < of_a.n; i++)
		for (unsigned j = 0; j < of_b.n && !is_helper(of_a.name[i]); j++)
			if (of_a.name[i].n == of_b.name[j].n &&
				strncasecmp(of_a.name[i].p, of_b.name[j].p, of_a.name[i].n) == 0)
				return true;
	return false;
}

bool sdp_answers(struct slice answer, struct slice offer)
{
	struct sdp ours, theirs;

	if (sdp_scan(answer.p, answer.n, &theirs) || sdp_scan(offer.p, offer.n, &ours))
		return true;
	for (unsigned i = 0; i < theirs.n && i < ours.n; i++)
		if (theirs.stream[i].active && ours.stream[i].active &&
			share_codec(&theirs.stream[i], &ours.stream[i]))
			return true;
	return false;
}

void sdp_take_note(enum sdp_what what, const char *text, size_t len, const char *prev,
	size_t prev_len, struct sdp_note *note)
{
	struct sdp now, before;

	memset(note, 0, sizeof(*note));
	note->what = what;
	if (len == 0) {
		note->what = SDP_NONE;
		return;
	}
	if (sdp_scan(text, len, &now)) {
		note->what = SDP_BAD;
		return;
	}
	note_streams(&now, note);
	if (prev_len == 0)
		return;
	note->same = sdp_same(slice_of(text, len), slice_of(prev, prev_len));
	if (!note->same && what == SDP_ANSWER && !sdp_scan(prev, prev_len, &before))
		note->same = picks(&now, &before);
}

/* ---- bodies -------------------------------------------------------------------------------- */

/* Media type without parameters; *params gets the rest. */
static struct slice media_type(struct slice content_type, struct slice *params)
{
	return slice_trim(slice_cut(content_type, ";", params));
}

/* Splits a body part at its blank line; true if its Content-Type is application/sdp. */
static int part_is_sdp(struct slice part, struct slice *body)
{
	struct slice line, value, params;
	int sdp = 0;

	while (slice_line(&part, &line) && line.n > 0) {
		struct slice name = slice_trim(slice_cut(line, ":", &value));

		if (slice_iis(name, "Content-Type") && value.p)
			sdp = slice_iis(media_type(value, &params), "application/sdp");
	}
	*body = part;
	return sdp;
}

/* The next delimiter line ("--boundary" or "--boundary--") at or after *rest; *rest moves behind
 * it. Returns where the line starts, NULL if there is none. */
static const char *next_boundary(struct slice *rest, const char *boundary)
{
	struct slice line;

	for (;;) {
		const char *start = rest->p;

		if (!slice_line(rest, &line))
			return NULL;
		if (slice_starts(line, "--") && slice_starts(slice_skip(line, 2), boundary))
			return start;
	}
}

static int sdp_in_multipart(const char *boundary, struct slice rest, struct slice *sdp)
{
	const char *start, *end;

	if (!next_boundary(&rest, boundary))
		return 0;
	for (;;) {
		start = rest.p;
		end = next_boundary(&rest, boundary);
		if (!end)
			return 0;
		if (part_is_sdp(slice_of(start, (size_t)(end - start)), sdp))
			return sdp->n > 0;
	}
}

int sdp_in_body(const char *content_type, const char *body, size_t len, struct slice *sdp)
{
	char boundary[URI_PARAM_MAX];
	struct slice params, type = media_type(slice_str(content_type), &params);

	*sdp = slice_of(body, len);
	if (len == 0)
		return 0;
	if (type.n == 0 || slice_iis(type, "application/sdp"))
		return 1;
	if (type.n < 10 || strncasecmp(type.p, "multipart/", 10) != 0)
		return 0;
	if (!uri_param(params, "boundary", boundary, sizeof(boundary)) || boundary[0] == '\0')
		return 0;
	return sdp_in_multipart(boundary, *sdp, sdp);
}
