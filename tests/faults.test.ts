// A database that fails, a meter that is evicted, an alarm that fires twice, a clock that is set.

import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { PATIENT } from "./patience.ts";
import { ROOT } from "./stack.ts";
import { world as make } from "./world.ts";

let world: Awaited<ReturnType<typeof make>>;
let users = 0;

beforeAll(async () => {
	world = await make();
});
afterAll(() => world.close());
beforeEach(async () => {
	world.answer(() => 200);
	await world.set({ clock: 0, database: "well", times: 0 });
});

const newSubject = () => `faults|${++users}`;
const account = async (bearer: string) => (await world.call(bearer, "/api/account")).json();
const used = async (bearer: string) => (await account(bearer)).usage.lifetime.used;
const reserve = (bearer: string, cost: number) =>
	world.call(bearer, "/api/calls", { method: "POST", body: JSON.stringify({ cost }) });
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

async function subscribe(sub: string, plan: number, anchor: number, version = 1) {
	await world.rows(
		"UPDATE users SET current_plan_id = ?, subscription_status = 'active', billing_anchor = ?, entitlement_version = ? WHERE auth0_user_id = ? RETURNING id",
		plan,
		anchor,
		version,
		sub,
	);
}

describe("the database", () => {
	test("away: who is known is served and counted, who is new is told to wait, nobody is let through uncounted", async () => {
		const [known, exhausted] = [newSubject(), newSubject()];
		const [one, two, stranger] = [
			await world.token(known),
			await world.token(exhausted),
			await world.token(newSubject()),
		];
		await world.call(one, "/api/bills");
		expect((await reserve(two, 100)).status).toBe(201);
		const before = world.served();
		await world.set({ database: "fails before it commits", times: 1_000 });
		const batches = await world.batches(known);
		for (let call = 0; call < 5; call++) {
			expect((await world.call(one, "/api/bills")).status).toBe(200);
		}
		// No statement on the way of a call that is admitted.
		expect(await world.batches(known)).toBe(batches);
		for (const bearer of [two, stranger]) {
			const refused = await world.call(bearer, "/api/bills");
			expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
			expect(await refused.json()).toMatchObject({ code: "unavailable" });
		}
		expect(world.served() - before).toBe(5);
		// Many who wait share one question.
		const asked = await world.batches(exhausted);
		expect(asked).toBeGreaterThan(0);
		await Promise.all(Array.from({ length: 20 }, () => world.call(two, "/api/bills")));
		expect((await world.batches(exhausted)) - asked).toBeLessThanOrEqual(2);
		await world.set({ times: 0, clock: 6_000 });
		expect((await world.call(two, "/api/bills")).status).toBe(429);
		expect((await world.call(stranger, "/api/bills")).status).toBe(200);
		await world.ring(known);
		const rows = await world.rows(
			"SELECT api_usage.id FROM api_usage JOIN users ON users.id = user_id WHERE auth0_user_id = ?",
			known,
		);
		expect(rows).toHaveLength(6);
		expect(await used(one)).toBe(6);
	});

	test("away for long: what was paid for last is served for a day, and not a day longer", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		await world.call(bearer, "/api/bills");
		await world.set({ database: "fails before it commits", times: 1_000 });
		for (const minutes of [50, 70, 23 * 60]) {
			await world.set({ clock: minutes * 60_000 });
			expect((await world.call(bearer, "/api/bills")).status).toBe(200);
		}
		await world.set({ clock: 25 * HOUR });
		const refused = await world.call(bearer, "/api/bills");
		expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
	});

	test("slow: 504 with a time to come back, within its limit, and nothing is lost", async () => {
		const bearer = await world.token(newSubject());
		await world.set({ database: "is slow", times: 1 });
		const start = Date.now();
		const late = await world.call(bearer, "/api/bills");
		expect(Date.now() - start).toBeLessThan(20_000);
		expect([late.status, late.headers.get("retry-after")]).toEqual([504, "5"]);
		await world.set({ clock: 6_000 });
		expect((await world.call(bearer, "/api/bills")).status).toBe(200);
		expect(await used(bearer)).toBe(1);
	});

	test("loses its answers: one user, and each row once", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		// So that the next batch is the registration.
		await world.harness.fetch("/api/config/plans");
		await world.set({ database: "loses its answer", times: 1 });
		expect((await world.call(bearer, "/api/bills")).status).toBe(503);
		await world.set({ clock: 6_000 });
		for (let call = 0; call < 7; call++) {
			await world.call(bearer, "/api/bills");
		}
		await world.set({ database: "loses its answer", times: 2 });
		await world.ring(sub);
		await world.set({ database: "fails before it commits", times: 2 });
		await world.ring(sub);
		await world.set({ times: 0 });
		await world.ring(sub);
		expect(await world.rows("SELECT id FROM users WHERE auth0_user_id = ?", sub)).toHaveLength(1);
		const [counted] = await world.rows<{ rows: number; cost: number; reported: number }>(
			"SELECT count(*) AS rows, sum(cost) AS cost, max(api_calls_count) AS reported FROM api_usage JOIN users ON users.id = user_id WHERE auth0_user_id = ?",
			sub,
		);
		expect(counted).toEqual({ rows: 7, cost: 7, reported: 7 });
	});

	test("away while much is called: all of it arrives, in pieces that the database takes", async () => {
		const [many, large] = [newSubject(), newSubject()];
		const [one, two] = [await world.token(many), await world.token(large, "mcp")];
		await account(one);
		await account(two);
		await subscribe(many, 30, Date.now() - DAY);
		await world.set({ clock: 11 * 60_000 });
		await account(one);
		await account(two);
		await world.set({ database: "fails before it commits", times: 1_000_000 });
		for (let calls = 0; calls < 700; calls += 50) {
			await Promise.all(Array.from({ length: 50 }, () => world.call(one, "/api/bills")));
		}
		const body = JSON.stringify({ tool_name: "get-bill", status: "success", response_data: "é".repeat(450_000) });
		for (let calls = 0; calls < 5; calls++) {
			expect((await world.call(two, "/api/mcp/logs", { method: "POST", body })).status).toBe(201);
		}
		await world.set({ times: 0 });
		await world.ring(many);
		await world.ring(large);
		const rows = (table: string, sub: string) =>
			world.rows<{ rows: number; cost: number }>(
				`SELECT count(*) AS rows, sum(cost) AS cost FROM ${table} JOIN users ON users.id = user_id WHERE auth0_user_id = ?`,
				sub,
			);
		expect(await rows("api_usage", many)).toEqual([{ rows: 700, cost: 700 }]);
		expect(await rows("mcp_logs", large)).toEqual([{ rows: 5, cost: 5 }]);
	});

	test("a log of a tool call is kept even when nothing is left and nobody can say whether more was paid for", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub, "mcp");
		await reserve(bearer, 100);
		await world.set({ database: "fails before it commits", times: 1_000 });
		const body = JSON.stringify({ tool_name: "get-bill", status: "success" });
		const logged = await world.call(bearer, "/api/mcp/logs", { method: "POST", body });
		expect([logged.status, (await logged.json()).log.over_limit]).toEqual([201, true]);
		await world.set({ times: 0 });
		await world.ring(sub);
		expect(
			await world.rows("SELECT over_limit FROM mcp_logs JOIN users ON users.id = user_id WHERE auth0_user_id = ?", sub),
		).toEqual([{ over_limit: 1 }]);
	});
});

