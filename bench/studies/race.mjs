/**
 * Time of an update beside another program's, by turns on the same machine:
 * `node bench/studies/race.mjs --rival PROGRAM --data FOLDER [--threads 1] [--rounds 7] [--updates
 * 6000]`. Needs `npm run build` before.
 *
 * 784-200-10 on MNIST, B = 20, J = 1,024: two Walsh blocks, row split, Adam with weight decay. The rival is DESIGN's
 * prototype or one that takes its arguments and prints "us/upd wall W cpu C"; FOLDER has MNIST's four files as both
 * read them. Each round times ours, then the rival's; what is printed are medians, and the median of the rounds'
 * ratios.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { cosine, loadMnist, train } from "../../dist/index.js";

const { values: flags } = parseArgs({
  options: {
    rival: { type: "string" },
    data: { type: "string" },
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "7" },
    updates: { type: "string", default: "6000" },
  },
});
if (!flags.rival || !flags.data) throw new Error("--rival PROGRAM and --data FOLDER are needed");
const [threads, rounds, updates] = [flags.threads, flags.rounds, flags.updates].map(Number);
const { train: images } = await loadMnist({ directory: flags.data });

let instructionSet;

/** Microseconds of so many updates. */
async function ours(count) {
  const run = train({
    network: [784, 200, 10],
    data: { train: images },
    objective: {
      kind: "local-entropy",
      tau: 2e-3,
      estimator: { kind: "importance-sampling", coupling: { kind: "walsh", blocks: 2 }, rowwise: true },
    },
    optimizer: { kind: "adam", rate: cosine(1e-3, 0), weightDecay: 0.05 },
    batchSize: 20,
    updates: count,
    threads,
    backend: "native",
  });
  const start = process.hrtime.bigint();
  ({ instructionSet } = (await run.result).backend);
  return Number(process.hrtime.bigint() - start) / 1e3;
}

function rival() {
  const args = ["--data", flags.data, "--B", 20, "--K", 2, "--tau", 2e-3, "--wd", 0.05, "--T", threads];
  const output = execFileSync(flags.rival, [...args, "--updates", updates, "--every", 1e6].map(String));
  return Number(/us\/upd wall ([\d.]+)/.exec(output.toString())[1]);
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const times = [];
await ours(500);
for (let round = 0; round < rounds; round++) {
  const [few, many] = [await ours(updates / 4), await ours(updates)];
  times.push([(many - few) / (updates - updates / 4), rival()]);
}
const [own, theirs] = [0, 1].map((i) => median(times.map((pair) => pair[i])));
const ratio = median(times.map(([a, b]) => a / b));
console.log(
  `${instructionSet}, ${threads} thread(s): ${own.toFixed(1)} µs an update, the rival ${theirs.toFixed(1)}; ratio ${ratio.toFixed(3)}`,
);
