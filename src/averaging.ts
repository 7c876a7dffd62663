/**
 * The average of the iterates by polynomial decay (Shamir and Zhang, ICML 2013):
 *
 *     x̄_t = x̄_{t−1} + w_t (x_t − x̄_{t−1}),  w_t = (p + 1)/(t + p)
 *
 * x_t are the parameters after each `AVERAGE_EVERY` updates, t = 1, 2, …, so that x_s has weight about (s/t)^p: an
 * average over the last tenth of what was done, however long the run. It is good at every moment, where a falling rate
 * makes only the last iterate good.
 *
 * Between two of these, after n updates, what is shown takes in the last iterate too, which stands for r = n mod
 * `AVERAGE_EVERY` updates: x̄ + (r/`AVERAGE_EVERY`) w_t (x − x̄), t = n/`AVERAGE_EVERY`. The average that goes on is
 * left as it was, so that where a run was looked at, saved or stopped changes nothing of what follows.
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
  return moved(average, parameters, weightAfter(updates));
}

/**
 * The average as it is shown: with the last iterate taken in.
 *
 * @param average of the iterates so far (n)
 * @param parameters after the last update (n)
 * @param updates done
 * @returns `average` itself where it has the last iterate, else another vector
 */
export function withLast(average: Vector, parameters: Vector, updates: number): Vector {
  const rest = updates % AVERAGE_EVERY;
  if (rest === 0) return average;
  return moved(average.slice(), parameters, (rest / AVERAGE_EVERY) * weightAfter(updates));
}

/** w_t at t = `updates`/`AVERAGE_EVERY`. */
function weightAfter(updates: number): number {
  return (POWER + 1) / (updates / AVERAGE_EVERY + POWER);
}

/** average += weight · (parameters − average). */
function moved(average: Vector, parameters: Vector, weight: number): Vector {
  for (let i = 0; i < average.length; i++) average[i] += weight * (parameters[i] - average[i]);
  return average;
}
