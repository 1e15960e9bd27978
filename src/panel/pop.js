/* pop: who rings, who sends it and why, before it is answered. Shown on every place. */
import { h } from "./dom.js";
import { app, icon, pill, ribbon, announce, route_text } from "./ui.js";
import { STATES, first } from "./words.js";
import { call_view } from "./model.js";
import { name_of } from "./names.js";
import { api_get, api_query } from "./api.js";
import { moment, span, time_ms, time_now } from "./time.js";

const shut = new Set();
let last = { number: "", row: null };

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

/* Calls that have begun to ring for me are said aloud. */
export function pop_changed(before) {
	for (const raw of app.store.calls.values()) {
		const v = call_view(raw),
			old = before.calls.get(v.id);
		if (raw !== old && rings_for_me(v) && !(old && rings_for_me(call_view(old))))
			announce(`${v.customer} rings.`);
	}
}

async function look_up(number) {
	if (!number || last.number === number) return;
	last = { number, row: null };
	try {
		const a = await api_get(`conversations${api_query({ contact: number, limit: 1 })}`);
		last.row = a.conversations[0] || null;
	} catch {
		return; // the pop says what the call itself says
	}
	app.draw();
}

function talked_with(row) {
	const names = row.segments
		.filter(s => s.answered_at && s.who && s.kind !== "queue")
		.map(s => first(name_of(s.who)));
	return [...new Set(names)].join(", ") || "nobody answered";
}

/* Shown on every page while my phone rings. */
export function pop() {
	if (!app.store.ready) return null;
	const v = [...app.store.calls.values()]
		.map(call_view)
		.find(x => rings_for_me(x) && !shut.has(x.id));
	if (!v) return null;
	const t = v.transfer && !v.transfer.outcome ? v.transfer : null,
		number = v.number || v.customer,
		word = app.store.notes.get(v.id)?.text;
	look_up(number);
	return h(
		"section.card.pop",
		{ key: "pop", "aria-label": `${v.customer} rings` },
		h(
			"header",
			null,
			pill(STATES.ringing),
			h("span.who", null, v.customer),
			h("span.sub.num", null, v.number),
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
			t
				? h(
						"p",
						null,
						`${name_of(t.asker) || t.owner || "Somebody"} sends it to you.`,
						word && h("b", null, ` “${word}”`),
					)
				: h(
						"p",
						null,
						v.queue
							? `From ${v.queue.title}, waited ${span(time_now() - v.started)}.`
							: v.dir === "internal"
								? "A colleague calls."
								: "A new call.",
					),
			v.case_key &&
				h(
					"p",
					null,
					"Case ",
					h(
						"a.link",
						{ href: route_text("cases", v.case_key) },
						v.case_key,
					),
				),
			last.row &&
				last.number === number &&
				h(
					"p.sub",
					null,
					`Last contact ${moment(time_ms(last.row.started_at), time_now())}, ${talked_with(last.row)}. `,
					h(
						"a.link",
						{ href: route_text("contacts", number) },
						"All of this customer",
					),
				),
			ribbon(v.bars(time_now()), v.started, time_now()),
			h(
				"p.sub",
				null,
				"Pick up on your phone.",
				t &&
					` If you decline, ${first(t.owner) || "the caller"} ${t.owner ? "keeps the call" : "waits on"}.`,
			),
		),
	);
}
