// What an operator does: examine, back up, restore, migrate, deploy. The commands are run as they are typed.

import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { contract, schemas, validate } from "legis-edge";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { amount } from "../samples/stripe/account.ts";
import { call, newSubject, post, token } from "./callers.ts";
import { query } from "./database.ts";
import { crons, ROOT } from "./stack.ts";
import { stripeServer } from "./stripe-server.ts";
import { world as makeWorld } from "./world.ts";

const XTASK = process.env.LEGIS_XTASK;
const GUIDE = readFileSync(join(ROOT, "docs/operating.md"), "utf8");
const TEMPORARY = mkdtempSync(join(tmpdir(), "legis-operations-"));
afterAll(() => rmSync(TEMPORARY, { recursive: true, force: true }));

interface Said {
	code: number;
	out: string;
}

/** Runs a program to its end. Not synchronously: the services it asks may be this very process. */
async function run(program: string, words: string[], env: Record<string, string> = {}): Promise<Said> {
	const options = { cwd: ROOT, env: { ...process.env, ...env }, maxBuffer: 1 << 26 };
	try {
		const { stdout, stderr } = await promisify(execFile)(program, words, options);
		return { code: 0, out: stdout + stderr };
	} catch (error) {
		const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
		return { code, out: stdout + stderr };
	}
}

const xtask = (words: string[], env?: Record<string, string>) =>
	XTASK === undefined ? run("cargo", ["xtask", ...words], env) : run(XTASK, words, env);

let folders = 0;
function folder(): string {
	folders += 1;
	const made = join(TEMPORARY, String(folders));
	mkdirSync(made);
	return made;
}

const CONFIG = join(ROOT, "worker/wrangler.jsonc");

/** A local database of its own, reached through wrangler. */
function d1(state: string, config = CONFIG) {
	const at = ["--local", "--config", config, "--persist-to", state];
	return {
		migrate: () => run("wrangler", ["d1", "migrations", "apply", "DB", ...at]),
		file: (path: string) => run("wrangler", ["d1", "execute", "DB", ...at, "--file", path]),
		/** The rows of statements, read from its very file: a start of wrangler for each would take minutes. */
		rows(sql: string): Record<string, unknown>[][] {
			const place = join(state, "v3/d1/miniflare-D1DatabaseObject");
			const files = existsSync(place) ? readdirSync(place) : [];
			const name = files.find((file) => file.endsWith(".sqlite") && !file.startsWith("metadata"));
			if (name === undefined) {
				throw new Error("there is no database yet");
			}
			const database = new DatabaseSync(join(place, name));
			try {
				const statements = sql.split(/;\s*/).filter((statement) => statement.trim() !== "");
				return statements.map((statement) =>
					database
						.prepare(statement)
						.all()
						.map((row) => ({ ...row })),
				);
			} finally {
				database.close();
			}
		},
	};
}

/** The fenced blocks of a language. */
const blocks = (language: string) =>
	[...GUIDE.matchAll(new RegExp(`^ *\`\`\`${language}\n(.*?)^ *\`\`\``, "gms"))].map(([, text]) => text ?? "");

describe("migrations", () => {
	test("one that fails in its middle leaves nothing, and once mended it is applied; again changes nothing", async () => {
		const place = folder();
		cpSync(CONFIG, join(place, "wrangler.jsonc"));
		const from = join(ROOT, "worker/migrations");
		const to = join(place, "migrations");
		mkdirSync(to);
		const database = d1(folder(), join(place, "wrangler.jsonc"));
		const state = () =>
			JSON.stringify(
				database.rows(
					"SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'd1!_%' ESCAPE '!' AND name NOT LIKE '!_cf%' ESCAPE '!' AND name NOT LIKE 'sqlite%' ORDER BY name",
				),
			);
		for (const [index, name] of readdirSync(from).sort().entries()) {
			const before = index === 0 ? "[[]]" : state();
			const sql = readFileSync(join(from, name), "utf8");
			// Before its last statement, so that all of the others were carried out.
			const last = sql.trimEnd().lastIndexOf(";\n") + 2;
			const broken =
				last > 1
					? `${sql.slice(0, last)}INSERT INTO nowhere VALUES (1);\n${sql.slice(last)}`
					: `${sql}\nINSERT INTO nowhere VALUES (1);\n`;
			writeFileSync(join(to, name), broken);
			const failed = await database.migrate();
			expect(failed.code, name).toBe(1);
			expect(failed.out).toContain("nowhere");
			expect(state(), name).toBe(before);
			expect(database.rows("SELECT count(*) AS applied FROM d1_migrations")[0]).toEqual([{ applied: index }]);
			if (index > 1) {
				const [plans, users] = database.rows("SELECT count(*) AS n FROM plans; SELECT count(*) AS n FROM users");
				expect([plans, users]).toEqual([[{ n: 6 }], [{ n: 0 }]]);
			}
			writeFileSync(join(to, name), sql);
			expect((await database.migrate()).code).toBe(0);
		}
		const done = state();
		const again = await database.migrate();
		expect(again.out).toContain("No migrations to apply");
		expect(state()).toBe(done);
	}, 180_000);
});

