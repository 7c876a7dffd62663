/**
 * Modules in processes of their own, as a user's program is one, and the problem that each of them works on.
 */
import { spawn } from "node:child_process";
import { HUGE } from "./jobs.ts";
import { patience } from "./patience.ts";

/**
 * JavaScript that a child begins with, after its import of a backend: 784-200-10 on 20 rows, `weights(backend, samples)`,
 * `openSession(backend)` and a `plan` of one update that takes minutes.
 */
export const PROBLEM = `
import { setTimeout as delay } from "node:timers/promises";
const network = { layers: [784, 200, 10], activation: "relu" };
const parameters = Float32Array.from({ length: 159010 }, (_, i) => ((i * 7919) % 1000) / 1e4 - 0.05);
const batch = {
  inputs: Uint8Array.from({ length: 20 * 784 }, (_, i) => (i * 2654435761) >>> 24),
  labels: Uint16Array.from({ length: 20 }, (_, i) => i % 10),
};
const sampling = (samples) => ({
  coupling: { kind: "antithetic", samples }, temperature: 1, rowwise: false, projected: true,
});
const weights = (backend, samples) => backend.operations.weights({
  network, loss: { kind: "cross-entropy" }, parameters, batch, key: [1, 2], update: 0, tau: 0.01, noiseScale: 0.1,
  ...sampling(samples),
});
const openSession = (backend, train = batch) => backend.openSession({
  network, loss: { kind: "cross-entropy" }, data: { train }, batchSize: 20,
  estimator: { kind: "importance-sampling", ...sampling(${HUGE}) },
  optimizer: { kind: "gradient-descent" }, key: [1, 2], state: { parameters, moments: [], chain: null },
});
const plan = {
  first: 0, count: 1, rows: Uint32Array.from({ length: 20 }, (_, i) => i),
  tau: Float64Array.of(0.01), noiseScale: Float64Array.of(0.1), rate: Float64Array.of(0.1),
};
`;

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
  readonly errors: string;
  /** Milliseconds from the last output to the end. */
  readonly sinceOutput: number;
}

interface ProcessOptions {
  /** Node's. */
  readonly flags?: readonly string[];
  readonly env?: object;
}

/** Runs a module in a process of its own until it ends. */
export function runModule(source: string, options: ProcessOptions = {}): Promise<Ended> {
  return runNode(["--input-type=module", "-e", source], options);
}

/** Runs Node in a process of its own until it ends: a file and its arguments. */
export function runNode(
  args: readonly string[],
  { flags = [], env = {} }: ProcessOptions = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...flags, ...args], {
      env: { ...process.env, ...env },
      timeout: patience(20_000),
    });
    let [output, errors, last, sinceOutput] = ["", "", performance.now(), Number.NaN];
    child.stdout.on("data", (data) => {
      output += data;
      last = performance.now();
    });
    child.stderr.on("data", (data) => {
      errors += data;
    });
    child.on("exit", () => {
      sinceOutput = performance.now() - last;
    });
    child.on("close", (code, signal) => resolve({ code, signal, output, errors, sinceOutput }));
  });
}
