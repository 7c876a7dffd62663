/**
 * The one seam: what a backend is to the rest of the package.
 *
 * A backend computes operations and runs sessions on numbers that were checked above it. It knows no option
 * names, no schedule, no reading of the noise (a noise scale arrives as a number), no file and no progress bar:
 * those are turned into numbers before they cross. Selection is in `registry.ts`, so nothing here imports a backend.
 *
 * Symbols: B rows of a minibatch, d_0 … d_L widths, n parameters, J samples or chain steps, M samples a step,
 * x_k the parameters at update k, τ the proposal's variance, δ the temperature.
 */
import { OptionError, ofLength } from "../errors.ts";
import type { Network } from "../network.ts";
import type { Key } from "../reference/random/streams.ts";
import { CONSTANTS, type KindOf } from "./description.ts";
import type { Coupling, Estimator } from "./estimator.ts";

export { type Coupling, type Estimator, sampleCount } from "./estimator.ts";

/** Parameters, gradients, probabilities: float32, or float64 from the reference. */
export type Vector = Float32Array | Float64Array;

/**
 * An AbortSignal, as far as it is used. Its own type comes with the DOM's or with Node's, and a project that uses this
 * package need have neither.
 */
export interface AbortSignalLike {
  /** Whether the work is to end. */
  readonly aborted: boolean;
  /** Throws the reason where it is aborted. */
  throwIfAborted(): void;
  /** Calls the listener when it is aborted, the only `type`; with the options `once` a single time. */
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void;
  /** No longer calls that listener of that `type`. */
  removeEventListener(type: "abort", listener: () => void): void;
}

/**
 * Loss of a row; f is its mean over the minibatch. With the outputs z and the targets t of a row: squared error
 * ½ Σ (z − t)², absolute error Σ |z − t|, logistic Σ log(1 + e^z) − t z, soft cross-entropy −Σ t log softmax z. One that is given was computed
 * elsewhere from the outputs of the samples: `losses` is (J + 1) × B, each sample's rows in turn, the last sample x itself.
 * `costs` is classes × classes: [label, predicted], row-major.
 * Predicted is the class of the first largest logit; where one is NaN nothing is, and the loss is the dearest of the
 * label's costs.
 */
export type Loss =
  | { readonly kind: Exclude<KindOf<"loss">, "cost-matrix" | "given"> }
  | { readonly kind: "given"; readonly losses: Vector }
  | { readonly kind: "cost-matrix"; readonly costs: Float64Array };

/** Rows of inputs with what is to be predicted of them. Bytes stand for byte/255, floats for themselves. */
export interface Examples {
  /** count × width, row-major. */
  readonly inputs: Uint8Array | Float32Array;
  /** Class of each row, 0 … classes − 1; no entries where the rows have none, which a loss that reads targets allows. */
  readonly labels: Uint16Array;
  /** count × d_L, row-major, for a loss that reads them (`READS` of description.ts). */
  readonly targets?: Float32Array;
}

/**
 * What moves x_k along the estimated gradient. The paper's shift x_{k+1} = mean is gradient descent at rate τ/δ
 * (eq. 12), so no backend knows it.
 */
export type Optimizer =
  | { readonly kind: "gradient-descent" }
  | { readonly kind: "momentum"; readonly momentum: number }
  | {
      readonly kind: "adam";
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
      readonly weightDecay: number;
    };

/** How many vectors of n each optimizer keeps. */
export const MOMENT_COUNTS: Readonly<Record<Optimizer["kind"], number>> = {
  "gradient-descent": 0,
  momentum: 1,
  adam: 2,
};

/** An optimizer's state, as many vectors of n as it keeps. */
export function checkedMoments<V extends ArrayLike<number>>(
  moments: readonly V[],
  n: number,
  { kind }: Optimizer,
): readonly V[] {
  const needed = MOMENT_COUNTS[kind];
  if (moments.length !== needed) {
    throw new OptionError(`Expected ${needed} vectors for moments but received ${moments.length}`);
  }
  for (const moment of moments) ofLength("moments", moment, n);
  return moments;
}

