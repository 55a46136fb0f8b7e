// Clients of the package, of users that nobody had before.

import { type Client, type ClientOptions, createClient } from "legis-edge/client";
import { inject } from "vitest";
import { newSubject, token as tokenFor } from "./callers.ts";

/** A client of a new user, and every request that it sent. */
export async function fresh(options: Partial<ClientOptions> = {}) {
	const sub = newSubject();
	const bearer = await tokenFor(sub);
	const sent: Request[] = [];
	const client = createClient({
		baseUrl: inject("base"),
		token: async () => bearer,
		...options,
		fetch: async (...asked) => {
			const request = new Request(...asked);
			sent.push(request.clone());
			return (options.fetch ?? fetch)(request);
		},
	});
	return { sub, client, sent, paths: () => sent.map(({ url }) => new URL(url).pathname) };
}

/** How much of their one-time allowance the user has used, as the gateway says now. */
export const used = async (client: Client) => (await client.account({ fresh: true })).usage.lifetime.used;
