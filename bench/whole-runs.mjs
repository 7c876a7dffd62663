/**
 * Whole runs to a stated accuracy: 784-200-10 on MNIST, B = 32, Adam at 1e-3 with decoupled weight decay 0.05.
 *
 * Everybody does the number of updates that is known to reach it, so that no time goes into looking; the accuracy
 * that was reached stands beside the time, and a run below the stated one is reported as such. Back-propagation at a
 * constant rate, the same in every package. Gradient-free: local entropy by Walsh blocks, its rate falling by a cosine.
 */
import { cosine, openBackend, train } from "../dist/index.js";
import { array } from "./peers/peer.mjs";
import { data, network } from "./problem.mjs";

const B = 32;
const STATED = 0.97;
const UPDATES = { backpropagation: 5000, gradientFree: 5000 };
const WEIGHT_DECAY = 0.05;

/** Rows of minibatches by permutations of the training data, as (updates × B). */
function permuted(updates) {
  const count = data.train.labels.length;
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 1n;
  const random = (below) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(below));
  };
  return Uint32Array.from({ length: updates * B }, (_, i) => {
    const at = i % count;
    const other = at + random(count - at);
    [order[at], order[other]] = [order[other], order[at]];
    return order[at];
  });
}

/** Our own runs by name: options of `train`. */
const OURS = {
  "gradient-free, Walsh blocks": (updates) => ({
    objective: { kind: "local-entropy", tau: 2e-3 },
    optimizer: { kind: "adam", rate: cosine(1e-3, 0), weightDecay: WEIGHT_DECAY },
    updates: updates.gradientFree,
  }),
  "back-propagation": (updates) => ({
    objective: { kind: "loss" },
    optimizer: { kind: "adam", rate: 1e-3, weightDecay: WEIGHT_DECAY },
    updates: updates.backpropagation,
  }),
};

/** Seconds of the updates and the accuracy that they reached, of each run. */
export async function wholeRuns({ quick, peers }) {
  const updates = quick ? { backpropagation: 400, gradientFree: 400 } : UPDATES;
  const rows = [];
  const sets = { train: dataset(data.train), test: dataset(data.test) };
  for (const [name, options] of Object.entries(OURS)) {
    const run = train({ network, data: { train: sets.train }, batchSize: B, ...options(updates) });
    const result = await run.result;
    rows.push(await row(`local-entropy, ${name}`, result.parameters, result.seconds, result.updates));
  }
  const count = updates.backpropagation;
  const settings = { rate: 1e-3, weightDecay: WEIGHT_DECAY, rows: array(permuted(count), count, B) };
  for (const { name, parameters: end, seconds } of await peers.wholeRuns({ ...settings, restart: true })) {
    rows.push(await row(`${name}, back-propagation`, end, seconds, count));
  }
  console.log(`\nWhole runs to ${100 * STATED} % of the test images`);
  for (const { name, seconds, accuracy, updates } of rows) {
    const reached = accuracy >= STATED ? "" : ", below the stated accuracy";
    console.log(
      `  ${name}: ${updates} updates, ${seconds.toFixed(2)} s, ${(100 * accuracy).toFixed(2)} %${reached}`,
    );
  }
  return { stated: STATED, batchSize: B, rows };
}

function dataset({ inputs, labels }) {
  return { inputs, labels: Uint8Array.from(labels), count: labels.length, width: 784, classes: 10 };
}

async function row(name, end, seconds, updates) {
  const backend = await openBackend();
  const { inputs, labels } = data.test;
  const parameters = Float32Array.from(end);
  const accuracy = await backend.accuracy({ network, parameters, data: { inputs, labels } });
  backend.close();
  return { name, seconds, updates, accuracy };
}
