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
    expect(checked.changed).toEqual([]);
    const chained = { ...resume, update: 4, moments: [], chain: vector(4) };
    const objective = { kind: "local-entropy", estimator: langevin };
    expect(check({ objective, resume: chained }).state.chain).toEqual(vector(4));
    // Samples have no chain to go on with.
    expect(check({ resume: { ...chained, moments: resume.moments } }).state.chain).toBeNull();
  });

  const others: [object, string[]][] = [
    [{ updates: 9 }, ["updates", "rate"]],
    [{ updates: 9, objective: { kind: "local-entropy", tau: 0.02 } }, ["updates", "tau", "rate"]],
    [{ updates: 9, batchSize: 4 }, ["batchSize", "updates", "rate"]],
    [{ loss: "zero-one" }, ["loss"]],
    [{ objective: { kind: "local-entropy", tau: 0.02 } }, ["tau"]],
    [{ objective: { kind: "heat", estimator: { kind: "evolution-strategies" } } }, ["objective"]],
    [{ optimizer: { kind: "adam", rate: 1e-3, weightDecay: 0.01 } }, ["optimizer", "rate"]],
    [{ data: { train: { ...dataset, labels: dataset.labels.slice().reverse() } } }, ["data"]],
  ];
  test.each(others)("a run goes on under %j, and says what is another", (options, changed) => {
    const checked = check({ ...options, resume });
    expect(checked.changed).toEqual(changed);
    expect(checked.state.moments).toEqual(resume.moments);
  });
  const cases: [string, object, string][] = [
    ...(
      [
        ["seed", { seed: 2 }],
        ["averaging", { averaging: true }],
        ["network", { network: { layers: [6, 4, 3], activation: "tanh" } }],
      ] as const
    ).map(([name, options]): [string, object, string] => [
      `another ${name}`,
      { ...options, resume },
      `Expected train.${name} to be that of the run that is resumed, and it differs; a run goes on under the same network, averaging or seed: begin a new run where it ended, by \`parameters\` in place of \`resume\``,
    ]),
    [
      "what another version wrote",
      { resume: { ...resume, fingerprint: "f0f1" } },
      'Expected the fingerprint of a run of this version for train.resume.fingerprint but received "f0f1"; begin a new run where it ended, by `parameters` in place of `resume`',
    ],
    [
      "fewer updates than are done",
      { resume: { ...resume, update: 5 } },
      "Expected an integer from 5 for train.updates but received 4; so many are done; updates counts all, those before included",
    ],
    [
      "another kind of optimizer",
      { resume: { ...resume, moments: [vector(1)] } },
      'Expected the kind of the run that is resumed for train.optimizer.kind but received "adam"; it carries 2 vectors of moments where that run has 1: begin a new run where it ended, by `parameters` in place of `resume`',
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
