/*
 * options: see options.h. The two tables are the whole truth about segue.conf; whoever adds an
 * option adds a row here and a use somewhere, nothing else.
 */
#include "app/options.h"

#include "app/config.h"
#include "base/str.h"
#include "core/dialplan.h"
#include "core/fact.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE_OF(type, m) sizeof(((type *)0)->m)
#define AT(m) \
	.offset = offsetof(struct app_config, m), .size = SIZE_OF(struct app_config, m)
#define LIST_AT(m, n, most)                                                                        \
	.offset = offsetof(struct app_config, m), .size = SIZE_OF(struct app_config, m[0]),        \
	.count_offset = offsetof(struct app_config, n), .list_max = (most)
#define IN(type, m) .offset = offsetof(type, m), .size = SIZE_OF(type, m)
#define LIST_IN(type, m, n, most)                                                                  \
	.offset = offsetof(type, m), .size = SIZE_OF(type, m[0]),                                  \
	.count_offset = offsetof(type, n), .list_max = (most)
#define CHAIN_AT(kind) LIST_AT(core.fallback[kind].step, core.fallback[kind].n, FALLBACK_MAX)
#define RANGE(lo, hi) .min = (lo), .max = (hi)
#define SEC	      1000
#define MINUTE	      (60 * SEC)
#define HOUR	      (60 * MINUTE)
#define MB	      (1 << 20)

const struct section sections[] = {
	{"sip", .meaning = "Where segue listens and how it speaks SIP."},
	{"call", .meaning = "Guards of ordinary calls."},
	{"transfer", .meaning = "What happens when somebody transfers a call."},
	{"fallback", .meaning = "Chains of their own for some kinds of target, written as "
				"transfer.fallback, which is for\n"
				"those that have none here."},
	{"numbers",
		.meaning = "How people dial here. What outside numbers are in E.164 form decides about "
			   "their class,\n"
			   "and with segue.number_classes about who may dial them: international and "
			   "premium\n"
			   "numbers nobody, unless a row there, or the user's own row, says so."},
	{"queue", .meaning = "Queues and their agents, where the directory leaves it open."},
	{"media",
		.meaning = "rtpengine: music on hold, and the audio of calls kept where it can be "
			   "watched.\n"
			   "Without engines the phones talk directly and hold each other by "
			   "themselves."},
	{"ledger",
		.meaning = "PostgreSQL: the directory is read from it, the ledger written to it."},
	{"control", .meaning = "The daemon itself and the socket that seguectl talks to."},
	{"http", .meaning = "The panel, the API under /api/v1, metrics. Off unless `listen` says where."},
	{"log", .meaning = "One logfmt line for each thing that happens."},
	{"recorder", .meaning = "The flight recorder: the last events, always on, replayable."},
	{"peers", SIP_PEERS_MAX, offsetof(struct app_config, sip.peers), sizeof(struct sip_peer),
		offsetof(struct app_config, sip.npeers),
		"PBXs, trunks and IVR platforms. They are recognised by their address; an INVITE "
		"from\n"
		"anybody who is neither a peer nor a user of the directory is refused."},
	{"devices", SIP_DEVICES_MAX, offsetof(struct app_config, sip.devices),
		sizeof(struct sip_device), offsetof(struct app_config, sip.ndevices),
		"Phones that need special treatment, by the beginning of their User-Agent."},
	{"webhooks", WEBHOOKS_MAX, offsetof(struct app_config, webhooks),
		sizeof(struct webhook_config), offsetof(struct app_config, nwebhooks),
		"Programs that are sent facts as they happen, signed and in order. A change takes "
		"effect at\n"
		"the next start."},
	{"routes", ROUTES_MAX, offsetof(struct app_config, core.route), sizeof(struct route),
		offsetof(struct app_config, core.nroute),
		"The dial plan: the first route whose pattern and source fit decides. A number "
		"that\n"
		"fits none is looked up in the directory: users, queues and IVRs by their number."},
};
const unsigned sections_count = sizeof(sections) / sizeof(sections[0]);

