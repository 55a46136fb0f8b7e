// One HTTP request: read from standard input as JSON, its answer written to standard output as JSON.

import { text } from "node:stream/consumers";

const { method, url, headers, body } = JSON.parse(await text(process.stdin));
const init = { method, headers, redirect: "manual", signal: AbortSignal.timeout(120_000) };
const begun = Date.now();
const response = await fetch(url, body === null ? init : { ...init, body }).catch((error) => {
	console.error(`  ${error.cause?.message ?? error.message}`);
	process.exit(1);
});
const at = Math.round((begun + Date.now()) / 2);
const said = await response.text();
let parsed = null;
try {
	parsed = JSON.parse(said);
} catch {
	// Not JSON: a page of somebody in between.
}
process.stdout.write(
	JSON.stringify({ status: response.status, at, headers: Object.fromEntries(response.headers), body: parsed }),
);
