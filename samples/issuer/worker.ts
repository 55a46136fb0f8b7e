// A local identity issuer: publishes its keys and signs users in by authorization code with PKCE, as Auth0 does.
// It believes every e-mail address it is told, so it is for this machine only.

import { type CryptoKey, importJWK, type JWK, jwtVerify, SignJWT } from "jose";
import { accessToken, publicKey } from "./token.ts";

interface Env {
	/** The private key, a JWK. */
	KEY: string;
}

export default {
	async fetch(request: Request, env: Env): Promise<Response> {
		const url = new URL(request.url);
		const key = JSON.parse(env.KEY) as JWK;
		const issuer = `${url.origin}/`;
		switch (`${request.method} ${url.pathname}`) {
			case "GET /.well-known/jwks.json":
				return json({ keys: [publicKey(key)] });
			case "GET /.well-known/openid-configuration":
				return json({
					issuer,
					authorization_endpoint: `${issuer}authorize`,
					token_endpoint: `${issuer}oauth/token`,
					jwks_uri: `${issuer}.well-known/jwks.json`,
					response_types_supported: ["code"],
					code_challenge_methods_supported: ["S256"],
				});
			case "GET /authorize":
				return authorize(url, key, issuer);
			case "POST /oauth/token":
				return token(request, key, issuer);
			case "OPTIONS /oauth/token":
				return new Response(null, {
					status: 204,
					headers: { ...CORS, "Access-Control-Allow-Headers": "Content-Type" },
				});
			default:
				return json({ error: "not_found" }, 404);
		}
	},
};

const CORS = { "Access-Control-Allow-Origin": "*" };

function json(value: unknown, status = 200): Response {
	return Response.json(value, { status, headers: { ...CORS, "Cache-Control": "no-store" } });
}

/** Signs in whoever `login_hint` names; asks when it names nobody. */
async function authorize(url: URL, key: JWK, issuer: string): Promise<Response> {
	const asked = Object.fromEntries(url.searchParams);
	const { client_id, redirect_uri, code_challenge, login_hint } = asked;
	if (!client_id || !redirect_uri || !code_challenge) {
		return json({ error: "invalid_request" }, 400);
	}
	if (!login_hint) {
		return new Response(signIn(url), { headers: { "Content-Type": "text/html; charset=utf-8" } });
	}
	const code = await new SignJWT({
		client_id,
		redirect_uri,
		code_challenge,
		email: login_hint,
		...(asked.name ? { name: asked.name } : {}),
		audience: asked.audience ?? "",
		scope: asked.scope ?? "",
	})
		.setProtectedHeader({ alg: "RS256" })
		.setIssuer(issuer)
		.setExpirationTime("1 minute")
		.sign((await importJWK(key, "RS256")) as CryptoKey);
	const back = new URL(redirect_uri);
	back.searchParams.set("code", code);
	back.searchParams.set("state", asked.state ?? "");
	return Response.redirect(back.href, 302);
}

function signIn(url: URL): string {
	const hidden = [...url.searchParams]
		.map(([name, value]) => `<input type="hidden" name="${html(name)}" value="${html(value)}">`)
		.join("");
	return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Local sign-in</title>
<body style="font:16px system-ui;max-width:24rem;margin:20vh auto"><h1>Local sign-in</h1>
<form action="/authorize">${hidden}<label>E-mail <input name="login_hint" type="email" required autofocus></label>
<button>Sign in</button></form></body></html>`;
}

function html(text: string): string {
	return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

async function token(request: Request, key: JWK, issuer: string): Promise<Response> {
	const form = new URLSearchParams(await request.text());
	try {
		const { payload } = await jwtVerify(form.get("code") ?? "", await importJWK(publicKey(key), "RS256"), { issuer });
		const verifier = new TextEncoder().encode(form.get("code_verifier") ?? "");
		const digest = base64url(await crypto.subtle.digest("SHA-256", verifier));
		if (digest !== payload.code_challenge || form.get("redirect_uri") !== payload.redirect_uri) {
			return json({ error: "invalid_grant" }, 400);
		}
		const email = String(payload.email);
		const access_token = await accessToken(key, {
			issuer,
			audience: String(payload.audience),
			sub: await subject(email),
			scope: String(payload.scope),
			client: String(payload.client_id),
			email,
			name: payload.name === undefined ? undefined : String(payload.name),
		});
		return json({ access_token, token_type: "Bearer", expires_in: 86_400, scope: payload.scope });
	} catch {
		return json({ error: "invalid_grant" }, 400);
	}
}

/** The same person always has the same subject. */
async function subject(email: string): Promise<string> {
	const bytes = new TextEncoder().encode(email.toLowerCase());
	return `local|${base64url(await crypto.subtle.digest("SHA-256", bytes)).slice(0, 22)}`;
}

function base64url(bytes: ArrayBuffer): string {
	return btoa(String.fromCharCode(...new Uint8Array(bytes)))
		.replaceAll("+", "-")
		.replaceAll("/", "_")
		.replace(/=+$/, "");
}
