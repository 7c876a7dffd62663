/**
 * One outer step along an estimated gradient g (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, eq. 11 and
 * Remark 1; the paper's own step, x_{k+1} = E_q[X], is gradient descent at rate τ/δ, eq. 12):
 *
 * - gradient descent: x ← x − rate·g
 * - momentum: v ← μ v + g, x ← x − rate·v (heavy ball)
 * - Adam (Kingma and Ba, ICLR 2015) with decoupled weight decay λ (Loshchilov and Hutter, ICLR 2019), biases too:
 *   m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², m̂ = m/(1 − β₁^t), v̂ = v/(1 − β₂^t),
 *   x ← (1 − rate·λ)x − rate·m̂/(√v̂ + ε)
 *
 * What this file leaves out: speed; nothing is changed in place.
 */
import type { Optimizer } from "../../backends/backend.ts";

/**
 * @param x parameters (n)
 * @param gradient n
 * @param moments none for gradient descent, [v] for momentum, [m, v] for Adam; n each
 * @param index t, from 1
 * @returns the new parameters and moments
 */
export function step(
  optimizer: Optimizer,
  rate: number,
  x: Float64Array,
  gradient: Float64Array,
  moments: readonly Float64Array[],
  index: number,
): { parameters: Float64Array; moments: Float64Array[] } {
  switch (optimizer.kind) {
    case "gradient-descent":
      return { parameters: x.map((value, i) => value - rate * gradient[i]), moments: [] };
    case "momentum": {
      const velocity = moments[0].map((value, i) => optimizer.momentum * value + gradient[i]);
      return { parameters: x.map((value, i) => value - rate * velocity[i]), moments: [velocity] };
    }
    case "adam": {
      const { beta1, beta2, epsilon, weightDecay } = optimizer;
      const first = moments[0].map((value, i) => beta1 * value + (1 - beta1) * gradient[i]);
      const second = moments[1].map((value, i) => beta2 * value + (1 - beta2) * gradient[i] ** 2);
      const scale1 = 1 - beta1 ** index;
      const scale2 = 1 - beta2 ** index;
      const parameters = x.map(
        (value, i) =>
          (1 - rate * weightDecay) * value -
          (rate * (first[i] / scale1)) / (Math.sqrt(second[i] / scale2) + epsilon),
      );
      return { parameters, moments: [first, second] };
    }
    default:
      return optimizer satisfies never;
  }
}
