/**
 * The gradient from Walsh blocks: importance sampling of local entropy (Algorithm 4's mean; García Trillos, Kaplan,
 * Sanz-Alonso, Entropy 2019) and evolution strategies for heat, by rows or from the minibatch's losses alone.
 *
 *   By rows, D = (mean_b f − c0)/δ, w = e^{−D} = 1 − D + ρ, G = WHT(f⁺ − f⁻)/2m, s_b² = s²|a_b|²:
 *   D1_bh = (1/BK) Σ_i [y G/s_b² − κ_i (y²/s_b² − 1)],
 *           κ_i = Σ' y G/(Σ' y² + 0.1 s_b²), Σ' over the group's other blocks
 *   D2_hc = (1/2mBK) Σ_b Σ_i [a_h Σ_g (ψ⁺ + ψ⁻) + d_h WHT(ψ⁺ − ψ⁻)_h],
 *           ψ = η (f − c_i − λ_ic η)/(s²|hidden|²) + λ_ic, η = e t_gc n_c + N_gc,
 *           λ_ic = Σ' n_c G_{d1+c}/(Σ' n_c² + 1e-3 s² Σ (a² + d²)), c_i: mean f of the others
 *   heat gradient (Aᵀ D1, D2); gradient of F: (s²/τ)[heat − (δ/s) mean ρ Z]/mean w.
 *   From losses alone: −(δ s/τ) mean w Z/mean w; heat: mean f Z/s. Mean over a block of v Z: U diag(E),
 *   with E = WHT(v⁺ − v⁻)/2m, and Z_hc E_{d1+c} (by rows) or Z_hc E_h.
 *
 * This file: a minibatch's rows under a group of blocks. walsh-estimate.ts makes the gradient of what they sum to.
 *
 * Symbols: K blocks i in groups of at most 8, c0 the mean of all losses, C (B × w1) coefficients of the first layer's
 * gradient Aᵀ C; the rest: walsh.ts.
 */

import { addScaled, fma, LANES, least, multiply, set, sum, transpose } from "../linear/lanes";
import { FULL, product } from "../linear/product";
import { drawNoise, noiseFloats, noiseOffset } from "../linear/projection";
import { walsh } from "../linear/transform";
import { classes, job, layerOffset, noiseScale, width } from "../machine/job";
import { barrier, cancelled, endItems, nextItem, shareBegin, shareEnd } from "../machine/team";
import { takeFloats, takeOwn, takeOwnFloats } from "../machine/workspace";
import { forward, passBytes, rowLosses, setPass, signal, stride, takePass } from "../network/dense";
import { firstProduct, loadRows, ROW_BLOCK } from "../network/rows";
import { rowNorm } from "./sample-rows";
import { base, beginPoint, rows, scaled, takePoint } from "./sampling";
import {
  beginWalsh,
  inside,
  layout,
  length,
  m,
  NO_HIDDEN,
  ROW_SPLIT,
  scale2,
  setWalshRow,
  signMean,
  signs,
  takeWalsh,
  used,
  vectors,
  WalshRow,
  walshRow,
  walshRowBytes,
} from "./walsh";

export const GROUP: u32 = 8;
/** Rows summed by one thread in order, so that threads change no bit. */
const ROW_CHUNKS: u32 = 16;

/** Keep κ's and λ's quotients from a denominator near zero. */
const FIRST_RIDGE: f32 = 0.1;
const SECOND_RIDGE: f32 = 1e-3;

export let chunks: u32 = 0;
/** Rows of a chunk that are worked off at a time. */
let atOnce: u32 = 0;
let group: u32 = 0;
/** Each block's normals as drawn (U first), and s Z by classes (classes × length, bias at place w1). */
let drawn: usize = 0;
let second: usize = 0;
/** This thread's: A x and y (atOnce × length, y of each block), a row of each block, a transform's scratch. */
let directBase: usize = 0;
let ys: usize = 0;
let blockRows: usize = 0;
let scratch: usize = 0;
/** Each chunk's sums over its rows: D2 by classes (classes × length), f (group × 2 × length). */
let chunkSecond: usize = 0;
let chunkLosses: usize = 0;
/** Each row's loss at x (B): the level of a block without others; and this thread's pass for them. */
let center: usize = 0;
let passHead: usize = 0;
let passMemory: usize = 0;

