/**
 * Exact projection: on a fixed minibatch the loss depends on the first layer's noise only through its component
 * in the span of the inputs.
 *
 * With the Gram matrix A Aᵀ = L Lᵀ, Q = Aᵀ L^{−T} has orthonormal columns and A = L Qᵀ. So for W = W̄ + Q V + W⊥
 * (Qᵀ W⊥ = 0) the first pre-activation is A W = A W̄ + L V: W⊥ does not enter. If Z is a standard normal matrix,
 * U = Qᵀ Z is standard normal too and independent of Z⊥ = (I − Q Qᵀ) Z. A pivot ≤ 1e-9 of its diagonal entry (a
 * repeated or dependent row) is set to zero with its column: that row of V is unused, its inverse 0.
 *
 * What an estimator makes of it: `network/reduced.ts`.
 *
 * Symbols: B rows, r ≤ B the rank, d_0, d_1 widths, A (B × (d_0 + 1)) inputs with the bias input 1,
 * Q ((d_0 + 1) × B), L (B × B) lower triangular.
 *
 * What this file leaves out: B > d_0, where Q = I and the direct form is as good; and speed.
 */
import { CONSTANTS } from "../../backends/description.ts";
import { multiply, multiplyTransposed } from "./product.ts";

/** What projects on the span of a minibatch's inputs. */
export interface Projection {
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

/** A Aᵀ (B × B): bytes are summed as integers, exact on every backend, then (Σ p p')/255² + 1. */
export function gramMatrix(inputs: Uint8Array | Float32Array, d0: number): Float64Array {
  const count = inputs.length / d0;
  const scale = inputs.BYTES_PER_ELEMENT === 1 ? 65025 : 1;
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
    if (pivot <= CONSTANTS.pivotBound * gram[k * count + k]) continue;
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
export function lift(projection: Projection, v: Float64Array, d1: number): Float64Array {
  const { count, factor } = projection;
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
  return multiplyTransposed(projection.inputs, solved, projection.width, d1);
}

/** QᵀX = L^{−1} A X: (B × d_1) from X ((d_0 + 1) × d_1); unused rows are 0. */
export function project(projection: Projection, x: Float64Array, d1: number): Float64Array {
  const { count, factor } = projection;
  const v = multiply(projection.inputs, x, projection.width, d1);
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
export function complementOf(projection: Projection, x: Float64Array, d1: number): Float64Array {
  const inSpan = lift(projection, project(projection, x, d1), d1);
  return x.map((value, i) => value - inSpan[i]);
}
