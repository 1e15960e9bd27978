/*
 * conversation: one conversation of the ledger: sums that add up in sight, the score, the same as a
 * thread of sentences, the recording, the case and the notes.
 */
import { h } from "./dom.js";
import {
	app,
	icon,
	face,
	pill,
	lasted,
	empty,
	bones,
	swatch,
	copy,
	announce,
	route_text,
} from "./ui.js";
import {
	OUTCOMES,
	BARS,
	transfer_line,
	number_text,
	first,
	error_sentence,
	tried,
} from "./words.js";
import { score_layout, zoom, pan, missed } from "./score.js";
import { customer_name } from "./model.js";
import { name_of, target_name } from "./names.js";
import { at_second, span, exact, time_ms, time_now, moment } from "./time.js";
import { api_get, api_once, api_url } from "./api.js";

const LANE = 36,
	TOP = 30,
	BAR = 18;
const SOON_MS = 400,
	STALE_MS = 4500; // a conversation that goes on is asked for again, also if nothing was heard of it
const SIGNS = { queue: "department", ivr: "menu", external: "number", voicemail: "voicemail" };
const SUMS = [
	["ivr_ms", "Menu", "menu"],
	["ring_ms", "Ring", "ring"],
	["wait_ms", "Wait", "wait"],
	["talk_ms", "Talk", "talk"],
	["hold_ms", "Hold", "hold"],
	["held_ms", "Held by customer", "hold"],
	["consult_ms", "Consult", "consult"],
	["limbo_ms", "In between", "limbo"],
];

const page = {
	id: "",
	data: null,
	error: "",
	view: [0, 1],
	tip: null,
	cursor: null,
	note: "",
	note_error: "",
	asked: 0,
};

/* ---- data ------------------------------------------------------------------------------------- */

/* The server's answer, with times as numbers. */
function conversation_data(c) {
	return {
		...c,
		started: time_ms(c.started_at),
		ended: time_ms(c.ended_at),
		customer: customer_name(c.customer),
		contact: c.customer?.number || "",
		named: !!c.customer?.name,
	};
}

async function load(id) {
	page.asked = performance.now();
	try {
		const data = conversation_data(
			await api_get(`conversations/${encodeURIComponent(id)}`),
		);
		if (page.id === id) Object.assign(page, { data, error: "" });
	} catch (e) {
		if (page.id === id)
			page.error =
				e.status === 404 || e.status === 400
					? "There is no conversation with that id, or it is not yours to see."
					: error_sentence(e);
	}
	app.draw();
}

/* What goes on is on record when it has ended; until then the call itself says what it is. */
export function going_on(c) {
	const raw = c.ended ? null : app.store.calls.get(c.call);
	if (!raw?.interval) return c.segments;
	const talks = s => !s.ended_at && s.answered_at && s.who === (raw.with?.user || raw.with?.number);
	return c.segments.map(s => (talks(s) ? { ...s, state: raw.interval } : s));
}

/* A conversation that goes on grows once a second, and is asked for again while it is looked at. */
function refresh() {
	if (page.data && !page.data.ended) {
		clearTimeout(page.grow);
		page.grow = setTimeout(() => app.route.id === page.id && app.draw(), 1000);
	}
	if (!page.data || page.data.ended) return;
	const raw = app.store.calls.get(page.data.call);
	if (raw !== page.raw) {
		// on record some tenths of a second later
		page.raw = raw;
		clearTimeout(page.soon);
		page.soon = setTimeout(() => app.route.id === page.id && load(page.id), SOON_MS);
	} else if (performance.now() - page.asked > STALE_MS) load(page.id);
}

/* ---- the score -------------------------------------------------------------------------------- */

function show_tip(e, title, text) {
	const paper = e.currentTarget.closest(".paper").getBoundingClientRect(),
		r = e.currentTarget.getBoundingClientRect();
	page.tip = {
		title,
		text,
		x: Math.min(Math.max(8, r.left - paper.left), Math.max(8, paper.width - 260)),
		y: r.bottom - paper.top + 8,
	};
	app.draw();
}

function hide_tip() {
	page.tip = null;
	app.draw();
}

