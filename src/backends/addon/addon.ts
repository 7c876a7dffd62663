/**
 * What an addon offers to JavaScript, whichever engine it has.
 */
import type { Answer, Job, JobArrays } from "../job.ts";

/** A handle to something that the addon owns; collecting it frees that. */
type Handle<Name extends string> = { readonly handle: Name };
export type Queue = Handle<"queue">;
export type NativeSession = Handle<"session">;
export type NativePredictor = Handle<"predictor">;

/** A job among those of its queue, from 1. */
export type JobNumber = number;

export type Numbers = Answer["numbers"];
/** Called once for each job: the failure's code and message, or null and the job's results by name. */
export type Done = (code: string | null, message: string, numbers: Numbers) => void;

/**
 * What native/node/addon.cc registers. A job is given as its numbers and its arrays, which are copied before a call
 * returns; but the normals' `output`, which is written in place.
 */
export interface Addon {
  instructionSets(): string[];
  open(instructionSet: string, threads: number): Queue;
  instructionSet(queue: Queue): string;
  /** Fewer than it was opened with where the system refuses some. */
  threads(queue: Queue): number;
  close(queue: Queue): void;
  /** A job that was told of is let be. */
  cancel(queue: Queue, job: JobNumber): void;
  /** Inside `done`: copies that job's outputs into arrays of exactly their lengths, by name, and counts them. */
  collect(queue: Queue, arrays: JobArrays): number;

  /** Any operation but `run`. */
  start(queue: Queue, scalars: Float64Array, arrays: JobArrays, done: Done): JobNumber;
  /** The same at once, on the calling thread and without a queue, for questions of microseconds; fills `outputs`. */
  answer(instructionSet: string, scalars: Float64Array, arrays: JobArrays, outputs: JobArrays): Numbers;

  /** A job's network, loss and parameters, kept for predictions on the calling thread. */
  openPredictor(queue: Queue, scalars: Float64Array, arrays: JobArrays): NativePredictor;
  /** At once; writes the last two arrays whole. */
  predict(
    predictor: NativePredictor,
    inputs: Uint8Array | Float32Array,
    outputs: Float32Array,
    labels: Uint16Array,
  ): void;
  closePredictor(predictor: NativePredictor): void;

  /** A split's job may leave its `inputs` out; then they are to be added before the session's first call. */
  openSession(queue: Queue, job: Job, ...splits: (Job | undefined)[]): NativeSession;
  /** The next inputs of a split, by its place in `DATA_SPLITS`. */
  addInputs(session: NativeSession, split: number, inputs: Uint8Array | Float32Array): void;
  closeSession(session: NativeSession): void;
  run(session: NativeSession, scalars: Float64Array, arrays: JobArrays, done: Done): JobNumber;
  /** Of the plan's one update. */
  outputs(session: NativeSession, scalars: Float64Array, arrays: JobArrays, done: Done): JobNumber;
  /** @param split its place in `DATA_SPLITS` */
  accuracy(session: NativeSession, split: number, done: Done): JobNumber;
  /** @param split its place in `DATA_SPLITS` */
  predictSplit(session: NativeSession, split: number, done: Done): JobNumber;
  read(session: NativeSession, done: Done): JobNumber;
}
