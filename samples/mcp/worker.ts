// A local MCP server with tools over the sample data. It trusts what the gateway signs, and serves nobody else.

import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { IDENTITY_HEADER, type Identity, identity } from "./identity.ts";
import { addSimulated } from "./simulated.ts";
import { addTools } from "./tools.ts";

interface Env {
	/** What the gateway signs identities with. */
	SIGNING_SECRET: string | null;
	/** "1" adds the tools that only tests need. */
	SIMULATE: string | null;
}

/** Milliseconds between the signs of life in a stream: that its caller has gone shows only when something is written. */
const KEEP_ALIVE = 1_000;

/** How many tool calls were served since the start; not those that the protocol refuses before a tool is looked for. */
let served = 0;

export default {
	async fetch(request: Request, env: Env): Promise<Response> {
		const { pathname } = new URL(request.url);
		if (pathname === "/served") {
			return Response.json({ served });
		}
		if (pathname !== "/mcp") {
			return Response.json({ error: "not_found" }, { status: 404 });
		}
		const caller = await identity(request, env.SIGNING_SECRET);
		if (caller === undefined) {
			const message = `Call this server through the gateway: the header ${IDENTITY_HEADER} is missing or not valid.`;
			return Response.json({ error: "unauthorized", message }, { status: 401 });
		}
		const called = await calledTools(request.clone());
		// Of the request's own, as are the tools: what they say of the caller cannot be another's.
		const handler = createMcpHandler(
			() => {
				served += called.length;
				return mcpServer(caller, env, called);
			},
			{ keepAliveMs: KEEP_ALIVE },
		);
		return handler.fetch(request);
	},
};

function mcpServer(caller: Identity, env: Env, called: readonly unknown[]): McpServer {
	const server = new McpServer(
		{ name: "legis-sample", title: "Sample of the U.S. Congress", version: "1.0.0" },
		{
			capabilities: { tools: { listChanged: false } },
			instructions: "A few bills, members, votes and committees. Search first: the other tools want an id.",
		},
	);
	addTools(server, caller);
	if (env.SIMULATE === "1") {
		addSimulated(server, called);
	}
	return server;
}

/** The names of the tools that a request calls: one, or several in a batch of the oldest revision. */
async function calledTools(request: Request): Promise<unknown[]> {
	const body: unknown = await request.json().catch(() => undefined);
	return [body]
		.flat()
		.map((message) => message as { method?: unknown; params?: { name?: unknown } } | null | undefined)
		.filter((message) => message?.method === "tools/call")
		.map((message) => message?.params?.name);
}
