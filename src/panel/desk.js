/* desk: an agent's own state, call and day. */
import { h } from "./dom.js";
import { app, face, since, empty } from "./ui.js";
import { AGENT_STATES } from "./words.js";
import { call_view } from "./model.js";
import { name_of } from "./names.js";
import { api_get, api_query } from "./api.js";
import { span, time_ms, time_now } from "./time.js";
import { call_card } from "./call.js";
import { set_state, state_choice, agent_dot } from "./queues.js";

const today = { at: 0, row: null };
let problem = "";

const is_mine = v =>
	v.with_id === app.me.user ||
	v.parties.some(p => p.user === app.me.user && p.state === "up");

async function load_today() {
	if (performance.now() - today.at < 60000 && today.at) return;
	today.at = performance.now();
	try {
		const from = new Date(time_now() || Date.now());
		from.setHours(0, 0, 0, 0);
		const a = await api_get(
			`reports/agents${api_query({ agent: app.me.user, from: from.toISOString() })}`,
		);
		today.row = a.agents.find(r => r.user_name === app.me.user) || null;
	} catch {
		return; // figures of the day are not worth an alarm
	}
	app.draw();
}

function figure(n, word) {
	return h("div", null, h("b", null, n), h("span.sub", null, word));
}

export function desk_view() {
	if (app.store.ready) load_today();
	const a = app.store.agents.get(app.me.user),
		calls = [...app.store.calls.values()].map(call_view).filter(is_mine),
		r = today.row;
	return {
		title: "My desk",
		beside:
			a &&
			h(
				"span.pill.t-plain",
				null,
				AGENT_STATES[a.state]?.word || a.state,
				" ",
				since(time_ms(a.since)),
			),
		body: h(
			"div.cols",
			null,
			h(
				"div.stack",
				null,
				calls.length
					? calls.map(v =>
							h(
								"div",
								{ key: v.id },
								call_card(v, "own"),
							),
						)
					: h(
							"div.card",
							{ key: "none" },
							empty(
								"No call. The next one that rings for you appears here.",
							),
						),
			),
			h(
				"div.stack",
				null,
				h(
					"section.card",
					{ "aria-label": "My state" },
					h(
						"header",
						null,
						face(app.me.name, { dot: a && agent_dot(a) }),
						h("h2", null, "My state"),
					),
					h(
						"div.in",
						null,
						a?.intent
							? state_choice(a, async (state, reason) => {
									problem = await set_state(
										app.me.user,
										state,
										reason,
									);
									app.draw();
								})
							: h(
									"p.sub",
									null,
									"You are in no queue: you get the calls that are sent to you.",
								),
						a?.intent_by &&
							a.intent_by !== app.me.user &&
							h(
								"p.sub",
								null,
								`Set by ${name_of(a.intent_by)}.`,
							),
						problem &&
							h(
								"p.notice.bad",
								{ role: "alert" },
								problem,
							),
					),
				),
				h(
					"section.card",
					{ "aria-label": "Today" },
					h("header", null, h("h2", null, "Today")),
					h(
						"div.figures",
						null,
						figure(String(r?.answers ?? 0), "answered"),
						figure(span(r?.talk_ms ?? 0), "talked"),
						figure(span(r?.hold_ms ?? 0), "on hold"),
						figure(String(r?.transfers_out ?? 0), "sent on"),
						figure(String(r?.transfers_in ?? 0), "received"),
						figure(
							String(
								(r?.offers ?? 0) -
									(r?.answers ?? 0),
							),
							"not answered",
						),
					),
				),
			),
		),
	};
}
