// The npm package as it is built: importable everywhere, small, and safe with whatever it is given.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import * as legis from "legis-edge";
import {
	type Account,
	decide,
	LegisError,
	parse,
	plan,
	plans,
	previewChange,
	recommend,
	type Schema,
	schemas,
	validate,
} from "legis-edge";
import * as mcp from "legis-edge/mcp";
import { publint } from "publint";
import { describe, expect, test } from "vitest";
import { print, unprint } from "../pkg/src/printable.ts";
import { ROOT } from "./stack.ts";

const DIST = join(ROOT, "pkg/dist");

/** The pinned Node and, where there is another, the system's. */
function nodes(): string[] {
	const found = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "node"));
	return [...new Set(found.filter((path) => existsSync(path)))].slice(0, 3);
}

const account: Account = {
	user: { id: 1, sub: "a", createdAt: "2026-01-31T10:00:00.000Z", updatedAt: "2026-01-31T10:00:00.000Z" },
	entitlement: { plan: "developer", standing: "active", anchor: "2026-01-31T10:00:00.000Z", version: 1 },
	usage: { lifetime: { start: "2026-01-31T10:00:00.000Z", used: 0, mcp: 0 } },
};

describe("importable", () => {
	test("by require, with the same answers", () => {
		const require = createRequire(import.meta.url);
		const required = require("legis-edge") as typeof legis;
		expect(required.plans()).toEqual(plans());
		expect(Object.keys(require("legis-edge/mcp"))).toEqual(Object.keys(mcp));
		expect(required.contract()).toEqual(legis.contract());
	});

	test.each(nodes())("in %s, and a mistake is told in a few lines", (node) => {
		const program = `import { decide } from "legis-edge"; decide(null, 0);`;
		const told = spawnSync(node, ["--input-type=module", "-e", program], {
			cwd: join(ROOT, "tests"),
			encoding: "utf8",
		});
		expect(told.stderr).toContain("LegisError");
		expect(told.stderr.length).toBeLessThan(8_000);
	});

	test.each(nodes())("in %s, as ES module and as CommonJS", (node) => {
		const program = 'console.log(l.plan("starter").name, l.decide(a, "2026-02-01T00:00:00Z").type)';
		const given = `const a = ${JSON.stringify(account)};`;
		const esm = `import * as l from "legis-edge"; ${given} ${program}`;
		const cjs = `const l = require("legis-edge"); ${given} ${program}`;
		for (const [type, source] of [
			["module", esm],
			["commonjs", cjs],
		] as const) {
			const said = execFileSync(node, [`--input-type=${type}`, "-e", source], {
				cwd: join(ROOT, "tests"),
				encoding: "utf8",
			});
			expect(said.trim()).toBe("Developer admit");
		}
	});

	test("a text for which there is no memory is an error, and the next one is read", () => {
		const source = `
			import { parse, plan, schemas } from "legis-edge";
			let code;
			try { parse(schemas.registration, '"' + "x".repeat(4e7) + '"'); } catch (error) { code = error.code; }
			console.log(code, plan("pro").slug, parse(schemas.registration, '{"name":"Ada"}').ok);`;
		// 16 MB.
		const words = ["--wasm-max-mem-pages=256", "--input-type=module", "-e", source];
		const said = execFileSync(process.execPath, words, { cwd: join(ROOT, "tests"), encoding: "utf8" });
		expect(said.trim()).toBe("too_large professional true");
	});

	test("in the shape that registries and bundlers expect", async () => {
		const { messages } = await publint({ pkgDir: join(ROOT, "pkg"), pack: false });
		expect(messages.filter((message) => message.type !== "suggestion")).toEqual([]);
	});

	test("before init, the slim entry says what to do", async () => {
		const slim = (await import("legis-edge/slim")) as typeof legis & { init(module: WebAssembly.Module): void };
		expect(() => slim.plan("pro")).toThrow(/init\(module\)/);
		slim.init(new WebAssembly.Module(readFileSync(join(DIST, "core.wasm"))));
		expect(slim.plan("pro")).toEqual(plan("pro"));
	});
});

// Raised only in a commit that says why.
test.each([
	["legis-edge", "index.js", 57_900],
	["legis-edge/mcp", "mcp.js", 3_500],
])("the size of %s stays within its budget", (entry, file, budget) => {
	const size = gzipSync(readFileSync(join(DIST, file)), { level: 9 }).length;
	console.log(`${entry}: ${size} bytes gzip of ${budget}`);
	expect(size).toBeLessThanOrEqual(budget);
});

