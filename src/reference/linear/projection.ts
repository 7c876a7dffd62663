/**
 * Exact projection: on a fixed minibatch the loss depends on the first layer's noise only through its component
 * in the span of the inputs.
 *
 * With the Gram matrix A Aᵀ = L Lᵀ, Q = Aᵀ L^{−T} has orthonormal columns and A = L Qᵀ. So for W = W̄ + Q V + W⊥
 * (Qᵀ W⊥ = 0) the first pre-activation is A W = A W̄ + L V: W⊥ does not enter. If Z is a standard normal matrix,
 * U = Qᵀ Z is standard normal too and independent of Z⊥ = (I − Q Qᵀ) Z. A pivot ≤ 1e-9 of its diagonal entry (a
 * repeated or dependent row) is set to zero with its column: that row of V is unused, its inverse 0.
 *
 * An estimator's projected form is its direct form on the *reduced* loss g(V, W², …) = f(W̄ + Q V, W², …), whose
 * point is [V (B × d_1) | layers 2 … L] with gradient [LᵀG | …], lifted back by Q, and whatever the estimator
 * adds in the complement.
 *
 * Symbols: B rows, r ≤ B the rank, d_0, d_1 widths, n₁ = (d_0 + 1)·d_1, A (B × (d_0 + 1)) inputs with the bias
 * input 1, Q ((d_0 + 1) × B), L (B × B) lower triangular, G (B × d_1) the back-propagated signal.
 *
 * What this file leaves out: B > d_0, where Q = I and the direct form is as good; and speed.
 */
import type { Network } from "../../network.ts";
import type { LossFunction, Normals } from "../machine/work.ts";
import {
  differentiable,
  firstLayerSize,
  gradientFrom,
  inputMatrix,
  lossFrom,
  multiply,
  multiplyTransposed,
  type NetworkPoint,
} from "../network/dense.ts";
import { gaussian } from "../random/gaussian.ts";
import { type Key, layerStream, STREAMS } from "../random/streams.ts";

/** Relative size below which a pivot counts as zero: far above float64's rounding, far below distinct images. */
const PIVOT = 1e-9;

/** A minibatch's span. */
export interface Span {
  /** B. */
  readonly count: number;
  /** d_0 + 1. */
  readonly width: number;
  /** A (B × (d_0 + 1)). */
  readonly inputs: Float64Array;
  /** L (B × B), row-major; column i is zero where row i depends on the rows before it. */
  readonly factor: Float64Array;
  /** r. */
  readonly rank: number;
}

/** The span of a minibatch's inputs; the first minibatch's where there are several. */
export function spanOf({ network, batches: [batch] }: NetworkPoint): Span {
  const d0 = network.layers[0];
  const inputs = inputMatrix(batch.inputs, d0);
  const count = batch.labels.length;
  const factor = choleskyFactor(gramMatrix(batch.inputs, d0), count);
  let rank = 0;
  for (let i = 0; i < count; i++) if (factor[i * count + i] > 0) rank++;
  return { count, width: d0 + 1, inputs, factor, rank };
}

/** A Aᵀ (B × B): bytes are summed as integers, exact on every backend, then (Σ p p')/255² + 1. */
export function gramMatrix(inputs: Uint8Array | Float32Array, d0: number): Float64Array {
  const count = inputs.length / d0;
  const scale = inputs instanceof Uint8Array ? 65025 : 1;
  const gram = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k <= i; k++) {
      let sum = 0;
      for (let c = 0; c < d0; c++) sum += inputs[i * d0 + c] * inputs[k * d0 + c];
      gram[i * count + k] = gram[k * count + i] = sum / scale + 1;
    }
  }
  return gram;
}

