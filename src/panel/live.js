/*
 * live: every live call, as the widget in the corner and as a page. A row is drawn anew only if its
 * call changed; figures that run are written once a second by tick().
 */
import { h, memo } from "./dom.js";
import {
	app,
	icon,
	pill,
	sign,
	since,
	left,
	ribbon,
	button,
	empty,
	bones,
	announce,
	alarm,
	complain,
	sheet,
	remember,
	remembered,
	refine,
	route_text,
	go,
	tick,
} from "./ui.js";
import { STATES, TILES, off_label, off_sentence, first, error_sentence, nth } from "./words.js";
import {
	call_view,
	why_not,
	main_verb,
	by_age,
	by_need,
	matches,
} from "./model.js";
import { span, time_now } from "./time.js";
import { api_get, api_once } from "./api.js";
import { name_of } from "./names.js";

export const DEAF_MS = 700; // a place whose verb has just changed does not hear clicks
const ENDED_MS = 3000,
	SOON_MS = 5000; // an estimate below is no figure to be held to
const ROW_PX = 57,
	SPARE = 10,
	ALL_ROWS = 100;
const DIRECTIONS = {
	inbound: ["in", "incoming"],
	outbound: ["out", "outgoing"],
	internal: ["inside", "internal"],
};

/* ---- the calls that are shown ----------------------------------------------------------------- */

const over = new Map(); // calls that have just ended, by id: {v, until}
const ended_here = new Set(); // calls that this page hung up
let frozen = null; // the order of the list while the pointer, or the keyboard's focus, is in it

/* A call that is not in the list any more: it ended, was joined with another, or left one's sight. */
function over_view(v, why) {
	const can = Object.fromEntries(["transfer", "move", "consult", "cancel", "hangup"].map(x => [x, why]));
	return { ...v, state: why, ended: time_now(), ended_here: ended_here.has(v.id), transfer: null, can };
}

const ended = n => `${n} calls ended.`;

/* Whether the end of a call is read out: one's own, the one that is open, and those of a list that is being read. */
function concerns(v) {
	return (
		v.with_id === app.me.user ||
		app.route.id === v.id ||
		!!document.activeElement?.closest(".calls.live, .dock ul")
	);
}

const RECORDED = { on: "is recorded", paused: "is not recorded for now", off: "is not recorded any more" };

/* What the media does with a call of one's own, or the one that is open, is read out. */
function told(was, v) {
	if (v.with_id !== app.me.user && app.route.id !== v.id) return;
	if (v.state === "held" && was.state === "talking") announce(`${v.customer} is on hold.`);
	if (v.state === "talking" && was.state === "held") announce(`${v.customer} is off hold.`);
	if (v.recording !== was.recording) announce(`The call of ${v.customer} ${RECORDED[v.recording] || "is recorded"}.`);
}

/* The store has a new state: what is gone stays for a moment, saying so. */
export function live_changed(before, now) {
	for (const [id, raw] of before.calls)
		if (!now.calls.has(id)) {
			const v = over_view(call_view(raw), now.gone.get(id) || "ended");
			over.set(id, { v, until: performance.now() + ENDED_MS });
			if (v.state === "ended" && !v.ended_here && concerns(v))
				announce(`The call of ${v.customer} has ended.`, ended);
		} else if (now.calls.get(id) !== raw) told(call_view(raw), call_view(now.calls.get(id)));
	if (over.size) setTimeout(app.draw, ENDED_MS + 50);
}

function busy_list() {
	return !!document.querySelector(".calls.live tbody:is(:hover, :has(:focus-visible))");
}

function all_calls() {
	const now = performance.now(),
		keep = busy_list();
	for (const [id, o] of over)
		if ((o.until < now && !keep) || app.store.calls.has(id)) {
			over.delete(id);
			ended_here.delete(id);
		}
	return [...app.store.calls.values()].map(call_view);
}

/* ---- verbs ------------------------------------------------------------------------------------ */

const ui = { sure: "", why: null, row: "", verbs: new Map(), sheet: false };
let timers = {};

