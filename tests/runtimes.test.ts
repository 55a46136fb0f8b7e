// The package as it is published, in every place it must work in, from fresh projects: no flag, plugin or option beyond what
// the place needs for any package. What runs here is the table in the package's README.

import { execFile } from "node:child_process";
import {
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestHarness } from "wrangler";
import { CHROMIUM_FLAGS, chromiumPath } from "./chromium.ts";
import { ROOT } from "./stack.ts";

const run = promisify(execFile);
const home = mkdtempSync(join(tmpdir(), "legis-runtimes-"));
const bin = (name: string) => join(home, "node_modules/.bin", name);

/** The same program everywhere; `legis` is how the place imports the package, `client` its client. */
const PROGRAM = `
const account = {
	user: { id: 1, sub: "auth0|1", createdAt: "2026-01-31T10:00:00Z", updatedAt: "2026-01-31T10:00:00Z" },
	entitlement: { plan: "developer", standing: "active", anchor: "2026-01-31T10:00:00Z", version: 1 },
	usage: { lifetime: { start: "2026-01-31T10:00:00Z", used: 0, mcp: 0 } },
};
// Values that are asked for late, of bytes that came after bytes which are no text.
const late = Array.from({ length: 16 }, (_, spaces) => {
	legis.parse(legis.schemas.registration, new Uint8Array(4_096).fill(0xff));
	const bytes = new TextEncoder().encode('{"name":"Zoë"}' + " ".repeat(spaces));
	const read = legis.parse(legis.schemas.registration, bytes);
	legis.parse(legis.schemas.registration, "{}");
	return read.value.name;
});
const answer = JSON.stringify([
	legis.plan("Developer").slug,
	legis.decide(account, "2026-02-10T00:00:00Z"),
	legis.validate(legis.schemas.registration, { email: "ada" }).issues[0].message,
	legis.parse(legis.schemas.registration, '{"name":"Zoë"}').value,
	legis.previewChange(account, { plan: "pro" }, "2026-02-10T00:00:00Z").kind,
	[...new Set(late)],
	typeof client.createClient({ baseUrl: "https://api.example.com", token: "t" }).call,
]);
`;
const IMPORT = 'import * as legis from "legis-edge";\nimport * as client from "legis-edge/client";\n';
const REQUIRE = 'const legis = require("legis-edge");\nconst client = require("legis-edge/client");\n';
const EXPECTED = [
	"starter",
	{
		type: "admit",
		plan: "developer",
		limit: 1000,
		used: 1,
		remaining: 999,
		cost: 1,
		periodStart: "2026-01-31T10:00:00.000Z",
		periodEnd: "2026-02-28T10:00:00.000Z",
		resetsAt: "2026-02-28T10:00:00.000Z",
	},
	"Must be an e-mail address such as name@example.com.",
	{ name: "Zoë" },
	"upgrade",
	["Zoë"],
	"function",
];

/** What was seen to work, in the order of the tests: the place with its version, and how the package got there. */
const seen = new Map<string, string[]>();

/** Notes that a place works. Its version is that of the npm package it comes from, here or in the project's own folder. */
function works(name: string, origin: string | undefined, ...how: string[]): void {
	let version = "";
	if (origin !== undefined) {
		const places = [home, ROOT].map((folder) => join(folder, "node_modules", origin, "package.json"));
		const manifest = readFileSync(places.find((place) => existsSync(place)) ?? "", "utf8");
		// Before 1, the second number tells what breaks.
		version = ` ${/^0\.\d+|^\d+/.exec(JSON.parse(manifest).version)?.[0]}`;
	}
	const place = `${name}${version}`;
	seen.set(place, [...(seen.get(place) ?? []), ...how]);
}

/** The file that would be published. */
let packed: string;
let browser: Browser;
/** A part of the module as it travels in JavaScript. */
let inlined: string;

