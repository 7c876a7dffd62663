/**
 * Data with targets, as users give it: options, operations, whole runs with their records, files and report.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { toOnnx } from "../../src/formats/index.ts";
import { errorsOf, rightSides } from "../../src/measures.ts";
import { Model } from "../../src/model.ts";
import { openBackend } from "../../src/operations.ts";
import { checkOperation } from "../../src/options/operations.ts";
import { checkTrainOptions } from "../../src/options/train.ts";
import type { LossOptions, TargetDataset, TrainOptions } from "../../src/options/types.ts";
import type { TrainRecord } from "../../src/run.ts";
import { load } from "../../src/runs/checkpoint.ts";
import { readRunFile } from "../../src/runs/folder.ts";
import { MetricsWriter, readMetrics } from "../../src/runs/metrics.ts";
import { writeReport } from "../../src/runs/report.ts";
import { train } from "../../src/train.ts";
import { normalVector } from "../support/fixtures.ts";
import { base, check, dataset, sentence } from "../support/option-fixtures.ts";

const parent = mkdtempSync(join(tmpdir(), "local-entropy-"));
afterAll(() => rmSync(parent, { recursive: true }));

/** y = sin 2x_0 + x_1/2, and its negative where there is a second output; noise of a tenth. */
function regression(number: number, count: number, outputs = 1): TargetDataset {
  const inputs = Float32Array.from(normalVector(number, count * 3));
  const noise = normalVector(number + 1, count * outputs);
  const targets = Float32Array.from(noise, (z, i) => {
    const at = 3 * Math.floor(i / outputs);
    const sign = i % outputs === 0 ? 1 : -1;
    return sign * (Math.sin(2 * inputs[at]) + inputs[at + 1] / 2) + 0.1 * z;
  });
  return { inputs, targets, count, width: 3, outputs };
}

const data = { train: regression(401, 200), test: regression(403, 80), validation: regression(405, 40) };
const options: TrainOptions = {
  network: [3, 8, 1],
  data,
  loss: "squared-error",
  optimizer: { kind: "adam", rate: 0.02 },
  batchSize: 16,
  updates: 150,
  recordEvery: 50,
};

const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);

async function recordsOf(run: AsyncIterable<TrainRecord>): Promise<TrainRecord[]> {
  const records: TrainRecord[] = [];
  for await (const record of run) records.push(record);
  return records;
}

describe("errors", () => {
  test("of two outputs, by hand", () => {
    const found = errorsOf(Float32Array.of(1, 10, 3, 10, 5, 13), Float32Array.of(1, 10, 2, 11, 6, 12), 2);
    expect(found.rootMeanSquareError).toBeCloseTo(Math.sqrt(4 / 6), 12);
    expect(found.meanAbsoluteError).toBeCloseTo(4 / 6, 12);
    // Targets 1, 2, 6 spread by 14 about 3, and 10, 11, 12 by 2 about 11; two is left of each.
    expect(found.rSquared).toBeCloseTo((1 - 2 / 14 + (1 - 2 / 2)) / 2, 12);
  });

  test("of targets that are all the same", () => {
    expect(errorsOf(Float32Array.of(2, 2), Float32Array.of(2, 2), 1).rSquared).toBe(1);
    expect(errorsOf(Float32Array.of(2, 3), Float32Array.of(2, 2), 1).rSquared).toBe(0);
    expect(errorsOf(Float32Array.of(2, Number.NaN), Float32Array.of(2, 2), 1).rSquared).toBeNaN();
  });

  test("the right side of a half, where NaN has none", () => {
    const outputs = Float32Array.of(0.2, 0.7, 0.5, 0.4, Number.NaN);
    expect(rightSides(outputs, Float32Array.of(0, 1, 1, 1, 0))).toBe(3 / 5);
  });
});

