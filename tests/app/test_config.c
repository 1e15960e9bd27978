/*
 * test_config: what stands in segue.conf arrives in the structs, and what is wrong in it is told
 * with file, line, the offending value and what was expected. The messages are golden: people
 * search for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "app/config.h"
#include "app/options.h"

static char said[8192];

static void collect(void *arg, const char *line)
{
	/* The directory is the test's own business. */
	const char *slash = strstr(line, "segue.conf");

	str_append(said, sizeof(said), slash ? slash : line);
	str_append(said, sizeof(said), "\n");
}

static char dir[] = "/tmp/segue-test-XXXXXX";
static char file[64];

static int make_dir(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/segue.conf", dir);
	return 0;
}

static int remove_dir(void **state)
{
	unlink(file);
	return rmdir(dir);
}

static int load(const char *text, struct app_config **cfg)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	said[0] = '\0';
	*cfg = NULL;
	return config_load(file, collect, NULL, cfg);
}

static struct app_config *good(const char *text)
{
	struct app_config *cfg;

	if (load(text, &cfg))
		fail_msg("refused:\n%s", said);
	assert_string_equal(said, "");
	return cfg;
}

/* ---- good files ---------------------------------------------------------------------------- */

static void an_empty_file_is_all_defaults(void **state)
{
	struct app_config *cfg = good(""), *def = calloc(1, sizeof(*def));
	static struct core_config core;

	config_default(def);
	str_set(def->file, cfg->file);
	str_set(def->database_at, cfg->database_at);
	assert_int_equal(cfg->sip.nlisten, 2);
	assert_string_equal(cfg->sip.listen[0], "udp:127.0.0.1:5060");
	assert_int_equal(cfg->core.ring_ms, 20000);
	assert_int_equal(cfg->core.bye_ms, 2000);
	assert_int_equal(cfg->core.resume_ms, 32000);
	core_config_default(&core);
	cfg->core.route_index = core.route_index;
	assert_memory_equal(&cfg->core, &core, sizeof(core));
	def->core.route_index = core.route_index;
	assert_int_equal(cfg->sip.expires_max_s, 3600);
	assert_int_equal(cfg->sip.udp_rmem, 4 << 20);
	assert_int_equal(cfg->outbox_mb, 1024);
	assert_int_equal(cfg->socket_mode, 0660);
	assert_int_equal(cfg->log_level, LOG_LEVEL_INFO);
	assert_memory_equal(cfg, def, sizeof(*cfg));
	free(cfg);
	free(def);
}

static void values_arrive(void **state)
{
	struct app_config *cfg = good(
		"sip: { listen = [\"udp:[::1]:5070\"]; domains = (\"pbx.example.com\", "
		"\"10.0.0.1\");\n"
		"  session_expires = \"0s\"; auth_refer = true; receive_buffer = \"1 MB\"; };\n"
		"transfer: { ring = \"1500ms\"; recall = \"2m\"; no_answer_status = 408;\n"
		"  fallback = [\"recall\", \"user:bob?busy,no_answer\", \"announce:300\", \"hangup\"]; };\n"
		"fallback: { queue = [\"voicemail\"]; };\n"
		"ledger: { database = \"host=/run/x dbname=y password=z\"; outbox_size = \"2GB\"; "
		"};\n"
		"control: { mode = \"0600\"; node = 7; };\n"
		"log: { target = \"syslog\"; level = \"debug\"; };\n");
	const struct fallback *step;

	assert_int_equal(cfg->sip.nlisten, 1);
	assert_string_equal(cfg->sip.listen[0], "udp:[::1]:5070");
	assert_string_equal(cfg->sip.listen[1], "");
	assert_int_equal(cfg->sip.ndomains, 2);
	assert_string_equal(cfg->sip.domains[1], "10.0.0.1");
	assert_int_equal(cfg->sip.session_expires_s, 0);
	assert_true(cfg->sip.auth_refer);
	assert_int_equal(cfg->sip.udp_rmem, 1 << 20);
	assert_int_equal(cfg->core.ring_ms, 1500);
	assert_int_equal(cfg->core.recall_ms, 120000);
	assert_int_equal(cfg->core.no_answer_status, 408);
	assert_int_equal(cfg->core.fallback[TARGET_NONE].n, 4);
	step = cfg->core.fallback[TARGET_NONE].step;
	assert_int_equal(step[1].kind, FALLBACK_USER);
	assert_string_equal(step[1].target, "bob");
	assert_int_equal(step[1].causes, 1 << CAUSE_BUSY | 1 << CAUSE_NO_ANSWER);
	assert_int_equal(step[2].kind, FALLBACK_ANNOUNCE);
	assert_string_equal(step[2].target, "300");
	assert_int_equal(step[2].causes, 0);
	assert_int_equal(step[3].kind, FALLBACK_HANGUP);
	assert_int_equal(cfg->core.fallback[TARGET_QUEUE].n, 1);
	assert_int_equal(cfg->core.fallback[TARGET_QUEUE].step[0].kind, FALLBACK_VOICEMAIL);
	assert_int_equal(cfg->core.fallback[TARGET_USER].n, 0);
	assert_string_equal(cfg->shipper.conninfo, "host=/run/x dbname=y password=z");
	assert_int_equal(cfg->outbox_mb, 2048);
	assert_int_equal(cfg->socket_mode, 0600);
	assert_int_equal(cfg->node, 7);
	assert_int_equal(cfg->log_target, LOG_TARGET_SYSLOG);
	assert_int_equal(cfg->log_level, LOG_LEVEL_DEBUG);
	free(cfg);
}

