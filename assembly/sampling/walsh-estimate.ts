/**
 * What the sums over Walsh blocks become: losses, weights, remainder, and the gradient of local entropy or heat. The
 * formulas stand in row-split.ts.
 *
 * Symbols: J samples, w_j = e^{−(f_j − c0)/δ}, here always relative to e^top; the rest: row-split.ts.
 */

import { fma, LANES, largest, multiply, set, sum, transpose } from "../linear/lanes";
import { exp, expDouble, expRemainder, logDouble } from "../linear/math";
import { noiseCount } from "../linear/projection";
import {
  classes,
  IMPORTANCE_SAMPLING,
  job,
  layerOffset,
  noiseScale,
  parameterCount,
  tau,
  thread,
  width,
} from "../machine/job";
import { barrier, shareBegin, shareEnd, stopped } from "../machine/team";
import { take, takeFloats, takeOwnFloats } from "../machine/workspace";
import {
  addSecond,
  batchLosses,
  beginRowSplit,
  blockU,
  blockZ,
  drawBlocks,
  GROUP,
  takeRowSplit,
  walshCenter,
  walshRows,
} from "./row-split";
import { writeFirstLayer } from "./sampling";
import { inside, layout, length, m, NO_HIDDEN, signMean, used } from "./walsh";

/** f of each sample, then what multiplies its noise (K × 2 × length). */
let losses: usize = 0;
/** What the gradient is made of: Aᵀ C + scale Q R (direct: scale R), C (B × length), R = Σ_i U_i diag(E_i); by classes. */
let coefficients: usize = 0;
let first: usize = 0;
let second: usize = 0;
/** Numbers that one thread makes for all: the heat part's factor, and that of a block's mean of value · Z. */
let numbers: usize = 0;
/** A block's E, this thread's. */
let means: usize = 0;
/** Of the standard error: one block's gradient, their sum (n f64). */
let blockGradient: usize = 0;
let gradientSum: usize = 0;

function wantsError(): bool {
  return job.wantsError !== 0 && job.blocks > 1;
}

export function takeWalshEstimate(): void {
  takeRowSplit();
  losses = takeFloats(u64(job.blocks) * 2 * length);
  coefficients = takeFloats(u64(job.batchSize) * length);
  first = takeFloats(noiseCount(1));
  second = takeFloats(u64(classes()) * length);
  numbers = take(64);
  means = takeOwnFloats(length);
  if (!wantsError()) return;
  blockGradient = takeFloats(parameterCount());
  gradientSum = take(8 * u64(parameterCount()));
}

/** Zeros for a new gradient. Ends with a barrier. */
function clearGradient(): void {
  if (thread === 0) {
    memory.fill(coefficients, 0, 4 * job.batchSize * length);
    memory.fill(first, 0, 4 * noiseCount(1));
    memory.fill(second, 0, 4 * classes() * length);
  }
  barrier();
}

/** Mean and least of all losses; the log weights' statistics, and losses → ρ where by rows, else w. By one thread. */
function weigh(): void {
  const halves: u32 = 2 * job.blocks;
  const count = f64(halves * m);
  const delta = job.temperature;
  let total: f64 = 0;
  let lowest: f32 = Infinity;
  for (let h: u32 = 0; h < halves; h++) {
    let part: f32 = 0;
    for (let g: u32 = 0; g < m; g++) {
      const f = load<f32>(losses + 4 * (h * length + g));
      part += f;
      if (f < lowest) lowest = f;
    }
    total += f64(part);
  }
  const level = total / count;
  const most = -(f64(lowest) - level) / delta;
  const top = most > 20 ? most : 0; // only where a weight would leave float32's comfortable range
  const lost = set(f32(expDouble(-top)));
  const rate = set(f32(-1 / delta));
  let weight: f64 = 0;
  let weight2: f64 = 0;
  let greatest: f32 = 0;
  for (let at: usize = 0; at < 4 * halves * length; at += 16) {
    const x = f32x4.mul(rate, f32x4.sub(v128.load(losses + at), set(f32(level))));
    const w = v128.and(inside, exp(f32x4.sub(x, set(f32(top)))));
    weight += f64(sum(w));
    weight2 += f64(sum(f32x4.mul(w, w)));
    const here = largest(w);
    if (here > greatest) greatest = here;
    let value = w;
    if (job.rowwise) {
      if (top === 0) value = expRemainder(x);
      else value = f32x4.sub(w, f32x4.mul(lost, f32x4.add(set(1), x)));
    }
    v128.store(losses + at, v128.and(inside, value));
  }
  const mean = weight / count;
  job.loss = level;
  job.freeEnergy = level - delta * (top + logDouble(mean));
  job.effectiveSampleSize = (weight * weight) / weight2;
  job.largestWeight = f64(greatest) / weight;
  store<f64>(numbers, (noiseScale * noiseScale * expDouble(-top)) / (tau * mean));
  store<f64>(numbers, (-delta * noiseScale) / (tau * mean), 8);
}

/** Losses' outputs, and the factors of the gradient's two parts. By one thread. */
function makeFactors(): void {
  const halves: u32 = 2 * job.blocks;
  if (job.losses !== 0) {
    for (let h: u32 = 0; h < halves; h++) memory.copy(job.losses + 4 * h * m, losses + 4 * h * length, 4 * m);
  }
  if (job.estimator === IMPORTANCE_SAMPLING) {
    weigh();
    return;
  }
  let total: f64 = 0;
  for (let h: u32 = 0; h < halves; h++) {
    for (let g: u32 = 0; g < m; g++) total += f64(load<f32>(losses + 4 * (h * length + g)));
  }
  job.loss = total / f64(halves * m);
  store<f64>(numbers, 1);
  store<f64>(numbers, job.rowwise ? 0 : 1 / noiseScale, 8);
}

