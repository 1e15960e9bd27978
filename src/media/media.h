/*
 * media: puts a media engine (rtpengine) into the path of the audio. Whenever one leg is given the
 * session description of another, the text goes through the engine first, which puts itself between
 * the two; then music can be played to one of them, and the other be kept from its ears.
 *
 *	sip: text of leg `from` -> media_pass() -> engine -> ready(text for `leg`) -> sip
 *
 * Two legs that have met are a pair, a call of its own for the engine: what happens in a new pair (a
 * target that rings, a consultation) never touches the old one. A pair stays with its engine. If that
 * does not answer in time the pair moves on, with the next offer, to another one; if none is left,
 * descriptions pass as they are and the phones talk directly. Signalling never waits longer than the
 * engine's timeout.
 *
 * It decides nothing: who hears what comes in ACT_MEDIA, whether to anchor from the configuration.
 */
#ifndef SEGUE_MEDIA_MEDIA_H
#define SEGUE_MEDIA_MEDIA_H

#include "core/action.h"

#define MEDIA_ENGINES_MAX 8
#define MEDIA_ENGINE_LEN 64

struct media_config {
	char engine[MEDIA_ENGINES_MAX][MEDIA_ENGINE_LEN]; /* "127.0.0.1:2223"; none: no media */
	unsigned nengine;
	unsigned timeout_ms; /* an engine that has not answered by then is dead */
	unsigned ping_ms;    /* between two looks at each engine */
	enum anchoring anchor;
	char music_dir[256]; /* as the engines see it: default.wav, ringback.wav, NAME.wav; and for
			      * announcements NAME/position-N.wav and NAME/wait-N.wav */
};

struct media_hooks {
	void *arg;
	/* What media_pass() left waiting may go on, with this text in place of the session of the
	 * action's `from`; NULL: as it is. The text is gone when this returns. */
	void (*ready)(void *arg, call_id call, const char *sdp, size_t len);
	/* This leg's media went through an engine that is gone. Paced, so that a thousand calls do
	 * not ask all their phones anew in the same moment. */
	void (*lost)(void *arg, leg_id leg);
	/* What ACT_MEDIA said was to be announced to the leg is over, or cannot be played. */
	void (*played)(void *arg, leg_id leg);
	/* These keys of media_press() were not pressed: the engine refuses, or is gone. */
	void (*unpressed)(void *arg, leg_id leg, const char *left);
};

struct media;

/* stamp: tells this run's calls from an earlier run's, in the engines. 0 and *out; EINVAL for an
 * engine's address (logged), or an errno. */
int media_create(const struct media_config *cfg, uint64_t stamp, const struct media_hooks *hooks,
	struct media **out);
void media_destroy(struct media *m);
/* New policy and music; engines stay. */
void media_reconfigure(struct media *m, const struct media_config *cfg);
/* Becomes readable when media_dispatch() is due. */
int media_fd(const struct media *m);
void media_dispatch(struct media *m);

#define MEDIA_ROLE_LIST(X)                                                                         \
	X(MEDIA_OFFER, "offer")                                                                    \
	X(MEDIA_ANSWER, "answer")
ENUM_DECLARE(media_role, MEDIA_ROLE_LIST);

/* One description that is about to be given to a leg. */
struct media_job {
	call_id call; /* whose actions wait for it: where the leg is now, not where it came from */
	leg_id leg;  /* who gets it */
	leg_id from; /* whose session it is; ID_MUSIC: ours; ID_NONE with ANSWER: the leg's own new
		      * offer is answered with what it had, `sdp` is that offer */
	enum media_role role; /* what it is for the leg */
	const char *sdp; /* from's latest text; ID_MUSIC and ANSWER: the leg's offer */
	size_t len;
	const char *proto; /* what the leg is known to speak, "RTP/SAVP"; "" unknown */
	bool asked;        /* the peer of one of the two asks to be anchored */
};

enum media_verdict {
	MEDIA_DIRECT, /* pass it on as it is */
	MEDIA_WAIT,   /* ready() will be called for the job's call, not before this returns */
};

/* At most one job of a call waits at a time. */
enum media_verdict media_pass(struct media *m, const struct media_job *job);

/* ID_MUSIC without an engine: what the leg is given then. Silence, and somebody else later. */
size_t media_own_sdp(const struct media_job *job, char *buf, size_t size);

/* The offer that the leg was given is agreed; sdp: its answer, len 0 if it had none. */
void media_settled(struct media *m, leg_id leg, const char *sdp, size_t len);
/* It was refused: the leg stays with what it had. */
void media_refused(struct media *m, leg_id leg);

/* Does an engine carry what this leg hears, so that it can play to it? */
bool media_plays(const struct media *m, leg_id leg);
/* An engine played to it what it still should hear, and none does any more: true, once. To be asked when
 * what the leg has is agreed. */
bool media_fell_silent(struct media *m, leg_id leg);
/* ACT_MEDIA. */
void media_hear(struct media *m, leg_id leg, const struct act_media *what);
/* Keys will be pressed for this leg. To be said before it is given its first description. */
void media_expect_keys(struct media *m, leg_id leg);
/* ACT_DIGITS: presses them in what the leg hears, in the place of its peer. False: no engine can. Keys
 * that were being pressed for the leg are forgotten. */
bool media_press(struct media *m, leg_id leg, const char *keys);
/* ACT_RECORD. The engine writes a capture of its own whose metadata is the recording's id. */
void media_record(struct media *m, leg_id leg, const struct act_record *what);
/* ACT_LEG_FREE. */
void media_leg_free(struct media *m, leg_id leg);

struct media_status {
	unsigned engines, alive;
	unsigned pairs;     /* anchored now */
	uint64_t anchored;  /* pairs so far */
	uint64_t bypassed;  /* that went without an engine, because none answered */
};
void media_status(const struct media *m, struct media_status *out);

#endif
