// The worker's entry: hands requests to the WASM module, with nothing between that costs time.

import { DurableObject } from "cloudflare:workers";
import * as module from "./build/glue.js";

/** What to tell those who wait when the module traps: their promises would never settle by themselves. */
const waiting = new Set();

/** How often the module was started again; what belongs to an earlier life of it cannot be used. */
let life = 0;

// The module's panic hook sets this before it stops; the glue starts a new instance for the next request.
Object.defineProperty(globalThis.__worker_init_state, "criticalError", {
	get: () => false,
	set(trapped) {
		if (trapped) {
			life += 1;
			for (const tell of waiting) {
				tell();
			}
			waiting.clear();
		}
	},
});

/** What was promised, or a rejection when the module stops first. */
function guarded(promise) {
	return new Promise((resolve, reject) => {
		const stopped = () => reject(new Error("the module stopped"));
		waiting.add(stopped);
		const done = (settle) => (value) => {
			waiting.delete(stopped);
			settle(value);
		};
		promise.then(done(resolve), done(reject));
	});
}

/** The meter's object; its methods are what stubs can call. */
export class Meter extends DurableObject {
	#meter;
	#life;

	/** The meter in the module that runs now. After a trap it begins anew from what is stored. */
	#now() {
		if (this.#meter === undefined || this.#life !== life) {
			this.#meter = new module.Meter(this.ctx, this.env);
			this.#life = life;
		}
		return this.#meter;
	}

	ask(message) {
		const answer = this.#now().ask(message);
		return typeof answer === "string" ? answer : guarded(answer);
	}

	alarm() {
		return guarded(this.#now().alarm());
	}
}

export default {
	fetch(request, env, context) {
		try {
			return guarded(module.fetch(request, env, context)).catch(fault);
		} catch (error) {
			return fault(error);
		}
	},

	scheduled(controller, env, context) {
		return guarded(module.scheduled(controller, env, context));
	},
};

/** The document of a fault that core could not write any more; `core/tests/doors.rs` holds it to core's own. */
function fault(error) {
	console.error(JSON.stringify({ problem: "internal", reason: String(error?.message ?? error) }));
	const document = {
		type: "urn:legis-edge:problem:internal",
		title: "A fault of ours",
		status: 500,
		detail: "Something went wrong on our side. Try again in a moment.",
		code: "internal",
	};
	return new Response(JSON.stringify(document), {
		status: 500,
		headers: {
			"Content-Type": "application/problem+json",
			"Cache-Control": "no-store",
			"X-Content-Type-Options": "nosniff",
		},
	});
}
