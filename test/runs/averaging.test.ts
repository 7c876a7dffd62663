/**
 * The average of the iterates: its weights, and what `train` makes of it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { AVERAGE_EVERY, averaged, withLast } from "../../src/averaging.ts";
import type { Vector } from "../../src/backends/backend.ts";
import { whyNot } from "../../src/backends/registry.ts";
import { openBackend } from "../../src/operations.ts";
import type { TrainOptions } from "../../src/options/types.ts";
import { load } from "../../src/runs/checkpoint.ts";
import { train } from "../../src/train.ts";
import { integers } from "../support/fixtures.ts";

describe("polynomial decay", () => {
  /** Weight of each iterate in the average of so many: unit vectors in, one a time. */
  function weights(count: number): Float64Array {
    let average: Vector | null = null;
    for (let t = 1; t <= count; t++) {
      const unit = new Float64Array(count);
      unit[t - 1] = 1;
      average = averaged(average, unit, t * AVERAGE_EVERY);
    }
    return average as Float64Array;
  }

  test("is w_t = 9/(t + 8), written out", () => {
    const [first, second, third] = weights(3);
    expect(third).toBeCloseTo(9 / 11, 14);
    expect(second).toBeCloseTo((9 / 10) * (2 / 11), 14);
    expect(first).toBeCloseTo((1 / 10) * (2 / 11), 14);
  });

  test("weights sum to one, and fall as (s/t)^8", () => {
    const all = weights(900);
    expect(all.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
    // Exactly C(s + 7, 8)/C(t + 7, 8) of the last one's; (s/t)^8 for long runs.
    expect(all[449] / all[899]).toBeGreaterThan(0.5 ** 8);
    expect(all[449] / all[899]).toBeLessThan(1.05 * 0.5 ** 8);
  });

  test("the last iterate is taken in by its share of the next weight, in another vector", () => {
    const average = Float64Array.of(1, 2);
    expect(withLast(average, Float64Array.of(5, 6), 2 * AVERAGE_EVERY)).toBe(average);
    const shown = withLast(average, Float64Array.of(5, 6), 2.4 * AVERAGE_EVERY);
    expect(shown[0]).toBeCloseTo(1 + (0.4 * 9 * 4) / (2.4 + 8), 14);
    expect([...average]).toEqual([1, 2]);
  });

  test("does not change the iterate it begins with", () => {
    const first = Float32Array.of(1, 2);
    const average = averaged(null, first, AVERAGE_EVERY);
    averaged(average, Float32Array.of(5, 6), 2 * AVERAGE_EVERY);
    expect([...first]).toEqual([1, 2]);
    expect([...average].map((value) => Number(value.toFixed(5)))).toEqual([4.6, 5.6]);
  });
});

function dataset(number: number, count: number) {
  const inputs = Uint8Array.from(integers(number, count * 6, 256));
  const labels = Uint8Array.from(integers(number + 1, count, 3));
  return { inputs, labels, count, width: 6, classes: 3 };
}

const options: TrainOptions = {
  network: [6, 8, 3],
  data: { train: dataset(1, 120), test: dataset(5, 60) },
  objective: { kind: "loss" },
  optimizer: { kind: "gradient-descent", rate: 0.3 },
  batchSize: 5,
  updates: 3 * AVERAGE_EVERY + 7,
};

const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);
const parent = mkdtempSync(join(tmpdir(), "local-entropy-"));
afterAll(() => rmSync(parent, { recursive: true }));
const directory = () => mkdtempSync(join(parent, "run-"));

describe.each(BACKENDS)("train with averaging on %s", (backend) => {
  test("gives the average of the iterates of the run without it, and its accuracy", async () => {
    let expected: Vector | null = null;
    for (const t of [1, 2, 3]) {
      const short = train({ ...options, backend, updates: t * AVERAGE_EVERY });
      expected = averaged(expected, (await short.result).parameters, t * AVERAGE_EVERY);
    }
    const { parameters, network, testAccuracy } = await train({ ...options, backend, averaging: true })
      .result;
    const last = await train({ ...options, backend }).result;
    expect(parameters).toEqual(withLast(expected as Vector, last.parameters, options.updates));
    expect(parameters).not.toEqual(expected);
    expect(parameters).not.toEqual(last.parameters);

    const operations = await openBackend(backend);
    const { inputs, labels } = dataset(5, 60);
    expect(testAccuracy).toBe(await operations.accuracy({ network, parameters, data: { inputs, labels } }));
    operations.close();
  });

  test("goes on to the bit after a checkpoint, which holds the average", async () => {
    const all = { ...options, backend, averaging: true, recordEvery: 10 };
    const whole = await train(all).result;
    const run = train(all);
    for await (const { update } of run) if (update === 2 * AVERAGE_EVERY + 10) break;
    const part = await run.result;
    const where = directory();
    await part.save(where);
    const { parameters, resume } = await load(where);
    expect(parameters).toEqual(part.parameters);
    expect(parameters).not.toEqual(resume.parameters);
    const second = await train({ ...all, resume }).result;
    expect(second.parameters).toEqual(whole.parameters);
    expect(second.testAccuracy).toBe(whole.testAccuracy);
  });

  test("looking at it between two iterates changes nothing of what follows", async () => {
    const all = { ...options, backend, averaging: true };
    const whole = await train(all).result;
    const seen = new Map<number, number>();
    const run = train({ ...all, evaluateEvery: 33 });
    for await (const { update, testAccuracy } of run)
      if (testAccuracy !== undefined) seen.set(update, testAccuracy);
    expect([...seen.keys()]).toEqual([33, 66, 99, 132, options.updates]);
    expect((await run.result).parameters).toEqual(whole.parameters);
    // An evaluation is of what the run would give if it ended there.
    const shorter = await train({ ...all, updates: 99 }).result;
    expect(seen.get(99)).toBe(shorter.testAccuracy);
  });

  test("a run too short for an iterate gives the last one", async () => {
    const short = { ...options, backend, updates: AVERAGE_EVERY - 1 };
    const { parameters } = await train({ ...short, averaging: true }).result;
    expect(parameters).toEqual((await train(short).result).parameters);
  });
});
