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
import type { Estimator, Optimizer } from "../../backends/backend.ts";
import { expected, OptionError } from "../../errors.ts";
import {
  type RobbinsMonroEstimate,
  type RobbinsMonroSettings,
  robbinsMonro,
  robbinsMonroDirect,
} from "../chains/robbins-monro.ts";
import { type SgldEstimate, type SgldSettings, sgld, sgldDirect } from "../chains/sgld.ts";
import type { LossFunction, Normals, Work } from "../machine/work.ts";
import { type Draw, type NetworkPoint, networkLoss } from "../network/dense.ts";
import { sgdDirect } from "../network/sgd.ts";
import {
  type EvolutionStrategiesEstimate,
  type EvolutionStrategiesSettings,
  evolutionStrategies,
} from "../sampling/evolution-strategies.ts";
import {
  type ImportanceSamplingEstimate,
  type ImportanceSamplingSettings,
  importanceSampling,
  importanceSamplingDirect,
} from "../sampling/importance-sampling.ts";
import { step } from "./step.ts";

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

/** The estimators at x_k, on a network's minibatches or on a function; `projected` as in `Draw`. */
export interface Place {
  sgd(): Work<{ gradient: Float64Array; loss: number }>;
  importanceSampling(
    settings: ImportanceSamplingSettings & { readonly rowwise: boolean },
    projected: boolean,
  ): Work<ImportanceSamplingEstimate>;
  evolutionStrategies(
    settings: EvolutionStrategiesSettings,
    projected: boolean,
  ): Work<EvolutionStrategiesEstimate>;
  sgld(start: Float64Array, settings: SgldSettings, projected: boolean): Work<SgldEstimate>;
  robbinsMonro(settings: RobbinsMonroSettings, projected: boolean): Work<RobbinsMonroEstimate>;
}

/** A network at x_k, with the noise of a key and an update. */
export function networkPlace(point: NetworkPoint, draw: Omit<Draw, "projected">): Place {
  const { network, loss, batches, x } = point;
  return {
    sgd: () => sgdDirect(networkLoss(network, loss, batches[0]), x),
    importanceSampling: (settings, projected) => importanceSampling(point, { ...draw, projected }, settings),
    evolutionStrategies: (settings, projected) =>
      evolutionStrategies(point, { ...draw, projected }, settings),
    sgld: (start, settings, projected) => sgld(point, { ...draw, projected }, start, settings),
    robbinsMonro: (settings, projected) => robbinsMonro(point, { ...draw, projected }, settings),
  };
}

/** A function at x_k, always in the direct form: it has no minibatch to project on. */
export function functionPlace(loss: LossFunction, x: Float64Array, normals: Normals): Place {
  return {
    sgd: () => sgdDirect(loss, x),
    importanceSampling: (settings) => importanceSamplingDirect(loss, x, settings, normals),
    evolutionStrategies: () => {
      throw new OptionError(
        expected("robbins-monro", "estimator.kind", "evolution-strategies", "on a function"),
      );
    },
    sgld: (start, settings) => sgldDirect([loss], x, start, settings, normals),
    robbinsMonro: (settings) => robbinsMonroDirect([loss], x, settings, normals),
  };
}

interface Estimate {
  /** n. */
  readonly gradient: Float64Array;
  readonly chain: Float64Array | null;
  readonly loss: number;
  readonly effectiveSampleSize: number;
  readonly freeEnergy: number;
}

/**
 * x_k → x_{k+1}.
 *
 * @param place the estimators at x_k = state.parameters
 * @param k zero-based; Adam's index is k + 1
 * @returns the next state and the loss, |gradient|, effective sample size and F_τ estimate (NaN where none)
 */
export function* update(
  place: Place,
  estimator: Estimator,
  optimizer: Optimizer,
  k: number,
  schedules: Schedules,
  state: State,
): Work<{ state: State; values: [number, number, number, number] }> {
  const { gradient, chain, loss, effectiveSampleSize, freeEnergy } = yield* estimate(
    place,
    estimator,
    schedules,
    state,
  );
  const moved = step(optimizer, schedules.rate, state.parameters, gradient, state.moments, k + 1);
  const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
  return { state: { ...moved, chain }, values: [loss, norm, effectiveSampleSize, freeEnergy] };
}

function* estimate(
  place: Place,
  estimator: Estimator,
  { tau, noiseScale }: Schedules,
  { parameters: x, chain }: State,
): Work<Estimate> {
  const none = { effectiveSampleSize: Number.NaN, freeEnergy: Number.NaN, chain: null };
  const fromMean = (mean: Float64Array) => x.map((value, i) => (value - mean[i]) / tau);
  switch (estimator.kind) {
    case "sgd":
      return { ...none, ...(yield* place.sgd()) };
    case "importance-sampling": {
      const settings = { ...estimator, tau, noiseScale };
      return { ...none, ...(yield* place.importanceSampling(settings, estimator.projected)) };
    }
    case "sgld": {
      const previous = estimator.chainStart === "previous";
      const start = (previous && chain) || x;
      const { mean, last, loss } = yield* place.sgld(start, { ...estimator, tau }, estimator.projected);
      return { ...none, gradient: fromMean(mean), chain: previous ? last : null, loss };
    }
    case "robbins-monro": {
      const settings = { ...estimator, tau, noiseScale };
      const { mean, loss } = yield* place.robbinsMonro(settings, estimator.projected);
      return { ...none, gradient: fromMean(mean), loss };
    }
    case "evolution-strategies": {
      const settings = { ...estimator, tau, noiseScale };
      const { gradient, loss } = yield* place.evolutionStrategies(settings, estimator.projected);
      return { ...none, gradient, loss };
    }
    default:
      return estimator satisfies never;
  }
}
