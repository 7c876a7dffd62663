/**
 * What the WASM kernels and their JavaScript host agree on: the job, a struct in memory, and the exports.
 *
 * **Who owns what.** The host imports a memory (`env.memory`) and owns every byte from `heapBase` on; below it, and
 * anywhere that the job does not point to, the kernels touch nothing, and they allocate nothing. The host writes
 * inputs and a job into its arena, asks `workspaceBytes(job)`, gives the job a workspace of that many bytes and runs
 * it. A workspace holds nothing between jobs, so all jobs that never run at once can share one. Arrays begin at
 * multiples of 16 bytes (workspaces: 64); up to 64 bytes past an array's end may be read, never written, so the
 * memory must not end there.
 *
 * **One thread** (the build without threads, or `threads` 1): `run(job, 0)` returns when the job is done.
 *
 * **T threads** (SPMD): each of T workers has an instance on the same shared memory, and all of them enter
 * `run(job, t)`, t = 0 … T − 1, and meet at barriers inside, so none may be missing. Workers usually stand in
 * `serve(control, t)`. To run a job the host stores its address in `control.job`, adds 1 to `control.round`
 * (`Atomics.add`) and notifies that word; when the last thread is done `control.finished` has become that round, and
 * was notified (`Atomics.waitAsync`). `job` 0 makes all of them return. A new control is all zeros.
 *
 * **Cancelling.** A nonzero `job.cancel` (`Atomics.store`) is seen at each block of samples or chain step. `done` then
 * tells how many updates of a plan (or of the one operation, 0 or 1) were done; the state stands after the last one,
 * all other outputs are undefined. The host zeroes `cancel` before a job.
 *
 * Symbols: B rows of a minibatch, d_0 … d_L widths, n parameters, J samples or chain steps, M samples a step.
 */

/** What a job does; `Job.operation`. Each names the fields that it needs besides threads and workspace. */
export const OPERATIONS = {
  /** seed, stream, first (the update), sample, entries → output (entries f32). */
  gaussian: 0,
  /** network, costs, samples, batchSize, rows, parameters → loss. */
  loss: 1,
  /** network, samples (labels not read), batchSize, rows, parameters → output (B × classes f32), outputLabels (B). */
  predict: 2,
  /** network, samples, batchSize, rows, parameters → correct: rows whose largest logit is the label's. */
  correct: 3,
  /**
   * The estimator at `parameters` on the first update of a plan: network, costs, samples, batchSize, batches, rows,
   * estimator, seed, first, tau[0], noiseScale[0] → gradient (n), losses (J, where the pointer is not 0), the scalars;
   * SGLD: chain x¹ in, x^J out.
   */
  estimate: 4,
  /** optimizer, entries (n), rate[0], first (the step's index − 1), gradient → parameters, moments. */
  step: 5,
  /** `count` updates of a session: all fields of estimate and of step → parameters, moments, chain, values, done. */
  run: 6,
} as const;

export const ACTIVATIONS = { relu: 0, tanh: 1, step: 2 } as const;

export const ESTIMATORS = {
  sgd: 0,
  "importance-sampling": 1,
  "evolution-strategies": 2,
  sgld: 3,
  "robbins-monro": 4,
} as const;

export const COUPLINGS = { independent: 0, antithetic: 1, walsh: 2 } as const;

export const OPTIMIZERS = { "gradient-descent": 0, momentum: 1, adam: 2 } as const;

/** Doubles of a job, 8 bytes each from the job's address on, in this order. */
const DOUBLES = [
  // in
  "temperature",
  "momentum",
  "beta1",
  "beta2",
  "epsilon",
  "weightDecay",
  // out, of the last update done; NaN where an estimator has none
  "loss",
  "gradientNorm",
  "effectiveSampleSize",
  "freeEnergy",
  "largestWeight",
  "standardError",
] as const;

