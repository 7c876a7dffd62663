/**
 * The public options of `train` and `minimize`: plain readonly objects, discriminated by `kind`.
 *
 * Symbols: B rows of a minibatch, d_0 … d_L widths, n parameters, J samples or chain steps, M samples a step,
 * k = 0 … updates − 1 outer updates, τ the proposal's variance, δ the temperature.
 * A wrong option throws an `OptionError` that names it, what is allowed and what was given, before work starts.
 */
import type { AbortSignalLike, Vector } from "../backends/backend.ts";
import type { KindOf } from "../backends/description.ts";
import type { BackendName } from "../backends/registry.ts";
import type { Activation } from "../network.ts";
import type { Schedule } from "../schedules.ts";
import type { Encoding } from "../table/encoding.ts";

/**
 * A network: its widths alone, or `layers` and `activation`.
 *
 * `layers`: widths d_0 … d_L, inputs first and classes or outputs last, at least two; classes 2 … 2¹⁶, outputs 1 … 2¹⁶,
 * the others 1 … 2²⁴, at most 2³⁰ parameters. `activation` of the hidden layers: "relu" (default), "tanh" or "step".
 */
export type NetworkOptions =
  | readonly number[]
  | { readonly layers: readonly number[]; readonly activation?: Activation };

/**
 * Loss of a row; f is its mean over the rows of a minibatch. All but "zero-one" and "cost-matrix" have a gradient.
 *
 * On data with labels. "cross-entropy": −log softmax of the label's logit, in nats; with `smoothing` s, from 0 (default)
 * to below 1, the label has the probability 1 − s + s/classes and each other class s/classes. "zero-one": 1 where the
 * first largest logit is not the label's. "cost-matrix": the cost of the prediction, the class of the first largest logit,
 * or where one is NaN the label's dearest mistake; `costs` is classes × classes, rows labels, columns predictions,
 * finite numbers in a unit of the caller's.
 *
 * On data with targets t, one for each of the network's outputs z. "squared-error": ½ Σ (z − t)². "absolute-error":
 * Σ |z − t|, its gradient 0 at 0. "logistic": Σ log(1 + e^z) − t z, in nats, for outputs that are independent of each
 * other (one for two classes, or several labels a row), t from 0 to 1. "cross-entropy": −Σ t log softmax z, in nats, for
 * probabilities t of the classes, which sum to 1 in each row; `smoothing` mixes them with 1/classes.
 */
export type LossOptions =
  | Exclude<KindOf<"loss">, "cost-matrix" | "soft-cross-entropy" | "given">
  | "zero-one"
  | { readonly kind: "cross-entropy"; readonly smoothing?: number }
  | { readonly kind: "cost-matrix"; readonly costs: readonly (readonly number[])[] };

/**
 * A loss that is a function: what a row is charged for the network's outputs (d_L; the array is used again for the next
 * call), given its label or its targets (d_L) and its place in the training data, or in an operation's batch. Gradient-free
 * estimators only. It is called for each row of each sample, in the caller's thread, in turns of some milliseconds. A number,
 * or Infinity, which gives its sample the weight 0; anything else ends the run with an OptionError that tells the row.
 *
 * @param output the network's outputs for the row, d_L
 * @param target the row's label, or its targets, d_L
 * @param row its place in the training data
 */
export type LossFunction = (output: Float32Array, target: number | Float32Array, row: number) => number;

/** Rows of inputs with labels: bytes stand for byte/255, floats for themselves. */
export interface Dataset {
  /** count × width, row-major. */
  readonly inputs: Uint8Array | Float32Array;
  /** Class of each row, 0 … classes − 1. */
  readonly labels: Uint8Array | Uint16Array;
  /** Number of rows, at least 1: the length of `labels`. */
  readonly count: number;
  /** d_0: numbers in a row of `inputs`. */
  readonly width: number;
  /** d_L: number of classes, at least 2, whether or not each has a row. */
  readonly classes: number;
}

/** Rows of inputs with targets, for the losses that read them: regressions, several labels a row, soft labels. */
export interface TargetDataset {
  /** count × width, row-major: bytes stand for byte/255, floats for themselves. */
  readonly inputs: Uint8Array | Float32Array;
  /** count × outputs, row-major, finite; from 0 to 1 where the loss takes them for probabilities. */
  readonly targets: Float32Array;
  /** Number of rows, at least 1. */
  readonly count: number;
  /** d_0: numbers in a row of `inputs`. */
  readonly width: number;
  /** d_L: numbers in a row of `targets`, at least 1. */
  readonly outputs: number;
}

