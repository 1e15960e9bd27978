/* names: what the people, queues and menus that the ledger names are called on the screen. */
import { app } from "./ui.js";
import { isolated, number_text, mailbox } from "./words.js";

/*
 * The name shown for `who` of that kind of segment or target; `who` itself if nobody knows it. Outside numbers
 * have none: there `who` is the trunk, which means nothing to people.
 */
export function name_of(who, kind) {
	if (!who || kind === "external") return "";
	const { queues, menus, agents } = app.store;
	const name = ({ queue: queues, ivr: menus }[kind] || agents).get(who)?.name || who,
		shown = isolated(name);
	return kind === "voicemail" ? mailbox(shown) : shown;
}

/* What is shown of where a transfer goes. */
export function target_name(target) {
	return name_of(target?.name, target?.kind) || number_text(target?.number);
}
