/*
 * follow: the cards of transfers that run, and of those that have just ended. A card belongs to a
 * transfer that this user asked for, here or elsewhere. It survives a reload because it is drawn from
 * what the server says, and what failed stays until it was read.
 */
import { h } from "./dom.js";
import { app, icon, face, pill, left, announce, alarm, complain, copy, route_text } from "./ui.js";
import {
	STATES,
	stage_sentence,
	outcome_sentence,
	answered_sentence,
	chain_text,
	first,
	error_sentence,
} from "./words.js";
import { call_view, transfer_view, why_not, why_not_sent, may } from "./model.js";
import { dial } from "./dial.js";
import { name_of, target_name } from "./names.js";
import { at_second, time_now } from "./time.js";
import { api_get, api_once, api_query } from "./api.js";
import { act, asking, open_transfer, DEAF_MS } from "./live.js";

const SUCCESS_MS = 8000,
	LATE_MS = 300,
	WATCH_MS = 15 * 60000, // so long it is told who answered a caller that was sent into a queue
	KEPT = 20,
	STORED = "segue.follow";
export const cancelled_here = new Set(); // transfers that this page called off

/*
 * transfer id -> its card: v, the call as last seen; t, the transfer; customer, as it was called at
 * first; done, how it ended (outcome_sentence()); shut, it is not shown any more.
 */
const cards_by_id = new Map();

/* ---- what is kept over a reload ---------------------------------------------------------------- */

function keep() {
	const list = [...cards_by_id]
		.filter(([, w]) => w.v && !w.shut)
		.map(([id, w]) => ({ id, call: w.v.id, customer: w.customer, owner: w.t?.owner || "" }));
	try {
		sessionStorage.setItem(STORED, JSON.stringify(list));
	} catch {
		// a browser that keeps nothing: the log still has it
	}
}

/* Cards of before the reload. Called when the first snapshot is here. */
export function cards_restore() {
	let list = [];
	try {
		list = JSON.parse(sessionStorage.getItem(STORED) || "[]");
	} catch {
		return;
	}
	for (const { id, call, customer, owner } of list) {
		const raw = app.store.calls.get(call);
		const v = raw ? call_view(raw) : { id: call, customer, with: "", can: {}, parties: [], raw: null };
		if (!cards_by_id.has(id)) cards_by_id.set(id, { v, customer, t: { id, call, owner, stage: "" } });
	}
	cards_changed();
}

/* This page asked for that transfer (as the API shows it) of that call. */
export function follow(v, raw, fallback) {
	if (!raw?.id || cards_by_id.has(raw.id)) return;
	cards_by_id.set(raw.id, { v, customer: v.customer, t: transfer_view(raw, v.raw), fallback });
	cards_changed();
	app.draw();
}

/* ---- how it goes on ---------------------------------------------------------------------------- */

function fade(w) {
	setTimeout(() => {
		w.shut = true;
		keep();
		app.draw();
	}, SUCCESS_MS);
}

/* Who called it off, and the place in a queue, are told a moment after the outcome. */
function is_half(x) {
	return x.outcome === "cancelled"
		? !x.by
		: x.outcome === "completed" && x.target_kind === "queue" && !x.position;
}

function finish(w) {
	const x = facts(w),
		o = outcome_sentence(x);
	if (w.done) return;
	if (!w.late && is_half(x)) {
		w.late = setTimeout(() => {
			finish(w);
			app.draw();
		}, LATE_MS);
		return;
	}
	w.done = o;
	if (!w.shut) (o.tone === "bad" ? alarm : announce)(`${o.text} ${o.more}`.trim());
	if (o.tone === "ok") fade(w);
	if (o.tone === "ok" && w.t.target_kind === "queue") w.entered = time_now();
}

