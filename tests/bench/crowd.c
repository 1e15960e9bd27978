/*
 * crowd: writes as much to as many sockets as segued does to its listeners, and knows nothing of calls:
 * what that alone does to a machine on which calls are made.
 *
 *	crowd SOCKETS BYTES ROUND_MS
 *
 * Prints its port (127.0.0.1), waits until so many are connected, prints "ready", and writes so many bytes
 * to each of them in every round, until SIGTERM.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static int open_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1024) ||
		getsockname(fd, (struct sockaddr *)&at, &len)) {
		perror("crowd");
		exit(1);
	}
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

static void write_round(const int *fds, int n, const char *text, size_t len)
{
	for (int i = 0; i < n; i++)
		if (send(fds[i], text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			continue; /* full, or gone: the next round is another */
}

static void next_round(struct timespec *at, long ms)
{
	at->tv_nsec += ms * 1000000;
	at->tv_sec += at->tv_nsec / 1000000000;
	at->tv_nsec %= 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at, NULL);
}

int main(int argc, char **argv)
{
	int n = argc == 4 ? atoi(argv[1]) : 0, port, *fds;
	size_t len = argc == 4 ? (size_t)atol(argv[2]) : 0;
	struct timespec at;
	char *text;

	if (n <= 0 || len == 0) {
		fprintf(stderr, "usage: crowd SOCKETS BYTES ROUND_MS\n");
		return 2;
	}
	fds = calloc((size_t)n, sizeof(*fds));
	text = malloc(len);
	port = open_port();
	if (fds == NULL || text == NULL)
		return 1;
	memset(text, 'x', len);
	for (int i = 0; i < n; i++)
		fds[i] = accept(port, NULL, NULL);
	printf("ready\n");
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (;;) {
		write_round(fds, n, text, len);
		next_round(&at, atol(argv[3]));
	}
}
