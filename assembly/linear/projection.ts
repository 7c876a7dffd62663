/**
 * The exact projection of the first layer's noise onto the rows of a minibatch.
 *
 *     A Aᵀ = L Lᵀ (B × B), Q = Aᵀ L^{−T} has orthonormal columns, Z = Q U + the rest, A Z = L U.
 *
 * Symbols: B rows, A (B × (d0 + 1)) with its column of ones, r the number of non-zero pivots, d1 columns. The Gram matrix
 * is exact for bytes (integers), else float64; L is float64. A pivot of at most 1e-9 of its diagonal entry (a repeated
 * or dependent row) is zero with its column, and its inverse is 0.
 */

import { exampleNumber, job, layerRows, update, width } from "../machine/context";
import { PIVOT_BOUND, STREAM_FIRST_LAYER } from "../machine/job";
import { least, most, roundUp } from "../machine/lanes";
import { endItems, nextItem } from "../machine/team";
import { take } from "../machine/workspace";
import { gaussianGroups } from "../random/gaussian";

/** A Aᵀ and L (B × B f64), and which pivots are not zero (B bytes). */
export let gram: usize = 0;
export let factor: usize = 0;
let used: usize = 0;
let rank: usize = 0;

export function takeProjection(): void {
  const size = u64(job.batchSize);
  gram = take(8 * size * size);
  factor = take(8 * size * size);
  used = take(size);
  rank = take(4);
}

export function projectionRank(): u32 {
  return load<u32>(rank);
}

/** Σ a b over bytes, exactly: partial sums of 32,768 products stay below 2³¹. */
function dotBytes(a: usize, b: usize, count: u32): u64 {
  let total: u64 = 0;
  let i: u32 = 0;
  while (i + 16 <= count) {
    const end = least(count & ~15, i + 32768);
    let part = i32x4.splat(0);
    for (; i < end; i += 16) {
      const x = v128.load(a + i);
      const y = v128.load(b + i);
      part = i32x4.add(
        part,
        i32x4.add(
          i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(x), i16x8.extend_low_i8x16_u(y)),
          i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(x), i16x8.extend_high_i8x16_u(y)),
        ),
      );
    }
    total += u32(i32x4.extract_lane(part, 0)) + u64(u32(i32x4.extract_lane(part, 1)));
    total += u32(i32x4.extract_lane(part, 2)) + u64(u32(i32x4.extract_lane(part, 3)));
  }
  for (; i < count; i++) total += u32(load<u8>(a + i)) * u32(load<u8>(b + i));
  return total;
}

function doubles(p: usize, high: bool): v128 {
  const x = v128.load64_zero(high ? p + 8 : p);
  return f64x2.promote_low_f32x4(x);
}

/** Σ a b over floats, in four pairs of sums. */
function dotFloats(a: usize, b: usize, count: u32): f64 {
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  const whole = count & ~3;
  for (let i: u32 = 0; i < whole; i += 4) {
    s0 = f64x2.add(s0, f64x2.mul(doubles(a + 4 * i, false), doubles(b + 4 * i, false)));
    s1 = f64x2.add(s1, f64x2.mul(doubles(a + 4 * i, true), doubles(b + 4 * i, true)));
  }
  s0 = f64x2.add(s0, s1);
  let total = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
  for (let i = whole; i < count; i++) total += f64(load<f32>(a + 4 * i)) * f64(load<f32>(b + 4 * i));
  return total;
}

/** Σ a b over doubles. */
function dot(a: usize, b: usize, count: u32): f64 {
  let sums = f64x2.splat(0);
  const whole = count & ~1;
  for (let i: u32 = 0; i < whole; i += 2)
    sums = f64x2.add(sums, f64x2.mul(v128.load(a + 8 * i), v128.load(b + 8 * i)));
  let total = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  if (whole < count) total += load<f64>(a + 8 * whole) * load<f64>(b + 8 * whole);
  return total;
}

function gramEntry(i: u32, j: u32): f64 {
  const inputs = width(0);
  const a = exampleNumber(0, i) * inputs;
  const b = exampleNumber(0, j) * inputs;
  if (job.inputsAreFloats) return dotFloats(job.inputs + 4 * a, job.inputs + 4 * b, inputs) + 1;
  return f64(dotBytes(job.inputs + a, job.inputs + b, inputs)) / 65025 + 1;
}

/** Row i of the Gram matrix up to its diagonal, and the column that mirrors it. */
function gramRow(i: u32): void {
  const size = job.batchSize;
  for (let j: u32 = 0; j <= i; j++) {
    const entry = gramEntry(i, j);
    store<f64>(gram + 8 * (i * size + j), entry);
    store<f64>(gram + 8 * (j * size + i), entry);
  }
}

/** The Gram matrix, by all threads; ends with a barrier. */
export function makeGram(): void {
  const size = job.batchSize;
  for (let i = nextItem(size); i < size; i = nextItem(size)) gramRow(size - 1 - i); // the long rows first
  endItems(size);
}

