/**
 * Rows of a minibatch as the first layer sees them, and the two products with its matrix:
 *
 *     P¹ = A⁰ W¹ and (A⁰)ᵀ G,   A⁰ (B × (d0 + 1)) with its column of ones.
 *
 * Rows are worked off in blocks, so memory does not grow with B. The products go over lists of the non-zero inputs where
 * more than half are zero (images), else over tiles; both add the same terms in the same order.
 */

import { FULL, product } from "../linear/product";
import { classes, exampleNumber, job, width } from "../machine/context";
import { addScaled, fma, LANES, least, set, storeSome } from "../machine/lanes";

export const ROW_BLOCK: u32 = 128;

/** Inputs of a block of rows: lists of the non-zero ones, or the whole matrix (count × width). Each thread has its own. */
@unmanaged
export class Rows {
  count: u32;
  width: u32;
  capacity: u32;
  sparse: u32;
  /** Which of the batch's rows is the first. */
  first: u32;
  /** count */
  length: usize;
  /** count × width, row r's list at r · width */
  index: usize;
  /** as index, or the matrix */
  value: usize;
  /** count u16 */
  labels: usize;
  /** count: where each row's targets lie, where there are some */
  targets: usize;
  /** byte/255 (256) */
  byteValues: usize;
}

function pad(bytes: u64): u64 {
  return (bytes + 63) & ~63;
}

/** Bytes of the arrays of `count` rows. */
export function rowsBytes(count: u32): u64 {
  return 1024 + 2 * pad(4 * u64(count)) + 2 * pad(4 * u64(count) * width(0)) + pad(2 * u64(count));
}

/** Lays out a block of `count` rows in `place` (rowsBytes). Threads that share it do so alike. */
export function setRows(rows: Rows, place: usize, count: u32): void {
  const inputs = width(0);
  rows.width = inputs;
  rows.capacity = count;
  rows.count = 0;
  rows.byteValues = place;
  for (let i: usize = 0; i < 256; i++) store<f32>(place + 4 * i, f32(i) / 255);
  rows.length = place + 1024;
  rows.index = rows.length + usize(pad(4 * u64(count)));
  rows.value = rows.index + usize(pad(4 * u64(count) * inputs));
  rows.labels = rows.value + usize(pad(4 * u64(count) * inputs));
  rows.targets = rows.labels + usize(pad(2 * u64(count)));
}

function inputRow(rows: Rows, batch: u32, i: u32): usize {
  const size: usize = job.inputsAreFloats ? 4 : 1;
  return job.inputs + size * rows.width * exampleNumber(batch, i);
}

function nonZeros(row: usize, count: u32): u32 {
  let total: u32 = 0;
  let i: u32 = 0;
  if (job.inputsAreFloats) {
    for (; i < count; i++) total += u32(load<f32>(row + 4 * i) !== 0);
    return total;
  }
  for (; i + 16 <= count; i += 16)
    total += popcnt<i32>(i8x16.bitmask(i8x16.ne(v128.load(row + i), i8x16.splat(0))));
  for (; i < count; i++) total += u32(load<u8>(row + i) !== 0);
  return total;
}

/** Chooses the form of rows first … first + count − 1 of batch number `batch`; loadShare then reads some of them. */
export function chooseForm(rows: Rows, batch: u32, first: u32, count: u32): void {
  let total: u64 = 0;
  for (let r: u32 = 0; r < count; r++) total += nonZeros(inputRow(rows, batch, first + r), rows.width);
  rows.count = count;
  rows.first = first;
  rows.sparse = u32(2 * total < u64(count) * rows.width);
}

function listBytes(rows: Rows, row: usize, r: u32): void {
  const inputs = rows.width;
  let index = rows.index + 4 * r * inputs;
  let value = rows.value + 4 * r * inputs;
  const start = index;
  const values = rows.byteValues;
  for (let i: u32 = 0; i < inputs; i += 8) {
    const end = least(inputs, i + 8);
    if (end === i + 8 && load<u64>(row + i) === 0) continue;
    for (let k = i; k < end; k++) {
      const byte = load<u8>(row + k);
      store<u32>(index, k);
      store<f32>(value, load<f32>(values + 4 * usize(byte)));
      const step: usize = byte === 0 ? 0 : 4;
      index += step;
      value += step;
    }
  }
  store<u32>(rows.length + 4 * r, u32(index - start) >> 2);
}