function hover(title, text) {
	return {
		tabindex: 0,
		role: "img",
		"aria-label": `${title}. ${text}`,
		onmouseenter: e => show_tip(e, title, text),
		onmouseleave: hide_tip,
		onfocus: e => show_tip(e, title, text),
		onblur: hide_tip,
	};
}

/* Why an offer came to nothing, as an end of a sentence. */
function miss(s) {
	if (!s || !missed(s)) return "";
	return `. ${tried(s.name, s.outcome)}${s.cause ? `, SIP ${s.cause}` : ""}`;
}

function bar(lane, i, b, k) {
	const def = BARS[b.state] || BARS.talking,
		thin = i === 0 ? 8 : BAR,
		y = TOP + i * LANE + (LANE - thin) / 2;
	const text = `${at_second(b.from)} to ${at_second(b.to)}, ${exact(b.to - b.from)}${miss(b.segment)}`;
	return [
		h("rect.hit", {
			key: `b${k}`,
			class: `bar-${def.tone}`,
			x: `${b.x.toFixed(3)}%`,
			width: `${b.w.toFixed(3)}%`,
			y,
			height: thin,
			rx: Math.min(4, thin / 2),
			"data-state": b.state,
			"data-ms": b.to - b.from,
			...hover(`${lane.name}: ${def.word}`, text),
		}),
		i > 0 &&
			b.state === "talking" &&
			b.w > 6 &&
			h(
				"text.in",
				{
					key: `t${k}`,
					x: `${(b.x + 0.8).toFixed(3)}%`,
					y: y + 13,
					"aria-hidden": "true",
				},
				span(b.to - b.from),
			),
		b.state === "missed" &&
			h(
				"text",
				{
					key: `m${k}`,
					class: b.x > 80 ? "end" : null,
					x: `${(b.x > 80 ? b.x - 0.8 : b.x + b.w + 0.8).toFixed(3)}%`,
					y: y + 13,
					"aria-hidden": "true",
				},
				(b.segment.outcome || "").replace(/_/g, " "),
			),
	];
}

function move(m) {
	const y = i => TOP + i * LANE + LANE / 2,
		x = `${m.x.toFixed(3)}%`,
		bad = m.bad ? "bad" : null;
	const t = m.t,
		to = target_name(t.target);
	const text = transfer_line(line_of(t));
	const down = m.to > m.from ? 1 : -1;
	return [
		m.to !== null &&
			m.to !== m.from &&
			h("line.arrow", {
				key: `a${m.n}`,
				class: bad,
				x1: x,
				x2: x,
				y1: y(m.from) + down * 9,
				y2: y(m.to) - (down * BAR) / 2 - down * 2,
				"marker-end": m.bad ? "url(#tip-bad)" : "url(#tip)",
			}),
		h("circle.hit", {
			key: `k${m.n}`,
			class: m.bad ? "bad-m" : "ink-m",
			cx: x,
			cy: y(m.from),
			r: 9,
			...hover(`Transfer ${m.n} to ${to}`, text),
		}),
		h(
			"text.knob-t",
			{ key: `n${m.n}`, x, y: y(m.from) + 4, "aria-hidden": "true" },
			String(m.n),
		),
	];
}

/* Whether only a part is seen. */
const zoomed = () => page.view[1] - page.view[0] < 1;

function zoom_by(factor, point) {
	page.view = zoom(page.view, factor, point);
	app.draw();
}

function pan_by(by) {
	page.view = pan(page.view, by);
	app.draw();
}

function score_keys(e) {
	const acts = {
		"+": () => zoom_by(0.6),
		"=": () => zoom_by(0.6),
		"-": () => zoom_by(1 / 0.6),
		ArrowLeft: () => pan_by(-0.2),
		ArrowRight: () => pan_by(0.2),
		0: () => zoom_by(1000),
	};
	if (acts[e.key] && !e.ctrlKey && !e.metaKey && !e.altKey) {
		e.preventDefault();
		acts[e.key]();
	}
}

