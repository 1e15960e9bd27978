/* post: see post.h. */
#include "http/post.h"

#include "base/str.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>

struct http_poster {
	CURL *curl;
	const _Atomic int *stop;
	char error[CURL_ERROR_SIZE];
};

int http_post_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : ENOMEM;
}

/* What the other side says beside its status interests nobody. */
static size_t swallow(char *data, size_t size, size_t n, void *arg)
{
	return size * n;
}

static int on_progress(void *arg, curl_off_t dt, curl_off_t dn, curl_off_t ut, curl_off_t un)
{
	const struct http_poster *p = arg;

	return *p->stop != 0;
}

struct http_poster *http_poster_create(const char *url, const _Atomic int *stop)
{
	struct http_poster *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->stop = stop;
	p->curl = curl_easy_init();
	if (p->curl == NULL) {
		free(p);
		return NULL;
	}
	curl_easy_setopt(p->curl, CURLOPT_URL, url);
	curl_easy_setopt(p->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(p->curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(p->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(p->curl, CURLOPT_USERAGENT, "segue");
	curl_easy_setopt(p->curl, CURLOPT_WRITEFUNCTION, swallow);
	curl_easy_setopt(p->curl, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(p->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(p->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(p->curl, CURLOPT_XFERINFODATA, p);
	return p;
}

void http_poster_destroy(struct http_poster *p)
{
	if (p == NULL)
		return;
	curl_easy_cleanup(p->curl);
	free(p);
}

unsigned http_post(struct http_poster *p, const char *const *headers, const char *body, size_t len,
	unsigned timeout_ms, char *why, size_t size)
{
	struct curl_slist *list = NULL;
	long status = 0;
	CURLcode rc;

	for (; *headers != NULL; headers++)
		list = curl_slist_append(list, *headers);
	curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(p->curl, CURLOPT_POSTFIELDSIZE, (long)len);
	curl_easy_setopt(p->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	p->error[0] = '\0';
	rc = curl_easy_perform(p->curl);
	if (rc == CURLE_OK)
		curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
	else
		str_copy(why, size, p->error[0] ? p->error : curl_easy_strerror(rc));
	curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(list);
	return (unsigned)status;
}
