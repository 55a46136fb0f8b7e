// Accounts and answers as numbers, as `wasm/src/slots.rs` reads and writes them: moments in milliseconds, words by their
// position, NaN for what is not there.

import { CHANGE_KINDS, INTERVALS, LEVELS, PLAN_IDS, REASONS, STANDINGS } from "./facts.ts";
import { iso, millis } from "./moment.ts";
import type {
	Account,
	ChangePreview,
	Decision,
	Entitlement,
	Meter,
	PlanBalance,
	ScheduledChange,
	User,
} from "./types.ts";

/** More than the schema allows is for the schema to say. */
const MOST_CHANGES = 4;

/**
 * Puts an account and a moment into the slots. False for whatever is not plainly an account: then the schema says what is
 * wrong with it, or reads it, should it be one that is only spelled unusually.
 */
export function pack(slots: Float64Array, account: Account, now: number): boolean {
	// A proxy or a getter may throw anything.
	try {
		const { user, entitlement, usage } = account;
		return isUser(user) && packEntitlement(slots, entitlement, now) && packUsage(slots, usage, entitlement.changes);
	} catch {
		return false;
	}
}

let known: User | undefined;
/** The members of the known user. */
let [knownId, knownSub, knownEmail, knownName, knownCreated, knownUpdated]: unknown[] = [];

function isUser(user: User): boolean {
	const { id, sub, email, name, createdAt, updatedAt } = user;
	// Most questions are about the same user as the one before.
	if (
		user === known &&
		id === knownId &&
		sub === knownSub &&
		email === knownEmail &&
		name === knownName &&
		createdAt === knownCreated &&
		updatedAt === knownUpdated
	) {
		return true;
	}
	if (
		isCount(id) &&
		isText(sub) &&
		(email === undefined || isText(email)) &&
		(name === undefined || isText(name)) &&
		!Number.isNaN(millis(createdAt)) &&
		!Number.isNaN(millis(updatedAt))
	) {
		known = user;
		knownId = id;
		knownSub = sub;
		knownEmail = email;
		knownName = name;
		knownCreated = createdAt;
		knownUpdated = updatedAt;
		return true;
	}
	return false;
}

