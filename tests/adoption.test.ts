// An old database, taken over by the commands that a person types, and the product on what came of it.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { JWK } from "jose";
import { afterAll, expect, test } from "vitest";
import { accessToken } from "../samples/issuer/token.ts";
import { SCOPE } from "./callers.ts";
import { dev, freePorts, ROOT, stop } from "./stack.ts";

const folder = mkdtempSync(join(tmpdir(), "legis-adoption-"));
const state = join(folder, "state");
const file = join(folder, "old.sqlite");

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DAY = 86_400_000;
/** As SQLite's `datetime` writes it. */
const old = (days: number) =>
	new Date(Date.now() + days * DAY)
		.toISOString()
		.replace("T", " ")
		.replace(/\.\d+Z$/, "");

/** A copy of shape B as they are found: plans by hand, orphans, two people with one address, a text that is no date. */
function writeOldDatabase() {
	const database = new DatabaseSync(file);
	database.exec(`
		CREATE TABLE plans (id INTEGER PRIMARY KEY, name TEXT, slug TEXT, billing_frequency TEXT, stripe_price_id TEXT);
		INSERT INTO plans VALUES (1, 'Free', 'free', 'one_time', NULL), (2, 'Developer', 'starter', 'monthly', 'price_live_starter');
		CREATE TABLE users (id INTEGER PRIMARY KEY, auth0_user_id TEXT, email TEXT, name TEXT, stripe_customer_id TEXT,
			current_plan_id INTEGER, subscription_status TEXT, subscription_period_end TEXT, api_calls_count INTEGER,
			api_calls_reset_at TEXT, is_admin INTEGER, created_at TEXT, updated_at TEXT);
		INSERT INTO users VALUES
			(5, 'auth0|spent', 'shared@example.com', 'Spent', NULL, 1, 'free', NULL, 100, NULL, 0, '${old(-90)}', NULL),
			(6, 'auth0|payer', 'shared@example.com', 'Payer', 'cus_old', 2, 'active', '${old(10)}', 400, '${old(10)}', 0, '${old(-200)}', NULL),
			(7, 'auth0|some', NULL, 'It''s me', NULL, NULL, NULL, NULL, 3, NULL, 1, 'last spring', NULL),
			(8, NULL, 'nobody@example.com', NULL, NULL, 1, 'free', NULL, 0, NULL, 0, NULL, NULL),
			(9, 'auth0|gold', NULL, NULL, NULL, 9, 'active', NULL, 0, NULL, 0, '${old(-9)}', NULL);
		CREATE TABLE api_usage (id INTEGER PRIMARY KEY, user_id INTEGER, endpoint TEXT, method TEXT, status_code INTEGER,
			response_time_ms INTEGER, timestamp TEXT);
		CREATE TABLE feedback (words TEXT);
		INSERT INTO feedback VALUES ('fine');
	`);
	const call = database.prepare(
		"INSERT INTO api_usage (user_id, endpoint, method, status_code, response_time_ms, timestamp) VALUES (?, '/api/bills', 'GET', ?, 20, ?)",
	);
	for (let number = 0; number < 12; number++) {
		call.run(7, 200, old(-2));
	}
	call.run(7, 503, old(-2));
	call.run(6, 200, "someday");
	call.run(77, 200, old(-2));
	database.close();
}

function spawned(words: string[]) {
	const xtask = process.env.LEGIS_XTASK;
	const [program, first] = xtask === undefined ? ["cargo", ["xtask"]] : [xtask, []];
	return spawnSync(program, [...first, "adopt", "--from", file, ...words], { cwd: ROOT, encoding: "utf8" });
}

function adopt(...words: string[]) {
	const { status, stdout, stderr } = spawned(["--state", state, ...words]);
	expect(stderr + stdout, `adopt ended with ${status}`).not.toContain("✗");
	expect(status).toBe(0);
	return stdout;
}

/** All that is in the local D1. */
function dump(): string[] {
	const printed = spawnSync(
		"bash",
		["-c", `ls ${state}/v3/d1/miniflare-D1DatabaseObject/*.sqlite | grep -v metadata`],
		{ encoding: "utf8" },
	).stdout.trim();
	const database = new DatabaseSync(printed);
	const tables = database
		.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
		.all() as { name: string }[];
	const lines = tables.flatMap(({ name }) =>
		database
			.prepare(`SELECT * FROM "${name}"`)
			.all()
			.map((row) => `${name} ${JSON.stringify(row)}`),
	);
	database.close();
	return lines;
}

