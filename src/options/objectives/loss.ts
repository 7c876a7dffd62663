/**
 * The loss itself: stochastic gradient descent, the paper's baseline.
 *
 *     x_{k+1} = x_k − rate_k ∇f(x_k), f the mean loss of minibatch k (or momentum, or Adam, along ∇f).
 */
import type { ResolvedObjective } from "./resolved.ts";

export function loss(): ResolvedObjective {
  return { estimator: { kind: "sgd" }, tau: null, noise: "variance", shift: null };
}
