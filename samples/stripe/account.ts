// A local account at Stripe: enough of one to show every event that the gateway applies, in Stripe's own shapes.

import type Stripe from "stripe";
import { PLANS } from "../../pkg/src/facts.ts";

export type Interval = "month" | "year";

/** What a subscription of the account is now. */
interface Subscription {
	id: string;
	status: string;
	price: string;
	interval: Interval;
	start: number;
	end: number;
	anchor: number;
	cancelAtPeriodEnd: boolean;
	trialEnd: number | null;
}

/** What is kept between two events. */
export interface Account {
	/** By user. */
	customers: Record<string, { id: string; subscriptions: Subscription[] }>;
	/** How many ids were given. */
	ids: number;
}

/** What an event is asked for. */
export interface Wish {
	type: string;
	/** The user's `sub`. */
	user: string;
	plan?: string;
	interval?: Interval;
	status?: string;
	/** Ends, or no longer ends, with its period. */
	cancel?: boolean;
	/** The period that follows begins. */
	renew?: boolean;
	/** Seconds since 1970. */
	at: number;
}

export const TYPES = [
	"checkout.session.completed",
	"checkout.session.async_payment_succeeded",
	"checkout.session.async_payment_failed",
	"customer.created",
	"customer.updated",
	"customer.deleted",
	"customer.subscription.created",
	"customer.subscription.updated",
	"customer.subscription.deleted",
	"customer.subscription.paused",
	"customer.subscription.resumed",
	"customer.subscription.trial_will_end",
	"invoice.paid",
	"invoice.payment_succeeded",
	"invoice.payment_failed",
	"invoice.voided",
	"charge.refunded",
	"charge.dispute.created",
	"charge.dispute.closed",
] as const;

/** What a plan costs, in cents; one that has no price is one of a contract. */
export function amount(plan: string, interval: Interval): number {
	const prices: readonly { interval: string; amount: number }[] | undefined = PLANS.find(
		({ slug }) => slug === plan,
	)?.prices;
	return prices?.find((price) => price.interval === interval)?.amount ?? 100_000;
}

/** The price that the local deployment sells a plan at. */
export const price = (plan: string, interval: Interval) => `price_local_${plan}_${interval}`;

/** What such a price pays for. */
function soldAs(price: string): { plan: string; interval: Interval } {
	const [, , plan, interval] = price.split("_") as [string, string, string, Interval];
	return { plan, interval };
}

/** An account without customers. */
export const empty = (): Account => ({ customers: {}, ids: 0 });

const DAY = 86_400;

/** So many calendar months later, clamped to the month's last day. */
function months(from: number, count: number): number {
	const date = new Date(from * 1000);
	const day = date.getUTCDate();
	date.setUTCDate(1);
	date.setUTCMonth(date.getUTCMonth() + count);
	const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
	date.setUTCDate(Math.min(day, last));
	return Math.floor(date.getTime() / 1000);
}

const length = (interval: Interval) => (interval === "month" ? 1 : 12);

/** Makes the event, and changes the account to what it says. */
export function happen(account: Account, wish: Wish): Stripe.Event {
	if (!TYPES.includes(wish.type as (typeof TYPES)[number])) {
		throw new Error(`There is no event ${wish.type} here. There are:\n  ${TYPES.join("\n  ")}`);
	}
	const id = (prefix: string) => `${prefix}_local_${(++account.ids).toString().padStart(6, "0")}`;
	account.customers[wish.user] ??= { id: id("cus"), subscriptions: [] };
	const customer = account.customers[wish.user] as Account["customers"][string];
	const event = (object: unknown, previous?: unknown) =>
		({
			id: id("evt"),
			object: "event",
			api_version: "2026-07-29.dahlia",
			created: wish.at,
			livemode: false,
			pending_webhooks: 1,
			request: { id: null, idempotency_key: null },
			type: wish.type,
			data: { object, ...(previous === undefined ? {} : { previous_attributes: previous }) },
		}) as unknown as Stripe.Event;
	const shown = (subscription: Subscription) => shape(subscription, customer.id, wish.user);
	switch (wish.type) {
		case "customer.subscription.created": {
			const subscription = begin(id("sub"), wish);
			customer.subscriptions.push(subscription);
			return event(shown(subscription));
		}
		case "customer.created":
		case "customer.updated":
		case "customer.deleted":
			return event({
				id: customer.id,
				object: "customer",
				created: wish.at,
				livemode: false,
				metadata: { sub: wish.user },
				...(wish.type === "customer.deleted" ? { deleted: true } : {}),
			});
	}
	if (wish.type.startsWith("customer.subscription.")) {
		// Whoever begins in the middle has had a subscription since yesterday.
		const since = { type: wish.type, user: wish.user, at: wish.at - DAY };
		const subscription = customer.subscriptions.at(-1) ?? begin(id("sub"), since);
		if (customer.subscriptions.length === 0) {
			customer.subscriptions.push(subscription);
		}
		const before = shown(subscription);
		change(subscription, wish);
		const after = shown(subscription);
		return event(after, wish.type.endsWith(".updated") ? difference(before, after) : undefined);
	}
	if (wish.type.startsWith("checkout.session.")) {
		return event({
			id: id("cs"),
			object: "checkout.session",
			client_reference_id: wish.user,
			customer: customer.id,
			livemode: false,
			metadata: {},
			mode: "subscription",
			payment_status: wish.type.endsWith("failed") ? "unpaid" : "paid",
			status: "complete",
			subscription: customer.subscriptions.at(-1)?.id ?? null,
		});
	}
	return event(money(wish, customer, id));
}

