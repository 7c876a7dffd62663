/**
 * Walsh coupling: 2m samples for the noise of one, and their losses by one Walsh–Hadamard transform.
 *
 * Signs on the columns of a Gaussian matrix leave its law unchanged, jointly over its rows and with other layers'
 * noise, so every sample is x + s Z with Z standard normal, the law of importance sampling (García Trillos, Kaplan,
 * Sanz-Alonso, Entropy 2019, Algorithm 4); the samples of one block depend on each other. Block i draws U (r × d_1)
 * and Z ((d_1 + 1) × d_2); sample (i, e, g), e = ±1, g = 0 … m − 1, has first-layer noise U diag(e s_gh) and
 *
 *     second-layer noise  Z diag(e t_gc), t_gc = s_{g,d_1+c}   (layout of the row split, m ≥ d_1 + d_2),
 *                         diag(e s_gh) Z, bias row h = d_1     (weights only, m ≥ d_1 + 1),
 *
 * with s_gh = (−1)^popcount(g & h). A hidden unit then takes two values a row: with y = s (M U)_b, a and d half the
 * sum and half the difference of act(base + y) and act(base − y) (bias: a = 1, d = 0), it is a + e s_gh d, and
 *
 *     row split:     logit_c = aᵀW_c + e WHT(d∘W_c, with n_c at place d_1 + c)_g + N_gc,
 *                    n_c = s aᵀZ_c,  N_gc = t_gc WHT(s d∘Z_c)_g,  noise's part η_c = e t_gc n_c + N_gc,
 *                    q = |hidden|² = Σ_h (a² + d²) + e WHT(2a∘d)_g;
 *     weights only:  logit_c = aᵀW_c + s dᵀZ_c + e WHT(d∘W_c + s a∘Z_c)_g.
 *
 * Without a hidden layer U is r × d_2, logit_c = base_c + e s_gc y_c, and m ≥ d_2. Samples are ordered
 * (i·2 + (e < 0))·m + g; J = 2mK.
 *
 * Symbols: B rows b, d_0, d_1, d_2 widths, h hidden units, c classes, K blocks i, m the transform's length, WHT(v)_g =
 * Σ_h s_gh v_h (v padded with zeros), f̄ mean loss of the minibatch; M, U, r: see `sampled-point.ts`.
 *
 * What this file leaves out: more than one hidden layer, and speed.
 */
import { layerShapes, transformLength } from "../../network.ts";
import { multiply } from "../linear/product.ts";
import { walshSign, walshTransform } from "../linear/transform.ts";
import { zeros } from "../machine/memory.ts";
import type { Work } from "../machine/work.ts";
import { activate, type NetworkPoint } from "../network/dense.ts";
import { type NoiseForm, rowLosses, type Unit } from "./sampled-point.ts";

/** One block's 2m samples; index e·m + g within a block, e = 0 for + and 1 for −. */
export interface WalshBlock extends Unit {
  /** m. */
  readonly length: number;
  /** y = s M U (B × d_1): the first layer's noise where all signs are +. */
  readonly y: Float64Array;
  /** f_b (B × 2m). */
  readonly rows: Float64Array;
  /** What the row split's second layer needs; null without one, and for weights only. */
  readonly second: WalshSecondLayer | null;
}

export interface WalshSecondLayer {
  /** a, d (B × (d_1 + 1)). */
  readonly half: HalfActivations;
  /** n (B × d_2). */
  readonly n: Float64Array;
  /** η (B × 2m × d_2). */
  readonly eta: Float64Array;
  /** q (B × 2m). */
  readonly squares: Float64Array;
}

interface HalfActivations {
  readonly a: Float64Array;
  readonly d: Float64Array;
}

/** (1/2m) WHT(v⁺ − v⁻) from values (2m) of a block: its mean of value · e s_gh, for each h (m). */
export function signMean(values: Float64Array): Float64Array {
  const m = values.length / 2;
  const differences = Float64Array.from({ length: m }, (_, g) => values[g] - values[m + g]);
  return walshTransform(differences).map((sum) => sum / (2 * m));
}

