/**
 * The Walsh–Hadamard transform: products with a symmetric matrix of signs, s_gh = (−1)^popcount(g & h), by sums and
 * differences.
 *
 * What this file leaves out: speed.
 */

/** s_gh = (−1)^popcount(g & h). */
export function walshSign(g: number, h: number): 1 | -1 {
  let bits = g & h;
  let odd = 0;
  for (; bits !== 0; bits &= bits - 1) odd ^= 1;
  return odd ? -1 : 1;
}

/** WHT(v) of m values, m a power of two: log₂ m passes of sums and differences, unnormalized. */
export function walshTransform(v: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(v);
  for (let step = 1; step < out.length; step *= 2) {
    for (let g = 0; g < out.length; g++) {
      if (g & step) continue;
      const [low, high] = [out[g], out[g + step]];
      out[g] = low + high;
      out[g + step] = low - high;
    }
  }
  return out;
}