/* Who was sent into a queue: has somebody answered? */
function watch(w) {
	const raw = app.store.calls.get(w.v.id),
		v = raw && call_view(raw);
	if (!v || v.state === "ended" || time_now() - w.entered > WATCH_MS) {
		w.entered = 0;
		return;
	}
	w.waits ||= v.state === "queued";
	if (w.waits && v.queue?.position && !w.placed) {
		w.placed = true;
		w.done = outcome_sentence(facts(w));
	}
	if (v.state !== "talking" || !v.with || (!w.waits && v.with_id === w.t.owner_user)) return;
	const text = answered_sentence({
		with: v.with,
		customer: w.customer,
		waited: time_now() - w.entered,
		target: w.t.target,
	});
	w.done = { ...w.done, text, more: "", offer: [] };
	w.entered = 0;
	w.shut = false;
	announce(text);
	fade(w);
}

/* The caller is taken along a chain: how far it is now. */
function go_on(w) {
	const o = outcome_sentence(facts(w));
	if (o.text === w.done.text) return;
	if (!o.text.startsWith(w.done.text.slice(0, -1))) announce(o.text); // a place in line is no news
	w.done = o;
}

/* A transfer that a snapshot no longer has: how did it end? */
async function ask(id, w) {
	w.asking = true;
	try {
		const raw = await api_get(`transfers/${id}`);
		if (!w.done) { // else this answer is older than what the stream has told meanwhile
			const t = transfer_view(raw, w.v.raw);
			w.t = { ...w.t, ...t, owner: w.t.owner || t.owner };
			if (raw.outcome) finish(w);
		}
	} catch {
		w.shut = true; // the server does not know it any more; the log does
	}
	w.asking = false;
	app.draw();
}

/* What would become of the caller: asked for once, for cards that this page did not open. */
async function ask_chain(w) {
	w.fallback = {};
	try {
		const number = w.t.target_number || w.t.target;
		w.fallback = (await api_get(`calls/${w.v.id}/targets${api_query({ number })}`)).fallback || {};
	} catch {
		return; // the card says all the rest
	}
	app.draw();
}

/* Once it has ended the call may be the target's, or have no owner: then who had it before counts. */
function take(w, raw, call) {
	const t = transfer_view(raw, call || w.v.raw),
		was = w.t || {},
		had = (raw.outcome && was.owner) || !t.owner ? was : t;
	w.t = {
		...t,
		owner: had.owner || "",
		owner_user: had.owner_user || "",
		owner_since: (had === t && t.owner_since) || was.owner_since,
	};
	if (raw.outcome) finish(w);
}

/* The store has changed: picks up transfers that run, and outcomes. */
export function cards_changed() {
	for (const raw of app.store.transfers.values()) {
		const call = app.store.calls.get(raw.call);
		let w = cards_by_id.get(raw.id);
		if (!w && !raw.outcome && call && raw.asker === app.me?.user)
			cards_by_id.set(raw.id, (w = { customer: call_view(call).customer }));
		if (!w || w.done) continue;
		if (w.from === raw && w.call === call) continue;
		w.from = raw;
		w.call = call;
		if (call) w.v = call_view(call);
		if (w.v) take(w, raw, call);
	}
	for (const [id, w] of cards_by_id) {
		const raw = app.store.calls.get(w.t?.call);
		if (w.entered) watch(w);
		if (w.done && w.t.outcome === "fell_back" && !w.shut) go_on(w);
		if (
			!w.done &&
			!w.asking &&
			w.v &&
			raw?.transfer?.id !== id &&
			!app.store.transfers.get(id)?.outcome
		)
			ask(id, w);
		if (w.shut && !w.entered && cards_by_id.size > KEPT) cards_by_id.delete(id);
	}
	if (cards_by_id.size) keep();
}

/* How far the chain behind a transfer has come: [the word of the ledger for the step, its transfer]. */
function last_step(t) {
	let step = "",
		next = null;
	for (let x = t; x?.outcome === "fell_back"; x = next) {
		step = x.cause;
		next = app.store.transfers.get(x.next);
	}
	return [step, next];
}

function cancelled_by(id) {
	const actor = app.store.cancelled.get(id);
	if (actor === "ctl") return "An operator";
	return cancelled_here.has(id) || (actor && actor === app.me?.user)
		? "You"
		: first(name_of(actor, "user"));
}

