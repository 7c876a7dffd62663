/**
 * Options of `train`: what right ones become at the seam.
 */
import { describe, expect, test } from "@jest/globals";
import { initialParameters } from "../../src/initialization.ts";
import { checkTrainOptions } from "../../src/options/train.ts";
import type { Dataset } from "../../src/options/types.ts";
import { cosine } from "../../src/schedules.ts";
import { base, check, dataset, descent, langevin, sgd } from "../support/option-fixtures.ts";

describe("defaults", () => {
  const checked = check();
  test("local entropy at 0.01 by two Walsh blocks and the row split, Adam with cosine rate and decay 0.05", () => {
    expect(checked.network).toEqual({ layers: [6, 4, 3], activation: "relu" });
    expect(checked.loss).toEqual({ kind: "cross-entropy" });
    expect(checked.estimator).toEqual({
      kind: "importance-sampling",
      coupling: { kind: "walsh", blocks: 2 },
      temperature: 1,
      rowwise: true,
      projected: true,
    });
    expect(checked.optimizer).toEqual({
      kind: "adam",
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0.05,
    });
    const { tau, noiseScale, rate } = checked.planValues(0, 4);
    expect([...tau]).toEqual([0.01, 0.01, 0.01, 0.01]);
    expect([...noiseScale]).toEqual([0.1, 0.1, 0.1, 0.1]);
    expect([...rate]).toEqual([0, 1, 2, 3].map((k) => cosine(1e-3, 0)(k, 4)));
    expect([...checked.planValues(2, 1).rate]).toEqual([rate[2]]);
  });
  test("antithetic pairs where more than one layer is hidden", () => {
    const { estimator } = check({ network: [6, 4, 4, 3] });
    expect(estimator).toMatchObject({ coupling: { kind: "antithetic", samples: 1000 }, rowwise: true });
  });
  test("seed 1, records each 100, evaluation at the end, backend auto, Glorot", () => {
    const { key, recordEvery, evaluateEvery, backend, state } = checked;
    expect([key, recordEvery, evaluateEvery, backend]).toEqual([[1, 0], 100, 0, "auto"]);
    expect(checked.threads).toBeGreaterThan(0);
    expect(state.parameters).toEqual(initialParameters(checked.network, [1, 0]));
    expect(state.moments).toEqual([new Float32Array(43), new Float32Array(43)]);
    expect(state.chain).toBeNull();
    expect(checkTrainOptions({ ...base, batchSize: undefined, data: { train: repeated(3) } }).batchSize).toBe(
      32,
    );
  });
  test("sgld and robbins-monro shift: gradient descent at τ_k/δ", () => {
    const tau = (k: number) => 0.04 / (k + 1);
    const expected = [0, 1, 2, 3].map(tau);
    for (const objective of [
      { kind: "local-entropy", tau, estimator: langevin },
      { kind: "heat", tau, estimator: descent },
    ]) {
      const { optimizer, planValues } = check({ objective });
      expect(optimizer).toEqual({ kind: "gradient-descent" });
      expect([...planValues(0, 4).rate]).toEqual(expected);
    }
    const estimator = { kind: "importance-sampling", temperature: 0.5 };
    const warm = { objective: { kind: "local-entropy", tau, estimator }, optimizer: { kind: "shift" } };
    expect([...check(warm).planValues(0, 4).rate]).toEqual(expected.map((value) => value / 0.5));
  });
});

function repeated(times: number): Dataset {
  const inputs = new Uint8Array(72 * times);
  const labels = new Uint8Array(12 * times);
  for (let i = 0; i < times; i++) {
    inputs.set(dataset.inputs, 72 * i);
    labels.set(dataset.labels, 12 * i);
  }
  return { ...dataset, inputs, labels, count: 12 * times };
}

