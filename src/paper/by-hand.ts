/**
 * Importance sampling (Algorithm 4) written out, an update at a time, for what `train` has no option for: other orders of
 * minibatches, several of them an update, biases that are not perturbed, weights formed in float32.
 *
 * Of several minibatches each has its share of the samples; their means are weighed by e^{−F/δ}, the mean weight of each, so
 * that together they are one weighted mean of all samples.
 *
 * Biases that are not perturbed: with inputs c² times as large, W¹/c, c·b¹, W²/c and noise of scale s/c, a network of ReLUs
 * has the same outputs and the same law of its perturbations, but for biases, whose noise is c times (in the second layer) and
 * c² times smaller.
 */

import { minibatches } from "../data/minibatches.ts";
import { initialParameters } from "../initialization.ts";
import { layerShapes } from "../network.ts";
import { type OpenBackend, openBackend } from "../operations.ts";
import { checkNetwork } from "../options/network.ts";
import type { Dataset } from "../options/types.ts";
import { keyOf } from "../reference/random/streams.ts";
import type { Context, Task } from "./experiment.ts";
import { mean } from "./statistics.ts";
import type { Point, TrainingResult } from "./training.ts";

/** "permuted" as `train` does; "file": as the file has the rows; "replaced": each row drawn from all. */
export type Order = "permuted" | "file" | "replaced";

export interface ByHand {
  readonly network: readonly number[];
  readonly batchSize: number;
  readonly updates: number;
  readonly tau: number;
  /** J, divisible by `minibatches`. */
  readonly samples: number;
  readonly order: Order;
  /** An update; J of them are one a sample. */
  readonly minibatches: number;
  /** δ: 1, or 1/B where losses are summed. */
  readonly temperature: number;
  readonly fixedBiases: boolean;
  /** Weights e^{−f/δ} as float32 forms them, nothing below its least normal number. */
  readonly float32: boolean;
  readonly initialScale: number;
  readonly seed: number;
  readonly evaluateEvery: number;
}

export interface ByHandResult extends TrainingResult {
  /** Largest share of an update's weight that float32 lost; null where weights were not formed in it. */
  readonly lost: number | null;
}

/** c. */
const SCALE = 32;
/** Float32's least normal number is 2⁻¹²⁶. */
const LEAST = 2 ** -126;

export function byHand(name: string, options: ByHand): Task<ByHandResult> {
  return {
    name: `${name}, seed ${options.seed}`,
    options: { byHand: true, ...options },
    onBackend: true,
    compute: (context) => run(options, context),
  };
}

async function run(options: ByHand, context: Context): Promise<ByHandResult> {
  const { train, test } = await context.data();
  const backend = await openBackend(context.backend, { threads: context.threads });
  try {
    return await updates(options, backend, train, test!);
  } finally {
    backend.close();
  }
}

async function updates(
  options: ByHand,
  backend: OpenBackend,
  train: Dataset,
  test: Dataset,
): Promise<ByHandResult> {
  const { seed, initialScale, fixedBiases, evaluateEvery, float32 } = options;
  const network = checkNetwork("paper.network", [...options.network]);
  const start = initialParameters(network, keyOf(seed)).map((value) => value * initialScale);
  let x: Float32Array = Float32Array.from(scaled(options, start, 1 / SCALE));
  const rowsOf = ordered(options, train.count);
  const points: Point[] = [];
  let losses: number[] = [];
  let lost = 0;
  let diverged: string | null = null;
  const began = performance.now();
  for (let k = 0; k < options.updates && diverged === null; k++) {
    const parts = [];
    for (let g = 0; g < options.minibatches; g++) {
      const number = k * options.minibatches + g;
      const batch = batchOf(train, rowsOf(number), fixedBiases);
      const call = callOf(options, x, batch, number);
      if (float32)
        lost = Math.max(lost, lostShare((await backend.weights(call)).losses, options.temperature));
      parts.push(await backend.importanceSampling(call));
    }
    if (lost === 1) {
      diverged = `All weights of update ${k + 1} are 0 in float32, and their quotient is NaN`;
      break;
    }
    x = together(parts, options.temperature);
    losses.push(mean(parts.map(({ loss }) => loss)));
    if ((k + 1) % evaluateEvery !== 0) continue;
    const parameters = Float32Array.from(scaled(options, x, SCALE));
    const accuracy = await backend.accuracy({
      network: options.network,
      parameters,
      data: { inputs: test.inputs, labels: test.labels },
    });
    const share = mean(parts.map(({ effectiveSampleSize, samples }) => effectiveSampleSize / samples));
    const seconds = (performance.now() - began) / 1000;
    points.push({ update: k + 1, accuracy, part: null, loss: mean(losses), weightsShare: share, seconds });
    losses = [];
  }
  const { name, instructionSet, threads } = backend;
  const ran = { backend: `${name} ${instructionSet}`, threads, form: "projected" };
  return { points, diverged, lost: float32 ? lost : null, ...ran };
}

