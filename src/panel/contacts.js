/*
 * contacts: everything with one customer, grouped by case; and one case with its timeline.
 */
import { h } from "./dom.js";
import { app, icon, empty, bones, route_text, go, announce } from "./ui.js";
import { error_sentence, first } from "./words.js";
import { name_of } from "./names.js";
import { log_row, log_line } from "./log.js";
import { moment, span, time_ms, time_now, day, at_second } from "./time.js";
import { api_get, api_once, api_query } from "./api.js";

const seen = { key: "", data: null, error: "" };

function ask(key, path, make) {
	if (seen.key === key) return;
	Object.assign(seen, { key, data: null, error: "" });
	api_get(path)
		.then(a => {
			if (seen.key === key) seen.data = make(a);
		})
		.catch(e => {
			if (seen.key === key)
				seen.error =
					e.status === 404
						? "There is nothing under that name, or it is not yours to see."
						: error_sentence(e);
		})
		.finally(app.draw);
}

function search() {
	return h(
		"form.filters",
		{
			role: "search",
			onsubmit: e => {
				e.preventDefault();
				const text = new FormData(e.target).get("q").trim();
				if (text) go("contacts", text.replace(/(?<=\d) (?=\d)/g, ""));
			},
		},
		h(
			"label.field",
			null,
			icon("search"),
			h("span.sr", null, "Number of a customer"),
			h("input", {
				name: "q",
				id: "search",
				type: "search",
				placeholder: "Number of a customer",
			}),
		),
		h("button.btn", { type: "submit" }, "Find"),
	);
}

/* Who talks to them, most first. */
function friends(rows) {
	const n = new Map();
	for (const r of rows)
		for (const who of new Set(
			r.thread
				.filter(s => s.answered_at && ["agent", "recall"].includes(s.kind))
				.map(s => s.who),
		))
			n.set(who, (n.get(who) || 0) + 1);
	return [...n].sort((a, b) => b[1] - a[1]).slice(0, 4);
}

function lines(rows) {
	return h(
		"table.calls.log",
		{ role: "table", "aria-label": "Conversations" },
		h(
			"thead",
			{ role: "rowgroup" },
			h(
				"tr",
				{ role: "row" },
				h("th.w-at", { role: "columnheader" }, "Start"),
				h("th", { role: "columnheader" }, "Path"),
				h("th.w-rib.so", { role: "columnheader" }, "How it went"),
				h("th.w-sum.r", { role: "columnheader" }, "Talk"),
				h("th.w-sum.r", { role: "columnheader" }, "Total"),
				h("th.w-out", { role: "columnheader" }, "Outcome"),
			),
		),
		h(
			"tbody",
			{ role: "rowgroup" },
			rows.flatMap((r, i) => {
				const d = day(r.started, time_now()),
					head =
						i === 0 ||
						day(rows[i - 1].started, time_now()) !== d;
				return [
					head &&
						h(
							"tr.day",
							{ key: `d${d}`, role: "row" },
							h("td", { colspan: 6, role: "cell" }, d),
						),
					log_line(r, true),
				];
			}),
		),
	);
}

function by_case(rows) {
	const groups = new Map();
	for (const r of rows) {
		const id = r.case_key || r.case_id || "";
		groups.set(id, [...(groups.get(id) || []), r]);
	}
	return [...groups].map(([id, list]) =>
		h(
			"section.card.list",
			{ key: id, "aria-label": id ? `Case ${id}` : "No case" },
			h(
				"header",
				null,
				h(
					"h2",
					null,
					list[0].case_key
						? h(
								"a.link",
								{ href: route_text("cases", id) },
								`Case ${id}`,
							)
						: id
							? h(
									"a.link",
									{
										href: route_text(
											"cases",
											id,
										),
									},
									"Case without a key",
								)
							: "No case",
				),
				list[0].case_owner &&
					h(
						"span.pill.t-plain",
						null,
						icon("person"),
						name_of(list[0].case_owner),
					),
				h(
					"span.sub",
					null,
					`${list.length} conversation${list.length === 1 ? "" : "s"}`,
				),
			),
			lines(list),
		),
	);
}

async function dial(number) {
	try {
		await api_once("calls", { to: number });
		announce(`Your phone rings, then ${number}.`);
	} catch (e) {
		announce(error_sentence(e));
	}
}

