/*
 * queues: who waits and who is free, each figure beside its goal; and the people, by what they do.
 */
import { h, patch } from "./dom.js";
import { app, icon, face, pill, since, left, swatch, empty, bones, announce, alarm, route_text } from "./ui.js";
import { AGENT_STATES, closed_text, error_sentence, first, isolated, nth } from "./words.js";
import { call_view, why_not_sent } from "./model.js";
import { name_of } from "./names.js";
import { api, api_get, api_query } from "./api.js";
import { coming, span, time_ms, time_now, at_minute } from "./time.js";
import { open_transfer } from "./live.js";
import { behind, gone_on, load_recent, recent_level } from "./goal.js";

const HALF_HOUR = 30 * 60000;
const SHORTEST = 12;
const COLUMN = 8;
const REASONS = ["break", "lunch", "training", "meeting"];
const report = { at: 0, sum: 0, day: new Map(), state: "" }; // state: "", known or away
const EACH_MS = 60000,
	SOON_MS = 5000; // after somebody was answered, or left

/* ---- charts ----------------------------------------------------------------------------------- */

/* The half hours of today of each queue; asked for once in a minute while they are looked at, and when
 * somebody was answered or has left. */
async function load_report() {
	const passed = performance.now() - report.at,
		sum = gone_on();
	load_recent(SOON_MS);
	if (report.at && passed < (sum === report.sum ? EACH_MS : SOON_MS)) return;
	Object.assign(report, { at: performance.now(), sum });
	try {
		const from = new Date(time_now() || Date.now());
		from.setHours(0, 0, 0, 0);
		const a = await api_get(`reports/queues${api_query({ from: from.toISOString(), by: "half_hour" })}`);
		report.day = new Map();
		report.state = "known";
		for (const r of a.queues)
			report.day.set(r.queue, [
				...(report.day.get(r.queue) || []),
				{
					at: time_ms(r.half_hour),
					answered: r.answered,
					left: r.abandoned,
					in_time: r.answered_in_time,
					over: r.offered - r.waiting,
				},
			]);
	} catch {
		report.state ||= "away"; // the page lives without it; the next minute tries again
	}
	app.draw();
}

/* The half hours that the charts show, the same for all queues: from the first one that had callers, or SHORTEST
 * of them, until now. [begin of the first in ms, how many] */
function hours() {
	const now = Math.floor(time_now() / HALF_HOUR) * HALF_HOUR,
		first = Math.min(now - (SHORTEST - 1) * HALF_HOUR, ...[...report.day.values()].flat().map(r => r.at));
	return [first, 1 + Math.round((now - first) / HALF_HOUR)];
}

function chart(name, most, [first, count]) {
	const list = report.day.get(name) || [],
		at = i => list.find(r => Math.round((r.at - first) / HALF_HOUR) === i);
	const w = 100 / count,
		high = n => (92 * n) / Math.max(4, most); // per cent
	const sum = k => list.reduce((n, r) => n + r[k], 0);
	const drawing = h(
		"svg.chart",
		{
			role: "img",
			"aria-label": `Today: ${sum("answered")} answered, ${sum("left")} left`,
		},
		h("line.base", { x1: 0, x2: "100%", y1: "99%", y2: "99%" }),
		Array.from({ length: count }, (_, i) => {
			const r = at(i);
			return (
				r && [
					h(
						"rect.a",
						{
							key: `a${i}`,
							x: `${(i + 0.12) * w}%`,
							width: `${0.76 * w}%`,
							y: `${97 - high(r.answered)}%`,
							height: `${high(r.answered)}%`,
							rx: 1.5,
						},
						h(
							"title",
							null,
							`${at_minute(r.at)}: ${r.answered} answered, ${r.left} left`,
						),
					),
					r.left > 0 &&
						h("rect.l", {
							key: `l${i}`,
							x: `${(i + 0.12) * w}%`,
							width: `${0.76 * w}%`,
							y: `${95 - high(r.answered) - Math.max(4, high(r.left))}%`,
							height: `${Math.max(4, high(r.left))}%`,
							rx: 1,
						}),
				]
			);
		}),
	);
	const axis = h("div.axis", { "aria-hidden": "true" }, h("span", null, at_minute(first)), h("span", null, "now"));
	return h("div", null, drawing, axis);
}

/* ---- queues ----------------------------------------------------------------------------------- */

const NOTHING = { "": "", known: "no calls yet", away: "not known now" };

const shown = q => isolated(q.name) || q.queue || q.user;

