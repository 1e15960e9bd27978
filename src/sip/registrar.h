/*
 * registrar: who can be reached where. Bindings of users' phones (RFC 3261 section 10.3, Path of
 * RFC 3327, instances of RFC 5626) and static contacts behind a PBX, found by user or by number.
 * Pure data: time comes in, changes go out by one callback. The caller has authenticated the user.
 */
#ifndef SEGUE_SIP_REGISTRAR_H
#define SEGUE_SIP_REGISTRAR_H

#include "core/event.h"
#include "sip/uri.h"

#define REGISTRAR_TEXT_MAX 1024 /* each string of a REGISTER that is kept */

#define BINDING_KIND_LIST(X)                                                                       \
	X(BINDING_REGISTERED, "registered")                                                        \
	X(BINDING_STATIC, "static") /* from the directory: never expires */
ENUM_DECLARE(binding_kind, BINDING_KIND_LIST);

/* One contact of one user. Owned by the registrar, strings too; valid until its next change. No
 * string is NULL. */
struct binding {
	uint32_t id;            /* the contact's number for the core: stable across refreshes, never
				 * reused while segued runs, kept by save and load */
	enum binding_kind kind;
	const char *user;
	const char *uri;        /* Contact URI as registered: Request-URI towards it */
	const char *path;       /* Path values, comma separated: Route towards it; "" none */
	const char *call_id;
	uint32_t cseq;
	const char *instance;   /* +sip.instance without quotes, "" none */
	uint32_t reg_id;        /* RFC 5626, 0 none */
	uint16_t q;             /* thousandths; 1000 if not given */
	const char *source;     /* as the caller gave it: where the REGISTER came from */
	const char *user_agent;
	int64_t expires;        /* monotonic ms; INT64_MAX for static */
	uint64_t updated;       /* counts refreshes of all bindings: the higher, the newer */
};

struct registrar;

struct registrar_config {
	uint32_t expires_min_s;     /* shorter wishes get 423 */
	uint32_t expires_max_s;     /* longer ones are cut */
	uint32_t expires_default_s; /* no wish */
	/* The set of a user's contacts changed: one appeared, went, or expired. Called before the
	 * function that changed it returns; may look things up, must not change anything. */
	void (*changed)(void *arg, const char *user);
	void *arg;
};

/* NULL without memory. */
struct registrar *registrar_create(const struct registrar_config *cfg);
void registrar_destroy(struct registrar *r); /* no callbacks */
void registrar_configure(struct registrar *r, const struct registrar_config *cfg);

/* A REGISTER of an authenticated user. Header values as received, several of the same header
 * joined by commas; NULL: the header is absent. */
struct registrar_request {
	const char *user;
	const char *call_id;
	uint32_t cseq;
	const char *contact;    /* NULL: a query, changes nothing */
	const char *expires;
	const char *path;
	const char *source;
	const char *user_agent;
};

/* Carries it out, all or nothing. Returns the SIP status: 200; 400 (malformed, with * misused);
 * 403 (more than CONTACTS_MAX contacts); 423 (answer with Min-Expires: expires_min_s); 500 (CSeq
 * not newer than the binding's, step 7); 503 without memory. *why (may be NULL) gets a static
 * sentence for log and reason phrase. A user with CONTACTS_MAX bindings loses the one that was
 * refreshed longest ago. */
int registrar_register(struct registrar *r, const struct registrar_request *req, int64_t now,
	const char **why);

/* Writes the Contact header value of the 200: `<uri>;expires=n, ...`; "" if none. Static contacts
 * are not listed. 0 or ENOSPC. */
int registrar_print_contacts(const struct registrar *r, const char *user, int64_t now, char *buf,
	size_t size);

/* Sets, changes or (uri NULL or "") removes the static contact of a user. 0, EINVAL for a URI that
 * is none, ENOMEM. */
int registrar_set_static(struct registrar *r, const char *user, const char *uri);
/* Drops everything of a user. */
void registrar_drop_user(struct registrar *r, const char *user);

/* Drops what has expired; call it about every second. Cost: the bindings due, not all. */
void registrar_expire(struct registrar *r, int64_t now);

/* Numbers of the user's contacts, best q first, then the newest; returns how many (0..max). */
unsigned registrar_contacts(const struct registrar *r, const char *user,
	uint32_t id[CONTACTS_MAX]);
const struct binding *registrar_find(const struct registrar *r, uint32_t id);
/* The binding of this user that a request from `source` belongs to, or NULL. */
const struct binding *registrar_by_source(const struct registrar *r, const char *user,
	const char *source);
unsigned registrar_count(const struct registrar *r);
/* Every binding, in no order. */
void registrar_each(const struct registrar *r, void (*fn)(void *arg, const struct binding *b),
	void *arg);

/* Writes all registered bindings to a file: a new file, synced, renamed over path. Waits for the
 * disk. wall: UTC seconds. 0 or errno. */
int registrar_save(const struct registrar *r, const char *path, int64_t now, int64_t wall);
/* The same without waiting for the disk: enough to outlive this process, if not the machine. */
int registrar_note(const struct registrar *r, const char *path, int64_t now, int64_t wall);
/* Reads such a file into an empty registrar, dropping what expired meanwhile; calls changed once
 * per user. A line that makes no sense is skipped and counted in *bad (may be NULL). 0 or errno
 * (ENOENT: there is none). A source that was a connection is forgotten: it ended with the process
 * that had it, and the Contact URI is left. */
int registrar_load(struct registrar *r, const char *path, int64_t now, int64_t wall,
	unsigned *bad);

#endif
