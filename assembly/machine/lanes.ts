/**
 * Vectors of four float32 lanes, and the names that the kernels use for them.
 *
 * Arrays may be read up to 64 bytes past their end (the host's part of the contract), so partial vectors are loaded
 * whole; they are stored lane by lane, since what follows may be another array.
 */
export const LANES: u32 = 4;

export function set(x: f32): v128 {
  return f32x4.splat(x);
}

/** a b + c: rounded once where the build may, else twice. Never used in gaussian.ts. */
export function fma(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** The greater lanes; the second's where one is NaN or both are equal, as processors do. */
export function max(a: v128, b: v128): v128 {
  return f32x4.pmax(b, a);
}

export function min(a: v128, b: v128): v128 {
  return f32x4.pmin(b, a);
}

export function sum(a: v128): f32 {
  const x = f32x4.add(a, v128.shuffle<u32>(a, a, 2, 3, 0, 1));
  return f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1);
}

export function largest(a: v128): f32 {
  const x = max(a, v128.shuffle<u32>(a, a, 2, 3, 0, 1));
  const first = f32x4.extract_lane(x, 0);
  const second = f32x4.extract_lane(x, 1);
  return first > second ? first : second;
}

/** All bits of lanes 0 … n − 1. */
export function firstLanes(n: u32): v128 {
  return i32x4.lt_u(i32x4(0, 1, 2, 3), i32x4.splat(n));
}

/** Lanes 0 … n − 1 of x to p, n < 4. */
export function storeFirst(p: usize, n: u32, x: v128): void {
  if (n === 1) {
    v128.store32_lane(p, x, 0);
    return;
  }
  if (n === 0) return;
  v128.store64_lane(p, x, 0);
  if (n === 3) v128.store32_lane(p, x, 2, 8);
}

/** Lanes 0 … n − 1 of x to p; all of them where n ≥ 4. */
export function storeSome(p: usize, n: u32, x: v128): void {
  if (n >= LANES) v128.store(p, x);
  else storeFirst(p, n, x);
}

/** out = a + s b, elementwise over `count` floats. */
export function addScaled(a: usize, s: f32, b: usize, count: u32, out: usize): void {
  const scale = set(s);
  const end = out + 4 * (count & ~3);
  for (; out < end; out += 16, a += 16, b += 16) v128.store(out, fma(scale, v128.load(b), v128.load(a)));
  if (count & 3) storeFirst(out, count & 3, fma(scale, v128.load(b), v128.load(a)));
}

/** out = s a over `count` floats. */
export function multiply(s: f32, a: usize, count: u32, out: usize): void {
  const scale = set(s);
  const end = out + 4 * (count & ~3);
  for (; out < end; out += 16, a += 16) v128.store(out, f32x4.mul(scale, v128.load(a)));
  if (count & 3) storeFirst(out, count & 3, f32x4.mul(scale, v128.load(a)));
}

/** |a|², `count` floats in float32 lanes. */
export function squaredNorm(a: usize, count: u32): f32 {
  let total = set(0);
  const end = a + 4 * (count & ~3);
  for (; a < end; a += 16) {
    const x = v128.load(a);
    total = fma(x, x, total);
  }
  if (count & 3) {
    const x = v128.and(v128.load(a), firstLanes(count & 3));
    total = fma(x, x, total);
  }
  return sum(total);
}

/** |a|²: blocks of 4,096 in float32 lanes, summed in float64 in order. */
export function squaredLength(a: usize, count: u32): f64 {
  let total: f64 = 0;
  for (let i: u32 = 0; i < count; i += 4096) total += f64(squaredNorm(a + 4 * i, least(4096, count - i)));
  return total;
}

/** Whether all of `count` floats are finite. */
export function allFinite(a: usize, count: u32): bool {
  let wrong = set(0); // NaN where one is not: infinity times zero is
  const end = a + 4 * (count & ~3);
  for (; a < end; a += 16) wrong = f32x4.add(wrong, f32x4.mul(v128.load(a), set(0)));
  const rest = v128.and(v128.load(a), firstLanes(count & 3));
  wrong = f32x4.add(wrong, f32x4.mul(rest, set(0)));
  return sum(wrong) === 0;
}

export function least(a: u32, b: u32): u32 {
  return a < b ? a : b;
}

export function most(a: u32, b: u32): u32 {
  return a > b ? a : b;
}

export function roundUp(n: u32, unit: u32): u32 {
  return ((n + unit - 1) / unit) * unit;
}

/** to (columns × rows) ← from (rows × columns), both row-major with their strides in floats. */
export function transpose(from: usize, rows: u32, columns: u32, fromRow: u32, to: usize, toRow: u32): void {
  for (let i: u32 = 0; i < rows; i++) {
    const source = from + 4 * i * fromRow;
    const target = to + 4 * i;
    for (let j: u32 = 0; j < columns; j++) store<f32>(target + 4 * j * toRow, load<f32>(source + 4 * j));
  }
}
