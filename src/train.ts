/**
 * `train`: checks its options, opens a session and drives it, record by record.
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
  /** Where evaluated, and at the end. */
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
  /** Coupling's kind, where the estimator samples. */
  readonly coupling?: string;
  /** J: loss evaluations or chain steps an update. */
  readonly samples?: number;
  /** Each better backend and why it was not taken. */
  readonly declined: readonly { readonly name: BackendName; readonly reason: string }[];
}

export interface TrainResult {
  readonly parameters: Vector;
  readonly network: Network;
  /** Fraction of the test set; null without one. */
  readonly testAccuracy: number | null;
  readonly validationAccuracy: number | null;
  readonly updates: number;
  readonly seconds: number;
  /** False after `break`. */
  readonly completed: boolean;
  readonly backend: BackendReport;
  /** Writes `checkpoint.safetensors` and `run.json` into a directory, made if missing. */
  save(directory: string): Promise<void>;
}

/** A run under way: iterate over its records, or await its result. */
export interface Run extends AsyncIterable<TrainRecord> {
  readonly backend: BackendReport;
  readonly result: Promise<TrainResult>;
  /** Stops after the update in hand; `result` resolves with `completed: false`. As `break` does. */
  stop(): void;
}
