/**
 * Importance sampling: every backend against the reference for the same counters, what the estimate's parts mean,
 * and independence of the number of threads. Its law is in closed-forms.test.ts and projection.test.ts.
 */
import { describe, expect, test } from "@jest/globals";
import type { Coupling, ImportanceSamplingInput } from "../../src/backends/backend.ts";
import { layerShapes, meanOf } from "../../src/network.ts";
import { gaussian } from "../../src/reference/random/gaussian.ts";
import { layerStream } from "../../src/reference/random/streams.ts";
import { onEveryBackend, onEveryFastBackend, reference, sameBitsOnThreads } from "../support/backends.ts";
import { KEY } from "../support/fixtures.ts";
import { patience } from "../support/patience.ts";
import { COSTS, namedForms, type SamplingForm, samplingInput } from "../support/sampling-forms.ts";
import { matches } from "../tolerances.ts";

const COUPLINGS: readonly Coupling[] = [
  { kind: "independent", samples: 9, complement: "sample", centred: false },
  { kind: "independent", samples: 21, complement: "marginalize", centred: false },
  { kind: "independent", samples: 17, complement: "marginalize", centred: true },
  { kind: "antithetic", samples: 22 },
];

const FORMS: readonly SamplingForm[] = [
  { options: { layers: [21, 5], rows: 6 }, projected: true },
  { options: { layers: [21, 5], rows: 6 }, projected: false },
  { options: { layers: [33, 17, 5], activation: "tanh", rows: 33, inputs: "floats" }, projected: true },
  { options: { layers: [8, 15, 4], rows: 11 }, projected: false },
  { options: { layers: [40, 33, 16, 7, 5], rows: 9 }, projected: true },
  { options: { layers: [40, 33, 16, 7, 5], rows: 9 }, projected: false },
  { options: { layers: [30, 31, 6], rows: 8, repeats: [[3, 1], [7, 1]] }, projected: true }, // biome-ignore format: pairs
  { options: { layers: [24, 17, 5], activation: "step", rows: 7 }, projected: true },
  { options: { layers: [24, 17, 5], activation: "step", rows: 7 }, projected: true, loss: COSTS },
  { options: { layers: [24, 17, 5], rows: 7 }, projected: false, loss: COSTS },
];

const named = namedForms(FORMS);
const inputOf = (form: SamplingForm, coupling: Coupling) => samplingInput(form, { coupling, rowwise: false });

onEveryFastBackend((given) => {
  describe.each(named)("%s", (_, form) => {
    test.each(COUPLINGS.map((coupling) => [JSON.stringify(coupling), coupling] as const))(
      "%s",
      async (__, coupling) => {
        const input = inputOf(form, coupling);
        const { operations } = given();
        const [actual, expected] = [
          await operations.importanceSampling(input),
          await reference.importanceSampling(input),
        ];
        matches("weights", (await operations.weights(input)).losses, (await reference.weights(input)).losses);
        matches("importance-sampling gradient", actual.gradient, expected.gradient);
        for (const part of ["loss", "freeEnergy", "effectiveSampleSize", "largestWeight"] as const) {
          matches("importance-sampling diagnostics", actual[part], expected[part]);
        }
        matches("importance-sampling diagnostics", actual.standardError!, expected.standardError!);
        expect(actual.samples).toBe(coupling.kind === "walsh" ? 0 : coupling.samples);
      },
    );
  });

  test("784-200-10, B = 20, projected, losses spread over blocks", async () => {
    const form: SamplingForm = { options: { layers: [784, 200, 10], rows: 20 }, projected: true };
    const input = inputOf(form, { kind: "antithetic", samples: 70 });
    const small = { ...input, tau: 0.01, noiseScale: 0.1, temperature: 1 };
    const [actual, expected] = [
      await given().operations.importanceSampling(small),
      await reference.importanceSampling(small),
    ];
    matches("importance-sampling gradient", actual.gradient, expected.gradient);
    matches("importance-sampling diagnostics", actual.effectiveSampleSize, expected.effectiveSampleSize);
  });

  if (given.threaded)
    test.each(named)("the same bits on any number of threads: %s", async (_, form) => {
      for (const coupling of COUPLINGS) {
        const input = inputOf(form, { ...coupling, samples: 150 } as Coupling);
        await sameBitsOnThreads(given, ({ operations }) => operations.importanceSampling(input));
      }
    });
});

