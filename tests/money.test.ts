// Money: from a signed event to what the next call is answered. The official package signs what is sent.

import { type Account, decide, type PlanChange, previewChange, schemas, validate } from "legis-edge";
import Stripe from "stripe";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
	amount,
	empty,
	happen,
	type Account as Local,
	price,
	series,
	TYPES,
	type Wish,
} from "../samples/stripe/account.ts";
import { stripeServer } from "./stripe-server.ts";
import { world as makeWorld, random } from "./world.ts";

const [OLD, NEW] = ["whsec_old_one", "whsec_new_one"];
const DAY = 86_400_000;
const now = () => Math.floor(Date.now() / 1000);

let stripe: Awaited<ReturnType<typeof stripeServer>>;
let world: Awaited<ReturnType<typeof makeWorld>>;
beforeAll(async () => {
	stripe = await stripeServer();
	world = await makeWorld({
		STRIPE_WEBHOOK_SECRET: `${OLD},${NEW}`,
		STRIPE_MODE: "test",
		STRIPE_PRICES: JSON.stringify({ price_retired: "starter", price_local_enterprise_year: "enterprise" }),
		STRIPE_API_KEY: "rk_test_local",
		STRIPE_API_URL: stripe.url,
	});
	await world.rows(
		"UPDATE plans SET stripe_price_id = 'price_local_' || slug || iif(billing_frequency = 'monthly', '_month', '_year') WHERE id > 10 RETURNING id",
	);
}, 60_000);
afterAll(async () => {
	await world.close();
	stripe.close();
});
beforeEach(async () => {
	await setClock(0);
	await world.set({ database: "well", times: 0, lost: 0 });
	stripe.fail(false);
});

/** How far the worker's clock is ahead, in milliseconds. */
let clock = 0;
const setClock = (ahead: number) => {
	clock = ahead;
	return world.set({ clock: ahead });
};

let users = 0;
const newSubject = () => `money|${++users}`;

/** A local account at Stripe whose ids are nobody else's. */
const local = (): Local => ({ ...empty(), ids: ++users * 1_000 });

async function deliver(event: object | string, signing: { secret?: string; timestamp?: number; header?: string } = {}) {
	const payload = typeof event === "string" ? event : JSON.stringify(event);
	const { secret = NEW, timestamp = now() + Math.floor(clock / 1000), header } = signing;
	const signed = header ?? (await Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret, timestamp }));
	return world.harness.fetch("/api/webhooks/stripe", {
		method: "POST",
		body: payload,
		headers: { "Stripe-Signature": signed },
	} as never) as unknown as Promise<Response>;
}

async function sent(events: object[]): Promise<void> {
	for (const event of events) {
		const response = await deliver(event);
		expect([response.status, await response.text()]).toEqual([200, '{"received":true}']);
	}
}

const account = async (bearer: string) => (await (await world.call(bearer, "/api/account")).json()) as Account;
const row = async (sub: string) => {
	const [row] = await world.rows<Record<string, unknown>>(
		"SELECT current_plan_id, billing_interval, subscription_status, subscription_period_end, billing_anchor, past_due_since, scheduled_plan_id, scheduled_at, stripe_customer_id FROM users WHERE auth0_user_id = ?",
		sub,
	);
	return row;
};
const logged = async (id: string) => {
	const [row] = await world.rows<Record<string, unknown>>(
		"SELECT processing_status, error_message, attempts, next_attempt_at, alerts FROM stripe_webhook_logs WHERE stripe_event_id = ?",
		id,
	);
	return row;
};
const cron = () => world.worker.scheduled({ cron: "7 * * * *" } as never);

/** A user, their token, and their local account at Stripe. */
async function payer() {
	const sub = newSubject();
	const bearer = await world.token(sub);
	await account(bearer);
	const stripe = local();
	const event = (type: string, wish: Partial<Wish> = {}) => happen(stripe, { type, user: sub, at: now(), ...wish });
	return { sub, bearer, event, stripe };
}

