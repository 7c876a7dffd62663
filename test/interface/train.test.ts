/**
 * `train` as its users see it: records, stopping, aborting, saving, resuming, and what it says of what ran.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { cudaStatus } from "../../src/backends/addon/cuda.ts";
import { whyNot } from "../../src/backends/registry.ts";
import type { TrainOptions } from "../../src/options/types.ts";
import type { TrainRecord } from "../../src/run.ts";
import { load } from "../../src/runs/checkpoint.ts";
import { cosine } from "../../src/schedules.ts";
import { train } from "../../src/train.ts";
import { integers } from "../support/fixtures.ts";

/** Three classes of 6-pixel images: a bright pair of pixels each, and noise. */
function dataset(number: number, count: number) {
  const inputs = Uint8Array.from(integers(number, count * 6, 120));
  const labels = Uint8Array.from(integers(number + 1, count, 3));
  labels.forEach((label, row) => {
    inputs[row * 6 + 2 * label] += 130;
    inputs[row * 6 + 2 * label + 1] += 130;
  });
  return { inputs, labels, count, width: 6, classes: 3 };
}

const data = { train: dataset(1, 120), test: dataset(5, 60), validation: dataset(9, 30) };

const options: TrainOptions = {
  network: [6, 8, 3],
  data,
  objective: {
    kind: "local-entropy",
    tau: 0.01,
    estimator: { kind: "importance-sampling", coupling: { kind: "antithetic", samples: 40 }, rowwise: false },
  },
  optimizer: { kind: "adam", rate: cosine(0.1, 0) },
  batchSize: 5,
  updates: 60,
  recordEvery: 10,
};

const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);

const parent = mkdtempSync(join(tmpdir(), "local-entropy-"));
afterAll(() => rmSync(parent, { recursive: true }));
const directory = () => mkdtempSync(join(parent, "run-"));

async function recordsOf(run: AsyncIterable<TrainRecord>): Promise<TrainRecord[]> {
  const records: TrainRecord[] = [];
  for await (const record of run) records.push(record);
  return records;
}

const untimed = ({ seconds: _, updatesPerSecond: __, ...record }: TrainRecord) => record;

/** Warnings of a run whose weights are nearly all one sample's, by records. */
async function warningsOf(estimator: object): Promise<(string | undefined)[]> {
  const sharp = { kind: "importance-sampling", temperature: 1e-3, ...estimator } as const;
  const objective = { kind: "local-entropy", tau: 0.01, estimator: sharp } as const;
  const records = await recordsOf(train({ ...options, objective, backend: "reference", updates: 30 }));
  return records.map(({ warning }) => warning);
}

describe("a run warns where the row split does harm", () => {
  test("once, with the numbers and what to do", async () => {
    const [first, ...others] = await warningsOf({ coupling: { kind: "antithetic", samples: 40 } });
    expect(first).toMatch(
      /^The effective sample size is [\d.]+ of 40 samples, less than a fifth: .* Try a smaller tau or a larger temperature, or else rowwise: false$/,
    );
    expect(others).toEqual([undefined, undefined]);
  });
  test("not where weights are plain, nor where they are many", async () => {
    const coupling = { kind: "antithetic", samples: 40 };
    expect(await warningsOf({ coupling, rowwise: false })).toEqual([undefined, undefined, undefined]);
    expect(await warningsOf({ coupling, temperature: 1 })).toEqual([undefined, undefined, undefined]);
  });
});

