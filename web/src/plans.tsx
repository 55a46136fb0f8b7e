import { type Account, type Interval, type Plan, plan, plans, previewChange, sessionProps } from "legis-edge";
import { useState } from "react";
import { token, type Wish } from "./session.ts";
import { useReturn } from "./use-return.ts";

interface Props {
	/** The account of whoever is signed in. */
	account: Account | undefined;
	/** The gateway's clock. */
	now: () => number;
	/** What was wished before they came. */
	wish: Wish;
	/** What a visitor does: wishes for something, or goes on with it. */
	visitor: { wish: (wish: Wish) => void; goOn: () => void } | undefined;
}

/** The price list. Names, prices, savings and allowances come from the package. */
export function Plans({ account, now, wish, visitor }: Props) {
	const current = account && plan(sessionProps(account, now()).plan);
	const paidBy = account?.entitlement.interval;
	const [chosen, chooseInterval] = useState(wish.plan === "free" ? undefined : wish.interval);
	const interval = chosen ?? paidBy ?? "month";
	const [considered, consider] = useState(wish.plan === "free" ? undefined : plan(wish.plan));
	const offer = (plan: Plan) => (account && current ? offered(account, current, plan, interval, now()) : undefined);
	const saving = Math.max(...plans().flatMap((plan) => plan.prices.map((price) => price.savingPercent ?? 0)));
	return (
		<section id="plans" aria-labelledby="plans-title">
			<div className="plans-head">
				<h2 id="plans-title">Plans</h2>
				<fieldset className="switch">
					<legend className="unseen">Billing interval</legend>
					{(["month", "year"] as const).map((each) => (
						<label key={each}>
							<input
								type="radio"
								name="interval"
								value={each}
								checked={interval === each}
								onChange={() => {
									chooseInterval(each);
									consider(undefined);
									visitor?.wish({ ...wish, interval: each });
								}}
							/>
							<span>
								{each === "month" ? "Monthly" : "Yearly"}
								{each === "year" && <small> save {saving}%</small>}
							</span>
						</label>
					))}
				</fieldset>
			</div>
			{account && current && isAgreed(account, current) && (
				<p className="note">{current.name} was agreed with us. To change it, write to us.</p>
			)}
			<ul className="plans">
				{plans().map((plan) => (
					<li key={plan.id} id={`plan-${plan.id}`} className={plan.id === current?.id ? "plan current" : "plan"}>
						<h3>{plan.name}</h3>
						{plan.id === current?.id && <p className="badge">Your plan</p>}
						<PriceTag plan={plan} interval={interval} />
						<p className="allowance">{allowance(plan)}</p>
						<p>{plan.description}</p>
						<ul className="features">
							{plan.features.map((feature) => (
								<li key={feature}>{feature}</li>
							))}
						</ul>
						{offer(plan) && (
							<button type="button" aria-label={offer(plan)?.label} onClick={() => consider(plan)}>
								{offer(plan)?.text}
							</button>
						)}
						{account && considered?.id === plan.id && offer(plan) && (
							<Change account={account} now={now} plan={plan} interval={interval} />
						)}
						{visitor && plan.prices.length > 0 && (
							<button
								type="button"
								aria-label={`Choose ${plan.name}`}
								onClick={() => {
									visitor.wish({ plan: plan.slug, interval });
									visitor.goOn();
								}}
							>
								Choose
							</button>
						)}
					</li>
				))}
			</ul>
		</section>
	);
}

/** Whether a plan is not paid at Stripe: no price of it is sold, and none is known that is paid. */
const isAgreed = (account: Account, current: Plan) =>
	account.entitlement.standing !== "free" && account.entitlement.interval === undefined && current.prices.length === 0;

/** What whoever has an account can do with a plan, if anything. */
function offered(account: Account, current: Plan, plan: Plan, interval: Interval, now: number) {
	if (isAgreed(account, current) || (plan.prices.length === 0 && plan.id !== "free")) {
		return undefined;
	}
	const isDecided = previewChange(account, { plan: current.slug }, now).kind === "resume";
	if (plan.id !== current.id) {
		// What comes next anyway is not offered again.
		const comes = isDecided && account.entitlement.changes?.find(({ at }) => Date.parse(at) > now)?.plan === plan.id;
		return comes ? undefined : { text: "Change", label: `Change to ${plan.name}` };
	}
	const paidBy = account.entitlement.interval;
	if (isDecided) {
		return { text: `Keep ${plan.name}`, label: `Keep ${plan.name}` };
	}
	return plan.id === "free" || paidBy === undefined || paidBy === interval
		? undefined
		: { text: `Pay by the ${interval}`, label: `Pay by the ${interval}` };
}

/** What a change would do, in the words of the code that does it, and the way to it. */
function Change({
	account,
	now,
	plan,
	interval,
}: {
	account: Account;
	now: () => number;
	plan: Plan;
	interval: Interval;
}) {
	const [problem, setProblem] = useState<string>();
	const [busy, setBusy] = useState(false);
	useReturn(() => setBusy(false));
	const to = plan.id === "free" ? { plan: plan.slug } : { plan: plan.slug, interval };
	const preview = previewChange(account, to, now());

	/** Paying and changing are done at Stripe: whoever has a subscription changes it in the portal. */
	const go = async () => {
		if (busy) {
			return;
		}
		setProblem(undefined);
		setBusy(true);
		const pays = account.entitlement.standing !== "free";
		let made = await (pays ? portal() : checkout(to));
		// Whose grace is over, and who was never known at Stripe, buys anew.
		if (made.code === "no_customer" && to.plan !== "free") {
			made = await checkout(to);
		}
		if (made.url !== undefined) {
			location.assign(made.url);
		} else {
			setBusy(false);
			setProblem(made.detail ?? "The gateway does not answer. Please try again.");
		}
	};

	return (
		<div className="change" role="status">
			<p>{preview.text}</p>
			<button type="button" className="primary" aria-disabled={busy} onClick={go}>
				{busy ? "One moment …" : plan.id === "free" ? "Cancel the subscription" : `Go on with ${plan.name}`}
			</button>
			{problem !== undefined && <p role="alert">{problem}</p>}
		</div>
	);
}

const page = () => `${location.origin}/`;

/** A page of Stripe's, or why there is none. */
interface Made {
	url?: string;
	code?: string;
	detail?: string;
}

const portal = () => make("portal", { returnUrl: page() });

const checkout = (to: { plan: string }) => make("checkout", { ...to, successUrl: page(), cancelUrl: page() });

async function make(what: string, asked: object): Promise<Made> {
	try {
		const response = await fetch(`/api/billing/${what}`, {
			method: "POST",
			headers: { Authorization: `Bearer ${token()}`, "Content-Type": "application/json" },
			body: JSON.stringify(asked),
		});
		return (await response.json()) as Made;
	} catch {
		return {};
	}
}

function PriceTag({ plan, interval }: { plan: Plan; interval: Interval }) {
	const price = plan.prices.find((price) => price.interval === interval) ?? plan.prices[0];
	if (price === undefined) {
		return <p className="price">By contract</p>;
	}
	return (
		<p className="price" aria-live="polite">
			{price.text}
			{price.amount > 0 && <span> a {price.interval}</span>}
			{price.savingPercent !== undefined && <em> saves {price.savingPercent}%</em>}
		</p>
	);
}

function allowance({ allowance }: Plan): string {
	switch (allowance.type) {
		case "once":
			return `${allowance.calls.toLocaleString("en")} calls, once`;
		case "monthly":
			return `${allowance.calls.toLocaleString("en")} calls a month`;
		case "unlimited":
			return "Unlimited calls";
	}
}
