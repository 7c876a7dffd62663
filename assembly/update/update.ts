/**
 * A job, from its operation to the kernels: one update of a session is the estimator's gradient at x_k, its norm, and
 * the optimizer's step. An update is atomic: one that was cancelled leaves no trace.
 */

import { robbinsMonro, takeRobbinsMonro } from "../chains/robbins-monro";
import { sgld, takeSgld } from "../chains/sgld";
import { classes, job, layerOffset, parameterCount, setJob, setUpdate, thread } from "../machine/context";
import {
  EVOLUTION_STRATEGIES,
  IMPORTANCE_SAMPLING,
  OPERATION_ACCURACY,
  OPERATION_ESTIMATE,
  OPERATION_GAUSSIAN,
  OPERATION_HESSIAN_PRODUCT,
  OPERATION_LOSS,
  OPERATION_OUTPUTS,
  OPERATION_PREDICT,
  OPERATION_RUN,
  OPERATION_STEP,
  ROBBINS_MONRO,
  SGD,
  SGLD,
  WALSH,
} from "../machine/job";
import { allFinite, least } from "../machine/lanes";
import {
  barrier,
  cancelled,
  endItems,
  enter,
  nextItem,
  shareBegin,
  shareEnd,
  stopped,
} from "../machine/team";
import { beginWorkspace, take, takeFloats, takenBytes, takeOwn } from "../machine/workspace";
import {
  blockRows,
  logits,
  passBytes,
  predictRow,
  rowLosses,
  setPass,
  setSample,
  signal,
  stride,
  sumOfLosses,
  takePass,
} from "../network/dense";
import { hessianProduct, takeHessianProduct } from "../network/hessian-product";
import { predicted } from "../network/loss";
import { clearFactored, factoredRows, ROW_BLOCK, Rows, rowsBytes, setRows } from "../network/rows";
import { sgd, takeSgd } from "../network/sgd";
import { gaussianGroups } from "../random/gaussian";
import { evolutionStrategies, takeEvolutionStrategies } from "../sampling/evolution-strategies";
import { importanceSampling, takeImportanceSampling } from "../sampling/importance-sampling";
import { sampleLosses } from "../sampling/samples";
import { walshLosses } from "../sampling/walsh";
import { m } from "../sampling/walsh-row";
import { factoredStep, takeFactored } from "./factored";
import { beginStep, stepEntries } from "./step";

/** A thread's rows and pass of the operations on rows; each block's sum (f64). */
let rows: Rows = changetype<Rows>(0);
let rowsMemory: usize = 0;
let passHead: usize = 0;
let passMemory: usize = 0;
let blockSums: usize = 0;
/** The Langevin chain of the update in hand (n): a copy, so that a cancelled update leaves no trace. */
let chain: usize = 0;
/** |gradient|² of fixed parts of what is not factored. */
let normParts: usize = 0;
const NORM_PARTS: u32 = 16;

function blocks(): u32 {
  return (job.batchSize + ROW_BLOCK - 1) / ROW_BLOCK;
}

/** Whether the operation is one on rows. */
function isOnRows(): bool {
  const operation = job.operation;
  return operation === OPERATION_LOSS || operation === OPERATION_PREDICT || operation === OPERATION_ACCURACY;
}

function takeRowOperation(): void {
  rows = changetype<Rows>(takeOwn(offsetof<Rows>()));
  rowsMemory = takeOwn(rowsBytes(blockRows()));
  passHead = takePass();
  passMemory = takeOwn(passBytes(blockRows()));
  blockSums = take(8 * u64(blocks()));
}

function takeEstimator(): void {
  if (job.estimator === SGD) takeSgd();
  else if (job.estimator === IMPORTANCE_SAMPLING) takeImportanceSampling();
  else if (job.estimator === EVOLUTION_STRATEGIES) takeEvolutionStrategies();
  else if (job.estimator === SGLD) takeSgld();
  else if (job.estimator === ROBBINS_MONRO) takeRobbinsMonro();
  else unreachable();
}

/** Whether the estimator can leave the first layer's gradient as Aᵀ C, so that its step needs memory. */
function mayLeaveFactored(): bool {
  if (job.estimator === SGD) return job.batchSize <= ROW_BLOCK;
  return job.projected !== 0 && job.estimator !== SGLD;
}

