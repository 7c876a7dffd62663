/**
 * The row split of samples and pairs, any depth: each row's loss, and its share of the first-order part
 *
 *     H_l = (1/BJ) Σ_j Σ_b hid_b η_b (f_b − c_b)/(s²|hid_b|²),  η = s A^{l−1} Z_l, hid_b row b of A^{l−1},
 *
 * c_b the row's loss at x. Walsh blocks have their own form of it (row-split-walsh.ts).
 *
 * Symbols: J samples, B rows, C (B × d1) coefficients: Aᵀ C is the first layer of H. A unit is a sample or a pair.
 */

import { FULL, product } from "../linear/product";
import { noiseOffset } from "../linear/projection";
import { job, layerOffset, layerRows, noiseScale, width } from "../machine/context";
import { ANTITHETIC } from "../machine/job";
import { addScaled, least, multiply, squaredNorm } from "../machine/lanes";
import { barrier, shareBegin, shareEnd } from "../machine/team";
import { takeFloats, takeOwnFloats } from "../machine/workspace";
import {
  activate,
  activation,
  forward,
  rowLosses,
  setSample,
  signal,
  stride,
  sumOfLosses,
  tailGradient,
} from "../network/dense";
import { firstGradient, firstProduct, loadRows, ROW_BLOCK, Rows } from "../network/rows";
import {
  base,
  beginSample,
  evaluatedRows,
  noise,
  pass,
  projectedShift,
  rowNorm,
  rows,
  shift,
  whole,
} from "./sampled-point";

/** Rows that are prepared at a time. */
const PREPARED: u32 = 16;

/** A x (B × stride), |a_b|² (B), c_b (B). */
let directBase: usize = 0;
let norms: usize = 0;
let center: usize = 0;
/** This thread's η of layers 2 … L, one after the other (rows × strides). */
let etas: usize = 0;

export function takeRowSplit(): void {
  if (!job.projected) directBase = takeFloats(u64(job.batchSize) * stride(1));
  norms = takeFloats(job.batchSize);
  center = takeFloats(job.batchSize);
  let floats: u64 = 0;
  for (let l: u32 = 2; l <= job.depth; l++) floats += u64(evaluatedRows()) * stride(l);
  etas = takeOwnFloats(floats);
}

function baseAt(): usize {
  return job.projected ? base : directBase;
}

/** A x, the rows' norms and their losses at x. */
export function prepareRows(): void {
  const size = job.batchSize;
  const row = 4 * stride(1);
  const end = shareEnd(size, PREPARED);
  for (let first = shareBegin(size, PREPARED); first < end; first += PREPARED) {
    const count = least(PREPARED, end - first);
    if (!whole) loadRows(rows, 0, first, count);
    const at = whole ? first : 0;
    const to = baseAt() + first * row;
    if (!job.projected) {
      memory.fill(to, 0, count * row);
      firstProduct(rows, at, at + count, job.parameters, width(1), to - at * row, stride(1));
    }
    for (let r: u32 = 0; r < count; r++)
      store<f32>(norms + 4 * (first + r), rowNorm(rows, at + r, first + r));
    memory.copy(signal(pass, 1), to, count * row);
    forward(job.parameters + 4 * layerOffset(2), pass, 0, count);
    setSample(job.samples);
    rowLosses(rows, at, pass, 0, count, 0);
    memory.copy(center + 4 * first, pass.rowLoss, 4 * count);
  }
  barrier();
}

/** η of layer 1 for a block of rows, into `shift`. */
function firstNoise(block: Rows, count: u32): void {
  if (job.projected) {
    projectedShift(0, shift);
    return;
  }
  firstProduct(block, 0, count, noise, width(1), shift, stride(1));
  multiply(f32(noiseScale), shift, count * stride(1), shift);
}

/** From η of layer 1 to the losses of a block of rows, each layer's noise apart in etas with the sample's sign. */
function noisyForward(block: Rows, first: u32, count: u32, sign: f32): void {
  addScaled(baseAt() + 4 * first * stride(1), sign, shift, count * stride(1), signal(pass, 1));
  let w = job.parameters + 4 * layerOffset(2);
  let eta = etas;
  for (let l: u32 = 2; l <= job.depth; l++) {
    const inputs = layerRows(l);
    const columns = width(l);
    const row = stride(l);
    const z = noise + 4 * noiseOffset(l);
    const p = signal(pass, l);
    activate(pass, l - 1, 0, count);
    const a = activation(pass, l - 1);
    product(count, columns, inputs, a, stride(l - 1), 1, z, columns, 0, 0, eta, row, FULL);
    multiply(sign * f32(noiseScale), eta, count * row, eta);
    product(count, columns, inputs, a, stride(l - 1), 1, w, columns, eta, row, p, row, FULL);
    w += 4 * inputs * columns;
    eta += 4 * evaluatedRows() * row;
  }
  rowLosses(block, 0, pass, 0, count, 0);
}

/** Adds a block of rows' share of H to C and to the later layers' matrices. */
function addFirstOrder(first: u32, count: u32, sign: f32, c: usize, tail: usize): void {
  const scale = f32(1 / (noiseScale * noiseScale * f64(job.batchSize) * f64(job.samples)));
  for (let r: u32 = 0; r < count; r++) {
    const b = first + r;
    const share = scale * (load<f32>(pass.rowLoss + 4 * r) - load<f32>(center + 4 * b));
    const to = c + 4 * b * stride(1);
    addScaled(to, (sign * share) / load<f32>(norms + 4 * b), shift + 4 * r * stride(1), width(1), to);
    let eta = etas;
    for (let l: u32 = 2; l <= job.depth; l++) {
      const row = 4 * r * stride(l);
      const factor = share / squaredNorm(activation(pass, l - 1) + 4 * r * stride(l - 1), layerRows(l));
      multiply(factor, eta + row, stride(l), signal(pass, l) + row);
      eta += 4 * evaluatedRows() * stride(l);
    }
  }
  tailGradient(pass, count, true, 0, 1, tail);
}

/** The unit's mean losses; minus only of a pair. */
export let lossPlus: f64 = 0;
export let lossMinus: f64 = 0;

/**
 * Losses of the unit in hand, and its share of H added to C and `tail`. lifted: where not 0, direct, Aᵀ C of this unit
 * alone.
 */
export function rowwiseLosses(c: usize, tail: usize, lifted: usize): void {
  const size = job.batchSize;
  const rowsAtOnce = whole ? size : ROW_BLOCK;
  lossPlus = 0;
  lossMinus = 0;
  for (let first: u32 = 0; first < size; first += rowsAtOnce) {
    const count = least(rowsAtOnce, size - first);
    if (!whole) loadRows(rows, 0, first, count);
    firstNoise(rows, count);
    beginSample(false);
    noisyForward(rows, first, count, 1);
    lossPlus += sumOfLosses(pass, count);
    addFirstOrder(first, count, 1, c, tail);
    if (job.coupling === ANTITHETIC) {
      beginSample(true);
      noisyForward(rows, first, count, -1);
      lossMinus += sumOfLosses(pass, count);
      addFirstOrder(first, count, -1, c, tail);
    }
    if (lifted !== 0)
      firstGradient(rows, c + 4 * first * stride(1), stride(1), width(1), 0, width(1), first > 0, lifted);
  }
  lossPlus /= f64(size);
  lossMinus /= f64(size);
}
