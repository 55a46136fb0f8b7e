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

/** Asks somebody and reads all of the answer. */
export async function exchange(url, method, lines, body) {
	// What is asked with a secret goes nowhere else.
	const response = await fetch(url, { method, headers: headers(lines), body, redirect: "manual" });
	return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
}

/** The body of a request, read piece by piece; nothing as soon as it is longer than `most`. */
export async function bodyOf(request, most) {
	const pieces = [];
	let size = 0;
	for await (const piece of request.body) {
		size += piece.length;
		if (size > most) {
			return undefined;
		}
		pieces.push(piece);
	}
	const whole = new Uint8Array(size);
	let at = 0;
	for (const piece of pieces) {
		whole.set(piece, at);
		at += piece.length;
	}
	return whole;
}

const REPEATED = /^mcp-(?:protocol-version|method|name|param-[a-z0-9-]+)$/;

/** Passes a message of MCP on, with the headers that repeat what is in it; the session's is ours to say. */
export function forwardMessage(request, url, lines, body, deadline) {
	const own = headers(lines);
	for (const [name, value] of request.headers) {
		// By their exact names: some servers take a name with another sign in it for the session's.
		if (REPEATED.test(name)) {
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
 * A body that passes by and is looked at: each piece goes on as it comes, the last `most` bytes are kept. `end` is when it
 * has ended, `close` then says how, as `Close` in `core/src/mcp/answer.rs` knows it. The server may be silent for `silence`
 * milliseconds, the reader may not read for as long, and all of it may take `longest`.
 */
export class Watched {
	length = 0;
	close = "";
	#kept = [];
	#size = 0;
	#most;
	#reader;
	#silence;
	#controller;
	#waiting;
	#blamed;
	#over;
	#ended;

	constructor(body, most, silence, longest) {
		this.#most = most;
		this.#silence = silence;
		this.#reader = body.getReader();
		this.end = new Promise((resolve) => {
			this.#ended = resolve;
		});
		// Whoever was waited for last was too slow.
		this.#over = setTimeout(() => this.#stop(this.#blamed), longest);
		this.body = new ReadableStream({
			type: "bytes",
			start: (controller) => {
				this.#controller = controller;
			},
			pull: () => this.#pull(),
			cancel: (reason) => {
				this.#finish("cancelled");
				return this.#reader.cancel(reason);
			},
		});
		this.#unread();
	}

	/** The bytes that are kept. */
	bytes() {
		const bytes = new Uint8Array(this.#size);
		let at = 0;
		for (const piece of this.#kept) {
			bytes.set(piece, at);
			at += piece.length;
		}
		this.#kept = [];
		return bytes.subarray(Math.max(0, this.#size - this.#most));
	}

	async #pull() {
		this.#wait("silent");
		try {
			const { done, value } = await this.#reader.read();
			if (this.close !== "") {
				return;
			}
			this.#unread();
			if (done) {
				this.#finish("complete");
				this.#controller.close();
				this.#controller.byobRequest?.respond(0);
				return;
			}
			this.#keep(value.slice());
			this.#controller.enqueue(value);
		} catch (error) {
			if (this.close === "") {
				this.#finish("broken");
				this.#controller.error(error);
			}
		}
	}

	/** Whoever does not read is as good as gone. */
	#unread() {
		this.#wait("cancelled");
	}

	#wait(close) {
		this.#blamed = close;
		clearTimeout(this.#waiting);
		this.#waiting = setTimeout(() => this.#stop(close), this.#silence);
	}

	/** Ends it from here: the server is told, and the caller. */
	#stop(close) {
		if (this.close === "") {
			this.#finish(close);
			const reason = new Error("the answer took too long");
			this.#reader.cancel(reason).catch(() => {});
			this.#controller.error(reason);
		}
	}

	#finish(close) {
		if (this.close === "") {
			clearTimeout(this.#waiting);
			clearTimeout(this.#over);
			this.close = close;
			this.#ended();
		}
	}

	#keep(piece) {
		this.length += piece.length;
		this.#size += piece.length;
		this.#kept.push(piece);
		while (this.#size - this.#kept[0].length >= this.#most) {
			this.#size -= this.#kept.shift().length;
		}
	}
}

/** A wait of so many milliseconds, and the handle that ends it early. */
export function timer(milliseconds) {
	const { promise, resolve } = Promise.withResolvers();
	return { handle: setTimeout(resolve, milliseconds), promise };
}

export function cancel({ handle }) {
	clearTimeout(handle);
}

/** Counts under a name; whether it fits what the binding allows. Without the binding everything does. */
export async function count(env, binding, key) {
	const limiter = env[binding];
	return limiter === undefined || (await limiter.limit({ key })).success;
}
