/**
 * A Walsh update beside 3 and 8 busy programs: two threads against one, on native and WASM.
 *
 * A team that waits for its members at a barrier loses a turn of the system's scheduler each time one of them is not let
 * run. Over ten alternations the median of two threads' time is at most 1.05 of one's; nothing is gained where there is
 * no processor to spare, and nothing is to be lost. The parameters are the same to the bit, team or not.
 *
 * `--long`: forty alternations.
 */
import { spawn } from "node:child_process";
import { train } from "../../dist/index.js";

const ALTERNATIONS = process.argv.includes("--long") ? 40 : 10;
const MOST = 1.05;
const given = (name) => process.argv.find((word) => word.startsWith(`--${name}=`))?.split("=")[1];
const BACKENDS = given("backend")?.split(",") ?? ["native", "wasm"];
const PROGRAMS = given("programs")?.split(",").map(Number) ?? [3, 8];

const count = 2_000;
const inputs = new Uint8Array(count * 784).map((_, i) => (i % 5 === 0 ? (i * 31) % 256 : 0));
const labels = new Uint8Array(count).map((_, row) => row % 10);
const data = { train: { inputs, labels, count, width: 784, classes: 10 } };

const trained = {};

/** Milliseconds an update. */
async function measure(backend, threads) {
  const updates = backend === "native" ? 5000 : 1500; // seconds: what a start costs is not asked
  const run = train({ network: [784, 200, 10], data, batchSize: 20, updates, threads, backend });
  const { seconds, parameters } = await run.result;
  trained[backend] ??= parameters;
  if (Buffer.compare(new Uint8Array(trained[backend].buffer), new Uint8Array(parameters.buffer))) {
    console.log(`${backend}: other parameters with ${threads} threads`);
    broken = true;
  }
  return (1000 * seconds) / updates;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const outcomes = [];
let broken = false;
for (const programs of PROGRAMS) {
  const busy = Array.from({ length: programs }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
  );
  try {
    for (const backend of BACKENDS) {
      const times = { 1: [], 2: [] };
      await measure(backend, 2); // loads and compiles
      for (let i = 0; i < ALTERNATIONS; i++) {
        for (const threads of i % 2 === 0 ? [1, 2] : [2, 1])
          times[threads].push(await measure(backend, threads));
      }
      const [one, two] = [median(times[1]), median(times[2])];
      const ratios = times[2].map((time, i) => (time / times[1][i]).toFixed(2)).join(" ");
      console.log(
        `${backend}, ${programs} busy: ${one.toFixed(2)} ms on one thread, ${two.toFixed(2)} on two; ${ratios}`,
      );
      outcomes.push(`${backend} ${(two / one).toFixed(2)} beside ${programs}`);
      if (two > MOST * one) broken = true;
    }
  } finally {
    for (const program of busy) program.kill("SIGKILL");
  }
}
console.log(
  `Two threads' time of one's, medians of ${ALTERNATIONS}: ${outcomes.join(", ")} (at most ${MOST})`,
);
process.exitCode = broken ? 1 : 0;
