/**
 * `train` and `minimize`: what right options become at the seam, and the sentence of each wrong one.
 */
import { describe, expect, test } from "@jest/globals";
import { OptionError } from "../src/errors.ts";
import { initialParameters } from "../src/network.ts";
import type { Dataset, Resume, TrainOptions } from "../src/options.ts";
import { checkMinimizeOptions, checkTrainOptions } from "../src/options.ts";
import { cosine, power } from "../src/schedules.ts";

// 12 rows of 6 byte inputs in 3 classes; 6-4-3 has (6 + 1)·4 + (4 + 1)·3 = 43 parameters.
const dataset: Dataset = {
  inputs: Uint8Array.from({ length: 72 }, (_, i) => (37 * i) % 256),
  labels: Uint8Array.from({ length: 12 }, (_, i) => i % 3),
  count: 12,
  width: 6,
  classes: 3,
};
const base: TrainOptions = { network: [6, 4, 3], data: { train: dataset }, batchSize: 5, updates: 4 };
const langevin = { kind: "sgld", steps: 3, stepSize: 0.04 } as const;
const descent = { kind: "robbins-monro", samples: 2, steps: 3, stepSize: power(0.1, 0.5) } as const;
const sgd = { objective: { kind: "loss" }, optimizer: { kind: "gradient-descent", rate: 0.1 } } as const;

const check = (more: object = {}) => checkTrainOptions({ ...base, ...more });

/** The sentence that `work` throws. */
function sentence(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(OptionError);
    return (error as Error).message;
  }
  throw new Error("Nothing was refused");
}

