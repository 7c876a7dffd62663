/**
 * Independent samples and antithetic pairs, any depth: their losses, and the gradient that multiples of their noise and,
 * by rows, of the first-order part make: what importance sampling and evolution strategies share.
 *
 *   gradient = α H + factor · Σ_j v_j Z_j, H the first-order part (row-split.ts), v_j the samples' factors
 *
 * Two passes: losses and H, then Σ v Z with the noise made again, so memory does not grow with J but for the losses. A
 * unit u is a sample or a pair; its share of the gradient is α H_u + β_u Z_u.
 *
 * Symbols: J samples, B rows, d1 = `columns` of the first layer, C (B × d1) coefficients: Aᵀ C is the first layer of H.
 * Projected, Z_1 is Q U, and |Aᵀ C + β Q U| = |Lᵀ C + β U|.
 */
import { product, UPPER } from "../linear/product";
import { noiseCount, noiseFloats, noiseOffset, noiseSize, sampleGroups } from "../linear/projection";
import {
  job,
  layerOffset,
  layerRows,
  noiseScale,
  parameterCount,
  tailSize,
  thread,
  width,
} from "../machine/context";
import { ANTITHETIC } from "../machine/job";
import { addScaled, multiply, squaredLength } from "../machine/lanes";
import { barrier, cancelled, endItems, nextItem, shareBegin, shareEnd, stopped } from "../machine/team";
import { take, takeFloats, takeOwnFloats } from "../machine/workspace";
import { stride } from "../network/dense";
import { lossMinus, lossPlus, prepareRows, rowwiseLosses, takeRowSplit } from "./row-split";
import {
  beginSampler,
  drawUnit,
  noise,
  projectedShift,
  sampleLoss,
  scaled,
  shift,
  takeSampler,
  writeFirstLayer,
} from "./sampled-point";

export let pair: bool = false;
export let units: u32 = 0;
let groups: u32 = 0;
/** Losses, then v (J f64); what one thread says to all: α and the factor of v. */
export let sampleValues: usize = 0;
let scales: usize = 0;
/** H of each group: C (groups × B × stride), tail (groups × tailSize); of Z (groups × noise). */
let groupC: usize = 0;
let groupTail: usize = 0;
let groupNoise: usize = 0;
let squares: usize = 0;
/** A unit's C, tail, direct: Aᵀ C; projected: Lᵀ C. */
let unitC: usize = 0;
let unitTail: usize = 0;
let unitFirst: usize = 0;
let coefficients: usize = 0;

export function takeSamples(): void {
  pair = job.coupling === ANTITHETIC;
  units = pair ? job.samples / 2 : job.samples;
  takeSampler();
  const size = u64(job.batchSize) * stride(1);
  const tail = tailSize();
  const floats = noiseFloats();
  groups = sampleGroups(units, floats + (job.rowwise ? size + tail : 0), 32);
  sampleValues = take(8 * u64(job.samples));
  scales = take(16);
  groupNoise = takeFloats(groups * floats);
  squares = take(8 * groups);
  coefficients = takeFloats(size);
  if (!job.rowwise) return;
  takeRowSplit();
  groupC = takeFloats(groups * size);
  groupTail = takeFloats(u64(groups) * tail);
  unitC = takeOwnFloats(size);
  unitTail = takeOwnFloats(tail);
  unitFirst = takeOwnFloats(u64(job.projected ? job.batchSize : layerRows(1)) * width(1));
}

/** Losses of the unit in hand into `sampleValues`, and its share of H into its group's sums. */
function unitLosses(unit: u32, group: u32): void {
  let plus: f64 = 0;
  let minus: f64 = 0;
  if (job.rowwise) {
    const c = groupC + 4 * group * job.batchSize * stride(1);
    rowwiseLosses(c, groupTail + 4 * group * tailSize(), 0);
    plus = lossPlus;
    minus = lossMinus;
  } else {
    if (job.projected) projectedShift(0, shift);
    plus = sampleLoss(noiseScale);
    if (pair) minus = sampleLoss(-noiseScale);
  }
  if (!pair) {
    store<f64>(sampleValues + 8 * unit, plus);
    return;
  }
  store<f64>(sampleValues + 16 * unit, plus);
  store<f64>(sampleValues + 16 * unit, minus, 8);
}

function firstUnit(group: u32): u32 {
  return u32((u64(units) * group) / groups);
}

/** sums (groups × size) → their sum in the first. Ends with a barrier. */
function mergeGroups(sums: usize, size: u32): void {
  const begin = shareBegin(size, 64);
  const count = shareEnd(size, 64) - begin;
  const to = sums + 4 * begin;
  for (let g: u32 = 1; g < groups; g++) addScaled(to, 1, sums + 4 * (g * size + begin), count, to);
  barrier();
}

/**
 * The first pass: every sample's loss into `sampleValues` and job.losses, their mean into job.loss; by rows H. Whether
 * nobody cancelled it. Thread 0 has all of it, the others at the next barrier.
 */
export function sampleLosses(): bool {
  beginSampler(noiseScale);
  if (job.rowwise) prepareRows();
  const size = job.batchSize * stride(1);
  for (let g = nextItem(groups); g < groups; g = nextItem(groups)) {
    if (job.rowwise) {
      memory.fill(groupC + 4 * g * size, 0, 4 * size);
      memory.fill(groupTail + 4 * g * tailSize(), 0, 4 * tailSize());
    }
    for (let unit = firstUnit(g); unit < firstUnit(g + 1); unit++) {
      if (cancelled()) break;
      drawUnit(unit);
      unitLosses(unit, g);
    }
  }
  endItems(groups);
  if (stopped()) return false;
  if (job.rowwise) {
    mergeGroups(groupC, size);
    mergeGroups(groupTail, tailSize());
  }
  if (thread === 0) meanLoss();
  return true;
}

