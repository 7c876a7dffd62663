/**
 * The job: what the host asks for, as src/backends/wasm/abi.ts describes it field by field, in the same order.
 */

@unmanaged
export class Job {
  temperature: f64;
  momentum: f64;
  beta1: f64;
  beta2: f64;
  epsilon: f64;
  weightDecay: f64;
  loss: f64;
  gradientNorm: f64;
  effectiveSampleSize: f64;
  freeEnergy: f64;
  largestWeight: f64;
  standardError: f64;
  operation: u32;
  threads: u32;
  seedLow: u32;
  seedHigh: u32;
  depth: u32;
  layers: usize;
  activation: u32;
  costs: usize;
  inputs: usize;
  inputsAreFloats: u32;
  labels: usize;
  sampleCount: u32;
  batchSize: u32;
  batches: u32;
  rows: usize;
  estimator: u32;
  coupling: u32;
  samples: u32;
  centred: u32;
  sampleComplement: u32;
  rowwise: u32;
  projected: u32;
  steps: u32;
  stepSizes: usize;
  noiseScales: usize;
  chainPrevious: u32;
  wantsError: u32;
  optimizer: u32;
  first: u32;
  count: u32;
  tau: usize;
  noiseScale: usize;
  rate: usize;
  values: usize;
  parameters: usize;
  gradient: usize;
  moment1: usize;
  moment2: usize;
  chain: usize;
  losses: usize;
  output: usize;
  outputLabels: usize;
  entries: u32;
  stream: u32;
  sample: u32;
  workspace: usize;
  chainValid: u32;
  cancel: u32;
  done: u32;
  correct: u32;
  arrived: u32;
  phase: u32;
  stopped: u32;
  next: u32;
}

export const OPERATION_GAUSSIAN: u32 = 0;
export const OPERATION_LOSS: u32 = 1;
export const OPERATION_PREDICT: u32 = 2;
export const OPERATION_ACCURACY: u32 = 3;
export const OPERATION_ESTIMATE: u32 = 4;
export const OPERATION_STEP: u32 = 5;
export const OPERATION_RUN: u32 = 6;

export const RELU: u32 = 0;
export const TANH: u32 = 1;
export const STEP: u32 = 2;

export const SGD: u32 = 0;
export const IMPORTANCE_SAMPLING: u32 = 1;
export const EVOLUTION_STRATEGIES: u32 = 2;
export const SGLD: u32 = 3;
export const ROBBINS_MONRO: u32 = 4;

export const INDEPENDENT: u32 = 0;
export const ANTITHETIC: u32 = 1;
export const WALSH: u32 = 2;

export const GRADIENT_DESCENT: u32 = 0;
export const MOMENTUM: u32 = 1;
export const ADAM: u32 = 2;

/** A pivot of at most so much of its diagonal entry is zero: its row repeats others. */
export const PIVOT_BOUND: f64 = 1e-9;
/** Walsh blocks that share their noise's memory and cross-fit each other. */
export const BLOCKS_IN_GROUP: u32 = 8;
/** Keep the quotients κ and λ of the row split from a denominator near zero. */
export const KAPPA_RIDGE: f64 = 0.1;
export const LAMBDA_RIDGE: f64 = 1e-3;
