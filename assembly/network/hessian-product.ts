/**
 * The Hessian of the mean cross-entropy times a vector v: the derivative along v of what `dense.ts` computes. With a dot
 * for that derivative, V^l the matrices of v, and G = df/dP:
 *
 *     Ṗ¹ = A⁰ V¹,  Ȧ^l = (slope(P^l) Ṗ^l, 0),  Ṗ^{l+1} = Ȧ^l W^{l+1} + A^l V^{l+1},
 *     T^{l−1} = G^l W^lᵀ,  Ṫ^{l−1} = Ġ^l W^lᵀ + G^l V^lᵀ,  Ġ = slope Ṫ + bend Ṗ T,
 *     (H v)^l = (Ȧ^{l−1})ᵀ G^l + (A^{l−1})ᵀ Ġ^l.
 *
 * Rows are worked off in blocks by all threads, as in `sgd.ts`, so each entry is one chain of sums whatever their number.
 * Blocks are added up in float32 as far as a part goes, the parts in float64.
 */

import { FULL, product } from "../linear/product";
import {
  classes,
  job,
  largestTail,
  layerOffset,
  layerRows,
  parameterCount,
  thread,
  width,
} from "../machine/context";
import { RELU, TANH } from "../machine/job";
import { firstLanes, fma, LANES, least, set, storeSome, sum, transpose } from "../machine/lanes";
import { barrier, shareBegin, shareEnd, stopped } from "../machine/team";
import { take, takeOwn, takeOwnFloats } from "../machine/workspace";
import { activate, activation, blockRows, Pass, passBytes, setPass, signal, stride, takePass } from "./dense";
import { exponentials, firstLargest } from "./loss";
import {
  chooseForm,
  firstGradient,
  firstProduct,
  loadShare,
  ROW_BLOCK,
  Rows,
  rowsBytes,
  setRows,
} from "./rows";

const PART_ROWS: u32 = 8 * ROW_BLOCK;

let rows: Rows = changetype<Rows>(0);
let rowsMemory: usize = 0;
/** P, then G; A. */
let pass: Pass = changetype<Pass>(0);
let passHead: usize = 0;
let passMemory: usize = 0;
/** Ṗ, then Ġ; Ȧ with a column of zeros. */
let dot: Pass = changetype<Pass>(0);
let dotHead: usize = 0;
let dotMemory: usize = 0;
/** A matrix of v, transposed. */
let moved: usize = 0;
let weights: usize = 0;
/** Sums of parts (n doubles), where there are several. */
let totals: usize = 0;

export function takeHessianProduct(): void {
  const count = blockRows();
  rows = changetype<Rows>(takeOwn(offsetof<Rows>()));
  rowsMemory = take(rowsBytes(count));
  passHead = takePass();
  passMemory = take(passBytes(count));
  dotHead = takePass();
  dotMemory = take(passBytes(count));
  weights = takeOwnFloats(largestTail());
  moved = takeOwnFloats(largestTail());
  totals = job.batchSize > PART_ROWS ? take(8 * u64(parameterCount())) : 0;
}

/** Ȧ^l from A^l and Ṗ^l. */
function activateDots(layer: u32, begin: u32, end: u32): void {
  const count = width(layer);
  const row = 4 * stride(layer);
  for (let r = begin; r < end; r++) {
    const a = activation(pass, layer) + r * row;
    const from = signal(dot, layer) + r * row;
    const to = activation(dot, layer) + r * row;
    for (let i: usize = 0; i < 4 * count; i += 16) {
      const x = v128.load(a + i);
      const p = v128.load(from + i);
      if (job.activation === TANH) v128.store(to + i, f32x4.mul(p, f32x4.sub(set(1), f32x4.mul(x, x))));
      else if (job.activation === RELU) v128.store(to + i, v128.and(p, f32x4.gt(x, set(0))));
      else unreachable(); // a step has no slope
    }
    store<f32>(to + 4 * count, 0);
  }
}