function listFloats(rows: Rows, row: usize, r: u32): void {
  const inputs = rows.width;
  const index = rows.index + 4 * r * inputs;
  const value = rows.value + 4 * r * inputs;
  let length: u32 = 0;
  for (let i: u32 = 0; i < inputs; i++) {
    const x = load<f32>(row + 4 * i);
    if (x === 0) continue;
    store<u32>(index + 4 * length, i);
    store<f32>(value + 4 * length, x);
    length++;
  }
  store<u32>(rows.length + 4 * r, length);
}

function loadRow(rows: Rows, row: usize, r: u32): void {
  if (rows.sparse) {
    if (job.inputsAreFloats) listFloats(rows, row, r);
    else listBytes(rows, row, r);
    return;
  }
  const value = rows.value + 4 * r * rows.width;
  if (job.inputsAreFloats) {
    memory.copy(value, row, 4 * rows.width);
    return;
  }
  for (let i: u32 = 0; i < rows.width; i++)
    store<f32>(value + 4 * i, load<f32>(rows.byteValues + 4 * usize(load<u8>(row + i))));
}

/** Rows begin … end − 1 of the block that begins at `first`. */
export function loadShare(rows: Rows, batch: u32, first: u32, begin: u32, end: u32): void {
  for (let r = begin; r < end; r++) {
    loadRow(rows, inputRow(rows, batch, first + r), r);
    const example = exampleNumber(batch, first + r);
    store<u16>(rows.labels + 2 * r, job.labels === 0 ? 0 : load<u16>(job.labels + 2 * example));
    if (job.targets !== 0) store<usize>(rows.targets + 4 * r, job.targets + 4 * example * classes());
  }
}

export function loadRows(rows: Rows, batch: u32, first: u32, count: u32): void {
  chooseForm(rows, batch, first, count);
  loadShare(rows, batch, first, 0, count);
}