describe("the issuer", () => {
	test("is asked once, however many keys that nobody knows come at once", async () => {
		const [sub, other] = [newSubject(), newSubject()];
		const bearer = await world.token(sub);
		await world.set({ clock: 40_000 });
		expect((await world.call(bearer, "/api/bills")).status).toBe(200);
		const invented = await Promise.all(
			Array.from({ length: 40 }, (_, index) => world.token(other, "page", {}, `invented-${index}`)),
		);
		// So that the cool-down is over, and the keys are fresh.
		await world.set({ clock: 80_000 });
		const before = world.asked();
		const goOn = world.silence();
		const answers = invented.map((bearer) => world.call(bearer, "/api/bills"));
		const early = answers.slice(0, -1).map(async (answer) => (await answer).status);
		await expect.poll(world.asked, PATIENT).toBe(before + 1);
		// Whether the issuer has such keys is known when it has answered; a known one is not kept waiting.
		expect((await world.call(bearer, "/api/bills")).status).toBe(200);
		expect(await Promise.any(early)).toBe(503);
		goOn();
		const statuses = await Promise.all(answers.map(async (answer) => (await answer).status));
		expect(statuses.filter((status) => status === 401)).toHaveLength(1);
		expect(statuses.filter((status) => status === 503)).toHaveLength(39);
		expect(world.asked()).toBe(before + 1);
		expect((await world.call(invented[0] as string, "/api/bills")).status).toBe(401);
		expect(world.asked()).toBe(before + 1);
	});

	test("silent: one call waits for it, the others are served with the keys that are known", async () => {
		const bearer = await world.token(newSubject());
		await world.set({ clock: 20 * 60_000 });
		expect((await world.call(bearer, "/api/bills")).status).toBe(200);
		await world.set({ clock: 31 * 60_000 });
		const before = world.asked();
		const goOn = world.silence();
		let waits = true;
		const first = world.call(bearer, "/api/bills").finally(() => {
			waits = false;
		});
		await expect.poll(world.asked, PATIENT).toBe(before + 1);
		for (let call = 0; call < 5; call++) {
			expect((await world.call(bearer, "/api/bills")).status).toBe(200);
		}
		expect(waits).toBe(true);
		goOn();
		expect((await first).status).toBe(200);
		expect(world.asked()).toBe(before + 1);
	});

	test("failing: whoever asks whether we are ready does not have it asked each time", async () => {
		await world.set({ clock: 60 * 60_000 });
		const before = world.asked();
		const goOn = world.silence(500);
		for (let ask = 0; ask < 5; ask++) {
			expect((await world.harness.fetch("/api/ready")).status).toBe(503);
		}
		expect(world.asked()).toBe(before + 1);
		goOn();
		await world.set({ clock: 61 * 60_000 });
		expect((await world.harness.fetch("/api/ready")).status).toBe(200);
	});
});

