import { type Client, createClient } from "legis-edge/client";
import { useCallback, useEffect, useState } from "react";
import { Dashboard } from "./dashboard.tsx";
import { Plans } from "./plans.tsx";
import { finishSignIn, signOut, token } from "./session.ts";
import { SignUp } from "./sign-up.tsx";
import { isOver, useAccount, useNews } from "./use-account.ts";

type State = { at: "starting" } | { at: "visitor"; error?: string } | { at: "user" };

const OVER = "Your session has ended. Please sign in again.";

/** A client for whoever is signed in now; another user has another. */
const newClient = (mismatch: () => void) =>
	createClient({ baseUrl: "", token: () => token() ?? "", onContractMismatch: mismatch });

/** The page: plans and sign-up for visitors, usage for users. */
export function App() {
	const [state, setState] = useState<State>({ at: "starting" });
	const [stale, setStale] = useState(false);
	const [client, setClient] = useState(() => newClient(() => setStale(true)));
	const [plan, choosePlan] = useState("free");

	useEffect(() => {
		const start = async () => {
			await begin(client);
			if (token() === undefined) {
				// What is said to who has just been signed out stays.
				setState((before) => (before.at === "visitor" ? before : { at: "visitor" }));
				return;
			}
			await client.account();
			setState({ at: "user" });
		};
		start().catch((error: Error) => {
			if (isOver(error)) {
				signOut();
			}
			setState({ at: "visitor", error: isOver(error) ? OVER : error.message });
		});
	}, [client]);

	/** The next user has a client of their own, which knows nothing of this one. */
	const leave = useCallback((error?: string) => {
		signOut();
		setState({ at: "visitor", ...(error === undefined ? {} : { error }) });
		setClient(newClient(() => setStale(true)));
	}, []);
	const end = useCallback(() => leave(OVER), [leave]);
	useNews(client, state.at === "user", end);

	return (
		<>
			<a className="skip" href="#main">
				Skip to content
			</a>
			<header className="bar">
				<p className="brand">
					<svg viewBox="0 0 32 32" aria-hidden="true">
						<path d="M16 3 3 10v3h26v-3zM6 15h3v9H6zm8.5 0h3v9h-3zM23 15h3v9h-3zM3 26h26v3H3z" />
					</svg>
					Legis
				</p>
				<nav aria-label="Page">
					<a href="#plans">Plans</a>
					{state.at === "user" ? (
						<button type="button" className="quiet" onClick={() => leave()}>
							Sign out
						</button>
					) : (
						<a href="#sign-up">Sign up</a>
					)}
				</nav>
			</header>
			<main id="main">
				{state.at === "user" ? (
					<Dashboard client={client} stale={stale} />
				) : (
					<section className="hero">
						<h1>The record of Congress, one call away</h1>
						<p>
							Bills, members, votes and committees for your code and your AI agents. One allowance for API and MCP,
							counted exactly, and never a surprise on the bill.
						</p>
						<pre>
							<code>
								<b>GET</b> /api/bills?q=infrastructure{"\n"}
								<b>200</b> Infrastructure Investment and Jobs Act{"\n"}
								<i>RateLimit: "plan";r=99</i>
							</code>
						</pre>
					</section>
				)}
				<PlansOf
					client={state.at === "user" ? client : undefined}
					choose={(slug) => {
						choosePlan(slug);
						document.getElementById("email")?.focus();
					}}
				/>
				{state.at === "visitor" && <SignUp plan={plan} choosePlan={choosePlan} error={state.error} />}
			</main>
			<footer>
				Prices in US dollars, without tax. Every figure on this page is computed by the code that enforces it.
			</footer>
		</>
	);
}

function PlansOf({ client, choose }: { client: Client | undefined; choose: (slug: string) => void }) {
	return client === undefined ? (
		<Plans account={undefined} choose={choose} />
	) : (
		<OwnPlans client={client} choose={choose} />
	);
}

function OwnPlans({ client, choose }: { client: Client; choose: (slug: string) => void }) {
	return <Plans account={useAccount(client)} choose={choose} />;
}

let begun: Promise<void> | undefined;

/** Once, however often React mounts the page: an authorization code can be used a single time. */
function begin(client: Client): Promise<void> {
	begun ??= finishSignIn().then(async (pending) => {
		if (pending === undefined) {
			return;
		}
		const { email, name, plan } = pending;
		await client.register({
			email,
			source: "web",
			...(name === undefined ? {} : { name }),
			...(plan === undefined ? {} : { plan }),
		});
	});
	return begun;
}
