// What `cargo xtask` needs of the local issuer: `key FILE` makes a key where there is none, `token FILE GRANT` prints
// an access token.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { accessToken, type Grant } from "./token.ts";

const [command, file, grant] = process.argv.slice(2) as [string, string, string | undefined];

async function key(): Promise<JWK> {
	if (!existsSync(file)) {
		const { privateKey } = await generateKeyPair("RS256", { extractable: true });
		mkdirSync(dirname(file), { recursive: true });
		writeFileSync(file, JSON.stringify(await exportJWK(privateKey)), { mode: 0o600 });
	}
	return JSON.parse(readFileSync(file, "utf8")) as JWK;
}

const jwk = await key();
if (command === "token") {
	console.log(await accessToken(jwk, JSON.parse(grant ?? "{}") as Grant));
}
