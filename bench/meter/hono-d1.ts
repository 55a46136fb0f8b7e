// (b) What the old service did for each call, as an ordinary Worker: the user from D1, the limit from D1, the call,
// the row, the counter.

import { Hono } from "hono";
import { type Config, subject } from "./verify.ts";

interface Env extends Config {
	DB: D1Database;
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
	const user = await c.env.DB.prepare("SELECT id, api_calls_count FROM users WHERE auth0_user_id = ?")
		.bind(c.get("sub"))
		.first<{ id: number; api_calls_count: number }>();
	if (user === null) {
		return c.json({ error: "unknown user" }, 401);
	}
	const plan = await c.env.DB.prepare(
		"SELECT mcp_calls_limit FROM users JOIN plans ON plans.id = current_plan_id WHERE users.id = ?",
	)
		.bind(user.id)
		.first<{ mcp_calls_limit: number }>();
	const limit = plan?.mcp_calls_limit ?? 0;
	if (user.api_calls_count >= limit) {
		return c.json({ error: "limit reached" }, 429);
	}
	const url = new URL(c.req.url);
	const answer = await fetch(`${c.env.UPSTREAM_URL}${url.pathname.slice(4)}${url.search}`, {
		headers: { Accept: c.req.header("Accept") ?? "*/*", "User-Agent": c.req.header("User-Agent") ?? "" },
	});
	c.executionCtx.waitUntil(
		(async () => {
			await c.env.DB.prepare(
				"INSERT INTO api_usage (id, user_id, endpoint, method, status_code, response_time_ms, ip_address, user_agent, timestamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			)
				.bind(
					crypto.randomUUID(),
					user.id,
					url.pathname,
					c.req.method,
					answer.status,
					Date.now() - start,
					c.req.header("CF-Connecting-IP") ?? null,
					c.req.header("User-Agent") ?? null,
					start,
				)
				.run();
			await c.env.DB.prepare("UPDATE users SET api_calls_count = api_calls_count + 1 WHERE id = ?").bind(user.id).run();
		})(),
	);
	const response = new Response(answer.body, answer);
	response.headers.set("X-RateLimit-Limit", String(limit));
	response.headers.set("X-RateLimit-Remaining", String(limit - user.api_calls_count - 1));
	return response;
});

export default app;
