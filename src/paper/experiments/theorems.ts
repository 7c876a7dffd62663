/** Theorems 1 to 4, by quadrature on losses of one and two variables. */
import type { Experiment } from "../experiment.ts";
import { monotone } from "./monotone.ts";
import { variational } from "./variational.ts";

const TOY = "The losses are ours: the paper proves this and prints no example.";

export const THEOREMS: readonly Experiment[] = [
  variational(
    1,
    "Theorem 1: local entropy as a minimum over densities",
    "F_τ(x) = min_q { ∫ f q + D_KL(q‖φ_{x,τ}) }, and q_{x,τ} of eq. 6 achieves the minimum (eq. 8).",
    `${TOY} Trial densities: normals, q_{x,τ} tempered and tilted, mixtures. As printed, eq. 6's constant Z lacks φ's (2πτ)^{d/2}: ` +
      "F_τ = −log Z holds once q is written with φ_{x,τ} in place of the bare exponential (see the checks).",
  ),
  monotone(
    2,
    "Theorem 2: local entropy falls along exact iterates",
    "F_τ(x_k) ≤ F_τ(x_{k−1}) along Algorithm 1; equality holds only at a critical point.",
    `${TOY} Majorization gives more than the theorem says: each step falls by at least |x_{k+1} − x_k|²/2τ, which is shown too.`,
  ),
  variational(
    3,
    "Theorem 3: heat regularization as a minimum over densities",
    "F^H_τ(x) = min_q { log ∫ e^f q + D_KL(φ_{x,τ}‖q) }, and the same q_{x,τ} achieves the minimum (eq. 13).",
    `${TOY} The paper omits the proof; at q_{x,τ} both sides are equal by inserting it.`,
  ),
  monotone(
    4,
    "Theorem 4: heat falls along exact iterates",
    "F^H_τ(x_k) ≤ F^H_τ(x_{k−1}) along Algorithm 2.",
    `${TOY} Algorithm 2 is the proximal point method on F^H. The theorem needs the global minimizer of each step, or any point not ` +
      "above x_k; Robbins–Monro goes to a stationary point. Its step sizes here are 0.5·j^−0.7, M = J = ⌊√samples⌋.",
  ),
];
