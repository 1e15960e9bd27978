/* names: what the people, queues and menus that the ledger names are called on the screen. */
import { app } from "./ui.js";

/* The name shown for `who` of that kind of segment or target; `who` itself if nobody knows it. */
export function name_of(who, kind) {
	if (!who) return "";
	const { queues, menus, agents } = app.store;
	return ({ queue: queues, ivr: menus }[kind] || agents).get(who)?.name || who;
}
