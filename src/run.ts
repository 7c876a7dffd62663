/**
 * A run: drives a session update by update, several in one crossing, and tells of it as records.
 *
 * `train` and `minimize` both start one; what an update computes is the objective's (`objectives/`) and the
 * backend's. The loop here knows updates, records, evaluations, stopping and saving, and no mathematics.
 */
import { AVERAGE_EVERY, averaged } from "./averaging.ts";
import type { DataSplit, Plan, PlanResult, Session, SessionState, Vector } from "./backends/backend.ts";
import { VALUES } from "./backends/backend.ts";
import type { BackendName } from "./backends/registry.ts";
import { DivergedError } from "./errors.ts";
import type { Network } from "./network.ts";
import type { Resume } from "./options.ts";

/** What a run tells as it goes: means over the updates since the record before. */
export interface TrainRecord {
  /** Updates done, from 1. */
  readonly update: number;
  /** Mean loss that the updates saw on their minibatches, in nats (a cost matrix's in its own unit). */
  readonly loss: number;
  /** |gradient of the objective|, Euclidean. */
  readonly gradientNorm: number;
  /** (Σw)²/Σw², 1 … J: how far the weights spread. Importance sampling only. */
  readonly effectiveSampleSize?: number;
  /** Estimate of F_τ = −δ log E e^{−f/δ} (eq. 2), in the loss's unit. Importance sampling only. */
  readonly freeEnergy?: number;
  /** Fraction 0 … 1 of the test rows, where evaluated and at the end. */
  readonly testAccuracy?: number;
  /** The same of the validation rows. */
  readonly validationAccuracy?: number;
  /** Seconds of training so far, evaluation left out. */
  readonly seconds: number;
  /** Updates a second since the record before, evaluation left out. */
  readonly updatesPerSecond: number;
}

/** What ran, and why nothing better did. */
export interface BackendReport {
  /** Which backend ran. */
  readonly name: BackendName;
  /** Of native "avx512", "avx2", "sse4" or "neon"; of wasm the build, as "simd+threads"; of the reference "float64". */
  readonly instructionSet: string;
  /** Threads that it worked on, at least 1. */
  readonly threads: number;
  /** How the noise of the first layer was computed. */
  readonly form: "projected" | "direct";
  /** The coupling's kind, where the estimator is made of samples. */
  readonly coupling?: string;
  /** J: loss evaluations or chain steps an update (Robbins–Monro: M·J). */
  readonly samples?: number;
  /** Each better backend by `name`, and the `reason` why it was not taken. */
  readonly declined: readonly { readonly name: BackendName; readonly reason: string }[];
}

/** What a run of `train` comes to. */
export interface TrainResult {
  /** The last iterate, or with `averaging` the average of the iterates (n). */
  readonly parameters: Vector;
  /** The network that they belong to, its defaults filled in. */
  readonly network: Network;
  /** Fraction 0 … 1 of the test rows that `parameters` predict right; null without test rows. */
  readonly testAccuracy: number | null;
  /** The same of the validation rows; null without them. */
  readonly validationAccuracy: number | null;
  /** Updates done, those before a `resume` included. */
  readonly updates: number;
  /** Time spent in updates, in seconds, evaluation left out, that before a `resume` included. */
  readonly seconds: number;
  /** False after `break` or `stop()`. */
  readonly completed: boolean;
  /** What ran, and why nothing better did. */
  readonly backend: BackendReport;
  /**
   * Writes `checkpoint.safetensors` and `run.json` into a `directory`, made if missing.
   *
   * @throws CheckpointError if it cannot be written; what was there before then stays
   */
  save(directory: string): Promise<void>;
}

/**
 * A run under way: iterate over its records, or await its result, or both. Records wait for a reader, the latest
 * 100,000 of them.
 */
export interface Run<Result = TrainResult> extends AsyncIterable<TrainRecord> {
  /** What runs, and why nothing better does. */
  readonly backend: BackendReport;
  /**
   * What the run came to, once it has ended. Rejects, as iterating does, with a DivergedError, a BackendError or the
   * signal's reason.
   */
  readonly result: Promise<Result>;
  /** Stops as `break` does: `result` resolves with `completed: false`. */
  stop(): void;
  /** Writes the state between two updates into a `directory`, as `TrainResult.save`; the run goes on. */
  save(directory: string): Promise<void>;
}

