// What `cargo xtask bench` writes into the docs: a line for each ratio, noted while it is measured.

import { appendFileSync } from "node:fs";

/** Notes how `what` compares with `peer`; of those times more is better, of "time" and "size" less. */
export function note(what: string, peer: string, ratio: number): void {
	const file = process.env.LEGIS_BENCH_RESULTS;
	if (file !== undefined) {
		appendFileSync(file, `| ${what} | ${peer} | ${ratio.toFixed(2)} |\n`);
	}
}
