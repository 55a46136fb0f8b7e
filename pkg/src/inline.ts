/**
 * Plans, quotas and validation, compiled from the same core that the worker enforces. Ready at import.
 *
 * @module legis-edge
 */
// The entry for every runtime that may compile WebAssembly from bytes: Node, browsers, Deno, Bun, bundlers. The
// module travels inside the JavaScript: nothing is fetched, nothing is awaited, no bundler has to know about it.

import { inflateSync } from "fflate";
import { instantiate } from "./boundary.ts";
import base64 from "./core.wasm";

const deflated = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
instantiate(new WebAssembly.Module(inflateSync(deflated) as Uint8Array<ArrayBuffer>));

export * from "./index.ts";
