// The module, in the form each entry gets it: printed (inlined by the build) or what the runtime makes of it.
declare module "*.wasm" {
	const module: string;
	export default module;
}
declare module "*.wasm?module" {
	const module: string;
	export default module;
}