describe("who sent it", () => {
	const event = { id: "evt_signed", type: "product.created", created: now(), livemode: false, data: { object: {} } };

	test("either secret, any of several signatures", async () => {
		for (const secret of [OLD, NEW]) {
			expect((await deliver(event, { secret })).status).toBe(200);
		}
		const payload = JSON.stringify(event);
		const sign = (secret: string) => Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret });
		const [wrong, right] = [await sign("whsec_wrong"), await sign(NEW)];
		const header = `${wrong},${right.split(",")[1]},v0=00`;
		expect((await deliver(event, { header })).status).toBe(200);
		expect((await deliver(event, { header: wrong })).status).toBe(400);
	});

	test("five minutes either way", async () => {
		for (const [seconds, status] of [
			[-290, 200],
			[290, 200],
			[-310, 400],
			[310, 400],
		] as const) {
			expect((await deliver(event, { timestamp: now() + seconds })).status).toBe(status);
		}
	});

	test("unsigned, garbled, of the other mode, no event, too long: refused, and nothing is stored", async () => {
		const before = await world.rows("SELECT id FROM stripe_webhook_logs");
		const live = { ...event, id: "evt_live", livemode: true };
		const refused: [Response, number, string][] = [
			[(await world.harness.fetch("/api/webhooks/stripe", { method: "POST", body: "{}" })) as never, 400, "unverified"],
			[await deliver(event, { header: "t=1,v1=zz" }), 400, "unverified"],
			[await deliver(live), 400, "wrong_mode"],
			[await deliver("[]"), 400, "not_an_event"],
			[await deliver("not json"), 400, "not_an_event"],
			[await deliver({ ...event, padding: "x".repeat(1 << 20) }), 413, "payload_too_large"],
		];
		for (const [response, status, code] of refused) {
			expect([response.status, response.headers.get("content-type")]).toEqual([status, "application/problem+json"]);
			expect(await response.json()).toMatchObject({ code });
		}
		expect(await world.rows("SELECT id FROM stripe_webhook_logs")).toEqual(before);
	});

	test("what nobody needs is stored all the same", async () => {
		// It may look like anything: a proration's amount is negative, a coupon's id has spaces.
		const object = { id: "SUMMER SALE", amount: -500, currency: { code: 1 } };
		const unknown = { ...event, id: "evt_unknown_type", type: "invoiceitem.created", data: { object } };
		await sent([unknown]);
		expect(await logged("evt_unknown_type")).toMatchObject({ processing_status: "processed" });
	});
});

describe("what is paid is had", () => {
	test("a free user whose allowance is used up pays, and the very next call is admitted", async () => {
		const { sub, bearer, event } = await payer();
		await world.call(bearer, "/api/calls", { method: "POST", body: JSON.stringify({ cost: 100 }) });
		expect((await world.call(bearer, "/api/bills")).status).toBe(429);
		const paid = event("customer.subscription.created", { plan: "starter" });
		await sent([paid, event("invoice.paid"), event("checkout.session.completed")]);
		const response = await world.call(bearer, "/api/bills");
		expect([response.status, response.headers.get("x-ratelimit-limit")]).toEqual([200, "1000"]);
		expect(await row(sub)).toMatchObject({
			current_plan_id: 20,
			billing_interval: "month",
			subscription_status: "active",
			stripe_customer_id: expect.stringMatching(/^cus_local/),
			subscription_period_end: expect.any(Number),
		});
		expect((await account(bearer)).usage.lifetime.used).toBe(100);
		const payments = await world.rows(
			"SELECT amount, currency, status FROM payment_history JOIN users ON users.id = user_id WHERE auth0_user_id = ?",
			sub,
		);
		expect(payments).toEqual([{ amount: amount("starter", "month"), currency: "usd", status: "succeeded" }]);
	});

	test("a meter that cannot be told finds out before it refuses", async () => {
		const { bearer, event } = await payer();
		await world.call(bearer, "/api/calls", { method: "POST", body: JSON.stringify({ cost: 100 }) });
		await world.set({ lost: 1 });
		await sent([event("customer.subscription.created", { plan: "pro" as never }), event("invoice.paid")].slice(1));
		await world.set({ lost: 1 });
		await sent([event("customer.subscription.updated", { plan: "professional" })]);
		expect((await world.call(bearer, "/api/bills")).headers.get("x-ratelimit-limit")).toBe("10000");
	});

	test("both payload generations", async () => {
		const { bearer, event } = await payer();
		const newer = event("customer.subscription.created", { plan: "professional" });
		const older = structuredClone(newer) as never as { data: { object: Record<string, unknown> } };
		const item = (older.data.object.items as { data: Record<string, unknown>[] }).data[0] as Record<string, unknown>;
		for (const name of ["current_period_start", "current_period_end"]) {
			older.data.object[name] = item[name];
			delete item[name];
		}
		await sent([older]);
		const { entitlement } = await account(bearer);
		expect(entitlement).toMatchObject({ plan: "professional", interval: "month" });
		expect(Date.parse(entitlement.paidUntil ?? "")).toBe(
			((newer.data.object as never as { items: { data: { current_period_end: number }[] } }).items.data[0]
				?.current_period_end as number) * 1000,
		);
	});

	test("whoever pays before they register has it when they do", async () => {
		const sub = newSubject();
		const stripe = local();
		const paid = happen(stripe, { type: "customer.subscription.created", user: sub, plan: "starter", at: now() });
		await sent([paid, happen(stripe, { type: "invoice.paid", user: sub, at: now() })]);
		expect(await logged(paid.id)).toMatchObject({ processing_status: "pending" });
		const bearer = await world.token(sub);
		const registered = await world.call(bearer, "/api/users/register", { method: "POST" });
		expect(await registered.json()).toMatchObject({ user: { plan: "starter", api_calls_limit: 1000 } });
		expect(await logged(paid.id)).toMatchObject({ processing_status: "processed" });
		expect((await world.call(bearer, "/api/bills")).headers.get("x-ratelimit-limit")).toBe("1000");
	});

	test("what a customer did before it is known whose it is waits for the link; an e-mail is none", async () => {
		const { sub, bearer, event } = await payer();
		await world.rows("UPDATE users SET email = 'payer@example.com' WHERE auth0_user_id = ? RETURNING id", sub);
		const paid = event("customer.subscription.created", { plan: "starter" });
		Object.assign(paid.data.object, { metadata: {} });
		const known = event("customer.updated");
		Object.assign(known.data.object, { metadata: {}, email: "payer@example.com" });
		await sent([paid, known]);
		expect((await account(bearer)).entitlement.plan).toBe("free");
		expect(await row(sub)).toMatchObject({ stripe_customer_id: null });
		await sent([event("checkout.session.completed")]);
		expect((await account(bearer)).entitlement.plan).toBe("developer");
		expect(await logged(paid.id)).toMatchObject({ processing_status: "processed" });
	});
});

