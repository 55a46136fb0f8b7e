// The official conformance suite against one server, directly and through the gateway: the gateway costs no check.

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { conformanceServer } from "./conformance-server.ts";
import { PATIENT } from "./patience.ts";
import { world as makeWorld } from "./world.ts";

const SUITE = createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/dist/index.js");
/** What the suite's release checks of a server, one by one. */
const CHECKS = 47;
let server: Awaited<ReturnType<typeof conformanceServer>>;
let world: Awaited<ReturnType<typeof makeWorld>>;
let results: string;

beforeAll(async () => {
	results = mkdtempSync(join(tmpdir(), "legis-conformance-"));
	server = await conformanceServer();
	world = await makeWorld({
		MCP_UPSTREAM_URL: server.url,
		MCP_SIGNING_SECRET: "the local gateway's secret, of no use elsewhere",
	});
}, 60_000);

afterAll(async () => {
	await world?.close();
	server?.close();
	rmSync(results, { recursive: true, force: true });
});

interface Check {
	id: string;
	status: "SUCCESS" | "FAILURE" | "WARNING" | "INFO";
	errorMessage?: string;
}

/** What came of each check, by scenario. */
async function suite(name: string, url: string, bearer?: string) {
	const directory = join(results, name);
	const preload = bearer === undefined ? [] : ["--import", join(import.meta.dirname, "conformance.bearer.ts")];
	const child = spawn(
		process.execPath,
		[...preload, SUITE, "server", "--suite", "all", "--url", url, "-o", directory],
		{
			env: { ...process.env, BEARER: bearer },
			stdio: ["ignore", "ignore", "inherit"],
			timeout: 50_000,
		},
	);
	// It ends with 1 where a check fails; which, its files say.
	await new Promise((resolve) => child.on("exit", resolve));
	const passed: string[] = [];
	const failed: [string, string | undefined][] = [];
	for (const scenario of readdirSync(directory)) {
		const checks = JSON.parse(readFileSync(join(directory, scenario, "checks.json"), "utf8")) as Check[];
		const title = scenario.replace(/^server-|-\d{4}-\d\d-\d\dT.*$/g, "");
		for (const { id, status, errorMessage } of checks.filter((check) => check.status !== "INFO")) {
			const check = `${title}: ${id}`;
			status === "SUCCESS" ? passed.push(check) : failed.push([check, errorMessage]);
		}
	}
	return { passed, failed };
}

const used = async (bearer: string) => (await (await world.call(bearer, "/api/account")).json()).usage.lifetime;

test("whatever passes directly passes through the gateway, and each tool call is charged", async () => {
	const sub = "auth0|conformance";
	const bearer = await world.token(sub);
	const [direct, through] = await Promise.all([
		suite("direct", server.url),
		suite("through", `${world.base}/mcp`, bearer),
	]);
	expect(direct.passed.length).toBeGreaterThanOrEqual(CHECKS);
	expect(direct.failed).toEqual([]);
	expect(through.failed).toEqual([]);
	expect(through.passed).toEqual(direct.passed);
	const asked = server.asked.filter((asked) => asked.byGateway);
	expect(asked.some((asked) => asked.verb === "GET" && asked.resumes)).toBe(true);
	const calls = asked.filter((asked) => asked.method === "tools/call").length;
	const logged = await vi.waitFor(async () => {
		await world.ring(sub);
		const rows = await world.rows<{ tool_name: string; cost: number }>(
			"SELECT tool_name, cost FROM mcp_logs JOIN users ON users.id = user_id WHERE auth0_user_id = ?",
			sub,
		);
		expect(rows).toHaveLength(calls);
		return rows;
	}, PATIENT);
	expect(logged.filter(({ cost }) => cost !== 1)).toEqual([]);
	expect(await used(bearer)).toMatchObject({ used: calls, mcp: calls });
});

test("what belongs to no request comes on a stream of its own, and a session ends", async () => {
	const bearer = await world.token("auth0|listens");
	const headers = { Authorization: `Bearer ${bearer}` };
	const transport = new StreamableHTTPClientTransport(new URL(`${world.base}/mcp`), { requestInit: { headers } });
	const client = new Client({ name: "listener", version: "1" });
	const heard: string[] = [];
	client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void heard.push(params.uri));
	server.asked.length = 0;
	const before = server.sessions.size;
	await client.connect(transport as Transport);
	await vi.waitFor(() => expect(server.asked.map((asked) => asked.verb)).toContain("GET"), PATIENT);
	await client.subscribeResource({ uri: "test://watched-resource" });
	await vi.waitFor(() => expect(heard).toEqual(["test://watched-resource"]), PATIENT);
	expect(server.sessions.size).toBe(before + 1);
	await transport.terminateSession();
	expect(server.sessions.size).toBe(before);
	await client.close();
	expect(await used(bearer)).toMatchObject({ used: 0 });
});
