// What is not ours is called apart.

/** Calls what is not ours: when it fails, that is reported, and the answer of a call is not lost over it. */
export function apart(tell: () => void): void {
	try {
		tell();
	} catch (error) {
		(globalThis.reportError ?? console.error)(error);
	}
}