describe("whose it is", () => {
	const payments = (sub: string) =>
		world.rows<{ invoice: string; status: string }>(
			"SELECT stripe_invoice_id AS invoice, status FROM payment_history JOIN users ON users.id = user_id WHERE auth0_user_id = ? ORDER BY 1",
			sub,
		);
	const linked = (event: { data: { object: object } }, sub: string) => {
		Object.assign(event.data.object, { metadata: { sub } });
		return event;
	};

	test("payments go with their customer, whenever it moves", async () => {
		const owners = await Promise.all(
			[0, 1].map(async (late) => {
				const { sub, event } = await payer();
				const { sub: other } = await payer();
				const paid = event("invoice.paid", { plan: "starter" });
				const moved = linked(event("customer.updated", { at: now() + 1 }), other);
				const created = event("customer.subscription.created", { plan: "starter" });
				await sent(late ? [created, moved, paid] : [created, paid, moved]);
				return [(await payments(sub)).length, (await payments(other)).length];
			}),
		);
		expect(owners).toEqual([
			[0, 1],
			[0, 1],
		]);
	});

	test("a payment that was taken over as paid stays so, whatever was heard of it before", async () => {
		const { sub, event } = await payer();
		const failed = event("invoice.payment_failed", { plan: "starter" });
		const { id: invoice } = failed.data.object as { id: string };
		await world.rows(
			"INSERT INTO payment_history (user_id, stripe_invoice_id, amount, currency, status, created_at) SELECT id, ?, 999, 'usd', 'succeeded', 1 FROM users WHERE auth0_user_id = ? RETURNING id",
			invoice,
			sub,
		);
		await sent([event("customer.updated"), failed]);
		expect(await payments(sub)).toEqual([{ invoice, status: "succeeded" }]);
	});

	test("a customer that is said to be somebody else's waits for the one it is, and is no failure", async () => {
		const { sub, event } = await payer();
		await sent([event("customer.updated")]);
		const mistyped = { ...local(), ids: 2_000_000_000 };
		const tell = (type: string) => happen(mistyped, { type, user: sub, at: now(), plan: "starter" });
		const nobody = linked(tell("customer.updated"), `${sub}|mistyped`);
		const session = tell("checkout.session.completed");
		await sent([nobody, session]);
		expect(await logged(session.id)).toMatchObject({ processing_status: "pending", attempts: 1 });
	});

	test("an event that is sent again is stored as it came this time", async () => {
		const sub = newSubject();
		const paid = happen(local(), { type: "customer.subscription.created", user: sub, plan: "starter", at: now() });
		await world.rows(
			"INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, raw_payload, created_at) VALUES (?, 'unknown', 'failed', '{\"id\":\"sub_1\"}', 1) RETURNING id",
			paid.id,
		);
		await sent([paid]);
		expect(await logged(paid.id)).toMatchObject({ processing_status: "pending" });
		const bearer = await world.token(sub);
		expect((await account(bearer)).entitlement.plan).toBe("developer");
	});
});