describe("the data service", () => {
	test("hangs up: refunded, and the row says so", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		world.answer(() => 0);
		const answer = await world.call(bearer, "/api/bills");
		// The harness answers for a connection that breaks; a deployment sees the break itself.
		expect([500, 502]).toContain(answer.status);
		await expect.poll(() => used(bearer)).toBe(0);
		await world.ring(sub);
		const rows = await world.rows(
			"SELECT api_usage.status AS status, cost FROM api_usage JOIN users ON users.id = user_id WHERE auth0_user_id = ?",
			sub,
		);
		expect(rows).toEqual([{ status: "error", cost: 0 }]);
	});
});

describe("the meter", () => {
	test("evicted: what is used, what is open and what a key decided is still known", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		const open = await (await reserve(bearer, 3)).json();
		const keyed = { headers: { "Idempotency-Key": "k" } };
		const first = await world.call(bearer, "/api/bills", keyed);
		await expect.poll(async () => (await world.call(bearer, "/api/bills", keyed)).status).toBe(200);
		await world.evict(sub);
		const again = await world.call(bearer, "/api/bills", keyed);
		expect(again.headers.get("legis-call")).toBe(first.headers.get("legis-call"));
		const settled = await world.call(bearer, `/api/calls/${open.id}`, { method: "PATCH", body: '{"status":"error"}' });
		expect([settled.status, await settled.json()]).toEqual([200, { id: open.id, status: "error", cost: 0 }]);
		await world.evict(sub);
		expect(await used(bearer)).toBe(1);
		await world.ring(sub);
		await world.evict(sub);
		expect(await used(bearer)).toBe(1);
		const rows = await world.rows(
			"SELECT api_usage.id FROM api_usage JOIN users ON users.id = user_id WHERE auth0_user_id = ?",
			sub,
		);
		expect(rows).toHaveLength(2);
	});

	test("an alarm that fires twice at once, and again, changes nothing the second time", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		for (let call = 0; call < 4; call++) {
			await world.call(bearer, "/api/votes");
		}
		const read = () =>
			world.rows(
				"SELECT api_usage.*, api_calls_count, mcp_calls_count, lifetime_calls_count FROM api_usage JOIN users ON users.id = user_id WHERE auth0_user_id = ? ORDER BY api_usage.id",
				sub,
			);
		await world.ring(sub);
		const rows = await read();
		expect(rows).toHaveLength(4);
		await world.ring(sub);
		await world.evict(sub);
		await world.ring(sub);
		expect(await read()).toEqual(rows);
	});

	test("leaves a database alone that fails and fails, less and less often, and goes on when it is well", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		await world.call(bearer, "/api/votes");
		await world.set({ database: "fails before it commits", times: 1_000_000 });
		const minute = 60_000;
		for (const [least, most] of [
			[0.4, 1],
			[1.9, 4],
			[4.9, 10],
			[4.9, 10],
			[4.9, 10],
		] as const) {
			// Twice at once.
			await world.alarm(sub);
			// Who waits so long is not kept in memory.
			await world.evict(sub);
			// Nor does a call that is made meanwhile bring it back earlier: the user is known.
			expect((await world.call(bearer, "/api/votes")).status).toBe(200);
			const next = await world.next(sub);
			expect(next).toBeGreaterThan(least * minute);
			expect(next).toBeLessThanOrEqual(most * minute);
		}
		await world.set({ database: "well", times: 0 });
		await world.alarm(sub);
		const [row] = await world.rows("SELECT api_calls_count AS used FROM users WHERE auth0_user_id = ?", sub);
		expect(row).toEqual({ used: 6 });
		await world.call(bearer, "/api/votes");
		expect(await world.next(sub)).toBeLessThanOrEqual(10_000);
	});

	test("hears by itself how a call ended, without another question to it", async () => {
		const sub = newSubject();
		await world.call(await world.token(sub), "/api/bills");
		await ended(sub, [200]);
	});

	test("hears how calls ended though the message was lost that was to say so", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		await world.call(bearer, "/api/bills");
		await world.set({ lost: 1 });
		expect((await world.call(bearer, "/api/bills")).status).toBe(503);
		await world.call(bearer, "/api/bills");
		await ended(sub, [200, 200]);
		expect(await used(bearer)).toBe(2);
	});

	/** Waits until the database knows how all of a user's calls ended; nothing but the alarm wakes the meter. */
	async function ended(sub: string, statuses: number[]) {
		await vi.waitFor(async () => {
			await world.alarm(sub);
			const rows = await world.rows<{ status_code: number }>(
				"SELECT status_code FROM api_usage JOIN users ON users.id = user_id WHERE auth0_user_id = ? AND status = 'success'",
				sub,
			);
			expect(rows.map((row) => row.status_code)).toEqual(statuses);
		}, PATIENT);
	}

	test("a reservation that was told under its key is not given up by the attempt whose answer was lost", async () => {
		const bearer = await world.token(newSubject());
		await account(bearer);
		const send = () =>
			world.call(bearer, "/api/calls", {
				method: "POST",
				body: '{"cost":3}',
				headers: { "Idempotency-Key": "one" },
			});
		// The answer is lost, and so is the first word that nobody waits for it.
		await world.set({ unanswered: 1, givenUp: 0 });
		expect((await send()).status).toBe(503);
		const again = await send();
		expect(again.status).toBe(201);
		const { id } = await again.json();
		await expect.poll(async () => (await world.set({})).givenUp, PATIENT).toBe(1);
		expect(await used(bearer)).toBe(3);
		const settled = await world.call(bearer, `/api/calls/${id}`, { method: "PATCH", body: '{"status":"success"}' });
		expect(settled.status).toBe(200);
		expect(await used(bearer)).toBe(3);
	});

	test("a plan that changes while a report is on its way is reported after it", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		const { id } = await (await reserve(bearer, 7)).json();
		await world.call(bearer, `/api/calls/${id}`, { method: "PATCH", body: '{"status":"success"}' });
		const before = await world.batches(sub);
		await world.set({ database: "waits", times: 1 });
		const reporting = world.alarm(sub);
		await expect.poll(() => world.batches(sub), PATIENT).toBeGreaterThan(before);
		await subscribe(sub, 20, Date.now() - DAY);
		expect((await world.call(bearer, "/api/users/register", { method: "POST" })).status).toBe(200);
		await world.set({ database: "well", times: 0 });
		await reporting;
		await world.alarm(sub);
		const columns = "SELECT api_calls_count AS used, api_calls_reset_at AS resets FROM users WHERE auth0_user_id = ?";
		expect(await world.rows(columns, sub)).toEqual([{ used: 0, resets: expect.any(Number) }]);
	});

	test("a call that nobody settles is closed after ten minutes: outcome unknown, charged, and it stays so", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub, "mcp");
		const body = JSON.stringify({ tool: "get-bill", cost: 2 });
		const { id } = await (await world.call(bearer, "/api/calls", { method: "POST", body })).json();
		await world.set({ clock: 9 * 60_000 });
		await world.ring(sub);
		expect(await world.rows("SELECT id FROM mcp_logs WHERE id = ?", id)).toEqual([]);
		await world.set({ clock: 11 * 60_000 });
		await world.ring(sub);
		expect(await world.rows("SELECT status, cost, error_message FROM mcp_logs WHERE id = ?", id)).toEqual([
			{ status: "unknown", cost: 2, error_message: "outcome unknown" },
		]);
		const late = await world.call(bearer, `/api/calls/${id}`, { method: "PATCH", body: '{"status":"error"}' });
		expect([late.status, (await late.json()).code]).toEqual([409, "call_settled"]);
		expect(await used(bearer)).toBe(2);
	});

	test("two tokens that say different names do not ask the database with every call; a minute later the name is theirs", async () => {
		const sub = newSubject();
		const bearers = await Promise.all(["Ada", "Countess"].map((name) => world.token(sub, "page", { name })));
		await world.call(bearers[0] as string, "/api/bills");
		const batches = await world.batches(sub);
		expect(batches).toBeGreaterThan(0);
		for (let call = 0; call < 6; call++) {
			expect((await world.call(bearers[call % 2] as string, "/api/bills")).status).toBe(200);
		}
		expect(await world.batches(sub)).toBe(batches);
		await world.set({ clock: 61_000 });
		await world.call(bearers[1] as string, "/api/bills");
		expect(await world.rows("SELECT name FROM users WHERE auth0_user_id = ?", sub)).toEqual([{ name: "Countess" }]);
		// Who asks about the account is told what their own token says.
		expect((await account(bearers[0] as string)).user.name).toBe("Ada");
	});

	test("an older entitlement never replaces a newer one", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		await account(bearer);
		await subscribe(sub, 30, Date.now() - DAY, 5);
		await world.set({ clock: 11 * 60_000 });
		expect((await account(bearer)).entitlement).toMatchObject({ plan: "professional", version: 5 });
		await subscribe(sub, 20, Date.now() - DAY, 4);
		await world.set({ clock: 22 * 60_000 });
		expect((await account(bearer)).entitlement).toMatchObject({ plan: "professional", version: 5 });
	});
});

