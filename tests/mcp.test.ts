// The MCP gateway, message by message: what reaches the server, what it costs, and what an agent is told.

import { decodeProtectedHeader, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { json, type Message, mcpServer, result, stream } from "./mcp-server.ts";
import { PATIENT } from "./patience.ts";
import { world as makeWorld } from "./world.ts";

const SECRET = "the local gateway's secret, of no use elsewhere";

let server: Awaited<ReturnType<typeof mcpServer>>;
let world: Awaited<ReturnType<typeof makeWorld>>;

beforeAll(async () => {
	server = await mcpServer();
	world = await makeWorld({
		MCP_UPSTREAM_URL: server.url,
		MCP_SIGNING_SECRET: SECRET,
		MCP_SECRET_FIELDS: "password, apiKey",
	});
}, 60_000);

afterAll(async () => {
	await world?.close();
	server?.close();
});

let subjects = 0;
let sub: string;
let bearer: string;

beforeEach(async () => {
	subjects += 1;
	sub = `auth0|agent${subjects}`;
	bearer = await world.token(sub);
	server.asked.length = 0;
	server.answer((message, response) => json(response, result(message)));
});

type Headers = Record<string, string>;

function send(body: unknown, headers: Headers = {}, init: RequestInit = {}): Promise<Response> {
	return fetch(`${world.base}/mcp`, {
		method: "POST",
		headers: {
			Authorization: `Bearer ${bearer}`,
			"Content-Type": "application/json",
			Accept: "application/json, text/event-stream",
			...headers,
		},
		body: typeof body === "string" ? body : JSON.stringify(body),
		...init,
	});
}

const calling = (name: string, args: object = {}, id: number | string = 1) => ({
	jsonrpc: "2.0",
	id,
	method: "tools/call",
	params: { name, arguments: args },
});

const used = async () => {
	const account = await (await world.call(bearer, "/api/account")).json();
	return account.usage.lifetime as { used: number; mcp: number };
};

/** Uses up all but so many calls. */
async function leave(calls: number) {
	const body = JSON.stringify({ cost: 100 - calls });
	expect((await world.call(bearer, "/api/calls", { method: "POST", body })).status).toBe(201);
}

interface Row {
	tool_name: string;
	status: string;
	cost: number;
	error_message: string | null;
	request_data: string | null;
	response_data: string | null;
	tokens_used: number | null;
}

/** The rows of the user's tool calls, once so many are stored. */
async function logged(calls = 1): Promise<Row[]> {
	return await vi.waitFor(async () => {
		await world.ring(sub);
		const rows = await world.rows<Row>(
			"SELECT tool_name, status, cost, error_message, request_data, response_data, tokens_used FROM mcp_logs " +
				"JOIN users ON users.id = user_id WHERE auth0_user_id = ? ORDER BY mcp_logs.id",
			sub,
		);
		expect(rows).toHaveLength(calls);
		return rows;
	}, PATIENT);
}

describe("a tool call", () => {
	test("costs one call, reaches the server as it was sent, and is logged with what it was told and what it said", async () => {
		const body = `{ "jsonrpc":"2.0", "id" : 7,\n "method":"tools/call","params":{"name":"get-bill","arguments":{"id":"hr1","login":{"Password":"hidden"}}} }`;
		server.answer((message, response) =>
			json(response, result(message, { structuredContent: { apiKey: "hidden", n: 1 }, _meta: { tokensUsed: 321 } })),
		);
		const response = await send(body);
		expect([response.status, response.headers.get("x-ratelimit-remaining")]).toEqual([200, "99"]);
		expect(response.headers.get("legis-call")).toMatch(/^[0-9a-f-]{36}$/);
		expect((await response.json()).id).toBe(7);
		expect(server.asked.map((asked) => asked.body)).toEqual([body]);
		const [row] = await logged();
		expect(row).toMatchObject({ tool_name: "get-bill", status: "success", cost: 1, tokens_used: 321 });
		expect(JSON.parse(row?.request_data ?? "")).toEqual({ id: "hr1", login: { Password: "[redacted]" } });
		expect(JSON.parse(row?.response_data ?? "")).toMatchObject({ structuredContent: { apiKey: "[redacted]", n: 1 } });
		expect(await used()).toMatchObject({ used: 1, mcp: 1 });
	});

	test("is settled however deep what it was told or said is", async () => {
		const deep = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
		server.answer((_, response) => json(response, {}, 503));
		expect((await send(calling("get-bill", deep(125)))).status).toBe(503);
		server.answer((message, response) => json(response, result(message, { structuredContent: { deep: deep(120) } })));
		expect((await send(calling("get-bill"))).status).toBe(200);
		const rows = await logged(2);
		expect(rows.map((row) => [row.status, row.cost])).toEqual([
			["error", 0],
			["success", 1],
		]);
		for (const kept of [rows[0]?.request_data, rows[1]?.response_data]) {
			expect(JSON.parse(kept ?? "")).toEqual({ truncated: true, bytes: expect.any(Number) });
		}
		expect(await used()).toMatchObject({ used: 1, mcp: 1 });
	});

	test("everything else is free", async () => {
		for (const method of ["initialize", "tools/list", "ping", "resources/list", "server/discover"]) {
			expect((await send({ jsonrpc: "2.0", id: 1, method })).status).toBe(200);
		}
		server.answer((_, response) => json(response, undefined, 202));
		expect((await send({ jsonrpc: "2.0", method: "notifications/initialized" })).status).toBe(202);
		expect(server.asked).toHaveLength(6);
		expect(await used()).toMatchObject({ used: 0, mcp: 0 });
	});

	test("the server hears from us who it is, and never sees the caller's token", async () => {
		await leave(10);
		await send(calling("whoami"), {
			"X-Other": "1",
			"Mcp-Param-Region": "eu",
			"Mcp-Session_Id": "another's",
			Traceparent: "00-1-2-01",
		});
		const headers = server.asked[0]?.headers ?? {};
		expect(JSON.stringify(headers)).not.toContain(bearer);
		expect(headers).not.toHaveProperty("authorization");
		expect(headers).not.toHaveProperty("x-other");
		expect(headers).not.toHaveProperty("mcp-session_id");
		expect(headers).toMatchObject({ "mcp-param-region": "eu", traceparent: "00-1-2-01" });
		const identity = String(headers["legis-identity"]);
		expect(decodeProtectedHeader(identity)).toEqual({ alg: "HS256", typ: "legis-identity+jwt" });
		const { payload } = await jwtVerify(identity, new TextEncoder().encode(SECRET), { issuer: world.base });
		expect(payload).toMatchObject({ sub, plan: "free", standing: "free", limit: 100, used: 91, remaining: 9 });
		expect(Number(payload.exp) - Number(payload.iat)).toBe(60);
		expect(payload.userId).toBeGreaterThan(0);
	});

	test("a caller cannot speak for the gateway", async () => {
		await send(calling("whoami"), { "Legis-Identity": "forged" });
		const identity = String(server.asked[0]?.headers["legis-identity"]);
		await expect(jwtVerify(identity, new TextEncoder().encode(SECRET))).resolves.toMatchObject({ payload: { sub } });
	});

	test("one that failed by the server's fault is taken back; one that the caller got wrong is not", async () => {
		const cases: [string, (message: Message) => [number, unknown], string, number][] = [
			["told so", (m) => [200, result(m, { isError: true })], "error", 1],
			[
				"bad arguments",
				(m) => [200, { jsonrpc: "2.0", id: m.id, error: { code: -32602, message: "bad" } }],
				"error",
				1,
			],
			["internal", (m) => [200, { jsonrpc: "2.0", id: m.id, error: { code: -32603, message: "oh" } }], "error", 0],
			["unavailable", () => [503, undefined], "error", 0],
			["not found", () => [404, undefined], "error", 1],
			["not let in", () => [401, undefined], "error", 0],
			["no answer", () => [200, undefined], "error", 0],
			["another's answer", () => [200, { jsonrpc: "2.0", id: "another", result: {} }], "unknown", 1],
		];
		for (const [name, answer] of cases) {
			server.answer((message, response) => {
				const [status, body] = answer(message);
				json(response, body, status);
			});
			const { status } = await send(calling(name));
			expect(status).toBe({ unavailable: 503, "not found": 404, "not let in": 502 }[name] ?? 200);
		}
		const rows = await logged(cases.length);
		expect(rows.map((row) => [row.tool_name, row.status, row.cost])).toEqual(
			cases.map(([name, , status, cost]) => [name, status, cost]),
		);
		expect((await used()).used).toBe(4);
	});

	test("a server that hangs up: nothing is paid", async () => {
		server.answer((_, response) => response.destroy());
		// The proxy between the gateway and this test answers in the server's place.
		expect((await send(calling("get-bill"))).status).toBeGreaterThanOrEqual(500);
		expect(await logged()).toMatchObject([{ status: "error", cost: 0 }]);
		expect((await used()).used).toBe(0);
	});

	test("sent again with its key it is neither run nor charged again; with another body the key is refused", async () => {
		const key = { "Idempotency-Key": "k1" };
		const first = await send(calling("get-bill", { id: "hr1" }), key);
		await first.text();
		await logged();
		const again = await send(calling("get-bill", { id: "hr1" }), key);
		expect([again.status, (await again.json()).code]).toEqual([409, "call_made"]);
		expect(again.headers.get("legis-call")).toBe(first.headers.get("legis-call"));
		expect((await send(calling("get-bill", { id: "hr2" }), key)).status).toBe(422);
		expect(server.asked).toHaveLength(1);
		expect((await used()).used).toBe(1);
		// One that failed by the server's fault may be tried again.
		server.answer((_, response) => json(response, undefined, 503, { "Retry-After": "7" }));
		const failed = await send(calling("get-bill"), { "Idempotency-Key": "k2" });
		expect([failed.status, failed.headers.get("retry-after")]).toEqual([503, "7"]);
		server.answer((message, response) => json(response, result(message)));
		await vi.waitFor(async () =>
			expect((await send(calling("get-bill"), { "Idempotency-Key": "k2" })).status).toBe(200),
		);
		expect((await used()).used).toBe(2);
	});
});

describe("a stream", () => {
	test("comes as it is sent, piece by piece, and its last message is what is logged", async () => {
		let proceed = () => {};
		server.answer((message, response) => {
			const events = stream(response);
			events.say({ jsonrpc: "2.0", method: "notifications/progress", params: { progress: 1 } });
			proceed = () => {
				events.say(result(message, { _meta: { usage: { total_tokens: 5 } } }));
				events.end();
			};
		});
		const response = await send(calling("enhanced-bill-analysis"));
		expect(response.headers.get("content-type")).toBe("text/event-stream");
		const reader = (response.body as ReadableStream<Uint8Array>).getReader();
		const first = new TextDecoder().decode((await reader.read()).value);
		expect(first).toContain("notifications/progress");
		// Only now does the server say the rest: what came was not held back.
		proceed();
		let rest = "";
		for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
			rest += new TextDecoder().decode(piece.value);
		}
		expect(rest).toContain("ran enhanced-bill-analysis");
		expect(await logged()).toMatchObject([{ status: "success", cost: 1, tokens_used: 5 }]);
	});

	test("that breaks off before the answer is not paid", async () => {
		server.answer((_, response) => {
			const events = stream(response);
			events.say({ jsonrpc: "2.0", method: "notifications/progress", params: { progress: 1 } });
			setTimeout(events.breakOff, 50);
		});
		// Between this test and the gateway stands a proxy that ends what broke off.
		await (await send(calling("get-bill"))).text();
		expect(await logged()).toMatchObject([{ status: "error", cost: 0 }]);
		expect((await used()).used).toBe(0);
	});

	test("of 5 MB goes through whole; of a record only its size is kept", async () => {
		const text = "x".repeat(5_000_000);
		server.answer((message, response) => json(response, result(message, { text })));
		const response = await send(calling("large"));
		expect((await response.json()).result.text).toBe(text);
		const [row] = await logged();
		expect(row).toMatchObject({ status: "success", cost: 1 });
		expect(JSON.parse(row?.response_data ?? "")).toMatchObject({ truncated: true });
	});
});

