/**
 * The public inputs of a backend's operations: one plain object each. Arrays are copied before the call returns.
 *
 * Symbols: B rows of a minibatch, d_0 … d_L widths, n parameters, J samples or chain steps, M samples a step,
 * x_k the parameters at update k, τ the proposal's variance, δ the temperature, ε_j and a_j step sizes.
 */
import type { Vector } from "../backends/backend.ts";
import type { CouplingOptions, LossOptions, NetworkOptions, OptimizerOptions, Projection } from "./types.ts";

/** Rows to compute on: B = labels.length. */
export interface Batch {
  /** B × d_0, row-major: bytes stand for byte/255, floats for themselves. */
  readonly inputs: Uint8Array | Float32Array;
  /** Class of each row (B). */
  readonly labels: Uint8Array | Uint16Array;
}

interface Cancellable {
  readonly signal?: AbortSignal;
}

/** Where in the random numbers an operation stands. */
interface Position {
  /** Integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
  /** k, zero-based (default 0). */
  readonly update?: number;
}

export interface GaussianOptions extends Position, Cancellable {
  /** A stream's name ("layer-1", …, "complement") or number. */
  readonly stream: string | number;
  /** The sample or chain step, zero-based (default 0). */
  readonly sample?: number;
  readonly count: number;
}

/** A network at parameters (n). */
interface Located extends Cancellable {
  readonly network: NetworkOptions;
  readonly parameters: Vector;
}

export interface BatchOptions extends Located {
  /** Default "cross-entropy". */
  readonly loss?: LossOptions;
  readonly batch: Batch;
}

export interface PredictOptions extends Located {
  /** Rows × d_0, row-major. */
  readonly inputs: Uint8Array | Float32Array;
}

export interface AccuracyOptions extends Located {
  readonly data: Batch;
}

export interface WeightsOptions extends BatchOptions, Position {
  /** τ, a variance. */
  readonly tau: number;
  /** Scale of the perturbations (default √τ). */
  readonly noiseScale?: number;
  /** Default: Walsh, 2 blocks; for more than one hidden layer antithetic, 1,000 samples. */
  readonly coupling?: CouplingOptions;
  /** δ (default 1). */
  readonly temperature?: number;
  readonly projection?: Projection;
  /** The row split (default: with Walsh blocks). `weights`: which of Walsh's two sign layouts. */
  readonly rowwise?: boolean;
}

export type ImportanceSamplingCallOptions = WeightsOptions;
export type EvolutionStrategiesCallOptions = Omit<WeightsOptions, "temperature">;

/** One batch for all transitions, or one for each of them (then never projected). */
type OneOrManyBatches =
  | { readonly batch: Batch; readonly batches?: undefined }
  | { readonly batch?: undefined; readonly batches: readonly Batch[] };

export type SgldCallOptions = Located &
  Position &
  OneOrManyBatches & {
    readonly loss?: LossOptions;
    /** τ, a variance. */
    readonly tau: number;
    /** ε_1 … ε_J; `batches` then has J − 1. */
    readonly stepSizes: ArrayLike<number>;
    /** Scale of the normals of the transition after x^j (J) (default √ε_j). */
    readonly noiseScales?: ArrayLike<number>;
    /** x¹ (n) (default `parameters`). */
    readonly start?: Vector;
    readonly projection?: Projection;
  };

export type RobbinsMonroCallOptions = Located &
  Position &
  OneOrManyBatches & {
    readonly loss?: LossOptions;
    /** τ, a variance. */
    readonly tau: number;
    /** a_1 … a_J; `batches` then has J. */
    readonly stepSizes: ArrayLike<number>;
    /** M. */
    readonly samples: number;
    /** Scale of the perturbations (default √τ). */
    readonly noiseScale?: number;
    readonly projection?: Projection;
  };

type WithoutRate<Options> = Options extends unknown ? Omit<Options, "rate"> : never;

export interface StepOptions extends Cancellable {
  /** Its `rate` stands beside it: one step has one number. */
  readonly optimizer: WithoutRate<Exclude<OptimizerOptions, { kind: "shift" }>>;
  readonly rate: number;
  /** n. */
  readonly parameters: Vector;
  /** n. */
  readonly gradient: Vector;
  /** None for gradient descent, [velocity] for momentum, [m, v] for Adam, each n (default zeros). */
  readonly state?: readonly Vector[];
  /** Number of the step, from 1 (default 1): Adam's bias correction. */
  readonly index?: number;
}
