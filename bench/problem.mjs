/**
 * What the benchmarks compute on: 784-200-10 on MNIST (or, where it is not installed, on images made up with as many
 * zeros), B = 20, at Glorot's initialization, through the seam that every backend has.
 */
import { nativeStatus, openNative } from "../lib/backends/addon/native.js";
import { openReference } from "../lib/backends/reference.js";
import { BACKENDS, selectBackend, whyNot } from "../lib/backends/registry.js";
import { loadMnist } from "../lib/data/mnist.js";
import { initialParameters } from "../lib/initialization.js";
import { expectClose } from "./harness.mjs";

export const network = { layers: [784, 200, 10], activation: "relu" };
export const loss = { kind: "cross-entropy" };
export const B = 20;
export const key = [1, 0];
export const parameters = initialParameters(network, key);
export const TAU = 0.01;

/** Labels at random, four fifths of the pixels zero. */
function madeUp(count) {
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const inputs = Uint8Array.from({ length: 784 * count }, () => (random() < 0.2 ? 256 * random() : 0));
  return { inputs, labels: Uint16Array.from({ length: count }, () => 10 * random()) };
}

async function load() {
  try {
    const { train, test } = await loadMnist();
    const samples = ({ inputs, labels }) => ({ inputs, labels: Uint16Array.from(labels) });
    return { name: "MNIST", train: samples(train), test: samples(test) };
  } catch (error) {
    return { name: `images made up (${error.message})`, train: madeUp(20_000), test: madeUp(10_000) };
  }
}

export const { name: dataName, ...data } = await load();

/** The first `count` rows of the training data. */
export function batch(count = B) {
  return { inputs: data.train.inputs.slice(0, 784 * count), labels: data.train.labels.slice(0, count) };
}

/** What can be opened here, best first: [label, open], on two threads and on one. */
function choices() {
  const { instructionSets } = nativeStatus();
  return BACKENDS.flatMap((name) => {
    if (name === "reference" || whyNot(name) !== null) return [];
    const label = (set, threads) => `${set}, ${threads} thread${threads > 1 ? "s" : ""}`;
    if (name === "cuda") return [[name, () => selectBackend(name, 1).backend]];
    if (name !== "native")
      return [2, 1].map((threads) => [label(name, threads), () => selectBackend(name, threads).backend]);
    return instructionSets.flatMap((set) =>
      [2, 1].map((threads) => [label(set, threads), () => openNative({ instructionSet: set, threads })]),
    );
  });
}

/** Each backend that is not here, and why. */
export const missing = () =>
  BACKENDS.map((name) => ({ name, reason: whyNot(name) })).filter(({ reason }) => reason !== null);

/** Opens all backends but the reference: by name, best first. */
export function backends() {
  const open = choices();
  if (open.length === 0) {
    const reasons = missing().map(({ name, reason }) => `${name}: ${reason}`);
    throw new Error(`Expected a backend to measure but found none\n${reasons.join("\n")}`);
  }
  return Object.fromEntries(open.map(([name, start]) => [name, start()]));
}

/** A session and `run(count)`: that many updates in one crossing, at this rate, on consecutive rows. */
export function openRun(backend, estimator, { rate = 0, ...options } = {}) {
  const setup = {
    network,
    loss,
    data,
    batchSize: B,
    estimator,
    optimizer: { kind: "gradient-descent" },
    key,
    state: { parameters, moments: [], chain: null },
    ...options,
  };
  const session = backend.openSession(setup);
  const rowCount = setup.data.train.labels.length;
  let first = 0;
  const run = async (count = 1) => {
    const rows = Uint32Array.from(
      { length: count * (estimator.batches ?? 1) * setup.batchSize },
      (_, i) => (first * setup.batchSize + i) % rowCount,
    );
    const fill = (value) => new Float64Array(count).fill(value);
    const plan = {
      first,
      count,
      rows,
      tau: fill(TAU),
      noiseScale: fill(Math.sqrt(TAU)),
      rate: fill(rate),
    };
    first += count;
    const { done } = await session.run(plan);
    if (done !== count) throw new Error(`Expected ${count} updates but ${done} were done`);
  };
  return { session, run };
}

/** The parameters' difference from the start after two updates at rate 1: the sum of two gradients. */
async function moves(backend, estimator) {
  const { session, run } = openRun(backend, estimator, { rate: 1 });
  await run(2);
  const { parameters: moved } = await session.read();
  session.close();
  return Float64Array.from(moved, (value, i) => value - parameters[i]);
}

/** The reference's answers by estimator: every backend is held to the same. */
const expected = new Map();

/** Holds a backend's two gradients, far from zero so that a relative error says something, to the reference's. */
export async function checkEstimator(name, backend, estimator, bound) {
  if (!expected.has(estimator)) expected.set(estimator, await moves(openReference(), estimator));
  const got = await moves(backend, estimator);
  expectClose(`${name}, against the reference`, got, expected.get(estimator), bound);
}

/**
 * Compares a list of estimators by name, on every backend the first `everywhere` of them (quick: one), on the best
 * backend all; then rivals from other packages.
 *
 * @param estimators name → { estimator, small, error }: `small` is the same, cheap enough for the reference to check;
 *   `error` its name in the study of errors
 * @param rivals of other packages, for `Harness.compare`
 * @param updates in one crossing from JavaScript, as a run does many: between crossings the other threads sleep
 */
export async function compareEstimators(
  harness,
  title,
  estimators,
  { bound = 1e-3, rivals = {}, everywhere = 1, updates = 1 } = {},
) {
  const opened = backends();
  const ours = {};
  const sessions = [];
  for (const [i, [backendName, backend]] of Object.entries(opened).entries()) {
    const list = Object.entries(estimators).slice(0, i === 0 ? undefined : harness.quick ? 1 : everywhere);
    for (const [name, { estimator, small, error }] of list) {
      await checkEstimator(`${title}, ${name}, ${backendName}`, backend, small ?? estimator, bound);
      const { session, run } = openRun(backend, estimator);
      sessions.push(session);
      ours[`${name}; ${backendName}`] = { run: () => run(updates), per: updates, error };
    }
  }
  await harness.compare(title, { ...ours, ...rivals }, { unit: "update" });
  for (const session of sessions) session.close();
  for (const backend of Object.values(opened)) backend.close();
}
