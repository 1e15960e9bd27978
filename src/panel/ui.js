/*
 * ui: the parts that every place is made of, and the one state of the page that is not the server's.
 */
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { clock, span, iso, time_second } from "./time.js";
import { BARS } from "./words.js";

export { icon };

/*
 * What all places share. `store`: see store.js; `me`: who is signed in; `route`: {place, id, query};
 * `draw()`: the page is drawn once before the next frame.
 */
export const app = {
	store: null,
	me: null,
	route: { place: "live", id: "", query: {} },
	draw: () => {},
	net: { state: "connecting", since: 0, retry: 0, note: "" },
	problem: "", // what was asked for here and has failed, where no place on the page says so
	seen_from: 0, // since then every change has been seen
};

const STORED = "segue.";

/* Choices that outlive the page: theme, widget open or shut, single-letter keys. */
export function remembered(name, otherwise) {
	try {
		return localStorage.getItem(STORED + name) ?? otherwise;
	} catch {
		return otherwise;
	}
}

export function remember(name, value) {
	try {
		localStorage.setItem(STORED + name, value);
	} catch {
		// a browser that keeps nothing: the choice lasts as long as the page
	}
}

const sheets = {};

/* A style sheet that is fetched when it is first needed. */
export function sheet(name) {
	sheets[name] ||= new Promise((done, failed) => {
		const link = document.createElement("link");
		Object.assign(link, { rel: "stylesheet", href: name, onload: done, onerror: failed });
		document.head.append(link);
	});
	sheets[name].catch(() => {
		delete sheets[name];
	});
	return sheets[name];
}

/* ---- announcements ---------------------------------------------------------------------------- */

const MOST = 3, // sentences at once
	GATHER_MS = 100,
	REST_MS = 2000;
let said = [],
	timer = 0;

/* What is read out for a list of [sentence, many]: those of a kind are one sentence, the rest if it is short. */
export function merged(list) {
	const kinds = new Map();
	for (const [text, many] of list) {
		const k = many || text;
		kinds.set(k, { text, many, n: (kinds.get(k)?.n || 0) + 1 });
	}
	const out = [...kinds.values()].map(k => (k.n > 1 && k.many ? k.many(k.n) : k.text));
	return out.length > MOST ? `${list.length} changes. ${out.at(-1)}` : out.join(" ");
}

const voices = {};

/* The element that is read out; it is within the dialog that is open, as all else is silent then. */
export function voice(id) {
	const el = (voices[id] ||= document.getElementById(id)),
		at = document.querySelector("dialog[open]") || document.body;
	if (el && el.parentNode !== at) at.append(el);
	return el;
}

/* Read out, politely: at most once in two seconds, older sentences merged. `many(n)` is what is said instead
 * of n of a kind; the same function for all of them. */
export function announce(text, many) {
	said.push([text, many]);
	if (timer) return;
	const speak = () => {
		voice("status").textContent = merged(said);
		said = [];
		timer = setTimeout(() => {
			timer = 0;
			if (said.length) speak();
		}, REST_MS);
	};
	timer = setTimeout(speak, GATHER_MS); // what happens in one go is one sentence
}

/* Read out at once: something that was asked for here has failed. */
export function alarm(text) {
	voice("alert").textContent = text;
}

const SEEN_MS = 10000;
let problem_timer = 0;

/* The same, and to be seen at the lower edge for a while; "" takes it away. */
export function complain(text) {
	if (text) alarm(text);
	app.problem = text;
	clearTimeout(problem_timer);
	problem_timer = text && setTimeout(complain, SEEN_MS, "");
	app.draw();
}

/* ---- small things ----------------------------------------------------------------------------- */

function initials(name) {
	const words = (name || "")
		.replace(/[^\p{L}\p{N} ]/gu, "")
		.split(/\s+/)
		.filter(Boolean);
	return !words.length || /^\d/.test(words[0])
		? "#"
		: (
				words[0][0] +
				(words.length > 1 ? words.at(-1)[0] : words[0][1] || "")
			).toUpperCase();
}

/* The face of a person or thing: initials or a drawing, with the dot of an agent's state. */
export function face(name, { dot, sign, small } = {}) {
	return h(
		sign ? "div.av.sq" : "div.av",
		{ class: small ? "small" : null, "aria-hidden": "true" },
		sign ? icon(sign) : initials(name),
		dot && h("span.dot", { class: dot }),
	);
}

/* A state as sign, word and colour. */
export function pill(def, word) {
	return h("span.pill", { class: `t-${def.tone}` }, icon(def.sign), word || def.word);
}

export function sign(def) {
	return h(
		"span.sign",
		{ class: `t-${def.tone}`, title: def.word },
		icon(def.sign),
		h("span.sr", null, def.word),
	);
}

/* A duration that runs since `from`; column form, or `short` for sentences. */
export function since(from, short) {
	if (!from) return null;
	return h("time", { own: true, "data-from": from, "data-short": short ? "1" : null });
}

/* Seconds that are left until `to`; or minutes and seconds. */
export function left(to, minutes) {
	return h("time", { own: true, "data-to": to, "data-short": minutes ? "1" : null });
}

