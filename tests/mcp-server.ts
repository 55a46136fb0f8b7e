// An MCP server that is told what to answer, and keeps what it was asked: bytes, headers, and who hung up.

import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
	method: string;
	headers: IncomingHttpHeaders;
	body: string;
	/** Whether the asker went away before the answer was complete. */
	hungUp: boolean;
}

/** Answers a message; whatever it does not end stays open. */
export type Answering = (message: Message, response: ServerResponse, asked: Asked) => void;

export interface Message {
	id?: number | string;
	method?: string;
	params?: { name?: string; arguments?: Record<string, unknown> };
}

export async function mcpServer() {
	const asked: Asked[] = [];
	const held: { answering: Answering } = { answering: (message, response) => json(response, result(message)) };
	const server = createServer(async (request, response) => {
		const pieces: Buffer[] = [];
		for await (const piece of request) {
			pieces.push(piece as Buffer);
		}
		const body = Buffer.concat(pieces).toString();
		const one: Asked = { method: request.method ?? "", headers: request.headers, body, hungUp: false };
		asked.push(one);
		response.on("close", () => {
			one.hungUp = !response.writableFinished;
		});
		held.answering(body === "" ? {} : (JSON.parse(body) as Message), response, one);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
		asked,
		answer(answering: Answering) {
			held.answering = answering;
		},
		close() {
			server.closeAllConnections();
			server.close();
		},
	};
}

export const result = (message: Message, more: object = {}) => ({
	jsonrpc: "2.0",
	id: message.id,
	result: { content: [{ type: "text", text: `ran ${message.params?.name}` }], ...more },
});

export function json(response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}) {
	response.writeHead(status, { "Content-Type": "application/json", ...headers });
	response.end(body === undefined ? "" : JSON.stringify(body));
}

export function stream(response: ServerResponse) {
	response.writeHead(200, { "Content-Type": "text/event-stream" });
	response.flushHeaders();
	return {
		say: (message: unknown) => response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`),
		end: () => response.end(),
		breakOff: () => response.destroy(),
	};
}
