// Calls that other services meter, and the history of tool calls as the old MCP server writes and reads it.

import { describe, expect, test } from "vitest";
import { call, newSubject, post, token } from "./callers.ts";
import { query } from "./database.ts";

const MCP = "local-mcp-server";

const patch = (id: string, body: unknown, bearer: string) =>
	call(`/api/calls/${id}`, bearer, {
		method: "PATCH",
		body: JSON.stringify(body),
		headers: { "Content-Type": "application/json" },
	});

async function reserve(bearer: string, body: unknown = {}): Promise<string> {
	const response = await post("/api/calls", JSON.stringify(body), bearer);
	expect(response.status).toBe(201);
	const { id } = (await response.json()) as { id: string };
	expect(response.headers.get("legis-call")).toBe(id);
	return id;
}

const lifetime = async (bearer: string) => (await (await call("/api/account", bearer)).json()).usage.lifetime;

describe("POST /api/calls and PATCH /api/calls/{id}", () => {
	test("a reserved call is charged, and settled once", async () => {
		const bearer = await token(newSubject(), { client: MCP });
		const response = await post("/api/calls", '{"tool":"get-bill"}', bearer);
		expect(response.status).toBe(201);
		expect(response.headers.get("ratelimit")).toBe('"plan";r=99');
		const { id, decision } = await response.json();
		expect(decision).toMatchObject({ type: "admit", plan: "free", used: 1, remaining: 99, cost: 1 });
		expect(await lifetime(bearer)).toMatchObject({ used: 1, mcp: 1 });
		const end = { status: "success", responseTimeMs: 12, responseData: { bills: 1 }, tokensUsed: 7 };
		for (let again = 0; again < 3; again++) {
			const settled = await patch(id, end, bearer);
			expect([settled.status, await settled.json()]).toEqual([200, { id, status: "success", cost: 1 }]);
		}
		expect(await lifetime(bearer)).toMatchObject({ used: 1, mcp: 1 });
		const other = await patch(id, { status: "error" }, bearer);
		expect([other.status, (await other.json()).code]).toEqual([409, "call_settled"]);
	});

	test.each([
		["success is charged", { status: "success" }, 1],
		["an error of the service is refunded", { status: "error" }, 0],
		["an error with a 5xx is refunded", { status: "error", statusCode: 502 }, 0],
		["an error with a 4xx is the caller's, and charged", { status: "error", statusCode: 404 }, 1],
		["an error that is said to be the caller's is charged", { status: "error", fault: "caller" }, 1],
		["a timeout is refunded", { status: "timeout" }, 0],
	])("%s, once, however often it is said", async (_, end, used) => {
		const bearer = await token(newSubject(), { client: MCP });
		const id = await reserve(bearer, { cost: 3, endpoint: "/v1/report", method: "GET" });
		const answers = await Promise.all(Array.from({ length: 4 }, () => patch(id, end, bearer)));
		for (const answer of answers) {
			expect([answer.status, await answer.json()]).toEqual([
				200,
				{ id, status: (end as { status: string }).status, cost: used * 3 },
			]);
		}
		expect(await lifetime(bearer)).toMatchObject({ used: used * 3, mcp: 0 });
	});

	test("settled again long after, from the history", async () => {
		const bearer = await token(newSubject(), { client: MCP });
		const id = await reserve(bearer, { tool: "get-bill" });
		await patch(id, { status: "timeout" }, bearer);
		// Reading a report brings the outbox to the database.
		await call("/api/usage", bearer);
		expect(query(`SELECT status, cost FROM mcp_logs WHERE id = '${id}'`)).toEqual([{ status: "timeout", cost: 0 }]);
		expect(await (await patch(id, { status: "timeout" }, bearer)).json()).toEqual({ id, status: "timeout", cost: 0 });
		expect((await patch(id, { status: "success" }, bearer)).status).toBe(409);
	});

	test("all or nothing: what costs more than is left is refused whole", async () => {
		const bearer = await token(newSubject());
		await reserve(bearer, { cost: 98 });
		const refused = await post("/api/calls", '{"cost":3}', bearer);
		expect(refused.status).toBe(429);
		expect((await refused.json()).decision).toMatchObject({ remaining: 2, cost: 3, suggestedPlan: "developer" });
		const never = await post("/api/calls", '{"cost":1001}', bearer);
		expect((await never.json()).decision).toMatchObject({ reason: "cost_exceeds_allowance" });
		await reserve(bearer, { cost: 2 });
		expect(await lifetime(bearer)).toMatchObject({ used: 100 });
	});

	test("only the client that reserved a call settles it; a data call's is the gateway's to settle", async () => {
		const sub = newSubject();
		const [server, page, stranger] = [
			await token(sub, { client: MCP }),
			await token(sub),
			await token(newSubject(), { client: MCP }),
		];
		const id = await reserve(server, { tool: "get-bill" });
		const data = (await call("/api/bills", page)).headers.get("legis-call") as string;
		for (const [call, bearer] of [
			[id, page],
			[id, stranger],
			[data, stranger],
			["nothing-of-that-id", server],
		] as const) {
			const refused = await patch(call, { status: "error" }, bearer);
			expect([refused.status, (await refused.json()).code]).toEqual([404, "unknown_call"]);
		}
		// It is over by now or soon, and no user takes back a call of theirs.
		await expect.poll(async () => (await patch(data, { status: "error" }, page)).status).toBe(409);
		expect(await lifetime(page)).toMatchObject({ used: 2 });
	});

	test("the same key reserves once, in the header or in the body", async () => {
		const bearer = await token(newSubject());
		const keyed = (key: string, body: unknown) =>
			call("/api/calls", bearer, {
				method: "POST",
				body: JSON.stringify(body),
				headers: { "Content-Type": "application/json", "Idempotency-Key": key },
			});
		const answers = await Promise.all([
			...Array.from({ length: 5 }, () => keyed("k1", { tool: "get-bill" })),
			...Array.from({ length: 5 }, () => post("/api/calls", '{"idempotencyKey":"k1","tool":"get-bill"}', bearer)),
		]);
		expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(201));
		const bodies = await Promise.all(answers.map((answer) => answer.json()));
		expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
		expect((await keyed("k1", { tool: "get-member" })).status).toBe(422);
		expect((await keyed("k1", { tool: "get-bill", idempotencyKey: "k2" })).status).toBe(400);
		expect(await lifetime(bearer)).toMatchObject({ used: 1, mcp: 1 });
	});

	test.each([
		["POST", "/api/calls", '{"cost":0}', "/cost"],
		["POST", "/api/calls", '{"cost":1.5}', "/cost"],
		["POST", "/api/calls", '{"tool":"no tool"}', "/tool"],
		["POST", "/api/calls", '{"idempotencyKey":""}', "/idempotencyKey"],
		["POST", "/api/calls", '{"plan":"pro"}', "/plan"],
		["PATCH", "/api/calls/x", "{}", "/status"],
		["PATCH", "/api/calls/x", '{"status":"unknown"}', "/status"],
		["PATCH", "/api/calls/x", '{"status":"error","statusCode":99}', "/statusCode"],
	])("%s %s refuses %s and charges nothing", async (method, path, body, pointer) => {
		const bearer = await token(newSubject());
		const refused = await call(path, bearer, { method, body, headers: { "Content-Type": "application/json" } });
		expect(refused.status).toBe(422);
		expect((await refused.json()).errors[0].pointer).toBe(pointer);
		expect(await lifetime(bearer)).toMatchObject({ used: 0 });
	});
});

