/** Mutations of the WASM kernels; see `mutations.mjs`. */
const kernels = [
  ["network/dense", "the softmax's denominator", "scale / (1 + others)", "scale / (2 + others)"],
  [
    "network/dense",
    "tanh's slope",
    "f32x4.sub(set(1), f32x4.mul(x, x))",
    "f32x4.add(set(1), f32x4.mul(x, x))",
  ],
  ["network/loss", "half the square", "f32x4.mul(set(0.5), difference)", "difference"],
  ["network/rows", "the value of a byte", "f32(i) / 255", "f32(i) / 256"],
  ["linear/projection", "the bias in A Aᵀ", "/ 65025 + 1", "/ 65025"],
  ["linear/projection", "dependent rows", "pivot > PIVOT_BOUND * diagonal", "pivot > -1"],
  ["sampling/walsh-row", "the bias in |hidden|²", "row.own = sum(squares) + 1", "row.own = sum(squares)"],
  [
    "sampling/walsh-row",
    "the place of n_c",
    "store<f32>(t + 4 * (width(1) + c), n)",
    "store<f32>(t + 4 * width(1), n)",
  ],
  ["sampling/row-split-walsh", "κ's ridge", "f32(KAPPA_RIDGE)", "f32(2 * KAPPA_RIDGE)"],
  ["sampling/row-split-walsh", "λ's ridge", "f32(LAMBDA_RIDGE)", "f32(10 * LAMBDA_RIDGE)"],
  [
    "sampling/walsh",
    "the mean over blocks",
    "f32(factor / noiseScale / f64(blocks))",
    "f32(factor / noiseScale)",
  ],
  ["sampling/importance-sampling-one-pass", "leave-one-out", "(samples - 1) * mean", "samples * mean"],
  [
    "sampling/importance-sampling",
    "the units of ρ Z",
    "(tau * mean) / f64(units)",
    "(tau * mean) / f64(units + 1)",
  ],
  ["sampling/sampled-point", "the bias in |a|²", "count) + 1", "count)"],
  ["chains/sgld", "the covariance in the complement's sum", "2 * next * keep * both", "next * keep * both"],
  ["chains/robbins-monro", "the mean over samples", "tau / f64(job.samples), first", "tau, first"],
  ["update/step", "1 − β2", "rest2 = f32(1 - job.beta2)", "rest2 = f32(1 - job.beta1)"],
].map(([path, why, from, to]) => ({ file: `assembly/${path}.ts`, why, from, to, tests: ["wasm-kernels"] }));

const others = [
  {
    file: "assembly/network/hessian-product.ts",
    why: "tanh's second derivative",
    from: "f32x4.mul(set(2)",
    to: "f32x4.mul(set(1)",
    tests: ["hessian-product"],
  },
  {
    file: "assembly/network/loss.ts",
    why: "a NaN logit",
    from: "if (!(x <= Infinity)) return NO_CLASS;",
    to: "",
    tests: ["non-finite"],
  },
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
