// A JavaScript value as the text that core reads. What JSON cannot say is written as U+0001 and a letter, which
// `foreign` in `core/src/schema/survey.rs` knows, so that core refuses it where it stands instead of never seeing it.

import { LegisError } from "./error.ts";
import type { Known } from "./known.ts";

/** Deeper than core reads (`MAX_DEPTH` in `core/src/json.rs`), so that a deeper value, or a cycle, is refused by core. */
const MAX_DEPTH = 34;
/** A value this large is a mistake; a graph that refers to itself often could otherwise never end. */
const MAX_VALUES = 1_000_000;

/** Begins what JSON cannot say. */
export const FOREIGN = "\u0001";

/** The text of `value`, of its objects only what is known where that is said. */
export function encode(value: unknown, known?: Known): string {
	return write(value, known, 0, { left: MAX_VALUES });
}

function write(value: unknown, known: Known, depth: number, budget: { left: number }): string {
	budget.left -= 1;
	if (budget.left < 0) {
		throw new LegisError("too_large", `The value holds more than ${MAX_VALUES} values.`);
	}
	switch (typeof value) {
		case "string":
			return quoted(value);
		case "number":
			return Number.isFinite(value) ? String(value) : `${FOREIGN}n`;
		case "boolean":
			return value ? "true" : "false";
		case "object":
			return value === null ? "null" : writeObject(value, known, depth, budget);
		case "bigint":
			return `${FOREIGN}b`;
		case "function":
			return `${FOREIGN}f`;
		case "symbol":
			return `${FOREIGN}s`;
		default:
			return `${FOREIGN}u`;
	}
}

function writeObject(value: object, known: Known, depth: number, budget: { left: number }): string {
	if (depth >= MAX_DEPTH) {
		return "[]";
	}
	// A proxy or a getter may throw anything, at any step; it then counts as one value that cannot be read.
	try {
		if (value instanceof Date) {
			// The platform's own: the value's may be anybody's, and say anything.
			const { getTime, toISOString } = Date.prototype;
			return Number.isNaN(getTime.call(value)) ? `${FOREIGN}d` : `"${toISOString.call(value)}"`;
		}
		return Array.isArray(value)
			? writeArray(value, known, depth, budget)
			: writeMembers(value as Record<string, unknown>, known, depth, budget);
	} catch (error) {
		if (error instanceof LegisError) {
			throw error;
		}
		return `${FOREIGN}e`;
	}
}

function writeArray(items: unknown[], known: Known, depth: number, budget: { left: number }): string {
	let text = "[";
	const { length } = items;
	for (let index = 0; index < length; index++) {
		text += (index === 0 ? "" : ",") + write(items[index], known, depth + 1, budget);
	}
	return `${text}]`;
}

function writeMembers(members: Record<string, unknown>, known: Known, depth: number, budget: { left: number }): string {
	let text = "{";
	for (const key of Object.keys(members)) {
		if (known !== undefined && !known.has(key)) {
			continue;
		}
		const value = readMember(members, key);
		// As JSON does: a member that is undefined is not there.
		if (value !== undefined) {
			if (text.length > 1) {
				text += ",";
			}
			text += named(key);
			text += value === UNREADABLE ? `${FOREIGN}e` : write(value, known?.get(key), depth + 1, budget);
		}
	}
	return `${text}}`;
}

/** Names as they are written: the same few again and again. */
let names = new Map<string, string>();
const NAMES = 1_000;

/** The name of a member and its colon. */
export function named(key: string): string {
	let name = names.get(key);
	if (name === undefined) {
		name = `${quoted(key)}:`;
		// Names that a stranger chose are many, and may be long.
		if (names.size >= NAMES) {
			names = new Map();
		}
		if (key.length < 100) {
			names.set(key, name);
		}
	}
	return name;
}

/** Most texts need no escapes, and to see that is faster than to look for what to escape. */
const PLAIN = /^[ !#-[\]-~]*$/;
const quoted = (text: string) => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));

const UNREADABLE = Symbol("unreadable");

function readMember(members: Record<string, unknown>, key: string): unknown {
	try {
		return members[key];
	} catch {
		return UNREADABLE;
	}
}
