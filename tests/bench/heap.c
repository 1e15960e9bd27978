/*
 * heap: preloaded into a system under test to learn what its heap holds, apart from what the
 * allocator keeps for later. A request comes as a datagram to the unix socket named
 * by BENCH_HEAP; the answer is "IN_USE FREE" in bytes, after free pages went back to the kernel.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void *serve(void *arg)
{
	int fd = *(int *)arg;
	char buf[64];
	struct sockaddr_un from;
	socklen_t len = sizeof(from);

	while (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) >= 0) {
		struct mallinfo2 m;

		malloc_trim(0);
		m = mallinfo2();
		snprintf(buf, sizeof(buf), "%zu %zu", m.uordblks + m.hblkhd, m.fordblks);
		sendto(fd, buf, strlen(buf), 0, (struct sockaddr *)&from, len);
		len = sizeof(from);
	}
	return NULL;
}

static void __attribute__((constructor)) start(void)
{
	static int fd;
	const char *path = getenv("BENCH_HEAP");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	pthread_t thread;

	if (path == NULL || strlen(path) >= sizeof(a.sun_path))
		return;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
		pthread_create(&thread, NULL, serve, &fd))
		perror("heap");
}