describe("backup and restore", () => {
	const TABLES =
		"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '!_cf!_%' ESCAPE '!' AND name NOT LIKE 'sqlite%' ORDER BY name";

	function everything(database: ReturnType<typeof d1>) {
		const [tables = []] = database.rows(TABLES);
		const names = tables.map((row) => row.name as string);
		const rows = database.rows(
			`SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '!_cf!_%' ESCAPE '!' ORDER BY type, name;
			 SELECT * FROM user_subscription_details;
			 SELECT name, seq FROM sqlite_sequence;
			 SELECT hex(raw_payload) FROM stripe_webhook_logs; SELECT hex(error_message) FROM cron_runs; SELECT hex(name) FROM users;
			 ${names.map((name) => `SELECT * FROM "${name}" ORDER BY 1, 2;`).join("\n")}`,
		);
		return { names, rows };
	}

	test("every text comes back, whatever is in it; wrangler's own export loses some", async () => {
		const state = folder();
		const database = d1(state);
		await database.migrate();
		const payload = `json_object('a', 'line' || char(10) || 'break', 'b', 'it''s "é" 日本 🦀 ; -- /* x */')`;
		const file = join(TEMPORARY, "texts.sql");
		writeFileSync(
			file,
			`INSERT INTO users (auth0_user_id, current_plan_id, name, created_at, updated_at) VALUES
			   ('a|1', 20, 'O''Brien' || char(13) || char(10) || 'and \\n \\r, both', 0, 1764000000123), ('b|2', 10, ' BEGIN' || ' TRANSACTION; x', 0, 0);
			 INSERT INTO users (auth0_user_id, current_plan_id, email, name, created_at, updated_at) VALUES ('c|3', 10, '', NULL, 0, 0);
			 -- As Stripe prints an event: with line breaks between members, and \\n inside of texts.
			 INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, raw_payload, created_at) VALUES
			   ('evt_pretty', 't', 'processed', '{' || char(10) || ' "d": "line\\nbreak"' || char(10) || '}', 0),
			   ('evt_object', 't', 'processed', ${payload}, 0),
			   ('evt_long', 't', 'pending', '{"a":"' || replace(hex(zeroblob(80000)), '00', 'é,') || '"}', 0);
			 INSERT INTO cron_runs (id, task, scheduled_at, started_at, outcome, error_message) VALUES ('1', 't', 1, 1, 'failed', 'a' || char(0) || 'b');
			 INSERT INTO api_usage (id, user_id, endpoint, method, timestamp) VALUES ('x', 2, '/', 'GET', 1764000000123);`,
		);
		expect((await database.file(file)).out).not.toContain("ERROR");
		const backup = join(TEMPORARY, "texts-backup.sql");
		const written = await xtask(["backup", "--to", backup, "--state", state]);
		expect(written).toMatchObject({ code: 0, out: expect.stringMatching(/^users +3 +3$/m) });
		expect(await xtask(["backup", "--to", backup, "--state", state])).toMatchObject({ code: 1 });

		const other = folder();
		const restored = await xtask(["restore", "--from", backup, "--state", other]);
		expect(restored).toMatchObject({ code: 0, out: expect.stringMatching(/^stripe_webhook_logs +3 +3$/m) });
		const [was, is] = [everything(database), everything(d1(other))];
		expect(is.names).toEqual(was.names);
		// All but what restoring changes on purpose.
		const versions = (rows: Record<string, unknown>[][]) =>
			rows.flat().flatMap((row) => ("entitlement_version" in row ? [row.entitlement_version] : []));
		expect(versions(was.rows)).toEqual([0, 0, 0]);
		// Newer than anything that a meter can know.
		const [first, ...rest] = versions(is.rows) as [number, number, number];
		expect(Math.abs(first - Date.now())).toBeLessThan(600_000);
		expect(rest).toEqual([first, first]);
		const lowered = (all: Record<string, unknown>[][]) =>
			all.map((rows) => rows.map((row) => ("entitlement_version" in row ? { ...row, entitlement_version: 0 } : row)));
		expect(lowered(is.rows)).toEqual(was.rows);
		expect(d1(other).rows("PRAGMA foreign_key_check")).toEqual([[]]);
		expect((await d1(other).migrate()).out).toContain("No migrations to apply");

		// Into one that is not empty only when told so, and then all of it is replaced.
		const refused = await xtask(["restore", "--from", backup, "--state", other]);
		expect(refused).toMatchObject({ code: 1, out: expect.stringContaining("--replace") });
		d1(other).rows("DELETE FROM api_usage; UPDATE users SET name = 'later'; CREATE TABLE later (a)");
		// What does not come back whole changes nothing.
		const damaged = join(TEMPORARY, "damaged.sql");
		writeFileSync(damaged, `${readFileSync(backup, "utf8")}\nINSERT INTO nowhere VALUES (1);\n`);
		expect((await xtask(["restore", "--from", damaged, "--state", other, "--replace"])).code).toBe(1);
		expect(d1(other).rows("SELECT DISTINCT name FROM users")[0]).toEqual([{ name: "later" }]);
		expect((await xtask(["restore", "--from", backup, "--state", other, "--replace"])).code).toBe(0);
		expect(lowered(everything(d1(other)).rows)).toEqual(was.rows);

		// Once wrangler keeps these texts itself, mending them is superfluous.
		const own = join(TEMPORARY, "own.sql");
		const beside = folder();
		cpSync(CONFIG, join(beside, "wrangler.jsonc"));
		cpSync(state, join(beside, ".wrangler/state"), { recursive: true });
		await run("wrangler", [
			"d1",
			"export",
			"DB",
			"--local",
			"--config",
			join(beside, "wrangler.jsonc"),
			"--output",
			own,
		]);
		expect((await d1(folder()).file(own)).code).toBe(1);
	}, 180_000);

	test("a restored database is believed by meters that know more, and events that are sent again are applied", async () => {
		const sub = newSubject();
		const bearer = await token(sub);
		await post("/api/users/register", "", bearer);
		const paid = (plan: string) =>
			xtask(
				`webhook customer.subscription.updated --user ${sub} --plan ${plan} --send ${inject("base")} --state ${inject("state")}`.split(
					" ",
				),
			);
		/** The plan, asked of the database. */
		const plan = async () => {
			await post("/api/users/register", "", bearer);
			const account = (await (await call("/api/account", bearer)).json()) as {
				entitlement: { plan: string };
				usage: { period?: { used: number } };
			};
			return { plan: account.entitlement.plan, used: account.usage.period?.used };
		};
		await xtask(
			`webhook checkout.session.completed --user ${sub} --plan starter --send ${inject("base")} --state ${inject("state")}`.split(
				" ",
			),
		);
		await call("/api/votes", bearer);
		const backup = join(TEMPORARY, "meters.sql");
		// Folders for personal data, which go with what they were for.
		const before = readdirSync(tmpdir()).filter((name) => /^legis-\w{6}$/.test(name));
		expect((await xtask(["backup", "--to", backup, "--state", inject("state")])).code).toBe(0);
		await paid("professional");
		await call("/api/votes", bearer);
		expect(await plan()).toEqual({ plan: "professional", used: 2 });
		const [event] = query<{ raw_payload: string }>(
			"SELECT raw_payload FROM stripe_webhook_logs WHERE event_type = 'customer.subscription.updated' ORDER BY id DESC LIMIT 1",
		);
		const restored = await xtask(["restore", "--from", backup, "--state", inject("state"), "--replace"]);
		expect(restored.code).toBe(0);
		// Paid and not known any more; and what was used is not forgotten with it.
		expect(await plan()).toEqual({ plan: "developer", used: 2 });
		const { webhooks } = (await import("stripe")).default;
		const payload = event?.raw_payload ?? "";
		const again = await call("/api/webhooks/stripe", undefined, {
			method: "POST",
			body: payload,
			headers: {
				"Stripe-Signature": await webhooks.generateTestHeaderStringAsync({
					payload,
					secret: "whsec_local_events_of_this_machine",
				}),
			},
		});
		expect(again.status).toBe(200);
		expect(await plan()).toEqual({ plan: "professional", used: 2 });
		// The same backup once more: what the meter knows by now is newer than the first restoration.
		expect((await xtask(["restore", "--from", backup, "--state", inject("state"), "--replace"])).code).toBe(0);
		expect(await plan()).toEqual({ plan: "developer", used: 2 });
		expect(readdirSync(tmpdir()).filter((name) => /^legis-\w{6}$/.test(name))).toEqual(before);
	}, 120_000);
});