const struct option options[] = {
	/* ---- sip ---- */
	{"sip", "listen", OPT_LISTEN, OPT_REQUIRED,
		LIST_AT(sip.listen, sip.nlisten, SIP_LISTEN_MAX),
		.def = "udp:127.0.0.1:5060 tcp:127.0.0.1:5060",
		.meaning = "Transports, addresses and ports to listen on."},
	{"sip", "domains", OPT_HOST, OPT_RELOAD,
		LIST_AT(sip.domains, sip.ndomains, SIP_DOMAINS_MAX), .def = "",
		.example = "pbx.example.com",
		.meaning = "Hosts that are ours when a URI names them; listening addresses always "
			   "are."},
	{"sip", "realm", OPT_TEXT, OPT_REQUIRED, AT(sip.realm), .def = "segue",
		.meaning = "Realm of the digest challenge. Stored password hashes contain it."},
	{"sip", "user_agent", OPT_TEXT, OPT_RELOAD, AT(sip.user_agent), .def = "segue",
		.meaning = "What segue calls itself in Server and User-Agent."},
	{"sip", "auth_refer", OPT_BOOL, OPT_RELOAD, AT(sip.auth_refer), .def = "false",
		.meaning = "Challenge each REFER of a user for credentials, not only INVITE and "
			   "REGISTER."},
	{"sip", "nonce", OPT_TIME, OPT_RELOAD, AT(sip.nonce_ms), RANGE(10 * SEC, HOUR), .unit = 1,
		.def = "5m", .meaning = "How long a digest nonce may be used."},
	{"sip", "expires_min", OPT_TIME, OPT_RELOAD, AT(sip.expires_min_s), RANGE(10 * SEC, HOUR),
		.unit = SEC, .def = "60s",
		.meaning = "Shortest registration; less is answered 423."},
	{"sip", "expires_max", OPT_TIME, OPT_RELOAD, AT(sip.expires_max_s),
		RANGE(60 * SEC, 24 * HOUR), .unit = SEC, .def = "1h",
		.meaning = "Longest registration; more is shortened to this."},
	{"sip", "registrations", OPT_PATH, 0, AT(sip.registrations),
		.def = "/var/lib/segue/registrations",
		.meaning = "File that carries registrations over a restart of the daemon; \"\" keeps "
			   "none."},
	{"sip", "session_expires", OPT_TIME, OPT_RELOAD, AT(sip.session_expires_s),
		RANGE(0, 24 * HOUR), .unit = SEC, .def = "30m",
		.meaning = "Session timer that segue asks for (RFC 4028); 0s asks for none."},
	{"sip", "min_se", OPT_TIME, OPT_RELOAD, AT(sip.min_se_s), RANGE(90 * SEC, HOUR),
		.unit = SEC, .def = "90s",
		.meaning = "Shortest session timer that segue accepts; less is answered 422."},
	{"sip", "qualify", OPT_TIME, OPT_RELOAD, AT(sip.qualify_s), RANGE(0, 24 * HOUR),
		.unit = SEC, .def = "0s",
		.meaning = "Each contact of a user is asked with OPTIONS this often; a silent one "
			   "makes its\n"
			   "agent unreachable for queues until it answers again. 0s asks nobody."},
	{"sip", "t1", OPT_TIME, 0, AT(sip.t1_ms), RANGE(50, 5 * SEC), .unit = 1, .def = "500ms",
		.meaning = "Round-trip estimate T1 of RFC 3261; retransmissions and timeouts "
			   "follow it."},
	{"sip", "progress", OPT_TIME, 0, AT(sip.progress_ms), RANGE(SEC, 170 * SEC), .unit = 1,
		.def = "60s",
		.meaning = "A caller who is not answered yet is told again this often that it rings: "
			   "proxies on the way\n"
			   "give up a call of which they hear nothing for three minutes."},
	{"sip", "receive_buffer", OPT_SIZE, 0, AT(sip.udp_rmem), RANGE(64 << 10, 256 * MB),
		.unit = 1, .def = "4MB",
		.meaning =
			"UDP receive buffer that is asked of the kernel (see net.core.rmem_max)."},

	/* ---- call ---- */
	{"call", "setup", OPT_TIME, OPT_RELOAD, AT(core.setup_ms), RANGE(SEC, HOUR), .unit = 1,
		.def = "60s",
		.meaning = "A new call rings this long before the caller is told nobody answers."},
	{"call", "close", OPT_TIME, OPT_RELOAD, AT(core.close_ms), RANGE(SEC, 5 * MINUTE),
		.unit = 1, .def = "36s",
		.meaning = "A leg that was hung up is given up after this; more than 64 times "
			   "sip.t1."},

	{"call", "failover", OPT_INT, OPT_RELOAD,
		LIST_AT(core.failover_code, core.nfailover_code, FAILOVER_CODES_MAX),
		RANGE(400, 599), .unit = 1, .def = "408 500 502 503 504",
		.meaning = "SIP statuses of a trunk after which the next peer of the route is "
			   "tried; 408 only\n"
			   "while nothing has rung. Who is busy or declines does so on every trunk."},

	/* ---- transfer ---- */
	{"transfer", "ring", OPT_TIME, OPT_RELOAD, AT(core.ring_ms), RANGE(SEC, 10 * MINUTE),
		.unit = 1, .def = "20s", .meaning = "The target of a transfer rings this long."},
	{"transfer", "recall", OPT_TIME, OPT_RELOAD, AT(core.recall_ms), RANGE(SEC, 10 * MINUTE),
		.unit = 1, .def = "20s",
		.meaning =
			"A transferor who is called back after a failed transfer rings this long."},
	{"transfer", "join", OPT_TIME, OPT_RELOAD, AT(core.join_ms), RANGE(500, 2 * MINUTE),
		.unit = 1, .def = "34s",
		.meaning = "From the target's answer until both parties' media is joined, else the "
			   "transfer failed."},
	{"transfer", "resume", OPT_TIME, OPT_RELOAD, AT(core.resume_ms), RANGE(SEC, 10 * MINUTE),
		.unit = 1, .def = "32s",
		.meaning = "After a failed transfer the transferor has this long to take the "
			   "caller off hold,\n"
			   "then the fallback chain goes on."},
	{"transfer", "bye", OPT_TIME, OPT_RELOAD, AT(core.bye_ms), RANGE(100, MINUTE), .unit = 1,
		.def = "2s",
		.meaning = "After a completed transfer the transferor's phone has this long to "
			   "hang up by itself."},
	{"transfer", "notify", OPT_TIME, OPT_RELOAD, AT(core.notify_ms), RANGE(500, MINUTE),
		.unit = 1, .def = "4s",
		.meaning =
			"The final NOTIFY has this long to be answered before the leg is hung up."},
	{"transfer", "no_answer_status", OPT_INT, OPT_RELOAD, AT(core.no_answer_status),
		RANGE(400, 699), .unit = 1, .def = "408",
		.meaning = "SIP status that tells the transferor the target did not answer: 408 or "
			   "480."},
	{"transfer", "foreign", OPT_BOOL, OPT_RELOAD, AT(core.refer_foreign), .def = "false",
		.meaning = "Take the number out of a Refer-To that names a foreign host; false "
			   "refuses it."},
	{"transfer", "ring_busy", OPT_BOOL, OPT_RELOAD, AT(core.ring_busy), .def = "true",
		.meaning = "Ring a target who is on a call already (call waiting); false refuses the "
			   "transfer."},
	{"transfer", "ring_away", OPT_BOOL, OPT_RELOAD, AT(core.ring_away), .def = "true",
		.meaning = "Ring a target who is an agent and away; false refuses the transfer."},
	{"transfer", "ring_unregistered", OPT_BOOL, OPT_RELOAD, AT(core.ring_unregistered),
		.def = "true",
		.meaning = "Accept a transfer to a user who has no phone: it fails at once, and the "
			   "fallback chain\n"
			   "is there for the caller; false refuses it."},
	{"transfer", "onhook_join", OPT_BOOL, OPT_RELOAD, AT(core.onhook_join), .def = "false",
		.meaning = "An agent who hangs up while consulting puts the caller and the target "
			   "together;\n"
			   "false rings the agent again for the caller."},
	{"transfer", "dial_unknown", OPT_BOOL, OPT_RELOAD, AT(core.dial_unknown), .def = "false",
		.meaning = "A phone asks to join two calls of which segue does not know one: true "
			   "calls the target\n"
			   "anew, as in a transfer without consulting; false tells the phone 481."},
	{"transfer", "consult_belongs", OPT_BOOL, OPT_RELOAD, AT(core.consult_belongs),
		.def = "true",
		.meaning = "A consultation by phone that led to no transfer is part of the "
			   "caller's\n"
			   "conversation; false makes it one of its own."},
	{"transfer", "redirect", OPT_BOOL, OPT_RELOAD, AT(core.redirect), .def = "true",
		.meaning = "Follow a 3xx answer if it names one of our own numbers."},
	{"transfer", "redirect_max", OPT_INT, OPT_RELOAD, AT(core.redirect_max), RANGE(0, 5),
		.unit = 1, .def = "5", .meaning = "Redirections followed for one target."},
	{"transfer", "fallback", OPT_FALLBACK, OPT_RELOAD, CHAIN_AT(TARGET_NONE), .def = "recall",
		.example = "recall user:bob voicemail?no_answer announce:300",
		.meaning = "What is tried, in order, for a caller whose transfer failed and whose "
			   "transferor\n"
			   "has left: \"recall\" rings the transferor again, \"user:NAME\" rings "
			   "that user,\n"
			   "\"queue:NAME\" waits in that queue, \"voicemail\" is the mailbox of who "
			   "was asked for\n"
			   "(\"voicemail:NAME\": of that user), \"announce:NUMBER\" dials an "
			   "announcement,\n"
			   "\"hangup\" gives up. ?CAUSE,CAUSE after a step: only after these: busy, "
			   "no_answer,\n"
			   "declined, unreachable, invalid_target, media_incompatible, auth, loop, "
			   "internal, cancelled, closed (a queue, at this hour)."},
	{"transfer", "recall_prefix", OPT_TEXT, OPT_RELOAD, AT(core.recall_prefix),
		.def = "Recall: ",
		.meaning = "Before the caller's name on the phone of a transferor who is called "
			   "back."},
	{"transfer", "voicemail_prefix", OPT_NUMBER, OPT_RELOAD, AT(core.voicemail_prefix),
		.def = "", .example = "*97",
		.meaning = "This and the number of a user or queue is the number of their mailbox, "
			   "if the\n"
			   "directory has none for them. It must lead to a peer by a route."},

	/* ---- fallback ---- */
	{"fallback", "user", OPT_FALLBACK, OPT_RELOAD, CHAIN_AT(TARGET_USER), .def = "",
		.example = "recall voicemail?no_answer,busy",
		.meaning = "After a transfer to a user."},
	{"fallback", "queue", OPT_FALLBACK, OPT_RELOAD, CHAIN_AT(TARGET_QUEUE), .def = "",
		.example = "voicemail", .meaning = "After a transfer to a queue."},
	{"fallback", "ivr", OPT_FALLBACK, OPT_RELOAD, CHAIN_AT(TARGET_IVR), .def = "",
		.example = "queue:support", .meaning = "After a transfer to an IVR."},
	{"fallback", "external", OPT_FALLBACK, OPT_RELOAD, CHAIN_AT(TARGET_EXTERNAL), .def = "",
		.example = "recall queue:support",
		.meaning = "After a transfer to an outside number."},
	{"fallback", "voicemail", OPT_FALLBACK, OPT_RELOAD, CHAIN_AT(TARGET_VOICEMAIL), .def = "",
		.example = "recall", .meaning = "After a transfer to a mailbox."},

	/* ---- numbers ---- */
	{"numbers", "country", OPT_NUMBER, OPT_RELOAD, AT(core.numbering.country), .def = "",
		.example = "49",
		.meaning = "Country code. Numbers of this country are of class national, others "
			   "international;\n"
			   "while it is not set, every number with a country code is international."},
	{"numbers", "area", OPT_NUMBER, OPT_RELOAD, AT(core.numbering.area), .def = "",
		.example = "89",
		.meaning = "Area code put before local numbers; empty: they stay as they are."},
	{"numbers", "trunk_prefix", OPT_NUMBER, OPT_RELOAD, AT(core.numbering.trunk), .def = "0",
		.meaning = "What national numbers begin with; empty where they begin with nothing."},
	{"numbers", "international_prefix", OPT_NUMBER, OPT_RELOAD,
		AT(core.numbering.international), .def = "00",
		.meaning = "What international numbers begin with, instead of +."},
	{"numbers", "national_digits", OPT_INT, OPT_RELOAD, AT(core.numbering.national_digits),
		RANGE(0, 15), .unit = 1, .def = "0",
		.meaning = "A number without any prefix is national from so many digits on, such as "
			   "10 in\n"
			   "North America; 0: never."},

	/* ---- queue ---- */
	{"queue", "ring", OPT_TIME, OPT_RELOAD, AT(core.queue_ring_ms), RANGE(SEC, 10 * MINUTE),
		.unit = 1, .def = "20s", .meaning = "A caller is offered to an agent for this long."},
	{"queue", "retry", OPT_TIME, OPT_RELOAD, AT(core.queue_retry_ms), RANGE(SEC, 10 * MINUTE),
		.unit = 1, .def = "5s",
		.meaning = "After an offer that nobody took the caller waits this long for the next."},
	{"queue", "max_wait", OPT_TIME, OPT_RELOAD, AT(core.queue_wait_ms), RANGE(SEC, 24 * HOUR),
		.unit = 1, .def = "30m",
		.meaning = "After this a caller leaves the queue for where it overflows to."},
	{"queue", "away_after", OPT_INT, OPT_RELOAD, AT(core.away_after), RANGE(0, 100), .unit = 1,
		.def = "3",
		.meaning = "An agent who leaves so many offers in a row unanswered is set away; 0: never."},
	{"queue", "code_available", OPT_NUMBER, OPT_RELOAD, AT(core.code_available), .def = "",
		.example = "*61",
		.meaning = "An agent who dials this takes calls again, and ends a wrap-up. The phone gets "
			   "480\n"
			   "with the answer as text, which most phones show."},
	{"queue", "code_away", OPT_NUMBER, OPT_RELOAD, AT(core.code_away), .def = "",
		.example = "*62",
		.meaning = "An agent who dials this goes away; digits dialled after it are the reason."},
	{"queue", "code_logout", OPT_NUMBER, OPT_RELOAD, AT(core.code_logout), .def = "",
		.example = "*63", .meaning = "An agent who dials this logs out."},
	{"queue", "withdraw_away", OPT_BOOL, OPT_RELOAD, AT(core.withdraw_away), .def = "false",
		.meaning = "An agent who goes away while an offer rings stops ringing; else that offer "
			   "goes on."},

	/* ---- media ---- */
	{"media", "engines", OPT_ENGINE, 0, LIST_AT(media.engine, media.nengine, MEDIA_ENGINES_MAX),
		.def = "", .example = "127.0.0.1:2223",
		.meaning = "Control addresses (listen-ng) of the rtpengines. A call stays with the "
			   "one that it\n"
			   "began with; one that does not answer is left out until it does."},
	{"media", "anchor", OPT_ANCHOR, OPT_RELOAD, AT(media.anchor), .def = "always",
		.meaning = "Whose audio runs through an engine: always, never, or that of calls "
			   "with a peer\n"
			   "that says anchor_media. Only what runs there can hear music."},
	{"media", "timeout", OPT_TIME, 0, AT(media.timeout_ms), RANGE(50, 5 * SEC), .unit = 1,
		.def = "300ms",
		.meaning = "An engine that has not answered within this is given up. Signalling "
			   "never waits longer\n"
			   "for it; without any engine calls go on, and the phones talk directly."},
	{"media", "ping", OPT_TIME, 0, AT(media.ping_ms), RANGE(100, MINUTE), .unit = 1,
		.def = "2s", .meaning = "Between two looks at each engine, dead or alive."},
	{"media", "music", OPT_PATH, OPT_RELOAD, AT(media.music_dir), .def = "/var/lib/segue/music",
		.meaning = "Directory of WAV files as the engines see it: default.wav for whoever "
			   "is held,\n"
			   "NAME.wav for queues that name their music, ringback.wav."},
	{"media", "music_uri", OPT_TEXT, OPT_RELOAD, AT(core.music_uri), .def = "",
		.example = "sip:music@pbx.example.com",
		.meaning = "SIP URI of a music server: whoever is held, or waits, and whose audio no "
			   "engine carries\n"
			   "hears what it plays (RFC 7088). A queue may name another in its column "
			   "music."},
	{"media", "record_users", OPT_NAMES, OPT_RELOAD,
		LIST_AT(core.record_user, core.nrecord_user, RECORD_MAX), .def = "",
		.example = "alice bob",
		.meaning = "Users whose calls are recorded; \"*\": everybody's. seguectl record decides "
			   "for one call."},
	{"media", "record_queues", OPT_NAMES, OPT_RELOAD,
		LIST_AT(core.record_queue, core.nrecord_queue, RECORD_MAX), .def = "",
		.example = "sales", .meaning = "Queues whose callers are recorded; \"*\": all."},
	{"media", "record_hold", OPT_BOOL, OPT_RELOAD, AT(core.record_hold), .def = "false",
		.meaning = "A recording runs on during holds and consultations; else it is paused."},
	{"media", "recordings", OPT_PATH, OPT_RELOAD, AT(core.record_dir),
		.def = "/var/lib/segue/recordings",
		.meaning = "Where the ledger says that recordings are: what contrib/recording-to-wav "
			   "makes of\n"
			   "the engines' captures (their recording-dir)."},
	{"media", "while_ringing", OPT_HEARS, OPT_RELOAD, AT(core.ring_hears), .def = "music",
		.meaning = "What a caller hears who is held while somebody rings for him: music or "
			   "ringback."},

	/* ---- ledger ---- */
	{"ledger", "database", OPT_TEXT, OPT_SECRET, AT(shipper.conninfo), .def = "dbname=segue",
		.meaning = "libpq connection string or URI."},
	{"ledger", "outbox", OPT_PATH, OPT_REQUIRED, AT(outbox), .def = "/var/lib/segue/outbox",
		.meaning = "Directory in which facts wait until PostgreSQL has them; created if "
			   "missing."},
	{"ledger", "outbox_size", OPT_SIZE, 0, AT(outbox_mb),
		RANGE(16 * (int64_t)MB, INT64_C(1) << 40), .unit = MB, .def = "1GB",
		.meaning = "Its bound on disk. When it is full, facts are lost, counted and shown; "
			   "calls go on."},
	{"ledger", "batch", OPT_INT, 0, AT(shipper.batch), RANGE(1, 10000), .unit = 1, .def = "500",
		.meaning = "Facts written in one transaction at most."},
	{"ledger", "linger", OPT_TIME, 0, AT(shipper.linger_ms), RANGE(0, SEC), .unit = 1,
		.def = "50ms", .meaning = "How long a batch waits to fill."},
	{"ledger", "retry", OPT_TIME, 0, AT(shipper.retry_ms), RANGE(100, MINUTE), .unit = 1,
		.def = "1s", .meaning = "Between two attempts to reach the database."},
	{"ledger", "grace", OPT_TIME, OPT_RELOAD, AT(ship_grace_ms), RANGE(0, MINUTE), .unit = 1,
		.def = "3s",
		.meaning = "At the end of the daemon: facts still shipped within this time; the "
			   "rest waits\n"
			   "in the outbox for the next start."},
	{"ledger", "directory_copy", OPT_PATH, 0, AT(directory_copy),
		.def = "/var/lib/segue/directory",
		.meaning = "File with the last good copy of the directory, used while the database "
			   "is away;\n"
			   "\"\" keeps none."},

	/* ---- control ---- */
	{"control", "socket", OPT_PATH, OPT_REQUIRED, AT(socket), .def = "/run/segue/segued.sock",
		.meaning = "Unix socket for seguectl."},
	{"control", "mode", OPT_MODE, 0, AT(socket_mode), .def = "0660",
		.meaning =
			"Its permissions: whoever may write to it may transfer and hang up calls."},
	{"control", "drain", OPT_TIME, OPT_RELOAD, AT(drain_ms), RANGE(0, MINUTE), .unit = 1,
		.def = "5s",
		.meaning = "On SIGTERM live calls are hung up; the daemon waits this long for "
			   "their ends."},
	{"control", "recover", OPT_BOOL, 0, AT(recover), .def = "true",
		.meaning = "After a crash or a kill live calls go on with the next segued that starts; "
			   "otherwise\n"
			   "that one hangs them up."},
	{"control", "keep_calls", OPT_BOOL, OPT_RELOAD, AT(keep_calls), .def = "false",
		.meaning = "SIGTERM leaves live calls as they are, for the next segued, which must not be "
			   "long in\n"
			   "coming; otherwise it hangs them up. Needs control.recover."},
	{"control", "node", OPT_INT, 0, AT(node), RANGE(0, 255), .unit = 1, .def = "0",
		.meaning = "Number of this segued where several share a database; part of every "
			   "call id."},
	{"control", "locate", OPT_TIME, 0, AT(core.locate_ms), RANGE(0, 10 * SEC), .unit = 1,
		.def = "0s", .example = "2s",
		.meaning = "With several nodes: so long the database is asked which of them has the "
			   "dialog that a\n"
			   "REFER replaces and that is not here; the other nodes see the dialogs of "
			   "this one. Each\n"
			   "is a peer with `node` of the others. 0s: nothing is shared, nothing is "
			   "asked."},

	/* ---- http ---- */
	{"http", "listen", OPT_HTTP, 0, LIST_AT(http.listen, http.nlisten, HTTP_LISTEN_MAX),
		.def = "", .example = "127.0.0.1:8080",
		.meaning = "Addresses and ports to listen on; none: no HTTP."},
	{"http", "tls_cert", OPT_PATH, 0, AT(http.tls_cert), .def = "",
		.example = "/etc/segue/cert.pem",
		.meaning = "Certificate chain (PEM). \"\": plain HTTP, for a proxy in front that does "
			   "TLS."},
	{"http", "tls_key", OPT_PATH, 0, AT(http.tls_key), .def = "",
		.example = "/etc/segue/key.pem", .meaning = "Its private key (PEM)."},
	{"http", "proxies", OPT_NET, 0, LIST_AT(http.proxies, http.nproxies, HTTP_PROXIES_MAX),
		.def = "", .example = "127.0.0.1",
		.meaning = "Addresses or networks of proxies in front: their X-Forwarded-For and\n"
			   "X-Forwarded-Proto are believed."},
	{"http", "panel_dir", OPT_PATH, OPT_RELOAD, AT(panel_dir), .def = "/usr/share/segue/panel",
		.meaning = "Directory of the panel's files; \"\" serves none."},
	{"http", "sessions", OPT_PATH, 0, AT(access.sessions), .def = "/var/lib/segue/sessions",
		.meaning = "File that carries logins over a restart; \"\" keeps none."},
	{"http", "answers", OPT_PATH, 0, AT(http_answers), .def = "/var/lib/segue/answers",
		.meaning = "File that carries the answers to requests with an Idempotency-Key over a "
			   "restart\n"
			   "(FILE.old beside it, 16 MB each at most); \"\" keeps none."},
	{"http", "access_copy", OPT_PATH, 0, AT(access.copy), .def = "/var/lib/segue/access",
		.meaning = "File with the last good copy of logins and tokens, used while the "
			   "database is\n"
			   "away; \"\" keeps none."},
	{"http", "session", OPT_TIME, OPT_RELOAD, AT(access.session_ms),
		RANGE(MINUTE, 20 * 24 * HOUR), .unit = 1, .def = "12h",
		.meaning = "A login ends when it was not used for so long."},
	{"http", "mask_agents", OPT_BOOL, OPT_RELOAD, AT(access.masked[VIEWER_AGENT]),
		.def = "false",
		.meaning = "Show agents the numbers of outside parties without their middle."},
	{"http", "mask_supervisors", OPT_BOOL, OPT_RELOAD, AT(access.masked[VIEWER_SUPERVISOR]),
		.def = "false", .meaning = "The same for supervisors."},
	{"http", "long_call", OPT_TIME, OPT_RELOAD, AT(access.long_call_ms), RANGE(SEC, 24 * HOUR),
		.unit = 1, .def = "15m",
		.meaning = "The panel marks people who have been on a call for longer."},
	{"http", "long_away", OPT_TIME, OPT_RELOAD, AT(access.long_away_ms), RANGE(SEC, 24 * HOUR),
		.unit = 1, .def = "30m", .meaning = "The same for those who are away."},
	{"http", "webhook_state", OPT_PATH, 0, AT(webhook_state),
		.def = "/var/lib/segue/webhooks",
		.meaning = "File with how far each webhook is; \"\" keeps none: then each begins with "
			   "what comes."},
	{"http", "events", OPT_INT, 0, AT(http_events), RANGE(1024, 1 << 20), .unit = 1, .def = "8192",
		.meaning = "Changes kept for a page that is behind or was away; one that is further "
			   "behind\n"
			   "begins anew."},
	{"http", "connections", OPT_INT, 0, AT(http.connections), RANGE(8, 100000), .unit = 1,
		.def = "4000", .meaning = "Connections at most; each page that is open needs one."},
	{"http", "connections_each", OPT_INT, 0, AT(http.connections_each), RANGE(1, 100000),
		.unit = 1, .def = "2000",
		.meaning = "Of these from one address at most; a proxy is one address."},
	{"http", "body", OPT_SIZE, 0, AT(http.body_max), RANGE(1 << 10, 16 * MB), .unit = 1,
		.def = "64KB", .meaning = "Largest body of a request; more is answered 413."},
	{"http", "request", OPT_TIME, 0, AT(http.request_ms), RANGE(SEC, 10 * MINUTE), .unit = 1,
		.def = "20s", .meaning = "A request that is not whole by then is cut off."},
	{"http", "idle", OPT_TIME, 0, AT(http.idle_ms), RANGE(SEC, HOUR), .unit = 1,
		.def = "60s", .meaning = "A connection on which nothing moves is closed after this."},
	{"http", "db_connections", OPT_INT, 0, AT(http_db_threads), RANGE(1, 8), .unit = 1,
		.def = "2", .meaning = "Connections to the database for history and reports."},
	{"http", "query", OPT_TIME, 0, AT(http_query_ms), RANGE(SEC, 10 * MINUTE), .unit = 1,
		.def = "20s", .meaning = "A question to the database that takes longer is given up."},

	/* ---- log ---- */
	{"log", "target", OPT_LOG_TARGET, OPT_RELOAD, AT(log_target), .def = "stderr",
		.meaning = "Where log lines go: stderr, syslog or none."},
	{"log", "level", OPT_LOG_LEVEL, OPT_RELOAD, AT(log_level), .def = "info",
		.meaning = "Least important line that is written: debug, info, notice, warn or "
			   "error."},

	/* ---- recorder ---- */
	{"recorder", "events", OPT_INT, 0, AT(recorder_events), RANGE(0, 1 << 20), .unit = 1,
		.def = "8192", .meaning = "Events kept in memory; 0 turns the recorder off."},
	{"recorder", "file", OPT_PATH, 0, AT(recorder_file), .def = "",
		.example = "/var/lib/segue/crash.rec",
		.meaning = "Where they are written if the daemon crashes; \"\" nowhere."},

	/* ---- peers ---- */
	{"peers", "name", OPT_NAME, OPT_REQUIRED | OPT_RELOAD, IN(struct sip_peer, name), .def = "",
		.example = "trunk", .meaning = "Its name in routes, in the log and in the ledger."},
	{"peers", "address", OPT_ADDRESS, OPT_REQUIRED | OPT_RELOAD,
		LIST_IN(struct sip_peer, address, naddress, SIP_PEER_ADDRS_MAX), .def = "",
		.example = "192.0.2.10:5060 192.0.2.11:5060;transport=tcp",
		.meaning = "Where calls to it go; the next one is tried when one does not answer."},
	{"peers", "match", OPT_NET, OPT_RELOAD,
		LIST_IN(struct sip_peer, match, nmatch, SIP_PEER_ADDRS_MAX), .def = "",
		.example = "192.0.2.0/24",
		.meaning = "Source addresses or networks it is recognised by; empty: the hosts of "
			   "`address`."},
	{"peers", "username", OPT_TEXT, OPT_RELOAD, IN(struct sip_peer, username), .def = "",
		.example = "segue", .meaning = "Name for a 401 or 407 challenge from it."},
	{"peers", "password", OPT_TEXT, OPT_RELOAD | OPT_SECRET, IN(struct sip_peer, password),
		.def = "", .example = "secret", .meaning = "Password for it; it is never logged."},
	{"peers", "trusted", OPT_BOOL, OPT_RELOAD, IN(struct sip_peer, trusted), .def = "false",
		.meaning = "Identities pass to it and are believed from it (RFC 3325)."},
	{"peers", "trust_case_id", OPT_BOOL, OPT_RELOAD, IN(struct sip_peer, trust_case_id),
		.def = "false",
		.meaning = "Its X-Case-ID header decides to which case a call belongs."},
	{"peers", "refer_mode", OPT_REFER_MODE, OPT_RELOAD, IN(struct sip_peer, policy.refer),
		.def = "reject",
		.meaning = "Who carries out a REFER in calls with it. reject: segue, but the peer's "
			   "own are\n"
			   "refused, which is right for a trunk. terminate: segue, whoever sends it. "
			   "transparent:\n"
			   "each side's REFERs are passed on to the other; segue does it if that one "
			   "cannot."},
	{"peers", "may_replace", OPT_BOOL, OPT_RELOAD, IN(struct sip_peer, may_replace),
		.def = "false",
		.meaning = "Its INVITE with Replaces may take over a call that it names."},
	{"peers", "node", OPT_INT, OPT_RELOAD, IN(struct sip_peer, policy.node), RANGE(0, 255),
		.unit = 1, .def = "0", .example = "2",
		.meaning = "It is the segued with this control.node, on the same database: it may "
			   "replace, and is\n"
			   "called for dialogs that it has. 0: it is none."},
	{"peers", "refer_progress", OPT_REFER_PROGRESS, OPT_RELOAD, IN(struct sip_peer, progress),
		.def = "real",
		.meaning = "What the NOTIFYs tell after its REFER: \"real\", how the transfer goes, "
			   "or \"immediate\",\n"
			   "200 at once, for phones behind it that hold the line until then."},
	{"peers", "immediate", OPT_BOOL, OPT_RELOAD, IN(struct sip_peer, immediate), .def = "false",
		.meaning = "The older word for refer_progress = \"immediate\"."},
	{"peers", "bye_policy", OPT_BYE, OPT_RELOAD, IN(struct sip_peer, bye), .def = "wait",
		.meaning = "Who ends its dialog after it has transferred a call: \"wait\" gives it "
			   "the time\n"
			   "transfer.bye to do so, \"now\" does it as soon as it knows that the "
			   "transfer is done."},
	{"peers", "caller_id", OPT_CALLER_ID, OPT_RELOAD, IN(struct sip_peer, policy.caller_id),
		.def = "caller",
		.meaning = "Whom it is shown as the caller of a call that is transferred to it: the "
			   "caller,\n"
			   "the transferor, or business, which is for first calls too."},
	{"peers", "business_number", OPT_NUMBER, OPT_RELOAD,
		IN(struct sip_peer, policy.business.number), .def = "", .example = "+49895550",
		.meaning = "The number that caller_id = \"business\" shows."},
	{"peers", "business_name", OPT_TEXT, OPT_RELOAD,
		IN(struct sip_peer, policy.business.name), .def = "", .example = "Example Ltd",
		.meaning = "And the name with it."},
	{"peers", "late_sdp", OPT_BOOL, OPT_RELOAD, IN(struct sip_peer, policy.late_sdp),
		.def = "false",
		.meaning = "Calls go to it without SDP, and it makes the offer (RFC 3725 flow I); "
			   "for machines that answer at once."},
	{"peers", "dtmf", OPT_DTMF, OPT_RELOAD, IN(struct sip_peer, policy.dtmf), .def = "auto",
		.meaning = "How keys are pressed for its menus (`digits` of segue.ivrs): \"rtp\", in "
			   "the audio by\n"
			   "the media engine (RFC 4733); \"info\", INFO with "
			   "application/dtmf-relay; \"auto\", the\n"
			   "audio, and INFO where no engine carries that."},
	{"peers", "early_media", OPT_BOOL, OPT_RELOAD, IN(struct sip_peer, policy.early_media),
		.def = "true",
		.meaning = "Its callers may wait in early media where a queue says entry = early; "
			   "false: they are\n"
			   "answered, since it would not let them hear the music, or not for long."},
	{"peers", "diversion", OPT_DIVERSION, OPT_RELOAD, IN(struct sip_peer, diversion),
		.def = "none",
		.meaning = "How it is told who transferred a call to it: none, diversion (RFC 5806) "
			   "or\n"
			   "history_info (RFC 7044)."},
	{"peers", "verbatim_referral", OPT_BOOL, OPT_RELOAD,
		IN(struct sip_peer, verbatim_referral), .def = "false",
		.meaning = "A call that is transferred to it asks for the URI of the Refer-To "
			   "with all\n"
			   "its parameters, whatever number the dial plan makes of it; for platforms "
			   "that\n"
			   "find their own calls by them."},
	{"peers", "anchor_media", OPT_BOOL, OPT_RELOAD, IN(struct sip_peer, anchor_media),
		.def = "false",
		.meaning = "Its audio runs through a media engine where media.anchor is \"peer\"."},
	{"peers", "failover", OPT_TIME, OPT_RELOAD, IN(struct sip_peer, failover_ms),
		RANGE(100, 32 * SEC), .unit = 1, .def = "3s",
		.meaning = "No response at all for this long: the next address is tried."},

	/* ---- devices ---- */
	{"devices", "user_agent", OPT_TEXT, OPT_REQUIRED | OPT_RELOAD,
		IN(struct sip_device, user_agent), .def = "", .example = "snom",
		.meaning = "Beginning of the User-Agent header; case does not matter."},
	{"devices", "refer_progress", OPT_REFER_PROGRESS, OPT_RELOAD,
		IN(struct sip_device, progress), .def = "real",
		.meaning = "As for a peer: \"real\", or \"immediate\" for phones that hold the line "
			   "until NOTIFY 200.\n"
			   "The ledger tells the truth."},
	{"devices", "immediate", OPT_BOOL, OPT_RELOAD, IN(struct sip_device, immediate),
		.def = "false", .meaning = "The older word for refer_progress = \"immediate\"."},
	{"devices", "bye_policy", OPT_BYE, OPT_RELOAD, IN(struct sip_device, bye), .def = "wait",
		.meaning = "As for a peer: \"wait\" or \"now\"."},
	{"devices", "md5_only", OPT_BOOL, OPT_RELOAD, IN(struct sip_device, md5_only),
		.def = "false",
		.meaning = "Ask it for an MD5 digest alone: it gives up where SHA-256 is offered "
			   "as well.\n"
			   "baresip 1 is known to, and need not be named."},

	/* ---- webhooks ---- */
	{"webhooks", "name", OPT_NAME, OPT_REQUIRED, IN(struct webhook_config, name), .def = "",
		.example = "crm", .meaning = "Its name in the log and in the figures."},
	{"webhooks", "url", OPT_URL, OPT_REQUIRED, IN(struct webhook_config, url), .def = "",
		.example = "https://crm.example.com/segue", .meaning = "Where facts are posted."},
	{"webhooks", "secret", OPT_TEXT, OPT_REQUIRED | OPT_SECRET,
		IN(struct webhook_config, secret), .def = "", .example = "long and random",
		.meaning = "Key of the signature (HMAC-SHA256), known to both."},
	{"webhooks", "facts", OPT_FACT, 0,
		LIST_IN(struct webhook_config, facts, nfacts, WEBHOOK_FACTS_MAX), .def = "",
		.example = "conversation_opened transfer_closed",
		.meaning = "Types of facts that it gets; empty: all."},

	/* ---- routes ---- */
	{"routes", "pattern", OPT_PATTERN, OPT_REQUIRED | OPT_RELOAD, IN(struct route, pattern),
		.def = "", .example = "0Z.",
		.meaning = "Matched against the whole number: X is any digit, Z 1-9, N 2-9, [1-5] "
			   "one of a\n"
			   "set, a last . one or more of anything, a last ! none or more; the rest "
			   "is itself."},
	{"routes", "kind", OPT_KIND, OPT_REQUIRED | OPT_RELOAD, IN(struct route, kind),
		.def = "none", .example = "external",
		.meaning = "What it leads to: user, queue, ivr, external (a peer), voicemail (a "
			   "peer that has\n"
			   "mailboxes), or none to refuse the call."},
	{"routes", "target", OPT_NAME, OPT_RELOAD, IN(struct route, target), .def = "",
		.example = "trunk",
		.meaning = "Name of the user, queue, IVR or peer; kind ivr with a peer leads to any "
			   "menu there.\n"
			   "Empty: the rewritten number is looked up."},
	{"routes", "failover", OPT_NAME, OPT_RELOAD,
		LIST_IN(struct route, failover, nfailover, ROUTE_PEERS_MAX), .def = "",
		.example = "trunk",
		.meaning = "Peers that are tried next, in order, when the one before them fails (see "
			   "call.failover)."},
	{"routes", "strip", OPT_INT, OPT_RELOAD, IN(struct route, strip), RANGE(0, NUM_MAX - 1),
		.unit = 1, .def = "0", .example = "1", .meaning = "Characters cut off the front."},
	{"routes", "prefix", OPT_NUMBER, OPT_RELOAD, IN(struct route, prefix), .def = "",
		.example = "+49", .meaning = "Put before what is left."},
	{"routes", "source", OPT_NAME, OPT_RELOAD, IN(struct route, source), .def = "",
		.example = "users",
		.meaning =
			"Only for calls from this peer, or from \"users\". Empty: from anybody."},
	{"routes", "transfer", OPT_BOOL, OPT_RELOAD, IN(struct route, transfer), .def = "false",
		.example = "true", .meaning = "Calls may also be transferred to it."},
	{"routes", "examples", OPT_EXAMPLE, OPT_RELOAD, .list_max = 64, .def = "",
		.example = "0891234->external:trunk/+49891234",
		.meaning = "NUMBER->KIND:TARGET/NUMBER, checked by `segued --check`: what the left "
			   "number\n"
			   "must become by this route. :TARGET and /NUMBER may be left out."},
};
const unsigned options_count = sizeof(options) / sizeof(options[0]);

