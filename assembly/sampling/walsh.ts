/**
 * Walsh coupling: losses of K blocks of 2m samples, and the gradient of multiples of noise and, by rows, first-order part.
 *
 *   gradient = α (Aᵀ D1, D2) + factor · mean of v Z/s, v the samples' factors
 *   Mean over a block of v Z: U diag(E), with E = WHT(v⁺ − v⁻)/2m, and Z_hc E_{d1+c} (by rows) or Z_hc E_h.
 *
 * Symbols: K blocks i in groups of at most 8, C (B × w1) of the first layer's Aᵀ C; D1, D2 and more: row-split-walsh.ts.
 */
import { FULL, product } from "../linear/product";
import { drawNoise, noiseCount, noiseFloats, noiseOffset } from "../linear/projection";
import { classes, job, layerOffset, noiseScale, parameterCount, thread, width } from "../machine/context";
import { BLOCKS_IN_GROUP } from "../machine/job";
import { addScaled, fma, LANES, least, multiply, set, transpose } from "../machine/lanes";
import { barrier, cancelled, endItems, nextItem, shareBegin, shareEnd, stopped } from "../machine/team";
import { take, takeFloats, takeOwnFloats } from "../machine/workspace";
import { firstProduct, loadRows, ROW_BLOCK } from "../network/rows";
import { firstLayerRow, secondLayerRow, takeRowSplitWalsh, walshCenter } from "./row-split-walsh";
import { base, beginPoint, rowNorm, rows, scaled, takePoint, writeFirstLayer } from "./sampled-point";
import { walshRow } from "./walsh-losses";
import {
  beginWalshRows,
  layout,
  length,
  m,
  NO_HIDDEN,
  ROW_SPLIT,
  rowOf,
  scale2,
  signMean,
  takeWalshRows,
  used,
} from "./walsh-row";

/** Rows summed by one thread in order, so that threads change no bit. */
const ROW_CHUNKS: u32 = 16;

/** K, and how many of them have memory for their noise at a time. */
export let blocks: u32 = 0;
let group: u32 = 0;
/** Number of the first block whose noise is drawn. */
let firstDrawn: u32 = 0;
let chunks: u32 = 0;
/** Rows of a chunk that are worked off at a time. */
let atOnce: u32 = 0;
/** Each block's normals as drawn (U first), and s Z by classes (classes × length, bias at place w1). */
let drawn: usize = 0;
let upper: usize = 0;
/** This thread's: A x and y (atOnce × length, y of each block). */
let directBase: usize = 0;
let ys: usize = 0;
/** Each chunk's sums over its rows: D2 by classes (classes × length; a block each where apart), f (group × 2 × length). */
let chunkSecond: usize = 0;
let chunkLosses: usize = 0;
/** f of each sample, then what multiplies its noise (K × 2 × length). */
export let blockValues: usize = 0;
/** What the gradient is made of: Aᵀ C + factor Q R (direct: factor R), C (B × length), R = Σ_i U_i diag(E_i); by classes. */
let coefficients: usize = 0;
let firstSum: usize = 0;
let secondSum: usize = 0;
/** What one thread says to all: α and `factor`. */
let scales: usize = 0;
/** A block's E, this thread's. */
let means: usize = 0;
/** Of the standard error: one block's gradient, their sum (n f64); by rows each block's C (group × B × length). */
let blockGradient: usize = 0;
let gradientSum: usize = 0;
let blockCoefficients: usize = 0;

function wantsError(): bool {
  return job.wantsError !== 0 && blocks > 1;
}

