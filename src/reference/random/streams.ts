/**
 * The streams: one purpose of random numbers each, the fourth word of Philox's counter.
 *
 * Their numbers stand in `backends/description.ts`; `test/vectors/` pins them.
 *
 * The counter is (block, index, update, stream), all zero-based:
 *
 * | stream           | index                                       | update | block → what                              |
 * | ---------------- | ------------------------------------------- | ------ | ----------------------------------------- |
 * | minibatch-order  | 0                                           | epoch  | words of the epoch's shuffle              |
 * | initialization   | layer                                       | 0      | words of the layer's weights, row-major   |
 * | complement       | 0, and 1 for SGLD's second normal           | k      | normals of the first layer, row-major     |
 * | table-split      | 0                                           | 0      | words of the shuffle of a table's rows    |
 * | eigenvectors     | how many starts were before                 | 0      | normals of the first vector, then others  |
 * | layer-1, …       | sample j; pair; step j; (j−1)M + m; block i | k      | normals of that layer's matrix, row-major |
 *
 * Layer ℓ's matrix is (d_{ℓ−1} + 1) × d_ℓ, biases in the last row. A projected form takes U (r × d_1) from the
 * first rows of stream layer-1.
 */
import { CONSTANTS } from "../../backends/description.ts";

export const STREAMS = {
  "minibatch-order": CONSTANTS.streamMinibatchOrder,
  initialization: CONSTANTS.streamInitialization,
  complement: CONSTANTS.streamComplement,
  // No backend knows these: tables are split above them, where Lanczos' method begins.
  "table-split": 3,
  eigenvectors: 4,
} as const;

/** Number of the stream that holds the noise of layer ℓ = 1 … L. */
export function layerStream(layer: number): number {
  return CONSTANTS.streamFirstLayer + layer - 1;
}

/** A seed as Philox's key: [low word, high word]. */
export type Key = readonly [number, number];

/** Splits a seed (an integer in 0 … 2⁵³ − 1, or a bigint in 0 … 2⁶⁴ − 1) into Philox's key. */
export function keyOf(seed: number | bigint): Key {
  const wide = BigInt(seed);
  return [Number(wide & 0xffffffffn), Number((wide >> 32n) & 0xffffffffn)];
}
