/**
 * The average of the iterates by polynomial decay (Shamir and Zhang, ICML 2013):
 *
 *     x̄_t = x̄_{t−1} + w_t (x_t − x̄_{t−1}),  w_t = (p + 1)/(t + p)
 *
 * x_t are the parameters after each `AVERAGE_EVERY` updates, t = 1, 2, …, so that x_s has weight about (s/t)^p: an
 * average over the last tenth of what was done, however long the run. It is good at every moment, where a falling rate
 * makes only the last iterate good.
 */
import type { Vector } from "./backends/backend.ts";

/** Updates between two iterates: fewer would cost more copies of x, more would average no better. */
export const AVERAGE_EVERY = 50;
/** p. From 4 to 16 the accuracy is the same within its noise. */
const POWER = 8;

/**
 * @param average x̄_{t−1} (n), or null for t = 1
 * @param parameters x_t (n)
 * @param updates done, a multiple of `AVERAGE_EVERY`
 * @returns x̄_t: `average`, changed in place, or a copy of `parameters`
 */
export function averaged(average: Vector | null, parameters: Vector, updates: number): Vector {
  if (average === null) return parameters.slice();
  const weight = (POWER + 1) / (updates / AVERAGE_EVERY + POWER);
  for (let i = 0; i < average.length; i++) average[i] += weight * (parameters[i] - average[i]);
  return average;
}
