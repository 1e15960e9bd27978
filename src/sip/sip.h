/*
 * sip: carries SIP for the core. It turns messages into events and carries actions out; it keeps
 * handle maps, open transactions, dialog state and the last SDP texts, and decides nothing about
 * calls.
 *
 *	network -> stack -> dialog, verbs (invite, offer, bye, refer ..) -> emit(event)
 *	sip_act(action) -> verbs -> stack -> network
 *
 * One thread: everything here runs on the su_root loop of sip_loop().
 */
#ifndef SEGUE_SIP_SIP_H
#define SEGUE_SIP_SIP_H

#include "core/action.h"
#include "core/config.h"
#include "core/event.h"
#include "sip/sdp.h"

#define SIP_LISTEN_MAX 8
#define SIP_PEERS_MAX 64
#define SIP_PEER_ADDRS_MAX 8
#define SIP_DOMAINS_MAX 16
#define SIP_DEVICES_MAX 32

/* A PBX, trunk or IVR platform that is recognised by its address. */
struct sip_peer {
	char name[USER_MAX];
	char address[SIP_PEER_ADDRS_MAX][128]; /* "host[:port][;transport=tcp]": where we send, in
						* order (E-036); the first is preferred */
	unsigned naddress;
	char match[SIP_PEER_ADDRS_MAX][64]; /* source addresses or a.b.c.d/len, x::/len; when empty
					     * the hosts of `address` */
	unsigned nmatch;
	char username[USER_MAX], password[128]; /* for 401/407 from it (E-035); "" none */
	bool trusted;       /* P-Asserted-Identity and Privacy pass both ways (RFC 3325) */
	bool trust_case_id; /* X-Case-ID from it is believed */
	bool may_replace;   /* its INVITE with Replaces may take calls over */
	enum refer_progress progress; /* what its REFERs are told (E-011) */
	bool immediate;     /* .. in the word of old: IMMEDIATE */
	enum bye_policy bye; /* who ends its dialog after it transferred (E-003) */
	struct peer_policy policy; /* for the core */
	enum diversion diversion;
	bool verbatim_referral; /* the Refer-To that leads to it becomes its Request-URI as it is */
	bool anchor_media;  /* its media runs through an engine, where media.anchor leaves it to peers */
	unsigned failover_ms; /* no response at all for this long: next address */
};

/* Device classes by User-Agent prefix. */
struct sip_device {
	char user_agent[64]; /* prefix, case-insensitive */
	enum refer_progress progress; /* E-011 */
	bool immediate;      /* .. in the word of old */
	enum bye_policy bye; /* E-003 */
	bool md5_only;       /* a challenge with SHA-256 makes it give up: it gets MD5 alone */
};

struct sip_config {
	char listen[SIP_LISTEN_MAX][128]; /* "udp:127.0.0.1:5060", "tcp:[::1]:5060" */
	unsigned nlisten;
	char domains[SIP_DOMAINS_MAX][128]; /* hosts that are ours in Refer-To and To (E-064) */
	unsigned ndomains;
	char realm[128];       /* digest realm */
	char user_agent[64];   /* Server and User-Agent */
	struct sip_peer peers[SIP_PEERS_MAX];
	unsigned npeers;
	struct sip_device devices[SIP_DEVICES_MAX];
	unsigned ndevices;
	bool auth_refer;       /* challenge REFER from users (E-069, E-078) */
	unsigned nonce_ms;     /* lifetime of a nonce */
	unsigned expires_min_s, expires_max_s; /* REGISTER (RFC 3261 10.3), defaults 60 and 3600 */
	char registrations[256]; /* file that carries bindings over a restart, "" none */
	unsigned session_expires_s; /* RFC 4028; 0: we ask for none */
	unsigned min_se_s;     /* >= 90 */
	unsigned t1_ms;        /* RFC 3261 T1, 500 */
	unsigned progress_ms;  /* a 1xx is sent again this often, 60000 (RFC 3261 13.3.1.1) */
	unsigned qualify_s;    /* each contact is asked with OPTIONS this often; 0: never (E-109) */
	unsigned udp_rmem;     /* receive buffer, bytes */
};

void sip_config_default(struct sip_config *cfg);

/* A user as the SIP side needs to know it; see the users table. */
struct sip_user {
	char name[USER_MAX];
	char number[NUM_MAX];
	char display[NAME_MAX_];
	char ha1_md5[33], ha1_sha256[65]; /* hex; "" not set: that algorithm cannot be used */
	char contact[256]; /* static contact URI behind a PBX; "" registers */
	bool enabled;
};

/* A dialog, by what a Replaces header calls it. */
struct sip_named {
	const char *call_id, *local_tag, *remote_tag;
	const char *user; /* whose phone */
};

