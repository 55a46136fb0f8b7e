/**
 * The entry for those who load `legis-edge/core.wasm` themselves: `init`, and everything that `legis-edge` has.
 *
 * @module legis-edge/slim
 */

import { instantiate } from "./boundary.ts";

/**
 * Starts the package with the `WebAssembly.Module` that `legis-edge/core.wasm` compiles to. Everything else throws before.
 *
 * @example
 * ```ts
 * import { init } from "legis-edge/slim";
 * import module from "legis-edge/core.wasm"; // as Cloudflare's bundler gives it
 * init(module);
 * ```
 */
// No name of the DOM's: projects for Node alone have none of them.
export function init(module: object): void {
	instantiate(module as WebAssembly.Module);
}

export * from "./index.ts";
