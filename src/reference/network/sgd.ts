/**
 * Stochastic gradient descent's gradient: ∇f on one minibatch, the baseline (García Trillos, Kaplan, Sanz-Alonso,
 * Entropy 2019, section 6).
 *
 * What this file leaves out: everything that is in `dense.ts` (back-propagation) and `step.ts` (the step).
 */
import { gradientOf, type LossFunction, type Work } from "../machine/work.ts";

/** ∇f(x) and f(x). */
export function* sgdDirect(
  loss: LossFunction,
  x: Float64Array,
): Work<{ gradient: Float64Array; loss: number }> {
  const gradient = Float64Array.from(gradientOf(loss)(x));
  yield;
  return { gradient, loss: loss.value(x) };
}
