/**
 * `minimize` on functions whose answers are known: quadratics, and a double well whose flat minimum is the deeper
 * one after smoothing (the paper's figure 1 in one dimension).
 */
import { describe, expect, test } from "@jest/globals";
import { minimize } from "../../src/minimize.ts";

/** f = ½ Σ h_i (x_i − c_i)². */
const h = [1, 3, 0.5];
const c = [1, -2, 0.25];
const quadratic = {
  dimension: 3,
  value: (x: Float64Array) => x.reduce((sum, v, i) => sum + (h[i] * (v - c[i]) ** 2) / 2, 0),
  gradient: (x: Float64Array) => x.map((v, i) => h[i] * (v - c[i])),
};

describe("minimize", () => {
  test("the loss itself: gradient descent contracts by 1 − rate·h", async () => {
    const run = minimize({
      loss: quadratic,
      start: [0, 0, 0],
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: 0.2 },
      updates: 10,
    });
    const { parameters: x, value, updates, completed, backend } = await run.result;
    for (const [i, hi] of h.entries()) expect(x[i]).toBeCloseTo(c[i] * (1 - (1 - 0.2 * hi) ** 10), 12);
    expect(value).toBe(quadratic.value(x));
    expect({ updates, completed }).toEqual({ updates: 10, completed: true });
    expect(backend).toMatchObject({ name: "reference", form: "direct" });
  });

  test("local entropy by importance sampling takes no gradient and shifts to E_q[X]", async () => {
    // E_q[X] = (x + τ h c)/(1 + τ h); with 20,000 pairs the error is about √(τ/20,000)·|…| < 0.005.
    const run = minimize({
      loss: { dimension: 3, value: quadratic.value },
      start: [0, 0, 0],
      objective: {
        kind: "local-entropy",
        tau: 0.3,
        estimator: { kind: "importance-sampling", coupling: { kind: "antithetic", samples: 40_000 } },
      },
      updates: 1,
    });
    const { parameters: x } = await run.result;
    for (const [i, hi] of h.entries())
      expect(Math.abs(x[i] - (0.3 * hi * c[i]) / (1 + 0.3 * hi))).toBeLessThan(0.02);
  });

  test("finds the wide minimum where plain descent stays in the narrow one", async () => {
    // A narrow well at −1 (depth 1.2, width 0.05) beside a wide one at 1 (depth 1, width 0.6).
    const well = (x: number, at: number, depth: number, width: number) =>
      depth * Math.exp(-((x - at) ** 2) / (2 * width ** 2));
    const value = ([x]: Float64Array) => 5 * (0.02 * x ** 2 - well(x, -1, 1.2, 0.05) - well(x, 1, 1, 0.6));
    const gradient = (x: Float64Array) => [
      (value(x.map((v) => v + 1e-6)) - value(x.map((v) => v - 1e-6))) / 2e-6,
    ];
    const start = [-0.95];
    const descent = minimize({
      loss: { dimension: 1, value, gradient },
      start,
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: 1e-3 },
      updates: 300,
    });
    const entropy = minimize({
      loss: { dimension: 1, value },
      start,
      objective: {
        kind: "local-entropy",
        tau: 2,
        estimator: { kind: "importance-sampling", coupling: { kind: "antithetic", samples: 2000 } },
      },
      updates: 100,
    });
    expect((await descent.result).parameters[0]).toBeCloseTo(-1, 1);
    expect(Math.abs((await entropy.result).parameters[0] - 1)).toBeLessThan(0.4);
  });

  test("heat by Robbins–Monro goes to the smoothed minimum, records on the way", async () => {
    const run = minimize({
      loss: quadratic,
      start: [0, 0, 0],
      objective: {
        kind: "heat",
        tau: 0.5,
        estimator: { kind: "robbins-monro", samples: 4, steps: 20, stepSize: 0.3 },
      },
      updates: 20,
      recordEvery: 5,
    });
    const updates: number[] = [];
    for await (const record of run) updates.push(record.update);
    expect(updates).toEqual([5, 10, 15, 20]);
    const { parameters: x } = await run.result;
    // The law's standard deviation is at most √(0.3·τ²·τ·h²/(4·…)) < 0.3; seeded, and a wrong sign leads away from c.
    for (const [i, v] of x.entries()) expect(Math.abs(v - c[i])).toBeLessThan(0.6);
  });

  test("stops, and has no checkpoint", async () => {
    const run = minimize({
      loss: quadratic,
      start: [0, 0, 0],
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: 0.01 },
      updates: 1_000_000,
      recordEvery: 10,
    });
    for await (const _ of run) break;
    expect((await run.result).completed).toBe(false);
    await expect(run.save("nowhere")).rejects.toThrow(/no checkpoint/);
  });

  test("an error in the user's function is the run's", async () => {
    const value = () => {
      throw new Error("mine");
    };
    const estimator = { kind: "importance-sampling", coupling: { kind: "antithetic", samples: 2 } } as const;
    const run = minimize({
      loss: { dimension: 1, value },
      start: [0],
      objective: { kind: "local-entropy", tau: 1, estimator },
      updates: 1,
    });
    await expect(run.result).rejects.toThrow("mine");
  });
});

describe("a function that is infinite outside a feasible set", () => {
  const outside =
    (value: number) =>
    ([x]: Float64Array) =>
      x < 0.5 ? value : x * x;
  const couplings = [
    { kind: "antithetic", samples: 60 },
    { kind: "independent", samples: 60 },
    { kind: "independent", samples: 60, centred: false },
  ] as const;
  const run = (value: number, coupling: (typeof couplings)[number]) =>
    minimize({
      loss: { dimension: 1, value: outside(value) },
      start: [1],
      objective: { kind: "local-entropy", tau: 0.05, estimator: { kind: "importance-sampling", coupling } },
      updates: 40,
      recordEvery: 40,
    });

  test.each(couplings)("is minimized as one that is 1e300 there, with %j", async (coupling) => {
    const infinite = run(Number.POSITIVE_INFINITY, coupling);
    const large = run(1e300, coupling);
    const [{ parameters, value }, expected] = [await infinite.result, await large.result];
    expect(parameters).toEqual(expected.parameters);
    expect(parameters[0]).toBeGreaterThan(0.5);
    expect(value).toBe(parameters[0] ** 2);
    const seen = async (of: typeof infinite) => {
      for await (const { loss, freeEnergy, effectiveSampleSize } of of)
        return { loss, freeEnergy, effectiveSampleSize };
      throw new Error("no record");
    };
    const [record, ofLarge] = [await seen(infinite), await seen(large)];
    expect(record).toEqual({ ...ofLarge, loss: Number.POSITIVE_INFINITY });
  });

  test("where it is infinite everywhere the run has diverged, and says what helps", async () => {
    const { result } = minimize({
      loss: { dimension: 1, value: () => Number.POSITIVE_INFINITY },
      start: [1],
      updates: 5,
    });
    await expect(result).rejects.toThrow(
      "The loss was Infinity and the gradient's norm NaN at update 1: the run diverged. Try a smaller tau or a larger temperature, or a start near which the function is finite",
    );
  });

  test("x is looked at too", async () => {
    const { result } = minimize({
      loss: { dimension: 2, value: () => 1, gradient: () => [0, 1e150] },
      start: [1, 1],
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: 1e200 },
      updates: 5,
    });
    await expect(result).rejects.toThrow(
      /^Parameter 1, x\[1\], was -Infinity after update \d+: the run diverged/,
    );
  });
});
