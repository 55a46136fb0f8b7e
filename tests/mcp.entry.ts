// An MCP server in workerd, whose one tool is metered for whoever calls.

import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { createClient } from "legis-edge/client";
import { meterTools } from "legis-edge/mcp";

interface Env {
	GATEWAY: string;
}

export default {
	fetch(request: Request, { GATEWAY }: Env, context: { waitUntil(promise: Promise<unknown>): void }) {
		const token = request.headers.get("Authorization")?.replace("Bearer ", "") ?? "";
		const handler = createMcpHandler(() => {
			const server = new McpServer({ name: "bills", version: "1.0.0" });
			const client = createClient({ baseUrl: GATEWAY, token });
			meterTools(server, { client, waitUntil: (settlement) => context.waitUntil(settlement) });
			server.registerTool("get-bill", {}, () => ({ content: [{ type: "text", text: "H.R. 1" }] }));
			return server;
		});
		return handler.fetch(request);
	},
};
