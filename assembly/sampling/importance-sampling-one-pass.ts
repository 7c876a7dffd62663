/**
 * Importance sampling by independent samples and antithetic pairs from their losses alone, in one pass: a sample's noise is
 * weighed as soon as its loss is known (Algorithm 4, eq. 16 of García Trillos, Kaplan, Sanz-Alonso, Entropy 2019).
 *
 *     w_j = e^{−f(x + s Z_j)/δ},  gradient = −(δ s/τ) Σ_j w_j Z_j/Σ w
 *     centred:    Σ_j (w_j − mean w) Z_j/((J − 1) mean w) in place of the quotient
 *     antithetic: pair p is x ± s Z_p, Σ_p (w₊ − w₋) Z_p/Σ w
 *     projected:  Z is (U, later layers); the first layer's gradient is mapped back by Aᵀ L^{−T}, and where the complement
 *                 is sampled it is drawn once, with variance Σ w²/(Σ w)².
 *
 * Symbols: J samples, s the perturbation's scale, δ temperature, B rows, d1 columns. A unit is a sample, or an antithetic
 * pair. Weights are summed by streaming log-sum-exp, so memory does not grow with J.
 */

import { expDouble, expm1Double, logDouble } from "../linear/math";
import {
  noiseCount,
  noiseFloats,
  noiseOffset,
  noiseSize,
  projectionRank,
  sampleGroups,
} from "../linear/projection";
import { job, layerOffset, layerRows, noiseScale, tau, thread, update, width } from "../machine/context";
import { ANTITHETIC, STREAM_COMPLEMENT } from "../machine/job";
import { fma, LANES, least, multiply, set, sum } from "../machine/lanes";
import { barrier, cancelled, endItems, nextItem, shareBegin, shareEnd, stopped } from "../machine/team";
import { take, takeFloats, takeOwnFloats } from "../machine/workspace";
import { stride } from "../network/dense";
import { gaussianGroups } from "../random/gaussian";
import {
  beginSampler,
  drawUnit,
  fromSpan,
  noise,
  projectedShift,
  sampleLoss,
  shift,
  takeSampler,
  takeSpan,
  writeFirstLayer,
} from "./sampled-point";

/** Sums over one group's units, weights relative to e^top; then over all. */
@unmanaged
class WeightSums {
  /** Largest log weight so far. */
  top: f64;
  weight: f64;
  weight2: f64;
  loss: f64;
  /** Σ c²|Z|², Σ c|Z|², Σ |Z|² for the standard error: c = w, or w₊ − w₋ of a pair. */
  square: f64;
  linear: f64;
  plain: f64;
  spare: f64;
}
const SUMS_BYTES: u32 = 64;

let pair: bool = false;
let centred: bool = false;
let units: u32 = 0;
let groups: u32 = 0;
let sums: usize = 0;
/** Σ c Z of each group, or Σ (w − 1) Z where centred, which keeps the digits of equal weights; and then Σ Z. */
let weighted: usize = 0;
let plain: usize = 0;
let total: usize = 0;
let all: WeightSums = changetype<WeightSums>(0);
let coefficients: usize = 0;
let inSpan: usize = 0;
let normals: usize = 0;

function samplesComplement(): bool {
  return job.projected !== 0 && !pair && job.sampleComplement !== 0;
}

export function takeOnePass(): void {
  pair = job.coupling === ANTITHETIC;
  centred = !pair && job.centred !== 0;
  units = pair ? job.samples / 2 : job.samples;
  const size = noiseFloats();
  takeSampler();
  groups = sampleGroups(units, centred ? 2 * size : size, 32);
  sums = take(SUMS_BYTES * (groups + 1));
  weighted = takeFloats(groups * size);
  if (centred) plain = takeFloats(groups * size);
  total = takeFloats(size);
  if (!job.projected) return;
  coefficients = takeFloats(u64(job.batchSize) * stride(1));
  if (!samplesComplement()) return;
  takeSpan();
  inSpan = take(8 * u64(job.batchSize) * width(1));
  normals = takeOwnFloats(64);
}

/** Everything of a group relative to e^top from now on. (w − 1) becomes r w − 1 = r (w − 1) + (r − 1). */
function raiseTop(s: WeightSums, top: f64, size: u32, z: usize, unweighted: usize): void {
  const ratio = expDouble(s.top - top);
  const change = expm1Double(s.top - top);
  s.top = top;
  s.weight *= ratio;
  s.weight2 *= ratio * ratio;
  s.square *= ratio * ratio;
  s.linear *= ratio;
  const r = set(f32(ratio));
  const by = set(f32(change));
  for (let i: usize = 0; i < 4 * size; i += 16) {
    let x = f32x4.mul(r, v128.load(z + i));
    if (centred) x = fma(by, v128.load(unweighted + i), x);
    v128.store(z + i, x);
  }
}