/** The state of a run at one point: what a checkpoint holds. */
export interface Snapshot {
  readonly state: SessionState;
  /** Of the iterates (n); null without averaging and before the first one. */
  readonly average: Vector | null;
  readonly update: number;
  readonly pending: readonly number[];
  readonly seconds: number;
  readonly completed: boolean;
  readonly testAccuracy: number | null;
  readonly validationAccuracy: number | null;
}

/** What a run drives and how far. */
export interface Drive<Result> {
  readonly session: Session;
  /** Turns update numbers into rows and schedule values. */
  plan(first: number, count: number): Plan;
  readonly updates: number;
  readonly recordEvery: number;
  /** 0: at the end only. */
  readonly evaluateEvery: number;
  /** Splits to measure the accuracy on. */
  readonly splits: readonly DataSplit[];
  /** Of the average that is given, or of the session's parameters where it is null. */
  accuracy(split: DataSplit, average: Vector | null): Promise<number>;
  /** Whether iterates are averaged. */
  readonly averaging: boolean;
  readonly signal?: AbortSignal;
  readonly resume?: Resume;
  readonly backend: BackendReport;
  /** Whether updates report an effective sample size and F_τ. */
  readonly weighted: boolean;
  /** Most updates in one crossing (bounds the row numbers' memory). */
  readonly updatesPerCrossing: number;
  finish(snapshot: Snapshot): Result;
  save(snapshot: Snapshot, directory: string): Promise<void>;
  /** Called once when the run has ended, however it did. */
  close(): void;
}

/** Records kept for a reader who has not come yet; older ones are dropped beyond it. */
const UNREAD_RECORDS = 100_000;

/** Starts the run at once; it goes on whether or not anyone iterates. */
export function startRun<Result>(drive: Drive<Result>): Run<Result> {
  return new DrivenRun(drive);
}

class DrivenRun<Result> implements Run<Result> {
  readonly backend: BackendReport;
  readonly result: Promise<Result>;
  readonly #drive: Drive<Result>;
  readonly #halt = new AbortController();
  readonly #unread: TrainRecord[] = [];
  readonly #saves: { directory: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #wake: (() => void) | null = null;
  #ended: { error: unknown } | "well" | null = null;
  #last: Snapshot | null = null;

