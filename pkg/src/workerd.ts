// The entry for Cloudflare Workers, which compile WebAssembly ahead of time and refuse bytes.

import { instantiate } from "./boundary.ts";
import module from "./core.wasm";

instantiate(module as unknown as WebAssembly.Module);

export * from "./index.ts";
