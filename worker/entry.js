// The worker's entry: hands requests to the WASM module, with nothing between that costs time.

import * as module from "./build/glue.js";

export const Meter = module.Meter;

export default {
	async fetch(request, env, context) {
		try {
			return await module.fetch(request, env, context);
		} catch (error) {
			return fault(error);
		}
	},
};

/** A trap of the module: the glue starts a new instance for the next request, and this one gets its document. */
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
		headers: { "Content-Type": "application/problem+json", "Cache-Control": "no-store" },
	});
}