function for_a_while(name, ms, undo) {
	clearTimeout(timers[name]);
	timers[name] = setTimeout(() => {
		undo();
		app.draw();
	}, ms);
	app.draw();
}

/* Modules that are fetched when they are first needed. */
let dialog = null, // transfer.js
	following = null, // follow.js
	card = null; // call.js

async function follow_load() {
	const m = await import("./follow.js");
	if (following) return;
	following = m;
	m.cards_restore();
	app.draw();
}

/* The store has changed: are there transfers to be followed? */
export function cards_changed() {
	if (following) following.cards_changed();
	else if (app.store.transfers.size || sessionStorage.getItem("segue.follow")) follow_load();
}

/* See follow.js. */
export function cards(form) {
	return following ? following.cards(form) : [];
}

function call_card(v) {
	if (card) return card.call_card(v);
	import("./call.js").then(m => {
		card = m;
		app.draw();
	});
	return null;
}

/* The dialog that chooses to whom the call goes; see transfer.js. */
export async function open_transfer(v, options) {
	try {
		[dialog] = await Promise.all([import("./transfer.js"), sheet("transfer.css"), follow_load()]);
	} catch {
		return complain("Not opened: no connection to segue.");
	}
	dialog.open(v, options);
}

export function dialog_changed() {
	dialog?.changed();
}

/* Says in the row why a button is off. */
function say_why(v, text) {
	ui.why = { id: v.id, text };
	announce(text);
	for_a_while("why", 4000, () => {
		ui.why = null;
	});
}

const asked = new Map(); // "CALL VERB" -> whether it is still on its way, or was answered a moment ago

/* Whether that verb is being asked for, or was just now: its place does not hear clicks. */
export const asking = (v, verb) => asked.has(`${v.id} ${verb}`);

/* Sends a verb; a refusal is said in the row, or at the lower edge. null: it was not done. */
export async function act(v, verb, body) {
	const what = `${v.id} ${verb}`;
	if (asked.get(what)) return null;
	asked.set(what, true);
	app.draw();
	const answered = () => {
		asked.delete(what);
		app.draw();
	};
	if (verb === "cancel" && v.transfer) following?.cancelled_here.add(v.transfer.id);
	try {
		const answer = await api_once(`calls/${v.id}/${verb}`, body ?? {});
		asked.set(what, false);
		setTimeout(answered, DEAF_MS);
		return answer ?? {};
	} catch (e) {
		const text = error_sentence(e);
		answered();
		if (document.querySelector(`.wide[data-main="${CSS.escape(v.id)}"]`)) say_why(v, text);
		else complain(text);
		alarm(text);
		return null;
	}
}

function deaf(v, verb) {
	const was = ui.verbs.get(v.id);
	if (!was || was.verb !== verb) {
		ui.verbs.set(v.id, { verb, at: was ? performance.now() : 0 });
		if (was)
			setTimeout(app.draw, DEAF_MS + 20);
		if (ui.verbs.size > 3000) ui.verbs.delete(ui.verbs.keys().next().value);
	}
}

function hears(v, verb) {
	const was = ui.verbs.get(v.id);
	return !was || !was.at || (was.verb === verb && performance.now() - was.at > DEAF_MS);
}

function do_verb(v, verb) {
	const code = why_not(v, verb);
	if (code) say_why(v, off_sentence(code, v));
	else if (verb === "transfer") open_transfer(v);
	else act(v, verb);
}

function do_main(v) {
	const verb = main_verb(v);
	if (hears(v, verb) && !asking(v, verb)) do_verb(v, verb);
}

function ask_hangup(v) {
	const code = why_not(v, "hangup");
	if (code) return say_why(v, off_sentence(code, v));
	const box = here();
	ui.sure = v.id;
	for_a_while("sure", 5000, () => {
		keep(v);
	});
	app.draw.now();
	box.querySelector(`[data-keep="${CSS.escape(v.id)}"]`)?.focus();
}

/* Where the focus is: a call may stand in the widget and in the page. */
const here = () => document.activeElement?.closest(".dock, .main") || document;

