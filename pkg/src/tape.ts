// A value built from the places of its parts in the text that core accepted.

import { accepted, memberNames } from "./boundary.ts";

/** The kinds of entries, as `Mark` in `core/src/schema/tape.rs`. */
const Mark = {
	object: 0,
	array: 1,
	plain: 2,
	escaped: 3,
	number: 4,
	true: 5,
	false: 6,
	json: 7,
} as const;

let names: string[] | undefined;

/** The value of the text that the last check accepted; `length` is what it returned, the text is given where it is at hand. */
export function build(length: number, text?: string): unknown {
	names ??= memberNames();
	const { tape, span } = accepted(length, text);
	return built(tape, span, names);
}

function built(tape: Uint32Array, text: (start: number, end: number) => string, names: readonly string[]): unknown {
	let at = 0;
	const next = () => tape[at++] as number;
	const span = () => text(next(), next());
	const value = (): unknown => {
		switch (next()) {
			case Mark.object: {
				const object: Record<string, unknown> = {};
				for (let left = next(); left > 0; left--) {
					object[names[next()] as string] = value();
				}
				return object;
			}
			case Mark.array: {
				const items: unknown[] = [];
				for (let left = next(); left > 0; left--) {
					items.push(value());
				}
				return items;
			}
			case Mark.plain:
				return span();
			case Mark.number:
				return Number(span());
			case Mark.true:
				return true;
			case Mark.false:
				return false;
			// Escapes and arbitrary JSON are exactly what the platform's parser is for; core has accepted both.
			default:
				return JSON.parse(span());
		}
	};
	return value();
}
