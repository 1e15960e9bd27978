/*
 * call: one live call opened beside the list: its parties, what happened so far, what can be done.
 */
import { h } from "./dom.js";
import { app, icon, face, pill, ribbon, since, copy, go, route_text, announce } from "./ui.js";
import { STATES, error_sentence, number_text } from "./words.js";
import { why_not } from "./model.js";
import { at_second, time_now } from "./time.js";
import { act, actions, asking, open_transfer } from "./live.js";
import { api_once } from "./api.js";

const draft = { call: "", text: "", error: "" };

/* `place`: those that stand in the same place, one after the other, are one button: it keeps the focus. */
function verb(v, name, word, sign, place) {
	return (
		!why_not(v, name) &&
		h(
			"button.btn",
			{
				type: "button",
				key: place || name,
				"aria-label": `${word}: ${v.customer}`,
				onclick: () => deaf(v) || act(v, name),
			},
			icon(sign),
			word,
		)
	);
}

/* What was asked for a moment ago may have made another verb of a place: it does not hear clicks yet. */
const deaf = v => ["hold", "unhold", "swap", "resume", "recording"].some(name => asking(v, name));

const RECORDING = {
	off: [["start", "Record"]],
	on: [
		["pause", "Pause recording"],
		["stop", "Stop recording"],
	],
	paused: [["start", "Record again"]],
};
const RECORDED = { on: "running", paused: "paused until the next agent" };

/* What can be asked of the recording now; segue says why not, if it cannot. */
function recording(v) {
	if (why_not(v, "record") === "not_permitted") return null;
	return (RECORDING[v.recording] || []).map(([action, word], i) =>
		h(
			"button.btn",
			{
				type: "button",
				key: `record${i}`,
				"aria-label": `${word}: ${v.customer}`,
				onclick: () => deaf(v) || act(v, "recording", { action }),
			},
			icon("record"),
			word,
		),
	);
}

async function add_note(v) {
	const text = draft.text.trim();
	if (!text) return;
	try {
		await api_once(`calls/${v.id}/note`, { text });
		draft.text = "";
		draft.error = "";
		announce("Note kept.");
	} catch (e) {
		draft.error = error_sentence(e);
	}
	app.draw();
}

function note_form(v) {
	if (draft.call !== v.id) Object.assign(draft, { call: v.id, text: "", error: "" });
	return h(
		"form.stack",
		{
			onsubmit: e => {
				e.preventDefault();
				add_note(v);
			},
		},
		h(
			"label",
			null,
			"Note",
			h("textarea", {
				rows: 2,
				maxlength: 2000,
				value: draft.text,
				oninput: e => {
					draft.text = e.target.value;
				},
			}),
		),
		draft.error && h("p.notice.bad", { role: "alert" }, draft.error),
		h("button.btn", { type: "submit" }, icon("note"), "Keep note"),
	);
}

const LEG = {
	new: "calls",
	early: "calls",
	answered: "answers",
	dialing: "is called",
	ringing: "rings",
	up: "connected",
	notifying: "leaves",
	parting: "leaves",
	closing: "leaves",
};

function legs(v) {
	const there = v.parties.filter(p => p.role !== "past" && p.state !== "closing");
	return h(
		"ul.parties",
		{ "aria-label": "Parties" },
		there.map(p => {
			const name = p.name || p.user || number_text(p.number) || "Withheld number";
			return h(
				"li",
				{ key: p.leg },
				face(name),
				h(
					"div",
					null,
					h("div.clip", null, h("b", null, name)),
					h("div.sub.num", null, p.name || p.user ? number_text(p.number) : ""),
				),
				h("span.sub", null, LEG[p.state] || ""),
			);
		}),
	);
}

/* The card; `own`: it stands on the desk, and is not closed. */
export function call_card(v, own) {
	const state = STATES[v.state] || STATES.talking;
	return h(
		"section.card.follow",
		{ key: `call-${v.id}`, "data-call": v.id, "aria-label": `Call of ${v.customer}` },
		h(
			"header",
			null,
			h("div.states.grow", null, h("h2", null, v.customer), pill(state)),
			!own &&
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
		h(
			"div.in",
			null,
			h("div", null, ribbon(v.bars(time_now()), v.started, time_now())),
			h(
				"dl.kv",
				null,
				v.number && [h("dt", null, "Number"), h("dd.num", null, v.number)],
				!own && [h("dt", null, "With"), h("dd", null, v.with || "nobody yet")],
				h("dt", null, "Since"),
				h("dd", null, `${at_second(v.started)}, `, since(v.started, true)),
				h("dt", null, state.word),
				h("dd", null, "for ", since(v.since, true)),
				v.case_key && [
					h("dt", null, "Case"),
					h(
						"dd",
						null,
						h(
							"a.link",
							{ href: route_text("cases", v.case_key) },
							v.case_key,
						),
					),
				],
				v.recording !== "off" && [
					h("dt", null, "Recording"),
					h("dd", null, RECORDED[v.recording] || v.recording),
				],
			),
			actions(v, { wide: true }),
			h(
				"div.states",
				{ "aria-busy": deaf(v) || null },
				!why_not(v, "consult") &&
					h(
						"button.btn",
						{
							type: "button",
							key: "ask",
							"aria-label": `Ask first: ${v.customer}`,
							onclick: () => open_transfer(v, { how: "consult" }),
						},
						icon("consult"),
						"Ask first",
					),
				verb(v, "hold", "Hold", "hold", "held"),
				verb(v, "unhold", "Take off hold", "play", "held"),
				verb(v, "swap", "Swap", "swap"),
				verb(v, "resume", "Take back", "back"),
				recording(v),
			),
			note_form(v),
		),
		legs(v),
		h(
			"div.ids",
			null,
			v.conv &&
				h(
					"a.link",
					{ href: route_text("log", v.conv) },
					"The whole conversation",
				),
			h("span.grow"),
			h(
				"button.btn.bare.icon",
				{
					type: "button",
					"aria-label": `Copy the call id of ${v.customer}`,
					title: v.sip_call_id || v.id,
					onclick: () => copy(v.sip_call_id || v.id, "Call id"),
				},
				icon("copy"),
			),
		),
	);
}
