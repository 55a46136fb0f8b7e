// Servers and clients of both majors of the MCP SDK, connected in this process, behind one face.

import { Client as Client2, InMemoryTransport as Transport2 } from "@modelcontextprotocol/client";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport as Transport1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer as McpServer1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { CallToolRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { McpServer as McpServer2, type ServerContext } from "@modelcontextprotocol/server";
import type { ToolServer } from "legis-edge/mcp";
import type { z } from "zod";

/** What a tool answers, or a client gets. */
export interface Result {
	[member: string]: unknown;
	content: { type: "text"; text: string }[];
	isError?: boolean;
	structuredContent?: Record<string, unknown>;
	_meta?: Record<string, unknown>;
}

export interface Tool {
	input?: z.ZodObject;
	output?: z.ZodObject;
	run(given: Record<string, unknown>, signal: AbortSignal): Result | Promise<Result>;
}

/** A server and its client. */
export interface Pair {
	server: ToolServer;
	register(name: string, tool: Tool): { replace(run: Tool["run"]): void };
	/** Sets a handler for tool calls past the server's own. */
	override(answer: () => Result): void;
	/** From now on the transport vouches for the owner of this token. */
	signIn(token: string): void;
	connect(): Promise<void>;
	list(): Promise<string[]>;
	call(name: string, given?: Record<string, unknown>, signal?: AbortSignal): Promise<Result>;
}

const SERVER = { name: "bills", version: "1.0.0" };
const CLIENT = { name: "model", version: "1.0.0" };

/** What is said of a tool's output, where something is. */
const said = (output: z.ZodObject | undefined) =>
	(output === undefined ? {} : { outputSchema: output }) as { outputSchema: z.ZodObject };

interface Sends {
	send(message: never, options?: { authInfo?: { token: string; clientId: string; scopes: string[] } }): Promise<void>;
}

/** A transport that vouches for whoever is signed in. */
function vouching(transport: Sends) {
	let token: string | undefined;
	const send = transport.send.bind(transport);
	transport.send = (message, options) =>
		send(message, token === undefined ? options : { ...options, authInfo: { token, clientId: "c", scopes: [] } });
	return (owner: string) => {
		token = owner;
	};
}

/** `@modelcontextprotocol/server` 2. */
export function current(): Pair {
	const server = new McpServer2(SERVER);
	const client = new Client2(CLIENT);
	const [near, far] = Transport2.createLinkedPair();
	return {
		server,
		register(name, { input, output, run }) {
			const registered = input
				? server.registerTool(name, { inputSchema: input, ...said(output) }, (given, context) =>
						run(given, context.mcpReq.signal),
					)
				: server.registerTool(name, said(output), (context) => run({}, context.mcpReq.signal));
			return {
				replace: (other) =>
					registered.update({ callback: (context: ServerContext) => other({}, context.mcpReq.signal) } as never),
			};
		},
		override: (answer) => server.server.setRequestHandler("tools/call", () => answer()),
		signIn: vouching(near as Sends),
		async connect() {
			await Promise.all([server.connect(far), client.connect(near)]);
		},
		list: async () => (await client.listTools()).tools.map(({ name }) => name),
		call: async (name, given = {}, signal) =>
			(await client.callTool({ name, arguments: given }, signal ? { signal } : {})) as Result,
	};
}

/** `@modelcontextprotocol/sdk` 1. */
export function previous(server = new McpServer1(SERVER)): Pair {
	const client = new Client1(CLIENT);
	const [near, far] = Transport1.createLinkedPair();
	return {
		server,
		register(name, { input, output, run }) {
			const registered = input
				? server.registerTool(name, { inputSchema: input, ...said(output) }, (given, { signal }) =>
						run(given as Record<string, unknown>, signal),
					)
				: server.registerTool(name, said(output), ({ signal }) => run({}, signal));
			return { replace: (other) => registered.update({ callback: ({ signal }: never) => other({}, signal) } as never) };
		},
		override: (answer) => server.server.setRequestHandler(CallToolRequestSchema, () => answer()),
		signIn: vouching(near as Sends),
		async connect() {
			await Promise.all([server.connect(far), client.connect(near)]);
		},
		list: async () => (await client.listTools()).tools.map(({ name }) => name),
		call: async (name, given = {}, signal) =>
			(await client.callTool({ name, arguments: given }, undefined, signal ? { signal } : {})) as Result,
	};
}
