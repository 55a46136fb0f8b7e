import { type Account, type Decision, decide, meter, type Plan, plan, sessionProps } from "legis-edge";
import { useState } from "react";
import { token } from "./session.ts";

const CALLS = [
	{ label: "Bills on infrastructure", path: "/api/bills?q=infrastructure" },
	{ label: "Senators", path: "/api/members?chamber=Senate" },
	{ label: "House votes", path: "/api/votes?chamber=House" },
	{ label: "Committees", path: "/api/committees" },
] as const;

interface Props {
	account: Account;
	stale: boolean;
	refresh: () => Promise<void>;
}

type Answer =
	| { kind: "data"; path: string; text: string }
	| { kind: "refused"; where: "page" | "gateway"; message: string; plan?: Plan }
	| { kind: "failed"; message: string };

/** What is left, and a call to try it with. */
export function Dashboard({ account, stale, refresh }: Props) {
	const [path, setPath] = useState<string>(CALLS[0].path);
	const [answer, setAnswer] = useState<Answer>();
	const [busy, setBusy] = useState(false);

	/** Decides here first: a call that the gateway would refuse is not sent, unless one insists. */
	const call = async (insist: boolean) => {
		const decision = decide(account, Date.now());
		if (decision.type === "refuse" && !insist) {
			setAnswer(refused(decision, "page"));
			return;
		}
		setBusy(true);
		try {
			setAnswer(await send(path));
			await refresh();
		} catch {
			setAnswer({ kind: "failed", message: "The gateway cannot be reached. Please try again." });
		} finally {
			setBusy(false);
		}
	};

	return (
		<section className="dashboard" aria-labelledby="usage-title">
			<h1 id="usage-title">Hello{account.user.name ? `, ${account.user.name}` : ""}</h1>
			{stale && (
				<p className="banner" role="status">
					The rules have changed since this page was loaded. <a href="/">Load it again</a>.
				</p>
			)}
			<UsageBar account={account} />
			<div className="try">
				<div className="field">
					<label htmlFor="path">Ask for</label>
					<select id="path" value={path} onChange={(event) => setPath(event.target.value)}>
						{CALLS.map((each) => (
							<option key={each.path} value={each.path}>
								{each.label}
							</option>
						))}
					</select>
				</div>
				<button type="button" className="primary" disabled={busy} onClick={() => call(false)}>
					{busy ? "Asking …" : "Make a call"}
				</button>
				<p className="note">
					<code>GET {path}</code> costs one call.
				</p>
			</div>
			<div aria-live="polite">
				{answer !== undefined && <Shown answer={answer} insist={() => call(true)} busy={busy} />}
			</div>
		</section>
	);
}

function UsageBar({ account }: { account: Account }) {
	const usage = meter(account, Date.now());
	const name = plan(sessionProps(account, Date.now()).plan)?.name;
	const next = account.entitlement.changes?.find((change) => Date.parse(change.at) > Date.now());
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
					{new Date(next.at).toLocaleDateString("en", { dateStyle: "long", timeZone: "UTC" })}.
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

function Shown({ answer, insist, busy }: { answer: Answer; insist: () => void; busy: boolean }) {
	switch (answer.kind) {
		case "data":
			return (
				<figure className="answer">
					<figcaption>
						<code>200 GET {answer.path}</code>
					</figcaption>
					{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
					<pre tabIndex={0}>
						<code>{answer.text}</code>
					</pre>
				</figure>
			);
		case "refused":
			return (
				<div className="answer refused">
					<h2>The call was refused</h2>
					<p>{answer.message}</p>
					<p className="note">
						{answer.where === "page" ? "Decided in your browser: nothing was sent." : "Answered by the gateway: 429."}
					</p>
					<p className="actions">
						{answer.plan && (
							<a className="button" href={`#plan-${answer.plan.id}`}>
								See {answer.plan.name}
							</a>
						)}
						{answer.where === "page" && (
							<button type="button" className="quiet" disabled={busy} onClick={insist}>
								Send it all the same
							</button>
						)}
					</p>
				</div>
			);
		case "failed":
			return (
				<p className="answer refused" role="alert">
					{answer.message}
				</p>
			);
	}
}

async function send(path: string): Promise<Answer> {
	const response = await fetch(path, { headers: { Authorization: `Bearer ${token()}` } });
	if (response.ok) {
		return { kind: "data", path, text: await readable(response) };
	}
	const body = (await response.json().catch(() => ({}))) as { detail?: string; decision?: Decision };
	if (body.decision?.type === "refuse") {
		return refused(body.decision, "gateway");
	}
	return { kind: "failed", message: body.detail ?? `The gateway answered ${response.status}.` };
}

/** JSON laid out for people; anything else as it is. */
async function readable(response: Response): Promise<string> {
	const text = await response.text();
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}

function refused(decision: Decision & { type: "refuse" }, where: "page" | "gateway"): Answer {
	const suggested = decision.suggestedPlan && plan(decision.suggestedPlan);
	return {
		kind: "refused",
		where,
		message: decision.message,
		...(suggested ? { plan: suggested } : {}),
	};
}
