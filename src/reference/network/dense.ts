/**
 * A dense network's loss, its gradient by back-propagation, predictions and accuracy, in float64.
 *
 * With the bias as one more input that is always 1, layer ℓ computes P^ℓ = A^{ℓ−1} W^ℓ, A^ℓ = [act(P^ℓ), 1]; the
 * logits are P^L and f is the mean of the rows' losses (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019,
 * section 6, with a general loss of a row). Everything starts at P¹, so that the projected forms, which know P¹
 * without W¹, use the same code.
 *
 * Symbols: B rows, d_0 … d_L widths, n parameters, n₁ = (d_0 + 1)·d_1 those of the first layer; A = A⁰.
 * All matrices are row-major.
 *
 * What this file leaves out: speed (blocking, lanes, threads, lists of non-zero inputs), and float32.
 */
import type { Examples, Loss } from "../../backends/backend.ts";
import { HAS_GRADIENT, type KindOf, LINKS } from "../../backends/description.ts";
import { type Activation, layerShapes, type Network, parameterCount } from "../../network.ts";
import { multiply, multiplyTransposed } from "../linear/product.ts";
import type { LossFunction, Normals, Work } from "../machine/work.ts";
import { gaussian } from "../random/gaussian.ts";
import { type Key, layerStream } from "../random/streams.ts";
import { inputMatrix } from "./rows.ts";

/** A network at x on one minibatch, or on one for each transition of a chain. */
export interface NetworkPoint {
  readonly network: Network;
  readonly loss: Loss;
  readonly batches: readonly Examples[];
  /** x, or x_k (n). */
  readonly x: Float64Array;
}

/** Where an estimator on a network draws its noise, and in which form. */
export interface Draw {
  readonly key: Key;
  /** k, zero-based. */
  readonly update: number;
  /** Whether the first layer's noise is drawn in the minibatch's span (one minibatch, B ≤ d_0). */
  readonly projected: boolean;
}

/** n₁: where the second layer begins in the flat parameters. */
export function firstLayerSize(network: Network): number {
  return (network.layers[0] + 1) * network.layers[1];
}

/**
 * f from the first layer's pre-activations.
 *
 * @param first P¹ (B × d_1)
 * @param upper layers 2 … L of the parameters (n − n₁)
 * @param batch B rows, of which the loss reads labels or targets
 */
export function lossFrom(
  network: Network,
  loss: Loss,
  first: Float64Array,
  upper: Float64Array,
  batch: Examples,
  sample?: number,
): number {
  const outputs = forward(network, first, upper).at(-1)!;
  const losses = rowLosses(loss, outputs, batch, network.layers.at(-1)!, sample);
  return losses.reduce((sum, f) => sum + f, 0) / losses.length;
}

/**
 * The gradient from the first layer's pre-activations: G^L = ∂f/∂P^L of the loss, then
 * ∂f/∂W^ℓ = A^{ℓ−1}ᵀ G^ℓ and G^{ℓ−1} = (G^ℓ W^ℓᵀ) ∘ act'(P^{ℓ−1}), the bias row of W^ℓ left out.
 *
 * @returns `signal` = G¹ = ∂f/∂P¹ (B × d_1) and `upper`, the gradient of layers 2 … L (n − n₁)
 */
export function gradientFrom(
  network: Network,
  loss: SmoothLoss,
  first: Float64Array,
  upper: Float64Array,
  batch: Examples,
): { signal: Float64Array; upper: Float64Array } {
  const { layers, activation } = network;
  const count = first.length / layers[1];
  const before = forward(network, first, upper);
  const { slope } = ACTIVATIONS[activation];
  const gradient = new Float64Array(upper.length);
  let signal = signalOf(loss, before.at(-1)!, batch, layers.at(-1)!);
  for (let layer = layers.length - 1; layer >= 2; layer--) {
    const { offset, rows, columns } = upperShape(network, layer);
    const inputs = activate(activation, before[layer - 2], rows - 1);
    gradient.set(multiplyTransposed(inputs, signal, rows, columns), offset);
    const below = new Float64Array(count * (rows - 1));
    for (let b = 0; b < count; b++) {
      for (let h = 0; h < rows - 1; h++) {
        let sum = 0;
        for (let c = 0; c < columns; c++) {
          sum += signal[b * columns + c] * upper[offset + h * columns + c];
        }
        const at = b * (rows - 1) + h;
        below[at] = sum * slope(before[layer - 2][at]);
      }
    }
    signal = below;
  }
  return { signal, upper: gradient };
}

