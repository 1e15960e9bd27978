/* fuzz_dialplan: pairs of lines, a pattern and a number. */
#include "core/dialplan.h"
#include "fuzz.h"

static void check_pair(const char *pattern, const char *number)
{
	static struct core_config cfg;
	struct dialplan_result out;
	char err[256], normal[NUM_MAX], again[NUM_MAX];
	int bad = dialplan_pattern_check(pattern, err, sizeof(err));

	must(!bad || err[0]);
	/* a longer one never gets into a route */
	must(!bad || strlen(pattern) >= PATTERN_MAX || !dialplan_pattern_match(pattern, number));
	if (dialplan_normalize(number, normal, sizeof(normal)) == 0) {
		must(dialplan_normalize(normal, again, sizeof(again)) == 0);
		must(str_eq(normal, again));
	}
	core_config_default(&cfg);
	str_set(cfg.route[0].pattern, pattern);
	cfg.route[0].kind = TARGET_EXTERNAL;
	cfg.route[0].strip = 1;
	str_set(cfg.route[0].prefix, "+49");
	cfg.nroute = 1;
	if (dialplan_match(&cfg, number, "peer", &out) == 0)
		must(out.route == &cfg.route[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *pattern, *number;

	while ((pattern = fuzz_line(&data, &size))) {
		number = fuzz_line(&data, &size);
		check_pair(pattern, number ? number : "");
		free(number);
		free(pattern);
	}
	return 0;
}
