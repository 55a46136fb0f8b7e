// The audit: every fault that is planted is found, and nothing else; every repair does what it says, and a second audit finds
// nothing. Through the real worker, its meters and its database, with a local Stripe and a local Management API.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Account } from "legis-edge";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { amount, empty, happen, type Wish } from "../samples/stripe/account.ts";
import { crons } from "./stack.ts";
import { stripeServer } from "./stripe-server.ts";
import { world as makeWorld } from "./world.ts";

const SECRET = "whsec_audit";
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ADMINISTRATOR = "audit|administrator";

let stripe: Awaited<ReturnType<typeof stripeServer>>;
let world: Awaited<ReturnType<typeof makeWorld>>;
let issuer: Server;
let administrator: string;
/** Who is at the issuer though not registered, and who is not though registered. */
const strangers = new Set<string>();
const deleted = new Set<string>();
/** What the issuer was asked. */
const asked: string[] = [];

/** What the issuer answers instead. */
let refused: number | undefined;

/** As much of Auth0's Management API as a listing needs. */
async function managementApi(): Promise<Server> {
	const server = createServer(async (request, response) => {
		const url = new URL(request.url ?? "/", "http://issuer");
		asked.push(url.pathname + url.search);
		const say = (body: object) => {
			response.writeHead(200, { "Content-Type": "application/json" });
			response.end(JSON.stringify(body));
		};
		if (refused !== undefined) {
			response.writeHead(refused);
			response.end();
			return;
		}
		if (url.pathname === "/oauth/token") {
			say({ access_token: "of-the-management-api", expires_in: 86_400 });
			return;
		}
		expect(request.headers.authorization).toBe("Bearer of-the-management-api");
		const users = await world.rows<{ sub: string }>("SELECT auth0_user_id AS sub FROM users ORDER BY id");
		const subs = [...users.map((user) => user.sub).filter((sub) => !deleted.has(sub)), ...strangers];
		const from = /created_at:\[(\S+) TO \*\]/.exec(url.searchParams.get("q") ?? "")?.[1];
		const all = subs.map((sub, n) => ({ user_id: sub, created_at: new Date(1_700_000_000_000 + n).toISOString() }));
		const page = Number(url.searchParams.get("page"));
		const per = Number(url.searchParams.get("per_page"));
		const since = all.filter((user) => from === undefined || user.created_at >= from);
		// Of one query it gives a thousand at most, as the real one does.
		say(since.slice(0, 1_000).slice(page * per, (page + 1) * per));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return server;
}

beforeAll(async () => {
	stripe = await stripeServer();
	issuer = await managementApi();
	world = await makeWorld({
		STRIPE_WEBHOOK_SECRET: SECRET,
		STRIPE_MODE: "test",
		STRIPE_PRICES: "{}",
		STRIPE_API_KEY: "rk_test_local",
		STRIPE_API_URL: stripe.url,
		AUTH0_MANAGEMENT_CLIENT_ID: "audit",
		AUTH0_MANAGEMENT_CLIENT_SECRET: "local",
		AUTH0_MANAGEMENT_DOMAIN: `127.0.0.1:${(issuer.address() as AddressInfo).port}`,
	});
	await world.rows(
		"UPDATE plans SET stripe_price_id = 'price_local_' || slug || iif(billing_frequency = 'monthly', '_month', '_year') WHERE id > 10 RETURNING id",
	);
	administrator = await world.token(ADMINISTRATOR, "page", { scope: "admin read:bills" });
	await account(administrator);
	await run("UPDATE users SET is_admin = 1 WHERE auth0_user_id = ?", ADMINISTRATOR);
}, 60_000);
afterAll(async () => {
	await world.close();
	stripe.close();
	issuer.close();
});
afterEach(async () => {
	await world.set({ clock: 0, database: "well", times: 0, lost: 0 });
	// Listings of a clock that was ahead would be the newest for ever.
	await run("DELETE FROM auth0_listings WHERE started_at > ?", Date.now());
});

const account = async (bearer: string) => (await (await world.call(bearer, "/api/account")).json()) as Account;
/** Changes the database behind everybody's back. */
const run = (sql: string, ...values: unknown[]) => world.rows(sql, ...values);

let users = 0;
/** A user who made so many calls, all of which are in the database. */
async function caller(calls = 3) {
	const sub = `audit|${++users}`;
	const bearer = await world.token(sub);
	await account(bearer);
	for (let n = 0; n < calls; n++) {
		expect((await world.call(bearer, "/api/bills")).status).toBe(200);
	}
	await settled(sub);
	return { sub, bearer };
}

/** Everything that was done is in the database. */
async function settled(sub: string) {
	const open = async () => {
		// What waits to be told goes with a question.
		await account(await world.token(sub));
		const storage = await world.worker.getDurableObjectStorage("METER" as never, { name: sub } as never);
		return storage.exec("SELECT id FROM calls WHERE open IS NOT NULL");
	};
	await expect.poll(open).toEqual([]);
	await world.ring(sub);
}

/** A user who pays, as Stripe's events and Stripe itself say. */
async function payer(wish: Partial<Wish> = {}, calls = 2) {
	const sub = `audit|${++users}`;
	const bearer = await world.token(sub);
	await account(bearer);
	const local = { ...empty(), ids: users * 1_000 };
	const at = Math.floor(Date.now() / 1000);
	const event = (type: string, wish: Partial<Wish> = {}) => {
		const made = happen(local, { type, user: sub, at, ...wish });
		const object = made.data.object as { id: string; object: string };
		if (object.object === "subscription") {
			stripe.subscriptions.set(object.id, object);
		}
		return made;
	};
	const first = event("customer.subscription.created", { plan: "starter", ...wish });
	await deliver(first);
	for (let n = 0; n < calls; n++) {
		expect((await world.call(bearer, "/api/bills")).status).toBe(200);
	}
	await settled(sub);
	return { sub, bearer, event, subscription: first.data.object as { id: string; customer: string } };
}

async function deliver(event: object, status = 200) {
	const payload = JSON.stringify(event);
	const signature = await Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret: SECRET });
	const response = await world.harness.fetch("/api/webhooks/stripe", {
		method: "POST",
		body: payload,
		headers: { "Stripe-Signature": signature },
	} as never);
	expect(response.status).toBe(status);
}

