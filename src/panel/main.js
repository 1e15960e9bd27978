/*
 * main: signs in, opens the stream, draws. The whole page is one description of the state, patched
 * into the document at most once a frame.
 */
import { h, patch } from "./dom.js";
import {
	app,
	icon,
	face,
	bones,
	since,
	route_parse,
	route_text,
	go,
	tick,
	remember,
	remembered,
	sheet,
	announce,
	complain,
	voice,
} from "./ui.js";
import { store_new, store_snapshot, store_change } from "./store.js";
import { stream_open } from "./stream.js";
import { time_set, time_ms, time_to_second, at_second } from "./time.js";
import { behind, load_recent } from "./goal.js";
import { api, api_get, api_on_signed_out } from "./api.js";
import { live_view, live_changed, dialog_changed, cards_changed, cards, widget } from "./live.js";
import { model_names, model_permissions } from "./model.js";
import { name_of } from "./names.js";
import { sign_in_view, sign_in_dialog } from "./signin.js";

/* A place whose file comes when it is first gone to; until then bones. */
function lazy(file, name) {
	let module = null;
	return (...args) => {
		if (module?.[name]) return module[name](...args);
		module ||= Promise.all([import(file), sheet("places.css")]).then(
			([m]) => {
				module = m;
				app.draw();
			},
			() => {
				module = null;
			},
		);
		return { title: "", body: h("div.card", null, bones()) };
	};
}

const conversation = lazy("./conversation.js", "conversation_view"),
	log = lazy("./log.js", "log_view");
const contacts = lazy("./contacts.js", "contacts_view"),
	cases = lazy("./contacts.js", "case_view");
const queues = lazy("./queues.js", "queues_view"),
	desk = lazy("./desk.js", "desk_view");

const PLACES = [
	{ id: "live", word: "Live calls", short: "Live", sign: "live", view: () => live_view() },
	{
		id: "log",
		word: "Call log",
		short: "Log",
		sign: "log",
		view: r => (r.id ? conversation(r.id) : log()),
	},
	{
		id: "queues",
		word: "Queues and agents",
		short: "Queues",
		sign: "queues",
		view: r => queues(r.id),
	},
	{
		id: "contacts",
		word: "Contacts and cases",
		short: "Contacts",
		sign: "contacts",
		view: r => contacts(r.id),
	},
	{ id: "cases", word: "", short: "", sign: "contacts", view: r => cases(r.id) },
	{ id: "desk", word: "My desk", short: "Me", sign: "desk", view: () => desk() },
];
const ROLES = { agent: "Agent", supervisor: "Supervisor", admin: "Admin" };

const MANY = 100, // calls: from here on a change may wait for the next ones
	BREATH_MS = 32;

const root = document.getElementById("app");
let stream = null,
	scheduled = false,
	drawn = 0,
	signed_out = false,
	before = null, // the store as it was when it was last looked at
	note_timer = 0,
	pending = null,
	ringing = null; // pop.js, for those who have a phone

/* ---- drawing ---------------------------------------------------------------------------------- */

/*
 * What has the focus may go while the page is drawn: then its row or card of that call has it, or the list,
 * or the page. It never falls out of the page.
 */
function keeping_focus(draw) {
	const was = document.activeElement,
		of = was?.closest?.("[data-id], [data-call]"),
		call = of?.dataset.id || of?.dataset.call;
	draw();
	if (!was || was === document.body || was.isConnected || document.querySelector("dialog[open]")) return;
	const rest =
		(call && document.querySelector(`tr[data-id="${CSS.escape(call)}"]`)) ||
		(call && document.querySelector(".calls.live tr[tabindex='0']")) ||
		(call && document.querySelector(`[data-call="${CSS.escape(call)}"] button`)) ||
		document.querySelector(".main");
	rest?.focus({ preventScroll: true });
}

function draw_now() {
	scheduled = false;
	drawn = performance.now();
	if (app.me) settle();
	if (!app.me) patch(root, sign_in_view(start));
	else keeping_focus(() => patch(root, [page(), signed_out && sign_in_dialog(start)]));
	document.title = app.me ? titled() : "Sign in · segue";
	voice("status");
	voice("alert");
	tick(document);
}

