/**
 * A run's data and state in the memory of the WASM kernels. It lives in the thread that computes.
 *
 * Symbols: B rows of a minibatch, n parameters.
 */
import { parameterCount } from "../../network.ts";
import { type Split, VALUES } from "../backend.ts";
import { OPERATIONS } from "./abi.ts";
import type { copyPlan, copySetup } from "./inputs.ts";
import {
  Cancelled,
  estimatorFields,
  networkFields,
  optimizerFields,
  rowsFields,
  seedFields,
} from "./jobs.ts";
import { type Fields, type Machine, type Pieces, TURN_MILLISECONDS } from "./machine.ts";

type Setup = ReturnType<typeof copySetup>["input"];
type Plan = ReturnType<typeof copyPlan>["input"];

export class WasmSession {
  readonly #machine: Machine;
  readonly #pieces: Pieces;
  readonly #parameters: number;
  readonly #batchRows: number;
  readonly #moments: number;
  /** Whether other threads can set the word that cancels while a job runs. */
  readonly #shared: boolean;
  /** Fields of every job of this session. */
  readonly #fields: Fields;
  readonly #splits: Partial<Record<Split, Fields>> = {};
  #chainValid: boolean;

  constructor(machine: Machine, shared: boolean, setup: Setup) {
    const { network, costs, data, batchSize, estimator, optimizer, key, state } = setup;
    this.#machine = machine;
    this.#shared = shared;
    this.#parameters = parameterCount(network);
    this.#batchRows = batchSize * ("batches" in estimator ? estimator.batches : 1);
    this.#moments = state.moments.length;
    this.#chainValid = state.chain !== null;
    const pieces = machine.pieces();
    this.#pieces = pieces;
    const vector = () => pieces.room(4 * this.#parameters);
    const keepsChain = estimator.kind === "sgld" && estimator.chainStart === "previous";
    try {
      for (const split of ["train", "test", "validation"] as const) {
        const rows = data[split];
        if (rows) this.#splits[split] = rowsFields(pieces, rows);
      }
      this.#fields = {
        ...networkFields(pieces, network, costs),
        ...this.#splits.train,
        ...estimatorFields(pieces, estimator),
        ...optimizerFields(optimizer),
        ...seedFields(key),
        batchSize,
        parameters: pieces.put(state.parameters),
        gradient: vector(),
        moment1: state.moments.length > 0 ? pieces.put(state.moments[0]) : 0,
        moment2: state.moments.length > 1 ? pieces.put(state.moments[1]) : 0,
        chain: state.chain ? pieces.put(state.chain) : keepsChain ? vector() : 0,
      };
    } catch (error) {
      pieces.free();
      throw error;
    }
  }

  /**
   * Runs a plan; a cancelled update leaves no trace. Where no other thread can cancel it, the updates of one job are as
   * many as take some milliseconds, at least one.
   */
  async run({ first, count, rows, tau, noiseScale, rate }: Plan) {
    const machine = this.#machine;
    const pieces = machine.pieces();
    try {
      const at = {
        rows: pieces.put(rows),
        tau: pieces.put(tau),
        noiseScale: pieces.put(noiseScale),
        rate: pieces.put(rate),
        values: pieces.room(8 * VALUES * count),
      };
      let atOnce = this.#shared ? count : 1;
      let done = 0;
      while (done < count && !(await machine.cancelled())) {
        const began = performance.now();
        const asked = Math.min(atOnce, count - done);
        machine.run({
          ...this.#fields,
          operation: OPERATIONS.run,
          first: first + done,
          count: asked,
          rows: at.rows + 4 * this.#batchRows * done,
          tau: at.tau + 8 * done,
          noiseScale: at.noiseScale + 8 * done,
          rate: at.rate + 8 * done,
          values: at.values + 8 * VALUES * done,
          chainValid: Number(this.#chainValid),
        });
        this.#chainValid = machine.field("chainValid") !== 0;
        const finished = machine.field("done");
        done += finished;
        if (finished < asked) break;
        if (performance.now() - began < TURN_MILLISECONDS / 2) atOnce *= 2;
      }
      return { done, values: machine.doubles(at.values, done * VALUES) };
    } finally {
      pieces.free();
    }
  }

  /** Fraction 0 … 1 of a split's rows whose largest logit is the label's. */
  accuracy(split: Split): number {
    const rows = this.#splits[split]!;
    this.#machine.run({
      ...this.#fields,
      ...rows,
      operation: OPERATIONS.correct,
      batchSize: rows.sampleCount,
    });
    if (this.#machine.field("cancel") !== 0) throw new Cancelled();
    return this.#machine.field("correct") / rows.sampleCount!;
  }

  read() {
    const { parameters, moment1, moment2, chain } = this.#fields;
    const vector = (at: number) => this.#machine.floats(at, this.#parameters);
    return {
      parameters: vector(parameters!),
      moments: [moment1!, moment2!].slice(0, this.#moments).map(vector),
      chain: this.#chainValid ? vector(chain!) : null,
    };
  }

  free(): void {
    this.#pieces.free();
  }
}
