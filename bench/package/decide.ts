// The decision as an ordinary TypeScript service writes it: from the account as the API answers it to the same answer.

import type { Account } from "legis-edge";

const PLANS: Record<string, { calls: number; monthly: boolean } | undefined> = {
	free: { calls: 100, monthly: false },
	developer: { calls: 1_000, monthly: true },
	professional: { calls: 10_000, monthly: true },
};

function monthsAfter(anchor: Date, count: number): Date {
	const last = new Date(Date.UTC(anchor.getUTCFullYear(), anchor.getUTCMonth() + count + 1, 0)).getUTCDate();
	return new Date(
		Date.UTC(
			anchor.getUTCFullYear(),
			anchor.getUTCMonth() + count,
			Math.min(anchor.getUTCDate(), last),
			anchor.getUTCHours(),
			anchor.getUTCMinutes(),
			anchor.getUTCSeconds(),
			anchor.getUTCMilliseconds(),
		),
	);
}

export function decide(account: Account, now: number) {
	const { entitlement, usage } = account;
	const change = entitlement.changes?.findLast((change) => new Date(change.at).getTime() <= now);
	const name = change?.plan ?? entitlement.plan;
	const plan = PLANS[name];
	let used = 0;
	let start: Date;
	let end: Date | undefined;
	if (plan !== undefined && !plan.monthly) {
		used = usage.lifetime.used;
		start = new Date(usage.lifetime.start);
	} else if (usage.period !== undefined && now < new Date(usage.period.end).getTime()) {
		used = usage.period.used;
		start = new Date(usage.period.start);
		end = new Date(usage.period.end);
	} else {
		const anchor = new Date(entitlement.anchor);
		const date = new Date(now);
		let index = (date.getUTCFullYear() - anchor.getUTCFullYear()) * 12 + date.getUTCMonth() - anchor.getUTCMonth();
		if (monthsAfter(anchor, index).getTime() > now) {
			index -= 1;
		}
		start = monthsAfter(anchor, index);
		end = monthsAfter(anchor, index + 1);
	}
	const periodStart = start.toISOString();
	const periodEnd = end?.toISOString();
	if (plan === undefined || used + 1 <= plan.calls) {
		return {
			type: "admit",
			plan: name,
			limit: plan?.calls,
			used: used + 1,
			remaining: plan && plan.calls - used - 1,
			cost: 1,
			periodStart,
			periodEnd,
			resetsAt: periodEnd,
		};
	}
	return {
		type: "refuse",
		reason: "allowance_exhausted",
		message: `You have used ${used.toLocaleString("en")} of the ${plan.calls.toLocaleString("en")} calls of the ${name} plan.`,
		plan: name,
		limit: plan.calls,
		used,
		remaining: 0,
		cost: 1,
		periodStart,
		periodEnd,
		resetsAt: periodEnd,
	};
}
