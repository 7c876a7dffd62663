/**
 * The row split of Walsh blocks: what one row gives to the first-order part, from a group of blocks.
 *
 *   G = WHT(f⁺ − f⁻)/2m, s_b² = s²|a_b|²:
 *   D1_bh = (1/BK) Σ_i [y G/s_b² − κ_i (y²/s_b² − 1)],
 *           κ_i = Σ' y G/(Σ' y² + 0.1 s_b²), Σ' over the group's other blocks
 *   D2_hc = (1/2mBK) Σ_b Σ_i [a_h Σ_g (ψ⁺ + ψ⁻) + d_h WHT(ψ⁺ − ψ⁻)_h],
 *           ψ = η (f − c_i − λ_ic η)/(s²|hidden|²) + λ_ic, η = e t_gc n_c + N_gc,
 *           λ_ic = Σ' n_c G_{d1+c}/(Σ' n_c² + 1e-3 s² Σ (a² + d²)), c_i: mean f of the others
 *   The first-order part is (Aᵀ D1, D2).
 *
 * Symbols: K blocks i; the rest: walsh-row.ts.
 */

import { walsh } from "../linear/transform";
import { classes, job, layerOffset, width } from "../machine/context";
import { KAPPA_RIDGE, LAMBDA_RIDGE } from "../machine/job";
import { fma, least, set, sum } from "../machine/lanes";
import { barrier, shareBegin, shareEnd } from "../machine/team";
import { takeFloats, takeOwn, takeOwnFloats } from "../machine/workspace";
import {
  forward,
  passBytes,
  rowLosses,
  setPass,
  setSample,
  signal,
  stride,
  takePass,
} from "../network/dense";
import { firstProduct, loadRows } from "../network/rows";
import { base, rows } from "./sampled-point";
import { inside, length, m, rowOf, scale2, signs, used, vectors, WalshRow } from "./walsh-row";

/** Rows that are worked off at a time. */
let atOnce: u32 = 0;
/** A transform's scratch, this thread's. */
let scratch: usize = 0;
/** Each row's loss at x (B): the level of a block without others; and this thread's pass for them. */
let center: usize = 0;
let passHead: usize = 0;
let passMemory: usize = 0;

export function takeRowSplitWalsh(rowsAtOnce: u32): void {
  atOnce = rowsAtOnce;
  scratch = takeOwnFloats(length);
  center = takeFloats(job.batchSize);
  passHead = takePass();
  passMemory = takeOwn(passBytes(atOnce));
}

/** Row b of D1 from a group's blocks: the sum of the parts of blocks from … to − 1 times scale, added to `c` (length). */
export function firstLayerRow(count: u32, from: u32, to: u32, variance: f32, scale: f32, c: usize): void {
  const inverse = set(1 / variance);
  const ridge = set(f32(KAPPA_RIDGE) * variance);
  const factor = set(scale);
  // y is zero past w1
  for (let at: usize = 0; at < 4 * width(1); at += 16) {
    let products = set(0);
    let squares = set(0);
    let total = set(0);
    for (let i: u32 = 0; i < count; i++) {
      const y = v128.load(rowOf(i).y + at);
      products = fma(y, v128.load(rowOf(i).means + at), products);
      squares = fma(y, y, squares);
    }
    for (let i = from; i < to; i++) {
      const y = v128.load(rowOf(i).y + at);
      const product = f32x4.mul(y, v128.load(rowOf(i).means + at));
      const square = f32x4.mul(y, y);
      let share = f32x4.mul(product, inverse);
      if (count > 1) {
        const others = f32x4.add(f32x4.sub(squares, square), ridge);
        const kappa = f32x4.div(f32x4.sub(products, product), others);
        share = f32x4.sub(share, f32x4.mul(kappa, f32x4.sub(f32x4.mul(square, inverse), set(1))));
      }
      total = f32x4.add(total, share);
    }
    v128.store(c + at, fma(factor, total, v128.load(c + at)));
  }
}

