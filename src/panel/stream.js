/*
 * stream: the server's changes, for as long as the page lives. It watches the EventSource itself: one
 * that was closed for good (a proxy said 502) is made anew, and one that has been silent for too long
 * is taken for dead. The number of the last change goes along, so that the server can go on from
 * there; if it cannot, it begins with a snapshot.
 */
import { time_set, time_ms, time_stop, time_go, time_now } from "./time.js";
import { api_url, api_query } from "./api.js";

const SILENCE_MS = 25000,
	GRACE_MS = 3000,
	SLEPT_MS = 8000, // a page that was not run for so long: the computer slept
	LOOK_MS = 1000,
	OPEN_MS = 5000, // a connection that is not open by then never will be: it is one of before the sleep
	WAITS = [1000, 2000, 4000, 8000, 15000];
const CHANGES = ["call", "call_gone", "transfer", "agent", "queue", "timeline"];

/*
 * `on`: {snapshot(data), change(name, data), state(name, info)}. States: "live" (info.lost: when it
 * had been lost, or null), "lost" (info.since; info.retry: performance time of the next try).
 */
export function stream_open(on) {
	let source = null,
		last = "",
		tries = 0,
		said = "",
		lost = null,
		closed = false;
	const timers = {};

	function later(name, ms, fn) {
		clearTimeout(timers[name]);
		timers[name] = setTimeout(() => {
			timers[name] = 0;
			fn();
		}, ms);
	}

	function heard(m) {
		later("silence", SILENCE_MS, broken);
		clearTimeout(timers.grace);
		timers.grace = 0;
		tries = 0;
		time_go();
		if (m.at) time_set(time_ms(m.at));
	}

	function say_live() {
		if (said === "live") return;
		said = "live";
		on.state("live", { lost });
		lost = null;
	}

	function say_lost(retry) {
		if (said !== "lost") lost = time_stop() ?? time_now();
		said = "lost";
		on.state("lost", { since: lost, retry });
	}

	function broken() {
		source?.close();
		source = null;
		clearTimeout(timers.silence);
		if (closed) return;
		const wait =
			WAITS[Math.min(tries++, WAITS.length - 1)] * (0.75 + Math.random() / 2);
		const retry = performance.now() + wait;
		later("retry", wait, connect);
		if (said === "lost") say_lost(retry);
		else if (!timers.grace) later("grace", GRACE_MS, () => say_lost(retry));
	}

	function connect() {
		clearTimeout(timers.retry);
		source?.close();
		if (closed) return;
		const mine = (source = new EventSource(
			api_url(`events${api_query({ last_event_id: last })}`),
		));
		const listen = (name, fn) =>
			mine.addEventListener(name, e => {
				if (source !== mine) return;
				const m = JSON.parse(e.data);
				last = e.lastEventId || last;
				heard(m);
				fn(m);
			});
		later("silence", OPEN_MS, broken);
		mine.onopen = () => source === mine && later("silence", SILENCE_MS, broken);
		listen("snapshot", m => {
			on.snapshot(m);
			say_live();
		});
		listen("resumed", say_live);
		listen("ping", () => {});
		for (const name of CHANGES) listen(name, m => on.change(name, m));
		mine.onerror = () => source === mine && broken();
	}

	/*
	 * After sleep, or on another network, a connection may look open and be dead: it is made anew, which
	 * loses nothing. The browser's clock is good enough to see that time has passed; no duration is made of it.
	 */
	let looked = Date.now();
	const watch = setInterval(() => {
		const gap = Date.now() - looked;
		looked = Date.now();
		if (gap < SLEPT_MS || document.hidden || !said) return;
		say_lost(performance.now());
		connect();
	}, LOOK_MS);
	const wake = () => {
		if (!closed && source?.readyState !== EventSource.OPEN) connect();
	};
	addEventListener("online", () => closed || connect());
	addEventListener("pageshow", wake);
	document.addEventListener("visibilitychange", () => document.hidden || wake());
	connect();
	return {
		now: connect,
		close() {
			closed = true;
			source?.close();
			clearInterval(watch);
			for (const name in timers) clearTimeout(timers[name]);
		},
	};
}
