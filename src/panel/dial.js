/* dial: calls a number for who is signed in: their own phone rings first, then that number. */
import { h } from "./dom.js";
import { app, icon, announce, alarm } from "./ui.js";
import { error_sentence } from "./words.js";
import { may } from "./model.js";
import { api_once } from "./api.js";

/* Rings my phone, then `number`; says what comes of it. `key`: of the case that it is about. */
export async function dial(number, name, key) {
	try {
		await api_once("calls", key ? { number, case: key } : { number });
		announce(`Your phone rings. Pick it up to call ${name}.`);
		return "";
	} catch (e) {
		const text = error_sentence(e, { target: name });
		alarm(text);
		return text;
	}
}

const said = { number: "", text: "" };

/* A button that calls; what went wrong stands beside it. Numbers that are masked cannot be called. */
export function call_button(number, name, key) {
	if (!may("dial") || !/^[+\d*#]+$/.test(number) || number.includes("****")) return null;
	return [
		said.number === number && said.text && h("span.c-bad", { role: "status" }, said.text),
		h(
			"button.btn",
			{
				type: "button",
				"aria-label": `Call ${name}`,
				title: "Your phone rings first",
				onclick: async () => {
					Object.assign(said, { number, text: await dial(number, name, key) });
					app.draw();
				},
			},
			icon("call"),
			"Call",
		),
	];
}
