/**
 * What the backends agree on, said once: a job's fields, the kinds that they name by number, the constants of the
 * methods, and what a job answers.
 *
 * A *job* is the flat form of everything that crosses the seam (`job.ts`): numbers by place in one Float64Array, arrays
 * by name. The addon reads those; the WASM kernels have the same fields as a struct in memory (`wasm/abi.ts`).
 * `scripts/generate.mjs` writes `native/description.h` and `assembly/machine/job.ts` from this file; a test asks whether
 * they are current. It imports nothing.
 *
 * Symbols: B rows of a minibatch, d_0 … d_L widths, n parameters, J samples or iterates of a chain, M samples a
 * transition, K Walsh blocks.
 */

/** Kinds, each known by its place in its list. A new one goes last. */
export const KINDS = {
  /** What a job does. Each names the fields that it needs besides its `operation`. */
  operation: [
    /** seed, stream, first (the update), sample, entries → output (entries). */
    "gaussian",
    /** network, loss, examples, batchSize, parameters → loss. */
    "loss",
    /** network, loss, examples (inputs alone), batchSize, parameters → output (B × d_L), outputLabels (B). */
    "predict",
    /** network, examples, batchSize, parameters → correct. */
    "accuracy",
    /**
     * The estimator at `parameters` on the first update of a plan: network, loss, examples, batchSize, batches, rows,
     * estimator, seed, first, tau[0], noiseScale[0] → gradient (n), losses (J, where asked for), the results; SGLD:
     * chain x¹ in, x^J out.
     */
    "estimate",
    /** optimizer, entries (n), rate[0], first (the step's index − 1), gradient → parameters, moments. */
    "step",
    /** `count` updates of a session: all fields of estimate and of step → parameters, moments, chain, values, done. */
    "run",
    /** network, examples, batchSize, parameters, vector → output (n). The mean cross-entropy's Hessian. */
    "hessian-product",
    /** The samples of estimate without their losses: all fields of it but the loss → output ((J + 1) × B × d_L). */
    "outputs",
  ],
  activation: ["relu", "tanh", "step"],
  loss: [
    "cross-entropy",
    "cost-matrix",
    "squared-error",
    "absolute-error",
    "logistic",
    "soft-cross-entropy",
    "given",
  ],
  estimator: ["sgd", "importance-sampling", "evolution-strategies", "sgld", "robbins-monro"],
  coupling: ["independent", "antithetic", "walsh"],
  optimizer: ["gradient-descent", "momentum", "adam"],
} as const;

/** A kind by its name: one of a list of `KINDS`. */
export type KindOf<Name extends keyof typeof KINDS> = (typeof KINDS)[Name][number];

/** Whether a loss of a row has a gradient, and an activation a slope, which back-propagation needs. */
export const HAS_GRADIENT = {
  loss: {
    "cross-entropy": true,
    "cost-matrix": false,
    "squared-error": true,
    "absolute-error": true,
    logistic: true,
    "soft-cross-entropy": true,
    given: false,
  },
  activation: { relu: true, tanh: true, step: false },
} as const satisfies { [Name in "loss" | "activation"]: Record<KindOf<Name>, boolean> };

/** What a loss reads of a row beside its inputs: its class, or its targets, d_L numbers; one that is given, nothing. */
export const READS = {
  "cross-entropy": "labels",
  "cost-matrix": "labels",
  "squared-error": "targets",
  "absolute-error": "targets",
  logistic: "targets",
  "soft-cross-entropy": "targets",
  given: "nothing",
} as const satisfies Record<KindOf<"loss">, "labels" | "targets" | "nothing">;

/**
 * What `predict` makes of a row's outputs: probabilities of the classes, which sum to 1, a probability of each output by
 * itself, or nothing.
 */
export const LINKS = {
  "cross-entropy": "softmax",
  "cost-matrix": "softmax",
  "squared-error": "identity",
  "absolute-error": "identity",
  logistic: "sigmoid",
  "soft-cross-entropy": "softmax",
  given: "identity",
} as const satisfies Record<KindOf<"loss">, "softmax" | "sigmoid" | "identity">;

/** Constants that every backend computes with. Changing one changes results of every seed. */
export const CONSTANTS = {
  /** Streams: one purpose of random numbers each, the fourth word of Philox's counter; docs/random-numbers.md. */
  streamMinibatchOrder: 0,
  streamInitialization: 1,
  streamComplement: 2,
  /** Noise of layer 1; of layer ℓ: ℓ − 1 more. */
  streamFirstLayer: 16,
  /**
   * A pivot of the Gram matrix is zero at most at this part of its diagonal entry (a repeated or dependent row): far
   * above float64's rounding, far below distinct images.
   */
  pivotBound: 1e-9,
  /** Walsh blocks whose control variates κ and λ come from one another (cross-fitting). */
  blocksInGroup: 8,
  /**
   * They keep the quotients κ and λ of the row split from a denominator near zero: in units of s_b², and of
   * s² Σ_h (a² + d²).
   */
  kappaRidge: 0.1,
  lambdaRidge: 1e-3,
  /** Numbers that an update of a session reports: see `PlanResult.values` in backend.ts. */
  valuesOfUpdate: 4,
} as const;

