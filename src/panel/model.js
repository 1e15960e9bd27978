/*
 * model: what is shown of a call: the server's fields, given names and joined with each other. Pure;
 * computed once per object of the store.
 */
import { time_ms } from "./time.js";
import { isolated, number_text } from "./words.js";

const cache = new WeakMap();
let name_of = who => who; // what the directory calls a user, a queue, a menu

/* `fn(who, kind)` gives the name that is shown. */
export function model_names(fn) {
	name_of = fn;
}

/* What the customer is called: a name, else the number, else that it was withheld. */
export function customer_name(c) {
	return isolated(c?.name) || number_text(c?.number) || "Withheld number";
}

function party_name(p) {
	return p ? isolated(p.name) || p.user || number_text(p.number) : "";
}

/* What the customer hears while a party is in that state, most telling first. */
const HEARD = [
	["talking", "talking"],
	["conference", "talking"],
	["held", "held"],
	["holding", "holding"],
	["consulting", "holding"],
	["queued", "queued"],
	["menu", "menu"],
	["ringing", "ringing"],
	["limbo", "limbo"],
];

/* What the customer heard, as bars that follow each other. */
export function heard(segments, from, to) {
	const cuts = new Set([from, to]);
	for (const s of segments)
		for (const b of s.bars) cuts.add(Math.max(from, b.from)).add(Math.min(to, b.to));
	const times = [...cuts].filter(t => t >= from && t <= to).sort((a, b) => a - b);
	const out = [];
	for (let i = 0; i + 1 < times.length; i++) {
		const now = new Set();
		for (const s of segments)
			for (const b of s.bars)
				if (b.from <= times[i] && b.to >= times[i + 1])
					now.add(s.kind === "queue" ? "queued" : b.state);
		const state = HEARD.find(([k]) => now.has(k))?.[1] || "limbo";
		const last = out.at(-1);
		if (last?.state === state) last.to = times[i + 1];
		else out.push({ state, from: times[i], to: times[i + 1] });
	}
	return out;
}

/* What the customer of a live call heard until `now`. */
function so_far(list, from, now) {
	const bars = (list || []).map(i => ({
		state: i.state,
		from: time_ms(i.from),
		to: time_ms(i.to) ?? now,
	}));
	return heard([{ bars }], from, now);
}

const FIRST_STEPS = new Set(["asked", "accepted"]); // nothing rings yet
const ASKING = {
	CONSULT_RING: "ringing",
	CONSULT_JOIN: "ringing",
	CONSULT_QUEUE_JOIN: "ringing",
	CONSULT: "consulting",
	ASIDE: "swapped",
};

/* Who is rung because nobody else took the call: whoever had it before, and has gone. */
function recalled_user(t, raw) {
	const rung = raw?.parties?.find(p => p.role === "target" && p.user && p.state !== "closing");
	return !t.outcome && t.target?.kind === "user" && rung && rung.user !== t.target.name ? rung : null;
}

const AFTER_ANSWER = new Set(["CONSULT", "ASIDE"]);
const COMMANDS = new Set(["panel", "api"]); // these put the customer on hold first

/* Where a transfer stands, in the words of words.js. */
function stage(t, raw, owner) {
	if (!owner && recalled_user(t, raw)) return "recall";
	if (raw.table_state === "JOIN") return "joining";
	if (AFTER_ANSWER.has(raw.table_state)) return ASKING[raw.table_state];
	if (owner && FIRST_STEPS.has(t.stage) && !(t.target?.kind === "queue" && raw.queue)) {
		if (raw.parties.some(p => p.role === "target" && p.state === "ringing")) return "ringing";
		const held = !raw.parties.some(p => p.role === "kept" && p.changing);
		return COMMANDS.has(t.via) && !held ? "asked" : "calling";
	}
	if (ASKING[raw.table_state]) return ASKING[raw.table_state];
	if (t.target?.kind === "queue" && raw.queue) return "queued";
	if (raw.table_state === "RESUME") return "resuming";
	return t.stage === "answered" && owner ? "joining" : t.stage;
}

