/**
 * A dense network's way from the first pre-activation to the losses and back.
 *
 *     P¹ = A⁰ W¹, A^l = (activation(P^l), 1), P^{l+1} = A^l W^{l+1}, f = mean over rows of the loss of P^L.
 *
 * Symbols: B rows, d0 … dL widths. A signal is df/dP^l. `tail`: the parameters of layers 2 … L, flat.
 */

import { log1p, tanh } from "../linear/math";
import { FULL, product } from "../linear/product";
import { classes, job, largestTail, layerRows, width } from "../machine/context";
import {
  COST_MATRIX,
  CROSS_ENTROPY,
  GIVEN,
  hasClasses,
  LOGISTIC,
  OPERATION_OUTPUTS,
  RELU,
  readsTargets,
  STEP,
  TANH,
} from "../machine/job";
import { LANES, max, roundUp, set, storeSome, transpose } from "../machine/lanes";
import { takeOwn } from "../machine/workspace";
import { cost, exponentials, firstLargest, predicted, sigmoid, targetLoss } from "./loss";
import { firstProduct, loadRows, ROW_BLOCK, Rows } from "./rows";

/** What one thread keeps of a block of rows on its way through the network. A table of the layers follows it. */
@unmanaged
export class Pass {
  /** The largest W^l, l > 1, transposed. */
  transposed: usize;
  /** Losses of the rows. */
  rowLoss: usize;
  excess: usize;
  spare: usize;
}

/** Floats from a row of layer l to the next: d_l + 1, rounded up. */
export function stride(layer: u32): u32 {
  return roundUp(width(layer) + 1, 16);
}

/** P^l, then df/dP^l; rows × stride. */
export function signal(pass: Pass, layer: u32): usize {
  return load<usize>(changetype<usize>(pass) + 16 + 8 * layer);
}

/** A^l with its column of ones, l < L; rows × stride. */
export function activation(pass: Pass, layer: u32): usize {
  return load<usize>(changetype<usize>(pass) + 20 + 8 * layer);
}

function headBytes(): u32 {
  return roundUp(16 + 8 * (job.depth + 1), 64);
}

/** Bytes of the arrays of a pass of `rows` rows. */
export function passBytes(rows: u32): u64 {
  let bytes = 2 * u64(roundUp(4 * rows, 64)) + roundUp(4 * largestTail(), 64) + 64;
  for (let l: u32 = 1; l <= job.depth; l++) bytes += 8 * u64(rows) * stride(l);
  return bytes;
}

/** The thread's memory for a pass's table. */
export function takePass(): usize {
  return takeOwn(headBytes());
}

/** Lays out a pass of `rows` rows at `place`, its table at `head`; where `clear`, lanes past the widths become zero. */
export function setPass(head: usize, place: usize, rows: u32, clear: bool): Pass {
  const pass = changetype<Pass>(head);
  let at = place;
  pass.rowLoss = at;
  at += roundUp(4 * rows, 64);
  pass.excess = at;
  at += roundUp(4 * rows, 64);
  const start = at;
  for (let l: u32 = 1; l <= job.depth; l++) {
    store<usize>(head + 16 + 8 * l, at);
    at += 4 * rows * stride(l);
    store<usize>(head + 20 + 8 * l, at);
    at += 4 * rows * stride(l);
  }
  if (clear) memory.fill(start, 0, at - start);
  pass.transposed = at;
  return pass;
}

/** 1 above 0, else 0; NaN stays NaN, which is the second operand of the maximum. */
function step(x: v128): v128 {
  return v128.bitselect(set(1), max(set(0), x), f32x4.gt(x, set(0)));
}

/** The activation of the hidden layers. */
export function activated(x: v128): v128 {
  if (job.activation === RELU) return max(set(0), x);
  if (job.activation === TANH) return tanh(x);
  if (job.activation === STEP) return step(x);
  return unreachable();
}

/** A^l from P^l, rows begin … end − 1. */
export function activate(pass: Pass, layer: u32, begin: u32, end: u32): void {
  const count = width(layer);
  const row = 4 * stride(layer);
  for (let r = begin; r < end; r++) {
    const from = signal(pass, layer) + r * row;
    const to = activation(pass, layer) + r * row;
    for (let i: usize = 0; i < 4 * count; i += 16) v128.store(to + i, activated(v128.load(from + i)));
    store<f32>(to + 4 * count, 1);
  }
}

