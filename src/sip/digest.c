/* digest: see digest.h. */
#include "sip/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "sip/slice.h"

ENUM_DEFINE(digest_alg, DIGEST_ALG_LIST)
ENUM_DEFINE(digest_qop, DIGEST_QOP_LIST)
ENUM_DEFINE(digest_verdict, DIGEST_VERDICT_LIST)

#define KEY_BYTES 32
#define NAME_BYTES 16 /* of a nonce: time of issue, random bits */
#define MAC_BYTES 16
#define NONCE_BYTES (NAME_BYTES + MAC_BYTES)
#define NONCE_HEX (2 * NONCE_BYTES)

/* ---- hashes -------------------------------------------------------------------------------- */

static const EVP_MD *md_of(enum digest_alg alg)
{
	switch (alg) {
	case DIGEST_MD5:
	case DIGEST_MD5_SESS:
		return EVP_md5();
	case DIGEST_SHA256:
	case DIGEST_SHA256_SESS:
		return EVP_sha256();
	default:
		return EVP_sha512_256();
	}
}

static int is_sess(enum digest_alg alg)
{
	return alg == DIGEST_MD5_SESS || alg == DIGEST_SHA256_SESS || alg == DIGEST_SHA512_256_SESS;
}

static size_t hex_len(enum digest_alg alg)
{
	return 2 * (size_t)EVP_MD_get_size(md_of(alg));
}

static void to_hex(char *out, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads exactly n bytes of hex that fill the text. */
static int from_hex(unsigned char *bytes, size_t n, const char *text)
{
	if (strlen(text) != 2 * n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return 0;
		bytes[i] = (unsigned char)(hi << 4 | lo);
	}
	return 1;
}

/* H(part:part:...), a NULL part ends the list. 0 or ENOTSUP. */
static int hash_parts(enum digest_alg alg, const char *const *part, char out[DIGEST_HEX_MAX])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, md_of(alg), NULL);

	for (int i = 0; ok && part[i]; i++)
		ok = (i == 0 || EVP_DigestUpdate(ctx, ":", 1)) &&
		     EVP_DigestUpdate(ctx, part[i], strlen(part[i]));
	ok = ok && EVP_DigestFinal_ex(ctx, sum, &n) && 2 * n < DIGEST_HEX_MAX;
	EVP_MD_CTX_free(ctx);
	to_hex(out, sum, ok ? n : 0);
	return ok ? 0 : ENOTSUP;
}

static int hash_body(enum digest_alg alg, const void *body, size_t len, char out[DIGEST_HEX_MAX])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int ok = EVP_Digest(len ? body : "", len, sum, &n, md_of(alg), NULL) &&
		 2 * n < DIGEST_HEX_MAX;

	to_hex(out, sum, ok ? n : 0);
	return ok ? 0 : ENOTSUP;
}

int digest_ha1(enum digest_alg alg, const char *user, const char *realm, const char *password,
	char out[DIGEST_HEX_MAX])
{
	return hash_parts(alg, (const char *const[]){user, realm, password, NULL}, out);
}

/* Everything that goes into a response. */
struct question {
	enum digest_alg alg;
	enum digest_qop qop;
	const char *ha1, *nonce, *nc, *cnonce, *method, *uri;
	const void *body;
	size_t len;
};

/* RFC 7616 section 3.4.1 to 3.4.3. 0 or ENOTSUP. */
static int respond(const struct question *q, char out[DIGEST_HEX_MAX])
{
	char sess[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX], body[DIGEST_HEX_MAX];
	const char *ha1 = q->ha1;
	const char *entity = NULL;
	int rc = 0;

	if (is_sess(q->alg)) {
		rc = hash_parts(q->alg, (const char *const[]){ha1, q->nonce, q->cnonce, NULL}, sess);
		ha1 = sess;
	}
	if (!rc && q->qop == DIGEST_QOP_AUTH_INT) {
		rc = hash_body(q->alg, q->body, q->len, body);
		entity = body;
	}
	if (!rc)
		rc = hash_parts(q->alg, (const char *const[]){q->method, q->uri, entity, NULL}, ha2);
	if (rc)
		return rc;
	if (q->qop == DIGEST_QOP_NONE)
		return hash_parts(q->alg, (const char *const[]){ha1, q->nonce, ha2, NULL}, out);
	return hash_parts(q->alg,
		(const char *const[]){ha1, q->nonce, q->nc, q->cnonce,
			digest_qop_name((int)q->qop), ha2, NULL},
		out);
}

