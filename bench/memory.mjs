/**
 * Resident memory of a run: 784-200-10 on the whole of MNIST with the default objective, measured in this process
 * from its start (Node itself included).
 */
import { loadMnist, train } from "../dist/index.js";

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MB`;
const start = process.memoryUsage.rss();
const run = train({ network: [784, 200, 10], data: await loadMnist(), updates: 300, recordEvery: 100 });
for await (const { update } of run) console.log(`update ${update}: ${megabytes(process.memoryUsage.rss())}`);
const { backend, testAccuracy } = await run.result;
const peak = process.resourceUsage().maxRSS * 1024;
console.log(
  `${backend.name}, ${backend.instructionSet}, ${backend.threads} threads, accuracy ${testAccuracy}`,
);
console.log(`at the start ${megabytes(start)}, at most ${megabytes(peak)}`);
