/**
 * What passes the package's door: whatever a caller gives may be changed or transferred the moment a call has returned,
 * whatever it gets is its own, its schedules are asked once, and what its functions return is checked.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { whyNot } from "../../src/backends/registry.ts";
import { minimize } from "../../src/minimize.ts";
import { openBackend } from "../../src/operations.ts";
import { checkMinimizeOptions } from "../../src/options/minimize.ts";
import type { TrainOptions } from "../../src/options/types.ts";
import { load } from "../../src/runs/checkpoint.ts";
import { power } from "../../src/schedules.ts";
import { train } from "../../src/train.ts";
import { integers, normalVector } from "../support/fixtures.ts";

const BACKENDS = (["reference", "native", "wasm"] as const).filter((name) => whyNot(name) === null);

const parent = mkdtempSync(join(tmpdir(), "local-entropy-"));
afterAll(() => rmSync(parent, { recursive: true }));
const directory = () => mkdtempSync(join(parent, "run-"));

const dataset = (number: number, count: number) => ({
  inputs: Uint8Array.from(integers(number, count * 6, 250)),
  labels: Uint8Array.from(integers(number + 1, count, 3)),
  count,
  width: 6,
  classes: 3,
});

/** Options in which everything that can be is an array or an object of the caller's. */
const given = (averaging: boolean) => ({
  network: { layers: [6, 5, 3], activation: "relu" as const },
  data: { train: dataset(1, 60), test: dataset(3, 40), validation: dataset(5, 20) },
  loss: {
    kind: "cost-matrix" as const,
    costs: [
      [0, 1, 2],
      [3, 0, 1],
      [1, 1, 0],
    ],
  },
  objective: {
    kind: "local-entropy" as const,
    tau: 0.01,
    estimator: {
      kind: "importance-sampling" as const,
      coupling: { kind: "antithetic" as const, samples: 20 },
    },
  },
  optimizer: { kind: "adam" as const, rate: power(0.05, 0), beta1: 0.8 },
  parameters: new Float32Array(53).fill(0.1),
  batchSize: 5,
  updates: 120,
  averaging,
});

/** Overwrites every number, takes away every buffer, and empties every array and object in `value`. */
function ruin(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (ArrayBuffer.isView(value)) {
    (value as Uint8Array).fill(7);
    structuredClone(value.buffer, { transfer: [value.buffer as ArrayBuffer] });
    return;
  }
  for (const [key, part] of Object.entries(value)) {
    ruin(part);
    if (Array.isArray(value)) value[Number(key)] = 99;
    else (value as Record<string, unknown>)[key] = "ruined";
  }
}

describe.each(BACKENDS)("what is given to %s", (backend) => {
  const outcome = async (run: ReturnType<typeof train>) => {
    const { parameters, testAccuracy, validationAccuracy } = await run.result;
    return { parameters: [...parameters], testAccuracy, validationAccuracy };
  };
  test.each([false, true])("train, averaging %s: ruined after it has returned", async (averaging) => {
    const expected = await outcome(train({ ...given(averaging), backend }));
    const mine = { ...given(averaging), backend };
    const run = train(mine);
    ruin(mine);
    expect(await outcome(run)).toEqual(expected);
  });

  test("train, from a checkpoint: ruined after it has returned", async () => {
    const first = train({ ...given(true), backend });
    const folder = directory();
    const half = train({ ...given(true), backend, recordEvery: 50 });
    await half.save(folder);
    const { resume } = await load(folder);
    const options = { ...given(true), backend, resume };
    const run = train(options);
    ruin(options);
    expect(await outcome(run)).toEqual(await outcome(first));
    half.stop();
  });

  test("operations: ruined after the call", async () => {
    const open = await openBackend(backend, { threads: 1 });
    const inputs = () => ({
      network: [6, 5, 3],
      parameters: Float32Array.from(normalVector(7, 53)),
      batch: { inputs: dataset(1, 9).inputs, labels: dataset(1, 9).labels },
      tau: 0.01,
      stepSizes: [0.01, 0.01, 0.01],
      start: Float32Array.from(normalVector(8, 53)),
    });
    const ask = async (after: (value: unknown) => void) => {
      const mine = inputs();
      const { start: _, ...chain } = mine;
      const calls = [open.sgld(mine), open.robbinsMonro({ ...chain, samples: 2 })];
      after(mine);
      return (await Promise.all(calls)).map(({ mean }) => [...mean]);
    };
    expect(await ask(ruin)).toEqual(await ask(() => {}));
    open.close();
  });
});

