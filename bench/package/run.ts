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

/** What is imported and asked first. */
const FIRST = {
	"legis-edge": {
		from: "legis-edge",
		names: "{ schemas, validate }",
		ask: 'validate(schemas.registration, { email: "ada@example.com" })',
	},
	"zod 4": {
		from: "zod",
		names: "{ z }",
		ask: 'z.strictObject({ email: z.email().max(254).nullish(), name: z.string().min(1).max(200).nullish(), plan: z.enum(["free", "pro"]).nullish(), source: z.enum(["web", "mcp"]).nullish() }).safeParse({ email: "ada@example.com" })',
	},
};
type Contender = keyof typeof FIRST;
const CONTENDERS = Object.keys(FIRST) as Contender[];

/** From the import to the first verdict, beside zod 4, in turn; `first` measures once, where nothing was imported before. */
async function start(where: string, first: (contender: Contender) => Promise<number>) {
	const times: Record<Contender, number[]> = { "legis-edge": [], "zod 4": [] };
	for (let round = 0; round < 15; round++) {
		for (const contender of CONTENDERS) {
			times[contender].push(await first(contender));
		}
	}
	const median = (list: number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
	const ratio = median(times["legis-edge"].map((own, round) => own / (times["zod 4"][round] as number)));
	console.log(`\n${where}, from import to the first verdict`);
	for (const contender of CONTENDERS) {
		console.log(`    ${contender.padEnd(20)} ${median(times[contender]).toFixed(1)} ms`);
	}
	console.log(`    legis-edge / zod 4: ${ratio.toFixed(2)}`);
	note(`${where}: time from import to the first verdict`, "zod 4", ratio);
}

async function firstInNode(contender: Contender): Promise<number> {
	const { from, names, ask } = FIRST[contender];
	const timed = `const start = performance.now(); const ${names} = await import("${from}"); ${ask}; console.log(performance.now() - start);`;
	const options = { cwd: import.meta.dirname, encoding: "utf8" } as const;
	return Number(execFileSync("node", ["--input-type=module", "-e", timed], options));
}

/** As a page gets it: bundled, minified, and not in any cache. */
async function bundled(contents: string): Promise<string> {
	const options = { bundle: true, write: false, format: "esm", minify: true } as const;
	const bundle = await build({ stdin: { contents, resolveDir: import.meta.dirname }, ...options });
	return bundle.outputFiles[0]?.text ?? "";
}

async function inChromium(): Promise<void> {
	const scripts: Record<string, string> = {
		"/bench.js": await bundled(
			`import { decisions, validation } from "./measure.ts"; import * as typia from "${TYPIA}"; Object.assign(window, { decisions, validation: (rounds) => validation(rounds, typia) });`,
		),
	};
	for (const [index, contender] of CONTENDERS.entries()) {
		const { from, names, ask } = FIRST[contender];
		scripts[`/first/${index}.js`] = await bundled(`import ${names} from "${from}"; export const ask = () => ${ask};`);
	}
	const server = createServer((request, response) => {
		const script = scripts[request.url ?? ""];
		response.setHeader("Content-Type", script === undefined ? "text/html" : "text/javascript");
		response.setHeader("Cache-Control", "no-store");
		// Clocks are coarse in pages that others could look into.
		response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
		response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
		const isBench = request.url === "/bench";
		response.end(script ?? `<!doctype html>${isBench ? '<script type="module" src="/bench.js"></script>' : ""}`);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	const browser = await chromium.launch({ executablePath: chromiumPath(), args: CHROMIUM_FLAGS });
	const page = await browser.newPage();
	await page.goto(`${origin}/bench`);
	await page.waitForFunction("window.validation !== undefined");
	const rows = await page.evaluate((rounds) => {
		// @ts-expect-error: the script put them there
		return [...window.validation(rounds), ...window.decisions(rounds)];
	}, rounds);
	print("Chromium", rows as Row[]);
	await page.close();
	await start("Chromium", async (contender) => {
		const context = await browser.newContext();
		const page = await context.newPage();
		await page.goto(origin);
		const time = await page.evaluate(
			async (url) => {
				const start = performance.now();
				const { ask } = await import(url);
				ask();
				return performance.now() - start;
			},
			`/first/${CONTENDERS.indexOf(contender)}.js`,
		);
		await context.close();
		return time;
	});
	await browser.close();
	server.close();
}

print("Node", [...validation(rounds, typia), ...decisions(rounds)]);
console.log("\nNode, a million calls: the last 100,000 beside the first, and how much the process grew");
for (const { what, ratio, megabytes } of endurance()) {
	console.log(`    ${what.padEnd(20)} time × ${ratio.toFixed(2)}, ${megabytes.toFixed(1)} MB`);
}
await start("Node", firstInNode);
if (!values.node) {
	await inChromium();
}