/** f and ∇f of a network on a minibatch, as functions of all n parameters. */
export function networkLoss(network: Network, loss: Loss, batch: Examples): LossFunction {
  const [d0, d1] = network.layers;
  const a = inputMatrix(batch.inputs, d0);
  const n1 = firstLayerSize(network);
  const firstOf = (x: Float64Array) => multiply(a, x.subarray(0, n1), d0 + 1, d1);
  const value = (x: Float64Array, sample?: number) =>
    lossFrom(network, loss, firstOf(x), x.subarray(n1), batch, sample);
  if (!differentiable(network, loss)) return { dimension: parameterCount(network), value };
  return {
    dimension: parameterCount(network),
    value,
    gradient(x) {
      const { signal, upper } = gradientFrom(network, loss, firstOf(x), x.subarray(n1), batch);
      const gradient = new Float64Array(x.length);
      gradient.set(multiplyTransposed(a, signal, d0 + 1, d1));
      gradient.set(upper, n1);
      return gradient;
    },
  };
}

/** Whether back-propagation means anything: not where the loss or a hidden layer's activation has no slope. */
export function differentiable(network: Network, loss: Loss): loss is SmoothLoss {
  const hidden = network.layers.length > 2;
  return HAS_GRADIENT.loss[loss.kind] && (!hidden || HAS_GRADIENT.activation[network.activation]);
}

/** The normals of all n parameters: each layer's from its own stream, row-major; index = sample or transition. */
export function networkNormals(network: Network, key: Key, update: number): Normals {
  const shapes = layerShapes(network);
  return (index) => {
    const normals = new Float64Array(parameterCount(network));
    shapes.forEach(({ offset, rows, columns }, i) => {
      normals.set(gaussian(key, layerStream(i + 1), update, index, rows * columns), offset);
    });
    return normals;
  };
}

/** The label of a row for which nothing is predicted; networks have fewer classes. */
export const NO_CLASS = 2 ** 16 - 1;

/** Rows looked at between pauses. */
const ROWS = 64;

/**
 * Outputs under the loss's link (rows × d_L), as class probabilities, and the class predicted for each row. Of a row with
 * a logit that is NaN the probabilities are NaN, and the class is `NO_CLASS`.
 */
export function* predict(
  network: Network,
  { kind }: Loss,
  parameters: Float64Array,
  inputs: Uint8Array | Float32Array,
): Work<{ outputs: Float64Array; labels: Uint16Array }> {
  const [d0, d1] = network.layers;
  const classes = network.layers.at(-1)!;
  const count = inputs.length / d0;
  const n1 = firstLayerSize(network);
  const outputs = new Float64Array(count * classes);
  const labels = new Uint16Array(count);
  for (let start = 0; start < count; start += ROWS) {
    const a = inputMatrix(inputs.subarray(start * d0, (start + ROWS) * d0), d0);
    const first = multiply(a, parameters.subarray(0, n1), d0 + 1, d1);
    const logits = forward(network, first, parameters.subarray(n1)).at(-1)!;
    for (let b = 0; b * classes < logits.length; b++) {
      const row = logits.subarray(b * classes, (b + 1) * classes);
      outputs.set(LINK[LINKS[kind]](row), (start + b) * classes);
      labels[start + b] = predicted(row) ?? NO_CLASS;
    }
    yield;
  }
  return { outputs, labels };
}

