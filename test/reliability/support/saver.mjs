/** A thread or a process that saves a result of its own into a folder, over and over. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { train } from "../../../dist/index.js";

const { directory, seed, times } = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const inputs = new Float32Array(64 * 6).map((_, i) => Math.sin(i));
const labels = new Uint8Array(64).map((_, i) => i % 3);
const data = { train: { inputs, labels, count: 64, width: 6, classes: 3 } };
const result = await train({ network: [6, 8, 3], data, updates: seed, seed, backend: "reference" }).result;
for (let i = 0; i < times; i++) await result.save(directory);
if (isMainThread) console.log("saved");
else parentPort.postMessage("saved");