function facts(w) {
	const { v, t } = w,
		[step, next] = last_step(t),
		raw = app.store.calls.get(v.id);
	const kept = t.outcome === "failed" || t.outcome === "cancelled";
	return {
		...t,
		customer: w.customer,
		by: cancelled_by(t.id),
		fallback_kind: step,
		owner_for: t.owner_since && t.ended ? t.ended - t.owner_since : 0,
		talk_on: t.kind === "consult" && t.answered && raw && !raw.ended_at,
		position: raw?.queue?.position || t.position,
		has: next
			? target_name(next.target)
			: kept
				? t.owner || v.with
				: "",
	};
}

/* ---- drawing ---------------------------------------------------------------------------------- */

const NO_DIAL = new Set(["consulting", "queued", "swapped"]);

function clock_face(t) {
	if (!t.ring_until || NO_DIAL.has(t.stage)) return null;
	return h(
		"div.dial",
		null,
		h(
			"svg",
			{ viewBox: "0 0 112 112", "aria-hidden": "true" },
			h("circle.track", { cx: 56, cy: 56, r: 51 }),
			h("circle.left", {
				cx: 56,
				cy: 56,
				r: 51,
				pathLength: 100,
				"stroke-dasharray": 100,
				transform: "rotate(-90 56 56)",
				"data-ring": `${t.ring_from} ${t.ring_until}`,
			}),
		),
		h("div", null, h("b", null, left(t.ring_until)), h("span.sub", null, "seconds left")),
	);
}

/* Each party and what it hears now: [name, what it hears, state]. */
function hearing(customer, t) {
	const target = first(t.target),
		owner = first(t.owner),
		music = t.talks
			? [customer, `talks with ${owner}`, "talking"]
			: [customer, "hears music", "held"];
	const steps = { asked: "is next", calling: "is called" };
	switch (t.stage) {
		case "consulting":
			return [
				music,
				[t.owner, `talks with ${target}`, "consulting"],
				[t.target, `talks with ${owner}`, "consulting"],
			];
		case "swapped":
			return [
				[customer, `talks with ${owner}`, "talking"],
				[t.owner, "talks with the customer", "talking"],
				[t.target, "hears music", "held"],
			];
		case "queued":
			return [
				[customer, "hears music", "queued"],
				!t.owner_left && [t.owner, "is still on the line", "held"],
				[t.target, "the caller waits here", "queued"],
			];
		case "joining":
			return [
				[customer, "is being connected", "joining"],
				[t.owner, "leaves now", "held"],
				[t.target, "answered", "joining"],
			];
		default:
			return [
				t.stage === "asked" ? [customer, "is put on hold", "holding"] : music,
				!t.owner_left && [
					t.owner,
					t.kind === "consult" ? "hears it ring" : "leaves on answer",
					t.kind === "consult" ? "ringing" : "holding",
				],
				[t.target, steps[t.stage] || "rings", steps[t.stage] ? "dialling" : "ringing"],
			];
	}
}

const SQUARE = { queue: "department", ivr: "menu", external: "number" };

function parties(w) {
	return h(
		"ul.parties",
		{ "aria-label": "Who hears what" },
		hearing(w.customer, w.t)
			.filter(p => p && p[0])
			.map(([name, says, state], i) =>
				h(
					"li",
					{ key: i },
					face(name, { sign: name === w.t.target && SQUARE[w.t.target_kind] }),
					h(
						"div",
						null,
						h("div.clip", null, h("b", null, name)),
						h("div.sub", null, says),
					),
					pill(STATES[state]),
				),
			),
	);
}

/* What happens if the target does not take it: who keeps the caller, and the chain behind that. */
function otherwise(w) {
	const t = w.t,
		chain = chain_text(w.fallback?.[t.target_kind], name_of),
		owner = first(t.owner) || "the agent";
	if (!w.fallback && w.v.raw) ask_chain(w);
	if (NO_DIAL.has(t.stage) || t.stage === "joining" || t.target_kind === "queue") return null;
	return h(
		"p.sub.else",
		null,
		h("b", null, `If ${first(t.target)} does not answer`),
		t.owner_left ? "" : `${owner} keeps the call. `,
		chain && `If ${owner} has gone: ${chain}.`,
	);
}

const RETRY = new Set(["calling", "ringing", "accepted", "queued", "recall", "chain"]);
const VERBS = [
	["complete", "Hand over", "consult"],
	["swap", "Swap", "swap"],
	["cancel", "Cancel", "x"],
	["resume", "Take back", "back"],
];

