/*
 * goal: a queue against its goal: what became of the last 15 minutes, and whether it is behind.
 */
import { app } from "./ui.js";
import { api_get, api_query } from "./api.js";
import { may } from "./model.js";
import { span, time_ms, time_now } from "./time.js";

const EACH_MS = 60000,
	SOON_MS = 15000; // after somebody was answered, or left
const seen = { at: 0, sum: 0, recent: new Map() };

/* How many callers are no longer waiting, of all queues: if it is another number, the figures are others. */
export const gone_on = () =>
	[...app.store.queues.values()].reduce((n, q) => n + q.answered + q.abandoned + q.overflowed, 0);

/* Asks for the last 15 minutes of all queues: once in a minute, and when somebody was answered or has left
 * within `soon` ms. Not while nobody looks. */
export async function load_recent(soon = SOON_MS) {
	const passed = performance.now() - seen.at,
		sum = gone_on();
	if (document.hidden || !may("history")) return;
	if (seen.at && passed < (sum === seen.sum ? EACH_MS : soon)) return;
	Object.assign(seen, { at: performance.now(), sum });
	try {
		const r = await api_get(`reports/queues${api_query({ by: "recent" })}`);
		seen.recent = new Map(r.queues.map(x => [x.queue, x]));
	} catch {
		return; // the page lives without it; the next minute tries again
	}
	app.draw();
}

/* Per cent of the callers of the last 15 minutes that were answered in time; null if nobody came. */
export const recent_level = q => seen.recent.get(q.queue)?.service_level ?? null;

/* Behind: somebody waits longer than service_ms, or too few of the last 15 minutes were answered within it, in
 * a queue that is open. Gives {late: the first of these, why: both in words, "" if it is on goal}. */
export function behind(q) {
	const level = recent_level(q),
		late = q.service_ms > 0 && time_now() - time_ms(q.longest_since ?? time_now()) > q.service_ms,
		low = !(q.closed && !late) && q.service_ms > 0 && level !== null && level < q.service_goal;
	const why = [
		late && `somebody waits longer than ${span(q.service_ms)}`,
		low && `${Math.round(level)} % of the last 15 minutes in time, goal ${q.service_goal} %`,
	];
	return { late, why: why.filter(Boolean).join("; ") };
}
