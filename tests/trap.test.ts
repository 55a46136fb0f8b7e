// A module that traps while a request waits: the caller gets a problem document, not silence, and the next one is served
// by a module that was started anew.

import { join } from "node:path";
import { contract } from "legis-edge";
import { afterAll, expect, test } from "vitest";
import { createTestHarness } from "wrangler";

const harness = createTestHarness({ workers: [{ configPath: join(import.meta.dirname, "trap.wrangler.jsonc") }] });

afterAll(() => harness.close());

test("the request in flight is answered, and the next ones are served, however often it traps", async () => {
	await harness.listen();
	for (let again = 0; again < 3; again++) {
		const answer = await harness.fetch("/api/ready");
		expect(answer.headers.get("content-type")).toBe("application/problem+json");
		expect(answer.headers.get("legis-contract")).toContain(contract().fingerprint);
		expect(await answer.json()).toMatchObject({ status: 500, code: "internal" });
		expect(await (await harness.fetch("/api/health")).json()).toMatchObject({ status: "ok" });
	}
	const said = harness.getLogs().map((log) => String(log.message));
	expect(said.filter((line) => line.includes("module_stopped"))).toHaveLength(3);
	expect(said.join()).toContain("out of bounds");
});
