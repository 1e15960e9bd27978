/*
 * test_registrar_data: bindings under REGISTER, expiry, static contacts, save and load.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "sip/registrar.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct world {
	struct registrar *r;
	int64_t now;
	unsigned changes;
	char last[USER_MAX];
	uint32_t cseq;
};

static void changed(void *arg, const char *user)
{
	struct world *w = arg;

	w->changes++;
	str_set(w->last, user);
}

static void world_init(struct world *w)
{
	struct registrar_config cfg = {.expires_min_s = 60, .expires_max_s = 7200,
		.expires_default_s = 3600, .changed = changed, .arg = w};

	memset(w, 0, sizeof(*w));
	w->r = registrar_create(&cfg);
	w->now = 5000000;
	assert_non_null(w->r);
}

static int reg_full(struct world *w, const char *user, const char *contact, const char *expires,
	const char *id, uint32_t cseq)
{
	struct registrar_request req = {.user = user, .call_id = id, .cseq = cseq,
		.contact = contact, .expires = expires, .source = "sip:192.0.2.1:5060;transport=udp#0",
		.user_agent = "phone"};
	const char *why;

	return registrar_register(w->r, &req, w->now, &why);
}

static int reg(struct world *w, const char *user, const char *contact, const char *expires)
{
	return reg_full(w, user, contact, expires, "call", ++w->cseq);
}

static unsigned count(struct world *w, const char *user)
{
	uint32_t id[CONTACTS_MAX];

	return registrar_contacts(w->r, user, id);
}

static uint32_t first(struct world *w, const char *user)
{
	uint32_t id[CONTACTS_MAX] = {0};

	registrar_contacts(w->r, user, id);
	return id[0];
}

static void assert_contacts(struct world *w, const char *user, const char *expected)
{
	char text[4096];

	assert_int_equal(registrar_print_contacts(w->r, user, w->now, text, sizeof(text)), 0);
	assert_string_equal(text, expected);
}

static void test_bind_refresh_unbind(void **state)
{
	struct world w;
	uint32_t id;

	world_init(&w);
	assert_int_equal(reg(&w, "alice", "<sip:alice@192.0.2.1:5060;ob>", "120"), 200);
	assert_int_equal(w.changes, 1);
	assert_string_equal(w.last, "alice");
	assert_contacts(&w, "alice", "<sip:alice@192.0.2.1:5060;ob>;expires=120");
	id = first(&w, "alice");
	w.now += 60500;
	assert_contacts(&w, "alice", "<sip:alice@192.0.2.1:5060;ob>;expires=60");
	assert_int_equal(reg(&w, "alice", "sip:alice@192.0.2.1:5060;expires=90", "120"), 200);
	assert_contacts(&w, "alice", "<sip:alice@192.0.2.1:5060>;expires=90");
	assert_int_equal(first(&w, "alice"), id); /* a refresh keeps the number */
	assert_int_equal(w.changes, 1);           /* and changes nothing */
	assert_int_equal(reg(&w, "alice", NULL, NULL), 200);
	assert_int_equal(reg(&w, "alice", "<sip:alice@192.0.2.1:5060>", "0"), 200);
	assert_int_equal(w.changes, 2);
	assert_contacts(&w, "alice", "");
	assert_int_equal(registrar_count(w.r), 0);
	assert_int_equal(reg(&w, "alice", "<sip:alice@192.0.2.1:5060>;expires=0", NULL), 200);
	assert_int_equal(w.changes, 2); /* nothing was there */
	assert_null(registrar_find(w.r, id));
	registrar_destroy(w.r);
}

static void test_several_and_star(void **state)
{
	struct world w;
	uint32_t id[CONTACTS_MAX];

	world_init(&w);
	assert_int_equal(reg(&w, "bob", "<sip:b@h1>;q=0.5, <sip:b@h2>, \"B, b\" <sip:b@h3>;q=0.7", NULL),
		200);
	assert_int_equal(w.changes, 1);
	assert_int_equal(registrar_contacts(w.r, "bob", id), 3);
	assert_string_equal(registrar_find(w.r, id[0])->uri, "sip:b@h2");
	assert_string_equal(registrar_find(w.r, id[1])->uri, "sip:b@h3");
	assert_string_equal(registrar_find(w.r, id[2])->uri, "sip:b@h1");
	assert_int_equal(registrar_find(w.r, id[2])->q, 500);
	assert_int_equal(reg(&w, "bob", "*", NULL), 400);
	assert_int_equal(reg(&w, "bob", "*", "60"), 400);
	assert_int_equal(reg(&w, "bob", "*, <sip:b@h4>", "0"), 400);
	assert_int_equal(count(&w, "bob"), 3);
	assert_int_equal(registrar_set_static(w.r, "bob", "sip:200@pbx"), 0);
	assert_int_equal(reg(&w, "bob", " * ", " 0 "), 200);
	assert_int_equal(count(&w, "bob"), 1); /* the static one is not theirs */
	assert_int_equal(reg(&w, "nobody", "*", "0"), 200);
	registrar_destroy(w.r);
}

