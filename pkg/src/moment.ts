// Moments: texts outside, milliseconds inside. Parsing and writing one costs as much as a decision, and the same few come
// again and again, so both are remembered for a while.

const FORM = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/;
/** The first and the last millisecond core knows. */
const [FIRST, LAST] = [0, 253_402_300_799_999];
/** How many moments are remembered. */
const REMEMBERED = 2_000;

let texts = new Map<string, number>();
let moments = new Map<number, string>();

function remember(text: string, at: number): number {
	if (texts.size >= REMEMBERED) {
		texts = new Map();
	}
	texts.set(text, at);
	return at;
}

/** The milliseconds of an ISO 8601 text in UTC; NaN for anything else. */
export function millis(text: unknown): number {
	if (typeof text !== "string") {
		return Number.NaN;
	}
	return texts.get(text) ?? (FORM.test(text) ? remember(text, parsed(text)) : Number.NaN);
}

/** NaN for days that are in no calendar: some engines take 30 February for 2 March. */
function parsed(text: string): number {
	const at = Date.parse(text);
	return at >= FIRST && at <= LAST && new Date(at).toISOString().startsWith(text.slice(0, 19)) ? at : Number.NaN;
}

/** The text of a moment. */
export function iso(at: number): string {
	let text = moments.get(at);
	if (text === undefined) {
		if (moments.size >= REMEMBERED) {
			moments = new Map();
		}
		text = new Date(at).toISOString();
		moments.set(at, text);
	}
	return text;
}

/** A moment as a caller gives it, in milliseconds; NaN when it is none. */
export function momentOf(now: unknown): number {
	const at = typeof now === "number" ? now : now instanceof Date ? now.getTime() : millis(now);
	return at >= FIRST && at <= LAST && Number.isInteger(at) ? at : Number.NaN;
}