const frame = () => requestAnimationFrame(draw_now);

app.draw = () => {
	if (scheduled) return;
	scheduled = true;
	// a hidden page gets no frames, but its changes still have to be announced
	if (document.hidden) return setTimeout(draw_now, 200);
	const rest = app.store.calls.size > MANY ? BREATH_MS - (performance.now() - drawn) : 0;
	rest > 0 ? setTimeout(frame, rest) : frame();
};
app.draw.now = draw_now;

/* Whether single letters are commands: no field has the focus, and they are not switched off. */
app.letters = () =>
	remembered("letters", "on") === "on" &&
	!document.activeElement?.matches("input, textarea, select");

function titled() {
	const n = app.store.calls.size,
		place = PLACES.find(p => p.id === app.route.place);
	return `${n ? `(${n}) ` : ""}${place?.word || "Case"} · segue`;
}

/* ---- shell ------------------------------------------------------------------------------------ */

function places() {
	return h(
		"nav.places",
		{ "aria-label": "Places" },
		PLACES.filter(p => p.word).map(p =>
			h(
				"a",
				{
					key: p.id,
					href: route_text(p.id),
					"aria-current": app.route.place === p.id ? "page" : null,
				},
				icon(p.sign),
				p.word,
				p.id === "live" &&
					h("span.num", null, String(app.store.calls.size)),
			),
		),
	);
}

function tabbar() {
	return h(
		"nav.tabbar",
		{ "aria-label": "Places" },
		PLACES.filter(p => p.short).map(p =>
			h(
				"a",
				{
					key: p.id,
					href: route_text(p.id),
					"aria-current": app.route.place === p.id ? "page" : null,
				},
				icon(p.sign),
				p.short,
			),
		),
	);
}

/* A department in one line: who waits, or who is free; marked if it is behind its goal. */
function department(q) {
	const { why } = behind(q);
	return h(
		"a",
		{ key: q.queue, href: route_text("queues", q.queue) },
		h("span.clip", { title: q.name || null }, q.name || q.queue),
		h(
			"span.num",
			{ class: why ? (q.waiting ? "behind late" : "behind") : null, title: why || null },
			why && [icon("warn"), h("span.sr", null, `Behind: ${why}. `)],
			q.waiting
				? [`${q.waiting} waiting, `, since(time_ms(q.longest_since), true)]
				: q.closed
					? "closed"
					: `${q.agents?.free ?? 0} free`,
		),
	);
}

/* Those that one supervises, or is in; all of them for who has none. */
function departments() {
	const own = app.me.departments?.length ? app.me.departments : app.store.agents.get(app.me.user)?.queues,
		mine = [...app.store.queues.values()].filter(q => !own?.length || own.includes(q.queue));
	if (mine.length) load_recent();
	return (
		mine.length > 0 &&
		h(
			"nav.depts",
			{ "aria-label": "My departments" },
			h("h3", null, "My departments"),
			mine.map(department),
		)
	);
}

/* Who is signed in; `here`: on the desk, where there is no column at the left. */
function account(here) {
	return h(
		here ? "section.card.me.here" : "div.me",
		{ "aria-label": here ? "Account" : null },
		face(app.me.name),
		h(
			"div",
			null,
			h("div.clip", null, h("b", null, app.me.name)),
			h("div.sub", null, ROLES[app.me.role] || app.me.role),
		),
		h(
			"button.btn.bare.icon",
			{
				type: "button",
				"aria-label": "Keyboard",
				title: "Keyboard (?)",
				onclick: help,
			},
			h("b", null, "?"),
		),
		h(
			"button.btn.bare.icon",
			{
				type: "button",
				"aria-label": "Sign out",
				title: "Sign out",
				onclick: sign_out,
			},
			icon("leave"),
			here && "Sign out",
		),
	);
}

function connection() {
	return app.net.state === "lost"
		? h("span.net.off", null, h("i"), `Not live since ${at_second(app.net.since)}`)
		: h("span.net", null, h("i"), app.net.state === "live" ? "Live" : "Connecting");
}

