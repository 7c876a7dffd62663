/**
 * Backends without end: ten thousand one after the other, each with an operation and every second with a run of `train`,
 * of which some are closed and some collected; then two hundred workers at once that open and close three each, and the
 * same once more. Threads, handles and memory must be at last what they were at first.
 */
import { existsSync, readdirSync } from "node:fs";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { openBackend, train } from "../../dist/index.js";
import { conclude, long } from "./support/programs.mjs";

const SESSIONS = long ? 100_000 : 10_000;
const WORKERS = 200;
const ROUNDS = long ? 10 : 1;
/** Resident memory may differ by so much: what the allocator keeps, and the heap's moods. */
const MEBIBYTES = 64;

const inputs = Float32Array.from({ length: 64 * 6 }, (_, i) => Math.sin(i));
const labels = Uint8Array.from({ length: 64 }, (_, i) => i % 3);
const network = [6, 8, 3];
const data = { train: { inputs, labels, count: 64, width: 6, classes: 3 } };
const tiny = () => train({ network, data, updates: 2, seed: 1, backend: "native", threads: 2 }).result;

async function once(number) {
  const backend = await openBackend("native", { threads: 1 + (number % 3) });
  const parameters = new Float32Array(83);
  const { gradient } = await backend.gradient({ network, parameters, batch: { inputs, labels } });
  if (gradient.length !== 83) throw new Error(`a gradient of ${gradient.length}`);
  if (number % 2 === 0) await tiny();
  if (number % 5 !== 4) backend.close(); // or it is collected
}

const threads = () => (existsSync("/proc/self/task") ? readdirSync("/proc/self/task").length : 0);
const handles = () => (existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0);
async function settled() {
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const resident = Math.round(process.memoryUsage().rss / 2 ** 20);
  return { threads: threads(), handles: handles(), resident };
}

async function worker() {
  const one = new Worker(new URL(import.meta.url));
  const answer = await new Promise((resolve, reject) => {
    one.once("message", resolve);
    one.once("error", reject);
  });
  if (answer !== "done") throw new Error(`a worker answered ${answer}`);
  return one;
}

if (isMainThread) {
  if (!globalThis.gc) {
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    setFlagsFromString("--expose-gc");
    globalThis.gc = runInNewContext("gc");
  }
  const broken = [];
  const compare = (what, first, last) => {
    const told = (state) => `${state.threads} threads, ${state.handles} handles, ${state.resident} MiB`;
    console.log(`${what}: ${told(first)} at first, ${told(last)} at last`);
    if (last.threads > first.threads) broken.push(`${what}: threads`);
    if (last.handles > first.handles) broken.push(`${what}: handles`);
    if (last.resident > first.resident + MEBIBYTES) broken.push(`${what}: memory`);
  };

  for (let i = 0; i < SESSIONS / 10; i++) await once(i);
  const first = await settled();
  for (let i = SESSIONS / 10; i < SESSIONS; i++) await once(i);
  compare(`${SESSIONS} backends`, first, await settled());

  const end = (workers) => Promise.all(workers.map((one) => one.terminate()));
  const at = async (count) => end(await Promise.all(Array.from({ length: count }, worker)));
  for (let i = 0; i < 2; i++) await at(WORKERS); // the allocator's own memory grows until then
  const before = await settled();
  for (let i = 0; i < ROUNDS; i++) await at(WORKERS);
  compare(`${WORKERS} workers`, before, await settled());
  conclude(
    broken.length > 0,
    `${SESSIONS} backends and ${WORKERS} workers: ${broken.join("; ") || "nothing is left of them"}`,
  );
} else {
  for (let i = 0; i < 3; i++) await once(i);
  parentPort.postMessage("done");
}