/** R += U diag(E), second += factor E Z, E from one block's values (2 × length); its noise is drawn as number i. */
function addNoiseMean(i: u32, values: usize, factor: f32): void {
  const units = width(1);
  signMean(values, means);
  const count = noiseCount(1) / units;
  for (let r = shareBegin(count, 1), end = shareEnd(count, 1); r < end; r++) {
    const u = blockU(i) + 4 * r * units;
    const to = first + 4 * r * units;
    let at: usize = 0;
    for (; at + 16 <= 4 * units; at += 16)
      v128.store(to + at, fma(v128.load(u + at), v128.load(means + at), v128.load(to + at)));
    for (; at < 4 * units; at += 4)
      store<f32>(to + at, load<f32>(to + at) + load<f32>(u + at) * load<f32>(means + at));
  }
  if (layout === NO_HIDDEN) return;
  for (let c = shareBegin(classes(), 1), end = shareEnd(classes(), 1); c < end; c++) {
    const z = blockZ(i) + 4 * c * length;
    const to = second + 4 * c * length;
    const byClass = set(job.rowwise ? factor * load<f32>(means + 4 * (units + c)) : factor);
    for (let at: usize = 0; at < 16 * used; at += 16) {
      let value = v128.load(z + at);
      if (!job.rowwise) value = f32x4.mul(value, v128.load(means + at));
      v128.store(to + at, fma(byClass, value, v128.load(to + at)));
    }
  }
}

/** gradient (n) ← the first layer, and the second matrix. Ends with a barrier. */
function writeGradient(factor: f64, leave: bool, gradient: usize): void {
  barrier();
  writeFirstLayer(coefficients, length, factor === 0 ? 0 : first, factor, leave, gradient);
  if (layout !== NO_HIDDEN) {
    const begin = shareBegin(classes(), 1);
    const to = gradient + 4 * (layerOffset(2) + begin);
    transpose(
      second + 4 * begin * length,
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
 * √(Σ_i |g_i − mean|²/(K (K − 1))) over the blocks' own estimates, without cross-fit: `heat` times the heat part, `factor`
 * times the noise's mean.
 */
function standardError(heat: f64, factor: f64): void {
  const n = parameterCount();
  let squares: f64 = 0;
  if (job.rowwise) walshCenter();
  if (thread === 0) memory.fill(gradientSum, 0, 8 * n);
  for (let i: u32 = 0; i < job.blocks; i++) {
    clearGradient();
    drawBlocks(i, 1);
    if (job.rowwise) {
      walshRows(1, heat, coefficients);
      if (stopped()) return;
      addSecond(second);
    }
    if (factor !== 0) addNoiseMean(0, losses + 8 * i * length, f32(factor / noiseScale));
    writeGradient(factor, false, blockGradient);
    if (thread === 0) squares += addGradient(n);
  }
  if (thread !== 0) return;
  const blocks = f64(job.blocks);
  let ofMean: f64 = 0;
  for (let i: u32 = 0; i < n; i++)
    ofMean += (load<f64>(gradientSum + 8 * i) * load<f64>(gradientSum + 8 * i)) / blocks;
  job.standardError = sqrt(Math.max(0, squares - ofMean) / (blocks * (blocks - 1)));
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

/** The heat part times its factor: this thread's share. */
function scaleHeat(heat: f32): void {
  const size = job.batchSize * length;
  let begin = shareBegin(size, LANES);
  multiply(heat, coefficients + 4 * begin, shareEnd(size, LANES) - begin, coefficients + 4 * begin);
  begin = shareBegin(classes(), 1) * length; // as addSecond and addNoiseMean share it
  multiply(heat, second + 4 * begin, shareEnd(classes(), 1) * length - begin, second + 4 * begin);
}

/** Importance sampling or evolution strategies with Walsh blocks, at most one hidden layer. */
export function walshEstimate(leave: bool): void {
  const blocks = job.blocks;
  const groups = (blocks + GROUP - 1) / GROUP;
  beginRowSplit();
  clearGradient();
  for (let group: u32 = 0; group < groups; group++) {
    const begin = u32((u64(blocks) * group) / groups);
    const count = u32((u64(blocks) * (group + 1)) / groups) - begin;
    if (job.rowwise && count === 1) walshCenter();
    drawBlocks(begin, count);
    walshRows(count, 1 / f64(blocks), coefficients);
    if (stopped()) return;
    if (job.rowwise) addSecond(second);
    batchLosses(count, losses + 8 * begin * length);
  }
  if (thread === 0) makeFactors();
  barrier();
  const heat = load<f64>(numbers);
  const factor = load<f64>(numbers, 8);
  if (job.rowwise && job.estimator === IMPORTANCE_SAMPLING) scaleHeat(f32(heat));
  if (factor !== 0) {
    for (let i: u32 = 0; i < blocks; i++) {
      if (groups > 1) drawBlocks(i, 1);
      addNoiseMean(groups > 1 ? 0 : i, losses + 8 * i * length, f32(factor / noiseScale / f64(blocks)));
      if (groups > 1) barrier(); // the next block's noise takes this one's place
    }
  }
  writeGradient(factor / f64(blocks), leave, job.gradient);
  if (wantsError()) standardError(heat, factor);
}