/* The part of the callers that was answered in time, and of which: [part or null, words]. */
function in_time(q) {
	const recent = recent_level(q),
		day = report.day.get(q.queue) || [],
		over = day.reduce((n, r) => n + r.over, 0);
	if (recent !== null) return [recent / 100, "last 15 min"];
	return over ? [day.reduce((n, r) => n + r.in_time, 0) / over, "today"] : [null, ""];
}

/* A queue that is closed says so, unless who waits there since before waits for too long. */
function judge(q) {
	const [level, when] = in_time(q),
		{ late, why } = behind(q),
		closed = q.closed && !late;
	return {
		goal: q.service_ms,
		part: q.service_goal,
		level,
		when,
		late,
		why,
		closed: q.closed ? closed_text(q.opens_at && coming(time_ms(q.opens_at), time_now(), q.time_zone)) : "",
		state: closed
			? { tone: "plain", sign: "away", word: "Closed" }
			: why
				? { tone: "bad", sign: "warn", word: "Behind" }
				: q.service_ms > 0
					? { tone: "talk", sign: "ok", word: "On goal" }
					: { tone: "plain", sign: "queue", word: "No goal" },
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
					: `${Math.round(100 * part)} per cent in time${j.part ? `, goal ${j.part}` : ""}, ${j.when}`,
		},
		h("rect.track", { y: 3, width: "100%", height: 6, rx: 3 }),
		h("rect", {
			class: j.part && 100 * part < j.part ? "bar-ring" : "bar-talk",
			y: 3,
			width: `${100 * part}%`,
			height: 6,
			rx: 3,
		}),
		j.goal > 0 && j.part > 0 && h("rect.mark", { x: `${j.part}%`, width: 2, height: 12 }),
	);
}

function waiting_list(q) {
	const calls = [...app.store.calls.values()]
		.map(call_view)
		.filter(v => v.state === "queued" && v.queue?.name === q.queue)
		.sort((a, b) => (a.queue.position || 99) - (b.queue.position || 99));
	const list = h(
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
				h(
					"div.grow",
					null,
					h("div.clip", null, h("b", null, v.customer)),
					v.number && h("div.sub.num", null, v.number),
				),
				h(
					"span.sub",
					null,
					v.queue.estimate_ms >= 5000 && `agent in about ${span(v.queue.estimate_ms)}`,
				),
				v.since + q.service_ms < time_now() && q.service_ms > 0
					? h("span.c-bad", null, "long ", h("b.num", null, since(v.since)))
					: h("b.num", null, since(v.since)),
				!why_not_sent(v) &&
					h(
						"button.btn",
						{
							type: "button",
							"aria-label": `Move to …: ${v.customer}`,
							onclick: () => open_transfer(v),
						},
						icon("transfer"),
						"Move to …",
					),
			),
		),
		!calls.length && h("li.sub", null, "Nobody waits."),
	);
	return h(
		"section.card",
		{
			key: q.queue,
			"aria-label": `${shown(q)}: who waits`,
			mount: el => requestAnimationFrame(() => el.scrollIntoView({ block: "nearest" })),
		},
		h(
			"header",
			null,
			h("h2", null, `Waiting in ${shown(q)}`),
			h("span.sub.num", null, String(calls.length)),
			h("span.grow"),
			h(
				"a.btn.bare.icon",
				{ href: route_text("queues"), "aria-label": "Close" },
				icon("x"),
			),
		),
		list,
	);
}

const COUNTS = [
	["free", a => a.free],
	["on calls", a => a.talking + a.ringing],
	["notes", a => a.wrapup],
	["away", a => a.away],
];

