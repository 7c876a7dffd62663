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
 *
 * Projected: the same on the reduced loss. Given the weights, the complement of Σ w̄_j Z_j is normal with variance
 * Σ w̄_j² (I − QQᵀ) a column: drawn once ("sample", Algorithm 4's law) or left at its mean, zero ("marginalize").
 * The direct form draws every coordinate of every sample, so there the complement's setting changes nothing.
 *
 * Symbols: J samples, n dimension, τ the proposal's variance, s the perturbation's scale (√τ, or τ in the second
 * reading), δ temperature, r rank of the minibatch, d_0, d_1 widths.
 *
 * Coupled samples are in `walsh.ts`, the row split in `row-split.ts`.
 *
 * What this file leaves out: speed: noise is made twice, once for the losses
 * and once for the sum, so that nothing but the J losses is kept.
 */
import type { Coupling } from "../../backends/backend.ts";
import { expected, OptionError } from "../../errors.ts";
import {
  complementNormals,
  complementOf,
  joined,
  lift,
  reducedLoss,
  reducedNormals,
  reducedPoint,
  type Span,
  spanOf,
} from "../linear/projection.ts";
import { type LossFunction, type Normals, shifted, type Work } from "../machine/work.ts";
import { type Draw, type NetworkPoint, networkLoss, networkNormals } from "../network/dense.ts";
import { importanceSamplingRowwise } from "./row-split.ts";
import {
  type ImportanceSamplingEstimate,
  type ImportanceSamplingSettings,
  importanceSamplingEstimate,
  noiseForm,
  normalizedWeights,
} from "./units.ts";
import { importanceSamplingWalsh, walshLosses } from "./walsh.ts";

export type { ImportanceSamplingEstimate, ImportanceSamplingSettings } from "./units.ts";

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
  const span = spanOf(point);
  const normals = reducedNormals(span, network, key, update);
  return importanceSamplingProjected(point, span, settings, normals, complementNormals(network, key, update));
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
  const span = spanOf(point);
  const normals = reducedNormals(span, network, key, update);
  return sampleLosses(reducedLoss(point, span), reducedPoint(point, span, x), settings, normals);
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
  const factors = unitFactors(settings.coupling, weights.normalized);
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
  return importanceSamplingEstimate(x, settings, losses, weights, gradient, standardError);
}

/**
 * The projected form on a minibatch.
 *
 * @param normals of the reduced point [U | layers 2 … L]
 * @param complement normals of the first layer, asked for only where the complement is sampled
 */
export function* importanceSamplingProjected(
  point: NetworkPoint,
  span: Span,
  settings: ImportanceSamplingSettings,
  normals: Normals,
  complement: Normals,
): Work<ImportanceSamplingEstimate> {
  const { coupling, temperature, tau, noiseScale } = settings;
  const d1 = point.network.layers[1];
  const reduced = reducedLoss(point, span);
  const center = reducedPoint(point, span, point.x);
  const estimate = yield* importanceSamplingDirect(reduced, center, settings, normals);
  const split = span.count * d1;
  const first = lift(span, estimate.gradient.subarray(0, split), d1);
  let standardError = estimate.standardError;
  if (coupling.kind === "independent" && coupling.complement === "sample") {
    // Scale of the complement's one draw: √Σ w̄_j² = 1/√ESS.
    const scale = (temperature * noiseScale) / tau / Math.sqrt(estimate.effectiveSampleSize);
    complementOf(span, complement(0), d1).forEach((z, i) => {
      first[i] -= scale * z;
    });
    const coordinates = (span.width - span.rank) * d1;
    if (standardError !== null) standardError = Math.sqrt(standardError ** 2 + scale ** 2 * coordinates);
  }
  const gradient = joined(first, estimate.gradient.subarray(split));
  return { ...estimate, gradient, mean: shifted(point.x, -tau / temperature, gradient), standardError };
}

/** The losses f(x + s Z_j) of the J samples, in order. */
export function* sampleLosses(
  loss: LossFunction,
  x: Float64Array,
  { coupling, noiseScale }: Pick<ImportanceSamplingSettings, "coupling" | "noiseScale">,
  normals: Normals,
): Work<Float64Array> {
  if (coupling.kind === "walsh") {
    throw new OptionError(
      expected("independent or antithetic", "coupling.kind", "walsh", "a function has no rows to transform"),
    );
  }
  const losses = new Float64Array(coupling.samples);
  for (let j = 0; j < losses.length; j++) {
    const antithetic = coupling.kind === "antithetic";
    const sign = antithetic && j % 2 === 1 ? -1 : 1;
    losses[j] = loss.value(shifted(x, sign * noiseScale, normals(antithetic ? Math.floor(j / 2) : j)));
    yield;
  }
  return losses;
}

/**
 * The factor of each independent unit's Z in the estimate of Σ w̄_j Z_j, and in its standard error: the
 * centred estimate's J/(J − 1) belongs to the first only.
 */
function unitFactors(coupling: Coupling, weights: Float64Array): { numerator: number; spread: number }[] {
  const count = weights.length;
  if (coupling.kind === "antithetic") {
    return Array.from({ length: count / 2 }, (_, p) => {
      const difference = weights[2 * p] - weights[2 * p + 1];
      return { numerator: difference, spread: difference };
    });
  }
  const centred = coupling.kind === "independent" && coupling.centred;
  return Array.from(weights, (w) => {
    const spread = centred ? w - 1 / count : w;
    return { numerator: centred ? (spread * count) / (count - 1) : w, spread };
  });
}
