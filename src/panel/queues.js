/*
 * queues: who waits and who is free, each figure beside its goal; and the people, by what they do.
 */
import { h, patch } from "./dom.js";
import { app, icon, face, pill, since, empty, bones, announce, alarm, route_text } from "./ui.js";
import { AGENT_STATES, error_sentence, first, nth } from "./words.js";
import { call_view } from "./model.js";
import { name_of } from "./names.js";
import { api, api_get } from "./api.js";
import { span, time_ms, time_now } from "./time.js";
import { open_transfer } from "./live.js";

const LONG_MS = { busy: 15 * 60000, away: 30 * 60000 };
const REASONS = ["break", "lunch", "training", "meeting"];
const report = { at: 0, day: new Map() };

/* ---- charts ----------------------------------------------------------------------------------- */

/* Half hours or hours of today for each queue; asked for once in a minute while they are looked at. */
async function load_report() {
	if (performance.now() - report.at < 60000 && report.at) return;
	report.at = performance.now();
	try {
		const from = new Date(time_now() || Date.now());
		from.setHours(0, 0, 0, 0);
		const a = await api_get(
			`reports/queues?from=${encodeURIComponent(from.toISOString())}`,
		);
		report.day = new Map();
		for (const r of a.items || a.rows || []) {
			const at = time_ms(r.hour || r.at);
			report.day.set(r.queue, [
				...(report.day.get(r.queue) || []),
				{
					at,
					answered: r.answered || 0,
					left: r.abandoned || 0,
					in_time: r.answered_in_time || 0,
					offered: r.offered || 0,
				},
			]);
		}
	} catch {
		return; // the page lives without it; the next minute tries again
	}
	app.draw();
}

function chart(name, most) {
	const list = report.day.get(name) || [],
		begin = new Date(time_now());
	begin.setHours(0, 0, 0, 0);
	const at = i => list.find(r => Math.floor((r.at - begin) / 3600000) === i);
	const w = 100 / 24,
		high = n => (48 * n) / Math.max(4, most);
	const sum = k => list.reduce((n, r) => n + r[k], 0);
	return h(
		"svg.chart",
		{
			role: "img",
			"aria-label": `Today: ${sum("answered")} answered, ${sum("left")} left`,
		},
		h("line.base", { x1: 0, x2: "100%", y1: 51, y2: 51 }),
		Array.from({ length: 24 }, (_, i) => {
			const r = at(i);
			return (
				r && [
					h(
						"rect.a",
						{
							key: `a${i}`,
							x: `${i * w + 0.6}%`,
							width: `${w - 1.2}%`,
							y: 50 - high(r.answered),
							height: high(r.answered),
							rx: 1.5,
						},
						h(
							"title",
							null,
							`${i}:00: ${r.answered} answered, ${r.left} left`,
						),
					),
					r.left > 0 &&
						h("rect.l", {
							key: `l${i}`,
							x: `${i * w + 0.6}%`,
							width: `${w - 1.2}%`,
							y:
								49 -
								high(r.answered) -
								Math.max(2, high(r.left)),
							height: Math.max(2, high(r.left)),
							rx: 1,
						}),
				]
			);
		}),
	);
}

/* ---- queues ----------------------------------------------------------------------------------- */

const shown = q => q.name || q.queue || q.user;

function service(q) {
	const list = report.day.get(q.queue) || [],
		offered = list.reduce((n, r) => n + r.offered, 0);
	return q.offered
		? q.in_time / q.offered
		: offered
			? list.reduce((n, r) => n + r.in_time, 0) / offered
			: null;
}

function judge(q) {
	const wait = q.oldest ? time_now() - time_ms(q.oldest) : 0,
		goal = q.goal_ms ?? 60000,
		level = service(q),
		want = (q.goal_percent ?? 80) / 100;
	if (q.closed)
		return {
			wait,
			goal,
			level,
			want,
			behind: false,
			word: q.opens ? `Opens ${q.opens}` : "Closed",
			tone: "plain",
			sign: "away",
		};
	const behind = wait > goal || (level !== null && level < want);
	return {
		wait,
		goal,
		level,
		want,
		behind,
		word: behind ? "Behind" : "On goal",
		tone: behind ? "bad" : "talk",
		sign: behind ? "warn" : "ok",
	};
}

function meter(j) {
	const part = j.level ?? 0;
	return h(
		"svg.meter",
		{
			role: "img",
			"aria-label":
				j.level === null
					? "No calls yet"
					: `${Math.round(100 * part)} per cent in time`,
		},
		h("rect.track", { y: 3, width: "100%", height: 6, rx: 3 }),
		h("rect", {
			class: j.behind && part < j.want ? "bad-m" : "bar-talk",
			y: 3,
			width: `${100 * part}%`,
			height: 6,
			rx: 3,
		}),
		h("rect.mark", { x: `${100 * j.want}%`, width: 2, height: 12 }),
	);
}