describe.each(BACKENDS)("a regression on %s", (backend) => {
  test("learns, tells its errors, and its result is what `errors` finds", async () => {
    const run = train({ ...options, backend, evaluateEvery: 75 });
    const records = await recordsOf(run);
    expect(records.map(({ testErrors }) => testErrors !== undefined)).toEqual([false, true, false, true]);
    expect(records.every(({ testAccuracy }) => testAccuracy === undefined)).toBe(true);
    const result = await run.result;
    expect(result.testAccuracy).toBeNull();
    expect(result.testErrors).toEqual(records.at(-1)!.testErrors);
    expect(result.validationErrors).toEqual(records.at(-1)!.validationErrors);
    expect(result.testErrors!.rSquared).toBeGreaterThan(0.6);
    const open = await openBackend(backend);
    const { network, parameters } = result;
    const { inputs, targets } = data.test;
    const found = await open.errors({ network, parameters, data: { inputs, targets } });
    for (const name of ["rootMeanSquareError", "meanAbsoluteError", "rSquared"] as const)
      expect(found[name]).toBeCloseTo(result.testErrors![name], 5);
    const { outputs } = await open.predict({ network, parameters, inputs, loss: "squared-error" });
    expect(errorsOf(outputs, targets, 1)).toEqual(found);
    const into = new Float32Array(80);
    expect(await open.predictInto({ network, parameters, inputs, loss: "squared-error" }, into)).toEqual({});
    expect([...into]).toEqual(Array.from(outputs, Math.fround));
    open.close();
  });

  test("goes on from its files to the bit, which tell its errors", async () => {
    const whole = await train({ ...options, backend }).result;
    const half = train({ ...options, backend });
    const directory = mkdtempSync(join(parent, "run-"));
    for await (const { update } of half) if (update === 50) break;
    await (await half.result).save(directory);
    const model = await load(directory);
    const { resume, network, predicts } = model;
    expect(network.layers).toEqual([3, 8, 1]);
    expect(predicts).toBe("numbers");
    await expect(model.predict([1, 2, 3])).rejects.toThrow("use model.outputs(rows)");
    expect(Model.fromBytes(model.toBytes()).predicts).toBe("numbers");
    expect(() => toOnnx(model)).toThrow("this model predicts numbers");
    const shown = await (await openBackend(backend)).predict({
      ...{ network, parameters: model.parameters, inputs: data.test.inputs, loss: "squared-error" as const },
    });
    expect((await model.outputs(data.test.inputs)).length).toBe(80);
    expect(Array.from(await model.outputs(data.test.inputs))[3]).toBeCloseTo(shown.outputs[3], 5);
    const result = await train({ ...options, backend, resume }).result;
    expect([...result.parameters]).toEqual([...whole.parameters]);
    await result.save(directory);
    expect((await readRunFile(directory))?.testErrors).toEqual(result.testErrors);
  });

  test("averaged, its errors are those of the average", async () => {
    const result = await train({ ...options, backend, averaging: true }).result;
    const open = await openBackend(backend);
    const { network, parameters, testErrors } = result;
    const { inputs, targets } = data.test;
    const found = await open.errors({ network, parameters, data: { inputs, targets } });
    expect(found.rootMeanSquareError).toBeCloseTo(testErrors!.rootMeanSquareError, 5);
    open.close();
  });

  test.each([
    [
      "absolute-error",
      {
        kind: "local-entropy",
        estimator: { kind: "sgld", steps: 30, stepSize: 0.01, noise: "standard-deviation" },
      },
    ],
    ["absolute-error", { kind: "heat", estimator: { kind: "evolution-strategies" } }],
    ["squared-error", { kind: "loss" }],
  ] as const)("with %s by %j", async (loss, objective) => {
    const optimizer = { kind: "adam", rate: 0.02 } as const;
    const two = { train: regression(401, 200, 2), test: regression(403, 80, 2) };
    const { testErrors } = await train({
      ...{ network: [3, 8, 2], data: two, loss, objective, optimizer, batchSize: 16, updates: 250, backend },
    }).result;
    expect(testErrors!.rSquared).toBeGreaterThan(0.35);
  });

  test("several labels a row: logistic outputs, and the share that is right", async () => {
    const signs = ({ targets, ...rows }: TargetDataset) => ({
      ...rows,
      targets: targets.map((t) => (t > 0 ? 1 : 0)),
    });
    const labelled = { train: signs(regression(401, 200, 2)), test: signs(regression(403, 80, 2)) };
    const result = await train({
      ...{ network: [3, 8, 2], data: labelled, loss: "logistic", batchSize: 16, updates: 200, backend },
      optimizer: { kind: "adam", rate: 0.02 },
    }).result;
    expect(result.testErrors).toBeNull();
    expect(result.testAccuracy).toBeGreaterThan(0.85); // chance is a half
    const open = await openBackend(backend);
    const { network, parameters } = result;
    const { inputs, targets } = labelled.test;
    const { outputs } = await open.predict({ network, parameters, inputs, loss: "logistic" });
    expect(rightSides(outputs, targets)).toBeCloseTo(result.testAccuracy!, 12);
    expect(Math.min(...outputs)).toBeGreaterThan(0);
    expect(Math.max(...outputs)).toBeLessThan(1);
    open.close();
  });
});