/* ---- finding ------------------------------------------------------------------------------- */

const struct section *section_find(const char *name)
{
	for (unsigned i = 0; i < sections_count; i++)
		if (str_eq(sections[i].name, name))
			return &sections[i];
	return NULL;
}

const struct option *option_find(const char *section, const char *name)
{
	for (unsigned i = 0; i < options_count; i++)
		if (str_eq(options[i].section, section) && str_eq(options[i].name, name))
			return &options[i];
	return NULL;
}

#define WORD_MAX 40

/* Levenshtein distance of two short words; WORD_MAX when one is too long to be a typing error. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[WORD_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = diagonal + (tolower((unsigned char)a[i - 1]) != b[j - 1]);

			diagonal = row[j];
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j] = best;
		}
	}
	return row[m];
}

/* Near enough to be meant: a third of the letters may differ. */
static bool nearer(const char *wrong, const char *right, unsigned *best)
{
	unsigned d = distance(wrong, right);

	if (d > 1 + strlen(right) / 3 || d >= *best)
		return false;
	*best = d;
	return true;
}

const char *section_suggest(const char *name)
{
	unsigned best = WORD_MAX;
	const char *found = NULL;

	for (unsigned i = 0; i < sections_count; i++)
		if (nearer(name, sections[i].name, &best))
			found = sections[i].name;
	return found;
}

