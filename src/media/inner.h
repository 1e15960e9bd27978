/*
 * inner: what the files of media/ share.
 *
 *	media.c  the door: legs, jobs, life
 *	pair.c   two legs and their call in an engine: one request at a time, in order; failover
 *	own.c    the session description of music that nobody else sends
 *	events.c  the payload number of telephone events
 *	hearing.c   which side of a pair is cut off and what is played to it
 *	keys.c   keys that are pressed in the place of a party
 *	ng.c     the protocol
 */
#ifndef SEGUE_MEDIA_INNER_H
#define SEGUE_MEDIA_INNER_H

#include <uthash.h>

#include "base/text.h"
#include "media/media.h"
#include "media/ng.h"

#define PAIR_ID_MAX 128
#define SDP_ROOM 16384
#define PLAYED_MAX (USER_MAX + 24) /* "jazz", "en/position-3" */

#define PAIR_LIST(X)                                                                               \
	X(PAIR_NEW, "new")           /* nothing was agreed with an engine yet */                   \
	X(PAIR_ANCHORED, "anchored")                                                               \
	X(PAIR_LOST, "lost")         /* its engine died; the next offer finds another */           \
	X(PAIR_BYPASSED, "bypassed") /* the phones talk directly, for good */
ENUM_DECLARE(pair_state, PAIR_LIST);

#define OP_LIST(X)                                                                                 \
	X(OP_OFFER, "offer")                                                                       \
	X(OP_ANSWER, "answer")                                                                     \
	X(OP_PLAY, "play media")                                                                   \
	X(OP_SAY, "play media") /* once, and how long it takes is asked for */                     \
	X(OP_STOP, "stop media")                                                                   \
	X(OP_BLOCK, "block media")                                                                 \
	X(OP_UNBLOCK, "unblock media")                                                             \
	X(OP_PRESS, "play DTMF")                                                                   \
	X(OP_RECORD, "start recording")                                                            \
	X(OP_RECORD_END, "stop recording")
ENUM_DECLARE(op_kind, OP_LIST);

/* One request to the engine about a pair. */
struct op {
	enum op_kind kind;
	unsigned side;     /* OFFER, ANSWER: who wrote the SDP; else the side it is about */
	struct text text;  /* the SDP, the file to play, the key, or the name of the recording */
	char proto[32];    /* OFFER: what the other side is to be offered, "" the same */
	call_id waits;     /* ready() is due to this call's job, ID_NONE: nobody waits */
	struct op *prev, *next;
};

struct mleg;
struct pair;

/* One leg's place in a pair. */
struct side {
	struct pair *pair;
	leg_id id;
	struct mleg *leg;     /* NULL: freed, or the music that is its own end */
	struct text sdp;      /* what it said last */
	bool blocked;         /* as the engine was told: the other side does not hear it */
	enum hears playing;   /* as the engine was told: PEER for nothing */
	char music[PLAYED_MAX]; /* .. and which file */
	struct side *prev, *next; /* of the same leg */
};

#define NOBODY (-1)

struct pair_key {
	leg_id a, b; /* a < b */
};

struct pair {
	struct media *media;
	struct pair_key key;
	char id[PAIR_ID_MAX]; /* call-id in the engine */
	enum pair_state state;
	unsigned engine, life; /* which engine; the how-manieth call in one */
	struct side side[2];
	char recording[UUID_STRLEN]; /* as the engine was told, "" none */
	int open;              /* whose offer has no answer yet, or NOBODY */
	unsigned last;         /* whose description the engine was told last */
	struct op *ops;        /* the first is under way if `request` is set */
	uint64_t request;
	struct pair *prev, *next; /* healing queue */
	bool queued;
	UT_hash_handle hh;
};

#define KEYS_TONE_MS 160

/* Keys that are pressed for a leg. */
struct keys {
	enum keys_state {
		KEYS_NONE,
		KEYS_DUE,    /* the first of them, at `due` */
		KEYS_ASKED,  /* the engine; until `due` it may answer */
		KEYS_FAILED,
	} state; /* all but NONE: in media.pressing */
	char left[DIGITS_MAX];
	struct pair *pair; /* in which they are */
	int64_t due, since; /* monotonic ms; when the first of them was due first */
	char why[64];       /* it was not pressed yet */
	struct mleg *leg;
	struct keys *prev, *next;
};

