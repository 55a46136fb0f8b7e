import { type Account, LegisError, meter } from "legis-edge";
import { type Client, ProblemError } from "legis-edge/client";
import { useEffect, useSyncExternalStore } from "react";

/** How often is looked for what happened elsewhere, such as a payment, in milliseconds. */
export const LOOK_EVERY = 3_000;

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
		let isGone = false;
		const look = () => {
			if (document.visibilityState === "visible") {
				client.account({ fresh: true }).catch((error: Error) => {
					if (isOver(error) && !isGone) {
						end();
					}
					// What does not answer now may in a moment; what is shown still holds.
				});
			}
		};
		const timer = setInterval(look, LOOK_EVERY);
		document.addEventListener("visibilitychange", look);
		return () => {
			isGone = true;
			clearInterval(timer);
			document.removeEventListener("visibilitychange", look);
		};
	}, [client, isSignedIn, end]);
}

/** Whether a failure means that the session is over. */
export function isOver(error: Error): boolean {
	return error instanceof ProblemError && error.status === 401;
}

/** Whether this page knows all that an account says: a gateway of a later release may have plans that are new. */
export function isKnown(account: Account, now: number): boolean {
	try {
		meter(account, now);
		return true;
	} catch (error) {
		if (error instanceof LegisError) {
			return false;
		}
		throw error;
	}
}
