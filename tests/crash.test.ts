// The gateway killed under load, with everything it started, and started again on the same state.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { JWK } from "jose";
import { afterAll, expect, test } from "vitest";
import { accessToken } from "../samples/issuer/token.ts";
import { SCOPE } from "./callers.ts";
import { dev, freePorts, stop } from "./stack.ts";
import { random } from "./world.ts";

const state = mkdtempSync(join(tmpdir(), "legis-crash-"));

afterAll(() => rmSync(state, { recursive: true, force: true }));

/** Kills the process group of the gateway on the state: killing only its leader would leave workerd serving. */
function kill() {
	process.kill(-gatewayGroup(), "SIGKILL");
}

function gatewayGroup(): number {
	const wanted = `--persist-to ${state}`;
	if (existsSync("/proc/self/stat")) {
		for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
			try {
				const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
				if (command.includes(wanted)) {
					// Fields after the name in brackets: state, parent, group.
					return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[2]);
				}
			} catch {
				// It ended while we looked.
			}
		}
	}
	const lines = execFileSync("ps", ["-axo", "pgid=,command="], { encoding: "utf8" }).split("\n");
	return Number(
		lines
			.find((line) => line.includes(wanted))
			?.trim()
			.split(" ")[0],
	);
}

const SEED = Number(process.env.LEGIS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env.LEGIS_ROUNDS ?? 3);
const LANES = 8;

interface Stored {
	/** The calls of the history, in the database. */
	rows: string[];
	/** The calls that the meter has not brought there: open, or in its outbox. */
	kept: string[];
	/** What the history says was charged. */
	cost: number;
	reported: number;
}

/** What is on the disk of a stopped deployment. */
function stored(sub: string): Stored {
	const files = (readdirSync(join(state, "v3"), { recursive: true }) as string[])
		.filter((name) => name.endsWith(".sqlite") && !name.endsWith("metadata.sqlite"))
		.map((name) => join(state, "v3", name));
	const has = (database: DatabaseSync, table: string) =>
		database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) !== undefined;
	const result: Stored = { rows: [], kept: [], cost: 0, reported: 0 };
	for (const file of files) {
		const database = new DatabaseSync(file);
		if (has(database, "api_usage")) {
			const rows = database
				.prepare(
					"SELECT api_usage.id, cost, api_calls_count FROM api_usage JOIN users ON users.id = user_id WHERE auth0_user_id = ?",
				)
				.all(sub) as { id: string; cost: number; api_calls_count: number }[];
			result.rows.push(...rows.map((row) => row.id));
			result.cost += rows.reduce((sum, row) => sum + row.cost, 0);
			result.reported = rows[0]?.api_calls_count ?? 0;
		} else if (has(database, "known")) {
			const [known] = database.prepare("SELECT json FROM known").all() as { json: string }[];
			if (known !== undefined && JSON.parse(known.json).account.user.sub === sub) {
				result.kept = (database.prepare("SELECT id FROM calls").all() as { id: string }[]).map((call) => call.id);
			}
		}
		database.close();
	}
	return result;
}

test(
	"killed under load at any moment and started again: invariants 1 to 4 hold",
	async () => {
		const chance = random(SEED);
		console.log(`seed ${SEED}`);
		for (let round = 0; round < ROUNDS; round++) {
			await killedUnderLoad(`test|crash-${round}`, 1 + Math.floor(chance() * 80));
		}
		// Two starts a round, on a machine that may be slow.
	},
	ROUNDS * 60_000,
);

/** A load on one user, killed after so many acknowledged calls. */
async function killedUnderLoad(sub: string, after: number) {
	const port = await freePorts();
	const first = await dev(port, state);
	const base = `http://127.0.0.1:${port}`;
	const key = JSON.parse(readFileSync(join(state, "issuer-key.json"), "utf8")) as JWK;
	const grant = (port: number) => ({
		issuer: `http://127.0.0.1:${port + 1}/`,
		audience: "urn:legis-api",
		scope: SCOPE,
		client: "local-frontend",
		sub,
	});
	const headers = { Authorization: `Bearer ${await accessToken(key, grant(port))}` };
	const acknowledged = new Set<string>();
	let lost = 0;
	let alive = true;
	const lane = async () => {
		for (;;) {
			try {
				const response = await fetch(`${base}/api/votes?limit=1`, { headers });
				acknowledged.add(response.headers.get("legis-call") as string);
				await response.arrayBuffer();
			} catch {
				lost += 1;
				return;
			}
			if (alive && acknowledged.size >= after) {
				alive = false;
				kill();
			}
		}
	};
	const ended = new Promise((resolve) => first.removeAllListeners("exit").on("exit", resolve));
	await Promise.all(Array.from({ length: LANES }, lane));
	await ended;
	expect(lost).toBe(LANES);

	const second = await dev(port, state);
	let used = 0;
	try {
		used = (await (await fetch(`${base}/api/account`, { headers })).json()).usage.lifetime.used;
		console.log(`acknowledged ${acknowledged.size}, stored ${used}, in flight at most ${LANES}`);
		// 4. What was acknowledged is stored, and nothing beside it but what was in flight.
		expect(used).toBeGreaterThanOrEqual(acknowledged.size);
		expect(used).toBeLessThanOrEqual(acknowledged.size + LANES);
		// 1. The limit holds across the crash.
		const answers = await Promise.all(
			Array.from({ length: 100 }, () => fetch(`${base}/api/votes?limit=1`, { headers })),
		);
		const admitted = answers.filter((answer) => answer.status === 200);
		for (const answer of admitted) {
			acknowledged.add(answer.headers.get("legis-call") as string);
		}
		expect(admitted).toHaveLength(100 - used);
		expect(answers.filter((answer) => answer.status === 429)).toHaveLength(used);
		// Reading a report brings what is settled to the database.
		const recorded = async () => {
			const { stats } = await (await fetch(`${base}/api/usage`, { headers })).json();
			return (stats as { total_calls: number }[]).reduce((sum, line) => sum + line.total_calls, 0);
		};
		await expect.poll(recorded).toBeGreaterThanOrEqual(100 - used);
	} finally {
		await stop(second);
	}
	// 2 and 3. Every charge is one call, and every call is in one place: a row of the history, or still with the meter.
	const { rows, kept, cost, reported } = stored(sub);
	const calls = [...rows, ...kept];
	expect(new Set(calls).size).toBe(calls.length);
	expect(calls.length).toBe(100);
	expect(rows.length).toBeGreaterThanOrEqual(100 - used);
	expect(cost).toBe(rows.length);
	expect(reported).toBe(100);
	for (const call of acknowledged) {
		expect(calls).toContain(call);
	}
}