/** C (rows begin … end − 1) = start + A B, A and C layers' arrays. */
function productOf(
  begin: u32,
  end: u32,
  columns: u32,
  depth: u32,
  a: usize,
  aRow: u32,
  b: usize,
  adds: bool,
  c: usize,
  cRow: u32,
): void {
  const to = c + 4 * begin * cRow;
  const start: usize = adds ? to : 0;
  product(
    end - begin,
    columns,
    depth,
    a + 4 * begin * aRow,
    aRow,
    1,
    b,
    columns,
    start,
    cRow,
    to,
    cRow,
    FULL,
  );
}

/** From P¹ and Ṗ¹ to the logits and their derivative. */
function forwardDots(begin: u32, end: u32): void {
  for (let l: u32 = 1; l < job.depth; l++) {
    activate(pass, l, begin, end);
    activateDots(l, begin, end);
    const w = job.parameters + 4 * layerOffset(l + 1);
    const v = job.vector + 4 * layerOffset(l + 1);
    const depth = layerRows(l + 1);
    const columns = width(l + 1);
    const a = activation(pass, l);
    const p = signal(dot, l + 1);
    productOf(begin, end, columns, depth, a, stride(l), w, false, signal(pass, l + 1), stride(l + 1));
    productOf(begin, end, columns, depth, a, stride(l), v, false, p, stride(l + 1));
    productOf(begin, end, columns, depth, activation(dot, l), stride(l), w, true, p, stride(l + 1));
  }
}

/**
 * A row's logits z ← scale (p − onehot), p their softmax, and their derivative d ← scale p (d − Σ p d). What the sum holds
 * is taken relative to the best class, so that a row that is sure of it loses nothing.
 */
function signalDots(z: usize, d: usize, label: u32, scale: f32): void {
  const count = classes();
  const best = firstLargest(z, count);
  const others = exponentials(z, count, best);
  const factor = scale / (1 + others);
  const top = set(load<f32>(d + 4 * best));
  let total = set(0);
  for (let c: u32 = 0; c < count; c += LANES) {
    const within = firstLanes(count - c); // what lies past them may be anything
    const offset = v128.and(f32x4.sub(v128.load(d + 4 * c), top), within);
    total = fma(v128.and(v128.load(z + 4 * c), within), offset, total);
  }
  const mean = set(sum(total) / (1 + others));
  const own = load<f32>(z + 4 * label);
  for (let c: u32 = 0; c < count; c += LANES) {
    const share = f32x4.mul(v128.load(z + 4 * c), set(factor));
    const offset = f32x4.sub(f32x4.sub(v128.load(d + 4 * c), top), mean);
    storeSome(d + 4 * c, count - c, f32x4.mul(share, offset));
    storeSome(z + 4 * c, count - c, share);
  }
  store<f32>(z + 4 * label, factor * (label === best ? -others : own - (1 + others)));
}

/** From G^L and Ġ^L back to G¹ and Ġ¹. */
function backwardDots(begin: u32, end: u32): void {
  for (let l = job.depth; l > 1; l--) {
    const inputs = width(l - 1);
    const columns = width(l);
    const row = stride(l - 1);
    transpose(job.parameters + 4 * layerOffset(l), inputs, columns, columns, weights, inputs);
    transpose(job.vector + 4 * layerOffset(l), inputs, columns, columns, moved, inputs);
    const g = signal(pass, l);
    const back = signal(pass, l - 1);
    const backDot = signal(dot, l - 1);
    productOf(begin, end, inputs, columns, g, stride(l), weights, false, back, row);
    productOf(begin, end, inputs, columns, signal(dot, l), stride(l), weights, false, backDot, row);
    productOf(begin, end, inputs, columns, g, stride(l), moved, true, backDot, row);
    for (let r = begin; r < end; r++) {
      const at: usize = 4 * r * row;
      slopeDots(activation(pass, l - 1) + at, activation(dot, l - 1) + at, back + at, backDot + at, inputs);
    }
  }
}

