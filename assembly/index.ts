/**
 * The WASM kernels: one function an operation, pointers and numbers in, nothing out. Memory is imported and belongs
 * to the caller; nothing here allocates or keeps state.
 *
 * Built by `npx asc --config assembly/asconfig.json` to build/local-entropy.wasm.
 */
export { gaussian } from "./gaussian";
export { philox } from "./philox";
