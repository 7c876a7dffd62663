/**
 * The public inputs of a backend's operations: one plain object each. Arrays are copied before the call returns.
 *
 * Symbols: B rows of a minibatch, d_0 … d_L widths, n parameters, J samples or chain steps, M samples a step,
 * x_k the parameters at update k, τ the proposal's variance, δ the temperature, ε_j and a_j step sizes.
 */
import type { AbortSignalLike, Vector } from "../backends/backend.ts";
import type { CouplingOptions, LossOptions, NetworkOptions, OptimizerOptions, Projection } from "./types.ts";

/** Rows to compute on: B = labels.length. */
export interface Batch {
  /** B × d_0, row-major: bytes stand for byte/255, floats for themselves. */
  readonly inputs: Uint8Array | Float32Array;
  /** Class of each row (B). */
  readonly labels: Uint8Array | Uint16Array;
  /** B, as a dataset says it. */
  readonly count?: number;
  /** d_0, as a dataset says it. */
  readonly width?: number;
  /** d_L, as a dataset says it. */
  readonly classes?: number;
}

/** Rows to compute on, for a loss that reads targets: B = targets.length/d_L. */
export interface TargetBatch {
  /** B × d_0, row-major: bytes stand for byte/255, floats for themselves. */
  readonly inputs: Uint8Array | Float32Array;
  /** Of each row as many as the network has outputs (B × d_L, row-major), finite. */
  readonly targets: Float32Array;
  /** B, as a dataset says it. */
  readonly count?: number;
  /** d_0, as a dataset says it. */
  readonly width?: number;
  /** d_L, as a dataset says it. */
  readonly outputs?: number;
}

/** Rows to compute on, with what the loss reads. */
export type AnyBatch = Batch | TargetBatch;

/** Work that can be given up. */
interface Cancellable {
  /** Gives the work up: its promise rejects with the signal's reason. */
  readonly signal?: AbortSignalLike;
}

/** Where in the random numbers an operation stands. */
interface Position {
  /** Integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
  /** k, zero-based (default 0). */
  readonly update?: number;
}

/** Of `gaussian`: which normals. */
export interface GaussianOptions extends Position, Cancellable {
  /** A stream's name ("layer-1", …, "complement") or number. */
  readonly stream: string | number;
  /** The sample or chain step, zero-based (default 0). */
  readonly sample?: number;
  /** How many, from the stream's first on, 0 … 2³¹. */
  readonly count: number;
}

/** A network at parameters (n). */
interface Located extends Cancellable {
  /** Widths d_0 … d_L, or widths and activation. */
  readonly network: NetworkOptions;
  /** x (n, as `parameterCount` says), finite: layer after layer, weights row-major [input, output], then biases. */
  readonly parameters: Vector;
}

/** Of `loss` and `gradient`: a network, and rows to take the mean loss over. */
export interface BatchOptions extends Located {
  /** Default "cross-entropy"; `gradient` needs a loss that has one. */
  readonly loss?: LossOptions;
  /** The minibatch, at least one row. */
  readonly batch: AnyBatch;
}

/** Of `predict`: a network whose outputs tell classes, and rows without labels. */
export interface PredictOptions extends Located {
  /** Rows × d_0, row-major. */
  readonly inputs: Uint8Array | Float32Array;
  /** What the outputs are for (default "cross-entropy"): here one of the losses that predict classes. */
  readonly loss?: Exclude<LossOptions, LossOfOutputs>;
}

/** Losses whose outputs tell no classes. */
export type LossOfOutputs = "squared-error" | "absolute-error" | "logistic";

/** Of `predict`: a network whose outputs are numbers, or with "logistic" each a probability. */
export interface PredictOutputsOptions extends Located {
  /** Rows × d_0, row-major. */
  readonly inputs: Uint8Array | Float32Array;
  /** What the outputs are for. */
  readonly loss: LossOfOutputs;
}

/** Of `predict`, whichever the loss. */
export type AnyPredictOptions = PredictOptions | PredictOutputsOptions;

/** Of `accuracy`: a network, and rows to count the right predictions of. */
export interface AccuracyOptions extends Located {
  /** At least one row. */
  readonly data: Batch;
}

/** Of `errors`: a network, and rows to hold its outputs against the targets of. */
export interface ErrorsOptions extends Located {
  /** At least one row. */
  readonly data: TargetBatch;
}

/** Of `weights` and `importanceSampling`: the samples of one update at x = `parameters` (Algorithm 4). */
export interface WeightsOptions extends Omit<BatchOptions, "batch">, Position {
  /** The minibatch, at least one row; where `losses` are given its inputs are enough. */
  readonly batch: AnyBatch | { readonly inputs: Uint8Array | Float32Array };
  /** τ, above 0, a variance. */
  readonly tau: number;
  /**
   * s, above 0: scale of the perturbations (default √τ). A gradient is that of the objective of variance s², whatever τ.
   * With another s than √τ, `importanceSampling`'s mean is x − (s²/δ)·gradient, and τ counts for nothing there;
   * `evolutionStrategies`' is x − τ·gradient.
   */
  readonly noiseScale?: number;
  /** Default: Walsh, 2 blocks; for more than one hidden layer antithetic, 1,000 samples. */
  readonly coupling?: CouplingOptions;
  /** δ, above 0, in the loss's unit (default 1, the paper). */
  readonly temperature?: number;
  /**
   * In the place of a loss its values, (J + 1) × B: of each sample's rows in the order of `outputs`, the last of x itself,
   * numbers or Infinity. The rows then need neither labels nor targets.
   */
  readonly losses?: Float32Array;
  /** Default "auto". */
  readonly projection?: Projection;
  /** The row split (default true; false with complement "sample"). For `weights`: which of Walsh's two sign layouts. */
  readonly rowwise?: boolean;
}