/** Parameters with weights times `by`, and first biases times 1/`by`, where biases are to be fixed. */
function scaled({ network, fixedBiases }: ByHand, x: ArrayLike<number>, by: number): Float64Array {
  const values = Float64Array.from(x);
  if (!fixedBiases) return values;
  const shapes = layerShapes({ layers: [...network], activation: "relu" });
  shapes.forEach(({ offset, rows, columns }, layer) => {
    const biases = offset + (rows - 1) * columns;
    for (let i = offset; i < biases; i++) values[i] *= by;
    if (layer < shapes.length - 1) for (let i = biases; i < biases + columns; i++) values[i] /= by;
  });
  return values;
}

function ordered({ order, seed, batchSize }: ByHand, count: number): (number: number) => Uint32Array {
  const rows = new Uint32Array(batchSize);
  const permuted = minibatches(keyOf(seed), count, batchSize);
  let state = seed;
  return (number) => {
    switch (order) {
      case "permuted":
        permuted(number, rows);
        return rows;
      case "file":
        return rows.map((_, i) => (number * batchSize + i) % count);
      case "replaced":
        return rows.map(() => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          return Math.floor((state / 2 ** 32) * count);
        });
      default:
        return order satisfies never;
    }
  };
}

function batchOf({ inputs, labels, width }: Dataset, rows: Uint32Array, fixedBiases: boolean) {
  const own = { inputs: new Uint8Array(rows.length * width), labels: new Uint8Array(rows.length) };
  rows.forEach((row, i) => {
    own.inputs.set(inputs.subarray(row * width, (row + 1) * width), i * width);
    own.labels[i] = labels[row];
  });
  if (!fixedBiases) return own;
  return { ...own, inputs: Float32Array.from(own.inputs, (pixel) => (SCALE ** 2 * pixel) / 255) };
}

function callOf(
  options: ByHand,
  parameters: Float32Array,
  batch: ReturnType<typeof batchOf>,
  update: number,
) {
  const { network, samples, minibatches, temperature, seed, fixedBiases, tau } = options;
  return {
    ...{ network, parameters, batch, temperature, seed, update, rowwise: false },
    tau: fixedBiases ? tau / SCALE ** 2 : tau,
    coupling: {
      kind: "independent",
      samples: samples / minibatches,
      complement: "sample",
      centred: false,
    } as const,
  };
}

/** The share of all weight that is lost where e^{−f/δ} is formed in float32; 1 where all is. */
function lostShare(losses: ArrayLike<number>, temperature: number): number {
  const logs = Array.from(losses, (loss) => -loss / temperature);
  const top = Math.max(...logs);
  let [kept, all] = [0, 0];
  for (const log of logs) {
    const weight = Math.exp(log - top);
    all += weight;
    if (Math.fround(Math.exp(log)) >= LEAST) kept += weight;
  }
  return 1 - kept / all;
}

/** One weighted mean of all samples. */
function together(
  parts: readonly { readonly mean: ArrayLike<number>; readonly freeEnergy: number }[],
  temperature: number,
): Float32Array {
  const least = Math.min(...parts.map(({ freeEnergy }) => freeEnergy));
  const weights = parts.map(({ freeEnergy }) => Math.exp((least - freeEnergy) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const sum = new Float64Array(parts[0].mean.length);
  parts.forEach(({ mean }, p) => {
    const weight = weights[p] / total;
    for (let i = 0; i < sum.length; i++) sum[i] += weight * mean[i];
  });
  return Float32Array.from(sum);
}