export function takeWalsh(): void {
  const size = job.batchSize;
  blocks = job.blocks;
  group = least(blocks, BLOCKS_IN_GROUP);
  chunks = least(size, ROW_CHUNKS);
  atOnce = least((size + chunks - 1) / chunks, ROW_BLOCK);
  takeWalshRows(group);
  takePoint(job.projected !== 0, atOnce, length);
  if (job.rowwise) takeRowSplitWalsh(atOnce);
  const all = u64(classes()) * length;
  drawn = takeFloats(noiseFloats() * group);
  upper = takeFloats(all * group);
  if (!job.projected) directBase = takeOwnFloats(u64(atOnce) * length);
  ys = takeOwnFloats(u64(atOnce) * length * group);
  if (job.rowwise) chunkSecond = takeFloats(all * chunks * (wantsError() ? group : 1));
  chunkLosses = takeFloats(u64(chunks) * group * 2 * length);
  blockValues = takeFloats(u64(blocks) * 2 * length);
  coefficients = takeFloats(u64(size) * length);
  firstSum = takeFloats(noiseCount(1));
  secondSum = takeFloats(all);
  scales = take(16);
  means = takeOwnFloats(length);
  if (!wantsError()) return;
  blockGradient = takeFloats(parameterCount());
  gradientSum = take(8 * u64(parameterCount()));
  if (job.rowwise) blockCoefficients = takeFloats(u64(size) * length * group);
}

function beginWalsh(): void {
  beginWalshRows();
  if (!job.projected) memory.fill(directBase, 0, 4 * atOnce * length);
  memory.fill(ys, 0, 4 * atOnce * length * group);
  beginPoint(noiseScale);
  barrier();
}

/** U of block i as drawn. */
function blockU(i: u32): usize {
  return drawn + 4 * i * usize(noiseFloats());
}

/** s Z by classes of block i. */
function blockZ(i: u32): usize {
  return upper + 4 * i * classes() * length;
}

