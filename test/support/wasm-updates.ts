/**
 * For the tests of the WASM kernels: a plan of updates on a small network as a job, by one thread or by a team.
 */
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { Estimator, Examples, Loss, Optimizer } from "../../src/backends/backend.ts";
import { MOMENT_COUNTS, VALUES } from "../../src/backends/backend.ts";
import { KINDS } from "../../src/backends/description.ts";
import {
  estimatorPart,
  examplesPart,
  lossPart,
  networkPart,
  optimizerPart,
  seedPart,
} from "../../src/backends/job.ts";
import { openReference } from "../../src/backends/reference.ts";
import { BUILDS, CONTROL, CONTROL_BYTES, readJob, writeJob } from "../../src/backends/wasm/abi.ts";
import { type Network, parameterCount } from "../../src/network.ts";
import { KEY } from "./fixtures.ts";
import { patience } from "./patience.ts";
import { type Arena, wasmFile } from "./wasm.ts";

/** Updates of a session, with settings that are not the neutral ones. */
export interface Updates {
  readonly network: Network;
  readonly loss: Loss;
  readonly train: Examples;
  readonly batchSize: number;
  readonly estimator: Estimator;
  readonly optimizer: Optimizer;
  readonly parameters: Float32Array;
  readonly count: number;
}

const FIRST = 5;

function planOf({ train, batchSize, estimator, count }: Updates) {
  const batches = "batches" in estimator ? estimator.batches : 1;
  const rows = count * batches * batchSize;
  const fill = (value: (k: number) => number) => Float64Array.from({ length: count }, (_, k) => value(k));
  return {
    rows: Uint32Array.from({ length: rows }, (_, i) => (3 * i + 1) % train.labels.length),
    tau: fill((k) => 0.03 / (k + 1)),
    noiseScale: fill((k) => 0.9 * Math.sqrt(0.03 / (k + 1))),
    rate: fill((k) => 0.02 * (k + 1)),
  };
}

/** The job of some updates in an arena, and what its state was or is. */
export function updatesJob(arena: Arena, updates: Updates, threads = 1) {
  const { network, loss, train, estimator, optimizer, parameters, count } = updates;
  const n = parameterCount(network);
  const plan = planOf(updates);
  const at = {
    parameters: arena.state(parameters),
    moment1: arena.state(new Float32Array(n)),
    moment2: arena.state(new Float32Array(n)),
    chain: arena.output(4 * n),
    values: arena.output(8 * VALUES * count),
  };
  const job = arena.job({
    operation: KINDS.operation.indexOf("run"),
    threads,
    ...arena.fields([
      networkPart(network),
      lossPart(loss, network),
      examplesPart(train, network.layers[0]),
      estimatorPart(estimator),
      optimizerPart(optimizer),
      seedPart(KEY),
    ]),
    batchSize: updates.batchSize,
    rows: arena.input(plan.rows),
    first: FIRST,
    count,
    tau: arena.input(plan.tau),
    noiseScale: arena.input(plan.noiseScale),
    rate: arena.input(plan.rate),
    gradient: arena.output(4 * n),
    ...at,
  });
  return {
    job,
    /** Puts the state back where the updates began. */
    restart(): void {
      new Float32Array(arena.memory.buffer, at.parameters, n).set(parameters);
      for (const moment of [at.moment1, at.moment2]) new Float32Array(arena.memory.buffer, moment, n).fill(0);
      writeJob(arena.view, job, { chainValid: 0, cancel: 0, count });
    },
    /** Parameters, moments, the chain where there is one, and the values of the updates done. */
    result() {
      const done = readJob(arena.view, job, "done");
      const moments = [at.moment1, at.moment2].slice(0, MOMENT_COUNTS[optimizer.kind]);
      return {
        done,
        parameters: arena.floats(at.parameters, n),
        moments: moments.map((moment) => arena.floats(moment, n)),
        chain: readJob(arena.view, job, "chainValid") ? arena.floats(at.chain, n) : null,
        values: new Float64Array(arena.memory.buffer, at.values, VALUES * done).slice(),
      };
    },
  };
}

/** The same updates by the reference. */
export async function referenceUpdates(updates: Updates) {
  const { network, loss, train, batchSize, estimator, optimizer, parameters, count } = updates;
  const n = parameterCount(network);
  const moments = Array.from({ length: MOMENT_COUNTS[optimizer.kind] }, () => new Float64Array(n));
  const reference = openReference();
  const session = reference.openSession({
    network,
    loss,
    data: { train },
    batchSize,
    estimator,
    optimizer,
    key: KEY,
    state: { parameters, moments, chain: null },
  });
  const { values } = await session.run({ first: FIRST, count, ...planOf(updates) });
  const state = await session.read();
  reference.close();
  return { ...state, values };
}

/** Those that run here. */
export const BUILDS_HERE = BUILDS.filter((build) => validates(build));

declare const WebAssembly: { validate(code: Uint8Array): boolean };

function validates(build: (typeof BUILDS)[number]): boolean {
  return WebAssembly.validate(readFileSync(wasmFile(build)));
}

/** What a thread of a team runs: the loop of the kernels on the memory it is given. */
const THREAD = `
const { workerData: { code, memory, control, thread } } = require("node:worker_threads");
new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } }).exports.serve(control, thread);
`;

/** So many threads on an arena's memory; each job that they run must say as many. */
export function openTeam(arena: Arena, build: "threads" | "relaxed", threads: number) {
  const control = arena.state(new Uint8Array(CONTROL_BYTES));
  const words = new Int32Array(arena.memory.buffer, control, CONTROL_BYTES / 4);
  const code = readFileSync(wasmFile(build));
  const workers = Array.from(
    { length: threads },
    (_, thread) =>
      new Worker(THREAD, { eval: true, workerData: { code, memory: arena.memory, control, thread } }),
  );
  function begin(job: number): number {
    words[CONTROL.job / 4] = job;
    const round = Atomics.add(words, CONTROL.round / 4, 1) + 1;
    Atomics.notify(words, CONTROL.round / 4);
    return round;
  }
  return {
    begin,
    /** Blocks this thread until the round is done; throws after twenty seconds of a quiet machine. */
    finish(round: number): void {
      const waited = Atomics.wait(words, CONTROL.finished / 4, round - 1, patience(20_000));
      if (waited === "timed-out") throw new Error("Expected the threads to finish within 20 s");
    },
    async close(): Promise<void> {
      const ended = workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
      begin(0);
      await Promise.all(ended);
    },
  };
}
