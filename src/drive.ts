/**
 * Drives a session update by update, several in one crossing, and tells of it as records.
 *
 * `train` and `minimize` both start one; what an update computes is the estimator's and the backend's. The loop here
 * knows updates, records, evaluations, stopping and saving, and no mathematics.
 */
import { AVERAGE_EVERY, averaged, withLast } from "./averaging.ts";
import type { AbortSignalLike, DataSplit, Plan, Session, SessionState, Vector } from "./backends/backend.ts";
import { DivergedError } from "./errors.ts";
import { nextTurn } from "./host.ts";
import { Means } from "./means.ts";
import type { Measures, RegressionErrors } from "./measures.ts";
import { lostNoise, type Precision } from "./options/precision.ts";
import type { Resume } from "./options/types.ts";
import type { BackendReport, Run, TrainRecord } from "./run.ts";

/** What was measured, by its names in a result; null what was not. */
export interface Measured {
  readonly testAccuracy: number | null;
  readonly validationAccuracy: number | null;
  readonly testErrors: RegressionErrors | null;
  readonly validationErrors: RegressionErrors | null;
}

/** The state of a run at one point: what a checkpoint holds. */
export interface Snapshot extends Measured {
  readonly state: SessionState;
  /** Of the iterates so far (n), as it goes on; null without averaging and before the first one. */
  readonly average: Vector | null;
  readonly update: number;
  readonly pending: readonly number[];
  readonly seconds: number;
  readonly completed: boolean;
}

/** What a run drives and how far. */
export interface Drive<Result> {
  /** Opens the session, in turns; the run owns it. */
  open(): Promise<Session>;
  /** What the session is opened with, finite. */
  readonly start: SessionState;
  /** Turns update numbers into rows and schedule values. */
  plan(first: number, count: number): Plan;
  readonly updates: number;
  readonly recordEvery: number;
  /** 0: at the end only. */
  readonly evaluateEvery: number;
  /** Splits to measure. */
  readonly splits: readonly DataSplit[];
  /** Of the average that is given, or of the session's parameters where it is null. */
  measure(split: DataSplit, average: Vector | null): Promise<Measures>;
  /** Whether iterates are averaged. */
  readonly averaging: boolean;
  readonly signal?: AbortSignalLike;
  readonly resume?: Resume;
  /** The options that are others than those of the run that is resumed. */
  readonly changed?: readonly string[];
  readonly backend: BackendReport;
  /** What helps against a divergence: a sentence without its full stop. */
  readonly advice: string;
  /** What the session computes in, where samples are drawn; null where none are. */
  readonly precision: Precision | null;
  /** Where a parameter stands, in words. */
  placeOf(index: number): string;
  /** Whether updates report an effective sample size and F_τ. */
  readonly weighted: boolean;
  /** Of an effective sample size: what is wrong with the settings, and what helps; null where nothing is. Told once. */
  warning?(effectiveSampleSize: number): string | null;
  /** Most updates in one crossing (bounds the row numbers' memory). */
  readonly updatesPerCrossing: number;
  finish(snapshot: Snapshot): Result;
  save(snapshot: Snapshot, directory: string): Promise<void>;
  /** Called once when the run has ended, however it did. */
  close(): void;
}

/** Records kept for a reader who has not come yet; older ones are dropped beyond it. */
const UNREAD_RECORDS = 100_000;
/** Reading the state to keep it may take this part of the time. */
const KEEPING_SHARE = 1 / 200;

/** Starts the run at once; it goes on whether or not anyone iterates. */
export function startRun<Result>(drive: Drive<Result>): Run<Result> {
  return new DrivenRun(drive);
}

class DrivenRun<Result> implements Run<Result> {
  readonly backend: BackendReport;
  readonly changed: readonly string[];
  readonly result: Promise<Result>;
  readonly #drive: Drive<Result>;
  readonly #halt = new AbortController();
  readonly #unread: TrainRecord[] = [];
  readonly #saves: { directory: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #wake: (() => void) | null = null;
  #ended: { error: unknown } | "well" | null = null;
  #last: Snapshot | null = null;
  /** The latest state that is known to be finite: what there is to save of a run that failed. */
  #good: Snapshot | null = null;