function wheel(e) {
	if (!e.ctrlKey) return;
	e.preventDefault();
	const r = e.currentTarget.getBoundingClientRect();
	zoom_by(e.deltaY < 0 ? 0.8 : 1.25, (e.clientX - r.left) / r.width);
}

const fingers = new Map(); // pointer id -> x: one of them pans, two zoom

function pinch(e) {
	if (e.pointerType !== "touch") return;
	if (e.type !== "pointermove") {
		e.type === "pointerdown" ? fingers.set(e.pointerId, e.clientX) : fingers.delete(e.pointerId);
		return;
	}
	const wide = () => Math.abs([...fingers.values()].reduce((a, b) => a - b));
	if (!fingers.has(e.pointerId) || fingers.size > 2) return;
	const before = fingers.size === 2 ? wide() : 0,
		moved = e.clientX - fingers.get(e.pointerId);
	fingers.set(e.pointerId, e.clientX);
	const r = e.currentTarget.getBoundingClientRect();
	if (fingers.size === 1) {
		if (zoomed()) pan_by(-moved / r.width);
		else e.currentTarget.scrollLeft -= moved;
		return;
	}
	const middle = [...fingers.values()].reduce((a, b) => a + b) / 2;
	if (before > 10 && wide() > 10) zoom_by(before / wide(), (middle - r.left) / r.width);
}

function drag(e) {
	if (e.buttons === 1 && zoomed())
		pan_by(-e.movementX / e.currentTarget.getBoundingClientRect().width);
}

function seek(e, layout) {
	const audio = document.querySelector("audio");
	if (!audio || zoomed()) return;
	const r = e.currentTarget.getBoundingClientRect();
	audio.currentTime = Math.max(
		0,
		(((e.clientX - r.left) / r.width) * layout.whole) / 1000 -
			Number(audio.dataset.at || 0),
	);
}

function score(c, layout) {
	const high = TOP + layout.lanes.length * LANE + 6;
	const there = layout.lanes.flatMap(l => l.bars).filter(b => b.to - b.from > layout.whole / 250);
	const states = [...new Set(there.map(b => b.state))].filter(s => BARS[s]);
	const keyed = [...new Map(states.map(s => [BARS[s].tone, BARS[s].word]))];
	return h(
		"section.card",
		{ "aria-label": "The conversation drawn to scale" },
		h(
			"header",
			null,
			sums(c, layout),
		),
		h(
			"div.score",
			null,
			h(
				"ul.lanes",
				{ "aria-hidden": "true" },
				layout.lanes.map(l =>
					h(
						"li",
						{ key: l.key, class: l.merged ? "merged" : null },
						SIGNS[l.kind]
							? icon(SIGNS[l.kind])
							: face(l.name, { small: true }),
						h("span.clip", { title: l.name }, l.name),
					),
				),
			),
			h(
				"div.paper",
				{
					class: zoomed() ? "zoomed" : null,
					tabindex: 0,
					role: "group",
					"aria-label":
						"Score. Plus and minus zoom, arrows move. The thread below says the same.",
					onkeydown: score_keys,
					onmousemove: drag,
					onpointerdown: pinch,
					onpointermove: pinch,
					onpointerup: pinch,
					onpointercancel: pinch,
					mount: el =>
						el.addEventListener("wheel", wheel, {
							passive: false,
						}),
				},
				h(
					"svg",
					{ height: high, onclick: e => seek(e, layout) },
					layout.ticks.map(t => [
						h("line.grid", {
							key: `g${t.at}`,
							x1: `${t.x.toFixed(3)}%`,
							x2: `${t.x.toFixed(3)}%`,
							y1: TOP - 6,
							y2: high - 6,
						}),
						h(
							"text",
							{
								key: `x${t.at}`,
								class: t.x > 94 ? "end" : null,
								x: `${t.x.toFixed(3)}%`,
								y: 14,
							},
							t.text,
						),
					]),
					layout.lanes.map((l, i) =>
						h("line.rule", {
							key: `r${l.key}`,
							x1: 0,
							x2: "100%",
							y1: TOP + i * LANE + LANE / 2,
							y2: TOP + i * LANE + LANE / 2,
						}),
					),
					layout.lanes.map((l, i) =>
						l.bars.map(
							(b, k) =>
								seen(b) &&
								bar(l, i, b, `${i}.${k}`),
						),
					),
					layout.moves.filter(m => m.x >= -1 && m.x <= 101).map(move),
					page.cursor !== null &&
						h("line.cursor", {
							x1: `${page.cursor}%`,
							x2: `${page.cursor}%`,
							y1: TOP - 4,
							y2: high - 8,
						}),
				),
				page.tip &&
					h(
						"div.tipbox",
						{
							style: {
								left: `${page.tip.x}px`,
								top: `${page.tip.y}px`,
							},
						},
						h("b", null, page.tip.title),
						page.tip.text,
					),
			),
		),
		h(
			"div.under",
			null,
			h(
				"div.key",
				{ "aria-hidden": "true" },
				h("span", null, `Top lane: what ${c.customer} heard.`),
				layout.lanes.some(l => l.merged) &&
					h("span.merged", null, `Joined with a conversation of ${joined_at(c)}`),
				keyed.map(([tone, word]) => h("span", { key: tone }, swatch(tone), word)),
			),
			zoom_button("Wider (-)", "−", 1 / 0.6),
			zoom_button("Nearer (+)", "+", 0.6),
		),
	);
}