/** Draws the noise of blocks first … first + count − 1. Ends with a barrier. */
function drawBlocks(first: u32, count: u32): void {
  firstDrawn = first;
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

/** Rows first … first + count − 1 of a chunk under the `atHand` blocks whose noise is drawn. */
function someRows(
  chunk: u32,
  first: u32,
  count: u32,
  atHand: u32,
  byRows: bool,
  apart: bool,
  perRow: f32,
  coefficients: usize,
): void {
  const wanted: u32 = apart ? atHand : 1;
  if (!job.projected) {
    loadRows(rows, 0, first, count);
    firstProduct(rows, 0, count, job.parameters, width(1), directBase, length);
  }
  const at = job.projected ? first : 0;
  const ax = job.projected ? base + 4 * first * length : directBase;
  for (let i: u32 = 0; i < atHand; i++) makeY(i, first, count);
  const losses = chunkLosses + 8 * chunk * group * length;
  for (let r: u32 = 0; r < count; r++) {
    for (let i: u32 = 0; i < atHand; i++) {
      const row = rowOf(i);
      walshRow(
        row,
        ax + 4 * r * length,
        ys + 4 * (i * atOnce + r) * length,
        blockZ(i),
        rows,
        at + r,
        firstDrawn + i,
      );
      const to = losses + 8 * i * length;
      addScaled(to, 1, row.losses, 2 * length, to);
      if (byRows) signMean(row.losses, row.means);
    }
    if (!byRows) continue;
    const variance = scale2 * rowNorm(rows, at + r, first + r);
    for (let k: u32 = 0; k < wanted; k++) {
      const last = apart ? k + 1 : atHand;
      const c = coefficients + 4 * (k * job.batchSize + first + r) * length;
      firstLayerRow(atHand, k, last, variance, perRow, c);
      if (layout === ROW_SPLIT)
        secondLayerRow(first + r, atHand, k, last, perRow, secondOf(chunk * wanted + k));
    }
  }
}

/** D2 number `at` of the chunks'. */
function secondOf(at: u32): usize {
  return chunkSecond + 4 * at * classes() * length;
}

/** All rows under the blocks at hand: chunks' sums and, by rows, C, times scale/B; `apart`: D2 and C a block each. Barrier. */
function someBlocks(atHand: u32, apart: bool, scale: f64, coefficients: usize): void {
  const size = job.batchSize;
  const wanted: u32 = apart ? atHand : 1;
  const byRows = job.rowwise !== 0;
  const perRow = f32(scale / f64(size));
  for (let chunk = nextItem(chunks); chunk < chunks; chunk = nextItem(chunks)) {
    if (byRows) memory.fill(secondOf(chunk * wanted), 0, 4 * wanted * classes() * length);
    memory.fill(chunkLosses + 8 * chunk * group * length, 0, 8 * atHand * length);
    const end = u32((u64(size) * (chunk + 1)) / chunks);
    for (let first = u32((u64(size) * chunk) / chunks); first < end; first += atOnce) {
      if (cancelled()) break;
      someRows(chunk, first, least(atOnce, end - first), atHand, byRows, apart, perRow, coefficients);
    }
  }
  endItems(chunks);
}

/** Chunks' D2 in order, number k of `wanted` each, added to `to` (classes × length): this thread's classes. */
function addSecond(k: u32, wanted: u32, to: usize): void {
  const row = 4 * length;
  const begin = shareBegin(classes(), 1);
  const count = (shareEnd(classes(), 1) - begin) * length;
  to += begin * row;
  for (let c: u32 = 0; c < chunks; c++) addScaled(to, 1, secondOf(c * wanted + k) + begin * row, count, to);
}

/** f of the batch for a group's samples (atHand × 2 × length) from its chunks, in order. Ends with a barrier. */
function batchLosses(atHand: u32, out: usize): void {
  const floats = atHand * 2 * length;
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

/** Zeros for a new gradient. Ends with a barrier. */
function clearGradient(): void {
  if (thread === 0) {
    memory.fill(coefficients, 0, 4 * job.batchSize * length);
    memory.fill(firstSum, 0, 4 * noiseCount(1));
    memory.fill(secondSum, 0, 4 * classes() * length);
  }
  barrier();
}

/** R += U diag(E), secondSum += factor E Z, E from one block's values (2 × length); its noise is drawn as number i. */
function addNoiseMean(i: u32, values: usize, factor: f32): void {
  const units = width(1);
  signMean(values, means);
  const count = noiseCount(1) / units;
  for (let r = shareBegin(count, 1), end = shareEnd(count, 1); r < end; r++) {
    const u = blockU(i) + 4 * r * units;
    const to = firstSum + 4 * r * units;
    let at: usize = 0;
    for (; at + 16 <= 4 * units; at += 16)
      v128.store(to + at, fma(v128.load(u + at), v128.load(means + at), v128.load(to + at)));
    for (; at < 4 * units; at += 4)
      store<f32>(to + at, load<f32>(to + at) + load<f32>(u + at) * load<f32>(means + at));
  }
  if (layout === NO_HIDDEN) return;
  for (let c = shareBegin(classes(), 1), end = shareEnd(classes(), 1); c < end; c++) {
    const z = blockZ(i) + 4 * c * length;
    const to = secondSum + 4 * c * length;
    const byClass = set(job.rowwise ? factor * load<f32>(means + 4 * (units + c)) : factor);
    for (let at: usize = 0; at < 16 * used; at += 16) {
      let value = v128.load(z + at);
      if (!job.rowwise) value = f32x4.mul(value, v128.load(means + at));
      v128.store(to + at, fma(byClass, value, v128.load(to + at)));
    }
  }
}

/** gradient (n) ← the first layer, Aᵀ c + factor R, and the second matrix. Begins and ends with a barrier. */
function writeGradient(c: usize, factor: f64, leave: bool, gradient: usize): void {
  barrier();
  writeFirstLayer(c, length, factor === 0 ? 0 : firstSum, factor, leave, gradient);
  if (layout !== NO_HIDDEN) {
    const begin = shareBegin(classes(), 1);
    const to = gradient + 4 * (layerOffset(2) + begin);
    transpose(
      secondSum + 4 * begin * length,
      shareEnd(classes(), 1) - begin,
      width(1) + 1,
      length,
      to,
      classes(),
    );
  }
  barrier();
}

/**
 * √(Σ_i |g_i − mean|²/(K (K − 1))) over the blocks' own parts g_i of the estimate, their slopes from the group's others:
 * `alpha` times the first-order part, `factor` times the noise's mean. Parts made without the others' slopes would vary far
 * more than the estimate does.
 */
function standardError(alpha: f64, factor: f64): void {
  const n = parameterCount();
  const groups = (blocks + BLOCKS_IN_GROUP - 1) / BLOCKS_IN_GROUP;
  let squares: f64 = 0;
  if (thread === 0) memory.fill(gradientSum, 0, 8 * n);
  for (let g: u32 = 0; g < groups; g++) {
    const start = u32((u64(blocks) * g) / groups);
    const count = u32((u64(blocks) * (g + 1)) / groups) - start;
    if (groups > 1) drawBlocks(start, count);
    if (job.rowwise) {
      if (thread === 0) memory.fill(blockCoefficients, 0, 4 * count * job.batchSize * length);
      barrier();
      someBlocks(count, true, alpha, blockCoefficients);
      if (stopped()) return;
    }
    for (let i: u32 = 0; i < count; i++) {
      clearGradient();
      if (job.rowwise) addSecond(i, count, secondSum);
      if (factor !== 0) addNoiseMean(i, blockValues + 8 * (start + i) * length, f32(factor / noiseScale));
      const c = job.rowwise ? blockCoefficients + 4 * i * job.batchSize * length : coefficients;
      writeGradient(c, factor, false, blockGradient);
      if (thread === 0) squares += addGradient(n);
    }
  }
  if (thread !== 0) return;
  const count = f64(blocks);
  let ofMean: f64 = 0;
  for (let i: u32 = 0; i < n; i++)
    ofMean += (load<f64>(gradientSum + 8 * i) * load<f64>(gradientSum + 8 * i)) / count;
  job.standardError = sqrt(Math.max(0, squares - ofMean) / (count * (count - 1)));
}

/** Adds a block's gradient to their sum; returns its |·|². */
function addGradient(n: u32): f64 {
  let squares: f64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const g = f64(load<f32>(blockGradient + 4 * i));
    store<f64>(gradientSum + 8 * i, load<f64>(gradientSum + 8 * i) + g);
    squares += g * g;
  }
  return squares;
}

/** The first-order part times α: this thread's share. */
function scaleFirstOrder(alpha: f32): void {
  const size = job.batchSize * length;
  let begin = shareBegin(size, LANES);
  multiply(alpha, coefficients + 4 * begin, shareEnd(size, LANES) - begin, coefficients + 4 * begin);
  begin = shareBegin(classes(), 1) * length; // as addSecond and addNoiseMean share it
  multiply(alpha, secondSum + 4 * begin, shareEnd(classes(), 1) * length - begin, secondSum + 4 * begin);
}

/** All blocks' losses into `blockValues` and job.losses; by rows the first-order part. Whether nobody cancelled it. */
export function walshLosses(): bool {
  const groups = (blocks + BLOCKS_IN_GROUP - 1) / BLOCKS_IN_GROUP;
  beginWalsh();
  clearGradient();
  for (let g: u32 = 0; g < groups; g++) {
    const start = u32((u64(blocks) * g) / groups);
    const count = u32((u64(blocks) * (g + 1)) / groups) - start;
    if (job.rowwise && count === 1) walshCenter();
    drawBlocks(start, count);
    someBlocks(count, false, 1 / f64(blocks), coefficients);
    if (stopped()) return false;
    if (job.rowwise) addSecond(0, 1, secondSum);
    batchLosses(count, blockValues + 8 * start * length);
  }
  if (thread === 0 && job.losses !== 0) {
    for (let h: u32 = 0; h < 2 * blocks; h++)
      memory.copy(job.losses + 4 * h * m, blockValues + 4 * h * length, 4 * m);
  }
  return true;
}

/** What the first-order part and the noise's mean are multiplied by; from the thread that makes `blockValues` factors. */
export function setWalshScales(alpha: f64, factor: f64): void {
  store<f64>(scales, alpha);
  store<f64>(scales, factor, 8);
}

/** job.gradient from the samples' factors in `blockValues`, and its standard error. Begins with a barrier. */
export function walshGradient(leave: bool): void {
  barrier();
  const alpha = load<f64>(scales);
  const factor = load<f64>(scales, 8);
  if (job.rowwise && alpha !== 1) scaleFirstOrder(f32(alpha));
  if (factor !== 0) {
    const together = blocks <= BLOCKS_IN_GROUP;
    for (let i: u32 = 0; i < blocks; i++) {
      if (!together) drawBlocks(i, 1);
      addNoiseMean(together ? i : 0, blockValues + 8 * i * length, f32(factor / noiseScale / f64(blocks)));
      if (!together) barrier(); // the next block's noise takes this one's place
    }
  }
  writeGradient(coefficients, factor / f64(blocks), leave, job.gradient);
  if (wantsError()) standardError(alpha, factor);
}
