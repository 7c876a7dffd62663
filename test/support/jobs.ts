/**
 * Inputs for the tests of the addon's jobs: a network of the usual size, and jobs that take seconds.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { describe } from "@jest/globals";
import type {
  Estimator,
  Examples,
  Plan,
  SessionSetup,
  SessionState,
  Vector,
  WeightsInput,
} from "../../src/backends/backend.ts";
import { initialParameters } from "../../src/initialization.ts";
import { keyOf } from "../../src/reference/random/streams.ts";
import { BUILT } from "./installed.ts";
import { patience } from "./patience.ts";

/** `describe` where the addon was built; elsewhere a skip that is reported. One that does not load fails. */
export const describeNative = existsSync(BUILT) ? describe : describe.skip;

export const BATCH_SIZE = 20;
const ROWS = 60;
const key = keyOf(12345);
const network = { layers: [784, 200, 10], activation: "relu" } as const;
const loss = { kind: "cross-entropy" } as const;
const parameters = initialParameters(network, key);

/** Rows first … first + count − 1 of made-up images, no two alike. */
function images(first: number, count: number): Examples {
  const width = network.layers[0];
  const pixel = (i: number) => Math.imul(i + first * width, 0x9e3779b1) >>> 24;
  return {
    inputs: Uint8Array.from({ length: count * width }, (_, i) => pixel(i)),
    labels: Uint16Array.from({ length: count }, (_, row) => (first + row) % 10),
  };
}

/** Importance sampling of J samples: about 10 µs each, so a million take seconds. */
export function weightsInput(samples: number, signal?: AbortSignal): WeightsInput {
  return {
    network,
    loss,
    parameters: parameters.slice(),
    batch: images(0, BATCH_SIZE),
    key,
    update: 3,
    tau: 0.01,
    noiseScale: 0.1,
    coupling: { kind: "antithetic", samples },
    temperature: 0.7,
    rowwise: false,
    projected: true,
    signal,
  };
}

export const HUGE = 4_000_000;

export function sessionSetup(samples: number): SessionSetup {
  const estimator: Estimator = {
    kind: "importance-sampling",
    coupling: { kind: "antithetic", samples },
    temperature: 0.7,
    rowwise: false,
    projected: true,
  };
  return {
    network,
    loss,
    data: { train: images(0, ROWS), test: images(ROWS, 7) },
    batchSize: BATCH_SIZE,
    estimator,
    optimizer: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 },
    key,
    state: {
      parameters: parameters.slice(),
      moments: [new Float32Array(parameters.length), new Float32Array(parameters.length)],
      chain: null,
    },
  };
}

/** Updates first … first + count − 1 on rows that depend on the update's number only. */
export function planOf(first: number, count: number): Plan {
  const fill = (value: number) => new Float64Array(count).fill(value);
  return {
    first,
    count,
    rows: Uint32Array.from({ length: count * BATCH_SIZE }, (_, i) => (7 * (first * BATCH_SIZE + i)) % ROWS),
    tau: fill(0.01),
    noiseScale: fill(0.1),
    rate: fill(1e-3),
  };
}

/** What a promise rejected with; fails where it resolved. */
export function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return promise.then(
    () => {
      throw new Error("Expected a rejection but the promise resolved");
    },
    (error) => error,
  );
}

export function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Milliseconds within which everything under way must stop. */
export const STOP_WITHIN = 100;

/**
 * The quickest of up to three attempts, fewer where one is within the bound, in milliseconds of a quiet machine: other
 * programs' load may delay one of them, a job that is not stopped takes seconds and delays all.
 */
export async function quickest(bound: number, attempt: () => Promise<number>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3 && !(best < bound); i++)
    best = Math.min(best, (await attempt()) * (bound / patience(bound)));
  return best;
}

/** A state as text that differs where one bit does; `toEqual` takes seconds for arrays of this length. */
export function fingerprint({ parameters, moments, chain }: SessionState): string {
  const hash = (vector: Vector) =>
    createHash("sha256")
      .update(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))
      .digest("hex");
  return [parameters, ...moments, ...(chain ? [chain] : [])].map(hash).join(" ");
}