/** Fraction of the rows whose class predicted is the label. */
export function* accuracy(network: Network, parameters: Float64Array, batch: Examples): Work<number> {
  const { labels } = yield* predict(network, { kind: "cross-entropy" }, parameters, batch.inputs);
  return labels.reduce((sum, label, b) => sum + (label === batch.labels[b] ? 1 : 0), 0) / labels.length;
}

/** P¹ … P^L from P¹. */
export function forward(network: Network, first: Float64Array, upper: Float64Array): Float64Array[] {
  const before = [first];
  for (let layer = 2; layer < network.layers.length; layer++) {
    const { offset, rows, columns } = upperShape(network, layer);
    const inputs = activate(network.activation, before[layer - 2], rows - 1);
    before.push(multiply(inputs, upper.subarray(offset, offset + rows * columns), rows, columns));
  }
  return before;
}

/** Layer ℓ ≥ 2's matrix within the parameters above the first layer. */
export function upperShape(network: Network, layer: number) {
  const { offset, rows, columns } = layerShapes(network)[layer - 1];
  return { offset: offset - firstLayerSize(network), rows, columns };
}

/** act(p), act'(p) and act''(p); the ReLU's slope is 0 at 0, as its second derivative is everywhere. What is NaN stays so, though no comparison tells. */
export const ACTIVATIONS: Record<
  Activation,
  { value(p: number): number; slope(p: number): number; bend(p: number): number }
> = {
  relu: { value: (p) => Math.max(p, 0), slope: (p) => (p > 0 ? 1 : 0), bend: () => 0 },
  tanh: {
    value: (p) => Math.tanh(p),
    slope: (p) => 1 - Math.tanh(p) ** 2,
    bend: (p) => -2 * Math.tanh(p) * (1 - Math.tanh(p) ** 2),
  },
  step: { value: (p) => (Number.isNaN(p) ? p : p > 0 ? 1 : 0), slope: () => 0, bend: () => 0 },
};

/** [act(P), 1]: (B × (width + 1)) from (B × width). */
export function activate(activation: Activation, before: Float64Array, width: number): Float64Array {
  const { value } = ACTIVATIONS[activation];
  const after = new Float64Array((before.length / width) * (width + 1)).fill(1);
  before.forEach((p, i) => {
    after[i + Math.floor(i / width)] = value(p);
  });
  return after;
}

/** The number of x itself among an update's samples: their last. */
export const CENTER = -1;

/** A loss that is given, of which the outputs are wanted in its place: (J + 1) × B × d_L. */
export type WantedOutputs = Extract<Loss, { kind: "given" }> & { readonly outputs: Float64Array };

/**
 * Losses of all rows (B) from their outputs (B × d_L, `width` = d_L), as the batch answers them or, in sample `sample`, as
 * they are given.
 */
export function rowLosses(
  loss: Loss,
  outputs: Float64Array,
  batch: Examples,
  width: number,
  sample = CENTER,
): Float64Array {
  if (loss.kind === "given") return givenLosses(loss, outputs, width, sample);
  return Float64Array.from({ length: outputs.length / width }, (_, b) =>
    rowLoss(loss, outputs.subarray(b * width, (b + 1) * width), batch, b),
  );
}

function givenLosses(
  loss: Extract<Loss, { kind: "given" }> | WantedOutputs,
  outputs: Float64Array,
  width: number,
  sample: number,
): Float64Array {
  const count = outputs.length / width;
  if ("outputs" in loss) {
    const all = loss.outputs;
    all.set(outputs, sample === CENTER ? all.length - outputs.length : sample * outputs.length);
    return new Float64Array(count);
  }
  const begin = sample === CENTER ? loss.losses.length - count : sample * count;
  return Float64Array.from(loss.losses.subarray(begin, begin + count));
}

