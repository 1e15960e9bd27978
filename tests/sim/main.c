/*
 * sim: runs seeded worlds through the core and prints TAP.
 *
 *	sim [--events N] [--seed S | --fresh] [--verbose]
 *	sim --centres [--seed S] [--events N]	call centres alone, eight of them or more
 *	sim --replay FILE	what the flight recorder of a segued saw, step by step
 *
 * Worlds of WORLD_STEPS events follow one another, their seeds counted up from S, until N events
 * were taken. The first failure is shrunk and printed with what leads to it again.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "sim/dump.h"
#include "sim/mutate.h"
#include "sim/replay.h"
#include "sim/world.h"

#define WORLD_STEPS	5000
#define EVENTS		1500000
#define COVERAGE_EVENTS 500000 /* fewer may miss a row without anything being wrong */
#define MUTANT_WORLDS	20
#define SAME_WORLDS	3
#define CHAOS_WORLDS	20
#define CENTRE_WORLDS	8
#define CENTRE_STEPS	12000

struct options {
	uint64_t events, seed;
	bool verbose, centres;
	const char *file; /* of the flight recorder; NULL: invented worlds */
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- worlds ---------------------------------------------------------------------------------- */

/* Runs the failed world again with a recorder, and shrinks that. */
static void explain(uint64_t seed, enum world_mode mode, sim_mutator *mutator)
{
	struct sim_record record = {0};
	struct world *w = world_create(seed, mode, mutator, &record);
	struct sim *s = world_run(w, mode == WORLD_CENTRE ? CENTRE_STEPS : WORLD_STEPS);
	struct core_config cfg;

	printf("# world %llu failed at step %llu: %s: %s\n", (unsigned long long)seed,
		(unsigned long long)s->steps, s->rule, s->text);
	printf("# again: sim %s--seed %llu --events 1\n", mode == WORLD_CENTRE ? "--centres " : "",
		(unsigned long long)seed);
	world_config(seed, &cfg);
	if (s->failed)
		replay_shrink(&cfg, &record, mutator, s->rule, stdout);
	world_destroy(w);
	sim_record_free(&record);
}

/* From world *seed on, until so many events were taken. */
static bool run_worlds(uint64_t *seed, uint64_t events, uint64_t *done)
{
	for (; *done < events; ++*seed) {
		struct world *w = world_create(*seed, WORLD_ORDERLY, NULL, NULL);
		struct sim *s = world_run(w, WORLD_STEPS);
		bool failed = s->failed;

		*done += s->steps;
		world_destroy(w);
		if (failed) {
			explain(*seed, WORLD_ORDERLY, NULL);
			return false;
		}
	}
	return true;
}

/* ---- what was not reached -------------------------------------------------------------------- */

static unsigned missing_rows(void)
{
	struct table_row r;
	unsigned missing = 0;

	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (!r.never && core_table_hits(i) == 0) {
			printf("# never taken: (%s, %s), transfer.tbl:%u\n", r.state, r.event,
				r.line);
			missing++;
		}
	}
	return missing;
}

static void print_hits(void)
{
	struct table_row r;

	for (unsigned i = 0; i < core_table_size(); i++) {
		core_table_row(i, &r);
		if (!r.never)
			printf("# %10llu  %s, %s\n", (unsigned long long)core_table_hits(i),
				r.state, r.event);
	}
}

/* ---- the watchers watched -------------------------------------------------------------------- */

static bool is_caught(const struct mutation *m, uint64_t seed, char *rule, size_t size)
{
	bool caught = false;

	for (uint64_t i = 0; i < MUTANT_WORLDS && !caught; i++) {
		struct world *w = world_create(seed + i, WORLD_ORDERLY, m->apply, NULL);
		struct sim *s = world_run(w, WORLD_STEPS);

		caught = s->failed && s->mutated;
		if (caught)
			str_copy(rule, size, s->rule);
		world_destroy(w); /* one lie may do no harm: the phone hung up at once */
	}
	return caught;
}

static unsigned surviving_mutants(uint64_t seed)
{
	unsigned survivors = 0;
	char rule[CT_RULE_MAX];

	for (unsigned i = 0; i < nmutations; i++) {
		bool caught = is_caught(&mutations[i], seed, rule, sizeof(rule));

		printf("# %-24s %s\n", mutations[i].name, caught ? rule : "NOT NOTICED");
		survivors += !caught;
	}
	return survivors;
}

static bool is_deterministic(uint64_t seed)
{
	for (uint64_t i = 0; i < SAME_WORLDS; i++) {
		uint64_t hash[2];

		for (int k = 0; k < 2; k++) {
			struct world *w = world_create(seed + i, WORLD_ORDERLY, NULL, NULL);

			hash[k] = world_run(w, WORLD_STEPS)->hash;
			world_destroy(w);
		}
		if (hash[0] != hash[1])
			return false;
	}
	return true;
}

/* 50 agents, 10 queues with shared members and skills, phones that fail in every way, a directory that
 * changes: no agent is stuck, offered twice, or idle while a caller waits for him (centre.c). */
