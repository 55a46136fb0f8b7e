// `legis-edge/client` against the running gateway, and against a network that fails.

import { contract } from "legis-edge";
import { createClient, ProblemError, QuotaExceeded, Unreachable } from "legis-edge/client";
import Stripe from "stripe";
import { describe, expect, inject, test, vi } from "vitest";
import { empty, happen } from "../samples/stripe/account.ts";
import { fresh, used } from "./clients.ts";

describe("the running gateway", () => {
	test("registers, calls, and knows where the user stands from the headers alone", async () => {
		const { client, paths } = await fresh();
		expect(await client.register({ name: "Ada" })).toMatchObject({ name: "Ada", plan: "free" });
		for (let call = 1; call <= 3; call++) {
			const response = await client.call("/api/bills?limit=1");
			expect([response.status, client.known?.usage.lifetime.used]).toEqual([200, call]);
		}
		expect(paths()).toEqual(["/api/users/register", "/api/account", "/api/bills", "/api/bills", "/api/bills"]);
		expect(await used(client)).toBe(3);
		expect(await client.usage(7)).toMatchObject([{ endpoint: "/api/bills", total_calls: 3 }]);
	});

	test("a call that would be refused is not sent, unless one insists; what is bought is believed", async () => {
		let ahead = 0;
		const { sub, client, paths } = await fresh({ now: () => Date.now() + ahead });
		const { id } = await client.reserve({ cost: 100, tool: "get-bill" });
		await client.settle(id, { status: "success" });
		const refused = await client.call("/api/bills").catch((error) => error);
		expect(refused).toBeInstanceOf(QuotaExceeded);
		expect(refused).toMatchObject({ decision: { used: 100, suggestedPlan: "developer" }, problem: undefined });
		expect(paths()).not.toContain("/api/bills");
		const insisted = await client.call("/api/bills", { insist: true }).catch((error) => error);
		expect(insisted).toMatchObject({ name: "QuotaExceeded", problem: { status: 429 }, message: refused.message });
		const event = happen(empty(), {
			type: "customer.subscription.created",
			user: sub,
			plan: "starter",
			at: Math.floor(Date.now() / 1000),
		});
		const payload = JSON.stringify({ ...event, id: `evt_${sub}` });
		const secret = "whsec_local_events_of_this_machine";
		const header = await Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret });
		await fetch(`${inject("base")}/api/webhooks/stripe`, {
			method: "POST",
			body: payload,
			headers: { "Stripe-Signature": header },
		});
		ahead = 6_000;
		expect((await client.call("/api/bills?limit=1")).status).toBe(200);
		expect(client.known?.usage.period?.used).toBe(1);
	});

	test("what was given back can be used at once", async () => {
		const { client } = await fresh();
		const { id } = await client.reserve({ cost: 100 });
		await expect(client.reserve()).rejects.toBeInstanceOf(QuotaExceeded);
		await client.settle(id, { status: "error" });
		expect((await client.reserve({ cost: 100 })).decision.remaining).toBe(0);
	});

	test("tool calls are logged and listed", async () => {
		const { client } = await fresh();
		await client.logToolCall({ tool_name: "get-bill", status: "success", response_time_ms: 5 });
		expect(await client.toolCalls({ limit: 5 })).toMatchObject({
			logs: [{ tool_name: "get-bill" }],
			pagination: { total: 1, limit: 5 },
		});
	});

	test("problems are errors with their document; what the data service answers is an answer", async () => {
		const { client } = await fresh();
		const problem = await client.settle("no-such-call", { status: "success" }).catch((error) => error);
		expect(problem).toBeInstanceOf(ProblemError);
		expect(problem).toMatchObject({ status: 404, code: "unknown_call", problem: { title: expect.any(String) } });
		expect((await client.call("/api/bills/hr0-0")).status).toBe(404);
	});
});

