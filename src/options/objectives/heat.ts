/**
 * Algorithm 2: minimizes the heat-regularized loss F^H_τ(x) = ∫ f φ_{x,τ} (García Trillos, Kaplan, Sanz-Alonso,
 * Entropy 2019, section 4).
 *
 *     for k = 0 … updates − 1, on minibatch k:
 *       mean ≈ argmin F^H_τ(x) + |x − x_k|²/2τ_k     Robbins–Monro (Algorithm 5); or, gradient-free,
 *       mean = x_k − τ_k ∇F^H_τ(x_k)                 evolution strategies
 *       x_{k+1} = mean; or another optimizer along (x_k − mean)/τ_k
 *
 * Here the options become numbers: step sizes a_1 … a_J and the perturbations' scale. The loop over k is `drive.ts`'s,
 * what happens inside one k the backend's (stem `update`).
 */
import { expected, OptionError } from "../../errors.ts";
import { evaluate } from "../../schedules.ts";
import { resolveSampling } from "../sampling.ts";
import type { MinimizeObjective, Objective } from "../schemas.ts";
import type { ResolvedObjective, Surroundings } from "./resolved.ts";

/** As `train` has them, or as `minimize` does: without what speaks of minibatches and first layers. */
type Options = Extract<Objective | MinimizeObjective, { kind: "heat" }>;

/** Robbins–Monro's M draws of J steps share one 32-bit index. */
export function checkDraws(path: string, samples: number, steps: number): void {
  if (samples * steps <= 2 ** 32) return;
  const advice = "each of them has its own 32-bit index of random numbers";
  throw new OptionError(expected("at most 2^32 samples × steps", path, samples, advice));
}

export function heat(
  { tau, estimator }: Options,
  { path, projectable, network }: Surroundings,
): ResolvedObjective {
  const wanted = projectable && "projection" in estimator && estimator.projection === "auto";
  const { noise } = estimator;
  switch (estimator.kind) {
    case "evolution-strategies": {
      const { kind } = estimator;
      const sampling = resolveSampling(`${path}.estimator`, estimator, network);
      return { estimator: { kind, ...sampling, projected: wanted }, tau, noise, shift: 1 };
    }
    case "robbins-monro": {
      const { kind, steps, samples } = estimator;
      checkDraws(`${path}.estimator.samples`, samples, steps);
      const span = { from: 1, count: steps, total: steps, first: 1 } as const;
      const stepSizes = evaluate(`${path}.estimator.stepSize`, estimator.stepSize, span, "above 0");
      const fresh = "minibatch" in estimator && estimator.minibatch === "per-step";
      const batches = fresh ? steps : 1;
      const projected = wanted && batches === 1;
      return { estimator: { kind, samples, stepSizes, batches, projected }, tau, noise, shift: 1 };
    }
    default:
      return estimator satisfies never;
  }
}
