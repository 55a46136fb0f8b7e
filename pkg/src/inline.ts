// The entry for every runtime that may compile WebAssembly from bytes: Node, browsers, Deno, Bun, bundlers. The
// module travels inside the JavaScript: nothing is fetched, nothing is awaited, no bundler has to know about it.

import { instantiate } from "./boundary.ts";
import base64 from "./core.wasm";

instantiate(new WebAssembly.Module(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))));

export * from "./index.ts";