describe.each(BACKENDS)("train on %s", (backend) => {
  test("tells records in order and ends in a result", async () => {
    const run = train({ ...options, backend, evaluateEvery: 25 });
    const records = await recordsOf(run);
    expect(records.map(({ update }) => update)).toEqual([10, 20, 25, 30, 40, 50, 60]);
    expect(records.map(({ testAccuracy }) => testAccuracy !== undefined)).toEqual([
      false,
      false,
      true,
      false,
      false,
      true,
      true,
    ]);
    for (const record of records) {
      expect(record.effectiveSampleSize).toBeGreaterThan(1);
      expect(record.effectiveSampleSize).toBeLessThanOrEqual(40);
      expect(record.freeEnergy).toBeLessThanOrEqual(record.loss + 1e-6); // Jensen: −log E e^{−f} ≤ E f
    }
    const result = await run.result;
    expect(result).toMatchObject({ updates: 60, completed: true, network: { layers: [6, 8, 3] } });
    expect(result.testAccuracy).toBe(records[6].testAccuracy);
    expect(result.validationAccuracy).toBe(records[6].validationAccuracy);
    expect(result.testAccuracy).toBeGreaterThan(0.8); // chance is 1/3
  });

  test.each([
    [
      "sgld",
      {
        objective: {
          kind: "local-entropy",
          tau: 0.01,
          estimator: { kind: "sgld", steps: 30, stepSize: 0.01, noise: "standard-deviation" },
        },
        optimizer: { kind: "adam", rate: 0.02 },
      },
    ],
    [
      "heat",
      {
        objective: {
          kind: "heat",
          tau: 0.05,
          estimator: { kind: "robbins-monro", samples: 4, steps: 5, stepSize: 0.5 },
        },
        optimizer: { kind: "momentum", rate: 0.5 },
      },
    ],
    ["sgd", { objective: { kind: "loss" }, optimizer: { kind: "momentum", rate: 0.2 } }],
  ] as const)("trains by %s", async (_name, settings) => {
    const run = train({
      ...options,
      ...(settings as Partial<TrainOptions>),
      batchSize: 5,
      updates: 150,
      backend,
    });
    const { testAccuracy } = await run.result;
    expect(testAccuracy).toBeGreaterThan(0.8);
  });

  test("says what ran", async () => {
    const run = train({ ...options, backend });
    expect(run.backend).toMatchObject({
      name: backend,
      form: "projected",
      coupling: "antithetic",
      samples: 40,
    });
    expect(run.backend.declined).toEqual([]);
    const folder = directory();
    const result = await run.result;
    await result.save(folder);
    const file = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
    expect(file.backend).toEqual(run.backend);
    expect(file.options.objective.estimator.coupling).toEqual({ kind: "antithetic", samples: 40 });
    expect(file.testAccuracy).toBe(result.testAccuracy);
    // B = 7 rows span all of 6 inputs and the bias: nothing is left to project away.
    const wide = train({ ...options, batchSize: 7, updates: 1, backend });
    expect(wide.backend.form).toBe("direct");
    await wide.result;
  });

  test("the same seed gives the same numbers, another seed others", async () => {
    const [a, b, c] = await Promise.all(
      [1, 1, 2n ** 40n].map((seed) => train({ ...options, seed, updates: 12, backend }).result),
    );
    expect(a.parameters).toEqual(b.parameters);
    expect(a.parameters).not.toEqual(c.parameters);
  });

  test("break stops, and the result resolves", async () => {
    const run = train({ ...options, backend, updates: 100_000 });
    for await (const record of run) if (record.update >= 20) break;
    const result = await run.result;
    expect(result.completed).toBe(false);
    expect(result.updates).toBeGreaterThanOrEqual(20);
    expect(result.testAccuracy).not.toBeNull();
  });

  test("an aborted signal rejects with its reason", async () => {
    const controller = new AbortController();
    const run = train({ ...options, backend, updates: 100_000, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 30);
    await expect(run.result).rejects.toThrow("enough");
    await expect(recordsOf(run)).rejects.toThrow("enough");
    const late = train({ ...options, backend, signal: AbortSignal.abort(new Error("before")) });
    await expect(late.result).rejects.toThrow("before");
  });

  test.each([
    ["importance sampling with Adam", {}],
    [
      "SGLD from the previous chain with momentum",
      {
        objective: {
          kind: "local-entropy",
          tau: 0.02,
          estimator: { kind: "sgld", steps: 6, stepSize: 0.01 },
        },
        optimizer: { kind: "momentum", rate: 0.05 },
      },
    ],
    [
      "Robbins–Monro, a fresh minibatch each step",
      {
        objective: {
          kind: "heat",
          tau: 0.02,
          estimator: { kind: "robbins-monro", samples: 3, steps: 4, stepSize: 0.1, minibatch: "per-step" },
        },
        optimizer: { kind: "shift" },
      },
    ],
  ] as const)("resumes to the bit: %s", async (_name, settings) => {
    const all = { ...options, ...(settings as Partial<TrainOptions>), backend } satisfies TrainOptions;
    const whole = train(all);
    const records = await recordsOf(whole);
    const folder = directory();
    const first = train(all);
    // Stops wherever it is, as a rule between two records.
    for await (const record of first) if (record.update >= 20) break;
    const stopped = await first.result;
    await stopped.save(folder);
    const { resume, network } = await load(folder);
    expect(network).toEqual(stopped.network);
    expect(resume.update).toBe(stopped.updates);
    const second = train({ ...all, resume });
    const rest = await recordsOf(second);
    const [a, b] = await Promise.all([whole.result, second.result]);
    expect(b.parameters).toEqual(a.parameters);
    const expected = records.filter(({ update }) => update > stopped.updates);
    expect(rest.map(untimed)).toEqual(expected.map(untimed));
    const [x, y] = [directory(), directory()];
    await Promise.all([a.save(x), b.save(y)]);
    const file = "checkpoint.safetensors";
    expect(readFileSync(join(y, file)).equals(readFileSync(join(x, file)))).toBe(true);
  });

  test("a complete run goes on for more updates, to the bit as if it had been asked for all at once", async () => {
    const settings: Partial<TrainOptions>[] = [
      { optimizer: { kind: "adam", rate: 1e-3 } },
      { optimizer: { kind: "momentum", rate: 0.01 }, averaging: true },
    ];
    for (const setting of settings) {
      const all = { ...options, ...setting, backend };
      const whole = await train({ ...all, updates: 170 }).result;
      const folder = directory();
      await (await train({ ...all, updates: 110 }).result).save(folder);
      const { resume } = await load(folder);
      const second = train({ ...all, updates: 170, resume });
      expect(second.changed).toEqual(["updates"]);
      const { parameters, updates } = await second.result;
      expect({ parameters, updates }).toEqual({ parameters: whole.parameters, updates: 170 });
    }
    expect(train({ ...options, backend }).changed).toEqual([]);
  });

  test("run.save writes a checkpoint while the run goes on", async () => {
    const folder = directory();
    const run = train({ ...options, backend, updates: 100_000 });
    await run.save(folder);
    const { resume } = await load(folder);
    expect(resume.update).toBeGreaterThan(0);
    run.stop();
    const result = await run.result;
    expect(result.updates).toBeGreaterThan(resume.update - 1);
    await run.save(folder);
    expect((await load(folder)).resume.update).toBe(result.updates);
  });

  test("resuming a complete run does nothing and gives the same result", async () => {
    const whole = await train({ ...options, backend }).result;
    const folder = directory();
    await whole.save(folder);
    const { resume } = await load(folder);
    const again = await train({ ...options, backend, resume }).result;
    expect(again).toMatchObject({ updates: 60, completed: true, testAccuracy: whole.testAccuracy });
    expect(again.parameters).toEqual(whole.parameters);
  });

  test("an accuracy is saved only with the update that it was measured at", async () => {
    const folder = directory();
    const saved = async (update: number) => {
      const run = train({ ...options, backend, evaluateEvery: 20 });
      // Asked for between two records, so it is written after the crossing under way: at `update`.
      for await (const record of run) if (record.update === update - 10) await run.save(folder);
      return { file: JSON.parse(readFileSync(join(folder, "run.json"), "utf8")), run };
    };
    const { file } = await saved(30);
    const { update } = (await load(folder)).resume;
    expect(file.updates).toBe(update);
    expect(file.testAccuracy !== null).toBe(update % 20 === 0);
  });

  test("starts from given parameters", async () => {
    const { parameters } = await train({ ...options, backend }).result;
    const run = train({
      ...options,
      backend,
      parameters,
      updates: 1,
      optimizer: { kind: "gradient-descent", rate: 0 },
    });
    expect((await run.result).parameters).toEqual(parameters);
  });

  test("a diverging run says at which update and what to try", async () => {
    const optimizer = { kind: "adam", rate: 1e30, weightDecay: 1 } as const; // x ← −1e30 x;
    const run = train({ ...options, objective: { kind: "loss" }, optimizer, backend });
    await expect(run.result).rejects.toThrow(/(at|after) update \d+: the run diverged. Try a smaller rate/);
  });
});

(cudaStatus().available ? test.skip : test)(
  "refuses what this machine does not have, and names what it has",
  () => {
    expect(() => train({ ...options, backend: "cuda" })).toThrow(
      /Backend cuda cannot be used: .*\. This machine has: .*reference/,
    );
  },
);

test("a rejection that nobody reads does not end the process", async () => {
  const seen: unknown[] = [];
  const listen = (reason: unknown) => seen.push(reason);
  process.on("unhandledRejection", listen);
  train({ ...options, signal: AbortSignal.abort(new Error("unread")) });
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off("unhandledRejection", listen);
  expect(seen).toEqual([]);
});
