/*
 * recorder: the flight recorder. The last events that went into core_step(), as plain data in a
 * ring in memory, and the directory as it stands. A dump of it replays in the simulator:
 *
 *	struct recorder_head, struct core_config, then `count` times struct event, oldest first;
 *	the first `directory` of them are EV_DIR_* rows that say the directory's present state
 *
 * The structs are those of the version that wrote the file; their sizes are in the head.
 */
#ifndef SEGUE_APP_RECORDER_H
#define SEGUE_APP_RECORDER_H

#include "core/config.h"
#include "core/event.h"

#define RECORDER_MAGIC "SEGREC2"

struct recorder_head {
	char magic[8];
	uint32_t event_size, config_size;
	uint32_t node;
	uint32_t reserved;
	uint64_t directory; /* rows of the directory in front */
	uint64_t count;     /* events in the file, these rows included */
	uint64_t missed;    /* older events that the ring has lost */
};

struct recorder;

/* A ring for so many events; 0 makes one that keeps nothing. NULL without memory. */
struct recorder *recorder_create(unsigned events, const struct core_config *cfg, unsigned node);
void recorder_destroy(struct recorder *r);
void recorder_reconfigure(struct recorder *r, const struct core_config *cfg);

/* Keeps a copy of the event, which has its time and random bits. */
void recorder_add(struct recorder *r, const struct event *ev);

/* The event kept last was an INVITE, and this is the leg that the core made of it: whoever replays
 * the rest has to know. */
void recorder_note_leg(struct recorder *r, leg_id leg);

/* Events recorded since the start. */
uint64_t recorder_total(const struct recorder *r);

/* Writes the dump to an open file. Calls nothing but write(2), so it may run in a signal handler.
 * 0 or an errno. */
int recorder_write(const struct recorder *r, int fd);
/* The same into a new file, readable by its owner alone. EEXIST if there is one already. */
int recorder_dump(const struct recorder *r, const char *path);

/* From now on a fatal signal writes the dump to path, replacing an older one, before the process
 * dies. For one recorder in a process. */
void recorder_dump_on_crash(struct recorder *r, const char *path);

#endif