function theme_button() {
	return h(
		"button.btn.bare.icon.theme",
		{
			type: "button",
			"aria-label": "Light or dark",
			title: "Light or dark",
			onclick: () => {
				const dark =
					getComputedStyle(document.documentElement).colorScheme ===
						"dark" ||
					(!document.documentElement.dataset.theme &&
						matchMedia("(prefers-color-scheme: dark)").matches);
				set_theme(dark ? "light" : "dark");
			},
		},
		icon("theme"),
	);
}

function set_theme(name) {
	remember("theme", name);
	if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
}

function floor() {
	if (app.problem)
		return h(
			"section.floor",
			{ "aria-label": "Not done" },
			h(
				"div.notice.bad",
				null,
				icon("warn"),
				app.problem,
				h("button.btn", { type: "button", onclick: () => complain("") }, "Dismiss"),
			),
		);
	if (app.net.state === "lost") {
		const s = Math.max(0, Math.ceil((app.net.retry - performance.now()) / 1000));
		return h(
			"section.floor",
			{ "aria-label": "Connection" },
			h(
				"div.notice",
				null,
				icon("warn"),
				`Connection lost at ${at_second(app.net.since)}. Numbers are from that moment; `,
				`calls go on. Trying again ${s ? `in ${s} s` : "now"}.`,
				h(
					"button.btn",
					{ type: "button", onclick: () => stream.now() },
					"Try now",
				),
			),
		);
	}
	return (
		app.net.note &&
		h("section.floor", { "aria-label": "Connection" }, h("div.notice.ok", null, icon("ok"), app.net.note))
	);
}

function page() {
	const place = PLACES.find(p => p.id === app.route.place) || PLACES[0];
	const v = place.view(app.route),
		wall = app.route.place === "queues" && app.route.id === "wall";
	const docked = place.id === "live" || wall ? [] : cards("slim");
	return h(
		"div.app",
		{
			key: "app",
			"data-at": place.id,
			class:
				[app.net.state === "lost" ? "stale" : "", wall ? "wall" : ""]
					.join(" ")
					.trim() || null,
		},
		h(
			"a.skip",
			{
				href: "#main",
				onclick: e => {
					e.preventDefault();
					document.querySelector(".main").focus();
				},
			},
			"Skip to the page",
		),
		h(
			"header.side",
			null,
			h(
				"div.brand",
				null,
				h(
					"svg",
					{ viewBox: "0 0 30 22", "aria-hidden": "true" },
					h("path.l1", { d: "M3 6h6c8 0 4 10 12 10h6" }),
					h("path.l2", { d: "M21 6h6" }),
					h("path.l3", { d: "M3 16h6" }),
				),
				"segue",
			),
			places(),
			departments(),
			account(),
			widget(),
		),
		h(
			"main.main",
			{
				tabindex: -1,
				id: "main",
				onscroll:
					place.id === "live" && app.store.calls.size > 100
						? app.draw
						: place.scrolled,
			},
			h(
				"div.view",
				{ key: place.id },
				h(
					"div.head",
					null,
					h("h1", null, v.title),
					v.beside,
					h("span.grow"),
					v.extra,
					connection(),
					theme_button(),
				),
				!wall && ringing?.pop(),
				docked.length > 0 && h("div.stack", { key: "docked" }, docked),
				v.body,
				place.id === "desk" && account("here"),
			),
		),
		tabbar(),
		floor(),
	);
}

/* ---- the keyboard ----------------------------------------------------------------------------- */

const GO = { l: "live", c: "log", q: "queues", d: "desk" };
const help = () => import("./keys.js").then(k => k.help(), () => {});

