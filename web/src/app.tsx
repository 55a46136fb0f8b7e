import type { Account } from "legis-edge";
import { useCallback, useEffect, useState } from "react";
import { Dashboard } from "./dashboard.tsx";
import { Plans } from "./plans.tsx";
import { agrees, finishSignIn, signOut, token } from "./session.ts";
import { SignUp } from "./sign-up.tsx";

type State = { at: "starting" } | { at: "visitor"; error?: string } | { at: "user"; account: Account; stale: boolean };

/** The page: plans and sign-up for visitors, usage for users. */
export function App() {
	const [state, setState] = useState<State>({ at: "starting" });
	const [plan, choosePlan] = useState("free");

	const refresh = useCallback(async (inBackground = false) => {
		const bearer = token();
		if (bearer === undefined) {
			setState({ at: "visitor" });
			return;
		}
		const response = await fetch("/api/account", { headers: { Authorization: `Bearer ${bearer}` } });
		// Whoever signed out meanwhile, or signed in as somebody else, is not shown this one's account.
		if (bearer !== token()) {
			return;
		}
		if (response.status === 401) {
			signOut();
			setState({ at: "visitor", error: "Your session has ended. Please sign in again." });
			return;
		}
		if (!response.ok) {
			// What does not answer now may in a moment; what is shown still holds.
			if (inBackground) {
				return;
			}
			const problem = (await response.json()) as { detail: string };
			setState({ at: "visitor", error: problem.detail });
			return;
		}
		const account = (await response.json()) as Account;
		setState({ at: "user", account, stale: !agrees(response) });
	}, []);

	useEffect(() => {
		begin()
			.then(() => refresh())
			.catch((error: Error) => setState({ at: "visitor", error: error.message }));
	}, [refresh]);

	// What is paid at Stripe shows here without a reload.
	const at = state.at;
	useEffect(() => {
		if (at !== "user") {
			return;
		}
		const look = () => {
			if (document.visibilityState === "visible") {
				refresh(true).catch(() => {});
			}
		};
		const timer = setInterval(look, 3_000);
		document.addEventListener("visibilitychange", look);
		return () => {
			clearInterval(timer);
			document.removeEventListener("visibilitychange", look);
		};
	}, [at, refresh]);

	const leave = () => {
		signOut();
		setState({ at: "visitor" });
	};

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
						<button type="button" className="quiet" onClick={leave}>
							Sign out
						</button>
					) : (
						<a href="#sign-up">Sign up</a>
					)}
				</nav>
			</header>
			<main id="main">
				{state.at === "user" ? (
					<Dashboard account={state.account} stale={state.stale} refresh={refresh} />
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
				<Plans
					account={state.at === "user" ? state.account : undefined}
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

let begun: Promise<void> | undefined;

/** Once, however often React mounts the page: an authorization code can be used a single time. */
function begin(): Promise<void> {
	begun ??= finishSignIn().then(async (pending) => {
		if (pending === undefined) {
			return;
		}
		const { email, name, plan } = pending;
		const response = await fetch("/api/users/register", {
			method: "POST",
			headers: { Authorization: `Bearer ${token()}`, "Content-Type": "application/json" },
			body: JSON.stringify({ email, name, plan, source: "web" }),
		});
		if (!response.ok) {
			throw new Error(((await response.json()) as { detail: string }).detail);
		}
	});
	return begun;
}
