/**
 * Stochastic gradient Langevin dynamics for E_q[X], q ∝ e^{−f} N(x_k, τ I) (García Trillos, Kaplan, Sanz-Alonso, Entropy
 * 2019, Algorithm 3):
 *
 *     x^{j+1} = x^j − (ε_j/2)(∇f(x^j) + (x^j − x_k)/τ) + s_j ξ_j,  j = 1 … J − 1
 *     mean = Σ ε_j x^j/Σ ε_j,  gradient = (x_k − mean)/τ
 *
 * Projected: V = Qᵀ(x − x_k) takes the same steps with Lᵀ G for the gradient, P¹ = A x_k + L V. In the complement the
 * chain is linear, so its last iterate and its sum S = Σ ε_j y^j are jointly normal in each coordinate: from
 * v = t = c = 0, a = ε_j/(2τ),
 *     v ← (1−a)² v + s_j²;  t ← t + 2 ε_{j+1} (1−a) c + ε_{j+1}² v;  c ← (1−a) c + ε_{j+1} v
 * (v = Var y, c = Cov(y, S), t = Var S), the means by the same recursion without noise.
 *
 * Symbols: J iterates, B rows, n parameters, d1 columns, G = df/dP¹. Sums are of ε_j (x^j − x_k).
 */

import { LOWER, product, UPPER } from "../linear/product";
import { drawNoise, noiseCount, noiseFloats, noiseOffset } from "../linear/projection";
import {
  job,
  layerOffset,
  layerRows,
  parameterCount,
  tailSize,
  tau,
  thread,
  update,
  width,
} from "../machine/context";
import { STREAM_COMPLEMENT, STREAM_FIRST_LAYER } from "../machine/job";
import { addScaled, fma, least, multiply, set, storeFirst } from "../machine/lanes";
import { barrier, cancelled, endItems, nextItem, shareBegin, shareEnd, stopped } from "../machine/team";
import { take, takeFloats, takeOwnFloats } from "../machine/workspace";
import { backward, forward, rowLosses, signal, stride, sumOfLosses, tailGradient } from "../network/dense";
import { beginSgd, takeSgd, teamGradient } from "../network/sgd";
import { gaussianGroups } from "../random/gaussian";
import {
  base,
  beginSampler,
  fromSpan,
  intoSpan,
  pass,
  rows,
  scaled,
  takeSampler,
  takeSpan,
} from "../sampling/sampled-point";

/** Transitions whose noise is made together; two such buffers stay in the second cache. */
const AHEAD: u32 = 16;

let gradient: usize = 0;
let position: usize = 0;
let normals: usize = 0;
/** V, its sum, Lᵀ G (B × d1), and a copy in float64; layers 2 … L stand in x and sum themselves. */
let v: usize = 0;
let vSum: usize = 0;
let pulled: usize = 0;
let span: usize = 0;
let ahead: usize = 0;

export function takeSgld(): void {
  normals = takeOwnFloats(128);
  if (!job.projected) {
    takeSgd();
    gradient = takeFloats(parameterCount());
    position = takeFloats(parameterCount());
    return;
  }
  const size = u64(job.batchSize) * width(1);
  takeSampler();
  takeSpan();
  gradient = takeFloats(tailSize());
  position = takeFloats(tailSize());
  v = takeFloats(size);
  vSum = takeFloats(size);
  pulled = takeFloats(size);
  span = take(8 * size);
  ahead = takeFloats(2 * AHEAD * noiseFloats());
}

function stepSize(j: u32): f64 {
  return load<f64>(job.stepSizes + 8 * j);
}

/** x ← x − (ε_j/2)(g + x/τ) + s_j ξ; sum ← sum + ε_{j+1} x, for `count` entries relative to x_k. */
function langevin(j: u32, g: usize, xi: usize, count: u32, x: usize, total: usize): void {
  const eps = stepSize(j);
  const half = set(f32(-eps / 2));
  const keep = set(f32(1 - eps / (2 * tau)));
  const scale = set(f32(load<f64>(job.noiseScales + 8 * j)));
  const weight = set(f32(stepSize(j + 1)));
  let i: usize = 0;
  const whole: usize = 4 * (count & ~3);
  for (; i < whole; i += 16) {
    const noise = f32x4.mul(scale, v128.load(xi + i));
    const moved = fma(keep, v128.load(x + i), fma(half, v128.load(g + i), noise));
    v128.store(x + i, moved);
    v128.store(total + i, fma(weight, moved, v128.load(total + i)));
  }
  if ((count & 3) === 0) return;
  const noise = f32x4.mul(scale, v128.load(xi + i));
  const moved = fma(keep, v128.load(x + i), fma(half, v128.load(g + i), noise));
  storeFirst(x + i, count & 3, moved);
  storeFirst(total + i, count & 3, fma(weight, moved, v128.load(total + i)));
}

