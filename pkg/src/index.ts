/** Plans, quotas and validation, compiled from the same core that the worker enforces. */
export * from "./api.ts";
export { LegisError, type LegisErrorCode } from "./error.ts";
export { parse, type Result, type Schema, type StandardResult, schemas, validate } from "./schemas.ts";
export type * from "./types.ts";