describe("any order, any number of times", () => {
	const seed = Number(process.env.LEGIS_SEED ?? Math.floor(Math.random() * 2 ** 31));
	console.log(`seed ${seed}`);

	/** A life of a customer, several things in one second. */
	function life(sub: string, stripe: Local) {
		const at = now() - 3_600;
		const tell = (type: string, later: number, wish: Partial<Wish> = {}) =>
			series(stripe, { type, user: sub, at: at + later, ...wish });
		return [
			...tell("customer.created", 0),
			...tell("checkout.session.completed", 1, { plan: "starter" }),
			...tell("customer.subscription.updated", 60, { plan: "professional" }),
			...tell("customer.subscription.updated", 60, { status: "past_due" }),
			...tell("customer.subscription.updated", 60, { status: "active" }),
			...tell("invoice.payment_failed", 60),
			...tell("customer.subscription.updated", 60, { cancel: true }),
			...tell("customer.subscription.updated", 90, { cancel: false }),
			...tell("customer.subscription.updated", 90, { plan: "starter" }),
			...tell("charge.refunded", 95),
		];
	}

	const comparable = async (sub: string, customer: string) => {
		const { stripe_customer_id: _, ...columns } = (await row(sub)) ?? {};
		const payments = await world.rows<{ status: string }>(
			"SELECT amount, status FROM payment_history JOIN users ON users.id = user_id WHERE auth0_user_id = ? ORDER BY amount, status",
			sub,
		);
		const reversals = await world.rows(
			"SELECT kind, amount FROM payment_reversals WHERE stripe_customer_id = ?",
			customer,
		);
		return { columns, payments, reversals };
	};

	test("shuffled, repeated, and all at once: the same as one after the other", async () => {
		const chance = random(seed);
		const lives = await Promise.all(
			[0, 1, 2, 3].map(async () => {
				const { sub, stripe } = await payer();
				const events = life(sub, stripe);
				return { sub, events, customer: stripe.customers[sub]?.id ?? "" };
			}),
		);
		const [inOrder, shuffled, repeated, atOnce] = lives as [
			(typeof lives)[0],
			(typeof lives)[0],
			(typeof lives)[0],
			(typeof lives)[0],
		];
		const mixed = <T>(list: T[]) =>
			list
				.map((value) => [chance(), value] as const)
				.sort(([a], [b]) => a - b)
				.map(([, value]) => value);
		await sent(inOrder.events);
		await sent(mixed(shuffled.events));
		await sent(mixed([...repeated.events, ...repeated.events, ...repeated.events]));
		const statuses = await Promise.all(mixed([...atOnce.events, ...atOnce.events]).map((event) => deliver(event)));
		// Whoever was overtaken too often is told to come again, as Stripe does.
		for (const [index, response] of statuses.entries()) {
			expect([200, 500], `${index}`).toContain(response.status);
		}
		await sent(atOnce.events);
		const expected = await comparable(inOrder.sub, inOrder.customer);
		expect(expected).toMatchObject({
			columns: { current_plan_id: 30, subscription_status: "active", scheduled_plan_id: 20 },
			payments: [
				{ amount: amount("starter", "month"), status: "succeeded" },
				{ amount: amount("professional", "month"), status: "failed" },
			],
			reversals: [{ kind: "refund" }],
		});
		const seconds = (columns: Record<string, unknown>) =>
			Object.fromEntries(
				Object.entries(columns).map(([name, value]) => [
					name,
					typeof value === "number" && value > 1e11 ? Math.round(value / 60_000) : value,
				]),
			);
		for (const life of [shuffled, repeated, atOnce]) {
			const found = await comparable(life.sub, life.customer);
			expect({ ...found, columns: seconds(found.columns) }).toEqual({
				...expected,
				columns: seconds(expected.columns),
			});
		}
	});

	test("a database that fails before or after it commits: 500 or 503, then the same as if it had not", async () => {
		for (const database of ["fails before it commits", "loses its answer"] as const) {
			const { sub, event } = await payer();
			const paid = event("customer.subscription.created", { plan: "starter" });
			for (const times of [1, 2]) {
				await world.set({ database, times });
				const response = await deliver(paid);
				expect([500, 503]).toContain(response.status);
			}
			await world.set({ times: 0 });
			await sent([paid]);
			expect(await row(sub)).toMatchObject({ current_plan_id: 20, subscription_status: "active" });
			expect(await logged(paid.id)).toMatchObject({ processing_status: "processed", error_message: null });
			const [{ snapshots } = { snapshots: 0 }] = await world.rows<{ snapshots: number }>(
				"SELECT count(*) AS snapshots FROM subscription_snapshots WHERE id = ?",
				paid.id,
			);
			expect(snapshots).toBe(1);
		}
	});

	test("where the events do not tell which was the last, Stripe is asked", async () => {
		const { sub, bearer, event, stripe: at } = await payer();
		await sent([event("customer.subscription.created", { plan: "starter", at: now() - 60 })]);
		const one = event("customer.subscription.updated", { plan: "professional" });
		const other = event("customer.subscription.updated", { plan: "enterprise" });
		for (const unclear of [one, other]) {
			delete (unclear.data as { previous_attributes?: unknown }).previous_attributes;
		}
		// The true state is the first one's.
		const id = at.customers[sub]?.subscriptions[0]?.id ?? "";
		stripe.subscriptions.set(id, { ...one.data.object });
		await sent([other, one]);
		expect((await account(bearer)).entitlement.plan).toBe("enterprise");
		expect((await account(bearer)).entitlement.changes).toMatchObject([{ plan: "professional" }]);
		expect(stripe.asked.filter((asked) => asked.path.endsWith(id))).toMatchObject([
			{ method: "GET", authorization: "Bearer rk_test_local" },
		]);
		expect(await logged(one.id)).toMatchObject({ alerts: null });
	});

	test("where it cannot be asked, everybody guesses the same, and an operator is told", async () => {
		stripe.fail(true);
		const plans: string[] = [];
		for (const reversed of [false, true]) {
			const { bearer, event } = await payer();
			await sent([event("customer.subscription.created", { plan: "starter", at: now() - 60 })]);
			const both = ["enterprise", "professional"].map((plan) => event("customer.subscription.updated", { plan }));
			for (const unclear of both) {
				delete (unclear.data as { previous_attributes?: unknown }).previous_attributes;
			}
			await sent(reversed ? both.toReversed() : both);
			plans.push(JSON.stringify((await account(bearer)).entitlement.changes));
			const alerts = await Promise.all(both.map((event) => logged(event.id)));
			expect(alerts.map((row) => row?.alerts)).toContain('["order_guessed"]');
		}
		expect(plans[0]?.replace(/"at":"[^"]*"/, "")).toBe(plans[1]?.replace(/"at":"[^"]*"/, ""));
	});
});

