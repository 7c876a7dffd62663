/**
 * Importance sampling of E_q[X], q ∝ e^{−f/δ} φ_{x,τ}: gradient-free (García Trillos, Kaplan, Sanz-Alonso, Entropy
 * 2019, Algorithm 4, eq. 16, with a temperature δ; δ = 1 is the paper's).
 *
 * Samples x^j = x + s Z_j, weights w_j = e^{−f(x^j)/δ}, w̄_j = w_j/Σw. The mean Σ w̄_j x^j = x − (τ/δ)·gradient
 * (eq. 12), so gradient = −(δ s/τ) Σ w̄_j Z_j, ∇F of F = −δ log E e^{−f/δ}, estimated by −δ log mean_j w_j.
 *
 * - independent, raw: Algorithm 4 as it stands.
 * - independent, centred: Σ_j (w_j − w̄)Z_j/(J − 1) over w̄ = mean w in place of Σ w̄_j Z_j. The same mean of the
 *   numerator (each Z_j against the mean of the other weights), a far smaller variance.
 * - antithetic: pair p gives samples 2p (+Z_p) and 2p + 1 (−Z_p): Σ_p (w̄_2p − w̄_2p+1) Z_p.
 * - Walsh blocks (`walsh.ts`): the mean over blocks of their mean of w Z, over mean w.
 * - By rows, with any coupling: w = e^{−D} = 1 − D + ρ, D = (f̄ − c₀)/δ. Of 1 − D the row split (`row-split.ts`) gives
 *   the first-order part H; with the remainder ρ, for a fixed c₀,
 *
 *     H − (δ/s) E[ρ Z] = −(δ/s) E[w Z],      gradient = (s²/τ) (H − (δ/s) mean ρ Z)/mean w,
 *
 *   which is δ(x − E_q[X])/τ: s²/τ is 1 unless the noise's scale s is not √τ. c₀ is the mean of f̄ over all samples;
 *   the quotient's bias is O(1/units).
 *
 * Projected, samples and pairs: the same on the reduced loss. Given the weights, the complement of Σ w̄_j Z_j is normal
 * with variance Σ w̄_j² (I − QQᵀ) a column: drawn once ("sample", Algorithm 4's law) or left at its mean, zero
 * ("marginalize").
 * The direct form draws every coordinate of every sample, so there the complement's setting changes nothing.
 *
 * Symbols: J samples, n dimension, τ the proposal's variance, s the perturbation's scale (√τ, or τ in the second
 * reading), δ temperature, r rank of the minibatch, d_0, d_1 widths, f̄ the minibatch's mean loss.
 *
 * What this file leaves out: speed: noise is made twice, once for the losses and once for the sum, so that nothing but
 * the J losses is kept.
 */
import { type Coupling, type ImportanceSamplingOutput, sampleCount } from "../../backends/backend.ts";
import { expected, OptionError } from "../../errors.ts";
import { parameterCount } from "../../network.ts";
import { joined, squaredNorm } from "../linear/product.ts";
import { complementOf, lift, type Projection } from "../linear/projection.ts";
import { zeros } from "../machine/memory.ts";
import { type LossFunction, type Normals, shifted, type Work } from "../machine/work.ts";
import {
  type Draw,
  type NetworkPoint,
  networkLoss,
  networkNormals,
  type WantedOutputs,
} from "../network/dense.ts";
import {
  complementNormals,
  projectionOf,
  reducedLoss,
  reducedNormals,
  reducedPoint,
} from "../network/reduced.ts";
import { rowSplit } from "./row-split.ts";
import { lossesAtCenter, noiseForm, type SampleCoupling, SIGNS } from "./sampled-point.ts";
import { mean, Spread } from "./spread.ts";
import { walshBlock, walshLosses } from "./walsh.ts";

export interface ImportanceSamplingSettings {
  /** Independent (centred needs J ≥ 2), antithetic (J even) or Walsh. */
  readonly coupling: Coupling;
  /** δ. */
  readonly temperature: number;
  /** τ. */
  readonly tau: number;
  /** s. */
  readonly noiseScale: number;
}