test("the module as text: it is read as it was, and no tool has to escape a character of it", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
			const text = print(bytes);
			expect(unprint(text)).toEqual(bytes);
			expect(JSON.stringify(text)).toBe(`"${text}"`);
			expect(text).not.toMatch(/[^ -~]|['`$<]/);
		}),
	);
});

test("only numbers cross the boundary", () => {
	const module = new WebAssembly.Module(readFileSync(join(DIST, "core.wasm")));
	expect(WebAssembly.Module.imports(module).map(({ name }) => name)).toEqual(["__wbindgen_init_externref_table"]);
});

/** A result with its value, which is built when it is asked for. */
const read = <T>(result: legis.Result<T>) => (result.ok ? { ok: true, value: result.value } : result);

describe("plans", () => {
	test("by any name, in any case, with space around it", () => {
		for (const name of ["developer", "Developer", " STARTER\n", "starter"]) {
			expect(plan(name)?.id).toBe("developer");
		}
		for (const name of ["", "gold", "\ud800", "x".repeat(100_000)]) {
			expect(plan(name)).toBeUndefined();
		}
		expect(plan(undefined as never)).toBeUndefined();
	});

	test("savings are computed and never overstated", () => {
		for (const { prices } of plans()) {
			const [month, year] = prices;
			if (month && year) {
				const exact = (1 - year.amount / (12 * month.amount)) * 100;
				expect(year.savingPercent).toBe(Math.floor(exact));
			}
		}
	});

	test("cannot be changed by those who look at them", () => {
		expect(() => {
			(plans()[1] as { name: string }).name = "Cheap";
		}).toThrow(TypeError);
		const { length } = plans();
		plans().pop();
		expect(plans()).toHaveLength(length);
	});

	test("the cheapest that admits so many calls", () => {
		expect([0, 1, 1000, 1000.5, 10_000, 10_001, Number.POSITIVE_INFINITY].map((calls) => recommend(calls).id)).toEqual([
			"free",
			"developer",
			"developer",
			"professional",
			"professional",
			"enterprise",
			"enterprise",
		]);
		expect(() => recommend(Number.NaN)).toThrow(LegisError);
		expect(() => recommend(-1)).toThrow(LegisError);
	});
});

describe("now", () => {
	test("may be a date, a text or milliseconds", () => {
		const moment = "2026-02-01T00:00:00.000Z";
		const expected = decide(account, moment);
		expect(decide(account, new Date(moment))).toEqual(expected);
		expect(decide(account, Date.parse(moment))).toEqual(expected);
	});

	test("must be a moment", () => {
		for (const now of [Number.NaN, "yesterday", new Date(Number.NaN), undefined, {}, -1]) {
			expect(() => decide(account, now as never)).toThrow(LegisError);
		}
	});
});

test("an account that is none is misuse, and the error says where", () => {
	const broken = { ...account, usage: { lifetime: { ...account.usage.lifetime, used: -1 } } };
	try {
		decide(broken, 0);
		expect.unreachable();
	} catch (error) {
		expect(error).toBeInstanceOf(LegisError);
		expect((error as LegisError).issues[0]?.pointer).toBe("/account/usage/lifetime/used");
	}
});

test("a refusal is about its own account, however many others were refused", () => {
	const refused = (used: number, day: number) => {
		const text = String(day).padStart(2, "0");
		const [start, end] = [`2026-02-${text}T10:00:00Z`, `2026-03-${text}T10:00:00Z`];
		const usage = { ...account.usage, period: { start, end, used, mcp: 0 } };
		return decide({ ...account, usage }, "2026-02-28T12:00:00Z");
	};
	// More than are remembered, each of them again.
	for (let turn = 0; turn < 2_000; turn++) {
		const [used, day] = [1_000 + (turn % 700), 1 + (turn % 28)];
		expect(refused(used, day)).toMatchObject({
			type: "refuse",
			message: expect.stringContaining(
				`You have used ${used.toLocaleString("en")} of the 1,000 calls a month of the Developer plan. More become available on ${day} March 2026, 10:00 UTC.`,
			),
			used,
			resetsAt: `2026-03-${String(day).padStart(2, "0")}T10:00:00.000Z`,
		});
	}
});