/* What sip asks of the rest of the program. */
struct sip_hooks {
	void *arg;
	/* One event; type, leg/call and the union are set, the runner fills now, wall and rnd.
	 * Never nested: while a step's actions are carried out further events are queued. For
	 * EV_INVITE the runner calls sip_bind() before it carries out that step's actions. */
	void (*emit)(void *arg, struct event *ev);
	/* Fills *u and returns true if the user exists. Called per request; must be O(1). */
	bool (*find_user)(void *arg, const char *name, struct sip_user *u);
	/* A user's dialog was answered, so that it can be replaced; it is over. The texts live during
	 * the call only. May be NULL: nobody wants to know. */
	void (*dialog_up)(void *arg, const struct sip_named *d);
	void (*dialog_over)(void *arg, const char *local_tag);
};

struct sip;

/* Opens the transports. Returns NULL after having logged what is wrong and where. */
struct sip *sip_create(const struct sip_config *cfg, const struct sip_hooks *hooks);
void sip_destroy(struct sip *s);

/* New peers, devices, domains, timers; listeners stay. 0 or an errno (logged). */
int sip_reconfigure(struct sip *s, const struct sip_config *cfg);

/* The su_root_t* that everything runs on, for the runner's timers, fds and main loop. */
void *sip_loop(struct sip *s);

/* Ties the leg id of the core to the INVITE that was announced under handle. ID_NONE: the core is
 * full, the INVITE is answered 503 with Retry-After. */
void sip_bind(struct sip *s, uint64_t handle, leg_id leg);

/* Carries out one action of the SIP kind; others (REPLY, TIMER, MEDIA, CALL_FREE) are not for sip. */
void sip_act(struct sip *s, const struct action *a);

/* What a REFER that runs replaces, as the value of a Replaces header. False: nothing, the REFER is gone,
 * or it does not fit. */
bool sip_refer_replaces(struct sip *s, uint64_t cmd, char *value, size_t size);
/* Whose REFER it is; "" if it is a peer's, or gone. */
const char *sip_refer_user(struct sip *s, uint64_t cmd);

/* ---- session descriptions, for whoever puts a relay into the path of the media ----------------- */

/* What an action would pass on to its leg. */
struct sip_source {
	enum sdp_role role; /* what it is for the leg */
	const char *sdp;    /* the latest of the action's `from`; ID_MUSIC, or ID_NONE in an answer: the
			     * leg's own offer. Valid until the next call of this adapter. */
	size_t len;
	char proto[32];     /* transport of the leg's own first stream, "" if it has said nothing yet */
	bool anchor;        /* the peer of one of the two asks for a relay */
};

/* False: the action carries no description, or none that is another party's. */
bool sip_source(struct sip *s, const struct action *a, struct sip_source *out);
/* Carries the action out with this text in the place of that description. Origin, versions, order of
 * m-lines and directions stay this adapter's business. */
void sip_act_with(struct sip *s, const struct action *a, const char *sdp, size_t len);
/* What the leg said last; len 0: nothing. */
const char *sip_remote(struct sip *s, leg_id leg, size_t *len);

/* ---- from one process to the next (E-124) ----------------------------------------------------- */

struct sip_kept { /* grows; zeroed at first, bytes are the caller's to free */
	unsigned char *bytes;
	size_t len, cap;
};
/* Appends what sip_restore() needs to make the dialog of that leg again. 0; ENOENT if it is not up, or over;
 * ENOMEM. On failure nothing is appended. */
int sip_keep(struct sip *s, leg_id leg, struct sip_kept *out);
/* Makes a dialog again, before the first message is read, from as many of the bytes as it needs. Its leg,
 * or ID_NONE: the bytes are damaged or of another version, or there is such a leg already. */
leg_id sip_restore(struct sip *s, const void *bytes, size_t len, size_t *used);
/* A REFER that was kept before anybody knew what becomes of it was accepted: when it comes again it is not
 * another one. */
void sip_refer_taken(struct sip *s, uint64_t cmd);
bool sip_has(struct sip *s, leg_id leg);
/* Ends a restored dialog for which there is no call. */
void sip_farewell(struct sip *s, leg_id leg, uint16_t status, const char *text);

/* The directory says that this user changed or is gone: static contacts are announced with
 * EV_CONTACTS, bindings of a removed or disabled user are dropped. */
void sip_user_changed(struct sip *s, const char *user);

/* Turns logging of whole messages on or off for one call (id) or one peer (name, id 0). */
int sip_trace(struct sip *s, call_id call, const char *peer, int on);

/* The ladder of a call so far: one line per message ("17:02:11.123 17.2.1 <- INVITE sip:...");
 * the newest 200 are kept. */
void sip_ladder(struct sip *s, call_id call, void (*fn)(void *arg, const char *line), void *arg);

/* Registered contacts for the control socket: user, contact URI, seconds left. */
void sip_registrations(struct sip *s,
	void (*fn)(void *arg, const char *user, const char *uri, int expires_s), void *arg);

#endif
