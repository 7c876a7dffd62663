/**
 * Gradient of f on one minibatch, by all threads: what stochastic gradient descent and the direct Langevin chain take.
 *
 * Rows are shared out on the way through the network, columns and rows of the matrices for their gradients, so each entry
 * is one chain of sums whatever the number of threads.
 */

import { job, largestTail, layerOffset, thread, threads, width } from "../machine/context";
import { least } from "../machine/lanes";
import { barrier, shareBegin, shareEnd } from "../machine/team";
import { take, takeOwn, takeOwnFloats } from "../machine/workspace";
import {
  backward,
  blockRows,
  forward,
  Pass,
  passBytes,
  rowLosses,
  setPass,
  signal,
  stride,
  sumOfLosses,
  tailGradient,
  takePass,
} from "./dense";
import {
  chooseForm,
  firstGradient,
  firstProduct,
  leaveFactored,
  loadShare,
  ROW_BLOCK,
  Rows,
  rowsBytes,
  setRows,
} from "./rows";

let rowsMemory: usize = 0;
let passMemory: usize = 0;
let transposed: usize = 0;
let head: usize = 0;
let rows: Rows = changetype<Rows>(0);
let pass: Pass = changetype<Pass>(0);

export function takeSgd(): void {
  const count = blockRows();
  rowsMemory = take(rowsBytes(count));
  passMemory = take(passBytes(count));
  rows = changetype<Rows>(takeOwn(offsetof<Rows>()));
  head = takePass();
  transposed = takeOwnFloats(largestTail());
}

export function beginSgd(): void {
  setRows(rows, rowsMemory, blockRows());
  pass = setPass(head, passMemory, blockRows(), thread === 0);
  pass.transposed = transposed;
}

/**
 * gradient (n) ← ∇f at `parameters`; returns f. Where `leave` and one block holds the batch, the first layer's part is
 * left as Aᵀ C, C = df/dP¹.
 */
export function teamGradient(parameters: usize, batch: u32, leave: bool, gradient: usize): f64 {
  const size = job.batchSize;
  const columns = width(1);
  const offset = 4 * layerOffset(2);
  const scale = f32(1) / f32(size);
  let total: f64 = 0;
  for (let first: u32 = 0; first < size; first += ROW_BLOCK) {
    const count = least(ROW_BLOCK, size - first);
    const begin = shareBegin(count, 1);
    const end = shareEnd(count, 1);
    chooseForm(rows, batch, first, count);
    loadShare(rows, batch, first, begin, end);
    barrier();
    if (begin < end) {
      firstProduct(rows, begin, end, parameters, columns, signal(pass, 1), stride(1));
      forward(parameters + offset, pass, begin, end);
      rowLosses(rows, 0, pass, begin, end, scale);
      backward(parameters + offset, pass, begin, end);
    }
    barrier();
    if (leave && count === size) leaveFactored(rows, signal(pass, 1), stride(1));
    else
      firstGradient(
        rows,
        signal(pass, 1),
        stride(1),
        columns,
        shareBegin(columns, 16),
        shareEnd(columns, 16),
        first > 0,
        gradient,
      );
    tailGradient(pass, count, first > 0, thread, threads, gradient + offset);
    total += sumOfLosses(pass, count);
    barrier(); // the next block overwrites the rows
  }
  return total / f64(size);
}

/** The estimator: ∇f at x_k. */
export function sgd(leave: bool): void {
  beginSgd();
  const loss = teamGradient(job.parameters, 0, leave, job.gradient);
  if (thread === 0) job.loss = loss;
}
