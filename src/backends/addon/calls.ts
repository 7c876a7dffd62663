/**
 * Jobs of the addon as promises: their errors as the package's, their cancellation by a signal or by closing.
 *
 * The addon makes no promise, error or typed array, since `instanceof` fails for those of another realm.
 */
import { BackendError, OptionError } from "../../errors.ts";
import type { Addon, Done, Job, Outputs } from "./load.ts";

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

/** Copies a job's outputs into arrays of exactly their lengths. */
type Collect = (...outputs: Outputs) => void;

export interface CallOptions<T> {
  readonly begin: (done: Done) => Job;
  readonly finish: (numbers: number[], collect: Collect) => T;
  /** What a cancelled call resolves with; it rejects with what this throws. */
  readonly cancelled: () => T;
  readonly signal?: AbortSignal;
}

/** Calls under way on behalf of one owner (a backend or a session), until it is closed. */
export class Calls {
  readonly #addon: Addon;
  readonly #owner: string;
  readonly #jobs = new Set<Job>();
  #closed = false;

  constructor(addon: Addon, owner: string) {
    this.#addon = addon;
    this.#owner = owner;
  }

  get closed(): boolean {
    return this.#closed;
  }

  checkOpen(): void {
    if (this.#closed) throw new BackendError(`The ${this.#owner} is closed; open a new one`);
  }

  start<T>({ begin, finish, cancelled, signal }: CallOptions<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.checkOpen();
      const caller = new Error(); // its stack shows who called, which a job's end no longer knows
      const abort = () => this.#addon.cancel(job);
      const done: Done = (code, message, numbers) => {
        signal?.removeEventListener("abort", abort);
        this.#jobs.delete(job);
        try {
          this.checkOpen();
          if (code === "CANCELLED") resolve(cancelled());
          else if (code !== null) throw Object.assign(caller, { code, message });
          else resolve(finish(numbers, (...outputs) => this.#addon.collect(job, ...outputs)));
        } catch (error) {
          reject(error === signal?.reason ? error : asError(error));
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
    for (const job of this.#jobs) this.#addon.cancel(job);
  }
}
