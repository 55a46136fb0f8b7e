// The metered path beside its peers: one workerd, its own sockets (not the development proxy), rounds in turn.
// Usage: cargo xtask bench meter -- [--rounds N] [--calls N] [--disk] [--logs] [--scenario NAME] [--only NAME,NAME]

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { note } from "../results.ts";
import { load, type Round, TOOL_CALL_ID, upstream } from "./load.ts";

const { values } = parseArgs({
	options: {
		rounds: { type: "string", default: "5" },
		calls: { type: "string", default: "1500" },
		disk: { type: "boolean", default: false },
		logs: { type: "boolean", default: false },
		only: { type: "string" },
		scenario: { type: "string" },
	},
});
const [rounds, calls] = [Number(values.rounds), Number(values.calls)];
const LANES = 16;
/** What the plan of the benchmark's users grants. */
const ALLOWANCE = 10_000;
if (rounds * calls + warmUp(calls) > ALLOWANCE) {
	throw new Error(`One user has ${ALLOWANCE} calls; ask for fewer rounds or calls.`);
}
const ROOT = join(import.meta.dirname, "../..");

const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "bench", alg: "RS256", use: "sig" }] };
const issuerServer = createServer((_, response) => {
	response.setHeader("Content-Type", "application/json");
	response.end(JSON.stringify(jwks));
});
await new Promise<void>((resolve) => issuerServer.listen(0, "127.0.0.1", resolve));
const domain = `127.0.0.1:${(issuerServer.address() as { port: number }).port}`;
const issuer = `http://${domain}/`;
const service = await upstream();

const token = (sub: string) =>
	new SignJWT({ scope: "openid profile read:bills read:members read:votes read:committees", azp: "bench" })
		.setProtectedHeader({ alg: "RS256", kid: "bench", typ: "at+jwt" })
		.setIssuer(issuer)
		.setAudience("urn:legis-api")
		.setSubject(sub)
		.setIssuedAt()
		.setExpirationTime("1 day")
		.sign(privateKey);

async function bundle(file: string): Promise<string> {
	const built = await build({
		entryPoints: [join(import.meta.dirname, file)],
		bundle: true,
		write: false,
		format: "esm",
		target: "es2022",
		conditions: ["workerd", "worker", "browser"],
		external: ["cloudflare:workers"],
		minify: true,
	});
	return built.outputFiles[0]?.text ?? "";
}

// Locally a line of the log goes through a pipe to the development server, which costs what a deployment does not pay.
// Unless `--logs` is given the lines are made, and not piped.
const SINK =
	"{ let lines = 0; const sink = () => { lines += 1; }; Object.assign(console, { log: sink, error: sink }); }\n";

function unpiped(contents: string | Buffer): string {
	return values.logs ? contents.toString() : SINK + contents.toString();
}

/** The worker as it is deployed: what the bundler of wrangler makes of it is given by `cargo xtask bench`. */
function deployed() {
	const folder = join(ROOT, "target/bench/worker");
	return readdirSync(folder)
		.filter((name) => /\.(js|wasm)$/.test(name))
		.sort((one) => (one === "entry.js" ? -1 : 1))
		.map((name) => ({
			type: name.endsWith(".wasm") ? ("CompiledWasm" as const) : ("ESModule" as const),
			path: name,
			contents: name.endsWith(".js") ? unpiped(readFileSync(join(folder, name))) : readFileSync(join(folder, name)),
		}));
}

