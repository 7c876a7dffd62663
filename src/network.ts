/**
 * A dense network d_0 → d_1 → … → d_L and the layout of its parameters.
 *
 * Parameters live in one flat vector, layer after layer; a layer's weights row-major [input, output], then its
 * biases. A bias is one more input that is always 1, so layer ℓ is a matrix W^ℓ of (d_{ℓ−1} + 1) × d_ℓ:
 *
 *     | W¹ (d0 × d1) | b¹ (d1) | W² (d1 × d2) | b² (d2) | …
 *       offset(1) ↑              offset(2) ↑
 */
import { philoxBlock } from "./reference/random/philox.ts";
import { type Key, layerStream, STREAMS } from "./reference/random/streams.ts";

/** Activation of the hidden layers; `step` is 1 where positive, else 0, and has no useful gradient. */
export type Activation = "relu" | "tanh" | "step";

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
  const precise = gradient.BYTES_PER_ELEMENT === 8 ? (value: number) => value : Math.fround;
  return gradient.map((slope, i) => precise(x[i]) - scale * slope) as V;
}

/**
 * The streams that hold each layer's noise: entry (row, column) of sample j of update k is normal number
 * `row · columns + column` of `gaussian({ seed, stream, update: k, sample: j })`.
 *
 * @returns `streams`: for each layer the stream's name ("layer-1", …), number, rows (d_{ℓ−1} + 1) and columns (d_ℓ).
 *   A projected estimator uses the first B rows of "layer-1".
 */
export function noiseLayout(network: Network): {
  streams: { name: string; number: number; rows: number; columns: number }[];
} {
  return {
    streams: layerShapes(network).map(({ rows, columns }, index) => ({
      name: `layer-${index + 1}`,
      number: layerStream(index + 1),
      rows,
      columns,
    })),
  };
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

/**
 * Glorot's uniform initialization: weights uniform in ±√(6/(d_{ℓ−1} + d_ℓ)), biases 0.
 *
 * Glorot and Bengio, AISTATS 2010. Weight number i of layer ℓ takes word i of stream "initialization", index ℓ − 1.
 */
export function initialParameters(network: Network, key: Key): Float32Array {
  const parameters = new Float32Array(parameterCount(network));
  const words = new Uint32Array(4);
  layerShapes(network).forEach(({ offset, rows, columns }, index) => {
    const bound = Math.sqrt(6 / (rows - 1 + columns));
    const weights = (rows - 1) * columns;
    for (let i = 0; i < weights; i++) {
      if (i % 4 === 0) philoxBlock(i / 4, index, 0, STREAMS.initialization, key[0], key[1], words);
      parameters[offset + i] = (2 * ((words[i % 4] + 0.5) / 2 ** 32) - 1) * bound;
    }
  });
  return parameters;
}