/* Which buttons the table allows now. */
function allowed(w) {
	const list = VERBS.filter(([verb]) => !why_not(w.v, verb) && w.t.stage !== "joining");
	// to take the caller back is to cancel, as long as the agent is there
	const drop = w.t.owner_left ? "cancel" : "resume",
		other = w.t.owner_left ? "resume" : "cancel";
	const verbs = list.filter(([verb]) => verb !== drop || !list.some(([x]) => x === other));
	const again = RETRY.has(w.t.stage) && (!why_not(w.v, "cancel") || !why_not_sent(w.v));
	return again ? [...verbs, ["retry"]] : verbs;
}

/* A place whose verb changes does not hear clicks for a moment. */
function deaf(w, list) {
	const shape = list.map(([verb]) => verb).join(" ");
	if (w.shape !== undefined && w.shape !== shape) {
		w.deaf = performance.now() + DEAF_MS;
		setTimeout(app.draw, DEAF_MS + 20);
	}
	w.shape = shape;
	return w.deaf > performance.now() || list.some(([verb]) => asking(w.v, verb));
}

function buttons(w) {
	const list = allowed(w),
		busy = deaf(w, list);
	const say = (verb, word, sign, onclick) =>
		h(
			"button.btn",
			{
				key: verb,
				type: "button",
				"aria-label": `${word}: ${w.customer}`,
				onclick: () => w.deaf > performance.now() || asking(w.v, verb) || onclick(),
			},
			icon(sign),
			word,
		);
	return (
		list.length > 0 &&
		h(
			"div.do",
			{ key: "do", "aria-busy": busy || null },
			list.map(([verb, word, sign]) =>
				verb === "retry"
					? say("another", "Try another", "transfer", () => another(w))
					: say(verb, word, sign, () => act(w.v, verb)),
			),
		)
	);
}

function another(w, typed) {
	const raw = app.store.calls.get(w.v.id);
	if (!raw) return;
	if (w.done) dismiss(w);
	open_transfer(call_view(raw), { retry: !w.done, typed });
}

function ids(w) {
	const id = w.v.id;
	return h(
		"div.ids",
		null,
		"Call id",
		h("span.grow"),
		h("code", null, id),
		h(
			"button.btn.bare.icon",
			{
				type: "button",
				"aria-label": `Copy the call id of ${w.customer}`,
				title: "Copy the call id",
				onclick: () => copy(id, "Call id"),
			},
			icon("copy"),
		),
	);
}

function running(id, w) {
	const t = w.t,
		by = t.asker === app.me?.user ? "you" : name_of(t.asker) || "a phone",
		how = t.kind === "consult" ? "asking first" : "without asking first";
	return h(
		"section.card.follow",
		{ key: id, "data-call": w.v.id, "aria-label": `${w.customer} to ${t.target}`, onkeydown: e => keys(e, w) },
		h(
			"header",
			null,
			h(
				"div",
				null,
				h("h2", null, `${w.customer} to ${t.target}`),
				h("p.sub", null, `Sent by ${by} at ${at_second(t.asked)}, ${how}`),
			),
		),
		h("div.stage", null, clock_face(t), h("p.say", null, stage_sentence(facts(w)))),
		parties(w),
		buttons(w),
		otherwise(w),
		ids(w),
	);
}

function dismiss(w) {
	w.shut = true;
	keep();
	app.draw();
}

/* Sends the call somewhere without the dialog; what is refused is said. */
async function send(w, number, what) {
	try {
		const v = w.v,
			answer = await api_once(`calls/${v.id}/transfer`, { number, kind: "blind" });
		dismiss(w);
		follow(v, answer, w.fallback);
	} catch (e) {
		complain(error_sentence(e, { target: what, customer: w.customer }));
	}
}

async function call_back(w) {
	const text = await dial(w.v.dial, w.customer);
	complain(text);
	if (!text) dismiss(w);
}