interface Found {
	code: string;
	subject: string;
	severity: string;
	facts: Record<string, unknown>;
	repair?: { type: string };
	repairedAt?: string;
}

async function post(path: string, body?: string) {
	const response = await world.call(administrator, path, { method: "POST", ...(body === undefined ? {} : { body }) });
	const said = await response.json();
	expect([response.status, said]).toEqual([200, expect.anything()]);
	return said;
}

/** A whole audit; its id and what it found. */
async function audit(): Promise<{ id: string; findings: Found[] }> {
	let said = await post("/api/admin/audit");
	while (!said.done) {
		said = await post(`/api/admin/audit?run=${said.run.id}`);
	}
	const shown = await (await world.call(administrator, `/api/admin/audit?run=${said.run.id}&limit=500`)).json();
	return { id: said.run.id, findings: shown.findings };
}

const brief = (findings: Found[]) => findings.map(({ code, subject }) => ({ code, subject }));

async function clean() {
	expect(brief((await audit()).findings)).toEqual([]);
}

/** The fault is found and nothing else. */
async function only(code: string, subject: string): Promise<{ id: string; finding: Found }> {
	const { id, findings } = await audit();
	expect(brief(findings)).toEqual([{ code, subject }]);
	return { id, finding: findings[0] as Found };
}

/** The fault is found and nothing else, its repair is made and recorded, and a second audit finds nothing. */
async function mended(code: string, subject: string): Promise<Found> {
	const { id, finding } = await only(code, subject);
	const { repairs } = await post(`/api/admin/repair?run=${id}`);
	expect(repairs).toEqual([{ code, subject, repair: finding.repair?.type, outcome: "repaired" }]);
	const [action] = await world.rows<{ sub: string; detail: string }>(
		"SELECT sub, detail FROM admin_actions WHERE subject = ? ORDER BY id DESC LIMIT 1",
		subject,
	);
	expect(action?.sub).toBe(ADMINISTRATOR);
	expect(JSON.parse(action?.detail ?? "null")).toEqual(finding.repair);
	// Made again, it is not made again.
	expect((await post(`/api/admin/repair?run=${id}`)).repairs).toEqual([]);
	await clean();
	return finding;
}

const usage = async (sub: string) => {
	const [row] = await world.rows<Record<string, number>>(
		"SELECT id, api_calls_count, api_calls_reset_at, lifetime_calls_count FROM users WHERE auth0_user_id = ?",
		sub,
	);
	return row as Record<string, number>;
};

/** Changes what a meter knows, behind its back. */
async function tamper(sub: string, sql: string, ...values: unknown[]) {
	const storage = await world.worker.getDurableObjectStorage("METER" as never, { name: sub } as never);
	await storage.exec(sql, ...(values as never[]));
	await world.evict(sub);
}

test("callers, payers, upgrades, downgrades, refunds, open calls: nothing to find", async () => {
	await caller();
	await payer();
	const upgraded = await payer({}, 5);
	await deliver(upgraded.event("customer.subscription.updated", { plan: "professional" }));
	const cancelled = await payer();
	await deliver(cancelled.event("customer.subscription.updated", { cancel_at_period_end: true } as never));
	// Who paid and makes no call is reported all the same.
	const { sub, bearer } = await caller(7);
	const local = { ...empty(), ids: ++users * 1_000 };
	const paid = happen(local, {
		type: "customer.subscription.created",
		user: sub,
		at: Math.floor(Date.now() / 1000),
		plan: "starter",
	});
	stripe.subscriptions.set((paid.data.object as { id: string }).id, paid.data.object);
	await deliver(paid);
	await world.ring(sub);
	expect(await usage(sub)).toMatchObject({ api_calls_count: 0, lifetime_calls_count: 7 });
	world.answer(() => 503);
	await world.call(bearer, "/api/bills");
	world.answer(() => 200);
	await settled(sub);
	const open = await world.call(await world.token(sub, "mcp"), "/api/calls", {
		method: "POST",
		body: JSON.stringify({ tool: "get-bill", cost: 3 }),
	});
	expect(open.status).toBe(201);
	await clean();
});

/** A row in quarantine has every column of its table: it is deleted there. */
async function whole({ table_name, row_data }: { table_name: string; row_data: string }) {
	const columns = await world.rows<{ name: string }>(`PRAGMA table_info(${table_name})`);
	expect(Object.keys(JSON.parse(row_data)).sort()).toEqual(columns.map(({ name }) => name).sort());
}

