// What the headers of an answer say of the account.

import { decide, meter, plan } from "legis-edge";
import { HEADERS } from "./facts.ts";
import type { Account } from "./types.ts";

/**
 * The account after an answer with these headers; nothing when they say nothing, and `null` when what they say does not fit
 * what is known: then it has to be asked for.
 */
export function learned(account: Account, headers: Headers, now: number): Account | null | undefined {
	const limit = number(headers, HEADERS.limit);
	const remaining = number(headers, HEADERS.remaining);
	if (limit === undefined || remaining === undefined) {
		return undefined;
	}
	if (meter(account, now).limit !== limit) {
		return null;
	}
	// When nothing remains, more than is allowed may have been used: elsewhere, before this gateway counted.
	const used = remaining > 0 ? limit - remaining : Math.max(limit, meter(account, now).used);
	const decision = decide(account, now);
	if (plan(decision.plan)?.allowance.type === "once") {
		return { ...account, usage: { ...account.usage, lifetime: { ...account.usage.lifetime, used } } };
	}
	const { periodStart: start, periodEnd: end } = decision;
	const reset = number(headers, HEADERS.reset);
	// The header has seconds, rounded up.
	if (end === undefined || reset === undefined || Math.ceil(Date.parse(end) / 1_000) !== reset) {
		return null;
	}
	const mcp = account.usage.period?.start === start ? account.usage.period.mcp : 0;
	return { ...account, usage: { ...account.usage, period: { start, end, used, mcp } } };
}

function number(headers: Headers, name: string): number | undefined {
	const text = headers.get(name);
	return text === null || !/^\d+$/.test(text) ? undefined : Number(text);
}
