/**
 * The entry for those who load `legis-edge/core.wasm` themselves: `init`, and everything that `legis-edge` has.
 *
 * @module legis-edge/slim
 */

import { instantiate } from "./boundary.ts";

/** Starts the package with the module that `legis-edge/core.wasm` compiles to. Everything else throws before. */
export function init(module: WebAssembly.Module): void {
	instantiate(module);
}

export * from "./index.ts";
