/* hearing: a side is cut off from the other's ears while that one hears music, or while it listens in
 * another pair. Told to the engine when it changes, and never before there is a call in it. */
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>

#include <utlist.h>

#include "base/log.h"
#include "media/inner.h"

bool hearing_is_played(enum hears h)
{
	return h == HEARS_MUSIC || h == HEARS_RINGBACK || h == HEARS_PLACE;
}

/* Names come from the directory: only what is a plain file name becomes part of a path. */
static bool is_plain(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strpbrk(name, "/:") == NULL;
}

static const char *name_of(enum hears what, const char *music)
{
	return what == HEARS_RINGBACK	? "ringback"
	       : what == HEARS_PLACE	? music
	       : is_plain(music) ? music
				 : "default";
}

/* ---- announcements --------------------------------------------------------------------------- */

#define POSITIONS 20 /* position-1 .. position-20, then position-many */
#define GAP_MS 40    /* the engine's last packets */

/* How long it will take, in the words that there are sounds for: rounded up. */
static void wait_name(uint32_t minutes, char *buf, size_t size)
{
	static const uint32_t steps[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 45, 60};

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (minutes <= steps[i]) {
			snprintf(buf, size, "wait-%u", steps[i]);
			return;
		}
	str_copy(buf, size, "wait-long");
}

/* The sound of an announcement that is due, "en/position-3". False: there is none any more. */
static bool sound_of(const struct mleg *l, char *buf, size_t size)
{
	const struct act_media *p = &l->place;
	char name[24];

	if (!is_plain(p->music) || l->said > 1 || (l->said == 1 && p->minutes == 0))
		return false;
	if (l->said == 1)
		wait_name(p->minutes, name, sizeof(name));
	else if (p->position <= POSITIONS)
		snprintf(name, sizeof(name), "position-%u", p->position);
	else
		str_set(name, "position-many");
	snprintf(buf, size, "%s/%s", p->music, name);
	return true;
}

static void arm_speech(struct media *m)
{
	struct itimerspec t = {0};

	if (m->speaking != NULL) {
		t.it_value.tv_sec = m->speaking->until / 1000;
		t.it_value.tv_nsec = m->speaking->until % 1000 * 1000000 + 1;
	}
	timerfd_settime(m->speech, TFD_TIMER_ABSTIME, &t, NULL);
}

void hearing_hush(struct media *m, struct mleg *l)
{
	if (l->speech == SPEAKING)
		DL_DELETE(m->speaking, l);
	l->speech = SILENT;
	arm_speech(m);
}

static int by_end(const struct mleg *a, const struct mleg *b)
{
	return a->until < b->until ? -1 : a->until > b->until;
}

static void speak_until(struct media *m, struct mleg *l, int64_t ms)
{
	hearing_hush(m, l);
	l->until = media_now_ms() + ms;
	l->speech = SPEAKING;
	DL_INSERT_INORDER(m->speaking, l, by_end);
	arm_speech(m);
}

void hearing_speak(struct media *m, struct mleg *l, const struct act_media *what)
{
	const struct pair *p = mleg_current(l);

	hearing_hush(m, l);
	if (what->what != HEARS_PLACE)
		return;
	l->place = *what;
	l->said = 0;
	if (p == NULL || p->state != PAIR_ANCHORED) { /* nobody who could play it */
		l->said = 2;
		speak_until(m, l, 0);
	}
}

void hearing_said(struct side *s, int64_t ms)
{
	struct mleg *l = s->leg;

	if (l == NULL || l->hears != HEARS_PLACE || mleg_current(l) != s->pair)
		return;
	speak_until(s->pair->media, l, ms > 0 ? ms + GAP_MS : 0);
}

void hearing_next_sounds(struct media *m)
{
	int64_t now = media_now_ms();
	char name[PLAYED_MAX];

	while (m->speaking != NULL && m->speaking->until <= now) {
		struct mleg *l = m->speaking;

		hearing_hush(m, l);
		l->said++;
		if (l->hears == HEARS_PLACE && sound_of(l, name, sizeof(name)))
			hearing_sync_leg(l);
		else
			m->hooks.played(m->hooks.arg, l->id);
	}
	arm_speech(m);
}

/* ---- what is played ---------------------------------------------------------------------------- */

static void sync_playing(struct side *s, enum hears want, const char *music)
{
	struct media *m = s->pair->media;
	unsigned me = (unsigned)(s - s->pair->side);
	char path[sizeof(m->cfg.music_dir) + PLAYED_MAX + 16];

	if (s->playing == want && (want == HEARS_PEER || strcmp(s->music, music) == 0))
		return;
	if (s->playing != HEARS_PEER)
		pair_do(s->pair, OP_STOP, me, NULL);
	s->playing = want;
	str_set(s->music, music);
	if (want == HEARS_PEER)
		return;
	snprintf(path, sizeof(path), "%s/%s.wav", m->cfg.music_dir, name_of(want, music));
	pair_let_hear(s->pair, me);
	pair_do(s->pair, want == HEARS_PLACE ? OP_SAY : OP_PLAY, me, path);
}

/* What the side s hears. */
static void sync_side(struct side *s)
{
	const struct mleg *l = s->leg;
	const struct pair *at = l != NULL ? mleg_current(l) : NULL;
	unsigned other = s == &s->pair->side[0] ? 1 : 0;
	struct side *peer = &s->pair->side[other];
	bool here = at == s->pair, deaf;
	char name[PLAYED_MAX];

	if (s->pair->state != PAIR_ANCHORED || l == NULL)
		return;
	deaf = (at != NULL && !here) || (here && l->hears != HEARS_PEER);
	if (deaf != peer->blocked && peer->id != ID_MUSIC) {
		peer->blocked = deaf;
		pair_do(s->pair, deaf ? OP_BLOCK : OP_UNBLOCK, other, NULL);
	}
	if (here && l->hears == HEARS_PLACE && sound_of(l, name, sizeof(name)))
		sync_playing(s, HEARS_PLACE, name);
	else if (l->hears != HEARS_PLACE || !here)
		sync_playing(s, here && hearing_is_played(l->hears) ? l->hears : HEARS_PEER, l->music);
}

/* A pair is recorded while one of its legs is there and says so. */
static const char *recording_of(const struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct mleg *l = p->side[i].leg;

		if (l != NULL && l->recording[0] != '\0' && mleg_current(l) == p)
			return l->recording;
	}
	return "";
}

static void sync_recording(struct pair *p)
{
	const char *want = recording_of(p);

	if (p->state != PAIR_ANCHORED || strcmp(p->recording, want) == 0)
		return;
	if (p->recording[0] != '\0')
		pair_do(p, OP_RECORD_END, 0, NULL);
	str_set(p->recording, want);
	if (want[0] != '\0')
		pair_do(p, OP_RECORD, 0, want);
}

void hearing_sync_leg(struct mleg *l)
{
	struct side *s;

	for (s = l->sides; s != NULL; s = s->next) {
		sync_side(s);
		sync_recording(s->pair);
	}
}

void hearing_sync_pair(struct pair *p)
{
	sync_side(&p->side[0]);
	sync_side(&p->side[1]);
	sync_recording(p);
}
