/**
 * The job in hand: which thread this is, the update in hand, and the shape of the network.
 */

import { Job } from "./job";

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

/** Number of the example in row i of batch `batch` of the update in hand. */
export function exampleNumber(batch: u32, i: u32): u32 {
  const at = (planIndex * job.batches + batch) * job.batchSize + i;
  return job.rows === 0 ? at : load<u32>(job.rows + 4 * at);
}
