/**
 * A loss that is a function, as users give it to `train`, and by the operations `outputs` and `losses`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { openBackend } from "../../src/operations.ts";
import { checkOperation } from "../../src/options/operations.ts";
import { checkTrainOptions } from "../../src/options/train.ts";
import type { LossFunction, TrainOptions } from "../../src/options/types.ts";
import type { Run } from "../../src/run.ts";
import { load } from "../../src/runs/checkpoint.ts";
import { train } from "../../src/train.ts";
import { integers, normalVector } from "../support/fixtures.ts";
import { rejection } from "../support/jobs.ts";
import { base, dataset, langevin, sentence } from "../support/option-fixtures.ts";

const parent = mkdtempSync(join(tmpdir(), "local-entropy-"));
afterAll(() => rmSync(parent, { recursive: true }));

const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);

/** Three classes of 6-pixel images: a bright pair of pixels each, and noise. */
function images(number: number, count: number) {
  const inputs = Uint8Array.from(integers(number, count * 6, 120));
  const labels = Uint8Array.from(integers(number + 1, count, 3));
  labels.forEach((label, row) => {
    inputs[row * 6 + 2 * label] += 130;
    inputs[row * 6 + 2 * label + 1] += 130;
  });
  return { inputs, labels, count, width: 6, classes: 3 };
}

const crossEntropy: LossFunction = (z, label) => {
  const top = Math.max(...z);
  return Math.log(z.reduce((sum, value) => sum + Math.exp(value - top), 0)) + top - z[label as number];
};

const options: TrainOptions = {
  network: [6, 8, 3],
  data: { train: images(1, 120), test: images(5, 60) },
  optimizer: { kind: "adam", rate: 0.05 },
  batchSize: 6,
  updates: 30,
  recordEvery: 10,
};