describe("usage", () => {
	test("a meter that lost calls is raised to what the rows say", async () => {
		const { sub, bearer } = await caller(6);
		await tamper(sub, `UPDATE known SET usage = json_set(usage, '$.lifetime.used', 2), step = step + 1`);
		await run("UPDATE users SET api_calls_count = 2, lifetime_calls_count = 2 WHERE auth0_user_id = ?", sub);
		expect((await account(bearer)).usage.lifetime.used).toBe(2);
		await mended("meter_below_database", sub);
		expect((await account(bearer)).usage.lifetime.used).toBe(6);
		expect(await usage(sub)).toMatchObject({ api_calls_count: 6, lifetime_calls_count: 6 });
	});

	test("the same in a month that is paid", async () => {
		const { sub, bearer } = await payer({}, 6);
		await tamper(sub, `UPDATE known SET usage = json_set(usage, '$.period.used', 1), step = step + 1`);
		await run("UPDATE users SET api_calls_count = 1 WHERE auth0_user_id = ?", sub);
		await mended("meter_below_database", sub);
		expect((await account(bearer)).usage.period?.used).toBe(6);
	});

	test("an opening balance that the meter does not count is counted: what was adopted for somebody who was here", async () => {
		const { sub, bearer } = await caller(4);
		const { id } = await usage(sub);
		await run(
			"INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, opened_at) VALUES (?, 90, 5, 0)",
			id,
		);
		await mended("meter_below_database", sub);
		expect((await account(bearer)).usage.lifetime).toMatchObject({ used: 94, mcp: 5 });
		for (let call = 0; call < 6; call++) {
			expect((await world.call(bearer, "/api/bills")).status).toBe(200);
		}
		expect((await world.call(bearer, "/api/bills")).status).toBe(429);
		await settled(sub);
		await clean();
	});

	test("rows that are missing become part of the opening balance; nobody gets calls back by it", async () => {
		const { sub, bearer } = await caller(6);
		const { id } = await usage(sub);
		await run(
			"DELETE FROM api_usage WHERE user_id = ?1 AND id = (SELECT min(id) FROM api_usage WHERE user_id = ?1)",
			id,
		);
		const finding = await mended("counter_above_rows", sub);
		expect(finding.facts).toMatchObject({ meter: { used: 6 }, rows: { used: 5 } });
		expect((await account(bearer)).usage.lifetime.used).toBe(6);
	});

	test("reported columns that somebody changed", async () => {
		const { sub } = await caller(5);
		await run("UPDATE users SET api_calls_count = 0, lifetime_calls_count = 0 WHERE auth0_user_id = ?", sub);
		await mended("meter_differs", sub);
		expect(await usage(sub)).toMatchObject({ api_calls_count: 5, lifetime_calls_count: 5 });
	});

	test("a period that would never end", async () => {
		const { sub, bearer } = await payer({}, 4);
		const right = (await account(bearer)).usage.period;
		await tamper(
			sub,
			`UPDATE known SET usage = json_set(usage, '$.period.end', '2099-01-01T00:00:00.000Z'), step = step + 1`,
		);
		await run("UPDATE users SET api_calls_reset_at = ? WHERE auth0_user_id = ?", Date.UTC(2099, 0), sub);
		await mended("period_off_anchor", sub);
		expect((await account(bearer)).usage.period).toEqual(right);
	});

	test("a month that was taken over for somebody whose meter ran already", async () => {
		const { sub, bearer } = await payer({}, 0);
		const { id } = await usage(sub);
		// It began some seconds after the one that runs here, so it ends after that one.
		const running = (await account((await payer({}, 1)).bearer)).usage.period as { end: string };
		const end = new Date(Date.parse(running.end) + 5_000).toISOString();
		await run(
			"INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, period_end, period_used, opened_at) VALUES (?, 0, 0, ?, 500, 0)",
			id,
			Date.parse(end),
		);
		await mended("meter_below_database", sub);
		expect((await account(bearer)).usage.period).toMatchObject({ end, used: 500 });
		expect(await usage(sub)).toMatchObject({ api_calls_count: 500 });
		await world.call(bearer, "/api/bills");
		await settled(sub);
		await clean();
	});

	test("calls that are open, or wait to be told, while a balance is opened are not counted twice", async () => {
		const { sub } = await caller(2);
		const { id } = await usage(sub);
		const server = await world.token(sub, "mcp");
		const reserve = async () => {
			const body = JSON.stringify({ tool: "get-bill", cost: 3 });
			const response = await world.call(server, "/api/calls", { method: "POST", body });
			expect(response.status).toBe(201);
			return ((await response.json()) as { id: string }).id;
		};
		const settle = async (call: string) => {
			const body = JSON.stringify({ status: "success" });
			expect((await world.call(server, `/api/calls/${call}`, { method: "PATCH", body })).status).toBe(200);
		};
		// One is open; the row of one was written by a release that did not say what it was charged to, and waits.
		const [open, waiting] = [await reserve(), await reserve()];
		await settle(waiting);
		await tamper(sub, "UPDATE calls SET row = json_remove(row, '$.period_start') WHERE row IS NOT NULL");
		await run("UPDATE api_usage SET opening = 1 WHERE user_id = ?", id);
		await run(
			"INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, opened_at) VALUES (?, 8, 6, ?)",
			id,
			Date.now(),
		);
		await world.ring(sub);
		await settle(open);
		await settled(sub);
		const rows = await world.rows("SELECT cost, opening FROM mcp_logs WHERE user_id = ? ORDER BY id", id);
		expect(rows).toEqual([
			{ cost: 3, opening: 1 },
			{ cost: 3, opening: 1 },
		]);
		await clean();
		// What comes later is counted.
		await settle(await reserve());
		await settled(sub);
		await clean();
		expect(await usage(sub)).toMatchObject({ lifetime_calls_count: 11 });
	});

	test("a repair whose ground is gone is not made", async () => {
		const { sub, bearer } = await caller(4);
		await tamper(sub, `UPDATE known SET usage = json_set(usage, '$.lifetime.used', 2), step = step + 1`);
		await run("UPDATE users SET api_calls_count = 2, lifetime_calls_count = 2 WHERE auth0_user_id = ?", sub);
		const { id } = await only("meter_below_database", sub);
		await world.call(bearer, "/api/bills");
		await settled(sub);
		const { repairs } = await post(
			`/api/admin/repair?run=${id}&code=meter_below_database&subject=${encodeURIComponent(sub)}`,
		);
		expect(repairs).toMatchObject([{ outcome: "stale" }]);
		expect((await account(bearer)).usage.lifetime.used).toBe(3);
		await mended("meter_below_database", sub);
		expect((await account(bearer)).usage.lifetime.used).toBe(5);
	});

	test("nor one whose figure is reached by calls meanwhile, nor one whose balance was changed", async () => {
		const { sub, bearer } = await caller(5);
		const { id } = await usage(sub);
		const one = (run: string, code: string) =>
			`/api/admin/repair?run=${run}&code=${code}&subject=${encodeURIComponent(sub)}`;
		await tamper(sub, `UPDATE known SET usage = json_set(usage, '$.lifetime.used', 3), step = step + 1`);
		await run("UPDATE users SET api_calls_count = 3, lifetime_calls_count = 3 WHERE auth0_user_id = ?", sub);
		const raised = await only("meter_below_database", sub);
		await world.call(bearer, "/api/bills");
		await world.call(bearer, "/api/bills");
		await settled(sub);
		expect((await post(one(raised.id, "meter_below_database"))).repairs).toMatchObject([{ outcome: "stale" }]);
		await mended("meter_below_database", sub);
		expect((await account(bearer)).usage.lifetime.used).toBe(7);

		await run("DELETE FROM api_usage WHERE user_id = ?", id);
		const added = await only("counter_above_rows", sub);
		await run("INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, opened_at) VALUES (?, 1, 0, 0)", id);
		const actions = () => world.rows("SELECT id FROM admin_actions WHERE subject = ?", sub);
		const before = await actions();
		expect((await post(one(added.id, "counter_above_rows"))).repairs).toMatchObject([{ outcome: "stale" }]);
		// What was not done is not recorded, and can be asked for again.
		expect(await actions()).toEqual(before);
		expect((await post(one(added.id, "counter_above_rows"))).repairs).toMatchObject([{ outcome: "stale" }]);
		await mended("counter_above_rows", sub);
		expect(await world.rows("SELECT lifetime_used AS used FROM opening_balances WHERE user_id = ?", id)).toEqual([
			{ used: 7 },
		]);
	});

	test("one whose rows cannot be added up does not keep the others from being examined", async () => {
		const { sub, bearer } = await payer({}, 1);
		const other = await caller(2);
		const { id } = await usage(sub);
		const start = Date.parse((await account(bearer)).usage.period?.start ?? "");
		const insert =
			"INSERT INTO api_usage (id, user_id, endpoint, method, cost, timestamp, period_start, opening) VALUES (?, ?, '/bills', 'GET', 9223372036854775807, ?, ?, 0)";
		await run(insert, "huge-1", id, start, start);
		await run(insert, "huge-2", id, start, start);
		await run("UPDATE users SET api_calls_count = 0, lifetime_calls_count = 0 WHERE auth0_user_id = ?", other.sub);
		const { findings } = await audit();
		expect(brief(findings)).toEqual([
			{ code: "meter_differs", subject: other.sub },
			{ code: "user_not_examined", subject: sub },
		]);
		await run("DELETE FROM api_usage WHERE id LIKE 'huge-%'");
		await mended("meter_differs", other.sub);
	});

	test("calls of somebody who is not there, in tables that somebody rebuilt without their keys", async () => {
		for (const table of ["api_usage", "mcp_logs"]) {
			const [made] = await world.rows<{ sql: string }>("SELECT sql FROM sqlite_schema WHERE name = ?", table);
			const loose = made?.sql.replaceAll(/ REFERENCES users \(id\)| CHECK \(\w+ IS NULL OR json_valid\(\w+\)\)/g, "");
			await run(`ALTER TABLE ${table} RENAME TO old_${table}`);
			await run(loose as string);
			await run(`INSERT INTO ${table} SELECT * FROM old_${table}`);
			await run(`DROP TABLE old_${table}`);
		}
		await run(
			"INSERT INTO api_usage (id, user_id, endpoint, method, timestamp, opening) VALUES ('orphan-1', 99999, '/bills', 'GET', 1, 0), ('orphan-2', 99999, '/votes', 'GET', 2, 0)",
		);
		const finding = await mended("usage_without_user", "api_usage 99999");
		expect(finding.facts).toMatchObject({ rows: 2 });
		await run(
			"INSERT INTO mcp_logs (id, user_id, tool_name, status, timestamp) VALUES ('orphan-3', 88888, 'whoami', 'success', 1)",
		);
		await mended("usage_without_user", "mcp_logs 88888");
		const kept = await world.rows<{ table_name: string; row_data: string }>(
			"SELECT table_name, row_data FROM quarantine WHERE source = 'audit' ORDER BY id",
		);
		expect(kept.map((row) => JSON.parse(row.row_data))).toMatchObject([
			{ id: "orphan-1", endpoint: "/bills", user_id: 99999 },
			{ id: "orphan-2", endpoint: "/votes" },
			{ id: "orphan-3", tool_name: "whoami", user_id: 88888 },
		]);
		for (const row of kept) {
			await whole(row);
		}
		// More than one statement may move.
		await run(
			"WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 4500) INSERT INTO api_usage (id, user_id, endpoint, method, timestamp, opening) SELECT 'orphan-many-' || n, 99999, '/bills', 'GET', 1, 0 FROM n",
		);
		await mended("usage_without_user", "api_usage 99999");
		const many = await world.rows("SELECT count(*) AS n FROM quarantine WHERE row_data ->> 'id' LIKE 'orphan-many-%'");
		expect(many).toEqual([{ n: 4_500 }]);
	});

	test("the data of a tool call that is no JSON is kept as a text", async () => {
		const { sub } = await caller(1);
		const { id } = await usage(sub);
		await run(
			"INSERT INTO mcp_logs (id, user_id, tool_name, status, request_data, cost, timestamp, opening) VALUES ('broken-log', ?, 'whoami', 'success', '{half', 0, 1, 0)",
			id,
		);
		await mended("column_unreadable", "mcp_logs broken-log request_data, response_data");
		const [log] = await world.rows("SELECT request_data ->> '$' AS data FROM mcp_logs WHERE id = 'broken-log'");
		expect(log).toEqual({ data: "{half" });
	});
});

