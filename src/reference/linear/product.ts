/**
 * Products of matrices, row-major, and what else is done to whole vectors.
 *
 * What this file leaves out: speed (blocking, lanes, threads).
 */

/** X Y for X (rows × inner), Y (inner × columns). */
export function multiply(x: Float64Array, y: Float64Array, inner: number, columns: number): Float64Array {
  const rows = x.length / inner;
  const product = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < inner; i++) {
      const factor = x[r * inner + i];
      if (factor === 0) continue;
      for (let c = 0; c < columns; c++) product[r * columns + c] += factor * y[i * columns + c];
    }
  }
  return product;
}

/** Xᵀ Y for X (rows × inner), Y (rows × columns). */
export function multiplyTransposed(
  x: Float64Array,
  y: Float64Array,
  inner: number,
  columns: number,
): Float64Array {
  const rows = x.length / inner;
  const product = new Float64Array(inner * columns);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < inner; i++) {
      const factor = x[r * inner + i];
      if (factor === 0) continue;
      for (let c = 0; c < columns; c++) product[i * columns + c] += factor * y[r * columns + c];
    }
  }
  return product;
}

/** The vectors one after the other. */
export function joined(...parts: Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** |v|². */
export function squaredNorm(v: Float64Array): number {
  return v.reduce((sum, value) => sum + value * value, 0);
}
