/**
 * All tolerances: how far a backend may be from the float64 reference for the same random numbers.
 *
 * A row's bound is relative to the largest entry of the expected vector (`relative`), so that an entry near zero
 * is held to the vector's scale. float32 rounds at 6.0e-8; sums of n roundings in blocks grow like √n. `matches`
 * checks, names the ten worst entries, and keeps the worst error seen for `worstSeen`.
 */

export interface Tolerance {
  readonly bound: number;
  readonly unit: "relative" | "bits";
  readonly reason: string;
}

export const TOLERANCES = {
  loss: { bound: 1e-6, unit: "relative", reason: "products of at most 785 terms, exp and log of a few ulp" },
  gradient: {
    bound: 4e-6,
    unit: "relative",
    reason: "two products of at most 785 terms, one after the other",
  },
  "hessian product": {
    bound: 6e-6,
    unit: "relative",
    reason: "as gradient, whose every product stands twice in its derivative",
  },
  probabilities: { bound: 4e-6, unit: "relative", reason: "logits to 1e-6, then exp" },
  accuracy: { bound: 0, unit: "bits", reason: "a count over a count; no logits are that near in the cases" },
  weights: { bound: 1e-6, unit: "relative", reason: "as loss, with perturbed parameters rounded once more" },
  "importance-sampling gradient": {
    bound: 2e-5,
    unit: "relative",
    reason: "weights carry |f|/δ times the losses' error, and the signed sum over samples cancels",
  },
  "importance-sampling diagnostics": { bound: 2e-6, unit: "relative", reason: "as weights" },
  "walsh gradient": {
    bound: 2e-5,
    unit: "relative",
    reason: "differences of losses over transforms of m values, divided by the noise that made them",
  },
  "walsh gradient far": {
    bound: 1e-3,
    unit: "relative",
    reason: "weights carry f/δ, here hundreds, times 1e-7",
  },
  sgd: { bound: 2e-6, unit: "relative", reason: "as gradient" },
  sgld: {
    bound: 2e-5,
    unit: "relative",
    reason:
      "a chain of gradients, seen as the offset from x_k: float32 rounds x_k + offset at the size of x_k",
  },
  "robbins-monro": {
    bound: 6e-5,
    unit: "relative",
    reason: "as sgld, with offsets a hundredth of the parameters in these cases",
  },
  step: { bound: 1e-6, unit: "relative", reason: "a dozen roundings an entry" },
  update: {
    bound: 1e-4,
    unit: "relative",
    reason: "several updates, seen as offsets from x_0; Adam divides small gradients by their own size",
  },
} as const satisfies Record<string, Tolerance>;

/**
 * What nearly equal rows of a minibatch add to the relative bound of a projected gradient, ρ the least pivot of the Gram
 * matrix that is kept, over its diagonal entry. The first layer's gradient is AᵀC, C = L^{−T} V, of two such rows the
 * coefficients are opposite and 1/√ρ times V, and float32 rounds C before AᵀC takes their difference: 1.2e-7/√ρ,
 * 3.8e-3 at the bound of 1e-9 at which a row is dropped. The law stays: losses do not see it.
 */
export function nearRows(pivot: number): number {
  return (2 * 2 ** -24) / Math.sqrt(pivot);
}

const worst = new Map<keyof typeof TOLERANCES, number>();

/** The worst error seen so far in this test file, a line for each row used. */
export function worstSeen(): string {
  return [...worst]
    .map(([name, error]) => `  ${name}: worst ${error.toExponential(1)} of ${TOLERANCES[name].bound}`)
    .join("\n");
}

/**
 * Throws, with the ten worst entries, where `actual` is farther from `expected` than the row allows.
 *
 * @param more what a case adds to the bound; its errors are not the row's worst
 */
export function matches(
  name: keyof typeof TOLERANCES,
  actual: ArrayLike<number> | number,
  expected: ArrayLike<number> | number,
  more = 0,
): void {
  const a = typeof actual === "number" ? [actual] : actual;
  const e = typeof expected === "number" ? [expected] : expected;
  if (a.length !== e.length) throw new Error(`${name}: ${a.length} entries where ${e.length} were expected`);
  let scale = 0;
  for (let i = 0; i < e.length; i++) scale = Math.max(scale, Math.abs(e[i]));
  const bound = TOLERANCES[name].bound + more;
  const bad: { readonly i: number; readonly error: number }[] = [];
  let largest = worst.get(name) ?? 0;
  for (let i = 0; i < e.length; i++) {
    const error = Math.abs(a[i] - e[i]) / (scale || 1);
    // NaN must fail, so "not within" rather than "beyond".
    if (!(error <= bound)) bad.push({ i, error });
    largest = Math.max(largest, error);
  }
  if (more === 0) worst.set(name, largest);
  if (bad.length === 0) return;
  bad.sort((p, q) => q.error - p.error);
  const lines = bad
    .slice(0, 10)
    .map(({ i, error }) => `  [${i}] ${a[i]} where ${e[i]} was expected: ${error.toExponential(2)}`);
  throw new Error(
    `${name}: ${bad.length} of ${e.length} entries beyond ${bound} relative\n${lines.join("\n")}`,
  );
}
