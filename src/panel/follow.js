/*
 * follow: the cards of transfers that run, and of those that have just ended. A card belongs to a
 * transfer that this user asked for, here or elsewhere. It survives a reload because it is drawn from
 * what the server says, and what failed stays until it was read.
 */
import { h } from "./dom.js";
import { app, icon, face, pill, left, announce, alarm, copy } from "./ui.js";
import { STATES, stage_sentence, outcome_sentence, first } from "./words.js";
import { call_view, transfer_view, why_not } from "./model.js";
import { name_of } from "./names.js";
import { at_second } from "./time.js";
import { api_get } from "./api.js";
import { act, open_transfer } from "./live.js";

const SUCCESS_MS = 8000,
	KEPT = 20;
export const cancelled_here = new Set(); // transfers that this page called off
const cards_by_id = new Map(); // transfer id -> {v: its call as last seen, t: the transfer, done, shut}

/* This page asked for that transfer (as the API shows it) of that call. */
export function follow(v, raw) {
	if (!raw?.id || cards_by_id.has(raw.id)) return;
	cards_by_id.set(raw.id, { v, t: transfer_view(raw, v.raw) });
	cards_changed();
	app.draw();
}

function finish(w) {
	const o = outcome_sentence(facts(w));
	w.done = o;
	(o.tone === "bad" ? alarm : announce)(o.text);
	if (o.tone === "ok")
		setTimeout(() => {
			w.shut = true;
			app.draw();
		}, SUCCESS_MS);
}

/* A transfer that a snapshot no longer has: how did it end? */
async function ask(id, w) {
	w.asking = true;
	try {
		const raw = await api_get(`transfers/${id}`);
		w.t = { ...w.t, ...transfer_view(raw, w.v.raw) };
		if (raw.outcome && !w.done) finish(w);
	} catch {
		w.shut = true; // the server does not know it any more; the log does
	}
	w.asking = false;
	app.draw();
}

/* The store has changed: picks up transfers that run, and outcomes. */
export function cards_changed() {
	for (const raw of app.store.transfers.values()) {
		const call = app.store.calls.get(raw.call);
		let w = cards_by_id.get(raw.id);
		if (!w && !raw.outcome && call && raw.asker === app.me?.user)
			cards_by_id.set(raw.id, (w = {}));
		if (!w || w.done) continue;
		if (call) w.v = call_view(call);
		if (!w.v) continue;
		const t = transfer_view(raw, call || w.v.raw);
		w.t = { ...t, owner: t.owner || w.t?.owner || "" };
		if (raw.outcome) finish(w);
	}
	for (const [id, w] of cards_by_id) {
		const raw = app.store.calls.get(w.t?.call);
		if (
			!w.done &&
			!w.asking &&
			w.v &&
			raw?.transfer?.id !== id &&
			!app.store.transfers.get(id)?.outcome
		)
			ask(id, w);
		if (w.shut && cards_by_id.size > KEPT) cards_by_id.delete(id);
	}
}

function facts(w) {
	const { v, t } = w,
		next = t.next && app.store.transfers.get(t.next);
	const kept = t.outcome === "failed" || t.outcome === "cancelled";
	return {
		...t,
		customer: v.customer,
		by: cancelled_here.has(t.id) ? "You" : "",
		fallback_kind: next?.target?.kind,
		has: next
			? name_of(next.target.name, next.target.kind) || next.target.number
			: kept
				? t.owner || v.with
				: "",
	};
}

/* ---- drawing ---------------------------------------------------------------------------------- */

function dial(t) {
	if (
		!t.ring_until ||
		t.stage === "consulting" ||
		t.stage === "queued" ||
		t.stage === "swapped"
	)
		return null;
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
		h(
			"div",
			null,
			h("b", null, left(t.ring_until)),
			h("span.sub", null, "seconds left"),
		),
	);
}

/* Each party and what it hears now: [name, what it hears, state]. */
function hearing(v, t) {
	const target = first(t.target);
	switch (t.stage) {
		case "consulting":
			return [
				[v.customer, "hears music", "held"],
				[t.owner, `talks with ${target}`, "consulting"],
				[t.target, "was asked", "consulting"],
			];
		case "swapped":
			return [
				[v.customer, `talks with ${first(t.owner)}`, "talking"],
				[t.owner, "talks with the customer", "talking"],
				[t.target, "hears music", "held"],
			];
		case "queued":
			return [
				[v.customer, "hears music", "queued"],
				[t.owner, "is still on the line", "held"],
				[t.target, "caller waits here", "queued"],
			];
		case "joining":
			return [
				[v.customer, "is being connected", "joining"],
				[t.owner, "leaves now", "held"],
				[t.target, "answered", "joining"],
			];
		default:
			return [
				[v.customer, "hears music", "held"],
				[
					t.owner,
					t.kind === "consult" ? "hears it ring" : "leaves on answer",
					"held",
				],
				[t.target, "rings", "ringing"],
			];
	}
}