function zoom_button(title, text, factor) {
	return h(
		"button.btn.icon.bare",
		{
			type: "button",
			"aria-label": title.split(" ")[0],
			title,
			onclick: () => zoom_by(factor),
		},
		text,
	);
}

/* "9:05.649", the thousandths small. */
function exact_text(ms) {
	const text = exact(ms),
		at = text.lastIndexOf(".");
	return at < 0 ? text : [text.slice(0, at), h("small", null, text.slice(at))];
}

const seen = b => b.x < 101 && b.x + b.w > -1;

/* When the conversation began that became part of this one. */
function joined_at(c) {
	return at_second(Math.min(...c.segments.filter(s => s.merged_from).map(s => time_ms(s.offered_at))));
}

function sums(c, layout) {
	const total = c.total_ms ?? layout.whole;
	const shown = c.ended ? SUMS.filter(([k]) => c[k]) : [];
	return h(
		"div.sums",
		null,
		shown.map(([k, word, tone]) =>
			h(
				"div",
				{ key: k },
				swatch(tone),
				word,
				h("b.num", { "data-sum": k, "data-ms": c[k] }, exact_text(c[k])),
			),
		),
		h(
			"div.eq",
			null,
			c.ended ? (shown.length ? "adds up to" : "total") : "so far",
			h(
				"b.num",
				{ "data-sum": "total_ms", "data-ms": total },
				c.ended ? exact_text(total) : span(total),
			),
		),
	);
}

/* ---- the thread ------------------------------------------------------------------------------- */

function line_of(t) {
	const from = page.data.segments.find(s => s.id === t.from_segment);
	return {
		kind: t.kind,
		via: t.via,
		asker: name_of(t.asker),
		from: first(name_of(from?.who)),
		to: target_name(t.target),
		outcome: t.outcome,
		cause: t.cause,
	};
}

const ENTERED = {
	queue: s => `${s.ended_at ? "Waited" : "Waits"} in ${name_of(s.who, "queue")}`,
	ivr: s => `${s.ended_at ? "Was" : "Is"} in the menu ${name_of(s.who, "ivr")}`,
	voicemail: () => "Spoke to voicemail",
};

function visit_line(s) {
	if (ENTERED[s.kind]) return ENTERED[s.kind](s);
	const name = name_of(s.who, s.kind) || number_text(s.number);
	if (s.kind === "consult") return `${name} was asked`;
	return s.answered_at
		? s.kind === "recall"
			? `${name} took the call back`
			: `${name} answered`
		: tried(name, s.outcome);
}

