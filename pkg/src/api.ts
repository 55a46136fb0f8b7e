import {
	ask,
	check,
	issues,
	Origin,
	output,
	planPosition,
	type Question,
	recommendedPosition,
	slots,
} from "./boundary.ts";
import { encode } from "./encode.ts";
import { LegisError } from "./error.ts";
import { CONTRACT, INTERVALS, PLANS, SCHEMA_NAMES } from "./facts.ts";
import { momentOf } from "./moment.ts";
import { bar, decision, pack, preview, standing } from "./slots.ts";
import { build } from "./tape.ts";
import type {
	Account,
	ChangePreview,
	Contract,
	Decision,
	Meter,
	Plan,
	PlanChange,
	SessionProps,
	ToolRefusal,
} from "./types.ts";

/** A moment, as the caller has it: a `Date`, an ISO 8601 string in UTC, or milliseconds since 1970. */
export type Now = Date | string | number;

const known = freeze(PLANS) as unknown as readonly Plan[];

function freeze<T>(value: T): T {
	if (typeof value === "object" && value !== null) {
		Object.values(value).forEach(freeze);
		Object.freeze(value);
	}
	return value;
}

/** Every plan, in display order. The plans are frozen: they are the same objects in every call. */
export function plans(): Plan[] {
	return [...known];
}

/** The plan of that name: any known name, in any case, surrounding space ignored. */
export function plan(name: string): Plan | undefined {
	return typeof name === "string" ? known[planPosition(name)] : undefined;
}

/** The cheapest plan that admits so many calls in every month. */
export function recommend(callsPerMonth: number): Plan {
	if (!(callsPerMonth >= 0)) {
		throw new LegisError("invalid_argument", "callsPerMonth must be a number of at least 0.");
	}
	// More than 2^32 calls need the same plan as 2^32.
	const calls = Math.min(Math.ceil(callsPerMonth), 0xffff_ffff);
	return known[recommendedPosition(calls)] as Plan;
}

/**
 * What the worker would answer to a call of `account` at `now`. The figures stand as they are after the decision:
 * an admitted call is counted, a refused one is not.
 */
export function decide(account: Account, now: Now, cost = 1): Decision {
	put("decisionRequest", account, now, { cost }, isCost(cost));
	const length = asked("decide", cost ?? 1);
	return decision(slots(), output, length);
}

/** Figures and words for a usage bar. */
export function meter(account: Account, now: Now): Meter {
	put("decisionRequest", account, now);
	const length = asked("meter");
	return bar(slots(), output(length));
}

/**
 * What a change of plan does now and at the next renewal, before it is made: an upgrade holds at once, a downgrade or a
 * cancellation when what is paid runs out. `{ plan: "free" }` cancels; the plan that holds takes back what was decided.
 */
export function previewChange(account: Account, to: PlanChange, now: Now): ChangePreview {
	const plan = typeof to?.plan === "string" ? planPosition(to.plan) : -1;
	const by = to?.interval === undefined ? 0 : INTERVALS.indexOf(to.interval) + 1;
	const named = () => Object.keys(to).every((name) => name === "plan" || name === "interval");
	const plain = plan >= 0 && (to.interval === undefined || by > 0) && named();
	const { version } = put("changeRequest", account, now, { to }, plain).entitlement;
	const length = asked("preview_change", plan, by);
	return preview(slots(), output(length), version);
}

/** What an MCP server keeps in its session about the user. */
export function sessionProps(account: Account, now: Now): SessionProps {
	const { user, entitlement } = put("decisionRequest", account, now);
	asked("balance");
	const { plan, limit, used, remaining, resetsAt } = standing(slots());
	return {
		sub: user.sub,
		userId: user.id,
		...(user.email === undefined ? {} : { email: user.email }),
		...(user.name === undefined ? {} : { name: user.name }),
		plan,
		standing: entitlement.standing,
		...(limit === undefined ? {} : { limit }),
		used,
		...(remaining === undefined ? {} : { remaining }),
		...(resetsAt === undefined ? {} : { resetsAt }),
	};
}

/** The MCP tool result that refuses a call; `undefined` when the call would be admitted. */
export function toolRefusal(account: Account, now: Now, cost = 1): ToolRefusal | undefined {
	const decided = decide(account, now, cost);
	if (decided.type === "admit") {
		return undefined;
	}
	return { isError: true, content: [{ type: "text", text: decided.message }], structuredContent: { ...decided } };
}

/** Version and fingerprint of the rules in this package. The worker sends its own as `Legis-Contract`. */
export function contract(): Contract {
	return rules;
}

const rules: Contract = freeze({ ...CONTRACT });

const isCost = (cost: unknown) => Number.isInteger(cost) && (cost as number) >= 1 && (cost as number) <= 1_000_000;

/**
 * Puts an account and a moment where the module finds them; the account as the module understands it. `more` is what else
 * the question has, `plain` whether that is as it should be.
 */
function put(
	request: "decisionRequest" | "changeRequest",
	account: Account,
	now: Now,
	more: object = {},
	plain = true,
): Account {
	const at = momentOf(now);
	if (plain && !Number.isNaN(at) && pack(slots(), account, at)) {
		return account;
	}
	// The schema says what is wrong, or reads what is only spelled unusually.
	const read = held(request, encode({ account, now, ...more })) as { account: Account; now: Now };
	if (!pack(slots(), read.account, momentOf(read.now))) {
		throw new LegisError("internal", "An account that the schema takes and the module does not.");
	}
	return read.account;
}

function held(name: (typeof SCHEMA_NAMES)[number], text: string): unknown {
	const schema = SCHEMA_NAMES.indexOf(name);
	const verdict = check(schema, text, Origin.value);
	if (verdict > 0) {
		return build(verdict, text);
	}
	const found = issues(verdict);
	const [first] = found;
	throw new LegisError("invalid_argument", `${first?.pointer ?? ""}: ${first?.message ?? "not valid"}`, found);
}

function asked(question: Question, ...details: number[]): number {
	const length = ask(question, ...details);
	if (length < 0) {
		throw new LegisError("internal", "The module does not know the account it was given.");
	}
	return length;
}