describe("entitlement", () => {
	test("a meter that entitles to more than the database", async () => {
		const { sub, bearer } = await caller();
		await tamper(
			sub,
			`UPDATE known SET json = json_set(json, '$.account.entitlement.plan', 'professional', '$.account.entitlement.standing', 'active')`,
		);
		await mended("entitlement_differs", sub);
		expect((await account(bearer)).entitlement.plan).toBe("free");
	});

	test("a meter that knows more than a database that was restored: the database's word counts", async () => {
		const { sub, bearer } = await caller();
		await tamper(
			sub,
			`UPDATE known SET json = json_set(json, '$.account.entitlement.version', 40, '$.account.entitlement.plan', 'enterprise', '$.account.entitlement.standing', 'active')`,
		);
		await world.set({ clock: 20 * 60_000 });
		await mended("entitlement_differs", sub);
		expect((await account(bearer)).entitlement).toMatchObject({ plan: "free", version: 41 });
	});

	test("a grace that is over, and a meter that does not know it", async () => {
		const { sub, bearer, event } = await payer();
		await deliver(event("customer.subscription.updated", { status: "past_due" }));
		await world.ring(sub);
		await world.set({ clock: 15 * DAY });
		await world.worker.scheduled({ cron: "7 * * * *" } as never);
		await account(bearer);
		await tamper(
			sub,
			`UPDATE known SET json = json_set(json, '$.account.entitlement.changes', json('[]'), '$.account.entitlement.plan', 'developer')`,
		);
		await mended("grace_expired", sub);
		await world.set({ clock: 0 });
		await deliver(event("customer.subscription.updated", { status: "active" }));
		await world.ring(sub);
	});

	test("a payment that is due since nobody knows when", async () => {
		const { sub } = await caller(1);
		await run(
			"UPDATE users SET current_plan_id = 20, subscription_status = 'past_due', entitlement_version = 1 WHERE auth0_user_id = ?",
			sub,
		);
		await world.set({ clock: 20 * 60_000 });
		const bearer = await world.token(sub);
		await account(bearer);
		await world.ring(sub);
		const { id, finding } = await only("grace_unending", sub);
		// However late the repair is made, the grace is whole.
		await world.set({ clock: 20 * DAY });
		await post(`/api/admin/repair?run=${id}`);
		const { entitlement } = await account(bearer);
		expect(entitlement.changes).toMatchObject([{ plan: "free" }]);
		expect(Date.parse(entitlement.changes?.[0]?.at ?? "")).toBeGreaterThan(Date.now() + (20 + 13) * DAY);
		await world.set({ clock: 20 * 60_000 });
		expect(finding.repair?.type).toBe("begin_grace");
		// What is left is that nobody knows of a subscription.
		await only("user_without_subscription", sub);
		// An agreement would do; one that was taken out instead of ended is none.
		await run("UPDATE users SET agreed_plan_id = 20 WHERE auth0_user_id = ?", sub);
		await clean();
		await run("UPDATE users SET agreed_plan_id = NULL WHERE auth0_user_id = ?", sub);
		await only("user_without_subscription", sub);
		await run(
			"UPDATE users SET current_plan_id = 10, subscription_status = 'free', past_due_since = NULL, entitlement_version = 3 WHERE auth0_user_id = ?",
			sub,
		);
		await world.set({ clock: 40 * 60_000 });
		await account(bearer);
		await world.ring(sub);
		await clean();
	});
});

