/**
 * What `train` and `minimize` give back: a run under way, its records, its result.
 */
import type { BackendName, Vector } from "./backends/backend.ts";
import type { Network } from "./network.ts";

/** What a run tells as it goes: means over the updates since the record before. */
export interface TrainRecord {
  /** Updates done, from 1. */
  readonly update: number;
  /** Mean loss that the updates saw, in nats. */
  readonly loss: number;
  /** |gradient of the objective|. */
  readonly gradientNorm: number;
  /** (Σw)²/Σw², 1 … J: how far the weights spread. Importance sampling only. */
  readonly effectiveSampleSize?: number;
  /** Estimate of F_τ. Importance sampling only. */
  readonly freeEnergy?: number;
  /** Fraction of the test set, where evaluated and at the end. */
  readonly testAccuracy?: number;
  readonly validationAccuracy?: number;
  /** Seconds of training so far, evaluation left out. */
  readonly seconds: number;
  readonly updatesPerSecond: number;
}

/** What ran, and why nothing better did. */
export interface BackendReport {
  readonly name: BackendName;
  readonly instructionSet: string;
  readonly threads: number;
  /** How the noise of the first layer was computed. */
  readonly form: "projected" | "direct";
  /** The coupling's kind, where the estimator is made of samples. */
  readonly coupling?: string;
  /** J: loss evaluations or chain steps an update (Robbins–Monro: M·J). */
  readonly samples?: number;
  /** Each better backend and why it was not taken. */
  readonly declined: readonly { readonly name: BackendName; readonly reason: string }[];
}

export interface TrainResult {
  /** The last iterate, or with `averaging` the average of the iterates (n). */
  readonly parameters: Vector;
  readonly network: Network;
  /** Fraction of the test set; null without one. */
  readonly testAccuracy: number | null;
  readonly validationAccuracy: number | null;
  readonly updates: number;
  readonly seconds: number;
  /** False after `break` or `stop()`. */
  readonly completed: boolean;
  readonly backend: BackendReport;
  /**
   * Writes `checkpoint.safetensors` and `run.json` into a directory, made if missing.
   *
   * @throws CheckpointError if it cannot be written; what was there before then stays
   */
  save(directory: string): Promise<void>;
}

/** A run under way: iterate over its records, or await its result, or both. */
export interface Run<Result = TrainResult> extends AsyncIterable<TrainRecord> {
  readonly backend: BackendReport;
  readonly result: Promise<Result>;
  /** Stops as `break` does: `result` resolves with `completed: false`. */
  stop(): void;
  /** Writes the state between two updates, as `TrainResult.save`; the run goes on. */
  save(directory: string): Promise<void>;
}
