/**
 * A session whose calls are jobs, for every backend that runs jobs.
 */
import { expected, OptionError } from "../errors.ts";
import { parameterCount } from "../network.ts";
import {
  type AbortSignalLike,
  type DataSplit,
  MOMENT_COUNTS,
  type Plan,
  type PlanResult,
  type Session,
  type SessionSetup,
  type SessionState,
  sampleCount,
  type Vector,
} from "./backend.ts";
import { type ArrayName, CONSTANTS } from "./description.ts";
import { type Answer, DATA_SPLITS, finished, type Job, MOMENTS, planJob, type Runner } from "./job.ts";

/** One session of a backend: its plans as jobs, and what only a session has. */
export interface SessionRunner extends Runner {
  /** Answers `correct`, of all the split's rows. */
  accuracy(split: DataSplit): Promise<Answer | null>;
  /** Answers `output`, `length` numbers: the outputs of the samples of a plan's one update. */
  outputs(plan: Job, signal?: AbortSignalLike): Promise<Answer | null>;
  /** Answers `output`, `length` numbers: what is predicted of all the split's rows. */
  predict(split: DataSplit, length: number): Promise<Answer | null>;
  /** Answers copies of the state's arrays of these names, of that length, and the chain where there is one. */
  read(length: number, names: readonly ArrayName[]): Promise<Answer | null>;
  /** Safe to repeat. */
  close(): void;
}

export class JobSession implements Session {
  readonly #runner: SessionRunner;
  readonly #perUpdate: number;
  readonly #parameters: number;
  readonly #moments: readonly (typeof MOMENTS)[number][];
  readonly #outputs: number;
  /** (J + 1) × B × d_L. */
  readonly #sampled: number;
  /** Rows of each data split. */
  readonly #rows: Partial<Record<DataSplit, number>>;

  constructor(runner: SessionRunner, { network, data, batchSize, estimator, optimizer }: SessionSetup) {
    this.#runner = runner;
    this.#perUpdate = batchSize * ("batches" in estimator ? estimator.batches : 1);
    this.#parameters = parameterCount(network);
    this.#moments = MOMENTS.slice(0, MOMENT_COUNTS[optimizer.kind]);
    const { layers } = network;
    this.#outputs = layers[layers.length - 1];
    this.#sampled =
      "coupling" in estimator
        ? (sampleCount(estimator.coupling, network, estimator.rowwise) + 1) * batchSize * this.#outputs
        : 0;
    const held = DATA_SPLITS.filter((split) => data[split] !== undefined);
    this.#rows = Object.fromEntries(held.map((split) => [split, data[split]!.inputs.length / layers[0]]));
  }

  async run(plan: Plan, signal?: AbortSignalLike): Promise<PlanResult> {
    this.#runner.checkOpen();
    const nothing = { done: 0, values: new Float64Array(0), finite: true };
    if (signal?.aborted) return nothing;
    const answer = await this.#runner.run(planJob(plan, this.#perUpdate), signal);
    if (answer === null) return nothing;
    const done = answer.numbers.done!;
    const values = answer.arrays.values as Float64Array;
    return {
      done,
      values: done < plan.count ? values.slice(0, done * CONSTANTS.valuesOfUpdate) : values,
      finite: answer.numbers.finite !== 0,
    };
  }

  async outputs(plan: Plan, signal?: AbortSignalLike): Promise<Vector | null> {
    this.#runner.checkOpen();
    if (signal?.aborted) return null;
    const job = planJob(plan, this.#perUpdate);
    const answer = await this.#runner.outputs({ ...job, outputs: { output: this.#sampled } }, signal);
    return answer && (answer.arrays.output as Vector);
  }

  async accuracy(split: DataSplit): Promise<number> {
    const rows = this.#rowsOf(split);
    const { numbers } = finished(await this.#runner.accuracy(split));
    return numbers.correct! / rows;
  }

  async predict(split: DataSplit): Promise<Vector> {
    const length = this.#rowsOf(split) * this.#outputs;
    const { arrays } = finished(await this.#runner.predict(split, length));
    return arrays.output as Vector;
  }

  #rowsOf(split: DataSplit): number {
    this.#runner.checkOpen();
    const rows = this.#rows[split];
    if (rows !== undefined) return rows;
    throw new OptionError(expected(Object.keys(this.#rows).join(", "), "split", split));
  }

  async read(): Promise<SessionState> {
    this.#runner.checkOpen();
    const { arrays } = finished(await this.#runner.read(this.#parameters, ["parameters", ...this.#moments]));
    return {
      parameters: arrays.parameters as Vector,
      moments: this.#moments.map((name) => arrays[name] as Vector),
      chain: (arrays.chain as Vector | undefined) ?? null,
    };
  }

  close(): void {
    this.#runner.close();
  }
}
