/**
 * What the estimators that draw samples share: the minibatch at x_k (its rows, A x_k and s L), and each thread's memory
 * for a sample's noise and its way through the network.
 *
 * Symbols: B rows, d1 columns of the first layer, s the perturbation's scale, L Cholesky factor of A Aᵀ, n parameters.
 */

import { LOWER, product } from "../linear/product";
import {
  cholesky,
  drawNoise,
  gram,
  makeGram,
  noiseCount,
  noiseFloats,
  noiseOffset,
  scaledFactor,
  solveLower,
  solveUpper,
  subtractRow,
  takeProjection,
} from "../linear/projection";
import { job, layerOffset, parameterCount, thread, threads, width } from "../machine/context";
import { ANTITHETIC } from "../machine/job";
import { addScaled, least, multiply, squaredNorm } from "../machine/lanes";
import { barrier, shareBegin, shareEnd } from "../machine/team";
import { take, takeFloats, takeOwn, takeOwnFloats } from "../machine/workspace";
import {
  backward,
  blockRows,
  forward,
  Pass,
  passBytes,
  rowLosses,
  setPass,
  setSample,
  signal,
  stride,
  sumOfLosses,
  tailGradient,
  takePass,
} from "../network/dense";
import {
  chooseForm,
  firstGradient,
  firstProduct,
  leaveFactored,
  loadRows,
  loadShare,
  ROW_BLOCK,
  Rows,
  rowsBytes,
  setRows,
} from "../network/rows";

/** Whether `rows` hold the whole batch for all threads; else they are this thread's memory for a block of it. */
export let whole: bool = false;
export let rows: Rows = changetype<Rows>(0);
let rowsMemory: usize = 0;
let capacity: u32 = 0;
/** A x_k (B × baseRow) and s L (B × B f32): projected only. */
export let base: usize = 0;
export let baseRow: u32 = 0;
export let scaled: usize = 0;
let lifted: usize = 0;
/** Of intoSpan and fromSpan (B × d1): an image, and in float64. */
let image: usize = 0;
let inSpan: usize = 0;

/** This thread's: its pass, a sample's noise, x_k + s Z (n, or layers 2 … L where projected), s A Z (rows × stride 1). */
export let pass: Pass = changetype<Pass>(0);
export let noise: usize = 0;
export let perturbed: usize = 0;
export let shift: usize = 0;
let head: usize = 0;
let passMemory: usize = 0;

/** Takes the memory of the batch; where it is not whole, each thread's for `own` rows. */
export function takePoint(isWhole: bool, own: u32, rowFloats: u32): void {
  const size = u64(job.batchSize);
  whole = isWhole;
  capacity = isWhole ? job.batchSize : own;
  rowsMemory = isWhole ? take(rowsBytes(capacity)) : takeOwn(rowsBytes(capacity));
  rows = changetype<Rows>(takeOwn(offsetof<Rows>()));
  baseRow = rowFloats;
  if (!job.projected) return;
  takeProjection();
  base = takeFloats(size * rowFloats);
  scaled = takeFloats(size * size);
  lifted = take(8 * size * width(1));
}

/** The unit whose noise is in hand. */
let unit: u32 = 0;

/** Draws unit number `number`'s noise. */
export function drawUnit(number: u32): void {
  drawNoise(number, noise);
  unit = number;
}

/** Says that the next losses are of the unit's sample x + s Z, or of x − s Z where `minus`. */
export function beginSample(minus: bool): void {
  setSample(job.coupling === ANTITHETIC ? 2 * unit + u32(minus) : unit);
}

/** Memory of intoSpan and fromSpan. */
export function takeSpan(): void {
  const size = u64(job.batchSize) * width(1);
  image = takeFloats(size);
  inSpan = take(8 * size);
}

/** Reads the batch and, where projected, forms L, s L and A x_k. Ends with a barrier. */
export function beginPoint(s: f64): void {
  const size = job.batchSize;
  setRows(rows, rowsMemory, capacity);
  if (!whole) return;
  const begin = shareBegin(size, 1);
  const end = shareEnd(size, 1);
  chooseForm(rows, 0, 0, size);
  loadShare(rows, 0, 0, begin, end);
  if (!job.projected) {
    barrier();
    return;
  }
  makeGram();
  memory.fill(base + 4 * begin * baseRow, 0, 4 * (end - begin) * baseRow);
  firstProduct(rows, begin, end, job.parameters, width(1), base, baseRow);
  if (thread === threads - 1) {
    cholesky();
    scaledFactor(s, scaled);
  }
  barrier();
}

