/*
 * story: what is told about a call. Facts become log lines; those of the timeline also become
 * plain sentences for people who are on the phone with a customer, kept while the call lives.
 */
#ifndef SEGUE_APP_STORY_H
#define SEGUE_APP_STORY_H

#include "core/fact.h"

struct story;

/* NULL without memory. */
struct story *story_create(void);
void story_destroy(struct story *s);

/* Logs a fact; id is the leg whose event made it, or the call. */
void story_log(const struct fact *f, uint64_t id);

/* Keeps the fact's sentence, if it has one. */
void story_add(struct story *s, const struct fact *f);
/* The call is over: its sentences go. */
void story_forget(struct story *s, call_id call);
/* Calls fn for each sentence of a call, oldest first; at is UTC in microseconds. */
void story_each(struct story *s, call_id call, void (*fn)(void *arg, int64_t at, const char *text),
	void *arg);

/* Writes the sentence of a timeline fact; false if it has none. */
bool story_sentence(const struct fact *f, char *buf, size_t size);

#endif
