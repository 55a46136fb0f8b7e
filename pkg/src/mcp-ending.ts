// How a metered tool call ended, as the gateway is told.

import { schemas, validate } from "legis-edge";
import { record, redacted, short, unrecorded } from "./mcp-record.ts";
import type { CallSettlement } from "./types.ts";

/** How a tool ended. */
export type Ending =
	| { type: "answered"; result: unknown }
	| { type: "threw"; error: unknown }
	| { type: "late"; millis: number }
	| { type: "cancelled"; ran: boolean };

/** What became of the request: the SDK may refuse what the tool answered. */
export type Outcome = { type: "result"; result: unknown } | { type: "error"; error: unknown };

/** What else is said of a call. */
export interface Circumstances {
	arguments: unknown;
	millis: number;
	/** Whether a result that is an error is paid for. */
	errorsAreCharged: boolean;
	secret: ReadonlySet<string>;
}

type Verdict = Pick<CallSettlement, "status" | "fault" | "errorMessage">;

const LONGEST_MESSAGE = 2_000;
const DAY_MILLIS = 86_400_000;

/** The settlement of a call; without what is kept of it when that cannot be made, because how it ended must be told. */
export function settlementOf(ending: Ending, outcome: Outcome, about: Circumstances): CallSettlement {
	try {
		return detailed(ending, outcome, about);
	} catch {
		const { status, fault } = verdict(ending, outcome, about.errorsAreCharged);
		return { status, ...(fault === undefined ? {} : { fault }) };
	}
}

function detailed(ending: Ending, outcome: Outcome, about: Circumstances): CallSettlement {
	const answer = ending.type === "answered" && outcome.type === "result" ? outcome.result : undefined;
	const requestData = record(about.arguments, about.secret);
	const responseData = record(answer, about.secret);
	const tokensUsed = tokensOf(answer);
	const said: CallSettlement = {
		...withoutSecrets(verdict(ending, outcome, about.errorsAreCharged), about.secret),
		responseTimeMs: Math.min(Math.max(Math.round(about.millis), 0), DAY_MILLIS),
		...(isObject(requestData) ? { requestData } : {}),
		...(responseData === undefined ? {} : { responseData }),
		...(tokensUsed === undefined ? {} : { tokensUsed }),
	};
	if (validate(schemas.callSettlement, said).ok) {
		return said;
	}
	// How it ended must not be lost over what is kept of it.
	return {
		...said,
		...(isObject(requestData) ? { requestData: { ...unrecorded(requestData) } } : {}),
		...(responseData === undefined ? {} : { responseData: unrecorded(responseData) }),
	};
}

/** Whether a tool's result says that it failed. */
export function isFailure(result: unknown): boolean {
	return isObject(result) && result.isError === true;
}

function verdict(ending: Ending, outcome: Outcome, errorsAreCharged: boolean): Verdict {
	switch (ending.type) {
		case "cancelled":
			// A caller who hangs up has been served, unless the tool had not begun.
			return error(ending.ran ? "caller" : "service", "cancelled by the caller");
		case "late":
			return { status: "timeout", errorMessage: `no answer within ${ending.millis} ms` };
		case "threw":
			return error("service", messageOf(ending.error));
		case "answered":
			break;
	}
	if (outcome.type === "error") {
		return error("service", messageOf(outcome.error));
	}
	if (isFailure(ending.result)) {
		return error(errorsAreCharged ? "caller" : "service", textOf(ending.result));
	}
	if (isFailure(outcome.result)) {
		// What the tool answered is not what it promises.
		return error("service", textOf(outcome.result));
	}
	// The call is made again with what was asked for, and paid for then.
	return asksForInput(outcome.result) ? error("service", "asked for input") : { status: "success" };
}

function error(fault: "caller" | "service", message: string): Verdict {
	return { status: "error", fault, errorMessage: message };
}

function withoutSecrets({ errorMessage, ...rest }: Verdict, secret: ReadonlySet<string>): Verdict {
	return errorMessage === undefined
		? rest
		: { ...rest, errorMessage: short(redacted(errorMessage, secret), LONGEST_MESSAGE) };
}

/** What a tool threw may be anything. */
function messageOf(error: unknown): string {
	const said: unknown = error instanceof Error ? error.message : error;
	return typeof said === "string" ? said : "the tool failed";
}

/** The first text of a result. */
function textOf(result: unknown): string {
	const content = isObject(result) && Array.isArray(result.content) ? (result.content as unknown[]) : [];
	const first = content.find((block) => isObject(block) && typeof block.text === "string");
	return isObject(first) ? (first.text as string) : "the tool reported an error";
}

function asksForInput(result: unknown): boolean {
	return isObject(result) && result.resultType === "input_required";
}

/** What the result says of tokens in its `_meta`, as `tokens` in `core/src/mcp/answer.rs` reads it. */
function tokensOf(result: unknown): number | undefined {
	const meta = isObject(result) && isObject(result._meta) ? result._meta : {};
	const usage = isObject(meta.usage) ? meta.usage : {};
	const [input, output] = [whole(usage.input_tokens), whole(usage.output_tokens)];
	const sum = input === undefined || output === undefined ? undefined : whole(input + output);
	return whole(meta.tokensUsed) ?? whole(usage.total_tokens) ?? whole(usage.totalTokens) ?? sum;
}

function whole(tokens: unknown): number | undefined {
	return (tokens as number) >>> 0 === tokens ? tokens : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
