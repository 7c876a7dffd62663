/**
 * Standard normals from Philox words by Box–Muller, in float32, bit-identical to src/reference/random/gaussian.ts, which
 * explains the arithmetic: r = √(−2 ln u), out = r sin 2πv, r cos 2πv.
 *
 * Sixteen blocks make a group of 64 normals. The words are written where the normals will stand and are replaced
 * in place, so no scratch memory is needed:
 *
 *     words    | word 0 of 16 blocks | word 1 | word 2 | word 3 |
 *     normals  | r₀ sin              | r₀ cos | r₁ sin | r₁ cos |      16 lanes each
 */
import { CHUNK_BLOCKS, philoxChunks } from "./philox";

const GROUP_BLOCKS: u32 = 16;
const GROUP_BYTES: usize = 256;
/** Bytes from a word's lanes to the next word's. */
const WORD_BYTES: usize = 64;

const SQRT_HALF_BITS: i32 = 0x3f3504f3;
const EXPONENT_BITS: i32 = 0xff800000;
const SIGN_BIT: i32 = 0x80000000;
/** Twice ln 2, in two parts, for exponents that are 2²³ times as large. */
const LN2_HIGH: f32 = 1.6530975699424744e-7;
const LN2_LOW: f32 = -5.059109728366984e-11;
const HALF_PI_HIGH: f32 = 1.5707963705062866;
const HALF_PI_LOW: f32 = -4.371139e-8;

/** p · t + c in two roundings: a product and a sum are never contracted (the relaxed fused form would be). */
function multiplyThenAdd(p: v128, t: v128, c: f32): v128 {
  return f32x4.add(f32x4.mul(p, t), f32x4.splat(c));
}

/** √(−2 ln u), u = fround(fround(c · 2⁻³²) + 2⁻³³), of four unsigned words c. */
function radius(word: v128): v128 {
  const u = f32x4.add(
    f32x4.mul(f32x4.convert_i32x4_u(word), f32x4.splat(2.3283064365386963e-10)),
    f32x4.splat(1.1641532182693481e-10),
  );
  // u = 2ⁿ (1 + t), 1 + t in [√½, √2); e = 2²³ n. From here on all is twice the reference's, which changes no rounding.
  const exponent = v128.and(i32x4.sub(u, i32x4.splat(SQRT_HALF_BITS)), i32x4.splat(EXPONENT_BITS));
  const e = f32x4.convert_i32x4_s(exponent);
  const t = f32x4.sub(i32x4.sub(u, exponent), f32x4.splat(1));
  let p = multiplyThenAdd(f32x4.splat(2 * 0.06915147), t, 2 * -0.11789696);
  p = multiplyThenAdd(p, t, 2 * 0.118730165);
  p = multiplyThenAdd(p, t, 2 * -0.1238437);
  p = multiplyThenAdd(p, t, 2 * 0.14218655);
  p = multiplyThenAdd(p, t, 2 * -0.1666925);
  p = multiplyThenAdd(p, t, 2 * 0.20002227);
  p = multiplyThenAdd(p, t, 2 * -0.24999987);
  p = multiplyThenAdd(p, t, 2 * 0.3333331);
  const t2 = f32x4.mul(t, t);
  let y = f32x4.add(f32x4.mul(f32x4.mul(p, t2), t), f32x4.mul(e, f32x4.splat(LN2_LOW)));
  y = f32x4.add(f32x4.add(t, t), f32x4.sub(y, t2));
  return f32x4.sqrt(f32x4.sub(f32x4.mul(e, f32x4.splat(-LN2_HIGH)), y));
}

/** Replaces the words at `pointer` (radius) and `pointer + WORD_BYTES` (angle) of four lanes by two normals each. */
function boxMuller(pointer: usize): void {
  const r = radius(v128.load(pointer));
  const angle = v128.load(pointer, WORD_BYTES);
  // The nearest quarter turn is the top two bits of q; t, in quarter turns, |t| ≤ 1/2, is what the other bits say.
  const q = i32x4.add(angle, i32x4.splat(0x20000000));
  const t = f32x4.mul(f32x4.convert_i32x4_s(i32x4.shl(angle, 2)), f32x4.splat(2.3283064365386963e-10));
  const t2 = f32x4.mul(t, t);
  let ps = multiplyThenAdd(f32x4.splat(-0.0046053096), t2, 0.079681575);
  ps = multiplyThenAdd(ps, t2, -0.64596367);
  ps = multiplyThenAdd(ps, t2, HALF_PI_LOW);
  const s = f32x4.add(f32x4.mul(t, f32x4.splat(HALF_PI_HIGH)), f32x4.mul(t, ps));
  let pc = multiplyThenAdd(f32x4.splat(0.00090376654), t2, -0.020860165);
  pc = multiplyThenAdd(pc, t2, 0.25366923);
  pc = multiplyThenAdd(pc, t2, -1.2337005);
  const c = f32x4.add(f32x4.splat(1), f32x4.mul(pc, t2));
  // Odd quarters exchange sine and cosine; their signs are the top bits of q and of q and a quarter turn.
  const odd = i32x4.shr_s(i32x4.shl(q, 1), 31);
  const sineSign = v128.and(q, i32x4.splat(SIGN_BIT));
  const cosineSign = v128.and(i32x4.add(q, i32x4.splat(0x40000000)), i32x4.splat(SIGN_BIT));
  v128.store(pointer, f32x4.mul(r, v128.xor(v128.bitselect(c, s, odd), sineSign)));
  v128.store(pointer, f32x4.mul(r, v128.xor(v128.bitselect(s, c, odd), cosineSign)), WORD_BYTES);
}

/** Groups `group` … `group + groups − 1` (64 normals each) of (stream, update, index) under the key, to `pointer`. */
export function gaussianGroups(
  key0: u32,
  key1: u32,
  stream: u32,
  update: u32,
  index: u32,
  group: u32,
  groups: u32,
  pointer: usize,
): void {
  const end = pointer + GROUP_BYTES * groups;
  for (let block = GROUP_BLOCKS * group; pointer < end; block += GROUP_BLOCKS) {
    for (let first: u32 = 0; first < GROUP_BLOCKS; first += CHUNK_BLOCKS) {
      philoxChunks(block + first, index, update, stream, key0, key1, pointer + 4 * first, GROUP_BLOCKS);
    }
    for (let pair: usize = 0; pair < GROUP_BYTES; pair += 2 * WORD_BYTES) {
      for (let lane: usize = 0; lane < WORD_BYTES; lane += 16) boxMuller(pointer + pair + lane);
    }
    pointer += GROUP_BYTES;
  }
}

/**
 * The first `count` normals of (stream, update, index) under the key, as floats from `pointer` on.
 *
 * Whole groups are written: `pointer` must have room for `count` rounded up to 64, and what lies past `count` is
 * the stream's further normals.
 */
export function gaussian(
  key0: u32,
  key1: u32,
  stream: u32,
  update: u32,
  index: u32,
  count: u32,
  pointer: usize,
): void {
  gaussianGroups(key0, key1, stream, update, index, 0, (count + 63) / 64, pointer);
}