/** P^{l+1} from P^l, rows begin … end − 1; w: W^{l+1}. */
function forwardLayer(pass: Pass, layer: u32, w: usize, begin: u32, end: u32): void {
  activate(pass, layer, begin, end);
  const columns = width(layer + 1);
  const a = activation(pass, layer) + 4 * begin * stride(layer);
  const c = signal(pass, layer + 1) + 4 * begin * stride(layer + 1);
  product(
    end - begin,
    columns,
    width(layer) + 1,
    a,
    stride(layer),
    1,
    w,
    columns,
    0,
    0,
    c,
    stride(layer + 1),
    FULL,
  );
}

/** From P¹ in signal 1 to the logits in signal L. */
export function forward(tail: usize, pass: Pass, begin: u32, end: u32): void {
  for (let l: u32 = 1; l < job.depth; l++) {
    forwardLayer(pass, l, tail, begin, end);
    tail += 4 * (width(l) + 1) * width(l + 1);
  }
}

/** The number of the sample in hand among an update's, where losses are given: the last is x itself. */
let sample: u32 = 0;

export function setSample(number: u32): void {
  sample = number;
}

/** Place of row b of the batch in sample j, of a loss that is given. */
export function givenPlace(j: u32, b: u32): usize {
  return usize(j) * job.batchSize + b;
}

/** Row b's loss in the sample in hand as it is given, or its outputs z in the loss's place. */
function givenLoss(z: usize, b: u32, count: u32): f32 {
  const at = givenPlace(sample, b);
  if (job.operation !== OPERATION_OUTPUTS) return load<f32>(job.rowLosses + 4 * at);
  memory.copy(job.output + 4 * at * count, z, 4 * count);
  return 0;
}

/**
 * Losses of rows begin … end − 1 into rowLoss, row r's label or targets at place at + r of `rows`. Where scale is not 0,
 * the logits become scale · dloss/dlogits. Cross-entropy: z_best − z_label + log1p(Σ over the others of e^{z − z_best}).
 */
export function rowLosses(rows: Rows, at: u32, pass: Pass, begin: u32, end: u32, scale: f32): void {
  const count = classes();
  const row = 4 * stride(job.depth);
  const byTargets = readsTargets(job.lossKind);
  for (let r = begin; r < end; r++) {
    const z = signal(pass, job.depth) + r * row;
    if (job.lossKind === GIVEN) {
      store<f32>(pass.rowLoss + 4 * r, givenLoss(z, rows.first + at + r, count));
      continue;
    }
    if (byTargets) {
      const loss = targetLoss(z, load<usize>(rows.targets + 4 * (at + r)), count, scale);
      store<f32>(pass.rowLoss + 4 * r, loss);
      continue;
    }
    const label: u32 = load<u16>(rows.labels + 2 * (at + r));
    if (job.lossKind === COST_MATRIX) {
      store<f32>(pass.rowLoss + 4 * r, cost(z, count, label));
      continue;
    }
    const best = firstLargest(z, count);
    store<f32>(pass.rowLoss + 4 * r, load<f32>(z + 4 * best) - load<f32>(z + 4 * label));
    const others = exponentials(z, count, best);
    store<f32>(pass.excess + 4 * r, others);
    if (scale === 0) continue;
    const factor = scale / (1 + others);
    const own = load<f32>(z + 4 * label);
    for (let c: u32 = 0; c < count; c++) store<f32>(z + 4 * c, load<f32>(z + 4 * c) * factor);
    store<f32>(z + 4 * label, factor * (label === best ? -others : own - (1 + others)));
  }
  if (byTargets || job.lossKind === COST_MATRIX || job.lossKind === GIVEN) return;
  if (job.lossKind !== CROSS_ENTROPY) unreachable();
  for (let r = begin; r < end; r += LANES) {
    const at = pass.rowLoss + 4 * r;
    storeSome(at, end - r, f32x4.add(v128.load(at), log1p(v128.load(pass.excess + 4 * r))));
  }
}

