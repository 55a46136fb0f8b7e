import { check, issues, kept, lastWrite, Origin } from "./boundary.ts";
import { encode } from "./encode.ts";
import { LegisError } from "./error.ts";
import { SCHEMA_NAMES } from "./facts.ts";
import { type JsonSchema, jsonSchema } from "./json-schema.ts";
import { bytesOf, type Kept } from "./kept.ts";
import { knownTo } from "./known.ts";
import { doubts, quick, UNSURE } from "./quick.ts";
import { build } from "./tape.ts";
import type {
	Account,
	AuthConfig,
	CallRequest,
	CallSettlement,
	CheckoutRequest,
	Issue,
	PlanFeatures,
	PortalRequest,
	Registration,
	StripeEvent,
	ToolCall,
	UsageRecord,
	UsageRecords,
} from "./types.ts";

/** What holding a value to a schema yields. Bad data is a value, never an exception. The issues are frozen. */
export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly issues: Issue[] };

/** The result that Standard Schema asks for (https://standardschema.dev, version 1). */
export type StandardResult<T> =
	| { readonly value: T; readonly issues?: undefined }
	| { readonly issues: readonly Issue[] };

/** A schema. It is a Standard Schema: tRPC, TanStack Form, react-hook-form, Hono and others take it as it is. */
export interface Schema<T> {
	/** Its name, also in `POST /api/evaluate/payload/{name}`. */
	readonly name: string;
	readonly "~standard": {
		readonly version: 1;
		readonly vendor: "legis-edge";
		readonly validate: (value: unknown) => StandardResult<T>;
		readonly types?: { readonly input: T; readonly output: T };
		/** Standard JSON Schema: `draft-2020-12` and `draft-07`. */
		readonly jsonSchema: {
			readonly input: (options: { readonly target: string }) => JsonSchema;
			readonly output: (options: { readonly target: string }) => JsonSchema;
		};
	};
}

/** Where the module has a schema. */
const POSITION = Symbol("position");
interface Positioned {
	readonly [POSITION]: number;
}

function schema<T>(name: (typeof SCHEMA_NAMES)[number]): Schema<T> {
	const self: Schema<T> & Positioned = {
		[POSITION]: SCHEMA_NAMES.indexOf(name),
		name,
		"~standard": {
			version: 1,
			vendor: "legis-edge",
			validate(value) {
				const result = validate(self, value);
				return result.ok ? { value: result.value } : { issues: result.issues };
			},
			jsonSchema: {
				input: ({ target }) => jsonSchema(self[POSITION], "input", target),
				output: ({ target }) => jsonSchema(self[POSITION], "output", target),
			},
		},
	};
	return self;
}

/** Every payload the API takes. The rules are core's; the worker holds payloads to the very same ones. */
export const schemas = {
	/** The body of `POST /api/users/register`. */
	registration: schema<Registration>("registration"),
	/** The body of `POST /api/mcp/logs`. */
	toolCall: schema<ToolCall>("toolCall"),
	/** The body of `POST /api/calls`. */
	callRequest: schema<CallRequest>("callRequest"),
	/** The body of `PATCH /api/calls/{id}`. */
	callSettlement: schema<CallSettlement>("callSettlement"),
	/** The body of `POST /api/billing/checkout`. */
	checkoutRequest: schema<CheckoutRequest>("checkoutRequest"),
	/** The body of `POST /api/billing/portal`. */
	portalRequest: schema<PortalRequest>("portalRequest"),
	/** A row of `api_usage`. */
	usageRecord: schema<UsageRecord>("usageRecord"),
	/** Rows of `api_usage`, a thousand at most. */
	usageRecords: schema<UsageRecords>("usageRecords"),
	/** A row of `auth_config`. */
	authConfig: schema<AuthConfig>("authConfig"),
	/** The JSON of `plans.features`. */
	planFeatures: schema<PlanFeatures>("planFeatures"),
	/** An event of Stripe's: what of it is read, in both payload generations. */
	stripeEvent: schema<StripeEvent>("stripeEvent"),
	/** The answer of `GET /api/account`. */
	account: schema<Account>("account"),
};

/** Holds a JavaScript value to a schema. The value of the result is a fresh copy of what the schema knows. */
export function validate<T>(schema: Schema<T>, value: unknown): Result<T> {
	const position = positionOf(schema);
	const copy = quick(position, value);
	if (copy !== UNSURE) {
		return { ok: true, value: copy as T };
	}
	const doubtful = doubts();
	if (doubtful !== undefined) {
		const verdict = check(position, doubtful, Origin.doubts);
		if (verdict < 0) {
			return { ok: false, issues: issues(verdict) };
		}
	}
	// Built at once, whichever way it went: the same call yields the same kind of result.
	const text = encode(value, knownTo(position));
	const verdict = check(position, text, Origin.value);
	return verdict > 0 ? { ok: true, value: build(verdict, text) as T } : { ok: false, issues: issues(verdict) };
}

/** Holds JSON text, or its bytes, to a schema. The value is built when it is asked for. */
export function parse<T>(schema: Schema<T>, text: string | Uint8Array): Result<T> {
	// Of another realm it is no instance of ours.
	if (typeof text !== "string" && !(ArrayBuffer.isView(text) && (text as Uint8Array).BYTES_PER_ELEMENT === 1)) {
		throw new LegisError("invalid_argument", "The second argument must be JSON text, or its bytes in a Uint8Array.");
	}
	const position = positionOf(schema);
	const verdict = check(position, text, Origin.text);
	return verdict > 0 ? new Accepted<T>(position, text, verdict) : { ok: false, issues: issues(verdict) };
}

function positionOf(schema: Schema<unknown>): number {
	const position = (schema as Partial<Positioned> | undefined)?.[POSITION];
	if (position === undefined) {
		throw new LegisError("invalid_argument", "The first argument must be one of schemas.");
	}
	return position;
}

/** A text that was accepted. Its value is built when it is asked for: who only asks whether it is right does not wait. */
class Accepted<T> {
	readonly ok = true;
	readonly #schema: number;
	readonly #kept: string | Kept;
	readonly #length: number;
	readonly #write: number;
	#value: unknown = UNSURE;

	constructor(schema: number, text: string | Uint8Array, length: number) {
		this.#schema = schema;
		// The caller may fill the buffer anew before the value is asked for.
		this.#kept = typeof text === "string" ? text : kept();
		this.#length = length;
		this.#write = lastWrite();
	}

	get value(): T {
		if (this.#value === UNSURE) {
			const kept = this.#kept;
			this.#value = build(this.#lengthNow(), typeof kept === "string" ? kept : undefined);
		}
		return this.#value as T;
	}

	/** When another text was checked meanwhile, this one is checked again. */
	#lengthNow(): number {
		if (lastWrite() === this.#write) {
			return this.#length;
		}
		const kept = this.#kept;
		return check(this.#schema, typeof kept === "string" ? kept : bytesOf(kept), Origin.text);
	}

	toJSON() {
		return { ok: true, value: this.value };
	}
}
