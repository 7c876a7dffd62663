/**
 * Losses of one row's samples under one Walsh block: of the differences from the label's logit, or of the outputs as they
 * are where the loss reads targets.
 *
 * Symbols: walsh-row.ts.
 */

import { exp, Inline, log1p } from "../linear/math";
import { classes, job } from "../machine/context";
import {
  COST_MATRIX,
  CROSS_ENTROPY,
  GIVEN,
  OPERATION_OUTPUTS,
  readsTargets,
  SOFT_CROSS_ENTROPY,
} from "../machine/job";
import { fma, LANES, largest, max, set, sum } from "../machine/lanes";
import { givenPlace } from "../network/dense";
import { dearest, targetTerms } from "../network/loss";
import { Rows } from "../network/rows";
import {
  halfActivations,
  inside,
  layout,
  length,
  m,
  makeLogits,
  NO_HIDDEN,
  ROW_SPLIT,
  WalshRow,
} from "./walsh-row";

/** The logit of class c less the label's for the vector at byte i; e = −1 where `minus`. */
function difference(row: WalshRow, c: u32, label: u32, i: usize, minus: bool): v128 {
  const at: usize = usize(c * length) * 4 + i;
  const own: usize = usize(label * length) * 4 + i;
  const odd = f32x4.sub(v128.load(row.t + at), v128.load(row.t + own));
  let even = set(load<f32>(row.base + 4 * c) - load<f32>(row.base + 4 * label));
  if (layout === ROW_SPLIT)
    even = f32x4.add(even, f32x4.sub(v128.load(row.noise + at), v128.load(row.noise + own)));
  return minus ? f32x4.sub(even, odd) : f32x4.add(even, odd);
}

/** Cross-entropy where the sum of exponentials left the range of log1p: by the largest difference. */
function largeLoss(row: WalshRow, label: u32, i: usize, minus: bool): v128 {
  const count = classes();
  let top = set(0);
  for (let c: u32 = 0; c < count; c++) top = max(top, difference(row, c, label, i, minus));
  let total = set(0);
  for (let c: u32 = 0; c < count; c++)
    total = f32x4.add(total, exp(f32x4.sub(difference(row, c, label, i, minus), top)));
  return f32x4.add(top, log1p(max(set(0), f32x4.sub(total, set(1)))));
}

/** Cost of the class predicted, the first largest; `dear`, the dearest, where a logit is NaN. */
function costs(row: WalshRow, label: u32, dear: f32, i: usize, minus: bool): v128 {
  const count = classes();
  const ofLabel = job.costs + 4 * label * count;
  let top = set(-Infinity);
  let cost = v128.load32_splat(ofLabel);
  let none = set(0);
  for (let c: u32 = 0; c < count; c++) {
    const z = c === label ? set(0) : difference(row, c, label, i, minus);
    cost = v128.bitselect(v128.load32_splat(ofLabel + 4 * c), cost, f32x4.gt(z, top));
    top = max(top, z);
    none = v128.or(none, f32x4.ne(z, z));
  }
  return v128.bitselect(set(dear), cost, none);
}

const LOG2E: f32 = f32(Math.LOG2E);

/** Cross-entropy of 2m samples: log1p of the sum over the other classes of e^difference, by 2^x. */
function crossEntropy(row: WalshRow, label: u32): void {
  const count = classes();
  const rowSplit = layout === ROW_SPLIT;
  const scale = set(LOG2E);
  const row4: usize = 4 * length;
  const own = load<f32>(row.base + 4 * label);
  for (let c: u32 = 0; c < count; c++)
    store<f32>(row.even + 4 * c, LOG2E * (load<f32>(row.base + 4 * c) - own));
  let top = set(0);
  for (let i: usize = 0; i < row4; i += 16) {
    let plus = set(0);
    let minus = set(0);
    const ofLabel: usize = usize(label) * row4 + i;
    const tOwn = v128.load(row.t + ofLabel);
    const nOwn = rowSplit ? v128.load(row.noise + ofLabel) : set(0);
    let t = row.t + i;
    let n = row.noise + i;
    let e = row.even;
    for (let c: u32 = 0; c < count; c++, t += row4, n += row4, e += 4) {
      if (c === label) continue;
      const odd = f32x4.mul(scale, f32x4.sub(v128.load(t), tOwn));
      let even = v128.load32_splat(e);
      if (rowSplit) even = fma(scale, f32x4.sub(v128.load(n), nOwn), even);
      plus = f32x4.add(plus, Inline.exp2(f32x4.add(even, odd)));
      minus = f32x4.add(minus, Inline.exp2(f32x4.sub(even, odd)));
    }
    v128.store(row.losses + i, log1p(plus));
    v128.store(row.losses + row4 + i, log1p(minus));
    top = max(top, max(plus, minus));
  }
  if (largest(top) < 1e9) return;
  for (let i: usize = 0; i < row4; i += 16) {
    v128.store(row.losses + i, largeLoss(row, label, i, false));
    v128.store(row.losses + row4 + i, largeLoss(row, label, i, true));
  }
}

