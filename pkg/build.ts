// Builds pkg/dist from pkg/src and the module that `cargo xtask build` put into pkg/dist/core.wasm.

import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { print } from "./src/printable.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = `${here}dist`;

/** The module as text, for the entry that carries it. */
const inlined: Plugin = {
	name: "inlined-module",
	setup(build) {
		build.onResolve({ filter: /core\.wasm$/ }, () => ({ path: "core.wasm", namespace: "module" }));
		build.onLoad({ filter: /.*/, namespace: "module" }, () => ({
			contents: print(readFileSync(`${dist}/core.wasm`)),
			loader: "text",
		}));
	},
};

const shared = {
	bundle: true,
	minify: true,
	sourcemap: false,
	target: "es2022",
	legalComments: "none",
	// Node shows the line that threw, and the module is one text: on a line of its own it is not shown.
	lineLimit: 2000,
	logLevel: "warning",
} as const;

await Promise.all([
	build({
		...shared,
		entryPoints: [`${here}src/inline.ts`],
		outfile: `${dist}/index.js`,
		format: "esm",
		plugins: [inlined],
	}),
	build({
		...shared,
		entryPoints: [`${here}src/inline.ts`],
		outfile: `${dist}/index.cjs`,
		format: "cjs",
		plugins: [inlined],
	}),
	build({
		...shared,
		entryPoints: [`${here}src/workerd.ts`],
		outfile: `${dist}/workerd.js`,
		format: "esm",
		external: ["*.wasm"],
	}),
	build({
		...shared,
		entryPoints: [`${here}src/edge.ts`],
		outfile: `${dist}/edge.js`,
		format: "esm",
		external: ["*.wasm?module"],
	}),
	// These have no module of their own: they are used with the package's.
	...["client", "mcp"].flatMap((name) =>
		(["esm", "cjs"] as const).map((format) =>
			build({
				...shared,
				entryPoints: [`${here}src/${name}.ts`],
				outfile: `${dist}/${name}.${format === "esm" ? "js" : "cjs"}`,
				format,
				external: ["legis-edge"],
			}),
		),
	),
	build({ ...shared, entryPoints: [`${here}src/slim.ts`], outfile: `${dist}/slim.js`, format: "esm" }),
	build({ ...shared, entryPoints: [`${here}src/slim.ts`], outfile: `${dist}/slim.cjs`, format: "cjs" }),
]);

execFileSync("tsc", ["-p", `${here}tsconfig.json`], { stdio: "inherit" });
for (const entry of ["workerd", "edge"]) {
	rmSync(`${dist}/types/${entry}.d.ts`);
}
// The declarations of CommonJS are the same, under the names TypeScript looks for; each refers to others of its kind.
for (const file of readdirSync(`${dist}/types`)) {
	const [name] = file.split(".d.ts");
	const text = readFileSync(`${dist}/types/${file}`, "utf8");
	writeFileSync(`${dist}/types/${name}.d.cts`, text.replace(/((?:from|import\()\s*"\.\/[^"]+)\.ts"/g, '$1.cts"'));
}
writeFileSync(
	`${dist}/core.wasm.d.ts`,
	"/** What it compiles to, in runtimes that compile what is imported: `init` of `legis-edge/slim` takes it. */\ndeclare const module: object;\nexport default module;\n",
);
// A licence goes along with what it is about.
for (const licence of ["LICENSE-MIT", "LICENSE-APACHE"]) {
	copyFileSync(`${here}../${licence}`, here + licence);
}
