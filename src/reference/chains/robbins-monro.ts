/**
 * Robbins–Monro for the heat-regularized loss: the zero of x − x_k + τ E∇f(x + √τ Z) (García Trillos, Kaplan,
 * Sanz-Alonso, Entropy 2019, Algorithm 5, eq. 17), from x¹ = x_k:
 *
 *     x^{j+1} = x^j − a_j (x^j − x_k + (τ/M) Σ_m ∇f(x^j + s Z_{j,m})),   j = 1 … J.
 *
 * Projected: the first layer's gradient lies in the span of the inputs, so x^j − x_k does too and the chain is
 * the same one on the reduced loss, lifted; in the complement nothing moves and no noise is needed.
 *
 * Symbols: J transitions, M samples a transition, a_j step sizes, τ variance, s the perturbation's scale (√τ, or τ
 * in the second reading); normals' index (j − 1)·M + m, zero-based m.
 *
 * What this file leaves out: speed.
 */

import { joined } from "../linear/product.ts";
import { lift, type Projection } from "../linear/projection.ts";
import { gradientOf, type LossFunction, type Normals, shifted, type Work } from "../machine/work.ts";
import {
  type Draw,
  firstLayerSize,
  type NetworkPoint,
  networkLoss,
  networkNormals,
} from "../network/dense.ts";
import { projectionOf, reducedLoss, reducedNormals, reducedPoint } from "../network/reduced.ts";

export interface RobbinsMonroSettings {
  /** τ. */
  readonly tau: number;
  /** s. */
  readonly noiseScale: number;
  /** a_1 … a_J. */
  readonly stepSizes: Float64Array;
  /** M. */
  readonly samples: number;
}

export interface RobbinsMonroEstimate {
  /** x after J transitions (n). */
  readonly mean: Float64Array;
  /** Mean of the J·M losses. */
  readonly loss: number;
}

/**
 * On a network: the form asked for, with the noise of a key and an update.
 *
 * @param point its minibatches: one, or J
 */
export function robbinsMonro(
  point: NetworkPoint,
  draw: Draw,
  settings: RobbinsMonroSettings,
): Work<RobbinsMonroEstimate> {
  const { network, loss, batches, x } = point;
  const { key, update } = draw;
  if (!draw.projected) {
    const losses = batches.map((batch) => networkLoss(network, loss, batch));
    return robbinsMonroDirect(losses, x, settings, networkNormals(network, key, update));
  }
  const projection = projectionOf(point);
  return robbinsMonroProjected(point, projection, settings, reducedNormals(projection, network, key, update));
}

/**
 * The direct form.
 *
 * @param losses f of each transition: one for all, or J
 * @param center x_k (n), where the chain starts too
 */
export function* robbinsMonroDirect(
  losses: readonly LossFunction[],
  center: Float64Array,
  { tau, noiseScale, stepSizes, samples }: RobbinsMonroSettings,
  normals: Normals,
): Work<RobbinsMonroEstimate> {
  const x = center.slice();
  let total = 0;
  for (let j = 0; j < stepSizes.length; j++) {
    const loss = losses[losses.length === 1 ? 0 : j];
    const average = new Float64Array(x.length);
    for (let m = 0; m < samples; m++) {
      const z = shifted(x, noiseScale, normals(j * samples + m));
      const gradient = gradientOf(loss)(z);
      total += loss.value(z);
      for (let i = 0; i < x.length; i++) average[i] += gradient[i] / samples;
      yield;
    }
    for (let i = 0; i < x.length; i++) x[i] -= stepSizes[j] * (x[i] - center[i] + tau * average[i]);
  }
  return { mean: x, loss: total / (stepSizes.length * samples) };
}

/**
 * The projected form on one minibatch.
 *
 * @param normals of the reduced point [U | layers 2 … L]
 */
export function* robbinsMonroProjected(
  point: NetworkPoint,
  projection: Projection,
  settings: RobbinsMonroSettings,
  normals: Normals,
): Work<RobbinsMonroEstimate> {
  const { network, x: center } = point;
  const d1 = network.layers[1];
  const reduced = yield* robbinsMonroDirect(
    [reducedLoss(point, projection)],
    reducedPoint(point, projection, center),
    settings,
    normals,
  );
  const reducedSize = projection.count * d1;
  const first = center.subarray(0, firstLayerSize(network));
  const lifted = lift(projection, reduced.mean.subarray(0, reducedSize), d1);
  return { mean: joined(shifted(first, 1, lifted), reduced.mean.subarray(reducedSize)), loss: reduced.loss };
}