describe("when nothing is left", () => {
	test("an agent is told what was used, when it resets and which plan would do; the server hears nothing", async () => {
		await leave(0);
		const refused = await send(calling("get-bill", {}, "a"));
		expect(refused.status).toBe(200);
		const { id, result } = await refused.json();
		expect(id).toBe("a");
		expect(result.isError).toBe(true);
		expect(result).not.toHaveProperty("resultType");
		expect(result.content[0].text).toMatch(/100/);
		expect(result.structuredContent).toMatchObject({
			type: "refuse",
			reason: "allowance_exhausted",
			suggestedPlan: "developer",
			limit: 100,
		});
		const modern = await send(calling("get-bill"), {
			"MCP-Protocol-Version": "2026-07-28",
			"Mcp-Method": "tools/call",
			"Mcp-Name": "get-bill",
		});
		expect((await modern.json()).result.resultType).toBe("complete");
		expect(server.asked).toEqual([]);
		// What is free is free all the same.
		expect((await send({ jsonrpc: "2.0", id: 1, method: "tools/list" })).status).toBe(200);
	});

	test("of 50 at once with 10 left exactly 10 reach the server", async () => {
		await leave(10);
		const answers = await Promise.all(
			Array.from({ length: 50 }, async (_, id) => (await send(calling("get-bill", {}, id))).json()),
		);
		expect(answers.filter((answer) => answer.result.isError !== true)).toHaveLength(10);
		expect(answers.filter((answer) => answer.result.structuredContent?.type === "refuse")).toHaveLength(40);
		expect(server.asked).toHaveLength(10);
		expect((await used()).used).toBe(100);
		await logged(10);
	});
});

