// What both TypeScript peers do with a token: jose, as most Workers do, with the keys at hand.

import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";

let keys: ReturnType<typeof createLocalJWKSet> | undefined;

export async function subject(authorization: string | undefined, jwks: string, issuer: string): Promise<string> {
	keys ??= createLocalJWKSet(JSON.parse(jwks) as JSONWebKeySet);
	const token = authorization?.replace(/^Bearer /, "") ?? "";
	const { payload } = await jwtVerify(token, keys, { issuer, audience: "urn:legis-api", algorithms: ["RS256"] });
	if (!String(payload.scope).split(" ").includes("read:bills")) {
		throw new Error("scope");
	}
	return String(payload.sub);
}

export interface Config {
	JWKS: string;
	ISSUER: string;
	UPSTREAM_URL: string;
}
