/*
 * words: every sentence that the panel says. The server speaks in codes; people never see one.
 *
 * Rules: say who has the caller now; plain words; names, never he or she.
 */
import { span, at_second, at_minute } from "./time.js";

/* "Bob Meyer" -> "Bob"; a number or a company keeps its whole name. */
export function first(name) {
	const plain = (name || "").replace(/[\u2068\u2069]/g, "");
	return isolated(/^[^\d+*#][^\s]*\s\S+$/.test(plain) ? plain.split(/\s+/)[0] : plain);
}

/* A name that is written from right to left, so that it moves no figure that stands beside it (UAX #9, FSI and PDI). */
export const isolated = name => (/[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(name || "") ? `\u2068${name}\u2069` : name);

/*
 * "+12025550143" -> "+1 202 555 0143", "+44****0132" -> "+44 •••• 0132": groups for the eye. What is
 * no number with a country code stays as it is.
 */
export function number_text(n) {
	const hidden = /^(\+?\d*)\*{4}(\d{4})$/.exec(n || "");
	if (hidden) return `${hidden[1]} •••• ${hidden[2]}`;
	const [, code, rest] =
		/^(\+(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3}))(\d{5,})$/.exec(
			n || "",
		) || [];
	if (!code) return n || "";
	const area = AREAS[code]?.exec(rest)?.[0] || "",
		local = rest.slice(area.length).replace(/\d{3,4}?(?=(\d{3,4})+$)/g, "$& ");
	return [code, area, local].filter(Boolean).join(" ");
}

/* The areas of numbers that are not three digits throughout: those of large cities, and of mobiles. */
const AREAS = {
	"+33": /^\d/,
	"+351": /^2\d/,
	"+41": /^\d\d/,
	"+43": /^1/,
	"+44": /^(2\d|11\d|1\d1|[38]\d\d|\d{4})/,
	"+46": /^(8|\d\d)/,
	"+49": /^([346]0|69|89)/,
	"+61": /^[2378]/,
};

const possessive = name => (/s$/i.test(name) ? `${name}’` : `${name}’s`);

export const mailbox = name => `${possessive(first(name))} voicemail`;

/* ---- states of a call ------------------------------------------------------------------------- */

/* tone = colour and pattern, sign = icon; always shown with the word. */
export const STATES = {
	ringing: { word: "Ringing", tone: "ring", sign: "ring", tile: "ringing" },
	dialling: { word: "Dialling", tone: "ring", sign: "ring", tile: "ringing" },
	talking: { word: "Talking", tone: "talk", sign: "talk", tile: "talking" },
	held: { word: "On hold", tone: "hold", sign: "hold", tile: "held" },
	holding: { word: "Holding", tone: "hold", sign: "hold", tile: "held" },
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
	left: { word: "Moved on", tone: "plain", sign: "next", tile: "" },
	merged: { word: "Joined", tone: "plain", sign: "consult", tile: "" },
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
		"Transfer running",
		c =>
			`A transfer${c.target ? ` to ${first(c.target)}` : ""} is running. ` +
			"Cancel it first, or try another from there.",
	],
	voicemail: ["In voicemail", () => "The caller is speaking to voicemail."],
	ended: [
		"Ended",
		c => `The call ended${c.ended ? ` at ${at_second(c.ended)}` : ""}.`,
	],
	left: ["Moved on", c => `The call of ${c.customer} goes on with others, whose calls you do not see.`],
	merged: ["Joined", c => `The call of ${c.customer} was joined with another one, and goes on there.`],
	fax: ["Sending a fax", () => "A fax is being sent; it would break."],
	not_permitted: [
		"Not allowed",
		() => "Your role cannot transfer. Ask an admin for “transfer calls”.",
	],
	no_consultation: ["Nobody asked", () => "Nobody is being asked about this call."],
	consulting: ["Asking first", () => "Somebody is being asked about this call. Hand over, or cancel it first."],
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
	wrapup: t => (t.left > 0 ? `Finishing notes, ${span(t.left)} left` : "Finishing notes"),
	away: t => (t.why ? `Away: ${t.why}` : "Away"),
	logged_out: () => "Not signed in",
	unregistered: t =>
		t.since ? `Phone not connected since ${at_minute(t.since)}` : "Phone not connected",
	disabled: () => "Switched off by an admin",
	not_provisioned: () => "No phone set up",
	self: () => "Already on this call",
	already_party: () => "Already on this call",
	outside: () => "Outside your departments",
	not_permitted: t => {
		const kind = number_class(t.text);
		return kind ? `Number class “${kind}” not allowed` : t.text || "Not allowed";
	},
	invalid_target: () => "Not a number that can be dialled",
	media_busy: () => "A fax is being sent",
	full: t => (t.limit ? `Queue is full (${t.limit})` : "Queue is full"),
	empty: () => "Nobody signed in",
	closed: t => closed_text(t.opens),
};

/* A queue at this hour; `opens` says when it will not be so: "20:00", "Mon 08:00", "" not known. */
export const closed_text = opens => (opens ? `Closed, opens ${opens}` : "Closed");

/* What is said of a number that was typed, by its class. */
export const number_kind = name => (name ? `Outside number, ${name}` : "Outside number");

/* The class of numbers that may not be dialled, out of the server's sentence; "" if it is another. */
const number_class = text => /dial (\S+) numbers/.exec(text || "")?.[1] || "";

/* Why a target is not free; `t` is the target, with since, age, left (ms), why, limit and opens. */
export function unavailable(code, t) {
	return UNAVAILABLE[code] ? UNAVAILABLE[code](t) : t.text || "Not available";
}

const CHAIN = {
	recall: "whoever sent it",
	voicemail: "voicemail",
	announce: "the closing message",
	hangup: "the call ends",
};

/* A fallback chain in words: "Sales, then voicemail"; `name_of(who, kind)`. */
export function chain_text(steps, name_of) {
	return (steps || [])
		.map(f => name_of(f.target, f.kind) || CHAIN[f.kind] || f.kind)
		.join(", then ");
}

/* What the two ways to transfer mean, with the agent's first name, "" if nobody is with the caller; `queue`: of a
 * department, `stays`: and the agent keeps the line. */
export function how_sentence(how, owner, target, queue, stays) {
	if (how === "consult")
		return `The caller hears music while ${owner} and ${target || "the other"} talk. ${owner}, or you, hands over.`;
	const then = !owner
		? ""
		: queue
			? stays
				? `${owner} keeps the line until somebody answers.`
				: `${owner} is released at once.`
			: `${owner} stays until somebody answers.`;
	const o = then && then[0].toUpperCase() + then.slice(1);
	return `The caller ${queue ? `waits in ${target} with music` : "hears music while the phone rings"}. ${o}`.trim();
}

/* ---- a transfer that runs --------------------------------------------------------------------- */

const phone_of = x =>
	x.target_kind === "user" ? `${possessive(first(x.target))} phone` : x.target;

/* What the customer hears while somebody is called, and where the agent is. */
const meanwhile = x =>
	x.talks
		? `${x.customer} and ${first(x.owner)} are still talking.`
		: `${x.customer} hears music; ${first(x.owner)} is still on the line.`;

/*
 * `x`: {customer, owner, target, target_kind, stage, owner_left, talks, position, estimate}. Names are
 * as shown; first names where a sentence would use them.
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
		case "calling":
			return `Calling ${phone_of(x)}. ${meanwhile(x)}`;
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
			if (!x.owner_left) return `${line} ${meanwhile(x)}`;
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
	closed: x => `${x.target} is closed.`,
	auth: () => "The line refused our sign-in.",
	loop: () => "The number leads back to segue.",
	internal: () => "Something broke on our side.",
};

function completed(x) {
	const after = x.owner_for >= 1000 ? ` after ${span(x.owner_for)}` : "";
	const released =
		x.owner && x.owner !== x.target
			? `${first(x.owner)} was released${x.target_kind === "queue" ? "" : after}.`
			: "";
	if (x.target_kind !== "queue") return [`${x.customer} is talking with ${x.target}.`, released];
	const place = x.position ? `, ${nth(x.position)} in line` : "";
	return [`${x.customer} waits in ${x.target}${place}.`, released];
}

const kept = x => (x.has ? ` ${first(x.has)} keeps ${x.customer}.` : "");

/* Who waited in a queue has been answered. */
export function answered_sentence(x) {
	return `${x.with} answered ${x.customer} after ${span(x.waited)} in ${x.target}.`;
}

/*
 * How a transfer ended; `x` as for stage_sentence(), with outcome, cause, has (who has the customer
 * now, as shown), by (who cancelled), rang, owner_for (ms), talk_on: whom the customer left behind.
 * Returns {text, more: what is less important, tone: ok | bad | plain, look: [colour, sign], offer:
 * what is offered}: "another", "correct" (the number), "department", "queue" (to look at it), "call"
 * (back), "back" (take the caller).
 */
export function outcome_sentence(x) {
	const c = x.customer,
		t = first(x.target);
	const said = (tone, look, text, more, ...offer) => ({ tone, look, text, more, offer });
	const back = ["ring", "back"];

	switch (x.outcome) {
		case "completed":
			return said(
				"ok",
				["talk", "ok"],
				...completed(x),
				...(x.target_kind === "queue" ? ["queue"] : []),
			);
		case "failed":
			return said(
				"bad",
				MISSES.has(x.cause) ? back : ["bad", "warn"],
				(FAILED[x.cause] || FAILED.unreachable)(x) + kept(x),
				"",
				...(FAILED_OFFER[x.cause] || ["another"]),
			);
		case "cancelled":
			return said(
				"plain",
				["plain", "x"],
				`${x.by || "The transfer was"} cancelled.${kept(x)}`,
				"",
				"another",
			);
		case "abandoned":
			return x.talk_on
				? said("plain", ["plain", "end"], `${c} hung up. ${first(x.owner)} and ${t} are still talking.`, "")
				: said("plain", ["bad", "x"], `${c} hung up before ${t} answered.`, "Nobody was connected.", "call");
		case "recalled":
			return said(
				"plain",
				back,
				`Nobody answered. ${first(x.owner) || "The first agent"} has ${c} back.`,
				"",
				"another",
			);
		case "fell_back":
			return said(
				"plain",
				ENDS.has(x.fallback_kind) ? ["wait", "voicemail"] : back,
				fell_back(x),
				"",
				...(ENDS.has(x.fallback_kind) ? [] : ["back", "another"]),
			);
		default:
			return said("plain", ["plain", "ok"], `The transfer of ${c} is over.`, "");
	}
}

const MISSES = new Set(["busy", "declined", "no_answer"]);
const FAILED_OFFER = { invalid_target: ["correct"], no_answer: ["another", "department"] };
const ENDS = new Set(["voicemail", "announcement", "announce"]);

function fell_back(x) {
	const miss =
		x.cause && FAILED[x.cause]
			? FAILED[x.cause](x)
			: `${first(x.target)} did not answer.`;

	switch (x.fallback_kind) {
		case "queue":
			return (
				`${miss} ${x.customer} waits in ${x.has || "the queue"}` +
				`${x.position ? `, ${nth(x.position)} in line` : ""}.`
			);
		case "voicemail":
			return `Nobody could take it. ${x.customer} is leaving a voicemail.`;
		case "announce":
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
	cancelled: "was not waited for",
	media_incompatible: "had no common audio format",
	closed: "was closed",
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

/* A text of the server as a sentence. */
const as_sentence = text =>
	text && (text[0].toUpperCase() + text.slice(1)).replace(/(\w)'(?=s\b)/g, "$1’").replace(/[^.!?]$/, "$&.");

/* ---- errors of requests ----------------------------------------------------------------------- */

/*
 * `e` is an ApiError; the server's own sentence is good where we have no better one. `x`, of a
 * transfer that was refused: {target, has, customer}.
 */
export function error_sentence(e, x) {
	const kind = number_class(e.message);
	if (x && kind) return `You may not dial ${kind} numbers.${kept(x)}`;
	if (x && e.code === "no_target")
		return `${x.target} is not a number that can be dialled.${kept(x)}`;
	switch (e.status) {
		case 0:
			return "Not sent: no connection to segue.";
		case -1:
			return "No answer from segue. Look whether it was done before you try again.";
		case 401:
			return "Your session has ended. Sign in again.";
		case 403:
			return as_sentence(e.message) || "You are not allowed to do that.";
		case 404:
			return "That call is over.";
		case 409:
			return as_sentence(e.message) || "That is not possible now.";
		case 429:
			return "Too many requests. Wait a moment, then try again.";
		case 503:
			return as_sentence(e.message) || "segue cannot do that now: its database is away.";
		default:
			return as_sentence(e.message) || `segue answered ${e.status}.`;
	}
}