/** Takes the operation's memory, by address arithmetic alone. */
function takeAll(from: usize): void {
  beginWorkspace(from);
  if (job.operation === OPERATION_ESTIMATE || job.operation === OPERATION_RUN) takeEstimator();
  if (job.operation === OPERATION_OUTPUTS) takeEvolutionStrategies();
  if (isOnRows() || job.operation === OPERATION_OUTPUTS) takeRowOperation();
  if (job.operation === OPERATION_HESSIAN_PRODUCT) takeHessianProduct();
  if (job.operation === OPERATION_STEP || job.operation === OPERATION_RUN) normParts = take(8 * NORM_PARTS);
  if (job.operation !== OPERATION_RUN) return;
  if (mayLeaveFactored()) takeFactored();
  if (job.estimator === SGLD) chain = takeFloats(parameterCount());
}

/** Bytes of workspace that the job needs. */
export function workspaceBytes(pointer: usize): f64 {
  setJob(pointer, 0);
  takeAll(0);
  return f64(takenBytes());
}

/** The estimator at x_k, its gradient whole or, where `leave`, perhaps factored. x: SGLD's chain. Ends with a barrier. */
function estimate(leave: bool, x: usize): void {
  if (thread === 0) {
    job.effectiveSampleSize = NaN;
    job.freeEnergy = NaN;
    job.largestWeight = NaN;
    job.standardError = NaN;
  }
  clearFactored();
  if (job.estimator === SGD) sgd(leave);
  else if (job.estimator === IMPORTANCE_SAMPLING) importanceSampling(leave);
  else if (job.estimator === EVOLUTION_STRATEGIES) evolutionStrategies(leave);
  else if (job.estimator === SGLD) sgld(x);
  else if (job.estimator === ROBBINS_MONRO) robbinsMonro(leave);
  else unreachable();
  barrier();
}

/** Steps entries first … n − 1 along the gradient; returns their slopes' |·|², by fixed parts. */
function stepRest(first: u32, n: u32): f64 {
  const count = n - first;
  for (let part = nextItem(NORM_PARTS); part < NORM_PARTS; part = nextItem(NORM_PARTS)) {
    const begin = partBegin(count, part);
    const at = first + begin;
    let total: f64 = 0;
    const end = first + partBegin(count, part + 1);
    for (let i = at; i < end; i += 4096)
      total += f64(stepEntries(job.gradient + 4 * i, i, least(4096, end - i)));
    store<f64>(normParts + 8 * part, total);
  }
  endItems(NORM_PARTS);
  let total: f64 = 0;
  for (let part: u32 = 0; part < NORM_PARTS; part++) total += load<f64>(normParts + 8 * part);
  return total;
}

function partBegin(count: u32, part: u32): u32 {
  const units = (u64(count) + 63) / 64;
  return u32(Math.min(f64(count), f64(((units * part) / NORM_PARTS) * 64)));
}

/** One update. Whether it was done. */
function update(index: u32): bool {
  setUpdate(index);
  const langevin = job.estimator === SGLD;
  if (langevin) {
    const n = parameterCount();
    const begin = shareBegin(n, 16);
    const from = job.chainPrevious && job.chainValid ? job.chain : job.parameters;
    memory.copy(chain + 4 * begin, from + 4 * begin, 4 * (shareEnd(n, 16) - begin));
    barrier();
  }
  estimate(true, chain);
  if (stopped()) return false;
  beginStep(load<f64>(job.rate + 8 * index), u64(job.first) + index + 1);
  let first: u32 = 0;
  let norm2: f64 = 0;
  if (changetype<usize>(factoredRows) !== 0) {
    norm2 = factoredStep();
    first = layerOffset(2);
  }
  norm2 += stepRest(first, parameterCount());
  if (langevin && job.chainPrevious) {
    const n = parameterCount();
    const begin = shareBegin(n, 16);
    memory.copy(job.chain + 4 * begin, chain + 4 * begin, 4 * (shareEnd(n, 16) - begin));
  }
  if (thread === 0) {
    const row = job.values + 32 * index;
    job.gradientNorm = sqrt(norm2);
    job.chainValid = u32(langevin && job.chainPrevious);
    job.done = index + 1;
    store<f64>(row, job.loss);
    store<f64>(row, job.gradientNorm, 8);
    store<f64>(row, job.effectiveSampleSize, 16);
    store<f64>(row, job.freeEnergy, 24);
  }
  return true;
}

