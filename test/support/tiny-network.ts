/**
 * A network small enough to enumerate and to integrate by brute force, for the tests of coupled sampling.
 *
 * `bruteForce` is the definition: independent normals on all parameters, a forward and a backward pass of its own and
 * a generator of its own; no projection, no coupling, no row split. `largestZ` compares replicates of an estimate
 * with it.
 */
import type { Loss } from "../../src/backends/backend.ts";
import { type Activation, layerShapes, parameterCount } from "../../src/network.ts";
import type { NetworkPoint } from "../../src/reference/network/dense.ts";
import { gaussian } from "../../src/reference/random/gaussian.ts";
import { keyOf } from "../../src/reference/random/streams.ts";

/** Looked up once: a test realm looks its globals up slowly, and these loops run 10⁷ times. */
const { cos, exp, imul, log, max, PI, sin, sqrt, tanh } = Math;

export type BatchKind = "distinct" | "repeated" | "dependent" | "bytes" | "tall" | "two";

export const CROSS_ENTROPY: Loss = { kind: "cross-entropy" };
/** 1 − I. */
export const zeroOne = (classes: number): Loss => ({
  kind: "cost-matrix",
  costs: Float64Array.from({ length: classes ** 2 }, (_, i) => (i % (classes + 1) === 0 ? 0 : 1)),
});

/** d_0 = 5, B = 4; "repeated" and "dependent" rows lose one rank (bias input included), "tall" has B = 7 > d_0, "two" B = 2. */
export function tinyPoint(
  layers: readonly number[],
  kind: BatchKind = "distinct",
  activation: Activation = "relu",
  loss: Loss = CROSS_ENTROPY,
): NetworkPoint {
  const network = { layers: [5, ...layers], activation };
  const count = kind === "tall" ? 7 : kind === "two" ? 2 : 4;
  const numbers = gaussian(keyOf(11), 900, 0, 0, count * 5).map((z) => Math.abs(z) / 2);
  const inputs = kind === "bytes" ? Uint8Array.from(numbers, (v) => 255 * v) : Float32Array.from(numbers);
  for (let i = 0; i < 5; i++) {
    if (kind === "repeated") inputs[15 + i] = inputs[i];
    // Halfway between two rows: multiples of 1/256 make it exact in float32.
    if (kind === "dependent") {
      for (const b of [0, 1]) inputs[b * 5 + i] = Math.round(256 * inputs[b * 5 + i]) / 256;
      inputs[10 + i] = (inputs[i] + inputs[5 + i]) / 2;
    }
  }
  const classes = network.layers.at(-1)!;
  const labels = Uint16Array.from([0, 2, 1, 2, 0, 1, 1].slice(0, count), (label) => label % classes);
  const x = gaussian(keyOf(12), 901, 0, 0, parameterCount(network)).map((z) => 0.8 * z);
  return { network, loss, x, batches: [{ inputs, labels }] };
}

/** Standard normals by Box–Muller on a 32-bit generator (mulberry32), in float64. */
export function normalStream(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = imul(state ^ (state >>> 15), 1 | state);
    t = (t + imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    const r = sqrt(-2 * log(uniform()));
    const angle = 2 * PI * uniform();
    spare = r * sin(angle);
    return r * cos(angle);
  };
}

/** Means of batches of samples, so that they carry their own error. */
export interface BruteForce {
  /** E ∇f(x + s Z) (batches × n); by Stein's identity where there is no gradient. */
  readonly heat: Float64Array[];
  /** E w ∇f(x + s Z) for each δ (batches × n), w = e^{−(f − c₀)/δ}. */
  readonly numerators: Float64Array[][];
  /** E w for each δ (batches). */
  readonly meanWeights: number[][];
}

const BATCHES = 250;

/** @param samples a multiple of 250 */
export function bruteForce(
  point: NetworkPoint,
  s: number,
  samples: number,
  temperatures: readonly number[] = [],
  c0 = 0,
  seed = 5,
): BruteForce {
  const n = point.x.length;
  const normal = normalStream(seed);
  const evaluate = evaluator(point);
  const z = new Float64Array(n);
  const w = new Float64Array(n);
  const gradient = new Float64Array(n);
  const heat: Float64Array[] = [];
  const numerators: Float64Array[][] = temperatures.map(() => []);
  const meanWeights: number[][] = temperatures.map(() => []);
  const size = samples / BATCHES;
  const smooth = point.network.activation !== "step" && point.loss.kind === "cross-entropy";
  for (let batch = 0; batch < BATCHES; batch++) {
    const sums = [new Float64Array(n), ...temperatures.map(() => new Float64Array(n))];
    const weightSums = temperatures.map(() => 0);
    for (let j = 0; j < size; j++) {
      // Antithetic halves: each sample has the law, the batch's mean is what carries the error.
      const sign = j % 2 === 0 ? 1 : -1;
      for (let i = 0; i < n; i++) {
        if (sign === 1) z[i] = normal();
        w[i] = point.x[i] + sign * s * z[i];
      }
      const f = evaluate(w, gradient);
      if (!smooth) for (let i = 0; i < n; i++) gradient[i] = (sign * z[i] * f) / s;
      for (let i = 0; i < n; i++) sums[0][i] += gradient[i] / size;
      temperatures.forEach((temperature, t) => {
        const weight = exp(-(f - c0) / temperature);
        weightSums[t] += weight / size;
        for (let i = 0; i < n; i++) sums[t + 1][i] += (weight * gradient[i]) / size;
      });
    }
    heat.push(sums[0]);
    temperatures.forEach((_, t) => {
      numerators[t].push(sums[t + 1]);
      meanWeights[t].push(weightSums[t]);
    });
  }
  return { heat, numerators, meanWeights };
}

