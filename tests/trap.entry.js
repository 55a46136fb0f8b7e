// The worker, with addresses that make its module trap: at once, and in a step of a future while others wait.

import * as module from "../worker/build/glue.js";
import worker, { Meter } from "../worker/entry.js";

export { Meter };

/** Calls the module with a meter that lies outside of its memory. */
function trap(state, env) {
	const meter = new module.Meter(state, env);
	meter.__wbg_ptr = 0xfffffff0;
	meter.ask("{}");
}

export default {
	async fetch(request, env, context) {
		const waits = worker.fetch(request, env, context);
		switch (new URL(request.url).pathname) {
			case "/api/ready":
				await Promise.resolve()
					.then(() => trap({}, env))
					.catch(globalThis.__legisTrapped);
				return waits;
			default:
				return waits;
		}
	},
};
