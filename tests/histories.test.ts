// Random histories through the real worker, its meter and its database, held to a model that keeps nothing but sums; and
// many callers at once, for every kind of allowance, with failures and repeated calls among them.
// `LEGIS_SEED` repeats a run.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { world as make, random } from "./world.ts";

const SEED = Number(process.env.LEGIS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const DAY = 86_400_000;

let world: Awaited<ReturnType<typeof make>>;
let users = 0;

beforeAll(async () => {
	world = await make();
	console.log(`seed ${SEED}`);
});
afterAll(() => world.close());
beforeEach(async () => {
	world.answer(() => 200);
	await world.set({ clock: 0, database: "well", times: 0 });
});

const newSubject = () => `histories|${++users}`;
const account = async (bearer: string) => (await world.call(bearer, "/api/account")).json();

async function subscribe(sub: string, plan: number, anchor: number, version: number) {
	await world.rows(
		"UPDATE users SET current_plan_id = ?, subscription_status = ?, billing_anchor = ?, entitlement_version = ? WHERE auth0_user_id = ? RETURNING id",
		plan,
		plan === 10 ? "free" : "active",
		anchor,
		version,
		sub,
	);
}

/** Brings a user to a plan, with so many calls spent. */
async function begin(sub: string, bearer: string, plan: number, spent: number) {
	if (plan !== 10) {
		await subscribe(sub, plan, Date.now() - DAY, 1);
		await world.set({ clock: 11 * 60_000 });
	}
	if (spent > 0) {
		await world.call(bearer, "/api/calls", { method: "POST", body: JSON.stringify({ cost: spent }) });
	}
}

/** The columns and rows of a user, once everything is in the database. */
async function settled(sub: string) {
	await world.ring(sub);
	const [user] = await world.rows<{ id: number; api_calls_count: number; mcp_calls_count: number }>(
		"SELECT id, api_calls_count, mcp_calls_count FROM users WHERE auth0_user_id = ?",
		sub,
	);
	const rows = await world.rows<{ id: string; cost: number; mcp: number; status: string; over: number }>(
		"SELECT id, cost, channel = 'mcp' AS mcp, status, 0 AS over FROM api_usage WHERE user_id = ?1 UNION ALL SELECT id, cost, 1, status, over_limit FROM mcp_logs WHERE user_id = ?1",
		user?.id,
	);
	return { user, rows };
}

describe("many callers at once: exactly the limit, none over", () => {
	const CALLS = 1_000;
	const LANES = 64;

	/** Makes calls over many lanes; what came of each. */
	async function storm(calls: number, call: (n: number) => Promise<number>): Promise<number[]> {
		const statuses: number[] = [];
		let next = 0;
		await Promise.all(
			Array.from({ length: LANES }, async () => {
				while (next < calls) {
					statuses.push(await call(next++));
				}
			}),
		);
		return statuses;
	}
	const count = (statuses: number[], status: number) => statuses.filter((known) => known === status).length;

	test.each([
		["once", 10, 0, 100],
		["monthly", 20, 900, 100],
		["monthly, of 10,000", 30, 9_900, 100],
		["unlimited", 40, 0, CALLS],
	] as const)("%s", async (_, plan, spent, admitted) => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		await account(bearer);
		await begin(sub, bearer, plan, spent);
		const before = world.served();
		const statuses = await storm(CALLS, async () => (await world.call(bearer, "/api/bills")).status);
		expect([count(statuses, 200), count(statuses, 429)]).toEqual([admitted, CALLS - admitted]);
		expect(world.served() - before).toBe(admitted);
		const { usage } = await account(bearer);
		expect(plan === 10 ? usage.lifetime.used : usage.period.used).toBe(spent + admitted);
	});

	test.each([
		["once", 10, 0],
		["monthly", 20, 900],
		["monthly, of 10,000", 30, 9_900],
	] as const)("%s, with failures that are refunded and calls that are sent twice", async (_, plan, spent) => {
		const sub = newSubject();
		const bearer = await world.token(sub);
		await account(bearer);
		await begin(sub, bearer, plan, spent);
		const chance = random(SEED);
		let answered = 0;
		world.answer(() => {
			if (chance() < 0.3) {
				return 503;
			}
			answered += 1;
			return 200;
		});
		const calls = new Set<string>();
		let repeats = 0;
		/** One call under a key, sent again until it is answered or refused. */
		const insist = async (key: string): Promise<number> => {
			for (;;) {
				const response = await world.call(bearer, "/api/bills", { headers: { "Idempotency-Key": key } });
				if (response.status === 200) {
					const call = response.headers.get("legis-call") as string;
					repeats += calls.has(call) ? 1 : 0;
					calls.add(call);
				}
				if (response.status !== 503 && response.status !== 409) {
					return response.status;
				}
			}
		};
		// Every key is used by two lanes.
		let round = 0;
		let statuses: number[] = [];
		while (calls.size < 100 && round < 10) {
			statuses = await storm(400, (n) => insist(`r${round}-${n >> 1}`));
			round += 1;
			expect(calls.size).toBeLessThanOrEqual(100);
		}
		expect(calls.size).toBe(100);
		expect(count(statuses, 429)).toBeGreaterThan(0);
		// A repeated call reaches the data service again, and is not charged again.
		expect(answered - repeats).toBe(100);
		const used = async () => {
			const { usage } = await account(bearer);
			return plan === 10 ? usage.lifetime.used : usage.period.used;
		};
		await expect.poll(used).toBe(spent + 100);
		const { rows } = await settled(sub);
		expect(
			rows
				.filter((row) => row.cost === 1)
				.map((row) => row.id)
				.sort(),
		).toEqual([...calls].sort());
	});
});

