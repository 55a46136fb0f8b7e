import { type Account, meter, plan, sessionProps } from "legis-edge";

/** What is left, in figures and words that the package computes. */
export function UsageBar({ account, now }: { account: Account; now: number }) {
	const usage = meter(account, now);
	const name = plan(sessionProps(account, now).plan)?.name;
	const next = account.entitlement.changes?.find((change) => Date.parse(change.at) > now);
	return (
		<div className={`usage ${usage.level}`}>
			<p className="usage-head" aria-live="polite">
				<strong>{name}</strong>
				<span>{usage.text}</span>
			</p>
			{account.entitlement.standing === "past_due" && (
				<p className="note">A payment is due. Please look at your means of payment.</p>
			)}
			{next && (
				<p className="note">
					{plan(next.plan)?.name} begins on{" "}
					{new Date(next.at).toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" })}.
				</p>
			)}
			<div
				className="track"
				role="progressbar"
				aria-label="Calls used"
				aria-valuemin={0}
				aria-valuemax={100}
				aria-valuenow={usage.percent}
				aria-valuetext={usage.text}
			>
				<div style={{ width: `${usage.percent}%` }} />
			</div>
		</div>
	);
}