/* RFC 3261 section 10.3 step 7: all or nothing, by Call-ID and CSeq. */
static void test_order(void **state)
{
	struct world w;

	world_init(&w);
	assert_int_equal(reg_full(&w, "a", "<sip:a@h>", "600", "c1", 5), 200);
	assert_int_equal(reg_full(&w, "a", "<sip:a@h>", "0", "c1", 5), 500);
	assert_int_equal(reg_full(&w, "a", "<sip:a@h>", "0", "c1", 4), 500);
	assert_int_equal(reg_full(&w, "a", "*", "0", "c1", 4), 500);
	assert_int_equal(reg_full(&w, "a", "<sip:new@h>, <sip:a@h>", "600", "c1", 4), 500);
	assert_int_equal(count(&w, "a"), 1); /* sip:new was not added */
	assert_int_equal(reg_full(&w, "a", "<sip:a@h>", "600", "c2", 1), 200); /* a reboot */
	assert_int_equal(reg_full(&w, "a", "*", "0", "c2", 2), 200);
	assert_int_equal(count(&w, "a"), 0);
	registrar_destroy(w.r);
}

static void test_intervals(void **state)
{
	struct world w;

	world_init(&w);
	assert_int_equal(reg(&w, "a", "<sip:a@h>;expires=59", NULL), 423);
	assert_int_equal(reg(&w, "a", "<sip:ok@h>, <sip:a@h>;expires=1", NULL), 423);
	assert_int_equal(count(&w, "a"), 0);
	assert_int_equal(reg(&w, "a", "<sip:a@h>", "99999"), 200);
	assert_contacts(&w, "a", "<sip:a@h>;expires=7200");
	assert_int_equal(reg(&w, "a", "<sip:a@h>", "99999999999999999999"), 200);
	assert_contacts(&w, "a", "<sip:a@h>;expires=7200");
	/* what is no number is as if it were not there (RFC 3261 section 20.19) */
	assert_int_equal(reg(&w, "a", "<sip:a@h>;expires=soon", "-1"), 200);
	assert_contacts(&w, "a", "<sip:a@h>;expires=3600");
	registrar_destroy(w.r);
}

static void test_malformed(void **state)
{
	static const char *const contacts[] = {"nonsense", "<sip:a@h", "<sip:a b@h>", "<tel:123>",
		"<http://h/>", "\"a <sip:a@h>", "<sip:a@h>, nonsense"};
	struct world w;
	struct registrar_request req = {.user = "a", .call_id = "c", .cseq = 1,
		.contact = "<sip:a@h>"};
	char big[REGISTRAR_TEXT_MAX + 1];
	const char *why;

	world_init(&w);
	for (size_t i = 0; i < COUNT(contacts); i++)
		assert_int_equal(reg(&w, "a", contacts[i], NULL), 400);
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	req.call_id = big;
	assert_int_equal(registrar_register(w.r, &req, w.now, &why), 400);
	req.call_id = "c";
	req.path = "<sip:proxy;lr>, rubbish";
	assert_int_equal(registrar_register(w.r, &req, w.now, &why), 400);
	assert_string_equal(why, "Path is malformed");
	req.path = "<sip:p1;lr>,<sip:p2;lr>";
	assert_int_equal(registrar_register(w.r, &req, w.now, NULL), 200);
	assert_string_equal(registrar_find(w.r, first(&w, "a"))->path, "<sip:p1;lr>,<sip:p2;lr>");
	assert_int_equal(reg(&w, "b", "", NULL), 200); /* an empty header says nothing */
	assert_int_equal(registrar_count(w.r), 1);
	registrar_destroy(w.r);
}

