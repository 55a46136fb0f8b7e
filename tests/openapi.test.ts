// The description of the API, and the running worker held to it: Schemathesis makes up requests that are right and
// requests that are wrong, and checks every answer (schemathesis.toml).

import { type ExecFileOptions, execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { call, newAddress, newSubject, token } from "./callers.ts";
import { ROOT } from "./stack.ts";

// For a longer run: cases of each operation, and where they begin.
const CASES = process.env.LEGIS_CASES ?? "20";
const SEED = process.env.LEGIS_SEED ?? "1";

/** The folder of the programs that `cargo xtask test` installs. */
const PYTHON = join(ROOT, "target/python/bin");

const folder = mkdtempSync(join(tmpdir(), "legis-openapi-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sub = newSubject();

beforeAll(async () => {
	// Somebody whom nothing runs out for.
	await call("/api/users/register", await token(sub), { method: "POST" });
	const xtask = process.env.LEGIS_XTASK ?? "cargo";
	const paid = ["webhook", "customer.subscription.created", "--user", sub, "--plan", "enterprise"];
	execFileSync(
		xtask,
		[...(xtask === "cargo" ? ["xtask"] : []), ...paid, "--send", inject("base"), "--state", inject("state")],
		{ cwd: ROOT },
	);
});

test("the document is there for any page, and says which contract it is of", async () => {
	const response = await call("/openapi.json");
	expect(response.status).toBe(200);
	expect(response.headers.get("content-type")).toMatch(/^application\/json/);
	expect(response.headers.get("access-control-allow-origin")).toBe("*");
	const contract = (await call("/api/health")).headers.get("legis-contract");
	expect(response.headers.get("legis-contract")).toBe(contract);
	expect(((await response.json()) as { openapi: string }).openapi).toBe("3.1.0");
	expect((await call("/openapi.json", undefined, { method: "HEAD" })).status).toBe(200);
});

test("it is OpenAPI 3.1", () => {
	const checked = spawnSync(join(PYTHON, "openapi-spec-validator"), [join(ROOT, "web/public/openapi.json")]);
	expect([checked.status, String(checked.stderr)]).toEqual([0, ""]);
});

async function ran(
	program: string,
	words: string[],
	options: ExecFileOptions,
): Promise<{ code: number; stdout: string }> {
	try {
		const { stdout } = await promisify(execFile)(program, words, { ...options, encoding: "utf8" });
		return { code: 0, stdout };
	} catch (error) {
		const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
		return { code, stdout: `${stdout}\n${stderr}` };
	}
}

/** The product, to whom each request comes from an address of its own: what one sends without a token is limited. */
async function manyAddresses(): Promise<Server> {
	const { hostname, port } = new URL(inject("base"));
	const server = createServer((asked, answer) => {
		const { method, url: path } = asked;
		const rest = { hostname, port, method, path, setHost: false };
		const passed = request({ ...rest, headers: { ...asked.headers, "cf-connecting-ip": newAddress() } }, (answered) => {
			answer.writeHead(answered.statusCode ?? 502, answered.rawHeaders);
			answered.pipe(answer);
		});
		passed.on("error", () => answer.destroy());
		asked.pipe(passed);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return server;
}

test("whatever is asked, the worker answers as it is described", { timeout: 1_800_000 }, async () => {
	const server = await manyAddresses();
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	// Not synchronously: the server is this very process.
	const run = await ran(
		join(PYTHON, "schemathesis"),
		[
			...["--config-file", join(ROOT, "tests/schemathesis.toml"), "run", `${url}/openapi.json`],
			...["--url", url, "--max-examples", CASES, "--seed", SEED, "--no-color"],
		],
		{
			// It keeps what it found beside itself.
			cwd: folder,
			maxBuffer: 1 << 28,
			env: {
				...process.env,
				LEGIS_TOKEN: await token(sub),
				LEGIS_ADMINISTRATOR_TOKEN: await token("local|administrator", { scope: "admin" }),
			},
		},
	);
	server.closeAllConnections();
	server.close();
	expect(run.code, run.stdout).toBe(0);
	// It ends well as well where it had nothing to ask.
	expect(Number(/Tested: (\d+)/.exec(run.stdout)?.[1])).toBeGreaterThanOrEqual(40);
});
