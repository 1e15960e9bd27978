/*
 * unit: what the panel computes without a browser: the store, durations, sentences, what is shown of
 * a call, and where the bars of a drawn conversation go.
 */
import { test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

const SRC = new URL("../../src/panel/", import.meta.url);
const load = name => import(new URL(name, SRC));

const { store_new, store_snapshot, store_change } = await load("store.js");
const { clock, span, exact, coming, time_set, time_now, time_stop, time_go } = await load("time.js");
const words = await load("words.js");
const model = await load("model.js");
const { heard } = model;
const { score_layout, ticks, zoom, pan, missed } = await load("score.js");

const T0 = Date.parse("2026-11-21T14:00:00.000Z");
const at = s => new Date(T0 + 1000 * s).toISOString();

function call(id, more = {}) {
	return {
		id,
		conversation: `c-${id}`,
		kind: "inbound",
		state: "talking",
		table_state: "TALK",
		interval: "talking",
		customer: { name: "Harbour Dental", number: "+12025550143" },
		with: { user: "carol", name: "Carol Diaz", number: "103" },
		started_at: at(0),
		since: at(8),
		queue: null,
		department: null,
		transfer: null,
		recording: "off",
		case: null,
		parties: [
			{
				role: "owner",
				user: "carol",
				name: "Carol Diaz",
				state: "up",
				direction: "out",
			},
		],
		can: { transfer: true, cancel: "no_transfer", hangup: true },
		...more,
	};
}

const transfer = more => ({
	id: "x1",
	call: "1.1",
	kind: "blind",
	via: "panel",
	asker: "sam",
	stage: "ringing",
	outcome: null,
	cause: null,
	sip_status: 0,
	target: { kind: "user", name: "bob", number: "102" },
	asked_at: at(60),
	ringing_at: at(61),
	ended_at: null,
	next: null,
	...more,
});

/* ---- store ------------------------------------------------------------------------------------- */

test("a snapshot keeps the objects that did not change, and counts those that did", () => {
	const a = store_snapshot(store_new(), {
		calls: [call("1.1"), call("2.1")],
		agents: [],
		queues: [],
	});
	const b = store_snapshot(a, {
		calls: [call("1.1"), call("2.1", { state: "held" }), call("3.1")],
		agents: [],
		queues: [],
	});
	assert.equal(a.calls.get("1.1"), b.calls.get("1.1"));
	assert.notEqual(a.calls.get("2.1"), b.calls.get("2.1"));
	assert.equal(b.changes - a.changes, 2);
	const c = store_snapshot(b, { calls: [call("3.1")], agents: [], queues: [] });
	assert.deepEqual([...c.calls.keys()], ["3.1"]);
	assert.equal(c.changes - b.changes, 2);
});

test("changes replace rows by id and leave the old state alone", () => {
	const a = store_snapshot(store_new(), {
		calls: [call("1.1")],
		agents: [{ user: "bob", state: "free" }],
		queues: [],
	});
	const b = store_change(
		a,
		"call",
		call("1.1", { state: "transferring", transfer: transfer() }),
	);
	assert.equal(a.calls.get("1.1").state, "talking");
	assert.equal(b.calls.get("1.1").state, "transferring");
	assert.equal(b.transfers.get("x1").stage, "ringing");
	assert.equal(b.agents, a.agents, "what is not about agents leaves them alone");
	const c = store_change(b, "call_gone", { id: "1.1" });
	assert.equal(c.calls.size, 0);
	assert.equal(c.transfers.size, 1, "how a transfer ended outlives its call");
	assert.equal(store_change(c, "call_gone", { id: "1.1" }), c);
	assert.equal(store_change(c, "news", {}), c, "an event of a newer server changes nothing");
	assert.equal(store_change(b, "call", call("1.1", { state: "ended" })).calls.size, 0);
});

test("of transfers that are over only the latest stay", () => {
	let s = store_new();
	for (let i = 0; i < 400; i++)
		s = store_change(s, "transfer", transfer({ id: `t${i}`, outcome: "failed" }));
	s = store_change(s, "transfer", transfer({ id: "runs" }));
	assert.ok(
		s.transfers.size <= 202 &&
			s.transfers.has("runs") &&
			s.transfers.has("t399") &&
			!s.transfers.has("t0"),
	);
});

/* ---- time -------------------------------------------------------------------------------------- */

test("durations in columns, in sentences, and to the millisecond", () => {
	assert.equal(clock(421000), "07:01");
	assert.equal(clock(4027999), "1:07:07");
	assert.equal(span(421000), "7:01");
	assert.equal(span(7000), "0:07");
	assert.equal(span(-5), "0:00");
	assert.equal(exact(64007), "1:04.007");
});

test("the server's clock runs on, stops when the connection is lost, and catches up", () => {
	time_set(T0);
	assert.ok(Math.abs(time_now() - T0) < 1000);
	const then = time_stop();
	assert.equal(time_now(), then);
	time_go();
	time_set(T0 + 60000);
	assert.ok(time_now() >= T0 + 60000);
	time_set(T0 + 48000);
	assert.ok(time_now() >= T0 + 60000, "a message that was read late does not set the clock back");
});

test("when something will be: the hour today, the day within a week, else the date", () => {
	const now = new Date(2026, 10, 21, 14, 0).getTime();
	const then = (...at) => coming(new Date(2026, ...at).getTime(), now);
	assert.equal(then(10, 21, 20, 0), "20:00");
	assert.equal(then(10, 22, 0, 0), "Sun 00:00");
	assert.equal(then(10, 23, 8, 0), "Mon 08:00");
	assert.equal(then(10, 28, 8, 0), "28 Nov 08:00", "no Saturday that could be this one");
	assert.equal(then(11, 24, 8, 30), "24 Dec 08:30");
});

test("when something will be, for somebody in another time zone: what the clocks say there as well", () => {
	const now = Date.parse("2026-11-21T14:00:00Z"),
		at = (time, zone) => coming(Date.parse(`2026-11-${time}:00Z`), now, zone);
	const here = Intl.DateTimeFormat().resolvedOptions().timeZone,
		far = here === "Asia/Tokyo" ? "America/New_York" : "Asia/Tokyo";
	assert.ok(!at("23T07:00", here).includes("("), "the reader's own is not named");
	assert.ok(!at("23T07:00", undefined).includes("("), "nor is one that is not known");
	assert.match(at("23T07:00", far), far === "Asia/Tokyo" ? / \((Mon )?16:00 in Tokyo\)$/ : / \((Mon )?02:00 in New York\)$/);
	assert.match(at("23T20:00", far), far === "Asia/Tokyo" ? / \((Tue )?05:00 in Tokyo\)$/ : / \((Mon )?15:00 in New York\)$/);
	assert.match(at("23T07:00", "Mars/Olympus"), /another time/);
});

test("a name that is written from right to left moves no figure beside it", () => {
	assert.equal(words.isolated("Priya Raman"), "Priya Raman");
	assert.equal(words.isolated("\u05e9\u05d9\u05e8\u05d4"), "\u2068\u05e9\u05d9\u05e8\u05d4\u2069");
	assert.equal(words.first(words.isolated("\u05e9\u05d9\u05e8\u05d4 \u05db\u05d4\u05df")), "\u2068\u05e9\u05d9\u05e8\u05d4\u2069");
});

test("a queue that is closed says when it opens, if that is known", () => {
	assert.equal(words.unavailable("closed", { opens: "Mon 08:00" }), "Closed, opens Mon 08:00");
	assert.equal(words.unavailable("closed", { opens: null }), "Closed");
});

/* ---- words ------------------------------------------------------------------------------------- */

const X = {
	customer: "Harbour Dental",
	owner: "Carol Diaz",
	target: "Bob Meyer",
	target_kind: "user",
	stage: "ringing",
	owner_left: false,
};

test("each stage says who hears whom", () => {
	const say = more => words.stage_sentence({ ...X, ...more });
	assert.equal(
		say({}),
		"Bob’s phone is ringing. Harbour Dental hears music; Carol is still on the line.",
	);
	assert.equal(
		say({ stage: "consulting" }),
		"Carol and Bob are talking. Harbour Dental hears music.",
	);
	assert.equal(
		say({ stage: "swapped" }),
		"Carol is talking with Harbour Dental. Bob is on hold.",
	);
	assert.equal(say({ stage: "joining" }), "Bob answered. Connecting Harbour Dental.");
	assert.equal(
		say({ owner_left: true }),
		"Carol has gone. Harbour Dental hears music while Bob’s phone rings.",
	);
	assert.equal(
		say({
			stage: "queued",
			target: "Sales",
			target_kind: "queue",
			position: 2,
			estimate: 40000,
			owner_left: true,
		}),
		"Harbour Dental waits in Sales, 2nd in line, about 0:40. Carol was released.",
	);
});

test("each outcome of the ledger says who has the caller", () => {
	const say = more => words.outcome_sentence({ ...X, has: "Carol Diaz", ...more });
	const all = o => `${o.text} ${o.more}`.trim();
	assert.equal(
		all(say({ outcome: "completed", has: "", owner_for: 232000 })),
		"Harbour Dental is talking with Bob Meyer. Carol was released after 3:52.",
	);
	assert.equal(
		all(say({ outcome: "completed", target: "Sales", target_kind: "queue", position: 1 })),
		"Harbour Dental waits in Sales, 1st in line. Carol was released.",
	);
	assert.equal(
		words.answered_sentence({ ...X, with: "Erin Walsh", waited: 23000, target: "Sales" }),
		"Erin Walsh answered Harbour Dental after 0:23 in Sales.",
	);
	const causes = {
		busy: "Bob’s phone is busy.",
		declined: "Bob declined.",
		no_answer: "Bob did not answer within 20 s.",
		unreachable: "Bob’s phone cannot be reached.",
		media_incompatible: "Bob’s phone and the caller share no audio format.",
		auth: "The line refused our sign-in.",
		loop: "The number leads back to segue.",
		internal: "Something broke on our side.",
	};
	for (const [cause, text] of Object.entries(causes)) {
		const o = say({ outcome: "failed", cause, rang: 20000 });
		assert.equal(o.text, `${text} Carol keeps Harbour Dental.`);
		assert.deepEqual([o.tone, o.offer[0]], ["bad", "another"]);
	}
	assert.equal(
		say({ outcome: "cancelled", by: "You" }).text,
		"You cancelled. Carol keeps Harbour Dental.",
	);
	assert.equal(
		all(say({ outcome: "abandoned" })),
		"Harbour Dental hung up before Bob answered. Nobody was connected.",
	);
	assert.equal(
		say({ outcome: "recalled" }).text,
		"Nobody answered. Carol has Harbour Dental back.",
	);
	assert.equal(
		say({
			outcome: "fell_back",
			cause: "no_answer",
			fallback_kind: "queue",
			has: "Sales",
			position: 2,
		}).text,
		"Bob did not answer. Harbour Dental waits in Sales, 2nd in line.",
	);
	assert.equal(
		say({ outcome: "abandoned", talk_on: true }).text,
		"Harbour Dental hung up. Carol and Bob are still talking.",
	);
	assert.deepEqual(say({ outcome: "failed", cause: "invalid_target" }).offer, ["correct"]);
});

test("a refused transfer says who keeps the caller", () => {
	const say = (status, code, message) =>
		words.error_sentence({ status, code, message }, { ...X, has: "Carol Diaz", target: "0800 1" });
	assert.equal(
		say(403, "refused", "Not allowed to dial international numbers"),
		"You may not dial international numbers. Carol keeps Harbour Dental.",
	);
	assert.equal(
		say(404, "no_target", "Nobody has this number"),
		"0800 1 is not a number that can be dialled. Carol keeps Harbour Dental.",
	);
	assert.equal(say(0), "Not sent: no connection to segue.");
});

test("numbers are held apart for the eye, and stay what they are", () => {
	const grouped = {
		"+12025550143": "+1 202 555 0143",
		"+442079460132": "+44 20 7946 0132",
		"+447700900155": "+44 7700 900 155",
		"+441214960123": "+44 121 496 0123",
		"+351215550110": "+351 21 555 0110",
		"+4685550102": "+46 8 555 0102",
		"+49305550123": "+49 30 555 0123",
		"+33155501234": "+33 1 5550 1234",
		"+85225550125": "+852 2555 0125",
		"+97225550": "+972 25550",
		"+44****0132": "+44 •••• 0132",
		4001: "4001",
		"": "",
	};
	for (const [n, text] of Object.entries(grouped)) assert.equal(words.number_text(n), text);
});

test("no code of the server is ever shown raw", () => {
	for (const code of [
		"not_answered",
		"no_agent",
		"in_menu",
		"transfer_running",
		"voicemail",
		"ended",
		"fax",
		"not_permitted",
		"something_new",
	]) {
		assert.ok(!/_/.test(words.off_label(code)), code);
		assert.ok(
			/^[A-Z].*\.$/.test(
				words.off_sentence(code, { with: "Hugo Marsh", customer: "X" }),
			),
			code,
		);
	}
	for (const outcome of [
		"completed",
		"failed",
		"cancelled",
		"abandoned",
		"recalled",
		"fell_back",
		"something_new",
	])
		assert.ok(
			!/undefined|_/.test(words.outcome_sentence({ ...X, outcome }).text),
			outcome,
		);
});

test("first names: of people, not of companies or numbers", () => {
	assert.equal(words.first("Bob Meyer"), "Bob");
	assert.equal(words.first("+44 20 7946 0132"), "+44 20 7946 0132");
	assert.equal(words.first("Priya"), "Priya");
	assert.deepEqual([1, 2, 3, 4, 11, 12, 21, 102].map(words.nth), [
		"1st",
		"2nd",
		"3rd",
		"4th",
		"11th",
		"12th",
		"21st",
		"102nd",
	]);
});

/* ---- what is shown of a call ------------------------------------------------------------------- */

test("the place of Transfer follows the call: transfer, cancel, hand over", () => {
	const verb = raw => model.main_verb(model.call_view(raw));
	assert.equal(verb(call("1.1")), "transfer");
	assert.equal(
		verb(
			call("1.1", {
				state: "transferring",
				transfer: transfer(),
				can: { transfer: "transfer_running", cancel: true },
			}),
		),
		"cancel",
	);
	assert.equal(
		verb(
			call("1.1", {
				table_state: "CONSULT",
				transfer: transfer({ kind: "consult", stage: "answered" }),
				can: { transfer: "transfer_running", cancel: true, complete: true },
			}),
		),
		"complete",
	);
});

test("a verb is allowed, or says why not; the role comes first", () => {
	const v = model.call_view(call("1.1", { can: { transfer: "not_answered", hangup: true } }));
	assert.equal(model.why_not(v, "transfer"), "not_answered");
	assert.equal(model.why_not(v, "hangup"), "");
	assert.notEqual(
		model.why_not(v, "swap"),
		"",
		"what the server does not list is not allowed",
	);
	model.model_permissions(["view"]);
	assert.equal(model.why_not(v, "hangup"), "not_permitted");
	model.model_permissions(null);
});

test("the stages of a transfer, from the call", () => {
	const stage = (t, more) => model.transfer_view(transfer(t), call("1.1", more)).stage;
	assert.equal(stage({}, { table_state: "RING" }), "ringing");
	assert.equal(stage({ kind: "consult" }, { table_state: "CONSULT_RING" }), "ringing");
	assert.equal(stage({ kind: "consult" }, { table_state: "CONSULT" }), "consulting");
	assert.equal(stage({ kind: "consult" }, { table_state: "ASIDE" }), "swapped");
	const first = { stage: "accepted", via: "panel" };
	assert.equal(stage({ ...first, kind: "consult" }, { table_state: "CONSULT" }), "consulting");
	assert.equal(stage(first, { table_state: "RING" }), "calling");
	const changing = [...call("1.1").parties, { role: "kept", state: "up", changing: true }];
	assert.equal(stage(first, { table_state: "RING", parties: changing }), "asked");
	assert.equal(stage({ ...first, via: "sip_refer" }, { table_state: "RING", parties: changing }), "calling");
	assert.equal(stage({ stage: "answered" }, { table_state: "JOIN" }), "joining");
	const queue = { queue: { name: "sales", position: 1 } };
	assert.equal(stage({ target: { kind: "queue", name: "sales" } }, queue), "queued");
	assert.equal(
		model.transfer_view(transfer(), call("1.1", { parties: [] })).owner_left,
		true,
	);
});

test("search: any word start, accents ignored, digits anywhere in a number", () => {
	assert.ok(model.matches("ferr", ["Tomás Ferreira"]));
	assert.ok(model.matches("tomas", ["Tomás Ferreira"]));
	assert.ok(model.matches("fer tom", ["Tomás Ferreira"]));
	assert.ok(!model.matches("reira", ["Tomás Ferreira"]));
	assert.ok(model.matches("0143", ["Harbour Dental", "+12025550143"]));
	assert.ok(model.matches("", ["anything"]));
	assert.ok(!model.matches("x", []));
});

/* ---- the drawn conversation ------------------------------------------------------------------- */

const seg = (id, seq, kind, who, from, answered, to, intervals, more = {}) => ({
	id,
	seq,
	kind,
	who,
	number: null,
	offered_at: at(from),
	answered_at: answered === null ? null : at(answered),
	ended_at: to === null ? null : at(to),
	outcome: "done",
	intervals: intervals.map(([state, a, b]) => ({ state, from: at(a), to: at(b) })),
	...more,
});

const CONVERSATION = {
	started: T0,
	ended: T0 + 100000,
	customer: "Priya",
	segments: [
		seg("s1", 1, "agent", "alice", 0, 10, 60, [
			["ringing", 0, 10],
			["talking", 10, 40],
			["holding", 40, 60],
		]),
		seg("s2", 2, "agent", "dan", 40, null, 50, [["ringing", 40, 50]], {
			outcome: "busy",
			sip_cause: 486,
		}),
		seg(
			"s3",
			3,
			"agent",
			"bob",
			50,
			60,
			100,
			[
				["ringing", 50, 60],
				["talking", 60, 100],
			],
			{ transfer_in: "x2" },
		),
	],
	transfers: [
		{
			id: "x1",
			from_segment: "s1",
			to_segment: "s2",
			asked_at: at(40),
			ended_at: at(50),
			outcome: "failed",
			cause: "busy",
		},
		{
			id: "x2",
			from_segment: "s1",
			to_segment: "s3",
			asked_at: at(50),
			joined_at: at(60),
			ended_at: at(60),
			outcome: "completed",
		},
	],
};

test("lanes in order of appearance, bars to scale", () => {
	const s = score_layout(CONVERSATION, T0 + 100000, who => who);
	assert.deepEqual(
		s.lanes.map(l => l.name),
		["Priya", "alice", "dan", "bob"],
	);
	assert.deepEqual(
		s.lanes[1].bars.map(b => [b.state, b.x, b.w]),
		[
			["ringing", 0, 10],
			["talking", 10, 30],
			["holding", 40, 20],
		],
	);
	assert.equal(s.lanes[2].bars[0].state, "missed");
	assert.ok(missed(s.lanes[2].bars[0].segment));
});

test("what the customer heard has no gap and adds up to the whole", () => {
	const s = score_layout(CONVERSATION, T0 + 100000, who => who),
		bars = s.lanes[0].bars;
	assert.deepEqual(
		bars.map(b => b.state),
		["ringing", "talking", "holding", "talking"],
	);
	assert.equal(
		bars.reduce((n, b) => n + b.to - b.from, 0),
		100000,
	);
	for (let i = 1; i < bars.length; i++) assert.equal(bars[i].from, bars[i - 1].to);
});

test("nobody there is a gap of its own: limbo", () => {
	assert.deepEqual(
		heard(
			[{ kind: "agent", bars: [{ state: "talking", from: 0, to: 10 }] }],
			0,
			30,
		).map(b => [b.state, b.to - b.from]),
		[
			["talking", 10],
			["limbo", 20],
		],
	);
});

test("arrows go from who gives to who receives, when it happened", () => {
	const [failed, done] = score_layout(CONVERSATION, T0 + 100000, who => who).moves;
	assert.deepEqual(
		[failed.n, failed.bad, failed.from, failed.to, failed.x],
		[1, true, 1, 2, 40],
	);
	assert.deepEqual([done.n, done.bad, done.from, done.to, done.x], [2, false, 1, 3, 60]);
});

test("a call that goes on grows at its end; nothing is thinner than can be seen", () => {
	const c = {
		...CONVERSATION,
		ended: null,
		segments: [seg("s1", 1, "agent", "alice", 0, 0.01, null, [["ringing", 0, 0.01]])],
		transfers: [],
	};
	const s = score_layout(c, T0 + 200000, who => who),
		bars = s.lanes[1].bars;
	assert.ok(bars[0].w > 0.2 && bars[0].to - bars[0].from === 10);
	assert.equal(bars.at(-1).to, T0 + 200000);
	assert.equal(bars.at(-1).state, "talking");
});

test("who is asked is drawn as consulting while that goes on: the customer hears music", () => {
	const open = { ended_at: null, outcome: null };
	const list = [
		seg("s1", 1, "agent", "carol", 0, 5, null, [["ringing", 0, 5], ["talking", 5, 60]], { ...open, state: "consulting" }),
		seg("s2", 2, "consult", "bob", 60, 62, null, [["ringing", 60, 62]], open),
	];
	const c = { started: T0, ended: null, customer: "Harbour Dental", segments: list, transfers: [] };
	const lanes = score_layout(c, T0 + 90000, who => who).lanes;
	assert.equal(lanes[0].bars.at(-1).state, "holding");
	assert.equal(lanes[2].bars.at(-1).state, "consulting");
});

test("zoom and pan stay inside the whole; the axis has round marks", () => {
	assert.deepEqual(zoom([0, 1], 0.5), [0.25, 0.75]);
	assert.deepEqual(zoom([0.25, 0.75], 10), [0, 1]);
	assert.deepEqual(pan([0.25, 0.75], 9), [0.5, 1]);
	assert.deepEqual(
		ticks(0, 660000).map(t => t.text),
		["0:00", "2:00", "4:00", "6:00", "8:00", "10:00"],
	);
	const near = score_layout(CONVERSATION, T0 + 100000, who => who, [0.4, 0.6]);
	assert.equal(near.lanes[1].bars[2].x, 0);
	assert.equal(Math.round(near.lanes[1].bars[2].w), 100);
});

/* ---- the files themselves ---------------------------------------------------------------------- */

test("no file brings markup, inline style or an address of elsewhere into the page", () => {
	for (const name of readdirSync(SRC).filter(n => n.endsWith(".js"))) {
		const text = readFileSync(new URL(name, SRC), "utf8");
		assert.ok(
			!/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/.test(
				text,
			),
			name,
		);
		assert.ok(!/https?:\/\/(?!www\.w3\.org)/.test(text), name);
		assert.ok(text.startsWith("/*"), `${name} opens with what it promises`);
	}
	const page = readFileSync(new URL("index.html", SRC), "utf8");
	assert.ok(!/ style=|<style|<script(?![^>]* src=)| on[a-z]+=/.test(page));
});

test("every file that a file imports is there and is installed", () => {
	const made = readFileSync(new URL("local.mk", SRC), "utf8");
	for (const name of readdirSync(SRC).filter(n => n !== "local.mk")) {
		assert.ok(made.includes(`src/panel/${name}`), `${name} is in local.mk`);
		for (const [, other] of readFileSync(new URL(name, SRC), "utf8").matchAll(
			/(?:from|import\()\s*"\.\/([\w.]+)"/g,
		))
			assert.ok(readdirSync(SRC).includes(other), `${name} imports ${other}`);
	}
});

/* ---- colours -------------------------------------------------------------------------------------- */

test("contrast of the tokens: text 4.5, marks 3, in both themes", () => {
	const css = readFileSync(new URL("panel.css", SRC), "utf8");
	const tokens = Object.fromEntries(
		[...css.matchAll(/--([\w-]+): light-dark\((#\w+), (#\w+)\)/g)].map(m => [m[1], [m[2], m[3]]]),
	);
	const luminance = hex => {
		const full = hex.length === 4 ? hex.replace(/\w/g, "$&$&") : hex;
		const [r, g, b] = [1, 3, 5]
			.map(i => parseInt(full.slice(i, i + 2), 16) / 255)
			.map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const contrast = (a, b) => {
		const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
		return (x + 0.05) / (y + 0.05);
	};
	const kinds = ["talk", "ring", "hold", "consult", "wait", "move", "bad"];
	const text = [
		...["ink", "ink2", "ink3"].flatMap(i => ["bg", "surface", "sunken", "side"].map(g => [i, g])),
		["ink3", "accent-soft"],
		["accent", "surface"],
		["on-accent", "accent"],
		...kinds.flatMap(k => [
			[`${k}-ink`, "surface"],
			[`${k}-ink`, `${k}-soft`],
		]),
	];
	const marks = [...kinds.map(k => [k, "surface"]), ["edge", "surface"]];
	for (const [pairs, least] of [
		[text, 4.5],
		[marks, 3],
	])
		for (const [a, b] of pairs)
			for (const theme of [0, 1]) {
				assert.ok(tokens[a] && tokens[b], `${a} ${b}`);
				const c = contrast(tokens[a][theme], tokens[b][theme]);
				assert.ok(c >= least, `${a} on ${b}: ${c.toFixed(2)} in theme ${theme}`);
			}
});

/* ---- what is read out -------------------------------------------------------------------------- */

test("sentences of a kind are one, and more than a few are counted", async () => {
	const { merged } = await load("ui.js");
	const many = n => `${n} calls ended.`,
		call = name => [`The call of ${name} has ended.`, many];
	assert.equal(merged([call("Mei Park")]), "The call of Mei Park has ended.");
	assert.equal(merged([call("Mei Park"), call("Jonas Lind"), call("Priya Raman")]), "3 calls ended.");
	assert.equal(merged([call("Mei Park"), ["Note kept."], call("Jonas Lind")]), "2 calls ended. Note kept.");
	assert.equal(merged([["a."], ["b."], ["c."], ["d."]]), "4 changes. d.");
});

test("what sending means where nobody is with the caller names nobody", () => {
	const { how_sentence } = words;
	assert.equal(how_sentence("blind", "", "Sales", true, false), "The caller waits in Sales with music.");
	assert.equal(how_sentence("blind", "", "Bob", false, false), "The caller hears music while the phone rings.");
	assert.equal(
		how_sentence("blind", "the agent", "Sales", true, true),
		"The caller waits in Sales with music. The agent keeps the line until somebody answers.",
	);
	assert.equal(
		how_sentence("consult", "Carol", "Bob", false, false),
		"The caller hears music while Carol and Bob talk. Carol, or you, hands over.",
	);
});

test("running figures are counted to the last full second, together; a timer wakes up just after the next", async () => {
	const { time_second, time_to_second } = await load("time.js");
	time_set(time_now() + 5000);
	assert.equal(time_second() % 1000, 0);
	assert.ok(time_now() - time_second() < 1000);
	const wait = time_to_second();
	assert.ok(wait > 0 && wait <= 1004);
});

test("an address that was cut in two opens a page all the same", async () => {
	const { route_parse } = await load("ui.js");
	assert.deepEqual(route_parse("#/log/%E0%A4%A?q=x"), { place: "log", id: "%E0%A4%A", query: { q: "x" } });
	assert.equal(route_parse("#/cases/a%2Fb").id, "a/b");
});

test("behind its goal: somebody waits too long, or too few of the last 15 minutes were in time", async () => {
	const { app } = await load("ui.js"),
		{ behind, load_recent } = await load("goal.js");
	const q = { queue: "sales", service_ms: 20000, service_goal: 80, answered: 1, abandoned: 0, overflowed: 0 };
	const of = x => (({ late, why }) => [late, why])(behind(x));
	const waits = s => ({ ...q, longest_since: new Date(time_now() - 1000 * s).toISOString() });
	assert.deepEqual(of({ ...q, longest_since: null }), [false, ""]);
	assert.equal(behind(waits(19)).why, "");
	assert.deepEqual(of(waits(21)), [true, "somebody waits longer than 0:20"]);
	assert.equal(behind({ ...waits(21), service_ms: 0 }).why, "");
	const asked = [],
		{ fetch } = globalThis;
	Object.assign(app, { store: { queues: new Map([["sales", q]]) }, me: {} });
	globalThis.document = { hidden: false };
	globalThis.fetch = async url => {
		asked.push(String(url));
		const queues = [{ queue: "sales", service_level: 62.5 }];
		return new Response(JSON.stringify({ queues }), { headers: { "Content-Type": "application/json" } });
	};
	try {
		await load_recent();
		await load_recent(); // not within the minute
	} finally {
		globalThis.fetch = fetch;
		delete globalThis.document;
	}
	assert.equal(asked.length, 1);
	const low = "63 % of the last 15 minutes in time, goal 80 %";
	assert.deepEqual(of({ ...q, longest_since: null }), [false, low]);
	assert.deepEqual(of(waits(21)), [true, `somebody waits longer than 0:20; ${low}`]);
	assert.deepEqual(of({ ...q, longest_since: null, closed: true }), [false, ""]); // not while it is closed
	assert.equal(behind({ ...q, queue: "support", longest_since: null }).why, "");
});

test("the last customers: each once, newest first, with how often; no colleagues", async () => {
	globalThis.window = {};
	const { customers } = await load("contacts.js");
	delete globalThis.window;
	const row = (id, contact_number, kind = "inbound") => ({ id, contact_number, kind });
	const rows = [row(1, "+1"), row(2, "+2"), row(3, "+1"), row(4, "101", "internal"), row(5, undefined)];
	assert.deepEqual(
		customers(rows).map(c => [c.number, c.row.id, c.n]),
		[["+1", 1, 2], ["+2", 2, 1]],
	);
});
