/**
 * Objective and optimizer in the seam's language: noise readings turned into scales, schedules into numbers, and the
 * paper's shift x_{k+1} = x_k − (τ_k/δ)∇F (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, eq. 12) into gradient
 * descent at rate τ_k/δ.
 */
import type { Plan, Optimizer as SeamOptimizer } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import type { Network } from "../network.ts";
import { describeSchedule, evaluate, type Schedule } from "../schedules.ts";
import { heat } from "./objectives/heat.ts";
import { localEntropy } from "./objectives/local-entropy.ts";
import { loss } from "./objectives/loss.ts";
import { noiseScales, type ResolvedObjective } from "./objectives/resolved.ts";
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

/** The outer schedules of a run as a function of the updates asked for; τ is 0 where the objective has none. */
export function resolvePlanValues(
  root: string,
  { tau, noise, shift }: ResolvedObjective,
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
    const taus =
      tau === null ? new Float64Array(count) : values("objective.tau", tau, first, count, "above 0");
    const rate =
      optimizer.kind === "shift"
        ? taus.map((value) => value * (shift ?? 0))
        : values("optimizer.rate", optimizer.rate, first, count, "0 or more");
    return { tau: taus, noiseScale: noiseScales(taus, noise), rate };
  };
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
