// (c) The same Worker with a Durable Object for each user instead of D1: admitted by one message, the row written by
// another once the answer is there. (d) The same with the row in D1, where reports can read it, as ours are.

import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";
import { type Config, subject } from "./verify.ts";

interface Row {
	endpoint: string;
	method: string;
	status: number;
	milliseconds: number;
	address: string | null;
	agent: string | null;
	timestamp: number;
}

export class UserMeter extends DurableObject<Env> {
	constructor(state: DurableObjectState, env: Env) {
		super(state, env);
		this.ctx.storage.sql.exec(
			"CREATE TABLE IF NOT EXISTS user (id INTEGER PRIMARY KEY, plan INTEGER NOT NULL, used INTEGER NOT NULL)",
		);
		this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS plan (id INTEGER PRIMARY KEY, calls_limit INTEGER NOT NULL)");
		this.ctx.storage.sql.exec(
			"CREATE TABLE IF NOT EXISTS usage (id TEXT PRIMARY KEY, endpoint TEXT, method TEXT, status INTEGER, milliseconds INTEGER, address TEXT, agent TEXT, timestamp INTEGER)",
		);
		this.ctx.storage.sql.exec("INSERT OR IGNORE INTO plan VALUES (30, 10000)");
		this.ctx.storage.sql.exec("INSERT OR IGNORE INTO user VALUES (1, 30, 0)");
	}

	admit(): { admitted: boolean; used: number; limit: number } {
		const { sql } = this.ctx.storage;
		const [user] = sql.exec<{ plan: number; used: number }>("SELECT plan, used FROM user").toArray();
		const [plan] = sql
			.exec<{ calls_limit: number }>("SELECT calls_limit FROM plan WHERE id = ?", user?.plan ?? 0)
			.toArray();
		const [used, limit] = [user?.used ?? 0, plan?.calls_limit ?? 0];
		if (used >= limit) {
			return { admitted: false, used, limit };
		}
		sql.exec("UPDATE user SET used = used + 1");
		return { admitted: true, used: used + 1, limit };
	}

	record(row: Row): void {
		this.ctx.storage.sql.exec(
			"INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			crypto.randomUUID(),
			row.endpoint,
			row.method,
			row.status,
			row.milliseconds,
			row.address,
			row.agent,
			row.timestamp,
		);
	}
}

interface Env extends Config {
	USER_METER: DurableObjectNamespace<UserMeter>;
	/** Only where the rows go to D1. */
	DB?: D1Database;
}

function insert(database: D1Database, sub: string, row: Row): Promise<unknown> {
	return database
		.prepare(
			"INSERT INTO api_usage (id, user_id, endpoint, method, status_code, response_time_ms, ip_address, user_agent, timestamp) SELECT ?, id, ?, ?, ?, ?, ?, ?, ? FROM users WHERE auth0_user_id = ?",
		)
		.bind(
			crypto.randomUUID(),
			row.endpoint,
			row.method,
			row.status,
			row.milliseconds,
			row.address,
			row.agent,
			row.timestamp,
			sub,
		)
		.run();
}

const app = new Hono<{ Bindings: Env; Variables: { sub: string } }>();

app.use("/api/*", async (c, next) => {
	try {
		c.set("sub", await subject(c.req.header("Authorization"), c.env.JWKS, c.env.ISSUER));
	} catch {
		return c.json({ error: "unauthorized" }, 401);
	}
	return next();
});

app.get("/api/bills", async (c) => {
	const start = Date.now();
	const meter = c.env.USER_METER.getByName(c.get("sub"));
	const { admitted, used, limit } = await meter.admit();
	if (!admitted) {
		return c.json({ error: "limit reached" }, 429);
	}
	const url = new URL(c.req.url);
	const answer = await fetch(`${c.env.UPSTREAM_URL}${url.pathname.slice(4)}${url.search}`, {
		headers: { Accept: c.req.header("Accept") ?? "*/*", "User-Agent": c.req.header("User-Agent") ?? "" },
	});
	const row = {
		endpoint: url.pathname,
		method: c.req.method,
		status: answer.status,
		milliseconds: Date.now() - start,
		address: c.req.header("CF-Connecting-IP") ?? null,
		agent: c.req.header("User-Agent") ?? null,
		timestamp: start,
	};
	const recorded = c.env.DB === undefined ? meter.record(row) : insert(c.env.DB, c.get("sub"), row);
	c.executionCtx.waitUntil(recorded as Promise<unknown>);
	const response = new Response(answer.body, answer);
	response.headers.set("X-RateLimit-Limit", String(limit));
	response.headers.set("X-RateLimit-Remaining", String(limit - used));
	return response;
});

export default app;