test("moments are answered in one form, however the account has them", () => {
	for (const [start, end] of [
		["2026-02-01T10:00:00Z", "2026-03-01T10:00:00.5Z"],
		["2026-02-01T10:00:00.000Z", "2026-03-01T10:00:00.500Z"],
		["2026-02-01T10:00:00.00Z", "2026-03-01T10:00:00.50Z"],
	] as const) {
		const usage = { ...account.usage, period: { start, end, used: 1, mcp: 0 } };
		expect(decide({ ...account, usage }, "2026-02-02T00:00:00Z")).toMatchObject({
			periodStart: "2026-02-01T10:00:00.000Z",
			periodEnd: "2026-03-01T10:00:00.500Z",
		});
	}
});

test("members that a later release adds to an account are no obstacle", () => {
	const later = { ...account, seats: 3, entitlement: { ...account.entitlement, trial: { days: 7 } } };
	expect(decide(later, "2026-02-01T00:00:00Z").type).toBe("admit");
});

test("what a schema passes over is not read: neither when the rest is right nor when it is wrong", () => {
	const trap = {
		get unknown(): never {
			throw new Error("read");
		},
	};
	const event = {
		id: "evt_1",
		type: "customer.created",
		created: 1_770_000_000,
		livemode: false,
		data: { object: {} },
	};
	for (const [id, ok] of [
		["evt_1", true],
		[7, false],
	] as const) {
		const given = { ...event, id };
		const alone = validate(schemas.stripeEvent, given);
		expect(alone.ok).toBe(ok);
		expect(
			validate(schemas.stripeEvent, Object.defineProperties(given, Object.getOwnPropertyDescriptors(trap))),
		).toEqual(alone);
	}
});

test("a value that is read late is that of its own document, whatever was asked meanwhile", () => {
	const bytes = (text: string) => new TextEncoder().encode(text);
	const given = { email: "ada@example.com", name: "Adé 😀" };
	const between: [string, () => unknown][] = [
		["a plan", () => plan("enterprise-enterprise-enterprise")],
		["a preview", () => previewChange(account, { plan: "enterprise" }, "2026-02-01T00:00:00Z")],
		["another document", () => parse(schemas.registration, '{"email":"eve@example.com"}')],
		["a long document", () => parse(schemas.registration, " ".repeat(2_000_000))],
	];
	for (const [what, ask] of between) {
		const buffer = bytes(JSON.stringify(given));
		const results = [
			parse(schemas.registration, buffer),
			parse(schemas.registration, JSON.stringify(given)),
			validate(schemas.registration, given),
		];
		buffer.set(bytes('{"email":"eve@example.com"'));
		ask();
		for (const result of results) {
			expect(result.ok && result.value, what).toEqual(given);
		}
	}
});

