/**
 * The operations' inputs: what right ones become at the seam, and the sentence of each wrong one.
 */
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "@jest/globals";
import { checkOperation, checkOut, type OperationInputs } from "../../src/options/operations.ts";
import { sentence } from "../support/option-fixtures.ts";

// 6-4-3 has 43 parameters; four rows.
const network = [6, 4, 3];
const parameters = Float32Array.from({ length: 43 }, (_, i) => i / 43);
const rows = (count: number) => ({
  inputs: Float32Array.from({ length: 6 * count }, (_, i) => i / 7),
  labels: Uint8Array.from({ length: count }, (_, i) => i % 3),
});
const batch = rows(4);
const seen = { inputs: batch.inputs, labels: Uint16Array.from(batch.labels) };
const located = { network, parameters };
const place = { network: { layers: network, activation: "relu" }, parameters, signal: undefined };
const loss = { kind: "cross-entropy" };
const key = [1, 0];

describe("right inputs", () => {
  test("gaussian: streams by name and number", () => {
    const stream = (name: string | number) => checkOperation("gaussian", { stream: name, count: 3 }).stream;
    expect(checkOperation("gaussian", { stream: "complement", count: 3 })).toEqual({
      key,
      stream: 2,
      update: 0,
      sample: 0,
      count: 3,
      signal: undefined,
    });
    expect(["minibatch-order", "initialization", "layer-1", "layer-12", 7].map(stream)).toEqual([
      0, 1, 16, 27, 7,
    ]);
    expect(
      checkOperation("gaussian", { stream: 0, count: 0, seed: 2n ** 32n, update: 5, sample: 6 }),
    ).toMatchObject({
      key: [0, 1],
      update: 5,
      sample: 6,
      count: 0,
    });
  });
  test("loss, gradient, predict, accuracy", () => {
    expect(checkOperation("loss", { ...located, batch })).toEqual({ ...place, loss, batch: seen });
    expect(checkOperation("gradient", { ...located, batch })).toEqual({ ...place, loss, batch: seen });
    expect(checkOperation("predict", { ...located, inputs: batch.inputs })).toEqual({
      ...place,
      loss: { kind: "cross-entropy" },
      inputs: batch.inputs,
    });
    expect(checkOperation("accuracy", { ...located, data: batch })).toEqual({ ...place, batch: seen });
    expect(checkOperation("loss", { ...located, batch, loss: "zero-one" }).loss.kind).toBe("cost-matrix");
  });
  test("arrays of another realm pass for what they are", () => {
    const [inputs, labels, parameters, out] = runInNewContext(
      "[new Uint8Array(24), new Uint16Array(4), new Float32Array(43), new Float64Array(2)]",
    );
    expect(inputs).not.toBeInstanceOf(Uint8Array);
    const checked = checkOperation("loss", { network, parameters, batch: { inputs, labels } });
    expect(checked.parameters).toBe(parameters);
    expect(checked.batch.inputs).toBe(inputs);
    expect(checked.batch.labels).toBe(labels);
    expect(checkOut("out", out, 2)).toBe(out);
    const chain = { ...located, batch, tau: 1, stepSizes: out.fill(1) };
    expect(checkOperation("sgld", chain).stepSizes).toEqual(Float64Array.of(1, 1));
  });
  test("weights and importance sampling", () => {
    const sampling = { ...located, batch, tau: 0.25 };
    const expected = {
      ...place,
      loss,
      batch: seen,
      key,
      update: 0,
      tau: 0.25,
      noiseScale: 0.5,
      coupling: { kind: "walsh", blocks: 2 },
      temperature: 1,
      rowwise: true,
      projected: true,
    };
    expect(checkOperation("weights", sampling)).toEqual(expected);
    expect(checkOperation("importanceSampling", { ...sampling, projection: "off", noiseScale: 0.3 })).toEqual(
      {
        ...expected,
        tau: 0.09, // of the samples' own variance
        noiseScale: 0.3,
        projected: false,
      },
    );
    const projected = (count: number) =>
      checkOperation("weights", { ...sampling, batch: rows(count) }).projected;
    expect([6, 7].map(projected)).toEqual([true, false]);
  });
  test("sgld: one batch, or one for each of J − 1 transitions", () => {
    const chain = { ...located, tau: 0.5, stepSizes: [0.25, 0.16, 0.09] };
    const one = checkOperation("sgld", { ...chain, batch });
    expect(one).toEqual({
      ...place,
      loss,
      batches: [seen],
      key,
      update: 0,
      tau: 0.5,
      stepSizes: Float64Array.of(0.25, 0.16, 0.09),
      noiseScales: Float64Array.of(0.5, 0.4, 0.3),
      start: parameters,
      projected: true,
    });
    const start = parameters.slice().reverse();
    const two = checkOperation("sgld", { ...chain, batches: [batch, batch], start, noiseScales: [0, 1, 2] });
    expect(two.batches).toEqual([seen, seen]);
    expect([two.projected, two.start, two.noiseScales]).toEqual([false, start, Float64Array.of(0, 1, 2)]);
  });
  test("robbinsMonro: one batch, or one for each of J transitions", () => {
    const chain = { ...located, tau: 0.25, stepSizes: Float32Array.of(0.5, 0.25), samples: 3 };
    expect(checkOperation("robbinsMonro", { ...chain, batch })).toMatchObject({
      samples: 3,
      noiseScale: 0.5,
      stepSizes: Float64Array.of(0.5, 0.25),
      projected: true,
    });
    const two = checkOperation("robbinsMonro", { ...chain, batches: [batch, batch], noiseScale: 0.25 });
    expect([two.batches.length, two.projected, two.noiseScale]).toEqual([2, false, 0.25]);
  });
  test("step: zeros for a state that is not given", () => {
    const gradient = parameters;
    const adam = checkOperation("step", { optimizer: { kind: "adam" }, rate: 0.1, parameters, gradient });
    expect(adam.optimizer).toEqual({ kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 });
    expect(adam.moments).toEqual([new Float64Array(43), new Float64Array(43)]);
    expect(adam.index).toBe(1);
    const plain = { optimizer: { kind: "gradient-descent" }, rate: 0.1, parameters, gradient };
    expect(checkOperation("step", plain).moments).toEqual([]);
  });
  test("hessianProduct and hessianEigenvalues", () => {
    const vector = parameters.slice().reverse();
    const point = { ...place, batch: seen };
    expect(checkOperation("hessianProduct", { ...located, batch, vector })).toEqual({ ...point, vector });
    const wanted = (options: object) =>
      checkOperation("hessianEigenvalues", { ...located, batch, ...options });
    const defaults = { ...point, largest: 1, smallest: 0, tolerance: 1e-3, key };
    expect(wanted({})).toEqual({ ...defaults, products: 43 });
    expect(wanted({ largest: 0, smallest: 2, products: 7, tolerance: 1e-6, seed: 9 })).toEqual({
      ...{ ...defaults, largest: 0, smallest: 2, products: 7, tolerance: 1e-6, key: [9, 0] },
    });
    const wide = { network: [40, 4, 3], parameters: new Float32Array(179) };
    const many = (largest: number) =>
      checkOperation("hessianEigenvalues", {
        ...{ ...wide, largest },
        batch: { inputs: new Uint8Array(40), labels: Uint8Array.of(1) },
      }).products;
    expect([1, 60, 179].map(many)).toEqual([100, 120, 179]);
  });
  test("openBackend: the machine's cores unless given", () => {
    expect(checkOperation("openBackend", { threads: 3 })).toEqual({ backend: "auto", threads: 3 });
    expect(checkOperation("openBackend", { threads: undefined }).threads).toBeGreaterThan(0);
  });
});

