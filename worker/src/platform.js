// The platform as the metered path uses it. Every call from WASM into JavaScript and back costs, so what belongs
// together is one call here: a request's head, an answer, a message with its time limit. Nothing is decided here.

/** What stands for a header that is not there; no header can hold it. */
const ABSENT = "\0";

/** Method, address and the named headers of a request, a line each. */
export function head(request, names) {
	let text = `${request.method}\n${request.url}`;
	const { headers } = request;
	for (const name of names) {
		text += `\n${headers.get(name) ?? ABSENT}`;
	}
	return text;
}

/** Status and the named headers of a response, a line each. */
export function responseHead(response, names) {
	let text = String(response.status);
	const { headers } = response;
	for (const name of names) {
		text += `\n${headers.get(name) ?? ABSENT}`;
	}
	return text;
}

/** Headers from lines, name and value in turn. */
function headers(lines) {
	const parts = lines.split("\n");
	const headers = {};
	for (let index = 0; index + 1 < parts.length; index += 2) {
		headers[parts[index]] = parts[index + 1];
	}
	return headers;
}

export function respond(status, lines, body) {
	return new Response(body, { status, headers: headers(lines) });
}

/**
 * One wait for all of a request: whatever is waited for when it is over is rejected with its milliseconds. Until it ends
 * the request goes on, with a caller or without: what was admitted is passed on, and settled.
 */
export class Deadline {
	#reject = () => {};
	#timer;
	#over;
	#end;

	constructor(milliseconds, context) {
		this.#timer = setTimeout(() => {
			this.#over = milliseconds;
			this.#reject(milliseconds);
		}, milliseconds);
		context?.waitUntil(
			new Promise((resolve) => {
				this.#end = resolve;
			}),
		);
	}

	/** What was promised, or a rejection when it is too late. What is not waited for any more ends with the request. */
	limit(promise) {
		return new Promise((resolve, reject) => {
			this.#reject = reject;
			promise.then(resolve, reject);
			// It may have run out between two waits.
			if (this.#over !== undefined) {
				reject(this.#over);
			}
		});
	}

	end() {
		clearTimeout(this.#timer);
		this.#end?.();
	}
}

/** Passes a request on. */
export function forward(url, method, lines, body, deadline) {
	const init = { method, headers: headers(lines), redirect: "manual" };
	if (body !== undefined) {
		init.body = body;
	}
	return deadline.limit(fetch(url, init));
}

/** A wait of so many milliseconds, and the handle that ends it early. */
export function timer(milliseconds) {
	const { promise, resolve } = Promise.withResolvers();
	return { handle: setTimeout(resolve, milliseconds), promise };
}

export function cancel({ handle }) {
	clearTimeout(handle);
}