export function sumOfLosses(pass: Pass, count: u32): f64 {
  let total: f64 = 0;
  for (let r: u32 = 0; r < count; r++) total += f64(load<f32>(pass.rowLoss + 4 * r));
  return total;
}

/** g ← g · activation'(P) for a row of A^l, in place. */
function slopes(a: usize, g: usize, count: u32): void {
  for (let i: usize = 0; i < 4 * count; i += 16) {
    const x = v128.load(a + i);
    const back = v128.load(g + i);
    if (job.activation === TANH) v128.store(g + i, f32x4.mul(back, f32x4.sub(set(1), f32x4.mul(x, x))));
    else if (job.activation === RELU) v128.store(g + i, v128.and(back, f32x4.gt(x, set(0))));
    else unreachable(); // a step has no slope
  }
}

/** From df/dP^L back to df/dP¹. */
export function backward(tail: usize, pass: Pass, begin: u32, end: u32): void {
  for (let l: u32 = 1; l < job.depth; l++) tail += 4 * (width(l) + 1) * width(l + 1);
  for (let l = job.depth; l > 1; l--) {
    const inputs = width(l - 1);
    const columns = width(l);
    const row = stride(l - 1);
    tail -= 4 * (inputs + 1) * columns;
    transpose(tail, inputs, columns, columns, pass.transposed, inputs);
    const a = signal(pass, l) + 4 * begin * stride(l);
    const c = signal(pass, l - 1) + 4 * begin * row;
    product(end - begin, inputs, columns, a, stride(l), 1, pass.transposed, inputs, 0, 0, c, row, FULL);
    for (let r = begin; r < end; r++)
      slopes(activation(pass, l - 1) + 4 * r * row, signal(pass, l - 1) + 4 * r * row, inputs);
  }
}

/**
 * Gradient of layers 2 … L, flat: (A^{l−1})ᵀ df/dP^l over `count` rows; of each matrix
 * the rows of part `part` of `parts`, added to what is there or set.
 */
export function tailGradient(
  pass: Pass,
  count: u32,
  add: bool,
  part: u32,
  parts: u32,
  gradient: usize,
): void {
  for (let l: u32 = 2; l <= job.depth; l++) {
    const rows = layerRows(l);
    const columns = width(l);
    const begin = u32((u64(rows) * part) / parts);
    const end = u32((u64(rows) * (part + 1)) / parts);
    const to = gradient + 4 * begin * columns;
    const a = activation(pass, l - 1) + 4 * begin;
    const start = add ? to : 0;
    const g = signal(pass, l);
    product(
      end - begin,
      columns,
      count,
      a,
      1,
      stride(l - 1),
      g,
      stride(l),
      start,
      columns,
      to,
      columns,
      FULL,
    );
    gradient += 4 * rows * columns;
  }
}

/** Logits of rows first … first + count − 1 of a batch at `parameters`. */
export function logits(rows: Rows, pass: Pass, parameters: usize, batch: u32, first: u32, count: u32): void {
  loadRows(rows, batch, first, count);
  firstProduct(rows, 0, count, parameters, width(1), signal(pass, 1), stride(1));
  forward(parameters + 4 * layerRows(1) * width(1), pass, 0, count);
}

/** Rows of a block where B is smaller. */
export function blockRows(): u32 {
  return job.batchSize < ROW_BLOCK ? job.batchSize : ROW_BLOCK;
}

/** What predict makes of a row's outputs z, which it may replace; returns the label predicted. */
export function predictRow(z: usize, count: u32, out: usize): u32 {
  const label = predicted(z, count);
  if (!hasClasses(job.lossKind)) {
    for (let c: u32 = 0; c < count; c += LANES) {
      const outputs = v128.load(z + 4 * c);
      storeSome(out + 4 * c, count - c, job.lossKind === LOGISTIC ? sigmoid(outputs) : outputs);
    }
    return label;
  }
  const best = firstLargest(z, count);
  const total = exponentials(z, count, best) + 1;
  for (let c: u32 = 0; c < count; c++) store<f32>(out + 4 * c, load<f32>(z + 4 * c) / total);
  return label;
}
