// The schemas in the libraries that take Standard Schemas, as they are.

import { sValidator } from "@hono/standard-validator";
import { standardSchemaResolver } from "@hookform/resolvers/standard-schema";
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { FormApi } from "@tanstack/form-core";
import { initTRPC } from "@trpc/server";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { Hono } from "hono";
import { parse, type Registration, schemas, validate } from "legis-edge";
import { expect, test } from "vitest";

const good = { email: "ada@example.com", name: "Ada" };
const bad = { email: "ada", name: "" };
const MESSAGES = ["Must be an e-mail address such as name@example.com.", "Must have at least 1 character."];

test("the standard's own types", () => {
	const schema: StandardSchemaV1<Registration> & StandardJSONSchemaV1<Registration> = schemas.registration;
	expect(schema["~standard"].validate(good)).toEqual({ value: good });
	expect(schema["~standard"].validate(bad)).toMatchObject({ issues: [{ path: ["email"] }, { path: ["name"] }] });
});

test("tRPC", async () => {
	const t = initTRPC.create();
	const router = t.router({ register: t.procedure.input(schemas.registration).mutation(({ input }) => input.email) });
	const caller = t.createCallerFactory(router)({});
	expect(await caller.register(good)).toBe(good.email);
	await expect(caller.register(bad)).rejects.toMatchObject({ code: "BAD_REQUEST", message: MESSAGES[0] });
});

test("TanStack Form", async () => {
	const submitted: unknown[] = [];
	const fill = async (defaultValues: Registration) => {
		const form = new FormApi({
			defaultValues,
			validators: { onSubmit: schemas.registration },
			onSubmit: ({ value }) => {
				submitted.push(value);
			},
		});
		form.mount();
		await form.handleSubmit();
		return form.state.errors;
	};
	expect(await fill(bad)).toMatchObject([{ email: [{ message: MESSAGES[0] }], name: [{ message: MESSAGES[1] }] }]);
	expect(submitted).toEqual([]);
	await fill(good);
	expect(submitted).toEqual([good]);
});

test("react-hook-form", async () => {
	const resolve = standardSchemaResolver(schemas.registration);
	const options = { fields: {}, shouldUseNativeValidation: false };
	expect(await resolve(good as never, undefined, options)).toMatchObject({ values: good, errors: {} });
	expect(await resolve(bad as never, undefined, options)).toMatchObject({
		errors: { email: { message: MESSAGES[0] }, name: { message: MESSAGES[1] } },
	});
});

test("Hono's validator", async () => {
	const app = new Hono().post("/", sValidator("json", schemas.registration), (c) => c.json(c.req.valid("json")));
	const post = (body: object) =>
		app.request("/", { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
	expect(await (await post(good)).json()).toEqual(good);
	const refused = await post(bad);
	expect([refused.status, await refused.json()]).toMatchObject([400, { error: [{ message: MESSAGES[0] }, {}] }]);
});

test("JSON Schema: whatever core takes, it takes", () => {
	for (const target of ["draft-2020-12", "draft-07"]) {
		expect(schemas.toolCall["~standard"].jsonSchema.input({ target })).toMatchObject({
			type: "object",
			required: ["status", "tool_name"],
			additionalProperties: false,
		});
	}
	expect(() => schemas.toolCall["~standard"].jsonSchema.input({ target: "draft-04" })).toThrow("draft-2020-12");
	const ajv = new Ajv2020({ strict: false, validateFormats: false });
	const input = ajv.compile(schemas.registration["~standard"].jsonSchema.input({ target: "draft-2020-12" }));
	const long = `${"a".repeat(60)}@${"b".repeat(60)}.${"c".repeat(60)}.example.com`;
	for (const document of [{ email: long }, { plan: "PRO" }]) {
		expect([validate(schemas.registration, document).ok, input(document)]).toEqual([true, true]);
	}
	const value = fc.record(
		{
			email: fc.option(fc.emailAddress()),
			name: fc.option(fc.string({ maxLength: 220 })),
			plan: fc.constantFrom("starter", "gold", null),
			source: fc.constantFrom("web", "mcp", "else", null),
		},
		{ requiredKeys: [] },
	);
	fc.assert(
		fc.property(value, (document) => {
			if (validate(schemas.registration, document).ok) {
				expect(input(document)).toBe(true);
			}
		}),
	);
});

test.each(Object.values(schemas).map((schema) => [schema.name, schema] as const))(
	"JSON Schema: validators that are strict take %s",
	(_, schema) => {
		const formats = { email: true, "date-time": true, uri: true } as const;
		for (const side of ["input", "output"] as const) {
			for (const [Strict, target] of [
				[Ajv2020, "draft-2020-12"],
				[Ajv, "draft-07"],
			] as const) {
				const ajv = new Strict({ formats, logger: { log: console.log, warn: fail, error: fail } });
				expect(ajv.compile(schema["~standard"].jsonSchema[side]({ target }))).toBeTypeOf("function");
			}
		}
		function fail(message: string) {
			throw new Error(message);
		}
	},
);

test("messages in another language, by code and figures", () => {
	const german: Record<string, (params: Record<string, unknown>) => string> = {
		too_short: ({ min }) => `Mindestens ${min} Zeichen.`,
		format: () => "Hat nicht die erwartete Form.",
	};
	const result = parse(schemas.registration, JSON.stringify(bad));
	const texts = result.ok
		? []
		: result.issues.map(({ code, params, message }) => german[code]?.(params ?? {}) ?? message);
	expect(texts).toEqual(["Hat nicht die erwartete Form.", "Mindestens 1 Zeichen."]);
});