/** Words of a job, 4 bytes each after the doubles. Pointers are byte addresses; flags are 0 or 1. */
const WORDS = [
  "operation",
  /** T: how many threads enter. */
  "threads",
  "seedLow",
  "seedHigh",
  /** L. */
  "depth",
  /** Pointer: d_0 … d_L (u32). */
  "layers",
  "activation",
  /** Pointer: classes × classes f32, [label, predicted]; 0 for cross-entropy. */
  "costs",
  /** Pointer: sampleCount × d_0, u8 (byte/255) or f32 (as is). */
  "inputs",
  "inputsAreFloats",
  /** Pointer: sampleCount u16; 0 for predict. */
  "labels",
  "sampleCount",
  /** B. */
  "batchSize",
  /** Batches an update: 1, or one for each transition of a chain. */
  "batches",
  /** Pointer: numbers of samples, count × batches × B u32; 0: 0 … count · batches · B − 1. */
  "rows",
  "estimator",
  "coupling",
  /** J; of Walsh: blocks K; of Robbins–Monro: M. */
  "samples",
  /** Independent samples only. */
  "centred",
  /** Independent, projected samples without `rowwise` only. */
  "sampleComplement",
  "rowwise",
  "projected",
  /** J of a chain, and its step sizes ε_j or a_j (f64). */
  "steps",
  "stepSizes",
  /** Pointer, SGLD: J f64 (the last is not used). */
  "noiseScales",
  /** SGLD, operation run: each chain starts where the last one ended. */
  "chainPrevious",
  /** Whether standardError is wanted: it can cost a pass of its own. */
  "wantsError",
  "optimizer",
  /** k of the first update: Philox's update word; Adam's index is k + 1. */
  "first",
  "count",
  /** Pointers: one f64 an update. */
  "tau",
  "noiseScale",
  "rate",
  /** Pointer: count × 4 f64, as PlanResult.values. */
  "values",
  /** Pointers: n f32 each. `gradient` is scratch in operation run. */
  "parameters",
  "gradient",
  "moment1",
  "moment2",
  /** Pointer, SGLD: n f32; operation run: only with chainPrevious, and valid if chainValid. */
  "chain",
  "losses",
  "output",
  "outputLabels",
  /** Of the operation gaussian, and of step: how many. */
  "entries",
  "stream",
  "sample",
  /** Pointer: workspaceBytes(job) bytes. */
  "workspace",
  // in and out, kept between the jobs of a session
  "chainValid",
  "cancel",
  // out
  "done",
  "correct",
  // the kernels' own: zero in a new job, then left alone
  "arrived",
  "phase",
  "stopped",
  "next",
] as const;

export type DoubleField = (typeof DOUBLES)[number];
export type WordField = (typeof WORDS)[number];
export type JobField = DoubleField | WordField;

function offsets<Name extends string>(names: readonly Name[], first: number, size: number) {
  return Object.fromEntries(names.map((name, i) => [name, first + size * i])) as Record<Name, number>;
}

/** Byte offsets of a job's fields. */
export const JOB: Readonly<Record<JobField, number>> = {
  ...offsets(DOUBLES, 0, 8),
  ...offsets(WORDS, 8 * DOUBLES.length, 4),
};

/** Bytes of a job; it begins at a multiple of 8. */
export const JOB_BYTES = Math.ceil((8 * DOUBLES.length + 4 * WORDS.length) / 64) * 64;

/** Byte offsets of a control (u32 each); it begins at a multiple of 4. */
export const CONTROL = { round: 0, job: 4, finished: 8, running: 12 } as const;
export const CONTROL_BYTES = 64;

const isDouble = new Set<string>(DOUBLES);

/** Writes some fields of the job at `pointer`. */
export function writeJob(memory: DataView, pointer: number, fields: Partial<Record<JobField, number>>): void {
  for (const [name, value] of Object.entries(fields) as [JobField, number][]) {
    if (isDouble.has(name)) memory.setFloat64(pointer + JOB[name], value, true);
    else memory.setUint32(pointer + JOB[name], value, true);
  }
}

export function readJob(memory: DataView, pointer: number, name: JobField): number {
  return isDouble.has(name)
    ? memory.getFloat64(pointer + JOB[name], true)
    : memory.getUint32(pointer + JOB[name], true);
}

/** What each of the three builds exports. All numbers but workspaceBytes' are unsigned 32-bit. */
export interface WasmExports {
  /** First byte that belongs to the host. */
  readonly heapBase: { readonly value: number };
  /** Bytes of workspace that the job needs, for its T threads; it grows with the problem only. May exceed 2³². */
  workspaceBytes(job: number): number;
  /** The job's part of thread number `thread`, 0 … T − 1. */
  run(job: number, thread: number): void;
  /** A worker's loop; returns when it is told to. Only in the builds with threads. */
  serve?(control: number, thread: number): void;
  /** `count` normals, in room for `count` rounded up to 64. */
  gaussian(
    key0: number,
    key1: number,
    stream: number,
    update: number,
    index: number,
    count: number,
    pointer: number,
  ): void;
  philox(c0: number, c1: number, c2: number, c3: number, k0: number, k1: number, pointer: number): void;
  /** For tests: x ← f(x) for `count` floats in place, f = 0 … 4: exp, 2^x, log(1 + x), tanh, e^x − 1 − x. */
  elementary(f: number, pointer: number, count: number): void;
  /** Writes the offsets of a job's fields in order (u32) from `pointer` on; returns how many. */
  layout(pointer: number): number;
}

/**
 * The builds, fastest first, as `dist/wasm/local-entropy.<name>.wasm`. `threads` and `relaxed` import a shared memory of
 * `MEMORY.initial` … `MEMORY.maximum` pages of 64 kB (any maximum up to that one does), `simd` one that is not shared.
 */
export const BUILDS = ["relaxed", "threads", "simd"] as const;
export type WasmBuild = (typeof BUILDS)[number];

export const MEMORY = { initial: 1, maximum: 65536 } as const;
