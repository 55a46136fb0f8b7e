// The whole product, started as a user starts it, on a state of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
	interface ProvidedContext {
		base: string;
		issuer: string;
		upstream: string;
		/** The sample MCP server, behind the gateway's back. */
		mcp: string;
		state: string;
	}
}

export const ROOT = join(import.meta.dirname, "..");

/** A list of the worker's configuration, in which each stands in a line of its own. */
function configured(member: string): unknown[] {
	const config = readFileSync(join(ROOT, "worker/wrangler.jsonc"), "utf8");
	return JSON.parse(new RegExp(`"${member}": (\\[.*\\])`).exec(config)?.[1] ?? "[]");
}

/** When the worker's cron comes: hourly, and at night. */
export const crons = () => configured("crons") as string[];

/** What an address may send without a token. */
export const bursts = () => configured("ratelimits") as { simple: { limit: number; period: number } }[];

export default async function setup(project: TestProject) {
	const state = mkdtempSync(join(tmpdir(), "legis-test-"));
	const port = await freePorts();
	const child = await dev(port, state);
	project.provide("base", `http://127.0.0.1:${port}`);
	project.provide("issuer", `http://127.0.0.1:${port + 1}/`);
	project.provide("upstream", `http://127.0.0.1:${port + 2}`);
	project.provide("mcp", `http://127.0.0.1:${port + 3}`);
	project.provide("state", state);
	return async () => {
		await stop(child);
		rmSync(state, { recursive: true, force: true });
	};
}

/** Starts `cargo xtask dev` and waits for its line `Ready`. */
export function dev(port: number, state: string): Promise<ChildProcess> {
	const xtask = process.env.LEGIS_XTASK ?? "cargo";
	const words = xtask === "cargo" ? ["xtask"] : [];
	const child = spawn(xtask, [...words, "dev", "--port", String(port), "--state", state], {
		cwd: ROOT,
		// The sample MCP server with the tools that only tests need.
		env: { ...process.env, MCP_SIMULATE: "1" },
		stdio: ["ignore", "pipe", "pipe"],
	});
	let said = "";
	return new Promise((resolve, reject) => {
		child.stderr.on("data", (text) => {
			said += text;
		});
		child.stdout.on("data", (text) => {
			said += text;
			if (/^Ready/m.test(said)) {
				resolve(child);
			}
		});
		child.on("exit", (code) => reject(new Error(`dev ended with ${code}:\n${said}`)));
	});
}

export function stop(child: ChildProcess): Promise<void> {
	return new Promise((resolve) => {
		child.removeAllListeners("exit");
		child.on("exit", () => resolve());
		child.kill("SIGTERM");
	});
}

/** A port with the next three free as well, below those the system hands out for connections. */
export async function freePorts(): Promise<number> {
	for (let attempt = 0; attempt < 50; attempt++) {
		const port = 10_000 + Math.floor(Math.random() * 20_000);
		const free = await Promise.all([port, port + 1, port + 2, port + 3].map(isFree));
		if (free.every(Boolean)) {
			return port;
		}
	}
	throw new Error("no four free ports side by side");
}

function isFree(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const server = createServer();
		server.once("error", () => resolve(false));
		server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
	});
}