describe("money", () => {
	test("columns that are not what the events say", async () => {
		const { sub, bearer } = await payer();
		await run("UPDATE users SET current_plan_id = 40 WHERE auth0_user_id = ?", sub);
		await mended("standing_differs", sub);
		expect((await account(bearer)).entitlement.plan).toBe("developer");
	});

	test("an event that never came: Stripe itself is asked", async () => {
		const { sub, bearer, event } = await payer();
		event("customer.subscription.updated", { plan: "professional" });
		const finding = await mended("standing_differs", sub);
		expect(finding.repair?.type).toBe("fetch_subscription");
		expect((await account(bearer)).entitlement.plan).toBe("professional");
	});

	test("a subscription of which no event ever came, of somebody who is known: the plan is not taken away", async () => {
		const { sub, bearer, subscription } = await payer();
		// The database of before the subscription; the meter knows better.
		await run("DELETE FROM subscription_snapshots WHERE subscription_id = ?", subscription.id);
		await run("DELETE FROM stripe_webhook_logs WHERE customer_id = ?", subscription.customer);
		await run(
			"UPDATE users SET current_plan_id = 10, subscription_status = 'free', subscription_period_end = NULL, billing_anchor = NULL, billing_interval = NULL, entitlement_version = 0 WHERE auth0_user_id = ?",
			sub,
		);
		const { id, finding } = await only("standing_differs", sub);
		expect(finding.facts).toMatchObject({ subscription: subscription.id });
		expect((await post(`/api/admin/repair?run=${id}`)).repairs).toMatchObject([
			{ repair: "fetch_subscription", outcome: "repaired" },
		]);
		expect((await account(bearer)).entitlement.plan).toBe("developer");
		const again = await audit();
		// The meter's word may be of a later version than that of the database; they say the same now.
		for (const { code } of again.findings) {
			expect(code).toBe("entitlement_differs");
		}
		await post(`/api/admin/repair?run=${again.id}`);
		expect((await account(bearer)).entitlement.plan).toBe("developer");
		await clean();
	});

	test("a subscription that Stripe does not have", async () => {
		const { sub, subscription } = await payer();
		const object = stripe.subscriptions.get(subscription.id) as object;
		stripe.subscriptions.delete(subscription.id);
		const { finding } = await only("user_without_subscription", sub);
		expect(finding.facts).toMatchObject({ subscription: subscription.id });
		stripe.subscriptions.set(subscription.id, object);
		await clean();
	});

	test("a customer of a user that the table of customers does not have", async () => {
		const { sub } = await caller(1);
		await run("UPDATE users SET stripe_customer_id = 'cus_lost' WHERE auth0_user_id = ?", sub);
		await mended("user_without_customer", sub);
	});

	test("a customer that is nobody's", async () => {
		await run("INSERT INTO stripe_customers (id, version) VALUES ('cus_nobody', 1)");
		await only("customer_without_user", "cus_nobody");
		await run("DELETE FROM stripe_customers WHERE id = 'cus_nobody'");
	});

	test("a subscription whose user is not registered, as events say and as Stripe lists it", async () => {
		const local = { ...empty(), ids: ++users * 1_000 };
		const made = happen(local, {
			type: "customer.subscription.created",
			user: "audit|nobody",
			at: Math.floor(Date.now() / 1000),
			plan: "starter",
		});
		const object = made.data.object as { id: string; customer: string };
		stripe.subscriptions.set(object.id, object);
		await only("subscription_without_user", object.id);
		await run(
			"INSERT INTO stripe_customers (id, sub, linked_kind, linked_at, linked_by, version) VALUES (?, 'audit|nobody', 'metadata', 1, 'evt', 1)",
			object.customer,
		);
		stripe.subscriptions.delete(object.id);
		await clean();
		await run(
			'INSERT INTO subscription_snapshots (id, customer_id, subscription_id, kind, facts, created_at) VALUES (\'evt_nobody\', ?, ?, \'created\', \'{"status":"active","prices":[],"cancelAtPeriodEnd":false}\', 1)',
			object.customer,
			object.id,
		);
		await only("subscription_without_user", object.id);
		await run("DELETE FROM subscription_snapshots WHERE id = 'evt_nobody'");
		await run("DELETE FROM stripe_customers WHERE id = ?", object.customer);
	});

	test("a price nobody knows, and then somebody does", async () => {
		const { sub, bearer, event } = await payer();
		await deliver(event("customer.subscription.updated", { plan: "brandnew" }));
		await world.ring(sub);
		const price = "price_local_brandnew_month";
		const { finding } = await only("price_unknown", `${sub} ${price}`);
		expect(finding.repair).toBeUndefined();
		await run("UPDATE plans SET stripe_price_id = ? WHERE id = 40", price);
		await world.set({ clock: 61_000 });
		await mended("price_unknown", `${sub} ${price}`);
		expect((await account(bearer)).entitlement.plan).toBe("enterprise");
	});

	test("an event that failed long ago is applied again", async () => {
		const { sub, bearer, event } = await payer();
		const upgrade = event("customer.subscription.updated", { plan: "professional" });
		const id = upgrade.id;
		await run(
			"INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, error_message, raw_payload, customer_id, created_at, next_attempt_at) VALUES (?, ?, 'failed', 'planted', ?, ?, ?, ?)",
			id,
			upgrade.type,
			JSON.stringify(upgrade),
			(upgrade.data.object as { customer: string }).customer,
			Date.now() - 3 * HOUR,
			Date.now() + HOUR,
		);
		const { id: audited, findings } = await audit();
		// Stripe says the same by itself.
		expect(brief(findings)).toEqual([
			{ code: "event_stuck", subject: id },
			{ code: "standing_differs", subject: sub },
		]);
		expect((await post(`/api/admin/repair?run=${audited}&code=event_stuck&subject=${id}`)).repairs).toMatchObject([
			{ outcome: "repaired" },
		]);
		expect((await account(bearer)).entitlement.plan).toBe("professional");
		await world.ring(sub);
		await clean();
	});

	test("an event that waits for a week for somebody who does not come", async () => {
		await run("INSERT INTO stripe_customers (id, version) VALUES ('cus_waits', 1)");
		await run(
			'INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, raw_payload, customer_id, created_at) VALUES (\'evt_waits\', \'customer.created\', \'pending\', \'{"id":"evt_waits","type":"customer.created","livemode":false,"created":1,"data":{"object":{}}}\', \'cus_waits\', ?)',
			Date.now() - 8 * DAY,
		);
		const { findings } = await audit();
		expect(brief(findings)).toEqual([
			{ code: "customer_without_user", subject: "cus_waits" },
			{ code: "event_waiting", subject: "evt_waits" },
		]);
		expect(findings.map(({ severity }) => severity)).toEqual(["warning", "notice"]);
		await run("DELETE FROM stripe_webhook_logs WHERE stripe_event_id = 'evt_waits'");
		await run("DELETE FROM stripe_customers WHERE id = 'cus_waits'");
	});

	test("alerts and facts that do not decode", async () => {
		const { sub, event, subscription } = await payer();
		await run("UPDATE users SET billing_alerts = '[1]' WHERE auth0_user_id = ?", sub);
		await mended("column_unreadable", `users ${sub} billing_alerts`);
		const [logged] = await world.rows<{ id: string }>(
			"SELECT stripe_event_id AS id FROM stripe_webhook_logs WHERE customer_id = ?",
			subscription.customer,
		);
		await run("UPDATE stripe_webhook_logs SET alerts = '[{}]' WHERE stripe_event_id = ?", logged?.id);
		await mended("column_unreadable", `stripe_webhook_logs ${logged?.id} alerts`);
		await deliver(event("customer.subscription.updated", { at: Math.floor(Date.now() / 1000) + 1 }));
		await run("UPDATE subscription_snapshots SET facts = '{}' WHERE id = ?", logged?.id);
		await mended("column_unreadable", `subscription_snapshots ${logged?.id} facts`);
		const kept = await world.rows<{ table_name: string; row_data: string }>(
			"SELECT table_name, row_data FROM quarantine WHERE reason = 'column_unreadable'",
		);
		expect(kept.map((row) => row.table_name)).toEqual(["subscription_snapshots"]);
		for (const row of kept) {
			await whole(row);
		}
	});

	test("a subscription's last word that does not decode: its event says it again", async () => {
		const { sub, bearer, event } = await payer();
		const ended = event("customer.subscription.deleted", { at: Math.floor(Date.now() / 1000) + 1 });
		await deliver(ended);
		expect((await account(bearer)).entitlement.plan).toBe("free");
		await run("UPDATE subscription_snapshots SET facts = '{}' WHERE id = ?", ended.id);
		await mended("column_unreadable", `subscription_snapshots ${ended.id} facts`);
		expect((await account(bearer)).entitlement.plan).toBe("free");
		const [stored] = await world.rows<{ facts: string }>(
			"SELECT facts FROM subscription_snapshots WHERE id = ?",
			ended.id,
		);
		expect(JSON.parse(stored?.facts ?? "{}")).toMatchObject({ status: "canceled" });
		await settled(sub);
	});

	test("a customer whose events came before its user was adopted", async () => {
		const { sub, bearer, event, subscription } = await payer();
		const { customer } = subscription;
		await run(
			"UPDATE stripe_customers SET sub = NULL, linked_kind = NULL, linked_at = NULL, linked_by = NULL WHERE id = ?",
			customer,
		);
		const ended = event("customer.subscription.deleted", { at: Math.floor(Date.now() / 1000) + 1 });
		Object.assign(ended.data.object, { metadata: {} });
		await deliver(ended);
		expect((await account(bearer)).entitlement.plan).toBe("developer");
		const { id } = await audit();
		const asked = `run=${id}&code=user_without_customer&subject=${encodeURIComponent(sub)}`;
		expect((await post(`/api/admin/repair?${asked}`)).repairs).toMatchObject([{ outcome: "repaired" }]);
		await world.worker.scheduled({ cron: "7 * * * *" } as never);
		expect((await account(bearer)).entitlement.plan).toBe("free");
		await settled(sub);
		await clean();
	});
});