/** Adds c Z of the noise in hand to the group's sums, size a multiple of 64; returns |Z|². */
function addNoise(c: f32, size: u32, z: usize, unweighted: usize): f64 {
  const factor = set(c);
  let square0 = set(0);
  let square1 = set(0);
  for (let i: usize = 0; i < 4 * size; i += 2 * 16) {
    const z0 = v128.load(noise + i);
    const z1 = v128.load(noise + i, 16);
    square0 = fma(z0, z0, square0);
    square1 = fma(z1, z1, square1);
    v128.store(z + i, fma(factor, z0, v128.load(z + i)));
    v128.store(z + i, fma(factor, z1, v128.load(z + i, 16)), 16);
    if (!centred) continue;
    v128.store(unweighted + i, f32x4.add(z0, v128.load(unweighted + i)));
    v128.store(unweighted + i, f32x4.add(z1, v128.load(unweighted + i, 16)), 16);
  }
  return f64(sum(f32x4.add(square0, square1)));
}

/** Adds the unit whose noise is in hand: its losses plus and, of a pair, minus. */
function addUnit(s: WeightSums, group: u32, losses: f64, minusLoss: f64): void {
  const size = noiseSize();
  const z = weighted + 4 * group * size;
  const unweighted = plain + 4 * group * size;
  const logPlus = -losses / job.temperature;
  const logMinus = -minusLoss / job.temperature;
  s.loss += losses;
  if (pair) s.loss += minusLoss;
  const top = pair && logMinus > logPlus ? logMinus : logPlus;
  if (top > s.top) raiseTop(s, top, size, z, unweighted);
  // The weight of an infinite loss is 0, also before any other is known.
  const plus = logPlus === -Infinity ? 0 : expDouble(logPlus - s.top);
  const minus = pair && logMinus !== -Infinity ? expDouble(logMinus - s.top) : 0;
  s.weight += plus + minus;
  s.weight2 += plus * plus + minus * minus;
  const c = plus - minus;
  const norm2 = addNoise(
    f32(centred ? (plus === 0 ? -1 : expm1Double(logPlus - s.top)) : c),
    size,
    z,
    unweighted,
  );
  s.square += c * c * norm2;
  s.linear += c * norm2;
  s.plain += norm2;
}

function sumsOf(group: u32): WeightSums {
  return changetype<WeightSums>(sums + SUMS_BYTES * group);
}

/** The noise, losses and sums of a group's units, in order. */
function groupSums(group: u32): void {
  const s = sumsOf(group);
  const size = 4 * noiseSize();
  memory.fill(changetype<usize>(s), 0, SUMS_BYTES);
  s.top = -Infinity;
  memory.fill(weighted + size * group, 0, size);
  if (centred) memory.fill(plain + size * group, 0, size);
  const end = u32((u64(units) * (group + 1)) / groups);
  for (let unit = u32((u64(units) * group) / groups); unit < end; unit++) {
    if (cancelled()) return;
    drawUnit(unit);
    if (job.projected) projectedShift(0, shift);
    const loss = sampleLoss(noiseScale);
    const minusLoss = pair ? sampleLoss(-noiseScale) : 0;
    if (job.losses !== 0) {
      const at = job.losses + (pair ? 8 : 4) * unit;
      store<f32>(at, f32(loss));
      if (pair) store<f32>(at + 4, f32(minusLoss));
    }
    addUnit(s, group, loss, minusLoss);
  }
}

/** The groups' sums in order: every thread makes the same. */
function mergeWeights(): void {
  const one = sumsOf(groups);
  if (thread === 0) {
    memory.fill(changetype<usize>(one), 0, SUMS_BYTES);
    one.top = -Infinity;
    for (let g: u32 = 0; g < groups; g++) one.top = Math.max(one.top, sumsOf(g).top);
    for (let g: u32 = 0; g < groups; g++) {
      const s = sumsOf(g);
      const ratio = expDouble(s.top - one.top);
      one.weight += ratio * s.weight;
      one.weight2 += ratio * ratio * s.weight2;
      one.loss += s.loss;
      one.square += ratio * ratio * s.square;
      one.linear += ratio * s.linear;
      one.plain += s.plain;
    }
  }
  barrier();
  all = one;
}

