/* uuid: see uuid.h. */
#include "base/uuid.h"

#include <string.h>

uuid uuid_v7(int64_t utc_us, uint64_t rnd1, uint64_t rnd2)
{
	uint64_t ms = (uint64_t)(utc_us / 1000);
	uuid u;

	for (int i = 0; i < 6; i++)
		u.b[i] = (uint8_t)(ms >> (8 * (5 - i)));
	u.b[6] = (uint8_t)(0x70 | (rnd1 & 0x0f));
	u.b[7] = (uint8_t)(rnd1 >> 8);
	for (int i = 0; i < 8; i++)
		u.b[8 + i] = (uint8_t)(rnd2 >> (8 * i));
	u.b[8] = (uint8_t)(0x80 | (u.b[8] & 0x3f));
	return u;
}

bool uuid_is_nil(const uuid *u)
{
	static const uuid nil;

	return uuid_eq(u, &nil);
}

bool uuid_eq(const uuid *a, const uuid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

const char *uuid_str(const uuid *u, char *buf)
{
	static const char hex[] = "0123456789abcdef";
	char *p = buf;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[u->b[i] >> 4];
		*p++ = hex[u->b[i] & 0x0f];
	}
	*p = '\0';
	return buf;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool uuid_parse(const char *text, uuid *u)
{
	uuid v;

	for (int i = 0; i < 16; i++) {
		int hi, lo;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		if ((hi = nibble(text[0])) < 0 || (lo = nibble(text[1])) < 0)
			return false;
		v.b[i] = (uint8_t)(hi << 4 | lo);
		text += 2;
	}
	if (*text != '\0')
		return false;
	*u = v;
	return true;
}
