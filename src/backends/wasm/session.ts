/**
 * A run's data and state in the memory of the WASM kernels. It lives in the thread that computes.
 *
 * Symbols: B rows of a minibatch, n parameters.
 */
import type { DataSplit } from "../backend.ts";
import { type ArrayName, CONSTANTS, KINDS } from "../description.ts";
import type { Answer, Job, SessionJob } from "../job.ts";
import { Cancelled, type Fields, type Machine, type Pieces, TURN_MILLISECONDS } from "./machine.ts";
import { Worth } from "./worth.ts";

/** Of a job whose team is watched, milliseconds: what begins and ends it takes a hundredth of them. */
const WATCHED_MILLISECONDS = 15;
const VALUES_BYTES = 8 * CONSTANTS.valuesOfUpdate;

export class WasmSession {
  readonly #machine: Machine;
  readonly #pieces: Pieces;
  /** n. */
  readonly #parameters: number;
  /** Whether other threads can set the word that cancels while a job runs. */
  readonly #shared: boolean;
  /** Fields of every job of this session. */
  readonly #fields: Fields;
  /** Rows of each data split. */
  readonly #splits: Partial<Record<DataSplit, Fields>> = {};
  #chainValid: boolean;
  readonly #worth = new Worth();
  /** Updates of a job that takes some milliseconds. */
  #atOnce = 1;

  constructor(machine: Machine, shared: boolean, { job, splits }: SessionJob) {
    this.#machine = machine;
    this.#shared = shared;
    this.#parameters = job.arrays.parameters!.length;
    this.#chainValid = job.arrays.chain !== undefined;
    const pieces = machine.pieces();
    this.#pieces = pieces;
    try {
      for (const [split, rows] of Object.entries(splits) as [DataSplit, Job][]) {
        const { inputsAreFloats, exampleCount, inputs, labels, targets } = machine.place(pieces, rows);
        this.#splits[split] = { inputsAreFloats, exampleCount, inputs, labels, targets };
      }
      const fields = machine.place(pieces, job);
      const vector = () => pieces.room(4 * this.#parameters);
      this.#fields = { ...fields, ...this.#splits.train, gradient: vector() };
      if (fields.chainPrevious) this.#fields.chain ||= vector();
    } catch (error) {
      pieces.free();
      throw error;
    }
  }

  /**
   * Runs a plan; a cancelled update leaves no trace. Where no other thread can cancel it, and where a team is watched,
   * the updates of one job are as many as take some milliseconds, at least one.
   */
  async run(plan: Job): Promise<Answer> {
    const machine = this.#machine;
    const pieces = machine.pieces();
    try {
      const { first, count, rows, tau, noiseScale, rate, values, rowLosses } = machine.place(
        pieces,
        plan,
      ) as Required<Fields>;
      const rowBytes = plan.arrays.rows!.byteLength / count;
      const team = machine.threads > 1;
      let atOnce = this.#shared && !team ? count : this.#atOnce;
      let done = 0;
      while (done < count && !(await machine.cancelled())) {
        const began = performance.now();
        const asked = Math.min(atOnce, count - done);
        const fields = {
          ...this.#fields,
          first: first + done,
          count: asked,
          rows: rows + rowBytes * done,
          tau: tau + 8 * done,
          noiseScale: noiseScale + 8 * done,
          rate: rate + 8 * done,
          values: values + VALUES_BYTES * done,
          rowLosses,
          chainValid: Number(this.#chainValid),
        };
        machine.run(fields, this.#worth.alone);
        this.#chainValid = machine.field("chainValid") !== 0;
        const finished = machine.field("done");
        done += finished;
        if (finished < asked) break;
        const took = performance.now() - began;
        if (team) this.#worth.count(asked, took, machine.field("blocked"));
        const wanted = team ? WATCHED_MILLISECONDS : TURN_MILLISECONDS;
        if (took < wanted / 2) atOnce = Math.max(atOnce, 2 * asked);
        else if (took > 2 * wanted) atOnce = Math.ceil(asked / 2);
      }
      this.#atOnce = atOnce;
      const finite = done > 0 ? machine.field("finite") : 1;
      return { numbers: { done, finite }, arrays: machine.arrays({ values }, plan.outputs) };
    } finally {
      pieces.free();
    }
  }

  /** The outputs of the samples of a plan's one update. */
  outputs(plan: Job): Answer {
    const machine = this.#machine;
    const pieces = machine.pieces();
    try {
      const { first, rows, tau, noiseScale, output } = machine.place(pieces, plan);
      const operation = KINDS.operation.indexOf("outputs");
      machine.run({ ...this.#fields, operation, first, count: 1, rows, tau, noiseScale, output });
      if (machine.field("cancel") !== 0) throw new Cancelled();
      return { numbers: {}, arrays: machine.arrays({ output }, plan.outputs) };
    } finally {
      pieces.free();
    }
  }

  /** How many of a split's rows are right. */
  accuracy(split: DataSplit): Answer {
    const rows = this.#splits[split]!;
    const operation = KINDS.operation.indexOf("accuracy");
    this.#machine.run({ ...this.#fields, ...rows, operation, batchSize: rows.exampleCount });
    if (this.#machine.field("cancel") !== 0) throw new Cancelled();
    return { numbers: { correct: this.#machine.field("correct") }, arrays: {} };
  }

  /** What is predicted of all rows of a split. */
  predict(split: DataSplit, length: number): Answer {
    const rows = this.#splits[split]!;
    const machine = this.#machine;
    const pieces = machine.pieces();
    try {
      const operation = KINDS.operation.indexOf("predict");
      const output = pieces.room(4 * length);
      const outputLabels = pieces.room(2 * rows.exampleCount!);
      const fields = { ...this.#fields, ...rows, operation, batchSize: rows.exampleCount, output };
      machine.run({ ...fields, outputLabels });
      if (machine.field("cancel") !== 0) throw new Cancelled();
      return { numbers: {}, arrays: machine.arrays({ output }, { output: length }) };
    } finally {
      pieces.free();
    }
  }

  read(length: number, names: readonly ArrayName[]): Answer {
    const wanted = this.#chainValid ? [...names, "chain"] : names;
    const lengths = Object.fromEntries(wanted.map((name) => [name, length]));
    return { numbers: {}, arrays: this.#machine.arrays(this.#fields, lengths) };
  }

  free(): void {
    this.#pieces.free();
  }
}