/* RFC 5626: the same device from another port replaces its binding and keeps its number. */
static void test_instance(void **state)
{
	static const char one[] = "<sip:a@192.0.2.1:1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
	static const char moved[] = "<sip:a@192.0.2.1:2>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
	static const char flow[] = "<sip:a@192.0.2.1:3>;+sip.instance=\"<urn:uuid:1>\";reg-id=2";
	struct world w;
	uint32_t id;

	world_init(&w);
	assert_int_equal(reg(&w, "a", one, NULL), 200);
	id = first(&w, "a");
	assert_int_equal(reg(&w, "a", moved, NULL), 200);
	assert_int_equal(count(&w, "a"), 1);
	assert_int_equal(first(&w, "a"), id);
	assert_contacts(&w, "a",
		"<sip:a@192.0.2.1:2>;expires=3600;+sip.instance=\"<urn:uuid:1>\";reg-id=1");
	assert_int_equal(reg(&w, "a", flow, NULL), 200);
	assert_int_equal(count(&w, "a"), 2);
	/* it comes back between quotes */
	assert_int_equal(reg(&w, "b", "<sip:b@h>;+sip.instance=\"x\\\"y\"", NULL), 400);
	assert_int_equal(reg(&w, "b", "<sip:b@h>;+sip.instance=\"x y\"", NULL), 400);
	registrar_destroy(w.r);
}

static void test_too_many(void **state)
{
	char contact[64], list[1024] = "";
	struct world w;
	uint32_t id;

	world_init(&w);
	for (int i = 0; i <= CONTACTS_MAX; i++) {
		snprintf(contact, sizeof(contact), "<sip:a@h%d>,", i);
		str_append(list, sizeof(list), contact);
	}
	assert_int_equal(reg(&w, "a", list, NULL), 403);
	for (int i = 0; i < CONTACTS_MAX; i++) {
		snprintf(contact, sizeof(contact), "<sip:a@h%d>", i);
		assert_int_equal(reg(&w, "a", contact, NULL), 200);
	}
	assert_int_equal(reg(&w, "a", "<sip:a@h0>", NULL), 200); /* refreshed: now h1 is oldest */
	id = first(&w, "a");
	assert_int_equal(reg(&w, "a", "<sip:a@new>", NULL), 200);
	assert_int_equal(count(&w, "a"), CONTACTS_MAX);
	assert_non_null(registrar_find(w.r, id));
	assert_int_equal(reg(&w, "a", "<sip:a@h1>;expires=0", NULL), 200);
	assert_int_equal(count(&w, "a"), CONTACTS_MAX); /* h1 had given way */
	registrar_destroy(w.r);
}

static void test_expiry(void **state)
{
	struct world w;

	world_init(&w);
	registrar_expire(w.r, w.now);
	assert_int_equal(reg(&w, "a", "<sip:a@h1>;expires=60, <sip:a@h2>;expires=7200", NULL), 200);
	assert_int_equal(reg(&w, "b", "<sip:b@h1>;expires=61", NULL), 200);
	w.changes = 0;
	for (int64_t end = w.now + 60000; w.now < end; w.now += 500) {
		registrar_expire(w.r, w.now);
		assert_int_equal(registrar_count(w.r), 3);
	}
	registrar_expire(w.r, w.now);
	assert_int_equal(registrar_count(w.r), 2);
	assert_int_equal(w.changes, 1);
	assert_string_equal(w.last, "a");
	w.now += 5000;
	registrar_expire(w.r, w.now);
	assert_int_equal(registrar_count(w.r), 1);
	assert_string_equal(w.last, "b");
	w.now += 7100000; /* asleep longer than the wheel is round */
	registrar_expire(w.r, w.now);
	assert_int_equal(registrar_count(w.r), 1);
	w.now += 35000;
	registrar_expire(w.r, w.now);
	assert_int_equal(registrar_count(w.r), 0);
	registrar_destroy(w.r);
}

static void test_static(void **state)
{
	struct world w;
	uint32_t id;

	world_init(&w);
	assert_int_equal(registrar_set_static(w.r, "a", "nonsense"), EINVAL);
	assert_int_equal(registrar_set_static(w.r, "a", "tel:123"), EINVAL);
	assert_int_equal(registrar_set_static(w.r, "a", NULL), 0);
	assert_int_equal(w.changes, 0);
	assert_int_equal(registrar_set_static(w.r, "a", "sip:200@pbx"), 0);
	id = first(&w, "a");
	assert_int_equal(registrar_find(w.r, id)->kind, BINDING_STATIC);
	assert_int_equal(registrar_set_static(w.r, "a", "sip:200@pbx"), 0);
	assert_int_equal(w.changes, 1);
	assert_int_equal(first(&w, "a"), id);
	assert_contacts(&w, "a", ""); /* not part of a 200 to REGISTER */
	assert_int_equal(registrar_set_static(w.r, "a", "sip:201@pbx"), 0);
	assert_int_not_equal(first(&w, "a"), id);
	/* a phone that registers the same URI has a binding of its own */
	assert_int_equal(reg(&w, "a", "<sip:201@pbx>", NULL), 200);
	assert_int_equal(count(&w, "a"), 2);
	w.now += 999999999;
	registrar_expire(w.r, w.now);
	assert_int_equal(count(&w, "a"), 1);
	assert_int_equal(registrar_set_static(w.r, "a", ""), 0);
	assert_int_equal(count(&w, "a"), 0);
	registrar_destroy(w.r);
}