/** Block i (Philox index i), in the layout of the row split or of weights only. */
export function walshBlock(
  point: NetworkPoint,
  form: NoiseForm,
  rowwise: boolean,
  s: number,
  index: number,
): WalshBlock {
  const { layers } = point.network;
  const m = transformLength(point.network, rowwise);
  const z = form.normals(index);
  const firstSize = form.rows * layers[1];
  const y = multiply(form.factor, z.subarray(0, firstSize), form.rows, layers[1]).map((value) => s * value);
  const upper = z.subarray(firstSize);
  const { rows, second } =
    layers.length === 2
      ? { rows: lossesWithoutHidden(point, form, y, m, index), second: null }
      : rowwise
        ? rowSplitLosses(point, form, y, upper, m, s, index)
        : { rows: weightsOnlyLosses(point, form, y, upper, m, s, index), second: null };
  const count = form.base.length / layers[1];
  const losses = Float64Array.from({ length: 2 * m }, (_, sample) => {
    let sum = 0;
    for (let b = 0; b < count; b++) sum += rows[b * 2 * m + sample];
    return sum / count;
  });
  const noiseMean = (values: Float64Array) =>
    form.lift(signedNoise(z, firstSize, layers, rowwise, signMean(values)));
  return { length: m, y, rows, second, losses, noiseMean };
}

/** f̄ of all J samples, in order. */
export function* walshLosses(
  point: NetworkPoint,
  form: NoiseForm,
  rowwise: boolean,
  s: number,
  blocks: number,
): Work<Float64Array> {
  const losses = zeros(2 * transformLength(point.network, rowwise) * blocks);
  for (let i = 0; i < blocks; i++) {
    const block = walshBlock(point, form, rowwise, s, i);
    losses.set(block.losses, i * block.losses.length);
    yield;
  }
  return losses;
}

/**
 * [U diag E_h | second layer's noise with E in place of its signs]: a block's mean of value · noise, given the mean
 * E (m) of value · sign.
 */
function signedNoise(
  z: Float64Array,
  firstSize: number,
  layers: readonly number[],
  rowwise: boolean,
  signs: Float64Array,
): Float64Array {
  const [, d1, d2] = layers;
  return z.map((value, at) => {
    if (at < firstSize) return value * signs[at % d1];
    const place = at - firstSize;
    return value * signs[rowwise ? d1 + (place % d2) : Math.floor(place / d2)];
  });
}

/** f_b (B × 2m) without a hidden layer. */
function lossesWithoutHidden(
  point: NetworkPoint,
  form: NoiseForm,
  y: Float64Array,
  m: number,
  block: number,
): Float64Array {
  const classes = point.network.layers[1];
  return lossesOf(point, m, block, (b, e, g, c) => {
    const at = b * classes + c;
    return form.base[at] + e * walshSign(g, c) * y[at];
  });
}

/** f_b (B × 2m) in the layout of weights only. */
function weightsOnlyLosses(
  point: NetworkPoint,
  form: NoiseForm,
  y: Float64Array,
  z: Float64Array,
  m: number,
  s: number,
  block: number,
): Float64Array {
  const [, d1, d2] = point.network.layers;
  const { a, d } = halfActivations(point, form, y);
  const w = secondWeights(point);
  const even = [multiply(a, w, d1 + 1, d2), multiply(d, z, d1 + 1, d2)];
  const odd = transforms(a.length / (d1 + 1), d2, m, (b, c, v) => {
    for (let h = 0; h <= d1; h++) {
      const [k, at] = [b * (d1 + 1) + h, h * d2 + c];
      v[h] = d[k] * w[at] + s * a[k] * z[at];
    }
  });
  return lossesOf(point, m, block, (b, e, g, c) => {
    const at = b * d2 + c;
    return even[0][at] + s * even[1][at] + e * odd[at * m + g];
  });
}

