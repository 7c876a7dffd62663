/**
 * A dense network d_0 → d_1 → … → d_L and the layout of its parameters.
 *
 * Parameters live in one flat vector, layer after layer; a layer's weights row-major [input, output], then its
 * biases. A bias is one more input that is always 1, so layer ℓ is a matrix W^ℓ of (d_{ℓ−1} + 1) × d_ℓ:
 *
 *     | W¹ (d0 × d1) | b¹ (d1) | W² (d1 × d2) | b² (d2) | …
 *       offset(1) ↑              offset(2) ↑
 */

import type { KindOf } from "./backends/description.ts";

/** Activation of the hidden layers; `step` is 1 where positive, else 0, and has no useful gradient. */
export type Activation = KindOf<"activation">;

/** A network as everything below the public interface sees it. */
export interface Network {
  /** Widths d_0 … d_L; L ≥ 1, so at least two. */
  readonly layers: readonly number[];
  /** Of the hidden layers; the last layer gives logits as they are. */
  readonly activation: Activation;
}

/** Where layer ℓ's matrix lies in the flat vector. */
export interface LayerShape {
  /** Index of the matrix's first entry. */
  readonly offset: number;
  /** d_{ℓ−1} + 1, the bias row last. */
  readonly rows: number;
  /** d_ℓ. */
  readonly columns: number;
}

/** What a network's outputs are: they tell classes, are each a probability, or numbers. */
export const PREDICTS = ["classes", "probabilities", "numbers"] as const;
/** What a network's outputs are: "classes" for a softmax, each a probability by itself, or numbers as they are. */
export type Predicts = (typeof PREDICTS)[number];

/** Shapes of layers 1 … L, in order. */
export function layerShapes(network: Network): LayerShape[] {
  const shapes: LayerShape[] = [];
  let offset = 0;
  for (let layer = 1; layer < network.layers.length; layer++) {
    const rows = network.layers[layer - 1] + 1;
    const columns = network.layers[layer];
    shapes.push({ offset, rows, columns });
    offset += rows * columns;
  }
  return shapes;
}

/** n, the number of parameters, Σ (d_{ℓ−1} + 1)·d_ℓ: 7,850 for 784-10, 159,010 for 784-200-10. */
export function parameterCount(network: Network): number {
  return layerShapes(network).reduce((sum, shape) => sum + shape.rows * shape.columns, 0);
}

/**
 * mean = x − (τ/δ)·gradient, eq. 12 of García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, with x as precise as the
 * gradient.
 *
 * @param scale τ/δ
 */
export function meanOf<V extends Float32Array | Float64Array>(
  x: Float32Array | Float64Array,
  gradient: V,
  scale: number,
): V {
  const start = x.BYTES_PER_ELEMENT === gradient.BYTES_PER_ELEMENT ? x : new Float32Array(x);
  const mean = gradient.slice() as V; // a plain loop: a function called for each entry takes three times as long
  for (let i = 0; i < mean.length; i++) mean[i] = start[i] - scale * mean[i];
  return mean;
}

/**
 * m: the length of the Walsh transform whose signs tell the samples of one block apart; a power of two.
 *
 * @param rowwise whether the second layer's signs go by classes (m ≥ d_1 + d_2) or by hidden units (m ≥ d_1 + 1);
 *   m ≥ d_1 where no layer is hidden
 */
export function transformLength({ layers }: Network, rowwise: boolean): number {
  const needed = layers.length === 2 ? layers[1] : layers[1] + (rowwise ? layers[2] : 1);
  return 2 ** Math.ceil(Math.log2(needed));
}

/** Where parameter `index` of the flat vector stands, in words: layers, inputs and outputs count from 1. */
export function placeOf(network: Network, index: number): string {
  const shapes = layerShapes(network);
  const layer = shapes.findLastIndex(({ offset }) => index >= offset);
  const { offset, rows, columns } = shapes[layer];
  const [row, column] = [Math.floor((index - offset) / columns), (index - offset) % columns];
  const what = row === rows - 1 ? "bias" : `weight of input ${row + 1}`;
  return `the ${what} for output ${column + 1} of layer ${layer + 1}`;
}
