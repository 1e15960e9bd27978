/*
 * api: requests to segue. Every failure is an ApiError: status (0: no connection), code (the
 * server's word for it), message (its sentence), field and state where it said so.
 */

const ROOT = "api/v1/";
let on_signed_out = () => {};

export class ApiError extends Error {
	constructor(status, body) {
		super(body?.error?.message || body?.message || "");
		this.status = status;
		this.body = body || {};
		const e = body?.error && typeof body.error === "object" ? body.error : body || {};
		this.code = e.code || e.reason || "";
		this.field = e.field;
		this.state = e.state;
	}
}

/* Called when the server says that nobody is signed in. */
export function api_on_signed_out(fn) {
	on_signed_out = fn;
}

export function api_url(path) {
	return ROOT + path;
}

const SLOW_MS = 30000, // longer than segued itself takes at most
	ONCE_MS = 10000; // then a request that may be repeated is: its connection may be one of before a sleep
export const NO_ANSWER = -1;

/*
 * Sends; resolves to the decoded body (null if empty), or throws ApiError: its status is 0 without a connection,
 * NO_ANSWER after `ms`.
 */
export async function api(method, path, body, headers = {}, ms = SLOW_MS) {
	const init = {
		method,
		signal: AbortSignal.timeout(ms),
		credentials: "same-origin",
		headers: { Accept: "application/json", ...headers },
	};
	if (method !== "GET") init.headers["X-Segue"] = "panel"; // a page of another site cannot send a header of its own
	if (body !== undefined) {
		init.headers["Content-Type"] = "application/json";
		init.body = JSON.stringify(body);
	}
	let res,
		data = null;
	try {
		res = await fetch(ROOT + path, init);
		const text = await res.text();
		data = text ? JSON.parse(text) : null;
	} catch (e) {
		if (e.name === "TimeoutError") throw new ApiError(NO_ANSWER, null);
		throw new ApiError(res && !res.ok ? res.status : 0, null);
	}
	if (!res.ok) {
		const e = new ApiError(res.status, data);
		if (res.status === 401 && !path.startsWith("login")) on_signed_out();
		throw e;
	}
	return data;
}

export const api_get = path => api("GET", path);

/* A request that must not happen twice, however often it is sent. */
export function api_once(path, body) {
	const key = crypto.randomUUID
		? crypto.randomUUID()
		: Array.from(crypto.getRandomValues(new Uint32Array(4)), n => n.toString(16)).join(
				"",
			);
	const send = ms => api("POST", path, body, { "Idempotency-Key": key }, ms);
	return send(ONCE_MS).catch(e => {
		if (e.status !== NO_ANSWER) throw e;
		return send(SLOW_MS);
	});
}

/* name=value&..., without what is empty. */
export function api_query(values) {
	const q = new URLSearchParams();
	for (const k in values)
		if (values[k] !== "" && values[k] !== null && values[k] !== undefined)
			q.set(k, values[k]);
	return q.size ? `?${q}` : "";
}