describe("the doctor", () => {
	const SECRET = "whsec_of_the_world";
	let stripe: Awaited<ReturnType<typeof stripeServer>>;
	let world: Awaited<ReturnType<typeof makeWorld>>;
	let bearer: string;
	const ORIGINS = `UPDATE auth_config SET allowed_origins = '["https://app.example.com"]' RETURNING id`;

	beforeAll(async () => {
		stripe = await stripeServer();
		world = await makeWorld({
			STRIPE_WEBHOOK_SECRET: SECRET,
			STRIPE_MODE: "test",
			STRIPE_PRICES: JSON.stringify({ price_retired: "starter" }),
			STRIPE_API_KEY: "rk_test_local",
			STRIPE_API_URL: stripe.url,
		});
		const rows = await world.rows<{ id: number; amount: number; billing_frequency: string }>(
			"UPDATE plans SET stripe_price_id = 'price_' || id WHERE id BETWEEN 20 AND 31 RETURNING id, amount, billing_frequency",
		);
		for (const { id, amount, billing_frequency } of rows) {
			const recurring = { interval: billing_frequency === "yearly" ? "year" : "month", interval_count: 1 };
			stripe.prices.set(`price_${id}`, { active: true, unit_amount: amount, currency: "usd", recurring });
		}
		stripe.prices.set("price_retired", { active: false, unit_amount: 1, currency: "usd", recurring: null });
		await world.rows(ORIGINS);
		await world.rows(
			"INSERT INTO users (auth0_user_id, current_plan_id, is_admin, created_at, updated_at) VALUES ('admin', 10, 1, 0, 0) RETURNING id",
		);
		bearer = await world.token("admin", "page", { scope: "admin" });
		await world.worker.scheduled({ cron: "7 * * * *" } as never);
	}, 60_000);
	afterAll(async () => {
		await world.close();
		stripe.close();
	});

	const doctor = (words: string[] = [], env: Record<string, string> = {}) =>
		xtask(["doctor", "--url", world.base, ...words], { LEGIS_TOKEN: bearer, STRIPE_WEBHOOK_SECRET: SECRET, ...env });

	/** The lines that say that something failed, each with what is to be done. */
	const failures = ({ out }: Said) => out.match(/^✗ .*\n {2}→ .*$/gm) ?? [];

	test("nothing is wrong with a deployment that is right, and examining it changes nothing but one row a day", async () => {
		const { code, out } = await doctor();
		expect(out).toMatch(/^\d\d checks, 0 failed, 2 warnings$/m);
		expect(code).toBe(0);
		// This world serves no page, and has no rate limit.
		expect(out.match(/^! .*$/gm)).toEqual([
			"! no page is served at / (status 404)",
			"! bursts from one address are not limited: there is no binding BURST",
		]);
		expect(out).toContain("✓ Stripe has every configured price (5), as the catalog says");
		expect(out).toContain("✓ close_periods ran at ");
		await doctor();
		const rows = await world.rows("SELECT event_type, processing_status, alerts FROM stripe_webhook_logs");
		expect(rows).toEqual([{ event_type: "legis.doctor", processing_status: "processed", alerts: null }]);
		expect(out + JSON.stringify(rows)).not.toContain(SECRET);
	});

	test("only an administrator is told", async () => {
		const ask = async (sub: string, scope: string) =>
			(await world.call(await world.token(sub, "page", { scope }), "/api/admin/doctor")).status;
		expect(await ask("admin", "read:bills")).toBe(403);
		expect(await ask("somebody", "admin")).toBe(403);
		expect((await world.harness.fetch("/api/admin/doctor")).status).toBe(401);
		const said = await (await world.call(bearer, "/api/admin/doctor")).text();
		expect(said).not.toContain(SECRET);
		expect(said).not.toContain("rk_test_local");
		const { code, out } = await doctor([], { LEGIS_TOKEN: "nonsense" });
		expect(code).toBe(1);
		expect(out).toContain("✗ your token is not accepted");
		expect(out).toContain("✓ a page of a foreign origin may not call");
	});

	test("each thing that is wrong is the one that is said to be", async () => {
		const price = (id: number, value: string) =>
			world.rows(`UPDATE plans SET stripe_price_id = ${value} WHERE id = ${id} RETURNING id`);
		const listed = stripe.prices.get("price_21") as object;
		const domain = (await world.rows<{ auth0_domain: string }>("SELECT auth0_domain FROM auth_config LIMIT 1"))[0]
			?.auth0_domain;
		const other = folder();
		writeFileSync(join(other, "index.js"), "export const contract = () => ({ version: '0', fingerprint: 'another' });");
		const faults: [string, () => Promise<unknown>, () => Promise<unknown>, string[], Record<string, string>, RegExp][] =
			[
				[
					"a secret that is not the endpoint's",
					async () => {},
					async () => {},
					[],
					{ STRIPE_WEBHOOK_SECRET: "whsec_other" },
					/a signed event was refused/,
				],
				[
					"a plan without a price",
					() => price(20, "NULL"),
					() => price(20, "'price_20'"),
					[],
					{},
					/no price id: starter monthly/,
				],
				[
					"a price that Stripe does not have",
					() => price(20, "'price_nowhere'"),
					() => price(20, "'price_20'"),
					[],
					{},
					/Stripe has no price price_nowhere/,
				],
				[
					"a price of another amount",
					async () => stripe.prices.set("price_21", { ...listed, unit_amount: 1 }),
					async () => stripe.prices.set("price_21", listed),
					[],
					{},
					new RegExp(`price_21 is 1 usd a year at Stripe, and ${amount("starter", "year")} usd a year in the catalog`),
				],
				[
					"a row of plans that the catalog does not know",
					() =>
						world.rows(
							"INSERT INTO plans SELECT 77, name, 'gold', billing_frequency, 'price_retired', NULL, amount, currency, features, highlighted_features, description, 1, 9, mcp_calls_limit FROM plans WHERE id = 20 RETURNING id",
						),
					() => world.rows("DELETE FROM plans WHERE id = 77 RETURNING id"),
					[],
					{},
					/the catalog does not know them: 77/,
				],
				["another contract", async () => {}, async () => {}, ["--package", other], {}, /the package another/],
				[
					"an issuer that is away",
					() =>
						world.rows(
							"UPDATE auth_config SET auth0_domain = '127.0.0.1:9' WHERE config_name = 'mcp_server' RETURNING id",
						),
					() => world.rows(`UPDATE auth_config SET auth0_domain = '${domain}' RETURNING id`),
					[],
					{},
					/the keys of 127\.0\.0\.1:9 cannot be read/,
				],
				[
					"a data service that fails",
					async () => world.answer(() => 503),
					async () => world.answer(() => 200),
					[],
					{},
					/http:\/\/127\.0\.0\.1:\d+ answers 503/,
				],
				[
					"a data service that is away",
					async () => world.answer(() => 0),
					async () => world.answer(() => 200),
					[],
					{},
					// A server that hangs up is answered for with a 500 by the local runtime.
					/(nothing answers at http:\/\/127\.0\.0\.1:\d+|http:\/\/127\.0\.0\.1:\d+ answers 500)/,
				],
				[
					"a clock that is off",
					() => world.set({ clock: 120_000 }),
					() => world.set({ clock: 0 }),
					[],
					{},
					/clock and this machine's are (119|120) s apart/,
				],
			];
		for (const [name, plant, mend, words, env, seen] of faults) {
			await plant();
			const said = await doctor(words, env);
			await mend();
			expect(said.code, name).toBe(1);
			const failed = failures(said).filter((line) => !line.startsWith("✗ it is not ready"));
			expect(failed, name).toHaveLength(1);
			expect(failed[0], name).toMatch(seen);
		}
		expect((await doctor()).code).toBe(0);
	}, 120_000);

	test("a cron that is silent, an origin without TLS, an address where nothing is", async () => {
		await world.rows("UPDATE cron_runs SET started_at = started_at - 7200000 WHERE task = 'apply_events' RETURNING id");
		const silent = await doctor();
		expect(silent.out).toMatch(/^! apply_events has not run in the last two hours\n {2}→ /m);
		// A row that breaks its form lets nobody in; why is told from the outside.
		await world.rows(`UPDATE auth_config SET allowed_origins = '["http://app.example.com"]' RETURNING id`);
		const insecure = await doctor();
		await world.rows(ORIGINS);
		expect(insecure.code).toBe(1);
		expect(insecure.out).toMatch(/✗ it is not ready: .*auth_config.*allowed_origins/);
		const nowhere = await xtask(["doctor", "--url", "http://127.0.0.1:9"]);
		expect(nowhere.code).toBe(1);
		expect(nowhere.out).toMatch(/✗ http:\/\/127\.0\.0\.1:9 does not answer.*\n {2}→ .*cargo xtask dev/);
		expect(contract().fingerprint).toMatch(/^[0-9a-f]{16}$/);
	});
});

