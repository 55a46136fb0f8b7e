import { type Plan, type PlanId, plans } from "legis-edge";
import { useState } from "react";

type Interval = "month" | "year";

interface Props {
	current: PlanId | undefined;
	choose: (slug: string) => void;
}

/** The price list. Names, prices, savings and allowances come from the package. */
export function Plans({ current, choose }: Props) {
	const [interval, setInterval] = useState<Interval>("month");
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
								onChange={() => setInterval(each)}
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
