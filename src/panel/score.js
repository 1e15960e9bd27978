/*
 * score: where everything of a drawn conversation goes. Pure: times in, percentages out. One lane
 * per party in order of appearance, the customer's first; time to scale on one axis.
 */
import { time_ms, span } from "./time.js";
import { heard } from "./model.js";
import { number_text } from "./words.js";

const MIN_WIDTH = 0.22; // per cent: what is shorter is drawn that wide and says its true length

/* A visit of a party, with bars; `end`: the end of one that goes on. */
export function segment(s, end, name_of) {
	const from = time_ms(s.offered_at),
		to = time_ms(s.ended_at) ?? end;
	const answered = time_ms(s.answered_at),
		talks = s.kind === "consult" ? "consulting" : "talking";
	let bars = (s.intervals || []).map(i => ({
		state: i.state,
		from: time_ms(i.from),
		to: time_ms(i.to) ?? to,
	}));
	if (!bars.length && to > from)
		// still open, or too short for intervals
		bars = answered
			? [
					{ state: "ringing", from, to: answered },
					{ state: talks, from: answered, to },
				]
			: [{ state: s.kind === "queue" ? "queued" : "ringing", from, to }];
	else if (!s.ended_at && bars.length && bars.at(-1).to < end)
		bars.push({
			state:
				s.state ||
				(answered ? talks : s.kind === "queue" ? "queued" : "ringing"),
			from: bars.at(-1).to,
			to: end,
			open: true,
		});
	return {
		id: s.id,
		kind: s.kind,
		who: s.who || s.number || "",
		name: name_of(s.who, s.kind) || number_text(s.number) || "?",
		from,
		to,
		answered,
		outcome: s.outcome || "",
		cause: s.sip_cause,
		seq: s.seq,
		bars: bars.filter(b => b.to > b.from),
		merged: s.merged_from || "",
		transfer_in: s.transfer_in,
		transfer_out: s.transfer_out,
	};
}

const MISSED = new Set([
	"busy",
	"no_answer",
	"declined",
	"unreachable",
	"cancelled",
	"invalid_target",
	"media_incompatible",
]);

/* Whether this visit was an offer that nobody took. */
export function missed(s) {
	return s.kind !== "queue" && !s.answered && MISSED.has(s.outcome);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800];

/* Marks of the axis between two offsets (ms from the start): round, and no more than `most`. */
export function ticks(a, b, most = 7) {
	const step = 1000 * (STEPS.find(s => (b - a) / 1000 / s <= most) ?? 86400);
	const out = [];
	for (let t = Math.ceil(a / step) * step; t <= b; t += step)
		out.push({ at: t, text: span(t) });
	return out;
}

/*
 * Lays out. `c`: {started, ended or null, customer, segments, transfers (rows of the ledger)};
 * `now`: the end of a conversation that goes on; `name_of(who, kind)`; `view`: [a, b], the part of
 * the whole that is seen, 0 to 1.
 */
export function score_layout(c, now, name_of, view = [0, 1]) {
	const from = c.started,
		to = Math.max(c.ended ?? now, from + 1);
	const whole = to - from,
		a = view[0] * whole,
		wide = Math.max(1, (view[1] - view[0]) * whole);
	const x = t => (100 * (t - from - a)) / wide;
	const segments = c.segments.map(s => segment(s, to, name_of)).sort((p, q) => p.seq - q.seq);
	const lanes = [
		{
			key: "customer",
			name: c.customer,
			kind: "customer",
			bars: heard(segments, from, to),
		},
	];
	const lane_of = new Map();
	for (const s of segments) {
		const key = `${s.kind === "queue" ? "queue" : s.kind === "ivr" ? "ivr" : "party"}:${s.who || s.id}`;
		let i = lanes.findIndex(l => l.key === key);
		if (i < 0) i = lanes.push({ key, name: s.name, kind: s.kind, bars: [] }) - 1;
		lane_of.set(s.id, i);
		if (s.merged) lanes[i].merged = s.merged;
		for (const b of s.bars)
			lanes[i].bars.push({
				...b,
				state: missed(s) ? "missed" : b.state,
				segment: s,
			});
	}
	for (const l of lanes)
		for (const b of l.bars) {
			b.x = x(b.from);
			b.w = Math.max(MIN_WIDTH, x(b.to) - b.x);
		}
	return {
		lanes,
		from,
		to,
		whole,
		view,
		moves: moves(c.transfers, segments, lane_of, x, from),
		ticks: ticks(a, a + wide).map(t => ({ ...t, x: x(from + t.at) })),
	};
}

/* The arrows: from the lane that gives to the lane that receives, at the time of the hand-over. */
function moves(transfers, segments, lane_of, x, start) {
	const by_id = new Map(segments.map(s => [s.id, s]));
	return transfers.map((t, i) => {
		const given = by_id.get(t.from_segment) || null;
		const got =
			by_id.get(t.to_segment) ||
			segments.find(s => s.transfer_in === t.id && s.id !== t.from_segment) ||
			null;
		const good = t.outcome === "completed",
			at = good
				? (time_ms(t.joined_at) ?? time_ms(t.ended_at))
				: time_ms(t.asked_at);
		return {
			n: i + 1,
			t,
			bad: t.outcome !== null && t.outcome !== undefined && !good,
			at: at ?? start,
			x: x(at ?? start),
			from: given ? lane_of.get(given.id) : 0,
			to: got ? lane_of.get(got.id) : null,
		};
	});
}

/* Zooms around a point (0 to 1 of what is seen): factor < 1 comes nearer. */
export function zoom([a, b], factor, point = 0.5) {
	const wide = Math.min(1, Math.max(0.002, (b - a) * factor));
	const from = Math.min(1 - wide, Math.max(0, a + point * (b - a - wide)));
	return [from, from + wide];
}

/* Moves what is seen by a part of its width. */
export function pan([a, b], by) {
	const d = Math.min(1 - b, Math.max(-a, by * (b - a)));
	return [a + d, b + d];
}