describe("where the deployment chose another form of refusal", () => {
	/** What is answered to a tool call when nothing is left, where `MCP_REFUSAL` says so. */
	async function refusal(form: string): Promise<{ response: Response; body: Record<string, unknown> }> {
		const other = await makeWorld({ MCP_UPSTREAM_URL: server.url, MCP_SIGNING_SECRET: SECRET, MCP_REFUSAL: form });
		try {
			const headers = {
				Authorization: `Bearer ${await other.token(sub)}`,
				"Content-Type": "application/json",
				Accept: "application/json, text/event-stream",
			};
			const ask = (path: string, body: object) =>
				fetch(other.base + path, { method: "POST", headers, body: JSON.stringify(body) });
			expect((await ask("/api/calls", { cost: 100 })).status).toBe(201);
			const response = await ask("/mcp", calling("get-bill", {}, "a"));
			return { response, body: (await response.json()) as Record<string, unknown> };
		} finally {
			await other.close();
		}
	}

	test("text: a result without structured content, to which clients would hold the tool's output schema", async () => {
		const { response, body } = await refusal("text");
		expect(response.status).toBe(200);
		expect(body).toMatchObject({ id: "a", result: { isError: true, content: [{ type: "text" }] } });
		expect(body.result).not.toHaveProperty("structuredContent");
		expect(JSON.stringify((body.result as { _meta: unknown })._meta)).toContain("allowance_exhausted");
		expect(server.asked).toEqual([]);
	});

	test("status: HTTP 429 with a problem document, as everywhere else", async () => {
		const { response, body } = await refusal("status");
		expect([response.status, response.headers.get("content-type")]).toEqual([429, "application/problem+json"]);
		expect(body).toMatchObject({
			code: "quota_exceeded",
			decision: { reason: "allowance_exhausted", suggestedPlan: "developer", used: 100 },
		});
		expect(server.asked).toEqual([]);
	});

	test("one that is none is told to the operator, and nobody is let through", async () => {
		const { response, body } = await refusal("html");
		expect([response.status, body.code]).toEqual([503, "misconfigured"]);
		expect(JSON.stringify(body)).not.toContain("html");
		expect(server.asked).toEqual([]);
	});
});

