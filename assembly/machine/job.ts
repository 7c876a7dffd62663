// Written by scripts/generate.mjs from src/backends/description.ts. Do not edit: change that, and run it.
// biome-ignore-all format: a generated file

/** The job: what the host asks for, and what the kernels answer. Arrays are byte addresses, 0 where there is none. */
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
  seedLow: u32;
  seedHigh: u32;
  depth: u32;
  activation: u32;
  lossKind: u32;
  inputsAreFloats: u32;
  exampleCount: u32;
  batchSize: u32;
  batches: u32;
  estimator: u32;
  coupling: u32;
  samples: u32;
  blocks: u32;
  centred: u32;
  sampleComplement: u32;
  rowwise: u32;
  projected: u32;
  iterates: u32;
  chainPrevious: u32;
  wantsError: u32;
  optimizer: u32;
  first: u32;
  count: u32;
  entries: u32;
  stream: u32;
  sample: u32;
  layers: usize;
  costs: usize;
  inputs: usize;
  labels: usize;
  rows: usize;
  stepSizes: usize;
  noiseScales: usize;
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
  vector: usize;
  targets: usize;
  rowLosses: usize;
  done: u32;
  correct: u32;
  finite: u32;
  chainValid: u32;
  threads: u32;
  workspace: usize;
  cancel: u32;
  arrived: u32;
  phase: u32;
  stopped: u32;
  next: u32;
  blocked: u32;
}

export const OPERATION_GAUSSIAN: u32 = 0;
export const OPERATION_LOSS: u32 = 1;
export const OPERATION_PREDICT: u32 = 2;
export const OPERATION_ACCURACY: u32 = 3;
export const OPERATION_ESTIMATE: u32 = 4;
export const OPERATION_STEP: u32 = 5;
export const OPERATION_RUN: u32 = 6;
export const OPERATION_HESSIAN_PRODUCT: u32 = 7;
export const OPERATION_OUTPUTS: u32 = 8;

export const RELU: u32 = 0;
export const TANH: u32 = 1;
export const STEP: u32 = 2;

export const CROSS_ENTROPY: u32 = 0;
export const COST_MATRIX: u32 = 1;
export const SQUARED_ERROR: u32 = 2;
export const ABSOLUTE_ERROR: u32 = 3;
export const LOGISTIC: u32 = 4;
export const SOFT_CROSS_ENTROPY: u32 = 5;
export const GIVEN: u32 = 6;

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

/** Whether a kind of loss reads a row's targets. */
export function readsTargets(loss: u32): bool {
  return loss === SQUARED_ERROR || loss === ABSOLUTE_ERROR || loss === LOGISTIC || loss === SOFT_CROSS_ENTROPY;
}

/** Whether predict makes of the outputs that a kind of loss is for probabilities of classes. */
export function hasClasses(loss: u32): bool {
  return loss === CROSS_ENTROPY || loss === COST_MATRIX || loss === SOFT_CROSS_ENTROPY;
}

export const STREAM_MINIBATCH_ORDER: u32 = 0;
export const STREAM_INITIALIZATION: u32 = 1;
export const STREAM_COMPLEMENT: u32 = 2;
export const STREAM_FIRST_LAYER: u32 = 16;
export const PIVOT_BOUND: f64 = 1e-9;
export const BLOCKS_IN_GROUP: u32 = 8;
export const KAPPA_RIDGE: f64 = 0.1;
export const LAMBDA_RIDGE: f64 = 0.001;
export const VALUES_OF_UPDATE: u32 = 4;
