/**
 * What a run's fingerprint depends on, and which states a run goes on from.
 */
import { describe, expect, test } from "@jest/globals";
import type { Resume } from "../../src/options/types.ts";
import { finish } from "../../src/reference/machine/work.ts";
import { check, dataset, langevin, sentence } from "../support/option-fixtures.ts";

describe("fingerprint and resuming", () => {
  const print = (more: object = {}) => finish(check(more).fingerprint);
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

  test("the default optimizer's keys stay in their order, which the fingerprint hashes", () => {
    expect(Object.keys(check().optimizer)).toEqual(["kind", "beta1", "beta2", "epsilon", "weightDecay"]);
  });

  const vector = (value: number, length = 43) => new Float32Array(length).fill(value);
  const resume: Resume = {
    update: 2,
    fingerprint: print(),
    parameters: vector(1),
    moments: [vector(2), vector(3)],
    chain: null,
    average: null,
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
      `Expected the fingerprint ${print({ seed: 2 }).slice(0, 12)} of these options for train.resume.fingerprint but received "${print().slice(0, 12)}"; network, loss, data, objective, optimizer, batchSize, updates, averaging and seed must be those of the first run`,
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
      "the average",
      { resume: { ...resume, average: vector(1, 42) } },
      "Expected a Float32Array or Float64Array of length 43 for train.resume.average but received Float32Array of length 42",
    ],
    [
      "pending",
      { resume: { ...resume, pending: [Number.NaN] } },
      "Expected an array of numbers, none of them NaN, for train.resume.pending but received an array of length 1",
    ],
    [
      "not a checkpoint",
      { resume: "runs/1" },
      'Expected an object with update, fingerprint, parameters, moments, chain, average, pending, backend, instructionSet, seconds for train.resume but received "runs/1"',
    ],
  ];
  test.each(cases)("refuses %s", (_what, options, message) => {
    expect(sentence(() => check(options))).toBe(message);
  });
});