test("a limit that runs out between two waits ends the second one", async () => {
	const { Deadline } = await import(join(ROOT, "worker/src/platform.js"));
	vi.useFakeTimers();
	try {
		const deadline = new Deadline(1_000);
		expect(await deadline.limit(Promise.resolve("first"))).toBe("first");
		vi.advanceTimersByTime(1_000);
		await expect(deadline.limit(new Promise(() => {}))).rejects.toBe(1_000);
	} finally {
		vi.useRealTimers();
	}
});

describe("the clock", () => {
	test("forward over a month's end renews once; back again yields nothing, and forward neither", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		await account(bearer);
		await subscribe(sub, 20, Date.now() - 10 * DAY);
		await world.set({ clock: 11 * 60_000 });
		const monthly = async () => (await account(bearer)).usage.period;
		expect((await reserve(bearer, 1_000)).status).toBe(201);
		const first = await monthly();
		expect((await world.call(bearer, "/api/bills")).status).toBe(429);
		await world.set({ clock: Date.parse(first.end) - Date.now() + 1_000 });
		expect((await reserve(bearer, 600)).status).toBe(201);
		const second = await monthly();
		expect(second).toMatchObject({ start: first.end, used: 600 });
		await world.set({ clock: 0 });
		expect((await reserve(bearer, 401)).status).toBe(429);
		expect((await reserve(bearer, 400)).status).toBe(201);
		await world.set({ clock: Date.parse(first.end) - Date.now() + 2_000 });
		expect((await reserve(bearer, 1)).status).toBe(429);
		expect(await monthly()).toEqual({ ...second, used: 1_000 });
	});
});

