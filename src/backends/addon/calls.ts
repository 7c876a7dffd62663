/**
 * Jobs of the addon as promises: their errors as the package's, their cancellation by a signal or by closing.
 *
 * The addon makes no promise, error or typed array, since `instanceof` fails for those of another realm.
 */

import { BackendError, OptionError } from "../../errors.ts";
import type { AbortSignalLike } from "../backend.ts";
import { ARRAYS, type ArrayName } from "../description.ts";
import type { Answer, JobArrays } from "../job.ts";
import type { Addon, Done, JobNumber, Numbers, Queue } from "./addon.ts";

const OUT_OF_MEMORY = "The machine has not enough memory for this call; ask for fewer samples or rows";

/** The package's error for what the addon, or the making of an output array, threw. */
function asError(error: unknown): Error {
  if (error instanceof BackendError || error instanceof OptionError) return error;
  const { code, message, name } = error as Error & { code?: string };
  if (code === "ARRAY_LENGTH" || code === "ARRAY_TYPE") return new OptionError(message, { cause: error });
  if (name === "RangeError") return new BackendError(OUT_OF_MEMORY, { cause: error });
  return new BackendError(message, { cause: error });
}

/** Runs a call of the addon; what it throws leaves as the package's error. */
export function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asError(error);
  }
}

const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };

/** Arrays of these names and lengths. */
export function newArrays(lengths: Partial<Record<ArrayName, number>>): JobArrays {
  const entries = Object.entries(lengths) as [ArrayName, number][];
  return Object.fromEntries(entries.map(([name, length]) => [name, new TYPES[ARRAYS[name]](length)]));
}

/** Calls under way on behalf of one owner (a backend or a session), until it is closed. */
export class Calls {
  readonly #addon: Addon;
  readonly #queue: Queue;
  readonly #owner: string;
  readonly #jobs = new Set<JobNumber>();
  #closed = false;

  constructor(addon: Addon, queue: Queue, owner: string) {
    this.#addon = addon;
    this.#queue = queue;
    this.#owner = owner;
  }

  get closed(): boolean {
    return this.#closed;
  }

  checkOpen(): void {
    if (this.#closed) throw new BackendError(`The ${this.#owner} is closed; open a new one`);
  }

  /**
   * Starts a job; resolves to its answer, or to null where it was cancelled.
   *
   * @param outputs lengths of the arrays that are wanted of it, from its numbers
   */
  start(
    begin: (done: Done) => JobNumber,
    outputs: (numbers: Numbers) => Partial<Record<ArrayName, number>>,
    signal?: AbortSignalLike,
  ): Promise<Answer | null> {
    return new Promise((resolve, reject) => {
      this.checkOpen();
      const caller = new Error(); // its stack shows who called, which a job's end no longer knows
      const abort = () => this.#addon.cancel(this.#queue, job);
      const done: Done = (code, message, numbers) => {
        signal?.removeEventListener("abort", abort);
        this.#jobs.delete(job);
        try {
          this.checkOpen();
          if (code === "CANCELLED") return resolve(null);
          if (code !== null) throw Object.assign(caller, { code, message });
          const arrays = newArrays(outputs(numbers));
          const wanted = Object.keys(arrays).length;
          if (wanted > 0 && this.#addon.collect(this.#queue, arrays) !== wanted) {
            throw new BackendError("The addon lacks an output that was asked for; build it again");
          }
          resolve({ numbers, arrays });
        } catch (error) {
          reject(asError(error));
        }
      };
      const job = translated(() => begin(done));
      this.#jobs.add(job);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Cancels what is under way, whose promises then reject. */
  close(): void {
    this.#closed = true;
    for (const job of this.#jobs) this.#addon.cancel(this.#queue, job);
  }
}
