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

export const GAUSSIAN: u32 = 0;
export const LOSS: u32 = 1;
export const PREDICT: u32 = 2;
export const CORRECT: u32 = 3;
export const ESTIMATE: u32 = 4;
export const STEP: u32 = 5;
export const RUN: u32 = 6;

export const RELU: u32 = 0;
export const TANH: u32 = 1;

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

/** This instance's job; each thread has an instance, so each has these variables of its own. */
export let job: Job = changetype<Job>(0);
export let thread: u32 = 0;
export let threads: u32 = 1;

/** The update in hand: its place in the plan, x_k, Philox's update word, τ, the perturbation's scale. */
export let planIndex: u32 = 0;
export let update: u32 = 0;
export let tau: f64 = 0;
export let noiseScale: f64 = 0;

export function setJob(pointer: usize, number: u32): void {
  job = changetype<Job>(pointer);
  thread = number;
  threads = job.threads;
  planIndex = 0; // of an operation on rows, which sets no update
}

export function setUpdate(index: u32): void {
  planIndex = index;
  update = job.first + index;
  tau = load<f64>(job.tau + 8 * index);
  noiseScale = load<f64>(job.noiseScale + 8 * index);
}

/** d_l. */
export function width(layer: u32): u32 {
  return load<u32>(job.layers + 4 * layer);
}

/** Rows of layer l's matrix, l = 1 … L: d_{l−1} + 1, the bias row last. */
export function layerRows(layer: u32): u32 {
  return width(layer - 1) + 1;
}

/** Where layer l's matrix begins in the flat parameters; of layer L + 1: their number n. */
export function layerOffset(layer: u32): u32 {
  let offset: u32 = 0;
  for (let l: u32 = 1; l < layer; l++) offset += layerRows(l) * width(l);
  return offset;
}

export function classes(): u32 {
  return width(job.depth);
}

export function parameterCount(): u32 {
  return layerOffset(job.depth + 1);
}

/** Entries of layers 2 … L. */
export function tailSize(): u32 {
  return parameterCount() - layerOffset(2);
}

/** The largest matrix of layers 2 … L. */
export function largestTail(): u32 {
  let size: u32 = 0;
  for (let l: u32 = 2; l <= job.depth; l++) {
    const count = layerRows(l) * width(l);
    if (count > size) size = count;
  }
  return size;
}

/** Number of the sample in row i of batch `batch` of the update in hand. */
export function sampleNumber(batch: u32, i: u32): u32 {
  const at = (planIndex * job.batches + batch) * job.batchSize + i;
  return job.rows === 0 ? at : load<u32>(job.rows + 4 * at);
}