static void lists_of_groups_arrive(void **state)
{
	struct app_config *cfg = good(
		"peers: ( { name = \"pbx\"; address = [\"127.0.0.1:5080\"]; trusted = true;\n"
		"    refer_progress = \"immediate\"; },\n"
		"  { name = \"trunk\"; address = [\"192.0.2.10\", "
		"\"[2001:db8::1]:5061;transport=tcp\"];\n"
		"    match = [\"192.0.2.0/24\", \"2001:db8::/32\"]; username = \"u\"; password = "
		"\"p\";\n"
		"    failover = \"500ms\"; } );\n"
		"devices: ( { user_agent = \"snom\"; immediate = true; },\n"
		"  { user_agent = \"mitel\"; refer_progress = \"immediate\"; } );\n"
		"routes: ( { pattern = \"10XX\"; kind = \"user\"; transfer = true;\n"
		"    examples = [\"1001->user/1001\", \"1002->user\"]; },\n"
		"  { pattern = \"0Z.\"; kind = \"external\"; target = \"trunk\"; strip = 1;\n"
		"    prefix = \"+49\"; source = \"users\";\n"
		"    examples = [\"0891234->external:trunk/+49891234\"]; },\n"
		"  { pattern = \"+!\"; kind = \"none\"; source = \"pbx\"; examples = "
		"[\"+1->none\"]; } );\n");

	assert_int_equal(cfg->sip.npeers, 2);
	assert_string_equal(cfg->sip.peers[0].name, "pbx");
	assert_true(cfg->sip.peers[0].trusted);
	assert_int_equal(cfg->sip.peers[0].failover_ms, 3000);
	assert_int_equal(cfg->sip.peers[1].naddress, 2);
	assert_string_equal(cfg->sip.peers[1].address[1], "[2001:db8::1]:5061;transport=tcp");
	assert_int_equal(cfg->sip.peers[1].nmatch, 2);
	assert_false(cfg->sip.peers[1].trusted);
	assert_string_equal(cfg->sip.peers[1].password, "p");
	assert_int_equal(cfg->sip.peers[1].failover_ms, 500);
	assert_int_equal(cfg->sip.peers[0].progress, REFER_PROGRESS_IMMEDIATE);
	assert_int_equal(cfg->sip.peers[1].progress, REFER_PROGRESS_REAL);
	assert_int_equal(cfg->sip.ndevices, 2);
	assert_int_equal(cfg->sip.devices[0].progress, REFER_PROGRESS_IMMEDIATE);
	assert_int_equal(cfg->sip.devices[1].progress, REFER_PROGRESS_IMMEDIATE);
	assert_int_equal(cfg->core.nroute, 3);
	assert_int_equal(cfg->core.route[0].kind, TARGET_USER);
	assert_true(cfg->core.route[0].transfer);
	assert_int_equal(cfg->core.route[1].strip, 1);
	assert_string_equal(cfg->core.route[1].prefix, "+49");
	assert_string_equal(cfg->core.route[2].source, "pbx");
	free(cfg);
}

/* ---- bad files ------------------------------------------------------------------------------ */

