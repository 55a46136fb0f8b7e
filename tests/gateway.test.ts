// The gateway as its clients see it: registration, the metered path, refusals, bad input.

import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { exportSPKI, importJWK, SignJWT } from "jose";
import { plans } from "legis-edge";
import { describe, expect, inject, test } from "vitest";
import { KEY_ID, publicKey } from "../samples/issuer/token.ts";
import { call, issuerKey, newSubject, post, SCOPE, served, token } from "./callers.ts";
import { query } from "./database.ts";
import { bursts } from "./stack.ts";

interface Problem {
	status: number;
	code: string;
	errors?: { pointer: string; code: string; detail: string }[];
	decision?: { type: string; reason: string; suggestedPlan?: string };
}

async function problem(response: Response): Promise<Problem> {
	expect(response.headers.get("content-type")).toBe("application/problem+json");
	expect(response.headers.get("legis-contract")).toMatch(/fingerprint="[0-9a-f]{16}"/);
	const document = (await response.json()) as Problem;
	expect(document.status).toBe(response.status);
	return document;
}

describe("registration", () => {
	test("yields one user, however often and from whichever path", async () => {
		const sub = newSubject();
		const bearer = await token(sub, { email: "ada@example.com", name: "Ada" });
		const mcp = await token(sub, { client: "local-mcp-server" });
		const answers = await Promise.all([
			...Array.from({ length: 6 }, () => post("/api/users/register", '{"source":"web"}', bearer)),
			...Array.from({ length: 6 }, () => post("/api/users/register", '{"source":"mcp"}', mcp)),
			...Array.from({ length: 6 }, () => call("/api/bills", bearer)),
			...Array.from({ length: 6 }, () => call("/api/me", mcp)),
		]);
		expect(answers.map((answer) => answer.status)).toEqual(Array(24).fill(200));
		const rows = query<{ id: number; email: string }>(
			`SELECT id, email, name FROM users WHERE auth0_user_id = '${sub}'`,
		);
		expect(rows).toEqual([{ id: expect.any(Number), email: "ada@example.com", name: "Ada" }]);
		const account = await (await call("/api/account", bearer)).json();
		expect(account.usage.lifetime.used).toBe(6);
	});

	test("answers in the words of the old wire", async () => {
		const sub = newSubject();
		const response = await call("/api/users/register", await token(sub), { method: "POST" });
		const { user } = (await response.json()) as { user: Record<string, unknown> };
		expect(user).toMatchObject({
			id: expect.any(Number),
			auth0_user_id: sub,
			email: null,
			plan: "free",
			api_calls_count: 0,
			api_calls_limit: 100,
		});
		expect(Date.parse(user.created_at as string)).toBeLessThanOrEqual(Date.now() + 1000);
	});

	test("keeps what the issuer verified over what the caller says, and refreshes it", async () => {
		const sub = newSubject();
		await post("/api/users/register", '{"email":"said@example.com"}', await token(sub));
		const said = await (await call("/api/account", await token(sub))).json();
		expect(said.user.email).toBe("said@example.com");
		const verified = await token(sub, { email: "verified@example.com" });
		await post("/api/users/register", '{"email":"said@example.com"}', verified);
		const account = await (await call("/api/account", verified)).json();
		expect(account.user.email).toBe("verified@example.com");
	});

	test("knows two users with one e-mail address apart", async () => {
		const [one, other] = [newSubject(), newSubject()];
		const email = "shared@example.com";
		await call("/api/me", await token(one, { email }));
		await call("/api/me", await token(other, { email }));
		expect(query(`SELECT id FROM users WHERE email = '${email}'`)).toHaveLength(2);
	});
});