/** What one update of importance sampling tells; `gradient` of n entries. */
export type ImportanceSamplingEstimate = ImportanceSamplingOutput & {
  readonly gradient: Float64Array;
};

/** On a network: the form asked for, with the noise of a key and an update. */
export function importanceSampling(
  point: NetworkPoint,
  draw: Draw,
  settings: ImportanceSamplingSettings & { readonly rowwise: boolean },
): Work<ImportanceSamplingEstimate> {
  const { network, loss, batches, x } = point;
  const { key, update } = draw;
  const { coupling, rowwise } = settings;
  if (rowwise) return importanceSamplingRowwise(point, draw, settings);
  if (coupling.kind === "walsh") return importanceSamplingWalsh(point, draw, settings, coupling.blocks);
  if (!draw.projected) {
    const f = networkLoss(network, loss, batches[0]);
    return importanceSamplingDirect(f, x, settings, networkNormals(network, key, update));
  }
  const projection = projectionOf(point);
  const normals = reducedNormals(projection, network, key, update);
  return importanceSamplingProjected(
    point,
    projection,
    settings,
    normals,
    complementNormals(network, key, update),
  );
}

/** The losses of the J samples alone, in the form asked for. */
export function weights(
  point: NetworkPoint,
  draw: Draw,
  settings: Pick<ImportanceSamplingSettings, "coupling" | "noiseScale"> & { readonly rowwise: boolean },
): Work<Float64Array> {
  const { network, loss, batches, x } = point;
  const { key, update } = draw;
  const { coupling, noiseScale, rowwise } = settings;
  if (coupling.kind === "walsh") {
    return walshLosses(point, noiseForm(point, draw), rowwise, noiseScale, coupling.blocks);
  }
  if (!draw.projected) {
    const f = networkLoss(network, loss, batches[0]);
    return sampleLosses(f, x, settings, networkNormals(network, key, update));
  }
  const projection = projectionOf(point);
  const normals = reducedNormals(projection, network, key, update);
  return sampleLosses(reducedLoss(point, projection), reducedPoint(point, projection, x), settings, normals);
}

/** The outputs of the samples and, last, at x itself ((J + 1) × B × d_L), in the form asked for. */
export function* sampleOutputs(
  point: Omit<NetworkPoint, "loss">,
  draw: Draw,
  settings: Pick<ImportanceSamplingSettings, "coupling" | "noiseScale"> & { readonly rowwise: boolean },
): Work<Float64Array> {
  const { network, batches } = point;
  const rows = batches[0].inputs.length / network.layers[0];
  const samples = sampleCount(settings.coupling, network, settings.rowwise);
  const outputs = zeros((samples + 1) * rows * network.layers.at(-1)!);
  const wanted: WantedOutputs = { kind: "given", losses: outputs.subarray(0, 0), outputs };
  const asked = { ...point, loss: wanted };
  yield* weights(asked, draw, settings);
  lossesAtCenter(asked, noiseForm(asked, draw));
  return outputs;
}

/** The direct form: ∇F at x from J samples of all n coordinates. */
export function* importanceSamplingDirect(
  loss: LossFunction,
  x: Float64Array,
  settings: ImportanceSamplingSettings,
  normals: Normals,
): Work<ImportanceSamplingEstimate> {
  const { temperature, tau, noiseScale } = settings;
  const losses = yield* sampleLosses(loss, x, settings, normals);
  const weights = normalizedWeights(losses, temperature);
  const factors = unitFactors(ofSamples(settings.coupling), weights.normalized);
  const sum = new Float64Array(x.length);
  let squares = 0;
  for (const [unit, { numerator, spread }] of factors.entries()) {
    const z = normals(unit);
    for (let i = 0; i < sum.length; i++) {
      sum[i] += numerator * z[i];
      squares += (spread * z[i]) ** 2;
    }
    yield;
  }
  const scale = (temperature * noiseScale) / tau;
  const gradient = sum.map((value) => -scale * value);
  const standardError = factors.length > 1 ? scale * Math.sqrt(squares) : null;
  return importanceSamplingEstimate(losses, weights, gradient, standardError);
}

