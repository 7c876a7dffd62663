/**
 * One outer update: the estimator's gradient at x_k, then the optimizer's step (García Trillos, Kaplan,
 * Sanz-Alonso, Entropy 2019, Algorithms 1 and 2).
 *
 * Every estimator gives the gradient of its own objective: ∇F_τ, (x_k − mean)/τ where it gives a mean (eq. 12), or
 * ∇f. An update is a function of the state before it, so one that is abandoned leaves no trace.
 *
 * Symbols: n parameters, τ variance, s the perturbation's scale, k the update.
 *
 * What this file leaves out: the minibatch's choice, schedules and records, which are made above.
 */
import type { Estimator, Optimizer } from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import { type Draw, type NetworkPoint, networkLoss } from "./dense.ts";
import { importanceSampling } from "./importance-sampling.ts";
import { robbinsMonro } from "./robbins-monro.ts";
import { sgdDirect } from "./sgd.ts";
import { sgld } from "./sgld.ts";
import { step } from "./step.ts";
import type { Work } from "./work.ts";

/** What a run carries from one update to the next: see `SessionState`. */
export interface State {
  /** x_k (n). */
  readonly parameters: Float64Array;
  /** 0, 1 or 2 vectors of n. */
  readonly moments: readonly Float64Array[];
  /** x^J of the last Langevin chain (n), or null. */
  readonly chain: Float64Array | null;
}

/** The numbers of one update. */
export interface Schedules {
  /** τ. */
  readonly tau: number;
  /** s. */
  readonly noiseScale: number;
  readonly rate: number;
}

interface Estimate {
  /** n. */
  readonly gradient: Float64Array;
  readonly chain: Float64Array | null;
  readonly loss: number;
  readonly effectiveSampleSize: number;
  readonly freeEnergy: number;
}

/** x_k → x_{k+1}; `values` are the loss, |gradient|, effective sample size and F_τ estimate (NaN where none). */
export function* update(
  place: Omit<NetworkPoint, "x">,
  draw: Omit<Draw, "projected">,
  estimator: Estimator,
  optimizer: Optimizer,
  schedules: Schedules,
  state: State,
): Work<{ state: State; values: [number, number, number, number] }> {
  const point = { ...place, x: state.parameters };
  const { gradient, chain, loss, effectiveSampleSize, freeEnergy } = yield* estimate(
    point,
    draw,
    estimator,
    schedules,
    state.chain,
  );
  const { rate } = schedules;
  const moved = step(optimizer, rate, state.parameters, gradient, state.moments, draw.update + 1);
  const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
  return { state: { ...moved, chain }, values: [loss, norm, effectiveSampleSize, freeEnergy] };
}

function* estimate(
  point: NetworkPoint,
  draw: Omit<Draw, "projected">,
  estimator: Estimator,
  { tau, noiseScale }: Schedules,
  chain: Float64Array | null,
): Work<Estimate> {
  const none = { effectiveSampleSize: Number.NaN, freeEnergy: Number.NaN, chain: null };
  const { network, loss, batches, x } = point;
  const fromMean = (mean: Float64Array) => x.map((value, i) => (value - mean[i]) / tau);
  switch (estimator.kind) {
    case "sgd":
      return { ...none, ...(yield* sgdDirect(networkLoss(network, loss, batches[0]), x)) };
    case "importance-sampling": {
      refuseRowwise(estimator.rowwise);
      const settings = { ...estimator, tau, noiseScale };
      const result = yield* importanceSampling(point, { ...draw, projected: estimator.projected }, settings);
      return { ...none, ...result };
    }
    case "sgld": {
      const previous = estimator.chainStart === "previous";
      const start = (previous && chain) || x;
      const result = yield* sgld(point, { ...draw, projected: estimator.projected }, start, {
        ...estimator,
        tau,
      });
      return {
        ...none,
        gradient: fromMean(result.mean),
        chain: previous ? result.last : null,
        loss: result.loss,
      };
    }
    case "robbins-monro": {
      const result = yield* robbinsMonro(
        point,
        { ...draw, projected: estimator.projected },
        { ...estimator, tau, noiseScale },
      );
      return { ...none, gradient: fromMean(result.mean), loss: result.loss };
    }
    case "evolution-strategies":
      throw notInThisBuild(
        "estimator.kind",
        "importance-sampling, sgld, robbins-monro or sgd",
        estimator.kind,
      );
    default:
      return estimator satisfies never;
  }
}

/** The row split is an estimator of its own that this build lacks. */
export function refuseRowwise(rowwise: boolean): void {
  if (rowwise) throw notInThisBuild("false", "rowwise", true);
}

/** The error for what is not in this build. */
export function notInThisBuild(range: string, path: string, value: unknown): OptionError {
  return new OptionError(expected(range, path, value, "it is not in this build"));
}
