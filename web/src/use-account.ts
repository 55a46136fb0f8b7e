import type { Account } from "legis-edge";
import type { Client } from "legis-edge/client";
import { useEffect, useSyncExternalStore } from "react";

/** How often is looked for what happened elsewhere, such as a payment, in milliseconds. */
const LOOK_EVERY = 3_000;

/**
 * The account of a client, as every answer keeps it; nothing before the first. While somebody looks at the page, what
 * happens elsewhere shows within seconds.
 */
export function useAccount(client: Client): Account | undefined {
	const account = useSyncExternalStore(client.subscribe, () => client.known);
	useEffect(() => {
		const look = () => {
			if (document.visibilityState === "visible") {
				// What does not answer now may in a moment; what is shown still holds.
				client.account({ fresh: true }).catch(() => {});
			}
		};
		const timer = setInterval(look, LOOK_EVERY);
		document.addEventListener("visibilitychange", look);
		return () => {
			clearInterval(timer);
			document.removeEventListener("visibilitychange", look);
		};
	}, [client]);
	return account;
}
