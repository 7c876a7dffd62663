/**
 * One step of the optimizer along a gradient, elementwise (n):
 *
 *     gradient descent  x ← x − rate g
 *     momentum          v ← μ v + g;  x ← x − rate v
 *     Adam              m ← β1 m + (1 − β1) g;  v ← β2 v + (1 − β2) g²
 *                       x ← (1 − rate decay) x − rate m̂/(√v̂ + ε),  m̂ = m/(1 − β1^index), v̂ = v/(1 − β2^index)
 *
 * index from 1 (Kingma and Ba, ICLR 2015; decoupled weight decay: Loshchilov and Hutter, ICLR 2019). WASM cannot flush
 * denormals to zero, and they are slow: moments below float32's smallest normal number become zero here.
 */
import { GRADIENT_DESCENT, job, MOMENTUM } from "./job";
import { firstLanes, fma, LANES, set, storeSome } from "./lanes";
import { power } from "./math";

let rate: f32 = 0;
let mu: f32 = 0;
let beta1: f32 = 0;
let beta2: f32 = 0;
let rest1: f32 = 0;
let rest2: f32 = 0;
let correction: f32 = 0;
let keep: f32 = 1;
let epsilon: f32 = 0;

/** The numbers of step `index`, from 1. */
export function beginStep(size: f64, index: u32): void {
  rate = f32(-size);
  mu = f32(job.momentum);
  if (job.optimizer <= MOMENTUM) return;
  beta1 = f32(job.beta1);
  beta2 = f32(job.beta2);
  rest1 = f32(1 - job.beta1);
  rest2 = f32(1 - job.beta2);
  rate = f32(-size / (1 - power(job.beta1, index)));
  correction = f32(1 / (1 - power(job.beta2, index)));
  keep = f32(1 - size * job.weightDecay);
  epsilon = f32(job.epsilon);
}

function normal(x: v128): v128 {
  return v128.and(x, f32x4.ge(f32x4.abs(x), set(1.1754943508222875e-38)));
}

/** Steps `count` entries from entry `at` on along `slopes`, which are at least a vector longer; returns |slopes|². */
export function stepEntries(slopes: usize, at: u32, count: u32): f32 {
  const x = job.parameters + 4 * at;
  if (job.optimizer === GRADIENT_DESCENT) return descent(slopes, x, count);
  if (job.optimizer === MOMENTUM) return momentum(slopes, x, job.moment1 + 4 * at, count);
  return adam(slopes, x, job.moment1 + 4 * at, job.moment2 + 4 * at, count);
}

function descent(slopes: usize, x: usize, count: u32): f32 {
  const move = set(rate);
  let total = set(0);
  for (let i: u32 = 0; i < count; i += LANES) {
    let g = v128.load(slopes);
    if (count - i < LANES) g = v128.and(g, firstLanes(count - i));
    total = fma(g, g, total);
    storeSome(x, count - i, fma(move, g, v128.load(x)));
    slopes += 16;
    x += 16;
  }
  return lanesSum(total);
}

function momentum(slopes: usize, x: usize, moment: usize, count: u32): f32 {
  const move = set(rate);
  const persistence = set(mu);
  let total = set(0);
  for (let i: u32 = 0; i < count; i += LANES) {
    let g = v128.load(slopes);
    if (count - i < LANES) g = v128.and(g, firstLanes(count - i));
    total = fma(g, g, total);
    const v = normal(fma(persistence, v128.load(moment), g));
    storeSome(moment, count - i, v);
    storeSome(x, count - i, fma(move, v, v128.load(x)));
    slopes += 16;
    x += 16;
    moment += 16;
  }
  return lanesSum(total);
}

function adam(slopes: usize, x: usize, moment1: usize, moment2: usize, count: u32): f32 {
  const b1 = set(beta1);
  const b2 = set(beta2);
  const c1 = set(rest1);
  const c2 = set(rest2);
  const move = set(rate);
  const scale = set(correction);
  const stay = set(keep);
  const least = set(epsilon);
  let total = set(0);
  for (let i: u32 = 0; i < count; i += LANES) {
    let g = v128.load(slopes);
    if (count - i < LANES) g = v128.and(g, firstLanes(count - i));
    total = fma(g, g, total);
    const m = normal(fma(b1, v128.load(moment1), f32x4.mul(c1, g)));
    const v = normal(fma(b2, v128.load(moment2), f32x4.mul(f32x4.mul(c2, g), g)));
    storeSome(moment1, count - i, m);
    storeSome(moment2, count - i, v);
    const quotient = f32x4.div(m, f32x4.add(f32x4.sqrt(f32x4.mul(v, scale)), least));
    storeSome(x, count - i, fma(move, quotient, f32x4.mul(stay, v128.load(x))));
    slopes += 16;
    x += 16;
    moment1 += 16;
    moment2 += 16;
  }
  return lanesSum(total);
}

function lanesSum(total: v128): f32 {
  return (
    f32x4.extract_lane(total, 0) +
    f32x4.extract_lane(total, 1) +
    (f32x4.extract_lane(total, 2) + f32x4.extract_lane(total, 3))
  );
}