static const struct {
	const char *text, *said;
} bad[] = {
	{"\n\ntransfer: { ring = \"abc\"; };",
		"segue.conf:3: transfer.ring = `abc': expected a time such as 20s or 1500ms\n"},
	{"transfer: { ring = \"20\"; };",
		"segue.conf:1: transfer.ring = `20': expected a time such as 20s or 1500ms\n"},
	{"transfer: { ring = \"-5s\"; };",
		"segue.conf:1: transfer.ring = `-5s': expected a time such as 20s or 1500ms\n"},
	{"transfer: { ring = \"99999999999999h\"; };",
		"segue.conf:1: transfer.ring = `99999999999999h': expected a time such as 20s or "
		"1500ms\n"},
	{"transfer: { ring = 20; };", "segue.conf:1: transfer.ring = `20': expected a time such as "
				      "20s or 1500ms from 1s to "
				      "10m, in double quotes\n"},
	{"transfer: { ring = \"2h\"; };", "segue.conf:1: transfer.ring = `2h': expected a time "
					  "such as 20s or 1500ms from 1s to "
					  "10m\n"},
	{"sip: { expires_min = \"60500ms\"; };",
		"segue.conf:1: sip.expires_min = `60500ms': expected whole seconds\n"},
	{"transfer: { rign = \"20s\"; };",
		"segue.conf:1: unknown option `rign' in transfer: did you mean `ring'?\n"},
	{"transfer: { elephants = 3; };",
		"segue.conf:1: unknown option `elephants' in transfer: see segue.conf(5) for all "
		"options\n"},
	{"trasnfer: { ring = \"20s\"; };",
		"segue.conf:1: unknown section `trasnfer': did you mean `transfer'?\n"},
	{"ring = \"20s\";", "segue.conf:1: option `ring' stands outside a section: did you mean "
			    "`transfer: { ring = "
			    "...; };'?\n"},
	{"elephants = 3;",
		"segue.conf:1: unknown section `elephants': expected sip, call, transfer, fallback, numbers, "
		"queue, media, ledger, control, http, log, recorder, peers, devices, webhooks or routes\n"},
	{"sip: { realm = \"a\\\"b\"; };", "segue.conf:1: sip.realm = `a\"b': expected ASCII without quotes "
					"and backslashes\n"},
	{"sip: { realm = \"caf\xc3\xa9\"; };", "segue.conf:1: sip.realm = `caf\xc3\xa9': expected ASCII "
					   "without quotes and backslashes\n"},
	{"numbers: { country = \"+49\"; };",
		"segue.conf:1: numbers.country = `+49': expected digits such as 49\n"},
	{"numbers: { country = \"abc\"; };",
		"segue.conf:1: numbers.country = `abc': expected a number of digits, + * #\n"},
	{"numbers: { area = \"+8\"; };",
		"segue.conf:1: numbers.area = `+8': expected digits such as 89\n"},
	{"sip: { };\nsip: { };", "segue.conf:2: duplicate setting name at or before `sip: { };': "
				 "expected each name once in its group\n"},
	{"# end", "segue.conf:1: syntax error at or before `# end': expected the end of the line after "
		  "the comment\n"},
	{"transfer = 5;", "segue.conf:1: transfer = `5': expected a group { name = value; ... }\n"},
	{"peers: { name = \"x\"; };",
		"segue.conf:1: peers = `{...}': expected a list of groups ( { ... }, { ... } )\n"},
	{"peers: ( \"pbx\" );",
		"segue.conf:1: peers[1] = `pbx': expected a group { name = value; ... }\n"},
	{"transfer: {\n ring = 20s;\n};", "segue.conf:2: syntax error at or before `ring = 20s;': "
					  "expected name = value; with "
					  "text and times in double quotes\n"},
	{"sip: { listen = \"udp:127.0.0.1:5060\"; };",
		"segue.conf:1: sip.listen = `udp:127.0.0.1:5060': expected a list in [ ], each of "
		"it "
		"udp or tcp, an IP address and a port, such as udp:127.0.0.1:5060 or "
		"tcp:[::1]:5060\n"},
	{"sip: { listen = []; };",
		"segue.conf:1: sip.listen is empty: expected udp or tcp, an IP address and a port, "
		"such as udp:127.0.0.1:5060 or tcp:[::1]:5060\n"},
	{"sip: { listen = [\n\"udp:127.0.0.1:5060\",\n\"tls:127.0.0.1:5061\"]; };",
		"segue.conf:3: sip.listen = `tls:127.0.0.1:5061': expected udp or tcp, an IP "
		"address "
		"and a port, such as udp:127.0.0.1:5060 or tcp:[::1]:5060\n"},
	{"sip: { listen = [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]; };",
		"segue.conf:1: sip.listen[2] = `udp:127.0.0.1:5060': expected it once, it is also "
		"entry 1\n"},
	{"sip: { domains = [\"a b\"]; };",
		"segue.conf:1: sip.domains = `a b': expected a host name or an IP address\n"},
	{"sip: { realm = \"\"; };", "segue.conf:1: sip.realm = `': expected some text\n"},
	{"sip: { user_agent = \"a\\r\\nX: y\"; };",
		"segue.conf:1: sip.user_agent = `a??X: y': expected no control characters\n"},
	{"sip: { auth_refer = \"yes\"; };",
		"segue.conf:1: sip.auth_refer = `yes': expected true or false\n"},
	{"sip: { receive_buffer = \"4000\"; };",
		"segue.conf:1: sip.receive_buffer = `4000': expected a size such as 64KB or 4MB\n"},
	{"sip: { receive_buffer = \"1KB\"; };", "segue.conf:1: sip.receive_buffer = `1KB': "
						"expected a size such as 64KB or 4MB from "
						"64KB to 256MB\n"},
	{"sip: { expires_min = \"10m\"; expires_max = \"5m\"; };",
		"segue.conf:1: sip.expires_min = `600s': expected no more than sip.expires_max = "
		"300s\n"},
	{"sip: { session_expires = \"10s\"; };", "segue.conf:1: sip.session_expires = `10s': "
						 "expected 0s or at least sip.min_se = 90s\n"},
	{"call: { close = \"10s\"; };",
		"segue.conf:1: call.close = `10000ms': expected more than 64 * sip.t1 = 32000ms\n"},
	{"transfer: { no_answer_status = 486; };",
		"segue.conf:1: transfer.no_answer_status = `486': expected 408 or 480\n"},
	{"transfer: { no_answer_status = \"480\"; };",
		"segue.conf:1: transfer.no_answer_status = `480': expected a number from 400 to "
		"699\n"},
	{"transfer: { fallback = [\"mailbox\"]; };",
		"segue.conf:1: transfer.fallback = `mailbox': expected recall, user:NAME, "
		"queue:NAME, voicemail, announce:NUMBER or hangup, with ?CAUSE,... after it\n"},
	{"transfer: { fallback = [\"user:\"]; };",
		"segue.conf:1: transfer.fallback = `user:': expected recall, user:NAME, "
		"queue:NAME, voicemail, announce:NUMBER or hangup, with ?CAUSE,... after it\n"},
	{"transfer: { fallback = [\"recall:bob\"]; };",
		"segue.conf:1: transfer.fallback = `recall:bob': expected recall, user:NAME, "
		"queue:NAME, voicemail, announce:NUMBER or hangup, with ?CAUSE,... after it\n"},
	{"transfer: { fallback = [\"recall?bussy\"]; };",
		"segue.conf:1: transfer.fallback = `recall?bussy': expected after `?' one or more, with "
		"commas between, of busy, no_answer, declined, unreachable, invalid_target, "
		"media_incompatible, auth, loop, internal, cancelled, closed\n"},
	{"transfer: { fallback = [\"recall?\"]; };",
		"segue.conf:1: transfer.fallback = `recall?': expected after `?' one or more, with "
		"commas between, of busy, no_answer, declined, unreachable, invalid_target, "
		"media_incompatible, auth, loop, internal, cancelled, closed\n"},
	{"transfer: { fallback = [\"user:?busy\"]; };",
		"segue.conf:1: transfer.fallback = `user:?busy': expected recall, user:NAME, "
		"queue:NAME, voicemail, announce:NUMBER or hangup, with ?CAUSE,... after it\n"},
	{"transfer: { voicemail_prefix = \"*9x\"; };",
		"segue.conf:1: transfer.voicemail_prefix = `*9x': expected a number of digits, + * #\n"},
	{"transfer: { fallback = [\"hangup\", \"recall\"]; };",
		"segue.conf:1: transfer.fallback[1] = `hangup': expected nothing after it, there "
		"are 1 "
		"more\n"},
	{"transfer: { fallback = "
	 "[\"recall\",\"recall\",\"recall\",\"recall\",\"recall\",\"recall\","
	 "\"recall\",\"recall\",\"recall\"]; };",
		"segue.conf:1: transfer.fallback = `[...]': expected at most 8 entries, there are "
		"9\n"},
	{"control: { mode = \"660\"; };",
		"segue.conf:1: control.mode = `660': expected octal permissions such as 0660\n"},
	{"control: { mode = \"0999\"; };",
		"segue.conf:1: control.mode = `0999': expected octal permissions such as 0660\n"},
	{"control: { socket = \"segued.sock\"; };",
		"segue.conf:1: control.socket = `segued.sock': expected an absolute path\n"},
	{"control: { socket = "
	 "\"/01234567890123456789012345678901234567890123456789012345678901234567"
	 "89012345678901234567890123456789012345678901234567\"; };",
		"segue.conf:1: control.socket = "
		"`/012345678901234567890123456789012345678901234567890123"
		"4567890123456789012345678901234567890123456789012345678901234567': expected at "
		"most 107 "
		"characters\n"},
	{"control: { node = 256; };",
		"segue.conf:1: control.node = `256': expected a number from 0 to 255\n"},
	{"control: { node = 1.5; };",
		"segue.conf:1: control.node = `1.5': expected a number from 0 to 255\n"},
	{"log: { level = \"loud\"; };",
		"segue.conf:1: log.level = `loud': expected debug, info, notice, warn or error\n"},
	{"log: { target = \"file\"; };",
		"segue.conf:1: log.target = `file': expected stderr, syslog or none\n"},
	{"peers: ( { name = \"pbx\"; } );",
		"segue.conf:1: peers[1].address is missing: expected HOST, HOST:PORT or [V6]:PORT, "
		"with ;transport=tcp after it for TCP\n"},
	{"peers: ( { address = [\"h\"]; } );", "segue.conf:1: peers[1].name is missing: expected a "
					       "name of letters, digits and - . _\n"},
	{"peers: ( { name = \"my pbx\"; address = [\"h\"]; } );",
		"segue.conf:1: peers[1].name = `my pbx': expected a name of letters, digits and - "
		". _\n"},
	{"peers: ( { name = \"p\"; address = [\"h:70000\"]; } );",
		"segue.conf:1: peers[1].address = `h:70000': expected HOST, HOST:PORT or "
		"[V6]:PORT, "
		"with ;transport=tcp after it for TCP\n"},
	{"peers: ( { name = \"p\"; address = [\"h;transport=tls\"]; } );",
		"segue.conf:1: peers[1].address = `h;transport=tls': expected HOST, HOST:PORT or "
		"[V6]:PORT, with ;transport=tcp after it for TCP\n"},
	{"peers: ( { name = \"p\"; address = [\"h\"]; match = [\"10.0.0.0/33\"]; } );",
		"segue.conf:1: peers[1].match = `10.0.0.0/33': expected an IP address, or a "
		"network "
		"such as 192.0.2.0/24 or 2001:db8::/32\n"},
	{"peers: ( { name = \"p\"; address = [\"h\"]; },\n{ name = \"p\"; address = [\"i\"]; } );",
		"segue.conf:2: peers[2].name = `p': expected a name of its own, peers[1] has it\n"},
	{"peers: ( { name = \"users\"; address = [\"h\"]; } );",
		"segue.conf:1: peers[1].name = `users': expected another name, this one means "
		"calls "
		"from users in routes\n"},
	{"peers: ( { name = \"p\"; address = [\"h\"]; password = \"s3cret\"; } );",
		"segue.conf:1: peers[1].password: expected a peers[1].username with it\n"},
	{"peers: ( { name = \"p\"; address = [\"h\"]; username = \"u\"; password = 12345; } );",
		"segue.conf:1: peers[1].password: expected some text, in double quotes\n"},
	{"peers: ( { name = \"p\"; address = [\"h\"]; refer_progress = \"real\";\nimmediate = true; } );",
		"segue.conf:2: peers[1].immediate = `true': expected no other refer_progress beside it "
		"than \"immediate\"\n"},
	{"devices: ( { user_agent = \"d\"; immediate = true; refer_progress = \"real\"; } );",
		"segue.conf:1: devices[1].immediate = `true': expected no other refer_progress beside it "
		"than \"immediate\"\n"},
	{"media: { engines = [\"127.0.0.1:2223\", \"127.0.0.1:2224\",\n\"127.0.0.1:2223\"]; };",
		"segue.conf:1: media.engines[3] = `127.0.0.1:2223': expected another engine, "
		"media.engines[1] is this one\n"},
	{"control: { node = 3; };\npeers: ( { name = \"p\"; address = [\"h\"]; node = 3; } );",
		"segue.conf:2: peers[1].node = `3': expected another number than control.node, "
		"which is this one\n"},
	{"control: { locate = \"2s\"; };\nledger: { database = \"dbname=segue\"; };",
		"segue.conf:1: control.locate = `2000ms': expected a control.node from 1 up with "
		"it\n"},
	{"control: { locate = \"2s\"; node = 1; };\nledger: { database = \"\"; };",
		"segue.conf:1: control.locate = `2000ms': expected a ledger.database with it\n"},
	{"routes: ( { kind = \"user\"; } );", "segue.conf:1: routes[1].pattern is missing: "
					      "expected a dial plan pattern such as 0Z. "
					      "or 10XX\n"},
	{"routes: ( { pattern = \"1\"; } );",
		"segue.conf:1: routes[1].kind is missing: expected user, queue, ivr, external, "
		"voicemail or none\n"},
	{"routes: ( { pattern = \"1\"; kind = \"mailbox\"; } );",
		"segue.conf:1: routes[1].kind = `mailbox': expected user, queue, ivr, external, "
		"voicemail or none\n"},
	{"routes: ( { pattern = \"1\"; kind = \"voicemail\"; target = \"bob\"; } );",
		"segue.conf:1: routes[1].target = `bob': expected the name of a peer, because kind "
		"is voicemail\n"},
	{"peers: ( { name = \"p\"; address = [\"192.0.2.1\"]; caller_id = \"business\"; } );",
		"segue.conf:1: peers[1].caller_id = `business': expected a "
		"peers[1].business_number with it\n"},
	{"peers: ( { name = \"p\"; address = [\"192.0.2.1\"]; } );\n"
	 "routes: ( { pattern = \"1\"; kind = \"user\"; failover = [\"p\"]; } );",
		"segue.conf:2: routes[1].failover[1] = `p': expected the name of a peer, and kind "
		"external or voicemail\n"},
	{"call: { failover = [200]; };",
		"segue.conf:1: call.failover = `200': expected a number from 400 to 599\n"},
	{"fallback: { queue = [\"hangup\", \"voicemail\"]; };",
		"segue.conf:1: fallback.queue[1] = `hangup': expected nothing after it, there are "
		"1 more\n"},
	{"routes: ( { pattern = \"0.\"; kind = \"external\"; target = \"nowhere\"; } );",
		"segue.conf:1: routes[1].target = `nowhere': expected the name of a peer, because "
		"kind "
		"is external\n"},
	{"routes: ( { pattern = \"0.\"; kind = \"user\"; source = \"nobody\"; } );",
		"segue.conf:1: routes[1].source = `nobody': expected the name of a peer, or "
		"users\n"},
	{"routes: ( { pattern = \"10XX\"; kind = \"user\"; examples = [\"1001=user\"]; } );",
		"segue.conf:1: routes[1].examples = `1001=user': expected "
		"NUMBER->KIND:TARGET/NUMBER "
		"such as 1001->user/1001\n"},
	{"routes: ( { pattern = \"10XX\"; kind = \"user\";\nexamples = [\"1001->person\"]; } );",
		"segue.conf:2: routes[1].examples: `1001->person': expected "
		"NUMBER->KIND:TARGET/NUMBER such as 1001->user/1001\n"},
	{"routes: ( { pattern = \"10XX\"; kind = \"user\";\nexamples = [\"2001->user\"]; } );",
		"segue.conf:2: routes[1].examples: `2001->user': expected so, but a call to 2001 "
		"from "
		"users is: no route fits it\n"},
	{"routes: ( { pattern = \"1.\"; kind = \"queue\"; target = \"support\"; },\n"
	 "{ pattern = \"10XX\"; kind = \"user\"; examples = [\"1001->user\"]; } );",
		"segue.conf:2: routes[2].examples: `1001->user': expected so, but a call to 1001 "
		"from "
		"users is: queue:support/1001 by routes[1]\n"},
	{"routes: ( { pattern = \"10XX\"; kind = \"user\"; strip = 2; examples = "
	 "[\"1001->user/1001\"]; "
	 "} );",
		"segue.conf:1: routes[1].examples: `1001->user/1001': expected so, but a call to "
		"1001 "
		"from users is: user/01 by routes[1]\n"},
};

