/**
 * The public options of `train` and `minimize`: plain readonly objects, discriminated by `kind`.
 *
 * Symbols: B rows of a minibatch, d_0 … d_L widths, n parameters, J samples or chain steps, M samples a step,
 * k = 0 … updates − 1 outer updates, τ the proposal's variance, δ the temperature.
 * A wrong option throws an `OptionError` that names it, what is allowed and what was given, before work starts.
 */
import type { Vector } from "../backends/backend.ts";
import type { BackendName } from "../backends/registry.ts";
import type { Activation } from "../network.ts";
import type { Schedule } from "../schedules.ts";

/** Widths d_0 … d_L alone (ReLU between them), or widths and activation of the hidden layers. */
export type NetworkOptions =
  | readonly number[]
  | { readonly layers: readonly number[]; readonly activation?: Activation };

/** Loss of a row. `costs`: rows labels, columns predictions. Only "cross-entropy" has a gradient. */
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
  /** d_0. */
  readonly width: number;
  /** d_L. */
  readonly classes: number;
}

/** Data of a run. Accuracy is measured on `test`, and on `validation` where it is given. */
export interface Data {
  readonly train: Dataset;
  readonly test?: Dataset;
  readonly validation?: Dataset;
}

/** How the J samples of an update depend on each other; each one has the law N(x, τI) whichever it is. */
export type CouplingOptions =
  | {
      readonly kind: "independent";
      /** J. */
      readonly samples: number;
      /** "marginalize" (default) leaves the complement at its mean; "sample" has Algorithm 4's law. */
      readonly complement?: "sample" | "marginalize";
      /** Subtract the mean weight (default: true where the complement is marginalized). */
      readonly centred?: boolean;
    }
  /** `samples` = J counts all evaluations, so it is even. */
  | { readonly kind: "antithetic"; readonly samples: number }
  /** J = 2m · blocks, m the power of two ≥ d_1 + d_2; at most one hidden layer. */
  | { readonly kind: "walsh"; readonly blocks: number };

/** "variance": φ_{x,τ} has variance τ (the paper's text). "standard-deviation": the second reading. */
export type NoiseReading = "variance" | "standard-deviation";
/** "auto": the exact projection wherever it applies. "off": the direct form. */
export type Projection = "auto" | "off";

/** E_q[X] from weighted samples of N(x, τI), gradient-free: Algorithm 4. */
export interface ImportanceSamplingOptions {
  readonly kind: "importance-sampling";
  /** Default: Walsh, 2 blocks; antithetic, 1,000 samples, for more than one hidden layer. */
  readonly coupling?: CouplingOptions;
  /** The row split (default true; false with complement "sample"). */
  readonly rowwise?: boolean;
  /** δ: weights e^{−f/δ} (default 1, the paper). */
  readonly temperature?: number;
  readonly noise?: NoiseReading;
  readonly projection?: Projection;
}

/** E_q[X] from a Langevin chain: Algorithm 3. */
export interface SgldOptions {
  readonly kind: "sgld";
  /** J, at least 2. */
  readonly steps: number;
  /** ε_j, j = 1 … J. */
  readonly stepSize: Schedule;
  /** Where a chain starts: where the update's before ended (default, the paper), or at x_k. */
  readonly chainStart?: "previous" | "center";
  /** One minibatch an update (default), or a fresh one for each of the J − 1 transitions. */
  readonly minibatch?: "per-update" | "per-step";
  readonly noise?: NoiseReading;
  readonly projection?: Projection;
}

/** The proximal step on f smoothed by N(0, τI): Algorithm 5. */
export interface RobbinsMonroOptions {
  readonly kind: "robbins-monro";
  /** M, gradients a transition. */
  readonly samples: number;
  /** J, transitions. */
  readonly steps: number;
  /** a_j, j = 1 … J. */
  readonly stepSize: Schedule;
  /** One minibatch an update (default), or a fresh one for each of the J transitions. */
  readonly minibatch?: "per-update" | "per-step";
  readonly noise?: NoiseReading;
  readonly projection?: Projection;
}

/** The gradient of the heat regularization without gradients of f; coupling and rowwise as in importance sampling. */
export interface EvolutionStrategiesOptions {
  readonly kind: "evolution-strategies";
  readonly coupling?: CouplingOptions;
  readonly rowwise?: boolean;
  readonly noise?: NoiseReading;
  readonly projection?: Projection;
}

/** What is minimized: local entropy F_τ (Algorithm 1), heat F^H_τ (Algorithm 2), or the loss f itself (SGD). */
export type ObjectiveOptions =
  | {
      readonly kind: "local-entropy";
      /** τ, a variance (default 0.01). */
      readonly tau?: Schedule;
      /** Default: importance sampling. */
      readonly estimator?: ImportanceSamplingOptions | SgldOptions;
    }
  | {
      readonly kind: "heat";
      /** τ, a variance (default 0.01). */
      readonly tau?: Schedule;
      readonly estimator: RobbinsMonroOptions | EvolutionStrategiesOptions;
    }
  | { readonly kind: "loss" };

