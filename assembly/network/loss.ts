/**
 * Losses of a row from its outputs z, and what of them backpropagation needs: by its label, by targets, by costs.
 */

import { exp, log1p } from "../linear/math";
import { job } from "../machine/context";
import { ABSOLUTE_ERROR, LOGISTIC, SOFT_CROSS_ENTROPY, SQUARED_ERROR } from "../machine/job";
import { firstLanes, LANES, max, min, set, storeSome, sum } from "../machine/lanes";

/** The place of the first largest of z; of a NaN no comparison tells. */
export function firstLargest(z: usize, count: u32): u32 {
  let best: u32 = 0;
  for (let c: u32 = 1; c < count; c++) {
    if (load<f32>(z + 4 * c) > load<f32>(z + 4 * best)) best = c;
  }
  return best;
}

/** The label of a row for which nothing is predicted; networks have fewer classes. */
const NO_CLASS: u32 = 0xffff;

/** The class of the first largest logit; NO_CLASS where one is NaN, which no comparison tells. */
export function predicted(z: usize, count: u32): u32 {
  for (let c: u32 = 0; c < count; c++) {
    const x = load<f32>(z + 4 * c);
    if (!(x <= Infinity)) return NO_CLASS;
  }
  return firstLargest(z, count);
}

/** The dearest of a label's costs: what a row is charged for which nothing is predicted. */
export function dearest(costs: usize, count: u32): f32 {
  let most = load<f32>(costs);
  for (let c: u32 = 1; c < count; c++) {
    const cost = load<f32>(costs + 4 * c);
    if (cost > most) most = cost;
  }
  return most;
}

/** z ← e^{z − z_best}, 1 at `best`; returns the sum of the others, so that log1p of it keeps small losses. */
export function exponentials(z: usize, count: u32, best: u32): f32 {
  const top = set(load<f32>(z + 4 * best));
  let total = set(0);
  for (let c: u32 = 0; c < count; c += LANES) {
    const e = exp(f32x4.sub(v128.load(z + 4 * c), top));
    storeSome(z + 4 * c, count - c, e);
    const lane = i32x4.eq(i32x4(0, 1, 2, 3), i32x4.splat(best - c));
    total = f32x4.add(total, v128.andnot(v128.and(e, firstLanes(count - c)), lane));
  }
  return sum(total);
}

/** The cost of what logits z predict. */
export function cost(z: usize, count: u32, label: u32): f32 {
  const costs = job.costs + 4 * label * count;
  const best = predicted(z, count);
  return best === NO_CLASS ? dearest(costs, count) : load<f32>(costs + 4 * best);
}

/** Of a loss that is a sum over the outputs: the terms of outputs z with targets t. */
export function targetTerms(z: v128, t: v128): v128 {
  const difference = f32x4.sub(z, t);
  if (job.lossKind === SQUARED_ERROR) return f32x4.mul(f32x4.mul(set(0.5), difference), difference);
  if (job.lossKind === ABSOLUTE_ERROR) return f32x4.abs(difference);
  if (job.lossKind !== LOGISTIC) unreachable();
  const rest = log1p(exp(min(z, f32x4.neg(z))));
  return f32x4.add(f32x4.sub(max(set(0), z), f32x4.mul(t, z)), rest);
}

/** 1/(1 + e^−z). */
export function sigmoid(z: v128): v128 {
  return f32x4.div(set(1), f32x4.add(set(1), exp(f32x4.neg(z))));
}

/** Those terms' slopes; the absolute error's is 0 at 0, as the ReLU's. */
function targetSlopes(z: v128, t: v128): v128 {
  const difference = f32x4.sub(z, t);
  if (job.lossKind === LOGISTIC) return f32x4.sub(sigmoid(z), t);
  if (job.lossKind === SQUARED_ERROR) return difference;
  const below = v128.bitselect(set(-1), difference, f32x4.lt(z, t));
  return v128.bitselect(set(1), below, f32x4.gt(z, t));
}

/** −Σ t log softmax z: Σ t (z_best − z) + Σ t log1p(Σ over the others of e^{z − z_best}); as targetLoss. */
function softCrossEntropy(z: usize, targets: usize, count: u32, scale: f32): f32 {
  const best = firstLargest(z, count);
  const top = load<f32>(z + 4 * best);
  let below: f32 = 0;
  let all: f32 = 0;
  for (let c: u32 = 0; c < count; c++) {
    const t = load<f32>(targets + 4 * c);
    if (t !== 0) below += t * (top - load<f32>(z + 4 * c));
    all += t;
  }
  const others = exponentials(z, count, best);
  if (scale !== 0) {
    const factor = (scale * all) / (1 + others);
    for (let c: u32 = 0; c < count; c++)
      store<f32>(z + 4 * c, factor * load<f32>(z + 4 * c) - scale * load<f32>(targets + 4 * c));
  }
  return below + all * f32x4.extract_lane(log1p(set(others)), 0);
}

/** A row's loss by targets. Where scale is not 0, its outputs z become scale · dloss/dz. */
export function targetLoss(z: usize, targets: usize, count: u32, scale: f32): f32 {
  if (job.lossKind === SOFT_CROSS_ENTROPY) return softCrossEntropy(z, targets, count, scale);
  let total = set(0);
  for (let c: u32 = 0; c < count; c += LANES) {
    const out = v128.load(z + 4 * c);
    const t = v128.load(targets + 4 * c);
    total = f32x4.add(total, v128.and(targetTerms(out, t), firstLanes(count - c)));
    if (scale !== 0) storeSome(z + 4 * c, count - c, f32x4.mul(set(scale), targetSlopes(out, t)));
  }
  return sum(total);
}