function rowBytes(): u32 {
  return u32((walshRowBytes() + 63) & ~63);
}

export function takeRowSplit(): void {
  takeWalsh();
  const size = job.batchSize;
  chunks = least(size, ROW_CHUNKS);
  atOnce = least((size + chunks - 1) / chunks, ROW_BLOCK);
  group = least(job.blocks, GROUP);
  takePoint(job.projected !== 0, atOnce, length);
  const all = u64(classes()) * length;
  drawn = takeFloats(noiseFloats() * group);
  second = takeFloats(all * group);
  if (!job.projected) directBase = takeOwnFloats(u64(atOnce) * length);
  ys = takeOwnFloats(u64(atOnce) * length * group);
  blockRows = takeOwn(u64(rowBytes()) * group);
  scratch = takeOwnFloats(length);
  chunkSecond = takeFloats(all * chunks);
  chunkLosses = takeFloats(u64(chunks) * group * 2 * length);
  center = takeFloats(size);
  passHead = takePass();
  passMemory = takeOwn(passBytes(atOnce));
}

export function beginRowSplit(): void {
  beginWalsh();
  if (!job.projected) memory.fill(directBase, 0, 4 * atOnce * length);
  memory.fill(ys, 0, 4 * atOnce * length * group);
  for (let i: u32 = 0; i < group; i++) setWalshRow(blockRows + i * rowBytes());
  beginPoint(noiseScale);
  barrier();
}

function rowOf(i: u32): WalshRow {
  return changetype<WalshRow>(blockRows + i * rowBytes());
}

/** U of block i as drawn. */
export function blockU(i: u32): usize {
  return drawn + 4 * i * usize(noiseFloats());
}

/** s Z by classes of block i. */
export function blockZ(i: u32): usize {
  return second + 4 * i * classes() * length;
}

/** Draws the noise of blocks first … first + count − 1. Ends with a barrier. */
export function drawBlocks(first: u32, count: u32): void {
  for (let i = nextItem(count); i < count; i = nextItem(count)) {
    drawNoise(first + i, blockU(i));
    if (layout === NO_HIDDEN) continue;
    const entries = (width(1) + 1) * classes();
    const z = blockU(i) + 4 * noiseOffset(2);
    const to = blockZ(i);
    multiply(f32(noiseScale), z, entries, z);
    memory.fill(to, 0, 4 * classes() * length);
    transpose(z, width(1) + 1, classes(), classes(), to, length);
  }
  endItems(count);
}

/** Row b of D1 from a group's blocks: its sum over them times scale, added to `c` (length). */
function firstLayerRow(count: u32, variance: f32, scale: f32, c: usize): void {
  const inverse = set(1 / variance);
  const ridge = set(FIRST_RIDGE * variance);
  const factor = set(scale);
  // y is zero past w1
  for (let at: usize = 0; at < 4 * width(1); at += 16) {
    let products = set(0);
    let squares = set(0);
    let total = set(0);
    for (let i: u32 = 0; i < count; i++) {
      const y = v128.load(rowOf(i).y + at);
      products = fma(y, v128.load(rowOf(i).means + at), products);
      squares = fma(y, y, squares);
    }
    for (let i: u32 = 0; i < count; i++) {
      const y = v128.load(rowOf(i).y + at);
      const product = f32x4.mul(y, v128.load(rowOf(i).means + at));
      const square = f32x4.mul(y, y);
      let share = f32x4.mul(product, inverse);
      if (count > 1) {
        const others = f32x4.add(f32x4.sub(squares, square), ridge);
        const kappa = f32x4.div(f32x4.sub(products, product), others);
        share = f32x4.sub(share, f32x4.mul(kappa, f32x4.sub(f32x4.mul(square, inverse), set(1))));
      }
      total = f32x4.add(total, share);
    }
    v128.store(c + at, fma(factor, total, v128.load(c + at)));
  }
}