describe("who may come in", () => {
	test("nobody without a token, and they are told where tokens come from", async () => {
		const challenge = /^Bearer .*resource_metadata="(.*)", scope="read:bills"$/;
		for (const headers of [{ Authorization: "" }, { Authorization: "Bearer nonsense" }]) {
			const response = await send(calling("get-bill"), headers);
			expect(response.status).toBe(401);
			const [, address] = challenge.exec(response.headers.get("www-authenticate") ?? "") ?? [];
			expect(address).toBe(`${world.base}/.well-known/oauth-protected-resource/mcp`);
			const metadata = await (await fetch(address as string)).json();
			expect(metadata).toMatchObject({ resource: `${world.base}/mcp`, bearer_methods_supported: ["header"] });
			expect(metadata.authorization_servers).toHaveLength(1);
			expect(metadata.scopes_supported).toContain("read:bills");
		}
		const api = await (await fetch(`${world.base}/.well-known/oauth-protected-resource`)).json();
		expect(api.resource).toBe(world.base);
		bearer = await world.token(sub, "page", { scope: "read:votes" });
		const scoped = await send(calling("get-bill"));
		expect([scoped.status, scoped.headers.get("www-authenticate")]).toEqual([
			403,
			`Bearer error="insufficient_scope", scope="read:bills", resource_metadata="${world.base}/.well-known/oauth-protected-resource/mcp"`,
		]);
		expect(server.asked).toEqual([]);
	});

	test("no page of another origin", async () => {
		expect((await send(calling("get-bill"), { Origin: "https://evil.example" })).status).toBe(403);
		expect((await send(calling("get-bill"), { Origin: world.base })).status).toBe(200);
		expect(server.asked).toHaveLength(1);
	});

	test("a session is its user's alone", async () => {
		server.answer((message, response) => json(response, result(message), 200, { "Mcp-Session-Id": "session-1" }));
		const begun = await send({ jsonrpc: "2.0", id: 1, method: "initialize" });
		const session = { "Mcp-Session-Id": begun.headers.get("mcp-session-id") ?? "" };
		expect((await send({ jsonrpc: "2.0", id: 2, method: "tools/list" }, session)).status).toBe(200);
		expect(server.asked.at(-1)?.headers["mcp-session-id"]).toBe("session-1");
		const own = bearer;
		bearer = await world.token(`${sub}-other`);
		for (const headers of [session, { "Mcp-Session-Id": "session-1" }]) {
			expect((await send(calling("get-bill"), headers)).status).toBe(404);
		}
		bearer = own;
		expect(server.asked).toHaveLength(2);
		// The older revisions listen with GET and end with DELETE.
		server.answer((_, response, asked) => {
			if (asked.method === "GET") {
				const events = stream(response);
				events.say({ jsonrpc: "2.0", method: "notifications/tools/list_changed" });
				events.end();
			} else {
				response.writeHead(204).end();
			}
		});
		const heard = await send(undefined, session, { method: "GET", body: null });
		expect(await heard.text()).toContain("list_changed");
		expect((await send(undefined, session, { method: "DELETE", body: null })).status).toBe(204);
		expect((await used()).used).toBe(0);
	});
});