/* What happened, one sentence each, in order: [{at, sign, tone, text, ms}]. */
function thread(c) {
	const out = [
		{
			at: c.started,
			sign: c.kind === "outbound" ? "out" : "in",
			tone: "plain",
			text:
				c.kind === "outbound"
					? `${first(name_of(c.source)) || "An agent"} called ${c.customer}`
					: `${c.customer} called${c.dialled ? ` ${c.dialled}` : ""}`,
		},
	];
	if (c.segments.some(s => s.merged_from))
		out.push({
			at: Math.min(...c.segments.filter(s => s.merged_from).map(s => time_ms(s.offered_at))),
			sign: "consult",
			tone: "consult",
			text: "Another conversation began that was joined with this one",
		});
	for (const s of c.segments) {
		const lost = !s.answered_at && s.kind !== "queue" && s.kind !== "ivr",
			wait = s.kind === "queue";
		out.push({
			at: time_ms(
				lost || wait || s.kind === "ivr" ? s.offered_at : s.answered_at,
			),
			sign: wait
				? "queue"
				: s.kind === "ivr"
					? "menu"
					: lost
						? "x"
						: s.kind === "consult"
							? "consult"
							: "talk",
			tone: wait
				? "wait"
				: lost
					? "bad"
					: s.kind === "consult"
						? "consult"
						: "talk",
			text: visit_line(s),
			ms: wait
				? s.wait_ms
				: s.kind === "ivr"
					? time_ms(s.ended_at) - time_ms(s.offered_at)
					: lost
						? s.ring_ms
						: s.kind === "consult"
							? s.consult_ms
							: s.talk_ms,
		});
	}
	c.transfers.forEach((t, i) =>
		out.push({
			at: time_ms(t.asked_at),
			sign: "transfer",
			tone: t.outcome && t.outcome !== "completed" ? "bad" : "move",
			n: i + 1,
			text: transfer_line(line_of(t)),
		}),
	);
	if (c.ended) out.push({ at: c.ended, sign: "end", tone: "plain", text: ended_line(c) });
	return out.filter(e => e.at !== null).sort((a, b) => a.at - b.at || (b.n || 0) - (a.n || 0)); // asked, then done
}

const ENDERS = {
	customer: c => `${c.customer} hung up`,
	agent: () => "The agent hung up",
	external: () => "The other side hung up",
	target: () => "The called side hung up",
	command: () => "The call was ended by command",
	system: () => "segue ended the call",
};

function ended_line(c) {
	return (
		(ENDERS[c.ended_by] || (() => "The call ended"))(c) +
		(c.estimated ? "; the times are estimated" : "")
	);
}

function thread_card(c) {
	const lines = thread(c);
	return h(
		"section.card",
		{ "aria-label": "Thread" },
		h(
			"header",
			null,
			h("h2", null, "Thread"),
			h("span.sub", null, `${lines.length} entries, one conversation`),
		),
		h(
			"ol.thread",
			null,
			lines.map((e, i) =>
				h(
					"li",
					{ key: i },
					h(
						"time.sub",
						{ datetime: new Date(e.at).toISOString() },
						at_second(e.at),
					),
					h("span.sign", { class: `t-${e.tone}` }, icon(e.sign)),
					h("p", null, e.n && h("b", null, `${e.n}  `), e.text),
					e.ms !== undefined && e.ms !== null
						? lasted(e.ms, true)
						: h("span"),
				),
			),
		),
	);
}

/* ---- beside it -------------------------------------------------------------------------------- */

function recording(c, layout, r, i) {
	const from = time_ms(r.started_at),
		to = time_ms(r.ended_at),
		at = (from - c.started) / 1000;
	return h(
		"div",
		{ key: r.id },
		h(
			"p.sub",
			null,
			`${at_second(from)}${to ? `, ${span(to - from)}` : ", still running"}`,
		),
		h("audio", {
			controls: true,
			preload: "none",
			"data-at": at,
			"aria-label": `Recording ${i + 1}`,
			src: api_url(`recordings/${r.id}`),
			ontimeupdate: e => {
				page.cursor = Math.min(
					100,
					(100000 * (at + e.target.currentTime)) / layout.whole,
				);
				app.draw();
			},
		}),
	);
}

function recordings(c, layout) {
	return (
		c.recorded.length > 0 &&
		h(
			"section.card",
			{ "aria-label": "Recording" },
			h("header", null, h("h2", null, "Recording")),
			h(
				"div.in",
				null,
				c.recorded.map((r, i) => recording(c, layout, r, i)),
			),
		)
	);
}