/** How a field stands in the WASM kernels' struct; in the addon's Float64Array all numbers are doubles. */
export type NumberType = "f64" | "u32";

/** Numbers that a job is given; what it does not need is 0. Flags are 0 or 1, kinds a place in `KINDS`. */
export const SCALARS = {
  /** δ. */
  temperature: "f64",
  momentum: "f64",
  beta1: "f64",
  beta2: "f64",
  epsilon: "f64",
  weightDecay: "f64",
  operation: "u32",
  seedLow: "u32",
  seedHigh: "u32",
  /** L. */
  depth: "u32",
  activation: "u32",
  /** Its name is not `loss`, which is a result. */
  lossKind: "u32",
  /** Whether `inputs` are floats, as they are, or bytes, byte/255. */
  inputsAreFloats: "u32",
  /** Rows of `inputs`. */
  exampleCount: "u32",
  /** B. */
  batchSize: "u32",
  /** Batches an update: 1, or one for each transition of a chain. */
  batches: "u32",
  estimator: "u32",
  coupling: "u32",
  /** J of independent samples and antithetic pairs; of Robbins–Monro M. */
  samples: "u32",
  /** K. */
  blocks: "u32",
  /** Independent samples only. */
  centred: "u32",
  /** Independent, projected samples without `rowwise` only. */
  sampleComplement: "u32",
  rowwise: "u32",
  projected: "u32",
  /** J of a chain: how many step sizes. */
  iterates: "u32",
  /** SGLD, operation run: each chain starts where the last one ended. */
  chainPrevious: "u32",
  /** Whether standardError is wanted: it can cost a pass of its own. */
  wantsError: "u32",
  optimizer: "u32",
  /** k of the first update: Philox's update word; Adam's index is k + 1. */
  first: "u32",
  count: "u32",
  /** Of the operations gaussian and step: how many; of estimate: how many losses are asked for, J or none. */
  entries: "u32",
  stream: "u32",
  sample: "u32",
} as const satisfies Record<string, NumberType>;

export type ScalarName = keyof typeof SCALARS;

/** Entries of an array. */
export type EntryType = "u8" | "u16" | "u32" | "f32" | "f64";

/** Arrays that a job is given or writes, each with the type of its entries. One that is absent has no entries. */
export const ARRAYS = {
  /** d_0 … d_L. */
  layers: "u32",
  /** classes × classes, [label, predicted]. */
  costs: "f32",
  /** exampleCount × d_0: bytes, or f32 where `inputsAreFloats`. */
  inputs: "u8",
  /** exampleCount; where they are neither read by the loss nor counted, none. */
  labels: "u16",
  /** Row numbers, count × batches × B; absent: 0 … count · batches · B − 1. */
  rows: "u32",
  /** ε_j or a_j, j = 1 … J. */
  stepSizes: "f64",
  /** SGLD: J (the last is not used). */
  noiseScales: "f64",
  /** One an update. */
  tau: "f64",
  noiseScale: "f64",
  rate: "f64",
  /** count × 4. */
  values: "f64",
  /** n each. `gradient` is scratch in operation run. */
  parameters: "f32",
  gradient: "f32",
  moment1: "f32",
  moment2: "f32",
  /** SGLD, n; operation run: only with chainPrevious, and valid if chainValid. */
  chain: "f32",
  /** J. */
  losses: "f32",
  output: "f32",
  outputLabels: "u16",
  /** n: what a Hessian is multiplied by. */
  vector: "f32",
  /** exampleCount × d_L, where the loss reads them. */
  targets: "f32",
  /** Of the loss "given": (J + 1) × B, each sample's rows in turn, the last sample x itself; of a run, count times. */
  rowLosses: "f32",
} as const satisfies Record<string, EntryType>;

export type ArrayName = keyof typeof ARRAYS;

/** Numbers that a job answers, of the last update done; NaN where an estimator has none. */
export const RESULTS = {
  loss: "f64",
  gradientNorm: "f64",
  effectiveSampleSize: "f64",
  freeEnergy: "f64",
  largestWeight: "f64",
  standardError: "f64",
  /** Updates done, or 0 or 1 of an operation. */
  done: "u32",
  /** Rows whose class predicted is the label. */
  correct: "u32",
  /** Whether a session's parameters are finite after its plan. */
  finite: "u32",
  /** Whether a session has a chain to go on from; given to the WASM kernels too. */
  chainValid: "u32",
} as const satisfies Record<string, NumberType>;

export type ResultName = keyof typeof RESULTS;

/** Words of the WASM kernels' struct that are no part of the question: their host's, and their own. */
export const MACHINE_WORDS = [
  /** T: how many threads enter. */
  "threads",
  /** Pointer: workspaceBytes(job) bytes. */
  "workspace",
  /** Nonzero: stop at the next block of samples or transition. */
  "cancel",
  // the kernels' own: zero in a new job, then left alone
  "arrived",
  "phase",
  "stopped",
  "next",
  /** How often a thread had to block for the others in this job. */
  "blocked",
] as const;

export type MachineWord = (typeof MACHINE_WORDS)[number];