static void bad_files_are_explained(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct app_config *cfg;

		if (load(bad[i].text, &cfg) != EINVAL || cfg != NULL)
			fail_msg("accepted: %s", bad[i].text);
		if (strcmp(said, bad[i].said) != 0)
			fail_msg("for %s\nexpected %sgot      %s", bad[i].text, bad[i].said, said);
	}
}

static void all_problems_are_told_at_once(void **state)
{
	struct app_config *cfg;

	assert_int_equal(load("sip: { realm = 5; };\ntransfer: { ring = \"x\";\n join = \"y\"; };\n"
			      "logs: { };\n",
				 &cfg),
		EINVAL);
	assert_string_equal(said,
		"segue.conf:1: sip.realm = `5': expected some text, in double quotes\n"
		"segue.conf:2: transfer.ring = `x': expected a time such as 20s or 1500ms\n"
		"segue.conf:3: transfer.join = `y': expected a time such as 20s or 1500ms\n"
		"segue.conf:4: unknown section `logs': did you mean `log'?\n");
}

static void a_pattern_is_explained_by_the_dial_plan(void **state)
{
	struct app_config *cfg;

	assert_int_equal(
		load("routes: ( { pattern = \"1[5\"; kind = \"user\"; } );", &cfg), EINVAL);
	assert_non_null(strstr(said, "segue.conf:1: routes[1].pattern = `1[5': "));
	assert_true(strlen(said) > strlen("segue.conf:1: routes[1].pattern = `1[5': ") + 10);
}