/** What a run carries from one update to the next, and a checkpoint holds. */
export interface SessionState {
  /** x_k (n). */
  readonly parameters: Vector;
  /** Optimizer's state: none for gradient descent, [velocity] for momentum, [m, v] for Adam; each n. */
  readonly moments: readonly Vector[];
  /** x^J of the previous update's Langevin chain (n), with `chainStart: "previous"` and after the first update. */
  readonly chain: Vector | null;
}

export type DataSplit = "train" | "test" | "validation";

export interface SessionSetup {
  readonly network: Network;
  readonly loss: Loss;
  readonly data: { readonly train: Examples; readonly test?: Examples; readonly validation?: Examples };
  readonly batchSize: number;
  readonly estimator: Estimator;
  readonly optimizer: Optimizer;
  readonly key: Key;
  readonly state: SessionState;
}

/** Several updates in one crossing. Every array has one entry an update unless it says otherwise. */
export interface Plan {
  /** k of the first update, zero-based: Philox's update word; Adam's index is k + 1. */
  readonly first: number;
  readonly count: number;
  /** Row numbers of the training data: count × batches × B. */
  readonly rows: Uint32Array;
  readonly tau: Float64Array;
  /** Scale of the perturbations: √τ, or τ in the second reading. */
  readonly noiseScale: Float64Array;
  readonly rate: Float64Array;
  /** Of the loss "given", for the plan's one update: (J + 1) × B. */
  readonly losses?: Vector;
}

/** Numbers that an update reports, `VALUES` of them a row: see `PlanResult.values`. */
export const VALUES = CONSTANTS.valuesOfUpdate;

export interface PlanResult {
  /** Updates done; fewer than asked for only if the signal was aborted. The session stands after the last one. */
  readonly done: number;
  /**
   * done × 4: the mean loss that the update saw (+∞ where a sample's is), |gradient|, effective sample size, F_τ estimate. The last two
   * are NaN but for importance sampling.
   */
  readonly values: Float64Array;
  /** Whether all parameters are finite after the last update done. */
  readonly finite: boolean;
}

/** A run's data and state inside the backend. One call at a time. */
export interface Session {
  /**
   * Runs updates first … first + count − 1. An aborted signal abandons the update in hand (an update is atomic:
   * nothing of it stays) and *resolves* with what was done.
   */
  run(plan: Plan, signal?: AbortSignalLike): Promise<PlanResult>;
  /** Fraction 0 … 1 of a split's rows whose class predicted is the label; the split has labels. */
  accuracy(split: DataSplit): Promise<number>;
  /** What is predicted of a split's rows (count × d_L), as the operation's `outputs`. */
  predict(split: DataSplit): Promise<Vector>;
  /** Of the samples of a plan's one update, as the operation `outputs`; null where the signal was aborted. */
  outputs(plan: Plan, signal?: AbortSignalLike): Promise<Vector | null>;
  /** A copy of the state after the last update. */
  read(): Promise<SessionState>;
  /** Frees everything; safe to repeat. A call under way is cancelled first. */
  close(): void;
}

// Operations: stateless, one input in, a promise out. Inputs are copied before the call returns.

interface Call {
  readonly signal?: AbortSignalLike;
}

export interface GaussianInput extends Call {
  readonly key: Key;
  readonly stream: number;
  readonly update: number;
  readonly sample: number;
  readonly count: number;
}

/** A network at given parameters, and rows to look at. */
export interface BatchInput extends Call {
  readonly network: Network;
  readonly loss: Loss;
  readonly parameters: Vector;
  readonly batch: Examples;
}

export interface PredictInput extends Call {
  readonly network: Network;
  /** Its link is applied: see `LINKS` of description.ts. */
  readonly loss: Loss;
  readonly parameters: Vector;
  readonly inputs: Uint8Array | Float32Array;
}

