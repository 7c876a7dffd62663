/** Node 20 knows relaxed SIMD behind a flag only: with it, WASM's relaxed build runs there too. */
export const RELAXED_SIMD: readonly string[] = process.version.startsWith("v20.")
  ? ["--experimental-wasm-relaxed-simd"]
  : [];
