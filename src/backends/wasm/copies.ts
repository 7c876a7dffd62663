/**
 * Copies of a job's arrays, made before its call returns, in the kernels' number types: their buffers then move to the
 * thread that computes.
 */
import { ARRAYS, type ArrayName } from "../description.ts";
import { type Job, type JobArrays, type NumberArray, SCALAR_NAMES, type SessionJob } from "../job.ts";

/** A call on its way to the computing thread: plain data, and the buffers that move there. */
export interface Copied<T> {
  readonly input: T;
  readonly buffers: readonly ArrayBuffer[];
}

export const TYPES = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  f32: Float32Array,
  f64: Float64Array,
};

const FLOATS = SCALAR_NAMES.indexOf("inputsAreFloats");

function copyArrays({ scalars, arrays }: Job): JobArrays {
  const copies: JobArrays = {};
  for (const [name, array] of Object.entries(arrays) as [ArrayName, NumberArray | undefined][]) {
    const type = name === "inputs" && scalars[FLOATS] !== 0 ? "f32" : ARRAYS[name];
    if (array !== undefined) copies[name] = new TYPES[type](array);
  }
  return copies;
}

const buffersOf = ({ arrays }: Job) => Object.values(arrays).map(({ buffer }) => buffer as ArrayBuffer);

const copyOf = (job: Job): Job => ({ ...job, arrays: copyArrays(job) });

export function copyJob(job: Job): Copied<Job> {
  const input = copyOf(job);
  return { input, buffers: buffersOf(input) };
}

/** @param rowsOf a split's rows, that move: by default copies */
export function copySession({ job, splits }: SessionJob, rowsOf = copyOf): Copied<SessionJob> {
  const held = Object.entries(splits).map(([split, rows]) => [split, rowsOf(rows)] as const);
  const input = { job: copyOf(job), splits: Object.fromEntries(held) };
  return { input, buffers: [input.job, ...held.map(([, rows]) => rows)].flatMap(buffersOf) };
}
