/**
 * The row split of Walsh blocks: the first-order part H of `row-split.ts`, its mean over a block's samples taken by
 * transforms. With G_h = (1/2m) WHT(f_b⁺ − f_b⁻)_h,
 *
 *     first layer: A^T D1,  D1_bh = (1/BK) Σ_i [y_h G_h/s_b² − κ_ih (y_h²/s_b² − 1)],   s_b² = s²|a_b|²,
 *                  κ_ih = Σ_{i'≠i} y_h G_h/(Σ_{i'≠i} y_h² + 0.1 s_b²);
 *     second:      D2_hc = (1/2mBK) Σ_b Σ_i [a_h Σ_g (ψ⁺ + ψ⁻) + d_h WHT(ψ⁺ − ψ⁻)_h],
 *                  ψ = η(f_b − c_i − λ_ic η)/(s² q) + λ_ic,  c_i the mean of f_b over the other blocks,
 *                  λ_ic = Σ_{i'≠i} n_c G_{d_1+c}/(Σ_{i'≠i} n_c² + 1e-3 s² Σ_h (a² + d²)), the last sum block i's own.
 *
 * Cross-fitting: slopes κ, λ and c_i come from the other blocks, so what they multiply keeps its mean zero. Blocks are
 * taken in groups of at most eight, i' running over the group; a block alone has κ = λ = 0 and c_i = the row's loss at
 * x. Without a hidden layer there is D1 only, c for h.
 *
 * Symbols: B rows b, K blocks i, a_b row of A, s the perturbation's scale; y, a, d, n, η, q, m: see `walsh.ts`.
 *
 * What this file leaves out: speed.
 */
import { CONSTANTS } from "../../backends/description.ts";
import { type LayerShape, layerShapes, parameterCount } from "../../network.ts";
import { multiplyTransposed, squaredNorm } from "../linear/product.ts";
import type { NetworkPoint } from "../network/dense.ts";
import type { NoiseForm } from "./sampled-point.ts";
import { mean } from "./spread.ts";
import { signMean, type WalshBlock } from "./walsh.ts";

const { blocksInGroup, kappaRidge, lambdaRidge } = CONSTANTS;

/** K blocks in G = ⌈K/8⌉ groups: group g holds ⌊gK/G⌋ … ⌊(g + 1)K/G⌋ − 1. */
export function groupsOf(blocks: number): number[][] {
  const groups = Math.ceil(blocks / blocksInGroup);
  const start = (g: number) => Math.floor((g * blocks) / groups);
  return Array.from({ length: groups }, (_, g) =>
    Array.from({ length: start(g + 1) - start(g) }, (_, i) => start(g) + i),
  );
}

/**
 * H (n): (AᵀD1, D2).
 *
 * @param group Walsh blocks, from which slopes and levels come
 * @param averaged those of them whose parts are averaged: all, or one for its part alone
 */
export function walshFirstOrder(
  { network }: NetworkPoint,
  form: NoiseForm,
  group: readonly WalshBlock[],
  averaged: readonly WalshBlock[],
  center: Float64Array,
  s: number,
): Float64Array {
  const parts = averaged.map((block) => group.indexOf(block));
  const [first, second] = layerShapes(network);
  const count = center.length;
  const d1 = new Float64Array(count * first.columns);
  const d2 = new Float64Array(second ? second.rows * second.columns : 0);
  for (let b = 0; b < count; b++) {
    const norm = squaredNorm(form.inputs.subarray(b * first.rows, (b + 1) * first.rows));
    const row = group.map((block): BlockRow => {
      const losses = block.rows.subarray(b * 2 * block.length, (b + 1) * 2 * block.length);
      return { block, losses, means: signMean(losses) };
    });
    d1.set(firstLayerRow(row, parts, b, first.columns, s * s * norm), b * first.columns);
    if (second) addSecondLayerRow(d2, row, parts, b, center[b], s, second);
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
function firstLayerRow(
  row: readonly BlockRow[],
  parts: readonly number[],
  b: number,
  d1: number,
  variance: number,
): Float64Array {
  return Float64Array.from({ length: d1 }, (_, h) => {
    const y = row.map(({ block }) => block.y[b * d1 + h]);
    const products = row.map(({ means }, i) => y[i] * means[h]);
    const squares = y.map((value) => value * value);
    let sum = 0;
    for (const i of parts) {
      const ridge = kappaRidge * variance;
      const kappa = row.length > 1 ? others(products, i) / (others(squares, i) + ridge) : 0;
      sum += products[i] / variance - kappa * (squares[i] / variance - 1);
    }
    return sum / parts.length;
  });
}

/** Adds row b's share of B·D2 ((d_1 + 1) × d_2) to `d2`. */
function addSecondLayerRow(
  d2: Float64Array,
  row: readonly BlockRow[],
  parts: readonly number[],
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
    for (const i of parts) {
      const { block, losses } = row[i];
      const alone = row.length === 1;
      const ridge = lambdaRidge * s * s * own[i];
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
        d2[h * columns + c] += (half.a[at] * total + half.d[at] * signed[h]) / parts.length;
      }
    }
  }
}

/** Sum of all values but value i. */
function others(values: readonly number[], i: number): number {
  return values.reduce((sum, value, k) => (k === i ? sum : sum + value), 0);
}
