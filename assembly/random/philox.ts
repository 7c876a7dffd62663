/**
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011), four blocks to a v128, two of those at a time.
 *
 * Each round multiplies two of a block's four words by a constant, to 64 bits, and mixes the halves. WASM has no
 * "high word of a product", so a product is taken in two halves of two lanes (extmul) and its words sorted by a
 * shuffle. Two independent chunks of four lanes hide the multiplier's latency; four spill.
 */
const MULTIPLIER_0: u32 = 0xd2511f53;
const MULTIPLIER_1: u32 = 0xcd9e8d57;
const WEYL_0: u32 = 0x9e3779b9;
const WEYL_1: u32 = 0xbb67ae85;
const ROUNDS: u32 = 10;

/** Lanes of a chunk, and blocks that `philoxChunks` makes. */
const LANES: u32 = 4;
export const CHUNK_BLOCKS: u32 = 2 * LANES;

/** Low words of the four 64-bit products in `low` (lanes 0, 1) and `high` (lanes 2, 3). */
function lowWords(low: v128, high: v128): v128 {
  return v128.shuffle<u32>(low, high, 0, 2, 4, 6);
}

/** High words of the same. */
function highWords(low: v128, high: v128): v128 {
  return v128.shuffle<u32>(low, high, 1, 3, 5, 7);
}

/**
 * Blocks `block` … `block + 7` of the counter (block, index, update, stream).
 *
 * Word w of the block in lane l goes to the 32-bit place `pointer + 4 (stride · w + l)`, l = 0 … 7.
 */
export function philoxChunks(
  block: u32,
  index: u32,
  update: u32,
  stream: u32,
  key0: u32,
  key1: u32,
  pointer: usize,
  stride: u32,
): void {
  const m0 = i32x4.splat(MULTIPLIER_0);
  const m1 = i32x4.splat(MULTIPLIER_1);
  let a0 = i32x4.add(i32x4.splat(block), i32x4(0, 1, 2, 3));
  let a1 = i32x4.splat(index);
  let a2 = i32x4.splat(update);
  let a3 = i32x4.splat(stream);
  let b0 = i32x4.add(a0, i32x4.splat(LANES));
  let b1 = a1;
  let b2 = a2;
  let b3 = a3;
  let k0 = i32x4.splat(key0);
  let k1 = i32x4.splat(key1);
  for (let round: u32 = 0; round < ROUNDS; round++) {
    const a0Low = i64x2.extmul_low_i32x4_u(a0, m0);
    const a0High = i64x2.extmul_high_i32x4_u(a0, m0);
    const a2Low = i64x2.extmul_low_i32x4_u(a2, m1);
    const a2High = i64x2.extmul_high_i32x4_u(a2, m1);
    const b0Low = i64x2.extmul_low_i32x4_u(b0, m0);
    const b0High = i64x2.extmul_high_i32x4_u(b0, m0);
    const b2Low = i64x2.extmul_low_i32x4_u(b2, m1);
    const b2High = i64x2.extmul_high_i32x4_u(b2, m1);
    a0 = v128.xor(v128.xor(highWords(a2Low, a2High), a1), k0);
    a1 = lowWords(a2Low, a2High);
    a2 = v128.xor(v128.xor(highWords(a0Low, a0High), a3), k1);
    a3 = lowWords(a0Low, a0High);
    b0 = v128.xor(v128.xor(highWords(b2Low, b2High), b1), k0);
    b1 = lowWords(b2Low, b2High);
    b2 = v128.xor(v128.xor(highWords(b0Low, b0High), b3), k1);
    b3 = lowWords(b0Low, b0High);
    k0 = i32x4.add(k0, i32x4.splat(WEYL_0));
    k1 = i32x4.add(k1, i32x4.splat(WEYL_1));
  }
  const row: usize = 4 * stride;
  v128.store(pointer, a0);
  v128.store(pointer, b0, 16);
  v128.store(pointer + row, a1);
  v128.store(pointer + row, b1, 16);
  v128.store(pointer + 2 * row, a2);
  v128.store(pointer + 2 * row, b2, 16);
  v128.store(pointer + 3 * row, a3);
  v128.store(pointer + 3 * row, b3, 16);
}

/**
 * Blocks c0 … c0 + 7 of the counter (c0, c1, c2, c3) under key (k0, k1), the words of the first word place first:
 * word w of block c0 + l at `pointer + 4 (8 w + l)`; 32 words in all.
 */
export function philox(c0: u32, c1: u32, c2: u32, c3: u32, k0: u32, k1: u32, pointer: usize): void {
  philoxChunks(c0, c1, c2, c3, k0, k1, pointer, CHUNK_BLOCKS);
}
