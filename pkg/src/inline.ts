/**
 * Plans, quotas and validation, compiled from the same core that the worker enforces. Ready at import.
 *
 * @module legis-edge
 */
// The entry for every runtime that may compile WebAssembly from bytes: Node, browsers, Deno, Bun, bundlers. The
// module travels inside the JavaScript: nothing is fetched, nothing is awaited, no bundler has to know about it.

import { instantiate } from "./boundary.ts";
import printed from "./core.wasm";
import { unprint } from "./printable.ts";

instantiate(new WebAssembly.Module(unprint(printed)));

export * from "./index.ts";