describe("what everybody stands on", () => {
	test("a row of plans that somebody changed: only administrators are served until it is mended", async () => {
		await run("UPDATE plans SET amount = 1900 WHERE id = 20");
		await world.set({ clock: 61_000 });
		expect((await world.harness.fetch("/api/config/plans")).status).toBe(503);
		await mended("plan_row_differs", "20");
		const [plan] = await world.rows("SELECT amount, stripe_price_id FROM plans WHERE id = 20");
		expect(plan).toEqual({ amount: amount("starter", "month"), stripe_price_id: "price_local_starter_month" });
		expect((await world.harness.fetch("/api/config/plans")).status).toBe(200);
	});

	test("a row of plans that left the catalog and does not decode", async () => {
		await run(
			"INSERT INTO plans (id, name, slug, billing_frequency, currency, features, highlighted_features, description, display_order, mcp_calls_limit) VALUES (90, 'Old', 'old', 'monthly', 'usd', '[1]', '[]', '', 9, 5)",
		);
		await only("column_unreadable", "plans 90 features");
		await run("DELETE FROM plans WHERE id = 90");
	});

	test("a row of auth_config that does not decode", async () => {
		await run("UPDATE auth_config SET allowed_origins = '[1]' WHERE config_name = 'frontend'");
		await world.set({ clock: 61_000 });
		expect((await world.harness.fetch("/api/config/plans")).status).toBe(503);
		await only("column_unreadable", "auth_config frontend");
		await run("UPDATE auth_config SET allowed_origins = '[]' WHERE config_name = 'frontend'");
	});

	test("a user's row that breaks a rule", async () => {
		const { sub } = await caller(1);
		await run("UPDATE users SET subscription_status = '' WHERE auth0_user_id = ?", sub);
		const { finding } = await only("column_unreadable", `users ${sub}`);
		expect(finding.facts.reason).toContain("subscription_status");
		await run("UPDATE users SET subscription_status = 'free' WHERE auth0_user_id = ?", sub);
	});
});

