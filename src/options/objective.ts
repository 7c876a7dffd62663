/**
 * Objective and optimizer in the seam's language: noise readings turned into scales, schedules into numbers, and the
 * paper's shift x_{k+1} = x_k − (τ_k/δ)∇F (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, eq. 12) into gradient
 * descent at rate τ_k/δ.
 */
import type { Estimator, Plan, Optimizer as SeamOptimizer } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import { describeSchedule, evaluate, type Schedule, type Span } from "../schedules.ts";
import { defaultOptimizer, type MinimizeObjective, type Objective, type Optimizer } from "./schemas.ts";

/** What of a plan comes from schedules; each (count). */
export type OuterValues = Pick<Plan, "tau" | "noiseScale" | "rate">;

/** Values of updates first … first + count − 1. */
export type PlanValues = (first: number, count: number) => OuterValues;

type Reading = "variance" | "standard-deviation";

/** Scale of the normals for variances: their roots, or themselves in the second reading. */
function scales(variances: Float64Array, reading: Reading): Float64Array {
  return reading === "variance" ? variances.map(Math.sqrt) : variances.slice();
}

/**
 * The seam's estimator.
 *
 * @param root path of the options, for errors
 * @param projectable whether B rows on d_0 inputs leave a complement to project away: B ≤ d_0
 */
export function resolveEstimator(
  root: string,
  objective: Objective | MinimizeObjective,
  projectable: boolean,
): Estimator {
  if (objective.kind === "loss") return { kind: "sgd" };
  const { estimator } = objective;
  const path = `${root}.objective.estimator`;
  const wanted = projectable && !("projection" in estimator && estimator.projection === "off");
  if (estimator.kind === "importance-sampling") {
    const { kind, coupling, temperature } = estimator;
    return { kind, coupling, temperature, rowwise: false, projected: wanted };
  }
  const { kind, steps } = estimator;
  const fresh = "minibatch" in estimator && estimator.minibatch === "per-step";
  const span: Span = { from: 1, count: steps, total: steps, first: 1 };
  const stepSizes = evaluate(`${path}.stepSize`, estimator.stepSize, span, "above 0");
  if (kind === "sgld") {
    const batches = fresh ? steps - 1 : 1;
    const noiseScales = scales(stepSizes, estimator.noise);
    const { chainStart } = estimator;
    return { kind, stepSizes, noiseScales, chainStart, batches, projected: wanted && batches === 1 };
  }
  const { samples } = estimator;
  checkDraws(`${path}.samples`, samples, steps);
  const batches = fresh ? steps : 1;
  return { kind, samples, stepSizes, batches, projected: wanted && batches === 1 };
}

/** Robbins–Monro's M draws of J steps share one 32-bit index. */
export function checkDraws(path: string, samples: number, steps: number): void {
  if (samples * steps <= 2 ** 32) return;
  const advice = "each of them has its own 32-bit index of random numbers";
  throw new OptionError(expected("at most 2^32 samples × steps", path, samples, advice));
}

/** Who needs ∇f, or null. */
export function needsGradient(objective: Objective | MinimizeObjective): string | null {
  if (objective.kind === "loss") return 'the objective "loss"';
  const kind = objective.estimator.kind;
  return kind === "sgld" || kind === "robbins-monro" ? `the estimator "${kind}"` : null;
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

/** Number of vectors that an optimizer carries from step to step. */
export function momentCount(optimizer: SeamOptimizer): number {
  return optimizer.kind === "adam" ? 2 : optimizer.kind === "momentum" ? 1 : 0;
}

/** The outer schedules of a run as a function of the updates asked for; τ is 0 where the objective has none. */
export function resolvePlanValues(
  root: string,
  objective: Objective | MinimizeObjective,
  optimizer: Optimizer,
  updates: number,
): PlanValues {
  const values = (
    path: string,
    schedule: Schedule,
    from: number,
    count: number,
    sign: "above 0" | "0 or more",
  ) => evaluate(`${root}.${path}`, schedule, { from, count, total: updates, first: 0 }, sign);
  return (first, count) => {
    if (objective.kind === "loss") {
      const rate = (optimizer as { rate: Schedule }).rate;
      const none = new Float64Array(count);
      return { tau: none, noiseScale: none, rate: values("optimizer.rate", rate, first, count, "0 or more") };
    }
    const { estimator } = objective;
    const tau = values("objective.tau", objective.tau, first, count, "above 0");
    const temperature = estimator.kind === "importance-sampling" ? estimator.temperature : 1;
    const rate =
      optimizer.kind === "shift"
        ? tau.map((value) => value / temperature)
        : values("optimizer.rate", optimizer.rate, first, count, "0 or more");
    return { tau, noiseScale: scales(tau, estimator.noise), rate };
  };
}

/** Updates whose schedules are walked at once. */
const STRETCH = 4096;

/** Walks the outer schedules from end to end: throws at the first wrong value, shows the rest to `visit`. */
export function walk(planValues: PlanValues, updates: number, visit: (values: OuterValues) => void): void {
  for (let first = 0; first < updates; first += STRETCH) {
    visit(planValues(first, Math.min(STRETCH, updates - first)));
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
