// The worker in a world that can be made to fail (faults.entry.js), with a data service and an issuer of its own.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { createTestHarness } from "wrangler";

export interface World {
	clock?: number;
	database?: "well" | "fails before it commits" | "loses its answer" | "is slow" | "waits";
	times?: number;
	/** How many messages to meters are lost. */
	lost?: number;
	/** How many of their answers to admissions are, each with the message after it. */
	unanswered?: number;
	/** How many give-ups they heard. */
	givenUp?: number;
}

/** With which status the data service answers to a path; 0 hangs up. */
export type Answers = (path: string) => number | Promise<number>;

export async function world(vars: Record<string, string> = {}) {
	let answers: Answers = () => 200;
	let served = 0;
	const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
	const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "k", alg: "RS256", use: "sig" }] };
	const servers: Server[] = [];
	const serve = async (handle: (url: string) => Promise<[number, unknown]>) => {
		const server = createServer(async (request, response) => {
			const [status, body] = await handle(request.url ?? "/");
			if (status === 0) {
				request.socket.destroy();
				return;
			}
			response.writeHead(status, { "Content-Type": "application/json" });
			response.end(JSON.stringify(body));
		});
		servers.push(server);
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		return `127.0.0.1:${(server.address() as AddressInfo).port}`;
	};
	let keys: () => Promise<[number, unknown]> = async () => [200, jwks];
	let asked = 0;
	const domain = await serve(() => {
		asked += 1;
		return keys();
	});
	const upstream = await serve(async (url) => {
		served += 1;
		return [await answers(url), { url }];
	});
	const harness = createTestHarness({
		workers: [
			{
				configPath: join(import.meta.dirname, "faults.wrangler.jsonc"),
				vars: { UPSTREAM_URL: `http://${upstream}`, ...vars },
			},
		],
	});
	const { url } = await harness.listen();
	const worker = harness.getWorker();
	await worker.applyD1Migrations("DB");
	const database = ((await worker.getEnv()) as { DB: D1 }).DB;
	const row =
		"INSERT INTO auth_config (config_name, auth0_domain, auth0_client_id, auth0_audience, auth0_scope) VALUES (?, ?, ?, 'urn:legis-api', 'openid')";
	await database.prepare(row).bind("frontend", domain, "page").run();
	await database.prepare(row).bind("mcp_server", domain, "mcp").run();

	/** A token for a lifetime, so that the clock can be set. */
	const token = (sub: string, client = "page", claims: Record<string, string> = {}, kid = "k") =>
		new SignJWT({ scope: "read:bills read:votes", azp: client, ...claims })
			.setProtectedHeader({ alg: "RS256", kid, typ: "at+jwt" })
			.setIssuer(`http://${domain}/`)
			.setAudience("urn:legis-api")
			.setSubject(sub)
			.setIssuedAt(0)
			.setExpirationTime("20 years")
			.sign(privateKey as CryptoKey);

	/** Rings a meter's alarm, twice at once; in how many milliseconds it rings again. */
	async function alarm(sub: string): Promise<(number | null)[]> {
		const answer = await harness.fetch(`/test/alarm?sub=${encodeURIComponent(sub)}`, { method: "POST" });
		return (await answer.json()) as (number | null)[];
	}

	return {
		harness,
		/** Where it listens. */
		base: url.origin,
		worker,
		database,
		token,
		served: () => served,
		answer(said: Answers) {
			answers = said;
		},
		/** How often the issuer was asked for its keys. */
		asked: () => asked,
		/** Has the issuer say nothing, or fail, until it is asked to go on as ever. */
		silence(status?: number) {
			const { promise, resolve } = Promise.withResolvers<[number, unknown]>();
			keys = () => (status === undefined ? promise : Promise.resolve([status, {}]));
			return () => {
				keys = async () => [200, jwks];
				resolve([200, jwks]);
			};
		},
		/** Sets what is named of the world. */
		async set(said: World): Promise<World> {
			const answer = await harness.fetch("/test/world", { method: "POST", body: JSON.stringify(said) });
			return (await answer.json()) as World;
		},
		/** How many batches about a user have reached the database. */
		async batches(sub: string): Promise<number> {
			return (await (await harness.fetch(`/test/batches?sub=${encodeURIComponent(sub)}`)).json()) as number;
		},
		/** How many rows were written about a user, or by a statement: by the database, and by the user's meter. */
		async written(about: string): Promise<{ database: number; meter: number }> {
			const answer = await harness.fetch(`/test/written?about=${encodeURIComponent(about)}`);
			return (await answer.json()) as { database: number; meter: number };
		},
		/** Rings a meter's alarm, twice at once, after it was asked something: what waits to be told goes with that. */
		async ring(sub: string) {
			await harness.fetch("/api/account", { headers: { Authorization: `Bearer ${await token(sub)}` } } as never);
			await alarm(sub);
		},
		alarm,
		/** In how many milliseconds a meter's alarm rings. */
		async next(sub: string): Promise<number> {
			return Number(await (await harness.fetch(`/test/next?sub=${encodeURIComponent(sub)}`)).json());
		},
		evict: (sub: string) => worker.evictDurableObject("METER" as never, { name: sub } as never),
		call: (bearer: string, path: string, init: Init = {}) =>
			harness.fetch(path, {
				...init,
				headers: { Authorization: `Bearer ${bearer}`, "Content-Type": "application/json", ...init.headers },
			} as never) as unknown as Promise<Response>,
		rows: async <T>(sql: string, ...values: unknown[]): Promise<T[]> =>
			(
				await database
					.prepare(sql)
					.bind(...values)
					.all<T>()
			).results,
		async close() {
			await harness.close();
			for (const server of servers) {
				server.closeAllConnections();
				server.close();
			}
		},
	};
}

interface Init {
	method?: string;
	body?: string;
	headers?: Record<string, string>;
}

interface Statement {
	bind(...values: unknown[]): Statement;
	run(): Promise<unknown>;
	all<T>(): Promise<{ results: T[] }>;
}

interface D1 {
	prepare(sql: string): Statement;
}

/** Numbers that repeat with their seed. */
export function random(seed: number): () => number {
	let state = seed >>> 0 || 1;
	return () => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) / 2 ** 32;
	};
}
