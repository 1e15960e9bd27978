/* print: see print.h. */
#include "config.h"

#include <string.h>

#include <sofia-sip/msg_header.h>
#include <sofia-sip/msg_mclass.h>
#include <sofia-sip/sip_header.h>

#include "base/str.h"
#include "sip/print.h"

#define NUMBER_MAX 20 /* digits of an unsigned 64 */
#define TEXT_MAX_ 1024 /* a longer Request-URI is printed by the library */

/* Text that is being written; once it does not fit, nothing of it counts. */
struct pen {
	char *p, *end;
};

static void put_n(struct pen *pen, const char *text, size_t n)
{
	if (pen->p == NULL || n > (size_t)(pen->end - pen->p)) {
		pen->p = NULL;
		return;
	}
	memcpy(pen->p, text, n);
	pen->p += n;
}

static void put(struct pen *pen, const char *text)
{
	put_n(pen, text, strlen(text));
}

static void put_number(struct pen *pen, unsigned long n)
{
	char digits[NUMBER_MAX], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	put_n(pen, p, (size_t)(digits + sizeof(digits) - p));
}

static void put_part(struct pen *pen, const char *mark, const char *part)
{
	if (part == NULL)
		return;
	put(pen, mark);
	put(pen, part);
}

/* ---- lines ------------------------------------------------------------------------------------ */

static bool url_is_plain(const url_t *u)
{
	return (u->url_type == url_sip || u->url_type == url_sips) && u->url_host != NULL &&
	       u->url_scheme != NULL && !u->url_root && u->url_path == NULL &&
	       u->url_fragment == NULL && (u->url_user != NULL || u->url_password == NULL);
}

static void put_url(struct pen *pen, const url_t *u)
{
	put(pen, u->url_scheme);
	put(pen, ":");
	if (u->url_user != NULL) {
		put(pen, u->url_user);
		put_part(pen, ":", u->url_password);
		put(pen, "@");
	}
	put(pen, u->url_host);
	put_part(pen, ":", u->url_port);
	put_part(pen, ";", u->url_params);
	put_part(pen, "?", u->url_headers);
}

static void put_request(struct pen *pen, const sip_request_t *rq)
{
	if (!url_is_plain(rq->rq_url)) {
		pen->p = NULL;
		return;
	}
	put(pen, rq->rq_method_name);
	put(pen, " ");
	put_url(pen, rq->rq_url);
	put_part(pen, " ", rq->rq_version);
}

static void put_status(struct pen *pen, const sip_status_t *st)
{
	if (st->st_status < 100 || st->st_status > 999 || st->st_phrase == NULL) {
		pen->p = NULL;
		return;
	}
	put(pen, st->st_version);
	put(pen, " ");
	put_number(pen, (unsigned)st->st_status);
	put_part(pen, " ", st->st_phrase);
}

/* ---- messages --------------------------------------------------------------------------------- */

/* What was written to the stack, and which headers it is of. */
struct page {
	struct pen pen;
	unsigned n;
	struct {
		msg_common_t *header;
		size_t at, len;
	} part[4];
	char text[TEXT_MAX_];
};

static bool is_open(const void *header)
{
	const msg_common_t *h = header;

	return h != NULL && h->h_data == NULL;
}

/* The text since `from` is the header's, or the header is the library's. */
static void end_line(struct page *page, void *header, char *from)
{
	put(&page->pen, "\r\n");
	if (page->pen.p == NULL) {
		page->pen.p = from;
		return;
	}
	page->part[page->n].header = header;
	page->part[page->n].at = (size_t)(from - page->text);
	page->part[page->n++].len = (size_t)(page->pen.p - from);
}

static void write_first_line(struct page *page, sip_t *sip)
{
	char *from = page->pen.p;

	if (is_open(sip->sip_request)) {
		put_request(&page->pen, sip->sip_request);
		end_line(page, sip->sip_request, from);
	} else if (is_open(sip->sip_status)) {
		put_status(&page->pen, sip->sip_status);
		end_line(page, sip->sip_status, from);
	}
}

static void write_value(
	struct page *page, void *header, const char *name, unsigned long value, const char *rest)
{
	char *from = page->pen.p;

	put(&page->pen, name);
	put_number(&page->pen, value);
	put_part(&page->pen, " ", rest);
	end_line(page, header, from);
}

static void write_numbers(struct page *page, sip_t *sip)
{
	const sip_cseq_t *cs = sip->sip_cseq;

	if (is_open(cs) && cs->cs_method_name != NULL)
		write_value(page, sip->sip_cseq, "CSeq: ", cs->cs_seq, cs->cs_method_name);
	if (is_open(sip->sip_max_forwards))
		write_value(page, sip->sip_max_forwards, "Max-Forwards: ",
			sip->sip_max_forwards->mf_count, NULL);
	if (is_open(sip->sip_content_length))
		write_value(page, sip->sip_content_length, "Content-Length: ",
			sip->sip_content_length->l_length, NULL);
}

/* The message takes a copy that lives as long as it does. */
static void give(struct page *page, msg_t *msg)
{
	size_t size = (size_t)(page->pen.p - page->text);
	char *text = su_alloc(msg_home(msg), (isize_t)size);

	if (text == NULL)
		return;
	memcpy(text, page->text, size);
	for (unsigned i = 0; i < page->n; i++) {
		page->part[i].header->h_data = text + page->part[i].at;
		page->part[i].header->h_len = (usize_t)page->part[i].len;
	}
}

static void add_content_length(msg_t *msg, sip_t *sip)
{
	unsigned long n = 0;
	sip_content_length_t *l;

	if (sip->sip_content_length != NULL || sip->sip_multipart != NULL)
		return;
	for (const sip_payload_t *pl = sip->sip_payload; pl != NULL; pl = pl->pl_next)
		n += pl->pl_len;
	l = sip_content_length_create(msg_home(msg), (uint32_t)n);
	if (l != NULL)
		msg_header_insert(msg, (msg_pub_t *)sip, (msg_header_t *)l);
}

void print_parts(msg_t *msg)
{
	sip_t *sip = sip_object(msg);
	struct page page;

	page.n = 0;
	page.pen = (struct pen){page.text, page.text + sizeof(page.text)};
	add_content_length(msg, sip);
	write_first_line(&page, sip);
	write_numbers(&page, sip);
	if (page.n > 0)
		give(&page, msg);
}

/* ---- constant headers ------------------------------------------------------------------------- */

void print_constant(su_home_t *home, void *header)
{
	msg_common_t *h = header;
	char value[512];
	issize_t n;
	char *text;

	if (h == NULL || h->h_class->hc_name == NULL)
		return;
	n = sip_header_field_e(value, sizeof(value), header, 0);
	if (n < 0 || n >= (issize_t)sizeof(value))
		return;
	text = su_sprintf(home, "%s: %s\r\n", h->h_class->hc_name, value);
	if (text == NULL)
		return;
	h->h_data = text;
	h->h_len = (usize_t)strlen(text);
}

void print_add_constant(msg_t *msg, const void *header)
{
	const msg_common_t *from = header;
	msg_common_t *h;

	if (from == NULL)
		return;
	h = (msg_common_t *)msg_header_alloc(msg_home(msg), from->h_class, 0);
	if (h == NULL)
		return;
	memcpy(h + 1, from + 1, (size_t)from->h_class->hc_size - sizeof(*h));
	((msg_header_t *)h)->sh_header_next->shn_next = NULL;
	h->h_data = from->h_data;
	h->h_len = from->h_len;
	msg_header_insert(msg, (msg_pub_t *)sip_object(msg), (msg_header_t *)h);
}