/** The outputs of all samples, of whichever estimator, and of the rows at x itself. */
function sampleOutputs(): void {
  const walsh = job.coupling === WALSH;
  if (walsh ? !walshLosses() : !sampleLosses()) return;
  setSample(walsh ? 2 * m * job.blocks : job.samples);
  rowOperation();
}

/** A block of rows of loss, outputs, predict and accuracy; returns its sum of losses or its number of right labels. */
function blockOfRows(first: u32): f64 {
  const count = least(ROW_BLOCK, job.batchSize - first);
  const pass = setPass(passHead, passMemory, blockRows(), false);
  logits(rows, pass, job.parameters, 0, first, count);
  if (job.operation === OPERATION_LOSS || job.operation === OPERATION_OUTPUTS) {
    rowLosses(rows, 0, pass, 0, count, 0);
    return sumOfLosses(pass, count);
  }
  let right: u32 = 0;
  for (let r: u32 = 0; r < count; r++) {
    const z = signal(pass, job.depth) + 4 * r * stride(job.depth);
    if (job.operation === OPERATION_PREDICT) {
      const label = predictRow(z, classes(), job.output + 4 * (first + r) * classes());
      store<u16>(job.outputLabels + 2 * (first + r), u16(label));
    } else {
      right += u32(predicted(z, classes()) === load<u16>(rows.labels + 2 * r));
    }
  }
  return f64(right);
}

function rowOperation(): void {
  const count = blocks();
  setRows(rows, rowsMemory, blockRows());
  setPass(passHead, passMemory, blockRows(), true);
  for (let block = nextItem(count); block < count; block = nextItem(count)) {
    if (!cancelled()) store<f64>(blockSums + 8 * block, blockOfRows(block * ROW_BLOCK));
  }
  endItems(count);
  if (thread !== 0) return;
  let total: f64 = 0;
  for (let block: u32 = 0; block < count; block++) total += load<f64>(blockSums + 8 * block);
  if (job.operation === OPERATION_LOSS) job.loss = total / f64(job.batchSize);
  else if (job.operation === OPERATION_ACCURACY) job.correct = u32(total);
}

function drawEntries(): void {
  const groups = (job.entries + 63) / 64;
  const begin = shareBegin(groups, 16);
  const count = shareEnd(groups, 16) - begin;
  if (count === 0) return;
  gaussianGroups(
    job.seedLow,
    job.seedHigh,
    job.stream,
    job.first,
    job.sample,
    begin,
    count,
    job.output + 256 * begin,
  );
}

/** The job's part of thread number `number`. */
export function run(pointer: usize, number: u32): void {
  enter(pointer, number);
  takeAll(job.workspace);
  if (number === 0) job.done = 0;
  barrier();
  if (job.operation === OPERATION_RUN) {
    for (let i: u32 = 0; i < job.count; i++) {
      if (!update(i)) break;
      barrier();
    }
    if (number === 0) job.finite = u32(allFinite(job.parameters, parameterCount()));
    return;
  }
  if (job.operation === OPERATION_GAUSSIAN) {
    drawEntries();
  } else if (job.operation === OPERATION_STEP) {
    beginStep(load<f64>(job.rate), u64(job.first) + 1);
    stepRest(0, job.entries);
  } else if (job.operation === OPERATION_ESTIMATE) {
    setUpdate(0);
    estimate(false, job.chain);
  } else if (job.operation === OPERATION_OUTPUTS) {
    setUpdate(0);
    sampleOutputs();
  } else if (isOnRows()) {
    rowOperation();
  } else if (job.operation === OPERATION_HESSIAN_PRODUCT) {
    hessianProduct();
  } else {
    unreachable();
  }
  barrier();
  if (number === 0 && !stopped()) job.done = 1;
}
