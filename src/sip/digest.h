/*
 * digest: digest authentication, RFC 7616 with RFC 8760, both sides.
 *
 * Server: nonces are signed, not stored, so a flood of requests costs no memory; a nonce that was
 * used with good credentials is remembered until it expires, with the highest count seen, so that
 * nothing can be replayed. Client: answers the first challenge whose algorithm is known.
 */
#ifndef SEGUE_SIP_DIGEST_H
#define SEGUE_SIP_DIGEST_H

#include "core/types.h"

#define DIGEST_HEX_MAX 65   /* hex of the longest hash, with NUL */
#define DIGEST_NONCE_MAX 256
#define DIGEST_HEADER_MAX 1024 /* a challenge or credentials as header value, with NUL */
#define DIGEST_REALM_MAX 128
#define DIGEST_URI_MAX 512

/* Names are those of the algorithm parameter. */
#define DIGEST_ALG_LIST(X)                                                                         \
	X(DIGEST_MD5, "MD5")                                                                       \
	X(DIGEST_SHA256, "SHA-256")                                                                \
	X(DIGEST_SHA512_256, "SHA-512-256")                                                        \
	X(DIGEST_MD5_SESS, "MD5-sess")                                                             \
	X(DIGEST_SHA256_SESS, "SHA-256-sess")                                                      \
	X(DIGEST_SHA512_256_SESS, "SHA-512-256-sess")
ENUM_DECLARE(digest_alg, DIGEST_ALG_LIST);

#define DIGEST_QOP_LIST(X)                                                                         \
	X(DIGEST_QOP_NONE, "none") /* RFC 2069 style: nonce is good for one request */             \
	X(DIGEST_QOP_AUTH, "auth")                                                                 \
	X(DIGEST_QOP_AUTH_INT, "auth-int")
ENUM_DECLARE(digest_qop, DIGEST_QOP_LIST);

#define DIGEST_VERDICT_LIST(X)                                                                     \
	X(DIGEST_OK, "ok")                                                                         \
	X(DIGEST_ABSENT, "no credentials for our realm")                                           \
	X(DIGEST_STALE, "nonce has expired or was used before") /* credentials are right */        \
	X(DIGEST_WRONG, "wrong user name or password")                                             \
	X(DIGEST_BAD, "credentials are malformed or of an algorithm that was not offered")
ENUM_DECLARE(digest_verdict, DIGEST_VERDICT_LIST);

/* HA1 = H(user:realm:password) as lower case hex into out. 0, or ENOTSUP if
 * libcrypto lacks the algorithm. */
int digest_ha1(enum digest_alg alg, const char *user, const char *realm, const char *password,
	char out[DIGEST_HEX_MAX]);

/* ---- server ------------------------------------------------------------------------------ */

struct digest_server;

/* nonce_ms: lifetime of a nonce. The signing key is random. NULL without memory or randomness. */
struct digest_server *digest_server_create(const char *realm, int64_t nonce_ms);
void digest_server_destroy(struct digest_server *s);
void digest_server_configure(struct digest_server *s, const char *realm, int64_t nonce_ms);

/* Writes the value of one WWW-Authenticate (or Proxy-Authenticate) header for alg (DIGEST_SHA256 or
 * DIGEST_MD5; send SHA-256 first, RFC 8760 section 2.4, and only what the users have an HA1 for).
 * why DIGEST_STALE adds stale=true. now: monotonic ms. 0, ENOSPC, or EIO without randomness. */
int digest_challenge(struct digest_server *s, enum digest_alg alg, enum digest_verdict why,
	int64_t now, char *buf, size_t size);

/* What an Authorization header says. */
struct digest_creds {
	enum digest_alg alg;
	enum digest_qop qop;
	uint32_t nc;
	char nc_text[9];
	char username[USER_MAX], realm[DIGEST_REALM_MAX], nonce[DIGEST_NONCE_MAX];
	char uri[DIGEST_URI_MAX], cnonce[DIGEST_NONCE_MAX], response[DIGEST_HEX_MAX];
};

/* Reads the value of one Authorization header. DIGEST_OK; DIGEST_ABSENT for another scheme than
 * Digest or another realm (try the next header); DIGEST_BAD. */
enum digest_verdict digest_creds_parse(const struct digest_server *s, const char *value,
	struct digest_creds *c);

/* Checks credentials. ha1: hex of the user's HA1 for c->alg; NULL or "" for an unknown user or one
 * without that hash: the same work is done, so timing tells nothing. body is used for auth-int. The
 * Request-URI is not compared with c->uri, for proxies may change it; replays fail on nc. The nonce
 * counts as used only when all else is right. */
enum digest_verdict digest_check(struct digest_server *s, const struct digest_creds *c,
	const char *ha1, const char *method, const void *body, size_t len, int64_t now);

/* Forgets expired nonces; cheap, call it every few seconds. */
void digest_server_tick(struct digest_server *s, int64_t now);
unsigned digest_server_used(const struct digest_server *s); /* nonces remembered */

/* ---- client ------------------------------------------------------------------------------ */

struct digest_ask {
	enum digest_alg alg;
	enum digest_qop qop; /* what we will use: auth if offered, else auth-int, else none */
	bool stale;
	char realm[DIGEST_REALM_MAX], nonce[DIGEST_NONCE_MAX], opaque[DIGEST_NONCE_MAX];
};

/* Reads the value of one WWW-/Proxy-Authenticate header. 0, ENOTSUP for an unknown scheme,
 * algorithm or qop, EINVAL for a malformed one. Take the first of the message that gives 0
 * (RFC 8760 section 2.3). */
int digest_ask_parse(const char *value, struct digest_ask *ask);

/* Writes the value of the (Proxy-)Authorization header. nc counts the uses of this nonce from 1;
 * cnonce as from digest_cnonce(). 0 or ENOSPC; EINVAL if user or uri cannot be quoted. */
int digest_answer(const struct digest_ask *ask, const char *user, const char *password,
	const char *method, const char *uri, const void *body, size_t len, uint32_t nc,
	const char *cnonce, char *buf, size_t size);

/* 16 random bytes as hex. 0 or EIO. */
int digest_cnonce(char buf[33]);

#endif
