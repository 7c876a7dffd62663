/**
 * The options of `train`, `minimize` and the operations: their types, and (in `check…`) their checks.
 *
 * Every option is a plain readonly object, discriminated by `kind`. One sentence for every fault:
 * "Expected <range> for <option.path> but received <value>"; a misspelt key names the nearest valid one.
 */
import type { Vector } from "./backends/backend.ts";
import type { Activation } from "./network.ts";

/**
 * A number that changes along the run: a plain number, or a function of an index and the number of them.
 * Inner schedules (`stepSize`) count j = 1 … J; outer ones (`tau`, `rate`) k = 0 … updates − 1.
 */
export type Schedule = number | ((index: number, total: number) => number);

/** Widths alone (ReLU between them), or widths and activation. */
export type NetworkOptions =
  | readonly number[]
  | { readonly layers: readonly number[]; readonly activation?: Activation };

/** Loss of a row. `costs`: rows labels, columns predictions. */
export type LossOptions =
  | "cross-entropy"
  | "zero-one"
  | { readonly kind: "cost-matrix"; readonly costs: readonly (readonly number[])[] };

/** Rows of inputs with labels: bytes stand for byte/255, floats for themselves. */
export interface Dataset {
  /** count × width, row-major. */
  readonly inputs: Uint8Array | Float32Array;
  /** Class of each row, 0 … classes − 1. */
  readonly labels: Uint8Array | Uint16Array;
  readonly count: number;
  readonly width: number;
  readonly classes: number;
}

/** Data of a run. Accuracy is measured on `test`, and on `validation` where it is given. */
export interface Data {
  readonly train: Dataset;
  readonly test?: Dataset;
  readonly validation?: Dataset;
}

export type CouplingOptions =
  | {
      readonly kind: "independent";
      readonly samples: number;
      /** "marginalize" (default) leaves the complement at its mean; "sample" has Algorithm 4's law. */
      readonly complement?: "sample" | "marginalize";
      /** Subtract the mean weight (default: true where the complement is marginalized). */
      readonly centred?: boolean;
    }
  | { readonly kind: "antithetic"; readonly samples: number }
  | { readonly kind: "walsh"; readonly blocks: number };

/** "variance": φ_{x,τ} has variance τ (the paper's text). "standard-deviation": the second reading. */
export type NoiseReading = "variance" | "standard-deviation";
/** "auto": the exact projection wherever it applies. "off": the direct form. */
export type Projection = "auto" | "off";

export interface ImportanceSamplingOptions {
  readonly kind: "importance-sampling";
  readonly coupling?: CouplingOptions;
  readonly rowwise?: boolean;
  /** δ: weights e^{−f/δ} (default 1, the paper). */
  readonly temperature?: number;
  readonly noise?: NoiseReading;
  readonly projection?: Projection;
}

export interface SgldOptions {
  readonly kind: "sgld";
  /** J, at least 2. */
  readonly steps: number;
  /** ε_j, j = 1 … J. */
  readonly stepSize: Schedule;
  readonly chainStart?: "previous" | "center";
  readonly minibatch?: "per-update" | "per-step";
  readonly noise?: NoiseReading;
  readonly projection?: Projection;
}

export interface RobbinsMonroOptions {
  readonly kind: "robbins-monro";
  /** M. */
  readonly samples: number;
  /** J. */
  readonly steps: number;
  /** a_j, j = 1 … J. */
  readonly stepSize: Schedule;
  readonly minibatch?: "per-update" | "per-step";
  readonly noise?: NoiseReading;
  readonly projection?: Projection;
}

export interface EvolutionStrategiesOptions {
  readonly kind: "evolution-strategies";
  readonly coupling?: CouplingOptions;
  readonly rowwise?: boolean;
  readonly noise?: NoiseReading;
  readonly projection?: Projection;
}

export type ObjectiveOptions =
  | {
      readonly kind: "local-entropy";
      /** τ, a variance (default 0.01). */
      readonly tau?: Schedule;
      readonly estimator?: ImportanceSamplingOptions | SgldOptions;
    }
  | {
      readonly kind: "heat";
      readonly tau?: Schedule;
      readonly estimator: RobbinsMonroOptions | EvolutionStrategiesOptions;
    }
  | { readonly kind: "loss" };

export type OptimizerOptions =
  | { readonly kind: "shift" }
  | { readonly kind: "gradient-descent"; readonly rate: Schedule }
  | { readonly kind: "momentum"; readonly rate: Schedule; readonly momentum?: number }
  | {
      readonly kind: "adam";
      readonly rate: Schedule;
      readonly beta1?: number;
      readonly beta2?: number;
      readonly epsilon?: number;
      readonly weightDecay?: number;
    };

export interface TrainOptions {
  readonly network: NetworkOptions;
  readonly data: Data;
  readonly loss?: LossOptions;
  readonly objective?: ObjectiveOptions;
  readonly optimizer?: OptimizerOptions;
  /** B (default 32), at most the number of training rows. */
  readonly batchSize?: number;
  /** Number of outer updates. */
  readonly updates: number;
  /** Integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
  /** x_0 (default: Glorot from the seed). */
  readonly parameters?: Vector;
  readonly backend?: "auto" | "cuda" | "native" | "wasm" | "reference";
  /** Threads of the backend (default: the machine's cores). */
  readonly threads?: number;
  /** A record each so many updates (default 100). */
  readonly recordEvery?: number;
  /** Test accuracy each so many updates (default 0: at the end only). */
  readonly evaluateEvery?: number;
  readonly signal?: AbortSignal;
  /** What `load(directory)` gave, to go on from there. */
  readonly resume?: Resume;
}

/** Where a run stands: what a checkpoint holds beside the network. */
export interface Resume {
  /** Updates done. */
  readonly update: number;
  /** Fingerprint of the options that shape the numbers; resuming under others is refused. */
  readonly fingerprint: string;
  readonly parameters: Vector;
  readonly moments: readonly Vector[];
  readonly chain: Vector | null;
  /** Sums of the record under way, so that it comes out as if never interrupted. */
  readonly pending: readonly number[];
  /** Backend and instruction set that computed so far: bit-exact only on the same. */
  readonly backend: string;
  readonly instructionSet: string;
  /** Seconds spent so far. */
  readonly seconds: number;
}