describe("the metered path", () => {
	test("a free user has 100 calls, the 101st is refused before the data service hears of it", async () => {
		const bearer = await token(newSubject());
		const before = await served();
		for (let left = 99; left >= 0; left--) {
			const response = await call("/api/bills?limit=1", bearer);
			expect(response.status).toBe(200);
			expect(response.headers.get("ratelimit")).toBe(`"plan";r=${left}`);
			expect(response.headers.get("ratelimit-policy")).toBe('"plan";q=100');
			expect(response.headers.get("x-ratelimit-remaining")).toBe(String(left));
			expect(response.headers.get("legis-call")).toMatch(/^[0-9a-f-]{36}$/);
			await response.arrayBuffer();
		}
		const refused = await call("/api/bills", bearer);
		expect(refused.status).toBe(429);
		expect(refused.headers.get("x-ratelimit-remaining")).toBe("0");
		// Waiting does not help where nothing renews.
		expect(refused.headers.get("retry-after")).toBeNull();
		expect(await problem(refused)).toMatchObject({
			type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
			code: "quota_exceeded",
			"violated-policies": ["plan"],
			decision: { type: "refuse", reason: "allowance_exhausted", suggestedPlan: "developer" },
		});
		expect((await served()) - before).toBe(100);
	});

	test("of 150 concurrent calls of a new user exactly 100 reach the data service", async () => {
		const bearer = await token(newSubject());
		const before = await served();
		const statuses = await Promise.all(
			Array.from({ length: 150 }, async () => (await call("/api/votes?limit=1", bearer)).status),
		);
		expect(statuses.filter((status) => status === 200)).toHaveLength(100);
		expect(statuses.filter((status) => status === 429)).toHaveLength(50);
		expect((await served()) - before).toBe(100);
	});

	test("a failure of the data service is refunded, a mistake of the caller is charged", async () => {
		const bearer = await token(newSubject());
		const used = async () => (await (await call("/api/account", bearer)).json()).usage.lifetime.used;
		expect((await call("/api/bills?simulate=500", bearer)).status).toBe(500);
		await expect.poll(used).toBe(0);
		expect((await call("/api/bills/nothing-of-that-id", bearer)).status).toBe(404);
		await expect.poll(used).toBe(1);
	});

	test("bodies stream both ways, and the caller's token stays here", async () => {
		const bearer = await token(newSubject());
		const sent = "x".repeat(300_000);
		const echo = await post("/api/bills?simulate=echo", sent, bearer, "text/plain");
		expect(await echo.text()).toBe(sent);
		const told = await (await call("/api/bills?simulate=told", bearer)).json();
		expect(told).toContain("user-agent");
		expect(told).not.toContain("authorization");
		const packed = { method: "POST", body: "x", headers: { "Content-Encoding": "br" } };
		expect(await (await call("/api/bills?simulate=told", bearer, packed)).json()).toContain("content-encoding");
		const kept = {
			method: "POST",
			body: "{}",
			headers: { "Content-Type": "application/json", "Content-Encoding": "gzip" },
		};
		expect(await problem(await call("/api/calls", bearer, kept))).toMatchObject({ status: 415 });
		const stream = await call("/api/bills?simulate=stream", bearer);
		const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
		await reader.read();
		const first = performance.now();
		while (!(await reader.read()).done) {}
		// What had waited for the whole would come at once.
		expect(performance.now() - first).toBeGreaterThan(500);
	});

	test("a data service that does not answer in time: 504, and the call is given back", async () => {
		const bearer = await token(newSubject());
		const start = Date.now();
		const response = await call("/api/bills?simulate=slow", bearer);
		expect(Date.now() - start).toBeLessThan(50_000);
		expect(response.headers.get("retry-after")).toBe("5");
		expect(response.headers.get("ratelimit")).toBe('"plan";r=100');
		expect(await problem(response)).toMatchObject({ status: 504, code: "timed_out" });
		const used = async () => (await (await call("/api/account", bearer)).json()).usage.lifetime.used;
		await expect.poll(used).toBe(0);
	});

	test("what the data service says of quotas, caches, cookies and origins does not reach the caller", async () => {
		const response = await call("/api/bills?simulate=headers", await token(newSubject()));
		expect(response.headers.get("etag")).toBe('"1"');
		expect(response.headers.get("retry-after")).toBe("9");
		expect(response.headers.get("cache-control")).toBe("private, no-cache");
		for (const name of ["set-cookie", "access-control-allow-origin", "x-ratelimit-reset", "x-internal"]) {
			expect(response.headers.get(name), name).toBeNull();
		}
		const redirected = await call("/api/bills?simulate=302", await token(newSubject()), { redirect: "manual" });
		expect(await problem(redirected)).toMatchObject({ status: 502 });
	});

	test("HEAD is a call, a GET with a body is a GET, and no path leads past its scope", async () => {
		const bearer = await token(newSubject(), { scope: "read:bills" });
		const head = await call("/api/bills", bearer, { method: "HEAD" });
		expect([head.status, head.headers.get("x-ratelimit-remaining")]).toEqual([200, "99"]);
		const ask = (path: string, method: string) => {
			const target = new URL(inject("base"));
			return new Promise<number>((resolve, reject) => {
				const headers = { Authorization: `Bearer ${bearer}`, "Content-Length": 1 };
				request({ host: target.hostname, port: target.port, path, method, headers }, (response) => {
					response.resume();
					resolve(response.statusCode ?? 0);
				})
					.on("error", reject)
					.end("x");
			});
		};
		expect(await ask("/api/bills", "GET")).toBe(200);
		expect(await ask("/api/me", "PROPFIND")).toBe(405);
		for (const path of ["/api/bills/../members", "/api/bills/%2e%2e/members", "/api/bills/%2e%2e%2fmembers"]) {
			expect([403, 404], path).toContain(await ask(path, "GET"));
		}
	});

	test("a call without the scope of its data costs nothing", async () => {
		const bearer = await token(newSubject(), { scope: "read:votes" });
		const refused = await call("/api/bills", bearer);
		expect(refused.headers.get("www-authenticate")).toContain('scope="read:bills"');
		expect(await problem(refused)).toMatchObject({ status: 403, code: "insufficient_scope" });
		const account = await (await call("/api/account", bearer)).json();
		expect(account.usage.lifetime.used).toBe(0);
	});

	test("a plan that was bought works on the very next call, and every billing rule is the package's", async () => {
		const sub = newSubject();
		const bearer = await token(sub);
		await Promise.all(Array.from({ length: 100 }, () => call("/api/votes?limit=1", bearer)));
		expect((await call("/api/votes", bearer)).status).toBe(429);
		const developer = query<{ id: number }>(
			"SELECT id FROM plans WHERE slug = 'starter' AND billing_frequency = 'monthly'",
		);
		const anchor = Date.now() - 86_400_000;
		query(
			`UPDATE users SET current_plan_id = ${developer[0]?.id}, subscription_status = 'active', billing_anchor = ${anchor}, entitlement_version = 1 WHERE auth0_user_id = '${sub}'`,
		);
		const response = await call("/api/votes", bearer);
		expect(response.status).toBe(200);
		expect(response.headers.get("x-ratelimit-limit")).toBe("1000");
		expect(response.headers.get("ratelimit")).toMatch(/^"plan";r=999;t=\d+$/);
	});
});