/** The outputs c of a vector at byte i, as they are: e = −1 where `minus`. */
function output(row: WalshRow, c: u32, i: usize, minus: bool): v128 {
  const at: usize = usize(c * length) * 4 + i;
  const odd = v128.load(row.t + at);
  let even = v128.load32_splat(row.base + 4 * c);
  if (layout === ROW_SPLIT) even = f32x4.add(even, v128.load(row.noise + at));
  return minus ? f32x4.sub(even, odd) : f32x4.add(even, odd);
}

/** A sum over the outputs of each one's term. */
function summedLoss(row: WalshRow, targets: usize, i: usize, minus: bool): v128 {
  let total = set(0);
  for (let c: u32 = 0; c < classes(); c++)
    total = f32x4.add(total, targetTerms(output(row, c, i, minus), v128.load32_splat(targets + 4 * c)));
  return total;
}

/** Σ t (z_best − z) + Σ t log(Σ e^{z − z_best}). */
function softCrossEntropy(row: WalshRow, targets: usize, i: usize, minus: bool): v128 {
  const count = classes();
  let top = set(-Infinity);
  for (let c: u32 = 0; c < count; c++) top = max(top, output(row, c, i, minus));
  let total = set(0);
  let below = set(0);
  let all: f32 = 0;
  for (let c: u32 = 0; c < count; c++) {
    const t = load<f32>(targets + 4 * c);
    const less = f32x4.sub(output(row, c, i, minus), top);
    total = f32x4.add(total, exp(less));
    if (t !== 0) below = fma(set(-t), less, below);
    all += t;
  }
  // The best's own term is 1.
  return fma(set(all), log1p(max(set(0), f32x4.sub(total, set(1)))), below);
}

/** f of the 2m samples by targets. */
function targetLosses(row: WalshRow, targets: usize): void {
  const half: usize = 4 * length;
  const soft = job.lossKind === SOFT_CROSS_ENTROPY;
  for (let i: usize = 0; i < 2 * half; i += 16) {
    const minus = i >= half;
    const at = minus ? i - half : i;
    const f = soft ? softCrossEntropy(row, targets, at, minus) : summedLoss(row, targets, at, minus);
    v128.store(row.losses + i, f);
  }
}

/** Row b of the batch in a loss that is given, or its outputs in their place; j: the block's first sample. */
function givenLosses(row: WalshRow, j: u32, b: u32): void {
  const count = classes();
  for (let half: u32 = 0; half < 2; half++) {
    for (let g: u32 = 0; g < m; g++) {
      const at = givenPlace(j + half * m + g, b);
      const to = row.losses + 4 * (half * length + g);
      store<f32>(to, job.operation === OPERATION_OUTPUTS ? 0 : load<f32>(job.rowLosses + 4 * at));
    }
    if (job.operation !== OPERATION_OUTPUTS) continue;
    for (let g: u32 = 0; g < m; g += LANES) {
      for (let c: u32 = 0; c < count; c++) {
        const z = output(row, c, 4 * g, half === 1);
        const to = job.output + 4 * (givenPlace(j + half * m + g, b) * count + c);
        const next = 4 * job.batchSize * count;
        v128.store32_lane(to, z, 0);
        if (g + 1 < m) v128.store32_lane(to + next, z, 1);
        if (g + 2 < m) v128.store32_lane(to + 2 * next, z, 2);
        if (g + 3 < m) v128.store32_lane(to + 3 * next, z, 3);
      }
    }
  }
}

/**
 * The 2m losses of row r of `rows` under the noise of block number `block`, and their mean; base (A x)_b and y = s (M U)_b,
 * zeros past w1.
 */
export function walshRow(
  row: WalshRow,
  base: usize,
  y: usize,
  second: usize,
  rows: Rows,
  r: u32,
  block: u32,
): void {
  row.y = y;
  if (layout !== NO_HIDDEN) halfActivations(row, base);
  makeLogits(row, base, second);
  const half: usize = 4 * length;
  const label: u32 = load<u16>(rows.labels + 2 * r);
  if (job.lossKind === GIVEN) {
    givenLosses(row, 2 * m * block, rows.first + r);
  } else if (readsTargets(job.lossKind)) {
    targetLosses(row, load<usize>(rows.targets + 4 * r));
  } else if (job.lossKind === CROSS_ENTROPY) {
    crossEntropy(row, label);
  } else if (job.lossKind !== COST_MATRIX) {
    unreachable();
  } else {
    const dear = dearest(job.costs + 4 * label * classes(), classes());
    for (let i: usize = 0; i < half; i += 16) {
      v128.store(row.losses + i, costs(row, label, dear, i, false));
      v128.store(row.losses + half + i, costs(row, label, dear, i, true));
    }
  }
  let total = set(0);
  for (let i: usize = 0; i < 2 * half; i += 16) {
    const f = v128.and(inside, v128.load(row.losses + i));
    v128.store(row.losses + i, f);
    total = f32x4.add(total, f);
  }
  row.mean = sum(total) / (f32(m) * 2);
}
