// Signing in: authorization code with PKCE, at whichever issuer the gateway trusts. Where that is comes from the gateway.

import type { Interval, PublicAuthConfig } from "legis-edge";

const KEY = "legis.session";
const PENDING = "legis.pending";

/** A plan that a visitor would like, and how it is paid. */
export interface Wish {
	plan: string;
	interval: Interval;
}

/** What was typed before the visit to the issuer. */
export interface Pending extends Wish {
	email: string;
	name?: string;
}

interface StoredPending extends Pending {
	state: string;
	verifier: string;
}

export function token(): string | undefined {
	return sessionStorage.getItem(KEY) ?? undefined;
}

export function signOut(): void {
	sessionStorage.removeItem(KEY);
}

/** Leaves for the issuer. */
export async function signIn(pending: Pending): Promise<void> {
	if (crypto.subtle === undefined) {
		throw new Error("Signing in needs a secure address: https, or this machine.");
	}
	const issuer = await configuration();
	const [state, verifier] = [random(), random()];
	sessionStorage.setItem(PENDING, JSON.stringify({ ...pending, state, verifier }));
	const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
	const asked = new URLSearchParams({
		response_type: "code",
		client_id: issuer.auth0_client_id,
		audience: issuer.auth0_audience,
		scope: issuer.auth0_scope,
		redirect_uri: redirectUri(),
		state,
		code_challenge: base64url(new Uint8Array(challenge)),
		code_challenge_method: "S256",
		login_hint: pending.email,
		...(pending.name ? { name: pending.name } : {}),
	});
	location.assign(`${issuer.issuer}authorize?${asked}`);
}

/** Comes back from the issuer, if this is a coming back; what was typed before. */
export async function finishSignIn(): Promise<Pending | undefined> {
	const answer = new URLSearchParams(location.search);
	const stored = sessionStorage.getItem(PENDING);
	const code = answer.get("code");
	if (code === null && !answer.has("error")) {
		return undefined;
	}
	history.replaceState(null, "", location.pathname);
	if (stored === null) {
		return undefined;
	}
	const pending = JSON.parse(stored) as StoredPending;
	sessionStorage.removeItem(PENDING);
	// Anybody can make an address with a text in it: only what the issuer was asked for is shown.
	if (answer.get("state") !== pending.state) {
		throw new Error("The sign-in was not begun here. Please try again.");
	}
	if (code === null) {
		throw new Error(answer.get("error_description") ?? "The sign-in was not completed. Please try again.");
	}
	const issuer = await configuration();
	const response = await fetch(`${issuer.issuer}oauth/token`, {
		method: "POST",
		body: new URLSearchParams({
			grant_type: "authorization_code",
			client_id: issuer.auth0_client_id,
			code,
			code_verifier: pending.verifier,
			redirect_uri: redirectUri(),
		}),
	}).catch(() => undefined);
	if (!response?.ok) {
		throw new Error("The identity issuer did not confirm the sign-in. Please try again.");
	}
	const { access_token } = (await response.json()) as { access_token: string };
	sessionStorage.setItem(KEY, access_token);
	return pending;
}

async function configuration(): Promise<PublicAuthConfig> {
	const response = await fetch("/api/config/auth/frontend").catch(() => undefined);
	if (!response?.ok) {
		throw new Error("The gateway does not answer. Please try again in a moment.");
	}
	return (await response.json()) as PublicAuthConfig;
}

function redirectUri(): string {
	return `${location.origin}/`;
}

function random(): string {
	return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(bytes: Uint8Array): string {
	return btoa(String.fromCharCode(...bytes))
		.replaceAll("+", "-")
		.replaceAll("/", "_")
		.replace(/=+$/, "");
}