const char *option_suggest(const char *section, const char *name)
{
	unsigned best = WORD_MAX;
	const char *found = NULL;

	for (unsigned i = 0; i < options_count; i++)
		if (str_eq(options[i].section, section) && nearer(name, options[i].name, &best))
			found = options[i].name;
	return found;
}

/* ---- text to value ------------------------------------------------------------------------- */

/* Reads "20s", "1500ms", "5m", "1h" into milliseconds. */
static int parse_time(const char *text, int64_t *ms)
{
	static const struct {
		const char *suffix;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", SEC}, {"m", MINUTE}, {"h", HOUR}};
	char *end;
	long long v;

	if (!isdigit((unsigned char)text[0]) || strlen(text) > 12)
		return EINVAL;
	v = strtoll(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_eq(end, units[i].suffix)) {
			*ms = v * units[i].ms;
			return 0;
		}
	return EINVAL;
}

/* Reads "64KB", "4MB", "1GB" into bytes. */
static int parse_size(const char *text, int64_t *bytes)
{
	static const struct {
		const char *suffix;
		int64_t bytes;
	} units[] = {{"KB", 1 << 10}, {"MB", MB}, {"GB", 1 << 30}};
	char *end;
	long long v;

	if (!isdigit((unsigned char)text[0]) || strlen(text) > 9)
		return EINVAL;
	v = strtoll(text, &end, 10);
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_eq(end, units[i].suffix)) {
			*bytes = v * units[i].bytes;
			return 0;
		}
	return EINVAL;
}