test("two subscriptions of two customers of one user that end at once leave nothing behind", async () => {
	for (let round = 0; round < 5; round++) {
		const { sub, event } = await payer();
		const other = local();
		const second = (type: string) => happen(other, { type, user: sub, at: now(), plan: "starter" });
		await sent([event("customer.subscription.created", { plan: "starter" }), second("customer.subscription.created")]);
		expect(await row(sub)).toMatchObject({ current_plan_id: 20 });
		const ends = [event("customer.subscription.deleted"), second("customer.subscription.deleted")];
		const answers = await Promise.all(ends.map((event) => deliver(event)));
		expect(answers.map((response) => response.status)).toEqual([200, 200]);
		expect(await row(sub)).toMatchObject({ current_plan_id: 10, subscription_status: "canceled" });
	}
});

test("one user who cannot be reconciled does not keep the others from it", async () => {
	const [broken, sound] = [await payer(), await payer()];
	for (const one of [broken, sound]) {
		await sent([
			one.event("customer.subscription.created", { plan: "starter" }),
			one.event("customer.subscription.updated", { cancel: true }),
		]);
		await world.rows("UPDATE users SET scheduled_at = 1 WHERE auth0_user_id = ? RETURNING id", one.sub);
	}
	const facts = "UPDATE subscription_snapshots SET facts = '{}' WHERE customer_id = ? RETURNING id";
	await world.rows(facts, broken.stripe.customers[broken.sub]?.id);
	await cron();
	expect(await row(sound.sub)).toMatchObject({ scheduled_plan_id: 10, scheduled_at: expect.any(Number) });
	expect(Number((await row(sound.sub))?.scheduled_at)).toBeGreaterThan(1);
	await world.rows(
		"UPDATE users SET scheduled_at = NULL, scheduled_plan_id = NULL WHERE auth0_user_id = ? RETURNING id",
		broken.sub,
	);
});

test("who pays at a price nobody knows before they register is not forgotten", async () => {
	const sub = newSubject();
	const paid = happen(local(), { type: "customer.subscription.created", user: sub, plan: "secret", at: now() });
	await sent([paid]);
	const bearer = await world.token(sub);
	expect((await account(bearer)).entitlement.plan).toBe("free");
	expect(await logged(paid.id)).toMatchObject({ alerts: `["unknown_price ${price("secret", "month")}"]` });
	const alerts = await world.rows("SELECT billing_alerts FROM users WHERE auth0_user_id = ?", sub);
	expect(alerts).toEqual([{ billing_alerts: `["unknown_price ${price("secret", "month")}"]` }]);
});

