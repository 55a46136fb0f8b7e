/**
 * Meters the tools of an MCP server: every call is admitted, run, settled and logged, and the tools stay as they are.
 *
 * @module legis-edge/mcp
 */
import { LegisError, schemas, validate } from "legis-edge";
import { apart } from "./apart.ts";
import type { Client } from "./client.ts";
import { meteredCall } from "./mcp-call.ts";
import { secrets } from "./mcp-record.ts";
import { type ToolContext, type ToolServer, tap } from "./mcp-server.ts";

export type { CallerToken, ToolContext, ToolServer } from "./mcp-server.ts";

/** How a tool is metered. */
export interface ToolTerms {
	/** How many calls one of its calls costs; 1 when absent. */
	cost?: number;
	/**
	 * What is paid for: every attempt that the tool answered, an `isError` result too, or successes only. Attempts when
	 * absent. A tool that throws, or is late, is never paid for.
	 */
	charge?: "attempts" | "successes";
	/** After how many milliseconds the tool is told to stop, and its caller that it was late; never when absent. */
	timeoutMs?: number;
}

/** How the tools of a server are metered; `cost`, `charge` and `timeoutMs` are those of the tools that have none of their own. */
export interface MeterOptions<Context extends ToolContext = ToolContext> extends ToolTerms {
	/**
	 * Who is charged: the client whose token is the caller's. A server that one process runs for many users gives a function,
	 * which is asked with every call and given the SDK's context of the request. Keep a client for each user: it knows then
	 * without asking when nothing is left.
	 */
	client: Client | ((context: Context) => Client | Promise<Client>);
	/** What is different for single tools, by their names. */
	tools?: Record<string, ToolTerms>;
	/**
	 * Members of arguments and results that are not logged, in any depth and any case: `["password", "ssn"]`. They are found in
	 * texts too that are JSON, not in other text.
	 */
	redact?: readonly string[];
	/**
	 * Takes the settlement, which then delays no answer: `(settlement) => ctx.waitUntil(settlement)` in workerd. Without it
	 * an answer waits until its call is settled. It never rejects.
	 */
	waitUntil?: (settlement: Promise<void>) => void;
	/** Hears what failed: a call that could not be admitted, or not be settled. To the console when absent, in a line that names nobody. */
	onError?: (error: unknown, about: FailedCall) => void;
}

/** The call that something failed for. */
export interface FailedCall {
	/** The tool's name. */
	tool: string;
	/** The id of a call that was admitted and could not be settled. */
	call?: string;
}

/**
 * Meters every tool of `server`, whether it is registered before or after.
 *
 * @example
 * ```ts
 * const client = createClient({ baseUrl: "https://api.example.com", token: async () => "the user's access token" });
 * const server = new McpServer({ name: "bills", version: "1.0.0" });
 * meterTools(server, { client, tools: { "deep-search": { cost: 3, charge: "successes" } } });
 * ```
 */
export function meterTools<Context extends ToolContext = ToolContext>(
	server: ToolServer,
	options: MeterOptions<Context>,
): void {
	if (!["object", "function"].includes(typeof options?.client) || options.client === null) {
		throw new LegisError("invalid_argument", "client must be a client of the gateway, or a function that gives one.");
	}
	if (options.redact !== undefined && !Array.isArray(options.redact)) {
		throw new LegisError("invalid_argument", "redact must be a list of names.");
	}
	for (const terms of [options, ...Object.values(options.tools ?? {})]) {
		check(terms);
	}
	const calls = new WeakMap<AbortSignal, ReturnType<typeof meteredCall>>();
	const secret = secrets(options.redact);
	const tell = options.onError ?? log;
	tap(server, {
		async request({ params }, signal, answer) {
			// Nobody has checked the request yet: the SDK does, and says what is wrong with it.
			const tool = String(params?.name);
			const terms: ToolTerms = { ...options, ...options.tools?.[tool] };
			const call = meteredCall({
				tool,
				arguments: params?.arguments,
				signal,
				cost: terms.cost,
				timeoutMs: terms.timeoutMs,
				errorsAreCharged: terms.charge !== "successes",
				secret,
				waitUntil: options.waitUntil,
				report: (error, id) => apart(() => tell(error, { tool, ...(id === undefined ? {} : { call: id }) })),
			});
			calls.set(signal, call);
			return call.end(
				await answer().then(
					(result) => ({ type: "result", result }) as const,
					(error: unknown) => ({ type: "error", error }) as const,
				),
			);
		},
		tool({ outputSchema }, context, signal, run) {
			const call = calls.get(signal);
			if (call === undefined) {
				throw new LegisError("internal", "A tool was called without a request.");
			}
			const { client } = options;
			const clientOf = async () => (typeof client === "function" ? client(context as Context) : client);
			return call.run(clientOf, outputSchema !== undefined, run);
		},
	});
}

function check({ cost, charge, timeoutMs }: ToolTerms): void {
	const asked = validate(schemas.callRequest, { cost });
	if (!asked.ok) {
		throw new LegisError("invalid_argument", "The cost of a tool is a whole number of calls.", asked.issues);
	}
	if (charge !== undefined && charge !== "attempts" && charge !== "successes") {
		throw new LegisError("invalid_argument", 'charge must be "attempts" or "successes".');
	}
	// Timers are of 31 bits.
	if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs < 2 ** 31)) {
		throw new LegisError("invalid_argument", "timeoutMs must be a positive number of milliseconds.");
	}
}

/** In a line that names nobody: neither the error's message nor its document, which may tell of the caller. */
function log(error: unknown, { tool, call }: FailedCall): void {
	const kind = error instanceof Error ? error.name : typeof error;
	const code = (error as { code?: unknown } | null)?.code;
	console.error(
		`legis-edge: a call of the tool ${tool} could not be ${call === undefined ? "admitted" : "settled"}: ${kind}${
			typeof code === "string" ? ` ${code}` : ""
		}${call === undefined ? "" : ` (call ${call})`}`,
	);
}
