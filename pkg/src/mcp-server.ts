// Where a server of the MCP SDK is listened in on: the one place that knows its inside, which is the same in both majors.

import { LegisError } from "legis-edge";

/** An `McpServer` of `@modelcontextprotocol/server` 2, or of `@modelcontextprotocol/sdk` 1. */
export interface ToolServer {
	readonly server: object;
	connect(transport: never): Promise<void>;
}

/** Who calls, as the transport verified it. */
export interface CallerToken {
	token: string;
	clientId: string;
	scopes: string[];
}

/** What of the SDK's context of a request both majors have in some place: a function that wants more names the SDK's own type. */
export interface ToolContext {
	sessionId?: string | undefined;
	/** Who calls, in `@modelcontextprotocol/sdk` 1. */
	authInfo?: CallerToken | undefined;
	/** Who calls, in `@modelcontextprotocol/server` 2. */
	http?: { authInfo?: CallerToken | undefined } | undefined;
}

/** What of a registered tool is looked at. */
export interface RegisteredTool {
	outputSchema?: unknown;
}

/** A `tools/call`. */
export interface ToolRequest {
	params?: { name: string; arguments?: Record<string, unknown> };
}

/** What is done around every tool call. */
export interface Taps {
	/** Around the whole request: `answer` checks the arguments, runs the tool, and checks its result. */
	request(request: ToolRequest, signal: AbortSignal, answer: () => Promise<unknown>): Promise<unknown>;
	/** Around the tool alone, whose arguments are right by now. With a signal it gets that one instead of the request's. */
	tool(
		tool: RegisteredTool,
		context: ToolContext,
		signal: AbortSignal,
		run: (signal?: AbortSignal) => Promise<unknown>,
	): Promise<unknown>;
}

type Context = ToolContext & { signal?: AbortSignal; mcpReq?: { signal: AbortSignal } };
type Handler = (request: ToolRequest, context: Context) => unknown;
/** Both that run a tool: the second argument is its arguments, or the request. */
type Runner = (tool: RegisteredTool, given: unknown, context: Context) => Promise<unknown>;

interface Inside {
	server: { setRequestHandler?: (...asked: unknown[]) => void; _requestHandlers?: Map<string, Handler> };
	executeToolHandler?: Runner;
	/** A task of `@modelcontextprotocol/sdk` 1 that is waited for. */
	handleAutomaticTaskPolling?: Runner;
}

const METHOD = "tools/call";
/** Known to every copy of this file: as ES module and as CommonJS there are two. */
const METERED = Symbol.for("legis-edge.metered");

/** Listens in on a server, whose tools may be registered before or after. */
export function tap(server: ToolServer, taps: Taps): void {
	const inside = server as unknown as Inside;
	const protocol = inside.server;
	const handlers = protocol?._requestHandlers;
	const register = protocol?.setRequestHandler;
	const execute = inside.executeToolHandler;
	// Refused now, because what is not listened in on would be free.
	if (!(handlers instanceof Map) || typeof register !== "function" || typeof execute !== "function") {
		throw new LegisError(
			"invalid_argument",
			"The server is no McpServer of a release of the MCP SDK that can be metered: 1.24 or later, or 2.",
		);
	}
	if (METERED in server) {
		throw new LegisError("invalid_argument", "The tools of this server are metered already.");
	}
	Object.defineProperty(server, METERED, { value: true });

	const around = (run: Runner): Runner =>
		function (this: unknown, tool, given, context) {
			return taps.tool(tool, context, signalOf(context), async (signal) =>
				run.call(server, tool, given, signal === undefined ? context : withSignal(context, signal)),
			);
		};
	inside.executeToolHandler = around(execute);
	if (inside.handleAutomaticTaskPolling !== undefined) {
		inside.handleAutomaticTaskPolling = around(inside.handleAutomaticTaskPolling);
	}

	let ours: Handler | undefined;
	const wrap = () => {
		const theirs = handlers.get(METHOD);
		if (theirs !== undefined && theirs !== ours) {
			ours = (request, context) =>
				taps.request(request, signalOf(context), async () => theirs.call(protocol, request, context));
			handlers.set(METHOD, ours);
		}
	};
	// The server sets its handler when the first tool is registered.
	protocol.setRequestHandler = (...asked) => {
		register.apply(protocol, asked);
		wrap();
	};
	wrap();
}

/** The signal that aborts a request: the one thing that stays the same in every context that is made for it. */
function signalOf(context: Context): AbortSignal {
	return (context.mcpReq?.signal ?? context.signal) as AbortSignal;
}

function withSignal(context: Context, signal: AbortSignal): Context {
	return context.mcpReq === undefined ? { ...context, signal } : { ...context, mcpReq: { ...context.mcpReq, signal } };
}