/** Ten vectors of columns: p = start + Σ over a list of value · w[index]; start 0: zeros. */
function sparse10(
  index: usize,
  value: usize,
  length: u32,
  w: usize,
  wRow: usize,
  start: usize,
  p: usize,
): void {
  let s0 = set(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let s4 = s0;
  let s5 = s0;
  let s6 = s0;
  let s7 = s0;
  let s8 = s0;
  let s9 = s0;
  if (start !== 0) {
    s0 = v128.load(start);
    s1 = v128.load(start, 16);
    s2 = v128.load(start, 32);
    s3 = v128.load(start, 48);
    s4 = v128.load(start, 64);
    s5 = v128.load(start, 80);
    s6 = v128.load(start, 96);
    s7 = v128.load(start, 112);
    s8 = v128.load(start, 128);
    s9 = v128.load(start, 144);
  }
  const end = index + 4 * length;
  for (; index < end; index += 4, value += 4) {
    const x = v128.load32_splat(value);
    const from = w + load<usize>(index) * wRow;
    s0 = fma(x, v128.load(from), s0);
    s1 = fma(x, v128.load(from, 16), s1);
    s2 = fma(x, v128.load(from, 32), s2);
    s3 = fma(x, v128.load(from, 48), s3);
    s4 = fma(x, v128.load(from, 64), s4);
    s5 = fma(x, v128.load(from, 80), s5);
    s6 = fma(x, v128.load(from, 96), s6);
    s7 = fma(x, v128.load(from, 112), s7);
    s8 = fma(x, v128.load(from, 128), s8);
    s9 = fma(x, v128.load(from, 144), s9);
  }
  v128.store(p, s0);
  v128.store(p, s1, 16);
  v128.store(p, s2, 32);
  v128.store(p, s3, 48);
  v128.store(p, s4, 64);
  v128.store(p, s5, 80);
  v128.store(p, s6, 96);
  v128.store(p, s7, 112);
  v128.store(p, s8, 128);
  v128.store(p, s9, 144);
}

/** The same for one vector of `last` lanes. */
function sparse1(
  index: usize,
  value: usize,
  length: u32,
  w: usize,
  wRow: usize,
  start: usize,
  p: usize,
  last: u32,
): void {
  let s = start === 0 ? set(0) : v128.load(start);
  const end = index + 4 * length;
  for (; index < end; index += 4, value += 4)
    s = fma(v128.load32_splat(value), v128.load(w + load<usize>(index) * wRow), s);
  storeSome(p, last, s);
}

/** p (columns) = start + Σ over a list of value · w[index], w's rows wRow floats apart. */
export function sparseRow(
  index: usize,
  value: usize,
  length: u32,
  w: usize,
  wRow: u32,
  start: usize,
  columns: u32,
  p: usize,
): void {
  let j: u32 = 0;
  for (; j + 40 <= columns; j += 40)
    sparse10(index, value, length, w + 4 * j, 4 * wRow, start === 0 ? 0 : start + 4 * j, p + 4 * j);
  for (; j < columns; j += LANES) {
    const begins: usize = start === 0 ? 0 : start + 4 * j;
    sparse1(index, value, length, w + 4 * j, 4 * wRow, begins, p + 4 * j, columns - j);
  }
}

/** P (rows begin … end − 1, stride pRow) = A⁰ W for W ((d0 + 1) × columns), the bias row last. */
export function firstProduct(
  rows: Rows,
  begin: u32,
  end: u32,
  w: usize,
  columns: u32,
  p: usize,
  pRow: u32,
): void {
  const bias = w + 4 * rows.width * columns;
  const inputs = rows.width;
  if (!rows.sparse) {
    const a = rows.value + 4 * begin * inputs;
    product(
      end - begin,
      columns,
      inputs,
      a,
      inputs,
      1,
      w,
      columns,
      bias,
      0,
      p + 4 * begin * pRow,
      pRow,
      FULL,
    );
    return;
  }
  for (let r = begin; r < end; r++) {
    const list = 4 * r * inputs;
    const length = load<u32>(rows.length + 4 * r);
    sparseRow(rows.index + list, rows.value + list, length, w, columns, bias, columns, p + 4 * r * pRow);
  }
}

/**
 * gradient ((d0 + 1) × columns), its columns begin … end − 1: (A⁰)ᵀ G, set where `add` is false.
 * G: count × columns, stride gRow.
 */
export function firstGradient(
  rows: Rows,
  g: usize,
  gRow: u32,
  columns: u32,
  begin: u32,
  end: u32,
  add: bool,
  gradient: usize,
): void {
  if (begin === end) return;
  const share = end - begin;
  const inputs = rows.width;
  const to = gradient + 4 * begin;
  if (!add) {
    for (let i: u32 = 0; i <= inputs; i++) memory.fill(to + 4 * i * columns, 0, 4 * share);
  }
  const bias = to + 4 * inputs * columns;
  for (let r: u32 = 0; r < rows.count; r++) addScaled(bias, 1, g + 4 * (r * gRow + begin), share, bias);
  if (!rows.sparse) {
    const from = g + 4 * begin;
    product(inputs, share, rows.count, rows.value, 1, inputs, from, gRow, to, columns, to, columns, FULL);
    return;
  }
  for (let r: u32 = 0; r < rows.count; r++) {
    const from = g + 4 * (r * gRow + begin);
    const list = 4 * r * inputs;
    const length = load<u32>(rows.length + 4 * r);
    for (let e: u32 = 0; e < length; e++) {
      const at = to + 4 * load<u32>(rows.index + list + 4 * e) * columns;
      addScaled(at, load<f32>(rows.value + list + 4 * e), from, share, at);
    }
  }
}

/** Where an estimator left the first layer's gradient as Aᵀ C: A's rows (else none), C and its stride. */
export let factoredRows: Rows = changetype<Rows>(0);
export let factoredC: usize = 0;
export let factoredStride: u32 = 0;

export function clearFactored(): void {
  factoredRows = changetype<Rows>(0);
}

/** Leaves the first layer's gradient as Aᵀ C of the whole batch's rows, for the step to form it as it goes. */
export function leaveFactored(rows: Rows, c: usize, cRow: u32): void {
  factoredRows = rows;
  factoredC = c;
  factoredStride = cRow;
}
