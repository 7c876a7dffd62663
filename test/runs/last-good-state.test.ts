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
  optimizer: { kind: "adam", rate: 0.01, weightDecay: 0.1 },
  batchSize: 5,
  updates: UPDATES,
  recordEvery: 20,
};
const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);

const parent = mkdtempSync(join(tmpdir(), "last-good-"));
afterAll(() => rmSync(parent, { recursive: true }));
const directory = () => mkdtempSync(join(parent, "run-"));

/** A rate from an update on that float32 can hold, and whose decay makes float32 and float64 overflow within a few. */
const explodesFrom = (at: number) => (k: number) => (k < at ? 0.01 : 1e35);

describe.each(BACKENDS)("%s", (backend) => {
  /** What a run that stops after so many updates comes to. */
  const stateAfter = async (updates: number) => {
    const { result } = train({
      ...options,
      backend,
      updates,
      optimizer: { kind: "adam", rate: 0.01, weightDecay: 0.1 },
    });
    return (await result).parameters;
  };

  test.each([
    ["without an average", false],
    ["with one", true],
  ])("a run that diverges leaves a state that it had, all records told, %s", async (_, averaging) => {
    const optimizer = { kind: "adam", rate: explodesFrom(210), weightDecay: 0.1 } as const;
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

  test("a schedule that throws is asked before the run begins", () => {
    const rate = (k: number) => {
      if (k === 217) throw new TypeError("no rate today");
      return 0.01;
    };
    expect(() => train({ ...options, backend, optimizer: { kind: "adam", rate } })).toThrow("no rate today");
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