static int parse_int(const char *text, int64_t *v)
{
	char *end;

	errno = 0;
	*v = strtoll(text, &end, 10);
	return *text == '\0' || isspace((unsigned char)*text) || *end != '\0' || errno ? EINVAL : 0;
}

static bool only(const char *text, const char *extra)
{
	for (const char *s = text; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr(extra, *s) == NULL)
			return false;
	return text[0] != '\0';
}

static bool is_ip(const char *text, int family)
{
	unsigned char addr[16];

	return inet_pton(family, text, addr) == 1;
}

static bool is_port(const char *text)
{
	int64_t v;

	return isdigit((unsigned char)text[0]) && parse_int(text, &v) == 0 && v > 0 && v < 65536;
}

/* Splits "HOST[:PORT]", "[V6][:PORT]" in place; *port is NULL if there is none. */
static int split_host(char *text, char **host, char **port, bool *v6)
{
	char *end;

	*v6 = text[0] == '[';
	*host = *v6 ? text + 1 : text;
	end = strchr(*host, *v6 ? ']' : ':');
	*port = NULL;
	if (*v6 && end == NULL)
		return EINVAL;
	if (*v6)
		*end++ = '\0';
	if (end == NULL || *end == '\0')
		return 0;
	if (*end != ':' || !is_port(end + 1))
		return EINVAL;
	*end = '\0';
	*port = end + 1;
	return 0;
}

