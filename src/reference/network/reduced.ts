/**
 * The reduced loss of a minibatch: an estimator's projected form is its direct form on
 *
 *     g(V, W², …) = f(W̄ + Q V, W², …),
 *
 * whose point is [V (B × d_1) | layers 2 … L] with gradient [LᵀG | …], lifted back by Q, and whatever the estimator
 * adds in the complement.
 *
 * Symbols: W̄ the first layer of x_k, G (B × d_1) the back-propagated signal, U (B × d_1) normals; B, Q, L: see
 * `linear/projection.ts`.
 */
import type { Network } from "../../network.ts";
import { joined, multiply, multiplyTransposed } from "../linear/product.ts";
import { choleskyFactor, gramMatrix, type Projection, project } from "../linear/projection.ts";
import type { LossFunction, Normals } from "../machine/work.ts";
import { gaussian } from "../random/gaussian.ts";
import { type Key, layerStream, STREAMS } from "../random/streams.ts";
import { differentiable, firstLayerSize, gradientFrom, lossFrom, type NetworkPoint } from "./dense.ts";
import { inputMatrix } from "./rows.ts";

/** The projection on a minibatch; on the first where there are several. */
export function projectionOf({ network, batches: [batch] }: NetworkPoint): Projection {
  const d0 = network.layers[0];
  const inputs = inputMatrix(batch.inputs, d0);
  const count = batch.inputs.length / d0;
  const factor = choleskyFactor(gramMatrix(batch.inputs, d0), count);
  let rank = 0;
  for (let i = 0; i < count; i++) if (factor[i * count + i] > 0) rank++;
  return { count, width: d0 + 1, inputs, factor, rank };
}

/** g(V, W², …) = f(W̄ + Q V, W², …) on the minibatch of `projection`; W̄ is the first layer of the point's x. */
export function reducedLoss(
  { network, loss, batches, x: center }: NetworkPoint,
  projection: Projection,
): LossFunction {
  const d1 = network.layers[1];
  const [batch] = batches;
  const { count, factor } = projection;
  const reducedSize = count * d1;
  const base = multiply(projection.inputs, center.subarray(0, firstLayerSize(network)), projection.width, d1);
  const firstOf = (x: Float64Array) => {
    const first = multiply(factor, x.subarray(0, reducedSize), count, d1);
    return first.map((p, i) => p + base[i]);
  };
  const dimension = reducedSize + center.length - firstLayerSize(network);
  const value = (x: Float64Array, sample?: number) =>
    lossFrom(network, loss, firstOf(x), x.subarray(reducedSize), batch, sample);
  if (!differentiable(network, loss)) return { dimension, value };
  return {
    dimension,
    value,
    gradient(x) {
      const { signal, upper } = gradientFrom(network, loss, firstOf(x), x.subarray(reducedSize), batch);
      return joined(multiplyTransposed(factor, signal, count, d1), upper);
    },
  };
}

/** [V | layers 2 … L] of x: V = Qᵀ(W¹ − W̄). */
export function reducedPoint(
  { network, x: center }: NetworkPoint,
  projection: Projection,
  x: Float64Array,
): Float64Array {
  const n1 = firstLayerSize(network);
  const offset = x.subarray(0, n1).map((value, i) => value - center[i]);
  return joined(project(projection, offset, network.layers[1]), x.subarray(n1));
}

/** Normals of the reduced point: U from the first B rows of stream layer-1, unused rows 0; layers 2 … L whole. */
export function reducedNormals(projection: Projection, network: Network, key: Key, update: number): Normals {
  const d1 = network.layers[1];
  const { count, factor } = projection;
  return (index) => {
    const u = gaussian(key, layerStream(1), update, index, count * d1);
    for (let i = 0; i < count; i++) if (factor[i * count + i] === 0) u.fill(0, i * d1, (i + 1) * d1);
    const upper: Float64Array[] = [];
    for (let layer = 2; layer < network.layers.length; layer++) {
      const size = (network.layers[layer - 1] + 1) * network.layers[layer];
      upper.push(gaussian(key, layerStream(layer), update, index, size));
    }
    return joined(u, ...upper);
  };
}

/** Normals of the whole first layer ((d_0 + 1) × d_1) for the complement; index 0, and 1 for SGLD's second. */
export function complementNormals(network: Network, key: Key, update: number): Normals {
  return (index) => gaussian(key, STREAMS.complement, update, index, firstLayerSize(network));
}
