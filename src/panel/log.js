/*
 * log: one line per conversation, newest first, by day. More come as the end of the list comes into
 * sight; new ones wait behind "3 new" and never push what is being read.
 */
import { h } from "./dom.js";
import { app, icon, pill, lasted, ribbon, empty, bones, refine, route_text, go } from "./ui.js";
import { OUTCOMES, error_sentence, number_text, tried, first } from "./words.js";
import { call_view, customer_name, heard } from "./model.js";
import { segment } from "./score.js";
import { name_of } from "./names.js";
import { at_minute, day, short_day, time_ms, time_now, span } from "./time.js";
import { going_on, outcome_of } from "./conversation.js";
import { watcher } from "./fresh.js";
import { api_get, api_query, api_url } from "./api.js";

const PAGE = 50,
	MOST = 200; // that segued gives at once
const PERIODS = [
	["today", "Today"],
	["week", "Last 7 days"],
	["month", "Last 30 days"],
	["", "All time"],
];
const DAYS = { today: 0, week: 6, month: 29 };
const WORDS = [
	["", "Any outcome"],
	["transferred", "Transferred"],
	["answered", "Answered"],
	["abandoned", "Caller left"],
	["failed", "Not connected"],
];

const list = {
	key: null,
	rows: [],
	cursor: "",
	more: true,
	busy: false,
	error: "",
	fresh: 0, // conversations that have begun since, and are offered
};

/* ---- data ------------------------------------------------------------------------------------- */

const CASE = /^\s*case\s+(\S+)\s*$/i; // typed in the search

