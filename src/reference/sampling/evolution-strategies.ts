/**
 * Evolution strategies: the gradient of the heat loss F^H_τ(x) = E f(x + s Z) (García Trillos, Kaplan, Sanz-Alonso,
 * Entropy 2019, Algorithm 2's objective), gradient-free and, unlike importance sampling, with no quotient: unbiased.
 *
 * - By rows: the first-order part of the row split (see `row-split.ts`).
 * - Else Stein's identity ∇F^H = E[Z f]/s: mean over units of their mean of f Z, over s. Antithetic pairs and Walsh
 *   blocks take differences of their own; independent samples are centred, Σ_j (f_j − f̄) Z_j/((J − 1) s), the same
 *   mean (each Z_j against the mean of the other losses) with a far smaller variance.
 *
 * The step is mean := x − τ·gradient.
 *
 * Symbols: J samples, n parameters, τ variance, s the perturbation's scale (√τ, or τ in the second reading; the
 * gradient is then that of the heat loss of variance s²).
 *
 * What this file leaves out: speed. What lies outside a minibatch's span has mean zero and is left out on purpose.
 */
import type { Coupling, EvolutionStrategiesInput, Operations } from "../../backends/backend.ts";
import { parameterCount } from "../../network.ts";
import type { Work } from "../machine/work.ts";
import type { Draw, NetworkPoint } from "../network/dense.ts";
import { rowSplit } from "./row-split.ts";
import { type NoiseForm, noiseForm, sampleUnit, sampleUnits, type Unit } from "./sampled-point.ts";
import { mean, Spread } from "./spread.ts";
import { walshBlock } from "./walsh.ts";

export type EvolutionStrategiesSettings = Pick<
  EvolutionStrategiesInput,
  "coupling" | "rowwise" | "tau" | "noiseScale"
>;

/** `gradient` of n entries. */
export type EvolutionStrategiesEstimate = Awaited<ReturnType<Operations["evolutionStrategies"]>> & {
  readonly gradient: Float64Array;
};

/** On a network: the form asked for, with the noise of a key and an update. */
export function* evolutionStrategies(
  point: NetworkPoint,
  draw: Draw,
  settings: EvolutionStrategiesSettings,
): Work<EvolutionStrategiesEstimate> {
  const { coupling, rowwise, noiseScale } = settings;
  const form = noiseForm(point, draw);
  const estimate = rowwise
    ? byRows(point, form, coupling, noiseScale)
    : whole(point, form, coupling, noiseScale);
  const { gradient, losses, standardError } = yield* estimate;
  return {
    gradient,
    loss: mean(losses),
    standardError,
    samples: losses.length,
  };
}

interface Estimate {
  /** n. */
  readonly gradient: Float64Array;
  /** J. */
  readonly losses: Float64Array;
  readonly standardError: number | null;
}

/** The first-order part of the row split. */
function* byRows(point: NetworkPoint, form: NoiseForm, coupling: Coupling, s: number): Work<Estimate> {
  const dimension = parameterCount(point.network);
  const split = rowSplit(point, form, coupling, s);
  const count = split.groups.flat().length;
  const gradient = new Float64Array(dimension);
  const spread = new Spread(dimension);
  const losses: number[] = [];
  for (const group of split.groups) {
    const { units, together, parts } = split.firstOrder(group);
    for (const unit of units) losses.push(...unit.losses);
    for (const part of parts) spread.add(part);
    together.forEach((value, i) => {
      gradient[i] += (value * units.length) / count;
    });
    yield;
  }
  return { gradient, losses: Float64Array.from(losses), standardError: spread.standardError() };
}

/** Stein's identity on the minibatch's loss. */
function* whole(point: NetworkPoint, form: NoiseForm, coupling: Coupling, s: number): Work<Estimate> {
  const walsh = coupling.kind === "walsh";
  const count = walsh ? coupling.blocks : sampleUnits(coupling);
  const unit = (index: number): Unit =>
    walsh ? walshBlock(point, form, false, s, index) : sampleUnit(point, form, coupling, s, index);
  const losses: number[] = [];
  for (let index = 0; index < count; index++) {
    losses.push(...unit(index).losses);
    yield;
  }
  const all = Float64Array.from(losses);
  const centred = coupling.kind === "independent" && coupling.centred;
  const center = centred ? mean(all) : 0;
  const factor = (centred ? count / (count - 1) : 1) / s;
  const spread = new Spread(parameterCount(point.network));
  for (let index = 0; index < count; index++) {
    const made = unit(index);
    spread.add(made.noiseMean(made.losses.map((f) => factor * (f - center))));
    yield;
  }
  return { gradient: spread.mean, losses: all, standardError: spread.standardError() };
}