describe("a network that fails", () => {
	test("what is sent again has the same key, and is charged once", async () => {
		let failures = 2;
		const { client, sent } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				// The answer is lost on its way back.
				if (new URL((request as Request).url).pathname === "/api/bills" && failures-- > 0) {
					throw new TypeError("network");
				}
				return response;
			},
		});
		expect((await client.call("/api/bills?limit=1")).status).toBe(200);
		const keys = sent
			.filter(({ url }) => url.includes("/api/bills"))
			.map(({ headers }) => headers.get("Idempotency-Key"));
		expect([keys.length, new Set(keys).size, keys[0]?.length]).toEqual([3, 1, 36]);
		expect(await used(client)).toBe(1);
	});

	test("what the gateway cannot answer now is asked again when it says; what is final is not", async () => {
		const answers = [503, 200];
		const { client, sent } = await fresh({
			fetch: async () =>
				new Response(JSON.stringify({ stats: [] }), {
					status: answers.shift() ?? 500,
					headers: { "Retry-After": "0", "Content-Type": "application/json" },
				}),
		});
		expect(await client.usage()).toEqual([]);
		expect(sent).toHaveLength(2);
		await expect(client.usage()).rejects.toMatchObject({ name: "ProblemError", status: 500, retryAfter: 0 });
		expect(sent).toHaveLength(3);
	});

	test("a gateway that cannot be reached is an error of its own", async () => {
		const { client, sent } = await fresh({ fetch: () => Promise.reject(new TypeError("refused")), retries: 0 });
		await expect(client.account()).rejects.toBeInstanceOf(Unreachable);
		expect(sent).toHaveLength(1);
	});

	test("many who ask at once share one answer, and who gives up does not take it from the others", async () => {
		const { client, paths } = await fresh();
		const impatient = new AbortController();
		const all = [client.account({ signal: impatient.signal }), ...Array.from({ length: 9 }, () => client.account())];
		impatient.abort(new Error("enough"));
		const [first, ...others] = await Promise.allSettled(all);
		expect(first).toMatchObject({ status: "rejected", reason: { message: "enough" } });
		expect(others.every(({ status }) => status === "fulfilled")).toBe(true);
		expect(paths()).toEqual(["/api/account"]);
	});

	test("whoever asks anew while another asks has a request that begins later, and shares it", async () => {
		let release = () => {};
		const waits = new Promise<void>((resolve) => {
			release = resolve;
		});
		const { client, paths } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				await waits;
				return response;
			},
		});
		const first = client.account();
		await vi.waitFor(() => expect(paths()).toHaveLength(1));
		const anew = [client.account({ fresh: true }), client.account({ fresh: true })];
		release();
		await Promise.all([first, ...anew]);
		expect(paths()).toEqual(["/api/account", "/api/account"]);
	});

	test("an answer that breaks off is asked for again with the same key, and is charged once", async () => {
		let failures = 1;
		const { client, sent } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				if (new URL((request as Request).url).pathname !== "/api/calls" || failures-- <= 0) {
					return response;
				}
				return new Response(new ReadableStream({ pull: (to) => to.error(new TypeError("terminated")) }), response);
			},
		});
		await client.reserve({ cost: 3 });
		const calls = sent.filter(({ url }) => url.endsWith("/api/calls"));
		expect(new Set(calls.map(({ headers }) => headers.get("Idempotency-Key"))).size).toBe(1);
		expect([calls.length, await used(client)]).toEqual([2, 3]);
	});

	test("who tries again later has the key", async () => {
		let broken = true;
		const { client } = await fresh({
			retries: 0,
			fetch: async (request) => {
				const response = await fetch(request as Request);
				if (broken && (request as Request).method === "POST") {
					throw new TypeError("network");
				}
				return response;
			},
		});
		const record = { tool_name: "get-bill", status: "success" } as const;
		const error = await client.logToolCall(record).catch((error: unknown) => error);
		expect(error).toBeInstanceOf(Unreachable);
		broken = false;
		await client.logToolCall(record, { idempotencyKey: (error as Unreachable).idempotencyKey as string });
		expect(await used(client)).toBe(1);
	});

	test("what fails beside a call does not lose its answer", async () => {
		const reported = vi.spyOn(console, "error").mockImplementation(() => {});
		const { client } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				return new Response(response.body, {
					status: response.status,
					headers: [...response.headers].map(([name, value]) => [name, name === "legis-contract" ? "next" : value]),
				});
			},
			onContractMismatch: () => {
				throw new Error("no reload here");
			},
		});
		client.subscribe(() => {
			throw new Error("no page here");
		});
		expect((await client.call("/api/bills?limit=1")).status).toBe(200);
		expect(reported.mock.calls.map(([error]) => (error as Error).message)).toContain("no page here");
		reported.mockRestore();
	});

	test("what fails later beside a call ends nothing", async () => {
		const reported = vi.spyOn(console, "error").mockImplementation(() => {});
		const { client } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				const headers = new Headers(response.headers);
				headers.set("Legis-Contract", "next");
				return new Response(response.body, { status: response.status, headers });
			},
			// Whoever waits for something is a function like any other.
			onContractMismatch: async () => {
				throw new Error("no reload here either");
			},
		});
		await client.account();
		await vi.waitFor(() =>
			expect(reported.mock.calls.map(([error]) => (error as Error).message)).toContain("no reload here either"),
		);
		reported.mockRestore();
	});

	test("a problem whose document breaks off is one that may be asked again; who gives up while it is read hears why", async () => {
		let answers = 0;
		const problem = (body: BodyInit) =>
			new Response(body, { status: 429, headers: { "Content-Type": "application/problem+json" } });
		const broken = () => new ReadableStream({ pull: (to) => to.error(new TypeError("terminated")) });
		const { client } = await fresh({
			fetch: async (request) => (++answers === 1 ? problem(broken()) : fetch(request as Request)),
		});
		expect((await client.account()).entitlement.plan).toBe("free");
		expect(answers).toBe(2);
		const { client: patient } = await fresh({ retries: 0, fetch: async () => problem(broken()) });
		await expect(patient.account()).rejects.toBeInstanceOf(Unreachable);
		const { client: odd } = await fresh({ retries: 0, fetch: async () => problem("<html>") });
		await expect(odd.account()).rejects.toMatchObject({ name: "ProblemError", status: 429, code: "unknown" });
		const controller = new AbortController();
		const slow = new ReadableStream({
			pull: (to) => {
				controller.abort(new Error("enough"));
				to.error(controller.signal.reason);
			},
		});
		const { client: gone } = await fresh({ retries: 0, fetch: async () => problem(slow) });
		await expect(gone.usage(1, { signal: controller.signal })).rejects.toThrow("enough");
	});

	test("more may be used than is allowed, and a refusal is not believed because the clock was set back", async () => {
		let clock = Date.now();
		let used = 250;
		let asked = 0;
		const { client } = await fresh({
			now: () => clock,
			fetch: async (request) => {
				const response = await fetch(request as Request);
				const path = new URL((request as Request).url).pathname;
				if (path === "/api/account") {
					asked += 1;
					const account = (await response.json()) as { usage: { lifetime: { used: number } } };
					account.usage.lifetime.used = used;
					return Response.json(account);
				}
				const headers = new Headers(response.headers);
				headers.set("X-RateLimit-Remaining", "0");
				return new Response(response.body, { status: response.status, headers });
			},
		});
		await client.account();
		await client.call("/api/bills?limit=1", { insist: true });
		expect(client.known?.usage.lifetime.used).toBe(250);
		await expect(client.call("/api/bills")).rejects.toBeInstanceOf(QuotaExceeded);
		const before = asked;
		clock -= 3_600_000;
		used = 0;
		expect((await client.call("/api/bills?limit=1")).status).toBe(200);
		expect(asked).toBe(before + 1);
	});

	test("whose clock is wrong is refused by the gateway's clock, not by theirs", async () => {
		const day = 24 * 3_600_000;
		const rightly = Date.now;
		const [from, until] = [31 * day, 3_600_000].map((ago) => new Date(rightly() - ago).toISOString());
		const renewed = (response: Response, account: Record<string, unknown>) => {
			account.entitlement = { plan: "developer", standing: "active", anchor: from, version: 1 };
			account.usage = {
				lifetime: { start: from, used: 0, mcp: 0 },
				period: { start: from, end: until, used: 1_000, mcp: 0 },
			};
			const headers = {
				"Legis-Contract": response.headers.get("legis-contract") ?? "",
				Date: new Date().toUTCString(),
			};
			return Response.json(account, { status: response.status, headers });
		};
		const { client, paths } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				return new URL((request as Request).url).pathname === "/api/account"
					? renewed(response, (await response.json()) as Record<string, unknown>)
					: response;
			},
		});
		const theirs = vi.spyOn(Date, "now").mockImplementation(() => rightly() - 40 * day);
		try {
			expect((await client.call("/api/bills?limit=1")).status).toBe(200);
			expect(paths()).toEqual(["/api/account", "/api/bills"]);
			expect(Math.abs(client.now() - rightly())).toBeLessThan(10_000);
		} finally {
			theirs.mockRestore();
		}
	});

	test("what the caller got wrong is said at once, and nothing is sent for it", async () => {
		for (const wrong of [
			{ baseUrl: undefined },
			{ baseUrl: "api.example.com" },
			{ token: undefined },
			{ token: () => undefined },
			{ token: "" },
		]) {
			const options = {
				baseUrl: "https://api.example.com",
				token: "t",
				fetch: () => Promise.reject(new Error("sent")),
			};
			const attempt = async () => createClient({ ...options, ...wrong } as never).account();
			await expect(attempt()).rejects.toMatchObject({ name: "LegisError", code: "invalid_argument" });
		}
		const { client, sent } = await fresh();
		for (const wrong of [{ body: "{}" }, { method: "GE T" }, { mode: "navigate" }] as never[]) {
			await expect(client.call("/api/bills", { insist: true, ...(wrong as object) })).rejects.toBeInstanceOf(TypeError);
		}
		const signal = AbortSignal.abort(new Error("never mind"));
		await expect(client.call("/api/bills", { signal })).rejects.toThrow("never mind");
		expect(sent).toEqual([]);
	});

	test("a page that answers for the gateway is told of, and asked once", async () => {
		const { client, sent } = await fresh({
			fetch: async () => new Response("<!doctype html>", { headers: { "Content-Type": "text/html" } }),
		});
		await expect(client.account()).rejects.toMatchObject({
			name: "ProblemError",
			status: 200,
			message: expect.stringContaining("is the gateway at http"),
		});
		expect(sent).toHaveLength(1);
	});

	test("a call whose answer was lost is made again under its key, and charged once", async () => {
		let lost = true;
		const { client } = await fresh({
			retries: 0,
			fetch: async (request) => {
				const response = await fetch(request as Request);
				if (lost && new URL((request as Request).url).pathname === "/api/bills") {
					throw new TypeError("lost");
				}
				return response;
			},
		});
		// It is the last call, and its answer is all that is left to have.
		const { id } = await client.reserve({ cost: 99 });
		await client.settle(id, { status: "success" });
		const options = { idempotencyKey: "a-key-of-mine" };
		const error = await client.call("/api/bills?limit=1", options).catch((error: unknown) => error);
		expect(error).toMatchObject({ name: "Unreachable", idempotencyKey: "a-key-of-mine" });
		lost = false;
		expect(await used(client)).toBe(100);
		const { idempotencyKey } = error as Unreachable;
		expect((await client.call("/api/bills?limit=1", { idempotencyKey })).status).toBe(200);
		expect(await used(client)).toBe(100);
		await expect(client.call("/api/bills?limit=1")).rejects.toBeInstanceOf(QuotaExceeded);
	});

	test("an account of a newer gateway is the gateway's to judge", async () => {
		const { client, paths } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				return new URL((request as Request).url).pathname === "/api/account"
					? new Response((await response.text()).replace('"plan":"free"', '"plan":"team"'), response)
					: response;
			},
		});
		expect((await client.account()).entitlement.plan).toBe("team");
		expect((await client.call("/api/bills?limit=1")).status).toBe(200);
		expect(paths().at(-1)).toBe("/api/bills");
	});

	test("the token goes to the gateway alone", async () => {
		const { client, sent } = await fresh();
		const tabs = ["/\t/example.org", "/\n/example.org", "/\r/example.org"];
		for (const path of ["@example.org/x", ".example.org/x", "//example.org/x", "/\\example.org", "", ...tabs]) {
			await expect(client.call(path, { insist: true })).rejects.toMatchObject({ code: "invalid_argument" });
		}
		expect(sent).toEqual([]);
	});

	test("an older answer is no news", async () => {
		let release = () => {};
		const slow = new Promise<void>((resolve) => {
			release = resolve;
		});
		let hold = false;
		const { client } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				if (hold && new URL((request as Request).url).pathname === "/api/account") {
					await slow;
				}
				return response;
			},
		});
		await client.account();
		hold = true;
		const refresh = client.account({ fresh: true });
		await client.call("/api/bills?limit=1");
		await client.call("/api/bills?limit=1");
		release();
		await refresh;
		expect(client.known?.usage.lifetime.used).toBe(2);
	});

	test("who gives up does not wait for a token", async () => {
		const { client } = await fresh({ token: () => new Promise(() => {}) });
		const controller = new AbortController();
		const call = client.usage(1, { signal: controller.signal });
		controller.abort(new Error("enough"));
		await expect(call).rejects.toThrow("enough");
	});

	test("a call can be given up", async () => {
		const { client } = await fresh();
		await client.account();
		const controller = new AbortController();
		const call = client.call("/api/bills", { signal: controller.signal });
		controller.abort(new Error("enough"));
		await expect(call).rejects.toThrow("enough");
	});

	test("other rules at the gateway are told, once", async () => {
		const told: string[] = [];
		const { client } = await fresh({
			fetch: async (request) => {
				const response = await fetch(request as Request);
				const headers = new Headers(response.headers);
				headers.set("Legis-Contract", '9.9.9; fingerprint="0123456789abcdef"');
				return new Response(response.body, { status: response.status, headers });
			},
			onContractMismatch: (theirs, ours) => told.push(theirs, ours),
		});
		await client.account();
		await client.account({ fresh: true });
		expect(told).toEqual(['9.9.9; fingerprint="0123456789abcdef"', expect.stringContaining(contract().fingerprint)]);
	});

	test("who listens hears of every answer, until they stop", async () => {
		const { client } = await fresh();
		let heard = 0;
		const stop = client.subscribe(() => {
			heard += 1;
		});
		await client.call("/api/bills?limit=1");
		expect(heard).toBe(2);
		stop();
		await client.call("/api/bills?limit=1");
		expect(heard).toBe(2);
	});
});