describe("Idempotency-Key", () => {
	const keyed = (path: string, bearer: string, key: string, init: RequestInit = {}) =>
		call(path, bearer, { ...init, headers: { "Idempotency-Key": key } });
	const used = async (bearer: string) => (await (await call("/api/account", bearer)).json()).usage.lifetime.used;

	test("the same call under the same key is charged once and gets the first decision again", async () => {
		const bearer = await token(newSubject());
		const first = await keyed("/api/bills?limit=1", bearer, "k1");
		await call("/api/bills?limit=1", bearer);
		await expect.poll(async () => (await keyed("/api/bills?limit=1", bearer, "k1")).status).toBe(200);
		const again = await keyed("/api/bills?limit=1", bearer, "k1");
		expect(again.headers.get("legis-call")).toBe(first.headers.get("legis-call"));
		expect(again.headers.get("ratelimit")).toBe(first.headers.get("ratelimit"));
		expect(await again.json()).toEqual(await first.json());
		expect(await used(bearer)).toBe(2);
	});

	test("twenty at once under one key are charged once; who comes too early is told to wait", async () => {
		const bearer = await token(newSubject());
		const statuses = await Promise.all(
			Array.from({ length: 20 }, async () => {
				const response = await keyed("/api/votes?limit=1", bearer, "k2");
				return response.status === 409 ? (await problem(response)).code : response.status;
			}),
		);
		expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(0);
		expect(statuses.filter((status) => status !== 200 && status !== "call_in_progress")).toEqual([]);
		expect(await used(bearer)).toBe(1);
	});

	test("another call under the same key is a mistake, by address and by body", async () => {
		const bearer = await token(newSubject());
		await keyed("/api/bills", bearer, "k3", { method: "POST", body: '{"a":1}' });
		for (const [path, body] of [
			["/api/votes", '{"a":1}'],
			["/api/bills", '{"a":2}'],
		] as const) {
			const refused = await keyed(path, bearer, "k3", { method: "POST", body });
			expect(await problem(refused)).toMatchObject({ status: 422, code: "idempotency_key_reused" });
		}
		expect(await used(bearer)).toBe(1);
		expect((await keyed("/api/bills", bearer, "x".repeat(256))).status).toBe(400);
	});

	test("a key is for sending one call again, not for calling without end", async () => {
		const bearer = await token(newSubject());
		const statuses: number[] = [];
		await keyed("/api/votes?limit=1", bearer, "k5");
		await expect.poll(async () => (await keyed("/api/votes?limit=1", bearer, "k5")).status).toBe(200);
		for (let again = 0; again < 100; again++) {
			statuses.push((await keyed("/api/votes?limit=1", bearer, "k5")).status);
		}
		expect(statuses).toEqual([...Array(99).fill(200), 422]);
		const refused = await keyed("/api/votes?limit=1", bearer, "k5");
		expect(await problem(refused)).toMatchObject({ status: 422, code: "idempotency_key_worn_out" });
		expect(await used(bearer)).toBe(1);
	});

	test("a call that was taken back never was: the next one under its key is charged", async () => {
		const bearer = await token(newSubject());
		expect((await keyed("/api/bills?simulate=500", bearer, "k4")).status).toBe(500);
		await expect.poll(() => used(bearer)).toBe(0);
		expect((await keyed("/api/bills?simulate=404", bearer, "k4")).status).toBe(404);
		expect(await used(bearer)).toBe(1);
	});

	test("with N calls left and more under different keys, exactly N pass", async () => {
		const bearer = await token(newSubject());
		const before = await served();
		const statuses = await Promise.all(
			Array.from({ length: 120 }, async (_, index) => (await keyed("/api/votes?limit=1", bearer, `m${index}`)).status),
		);
		expect(statuses.filter((status) => status === 200)).toHaveLength(100);
		expect((await served()) - before).toBe(100);
	});
});

