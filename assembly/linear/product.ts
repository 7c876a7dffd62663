/**
 * Products of small matrices in registers: C (rows × columns) = start + A (rows × depth) B (depth × columns).
 *
 * A(i, k) lies at a + 4 (i aRow + k aColumn); B, C and start are row-major with their strides in floats; start 0: zeros;
 * startRow 0: one row for all. Every entry is one chain of multiply-adds in order of k, whatever tile it falls into, so a
 * product can be shared out to threads by rows or columns without changing a bit.
 *
 * Tiles of 4 × 2 or 3 × 3 vectors: 9 sums at most, the operands and a product fit the 15 vector registers that V8 uses.
 */
import { fma, LANES, least, set, storeSome } from "../machine/lanes";

/** Which half of A is not zero, the diagonal included. */
export const FULL: u32 = 0;
export const LOWER: u32 = 1;
export const UPPER: u32 = 2;

function begin(start: usize, place: usize): v128 {
  return start === 0 ? set(0) : v128.load(start + place);
}

/** 4 rows, 2 vectors of which the second has `last` lanes. Strides in bytes from here on. */
function tile4x2(
  depth: u32,
  a: usize,
  aRow: usize,
  aColumn: usize,
  b: usize,
  bRow: usize,
  start: usize,
  startRow: usize,
  c: usize,
  cRow: usize,
  last: u32,
): void {
  let s00 = begin(start, 0);
  let s01 = begin(start, 16);
  let s10 = begin(start, startRow);
  let s11 = begin(start, startRow + 16);
  let s20 = begin(start, 2 * startRow);
  let s21 = begin(start, 2 * startRow + 16);
  let s30 = begin(start, 3 * startRow);
  let s31 = begin(start, 3 * startRow + 16);
  let a1 = a + aRow;
  let a2 = a1 + aRow;
  let a3 = a2 + aRow;
  for (let k: u32 = 0; k < depth; k++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    s00 = fma(x, b0, s00);
    s01 = fma(x, b1, s01);
    x = v128.load32_splat(a1);
    s10 = fma(x, b0, s10);
    s11 = fma(x, b1, s11);
    x = v128.load32_splat(a2);
    s20 = fma(x, b0, s20);
    s21 = fma(x, b1, s21);
    x = v128.load32_splat(a3);
    s30 = fma(x, b0, s30);
    s31 = fma(x, b1, s31);
    a += aColumn;
    a1 += aColumn;
    a2 += aColumn;
    a3 += aColumn;
    b += bRow;
  }
  v128.store(c, s00);
  storeSome(c + 16, last, s01);
  c += cRow;
  v128.store(c, s10);
  storeSome(c + 16, last, s11);
  c += cRow;
  v128.store(c, s20);
  storeSome(c + 16, last, s21);
  c += cRow;
  v128.store(c, s30);
  storeSome(c + 16, last, s31);
}

function tile3x3(
  depth: u32,
  a: usize,
  aRow: usize,
  aColumn: usize,
  b: usize,
  bRow: usize,
  start: usize,
  startRow: usize,
  c: usize,
  cRow: usize,
  last: u32,
): void {
  let s00 = begin(start, 0);
  let s01 = begin(start, 16);
  let s02 = begin(start, 32);
  let s10 = begin(start, startRow);
  let s11 = begin(start, startRow + 16);
  let s12 = begin(start, startRow + 32);
  let s20 = begin(start, 2 * startRow);
  let s21 = begin(start, 2 * startRow + 16);
  let s22 = begin(start, 2 * startRow + 32);
  let a1 = a + aRow;
  let a2 = a1 + aRow;
  for (let k: u32 = 0; k < depth; k++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    let x = v128.load32_splat(a);
    s00 = fma(x, b0, s00);
    s01 = fma(x, b1, s01);
    s02 = fma(x, b2, s02);
    x = v128.load32_splat(a1);
    s10 = fma(x, b0, s10);
    s11 = fma(x, b1, s11);
    s12 = fma(x, b2, s12);
    x = v128.load32_splat(a2);
    s20 = fma(x, b0, s20);
    s21 = fma(x, b1, s21);
    s22 = fma(x, b2, s22);
    a += aColumn;
    a1 += aColumn;
    a2 += aColumn;
    b += bRow;
  }
  v128.store(c, s00);
  v128.store(c, s01, 16);
  storeSome(c + 32, last, s02);
  c += cRow;
  v128.store(c, s10);
  v128.store(c, s11, 16);
  storeSome(c + 32, last, s12);
  c += cRow;
  v128.store(c, s20);
  v128.store(c, s21, 16);
  storeSome(c + 32, last, s22);
}

/** One row, `vectors` = 1 … 3 of them. */
function tile1(
  vectors: u32,
  depth: u32,
  a: usize,
  aColumn: usize,
  b: usize,
  bRow: usize,
  start: usize,
  c: usize,
  last: u32,
): void {
  let s0 = begin(start, 0);
  let s1 = begin(start, 16);
  let s2 = begin(start, 32);
  for (let k: u32 = 0; k < depth; k++) {
    const x = v128.load32_splat(a);
    s0 = fma(x, v128.load(b), s0);
    s1 = fma(x, v128.load(b, 16), s1);
    s2 = fma(x, v128.load(b, 32), s2);
    a += aColumn;
    b += bRow;
  }
  storeSome(c, vectors === 1 ? last : LANES, s0);
  if (vectors > 1) storeSome(c + 16, vectors === 2 ? last : LANES, s1);
  if (vectors > 2) storeSome(c + 32, last, s2);
}

export function product(
  rows: u32,
  columns: u32,
  depth: u32,
  a: usize,
  aRow: u32,
  aColumn: u32,
  b: usize,
  bRow: u32,
  start: usize,
  startRow: u32,
  c: usize,
  cRow: u32,
  triangle: u32,
): void {
  const aR = 4 * aRow;
  const aC = 4 * aColumn;
  const bR = 4 * bRow;
  const sR = start === 0 ? 0 : 4 * startRow;
  const cR = 4 * cRow;
  for (let j: u32 = 0; j < columns; ) {
    const left = (columns - j + LANES - 1) / LANES;
    const vectors = left === 3 ? 3 : least(left, 2);
    const last = least(LANES, columns - j - (vectors - 1) * LANES);
    const tile: u32 = vectors === 2 ? 4 : vectors === 3 ? 3 : 1;
    for (let i: u32 = 0; i < rows; ) {
      const height = i + tile <= rows ? tile : 1;
      const first = triangle === UPPER ? i : 0;
      const end = triangle === LOWER ? least(depth, i + height) : depth;
      const from = a + i * aR + first * aC;
      const by = b + first * bR + 4 * j;
      const begins: usize = start === 0 ? 0 : start + i * sR + 4 * j;
      const to = c + i * cR + 4 * j;
      if (height === 4) tile4x2(end - first, from, aR, aC, by, bR, begins, sR, to, cR, last);
      else if (height === 3) tile3x3(end - first, from, aR, aC, by, bR, begins, sR, to, cR, last);
      else tile1(vectors, end - first, from, aC, by, bR, begins, to, last);
      i += height;
    }
    j += vectors * LANES;
  }
}