function global_keys(e) {
	if (
		e.ctrlKey ||
		e.metaKey ||
		e.altKey ||
		!app.me ||
		!app.letters() ||
		document.querySelector("dialog[open]")
	)
		return;
	if (pending === "g") {
		pending = null;
		if (GO[e.key]) {
			e.preventDefault();
			go(GO[e.key]);
			setTimeout(() => document.querySelector(".main")?.focus());
		}
	} else if (e.key === "g") {
		pending = "g";
		setTimeout(() => {
			pending = null;
		}, 1500);
	} else if (e.key === "/") {
		e.preventDefault();
		document.getElementById("search")?.focus();
	} else if (e.key === "?") {
		help();
	}
}

/* ---- the server ------------------------------------------------------------------------------- */

function apply(next) {
	before ??= app.store;
	app.store = next;
	app.draw();
}

/* What has changed since the last frame is looked at once, however many changes it was. */
function settle() {
	if (!before) return;
	const was = before;
	before = null;
	live_changed(was, app.store);
	cards_changed();
	dialog_changed();
	ringing?.pop_changed(was);
}

function live_again() {
	const missed = app.store.changes - app.net.changes;
	app.net.note = `Live again.${missed > 0 ? ` ${missed} change${missed > 1 ? "s" : ""} caught up.` : ""}`;
	announce(app.net.note);
	clearTimeout(note_timer);
	note_timer = setTimeout(() => {
		app.net.note = "";
		app.draw();
	}, 5000);
	app.draw();
}

function net_state(name, info) {
	if (name === "live") {
		const was = app.net.state;
		app.net = { ...app.net, state: "live" };
		if (was === "lost") setTimeout(live_again, 300); // once what was missed is here
	} else {
		if (app.net.state !== "lost") {
			app.net.changes = app.store.changes;
			announce(`Connection lost at ${at_second(info.since)}.`);
		}
		app.net = {
			...app.net,
			state: "lost",
			since: info.since,
			retry: info.retry,
			note: "",
		};
		// a stream that is refused because the session is over looks the same: ask
		api_get("me").catch(() => {});
	}
	app.draw();
}

function open_stream() {
	stream?.close();
	stream = stream_open({
		snapshot(m) {
			app.seen_from = time_ms(m.at);
			apply(store_snapshot(app.store, m));
		},
		change(name, m) {
			const next = store_change(app.store, name, m);
			if (next !== app.store) apply(next);
		},
		state: net_state,
	});
}

async function sign_out() {
	stream?.close(); // the server ends it, and it would begin anew
	try {
		await api("POST", "logout");
	} catch {
		open_stream();
		return announce("Not signed out: no connection to segue.");
	}
	remember("signed-in", "");
	location.reload();
}

/* Somebody is signed in: `me` as the server says. */
function start(me) {
	const other = app.me && app.me.user !== me.user;
	app.me = me;
	signed_out = false;
	remember("signed-in", "yes");
	model_permissions(me.permissions);
	if (other) app.store = store_new();
	if (me.number)
		import("./pop.js").then(m => {
			ringing = m;
			app.draw();
		});
	if (me.now) time_set(time_ms(me.now));
	if (me.role === "agent" && !location.hash) location.replace("#/desk");
	app.route = route_parse(location.hash);
	open_stream();
	app.draw();
}

/* Figures that run change together, when a second of the server's clock is full. */
function each_second() {
	if (app.me && app.net.state === "live") tick(document);
	else if (app.me) app.draw();
	setTimeout(each_second, time_to_second());
}

async function boot() {
	app.store = store_new();
	model_names(name_of);
	set_theme(remembered("theme", ""));
	app.route = route_parse(location.hash);
	addEventListener("hashchange", () => {
		app.route = route_parse(location.hash);
		app.draw();
		document.querySelector(".main")?.scrollTo(0, 0);
	});
	addEventListener("keydown", global_keys);
	each_second();
	matchMedia("(max-width: 1000px)").addEventListener("change", app.draw);
	setInterval(() => app.me && app.net.state === "live" && app.draw(), 5000);
	if (remembered("signed-in", "") === "yes")
		// else there is nobody to ask about
		await api_get("me").then(start, () => {});
	app.draw();
	api_on_signed_out(() => {
		if (app.me && !signed_out) {
			signed_out = true;
			stream?.close();
			app.draw();
		}
	});
}

boot();
