/*
 * uuid: UUIDv7 (RFC 9562 section 5.7), the ids of ledger rows: time-ordered, so that indexes stay
 * compact and rows sort by birth.
 */
#ifndef SEGUE_BASE_UUID_H
#define SEGUE_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint8_t b[16];
} uuid;

#define UUID_STRLEN 37

/* From a UTC time in microseconds and 74 random bits taken from rnd1, rnd2. */
uuid uuid_v7(int64_t utc_us, uint64_t rnd1, uint64_t rnd2);
bool uuid_is_nil(const uuid *u);
bool uuid_eq(const uuid *a, const uuid *b);
/* Writes the 36 characters and a NUL into buf, returns buf. */
const char *uuid_str(const uuid *u, char *buf);
bool uuid_parse(const char *text, uuid *u);

#endif