/* ---- parameters of a header ---------------------------------------------------------------- */

/* Reads a quoted string at the start of *s into buf; *s moves behind it. */
static int read_quoted(struct slice *s, char *buf, size_t size)
{
	size_t at = 0, i = 1;

	for (; i < s->n && s->p[i] != '"'; i++) {
		if (s->p[i] == '\\' && i + 1 < s->n)
			i++;
		if ((unsigned char)s->p[i] < 0x20 || at + 1 >= size)
			return 0;
		buf[at++] = s->p[i];
	}
	buf[at] = '\0';
	if (i >= s->n)
		return 0;
	*s = slice_skip(*s, i + 1);
	return 1;
}

/* Reads the next name=value, with the comma behind it. 1, 0 at the end, -1 if malformed. */
static int next_param(struct slice *s, struct slice *name, char *value, size_t size)
{
	struct slice rest, raw;

	*s = slice_trim(*s);
	if (s->n == 0)
		return 0;
	*name = slice_trim(slice_cut(*s, "=", &rest));
	if (!rest.p || name->n == 0 || memchr(name->p, ',', name->n))
		return -1;
	*s = slice_trim(rest);
	if (s->n > 0 && s->p[0] == '"') {
		if (!read_quoted(s, value, size))
			return -1;
		raw = slice_trim(slice_cut(*s, ",", &rest));
		if (raw.n > 0)
			return -1;
	} else {
		raw = slice_trim(slice_cut(*s, ",", &rest));
		if (raw.n == 0 || !str_copy_n(value, size, raw.p, raw.n))
			return -1;
	}
	*s = rest;
	return 1;
}

static int skip_scheme(struct slice *s)
{
	*s = slice_trim(*s);
	if (s->n < 7 || strncasecmp(s->p, "Digest", 6) != 0 || !slice_is_blank(s->p[6]))
		return 0;
	*s = slice_skip(*s, 7);
	return 1;
}

static int alg_parse(const char *name, enum digest_alg *alg)
{
	for (int i = 0; i < (int)digest_alg_count_; i++) {
		if (str_ieq(name, digest_alg_name(i))) {
			*alg = (enum digest_alg)i;
			return 1;
		}
	}
	return 0;
}

static void out_quoted(struct out *o, const char *name, const char *value)
{
	out_str(o, name);
	out_str(o, "=\"");
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			out_str(o, "\\");
		out_slice(o, slice_of(value, 1));
	}
	out_str(o, "\"");
}

/* ---- server -------------------------------------------------------------------------------- */

/* A nonce that was used with good credentials. */
struct used {
	unsigned char name[NAME_BYTES];
	int64_t expires;
	uint32_t nc; /* highest so far */
	UT_hash_handle hh;
};

struct digest_server {
	char realm[DIGEST_REALM_MAX];
	int64_t nonce_ms;
	unsigned char key[KEY_BYTES];
	struct used *used; /* oldest use first */
};

struct digest_server *digest_server_create(const char *realm, int64_t nonce_ms)
{
	struct digest_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (RAND_bytes(s->key, sizeof(s->key)) != 1) {
		free(s);
		return NULL;
	}
	digest_server_configure(s, realm, nonce_ms);
	return s;
}

void digest_server_configure(struct digest_server *s, const char *realm, int64_t nonce_ms)
{
	str_set(s->realm, realm);
	s->nonce_ms = nonce_ms;
}

static void forget(struct digest_server *s, struct used *u)
{
	HASH_DEL(s->used, u);
	free(u);
}

void digest_server_destroy(struct digest_server *s)
{
	if (!s)
		return;
	while (s->used)
		forget(s, s->used);
	OPENSSL_cleanse(s->key, sizeof(s->key));
	free(s);
}

/* First use decides the order, issue the expiry: the head may hide an expired one for at most one
 * more lifetime. */
