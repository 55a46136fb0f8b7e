// The same questions to native core, the package in Node, the package in Chromium, the package in workerd and the
// running worker: the same answers, byte for byte.

import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import * as legis from "legis-edge";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { newAddress } from "./callers.ts";
import { CHROMIUM_FLAGS, chromiumPath } from "./chromium.ts";
import { answer, type Question } from "./question.ts";
import { freePorts, ROOT } from "./stack.ts";

/** Fixed cases for what random ones seldom hit, then random ones; `LEGIS_SEED` repeats a run. */
const SEED = Number(process.env.LEGIS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const CASES = Number(process.env.LEGIS_CASES ?? 3000);

const golden = JSON.parse(readFileSync(join(import.meta.dirname, "vectors.json"), "utf8")) as Question[];

const moment = fc
	.integer({ min: 1_600_000_000_000, max: 1_950_000_000_000 })
	.map((millis) => new Date(millis).toISOString());

const account = fc.record(
	{
		user: fc.record({ id: fc.nat(), sub: fc.string({ minLength: 1 }), createdAt: moment, updatedAt: moment }),
		entitlement: fc.record(
			{
				plan: fc.constantFrom("free", "developer", "professional", "enterprise"),
				standing: fc.constantFrom("free", "active", "trialing", "past_due", "unknown"),
				anchor: moment,
				interval: fc.constantFrom("month", "year"),
				paidUntil: moment,
				changes: fc.array(fc.record({ plan: fc.constantFrom("free", "developer"), at: moment }), { maxLength: 5 }),
				version: fc.nat(),
			},
			{ requiredKeys: ["plan", "standing", "anchor", "version"] },
		),
		usage: fc.record(
			{
				lifetime: fc.record({ start: moment, used: fc.nat({ max: 120 }), mcp: fc.nat({ max: 9 }) }),
				period: fc.record({ start: moment, end: moment, used: fc.nat({ max: 12_000 }), mcp: fc.nat({ max: 9 }) }),
			},
			{ requiredKeys: ["lifetime"] },
		),
	},
	{ requiredKeys: ["user", "entitlement", "usage"] },
);

const decision = fc.record(
	{
		account: fc.oneof(
			{ weight: 9, arbitrary: account },
			{ weight: 1, arbitrary: fc.jsonValue() as fc.Arbitrary<unknown> },
		),
		now: moment,
		cost: fc.oneof(fc.nat({ max: 12_000 }), fc.constant(1_000_001)),
	},
	{ requiredKeys: ["account", "now"] },
);

const change = fc.record({
	account,
	now: moment,
	to: fc.record(
		{
			plan: fc.constantFrom("free", "starter", "Pro", "enterprise", "gold"),
			interval: fc.constantFrom("month", "year", "week"),
		},
		{ requiredKeys: ["plan"] },
	),
});

const word = fc.oneof(
	fc.constantFrom(
		"ada@example.com",
		"a@b",
		"starter",
		"gold",
		"web",
		"mcp",
		"success",
		"error",
		"GET",
		"/api/bills",
		"/a b",
		"::1",
		"https://example.com",
		"http://localhost:1",
		"http://example.com",
		"2026-01-31T10:15:30.250Z",
		"frontend",
		"",
		"\ud800",
		"é😀",
	),
	fc.string({ unit: "binary", maxLength: 30 }),
	fc.nat({ max: 300 }).map((length) => "ü".repeat(length)),
);

const leaf = fc.oneof(
	word,
	fc.integer(),
	fc.double({ noNaN: true, noDefaultInfinity: true }),
	fc.boolean(),
	fc.constant(null),
);

/** Members of a schema, often right and often wrong. */
const members: Record<string, string[]> = {
	registration: ["email", "name", "plan", "source"],
	toolCall: [
		"tool_name",
		"status",
		"request_data",
		"response_data",
		"error_message",
		"response_time_ms",
		"tokens_used",
	],
	callRequest: ["tool", "endpoint", "method", "cost", "idempotencyKey"],
	callSettlement: ["status", "fault", "statusCode", "responseTimeMs", "requestData", "responseData", "tokensUsed"],
	usageRecord: ["endpoint", "method", "status_code", "response_time_ms", "ip_address", "user_agent", "timestamp"],
	checkoutRequest: ["plan", "interval", "successUrl", "cancelUrl"],
	portalRequest: ["returnUrl"],
	stripeEvent: ["id", "type", "created", "livemode", "data"],
	authConfig: [
		"config_name",
		"auth0_domain",
		"auth0_client_id",
		"auth0_audience",
		"auth0_scope",
		"allowed_origins",
		"is_active",
	],
};

const documents = fc.constantFrom(...Object.keys(members)).chain((about) =>
	fc
		.dictionary(
			fc.oneof(
				{ weight: 6, arbitrary: fc.constantFrom(...(members[about] as string[])) },
				{ weight: 1, arbitrary: word },
			),
			fc.oneof(
				{ weight: 5, arbitrary: leaf },
				{ weight: 1, arbitrary: fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<unknown> },
				{
					weight: 1,
					arbitrary: fc.array(word, { maxLength: 4 }),
				},
			),
			{ maxKeys: 8 },
		)
		.map((value) => ({ about, text: JSON.stringify(value) })),
);

const spelled = fc
	.tuple(
		fc.oneof(
			{ weight: 3, arbitrary: documents },
			{ weight: 3, arbitrary: decision.map((value) => ({ about: "decision", text: JSON.stringify(value) })) },
			{ weight: 1, arbitrary: change.map((value) => ({ about: "change", text: JSON.stringify(value) })) },
			{ weight: 1, arbitrary: account.map((value) => ({ about: "account", text: JSON.stringify(value) })) },
			{ weight: 1, arbitrary: fc.array(word).map((value) => ({ about: "planFeatures", text: JSON.stringify(value) })) },
		),
		fc.nat({ max: 12 }),
		fc.nat(),
	)
	.map(([{ about, text }, spelling, place]) => {
		// A question about a decision reaches the package as values, which have one spelling.
		switch (about === "decision" || about === "change" ? undefined : spelling) {
			case 0:
				return { about, text: JSON.stringify(JSON.parse(text), null, 2) };
			case 1:
				return { about, text: text.slice(0, place % (text.length + 1)) };
			case 2:
				return { about, text: text.replace("{", '{"status":"success",') };
			case 3:
				return { about, text: text.replace(/[a-z]/, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`) };
			case 4:
				return { about, text: text.replace(/\d+/, "1e400") };
			case 5:
				return { about, text: `${text}]` };
			default:
				return { about, text };
		}
	})
	// What cannot be sent as UTF-8 cannot be asked of the worker.
	.map(({ about, text }) => ({ about, text: text.toWellFormed() }));

let questions: Question[];
let expected: string[];
let browser: Browser;
let page: Page;
let server: Server;
let stopWorkerd: () => void;
let workerd: string;

beforeAll(async () => {
	console.log(`agreement: LEGIS_SEED=${SEED}, ${golden.length} fixed and ${CASES} random questions`);
	questions = [...golden, ...fc.sample(spelled, { numRuns: CASES, seed: SEED })];
	const printed = execFileSync("cargo", ["run", "--quiet", "--package", "legis-core", "--example", "answer"], {
		cwd: ROOT,
		input: questions.map((question) => JSON.stringify(question)).join("\n"),
		encoding: "utf8",
		maxBuffer: 1 << 28,
	});
	expected = printed.trimEnd().split("\n");
	expect(expected).toHaveLength(questions.length);
});

beforeAll(async () => {
	const html =
		'<!doctype html><meta charset="utf-8"><script type="module">import * as legis from "/index.js"; window.legis = legis;</script>';
	server = createServer((request, response) => {
		const script = request.url === "/index.js";
		response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
		response.end(script ? readFileSync(join(ROOT, "pkg/dist/index.js")) : html);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	browser = await chromium.launch({ executablePath: chromiumPath(), args: CHROMIUM_FLAGS });
	page = await browser.newPage();
	await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
	await page.waitForFunction("window.legis !== undefined");
});

beforeAll(async () => {
	execFileSync(
		"esbuild",
		[
			"tests/workerd.ts",
			"--bundle",
			"--format=esm",
			"--conditions=workerd",
			"--external:./core.wasm",
			"--external:*.wasm",
			"--outfile=tests/dist/workerd.js",
			"--log-level=warning",
		],
		{ cwd: ROOT },
	);
	const port = await freePorts();
	const child = spawn("workerd", ["serve", "workerd.capnp", `--socket-addr=http=127.0.0.1:${port}`], {
		cwd: import.meta.dirname,
		stdio: "inherit",
	});
	stopWorkerd = () => child.kill("SIGKILL");
	workerd = `http://127.0.0.1:${port}/`;
	const start = Date.now();
	while (
		!(await fetch(workerd).then(
			(response) => response.ok,
			() => false,
		))
	) {
		expect(Date.now() - start, "workerd does not start").toBeLessThan(60_000);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
});

afterAll(async () => {
	await browser?.close();
	server?.close();
	stopWorkerd?.();
});

/** Compares, and says which question was answered differently. */
function compare(answers: string[], wanted = expected.map(normal)) {
	expect(answers).toHaveLength(questions.length);
	for (const [index, given] of answers.entries()) {
		if (given !== wanted[index]) {
			expect({ ...questions[index], answer: given }).toEqual({ ...questions[index], answer: wanted[index] });
		}
	}
}

/** An answer as every JavaScript reads and writes it: arbitrary JSON inside a value is passed on as it came. */
function normal(answer: string): string {
	return answer.startsWith('{"ok":true') ? JSON.stringify(JSON.parse(answer)) : answer;
}

/** An answer as the worker gives it: a refused question about a decision is a problem document with the same list. */
function overHttp(answer: string, index: number): string {
	const isQuestion = ["decision", "change"].includes(questions[index]?.about ?? "");
	if (!isQuestion || !answer.startsWith('{"ok":false')) {
		return normal(answer);
	}
	const { issues } = JSON.parse(answer) as { issues: legis.Issue[] };
	return JSON.stringify(issues.map(({ pointer, code, message }) => ({ pointer, code, detail: message })));
}

test("some questions of every kind are accepted and some refused", () => {
	for (const about of ["decision", "change", "registration", "toolCall", "callRequest", "account", "planFeatures"]) {
		const answers = expected.filter((_, index) => questions[index]?.about === about);
		expect(answers.some((answer) => answer.includes('"ok":false'))).toBe(true);
		expect(answers.some((answer) => !answer.includes('"ok":false'))).toBe(true);
	}
});

test("the package in Node", () => {
	compare(questions.map((question) => answer(legis, question)));
});

test("the package in Chromium", async () => {
	const answers = await page.evaluate(
		([source, questions]) => {
			const answer = new Function(`return (${source})`)();
			// @ts-expect-error: the page put it there
			return questions.map((question) => answer(window.legis, question));
		},
		[answer.toString(), questions] as const,
	);
	compare(answers as string[]);
});

test("the package in workerd", async () => {
	const response = await fetch(workerd, { method: "POST", body: JSON.stringify(questions) });
	compare((await response.json()) as string[]);
});

test("the worker", { timeout: 300_000 }, async () => {
	const base = inject("base");
	const answers: string[] = [];
	const queue = [...questions.entries()];
	const ask = async () => {
		for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
			const [index, { about, text }] = next;
			const path = about === "decision" || about === "change" ? about : `payload/${about}`;
			const response = await fetch(`${base}/api/evaluate/${path}`, {
				method: "POST",
				body: text,
				headers: { "Content-Type": "application/json", "CF-Connecting-IP": newAddress() },
			});
			const body = await response.text();
			answers[index] = response.status === 200 ? normal(body) : JSON.stringify(JSON.parse(body).errors);
		}
	};
	await Promise.all(Array.from({ length: 8 }, ask));
	compare(answers, expected.map(overHttp));
});