/** Loss of row b of a batch. Where nothing is predicted a cost matrix takes the label's dearest mistake. */
function rowLoss(
  loss: Exclude<Loss, { kind: "given" }>,
  z: Float64Array,
  batch: Examples,
  b: number,
): number {
  switch (loss.kind) {
    case "cross-entropy":
      return logOfSum(z) - z[batch.labels[b]];
    case "cost-matrix": {
      const label = batch.labels[b];
      const costs = loss.costs.subarray(label * z.length, (label + 1) * z.length);
      const best = predicted(z);
      return best === null ? Math.max(...costs) : costs[best];
    }
    case "squared-error":
      return targetsOf(batch, b, z.length).reduce((sum, t, c) => sum + (z[c] - t) ** 2 / 2, 0);
    case "absolute-error":
      return targetsOf(batch, b, z.length).reduce((sum, t, c) => sum + Math.abs(z[c] - t), 0);
    case "logistic":
      return targetsOf(batch, b, z.length).reduce((sum, t, c) => sum + softplus(z[c]) - t * z[c], 0);
    case "soft-cross-entropy": {
      const log = logOfSum(z);
      return targetsOf(batch, b, z.length).reduce((sum, t, c) => sum + t * (log - z[c]), 0);
    }
    default:
      return loss satisfies never;
  }
}

/** Targets of row b, d_L = `width` of them. */
function targetsOf({ targets }: Examples, b: number, width: number): Float32Array {
  return targets!.subarray(b * width, (b + 1) * width);
}

/** log Σ e^z. */
function logOfSum(z: Float64Array): number {
  const largest = Math.max(...z);
  return largest + Math.log(z.reduce((sum, each) => sum + Math.exp(each - largest), 0));
}

/** log(1 + e^z). */
function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

/** What predict makes of a row's outputs. */
const LINK: Record<(typeof LINKS)[KindOf<"loss">], (z: Float64Array) => Float64Array> = {
  softmax,
  sigmoid: (z) => z.map(sigmoid),
  identity: (z) => z,
};

/** A loss that has a gradient. */
type SmoothKind = {
  [Kind in KindOf<"loss">]: (typeof HAS_GRADIENT.loss)[Kind] extends true ? Kind : never;
}[KindOf<"loss">];
type SmoothLoss = Loss & { readonly kind: SmoothKind };

/** ∂f/∂P^L (B × d_L) of a loss that has a gradient, from the outputs. */
function signalOf(loss: SmoothLoss, outputs: Float64Array, batch: Examples, width: number): Float64Array {
  const count = outputs.length / width;
  const signal = new Float64Array(outputs.length);
  for (let b = 0; b < count; b++) {
    signal.set(slopesOf(loss, outputs.subarray(b * width, (b + 1) * width), batch, b), b * width);
  }
  return signal.map((g) => g / count);
}

/** Slopes of row b's loss along its outputs; the absolute error's is 0 at 0, as the ReLU's. */
function slopesOf({ kind }: SmoothLoss, z: Float64Array, batch: Examples, b: number): Float64Array {
  switch (kind) {
    case "cross-entropy":
      return softmax(z).map((p, c) => p - (c === batch.labels[b] ? 1 : 0));
    case "squared-error":
      return z.map((value, c) => value - targetsOf(batch, b, z.length)[c]);
    case "absolute-error":
      return z.map((value, c) => Math.sign(value - targetsOf(batch, b, z.length)[c]));
    case "logistic":
      return z.map((value, c) => sigmoid(value) - targetsOf(batch, b, z.length)[c]);
    case "soft-cross-entropy": {
      const targets = targetsOf(batch, b, z.length);
      const sum = targets.reduce((total, t) => total + t, 0);
      return softmax(z).map((p, c) => sum * p - targets[c]);
    }
    default:
      return kind satisfies never;
  }
}

export function softmax(logits: Float64Array): Float64Array {
  const largest = Math.max(...logits);
  const exponentials = logits.map((z) => Math.exp(z - largest));
  const sum = exponentials.reduce((total, e) => total + e, 0);
  return exponentials.map((e) => e / sum);
}

/** The class of the first largest logit; null where one is NaN, which no comparison tells. */
function predicted(logits: Float64Array): number | null {
  if (logits.some(Number.isNaN)) return null;
  return logits.reduce((best, z, c) => (z > logits[best] ? c : best), 0);
}