static void test_drop_and_source(void **state)
{
	struct world w;
	const struct binding *b;

	world_init(&w);
	assert_int_equal(reg(&w, "a", "<sip:a@h1>, <sip:a@h2>", NULL), 200);
	b = registrar_by_source(w.r, "a", "sip:192.0.2.1:5060;transport=udp#0");
	assert_non_null(b);
	assert_null(registrar_by_source(w.r, "a", "sip:192.0.2.1:5061;transport=udp#0"));
	assert_null(registrar_by_source(w.r, "b", "sip:192.0.2.1:5060;transport=udp#0"));
	w.changes = 0;
	registrar_drop_user(w.r, "a");
	registrar_drop_user(w.r, "a");
	assert_int_equal(w.changes, 1);
	assert_int_equal(registrar_count(w.r), 0);
	registrar_destroy(w.r);
}

/* ---- the file ------------------------------------------------------------------------------ */

static char *scratch(char *buf, size_t size)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(buf, size, "%s/segue-registrar-XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(buf);
	assert_true(fd >= 0);
	close(fd);
	return buf;
}

static void test_save_and_load(void **state)
{
	static const char full[] =
		"<sip:a%20b@192.0.2.1:1;x=y>;q=0.25;+sip.instance=\"<urn:uuid:1>\";reg-id=7";
	struct registrar_request req = {.user = "a%b", .call_id = "c\t;1@h", .cseq = 9,
		.contact = full, .expires = "600", .path = "<sip:p1;lr>,<sip:p2;lr>",
		.source = "sip:[2001:db8::1]:5060;transport=udp#1", .user_agent = "Ph\xc3\xb6ne \"1\"\n"};
	const struct binding *x, *y;
	char path[256];
	struct world w, v;
	unsigned bad;
	uint32_t id;

	world_init(&w);
	world_init(&v);
	assert_int_equal(registrar_register(w.r, &req, w.now, NULL), 200);
	assert_int_equal(reg(&w, "bob", "<sip:b@h>;expires=60", NULL), 200);
	assert_int_equal(reg(&w, "bob", "<sip:b@h2>;expires=600", NULL), 200);
	assert_int_equal(registrar_set_static(w.r, "carol", "sip:c@pbx"), 0);
	scratch(path, sizeof(path));
	assert_int_equal(registrar_save(w.r, path, w.now, 1700000000), 0);
	/* another process, another monotonic clock, 100 s later */
	v.now = 77000;
	assert_int_equal(registrar_load(v.r, path, v.now, 1700000100, &bad), 0);
	assert_int_equal(bad, 0);
	assert_int_equal(registrar_count(v.r), 2);
	assert_int_equal(v.changes, 2);
	id = first(&w, "a%b");
	x = registrar_find(w.r, id);
	y = registrar_find(v.r, id);
	assert_non_null(y);
	assert_string_equal(y->user, "a%b");
	assert_string_equal(y->uri, x->uri);
	assert_string_equal(y->path, x->path);
	assert_string_equal(y->call_id, x->call_id);
	assert_string_equal(y->instance, x->instance);
	assert_string_equal(y->source, x->source);
	assert_string_equal(y->user_agent, x->user_agent);
	assert_int_equal(y->cseq, 9);
	assert_int_equal(y->reg_id, 7);
	assert_int_equal(y->q, 250);
	assert_int_equal(y->expires, v.now + 500000);
	/* a connection did not outlive its process */
	req.user = "eve";
	req.contact = "<sip:eve@192.0.2.5;transport=tcp>";
	req.source = "sip:192.0.2.5:40000;transport=tcp#1";
	assert_int_equal(registrar_register(w.r, &req, w.now, NULL), 200);
	assert_int_equal(registrar_save(w.r, path, w.now, 1700000000), 0);
	registrar_destroy(v.r);
	world_init(&v);
	assert_int_equal(registrar_load(v.r, path, v.now, 1700000100, &bad), 0);
	assert_string_equal(registrar_find(v.r, first(&v, "eve"))->source, "");
	assert_string_equal(registrar_find(v.r, first(&v, "eve"))->uri,
		"sip:eve@192.0.2.5;transport=tcp");
	/* numbers go on where they were */
	assert_int_equal(reg(&v, "dave", "<sip:d@h>", NULL), 200);
	assert_int_equal(first(&v, "dave"), 6);
	unlink(path);
	registrar_destroy(w.r);
	registrar_destroy(v.r);
}

