/**
 * The row split: the gradient of a loss that is a mean over rows, each row's part conditioned on what it depends on
 * (Rao–Blackwell), at the mean of importance sampling (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, Algorithm 4).
 *
 * With D = (f̄ − c₀)/δ, w = e^{−D} = 1 − D + ρ. The first-order part is a sum over rows, and row b's loss sees layer
 * ℓ's noise through η = s hidᵀZ only (hid the layer's input row, η's variance s²|hid|²), so Stein's identity gives
 *
 *     E[Z f_b]/s = E[hid η (f_b − c_b)/(s²|hid|²)]     for any c_b that does not depend on the layer's noise.
 *
 * Its mean over rows and samples is the first-order part H, an unbiased estimate of the heat gradient ∇E f̄(x + s Z).
 * With the remainder, for a fixed c₀,
 *
 *     H − (δ/s) E[ρ Z] = −(δ/s) E[w Z],      gradient = (s²/τ) (H − (δ/s) mean ρ Z)/mean w,
 *
 * which is δ(x − E_q[X])/τ: s²/τ is 1 unless the noise's scale s is not √τ, and inside Stein's identity the variance
 * is s² always. c₀ is the mean of f̄ over all samples; the quotient's bias is O(1/units).
 *
 * - Independent samples and antithetic pairs, any depth: c_b = the row's loss at x.
 * - Walsh blocks: the mean over a block's samples is taken by transforms, with G_h = (1/2m) WHT(f_b⁺ − f_b⁻)_h,
 *
 *     first layer: A^T D1,  D1_bh = (1/BK) Σ_i [y_h G_h/s_b² − κ_ih (y_h²/s_b² − 1)],   s_b² = s²|a_b|²,
 *                  κ_ih = Σ_{i'≠i} y_h G_h/(Σ_{i'≠i} y_h² + 0.1 s_b²);
 *     second:      D2_hc = (1/2mBK) Σ_b Σ_i [a_h Σ_g (ψ⁺ + ψ⁻) + d_h WHT(ψ⁺ − ψ⁻)_h],
 *                  ψ = η(f_b − c_i − λ_ic η)/(s² q) + λ_ic,  c_i the mean of f_b over the other blocks,
 *                  λ_ic = Σ_{i'≠i} n_c G_{d_1+c}/(Σ_{i'≠i} n_c² + 1e-3 s² Σ_h (a² + d²)), the last sum block i's own.
 *
 *   Cross-fitting: slopes κ, λ and c_i come from the other blocks, so what they multiply keeps its mean zero. Blocks
 *   are taken in groups of at most eight, i' running over the group; a block alone has κ = λ = 0 and c_i = the row's
 *   loss at x. Without a hidden layer there is D1 only, c for h.
 *
 * Symbols: B rows b, K blocks i, J samples, a_b row of A, δ temperature, τ the proposal's variance, s the
 * perturbation's scale; y, a, d, n, η, q, m: see `walsh.ts`; n parameters.
 *
 * What this file leaves out: speed: noise is made twice, once for the losses and once for the estimate.
 */
import type { Coupling } from "../../backends/backend.ts";
import { type LayerShape, layerShapes, parameterCount } from "../../network.ts";
import type { Work } from "../machine/work.ts";
import { type Draw, multiplyTransposed, type NetworkPoint } from "../network/dense.ts";
import {
  type ImportanceSamplingEstimate,
  type ImportanceSamplingSettings,
  importanceSamplingEstimate,
  lossesAtCenter,
  mean,
  type NoiseForm,
  noiseForm,
  normalizedWeights,
  type SampleUnit,
  Spread,
  sampleUnit,
  sampleUnits,
  squaredNorm,
  type Unit,
} from "./units.ts";
import { signMean, type WalshBlock, walshBlock } from "./walsh.ts";

/** The most blocks in a group of cross-fitting. */
const GROUP = 8;

/** Keeps κ's quotient from a denominator near zero, in units of s_b². */
const FIRST_RIDGE = 0.1;
/** The same for λ, in units of s² Σ_h (a² + d²). */
const SECOND_RIDGE = 1e-3;

/** A coupling's units, in the groups of the cross-fit. */
export interface RowSplit {
  /** Unit numbers. */
  readonly groups: readonly (readonly number[])[];
  unit(index: number): Unit;
  firstOrder(group: readonly number[]): FirstOrder;
}

export interface FirstOrder {
  /** The group's units. */
  readonly units: readonly Unit[];
  /** H (n), the mean over the group, cross-fitted. */
  readonly together: Float64Array;
  /** H (n) of each unit without the others. */
  readonly alone: readonly Float64Array[];
}