static void a_missing_file_is_named(void **state)
{
	struct app_config *cfg = NULL;

	said[0] = '\0';
	assert_int_equal(config_load("/nonexistent/segue.conf", collect, NULL, &cfg), EINVAL);
	assert_string_equal(said, "segue.conf: cannot be read: No such file or directory\n");
	said[0] = '\0';
	assert_int_equal(config_load("/", collect, NULL, &cfg), EINVAL);
	assert_non_null(strstr(said, "cannot be read: Is a directory"));
}

static void secrets_are_not_quoted(void **state)
{
	struct app_config *cfg;

	assert_int_equal(load("ledger: { database = 5432198; };", &cfg), EINVAL);
	assert_null(strstr(said, "5432198"));
	assert_int_equal(load("peers: ( { name = \"p\"; address = [\"h\"]; username = \"u\";\n"
			      "password = \"hunter2\\n\"; } );",
				 &cfg),
		EINVAL);
	assert_null(strstr(said, "hunter2"));
	assert_string_equal(
		said, "segue.conf:2: peers[1].password: expected no control characters\n");
}

static void too_many_groups_are_refused(void **state)
{
	struct app_config *cfg;
	static char text[32768] = "peers: (";
	char one[96];

	for (int i = 0; i <= SIP_PEERS_MAX; i++) {
		snprintf(one, sizeof(one), "%s{ name = \"p%d\"; address = [\"h\"]; }", i ? "," : "",
			i);
		str_append(text, sizeof(text), one);
	}
	str_append(text, sizeof(text), ");");
	assert_int_equal(load(text, &cfg), EINVAL);
	assert_string_equal(said, "segue.conf:1: peers has 65 entries: expected at most 64\n");
}

