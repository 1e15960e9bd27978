/*
 * contacts: everything with one customer, grouped by case; and one case with its timeline.
 */
import { h } from "./dom.js";
import { app, icon, face, pill, empty, bones, route_text, go, refine } from "./ui.js";
import { error_sentence, first, isolated, number_text } from "./words.js";
import { watcher } from "./fresh.js";
import { name_of } from "./names.js";
import { log_row, log_line } from "./log.js";
import { moment, short_day, span, time_ms, time_now, at_minute } from "./time.js";
import { call_button } from "./dial.js";
import { outcome_of } from "./conversation.js";
import { customer_name } from "./model.js";
import { api_get, api_query } from "./api.js";

const seen = { key: "", data: null, error: "", looked: 0, fetch: null };
const AWAY_MS = 10000; // who comes back after so long gets it anew

/* Asks for what `key` names; `fetch` gives the data. Asked for again when calls have begun or ended. */
function ask(key, fetch) {
	const away = performance.now() - seen.looked > AWAY_MS;
	seen.looked = performance.now();
	if (seen.key === key && !away) return watch.look();
	Object.assign(seen, { key, fetch, data: null, error: "" });
	watch.begun();
	load();
}

const watch = watcher(() => ["contacts", "cases"].includes(app.route.place) && load());

/* Lists do not move under the pointer, nor under the keyboard; what they say of each line may change. */
const held = () => document.querySelector(".main :is(.known, .thread, .log):is(:hover, :has(:focus-visible))");
const order = d => JSON.stringify([(d.rows || d.conversations || d).map(x => x.id || x.number), d.timeline?.length]);

async function load() {
	const { key, fetch, data: before } = seen;
	try {
		const data = await fetch();
		if (seen.key !== key || (before && held() && order(data) !== order(before))) return false;
		Object.assign(seen, { data, error: "" });
	} catch (e) {
		if (seen.key === key && !seen.data)
			seen.error =
				e.status === 404 || e.status === 400
					? "There is nothing under that name, or it is not yours to see."
					: error_sentence(e);
	}
	app.draw();
}

let typing = 0;

const plain = text => text.trim().replace(/(?<=\d) (?=\d)/g, "");

