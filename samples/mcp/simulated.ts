// Tools that behave as a test of the gateway needs it.

import { type McpServer, ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import { z } from "zod";
import { tellProgress } from "./progress.ts";
import { told } from "./tools.ts";
import { wait } from "./wait.ts";

const nothing = z.object({});

/** Adds them; `called` are the names of the tools that this request calls. */
export function addSimulated(server: McpServer, called: readonly unknown[]): void {
	server.registerTool(
		"slow",
		{ description: "Answers so many milliseconds later.", inputSchema: z.object({ ms: z.number().min(0) }) },
		async ({ ms }, context) => {
			// It makes a stream of the answer. Without one, nothing is written that would show that the caller has gone.
			await tellProgress(context, 0, ms, "Waiting");
			await wait(ms, context.mcpReq.signal);
			return told(`Waited ${ms} ms.`, { ms });
		},
	);
	server.registerTool("fail", { description: "Throws.", inputSchema: nothing }, () => {
		throw new Error("The tool failed on purpose.");
	});
	server.registerTool(
		"large",
		{ description: "A text so long.", inputSchema: z.object({ bytes: z.int().min(0) }) },
		({ bytes }) => ({ content: [{ type: "text", text: "a".repeat(bytes) }] }),
	);
	server.registerTool("tokens", { description: "Tells the tokens it used.", inputSchema: nothing }, () => ({
		content: [{ type: "text", text: "Used 321 tokens." }],
		_meta: { tokensUsed: 321 },
	}));
	server.registerTool(
		"secret",
		{
			description: "Answers what it was told.",
			inputSchema: z.object({ password: z.string(), note: z.string() }),
		},
		(asked) => told("As told.", asked),
	);
	server.registerTool("internal", { description: "An error of the protocol.", inputSchema: nothing }, internal);
	// Whatever a tool throws becomes a result; only the request's own handler can fail the request.
	if (called.includes("internal")) {
		server.server.setRequestHandler("tools/call", internal);
	}
}

function internal(): never {
	throw new ProtocolError(ProtocolErrorCode.InternalError, "Failed on purpose.");
}