/** By one thread. */
function meanLoss(): void {
  const samples = job.samples;
  let mean: f64 = 0;
  for (let j: u32 = 0; j < samples; j++) {
    const loss = load<f64>(sampleValues + 8 * j);
    mean += loss / f64(samples);
    if (job.losses !== 0) store<f32>(job.losses + 4 * j, f32(loss));
  }
  job.loss = mean;
}

/** α and the factor of v; from the thread that makes `sampleValues` v. */
export function setSampleScales(alpha: f64, factor: f64): void {
  store<f64>(scales, alpha);
  store<f64>(scales, factor, 8);
}

/** |α H_u + β Z_u|² of the unit in hand. */
function unitSquare(alpha: f32, beta: f32): f64 {
  if (!job.rowwise) return f64(beta) * f64(beta) * squaredLength(noise, noiseSize());
  const size = job.batchSize;
  memory.fill(unitC, 0, 4 * size * stride(1));
  memory.fill(unitTail, 0, 4 * tailSize());
  rowwiseLosses(unitC, unitTail, job.projected ? 0 : unitFirst);
  let factor = alpha;
  if (job.projected) {
    product(size, width(1), size, scaled, 1, size, unitC, stride(1), 0, 0, unitFirst, width(1), UPPER); // (s L)ᵀ C
    factor /= f32(noiseScale);
  }
  let squaresOf: f64 = 0;
  let tail = unitTail;
  for (let l: u32 = 1; l <= job.depth; l++) {
    const count = noiseCount(l);
    const z = noise + 4 * noiseOffset(l);
    multiply(beta, z, count, z);
    addScaled(z, l === 1 ? factor : alpha, l === 1 ? unitFirst : tail, count, z);
    squaresOf += squaredLength(z, count);
    if (l > 1) tail += 4 * count;
  }
  return squaresOf;
}

function betaOf(unit: u32, factor: f64): f64 {
  if (!pair) return factor * load<f64>(sampleValues + 8 * unit);
  return (factor * (load<f64>(sampleValues + 16 * unit) - load<f64>(sampleValues + 16 * unit, 8))) / 2;
}

/** The second pass: Σ β_u Z_u in groupNoise, and Σ |α H_u + β_u Z_u|² by groups where wanted. */
function sampleNoise(alpha: f32, factor: f64, wantsSquares: bool): void {
  const size = noiseSize();
  for (let g = nextItem(groups); g < groups; g = nextItem(groups)) {
    const to = groupNoise + 4 * g * size;
    let total: f64 = 0;
    memory.fill(to, 0, 4 * size);
    for (let unit = firstUnit(g); unit < firstUnit(g + 1); unit++) {
      if (cancelled()) break;
      const beta = f32(betaOf(unit, factor));
      drawUnit(unit);
      addScaled(to, beta, noise, size, to);
      if (wantsSquares) total += unitSquare(alpha, beta);
    }
    store<f64>(squares + 8 * g, total);
  }
  endItems(groups);
  mergeGroups(groupNoise, size);
}

/** gradient (n) ← α H + Σ β Z. */
function writeGradient(alpha: f32, leave: bool): void {
  const count = job.batchSize * stride(1);
  const begin = shareBegin(count, 1);
  const mine = shareEnd(count, 1) - begin;
  if (job.rowwise) multiply(alpha, groupC + 4 * begin, mine, coefficients + 4 * begin);
  else memory.fill(coefficients + 4 * begin, 0, 4 * mine);
  barrier();
  writeFirstLayer(coefficients, stride(1), groupNoise, 1, leave, job.gradient);
  let tail = groupTail;
  for (let l: u32 = 2; l <= job.depth; l++) {
    const first = shareBegin(noiseCount(l), 16);
    const share = shareEnd(noiseCount(l), 16) - first;
    const to = job.gradient + 4 * (layerOffset(l) + first);
    memory.copy(to, groupNoise + 4 * (noiseOffset(l) + first), 4 * share);
    if (!job.rowwise) continue;
    addScaled(to, alpha, tail + 4 * first, share, to);
    tail += 4 * noiseCount(l);
  }
}

/** job.gradient from v in `sampleValues`, and its standard error. Begins with a barrier. */
export function sampleGradient(leave: bool): void {
  barrier();
  const alpha = f32(load<f64>(scales));
  const factor = load<f64>(scales, 8);
  const wantsError = job.wantsError !== 0 && units > 1;
  if (factor !== 0 || wantsError) sampleNoise(alpha, factor, wantsError);
  else if (thread === 0) memory.fill(groupNoise, 0, 4 * noiseSize());
  barrier();
  if (stopped()) return;
  writeGradient(alpha, leave);
  barrier();
  if (thread !== 0 || !wantsError) return;
  let total: f64 = 0;
  for (let g: u32 = 0; g < groups; g++) total += load<f64>(squares + 8 * g);
  const count = f64(units); // a unit's estimate is `units` times its share
  const length2 = squaredLength(job.gradient, parameterCount());
  job.standardError = sqrt(Math.max(0, count * total - length2) / (count - 1));
}
