/*
 * watch: how long a system under test takes from a request to the INVITE it causes, by the kernel's
 * own time stamps on the loopback interface.
 *
 *	watch IN_PORT CALLEE_PORT TARGET_PORT
 *
 * An INVITE to IN_PORT is paired with the next INVITE to CALLEE_PORT that has the same user in its
 * Request-URI; a REFER to IN_PORT with the next INVITE to TARGET_PORT whose user is that of its
 * Refer-To. Each pair is printed as "invite NANOSECONDS" or "refer NANOSECONDS". Ends at SIGTERM,
 * after "lost N": requests that caused nothing. Needs the right to capture (CAP_NET_RAW).
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

enum { KEYS = 10000, STALE_NS = 900000000 };
enum kind { INVITE, REFER };

static const char *const names[] = {"invite", "refer"};
static int64_t since[2][KEYS]; /* by the user, a number below KEYS; 0: nothing pending */
static unsigned long lost;
static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	ended = 1;
}

/* The number after the first "sip:" at or after s; -1 if there is none below KEYS. */
static int user_of(const char *s)
{
	const char *uri = s ? strstr(s, "sip:") : NULL;
	char *end;
	long n;

	if (uri == NULL)
		return -1;
	n = strtol(uri + 4, &end, 10);
	return end > uri + 4 && *end == '@' && n >= 0 && n < KEYS ? (int)n : -1;
}

static void asked(enum kind k, int key, int64_t at)
{
	if (key < 0)
		return;
	if (since[k][key] == 0)
		since[k][key] = at;
	else if (at - since[k][key] > STALE_NS) { /* not a retransmission: the first was lost */
		since[k][key] = at;
		lost++;
	}
}

static void caused(enum kind k, int key, int64_t at)
{
	if (key < 0 || since[k][key] == 0)
		return;
	printf("%s %lld\n", names[k], (long long)(at - since[k][key]));
	since[k][key] = 0;
}

static void packet(const char *text, unsigned port, const unsigned *ports, int64_t at)
{
	if (strncmp(text, "INVITE ", 7) == 0) {
		if (port == ports[0])
			asked(INVITE, user_of(text), at);
		else
			caused(port == ports[1] ? INVITE : REFER, user_of(text), at);
	} else if (strncmp(text, "REFER ", 6) == 0 && port == ports[0]) {
		asked(REFER, user_of(strcasestr(text, "\nRefer-To:")), at);
	}
}

/* Only UDP over IPv4 whose payload begins with I or R, seen on arrival. */
static int filter(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 7),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 5),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'I', 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'R', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 65535),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int capture(void)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0), on = 1, size = 64 << 20;
	struct sockaddr_ll lo = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex("lo")};

	if (fd < 0 || filter(fd) || bind(fd, (struct sockaddr *)&lo, sizeof(lo)))
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ? -1 : fd;
}

static int64_t stamp(struct msghdr *m)
{
	struct timespec ts;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
		}
	return 0;
}

static void drain(int fd, const unsigned *ports)
{
	static char buf[65536];
	char control[256];
	struct iovec iov = {buf, sizeof(buf) - 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	ssize_t n;

	for (;;) {
		size_t ip;
		unsigned port;

		m.msg_controllen = sizeof(control);
		n = recvmsg(fd, &m, 0);
		if (n < 0)
			return;
		ip = 4 * (buf[0] & 15u);
		if ((size_t)n < ip + 8)
			continue;
		buf[n] = '\0';
		port = (unsigned char)buf[ip + 2] << 8 | (unsigned char)buf[ip + 3];
		if (port == ports[0] || port == ports[1] || port == ports[2])
			packet(buf + ip + 8, port, ports, stamp(&m));
	}
}

int main(int argc, char **argv)
{
	unsigned ports[3];
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: watch IN_PORT CALLEE_PORT TARGET_PORT\n");
		return 2;
	}
	for (int i = 0; i < 3; i++)
		ports[i] = (unsigned)atoi(argv[i + 1]);
	fd = capture();
	if (fd < 0) {
		perror("capture on lo");
		return 1;
	}
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	while (!ended) { /* a nap, so that the watcher does not wake up for each packet */
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		drain(fd, ports);
	}
	drain(fd, ports);
	printf("lost %lu\n", lost);
	return 0;
}