/** Of `outputs`: the samples of `weights`, whose losses are not asked for. */
export interface OutputsOptions extends Omit<WeightsOptions, "loss" | "losses" | "temperature" | "batch"> {
  /** The minibatch's inputs, B × d_0, row-major. */
  readonly inputs: Uint8Array | Float32Array;
}

/** Of `importanceSampling`: those of `weights`. */
export type ImportanceSamplingCallOptions = WeightsOptions;
/** Of `evolutionStrategies`: those of `weights` without a temperature, since nothing is weighted. */
export type EvolutionStrategiesCallOptions = Omit<WeightsOptions, "temperature">;

/**
 * Either `batch`, for all transitions, or `batches`: 1, or one for each transition (then never projected), all of as
 * many rows.
 */
type OneOrManyBatches =
  | { readonly batch: AnyBatch; readonly batches?: undefined }
  | { readonly batch?: undefined; readonly batches: readonly AnyBatch[] };

/** Of `sgld`: one Langevin chain around x_k = `parameters` (Algorithm 3). */
export type SgldCallOptions = Located &
  Position &
  OneOrManyBatches & {
    /** Default "cross-entropy": a loss with a gradient. */
    readonly loss?: LossOptions;
    /** τ, above 0, a variance. */
    readonly tau: number;
    /** ε_1 … ε_J, above 0, at least two; `batches` then has J − 1. */
    readonly stepSizes: ArrayLike<number>;
    /** Scale of the normals of the transition after x^j (J), 0 or more (default √ε_j). */
    readonly noiseScales?: ArrayLike<number>;
    /** x¹ (n) (default `parameters`). */
    readonly start?: Vector;
    /** Default "auto". */
    readonly projection?: Projection;
  };

/** Of `robbinsMonro`: one proximal step from x_k = `parameters` (Algorithm 5). */
export type RobbinsMonroCallOptions = Located &
  Position &
  OneOrManyBatches & {
    /** Default "cross-entropy": a loss with a gradient. */
    readonly loss?: LossOptions;
    /** τ, above 0, a variance. */
    readonly tau: number;
    /** a_1 … a_J, above 0, at least one; `batches` then has J. */
    readonly stepSizes: ArrayLike<number>;
    /** M, gradients a transition; M·J at most 2³². */
    readonly samples: number;
    /** s, above 0: scale of the perturbations (default √τ). */
    readonly noiseScale?: number;
    /** Default "auto". */
    readonly projection?: Projection;
  };

/** Of `hessianProduct`: a network, rows to take the mean loss over, and what its Hessian is multiplied by. */
export interface HessianProductOptions extends BatchOptions {
  /** v (n), finite. */
  readonly vector: Vector;
}

/** Of `hessianEigenvalues`: a network, rows to take the mean loss over, and which eigenvalues of its Hessian. */
export interface HessianEigenvaluesOptions extends BatchOptions {
  /** How many of the largest, 0 … n (default 1). */
  readonly largest?: number;
  /** How many of the smallest, the most negative, 0 … n (default 0); with `largest` at least 1 and at most n. */
  readonly smallest?: number;
  /** Done when each residual is at most this part of the largest |eigenvalue| found; above 0 (default 1e-3). */
  readonly tolerance?: number;
  /**
   * Products at most, from as many as there are eigenvalues wanted to n (default 100, or twice as many as are wanted where
   * that is more); each keeps n doubles.
   */
  readonly products?: number;
  /** Of the vector that it begins with: integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
}

/** An eigenvalue with what is known of it. */
export interface Eigenpair {
  /** θ, in nats per squared unit of the parameters. */
  readonly value: number;
  /** u (n), of length 1; its sign says nothing. */
  readonly vector: Vector;
  /** |Hu − θu|: an eigenvalue lies within so much of θ. Rounding of float32 products adds some 1e-6 of the largest. */
  readonly residual: number;
}

/** What `hessianEigenvalues` found. */
export interface HessianEigenvalues {
  /** In falling order, as many as were asked for. */
  readonly largest: readonly Eigenpair[];
  /** In rising order, as many as were asked for. */
  readonly smallest: readonly Eigenpair[];
  /** Products with the Hessian that it took. */
  readonly products: number;
  /** Whether every residual came within the tolerance; false where the products were used up first. */
  readonly converged: boolean;
}

/** `Options` but for their schedule. */
type WithoutRate<Options> = Options extends unknown ? Omit<Options, "rate"> : never;

/** Of `step`: one step of an optimizer from `parameters` along `gradient` (eq. 11 and Remark 1). */
export interface StepOptions extends Cancellable {
  /** Kind and constants. Its `rate` stands beside it: one step has one number. */
  readonly optimizer: WithoutRate<Exclude<OptimizerOptions, { kind: "shift" }>>;
  /** 0 or more. */
  readonly rate: number;
  /** x (n), finite. */
  readonly parameters: Vector;
  /** g (n), finite. */
  readonly gradient: Vector;
  /** None for gradient descent, [velocity] for momentum, [m, v] for Adam, each n (default zeros). */
  readonly state?: readonly Vector[];
  /** Number of the step, from 1 (default 1): Adam's bias correction. */
  readonly index?: number;
}