describe("the old MCP server", () => {
	test("a tool call costs one call, however many data calls it makes on the way", async () => {
		const sub = newSubject();
		const bearer = await token(sub, { client: MCP });
		expect((await (await call("/api/me?check_billing_cycle=true", bearer)).json()).has_usage_left).toBe(true);
		const data = await Promise.all([
			...Array.from({ length: 4 }, () => call("/api/bills?limit=1", bearer)),
			call("/api/members?simulate=503", bearer),
		]);
		expect(data[0]?.headers.get("ratelimit")).toBe('"plan";r=100');
		const logged = await post(
			"/api/mcp/logs",
			JSON.stringify({
				tool_name: "search-bills",
				status: "success",
				request_data: { query: "tax" },
				response_data: ["a", null],
				response_time_ms: 40,
				tokens_used: 12,
			}),
			bearer,
		);
		expect(logged.status).toBe(201);
		expect(logged.headers.get("ratelimit")).toBe('"plan";r=99');
		const body = await logged.json();
		expect(body).toEqual({
			success: true,
			log: { id: expect.any(String), timestamp: expect.any(String), over_limit: false },
		});
		expect(await (await call("/api/me", bearer)).json()).toMatchObject({ api_calls_count: 1, mcp_calls_count: 1 });
		// What it called on the way is part of MCP use in the history, at no cost.
		await call("/api/usage", bearer);
		const rows = query<Record<string, unknown>>(
			`SELECT channel, cost, api_usage.status AS status, api_calls_count, mcp_calls_count FROM api_usage JOIN users ON user_id = users.id WHERE auth0_user_id = '${sub}'`,
		);
		expect(rows).toHaveLength(5);
		for (const row of rows) {
			expect(row).toMatchObject({ channel: "mcp", cost: 0, api_calls_count: 1, mcp_calls_count: 1 });
		}
		expect(
			query(
				`SELECT tool_name, request_data, response_data, mcp_logs.status AS status, cost, over_limit, user_agent FROM mcp_logs WHERE id = '${body.log.id}'`,
			),
		).toEqual([
			{
				tool_name: "search-bills",
				request_data: '{"query":"tax"}',
				response_data: '["a",null]',
				status: "success",
				cost: 1,
				over_limit: 0,
				user_agent: "node",
			},
		]);
	});

	test("its data calls need a call left, or a tool call that was reserved", async () => {
		const sub = newSubject();
		const bearer = await token(sub, { client: MCP });
		await reserve(await token(sub), { cost: 99 });
		expect((await call("/api/bills", bearer)).status).toBe(200);
		const id = await reserve(bearer, { tool: "get-bill" });
		const within = await call("/api/bills", bearer);
		expect([within.status, within.headers.get("ratelimit")]).toEqual([200, '"plan";r=0']);
		await patch(id, { status: "success" }, bearer);
		const refused = await call("/api/bills", bearer);
		expect([refused.status, (await refused.json()).code]).toEqual([429, "quota_exceeded"]);
	});

	test("a log that comes when nothing is left is kept, marked, and costs nothing", async () => {
		const sub = newSubject();
		const bearer = await token(sub, { client: MCP });
		await reserve(await token(sub), { cost: 100 });
		const logged = await post("/api/mcp/logs", '{"tool_name":"get-bill","status":"success"}', bearer);
		expect(logged.status).toBe(201);
		expect(logged.headers.get("retry-after")).toBeNull();
		const { log } = await logged.json();
		expect(log.over_limit).toBe(true);
		const { logs } = await (await call("/api/mcp/logs", bearer)).json();
		expect(logs).toMatchObject([{ id: log.id, over_limit: true, timestamp: log.timestamp }]);
		expect(query(`SELECT cost, over_limit FROM mcp_logs WHERE id = '${log.id}'`)).toEqual([{ cost: 0, over_limit: 1 }]);
		expect(await lifetime(bearer)).toMatchObject({ used: 100, mcp: 0 });
	});

	test("a log sent twice under one key is one log", async () => {
		const sub = newSubject();
		const bearer = await token(sub, { client: MCP });
		const send = (status: string) =>
			call("/api/mcp/logs", bearer, {
				method: "POST",
				body: JSON.stringify({ tool_name: "get-bill", status }),
				headers: { "Content-Type": "application/json", "Idempotency-Key": "log-1" },
			});
		const answers = await Promise.all(Array.from({ length: 4 }, async () => (await send("success")).json()));
		expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
		expect((await send("error")).status).toBe(422);
		expect((await (await call("/api/mcp/logs", bearer)).json()).pagination.total).toBe(1);
		expect(await lifetime(bearer)).toMatchObject({ used: 1, mcp: 1 });
	});

	test("a log of a tool that was too late is one log too, though it costs nothing", async () => {
		const bearer = await token(newSubject(), { client: MCP });
		const send = (tool_name: string) =>
			call("/api/mcp/logs", bearer, {
				method: "POST",
				body: JSON.stringify({ tool_name, status: "timeout" }),
				headers: { "Content-Type": "application/json", "Idempotency-Key": "log-2" },
			});
		const [one, two] = [await send("get-bill"), await send("get-bill")];
		expect(await two.json()).toEqual(await one.json());
		expect(two.headers.get("x-ratelimit-remaining")).toBe(one.headers.get("x-ratelimit-remaining"));
		expect((await send("whoami")).status).toBe(422);
		expect((await (await call("/api/mcp/logs", bearer)).json()).pagination.total).toBe(1);
		expect(await lifetime(bearer)).toMatchObject({ used: 0, mcp: 0 });
	});

	test("the history of tool calls: pages, figures, the tools called most", async () => {
		const bearer = await token(newSubject(), { client: MCP });
		const tools = ["get-bill", "get-bill", "get-bill", "whoami", "whoami", "get-member"];
		for (const [index, tool_name] of tools.entries()) {
			const status = index === 1 ? "error" : index === 4 ? "timeout" : "success";
			const body = { tool_name, status, response_time_ms: 10 * (index + 1), tokens_used: 5 };
			const extra = index === 1 ? { error_message: "no such bill" } : {};
			expect((await post("/api/mcp/logs", JSON.stringify({ ...body, ...extra }), bearer)).status).toBe(201);
		}
		const read = async (query: string) => (await call(`/api/mcp/logs${query}`, bearer)).json();
		const page = await read("?days=7&limit=2&offset=1");
		expect(page.logs.map((log: { tool_name: string; status: string }) => [log.tool_name, log.status])).toEqual([
			["whoami", "timeout"],
			["whoami", "success"],
		]);
		expect(page.logs[0]).toEqual({
			id: expect.any(String),
			tool_name: "whoami",
			status: "timeout",
			response_time_ms: 50,
			error_message: null,
			timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
			tokens_used: 5,
			over_limit: false,
		});
		expect(page.pagination).toEqual({ total: 6, limit: 2, offset: 1, hasMore: true });
		expect(page.stats).toEqual({
			totalCalls: 6,
			successfulCalls: 4,
			failedCalls: 2,
			avgResponseTime: 35,
			totalTokens: 30,
			firstCall: expect.any(String),
			lastCall: expect.any(String),
			successRate: 66.66,
		});
		expect(page.topTools).toEqual([
			{ tool_name: "get-bill", usage_count: 3, avg_response_time: 20, error_count: 1 },
			{ tool_name: "whoami", usage_count: 2, avg_response_time: 45, error_count: 1 },
			{ tool_name: "get-member", usage_count: 1, avg_response_time: 60, error_count: 0 },
		]);
		expect(page.period).toMatchObject({ days: 7 });
		expect(Date.parse(page.period.end) - Date.parse(page.period.start)).toBe(7 * 86_400_000);
		const last = await read("?offset=4");
		expect(last.logs).toHaveLength(2);
		expect(last.pagination).toEqual({ total: 6, limit: 20, offset: 4, hasMore: false });
		// A timeout is nobody's to pay.
		expect(await lifetime(bearer)).toMatchObject({ used: 5, mcp: 5 });
		const nothing = await (await call("/api/mcp/logs", await token(newSubject()))).json();
		expect(nothing).toMatchObject({
			logs: [],
			pagination: { total: 0, hasMore: false },
			stats: { totalCalls: 0, avgResponseTime: 0, firstCall: null, successRate: 0 },
			topTools: [],
		});
		for (const wrong of ["?days=0", "?limit=101", "?offset=-1", "?limit=ten"]) {
			expect((await call(`/api/mcp/logs${wrong}`, bearer)).status, wrong).toBe(400);
		}
	});

	test.each([
		['{"status":"success"}', "/tool_name"],
		['{"tool_name":"get-bill"}', "/status"],
		['{"tool_name":"get-bill","status":"done"}', "/status"],
		['{"tool_name":"get-bill","status":"success","request_data":[]}', "/request_data"],
		['{"tool_name":"get-bill","status":"success","tokens_used":-1}', "/tokens_used"],
	])("a log of %s is refused and kept nowhere", async (body, pointer) => {
		const bearer = await token(newSubject(), { client: MCP });
		const refused = await post("/api/mcp/logs", body, bearer);
		expect(refused.status).toBe(422);
		expect((await refused.json()).errors[0].pointer).toBe(pointer);
		expect((await (await call("/api/mcp/logs", bearer)).json()).pagination.total).toBe(0);
	});
});
