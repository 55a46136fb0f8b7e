export * from "./api.ts";
export { LegisError, type LegisErrorCode } from "./error.ts";
export type { JsonSchema } from "./json-schema.ts";
export { parse, type Result, type Schema, type StandardResult, schemas, validate } from "./schemas.ts";
export type * from "./types.ts";