describe("hostile values", () => {
	const call = { tool_name: "t", status: "success" } as const;
	const codes = (value: unknown) => {
		const result = validate(schemas.toolCall, value);
		return result.ok ? [] : result.issues.map(({ pointer, code }) => `${pointer} ${code}`);
	};

	test("numbers that are none, and what JSON cannot say", () => {
		for (const response_time_ms of [Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 1, Symbol("x")]) {
			expect(codes({ ...call, response_time_ms })).toEqual(["/response_time_ms type"]);
		}
		expect(codes({ ...call, response_data: { a: [undefined] } })).toEqual(["/response_data type"]);
		expect(codes({ ...call, tokens_used: undefined })).toEqual([]);
		expect(codes(undefined)).toEqual([" type"]);
	});

	test("getters and proxies that throw", () => {
		const throwing = Object.defineProperty({ ...call }, "error_message", {
			enumerable: true,
			get() {
				throw new Error("boo");
			},
		});
		expect(codes(throwing)).toEqual(["/error_message type"]);
		const proxy = new Proxy(
			{},
			{
				ownKeys: () => {
					throw new Error("boo");
				},
			},
		);
		expect(codes(proxy)).toEqual([" type"]);
	});

	test("cycles, and graphs that unfold without end", () => {
		const cycle: Record<string, unknown> = {};
		cycle.self = cycle;
		expect(codes({ ...call, request_data: cycle })).toEqual([" too_deep"]);
		let graph: unknown = "leaf";
		for (let level = 0; level < 30; level++) {
			graph = [graph, graph];
		}
		expect(() => codes({ ...call, response_data: graph })).toThrow(LegisError);
	});

	test("a class's object, or a list that is too long, has every issue that its JSON has", () => {
		class Rec {
			endpoint = "/a";
			method = "get";
		}
		const change = { plan: "free" };
		const values: [Schema<unknown>, unknown][] = [
			[schemas.usageRecord, new Rec()],
			[schemas.usageRecord, Object.create({ endpoint: "/a" })],
			[schemas.stripeEvent, { id: "evt_1", type: "x", created: 1, livemode: false, data: new Rec() }],
			[schemas.account, { ...account, entitlement: { ...account.entitlement, changes: Array(5).fill(change) } }],
			[schemas.usageRecords, Array(1_001).fill({ endpoint: "/a" })],
		];
		for (const [schema, value] of values) {
			const [said, read] = [validate(schema, value), parse(schema, JSON.stringify(value))];
			expect(said.ok || said.issues).toEqual(read.ok || read.issues);
		}
	});

	test("a date says what it is, whatever its methods are", () => {
		const date = new Date(0);
		date.toISOString = () => '2026-01-01T00:00:00Z","user_agent":"injected';
		date.getTime = () => Number.NaN;
		const record = { endpoint: "/a", method: "GET", status_code: 200, timestamp: date };
		expect(validate(schemas.usageRecord, record)).toMatchObject({
			ok: true,
			value: { ...record, timestamp: "1970-01-01T00:00:00.000Z" },
		});
	});

	test("what is no text is a mistake of whoever asks, not bad data", () => {
		for (const text of [null, 5, {}, new ArrayBuffer(2), [0x7b, 0x7d]]) {
			expect(() => parse(schemas.toolCall, text as never)).toThrow(LegisError);
		}
		expect(() => previewChange(account, { plan: "pro", intervall: "year" } as never, 0)).toThrow("/to/intervall");
		expect(Object.isFrozen(legis.contract())).toBe(true);
	});

	test("prototypes stay as they are", () => {
		const result = parse(schemas.toolCall, '{"tool_name":"t","status":"success","request_data":{"__proto__":{"x":1}}}');
		expect(result.ok).toBe(true);
		expect(({} as { x?: number }).x).toBeUndefined();
		expect(codes(JSON.parse('{"__proto__":1,"tool_name":"t","status":"success"}'))).toEqual([
			"/__proto__ unknown_field",
		]);
	});

	const names = [...Object.keys(call), "data", "items", "email", "plan", "__proto__", "constructor", "toJSON"];
	const hostile = fc.anything({
		key: fc.oneof(fc.constantFrom(...names), fc.string({ unit: "binary" })),
		values: [
			fc.string({ unit: "binary" }),
			fc.double(),
			fc.integer(),
			fc.boolean(),
			fc.constantFrom(null, undefined, Symbol("s"), () => 1, "success", "web", "pro", "a@b.co"),
		],
		withBigInt: true,
		withBoxedValues: true,
		withDate: true,
		withMap: true,
		withSet: true,
		withNullPrototype: true,
		withSparseArray: true,
		withTypedArray: true,
		maxDepth: 4,
	});
	const anySchema = fc.constantFrom(...(Object.values(schemas) as Schema<unknown>[]));

	test("fuzzed values: an answer or a typed error, and nothing is changed by it", () => {
		const prototypes = [Object.prototype, Array.prototype, Function.prototype].map((prototype) =>
			Reflect.ownKeys(prototype),
		);
		fc.assert(
			fc.property(anySchema, hostile, (schema, value) => {
				const result = validate(schema, value);
				if (!result.ok) {
					expect(result.issues.length).toBeGreaterThan(0);
				} else {
					// What was accepted can be said in JSON, and is accepted again.
					expect(parse(schema, JSON.stringify(result.value)).ok).toBe(true);
				}
			}),
			{ numRuns: 3_000 },
		);
		expect(
			[Object.prototype, Array.prototype, Function.prototype].map((prototype) => Reflect.ownKeys(prototype)),
		).toEqual(prototypes);
	});

	test("fuzzed texts: text, bytes and the value that JSON.parse makes of them are judged alike", () => {
		const encoder = new TextEncoder();
		const sound = fc.constantFrom<unknown>(
			call,
			account,
			[call],
			{ email: "a@b.co" },
			{ type: "x", id: "e", data: {} },
		);
		const text = fc
			.tuple(fc.oneof(sound, fc.jsonValue({ maxDepth: 4, stringUnit: "binary" })), fc.nat(), fc.string(), fc.nat(9))
			.map(([value, place, spoilt, spoil]) => {
				const text = JSON.stringify(value) as string;
				const at = place % (text.length + 1);
				return spoil > 6 ? text.slice(0, at) + spoilt + text.slice(at + spoil - 7) : text;
			});
		fc.assert(
			fc.property(anySchema, text, (schema, text) => {
				// Half of a surrogate pair cannot be written in UTF-8.
				fc.pre(text.isWellFormed());
				const result = parse(schema, text);
				const judged = read(result);
				expect(read(parse(schema, encoder.encode(text)))).toEqual(judged);
				let value: unknown;
				try {
					value = JSON.parse(text);
				} catch {
					expect(judged.ok).toBe(false);
					return;
				}
				const codes = result.ok ? [] : result.issues.map((issue) => issue.code);
				// JSON.parse forgets a member that comes twice, and takes a number for the nearest that it knows.
				if (!codes.includes("duplicate_key") && !/[0-9.]{16}|[eE]/.test(text)) {
					expect(read(validate(schema, value))).toEqual(judged);
				}
			}),
			{ numRuns: 3_000 },
		);
	});

	test("what is wrong with a value is what is wrong with its text, and what is right with it too", () => {
		const price = { id: "price_1", recurring: { interval: "month", count: 1 }, active: true };
		const event = {
			id: "evt_1",
			type: "customer.subscription.updated",
			created: 1_790_000_000,
			livemode: false,
			request: { id: null },
			data: {
				object: {
					id: "sub_1",
					customer: "cus_1",
					metadata: { sub: "auth0|1", list: [1, { deep: null }] },
					items: { data: [{ price, current_period_start: 1 }, { price: null }] },
					cancel_at_period_end: true,
				},
				previous_attributes: { status: "past_due" },
			},
		};
		const record = {
			endpoint: "/api/bills",
			method: "GET",
			status_code: 200,
			ip_address: "192.0.2.1",
			timestamp: "2026-11-24T10:00:30.250Z",
		};
		const sound: [legis.Schema<unknown>, object][] = [
			[schemas.stripeEvent, event],
			[schemas.usageRecords, [record, { ...record, user_agent: "curl" }, record]],
			[schemas.account, account],
			[schemas.toolCall, call],
			[schemas.registration, { email: "ada@example.com", name: "Ada", plan: "pro", source: "web" }],
		];
		const places = (value: unknown): [object, string][] =>
			typeof value === "object" && value !== null
				? Object.keys(value).flatMap((key) => [[value, key], ...places(value[key as never])] as [object, string][])
				: [];
		const spoilt = fc.oneof(
			fc.constantFrom<unknown>(undefined, null, "", "\u007f", -1, 1.5, 2 ** 60, true, [], {}, [[]], { plan: "free" }),
			fc.jsonValue({ maxDepth: 3, stringUnit: "binary" }),
		);
		const spoil = fc.array(fc.tuple(fc.nat(), fc.constantFrom("set", "delete", "add", "set"), spoilt), {
			maxLength: 4,
		});
		fc.assert(
			fc.property(fc.constantFrom(...sound), spoil, ([schema, value], spoils) => {
				const copy = structuredClone(value);
				for (const [place, how, by] of spoils) {
					const [holder, key] = places(copy)[place % Math.max(1, places(copy).length)] ?? [copy, "added"];
					if (how === "delete" && !Array.isArray(holder)) {
						delete holder[key as never];
					} else {
						Object.assign(holder, { [how === "add" && !Array.isArray(holder) ? "added" : key]: structuredClone(by) });
					}
				}
				const text = JSON.stringify(copy);
				fc.pre(text.isWellFormed() && !/[0-9]{16}|[eE][+-]?[0-9]{3}/.test(text));
				expect(read(validate(schema, JSON.parse(text)))).toEqual(read(parse(schema, text)));
			}),
			{ numRuns: 5_000 },
		);
	});

	test("the value of bytes is that of the time when they were read, whatever is done with them after", () => {
		const encoder = new TextEncoder();
		for (const name of ["Ada", "Zoë", "Žižek 😀", "x".repeat(190), "ü".repeat(190)]) {
			for (const size of [0, 500, 1_000, 5_000]) {
				const bytes = encoder.encode(`{"name":${JSON.stringify(name)}}${" ".repeat(size)}`);
				const later = parse(schemas.registration, bytes);
				bytes.fill(0x20);
				expect(parse(schemas.registration, '{"name":"another"}').ok).toBe(true);
				expect(read(later)).toEqual({ ok: true, value: { name } });
			}
		}
		// What an earlier input left behind it is not in the way.
		for (let spaces = 0; spaces < 16; spaces++) {
			expect(parse(schemas.registration, new Uint8Array(4_096).fill(0xff)).ok).toBe(false);
			const later = parse(schemas.registration, encoder.encode(`{"name":"Ada"}${" ".repeat(spaces)}`));
			parse(schemas.registration, "{}");
			expect(read(later)).toEqual({ ok: true, value: { name: "Ada" } });
		}
		// Every eight bytes are kept as a number, and no number that UTF-8 can be is NaN.
		for (let at = 0; at < 16; at++) {
			for (const odd of ["\u007f\u007f", "\u{10ffff}", "\u{f0000}\u007f", "\uffff\u007f", "\u07ff\u007f"]) {
				const data = `${"x".repeat(at)}${odd}${odd}`;
				const text = JSON.stringify({ tool_name: "t", status: "success", response_data: data });
				const later = parse(schemas.toolCall, encoder.encode(text));
				parse(schemas.registration, "{}");
				expect((read(later) as { value: unknown }).value).toEqual(JSON.parse(text));
			}
		}
	});

	test("what a refusal says is the caller's own, however often it was said", () => {
		const said = () => {
			const result = validate(schemas.registration, { source: "radio" });
			return result.ok ? [] : result.issues;
		};
		const before = JSON.stringify(said());
		for (const issues of [said(), said()]) {
			for (const issue of issues) {
				expect(() => Object.assign(issue, { message: "changed" })).toThrow(TypeError);
				expect(() => issue.path.push("changed")).toThrow(TypeError);
				expect(() => (issue.params as { allowed: string[] }).allowed.push("changed")).toThrow(TypeError);
			}
			issues.length = 0;
		}
		expect(JSON.stringify(said())).toBe(before);
		// Said again after more others than are remembered.
		for (let length = 1; length < 40; length++) {
			validate(schemas.registration, { name: "", email: "x".repeat(length), [`stranger${length}`]: 1 });
		}
		expect(JSON.stringify(said())).toBe(before);
	});

	test("half of a surrogate pair", () => {
		expect(codes({ ...call, error_message: "\ud83d" })).toEqual(["/error_message unicode"]);
		expect(codes({ ...call, error_message: "\ud83d\ude00" })).toEqual([]);
	});

	test("10 MB of text, and memory is given back after it", () => {
		const huge = `{"tool_name":"${"x".repeat(10_000_000)}","status":"success"}`;
		const result = parse(schemas.toolCall, huge);
		expect(!result.ok && result.issues.map((issue) => issue.code)).toEqual(["too_long"]);
	});

	test("text beyond the kept buffer is read where it lies", () => {
		const given = { ...call, request_data: { a: "é".repeat(400_000) } };
		expect(read(parse(schemas.toolCall, JSON.stringify(given)))).toEqual({ ok: true, value: given });
		const bytes = new TextEncoder().encode(JSON.stringify({ ...call, request_data: { a: "x".repeat(2_000_000) } }));
		expect(parse(schemas.toolCall, bytes).ok).toBe(true);
		expect(() => parse(schemas.toolCall, new Uint8Array(300_000_000))).toThrow(LegisError);
		expect(plan("free")?.id).toBe("free");
	});

	test("a byte order mark inside of a text is kept", () => {
		expect(read(parse(schemas.registration, '{"name":"\uFEFFAda"}'))).toEqual({
			ok: true,
			value: { name: "\uFEFFAda" },
		});
	});

	test("whatever an account carries beside what is known, validate and decide agree", () => {
		const odd = { ...account, refresh() {}, nan: Number.NaN, big: 1n, "\ud800": 1 };
		expect(validate(schemas.account, odd).ok).toBe(true);
		expect(decide(odd, "2026-02-01T00:00:00Z").type).toBe("admit");
	});

	test("bytes that are no text", () => {
		const result = parse(schemas.toolCall, new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]));
		expect(!result.ok && result.issues[0]?.code).toBe("malformed_json");
	});

	test("a hundred thousand refusals leave the module's memory as it was", async () => {
		const slim = (await import("legis-edge/slim")) as typeof legis & { init(module: WebAssembly.Module): void };
		let memory: WebAssembly.Memory | undefined;
		const Instance = WebAssembly.Instance;
		WebAssembly.Instance = class extends Instance {
			constructor(...given: ConstructorParameters<typeof Instance>) {
				super(...given);
				memory = this.exports.memory as WebAssembly.Memory;
			}
		};
		slim.init(new WebAssembly.Module(readFileSync(join(DIST, "core.wasm"))));
		WebAssembly.Instance = Instance;
		const refuse = (times: number) => {
			for (let time = 0; time < times; time++) {
				slim.validate(slim.schemas.toolCall, { tool_name: time });
				slim.parse(slim.schemas.toolCall, "{");
			}
			return memory?.buffer.byteLength;
		};
		const before = refuse(1000);
		expect(before).toBeGreaterThan(0);
		expect(refuse(100_000)).toBe(before);
		expect(slim.validate(slim.schemas.toolCall, call).ok).toBe(true);
	});
});

