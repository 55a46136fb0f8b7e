// The only place that talks to the WASM module. Text goes in and out through the module's memory; what crosses is
// numbers. `docs/boundary.md` tells why.

import { LegisError } from "./error.ts";
import { type Kept, keep, LONG } from "./kept.ts";
import type { Issue } from "./types.ts";

/** What `wasm/src/lib.rs` exports. */
interface Exports {
	memory: WebAssembly.Memory;
	__wbindgen_start(): void;
	input(length: number): number;
	output(): number;
	output_length(): number;
	tape(): number;
	slots(): number;
	check(schema: number, length: number, origin: number): number;
	names(): number;
	plan(length: number): number;
	recommend(calls: number): number;
	decide(cost: number): number;
	meter(): number;
	balance(): number;
	preview_change(plan: number, by: number): number;
}

/** What can be asked about the account in the slots. */
export type Question = "decide" | "meter" | "balance" | "preview_change";

let wasm: Exports | undefined;
let bytes = new Uint8Array();
const { process } = globalThis as {
	process?: { versions?: { node?: string }; getBuiltinModule?: (name: string) => typeof globalThis };
};
// Jest's jsdom has none of the two; Node below it has.
const { TextEncoder, TextDecoder } =
	globalThis.TextEncoder === undefined ? (process?.getBuiltinModule?.("node:util") ?? globalThis) : globalThis;
const encoder = new TextEncoder();
// A byte order mark inside of a string is a character like any other.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** More than any payload is; the module's memory ends at 4 GB. */
const MAX_INPUT = 256 * 1024 * 1024;

/** As many slots as `wasm/src/slots.rs` has. */
const SLOTS = 48;
let numbers = new Float64Array();

/** Starts the module. Again is harmless: the module keeps nothing between calls. */
export function instantiate(module: WebAssembly.Module): void {
	// Only numbers cross, so the table of JavaScript values that wasm-bindgen prepares stays empty.
	const imports = { "./module_bg.js": { __wbindgen_init_externref_table() {} } };
	const instance = new WebAssembly.Instance(module, imports);
	bytes = new Uint8Array();
	numbers = new Float64Array();
	room = 0;
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
	// A view of memory that has grown since has no length any more.
	if (bytes.length === 0) {
		bytes = new Uint8Array(module.memory.buffer);
	}
	return bytes;
}

/** Where the input lies, and how much of it there may be. */
let inputAt = 0;
let room = 0;
let inputView: Uint8Array = new Uint8Array();
let inputNumbers: Float64Array = new Float64Array();

/** Writes the input; how many bytes it has. */
function write(module: Exports, text: string | Uint8Array): number {
	const isText = typeof text === "string";
	writes += 1;
	// A UTF-16 unit takes at most three bytes of UTF-8.
	const needed = isText ? text.length * 3 : text.length;
	if (needed > room || room > KEPT) {
		const larger = Math.max(needed, LEAST);
		const at = needed > MAX_INPUT ? 0 : module.input(larger);
		if (at === 0) {
			throw new LegisError("too_large", `There is no room for a text of ${text.length} characters.`);
		}
		room = larger;
		inputAt = at;
		inputView = new Uint8Array();
		inputNumbers = new Float64Array();
	}
	const view = memory(module);
	if (isText) {
		if (text.length <= SHORT && writeAscii(view, text)) {
			return text.length;
		}
		if (inputView.length === 0) {
			inputView = view.subarray(inputAt, inputAt + room);
		}
		return encoder.encodeInto(text, inputView).written;
	}
	view.set(text, inputAt);
	return text.length;
}

/** So many characters are written faster by hand: Node's `encodeInto` begins in 50 ns, a browser's, which leaves the engine, in 300. */
const SHORT = process?.versions?.node === undefined ? 300 : 40;

/** Writes a text of ASCII; false for any other. */
function writeAscii(view: Uint8Array, text: string): boolean {
	for (let index = 0; index < text.length; index++) {
		const unit = text.charCodeAt(index);
		if (unit > 0x7f) {
			return false;
		}
		view[inputAt + index] = unit;
	}
	return true;
}

