/* pledge: see pledge.h. */
#include "app/pledge.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct head {
	uuid outbox;
	uint64_t after; /* the newest fact that is in it */
	uint32_t n;	/* facts; each is its length (uint16_t) and its bytes */
};

static int room(struct pledge *p, size_t n)
{
	unsigned char *more = n > p->cap ? realloc(p->bytes, n) : p->bytes;

	if (more == NULL)
		return ENOMEM;
	p->bytes = more;
	p->cap = n > p->cap ? n : p->cap;
	return 0;
}

int pledge_make(struct pledge *p, const struct ledger *l, const struct fact *facts, unsigned n)
{
	struct head h = {.after = ledger_newest(l), .n = n};

	if (room(p, sizeof(h) + n * (sizeof(uint16_t) + FACT_ENCODED_MAX)))
		return ENOMEM;
	ledger_identity(l, &h.outbox);
	memcpy(p->bytes, &h, sizeof(h));
	p->len = sizeof(h);
	for (unsigned i = 0; i < n; i++) {
		uint16_t len = (uint16_t)fact_encode(&facts[i], p->bytes + p->len + sizeof(len));

		memcpy(p->bytes + p->len, &len, sizeof(len));
		p->len += sizeof(len) + len;
	}
	return 0;
}

/* Those facts, malloc'd; NULL if they cannot be read. */
static struct fact *read_facts(const struct head *h, const unsigned char *p, const unsigned char *end)
{
	struct fact *facts = calloc(h->n ? h->n : 1, sizeof(*facts));

	for (unsigned i = 0; facts != NULL && i < h->n; i++) {
		uint16_t len = 0;

		if ((size_t)(end - p) >= sizeof(len))
			memcpy(&len, p, sizeof(len));
		if (len == 0 || (size_t)(end - p) < sizeof(len) + len ||
			!fact_decode(p + sizeof(len), len, &facts[i])) {
			free(facts);
			return NULL;
		}
		p += sizeof(len) + len;
	}
	return facts;
}

void pledge_keep(struct ledger *l, const unsigned char *bytes, size_t len)
{
	struct fact *facts;
	char count[16];
	struct head h;
	uuid mine;

	if (len < sizeof(h))
		return;
	memcpy(&h, bytes, sizeof(h));
	ledger_identity(l, &mine);
	if (!uuid_eq(&mine, &h.outbox) || ledger_newest(l) != h.after || h.n > len ||
		(facts = read_facts(&h, bytes + sizeof(h), bytes + len)) == NULL)
		return;
	ledger_append(l, facts, h.n);
	free(facts);
	snprintf(count, sizeof(count), "%u", h.n);
	log_kv(LOG_LEVEL_NOTICE, (struct log_ref){0}, "facts_recovered", "count", count, NULL);
}