test("soft targets are right where the class of the largest is predicted, smoothed labels where the label is", async () => {
  const rows = { inputs: dataset.inputs, count: 12, width: 6 };
  const oneHot = Float32Array.from({ length: 36 }, (_, i) =>
    dataset.labels[Math.floor(i / 3)] === i % 3 ? 1 : 0,
  );
  const common = { network: [6, 4, 3], batchSize: 6, updates: 30, backend: "reference" } as const;
  const hard = { train: dataset, test: dataset };
  const soft = { ...rows, targets: oneHot, outputs: 3 };
  const smoothing = { kind: "cross-entropy", smoothing: 0.3 } as const;
  const [a, b] = [
    await train({ ...common, data: hard, loss: smoothing }).result,
    await train({ ...common, data: { train: soft, test: soft }, loss: smoothing }).result,
  ];
  expect([...b.parameters]).toEqual([...a.parameters]);
  expect(b.testAccuracy).toBe(a.testAccuracy);
  expect(a.testAccuracy).not.toBeNull();
  const plain = await train({ ...common, data: hard }).result;
  expect([...plain.parameters]).not.toEqual([...a.parameters]);
});

test("records and the report of a regression", async () => {
  const directory = mkdtempSync(join(parent, "run-"));
  const run = train({ ...options, updates: 20, recordEvery: 10, evaluateEvery: 10, backend: "reference" });
  const records = await recordsOf(run);
  await (await run.result).save(directory);
  const writer = new MetricsWriter(directory, () => true);
  for (const record of records) writer.append(record);
  expect(readMetrics(directory)).toEqual(records);
  const page = readFileSync(await writeReport(directory), "utf8");
  expect(page).toContain("Root mean square error");
  expect(page).toContain("test, R²");
  expect(page).not.toContain("NaN");
});

