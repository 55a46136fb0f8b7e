import type { Account } from "legis-edge";
import { type Client, ProblemError } from "legis-edge/client";
import { useEffect, useSyncExternalStore } from "react";

/** How often is looked for what happened elsewhere, such as a payment, in milliseconds. */
const LOOK_EVERY = 3_000;

/** The account of a client, as every answer keeps it; nothing before the first. */
export function useAccount(client: Client): Account | undefined {
	return useSyncExternalStore(client.subscribe, () => client.known);
}

/** While somebody looks at the page, what happens elsewhere shows within seconds; a session that is over ends. */
export function useNews(client: Client, isSignedIn: boolean, end: () => void): void {
	useEffect(() => {
		if (!isSignedIn) {
			return;
		}
		const look = () => {
			if (document.visibilityState === "visible") {
				client.account({ fresh: true }).catch((error: Error) => {
					if (isOver(error)) {
						end();
					}
					// What does not answer now may in a moment; what is shown still holds.
				});
			}
		};
		const timer = setInterval(look, LOOK_EVERY);
		document.addEventListener("visibilitychange", look);
		return () => {
			clearInterval(timer);
			document.removeEventListener("visibilitychange", look);
		};
	}, [client, isSignedIn, end]);
}

/** Whether a failure means that the session is over. */
export function isOver(error: Error): boolean {
	return error instanceof ProblemError && error.status === 401;
}
