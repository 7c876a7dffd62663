/**
 * Robbins–Monro for the heat-regularized loss: the zero of x − x_k + τ E ∇f(x + s Z) (García Trillos, Kaplan,
 * Sanz-Alonso, Entropy 2019, Algorithm 5):
 *
 *     x^{j+1} = x^j − a_j (x^j − x_k + τ mean_m ∇f(x^j + s Z_{jm})),  j = 1 … J, m = 1 … M, x¹ = x_k
 *     mean = x^{J+1},  gradient = (x_k − mean)/τ
 *
 * Projected: the first layer's gradient is Aᵀ G, so x^j = x_k + Aᵀ C with C ← C − a_j (C + τ mean_m G_m), and
 * P¹ = A x_k + (A Aᵀ) C + s L U. Nothing happens in the complement.
 *
 * Symbols: J transitions, M samples a transition, B rows, n parameters, d1 columns, G = df/dP¹.
 */

import { FULL, product } from "../linear/product";
import { drawNoise, gram, sampleGroups } from "../linear/projection";
import {
  job,
  layerOffset,
  noiseScale,
  parameterCount,
  tailSize,
  tau,
  thread,
  width,
} from "../machine/context";
import { addScaled, fma, multiply, set, storeSome } from "../machine/lanes";
import { barrier, cancelled, endItems, nextItem, shareBegin, shareEnd, stopped } from "../machine/team";
import { take, takeFloats } from "../machine/workspace";
import { backward, forward, rowLosses, signal, stride, sumOfLosses, tailGradient } from "../network/dense";
import { firstGradient, leaveFactored } from "../network/rows";
import {
  base,
  batchGradient,
  beginSampler,
  noise,
  pass,
  perturb,
  perturbed,
  projectedShift,
  rows,
  takeSampler,
} from "../sampling/sampled-point";

let groups: u32 = 0;
/** C (B × stride), or the first layer relative to x_k; the same of the groups' sums. */
let first: usize = 0;
let firstSize: u32 = 0;
/** Layers 2 … L relative to x_k. */
let tail: usize = 0;
/** Each fixed group's sums over its samples of G or the first layer's gradient, of the others', and of the loss. */
let groupFirst: usize = 0;
let groupTail: usize = 0;
let groupLoss: usize = 0;
/** A x^j (B × stride), A Aᵀ (B × B f32): projected. */
let center: usize = 0;
let products: usize = 0;
/** x^j, layers 1 … L (direct) or 2 … L. */
let position: usize = 0;

export function takeRobbinsMonro(): void {
  const size = job.batchSize;
  takeSampler();
  firstSize = job.projected ? size * stride(1) : layerOffset(2);
  groups = sampleGroups(job.samples, firstSize + tailSize(), 16);
  first = takeFloats(firstSize);
  tail = takeFloats(tailSize());
  groupFirst = takeFloats(u64(groups) * firstSize);
  groupTail = takeFloats(u64(groups) * tailSize());
  groupLoss = take(8 * groups);
  position = takeFloats(parameterCount());
  if (!job.projected) return;
  center = takeFloats(u64(size) * stride(1));
  products = takeFloats(u64(size) * size);
}

/** Signals at P¹ = A x^j + s L U and later layers + s Z, added to the group's sums or set; returns f. */
function spanGradient(add: bool, g: usize, upper: usize): f64 {
  const size = job.batchSize;
  const p = signal(pass, 1);
  projectedShift(center, p);
  perturb(2, position, f32(noiseScale), perturbed);
  forward(perturbed, pass, 0, size);
  rowLosses(rows, 0, pass, 0, size, f32(1) / f32(size));
  backward(perturbed, pass, 0, size);
  tailGradient(pass, size, add, 0, 1, upper);
  if (add) addScaled(g, 1, p, firstSize, g);
  else memory.copy(g, p, 4 * firstSize);
  return sumOfLosses(pass, size) / f64(size);
}

