/**
 * The check of `minimize`'s options: a user's own function under the algorithms of `train`.
 */
import {
  type AbortSignalLike,
  type Estimator,
  MOMENT_COUNTS,
  type Optimizer,
  type SessionState,
} from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import { type Key, keyOf } from "../reference/random/streams.ts";
import { checkNumbers } from "./arrays.ts";
import { DEFAULTS } from "./defaults.ts";
import {
  adviceAgainstDivergence,
  describeOptions,
  type PlanValues,
  resolveObjective,
  resolveOptimizer,
  resolvePlanValues,
  seamOptimizer,
} from "./objective.ts";
import { outerSchedules } from "./outer-schedules.ts";
import { FLOAT64 } from "./precision.ts";
import {
  type Hold,
  minimizeObjectiveSchema,
  needsGradient,
  optimizerSchema,
  type SameKeys,
} from "./schemas.ts";
import type { FunctionLoss, MinimizeOptions } from "./types.ts";
import {
  checkedElsewhere,
  integer,
  leaf,
  object,
  optional,
  parse,
  seed,
  signal,
  withDefault,
} from "./values.ts";

/** Options of a run on a function, in the seam's language; the estimator is never projected. */
export interface CheckedMinimize {
  readonly loss: FunctionLoss;
  readonly estimator: Estimator;
  readonly optimizer: Optimizer;
  /** τ, noise scale and rate of updates first … first + count − 1. */
  readonly planValues: PlanValues;
  readonly updates: number;
  readonly key: Key;
  /** x_0 in float64, with zero moments. */
  readonly state: SessionState;
  readonly recordEvery: number;
  readonly signal?: AbortSignalLike;
  /** What helps where the run diverges. */
  readonly advice: string;
  /** The options as given, with their defaults, as JSON. */
  readonly description: Record<string, unknown>;
}

const callable = <Type>() => leaf<Type>("a function", (v) => typeof v === "function");

const minimizeSchema = object({
  loss: object({
    dimension: integer(1, 2 ** 30),
    value: callable<FunctionLoss["value"]>(),
    gradient: optional(callable<NonNullable<FunctionLoss["gradient"]>>()),
  }),
  start: checkedElsewhere<ArrayLike<number>>(),
  objective: minimizeObjectiveSchema,
  optimizer: optional(optimizerSchema),
  updates: integer(1, 2 ** 32),
  seed: withDefault(seed(), DEFAULTS.seed),
  recordEvery: withDefault(integer(1, 2 ** 32), DEFAULTS.recordEvery),
  signal: signal(),
});

/** @throws OptionError that names the option, what is allowed and what was given */
export function checkMinimizeOptions(options: MinimizeOptions | unknown): CheckedMinimize {
  const given = parse("minimize", minimizeSchema, options);
  const { loss, objective, updates, recordEvery } = given;
  const needs = needsGradient(objective);
  if (needs !== null && loss.gradient === undefined) {
    const advice = `${needs} needs it: give gradient(x), or use the estimator "importance-sampling"`;
    throw new OptionError(expected("a function", "minimize.loss.gradient", loss.gradient, advice));
  }
  const parameters = checkNumbers("minimize.start", given.start, loss.dimension, FLOAT64);
  // A function's minimum should not move: no weight decay, but the shift, Algorithms 1 and 2 as they stand.
  const fallback = objective.kind === "loss" ? null : ({ kind: "shift" } as const);
  const resolved = resolveObjective("minimize", objective, false, null);
  const chosen = resolveOptimizer("minimize", given.optimizer, objective, fallback);
  const optimizer = seamOptimizer(chosen);
  const rate = chosen.kind === "shift" ? null : chosen.rate;
  const values = resolvePlanValues("minimize", resolved, chosen, updates, parameters, FLOAT64);
  const { planValues } = outerSchedules(values, [resolved.tau, rate], updates);
  return {
    loss,
    estimator: resolved.estimator,
    optimizer,
    planValues,
    updates,
    key: keyOf(given.seed),
    state: {
      parameters,
      moments: Array.from({ length: MOMENT_COUNTS[optimizer.kind] }, () => new Float64Array(loss.dimension)),
      chain: null,
    },
    recordEvery,
    signal: given.signal,
    advice: `${adviceAgainstDivergence(resolved.estimator, chosen)}, or a start near which the function is finite`,
    description: describeOptions({
      loss: { dimension: loss.dimension, gradient: loss.gradient !== undefined },
      start: Array.from(parameters),
      objective,
      optimizer: chosen,
      updates,
      seed: given.seed,
      recordEvery,
    }),
  };
}

// The schema and the public type have the same keys.
export type Tied = Hold<[SameKeys<MinimizeOptions, typeof minimizeSchema>]>;
