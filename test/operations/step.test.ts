/**
 * Step: each optimizer against its formulas, by hand in double precision, over three steps.
 */
import { expect, test } from "@jest/globals";
import type { Optimizer, Vector } from "../../src/backends/backend.ts";
import { onEveryBackend } from "../support/backends.ts";
import { normalVector } from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

const N = 37;
const RATES = [0.07, 0.05, 0.02];
const ADAM = { kind: "adam", beta1: 0.85, beta2: 0.97, epsilon: 3e-3, weightDecay: 0.4 } as const;

/** x after three steps of a scalar by the formulas, gradients g_1 … g_3. */
const BY_HAND: Record<Optimizer["kind"], (x: number, gradients: readonly number[]) => number> = {
  "gradient-descent": (x, gradients) => x - gradients.reduce((sum, g, t) => sum + RATES[t] * g, 0),
  momentum: (x, [g1, g2, g3]) => {
    const [v2, v3] = [0.8 * g1 + g2, 0.8 * (0.8 * g1 + g2) + g3];
    return x - RATES[0] * g1 - RATES[1] * v2 - RATES[2] * v3;
  },
  adam: (x, gradients) => {
    let [m, v] = [0, 0];
    gradients.forEach((g, i) => {
      m = 0.85 * m + 0.15 * g;
      v = 0.97 * v + 0.03 * g * g;
      const corrected = m / (1 - 0.85 ** (i + 1)) / (Math.sqrt(v / (1 - 0.97 ** (i + 1))) + 3e-3);
      x = x - RATES[i] * 0.4 * x - RATES[i] * corrected;
    });
    return x;
  },
};

const OPTIMIZERS: readonly { optimizer: Optimizer; moments: number }[] = [
  { optimizer: { kind: "gradient-descent" }, moments: 0 },
  { optimizer: { kind: "momentum", momentum: 0.8 }, moments: 1 },
  { optimizer: ADAM, moments: 2 },
];

onEveryBackend((given) => {
  test.each(OPTIMIZERS)("$optimizer.kind", async ({ optimizer, moments }) => {
    const x0 = Float32Array.from(normalVector(61, N));
    const gradients = [62, 63, 64].map((number) => Float32Array.from(normalVector(number, N)));
    let parameters: Vector = x0;
    let state: readonly Vector[] = Array.from({ length: moments }, () => new Float32Array(N));
    for (const [t, gradient] of gradients.entries()) {
      const before = Array.from(parameters);
      const input = { optimizer, rate: RATES[t], parameters, gradient, moments: state, index: t + 1 };
      const result = await given().operations.step(input);
      expect(Array.from(parameters)).toEqual(before); // nothing is changed in place
      expect(result.moments.length).toBe(moments);
      parameters = result.parameters;
      state = result.moments;
    }
    matches(
      "step",
      parameters,
      Array.from(x0, (x, i) =>
        BY_HAND[optimizer.kind](
          x,
          gradients.map((g) => g[i]),
        ),
      ),
    );
  });

  // m and v of 1 and a gradient of 1e-4: in v + (1 − β₂)(g² − v) nothing of g² would be left beside v.
  const decays = [[0, 0], [1e-6, 1e-6], [0.9, 0], [0.9, 1e-6], [0.9, 0.3], [0, 0.999]] as const; // biome-ignore format: pairs
  test.each(decays)("Adam forgets by β₁ = %d, β₂ = %d", async (beta1, beta2) => {
    const [g, t] = [1e-4, 3];
    const optimizer = { kind: "adam", beta1, beta2, epsilon: 1e-8, weightDecay: 0 } as const;
    const result = await given().operations.step({
      optimizer,
      rate: 0.1,
      parameters: new Float32Array(1),
      gradient: Float32Array.of(g),
      moments: [Float32Array.of(1), Float32Array.of(1)],
      index: t,
    });
    const [m, v] = [beta1 + (1 - beta1) * g, beta2 + (1 - beta2) * g ** 2];
    matches("step", result.moments[0], [m]);
    matches("step", result.moments[1], [v]);
    const corrected = m / (1 - beta1 ** t) / (Math.sqrt(v / (1 - beta2 ** t)) + 1e-8);
    matches("step", result.parameters, [-0.1 * corrected]);
  });

  test("Adam's last index, 2^32, has no correction left", async () => {
    const { parameters } = await given().operations.step({
      optimizer: { ...ADAM, weightDecay: 0 },
      rate: 0.1,
      parameters: new Float32Array(1),
      gradient: Float32Array.of(2),
      moments: [Float32Array.of(2), Float32Array.of(4)],
      index: 2 ** 32,
    });
    matches("step", parameters, [-0.2 / (2 + ADAM.epsilon)]);
  });

  test("Adam's first step is rate·sign(g) where ε is small, whatever |g|", async () => {
    const gradient = Float32Array.of(3e-6, -40, 0.2);
    const result = await given().operations.step({
      optimizer: { ...ADAM, epsilon: 1e-12, weightDecay: 0 },
      rate: 0.1,
      parameters: new Float32Array(3),
      gradient,
      moments: [new Float32Array(3), new Float32Array(3)],
      index: 1,
    });
    matches("step", result.parameters, [-0.1, 0.1, -0.1]);
  });
});