function waiting_list(q) {
	const calls = [...app.store.calls.values()]
		.map(call_view)
		.filter(v => v.state === "queued" && v.queue?.name === q.queue)
		.sort((a, b) => (a.queue.position || 99) - (b.queue.position || 99));
	return h(
		"ul.waiting",
		{ "aria-label": `Waiting in ${shown(q)}` },
		calls.map(v =>
			h(
				"li",
				{ key: v.id },
				h(
					"span.num.sub",
					null,
					v.queue.position ? nth(v.queue.position) : "",
				),
				h("b.clip.grow", null, v.customer),
				since(v.since),
				!v.can.transfer &&
					h(
						"button.btn",
						{
							type: "button",
							"aria-label": `Move ${v.customer}`,
							onclick: () => open_transfer(v),
						},
						icon("transfer"),
						"Move to …",
					),
			),
		),
		!calls.length && h("li.sub", null, "Nobody waits."),
	);
}

function queue_card(q, most, open) {
	const j = judge(q);
	return h(
		"section.card.queue",
		{ key: q.queue, "aria-label": shown(q) },
		h(
			"div",
			null,
			h(
				"h2",
				null,
				h(
					"a",
					{
						href: route_text("queues", open ? "" : q.queue),
						"aria-expanded": open,
					},
					shown(q),
				),
			),
			pill({ tone: j.tone, sign: j.sign, word: j.word }),
		),
		h(
			"div.big",
			null,
			h("b", null, String(q.waiting || 0)),
			h(
				"div",
				null,
				h("div", null, "waiting"),
				h(
					"div.sub",
					null,
					q.waiting
						? [
								h(
									"span",
									{
										class:
											j.wait >
											j.goal
												? "c-bad"
												: null,
									},
									"longest ",
									since(
										time_ms(q.oldest),
										true,
									),
								),
								`, goal ${span(j.goal)}`,
							]
						: `goal ${span(j.goal)}`,
				),
			),
		),
		h(
			"div",
			null,
			h(
				"div.goal",
				null,
				h("span", null, `Answered in ${span(j.goal)}`),
				h(
					"span.num",
					null,
					h(
						"b",
						null,
						j.level === null
							? "no calls yet"
							: `${Math.round(100 * j.level)} %`,
					),
					`, goal ${Math.round(100 * j.want)} %`,
				),
			),
			meter(j),
		),
		h(
			"div.four",
			null,
			[
				["free", "free"],
				["busy", "on calls"],
				["wrapup", "notes"],
				["away", "away"],
			].map(([k, word]) =>
				h("div", null, h("b.num", null, String(q[k] ?? 0)), word),
			),
		),
		chart(q.queue, most),
		open && waiting_list(q),
	);
}

/* ---- people ----------------------------------------------------------------------------------- */

const GROUPS = [
	{ id: "busy", word: "On a call", tone: "talk", sign: "talk" },
	{ id: "ring", word: "Ringing", tone: "ring", sign: "ring" },
	{ id: "free", word: "Free", tone: "talk", sign: "person" },
	{ id: "none", word: "Not taking calls", tone: "plain", sign: "away" },
];

export function agent_dot(a) {
	return AGENT_STATES[a.state]?.dot || "off";
}

function group_of(a) {
	const d = agent_dot(a);
	return d === "busy" || d === "ring" || d === "free" ? d : "none";
}

/* What an agent is doing, in a few words. */
export function agent_line(a) {
	const raw = a.call && app.store.calls.get(a.call),
		v = raw && call_view(raw);
	if (v) {
		const t = v.transfer && !v.transfer.outcome ? v.transfer : null;
		return t && t.owner === shown(a)
			? `${t.kind === "consult" ? "asking" : "sending"} ${t.kind === "consult" ? t.target : v.customer}`
			: v.state === "held"
				? `holding ${v.customer}`
				: v.customer;
	}
	const s = AGENT_STATES[a.state];
	return a.state === "away" && a.reason
		? `away: ${a.reason}`
		: a.state === "wrapup" && a.until
			? "finishing notes"
			: group_of(a) === "free"
				? (a.queues || []).map(q => name_of(q, "queue")).join(", ") ||
					"free"
				: (s?.word || a.state || "").toLowerCase();
}

function mate(a) {
	const long = LONG_MS[agent_dot(a)] < time_now() - time_ms(a.since);
	const inner = [
		face(shown(a), { dot: agent_dot(a) }),
		h(
			"div",
			null,
			h("div.clip", null, h("b", null, shown(a))),
			h("div.sub.clip", null, long && "long: ", agent_line(a)),
		),
		since(time_ms(a.since)),
	];
	return app.me.role === "agent" && a.user !== app.me.user
		? h("div.mate", { key: a.user, class: long ? "long" : null }, inner)
		: h(
				"button.mate",
				{
					key: a.user,
					type: "button",
					class: long ? "long" : null,
					"aria-label": `${shown(a)}: ${AGENT_STATES[a.state]?.word || a.state}`,
					onclick: () => open_agent(a.user),
				},
				inner,
			);
}