/** The row split's units on a network's minibatch. */
export function rowSplit(
  point: NetworkPoint,
  form: NoiseForm,
  coupling: Coupling,
  noiseScale: number,
): RowSplit {
  const center = lossesAtCenter(point, form);
  if (coupling.kind === "walsh") {
    const unit = (index: number) => walshBlock(point, form, true, noiseScale, index);
    return {
      groups: groupsOf(coupling.blocks),
      unit,
      firstOrder(group) {
        const units = group.map(unit);
        const of = (blocks: readonly WalshBlock[]) =>
          walshFirstOrder(point, form, blocks, center, noiseScale);
        const together = of(units);
        return {
          units,
          together,
          alone: units.length === 1 ? [together] : units.map((block) => of([block])),
        };
      },
    };
  }
  const unit = (index: number) => sampleUnit(point, form, coupling, noiseScale, index);
  return {
    groups: Array.from({ length: sampleUnits(coupling) }, (_, index) => [index]),
    unit,
    firstOrder([index]) {
      const made = unit(index);
      const together = sampleFirstOrder(point, made, center, noiseScale);
      return { units: [made], together, alone: [together] };
    },
  };
}

/**
 * ∇F at x by importance sampling with the row split, in two passes: the losses, then the estimate.
 *
 * @param expansionPoint c₀, in place of the mean of the samples' losses; fixed beforehand, it makes the numerator
 *   gradient · (τ/s²) · mean w unbiased
 */
export function* importanceSamplingRowwise(
  point: NetworkPoint,
  draw: Draw,
  settings: ImportanceSamplingSettings,
  expansionPoint?: number,
): Work<ImportanceSamplingEstimate> {
  const { coupling, temperature, tau, noiseScale } = settings;
  const dimension = parameterCount(point.network);
  const form = noiseForm(point, draw);
  const split = rowSplit(point, form, coupling, noiseScale);
  const losses: number[] = [];
  for (const index of split.groups.flat()) {
    losses.push(...split.unit(index).losses);
    yield;
  }
  const all = Float64Array.from(losses);
  const weights = normalizedWeights(all, temperature);
  const c0 = expansionPoint ?? mean(all);
  // 1/mean w and w/mean w = J w̄, from the normalized weights: neither overflows for small δ.
  const inverse = Math.exp((weights.freeEnergy - c0) / temperature);
  const factor = noiseScale ** 2 / tau;
  const gradient = new Float64Array(dimension);
  const spread = new Spread(dimension);
  const count = split.groups.flat().length;
  let next = 0;
  for (const group of split.groups) {
    const { units, together, alone } = split.firstOrder(group);
    units.forEach((unit, u) => {
      const remainder = unit.noiseMean(
        unit.losses.map((f, j) => {
          const relative = losses.length * weights.normalized[next + j];
          return relative - inverse * (1 - (f - c0) / temperature);
        }),
      );
      next += unit.losses.length;
      const estimate = (first: Float64Array) =>
        first.map((h, i) => factor * (inverse * h - (temperature / noiseScale) * remainder[i]));
      spread.add(estimate(alone[u]));
      estimate(together).forEach((g, i) => {
        gradient[i] += g / count;
      });
    });
    yield;
  }
  return importanceSamplingEstimate(point.x, settings, all, weights, gradient, spread.standardError());
}

/** K blocks in G = ⌈K/8⌉ groups: group g holds ⌊gK/G⌋ … ⌊(g + 1)K/G⌋ − 1. */
export function groupsOf(blocks: number): number[][] {
  const groups = Math.ceil(blocks / GROUP);
  const start = (g: number) => Math.floor((g * blocks) / groups);
  return Array.from({ length: groups }, (_, g) =>
    Array.from({ length: start(g + 1) - start(g) }, (_, i) => start(g) + i),
  );
}

/** H (n) of a sample, or of a pair: A^{ℓ−1}ᵀ diag((f_b − c_b)/(s²|hid|²B)) η for every layer ℓ. */
function sampleFirstOrder(
  { network }: NetworkPoint,
  unit: SampleUnit,
  center: Float64Array,
  s: number,
): Float64Array {
  const sum = new Float64Array(parameterCount(network));
  const count = center.length;
  for (const { inputs, noise, losses } of unit.passes) {
    layerShapes(network).forEach(({ offset, rows, columns }, layer) => {
      const signal = noise[layer].map((eta, at) => {
        const b = Math.floor(at / columns);
        const squares = squaredNorm(inputs[layer].subarray(b * rows, (b + 1) * rows));
        return (eta * (losses[b] - center[b])) / (s * s * squares * count * unit.passes.length);
      });
      multiplyTransposed(inputs[layer], signal, rows, columns).forEach((value, i) => {
        sum[offset + i] += value;
      });
    });
  }
  return sum;
}

