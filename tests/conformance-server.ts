// What the official conformance suite asks of a server, on the official SDK: sessions, streams that resume, and requests
// to the client. It keeps what it was asked, and whether the gateway asked it.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { type EventStore, StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
	CallToolRequestSchema,
	type CallToolResult,
	CompleteRequestSchema,
	type ContentBlock,
	CreateMessageResultSchema,
	type ElicitRequestFormParams,
	ElicitResultSchema,
	ErrorCode,
	GetPromptRequestSchema,
	type JSONRPCMessage,
	ListPromptsRequestSchema,
	ListResourcesRequestSchema,
	ListResourceTemplatesRequestSchema,
	ListToolsRequestSchema,
	McpError,
	type PromptMessage,
	ReadResourceRequestSchema,
	type ServerNotification,
	type ServerRequest,
	SubscribeRequestSchema,
	type Tool,
	UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";

export interface Asked {
	verb: string;
	/** The method of a message; a client's answer has none. */
	method: string | undefined;
	byGateway: boolean;
	resumes: boolean;
}

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

interface Fixture {
	description: string;
	inputSchema?: Tool["inputSchema"];
	run(args: Record<string, unknown>, extra: Extra): CallToolResult | Promise<CallToolResult>;
}

/** One red pixel. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/** A WAV file of no samples. */
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
/** The revision that sessions here agree on. */
const REVISION = "2025-11-25";
/** How long a tool works between two words. */
const STEP_MILLIS = 50;

const text = (said: string): ContentBlock => ({ type: "text", text: said });
const image: ContentBlock = { type: "image", data: PNG, mimeType: "image/png" };
const resource = (uri: string, mimeType: string, said: string): ContentBlock => ({
	type: "resource",
	resource: { uri, mimeType, text: said },
});
const saying = (...content: ContentBlock[]): CallToolResult => ({ content });
const needing = (name: string): Tool["inputSchema"] => ({
	type: "object",
	properties: { [name]: { type: "string" } },
	required: [name],
});