function isCount(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Half of a surrogate pair is no character. */
function isText(value: unknown): value is string {
	return typeof value === "string" && !/[\ud800-\udfff]/.test(value);
}

function packEntitlement(slots: Float64Array, entitlement: Entitlement, now: number): boolean {
	const { plan, standing, anchor, interval, paidUntil, version } = entitlement;
	const planAt = PLAN_IDS.indexOf(plan);
	const standingAt = STANDINGS.indexOf(standing);
	const intervalAt = interval === undefined ? 0 : INTERVALS.indexOf(interval) + 1;
	const anchorAt = millis(anchor);
	const paidUntilAt = paidUntil === undefined ? Number.NaN : millis(paidUntil);
	slots[0] = now;
	slots[1] = planAt;
	slots[2] = standingAt;
	slots[3] = anchorAt;
	slots[4] = intervalAt;
	slots[5] = paidUntilAt;
	slots[6] = version;
	return (
		planAt >= 0 &&
		standingAt >= 0 &&
		!Number.isNaN(anchorAt) &&
		(interval === undefined || intervalAt > 0) &&
		(paidUntil === undefined || !Number.isNaN(paidUntilAt)) &&
		isCount(version)
	);
}

function packUsage(
	slots: Float64Array,
	usage: Account["usage"],
	changes: readonly ScheduledChange[] | undefined,
): boolean {
	const { lifetime, period } = usage;
	const { start, used, mcp } = lifetime;
	const startAt = given(0, start);
	slots[7] = startAt;
	slots[8] = used;
	slots[9] = mcp;
	if (Number.isNaN(startAt) || !isCount(used) || !isCount(mcp)) {
		return false;
	}
	if (period === undefined) {
		slots[10] = slots[11] = Number.NaN;
	} else {
		const { start, end, used, mcp } = period;
		const startAt = given(1, start);
		const endAt = given(2, end);
		slots[10] = startAt;
		slots[11] = endAt;
		slots[12] = used;
		slots[13] = mcp;
		if (Number.isNaN(startAt) || Number.isNaN(endAt) || !isCount(used) || !isCount(mcp)) {
			return false;
		}
	}
	slots[14] = 0;
	return changes === undefined || packChanges(slots, changes);
}

/** The moments from which and to which the account counts, and how it writes them: answers are mostly about the same. */
const givenAt = new Float64Array(3).fill(Number.NaN);
const givenText = ["", "", ""];

/** The length of a moment as `iso` writes it. */
const USUAL = 24;

function given(place: number, text: string): number {
	const at = millis(text);
	givenText[place] = text;
	givenAt[place] = text.length === USUAL ? at : Number.NaN;
	return at;
}

/** The text of a moment of an answer. */
function written(at: number): string {
	for (let place = 0; place < 3; place++) {
		if (givenAt[place] === at) {
			return givenText[place] as string;
		}
	}
	return iso(at);
}

function packChanges(slots: Float64Array, changes: readonly ScheduledChange[]): boolean {
	const { length } = changes;
	if (!Array.isArray(changes) || length > MOST_CHANGES) {
		return false;
	}
	slots[14] = length;
	for (let index = 0; index < length; index++) {
		const { plan, at } = changes[index] as ScheduledChange;
		const [planAt, atMillis] = [PLAN_IDS.indexOf(plan), millis(at)];
		slots[15 + 2 * index] = planAt;
		slots[16 + 2 * index] = atMillis;
		if (planAt < 0 || Number.isNaN(atMillis)) {
			return false;
		}
	}
	return true;
}

// Answers. Their members are in the order in which core writes them.

const planAt = (position: number) => PLAN_IDS[position] as (typeof PLAN_IDS)[number];
const is = (number: number) => !Number.isNaN(number);

/** The decision in the slots; `text` is asked for the message of a refusal. */
export function decision(slots: Float64Array, text: (length: number) => string, length: number): Decision {
	const plan = planAt(slots[1] as number);
	const limit = slots[2] as number;
	const used = slots[3] as number;
	const remaining = slots[4] as number;
	const cost = slots[5] as number;
	const periodStart = written(slots[6] as number);
	const end = slots[7] as number;
	const resets = slots[8] as number;
	// As most answers have both ends they are made with them: members that come to an object later lie in another one.
	const usual = resets === end;
	if (slots[0] === 0) {
		const type = "admit";
		if (!is(limit)) {
			return ended({ type, plan, used, cost, periodStart }, end, resets);
		}
		if (usual) {
			const periodEnd = written(end);
			return { type, plan, limit, used, remaining, cost, periodStart, periodEnd, resetsAt: periodEnd };
		}
		return ended({ type, plan, limit, used, remaining, cost, periodStart }, end, resets);
	}
	const type = "refuse";
	const reason = REASONS[slots[9] as number] as (typeof REASONS)[number];
	const message = told(slots, text, length);
	const suggested = slots[10] as number;
	if (!is(suggested)) {
		return ended({ type, reason, message, plan, limit, used, remaining, cost, periodStart }, end, resets);
	}
	const suggestedPlan = planAt(suggested);
	if (usual) {
		const periodEnd = written(end);
		return {
			type,
			reason,
			message,
			suggestedPlan,
			plan,
			limit,
			used,
			remaining,
			cost,
			periodStart,
			periodEnd,
			resetsAt: periodEnd,
		};
	}
	return ended({ type, reason, message, suggestedPlan, plan, limit, used, remaining, cost, periodStart }, end, resets);
}

/** A message, and all that it is about: a law of core's (`a_message_is_about_what_the_refusal_says`). */
interface Told {
	plan: number;
	used: number;
	cost: number;
	resets: number;
	reason: number;
	suggested: number;
	message: string;
}

/** The messages of the last refusals: who is refused asks again, and to read a text out of the module costs as much as the
 * rest of the decision. */
let messages = new Map<number, Told>();
const MESSAGES = 500;

/** The message of the refusal in the slots. */
function told(slots: Float64Array, text: (length: number) => string, length: number): string {
	const plan = slots[1] as number;
	const used = slots[3] as number;
	const cost = slots[5] as number;
	const resets = slots[8] as number;
	const reason = slots[9] as number;
	const suggested = slots[10] as number;
	const key = (used * 31 + resets / 60_000 + plan) & 0x3fff_ffff;
	const known = messages.get(key);
	if (
		known !== undefined &&
		known.used === used &&
		Object.is(known.resets, resets) &&
		known.plan === plan &&
		known.cost === cost &&
		known.reason === reason &&
		Object.is(known.suggested, suggested)
	) {
		return known.message;
	}
	if (messages.size >= MESSAGES) {
		messages = new Map();
	}
	const message = text(length);
	messages.set(key, { plan, used, cost, resets, reason, suggested, message });
	return message;
}

/** With the end of the period and the moment of renewal, where there are any. */
function ended(decision: Decision, end: number, resets: number): Decision {
	if (is(end)) {
		decision.periodEnd = written(end);
	}
	if (is(resets)) {
		decision.resetsAt = written(resets);
	}
	return decision;
}

/** The usage bar in the slots. */
export function bar(slots: Float64Array, text: string): Meter {
	const [used, mcp, limit, remaining, percent, level, resets] = slots as never as [
		number,
		number,
		number,
		number,
		number,
		number,
		number,
	];
	return {
		used,
		mcp,
		...(is(limit) ? { limit, remaining } : {}),
		percent,
		level: LEVELS[level] as (typeof LEVELS)[number],
		...(is(resets) ? { resetsAt: iso(resets) } : {}),
		text,
	};
}

/** Where an account stands, as the session props say it. */
export function standing(slots: Float64Array) {
	const [plan, limit, used, remaining, end] = slots as never as [number, number, number, number, number];
	return {
		plan: planAt(plan),
		limit: is(limit) ? limit : undefined,
		used,
		remaining: is(remaining) ? remaining : undefined,
		resetsAt: is(end) ? iso(end) : undefined,
	};
}

function planBalance(slots: Float64Array, from: number): PlanBalance {
	const [at, plan, limit, used, remaining, end] = slots.subarray(from, from + 6) as never as [
		number,
		number,
		number,
		number,
		number,
		number,
	];
	return {
		at: iso(at),
		plan: planAt(plan),
		...(is(limit) ? { limit } : {}),
		used,
		...(is(remaining) ? { remaining } : {}),
		...(is(end) ? { periodEnd: iso(end) } : {}),
	};
}

/** What a change does; its entitlement keeps the version it had. */
export function preview(slots: Float64Array, text: string, version: number): ChangePreview {
	const changes: ScheduledChange[] = [];
	for (let index = 0; index < (slots[19] as number); index++) {
		changes.push({ plan: planAt(slots[20 + 2 * index] as number), at: iso(slots[21 + 2 * index] as number) });
	}
	const [plan, standing, anchor, interval, paidUntil] = slots.subarray(14, 19) as never as [
		number,
		number,
		number,
		number,
		number,
	];
	return {
		kind: CHANGE_KINDS[slots[0] as number] as (typeof CHANGE_KINDS)[number],
		...(is(slots[1] as number) ? { effectiveAt: iso(slots[1] as number) } : {}),
		now: planBalance(slots, 2),
		...(is(slots[8] as number) ? { renewal: planBalance(slots, 8) } : {}),
		entitlement: {
			plan: planAt(plan),
			standing: STANDINGS[standing] as (typeof STANDINGS)[number],
			anchor: iso(anchor),
			...(is(interval) ? { interval: INTERVALS[interval] as (typeof INTERVALS)[number] } : {}),
			...(is(paidUntil) ? { paidUntil: iso(paidUntil) } : {}),
			...(changes.length > 0 ? { changes } : {}),
			version,
		},
		text,
	};
}
