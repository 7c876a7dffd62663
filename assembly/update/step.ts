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

import { power } from "../linear/math";
import { job } from "../machine/context";
import { ADAM, GRADIENT_DESCENT, MOMENTUM } from "../machine/job";
import { firstLanes, fma, set, storeFirst, sum } from "../machine/lanes";

/** The smallest normal number. */
const SMALLEST: f32 = 1.1754943508222875e-38;

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
export function beginStep(size: f64, index: u64): void {
  rate = f32(-size);
  mu = f32(job.momentum);
  if (job.optimizer !== ADAM) return;
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
  return v128.and(x, f32x4.ge(f32x4.abs(x), set(SMALLEST)));
}

/** One vector's step, inlined into the loop over whole vectors and into its end. Pointers are to four floats each. */
class Vector {
  @inline
  static descent(move: v128, g: v128, x: usize): v128 {
    return fma(move, g, v128.load(x));
  }

  @inline
  static momentum(persistence: v128, g: v128, moment: usize): v128 {
    return normal(fma(persistence, v128.load(moment), g));
  }

  @inline
  static first(b1: v128, c1: v128, g: v128, moment1: usize): v128 {
    return normal(fma(b1, v128.load(moment1), f32x4.mul(c1, g)));
  }

  @inline
  static second(b2: v128, c2: v128, g: v128, moment2: usize): v128 {
    const v = fma(b2, v128.load(moment2), f32x4.mul(f32x4.mul(c2, g), g));
    return v128.and(v, f32x4.ge(v, set(SMALLEST)));
  }

  @inline
  static adam(m: v128, v: v128, x: usize, move: v128, scale: v128, stay: v128, least: v128): v128 {
    const quotient = f32x4.div(m, f32x4.add(f32x4.sqrt(f32x4.mul(v, scale)), least));
    return fma(move, quotient, f32x4.mul(stay, v128.load(x)));
  }
}

/** Steps `count` entries from entry `at` on along `slopes`, which are at least a vector longer; returns |slopes|². */
export function stepEntries(slopes: usize, at: u32, count: u32): f32 {
  const x = job.parameters + 4 * at;
  if (job.optimizer === GRADIENT_DESCENT) return descent(slopes, x, count);
  if (job.optimizer === MOMENTUM) return momentum(slopes, x, job.moment1 + 4 * at, count);
  if (job.optimizer === ADAM) return adam(slopes, x, job.moment1 + 4 * at, job.moment2 + 4 * at, count);
  return unreachable();
}

function descent(slopes: usize, x: usize, count: u32): f32 {
  const move = set(rate);
  const end = slopes + 4 * (count & ~3);
  let total = set(0);
  for (; slopes < end; slopes += 16, x += 16) {
    const g = v128.load(slopes);
    total = fma(g, g, total);
    v128.store(x, Vector.descent(move, g, x));
  }
  if ((count & 3) === 0) return sum(total);
  const g = v128.and(v128.load(slopes), firstLanes(count & 3));
  storeFirst(x, count & 3, Vector.descent(move, g, x));
  return sum(fma(g, g, total));
}

function momentum(slopes: usize, x: usize, moment: usize, count: u32): f32 {
  const move = set(rate);
  const persistence = set(mu);
  const end = slopes + 4 * (count & ~3);
  let total = set(0);
  for (; slopes < end; slopes += 16, x += 16, moment += 16) {
    const g = v128.load(slopes);
    total = fma(g, g, total);
    const v = Vector.momentum(persistence, g, moment);
    v128.store(moment, v);
    v128.store(x, Vector.descent(move, v, x));
  }
  if ((count & 3) === 0) return sum(total);
  const g = v128.and(v128.load(slopes), firstLanes(count & 3));
  const v = Vector.momentum(persistence, g, moment);
  storeFirst(moment, count & 3, v);
  storeFirst(x, count & 3, Vector.descent(move, v, x));
  return sum(fma(g, g, total));
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
  const end = slopes + 4 * (count & ~3);
  let total = set(0);
  for (; slopes < end; slopes += 16, x += 16, moment1 += 16, moment2 += 16) {
    const g = v128.load(slopes);
    total = fma(g, g, total);
    const m = Vector.first(b1, c1, g, moment1);
    const v = Vector.second(b2, c2, g, moment2);
    v128.store(moment1, m);
    v128.store(moment2, v);
    v128.store(x, Vector.adam(m, v, x, move, scale, stay, least));
  }
  const rest = count & 3;
  if (rest === 0) return sum(total);
  const g = v128.and(v128.load(slopes), firstLanes(rest));
  const m = Vector.first(b1, c1, g, moment1);
  const v = Vector.second(b2, c2, g, moment2);
  storeFirst(moment1, rest, m);
  storeFirst(moment2, rest, v);
  storeFirst(x, rest, Vector.adam(m, v, x, move, scale, stay, least));
  return sum(fma(g, g, total));
}
