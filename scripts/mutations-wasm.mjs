/** Mutations of the WASM kernels; see `mutations.mjs`. */
const kernels = [
  ["dense", "the softmax's denominator", "scale / (1 + others)", "scale / (2 + others)"],
  ["dense", "tanh's slope", "f32x4.sub(set(1), f32x4.mul(x, x))", "f32x4.add(set(1), f32x4.mul(x, x))"],
  ["rows", "the value of a byte", "f32(i) / 255", "f32(i) / 256"],
  ["projection", "the bias in A Aᵀ", "/ 65025 + 1", "/ 65025"],
  ["projection", "dependent rows", "pivot > 1e-9 * diagonal", "pivot > -1"],
  ["walsh", "the bias in |hidden|²", "row.own = sum(squares) + 1", "row.own = sum(squares)"],
  ["walsh", "the place of n_c", "store<f32>(t + 4 * (width(1) + c), n)", "store<f32>(t + 4 * width(1), n)"],
  ["row-split", "κ's ridge", "FIRST_RIDGE: f32 = 0.1", "FIRST_RIDGE: f32 = 0.2"],
  ["row-split", "λ's ridge", "SECOND_RIDGE: f32 = 1e-3", "SECOND_RIDGE: f32 = 1e-2"],
  [
    "walsh-estimate",
    "the mean over blocks",
    "f32(factor / noiseScale / f64(blocks))",
    "f32(factor / noiseScale)",
  ],
  ["importance-sampling", "leave-one-out", "(samples - 1) * mean", "samples * mean"],
  ["sample-estimate", "the units of ρ Z", "(tau * mean) / f64(units)", "(tau * mean) / f64(units + 1)"],
  ["sample-rows", "the bias in |a|²", "count) + 1", "count)"],
  ["sgld", "the covariance in the complement's sum", "2 * next * keep * both", "next * keep * both"],
  ["robbins-monro", "the mean over samples", "tau / f64(job.samples), first", "tau, first"],
  ["step", "1 − β2", "rest2 = f32(1 - job.beta2)", "rest2 = f32(1 - job.beta1)"],
].map(([stem, why, from, to]) => ({ file: `assembly/${stem}.ts`, why, from, to, tests: ["wasm-kernels"] }));

const others = [
  {
    file: "assembly/linear/math.ts",
    why: "a coefficient of 2^x",
    from: "set(5.55085391e-2)",
    to: "set(5.55e-2)",
    tests: ["wasm-math"],
  },
  {
    file: "assembly/machine/team.ts",
    why: "cancelling between threads",
    from: "  if (cancelled()) job.stopped = 1;\n  write(",
    to: "  write(",
    tests: ["wasm-kernels-threads"],
  },
];

export const wasm = [...kernels, ...others];