/** out ← ψ⁺ − ψ⁻ of one block and class; returns Σ (ψ⁺ + ψ⁻). */
function psi(row: WalshRow, c: u32, slope: f32, level: f32, out: usize): f32 {
  const lambda = set(slope);
  const noise = set(load<f32>(row.n + 4 * c));
  const mean = set(level);
  const flips = signs + 4 * c * length;
  const parts = row.noise + 4 * c * length;
  const half: usize = 4 * length;
  const losses = row.losses;
  const inverse = row.inverse;
  const mask = inside;
  let total = set(0);
  for (let i: usize = 0; i < half; i += 16) {
    const own = v128.load(parts + i);
    const flipped = f32x4.mul(noise, v128.load(flips + i));
    let eta = f32x4.add(own, flipped);
    let rest = f32x4.sub(f32x4.sub(v128.load(losses + i), mean), f32x4.mul(lambda, eta));
    const plus = v128.and(mask, fma(f32x4.mul(eta, rest), v128.load(inverse + i), lambda));
    eta = f32x4.sub(own, flipped);
    rest = f32x4.sub(f32x4.sub(v128.load(losses + half + i), mean), f32x4.mul(lambda, eta));
    const minus = v128.and(mask, fma(f32x4.mul(eta, rest), v128.load(inverse + half + i), lambda));
    total = f32x4.add(total, f32x4.add(plus, minus));
    v128.store(out + i, f32x4.sub(plus, minus));
  }
  return sum(total);
}

/** Row b's share of D2 from a group's blocks: the sum of the parts of blocks first … last − 1 times scale, added to `to` by classes. */
export function secondLayerRow(b: u32, count: u32, first: u32, last: u32, scale: f32, to: usize): void {
  const level = load<f32>(center + 4 * b);
  const units = width(1);
  const factor = scale / (f32(m) * 2);
  let levels: f32 = 0;
  for (let i: u32 = 0; i < count; i++) levels += rowOf(i).mean;
  for (let c: u32 = 0; c < classes(); c++, to += 4 * length) {
    let products: f32 = 0;
    let squares: f32 = 0;
    for (let i: u32 = 0; i < count; i++) {
      const n = load<f32>(rowOf(i).n + 4 * c);
      products += n * load<f32>(rowOf(i).means + 4 * (units + c));
      squares += n * n;
    }
    for (let i = first; i < last; i++) {
      const row = rowOf(i);
      const n = load<f32>(row.n + 4 * c);
      let slope: f32 = 0;
      if (count > 1)
        slope =
          (products - n * load<f32>(row.means + 4 * (units + c))) /
          (squares - n * n + f32(LAMBDA_RIDGE) * scale2 * row.own);
      const others = count > 1 ? (levels - row.mean) / f32(count - 1) : level;
      const even = set(factor * psi(row, c, slope, others, scratch));
      walsh(scratch, vectors);
      const odd = set(factor);
      const a = row.a;
      const d = row.d;
      for (let at: usize = 0; at < 16 * used; at += 16) {
        const own = fma(even, v128.load(a + at), v128.load(to + at));
        v128.store(to + at, fma(f32x4.mul(odd, v128.load(scratch + at)), v128.load(d + at), own));
      }
    }
  }
}

/** Each row's loss at x. Ends with a barrier. */
export function walshCenter(): void {
  const size = job.batchSize;
  const row = stride(1);
  const pass = setPass(passHead, passMemory, atOnce, true);
  const end = shareEnd(size, atOnce);
  for (let first = shareBegin(size, atOnce); first < end; first += atOnce) {
    const count = least(atOnce, end - first);
    const at = job.projected ? first : 0;
    if (job.projected) {
      for (let r: u32 = 0; r < count; r++)
        memory.copy(signal(pass, 1) + 4 * r * row, base + 4 * (first + r) * length, 4 * width(1));
    } else {
      loadRows(rows, 0, first, count);
      firstProduct(rows, 0, count, job.parameters, width(1), signal(pass, 1), row);
    }
    forward(job.parameters + 4 * layerOffset(2), pass, 0, count);
    setSample(2 * m * job.blocks);
    rowLosses(rows, at, pass, 0, count, 0);
    memory.copy(center + 4 * first, pass.rowLoss, 4 * count);
  }
  barrier();
}
