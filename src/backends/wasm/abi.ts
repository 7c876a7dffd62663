/**
 * What the WASM kernels and their JavaScript host agree on: the job (`description.ts`) as a struct in memory, and the
 * exports.
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
 * The host also stores the memory's number of pages in `control.pages`: an engine may tell a thread late that another has
 * grown it (one that is just starting above all), and until then what lies behind is out of that thread's bounds.
 *
 * **Cancelling.** A nonzero `job.cancel` (`Atomics.store`) is seen at each block of samples or chain step. `done` then
 * tells how many updates of a plan (or of the one operation, 0 or 1) were done; the state stands after the last one,
 * all other outputs are undefined. The host zeroes `cancel` before a job.
 *
 * Symbols: B rows of a minibatch, d_0 … d_L widths, n parameters, J samples or chain steps, M samples a step.
 */
import {
  ARRAYS,
  type ArrayName,
  MACHINE_WORDS,
  type MachineWord,
  RESULTS,
  type ResultName,
  SCALARS,
  type ScalarName,
} from "../description.ts";

export type JobField = ScalarName | ArrayName | ResultName | MachineWord;

function named<Name extends string>(fields: Readonly<Record<Name, string>>, type: string): Name[] {
  return (Object.keys(fields) as Name[]).filter((name) => fields[name] === type);
}

/** Fields of 8 bytes from the job's address on, then those of 4: numbers, and arrays as byte addresses. */
const DOUBLES: readonly JobField[] = [...named(SCALARS, "f64"), ...named(RESULTS, "f64")];
const WORDS: readonly JobField[] = [
  ...named(SCALARS, "u32"),
  ...(Object.keys(ARRAYS) as ArrayName[]),
  ...named(RESULTS, "u32"),
  ...MACHINE_WORDS,
];

/** Byte offsets of a job's fields, as scripts/generate.mjs has them. */
export const JOB = Object.fromEntries([
  ...DOUBLES.map((name, i) => [name, 8 * i]),
  ...WORDS.map((name, i) => [name, 8 * DOUBLES.length + 4 * i]),
]) as Readonly<Record<JobField, number>>;

/** Bytes of a job; it begins at a multiple of 8. */
export const JOB_BYTES = Math.ceil((8 * DOUBLES.length + 4 * WORDS.length) / 64) * 64;

/** Byte offsets of a control (u32 each); it begins at a multiple of 4. */
export const CONTROL = { round: 0, job: 4, finished: 8, running: 12, pages: 16 } as const;
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
}

/**
 * The builds, fastest first, as `dist/wasm/local-entropy.<name>.wasm`. `threads` and `relaxed` import a shared memory of
 * `MEMORY.initial` … `MEMORY.maximum` pages of 64 kB (any maximum up to that one does), `simd` one that is not shared.
 */
export const BUILDS = ["relaxed", "threads", "simd"] as const;
export type WasmBuild = (typeof BUILDS)[number];

export const MEMORY = { initial: 1, maximum: 65536 } as const;
