/**
 * The job's workspace: arrays one after the other, each at a multiple of 64 bytes and with 64 more behind it.
 *
 * Before an operation every thread takes the same arrays in the same order, by address arithmetic alone, so all agree
 * without a word; `workspaceBytes` does it from address zero to learn the size.
 */
import { thread, threads } from "./context";

let base: usize = 0;
let taken: u64 = 0;

export function beginWorkspace(from: usize): void {
  base = from;
  taken = 0;
}

/** Bytes taken so far. */
export function takenBytes(): u64 {
  return taken;
}

function padded(bytes: u64): u64 {
  return ((bytes + 63) & ~63) + 64;
}

/** An array that all threads share. */
export function take(bytes: u64): usize {
  const at = base + usize(taken);
  taken += padded(bytes);
  return at;
}

/** An array for each thread; returns this thread's. */
export function takeOwn(bytes: u64): usize {
  const at = base + usize(taken) + usize(padded(bytes)) * thread;
  taken += padded(bytes) * threads;
  return at;
}

/** The same for floats. */
export function takeFloats(count: u64): usize {
  return take(4 * count);
}

export function takeOwnFloats(count: u64): usize {
  return takeOwn(4 * count);
}