static void test_file_trouble(void **state)
{
	static const char text[] = "segue-registrar 1 9\n"
				   "alice\tsip:a@h\t\tc\t\t\t\t1\t1\t0\t1000\t2000\n"
				   "alice\tsip:a@h2\t\tc\t\t\t\t1\t1\t0\t1000\t2000\n" /* id taken */
				   "alice\tsip:a@h3\t\tc\t\t\t\t77\t1\t0\t1000\t2000\n" /* id > 9 */
				   "alice\tnonsense\t\tc\t\t\t\t2\t1\t0\t1000\t2000\n"
				   "alice\tsip:a@h\t\tc\t\t\t\t3\t1\t0\t1001\t2000\n"
				   "alice\tsip:a@h\t\tc\t\t\t\t4\t1\t0\t1000\n"
				   "alice\tsip:a@h\t\tc\t\t\t\t4\t1\t0\t1000\t2000\tx\n"
				   "alice\tsip:a@h\t\tc%00\t\t\t\t4\t1\t0\t1000\t2000\n"
				   "alice\tsip:a@h\t\tc\t\t\t\t4\tx\t0\t1000\t2000\n"
				   "\n"
				   "bob\tsip:b@h\t\tc\t\t\t\t5\t1\t0\t1000\t999\n" /* expired */
				   "bob\tsip:b@h\t\tc\t\t\t\t6\t1\t0\t1000\t999999999";
	char path[256];
	struct world w;
	unsigned bad;
	FILE *f;

	world_init(&w);
	scratch(path, sizeof(path));
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(registrar_load(w.r, path, w.now, 1000, &bad), 0);
	assert_int_equal(bad, 9);
	assert_int_equal(registrar_count(w.r), 2);
	/* a clock that was put back does not keep a binding for years */
	assert_int_equal(registrar_find(w.r, 6)->expires, w.now + 7200000);
	registrar_destroy(w.r);

	world_init(&w);
	f = fopen(path, "w");
	fputs("something else\n", f);
	fclose(f);
	assert_int_equal(registrar_load(w.r, path, w.now, 1000, NULL), EINVAL);
	unlink(path);
	assert_int_equal(registrar_load(w.r, path, w.now, 1000, NULL), ENOENT);
	assert_int_equal(registrar_save(w.r, "/nonexistent/dir/file", w.now, 1000), ENOENT);
	registrar_destroy(w.r);
}

/* ---- properties ---------------------------------------------------------------------------- */

/* A plain model beside the registrar: the same set of (user, contact, expiry) at every moment. */
#define USERS 3
#define HOSTS 6

struct model {
	int64_t expires[USERS][HOSTS]; /* 0: not bound */
};

static unsigned model_count(const struct model *m, int user, int64_t now)
{
	unsigned n = 0;

	for (int h = 0; h < HOSTS; h++)
		n += m->expires[user][h] > now;
	return n;
}

static void test_random(void **state)
{
	static const char *const users[USERS] = {"a", "b", "c"};
	struct model m;
	struct world w;

	memset(&m, 0, sizeof(m));
	world_init(&w);
	srand(13);
	for (int i = 0; i < 20000; i++) {
		int user = rand() % USERS, host = rand() % HOSTS;
		int expires = rand() % 4 == 0 ? 0 : 60 + rand() % 200;
		char contact[80];

		w.now += rand() % 20000;
		registrar_expire(w.r, w.now);
		if (rand() % 50 == 0) {
			assert_int_equal(reg(&w, users[user], "*", "0"), 200);
			memset(m.expires[user], 0, sizeof(m.expires[user]));
		} else {
			snprintf(contact, sizeof(contact), "<sip:u@h%d>;expires=%d", host, expires);
			assert_int_equal(reg(&w, users[user], contact, NULL), 200);
			m.expires[user][host] = expires ? w.now + expires * 1000 : 0;
		}
		for (int u = 0; u < USERS; u++)
			assert_int_equal(count(&w, users[u]), model_count(&m, u, w.now));
	}
	registrar_destroy(w.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bind_refresh_unbind),
		cmocka_unit_test(test_several_and_star),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_instance),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_drop_and_source),
		cmocka_unit_test(test_save_and_load),
		cmocka_unit_test(test_file_trouble),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
