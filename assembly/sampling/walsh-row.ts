/**
 * One row of a minibatch under one Walsh block: 2m samples for the noise of one, their losses by Walsh–Hadamard transforms.
 *
 *   sample (i, e, g): first layer's noise U diag(e s_gh), s_gh = (−1)^popcount(g & h), second layer's
 *   row split     Z diag(e t_gc), t_gc = s_{g,d1+c}:  logit_c = a W_c + e T_c + N_c,
 *                 T_c = WHT(d W_c, with n_c at place d1 + c), n_c = s a Z_c, N_c = t_c WHT(s d Z_c)
 *   weights only  diag(e s_gh) Z:                     logit_c = a W_c + s d Z_c + e WHT(d W_c + s a Z_c)
 *   no hidden layer:                                  logit_c = base_c + e s_gc y_c
 *
 * a, d: half the sum and half the difference of act(base + y), act(base − y) (bias: a = 1, d = 0), y = s (M U)_b. Signs on
 * the columns of a Gaussian matrix leave its law unchanged, so each sample has the law of Algorithm 4 (García Trillos,
 * Kaplan, Sanz-Alonso, Entropy 2019); those of one block depend on each other.
 *
 * Symbols: m the transform's length, s the perturbation's scale, w1 = d1 width of the first layer, d2 classes. Arrays over
 * g or h have `length` floats: m, or one vector where m is shorter (its lanes past m are zero wherever a sum is taken).
 */

import { walsh } from "../linear/transform";
import { classes, job, layerOffset, noiseScale, thread, width } from "../machine/context";
import { firstLanes, fma, LANES, least, most, roundUp, set, sum, transpose } from "../machine/lanes";
import { takeFloats, takeOwn } from "../machine/workspace";
import { activated } from "../network/dense";

export const ROW_SPLIT: u32 = 0;
export const WEIGHTS_ONLY: u32 = 1;
export const NO_HIDDEN: u32 = 2;

export let layout: u32 = 0;
export let m: u32 = 0;
/** max(m, 4), and the number of vectors. */
export let length: u32 = 0;
export let vectors: u32 = 0;
/** Vectors that hold units and bias. */
export let used: u32 = 0;
/** s². */
export let scale2: f32 = 0;
/** W_c (classes × length, bias at place w1). */
let weights: usize = 0;
/** t_gc (row split) or s_gc (no hidden layer): classes × length. */
export let signs: usize = 0;
/** This thread's row of each block of a group. */
let rowCount: u32 = 0;
let rowsMemory: usize = 0;
/** All bits of the lanes within m. */
export let inside: v128 = i32x4.splat(-1);

/** Takes the memory, each thread's for one row under `count` blocks. */
export function takeWalshRows(count: u32): void {
  const units = width(1);
  layout = job.depth === 1 ? NO_HIDDEN : job.rowwise ? ROW_SPLIT : WEIGHTS_ONLY;
  const needed = layout === NO_HIDDEN ? units : units + (layout === ROW_SPLIT ? classes() : 1);
  for (m = 1; m < needed; ) m *= 2;
  length = most(m, LANES);
  vectors = length / LANES;
  used = least(vectors, units / LANES + 1);
  inside = firstLanes(least(m, LANES));
  weights = takeFloats(u64(classes()) * length);
  signs = takeFloats(u64(classes()) * length);
  rowCount = count;
  rowsMemory = takeOwn(u64(rowBytes()) * count);
}

/** What all rows share at x_k, by one thread; complete at the next barrier. */
export function beginWalshRows(): void {
  for (let i: u32 = 0; i < rowCount; i++) setWalshRow(rowsMemory + i * rowBytes());
  scale2 = f32(noiseScale * noiseScale);
  if (thread !== 0) return;
  const units = width(1);
  const count = classes();
  memory.fill(weights, 0, 4 * count * length);
  if (layout !== NO_HIDDEN)
    transpose(job.parameters + 4 * layerOffset(2), units + 1, count, count, weights, length);
  const first = layout === NO_HIDDEN ? 0 : units;
  for (let c: u32 = 0; c < count; c++) {
    for (let g: u32 = 0; g < length; g++)
      store<f32>(signs + 4 * (c * length + g), popcnt<u32>(g & (first + c)) & 1 ? -1 : 1);
  }
}

/** What one row makes of one block. */
@unmanaged
export class WalshRow {
  /** length each; zeros past w1. */
  a: usize;
  d: usize;
  /** T_c, N_c: classes × length. */
  t: usize;
  noise: usize;
  /** 1/(s²|hidden|²): 2 × length. */
  inverse: usize;
  /** f: 2 × length. */
  losses: usize;
  /** WHT(f⁺ − f⁻)/2m: length. */
  means: usize;
  /** n_c; the logits' even part; the same less the label's, times log2 e: classes each. */
  n: usize;
  base: usize;
  even: usize;
  /** The row's y: length. */
  y: usize;
  /** Σ a² + d². */
  own: f32;
  /** Mean of f. */
  mean: f32;
}

/** Bytes of a row and its arrays. */
function rowBytes(): u32 {
  const count = classes();
  return roundUp(64 + 4 * length * (7 + 2 * count) + 3 * (4 * count + 64), 64);
}

/** The row in hand under block i of its group. */
export function rowOf(i: u32): WalshRow {
  return changetype<WalshRow>(rowsMemory + i * rowBytes());
}

function setWalshRow(place: usize): void {
  const row = changetype<WalshRow>(place);
  const count = classes();
  const floats = 4 * length;
  row.a = place + 64;
  row.d = row.a + floats;
  row.inverse = row.d + floats;
  row.losses = row.inverse + 2 * floats;
  row.means = row.losses + 2 * floats;
  row.t = row.means + floats;
  row.noise = row.t + count * floats;
  row.n = row.noise + count * floats;
  row.base = row.n + 4 * count + 64;
  row.even = row.base + 4 * count + 64;
  memory.fill(row.a, 0, 2 * floats);
}