void digest_server_tick(struct digest_server *s, int64_t now)
{
	while (s->used && s->used->expires < now)
		forget(s, s->used);
}

unsigned digest_server_used(const struct digest_server *s)
{
	return HASH_COUNT(s->used);
}

static void sign(const struct digest_server *s, const unsigned char name[NAME_BYTES],
	unsigned char mac[EVP_MAX_MD_SIZE])
{
	unsigned n = 0;

	/* cannot fail with a fixed key and SHA-256; zeros would only match zeros of our own */
	memset(mac, 0, EVP_MAX_MD_SIZE);
	HMAC(EVP_sha256(), s->key, KEY_BYTES, name, NAME_BYTES, mac, &n);
}

static void put_time(unsigned char *p, int64_t t)
{
	for (int i = 7; i >= 0; i--, t >>= 8)
		p[i] = (unsigned char)(t & 0xff);
}

static int64_t get_time(const unsigned char *p)
{
	uint64_t t = 0;

	for (int i = 0; i < 8; i++)
		t = t << 8 | p[i];
	return (int64_t)t;
}

static int make_nonce(const struct digest_server *s, int64_t now, char out[NONCE_HEX + 1])
{
	unsigned char bytes[NONCE_BYTES], mac[EVP_MAX_MD_SIZE];

	put_time(bytes, now);
	if (RAND_bytes(bytes + 8, NAME_BYTES - 8) != 1)
		return EIO;
	sign(s, bytes, mac);
	memcpy(bytes + NAME_BYTES, mac, MAC_BYTES);
	to_hex(out, bytes, sizeof(bytes));
	return 0;
}

int digest_challenge(struct digest_server *s, enum digest_alg alg, enum digest_verdict why,
	int64_t now, char *buf, size_t size)
{
	struct out o = {buf, size, 0, size == 0};
	char nonce[NONCE_HEX + 1];
	int rc = make_nonce(s, now, nonce);

	if (rc)
		return rc;
	out_str(&o, "Digest ");
	out_quoted(&o, "realm", s->realm);
	out_str(&o, ", ");
	out_quoted(&o, "nonce", nonce);
	out_str(&o, ", algorithm=");
	out_str(&o, digest_alg_name((int)alg));
	out_str(&o, ", qop=\"auth\"");
	if (why == DIGEST_STALE)
		out_str(&o, ", stale=true");
	return out_end(&o);
}

static int take_nc(struct digest_creds *c, const char *value)
{
	unsigned char b[4];

	if (!from_hex(b, sizeof(b), value))
		return 0;
	str_set(c->nc_text, value);
	c->nc = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	return 1;
}

/* Fields of struct digest_creds that are copied as they are. */
static const struct {
	const char *name;
	size_t offset, size;
} cred_fields[] = {
#define FIELD_(member) {#member, offsetof(struct digest_creds, member), \
	sizeof(((struct digest_creds *)0)->member)}
	FIELD_(username), FIELD_(realm), FIELD_(nonce), FIELD_(uri), FIELD_(cnonce), FIELD_(response),
#undef FIELD_
};

static int take_cred(struct digest_creds *c, struct slice name, const char *value)
{
	int qop;

	for (size_t i = 0; i < sizeof(cred_fields) / sizeof(cred_fields[0]); i++) {
		char *field = (char *)c + cred_fields[i].offset;

		if (slice_iis(name, cred_fields[i].name))
			return field[0] == '\0' && str_copy(field, cred_fields[i].size, value);
	}
	if (slice_iis(name, "nc"))
		return take_nc(c, value);
	if (slice_iis(name, "algorithm"))
		return alg_parse(value, &c->alg);
	if (slice_iis(name, "qop")) {
		qop = digest_qop_parse(value);
		c->qop = (enum digest_qop)qop;
		return qop > 0;
	}
	return !(slice_iis(name, "userhash") && str_ieq(value, "true"));
}

