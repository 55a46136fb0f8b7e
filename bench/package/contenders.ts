// The same rules as core's schemas, written for each peer as its documentation teaches.

import Ajv, { type ValidateFunction } from "ajv";
import * as v from "valibot";
import * as z from "zod";
import * as zm from "zod/mini";

const PLANS = [
	"free",
	"Free",
	"starter",
	"Developer",
	"developer",
	"Starter",
	"professional",
	"Professional",
	"pro",
] as const;
const LATEST = 253_402_300_799;

/** Whether a value is right. */
export type Check = (value: unknown) => boolean;

// zod 4

const seconds = z.int().min(0).max(LATEST).nullish();
const id = z.string().min(1).max(255).nullish();
const word = z.string().min(1).max(100).nullish();
const zPrice = z
	.object({ id: z.string().min(1).max(255), recurring: z.object({ interval: word }).nullish(), interval: word })
	.nullish();
const zod = {
	registration: z.strictObject({
		email: z.email().max(254).nullish(),
		name: z.string().min(1).max(200).nullish(),
		plan: z.enum(PLANS).nullish(),
		source: z.enum(["web", "mcp"]).nullish(),
	}),
	stripe: z.object({
		id: z.string().min(1).max(255),
		type: z.string().min(1).max(100),
		created: z.int().min(0).max(LATEST),
		livemode: z.boolean(),
		data: z.object({
			object: z.object({
				id,
				object: word,
				customer: id,
				client_reference_id: z.string().max(500).nullish(),
				metadata: z.record(z.string(), z.unknown()).nullish(),
				mode: word,
				status: word,
				payment_status: word,
				items: z
					.object({
						data: z.array(
							z.object({
								price: zPrice,
								plan: zPrice,
								current_period_start: seconds,
								current_period_end: seconds,
							}),
						),
					})
					.nullish(),
				current_period_start: seconds,
				current_period_end: seconds,
				billing_cycle_anchor: seconds,
				cancel_at: seconds,
				cancel_at_period_end: z.boolean().nullish(),
				created: seconds,
				currency: word,
				amount: z.int().min(0).nullish(),
				charge: id,
				invoice: id,
				payment_intent: id,
			}),
			previous_attributes: z.record(z.string(), z.unknown()).nullish(),
		}),
	}),
	records: z.array(
		z.strictObject({
			endpoint: z
				.string()
				.max(2048)
				.regex(/^\/[^\s?#]*$/),
			method: z
				.string()
				.max(20)
				.regex(/^[A-Z]+$/),
			status_code: z.int().min(100).max(599),
			response_time_ms: z.int().min(0).max(86_400_000).nullish(),
			error_message: z.string().max(2000).nullish(),
			ip_address: z.ipv4().nullish(),
			user_agent: z.string().max(512).nullish(),
			timestamp: z.iso.datetime(),
		}),
	),
};

// zod/mini

const mInt = (min: number, max: number) => zm.int().check(zm.gte(min), zm.lte(max));
const mText = (min: number, max: number) => zm.string().check(zm.minLength(min), zm.maxLength(max));
const mSeconds = zm.nullish(mInt(0, LATEST));
const mId = zm.nullish(mText(1, 255));
const mWord = zm.nullish(mText(1, 100));
const mPrice = zm.nullish(
	zm.object({ id: mText(1, 255), recurring: zm.nullish(zm.object({ interval: mWord })), interval: mWord }),
);
const mini = {
	registration: zm.strictObject({
		email: zm.nullish(zm.email().check(zm.maxLength(254))),
		name: zm.nullish(mText(1, 200)),
		plan: zm.nullish(zm.enum(PLANS)),
		source: zm.nullish(zm.enum(["web", "mcp"])),
	}),
	stripe: zm.object({
		id: mText(1, 255),
		type: mText(1, 100),
		created: mInt(0, LATEST),
		livemode: zm.boolean(),
		data: zm.object({
			object: zm.object({
				id: mId,
				object: mWord,
				customer: mId,
				client_reference_id: zm.nullish(zm.string().check(zm.maxLength(500))),
				metadata: zm.nullish(zm.record(zm.string(), zm.unknown())),
				mode: mWord,
				status: mWord,
				payment_status: mWord,
				items: zm.nullish(
					zm.object({
						data: zm.array(
							zm.object({
								price: mPrice,
								plan: mPrice,
								current_period_start: mSeconds,
								current_period_end: mSeconds,
							}),
						),
					}),
				),
				current_period_start: mSeconds,
				current_period_end: mSeconds,
				billing_cycle_anchor: mSeconds,
				cancel_at: mSeconds,
				cancel_at_period_end: zm.nullish(zm.boolean()),
				created: mSeconds,
				currency: mWord,
				amount: zm.nullish(zm.int().check(zm.gte(0))),
				charge: mId,
				invoice: mId,
				payment_intent: mId,
			}),
			previous_attributes: zm.nullish(zm.record(zm.string(), zm.unknown())),
		}),
	}),
	records: zm.array(
		zm.strictObject({
			endpoint: zm.string().check(zm.maxLength(2048), zm.regex(/^\/[^\s?#]*$/)),
			method: zm.string().check(zm.maxLength(20), zm.regex(/^[A-Z]+$/)),
			status_code: mInt(100, 599),
			response_time_ms: zm.nullish(mInt(0, 86_400_000)),
			error_message: zm.nullish(zm.string().check(zm.maxLength(2000))),
			ip_address: zm.nullish(zm.ipv4()),
			user_agent: zm.nullish(zm.string().check(zm.maxLength(512))),
			timestamp: zm.iso.datetime(),
		}),
	),
};

// valibot

const vInt = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const vText = (min: number, max: number) => v.pipe(v.string(), v.minLength(min), v.maxLength(max));
const vSeconds = v.nullish(vInt(0, LATEST));
const vId = v.nullish(vText(1, 255));
const vWord = v.nullish(vText(1, 100));
const vPrice = v.nullish(
	v.object({ id: vText(1, 255), recurring: v.nullish(v.object({ interval: vWord })), interval: vWord }),
);
const valibot = {
	registration: v.strictObject({
		email: v.nullish(v.pipe(v.string(), v.email(), v.maxLength(254))),
		name: v.nullish(vText(1, 200)),
		plan: v.nullish(v.picklist(PLANS)),
		source: v.nullish(v.picklist(["web", "mcp"])),
	}),
	stripe: v.object({
		id: vText(1, 255),
		type: vText(1, 100),
		created: vInt(0, LATEST),
		livemode: v.boolean(),
		data: v.object({
			object: v.object({
				id: vId,
				object: vWord,
				customer: vId,
				client_reference_id: v.nullish(v.pipe(v.string(), v.maxLength(500))),
				metadata: v.nullish(v.record(v.string(), v.unknown())),
				mode: vWord,
				status: vWord,
				payment_status: vWord,
				items: v.nullish(
					v.object({
						data: v.array(
							v.object({
								price: vPrice,
								plan: vPrice,
								current_period_start: vSeconds,
								current_period_end: vSeconds,
							}),
						),
					}),
				),
				current_period_start: vSeconds,
				current_period_end: vSeconds,
				billing_cycle_anchor: vSeconds,
				cancel_at: vSeconds,
				cancel_at_period_end: v.nullish(v.boolean()),
				created: vSeconds,
				currency: vWord,
				amount: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
				charge: vId,
				invoice: vId,
				payment_intent: vId,
			}),
			previous_attributes: v.nullish(v.record(v.string(), v.unknown())),
		}),
	}),
	records: v.array(
		v.strictObject({
			endpoint: v.pipe(v.string(), v.maxLength(2048), v.regex(/^\/[^\s?#]*$/)),
			method: v.pipe(v.string(), v.maxLength(20), v.regex(/^[A-Z]+$/)),
			status_code: vInt(100, 599),
			response_time_ms: v.nullish(vInt(0, 86_400_000)),
			error_message: v.nullish(v.pipe(v.string(), v.maxLength(2000))),
			ip_address: v.nullish(v.pipe(v.string(), v.ipv4())),
			user_agent: v.nullish(v.pipe(v.string(), v.maxLength(512))),
			timestamp: v.pipe(v.string(), v.isoTimestamp()),
		}),
	),
};

// ajv, compiled from the JSON Schemas that zod makes of its own

function ajv(schema: z.ZodType): ValidateFunction {
	const { $schema: _, ...draft } = z.toJSONSchema(schema, { io: "input" }) as Record<string, unknown>;
	return new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(draft);
}

/** What typia compiled before the benchmark runs. */
export type Typia = Record<keyof typeof zod, (value: unknown) => { success: boolean }>;

export function contenders(payload: keyof typeof zod, typia: Typia): Record<string, Check> {
	const [zodSchema, miniSchema, valibotSchema] = [zod[payload], mini[payload], valibot[payload]];
	const checks: Record<string, Check> = {
		"zod 4": (value) => zodSchema.safeParse(value).success,
		"zod/mini": (value) => miniSchema.safeParse(value).success,
		valibot: (value) => v.safeParse(valibotSchema, value).success,
		typia: (value) => typia[payload](value).success,
	};
	// Where code must not be made from text, ajv cannot be used.
	try {
		const validate = ajv(zodSchema);
		checks.ajv = (value) => validate(value) as boolean;
	} catch {}
	return checks;
}
