// What is not ours is called apart.

/** Calls what is not ours: when it fails, now or later, that is reported, and the answer of a call is not lost over it. */
export function apart(tell: () => unknown): void {
	try {
		const told = tell();
		if (told !== undefined) {
			Promise.resolve(told).catch(report);
		}
	} catch (error) {
		report(error);
	}
}

function report(error: unknown): void {
	(globalThis.reportError ?? console.error)(error);
}