  constructor(drive: Drive<Result>) {
    this.#drive = drive;
    this.backend = drive.backend;
    this.result = this.#run().then(
      (result) => {
        this.#end("well");
        return result;
      },
      (error) => {
        this.#end({ error });
        throw error;
      },
    );
    this.result.catch(() => {}); // a rejection that nobody reads must not end the process
  }

  stop(): void {
    this.#halt.abort();
  }

  save(directory: string): Promise<void> {
    if (this.#last !== null) return this.#drive.save(this.#last, directory);
    if (this.#ended !== null) return this.result.then(() => {});
    return new Promise((resolve, reject) => this.#saves.push({ directory, resolve, reject }));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TrainRecord, void, undefined> {
    try {
      while (true) {
        const record = this.#unread.shift();
        if (record !== undefined) yield record;
        else if (this.#ended === "well") return;
        else if (this.#ended !== null) throw this.#ended.error;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      this.stop();
    }
  }

  #end(how: { error: unknown } | "well"): void {
    this.#ended = how;
    // Of the final state, or with the error that there is none.
    for (const { directory, resolve, reject } of this.#saves.splice(0))
      this.save(directory).then(resolve, reject);
    this.#wake?.();
  }

  #tell(record: TrainRecord): void {
    this.#unread.push(record);
    if (this.#unread.length > UNREAD_RECORDS) this.#unread.shift();
    this.#wake?.();
  }

  async #run(): Promise<Result> {
    const { session, signal, close } = this.#drive;
    const abort = () => this.#halt.abort();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      this.#last = await this.#loop(session);
      return this.#drive.finish(this.#last);
    } finally {
      signal?.removeEventListener("abort", abort);
      session.close();
      close();
    }
  }

  /** The updates, crossing by crossing, to the end or until it is halted; then the final accuracy. */
  async #loop(session: Session): Promise<Snapshot> {
    const { updates, recordEvery, evaluateEvery, averaging, signal, resume } = this.#drive;
    const averageEvery = averaging ? AVERAGE_EVERY : 0;
    const means = new Means(this.#drive.weighted, resume?.pending);
    let update = resume?.update ?? 0;
    let seconds = resume?.seconds ?? 0;
    let secondsBefore = seconds;
    let updateBefore = update;
    let average: Vector | null = resume?.average?.slice() ?? null;
    let measured: { at: number; accuracies: Accuracies } | null = null;
    const measure = async () => {
      if (measured?.at !== update) measured = { at: update, accuracies: await this.#measure(average) };
      return measured.accuracies;
    };
    /** With the accuracies where they are known: they belong to the update that they were measured at. */
    const snapshot = async (completed: boolean): Promise<Snapshot> => {
      const { test, validation } = measured?.at === update ? measured.accuracies : ({} as Accuracies);
      return {
        state: await session.read(),
        average: average?.slice() ?? null,
        update,
        pending: means.sums,
        seconds,
        completed,
        testAccuracy: test ?? null,
        validationAccuracy: validation ?? null,
      };
    };
    while (update < updates && !this.#halt.signal.aborted) {
      const count = Math.min(
        updates - update,
        untilMultiple(update, recordEvery),
        untilMultiple(update, evaluateEvery),
        untilMultiple(update, averageEvery),
        this.#drive.updatesPerCrossing,
      );
      const plan = this.#drive.plan(update, count);
      const began = performance.now();
      const result = await session.run(plan, this.#halt.signal);
      means.add(result, update);
      update += result.done;
      if (result.done > 0 && isMultiple(update, averageEvery))
        average = averaged(average, (await session.read()).parameters, update);
      seconds += (performance.now() - began) / 1000;
      signal?.throwIfAborted();
      if (result.done < count) break;
      const evaluate = update === updates || isMultiple(update, evaluateEvery);
      const accuracies = evaluate ? await measure() : {};
      if (evaluate || isMultiple(update, recordEvery)) {
        const rate = (update - updateBefore) / Math.max(seconds - secondsBefore, 1e-9);
        this.#tell({
          update,
          ...means.take(),
          ...named(accuracies),
          seconds,
          updatesPerSecond: rate,
        });
        secondsBefore = seconds;
        updateBefore = update;
      }
      for (const { directory, resolve, reject } of this.#saves.splice(0)) {
        await snapshot(false)
          .then((now) => this.#drive.save(now, directory))
          .then(resolve, reject);
      }
    }
    signal?.throwIfAborted();
    await measure();
    return snapshot(update === updates);
  }

  async #measure(average: Vector | null): Promise<Accuracies> {
    const accuracies: Accuracies = {};
    for (const split of this.#drive.splits) accuracies[split] = await this.#drive.accuracy(split, average);
    return accuracies;
  }
}

type Accuracies = Partial<Record<DataSplit, number>>;

function named({ test, validation }: Accuracies) {
  return {
    ...(test === undefined ? {} : { testAccuracy: test }),
    ...(validation === undefined ? {} : { validationAccuracy: validation }),
  };
}

function isMultiple(update: number, every: number): boolean {
  return every > 0 && update % every === 0;
}

function untilMultiple(update: number, every: number): number {
  return every > 0 ? every - (update % every) : Number.POSITIVE_INFINITY;
}

/** Running sums of what updates report, since the last record. */
class Means {
  /** Count, then the sum of each value (0 for those that are not reported). */
  #sums: number[];
  readonly #weighted: boolean;

  constructor(weighted: boolean, pending: readonly number[] | undefined) {
    this.#weighted = weighted;
    this.#sums = pending ? [...pending] : new Array(1 + VALUES).fill(0);
  }

  get sums(): readonly number[] {
    return [...this.#sums];
  }

  /** @throws DivergedError at the first update whose loss or gradient is not finite */
  add({ done, values }: PlanResult, first: number): void {
    for (let i = 0; i < done; i++) {
      if (!Number.isFinite(values[VALUES * i]) || !Number.isFinite(values[VALUES * i + 1])) {
        throw new DivergedError(
          `The loss was ${values[VALUES * i]} and the gradient's norm ${values[VALUES * i + 1]} at update ` +
            `${first + i + 1}: the run diverged. Try a smaller rate, tau or stepSize`,
        );
      }
      this.#sums[0]++;
      const reported = this.#weighted ? VALUES : 2;
      for (let v = 0; v < reported; v++) this.#sums[1 + v] += values[VALUES * i + v];
    }
  }

  take(): Pick<TrainRecord, "loss" | "gradientNorm" | "effectiveSampleSize" | "freeEnergy"> {
    const [count, ...sums] = this.#sums;
    this.#sums = new Array(1 + VALUES).fill(0);
    const [loss, gradientNorm, effectiveSampleSize, freeEnergy] = sums.map((sum) => sum / count);
    if (!this.#weighted) return { loss, gradientNorm };
    return { loss, gradientNorm, effectiveSampleSize, freeEnergy };
  }
}
