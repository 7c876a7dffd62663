/**
 * Inputs of every operation and of a session on a small network, for the contract of a backend; and what can be done to
 * all arrays of an input at once, wherever they stand in it.
 */
import { createContext, runInContext } from "node:vm";
import type { Operations, Plan, SessionSetup } from "../../src/backends/backend.ts";
import { typeName } from "../../src/errors.ts";
import { examples, KEY, networkCase, normalVector } from "./fixtures.ts";

type Bytes = "bytes" | "floats";
export type OperationName = keyof Operations;
export type Inputs = { readonly [Name in OperationName]: Parameters<Operations[Name]>[0] };

const LAYERS = [11, 7, 4];
const ROWS = 5;
const { network, parameters } = networkCase({ layers: LAYERS, rows: ROWS });
const n = parameters.length;
const costs = Float64Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 0 : 1 + i / 8));
const small = (number: number) => Float32Array.from(normalVector(number, n), (z) => z / 50);

/** An input for each operation, its arrays its own. */
export function operationInputs(kind: Bytes = "bytes"): Inputs {
  const batch = examples(LAYERS, ROWS, kind, 3);
  const point = { network, loss: { kind: "cross-entropy" }, parameters, batch } as const;
  const drawn = { key: KEY, update: 3, tau: 0.02, noiseScale: Math.sqrt(0.02), projected: true };
  const sampled = {
    ...point,
    ...drawn,
    coupling: { kind: "antithetic", samples: 12 },
    temperature: 0.7,
    rowwise: true,
  } as const;
  const { batch: _, ...place } = point;
  const batches = [batch];
  return copiedArrays({
    gaussian: { key: KEY, stream: 17, update: 2, sample: 5, count: 70 },
    loss: { ...point, loss: { kind: "cost-matrix", costs } },
    gradient: point,
    predict: { network, loss: { kind: "logistic" }, parameters, inputs: batch.inputs },
    accuracy: point,
    outputs: {
      network,
      parameters,
      inputs: batch.inputs,
      ...drawn,
      coupling: sampled.coupling,
      rowwise: true,
    },
    weights: { ...sampled, rowwise: false },
    importanceSampling: sampled,
    evolutionStrategies: { ...sampled, coupling: { kind: "walsh", blocks: 2 } },
    sgld: {
      ...place,
      ...drawn,
      batches,
      stepSizes: Float64Array.of(0.01, 0.02, 0.015),
      noiseScales: Float64Array.of(0.1, 0.15, 0.12),
      start: parameters.map((x, i) => x + small(1)[i]),
    },
    robbinsMonro: { ...place, ...drawn, batches, samples: 3, stepSizes: Float64Array.of(0.1, 0.05) },
    step: {
      optimizer: { kind: "momentum", momentum: 0.9 },
      rate: 0.1,
      parameters,
      gradient: small(2),
      moments: [small(3)],
      index: 1,
    },
    hessianProduct: { network, parameters, batch, vector: small(9) },
  });
}

/** A session of Langevin chains, so that the estimator has arrays too, and a state with everything in it. */
export function sessionSetup(kind: Bytes = "bytes"): SessionSetup {
  return copiedArrays({
    network,
    loss: { kind: "cross-entropy" },
    data: { train: examples(LAYERS, 9, kind, 4), test: examples(LAYERS, 7, kind, 5) },
    batchSize: ROWS,
    estimator: {
      kind: "sgld",
      stepSizes: Float64Array.of(0.01, 0.02, 0.015),
      noiseScales: Float64Array.of(0.1, 0.15, 0.12),
      chainStart: "previous",
      batches: 1,
      projected: true,
    },
    optimizer: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 },
    key: KEY,
    state: { parameters, moments: [small(6), small(7).map((m) => m * m)], chain: small(8) },
  });
}

/** Updates first … first + count − 1 on rows that depend on the update's number only. */
export function planOf(first: number, count: number): Plan {
  const fill = (value: number) => new Float64Array(count).fill(value);
  return {
    first,
    count,
    rows: Uint32Array.from({ length: count * ROWS }, (_, i) => (7 * (first * ROWS + i)) % 9),
    tau: fill(0.02),
    noiseScale: fill(Math.sqrt(0.02)),
    rate: fill(1e-2),
  };
}

type TypedArray = Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array;

/** The input with `replace` of each of its typed arrays. */
function withArrays<T>(input: T, replace: (array: TypedArray) => TypedArray): T {
  if (ArrayBuffer.isView(input)) return replace(input as unknown as TypedArray) as T;
  if (Array.isArray(input)) return input.map((value) => withArrays(value, replace)) as T;
  if (typeName(input) !== "Object") return input;
  const entries = Object.entries(input as object).map(([key, value]) => [key, withArrays(value, replace)]);
  return Object.fromEntries(entries);
}

function copiedArrays<T>(input: T): T {
  return withArrays(input, (array) => array.slice());
}

const realm = runInContext(
  "({ Uint8Array, Uint16Array, Uint32Array, Float32Array, Float64Array })",
  createContext(),
);

/** The same numbers in arrays that `instanceof` does not know. */
export function fromAnotherRealm<T>(input: T): T {
  return withArrays(input, (array) => realm[typeName(array)].from(array));
}

/** Changes every array of an input that was handed over: zeros in the place of its numbers. */
export function clearArrays(input: unknown): void {
  withArrays(input, (array) => array.fill(0));
}

/** Paths of an input's arrays: "parameters", "batch.inputs", … */
export function arrayPaths(input: unknown, path = ""): string[] {
  if (ArrayBuffer.isView(input)) return [path.slice(1)];
  if (typeof input !== "object" || input === null) return [];
  return Object.entries(input).flatMap(([key, value]) => arrayPaths(value, `${path}.${key}`));
}

/** Transfers the buffer of the array at a path away. */
export function detachArray(input: unknown, path: string): void {
  const array = path.split(".").reduce((value, key) => (value as Record<string, unknown>)[key], input);
  structuredClone(array, { transfer: [(array as TypedArray).buffer as ArrayBuffer] });
}
