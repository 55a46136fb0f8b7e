// The only place that talks to the WASM module. Text goes in and out through the module's memory; what crosses is
// numbers. `docs/boundary.md` tells why.

import { LegisError } from "./error.ts";

/** What `wasm/src/lib.rs` exports. */
interface Exports {
	memory: WebAssembly.Memory;
	__wbindgen_start(): void;
	input(length: number): number;
	output(): number;
	tape(): number;
	check(schema: number, length: number, origin: number): number;
	names(schema: number): number;
	plans(): number;
	plan(length: number): number;
	recommend(calls: number): number;
	contract(): number;
	decide(length: number): number;
	meter(length: number): number;
	session_props(length: number): number;
	tool_refusal(length: number): number;
	preview_change(length: number): number;
}

export type Question = "decide" | "meter" | "session_props" | "tool_refusal" | "preview_change";

let wasm: Exports | undefined;
let bytes = new Uint8Array();
const encoder = new TextEncoder();
// A byte order mark inside of a string is a character like any other.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** More than any payload is; the module's memory ends at 4 GB. */
const MAX_INPUT = 256 * 1024 * 1024;

/** Where the last input lies. */
let inputAt = 0;

/** Starts the module. Again is harmless: the module keeps nothing between calls. */
export function instantiate(module: WebAssembly.Module): void {
	// Only numbers cross, so the table of JavaScript values that wasm-bindgen prepares stays empty.
	const imports = { "./module_bg.js": { __wbindgen_init_externref_table() {} } };
	const instance = new WebAssembly.Instance(module, imports);
	wasm = instance.exports as unknown as Exports;
	wasm.__wbindgen_start();
}

function started(): Exports {
	if (wasm === undefined) {
		throw new LegisError("not_initialized", "legis-edge/slim was used before init(module) was called.");
	}
	return wasm;
}

/** The module's memory; growing it makes every earlier view useless. */
function memory(module: Exports): Uint8Array {
	if (bytes.buffer !== module.memory.buffer) {
		bytes = new Uint8Array(module.memory.buffer);
	}
	return bytes;
}

/** Writes the input; how many bytes it has. */
function write(module: Exports, text: string | Uint8Array): number {
	// A UTF-16 unit takes at most three bytes of UTF-8.
	const room = typeof text === "string" ? text.length * 3 : text.length;
	if (room > MAX_INPUT) {
		throw new LegisError("too_large", `The text is longer than ${MAX_INPUT} bytes.`);
	}
	inputAt = module.input(room);
	const place = memory(module).subarray(inputAt, inputAt + room);
	if (typeof text === "string") {
		return encoder.encodeInto(text, place).written;
	}
	place.set(text);
	return text.length;
}

function read(module: Exports, length: number): string {
	const at = module.output();
	return decoder.decode(memory(module).subarray(at, at + length));
}

function answer(module: Exports, length: number): unknown {
	return JSON.parse(read(module, length));
}

/** What is known without asking about anything. */
export function constant(name: "plans" | "contract"): unknown {
	const module = started();
	return answer(module, module[name]());
}

/** The position of the plan of that name, or -1. */
export function planPosition(name: string): number {
	const module = started();
	return module.plan(write(module, name));
}

/** The position of the cheapest plan that admits so many calls. */
export function recommendedPosition(calls: number): number {
	return started().recommend(calls);
}

/** Asks about an account; `request` is the text of a `decisionRequest`, or of a `changeRequest` for a preview. */
export function ask(question: Question, request: string): unknown {
	const module = started();
	return answer(module, module[question](write(module, request)));
}

/** Where a text comes from, as `Origin` in `core/src/schema/reader.rs`. */
export const Origin = { text: 0, value: 1 } as const;

/** What reading a payload yields: where its values lie, or why it is refused. */
export type Checked = { tape: Uint32Array; text: (start: number, end: number) => string } | { issues: unknown };

/** Holds a text to the schema at a position. */
export function check(
	schema: number,
	text: string | Uint8Array,
	origin: (typeof Origin)[keyof typeof Origin],
): Checked {
	const module = started();
	const length = write(module, text);
	const verdict = module.check(schema, length, origin);
	if (verdict <= 0) {
		return { issues: (answer(module, -verdict) as { issues: unknown }).issues };
	}
	const view = memory(module);
	const tape = new Uint32Array(view.buffer, module.tape(), verdict);
	// As many bytes as units: all ASCII, so positions in the bytes are positions in the string.
	const whole = typeof text === "string" ? text : decoder.decode(text);
	if (whole.length === length) {
		return { tape, text: (start, end) => whole.slice(start, end) };
	}
	const at = inputAt;
	return { tape, text: (start, end) => decoder.decode(view.subarray(at + start, at + end)) };
}

/** The member names of the schema at a position. */
export function memberNames(schema: number): string[] {
	const module = started();
	return answer(module, module.names(schema)) as string[];
}