function search(q) {
	return h(
		"form.filters",
		{
			role: "search",
			onsubmit: e => {
				e.preventDefault();
				clearTimeout(typing);
				const text = plain(new FormData(e.target).get("q"));
				if (/^\+?[\d*#]+$/.test(text)) go("contacts", text);
				else refine({ q: text });
			},
		},
		h(
			"label.field",
			null,
			icon("search"),
			h("span.sr", null, "Find a customer"),
			h("input", {
				name: "q",
				id: "search",
				type: "search",
				placeholder: "Name or number of a customer",
				value: q,
				oninput: e => {
					clearTimeout(typing);
					const text = plain(e.target.value);
					typing = setTimeout(() => refine({ q: text }), 250);
				},
			}),
		),
		h("button.btn", { type: "submit" }, "Find"),
	);
}

/* Who has called, or was called, last: the customers of these conversations, each once. */
export function customers(rows) {
	const found = new Map();
	for (const r of rows) {
		const number = r.contact_number;
		if (!number || r.kind === "internal") continue;
		const c = found.get(number);
		if (c) c.n++;
		else found.set(number, { number, row: r, n: 1 });
	}
	return [...found.values()];
}

function known(c) {
	const r = c.row,
		last = r.segments.findLast(s => s.answered_at && s.kind !== "consult" && s.kind !== "queue");
	return h(
		"li",
		{ key: c.number },
		h(
			"a",
			{ href: c.number.includes("*") ? route_text("log", r.id) : route_text("contacts", c.number) },
			face(r.customer),
			h(
				"div",
				null,
				h("div.clip", null, h("b", null, r.customer)),
				h("div.sub.num.clip", null, r.contact || "no contact yet"),
			),
			h(
				"div.what",
				null,
				pill(outcome_of(r)),
				r.case?.key && h("span.sub", null, `Case ${r.case.key}`),
			),
			h(
				"div.sub.when",
				null,
				h("div.num", null, `${short_day(r.started, time_now())} ${at_minute(r.started)}`),
				h("div", null, last ? `with ${first(name_of(last.who, last.kind)) || number_text(last.number)}` : "with nobody"),
			),
		),
	);
}

const again = () =>
	h(
		"button.btn",
		{
			type: "button",
			onclick: () => {
				seen.key = "";
				app.draw();
			},
		},
		"Try again",
	);

/* Nobody is chosen yet: who was there last, or is called so. */
function latest() {
	const q = app.route.query.q || "";
	ask(`q:${q}`, async () =>
		customers((await api_get(`conversations${api_query({ number: q, limit: 100 })}`)).conversations.map(log_row)),
	);
	const list = seen.data;
	return {
		title: "Contacts and cases",
		body: [
			search(q),
			h(
				"section.card",
				{ key: "known", "aria-label": q ? "Found" : "Last customers" },
				seen.error
					? empty(seen.error, again())
					: !list
						? bones()
						: list.length
							? [
									h("header", null, h("h2", null, q ? "Found" : "Last customers")),
									h("ul.known", null, list.map(known)),
								]
							: empty(q ? `Nobody who has called is called “${q}”.` : "Nobody has called yet."),
			),
		],
	};
}

function lines(rows) {
	return h(
		"table.calls.log.slim",
		{ role: "table", "aria-label": "Conversations" },
		h(
			"colgroup", // the head is out of sight, and makes no columns
			null,
			["at", "pth", "so", "len", "out"].map(c => h(`col.${c}`, { key: c })),
		),
		h(
			"thead.sr",
			{ role: "rowgroup" },
			h(
				"tr",
				{ role: "row" },
				["Start", "Path", "How it went", "Total", "Outcome"].map(w =>
					h("th", { role: "columnheader", key: w }, w),
				),
			),
		),
		h(
			"tbody",
			{ role: "rowgroup" },
			rows.map(r => log_line(r, true)),
		),
	);
}

const open_pill = k =>
	k.closed_at
		? pill({ tone: "plain", sign: "ok", word: `Closed ${short_day(time_ms(k.closed_at), time_now())}` })
		: pill({ tone: "talk", sign: "live", word: "Open" });

function by_case(rows) {
	const groups = new Map();
	for (const r of rows) {
		const id = r.case?.key || r.case?.id || "";
		groups.set(id, [...(groups.get(id) || []), r]);
	}
	return [...groups].map(([id, list]) => {
		const k = list[0].case;
		return h(
			"section.card.list",
			{ key: id, "aria-label": id ? `Case ${k.key || ""}`.trim() : "No case" },
			h(
				"header",
				null,
				h("span.sign.t-consult", null, icon("contacts")),
				h(
					"h2",
					null,
					id
						? h("a", { href: route_text("cases", id) }, k.key ? `Case ${k.key}` : "Case without a key")
						: "No case",
				),
				k?.owner && h("span.pill.t-plain", null, icon("person"), name_of(k.owner)),
				h("span.grow"),
				h("span.sub", null, `${list.length} conversation${list.length === 1 ? "" : "s"}`),
				id && open_pill(k),
			),
			lines(list),
		);
	});
}

function about(a, number) {
	const row = (word, value) => [h("dt", null, word), h("dd.num", null, value)];
	const friends = [...a.agents]
		.sort((p, q) => q.conversations - p.conversations)
		.slice(0, 3)
		.map(f => name_of(f.user))
		.join(", ");
	return h(
		"section.card",
		{ "aria-label": "Contact" },
		h("header", null, h("h2", null, "Contact")),
		h(
			"div.in",
			null,
			h(
				"dl.kv",
				null,
				row("Number", number_text(number)),
				a.names.length > 1 && row("Also as", a.names.slice(1).join(", ")),
				row("Calls", `${a.conversations}, ${span(a.talk_ms)} of talk`),
				row("First", moment(time_ms(a.first_at), time_now())),
				row("Last", moment(time_ms(a.last_at), time_now())),
				row("Mostly with", friends || "nobody"),
			),
		),
	);
}

export function contacts_view(number) {
	if (!number) return latest();
	ask(`n:${number}`, async () => {
		const [a, list] = await Promise.all([
			api_get(`contacts/${encodeURIComponent(number)}`),
			api_get(`conversations${api_query({ contact: number, limit: 100 })}`),
		]);
		const rows = list.conversations.map(log_row),
			k = rows.find(r => r.case)?.case;
		const newest = k && (await api_get(`cases/${encodeURIComponent(k.key || k.id)}`).catch(() => null));
		return { a, rows, newest };
	});
	if (!seen.data)
		return {
			title: number_text(number),
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
	const { a, rows, newest } = seen.data,
		name = isolated(a.names[0]);
	return {
		title: name || number_text(number),
		beside: h("span.sub.num", null, name ? number_text(number) : "no contact yet"),
		extra: call_button(number, name || number_text(number), newest?.closed_at ? "" : newest?.key),
		body: h(
			"div.cols",
			null,
			h("div.stack", null, by_case(rows)),
			h("div.stack", null, newest && timeline(newest, "Case timeline", 8), about(a, number)),
		),
	};
}

/* ---- a case ----------------------------------------------------------------------------------- */

const who = e => name_of(e.actor) || number_text(e.actor) || "Somebody";

/* What a transfer's entry calls its target: a user, a queue, or a number. */
function whom(e) {
	const t = e.data.target || e.data.number || "";
	const { agents, queues } = app.store;
	return isolated((agents.get(t) || queues.get(t))?.name) || number_text(t) || "somebody";
}

const kept_by = e => `${whom(e)} did not take it${e.data.cause ? `: ${REASONS[e.data.cause] || e.data.cause}` : ""}`;
const REASONS = {
	busy: "busy",
	declined: "declined",
	no_answer: "no answer",
	unreachable: "phone not reached",
	invalid_target: "no such number",
	not_permitted: "not allowed",
	media_incompatible: "no common audio format",
	closed: "closed",
	auth: "the line refused us",
	loop: "the number leads back",
	internal: "an error of ours",
};
const ENTRY = {
	case_assigned: ["person", "talk", e => `${who(e)} answered and has the case`],
	note: ["note", "plain", e => `${who(e)}: ${e.data.text || ""}`],
	transfer_completed: ["transfer", "move", e => `${who(e)} sent it to ${whom(e)}`],
	transfer_failed: ["warn", "bad", kept_by],
	transfer_cancelled: ["x", "plain", e => `The transfer to ${whom(e)} was cancelled`],
	transfer_refused: ["warn", "bad", e => `${who(e)} may not send it to ${whom(e)}`],
	transfer_abandoned: ["x", "bad", e => `The caller left before ${whom(e)} answered`],
	transfer_recalled: ["back", "ring", () => "Nobody answered; it came back"],
	transfer_fell_back: ["back", "ring", e => `${whom(e)} did not answer; it went on`],
};

function entry(e) {
	const [sign, tone, text] = ENTRY[e.type],
		at = time_ms(e.at);
	return h(
		"li",
		{ key: `${e.conversation}.${e.seq}` },
		h("time.sub", { datetime: e.at, title: moment(at, time_now()) }, at_minute(at)),
		h("span.sign", { class: `t-${tone}` }, icon(sign)),
		h("p", null, text(e)),
	);
}

/* What has happened to a case, newest conversation first, within each as it went. */
function timeline(c, title, most = 1000) {
	let left = most;
	const blocks = [];
	for (const v of c.conversations) {
		const list = c.timeline.filter(e => e.conversation === v.id && ENTRY[e.type]).slice(0, left);
		left -= list.length;
		const at = time_ms(v.started_at);
		blocks.push(
			h(
				"li.visit",
				{ key: v.id },
				h(
					"a",
					{ href: route_text("log", v.id) },
					icon(v.kind === "outbound" ? "out" : "in"),
					h("b", null, `${short_day(at, time_now())} ${at_minute(at)}`),
					h("span.sub", null, v.ended_at ? `${span(v.talk_ms || 0)} of talk` : "live now"),
				),
			),
			list.map(entry),
		);
		if (left <= 0) break;
	}
	return h(
		"section.card",
		{ "aria-label": title },
		h("header", null, h("h2", null, title)),
		h("ol.thread.tight", null, blocks),
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
	const number = c.customer?.number,
		rows = (c.conversations || []).map(v => log_row({ ...v, customer: c.customer }));
	return {
		title: c.key ? `Case ${c.key}` : "Case",
		beside: [
			open_pill(c),
			c.owner && h("span.pill.t-plain", null, icon("person"), name_of(c.owner)),
			h("span.sub", null, `since ${moment(time_ms(c.opened_at), time_now())}`),
		],
		extra:
			number &&
			h(
				"a.btn",
				{ href: route_text("contacts", number) },
				icon("person"),
				customer_name(c.customer),
			),
		body: h(
			"div.cols",
			null,
			timeline(c, "Timeline"),
			h(
				"section.card",
				{ "aria-label": "Conversations" },
				h(
					"header",
					null,
					h("h2", null, "Conversations"),
					h("span.sub", null, String(rows.length)),
				),
				h(
					"ol.thread.tight",
					null,
					rows.map(r =>
						h(
							"li.visit",
							{ key: r.id },
							h(
								"a",
								{ href: route_text("log", r.id) },
								icon(r.kind === "outbound" ? "out" : "in"),
								h("b", null, moment(r.started, time_now())),
								h("span.sub", null, r.ended ? span(r.ended - r.started) : "live now"),
							),
						),
					),
				),
			),
		),
	};
}