/**
 * The projected form on a minibatch.
 *
 * @param normals of the reduced point [U | layers 2 … L]
 * @param complement normals of the first layer, asked for only where the complement is sampled
 */
export function* importanceSamplingProjected(
  point: NetworkPoint,
  projection: Projection,
  settings: ImportanceSamplingSettings,
  normals: Normals,
  complement: Normals,
): Work<ImportanceSamplingEstimate> {
  const { coupling, temperature, tau, noiseScale } = settings;
  const d1 = point.network.layers[1];
  const reduced = reducedLoss(point, projection);
  const center = reducedPoint(point, projection, point.x);
  const estimate = yield* importanceSamplingDirect(reduced, center, settings, normals);
  const reducedSize = projection.count * d1;
  const first = lift(projection, estimate.gradient.subarray(0, reducedSize), d1);
  let standardError = estimate.standardError;
  if (coupling.kind === "independent" && coupling.complement === "sample") {
    // Scale of the complement's one draw: √Σ w̄_j² = 1/√ESS.
    const scale = (temperature * noiseScale) / tau / Math.sqrt(estimate.effectiveSampleSize);
    complementOf(projection, complement(0), d1).forEach((z, i) => {
      first[i] -= scale * z;
    });
    const coordinates = (projection.width - projection.rank) * d1;
    if (standardError !== null) standardError = Math.sqrt(standardError ** 2 + scale ** 2 * coordinates);
  }
  const gradient = joined(first, estimate.gradient.subarray(reducedSize));
  return { ...estimate, gradient, standardError };
}

/** ∇F at x with Walsh coupling, weights only: gradient = −(δ s/τ) · mean over samples of w Z, over mean w. */
export function* importanceSamplingWalsh(
  point: NetworkPoint,
  draw: Draw,
  settings: ImportanceSamplingSettings,
  blocks: number,
): Work<ImportanceSamplingEstimate> {
  const { temperature, tau, noiseScale } = settings;
  const form = noiseForm(point, draw);
  const losses = yield* walshLosses(point, form, false, noiseScale, blocks);
  const weights = normalizedWeights(losses, temperature);
  // The weight over the mean weight is J w̄.
  const factor = -((temperature * noiseScale) / tau) * losses.length;
  const spread = new Spread(point.x.length);
  for (let i = 0; i < blocks; i++) {
    const block = walshBlock(point, form, false, noiseScale, i);
    const size = block.losses.length;
    spread.add(block.noiseMean(weights.normalized.slice(i * size, (i + 1) * size).map((w) => factor * w)));
    yield;
  }
  return importanceSamplingEstimate(losses, weights, spread.mean, spread.standardError());
}

/**
 * ∇F at x by importance sampling with the row split, in two passes: the losses, then the estimate.
 *
 * @param expansionPoint c₀, in place of the mean of the samples' losses; fixed beforehand, it makes the numerator
 *   gradient · (τ/s²) · mean w unbiased
 */
export function* importanceSamplingRowwise(
  point: NetworkPoint,
  draw: Draw,
  settings: ImportanceSamplingSettings,
  expansionPoint?: number,
): Work<ImportanceSamplingEstimate> {
  const { coupling, temperature, tau, noiseScale } = settings;
  const dimension = parameterCount(point.network);
  const form = noiseForm(point, draw);
  const split = rowSplit(point, form, coupling, noiseScale);
  const losses: number[] = [];
  for (const index of split.groups.flat()) {
    losses.push(...split.unit(index).losses);
    yield;
  }
  const all = Float64Array.from(losses);
  const weights = normalizedWeights(all, temperature);
  const c0 = expansionPoint ?? mean(all);
  // 1/mean w and w/mean w = J w̄, from the normalized weights: neither overflows for small δ.
  const inverse = Math.exp((weights.freeEnergy - c0) / temperature);
  const factor = noiseScale ** 2 / tau;
  const gradient = new Float64Array(dimension);
  const spread = new Spread(dimension);
  const count = split.groups.flat().length;
  let next = 0;
  for (const group of split.groups) {
    const { units, together, parts } = split.firstOrder(group);
    units.forEach((unit, u) => {
      const remainder = unit.noiseMean(
        unit.losses.map((f, j) => {
          const relative = losses.length * weights.normalized[next + j];
          return relative - inverse * (1 - (f - c0) / temperature);
        }),
      );
      next += unit.losses.length;
      const estimate = (first: Float64Array) =>
        first.map((h, i) => factor * (inverse * h - (temperature / noiseScale) * remainder[i]));
      spread.add(estimate(parts[u]));
      estimate(together).forEach((g, i) => {
        gradient[i] += g / count;
      });
    });
    yield;
  }
  return importanceSamplingEstimate(all, weights, gradient, spread.standardError());
}

