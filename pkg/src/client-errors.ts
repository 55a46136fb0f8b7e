// What goes wrong between a client and the gateway, in types.

import { HEADERS } from "./facts.ts";
import type { Decision, ProblemDocument } from "./types.ts";

/** The gateway answered with a problem (RFC 9457). */
export class ProblemError extends Error {
	override readonly name: string = "ProblemError";
	/** The HTTP status. */
	readonly status: number;
	/** The kind of problem, for programs. */
	readonly code: string;
	/** The whole document, as it came. */
	readonly problem: ProblemDocument;
	/** After how many seconds trying again may help. */
	readonly retryAfter: number | undefined;

	constructor(status: number, problem: ProblemDocument, retryAfter?: number) {
		super(problem.detail);
		this.status = status;
		this.code = problem.code;
		this.problem = problem;
		this.retryAfter = retryAfter;
	}
}

/** Nothing is left. Thrown before a call is sent, and when the gateway says so. */
export class QuotaExceeded extends Error {
	override readonly name = "QuotaExceeded";
	/** Why, how much was used, when it renews, and which plan would do. */
	readonly decision: Decision & { type: "refuse" };
	/** The gateway's document; absent when the call was not sent. */
	readonly problem: ProblemDocument | undefined;

	constructor(decision: Decision & { type: "refuse" }, problem?: ProblemDocument) {
		super(decision.message);
		this.decision = decision;
		this.problem = problem;
	}
}

/** The gateway could not be reached, or its answer broke off: whether it acted is not known. */
export class Unreachable extends Error {
	override readonly name = "Unreachable";
	/** With this key, as `idempotencyKey`, the same call can be made again, and is charged once. */
	readonly idempotencyKey: string | undefined;

	constructor(cause: unknown, idempotencyKey?: string) {
		super("The gateway cannot be reached.", { cause });
		this.idempotencyKey = idempotencyKey;
	}
}

/** The error that an answer is, with this body. */
export function problemOf(response: Response, body: unknown): ProblemError | QuotaExceeded {
	const problem = {
		type: "about:blank",
		title: response.statusText,
		status: response.status,
		detail: `The gateway answered ${response.status}.`,
		code: "unknown",
		...(body as Partial<ProblemDocument> | undefined),
	} as ProblemDocument;
	if (problem.decision?.type === "refuse") {
		return new QuotaExceeded(problem.decision, problem);
	}
	const after = Number(response.headers.get(HEADERS.retryAfter) ?? Number.NaN);
	return new ProblemError(response.status, problem, Number.isNaN(after) ? undefined : after);
}