describe("the cron", () => {
	const run = (at: number) => world.worker.scheduled({ cron: "7 * * * *", scheduledTime: new Date(at) } as never);
	const runs = (task: string) =>
		world.rows<{ outcome: string; changed: number; finished_at: number }>(
			"SELECT outcome, changed, finished_at FROM cron_runs WHERE task = ? ORDER BY id",
			task,
		);

	test("brings the columns of idle users to the period that runs, once, and leaves the others alone", async () => {
		const [idle, lapsed, lifetime] = [newSubject(), newSubject(), newSubject()];
		const bearers = await Promise.all([idle, lapsed, lifetime].map((sub) => world.token(sub)));
		for (const bearer of bearers) {
			await reserve(bearer, 7);
		}
		const anchor = Date.now() - 3 * DAY;
		await subscribe(idle, 20, anchor);
		await subscribe(lapsed, 20, anchor);
		await world.set({ clock: 11 * 60_000 });
		for (const bearer of bearers.slice(0, 2)) {
			await reserve(bearer, 40);
		}
		for (const sub of [idle, lapsed, lifetime]) {
			await world.ring(sub);
		}
		await world.set({ clock: 25 * 60_000 });
		for (const sub of [idle, lapsed, lifetime]) {
			await world.ring(sub);
		}
		await world.rows(
			"UPDATE users SET scheduled_plan_id = 10, scheduled_at = ? WHERE auth0_user_id = ? RETURNING id",
			Date.now() + DAY,
			lapsed,
		);
		const columns = (sub: string) =>
			world.rows<{ api_calls_count: number; api_calls_reset_at: number | null }>(
				"SELECT api_calls_count, api_calls_reset_at FROM users WHERE auth0_user_id = ?",
				sub,
			);
		const [before] = await columns(idle);
		expect(before?.api_calls_count).toBe(40);
		const over = (before?.api_calls_reset_at ?? 0) + HOUR;
		await world.set({ clock: over - Date.now() });
		await run(over);
		const [after] = await columns(idle);
		expect(after?.api_calls_count).toBe(0);
		expect(after?.api_calls_reset_at).toBeGreaterThan(over + 27 * DAY);
		// Back on the one-time allowance, what was used of it shows again.
		expect(await columns(lapsed)).toEqual([{ api_calls_count: 7, api_calls_reset_at: null }]);
		expect(await columns(lifetime)).toEqual([{ api_calls_count: 7, api_calls_reset_at: null }]);
		await run(over);
		expect(await columns(idle)).toEqual([after]);
		const [first, second] = await runs("close_periods");
		expect(first).toMatchObject({ outcome: "succeeded", finished_at: expect.any(Number) });
		expect(first?.changed).toBeGreaterThanOrEqual(2);
		expect(second).toMatchObject({ outcome: "succeeded", changed: 0 });
		const ready = await (await world.harness.fetch("/api/ready")).json();
		expect(ready).toMatchObject({
			cron: ["apply_events", "audit", "close_periods", "prune_history", "reconcile_billing"].map((task) => ({
				task,
				outcome: "succeeded",
			})),
		});
	});

	test("prunes what is older than it is kept, and nothing else", async () => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		await account(bearer);
		const [user] = await world.rows<{ id: number }>("SELECT id FROM users WHERE auth0_user_id = ?", sub);
		const insert = (id: string, at: number) =>
			world.rows(
				"INSERT INTO api_usage (id, user_id, endpoint, method, timestamp) VALUES (?, ?, '/old', 'GET', ?) RETURNING id",
				`${at
					.toString(16)
					.padStart(12, "0")
					.replace(/^(.{8})/, "$1-")}-7000-8000-${id.padStart(12, "0")}`,
				user?.id,
				at,
			);
		for (const [id, days] of [
			["a", 401],
			["b", 400.1],
			["c", 399.9],
			["d", 1],
		] as const) {
			await insert(id, Math.floor(Date.now() - days * DAY));
		}
		const left = () => world.rows<{ id: string }>("SELECT id FROM api_usage WHERE endpoint = '/old' ORDER BY id");
		await run(Date.now());
		expect((await left()).map((row) => row.id.at(-1))).toEqual(["c", "d"]);
		await run(Date.now());
		expect(await left()).toHaveLength(2);
	});

	test("a run that fails is on record, and the next one does its work", async () => {
		await world.rows("DELETE FROM cron_runs RETURNING id");
		await world.rows("ALTER TABLE users RENAME COLUMN lifetime_mcp_count TO gone");
		await run(Date.now());
		expect(await runs("close_periods")).toMatchObject([{ outcome: "failed" }]);
		expect(await runs("prune_history")).toMatchObject([{ outcome: "succeeded" }]);
		await world.rows("ALTER TABLE users RENAME COLUMN gone TO lifetime_mcp_count");
		await run(Date.now());
		expect((await runs("close_periods")).map((run) => run.outcome)).toEqual(["failed", "succeeded"]);
	});
});

