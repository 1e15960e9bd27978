/* desk: an agent's own state, call and day. */
import { h } from "./dom.js";
import { app, icon, since, left, empty, route_text } from "./ui.js";
import { AGENT_STATES } from "./words.js";
import { call_view, customer_name } from "./model.js";
import { name_of } from "./names.js";
import { api_get, api_query } from "./api.js";
import { span, time_ms, time_now, at_minute } from "./time.js";
import { watcher } from "./fresh.js";
import { call_card } from "./call.js";
import { set_state, state_choice } from "./queues.js";

const today = { at: 0, row: null, rings: 0, last: [] };
let problem = "";

const is_mine = v =>
	v.with_id === app.me.user ||
	v.parties.some(p => p.user === app.me.user && p.state === "up");

/* Nothing moves under the pointer. */
const pointed = () => document.querySelector(".main .tight:is(:hover, :has(:focus-visible))");

/* False: the list waits. */
async function load_today() {
	today.at = performance.now();
	try {
		const from = new Date(time_now() || Date.now());
		from.setHours(0, 0, 0, 0);
		const a = await api_get(
			`reports/agents${api_query({ agent: app.me.user, from: from.toISOString() })}`,
		);
		today.rings = app.store.agents.get(app.me.user)?.state === "ringing" ? 1 : 0; // not missed yet
		today.row = a.agents.find(r => r.user_name === app.me.user) || null;
		const l = await api_get(`conversations${api_query({ agent: app.me.user, limit: 6 })}`);
		app.draw();
		if (pointed()) return false;
		today.last = l.conversations.filter(c => c.ended_at);
	} catch {
		return true; // figures of the day are not worth an alarm
	}
	app.draw();
	return true;
}

const EACH_MS = 60000,
	watch = watcher(load_today);

function figure(n, word) {
	return h("div", null, h("b", null, n), h("span.sub", null, word));
}

async function choose(state, reason) {
	problem = await set_state(app.me.user, state, reason);
	app.draw();
}

function day_card(r) {
	return h(
		"section.card",
		{ "aria-label": "My day" },
		h("header", null, h("h2", null, "My day")),
		h(
			"div.figures",
			null,
			figure(String(r?.answers ?? 0), "answered"),
			figure(span(r?.talk_ms ?? 0), "talk"),
			figure(span(r?.hold_ms ?? 0), "hold"),
			figure(String(Math.max(0, (r?.offers ?? 0) - (r?.answers ?? 0) - today.rings)), "not taken"),
			figure(String(r?.transfers_out ?? 0), "sent on"),
			figure(String(r?.transfers_in ?? 0), "came to me"),
		),
	);
}

/* What I did with a conversation, in two words. */
function my_part(c) {
	const mine = c.segments.filter(s => s.who === app.me.user);
	if (!mine.some(s => s.answered_at)) return ["back", "ring", "not answered"];
	return c.transferred && c.segments.at(-1)?.who !== app.me.user
		? ["transfer", "move", "sent on"]
		: [c.kind === "outbound" ? "out" : "in", "plain", ""];
}

function last_calls() {
	if (!today.last.length) return null;
	return h(
		"section.card",
		{ "aria-label": "My last calls" },
		h("header", null, h("h2", null, "My last calls")),
		h(
			"ol.thread.tight",
			null,
			today.last.map(c => {
				const [sign, tone, word] = my_part(c),
					at = time_ms(c.started_at);
				return h(
					"li",
					{ key: c.id },
					h("time.sub", { datetime: c.started_at }, at_minute(at)),
					h("span.sign", { class: `t-${tone}` }, icon(sign)),
					h(
						"p",
						null,
						h("a", { href: route_text("log", c.id) }, h("b", null, customer_name(c.customer))),
						word && h("span.sub", null, ` ${word}`),
					),
					h("span.num", null, span(c.total_ms || 0)),
				);
			}),
		),
	);
}

export function desk_view() {
	if (app.store.ready && (!today.at || (performance.now() - today.at > EACH_MS && !pointed()))) {
		watch.begun();
		load_today();
	} else watch.look();
	const a = app.store.agents.get(app.me.user),
		calls = [...app.store.calls.values()].map(call_view).filter(is_mine);
	return {
		title: "My desk",
		beside:
			a &&
			h(
				"span.pill.t-plain",
				null,
				AGENT_STATES[a.state]?.word || a.state,
				" ",
				time_ms(a.until) > time_now()
					? [left(time_ms(a.until), true), " left"]
					: since(time_ms(a.since)),
			),
		body: [
			h(
				"section.mine",
				{ key: "state", "aria-label": "My state" },
				a?.intent
					? state_choice(a, choose)
					: h("p.sub", null, "You are in no queue: you get the calls that are sent to you."),
				a?.intent_by &&
					a.intent_by !== app.me.user &&
					h("p.sub", null, `Set by ${name_of(a.intent_by)}.`),
				problem && h("p.notice.bad", { role: "alert" }, problem),
			),
			calls.length || a?.state !== "ringing"
				? h(
						"div.cols",
						{ key: "cols" },
						h(
							"div.stack",
							null,
							calls.length
								? calls.map(v => h("div", { key: v.id }, call_card(v, "own")))
								: h(
										"div.card",
										{ key: "none" },
										empty("No call. The next one that rings for you appears here."),
									),
						),
						h("div.stack", null, day_card(today.row), last_calls()),
					)
				: h("div.cols.one", { key: "one" }, day_card(today.row), last_calls()),
		],
	};
}