/** Rows to take the mean cross-entropy over, of a network with a slope, and what its Hessian is multiplied by. */
export interface HessianProductInput extends Omit<BatchInput, "loss"> {
  /** n. */
  readonly vector: Vector;
}

/** A sampling operation: where in the random numbers it stands. */
interface Drawn {
  readonly key: Key;
  readonly update: number;
  /** Importance sampling's gradient is δ(x − E_q[X])/τ, so that it is ∇F where τ is s², as the options make it. */
  readonly tau: number;
}

export interface WeightsInput extends BatchInput, Drawn {
  readonly noiseScale: number;
  readonly coupling: Coupling;
  readonly temperature: number;
  readonly rowwise: boolean;
  readonly projected: boolean;
}

/** The samples of `weights` on a minibatch's inputs, whose losses are not asked for. */
export interface OutputsInput extends Omit<WeightsInput, "loss" | "batch" | "temperature"> {
  /** B × d_0. */
  readonly inputs: Examples["inputs"];
}

export type ImportanceSamplingInput = WeightsInput;
export type EvolutionStrategiesInput = Omit<WeightsInput, "temperature">;

/** A chain's input: one batch for all transitions, or one for each. */
interface ChainInput extends Call, Drawn {
  readonly network: Network;
  readonly loss: Loss;
  readonly parameters: Vector;
  readonly batches: readonly Examples[];
  readonly stepSizes: Float64Array;
  readonly projected: boolean;
}

export interface SgldInput extends ChainInput {
  readonly noiseScales: Float64Array;
  /** x¹ (n). */
  readonly start: Vector;
}

export interface RobbinsMonroInput extends ChainInput {
  readonly samples: number;
  readonly noiseScale: number;
}

export interface StepInput extends Call {
  readonly optimizer: Optimizer;
  readonly rate: number;
  readonly parameters: Vector;
  readonly gradient: Vector;
  readonly moments: readonly Vector[];
  /** From 1: Adam's bias correction. */
  readonly index: number;
}

/** An estimate of E_q[X] from weighted samples, and how good it is. */
export interface ImportanceSamplingOutput {
  /** ∇F of the variance that the samples have (n). */
  readonly gradient: Vector;
  /** Mean of the samples' losses. */
  readonly loss: number;
  /** F_τ = −δ log mean e^{−f/δ} over the samples (eq. 2), in the loss's unit. */
  readonly freeEnergy: number;
  /** (Σw)²/Σw², 1 … J. With Walsh blocks the spread of the weights, and no measure of the error. */
  readonly effectiveSampleSize: number;
  /** Largest normalized weight, 1/J … 1. */
  readonly largestWeight: number;
  /**
   * Root of the expected |gradient's error|², from the spread between independent units u (samples, antithetic
   * pairs or Walsh blocks); null where there is one unit. |gradient|/standardError is the step's signal to noise.
   * With the row split the spread of the units' own parts of the gradient; where Walsh blocks' losses are nearly linear in
   * the noise it is up to 15 % too small (2 blocks), since blocks of a group share their slopes.
   * Independent, raw weights: (δ s/τ)·√Σ w̄_j²|Z_j|², Z over what was sampled (in-span only where the complement is
   * marginalized), the self-normalization's own error left out; centred: w̄_j − 1/J in place of w̄_j; antithetic:
   * w̄₊ − w̄₋ of a pair.
   */
  readonly standardError: number | null;
  /** J. */
  readonly samples: number;
}

/** An estimate of ∇F^H_τ (`gradient`, n). */
export type EvolutionStrategiesOutput = Pick<
  ImportanceSamplingOutput,
  "gradient" | "loss" | "standardError" | "samples"
>;

