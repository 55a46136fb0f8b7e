// The package beside its peers, in Node and in Chromium. Usage: cargo xtask bench package -- [--rounds N] [--only TEXT] [--node]

import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { CHROMIUM_FLAGS, chromiumPath } from "../../tests/chromium.ts";
import { note } from "../results.ts";
import type { Typia } from "./contenders.ts";
import { decisions, endurance, type Row, validation } from "./measure.ts";

const { values } = parseArgs({
	options: { rounds: { type: "string", default: "15" }, only: { type: "string" }, node: { type: "boolean" } },
});
const rounds = Number(values.rounds);
const TYPIA = "./generated/index.ts";
const typia = (await import(TYPIA)) as Typia;

function print(where: string, rows: Row[]) {
	console.log(`\n${where}, medians of ${rounds} rounds: nanoseconds, and how many times as fast as the peer`);
	for (const { what, figures } of rows.filter(({ what }) => what.includes(values.only ?? ""))) {
		console.log(`  ${what}`);
		note(
			`${where}: ${what}`,
			what.startsWith("decide") ? "TypeScript" : "zod 4",
			figures["legis-edge"]?.ratio ?? Number.NaN,
		);
		for (const [name, { nanoseconds, ratio }] of Object.entries(figures)) {
			console.log(`    ${name.padEnd(20)} ${nanoseconds.toFixed(0).padStart(9)} ns  × ${ratio.toFixed(2)}`);
		}
	}
}

print("Node", [...validation(rounds, typia), ...decisions(rounds)]);
console.log("\nNode, a million calls: the last 100,000 beside the first, and how much the process grew");
for (const { what, ratio, megabytes } of endurance()) {
	console.log(`    ${what.padEnd(20)} time × ${ratio.toFixed(2)}, ${megabytes.toFixed(1)} MB`);
}
start();
if (!values.node) {
	print("Chromium", await inChromium());
}

/** From the start of a process to the first verdict, beside zod 4. */
function start() {
	const programs = {
		"legis-edge":
			'import { schemas, validate } from "legis-edge"; validate(schemas.registration, { email: "ada@example.com" });',
		"zod 4":
			'import * as z from "zod"; z.strictObject({ email: z.email().max(254).nullish(), name: z.string().min(1).max(200).nullish(), plan: z.enum(["free", "pro"]).nullish(), source: z.enum(["web", "mcp"]).nullish() }).safeParse({ email: "ada@example.com" });',
	};
	const times: Record<string, number[]> = {};
	for (let round = 0; round < 15; round++) {
		for (const [name, program] of Object.entries(programs)) {
			const [imports, rest] = program.split(/(?<=";) /, 2) as [string, string];
			const from = /from "(.*)"/.exec(imports)?.[1];
			const names = /import (.*) from/.exec(imports)?.[1]?.replace("* as z", "z") as string;
			const timed = `const start = performance.now(); const ${names} = await import("${from}"); ${rest} console.log(performance.now() - start);`;
			const printed = execFileSync("node", ["--input-type=module", "-e", timed], {
				cwd: import.meta.dirname,
				encoding: "utf8",
			});
			times[name] = [...(times[name] ?? []), Number(printed)];
		}
	}
	const median = (list: number[] = []) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
	const ratio = median(times["legis-edge"]?.map((own, round) => own / (times["zod 4"]?.[round] as number)));
	console.log("\nNode, from import to the first verdict");
	for (const [name, list] of Object.entries(times)) {
		console.log(`    ${name.padEnd(20)} ${median(list).toFixed(1)} ms`);
	}
	console.log(`    legis-edge / zod 4: ${ratio.toFixed(2)}`);
	note("Node: time from import to the first verdict", "zod 4", ratio);
}

async function inChromium(): Promise<Row[]> {
	const bundle = await build({
		stdin: {
			contents: `import { decisions, validation } from "./measure.ts"; import * as typia from "${TYPIA}"; Object.assign(window, { decisions, validation: (rounds) => validation(rounds, typia) });`,
			resolveDir: import.meta.dirname,
		},
		bundle: true,
		write: false,
		format: "esm",
		minify: true,
	});
	const script = bundle.outputFiles[0]?.text ?? "";
	const server = createServer((request, response) => {
		const isScript = request.url === "/bench.js";
		response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
		// Clocks are coarse in pages that others could look into.
		response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
		response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
		response.end(isScript ? script : '<!doctype html><script type="module" src="/bench.js"></script>');
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const browser = await chromium.launch({ executablePath: chromiumPath(), args: CHROMIUM_FLAGS });
	const page = await browser.newPage();
	await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
	await page.waitForFunction("window.validation !== undefined");
	const rows = await page.evaluate((rounds) => {
		// @ts-expect-error: the script put them there
		return [...window.validation(rounds), ...window.decisions(rounds)];
	}, rounds);
	await browser.close();
	server.close();
	return rows as Row[];
}
