/**
 * exp, 2^x, log(1 + x) and tanh of four lanes, by polynomials fitted on Chebyshev nodes. The bounds in ulp are asserted
 * in test/backends/wasm-math.test.ts against double precision.
 */
import { fma, max, min, set } from "../machine/lanes";

/** e^x, at most 2 ulp for |x| ≤ 87; 0 below −87.3, e^88.3 above 88.3; NaN stays NaN. x = n ln 2 + r, |r| ≤ ln 2/2. */
export function exp(value: v128): v128 {
  const vanishes = f32x4.lt(value, set(-87.3));
  const x = max(set(-87.3), min(set(88.3), value));
  const n = f32x4.nearest(f32x4.mul(x, set(f32(Math.LOG2E))));
  // In two roundings on purpose: n times the first constant is exact.
  let r = f32x4.add(x, f32x4.mul(n, set(-0.693359375)));
  r = fma(n, set(2.1219444e-4), r);
  let q = fma(set(1.3934545e-3), r, set(8.36377684e-3));
  q = fma(q, r, set(4.16664556e-2));
  q = fma(q, r, set(0.166665733));
  q = fma(q, r, set(0.5));
  const y = f32x4.add(fma(q, f32x4.mul(r, r), r), set(1));
  const scale = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(y, scale), vanishes);
}

/** Inlined wherever it is called, which only a method can be told to be. */
export class Inline {
  /**
   * 2^x, at most 3 ulp for −126 ≤ x ≤ 127; 2^−126 below and 2^127 above; NaN stays NaN. For sums beside which 2^−126 is
   * nothing. x = n + r, |r| ≤ 1/2; n stands in the low bits of x + 1.5 · 2^23.
   */
  @inline
  static exp2(value: v128): v128 {
    const x = max(set(-126), min(set(127), value));
    const shifted = f32x4.add(x, set(12582912));
    const r = f32x4.sub(x, f32x4.sub(shifted, set(12582912)));
    let y = fma(set(1.32398459e-3), r, set(9.67452209e-3));
    y = fma(y, r, set(5.55085391e-2));
    y = fma(y, r, set(0.24022153));
    y = fma(y, r, set(0.693146825));
    y = fma(y, r, set(1));
    return i32x4.add(y, i32x4.shl(shifted, 23));
  }
}

/** log(1 + x) for 0 ≤ x < 1e9, at most 2 ulp; NaN stays NaN. With u = 1 + x rounded: log u + (x − (u − 1))/u. */
export function log1p(x: v128): v128 {
  const u = f32x4.add(x, set(1));
  const lost = f32x4.div(f32x4.sub(x, f32x4.sub(u, set(1))), u);
  const shifted = i32x4.sub(u, i32x4.splat(0x3f3504f3)); // u = 2^e (1 + t), 1 + t in [√½, √2)
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(shifted, 23));
  const mantissa = i32x4.add(v128.and(shifted, i32x4.splat(0x7fffff)), i32x4.splat(0x3f3504f3));
  const t = f32x4.sub(mantissa, set(1));
  let p = fma(set(0.06915147), t, set(-0.11789696));
  p = fma(p, t, set(0.118730165));
  p = fma(p, t, set(-0.1238437));
  p = fma(p, t, set(0.14218655));
  p = fma(p, t, set(-0.1666925));
  p = fma(p, t, set(0.20002227));
  p = fma(p, t, set(-0.24999987));
  p = fma(p, t, set(0.3333331));
  const t2 = f32x4.mul(t, t);
  let y = fma(f32x4.mul(p, t2), t, f32x4.mul(e, set(-2.1219444e-4)));
  y = f32x4.add(fma(set(-0.5), t2, y), lost);
  return f32x4.add(fma(e, set(0.693359375), f32x4.add(y, t)), f32x4.sub(x, x));
}