describe("in a session", () => {
	/** Streams that the server holds open, and which end without an answer. */
	let open: ReturnType<typeof stream>[];
	let session: Headers;

	beforeEach(async () => {
		open = [];
		server.answer((message, response, asked) => {
			if (message.method === "tools/call") {
				const events = stream(response);
				events.say({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "begun" } });
				open.push(events);
			} else if (asked.method === "DELETE" || message.id === undefined) {
				for (const events of open.splice(0)) {
					events.end();
				}
				response.writeHead(202).end();
			} else {
				json(response, result(message), 200, { "Mcp-Session-Id": "session-1" });
			}
		});
		const begun = await send({ jsonrpc: "2.0", id: 1, method: "initialize" });
		session = { "Mcp-Session-Id": begun.headers.get("mcp-session-id") ?? "" };
	});

	test("what a caller calls off is paid: that no answer comes may be their doing", async () => {
		const cancel = (requestId: number) =>
			send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } }, session);
		const unanswered = await send(calling("whoami", {}, 2), session);
		// Of another call: this one is the server's failure.
		expect((await cancel(7)).status).toBe(202);
		await unanswered.text();
		const cancelled = await send(calling("get-bill", {}, 3), session);
		expect((await cancel(3)).status).toBe(202);
		await cancelled.text();
		const left = await send(calling("get-member", {}, 4), session);
		expect((await send(undefined, session, { method: "DELETE", body: null })).status).toBe(202);
		await left.text();
		const rows = (await logged(3)).map(({ tool_name, cost, error_message }) => [tool_name, cost, error_message]);
		expect(rows).toEqual([
			["whoami", 0, "the server did not answer the call"],
			["get-bill", 1, "called off by the caller"],
			["get-member", 1, "called off by the caller"],
		]);
		expect((await used()).used).toBe(2);
	});

	test("whose id is used for another request is paid: the answer may have gone there", async () => {
		const ask = (id: number | string) => send({ jsonrpc: "2.0", id, method: "resources/read" }, session);
		const during = await send(calling("get-bill", {}, 3), session);
		expect((await ask("3")).status).toBe(200);
		const alone = await send(calling("whoami", {}, 4), session);
		expect((await ask(5)).status).toBe(200);
		const after = await send(calling("get-member", {}, 5), session);
		// A server that answers something else here has answered this elsewhere.
		const mistaken = await send(calling("get-votes", {}, 6), session);
		open.at(-1)?.say({ jsonrpc: "2.0", id: 7, result: {} });
		for (const events of open.splice(0)) {
			events.end();
		}
		await Promise.all([during, alone, after, mistaken].map((response) => response.text()));
		const rows = (await logged(4)).map(({ tool_name, cost }) => [tool_name, cost]);
		expect(rows.sort()).toEqual([
			["get-bill", 1],
			["get-member", 1],
			["get-votes", 1],
			["whoami", 0],
		]);
		expect((await used()).used).toBe(3);
		// Nor is an id one that a server may take for another.
		const odd = '{"jsonrpc":"2.0","id":3.0,"method":"resources/read"}';
		expect((await send(odd, session)).status).toBe(400);
	});

	test("an id is used once: of several calls only one would be answered", async () => {
		const first = await send(calling("get-bill", {}, 2), session);
		const asked = server.asked.length;
		const again = await send(calling("get-bill", {}, 2), session);
		expect([again.status, (await again.json()).code]).toEqual([409, "call_in_progress"]);
		expect(server.asked).toHaveLength(asked);
		// Some servers do not tell a number from its text.
		expect((await send(calling("get-bill", {}, "2"), session)).status).toBe(409);
		// Another id, or no session, is another call.
		await send(calling("get-bill", {}, 9), session);
		await send(calling("get-bill", {}, 2));
		expect(server.asked).toHaveLength(asked + 2);
		for (const events of open) {
			events.end();
		}
		await first.text();
		await logged(3);
		// When the first is over its id may be used again, as some clients do.
		const later = await send(calling("get-bill", {}, 2), session);
		expect(later.status).toBe(200);
		for (const events of open) {
			events.end();
		}
		await later.text();
	});
});

