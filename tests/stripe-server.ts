// A local server that speaks as much of Stripe's API as the gateway asks for, idempotency keys included.

import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
	method: string;
	path: string;
	key: string | undefined;
	authorization: string | undefined;
	form: Record<string, string>;
}

/** How many subscriptions a list has at once: few, so that there are pages. */
const PAGE = 2;

export async function stripeServer() {
	const asked: Asked[] = [];
	const subscriptions = new Map<string, object>();
	const prices = new Map<string, object>();
	const answered = new Map<string, { form: string; answer: object }>();
	let made = 0;
	let down = false;
	/** The status of the next answer. */
	let next: number | undefined;
	/** Faults are repeated under the same key, as Stripe does. */
	const faults = new Map<string, number>();
	const latest = new Map<string, string>();

	const make = (path: string): object | undefined => {
		made += 1;
		switch (path) {
			case "/v1/customers":
				return { id: `cus_made_${made}`, object: "customer" };
			case "/v1/checkout/sessions":
				return { id: `cs_made_${made}`, object: "checkout.session", url: `https://checkout.example.com/${made}` };
			case "/v1/billing_portal/sessions":
				return { id: `bps_made_${made}`, object: "billing_portal.session", url: `https://portal.example.com/${made}` };
			default:
				return undefined;
		}
	};
	const answer = (one: Asked, body: string): [number, object] => {
		const refused = (type: string): [number, object] => [type === "not_found" ? 404 : 400, { error: { type } }];
		if (down) {
			return [503, { error: { type: "api_error" } }];
		}
		if (one.method === "GET") {
			if (one.path.startsWith("/v1/subscriptions?")) {
				const ids = [...subscriptions.keys()];
				const after = new URLSearchParams(one.path.split("?")[1]).get("starting_after");
				const page = ids.slice(after === null ? 0 : ids.indexOf(after) + 1).slice(0, PAGE);
				const data = page.map((id) => subscriptions.get(id) as object);
				return [200, { object: "list", data, has_more: page.at(-1) !== ids.at(-1) }];
			}
			const [, , kind, id = ""] = one.path.split("/");
			const found = (kind === "prices" ? prices : subscriptions).get(id);
			return found === undefined ? refused("not_found") : [200, found];
		}
		const fault = next ?? faults.get(one.key ?? "");
		next = undefined;
		if (fault !== undefined) {
			if (fault >= 500) {
				faults.set(one.key ?? "", fault);
			}
			return [fault, { error: { type: fault === 409 ? "idempotency_key_in_use" : "api_error" } }];
		}
		const before = one.key === undefined ? undefined : answered.get(one.key);
		if (before !== undefined) {
			return before.form === body ? [200, before.answer] : refused("idempotency_error");
		}
		const answer = make(one.path);
		if (answer === undefined) {
			return refused("not_found");
		}
		latest.set(one.path, (answer as { id: string }).id);
		if (one.key !== undefined) {
			answered.set(one.key, { form: body, answer });
		}
		return [200, answer];
	};
	const server = createServer(async (request, response) => {
		const body = await text(request);
		const one: Asked = {
			method: request.method ?? "",
			path: request.url ?? "",
			key: request.headers["idempotency-key"] as string | undefined,
			authorization: request.headers.authorization,
			form: Object.fromEntries(new URLSearchParams(body)),
		};
		asked.push(one);
		const [status, said] = answer(one, body);
		response.writeHead(status, { "Content-Type": "application/json" });
		response.end(JSON.stringify(said));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		asked,
		subscriptions,
		prices,
		/** What was made last at a path. */
		made: (path: string) => latest.get(path) ?? "",
		once(status: number) {
			next = status;
		},
		fail(fails: boolean) {
			down = fails;
		},
		close() {
			server.closeAllConnections();
			server.close();
		},
	};
}

async function text(request: IncomingMessage): Promise<string> {
	let body = "";
	for await (const chunk of request) {
		body += chunk;
	}
	return body;
}