/* ---- single values -------------------------------------------------------------------------- */

static void single_values(void **state)
{
	char err[200];

	assert_int_equal(config_parse_value("transfer.ring", "20s", err, sizeof(err)), 0);
	assert_int_equal(config_parse_value("peers.match", "::1/128", err, sizeof(err)), 0);
	assert_int_equal(config_parse_value("peers.address", "[::1]", err, sizeof(err)), 0);
	assert_int_equal(
		config_parse_value("sip.listen", "udp:[::1:5060", err, sizeof(err)), EINVAL);
	assert_int_equal(config_parse_value("sip.listen", "udp:[::1]", err, sizeof(err)), EINVAL);
	assert_int_equal(
		config_parse_value("sip.listen", "udp:host:5060", err, sizeof(err)), EINVAL);
	assert_int_equal(
		config_parse_value("sip.listen", "udp:1.2.3.4:0", err, sizeof(err)), EINVAL);
	assert_int_equal(config_parse_value("no.such", "x", err, sizeof(err)), ENOENT);
	assert_int_equal(config_parse_value("nodot", "x", err, sizeof(err)), ENOENT);
	assert_int_equal(config_parse_value("transfer.ring", "", err, sizeof(err)), EINVAL);
	assert_string_equal(err, "expected a time such as 20s or 1500ms");
	for (unsigned i = 0; i < options_count; i++) {
		char path[80];
		int rc;

		/* Whatever the option: a refusal explains itself, hostile text breaks nothing. */
		snprintf(path, sizeof(path), "%s.%s", options[i].section, options[i].name);
		rc = config_parse_value(path, "\x01\xff%s:/;[", err, sizeof(err));
		assert_int_equal(rc, EINVAL);
		if (strncmp(err, "expected ", 9) != 0 && options[i].type != OPT_PATTERN)
			fail_msg("%s: %s", path, err);
	}
}