export interface Operations {
  gaussian(input: GaussianInput): Promise<Vector>;
  loss(input: BatchInput): Promise<number>;
  gradient(input: BatchInput): Promise<{ gradient: Vector; loss: number }>;
  /** Outputs under the loss's link (B × d_L), and the class of the first largest of each row (B). */
  predict(input: PredictInput): Promise<{ outputs: Vector; labels: Uint16Array }>;
  accuracy(input: Omit<BatchInput, "loss">): Promise<number>;
  /**
   * The network's outputs at each sample of the minibatch, in the order of `weights`, and at x itself, (J + 1) × B × d_L:
   * what the losses of a loss that is given are computed from.
   */
  outputs(input: OutputsInput): Promise<Vector>;
  /** `losses` in order of the samples, J of them; the caller makes the log weights −losses/δ. */
  weights(input: WeightsInput): Promise<{ losses: Vector }>;
  importanceSampling(input: ImportanceSamplingInput): Promise<ImportanceSamplingOutput>;
  evolutionStrategies(input: EvolutionStrategiesInput): Promise<EvolutionStrategiesOutput>;
  sgld(input: SgldInput): Promise<{ mean: Vector; last: Vector; loss: number }>;
  robbinsMonro(input: RobbinsMonroInput): Promise<{ mean: Vector; loss: number }>;
  step(input: StepInput): Promise<{ parameters: Vector; moments: Vector[] }>;
  /** ∇²f(x) v (n) of the mean cross-entropy f. */
  hessianProduct(input: HessianProductInput): Promise<Vector>;
}

/** What is predicted for some rows. */
export interface Predictions {
  /** Softmax, rows × classes, row-major; NaN for a row with a logit that is NaN. */
  readonly probabilities: Vector;
  /** The first most likely class of each row (rows); 65535 for a row with a logit that is NaN. */
  readonly labels: Uint16Array;
}

/** A network whose parameters stay with the backend, for predictions of few rows at a time. */
export interface Predictor {
  /**
   * As the operation, but at once, on the calling thread: for rows whose work takes less time than it takes to wake another
   * thread.
   *
   * @param inputs rows × d_0, at least one
   */
  predict(inputs: Examples["inputs"]): { outputs: Vector; labels: Uint16Array };
  /** Frees it; safe to repeat. */
  close(): void;
}

/** What opens a backend. */
export interface BackendOptions {
  /** At least 1. */
  readonly threads: number;
  /** One of its status (default: the one that its environment variable forces, else the best that runs here). */
  readonly instructionSet?: string;
}

/** Whether a backend can be opened here. */
export interface BackendStatus {
  readonly available: boolean;
  /** Instruction sets, builds or architectures that run here, best first; none if it is not available. */
  readonly instructionSets: readonly string[];
  /** Why it is not available and what to do; empty if it is. */
  readonly reason: string;
}

export interface Backend<Name extends string = string> {
  /** As in the registry. */
  readonly name: Name;
  /** "avx512", "avx2", "sse4", "neon"; of wasm the build, as "simd+threads"; "float64" for the reference. */
  readonly instructionSet: string;
  readonly threads: number;
  /**
   * Of a backend whose opening goes on after it was opened: resolves when it computes, rejects with a BackendError where
   * it cannot; calls wait for it. What it is (`instructionSet`, `threads`, `shortfall`) is certain from then on.
   */
  readonly started?: Promise<void>;
  /** Why it runs with less than the host was thought to have, or than was asked for; empty or absent where it does not. */
  readonly shortfall?: string;
  readonly operations: Operations;
  /** Copies the parameters before it returns. */
  openPredictor(input: Omit<PredictInput, "inputs" | "signal">): Promise<Predictor>;
  /** What it is given is copied before it returns. */
  openSession(setup: SessionSetup): Session;
  /** In turns of a few milliseconds, on data that nobody else has: its arrays are the session's, or are moved away. */
  takeSession(setup: SessionSetup): Promise<Session>;
  /** Cancels what is under way, frees everything; safe to repeat. */
  close(): void;
}