/** f_b (B × 2m) in the layout of the row split, and what its second layer's gradient needs. */
function rowSplitLosses(
  point: NetworkPoint,
  form: NoiseForm,
  y: Float64Array,
  z: Float64Array,
  m: number,
  s: number,
  block: number,
): { rows: Float64Array; second: WalshSecondLayer } {
  const [, d1, d2] = point.network.layers;
  const half = halfActivations(point, form, y);
  const { a, d } = half;
  const count = a.length / (d1 + 1);
  const w = secondWeights(point);
  const base = multiply(a, w, d1 + 1, d2);
  const n = multiply(a, z, d1 + 1, d2).map((value) => s * value);
  const hiddenPart = transforms(count, d2, m, (b, c, v) => {
    for (let h = 0; h < d1; h++) v[h] = d[b * (d1 + 1) + h] * w[h * d2 + c];
    v[d1 + c] = n[b * d2 + c];
  });
  const noisePart = transforms(count, d2, m, (b, c, v) => {
    for (let h = 0; h < d1; h++) v[h] = s * d[b * (d1 + 1) + h] * z[h * d2 + c];
  });
  const cross = transforms(count, 1, m, (b, _, v) => {
    for (let h = 0; h < d1; h++) v[h] = 2 * a[b * (d1 + 1) + h] * d[b * (d1 + 1) + h];
  });
  const eta = new Float64Array(count * 2 * m * d2);
  const squares = new Float64Array(count * 2 * m);
  for (let b = 0; b < count; b++) {
    let own = 0;
    for (let h = 0; h <= d1; h++) own += a[b * (d1 + 1) + h] ** 2 + d[b * (d1 + 1) + h] ** 2;
    for (let sample = 0; sample < 2 * m; sample++) {
      const [e, g] = sample < m ? [1, sample] : [-1, sample - m];
      const at = b * 2 * m + sample;
      squares[at] = own + e * cross[b * m + g];
      for (let c = 0; c < d2; c++) {
        const t = walshSign(g, d1 + c);
        eta[at * d2 + c] = t * (e * n[b * d2 + c] + noisePart[(b * d2 + c) * m + g]);
      }
    }
  }
  const rows = lossesOf(point, m, block, (b, e, g, c) => {
    const at = b * d2 + c;
    return base[at] + e * hiddenPart[at * m + g] + walshSign(g, d1 + c) * noisePart[at * m + g];
  });
  return { rows, second: { half, n, eta, squares } };
}

/** a and d (B × (d_1 + 1)), the bias input's last. */
function halfActivations({ network }: NetworkPoint, { base }: NoiseForm, y: Float64Array): HalfActivations {
  const act = (sign: number) =>
    activate(
      network.activation,
      base.map((value, i) => value + sign * y[i]),
      network.layers[1],
    );
  const [plus, minus] = [act(1), act(-1)];
  return { a: plus.map((p, i) => (p + minus[i]) / 2), d: plus.map((p, i) => (p - minus[i]) / 2) };
}

/** W² ((d_1 + 1) × d_2). */
function secondWeights({ network, x }: NetworkPoint): Float64Array {
  return x.subarray(layerShapes(network)[1].offset);
}

/** WHT of one vector a row and class (B × classes × m); `fill` writes it into zeros. */
function transforms(
  count: number,
  classes: number,
  m: number,
  fill: (b: number, c: number, v: Float64Array) => void,
): Float64Array {
  const all = new Float64Array(count * classes * m);
  for (let b = 0; b < count; b++) {
    for (let c = 0; c < classes; c++) {
      const v = new Float64Array(m);
      fill(b, c, v);
      all.set(walshTransform(v), (b * classes + c) * m);
    }
  }
  return all;
}

/** f_b (B × 2m) of a block from the logit of every row, sign e, g and class. */
function lossesOf(
  point: NetworkPoint,
  m: number,
  block: number,
  logit: (b: number, e: number, g: number, c: number) => number,
): Float64Array {
  const { layers } = point.network;
  const count = point.batches[0].inputs.length / layers[0];
  const classes = layers.at(-1)!;
  const rows = new Float64Array(count * 2 * m);
  const logits = new Float64Array(count * classes);
  for (let sample = 0; sample < 2 * m; sample++) {
    const [e, g] = sample < m ? [1, sample] : [-1, sample - m];
    for (let b = 0; b < count; b++) {
      for (let c = 0; c < classes; c++) logits[b * classes + c] = logit(b, e, g, c);
    }
    rowLosses(point, logits, block * 2 * m + sample).forEach((f, b) => {
      rows[b * 2 * m + sample] = f;
    });
  }
  return rows;
}
