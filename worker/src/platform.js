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

/** Passes a message of MCP on, with the headers that repeat what is in it; the session's is ours to say. */
export function forwardMessage(request, url, lines, body, deadline) {
	const own = headers(lines);
	for (const [name, value] of request.headers) {
		if (name.startsWith("mcp-") && name !== "mcp-session-id") {
			own[name] = value;
		}
	}
	const init = { method: request.method, headers: own, redirect: "manual" };
	if (body !== undefined) {
		init.body = body;
	}
	return deadline.limit(fetch(url, init));
}

/**
 * A body that passes by and is looked at: each piece goes on as it comes, the last `most` bytes are kept. When it has
 * ended, `end` is told how, as `Close` in `core/src/mcp/answer.rs` knows it. Nothing for `silence` milliseconds ends it.
 */
export class Watched {
	constructor(body, most, silence) {
		const reader = body.getReader();
		let kept = [];
		let size = 0;
		this.length = 0;
		this.close = "broken";
		let timer;
		this.end = new Promise((resolve) => {
			this.finish = (close) => {
				clearTimeout(timer);
				this.close = close;
				resolve();
			};
		});
		const keep = (piece) => {
			this.length += piece.length;
			kept.push(piece);
			size += piece.length;
			while (size - kept[0].length >= most) {
				size -= kept.shift().length;
			}
		};
		this.bytes = () => {
			const bytes = new Uint8Array(size);
			let at = 0;
			for (const piece of kept) {
				bytes.set(piece, at);
				at += piece.length;
			}
			kept = [];
			return bytes.subarray(Math.max(0, size - most));
		};
		const silent = new Promise((_, reject) => {
			this.wait = () => {
				clearTimeout(timer);
				timer = setTimeout(() => reject(SILENCE), silence);
			};
		});
		// Nobody may be waiting when it comes.
		silent.catch(() => {});
		this.wait();
		this.body = new ReadableStream({
			type: "bytes",
			pull: async (controller) => {
				try {
					this.wait();
					const { done, value } = await Promise.race([reader.read(), silent]);
					if (done) {
						this.finish("complete");
						controller.close();
						controller.byobRequest?.respond(0);
						return;
					}
					keep(value.slice());
					controller.enqueue(value);
				} catch (error) {
					this.finish(error === SILENCE ? "silent" : "broken");
					reader.cancel(error).catch(() => {});
					controller.error(error);
				}
			},
			cancel: (reason) => {
				this.finish("cancelled");
				return reader.cancel(reason);
			},
		});
	}
}

const SILENCE = new Error("nothing came for too long");

/** A wait of so many milliseconds, and the handle that ends it early. */
export function timer(milliseconds) {
	const { promise, resolve } = Promise.withResolvers();
	return { handle: setTimeout(resolve, milliseconds), promise };
}

export function cancel({ handle }) {
	clearTimeout(handle);
}
