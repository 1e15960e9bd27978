/* ctl: see ctl.h. */
#include "app/ctl.h"

#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the socket ---------------------------------------------------------------------------- */

static void explain_connect(const char *path, int err)
{
	if (err == ENOENT || err == ECONNREFUSED)
		fprintf(stderr,
			"seguectl: segued is not running: nobody listens on %s\n"
			"  start it with `segued -c FILE`, or name another socket with -s\n",
			path);
	else if (err == EACCES)
		fprintf(stderr,
			"seguectl: no permission to open %s: run this as the user or a member of "
			"the group that owns it\n",
			path);
	else
		fprintf(stderr, "seguectl: %s: %s\n", path, strerror(err));
}

static int dial(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (!str_set(addr.sun_path, path)) {
		fprintf(stderr, "seguectl: %s: expected a path of at most %zu characters\n", path,
			sizeof(addr.sun_path) - 1);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	explain_connect(path, errno);
	if (fd >= 0)
		close(fd);
	return -1;
}

static int send_request(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, sent = 0;

	if (text == NULL)
		return ENOMEM;
	text[len++] = '\n';
	while (sent < len) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0) {
			free(text);
			return errno;
		}
		sent += (size_t)n;
	}
	free(text);
	return 0;
}

static json_t *read_answer(int fd)
{
	json_error_t err;
	char *line = NULL;
	size_t cap = 0;
	FILE *in = fdopen(dup(fd), "r");
	json_t *answer = NULL;

	if (in == NULL)
		return NULL;
	if (getline(&line, &cap, in) > 0)
		answer = json_loads(line, 0, &err);
	free(line);
	fclose(in);
	return answer;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

int ctl_ask(const char *socket_path, const json_t *request, int raw, ctl_print_fn *print)
{
	json_t *answer = NULL;
	int fd = dial(socket_path), ok = 0;

	if (fd < 0)
		return EXIT_FAILURE;
	if (send_request(fd, request) == 0)
		answer = read_answer(fd);
	close(fd);
	if (answer == NULL) {
		fprintf(stderr, "seguectl: segued went away before it answered\n");
		return EXIT_FAILURE;
	}
	ok = json_is_true(json_object_get(answer, "ok"));
	if (raw) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (ok || print == ctl_print_reload) {
		print(answer);
	}
	if (!ok && !raw) {
		const char *why = text_of(answer, "error");
		int status = (int)json_integer_value(json_object_get(answer, "status"));

		fprintf(stderr, "seguectl: %s", why[0] ? why : "refused");
		fprintf(stderr, status ? " (%d)\n" : "\n", status);
	}
	json_decref(answer);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- printing ------------------------------------------------------------------------------ */

/* What came from the network must not drive the terminal. */
static const char *clean(const char *text)
{
	static char buf[16][4096]; /* as many as one row of a table needs, and some */
	static unsigned turn;
	char *out = buf[turn++ % 16];

	str_copy(out, sizeof(buf[0]), text);
	for (char *s = out; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	return out;
}

static const char *field(const json_t *o, const char *key)
{
	const char *s = clean(text_of(o, key));

	return s[0] ? s : "-";
}

static long long number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *duration(long long ms)
{
	static char buf[4][24];
	static unsigned turn;
	char *out = buf[turn++ % 4];
	long long s = ms / 1000;

	if (s >= 3600)
		snprintf(out, sizeof(buf[0]), "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(out, sizeof(buf[0]), "%lld:%02lld", s / 60, s % 60);
	return out;
}

#define COLUMNS_MAX 11

/* A table whose columns are as wide as what is in them. Cells are printed from left to right. */
struct table {
	char cell[1024][COLUMNS_MAX][80];
	unsigned rows, columns;
};

static struct table *table_new(unsigned columns)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		fprintf(stderr, "seguectl: out of memory\n");
		exit(EXIT_FAILURE);
	}
	t->columns = columns;
	return t;
}

/* One row; as many texts as there are columns. */
static void table_row(struct table *t, ...)
{
	va_list ap;

	if (t->rows == sizeof(t->cell) / sizeof(t->cell[0]))
		return;
	va_start(ap, t);
	for (unsigned i = 0; i < t->columns; i++)
		str_set(t->cell[t->rows][i], va_arg(ap, const char *));
	va_end(ap);
	t->rows++;
}

static int width_of(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void table_print(struct table *t, const char *indent)
{
	int width[COLUMNS_MAX] = {0};

	for (unsigned r = 0; r < t->rows; r++)
		for (unsigned i = 0; i < t->columns; i++)
			if (width_of(t->cell[r][i]) > width[i])
				width[i] = width_of(t->cell[r][i]);
	for (unsigned r = 0; r < t->rows; r++) {
		printf("%s", indent);
		for (unsigned i = 0; i < t->columns; i++) {
			int pad = i + 1 < t->columns ? width[i] - width_of(t->cell[r][i]) + 2 : 0;

			printf("%s%*s", t->cell[r][i], pad, "");
		}
		putchar('\n');
	}
	free(t);
}

static void party(
	const json_t *o, const char *number_key, const char *name_key, char *buf, size_t n)
{
	const char *num = text_of(o, number_key), *name = text_of(o, name_key);

	snprintf(buf, n, "%s%s%s%s", num[0] ? num : "-", name[0] ? " (" : "", name,
		name[0] ? ")" : "");
	str_copy(buf, n, clean(buf));
}

void ctl_print_calls(const json_t *answer)
{
	const json_t *calls = json_object_get(answer, "calls");
	long long total = number(answer, "total");
	struct table *t;
	size_t i;
	json_t *c;
	char customer[80];

	if (total == 0) {
		puts("No calls.");
		return;
	}
	t = table_new(8);
	table_row(t, "CALL", "STATE", "KIND", "CUSTOMER", "WITH", "FOR", "NOW", "TARGET");
	json_array_foreach((json_t *)calls, i, c)
	{
		party(c, "customer_number", "customer_name", customer, sizeof(customer));
		table_row(t, field(c, "call"), field(c, "state"), field(c, "kind"), customer,
			field(c, "with"), duration(number(c, "duration_ms")), field(c, "interval"),
			field(c, "target"));
	}
	table_print(t, "");
	if ((long long)json_array_size(calls) < total)
		printf("... and %lld more\n", total - (long long)json_array_size(calls));
}

static void print_lines(const char *title, const json_t *list)
{
	size_t i;
	json_t *line;

	if (json_array_size(list) == 0)
		return;
	printf("\n%s\n", title);
	json_array_foreach((json_t *)list, i, line)
		printf("  %s\n", clean(json_string_value(line)));
}

static void print_story(const json_t *story)
{
	size_t i;
	json_t *s;

	if (json_array_size(story) == 0)
		return;
	puts("\nWhat happened");
	json_array_foreach((json_t *)story, i, s)
		printf("  %s  %s\n", field(s, "at"), field(s, "text"));
}

static void print_legs(const json_t *legs)
{
	struct table *t = table_new(7);
	size_t i;
	json_t *l;
	char who[80];

	puts("\nLegs");
	table_row(t, "LEG", "ROLE", "STATE", "FOR", "DIRECTION", "WHO", "OFFER/ANSWER");
	json_array_foreach((json_t *)legs, i, l)
	{
		if (text_of(l, "user")[0] != '\0')
			snprintf(who, sizeof(who), "%s", field(l, "user"));
		else
			snprintf(who, sizeof(who), "%.40s via %.30s", field(l, "number"),
				field(l, "peer"));
		table_row(t, field(l, "leg"), field(l, "role"), field(l, "state"),
			duration(number(l, "since_ms")), field(l, "direction"), who,
			field(l, "offer_answer"));
	}
	table_print(t, "  ");
}

void ctl_print_call(const json_t *answer)
{
	const json_t *c = json_object_get(answer, "call");
	char customer[200];

	party(c, "customer_number", "customer_name", customer, sizeof(customer));
	printf("Call %s, %s, for %s\n", field(c, "call"), field(c, "kind"),
		duration(number(c, "duration_ms")));
	printf("  State         %s for %s\n", field(c, "state"), duration(number(c, "since_ms")));
	printf("  Customer      %s\n", customer);
	printf("  With          %s, %s\n", field(c, "with"), field(c, "interval"));
	if (text_of(c, "transfer")[0] != '\0')
		printf("  Transfer      to %s, %s\n", field(c, "target"), field(c, "transfer"));
	printf("  Conversation  %s\n", field(c, "conversation"));
	if (!json_is_true(json_object_get(c, "can_transfer")))
		printf("  A transfer cannot start now: %s\n", field(c, "why_not"));
	print_story(json_object_get(answer, "story"));
	print_legs(json_object_get(answer, "legs"));
	print_lines("SIP messages", json_object_get(answer, "ladder"));
	print_lines("Log", json_object_get(answer, "log"));
}

void ctl_print_registrations(const json_t *answer)
{
	const json_t *list = json_object_get(answer, "registrations");
	struct table *t;
	size_t i;
	json_t *r;

	if (json_array_size(list) == 0) {
		puts("No phone is registered.");
		return;
	}
	t = table_new(3);
	table_row(t, "USER", "EXPIRES IN", "CONTACT");
	json_array_foreach((json_t *)list, i, r)
	{
		long long s = number(r, "expires_s");

		table_row(t, field(r, "user"), s < 0 ? "static" : duration(s * 1000),
			field(r, "contact"));
	}
	table_print(t, "");
}

/* "0:40", or "-" if nobody knows. */
static const char *estimate(const json_t *o)
{
	return number(o, "estimate_ms") < 0 ? "-" : duration(number(o, "estimate_ms"));
}

static const char *count(const json_t *o, const char *key)
{
	static char buf[COLUMNS_MAX][24];
	static unsigned turn;
	char *out = buf[turn++ % COLUMNS_MAX];

	snprintf(out, sizeof(buf[0]), "%lld", number(o, key));
	return out;
}

static bool is_closed(const json_t *queue)
{
	return json_is_true(json_object_get(json_object_get(queue, "hours"), "closed"));
}

void ctl_print_queues(const json_t *answer)
{
	const json_t *queues = json_object_get(answer, "queues");
	struct table *t;
	size_t i;
	json_t *q;

	if (json_array_size(queues) == 0) {
		puts("No queues.");
		return;
	}
	t = table_new(11);
	table_row(t, "QUEUE", "NUMBER", "HOURS", "WAITING", "LONGEST", "ESTIMATE", "FREE", "ON CALLS",
		"ENTERED", "ANSWERED", "LEFT");
	json_array_foreach((json_t *)queues, i, q)
	{
		const json_t *agents = json_object_get(q, "agents");

		table_row(t, field(q, "queue"), field(q, "number"), is_closed(q) ? "closed" : "open",
			count(q, "waiting"),
			duration(number(q, "longest_ms")), estimate(q), count(agents, "free"),
			count(agents, "talking"), count(q, "entered"), count(q, "answered"),
			count(q, "abandoned"));
	}
	table_print(t, "");
}

/* In the time zone of who asks. */
static const char *calendar(long long seconds, char *buf, size_t size)
{
	time_t at = (time_t)seconds;
	struct tm tm;

	localtime_r(&at, &tm);
	strftime(buf, size, "%a %d %b, %H:%M", &tm);
	return buf;
}

static void print_hours(const json_t *q)
{
	const json_t *hours = json_object_get(q, "hours");
	long long opens, closes, known_until;
	char at[64];

	if (!json_is_object(hours)) {
		puts("  Hours        always open");
		return;
	}
	known_until = number(hours, "known_until");
	if (known_until <= (long long)time(NULL)) {
		printf("  Hours        not known since %s, so it counts as open\n",
			calendar(known_until, at, sizeof(at)));
		return;
	}
	opens = number(hours, "opens_at");
	closes = number(hours, "closes_at");
	printf("  Hours        %s", is_closed(q) ? "closed" : "open");
	if (closes)
		printf(", closes %s", calendar(closes, at, sizeof(at)));
	if (opens)
		printf(", opens %s", calendar(opens, at, sizeof(at)));
	putchar('\n');
}

/* How callers who were transferred are placed: whoever wonders about the order must see it. */
static void print_order(const json_t *q)
{
	long long boost = number(q, "boost_ms");

	printf("  Order        by %s",
		json_is_true(json_object_get(q, "keep_wait"))
			? "all that a caller has waited in queues during the call"
			: "what a caller has waited here");
	if (boost)
		printf("; who was transferred is placed %s ahead", duration(boost));
	putchar('\n');
}

static void print_overflow(const json_t *q)
{
	const char *then = "";
	size_t i;
	json_t *o;

	printf("  Overflow     after %s", duration(number(q, "limit_ms")));
	if (number(q, "max_length"))
		printf(", or when %lld wait", number(q, "max_length"));
	printf(": ");
	json_array_foreach(json_object_get(q, "overflow"), i, o)
	{
		printf("%s%s %s", then, field(o, "kind"), field(o, "target"));
		then = ", then ";
	}
	printf("%sthe fallback chain\n", then);
}

static void print_agents_by_state(const json_t *q)
{
	const json_t *agents = json_object_get(q, "agents"), *n;
	const char *state, *comma = "";

	printf("  Agents       ");
	json_object_foreach((json_t *)agents, state, n)
	{
		if (json_integer_value(n) == 0)
			continue;
		printf("%s%lld %s", comma, (long long)json_integer_value(n), clean(state));
		comma = ", ";
	}
	puts(comma[0] ? "" : "none");
}

static void print_callers(const json_t *callers)
{
	struct table *t = table_new(7);
	char who[80];
	size_t i;
	json_t *c;

	table_row(t, "PLACE", "CALL", "CALLER", "WAITED", "CREDIT", "ESTIMATE", "RINGS AT");
	json_array_foreach((json_t *)callers, i, c)
	{
		party(c, "number", "name", who, sizeof(who));
		table_row(t, count(c, "position"), field(c, "call"), who,
			duration(number(c, "waited_ms")), duration(number(c, "credit_ms")),
			estimate(c), field(c, "offered"));
	}
	putchar('\n');
	table_print(t, "  ");
}

void ctl_print_queue(const json_t *answer)
{
	const json_t *q = json_object_get(answer, "queue");
	const json_t *callers = json_object_get(answer, "callers");
	long long entered = number(q, "entered"), service = number(q, "service_ms");

	printf("Queue %s (%s), number %s\n", field(q, "queue"), field(q, "name"), field(q, "number"));
	printf("  Strategy     %s\n", field(q, "strategy"));
	print_hours(q);
	print_order(q);
	print_overflow(q);
	print_agents_by_state(q);
	printf("  Callers      %lld entered since the start, %lld answered", entered,
		number(q, "answered"));
	if (service)
		printf(" (%lld within %s)", number(q, "in_time"), duration(service));
	printf(", %lld left, %lld overflowed\n", number(q, "abandoned"), number(q, "overflowed"));
	printf("  Waiting      %lld; who came now would wait %s\n", number(q, "waiting"), estimate(q));
	if (json_array_size(callers) > 0)
		print_callers(callers);
	if ((long long)json_array_size(callers) < number(q, "waiting"))
		printf("  ... and %lld more\n",
			number(q, "waiting") - (long long)json_array_size(callers));
}

static void join_names(const json_t *list, char *buf, size_t size)
{
	size_t i;
	json_t *name;

	buf[0] = '\0';
	json_array_foreach((json_t *)list, i, name)
	{
		str_append(buf, size, i ? "," : "");
		str_append(buf, size, clean(json_string_value(name)));
	}
}

void ctl_print_agents(const json_t *answer)
{
	const json_t *agents = json_object_get(answer, "agents");
	char wants[80], queues[80];
	struct table *t;
	size_t i;
	json_t *a;

	if (json_array_size(agents) == 0) {
		puts("No agents: no queue has members.");
		return;
	}
	t = table_new(9);
	table_row(t, "AGENT", "STATE", "FOR", "WANTS", "CALL", "ANSWERED", "TALK", "MISSED", "QUEUES");
	json_array_foreach((json_t *)agents, i, a)
	{
		const char *reason = clean(text_of(a, "reason"));

		snprintf(wants, sizeof(wants), "%.30s%s%.40s%s", field(a, "intent"),
			reason[0] ? " (" : "", reason, reason[0] ? ")" : "");
		join_names(json_object_get(a, "queues"), queues, sizeof(queues));
		table_row(t, field(a, "user"), field(a, "state"), duration(number(a, "since_ms")),
			wants, field(a, "call"), count(a, "answered"), duration(number(a, "talk_ms")),
			count(a, "missed"), queues);
	}
	table_print(t, "");
}

static void print_ledger(const json_t *l)
{
	long long ago = number(l, "last_ok_ms");

	if (!json_is_true(json_object_get(l, "shipping")))
		puts("Ledger       no database is configured; facts stay in the outbox");
	else if (json_is_true(json_object_get(l, "connected")))
		puts("Ledger       PostgreSQL is connected");
	else
		printf("Ledger       PostgreSQL is away: %s\n", field(l, "last_error"));
	printf("             %lld facts shipped, %lld waiting in the outbox, %lld lost\n",
		number(l, "shipped"), number(l, "waiting"), number(l, "lost"));
	if (ago >= 0)
		printf("             last batch %s ago\n", duration(ago));
}

static void print_directory(const json_t *d)
{
	const char *trouble = text_of(d, "trouble");

	if (!json_is_true(json_object_get(d, "configured")))
		puts("Directory    no database is configured");
	else if (!json_is_true(json_object_get(d, "synced")))
		puts("Directory    has not been read yet");
	else
		printf("Directory    %lld users, from the %s\n", number(d, "users"),
			field(d, "from"));
	if (trouble[0] != '\0')
		printf("             database is away: %s\n", clean(trouble));
}

void ctl_print_status(const json_t *answer)
{
	printf("Calls        %lld live, %lld INVITEs since the start\n", number(answer, "calls"),
		number(answer, "invites"));
	print_ledger(json_object_get(answer, "ledger"));
	print_directory(json_object_get(answer, "directory"));
	printf("Core         %lld events, %lld actions, %lld facts, %lld guards running\n",
		number(answer, "events"), number(answer, "actions"), number(answer, "facts"),
		number(answer, "guards"));
	printf("Recorder     %lld events recorded\n", number(answer, "recorded"));
}

void ctl_print_transfer(const json_t *answer)
{
	printf("The transfer is under way: %s\n", field(answer, "text"));
}

void ctl_print_reply(const json_t *answer)
{
	const char *text = text_of(answer, "text");

	puts(text[0] ? clean(text) : "Done.");
}

void ctl_print_reload(const json_t *answer)
{
	size_t i;
	json_t *note;

	json_array_foreach(json_object_get(answer, "notes"), i, note)
		puts(clean(json_string_value(note)));
	if (json_is_true(json_object_get(answer, "ok")))
		puts("Reloaded.");
}

void ctl_print_recorder(const json_t *answer)
{
	printf("Written; %lld events were recorded since the start.\n", number(answer, "recorded"));
}
