/* fuzz_config: pairs of lines, the path of an option and a value for it. */
#include <errno.h>

#include "app/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path, *text;

	while ((path = fuzz_line(&data, &size))) {
		char err[256] = "";
		int rc;

		text = fuzz_line(&data, &size);
		rc = config_parse_value(path, text ? text : "", err, sizeof(err));
		must(memchr(err, '\0', sizeof(err)));
		must(rc == 0 || rc == ENOENT || rc == EINVAL);
		must(rc != EINVAL || err[0]);
		free(text);
		free(path);
	}
	return 0;
}