function parties(v, t) {
	const signs = { queue: "department", ivr: "menu", external: "number" };
	return h(
		"ul.parties",
		{ "aria-label": "Who hears what" },
		hearing(v, t)
			.filter(([name]) => name)
			.map(([name, says, state], i) =>
				h(
					"li",
					{ key: i },
					face(name, { sign: i === 2 && signs[t.target_kind] }),
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

function do_verb(w, verb) {
	act(w.v, verb);
}

function verb_button(w, verb, word, sign) {
	return (
		!why_not(w.v, verb) &&
		h(
			"button.btn",
			{
				key: verb,
				type: "button",
				"aria-label": `${word}: ${w.v.customer}`,
				onclick: () => do_verb(w, verb),
			},
			icon(sign),
			word,
		)
	);
}

function another(w) {
	const raw = app.store.calls.get(w.v.id),
		now = raw && call_view(raw);
	if (!raw || why_not(now, w.done ? "transfer" : "cancel")) return null;
	return h(
		"button.btn",
		{
			key: "another",
			type: "button",
			"aria-label": `Try another: ${w.v.customer}`,
			onclick: () => {
				if (w.done) w.shut = true;
				open_transfer(now, { retry: !w.done });
			},
		},
		icon("transfer"),
		"Try another",
	);
}

function buttons(w) {
	return h(
		"div.do",
		null,
		verb_button(w, "complete", "Hand over", "consult"),
		verb_button(w, "swap", "Swap", "swap"),
		verb_button(w, "cancel", "Cancel", "x"),
		verb_button(w, "resume", "Take back", "back"),
		another(w),
	);
}

function running(id, w) {
	const { v, t } = w;
	const by = t.asker === app.me?.user ? "you" : name_of(t.asker) || "a phone";
	const call_id = v.id;
	return h(
		"section.card.follow",
		{
			key: id,
			"aria-label": `${v.customer} to ${t.target}`,
			onkeydown: e => keys(e, w),
		},
		h(
			"header",
			null,
			h(
				"div",
				null,
				h("h2", null, `${v.customer} to ${t.target}`),
				h(
					"p.sub",
					null,
					`Sent by ${by} at ${at_second(t.asked)}, ${t.kind === "consult" ? "asking first" : "without asking"}`,
				),
			),
		),
		h("div.stage", null, dial(t), h("p.say", null, stage_sentence(facts(w)))),
		parties(v, t),
		buttons(w),
		h(
			"div.ids",
			null,
			"Call id",
			h("code", null, call_id),
			h("span.grow"),
			h(
				"button.btn.bare.icon",
				{
					type: "button",
					"aria-label": `Copy the call id of ${v.customer}`,
					onclick: () => copy(call_id, "Call id"),
				},
				icon("copy"),
			),
		),
	);
}

const TONES = { ok: ["t-talk", "ok"], bad: ["t-bad", "warn"], plain: ["t-plain", "back"] };

function finished(id, w) {
	const o = w.done,
		[tone, sign] = TONES[o.tone],
		call_id = w.v.id;
	return h(
		"section.card.over-card.follow",
		{ key: id, "aria-label": "Transfer ended" },
		h("span.sign", { class: tone }, icon(sign)),
		h(
			"div",
			null,
			h(
				"p",
				null,
				h("b", null, o.text),
				o.tone === "bad" &&
					w.t.sip > 0 &&
					h("span.sub", null, ` SIP ${w.t.sip}`),
			),
			h(
				"div.do",
				null,
				o.again && another(w),
				o.tone === "bad" &&
					h(
						"button.btn",
						{
							type: "button",
							"aria-label": `Copy the call id of ${w.v.customer}`,
							onclick: () => copy(call_id, "Call id"),
						},
						icon("copy"),
						"Call id",
					),
			),
		),
		h(
			"button.btn.bare.icon",
			{
				type: "button",
				"aria-label": "Dismiss",
				onclick: () => {
					w.shut = true;
					app.draw();
				},
			},
			icon("x"),
		),
	);
}

const LETTERS = { h: "complete", s: "swap", c: "cancel" };

function keys(e, w) {
	const verb = LETTERS[e.key.toLowerCase()];
	if (!verb || !app.letters() || e.ctrlKey || e.metaKey || e.altKey || why_not(w.v, verb))
		return;
	e.preventDefault();
	e.stopPropagation();
	do_verb(w, verb);
}

/* The same in a line or two, for places that are about something else. */
function slim(id, w) {
	return h(
		"section.card.over-card.follow",
		{
			key: id,
			"aria-label": `${w.v.customer} to ${w.t.target}`,
			onkeydown: e => keys(e, w),
		},
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
	const all = [...cards_by_id].filter(([, w]) => w.v && w.t && !w.shut);
	return [
		...all
			.filter(([, w]) => !w.done)
			.map(([id, w]) => (form === "slim" ? slim : running)(id, w)),
		...all.filter(([, w]) => w.done).map(([id, w]) => finished(id, w)),
	];
}
