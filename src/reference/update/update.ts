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

/** What is minimized, at x_k: the estimators' gradients on a network's minibatches, or on a function. */
export interface Problem {
  sgd(): Work<{ gradient: Float64Array; loss: number }>;
  importanceSampling(
    settings: ImportanceSamplingSettings & { readonly rowwise: boolean } & Form,
  ): Work<ImportanceSamplingEstimate>;
  evolutionStrategies(settings: EvolutionStrategiesSettings & Form): Work<EvolutionStrategiesEstimate>;
  sgld(start: Float64Array, settings: SgldSettings & Form): Work<SgldEstimate>;
  robbinsMonro(settings: RobbinsMonroSettings & Form): Work<RobbinsMonroEstimate>;
}

type Form = Pick<Draw, "projected">;

/** A network at x_k, with the noise of a key and an update. */
export function networkProblem(point: NetworkPoint, { key, update }: Omit<Draw, "projected">): Problem {
  const { network, loss, batches, x } = point;
  const draw = ({ projected }: Form) => ({ key, update, projected });
  return {
    sgd: () => sgdDirect(networkLoss(network, loss, batches[0]), x),
    importanceSampling: (settings) => importanceSampling(point, draw(settings), settings),
    evolutionStrategies: (settings) => evolutionStrategies(point, draw(settings), settings),
    sgld: (start, settings) => sgld(point, draw(settings), start, settings),
    robbinsMonro: (settings) => robbinsMonro(point, draw(settings), settings),
  };
}

/** A function at x_k, always in the direct form: it has no minibatch to project on. */
export function functionProblem(loss: LossFunction, x: Float64Array, normals: Normals): Problem {
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
 * @param problem at x_k = state.parameters
 * @param k zero-based; Adam's index is k + 1
 * @returns the next state and the loss, |gradient|, effective sample size and F_τ estimate (NaN where none)
 */
export function* update(
  problem: Problem,
  estimator: Estimator,
  optimizer: Optimizer,
  k: number,
  schedules: Schedules,
  state: State,
): Work<{ state: State; values: [number, number, number, number] }> {
  const made = yield* estimate(problem, estimator, schedules, state);
  const { gradient, chain, loss, effectiveSampleSize, freeEnergy } = made;
  const moved = step(optimizer, schedules.rate, state.parameters, gradient, state.moments, k + 1);
  const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
  return { state: { ...moved, chain }, values: [loss, norm, effectiveSampleSize, freeEnergy] };
}

function* estimate(
  problem: Problem,
  estimator: Estimator,
  { tau, noiseScale }: Schedules,
  { parameters: x, chain }: State,
): Work<Estimate> {
  const none = { effectiveSampleSize: Number.NaN, freeEnergy: Number.NaN, chain: null };
  const fromMean = (mean: Float64Array) => x.map((value, i) => (value - mean[i]) / tau);
  switch (estimator.kind) {
    case "sgd":
      return { ...none, ...(yield* problem.sgd()) };
    case "importance-sampling":
      return { ...none, ...(yield* problem.importanceSampling({ ...estimator, tau, noiseScale })) };
    case "evolution-strategies": {
      const { gradient, loss } = yield* problem.evolutionStrategies({ ...estimator, tau, noiseScale });
      return { ...none, gradient, loss };
    }
    case "sgld": {
      const previous = estimator.chainStart === "previous";
      const start = (previous && chain) || x;
      const { mean, last, loss } = yield* problem.sgld(start, { ...estimator, tau });
      return { ...none, gradient: fromMean(mean), chain: previous ? last : null, loss };
    }
    case "robbins-monro": {
      const { mean, loss } = yield* problem.robbinsMonro({ ...estimator, tau, noiseScale });
      return { ...none, gradient: fromMean(mean), loss };
    }
    default:
      return estimator satisfies never;
  }
}
