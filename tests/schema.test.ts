// A database that does not fit is not served, and says why.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestHarness } from "wrangler";
import { ROOT } from "./stack.ts";

const FOLDER = join(ROOT, "worker/migrations");
const migrations = readdirSync(FOLDER).sort();

const harness = createTestHarness({
	workers: [{ configPath: join(ROOT, "worker/wrangler.jsonc"), vars: { UPSTREAM_URL: "http://127.0.0.1:9" } }],
});

interface Database {
	prepare(sql: string): { run(): Promise<unknown>; all<T>(): Promise<{ results: T[] }> };
}

let database: Database;

beforeAll(async () => {
	await harness.listen();
	database = ((await harness.getWorker().getEnv()) as { DB: Database }).DB;
});

afterAll(() => harness.close());

/** Applies a file as `wrangler d1 migrations apply` does. */
async function apply(name: string) {
	const sql = readFileSync(join(FOLDER, name), "utf8").replaceAll(/^--.*$/gm, "");
	for (const statement of sql.split(/;\s*$/m).filter((statement) => statement.trim() !== "")) {
		await database.prepare(statement).run();
	}
	await database
		.prepare("CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)")
		.run();
	await database.prepare(`INSERT INTO d1_migrations (name) VALUES ('${name}')`).run();
}

async function refused(path: string) {
	const response = await harness.fetch(path);
	expect(response.headers.get("retry-after")).toBe("30");
	const problem = (await response.json()) as { detail: string };
	expect(problem).toMatchObject({ status: 503, code: "schema_mismatch" });
	return problem.detail;
}

test("an empty database, one that is a migration behind, one whose plans were changed by hand", async () => {
	expect(await refused("/api/ready")).toContain(`The migration ${migrations[0]} was not applied.`);
	for (const [index, name] of migrations.slice(0, -1).entries()) {
		await apply(name);
		expect(await refused("/api/ready")).toContain(`The migration ${migrations[index + 1]} was not applied.`);
		// Whoever does not ask for that hears nothing of the inside.
		expect(await refused("/api/config/plans")).not.toContain(migrations[index + 1]);
		expect(await refused("/api/account")).not.toContain(migrations[index + 1]);
	}
	await apply(migrations.at(-1) as string);
	// The database fits now; nobody is trusted yet.
	const unset = await harness.fetch("/api/ready");
	expect(await unset.json()).toMatchObject({ status: 503, code: "misconfigured" });
	const [newest] = migrations.slice(-1);
	await database.prepare("INSERT INTO d1_migrations (name) VALUES ('9999_later.sql')").run();
	expect(await refused("/api/ready")).toContain(
		"The migration 9999_later.sql was applied, which this release does not",
	);
	await database.prepare("DELETE FROM d1_migrations WHERE name = '9999_later.sql'").run();
	const edit = (from: string, to: string) =>
		database
			.prepare(`UPDATE migration_checksums SET sha256 = replace(sha256, '${from}', '${to}') WHERE name = '${newest}'`)
			.run();
	await edit("f", "x");
	expect(await refused("/api/ready")).toContain(`The migration ${newest} was applied as another file`);
	await edit("x", "f");
	await database.prepare("UPDATE plans SET amount = 1900 WHERE slug = 'starter'").run();
	expect(await refused("/api/ready")).toContain("The rows of plans with the ids 20, 21 differ from the catalog.");
	await refused("/api/config/plans");
	expect((await harness.fetch("/api/health")).status).toBe(200);
	const users = await database.prepare("SELECT id FROM users").all();
	expect(users.results).toEqual([]);
});

test("the tables keep what does not fit out", async () => {
	const insert = (sql: string) => database.prepare(sql).run();
	const user = "INSERT INTO users (auth0_user_id, current_plan_id, created_at, updated_at) VALUES";
	await insert(`${user} ('a', 10, 0, 0)`);
	await expect(insert(`${user} ('a', 10, 0, 0)`)).rejects.toThrow(/UNIQUE/);
	await expect(insert(`${user} ('b', 99, 0, 0)`)).rejects.toThrow(/FOREIGN KEY/);
	await expect(insert(`${user} ('b', 10, 'yesterday', 0)`)).rejects.toThrow(/TEXT value in INTEGER/);
	await expect(
		insert("INSERT INTO mcp_logs (id, user_id, tool_name, status, timestamp) VALUES ('x', 1, 't', 'odd', 0)"),
	).rejects.toThrow(/CHECK/);
	await expect(
		insert("INSERT INTO api_usage (id, user_id, endpoint, method, timestamp) VALUES ('x', 99, '/', 'GET', 0)"),
	).rejects.toThrow(/FOREIGN KEY/);
	const people = await database.prepare("SELECT plan_name, calls_remaining FROM user_subscription_details").all();
	expect(people.results).toEqual([{ plan_name: "Free", calls_remaining: 100 }]);
});