function keep(v) {
	if (ui.sure !== v.id) return;
	const had_focus = document.activeElement?.closest("[data-sure]"),
		box = here();
	ui.sure = "";
	clearTimeout(timers.sure);
	app.draw.now();
	if (had_focus) box.querySelector(`[data-end="${CSS.escape(v.id)}"]`)?.focus();
}

/* Its row goes: the focus moves on to the next one, or to the page. */
function move_on(v) {
	if (!document.activeElement?.closest("[data-sure]")) return;
	const rows = [...document.querySelectorAll(".calls.live tr[data-id]")],
		i = rows.findIndex(r => r.dataset.id === v.id);
	(rows[i + 1] || rows[i - 1] || document.querySelector(".main")).focus({ preventScroll: true });
}

async function hang_up(v) {
	move_on(v);
	ui.sure = "";
	clearTimeout(timers.sure);
	ended_here.add(v.id);
	app.draw();
	if (await act(v, "hangup")) announce(`The call of ${v.customer} was ended by you.`);
	else ended_here.delete(v.id);
}

const MAIN = {
	transfer: { word: "Transfer", sign: "transfer" },
	cancel: { word: "Cancel", sign: "x" },
	complete: { word: "Hand over", sign: "consult" },
};

/* The one button whose verb follows the call's state. */
function main_button(v, { wide, tab } = {}) {
	const verb = main_verb(v),
		m = MAIN[verb];
	deaf(v, verb);
	const code = why_not(v, verb),
		says = wide && ui.why?.id === v.id && ui.why.text, // stands there for a moment
		label = v.ended_here ? "Ended by you" : code ? off_label(code) : m.word;
	const name = code
		? `Transfer ${v.customer}: ${label.toLowerCase()}`
		: verb === "transfer"
			? `Transfer ${v.customer}`
			: `${m.word}: ${v.customer}`;
	return button(
		{
			class: says ? "wide says" : wide ? "wide" : "icon",
			key: "main",
			"aria-label": name,
			"data-main": v.id,
			"aria-busy": hears(v, verb) && !asking(v, verb) ? null : "true",
			tabindex: tab,
			title: wide
				? verb === "transfer"
					? "Move this call to somebody else (T)"
					: null
				: name,
			off: says || (code && (wide ? label : icon(m.sign))),
			why: says || (code && off_sentence(code, v)),
			onoff: why => say_why(v, why),
			onclick: () => do_main(v),
		},
		icon(m.sign),
		wide && m.word,
	);
}

function end_button(v, tab) {
	const code = why_not(v, "hangup");
	return button(
		{
			class: "icon end",
			key: "end",
			"aria-label": `Hang up: ${v.customer}`,
			"data-end": v.id,
			tabindex: tab,
			title: "Hang up (X)",
			off: code && icon("end"),
			why: code && off_sentence(code, v),
			onoff: why => say_why(v, why),
			onclick: () => ask_hangup(v),
		},
		icon("end"),
	);
}

function sure(v) {
	// Keep stands where the first click was, and gets the focus
	return h(
		"div.acts",
		{
			"data-sure": "",
			key: "sure",
			onkeydown: e => {
				if (e.key === "Escape") {
					e.stopPropagation();
					keep(v);
				}
			},
		},
		h(
			"button.btn.end",
			{
				type: "button",
				key: "yes",
				onclick: () => hang_up(v),
				"aria-label": `End call of ${v.customer}`,
			},
			"End call",
		),
		h(
			"button.btn",
			{
				type: "button",
				key: "keep",
				"data-keep": v.id,
				onclick: () => keep(v),
				"aria-label": `Keep call of ${v.customer}`,
			},
			"Keep",
		),
	);
}

/* Transfer and Hang up of a call, or the question whether to end it, or why a button is off. */
export function actions(v, options = {}) {
	if (ui.sure === v.id && !v.ended) return sure(v);
	return h(
		"div.acts",
		{ key: "acts" },
		main_button(v, options),
		end_button(v, options.tab),
	);
}