static int creds_complete(const struct digest_creds *c)
{
	unsigned char sum[EVP_MAX_MD_SIZE];

	if (c->alg != DIGEST_MD5 && c->alg != DIGEST_SHA256)
		return 0;
	if (c->username[0] == '\0' || c->nonce[0] == '\0' || c->uri[0] == '\0')
		return 0;
	if (c->qop != DIGEST_QOP_NONE && (c->cnonce[0] == '\0' || c->nc_text[0] == '\0'))
		return 0;
	return from_hex(sum, hex_len(c->alg) / 2, c->response);
}

enum digest_verdict digest_creds_parse(const struct digest_server *s, const char *value,
	struct digest_creds *c)
{
	struct slice rest = slice_str(value), name;
	char text[DIGEST_URI_MAX];
	int more;

	memset(c, 0, sizeof(*c));
	if (!skip_scheme(&rest))
		return DIGEST_ABSENT;
	while ((more = next_param(&rest, &name, text, sizeof(text))) > 0)
		if (!take_cred(c, name, text))
			return DIGEST_BAD;
	if (more < 0)
		return DIGEST_BAD;
	if (!str_eq(c->realm, s->realm))
		return DIGEST_ABSENT;
	return creds_complete(c) ? DIGEST_OK : DIGEST_BAD;
}

/* Takes note of the use of a nonce; false if it was used before, expired, or is not ours. */
static int use_nonce(struct digest_server *s, const struct digest_creds *c, int64_t now)
{
	unsigned char bytes[NONCE_BYTES], mac[EVP_MAX_MD_SIZE];
	uint32_t nc = c->qop == DIGEST_QOP_NONE ? UINT32_MAX : c->nc;
	struct used *u;
	int64_t issued;

	if (!from_hex(bytes, sizeof(bytes), c->nonce))
		return 0;
	sign(s, bytes, mac);
	issued = get_time(bytes);
	if (CRYPTO_memcmp(mac, bytes + NAME_BYTES, MAC_BYTES) != 0 || issued > now ||
		now - issued > s->nonce_ms)
		return 0;
	HASH_FIND(hh, s->used, bytes, NAME_BYTES, u);
	if (!u) {
		u = calloc(1, sizeof(*u));
		if (!u)
			return 0;
		memcpy(u->name, bytes, NAME_BYTES);
		u->expires = issued + s->nonce_ms;
		HASH_ADD(hh, s->used, name, NAME_BYTES, u);
	}
	if (nc <= u->nc)
		return 0;
	u->nc = nc;
	return 1;
}

static int is_response(const char *expected, const char *got, size_t n)
{
	char lower[DIGEST_HEX_MAX];

	for (size_t i = 0; i < n; i++)
		lower[i] = got[i] >= 'A' && got[i] <= 'F' ? (char)(got[i] | 0x20) : got[i];
	return CRYPTO_memcmp(expected, lower, n) == 0;
}

enum digest_verdict digest_check(struct digest_server *s, const struct digest_creds *c,
	const char *ha1, const char *method, const void *body, size_t len, int64_t now)
{
	static const char nobody[] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	char expected[DIGEST_HEX_MAX];
	size_t n = hex_len(c->alg);
	int known = !str_empty(ha1) && strlen(ha1) == n;
	struct question q = {
		.alg = c->alg, .qop = c->qop, .ha1 = known ? ha1 : nobody + sizeof(nobody) - 1 - n,
		.nonce = c->nonce, .nc = c->nc_text, .cnonce = c->cnonce,
		.method = method, .uri = c->uri, .body = body, .len = len,
	};

	if (!creds_complete(c) || respond(&q, expected))
		return DIGEST_BAD;
	if (!is_response(expected, c->response, n) || !known)
		return DIGEST_WRONG;
	return use_nonce(s, c, now) ? DIGEST_OK : DIGEST_STALE;
}

/* ---- client -------------------------------------------------------------------------------- */

/* auth if it is offered, else auth-int. */
static int take_qop(struct digest_ask *ask, const char *list)
{
	struct slice rest = slice_str(list);

	while (rest.p) {
		struct slice one = slice_trim(slice_cut(rest, ",", &rest));

		if (slice_iis(one, "auth"))
			ask->qop = DIGEST_QOP_AUTH;
		else if (slice_iis(one, "auth-int") && ask->qop == DIGEST_QOP_NONE)
			ask->qop = DIGEST_QOP_AUTH_INT;
	}
	return ask->qop != DIGEST_QOP_NONE;
}