/** Data of a run, all of one width and number of classes or outputs: the network's first and last. */
export interface Data<Rows extends Dataset | TargetDataset = Dataset> {
  /** What minibatches are taken from, in a fresh order each epoch. */
  readonly train: Rows;
  /** What `testAccuracy` or `testErrors` are measured on (default: none, and they are null). */
  readonly test?: Rows;
  /** What `validationAccuracy` or `validationErrors` are measured on (default: none, and they are null). */
  readonly validation?: Rows;
  /** How rows became inputs, where `table` made them (default: nothing is known of it); checkpoints keep it. */
  readonly encoding?: Encoding;
}

/**
 * How the J samples of an update depend on each other; each one has the law N(x, τI) whichever it is.
 *
 * "independent": `samples` = J draws, the paper's. "antithetic": pairs ±Z; `samples` = J counts both of a pair, so it
 * is even. "walsh": `blocks` blocks (at most 2²⁰) of 2m samples that share noise up to signs, J = 2m · blocks; m is
 * the least power of two ≥ d_1 + d_2 (with `rowwise: false` ≥ d_1 + 1; without a hidden layer ≥ d_1). At most one
 * hidden layer.
 */
export type CouplingOptions =
  | {
      readonly kind: "independent";
      /** J, 1 … 2³¹; at least 2 where weights are centred. */
      readonly samples: number;
      /** The noise outside the inputs' span: left at its mean ("marginalize", default) or drawn (Algorithm 4's law). */
      readonly complement?: "sample" | "marginalize";
      /** Subtract the mean weight (default: true where the complement is marginalized). */
      readonly centred?: boolean;
    }
  | { readonly kind: "antithetic"; readonly samples: number }
  | { readonly kind: "walsh"; readonly blocks: number };

/**
 * "variance": φ_{x,τ} has variance τ (the paper's text). "standard-deviation": the second reading. A gradient is always
 * ∇F of the variance that samples have, here τ². The shift goes to x − (τ²/δ)∇F by importance sampling, whose samples'
 * mean that is; by the heat estimators to x − τ∇F^H, since in Algorithm 5 τ stands by itself too.
 */
export type NoiseReading = "variance" | "standard-deviation";
/**
 * "auto": the exact projection wherever it applies, which is where a minibatch has no more rows than the network has
 * inputs and serves the whole update. "off": the direct form.
 */
export type Projection = "auto" | "off";

/** E_q[X], q ∝ e^{−f/δ} φ_{x,τ}, from weighted samples of N(x, τI), gradient-free: Algorithm 4, eq. 16. */
export interface ImportanceSamplingOptions {
  readonly kind: "importance-sampling";
  /** Default: Walsh, 2 blocks; antithetic, 1,000 samples, for more than one hidden layer and for `minimize`. */
  readonly coupling?: CouplingOptions;
  /**
   * Whether the first-order part of the weights is conditioned row by row of the minibatch, the row split (default
   * true; false with complement "sample", which it does not have, and for `minimize`).
   */
  readonly rowwise?: boolean;
  /** δ, above 0, in the loss's unit: weights e^{−f/δ} (default 1, the paper). Float32 must hold 1/δ and δ/τ. */
  readonly temperature?: number;
  /** Whether τ is a variance (default) or a standard deviation, the second reading. */
  readonly noise?: NoiseReading;
  /** Default "auto". */
  readonly projection?: Projection;
}

/** E_q[X], q ∝ e^{−f} φ_{x,τ}, from a Langevin chain: Algorithm 3. Needs ∇f. */
export interface SgldOptions {
  readonly kind: "sgld";
  /** J, iterates of a chain, 2 … 2²⁴. */
  readonly steps: number;
  /** ε_j, j = 1 … J, above 0; the paper's is inverseShift(1, 1000). */
  readonly stepSize: Schedule;
  /** Where a chain starts: where that of the update before ended (default, the paper), or at x_k. */
  readonly chainStart?: "previous" | "center";
  /** One minibatch an update (default), or a fresh one for each of the J − 1 transitions. */
  readonly minibatch?: "per-update" | "per-step";
  /** Whether τ and each ε_j are variances (default) or standard deviations, the second reading. */
  readonly noise?: NoiseReading;
  /** Default "auto". */
  readonly projection?: Projection;
}