/* ---- what a row says -------------------------------------------------------------------------- */

/* With whom, and what goes on besides. */
function with_lines(v) {
	const t = v.transfer && !v.transfer.outcome ? v.transfer : null;
	if (v.state === "queued")
		return [
			v.queue
				? `${v.queue.title}${v.queue.position ? `, ${nth(v.queue.position)} in line` : ""}`
				: v.with,
			v.queue?.estimate_ms >= SOON_MS
				? `agent in about ${span(v.queue.estimate_ms)}`
				: v.queue?.estimate_ms >= 0
					? "agent in a moment"
					: "waiting for an agent",
		];
	if (v.state === "consulting") return [v.with, t ? `asks ${t.target}` : "asks somebody"];
	if (t && t.ring_until)
		return [
			v.with || "nobody",
			h(
				"span.c-move",
				null,
				["asked", "calling"].includes(t.stage) ? `calling ${first(t.target)}, ` : `${first(t.target)} rings, `,
				left(t.ring_until),
				" s left",
			),
		];
	if (t) return [v.with || "nobody", h("span.c-move", null, `to ${t.target}`)];
	if (v.state === "menu") return [v.with || "Menu", "choosing"];
	const own = app.store.agents.get(v.with_id)?.queues?.[0]; // of a call that came through no queue
	return [
		v.with || (v.state === "ringing" ? "nobody yet" : ""),
		v.department || name_of(own, "queue"),
	];
}

function direction(v) {
	const [name, word] = DIRECTIONS[v.dir] || DIRECTIONS.inbound;
	return h(
		"span.dir.sub",
		null,
		icon(name),
		h("span.sr", null, word),
		h("span.clip", null, v.number || "no contact yet"),
	);
}

function duration(v) {
	const word = v.state === "ended" ? "Ended" : "after";
	return v.ended
		? h("span.sub", null, `${word} `, h("span.num", null, span(v.ended - v.started)))
		: since(v.started);
}

const row_memo = memo();

function row(v, i, current, second) {
	const marks = ui.sure === v.id ? "sure" : ui.why?.id === v.id ? ui.why.text : "";
	const deps = [v, i, current, second, marks, app.route.id === v.id, hears(v, main_verb(v)) && !asking(v, main_verb(v))];
	return row_memo(v.id, deps, () => {
		const state = STATES[v.state] || STATES.talking,
			[who, more] = with_lines(v);
		const open = v.transfer && !v.transfer.outcome,
			tab = current ? 0 : -1;
		return h(
			"tr",
			{
				key: v.id,
				role: "row",
				"data-id": v.id,
				tabindex: tab,
				"aria-rowindex": i + 2,
				"aria-label": `${v.customer}: ${state.word}${typeof who === "string" && who ? `, ${who}` : ""}`,
				class:
					[
						open || app.route.id === v.id ? "sel" : "",
						v.ended ? "over" : "",
					]
						.join(" ")
						.trim() || null,
			},
			h(
				"td.st",
				{
					role: "cell",
					title: v.ended
						? null
						: `${state.word} for ${span(time_now() - v.since)}`,
				},
				pill(state),
			),
			h(
				"td.cust",
				{ role: "cell" },
				h("div.clip", null, h("b", null, v.customer)),
				direction(v),
			),
			h(
				"td.with",
				{ role: "cell" },
				h("div.clip", null, who),
				h("div.sub.clip", null, more, v.recovered && " · kept over a restart"),
			),
			h(
				"td.so",
				{ role: "cell" },
				ribbon(
					v.bars(v.ended || time_now()),
					v.started,
					v.ended || time_now(),
				),
			),
			h("td.len.r.dur", { role: "cell" }, duration(v)),
			h("td.act", { role: "cell" }, actions(v, { wide: true, tab })),
		);
	});
}

/* ---- the page --------------------------------------------------------------------------------- */

function counted(v, tile) {
	return tile === "all" || STATES[v.state]?.tile === tile;
}