/** a, d and their squares' sum. */
export function halfActivations(row: WalshRow, base: usize): void {
  const half = set(0.5);
  let squares = set(0);
  for (let i: usize = 0; i < 16 * used; i += 16) {
    const p = v128.load(base + i);
    const q = v128.load(row.y + i);
    const plus = activated(f32x4.add(p, q));
    const minus = activated(f32x4.sub(p, q));
    const d = f32x4.mul(half, f32x4.sub(plus, minus));
    let a = f32x4.mul(half, f32x4.add(plus, minus));
    // Past the units base = y = 0 and so d = 0, but act(0) need not be 0.
    if (i + 16 > 4 * <usize>width(1)) {
      a = v128.and(a, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(<i32>width(1) - <i32>(i >> 2))));
    }
    v128.store(row.a + i, a);
    v128.store(row.d + i, d);
    squares = fma(a, a, fma(d, d, squares));
  }
  store<f32>(row.a + 4 * width(1), 1);
  row.own = sum(squares) + 1;
}

/** out ← d p over the places in use, zeros beyond. */
function multiplyBy(d: usize, p: usize, out: usize): void {
  const end: usize = 16 * used;
  for (let i: usize = 0; i < end; i += 16) v128.store(out + i, f32x4.mul(v128.load(d + i), v128.load(p + i)));
  if (used < vectors) memory.fill(out + end, 0, 16 * (vectors - used));
}

/** Even and odd parts of class c's logit, row split. z: s Z_c (length). */
function rowSplitLogit(row: WalshRow, c: u32, z: usize): void {
  const a = row.a;
  const w = weights + 4 * c * length;
  let even = set(0);
  let odd = set(0);
  for (let i: usize = 0; i < 16 * used; i += 16) {
    const x = v128.load(a + i);
    even = fma(x, v128.load(w + i), even);
    odd = fma(x, v128.load(z + i), odd);
  }
  const n = sum(odd);
  store<f32>(row.base + 4 * c, sum(even));
  store<f32>(row.n + 4 * c, n);
  const t = row.t + 4 * c * length;
  multiplyBy(row.d, w, t);
  store<f32>(t + 4 * (width(1) + c), n);
  walsh(t, vectors);
  const noise = row.noise + 4 * c * length;
  multiplyBy(row.d, z, noise);
  walsh(noise, vectors);
  const flips = signs + 4 * c * length;
  for (let i: usize = 0; i < 16 * vectors; i += 16)
    v128.store(noise + i, f32x4.mul(v128.load(noise + i), v128.load(flips + i)));
}

/** The same where only weights are wanted. */
function plainLogit(row: WalshRow, c: u32, z: usize): void {
  const a = row.a;
  const d = row.d;
  const w = weights + 4 * c * length;
  const t = row.t + 4 * c * length;
  let even = set(0);
  for (let i: usize = 0; i < 16 * used; i += 16) {
    even = fma(v128.load(a + i), v128.load(w + i), even);
    even = fma(v128.load(d + i), v128.load(z + i), even);
    v128.store(t + i, fma(v128.load(d + i), v128.load(w + i), f32x4.mul(v128.load(a + i), v128.load(z + i))));
  }
  store<f32>(row.base + 4 * c, sum(even));
  if (used < vectors) memory.fill(t + 16 * used, 0, 16 * (vectors - used));
  walsh(t, vectors);
}

/** 1/(s²|hidden|²) of all samples. */
function inverseNorms(row: WalshRow): void {
  const inverse = row.inverse;
  for (let i: usize = 0; i < 16 * vectors; i += 16) {
    const x = v128.load(row.a + i);
    v128.store(inverse + i, f32x4.mul(f32x4.add(x, x), v128.load(row.d + i)));
  }
  walsh(inverse, vectors);
  const own = set(row.own);
  const scale = set(scale2);
  for (let i: usize = 0; i < 16 * vectors; i += 16) {
    const x = v128.load(inverse + i);
    v128.store(inverse + i, f32x4.div(set(1), f32x4.mul(scale, f32x4.add(own, x))));
    v128.store(inverse + 4 * length + i, f32x4.div(set(1), f32x4.mul(scale, f32x4.sub(own, x))));
  }
}

/** Even and odd parts of all logits. base: (A x)_b; second: s Z by classes (classes × length). */
export function makeLogits(row: WalshRow, base: usize, second: usize): void {
  const count = classes();
  for (let c: u32 = 0; c < count; c++) {
    const at = 4 * c * length;
    if (layout === ROW_SPLIT) {
      rowSplitLogit(row, c, second + at);
    } else if (layout === WEIGHTS_ONLY) {
      plainLogit(row, c, second + at);
    } else {
      const y = set(load<f32>(row.y + 4 * c));
      for (let i: usize = 0; i < 4 * length; i += 16)
        v128.store(row.t + at + i, f32x4.mul(y, v128.load(signs + at + i)));
      store<f32>(row.base + 4 * c, load<f32>(base + 4 * c));
    }
  }
  if (layout === ROW_SPLIT) inverseNorms(row);
}

/** out (length) ← WHT(v⁺ − v⁻)/2m of values (2 × length): the mean of value · e s_gh for each h. */
export function signMean(values: usize, out: usize): void {
  const factor = set(1 / (f32(m) * 2));
  const half: usize = 4 * length;
  for (let i: usize = 0; i < half; i += 16)
    v128.store(out + i, f32x4.mul(factor, f32x4.sub(v128.load(values + i), v128.load(values + half + i))));
  walsh(out, vectors);
}
