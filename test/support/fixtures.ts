/**
 * What the tests of the stems share: networks with data, and one Gaussian target whose laws are known.
 *
 * Everything is made from Philox, so a test's numbers are the same on every machine. No two rows, units or
 * parameters are equal unless a test repeats rows on purpose, and settings are never the neutral ones.
 */
import type { Examples, Loss } from "../../src/backends/backend.ts";
import { type Activation, layerShapes, type Network, parameterCount } from "../../src/network.ts";
import type { LossFunction, Normals } from "../../src/reference/machine/work.ts";
import { gaussian } from "../../src/reference/random/gaussian.ts";
import { philox4x32 } from "../../src/reference/random/philox.ts";
import type { Key } from "../../src/reference/random/streams.ts";

export const KEY: Key = [20240519, 77];
export const CROSS_ENTROPY: Loss = { kind: "cross-entropy" };

/** Stream for a test's own numbers: far from the package's. */
const TEST_STREAM = 1000;

/** `count` standard normals that belong to a test's own `number`. */
export function normalVector(number: number, count: number): Float64Array {
  return gaussian([number, 1], TEST_STREAM, 0, 0, count);
}

/** `count` integers 0 … below − 1. */
export function integers(number: number, count: number, below: number): number[] {
  return Array.from(
    { length: count },
    (_, i) => philox4x32([i >>> 2, 0, 0, TEST_STREAM], [number, 2])[i & 3] % below,
  );
}

export interface NetworkCase {
  readonly network: Network;
  /** float32 values, so that every backend starts from the same numbers. */
  readonly parameters: Float32Array;
  readonly batch: Examples;
}

export interface CaseOptions {
  readonly layers: readonly number[];
  readonly activation?: Activation;
  readonly rows: number;
  readonly inputs?: "bytes" | "floats";
  /** Pairs [row, copyOf] of rows that repeat another's inputs. */
  readonly repeats?: readonly (readonly [number, number])[];
  readonly number?: number;
}

/** A network with random weights and biases, and a batch: bytes two fifths zero, or normal floats. */
export function networkCase(options: CaseOptions): NetworkCase {
  const { layers, activation = "relu", rows, inputs = "bytes", repeats = [], number = 1 } = options;
  const network: Network = { layers, activation };
  const parameters = new Float32Array(parameterCount(network));
  for (const { offset, rows: height, columns } of layerShapes(network)) {
    const scale = Math.sqrt(2 / (height + columns));
    const weights = normalVector(number * 100 + columns, height * columns);
    for (let i = 0; i < weights.length; i++) parameters[offset + i] = scale * weights[i];
  }
  return { network, parameters, batch: examples(layers, rows, inputs, number, repeats) };
}

/** `rows` rows for a network of these widths. */
export function examples(
  layers: readonly number[],
  rows: number,
  kind: "bytes" | "floats",
  number: number,
  repeats: readonly (readonly [number, number])[] = [],
): Examples {
  const d0 = layers[0];
  const inputs =
    kind === "bytes"
      ? Uint8Array.from(integers(number, rows * d0, 427), (value) => Math.max(value - 171, 0))
      : Float32Array.from(normalVector(number + 7, rows * d0));
  for (const [row, of] of repeats) inputs.copyWithin(row * d0, of * d0, (of + 1) * d0);
  return { inputs, labels: Uint16Array.from(integers(number + 9, rows, layers.at(-1)!)) };
}

/** The losses that read targets. */
export const TARGET_LOSSES = [
  { kind: "squared-error" },
  { kind: "absolute-error" },
  { kind: "logistic" },
  { kind: "soft-cross-entropy" },
] as const satisfies readonly Loss[];

/** The same rows with targets for a loss in the place of labels, `width` a row; labels stay where it reads those. */
export function answered(batch: Examples, rows: number, { kind }: Loss, width: number): Examples {
  if (kind === "cross-entropy" || kind === "cost-matrix") return batch;
  const count = rows * width;
  const quarters = Float32Array.from(integers(61, count, 5), (value) => value / 4);
  const targets = kind === "logistic" ? quarters : Float32Array.from(normalVector(62, count));
  if (kind === "soft-cross-entropy") {
    for (let b = 0; b < rows; b++) {
      const row = quarters.subarray(b * width, (b + 1) * width);
      const sum = row.reduce((total, value) => total + value, 0);
      row.forEach((value, c) => {
        targets[b * width + c] = sum === 0 ? 1 / width : value / sum;
      });
    }
  }
  return { inputs: batch.inputs, labels: new Uint16Array(0), targets };
}

/** A short name of a case for a test's title. */
export function caseName({
  layers,
  activation = "relu",
  rows,
  inputs = "bytes",
  repeats,
}: CaseOptions): string {
  const repeated = repeats ? `, ${repeats.length} repeated` : "";
  return `${layers.join("-")} ${activation}, ${rows} rows of ${inputs}${repeated}`;
}

/** Normals of any dimension, many at a time: index j of replica k is a slice of one long stream. */
export function bulkNormals(dimension: number, count: number, replica: number): Normals {
  const all = gaussian(KEY, TEST_STREAM + 1, replica, 0, dimension * count);
  return (index) => all.subarray(index * dimension, (index + 1) * dimension);
}

/** f = ½xᵀHx + bᵀx + c in two dimensions: every estimator's law is Gaussian and known. */
export const TARGET = {
  h: [
    [1.7, -0.6],
    [-0.6, 0.9],
  ],
  b: [0.4, -1.1],
  c: 0.8,
} as const;

/** The target as a loss function. */
export const targetLoss: LossFunction = {
  dimension: 2,
  value: ([x, y]) =>
    0.5 * (TARGET.h[0][0] * x * x + 2 * TARGET.h[0][1] * x * y + TARGET.h[1][1] * y * y) +
    TARGET.b[0] * x +
    TARGET.b[1] * y +
    TARGET.c,
  gradient: ([x, y]) => [
    TARGET.h[0][0] * x + TARGET.h[0][1] * y + TARGET.b[0],
    TARGET.h[1][0] * x + TARGET.h[1][1] * y + TARGET.b[1],
  ],
};