/** |a_b|² of row b of the batch, the bias input included; row r of `block`. */
export function rowNorm(block: Rows, r: u32, b: u32): f32 {
  if (job.projected) return f32(load<f64>(gram + 8 * (b * job.batchSize + b)));
  const count = block.sparse ? load<u32>(block.length + 4 * r) : block.width;
  return squaredNorm(block.value + 4 * r * block.width, count) + 1;
}

/** Whether a batch is read once for all samples: projected, or small. */
export function readsOnce(): bool {
  return job.projected !== 0 || (job.batches === 1 && job.batchSize <= ROW_BLOCK);
}

/** Rows that a pass holds. */
export function evaluatedRows(): u32 {
  return job.projected ? job.batchSize : blockRows();
}

export function takeSampler(): void {
  takePoint(readsOnce(), blockRows(), stride(1));
  head = takePass();
  passMemory = takeOwn(passBytes(evaluatedRows()));
  noise = takeOwnFloats(noiseFloats());
  perturbed = takeOwnFloats(parameterCount());
  shift = takeOwnFloats(u64(evaluatedRows()) * stride(1));
}

export function beginSampler(s: f64): void {
  pass = setPass(head, passMemory, evaluatedRows(), true);
  memory.fill(shift, 0, 4 * evaluatedRows() * stride(1));
  beginPoint(s);
}

/** out ← parameters + s noise for layers from … L; both parameters and out begin at layer `from`. */
export function perturb(from: u32, parameters: usize, s: f32, out: usize): void {
  for (let l = from; l <= job.depth; l++) {
    const count = noiseCount(l);
    addScaled(parameters, s, noise + 4 * noiseOffset(l), count, out);
    parameters += 4 * count;
    out += 4 * count;
  }
}

/** out (B × stride 1) ← start + s L U; start 0: zeros. */
export function projectedShift(start: usize, out: usize): void {
  const size = job.batchSize;
  const columns = width(1);
  product(size, columns, size, scaled, size, 1, noise, columns, start, stride(1), out, stride(1), LOWER);
}

/** Mean loss at `perturbed` over the batch, by this thread. */
function batchLoss(): f64 {
  const size = job.batchSize;
  let total: f64 = 0;
  for (let first: u32 = 0; first < size; first += ROW_BLOCK) {
    const count = least(ROW_BLOCK, size - first);
    if (!whole) loadRows(rows, 0, first, count);
    firstProduct(rows, 0, count, perturbed, width(1), signal(pass, 1), stride(1));
    forward(perturbed + 4 * layerOffset(2), pass, 0, count);
    rowLosses(rows, 0, pass, 0, count, 0);
    total += sumOfLosses(pass, count);
  }
  return total / f64(size);
}

/** The mean loss at x + s Z of the noise in hand; s with the sample's sign. Projected: `shift` holds |s| L U. */
export function sampleLoss(s: f64): f64 {
  beginSample(s < 0);
  if (!job.projected) {
    perturb(1, job.parameters, f32(s), perturbed);
    return batchLoss();
  }
  const size = job.batchSize;
  addScaled(base, s < 0 ? -1 : 1, shift, size * stride(1), signal(pass, 1));
  perturb(2, job.parameters + 4 * layerOffset(2), f32(s), perturbed);
  forward(perturbed, pass, 0, size);
  rowLosses(rows, 0, pass, 0, size, 0);
  return sumOfLosses(pass, size) / f64(size);
}

/** Gradient of f at `perturbed` on a batch, added to the sums or set; returns f. first: n of layer 1, tail: the rest. */
export function batchGradient(batch: u32, add: bool, first: usize, tail: usize): f64 {
  const size = job.batchSize;
  const columns = width(1);
  const upper = perturbed + 4 * layerOffset(2);
  let total: f64 = 0;
  for (let row: u32 = 0; row < size; row += ROW_BLOCK) {
    const count = least(ROW_BLOCK, size - row);
    if (!whole) loadRows(rows, batch, row, count);
    firstProduct(rows, 0, count, perturbed, columns, signal(pass, 1), stride(1));
    forward(upper, pass, 0, count);
    rowLosses(rows, 0, pass, 0, count, f32(1) / f32(size));
    backward(upper, pass, 0, count);
    firstGradient(rows, signal(pass, 1), stride(1), columns, 0, columns, add || row > 0, first);
    tailGradient(pass, count, add || row > 0, 0, 1, tail);
    total += sumOfLosses(pass, count);
  }
  return total / f64(size);
}