/** f(w), and ∇f(w) into `gradient` where there is one: plain loops over rows. */
function evaluator({ network, loss, batches: [{ inputs, labels }] }: NetworkPoint) {
  const shapes = layerShapes(network);
  const scale = inputs instanceof Uint8Array ? 255 : 1;
  const values = network.layers.map((width) => new Float64Array(width + 1).fill(1));
  const signals = network.layers.map((width) => new Float64Array(width));
  const last = network.layers.length - 1;
  const classes = network.layers[last];
  const act = { relu: (p: number) => max(p, 0), tanh: tanh, step: (p: number) => (p > 0 ? 1 : 0) };
  const activation = act[network.activation];
  return (w: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    let sum = 0;
    for (let b = 0; b < labels.length; b++) {
      for (let i = 0; i < network.layers[0]; i++) values[0][i] = inputs[b * network.layers[0] + i] / scale;
      for (let layer = 1; layer <= last; layer++) {
        const { offset, rows, columns } = shapes[layer - 1];
        for (let c = 0; c < columns; c++) {
          let p = 0;
          for (let h = 0; h < rows; h++) p += values[layer - 1][h] * w[offset + h * columns + c];
          values[layer][c] = layer === last ? p : activation(p);
        }
      }
      const logits = values[last].subarray(0, classes);
      const label = labels[b];
      if (loss.kind === "cost-matrix") {
        let best = label;
        for (let c = 0; c < classes; c++) if (logits[c] > logits[best]) best = c;
        sum += loss.costs[label * classes + best];
        continue;
      }
      const largest = logits.reduce((a, b) => max(a, b));
      let total = 0;
      for (let c = 0; c < classes; c++) total += exp(logits[c] - largest);
      sum += largest + log(total) - logits[label];
      for (let c = 0; c < classes; c++) {
        signals[last][c] = (exp(logits[c] - largest) / total - (c === label ? 1 : 0)) / labels.length;
      }
      for (let layer = last; layer >= 1; layer--) {
        const { offset, rows, columns } = shapes[layer - 1];
        for (let h = 0; h < rows; h++) {
          let below = 0;
          for (let c = 0; c < columns; c++) {
            gradient[offset + h * columns + c] += values[layer - 1][h] * signals[layer][c];
            below += w[offset + h * columns + c] * signals[layer][c];
          }
          if (layer === 1 || h === rows - 1) continue;
          const value = values[layer - 1][h];
          signals[layer - 1][h] =
            below * (network.activation === "tanh" ? 1 - value * value : value > 0 ? 1 : 0);
        }
      }
    }
    return sum / labels.length;
  };
}

/** Mean (n) and squared standard error of it (n). */
export function momentsOf(replicates: readonly ArrayLike<number>[]): {
  mean: Float64Array;
  squaredError: Float64Array;
} {
  const n = replicates[0].length;
  const mean = new Float64Array(n);
  const squaredError = new Float64Array(n);
  replicates.forEach((values, count) => {
    for (let i = 0; i < n; i++) {
      const before = values[i] - mean[i];
      mean[i] += before / (count + 1);
      squaredError[i] += before * (values[i] - mean[i]);
    }
  });
  const degrees = replicates.length * (replicates.length - 1);
  return { mean, squaredError: squaredError.map((sum) => sum / degrees) };
}

/**
 * The largest |z| between the means of two sets of replicates, over all n coordinates and, for each layer, over the
 * projection on the second's mean; both errors counted.
 *
 * Where the means agree, P(|z| > 5.5) < 1.3e-7 for each (Student's t with 249 degrees of freedom, the fewest used).
 */
export function largestZ(
  point: Pick<NetworkPoint, "network">,
  estimates: readonly Float64Array[],
  truth: readonly Float64Array[],
): number {
  const direction = momentsOf(truth).mean;
  const shapes = layerShapes(point.network);
  const withProjections = (values: Float64Array) => [
    ...values,
    ...shapes.map(({ offset, rows, columns }) => {
      let sum = 0;
      for (let i = offset; i < offset + rows * columns; i++) sum += values[i] * direction[i];
      return sum;
    }),
  ];
  const [a, b] = [estimates, truth].map((set) => momentsOf(set.map(withProjections)));
  let largest = 0;
  a.mean.forEach((value, i) => {
    const error = sqrt(a.squaredError[i] + b.squaredError[i]);
    // Coordinates without any noise (a bias row that nothing reaches) must agree to rounding.
    largest = max(largest, Math.abs(value - b.mean[i]) / max(error, 1e-12));
  });
  return largest;
}
/** The bound on `largestZ` that the tests use. */
export const LARGEST_Z = 5.5;