describe("what is got", () => {
  test("a result's arrays and network are its reader's: saving writes what the run came to", async () => {
    const result = await train({ ...given(false), backend: BACKENDS[0] }).result;
    const parameters = [...result.parameters];
    result.parameters.fill(7);
    (result.network.layers as number[])[0] = 99;
    const folder = directory();
    await result.save(folder);
    const { network, resume } = await load(folder);
    expect([...resume.parameters]).toEqual(parameters);
    expect(network.layers).toEqual([6, 5, 3]);
  });

  test("what ran is told in objects that nobody can change", async () => {
    const run = train({ ...given(false), updates: 1 });
    expect(Object.isFrozen(run.backend) && Object.isFrozen(run.backend.declined)).toBe(true);
    for (const declined of run.backend.declined) expect(Object.isFrozen(declined)).toBe(true);
    await run.result;
    const open = await openBackend();
    expect(Object.isFrozen(open.declined)).toBe(true);
    open.close();
  });

  test("x is a function's own, and what it returns is copied", async () => {
    const start = [1, -2];
    const kept = new Float64Array(2);
    const options = (ruins: boolean) => ({
      loss: {
        dimension: 2,
        value(x: Float64Array) {
          const [a, b] = x;
          if (ruins) ruin(x);
          kept.fill(1e6); // what the last gradient was returned in
          return a * a + 3 * b * b;
        },
        gradient(x: Float64Array) {
          const gradient = [2 * x[0], 6 * x[1]];
          if (!ruins) return gradient;
          ruin(x);
          kept.set(gradient);
          return kept;
        },
      },
      start,
      objective: {
        kind: "local-entropy" as const,
        tau: 0.1,
        estimator: { kind: "sgld" as const, steps: 6, stepSize: 0.01 },
      },
      updates: 5,
    });
    const right = await minimize(options(false)).result;
    const ruined = minimize(options(true));
    start.fill(9);
    const { parameters, value } = await ruined.result;
    expect([...parameters]).toEqual([...right.parameters]);
    expect(value).toBe(right.value);
  });
});

describe("schedules are asked once for each update, in order", () => {
  /** 1, 1/2, 1/3, … by calls and not by k; which ks it was asked. */
  const counting = () => {
    const asked: number[] = [];
    const schedule = (k: number) => {
      asked.push(k);
      return 0.1 / asked.length;
    };
    return { asked, schedule };
  };

  test("by train, in a run and in its continuation", async () => {
    const tau = counting();
    const rate = counting();
    const options: TrainOptions = {
      ...given(false),
      loss: "cross-entropy",
      objective: { kind: "local-entropy", tau: tau.schedule },
      optimizer: { kind: "gradient-descent", rate: rate.schedule },
      recordEvery: 7,
    };
    const { parameters } = await train(options).result;
    expect(tau.asked).toEqual(Array.from({ length: 120 }, (_, k) => k));
    expect(rate.asked).toEqual(tau.asked);
    const byIndex = (k: number) => 0.1 / (k + 1);
    const pure = { ...options, objective: { kind: "local-entropy" as const, tau: byIndex } };
    const optimizer = { kind: "gradient-descent" as const, rate: byIndex };
    expect([...(await train({ ...pure, optimizer }).result).parameters]).toEqual([...parameters]);
  });

  test("also in long runs, beyond those that are asked ahead", async () => {
    const updates = 2 ** 20 + 10_000;
    const rate = counting();
    const { planValues } = checkMinimizeOptions({
      loss: { dimension: 1, value: () => 0, gradient: () => [0] },
      start: [0],
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: rate.schedule },
      updates,
    });
    expect(rate.asked.length).toBe(2 ** 20);
    for (let first = 0; first < updates; ) {
      const count = Math.min(7_001, updates - first);
      const { rate: values } = planValues(first, count);
      for (let i = 0; i < count; i += 1000) expect(values[i]).toBe(0.1 / (first + i + 1));
      first += count;
    }
    expect(rate.asked.length).toBe(updates);
    expect(rate.asked.every((k, i) => k === i)).toBe(true);
  });
});

