/**
 * Dense: loss, gradient, predictions and accuracy. Gradients against central differences of the loss, and every
 * backend against the float64 reference.
 */
import { describe, expect, test } from "@jest/globals";
import type { Loss } from "../../src/backends/backend.ts";
import { networkLoss } from "../../src/reference/network/dense.ts";
import { onEveryBackend, onEveryFastBackend, reference } from "../support/backends.ts";
import {
  type CaseOptions,
  CROSS_ENTROPY,
  caseName,
  examples,
  integers,
  networkCase,
} from "../support/fixtures.ts";
import { matches } from "../tolerances.ts";

/** Depths 1, 2 and 4; widths around multiples of 16; B below, at and above d0; repeated rows. */
const CASES: readonly CaseOptions[] = [
  { layers: [5, 3], rows: 4 },
  { layers: [6, 17, 4], activation: "tanh", rows: 6, inputs: "floats" },
  { layers: [6, 31, 4], rows: 9 },
  { layers: [13, 15, 33, 16, 5], rows: 7 },
  { layers: [12, 17, 31, 14, 3], activation: "tanh", rows: 5 },
  { layers: [20, 16, 10], rows: 8, repeats: [[3, 1], [6, 1]] }, // biome-ignore format: pairs
  { layers: [784, 10], rows: 20 },
  { layers: [784, 200, 10], rows: 20 },
];

const ZERO_ONE = (classes: number): Loss => ({
  kind: "cost-matrix",
  costs: Float64Array.from({ length: classes ** 2 }, (_, i) => (i % (classes + 1) === 0 ? 0 : 1)),
});

describe("the reference's gradient is its loss's slope", () => {
  // Central differences with h = 1e-5: truncation h²|f'''|/6 ~ 1e-11, rounding 2⁻⁵³/h ~ 1e-11. A ReLU kink within h
  // of a pre-activation would show as an error near 1; the cases have none.
  const small = CASES.filter(({ layers }) => layers[0] < 100);
  test.each(small.map((options) => [caseName(options), options] as const))("%s", (_, options) => {
    const { network, parameters, batch } = networkCase(options);
    const f = networkLoss(network, CROSS_ENTROPY, batch);
    const x = Float64Array.from(parameters);
    const gradient = f.gradient!(x);
    const h = 1e-5;
    const slopes = x.map((value, i) => {
      const moved = (offset: number) => f.value(x.with(i, value + offset));
      return (moved(h) - moved(-h)) / (2 * h);
    });
    const worst = slopes.reduce((most, slope, i) => Math.max(most, Math.abs(slope - gradient[i])), 0);
    expect(worst).toBeLessThan(1e-9);
    expect(gradient.length).toBe(x.length);
  });
});

describe("a small network by hand", () => {
  // One input 51/255 = 0.2, hidden relu(0.5·0.2 + 0.1) = 0.2, logits [0.2·1 − 0.3, 0.2·(−2) + 0.4] = [−0.1, 0].
  const network = { layers: [1, 1, 2], activation: "relu" } as const;
  const parameters = Float64Array.of(0.5, 0.1, 1, -2, -0.3, 0.4);
  const batch = { inputs: Uint8Array.of(51), labels: Uint16Array.of(0) };

  test("cross-entropy and its gradient", async () => {
    const { loss, gradient } = await reference.gradient({ network, loss: CROSS_ENTROPY, parameters, batch });
    expect(loss).toBeCloseTo(Math.log(1 + Math.exp(0.1)), 14);
    // g = softmax − onehot = [−q, q], q = 1/(1 + e^{−0.1}); hidden signal −q·1 + q·(−2) = −3q.
    const q = 1 / (1 + Math.exp(-0.1));
    const expected = [-3 * q * 0.2, -3 * q, -0.2 * q, 0.2 * q, -q, q];
    expected.forEach((value, i) => {
      expect(gradient[i]).toBeCloseTo(value, 14);
    });
  });

  test("a step hidden unit, and zero-one loss", async () => {
    // Hidden 1: logits [1 − 0.3, −2 + 0.4]; class 0 is predicted.
    const input = { network: { ...network, activation: "step" } as const, parameters };
    const loss = (label: number) =>
      reference.loss({ ...input, loss: ZERO_ONE(2), batch: { ...batch, labels: Uint16Array.of(label) } });
    expect(await loss(0)).toBe(0);
    expect(await loss(1)).toBe(1);
  });
});

