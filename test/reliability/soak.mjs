/**
 * Trains, computes, stops, aborts, saves and loads over and over, on native and WASM, and looks at resident memory after
 * each round: between the sixth part of the time (of an hour, the tenth minute) and the end it stays within 2 %.
 *
 * Ten minutes; `--long`: an hour. Each sample is taken after a full collection, and is the least of the last ten rounds,
 * since freed memory goes back to the system when the allocator pleases.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load, openBackend, train } from "../../dist/index.js";

if (globalThis.gc === undefined) {
  // The collector is asked for by a flag of Node's own.
  const { status } = spawnSync(process.execPath, ["--expose-gc", ...process.argv.slice(1)], {
    stdio: "inherit",
  });
  process.exit(status ?? 1);
}

const long = process.argv.includes("--long");
const asked = process.argv.find((word) => word.startsWith("--minutes="));
const minutes = asked ? Number(asked.split("=")[1]) : long ? 60 : 10;
const MOST = 0.02;
const BACKENDS = process.argv
  .find((word) => word.startsWith("--backend="))
  ?.split("=")[1]
  .split(",") ?? ["native", "wasm"];

const count = 2_000;
const inputs = new Uint8Array(count * 784).map((_, i) => (i % 5 === 0 ? (i * 31) % 256 : 0));
const labels = new Uint8Array(count).map((_, row) => row % 10);
const rows = { inputs, labels, count, width: 784, classes: 10 };
const folder = mkdtempSync(join(tmpdir(), "local-entropy-soak-"));
const network = [784, 50, 10];
const batch = { inputs: inputs.subarray(0, 20 * 784), labels: labels.subarray(0, 20) };
const chain = { kind: "sgld", steps: 10, stepSize: 1e-4 };

/** One round of all that a long-lived process may do. */
async function round(number) {
  for (const backend of BACKENDS) {
    for (const objective of [undefined, { kind: "local-entropy", estimator: chain }]) {
      const data = { train: rows, test: rows };
      const averaging = number % 2 === 0;
      const run = train({
        network,
        data,
        objective,
        updates: 60,
        recordEvery: 20,
        averaging,
        backend,
        batchSize: 20,
      });
      const place = join(folder, backend);
      for await (const record of run) if (record.update === 40) await run.save(place);
      await (await run.result).save(place);
      await load(place);
    }
    const stopped = train({ network, data: { train: rows }, updates: 2 ** 30, backend });
    for await (const _ of stopped) break;
    await stopped.result;
    const open = await openBackend(backend);
    const parameters = new Float32Array(784 * 50 + 50 + 510).fill(0.01);
    const aborted = new AbortController();
    const call = open.importanceSampling({ network, parameters, batch, tau: 0.01, signal: aborted.signal });
    aborted.abort();
    await call.catch(() => {});
    await open.gradient({ network, parameters, batch });
    await open.predict({ network, parameters, inputs: batch.inputs });
    open.close();
  }
}

const start = performance.now();
const elapsed = () => (performance.now() - start) / 60_000;
const recent = [];
const samples = [];
let rounds = 0;
while (elapsed() < minutes) {
  await round(rounds++);
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 20)); // finalizers of what was collected
  recent.push(process.memoryUsage.rss() / 2 ** 20);
  if (recent.length > 10) recent.shift();
  if (elapsed() < ((samples.length + 1) * minutes) / 60) continue;
  samples.push(Math.min(...recent));
  if (samples.length % 10 === 0)
    console.log(`${elapsed().toFixed(1)} min, ${rounds} rounds: ${samples.at(-1).toFixed(1)} MiB`);
}
samples.push(Math.min(...recent));
rmSync(folder, { recursive: true });

/** The tenth minute of an hour, and in a shorter soak the same part of it. */
const settled = samples[Math.floor(samples.length / 6)];
const growth = samples.at(-1) / settled - 1;
console.log(
  `${rounds} rounds in ${minutes} minutes: from ${settled.toFixed(1)} MiB at the sixth part of the time to ` +
    `${samples.at(-1).toFixed(1)} MiB at the end, ${(100 * growth).toFixed(1)} % (at most ${100 * MOST} %) on Node ${process.versions.node}`,
);
process.exitCode = growth <= MOST ? 0 : 1;
