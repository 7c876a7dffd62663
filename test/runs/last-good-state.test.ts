/**
 * A run is never lost: after a divergence, an exception of a user's function or an abort, `run.save` writes the last
 * state that was known to be good, and it is a state that the run had.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { openBackend } from "../../src/operations.ts";
import type { TrainOptions } from "../../src/options/types.ts";
import { load } from "../../src/runs/checkpoint.ts";
import { readRunFile } from "../../src/runs/folder.ts";
import { train } from "../../src/train.ts";
import { integers } from "../support/fixtures.ts";

const inputs = Uint8Array.from(integers(1, 120 * 6, 250));
const labels = Uint8Array.from(integers(2, 120, 3));
const rows = { inputs, labels, count: 120, width: 6, classes: 3 };
const UPDATES = 300;
const options: TrainOptions = {
  network: [6, 8, 3],
  data: { train: rows },
  objective: { kind: "loss" },
  optimizer: { kind: "momentum", rate: 0.01 },
  batchSize: 5,
  updates: UPDATES,
  recordEvery: 20,
};
const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);

const parent = mkdtempSync(join(tmpdir(), "last-good-"));
afterAll(() => rmSync(parent, { recursive: true }));
const directory = () => mkdtempSync(join(parent, "run-"));

/** A rate that is large enough for float32 and float64 to overflow from an update on. */
const explodesFrom = (at: number) => (k: number) => (k < at ? 0.01 : 1e300);

describe.each(BACKENDS)("%s", (backend) => {
  /** What a run that stops after so many updates comes to. */
  const stateAfter = async (updates: number) => {
    const { result } = train({ ...options, backend, updates, optimizer: { kind: "momentum", rate: 0.01 } });
    return (await result).parameters;
  };

  test.each([
    ["without an average", false],
    ["with one", true],
  ])("a run that diverges leaves a state that it had, all records told, %s", async (_, averaging) => {
    const optimizer = { kind: "momentum", rate: explodesFrom(210) } as const;
    const run = train({ ...options, backend, averaging, optimizer });
    const told: number[] = [];
    const reading = (async () => {
      for await (const { update } of run) told.push(update);
    })();
    await expect(reading).rejects.toMatchObject({ code: "ERR_DIVERGED" });
    expect(told).toEqual([...told.keys()].map((i) => 20 * (i + 1)));
    expect(told.length).toBeGreaterThanOrEqual(10);
    const folder = directory();
    await run.save(folder);
    const { resume } = await load(folder);
    expect(resume.update % 20).toBe(0);
    expect(resume.update).toBeLessThanOrEqual(210);
    if (resume.update > 0) expect(resume.parameters).toEqual(await stateAfter(resume.update));
    expect(await readRunFile(folder)).toMatchObject({ updates: resume.update, completed: false });
  });

  test("a function that throws leaves the state after the last update, and the run goes on from there", async () => {
    let calls = 0;
    // Each of the 300 values is checked before the run, and asked for again in it.
    const rate = (k: number) => {
      if (calls++ >= UPDATES && k === 217) throw new TypeError("no rate today");
      return 0.01;
    };
    const run = train({ ...options, backend, optimizer: { kind: "momentum", rate } });
    const folder = directory();
    const early = run.save(join(folder, "early")); // of a run that is under way, or has failed before its turn
    await expect(run.result).rejects.toThrow("no rate today");
    await early;
    await run.save(folder);
    const { resume } = await load(folder);
    expect(resume.update).toBe(200);
    expect(resume.parameters).toEqual(await stateAfter(200));
    const resumed = train({ ...options, backend, resume });
    const whole = await train({ ...options, backend }).result;
    expect((await resumed.result).parameters).toEqual(whole.parameters);
  });

  test("an aborted run can be saved, and goes on from there", async () => {
    const abort = new AbortController();
    const run = train({ ...options, backend, signal: abort.signal });
    for await (const { update } of run) {
      if (update !== 60) continue;
      abort.abort(new Error("enough"));
      break;
    }
    await expect(run.result).rejects.toThrow("enough");
    const folder = directory();
    await run.save(folder);
    const { resume } = await load(folder);
    expect(resume.update).toBeGreaterThanOrEqual(60);
    expect(resume.parameters).toEqual(await stateAfter(resume.update));
  });

  // Float64 has no gradient that overflows in one step.
  const inFloat32 = backend === "reference" ? test.skip : test;
  inFloat32("a state that is not finite at the end is not what run.save writes", async () => {
    const run = train({
      ...options,
      backend,
      optimizer: { kind: "gradient-descent", rate: (k) => (k < UPDATES - 1 ? 0.01 : Number.MAX_VALUE) },
    });
    const folder = directory();
    const result = await run.result;
    await expect(result.save(folder)).rejects.toThrow(/has the value .*: `run.save` writes its last state/);
    await run.save(folder);
    expect((await load(folder)).resume.update).toBeLessThan(UPDATES);
  });
});

test("what is saved on hearing an accuracy is the state that it was measured on", async () => {
  const run = train({
    ...options,
    data: { train: rows, validation: rows },
    updates: 2_000,
    evaluateEvery: 100,
    recordEvery: 7,
  });
  const folder = directory();
  const accuracies = new Map<number, number>();
  for await (const { update, validationAccuracy } of run) {
    if (validationAccuracy === undefined) continue;
    accuracies.set(update, validationAccuracy);
    await run.save(join(folder, String(update)));
  }
  expect(accuracies.size).toBe(20);
  const backend = await openBackend("reference");
  try {
    for (const [update, measured] of accuracies) {
      const { network, parameters, resume } = await load(join(folder, String(update)));
      expect(resume.update).toBe(update);
      const accuracy = await backend.accuracy({ network, parameters, data: { inputs, labels } });
      expect(Math.abs(accuracy - measured)).toBeLessThanOrEqual(1 / 120);
    }
  } finally {
    backend.close();
  }
});
