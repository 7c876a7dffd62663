/**
 * What an objective turns its options into: numbers for the backend, schedules for the plan.
 */
import type { Estimator } from "../../backends/backend.ts";
import type { Network } from "../../network.ts";
import type { Schedule } from "../../schedules.ts";

/** "variance": φ_{x,τ} has variance τ (the paper's text); "standard-deviation": the second reading. */
export type NoiseReading = "variance" | "standard-deviation";

export interface ResolvedObjective {
  readonly estimator: Estimator;
  /** τ_k, k = 0 … updates − 1; null where the objective has none. */
  readonly tau: Schedule | null;
  readonly noise: NoiseReading;
  /**
   * The paper's step x_{k+1} = mean is gradient descent at rate `shift`·τ_k (eq. 12): 1/δ; null where there is no
   * mean to shift to.
   */
  readonly shift: number | null;
}

/** Where an estimator's options stand, and whether B rows on d_0 inputs leave a complement to project away. */
export interface Surroundings {
  /** Path of the objective's options, for errors. */
  readonly path: string;
  /** B ≤ d_0. */
  readonly projectable: boolean;
  /** Null for a user's function. */
  readonly network: Network | null;
}

/** Scale of the normals for variances: their roots, or themselves in the second reading. */
export function noiseScales(variances: Float64Array, reading: NoiseReading): Float64Array {
  return reading === "variance" ? variances.map(Math.sqrt) : variances.slice();
}
