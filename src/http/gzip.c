/* gzip: see gzip.h. Only this file sees zlib. */
#include "http/gzip.h"

#include "base/str.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#define WORTH_MIN   1024
#define WORTH_MAX   (256 << 10) /* the loop waits meanwhile: longer ones go out as they are, */
#define QUICK_FROM  (64 << 10)  /* and from here on they are packed less well */
#define GZIP_WINDOW (15 + 16)  /* zlib's way to ask for gzip's own header */

/* ";q=0", ";q=0.000": refused (RFC 9110 section 12.4.2). */
static bool is_refused(const char *params, size_t len)
{
	const char *q = memmem(params, len, "q=", 2);
	size_t n;

	if (q == NULL)
		return false;
	n = strspn(q + 2, "0.");
	return n > 0 && (q + 2 + n == params + len || strchr(" \t,;", q[2 + n]) != NULL);
}

bool gzip_is_wanted(const char *accept)
{
	while (accept != NULL && *accept != '\0') {
		size_t len, name;

		accept += strspn(accept, " \t,");
		len = strcspn(accept, ",");
		name = strcspn(accept, ",; \t");
		if (name == 4 && strncasecmp(accept, "gzip", 4) == 0)
			return !is_refused(accept + name, len - name);
		accept += len;
	}
	return false;
}

bool gzip_is_worth(const char *type, size_t len)
{
	if (type == NULL || len < WORTH_MIN || len > WORTH_MAX)
		return false;
	return str_starts(type, "text/") || str_starts(type, "application/json") ||
	       str_starts(type, "application/manifest+json") || str_starts(type, "image/svg+xml");
}

char *gzip_pack(const char *body, size_t len, size_t *packed)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)body, .avail_in = (uInt)len};
	int level = len < QUICK_FROM ? 6 : 1;
	char *out = malloc(len);

	if (out == NULL || deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, 8,
				   Z_DEFAULT_STRATEGY) != Z_OK) {
		free(out);
		return NULL;
	}
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)len;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END) { /* not even as short as it was */
		free(out);
		out = NULL;
	}
	*packed = z.total_out;
	deflateEnd(&z);
	return out;
}