describe("wrong inputs", () => {
  const chain = { ...located, tau: 0.5, stepSizes: [0.2, 0.1], batch };
  const step = { optimizer: { kind: "momentum" }, rate: 0.1, parameters, gradient: parameters };
  const cases: [keyof OperationInputs, object, string][] = [
    [
      "gaussian",
      { stream: "layer-0", count: 1 },
      'Expected "minibatch-order", "initialization", "complement", "table-split", "eigenvectors" or "layer-1" (and so on), or a stream\'s number, for gaussian.stream but received "layer-0"',
    ],
    [
      "gaussian",
      { stream: -1, count: 1 },
      "Expected an integer 0 … 4294967295 for gaussian.stream but received -1",
    ],
    ["gaussian", { stream: 1, count: 1, sampel: 2 }, "Unknown option gaussian.sampel; did you mean sample?"],
    [
      "loss",
      { parameters, batch },
      "Expected an array of widths, or { layers, activation }, for loss.network but received undefined; for example [784, 200, 10]",
    ],
    [
      "loss",
      { network, batch },
      "Expected a Float32Array or Float64Array of length 43 for loss.parameters but received undefined",
    ],
    [
      "loss",
      located,
      "Expected an object with inputs, labels, count, width, classes for loss.batch but received undefined",
    ],
    [
      "loss",
      { ...located, batch: { ...batch, labels: Uint8Array.of(0, 1, 3, 0) } },
      "Expected an integer 0 … 2 for loss.batch.labels[2] but received 3; row 2 has a class that the network, of 3 classes, lacks",
    ],
    [
      "loss",
      { ...located, batch: { ...batch, labels: new Uint8Array(0) } },
      "Expected at least one row for loss.batch.labels but received Uint8Array of length 0",
    ],
    [
      "gradient",
      { ...located, batch, loss: "zero-one" },
      'Expected "cross-entropy" for gradient.loss but received a loss without a gradient (zero-one or a cost matrix); this operation needs gradients: use the estimator "importance-sampling", which does not',
    ],
    [
      "predict",
      { ...located, inputs: new Float32Array(13) },
      "Expected a multiple of 6 numbers for predict.inputs but received Float32Array of length 13; a row has the network's 6 inputs",
    ],
    [
      "accuracy",
      { ...located, data: { ...batch, labels: [1] } },
      "Expected a Uint8Array or Uint16Array for accuracy.data.labels but received an array of length 1; Uint8Array.from(labels) makes it one",
    ],
    [
      "weights",
      { ...located, batch, tau: 0 },
      "Expected a finite number above 0 for weights.tau but received 0",
    ],
    [
      "weights",
      { ...located, batch, tau: 1, coupling: { kind: "hadamard", blocks: 1 } },
      'Expected "walsh", "antithetic" or "independent" for weights.coupling.kind but received "hadamard"',
    ],
    [
      "importanceSampling",
      { ...located, batch, tau: 1, rowwise: "yes" },
      'Expected true or false for importanceSampling.rowwise but received "yes"',
    ],
    [
      "evolutionStrategies",
      { ...located, batch, tau: 1, temperature: 2 },
      "Unknown option evolutionStrategies.temperature; allowed are network, parameters, signal, loss, batch, seed, update, tau, noiseScale, coupling, projection, rowwise, losses",
    ],
    [
      "sgld",
      { ...chain, stepSizes: [0.1] },
      "Expected at least 2 step sizes for sgld.stepSizes but received an array of length 1",
    ],
    [
      "sgld",
      { ...chain, stepSizes: [0.1, 0] },
      "Expected a finite number above 0 for sgld.stepSizes[1] but received 0",
    ],
    [
      "sgld",
      { ...chain, stepSizes: ["0.1", 1] },
      'Expected a finite number for sgld.stepSizes[0] but received "0.1"',
    ],
    [
      "sgld",
      { ...chain, noiseScales: [1] },
      "Expected an array of 2 numbers for sgld.noiseScales but received an array of length 1",
    ],
    [
      "sgld",
      { ...chain, noiseScales: [1, -1] },
      "Expected a finite number, 0 or more, for sgld.noiseScales[1] but received -1",
    ],
    [
      "sgld",
      { ...chain, start: new Float32Array(2) },
      "Expected a Float32Array or Float64Array of length 43 for sgld.start but received Float32Array of length 2",
    ],
    ["sgld", { ...chain, batches: [batch] }, "Expected either batch or batches for sgld but received both"],
    [
      "robbinsMonro",
      { ...chain, batch: undefined, samples: 1 },
      "Expected either batch or batches for robbinsMonro but received neither",
    ],
    [
      "robbinsMonro",
      { ...chain, batch: undefined, batches: [batch, batch, batch], samples: 1 },
      "Expected 1 or 2 batches, one a transition, for robbinsMonro.batches but received an array of length 3",
    ],
    [
      "robbinsMonro",
      { ...chain, batch: undefined, batches: [batch, rows(3)], samples: 1 },
      "Expected 4 rows, as in the first batch, for robbinsMonro.batches[1].labels but received Uint16Array of length 3",
    ],
    [
      "robbinsMonro",
      { ...chain, samples: 0 },
      "Expected an integer 1 … 2147483648 for robbinsMonro.samples but received 0",
    ],
    [
      "robbinsMonro",
      { ...chain, samples: 2 ** 31, stepSizes: [1, 1, 1] },
      "Expected at most 2^32 samples × steps for robbinsMonro.samples but received 2147483648; each of them has its own 32-bit index of random numbers",
    ],
    [
      "step",
      { ...step, optimizer: { kind: "shift" } },
      'Expected "gradient-descent", "momentum" or "adam", its rate beside it, for step.optimizer.kind but received "shift"',
    ],
    [
      "step",
      { ...step, optimizer: { kind: "momentum", rate: 1 } },
      "Unknown option step.optimizer.rate; allowed are kind, momentum",
    ],
    [
      "step",
      { ...step, state: [] },
      "Expected 1 vector for step.state but received an array of length 0; momentum carries so many",
    ],
    [
      "step",
      { ...step, gradient: new Float32Array(3) },
      "Expected a Float32Array or Float64Array of length 43 for step.gradient but received Float32Array of length 3",
    ],
    [
      "step",
      { ...step, rate: Number.NaN },
      "Expected a finite number, 0 or more, for step.rate but received NaN",
    ],
    [
      "hessianProduct",
      { ...located, batch },
      "Expected a Float32Array or Float64Array of length 43 for hessianProduct.vector but received undefined",
    ],
    [
      "hessianProduct",
      { ...located, batch, vector: parameters, network: { layers: network, activation: "step" } },
      'Expected "relu" or "tanh" for hessianProduct.network.activation but received "step"; this operation needs gradients: use the estimator "importance-sampling", which does not',
    ],
    [
      "hessianProduct",
      { ...located, batch, vector: parameters, loss: "zero-one" },
      'Expected "cross-entropy" for hessianProduct.loss but received a loss without a gradient (zero-one or a cost matrix); this operation needs gradients: use the estimator "importance-sampling", which does not',
    ],
    [
      "hessianProduct",
      { ...located, batch, vektor: parameters },
      "Unknown option hessianProduct.vektor; did you mean vector?",
    ],
    [
      "hessianEigenvalues",
      { ...located, batch, largest: 0 },
      "Expected 1 … 43 eigenvalues in all for hessianEigenvalues.largest and hessianEigenvalues.smallest but received 0; the network has so many parameters",
    ],
    [
      "hessianEigenvalues",
      { ...located, batch, largest: 40, smallest: 4 },
      "Expected 1 … 43 eigenvalues in all for hessianEigenvalues.largest and hessianEigenvalues.smallest but received 44; the network has so many parameters",
    ],
    [
      "hessianEigenvalues",
      { ...located, batch, largest: 4, products: 3 },
      "Expected an integer 4 … 43 for hessianEigenvalues.products but received 3; each product gives one eigenvalue at most",
    ],
    [
      "hessianEigenvalues",
      { ...located, batch, tolerance: 0 },
      "Expected a finite number above 0 for hessianEigenvalues.tolerance but received 0",
    ],
    [
      "openBackend",
      { threads: 1.5 },
      "Expected an integer 1 … 1024 for openBackend.threads but received 1.5",
    ],
  ];
  test.each(cases)("%s %#", (name, input, message) => {
    expect(sentence(() => checkOperation(name, input))).toBe(message);
  });
  test("out: length, kind, and whether it is still there", () => {
    expect(checkOut("gaussianInto.out", new Float64Array(3), 3)).toEqual(new Float64Array(3));
    const out = new Float32Array(3);
    expect(sentence(() => checkOut("gaussianInto.out", out, 4))).toBe(
      "Expected a Float32Array or Float64Array of length 4 for gaussianInto.out but received Float32Array of length 3",
    );
    structuredClone(out, { transfer: [out.buffer] });
    expect(sentence(() => checkOut("gaussianInto.out", out, 3))).toBe(
      "Expected a Float32Array or Float64Array of length 3 for gaussianInto.out but received one whose buffer was transferred away; pass a copy of it",
    );
  });
});