/** The proximal step on f smoothed by N(0, τI), by Robbins–Monro: Algorithm 5, eq. 17. Needs ∇f. */
export interface RobbinsMonroOptions {
  readonly kind: "robbins-monro";
  /** M, gradients a transition; M·J at most 2³². */
  readonly samples: number;
  /** J, transitions, 1 … 2²⁴. */
  readonly steps: number;
  /** a_j, j = 1 … J, above 0; the paper's is power(0.1, 0.7). */
  readonly stepSize: Schedule;
  /** One minibatch an update (default), or a fresh one for each of the J transitions. */
  readonly minibatch?: "per-update" | "per-step";
  /** Whether τ is a variance (default) or a standard deviation, the second reading. */
  readonly noise?: NoiseReading;
  /** Default "auto". */
  readonly projection?: Projection;
}

/**
 * The gradient of the heat regularization F^H_τ without gradients of f, by Stein's identity ∇F^H = E[Z f(x + sZ)]/s:
 * no quotient, so unbiased.
 */
export interface EvolutionStrategiesOptions {
  readonly kind: "evolution-strategies";
  /** Default: Walsh, 2 blocks; antithetic, 1,000 samples, for more than one hidden layer. */
  readonly coupling?: CouplingOptions;
  /** The row split (default true; false with complement "sample"). */
  readonly rowwise?: boolean;
  /** Whether τ is a variance (default) or a standard deviation, the second reading. */
  readonly noise?: NoiseReading;
  /** Default "auto". */
  readonly projection?: Projection;
}

/** What is minimized: local entropy F_τ (Algorithm 1), heat F^H_τ (Algorithm 2), or the loss f itself (SGD). */
export type ObjectiveOptions =
  | {
      readonly kind: "local-entropy";
      /**
       * τ_k, k = 0 … updates − 1, above 0, a variance (default 0.01, the paper). Its noise must be more than the grain of
       * float32 at the parameters' usual size.
       */
      readonly tau?: Schedule;
      /** Default: importance sampling. */
      readonly estimator?: ImportanceSamplingOptions | SgldOptions;
    }
  | {
      readonly kind: "heat";
      /**
       * τ_k, k = 0 … updates − 1, above 0, a variance (default 0.01, the paper). Its noise must be more than the grain of
       * float32 at the parameters' usual size.
       */
      readonly tau?: Schedule;
      /** Has no default. */
      readonly estimator: RobbinsMonroOptions | EvolutionStrategiesOptions;
    }
  | { readonly kind: "loss" };

/**
 * What moves x_k along the estimated gradient g (Remark 1). `rate` is a schedule over k = 0 … updates − 1, 0 or more.
 *
 * "shift": x_{k+1} = the estimated mean, the paper's step (eq. 12); the objective "loss" has none. "gradient-descent":
 * x ← x − rate·g. "momentum": v ← momentum·v + g, x ← x − rate·v, `momentum` from 0 to below 1 (default 0.9). "adam":
 * Kingma and Ba, ICLR 2015, with the decoupled decay of Loshchilov and Hutter, ICLR 2019.
 */
export type OptimizerOptions =
  | { readonly kind: "shift" }
  | { readonly kind: "gradient-descent"; readonly rate: Schedule }
  | { readonly kind: "momentum"; readonly rate: Schedule; readonly momentum?: number }
  | {
      readonly kind: "adam";
      readonly rate: Schedule;
      /** Decay of the first moment's average, from 0 to below 1 (default 0.9). */
      readonly beta1?: number;
      /** Decay of the second moment's average, from 0 to below 1 (default 0.999). */
      readonly beta2?: number;
      /**
       * Added to the root of the second moment (default 1e-8), not below √(1.2e-38/(1 − beta2)): what float32 keeps of a
       * gradient's square.
       */
      readonly epsilon?: number;
      /** Decoupled, biases too: x ← (1 − rate·weightDecay)·x − … (default 0). */
      readonly weightDecay?: number;
    };

/** A backend by its name, or "auto": the best that loads, in the order cuda, native, wasm, reference. */
export type BackendChoice = "auto" | BackendName;

