/* dump: see dump.h. */
#include "sim/dump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/recorder.h" /* the layout of the file, nothing else */

#define EVENTS_MAX (1u << 22)

/* What is wrong with this head, NULL: nothing. */
static const char *head_complaint(const struct recorder_head *h)
{
	if (memcmp(h->magic, RECORDER_MAGIC, sizeof(RECORDER_MAGIC)) != 0)
		return "is no flight recorder file";
	if (h->event_size != sizeof(struct event) || h->config_size != sizeof(struct core_config))
		return "was written by another version of segue; replay it with that one";
	if (h->directory > h->count || h->count > EVENTS_MAX)
		return "is damaged: its head counts more events than there can be";
	return NULL;
}

/* Guards are not taken from the file: they follow from the rest, like in every replay. */
static bool read_events(FILE *f, const struct recorder_head *h, struct sim_record *r)
{
	struct event ev;

	r->items = calloc(h->count + 1, sizeof(*r->items));
	if (r->items == NULL)
		abort();
	r->cap = (unsigned)h->count + 1;
	r->lenient = true; /* the ring may have lost how it all began */
	for (uint64_t i = 0; i < h->count; i++) {
		if (fread(&ev, sizeof(ev), 1, f) != 1 || (unsigned)ev.type >= ev_count_)
			return false;
		if (ev.type != EV_TIMER)
			r->items[r->n++].ev = ev;
	}
	return true;
}

static int by_type(const void *a, const void *b)
{
	const struct sim_item *x = a, *y = b;

	return (int)x->ev.type - (int)y->ev.type;
}

/* The rows of the directory in front come in no order and have times of their own; what matters is
 * that all come first, queues before their members. */
static void start_together(struct sim_record *r, uint64_t directory)
{
	int64_t first = 0;

	if (directory <= r->n)
		qsort(r->items, directory, sizeof(*r->items), by_type);
	if (directory < r->n)
		first = r->items[directory].ev.now;
	for (unsigned i = 0; i < r->n; i++)
		if (i < directory || r->items[i].ev.now < first)
			r->items[i].ev.now = first;
}

int dump_read(
	const char *path, struct core_config *cfg, struct sim_record *r, char *err, size_t size)
{
	struct recorder_head head;
	FILE *f = fopen(path, "rb");
	const char *why = f ? NULL : strerror(errno);

	*r = (struct sim_record){0};
	if (why == NULL && fread(&head, sizeof(head), 1, f) != 1)
		why = "is too short for a flight recorder file";
	if (why == NULL)
		why = head_complaint(&head);
	if (why == NULL && (fread(cfg, sizeof(*cfg), 1, f) != 1 || !read_events(f, &head, r)))
		why = "is damaged: it ends in the middle, or holds what is no event";
	if (f != NULL)
		fclose(f);
	if (why != NULL) {
		snprintf(err, size, "%s: %s", path, why);
		sim_record_free(r);
		return EINVAL;
	}
	start_together(r, head.directory);
	return 0;
}
