/**
 * The Hessian of a dense network's mean cross-entropy times a vector, exactly: ∇²f(x) v is the derivative of ∇f along v
 * (Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6, 1994, the R-operator). What `dense.ts`
 * computes is differentiated along v, line by line; with a dot for that derivative, V^ℓ the matrices of v, and Ȧ⁰ = 0:
 *
 *     Ṗ^ℓ = Ȧ^{ℓ−1} W^ℓ + A^{ℓ−1} V^ℓ           Ȧ^ℓ = [act'(P^ℓ) ∘ Ṗ^ℓ, 0]
 *     G^L = (p − onehot)/B                       Ġ^L = p ∘ (Ṗ^L − Σ_c p_c Ṗ^L_c)/B, p the softmax of a row
 *     T^{ℓ−1} = G^ℓ W^ℓᵀ                         Ṫ^{ℓ−1} = Ġ^ℓ W^ℓᵀ + G^ℓ V^ℓᵀ, bias rows left out
 *     G^{ℓ−1} = T^{ℓ−1} ∘ act'                   Ġ^{ℓ−1} = Ṫ^{ℓ−1} ∘ act' + T^{ℓ−1} ∘ act'' ∘ Ṗ^{ℓ−1}
 *     (∇²f v)^ℓ = Ȧ^{ℓ−1}ᵀ G^ℓ + A^{ℓ−1}ᵀ Ġ^ℓ
 *
 * A ReLU's second derivative is taken as zero, which it is away from its kink: where a pre-activation is 0 to the bit
 * the product is that of the side on which the unit is off.
 *
 * Symbols: B rows, d_0 … d_L widths, n parameters.
 *
 * What this file leaves out: speed, float32, losses other than the cross-entropy.
 */
import type { Examples } from "../../backends/backend.ts";
import type { Network } from "../../network.ts";
import { multiply, multiplyTransposed } from "../linear/product.ts";
import type { Work } from "../machine/work.ts";
import { ACTIVATIONS, activate, firstLayerSize, forward, softmax, upperShape } from "./dense.ts";
import { inputMatrix } from "./rows.ts";

/** Rows worked off between pauses. */
const ROWS = 64;

/** ∇²f(x) v (n), f the mean cross-entropy of all rows. */
export function* hessianProduct(
  network: Network,
  x: Float64Array,
  { inputs, labels }: Examples,
  v: Float64Array,
): Work<Float64Array> {
  const [d0] = network.layers;
  const total = new Float64Array(x.length);
  for (let start = 0; start < labels.length; start += ROWS) {
    const end = Math.min(labels.length, start + ROWS);
    const rows = { inputs: inputs.subarray(start * d0, end * d0), labels: labels.subarray(start, end) };
    productOfRows(network, x, rows, v, labels.length).forEach((value, i) => {
      total[i] += value;
    });
    yield;
  }
  return total;
}

/** What some rows of `count` give to the product (n). */
function productOfRows(
  network: Network,
  x: Float64Array,
  { inputs, labels }: Examples,
  v: Float64Array,
  count: number,
): Float64Array {
  const { layers, activation } = network;
  const [d0, d1] = layers;
  const n1 = firstLayerSize(network);
  const { slope, bend } = ACTIVATIONS[activation];
  const a = inputMatrix(inputs, d0);
  const [upper, moved] = [x.subarray(n1), v.subarray(n1)];
  const before = forward(network, multiply(a, x.subarray(0, n1), d0 + 1, d1), upper);
  const dots = [multiply(a, v.subarray(0, n1), d0 + 1, d1)];
  const activations = [a];
  const activationDots: Float64Array[] = [];
  for (let layer = 2; layer < layers.length; layer++) {
    const { offset, rows, columns } = upperShape(network, layer);
    const [p, pDot] = [before[layer - 2], dots[layer - 2]];
    const inner = activate(activation, p, rows - 1);
    const innerDot = new Float64Array(inner.length);
    p.forEach((value, i) => {
      innerDot[i + Math.floor(i / (rows - 1))] = slope(value) * pDot[i];
    });
    const w = upper.subarray(offset, offset + rows * columns);
    const along = multiply(inner, moved.subarray(offset, offset + rows * columns), rows, columns);
    dots.push(multiply(innerDot, w, rows, columns).map((value, i) => value + along[i]));
    activations.push(inner);
    activationDots.push(innerDot);
  }
  const product = new Float64Array(x.length);
  let [g, gDot] = signalsOf(before.at(-1)!, dots.at(-1)!, labels, layers.at(-1)!, count);
  for (let layer = layers.length - 1; layer >= 2; layer--) {
    const { offset, rows, columns } = upperShape(network, layer);
    const own = multiplyTransposed(activations[layer - 1], gDot, rows, columns);
    const through = multiplyTransposed(activationDots[layer - 2], g, rows, columns);
    product.set(
      own.map((value, i) => value + through[i]),
      n1 + offset,
    );
    const [p, pDot] = [before[layer - 2], dots[layer - 2]];
    const [below, belowDot] = [new Float64Array(p.length), new Float64Array(p.length)];
    for (let at = 0; at < p.length; at++) {
      const [b, h] = [Math.floor(at / (rows - 1)), at % (rows - 1)];
      let [back, backDot] = [0, 0];
      for (let c = 0; c < columns; c++) {
        const [weight, row] = [offset + h * columns + c, b * columns + c];
        back += g[row] * upper[weight];
        backDot += gDot[row] * upper[weight] + g[row] * moved[weight];
      }
      below[at] = back * slope(p[at]);
      belowDot[at] = backDot * slope(p[at]) + back * bend(p[at]) * pDot[at];
    }
    [g, gDot] = [below, belowDot];
  }
  product.set(multiplyTransposed(a, gDot, d0 + 1, d1));
  return product;
}

/** G^L and Ġ^L (rows × classes). */
function signalsOf(
  logits: Float64Array,
  dots: Float64Array,
  labels: Uint16Array,
  classes: number,
  count: number,
): [signal: Float64Array, dot: Float64Array] {
  const [signal, dot] = [new Float64Array(logits.length), new Float64Array(logits.length)];
  for (let b = 0; b < labels.length; b++) {
    const at = b * classes;
    const p = softmax(logits.subarray(at, at + classes));
    const mean = p.reduce((sum, share, c) => sum + share * dots[at + c], 0);
    for (let c = 0; c < classes; c++) {
      signal[at + c] = (p[c] - (c === labels[b] ? 1 : 0)) / count;
      dot[at + c] = (p[c] * (dots[at + c] - mean)) / count;
    }
  }
  return [signal, dot];
}
