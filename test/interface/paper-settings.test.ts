/**
 * The paper's settings as they reach the seam.
 */
import { expect, test } from "@jest/globals";
import { checkTrainOptions } from "../../src/options/train.ts";
import type { Dataset } from "../../src/options/types.ts";
import { paper } from "../../src/paper/settings.ts";

const train: Dataset = {
  inputs: new Uint8Array(25 * 30),
  labels: new Uint8Array(25),
  count: 25,
  width: 30,
  classes: 10,
};
const check = (settings: object) => checkTrainOptions({ network: [30, 5, 10], data: { train }, ...settings });

test("SGD at rate 0.01, 500 updates of 20 rows", () => {
  const { estimator, optimizer, planValues, batchSize, updates } = check(paper.sgd());
  expect([batchSize, updates]).toEqual([20, 500]);
  expect([estimator, optimizer]).toEqual([{ kind: "sgd" }, { kind: "gradient-descent" }]);
  expect(planValues(0, 500).rate.every((rate) => rate === 0.01)).toBe(true);
});

test("importance sampling: 1,000 independent samples, raw weights, complement sampled, the shift", () => {
  const { estimator, optimizer, planValues, batchSize, updates } = check(paper.importanceSampling());
  expect([batchSize, updates]).toEqual([20, 500]);
  expect(estimator).toEqual({
    kind: "importance-sampling",
    coupling: { kind: "independent", samples: 1000, complement: "sample", centred: false },
    temperature: 1,
    rowwise: false,
    projected: true,
  });
  expect(optimizer).toEqual({ kind: "gradient-descent" });
  expect(planValues(499, 1)).toEqual({
    tau: Float64Array.of(0.01),
    noiseScale: Float64Array.of(0.1),
    rate: Float64Array.of(0.01),
  });
});

test("SGLD: ε_j = 1/(1000 + j), j = 1 … 1000, chains going on, one minibatch an update", () => {
  const { estimator, planValues } = check(paper.sgld());
  const stepSizes = Float64Array.from({ length: 1000 }, (_, i) => 1 / (1001 + i));
  const noiseScales = stepSizes.map(Math.sqrt);
  const rest = { chainStart: "previous", batches: 1, projected: true };
  expect(estimator).toEqual({ kind: "sgld", stepSizes, noiseScales, ...rest });
  expect(planValues(0, 1).rate[0]).toBe(0.01);
});

test("Robbins–Monro: M = J = 30, a_j = 0.1 j^−0.7", () => {
  const { estimator, planValues } = check(paper.robbinsMonro());
  const stepSizes = Float64Array.from({ length: 30 }, (_, i) => 0.1 * (i + 1) ** -0.7);
  expect(estimator).toEqual({ kind: "robbins-monro", samples: 30, stepSizes, batches: 1, projected: true });
  expect(planValues(0, 1).rate[0]).toBe(0.01);
});
