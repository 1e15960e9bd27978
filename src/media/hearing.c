/* hearing: a side is cut off from the other's ears while that one hears music, or while it listens in
 * another pair. Told to the engine when it changes, and never before there is a call in it. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "media/inner.h"

static bool is_played(enum hears h)
{
	return h == HEARS_MUSIC || h == HEARS_RINGBACK;
}

/* Names come from the directory: only what is a plain file name becomes part of a path. */
static bool is_plain(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static void file_of(const struct media *m, enum hears what, const char *music, char *path,
	size_t size)
{
	const char *name = what == HEARS_RINGBACK ? "ringback"
			   : is_plain(music)      ? music
						  : "default";

	snprintf(path, size, "%s/%s.wav", m->cfg.music_dir, name);
}

static void sync_playing(struct side *s, enum hears want, const char *music)
{
	struct media *m = s->pair->media;
	unsigned me = (unsigned)(s - s->pair->side);
	char path[sizeof(m->cfg.music_dir) + USER_MAX + 16];

	if (s->playing == want && (want == HEARS_PEER || strcmp(s->music, music) == 0))
		return;
	if (s->playing != HEARS_PEER)
		pair_do(s->pair, OP_STOP, me, NULL);
	s->playing = want;
	str_set(s->music, music);
	if (want == HEARS_PEER)
		return;
	file_of(m, want, music, path, sizeof(path));
	pair_do(s->pair, OP_PLAY, me, path);
}

/* What the side s hears. */
static void sync_side(struct side *s)
{
	const struct mleg *l = s->leg;
	const struct pair *at = l != NULL ? mleg_current(l) : NULL;
	unsigned other = s == &s->pair->side[0] ? 1 : 0;
	struct side *peer = &s->pair->side[other];
	bool here = at == s->pair, deaf;

	if (s->pair->state != PAIR_ANCHORED || l == NULL)
		return;
	deaf = (at != NULL && !here) || (here && l->hears != HEARS_PEER);
	if (deaf != peer->blocked && peer->id != ID_MUSIC) {
		peer->blocked = deaf;
		pair_do(s->pair, deaf ? OP_BLOCK : OP_UNBLOCK, other, NULL);
	}
	sync_playing(s, here && is_played(l->hears) ? l->hears : HEARS_PEER, l->music);
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
