/*
 * time: durations and clocks as people read them, and the server's clock.
 *
 * All times in the panel are milliseconds since 1970 by the server's clock. Between two messages the
 * clock runs on with the browser's monotonic one; the browser's own wall clock is never looked at.
 */

let base = null; // server time when the monotonic clock was 0
let stopped = null;
let behind = null; // since when messages have said that it is earlier, and the latest base of those

const AMISS_MS = 2000, // no message travels for so long
	SURE_MS = 15000;

/* The server said that it is `ms` now. */
export function time_set(ms) {
	const now = performance.now(),
		b = ms - now;
	if (base === null || b > base - AMISS_MS) {
		// messages travel for a while: the smallest delay tells the truth
		base = Math.max(base ?? b, b);
		behind = null;
		return;
	}
	// late: the page was not run for a while. If it stays so, the server's clock was moved
	behind = { since: behind?.since ?? now, base: Math.max(behind?.base ?? b, b) };
	if (now - behind.since < SURE_MS) return;
	base = behind.base;
	behind = null;
}

/* Server time now; what it was when time_stop() was called, until time_go(). */
export function time_now() {
	return stopped ?? (base === null ? 0 : base + performance.now());
}

/* The last full second, which running figures are counted to: so they change together, and none twice at once. */
export function time_second() {
	return Math.floor(time_now() / 1000) * 1000;
}

/* Milliseconds until the next one, and a little more: a timer may be early. */
export function time_to_second() {
	return 1004 - (((base ?? 0) + performance.now()) % 1000);
}

export function time_stop() {
	stopped ??= base === null ? null : base + performance.now();
	return stopped;
}

export function time_go() {
	stopped = null;
}

/* Milliseconds of what the API calls a time: ISO text, or a number of milliseconds. */
export function time_ms(t) {
	return typeof t === "string" ? Date.parse(t) : (t ?? null);
}

const two = n => String(n).padStart(2, "0");

function parts(ms) {
	const s = Math.max(0, Math.floor(ms / 1000));
	return [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
}

/* For columns: 07:01, from an hour on 1:07:01. */
export function clock(ms) {
	const [hours, m, s] = parts(ms);
	return hours ? `${hours}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`;
}

/* For sentences: 7:01, 0:07, 1:07:01. */
export function span(ms) {
	const [hours, m, s] = parts(ms);
	return hours ? `${hours}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/* To the tenth, for figures that are to add up in sight: 0:07.4 */
export function exact(ms) {
	return `${span(ms)}.${String(Math.floor(Math.max(0, ms) % 1000)).padStart(3, "0")}`;
}

/* For <time datetime>. */
export function iso(ms) {
	return `PT${Math.max(0, Math.floor(ms / 1000))}S`;
}

const hm = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const hms = new Intl.DateTimeFormat("en-GB", {
	hour: "2-digit",
	minute: "2-digit",
	second: "2-digit",
});
const full_day = new Intl.DateTimeFormat("en-GB", {
	weekday: "long",
	day: "numeric",
	month: "long",
});
const iso_day = new Intl.DateTimeFormat("sv-SE");

/* 14:02 and 14:02:11, in the time zone of the reader. */
export const at_minute = ms => hm.format(ms);
export const at_second = ms => hms.format(ms);

/* "Today, Saturday 21 November"; `now` says what today is. */
export function day(ms, now) {
	const name = full_day.format(ms).replace(",", "");
	const d = iso_day.format(ms);
	return d === iso_day.format(now)
		? `Today, ${name}`
		: d === iso_day.format(now - 86400000)
			? `Yesterday, ${name}`
			: name;
}

const week_day = new Intl.DateTimeFormat("en-GB", { weekday: "short" });
const day_month = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/* "today", "Thu" within a week, "30 Sep" before. */
export function short_day(ms, now) {
	if (iso_day.format(ms) === iso_day.format(now)) return "today";
	return now - ms < 6 * 86400000 ? week_day.format(ms) : day_month.format(ms);
}

/* " (08:00 in New York)": what the clocks of a time zone say, "" where they say what those of the reader do. */
function elsewhere(ms, zone) {
	try {
		const say = what => new Intl.DateTimeFormat("en-GB", { ...what, timeZone: zone }).format(ms);
		const day = say({ weekday: "short" }),
			at = say({ hour: "2-digit", minute: "2-digit" });
		const other = day !== week_day.format(ms);
		if (!zone || (!other && at === at_minute(ms))) return "";
		const place = zone.split("/").at(-1).replace(/_/g, " ");
		return ` (${other ? `${day} ` : ""}${at} ${place === "UTC" ? "" : "in "}${place})`;
	} catch {
		return ` (${zone} has another time)`; // a zone that this browser does not know
	}
}

/*
 * When something will be, in the time zone of the reader: "20:00", "Mon 08:00" within a week, "24 Dec 08:00" later;
 * with the time in `zone`, where it is set, if that is another.
 */
export function coming(ms, now, zone) {
	const today = iso_day.format(ms) === iso_day.format(now),
		date = today ? "" : `${(ms - now < 6 * 86400000 ? week_day : day_month).format(ms)} `;
	return date + at_minute(ms) + elsewhere(ms, zone);
}

/* "today 13:41:07", or with its date. */
export function moment(ms, now) {
	return `${iso_day.format(ms) === iso_day.format(now) ? "today" : full_day.format(ms)} ${at_second(ms)}`;
}
