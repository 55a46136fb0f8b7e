// The worker, with an address that stops its module while another request waits.

import worker, { Meter } from "../worker/entry.js";

export { Meter };

export default {
	fetch(request, env, context) {
		const answer = worker.fetch(request, env, context);
		if (new URL(request.url).pathname === "/api/ready") {
			globalThis.__worker_init_state.criticalError = true;
		}
		return answer;
	},
};