/** Asks the user, on the stream of the call that wants to know. */
async function elicit(extra: Extra, message: string, requestedSchema: ElicitRequestFormParams["requestedSchema"]) {
	const params = { mode: "form" as const, message, requestedSchema };
	const { action, content } = await extra.sendRequest({ method: "elicitation/create", params }, ElicitResultSchema);
	return saying(text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`));
}

const OPTIONS = ["option1", "option2", "option3"];
const TITLED = [
	{ const: "value1", title: "First" },
	{ const: "value2", title: "Second" },
	{ const: "value3", title: "Third" },
];

const TOOLS: Record<string, Fixture> = {
	test_simple_text: {
		description: "Says something",
		run: () => saying(text("This is a simple text response for testing.")),
	},
	test_image_content: { description: "Shows something", run: () => saying(image) },
	test_audio_content: {
		description: "Sounds like nothing",
		run: () => saying({ type: "audio", data: WAV, mimeType: "audio/wav" }),
	},
	test_embedded_resource: {
		description: "Holds a resource",
		run: () => saying(resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
	},
	test_multiple_content_types: {
		description: "Holds one of each",
		run: () =>
			saying(
				text("Multiple content types test:"),
				image,
				resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
			),
	},
	test_tool_with_logging: {
		description: "Logs while it runs",
		async run(_, extra) {
			for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
				await extra.sendNotification({ method: "notifications/message", params: { level: "info", data } });
				await wait(STEP_MILLIS);
			}
			return saying(text("It has logged."));
		},
	},
	test_error_handling: {
		description: "Fails",
		run() {
			throw new Error("This tool intentionally returns an error for testing");
		},
	},
	test_tool_with_progress: {
		description: "Tells how far it is",
		async run(_, extra) {
			const progressToken = extra._meta?.progressToken;
			for (const progress of [0, 50, 100]) {
				if (progressToken !== undefined) {
					const params = { progressToken, progress, total: 100 };
					await extra.sendNotification({ method: "notifications/progress", params });
				}
				await wait(STEP_MILLIS);
			}
			return saying(text("It is done."));
		},
	},
	test_sampling: {
		description: "Asks the client's model",
		inputSchema: needing("prompt"),
		async run({ prompt }, extra) {
			const messages = [{ role: "user" as const, content: { type: "text" as const, text: String(prompt) } }];
			const { content } = await extra.sendRequest(
				{ method: "sampling/createMessage", params: { messages, maxTokens: 100 } },
				CreateMessageResultSchema,
			);
			return saying(text(`LLM response: ${content.type === "text" ? content.text : content.type}`));
		},
	},
	test_elicitation: {
		description: "Asks the user",
		inputSchema: needing("message"),
		run: ({ message }, extra) =>
			elicit(extra, String(message), {
				type: "object",
				properties: { username: { type: "string" }, email: { type: "string" } },
				required: ["username", "email"],
			}),
	},
	test_elicitation_sep1034_defaults: {
		description: "Asks the user, with defaults",
		run: (_, extra) =>
			elicit(extra, "Is it so?", {
				type: "object",
				properties: {
					name: { type: "string", default: "John Doe" },
					age: { type: "integer", default: 30 },
					score: { type: "number", default: 95.5 },
					status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
					verified: { type: "boolean", default: true },
				},
			}),
	},
	test_elicitation_sep1330_enums: {
		description: "Asks the user to choose",
		run: (_, extra) =>
			elicit(extra, "Which?", {
				type: "object",
				properties: {
					untitledSingle: { type: "string", enum: OPTIONS },
					titledSingle: { type: "string", oneOf: TITLED },
					legacyEnum: { type: "string", enum: ["opt1", "opt2"], enumNames: ["Option One", "Option Two"] },
					untitledMulti: { type: "array", items: { type: "string", enum: OPTIONS } },
					titledMulti: { type: "array", items: { anyOf: TITLED } },
				},
			}),
	},
	test_reconnection: {
		description: "Hangs up and answers whoever comes back",
		async run(_, extra) {
			await wait(STEP_MILLIS);
			extra.closeSSEStream?.();
			await wait(6 * STEP_MILLIS);
			return saying(text("You came back."));
		},
	},
	json_schema_2020_12_tool: {
		description: "Has a schema of JSON Schema 2020-12",
		inputSchema: {
			$schema: "https://json-schema.org/draft/2020-12/schema",
			type: "object",
			$defs: {
				address: { type: "object", properties: { street: { type: "string" }, city: { type: "string" } } },
			},
			properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
			additionalProperties: false,
		},
		run: () => saying(text("It was valid.")),
	},
};

const RESOURCES: Record<string, { mimeType: string } & ({ text: string } | { blob: string })> = {
	"test://static-text": { mimeType: "text/plain", text: "This is the content of the static text resource." },
	"test://static-binary": { mimeType: "image/png", blob: PNG },
	"test://watched-resource": { mimeType: "text/plain", text: "This is the content of the watched resource." },
};
const TEMPLATE = "test://template/{id}/data";

type Words = Record<string, string>;

interface Prompt {
	description: string;
	names: string[];
	content(words: Words): ContentBlock[];
}

const PROMPTS: Record<string, Prompt> = {
	test_simple_prompt: {
		description: "Says something",
		names: [],
		content: () => [text("This is a simple prompt for testing.")],
	},
	test_prompt_with_arguments: {
		description: "Says what it is told",
		names: ["arg1", "arg2"],
		content: ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
	},
	test_prompt_with_embedded_resource: {
		description: "Holds a resource",
		names: ["resourceUri"],
		content: ({ resourceUri }) => [
			resource(resourceUri ?? "", "text/plain", "Embedded resource content for testing."),
			text("Please process the embedded resource above."),
		],
	},
	test_prompt_with_image: {
		description: "Shows something",
		names: [],
		content: () => [image, text("Please analyze the image above.")],
	},
};

/** A server for one session, of the SDK's lower level: the higher one rewrites the schemas of tools. */
function session(): Server {
	const server = new Server(
		{ name: "conformance-server", version: "1.0.0" },
		{ capabilities: { tools: {}, resources: { subscribe: true }, prompts: {}, completions: {}, logging: {} } },
	);
	server.setRequestHandler(ListToolsRequestSchema, () => ({
		tools: Object.entries(TOOLS).map(([name, { description, inputSchema }]) => ({
			name,
			description,
			inputSchema: inputSchema ?? { type: "object" },
		})),
	}));
	server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
		const tool = TOOLS[params.name];
		if (tool === undefined) {
			throw new McpError(ErrorCode.InvalidParams, `no tool ${params.name}`);
		}
		try {
			return await tool.run(params.arguments ?? {}, extra);
		} catch (error) {
			return { isError: true, content: [text(error instanceof Error ? error.message : String(error))] };
		}
	});
	server.setRequestHandler(ListResourcesRequestSchema, () => ({
		resources: Object.entries(RESOURCES).map(([uri, { mimeType }]) => ({ uri, name: uri, description: uri, mimeType })),
	}));
	server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
		resourceTemplates: [{ uriTemplate: TEMPLATE, name: "template", description: "Data by their id" }],
	}));
	server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => {
		const known = RESOURCES[uri];
		if (known !== undefined) {
			return { contents: [{ uri, ...known }] };
		}
		const [, id] = /^test:\/\/template\/([^/]+)\/data$/.exec(uri) ?? [];
		if (id === undefined) {
			throw new McpError(-32002, "no such resource", { uri });
		}
		const data = { id, templateTest: true, data: `Data for ID: ${id}` };
		return { contents: [{ uri, mimeType: "application/json", text: JSON.stringify(data) }] };
	});
	server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }) => {
		// Whoever subscribes hears of it at once, on the stream that belongs to no request.
		setImmediate(() => void server.sendResourceUpdated({ uri }));
		return {};
	});
	server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
	server.setRequestHandler(ListPromptsRequestSchema, () => ({
		prompts: Object.entries(PROMPTS).map(([name, { description, names }]) => ({
			name,
			description,
			arguments: names.map((name) => ({ name, required: true })),
		})),
	}));
	server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
		const prompt = PROMPTS[params.name];
		if (prompt === undefined) {
			throw new McpError(ErrorCode.InvalidParams, `no prompt ${params.name}`);
		}
		const content = prompt.content(params.arguments ?? {});
		return { messages: content.map((content): PromptMessage => ({ role: "user", content })) };
	});
	server.setRequestHandler(CompleteRequestSchema, ({ params: { argument } }) => {
		const values = ["test", "testing", "party"].filter((value) => value.startsWith(argument.value));
		return { completion: { values, total: values.length, hasMore: false } };
	});
	return server;
}

/** What a session's streams have said, in order. */
function events(): EventStore {
	const said: { stream: string; message: JSONRPCMessage }[] = [];
	return {
		storeEvent: async (stream, message) => String(said.push({ stream, message })),
		getStreamIdForEventId: async (id) => said[Number(id) - 1]?.stream,
		async replayEventsAfter(last, { send }) {
			const stream = said[Number(last) - 1]?.stream ?? "";
			for (let index = Number(last); index < said.length; index++) {
				const event = said[index];
				if (event?.stream === stream) {
					await send(String(index + 1), event.message);
				}
			}
			return stream;
		},
	};
}

/** The suite asks by hand as of 2025-03-26 for streams that resume, which the SDK gives only to its sessions' own revision. */
function asAgreed(request: IncomingMessage) {
	const at = request.rawHeaders.findIndex((name) => name.toLowerCase() === "mcp-protocol-version");
	if (at >= 0) {
		request.rawHeaders[at + 1] = REVISION;
	}
}

export async function conformanceServer() {
	const asked: Asked[] = [];
	const sessions = new Map<string, StreamableHTTPServerTransport>();
	const server = createServer(async (request, response) => {
		const pieces: Buffer[] = [];
		for await (const piece of request) {
			pieces.push(piece as Buffer);
		}
		const body =
			pieces.length === 0 ? undefined : (JSON.parse(Buffer.concat(pieces).toString()) as { method?: string });
		asked.push({
			verb: request.method ?? "",
			method: body?.method,
			byGateway: request.headers["legis-identity"] !== undefined,
			resumes: request.headers["last-event-id"] !== undefined,
		});
		// A page whose name was bound to this machine would say its own.
		if (!/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(request.headers.host ?? "")) {
			response.writeHead(403).end();
			return;
		}
		asAgreed(request);
		const id = request.headers["mcp-session-id"];
		let transport = sessions.get(String(id));
		if (id !== undefined && transport === undefined) {
			response.writeHead(404).end();
			return;
		}
		if (transport === undefined) {
			const begun = new StreamableHTTPServerTransport({
				sessionIdGenerator: randomUUID,
				eventStore: events(),
				retryInterval: STEP_MILLIS,
				onsessioninitialized: (id) => void sessions.set(id, begun),
				onsessionclosed: (id) => void sessions.delete(id),
			});
			transport = begun;
			await session().connect(begun as Transport);
		}
		await transport.handleRequest(request, response, body);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
		asked,
		sessions,
		close() {
			server.closeAllConnections();
			server.close();
		},
	};
}