/** The months of a subscription, from its anchor. */
function month(anchor: number, now: number): { start: number; end: number } {
	const nth = (count: number) => {
		const at = new Date(anchor);
		const day = at.getUTCDate();
		at.setUTCDate(1);
		at.setUTCMonth(at.getUTCMonth() + count);
		const last = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0)).getUTCDate();
		at.setUTCDate(Math.min(day, last));
		return at.getTime();
	};
	let count = 0;
	while (nth(count + 1) <= now) {
		count += 1;
	}
	return { start: nth(count), end: nth(count + 1) };
}

/** What is used, as sums over charges. */
class Model {
	plan = 10;
	charges = new Map<string, { counter: number; cost: number; mcp: boolean; over: boolean }>();
	open = new Map<string, { tool: boolean }>();
	running: { start: number; end: number } | undefined;
	readonly anchor: number;

	constructor(anchor: number) {
		this.anchor = anchor;
	}

	limit(): number {
		return { 10: 100, 20: 1_000, 30: 10_000, 40: Number.POSITIVE_INFINITY }[this.plan] ?? 0;
	}

	counter(now: number): number {
		if (this.plan === 10) {
			return 0;
		}
		return this.running !== undefined && now < this.running.end ? this.running.start : month(this.anchor, now).start;
	}

	used(counter: number, mcp = false): number {
		return [...this.charges.values()]
			.filter((charge) => charge.counter === counter && (!mcp || charge.mcp))
			.reduce((sum, charge) => sum + charge.cost, 0);
	}

	admits(cost: number, now: number): boolean {
		return this.used(this.counter(now)) + cost <= this.limit();
	}

	charge(id: string, cost: number, mcp: boolean, now: number, over = false): void {
		const counter = this.counter(now);
		if (counter !== 0 && cost > 0 && this.running?.start !== counter) {
			this.running = month(this.anchor, now);
		}
		this.charges.set(id, { counter, cost, mcp, over });
	}

	refund(id: string): void {
		const charge = this.charges.get(id);
		if (charge !== undefined) {
			charge.cost = 0;
		}
	}
}

