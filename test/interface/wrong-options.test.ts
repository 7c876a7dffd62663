/**
 * Options of `train`: the sentence of each wrong one.
 */
import { describe, expect, test } from "@jest/globals";
import { checkTrainOptions } from "../../src/options/train.ts";
import { base, check, dataset, descent, langevin, sentence, sgd } from "../support/option-fixtures.ts";

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
    ["one class", { network: [6, 1] }, "Expected an integer 2 … 65535 for train.network[1] but received 1"],
    [
      "size",
      { network: [6, 2 ** 24, 2 ** 16 - 1] },
      "Expected at most 1073741824 parameters in all for train.network but received 1099612356607; use smaller widths",
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
      "Expected an object with train, test, validation, encoding for train.data but received undefined",
    ],
    [
      "no training data",
      { data: {} },
      "Expected an object with inputs, labels, count, width, classes for train.data.train but received undefined",
    ],
    [
      "plain inputs",
      changed({ inputs: [1, 2] }),
      "Expected a Uint8Array or Float32Array for train.data.train.inputs but received an array of length 2; Float32Array.from(inputs) makes it one",
    ],
    [
      "rows as inputs",
      changed({ inputs: [[1, 2], Float32Array.of(3, 4)] }),
      "Expected a Uint8Array or Float32Array for train.data.train.inputs but received an array of length 2; " +
        "Float32Array.from(inputs.flatMap((row) => [...row])) makes it one",
    ],
    [
      "inputs in double precision",
      changed({ inputs: new Float64Array(72) }),
      "Expected a Uint8Array or Float32Array for train.data.train.inputs but received Float64Array of length 72; Float32Array.from(inputs) makes it one",
    ],
    [
      "names as labels",
      changed({ labels: ["cat", "dog"] }),
      "Expected a Uint8Array or Uint16Array of length 12 for train.data.train.labels but received an array of length 2; " +
        "number the names: const names = [...new Set(labels)].sort(), Uint8Array.from(labels, (name) => names.indexOf(name)); or let table of local-entropy/table do it",
    ],
    [
      "an encoding that is none",
      { data: { train: dataset, encoding: { features: [] } } },
      "Expected what table found (its encoding) for train.data.encoding but received an object",
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
      "Expected a Float32Array or Float64Array of length 43 for train.parameters but received an array of length 1; Float32Array.from(parameters) makes it one",
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
      'Expected "robbins-monro" or "evolution-strategies" for train.objective.estimator but received undefined',
    ],
    [
      "evolution strategies with a temperature",
      { objective: { kind: "heat", estimator: { kind: "evolution-strategies", temperature: 2 } } },
      "Unknown option train.objective.estimator.temperature; allowed are kind, coupling, rowwise, noise, projection",
    ],
    [
      "walsh on a deeper network",
      { network: [6, 4, 4, 3], ...importance({ kind: "walsh", blocks: 2 }) },
      'Expected "antithetic" or "independent" for train.objective.estimator.coupling.kind but received "walsh"; Walsh blocks need at most one hidden layer, and this network has 2',
    ],
    [
      "no blocks",
      importance({ kind: "walsh", blocks: 0 }),
      "Expected an integer 1 … 1048576 for train.objective.estimator.coupling.blocks but received 0",
    ],
    [
      "rowwise with a sampled complement",
      entropy({
        kind: "importance-sampling",
        coupling: { kind: "independent", samples: 4, complement: "sample" },
        rowwise: true,
      }),
      'Expected "marginalize" with rowwise for train.objective.estimator.coupling.complement but received "sample"; the row split leaves the complement at its mean',
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
    ["data", "an object with train, test, validation, encoding"],
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
