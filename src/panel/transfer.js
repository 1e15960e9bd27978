/*
 * transfer: the dialog that chooses to whom a call goes and how. The list comes from the server with
 * every target's reason; its order stays until the search text changes.
 */
import { h, patch } from "./dom.js";
import { app, icon, face, since, left, announce, complain, tick } from "./ui.js";
import {
	AGENT_STATES,
	number_kind,
	unavailable,
	how_sentence,
	error_sentence,
	chain_text,
	number_text,
	first,
	isolated,
} from "./words.js";
import { why_not, why_not_sent, matches, call_view } from "./model.js";
import { span, time_now, time_ms, at_minute, coming } from "./time.js";
import { name_of } from "./names.js";
import { api_get, api_once, api_query } from "./api.js";
import { follow } from "./follow.js";

const KINDS = [
	{ id: "all", word: "All" },
	{ id: "user", word: "People" },
	{ id: "queue", word: "Departments" },
	{ id: "ivr", word: "Menus" },
	{ id: "external", word: "Number" },
];
const REFRESH_MS = 800; // the list is asked for again so long after somebody's state has changed
const SIGNS = { queue: "department", ivr: "menu", external: "number" };

let d = null; // the dialog that is open
const el = document.createElement("dialog");
el.addEventListener("close", () => shut());
document.body.append(el);

/* ---- what the server offers ------------------------------------------------------------------- */

function target(raw) {
	const since_ms = time_ms(raw.since);
	const until = time_ms(raw.until),
		id = raw.user || raw.queue || raw.ivr || raw.number || raw.dial;
	return {
		raw,
		kind: raw.kind === "none" ? "external" : raw.kind,
		id,
		name: isolated(raw.name) || raw.user || raw.queue || raw.ivr || number_text(raw.number || raw.dial),
		number: raw.number || "",
		dial: raw.dial || raw.number,
		departments: (raw.queues || []).map(q => name_of(q, "queue")),
		agent: raw.kind === "user" ? raw.state : "",
		since: since_ms,
		until,
		ok: raw.selectable,
		free: raw.available,
		code: raw.reason || "",
		reason: raw.reason
			? unavailable(raw.reason, {
					...raw,
					since: since_ms,
					age: since_ms ? time_now() - since_ms : 0,
					left: until ? until - time_now() : 0,
					why: app.store.agents.get(raw.user)?.reason,
					limit: raw.max_length,
					opens: raw.opens_at && coming(time_ms(raw.opens_at), time_now(), app.store.queues.get(raw.queue)?.time_zone),
				})
			: "",
	};
}

/* What is typed and is not in the list, as the server judges it. */
function typed_target(number) {
	const judged = d.dialled.get(number);
	return {
		kind: "external",
		ok: true,
		free: true,
		reason: "",
		raw: {},
		...judged,
		id: number,
		number,
		dial: number,
		name: `Dial ${d.typed.trim()}`,
		typed: true,
		departments: [],
	};
}

/* Asks the server what it thinks of a number that is not in the list. */
async function judge(number) {
	const mine = d;
	if (!number || mine.dialled.has(number) || mine.targets.some(t => t.number === number))
		return;
	try {
		const a = await api_get(`calls/${mine.call.id}/targets${api_query({ number })}`);
		if (a.targets[0]) mine.dialled.set(number, target(a.targets[0]));
	} catch {
		return; // the transfer itself will say what is wrong with it
	}
	if (d === mine) draw();
}

/* Free longest first among people of the caller's department, then elsewhere, departments, menus. */
function rank(t, department) {
	const near = t.departments.includes(department) ? 0 : 1;
	return { user: near, queue: 2, ivr: 3, external: 4 }[t.kind] ?? 5;
}

function sorted(list, department) {
	return list
		.map((t, i) => ({ t, i }))
		.sort(
			(a, b) =>
				rank(a.t, department) - rank(b.t, department) ||
				(a.t.since ?? Infinity) - (b.t.since ?? Infinity) ||
				a.i - b.i,
		)
		.map(x => x.t);
}