/** What moves x_k along the gradient. "shift" is the paper's: x_{k+1} = the estimated mean. */
export type OptimizerOptions =
  | { readonly kind: "shift" }
  | { readonly kind: "gradient-descent"; readonly rate: Schedule }
  /** `momentum`: default 0.9. */
  | { readonly kind: "momentum"; readonly rate: Schedule; readonly momentum?: number }
  | {
      readonly kind: "adam";
      readonly rate: Schedule;
      /** Default 0.9. */
      readonly beta1?: number;
      /** Default 0.999. */
      readonly beta2?: number;
      /** Default 1e-8. */
      readonly epsilon?: number;
      /** Decoupled, biases too: x ← (1 − rate·weightDecay)·x − … (default 0). */
      readonly weightDecay?: number;
    };

export type BackendChoice = "auto" | BackendName;

export interface TrainOptions {
  readonly network: NetworkOptions;
  readonly data: Data;
  /** Default "cross-entropy". */
  readonly loss?: LossOptions;
  /** Default: local entropy at τ = 0.01, by importance sampling. */
  readonly objective?: ObjectiveOptions;
  /**
   * Default: Adam with rate cosine(1e-3, 0) and weight decay 0.05 for importance sampling, the shift for "sgld" and
   * "robbins-monro"; the objective "loss" has none, since a good rate depends on the problem.
   */
  readonly optimizer?: OptimizerOptions;
  /** B (default 32), at most the number of training rows. */
  readonly batchSize?: number;
  /** Number of outer updates. */
  readonly updates: number;
  /** Integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
  /** x_0 (n) (default: Glorot from the seed). A `resume` brings its own. */
  readonly parameters?: Vector;
  /** Default "auto": the best that loads. */
  readonly backend?: BackendChoice;
  /** Threads of the backend (default: the machine's cores). */
  readonly threads?: number;
  /** A record each so many updates (default 100). */
  readonly recordEvery?: number;
  /** Accuracy each so many updates (default 0: at the end only). */
  readonly evaluateEvery?: number;
  /**
   * Whether the result, and every accuracy, is the average of the iterates, by polynomial decay, and not the last one
   * (default false). It takes the place of a rate that falls: give a constant one, twice as high as usual.
   */
  readonly averaging?: boolean;
  readonly signal?: AbortSignal;
  /** What `load(directory)` gave, to go on from there; the other options must be those of the first run. */
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
  /** Average of the iterates so far, with `averaging`. */
  readonly average: Vector | null;
  /** Sums of the record under way, so that it comes out as if never interrupted. */
  readonly pending: readonly number[];
  /** Backend and instruction set that computed so far: bit-exact only on the same. */
  readonly backend: string;
  readonly instructionSet: string;
  /** Seconds spent so far. */
  readonly seconds: number;
}

/** A function R^dimension → R to minimize. Arrays are lent for the call: keep a copy, not the array. */
export interface FunctionLoss {
  readonly dimension: number;
  /** f(x), x of length `dimension`. */
  readonly value: (x: Float64Array) => number;
  /** ∇f(x), of length `dimension`. "sgld", "robbins-monro" and the objective "loss" need it. */
  readonly gradient?: (x: Float64Array) => ArrayLike<number>;
}

/** `ObjectiveOptions` without what speaks of minibatches and first layers, which a function does not have. */
export type MinimizeObjectiveOptions =
  | {
      readonly kind: "local-entropy";
      readonly tau?: Schedule;
      readonly estimator?:
        | Omit<ImportanceSamplingOptions, "projection" | "rowwise">
        | Omit<SgldOptions, "projection" | "minibatch">;
    }
  | {
      readonly kind: "heat";
      readonly tau?: Schedule;
      readonly estimator: Omit<RobbinsMonroOptions, "projection" | "minibatch">;
    }
  | { readonly kind: "loss" };

export interface MinimizeOptions {
  readonly loss: FunctionLoss;
  /** x_0 (dimension). */
  readonly start: ArrayLike<number>;
  /** Default: local entropy at τ = 0.01, by importance sampling. */
  readonly objective?: MinimizeObjectiveOptions;
  /** Default: the shift (Algorithms 1 and 2 as they stand); the objective "loss" has none. */
  readonly optimizer?: OptimizerOptions;
  readonly updates: number;
  /** Integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
  /** A record each so many updates (default 100). */
  readonly recordEvery?: number;
  readonly signal?: AbortSignal;
}