/** L of a positive semidefinite matrix (count × count), dependent rows' pivots and columns set to zero. */
export function choleskyFactor(gram: Float64Array, count: number): Float64Array {
  const factor = new Float64Array(count * count);
  for (let k = 0; k < count; k++) {
    let pivot = gram[k * count + k];
    for (let c = 0; c < k; c++) pivot -= factor[k * count + c] ** 2;
    if (pivot <= PIVOT * gram[k * count + k]) continue;
    const diagonal = Math.sqrt(pivot);
    factor[k * count + k] = diagonal;
    for (let i = k + 1; i < count; i++) {
      let sum = gram[i * count + k];
      for (let c = 0; c < k; c++) sum -= factor[i * count + c] * factor[k * count + c];
      factor[i * count + k] = sum / diagonal;
    }
  }
  return factor;
}

/** Q V = Aᵀ L^{−T} V: ((d_0 + 1) × d_1) from V (B × d_1). */
export function lift(span: Span, v: Float64Array, d1: number): Float64Array {
  const { count, factor } = span;
  const solved = new Float64Array(v.length);
  for (let i = count - 1; i >= 0; i--) {
    const diagonal = factor[i * count + i];
    if (diagonal === 0) continue;
    for (let h = 0; h < d1; h++) {
      let sum = v[i * d1 + h];
      for (let k = i + 1; k < count; k++) sum -= factor[k * count + i] * solved[k * d1 + h];
      solved[i * d1 + h] = sum / diagonal;
    }
  }
  return multiplyTransposed(span.inputs, solved, span.width, d1);
}

/** QᵀX = L^{−1} A X: (B × d_1) from X ((d_0 + 1) × d_1); unused rows are 0. */
export function project(span: Span, x: Float64Array, d1: number): Float64Array {
  const { count, factor } = span;
  const v = multiply(span.inputs, x, span.width, d1);
  for (let i = 0; i < count; i++) {
    const diagonal = factor[i * count + i];
    for (let h = 0; h < d1; h++) {
      let sum = v[i * d1 + h];
      for (let k = 0; k < i; k++) sum -= factor[i * count + k] * v[k * d1 + h];
      v[i * d1 + h] = diagonal === 0 ? 0 : sum / diagonal;
    }
  }
  return v;
}

/** (I − QQᵀ) X for X ((d_0 + 1) × d_1). */
export function complementOf(span: Span, x: Float64Array, d1: number): Float64Array {
  const inSpan = lift(span, project(span, x, d1), d1);
  return x.map((value, i) => value - inSpan[i]);
}

/** g(V, W², …) = f(W̄ + Q V, W², …) on the minibatch of `span`; W̄ is the first layer of the point's x. */
export function reducedLoss({ network, loss, batches, x: center }: NetworkPoint, span: Span): LossFunction {
  const d1 = network.layers[1];
  const { labels } = batches[0];
  const { count, factor } = span;
  const split = count * d1;
  const base = multiply(span.inputs, center.subarray(0, firstLayerSize(network)), span.width, d1);
  const firstOf = (x: Float64Array) => {
    const first = multiply(factor, x.subarray(0, split), count, d1);
    return first.map((p, i) => p + base[i]);
  };
  const dimension = split + center.length - firstLayerSize(network);
  const value = (x: Float64Array) => lossFrom(network, loss, firstOf(x), x.subarray(split), labels);
  if (!differentiable(network, loss)) return { dimension, value };
  return {
    dimension,
    value,
    gradient(x) {
      const { signal, upper } = gradientFrom(network, firstOf(x), x.subarray(split), labels);
      return joined(multiplyTransposed(factor, signal, count, d1), upper);
    },
  };
}

/** [V | layers 2 … L] of x: V = Qᵀ(W¹ − W̄). */
export function reducedPoint(
  { network, x: center }: NetworkPoint,
  span: Span,
  x: Float64Array,
): Float64Array {
  const split = firstLayerSize(network);
  const offset = x.subarray(0, split).map((value, i) => value - center[i]);
  return joined(project(span, offset, network.layers[1]), x.subarray(split));
}

/** Normals of the reduced point: U from the first B rows of stream layer-1, unused rows 0; layers 2 … L whole. */
export function reducedNormals(span: Span, network: Network, key: Key, update: number): Normals {
  const d1 = network.layers[1];
  const { count, factor } = span;
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

/** The vectors one after the other. */
export function joined(...parts: Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