/** A group's samples of transition j (zero-based), in order, at the point where the chain stands. */
function sampleGradients(j: u32, group: u32): void {
  const samples = job.samples;
  const begin = u32((u64(samples) * group) / groups);
  const end = u32((u64(samples) * (group + 1)) / groups);
  const g = groupFirst + 4 * group * firstSize;
  const upper = groupTail + 4 * group * tailSize();
  let loss: f64 = 0;
  for (let sample = begin; sample < end; sample++) {
    if (cancelled()) break;
    drawNoise(j * samples + sample, noise);
    if (job.projected) {
      loss += spanGradient(sample > begin, g, upper);
    } else {
      perturb(1, position, f32(noiseScale), perturbed);
      loss += batchGradient(job.batches > 1 ? j : 0, sample > begin, g, upper);
    }
  }
  store<f64>(groupLoss + 8 * group, loss);
}

/** Where the chain stands: position and, projected, A x^j. Ends with a barrier. */
function setPosition(): void {
  const offset = 4 * layerOffset(2);
  const begin = 4 * shareBegin(tailSize(), 16);
  const count = shareEnd(tailSize(), 16) - shareBegin(tailSize(), 16);
  const upper = job.projected ? position : position + offset;
  addScaled(job.parameters + offset + begin, 1, tail + begin, count, upper + begin);
  if (job.projected) {
    const size = job.batchSize;
    const row = stride(1);
    const from = shareBegin(size, 1);
    const at = 4 * from * row;
    const height = shareEnd(size, 1) - from;
    const a = products + 4 * from * size;
    product(height, width(1), size, a, size, 1, first, row, base + at, row, center + at, row, FULL);
  } else {
    const from = 4 * shareBegin(firstSize, 64);
    const share = shareEnd(firstSize, 64) - shareBegin(firstSize, 64);
    addScaled(job.parameters + from, 1, first + from, share, position + from);
  }
  barrier();
}

/** y ← y − a (y + factor Σ_g sums_g), y relative to where the chain began: this thread's share. */
function descend(sums: usize, size: u32, a: f64, factor: f64, y: usize): void {
  const keep = set(f32(1 - a));
  const move = set(f32(-a * factor));
  const end = shareEnd(size, 16);
  for (let i = shareBegin(size, 16); i < end; i += 4) {
    let total = v128.load(sums + 4 * i);
    for (let g: u32 = 1; g < groups; g++) total = f32x4.add(total, v128.load(sums + 4 * (g * size + i)));
    storeSome(y + 4 * i, end - i, fma(keep, v128.load(y + 4 * i), f32x4.mul(move, total)));
  }
}

function begin(): void {
  const size = job.batchSize;
  beginSampler(noiseScale);
  if (thread === 0) {
    memory.fill(first, 0, 4 * firstSize);
    memory.fill(tail, 0, 4 * tailSize());
    if (job.projected) {
      memory.fill(center, 0, 4 * firstSize);
      for (let i: u32 = 0; i < size * size; i++) store<f32>(products + 4 * i, f32(load<f64>(gram + 8 * i)));
    }
  }
  barrier();
}

export function robbinsMonro(leave: bool): void {
  let loss: f64 = 0;
  begin();
  for (let j: u32 = 0; j < job.iterates; j++) {
    setPosition();
    for (let g = nextItem(groups); g < groups; g = nextItem(groups)) sampleGradients(j, g);
    endItems(groups);
    if (stopped()) return;
    for (let g: u32 = 0; g < groups; g++) loss += load<f64>(groupLoss + 8 * g);
    const a = load<f64>(job.stepSizes + 8 * j);
    descend(groupFirst, firstSize, a, tau / f64(job.samples), first);
    descend(groupTail, tailSize(), a, tau / f64(job.samples), tail);
    barrier();
  }
  const scale = f32(-1 / tau);
  const from = 4 * shareBegin(firstSize, 64);
  const count = shareEnd(firstSize, 64) - shareBegin(firstSize, 64);
  multiply(scale, first + from, count, (job.projected ? first : job.gradient) + from);
  barrier();
  const columns = width(1);
  if (job.projected && leave) {
    leaveFactored(rows, first, stride(1));
  } else if (job.projected) {
    firstGradient(
      rows,
      first,
      stride(1),
      columns,
      shareBegin(columns, 16),
      shareEnd(columns, 16),
      false,
      job.gradient,
    );
  }
  if (thread !== 0) return;
  multiply(scale, tail, tailSize(), job.gradient + 4 * layerOffset(2));
  job.loss = loss / (f64(job.iterates) * f64(job.samples));
}
