// A cold start: from the start of a workerd that has one worker to its first answer, ours beside a TypeScript worker's.
// What workerd itself needs is measured with a worker that is almost nothing. Usage: cargo xtask bench cold -- [--rounds N]

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { note } from "../results.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "21" } } });
const rounds = Number(values.rounds);
const ROOT = join(import.meta.dirname, "../..");
const directory = mkdtempSync(join(tmpdir(), "legis-cold-"));

/** The files of a worker, the first of them its entry. */
type Files = Record<string, string | Buffer>;

async function typescript(file: string): Promise<Files> {
	const built = await build({
		entryPoints: [join(import.meta.dirname, "../meter", file)],
		bundle: true,
		write: false,
		format: "esm",
		target: "es2022",
		conditions: ["workerd", "worker", "browser"],
		external: ["cloudflare:workers"],
		minify: true,
	});
	return { "worker.js": built.outputFiles[0]?.text ?? "" };
}

function deployed(): Files {
	const folder = join(ROOT, "target/bench/worker");
	const names = readdirSync(folder).filter((name) => /\.(js|wasm)$/.test(name));
	names.sort((one) => (one === "entry.js" ? -1 : 1));
	return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
}

const contenders: Record<string, Files> = {
	nothing: { "worker.js": 'export default { fetch: () => new Response("ok") };' },
	"Hono + Durable Object": await typescript("hono-do.ts"),
	legis: deployed(),
};

/** What workerd reads: the files beside it, and one socket. */
function configuration(name: string, files: Files): string {
	const folder = mkdtempSync(join(directory, "worker-"));
	const modules = Object.entries(files).map(([file, content]) => {
		writeFileSync(join(folder, file), content);
		return `(name = "${file}", ${file.endsWith(".wasm") ? "wasm" : "esModule"} = embed "${file}")`;
	});
	const path = join(folder, "workerd.capnp");
	writeFileSync(
		path,
		`using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", http = (), service = "main")],
);
const main :Workerd.Worker = (modules = [${modules.join(", ")}], compatibilityDate = "2026-11-01");
`,
	);
	console.log(`    ${name.padEnd(24)} ${kilobytes(files).toFixed(1)} kB gzip`);
	return path;
}

const kilobytes = (files: Files) =>
	Object.values(files).reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length / 1000, 0);

async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	server.close();
	return port;
}

/** Milliseconds from the start of the process to the first answer; any status is one, but none may be a crash. */
async function started(configuration: string): Promise<number> {
	const port = await freePort();
	const start = performance.now();
	const child = spawn("workerd", ["serve", configuration, `--socket-addr=http=127.0.0.1:${port}`], {
		stdio: "ignore",
	});
	try {
		for (;;) {
			if (child.exitCode !== null) {
				throw new Error(`workerd ended with ${child.exitCode}: ${configuration}`);
			}
			const status = await answered(port);
			if (status !== undefined && status < 500) {
				return performance.now() - start;
			}
			if (status !== undefined) {
				throw new Error(`the first answer was ${status}: ${configuration}`);
			}
		}
	} finally {
		child.kill("SIGKILL");
		await once(child, "exit");
	}
}

function answered(port: number): Promise<number | undefined> {
	return new Promise((resolve) => {
		const request = get({ port, host: "127.0.0.1", path: "/api/health", agent: false }, (response) => {
			response.resume();
			response.on("end", () => resolve(response.statusCode));
		});
		// Not listening yet.
		request.on("error", () => setTimeout(() => resolve(undefined), 0.5));
	});
}

const median = (list: number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;

console.log("\nWhat is uploaded");
const configurations = Object.entries(contenders).map(([name, files]) => [name, configuration(name, files)] as const);
const times: Record<string, number[]> = {};
for (let round = -1; round < rounds; round++) {
	for (const [name, path] of configurations) {
		const time = await started(path);
		if (round >= 0) {
			times[name] = [...(times[name] ?? []), time];
		}
	}
}
rmSync(directory, { recursive: true, force: true });

console.log(`\nFrom the start of workerd to the first answer, ${rounds} rounds in turn`);
const nothing = times.nothing ?? [];
for (const [name, list] of Object.entries(times)) {
	const own = median(list.map((time, round) => time - (nothing[round] as number)));
	console.log(`    ${name.padEnd(24)} ${median(list).toFixed(1)} ms, of which the worker ${own.toFixed(1)} ms`);
}
const own = times.legis ?? [];
const peer = times["Hono + Durable Object"] ?? [];
const whole = median(own.map((time, round) => time / (peer[round] as number)));
console.log(`    legis / Hono + Durable Object: ${whole.toFixed(2)} of the time, workerd's own start included`);
note("Cold start, time from the start of workerd to the first answer", "Hono + Durable Object", whole);
const size = kilobytes(contenders.legis as Files) / kilobytes(contenders["Hono + Durable Object"] as Files);
note("Worker's bundle, size as gzip", "Hono + Durable Object", size);