/** One transition of the direct chain in this thread's coordinates. */
function directTransition(j: u32, x: usize, total: usize): void {
  for (let l: u32 = 1; l <= job.depth; l++) {
    const count = layerRows(l) * width(l);
    const end = shareEnd(count, 64);
    for (let i = shareBegin(count, 64); i < end; i += 64) {
      gaussianGroups(job.seedLow, job.seedHigh, STREAM_FIRST_LAYER + l - 1, update, j, i / 64, 1, normals);
      const at = 4 * (layerOffset(l) + i);
      langevin(j, gradient + at, normals, least(64, end - i), x + at, total + at);
    }
  }
}

/** The chain in all n coordinates; returns the sum of f. */
function sgldDirect(x: usize, total: usize): f64 {
  const n = parameterCount();
  const begin = shareBegin(n, 64);
  const count = shareEnd(n, 64) - begin;
  let loss: f64 = 0;
  beginSgd();
  for (let j: u32 = 0; j + 1 < job.iterates; j++) {
    addScaled(job.parameters + 4 * begin, 1, x + 4 * begin, count, position + 4 * begin);
    barrier();
    if (stopped()) break;
    loss += teamGradient(position, job.batches > 1 ? j : 0, false, gradient);
    directTransition(j, x, total);
    barrier();
  }
  return loss;
}

/** One transition of the projected chain; returns f(x^j). x, total: n, of which layers 2 … L are used. */
function spanTransition(j: u32, noise: usize, x: usize, total: usize): f64 {
  const size = job.batchSize;
  const columns = width(1);
  const row = stride(1);
  const p = signal(pass, 1);
  const offset = 4 * layerOffset(2);
  product(size, columns, size, scaled, size, 1, v, columns, base, row, p, row, LOWER);
  addScaled(job.parameters + offset, 1, x + offset, tailSize(), position);
  forward(position, pass, 0, size);
  rowLosses(rows, 0, pass, 0, size, f32(1) / f32(size));
  backward(position, pass, 0, size);
  tailGradient(pass, size, false, 0, 1, gradient);
  product(size, columns, size, scaled, 1, size, p, row, 0, 0, pulled, columns, UPPER);
  langevin(j, pulled, noise, size * columns, v, vSum);
  for (let l: u32 = 2; l <= job.depth; l++) {
    const at = 4 * layerOffset(l);
    langevin(j, gradient + at - offset, noise + 4 * noiseOffset(l), noiseCount(l), x + at, total + at);
  }
  return sumOfLosses(pass, size) / f64(size);
}

function noiseAt(transition: u32): usize {
  return ahead + 4 * (transition % (2 * AHEAD)) * usize(noiseFloats());
}

/** The chain itself, thread 0's, while the others make the noise of the transitions to come. */
function sgldInSpan(x: usize, total: usize): f64 {
  const transitions = job.iterates - 1;
  let loss: f64 = 0;
  let count = least(AHEAD, transitions);
  for (let i = nextItem(count); i < count; i = nextItem(count)) drawNoise(i, noiseAt(i));
  endItems(count);
  for (let first: u32 = 0; first < transitions && !stopped(); first += AHEAD) {
    const end = least(transitions, first + AHEAD);
    count = least(transitions, end + AHEAD) - end;
    if (thread === 0)
      for (let j = first; j < end && !cancelled(); j++) loss += spanTransition(j, noiseAt(j), x, total);
    for (let i = nextItem(count); i < count; i = nextItem(count)) drawNoise(end + i, noiseAt(end + i));
    endItems(count);
  }
  return loss;
}

