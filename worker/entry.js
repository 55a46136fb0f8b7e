// The worker's entry: hands requests to the WASM module, with nothing between that costs time.

import { DurableObject } from "cloudflare:workers";
import * as module from "./build/glue.js";

/** What to tell those who wait when the module traps: their promises would never settle by themselves. */
const waiting = new Set();

/** How often the module was started again; what belongs to an earlier life of it cannot be used. */
let life = 0;
let stopped = false;

/** A trap leaves the module as it was in the middle of something: it is started again before it is used again. */
function trapped(error) {
	if (stopped) {
		return;
	}
	stopped = true;
	console.error(JSON.stringify({ event: "module_stopped", reason: String(error?.message ?? error) }));
	for (const tell of waiting) {
		tell();
	}
	waiting.clear();
}

// A step of a future that traps is nobody's exception: the glue hands it here (xtask/src/build.rs).
globalThis.__legisTrapped = (error) => {
	if (error instanceof WebAssembly.RuntimeError) {
		trapped(error);
	} else {
		throw error;
	}
};

// The module's panic hook sets this before it stops.
Object.defineProperty(globalThis.__worker_init_state, "criticalError", {
	get: () => false,
	set: (panicked) => panicked && trapped(new Error("panic")),
});

/** Does `work` in the module, started again if it had stopped. */
function entered(work) {
	if (stopped) {
		stopped = false;
		life += 1;
		module.__wbg_reset_state();
	}
	try {
		return work();
	} catch (error) {
		globalThis.__legisTrapped(error);
		throw error;
	}
}

/** What was promised, or a rejection when the module stops first. */
function guarded(promise) {
	return new Promise((resolve, reject) => {
		const tell = () => reject(new Error("the module stopped"));
		waiting.add(tell);
		const done = (settle) => (value) => {
			waiting.delete(tell);
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

	/** Answers a message; first it is told what needs no answer. */
	ask(message, told = []) {
		for (const said of told) {
			Promise.resolve(this.#ask(said)).then(unheard, (error) => unheard(error?.message));
		}
		return this.#ask(message);
	}

	#ask(message) {
		const answer = entered(() => this.#now().ask(message));
		return typeof answer === "string" ? answer : guarded(answer);
	}

	alarm() {
		return guarded(entered(() => this.#now().alarm()));
	}
}

/** What a meter could not do that it was told. It finds out for itself later. */
function unheard(reason) {
	if (reason !== "") {
		console.error(JSON.stringify({ event: "meter_not_told", reason }));
	}
}

export default {
	fetch(request, env, context) {
		try {
			return guarded(entered(() => module.fetch(request, env, context))).catch(fault);
		} catch (error) {
			return fault(error);
		}
	},

	scheduled(controller, env, context) {
		return guarded(entered(() => module.scheduled(controller, env, context)));
	},
};

/** Which rules are followed, if the module, started again, can say so. */
function followed() {
	try {
		return { "Legis-Contract": entered(module.contract) };
	} catch (error) {
		trapped(error);
		return {};
	}
}

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
			...followed(),
		},
	});
}
