/**
 * What `train` and `minimize` give back: a run under way, its records, its result.
 */
import type { Vector } from "./backends/backend.ts";
import type { BackendName } from "./backends/registry.ts";
import type { RegressionErrors } from "./measures.ts";
import type { Network } from "./network.ts";

/** What a run tells as it goes: means over the updates since the record before. */
export interface TrainRecord {
  /** Updates done, from 1. */
  readonly update: number;
  /**
   * Mean loss that the updates saw on their minibatches, in the loss's unit (a cross-entropy's are nats). Infinity where a
   * sample's was: importance sampling gives that sample the weight 0 and goes on.
   */
  readonly loss: number;
  /** |gradient of the objective|, Euclidean. */
  readonly gradientNorm: number;
  /** (Σw)²/Σw², 1 … J: how far the weights spread. Importance sampling only. */
  readonly effectiveSampleSize?: number;
  /** Estimate of F_τ = −δ log E e^{−f/δ} (eq. 2), in the loss's unit. Importance sampling only. */
  readonly freeEnergy?: number;
  /** Fraction 0 … 1 of the test rows, where evaluated and at the end; with the loss "logistic" of their outputs. */
  readonly testAccuracy?: number;
  /** The same of the validation rows. */
  readonly validationAccuracy?: number;
  /** In the place of an accuracy where targets are numbers: how far off the test rows' outputs are. */
  readonly testErrors?: RegressionErrors;
  /** The same of the validation rows. */
  readonly validationErrors?: RegressionErrors;
  /** Seconds of training so far, evaluation left out. */
  readonly seconds: number;
  /** Updates a second since the record before, evaluation left out. */
  readonly updatesPerSecond: number;
  /**
   * A sentence on settings that do harm, and what to do: the effective sample size is so small that the row split has a
   * larger error than plain weights. On the first such record alone; undefined on all others.
   */
  readonly warning?: string;
}

/**
 * What ran, and why nothing better did. While a wasm backend starts this is what is being tried: final from the run's first
 * record on, and in its result.
 */
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
  /**
   * Each better backend by `name`, and the `reason` why it was not taken; the one that was taken too, where it goes without
   * something, as threads that the host refuses.
   */
  readonly declined: readonly { readonly name: BackendName; readonly reason: string }[];
}

/** What a run of `train` comes to. */
export interface TrainResult {
  /** The last iterate, or with `averaging` the average of the iterates (n). */
  readonly parameters: Vector;
  /** The network that they belong to, its defaults filled in. */
  readonly network: Network;
  /** Fraction 0 … 1 of the test rows that `parameters` predict right; null without test rows, and for a regression. */
  readonly testAccuracy: number | null;
  /** The same of the validation rows; null without them. */
  readonly validationAccuracy: number | null;
  /** How far off the outputs of the test rows are, of a regression; else null. */
  readonly testErrors: RegressionErrors | null;
  /** The same of the validation rows. */
  readonly validationErrors: RegressionErrors | null;
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
   * @throws CheckpointError if it cannot be written; what was there before then stays. OptionError if `directory` is no path
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
   * Of a resumed run the options that are others than those of the run before: "updates", "batchSize", "loss",
   * "objective", "optimizer", "tau", "rate" (as a cosine over more updates is), "data". Else none.
   */
  readonly changed: readonly string[];
  /**
   * What the run came to, once it has ended. Rejects, as iterating does, with a DivergedError, a BackendError or the
   * signal's reason.
   */
  readonly result: Promise<Result>;
  /** Stops as `break` does: `result` resolves with `completed: false`. */
  stop(): void;
  /**
   * Writes the state between two updates into a `directory`, as `TrainResult.save`; the run goes on. Called on hearing
   * a record with an accuracy, by a reader who keeps up, it writes the state that was measured. Once the run has
   * failed it writes the last state known to be good: finite, at the start, at a record or between the last updates
   * before an error.
   */
  save(directory: string): Promise<void>;
}
