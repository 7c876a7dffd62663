/**
 * Test accuracy after a budget of processor time on one core, three seeds, gradient-free and by backpropagation:
 * `node bench/studies/accuracy.mjs [--only NAME,…] [--seconds S | --updates N] [--seeds 1,2,3] [--data FOLDER]
 * [--select] [--set NAME=VALUE …]`. Needs `npm run build` before.
 *
 * A run's schedule ends within the budget: the number of updates comes from the rate of short runs before. Time is
 * processor time of the training loop (all of the process but data loading and evaluation). The last iterate is
 * measured on all 10,000 test images, or the average of the iterates ("averaged"). `--select` trains on 55,000 images
 * and measures on the other 5,000 instead: what settings are chosen by.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { cosine, loadMnist, train } from "../../dist/index.js";

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    seconds: { type: "string" },
    updates: { type: "string" },
    seeds: { type: "string", default: "1,2,3" },
    select: { type: "boolean", default: false },
    data: { type: "string" },
    set: { type: "string", multiple: true, default: [] },
  },
});

const walsh = { kind: "importance-sampling", coupling: { kind: "walsh", blocks: 2 }, rowwise: true };
const adam = (rate, weightDecay) => ({ kind: "adam", rate: cosine(rate, 0), weightDecay });
/** The average of the iterates, at a constant rate. */
const averaging = (rate, weightDecay) => ({
  averaging: true,
  optimizer: { kind: "adam", rate, weightDecay },
});
const entropy = (tau, estimator = walsh) => ({ kind: "local-entropy", tau, estimator });

/** Name → seconds and settings; where they say nothing else: 784-200-10, B = 32. */
const RUNS = {
  "gradient-free-6": { seconds: 6, objective: entropy(2e-3), optimizer: adam(1e-3, 0.05) },
  "gradient-free-60": { seconds: 60, objective: entropy(5e-3), optimizer: adam(1e-3, 0.05) },
  "gradient-free-6-averaged": { seconds: 6, objective: entropy(2e-3), ...averaging(2e-3, 0.05) },
  "gradient-free-60-averaged": { seconds: 60, objective: entropy(5e-3), ...averaging(2e-3, 0.05) },
  "gradient-free-180-averaged": { seconds: 180, objective: entropy(5e-3), ...averaging(2e-3, 0.05) },
  "backpropagation-6-averaged": { seconds: 6, objective: { kind: "loss" }, ...averaging(1e-3, 0.05) },
  "backpropagation-60-averaged": { seconds: 60, objective: { kind: "loss" }, ...averaging(1e-3, 0.05) },
  "gradient-free-180": { seconds: 180, objective: entropy(1e-2), optimizer: adam(1e-3, 0.05) },
  "backpropagation-6": { seconds: 6, objective: { kind: "loss" }, optimizer: adam(1e-3, 0.05) },
  "backpropagation-60": { seconds: 60, objective: { kind: "loss" }, optimizer: adam(1e-3, 0.05) },
  "linear-60": { seconds: 60, network: [784, 10], objective: entropy(2e-3), optimizer: adam(1e-3, 0) },
  "step-60": {
    seconds: 60,
    network: { layers: [784, 200, 10], activation: "step" },
    objective: entropy(1e-2),
    optimizer: adam(1e-3, 0.05),
  },
  "step-60-averaged": {
    seconds: 60,
    network: { layers: [784, 200, 10], activation: "step" },
    objective: entropy(1e-2),
    ...averaging(1e-3, 0.05),
  },
  "zero-one-60": { seconds: 60, loss: "zero-one", objective: entropy(1e-2), optimizer: adam(1e-3, 0.05) },
  "zero-one-60-averaged": {
    seconds: 60,
    loss: "zero-one",
    objective: entropy(1e-2),
    ...averaging(1e-3, 0.05),
  },
  "backpropagation-180-averaged": { seconds: 180, objective: { kind: "loss" }, ...averaging(1e-3, 0.05) },
};

const data = await loadMnist({
  ...(flags.data ? { directory: flags.data } : {}),
  ...(flags.select ? { validation: 5000 } : {}),
});

/** Overrides for choosing settings: --set tau=0.005 --set rate=2e-3 --set decay=0.02 --set batch=64 --set blocks=4. */
const overrides = Object.fromEntries(flags.set.map((pair) => pair.split("=")));
function adjusted({ seconds, ...settings }) {
  const changed = { network: [784, 200, 10], batchSize: 32, ...settings };
  if (overrides.tau) changed.objective = { ...changed.objective, tau: Number(overrides.tau) };
  if (overrides.blocks) {
    const estimator = { ...walsh, coupling: { kind: "walsh", blocks: Number(overrides.blocks) } };
    changed.objective = { ...changed.objective, estimator };
  }
  if (overrides.rate || overrides.decay) {
    const numbers = [Number(overrides.rate ?? 1e-3), Number(overrides.decay ?? 0.05)];
    Object.assign(changed, changed.averaging ? averaging(...numbers) : { optimizer: adam(...numbers) });
  }
  if (overrides.batch) changed.batchSize = Number(overrides.batch);
  return { seconds: Number(flags.seconds ?? seconds), settings: changed };
}

/** Processor seconds of a run's updates. */
async function processorSeconds(options) {
  const before = process.cpuUsage();
  const run = train({ ...options, data: { train: data.train }, threads: 1, backend: "native" });
  await run.result;
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** Updates in a little less than so many seconds, from the median rate of three short runs. */
async function updatesIn(seconds, settings) {
  const [few, many] = [500, 5500];
  const rates = [];
  for (let i = 0; i < 3; i++) {
    const a = await processorSeconds({ ...settings, updates: few });
    const b = await processorSeconds({ ...settings, updates: many });
    rates.push((many - few) / (b - a));
  }
  return Math.floor(0.98 * seconds * rates.sort((x, y) => x - y)[1]);
}

console.log(`${cpus()[0].model}, one core, Node ${process.version}`);
for (const [name, run] of Object.entries(RUNS)) {
  if (flags.only && !flags.only.split(",").includes(name)) continue;
  const { seconds, settings } = adjusted(run);
  const updates = flags.updates ? Number(flags.updates) : await updatesIn(seconds, settings);
  const accuracies = [];
  for (const seed of flags.seeds.split(",").map(Number)) {
    const before = process.cpuUsage();
    const training = train({ ...settings, data, updates, seed, threads: 1, backend: "native" });
    const result = await training.result;
    const { user, system } = process.cpuUsage(before);
    const accuracy = flags.select ? result.validationAccuracy : result.testAccuracy;
    accuracies.push(accuracy);
    console.log(
      `${name} seed ${seed}: ${(100 * accuracy).toFixed(2)} % ${flags.select ? "(held out)" : ""} after ${updates} updates, ` +
        `${result.seconds.toFixed(1)} s of the loop, ${((user + system) / 1e6).toFixed(1)} s of the processor, ${result.backend.instructionSet}`,
    );
  }
  const mean = accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length;
  console.log(`${name}: mean of ${accuracies.length} seeds ${(100 * mean).toFixed(2)} %\n`);
}