describe("history", () => {
	test("every metered call becomes one row, whatever came of it, and the reported counters follow", async () => {
		const sub = newSubject();
		const bearer = await token(sub);
		const answers = await Promise.all([
			...Array.from({ length: 20 }, () => call("/api/bills?limit=1", bearer)),
			call("/api/bills/nothing", bearer),
			call("/api/votes?simulate=503", bearer),
			post("/api/members", "{}", bearer),
		]);
		const ids = answers.map((answer) => answer.headers.get("legis-call"));
		const rows = () =>
			query<Record<string, unknown>>(
				`SELECT api_usage.*, api_calls_count FROM users LEFT JOIN api_usage ON user_id = users.id WHERE auth0_user_id = '${sub}' ORDER BY api_usage.id`,
			);
		await expect.poll(() => rows().length, { timeout: 20_000, interval: 1000 }).toBe(23);
		const found = rows();
		expect(found.map((row) => row.id).sort()).toEqual([...ids].sort());
		expect(found.map((row) => row.status_code).sort()).toEqual([...Array(21).fill(200), 404, 503]);
		expect(found.filter((row) => row.endpoint === "/api/members")).toMatchObject([
			{
				method: "POST",
				status_code: 200,
				error_message: null,
				user_agent: "node",
				response_time_ms: expect.any(Number),
			},
		]);
		expect(found.filter((row) => row.status_code === 503)).toMatchObject([
			{ error_message: "the data service failed" },
		]);
		const { stats } = await (await call("/api/usage?days=1", bearer)).json();
		expect(stats).toMatchObject([
			{ endpoint: "/api/bills", method: "GET", total_calls: 20, avg_response_time: expect.any(Number) },
			{ endpoint: "/api/bills/nothing", method: "GET", total_calls: 1 },
			{ endpoint: "/api/members", method: "POST", total_calls: 1 },
			{ endpoint: "/api/votes", method: "GET", total_calls: 1 },
		]);
		for (const days of ["0", "401", "x", "-1", "1.5"]) {
			expect((await call(`/api/usage?days=${days}`, bearer)).status).toBe(400);
		}
		// The failed call was taken back.
		expect(found[0]?.api_calls_count).toBe(22);
	});
});