describe("identities", () => {
	test("whom the issuer does not know, and who is not registered", async () => {
		const { sub } = await caller(1);
		await new Promise((resolve) => setTimeout(resolve, 5));
		deleted.add(sub);
		await only("user_without_identity", sub);
		deleted.delete(sub);
		strangers.add("auth0|stranger");
		await mended("identity_without_user", "auth0|stranger");
		strangers.delete("auth0|stranger");
	});

	test("an issuer that refuses does not keep the audit from what is left, nor from repairs", async () => {
		const { sub } = await caller(2);
		await run("UPDATE users SET lifetime_calls_count = 7 WHERE auth0_user_id = ?", sub);
		refused = 403;
		const { id, findings } = await audit();
		refused = undefined;
		expect(findings).toMatchObject([
			{ code: "meter_differs", subject: sub },
			{ code: "source_not_examined", subject: "identities", facts: { reason: expect.stringContaining("403") } },
		]);
		expect((await post(`/api/admin/repair?run=${id}`)).repairs).toMatchObject([{ outcome: "repaired" }]);
		await clean();
	});

	test("more than a thousand: the listing goes on where a query gives no more", async () => {
		const many = Array.from({ length: 1_250 }, (_, n) => `auth0|many-${String(n).padStart(4, "0")}`);
		for (const sub of many) {
			strangers.add(sub);
		}
		const { findings } = await audit();
		expect(findings.length).toBe(500);
		expect(asked.some((path) => path.includes("created_at:%5B2023"))).toBe(true);
		const listed = await world.rows("SELECT count(*) AS n FROM auth0_identities WHERE sub LIKE 'auth0|many-%'");
		expect(listed).toEqual([{ n: 1_250 }]);
		strangers.clear();
		await clean();
	});

	test("an export that an administrator sends", async () => {
		const subs = (await world.rows<{ sub: string }>("SELECT auth0_user_id AS sub FROM users")).map(({ sub }) => sub);
		const { listing } = await post("/api/admin/identities", JSON.stringify(subs.slice(0, 5)));
		await post(`/api/admin/identities?listing=${listing}&last=true`, JSON.stringify(subs.slice(5)));
		const stored = await world.rows("SELECT count(*) AS n FROM auth0_identities WHERE listing = ?", listing);
		expect(stored).toEqual([{ n: subs.length }]);
		const unclear = await world.call(administrator, "/api/admin/identities?last=yes", { method: "POST", body: "[]" });
		expect([unclear.status, (await unclear.json()).code]).toEqual([400, "invalid_parameter"]);
		const refused = await world.call(administrator, "/api/admin/identities", { method: "POST", body: '{"a":1}' });
		expect(refused.status).toBe(400);
		// One that is not there, or is finished, takes nothing, and the last one stays.
		for (const other of ["zzz", listing]) {
			const path = `/api/admin/identities?listing=${other}&last=true`;
			expect((await world.call(administrator, path, { method: "POST", body: "[]" })).status).toBe(404);
		}
		expect(await world.rows("SELECT count(*) AS n FROM auth0_identities WHERE listing = ?", listing)).toEqual(stored);
	});
});

