// One tool call: admitted, run, settled.

import { QuotaExceeded } from "legis-edge/client";
import type { Client, Reservation } from "./client.ts";
import { failed, notAdmitted, UnknownCaller } from "./mcp-answers.ts";
import { type Ending, isFailure, type Outcome, settlementOf } from "./mcp-ending.ts";

/** What is known of a call before it is made, and what it is told to. */
export interface CallTerms {
	tool: string;
	arguments: unknown;
	/** Aborts when the caller gives up. */
	signal: AbortSignal;
	cost: number | undefined;
	timeoutMs: number | undefined;
	errorsAreCharged: boolean;
	secret: ReadonlySet<string>;
	waitUntil: ((settlement: Promise<void>) => void) | undefined;
	/** Hears of what failed; the call's id where it has one. */
	report: (error: unknown, call?: string) => void;
}

/** Runs a tool; with a signal, the tool is given that one. */
type Run = (signal?: AbortSignal) => Promise<unknown>;

/** A call that is metered. */
export function meteredCall(terms: CallTerms) {
	let admitted: { client: Client; reservation: Reservation; since: number } | undefined;
	let turnedAway = false;
	let ending: Ending | undefined;

	async function admit(clientOf: () => Promise<Client>): Promise<void> {
		const client = await clientOf().catch((error) => {
			throw new UnknownCaller(error);
		});
		const { tool, cost } = terms;
		// Without the caller's signal: a reservation whose id is not heard of could not be taken back.
		const reservation = await client.reserve({ tool, ...(cost === undefined ? {} : { cost }) });
		admitted = { client, reservation, since: performance.now() };
	}

	return {
		/** Admits the call and runs the tool. A tool that asks its caller something is run more than once, and admitted once. */
		async run(clientOf: () => Promise<Client>, hasOutputSchema: boolean, run: Run): Promise<unknown> {
			terms.signal.throwIfAborted();
			if (admitted === undefined) {
				try {
					await admit(clientOf);
				} catch (error) {
					turnedAway = true;
					if (!(error instanceof QuotaExceeded)) {
						terms.report(error);
					}
					return notAdmitted(error, hasOutputSchema);
				}
			}
			ending = terms.signal.aborted ? { type: "cancelled", ran: false } : await race(run, terms);
			switch (ending.type) {
				case "answered":
					return ending.result;
				case "threw":
					throw ending.error;
				case "late":
					return failed(`The tool did not answer within ${ending.millis / 1_000} seconds.`);
				case "cancelled":
					throw terms.signal.reason;
			}
		},

		/** Settles the call, and answers the request; not with what no one was charged for. */
		async end(outcome: Outcome): Promise<unknown> {
			if (admitted !== undefined && ending !== undefined) {
				const { client, reservation, since } = admitted;
				const said = settlementOf(ending, outcome, { ...terms, millis: performance.now() - since });
				const settled = client.settle(reservation.id, said).catch((error) => terms.report(error, reservation.id));
				if (terms.waitUntil === undefined) {
					await settled;
				} else {
					try {
						Promise.resolve(terms.waitUntil(settled)).catch((error) => terms.report(error, reservation.id));
					} catch (error) {
						// The tool ran and is paid for: its answer is not lost over this, and the settlement goes on.
						terms.report(error, reservation.id);
					}
				}
			} else if (!turnedAway && outcome.type === "result" && !isFailure(outcome.result)) {
				terms.report(new Error("A tool was run past its meter; its result is withheld."));
				return failed("The result is withheld, because the call was not metered.");
			}
			if (outcome.type === "error") {
				throw outcome.error;
			}
			return outcome.result;
		},
	};
}

/** How the tool ends, unless the caller gives up or its time is over before; its signal tells it either. */
function race(run: Run, { signal, timeoutMs }: CallTerms): Promise<Ending> {
	const stop = new AbortController();
	return new Promise<Ending>((resolve) => {
		const giveUp = () => {
			resolve({ type: "cancelled", ran: true });
			stop.abort(signal.reason);
		};
		signal.addEventListener("abort", giveUp, { once: true });
		const timer =
			timeoutMs === undefined
				? undefined
				: setTimeout(() => {
						resolve({ type: "late", millis: timeoutMs });
						stop.abort(new DOMException("The tool took too long.", "TimeoutError"));
					}, timeoutMs);
		run(timeoutMs === undefined ? undefined : stop.signal)
			.then(
				(result) => resolve({ type: "answered", result }),
				(error) => resolve({ type: "threw", error }),
			)
			.finally(() => {
				clearTimeout(timer);
				signal.removeEventListener("abort", giveUp);
			});
	});
}
