// A load generator that costs little: raw sockets, requests rendered once, one at a time on each connection.

import { connect, createServer, type Server } from "node:net";

export interface Round {
	/** Milliseconds of each call, in no order. */
	latencies: number[];
	/** How many answers were not 200. */
	refused: number;
	seconds: number;
}

/** Makes `calls` calls over `lanes` connections; `request(n)` is the text of the nth. */
export async function load(port: number, lanes: number, calls: number, request: (n: number) => string): Promise<Round> {
	const latencies: number[] = [];
	let next = 0;
	let refused = 0;
	const start = performance.now();
	await Promise.all(
		Array.from(
			{ length: lanes },
			() =>
				new Promise<void>((resolve, reject) => {
					const socket = connect({ port, host: "127.0.0.1", noDelay: true });
					let begun = 0;
					let received = "";
					const send = () => {
						if (next >= calls) {
							socket.end();
							resolve();
							return;
						}
						begun = performance.now();
						socket.write(request(next++));
					};
					socket.on("connect", send);
					socket.on("error", reject);
					socket.on("data", (chunk) => {
						received += chunk.toString("latin1");
						if (isComplete(received)) {
							latencies.push(performance.now() - begun);
							refused += received.startsWith("HTTP/1.1 200") ? 0 : 1;
							received = "";
							send();
						}
					});
				}),
		),
	);
	return { latencies, refused, seconds: (performance.now() - start) / 1000 };
}

function isComplete(answer: string): boolean {
	const end = answer.indexOf("\r\n\r\n");
	if (end < 0) {
		return false;
	}
	const length = /\r\ncontent-length: (\d+)/i.exec(answer.slice(0, end));
	return length === null
		? answer.endsWith("\r\n0\r\n\r\n") && answer.length > end + 4
		: answer.length >= end + 4 + Number(length[1]);
}

/** The id of every tool call. */
export const TOOL_CALL_ID = 1;

/** A data service that answers every GET with the same small document, and an MCP server that does so with every POST. */
export function upstream(): Promise<{ server: Server; port: number }> {
	const found = { total: 1, results: [{ id: "hr3684-117", title: "An Act", congress: 117 }] };
	const content = [{ type: "text", text: "hr3684-117: An Act" }];
	const answers = [found, { jsonrpc: "2.0", id: TOOL_CALL_ID, result: { content, structuredContent: found } }].map(
		(answer) => {
			const body = JSON.stringify(answer);
			return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
		},
	);
	const server = createServer((socket) => {
		socket.setNoDelay(true);
		socket.on("error", () => socket.destroy());
		let received = "";
		socket.on("data", (chunk) => {
			received += chunk.toString("latin1");
			for (let end = received.indexOf("\r\n\r\n"); end >= 0; end = received.indexOf("\r\n\r\n")) {
				const isCall = received.slice(0, end).includes("POST ");
				received = received.slice(end + 4);
				socket.write(answers[isCall ? 1 : 0] as string);
			}
		});
	});
	return new Promise((resolve) => {
		server.listen(0, "127.0.0.1", () => resolve({ server, port: (server.address() as { port: number }).port }));
	});
}
