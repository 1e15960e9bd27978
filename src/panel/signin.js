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
			h(
				"div.in",
				{ style: { padding: "26px 28px 28px" } },
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
				h("h1", null, "Sign in"),
				fields(start),
			),
		),
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