const bindings = {
	JWKS: JSON.stringify(jwks),
	ISSUER: issuer,
	UPSTREAM_URL: `http://127.0.0.1:${service.port}`,
	MCP_UPSTREAM_URL: `http://127.0.0.1:${service.port}/mcp`,
	MCP_SIGNING_SECRET: "the benchmark's, of no use elsewhere",
};
const shared = {
	compatibilityDate: "2026-11-01",
	bindings,
	unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
};
const typescript = async (name: string, file: string) => ({
	name,
	modules: [{ type: "ESModule" as const, path: `${name}.js`, contents: unpiped(await bundle(file)) }],
	...shared,
});
// On a disk every commit waits for it, here one after the other, where the platform overlaps them; so by default what
// is measured is the work itself.
const memory = existsSync("/dev/shm") && !values.disk;
const directory = mkdtempSync(join(memory ? "/dev/shm" : tmpdir(), "legis-bench-"));
process.env.TMPDIR = directory;
const miniflare = new Miniflare(
	convertV4MiniflareOptions({
		handleStructuredLogs: () => {},
		workers: [
			{
				name: "legis",
				modules: deployed(),
				...shared,
				d1Databases: { DB: "legis" },
				durableObjects: { METER: { className: "Meter", useSQLite: true } },
			},
			await typescript("pass", "pass.ts"),
			{ ...(await typescript("hono-d1", "hono-d1.ts")), d1Databases: { DB: "old" } },
			{
				...(await typescript("hono-do", "hono-do.ts")),
				durableObjects: { USER_METER: { className: "UserMeter", useSQLite: true } },
			},
			{
				...(await typescript("hono-do-d1", "hono-do.ts")),
				durableObjects: { USER_METER: { className: "UserMeter", useSQLite: true } },
				d1Databases: { DB: "rows" },
			},
		],
	} as never),
);
await miniflare.ready;

// The databases have the same schema and the same users, on a plan of 10,000 calls.
const MANY = 200;
const subjects = ["bench|one", ...Array.from({ length: MANY }, (_, index) => `bench|${index}`)];
for (const name of ["legis", "hono-d1", "hono-do-d1"]) {
	const database = await miniflare.getD1Database("DB", name);
	const folder = join(ROOT, "worker/migrations");
	await database.exec("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)");
	for (const file of readdirSync(folder).sort()) {
		const sql = readFileSync(join(folder, file), "utf8").replaceAll(/^ *--.*$/gm, "");
		for (const statement of sql.split(/;\s*$/m).filter((statement) => statement.trim() !== "")) {
			await database.prepare(statement).run();
		}
		await database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(file).run();
	}
	await database
		.prepare(
			"INSERT INTO auth_config (config_name, auth0_domain, auth0_client_id, auth0_audience, auth0_scope) VALUES ('frontend', ?, 'bench', 'urn:legis-api', 'openid')",
		)
		.bind(domain)
		.run();
	await database.batch(
		subjects.map((sub) =>
			database
				.prepare(
					"INSERT INTO users (auth0_user_id, current_plan_id, subscription_status, billing_anchor, created_at, updated_at) VALUES (?, 30, 'active', ?, 0, 0)",
				)
				.bind(sub, Date.now() - 86_400_000),
		),
	);
}

const toolCall = JSON.stringify({
	jsonrpc: "2.0",
	id: TOOL_CALL_ID,
	method: "tools/call",
	params: { name: "search-bills", arguments: { q: "tax", limit: 1 } },
});
const toolCalls = await Promise.all(
	subjects.map(
		async (sub) =>
			`POST /mcp HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer ${await token(sub)}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2025-11-25\r\nUser-Agent: bench/1.0\r\nContent-Length: ${toolCall.length}\r\n\r\n${toolCall}`,
	),
);
const requests = await Promise.all(
	subjects.map(
		async (sub) =>
			`GET /api/bills?q=tax&limit=1 HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer ${await token(sub)}\r\nAccept: application/json\r\nUser-Agent: bench/1.0\r\nCF-Connecting-IP: 192.0.2.7\r\n\r\n`,
	),
);
const scenarios: Record<string, (n: number) => string> = {
	"many users": (n) => requests[1 + (n % MANY)] as string,
	"one user": () => requests[0] as string,
	// What the gateway adds to a tool call, beside a proxy that adds nothing.
	"tool calls": (n) => toolCalls[1 + (n % MANY)] as string,
};
/** The peers know no tool calls; the proxy passes everything. */
const PASSING = ["legis", "pass"];