describe("what is uploaded", () => {
	/** Bytes as gzip of the module and its glue; raised only in a commit that says why. It shall come down to 250,000. */
	const BUDGET = 518_000;

	test("the worker is within its budget", () => {
		const files = ["worker.wasm", "glue.js"].map((name) => readFileSync(join(ROOT, "worker/build", name)));
		const size = files.reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length, 0);
		console.log(`worker: ${size} bytes gzip of ${BUDGET}`);
		expect(size).toBeLessThanOrEqual(BUDGET);
	});
});

describe("the operators' guide", () => {
	test("the walk on this machine", async () => {
		const [walk, ...others] = blocks("sh");
		expect(others).toEqual([]);
		const script = (walk ?? "")
			.replaceAll(/cargo xtask doctor/g, `cargo xtask doctor --url ${inject("base")}`)
			.replaceAll("before.sql", join(TEMPORARY, "before.sql"))
			.replaceAll(
				/cargo xtask (\w+)/g,
				(_, command) => `${XTASK ?? "cargo xtask"} ${command} --state ${inject("state")}`,
			);
		const { code, out } = await run("bash", ["-eu", "-c", script]);
		expect(out).toContain("Written: ");
		expect(out).toContain("Restored.");
		expect(out.match(/^\d\d checks, 0 failed/gm)).toHaveLength(2);
		expect(code).toBe(0);
	});

	test("its SQL is taken by a database of this release, and what it writes has the right form", async () => {
		const database = d1(folder());
		await database.migrate();
		database.rows(
			"INSERT INTO users (auth0_user_id, current_plan_id, created_at, updated_at) VALUES ('auth0|…', 10, 0, 0)",
		);
		const sql = blocks("sql");
		expect(sql).toHaveLength(5);
		for (const [index, text] of sql.entries()) {
			const file = join(TEMPORARY, `guide-${index}.sql`);
			writeFileSync(file, text);
			expect((await database.file(file)).code, text).toBe(0);
		}
		const [clients = [], administrators = [], priced = [], versions = [], agreed = []] = database.rows(
			"SELECT * FROM auth_config; SELECT id FROM users WHERE is_admin = 1; SELECT id FROM plans WHERE stripe_price_id IS NOT NULL; SELECT entitlement_version AS version FROM users; SELECT slug FROM users JOIN plans ON plans.id = agreed_plan_id WHERE agreed_until > entitlement_version",
		);
		expect(agreed).toEqual([{ slug: "enterprise" }]);
		expect([clients.length, administrators.length, priced.length]).toEqual([2, 1, 4]);
		expect(versions.map(({ version }) => Math.abs(Number(version) - Date.now()) < 600_000)).toEqual([true]);
		for (const { id: _, is_active, ...client } of clients) {
			const parsed = Object.fromEntries(
				Object.entries(client).map(([name, value]) => [
					name,
					name.startsWith("allowed_") ? JSON.parse(value as string) : value,
				]),
			);
			expect(validate(schemas.authConfig, { ...parsed, is_active: is_active === 1 })).toMatchObject({ ok: true });
		}
	});

	test("its deployment can be deployed; one that lacks something or tells a secret is refused, and says what to do", async () => {
		const [json = "", ...others] = blocks("json");
		expect(others).toEqual([]);
		const deploy = (deployment: object | undefined) => {
			const file = join(folder(), "deployment.json");
			if (deployment !== undefined) {
				writeFileSync(file, JSON.stringify(deployment));
			}
			return xtask(["deploy", "--dry-run", "--deployment", file]);
		};
		const right = JSON.parse(json) as { vars: object };
		const done = await deploy(right);
		expect(done).toMatchObject({ code: 0, out: expect.stringContaining("It can be deployed. Nothing was.") });
		const made = JSON.parse(readFileSync(join(ROOT, "worker/wrangler.dry-run.json"), "utf8"));
		expect(made).toMatchObject({ name: "legis-worker", vars: right.vars });
		expect(made.triggers.crons).toEqual(crons());
		expect(made.d1_databases[0]).toMatchObject({ binding: "DB", database_id: "00000000-0000-0000-0000-000000000000" });
		expect(made).not.toHaveProperty("url");
		const refused = async (deployment: object | undefined, why: string) =>
			expect(await deploy(deployment)).toMatchObject({ code: 1, out: expect.stringContaining(why) });
		await refused(undefined, "deployment.json is missing");
		await refused({ ...right, database_id: "legis" }, "npx wrangler d1 create legis");
		await refused({ ...right, url: undefined }, "has no url");
		await refused({ ...right, vars: {} }, "UPSTREAM_URL");
		// What would take every call down is said before it does.
		const vars = (more: object) => ({ ...right, vars: { ...right.vars, ...more } });
		await refused(vars({ GRACE_DAYS: "13" }), "it must be 0, 2, 7, 14 or 21");
		await refused(vars({ STRIPE_MODE: "prod" }), "it must be live or test");
		await refused(vars({ STRIPE_PRICES: '{"price_1":"gold"}' }), "There is no plan of that name");
		await refused(vars({ STRIPE_MOD: "live" }), "STRIPE_MOD, which nothing reads");
		// Whatever the worker reads that is named like a secret, wherever it is written down.
		const settings = readFileSync(join(ROOT, "core/src/settings.rs"), "utf8");
		const names = [...settings.matchAll(/&str = "([A-Z0-9_]+)"/g)].map(([, name]) => name as string);
		expect(names.length).toBeGreaterThan(15);
		const secrets = names.filter((name) => /_(SECRET|KEY|TOKEN)$/.test(name));
		for (const name of secrets) {
			await refused(vars({ [name]: "x" }), `wrangler secret put ${name}`);
		}
		await refused({ ...right, METRICS_TOKEN: "x" }, "wrangler secret put METRICS_TOKEN");
		await refused({ ...right, env: { live: { vars: { STRIPE_API_KEY: "x" } } } }, "wrangler secret put STRIPE_API_KEY");
		const docs = ["operating", "billing", "mcp", "audit"].map((name) =>
			readFileSync(join(ROOT, `docs/${name}.md`), "utf8"),
		);
		for (const name of names) {
			expect(docs.join("\n"), name).toContain(`\`${name}\``);
		}
	});

	test("every event of the log is in it, and nothing that is none", () => {
		const sources = ["worker/src", "worker/entry.js"].flatMap((place) => {
			const files = place.endsWith(".js")
				? [place]
				: readdirSync(join(ROOT, place), { recursive: true, encoding: "utf8" }).map((name) => join(place, name));
			return files.filter((name) => /\.(rs|js)$/.test(name)).map((name) => readFileSync(join(ROOT, name), "utf8"));
		});
		const text = sources.join("\n");
		const logged = [...text.matchAll(/log::event\(\s*"(\w+)"|event: "(\w+)"/g)].map(
			([, rust, script]) => rust ?? script,
		);
		// A task of the cron that fails is logged by its name.
		const cron = readFileSync(join(ROOT, "worker/src/cron.rs"), "utf8");
		const tasks = [...cron.matchAll(/Self::\w+ => "(\w+)"/g)].map(([, name]) => name);
		expect(tasks.length).toBeGreaterThan(3);
		const [, table = ""] = GUIDE.split("Lines of the log with an `event`");
		const documented = [...table.matchAll(/^\| (`\w+`(?:, `\w+`)*) \|/gm)].flatMap(([, names]) =>
			(names ?? "").replaceAll("`", "").split(", "),
		);
		expect([...new Set(documented)].sort()).toEqual([...new Set([...logged, ...tasks])].sort());
	});
});