test("told, done, done again: every row is somewhere, and twice is once", { timeout: 600_000 }, () => {
	writeOldDatabase();
	const told = adopt();
	expect(told).toContain("shape B");
	expect(told).toContain("23 rows in = 19 here + 4 in quarantine");
	expect(told).toContain("Nothing was written");
	expect(told).not.toContain("@");
	const empty = dump();
	expect(empty.filter((line) => line.startsWith("users"))).toEqual([]);

	const done = adopt("--apply", "--plan", "9=professional");
	expect(done).toContain("13 rows of api_usage and 0 of mcp_logs are new");
	const once = dump();
	expect(once.filter((line) => line.startsWith("quarantine") && line.includes("no_such_user"))).toHaveLength(1);
	expect(once.filter((line) => line.startsWith("plans") && line.includes("price_live_starter"))).toHaveLength(1);

	adopt("--apply", "--plan", "9=professional");
	expect(dump()).toEqual(once);
});

test("the meters go on from what was used", { timeout: 180_000 }, async () => {
	const port = await freePorts();
	const product = await dev(port, state);
	try {
		const key = JSON.parse(readFileSync(join(state, "issuer-key.json"), "utf8")) as JWK;
		const ask = async (sub: string, path: string) => {
			const grant = {
				issuer: `http://127.0.0.1:${port + 1}/`,
				audience: "urn:legis-api",
				scope: SCOPE,
				client: "local-frontend",
				sub,
			};
			const headers = { Authorization: `Bearer ${await accessToken(key, grant)}` };
			return fetch(`http://127.0.0.1:${port}${path}`, { headers });
		};
		const json = async (sub: string, path: string) => (await ask(sub, path)).json();

		const spent = await ask("auth0|spent", "/api/bills?limit=1");
		expect(spent.status).toBe(429);

		const payer = await json("auth0|payer", "/api/account");
		expect(payer.user.id).toBe(6);
		expect(payer.entitlement).toMatchObject({ plan: "developer", standing: "active", interval: "month" });
		expect(payer.usage.period.used).toBe(400);
		expect(payer.usage.lifetime.used).toBe(100);
		const call = await ask("auth0|payer", "/api/bills?limit=1");
		expect(call.headers.get("ratelimit")).toContain("r=599");

		expect(await json("auth0|some", "/api/me")).toMatchObject({
			plan: "free",
			api_calls_count: 12,
			api_calls_limit: 100,
		});
		const { stats } = await json("auth0|some", "/api/usage?days=30");
		expect(stats).toMatchObject([{ endpoint: "/api/bills", method: "GET", total_calls: 13 }]);
		expect((await ask("auth0|some", "/api/admin/webhooks")).status).toBe(403);

		expect((await json("auth0|gold", "/api/account")).entitlement.plan).toBe("professional");
	} finally {
		await stop(product);
	}
});

test("a deployed database is reached through the deployment's own configuration", () => {
	// Without one nothing is asked, and it is said what to write.
	const described = existsSync(join(ROOT, "worker/deployment.json"));
	if (!described) {
		const { status, stderr } = spawned(["--remote", "legis"]);
		expect([status, stderr]).toEqual([1, expect.stringContaining("worker/deployment.json is missing")]);
	}
	// Of several the one that is named.
	const staging = join(folder, "staging.json");
	const database_id = "0123abcd-0000-4000-8000-00000000000a";
	const vars = { UPSTREAM_URL: "https://data.example.com" };
	writeFileSync(staging, JSON.stringify({ database_id, url: "https://staging.example.com", vars }));
	expect(spawned(["--remote", "legis", "--deployment", staging]).status).toBe(1);
	expect(readFileSync(join(ROOT, "worker/wrangler.deploy.json"), "utf8")).toContain(database_id);
	// In the place of wrangler, something that writes down what it is asked.
	const asked = join(folder, "asked");
	writeFileSync(join(folder, "wrangler"), `#!/bin/sh\necho "$@" > ${asked}\nexit 1\n`, { mode: 0o755 });
	const words = ["--from", file, "--remote", "legis", "--config", "worker/wrangler.deploy.json"];
	const ran = spawnSync(join(ROOT, "target/adopt/legis-adopt"), words, {
		cwd: ROOT,
		env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
	});
	expect(ran.status).toBe(1);
	expect(readFileSync(asked, "utf8")).toMatch(/^d1 execute legis --remote --config worker\/wrangler\.deploy\.json /);
});