describe.each(BACKENDS)("on %s", (backend) => {
  test("cross-entropy as a function trains as the built-in one does", async () => {
    const [own, builtIn] = await Promise.all(
      [crossEntropy, "cross-entropy" as const].map((loss) => train({ ...options, backend, loss }).result),
    );
    const moved = (x: ArrayLike<number>) => Array.from(x);
    const difference = moved(own.parameters).map((x, i) => Math.abs(x - builtIn.parameters[i]));
    expect(Math.max(...difference)).toBeLessThan(backend === "reference" ? 1e-5 : 1e-2);
    expect(own.testAccuracy).toBeGreaterThan(0.8);
  });

  test.each([
    { kind: "heat", estimator: { kind: "evolution-strategies" } },
    {
      kind: "local-entropy",
      estimator: {
        kind: "importance-sampling",
        coupling: { kind: "antithetic", samples: 60 },
        rowwise: false,
      },
    },
  ] as const)("a cost with neither gradient nor name: %j", async (objective) => {
    const cost: LossFunction = (z, label) => (z.indexOf(Math.max(...z)) === label ? 0 : 1);
    const first = await train({ ...options, backend, loss: crossEntropy, objective }).result;
    const { testAccuracy } = await train({
      ...{ ...options, backend, loss: cost, objective, parameters: first.parameters, updates: 60 },
    }).result;
    expect(testAccuracy).toBeGreaterThan(0.8);
  });

  test("targets and places of rows are the training data's", async () => {
    const count = 50;
    const targets = Float32Array.from({ length: count }, (_, row) => 100 + row);
    const data = {
      train: { inputs: Float32Array.from(normalVector(7, count * 2)), targets, count, width: 2, outputs: 1 },
    };
    const seen = new Set<number>();
    const loss: LossFunction = (z, target, row) => {
      expect((target as Float32Array)[0]).toBe(100 + row);
      expect(z).toHaveLength(1);
      seen.add(row);
      return Math.abs(z[0] - row / 100);
    };
    await train({ network: [2, 4, 1], data, loss, batchSize: 5, updates: 10, backend }).result;
    expect(seen.size).toBe(50); // ten minibatches of five are an epoch
  });

  test("goes on from its files to the bit", async () => {
    const given = { ...options, backend, loss: crossEntropy };
    const whole = await train(given).result;
    const half: Run = train(given);
    for await (const { update } of half) if (update === 10) break;
    const directory = mkdtempSync(join(parent, "run-"));
    await (await half.result).save(directory);
    const { resume } = await load(directory);
    expect([...(await train({ ...given, resume }).result).parameters]).toEqual([...whole.parameters]);
  });

  test.each<[string, LossFunction, string]>([
    ["no number", () => "dear" as unknown as number, 'received "dear" for row'],
    ["NaN", () => Number.NaN, "received NaN for row"],
    ["a promise", (async () => 1) as unknown as LossFunction, "received an object of type Promise for row"],
  ])("%s ends the run, with the row", async (_, loss, message) => {
    const error = await rejection(train({ ...options, backend, loss }).result);
    expect(error.message).toContain(message);
    expect(error.message).toContain("whose outputs were [");
  });

  test("what it throws ends the run, with the row", async () => {
    const cause = new RangeError("beyond the table");
    const loss = () => {
      throw cause;
    };
    const error = await rejection(train({ ...options, backend, loss }).result);
    expect(error).toMatchObject({ code: "ERR_OPTION", cause });
    expect(error.message).toMatch(/threw for row \d+, whose outputs were \[.*\]: beyond the table$/);
  });

  test("a sample that costs Infinity has the weight 0", async () => {
    let calls = 0;
    const loss: LossFunction = (z, label, row) =>
      calls++ % 97 === 0 ? Infinity : crossEntropy(z, label, row);
    const { parameters } = await train({
      ...{ ...options, backend, loss, updates: 3 },
      objective: {
        kind: "local-entropy",
        estimator: {
          kind: "importance-sampling",
          coupling: { kind: "antithetic", samples: 40 },
          rowwise: false,
        },
      },
    }).result;
    expect(parameters.every(Number.isFinite)).toBe(true);
  });

  test("timers run between its calls, and a run is stopped there", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const slow: LossFunction = (z, label, row) => {
      const until = performance.now() + 1; // an update's take half a second
      while (performance.now() < until);
      return crossEntropy(z, label, row);
    };
    const run = train({ ...options, backend, loss: slow, updates: 1_000_000 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    clearInterval(timer);
    run.stop();
    expect((await run.result).completed).toBe(false);
    expect(ticks).toBeGreaterThan(4);
  });

  test("losses computed from `outputs` are what the estimators take as `losses`", async () => {
    const open = await openBackend(backend);
    const batch = { inputs: dataset.inputs.slice(0, 24), labels: dataset.labels.slice(0, 4) };
    const parameters = Float32Array.from(normalVector(11, 43));
    const drawn = {
      network: [6, 4, 3],
      parameters,
      tau: 0.02,
      coupling: { kind: "walsh", blocks: 3 },
    } as const;
    const outputs = await open.outputs({ ...drawn, inputs: batch.inputs });
    const losses = Float32Array.from({ length: outputs.length / 3 }, (_, at) =>
      crossEntropy(Float32Array.from(outputs.subarray(3 * at, 3 * at + 3)), batch.labels[at % 4], at % 4),
    );
    const [fed, builtIn] = [
      await open.importanceSampling({ ...drawn, batch: { inputs: batch.inputs }, losses }),
      await open.importanceSampling({ ...drawn, batch }),
    ];
    fed.gradient.forEach((g, i) => {
      expect(g).toBeCloseTo(builtIn.gradient[i], 3);
    });
    const into = new Float32Array(outputs.length);
    expect(await open.outputsInto({ ...drawn, inputs: batch.inputs }, into)).toEqual({});
    expect([...into]).toEqual(Array.from(outputs, Math.fround));
    open.close();
  });
});

describe("options", () => {
  test("a function needs a gradient-free estimator", () => {
    expect(
      sentence(() =>
        checkTrainOptions({
          ...base,
          loss: crossEntropy,
          objective: { kind: "local-entropy", estimator: langevin },
        }),
      ),
    ).toBe(
      'Expected a loss that has a gradient for train.loss but received a function; the estimator "sgld" needs gradients: ' +
        'use the estimator "importance-sampling", which does not',
    );
  });

  test("losses have their length, and no NaN; loss and losses exclude each other", () => {
    const given = {
      network: [6, 2],
      parameters: new Float32Array(14),
      tau: 0.01,
      batch: { inputs: new Uint8Array(6) },
    };
    const coupling = { kind: "antithetic", samples: 4 };
    const call = (losses: unknown, more = {}) =>
      checkOperation("importanceSampling", { ...given, coupling, losses, ...more });
    expect(call(new Float32Array(5)).loss.kind).toBe("given");
    expect(sentence(() => call(new Float32Array(4)))).toContain(
      "Expected a Float32Array of length 5 for importanceSampling.losses but received Float32Array of length 4",
    );
    expect(sentence(() => call(Float32Array.of(0, 0, Number.NaN, 0, 0)))).toContain(
      "importanceSampling.losses[2]",
    );
    expect(sentence(() => call(new Float32Array(5), { loss: "zero-one" }))).toContain("both");
  });
});
