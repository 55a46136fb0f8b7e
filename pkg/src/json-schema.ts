// The schemas as JSON Schema (the extension of Standard Schema for it), from the shapes that core generates.

import { LegisError } from "./error.ts";
import { OBJECTS, SHAPES } from "./facts.ts";

/** The dialects in which a schema can be had. */
const DIALECTS: Record<string, string> = {
	"draft-2020-12": "https://json-schema.org/draft/2020-12/schema",
	"draft-07": "http://json-schema.org/draft-07/schema#",
};

/** A schema in a dialect of JSON Schema. */
export type JsonSchema = Record<string, unknown>;
type Shape = readonly unknown[];

/** The JSON Schema of what is taken (`input`, where optional members may be `null`) or given (`output`). */
export function jsonSchema(schema: number, side: "input" | "output", target: string): JsonSchema {
	const $schema = Object.hasOwn(DIALECTS, target) ? DIALECTS[target] : undefined;
	if ($schema === undefined) {
		throw new LegisError("invalid_argument", `target must be one of ${Object.keys(DIALECTS).join(", ")}.`);
	}
	return { $schema, ...describe(SHAPES[schema] as unknown as Shape, side === "input") };
}

function describe(shape: Shape, takesNull: boolean): JsonSchema {
	switch (shape[0]) {
		case "r":
			return describe(OBJECTS[shape[1] as number] as unknown as Shape, takesNull);
		case "o":
			return object(shape[1] === 1, shape[2] as readonly (readonly [string, number, Shape])[], takesNull);
		case "a":
			return {
				type: "array",
				items: describe(shape[1] as Shape, takesNull),
				minItems: shape[2],
				maxItems: shape[3],
			};
		case "t":
			return { type: "string", ...lengths(shape[1] as number, shape[2] as number), ...format(shape[3] as string) };
		case "c":
			return { type: "string", enum: shape[1] };
		case "n":
			return { type: "integer", minimum: shape[1], maximum: shape[2] };
		case "m":
			return {
				anyOf: [
					{ type: "string", format: "date-time" },
					{ type: "integer", minimum: 0, maximum: shape[1] },
				],
			};
		case "b":
			return { type: "boolean" };
		case "anyObject":
			return { type: "object" };
		default:
			return {};
	}
}

const lengths = (min: number, max: number) => ({
	...(min > 0 ? { minLength: min } : {}),
	...(max < 2 ** 31 ? { maxLength: max } : {}),
});

/** The names that JSON Schema has for our forms. Validators refuse a schema with names they do not know; the rest is for `validate`. */
const FORMATS: Record<string, string> = {
	email: "email",
	"date-time": "date-time",
	"web-url": "uri",
	"web-origin": "uri",
};

function format(name: string): JsonSchema {
	const format = FORMATS[name];
	return format === undefined ? {} : { format };
}

function object(
	strict: boolean,
	members: readonly (readonly [string, number, Shape])[],
	takesNull: boolean,
): JsonSchema {
	const properties: Record<string, JsonSchema> = {};
	for (const [name, required, shape] of members) {
		const property = describe(shape, takesNull);
		properties[name] = takesNull && required === 0 ? { anyOf: [property, { type: "null" }] } : property;
	}
	return {
		type: "object",
		properties,
		required: members.filter(([, required]) => required === 1).map(([name]) => name),
		...(strict ? { additionalProperties: false } : {}),
	};
}
