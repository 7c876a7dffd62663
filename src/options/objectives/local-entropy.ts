/**
 * Algorithm 1: minimizes local entropy F_τ(x) = −δ log ∫ e^{−f/δ} φ_{x,τ} (García Trillos, Kaplan, Sanz-Alonso,
 * Entropy 2019, section 3; eq. 2 has δ = 1).
 *
 *     for k = 0 … updates − 1, on minibatch k:
 *       mean ≈ E_q[X], q ∝ e^{−f/δ} φ_{x_k,τ_k}     Langevin dynamics (Algorithm 3) or importance sampling (4)
 *       x_{k+1} = mean = x_k − (τ_k/δ) ∇F(x_k)      eq. 12; or another optimizer along ∇F (Remark 1)
 *
 * Here the options become numbers: step sizes ε_1 … ε_J, scales of the normals in either reading of the noise. The
 * loop over k is `drive.ts`'s, what happens inside one k the backend's (stem `update`).
 */

import { evaluate } from "../../schedules.ts";
import { resolveSampling } from "../sampling.ts";
import type { MinimizeObjective, Objective } from "../schemas.ts";
import { noiseScales, type ResolvedObjective, type Surroundings } from "./resolved.ts";

/** As `train` has them, or as `minimize` does: without what speaks of minibatches and first layers. */
type Options = Extract<Objective | MinimizeObjective, { kind: "local-entropy" }>;

export function localEntropy(
  { tau, estimator }: Options,
  { path, projectable, network }: Surroundings,
): ResolvedObjective {
  const wanted = projectable && "projection" in estimator && estimator.projection === "auto";
  const { noise } = estimator;
  switch (estimator.kind) {
    case "importance-sampling": {
      const { kind, temperature } = estimator;
      const sampling = resolveSampling(`${path}.estimator`, estimator, network);
      const weighted = { kind, ...sampling, temperature, projected: wanted };
      return { estimator: weighted, tau, noise, shift: 1 / temperature };
    }
    case "sgld": {
      const { kind, steps, chainStart } = estimator;
      const span = { from: 1, count: steps, total: steps, first: 1 } as const;
      const stepSizes = evaluate(`${path}.estimator.stepSize`, estimator.stepSize, span, "above 0");
      const scales = noiseScales(stepSizes, noise);
      const fresh = "minibatch" in estimator && estimator.minibatch === "per-step";
      const batches = fresh ? steps - 1 : 1;
      const projected = wanted && batches === 1;
      const chain = { kind, stepSizes, noiseScales: scales, chainStart, batches, projected };
      return { estimator: chain, tau, noise, shift: 1 };
    }
    default:
      return estimator satisfies never;
  }
}
