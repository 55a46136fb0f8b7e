// What is kept of a tool's arguments and results: bounded, and without what is secret, as in `core/src/mcp/record.rs`.

import { MOST_BYTES, REDACTED } from "./facts.ts";

/** Of halves of surrogate pairs, which are no characters, the gateway would refuse the whole. */
const HALVES = /\p{Surrogate}/gu;

/** Instead of what is not kept. */
export interface Truncated {
	truncated: true;
	/** How long its JSON is. */
	bytes: number;
}

/** `value` as it may be kept; nothing when it is not JSON. */
export function record(value: unknown, secret: ReadonlySet<string>): unknown {
	const text = jsonOf(value, secret);
	if (text === undefined) {
		return undefined;
	}
	const bytes = lengthOf(text);
	return bytes > MOST_BYTES ? ({ truncated: true, bytes } satisfies Truncated) : JSON.parse(text);
}

/** What is kept of a value that the gateway would not take: one that is nested too deep, say. */
export function unrecorded(value: unknown): Truncated {
	return { truncated: true, bytes: lengthOf(JSON.stringify(value)) };
}

/** A text, cut to so many characters. */
export function short(text: string, characters: number): string {
	// A character has two units at most.
	return [...text.slice(0, 2 * characters)].slice(0, characters).join("").replace(HALVES, "\ufffd");
}

/** The names of members that are secret, in any case. */
export function secrets(names: readonly string[] = []): ReadonlySet<string> {
	return new Set(names.map((name) => name.toLowerCase()));
}

/** A text without what is secret, where it is JSON: tools repeat structured content in a text. */
export function redacted(text: string, secret: ReadonlySet<string>): string {
	if (secret.size === 0 || !/^\s*[[{]/.test(text)) {
		return text;
	}
	try {
		return jsonOf(JSON.parse(text), secret) ?? text;
	} catch {
		return text;
	}
}

function jsonOf(value: unknown, secret: ReadonlySet<string>): string | undefined {
	try {
		return JSON.stringify(value, function (this: unknown, name, member) {
			if (!Array.isArray(this) && secret.has(name.toLowerCase())) {
				return REDACTED;
			}
			return typeof member === "string" ? redacted(member, secret).replace(HALVES, "\ufffd") : member;
		});
	} catch {
		return undefined;
	}
}

function lengthOf(text: string): number {
	return new TextEncoder().encode(text).length;
}
