/*
 * str: bounded strings. A string field is a plain char array inside its struct, so structs stay
 * plain data that can be copied, stored and compared.
 */
#ifndef SEGUE_BASE_STR_H
#define SEGUE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies src (NULL counts as "") into dst of size bytes, always terminated; a longer src is cut
 * at a UTF-8 boundary. Returns false if it was cut. */
bool str_copy(char *dst, size_t size, const char *src);

/* Same for a source that is not terminated. */
bool str_copy_n(char *dst, size_t size, const char *src, size_t len);

/* Appends; same promise as str_copy(). */
bool str_append(char *dst, size_t size, const char *src);

/* str_set(field, src): str_copy() into an array member. */
#define str_set(field, src) str_copy((field), sizeof(field), (src))

/* The strings of parts, up to the NULL at its end, one behind the other; same promise as str_copy().
 * For what is printed for every message: a tenth of the cost of snprintf(). */
bool str_join(char *dst, size_t size, const char *const *parts);
#define str_put(field, ...) \
	str_join((field), sizeof(field), (const char *const[]){__VA_ARGS__, NULL})

#define STR_NUMBER_MAX 21
/* Decimal digits; returns their beginning, which is somewhere in buf. */
const char *str_number(uint64_t value, char buf[STR_NUMBER_MAX]);
/* Sixteen hexadecimal digits, lower case, terminated. */
void str_hex(uint64_t value, char buf[17]);

/* FNV-1a, 64 bits, of s behind what h stands for (STR_HASH: nothing). The end of a string counts. It is the
 * same in every process. NULL counts as "". */
#define STR_HASH 0xcbf29ce484222325u
uint64_t str_hash(uint64_t h, const char *s);

static inline bool str_empty(const char *s)
{
	return s == NULL || s[0] == '\0';
}

bool str_eq(const char *a, const char *b);      /* NULL equals "" */
bool str_ieq(const char *a, const char *b);     /* ASCII case-insensitive */
bool str_starts(const char *s, const char *prefix);

/* Begins with sip: or sips:, and goes on in the letters that RFC 3261 section 25.1 knows in a URI. */
bool str_is_sip_uri(const char *s);

#endif
