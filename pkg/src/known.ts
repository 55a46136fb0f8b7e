// Which members a schema knows, so that what it passes over anyway is not written for it.

import { OBJECTS, SHAPES } from "./facts.ts";

/** What is written of a value: of an object these members; of a list's items the same again; of anything else all. */
export type Known = ReadonlyMap<string, Known | undefined> | undefined;
type Shape = readonly unknown[];

const schemas: Known[] = [];
const objects: Known[] = [];

/** What the schema at a position knows. */
export function knownTo(schema: number): Known {
	schemas[schema] ??= known(SHAPES[schema] as unknown as Shape);
	return schemas[schema];
}

function known(shape: Shape): Known {
	switch (shape[0]) {
		case "r":
			objects[shape[1] as number] ??= known(OBJECTS[shape[1] as number] as unknown as Shape);
			return objects[shape[1] as number];
		case "a":
			return known(shape[1] as Shape);
		case "o":
			// A strict object has an issue for every member that it does not know, so all are written.
			return shape[1] === 1 ? undefined : members(shape[2] as readonly (readonly [string, number, Shape])[]);
		default:
			return undefined;
	}
}

function members(of: readonly (readonly [string, number, Shape])[]): Known {
	return new Map(of.map(([name, , shape]) => [name, known(shape)]));
}
