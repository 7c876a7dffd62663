/**
 * Objective and optimizer in the seam's language: noise readings turned into scales, schedules into numbers, and the
 * paper's shift x_{k+1} = x_k − (τ_k/δ)∇F (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, eq. 12) into gradient
 * descent at rate τ_k/δ.
 */
import type { Estimator, Plan, Optimizer as SeamOptimizer, Vector } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import type { Network } from "../network.ts";
import { describeSchedule, evaluate, type Schedule } from "../schedules.ts";
import { heat } from "./objectives/heat.ts";
import { localEntropy } from "./objectives/local-entropy.ts";
import { loss } from "./objectives/loss.ts";
import { noiseScales, type ResolvedObjective } from "./objectives/resolved.ts";
import {
  drawsSamples,
  extremes,
  leastNoise,
  type Made,
  madeOfChain,
  madeOfRate,
  madeOfSampling,
  type Precision,
  requireConstants,
  requireHeld,
  requireNoise,
} from "./precision.ts";
import { defaultOptimizer, type MinimizeObjective, type Objective, type Optimizer } from "./schemas.ts";

/** What of a plan comes from schedules; each (count). */
export type OuterValues = Pick<Plan, "tau" | "noiseScale" | "rate">;

/** Values of updates first … first + count − 1. */
export type PlanValues = (first: number, count: number) => OuterValues;

/** The objective in numbers; a function's (`minimize`) has no minibatch and is never projected. */
export function resolveObjective(
  root: string,
  objective: Objective | MinimizeObjective,
  projectable: boolean,
  network: Network | null,
): ResolvedObjective {
  const place = { path: `${root}.objective`, projectable, network };
  switch (objective.kind) {
    case "local-entropy":
      return localEntropy(objective, place);
    case "heat":
      return heat(objective, place);
    case "loss":
      return loss();
    default:
      return objective satisfies never;
  }
}

/** The optimizer that was asked for, or the objective's own. */
export function resolveOptimizer(
  root: string,
  given: Optimizer | undefined,
  objective: Objective | MinimizeObjective,
  fallback: Optimizer | null = defaultOptimizer(objective),
): Optimizer {
  const optimizer = given ?? fallback;
  if (optimizer === null) {
    throw new OptionError(
      expected(
        "an optimizer with a rate",
        `${root}.optimizer`,
        given,
        'the objective "loss" has no default, since a good rate depends on the problem: for example { kind: "gradient-descent", rate: 0.01 }',
      ),
    );
  }
  if (optimizer.kind === "shift" && objective.kind === "loss") {
    throw new OptionError(
      expected(
        '"gradient-descent", "momentum" or "adam"',
        `${root}.optimizer.kind`,
        "shift",
        'the objective "loss" has no mean to shift to',
      ),
    );
  }
  return optimizer;
}

/** The seam's optimizer: its kind and constants, no rate. */
export function seamOptimizer(optimizer: Optimizer): SeamOptimizer {
  if (optimizer.kind === "shift") return { kind: "gradient-descent" };
  const { rate: _, ...constants } = optimizer;
  return constants;
}

/**
 * What helps where a run diverges. A chain's step must stay below 2 τ (Robbins–Monro's below 2), and the shift goes
 * along the gradient as far as τ/δ says.
 */
export function adviceAgainstDivergence({ kind }: Estimator, optimizer: Optimizer): string {
  const shifts = optimizer.kind === "shift";
  switch (kind) {
    case "sgd":
      return "Try a smaller rate";
    case "importance-sampling":
      return shifts ? "Try a smaller tau or a larger temperature" : "Try a smaller rate";
    case "evolution-strategies":
      return shifts ? "Try a smaller tau" : "Try a smaller rate";
    case "sgld":
      return `Try a smaller stepSize or a larger tau: a step should stay below 2 tau${shifts ? "" : "; or a smaller rate"}`;
    case "robbins-monro":
      return `Try a smaller stepSize or a smaller tau${shifts ? "" : ", or a smaller rate"}`;
    default:
      return kind satisfies never;
  }
}