static int check_listen(const char *text)
{
	char copy[128], *host, *port;
	bool v6;

	if (!str_set(copy, text) || (!str_starts(copy, "udp:") && !str_starts(copy, "tcp:")))
		return EINVAL;
	if (split_host(copy + 4, &host, &port, &v6) || port == NULL)
		return EINVAL;
	return is_ip(host, v6 ? AF_INET6 : AF_INET) ? 0 : EINVAL;
}

static int check_http(const char *text)
{
	char copy[HTTP_ADDRESS_MAX], *host, *port;
	bool v6;

	if (!str_set(copy, text) || split_host(copy, &host, &port, &v6) || port == NULL)
		return EINVAL;
	return is_ip(host, v6 ? AF_INET6 : AF_INET) ? 0 : EINVAL;
}

static int check_url(const char *text)
{
	if (!str_starts(text, "https://") && !str_starts(text, "http://"))
		return EINVAL;
	return strpbrk(text, " \t\"<>") == NULL ? 0 : EINVAL;
}

static int check_fact(const char *text)
{
	for (int i = 0; i < fact_type_count_; i++)
		if (str_eq(fact_describe((enum fact_type)i)->name, text))
			return 0;
	return EINVAL;
}

static int check_address(const char *text)
{
	char copy[128], *host, *port, *param;
	bool v6;

	if (!str_set(copy, text))
		return EINVAL;
	param = strchr(copy, ';');
	if (param != NULL) {
		if (!str_eq(param, ";transport=tcp") && !str_eq(param, ";transport=udp"))
			return EINVAL;
		*param = '\0';
	}
	if (split_host(copy, &host, &port, &v6))
		return EINVAL;
	return (v6 ? is_ip(host, AF_INET6) : only(host, "-.")) ? 0 : EINVAL;
}