describe("schemas", () => {
	test("are Standard Schemas", () => {
		const standard = schemas.registration["~standard"];
		expect(standard).toMatchObject({ version: 1, vendor: "legis-edge" });
		expect(standard.validate({ email: "ada@example.com" })).toEqual({ value: { email: "ada@example.com" } });
		expect(standard.validate({ email: "ada" }).issues?.[0]).toMatchObject({
			path: ["email"],
			message: "Must be an e-mail address such as name@example.com.",
		});
	});

	test("give a fresh value that holds what the schema knows", () => {
		const given = { email: "ada@example.com", name: null };
		const result = validate(schemas.registration, given);
		expect(result).toEqual({ ok: true, value: { email: "ada@example.com" } });
		expect(result.ok && result.value).not.toBe(given);
	});

	test("are what validate needs", () => {
		expect(() => validate({} as never, {})).toThrow(LegisError);
		expect(() => parse(undefined as never, "{}")).toThrow(LegisError);
	});

	test("read text, bytes and values alike", () => {
		const text =
			'{ "tool_name": "b\\u00e9", "status": "error", "response_data": [1, {"a": "\\n"}], "tokens_used": 1e2 }';
		const expected = read(parse(schemas.toolCall, text));
		expect(read(parse(schemas.toolCall, new TextEncoder().encode(text)))).toEqual(expected);
		expect(validate(schemas.toolCall, JSON.parse(text))).toEqual(expected);
		expect(read(parse(schemas.registration, '{"name":"Zoë"}'))).toEqual({ ok: true, value: { name: "Zoë" } });
	});

	test("a value that is asked for late is the one that was read, whatever became of its bytes", () => {
		const bytes = new TextEncoder().encode('{"name":"Ada"}');
		const [first, second] = [parse(schemas.registration, '{"name":"Zoë"}'), parse(schemas.registration, bytes)];
		expect(read(first)).toEqual({ ok: true, value: { name: "Zoë" } });
		bytes.set(new TextEncoder().encode('{"nome":'));
		expect(read(second)).toEqual({ ok: true, value: { name: "Ada" } });
		// What is asked for at once is a copy of what was read.
		const again = new TextEncoder().encode('{"name":"Ada"}');
		const third = parse(schemas.registration, again);
		again.fill(0);
		expect(read(third)).toEqual({ ok: true, value: { name: "Ada" } });
		expect(JSON.stringify(third)).toBe('{"ok":true,"value":{"name":"Ada"}}');
	});
});

