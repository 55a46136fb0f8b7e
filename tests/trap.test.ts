// A module that stops while a request waits: the caller gets a problem document, not silence.

import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createTestHarness } from "wrangler";

const harness = createTestHarness({ workers: [{ configPath: join(import.meta.dirname, "trap.wrangler.jsonc") }] });

afterAll(() => harness.close());

test("the request in flight is answered, and the next one is served", async () => {
	await harness.listen();
	const answer = await harness.fetch("/api/ready");
	expect(answer.headers.get("content-type")).toBe("application/problem+json");
	expect(await answer.json()).toMatchObject({ status: 500, code: "internal" });
	expect(await (await harness.fetch("/api/health")).json()).toMatchObject({ status: "ok" });
});
