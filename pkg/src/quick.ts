// Values that are plainly right, without a crossing: the shapes are core's, generated from its types. Whatever is not plain
// is core's to judge: this says "yes" or nothing, and the agreement suite holds its "yes" to core's. What it says nothing to is
// written down on the way, without what is plainly right: that is most of a value, and not worth to be told.

import { encode, FOREIGN, named } from "./encode.ts";
import { OBJECTS, PLAIN, SHAPES } from "./facts.ts";
import { millis } from "./moment.ts";

/** Not plainly right: to be asked of core. */
export const UNSURE = Symbol("unsure");

/** Stand for an item that is plainly right and for a member that is missing: `Origin::Doubts` in `core/src/schema/reader.rs`. */
const [RIGHT, MISSING] = [`${FOREIGN}y`, `${FOREIGN}m`];

type Reader = (value: unknown) => unknown;
type Shape = readonly unknown[];

const readers: Reader[] = [];

/** What the last reader of an object or a list was not sure of. */
let doubt = "";

/** The text of what `quick` was not sure of; nothing where the value has to be written whole. */
export const doubts = (): string | undefined => (doubt === "" ? undefined : doubt);

/** A fresh copy of what the schema at a position knows of `value`, if it is plainly right. */
export function quick(schema: number, value: unknown): unknown {
	readers[schema] ??= reader(SHAPES[schema] as unknown as Shape);
	left = PLAIN_VALUES;
	doubt = "";
	// A proxy or a getter may throw anything, and what is too large is to be said of the whole.
	try {
		return (readers[schema] as Reader)(value);
	} catch {
		doubt = "";
		return UNSURE;
	}
}

/** What was not sure is doubted, in these words. */
function doubted(text: string): typeof UNSURE {
	doubt = text;
	return UNSURE;
}

/** Objects and lists tell what of them is doubted; of anything else it is all. */
const told = (shape: Shape, value: unknown) => (TOLD.includes(shape[0] as string) ? doubt : encode(value));
const TOLD = ["r", "o", "a"];

function reader(shape: Shape): Reader {
	switch (shape[0]) {
		case "r":
			return referred(shape[1] as number);
		case "o":
			return object(shape[1] === 1, shape[2] as readonly (readonly [string, number, Shape])[]);
		case "a":
			return array(shape[1] as Shape, shape[2] as number, shape[3] as number);
		case "t":
			return text(shape[1] as number, shape[2] as number, shape[3] as string);
		case "c":
			return choice(shape[1] as readonly string[]);
		case "n":
			return whole(shape[1] as number, shape[2] as number);
		case "b":
			return (value) => (typeof value === "boolean" ? value : UNSURE);
		case "anyObject":
			return (value) => (isRecord(value) ? anything(value, 0) : UNSURE);
		case "any":
			return (value) => anything(value, 0);
		default:
			return () => UNSURE;
	}
}

const objects: Reader[] = [];

function referred(position: number): Reader {
	objects[position] ??= reader(OBJECTS[position] as unknown as Shape);
	return objects[position] as Reader;
}

function text(min: number, max: number, format: string): Reader {
	if (format === "date-time") {
		return (value) => (Number.isNaN(millis(value)) ? UNSURE : value);
	}
	const plain = (PLAIN as Record<string, Plain>)[format] as Plain;
	if (plain.oneOf !== undefined) {
		return choice(plain.oneOf);
	}
	const { pattern, found } = plain;
	const [expression, longest] = [new RegExp(pattern), Math.min(max, plain.max ?? max)];
	// Plain texts have no surrogates, so units are characters.
	return (value) =>
		typeof value === "string" && value.length >= min && value.length <= longest && expression.test(value) === found
			? value
			: UNSURE;
}

/** Texts that plainly have a form: these, or those of which an expression says so, up to a length. */
type Plain = { oneOf: readonly string[] } | { oneOf?: undefined; pattern: string; found: boolean; max?: number };

function choice(allowed: readonly string[]): Reader {
	return (value) => (allowed.includes(value as string) ? value : UNSURE);
}

function whole(min: number, max: number): Reader {
	return (value) =>
		Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
			? // Negative zero is written as zero.
				(value as number) + 0
			: UNSURE;
}

function array(shape: Shape, min: number, max: number): Reader {
	const item = reader(shape);
	return (value) => {
		// What is too long is counted in the whole.
		if (!Array.isArray(value)) {
			return doubted(encode(value));
		}
		if (value.length > max) {
			throw TOO_MANY;
		}
		const { length } = value;
		const copy = new Array(length);
		let doubts: string[] | undefined;
		for (let index = 0; index < length; index++) {
			const read = item(value[index]);
			if (read === UNSURE) {
				doubts ??= new Array(length).fill(RIGHT);
				doubts[index] = told(shape, value[index]);
			}
			copy[index] = read;
		}
		if (doubts !== undefined || length < min) {
			doubts ??= new Array<string>(length).fill(RIGHT);
			return doubted(length === 0 ? "[]" : joined("[", doubts, "]"));
		}
		return copy;
	};
}

