import { ask, constant, planPosition, type Question, recommendedPosition } from "./boundary.ts";
import { encode } from "./encode.ts";
import { LegisError } from "./error.ts";
import type {
	Account,
	ChangePreview,
	Contract,
	Decision,
	Issue,
	Meter,
	Plan,
	PlanChange,
	SessionProps,
	ToolRefusal,
} from "./types.ts";

/** A moment, as the caller has it: a `Date`, an ISO 8601 string in UTC, or milliseconds since 1970. */
export type Now = Date | string | number;

let catalog: readonly Plan[] | undefined;

function known(): readonly Plan[] {
	catalog ??= freeze(constant("plans") as Plan[]);
	return catalog;
}

function freeze<T>(value: T): T {
	if (typeof value === "object" && value !== null) {
		Object.values(value).forEach(freeze);
		Object.freeze(value);
	}
	return value;
}

/** Every plan, in display order. The plans are frozen: they are the same objects in every call. */
export function plans(): Plan[] {
	return [...known()];
}

/** The plan of that name: any known name, in any case, surrounding space ignored. */
export function plan(name: string): Plan | undefined {
	return typeof name === "string" ? known()[planPosition(name)] : undefined;
}

/** The cheapest plan that admits so many calls in every month. */
export function recommend(callsPerMonth: number): Plan {
	if (!(callsPerMonth >= 0)) {
		throw new LegisError("invalid_argument", "callsPerMonth must be a number of at least 0.");
	}
	// More than 2^32 calls need the same plan as 2^32.
	const calls = Math.min(Math.ceil(callsPerMonth), 0xffff_ffff);
	return known()[recommendedPosition(calls)] as Plan;
}

/**
 * What the worker would answer to a call of `account` at `now`. The figures stand as they are after the decision:
 * an admitted call is counted, a refused one is not.
 */
export function decide(account: Account, now: Now, cost = 1): Decision {
	return question("decide", account, now, cost) as Decision;
}

/** Figures and words for a usage bar. */
export function meter(account: Account, now: Now): Meter {
	return question("meter", account, now) as Meter;
}

/**
 * What a change of plan does now and at the next renewal, before it is made: an upgrade holds at once, a downgrade or a
 * cancellation when what is paid runs out. `{ plan: "free" }` cancels; the plan that holds takes back what was decided.
 */
export function previewChange(account: Account, to: PlanChange, now: Now): ChangePreview {
	return asked("preview_change", { account, to, now }) as ChangePreview;
}

/** What an MCP server keeps in its session about the user. */
export function sessionProps(account: Account, now: Now): SessionProps {
	return question("session_props", account, now) as SessionProps;
}

/** The MCP tool result that refuses a call; `undefined` when the call would be admitted. */
export function toolRefusal(account: Account, now: Now, cost = 1): ToolRefusal | undefined {
	return (question("tool_refusal", account, now, cost) as ToolRefusal | null) ?? undefined;
}

let own: Contract | undefined;

/** Version and fingerprint of the rules in this package. The worker sends its own as `Legis-Contract`. */
export function contract(): Contract {
	own ??= freeze(constant("contract") as Contract);
	return own;
}

function question(name: Question, account: Account, now: Now, cost = 1): unknown {
	return asked(name, { account, now, cost });
}

function asked(name: Question, request: object): unknown {
	const answer = ask(name, encode(request));
	if (isRefused(answer)) {
		const [first] = answer.issues;
		throw new LegisError(
			"invalid_argument",
			`${first?.pointer ?? ""}: ${first?.message ?? "not valid"}`,
			answer.issues,
		);
	}
	return answer;
}

function isRefused(answer: unknown): answer is { ok: false; issues: Issue[] } {
	return typeof answer === "object" && answer !== null && "ok" in answer && answer.ok === false;
}
