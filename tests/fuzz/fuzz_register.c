/* fuzz_register: each line is an Authorization value, a challenge, and the Contact, Expires and
 * Path of a REGISTER. */
#include "fuzz.h"
#include "sip/digest.h"
#include "sip/registrar.h"

static void check_digest(struct digest_server *s, const char *line)
{
	char out[DIGEST_HEADER_MAX];
	struct digest_creds c;
	struct digest_ask ask;

	if (digest_creds_parse(s, line, &c) == DIGEST_OK)
		must(digest_check(s, &c, NULL, "REGISTER", NULL, 0, 1000) == DIGEST_WRONG);
	if (digest_ask_parse(line, &ask) == 0)
		digest_answer(&ask, "a", "b", "INVITE", "sip:h", NULL, 0, 1, "c", out, sizeof(out));
}

/* What a 200 says about the contacts is itself a list of contacts. */
static void check_contacts(const struct registrar *r)
{
	char text[32768];
	uint32_t id[CONTACTS_MAX];
	unsigned n = registrar_contacts(r, "alice", id), seen = 0;
	struct slice list, element;
	struct addr a;

	must(registrar_print_contacts(r, "alice", 1000, text, sizeof(text)) == 0);
	list = slice_str(text);
	while (addr_next(&list.p, &list.n, &element)) {
		must(addr_parse(element.p, element.n, &a) == URI_OK);
		seen++;
	}
	must(n == seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct registrar_config cfg = {.expires_min_s = 60, .expires_max_s = 3600,
		.expires_default_s = 3600};
	struct registrar *r = registrar_create(&cfg);
	struct digest_server *s = digest_server_create("segue", 1000);
	struct registrar_request req = {.user = "alice", .call_id = "c"};
	char *line;

	must(r && s);
	while ((line = fuzz_line(&data, &size))) {
		check_digest(s, line);
		req.cseq++;
		req.contact = line;
		registrar_register(r, &req, 1000, NULL);
		req.contact = "<sip:alice@h>";
		req.expires = line;
		req.path = line;
		req.cseq++;
		registrar_register(r, &req, 1000, NULL);
		req.expires = req.path = NULL;
		check_contacts(r);
		free(line);
	}
	registrar_destroy(r);
	digest_server_destroy(s);
	return 0;
}