/** The losses f(x + s Z_j) of the J samples, in order. */
export function* sampleLosses(
  loss: LossFunction,
  x: Float64Array,
  { coupling, noiseScale }: Pick<ImportanceSamplingSettings, "coupling" | "noiseScale">,
  normals: Normals,
): Work<Float64Array> {
  const { kind, samples } = ofSamples(coupling);
  const signs = SIGNS[kind];
  const losses = zeros(samples);
  for (let j = 0; j < losses.length; j++) {
    const z = normals(Math.floor(j / signs.length));
    losses[j] = loss.value(shifted(x, signs[j % signs.length] * noiseScale, z), j);
    yield;
  }
  return losses;
}

/**
 * The factor of each independent unit's Z in the estimate of Σ w̄_j Z_j, and in its standard error: the
 * centred estimate's J/(J − 1) belongs to the first only.
 */
function unitFactors(
  coupling: SampleCoupling,
  weights: Float64Array,
): { numerator: number; spread: number }[] {
  const count = weights.length;
  switch (coupling.kind) {
    case "antithetic":
      return Array.from({ length: count / 2 }, (_, p) => {
        const difference = weights[2 * p] - weights[2 * p + 1];
        return { numerator: difference, spread: difference };
      });
    case "independent":
      return Array.from(weights, (w) => {
        const spread = coupling.centred ? w - 1 / count : w;
        return { numerator: coupling.centred ? (spread * count) / (count - 1) : w, spread };
      });
    default:
      return coupling satisfies never;
  }
}

/** A coupling that needs no rows to transform: all that a function has. */
function ofSamples(coupling: Coupling): SampleCoupling {
  if (coupling.kind !== "walsh") return coupling;
  throw new OptionError(
    expected("independent or antithetic", "coupling.kind", "walsh", "a function has no rows to transform"),
  );
}

/**
 * w̄_j and −δ log mean w, by a log-sum-exp that streams: the running maximum rescales the running sum. A loss of +∞ is a
 * weight of 0; where all are, the weights are NaN.
 */
export function normalizedWeights(
  losses: Float64Array,
  temperature: number,
): { normalized: Float64Array; freeEnergy: number } {
  let largest = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (const f of losses) {
    const log = -f / temperature;
    if (log === Number.NEGATIVE_INFINITY) continue;
    if (log > largest) {
      sum = sum * Math.exp(largest - log) + 1;
      largest = log;
    } else {
      sum += Math.exp(log - largest);
    }
  }
  return {
    normalized: losses.map((f) => Math.exp(-f / temperature - largest) / sum),
    freeEnergy: -temperature * (largest + Math.log(sum / losses.length)),
  };
}

/** What an update of importance sampling tells, from its gradient (n) and its weights. */
export function importanceSamplingEstimate(
  losses: Float64Array,
  { normalized, freeEnergy }: ReturnType<typeof normalizedWeights>,
  gradient: Float64Array,
  standardError: number | null,
): ImportanceSamplingEstimate {
  return {
    gradient,
    loss: mean(losses),
    freeEnergy,
    effectiveSampleSize: 1 / squaredNorm(normalized),
    largestWeight: normalized.reduce((most, w) => Math.max(most, w), 0),
    standardError,
    samples: losses.length,
  };
}