describe("what a function of the caller's returns", () => {
  const failing = (loss: object, objective: object = { kind: "local-entropy", tau: 0.1 }) => {
    const optimizer = { kind: "gradient-descent", rate: 0.1 };
    const options = { loss: { dimension: 2, ...loss }, start: [1, 1], objective, optimizer, updates: 3 };
    return expect(minimize(options as never).result).rejects;
  };
  const value = ([a]: Float64Array) => a;
  const wanted = "Expected a number for what minimize.loss.value(x) returns but received";
  const NOWHERE =
    "give the function a value there, or keep away from there by a smaller rate, tau or stepSize";
  test.each([
    [
      async () => 1,
      "ERR_OPTION",
      `${wanted} an object of type Promise; it must not be async: nothing waits for it`,
    ],
    [() => {}, "ERR_OPTION", `${wanted} undefined; a function without a return statement returns undefined`],
    [() => "1", "ERR_OPTION", `${wanted} "1"`],
    [() => [1], "ERR_OPTION", `${wanted} an array of length 1`],
    [() => 1n, "ERR_OPTION", `${wanted} 1n`],
    [() => Number.NaN, "ERR_DIVERGED", `${wanted} NaN; ${NOWHERE}`],
  ])("a value: %s", async (returns, code, message) => {
    await failing({ value: returns }).toMatchObject({ code, message });
  });
  const gradients = "what minimize.loss.gradient(x) returns but received";
  test.each([
    [() => [1], "ERR_OPTION", `Expected an array of 2 numbers for ${gradients} an array of length 1`],
    [() => [1, 2, 3], "ERR_OPTION", `Expected an array of 2 numbers for ${gradients} an array of length 3`],
    [() => 1, "ERR_OPTION", `Expected an array of 2 numbers for ${gradients} 1`],
    [() => null, "ERR_OPTION", `Expected an array of 2 numbers for ${gradients} null`],
    [
      () => new DataView(new ArrayBuffer(2)),
      "ERR_OPTION",
      `Expected an array of 2 numbers for ${gradients} an object of type DataView`,
    ],
    [() => [1, "2"], "ERR_OPTION", `Expected a number for [1] of ${gradients} "2"`],
    [() => [1, Number.NaN], "ERR_DIVERGED", `Expected a number for [1] of ${gradients} NaN; ${NOWHERE}`],
  ])("a gradient: %s", async (gradient, code, message) => {
    await failing({ value, gradient }, { kind: "loss" }).toMatchObject({ code, message });
  });
  test.each([
    [async () => 1, "an object of type Promise"],
    [() => {}, "undefined"],
    [() => "1", '"1"'],
    [() => Number.NaN, "NaN"],
  ])("a schedule: %s", (tau, received) => {
    const objective = { kind: "local-entropy", tau };
    expect(() =>
      minimize({ loss: { dimension: 1, value }, start: [1], objective, updates: 3 } as never),
    ).toThrow(
      `Expected a finite number above 0 for minimize.objective.tau at k = 0 but received ${received}`,
    );
  });
  test("what it throws is what the run rejects with", async () => {
    const error = new Error("mine");
    const throws = () => {
      throw error;
    };
    await failing({ value: throws }).toBe(error);
  });
});