function tiles(all, chosen) {
	return h(
		"div.tiles",
		{ role: "group", "aria-label": "Show only" },
		TILES.map(t => {
			const mine = all.filter(v => counted(v, t.id));
			const oldest = Math.min(
				...mine.map(v => (t.id === "all" ? v.started : v.since)),
			);
			const ring =
				t.id === "transferring" &&
				mine.find(v => v.transfer?.ring_until && !v.transfer.outcome);
			return h(
				"button.tile",
				{
					key: t.id,
					type: "button",
					"aria-pressed": chosen === t.id,
					onclick: () =>
						refine({
							state:
								t.id === "all" || chosen === t.id
									? ""
									: t.id,
						}),
				},
				h(
					"span",
					{ class: t.tone ? `c-${t.tone}` : null },
					icon(t.sign),
					t.word,
				),
				h(
					"b",
					null,
					String(mine.length),
					mine.length > 0 &&
						t.id !== "all" &&
						h(
							"small",
							null,
							ring
								? [
										left(
											ring
												.transfer
												.ring_until,
										),
										" s left",
									]
								: ["longest ", since(oldest, true)],
						),
				),
			);
		}),
	);
}

/* Rows do not move under the pointer: while it is there the order stays, new ones are appended. */
function ordered(list) {
	list.sort(by_age);
	if (busy_list() && frozen) {
		const at = new Map(frozen.map((id, i) => [id, i]));
		list.sort((a, b) => (at.get(a.id) ?? 1e9) - (at.get(b.id) ?? 1e9) || by_age(a, b));
	}
	frozen = list.map(v => v.id);
	return list;
}

/* Above ALL_ROWS only what can be seen is in the document; spacers keep the length. */
let tall = ROW_PX; // from one row to the next, as it is at this width

function visible(n) {
	const main = document.querySelector(".main"),
		body = document.querySelector(".calls.live tbody");
	if (n <= ALL_ROWS || !main || !body) return [0, Math.min(n, ALL_ROWS)];
	const [one, two] = body.querySelectorAll("tr[data-id]");
	if (two) tall = two.offsetTop - one.offsetTop || ROW_PX;
	const above = main.getBoundingClientRect().top - body.getBoundingClientRect().top;
	const start = Math.max(0, Math.floor(above / tall) - SPARE);
	return [
		Math.min(start, n - 1),
		Math.min(n, start + Math.ceil(main.clientHeight / tall) + 2 * SPARE),
	];
}

/* Brings row i into sight, so that it exists. */
function scroll_to(i) {
	const main = document.querySelector(".main"),
		body = document.querySelector(".calls.live tbody");
	const top = body.getBoundingClientRect().top - main.getBoundingClientRect().top;
	main.scrollTop += top + i * tall - main.clientHeight / 2;
}

function spacer(key, rows) {
	return (
		rows > 0 &&
		h(
			"tr.gap",
			{ key, "aria-hidden": "true" },
			h("td", {
				colspan: 6,
				style: { height: `${rows * tall}px`, padding: "0" },
			}),
		)
	);
}

function move_row(step, list) {
	const i = Math.max(
		0,
		list.findIndex(v => v.id === ui.row),
	);
	const to =
		list[
			Math.min(
				list.length - 1,
				Math.max(
					0,
					step === "Home"
						? 0
						: step === "End"
							? list.length - 1
							: i + step,
				),
			)
		];
	if (!to) return;
	ui.row = to.id;
	if (list.length > ALL_ROWS && !document.querySelector(`tr[data-id="${CSS.escape(to.id)}"]`))
		scroll_to(list.indexOf(to));
	app.draw.now();
	document.querySelector(`tr[data-id="${CSS.escape(to.id)}"]`)?.focus();
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: "Home", End: "End" };