/**
 * The first layer's gradient ((d0 + 1) × d1) ← Aᵀ C + factor Q R (direct: Aᵀ C + factor R), C (B × cRow, changed; 0 where
 * direct: none), R the noise's sum (B × d1; direct (d0 + 1) × d1) or 0. Where `leave` and projected, Aᵀ C is left to the
 * step. All threads; C and R must be complete.
 */
export function writeFirstLayer(
  c: usize,
  cRow: u32,
  r: usize,
  scale: f64,
  leave: bool,
  gradient: usize,
): void {
  const size = job.batchSize;
  const columns = width(1);
  const begin = shareBegin(columns, 16);
  const end = shareEnd(columns, 16);
  if (job.projected) {
    if (r !== 0) liftNoise(c, cRow, r, scale, begin, end);
    if (leave) {
      barrier();
      leaveFactored(rows, c, cRow);
    } else {
      firstGradient(rows, c, cRow, columns, begin, end, false, gradient);
    }
    return;
  }
  let add = r !== 0;
  if (add) {
    const first = shareBegin(layerOffset(2), 64);
    multiply(f32(scale), r + 4 * first, shareEnd(layerOffset(2), 64) - first, gradient + 4 * first);
    barrier();
  }
  if (c === 0) return;
  const rowsAtOnce = whole ? size : capacity;
  for (let row: u32 = 0; row < size; row += rowsAtOnce) {
    if (!whole) loadRows(rows, 0, row, least(rowsAtOnce, size - row));
    firstGradient(rows, c + 4 * row * cRow, cRow, columns, begin, end, add, gradient);
    add = true;
  }
}

/** C ← C + scale L^{−T} R, columns begin … end − 1. */
function liftNoise(c: usize, cRow: u32, r: usize, scale: f64, begin: u32, end: u32): void {
  const size = job.batchSize;
  const columns = width(1);
  for (let b: u32 = 0; b < size; b++) {
    for (let h = begin; h < end; h++) {
      const at = b * columns + h;
      store<f64>(lifted + 8 * at, scale * f64(load<f32>(r + 4 * at)));
    }
  }
  solveUpper(lifted, columns, begin, end);
  for (let b: u32 = 0; b < size; b++) {
    for (let h = begin; h < end; h++) {
      const to = c + 4 * (b * cRow + h);
      store<f32>(to, f32(f64(load<f32>(to)) + load<f64>(lifted + 8 * (b * columns + h))));
    }
  }
}

/** c (B × d1 f64) ← L^{−1} A w: the part of w ((d0 + 1) × d1) within the span. By all threads; ends with a barrier. */
export function intoSpan(w: usize, c: usize): void {
  const columns = width(1);
  const size = job.batchSize;
  firstProduct(rows, shareBegin(size, 1), shareEnd(size, 1), w, columns, image, columns);
  barrier();
  const begin = shareBegin(columns, 16);
  const end = shareEnd(columns, 16);
  for (let i: u32 = 0; i < size; i++) {
    for (let j = begin; j < end; j++) {
      const at = i * columns + j;
      store<f64>(c + 8 * at, f64(load<f32>(image + 4 * at)));
    }
  }
  solveLower(c, columns, begin, end);
  barrier();
}

/**
 * out ((d0 + 1) × d1) ← Q v + (I − Q Qᵀ) out. v (B × d1 f64) is overwritten. Ends with a barrier.
 *
 *     Q v + (I − Q Qᵀ) R = R + Aᵀ L^{−T} (v − L^{−1} A R)
 */
export function fromSpan(v: usize, out: usize): void {
  intoSpan(out, inSpan);
  const columns = width(1);
  const size = job.batchSize;
  const begin = shareBegin(columns, 16);
  const end = shareEnd(columns, 16);
  for (let i: u32 = 0; i < size; i++)
    subtractRow(v + 8 * i * columns, inSpan + 8 * i * columns, 1, begin, end);
  solveUpper(v, columns, begin, end);
  for (let i: u32 = 0; i < size; i++) {
    for (let j = begin; j < end; j++) {
      const at = i * columns + j;
      store<f32>(image + 4 * at, f32(load<f64>(v + 8 * at)));
    }
  }
  firstGradient(rows, image, columns, columns, begin, end, true, out);
  barrier();
}