/** Room that is made at once, and room that is given back after use. */
const [LEAST, KEPT] = [1 << 14, 1 << 20];

function read(module: Exports, length: number): string {
	const at = module.output();
	return decoder.decode(memory(module).subarray(at, at + length));
}

/** The text of so many bytes that the last answer came with. */
export function output(length: number): string {
	return read(started(), length);
}

/** Where accounts and answers lie. */
export function slots(): Float64Array {
	const module = started();
	if (numbers.length === 0) {
		numbers = new Float64Array(module.memory.buffer, module.slots(), SLOTS);
	}
	return numbers;
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

/** Asks about the account in the slots, where the answer then lies; how long its text is. */
export function ask(question: Question, ...details: number[]): number {
	const module = started();
	const [first = 0, second = 0] = details;
	return module[question](first, second);
}

/** Where a text comes from, as `Origin` in `core/src/schema/reader.rs`. */
export const Origin = { text: 0, value: 1, doubts: 2 } as const;
export type Origin = (typeof Origin)[keyof typeof Origin];

/** How often a text was written: what lies in the module is the last one's. */
let writes = 0;

/** The number of the last text. */
export const lastWrite = () => writes;

/** Holds a text to the schema at a position: how long the tape is; 0 when it is right but for the value; or a number for `issues`. */
export function check(schema: number, text: string | Uint8Array, origin: Origin): number {
	const module = started();
	inputLength = write(module, text);
	return module.check(schema, inputLength, origin);
}

let inputLength = 0;

/** What the module refused lately, in the places where it remembers it: `Told` in `wasm/src/told.rs`. */
const told: Issue[][] = [];

/** What `check` returns for refusals that were told before, and for those that were not, in the first place. */
const [AGAIN, NEW] = [-2, -100];

/** The issues of the last check, which returned `verdict`. The list is the caller's own; the issues are frozen, for they are
 * the same ones when the same is refused again. */
export function issues(verdict: number): Issue[] {
	if (verdict <= AGAIN && verdict > NEW) {
		return (told[AGAIN - verdict] as Issue[]).slice();
	}
	const module = started();
	const { issues } = JSON.parse(read(module, module.output_length()), frozen) as { issues: Issue[] };
	if (verdict > AGAIN) {
		return issues;
	}
	told[NEW - verdict] = issues;
	return issues.slice();
}

const frozen = (name: string, value: unknown) => (name === "issues" ? value : Object.freeze(value));

/** What lies in the module, which accepted it, to be kept. */
export function kept(): string | Kept {
	// Numbers lie at multiples of eight, as everything that an allocator gives out.
	if (inputLength > LONG || inputAt % 8 !== 0) {
		return checked();
	}
	// What an earlier input left behind the last bytes could make them a NaN, of which engines keep but one.
	const all = memory(started());
	for (let at = inputAt + inputLength; at % 8 !== 0; at++) {
		all[at] = 0;
	}
	if (inputNumbers.length === 0) {
		inputNumbers = new Float64Array(started().memory.buffer, inputAt, room >> 3);
	}
	return keep(inputNumbers, inputLength);
}

/** The text of the last check; it was accepted, so it is UTF-8. */
function checked(): string {
	return decoder.decode(memory(started()).subarray(inputAt, inputAt + inputLength));
}

/** The tape of the last check, and what of the text lies between two places. */
export function accepted(
	length: number,
	text?: string,
): { tape: Uint32Array; span: (start: number, end: number) => string } {
	const module = started();
	const view = memory(module);
	const tape = new Uint32Array(view.buffer, module.tape(), length);
	const [at, bytes] = [inputAt, inputLength];
	const whole = text ?? checked();
	// As many bytes as units: all ASCII, so places in the bytes are places in the string.
	if (whole.length === bytes) {
		return { tape, span: (start, end) => whole.slice(start, end) };
	}
	return { tape, span: (start, end) => decoder.decode(view.subarray(at + start, at + end)) };
}

/** The names that tapes refer to. */
export function memberNames(): string[] {
	const module = started();
	return read(module, module.names()).split("\n");
}