/** L from A Aᵀ, by one thread. */
export function cholesky(): void {
  const size = job.batchSize;
  memory.fill(factor, 0, 8 * size * size);
  let count: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const row = factor + 8 * i * size;
    for (let j: u32 = 0; j < i; j++) {
      if (!load<u8>(used + j)) continue;
      const other = factor + 8 * j * size;
      const rest = load<f64>(gram + 8 * (i * size + j)) - dot(row, other, j);
      store<f64>(row + 8 * j, rest / load<f64>(other + 8 * j));
    }
    const diagonal = load<f64>(gram + 8 * (i * size + i));
    const pivot = diagonal - dot(row, row, i);
    const uses = pivot > PIVOT_BOUND * diagonal;
    store<u8>(used + i, u8(uses));
    store<f64>(row + 8 * i, uses ? sqrt(pivot) : 0);
    count += u32(uses);
  }
  store<u32>(rank, count);
}

/** out (B × B f32) ← s L. */
export function scaledFactor(s: f64, out: usize): void {
  const count = job.batchSize * job.batchSize;
  for (let i: u32 = 0; i < count; i++) store<f32>(out + 4 * i, f32(s * load<f64>(factor + 8 * i)));
}

function inversePivot(i: u32): f64 {
  return load<u8>(used + i) ? 1 / load<f64>(factor + 8 * (i * job.batchSize + i)) : 0;
}

/** c's row `to` ← row `to` − s · row `from`, columns begin … end − 1. */
export function subtractRow(to: usize, from: usize, s: f64, begin: u32, end: u32): void {
  for (let j = begin; j < end; j++)
    store<f64>(to + 8 * j, load<f64>(to + 8 * j) - s * load<f64>(from + 8 * j));
}

function scaleRow(row: usize, s: f64, begin: u32, end: u32): void {
  for (let j = begin; j < end; j++) store<f64>(row + 8 * j, load<f64>(row + 8 * j) * s);
}

/** Columns begin … end − 1 of c (B × columns f64) ← L^{−1} c. */
export function solveLower(c: usize, columns: u32, begin: u32, end: u32): void {
  const size = job.batchSize;
  for (let i: u32 = 0; i < size; i++) {
    const row = c + 8 * i * columns;
    for (let k: u32 = 0; k < i; k++) {
      const s = load<f64>(factor + 8 * (i * size + k));
      if (s !== 0) subtractRow(row, c + 8 * k * columns, s, begin, end);
    }
    scaleRow(row, inversePivot(i), begin, end);
  }
}

/** Columns begin … end − 1 of c (B × columns f64) ← L^{−T} c. */
export function solveUpper(c: usize, columns: u32, begin: u32, end: u32): void {
  const size = job.batchSize;
  for (let i = size; i-- > 0; ) {
    const row = c + 8 * i * columns;
    scaleRow(row, inversePivot(i), begin, end);
    for (let k: u32 = 0; k < i; k++) {
      const s = load<f64>(factor + 8 * (i * size + k));
      if (s !== 0) subtractRow(c + 8 * k * columns, row, s, begin, end);
    }
  }
}

// The noise of one sample, laid out by layers, each padded to whole groups of 64 normals: layer 1 in its projected form
// is U (B × d1), else every layer is its matrix.

export function noiseCount(layer: u32): u32 {
  return (layer === 1 && job.projected ? job.batchSize : layerRows(layer)) * width(layer);
}

/** Where layer l's noise begins, in floats; of layer L + 1: the size of all. */
export function noiseOffset(layer: u32): u32 {
  let offset: u32 = 0;
  for (let l: u32 = 1; l < layer; l++) offset += roundUp(noiseCount(l), 64);
  return offset;
}

export function noiseSize(): u32 {
  return noiseOffset(job.depth + 1);
}

/** The same without overflow, for sizes. */
export function noiseFloats(): u64 {
  let floats: u64 = 0;
  for (let l: u32 = 1; l <= job.depth; l++)
    floats += (u64(l === 1 && job.projected ? job.batchSize : layerRows(l)) * width(l) + 63) & ~63;
  return floats;
}

/** Draws one sample's noise; zeros in the padding and in rows of U that no pivot uses. */
export function drawNoise(index: u32, noise: usize): void {
  for (let l: u32 = 1; l <= job.depth; l++) {
    const count = noiseCount(l);
    const groups = (count + 63) / 64;
    const stream = STREAM_FIRST_LAYER + l - 1;
    gaussianGroups(job.seedLow, job.seedHigh, stream, update, index, 0, groups, noise);
    memory.fill(noise + 4 * count, 0, 4 * (64 * groups - count));
    if (l === 1 && job.projected) clearUnused(noise);
    noise += 256 * groups;
  }
}

function clearUnused(noise: usize): void {
  const columns = width(1);
  for (let i: u32 = 0; i < job.batchSize; i++) {
    if (!load<u8>(used + i)) memory.fill(noise + 4 * i * columns, 0, 4 * columns);
  }
}

/** Fixed groups of samples, each summed in order by one thread; as many as 16 MB of sums allow, 4 at least. */
export function sampleGroups(samples: u32, floats: u64, limit: u32): u32 {
  const fit = most(4, u32((1 << 22) / (floats === 0 ? 1 : floats)));
  return most(1, least(samples, least(limit, fit)));
}
