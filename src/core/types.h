/*
 * types: the plain data that events, actions and facts share. Everything here can be copied with
 * memcpy, written to a file and read back; nothing points anywhere.
 */
#ifndef SEGUE_CORE_TYPES_H
#define SEGUE_CORE_TYPES_H

#include "base/id.h"
#include "base/names.h"
#include "base/str.h"
#include "base/uuid.h"

#define NUM_MAX 64   /* a dialled number or user part, with NUL */
#define USER_MAX 64  /* users.name, queues.name, ivrs.name, peer names */
#define NAME_MAX_ 96 /* a display name */
#define KEY_MAX 96   /* an external case key, an asker */
#define TEXT_MAX 128 /* a reason phrase, a short explanation */

/* What somebody can be called to, or transferred to. */
#define TARGET_KIND_LIST(X)                                                                        \
	X(TARGET_NONE, "none")                                                                     \
	X(TARGET_USER, "user")                                                                     \
	X(TARGET_QUEUE, "queue")                                                                   \
	X(TARGET_IVR, "ivr")                                                                       \
	X(TARGET_EXTERNAL, "external")                                                             \
	X(TARGET_VOICEMAIL, "voicemail")
ENUM_DECLARE(target_kind, TARGET_KIND_LIST);

/* Where an incoming INVITE comes from; the adapter has authenticated it. */
#define SOURCE_KIND_LIST(X)                                                                        \
	X(SOURCE_PEER, "peer")                                                                     \
	X(SOURCE_USER, "user")
ENUM_DECLARE(source_kind, SOURCE_KIND_LIST);

/* Who asked for something; records.md "asked_via". */
#define ORIGIN_LIST(X)                                                                             \
	X(ORIGIN_SIP, "sip") /* a party's own signalling: ringing, answering, hanging up */       \
	X(ORIGIN_REFER, "sip_refer")                                                               \
	X(ORIGIN_API, "api")                                                                       \
	X(ORIGIN_PANEL, "panel")                                                                   \
	X(ORIGIN_CTL, "ctl")                                                                       \
	X(ORIGIN_DTMF, "dtmf")                                                                     \
	X(ORIGIN_SYSTEM, "system")
ENUM_DECLARE(origin, ORIGIN_LIST);

/* Media direction as the party that wrote the SDP states it (RFC 4566 section 6). */
#define DIR_LIST(X)                                                                                \
	X(DIR_INACTIVE, "inactive")                                                                \
	X(DIR_RECVONLY, "recvonly")                                                                \
	X(DIR_SENDONLY, "sendonly")                                                                \
	X(DIR_SENDRECV, "sendrecv")
ENUM_DECLARE(dir, DIR_LIST);

/* What a body said about the session, as the SDP scanner saw it. The text itself stays with the
 * adapter, kept as the leg's latest remote SDP. */
#define SDP_WHAT_LIST(X)                                                                           \
	X(SDP_NONE, "none")     /* no session description in the message */                        \
	X(SDP_OFFER, "offer")                                                                      \
	X(SDP_ANSWER, "answer")                                                                    \
	X(SDP_BAD, "bad")       /* there was a body, and it is no usable SDP */
ENUM_DECLARE(sdp_what, SDP_WHAT_LIST);

struct sdp_note {
	enum sdp_what what;
	enum dir dir;  /* of the first active audio stream, else of the first active stream */
	bool same;     /* says nothing that the leg's previous SDP did not say (o= version aside). For
			* an answer also true if it merely picks from what was said before, or differs
			* in direction alone: that is in `dir`. */
	bool usable;   /* at least one stream has a port (false: port 0 everywhere, E-033) */
	bool image;    /* an active m=image stream: a fax is running (E-053) */
};

/* Where an outbound INVITE goes. */
#define DEST_KIND_LIST(X)                                                                          \
	X(DEST_CONTACT, "contact") /* one registered or static contact of a user */                \
	X(DEST_PEER, "peer")       /* a number through a peer (trunk, PBX, IVR platform) */
ENUM_DECLARE(dest_kind, DEST_KIND_LIST);

struct dest {
	enum dest_kind kind;
	char user[USER_MAX]; /* whose phone; "" for a peer */
	uint32_t contact;    /* DEST_CONTACT: the registrar's number for that contact */
	char peer[USER_MAX]; /* DEST_PEER: name of the peer in the config */
	char number[NUM_MAX]; /* user part of the Request-URI */
};

/* The party on the other end of a leg, as it presents itself. */
struct party {
	char number[NUM_MAX];
	char name[NAME_MAX_];
	bool anonymous; /* identity is to be kept from untrusted peers (RFC 3323, R-062) */
};

#endif
