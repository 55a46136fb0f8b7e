// The gateway killed under load, with everything it started, and started again on the same state.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JWK } from "jose";
import { afterAll, expect, test } from "vitest";
import { accessToken } from "../samples/issuer/token.ts";
import { SCOPE } from "./callers.ts";
import { dev, freePorts, stop } from "./stack.ts";

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

test("no acknowledged call is forgotten, none is invented, and the limit holds across the crash", async () => {
	const port = await freePorts();
	const first = await dev(port, state);
	const base = `http://127.0.0.1:${port}`;
	const key = JSON.parse(readFileSync(join(state, "issuer-key.json"), "utf8")) as JWK;
	const headers = {
		Authorization: `Bearer ${await accessToken(key, {
			issuer: `http://127.0.0.1:${port + 1}/`,
			audience: "urn:legis-api",
			scope: SCOPE,
			client: "local-frontend",
			sub: "test|crash",
		})}`,
	};
	const acknowledged = new Set<string>();
	const lanes = 8;
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
			if (alive && acknowledged.size >= 40) {
				alive = false;
				kill();
			}
		}
	};
	const ended = new Promise((resolve) => first.removeAllListeners("exit").on("exit", resolve));
	await Promise.all(Array.from({ length: lanes }, lane));
	await ended;
	expect(lost).toBe(lanes);

	const second = await dev(port, state);
	try {
		const account = await (await fetch(`${base}/api/account`, { headers })).json();
		const { used } = account.usage.lifetime;
		console.log(`acknowledged ${acknowledged.size}, stored ${used}, in flight at most ${lanes}`);
		expect(used).toBeGreaterThanOrEqual(acknowledged.size);
		expect(used).toBeLessThanOrEqual(acknowledged.size + lanes);
		const statuses = await Promise.all(
			Array.from({ length: 100 }, async () => (await fetch(`${base}/api/votes?limit=1`, { headers })).status),
		);
		expect(statuses.filter((status) => status === 200)).toHaveLength(100 - used);
		expect(statuses.filter((status) => status === 429)).toHaveLength(used);
	} finally {
		await stop(second);
	}
});