/** A row's T and Ṫ become G and Ġ; tanh's second derivative is −2 a slope, and slope Ṗ is Ȧ. */
function slopeDots(a: usize, aDot: usize, back: usize, backDot: usize, count: u32): void {
  for (let i: usize = 0; i < 4 * count; i += 16) {
    const x = v128.load(a + i);
    const t = v128.load(back + i);
    const tDot = v128.load(backDot + i);
    if (job.activation === TANH) {
      const slope = f32x4.sub(set(1), f32x4.mul(x, x));
      const bent = f32x4.mul(f32x4.mul(set(2), f32x4.mul(x, v128.load(aDot + i))), t);
      v128.store(back + i, f32x4.mul(t, slope));
      v128.store(backDot + i, f32x4.sub(f32x4.mul(tDot, slope), bent));
    } else if (job.activation === RELU) {
      const on = f32x4.gt(x, set(0));
      v128.store(back + i, v128.and(t, on));
      v128.store(backDot + i, v128.and(tDot, on));
    } else {
      unreachable(); // a step has no slope
    }
  }
}

/** Layers 2 … L of the product over `count` rows: this thread's rows of each matrix, added to what is there or set. */
function tailDots(count: u32, add: bool): void {
  for (let l: u32 = 2; l <= job.depth; l++) {
    const columns = width(l);
    const begin = shareBegin(layerRows(l), 1);
    const share = shareEnd(layerRows(l), 1) - begin;
    const to = job.output + 4 * (layerOffset(l) + begin * columns);
    const row = stride(l - 1);
    const a = activation(pass, l - 1) + 4 * begin;
    const aDot = activation(dot, l - 1) + 4 * begin;
    const start: usize = add ? to : 0;
    product(share, columns, count, a, 1, row, signal(dot, l), stride(l), start, columns, to, columns, FULL);
    product(share, columns, count, aDot, 1, row, signal(pass, l), stride(l), to, columns, to, columns, FULL);
  }
}

/** output (n) ← what the rows of a block give, or += where `add`. */
function blockProduct(first: u32, count: u32, add: bool): void {
  const columns = width(1);
  const begin = shareBegin(count, 1);
  const end = shareEnd(count, 1);
  chooseForm(rows, 0, first, count);
  loadShare(rows, 0, first, begin, end);
  barrier();
  if (begin < end) {
    firstProduct(rows, begin, end, job.parameters, columns, signal(pass, 1), stride(1));
    firstProduct(rows, begin, end, job.vector, columns, signal(dot, 1), stride(1));
    forwardDots(begin, end);
    const scale = f32(1) / f32(job.batchSize);
    for (let r = begin; r < end; r++) {
      const at: usize = 4 * r * stride(job.depth);
      const label: u32 = load<u16>(rows.labels + 2 * r);
      signalDots(signal(pass, job.depth) + at, signal(dot, job.depth) + at, label, scale);
    }
    backwardDots(begin, end);
  }
  barrier();
  const left = shareBegin(columns, 16);
  const right = shareEnd(columns, 16);
  firstGradient(rows, signal(dot, 1), stride(1), columns, left, right, add, job.output);
  tailDots(count, add);
  barrier(); // the next block overwrites the rows
}

/** output (n) ← the Hessian at `parameters` of the mean cross-entropy, times `vector`. */
export function hessianProduct(): void {
  const size = job.batchSize;
  const begin = shareBegin(parameterCount(), 16);
  const end = shareEnd(parameterCount(), 16);
  setRows(rows, rowsMemory, blockRows());
  pass = setPass(passHead, passMemory, blockRows(), thread === 0);
  dot = setPass(dotHead, dotMemory, blockRows(), thread === 0);
  if (totals !== 0) memory.fill(totals + 8 * begin, 0, 8 * (end - begin));
  for (let first: u32 = 0; first < size && !stopped(); first += ROW_BLOCK) {
    const count = least(ROW_BLOCK, size - first);
    blockProduct(first, count, first % PART_ROWS > 0);
    const whole = (first + ROW_BLOCK) % PART_ROWS === 0 || first + count === size;
    if (!whole || totals === 0) continue;
    for (let i = begin; i < end; i++) {
      const at = totals + 8 * i;
      store<f64>(at, load<f64>(at) + f64(load<f32>(job.output + 4 * i)));
    }
    barrier(); // the next part writes the output
  }
  if (totals === 0) return;
  for (let i = begin; i < end; i++) store<f32>(job.output + 4 * i, f32(load<f64>(totals + 8 * i)));
}