/** CPU seconds of the workerd process so far. */
function cpu(): number {
	const pid = workerd();
	const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

let known: number | undefined;
function workerd(): number {
	known ??= readdirSync("/proc")
		.filter((name) => /^\d+$/.test(name))
		.map(Number)
		.find((pid) => {
			try {
				const status = readFileSync(`/proc/${pid}/stat`, "utf8");
				return status.includes("(workerd)") && status.split(") ").at(-1)?.split(" ")[1] === String(process.pid);
			} catch {
				return false;
			}
		});
	if (known === undefined) {
		throw new Error("no workerd of ours is running");
	}
	return known;
}

const NAMES: Record<string, string> = {
	legis: "legis",
	pass: "(a) pass-through, no meter",
	"hono-d1": "(b) Hono + D1",
	"hono-do": "(c) Hono + Durable Object",
	"hono-do-d1": "(d) the same, rows in D1",
};

/** The calls of the first round, which is not counted: objects are made, code is compiled. */
function warmUp(calls: number): number {
	return Math.max(400, Math.floor(calls / 3));
}

interface Figures {
	rate: number;
	cpu: number;
	p50: number;
	p99: number;
}

const median = (figures: number[]) => figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? 0;
const ports = Object.fromEntries(
	await Promise.all(
		Object.keys(NAMES).map(async (name) => [name, Number((await miniflare.unsafeGetDirectURL(name)).port)] as const),
	),
);
const asked = Object.keys(NAMES).filter((name) => values.only === undefined || values.only.split(",").includes(name));
for (const [scenario, request] of Object.entries(scenarios)) {
	if (values.scenario !== undefined && values.scenario !== scenario) {
		continue;
	}
	const figures: Record<string, Figures[]> = {};
	const contenders = asked.filter((name) => scenario !== "tool calls" || PASSING.includes(name));
	for (let round = -1; round < rounds; round++) {
		for (const name of contenders) {
			const count = round < 0 ? warmUp(calls) : calls;
			const before = cpu();
			const result: Round = await load(ports[name] as number, LANES, count, request);
			if (result.refused > 0) {
				throw new Error(`${name}: ${result.refused} of ${count} calls were not answered with 200`);
			}
			const sorted = result.latencies.toSorted((a, b) => a - b);
			const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
			if (round >= 0) {
				const own = figures[name] ?? [];
				figures[name] = own;
				own.push({
					rate: count / result.seconds,
					cpu: ((cpu() - before) / count) * 1e6,
					p50: at(0.5),
					p99: at(0.99),
				});
			}
		}
	}
	console.log(
		`\n${scenario}, ${LANES} connections, ${rounds} rounds of ${calls} calls, ${memory ? "in memory" : "on disk"}${values.logs ? ", logs piped" : ""}`,
	);
	console.log("                             calls/s   p50 ms   p99 ms   CPU µs/call");
	for (const name of contenders) {
		const of = (key: keyof Figures) => median((figures[name] ?? []).map((figure) => figure[key]));
		const cells = [of("rate").toFixed(0), of("p50").toFixed(2), of("p99").toFixed(2), of("cpu").toFixed(0)];
		console.log(`${(NAMES[name] as string).padEnd(28)} ${cells.map((cell) => cell.padStart(7)).join("  ")}`);
	}
	for (const peer of contenders.filter((name) => name !== "legis")) {
		const ratio = (key: keyof Figures) =>
			median((figures.legis ?? []).map((own, round) => own[key] / (figures[peer]?.[round]?.[key] ?? Number.NaN)));
		note(
			`${scenario === "tool calls" ? "Tool call" : `Metered call, ${scenario}`}: throughput`,
			NAMES[peer] as string,
			ratio("rate"),
		);
		console.log(
			`  legis / ${NAMES[peer]}: throughput × ${ratio("rate").toFixed(2)}, p50 × ${ratio("p50").toFixed(2)}, CPU × ${ratio("cpu").toFixed(2)}`,
		);
	}
}
await miniflare.dispose();
issuerServer.close();
service.server.close();
rmSync(directory, { recursive: true, force: true });
process.exit(0);