static int check_engine(const char *text)
{
	char copy[MEDIA_ENGINE_LEN], *host, *port;
	bool v6;

	if (!str_set(copy, text) || split_host(copy, &host, &port, &v6) || port == NULL)
		return EINVAL;
	return is_ip(host, v6 ? AF_INET6 : AF_INET) ? 0 : EINVAL;
}

static int check_net(const char *text)
{
	char copy[64], *slash;
	bool v6 = strchr(text, ':') != NULL;
	int64_t bits = 0;

	if (!str_set(copy, text))
		return EINVAL;
	slash = strchr(copy, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (!isdigit((unsigned char)slash[1]) || parse_int(slash + 1, &bits) ||
			bits > (v6 ? 128 : 32))
			return EINVAL;
	}
	return is_ip(copy, v6 ? AF_INET6 : AF_INET) ? 0 : EINVAL;
}

static int parse_mode(const char *text, int64_t *mode)
{
	char *end;

	if (strlen(text) != 4 || text[0] != '0')
		return EINVAL;
	*mode = strtol(text, &end, 8);
	return *end == '\0' && *mode <= 0777 ? 0 : EINVAL;
}

static int parse_anchor(const char *text, int64_t *v)
{
	*v = anchoring_parse(text);
	return *v < 0 ? EINVAL : 0;
}

static int parse_hears(const char *text, int64_t *v)
{
	*v = hears_parse(text);
	return *v != HEARS_MUSIC && *v != HEARS_RINGBACK ? EINVAL : 0;
}

static int parse_kind(const char *text, int64_t *kind)
{
	*kind = target_kind_parse(text);
	return *kind < 0 ? EINVAL : 0;
}

/* NUMBER->KIND[:TARGET][/NUMBER]; what it says is checked with the whole dial plan, later. */
static int check_example(const char *text)
{
	const char *arrow = strstr(text, "->");

	return arrow != NULL && arrow > text && arrow[2] != '\0' && strlen(text) < 3 * NUM_MAX
		       ? 0
		       : EINVAL;
}

static int store_int(const struct option *o, int64_t v, void *dst)
{
	switch (o->size) {
	case 1:
		*(bool *)dst = v != 0;
		return 0;
	case 2:
		*(uint16_t *)dst = (uint16_t)v;
		return 0;
	case 4:
		*(uint32_t *)dst = (uint32_t)v;
		return 0;
	case 8:
		*(int64_t *)dst = v;
		return 0;
	}
	return EINVAL;
}

/* One row for each option_type: what it is called, what is expected of it, how it is read. Exactly
 * one of the readers is set: number gives an integer, check only looks at the text. */
static const struct type_row {
	const char *expected; /* of RANGE types: without the range */
	int file_type;
	int (*number)(const char *text, int64_t *v);
	int (*check)(const char *text);
} types[OPT_TYPES_] = {
	[OPT_TEXT] = {"some text", CONFIG_TYPE_STRING},
	[OPT_NAME] = {"a name of letters, digits and - . _", CONFIG_TYPE_STRING},
	[OPT_NAMES] = {"a name of letters, digits and - . _ +, or *", CONFIG_TYPE_STRING},
	[OPT_NUMBER] = {"a number of digits, + * #", CONFIG_TYPE_STRING},
	[OPT_INT] = {"a number", CONFIG_TYPE_INT, .number = parse_int},
	[OPT_BOOL] = {"true or false", CONFIG_TYPE_BOOL},
	[OPT_TIME] = {"a time such as 20s or 1500ms", CONFIG_TYPE_STRING, .number = parse_time},
	[OPT_SIZE] = {"a size such as 64KB or 4MB", CONFIG_TYPE_STRING, .number = parse_size},
	[OPT_MODE] = {"octal permissions such as 0660", CONFIG_TYPE_STRING, .number = parse_mode},
	[OPT_PATH] = {"an absolute path", CONFIG_TYPE_STRING},
	[OPT_LISTEN] = {"udp or tcp, an IP address and a port, such as udp:127.0.0.1:5060 or "
			"tcp:[::1]:5060",
		CONFIG_TYPE_STRING, .check = check_listen},
	[OPT_HTTP] = {"an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080",
		CONFIG_TYPE_STRING, .check = check_http},
	[OPT_URL] = {"a URL that begins with https:// or http://", CONFIG_TYPE_STRING,
		.check = check_url},
	[OPT_FACT] = {"the name of a type of fact such as transfer_closed", CONFIG_TYPE_STRING,
		.check = check_fact},
	[OPT_HOST] = {"a host name or an IP address", CONFIG_TYPE_STRING},
	[OPT_ADDRESS] = {"HOST, HOST:PORT or [V6]:PORT, with ;transport=tcp after it for TCP",
		CONFIG_TYPE_STRING, .check = check_address},
	[OPT_NET] = {"an IP address, or a network such as 192.0.2.0/24 or 2001:db8::/32",
		CONFIG_TYPE_STRING, .check = check_net},
	[OPT_PATTERN] = {"a dial plan pattern such as 0Z. or 10XX", CONFIG_TYPE_STRING},
	[OPT_KIND] = {"user, queue, ivr, external, voicemail or none", CONFIG_TYPE_STRING,
		.number = parse_kind},
	[OPT_ENGINE] = {"an IP address and a port, such as 127.0.0.1:2223 or [::1]:2223",
		CONFIG_TYPE_STRING, .check = check_engine},
	[OPT_ANCHOR] = {"never, peer or always", CONFIG_TYPE_STRING, .number = parse_anchor},
	[OPT_HEARS] = {"music or ringback", CONFIG_TYPE_STRING, .number = parse_hears},
	[OPT_FALLBACK] = {"recall, user:NAME, queue:NAME, voicemail, announce:NUMBER or hangup, with "
			 "?CAUSE,... after it",
		CONFIG_TYPE_STRING},
	[OPT_LOG_TARGET] = {"stderr, syslog or none", CONFIG_TYPE_STRING},
	[OPT_LOG_LEVEL] = {"debug, info, notice, warn or error", CONFIG_TYPE_STRING},
	[OPT_BYE] = {"wait or now", CONFIG_TYPE_STRING},
	[OPT_DTMF] = {"auto, rtp or info", CONFIG_TYPE_STRING},
	[OPT_REFER_PROGRESS] = {"real or immediate", CONFIG_TYPE_STRING},
	[OPT_REFER_MODE] = {"reject, terminate or transparent", CONFIG_TYPE_STRING},
	[OPT_CALLER_ID] = {"caller, transferor or business", CONFIG_TYPE_STRING},
	[OPT_DIVERSION] = {"none, diversion or history_info", CONFIG_TYPE_STRING},
	[OPT_EXAMPLE] = {"NUMBER->KIND:TARGET/NUMBER such as 1001->user/1001", CONFIG_TYPE_STRING,
		.check = check_example},
};

