/*
 * contacts: everything with one customer, grouped by case; and one case with its timeline.
 */
import { h } from "./dom.js";
import { app, icon, lasted, empty, bones, route_text, go } from "./ui.js";
import { error_sentence, first } from "./words.js";
import { name_of } from "./names.js";
import { log_row, log_line } from "./log.js";
import { moment, span, time_ms, time_now, day, at_second } from "./time.js";
import { api_get, api_query } from "./api.js";

const seen = { key: "", data: null, error: "" };

/* Asks once for what `key` names; `fetch` gives the data. */
function ask(key, fetch) {
	if (seen.key === key) return;
	Object.assign(seen, { key, data: null, error: "" });
	fetch()
		.then(data => {
			if (seen.key === key) seen.data = data;
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
		const id = r.case?.key || r.case?.id || "";
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
					list[0].case?.key
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
				list[0].case?.owner &&
					h(
						"span.pill.t-plain",
						null,
						icon("person"),
						name_of(list[0].case?.owner),
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

function about(a) {
	const row = (word, value) => [h("dt", null, word), h("dd.num", null, value)];
	const friends = a.agents
		.slice(0, 4)
		.map(f => `${first(name_of(f.user))} (${f.conversations})`)
		.join(", ");
	return h(
		"section.card",
		{ "aria-label": "About" },
		h("header", null, h("h2", null, "About")),
		h(
			"div.in",
			null,
			h(
				"dl.kv",
				null,
				row("Number", a.number),
				row("Conversations", String(a.conversations)),
				row("Talked", span(a.talk_ms)),
				row("First", moment(time_ms(a.first_at), time_now())),
				row("Last", moment(time_ms(a.last_at), time_now())),
				row("Mostly with", friends || "nobody"),
			),
		),
	);
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
	ask(`n:${number}`, async () => {
		const [a, list] = await Promise.all([
			api_get(`contacts/${encodeURIComponent(number)}`),
			api_get(`conversations${api_query({ contact: number, limit: 100 })}`),
		]);
		return { a, rows: list.conversations.map(log_row) };
	});
	if (!seen.data)
		return {
			title: number,
			body: h(
				"div.card",
				null,
				seen.error
					? empty(
							seen.error,
							h(
								"a.link",
								{ href: "#/contacts" },
								"Search again",
							),
						)
					: bones(),
			),
		};
	const { a, rows } = seen.data,
		name = a.names[0];
	return {
		title: name || number,
		beside: h("span.sub.num", null, name ? number : "no contact yet"),
		body: h("div.cols", null, h("div.stack", null, by_case(rows)), about(a)),
	};
}

/* ---- a case ----------------------------------------------------------------------------------- */

const who = e => name_of(e.actor) || "Somebody";
const ENTRY = {
	conversation_started: ["in", () => "A conversation began"],
	conversation_ended: ["end", () => "The conversation ended"],
	answered: ["talk", e => `${who(e)} answered`],
	case_assigned: ["person", e => `The case went to ${who(e)}`],
	queue_entered: [
		"queue",
		e =>
			`Waits${e.data.queue ? ` in ${name_of(e.data.queue, "queue")}` : " in a queue"}`,
	],
	note: ["note", e => `${who(e)}: ${e.data.text || ""}`],
	transfer_requested: ["transfer", e => `${who(e)} sends it on`],
	transfer_completed: ["ok", () => "The transfer is complete"],
	transfer_failed: ["warn", () => "The other side did not take it"],
	transfer_cancelled: ["x", () => "The transfer was cancelled"],
	transfer_refused: ["warn", () => "A transfer was refused"],
	transfer_abandoned: ["x", () => "The caller left before anybody answered"],
	transfer_recalled: ["back", () => "It came back"],
	transfer_fell_back: ["back", () => "It went on to somebody else"],
	consult_started: ["consult", e => `${who(e)} asks somebody`],
	customer_left: ["end", () => "The customer hung up"],
};

function entry(e) {
	const [sign, text] = ENTRY[e.type],
		at = time_ms(e.at);
	return h(
		"li",
		{ key: `${e.conversation}.${e.seq}` },
		h("time.sub", { datetime: e.at, title: moment(at, time_now()) }, at_second(at)),
		h("span.sign.t-plain", null, icon(sign)),
		h("p", null, text(e)),
		h(
			"a.link",
			{
				href: route_text("log", e.conversation),
				"aria-label": "Open the conversation",
			},
			"open",
		),
	);
}

function case_lines(list) {
	return h(
		"ol.thread",
		null,
		list.map(c =>
			h(
				"li",
				{ key: c.id },
				h(
					"time.sub",
					{ datetime: c.started_at },
					at_second(time_ms(c.started_at)),
				),
				h(
					"span.sign.t-plain",
					null,
					icon(c.kind === "outbound" ? "out" : "in"),
				),
				h(
					"p",
					null,
					h(
						"a.link",
						{ href: route_text("log", c.id) },
						moment(time_ms(c.started_at), time_now()),
					),
				),
				lasted(c.talk_ms || 0, true),
			),
		),
	);
}

export function case_view(key) {
	ask(`c:${key}`, () => api_get(`cases/${encodeURIComponent(key)}`));
	const c = seen.data;
	if (!c)
		return {
			title: "Case",
			body: h("div.card", null, seen.error ? empty(seen.error) : bones()),
		};
	const number = c.customer?.number;
	return {
		title: c.key ? `Case ${c.key}` : "Case",
		beside: c.owner && h("span.pill.t-plain", null, icon("person"), name_of(c.owner)),
		extra:
			number &&
			h(
				"a.link",
				{ href: route_text("contacts", number) },
				c.customer.name || number,
			),
		body: h(
			"div.cols",
			null,
			h(
				"section.card",
				{ "aria-label": "Timeline" },
				h("header", null, h("h2", null, "Timeline")),
				h(
					"ol.thread",
					null,
					c.timeline.filter(e => ENTRY[e.type]).map(entry),
				),
			),
			h(
				"section.card",
				{ "aria-label": "Conversations" },
				h(
					"header",
					null,
					h("h2", null, "Conversations"),
					h("span.sub", null, String(c.conversations.length)),
				),
				case_lines(c.conversations),
			),
		),
	};
}
