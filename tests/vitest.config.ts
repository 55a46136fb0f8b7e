import { defineConfig } from "vitest/config";
import { PATIENT } from "./patience.ts";

export default defineConfig({
	test: {
		root: import.meta.dirname,
		globalSetup: ["stack.ts"],
		include: ["*.test.ts"],
		// The files share one running product; one after the other, so that its figures are theirs.
		fileParallelism: false,
		testTimeout: 60_000,
		hookTimeout: 120_000,
		expect: { poll: PATIENT },
	},
});
