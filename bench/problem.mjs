/**
 * What the benchmarks compute on: 784-200-10 on MNIST, B = 20, at Glorot's initialization, through the seam that
 * every backend has.
 */
import { nativeStatus, openNative } from "../dist/backends/native.js";
import { openReference } from "../dist/backends/reference.js";
import { openWasm } from "../dist/backends/wasm.js";
import { wasmStatus } from "../dist/backends/wasm-load.js";
import { loadMnist } from "../dist/data/mnist.js";
import { initialParameters } from "../dist/network.js";
import { expectClose } from "./harness.mjs";

export const network = { layers: [784, 200, 10], activation: "relu" };
export const loss = { kind: "cross-entropy" };
export const B = 20;
export const key = [1, 0];
export const parameters = initialParameters(network, key);
export const TAU = 0.01;

const mnist = await loadMnist();
const samples = ({ inputs, labels }) => ({ inputs, labels: Uint16Array.from(labels) });
export const data = { train: samples(mnist.train), test: samples(mnist.test) };

/** The first `count` rows of the training data. */
export function batch(count = B) {
  return { inputs: data.train.inputs.slice(0, 784 * count), labels: data.train.labels.slice(0, count) };
}

const { instructionSets } = nativeStatus();
if (instructionSets.length === 0) {
  throw new Error(
    "Expected the native addon but found none: run `npm run build`, then `npx local-entropy doctor`",
  );
}

/**
 * Backends by name, best first: each instruction set on two threads, the best on one; AVX2 and each build of WASM on one
 * thread beside each other, and WASM on two. (Node 20 has relaxed SIMD only with --experimental-wasm-relaxed-simd.)
 */
export function backends() {
  const [best, ...others] = instructionSets;
  const entry = (name, open) => (instructionSet, threads) => [
    `${name}${instructionSet}, ${threads} thread${threads > 1 ? "s" : ""}`,
    open({ instructionSet, threads }),
  ];
  const native = entry("", openNative);
  const wasm = entry("wasm ", openWasm);
  const builds = wasmStatus().instructionSets;
  return Object.fromEntries([
    native(best, 2),
    native(best, 1),
    ...others.map((set) => native(set, 2)),
    ...others.filter((set) => set === "avx2").map((set) => native(set, 1)),
    ...builds.map((build) => wasm(build, 1)),
    ...builds.filter((build) => build !== "simd").map((build) => wasm(build, 2)),
  ]);
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

/**
 * Two updates at rate 1 on this backend and on the reference, and their parameters' difference from the start:
 * the sum of two gradients. Gradients far from zero, so that a relative error says something.
 */
export async function checkEstimator(name, backend, estimator, bound) {
  const moves = [];
  for (const each of [backend, openReference()]) {
    const { session, run } = openRun(each, estimator, { rate: 1 });
    await run(2);
    const { parameters: moved } = await session.read();
    session.close();
    moves.push(Float64Array.from(moved, (value, i) => value - parameters[i]));
  }
  expectClose(`${name}, against the reference`, moves[0], moves[1], bound);
}

/**
 * Compares a list of estimators by name, on every backend the first of them, on the best backend all of them.
 *
 * @param small the same estimator, cheap enough for the reference to check
 */
export async function compareEstimators(harness, title, estimators, small, bound) {
  const opened = backends();
  const rivals = {};
  const sessions = [];
  for (const [i, [backendName, backend]] of Object.entries(opened).entries()) {
    for (const [name, estimator] of Object.entries(estimators).slice(0, i === 0 ? undefined : 1)) {
      await checkEstimator(`${title}, ${name}, ${backendName}`, backend, small(estimator), bound);
      const { session, run } = openRun(backend, estimator);
      sessions.push(session);
      rivals[`${name}; ${backendName}`] = () => run();
    }
  }
  await harness.compare(title, rivals, { unit: "update" });
  for (const session of sessions) session.close();
  for (const backend of Object.values(opened)) backend.close();
}
