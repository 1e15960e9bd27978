/*
 * words: every sentence that the panel says. The server speaks in codes; people never see one.
 *
 * Rules: say who has the caller now; plain words; names, never he or she.
 */
import { span, at_second } from "./time.js";

/* "Bob Meyer" -> "Bob"; a number or a company keeps its whole name. */
export function first(name) {
	return /^[^\d+*#][^\s]*\s\S+$/.test(name || "") ? name.split(/\s+/)[0] : name || "";
}

const possessive = name => (/s$/i.test(name) ? `${name}’` : `${name}’s`);

/* ---- states of a call ------------------------------------------------------------------------- */

/* tone = colour and pattern, sign = icon; always shown with the word. */
export const STATES = {
	ringing: { word: "Ringing", tone: "ring", sign: "ring", tile: "ringing" },
	dialling: { word: "Dialling", tone: "ring", sign: "ring", tile: "ringing" },
	talking: { word: "Talking", tone: "talk", sign: "talk", tile: "talking" },
	held: { word: "On hold", tone: "hold", sign: "hold", tile: "held" },
	consulting: { word: "Consulting", tone: "consult", sign: "consult", tile: "transferring" },
	transferring: {
		word: "Transferring",
		tone: "move",
		sign: "transfer",
		tile: "transferring",
	},
	queued: { word: "In queue", tone: "wait", sign: "queue", tile: "waiting" },
	menu: { word: "In menu", tone: "plain", sign: "menu", tile: "waiting" },
	voicemail: { word: "Voicemail", tone: "plain", sign: "voicemail", tile: "waiting" },
	recall: { word: "Ringing back", tone: "ring", sign: "back", tile: "transferring" },
	joining: { word: "Connecting", tone: "move", sign: "transfer", tile: "transferring" },
	ended: { word: "Ended", tone: "plain", sign: "ok", tile: "" },
};

export const TILES = [
	{ id: "all", word: "All live", sign: "live", tone: "" },
	{ id: "ringing", word: "Ringing", sign: "ring", tone: "ring" },
	{ id: "talking", word: "Talking", sign: "talk", tone: "talk" },
	{ id: "held", word: "On hold", sign: "hold", tone: "hold" },
	{ id: "transferring", word: "Transferring", sign: "transfer", tone: "move" },
	{ id: "waiting", word: "Waiting", sign: "queue", tone: "wait" },
];

/* Why Transfer is off: what the button says, and the whole sentence. `c` is the call. */
const OFF = {
	not_answered: [
		"Not answered yet",
		c =>
			"Nobody has answered yet. You can transfer as soon as " +
			`${c.with ? first(c.with) : "somebody"} answers.`,
	],
	no_agent: [
		"No agent yet",
		() => "No agent is on this call yet. A caller who waits is moved in Queues.",
	],
	in_menu: [
		"Still in the menu",
		() => "The caller is choosing in the menu. You can transfer once an agent answers.",
	],
	transfer_running: [
		"Transfer runs",
		c =>
			`A transfer${c.target ? ` to ${first(c.target)}` : ""} is running. ` +
			"Cancel it first, or try another from there.",
	],
	voicemail: ["In voicemail", () => "The caller is speaking to voicemail."],
	ended: ["Ended", c => `The call ended${c.ended ? ` at ${at_second(c.ended)}` : ""}.`],
	fax: ["Sending a fax", () => "A fax is being sent; it would break."],
	not_permitted: [
		"Not allowed",
		() => "Your role cannot transfer. Ask an admin for “transfer calls”.",
	],
	no_consultation: ["Nobody asked", () => "Nobody is being asked about this call."],
	no_transfer: ["No transfer", () => "There is no transfer to cancel."],
	held: ["On hold", () => "The call is on hold already."],
	not_held: ["Not on hold", () => "segue does not hold this call."],
};

export function off_label(code) {
	return (OFF[code] || ["Not now"])[0];
}

export function off_sentence(code, call) {
	return OFF[code] ? OFF[code][1](call) : "This is not possible now.";
}

/* ---- targets ---------------------------------------------------------------------------------- */

const UNAVAILABLE = {
	ringing: () => "Ringing",
	busy: t => (t.since ? `On a call for ${span(t.age)}` : "On a call"),
	wrapup: () => "Finishing notes",
	away: t => (t.text && t.text.length < 40 ? t.text : "Away"),
	logged_out: () => "Not signed in",
	unregistered: () => "Phone not connected",
	disabled: () => "Switched off by an admin",
	not_provisioned: () => "No phone set up",
	self: () => "Already on this call",
	already_party: () => "Already on this call",
	not_permitted: t => t.text || "Not allowed",
	invalid_target: () => "Not a number that can be dialled",
	media_busy: () => "A fax is being sent",
	full: t => (t.limit ? `Queue is full (${t.limit})` : "Queue is full"),
	empty: () => "Nobody signed in",
};

/* Why a target is not free; `t` is the target, with since, age (ms) and limit. */
export function unavailable(code, t) {
	return UNAVAILABLE[code] ? UNAVAILABLE[code](t) : t.text || "Not available";
}

/* What the two ways to transfer mean, with the agent's first name. */
export function how_sentence(how, owner, target) {
	const o = owner || "the agent",
		t = target || "the other";
	return how === "consult"
		? `The caller hears music while ${o} and ${t} talk. ${o}, or you, hands over.`
		: `The caller hears music while the phone rings. ${o} stays until somebody answers.`;
}

/* ---- a transfer that runs --------------------------------------------------------------------- */

const phone_of = x =>
	x.target_kind === "user" ? `${possessive(first(x.target))} phone` : x.target;

/*
 * `x`: {customer, owner, target, target_kind, stage, owner_left, position, estimate}. Names are as
 * shown; first names where a sentence would use them.
 */
export function stage_sentence(x) {
	const c = x.customer,
		o = first(x.owner),
		t = first(x.target);
	const line =
		x.target_kind === "user"
			? `${possessive(t)} phone is ringing.`
			: `${x.target} is ringing.`;

	switch (x.stage) {
		case "asked":
			return `Putting ${c} on hold.`;
		case "queued":
			return (
				`${c} waits in ${x.target}${x.position ? `, ${nth(x.position)} in line` : ""}` +
				`${x.estimate ? `, about ${span(x.estimate)}` : ""}. ` +
				(x.owner_left
					? `${o || "The agent"} was released.`
					: `${o} is still on the line.`)
			);
		case "consulting":
			return `${o} and ${t} are talking. ${c} hears music.`;
		case "swapped":
			return `${o} is talking with ${c}. ${t} is on hold.`;
		case "joining":
			return `${t} answered. Connecting ${c}.`;
		case "recall":
			return `Nobody answered. ${possessive(o || "The first agent")} phone rings again.`;
		case "resuming":
			return `${o} takes ${c} back.`;
		case "chain":
			return `Nobody answered. Looking for somebody else for ${c}.`;
		default:
			if (!x.owner_left)
				return `${line} ${c} hears music; ${o} is still on the line.`;
			return `${o ? `${o} has gone. ` : ""}${c} hears music while ${phone_of(x)} rings.`;
	}
}

export function nth(n) {
	const tail = n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th";
	return `${n}${tail}`;
}

const FAILED = {
	busy: x => `${possessive(first(x.target))} phone is busy.`,
	declined: x => `${first(x.target)} declined.`,
	no_answer: x =>
		`${first(x.target)} did not answer${x.rang ? ` within ${Math.round(x.rang / 1000)} s` : ""}.`,
	unreachable: x =>
		x.target_kind === "user"
			? `${possessive(first(x.target))} phone cannot be reached.`
			: `${x.target} cannot be reached.`,
	invalid_target: x => `${x.target} is not a number that can be dialled.`,
	not_permitted: x => `You may not send calls to ${x.target}.`,
	media_incompatible: x =>
		`${possessive(first(x.target))} phone and the caller share no audio format.`,
	auth: () => "The line refused our sign-in.",
	loop: () => "The number leads back to segue.",
	internal: () => "Something broke on our side.",
};

function completed(x) {
	const released = x.owner && x.owner !== x.target ? ` ${first(x.owner)} was released.` : "";
	if (x.target_kind !== "queue")
		return `${x.customer} is talking with ${x.target}.${released}`;
	return `${x.customer} waits in ${x.target}${x.position ? `, ${nth(x.position)} in line` : ""}.${released}`;
}

const kept = x =>
	x.has ? ` ${x.has === x.owner ? first(x.owner) : first(x.has)} keeps ${x.customer}.` : "";

/*
 * How a transfer ended; `x` as for stage_sentence(), with outcome, cause, has (who has the customer
 * now, as shown), by (who cancelled), rang (ms).
 * Returns {text, tone: ok | bad | plain, again: offer to try another}.
 */
export function outcome_sentence(x) {
	const c = x.customer,
		o = first(x.owner),
		t = x.target;

	switch (x.outcome) {
		case "completed":
			return {
				tone: "ok",
				again: false,
				text: completed(x),
			};
		case "failed":
			return {
				tone: "bad",
				again: true,
				text: (FAILED[x.cause] || FAILED.unreachable)(x) + kept(x),
			};
		case "cancelled":
			return {
				tone: "plain",
				again: true,
				text: `${x.by || "The transfer was"} cancelled.${kept(x)}`,
			};
		case "abandoned":
			return {
				tone: "plain",
				again: false,
				text: `${c} hung up before ${first(t)} answered. Nobody was connected.`,
			};
		case "recalled":
			return {
				tone: "plain",
				again: true,
				text: `Nobody answered. ${o || "The first agent"} has ${c} back.`,
			};
		case "fell_back":
			return { tone: "plain", again: true, text: fell_back(x) };
		default:
			return {
				tone: "plain",
				again: false,
				text: `The transfer of ${c} is over.`,
			};
	}
}

function fell_back(x) {
	const miss =
		x.cause && FAILED[x.cause]
			? FAILED[x.cause](x)
			: `${first(x.target)} did not answer.`;

	switch (x.fallback_kind) {
		case "queue":
			return `${miss} ${x.customer} waits in ${x.has || "the queue"}.`;
		case "voicemail":
			return `Nobody could take it. ${x.customer} is leaving a voicemail.`;
		case "announcement":
			return `Nobody could take it. ${x.customer} hears the closing message.`;
		default:
			return x.has
				? `${miss} ${x.customer} rings at ${x.has}.`
				: `${miss} ${x.customer} was sent on.`;
	}
}

/* ---- the ledger ------------------------------------------------------------------------------- */

export const OUTCOMES = {
	transferred: { word: "Transferred", tone: "move", sign: "transfer" },
	answered: { word: "Finished", tone: "plain", sign: "ok" },
	came_back: { word: "Came back", tone: "ring", sign: "back" },
	abandoned: { word: "Caller left", tone: "bad", sign: "x" },
	failed: { word: "Not connected", tone: "bad", sign: "warn" },
	voicemail: { word: "Voicemail", tone: "plain", sign: "voicemail" },
	live: { word: "Live now", tone: "talk", sign: "talk" },
};

/* The state of an interval, as a bar: what is drawn and what it is called. */
export const BARS = {
	queued: { tone: "wait", word: "Waiting" },
	ringing: { tone: "ring", word: "Ringing" },
	talking: { tone: "talk", word: "Talking" },
	conference: { tone: "talk", word: "Talking, three together" },
	holding: { tone: "hold", word: "On hold, music" },
	held: { tone: "hold", word: "Customer holds" },
	consulting: { tone: "consult", word: "Consulting" },
	limbo: { tone: "limbo", word: "Between two people" },
	wrapup: { tone: "wrap", word: "Finishing notes" },
	menu: { tone: "menu", word: "Menu" },
	missed: { tone: "no", word: "Not answered" },
};

const TRY = {
	busy: "was busy",
	declined: "declined",
	no_answer: "did not answer",
	unreachable: "could not be reached",
	invalid_target: "is no valid number",
	not_permitted: "was not allowed",
	cancelled: "was cancelled",
	media_incompatible: "had no common audio format",
	cancelled_caller_left: "was still ringing",
	answered_elsewhere: "was not the first to answer",
};

/* "Bob did not answer", for the line under a path. */
export function tried(name, cause) {
	return `${first(name)} ${TRY[cause] || "did not work"}`;
}

/* A transfer of the ledger in one line; `x`: {kind, from, to, to_kind, outcome, cause, via}. */
export function transfer_line(x) {
	const from =
		x.via === "panel" || x.via === "api"
			? x.asker || x.from
			: x.from || x.asker || "segue";
	const ask =
		x.kind === "consult"
			? `${from} asked ${x.to}`
			: x.via === "system"
				? `segue tried ${x.to}`
				: `${from} sent it to ${x.to}`;

	switch (x.outcome) {
		case "completed":
			return x.kind === "consult"
				? `${ask}, then handed over.`
				: x.kind === "semi"
					? `${from} handed over while ${x.to} was ringing.`
					: `${ask}.`;
		case "failed":
			return `${ask}. ${tried(x.to, x.cause)}.`;
		case "cancelled":
			return `${ask}, and cancelled.`;
		case "abandoned":
			return `${ask}. The caller hung up first.`;
		case "recalled":
			return `${ask}. Nobody answered; it came back.`;
		case "fell_back":
			return `${ask}. ${tried(x.to, x.cause)}; it went on.`;
		default:
			return `${ask}. This is still running.`;
	}
}

export const AGENT_STATES = {
	free: { word: "Free", dot: "free" },
	ringing: { word: "Ringing", dot: "ring" },
	talking: { word: "On a call", dot: "busy" },
	wrapup: { word: "Finishing notes", dot: "wrap" },
	away: { word: "Away", dot: "away" },
	logged_out: { word: "Not signed in", dot: "off" },
	unreachable: { word: "Phone not connected", dot: "off" },
};

/* ---- errors of requests ----------------------------------------------------------------------- */

/* `e` is an ApiError; the server's own sentence is good where we have no better one. */
export function error_sentence(e) {
	switch (e.status) {
		case 0:
			return "Not sent: no connection to segue.";
		case 401:
			return "Your session has ended. Sign in again.";
		case 403:
			return e.message || "You are not allowed to do that.";
		case 404:
			return "That call is over.";
		case 409:
			return e.message || "That is not possible now.";
		case 429:
			return "Too many requests. Wait a moment, then try again.";
		case 503:
			return e.message || "segue cannot do that now: its database is away.";
		default:
			return e.message || `segue answered ${e.status}.`;
	}
}
