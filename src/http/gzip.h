/*
 * gzip: makes answers smaller for clients that take it (RFC 9110 section 8.4). Texts of some length
 * only: pictures and sound are compressed already, and a short answer is one packet anyhow.
 */
#ifndef SEGUE_HTTP_GZIP_H
#define SEGUE_HTTP_GZIP_H

#include <stdbool.h>
#include <stddef.h>

/* Does the client take gzip, by its Accept-Encoding? NULL: it says nothing, so no. */
bool gzip_is_wanted(const char *accept_encoding);
/* Is a body of that type and length worth it? */
bool gzip_is_worth(const char *type, size_t len);
/* The body as gzip, to be freed by the caller; NULL without memory or if it would not be smaller. */
char *gzip_pack(const char *body, size_t len, size_t *packed);

#endif
