/** Waits so many milliseconds; throws as soon as the call is cancelled. */
export async function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
	signal.throwIfAborted();
	await new Promise<void>((resolve, reject) => {
		const cancel = () => {
			clearTimeout(timer);
			reject(signal.reason);
		};
		const timer = setTimeout(() => {
			signal.removeEventListener("abort", cancel);
			resolve();
		}, milliseconds);
		signal.addEventListener("abort", cancel, { once: true });
	});
}