/* 0, EINVAL or ENOTSUP. */
static int take_ask(struct digest_ask *ask, struct slice name, const char *value)
{
	if (slice_iis(name, "realm"))
		return str_set(ask->realm, value) ? 0 : EINVAL;
	if (slice_iis(name, "nonce"))
		return str_set(ask->nonce, value) && value[0] ? 0 : EINVAL;
	if (slice_iis(name, "opaque"))
		return str_set(ask->opaque, value) ? 0 : EINVAL;
	if (slice_iis(name, "algorithm"))
		return alg_parse(value, &ask->alg) ? 0 : ENOTSUP;
	if (slice_iis(name, "qop"))
		return take_qop(ask, value) ? 0 : ENOTSUP;
	if (slice_iis(name, "stale"))
		ask->stale = str_ieq(value, "true");
	return 0;
}

int digest_ask_parse(const char *value, struct digest_ask *ask)
{
	struct slice rest = slice_str(value), name;
	char text[DIGEST_URI_MAX];
	int more, rc = 0;

	memset(ask, 0, sizeof(*ask));
	if (!skip_scheme(&rest))
		return ENOTSUP;
	while (!rc && (more = next_param(&rest, &name, text, sizeof(text))) != 0)
		rc = more < 0 ? EINVAL : take_ask(ask, name, text);
	if (!rc && ask->nonce[0] == '\0')
		rc = EINVAL;
	return rc;
}

static int can_quote(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f || *s == '"' || *s == '\\')
			return 0;
	return 1;
}

static void out_answer(struct out *o, const struct digest_ask *ask, const char *user,
	const struct question *q, const char *response)
{
	out_str(o, "Digest ");
	out_quoted(o, "username", user);
	out_str(o, ", ");
	out_quoted(o, "realm", ask->realm);
	out_str(o, ", ");
	out_quoted(o, "nonce", ask->nonce);
	out_str(o, ", ");
	out_quoted(o, "uri", q->uri);
	out_str(o, ", ");
	out_quoted(o, "response", response);
	out_str(o, ", algorithm=");
	out_str(o, digest_alg_name((int)ask->alg));
	if (ask->opaque[0]) {
		out_str(o, ", ");
		out_quoted(o, "opaque", ask->opaque);
	}
	if (ask->qop != DIGEST_QOP_NONE) {
		out_str(o, ", qop=");
		out_str(o, digest_qop_name((int)ask->qop));
		out_str(o, ", nc=");
		out_str(o, q->nc);
	}
	if (ask->qop != DIGEST_QOP_NONE || is_sess(ask->alg)) {
		out_str(o, ", ");
		out_quoted(o, "cnonce", q->cnonce);
	}
}

int digest_answer(const struct digest_ask *ask, const char *user, const char *password,
	const char *method, const char *uri, const void *body, size_t len, uint32_t nc,
	const char *cnonce, char *buf, size_t size)
{
	struct out o = {buf, size, 0, size == 0};
	char ha1[DIGEST_HEX_MAX], response[DIGEST_HEX_MAX], nc_text[9];
	struct question q = {
		.alg = ask->alg, .qop = ask->qop, .ha1 = ha1, .nonce = ask->nonce, .nc = nc_text,
		.cnonce = cnonce, .method = method, .uri = uri, .body = body, .len = len,
	};
	int rc;

	snprintf(nc_text, sizeof(nc_text), "%08" PRIx32, nc);
	if (!can_quote(user) || !can_quote(uri) || !can_quote(cnonce))
		return EINVAL;
	rc = digest_ha1(ask->alg, user, ask->realm, password, ha1);
	if (!rc)
		rc = respond(&q, response);
	OPENSSL_cleanse(ha1, sizeof(ha1));
	if (rc)
		return rc;
	out_answer(&o, ask, user, &q, response);
	return out_end(&o);
}

int digest_cnonce(char buf[33])
{
	unsigned char bytes[16];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return EIO;
	to_hex(buf, bytes, sizeof(bytes));
	return 0;
}