describe("reading where one stands costs nothing", () => {
	test("me, with and without the billing cycle", async () => {
		const sub = newSubject();
		const bearer = await token(sub, { email: "me@example.com" });
		await call("/api/members?limit=1", bearer);
		const plain = await (await call("/api/me", bearer)).json();
		expect(plain).toMatchObject({
			sub,
			email: "me@example.com",
			azp: "local-frontend",
			plan: "free",
			api_calls_count: 1,
			api_calls_limit: 100,
			mcp_calls_count: 0,
			mcp_calls_limit: 100,
		});
		expect(plain).not.toHaveProperty("usage_percent");
		const cycle = await (await call("/api/me?check_billing_cycle=true", bearer)).json();
		expect(cycle).toMatchObject({
			billing_cycle_end: null,
			days_until_reset: null,
			has_usage_left: true,
			usage_percent: 1,
			api_calls_count: 1,
		});
		const stranger = newSubject();
		expect((await call("/api/me?check_billing_cycle=perhaps", await token(stranger))).status).toBe(400);
		expect(query(`SELECT id FROM users WHERE auth0_user_id = '${stranger}'`)).toEqual([]);
	});

	test("the profile", async () => {
		const profile = await (await call("/api/user/profile", await token(newSubject()))).json();
		expect(profile).toMatchObject({
			plan_name: "Free",
			plan_slug: "free",
			billing_frequency: "one_time",
			plan_amount: 0,
			mcp_calls_limit: 100,
			mcp_calls_count: 0,
			subscription_status: "free",
			subscription_period_end: null,
			api_calls_reset_at: null,
			calls_remaining: 100,
		});
	});
});

describe("configuration", () => {
	test("the plans are the package's, by any of their names", async () => {
		expect(await (await call("/api/config/plans")).json()).toEqual({ success: true, plans: plans() });
		for (const name of ["starter", "Developer", "STARTER", "%20developer%20"]) {
			const answer = await (await call(`/api/config/plans/${name}`)).json();
			expect(answer).toEqual({ success: true, plan: plans()[1] });
		}
		expect(await problem(await call("/api/config/plans/platinum"))).toMatchObject({
			status: 404,
			code: "unknown_plan",
		});
	});

	test("the rows of plans are the catalog", () => {
		const rows = query<Record<string, unknown>>("SELECT * FROM plans ORDER BY id");
		for (const plan of plans()) {
			const own = rows.filter((row) => row.slug === plan.slug);
			expect(own.length).toBeGreaterThan(0);
			for (const row of own) {
				expect(row.name).toBe(plan.name);
				expect(JSON.parse(row.features as string)).toEqual(plan.features);
				const { allowance } = plan;
				expect(row.mcp_calls_limit).toBe(allowance.type === "unlimited" ? -1 : allowance.calls);
				const interval = row.billing_frequency === "yearly" ? "year" : "month";
				const price = plan.prices.find((price) => price.interval === interval);
				expect(row.amount).toBe(price?.amount ?? null);
			}
		}
		// Of a plan without a price there is one row.
		expect(rows).toHaveLength(plans().reduce((rows, { prices }) => rows + Math.max(1, prices.length), 0));
	});

	test("the public part of auth_config, and nothing else of it", async () => {
		const config = await (await call("/api/config/auth/frontend")).json();
		expect(config).toMatchObject({ issuer: inject("issuer"), auth0_client_id: "local-frontend" });
		expect(config).not.toHaveProperty("allowed_origins");
		expect((await call("/api/config/auth/other")).status).toBe(404);
	});

	test("pages of configured origins may call, others may not", async () => {
		const known = inject("base");
		const allowed = await call("/api/health", undefined, { headers: { Origin: known } });
		expect(allowed.headers.get("access-control-allow-origin")).toBe(known);
		expect(allowed.headers.get("vary")).toContain("Origin");
		const stranger = await call("/api/health", undefined, { headers: { Origin: "https://evil.example" } });
		expect(stranger.headers.get("access-control-allow-origin")).toBeNull();
		const preflight = await call("/api/bills", undefined, { method: "OPTIONS", headers: { Origin: known } });
		expect(preflight.status).toBe(204);
		expect(preflight.headers.get("access-control-allow-headers")).toContain("Authorization");
	});
});