describe("options", () => {
  const rows = { inputs: dataset.inputs, targets: new Float32Array(24), count: 12, width: 6, outputs: 2 };
  const bare = { ...base, network: [6, 4, 2], data: { train: rows }, loss: "squared-error" };

  test("targets in the seam's words, and copies", () => {
    const { loss, data, network } = checkTrainOptions(bare);
    expect(loss).toEqual({ kind: "squared-error" });
    expect(network.layers).toEqual([6, 4, 2]);
    expect(data.train.targets).toEqual(rows.targets);
    expect(data.train.targets).not.toBe(rows.targets);
    expect(data.train.labels).toHaveLength(0);
  });

  test("smoothed labels are targets beside them", () => {
    const { loss, data } = check({ loss: { kind: "cross-entropy", smoothing: 0.3 } });
    expect(loss).toEqual({ kind: "soft-cross-entropy" });
    expect(data.train.labels).toEqual(Uint16Array.from(dataset.labels));
    expect([...data.train.targets!.slice(0, 3)]).toEqual([0.8, 0.1, 0.1].map(Math.fround));
    expect(check({ loss: { kind: "cross-entropy" } }).loss).toEqual({ kind: "cross-entropy" });
  });

  test("one output is enough for targets, not for classes", () => {
    const one = { ...rows, targets: new Float32Array(12), outputs: 1 };
    for (const loss of ["squared-error", "absolute-error", "logistic"] as const)
      expect(checkTrainOptions({ ...bare, network: [6, 1], data: { train: one }, loss }).loss).toEqual({
        kind: loss,
      });
    expect(
      sentence(() => checkTrainOptions({ ...bare, network: [6, 1], data: { train: one }, loss: undefined })),
    ).toBe("Expected an integer 2 … 65535 for train.network[1] but received 1");
  });

  const at = (targets: Float32Array, i: number, value: number) => targets.with(i, value);
  const half = new Float32Array(24).fill(0.5);
  test.each<[string, object, string]>([
    [
      "a loss of targets on labels",
      { ...base, loss: "squared-error" },
      'Expected "cross-entropy", "zero-one" or { kind: "cost-matrix", costs } for train.loss but received "squared-error"; ' +
        "it reads targets, a Float32Array of rows × outputs, and the data has labels",
    ],
    [
      "a loss of labels on targets",
      { ...bare, loss: "zero-one" },
      'Expected "cross-entropy", "squared-error", "absolute-error", "logistic" or { kind: "cross-entropy", smoothing } for ' +
        'train.loss but received "zero-one"; the data has targets, no labels',
    ],
    [
      "labels in the test rows",
      { ...bare, data: { train: rows, test: { ...dataset, classes: 2 } } },
      "train.data.test",
    ],
    ["both", { ...bare, data: { train: { ...rows, labels: dataset.labels } } }, "labels"],
    [
      "too few targets",
      { ...bare, data: { train: { ...rows, targets: new Float32Array(23) } } },
      "Expected a Float32Array of length 24 for train.data.train.targets but received Float32Array of length 23",
    ],
    [
      "doubles",
      { ...bare, data: { train: { ...rows, targets: new Float64Array(24) } } },
      "Expected a Float32Array of length 24 for train.data.train.targets but received Float64Array of length 24",
    ],
    [
      "another number of outputs",
      { ...bare, network: [6, 4, 3] },
      "Expected 3 for train.data.train.outputs but received 2; the network's last width is 3: change one of them",
    ],
    [
      "a target that is NaN",
      { ...bare, data: { train: { ...rows, targets: at(half, 7, Number.NaN) } } },
      "Expected a finite number for train.data.train.targets[7] but received NaN; row 3, output 1",
    ],
    [
      "no probability",
      { ...bare, loss: "logistic", data: { train: { ...rows, targets: at(half, 4, 1.5) } } },
      "Expected a number from 0 to 1 for train.data.train.targets[4] but received 1.5; row 2, output 0: targets of " +
        '"logistic" are probabilities; a regression has the loss "squared-error" or "absolute-error"',
    ],
    [
      "no distribution",
      { ...bare, loss: "cross-entropy", data: { train: { ...rows, targets: at(half, 4, 0.25) } } },
      "Expected a row of probabilities that sums to 1 for train.data.train.targets but received 0.75; row 2: independent outputs " +
        'have the loss "logistic"; a regression has the loss "squared-error" or "absolute-error"',
    ],
    [
      "smoothing beyond its range",
      { ...base, loss: { kind: "cross-entropy", smoothing: 1 } },
      "Expected a number from 0 to below 1 for train.loss.smoothing but received 1",
    ],
  ])("%s", (_, given, message) => {
    expect(sentence(() => checkTrainOptions(given))).toContain(message);
  });

  const located = { network: [6, 4, 2], parameters: new Float32Array(38) };
  const batch = { inputs: dataset.inputs, targets: rows.targets };
  test("operations take batches with targets", () => {
    for (const loss of ["squared-error", "absolute-error", "logistic"] satisfies LossOptions[]) {
      const checked = checkOperation("gradient", { ...located, batch, loss });
      expect(checked.loss).toEqual({ kind: loss });
      expect(checked.batch.targets).toBe(rows.targets);
    }
    const sampled = { ...located, batch, loss: "squared-error", tau: 0.01 };
    expect(checkOperation("importanceSampling", sampled).projected).toBe(false); // 12 rows of 6 inputs
    const chain = { ...located, loss: "squared-error", batches: [batch], tau: 0.01, stepSizes: [0.1, 0.1] };
    expect(checkOperation("sgld", chain).batches[0].targets).toBe(rows.targets);
    expect(checkOperation("errors", { ...located, data: batch }).batch.targets).toBe(rows.targets);
    expect(sentence(() => checkOperation("accuracy", { ...located, data: batch }))).toContain(
      "accuracy.data",
    );
    expect(
      sentence(() => checkOperation("predict", { ...located, inputs: dataset.inputs, loss: "hinge" })),
    ).toContain("predict.loss");
  });
});