/** out ← ψ⁺ − ψ⁻ of one block and class; returns Σ (ψ⁺ + ψ⁻). */
function psi(row: WalshRow, c: u32, slope: f32, level: f32, out: usize): f32 {
  const lambda = set(slope);
  const noise = set(load<f32>(row.n + 4 * c));
  const mean = set(level);
  const flips = signs + 4 * c * length;
  const parts = row.noise + 4 * c * length;
  const half: usize = 4 * length;
  const losses = row.losses;
  const inverse = row.inverse;
  const mask = inside;
  let total = set(0);
  for (let i: usize = 0; i < half; i += 16) {
    const own = v128.load(parts + i);
    const flipped = f32x4.mul(noise, v128.load(flips + i));
    let eta = f32x4.add(own, flipped);
    let rest = f32x4.sub(f32x4.sub(v128.load(losses + i), mean), f32x4.mul(lambda, eta));
    const plus = v128.and(mask, fma(f32x4.mul(eta, rest), v128.load(inverse + i), lambda));
    eta = f32x4.sub(own, flipped);
    rest = f32x4.sub(f32x4.sub(v128.load(losses + half + i), mean), f32x4.mul(lambda, eta));
    const minus = v128.and(mask, fma(f32x4.mul(eta, rest), v128.load(inverse + half + i), lambda));
    total = f32x4.add(total, f32x4.add(plus, minus));
    v128.store(out + i, f32x4.sub(plus, minus));
  }
  return sum(total);
}

/** Row b's share of D2 from a group's blocks: its sum over them times scale, added to `to` by classes. */
function secondLayerRow(count: u32, level: f32, scale: f32, to: usize): void {
  const units = width(1);
  const factor = scale / (f32(m) * 2);
  let levels: f32 = 0;
  for (let i: u32 = 0; i < count; i++) levels += rowOf(i).mean;
  for (let c: u32 = 0; c < classes(); c++, to += 4 * length) {
    let products: f32 = 0;
    let squares: f32 = 0;
    for (let i: u32 = 0; i < count; i++) {
      const n = load<f32>(rowOf(i).n + 4 * c);
      products += n * load<f32>(rowOf(i).means + 4 * (units + c));
      squares += n * n;
    }
    for (let i: u32 = 0; i < count; i++) {
      const row = rowOf(i);
      const n = load<f32>(row.n + 4 * c);
      let slope: f32 = 0;
      if (count > 1)
        slope =
          (products - n * load<f32>(row.means + 4 * (units + c))) /
          (squares - n * n + SECOND_RIDGE * scale2 * row.own);
      const others = count > 1 ? (levels - row.mean) / f32(count - 1) : level;
      const even = set(factor * psi(row, c, slope, others, scratch));
      walsh(scratch, vectors);
      const odd = set(factor);
      const a = row.a;
      const d = row.d;
      for (let at: usize = 0; at < 16 * used; at += 16) {
        const own = fma(even, v128.load(a + at), v128.load(to + at));
        v128.store(to + at, fma(f32x4.mul(odd, v128.load(scratch + at)), v128.load(d + at), own));
      }
    }
  }
}

/** y of rows first … first + count − 1 under block i (count × length). */
function makeY(i: u32, first: u32, count: u32): void {
  const size = job.batchSize;
  const units = width(1);
  const y = ys + 4 * i * atOnce * length;
  if (job.projected) {
    const a = scaled + 4 * first * size;
    product(count, units, first + count, a, size, 1, blockU(i), units, 0, 0, y, length, FULL);
    return;
  }
  firstProduct(rows, 0, count, blockU(i), units, y, length);
  multiply(f32(noiseScale), y, count * length, y);
}