// Law of the complement, a coordinate: last = lastMean y + lastNoise n1, sum likewise with n1 and n2.
let lastMean: f64 = 1;
let lastNoise: f64 = 0;
let sumMean: f64 = 0;
let sumNoise1: f64 = 0;
let sumNoise2: f64 = 0;

function complementLaw(): void {
  let variance: f64 = 0;
  let ofSum: f64 = 0;
  let both: f64 = 0;
  lastMean = 1;
  sumMean = stepSize(0);
  for (let j: u32 = 0; j + 1 < job.iterates; j++) {
    const keep = 1 - stepSize(j) / (2 * tau);
    const s = load<f64>(job.noiseScales + 8 * j);
    const next = stepSize(j + 1);
    variance = keep * keep * variance + s * s;
    ofSum += 2 * next * keep * both + next * next * variance;
    both = keep * both + next * variance;
    lastMean *= keep;
    sumMean += next * lastMean;
  }
  lastNoise = sqrt(variance);
  sumNoise1 = variance === 0 ? 0 : both / lastNoise;
  sumNoise2 = variance === 0 ? 0 : sqrt(Math.max(0, ofSum - (both * both) / variance));
}

/** x, total ((d0 + 1) × d1) ← the complement's two vectors, before I − Q Qᵀ. x: x¹ − x_k at first. Ends with a barrier. */
function drawComplement(x: usize, total: usize): void {
  complementLaw();
  const size = layerOffset(2);
  const end = shareEnd(size, 64);
  for (let i = shareBegin(size, 64); i < end; i += 64) {
    gaussianGroups(job.seedLow, job.seedHigh, STREAM_COMPLEMENT, update, 0, i / 64, 1, normals);
    gaussianGroups(job.seedLow, job.seedHigh, STREAM_COMPLEMENT, update, 1, i / 64, 1, normals + 256);
    for (let k: usize = 0; k < 4 * least(64, end - i); k += 4) {
      const a = load<f32>(normals + k);
      const b = load<f32>(normals + k, 256);
      const at: usize = usize(i) * 4 + k;
      const y = load<f32>(x + at);
      store<f32>(x + at, f32(lastMean) * y + f32(lastNoise) * a);
      store<f32>(total + at, f32(sumMean) * y + f32(sumNoise1) * a + f32(sumNoise2) * b);
    }
  }
  barrier();
}

/** span ← w in float64: this thread's share. */
function widen(w: usize): void {
  const count = job.batchSize * width(1);
  for (let i = shareBegin(count, 1), end = shareEnd(count, 1); i < end; i++)
    store<f64>(span + 8 * i, f64(load<f32>(w + 4 * i)));
  barrier();
}

function sgldProjected(x: usize, total: usize): f64 {
  const count = job.batchSize * width(1);
  beginSampler(1); // the factor of the chain is L itself
  intoSpan(x, span);
  for (let i = shareBegin(count, 1), end = shareEnd(count, 1); i < end; i++) {
    const start = load<f64>(span + 8 * i);
    store<f32>(v + 4 * i, f32(start));
    store<f32>(vSum + 4 * i, f32(stepSize(0) * start));
  }
  barrier();
  const loss = sgldInSpan(x, total);
  if (stopped()) return loss;
  drawComplement(x, total);
  widen(v);
  fromSpan(span, x);
  widen(vSum);
  fromSpan(span, total);
  return loss;
}

/** x (n): x¹ in, x^J out. */
export function sgld(x: usize): void {
  const n = parameterCount();
  const begin = 4 * shareBegin(n, 64);
  const count = shareEnd(n, 64) - shareBegin(n, 64);
  const total = job.gradient;
  let weight: f64 = 0;
  for (let j: u32 = 0; j < job.iterates; j++) weight += stepSize(j);
  addScaled(x + begin, -1, job.parameters + begin, count, x + begin);
  multiply(f32(stepSize(0)), x + begin, count, total + begin);
  barrier();
  const loss = job.projected ? sgldProjected(x, total) : sgldDirect(x, total);
  if (stopped()) return;
  addScaled(x + begin, 1, job.parameters + begin, count, x + begin);
  multiply(f32(-1 / (weight * tau)), total + begin, count, total + begin);
  if (thread === 0) job.loss = job.iterates > 1 ? loss / f64(job.iterates - 1) : NaN;
  barrier();
}
