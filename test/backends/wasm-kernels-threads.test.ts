/**
 * Teams of threads inside the WASM kernels: the same bits for any number of threads, a job cancelled under way, and jobs
 * one after the other on the same team.
 */
import { describe, expect, test } from "@jest/globals";
import type { Coupling, Estimator } from "../../src/backends/backend.ts";
import { KINDS } from "../../src/backends/description.ts";
import { JOB, writeJob } from "../../src/backends/wasm/abi.ts";
import { KEY, networkCase, samples } from "../support/fixtures.ts";
import { patience } from "../support/patience.ts";
import { openArena } from "../support/wasm.ts";
import { BUILDS_HERE, openTeam, type Updates, updatesJob } from "../support/wasm-updates.ts";

const BUILDS = BUILDS_HERE.filter((build) => build !== "simd");
if (BUILDS.length === 0) test.skip("no build with threads runs here", () => {});

const OPTIONS = { layers: [130, 37, 10], rows: 19 } as const;

function updatesOf(estimator: Estimator, count = 2): Updates {
  const { network, parameters } = networkCase(OPTIONS);
  const train = samples(OPTIONS.layers, OPTIONS.rows + 4, "bytes", 3);
  for (let i = 0; i < train.inputs.length; i++) if (i % 3) train.inputs[i] = 0;
  return {
    network,
    loss: { kind: "cross-entropy" },
    train,
    batchSize: OPTIONS.rows,
    estimator,
    optimizer: { kind: "adam", beta1: 0.85, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.1 },
    parameters,
    count,
  };
}

/** Every way through the kernels, each with sums that more than one thread works on. */
function estimators(): [string, Estimator][] {
  const list: [string, Estimator][] = [["sgd", { kind: "sgd" }]];
  for (const projected of [true, false]) {
    const add = (name: string, coupling: Coupling, rowwise: boolean) =>
      list.push([
        `${name}, ${projected ? "projected" : "direct"}`,
        { kind: "importance-sampling", coupling, temperature: 0.7, rowwise, projected },
      ]);
    const independent = { kind: "independent", samples: 37, centred: false } as const;
    add("raw, sampled complement", { ...independent, complement: "sample" }, false);
    add("centred", { ...independent, complement: "marginalize", centred: true }, false);
    add("antithetic by rows", { kind: "antithetic", samples: 14 }, true);
    add("Walsh by rows", { kind: "walsh", blocks: 9 }, true);
    add("Walsh, weights only", { kind: "walsh", blocks: 3 }, false);
    const stepSizes = Float64Array.from({ length: 37 }, (_, j) => 0.2 / (20 + j));
    const noiseScales = stepSizes.map((step) => 0.3 * Math.sqrt(step));
    list.push([
      `sgld, ${projected ? "projected" : "direct"}`,
      { kind: "sgld", stepSizes, noiseScales, chainStart: "previous", batches: 1, projected },
    ]);
    list.push([
      `Robbins–Monro, ${projected ? "projected" : "direct"}`,
      { kind: "robbins-monro", samples: 5, stepSizes, batches: 1, projected },
    ]);
  }
  return list;
}

describe.each(BUILDS)("%s", (build) => {
  test.each([2, 3])("%i threads give the bits of one", async (threads) => {
    const arena = await openArena(build);
    const team = openTeam(arena, build as "threads" | "relaxed", threads);
    try {
      for (const [name, estimator] of estimators()) {
        const updates = updatesOf(estimator);
        const one = updatesJob(arena, updates);
        arena.kernels.run(one.job, 0);
        const many = updatesJob(arena, updates, threads);
        for (let again = 0; again < 2; again++) {
          many.restart();
          team.finish(team.begin(many.job));
          expect({ name, ...many.result() }).toEqual({ name, ...one.result() });
        }
        expect(one.result().done).toBe(2);
      }
      arena.check();
    } finally {
      await team.close();
    }
  });

  test("a job that is cancelled under way stands after the last update that was done", async () => {
    const arena = await openArena(build);
    const team = openTeam(arena, build as "threads" | "relaxed", 2);
    const words = new Int32Array(arena.memory.buffer);
    try {
      for (const [name, estimator] of estimators()) {
        const count = 20_000;
        const { job, restart, result } = updatesJob(arena, updatesOf(estimator, count), 2);
        const round = team.begin(job);
        await new Promise((resolve) => setTimeout(resolve, 30));
        Atomics.store(words, (job + JOB.cancel) / 4, 1);
        const before = performance.now();
        team.finish(round);
        expect(performance.now() - before).toBeLessThan(patience(1000));
        const cancelled = result();
        expect(cancelled.done).toBeLessThan(count);
        restart();
        writeJob(arena.view, job, { count: cancelled.done });
        team.finish(team.begin(job));
        expect({ name, ...result() }).toEqual({ name, ...cancelled });
      }
    } finally {
      await team.close();
    }
  });

  test("normals, by threads", async () => {
    const arena = await openArena(build);
    const team = openTeam(arena, build as "threads" | "relaxed", 3);
    const count = 64 * 100;
    const fields = {
      operation: KINDS.operation.indexOf("gaussian"),
      entries: count,
      stream: 17,
      first: 4,
      sample: 9,
    };
    const output = arena.output(4 * count);
    const expected = arena.output(4 * count);
    arena.kernels.gaussian(KEY[0], KEY[1], 17, 4, 9, count, expected);
    try {
      const job = arena.job({ ...fields, threads: 3, seedLow: KEY[0], seedHigh: KEY[1], output });
      team.finish(team.begin(job));
      expect(arena.floats(output, count)).toEqual(arena.floats(expected, count));
      arena.check();
    } finally {
      await team.close();
    }
  });
});