/* What is offered after the end: [word, sign, what it does], or null if that is not possible now. */
const OFFERS = {
	another: (w, now) => now && !why_not_sent(now) && ["Try another", "transfer", () => another(w)],
	correct: (w, now) =>
		now && !why_not_sent(now) && ["Correct it", "transfer", () => another(w, w.t.target)],
	department(w, now) {
		const q = now && !why_not_sent(now) && app.store.queues.get(now.raw.department);
		return (
			q?.number &&
			q.queue !== w.t.target_id && [
				`Send to ${name_of(q.queue, "queue")}`,
				"department",
				() => send(w, q.number, q.name),
			]
		);
	},
	call: w =>
		may("dial") &&
		w.v.dial && ["Call back", "call", () => call_back(w)],
	queue: w => ["Open queue", "queues", null, route_text("queues", w.t.target_id)],
	back(w, now) {
		const number = app.store.agents.get(w.t.owner_user)?.number;
		if (!now || now.with_id === w.t.owner_user) return null;
		if (!why_not(now, "resume")) return ["Take back", "back", () => act(now, "resume")];
		return number && !why_not_sent(now) && ["Take back", "back", () => send(w, number, w.t.owner)];
	},
};

function offer(w, name) {
	const raw = app.store.calls.get(w.v.id),
		o = OFFERS[name]?.(w, raw && call_view(raw));
	if (!o) return null;
	const [word, sign, onclick, href] = o;
	const props = { key: name, "aria-label": `${word}: ${w.customer}` };
	return href
		? h("a.btn", { ...props, href }, icon(sign), word)
		: h("button.btn", { ...props, type: "button", onclick }, icon(sign), word);
}

function finished(id, w) {
	const o = w.done,
		[tone, sign] = o.look;
	return h(
		"section.card.over-card.follow",
		{ key: id, "data-call": w.v.id, "aria-label": "Transfer ended" },
		h("span.sign", { class: `t-${tone}` }, icon(sign)),
		h(
			"div",
			null,
			h(
				"p",
				null,
				h("b", null, o.text),
				o.more && h("span.sub", null, ` ${o.more}`),
				o.tone === "bad" && w.t.sip > 0 && h("span.sub", null, ` SIP ${w.t.sip}`),
			),
			h(
				"div.do",
				null,
				o.offer.map(name => offer(w, name)),
				o.tone === "bad" &&
					h(
						"button.btn",
						{
							key: "id",
							type: "button",
							"aria-label": `Copy the call id of ${w.customer}`,
							title: w.v.id,
							onclick: () => copy(w.v.id, "Call id"),
						},
						icon("copy"),
						"Call id",
					),
			),
		),
		h(
			"button.btn.bare.icon",
			{ type: "button", "aria-label": "Dismiss", onclick: () => dismiss(w) },
			icon("x"),
		),
	);
}

const LETTERS = { h: "complete", s: "swap", c: "cancel" };

function keys(e, w) {
	const verb = LETTERS[e.key.toLowerCase()];
	if (!verb || e.repeat || !app.letters() || e.ctrlKey || e.metaKey || e.altKey || why_not(w.v, verb))
		return;
	e.preventDefault();
	e.stopPropagation();
	act(w.v, verb);
}

/* The same in a line or two, for places that are about something else. */
function slim(id, w) {
	return h(
		"section.card.over-card.follow.slim",
		{ key: id, "data-call": w.v.id, "aria-label": `${w.customer} to ${w.t.target}`, onkeydown: e => keys(e, w) },
		h("span.sign.t-move", null, icon("transfer")),
		h(
			"div",
			null,
			h(
				"p",
				null,
				h("b", null, stage_sentence(facts(w))),
				w.t.ring_until &&
					w.t.stage === "ringing" &&
					h("span.sub", null, " ", left(w.t.ring_until), " s left"),
			),
		),
		buttons(w),
	);
}

/* What stands at the right of the list, running transfers first; "slim" for other places. */
export function cards(form) {
	const all = [...cards_by_id].filter(([, w]) => w.v && w.t && !w.shut && (w.done || w.t.stage));
	return [
		...all
			.filter(([, w]) => !w.done)
			.map(([id, w]) => (form === "slim" ? slim : running)(id, w)),
		...all.filter(([, w]) => w.done).map(([id, w]) => finished(id, w)),
	];
}
