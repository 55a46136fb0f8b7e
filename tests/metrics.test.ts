// What an operator watches, and pays for: through the real worker, its meters and its database.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "./stack.ts";
import { world as makeWorld } from "./world.ts";

const TOKEN = "a-secret-of-the-scraper-0123456789abcdef";

let world: Awaited<ReturnType<typeof makeWorld>>;
beforeAll(async () => {
	world = await makeWorld({ METRICS_TOKEN: TOKEN });
}, 60_000);
afterAll(() => world.close());

const scrape = (bearer: string) => world.call(bearer, "/api/admin/metrics");

/** Every sample by its name and labels. Each line is what the format allows, and each sample is explained before it. */
async function samples(): Promise<Map<string, number>> {
	const response = await scrape(TOKEN);
	expect(response.status).toBe(200);
	expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
	const text = await response.text();
	expect(text.endsWith("\n")).toBe(true);
	const found = new Map<string, number>();
	const explained = new Set<string>();
	for (const line of text.trimEnd().split("\n")) {
		const [, name] = /^# (?:HELP ([a-z_]+) .+|TYPE [a-z_]+ (?:counter|gauge))$/.exec(line) ?? [];
		if (name !== undefined) {
			explained.add(name);
		}
		if (!line.startsWith("#")) {
			const sample = /^(([a-z_]+)(?:\{[a-z]+="[^"\n]*"(?:,[a-z]+="[^"\n]*")*\})?) (\d+(?:\.\d+)?)$/.exec(line);
			expect([line, sample === null]).toEqual([line, false]);
			expect(explained).toContain(sample?.[2]);
			expect(found.has(sample?.[1] ?? "")).toBe(false);
			found.set(sample?.[1] ?? "", Number(sample?.[3]));
		}
	}
	return found;
}

/** What was added since. */
async function more(before: Map<string, number>): Promise<Record<string, number>> {
	const after = await samples();
	const grown = [...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const);
	return Object.fromEntries(grown.filter(([name, value]) => value !== 0 && name.includes("calls")));
}

test("only the scraper, which has a secret of its own, and administrators are told", async () => {
	const bearer = await world.token("metrics|1", "page", { scope: "admin read:bills" });
	await world.call(bearer, "/api/account");
	expect((await scrape(bearer)).status).toBe(403);
	expect((await scrape(`${TOKEN.slice(0, -1)}x`)).status).toBe(401);
	expect((await world.harness.fetch("/api/admin/metrics")).status).toBe(401);
	await world.rows("UPDATE users SET is_admin = 1 WHERE auth0_user_id = 'metrics|1' RETURNING id");
	expect((await scrape(bearer)).status).toBe(200);
	// It opens nothing else.
	expect((await world.call(TOKEN, "/api/admin/audit")).status).toBe(401);
});

test("every call is counted as what became of it, once, however often its row is sent", async () => {
	const sub = "metrics|2";
	const bearer = await world.token(sub);
	const server = await world.token(sub, "mcp");
	const before = await samples();
	for (let call = 0; call < 3; call++) {
		expect((await world.call(bearer, "/api/bills")).status).toBe(200);
	}
	world.answer(() => 503);
	expect((await world.call(bearer, "/api/bills")).status).toBe(503);
	world.answer(() => 200);
	const reserve = async (cost: number) => {
		const body = JSON.stringify({ tool: "get-bill", cost });
		return world.call(server, "/api/calls", { method: "POST", body });
	};
	const { id } = (await (await reserve(2)).json()) as { id: string };
	// On the way of a tool call.
	expect((await world.call(server, "/api/bills")).status).toBe(200);
	const body = JSON.stringify({ status: "success" });
	expect((await world.call(server, `/api/calls/${id}`, { method: "PATCH", body })).status).toBe(200);
	expect((await reserve(101)).status).toBe(429);
	expect((await reserve(100)).status).toBe(429);
	expect((await reserve(100)).status).toBe(429);
	// What waits to be told goes with a question.
	await world.call(bearer, "/api/account");
	// The rows get there, and the meter does not hear of it.
	await world.set({ database: "loses its answer", times: 1 });
	await world.alarm(sub);
	await world.set({ database: "well", times: 0 });
	await world.alarm(sub);
	const added = await more(before);
	const refusals = Object.entries(added).filter(([name]) => name.includes("refused"));
	expect(Object.fromEntries(Object.entries(added).filter(([name]) => !name.includes("refused")))).toEqual({
		'legis_calls_total{channel="rest",outcome="charged"}': 3,
		'legis_calls_total{channel="rest",outcome="refunded"}': 1,
		'legis_calls_total{channel="mcp",outcome="charged"}': 1,
		'legis_calls_total{channel="mcp",outcome="free"}': 1,
	});
	// Refusals have no rows: whose report got lost is counted again.
	expect(Object.fromEntries(refusals)).toEqual({
		'legis_calls_refused_total{channel="mcp",reason="allowance_exhausted"}': 2 * 2,
		'legis_calls_refused_total{channel="mcp",reason="cost_exceeds_allowance"}': 2,
	});
});