/* ---- reload ---------------------------------------------------------------------------------- */

static void note(void *arg, const char *path)
{
	str_append(said, sizeof(said), path);
	str_append(said, sizeof(said), " ");
}

static void a_reload_keeps_what_cannot_change(void **state)
{
	struct app_config *old = good("");
	struct app_config *now =
		good("sip: { listen = [\"udp:127.0.0.1:5099\"]; t1 = \"250ms\"; };\n"
		     "transfer: { ring = \"7s\"; };\n"
		     "ledger: { database = \"host=elsewhere\"; };\n"
		     "log: { level = \"debug\"; };\n");

	said[0] = '\0';
	config_keep_fixed(now, old, note, NULL);
	assert_string_equal(said, "sip.listen sip.t1 ledger.database ");
	assert_int_equal(now->sip.nlisten, 2);
	assert_string_equal(now->sip.listen[0], "udp:127.0.0.1:5060");
	assert_int_equal(now->sip.t1_ms, 500);
	assert_string_equal(now->shipper.conninfo, old->shipper.conninfo);
	assert_int_equal(now->core.ring_ms, 7000);
	assert_int_equal(now->log_level, LOG_LEVEL_DEBUG);
	free(old);
	free(now);
}

/* ---- what is printed --------------------------------------------------------------------------
 */