/** An object as literals and `JSON.parse` make it. */
function isRecord(value: unknown): value is Record<string, unknown> {
	if (typeof value !== "object" || value === null) {
		return false;
	}
	const prototype = Object.getPrototypeOf(value);
	return prototype === Object.prototype || prototype === null;
}

function object(strict: boolean, members: readonly (readonly [string, number, Shape])[]): Reader {
	const list = members.map(([name, required, shape], position) => ({
		name,
		position,
		required: required === 1,
		read: reader(shape),
		shape,
	}));
	const known = new Map(list.map((member) => [member.name, member]));
	const required = members.filter(([, required]) => required === 1).map(([name]) => name);
	return (value) => {
		if (!isRecord(value)) {
			// A class's, or another realm's: what it lacks is seen in the whole.
			if (typeof value === "object" && value !== null) {
				throw INHERITED;
			}
			return doubted(encode(value));
		}
		const copy: Record<string, unknown> = {};
		let missing = required.length;
		let doubts: string[] | undefined;
		// Members mostly come in one order.
		let next = 0;
		for (const name in value) {
			let member = list[next];
			if (member?.name !== name) {
				member = known.get(name);
			}
			next = member === undefined ? next : member.position + 1;
			if (member === undefined && !strict) {
				continue;
			}
			// What is inherited is nobody's own.
			if (!Object.hasOwn(value, name)) {
				throw INHERITED;
			}
			const given = value[name];
			if (member === undefined) {
				// As JSON does: a member that is undefined is not there.
				if (given !== undefined) {
					doubts = added(doubts, named(name) + encode(given));
				}
				continue;
			}
			if (given === undefined || given === null) {
				// Left out, where it may be.
				if (given === undefined || !member.required) {
					continue;
				}
			}
			if (member.required) {
				missing -= 1;
			}
			const read = member.read(given);
			if (read === UNSURE) {
				doubts = added(doubts, named(name) + told(member.shape, given));
				continue;
			}
			copy[name] = read;
		}
		if (doubts === undefined && missing === 0) {
			return copy;
		}
		if (missing > 0) {
			for (const name of required) {
				if (value[name] === undefined) {
					doubts = added(doubts, named(name) + MISSING);
				}
			}
		}
		return doubted(doubts === undefined ? "{}" : joined("{", doubts, "}"));
	};
}

/** One string and not a tree of them, which would have to be gone through to be read. */
function joined(open: string, parts: string[], close: string): string {
	const last = parts.length - 1;
	parts[0] = open + parts[0];
	parts[last] += close;
	return parts.join();
}

const INHERITED = new TypeError("an inherited member: to be written whole");
const TOO_MANY = new RangeError("too many doubts: to be written whole");
const MOST_DOUBTS = 1_000;

function added(doubts: string[] = [], text: string): string[] {
	if (doubts.push(text) > MOST_DOUBTS) {
		throw TOO_MANY;
	}
	return doubts;
}

/** Deeper than this is core's to count. */
const PLAIN_DEPTH = 8;
/** So are more values than this. */
const PLAIN_VALUES = 1_000;
let left = 0;

/** Arbitrary JSON, copied. */
function anything(value: unknown, depth: number): unknown {
	left -= 1;
	switch (typeof value) {
		case "string":
			return /[\ud800-\udfff]/.test(value) ? UNSURE : value;
		case "number":
			return Number.isFinite(value) && !Object.is(value, -0) ? value : UNSURE;
		case "boolean":
			return value;
		case "object":
			break;
		default:
			return UNSURE;
	}
	if (value === null) {
		return null;
	}
	if (depth >= PLAIN_DEPTH || left < 0) {
		return UNSURE;
	}
	return Array.isArray(value) ? items(value, depth) : members(value, depth);
}

function items(value: unknown[], depth: number): unknown {
	const copy: unknown[] = [];
	for (let index = 0; index < value.length; index++) {
		const read = anything(value[index], depth + 1);
		if (read === UNSURE || left < 0) {
			return UNSURE;
		}
		copy.push(read);
	}
	return copy;
}

function members(value: object, depth: number): unknown {
	if (!isRecord(value)) {
		return UNSURE;
	}
	const copy: Record<string, unknown> = {};
	for (const name in value) {
		const given = value[name];
		if (given === undefined) {
			continue;
		}
		const read = anything(given, depth + 1);
		if (read === UNSURE || left < 0 || name === "__proto__" || !Object.hasOwn(value, name) || !isPlain(name)) {
			return UNSURE;
		}
		copy[name] = read;
	}
	return copy;
}

const isPlain = (name: string) => !/[\ud800-\udfff]/.test(name);
