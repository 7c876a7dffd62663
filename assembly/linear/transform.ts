/**
 * The Walsh–Hadamard transform of m values, m a power of two: WHT(v)_g = Σ_h s_gh v_h with the signs of Sylvester's matrix,
 * s_gh = (−1)^popcount(g & h), in natural order and unnormalized: log2 m stages of sums and differences.
 *
 * In place, in passes through the first cache: the two stages within a vector and three more, then three at a time.
 */
import { fma } from "../machine/lanes";

/** Inlined wherever they are called, which only methods can be told to be. */
class Butterfly {
  /** Both stages within a vector. Times ±1 is exact, so fused or not gives the same. */
  @inline
  static withinVector(x: v128): v128 {
    let swapped = v128.shuffle<u32>(x, x, 1, 0, 3, 2);
    if (ASC_FEATURE_RELAXED_SIMD) x = fma(x, f32x4(1, -1, 1, -1), swapped);
    else x = f32x4.add(swapped, v128.xor(x, i32x4(0, 0x80000000, 0, 0x80000000)));
    swapped = v128.shuffle<u32>(x, x, 2, 3, 0, 1);
    if (ASC_FEATURE_RELAXED_SIMD) return fma(x, f32x4(1, 1, -1, -1), swapped);
    return f32x4.add(swapped, v128.xor(x, i32x4(0, 0, 0x80000000, 0x80000000)));
  }

  /** Three stages on eight vectors `step` bytes apart; before them, where `first`, those within each vector. */
  @inline
  static eight(p0: usize, step: usize, first: bool): void {
    const p4 = p0 + 4 * step;
    let a0 = v128.load(p0);
    let a1 = v128.load(p0 + step);
    let a2 = v128.load(p0 + 2 * step);
    let a3 = v128.load(p0 + 3 * step);
    if (first) {
      a0 = Butterfly.withinVector(a0);
      a1 = Butterfly.withinVector(a1);
      a2 = Butterfly.withinVector(a2);
      a3 = Butterfly.withinVector(a3);
    }
    let b0 = f32x4.add(a0, a1);
    let b1 = f32x4.sub(a0, a1);
    let b2 = f32x4.add(a2, a3);
    let b3 = f32x4.sub(a2, a3);
    const c0 = f32x4.add(b0, b2);
    const c1 = f32x4.add(b1, b3);
    const c2 = f32x4.sub(b0, b2);
    const c3 = f32x4.sub(b1, b3);
    a0 = v128.load(p4);
    a1 = v128.load(p4 + step);
    a2 = v128.load(p4 + 2 * step);
    a3 = v128.load(p4 + 3 * step);
    if (first) {
      a0 = Butterfly.withinVector(a0);
      a1 = Butterfly.withinVector(a1);
      a2 = Butterfly.withinVector(a2);
      a3 = Butterfly.withinVector(a3);
    }
    b0 = f32x4.add(a0, a1);
    b1 = f32x4.sub(a0, a1);
    b2 = f32x4.add(a2, a3);
    b3 = f32x4.sub(a2, a3);
    a0 = f32x4.add(b0, b2);
    a1 = f32x4.add(b1, b3);
    a2 = f32x4.sub(b0, b2);
    a3 = f32x4.sub(b1, b3);
    v128.store(p0, f32x4.add(c0, a0));
    v128.store(p0 + step, f32x4.add(c1, a1));
    v128.store(p0 + 2 * step, f32x4.add(c2, a2));
    v128.store(p0 + 3 * step, f32x4.add(c3, a3));
    v128.store(p4, f32x4.sub(c0, a0));
    v128.store(p4 + step, f32x4.sub(c1, a1));
    v128.store(p4 + 2 * step, f32x4.sub(c2, a2));
    v128.store(p4 + 3 * step, f32x4.sub(c3, a3));
  }
}

/** One stage on pairs of vectors `step` bytes apart. */
function pairs(data: usize, end: usize, step: usize): void {
  for (let block = data; block < end; block += 2 * step) {
    for (let p = block; p < block + step; p += 16) {
      const a = v128.load(p);
      const b = v128.load(p + step);
      v128.store(p, f32x4.add(a, b));
      v128.store(p + step, f32x4.sub(a, b));
    }
  }
}

/** WHT of `vectors` vectors at `data`, in place. */
export function walsh(data: usize, vectors: u32): void {
  const end = data + 16 * vectors;
  let step: usize = 16;
  if (vectors < 8) {
    for (let p = data; p < end; p += 16) v128.store(p, Butterfly.withinVector(v128.load(p)));
  } else {
    for (let p = data; p < end; p += 128) Butterfly.eight(p, 16, true);
    step = 128;
    for (; step * 8 <= end - data; step *= 8) {
      for (let block = data; block < end; block += 8 * step) {
        for (let p = block; p < block + step; p += 16) Butterfly.eight(p, step, false);
      }
    }
  }
  for (; data + step < end; step *= 2) pairs(data, end, step);
}