describe("tokens", () => {
	const sign = async (header: Record<string, unknown>, claims: Record<string, unknown> = {}) =>
		new SignJWT({ scope: SCOPE, ...claims })
			.setProtectedHeader({ alg: "RS256", kid: KEY_ID, ...header } as never)
			.setIssuer((claims.iss as string) ?? inject("issuer"))
			.setAudience((claims.aud as string) ?? "urn:legis-api")
			.setSubject("test|broken")
			.setExpirationTime("1 hour")
			.sign(await importJWK(issuerKey(), "RS256"));
	const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
	const claims = () => ({
		iss: inject("issuer"),
		aud: "urn:legis-api",
		sub: "test|broken",
		scope: SCOPE,
		exp: Math.floor(Date.now() / 1000) + 3600,
	});

	const broken: Record<string, () => Promise<string | undefined>> = {
		missing: async () => undefined,
		garbage: async () => "garbage",
		expired: () => token("test|broken", { expires: -120 }),
		"for another audience": () => token("test|broken", { audience: "urn:other" }),
		"of another issuer": () => token("test|broken", { issuer: "https://evil.example/" }),
		"issued in the future": () => token("test|broken", { issuedAt: Math.floor(Date.now() / 1000) + 600 }),
		"without subject": () => token(""),
		"of an unknown key": () => sign({ kid: "other" }),
		"without key id": () => sign({ kid: undefined }),
		"of another type": () => sign({ typ: "dpop+jwt" }),
		"too long": async () => `${await token("test|broken")}${"a".repeat(9000)}`,
		"with algorithm none": async () => `${part({ alg: "none", kid: KEY_ID })}.${part(claims())}.`,
		"with another signature": async () => `${(await token("test|broken")).slice(0, -8)}AAAAAAAA`,
		"with HS256 and the public key": async () => {
			const signed = `${part({ alg: "HS256", kid: KEY_ID, typ: "JWT" })}.${part(claims())}`;
			const key = await exportSPKI((await importJWK(publicKey(issuerKey()), "RS256")) as never);
			return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
		},
		"with critical extensions": async () => {
			const signed = `${part({ alg: "RS256", kid: KEY_ID, crit: ["exp"] })}.${part(claims())}`;
			return `${signed}.AAAA`;
		},
	};

	for (const [name, make] of Object.entries(broken)) {
		test(`${name}: 401, and nobody is registered`, async () => {
			const bearer = await make();
			for (const path of ["/api/account", "/api/bills"]) {
				const response = await call(path, bearer);
				expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
				expect(await problem(response)).toMatchObject({ status: 401, code: "unauthenticated" });
			}
		});
	}

	test("a signature that does not fit is no signature", async () => {
		for (const name of ["with another signature", "with HS256 and the public key"] as const) {
			expect((await call("/api/bills", await broken[name]?.())).status).toBe(401);
		}
	});

	test("none of them left a user behind", () => {
		expect(query("SELECT id FROM users WHERE auth0_user_id IN ('test|broken', '')")).toEqual([]);
	});

	test("a program's own token is no user", async () => {
		const response = await call("/api/account", await token("abc@clients"));
		expect(await problem(response)).toMatchObject({ status: 403, code: "machine_caller" });
		expect(query("SELECT id FROM users WHERE auth0_user_id = 'abc@clients'")).toEqual([]);
	});
});