/**
 * The outer schedules of a run as a function of the updates asked for; τ is 0 where the objective has none.
 *
 * @param parameters where the run starts (n): noise must be more than their grain
 * @param precision of the backends
 * @throws OptionError, also when values are asked for, for what the precision cannot hold
 */
export function resolvePlanValues(
  root: string,
  { estimator, tau, noise, shift }: ResolvedObjective,
  optimizer: Optimizer,
  updates: number,
  parameters: Vector,
  precision: Precision,
): PlanValues {
  requireConstants(`${root}.optimizer`, optimizer, precision);
  const least = leastNoise(parameters, precision);
  const place = (path: string, schedule: Schedule, k: number) =>
    typeof schedule === "number" ? `${root}.${path}` : `${root}.${path} at k = ${k}`;
  const requireTau = (k: number, value: number, variance: number, s: number) => {
    const path = place("objective.tau", tau!, k);
    requireHeld(path, value, madeOf(estimator, variance, s, shift, optimizer), precision);
    if (drawsSamples(estimator)) requireNoise(path, value, s, least, precision);
  };
  const requireRate = (k: number, value: number) => {
    if (optimizer.kind === "shift") return; // τ's own
    requireHeld(place("optimizer.rate", optimizer.rate, k), value, madeOfRate(optimizer, value), precision);
  };
  const values = (
    path: string,
    schedule: Schedule,
    from: number,
    count: number,
    sign: "above 0" | "0 or more",
  ) => evaluate(`${root}.${path}`, schedule, { from, count, total: updates, first: 0 }, sign);
  return (first, count) => {
    const taus =
      tau === null ? new Float64Array(count) : values("objective.tau", tau, first, count, "above 0");
    const scales = noiseScales(taus, noise);
    // E_q[X] is made by samples of variance s² alone; chains and the heat step have τ in their own formulas too.
    const variances =
      estimator.kind === "importance-sampling" && noise === "standard-deviation"
        ? scales.map((s) => s * s)
        : taus;
    const rate =
      optimizer.kind === "shift"
        ? variances.map((value) => value * (shift ?? 0))
        : values("optimizer.rate", optimizer.rate, first, count, "0 or more");
    if (tau !== null) requireAll(taus, (i) => requireTau(first + i, taus[i], variances[i], scales[i]));
    requireAll(rate, (i) => requireRate(first + i, rate[i]));
    return { tau: variances, noiseScale: scales, rate };
  };
}

/** Holds what is monotone in `values` against all of them: the least and the largest tell; the first fault is named. */
function requireAll(values: Float64Array, check: (index: number) => void): void {
  if (values.length === 0) return;
  let [least, largest] = [0, 0];
  values.forEach((value, i) => {
    if (value < values[least]) least = i;
    if (value > values[largest]) largest = i;
  });
  try {
    check(least);
    check(largest);
  } catch {
    for (let i = 0; i < values.length; i++) check(i);
  }
}

/** What is made of τ, by the estimator and by the paper's step. */
function madeOf(
  estimator: Estimator,
  tau: number,
  s: number,
  shift: number | null,
  optimizer: Optimizer,
): Made[] {
  const stepped: Made[] =
    optimizer.kind === "shift"
      ? [{ formula: "τ/δ, the shift's rate,", value: tau * (shift ?? 0), up: "tau", down: "temperature" }]
      : [];
  switch (estimator.kind) {
    case "sgd":
      return [];
    case "importance-sampling":
      return [...madeOfSampling(tau, s, estimator.temperature), ...stepped];
    case "evolution-strategies":
      return [...madeOfSampling(tau, s, null), ...stepped];
    case "robbins-monro":
      return [...madeOfChain(tau, extremes(estimator.stepSizes), [s, s]), ...stepped];
    case "sgld":
      return [
        ...madeOfChain(tau, extremes(estimator.stepSizes), extremes(estimator.noiseScales)),
        ...stepped,
      ];
    default:
      return estimator satisfies never;
  }
}

/** Options as JSON: schedules by name and arguments, bigints as text. */
export function describeOptions(options: object): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(options, (_key, value) => {
      if (typeof value === "function") return describeSchedule(value);
      return typeof value === "bigint" ? String(value) : value;
    }),
  );
}