/* A leg as far as its media goes. */
struct mleg {
	leg_id id;
	struct pair *pair, *was; /* given last; before the offer that waits for its answer */
	enum { GIVEN_AGREED, GIVEN_OFFERED } given;
	enum hears hears;
	bool played; /* that, by an engine, as far as anybody was told */
	char music[USER_MAX];
	char recording[UUID_STRLEN]; /* what it says and hears is kept under this name, "" not */
	struct act_media place;      /* HEARS_PLACE: what is said .. */
	unsigned said;               /* .. and so many sounds of it were */
	int64_t until;               /* when the present one is over, monotonic ms */
	enum { SILENT, SPEAKING } speech; /* SPEAKING: in media.speaking */
	bool keyed;       /* keys will be pressed for it: each of its pairs is made ready for that */
	struct keys keys;
	struct mleg *prev, *next;
	struct side *sides;
	UT_hash_handle hh;
};

struct media {
	struct media_config cfg;
	struct media_hooks hooks;
	uint64_t stamp;
	struct ng *ng;
	int epoll, timer;   /* the timer paces the healing */
	int speech;         /* a timer, for the first of those who are spoken to */
	struct mleg *speaking; /* in the order in which their sounds end */
	int finger;            /* a timer, for the first of these */
	struct keys *pressing; /* in the order in which they are due */
	struct pair *pairs, *heal;
	struct mleg *legs;
	struct media_status status;
};

/* pair.c */
struct pair *pair_find(struct media *m, leg_id x, leg_id y);
/* NULL without memory. */
struct pair *pair_get(struct media *m, leg_id x, leg_id y);
/* Forgets it if nobody needs it: one side is gone and the other has moved on. */
void pair_review(struct pair *p);
void pair_destroy(struct pair *p);
unsigned pair_side(const struct pair *p, leg_id id);
/* An SDP of one side is told to the engine, and what comes back is for the other. False: the pair is
 * bypassed, or there is no engine; nothing will come. */
bool pair_exchange(struct pair *p, enum op_kind kind, unsigned from, const char *sdp, size_t len,
	const char *proto, call_id waits);
void pair_do(struct pair *p, enum op_kind kind, unsigned side, const char *file);
/* To be said before something is played to that side: the engine does not play to one whose peer said last
 * that it sends nothing. Both sides are told again then, that one last. */
void pair_let_hear(struct pair *p, unsigned side);
void pair_engine_lost(struct media *m, unsigned engine);
void pair_heal_some(struct media *m);

/* keys.c: the pair's engine has pressed the key of OP_PRESS in the place of that side, or would not. */
void keys_pressed(struct side *presser);
void keys_refused(struct side *presser, const char *why);
/* The pair has no engine any more. */
void keys_lost(struct pair *p);
void keys_forget(struct media *m, struct mleg *l);
/* Goes on with those whose time has come. */
void keys_next(struct media *m);

/* own.c: what we say in the place of a party, into buf. Returns the length. offer: what is answered. */
size_t own_offer(char *buf, size_t size);
size_t own_answer(const char *offer, size_t len, char *buf, size_t size);
/* Does who wrote this description send audio (RFC 3264 section 5.1)? That of its first
 * stream of audio; the session's where that says nothing. */
bool own_sends(const char *sdp, size_t len);

/* events.c: the payload number of telephone events in a session description, -1: it has none. */
int events_number(const char *sdp, size_t len);
/* The same description with another number for them, into buf. Returns its length; 0: there is nothing to
 * change, that number stands for something else, or it does not fit. */
size_t events_renumber(const char *sdp, size_t len, int want, char *buf, size_t size);

/* media.c */
struct mleg *mleg_get(struct media *m, leg_id id);
/* The leg has been given what this pair's other side said (NULL: media goes another way). */
void mleg_give(struct mleg *l, struct pair *p, enum media_role role);
struct pair *mleg_current(const struct mleg *l);
int64_t media_now_ms(void); /* monotonic */

bool hearing_is_played(enum hears h); /* a file, not what somebody says */
/* hearing.c: brings what the engine does in line with what legs hear. */
void hearing_sync_leg(struct mleg *l);
void hearing_sync_pair(struct pair *p);
/* A place is to be said to the leg, from the beginning; it is told of no more. */
void hearing_speak(struct media *m, struct mleg *l, const struct act_media *what);
void hearing_hush(struct media *m, struct mleg *l);
/* The engine plays a sound of that length to the side; 0: it cannot. */
void hearing_said(struct side *s, int64_t ms);
/* Goes on with those whose sound is over. */
void hearing_next_sounds(struct media *m);

#endif
