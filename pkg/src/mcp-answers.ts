// What a tool call is answered that was not made, or not in time.

import { ProblemError, QuotaExceeded } from "legis-edge/client";
import { DECISION } from "./facts.ts";
import type { Decision, TextContent } from "./types.ts";

/** A tool's result that says what went wrong. */
export interface FailedResult {
	isError: true;
	content: [TextContent];
	structuredContent?: Decision;
	_meta?: Record<typeof DECISION, Decision>;
}

/** It is not known who calls. */
export class UnknownCaller extends Error {
	override readonly name = "UnknownCaller";

	constructor(cause: unknown) {
		super("It is not known who makes the call.", { cause });
	}
}

/** The result with this text. */
export function failed(text: string): FailedResult {
	return { isError: true, content: [{ type: "text", text }] };
}

/** The result of a call that was not admitted, because of `error`. */
export function notAdmitted(error: unknown, hasOutputSchema: boolean): FailedResult {
	if (error instanceof QuotaExceeded) {
		const { decision } = error;
		const said = failed(decision.message);
		// Clients hold `structuredContent` to the tool's output schema, errors too.
		return hasOutputSchema ? { ...said, _meta: { [DECISION]: decision } } : { ...said, structuredContent: decision };
	}
	return failed(`The tool was not run. ${why(error)}`);
}

function why(error: unknown): string {
	if (error instanceof UnknownCaller) {
		return error.message;
	}
	if (!(error instanceof ProblemError) || error.status >= 500 || error.status === 429) {
		const wait = error instanceof ProblemError && error.retryAfter ? `in ${error.retryAfter} seconds` : "later";
		return `Metering is unavailable; try again ${wait}.`;
	}
	switch (error.status) {
		case 401:
			return `The access token is not accepted: ${error.message}`;
		case 403:
			return `The access token does not allow it: ${error.message}`;
		default:
			return `The call cannot be metered: ${error.message}`;
	}
}
