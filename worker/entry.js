// The worker's entry: hands requests to the WASM module, with nothing between that costs time.

import * as module from "./build/glue.js";

export const Meter = module.Meter;

/** What to tell the requests in flight when the module traps: their promises would never settle by themselves. */
const waiting = new Set();

// The module's panic hook sets this before it stops; the glue starts a new instance for the next request.
Object.defineProperty(globalThis.__worker_init_state, "criticalError", {
	get: () => false,
	set(trapped) {
		if (trapped) {
			for (const tell of waiting) {
				tell(fault("the module stopped"));
			}
			waiting.clear();
		}
	},
});

export default {
	fetch(request, env, context) {
		return new Promise((resolve) => {
			waiting.add(resolve);
			const answer = (response) => {
				waiting.delete(resolve);
				resolve(response);
			};
			try {
				module.fetch(request, env, context).then(answer, (error) => answer(fault(error)));
			} catch (error) {
				answer(fault(error));
			}
		});
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