const shiftOf = (mean: ArrayLike<number>, { parameters }: ImportanceSamplingInput) =>
  Array.from(mean, (value, i) => value - parameters[i]);

onEveryBackend((given) => {
  const form: SamplingForm = { options: { layers: [9, 7, 4], rows: 5 }, projected: false };

  test("sample j is x + s·Z_j with Z_j from its own counters: formed here by hand", async () => {
    const input = inputOf(form, { kind: "antithetic", samples: 4 });
    const { losses } = await given().operations.weights(input);
    for (const [j, sign] of [1, -1, 1, -1].entries()) {
      const parameters = Float64Array.from(input.parameters);
      layerShapes(input.network).forEach(({ offset, rows, columns }, layer) => {
        const z = gaussian(KEY, layerStream(layer + 1), 5, j >> 1, rows * columns);
        z.forEach((value, i) => {
          parameters[offset + i] += sign * 0.19 * value;
        });
      });
      matches("weights", losses[j], await reference.loss({ ...input, parameters }));
    }
  });

  test("the mean made of the gradient is x − (τ/δ)·gradient; the diagnostics are those of the losses", async () => {
    const input = inputOf(form, { kind: "independent", samples: 12, complement: "sample", centred: false });
    const { losses } = await given().operations.weights(input);
    const result = await given().operations.importanceSampling(input);
    const weights = Array.from(losses, (f) => Math.exp(-f / 0.35));
    const total = weights.reduce((a, b) => a + b);
    const squares = weights.reduce((sum, w) => sum + w * w, 0);
    matches("importance-sampling diagnostics", result.effectiveSampleSize, total ** 2 / squares);
    matches("importance-sampling diagnostics", result.largestWeight, Math.max(...weights) / total);
    matches("importance-sampling diagnostics", result.freeEnergy, -0.35 * Math.log(total / 12));
    matches("importance-sampling diagnostics", result.loss, Array.from(losses).reduce((a, b) => a + b) / 12);
    matches(
      "importance-sampling gradient",
      shiftOf(meanOf(input.parameters, result.gradient, input.tau / input.temperature), input),
      Array.from(result.gradient, (g) => (-0.05 / 0.35) * g),
    );
  });

  test("losses in the hundreds at a small temperature neither overflow nor vanish", async () => {
    const input = inputOf(form, { kind: "antithetic", samples: 6 });
    const hot = { ...input, parameters: input.parameters.map((value) => 300 * value), temperature: 0.02 };
    const { losses } = await given().operations.weights(hot);
    expect(Math.min(...losses)).toBeGreaterThan(50);
    const result = await given().operations.importanceSampling(hot);
    expect(result.effectiveSampleSize).toBeGreaterThanOrEqual(1 - 1e-6);
    expect(result.effectiveSampleSize).toBeLessThan(6);
    expect(result.freeEnergy).toBeGreaterThan(Math.min(...losses) - 0.01);
    expect(result.freeEnergy).toBeLessThan(Math.max(...losses));
    expect(result.gradient.every(Number.isFinite)).toBe(true);
  });

  test("a constant loss leaves x where it is: centred and antithetic weights cancel exactly", async () => {
    // One class has loss 0 whatever the parameters, so every weight is 1.
    const options = { layers: [6, 5, 1], rows: 3 };
    for (const coupling of COUPLINGS.slice(2)) {
      const input = inputOf({ options, projected: false }, coupling);
      const { gradient, standardError } = await given().operations.importanceSampling(input);
      expect(Math.max(...Array.from(gradient, Math.abs))).toBeLessThan(1e-6);
      expect(standardError).toBeLessThan(1e-6);
    }
  });

  test("one independent unit has no standard error", async () => {
    const pair = await given().operations.importanceSampling(
      inputOf(form, { kind: "antithetic", samples: 2 }),
    );
    expect(pair.standardError).toBeNull();
  });

  test("an aborted signal rejects with its reason", async () => {
    const input = inputOf(form, { kind: "antithetic", samples: given.slow ? 300 : 200_000 });
    const controller = new AbortController();
    const call = given().operations.importanceSampling({ ...input, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 5);
    const start = performance.now();
    await expect(call).rejects.toThrow("enough");
    expect(performance.now() - start).toBeLessThan(patience(1000));
  });
});
