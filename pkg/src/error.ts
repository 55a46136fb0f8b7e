import type { Issue } from "./types.ts";

/** Why a call of the package itself was wrong. Bad data is never thrown; it comes back as issues. */
export type LegisErrorCode = "not_initialized" | "invalid_argument" | "too_large" | "internal";

/** The package was used wrongly. */
export class LegisError extends Error {
	override readonly name = "LegisError";
	/** For programs. */
	readonly code: LegisErrorCode;
	/** What is wrong with the argument, where it is one. */
	readonly issues: readonly Issue[];

	constructor(code: LegisErrorCode, message: string, issues: readonly Issue[] = []) {
		super(message);
		this.code = code;
		this.issues = issues;
	}
}
