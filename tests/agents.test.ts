// The official MCP clients, of both majors, through the gateway to a server written with the official SDK.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterEach, beforeEach, describe, expect, inject, test, vi } from "vitest";
import { call, newSubject, post, token } from "./callers.ts";
import { PATIENT } from "./patience.ts";

interface Result {
	content: { type: string; text: string }[];
	isError?: boolean;
	structuredContent?: Record<string, unknown>;
}

interface Options {
	onprogress?: (progress: { progress: number }) => void;
	signal?: AbortSignal;
}

interface Agent {
	tools(): Promise<string[]>;
	run(name: string, args?: object, options?: Options): Promise<Result>;
	close(): Promise<void>;
}

const address = () => new URL(`${inject("base")}/mcp`);
const options = (bearer: string) => ({ requestInit: { headers: { Authorization: `Bearer ${bearer}` } } });

async function current(bearer: string, mode: "auto" | "legacy"): Promise<Agent> {
	const client = new Client({ name: "agent", version: "1" }, { versionNegotiation: { mode } });
	await client.connect(new StreamableHTTPClientTransport(address(), options(bearer)));
	return {
		tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
		run: async (name, args = {}, options = {}) =>
			(await client.callTool({ name, arguments: args as Record<string, unknown> }, options)) as Result,
		close: () => client.close(),
	};
}

async function previous(bearer: string): Promise<Agent> {
	const client = new OldClient({ name: "agent", version: "1" });
	await client.connect(new OldTransport(address(), options(bearer)) as never);
	return {
		tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
		run: async (name, args = {}, options = {}) =>
			(await client.callTool(
				{ name, arguments: args as Record<string, unknown> },
				undefined,
				options as never,
			)) as unknown as Result,
		close: () => client.close(),
	};
}

const served = async () => ((await (await fetch(`${inject("mcp")}/served`)).json()) as { served: number }).served;

describe.each([
	["the current major, 2026-07-28", (bearer: string) => current(bearer, "auto")],
	["the current major, with older servers", (bearer: string) => current(bearer, "legacy")],
	["the previous major", previous],
] as const)("%s", (_, connect) => {
	let sub: string;
	let bearer: string;
	let agent: Agent;

	beforeEach(async () => {
		sub = newSubject();
		bearer = await token(sub, { email: "ada@example.com", name: "Ada" });
		agent = await connect(bearer);
	});

	afterEach(() => agent.close());

	const used = async () => (await (await call("/api/account", bearer)).json()).usage.lifetime.used as number;
	const leave = async (calls: number) =>
		expect((await post("/api/calls", JSON.stringify({ cost: 100 - calls }), bearer)).status).toBe(201);
	const logs = (calls: number) =>
		vi.waitFor(async () => {
			const { logs } = await (await call("/api/mcp/logs", bearer)).json();
			expect(logs).toHaveLength(calls);
			return logs as { tool_name: string; status: string; tokens_used: number | null }[];
		}, PATIENT);

	test("lists tools for nothing, calls them for one each, and each is logged", async () => {
		expect(await agent.tools()).toContain("search-bills");
		expect(await used()).toBe(0);
		const found = await agent.run("search-bills", { q: "infrastructure" });
		expect(found.content[0]?.text).toContain("Infrastructure Investment and Jobs Act");
		expect((await agent.run("get-bill", { id: "none" })).isError).toBe(true);
		expect((await agent.run("tokens")).isError).not.toBe(true);
		await expect(agent.run("internal")).rejects.toThrow(/on purpose/);
		// The last one was the server's own fault.
		await vi.waitFor(async () => expect(await used()).toBe(3), PATIENT);
		const rows = await logs(4);
		expect(rows.map((row) => [row.tool_name, row.status]).sort()).toEqual([
			["get-bill", "error"],
			["internal", "error"],
			["search-bills", "success"],
			["tokens", "success"],
		]);
		expect(rows.find((row) => row.tool_name === "tokens")?.tokens_used).toBe(321);
	});

	test("is known to the server by what the gateway says", async () => {
		expect((await agent.run("whoami")).structuredContent).toMatchObject({ sub, plan: "free", name: "Ada" });
		expect((await agent.run("get-usage-stats")).structuredContent).toMatchObject({
			limit: 100,
			used: 2,
			remaining: 98,
		});
	});

	test("hears of progress while the tool runs", async () => {
		const heard: number[] = [];
		const result = await agent.run(
			"enhanced-bill-analysis",
			{ id: "hr3684-117" },
			{ onprogress: ({ progress }) => heard.push(progress) },
		);
		expect(result.isError).not.toBe(true);
		expect(heard).toEqual([1, 2, 3]);
	});

	test("gets a result of 3 MB whole", async () => {
		expect((await agent.run("large", { bytes: 3_000_000 })).content[0]?.text).toHaveLength(3_000_000);
	});

	test("can change its mind", async () => {
		const stop = new AbortController();
		const running = agent.run("slow", { ms: 2_000 }, { signal: stop.signal, onprogress: () => stop.abort() });
		await expect(running).rejects.toThrow();
		// The call was made: it is paid, at once or when its outcome is known.
		expect(await used()).toBe(1);
	});

	test("is refused in words it can act on when nothing is left", async () => {
		await leave(1);
		expect((await agent.run("get-committees")).isError).not.toBe(true);
		const before = await served();
		const refused = await agent.run("get-committees");
		expect(refused.isError).toBe(true);
		expect(refused.content[0]?.text).toMatch(/100/);
		expect(refused.structuredContent).toMatchObject({ type: "refuse", suggestedPlan: "developer", remaining: 0 });
		expect(await served()).toBe(before);
		expect(await agent.tools()).toContain("get-committees");
	});

	test("of 50 calls at once with 10 left exactly 10 run", async () => {
		await leave(10);
		const before = await served();
		const results = await Promise.all(Array.from({ length: 50 }, () => agent.run("get-committees")));
		expect(results.filter((result) => result.isError !== true)).toHaveLength(10);
		expect((await served()) - before).toBe(10);
		expect(await used()).toBe(100);
	});
});

test("an expired token is told so before anything is asked of the server", async () => {
	const expired = await token(newSubject(), { expires: -600 });
	await expect(current(expired, "legacy")).rejects.toThrow(/401|nauthorized/);
});

test("registered by the page, by an agent and by an API call at once, there is one user", async () => {
	const sub = newSubject();
	const bearer = await token(sub);
	const agents = await Promise.all([
		current(bearer, "auto"),
		previous(bearer),
		call("/api/users/register", bearer, { method: "POST" }),
		call("/api/bills", bearer),
	]);
	await Promise.all(agents.slice(0, 2).map((agent) => (agent as Agent).run("whoami")));
	const ids = new Set<number>();
	for (const agent of agents.slice(0, 2) as Agent[]) {
		ids.add((await agent.run("whoami")).structuredContent?.userId as number);
		await agent.close();
	}
	ids.add((await (await call("/api/account", bearer)).json()).user.id);
	expect(ids.size).toBe(1);
	expect((await (await call("/api/account", bearer)).json()).usage.lifetime).toMatchObject({ used: 5, mcp: 4 });
});