static bool serves_everybody(uint64_t seed, uint64_t events, uint64_t *done)
{
	bool good = true;

	for (uint64_t i = 0; (i < CENTRE_WORLDS || *done < events) && good; i++) {
		struct world *w = world_create(seed + i, WORLD_CENTRE, NULL, NULL);
		struct sim *s = world_run(w, CENTRE_STEPS);

		good = !s->failed;
		*done += s->steps;
		world_destroy(w);
		if (!good)
			explain(seed + i, WORLD_CENTRE, NULL);
	}
	return good;
}

/* Broken adapters must not bring the core down, or its record into contradiction. */
static bool stands_nonsense(uint64_t seed)
{
	bool stands = true;

	for (uint64_t i = 0; i < CHAOS_WORLDS && stands; i++) {
		struct world *w = world_create(seed + i, WORLD_CHAOTIC, NULL, NULL);

		stands = !world_run(w, WORLD_STEPS)->failed;
		world_destroy(w);
		if (!stands)
			explain(seed + i, WORLD_CHAOTIC, NULL);
	}
	return stands;
}

/* ---- an incident ------------------------------------------------------------------------------
 */

static int replay_file(const char *path)
{
	struct core_config cfg;
	struct sim_record record;
	struct sim s;
	char err[512];
	bool failed;

	if (dump_read(path, &cfg, &record, err, sizeof(err)) != 0) {
		fprintf(stderr, "sim: %s\n", err);
		return 2;
	}
	replay(&s, &cfg, &record, NULL, NULL, stdout);
	failed = s.failed;
	printf("# %u events replayed, %u calls alive at the end%s%s%s%s\n", record.n,
		core_call_count(s.core), failed ? "; " : "", s.rule, failed ? ": " : "", s.text);
	sim_done(&s);
	sim_record_free(&record);
	return failed ? 1 : 0;
}

/* ---- main ------------------------------------------------------------------------------------ */

static uint64_t fresh_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		perror("getrandom");
		exit(1);
	}
	return seed >> 16;
}

static uint64_t number_arg(const char *option, const char *text)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0') {
		fprintf(stderr, "sim: --%s \"%s\": expected a number\n", option, text);
		exit(2);
	}
	return v;
}

static struct options read_options(int argc, char **argv)
{
	static const struct option known[] = {{"events", required_argument, NULL, 'e'},
		{"seed", required_argument, NULL, 's'}, {"fresh", no_argument, NULL, 'f'},
		{"verbose", no_argument, NULL, 'v'}, {"centres", no_argument, NULL, 'c'},
		{"replay", required_argument, NULL, 'r'},
		{NULL, 0, NULL, 0}};
	struct options o = {.seed = 1};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'e')
			o.events = number_arg("events", optarg);
		else if (c == 's')
			o.seed = number_arg("seed", optarg);
		else if (c == 'f')
			o.seed = fresh_seed();
		else if (c == 'v')
			o.verbose = true;
		else if (c == 'c')
			o.centres = true;
		else if (c == 'r')
			o.file = optarg;
		else
			exit(2);
	}
	return o;
}

static void ok(bool good, unsigned n, const char *what)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", n, what);
	fflush(stdout);
}

static int only_centres(const struct options *o)
{
	uint64_t done = 0;
	bool good;

	printf("1..1\n# seed %llu\n", (unsigned long long)o->seed);
	good = serves_everybody(o->seed, o->events, &done);
	printf("# %llu events in call centres\n", (unsigned long long)done);
	ok(good, 1, "no agent is stuck, offered twice, or idle while a caller waits for him");
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options o = read_options(argc, argv);
	uint64_t done = 0, next;
	double start, spent;
	bool good, all;

	if (o.file != NULL)
		return replay_file(o.file);
	if (o.centres)
		return only_centres(&o);
	if (o.events == 0)
		o.events = EVENTS;
	printf("1..6\n# seed %llu, %llu events\n", (unsigned long long)o.seed,
		(unsigned long long)o.events);
	start = seconds();
	next = o.seed;
	all = good = run_worlds(&next, o.events, &done);
	if (good && o.events >= COVERAGE_EVENTS && missing_rows() > 0) { /* by bad luck, or for good? */
		printf("# .. in %llu events; as many again\n", (unsigned long long)done);
		all = good = run_worlds(&next, 2 * o.events, &done);
	}
	spent = seconds() - start;
	printf("# %llu events in %.1f s: %.0f events/s, every one checked\n",
		(unsigned long long)done, spent, (double)done / spent);
	ok(good, 1, "no promise is broken");
	if (o.verbose)
		print_hits();
	good = o.events < COVERAGE_EVENTS || missing_rows() == 0;
	ok(good, 2, "every row and every IGNORE of the table was taken");
	all = all && good;
	good = is_deterministic(o.seed);
	ok(good, 3, "the same seed gives the same facts and actions");
	all = all && good;
	good = stands_nonsense(o.seed);
	ok(good, 4, "events that no adapter may send leave the core whole");
	all = all && good;
	good = surviving_mutants(o.seed) == 0;
	ok(good, 5, "every mutant of the core's output is caught");
	all = all && good;
	done = 0;
	good = serves_everybody(o.seed, 0, &done);
	printf("# %llu events in call centres\n", (unsigned long long)done);
	ok(good, 6, "no agent is stuck, offered twice, or idle while a caller waits for him");
	return all && good ? 0 : 1;
}
