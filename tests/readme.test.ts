// The README, done as it says.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, inject, test } from "vitest";
import { newSubject, token } from "./callers.ts";
import { freePorts, ROOT } from "./stack.ts";

/** Files that a build or an operator makes. */
const GENERATED = /\/(dist|build)\/|deploy(ment)?\.json$/;

const readme = readFileSync(join(ROOT, "README.md"), "utf8");

/** The only fenced block of a language, or the only one with a word in it. */
function block(language: string, word = ""): string {
	const blocks = [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(
		([, text]) => text ?? "",
	);
	const [first, ...others] = blocks.filter((text) => text.includes(word));
	expect(others).toEqual([]);
	return first ?? "";
}

test("the walk in the terminal: 100 calls, the refusal of the 101st, and the one that was paid for", () => {
	const walk = block("sh")
		.replaceAll("http://localhost:8787", inject("base"))
		.replaceAll(/cargo xtask (token|webhook)/g, (_, command) => {
			return `${process.env.LEGIS_XTASK ?? "cargo xtask"} ${command} --state ${inject("state")}`;
		});
	const said = execFileSync("bash", ["-eu", "-c", walk], { cwd: ROOT, encoding: "utf8", env: process.env });
	expect(said).toContain('"api_calls_limit":100');
	expect(said).toContain('RateLimit: "plan";r=99');
	expect(said).toContain("Infrastructure Investment and Jobs Act");
	expect(said).toContain("429 Too Many Requests");
	expect(said).toContain('"suggestedPlan":"developer"');
	expect(said).toContain("checkout.session.completed for local|ada: 200");
	expect(said).toContain('RateLimit: "plan";r=999;');
});

test("a second dev on the same state is refused, and says what to do", async () => {
	const xtask = process.env.LEGIS_XTASK;
	const [program, words] = xtask === undefined ? ["cargo", ["xtask"]] : [xtask, []];
	const port = String(await freePorts());
	const { status, stderr } = spawnSync(program, [...words, "dev", "--port", port, "--state", inject("state")], {
		cwd: ROOT,
		encoding: "utf8",
	});
	expect(status).toBe(1);
	expect(stderr).toContain("Another dev is running");
	expect(stderr).toContain("--state");
});

test("an MCP client is pointed at the gateway by its address and a token", async () => {
	const program = block("ts", "callTool").replace("http://localhost:8787", inject("base"));
	const words = ["--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e", program];
	const env = { ...process.env, TOKEN: await token(newSubject()) };
	const said = execFileSync("node", words, { cwd: join(ROOT, "tests"), encoding: "utf8", env });
	expect(said).toContain("Infrastructure Investment and Jobs Act");
});

test("the example of the package runs, and its comments are true", () => {
	// `expression; // "value"` becomes a check; the rest runs as it stands.
	const checked = block("ts", "legis-edge").replaceAll(
		/^(\w.*); \/\/ ("[^"…]*)(…?)"?.*$/gm,
		(_, expression, value, more) =>
			`{ const said = JSON.stringify(${expression}); if (!said.startsWith(${JSON.stringify(value)})) throw new Error(said + ${JSON.stringify(more)}); }`,
	);
	expect(checked.match(/throw new Error/g)).toHaveLength(3);
	execFileSync("node", ["--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e", checked], {
		cwd: join(ROOT, "tests"),
		stdio: "pipe",
	});
});

test("the tests that SECURITY.md names are there", () => {
	const rows = [...readFileSync(join(ROOT, "SECURITY.md"), "utf8").matchAll(/\| `([\w./-]+)`: (.+) \|$/gm)];
	expect(rows.length).toBeGreaterThan(20);
	for (const [, file = "", name = ""] of rows) {
		const source = readFileSync(join(ROOT, file), "utf8");
		expect([file, name, source.includes(file.endsWith(".rs") ? `fn ${name}(` : `"${name}"`)]).toEqual([
			file,
			name,
			true,
		]);
	}
});

test("every link and every file that a document names leads somewhere", () => {
	const documents = readdirSync(ROOT, { recursive: false, encoding: "utf8" })
		.concat(
			readdirSync(join(ROOT, "docs"), "utf8").map((name) => `docs/${name}`),
			"pkg/README.md",
		)
		.filter((name) => name.endsWith(".md"));
	expect(documents.length).toBeGreaterThan(12);
	const dead: string[] = [];
	let followed = 0;
	for (const document of documents) {
		const text = readFileSync(join(ROOT, document), "utf8");
		const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, link]) =>
			join(dirname(document), link ?? ""),
		);
		const named = [
			...text.matchAll(/`((?:core|worker|wasm|pkg|xtask|tests|docs|adopt|web|samples|bench)\/[\w./-]+\.\w+)`/g),
		];
		const files = named.map(([, file]) => file ?? "").filter((file) => !GENERATED.test(file));
		for (const file of [...links.filter((link) => !link.includes(":/")), ...files]) {
			followed += 1;
			if (!existsSync(join(ROOT, file))) {
				dead.push(`${document}: ${file}`);
			}
		}
	}
	expect(dead).toEqual([]);
	expect(followed).toBeGreaterThan(80);
});
