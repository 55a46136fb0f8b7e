// The local D1, read as an operator would: through wrangler.

import { execFileSync } from "node:child_process";
import { inject } from "vitest";
import { ROOT } from "./stack.ts";

export function query<T>(sql: string): T[] {
	const printed = execFileSync(
		"wrangler",
		[
			"d1",
			"execute",
			"DB",
			"--local",
			"--json",
			"--config",
			"worker/wrangler.jsonc",
			"--persist-to",
			inject("state"),
			"--command",
			sql,
		],
		{ cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
	);
	return (JSON.parse(printed) as { results: T[] }[])[0]?.results ?? [];
}
