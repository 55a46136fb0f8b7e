// Bytes as text that stands in JavaScript as it is. Every byte is one or two characters, so that what repeats in the
// bytes repeats in the text: gzip makes as little of it as of the bytes themselves. Base64 hides what repeats, and
// base64 of what is deflated needs a reader that is large, and slow while it is new.

/** No quotation mark, no backslash, nothing that begins a tag or an interpolation: no tool has to escape one. */
const ALPHABET = " !#%&()*+,-./0123456789:;=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~";

/** So many values are one character; the two that are left of the alphabet begin two: three times 87 is more than 256. */
const SINGLE = ALPHABET.length - 2;

function written(value: number): string {
	const digit = ALPHABET.charAt(value % SINGLE);
	return value < SINGLE ? digit : ALPHABET.charAt(SINGLE - 1 + Math.floor(value / SINGLE)) + digit;
}

/** The places of all bytes, given those that come first. */
const order = (first: readonly number[]) => Uint8Array.from(new Set([...first, ...Array(256).keys()]));

/** The most frequent bytes, and then the bytes by their place among these. */
export function print(bytes: Uint8Array): string {
	const counts = new Uint32Array(256);
	for (const byte of bytes) counts[byte] = (counts[byte] ?? 0) + 1;
	const first = [...counts.keys()].sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0)).slice(0, SINGLE);
	const ordered = order(first);
	const places = new Uint8Array(256);
	for (const [place, byte] of ordered.entries()) places[byte] = place;
	return [...first, ...bytes.map((byte) => places[byte] ?? 0)].map(written).join("");
}

/** What {@link print} wrote. */
export function unprint(text: string): Uint8Array<ArrayBuffer> {
	const values = new Uint8Array(128);
	for (let value = 0; value < ALPHABET.length; value++) values[ALPHABET.charCodeAt(value)] = value;
	let at = 0;
	const next = () => {
		const value = values[text.charCodeAt(at++)] ?? 0;
		return value < SINGLE ? value : (value - SINGLE + 1) * SINGLE + (values[text.charCodeAt(at++)] ?? 0);
	};
	const ordered = order(Array.from({ length: SINGLE }, next));
	const bytes = new Uint8Array(text.length);
	let length = 0;
	while (at < text.length) bytes[length++] = ordered[next()] ?? 0;
	return bytes.subarray(0, length);
}
