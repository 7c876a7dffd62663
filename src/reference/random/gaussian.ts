/**
 * Standard normals from Philox words by Box–Muller, in float32, bit-identical on every backend.
 *
 * Two words give two normals: r = √(−2 ln u), angle 2πv, out = r sin, r cos, with
 * u = fround(fround(c · 2⁻³²) + 2⁻³³) in (0, 1] from the first word and v = c' · 2⁻³² from the second. Words
 * 0 and 1 of a block make pair 0, words 2 and 3 pair 1. Sixteen blocks make a group of 64 normals,
 *
 *     out[64·group + 32·pair + 16·(0 sine, 1 cosine) + lane],   lane = block mod 16,
 *
 * which suits 4, 8 and 16 lanes without a transpose. Every operation below is one float32 operation rounded
 * once (`f` = Math.fround). The backends fuse a product and a sum only where the product is exact, and move powers of
 * two to where they cost nothing: neither changes a bit.
 * Largest error against double precision: see docs/random-numbers.md.
 *
 * What this file leaves out: speed. `native/cpu/random/gaussian-inl.h` is the fast one.
 */
import { zeros } from "../machine/memory.ts";
import { philoxBlock } from "./philox.ts";
import type { Key } from "./streams.ts";

/** Taken out once: looking up a global for each call is ten times slower under jest. */
const { fround: f, sqrt } = Math;

/** (ln(1 + t) − t + t²/2)/t³ on [√½ − 1, √2 − 1]; minimax, error 7e-10 · |t²|. Lowest power first. */
const LOG = [
  0.3333331, -0.24999987, 0.20002227, -0.1666925, 0.14218655, -0.1238437, 0.118730165, -0.11789696,
  0.06915147,
].map(f);
const LN2_HIGH = f(0.693359375); // 9 bits, so that its product with an exponent is exact
const LN2_LOW = f(-2.1219444e-4);
const SQRT_HALF_BITS = 0x3f3504f3;

/** sin(π/2 · t) = t(HIGH + (LOW + t²(…))), |t| ≤ 1/2; relative error 4e-9. */
const HALF_PI_HIGH = f(1.5707963705062866);
const HALF_PI_LOW = f(-4.371139e-8);
const SIN = [-0.64596367, 0.079681575, -0.0046053096].map(f);
/** cos(π/2 · t) = 1 + t²(…), |t| ≤ 1/2; relative error 7e-11. */
const COS = [-1.2337005, 0.25366923, -0.020860165, 0.00090376654].map(f);

const floatView = new Float32Array(1);
const bitsView = new Int32Array(floatView.buffer);

/** √(−2 ln u) for the unsigned word c, u = fround(fround(c · 2⁻³²) + 2⁻³³). */
export function radius(word: number): number {
  const u = f(f(f(word) * 2 ** -32) + 2 ** -33);
  // u = 2^exponent · (1 + t) with 1 + t in [√½, √2): taken from the bits, exact.
  floatView[0] = u;
  const shifted = bitsView[0] - SQRT_HALF_BITS;
  const exponent = shifted >> 23;
  bitsView[0] = (shifted & 0x7fffff) + SQRT_HALF_BITS;
  const t = f(floatView[0] - 1);
  let p = LOG[8];
  for (let i = 7; i >= 0; i--) p = f(f(p * t) + LOG[i]);
  const t2 = f(t * t);
  const e = f(exponent);
  let y = f(f(f(p * t2) * t) + f(e * LN2_LOW));
  y = f(y - f(0.5 * t2));
  const ln = f(f(t + y) + f(e * LN2_HIGH));
  return f(sqrt(f(-2 * ln)));
}

/** [sin, cos] of the angle 2π · word · 2⁻³². */
export function sineCosine(word: number): [number, number] {
  // The nearest quarter turn q, and the rest t in quarter turns, |t| ≤ 1/2: exact in integers.
  const q = ((word + 0x20000000) >>> 0) >>> 30;
  const t = f(f((word - (q << 30)) | 0) * 2 ** -30);
  const t2 = f(t * t);
  let ps = SIN[2];
  for (let i = 1; i >= 0; i--) ps = f(f(ps * t2) + SIN[i]);
  ps = f(f(ps * t2) + HALF_PI_LOW);
  const s = f(f(t * HALF_PI_HIGH) + f(t * ps));
  let pc = COS[3];
  for (let i = 2; i >= 0; i--) pc = f(f(pc * t2) + COS[i]);
  const c = f(1 + f(pc * t2));
  const sine = q & 1 ? c : s;
  const cosine = q & 1 ? s : c;
  return [q & 2 ? -sine : sine, (q + 1) & 2 ? -cosine : cosine];
}

/**
 * The first `count` standard normals of a stream.
 *
 * @param key the seed's two words
 * @param stream number of the stream (see `streams.ts`)
 * @param update k, zero-based
 * @param index the sample, chain step or block, zero-based
 * @param count how many; the generator works in groups of 64 and drops the rest
 * @returns Float64Array(count) whose entries are float32 values
 */
export function gaussian(
  key: Key,
  stream: number,
  update: number,
  index: number,
  count: number,
): Float64Array {
  const out = zeros(count);
  const words = new Uint32Array(4);
  const put = (at: number, value: number) => {
    if (at < count) out[at] = value;
  };
  for (let block = 0; 64 * (block >> 4) < count; block++) {
    const at = 64 * (block >> 4) + (block & 15);
    philoxBlock(block, index, update, stream, key[0], key[1], words);
    for (let pair = 0; pair < 2; pair++) {
      const r = radius(words[2 * pair]);
      const [sine, cosine] = sineCosine(words[2 * pair + 1]);
      put(at + 32 * pair, f(r * sine));
      put(at + 32 * pair + 16, f(r * cosine));
    }
  }
  return out;
}