/* A transfer as it is shown; `raw` is its call, null once that has gone. */
export function transfer_view(t, raw) {
	const owner = raw?.parties?.find(p => p.role === "owner"),
		gone =
			owner ||
			recalled_user(t, raw) ||
			raw?.parties?.find(p => p.role === "past" && p.user && p.user !== t.target?.name),
		kind = t.target?.kind || "user";
	return {
		id: t.id,
		call: t.call,
		kind: t.kind,
		via: t.via,
		asker: t.asker || "",
		stage: raw ? stage(t, raw, owner) : t.stage,
		target: (kind !== "external" && name_of(t.target?.name, kind)) || number_text(t.target?.number),
		target_kind: kind,
		target_id: t.target?.name || "",
		owner: party_name(gone),
		owner_user: gone?.user || "",
		owner_since: time_ms(owner?.since),
		owner_left: !!raw && !owner,
		talks: !!owner && raw.interval === "talking", // the customer is not on hold meanwhile
		asked: time_ms(t.asked_at),
		ring_from: time_ms(t.ringing_at) ?? time_ms(t.asked_at),
		ring_until: t.outcome ? null : time_ms(raw?.deadline),
		position: raw?.queue?.position,
		estimate: raw?.queue?.estimate_ms > 0 ? raw.queue.estimate_ms : 0,
		outcome: t.outcome || "",
		cause: t.cause,
		sip: t.sip_status || 0,
		answered: time_ms(t.answered_at),
		ended: time_ms(t.ended_at),
		rang: t.ringing_at && t.ended_at ? time_ms(t.ended_at) - time_ms(t.ringing_at) : 0,
		next: t.next,
	};
}

/* A call as it is shown. `can` maps a verb to true or to the reason why not. */
export function call_view(raw) {
	let v = cache.get(raw);
	if (v) return v;
	v = {
		raw,
		id: raw.id,
		conv: raw.conversation,
		dir: raw.kind,
		state: ["CONSULT", "ASIDE"].includes(raw.table_state) ? "consulting" : raw.state,
		since: time_ms(raw.since),
		started: time_ms(raw.started_at),
		ended: time_ms(raw.ended_at),
		customer: customer_name(raw.customer),
		number: raw.customer?.name ? number_text(raw.customer.number) : "",
		dial: raw.customer?.number || "", // as it is dialled
		with: party_name(raw.with),
		with_id: raw.with?.user || "",
		department: name_of(raw.department, "queue") || "",
		queue: raw.queue && { ...raw.queue, title: name_of(raw.queue.name, "queue") },
		bars: now => so_far(raw.so_far, v.started, now),
		can: raw.can || {},
		case_key: raw.case || "",
		recovered: !!raw.recovered,
		sip_call_id: raw.sip_call_id || "",
		parties: raw.parties || [],
		recording: raw.recording || "off",
	};
	v.transfer = raw.transfer ? transfer_view(raw.transfer, raw) : null;
	if (v.state === "ringing" && !v.with)
		v.with = party_name(
			v.parties.find(p => p.direction === "out" && p.state !== "closing"),
		);
	v.target = v.transfer && !v.transfer.outcome ? v.transfer.target : "";
	cache.set(raw, v);
	return v;
}

const PERMISSION = { hangup: "hangup", hold: "control", unhold: "control", record: "control" };
let permissions = null; // of who is signed in; null: all

export function model_permissions(list) {
	permissions = list ? new Set(list) : null;
}

/* Whether the role has that permission. */
export function may(what) {
	return !permissions || permissions.has(what);
}

/* "" if the verb is allowed now, else why not. */
export function why_not(v, verb) {
	if (permissions && !permissions.has(PERMISSION[verb] || "transfer")) return "not_permitted";
	const c = v.can[verb];
	return c === true || c === ""
		? ""
		: typeof c === "string"
			? c
			: v.ended
				? "ended"
				: "not_now";
}

/* Why the call cannot be sent to somebody else: neither from an agent nor out of a queue. */
export function why_not_sent(v) {
	return why_not(v, "move") && why_not(v, "transfer");
}

/* Which button stands in the place of Transfer. */
export function main_verb(v) {
	if (v.state === "consulting" && !why_not(v, "complete")) return "complete";
	if (v.transfer && !v.transfer.outcome && !why_not(v, "cancel")) return "cancel";
	return "transfer";
}

/* Oldest first; those of equal age by id, so that the order never flickers. */
export function by_age(a, b) {
	return a.started - b.started || (a.id < b.id ? -1 : 1);
}

/* What needs somebody first: transfers, long holds, then by age. */
export function by_need(now) {
	const need = v =>
		v.transfer && !v.transfer.outcome
			? 0
			: v.state === "held" && now - v.since > 60000
				? 1
				: 2;
	return (a, b) => need(a) - need(b) || by_age(a, b);
}

const fold = s => (s || "").normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

const DIGITS = /^[+*#\d]+$/;
const INSIDE = 3; // so many digits may also stand in the middle of a number

/* Whether every word that was typed starts a word of one of the texts, or is inside a number. */
export function matches(typed, texts) {
	const said = texts.filter(Boolean);
	const words = fold(said.join(" ")).split(/[^\p{L}\p{N}+*#]+/u);
	const numbers = said.map(t => t.replace(/[^\d*#]/g, "")).filter(Boolean);
	return fold(typed)
		.split(/\s+/)
		.filter(Boolean)
		.every(w => {
			const digits = DIGITS.test(w) && w.replace("+", "");
			return (
				words.some(x => x.startsWith(w)) ||
				(digits.length >= INSIDE && numbers.some(n => n.includes(digits)))
			);
		});
}