beforeAll(async () => {
	cpSync(join(import.meta.dirname, "runtimes"), home, { recursive: true });
	await run("npm", ["pack", "--pack-destination", home, "--silent"], { cwd: join(ROOT, "pkg") });
	packed = readdirSync(home).find((file) => file.endsWith(".tgz")) ?? "";
	await run("npm", ["install", "--no-audit", "--no-fund", "--no-save", `./${packed}`], { cwd: home });
	writeFileSync(
		join(home, "app.js"),
		`${IMPORT}${PROGRAM}globalThis.answer = answer;\nglobalThis.console.log(answer);\n`,
	);
	writeFileSync(join(home, "app.cjs"), `${REQUIRE}${PROGRAM}console.log(answer);\n`);
	const dist = readFileSync(join(home, "node_modules/legis-edge/dist/index.js"), "utf8");
	// From the middle of the text that the module is.
	// The module is a text of many lines, each of which goes on with the next.
	const printed = dist.split("\n").filter((line) => /^[^"\\]{1500,}\\$/.test(line));
	inlined = printed[Math.floor(printed.length / 2)]?.slice(500, 700) ?? "";
	expect(inlined).toHaveLength(200);
	browser = await chromium.launch({ executablePath: chromiumPath(), args: CHROMIUM_FLAGS });
}, 900_000);

afterAll(async () => {
	await browser?.close();
	rmSync(home, { recursive: true, force: true });
});

test("what is published has the release's version, which the changelog knows, and its licences", () => {
	const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
	const version = /^version = "(.+)"$/m.exec(read("Cargo.toml"))?.[1];
	const installed = join(home, "node_modules/legis-edge");
	expect(JSON.parse(readFileSync(join(installed, "package.json"), "utf8")).version).toBe(version);
	expect(/^## .*$/m.exec(read("CHANGELOG.md"))?.[0]).toContain(version);
	for (const licence of ["LICENSE-MIT", "LICENSE-APACHE"]) {
		expect(readFileSync(join(installed, licence), "utf8")).toBe(read(licence));
	}
});

const check = (printed: string) => expect(JSON.parse(printed.trim().split("\n").at(-1) ?? "")).toEqual(EXPECTED);

/** How often the module is in what a bundler wrote. */
function copies(folder: string): number {
	let count = 0;
	for (const name of readdirSync(folder, { recursive: true }) as string[]) {
		const path = join(folder, name);
		if (statSync(path).isFile() && /\.(js|mjs|cjs|html)$/.test(name)) {
			count += readFileSync(path, "utf8").split(inlined).length - 1;
		} else if (name.endsWith(".wasm")) {
			count += 1;
		}
	}
	return count;
}

/** What a page shows that is made of these files. */
async function inChromium(folder: string, html?: string): Promise<string> {
	const types: Record<string, string> = { html: "text/html", js: "text/javascript", mjs: "text/javascript" };
	const server = createServer((request, response) => {
		const path = new URL(request.url ?? "/", "http://localhost").pathname;
		response.setHeader("Content-Type", types[path.split(".").at(-1) ?? ""] ?? "text/html");
		try {
			response.end(
				path === "/" && html !== undefined ? html : readFileSync(join(folder, path === "/" ? "index.html" : path)),
			);
		} catch {
			response.statusCode = 404;
			response.end();
		}
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const page = await browser.newPage();
	const faults: string[] = [];
	page.on("pageerror", (error) => faults.push(error.message));
	await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
	await page.waitForFunction("globalThis.answer !== undefined", undefined, { timeout: 10_000 }).catch(() => {});
	const answer = await page.evaluate("globalThis.answer");
	await page.close();
	server.close();
	expect(faults).toEqual([]);
	return answer as string;
}

describe("programs", () => {
	const places: [string, string, string, string | undefined, string[]][] = [
		["Node 24", "`import`", process.execPath, undefined, ["app.js"]],
		["Node 24", "`require`", process.execPath, undefined, ["app.cjs"]],
		["Node 20", "`import`", bin("node"), undefined, ["app.js"]],
		["Node 20", "`require`", bin("node"), undefined, ["app.cjs"]],
		["Deno", "`import`", bin("deno"), "deno", ["run", "app.js"]],
		["Bun", "`import`", bin("bun"), "bun", ["app.js"]],
		["Bun", "`require`", bin("bun"), "bun", ["app.cjs"]],
	];
	test.each(places)("%s, %s", async (name, how, program, origin, words) => {
		check((await run(program, words, { cwd: home })).stdout);
		works(name, origin, how);
	});

	test("Jest", async () => {
		const folder = join(home, "jested");
		mkdirSync(folder);
		writeFileSync(join(folder, "package.json"), "{}");
		writeFileSync(
			join(folder, "app.test.js"),
			`${REQUIRE}${PROGRAM}test("answers", () => expect(JSON.parse(answer)).toEqual(${JSON.stringify(EXPECTED)}));\n`,
		);
		for (const environment of ["node", "jsdom"]) {
			// The program itself encodes text, which jsdom leaves to whoever needs it.
			const globals = environment === "jsdom" ? ["--setupFiles", join(folder, "encode.js")] : [];
			writeFileSync(
				join(folder, "encode.js"),
				"require('legis-edge'); globalThis.TextEncoder = require('node:util').TextEncoder;\n",
			);
			const words = ["--rootDir", folder, "--env", environment, ...globals];
			expect((await run(bin("jest"), words, { cwd: home })).stderr).toMatch(/Tests: +1 passed/);
			works("Jest", "jest", environment);
		}
	});

	test("vitest", async () => {
		const folder = join(home, "tested");
		mkdirSync(folder);
		writeFileSync(
			join(folder, "app.test.js"),
			`import { expect, test } from "vitest";\n${IMPORT}${PROGRAM}test("answers", () => expect(JSON.parse(answer)).toEqual(${JSON.stringify(EXPECTED)}));\n`,
		);
		const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" };
		const { stdout } = await run(bin("vitest"), ["run", "--root", "tested", "--reporter=default"], { cwd: home, env });
		expect(stdout).toMatch(/Tests +1 passed/);
		works("vitest", "vitest", "in a test");
	});

	test("TypeScript, strict, with exact optional properties", async () => {
		const folder = join(home, "typed");
		mkdirSync(folder);
		writeFileSync(
			join(folder, "app.ts"),
			`import { type Account, decide, schemas, validate } from "legis-edge";
import { createClient, QuotaExceeded } from "legis-edge/client";
export async function left(account: Account): Promise<number | undefined> {
	const decision = decide(account, Date.now());
	if (decision.type === "refuse") {
		return decision.message.length + decision.limit;
	}
	const result = validate(schemas.registration, {});
	const email: string | undefined = result.ok ? result.value.email : result.issues[0]?.code;
	const client = createClient({ baseUrl: "", token: async () => email ?? "" });
	const user = await client.register();
	const address: string | null = user.email;
	const { stats } = await client.toolCalls();
	const first: string | null = stats.firstCall;
	await client.call("/api/bills").catch((error: unknown) => error instanceof QuotaExceeded && error.decision.reason);
	return decision.remaining ?? (address ?? first)?.length;
}
`,
		);
		// As CommonJS, where TypeScript looks for declarations of that kind.
		cpSync(join(folder, "app.ts"), join(folder, "app.cts"));
		writeFileSync(
			join(folder, "slim.ts"),
			'import module from "legis-edge/core.wasm";\nimport { init, plan } from "legis-edge/slim";\ninit(module);\nplan("free");\n',
		);
		const words = "--noEmit --strict --exactOptionalPropertyTypes --target es2022 --lib es2022,dom --types node".split(
			" ",
		);
		const typed = (compiler: string, module: string, resolution: string, ...files: string[]) =>
			run(bin(compiler), [...words, "--module", module, "--moduleResolution", resolution, ...files], { cwd: home });
		for (const [module, resolution] of [
			["esnext", "bundler"],
			["node16", "node16"],
			["nodenext", "nodenext"],
		] as const) {
			await typed("tsc", module, resolution, "typed/app.ts", "typed/app.cts", "typed/slim.ts");
		}
		await typed("tsc", "commonjs", "node10", "typed/app.ts");
		const how = "`--strict`, `exactOptionalPropertyTypes`, without `skipLibCheck`";
		works("TypeScript", "typescript", how, "resolution `bundler`, `node16`, `nodenext`, `node10`");
	});

	test("TypeScript, without the names of browsers", async () => {
		const words = "--noEmit --strict --target es2022 --lib es2022 --types node --module nodenext typed/slim.ts";
		await run(bin("tsc"), words.split(" "), { cwd: home });
	});

	test("one copy for who imports and who requires", async () => {
		const both = `import { createRequire } from "node:module";\n${IMPORT}
const required = createRequire(import.meta.url);
const error = (() => { try { legis.parse({}, ""); } catch (error) { return error; } })();
console.log(error instanceof required("legis-edge").LegisError, client.QuotaExceeded === required("legis-edge/client").QuotaExceeded);
`;
		writeFileSync(join(home, "both.js"), both);
		for (const node of [process.execPath, bin("node")]) {
			expect((await run(node, ["both.js"], { cwd: home })).stdout).toBe("true true\n");
		}
	});
});

test("its types are found wherever its code is", async () => {
	// Without `exports` runtimes find the main entry alone. What is imported of the module is for runtimes that compile it.
	const words = [packed, "--profile", "node16", "--exclude-entrypoints", "core.wasm"];
	await run(bin("attw"), words, { cwd: home });
});

describe("bundlers: one copy of the module, and it answers", () => {
	test("esbuild", async () => {
		await run(bin("esbuild"), ["app.js", "--bundle", "--format=esm", "--outfile=esbuild/app.js"], { cwd: home });
		expect(copies(join(home, "esbuild"))).toBe(1);
		check((await run(process.execPath, ["esbuild/app.js"], { cwd: home })).stdout);
		check(await inChromium(join(home, "esbuild"), '<!doctype html><script type="module" src="/app.js"></script>'));
		works("esbuild", "esbuild", "in Node", "in Chromium");
	});

	test("rollup, with the plugin that finds packages", async () => {
		await run(bin("rollup"), ["app.js", "-p", "@rollup/plugin-node-resolve", "-f", "es", "-d", "rollup"], {
			cwd: home,
		});
		expect(copies(join(home, "rollup"))).toBe(1);
		check((await run(process.execPath, ["rollup/app.js"], { cwd: home })).stdout);
		works("rollup", "rollup", "in Node");
	});

	test("webpack", async () => {
		for (const target of ["web", "node"]) {
			const words = ["--mode", "production", "--entry", "./app.js", "--target", target, "-o", `webpack-${target}`];
			await run(bin("webpack"), words, { cwd: home });
			expect(copies(join(home, `webpack-${target}`))).toBe(1);
		}
		// The folder's package.json says that its files are ES modules; webpack writes a script.
		renameSync(join(home, "webpack-node/main.js"), join(home, "webpack-node/main.cjs"));
		check((await run(process.execPath, ["webpack-node/main.cjs"], { cwd: home })).stdout);
		check(
			await inChromium(
				join(home, "webpack-web"),
				'<!doctype html><meta charset="utf-8"><script src="/main.js"></script>',
			),
		);
		works("webpack", "webpack", "in Node", "in Chromium");
	});

	test("Wrangler: what is uploaded, and in workerd", { timeout: 120_000 }, async () => {
		writeFileSync(
			join(home, "worker.js"),
			`${IMPORT}export default { fetch() { ${PROGRAM} return new Response(answer); } };\n`,
		);
		const configPath = join(home, "wrangler.json");
		writeFileSync(
			configPath,
			JSON.stringify({ name: "legis-runtimes", main: "worker.js", compatibility_date: "2026-11-01" }),
		);
		const wrangler = join(ROOT, "node_modules/.bin/wrangler");
		await run(wrangler, ["deploy", "--dry-run", "--outdir", "uploaded"], { cwd: home });
		expect(copies(join(home, "uploaded"))).toBe(1);
		const harness = createTestHarness({ workers: [{ configPath }] });
		await harness.listen();
		check(await (await harness.fetch("/")).text());
		await harness.close();
		works("Wrangler", "wrangler", "what is uploaded", "in workerd");
	});

	test("Vite: built, and while it is developed", async () => {
		const folder = join(home, "vite");
		mkdirSync(folder);
		writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="/app.js"></script>');
		writeFileSync(join(folder, "app.js"), readFileSync(join(home, "app.js")));
		await run(bin("vite"), ["build", "vite"], { cwd: home });
		expect(copies(join(folder, "dist"))).toBe(1);
		check(await inChromium(join(folder, "dist")));

		const server = execFile(bin("vite"), ["vite", "--port", "0", "--host", "127.0.0.1"], {
			cwd: home,
			env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
		});
		try {
			const url = await new Promise<string>((resolve, reject) => {
				server.stdout?.on("data", (text) => {
					const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(text);
					if (found) {
						resolve(found[0]);
					}
				});
				server.on("exit", (code) => reject(new Error(`vite ended with ${code}`)));
			});
			const page = await browser.newPage();
			await page.goto(url);
			await page.waitForFunction("globalThis.answer !== undefined");
			check(await page.evaluate("globalThis.answer"));
			await page.close();
			works("Vite", "vite", "built", "while it is developed");
		} finally {
			server.removeAllListeners("exit");
			server.kill();
		}
	});

	test("plain modules in a browser, from where they are installed", async () => {
		const map = {
			imports: {
				"legis-edge": "/node_modules/legis-edge/dist/index.js",
				"legis-edge/client": "/node_modules/legis-edge/dist/client.js",
			},
		};
		const html = `<!doctype html><script type="importmap">${JSON.stringify(map)}</script><script type="module" src="/app.js"></script>`;
		check(await inChromium(home, html));
		works("Chromium", undefined, "plain modules, with an import map");
	});
});

describe.each([
	["Turbopack", "--turbopack"],
	["webpack", "--webpack"],
])("Next with %s", (bundler, flag) => {
	test("a server component, a client component and a route handler", { timeout: 300_000 }, async () => {
		const folder = join(home, `next${flag}`);
		mkdirSync(join(folder, "app/api/answer"), { recursive: true });
		const page = (directive: string, name: string) =>
			`${directive}${IMPORT}export default function ${name}() {${PROGRAM}return <pre id="${name}">{answer}</pre>; }\n`;
		writeFileSync(
			join(folder, "app/layout.jsx"),
			"export default function Layout({ children }) { return <html lang='en'><body>{children}</body></html>; }\n",
		);
		writeFileSync(
			join(folder, "app/client.jsx"),
			page('"use client";\n', "OnClient").replace(
				"return <pre",
				"if (typeof window !== 'undefined') { window.answer = answer; } return <pre",
			),
		);
		writeFileSync(
			join(folder, "app/page.jsx"),
			`import OnClient from "./client.jsx";\n${page("", "OnServer").replace("return <pre", "return <><OnClient /><pre").replace("</pre>;", "</pre></>;")}`,
		);
		writeFileSync(
			join(folder, "app/api/answer/route.js"),
			`${IMPORT}export function GET() {${PROGRAM}return new Response(answer); }\n`,
		);
		writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
		const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", CI: "1" };
		await run(bin("next"), ["build", folder, flag], { cwd: home, env, maxBuffer: 1 << 26 });
		expect(copies(join(folder, ".next/static"))).toBe(1);
		const server = execFile(bin("next"), ["start", folder, "-p", "0", "-H", "127.0.0.1"], { cwd: home, env });
		try {
			const url = await new Promise<string>((resolve, reject) => {
				let said = "";
				server.stdout?.on("data", (text) => {
					said += text;
					const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
					if (found && /Ready/.test(said)) {
						resolve(found[0]);
					}
				});
				server.on("exit", (code) => reject(new Error(`next ended with ${code}: ${said}`)));
			});
			check(await (await fetch(`${url}/api/answer`)).text());
			const page = await browser.newPage();
			const faults: string[] = [];
			page.on("pageerror", (error) => faults.push(error.message));
			await page.goto(url);
			check((await page.locator("#OnServer").textContent()) ?? "");
			await page.waitForFunction("globalThis.answer !== undefined");
			check(await page.evaluate("globalThis.answer"));
			expect(faults).toEqual([]);
			await page.close();
			works("Next", "next", `${bundler}: server component, client component, route handler`);
		} finally {
			server.removeAllListeners("exit");
			server.kill();
		}
	});
});

test("the table in the package's README is what was seen here", () => {
	const rows = [...seen].map(([place, how]) => `| ${place} | ${how.join("; ")} |`);
	const table = ["| Where | How |", "|---|---|", ...rows, ""].join("\n");
	const readme = readFileSync(join(ROOT, "pkg/README.md"), "utf8");
	expect(/<!-- runtimes[^>]*-->\n(.*?)<!-- \/runtimes -->/s.exec(readme)?.[1]).toBe(table);
});
