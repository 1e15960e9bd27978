/* signin: the door. As a page, and over the page when a session has ended. */
import { h } from "./dom.js";
import { app } from "./ui.js";
import { api } from "./api.js";
import { error_sentence } from "./words.js";

const form = { error: "", busy: false };

async function submit(e, start) {
	e.preventDefault();
	const f = new FormData(e.target);
	form.busy = true;
	form.error = "";
	app.draw();
	try {
		start(
			await api("POST", "login", {
				user: f.get("user").trim(),
				password: f.get("password"),
			}),
		);
	} catch (err) {
		form.error =
			err.status === 401
				? "That name and password do not match."
				: err.status === 429
					? "Too many tries. Wait a minute, then try again."
					: error_sentence(err);
	}
	form.busy = false;
	app.draw();
}

function fields(start) {
	return h(
		"form",
		{ onsubmit: e => submit(e, start) },
		h(
			"label",
			null,
			"User name",
			h("input.text", {
				name: "user",
				autocomplete: "username",
				required: true,
				autofocus: true,
				autocapitalize: "none",
				spellcheck: "false",
			}),
		),
		h(
			"label",
			null,
			"Password",
			h("input.text", {
				name: "password",
				type: "password",
				autocomplete: "current-password",
				required: true,
			}),
		),
		form.error && h("p.notice.bad", { role: "alert" }, form.error),
		h(
			"button.btn.go",
			{ type: "submit", "aria-disabled": form.busy ? "true" : null },
			form.busy ? "Signing in" : "Sign in",
		),
	);
}

/* `start(me)` is called once somebody is signed in. */
export function sign_in_view(start) {
	return h(
		"main.door",
		{ key: "door" },
		h(
			"div.card",
			null,
			about(),
			h(
				"div.in",
				null,
				h("h1", null, "Sign in"),
				h("p.sub", null, "With the name and password of your account."),
				fields(start),
				h("p.sub.forgot", null, "Password forgotten? An admin gives you a new one."),
			),
		),
	);
}

/* A call that goes from one to the next, as the score draws it. */
const LANES = [
	[["wait", 0, 14], ["talk", 14, 46], ["hold", 46, 58], ["talk", 58, 100]],
	[["ring", 10, 14], ["talk", 14, 46], ["consult", 46, 58]],
	[["consult", 46, 58], ["talk", 58, 100]],
];

function about() {
	return h(
		"div.about",
		null,
		h(
			"div.brand",
			null,
			h(
				"svg.mark",
				{ viewBox: "0 0 30 22", "aria-hidden": "true" },
				h("path.l1", { d: "M3 6h6c8 0 4 10 12 10h6" }),
				h("path.l2", { d: "M21 6h6" }),
				h("path.l3", { d: "M3 16h6" }),
			),
			"segue",
		),
		h("p.tell", null, "Every live call in sight, and moved with two clicks. No caller is lost on the way."),
		h(
			"svg.score-mark",
			{ height: 108, "aria-hidden": "true" },
			LANES.map((bars, y) => [
				h("line.row", { x1: 0, x2: "100%", y1: 18 + 36 * y, y2: 18 + 36 * y }),
				bars.map(([tone, from, to]) =>
					h("rect", {
						class: `bar-${tone}`,
						x: `${from}%`,
						width: `${to - from}%`,
						y: 9 + 36 * y + (y ? 0 : 4),
						height: y ? 18 : 10,
						rx: 3,
					}),
				),
			]),
			h(
				"svg",
				{ x: "58%", overflow: "visible" },
				h("line.arrow", { x1: 0, x2: 0, y1: 54, y2: 78, "marker-end": "url(#tip)" }),
				h("circle.ink-m", { cx: 0, cy: 54, r: 7 }),
			),
		),
		h("p.sub", null, "Who has the caller, who hears whom, and what happens next."),
	);
}

export function sign_in_dialog(start) {
	return h(
		"dialog.small",
		{
			key: "again",
			"aria-label": "Sign in again",
			mount: el => el.showModal(),
			oncancel: e => e.preventDefault(),
		},
		h(
			"div.pad",
			null,
			h("h1", null, "Your session has ended"),
			h("p.sub", null, "Calls go on. Sign in again to see and move them."),
			fields(start),
		),
	);
}