/** A million calls of each kind, in a process of its own, whose garbage can be collected when it is asked for. */
const ENDURANCE = `
const { Instance } = WebAssembly;
let memory;
WebAssembly.Instance = function (...given) {
	const instance = new Instance(...given);
	memory = instance.exports.memory;
	return instance;
};
const { decide, parse, schemas, validate } = await import("legis-edge");
const account = ${JSON.stringify(account)};
const empty = { ...account, usage: { lifetime: { start: account.user.createdAt, used: 100, mcp: 0 } }, entitlement: { ...account.entitlement, plan: "free" } };
const valid = { email: "ada@example.com", name: "Ada", plan: "starter" };
const invalid = { email: "ada", plan: "platinum", extra: true };
const bytes = [valid, invalid].map((value) => new TextEncoder().encode(JSON.stringify(value)));
const { registration } = schemas;
const PACE = JSON.stringify([account, empty]);
const works = {
	"validate, valid": () => validate(registration, valid).ok,
	"validate, refused": () => !validate(registration, invalid).ok,
	"parse, valid": () => parse(registration, bytes[0]).value.plan === "starter",
	"parse, refused": () => !parse(registration, bytes[1]).ok,
	// Each says something else, so nothing that was told can be told again.
	"parse, refused, another each time": (call) => !parse(registration, '{"x' + call + '":1}').ok,
	"decide, admitted": (call) => decide(account, 1770000000000 + call).type === "admit",
	"decide, refused": (call) => decide(empty, 1770000000000 + call).type === "refuse",
};
const held = () => {
	gc();
	const { heapUsed, external } = process.memoryUsage();
	return heapUsed + external;
};
for (const [name, work] of Object.entries(works)) {
	const run = (calls) => {
		const start = performance.now();
		for (let call = 0; call < calls; call++) {
			if (!work(call)) throw new Error(name);
		}
		return performance.now() - start;
	};
	// What the machine takes for something else meanwhile: it may be busy for a while.
	const pace = () => {
		const start = performance.now();
		for (let turn = 0; turn < 2_000; turn++) JSON.parse(PACE);
		return performance.now() - start;
	};
	const tenth = () => {
		let [own, other] = [0, 0];
		for (let part = 0; part < 20; part++) {
			own += run(5_000);
			other += pace();
		}
		return own / other;
	};
	run(50_000);
	pace();
	const [room, before] = [memory.buffer.byteLength, held()];
	const tenths = Array.from({ length: 10 }, tenth);
	console.log(JSON.stringify({ name, tenths, grown: held() - before, room: memory.buffer.byteLength - room }));
}`;