function queue_card(q, most, shown_hours, open) {
	const j = judge(q),
		goal = j.goal > 0 && `, goal ${span(j.goal)}`;
	return h(
		"section.card.queue",
		{ key: q.queue, "aria-label": shown(q), class: open ? "open" : null },
		h(
			"div",
			null,
			h(
				"h2.clip",
				{ title: shown(q) },
				h(
					"a",
					{
						href: route_text("queues", open ? "" : q.queue),
						"aria-expanded": open,
					},
					shown(q),
				),
			),
			h("span", { title: j.why || null }, pill(j.state), h("span.sr", null, j.why)),
		),
		h(
			"div.big",
			null,
			h("b", null, String(q.waiting)),
			h(
				"div",
				null,
				h("div", null, "waiting"),
				h(
					"div.sub",
					null,
					q.longest_since
						? [
								h(
									"span",
									{
										class: j.late
											? "c-bad"
											: null,
									},
									"longest ",
									since(
										time_ms(
											q.longest_since,
										),
										true,
									),
								),
								goal,
							]
						: j.closed || (j.goal > 0 ? `goal ${span(j.goal)}` : "nobody"),
				),
			),
		),
		h(
			"div",
			null,
			h(
				"div.goal",
				null,
				h(
					"div",
					null,
					j.goal > 0
						? `Answered in ${span(j.goal)}`
						: "Answered in time",
					h("div.sub", null, j.when || "today"),
				),
				h(
					"div.r.num",
					null,
					h("b", null, j.level === null ? NOTHING[report.state] : `${Math.round(100 * j.level)} %`),
					h("div.sub", null, j.goal > 0 && j.part > 0 && `goal ${j.part} %`),
				),
			),
			meter(j),
		),
		h(
			"div.four",
			null,
			COUNTS.map(([word, n]) =>
				h(
					"div",
					{ key: word },
					h("b.num", null, String(n(q.agents))),
					word,
				),
			),
		),
		chart(q.queue, most, shown_hours),
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
function agent_line(a) {
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
	if (a.state === "away" && a.reason) return `away: ${a.reason}`;
	if (group_of(a) === "free")
		return (a.queues || []).map(q => name_of(q, "queue")).join(", ") || "free";
	const word = (s?.word || a.state).toLowerCase(),
		until = time_ms(a.until);
	return until > time_now() ? [`${word}, `, left(until, true), " left"] : word;
}

function mate(a) {
	const { long_call_ms, long_away_ms } = app.me.limits || {};
	const long = { busy: long_call_ms, away: long_away_ms }[agent_dot(a)] < time_now() - time_ms(a.since);
	const inner = [
		face(shown(a), { dot: agent_dot(a) }),
		h(
			"div",
			null,
			h(
				"div.clip",
				null,
				h("b", null, shown(a)),
				group_of(a) !== "none" && h("span.sr", null, `${AGENT_STATES[a.state]?.word || a.state}:`),
			),
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
					onclick: () => open_agent(a.user),
				},
				inner,
			);
}

const SET = { available: "free", away: "away", logged_out: "signed out" };

/* Asks the server for a state. `reason` goes with away. */
export async function set_state(user, state, reason) {
	try {
		await api("POST", `agents/${encodeURIComponent(user)}/state`, {
			state,
			reason: reason || undefined,
		});
		announce(
			`${user === app.me.user ? "You are" : `${name_of(user)} is`} ${SET[state]} now.`,
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
	const now = a.intent;
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
			icon("person"),
			a.state === "talking" ? "Free after this call" : "Free",
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
				AGENT_STATES[a.state]?.word || a.state,
				a.since && ` for ${span(time_now() - time_ms(a.since))}`,
				a.intent_by &&
					a.intent_by !== a.user &&
					`, set by ${name_of(a.intent_by)}`,
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
			a.intent
				? [
						state_choice(a, async (state, reason) => {
							problem = await set_state(
								a.user,
								state,
								reason,
							);
							draw_agent();
						}),
						h(
							"p.sub",
							null,
							`${first(shown(a))} sees who set it; it is kept on record.`,
						),
					]
				: h(
						"p.sub",
						null,
						"Answers no queue: gets the calls that are sent.",
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
	const free = agents.filter(a => group_of(a) === "free").length,
		shown_hours = hours();
	const sorted = g =>
		agents
			.filter(a => group_of(a) === g.id)
			.sort((a, b) => (time_ms(a.since) ?? 0) - (time_ms(b.since) ?? 0));
	const people = GROUPS.map(g => [g, sorted(g)]).filter(([, l]) => l.length);
	// few people stand in columns beside each other, many below
	const beside = people.every(([g, l]) => g.id === "busy" || l.length <= COLUMN);
	return {
		title: "Queues and agents",
		extra: [
			h("span.legend.sub", null, swatch("talk"), "answered"),
			h("span.legend.sub", null, swatch("left"), "caller left, by half hour"),
			id === "wall"
				? h("a.btn", { href: "#/queues" }, "Leave full screen")
				: h("a.btn", { href: "#/queues/wall" }, "Full screen"),
		],
		body: [
			queues.length
				? h(
						"div.queues",
						null,
						queues.map(q =>
							queue_card(q, most, shown_hours, id === q.queue),
						),
					)
				: h(
						"div.card",
						null,
						empty("No queues. They are rows of segue.queues."),
					),
			queues.filter(q => q.queue === id).map(waiting_list),
			id !== "wall" &&
				h(
					"section.card.people",
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
					people.map(([g, l]) =>
							h(
								"div",
								{
									key: g.id,
									class: beside && g.id !== "busy" ? "third" : null,
								},
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
