import { type Client, createClient } from "legis-edge/client";
import { useCallback, useEffect, useState } from "react";
import { Dashboard } from "./dashboard.tsx";
import { Plans } from "./plans.tsx";
import { finishSignIn, type Pending, signOut, token, type Wish } from "./session.ts";
import { SignUp } from "./sign-up.tsx";
import { isKnown, isOver, LOOK_EVERY, useAccount, useNews } from "./use-account.ts";

type State = { at: "starting"; error?: string } | { at: "visitor"; error?: string } | { at: "user" };

const OVER = "Your session has ended. Please sign in again.";

/** A client for whoever is signed in now; another user has another. */
const newClient = (mismatch: () => void) =>
	createClient({ baseUrl: "", token: () => token() ?? "", onContractMismatch: mismatch });

/** The page: plans and sign-up for visitors, usage for users. */
export function App() {
	const [state, setState] = useState<State>({ at: token() === undefined && !isBack() ? "visitor" : "starting" });
	const [stale, setStale] = useState(false);
	const [client, setClient] = useState(() => newClient(() => setStale(true)));
	const [wish, setWish] = useState<Wish>({ plan: "free", interval: "month" });

	useEffect(() => {
		let again: ReturnType<typeof setTimeout> | undefined;
		let isGone = false;
		let attempts = 0;
		const start = async () => {
			const wished = await begin(client);
			if (token() === undefined) {
				// What is said to who has just been signed out stays.
				setState((before) => (before.at === "visitor" ? before : { at: "visitor" }));
				return;
			}
			await client.account();
			if (isGone) {
				return;
			}
			if (wished !== undefined) {
				setWish(wished);
			}
			setState({ at: "user" });
		};
		const attempt = () =>
			start().catch((error: Error) => {
				if (isGone) {
					return;
				}
				if (isOver(error)) {
					signOut();
				}
				if (token() === undefined) {
					setState({ at: "visitor", error: isOver(error) ? OVER : error.message });
				} else {
					// Who is signed in stays so: a gateway that does not answer now may in a moment.
					setState({ at: "starting", error: error.message });
					again = setTimeout(attempt, LOOK_EVERY * 2 ** Math.min(attempts++, 5));
				}
			});
		attempt();
		return () => {
			isGone = true;
			clearTimeout(again);
		};
	}, [client]);

	/** The next user has a client of their own, which knows nothing of this one. */
	const leave = useCallback((error?: string) => {
		signOut();
		begun = undefined;
		pending = undefined;
		setState({ at: "visitor", ...(error === undefined ? {} : { error }) });
		setClient(newClient(() => setStale(true)));
		document.getElementById("main")?.focus();
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
					{state.at !== "visitor" && token() !== undefined ? (
						<button type="button" className="quiet" onClick={() => leave()}>
							Sign out
						</button>
					) : (
						state.at === "visitor" && <a href="#sign-up">Sign up</a>
					)}
				</nav>
			</header>
			<main id="main" tabIndex={-1}>
				{state.at === "starting" && (
					<div className="starting" role="status">
						<h1>{state.error === undefined ? "One moment …" : `${state.error} Trying again …`}</h1>
					</div>
				)}
				{state.at === "user" && (
					<>
						<Dashboard client={client} stale={stale} />
						<OwnPlans client={client} wish={wish} />
					</>
				)}
				{state.at === "visitor" && (
					<>
						<Hero />
						<Plans
							account={undefined}
							now={Date.now}
							wish={wish}
							visitor={{ wish: setWish, goOn: () => document.getElementById("email")?.focus() }}
						/>
						<SignUp wish={wish} choose={setWish} error={state.error} />
					</>
				)}
			</main>
			<footer>
				Prices in US dollars, without tax. Every figure on this page is computed by the code that enforces it.
			</footer>
		</>
	);
}

function Hero() {
	return (
		<section className="hero">
			<h1>The record of Congress, one call away</h1>
			<p>
				Bills, members, votes and committees for your code and your AI agents. One allowance for API and MCP, counted
				exactly, and never a surprise on the bill.
			</p>
			<pre>
				<code>
					<b>GET</b> /api/bills?q=infrastructure{"\n"}
					<b>200</b> Infrastructure Investment and Jobs Act{"\n"}
					<i>RateLimit: "plan";r=99</i>
				</code>
			</pre>
		</section>
	);
}

/** The plans beside what is known of the user; without what is to be decided about, when that is not understood here. */
function OwnPlans({ client, wish }: { client: Client; wish: Wish }) {
	const account = useAccount(client);
	const known = account !== undefined && isKnown(account, client.now()) ? account : undefined;
	return <Plans account={known} now={client.now} wish={wish} visitor={undefined} />;
}

/** Whether somebody comes back from the issuer. */
const isBack = () => /[?&](code|error)=/.test(location.search);

let begun: Promise<Wish | undefined> | undefined;
/** Who has signed in and is not registered yet. */
let pending: Pending | undefined;

/** Once, however often React mounts the page: an authorization code can be used a single time. What was wished before. */
function begin(client: Client): Promise<Wish | undefined> {
	const attempt = async () => {
		pending ??= await finishSignIn();
		if (pending === undefined) {
			return undefined;
		}
		const { email, name, plan, interval } = pending;
		await client.register({ email, source: "web", plan, ...(name === undefined ? {} : { name }) });
		pending = undefined;
		return { plan, interval };
	};
	begun ??= attempt();
	begun.catch(() => {
		begun = undefined;
	});
	return begun;
}