/** What `train` is told. Everything but `network`, `data` and `updates` has a default. */
export interface TrainOptions {
  /** Widths d_0 … d_L, or widths and activation. */
  readonly network: NetworkOptions;
  /** Rows to train on, and to measure accuracy or errors on, with labels or with targets. Copied before `train` returns. */
  readonly data: Data | Data<TargetDataset>;
  /** Default "cross-entropy". A function of your own needs a gradient-free estimator. */
  readonly loss?: LossOptions | LossFunction;
  /** Default: local entropy at τ = 0.01, by importance sampling. */
  readonly objective?: ObjectiveOptions;
  /**
   * Default: Adam with rate cosine(1e-3, 0) and weight decay 0.05 for "importance-sampling" and
   * "evolution-strategies", the shift for "sgld" and "robbins-monro"; the objective "loss" has none, since a good rate depends on the problem.
   */
  readonly optimizer?: OptimizerOptions;
  /** B, at most the number of training rows (default 32, or all rows where there are fewer). */
  readonly batchSize?: number;
  /** Number of outer updates, 1 … 2³². */
  readonly updates: number;
  /** Integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
  /** x_0 (n), copied (default: Glorot and Bengio's uniform, AISTATS 2010, from the seed). A `resume` brings its own. */
  readonly parameters?: Vector;
  /** Default "auto": the best that loads. */
  readonly backend?: BackendChoice;
  /** Threads of the backend, 1 … 1024 (default: the machine's cores). No result depends on it. */
  readonly threads?: number;
  /** A record each so many updates (default 100). */
  readonly recordEvery?: number;
  /** Accuracy, or errors, on `data.test` and `data.validation` each so many updates (default 0: at the end only). */
  readonly evaluateEvery?: number;
  /**
   * Whether the result, and every accuracy, is the average of the iterates after each 50 updates and of the last, by
   * polynomial decay, and not the last one (default false). It takes the place of a rate that falls: give a constant one, twice as high as usual.
   */
  readonly averaging?: boolean;
  /** Ends the run between two updates; its `result` and its iteration then reject with the signal's reason. */
  readonly signal?: AbortSignalLike;
  /**
   * What `load(directory)` gave, to go on from there with the optimizer's moments. `updates` counts all, those before
   * included. Network, averaging, seed and the optimizer's kind must be those of the first run; what else is another,
   * `run.changed` tells.
   */
  readonly resume?: Resume;
}

/** Where a run stands: what a checkpoint holds beside the network. */
export interface Resume {
  /** Updates done. */
  readonly update: number;
  /** Hashes of the options that shape the numbers, by which a run that goes on tells which are others. */
  readonly fingerprint: string;
  /** x_k, the last iterate (n). */
  readonly parameters: Vector;
  /** The optimizer's: none for the shift and gradient descent, [velocity] for momentum, [m, v] for Adam, each n. */
  readonly moments: readonly Vector[];
  /** x^J of the last Langevin chain (n), where chains go on from it; else null. */
  readonly chain: Vector | null;
  /** Average of the iterates after each 50 updates so far (n), with `averaging`; else, and before the first, null. */
  readonly average: Vector | null;
  /** Sums of the record under way, so that it comes out as if never interrupted. */
  readonly pending: readonly number[];
  /** Backend and instruction set that computed so far: bit-exact only on the same. */
  readonly backend: string;
  /** As `BackendReport.instructionSet`. */
  readonly instructionSet: string;
  /** Seconds spent so far. */
  readonly seconds: number;
}

/**
 * A function R^dimension → R to minimize. Each call has an array of its own, and what it returns is copied. Anything but
 * a number, or for the gradient `dimension` numbers, ends the run with an OptionError.
 */
export interface FunctionLoss {
  /** n, the number of arguments, 1 … 2³⁰. */
  readonly dimension: number;
  /** f(x), x of length `dimension`. */
  readonly value: (x: Float64Array) => number;
  /** ∇f(x), of length `dimension`. "sgld", "robbins-monro" and the objective "loss" need it. */
  readonly gradient?: (x: Float64Array) => ArrayLike<number>;
}

/**
 * `ObjectiveOptions` without what speaks of minibatches and first layers, which a function does not have.
 *
 * `tau`: τ_k, above 0, a variance (default 0.01). `estimator`: default importance sampling for local entropy, none for
 * heat.
 */
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

/** What `minimize` is told. Everything but `loss`, `start` and `updates` has a default. */
export interface MinimizeOptions {
  /** The function f; it is called in the thread of the caller, in turns. */
  readonly loss: FunctionLoss;
  /** x_0 (dimension), finite, copied. */
  readonly start: ArrayLike<number>;
  /** Default: local entropy at τ = 0.01, by importance sampling. */
  readonly objective?: MinimizeObjectiveOptions;
  /** Default: the shift (Algorithms 1 and 2 as they stand); the objective "loss" has none. */
  readonly optimizer?: OptimizerOptions;
  /** Number of outer updates, 1 … 2³². */
  readonly updates: number;
  /** Integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
  /** A record each so many updates (default 100). */
  readonly recordEvery?: number;
  /** Ends the run; its `result` and its iteration then reject with the signal's reason. */
  readonly signal?: AbortSignalLike;
}