describe("bursts", () => {
	/** What an address is answered, now. */
	const from = (address: string, path: string, bearer?: string) =>
		call(path, bearer, { headers: { "CF-Connecting-IP": address } });

	/** Sends until it is too much. */
	async function exhaust(path: string, bearer: string | undefined, address: () => string): Promise<Response> {
		for (let sent = 0; sent < 1_000; sent += 20) {
			const answers = await Promise.all(Array.from({ length: 20 }, () => from(address(), path, bearer)));
			const refused = answers.find(({ status }) => status === 429);
			if (refused !== undefined) {
				expect(sent + 20).toBeGreaterThan(200);
				return refused;
			}
		}
		throw new Error("a thousand were answered");
	}

	test("of what needs no token an address is answered so much; nobody else is refused for it", async () => {
		const bearer = await token(newSubject());
		const refused = await exhaust("/api/config/plans", undefined, () => "198.51.100.7");
		expect(refused.headers.get("retry-after")).toBe("10");
		const [{ limit, period }] = bursts().map(({ simple }) => simple) as [{ limit: number; period: number }];
		expect(await problem(refused)).toMatchObject({
			code: "too_many_requests",
			detail: expect.stringContaining(`At most ${limit} requests in ${period} seconds`),
		});
		// Nor what is not there, nor a guess.
		expect((await from("198.51.100.7", "/api/nothing")).status).toBe(429);
		expect((await from("198.51.100.7", "/api/me", "guessed")).status).toBe(429);
		// Whoever shares the address and has a token is served, and so is a monitor.
		expect((await from("198.51.100.7", "/api/me", bearer)).status).toBe(200);
		expect((await from("198.51.100.7", "/api/config/plans", bearer)).status).toBe(200);
		// And their browser asks before, which cannot say who.
		const asked = { method: "OPTIONS", headers: { "CF-Connecting-IP": "198.51.100.7" } };
		expect((await call("/api/me", undefined, asked)).status).toBe(204);
		expect((await from("198.51.100.7", "/api/health")).status).toBe(200);
		expect((await from("198.51.100.8", "/api/config/plans")).status).toBe(200);
	});

	test("what a browser asks before, and bodies that are too long, count as well", async () => {
		const sent = async (times: number, address: string, path: string, init: RequestInit) => {
			const headers = { "CF-Connecting-IP": address, ...init.headers };
			const answers = await Promise.all(
				Array.from({ length: times }, () => call(path, undefined, { ...init, headers })),
			);
			return new Set(answers.map(({ status }) => status));
		};
		const preflight = { method: "OPTIONS", headers: { Origin: "https://elsewhere.example" } };
		// What is counted begins anew every ten seconds: of two in turn one is within.
		const preflights = [
			await sent(220, "198.51.100.20", "/api/bills", preflight),
			await sent(220, "198.51.100.24", "/api/bills", preflight),
		];
		expect(preflights).toContainEqual(new Set([204, 429]));
		const long = { method: "POST", body: "x".repeat(1_100_000) };
		// Guesses that are not quite enough, and bodies that are: so many of those would take longer than what is counted.
		const together = async (address: string) => {
			await sent(190, address, "/api/bills", { headers: { Authorization: "Bearer guessed" } });
			return sent(20, address, "/api/webhooks/stripe", long);
		};
		const answers = [await together("198.51.100.21"), await together("198.51.100.22")];
		expect(answers).toContainEqual(new Set([413, 429]));
	});

	test("who guesses tokens is not told for ever that they are wrong; a network of IPv6 is one address", async () => {
		let host = 0;
		await exhaust("/api/bills", "guessed", () => `2001:db8:ffff:1::${(++host).toString(16)}`);
		expect((await from("2001:db8:ffff:1:a::", "/api/bills")).status).toBe(429);
		expect((await from("2001:db8:ffff:2::1", "/api/bills")).status).toBe(401);
	});
});

