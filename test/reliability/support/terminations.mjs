/**
 * Terminates workers, each at a random moment of one act on the native backend that it does over and over: opening it,
 * training, saving, closing it in mid-job. `node terminations.mjs COUNT SEED`, in a process of its own: what goes wrong
 * kills it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { openBackend, train } from "../../../dist/index.js";
import { seeded } from "./programs.mjs";

const inputs = Float32Array.from({ length: 64 * 6 }, (_, i) => Math.sin(i));
const labels = Uint8Array.from({ length: 64 }, (_, i) => i % 3);
const network = [6, 8, 3];
const open = (threads) => openBackend("native", { threads });
const run = (updates) =>
  train({
    ...{ network, updates, seed: 1, backend: "native", threads: 2 },
    data: { train: { inputs, labels, count: 64, width: 6, classes: 3 } },
  }).result;
/** Microseconds of work, or more than anybody waits for. */
const sample = (backend, samples) =>
  backend.importanceSampling({
    ...{ network, parameters: new Float32Array(83), tau: 0.1, seed: 1, update: 0 },
    batch: { inputs, labels },
    coupling: { kind: "antithetic", samples },
    rowwise: false,
  });

const ACTS = {
  async open() {
    const backends = [];
    for (let i = 0; i < 4; i++) backends.push(await open(1 + (i % 3)));
    for (const backend of backends) backend.close();
  },
  run: () => run(20),
  async save() {
    await (await run(2)).save(join(workerData.folder, `${workerData.number}`));
  },
  async close() {
    const backend = await open(2);
    const jobs = [sample(backend, 1e8), sample(backend, 10), sample(backend, 10)];
    const settled = Promise.allSettled(jobs);
    await delay(1);
    backend.close();
    await settled;
  },
};

async function terminate(number, folder, random) {
  const acts = Object.keys(ACTS);
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { act: acts[number % acts.length], folder, number },
  });
  await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  await delay(30 * random());
  await worker.terminate();
}

if (isMainThread) {
  const [count, seed] = process.argv.slice(2).map(Number);
  const random = seeded(seed);
  const folder = mkdtempSync(join(tmpdir(), "local-entropy-"));
  // Two at a time, so that one loads the package while the other is at work.
  let next = 0;
  const lane = async () => {
    while (next < count) await terminate(next++, folder, random);
  };
  await Promise.all([lane(), lane()]);
  rmSync(folder, { recursive: true });
  console.log(`${count} terminated`);
} else {
  await ACTS[workerData.act](); // a wrong call fails here, not unseen
  parentPort.postMessage("up");
  for (;;) await ACTS[workerData.act]();
}
