/* keys: the list of keys, and whether single letters are commands. */
import { h, patch } from "./dom.js";
import { remember, remembered } from "./ui.js";

const KEYS = [
	["g l", "Live calls"],
	["g c", "Call log"],
	["g q", "Queues and agents"],
	["g d", "My desk"],
	["/", "Search"],
	["↑ ↓ Home End", "Rows of the list"],
	["Enter", "Open the call"],
	["T", "Transfer"],
	["X", "Hang up"],
	["C", "Cancel the transfer"],
	["Alt A", "In the dialog: ask first"],
	["Alt 1 … 5", "In the dialog: kinds"],
	["H, S, C", "On a running transfer: hand over, swap, cancel"],
	["?", "This list"],
];

const sheet = document.createElement("dialog");
sheet.className = "small";
sheet.setAttribute("aria-labelledby", "keys-title");
document.body.append(sheet);

export function help() {
	const letters = remembered("letters", "on") === "on";
	patch(
		sheet,
		h(
			"div.pad",
			null,
			h("h1", { id: "keys-title" }, "Keyboard"),
			h(
				"div.keys",
				null,
				KEYS.map(([k, what]) => [
					h("span", null, h("kbd", null, k)),
					h("span", null, what),
				]),
			),
			h(
				"label",
				null,
				h(
					"span",
					null,
					h("input", {
						type: "checkbox",
						checked: letters,
						onchange: e =>
							remember(
								"letters",
								e.target.checked ? "on" : "off",
							),
					}),
					" Single letters are commands",
				),
			),
			h("button.btn", { type: "button", onclick: () => sheet.close() }, "Close"),
		),
	);
	sheet.showModal();
}
