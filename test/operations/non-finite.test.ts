/**
 * What is not a number is never right: a logit that is NaN, wherever it comes from, on every backend.
 */
import { describe, expect, test } from "@jest/globals";
import { NO_CLASS } from "../../src/reference/network/dense.ts";
import { onEveryBackend, onEveryFastBackend, reference } from "../support/backends.ts";
import { CROSS_ENTROPY, caseName, examples, KEY, networkCase } from "../support/fixtures.ts";
import { COSTS } from "../support/sampling-forms.ts";
import { matches } from "../tolerances.ts";

/** Of each of five labels the dearest mistake. */
const dearest = (label: number) => Math.max(...COSTS.costs.slice(5 * label, 5 * (label + 1)));

/** One class's bias is NaN, so that every row has one logit that is. */
const OF_CLASSES = [0, 2, 4] as const;
const FORMS = [
  { layers: [9, 5], rows: 6 },
  { layers: [9, 6, 5], rows: 6 },
  { layers: [9, 6, 4, 5], rows: 6 },
];

onEveryBackend((given) => {
  describe.each(FORMS.map((form) => [caseName(form), form] as const))("%s", (_, form) => {
    const { network, parameters, batch } = networkCase(form);
    const withNaN = (bias: number) =>
      parameters.map((x, i) => (i === parameters.length - 5 + bias ? Number.NaN : x));
    const costs = Array.from(batch.labels, dearest);
    const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;

    test.each(OF_CLASSES)(
      "a row with a NaN logit of class %d has no class, and the dearest cost",
      async (bias) => {
        const { operations } = given();
        const input = { network, parameters: withNaN(bias), loss: COSTS, batch };
        expect(await operations.loss(input)).toBeCloseTo(mean, 5);
        expect(await operations.accuracy(input)).toBe(0);
        const predicted = await operations.predict({
          network,
          loss: CROSS_ENTROPY,
          parameters: input.parameters,
          inputs: batch.inputs,
        });
        expect([...predicted.labels]).toEqual(Array.from(batch.labels, () => NO_CLASS));
        expect(await operations.loss({ ...input, loss: { kind: "cross-entropy" } })).toBeNaN();
      },
    );

    const couplings = [
      { kind: "antithetic", samples: 4 },
      ...(form.layers.length < 4 ? [{ kind: "walsh", blocks: 2 } as const] : []),
    ] as const;
    test.each(couplings.flatMap((coupling) => [true, false].map((rowwise) => ({ coupling, rowwise }))))(
      "so has every sample: %j",
      async (settings) => {
        const { losses } = await given().operations.weights({
          ...settings,
          network,
          parameters: withNaN(2),
          loss: COSTS,
          batch,
          key: KEY,
          update: 1,
          tau: 0.01,
          noiseScale: 0.1,
          temperature: 1,
          projected: true,
        });
        for (const loss of losses) expect(loss).toBeCloseTo(mean, 5);
      },
    );
  });

  test.each(["relu", "tanh", "step"] as const)("%s keeps NaN", async (activation) => {
    const { network, parameters, batch } = networkCase({ layers: [9, 6, 5], rows: 3, activation });
    const { labels } = await given().operations.predict({
      network,
      loss: CROSS_ENTROPY,
      parameters: parameters.with(9 * 6 + 4, Number.NaN), // the bias of a hidden unit
      inputs: batch.inputs,
    });
    expect([...labels]).toEqual([NO_CLASS, NO_CLASS, NO_CLASS]);
  });

  test("zero-one loss and accuracy agree where logits tie", async () => {
    const network = { layers: [5, 4, 3], activation: "relu" } as const;
    const parameters = new Float32Array(39); // all logits are 0: class 0 is predicted
    const batch = examples([...network.layers], 20, "floats", 3);
    const zeroOne = { kind: "cost-matrix", costs: Float64Array.of(0, 1, 1, 1, 0, 1, 1, 1, 0) } as const;
    const { operations } = given();
    const accuracy = await operations.accuracy({ network, parameters, batch });
    expect(accuracy).toBeGreaterThan(0);
    expect(accuracy).toBeLessThan(1);
    expect(await operations.loss({ network, parameters, loss: zeroOne, batch })).toBeCloseTo(1 - accuracy, 6);
    const { losses } = await operations.weights({
      network,
      parameters,
      loss: zeroOne,
      batch,
      key: KEY,
      update: 1,
      tau: 0.01,
      noiseScale: 0, // every sample is x itself
      temperature: 1,
      projected: false,
      coupling: { kind: "walsh", blocks: 1 },
      rowwise: false,
    });
    for (const loss of losses) expect(loss).toBeCloseTo(1 - accuracy, 6);
  });
});

onEveryFastBackend((given) => {
  // A step unit that is on makes a loss of 6e38, which float32 does not have; the reference's weight of it is 0 too.
  const network = { layers: [2, 1, 2], activation: "step" } as const;
  const parameters = Float32Array.of(0.1, -0.1, 0.01, 3e38, -3e38, 0, 0.2);
  const batch = { inputs: Float32Array.of(0.3, 0.2), labels: Uint16Array.of(1) };
  test.each([
    { kind: "antithetic", samples: 40 },
    { kind: "independent", samples: 40, complement: "marginalize", centred: true },
    { kind: "independent", samples: 40, complement: "marginalize", centred: false },
  ] as const)("a sample of infinite loss has the weight 0: %j", async (coupling) => {
    const input = {
      network,
      parameters,
      batch,
      loss: CROSS_ENTROPY,
      key: KEY,
      update: 1,
      tau: 0.25,
      noiseScale: 0.5,
      temperature: 1,
      coupling,
      rowwise: false,
      projected: true,
    };
    const { operations } = given();
    const { losses } = await operations.weights(input);
    const infinite = losses.filter((loss) => loss === Number.POSITIVE_INFINITY).length;
    expect(infinite).toBeGreaterThan(5);
    expect(infinite).toBeLessThan(35);
    const actual = await operations.importanceSampling(input);
    const expected = await reference.importanceSampling(input);
    matches("importance-sampling gradient", actual.gradient, expected.gradient);
    for (const part of ["freeEnergy", "effectiveSampleSize", "largestWeight"] as const)
      matches("importance-sampling diagnostics", actual[part], expected[part]);
    expect(actual.loss).toBe(Number.POSITIVE_INFINITY);
  });
});