onEveryBackend((given) => {
  // No hidden layer and zero weights, so that logits are the biases.
  const network = { layers: [1, 3], activation: "relu" } as const;
  const batchOf = (label: number) => ({ inputs: Uint8Array.of(9), labels: Uint16Array.of(label) });

  test("costs are [label, predicted], and the first largest logit is predicted, whatever the label", async () => {
    const costs = Float64Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8);
    const lossAt = (biases: readonly number[], label: number) =>
      given().operations.loss({
        network,
        loss: { kind: "cost-matrix", costs },
        parameters: Float32Array.of(0, 0, 0, ...biases),
        batch: batchOf(label),
      });
    expect(await lossAt([2, 1, 2], 0)).toBe(0);
    expect(await lossAt([2, 1, 2], 1)).toBe(3);
    expect(await lossAt([2, 1, 2], 2)).toBe(6); // though no logit exceeds the label's
    expect(await lossAt([1, 3, 2], 0)).toBe(1);
    expect(await lossAt([1, 3, 2], 1)).toBe(4);
  });

  test("predicted labels take the first largest logit, probabilities are the softmax", async () => {
    const { labels, outputs } = await given().operations.predict({
      network,
      loss: CROSS_ENTROPY,
      parameters: Float32Array.of(0, 0, 0, 1, 2, 2),
      inputs: Uint8Array.of(0, 255),
    });
    expect([...labels]).toEqual([1, 1]);
    const sum = Math.exp(-1) + 2;
    matches("probabilities", outputs.slice(3), [Math.exp(-1) / sum, 1 / sum, 1 / sum]);
  });

  test("large logits neither overflow nor lose the loss", async () => {
    const parameters = Float32Array.of(0, 0, 0, 500, -400, 300);
    const input = { network, loss: CROSS_ENTROPY, parameters };
    matches("loss", await given().operations.loss({ ...input, batch: batchOf(0) }), 0);
    matches("loss", await given().operations.loss({ ...input, batch: batchOf(1) }), 900);
  });
});

onEveryFastBackend((given) => {
  describe.each(CASES.map((options) => [caseName(options), options] as const))("%s", (_, options) => {
    const { network, parameters, batch } = networkCase(options);
    const input = { network, loss: CROSS_ENTROPY, parameters, batch };

    test("loss and gradient", async () => {
      const [actual, expected] = await Promise.all([
        given().operations.gradient(input),
        reference.gradient(input),
      ]);
      matches("loss", actual.loss, expected.loss);
      matches("loss", await given().operations.loss(input), expected.loss);
      matches("gradient", actual.gradient, expected.gradient);
    });

    test("predictions and accuracy", async () => {
      const d0 = options.layers[0];
      const rows = d0 < 100 ? 131 : 70;
      const data = examples(options.layers, rows, options.inputs ?? "bytes", 5);
      const [actual, expected] = await Promise.all(
        [given().operations, reference].map((operations) =>
          operations.predict({ network, loss: CROSS_ENTROPY, parameters, inputs: data.inputs }),
        ),
      );
      matches("probabilities", actual.outputs, expected.outputs);
      expect([...actual.labels]).toEqual([...expected.labels]);
      const labels = expected.labels.map((label, b) =>
        b % 3 ? label : (label + 1) % options.layers.at(-1)!,
      );
      matches(
        "accuracy",
        await given().operations.accuracy({ network, parameters, batch: { ...data, labels } }),
        1 - Math.ceil(rows / 3) / rows,
      );
    });
  });

  test.each(["relu", "step"] as const)("costs of predictions, %s", async (activation) => {
    const layers = [33, 31, 5];
    const { network, parameters, batch } = networkCase({ layers, activation, rows: 19 });
    const costs = Float64Array.from(integers(31, 25, 9));
    const input = { network, loss: { kind: "cost-matrix", costs } as const, parameters, batch };
    matches("loss", await given().operations.loss(input), await reference.loss(input));
  });
});
