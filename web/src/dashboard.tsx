import { type Plan, plan } from "legis-edge";
import { type Client, QuotaExceeded } from "legis-edge/client";
import { useEffect, useState } from "react";
import { UsageBar } from "./usage-bar.tsx";
import { isKnown, useAccount } from "./use-account.ts";

const CALLS = [
	{ label: "Bills on infrastructure", path: "/api/bills?q=infrastructure" },
	{ label: "Senators", path: "/api/members?chamber=Senate" },
	{ label: "House votes", path: "/api/votes?chamber=House" },
	{ label: "Committees", path: "/api/committees" },
] as const;

interface Props {
	client: Client;
	/** The gateway follows other rules than the page. */
	stale: boolean;
}

type Answer =
	| { kind: "data"; path: string; text: string }
	| { kind: "refused"; where: "page" | "gateway"; message: string; plan?: Plan }
	| { kind: "failed"; message: string };

/** What is left, and a call to try it with. */
export function Dashboard({ client, stale }: Props) {
	const account = useAccount(client);
	const [path, setPath] = useState<string>(CALLS[0].path);
	const [answer, setAnswer] = useState<Answer>();
	const [busy, setBusy] = useState(false);

	// What was refused on another plan says nothing any more.
	const version = account?.entitlement.version;
	// biome-ignore lint/correctness/useExhaustiveDependencies: it is what changes
	useEffect(() => setAnswer(undefined), [version]);

	/** The client decides first: a call that the gateway would refuse is not sent, unless one insists. */
	const call = async (insist: boolean) => {
		if (busy) {
			return;
		}
		setBusy(true);
		try {
			const response = await client.call(path, { insist });
			setAnswer(
				response.ok
					? { kind: "data", path, text: await readable(response) }
					: { kind: "failed", message: `The data service answered ${response.status}.` },
			);
		} catch (error) {
			setAnswer(
				error instanceof QuotaExceeded ? refused(error) : { kind: "failed", message: (error as Error).message },
			);
		} finally {
			setBusy(false);
		}
	};

	if (account === undefined) {
		return null;
	}
	const known = isKnown(account, client.now());
	return (
		<section className="dashboard" aria-labelledby="usage-title">
			<h1 id="usage-title">Hello{account.user.name ? `, ${account.user.name}` : ""}</h1>
			{(stale || !known) && (
				<p className="banner" role="status">
					The rules have changed since this page was loaded. <a href="/">Load it again</a>.
				</p>
			)}
			{known && <UsageBar account={account} now={client.now()} />}
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
				<button type="button" className="primary" aria-disabled={busy} onClick={() => call(false)}>
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
							<button type="button" className="quiet" aria-disabled={busy} onClick={insist}>
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

/** JSON laid out for people; anything else as it is. */
async function readable(response: Response): Promise<string> {
	const text = await response.text();
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}

function refused({ decision, problem }: QuotaExceeded): Answer {
	const suggested = decision.suggestedPlan && plan(decision.suggestedPlan);
	return {
		kind: "refused",
		where: problem === undefined ? "page" : "gateway",
		message: decision.message,
		...(suggested ? { plan: suggested } : {}),
	};
}