describe("what cannot be applied", () => {
	test("answers 500, stays with its reason, and is tried again, each time later", async () => {
		const { event } = await payer();
		const broken = event("customer.subscription.created", { plan: "starter" });
		Object.assign(broken.data.object, { customer: null });
		const response = await deliver(broken);
		expect([response.status, await response.json()]).toMatchObject([500, { code: "event_not_applied" }]);
		const before = await logged(broken.id);
		expect(before).toMatchObject({
			processing_status: "failed",
			error_message: "data.object.customer is missing",
			attempts: 1,
		});
		await cron();
		expect(await logged(broken.id)).toEqual(before);
		await setClock(20 * 60_000);
		await cron();
		const after = await logged(broken.id);
		expect(after).toMatchObject({ processing_status: "failed", attempts: 2 });
		expect(Number(after?.next_attempt_at)).toBeGreaterThan(Number(before?.next_attempt_at) + 15 * 60_000);
	});

	test("what failed for a reason that is gone is applied by the cron", async () => {
		const { sub, event } = await payer();
		const paid = event("customer.subscription.created", { plan: "starter" });
		await world.rows(
			"INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, error_message, raw_payload, created_at, next_attempt_at) VALUES (?, ?, 'failed', 'the day before', ?, ?, 1) RETURNING id",
			paid.id,
			paid.type,
			JSON.stringify(paid),
			Date.now(),
		);
		await cron();
		expect(await logged(paid.id)).toMatchObject({ processing_status: "processed", error_message: null });
		expect(await row(sub)).toMatchObject({ current_plan_id: 20 });
	});

	test("an administrator sees it; nobody else does", async () => {
		const { sub, event } = await payer();
		const broken = event("customer.subscription.created", { plan: "starter" });
		Object.assign(broken.data.object, { customer: null });
		await deliver(broken);
		const list = async (scope: string, query = "") =>
			world.call(await world.token(sub, "page", { scope }), `/api/admin/webhooks${query}`);
		expect((await list("read:bills")).status).toBe(403);
		expect((await list("admin")).status).toBe(403);
		await world.rows("UPDATE users SET is_admin = 1 WHERE auth0_user_id = ? RETURNING id", sub);
		expect((await list("read:bills")).status).toBe(403);
		const listed = (await (await list("admin", "?status=failed&limit=1")).json()) as {
			events: object[];
			next: number;
		};
		expect(listed.events).toMatchObject([
			{ event: broken.id, status: "failed", error: "data.object.customer is missing", attempts: 1 },
		]);
		expect(JSON.stringify(listed)).not.toContain("raw_payload");
		const next = await list("admin", `?status=failed&before=${listed.next}`);
		expect(JSON.stringify(await next.json())).not.toContain(broken.id);
		expect((await list("admin", "?status=lost")).status).toBe(400);
		expect(((await (await world.harness.fetch("/api/ready")).json()) as { webhooks: object }).webhooks).toMatchObject({
			failed: expect.any(Number),
		});
	});

	test("a price nobody knows keeps the plan and alerts; once it is known the cron applies it", async () => {
		const { bearer, event, sub } = await payer();
		await sent([event("customer.subscription.created", { plan: "starter" })]);
		const odd = event("customer.subscription.updated", { plan: "brandnew" });
		await sent([odd]);
		expect((await account(bearer)).entitlement.plan).toBe("developer");
		expect(await logged(odd.id)).toMatchObject({ alerts: `["unknown_price ${price("brandnew", "month")}"]` });
		await world.rows("UPDATE plans SET stripe_price_id = ? WHERE id = 40 RETURNING id", price("brandnew", "month"));
		// The configuration is read once a minute.
		await setClock(61_000);
		await cron();
		expect(await row(sub)).toMatchObject({ current_plan_id: 40 });
		await world.rows("UPDATE plans SET stripe_price_id = 'price_local_enterprise_month' WHERE id = 40 RETURNING id");
		await setClock(125_000);
		await account(bearer);
	});
});

