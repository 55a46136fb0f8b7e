// `cargo xtask webhook`: makes a signed event of the local account, prints or sends it. The arguments are JSON.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import Stripe from "stripe";
import { type Account, empty, series, type Wish } from "./account.ts";

interface Arguments {
	/** Where the account is kept. */
	file: string;
	secret: string;
	send?: string;
	/** It happens now where no time is said. */
	wish: Omit<Wish, "at"> & { at?: number };
}

const { file, secret, send, wish } = JSON.parse(process.argv[2] ?? "{}") as Arguments;
const account = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Account) : empty();

async function main(): Promise<void> {
	for (const event of series(account, { ...wish, at: wish.at ?? Math.floor(Date.now() / 1000) })) {
		const payload = JSON.stringify(event);
		const header = await Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret });
		if (send === undefined) {
			console.log(`Stripe-Signature: ${header}\n\n${payload}`);
		} else {
			console.log(`${event.type} for ${wish.user}: ${await deliver(send, header, payload)}`);
		}
	}
	// What was not delivered has not happened here either.
	mkdirSync(dirname(file), { recursive: true });
	writeFileSync(file, JSON.stringify(account, null, 2));
}

async function deliver(to: string, header: string, payload: string): Promise<string> {
	const url = new URL(to);
	if (url.pathname === "/") {
		url.pathname = "/api/webhooks/stripe";
	}
	const headers = { "Content-Type": "application/json", "Stripe-Signature": header };
	const response = await fetch(url, { method: "POST", headers, body: payload });
	const text = await response.text();
	if (!response.ok) {
		throw new Error(`${url} answered ${response.status}: ${text}`);
	}
	return `${response.status} ${text}`;
}

try {
	await main();
} catch (error) {
	const { message, cause } = error as Error & { cause?: { code?: string } };
	const unreachable = cause?.code === "ECONNREFUSED" ? " Nothing listens there: cargo xtask dev" : "";
	console.error(`${message}${unreachable}`);
	process.exitCode = 1;
}
