/**
 * Rows of data: a minibatch picked from them, and its inputs as the matrix A. By the width of an entry, not by
 * `instanceof`, bytes are told from floats: an array may come from another realm.
 *
 * Symbols: B rows of a minibatch, d_0 the width of a row.
 */
import type { Examples } from "../../backends/backend.ts";

/** A (B × (d_0 + 1)): bytes as byte/255, floats as they are, and the bias input 1 last. */
export function inputMatrix(inputs: Uint8Array | Float32Array, d0: number): Float64Array {
  const rows = inputs.length / d0;
  const scale = inputs.BYTES_PER_ELEMENT === 1 ? 255 : 1;
  const matrix = new Float64Array(rows * (d0 + 1)).fill(1);
  for (let b = 0; b < rows; b++) {
    for (let i = 0; i < d0; i++) matrix[b * (d0 + 1) + i] = inputs[b * d0 + i] / scale;
  }
  return matrix;
}

/** The minibatches that row numbers pick, `size` rows each. */
export function minibatchesOf(data: Examples, d0: number, rows: Uint32Array, size: number): Examples[] {
  const batches: Examples[] = [];
  const width = (data.targets?.length ?? 0) / (data.inputs.length / d0);
  for (let start = 0; start < rows.length; start += size) {
    const inputs = data.inputs.slice(0, size * d0);
    const labels = new Uint16Array(data.labels.length > 0 ? size : 0);
    const targets = data.targets?.slice(0, size * width);
    rows.subarray(start, start + size).forEach((row, b) => {
      inputs.set(data.inputs.subarray(row * d0, (row + 1) * d0), b * d0);
      if (labels.length > 0) labels[b] = data.labels[row];
      targets?.set(data.targets!.subarray(row * width, (row + 1) * width), b * width);
    });
    batches.push({ inputs, labels, ...(targets && { targets }) });
  }
  return batches;
}