describe("what is not passed on", () => {
	test("a message that another reader could take for another", async () => {
		for (const [body, code] of [
			['{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"a"}}', -32700],
			[`[${JSON.stringify(calling("get-bill"))}]`, -32600],
			['{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}', -32600],
		] as const) {
			const response = await send(body);
			expect([response.status, (await response.json()).error.code]).toEqual([400, code]);
		}
		expect(server.asked).toEqual([]);
		expect((await used()).used).toBe(0);
	});

	test("since 2026-07-28, a message whose headers say something else", async () => {
		const version = { "MCP-Protocol-Version": "2026-07-28" };
		for (const headers of [{}, { "Mcp-Method": "ping" }, { "Mcp-Method": "tools/call", "Mcp-Name": "other" }]) {
			const response = await send(calling("get-bill"), { ...version, ...(headers as Headers) });
			expect([response.status, (await response.json()).error.code]).toEqual([400, -32020]);
		}
		const fitting = { ...version, "Mcp-Method": "tools/call", "Mcp-Name": "get-bill" };
		expect((await send(calling("get-bill"), fitting)).status).toBe(200);
		expect(server.asked[0]?.headers).toMatchObject({ "mcp-method": "tools/call", "mcp-name": "get-bill" });
		expect((await used()).used).toBe(1);
	});

	test("other methods, other media types, and more than a megabyte", async () => {
		expect((await send(undefined, {}, { method: "PUT", body: "{}" })).status).toBe(405);
		expect((await send("{}", { "Content-Type": "text/plain" })).status).toBe(415);
		// In UTF-7 a server could read a tool call where we read a ping.
		for (const type of ["application/json; charset=utf-7", "application/json;charset=utf-16"]) {
			expect((await send(calling("a"), { "Content-Type": type })).status).toBe(415);
		}
		expect((await send(calling("a"), { "Content-Type": "application/json; charset=UTF-8" })).status).toBe(200);
		expect(server.asked.pop()?.headers["content-type"]).toBe("application/json");
		expect((await send(calling("a", { text: "x".repeat(1_100_000) }))).status).toBe(413);
		expect(server.asked).toEqual([]);
	});
});