test.each(Array.from({ length: 6 }, (_, n) => n))(
	"a random history agrees with its sums at every step (%i)",
	async (n) => {
		const chance = random(SEED + n * 7919);
		const pick = <T>(...choices: T[]): T => choices[Math.floor(chance() * choices.length)] as T;
		const sub = newSubject();
		const [page, mcp] = [await world.token(sub), await world.token(sub, "mcp")];
		await account(page);
		// The 31st, so that months of every length follow.
		const start = Date.UTC(2027, 0, 31, 9, 30);
		let clock = start - Date.now();
		let version = 0;
		const model = new Model(start);
		await world.set({ clock });
		// One answer of the data service is one status.
		let status = 200;
		world.answer(() => status);
		const id = (response: Response) => response.headers.get("legis-call") as string;
		const now = () => Date.now() + clock;

		const acts: Record<string, () => Promise<void>> = {
			async data() {
				status = pick(200, 200, 404, 503);
				const response = await world.call(page, "/api/bills");
				const admitted = model.admits(1, now());
				expect(response.status).toBe(admitted ? status : 429);
				if (admitted) {
					model.charge(id(response), 1, false, now());
					if (status >= 500) {
						model.refund(id(response));
					}
				}
			},
			async within() {
				status = pick(200, 404);
				const response = await world.call(mcp, "/api/votes");
				const tool = [...model.open.values()].some((open) => open.tool);
				const admitted = model.admits(1, now()) || tool;
				expect(response.status).toBe(admitted ? status : 429);
				if (admitted) {
					model.charge(id(response), 0, true, now());
				}
			},
			async reserve() {
				const cost = pick(1, 2, 5, 30, 250);
				const tool = pick(true, false);
				const body = JSON.stringify(tool ? { tool: "get-bill", cost } : { cost });
				const response = await world.call(mcp, "/api/calls", { method: "POST", body });
				const admitted = model.admits(cost, now());
				expect(response.status).toBe(admitted ? 201 : 429);
				if (admitted) {
					model.charge(id(response), cost, tool, now());
					model.open.set(id(response), { tool });
				}
			},
			async settle() {
				const [call] = [...model.open.keys()];
				if (call === undefined) {
					return;
				}
				const said = pick("success", "error", "timeout");
				for (let again = pick(1, 2); again > 0; again--) {
					const body = JSON.stringify({ status: said });
					const response = await world.call(mcp, `/api/calls/${call}`, { method: "PATCH", body });
					expect(response.status).toBe(200);
				}
				model.open.delete(call);
				if (said !== "success") {
					model.refund(call);
				}
			},
			async log() {
				const body = JSON.stringify({ tool_name: "whoami", status: pick("success", "error", "timeout") });
				const response = await world.call(mcp, "/api/mcp/logs", { method: "POST", body });
				expect(response.status).toBe(201);
				const { log } = await response.json();
				const admitted = model.admits(1, now());
				expect(log.over_limit).toBe(!admitted);
				model.charge(log.id, admitted && !body.includes("timeout") ? 1 : 0, true, now(), !admitted);
				if (
					admitted &&
					body.includes("timeout") &&
					model.plan !== 10 &&
					model.running?.start !== model.counter(now())
				) {
					model.running = month(model.anchor, now());
				}
			},
			async plan() {
				model.plan = pick(10, 20, 20, 30, 40);
				version += 1;
				await subscribe(sub, model.plan, start, version);
				clock += 11 * 60_000;
				await world.set({ clock });
				await overdue();
				await account(page);
			},
			async wait() {
				clock += pick(1_000, 5 * 60_000, 12 * 60_000, 3 * DAY, 20 * DAY, -2 * DAY);
				clock = Math.max(clock, start - Date.now() + 60_000);
				await world.set({ clock });
				await overdue();
			},
			async evict() {
				await world.evict(sub);
			},
			async flush() {
				await world.set({ database: pick("fails before it commits", "loses its answer", "well"), times: pick(1, 2) });
				await overdue();
				await world.set({ times: 0 });
			},
		};
		/** Rings the alarm: what was open for too long is closed, and charged. */
		async function overdue() {
			await world.ring(sub);
			const { calls } = { calls: await openCalls() };
			for (const call of [...model.open.keys()]) {
				if (!calls.has(call)) {
					model.open.delete(call);
				}
			}
		}
		async function openCalls(): Promise<Set<string>> {
			const storage = await world.worker.getDurableObjectStorage("METER" as never, { name: sub } as never);
			const rows = (await storage.exec("SELECT id FROM calls WHERE open IS NOT NULL")) as { id: string }[];
			return new Set(rows.map((row) => row.id));
		}

		const done: string[] = [];
		try {
			for (let step = 0; step < 70; step++) {
				const name = pick(
					"data",
					"data",
					"data",
					"within",
					"reserve",
					"reserve",
					"settle",
					"settle",
					"log",
					"plan",
					"wait",
					"evict",
					"flush",
				);
				done.push(name);
				await (acts[name] as () => Promise<void>)();
				const read = async () => {
					const { usage } = await account(page);
					return [
						usage.lifetime.used,
						usage.lifetime.mcp,
						...(usage.period === undefined
							? []
							: [Date.parse(usage.period.start), usage.period.used, usage.period.mcp]),
					];
				};
				const { running } = model;
				await expect
					.poll(read)
					.toEqual([
						model.used(0),
						model.used(0, true),
						...(running === undefined
							? []
							: [running.start, model.used(running.start), model.used(running.start, true)]),
					]);
			}
		} catch (error) {
			console.log(`seed ${SEED}, history ${n}: ${done.join(" ")}`);
			throw error;
		}
		// Long after, everything is over, and the history alone tells what was used.
		clock += 20 * 60_000 + 25 * DAY;
		await world.set({ clock });
		await world.ring(sub);
		const { user, rows } = await settled(sub);
		expect(new Set(rows.map((row) => row.id)).size).toBe(rows.length);
		expect(rows.map((row) => row.id).sort()).toEqual([...model.charges.keys()].sort());
		for (const row of rows) {
			const charge = model.charges.get(row.id);
			expect([row.cost, row.mcp, row.over]).toEqual([charge?.cost, charge?.mcp ? 1 : 0, charge?.over ? 1 : 0]);
		}
		expect(user?.id).toBeGreaterThan(0);
	},
);