export function contacts_view(number) {
	if (!number)
		return {
			title: "Contacts and cases",
			body: [
				search(),
				h(
					"div.card",
					null,
					empty(
						"Type a customer’s number, or open a customer from the call log.",
					),
				),
			],
		};
	ask(`n:${number}`, `conversations${api_query({ number, limit: 100 })}`, a =>
		(a.items || a.conversations || []).map(log_row),
	);
	const rows = seen.data;
	if (!rows)
		return {
			title: number,
			body: h("div.card", null, seen.error ? empty(seen.error) : bones()),
		};
	const name = rows.find(r => r.customer_name)?.customer_name,
		talk = rows.reduce((n, r) => n + (r.talk_ms || 0), 0);
	return {
		title: name || number,
		beside: h("span.sub.num", null, name ? number : "no contact yet"),
		extra: h(
			"button.btn",
			{
				type: "button",
				onclick: () => dial(number),
				"aria-label": `Call ${name || number}`,
			},
			icon("call"),
			"Call",
		),
		body: rows.length
			? h(
					"div.cols",
					null,
					h("div.stack", null, by_case(rows)),
					h(
						"section.card",
						{ "aria-label": "About" },
						h("header", null, h("h2", null, "About")),
						h(
							"div.in",
							null,
							h(
								"dl.kv",
								null,
								h("dt", null, "Number"),
								h("dd.num", null, number),
								h("dt", null, "Conversations"),
								h(
									"dd.num",
									null,
									String(rows.length),
								),
								h("dt", null, "Talked"),
								h("dd.num", null, span(talk)),
								h("dt", null, "Last"),
								h(
									"dd",
									null,
									moment(
										rows[0].started,
										time_now(),
									),
								),
								h("dt", null, "Mostly with"),
								h(
									"dd",
									null,
									friends(rows)
										.map(
											([
												who,
												n,
											]) =>
												`${first(name_of(who))} (${n})`,
										)
										.join(", ") ||
										"nobody",
								),
							),
						),
					),
				)
			: h(
					"div.card",
					null,
					empty(
						"No conversation with that number.",
						h("a.link", { href: "#/contacts" }, "Search again"),
					),
				),
	};
}

/* ---- a case ----------------------------------------------------------------------------------- */

const ENTRY = {
	conversation_started: ["in", () => "A conversation began"],
	conversation_ended: [
		"end",
		e =>
			`The conversation ended${e.actor ? `: ${first(name_of(e.actor)) || e.actor}` : ""}`,
	],
	answered: ["talk", e => `${name_of(e.segment_who) || "Somebody"} answered`],
	case_assigned: [
		"person",
		e => `The case is ${name_of(e.actor || e.segment_who) || "somebody"}’s`,
	],
	queue_entered: ["queue", e => `Waits in ${name_of(e.segment_who, "queue")}`],
	note: ["note", e => `${name_of(e.actor) || "Note"}: ${e.data?.text || e.data?.note || ""}`],
	transfer_requested: [
		"transfer",
		e =>
			`${name_of(e.actor) || "Somebody"} sends it to ${name_of(e.transfer_target) || "another"}`,
	],
	transfer_completed: [
		"ok",
		e => `It is with ${name_of(e.transfer_target) || "the new party"}`,
	],
	transfer_failed: [
		"warn",
		e => `${name_of(e.transfer_target) || "The other side"} did not take it`,
	],
	transfer_cancelled: ["x", () => "The transfer was cancelled"],
	transfer_refused: ["warn", () => "A transfer was refused"],
	transfer_abandoned: ["x", () => "The caller left before anybody answered"],
	transfer_recalled: ["back", () => "It came back"],
	transfer_fell_back: ["back", () => "It went on to somebody else"],
	customer_left: ["end", () => "The customer hung up"],
};

function entries(list) {
	const told = list.filter(e => ENTRY[e.type]);
	return h(
		"ol.thread",
		null,
		told.map((e, i) => {
			const [sign, text] = ENTRY[e.type],
				at = time_ms(e.at);
			return h(
				"li",
				{ key: i },
				h(
					"time.sub",
					{
						datetime: new Date(at).toISOString(),
						title: moment(at, time_now()),
					},
					at_second(at),
				),
				h("span.sign.t-plain", null, icon(sign)),
				h("p", null, text(e)),
				e.conversation_id
					? h(
							"a.link",
							{
								href: route_text(
									"log",
									e.conversation_id,
								),
								"aria-label":
									"Open the conversation",
							},
							"open",
						)
					: h("span"),
			);
		}),
	);
}

export function case_view(key) {
	ask(`c:${key}`, `cases/${encodeURIComponent(key)}`, a => a);
	const a = seen.data;
	if (!a)
		return {
			title: "Case",
			body: h("div.card", null, seen.error ? empty(seen.error) : bones()),
		};
	const c = a.case || a,
		rows = (a.conversations || []).map(log_row);
	return {
		title: c.case_key ? `Case ${c.case_key}` : "Case",
		beside: c.owner && h("span.pill.t-plain", null, icon("person"), name_of(c.owner)),
		extra:
			c.customer_number &&
			h(
				"a.link",
				{ href: route_text("contacts", c.customer_number) },
				c.customer_name || c.customer_number,
			),
		body: h(
			"div.cols",
			null,
			h(
				"section.card.list",
				{ "aria-label": "Conversations" },
				h(
					"header",
					null,
					h("h2", null, "Conversations"),
					h("span.sub", null, String(rows.length)),
				),
				rows.length ? lines(rows) : empty("None yet."),
			),
			h(
				"section.card",
				{ "aria-label": "Timeline" },
				h("header", null, h("h2", null, "Timeline")),
				entries(a.timeline || []),
			),
		),
	};
}