int option_file_type(const struct option *o)
{
	return types[o->type].file_type;
}

/* "20s" rather than "20000ms". */
static void print_time(int64_t ms, char *buf, size_t size)
{
	if (ms != 0 && ms % HOUR == 0)
		snprintf(buf, size, "%dh", (int)(ms / HOUR));
	else if (ms != 0 && ms % MINUTE == 0)
		snprintf(buf, size, "%dm", (int)(ms / MINUTE));
	else if (ms % SEC == 0)
		snprintf(buf, size, "%ds", (int)(ms / SEC));
	else
		snprintf(buf, size, "%dms", (int)ms);
}

static void print_size(int64_t bytes, char *buf, size_t size)
{
	if (bytes % (1 << 30) == 0)
		snprintf(buf, size, "%dGB", (int)(bytes >> 30));
	else if (bytes % MB == 0)
		snprintf(buf, size, "%dMB", (int)(bytes >> 20));
	else
		snprintf(buf, size, "%dKB", (int)(bytes >> 10));
}

static void print_range(const struct option *o, char *buf, size_t size)
{
	char lo[24], hi[24];

	if (o->type == OPT_TIME) {
		print_time(o->min, lo, sizeof(lo));
		print_time(o->max, hi, sizeof(hi));
	} else if (o->type == OPT_SIZE) {
		print_size(o->min, lo, sizeof(lo));
		print_size(o->max, hi, sizeof(hi));
	} else {
		snprintf(lo, sizeof(lo), "%lld", (long long)o->min);
		snprintf(hi, sizeof(hi), "%lld", (long long)o->max);
	}
	snprintf(buf, size, " from %s to %s", lo, hi);
}

void option_expected(const struct option *o, char *buf, size_t size)
{
	char range[64] = "";

	if (o->unit != 0)
		print_range(o, range, sizeof(range));
	snprintf(buf, size, "%s%s", types[o->type].expected, range);
}

static int parse_numeric(
	const struct option *o, const char *text, void *dst, char *err, size_t size)
{
	char range[64];
	int64_t v;

	if (types[o->type].number(text, &v)) {
		snprintf(err, size, "expected %s", types[o->type].expected);
		return EINVAL;
	}
	if (o->unit != 0 && (v < o->min || v > o->max)) {
		print_range(o, range, sizeof(range));
		snprintf(err, size, "expected %s%s", types[o->type].expected, range);
		return EINVAL;
	}
	if (o->unit > 1 && v % o->unit != 0) {
		snprintf(err, size, "expected whole %s", o->type == OPT_TIME ? "seconds" : "MB");
		return EINVAL;
	}
	return store_int(o, o->unit > 1 ? v / o->unit : v, dst);
}

/* Whether the text is well formed for its type; err is filled if the type has more to say. */
static int check_text(const struct option *o, const char *text, char *err, size_t size)
{
	if (text[0] == '\0')
		return (o->flags & OPT_REQUIRED) || o->list_max ? EINVAL : 0;
	for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++)
		if (*s < 0x20 || *s == 0x7f) {
			snprintf(err, size, "expected no control characters");
			return EINVAL;
		}
	switch (o->type) {
	case OPT_NAME:
		return only(text, "-_.") ? 0 : EINVAL;
	case OPT_NAMES:
		return str_eq(text, "*") || only(text, "-_.+") ? 0 : EINVAL;
	case OPT_NUMBER:
		return text[strspn(text, "0123456789+*#")] == '\0' ? 0 : EINVAL;
	case OPT_HOST:
		return only(text, "-.") || is_ip(text, AF_INET6) ? 0 : EINVAL;
	case OPT_PATH:
		return text[0] == '/' ? 0 : EINVAL;
	case OPT_PATTERN:
		return dialplan_pattern_check(text, err, size);
	default:
		return types[o->type].check ? types[o->type].check(text) : 0;
	}
}

static int parse_text(const struct option *o, const char *text, void *dst, char *err, size_t size)
{
	err[0] = '\0';
	if (check_text(o, text, err, size)) {
		if (err[0] == '\0')
			snprintf(err, size, "expected %s", types[o->type].expected);
		return EINVAL;
	}
	if (o->type == OPT_EXAMPLE)
		return 0;
	memset(dst, 0, o->size);
	if (!str_copy(dst, o->size, text)) {
		snprintf(err, size, "expected at most %zu characters", o->size - 1);
		return EINVAL;
	}
	return 0;
}

static int parse_word(const struct option *o, int value, void *dst, char *err, size_t size)
{
	if (value < 0) {
		snprintf(err, size, "expected %s", types[o->type].expected);
		return EINVAL;
	}
	return store_int(o, value, dst);
}

/* A step of a chain. If only what follows the `?' is wrong, that is what the message is about. */
static int parse_fallback(const struct option *o, const char *text, void *dst, char *err, size_t size)
{
	const char *mark = strchr(text, '?');
	struct fallback step;
	char head[256];
	size_t n;

	memset(dst, 0, o->size);
	if (fallback_parse(text, dst) == 0)
		return 0;
	memset(dst, 0, o->size);
	if (mark == NULL || !str_copy_n(head, sizeof(head), text, (size_t)(mark - text)) ||
		fallback_parse(head, &step))
		return parse_word(o, -1, dst, err, size);
	n = (size_t)snprintf(err, size, "expected after `?' one or more, with commas between, of");
	for (int i = 1; i < cause_count_ && n < size; i++)
		n += (size_t)snprintf(err + n, size - n, "%s %s", i > 1 ? "," : "", cause_name(i));
	return EINVAL;
}

int option_parse(const struct option *o, const char *text, void *dst, char *err, size_t size)
{
	switch (o->type) {
	case OPT_BOOL:
		return parse_word(o,
			str_eq(text, "true")	? 1
			: str_eq(text, "false") ? 0
						: -1,
			dst, err, size);
	case OPT_LOG_TARGET:
		return parse_word(o, log_target_parse(text), dst, err, size);
	case OPT_LOG_LEVEL:
		return parse_word(o, log_level_parse(text), dst, err, size);
	case OPT_BYE:
		return parse_word(o, bye_policy_parse(text), dst, err, size);
	case OPT_DTMF:
		return parse_word(o, dtmf_parse(text), dst, err, size);
	case OPT_REFER_PROGRESS:
		return parse_word(o, refer_progress_parse(text), dst, err, size);
	case OPT_REFER_MODE:
		return parse_word(o, refer_mode_parse(text), dst, err, size);
	case OPT_CALLER_ID:
		return parse_word(o, caller_id_parse(text), dst, err, size);
	case OPT_DIVERSION:
		return parse_word(o, diversion_parse(text), dst, err, size);
	case OPT_FALLBACK:
		return parse_fallback(o, text, dst, err, size);
	default:
		return types[o->type].number ? parse_numeric(o, text, dst, err, size)
					     : parse_text(o, text, dst, err, size);
	}
}

/* ---- defaults ------------------------------------------------------------------------------ */

static void set_default(const struct option *o, char *base)
{
	char copy[256], err[256], *save, *word;
	unsigned n = 0;

	if (o->type == OPT_EXAMPLE)
		return;
	if (o->list_max == 0) {
		if (o->def[0] != '\0' &&
			option_parse(o, o->def, base + o->offset, err, sizeof(err)))
			abort(); /* the table contradicts itself */
		return;
	}
	str_set(copy, o->def);
	for (word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		if (option_parse(o, word, base + o->offset + n++ * o->size, err, sizeof(err)))
			abort();
	*(unsigned *)(base + o->count_offset) = n;
}

static void set_section_default(const struct section *s, void *base)
{
	for (unsigned i = 0; i < options_count; i++)
		if (str_eq(options[i].section, s->name))
			set_default(&options[i], base);
}

void options_default(struct app_config *cfg)
{
	for (unsigned i = 0; i < sections_count; i++)
		if (sections[i].list_max == 0)
			set_section_default(&sections[i], cfg);
}

void options_default_element(const struct section *s, void *element)
{
	set_section_default(s, element);
}
