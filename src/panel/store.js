/*
 * store: what the server says, by id, kept up to date by its stream. Pure: the same messages always
 * give the same state; maps are replaced, never changed in place, so that views compare by identity.
 */

export const KINDS = ["calls", "agents", "queues", "menus", "transfers"];
const KEYS = { calls: "id", agents: "user", queues: "queue", menus: "ivr", transfers: "id" };
const OVER_KEPT = 200; // transfers that have ended, for those who still read how
const GONE_KEPT = 50; // calls that have gone, with why

export function store_new() {
	const s = { changes: 0, ended: 0, ready: false };
	for (const k of ["notes", "cancelled", "gone"]) s[k] = new Map();
	for (const k of KINDS) s[k] = new Map();
	return s;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/* The list as a map; what did not change stays the same object. Counts the differences. */
function replace(old, list, key) {
	const map = new Map();
	let changed = 0;
	for (const v of list || []) {
		const was = old.get(v[key]),
			kept = was && same(was, v);
		map.set(v[key], kept ? was : v);
		changed += !kept;
	}
	for (const id of old.keys()) changed += !map.has(id);
	return [map, changed];
}

/* Of transfers only those that run are in a snapshot, with their calls; others stay as they were. */
function running(old, calls) {
	const map = new Map(old);
	for (const c of calls || [])
		if (c.transfer && !same(map.get(c.transfer.id), c.transfer))
			map.set(c.transfer.id, c.transfer);
	return map;
}

/* The whole state: {at, calls, agents, queues, menus}. */
export function store_snapshot(s, m) {
	const next = { ...s, ready: true };
	for (const k of ["calls", "agents", "queues", "menus"]) {
		const [map, changed] = replace(
			s[k],
			m[k]?.filter(v => v.state !== "ended"),
			KEYS[k],
		);
		next[k] = map;
		next.changes += changed;
	}
	next.transfers = running(s.transfers, m.calls);
	return next;
}

function put(s, kind, v) {
	const map = new Map(s[kind]);
	map.set(v[KEYS[kind]], v);
	return { ...s, [kind]: map, changes: s.changes + 1 };
}

/* The latest note of a call: a word for whoever is about to answer it. */
function noted(s, m) {
	const notes = new Map(s.notes).set(m.call, { text: m.data?.text || "", actor: m.actor });
	for (const id of notes.keys()) if (id !== m.call && !s.calls.has(id)) notes.delete(id);
	return { ...s, notes };
}

/* Who called a transfer off. */
function called_off(s, m) {
	const cancelled = new Map(s.cancelled).set(m.transfer, m.actor);
	if (cancelled.size > OVER_KEPT) cancelled.delete(cancelled.keys().next().value);
	return { ...s, cancelled };
}

function trim(s) {
	if (s.transfers.size <= OVER_KEPT) return s;
	const over = [...s.transfers.values()].filter(t => t.outcome);
	if (over.length <= OVER_KEPT) return s;
	const map = new Map(s.transfers);
	for (const t of over.slice(0, over.length - OVER_KEPT)) map.delete(t.id);
	return { ...s, transfers: map };
}

/* A call has gone: it ended, was merged with another one, or left for people that one does not see. */
function gone(s, m) {
	const map = new Map(s.calls),
		why = m.why || "ended";
	if (!map.delete(m.id)) return s;
	const reasons = new Map(s.gone).set(m.id, why);
	if (reasons.size > GONE_KEPT) reasons.delete(reasons.keys().next().value);
	return { ...s, calls: map, gone: reasons, changes: s.changes + 1, ended: s.ended + (why === "ended") };
}

/* One change, by the name of its event. A name that is not known changes nothing. */
export function store_change(s, name, m) {
	switch (name) {
		case "call": // one that has ended only waits for the last of its phones to say goodbye
			if (m.state === "ended") return gone(s, m);
			return put(m.transfer ? put(s, "transfers", m.transfer) : s, "calls", m);
		case "call_gone":
			return gone(s, m);
		case "transfer":
			return trim(put(s, "transfers", m));
		case "timeline":
			if (m.type === "transfer_cancelled") return called_off(s, m);
			return m.type === "note" ? noted(s, m) : s;
		case "agent":
			return put(s, "agents", m);
		case "queue":
			return put(s, "queues", m);
		case "menu":
			return put(s, "menus", m);
		default:
			return s;
	}
}