function keys(list) {
	return e => {
		const id = e.target.closest("tr[data-id]")?.dataset.id;
		const v = list.find(x => x.id === id);
		if (e.key in STEPS) {
			e.preventDefault();
			move_row(STEPS[e.key], list);
		} else if (e.key === "Enter" && e.target.matches("tr") && v) {
			go("live", v.id, app.route.query);
		} else if (v && app.letters() && !e.ctrlKey && !e.metaKey && !e.altKey) {
			const k = e.key.toLowerCase();
			if (k === "t" || k === "c") {
				// a key says what it means: it need not wait until a place stands still
				e.preventDefault();
				do_verb(v, k === "t" ? "transfer" : "cancel");
			} else if (k === "x") {
				e.preventDefault();
				ask_hangup(v);
			}
		}
	};
}

function table(list) {
	const [from, to] = visible(list.length),
		second = Math.floor(time_now() / 5000);
	if (!list.some(v => v.id === ui.row)) ui.row = list[0]?.id || "";
	return h(
		"table.calls.live",
		{
			role: "table",
			"aria-label": "Live calls",
			"aria-rowcount": list.length + 1,
			onkeydown: keys(list),
			onfocusin: e => {
				const id = e.target.closest("tr[data-id]")?.dataset.id;
				if (id && id !== ui.row) {
					ui.row = id;
					app.draw();
				}
			},
			onclick: e => {
				const id = e.target.closest("tr[data-id]")?.dataset.id;
				if (id && !e.target.closest("button"))
					go("live", app.route.id === id ? "" : id, app.route.query);
			},
		},
		h(
			"thead",
			{ role: "rowgroup" },
			h(
				"tr",
				{ role: "row" },
				h("th.w-state", { role: "columnheader" }, "State"),
				h("th", { role: "columnheader" }, "Customer"),
				h("th", { role: "columnheader" }, "With"),
				h("th.w-so.so", { role: "columnheader" }, "So far"),
				h("th.w-dur.r", { role: "columnheader" }, "Duration"),
				h(
					"th.w-act",
					{ role: "columnheader" },
					h("span.sr", null, "Actions"),
				),
			),
		),
		h(
			"tbody",
			{ role: "rowgroup" },
			spacer("above", from),
			list
				.slice(from, to)
				.map((v, i) =>
					row(v, from + i, v.id === ui.row, v.ended ? 0 : second),
				),
			spacer("below", list.length - to),
		),
	);
}

function search_field() {
	return h(
		"label.field",
		null,
		icon("search"),
		h("span.sr", null, "Search live calls"),
		h("input", {
			type: "search",
			id: "search",
			placeholder: "Name, number, agent or case",
			value: app.route.query.q || "",
			oninput: e => refine({ q: e.target.value }),
		}),
	);
}

/* A call whose address was opened, and that this viewer does not see: the server says why. */
const denied = { id: "", seen: "", text: "" };

async function ask_why_not(id) {
	Object.assign(denied, { id, text: "" });
	try {
		await api_get(`calls/${encodeURIComponent(id)}`);
		return; // it comes with the next change
	} catch (e) {
		if (denied.id !== id) return;
		denied.text =
			e.status === 403 && app.me.role === "agent"
				? "This call is not one of yours. Agents see the calls that they are on."
				: error_sentence(e);
	}
	app.draw();
}

function denied_card(id) {
	if (denied.seen === id) return null; // it was here, and is over
	if (denied.id !== id) ask_why_not(id);
	return (
		denied.text &&
		h(
			"section.card.follow",
			{ key: "denied", "aria-label": "Call not shown" },
			h(
				"header",
				null,
				h("h2", null, "Call not shown"),
				h("span.grow"),
				h(
					"button.btn.bare.icon",
					{
						type: "button",
						"aria-label": "Close",
						onclick: () => go("live", "", app.route.query),
					},
					icon("x"),
				),
			),
			h("div.in", null, h("p", { role: "status" }, denied.text)),
		)
	);
}

