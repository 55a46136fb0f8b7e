// Copies of bytes for a while. To make an array costs more than to fill one, so small ones share theirs.

const SHARED = 1 << 16;
const LARGE = 1 << 12;

let shared = new Uint8Array();
let used = SHARED;

/** Where a copy begins in its array. */
export let keptAt = 0;

/** The array that now has a copy of `bytes`, from `keptAt` on. */
export function keep(bytes: Uint8Array): Uint8Array {
	keptAt = 0;
	if (bytes.length > LARGE) {
		return new Uint8Array(bytes);
	}
	if (used + bytes.length > SHARED) {
		shared = new Uint8Array(SHARED);
		used = 0;
	}
	keptAt = used;
	shared.set(bytes, used);
	used += bytes.length;
	return shared;
}
