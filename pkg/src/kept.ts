// What is kept of bytes whose value may be asked for later. An array of bytes has a store of its own, which costs more to make
// than half of the reading; numbers and strings lie among other values. Eight bytes are a number; they are never NaN,
// of which there is but one in JavaScript: in UTF-8 nothing that a NaN ends in, 0xF0 or more before 0x7F or 0xFF, can stand,
// and zeros fill the last one.

/** A short document as numbers. */
export interface Kept {
	readonly numbers: readonly number[];
	readonly size: number;
}

/** Longer documents are cheaper to keep as text. */
export const LONG = 1 << 12;

/** Keeps `size` bytes of UTF-8 that `lie` begins with. */
export function keep(lie: Float64Array, size: number): Kept {
	const length = Math.ceil(size / 8);
	const numbers = new Array<number>(length);
	for (let index = 0; index < length; index++) {
		numbers[index] = lie[index] as number;
	}
	return { numbers, size };
}

/** The bytes again. */
export function bytesOf({ numbers, size }: Kept): Uint8Array {
	return new Uint8Array(new Float64Array(numbers).buffer, 0, size);
}
