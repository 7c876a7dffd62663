/**
 * What is measured of a network on rows that it was not trained on: how often it is right, or how far off.
 *
 * Symbols: d_L outputs.
 */
import type { Vector } from "./backends/backend.ts";

/** How far a network's outputs are from targets. */
export interface RegressionErrors {
  /** √ of the mean over rows and outputs of (output − target)², in the targets' unit. */
  readonly rootMeanSquareError: number;
  /** Mean over rows and outputs of |output − target|, in the targets' unit. */
  readonly meanAbsoluteError: number;
  /**
   * R², 1 − Σ(output − target)²/Σ(target − mean target)², its mean over the outputs: 1 where all are met, 0 for the mean
   * itself. An output whose targets are all the same counts 1 where they are met, else 0.
   */
  readonly rSquared: number;
}

/** What is measured of a split: a fraction 0 … 1 that is right, or how far off. */
export type Measures = { readonly accuracy: number } | { readonly errors: RegressionErrors };

/** @param outputs rows × d_L, as targets; width = d_L */
export function errorsOf(outputs: Vector, targets: Float32Array, width: number): RegressionErrors {
  const rows = targets.length / width;
  let squares = 0;
  let absolutes = 0;
  let explained = 0;
  for (let c = 0; c < width; c++) {
    let sum = 0;
    for (let at = c; at < targets.length; at += width) sum += targets[at];
    const mean = sum / rows;
    let left = 0;
    let spread = 0;
    for (let at = c; at < targets.length; at += width) {
      const error = outputs[at] - targets[at];
      left += error * error;
      absolutes += Math.abs(error);
      spread += (targets[at] - mean) ** 2;
    }
    squares += left;
    if (spread > 0) explained += 1 - left / spread;
    else explained += left === 0 ? 1 : Number.isNaN(left) ? Number.NaN : 0;
  }
  return {
    rootMeanSquareError: Math.sqrt(squares / targets.length),
    meanAbsoluteError: absolutes / targets.length,
    rSquared: explained / width,
  };
}

/** Fraction of the outputs (probabilities) that are on their target's side of ½; one that is NaN is not. */
export function rightSides(outputs: Vector, targets: Float32Array): number {
  let right = 0;
  for (let at = 0; at < targets.length; at++) {
    const p = outputs[at];
    if (targets[at] >= 0.5 ? p >= 0.5 : p < 0.5) right++;
  }
  return right / targets.length;
}