/**
 * total ← factor · Σ over all units of c Z, or of (w − mean) Z where centred. In one group's own scale r = e^{top_g − top}:
 * Σ (r w − mean) Z = r Σ (w − 1) Z + (r − mean) Σ Z.
 */
function mergeNoise(mean: f64, factor: f64): void {
  const size = noiseSize();
  const begin = shareBegin(size, 64);
  const end = shareEnd(size, 64);
  memory.fill(total + 4 * begin, 0, 4 * (end - begin));
  for (let g: u32 = 0; g < groups; g++) {
    const ratio = expDouble(sumsOf(g).top - all.top);
    const weight = set(f32(factor * ratio));
    const level = set(f32(factor * (ratio - mean)));
    const group = 4 * g * size;
    for (let i: usize = 4 * begin; i < 4 * end; i += 4 * LANES) {
      let x = fma(weight, v128.load(weighted + group + i), v128.load(total + i));
      if (centred) x = fma(level, v128.load(plain + group + i), x);
      v128.store(total + i, x);
    }
  }
  barrier();
}

/** First layer's gradient with its complement's one draw: Q total + scale (I − Q Qᵀ) Z. */
function sampleFirstLayer(scale: f64): void {
  const count = job.batchSize * width(1);
  for (let i = shareBegin(count, 1), end = shareEnd(count, 1); i < end; i++)
    store<f64>(inSpan + 8 * i, f64(load<f32>(total + 4 * i)));
  const size = layerOffset(2);
  const end = shareEnd(size, 64);
  for (let i = shareBegin(size, 64); i < end; i += 64) {
    gaussianGroups(job.seedLow, job.seedHigh, STREAM_COMPLEMENT, update, 0, i / 64, 1, normals);
    multiply(f32(scale), normals, least(64, end - i), job.gradient + 4 * i);
  }
  barrier();
  fromSpan(inSpan, job.gradient);
}

/** total → the gradient of all layers. */
function writeGradient(complementScale: f64, leave: bool): void {
  if (samplesComplement()) {
    sampleFirstLayer(-complementScale);
  } else if (job.projected) {
    const count = job.batchSize * stride(1);
    const begin = shareBegin(count, 1);
    memory.fill(coefficients + 4 * begin, 0, 4 * (shareEnd(count, 1) - begin));
    barrier();
    writeFirstLayer(coefficients, stride(1), total, 1, leave, job.gradient);
  } else {
    writeFirstLayer(0, 0, total, 1, false, job.gradient);
  }
  for (let l: u32 = 2; l <= job.depth; l++) {
    const begin = shareBegin(noiseCount(l), 16);
    const bytes = 4 * (shareEnd(noiseCount(l), 16) - begin);
    memory.copy(job.gradient + 4 * (layerOffset(l) + begin), total + 4 * (noiseOffset(l) + begin), bytes);
  }
}

/** Σ (c − 1/J)²|Z|² where centred, of c²|Z|² else, c normalized; and the complement's own. */
function spread(scale: f64, complementScale: f64): f64 {
  const mean = all.weight / f64(job.samples);
  let value = all.square;
  if (centred) value += mean * (mean * all.plain - 2 * all.linear);
  value *= (scale * scale) / (all.weight * all.weight);
  const outside = f64(layerRows(1) - (job.projected ? projectionRank() : 0)) * f64(width(1));
  if (samplesComplement()) value += complementScale * complementScale * outside;
  return Math.max(0, value);
}

export function importanceSamplingOnePass(leave: bool): void {
  beginSampler(noiseScale);
  for (let g = nextItem(groups); g < groups; g = nextItem(groups)) groupSums(g);
  endItems(groups);
  if (stopped()) return;
  mergeWeights();
  const samples = f64(job.samples);
  const scale = (job.temperature * noiseScale) / tau;
  const mean = all.weight / samples;
  mergeNoise(mean, -scale / (centred ? (samples - 1) * mean : all.weight));
  const complementScale = samplesComplement() ? (scale * sqrt(all.weight2)) / all.weight : 0;
  writeGradient(complementScale, leave);
  if (thread !== 0) return;
  job.loss = all.loss / samples;
  job.freeEnergy = -job.temperature * (all.top + logDouble(mean));
  job.effectiveSampleSize = (all.weight * all.weight) / all.weight2;
  job.largestWeight = 1 / all.weight;
  job.standardError = units > 1 ? sqrt(spread(scale, complementScale)) : NaN;
}