const SECRET = "a signing secret of more than thirty-two bytes";

test.each([
	[{ MCP_UPSTREAM_URL: "mcp.example.com/mcp", MCP_SIGNING_SECRET: SECRET }, "MCP_UPSTREAM_URL must be"],
	[{ MCP_UPSTREAM_URL: "http://mcp.example.com/mcp", MCP_SIGNING_SECRET: SECRET }, "MCP_UPSTREAM_URL must be"],
	[{ MCP_UPSTREAM_URL: "https://mcp.example.com/mcp" }, "MCP_SIGNING_SECRET is missing"],
	[{ STRIPE_API_KEY: "rk_test_local" }, "STRIPE_MODE is missing"],
	[{ STRIPE_API_KEY: "rk_test_local", STRIPE_MODE: "test" }, "STRIPE_WEBHOOK_SECRET is missing"],
	[{ AUTH0_MANAGEMENT_CLIENT_ID: "listing" }, "AUTH0_MANAGEMENT_CLIENT_SECRET is missing"],
	[{ GRACE_DAYS: "3" }, "GRACE_DAYS is 3"],
])("a deployment that is half set up is not ready, and says what is missing: %j", async (vars, reason) => {
	const half = await make(vars);
	const ready = await half.harness.fetch("/api/ready");
	expect(await ready.json()).toMatchObject({ status: 503, detail: expect.stringContaining(reason) });
	await half.close();
});