export function live_view() {
	const q = app.route.query,
		chosen = q.state || "all";
	if (!app.store.ready)
		return {
			title: "Live calls",
			extra: search_field(),
			body: h("div.card", null, bones()),
		};
	const all = all_calls();
	const list = ordered(
		[...all, ...[...over.values()].map(o => o.v)].filter(
			v =>
				(counted(v, chosen) || (v.ended && chosen === "all")) &&
				(!q.q ||
					matches(q.q, [
						v.customer,
						v.number,
						v.with,
						v.target,
						v.case_key,
						v.department,
					])),
		),
	);
	const open = app.route.id && all.find(v => v.id === app.route.id);
	if (open) denied.seen = open.id;
	const side = [
		open ? call_card(open) : app.route.id && denied_card(app.route.id),
		cards(),
	].flat().filter(Boolean);
	return {
		title: "Live calls",
		extra: search_field(),
		body: [
			tiles(all, chosen),
			h(
				"div.split",
				{ class: side.length ? "two" : null },
				h(
					"section.card.list",
					{ "aria-label": "Live calls" },
					list.length
						? table(list)
						: all.length
							? empty(
									"No live call matches.",
									h(
										"button.btn",
										{
											type: "button",
											onclick: () =>
												refine(
													{
														q: "",
														state: "",
													},
												),
										},
										"Show all",
									),
								)
							: empty(
									"No calls right now. The next call appears here within a second.",
								),
				),
				side.length > 0 && h("div.stack", null, side),
			),
		],
	};
}

/* ---- the widget ------------------------------------------------------------------------------- */

const WIDGET_ROWS = 6;
const widget_memo = memo();

function widget_row(v, second) {
	const marks = ui.sure === v.id ? "sure" : ui.why?.id === v.id ? ui.why.text : "";
	return widget_memo(v.id, [v, second, marks, hears(v, main_verb(v)) && !asking(v, main_verb(v))], () => {
		const t = v.transfer && !v.transfer.outcome ? v.transfer : null;
		return h(
			"li",
			{ key: v.id },
			sign(STATES[v.state] || STATES.talking),
			h(
				"div",
				null,
				h("div.clip", null, h("b", null, v.customer)),
				h(
					"div.sub",
					null,
					h(
						"span.clip",
						null,
						marks && marks !== "sure"
							? marks
							: t
								? v.state === "consulting" && t.stage !== "ringing"
									? `asks ${first(t.target)}`
									: t.ring_until
										? [`${first(t.target)}, `, left(t.ring_until), " s"]
										: `to ${first(t.target)}`
								: v.state === "queued" && v.queue
									? v.queue.title
									: first(v.with) ||
										"nobody yet",
					),
					since(v.started),
				),
			),
			actions(v),
		);
	});
}

export function widget() {
	const narrow = matchMedia("(max-width: 1000px)").matches; // a sheet there: it opens when it is asked for
	const open =
		app.route.place !== "live" &&
		(narrow ? ui.sheet : remembered("widget", "open") === "open");
	const all = app.store.ready ? [...app.store.calls.values()].map(call_view) : [];
	const second = Math.floor(time_now() / 5000);
	const longest = Math.min(...all.map(v => v.started));
	return h(
		"section.dock",
		{ "aria-label": "Live calls, the short list" },
		h(
			"button",
			{
				type: "button",
				"aria-expanded": open,
				onclick: () => {
					if (app.route.place === "live")
						return document
							.querySelector(
								".calls.live tr[tabindex='0']",
							)
							?.focus();
					if (narrow) ui.sheet = !open;
					else remember("widget", open ? "shut" : "open");
					app.draw();
				},
			},
			h("span.n.num", { class: all.length ? null : "none" }, String(all.length)),
			all.length ? "Live calls" : "No live calls",
			all.length > 0 && h("span.sub", null, h("span.long", null, "longest "), since(longest, true)),
			all.length > 0 && icon(open ? "down" : "up"),
		),
		open &&
			all.length > 0 &&
			h(
				"ul",
				null,
				all
					.sort(by_need(time_now()))
					.slice(0, WIDGET_ROWS)
					.map(v => widget_row(v, second)),
			),
		open &&
			all.length > 0 &&
			h(
				"a.all",
				{ href: route_text("live") },
				all.length > 1 ? `All ${all.length} live calls` : "Open live calls",
			),
	);
}
