/* pop: who rings, who sends it and why, before it is answered. Shown on every place. */
import { h } from "./dom.js";
import { app, icon, left, ribbon, announce, route_text } from "./ui.js";
import { BARS, first } from "./words.js";
import { call_view, may, why_not } from "./model.js";
import { act, DEAF_MS } from "./live.js";
import { name_of } from "./names.js";
import { api_get, api_query } from "./api.js";
import { moment, span, time_ms, time_now } from "./time.js";

const shut = new Set();
let shown = { id: "", at: 0 }; // since when; who was about to click something else does not decline
const AGAIN_MS = 1500; // a call and its notes are on record some tenths of a second later
let last = { conv: "", row: null },
	kept = { conv: "", text: "" };

/* Whether my phone rings for that call. */
function rings_for_me(v) {
	const me = app.me.user;
	return (
		v.parties.some(
			p => p.user === me && (p.state === "ringing" || p.state === "dialing"),
		) ||
		(v.state === "ringing" && v.with_id === me) ||
		(v.transfer &&
			!v.transfer.outcome &&
			v.transfer.target_id === me &&
			v.transfer.stage === "ringing")
	);
}

const is_up = v => v.parties.some(p => p.user === app.me.user && p.state === "up");

/* Calls that have begun to ring for me are said aloud. */
export function pop_changed(before) {
	for (const raw of app.store.calls.values()) {
		const v = call_view(raw),
			old = before.calls.get(v.id);
		if (raw !== old && rings_for_me(v) && !(old && rings_for_me(call_view(old))))
			announce(`${v.customer} rings.`);
	}
}

/* The conversation with that customer before this one, which is on record as well. */
async function look_up(number, conv) {
	if (!number || last.conv === conv) return;
	last = { conv, row: null };
	try {
		const a = await api_get(`conversations${api_query({ contact: number, limit: 2 })}`);
		if (last.conv !== conv) return;
		last.row = a.conversations.find(c => c.id !== conv) || null;
	} catch {
		return; // the pop says what the call itself says
	}
	app.draw();
}

/* The latest note of a call whose notes were written before this page was opened. */
async function look_for_word({ conv, started }) {
	if (!conv || kept.conv === conv) return;
	kept = { conv, text: "" };
	for (const wait of [started + AGAIN_MS > time_now() ? AGAIN_MS : 0, AGAIN_MS]) {
		await new Promise(done => setTimeout(done, wait));
		const c = await api_get(`conversations/${conv}`).catch(() => null);
		if (kept.conv !== conv) return;
		kept.text = c?.remarks.at(-1)?.text || "";
		if (kept.text) return app.draw();
	}
}

function talked_with(row) {
	const names = row.segments
		.filter(s => s.answered_at && s.who && s.kind !== "queue")
		.map(s => first(name_of(s.who)));
	return [...new Set(names)].join(", ") || "nobody answered";
}

/* Who sends it, or how it came. */
function whence(v, t) {
	if (t) return `${name_of(t.asker) || t.owner || "Somebody"} sends you this call.`;
	if (v.raw.table_state === "ORIGINATE") return `Pick up, then ${v.customer} is called.`;
	if (v.queue) return `From ${v.queue.title}, waited ${span(time_now() - v.started)}.`;
	return v.dir === "internal" ? "A colleague calls." : "A new call.";
}

/* "Talking 3:38, On hold 0:06": what the caller went through until now. */
function so_far(v) {
	const sums = new Map();
	for (const b of v.bars(time_now())) {
		const word = BARS[b.state]?.word || "Talking";
		sums.set(word, (sums.get(word) || 0) + b.to - b.from);
	}
	return [...sums].filter(([, ms]) => ms >= 1000).map(([w, ms]) => `${w} ${span(ms)}`).join(" · ") || "just called";
}

/* Shown on every page while my phone rings. */
export function pop() {
	if (!app.store.ready) return null;
	const all = [...app.store.calls.values()].map(call_view),
		v = all.find(x => rings_for_me(x) && !shut.has(x.id));
	if (!v) return null;
	const t = v.transfer && !v.transfer.outcome ? v.transfer : null,
		number = v.dial,
		noted = app.store.notes.get(v.id)?.text,
		word = noted || (kept.conv === v.conv && kept.text);
	look_up(number, v.conv);
	if (!noted && v.started < app.seen_from && may("history")) look_for_word(v);
	if (shown.id !== v.id) {
		shown = { id: v.id, at: performance.now() };
		setTimeout(app.draw, DEAF_MS + 20);
	}
	const deaf = () => performance.now() - shown.at < DEAF_MS,
		ring = t?.ring_until || time_ms(v.raw.deadline),
		owner = first(t?.owner);
	const row = (word, ...what) => [h("dt", null, word), h("dd", null, what)];
	return h(
		"section.card.pop",
		{
			key: "pop",
			class: app.route.place !== "desk" || all.some(x => x !== v && is_up(x)) ? "floats" : null,
			"aria-label": `${v.customer} rings`,
		},
		h(
			"header",
			null,
			icon("ring"),
			h("b", null, "Your phone is ringing"),
			ring > time_now() && h("span.num", null, left(ring), " s left"),
			h("span.grow"),
			h(
				"button.btn.bare.icon",
				{
					type: "button",
					"aria-label": "Hide",
					onclick: () => {
						shut.add(v.id);
						app.draw();
					},
				},
				icon("x"),
			),
		),
		h(
			"div.in",
			null,
			h(
				"div",
				null,
				h("p.who", null, v.customer),
				h("p.sub.num", null, v.number || "no contact yet"),
			),
			h("div.note", null, h("p.sub", null, whence(v, t)), word && h("p", null, `“${word}”`)),
			h(
				"dl.kv",
				null,
				v.case_key &&
					row("Case", h("a.link", { href: route_text("cases", v.case_key) }, v.case_key)),
				row("So far", so_far(v)),
				last.row &&
					last.conv === v.conv &&
					row(
						"Last time",
						`${moment(time_ms(last.row.started_at), time_now())}, ${talked_with(last.row)}. `,
						h("a.link", { href: route_text("contacts", number) }, "All of this customer"),
					),
			),
			ribbon(v.bars(time_now()), v.started, time_now()),
			h(
				"div.states",
				null,
				h("p.pick-up", null, icon("ring"), "Pick up on your phone"),
				t &&
					!why_not(v, "cancel") &&
					h(
						"button.btn",
						{ type: "button", "aria-busy": deaf() || null, onclick: () => deaf() || act(v, "cancel") },
						owner ? `Decline, ${owner} keeps it` : "Decline",
					),
			),
			t &&
				h(
					"p.sub",
					null,
					owner ? `If nobody picks up, ${owner} keeps the call.` : "If nobody picks up, it goes on to the next.",
				),
		),
	);
}