/** tanh(x), at most 3 ulp. |x| < 0.63: x + x³ g(x²); beyond: 1 − 2/(e^{2|x|} + 1), which is 1 from 9.1 on. */
export function tanh(x: v128): v128 {
  const sign = v128.and(x, i32x4.splat(0x80000000));
  const size = v128.xor(x, sign);
  const z = f32x4.mul(x, x);
  let g = fma(set(-6.05369732e-3), z, set(2.09681876e-2));
  g = fma(g, z, set(-5.38449883e-2));
  g = fma(g, z, set(0.133327335));
  g = fma(g, z, set(-0.333333284));
  const small = fma(f32x4.mul(g, z), x, x);
  const twice = min(set(20), f32x4.add(size, size));
  const big = f32x4.sub(set(1), f32x4.div(set(2), f32x4.add(exp(twice), set(1))));
  return v128.bitselect(small, v128.or(big, sign), f32x4.lt(size, set(0.63)));
}

/** e^x − 1 − x, at most 4 ulp for |x| ≤ 0.5, by its series; beyond by exp. */
export function expRemainder(x: v128): v128 {
  let p = fma(set(2.7557319e-7), x, set(2.7557319e-6));
  p = fma(p, x, set(2.4801587e-5));
  p = fma(p, x, set(1.984127e-4));
  p = fma(p, x, set(1.3888889e-3));
  p = fma(p, x, set(8.3333333e-3));
  p = fma(p, x, set(4.1666667e-2));
  p = fma(p, x, set(0.16666667));
  p = fma(p, x, set(0.5));
  const far = f32x4.sub(f32x4.sub(exp(x), set(1)), x);
  return v128.bitselect(f32x4.mul(f32x4.mul(p, x), x), far, f32x4.lt(f32x4.abs(x), set(0.5)));
}

// Double precision, a few ulp, for what is done once a sample: the library's own would bring tables in memory.

/** ln 2 in two parts; n times the first is exact. */
const LN2_HIGH: f64 = 0.6931471803691238;
const LN2_LOW: f64 = 1.9082149292705877e-10;

/** e^x: x = n ln 2 + r, the exponential's series of r. 0 below −708, infinite above 709. */
export function expDouble(x: f64): f64 {
  if (isNaN(x)) return x;
  if (x < -708) return 0;
  if (x > 709) return Infinity;
  const n = nearest(x * Math.LOG2E);
  const r = x - n * LN2_HIGH - n * LN2_LOW;
  let y: f64 = 1;
  for (let k: f64 = 14; k > 0; k -= 1) y = 1 + (y * r) / k;
  return y * reinterpret<f64>((i64(n) + 1023) << 52);
}

/** e^x − 1: its series near 0, where the difference cancels. */
export function expm1Double(x: f64): f64 {
  if (!(abs(x) < 0.5)) return expDouble(x) - 1;
  let y: f64 = 0;
  for (let k: f64 = 17; k > 0; k -= 1) y = (1 + y) * (x / k);
  return y;
}

/** log x of a normal x > 0: x = 2^e m, m in [√½, √2), log m = 2 artanh((m − 1)/(m + 1)). */
export function logDouble(x: f64): f64 {
  const shifted = reinterpret<i64>(x) - 0x3fe6a09e00000000;
  const e = f64(shifted >> 52);
  const m = reinterpret<f64>((shifted & 0xfffffffffffff) + 0x3fe6a09e00000000);
  const f = (m - 1) / (m + 1);
  const f2 = f * f;
  let y: f64 = 0;
  for (let k: f64 = 25; k > 0; k -= 2) y = y * f2 + 1 / k;
  return e * LN2_HIGH + (2 * f * y + e * LN2_LOW);
}

/** x^n by squaring. */
export function power(x: f64, n: u64): f64 {
  let y: f64 = 1;
  for (; n > 0; n >>= 1, x *= x) {
    if (n & 1) y *= x;
  }
  return y;
}
