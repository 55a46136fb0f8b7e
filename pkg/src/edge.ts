// The entry for edge runtimes that import WebAssembly with `?module`.

import { instantiate } from "./boundary.ts";
import module from "./core.wasm?module";

instantiate(module as unknown as WebAssembly.Module);

export * from "./index.ts";
