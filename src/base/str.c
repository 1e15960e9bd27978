/* str: see str.h. */
#include "base/str.h"

#include <string.h>
#include <strings.h>

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

bool str_copy_n(char *dst, size_t size, const char *src, size_t len)
{
	size_t n = len < size ? len : size - 1;

	if (n < len)
		while (n > 0 && ((unsigned char)src[n] & 0xc0) == 0x80)
			n--; /* never leave half a UTF-8 character behind */
	memcpy(dst, src, n);
	dst[n] = '\0';
	return n == len;
}

bool str_copy(char *dst, size_t size, const char *src)
{
	src = or_empty(src);
	return str_copy_n(dst, size, src, strlen(src));
}

bool str_append(char *dst, size_t size, const char *src)
{
	size_t have = strlen(dst);

	return str_copy(dst + have, size - have, src);
}

bool str_join(char *dst, size_t size, const char *const *parts)
{
	for (; *parts != NULL; parts++) {
		size_t n = strlen(*parts);

		if (n >= size)
			return str_copy_n(dst, size, *parts, n);
		memcpy(dst, *parts, n);
		dst += n;
		size -= n;
	}
	dst[0] = '\0';
	return true;
}

const char *str_number(uint64_t value, char buf[STR_NUMBER_MAX])
{
	char *p = buf + STR_NUMBER_MAX - 1;

	*p = '\0';
	do
		*--p = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	return p;
}

void str_hex(uint64_t value, char buf[17])
{
	for (int i = 0; i < 16; i++)
		buf[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
	buf[16] = '\0';
}

uint64_t str_hash(uint64_t h, const char *s)
{
	for (s = or_empty(s); *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return (h ^ 0xff) * 0x100000001b3u;
}

bool str_eq(const char *a, const char *b)
{
	return strcmp(or_empty(a), or_empty(b)) == 0;
}

bool str_ieq(const char *a, const char *b)
{
	return strcasecmp(or_empty(a), or_empty(b)) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(or_empty(s), prefix, strlen(prefix)) == 0;
}

bool str_is_sip_uri(const char *s)
{
	const char *rest = strncmp(s, "sip:", 4) == 0	? s + 4
			   : strncmp(s, "sips:", 5) == 0 ? s + 5
							 : "";

	return rest[0] != '\0' &&
	       rest[strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789_.!~*'()&=+$,;?/%@:[]-")] == '\0';
}