/* What was typed, if it can be dialled. */
function typed_number() {
	const text = d.typed.trim(),
		digits = text.replace(/[\s().\/-]/g, "");
	return /^\+?[\d*#]{2,}$/.test(digits) ? digits : "";
}

const key_of = t => `${t.kind}:${t.id}`;

/* The order and the two halves of the list, for what is typed; they stand until that changes. */
function arrange() {
	const list = d.targets.filter(
		t =>
			(d.kind === "all" || t.kind === d.kind) &&
			(!d.typed.trim() || matches(d.typed, [t.name, t.number, ...t.departments])),
	);
	const named = t => (d.typed.trim() && matches(d.typed, [t.name]) ? 0 : 1);
	list.sort((a, b) => named(a) - named(b)); // who is called so, before whose number is like that
	d.can = list.filter(t => t.free).map(key_of);
	d.cannot = list.filter(t => !t.free).map(key_of);
}

/* What is shown: as arranged, with what is known of each now. */
function shown() {
	const number = typed_number(),
		now = new Map(d.targets.map(t => [key_of(t), t])),
		get = keys => keys.map(k => now.get(k)).filter(Boolean);
	const out = { can: get(d.can), cannot: get(d.cannot) };
	const known = number && d.targets.some(t => t.number === number);
	if (number && !known && (d.kind === "all" || d.kind === "external")) {
		const t = typed_target(number);
		out[t.free ? "can" : "cannot"].unshift(t);
	}
	return out;
}

function chosen() {
	const { can, cannot } = shown();
	return [...can, ...cannot].find(t => key_of(t) === d.mark) || null;
}

/* ---- what is drawn ---------------------------------------------------------------------------- */

/* The reason in one line, or two with a figure that runs. */
function reason_lines(t) {
	const two = (word, ...figure) => [
		h("div", { class: t.ok ? "c-ring" : null }, word),
		h("div.sub", null, figure),
	];
	if (t.code === "busy" && t.since) return two("On a call", "for ", since(t.since, true));
	if (t.code === "unregistered" && t.since)
		return two("Phone not connected", `since ${at_minute(t.since)}`);
	if (t.code === "wrapup" && t.until > time_now())
		return two("Finishing notes", left(t.until, true), " left");
	return [h("div", { class: t.ok ? "c-ring" : null }, t.reason)];
}

function right_side(t) {
	const waiting = t.kind === "queue" && h("div.sub", null, `${t.raw.waiting} waiting`);
	if (t.reason) return [...reason_lines(t), waiting];
	if (t.kind === "queue") {
		const wait = t.raw.estimate_ms,
			soon = wait === 0 || t.raw.agents.free > t.raw.waiting;
		const word = soon ? "At once" : wait >= 0 && wait < 5000 ? "In a moment" : wait > 0 ? `About ${span(wait)}` : "Nobody is free";
		return [h("div", { class: soon ? "c-talk" : "c-wait" }, word), waiting];
	}
	if (t.kind === "ivr")
		return [
			h("div.c-talk", null, "Answers at once"),
			h("div.sub", null, `ext. ${t.number}`),
		];
	if (t.kind === "external") return h("div.c-talk", null, "Allowed");
	return [
		h("div.c-talk", null, AGENT_STATES[t.agent]?.word || "Free"),
		t.since && h("div.sub", null, "for ", since(t.since, true)),
	];
}

function second_line(t) {
	if (t.kind === "queue") {
		const longest = time_ms(t.raw.longest_since);
		const free = `${t.raw.agents.free} of ${t.raw.members} agents free`;
		return longest ? `${free} · longest wait ${span(time_now() - longest)}` : free;
	}
	if (t.kind === "ivr") return "Menu";
	if (t.kind === "external") return t.typed ? number_kind(t.raw.class) : t.number;
	return (
		[...t.departments, t.number && `ext. ${t.number}`].filter(Boolean).join(" · ") ||
		"No department"
	);
}

function option(t) {
	const marked = key_of(t) === d.mark;
	return h(
		"div.opt",
		{
			key: key_of(t),
			id: `opt-${key_of(t).replace(/[^\w]/g, "_")}`,
			role: "option",
			"aria-selected": marked,
			"aria-disabled": t.ok ? null : "true",
			onclick: () => {
				mark(t);
				draw();
			},
			ondblclick: () => send(),
		},
		face(t.name, {
			dot:
				t.kind === "user"
					? AGENT_STATES[t.agent]?.dot || (t.ok ? "free" : "off")
					: null,
			sign: SIGNS[t.kind],
		}),
		h(
			"div",
			null,
			h("div.clip", null, h("b", null, t.name)),
			h("div.sub.clip", null, second_line(t)),
		),
		h("div", null, right_side(t)),
	);
}

/* `t` is the marked one from now on; whether it was free then is remembered. */
function mark(t) {
	d.mark = t ? key_of(t) : "";
	d.was_free = !!t?.free;
}

/* Why the marked target cannot be sent to as it was chosen; "" if it can. */
function changed_mind(t) {
	return t.ok && t.reason && d.was_free ? t.reason : t.ok ? "" : t.reason;
}

function plan(t) {
	const nobody = alone(d.view),
		owner = first(d.view.with) || "the agent",
		name = t.typed ? t.number : first(t.name);
	const ring = Math.round(d.ring_ms / 1000);
	const chain = chain_text(d.fallback[t.kind], name_of);
	const back = h(
		"li",
		null,
		h("span.no", null, "3"),
		h(
			"div",
			null,
			"Not answered: ",
			h("b", null, nobody ? chain || "the call ends" : `${owner} keeps the call`),
			!nobody && chain && h("div.sub", null, `if ${owner} has gone: ${chain}`),
		),
	);
	const steps =
		d.how === "consult"
			? [
					`${name} is asked while the caller hears music`,
					[h("b", null, "You hand over"), `, swap, or take back`],
				]
			: t.kind === "queue"
				? [
						`The caller waits in ${t.name}`,
						!nobody && [stays(t) ? `${owner} keeps the line until somebody answers` : `${owner} is released at once`],
					]
				: [
						[
							`${t.kind === "user" ? `${name}’s phones ring` : `${name} is rung`} for up to `,
							h("b", null, `${ring}\u00a0s`),
						],
						[
							`Answered: the caller is with ${name}`,
							!nobody && [", ", h("b", null, `${owner} is released`)],
						],
					];
	return h(
		"div.plan",
		null,
		h(
			"div.top",
			null,
			face(t.typed ? "#" : t.name, { sign: SIGNS[t.kind] }),
			h(
				"div",
				null,
				h("h2", null, t.typed ? t.number : t.name),
				h("p.sub", null, second_line(t)),
			),
		),
		h(
			"ol",
			{ "aria-label": "What will happen" },
			steps.filter(Boolean).map((s, i) =>
				h("li", null, h("span.no", null, String(i + 1)), h("div", null, s)),
			),
			t.kind !== "queue" && back,
		),
		h(
			"label",
			null,
			`A word for ${t.kind === "user" ? name : "whoever answers"}`,
			h("textarea", {
				maxlength: 400,
				rows: 3,
				value: d.word,
				oninput: e => {
					d.word = e.target.value;
				},
				placeholder: "What they should know before they answer",
			}),
			h(
				"span.sub",
				null,
				"Shown before the call is answered. It stays with the case.",
			),
		),
	);
}

function go_label(t) {
	if (!t) return "Choose somebody";
	const name = t.typed ? t.number : t.kind === "user" ? first(t.name) : t.name;
	return d.how === "consult"
		? `Ask ${name}`
		: t.reason && t.ok
			? `Ring ${name} anyway`
			: `Send to ${name}`;
}

function option_list({ can, cannot }) {
	if (d.loading) return h("div.bones", null, h("i"), h("i"), h("i"));
	if (!can.length && !cannot.length)
		return h(
			"div.empty",
			null,
			h(
				"p",
				null,
				d.kind === "external" && !d.typed
					? "Type the number to dial."
					: d.typed
						? NONE()
						: "Nobody to send it to.",
			),
		);
	return [
		can.length > 0 && h("h3", { key: "can", role: "presentation" }, "Can take it now"),
		can.map(option),
		cannot.length > 0 &&
			h("h3", { key: "cannot", role: "presentation" }, "Cannot take it now"),
		cannot.map(option),
	];
}

function header(v) {
	return h(
		"header",
		null,
		h("span.sign.t-talk", null, icon("transfer")),
		h(
			"div",
			null,
			h("h1", { id: "dlg-title" }, `Transfer ${v.customer}`),
			h(
				"p.sub.clip",
				null,
				v.with ? `with ${v.with} for ` : "for ",
				since(v.started, true),
				v.department && ` · ${v.department}`,
				v.case_key && ` · case ${v.case_key}`,
			),
		),
		h(
			"button.btn.bare.icon",
			{ type: "button", "aria-label": "Close", onclick: () => el.close() },
			icon("x"),
		),
	);
}

/* Sending to a department leaves the choice; asking first, the agent stays anyway. */
const may_stay = t => t?.kind === "queue" && d.how !== "consult";
const alone = v => !v.parties.some(p => p.role === "owner"); // nobody is there who could stay
const stays = t => may_stay(t) && d.stay && !alone(d.view);

function stay_choice(v) {
	const off = alone(v);
	return h(
		"label",
		{ class: off ? "off" : null },
		h("input", {
			type: "checkbox",
			checked: d.stay && !off,
			"aria-disabled": off ? "true" : null,
			onclick: off ? e => e.preventDefault() : null,
			onchange: e => {
				d.stay = e.target.checked;
				draw();
			},
		}),
		off
			? "Nobody is with the caller who could stay"
			: `${first(v.with) || "The agent"} stays until somebody answers`,
	);
}

const NO_ONE = "Nobody is with the caller who could ask first.";

/* Send now, or ask first; asking first needs somebody who asks. */
function choose_how(how) {
	if (how === "consult" && alone(d.view)) d.error = NO_ONE;
	else d.how = how;
	draw();
}

function how_choice(v, t) {
	const choice = (id, word, name, tip, off) =>
		h(
			"label",
			{ title: off ? NO_ONE : tip },
			h("input", {
				type: "radio",
				name: "how",
				value: id,
				checked: d.how === id,
				"aria-disabled": off ? "true" : null,
				onclick: off ? e => e.preventDefault() : null,
				onchange: () => choose_how(id),
			}),
			h("span", null, icon(name), word),
		);
	return h(
		"div.how",
		null,
		h(
			"div.seg",
			{ role: "radiogroup", "aria-label": "How" },
			choice("blind", "Send now", "transfer", "Blind transfer"),
			choice("consult", alone(v) ? "Nobody to ask first" : "Ask first", "consult", "Consult first (Alt A)", alone(v)),
		),
		h(
			"p.sub",
			null,
			how_sentence(
				d.how,
				alone(v) ? "" : first(v.with) || "the agent",
				t && !t.typed ? first(t.name) : "",
				t?.kind === "queue",
				stays(t),
			),
		),
		may_stay(t) && stay_choice(v),
	);
}

const NONE = () => `Nobody and nothing is called “${d.typed}”.`;

/* What is read out as it changes under somebody's hands: the marked target goes away, the call, or nothing is found. */
function aloud(t, why, none) {
	const now = { mark: d.mark, why, none: none && !d.loading && d.typed },
		was = d.told || {};
	if (now.none && now.none !== was.none) announce(NONE());
	if (why && !was.why && now.mark === was.mark) announce(d.gone ? `${d.gone}.` : `${t.name}: ${why}.`);
	d.told = now;
}

function draw() {
	if (!d) return;
	const v = d.view,
		lists = shown(),
		order = [...lists.can, ...lists.cannot];
	if (!order.some(t => key_of(t) === d.mark)) mark(lists.can[0] || null);
	const t = chosen(),
		why = d.gone || (t && changed_mind(t)),
		off = why || !t || d.sending;
	aloud(t, why, order.length === 0);
	const counts = id => d.targets.filter(x => x.kind === id).length;
	patch(
		el,
		h(
			"div.box",
			{ onkeydown: keys },
			header(v),
			how_choice(v, t),
			h(
				"div.choose",
				null,
				h(
					"div.find",
					null,
					h(
						"label.field",
						null,
						icon("search"),
						h("input", {
							type: "text",
							id: "who",
							role: "combobox",
							"aria-expanded": "true",
							"aria-controls": "targets",
							"aria-autocomplete": "list",
							"aria-label": "Name, department or number",
							placeholder: "Name, department or number",
							autocomplete: "off",
							spellcheck: "false",
							"aria-activedescendant": t
								? `opt-${key_of(t).replace(/[^\w]/g, "_")}`
								: null,
							value: d.typed,
							oninput: e => {
								d.typed = e.target.value;
								d.mark = "";
								d.error = "";
								arrange();
								judge(typed_number());
								draw();
							},
						}),
					),
					h(
						"div.kinds",
						{ role: "group", "aria-label": "Kind" },
						KINDS.map((k, i) =>
							h(
								"button",
								{
									type: "button",
									"aria-pressed":
										d.kind === k.id,
									title: `Alt ${i + 1}`,
									onclick: () => {
										d.kind = k.id;
										d.mark = "";
										arrange();
										draw();
										el.querySelector(
											"#who",
										).focus();
									},
								},
								k.word,
								counts(k.id) > 0 &&
									k.id !== "external" &&
									h(
										"span.num",
										null,
										` ${counts(k.id)}`,
									),
							),
						),
					),
					h(
						"div.opts",
						{
							id: "targets",
							role: "listbox",
							"aria-label": "Targets",
						},
						option_list(lists),
					),
				),
				t ? plan(t) : h("div.plan"),
			),
			h(
				"footer",
				null,
				d.error && h("p.notice.bad", { role: "alert" }, d.error),
				t &&
					t.kind !== "queue" &&
					h(
						"p.sub.fine",
						null,
						alone(v)
							? `Not answered: ${chain_text(d.fallback[t.kind], name_of) || "the call ends"}`
							: `Not answered: ${first(v.with) || "the agent"} keeps the call`,
					),
				h(
					"span.sub.hints",
					null,
					h("kbd", null, "↑"),
					h("kbd", null, "↓"),
					" choose ",
					h("kbd", null, "Alt A"),
					" ask first ",
					h("kbd", null, "Esc"),
					" close",
				),
				h("span.grow"),
				h(
					"button.btn",
					{ type: "button", onclick: () => el.close() },
					"Not now",
				),
				h(
					"button.btn.go",
					{
						type: "button",
						"aria-disabled": off ? "true" : null,
						onclick: () => send(),
						title: why || null,
					},
					why ||
						[
									icon(
										d.how === "consult"
											? "consult"
											: "transfer",
									),
									go_label(t),
									h("kbd", null, "Enter"),
								],
				),
			),
		),
	);
	el.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
	tick(el);
}

/* ---- keys, sending ---------------------------------------------------------------------------- */

function step(by) {
	const { can, cannot } = shown(),
		order = [...can, ...cannot];
	const i = order.findIndex(t => key_of(t) === d.mark);
	mark(order[Math.min(order.length - 1, Math.max(0, i + by))]);
	draw();
}

function keys(e) {
	const field = e.target.id === "who";
	if ((e.key === "ArrowDown" || e.key === "ArrowUp") && field) {
		e.preventDefault();
		step(e.key === "ArrowDown" ? 1 : -1);
	} else if (e.key === "Enter" && field && !e.isComposing) {
		e.preventDefault();
		send();
	} else if (e.altKey && e.code === "KeyA") {
		e.preventDefault();
		choose_how(d.how === "consult" ? "blind" : "consult");
	} else if (e.altKey && /^Digit[1-5]$/.test(e.code)) {
		e.preventDefault();
		d.kind = KINDS[Number(e.code[5]) - 1].id;
		d.mark = "";
		arrange();
		draw();
	}
}

async function send() {
	const t = chosen(),
		mine = d;
	if (d.loading) d.eager = true; // typed and confirmed before the list was here
	if (!t || d.sending || d.loading) return;
	if (d.gone) return;
	if (changed_mind(t)) {
		d.error = `${t.name}: ${t.reason}.${t.ok ? " Choose again to ring all the same." : ""}`;
		return draw();
	}
	d.sending = true;
	d.error = "";
	judge(typed_number());
	draw();
	try {
		const answer = await api_once(
			`calls/${d.call.id}/${d.retry ? "retry" : "transfer"}`,
			{
				number: t.dial,
				kind: d.how,
				...(stays(t) ? { stay: true } : {}),
			},
		);
		const word = d.word.trim();
		if (word)
			api_once(`calls/${d.call.id}/note`, { text: word }).catch(e =>
				complain(`Your word did not arrive. ${error_sentence(e)}`),
			);
		announce(
			`${d.how === "consult" ? "Asking" : "Sending to"} ${t.typed ? t.number : t.name}.`,
		);
		follow(mine.view, answer, mine.fallback);
		if (d === mine) el.close();
	} catch (e) {
		if (d !== mine) return;
		d.sending = false;
		d.error = error_sentence(e, {
			target: t.typed ? d.typed.trim() : t.name,
			has: d.view.with,
			customer: d.view.customer,
		});
		draw();
	}
}

function shut() {
	const call = d?.call;
	d = null;
	if (call && document.activeElement === document.body) // else the browser has given it back
		(
			document.querySelector(`[data-main="${CSS.escape(call.id)}"]`) ||
			document.querySelector(".calls.live tr[tabindex='0']") ||
			document.querySelector(".main")
		)?.focus();
}

/* Somebody's state is another now: the list is asked for again, and keeps its order. */
function refresh() {
	if (d.agents === app.store.agents && d.queues === app.store.queues) return;
	Object.assign(d, { agents: app.store.agents, queues: app.store.queues });
	d.timer ||= setTimeout(async () => {
		const mine = d;
		if (!mine) return;
		mine.timer = 0;
		try {
			const a = await api_get(`calls/${mine.call.id}/targets`);
			if (d !== mine) return;
			const known = new Set(mine.targets.map(key_of));
			d.targets = sorted(a.targets.map(target), d.view.department);
			if (!chosen() || d.targets.some(t => !known.has(key_of(t)))) arrange(); // with nobody marked nothing need stand still
			draw();
		} catch {
			return; // the call has gone, which is said elsewhere
		}
	}, REFRESH_MS);
}

/* The store changed: is the call still there, and may it still move? */
export function changed() {
	if (!d) return;
	if (!d.loading) refresh();
	const raw = app.store.calls.get(d.call.id);
	const before = d.gone;
	d.gone = !raw ? "The call has ended" : "";
	if (raw) d.view = call_view(raw);
	const code = raw && why_not_sent(d.view);
	if (code && !d.retry)
		d.gone =
			code === "transfer_running"
				? "Another transfer is running"
				: "It cannot move now";
	if (d.gone !== before || raw !== d.call.raw) {
		d.call = { id: d.call.id, raw };
		draw();
	}
}

/* Opens the dialog for a call. `retry`: a transfer of it is running; `typed`: what was typed
 * before; `how`: "consult" to ask first. */
export async function open(v, { retry, typed, how } = {}) {
	d = {
		call: { id: v.id, raw: v.raw },
		view: v,
		how: how || "blind",
		stay: false, // in a department: the agent keeps the line until somebody answers
		kind: "all",
		typed: typed || "",
		can: [],
		cannot: [],
		was_free: false,
		agents: app.store.agents,
		queues: app.store.queues,
		timer: 0,
		word: "",
		mark: "",
		error: "",
		targets: [],
		loading: true,
		sending: false,
		eager: false,
		dialled: new Map(),
		ring_ms: 0,
		fallback: {},
		retry: !!retry,
		gone: "",
	};
	el.setAttribute("aria-labelledby", "dlg-title");
	const mine = d;
	draw();
	if (!el.open) el.showModal();
	el.querySelector("#who").focus();
	try {
		const a = await api_get(`calls/${v.id}/targets`);
		if (d !== mine) return;
		d.targets = sorted(a.targets.map(target), v.department);
		d.ring_ms = a.ring_ms;
		d.fallback = a.fallback || {};
	} catch (e) {
		if (d !== mine) return;
		d.error = error_sentence(e);
	}
	d.loading = false;
	arrange();
	judge(typed_number());
	refresh(); // whoever changed while the list was on its way
	draw();
	if (d.eager) send();
}
