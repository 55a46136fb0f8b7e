// Access tokens as Auth0 issues them, signed with the local key.

import { type CryptoKey, importJWK, type JWK, SignJWT } from "jose";

export interface Grant {
	issuer: string;
	audience: string;
	sub: string;
	scope: string;
	client: string;
	email?: string | undefined;
	name?: string | undefined;
	/** Seconds the token is valid; negative for one that is over already. */
	expires?: number | undefined;
	/** Seconds since 1970; now when absent. */
	issuedAt?: number | undefined;
}

export const KEY_ID = "local-1";

/** The part of the key that everyone may have. */
export function publicKey(key: JWK): JWK {
	const { kty, n, e } = key as { kty: string; n: string; e: string };
	return { kty, n, e, kid: KEY_ID, alg: "RS256", use: "sig" };
}

export async function accessToken(key: JWK, grant: Grant): Promise<string> {
	const issuedAt = grant.issuedAt ?? Math.floor(Date.now() / 1000);
	const claims: Record<string, unknown> = { azp: grant.client, scope: grant.scope };
	if (grant.email !== undefined) {
		claims.email = grant.email;
	}
	if (grant.name !== undefined) {
		claims.name = grant.name;
	}
	return new SignJWT(claims)
		.setProtectedHeader({ alg: "RS256", typ: "at+jwt", kid: KEY_ID })
		.setIssuer(grant.issuer)
		.setAudience(grant.audience)
		.setSubject(grant.sub)
		.setIssuedAt(issuedAt)
		.setExpirationTime(issuedAt + (grant.expires ?? 86_400))
		.sign((await importJWK(key, "RS256")) as CryptoKey);
}