/* The parameters of the API for the filters in the address. */
export function filters(q, now) {
	const from = q.period in DAYS ? new Date(now) : null;
	if (from) {
		from.setHours(0, 0, 0, 0);
		from.setDate(from.getDate() - DAYS[q.period]);
	}
	const key = CASE.exec(q.q || "")?.[1];
	return {
		from: from ? from.toISOString() : "",
		queue: q.queue,
		agent: q.agent,
		number: key ? "" : /^[+\d*# ]+$/.test(q.q || "") ? q.q.replace(/ /g, "") : q.q,
		outcome: q.outcome,
		case: key || q.case,
	};
}

async function load(reset) {
	if (list.busy && !reset) return;
	const key = list.key;
	list.busy = true;
	try {
		const wanted = filters(app.route.query, time_now()),
			cursor = reset ? "" : list.cursor;
		const a = await api_get(
			`conversations${api_query({ ...wanted, limit: PAGE, cursor })}`,
		);
		if (key !== list.key) return;
		const items = a.conversations.map(log_row);
		list.rows = reset ? items : [...list.rows, ...items];
		list.cursor = a.next || "";
		list.more = !!list.cursor;
		list.error = "";
		if (reset) list.fresh = 0;
	} catch (e) {
		list.error = error_sentence(e);
	}
	list.busy = false;
	app.draw();
}

/* Calls have begun or ended: what is shown of those that went on is told anew, new ones are counted. Nothing moves. */
const watch = watcher(async () => {
	const key = list.key;
	if (app.route.place !== "log" || app.route.id || list.busy) return;
	const wanted = filters(app.route.query, time_now()),
		a = await api_get(`conversations${api_query({ ...wanted, limit: Math.min(MOST, Math.max(PAGE, list.rows.length)) })}`).catch(() => null);
	if (!a || key !== list.key || list.busy) return;
	const now = new Map(a.conversations.map(c => [c.id, c])),
		shown = new Set(list.rows.map(r => r.id));
	list.rows = list.rows.map(r => (!r.ended && now.has(r.id) ? log_row(now.get(r.id)) : r));
	if (!list.rows.length) return a.conversations.length ? load(true) : true; // nothing is there that could be pushed
	list.fresh = a.conversations.filter(c => !shown.has(c.id)).length;
});

/* A conversation as a line of the log. */
export function log_row(c) {
	const started = time_ms(c.started_at),
		ended = time_ms(c.ended_at);
	const visits = going_on({ ...c, ended, segments: c.segments || [] }).map(s => segment(s, ended ?? time_now(), name_of));
	return {
		...c,
		started,
		ended,
		customer: customer_name(c.customer),
		contact: c.customer?.name ? number_text(c.customer.number) : "",
		contact_number: c.customer?.number,
		segments: c.segments || [],
		bars: heard(visits, started, ended ?? time_now()),
		moved: visits.filter(v => v.transfer_in && v.answered).map(v => v.answered),
	};
}

/* Who had the customer, in order; and the tries that failed. */
function path_of(row) {
	const steps = [],
		tries = [];
	for (const s of row.segments) {
		const name = first(name_of(s.who, s.kind)) || number_text(s.number) || "?";
		if (s.answered_at || s.kind === "queue" || s.kind === "ivr")
			s.kind !== "consult" && steps.at(-1) !== name && steps.push(name);
		else if (s.ended_at && s.outcome !== "answered_elsewhere")
			tries.push(tried(name, s.outcome));
	}
	return { steps, tries };
}

/* ---- the page --------------------------------------------------------------------------------- */

function select(name, label, options) {
	const value = app.route.query[name] ?? "";
	return h(
		"select.pick",
		{
			class: value ? "on" : null,
			"aria-label": label,
			value,
			onchange: e => refine({ [name]: e.target.value }),
		},
		options.map(([v, word]) => h("option", { key: v, value: v }, word)),
	);
}

/* What is filtered by, as the lists say it. */
function filter_words(q) {
	const word = (list, key) => list.find(([v]) => v === q[key])?.[1];
	return [
		q.q && `“${q.q}”`,
		q.period && word(PERIODS, "period"),
		name_of(q.queue, "queue"),
		name_of(q.agent),
		q.outcome && word(WORDS, "outcome"),
		q.case && `case ${q.case}`,
	].filter(Boolean).join(", ");
}

let typing = 0;

function filter_bar(q) {
	const queues = [...app.store.queues.values()].map(x => [x.queue, x.name || x.queue]);
	const agents = [...app.store.agents.values()].map(x => [x.user, x.name || x.user]);
	return h(
		"div.filters",
		{ role: "search" },
		h(
			"label.field",
			null,
			icon("search"),
			h("span.sr", null, "Search the log"),
			h("input", {
				type: "search",
				id: "search",
				placeholder: "Name, number, case 20418",
				value: q.q || "",
				oninput: e => {
					clearTimeout(typing);
					const text = e.target.value;
					typing = setTimeout(() => refine({ q: text }), 250);
				},
			}),
		),
		h(
			"div.picks",
			null,
			select(
			"period",
			"Period",
			PERIODS.map(([v, w]) => [v, w]),
		),
		queues.length > 0 &&
			select("queue", "Department", [["", "Any department"], ...queues]),
		agents.length > 0 &&
			app.me.role !== "agent" &&
			select("agent", "Agent", [["", "Any agent"], ...agents]),
		select("outcome", "Outcome", WORDS),
			q.case &&
				h(
					"button.pick.on",
					{
						type: "button",
						"aria-label": `Case ${q.case}: take this filter off`,
						onclick: () => refine({ case: "" }),
					},
					`Case ${q.case}`,
					icon("x"),
				),
		),
		h("span.grow"),
		h(
			"a.btn",
			{
				href: api_url(
					`conversations.csv${api_query(filters(q, time_now()))}`,
				),
				download: "",
			},
			"Export CSV",
		),
	);
}

function flags(r) {
	return h(
		"td.flg",
		{ role: "cell" },
		r.notes > 0 &&
			h(
				"span",
				{ title: "Has notes" },
				icon("note"),
				h("span.sr", null, "has notes"),
			),
		r.recordings > 0 &&
			h(
				"span",
				{ title: "Recorded" },
				icon("record"),
				h("span.sr", null, "recorded"),
			),
	);
}

const drawn = new WeakMap();

/* What the customer heard; of a call that goes on, until now. */
function bars_of(r) {
	const raw = !r.ended && app.store.calls.get(r.call);
	return raw ? call_view(raw).bars(time_now()) : r.bars;
}

/* So far, of one that goes on. */
function talked(bars) {
	return bars.filter(b => b.state === "talking").reduce((n, b) => n + b.to - b.from, 0);
}

/* One line of a log; `slim` leaves out who the customer is. */
export function log_line(r, slim) {
	if (drawn.get(r)?.slim === !!slim && r.ended) return drawn.get(r).v;
	const { steps, tries } = path_of(r),
		[dir, word] = { outbound: ["out", "outgoing"], internal: ["inside", "internal"] }[
			r.kind
		] || ["in", "incoming"];
	const end = r.ended ?? time_now(),
		bars = bars_of(r);
	const v = h(
		"tr.whole",
		{ key: r.id, role: "row", onclick: e => e.target.closest("a") || go("log", r.id) },
		h(
			"td.at",
			{ role: "cell" },
			h(
				"span.dir.sub",
				null,
				icon(dir),
				h("span.sr", null, word),
				h(
					"time",
					{ datetime: new Date(r.started).toISOString() },
					slim
						? `${short_day(r.started, time_now())} ${at_minute(r.started)}`
						: at_minute(r.started),
				),
			),
		),
		!slim &&
			h(
				"td.cust",
				{ role: "cell" },
				h(
					"div.clip",
					null,
					h(
						"b",
						null,
						h(
							"a",
							{ href: route_text("log", r.id) },
							r.customer,
						),
					),
				),
				h("div.sub.clip.num", null, r.contact || "no contact yet"),
			),
		h(
			"td.pth",
			{ role: "cell" },
			h(
				"div.path",
				null,
				steps.length
					? steps.map((s, i) => [
							i > 0 && icon("next"),
							i === steps.length - 1
								? h(
										"b.clip",
										{ key: i },
										slim
											? h(
													"a",
													{
														href: route_text(
															"log",
															r.id,
														),
													},
													s,
												)
											: s,
									)
								: h("span", { key: i }, s),
						])
					: slim
						? h(
								"a",
								{ href: route_text("log", r.id) },
								"Nobody",
							)
						: h("span.sub", null, r.ended ? "nobody answered" : "nobody yet"),
			),
			tries.slice(-1).map(t => h("div.tried", null, icon("back"), t)),
		),
		h("td.so", { role: "cell" }, ribbon(bars, r.started, end, r.moved)),
		!slim && h("td.tlk.r", { role: "cell" }, lasted(r.ended ? r.talk_ms || 0 : talked(bars))),
		h(
			"td.len.r",
			{ role: "cell" },
			h("b", null, lasted(r.total_ms ?? end - r.started)),
		),
		h("td.out", { role: "cell" }, pill(outcome_of(r))),
		!slim && flags(r),
	);
	drawn.set(r, { slim: !!slim, v });
	return v;
}

/* "Today, Saturday 21 November · 14 conversations · 3 transferred"; `more`: not all are here yet. */
function day_line(d, n, moved, more) {
	const counted = `${n}${more ? "+" : ""} conversation${n === 1 ? "" : "s"}`;
	return [d, counted, moved > 0 && `${moved} transferred`].filter(Boolean).join(" · ");
}

function by_day(rows) {
	const out = [];
	let last = "";
	for (const r of rows) {
		const d = day(r.started, time_now());
		if (d !== last) {
			last = d;
			const same = rows.filter(x => day(x.started, time_now()) === d),
				moved = same.filter(
					x => outcome_of(x) === OUTCOMES.transferred,
				).length;
			out.push(
				h(
					"tr.day",
					{ key: `day-${d}`, role: "row" },
					h(
						"td",
						{ colspan: 8, role: "cell" },
						day_line(
							d,
							same.length,
							moved,
							list.more && same.at(-1) === rows.at(-1),
						),
					),
				),
			);
		}
		out.push(log_line(r));
	}
	return out;
}

/* Loads more when the end of the list comes into sight. */
const sentinel =
	"IntersectionObserver" in window
		? new IntersectionObserver(
				entries => {
					if (
						entries.some(e => e.isIntersecting) &&
						list.more &&
						!list.busy
					)
						load(false);
				},
				{ rootMargin: "600px" },
			)
		: null;

export function log_view() {
	const fresh = list.fresh; // offered, not pushed
	const q = app.route.query,
		key = JSON.stringify(q);
	if (list.key !== key) {
		Object.assign(list, {
			key,
			rows: list.key === null ? [] : list.rows,
			cursor: "",
			more: true,
			fresh: 0,
			error: "",
		});
		watch.begun();
		load(true);
	} else watch.look();
	const filtered = Object.values(q).some(Boolean);
	return {
		title: "Call log",
		body: [
			filter_bar(q),
			fresh > 0 &&
				h(
					"button.btn",
					{ key: "fresh", type: "button", onclick: () => load(true) },
					`${fresh}${fresh < PAGE ? "" : "+"} new`,
				),
			list.error &&
				h(
					"p.notice.bad",
					{ key: "error", role: "alert" },
					list.error,
					h(
						"button.btn",
						{
							type: "button",
							onclick: () => load(!list.rows.length),
						},
						"Try again",
					),
				),
			(list.rows.length || !list.error) &&
			h(
				"section.card.list",
				{ "aria-label": "Conversations" },
				list.rows.length
					? h(
							"table.calls.log",
							{ role: "table", "aria-label": "Call log" },
							h(
								"thead",
								{ role: "rowgroup" },
								h(
									"tr",
									{ role: "row" },
									h(
										"th.w-at",
										{
											role: "columnheader",
										},
										"Start",
									),
									h(
										"th.w-cust",
										{
											role: "columnheader",
										},
										"Customer",
									),
									h(
										"th",
										{
											role: "columnheader",
										},
										"Path",
									),
									h(
										"th.w-rib.so",
										{
											role: "columnheader",
										},
										"How it went",
									),
									h(
										"th.w-sum.w-tlk.r",
										{
											role: "columnheader",
										},
										"Talk",
									),
									h(
										"th.w-sum.r",
										{
											role: "columnheader",
										},
										"Total",
									),
									h(
										"th.w-out",
										{
											role: "columnheader",
										},
										"Outcome",
									),
									h(
										"th.w-flag",
										{
											role: "columnheader",
										},
										h(
											"span.sr",
											null,
											"Signs",
										),
									),
								),
							),
							h(
								"tbody",
								{ role: "rowgroup" },
								by_day(list.rows),
							),
						)
					: list.busy || !list.key
						? bones()
						: empty(
								filtered
									? `No conversation matches: ${filter_words(q)}.`
									: "No conversations yet. The first call appears here when it has begun.",
								filtered &&
									h(
										"button.btn",
										{
											type: "button",
											onclick: () =>
												go(
													"log",
												),
										},
										"Clear filters",
									),
							),
			),
			h(
				"div",
				{ key: "end", mount: el => sentinel?.observe(el) },
				list.busy && list.rows.length > 0
					? h("p.sub", null, "Loading more")
					: !list.more &&
							list.rows.length > PAGE &&
							h("p.sub", null, "That is all."),
			),
		],
	};
}