test("a million calls of each kind: none is slower for it, and nothing grows", { timeout: 120_000 }, () => {
	const words = ["--expose-gc", "--input-type=module", "-e", ENDURANCE];
	const lines = execFileSync("node", words, { cwd: join(ROOT, "tests"), encoding: "utf8" })
		.trim()
		.split("\n");
	expect(lines).toHaveLength(7);
	for (const line of lines) {
		const { name, tenths, grown, room } = JSON.parse(line);
		expect([name, room]).toEqual([name, 0]);
		expect([name, grown < 2_000_000 ? "little" : grown]).toEqual([name, "little"]);
		const [early, late] = [Math.min(...tenths.slice(0, 5)), Math.min(...tenths.slice(5))];
		expect([name, late <= early * 1.5 ? "as fast" : tenths]).toEqual([name, "as fast"]);
	}
});

/** The declarations that an editor shows, as one text. */
const DECLARATIONS = [
	"api",
	"schemas",
	"json-schema",
	"error",
	"client",
	"client-errors",
	"mcp",
	"mcp-server",
	"slim",
	"types",
];

test("no declaration changes unseen", async () => {
	const text = DECLARATIONS.map(
		(name) => `// ${name}\n\n${readFileSync(join(DIST, `types/${name}.d.ts`), "utf8")}`,
	).join("\n");
	const reviewed = join(ROOT, "tests/golden/legis-edge.d.ts.txt");
	await expect(text, "when it is meant: vitest run --root tests package --update").toMatchFileSnapshot(reviewed);
});

test("the examples of the package's README run, and their comments are true", () => {
	const examples = [...readFileSync(join(ROOT, "pkg/README.md"), "utf8").matchAll(/^```ts\n(.*?)^```/gms)];
	expect(examples).toHaveLength(6);
	let checks = 0;
	for (const [, example = ""] of examples) {
		// `expression; // value` becomes a check; the rest runs as it stands.
		const checked = example.replaceAll(/^\s*(\w.*); \/\/ (["[].*|true|false|\d+)$/gm, (_, expression, value) => {
			checks += 1;
			return `{ const said = JSON.stringify(${expression}); if (said !== JSON.stringify(${value})) throw new Error(said); }`;
		});
		execFileSync("node", ["--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e", checked], {
			cwd: join(ROOT, "tests"),
			stdio: "pipe",
		});
	}
	expect(checks).toBe(11);
});