async function keep_note(c) {
	const text = page.note.trim();
	if (!text) return;
	try {
		await api_once(`calls/${c.call}/note`, { text });
		page.note = page.note_error = "";
		announce("Note kept.");
		setTimeout(load, 700, c.id); // on record some tenths of a second later
	} catch (e) {
		page.note_error = error_sentence(e);
	}
	app.draw();
}

function note_form(c) {
	const submit = e => {
		e.preventDefault();
		keep_note(c);
	};
	return h(
		"form.stack",
		{ onsubmit: submit },
		h(
			"label",
			null,
			h("span.sr", null, "New note"),
			h("textarea", {
				rows: 2,
				maxlength: 2000,
				placeholder: "Add a note",
				value: page.note,
				oninput: e => {
					page.note = e.target.value;
				},
			}),
		),
		page.note_error && h("p.notice.bad", { role: "alert" }, page.note_error),
		h("button.btn", { type: "submit" }, "Keep note"),
	);
}

function notes(c) {
	const live = !c.ended && app.store.calls.has(c.call);
	return h(
		"section.card",
		{ "aria-label": "Notes" },
		h("header", null, h("h2", null, "Notes")),
		h(
			"div.in",
			null,
			c.remarks.map(n =>
				h(
					"div.note",
					{ key: n.id },
					h(
						"p.sub",
						null,
						h("b", null, name_of(n.author)),
						` ${at_second(time_ms(n.at))}`,
					),
					n.text,
				),
			),
			!c.remarks.length && h("p.sub", null, "No notes."),
			live && note_form(c),
		),
	);
}

function case_card(c) {
	const k = c.case;
	return (
		k &&
		h(
			"section.card",
			{ "aria-label": "Case" },
			h(
				"header",
				null,
				h("h2", null, k.key ? `Case ${k.key}` : "Case"),
				k.owner &&
					h(
						"span.pill.t-plain",
						null,
						icon("person"),
						name_of(k.owner),
					),
			),
			h(
				"div.in",
				null,
				h(
					"p",
					null,
					h(
						"a.link",
						{ href: route_text("cases", k.key || k.id) },
						"Everything of this case",
					),
					c.contact && [
						" · ",
						h(
							"a.link",
							{ href: route_text("contacts", c.contact) },
							"All of this customer",
						),
					],
				),
			),
		)
	);
}

export function outcome_of(c) {
	if (!c.ended) return OUTCOMES.live;
	if (c.transferred) return OUTCOMES.transferred;
	return c.failed_transfers && c.outcome === "answered"
		? OUTCOMES.came_back
		: OUTCOMES[c.outcome] || OUTCOMES.answered;
}

export function conversation_view(id) {
	if (page.id !== id) {
		Object.assign(page, {
			id,
			data: null,
			error: "",
			view: [0, 1],
			tip: null,
			cursor: null,
			note: "",
			note_error: "",
		});
		load(id);
	}
	const c = page.data;
	if (!c)
		return {
			title: "Conversation",
			body: page.error
				? h(
						"div.card",
						null,
						empty(
							page.error,
							h(
								"a.link",
								{ href: route_text("log") },
								"To the call log",
							),
						),
					)
				: h("div.card", null, bones()),
		};
	refresh();
	const layout = score_layout({ ...c, segments: going_on(c) }, time_now(), name_of, page.view),
		call_id = c.sip_call_id || c.id;
	return {
		title: c.customer,
		beside: [
			pill(outcome_of(c)),
			h(
				"span.sub.num",
				null,
				`${c.named ? `${number_text(c.contact)} · ` : ""}${moment(c.started, time_now())}`,
			),
		],
		extra: h(
			"button.btn",
			{ type: "button", title: call_id, onclick: () => copy(call_id, "Call id") },
			icon("copy"),
			"Call id",
		),
		body: [
			score(c, layout),
			h(
				"div.cols",
				null,
				thread_card(c),
				h("div.stack", null, recordings(c, layout), case_card(c), notes(c)),
			),
		],
	};
}
