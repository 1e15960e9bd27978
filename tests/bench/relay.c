/*
 * relay: the physical floor of the benchmark. Takes the same datagrams as a proxy would and passes
 * them on without a look inside: whatever comes to the front port goes to the server, whatever the
 * server sends back goes to the last sender at the front.
 *
 *	relay FRONT_IP:PORT SERVER_IP:PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int parse(const char *text, struct sockaddr_in *a)
{
	char ip[64];
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (n == 0 || n >= sizeof(ip))
		return EINVAL;
	memcpy(ip, text, n);
	ip[n] = '\0';
	memset(a, 0, sizeof(*a));
	a->sin_family = AF_INET;
	a->sin_port = htons((uint16_t)atoi(colon + 1));
	return inet_pton(AF_INET, ip, &a->sin_addr) == 1 ? 0 : EINVAL;
}

/* A socket bound to a, or to any port of its address if port is 0. -1 on failure. */
static int udp(struct sockaddr_in a)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 4 << 20;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) ? -1 : fd;
}

/* Passes on all that waits at `from`; whoever sent it is left in `peer`, if wanted. */
static void pass(int from, int to, struct sockaddr_in dst, struct sockaddr_in *peer)
{
	char buf[65536];
	struct sockaddr_in src;
	socklen_t len = sizeof(src);
	ssize_t n;

	while ((n = recvfrom(from, buf, sizeof(buf), 0, (struct sockaddr *)&src, &len)) >= 0) {
		if (peer != NULL)
			*peer = src;
		if (sendto(to, buf, (size_t)n, 0, (struct sockaddr *)&dst, sizeof(dst)) < 0)
			perror("sendto");
		len = sizeof(src);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in front, server, any, client = {.sin_family = AF_INET};
	struct pollfd p[2];

	if (argc != 3 || parse(argv[1], &front) || parse(argv[2], &server)) {
		fprintf(stderr, "usage: relay FRONT_IP:PORT SERVER_IP:PORT\n");
		return 2;
	}
	any = front;
	any.sin_port = 0;
	p[0] = (struct pollfd){.fd = udp(front), .events = POLLIN};
	p[1] = (struct pollfd){.fd = udp(any), .events = POLLIN};
	if (p[0].fd < 0 || p[1].fd < 0) {
		perror(argv[1]);
		return 1;
	}
	while (poll(p, 2, -1) > 0) {
		if (p[0].revents)
			pass(p[0].fd, p[1].fd, server, &client);
		if (p[1].revents)
			pass(p[1].fd, p[0].fd, client, NULL);
	}
	return 0;
}