  constructor(drive: Drive<Result>) {
    this.#drive = drive;
    this.changed = drive.changed ?? [];
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
    if (this.#ended !== null) {
      // Of a run that failed its last good state, or where it had none, why.
      const state = this.#last !== null && allFinite(this.#last) ? this.#last : (this.#good ?? this.#last);
      return state === null ? this.result.then(() => {}) : this.#drive.save(state, directory);
    }
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
    // Of the final state, or of the last good one.
    for (const { directory, resolve, reject } of this.#saves.splice(0))
      this.save(directory).then(resolve, reject);
    this.#wake?.();
  }

  /** @returns whether somebody was waiting for it */
  #tell(record: TrainRecord): boolean {
    this.#unread.push(record);
    if (this.#unread.length > UNREAD_RECORDS) this.#unread.shift();
    const waiting = this.#wake !== null;
    this.#wake?.();
    this.#wake = null;
    return waiting;
  }

  async #run(): Promise<Result> {
    const { signal, close } = this.#drive;
    let session: Session | null = null;
    const abort = () => this.#halt.abort();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      this.#good = this.#begun(); // before the session takes the arrays that it is opened with
      session = await this.#drive.open();
      this.#last = await this.#loop(session);
      return this.#drive.finish(this.#last);
    } finally {
      signal?.removeEventListener("abort", abort);
      session?.close();
      close();
    }
  }

  /** The updates, crossing by crossing, to the end or until it is halted; then the final accuracy. */
  async #loop(session: Session): Promise<Snapshot> {
    const { updates, recordEvery, evaluateEvery, splits, averaging, signal, resume } = this.#drive;
    const averageEvery = averaging ? AVERAGE_EVERY : 0;
    const means = new Means(this.#drive.weighted, this.#drive.advice, resume?.pending);
    let update = resume?.update ?? 0;
    let seconds = resume?.seconds ?? 0;
    let secondsBefore = seconds;
    let updateBefore = update;
    let average: Vector | null = resume?.average?.slice() ?? null;
    let measured: { at: number; found: Found } | null = null;
    let warned = false;
    const measure = async () => {
      if (measured?.at === update) return measured.found;
      const shown = average && withLast(average, (await session.read()).parameters, update);
      measured = { at: update, found: await this.#measure(shown) };
      return measured.found;
    };
    /** With what was measured where it is known: it belongs to the update that it was measured at. */
    const snapshot = async (completed: boolean): Promise<Snapshot> => {
      return {
        state: await session.read(),
        average: average?.slice() ?? null,
        update,
        pending: means.sums,
        seconds,
        completed,
        ...NOTHING,
        ...(measured?.at === update ? named(measured.found) : {}),
      };
    };
    let keepNext = 0;
    /** Keeps the state, if it is finite, and says when to do so next, so that this takes little of the time. */
    const keep = async () => {
      const began = performance.now();
      const now = await snapshot(false);
      if (allFinite(now)) this.#good = now;
      const ended = performance.now();
      keepNext = ended + (ended - began) / KEEPING_SHARE;
    };
    /** Whether the session's state is that after `update` updates. */
    let between = true;
    try {
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
        between = false;
        const result = await session.run(plan, this.#halt.signal);
        means.add(result, update);
        update += result.done;
        if (!result.finite) throw await this.#diverged(session, update);
        if (result.done > 0 && isMultiple(update, averageEvery))
          average = averaged(average, (await session.read()).parameters, update);
        between = true;
        seconds += (performance.now() - began) / 1000;
        signal?.throwIfAborted();
        if (result.done < count) break;
        const evaluate = update === updates || isMultiple(update, evaluateEvery);
        const found = evaluate ? await measure() : {};
        if (evaluate || isMultiple(update, recordEvery)) {
          await this.#requireNoise(session, plan);
          const rate = (update - updateBefore) / Math.max(seconds - secondsBefore, 1e-9);
          const values = means.take();
          const { effectiveSampleSize } = values;
          const warning: string | null =
            warned || effectiveSampleSize === undefined
              ? null
              : (this.#drive.warning?.(effectiveSampleSize) ?? null);
          warned ||= warning !== null;
          const record = {
            ...{ update, ...values, ...named(found), seconds, updatesPerSecond: rate },
            ...(warning === null ? {} : { warning }),
          };
          // Whoever saves or stops on hearing an accuracy means the state that it was measured on.
          if (this.#tell(record) && evaluate && splits.length > 0) await nextTurn();
          secondsBefore = seconds;
          updateBefore = update;
          if (update < updates && performance.now() >= keepNext) await keep();
        }
        for (const { directory, resolve, reject } of this.#saves.splice(0)) {
          await snapshot(false)
            .then((now) => {
              if (allFinite(now)) this.#good = now;
              return this.#drive.save(this.#good ?? now, directory);
            })
            .then(resolve, reject);
        }
      }
      signal?.throwIfAborted();
      await measure();
      return await snapshot(update === updates);
    } catch (error) {
      if (between) await keep().catch(() => {}); // a session that failed cannot be read
      throw error;
    }
  }

  /** The state before the first update. Copies: what was resumed from is the caller's. */
  #begun(): Snapshot {
    const { start, resume } = this.#drive;
    return {
      state: {
        parameters: start.parameters.slice(),
        moments: start.moments.map((moment) => moment.slice()),
        chain: start.chain?.slice() ?? null,
      },
      average: resume?.average?.slice() ?? null,
      update: resume?.update ?? 0,
      pending: new Means(this.#drive.weighted, this.#drive.advice, resume?.pending).sums,
      seconds: resume?.seconds ?? 0,
      completed: false,
      ...NOTHING,
    };
  }

  /** @throws DivergedError where τ has fallen so low that samples are the same */
  async #requireNoise(session: Session, plan: Plan): Promise<void> {
    const { precision } = this.#drive;
    const parameters = async () => (await session.read()).parameters;
    const lost = precision && (await lostNoise(plan, parameters, precision));
    if (lost !== null) throw new DivergedError(lost);
  }

  /** Says which parameter is no longer finite. */
  async #diverged(session: Session, update: number): Promise<DivergedError> {
    const { parameters } = await session.read();
    const at = parameters.findIndex((value) => !Number.isFinite(value));
    const where = `Parameter ${at}, ${this.#drive.placeOf(at)}, was ${parameters[at]}`;
    return new DivergedError(`${where} after update ${update}: the run diverged. ${this.#drive.advice}`);
  }

  async #measure(average: Vector | null): Promise<Found> {
    const found: Found = {};
    for (const split of this.#drive.splits) found[split] = await this.#drive.measure(split, average);
    return found;
  }
}

type Found = Partial<Record<DataSplit, Measures>>;

const NOTHING: Measured = {
  testAccuracy: null,
  validationAccuracy: null,
  testErrors: null,
  validationErrors: null,
};

/** What was found by its names in a record and in a result. */
function named({ test, validation }: Found) {
  return {
    ...(test && ("accuracy" in test ? { testAccuracy: test.accuracy } : { testErrors: test.errors })),
    ...(validation &&
      ("accuracy" in validation
        ? { validationAccuracy: validation.accuracy }
        : { validationErrors: validation.errors })),
  };
}

/** Whether all that a checkpoint would hold is finite. */
function allFinite({ state: { parameters, moments, chain }, average }: Snapshot): boolean {
  return [parameters, ...moments, chain, average].every((vector) => {
    if (vector === null) return true;
    // 0 times a number is 0, unless it is infinite or none: a sum is made faster than each is asked.
    let sum = 0;
    for (let i = 0; i < vector.length; i++) sum += 0 * vector[i];
    return sum === 0;
  });
}

function isMultiple(update: number, every: number): boolean {
  return every > 0 && update % every === 0;
}

function untilMultiple(update: number, every: number): number {
  return every > 0 ? every - (update % every) : Number.POSITIVE_INFINITY;
}
