/** Mutations of Walsh coupling, the row split and evolution strategies; see `mutations.mjs`. */
const backends = ["walsh-backends"];

const reference = [
  [
    "src/reference/linear/transform.ts",
    "a sign of Sylvester's matrix",
    "return odd ? -1 : 1",
    "return odd ? 1 : -1",
    ["walsh"],
  ],
  ["src/reference/sampling/walsh.ts", "1/2m", "sum / (2 * m)", "sum / m", ["walsh"]],
  [
    "src/reference/sampling/walsh.ts",
    "t_gc in the logits",
    "e * hiddenPart[at * m + g] + walshSign(g, d1 + c) *",
    "e * hiddenPart[at * m + g] +",
    ["walsh"],
  ],
  [
    "src/reference/sampling/row-split-walsh.ts",
    "the sign of κ",
    "products[i] / variance - kappa *",
    "products[i] / variance + kappa *",
    ["row-split"],
  ],
  [
    "src/reference/sampling/row-split-walsh.ts",
    "the sign of λ",
    "f - level - lambda * noise",
    "f - level + lambda * noise",
    ["row-split"],
  ],
  [
    "src/reference/sampling/importance-sampling.ts",
    "the sign of the remainder",
    "(inverse * h - (temperature / noiseScale) * remainder[i])",
    "(inverse * h + (temperature / noiseScale) * remainder[i])",
    ["row-split"],
  ],
  [
    "src/reference/sampling/row-split-walsh.ts",
    "κ's ridge",
    "kappaRidge * variance",
    "2 * kappaRidge * variance",
    ["row-split", "walsh-backends"],
  ],
  [
    "src/reference/sampling/evolution-strategies.ts",
    "centring's J − 1",
    "count / (count - 1)",
    "1",
    ["evolution-strategies"],
  ],
];

const native = [
  [
    "native/cpu/linear/transform-inl.h",
    "a sign within a vector",
    "& uint32_t(kDistance)) != 0",
    "& uint32_t(kDistance)) == 0",
    backends,
  ],
  [
    "native/cpu/sampling/walsh-row-inl.h",
    "half the sum",
    "a = half * (plus + minus)",
    "a = plus + minus",
    backends,
  ],
  [
    "native/cpu/sampling/walsh-row-inl.h",
    "1/2m",
    "set(1.0f / float(2 * shape.m))",
    "set(1.0f / float(shape.m))",
    backends,
  ],
  [
    "native/cpu/sampling/walsh-row-inl.h",
    "|hidden|²",
    "store(row->inverse + length + v * kLanes, one / (scale2 * (squares - x)))",
    "store(row->inverse + length + v * kLanes, one / (scale2 * (squares + x)))",
    backends,
  ],
  [
    "native/cpu/sampling/walsh-row-inl.h",
    "the label's noise",
    "n_own = set(-row->n[label])",
    "n_own = set(row->n[label])",
    backends,
  ],
  [
    "native/cpu/sampling/walsh-losses-inl.h",
    "N in powers of two",
    "even = fma(log2e, load(row->n_part",
    "even = fma(set(1), load(row->n_part",
    backends,
  ],
  [
    "native/cpu/sampling/row-split-walsh-inl.h",
    "λ in the mean of psi",
    "float(2 * shape.m) * r.slope[c]",
    "float(shape.m) * r.slope[c]",
    backends,
  ],
  [
    "native/cpu/sampling/row-split-walsh-inl.h",
    "the sign of κ",
    "term = term - kappa *",
    "term = term + kappa *",
    backends,
  ],
  [
    "native/cpu/sampling/row-split-walsh-inl.h",
    "λ's ridge",
    "float(kLambdaRidge) * point.scale2",
    "10 * float(kLambdaRidge) * point.scale2",
    backends,
  ],
  [
    "native/cpu/sampling/importance-sampling-inl.h",
    "a coefficient of the remainder's series",
    "set(1.0f / 24)",
    "set(1.0f / 23)",
    backends,
  ],
  [
    "native/cpu/sampling/importance-sampling-inl.h",
    "δ s/τ",
    "-delta * s / tau / all.mean",
    "-s / tau / all.mean",
    backends,
  ],
  [
    "native/cpu/network/columns-inl.h",
    "a column's value",
    "lists.value[to] = value[at]",
    "lists.value[to] = value[at] * value[at]",
    ["update"],
  ],
];

export const walsh = [...reference, ...native].map(([file, why, from, to, tests]) => ({
  file,
  why,
  from,
  to,
  tests,
}));
