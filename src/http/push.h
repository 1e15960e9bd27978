/*
 * push: writes texts to sockets on a thread of its own. What many listeners of one stream cost is the
 * kernel's way from each write to its reader; done here, it holds up nobody's loop, and the thread
 * gives way to whoever else wants the processor.
 *
 * One thread (the caller's) gives and takes, the other writes. There is no lock that one of them could
 * wait for: jobs go there in one ring and come back in another.
 */
#ifndef SEGUE_HTTP_PUSH_H
#define SEGUE_HTTP_PUSH_H

#include <stdbool.h>
#include <stddef.h>

struct push;

struct push_job {
	int fd;
	const char *text; /* the giver's, and left alone, until the job is taken back; so is the fd */
	size_t len, written;
	void *arg;
};

/* Starts the thread. At most jobs_max may be under way. 0 or an errno. */
int push_open(unsigned jobs_max, struct push **out);
/* Ends it; what has not been taken back is forgotten. NULL does nothing. */
void push_close(struct push *p);
/* Readable: call push_heard(), then take what is done. */
int push_fd(const struct push *p);
void push_heard(struct push *p);

void push_give(struct push *p, const struct push_job *job);
/* The next one that is done, with what the socket took of it at once (`written`): less than all if it is
 * full or broken. False: none now. */
bool push_take(struct push *p, struct push_job *out);

#endif
