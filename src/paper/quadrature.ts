/**
 * Integrals over one and two variables by the trapezoidal rule on a grid, and what the paper makes of them: F_τ, F^H_τ,
 * q_{x,τ}, Kullback–Leibler divergences. For functions as smooth as `surfaces.ts` has them the rule's error falls faster than
 * any power of the step: two grids agree to 1e-8.
 */
import type { LossFunction } from "../reference/machine/work.ts";

/** A function on R or R² with its gradient, and what is done with it. */
export interface Surface extends LossFunction {
  readonly name: string;
  readonly gradient: (x: Float64Array) => number[];
  readonly tau: number;
  readonly starts: readonly (readonly number[])[];
}

/** Nodes of N(0, 1) and their weights, out to eight standard deviations. */
function nodes(step: number): { at: number[]; weights: number[] } {
  const half = Math.round(8 / step);
  const at = Array.from({ length: 2 * half + 1 }, (_, i) => (i - half) * step);
  return { at, weights: at.map((z) => (step * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI)) };
}
const FINE = nodes(0.2);
/** In two dimensions, where there are as many in each direction. */
const COARSE = nodes(0.4);

/** Points and weights of N(x, τI). */
export function gaussianGrid(
  x: readonly number[],
  tau: number,
): { points: Float64Array[]; weights: readonly number[] } {
  const s = Math.sqrt(tau);
  if (x.length === 1) {
    return { points: FINE.at.map((z) => Float64Array.of(x[0] + s * z)), weights: FINE.weights };
  }
  const points = COARSE.at.flatMap((z) => COARSE.at.map((w) => Float64Array.of(x[0] + s * z, x[1] + s * w)));
  return { points, weights: COARSE.weights.flatMap((a) => COARSE.weights.map((b) => a * b)) };
}

/** F_τ(x) (eq. 2) and E_q[X], q = q_{x,τ} (eq. 6). */
export function localEntropy(
  { value }: Pick<Surface, "value">,
  x: readonly number[],
  tau: number,
): { energy: number; mean: number[] } {
  const { points, weights } = gaussianGrid(x, tau);
  let mass = 0;
  const moment = x.map(() => 0);
  points.forEach((point, i) => {
    const w = weights[i] * Math.exp(-value(point));
    mass += w;
    for (let c = 0; c < x.length; c++) moment[c] += w * point[c];
  });
  return { energy: -Math.log(mass), mean: moment.map((value) => value / mass) };
}

/** F^H_τ(x) and its gradient E∇f. */
export function heat(
  { value, gradient }: Pick<Surface, "value" | "gradient">,
  x: readonly number[],
  tau: number,
): { energy: number; slope: number[] } {
  const { points, weights } = gaussianGrid(x, tau);
  let energy = 0;
  const slope = x.map(() => 0);
  points.forEach((point, i) => {
    energy += weights[i] * value(point);
    gradient(point).forEach((g, c) => {
      slope[c] += weights[i] * g;
    });
  });
  return { energy, slope };
}

export const squared = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);

/** Algorithm 2's step: the global minimizer of F^H(x) + |x − x_k|²/2τ, the best of a grid of ±2.5, then descent. */
export function proximalPoint(surface: Surface, center: readonly number[]): number[] {
  const { tau } = surface;
  const steps = Array.from({ length: 21 }, (_, i) => (i - 10) / 4);
  const candidates =
    center.length === 1
      ? steps.map((a) => [center[0] + a])
      : steps.flatMap((a) => steps.map((b) => [center[0] + a, center[1] + b]));
  const cost = (x: readonly number[]) => heat(surface, x, tau).energy + squared(x, center) / (2 * tau);
  let best = [...center];
  let lowest = cost(best);
  for (const x of candidates) {
    // F^H ≥ −1 for all surfaces here: what is too far away needs no integral.
    if (squared(x, center) / (2 * tau) - 1 >= lowest) continue;
    const own = cost(x);
    if (own < lowest) [lowest, best] = [own, x];
  }
  for (let t = 0; t < 80; t++) {
    const { slope } = heat(surface, best, tau);
    best = best.map((value, i) => value - 0.25 * (value - center[i] + tau * slope[i]));
  }
  return best;
}

/** Densities on a grid of their own: for divergences of densities that are not near N(x, τI). */
export interface Grid {
  readonly points: readonly Float64Array[];
  /** Length or area that a point stands for. */
  readonly cell: number;
}

/** ±`half` about x in each direction, `count` points a direction. */
export function gridAround(x: readonly number[], half: number, count: number): Grid {
  const step = (2 * half) / (count - 1);
  const axis = Array.from({ length: count }, (_, i) => -half + i * step);
  const points =
    x.length === 1
      ? axis.map((a) => Float64Array.of(x[0] + a))
      : axis.flatMap((a) => axis.map((b) => Float64Array.of(x[0] + a, x[1] + b)));
  return { points, cell: step ** x.length };
}

/** log of the normal density of mean m and variances v. */
export function logNormal(point: Float64Array, m: readonly number[], v: readonly number[]): number {
  let sum = 0;
  for (let c = 0; c < m.length; c++) {
    sum -= ((point[c] - m[c]) ** 2 / v[c] + Math.log(2 * Math.PI * v[c])) / 2;
  }
  return sum;
}

/** Log density up to a constant → log density on the grid. */
export function normalized({ cell }: Grid, logs: readonly number[]): number[] {
  const top = logs.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const mass = logs.reduce((sum, value) => sum + Math.exp(value - top), 0) * cell;
  return logs.map((value) => value - top - Math.log(mass));
}

/** ∫ p(x) g(x) dx, p by its log. */
export function expectation({ cell }: Grid, logs: readonly number[], g: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < logs.length; i++) {
    const p = Math.exp(logs[i]);
    if (p > 0) sum += p * g(i);
  }
  return sum * cell;
}

/** log ∫ p(x) e^{g(x)} dx, p by its log, where e^g may be more than a number holds. */
export function logExpectation({ cell }: Grid, logs: readonly number[], g: readonly number[]): number {
  const sums = logs.map((log, i) => log + g[i]);
  const top = sums.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  return top + Math.log(sums.reduce((sum, value) => sum + Math.exp(value - top), 0) * cell);
}

/** D_KL(p‖q), both by their logs on one grid (eq. 7). */
export function divergence(grid: Grid, p: readonly number[], q: readonly number[]): number {
  return expectation(grid, p, (i) => p[i] - q[i]);
}
