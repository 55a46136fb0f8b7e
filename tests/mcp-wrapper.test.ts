// `legis-edge/mcp` against the running gateway, with servers and clients of both majors of the MCP SDK.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, InMemoryTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { InMemoryTaskStore } from "@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js";
import { McpServer as PreviousServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { acceptedContent, createMcpHandler, inputRequired, McpServer } from "@modelcontextprotocol/server";
import { LegisError, toolRefusal } from "legis-edge";
import type { ClientOptions } from "legis-edge/client";
import { type FailedCall, type MeterOptions, meterTools } from "legis-edge/mcp";
import { describe, expect, inject, test, vi } from "vitest";
import { createTestHarness } from "wrangler";
import { z } from "zod";
import { settlementOf } from "../pkg/src/mcp-ending.ts";
import { record, secrets } from "../pkg/src/mcp-record.ts";
import { token } from "./callers.ts";
import { fresh, used } from "./clients.ts";
import { query } from "./database.ts";
import { current, type Pair, previous, type Result, type Tool } from "./mcp-majors.ts";
import { PATIENT } from "./patience.ts";
import { ROOT } from "./stack.ts";

const said = (text: string): Result => ({ content: [{ type: "text", text }] });
const failure = (text: string): Result => ({ ...said(text), isError: true });
const id = z.object({ id: z.string() });

interface Setting {
	client?: Partial<ClientOptions>;
	meter?: Partial<MeterOptions>;
	/** Whether the client asks for the list of tools, by which it knows their output schemas. */
	list?: boolean;
}

/** A connected server whose tools are metered for a new user, what failed, and what the gateway was told of calls. */
async function metered(major: () => Pair, tools: Record<string, Tool>, { client, meter, list }: Setting = {}) {
	const user = await fresh(client);
	const pair = major();
	const errors: [unknown, FailedCall][] = [];
	for (const [name, tool] of Object.entries(tools)) {
		pair.register(name, tool);
	}
	meterTools(pair.server, {
		client: user.client,
		onError: (error, about) => {
			errors.push([error, about]);
		},
		...meter,
	});
	await pair.connect();
	if (list) {
		await pair.list();
	}
	const settlements = () =>
		Promise.all(user.sent.filter(({ method }) => method === "PATCH").map((request) => request.clone().json()));
	return { ...user, ...pair, errors, settlements };
}

/** Uses up calls. */
async function spend({ client }: Awaited<ReturnType<typeof fresh>>, cost: number) {
	const { id } = await client.reserve({ cost });
	await client.settle(id, { status: "success" });
}

/** A promise, and how to keep it. */
function promised<T = void>() {
	let keep: (value: T) => void = () => {};
	const promise = new Promise<T>((resolve) => {
		keep = resolve;
	});
	return { promise, keep };
}

/** A tool that says when it begins, and never ends. */
function endless() {
	const begun = promised<AbortSignal>();
	const tool: Tool = {
		run: (_, signal) => {
			begun.keep(signal);
			return new Promise(() => {});
		},
	};
	return { tool, begun: begun.promise };
}

const isPath = (asked: unknown, ending: string) => new URL((asked as Request).url).pathname.endsWith(ending);

describe.each([
	["@modelcontextprotocol/server 2", current],
	["@modelcontextprotocol/sdk 1", () => previous()],
])("%s", (_, major) => {
	test("a call is admitted, run, settled, and logged once with its arguments and its result", async () => {
		const result = { ...said("H.R. 1"), _meta: { tokensUsed: 7 } };
		const { call, client, paths, errors } = await metered(major, { "get-bill": { input: id, run: () => result } });
		expect(await call("get-bill", { id: "hr1" })).toMatchObject(said("H.R. 1"));
		expect(paths().map((path) => path.replace(/calls\/.+/, "calls/id"))).toEqual([
			"/api/account",
			"/api/calls",
			"/api/calls/id",
		]);
		expect(await used(client)).toBe(1);
		const { logs, pagination } = await client.toolCalls();
		expect(pagination.total).toBe(1);
		expect(logs).toMatchObject([{ tool_name: "get-bill", status: "success", tokens_used: 7 }]);
		const [row] = query<{ request_data: string; response_data: string }>(
			`SELECT request_data, response_data FROM mcp_logs WHERE id = '${logs[0]?.id}'`,
		);
		expect(JSON.parse(row?.request_data ?? "")).toEqual({ id: "hr1" });
		expect(JSON.parse(row?.response_data ?? "")).toEqual(result);
		expect(errors).toEqual([]);
	});

	test("of 50 calls at once with 10 left, 10 are run", async () => {
		let runs = 0;
		const run = async () => said(String(++runs));
		const user = await metered(major, { "get-bill": { run } });
		await spend(user, 90);
		const results = await Promise.all(Array.from({ length: 50 }, () => user.call("get-bill")));
		const refused = results.filter(({ isError }) => isError);
		expect([runs, refused.length, await used(user.client)]).toEqual([10, 40, 100]);
		for (const { structuredContent, content } of refused) {
			expect(structuredContent).toMatchObject({
				type: "refuse",
				reason: "allowance_exhausted",
				message: content[0]?.text,
			});
		}
		expect(user.errors).toEqual([]);
	});

	test("where nothing is known to be left, nothing is sent", async () => {
		const run = vi.fn(() => said("ran"));
		const user = await metered(major, { "get-bill": { run } });
		await spend(user, 100);
		const before = user.sent.length;
		const result = await user.call("get-bill");
		expect(result).toMatchObject({
			isError: true,
			structuredContent: { type: "refuse", used: 100, suggestedPlan: "developer" },
			content: [{ text: result.structuredContent?.message }],
		});
		expect([user.sent.length - before, run.mock.calls.length]).toEqual([0, 0]);
	});

	test("an error that the tool reports is charged, one that it throws is not", async () => {
		const thrown: Tool = {
			run: () => {
				throw new Error("the archive is closed");
			},
		};
		const { call, client } = await metered(major, { asks: { run: () => failure("no such bill") }, thrown });
		expect(await call("asks")).toMatchObject(failure("no such bill"));
		expect(await used(client)).toBe(1);
		expect(await call("thrown")).toMatchObject(failure("the archive is closed"));
		expect(await used(client)).toBe(1);
		const logs = (await client.toolCalls()).logs.map((log) => [log.tool_name, log.status, log.error_message]);
		expect(logs.sort()).toEqual([
			["asks", "error", "no such bill"],
			["thrown", "error", "the archive is closed"],
		]);
	});

	test("a tool has terms of its own: what it costs, and what is paid for", async () => {
		const { call, client } = await metered(
			major,
			{
				deep: { run: () => said("deep") },
				lucky: { run: () => failure("no luck") },
				plain: { run: () => said("plain") },
			},
			{ meter: { cost: 2, tools: { deep: { cost: 3 }, lucky: { charge: "successes" } } } },
		);
		await call("deep");
		expect(await used(client)).toBe(3);
		expect(await call("lucky")).toMatchObject(failure("no luck"));
		expect(await used(client)).toBe(3);
		await call("plain");
		expect(await used(client)).toBe(5);
	});

	test("who hangs up has been served, and does not wait; the tool is told by its signal", async () => {
		const { tool, begun } = endless();
		const settled = promised<Promise<void>>();
		const { call, client } = await metered(major, { tool }, { meter: { waitUntil: settled.keep } });
		const controller = new AbortController();
		const answer = call("tool", {}, controller.signal).catch((error: unknown) => error);
		const signal = await begun;
		controller.abort();
		expect(await answer).toBeInstanceOf(Error);
		await await settled.promise;
		expect(signal.aborted).toBe(true);
		expect(await used(client)).toBe(1);
		expect((await client.toolCalls()).logs).toMatchObject([
			{ status: "error", error_message: "cancelled by the caller" },
		]);
	});

	test("who hangs up before the tool began is not charged, and it does not begin", async () => {
		const run = vi.fn(() => said("ran"));
		const admitted = promised();
		const [release, settled] = [promised(), promised<Promise<void>>()];
		const { call, client } = await metered(
			major,
			{ tool: { run } },
			{
				meter: { waitUntil: settled.keep },
				client: {
					fetch: async (asked) => {
						const response = await fetch(asked as Request);
						if (isPath(asked, "/api/calls")) {
							admitted.keep();
							await release.promise;
						}
						return response;
					},
				},
			},
		);
		const controller = new AbortController();
		const answer = call("tool", {}, controller.signal).catch((error: unknown) => error);
		await admitted.promise;
		controller.abort();
		await answer;
		release.keep();
		await await settled.promise;
		expect([run.mock.calls.length, await used(client)]).toEqual([0, 0]);
	});

	test("a tool that is late is told to stop, and nobody pays", async () => {
		const { tool, begun } = endless();
		const { call, client } = await metered(major, { tool }, { meter: { timeoutMs: 30 } });
		expect(await call("tool")).toMatchObject(failure("The tool did not answer within 0.03 seconds."));
		expect((await begun).reason).toMatchObject({ name: "TimeoutError" });
		expect(await used(client)).toBe(0);
		expect((await client.toolCalls()).logs).toMatchObject([
			{ status: "timeout", error_message: "no answer within 30 ms" },
		]);
	});

	test("a tool in time keeps the rest of its context, and hears of a caller who hangs up", async () => {
		const { tool, begun } = endless();
		const settled = promised<Promise<void>>();
		const meter = { timeoutMs: 60_000, waitUntil: settled.keep };
		const { call } = await metered(major, { tool, quick: { input: id, run: ({ id }) => said(`${id}`) } }, { meter });
		expect(await call("quick", { id: "hr1" })).toMatchObject(said("hr1"));
		const controller = new AbortController();
		const answer = call("tool", {}, controller.signal).catch((error: unknown) => error);
		const signal = await begun;
		expect(signal.aborted).toBe(false);
		controller.abort();
		await answer;
		await vi.waitFor(() => expect(signal.aborted).toBe(true), PATIENT);
	});

	test("what is kept is what the gateway keeps", () => {
		const path = join(ROOT, "core/tests/data/records.json");
		const vectors = JSON.parse(readFileSync(path, "utf8")) as { secret: string; value: unknown; kept: unknown }[];
		expect(vectors.length).toBeGreaterThan(8);
		for (const { secret, value, kept } of vectors) {
			const names = secret.split(",").map((name) => name.trim());
			expect(record(value, secrets(names.filter((name) => name !== "")))).toEqual(kept);
		}
	});

	test("what is secret is not logged, in any depth; what is long is not either", async () => {
		const input = z.looseObject({});
		const { call, settlements } = await metered(
			major,
			{ tool: { input, run: ({ length }) => ({ ...said("x".repeat(Number(length))), _meta: { Token: "t" } }) } },
			{ meter: { redact: ["password", "TOKEN"] } },
		);
		await call("tool", { length: 1, Password: "p", deep: [{ token: { a: 1 } }, "password"] });
		await call("tool", { length: 20_000, text: "é".repeat(9_000) });
		const [first, second] = await settlements();
		expect(first).toMatchObject({
			requestData: { length: 1, Password: "[redacted]", deep: [{ token: "[redacted]" }, "password"] },
			responseData: { content: [{ text: "x" }], _meta: { Token: "[redacted]" } },
		});
		expect(second.requestData).toEqual({ truncated: true, bytes: 18_026 });
		expect(second.responseData).toMatchObject({ truncated: true, bytes: expect.any(Number) });
		expect(second.responseData.bytes).toBeGreaterThan(20_000);
	});

	test("how a call ended is what the gateway says", () => {
		const path = join(ROOT, "core/tests/data/results.json");
		const vectors = JSON.parse(readFileSync(path, "utf8")) as {
			why: string;
			result: unknown;
			status: string;
			charged: boolean;
			message?: string;
			tokens?: number;
		}[];
		expect(vectors.length).toBeGreaterThan(12);
		for (const { why, result, ...expected } of vectors) {
			const about = { arguments: {}, millis: 1, errorsAreCharged: true, secret: new Set<string>() };
			const said = settlementOf({ type: "answered", result }, { type: "result", result }, about);
			const charged = said.status === "success" || said.fault === "caller";
			const told = { status: said.status, charged, message: said.errorMessage, tokens: said.tokensUsed };
			expect(told, why).toEqual(expected);
		}
	});

	test("the tokens that a result tells are logged", async () => {
		const _meta = { tokensUsed: 7 };
		const { call, settlements } = await metered(major, { tool: { run: () => ({ ...said("ran"), _meta }) } });
		await call("tool");
		expect((await settlements()).map(({ tokensUsed }) => tokensUsed)).toEqual([7]);
	});

	test("a secret that is repeated as JSON in a text, or in an error, is a secret there too", async () => {
		const text = '{"password":"p","n":1}';
		const { call, settlements } = await metered(
			major,
			{
				tool: { run: () => ({ ...said(text), structuredContent: { password: "p", n: 1 } }) },
				fails: { run: () => failure(text) },
			},
			{ meter: { redact: ["password"] } },
		);
		expect(await call("tool")).toMatchObject(said(text));
		await call("fails");
		const kept = '{"password":"[redacted]","n":1}';
		expect(await settlements()).toMatchObject([
			{ responseData: { content: [{ text: kept }], structuredContent: { password: "[redacted]" } } },
			{ errorMessage: kept },
		]);
	});

	test("a tool may throw anything: nobody pays, and how it ended is told", async () => {
		const odd = Object.assign(new Error(), { message: { code: 1 } as unknown as string });
		const thrown = [odd, Object.create(null), undefined, 7];
		const { call, client, errors, settlements } = await metered(major, {
			tool: {
				run: () => {
					throw thrown.shift();
				},
			},
		});
		for (let times = thrown.length; times > 0; times--) {
			await call("tool").catch(() => {});
		}
		expect((await settlements()).map(({ status, fault, errorMessage }) => [status, fault, errorMessage])).toEqual(
			Array.from({ length: 4 }, () => ["error", "service", "the tool failed"]),
		);
		expect([errors, await used(client)]).toEqual([[], 0]);
	});

	const fails = () => {
		throw new TypeError("Illegal invocation");
	};
	test.each([
		["throws", fails],
		["fails later", async () => fails()],
	])("a waitUntil that %s loses neither the answer nor the settlement, and ends nothing", async (_, waitUntil) => {
		const { call, errors, settlements } = await metered(
			major,
			{ tool: { run: () => said("ran") } },
			{ meter: { waitUntil } },
		);
		expect(await call("tool")).toMatchObject(said("ran"));
		await vi.waitFor(async () => expect(await settlements()).toMatchObject([{ status: "success" }]), PATIENT);
		await vi.waitFor(() => expect(errors).toMatchObject([[{ message: "Illegal invocation" }, { tool: "tool" }]]));
	});

	test("what the gateway would not take is left out, and how the call ended is told all the same", async () => {
		let deep: unknown = "bottom";
		for (let level = 0; level < 40; level++) {
			deep = { deep };
		}
		const input = z.looseObject({});
		const { call, client, errors, settlements } = await metered(major, {
			tool: { input, run: () => failure("half \ud83d") },
		});
		await call("tool", { deep });
		expect(await settlements()).toMatchObject([
			{ requestData: { truncated: true }, errorMessage: "half \ufffd", fault: "caller" },
		]);
		expect([errors, await used(client)]).toEqual([[], 1]);
	});

	test("a tool that there is not, and arguments that are wrong, cost nothing: nothing is sent", async () => {
		const run = vi.fn(() => said("ran"));
		const { call, sent } = await metered(major, { "get-bill": { input: id, run } });
		for (const [name, given] of [
			["no-such-tool", {}],
			["get-bill", { id: 7 }],
		] as const) {
			const outcome = await call(name, given).catch((error: unknown) => error);
			expect(outcome instanceof Error || (outcome as Result).isError, name).toBe(true);
		}
		expect([sent.length, run.mock.calls.length]).toEqual([0, 0]);
	});

	test.each([
		["cannot be reached", () => Promise.reject(new TypeError("refused")), /unavailable; try again later/],
		["fails", async () => new Response("", { status: 500 }), /unavailable; try again later/],
		["is busy", async () => new Response("", { status: 503, headers: { "Retry-After": "60" } }), /again in 60 seconds/],
		[
			"forbids it",
			async () => Response.json({ detail: "The scope read:bills is missing." }, { status: 403 }),
			/does not allow it: The scope read:bills is missing/,
		],
	])("when the gateway %s, no tool is run", async (_, answer, text) => {
		const run = vi.fn(() => said("ran"));
		const { call, errors } = await metered(major, { tool: { run } }, { client: { fetch: answer, retries: 0 } });
		const result = await call("tool");
		expect(result).toMatchObject({ isError: true, content: [{ text: expect.stringMatching(text) }] });
		expect(result.content[0]?.text).toMatch(/^The tool was not run\./);
		expect([run.mock.calls.length, errors.map(([, about]) => about)]).toEqual([0, [{ tool: "tool" }]]);
	});

	test("a token that the gateway does not accept is said to be that", async () => {
		const run = vi.fn(() => said("ran"));
		const { call } = await metered(major, { tool: { run } }, { client: { token: "nonsense" } });
		expect((await call("tool")).content[0]?.text).toMatch(/^The tool was not run. The access token is not accepted: ./);
		expect(run).not.toHaveBeenCalled();
	});

	test("a reservation whose answer is lost is made once", async () => {
		let failures = 2;
		const { call, client, sent } = await metered(
			major,
			{ tool: { run: () => said("ran") } },
			{
				client: {
					fetch: async (asked) => {
						const response = await fetch(asked as Request);
						if (isPath(asked, "/api/calls") && failures-- > 0) {
							throw new TypeError("network");
						}
						return response;
					},
				},
			},
		);
		expect(await call("tool")).toMatchObject(said("ran"));
		const keys = sent
			.filter(({ url }) => url.endsWith("/api/calls"))
			.map(({ headers }) => headers.get("Idempotency-Key"));
		expect([keys.length, new Set(keys).size, await used(client)]).toEqual([3, 1, 1]);
	});

	test("a settlement that fails is tried again, then told; the answer is not lost over it", async () => {
		const attempts: string[] = [];
		const { call, errors } = await metered(
			major,
			{ tool: { run: () => said("ran") } },
			{
				client: {
					fetch: async (asked) => {
						if ((asked as Request).method === "PATCH") {
							attempts.push((asked as Request).url);
							throw new TypeError("network");
						}
						return fetch(asked as Request);
					},
				},
			},
		);
		expect(await call("tool")).toMatchObject(said("ran"));
		expect(attempts).toHaveLength(3);
		expect(errors).toMatchObject([[{ name: "Unreachable" }, { tool: "tool", call: attempts[0]?.split("/").at(-1) }]]);
	});

	test("with waitUntil the answer does not wait for its settlement", async () => {
		const [release, settled] = [promised(), promised<Promise<void>>()];
		const { call, client } = await metered(
			major,
			{ tool: { run: () => failure("no") } },
			{
				meter: { waitUntil: settled.keep, charge: "successes" },
				client: {
					fetch: async (asked) => {
						if ((asked as Request).method === "PATCH") {
							await release.promise;
						}
						return fetch(asked as Request);
					},
				},
			},
		);
		expect(await call("tool")).toMatchObject(failure("no"));
		expect(await used(client)).toBe(1);
		release.keep();
		await await settled.promise;
		expect(await used(client)).toBe(0);
	});

	test("tools that are registered later, or get another callback, are metered too", async () => {
		const { call, client, register } = await metered(major, { first: { run: () => said("first") } });
		const second = register("second", { run: () => said("second") });
		expect(await call("second")).toMatchObject(said("second"));
		second.replace(() => said("third"));
		expect(await call("second")).toMatchObject(said("third"));
		expect(await used(client)).toBe(2);
	});

	test("a server that has no tools yet is metered when it gets them", async () => {
		const user = await fresh();
		const pair = major();
		meterTools(pair.server, { client: user.client });
		pair.register("tool", { run: () => said("ran") });
		await pair.connect();
		expect(await pair.call("tool")).toMatchObject(said("ran"));
		expect(await used(user.client)).toBe(1);
	});

	test("a tool with an output schema: its results are held to it, a refusal arrives, what is wrong is not charged", async () => {
		const output = z.object({ title: z.string() });
		const tools: Record<string, Tool> = {
			right: { output, run: () => ({ ...said("1"), structuredContent: { title: "H.R. 1" } }) },
			wrong: { output, run: () => ({ ...said("1"), structuredContent: { title: 1 } }) },
		};
		const user = await metered(major, tools, { list: true });
		expect((await user.call("right")).structuredContent).toEqual({ title: "H.R. 1" });
		expect(await user.call("wrong")).toMatchObject({ isError: true });
		expect(await used(user.client)).toBe(1);
		await spend(user, 99);
		const refused = await user.call("right");
		expect(refused).toMatchObject({ isError: true, _meta: { "legis-edge/decision": { type: "refuse", used: 100 } } });
		expect(refused._meta?.["legis-edge/decision"]).toMatchObject({ message: refused.content[0]?.text });
	});

	test("a server for many users charges the one who calls; who is nobody is not served", async () => {
		const users = new Map([
			["ada", await fresh()],
			["eve", await fresh()],
		]);
		const run = vi.fn(() => said("ran"));
		const { call, signIn, errors } = await metered(
			major,
			{ tool: { run } },
			{
				meter: {
					client: ({ authInfo, http }) => {
						const user = users.get((authInfo ?? http?.authInfo)?.token ?? "");
						if (user === undefined) {
							throw new Error("nobody");
						}
						return user.client;
					},
				},
			},
		);
		expect(await call("tool")).toMatchObject(failure("The tool was not run. It is not known who makes the call."));
		expect([run.mock.calls.length, errors]).toMatchObject([0, [[{ cause: { message: "nobody" } }, { tool: "tool" }]]]);
		for (const caller of ["ada", "eve", "eve"]) {
			signIn(caller);
			await call("tool");
		}
		const counts = await Promise.all([...users.values()].map(({ client }) => used(client)));
		expect(counts).toEqual([1, 2]);
	});

	test("a tool that is run past its meter answers nobody", async () => {
		const { call, override, errors } = await metered(major, { tool: { run: () => said("ran") } });
		override(() => said("free"));
		expect(await call("tool")).toMatchObject({ isError: true, content: [{ text: expect.stringMatching(/withheld/) }] });
		expect(errors).toMatchObject([[{ message: expect.stringMatching(/past its meter/) }, { tool: "tool" }]]);
	});

	test("what fails is told to the console in a line that names nobody", async () => {
		const lines = vi.spyOn(console, "error").mockImplementation(() => {});
		const user = await fresh({
			fetch: async () => Response.json({ detail: "ada@example.com", code: "forbidden" }, { status: 403 }),
		});
		const pair = major();
		pair.register("tool", { run: () => said("ran") });
		meterTools(pair.server, { client: user.client });
		await pair.connect();
		await pair.call("tool");
		expect(lines.mock.calls).toEqual([
			["legis-edge: a call of the tool tool could not be admitted: ProblemError forbidden"],
		]);
		lines.mockRestore();
	});

	test("a server is metered once, and terms must be right", async () => {
		const { client } = await fresh();
		for (const wrong of [
			{ cost: 0 },
			{ cost: 1.5 },
			{ timeoutMs: 0 },
			{ tools: { tool: { timeoutMs: Number.NaN } } },
		]) {
			expect(() => meterTools(major().server, { client, ...wrong }), JSON.stringify(wrong)).toThrow(LegisError);
		}
		const { server } = major();
		meterTools(server, { client });
		expect(() => meterTools(server, { client })).toThrow(/metered already/);
	});
});

test("a refusal of the package's is what a tool of either SDK may answer", async () => {
	const { client } = await fresh();
	const account = await client.account();
	const answer = async () => toolRefusal(account, Date.now(), 101) ?? { content: [] };
	// The compiler holds it to both.
	new McpServer({ name: "bills", version: "1.0.0" }).registerTool("bill", {}, answer);
	new PreviousServer({ name: "bills", version: "1.0.0" }).registerTool("bill", {}, answer);
	expect(await answer()).toMatchObject({ isError: true, structuredContent: { reason: "cost_exceeds_allowance" } });
});

test("what is no server of the SDK is refused at once", async () => {
	const { client } = await fresh();
	expect(() => meterTools({ server: {}, connect: async () => {} }, { client })).toThrow(LegisError);
});

describe("a call that is not over with one answer", () => {
	/** A server of the current major with a tool that asks before it answers, and a client that says yes. */
	function asking(options: MeterOptions) {
		let runs = 0;
		const serve = () => {
			const server = new McpServer({ name: "bills", version: "1.0.0" });
			meterTools(server, options);
			server.registerTool("delete-bill", {}, (context) => {
				runs += 1;
				const answer = acceptedContent<{ sure: boolean }>(context.mcpReq.inputResponses, "sure");
				return answer?.sure
					? said("deleted")
					: inputRequired({
							inputRequests: {
								sure: inputRequired.elicit({ message: "Sure?", requestedSchema: z.object({ sure: z.boolean() }) }),
							},
						});
			});
			return server;
		};
		const client = (mode: "legacy" | "auto") => {
			const client = new Client(
				{ name: "model", version: "1.0.0" },
				{ capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } },
			);
			client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { sure: true } }));
			return client;
		};
		return { serve, client, runs: () => runs };
	}

	test("asked on the way, it is admitted and charged once", async () => {
		const user = await fresh();
		const { serve, client, runs } = asking({ client: user.client });
		const [near, far] = InMemoryTransport.createLinkedPair();
		const model = client("legacy");
		await Promise.all([serve().connect(far), model.connect(near)]);
		expect(await model.callTool({ name: "delete-bill" })).toMatchObject(said("deleted"));
		expect([runs(), await used(user.client)]).toEqual([2, 1]);
		expect((await user.client.toolCalls()).logs.map(({ status }) => status)).toEqual(["success"]);
	});

	test("asked in an answer of its own, over HTTP with a server for each request, it is charged once", async () => {
		const user = await fresh();
		const { serve, client, runs } = asking({ client: user.client });
		const handler = createMcpHandler(serve);
		const model = client("auto");
		await model.connect(
			new StreamableHTTPClientTransport(new URL("http://bills.test/mcp"), {
				fetch: async (url, init) => handler.fetch(new Request(url, init)),
			}),
		);
		expect(await model.callTool({ name: "delete-bill" })).toMatchObject(said("deleted"));
		expect([runs(), await used(user.client)]).toEqual([2, 1]);
		const logs = (await user.client.toolCalls()).logs.map((log) => [log.status, log.error_message]);
		expect(logs.sort()).toEqual([
			["error", "asked for input"],
			["success", null],
		]);
		await model.close();
		await handler.close();
	});

	test("a task that is waited for is charged once, and not begun when nothing is left", async () => {
		const user = await fresh();
		const taskStore = new InMemoryTaskStore();
		const server = new PreviousServer(
			{ name: "bills", version: "1.0.0" },
			{ capabilities: { tasks: { requests: { tools: { call: {} } } } }, taskStore },
		);
		meterTools(server, { client: user.client });
		const begin = vi.fn();
		server.experimental.tasks.registerToolTask(
			"count-bills",
			{ execution: { taskSupport: "optional" } },
			{
				async createTask({ taskStore }) {
					begin();
					const task = await taskStore.createTask({ pollInterval: 1 });
					await taskStore.storeTaskResult(task.taskId, "completed", said("12"));
					return { task };
				},
				getTask: ({ taskId, taskStore }) => taskStore.getTask(taskId),
				getTaskResult: async ({ taskId, taskStore }) => (await taskStore.getTaskResult(taskId)) as Result,
			},
		);
		const pair = previous(server);
		await pair.connect();
		expect(await pair.call("count-bills")).toMatchObject(said("12"));
		expect(await used(user.client)).toBe(1);
		await spend(user, 99);
		expect(await pair.call("count-bills")).toMatchObject({ isError: true, structuredContent: { type: "refuse" } });
		expect(begin).toHaveBeenCalledTimes(1);
		taskStore.cleanup();
	});
});

test("in workerd, where the answer does not wait for its settlement", async () => {
	const user = await fresh();
	const bearer = await token(user.sub);
	const harness = createTestHarness({
		workers: [{ configPath: join(import.meta.dirname, "mcp.wrangler.jsonc"), vars: { GATEWAY: inject("base") } }],
	});
	await harness.listen();
	const model = new Client({ name: "model", version: "1.0.0" });
	await model.connect(
		new StreamableHTTPClientTransport(new URL("http://bills.test/mcp"), {
			requestInit: { headers: { Authorization: `Bearer ${bearer}` } },
			fetch: (async (url: URL, init: RequestInit) => harness.fetch(url.pathname, init as never)) as never,
		}),
	);
	expect(await model.callTool({ name: "get-bill" })).toMatchObject(said("H.R. 1"));
	expect(await used(user.client)).toBe(1);
	await vi.waitFor(async () => {
		expect((await user.client.toolCalls()).logs).toMatchObject([{ tool_name: "get-bill", status: "success" }]);
	}, PATIENT);
	await model.close();
	await harness.close();
});
