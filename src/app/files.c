/* files: see files.h. */
#include "app/files.h"

#include "app/config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The first len bytes of path and all above them. */
static int make(const char *path, size_t len)
{
	char part[APP_PATH_MAX];

	for (size_t i = 1; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		if (!str_copy_n(part, sizeof(part), path, i))
			return ENAMETOOLONG;
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return errno;
	}
	return 0;
}

int files_make_directory(const char *path)
{
	return make(path, strlen(path));
}

int files_make_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash == path ? 0 : make(path, (size_t)(slash - path));
}