describe("what crosses the seam", () => {
  const entropy = (estimator: object) => ({ objective: { kind: "local-entropy", tau: 0.25, estimator } });
  test("couplings with their defaults", () => {
    const coupling = (given: object) => {
      const { estimator } = check(entropy({ kind: "importance-sampling", coupling: given }));
      return "coupling" in estimator && estimator.coupling;
    };
    const independent = { kind: "independent", samples: 7 };
    expect(coupling(independent)).toEqual({ ...independent, complement: "marginalize", centred: true });
    const sampled = { ...independent, complement: "sample" };
    expect(coupling(sampled)).toEqual({ ...sampled, centred: false });
    expect(coupling({ ...independent, centred: false })).toEqual({
      ...independent,
      complement: "marginalize",
      centred: false,
    });
  });
  test("SGLD's step sizes and noise scales in both readings", () => {
    const stepSize = (j: number, total: number) => 1 / (j + total);
    const steps = [1 / 4, 1 / 5, 1 / 6];
    const estimator = (noise: string) => check(entropy({ ...langevin, stepSize, noise })).estimator;
    expect(estimator("variance")).toEqual({
      kind: "sgld",
      stepSizes: Float64Array.from(steps),
      noiseScales: Float64Array.from(steps, Math.sqrt),
      chainStart: "previous",
      batches: 1,
      projected: true,
    });
    expect(estimator("standard-deviation")).toMatchObject({ noiseScales: Float64Array.from(steps) });
  });
  test("noise scales of perturbations in both readings", () => {
    const scale = (noise: string) =>
      check({ objective: { kind: "heat", tau: 0.25, estimator: { ...descent, noise } } }).planValues(0, 1);
    expect(scale("variance").noiseScale[0]).toBe(0.5);
    expect(scale("standard-deviation").noiseScale[0]).toBe(0.25);
    expect(scale("standard-deviation").tau[0]).toBe(0.25);
  });
  test("importance sampling's variance and shift in both readings: of the samples' own variance", () => {
    const estimator = { kind: "importance-sampling", temperature: 0.5 };
    const values = (noise: string) => {
      const objective = { kind: "local-entropy", tau: 0.2, estimator: { ...estimator, noise } };
      const { tau, noiseScale, rate } = check({ objective, optimizer: { kind: "shift" } }).planValues(0, 1);
      return { tau: tau[0], noiseScale: noiseScale[0], rate: rate[0] };
    };
    expect(values("variance")).toEqual({ tau: 0.2, noiseScale: Math.sqrt(0.2), rate: 0.4 });
    const s = 0.2;
    expect(values("standard-deviation")).toEqual({ tau: s * s, noiseScale: s, rate: 2 * (s * s) });
  });
  test("a minibatch a step: J − 1 batches for SGLD, J for Robbins–Monro, and no projection", () => {
    const minibatch = "per-step";
    expect(check(entropy({ ...langevin, minibatch })).estimator).toMatchObject({
      batches: 2,
      projected: false,
    });
    const heat = { kind: "heat", estimator: { ...descent, minibatch } };
    expect(check({ objective: heat }).estimator).toMatchObject({ batches: 3, projected: false });
    // Two steps have one transition, hence one batch, either way.
    expect(check(entropy({ ...langevin, steps: 2, minibatch })).estimator).toMatchObject({
      batches: 1,
      projected: true,
    });
  });
  test("projected up to B = d0, unless off", () => {
    const projected = (batchSize: number, projection?: string) => {
      const { estimator } = check({ ...entropy({ kind: "importance-sampling", projection }), batchSize });
      return "projected" in estimator && estimator.projected;
    };
    expect([6, 7].map((size) => projected(size))).toEqual([true, false]);
    expect(projected(6, "off")).toBe(false);
  });
  test("zero-one and cost matrices, labels as 16-bit numbers, seeds of 64 bits", () => {
    expect(check({ loss: "zero-one" }).loss).toEqual({
      kind: "cost-matrix",
      costs: Float64Array.of(0, 1, 1, 1, 0, 1, 1, 1, 0),
    });
    const costs = [
      [0, 1, 2],
      [3, 0, 4],
      [5, 6, 0],
    ];
    expect(check({ loss: { kind: "cost-matrix", costs } }).loss).toEqual({
      kind: "cost-matrix",
      costs: Float64Array.from(costs.flat()),
    });
    const { train } = check().data;
    expect(train.labels).toEqual(Uint16Array.from(dataset.labels));
    expect(train.inputs).toEqual(dataset.inputs);
    expect(train.inputs.buffer).not.toBe(dataset.inputs.buffer);
    expect(check({ seed: 2n ** 64n - 2n }).key).toEqual([0xfffffffe, 0xffffffff]);
  });
  test("momentum and gradient descent keep their constants; a rate of zero is allowed", () => {
    const momentum = check({ ...sgd, optimizer: { kind: "momentum", rate: 0 } });
    expect(momentum.optimizer).toEqual({ kind: "momentum", momentum: 0.9 });
    expect(momentum.state.moments.length).toBe(1);
    expect(check(sgd).estimator).toEqual({ kind: "sgd" });
    expect([...check(sgd).planValues(1, 2).tau]).toEqual([0, 0]);
  });
  test("given parameters are copied", () => {
    const parameters = Float64Array.from({ length: 43 }, (_, i) => i / 43);
    const { state } = check({ parameters });
    expect(state.parameters).toEqual(parameters);
    expect(state.parameters).not.toBe(parameters);
    expect(state.moments[0]).toEqual(new Float64Array(43));
  });
  test("the description is JSON with defaults and schedules by name", () => {
    const { description } = check({ seed: 5n, objective: { kind: "heat", estimator: descent } });
    expect(description).toEqual(JSON.parse(JSON.stringify(description)));
    expect(description).toMatchObject({
      network: { layers: [6, 4, 3], activation: "relu" },
      data: { train: { count: 12, width: 6, classes: 3 } },
      objective: {
        tau: 0.01,
        estimator: { noise: "variance", stepSize: { name: "power", arguments: [0.1, 0.5] } },
      },
      optimizer: { kind: "shift" },
      seed: "5",
    });
  });
});
