/**
 * Robbins–Monro: every backend against the reference for the same counters. Its law is in closed-forms.test.ts and
 * projection.test.ts.
 */
import { test } from "@jest/globals";
import type { RobbinsMonroInput } from "../../src/backends/backend.ts";
import { gaussian } from "../../src/reference/random/gaussian.ts";
import { onEveryBackend, onEveryFastBackend, reference, sameBitsOnThreads } from "../support/backends.ts";
import { batchesOf, CHAIN_FORMS, type ChainForm } from "../support/chain-forms.ts";
import { CROSS_ENTROPY, caseName, KEY, networkCase } from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

const STEPS = 5;

function inputOf(form: ChainForm): RobbinsMonroInput {
  const { options, projected } = form;
  const { network, parameters, batch } = networkCase(options);
  return {
    network,
    loss: CROSS_ENTROPY,
    parameters,
    batches: batchesOf(form, batch, STEPS),
    stepSizes: Float64Array.from({ length: STEPS }, (_, j) => 0.5 * (j + 1) ** -0.7),
    samples: 3,
    tau: 0.03,
    noiseScale: 0.15,
    key: KEY,
    update: 3,
    projected,
  };
}

const named = CHAIN_FORMS.map((form) => {
  const { options, projected, fresh } = form;
  const title = `${caseName(options)}, ${projected ? "projected" : "direct"}${fresh ? ", fresh minibatches" : ""}`;
  return [title, form] as const;
});

const offset = (vector: ArrayLike<number>, { parameters }: RobbinsMonroInput) =>
  Array.from(vector, (value, i) => value - parameters[i]);

onEveryFastBackend((given) => {
  test.each(named)("%s", async (_, form) => {
    const input = inputOf(form);
    const [actual, expected] = [
      await given().operations.robbinsMonro(input),
      await reference.robbinsMonro(input),
    ];
    matches("robbins-monro", offset(actual.mean, input), offset(expected.mean, input));
    matches("robbins-monro", actual.loss, expected.loss);
  });

  if (given.threaded)
    test.each(named)("the same bits on any number of threads: %s", (_, form) =>
      sameBitsOnThreads(given, ({ operations }) => operations.robbinsMonro(inputOf(form))),
    );
});

onEveryBackend((given) => {
  test("two transitions of two samples by hand", async () => {
    const input = { ...inputOf({ options: { layers: [6, 3], rows: 4 }, projected: false }), samples: 2 };
    const stepSizes = Float64Array.of(0.5, 0.3);
    const x = Float64Array.from(input.parameters);
    let total = 0;
    for (const [j, a] of stepSizes.entries()) {
      const average = new Float64Array(x.length);
      for (let m = 0; m < 2; m++) {
        const z = gaussian(KEY, 16, 3, 2 * j + m, x.length);
        const parameters = x.map((value, i) => value + 0.15 * z[i]);
        const { gradient, loss } = await reference.gradient({
          ...input,
          parameters,
          batch: input.batches[0],
        });
        total += loss / 4;
        gradient.forEach((g: number, i: number) => {
          average[i] += g / 2;
        });
      }
      average.forEach((g, i) => {
        x[i] -= a * (x[i] - input.parameters[i] + 0.03 * g);
      });
    }
    const result = await given().operations.robbinsMonro({ ...input, stepSizes });
    matches("robbins-monro", offset(result.mean, input), offset(x, input));
    matches("robbins-monro", result.loss, total);
  });
});
