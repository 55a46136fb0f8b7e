// Callers of the running product.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JWK } from "jose";
import { inject } from "vitest";
import { accessToken, type Grant } from "../samples/issuer/token.ts";

export const SCOPE = "openid read:bills read:members read:votes read:committees";

export function issuerKey(): JWK {
	return JSON.parse(readFileSync(join(inject("state"), "issuer-key.json"), "utf8")) as JWK;
}

/** A token that the product accepts, unless told otherwise. */
export function token(sub: string, other: Partial<Grant> = {}): Promise<string> {
	return accessToken(issuerKey(), {
		issuer: inject("issuer"),
		audience: "urn:legis-api",
		scope: SCOPE,
		client: "local-frontend",
		sub,
		...other,
	});
}

let users = 0;

/** A subject nobody had before. */
export function newSubject(): string {
	users += 1;
	return `test|${process.pid}-${Date.now()}-${users}`;
}

let callers = 0;

/** An address nobody called from before: what one sends without a token is limited. */
export function newAddress(): string {
	callers += 1;
	return `2001:db8:${(process.pid % 65_536).toString(16)}:${(callers % 65_536).toString(16)}::1`;
}

export function call(path: string, bearer?: string, init: RequestInit = {}): Promise<Response> {
	const headers = new Headers(init.headers);
	if (!headers.has("CF-Connecting-IP")) {
		headers.set("CF-Connecting-IP", newAddress());
	}
	if (bearer !== undefined) {
		headers.set("Authorization", `Bearer ${bearer}`);
	}
	return fetch(`${inject("base")}${path}`, { ...init, headers });
}

export function post(path: string, body: string, bearer?: string, type = "application/json") {
	return call(path, bearer, { method: "POST", body, headers: { "Content-Type": type } });
}

/** How many calls reached the data service since it started. */
export async function served(): Promise<number> {
	const response = await fetch(`${inject("upstream")}/served`);
	return ((await response.json()) as { served: number }).served;
}