describe("somebody who asks for help", () => {
	const look = (sub: string, bearer = administrator) =>
		world.call(bearer, `/api/admin/users/${encodeURIComponent(sub)}`);

	test("is shown as the database and the meter have them, with what was found, said by Stripe, and done", async () => {
		const { sub, bearer, subscription } = await payer({}, 3);
		await run("UPDATE users SET api_calls_count = 1 WHERE auth0_user_id = ?", sub);
		await mended("meter_differs", sub);
		await world.call(bearer, "/api/bills");
		const response = await look(sub);
		expect(response.status).toBe(200);
		const shown = await response.json();
		const own = await account(bearer);
		expect(shown.meter.account).toEqual(own);
		expect(shown.database.usage.period.used).toBe(4);
		expect(shown).toMatchObject({
			administrator: false,
			billing: {
				status: "active",
				customer: subscription.customer,
				alerts: [],
				events: [{ type: "customer.subscription.created", status: "processed" }],
			},
			findings: [],
			actions: [
				{ action: "view_user", by: ADMINISTRATOR },
				{ action: "repair", by: ADMINISTRATOR },
			],
		});
	});

	test("by administrators only, and nothing is made of somebody who is not there", async () => {
		const { sub, bearer } = await caller(0);
		expect((await look(sub, bearer)).status).toBe(403);
		const before = await run("SELECT id FROM admin_actions");
		expect((await look("audit|nobody-at-all")).status).toBe(404);
		expect(await run("SELECT id FROM admin_actions")).toEqual(before);
	});
});

describe("who and when", () => {
	test("administrators only", async () => {
		const { bearer } = await caller(0);
		for (const [path, method] of [
			["/api/admin/audit", "GET"],
			["/api/admin/audit", "POST"],
			["/api/admin/repair?run=x", "POST"],
			["/api/admin/identities", "POST"],
		] as const) {
			expect((await world.call(bearer, path, { method })).status).toBe(403);
			expect((await world.harness.fetch(path, { method } as never)).status).toBe(401);
		}
		expect((await world.call(administrator, "/api/admin/repair", { method: "POST" })).status).toBe(400);
		expect((await world.call(administrator, "/api/admin/repair?run=x", { method: "POST" })).status).toBe(404);
		expect((await world.call(administrator, "/api/admin/audit?code=odd")).status).toBe(400);
	});

	test("what an administrator did and looked at is on record with who it was", async () => {
		await run("DELETE FROM admin_actions");
		const { run: begun } = await post("/api/admin/audit");
		const { id } = await audit();
		await world.call(administrator, "/api/admin/webhooks?status=failed");
		const list = JSON.stringify(["audit|listed"]);
		const listed = await world.call(administrator, "/api/admin/identities?last=true", { method: "POST", body: list });
		const { listing } = await listed.json();
		const actions = await world.rows<{ sub: string; action: string; subject: string }>(
			"SELECT sub, action, subject FROM admin_actions ORDER BY id",
		);
		expect(actions).toEqual(
			[
				["begin_audit", begun.id],
				["begin_audit", id],
				["view_findings", id],
				["view_webhooks", "failed"],
				["begin_listing", listing],
				["finish_listing", listing],
			].map(([action, subject]) => ({ sub: ADMINISTRATOR, action, subject })),
		);
		await run("DELETE FROM auth0_identities");
		await run("DELETE FROM auth0_listings");
	});

	test("every night by itself, and once a night", async () => {
		await run("DELETE FROM audit_runs");
		const night = new Date();
		night.setUTCDate(night.getUTCDate() + 1);
		night.setUTCHours(3, 7, 0, 0);
		await world.set({ clock: night.getTime() - Date.now() });
		const [hourly, nightly] = crons();
		const cron = (trigger = nightly) => world.worker.scheduled({ cron: trigger } as never);
		const runs = async () =>
			world.rows<{ finished: number }>(
				"SELECT finished_at IS NOT NULL AS finished FROM audit_runs WHERE started_by = 'cron' ORDER BY id",
			);
		await cron();
		expect(await runs()).toEqual([]);
		await cron(hourly);
		// As much at once as an invocation may ask for; the rest goes on from where it was.
		expect(await runs()).toEqual([{ finished: 0 }]);
		for (let tick = 0; tick < 20 && (await runs())[0]?.finished === 0; tick++) {
			await cron();
		}
		expect(await runs()).toEqual([{ finished: 1 }]);
		const recorded = await world.rows("SELECT id FROM cron_runs WHERE task = 'audit'");
		await cron();
		await cron(hourly);
		expect((await runs()).length).toBe(1);
		expect((await world.rows("SELECT id FROM cron_runs WHERE task = 'audit'")).length).toBe(recorded.length + 1);
		const shown = await (await world.call(administrator, "/api/admin/audit")).json();
		expect(shown).toMatchObject({ done: true, run: { finishedAt: expect.stringMatching(/T03:/) }, findings: [] });
		const ready = (await (await world.harness.fetch("/api/ready")).json()) as { cron: object };
		expect(JSON.stringify(ready.cron)).toContain('"audit"');
	});
});
