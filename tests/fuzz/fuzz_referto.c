/* fuzz_referto: each line is a Refer-To value, and as a Replaces or Target-Dialog value and a
 * name-addr list. */
#include "fuzz.h"
#include "sip/referto.h"

static void check_referto(const char *line)
{
	struct referto r;
	struct uri u;

	if (referto_parse(line, strlen(line), &r))
		return;
	must(uri_parse_str(r.uri, &u) == URI_OK);
	must(str_eq(u.user, r.user) && str_eq(u.host, r.host) && u.port == r.port);
	must(!strpbrk(r.uri, " \t\r\n<>\""));
	must(!r.replaces.call_id[0] || (r.replaces.to_tag[0] && r.replaces.from_tag[0]));
	for (unsigned i = 0; i < r.nheaders; i++)
		must(!strpbrk(r.headers[i].value, "\r\n") && !strpbrk(r.headers[i].name, "\r\n: "));
}

static void check_replaces(const char *line)
{
	char text[1024];
	struct replaces r, again;

	if (replaces_parse(line, strlen(line), &r))
		return;
	must(replaces_print(text, sizeof(text), &r) == 0);
	must(replaces_parse(text, strlen(text), &again) == 0);
	must(memcmp(&r, &again, sizeof(r)) == 0);
}

static void check_target_dialog(const char *line)
{
	struct replaces r;

	if (target_dialog_parse(line, strlen(line), &r)) {
		must(!r.call_id[0]);
		return;
	}
	must(r.call_id[0] && r.to_tag[0] && r.from_tag[0] && !r.early_only);
	must(!strpbrk(r.call_id, " \t\r\n;,\"") && !strpbrk(r.to_tag, " \t\r\n;,\"="));
}

static void check_addrs(const char *line)
{
	char text[URI_MAX + 2 * NAME_MAX_ + 8], value[64];
	struct slice list = slice_str(line), element;
	struct addr a, again;

	while (addr_next(&list.p, &list.n, &element)) {
		if (addr_parse(element.p, element.n, &a))
			continue;
		uri_param(a.params, "tag", value, sizeof(value));
		must(uri_print(&a.uri, text, sizeof(text)) == 0);
		must(addr_print(text, sizeof(text), a.name, "sip:a@h") == 0);
		must(addr_parse(text, strlen(text), &again) == URI_OK);
		must(str_eq(a.name, again.name));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line;

	while ((line = fuzz_line(&data, &size))) {
		check_referto(line);
		check_replaces(line);
		check_target_dialog(line);
		check_addrs(line);
		free(line);
	}
	return 0;
}