/** H (n) of a group of Walsh blocks: (AᵀD1, D2). */
function walshFirstOrder(
  { network }: NetworkPoint,
  form: NoiseForm,
  blocks: readonly WalshBlock[],
  center: Float64Array,
  s: number,
): Float64Array {
  const [first, second] = layerShapes(network);
  const count = center.length;
  const d1 = new Float64Array(count * first.columns);
  const d2 = new Float64Array(second ? second.rows * second.columns : 0);
  for (let b = 0; b < count; b++) {
    const norm = squaredNorm(form.inputs.subarray(b * first.rows, (b + 1) * first.rows));
    const row = blocks.map((block): BlockRow => {
      const losses = block.rows.subarray(b * 2 * block.length, (b + 1) * 2 * block.length);
      return { block, losses, means: signMean(losses) };
    });
    d1.set(firstLayerRow(row, b, first.columns, s * s * norm), b * first.columns);
    if (second) addSecondLayerRow(d2, row, b, center[b], s, second);
  }
  const gradient = new Float64Array(parameterCount(network));
  gradient.set(multiplyTransposed(form.inputs, d1, first.rows, first.columns));
  if (second) gradient.set(d2, second.offset);
  return gradient.map((value) => value / count);
}

/** What one row b sees of a block. */
interface BlockRow {
  readonly block: WalshBlock;
  /** f_b (2m). */
  readonly losses: Float64Array;
  /** G (m). */
  readonly means: Float64Array;
}

/** Row b of B·D1 (d_1), s_b² given. */
function firstLayerRow(row: readonly BlockRow[], b: number, d1: number, variance: number): Float64Array {
  return Float64Array.from({ length: d1 }, (_, h) => {
    const y = row.map(({ block }) => block.y[b * d1 + h]);
    const products = row.map(({ means }, i) => y[i] * means[h]);
    const squares = y.map((value) => value * value);
    let sum = 0;
    for (let i = 0; i < row.length; i++) {
      const ridge = FIRST_RIDGE * variance;
      const kappa = row.length > 1 ? others(products, i) / (others(squares, i) + ridge) : 0;
      sum += products[i] / variance - kappa * (squares[i] / variance - 1);
    }
    return sum / row.length;
  });
}

/** Adds row b's share of B·D2 ((d_1 + 1) × d_2) to `d2`. */
function addSecondLayerRow(
  d2: Float64Array,
  row: readonly BlockRow[],
  b: number,
  center: number,
  s: number,
  { rows, columns }: LayerShape,
): void {
  const means = row.map(({ losses }) => mean(losses));
  const own = row.map(({ block }) => {
    const { a, d } = block.second!.half;
    return (
      squaredNorm(a.subarray(b * rows, (b + 1) * rows)) + squaredNorm(d.subarray(b * rows, (b + 1) * rows))
    );
  });
  for (let c = 0; c < columns; c++) {
    const n = row.map(({ block }) => block.second!.n[b * columns + c]);
    const products = row.map((blockRow, i) => n[i] * blockRow.means[rows - 1 + c]);
    const squares = n.map((value) => value * value);
    row.forEach(({ block, losses }, i) => {
      const alone = row.length === 1;
      const ridge = SECOND_RIDGE * s * s * own[i];
      const lambda = alone ? 0 : others(products, i) / (others(squares, i) + ridge);
      const level = alone ? center : others(means, i) / (row.length - 1);
      const { eta, squares: q, half } = block.second!;
      const psi = losses.map((f, sample) => {
        const at = b * losses.length + sample;
        const noise = eta[at * columns + c];
        return (noise * (f - level - lambda * noise)) / (s * s * q[at]) + lambda;
      });
      const total = mean(psi);
      const signed = signMean(psi);
      for (let h = 0; h < rows; h++) {
        const at = b * rows + h;
        d2[h * columns + c] += (half.a[at] * total + half.d[at] * signed[h]) / row.length;
      }
    });
  }
}

/** Sum of all values but value i. */
function others(values: readonly number[], i: number): number {
  return values.reduce((sum, value, k) => (k === i ? sum : sum + value), 0);
}
