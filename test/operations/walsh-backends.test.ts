/**
 * Walsh coupling, the row split and evolution strategies: every backend against the reference for the same
 * counters, and independence of the number of threads. What they compute is tested in walsh.test.ts,
 * row-split.test.ts and evolution-strategies.test.ts.
 */
import { describe, expect, test } from "@jest/globals";
import { type Coupling, sampleCount } from "../../src/backends/backend.ts";
import { onEveryFastBackend, reference, sameBitsOnThreads } from "../support/backends.ts";
import { COSTS, namedForms, type SamplingForm, samplingInput } from "../support/sampling-forms.ts";
import { matches } from "../tolerances.ts";

/** Transforms of 4 to 512 values, tight and loose; one vector, registers and memory on every instruction set. */
const FORMS: readonly SamplingForm[] = [
  { options: { layers: [21, 5], rows: 6 }, projected: true }, // m = 8
  { options: { layers: [21, 3], rows: 24 }, projected: false }, // m = 4
  { options: { layers: [9, 2, 2], rows: 3 }, projected: true }, // m = 4
  { options: { layers: [33, 17, 5], activation: "tanh", rows: 33, inputs: "floats" }, projected: true }, // m = 32
  { options: { layers: [8, 15, 4], rows: 11 }, projected: false }, // m = 32
  {
    options: {
      layers: [30, 59, 5],
      rows: 8,
      repeats: [
        [3, 1],
        [7, 1],
      ],
    },
    projected: true,
  }, // m = 64, tight; biome-ignore format: pairs
  { options: { layers: [24, 100, 5], activation: "step", rows: 7 }, projected: true }, // m = 128
  { options: { layers: [24, 33, 5], activation: "step", rows: 7 }, projected: true, loss: COSTS },
  { options: { layers: [24, 17, 5], rows: 7 }, projected: false, loss: COSTS },
  { options: { layers: [12, 300, 7], rows: 5 }, projected: true }, // m = 512
];

const COUPLINGS: readonly { coupling: Coupling; rowwise: boolean }[] = [
  { coupling: { kind: "walsh", blocks: 1 }, rowwise: true },
  { coupling: { kind: "walsh", blocks: 2 }, rowwise: true },
  { coupling: { kind: "walsh", blocks: 9 }, rowwise: true },
  { coupling: { kind: "walsh", blocks: 2 }, rowwise: false },
  { coupling: { kind: "walsh", blocks: 9 }, rowwise: false },
];

const named = namedForms(FORMS);

onEveryFastBackend((given) => {
  describe.each(named)("%s", (_, form) => {
    test.each(COUPLINGS.map((settings) => [JSON.stringify(settings), settings] as const))(
      "%s",
      async (__, settings) => {
        const input = samplingInput(form, settings);
        const { operations } = given();
        const [actual, expected] = [
          await operations.importanceSampling(input),
          await reference.importanceSampling(input),
        ];
        matches("weights", (await operations.weights(input)).losses, (await reference.weights(input)).losses);
        matches("walsh gradient", actual.gradient, expected.gradient);
        for (const part of ["loss", "freeEnergy", "effectiveSampleSize", "largestWeight"] as const) {
          matches("importance-sampling diagnostics", actual[part], expected[part]);
        }
        if (expected.standardError === null) expect(actual.standardError).toBeNull();
        else matches("walsh gradient", actual.standardError!, expected.standardError);
        expect(actual.samples).toBe(sampleCount(input.coupling, input.network, input.rowwise));
        const [heat, trueHeat] = [
          await operations.evolutionStrategies(input),
          await reference.evolutionStrategies(input),
        ];
        matches("walsh gradient", heat.gradient, trueHeat.gradient);
        matches("importance-sampling diagnostics", heat.loss, trueHeat.loss);
        if (trueHeat.standardError !== null)
          matches("walsh gradient", heat.standardError!, trueHeat.standardError);
      },
    );
  });

  test.each([1e4, 1e8])("weights that are nearly equal: δ = %d", async (temperature) => {
    const input = samplingInput(FORMS[3], COUPLINGS[3], temperature);
    const [actual, expected] = [
      await given().operations.importanceSampling(input),
      await reference.importanceSampling(input),
    ];
    matches("walsh gradient", actual.gradient, expected.gradient);
  });

  test("weights far apart: δ = 1/500", async () => {
    const input = samplingInput(FORMS[3], COUPLINGS[1], 1 / 500);
    const [actual, expected] = [
      await given().operations.importanceSampling(input),
      await reference.importanceSampling(input),
    ];
    expect(expected.effectiveSampleSize).toBeLessThan(20);
    matches("walsh gradient far", actual.gradient, expected.gradient);
  });

  test("losses far above the range of the exponential", async () => {
    const input = samplingInput({ options: { layers: [12, 20, 6], rows: 5 }, projected: true }, COUPLINGS[1]);
    const parameters = input.parameters.map((value) => 60 * value);
    const far = { ...input, parameters };
    const expected = (await reference.weights(far)).losses;
    expect(Math.max(...expected)).toBeGreaterThan(1000);
    matches("weights", (await given().operations.weights(far)).losses, expected);
  });

  test("784-200-10, B = 20, K = 2", async () => {
    const form: SamplingForm = { options: { layers: [784, 200, 10], rows: 20 }, projected: true };
    const input = { ...samplingInput(form, COUPLINGS[1]), tau: 0.01, noiseScale: 0.1, temperature: 1 };
    const [actual, expected] = [
      await given().operations.importanceSampling(input),
      await reference.importanceSampling(input),
    ];
    matches("walsh gradient", actual.gradient, expected.gradient);
    matches("importance-sampling diagnostics", actual.effectiveSampleSize, expected.effectiveSampleSize);
  });

  if (given.threaded)
    test.each(named)("the same bits on any number of threads: %s", async (_, form) => {
      for (const settings of COUPLINGS) {
        const input = samplingInput(form, settings);
        await sameBitsOnThreads(given, ({ operations }) => operations.importanceSampling(input));
      }
    });
});