/** Rows first … first + count − 1 of a chunk under `blocks` blocks. */
function someRows(
  chunk: u32,
  first: u32,
  count: u32,
  blocks: u32,
  byRows: bool,
  perRow: f32,
  coefficients: usize,
): void {
  if (!job.projected) {
    loadRows(rows, 0, first, count);
    firstProduct(rows, 0, count, job.parameters, width(1), directBase, length);
  }
  const at = job.projected ? first : 0;
  const ax = job.projected ? base + 4 * first * length : directBase;
  for (let i: u32 = 0; i < blocks; i++) makeY(i, first, count);
  const losses = chunkLosses + 8 * chunk * group * length;
  for (let r: u32 = 0; r < count; r++) {
    const label: u32 = load<u16>(rows.labels + 2 * (at + r));
    for (let i: u32 = 0; i < blocks; i++) {
      const row = rowOf(i);
      walshRow(row, ax + 4 * r * length, ys + 4 * (i * atOnce + r) * length, blockZ(i), label);
      const to = losses + 8 * i * length;
      addScaled(to, 1, row.losses, 2 * length, to);
      if (byRows) signMean(row.losses, row.means);
    }
    if (!byRows) continue;
    const variance = scale2 * rowNorm(rows, at + r, first + r);
    firstLayerRow(blocks, variance, perRow, coefficients + 4 * (first + r) * length);
    if (layout === ROW_SPLIT)
      secondLayerRow(
        blocks,
        load<f32>(center + 4 * (first + r)),
        perRow,
        chunkSecond + 4 * chunk * classes() * length,
      );
  }
}

/**
 * All rows under `blocks` blocks whose noise is drawn: each chunk's sums, and C (B × length) where by rows, both times
 * scale/B. Ends with a barrier.
 */
export function walshRows(blocks: u32, scale: f64, coefficients: usize): void {
  const size = job.batchSize;
  const byRows = job.rowwise !== 0;
  const perRow = f32(scale / f64(size));
  for (let chunk = nextItem(chunks); chunk < chunks; chunk = nextItem(chunks)) {
    memory.fill(chunkSecond + 4 * chunk * classes() * length, 0, 4 * classes() * length);
    memory.fill(chunkLosses + 8 * chunk * group * length, 0, 8 * blocks * length);
    const end = u32((u64(size) * (chunk + 1)) / chunks);
    for (let first = u32((u64(size) * chunk) / chunks); first < end; first += atOnce) {
      if (cancelled()) break;
      someRows(chunk, first, least(atOnce, end - first), blocks, byRows, perRow, coefficients);
    }
  }
  endItems(chunks);
}

/** Chunks' D2 in order added to `to` (classes × length): this thread's classes. */
export function addSecond(to: usize): void {
  const row = 4 * length;
  const begin = shareBegin(classes(), 1);
  const count = (shareEnd(classes(), 1) - begin) * length;
  to += begin * row;
  for (let c: u32 = 0; c < chunks; c++)
    addScaled(to, 1, chunkSecond + (c * classes() + begin) * row, count, to);
}

/** f of the batch for a group's samples (blocks × 2 × length) from its chunks, in order. Ends with a barrier. */
export function batchLosses(blocks: u32, out: usize): void {
  const floats = blocks * 2 * length;
  const mean = set(f32(1 / f64(job.batchSize)));
  const end: usize = 4 * shareEnd(floats, LANES);
  for (let at: usize = 4 * shareBegin(floats, LANES); at < end; at += 16) {
    let total = set(0);
    for (let c: u32 = 0; c < chunks; c++)
      total = f32x4.add(total, v128.load(chunkLosses + 8 * c * group * length + at));
    v128.store(out + at, f32x4.mul(mean, total));
  }
  barrier();
}

/** Each row's loss at x. Ends with a barrier. */
export function walshCenter(): void {
  const size = job.batchSize;
  const row = stride(1);
  const pass = setPass(passHead, passMemory, atOnce, true);
  const end = shareEnd(size, atOnce);
  for (let first = shareBegin(size, atOnce); first < end; first += atOnce) {
    const count = least(atOnce, end - first);
    const at = job.projected ? first : 0;
    if (job.projected) {
      for (let r: u32 = 0; r < count; r++)
        memory.copy(signal(pass, 1) + 4 * r * row, base + 4 * (first + r) * length, 4 * width(1));
    } else {
      loadRows(rows, 0, first, count);
      firstProduct(rows, 0, count, job.parameters, width(1), signal(pass, 1), row);
    }
    forward(job.parameters + 4 * layerOffset(2), pass, 0, count);
    rowLosses(rows.labels + 2 * at, pass, 0, count, 0);
    memory.copy(center + 4 * first, pass.rowLoss, 4 * count);
  }
  barrier();
}