/* Asks the server for a state. `reason` goes with away. */
export async function set_state(user, state, reason) {
	try {
		await api("PUT", `agents/${encodeURIComponent(user)}/state`, {
			state,
			reason: reason || undefined,
		});
		announce(
			`${user === app.me.user ? "You are" : `${user} is`} ${{ available: "free", away: "away", logged_out: "signed out" }[state] || state} now.`,
		);
		return "";
	} catch (e) {
		const text = error_sentence(e);
		alarm(text);
		return text;
	}
}

const sheet = document.createElement("dialog");
sheet.className = "small";
sheet.setAttribute("aria-labelledby", "agent-title");
document.body.append(sheet);
let opened = "",
	problem = "";

function open_agent(name) {
	opened = name;
	problem = "";
	draw_agent();
	sheet.showModal();
}

/* The states that somebody can be set to, as one row of choices. */
export function state_choice(a, set) {
	const now =
		a.intent ||
		(a.state === "away"
			? "away"
			: a.state === "logged_out"
				? "logged_out"
				: "available");
	return h(
		"div.states",
		{ role: "group", "aria-label": "State" },
		h(
			"button.btn",
			{
				type: "button",
				"aria-pressed": now === "available",
				onclick: () => set("available"),
			},
			"Free",
		),
		REASONS.map(r =>
			h(
				"button.btn",
				{
					key: r,
					type: "button",
					"aria-pressed": now === "away" && a.reason === r,
					onclick: () => set("away", r),
				},
				`Away: ${r}`,
			),
		),
		h(
			"button.btn",
			{
				type: "button",
				"aria-pressed": now === "logged_out",
				onclick: () => set("logged_out"),
			},
			"Sign out of queues",
		),
	);
}

function draw_agent() {
	const a = app.store.agents.get(opened);
	if (!a) return sheet.close();
	patch(
		sheet,
		h(
			"div.pad",
			null,
			h("h1", { id: "agent-title" }, shown(a)),
			h(
				"p.sub",
				null,
				`${AGENT_STATES[a.state]?.word || a.state} for ${span(time_now() - time_ms(a.since))}${a.set_by && a.set_by !== a.user ? `, set by ${a.set_by}` : ""}`,
			),
			h(
				"dl.kv",
				null,
				a.number && [
					h("dt", null, "Extension"),
					h("dd.num", null, a.number),
				],
				h("dt", null, "Departments"),
				h(
					"dd",
					null,
					(a.queues || []).map(q => name_of(q, "queue")).join(", ") ||
						"none",
				),
				a.answered !== undefined && [
					h("dt", null, "Calls answered"),
					h("dd.num", null, String(a.answered)),
				],
			),
			state_choice(a, async (state, reason) => {
				problem = await set_state(a.user, state, reason);
				draw_agent();
			}),
			h(
				"p.sub",
				null,
				`${first(shown(a))} sees who set it; it is kept in the audit.`,
			),
			problem && h("p.notice.bad", { role: "alert" }, problem),
			h("button.btn", { type: "button", onclick: () => sheet.close() }, "Close"),
		),
	);
}

/* ---- the page --------------------------------------------------------------------------------- */

export function queues_view(id) {
	if (!app.store.ready)
		return { title: "Queues and agents", body: h("div.card", null, bones()) };
	load_report();
	if (sheet.open) draw_agent();
	const queues = [...app.store.queues.values()],
		agents = [...app.store.agents.values()];
	const most = Math.max(0, ...[...report.day.values()].flat().map(r => r.answered + r.left));
	const free = agents.filter(a => group_of(a) === "free").length;
	const sorted = g =>
		agents
			.filter(a => group_of(a) === g.id)
			.sort((a, b) => time_ms(a.since) - time_ms(b.since));
	return {
		title: "Queues and agents",
		extra:
			id === "wall"
				? h("a.btn", { href: "#/queues" }, "Leave full screen")
				: h("a.btn", { href: "#/queues/wall" }, "Full screen"),
		body: [
			queues.length
				? h(
						"div.queues",
						null,
						queues.map(q =>
							queue_card(q, most, id === q.queue),
						),
					)
				: h(
						"div.card",
						null,
						empty("No queues. They are rows of segue.queues."),
					),
			id !== "wall" &&
				h(
					"section.card",
					{ "aria-label": "Agents" },
					h(
						"header",
						null,
						h("h2", null, "Agents"),
						h(
							"span.sub",
							null,
							`${agents.length} people, ${free} free`,
						),
					),
					GROUPS.map(g => [g, sorted(g)])
						.filter(([, l]) => l.length)
						.map(([g, l]) =>
							h(
								"div",
								{ key: g.id },
								h(
									"div.group",
									null,
									pill(g),
									h(
										"span.sub.num",
										null,
										String(l.length),
									),
								),
								h("div.team", null, l.map(mate)),
							),
						),
				),
		],
	};
}