/** Everything that happens with it: who pays at Checkout gets a subscription and an invoice first. */
export function series(account: Account, wish: Wish): Stripe.Event[] {
	const subscription = account.customers[wish.user]?.subscriptions.at(-1);
	const begins = subscription === undefined || subscription.status === "canceled" || wish.plan !== undefined;
	const types =
		wish.type === "checkout.session.completed" && begins
			? ["customer.subscription.created", "invoice.paid", wish.type]
			: [wish.type];
	return types.map((type) => happen(account, { ...wish, type }));
}

function begin(id: string, wish: Wish): Subscription {
	const interval = wish.interval ?? "month";
	const status = wish.status ?? "active";
	const end = status === "trialing" ? wish.at + 14 * DAY : months(wish.at, length(interval));
	return {
		id,
		status,
		price: price(wish.plan ?? "starter", interval),
		interval,
		start: wish.at,
		end,
		anchor: status === "trialing" ? end : wish.at,
		cancelAtPeriodEnd: wish.cancel ?? false,
		trialEnd: status === "trialing" ? end : null,
	};
}

function change(subscription: Subscription, wish: Wish): void {
	const sold = soldAs(subscription.price);
	const next = { plan: wish.plan ?? sold.plan, interval: wish.interval ?? sold.interval };
	if (next.interval !== subscription.interval && subscription.status !== "trialing") {
		// Another interval begins a new cycle.
		Object.assign(subscription, { start: wish.at, anchor: wish.at, end: months(wish.at, length(next.interval)) });
	}
	subscription.price = price(next.plan, next.interval);
	subscription.interval = next.interval;
	subscription.cancelAtPeriodEnd = wish.cancel ?? subscription.cancelAtPeriodEnd;
	if (wish.renew) {
		subscription.start = subscription.end;
		subscription.end = months(subscription.end, length(subscription.interval));
	}
	const said = {
		"customer.subscription.deleted": "canceled",
		"customer.subscription.paused": "paused",
		"customer.subscription.resumed": "active",
	}[wish.type];
	subscription.status = wish.status ?? said ?? subscription.status;
}

function shape(subscription: Subscription, customer: string, sub: string) {
	return {
		id: subscription.id,
		object: "subscription",
		billing_cycle_anchor: subscription.anchor,
		cancel_at: subscription.cancelAtPeriodEnd ? subscription.end : null,
		cancel_at_period_end: subscription.cancelAtPeriodEnd,
		collection_method: "charge_automatically",
		created: subscription.start,
		currency: "usd",
		customer,
		items: {
			object: "list",
			has_more: false,
			url: `/v1/subscription_items?subscription=${subscription.id}`,
			data: [
				{
					id: subscription.id.replace("sub", "si"),
					object: "subscription_item",
					current_period_end: subscription.end,
					current_period_start: subscription.start,
					price: {
						id: subscription.price,
						object: "price",
						active: true,
						currency: "usd",
						livemode: false,
						recurring: { interval: subscription.interval, interval_count: 1, usage_type: "licensed" },
						type: "recurring",
					},
					quantity: 1,
					subscription: subscription.id,
				},
			],
		},
		livemode: false,
		metadata: { sub },
		status: subscription.status,
		trial_end: subscription.trialEnd,
	};
}

/** What the changed members were before. */
function difference(before: object, after: object) {
	const now = after as Record<string, unknown>;
	const changed = Object.entries(before).filter(([name, was]) => JSON.stringify(was) !== JSON.stringify(now[name]));
	return Object.fromEntries(changed);
}

function money(wish: Wish, customer: Account["customers"][string], id: (prefix: string) => string) {
	const subscription = customer.subscriptions.at(-1);
	const { plan, interval } = soldAs(subscription?.price ?? price("starter", "month"));
	const due = amount(wish.plan ?? plan, wish.interval ?? interval);
	const common = { created: wish.at, currency: "usd", livemode: false };
	if (wish.type.startsWith("invoice.")) {
		const paid = wish.type === "invoice.paid" || wish.type === "invoice.payment_succeeded";
		return {
			...common,
			id: id("in"),
			object: "invoice",
			amount_due: due,
			amount_paid: paid ? due : 0,
			amount_remaining: paid ? 0 : due,
			customer: customer.id,
			metadata: {},
			parent: { type: "subscription_details", subscription_details: { subscription: subscription?.id ?? null } },
			status: paid ? "paid" : wish.type === "invoice.voided" ? "void" : "open",
		};
	}
	if (wish.type === "charge.refunded") {
		return {
			...common,
			id: id("ch"),
			object: "charge",
			amount: due,
			amount_refunded: due,
			customer: customer.id,
			metadata: {},
			refunded: true,
			status: "succeeded",
		};
	}
	return {
		...common,
		id: id("dp"),
		object: "dispute",
		amount: due,
		charge: id("ch"),
		metadata: {},
		reason: "general",
		status: wish.type.endsWith("created") ? "needs_response" : "lost",
	};
}
