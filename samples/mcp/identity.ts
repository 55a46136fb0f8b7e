// Who calls, as the gateway says: it has checked the token and the plan, and signs what it found.

import { jwtVerify } from "jose";
import { z } from "zod";

const claims = z.object({
	iss: z.string(),
	iat: z.number(),
	exp: z.number(),
	sub: z.string(),
	userId: z.number(),
	plan: z.string(),
	standing: z.string(),
	/** Calls of the plan; absent when it has no limit. */
	limit: z.number().optional(),
	used: z.number(),
	remaining: z.number().optional(),
	resetsAt: z.iso.datetime({ offset: true }).optional(),
	email: z.string().optional(),
	name: z.string().optional(),
});

/** The caller, and where they stand with their plan. */
export type Identity = z.infer<typeof claims>;

/** The header in which the gateway sends the identity. */
export const IDENTITY_HEADER = "Legis-Identity";

/** What the gateway has signed, or nothing: then the request did not come through it. */
export async function identity(request: Request, secret: string | null | undefined): Promise<Identity | undefined> {
	const token = request.headers.get(IDENTITY_HEADER);
	// A secret that was not set must not become one that everybody knows.
	if (!token || !secret) {
		return undefined;
	}
	try {
		const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), {
			algorithms: ["HS256"],
			typ: "legis-identity+jwt",
			requiredClaims: ["iss", "iat", "exp", "sub"],
		});
		return claims.parse(payload);
	} catch {
		return undefined;
	}
}