describe("defaults", () => {
  const checked = check();
  test("local entropy at 0.01 by 1,000 antithetic samples, Adam with cosine rate and decay 0.05", () => {
    expect(checked.network).toEqual({ layers: [6, 4, 3], activation: "relu" });
    expect(checked.loss).toEqual({ kind: "cross-entropy" });
    expect(checked.estimator).toEqual({
      kind: "importance-sampling",
      coupling: { kind: "antithetic", samples: 1000 },
      temperature: 1,
      rowwise: false,
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
    expect(train.inputs).toBe(dataset.inputs);
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

describe("each wrong option of train", () => {
  const entropy = (estimator: object) => ({ objective: { kind: "local-entropy", estimator } });
  const importance = (coupling: object) => entropy({ kind: "importance-sampling", coupling });
  const changed = (change: object) => ({ data: { train: { ...dataset, ...change } } });
  const at = <Type extends Uint8Array | Float32Array>(array: Type, i: number, value: number) => {
    const copy = array.slice() as Type;
    copy[i] = value;
    return copy;
  };
  const detached = () => {
    const inputs = new Uint8Array(72);
    structuredClone(inputs, { transfer: [inputs.buffer] });
    return inputs;
  };
  const cases: [string, object, string][] = [
    ["a misspelt key", { batchsize: 3 }, "Unknown option train.batchsize; did you mean batchSize?"],
    [
      "a misspelt key within",
      { ...sgd, optimizer: { kind: "adam", rate: 1, weightdecay: 1 } },
      "Unknown option train.optimizer.weightdecay; did you mean weightDecay?",
    ],
    [
      "a key of another kind",
      { ...sgd, optimizer: { kind: "gradient-descent", rate: 1, beta1: 1 } },
      "Unknown option train.optimizer.beta1; allowed are kind, rate",
    ],
    [
      "no updates",
      { updates: undefined },
      "Expected an integer 1 … 4294967296 for train.updates but received undefined",
    ],
    ["updates", { updates: 2.5 }, "Expected an integer 1 … 4294967296 for train.updates but received 2.5"],
    [
      "seed",
      { seed: -1 },
      "Expected an integer 0 … 2^53 - 1, or a bigint 0n … 2n ** 64n - 1n, for train.seed but received -1",
    ],
    [
      "wide seed",
      { seed: 2n ** 64n },
      "Expected an integer 0 … 2^53 - 1, or a bigint 0n … 2n ** 64n - 1n, for train.seed but received 18446744073709551616n",
    ],
    ["threads", { threads: 0 }, "Expected an integer 1 … 1024 for train.threads but received 0"],
    [
      "backend",
      { backend: "gpu" },
      'Expected "auto", "cuda", "native", "wasm" or "reference" for train.backend but received "gpu"',
    ],
    ["signal", { signal: {} }, "Expected an AbortSignal for train.signal but received an object"],
    [
      "network",
      { network: "784-10" },
      'Expected an array of widths, or { layers, activation }, for train.network but received "784-10"; for example [784, 200, 10]',
    ],
    [
      "one width",
      { network: [6] },
      "Expected at least two widths for train.network but received an array of length 1",
    ],
    [
      "width 0",
      { network: { layers: [6, 0, 3] } },
      "Expected an integer 1 … 16777216 for train.network.layers[1] but received 0",
    ],
    ["one class", { network: [6, 1] }, "Expected an integer 2 … 65536 for train.network[1] but received 1"],
    [
      "size",
      { network: [6, 2 ** 24, 2 ** 16] },
      "Expected at most 1073741824 parameters in all for train.network but received 1099629133824; use smaller widths",
    ],
    [
      "activation",
      { network: { layers: [6, 3], activation: "sigmoid" } },
      'Expected "relu", "tanh" or "step" for train.network.activation but received "sigmoid"',
    ],
    [
      "loss",
      { loss: "hinge" },
      'Expected "cross-entropy", "zero-one" or { kind: "cost-matrix", costs } for train.loss but received "hinge"',
    ],
    [
      "costs' rows",
      { loss: { kind: "cost-matrix", costs: [[0]] } },
      "Expected 3 rows, one a class, for train.loss.costs but received an array of length 1",
    ],
    [
      "costs' columns",
      {
        loss: {
          kind: "cost-matrix",
          costs: [
            [0, 1, 1],
            [1, 0],
            [1, 1, 0],
          ],
        },
      },
      "Expected an array of 3 numbers for train.loss.costs[1] but received an array of length 2",
    ],
    [
      "costs' values",
      {
        loss: {
          kind: "cost-matrix",
          costs: [
            [0, 1, Number.NaN],
            [1, 0, 1],
            [1, 1, 0],
          ],
        },
      },
      "Expected a finite number for train.loss.costs[0][2] but received NaN",
    ],
    [
      "no data",
      { data: undefined },
      "Expected an object with train, test, validation for train.data but received undefined",
    ],
    [
      "no training data",
      { data: {} },
      "Expected an object with inputs, labels, count, width, classes for train.data.train but received undefined",
    ],
    [
      "plain inputs",
      changed({ inputs: [1, 2] }),
      "Expected a Uint8Array or Float32Array for train.data.train.inputs but received an array of length 2",
    ],
    [
      "count",
      changed({ count: 11 }),
      "Expected a Uint8Array or Uint16Array of length 11 for train.data.train.labels but received Uint8Array of length 12",
    ],
    [
      "inputs' length",
      changed({ inputs: new Uint8Array(71) }),
      "Expected 12 × 6 = 72 numbers for train.data.train.inputs but received Uint8Array of length 71; a row has the network's 6 inputs",
    ],
    [
      "detached inputs",
      changed({ inputs: detached() }),
      "Expected a Uint8Array or Float32Array for train.data.train.inputs but received one whose buffer was transferred away; pass a copy of it",
    ],
    [
      "NaN input",
      changed({ inputs: at(new Float32Array(72), 21, Number.NaN) }),
      "Expected a finite number for train.data.train.inputs[21] but received NaN; row 3, column 3",
    ],
    [
      "label",
      changed({ labels: at(new Uint8Array(12), 7, 3) }),
      "Expected an integer 0 … 2 for train.data.train.labels[7] but received 3; row 7 has a class that the network, of 3 classes, lacks",
    ],
    [
      "label of the test rows",
      { data: { train: dataset, test: { ...dataset, labels: at(new Uint8Array(12), 2, 9) } } },
      "Expected an integer 0 … 2 for train.data.test.labels[2] but received 9; row 2 has a class that the network, of 3 classes, lacks",
    ],
    [
      "width",
      { network: [5, 3] },
      "Expected 5 for train.data.train.width but received 6; the network's first width is 5: change one of them",
    ],
    [
      "classes",
      { network: [6, 4] },
      "Expected 4 for train.data.train.classes but received 3; the network's last width is 4: change one of them",
    ],
    [
      "B > N",
      { batchSize: 13 },
      "Expected an integer 1 … 12 for train.batchSize but received 13; the training data has 12 rows",
    ],
    [
      "parameters' type",
      { parameters: [1] },
      "Expected a Float32Array or Float64Array of length 43 for train.parameters but received an array of length 1",
    ],
    [
      "parameters' length",
      { parameters: new Float32Array(42) },
      "Expected a Float32Array or Float64Array of length 43 for train.parameters but received Float32Array of length 42",
    ],
    [
      "parameters' values",
      { parameters: at(new Float32Array(43), 5, Number.POSITIVE_INFINITY) },
      "Expected a finite number for train.parameters[5] but received Infinity",
    ],
    [
      "objective",
      { objective: { kind: "entropy" } },
      'Expected "local-entropy", "heat" or "loss" for train.objective.kind but received "entropy"',
    ],
    [
      "estimator of the other",
      { objective: { kind: "local-entropy", estimator: descent } },
      'Expected "importance-sampling" or "sgld" for train.objective.estimator.kind but received "robbins-monro"',
    ],
    [
      "no estimator of heat",
      { objective: { kind: "heat" } },
      'Expected "robbins-monro" ("evolution-strategies" is not in this build) for train.objective.estimator but received undefined',
    ],
    [
      "evolution strategies",
      { objective: { kind: "heat", estimator: { kind: "evolution-strategies" } } },
      'Expected "robbins-monro" ("evolution-strategies" is not in this build) for train.objective.estimator.kind but received "evolution-strategies"',
    ],
    [
      "walsh",
      importance({ kind: "walsh", blocks: 2 }),
      'Expected "independent" or "antithetic" ("walsh" is not in this build) for train.objective.estimator.coupling.kind but received "walsh"',
    ],
    [
      "rowwise",
      entropy({ kind: "importance-sampling", rowwise: true }),
      "Expected false (the row split, true, is not in this build) for train.objective.estimator.rowwise but received true",
    ],
    [
      "odd pairs",
      importance({ kind: "antithetic", samples: 7 }),
      "Expected an even integer 2 … 2147483648 for train.objective.estimator.coupling.samples but received 7",
    ],
    [
      "sampled and centred",
      importance({ kind: "independent", samples: 4, complement: "sample", centred: true }),
      'Expected false where complement is "sample" (Algorithm 4 has raw weights) for train.objective.estimator.coupling.centred but received true',
    ],
    [
      "one centred sample",
      importance({ kind: "independent", samples: 1 }),
      "Expected an integer 2 … 2147483648 where weights are centred for train.objective.estimator.coupling.samples but received 1",
    ],
    [
      "temperature",
      entropy({ kind: "importance-sampling", temperature: 0 }),
      "Expected a finite number above 0 for train.objective.estimator.temperature but received 0",
    ],
    [
      "one chain step",
      entropy({ ...langevin, steps: 1 }),
      "Expected an integer 2 … 16777216 for train.objective.estimator.steps but received 1",
    ],
    [
      "no step size",
      entropy({ kind: "sgld", steps: 2 }),
      "Expected a number or a schedule for train.objective.estimator.stepSize but received undefined",
    ],
    [
      "step size's sign",
      entropy({ ...langevin, stepSize: (j: number) => 2 - j }),
      "Expected a finite number above 0 for train.objective.estimator.stepSize at j = 2 but received 0",
    ],
    [
      "too many gradients",
      { objective: { kind: "heat", estimator: { ...descent, samples: 2 ** 31 } } },
      "Expected at most 2^32 samples × steps for train.objective.estimator.samples but received 2147483648; each of them has its own 32-bit index of random numbers",
    ],
    [
      "tau",
      { objective: { kind: "local-entropy", tau: (k: number) => 1 / (k - 2) } },
      "Expected a finite number above 0 for train.objective.tau at k = 0 but received -0.5",
    ],
    [
      "rate",
      { optimizer: { kind: "adam", rate: (k: number) => 2 - k } },
      "Expected a finite number 0 or more for train.optimizer.rate at k = 3 but received -1",
    ],
    [
      "beta",
      { optimizer: { kind: "adam", rate: 1, beta2: 1 } },
      "Expected a number from 0 to below 1 for train.optimizer.beta2 but received 1",
    ],
    [
      "optimizer",
      { optimizer: { kind: "sgd" } },
      'Expected "shift", "gradient-descent", "momentum" or "adam" for train.optimizer.kind but received "sgd"',
    ],
    [
      "loss without a rate",
      { objective: { kind: "loss" } },
      'Expected an optimizer with a rate for train.optimizer but received undefined; the objective "loss" has no default, since a good rate depends on the problem: for example { kind: "gradient-descent", rate: 0.01 }',
    ],
    [
      "shifting the loss",
      { ...sgd, optimizer: { kind: "shift" } },
      'Expected "gradient-descent", "momentum" or "adam" for train.optimizer.kind but received "shift"; the objective "loss" has no mean to shift to',
    ],
    [
      "step units in SGLD",
      { ...entropy(langevin), network: { layers: [6, 4, 3], activation: "step" } },
      'Expected "relu" or "tanh" for train.network.activation but received "step"; the estimator "sgld" needs gradients: use the estimator "importance-sampling", which does not',
    ],
    [
      "zero-one in heat",
      { objective: { kind: "heat", estimator: descent }, loss: "zero-one" },
      'Expected "cross-entropy" for train.loss but received a loss without a gradient (zero-one or a cost matrix); the estimator "robbins-monro" needs gradients: use the estimator "importance-sampling", which does not',
    ],
    [
      "zero-one in SGD",
      { ...sgd, loss: "zero-one" },
      'Expected "cross-entropy" for train.loss but received a loss without a gradient (zero-one or a cost matrix); the objective "loss" needs gradients: use the estimator "importance-sampling", which does not',
    ],
  ];
  test.each(cases)("%s", (_what, options, message) => {
    expect(sentence(() => check(options))).toBe(message);
  });
  test("no options at all", () => {
    expect(sentence(() => checkTrainOptions(undefined))).toMatch(
      /^Expected an object with network, data, .* for train but received undefined$/,
    );
  });
  test.each([
    ["network", "an array of widths, or { layers, activation },"],
    ["data", "an object with train, test, validation"],
    ["updates", "an integer 1 … 4294967296"],
  ])("%s is required", (key, range) => {
    const { [key as "network"]: _, ...rest } = base;
    expect(sentence(() => checkTrainOptions(rest))).toContain(
      `Expected ${range} for train.${key} but received undefined`,
    );
  });
  test("step units and zero-one are fine with importance sampling", () => {
    const { network, loss } = check({ network: { layers: [6, 4, 3], activation: "step" }, loss: "zero-one" });
    expect([network.activation, loss.kind]).toEqual(["step", "cost-matrix"]);
  });
});

describe("fingerprint and resuming", () => {
  const print = (more: object = {}) => check(more).fingerprint;
  test("options that shape the numbers change it, others do not", () => {
    const importance = (more: object) => ({
      objective: { kind: "local-entropy", estimator: { kind: "importance-sampling", ...more } },
    });
    const pixels = dataset.inputs.slice();
    pixels[71] ^= 1;
    const shaping: object[] = [
      {},
      { network: { layers: [6, 4, 3], activation: "tanh" } },
      { loss: "zero-one" },
      { objective: { kind: "local-entropy", tau: 0.02 } },
      importance({ temperature: 2 }),
      importance({ projection: "off" }),
      importance({ noise: "standard-deviation" }),
      importance({ coupling: { kind: "antithetic", samples: 998 } }),
      { objective: { kind: "local-entropy", estimator: langevin } },
      { objective: { kind: "local-entropy", estimator: { ...langevin, stepSize: 0.05 } } },
      { optimizer: { kind: "adam", rate: 1e-3 } },
      { optimizer: { kind: "adam", rate: (k: number) => (k === 3 ? 2e-3 : 1e-3) } },
      { batchSize: 4 },
      { updates: 5 },
      { seed: 2 },
      { data: { train: { ...dataset, inputs: pixels } } },
      { data: { train: { ...dataset, labels: dataset.labels.slice().reverse() } } },
    ];
    expect(new Set(shaping.map(print)).size).toBe(shaping.length);
    const same: object[] = [
      { threads: 3 },
      { backend: "reference" },
      { recordEvery: 1, evaluateEvery: 2 },
      { data: { train: dataset, test: dataset } },
      { objective: { kind: "local-entropy", tau: () => 0.01 } },
      { seed: 1n },
    ];
    expect(new Set([print(), ...same.map(print)]).size).toBe(1);
  });

  const vector = (value: number, length = 43) => new Float32Array(length).fill(value);
  const resume: Resume = {
    update: 2,
    fingerprint: print(),
    parameters: vector(1),
    moments: [vector(2), vector(3)],
    chain: null,
    pending: [1, 2],
    backend: "native",
    instructionSet: "avx2",
    seconds: 1.5,
  };
  test("the run goes on from the state that is given", () => {
    const checked = check({ resume });
    expect(checked.state).toEqual({ parameters: vector(1), moments: [vector(2), vector(3)], chain: null });
    expect(checked.resume).toEqual(resume);
    expect(check({ resume: { ...resume, update: 4, chain: vector(4) } }).state.chain).toEqual(vector(4));
  });
  const cases: [string, object, string][] = [
    [
      "other options",
      { seed: 2, resume },
      `Expected the fingerprint ${print({ seed: 2 }).slice(0, 12)} of these options for train.resume.fingerprint but received "${print().slice(0, 12)}"; network, loss, data, objective, optimizer, batchSize, updates and seed must be those of the first run`,
    ],
    [
      "beyond the end",
      { resume: { ...resume, update: 5 } },
      "Expected an integer 0 … 4 for train.resume.update but received 5",
    ],
    [
      "moments",
      { resume: { ...resume, moments: [vector(1)] } },
      "Expected 2 vectors for train.resume.moments but received an array of length 1",
    ],
    [
      "a moment",
      { resume: { ...resume, moments: [vector(1), vector(1, 42)] } },
      "Expected a Float32Array or Float64Array of length 43 for train.resume.moments[1] but received Float32Array of length 42",
    ],
    [
      "the chain",
      { resume: { ...resume, chain: vector(Number.NaN) } },
      "Expected a finite number for train.resume.chain[0] but received NaN",
    ],
    [
      "pending",
      { resume: { ...resume, pending: [Number.NaN] } },
      "Expected an array of finite numbers for train.resume.pending but received an array of length 1",
    ],
    [
      "not a checkpoint",
      { resume: "runs/1" },
      'Expected an object with update, fingerprint, parameters, moments, chain, pending, backend, instructionSet, seconds for train.resume but received "runs/1"',
    ],
  ];
  test.each(cases)("refuses %s", (_what, options, message) => {
    expect(sentence(() => check(options))).toBe(message);
  });
});

describe("minimize", () => {
  const loss = { dimension: 2, value: (x: Float64Array) => x[0] ** 2 + x[1] ** 2 };
  const smooth = { ...loss, gradient: (x: Float64Array) => x.map((v) => 2 * v) };
  const minimal = { loss, start: [1, -1], updates: 3 };
  const minimize = (more: object = {}) => checkMinimizeOptions({ ...minimal, ...more });

  test("importance sampling and the shift by default, in float64, never projected", () => {
    const { estimator, optimizer, planValues, state, key } = minimize();
    expect(estimator).toEqual({
      kind: "importance-sampling",
      coupling: { kind: "antithetic", samples: 1000 },
      temperature: 1,
      rowwise: false,
      projected: false,
    });
    expect(optimizer).toEqual({ kind: "gradient-descent" });
    expect([...planValues(0, 3).rate]).toEqual([0.01, 0.01, 0.01]);
    expect(state).toEqual({ parameters: Float64Array.of(1, -1), moments: [], chain: null });
    expect(key).toEqual([1, 0]);
  });
  test("chains with a gradient, one batch and no projection", () => {
    const objective = { kind: "local-entropy", tau: 0.5, estimator: langevin };
    const checked = minimize({ loss: smooth, objective });
    expect(checked.estimator).toMatchObject({ kind: "sgld", batches: 1, projected: false });
    expect(checked.description).toMatchObject({ loss: { dimension: 2, gradient: true }, start: [1, -1] });
    expect(checked.loss.gradient).toBe(smooth.gradient);
  });
  const needed = (who: string) =>
    `Expected a function for minimize.loss.gradient but received undefined; ${who} needs it: give gradient(x), or use the estimator "importance-sampling"`;
  const cases: [string, object, string][] = [
    [
      "sgld without a gradient",
      { objective: { kind: "local-entropy", estimator: langevin } },
      needed('the estimator "sgld"'),
    ],
    [
      "robbins-monro without a gradient",
      { objective: { kind: "heat", estimator: descent } },
      needed('the estimator "robbins-monro"'),
    ],
    ["loss without a gradient", sgd, needed('the objective "loss"')],
    [
      "loss without a rate",
      { loss: smooth, objective: { kind: "loss" } },
      'Expected an optimizer with a rate for minimize.optimizer but received undefined; the objective "loss" has no default, since a good rate depends on the problem: for example { kind: "gradient-descent", rate: 0.01 }',
    ],
    [
      "start's length",
      { start: [1] },
      "Expected an array of 2 numbers for minimize.start but received an array of length 1",
    ],
    [
      "start's values",
      { start: [1, Number.NaN] },
      "Expected a finite number for minimize.start[1] but received NaN",
    ],
    [
      "value",
      { loss: { dimension: 2, value: 3 } },
      "Expected a function for minimize.loss.value but received 3",
    ],
    [
      "dimension",
      { loss: { dimension: 0, value: loss.value } },
      "Expected an integer 1 … 1073741824 for minimize.loss.dimension but received 0",
    ],
    [
      "what minibatches have",
      {
        loss: smooth,
        objective: { kind: "local-entropy", estimator: { ...langevin, minibatch: "per-step" } },
      },
      "Unknown option minimize.objective.estimator.minibatch; allowed are kind, steps, stepSize, chainStart, noise",
    ],
    [
      "tau",
      { objective: { kind: "local-entropy", tau: (k: number) => 1 - k } },
      "Expected a finite number above 0 for minimize.objective.tau at k = 1 but received 0",
    ],
  ];
  test.each(cases)("refuses %s", (_what, options, message) => {
    expect(sentence(() => minimize(options))).toBe(message);
  });
});
