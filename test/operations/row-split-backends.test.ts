/**
 * The row split and evolution strategies on independent samples and antithetic pairs, any depth: every backend against
 * the reference for the same counters, and independence of the number of threads. Walsh blocks are in
 * walsh-backends.test.ts; what the estimators compute is tested in row-split.test.ts and evolution-strategies.test.ts.
 */
import { describe, expect, test } from "@jest/globals";
import type { Backend, Coupling, WeightsInput } from "../../src/backends/backend.ts";
import { onEveryFastBackend, reference, sameBitsOnThreads } from "../support/backends.ts";
import { COSTS, namedForms, type SamplingForm, samplingInput } from "../support/sampling-forms.ts";
import { matches } from "../tolerances.ts";

const FORMS: readonly SamplingForm[] = [
  { options: { layers: [21, 5], rows: 6 }, projected: true },
  { options: { layers: [33, 17, 5], activation: "tanh", rows: 33, inputs: "floats" }, projected: true },
  { options: { layers: [30, 59, 5], rows: 8, repeats: [[3, 1]] }, projected: true },
  { options: { layers: [24, 18, 7, 5], rows: 8 }, projected: true },
  { options: { layers: [12, 9, 8, 7, 3], activation: "tanh", rows: 200 }, projected: false }, // two blocks of rows
  { options: { layers: [8, 15, 4], rows: 11 }, projected: false },
  { options: { layers: [24, 33, 9, 5], activation: "step", rows: 7 }, projected: true, loss: COSTS },
];

const INDEPENDENT = { kind: "independent", samples: 41, complement: "marginalize" } as const;

const COUPLINGS: readonly Coupling[] = [
  { ...INDEPENDENT, centred: true },
  { ...INDEPENDENT, centred: false },
  { kind: "antithetic", samples: 70 },
];

const named = namedForms(FORMS);
const inputOf = (form: SamplingForm, coupling: Coupling) => samplingInput(form, { coupling, rowwise: true });

async function importanceSamplingMatches({ operations }: Backend, input: WeightsInput): Promise<void> {
  const [actual, expected] = [
    await operations.importanceSampling(input),
    await reference.importanceSampling(input),
  ];
  matches("importance-sampling gradient", actual.gradient, expected.gradient);
  for (const part of ["loss", "freeEnergy", "effectiveSampleSize", "largestWeight"] as const) {
    matches("importance-sampling diagnostics", actual[part], expected[part]);
  }
  matches("importance-sampling gradient", actual.standardError!, expected.standardError!);
  expect(actual.samples).toBe(expected.samples);
}

async function evolutionStrategiesMatch({ operations }: Backend, input: WeightsInput): Promise<void> {
  const [actual, expected] = [
    await operations.evolutionStrategies(input),
    await reference.evolutionStrategies(input),
  ];
  matches("importance-sampling gradient", actual.gradient, expected.gradient);
  matches("importance-sampling gradient", actual.standardError!, expected.standardError!);
  matches("importance-sampling diagnostics", actual.loss, expected.loss);
  expect(actual.samples).toBe(expected.samples);
}

onEveryFastBackend((given) => {
  describe.each(named)("%s", (_, form) => {
    test.each(COUPLINGS.map((coupling) => [JSON.stringify(coupling), coupling] as const))(
      "%s",
      async (__, coupling) => {
        const input = inputOf(form, coupling);
        matches(
          "weights",
          (await given().operations.weights(input)).losses,
          (await reference.weights(input)).losses,
        );
        await importanceSamplingMatches(given(), input);
        await evolutionStrategiesMatch(given(), input);
        await evolutionStrategiesMatch(given(), { ...input, rowwise: false });
      },
    );

    if (given.threaded)
      test("the same bits on any number of threads", async () => {
        for (const coupling of COUPLINGS) {
          const input = inputOf(form, coupling);
          await sameBitsOnThreads(given, async ({ operations }) => [
            await operations.importanceSampling(input),
            await operations.evolutionStrategies(input),
            await operations.evolutionStrategies({ ...input, rowwise: false }),
          ]);
        }
      });
  });

  test("one unit has no standard error", async () => {
    const input = inputOf(FORMS[3], { kind: "antithetic", samples: 2 });
    expect((await given().operations.importanceSampling(input)).standardError).toBeNull();
    expect((await given().operations.evolutionStrategies(input)).standardError).toBeNull();
  });

  test("weights far apart: δ = 1/500", async () => {
    const input = { ...inputOf(FORMS[3], COUPLINGS[2]), temperature: 1 / 500 };
    const [actual, expected] = [
      await given().operations.importanceSampling(input),
      await reference.importanceSampling(input),
    ];
    expect(expected.effectiveSampleSize).toBeLessThan(5);
    matches("walsh gradient far", actual.gradient, expected.gradient);
  });
});