test("refusals are counted once where nothing fails", async () => {
	const sub = "metrics|3";
	const server = await world.token(sub, "mcp");
	const before = await samples();
	for (let call = 0; call < 4; call++) {
		const body = JSON.stringify({ tool: "get-bill", cost: 101 });
		expect((await world.call(server, "/api/calls", { method: "POST", body })).status).toBe(429);
	}
	await world.ring(sub);
	await world.ring(sub);
	expect(await more(before)).toEqual({ 'legis_calls_refused_total{channel="mcp",reason="cost_exceeds_allowance"}': 4 });
});

test("what waits, what failed, what the last audit found, when the cron was there", async () => {
	const before = await samples();
	expect([...before.keys()].some((name) => name.startsWith("legis_audit"))).toBe(false);
	await world.rows(
		"INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, raw_payload, created_at) VALUES ('evt_1', 'x', 'failed', '{}', 1) RETURNING id",
	);
	await world.rows("UPDATE users SET billing_alerts = '[\"refunded\"]' WHERE auth0_user_id = 'metrics|1' RETURNING id");
	await world.rows(
		"INSERT INTO audit_runs (id, started_by, started_at, finished_at, position) VALUES ('r', 'cron', 1000, 2000, '{}') RETURNING id",
	);
	await world.rows(
		"INSERT INTO audit_findings (run_id, code, subject, severity, facts, repaired_at) VALUES ('r', 'meter_differs', 'a', 'warning', '{}', NULL), ('r', 'meter_differs', 'b', 'warning', '{}', 5) RETURNING code",
	);
	await world.worker.scheduled({ cron: "7 * * * *" } as never);
	const after = await samples();
	expect(after.get('legis_stripe_events{status="failed"}')).toBe(1);
	expect(after.get("legis_billing_alert_users")).toBe(1);
	expect(after.get('legis_audit_findings{code="meter_differs",severity="warning"}')).toBe(1);
	expect(after.get('legis_audit_findings{code="event_stuck",severity="critical"}')).toBe(0);
	expect(after.get("legis_audit_finished_seconds")).toBe(2);
	expect(after.get('legis_cron_succeeded{task="prune_history"}')).toBe(1);
	expect(after.get('legis_cron_started_seconds{task="prune_history"}')).toBeGreaterThan(Date.now() / 1000 - 60);
});

test("a call and a report write as many rows as docs/scale.md reckons with", async () => {
	const sub = "metrics|4";
	const bearer = await world.token(sub);
	await world.call(bearer, "/api/account");
	await world.rows(
		"UPDATE users SET current_plan_id = 20, subscription_status = 'active', billing_anchor = ?, entitlement_version = 1 WHERE auth0_user_id = ? RETURNING id",
		Date.now() - 86_400_000,
		sub,
	);
	await world.ring(sub);
	/** The rows of so many calls and one report. */
	const written = async (calls: number) => {
		const before = await world.written(sub);
		for (let call = 0; call < calls; call++) {
			const { id } = await (await world.call(bearer, "/api/calls", { method: "POST", body: "{}" })).json();
			const end = { method: "PATCH", body: '{"status":"success"}' };
			expect((await world.call(bearer, `/api/calls/${id}`, end)).status).toBe(200);
		}
		await world.alarm(sub);
		const after = await world.written(sub);
		return { database: after.database - before.database, meter: after.meter - before.meter };
	};
	const scale = readFileSync(join(ROOT, "xtask/src/bench/scale.rs"), "utf8");
	const figure = (name: string) => Number(new RegExp(`const ${name}: f64 = ([0-9.]+);`).exec(scale)?.[1]);
	for (const calls of [1, 4]) {
		expect(await written(calls)).toEqual({
			database: figure("ROWS_PER_CALL") * calls + figure("ROWS_PER_REPORT"),
			// Of what is simulated only the alarm is no row of SQL.
			meter: 3 * calls + 1,
		});
	}
	const [kept] = await world.rows<{ rows: number }>("SELECT count(*) AS rows FROM api_usage");
	await world.set({ clock: 500 * 86_400_000 });
	await world.worker.scheduled({ cron: "7 * * * *" } as never);
	expect((await world.written("DELETE FROM api_usage")).database).toBe(figure("ROWS_PER_DELETION") * (kept?.rows ?? 0));
	expect(kept?.rows).toBeGreaterThan(5);
});