describe("time", () => {
	test("past due: fourteen days, then free; and back when it is paid", async () => {
		const { bearer, event } = await payer();
		await sent([event("customer.subscription.created", { plan: "starter" })]);
		await sent([event("customer.subscription.updated", { status: "past_due" })]);
		const limit = async () => (await world.call(bearer, "/api/bills")).headers.get("x-ratelimit-limit");
		await setClock(14 * DAY - 60_000);
		expect(await limit()).toBe("1000");
		await setClock(14 * DAY + 60_000);
		expect(await limit()).toBe("100");
		await sent([event("customer.subscription.updated", { status: "active" })]);
		expect(await limit()).toBe("1000");
	});

	test("cancelled: until the period ends, without another event", async () => {
		const { bearer, event, sub } = await payer();
		await sent([
			event("customer.subscription.created", { plan: "starter" }),
			event("customer.subscription.updated", { cancel: true }),
		]);
		const { entitlement } = await account(bearer);
		expect(entitlement).toMatchObject({ plan: "developer", changes: [{ plan: "free", at: entitlement.paidUntil }] });
		await setClock(Date.parse(entitlement.paidUntil ?? "") - Date.now() + 60_000);
		expect((await world.call(bearer, "/api/bills")).headers.get("x-ratelimit-limit")).toBe("100");
		await cron();
		expect(await row(sub)).toMatchObject({ current_plan_id: 10, scheduled_plan_id: null });
	});

	test("down and up again yields nothing extra", async () => {
		const { bearer, event } = await payer();
		await sent([event("customer.subscription.created", { plan: "professional" })]);
		await world.call(bearer, "/api/calls", { method: "POST", body: JSON.stringify({ cost: 900 }) });
		for (const plan of ["starter", "professional", "starter", "professional"]) {
			await sent([event("customer.subscription.updated", { plan })]);
		}
		expect((await account(bearer)).usage.period).toMatchObject({ used: 900 });
		expect((await world.call(bearer, "/api/bills")).headers.get("x-ratelimit-remaining")).toBe("9099");
	});
});

test("previewChange shows what the worker then does", async () => {
	const changes: [PlanChange, string, Partial<Wish>][] = [
		[{ plan: "starter" }, "customer.subscription.created", { plan: "starter" }],
		[{ plan: "pro" }, "customer.subscription.updated", { plan: "professional" }],
		[{ plan: "starter" }, "customer.subscription.updated", { plan: "starter" }],
		[{ plan: "professional" }, "customer.subscription.updated", { plan: "professional" }],
		[{ plan: "free" }, "customer.subscription.updated", { cancel: true }],
		[{ plan: "professional" }, "customer.subscription.updated", { cancel: false }],
		[{ plan: "professional", interval: "year" }, "customer.subscription.updated", { interval: "year" }],
		[{ plan: "enterprise" }, "customer.subscription.updated", { plan: "enterprise" }],
	];
	const { bearer, event } = await payer();
	const at = now();
	for (const [to, type, wish] of changes) {
		const before = await account(bearer);
		const shown = previewChange(before, to, at * 1000);
		await sent([event(type, { ...wish, at })]);
		const after = await account(bearer);
		const { version: _, ...expected } = after.entitlement;
		const { version: __, ...entitlement } = shown.entitlement;
		expect(entitlement, JSON.stringify(to)).toEqual(expected);
		const { plan, limit } = decide(after, at * 1000) as { plan: string; limit?: number };
		expect([shown.now.plan, shown.now.limit]).toEqual([plan, limit]);
		const answered = await world.harness.fetch("/api/evaluate/change", {
			method: "POST",
			body: JSON.stringify({ account: before, to, now: at * 1000 }),
			headers: { "Content-Type": "application/json" },
		} as never);
		expect(await answered.json()).toEqual(shown);
	}
});

test("what the official package parses our types accept, and they know the same of it", async () => {
	const account = local();
	for (const type of TYPES) {
		const payload = JSON.stringify(happen(account, { type, user: "money|types", at: now() }));
		const header = await Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret: NEW });
		const event = await Stripe.webhooks.constructEventAsync(payload, header, NEW);
		const result = validate(schemas.stripeEvent, event);
		expect(result, type).toMatchObject({ ok: true, value: { id: event.id, type, created: event.created } });
	}
});