/* The printed file is a good one, as it is and with every example switched on. */
static void the_printed_file_is_good(void **state)
{
	static char text[65536], live[65536];
	FILE *out = fmemopen(text, sizeof(text), "w");
	size_t n = 0;
	struct app_config *cfg;

	config_print_conf(out);
	fclose(out);
	free(good(text));
	for (char *s = text; *s != '\0'; s++) {
		bool start = s == text || s[-1] == '\n' || s[-1] == '\t';

		/* "#name = ..", "#<tab>.." and "#);" come alive, "# words" stay comments. */
		if (!(start && *s == '#' && s[1] != ' '))
			live[n++] = *s;
	}
	cfg = good(live);
	assert_int_equal(cfg->sip.npeers, 1);
	assert_int_equal(cfg->sip.ndevices, 1);
	assert_int_equal(cfg->core.nroute, 1);
	assert_int_equal(cfg->core.fallback[TARGET_NONE].n, 1);
	free(cfg);
}

static void the_example_is_good(void **state)
{
	const char *srcdir = getenv("SEGUE_SRC");
	struct app_config *cfg;
	char path[512];

	snprintf(path, sizeof(path), "%s/conf/trunks.conf", srcdir ? srcdir : ".");
	said[0] = '\0';
	if (config_load(path, collect, NULL, &cfg))
		fail_msg("refused:\n%s", said);
	assert_int_equal(cfg->core.npeer, 4);
	assert_int_equal(cfg->core.peer[1].policy.caller_id, CALLER_ID_BUSINESS);
	assert_int_equal(cfg->core.route[1].nfailover, 1);
	assert_int_equal(cfg->core.fallback[TARGET_USER].n, 3);
	free(cfg);
}

static void every_option_is_documented(void **state)
{
	for (unsigned i = 0; i < options_count; i++) {
		const struct option *o = &options[i];

		assert_non_null(section_find(o->section));
		assert_ptr_equal(option_find(o->section, o->name), o);
		assert_true(strlen(o->meaning) > 10);
		assert_int_equal(o->meaning[strlen(o->meaning) - 1], '.');
		assert_true(o->def[0] != '\0' || o->example != NULL);
		assert_true(o->type == OPT_EXAMPLE || o->size > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_is_all_defaults),
		cmocka_unit_test(values_arrive),
		cmocka_unit_test(lists_of_groups_arrive),
		cmocka_unit_test(bad_files_are_explained),
		cmocka_unit_test(all_problems_are_told_at_once),
		cmocka_unit_test(a_pattern_is_explained_by_the_dial_plan),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(secrets_are_not_quoted),
		cmocka_unit_test(too_many_groups_are_refused),
		cmocka_unit_test(single_values),
		cmocka_unit_test(a_reload_keeps_what_cannot_change),
		cmocka_unit_test(the_printed_file_is_good),
		cmocka_unit_test(the_example_is_good),
		cmocka_unit_test(every_option_is_documented),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