describe("bad input", () => {
	test.each([
		["malformed JSON", "{", 400, "malformed_json", [["", "malformed_json"]]],
		["deep nesting", "[".repeat(5000), 400, "malformed_json", [["", "too_deep"]]],
		["another type", "[]", 422, "invalid_payload", [["", "type"]]],
		[
			"wrong types",
			'{"email":1,"name":[]}',
			422,
			"invalid_payload",
			[
				["/email", "type"],
				["/name", "type"],
			],
		],
		["unknown members", '{"is_admin":true}', 422, "invalid_payload", [["/is_admin", "unknown_field"]]],
		["repeated members", '{"name":"a","name":"b"}', 422, "invalid_payload", [["/name", "duplicate_key"]]],
		["over-long text", `{"name":"${"é".repeat(201)}"}`, 422, "invalid_payload", [["/name", "too_long"]]],
		["an unknown plan", '{"plan":"platinum"}', 422, "invalid_payload", [["/plan", "format"]]],
	])("%s", async (_, body, status, code, errors) => {
		const sub = newSubject();
		const document = await problem(await post("/api/users/register", body, await token(sub)));
		expect(document).toMatchObject({ status, code });
		expect(document.errors?.map(({ pointer, code }) => [pointer, code])).toEqual(errors);
		expect(query(`SELECT id FROM users WHERE auth0_user_id = '${sub}'`)).toEqual([]);
	});

	test("a body of 2 MB, declared or not", async () => {
		const body = `{"name":"${"x".repeat(2_000_000)}"}`;
		const bearer = await token(newSubject());
		expect(await problem(await post("/api/users/register", body, bearer))).toMatchObject({ status: 413 });
		const undeclared = await call("/api/users/register", bearer, {
			method: "POST",
			body: new Blob([body]).stream(),
			headers: { "Content-Type": "application/json" },
			duplex: "half",
		} as RequestInit);
		expect(await problem(undeclared)).toMatchObject({ status: 413 });
	});

	test("another media type, another method, another address", async () => {
		const bearer = await token(newSubject());
		const text = await post("/api/users/register", "name=x", bearer, "text/plain");
		expect(await problem(text)).toMatchObject({ status: 415 });
		const method = await call("/api/users/register", bearer, { method: "DELETE" });
		expect(method.headers.get("allow")).toBe("POST");
		expect(await problem(method)).toMatchObject({ status: 405 });
		// Beside the page nothing is a page: whoever mistypes a route is not answered with HTML.
		for (const address of ["/api/nothing", "/API/bills", "/metrics", "/plans", "/index.htm"]) {
			expect(await problem(await call(address)), address).toMatchObject({ status: 404, code: "not_found" });
		}
		expect(await problem(await post("/api/evaluate/payload/nothing", "{}"))).toMatchObject({ status: 404 });
	});
});

test("the log names no one and holds no secret", () => {
	const log = readFileSync(join(inject("state"), "dev.log"), "utf8");
	const lines = log.split("\n").filter((line) => line.startsWith("{"));
	expect(lines.length).toBeGreaterThan(100);
	expect(log).not.toMatch(/@example\.com|eyJ[A-Za-z0-9_-]{10}|test\||whsec_|198\.51\.100|2001:db8/);
	const refusal = lines.map((line) => JSON.parse(line)).find((line) => line.problem === "quota_exceeded");
	// Why was this call refused?
	expect(refusal).toMatchObject({
		status: 429,
		route: "data",
		reason: "allowance_exhausted: 100 of 100 used on free",
		user: expect.stringMatching(/^[0-9a-f]{16}$/),
		client: "frontend",
		call: {
			decision: "refuse",
			plan: "free",
			cost: 1,
			used: 100,
			limit: 100,
			entitlement_version: 0,
			entitlement_asked: expect.any(String),
			meter_ms: expect.any(Number),
		},
	});
	const admitted = lines.map((line) => JSON.parse(line)).find((line) => line.call?.decision === "admit");
	expect(admitted.call).toMatchObject({ id: admitted.request, upstream_status: 200, upstream_ms: expect.any(Number) });
});

test("health and ready", async () => {
	for (const path of ["/health", "/api/health"]) {
		expect(await (await call(path)).json()).toMatchObject({ status: "ok", timestamp: expect.any(String) });
	}
	expect(await (await call("/api/ready")).json()).toMatchObject({ status: "ok" });
});