describe("Checkout and the portal", () => {
	const post = (bearer: string, path: string, body: object, headers: Record<string, string> = {}) =>
		world.call(bearer, path, { method: "POST", body: JSON.stringify(body), headers });
	const pages = { successUrl: "http://localhost:3000/thanks", cancelUrl: "http://localhost:3000/plans" };

	beforeAll(async () => {
		await world.rows(
			"UPDATE auth_config SET allowed_origins = '[\"http://localhost:3000\"]' WHERE config_name = 'frontend' RETURNING id",
		);
		await setClock(200_000);
	});
	beforeEach(() => setClock(200_000));

	test("one customer and one page, however often it is asked for at once", async () => {
		const { bearer, sub } = await payer();
		const before = stripe.asked.length;
		const asked = await Promise.all(
			Array.from({ length: 5 }, () =>
				post(bearer, "/api/billing/checkout", { plan: "pro", interval: "year", ...pages }),
			),
		);
		// What the webhook of the customer that was made tells does not make it another page.
		await sent([
			{
				id: `evt_made_${sub}`,
				type: "customer.created",
				created: now(),
				livemode: false,
				data: { object: { id: stripe.made("/v1/customers"), metadata: { sub } } },
			},
		]);
		asked.push(await post(bearer, "/api/billing/checkout", { plan: "pro", interval: "year", ...pages }));
		const urls = await Promise.all(asked.map(async (response) => [response.status, await response.json()]));
		expect(new Set(urls.map((url) => JSON.stringify(url))).size).toBe(1);
		expect(urls[0]).toMatchObject([201, { url: expect.stringContaining("https://checkout.example.com/") }]);
		const made = stripe.asked.slice(before);
		expect(new Set(made.filter((one) => one.path === "/v1/customers").map((one) => one.key)).size).toBe(1);
		expect(made.find((one) => one.path === "/v1/checkout/sessions")?.form).toMatchObject({
			mode: "subscription",
			client_reference_id: sub,
			"line_items[0][price]": "price_local_professional_year",
			"subscription_data[metadata][sub]": sub,
			success_url: pages.successUrl,
		});
	});

	test("who has a subscription changes it in the portal", async () => {
		const { bearer, event } = await payer();
		expect((await post(bearer, "/api/billing/portal", { returnUrl: pages.successUrl })).status).toBe(404);
		await sent([event("customer.subscription.created", { plan: "starter" })]);
		expect((await post(bearer, "/api/billing/checkout", { plan: "pro", ...pages })).status).toBe(409);
		const portal = await post(bearer, "/api/billing/portal", {}, { Origin: "http://localhost:3000" });
		expect(await portal.json()).toMatchObject({ url: expect.stringContaining("https://portal.example.com/") });
		expect(stripe.asked.at(-1)?.form).toMatchObject({ return_url: "http://localhost:3000/" });
	});

	test("who has a plan by contract is sent from neither to the other", async () => {
		const { bearer, sub } = await payer();
		await world.rows("UPDATE users SET agreed_plan_id = 40 WHERE auth0_user_id = ? RETURNING id", sub);
		await cron();
		const { entitlement } = await account(bearer);
		expect([entitlement.plan, entitlement.standing, entitlement.interval]).toEqual(["enterprise", "active", undefined]);
		for (const [path, body] of [
			["checkout", { plan: "pro", ...pages }],
			["portal", { returnUrl: pages.successUrl }],
		] as const) {
			const refused = await post(bearer, `/api/billing/${path}`, body);
			expect([refused.status, (await refused.json()).code]).toEqual([409, "not_managed_here"]);
		}
	});

	test("a fault that Stripe repeats under the same key is got around; what it refuses is not asked again", async () => {
		const { bearer } = await payer();
		stripe.once(500);
		expect((await post(bearer, "/api/billing/checkout", { plan: "pro", ...pages })).status).toBe(201);
		stripe.once(409);
		expect((await post(bearer, "/api/billing/checkout", { plan: "starter", ...pages })).status).toBe(201);
		stripe.once(402);
		const refused = await post(bearer, "/api/billing/checkout", { plan: "pro", interval: "year", ...pages });
		expect([refused.status, refused.headers.get("retry-after")]).toEqual([502, null]);
	});

	test("a token that was given to an agent opens neither", async () => {
		const agent = await world.token(newSubject(), "mcp");
		for (const path of ["checkout", "portal"]) {
			expect((await post(agent, `/api/billing/${path}`, { plan: "pro", ...pages })).status).toBe(403);
		}
	});

	test("what is not sold, and pages that are not ours, are refused", async () => {
		const { bearer } = await payer();
		for (const [body, status] of [
			[{ plan: "free", ...pages }, 404],
			[{ plan: "platinum", ...pages }, 422],
			[{ plan: "pro", ...pages, successUrl: "https://evil.example.com/" }, 400],
			[{ plan: "pro", ...pages, successUrl: "http://localhost:3000.evil.example.com/" }, 422],
			[{ plan: "pro" }, 400],
		] as const) {
			expect((await post(bearer, "/api/billing/checkout", body)).status, JSON.stringify(body)).toBe(status);
		}
		stripe.fail(true);
		const down = await post(bearer, "/api/billing/checkout", { plan: "pro", ...pages });
		expect([down.status, down.headers.get("retry-after")]).toEqual([503, "5"]);
	});
});