/* A duration that stands still. */
export function lasted(ms, short) {
	return h("time", { datetime: iso(ms) }, short ? span(ms) : clock(ms));
}

/* Writes the figures that run. Nothing is written where the text is the same. */
export function tick(root) {
	const now = time_second();
	for (const el of root.querySelectorAll("time[data-from]")) {
		const ms = now - Number(el.dataset.from);
		const text = el.dataset.short ? span(ms) : clock(ms);
		if (el.textContent !== text) {
			el.textContent = text;
			el.setAttribute("datetime", iso(ms));
		}
	}
	for (const el of root.querySelectorAll("time[data-to]")) {
		const s = Math.max(0, Math.floor((Number(el.dataset.to) - now) / 1000)),
			text = el.dataset.short ? span(s * 1000) : String(s);
		if (el.textContent !== text) {
			el.textContent = text;
			el.setAttribute("datetime", `PT${s}S`);
		}
	}
	for (const el of root.querySelectorAll("[data-ring]")) {
		const [from, to] = el.dataset.ring.split(" ").map(Number);
		const part = Math.min(1, Math.max(0, (to - now) / (to - from || 1)));
		el.setAttribute("stroke-dashoffset", String(Math.round(1000 * (1 - part)) / 10));
	}
}

/*
 * A whole conversation as one thin bar, to scale. `bars`: [{state, from, to}], to null while it
 * runs; `marks`: times of transfers. The figures are its name.
 */
export function ribbon(bars, from, to, marks) {
	const whole = Math.max(1, to - from);
	const x = t => (100 * (Math.min(t, to) - from)) / whole;
	const sums = {};
	const rects = bars.map(b => {
		const def = BARS[b.state] || BARS.talking,
			end = b.to ?? to;
		sums[def.word] = (sums[def.word] || 0) + end - b.from;
		return h("rect", {
			class: `bar-${def.tone}`,
			x: `${x(b.from).toFixed(2)}%`,
			y: def.tone === "talk" ? 1 : 1.5,
			height: def.tone === "talk" ? 8 : 7,
			rx: 2,
			width: `${Math.max(0.6, x(end) - x(b.from)).toFixed(2)}%`,
		});
	});
	const said_so = Object.entries(sums)
		.map(([w, ms]) => `${w} ${span(ms)}`)
		.join(", ");
	return h(
		"svg.ribbon",
		{ role: "img", "aria-label": said_so || "nothing yet" },
		rects,
		(marks || []).map(t =>
			h(
				"svg",
				{ x: `${x(t).toFixed(2)}%`, y: -3, overflow: "visible" },
				h("path.ink-m", { d: "M-3.5 0h7L0 5z" }),
			),
		),
	);
}

/* A button that can be off: then its label is the reason, and a click says the whole sentence. */
export function button(props, ...kids) {
	const { off, why, ...rest } = props;
	if (!off) return h("button.btn", { type: "button", ...rest }, kids);
	return h(
		"button.btn",
		{
			...rest,
			type: "button",
			"aria-disabled": "true",
			title: why,
			onclick: () => rest.onoff?.(why),
			onoff: undefined,
		},
		off,
	);
}

export function swatch(tone) {
	return h(
		"svg.swatch",
		{ "aria-hidden": "true" },
		h("rect", { class: `bar-${tone}`, x: 1, y: 1, width: 14, height: 8, rx: 2 }),
	);
}

export function empty(text, ...more) {
	return h("div.empty", null, h("p", null, text), more);
}

/* Shapes of rows, for data that takes longer than a blink. */
export function bones() {
	return h("div.bones", { "aria-label": "Loading", role: "img" }, h("i"), h("i"), h("i"));
}

export async function copy(text, what) {
	try {
		await navigator.clipboard.writeText(text);
		announce(`${what} copied.`);
	} catch {
		// no permission, or no secure context: let the reader copy it
		const el = document.createElement("textarea");
		el.value = text;
		document.body.append(el);
		el.select();
		announce(document.execCommand("copy") ? `${what} copied.` : `Not copied: ${text}`);
		el.remove();
	}
}

/* ---- the address ------------------------------------------------------------------------------ */

/* An address that somebody cut in two still opens a page. */
function decoded(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

/* "#/log/ID?q=x" -> {place, id, query}. The fragment, so that it works behind any path prefix. */
export function route_parse(hash) {
	const [path, q] = hash.replace(/^#?\/?/, "").split("?");
	const [place, ...rest] = path.split("/");
	return {
		place: place || "live",
		id: decoded(rest.join("/")),
		query: Object.fromEntries(new URLSearchParams(q || "")),
	};
}

export function route_text(place, id, query) {
	const q = new URLSearchParams(
		Object.entries(query || {}).filter(
			([, v]) => v !== "" && v !== null && v !== undefined,
		),
	).toString();
	return `#/${place}${id ? `/${encodeURIComponent(id)}` : ""}${q ? `?${q}` : ""}`;
}

export function go(place, id, query) {
	location.hash = route_text(place, id, query);
}

/* Changes the filters in the address without a new entry in the history. */
export function refine(query) {
	const { place, id } = app.route;
	history.replaceState(null, "", route_text(place, id, { ...app.route.query, ...query }));
	app.route = route_parse(location.hash);
	app.draw();
}
