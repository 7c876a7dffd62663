/**
 * Stochastic gradient Langevin dynamics for E_q[X], q ∝ e^{−f} φ_{x_k,τ} (García Trillos, Kaplan, Sanz-Alonso,
 * Entropy 2019, Algorithm 3):
 *
 *     x^{j+1} = x^j − (ε_j/2)(∇f(x^j) − (x_k − x^j)/τ) + s_j ξ_j,   j = 1 … J − 1,
 *     mean = Σ_{j=1}^{J} ε_j x^j / Σ ε_j.
 *
 * Projected: in the span it is the same chain on the reduced loss. In the complement the chain is linear, and last
 * iterate y and S = Σ ε_j y^j are jointly normal in every coordinate: with a_j = ε_j/(2τ), from v = t = c = 0,
 *
 *     v ← (1 − a_j)² v + s_j²;  t ← t + 2ε_{j+1}(1 − a_j) c + ε_{j+1}² v;  c ← (1 − a_j) c + ε_{j+1} v
 *
 * (v = Var y, c = Cov(y, S), t = Var S; on the right of t the new v and the old c), the means by the same
 * recursion without noise. So two normals a coordinate replace J − 1.
 *
 * Symbols: J iterates, ε_j step sizes, s_j scale of the normals (√ε_j, or ε_j in the second reading), τ variance of
 * φ, d_0, d_1 widths, Q basis of the span (see `projection.ts`), E = Σ ε_j.
 *
 * What this file leaves out: speed, and J = 1 has no transition, so the loss it reports is NaN.
 */

import { joined } from "../linear/product.ts";
import { complementOf, lift, type Projection } from "../linear/projection.ts";
import { gradientOf, type LossFunction, type Normals, type Work } from "../machine/work.ts";
import {
  type Draw,
  firstLayerSize,
  type NetworkPoint,
  networkLoss,
  networkNormals,
} from "../network/dense.ts";
import {
  complementNormals,
  projectionOf,
  reducedLoss,
  reducedNormals,
  reducedPoint,
} from "../network/reduced.ts";

export interface SgldSettings {
  /** τ. */
  readonly tau: number;
  /** ε_1 … ε_J. */
  readonly stepSizes: Float64Array;
  /** s_1 … s_{J−1} at least. */
  readonly noiseScales: Float64Array;
}

export interface SgldEstimate {
  /** Σ ε_j x^j/Σ ε_j (n). */
  readonly mean: Float64Array;
  /** x^J (n). */
  readonly last: Float64Array;
  /** Mean of f(x¹) … f(x^{J−1}), each on its own minibatch. */
  readonly loss: number;
}

/**
 * On a network: the form asked for, with the noise of a key and an update.
 *
 * @param point its minibatches: one, or J − 1
 * @param start x¹ (n)
 */
export function sgld(
  point: NetworkPoint,
  draw: Draw,
  start: Float64Array,
  settings: SgldSettings,
): Work<SgldEstimate> {
  const { network, loss, batches, x } = point;
  const { key, update } = draw;
  if (!draw.projected) {
    const losses = batches.map((batch) => networkLoss(network, loss, batch));
    return sgldDirect(losses, x, start, settings, networkNormals(network, key, update));
  }
  const projection = projectionOf(point);
  const normals = reducedNormals(projection, network, key, update);
  return sgldProjected(point, projection, start, settings, normals, complementNormals(network, key, update));
}

/**
 * The direct form.
 *
 * @param losses f of each transition: one for all, or J − 1
 * @param center x_k (n)
 * @param start x¹ (n)
 */
export function* sgldDirect(
  losses: readonly LossFunction[],
  center: Float64Array,
  start: Float64Array,
  { tau, stepSizes, noiseScales }: SgldSettings,
  normals: Normals,
): Work<SgldEstimate> {
  const x = start.slice();
  const sum = x.map((value) => stepSizes[0] * value);
  let total = 0;
  for (let j = 0; j + 1 < stepSizes.length; j++) {
    const loss = losses[losses.length === 1 ? 0 : j];
    const gradient = gradientOf(loss)(x);
    total += loss.value(x);
    const z = normals(j);
    for (let i = 0; i < x.length; i++) {
      const drift = gradient[i] - (center[i] - x[i]) / tau;
      x[i] += (-stepSizes[j] / 2) * drift + noiseScales[j] * z[i];
      sum[i] += stepSizes[j + 1] * x[i];
    }
    yield;
  }
  const weight = stepSizes.reduce((a, b) => a + b, 0);
  return { mean: sum.map((value) => value / weight), last: x, loss: total / (stepSizes.length - 1) };
}

/**
 * The projected form on one minibatch.
 *
 * @param normals of the reduced point [U | layers 2 … L]
 * @param complement normals of the first layer: index 0 makes the last iterate, 1 the rest of the average
 */
export function* sgldProjected(
  point: NetworkPoint,
  projection: Projection,
  start: Float64Array,
  settings: SgldSettings,
  normals: Normals,
  complement: Normals,
): Work<SgldEstimate> {
  const { network, x: center } = point;
  const d1 = network.layers[1];
  const inSpan = yield* sgldDirect(
    [reducedLoss(point, projection)],
    reducedPoint(point, projection, center),
    reducedPoint(point, projection, start),
    settings,
    normals,
  );
  const law = complementLaw(settings);
  const first = start.subarray(0, firstLayerSize(network));
  const offset = complementOf(
    projection,
    first.map((value, i) => value - center[i]),
    d1,
  );
  const noise = [0, 1].map((index) => complementOf(projection, complement(index), d1));
  const assemble = (reduced: Float64Array, decay: number, [n1, n2]: readonly [number, number]) => {
    const reducedSize = projection.count * d1;
    const lifted = lift(projection, reduced.subarray(0, reducedSize), d1);
    const whole = lifted.map(
      (value, i) => center[i] + value + decay * offset[i] + n1 * noise[0][i] + n2 * noise[1][i],
    );
    return joined(whole, reduced.subarray(reducedSize));
  };
  return {
    mean: assemble(inSpan.mean, law.mean.decay, law.mean.scales),
    last: assemble(inSpan.last, law.last.decay, law.last.scales),
    loss: inSpan.loss,
  };
}

/** Law of a complement coordinate: decay · (its start − x_k) + scales · (two standard normals). */
interface ComplementLaw {
  readonly mean: { readonly decay: number; readonly scales: readonly [number, number] };
  readonly last: { readonly decay: number; readonly scales: readonly [number, number] };
}

/** The recursion above, and the Cholesky factor of the covariance of (last, average). */
export function complementLaw({ tau, stepSizes, noiseScales }: SgldSettings): ComplementLaw {
  let v = 0;
  let t = 0;
  let c = 0;
  let decay = 1;
  let decays = stepSizes[0];
  for (let j = 0; j + 1 < stepSizes.length; j++) {
    const keep = 1 - stepSizes[j] / (2 * tau);
    const next = stepSizes[j + 1];
    v = keep ** 2 * v + noiseScales[j] ** 2;
    t = t + 2 * next * keep * c + next ** 2 * v;
    c = keep * c + next * v;
    decay *= keep;
    decays += next * decay;
  }
  const weight = stepSizes.reduce((a, b) => a + b, 0);
  const along = v > 0 ? c / weight / Math.sqrt(v) : 0;
  // Rounding may take the rest below zero where last and average are all but proportional (J = 2).
  const across = Math.sqrt(Math.max(t / weight ** 2 - along ** 2, 0));
  return {
    mean: { decay: decays / weight, scales: [along, across] },
    last: { decay, scales: [Math.sqrt(v), 0] },
  };
}
