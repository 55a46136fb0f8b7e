import { type Account, type Plan, plans, previewChange, sessionProps } from "legis-edge";
import { useState } from "react";
import { token } from "./session.ts";

type Interval = "month" | "year";

interface Props {
	/** The account of whoever is signed in. */
	account: Account | undefined;
	choose: (slug: string) => void;
}

/** The price list. Names, prices, savings and allowances come from the package. */
export function Plans({ account, choose }: Props) {
	const current = account && sessionProps(account, Date.now()).plan;
	const [considered, consider] = useState<Plan>();
	const paidBy = account?.entitlement.interval;
	const [chosen, chooseInterval] = useState<Interval>();
	const interval = chosen ?? paidBy ?? "month";
	/** Whether it is what they have already, paid as they pay. */
	const isTheirs = (plan: Plan) =>
		plan.id === current && (paidBy === undefined || paidBy === interval || plan.prices.length === 0);
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
			<ul className="plans">
				{plans().map((plan) => (
					<li key={plan.id} id={`plan-${plan.id}`} className={plan.id === current ? "plan current" : "plan"}>
						<h3>{plan.name}</h3>
						{plan.id === current && <p className="badge">Your plan</p>}
						<PriceTag plan={plan} interval={interval} />
						<p className="allowance">{allowance(plan)}</p>
						<p>{plan.description}</p>
						<ul className="features">
							{plan.features.map((feature) => (
								<li key={feature}>{feature}</li>
							))}
						</ul>
						{account && !isTheirs(plan) && (plan.prices.length > 0 || plan.id === "free") && (
							<button
								type="button"
								aria-label={plan.id === current ? `Pay by the ${interval}` : `Change to ${plan.name}`}
								onClick={() => consider(plan)}
							>
								{plan.id === current ? `Pay by the ${interval}` : "Change"}
							</button>
						)}
						{account && considered?.id === plan.id && !isTheirs(plan) && (
							<Change account={account} plan={plan} interval={interval} />
						)}
						{current === undefined && plan.prices.length > 0 && (
							<button type="button" aria-label={`Choose ${plan.name}`} onClick={() => choose(plan.slug)}>
								Choose
							</button>
						)}
					</li>
				))}
			</ul>
		</section>
	);
}

/** What a change would do, in the words of the code that does it, and the way to it. */
function Change({ account, plan, interval }: { account: Account; plan: Plan; interval: Interval }) {
	const [problem, setProblem] = useState<string>();
	const to = plan.id === "free" ? { plan: plan.slug } : { plan: plan.slug, interval };
	const preview = previewChange(account, to, Date.now());

	/** Paying and changing are done at Stripe: whoever has a subscription changes it in the portal. */
	const go = async () => {
		setProblem(undefined);
		const pays = account.entitlement.standing !== "free";
		const response = await fetch(pays ? "/api/billing/portal" : "/api/billing/checkout", {
			method: "POST",
			headers: { Authorization: `Bearer ${token()}`, "Content-Type": "application/json" },
			body: JSON.stringify(pays ? { returnUrl: page() } : { ...to, successUrl: page(), cancelUrl: page() }),
		}).catch(() => undefined);
		const body = (await response?.json().catch(() => undefined)) as { url?: string; detail?: string } | undefined;
		if (response?.ok && body?.url !== undefined) {
			location.assign(body.url);
		} else {
			setProblem(body?.detail ?? "The gateway cannot be reached. Please try again.");
		}
	};

	return (
		<div className="change" role="status">
			<p>{preview.text}</p>
			<button type="button" className="primary" onClick={go}>
				{plan.id === "free" ? "Cancel the subscription" : `Go on with ${plan.name}`}
			</button>
			{problem !== undefined && <p role="alert">{problem}</p>}
		</div>
	);
}

const page = () => `${location.origin}/`;

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
