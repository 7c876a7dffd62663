/**
 * The first layer's gradient in factored form, Aᵀ C, and the optimizer's step along it without ever storing it whole.
 *
 * Some rows of Aᵀ C are made in a buffer that stays in the first cache, added to |gradient|², and used for the step at
 * once: the moments and the parameters are read and written once, the gradient never leaves. The inputs are cut into
 * eight pieces, whose squares are summed each by itself, so that no sum depends on the number of threads.
 *
 * Symbols: A (B × (d0 + 1)) with its column of ones, C (B × columns, stride cRow).
 */

import { FULL, product } from "../linear/product";
import { job, width } from "../machine/context";
import { addScaled, LANES, least, most } from "../machine/lanes";
import { barrier, shareBegin, shareEnd } from "../machine/team";
import { take, takeOwnFloats } from "../machine/workspace";
import { factoredC, factoredRows, factoredStride, Rows, sparseRow } from "../network/rows";
import { stepEntries } from "./step";

const PIECES: u32 = 8;
/** Floats of Aᵀ C at a time. */
const SLOPES: u32 = 4096;

let slopes: usize = 0;
let squares: usize = 0;
/** Non-zero inputs of each column of A: how many (d0), of which rows and what (d0 × B). */
let lengths: usize = 0;
let rowsOf: usize = 0;
let valuesOf: usize = 0;

/** Takes the memory for batches of B rows. */
export function takeFactored(): void {
  slopes = takeOwnFloats(most(SLOPES, width(1)) + LANES);
  squares = take(8 * PIECES);
  lengths = take(4 * u64(width(0)));
  rowsOf = take(4 * u64(width(0)) * job.batchSize);
  valuesOf = take(4 * u64(width(0)) * job.batchSize);
}

function pieceBegin(piece: u32): u32 {
  return u32((u64(width(0)) * piece) / PIECES);
}

/** Where a list of ascending `index` reaches `bound`. */
function lowerBound(index: usize, length: u32, bound: u32): u32 {
  let first: u32 = 0;
  while (length > 0) {
    const half = length >> 1;
    if (load<u32>(index + 4 * (first + half)) < bound) {
      first += half + 1;
      length -= half + 1;
    } else {
      length = half;
    }
  }
  return first;
}

/** Lists of the columns begin … end − 1. */
function listColumns(rows: Rows, begin: u32, end: u32): void {
  const capacity = job.batchSize;
  memory.fill(lengths + 4 * begin, 0, 4 * (end - begin));
  for (let r: u32 = 0; r < rows.count; r++) {
    const list = 4 * r * rows.width;
    const index = rows.index + list;
    const length = load<u32>(rows.length + 4 * r);
    const stop = lowerBound(index, length, end);
    for (let e = lowerBound(index, length, begin); e < stop; e++) {
      const i = load<u32>(index + 4 * e);
      const held = load<u32>(lengths + 4 * i);
      const to = 4 * (i * capacity + held);
      store<u32>(rowsOf + to, r);
      store<f32>(valuesOf + to, load<f32>(rows.value + list + 4 * e));
      store<u32>(lengths + 4 * i, held + 1);
    }
  }
}

/** slopes ← rows first … of Aᵀ C, d0 being the bias's. */
function someSlopes(rows: Rows, columns: u32, first: u32, count: u32): void {
  const inputs = least(count, rows.width - least(first, rows.width));
  const c = factoredC;
  const cRow = factoredStride;
  if (!rows.sparse) {
    const a = rows.value + 4 * first;
    product(inputs, columns, rows.count, a, 1, rows.width, c, cRow, 0, 0, slopes, columns, FULL);
  } else {
    for (let k: u32 = 0; k < inputs; k++) {
      const list = 4 * (first + k) * job.batchSize;
      const length = load<u32>(lengths + 4 * (first + k));
      const to = slopes + 4 * k * columns;
      if (length === 0) memory.fill(to, 0, 4 * columns);
      else sparseRow(rowsOf + list, valuesOf + list, length, c, cRow, 0, columns, to);
    }
  }
  if (inputs === count) return;
  const bias = slopes + 4 * inputs * columns;
  memory.fill(bias, 0, 4 * columns);
  for (let r: u32 = 0; r < rows.count; r++) addScaled(bias, 1, c + 4 * r * cRow, columns, bias);
}

/** Steps rows begin … end − 1 of W¹; returns their slopes' |·|². */
function stepRows(columns: u32, begin: u32, end: u32): f64 {
  const atOnce = most(1, SLOPES / columns);
  let total: f64 = 0;
  for (let first = begin; first < end; first += atOnce) {
    const count = least(atOnce, end - first);
    someSlopes(factoredRows, columns, first, count);
    total += f64(stepEntries(slopes, first * columns, count * columns));
  }
  return total;
}

/** Steps W¹ and its moments along Aᵀ C; returns |Aᵀ C|². */
export function factoredStep(): f64 {
  const columns = width(1);
  const inputs = width(0);
  const begin = shareBegin(PIECES, 1);
  const end = shareEnd(PIECES, 1);
  if (factoredRows.sparse) listColumns(factoredRows, pieceBegin(begin), pieceBegin(end));
  for (let piece = begin; piece < end; piece++) {
    const stop = piece + 1 === PIECES ? inputs + 1 : pieceBegin(piece + 1);
    store<f64>(squares + 8 * piece, stepRows(columns, pieceBegin(piece), stop));
  }
  barrier();
  let total: f64 = 0;
  for (let piece: u32 = 0; piece < PIECES; piece++) total += load<f64>(squares + 8 * piece);
  return total;
}
