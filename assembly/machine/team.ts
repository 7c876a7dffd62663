/**
 * The threads of a job: all of them run the same program and meet at barriers. A thread that has a job's parts to do
 * takes its share of rows or columns, or the next item of a list; every sum is over a fixed part in a fixed order, so
 * no result depends on the number of threads.
 *
 * Waiting spins for some tens of microseconds, since parts of an update follow each other that fast, and then blocks: a
 * barrier that only spins runs ten times slower as soon as another process takes a core. In a job of one thread, and in
 * the build without threads, a barrier only looks whether the job was cancelled.
 */
import { job, setJob, thread, threads } from "./context";
import { Job } from "./job";

/** Looks at a word before the thread blocks: some tens of µs, since waking it takes as long. */
const SPINS: u32 = 100000;

/** Value of job.next where the items of the list in hand begin. */
let firstItem: u32 = 0;

// Words that threads share, in the build without threads as plain memory.

function read(p: usize): u32 {
  if (ASC_FEATURE_THREADS) return atomic.load<u32>(p);
  return load<u32>(p);
}

function write(p: usize, value: u32): void {
  if (ASC_FEATURE_THREADS) atomic.store<u32>(p, value);
  else store<u32>(p, value);
}

/** Adds to a word; returns what it was. */
function add(p: usize, value: u32): u32 {
  if (ASC_FEATURE_THREADS) return atomic.add<u32>(p, value);
  const before = load<u32>(p);
  store<u32>(p, before + value);
  return before;
}

/** Returns when the word is no longer `value`; says whether it had to block for that. */
function waitWhile(p: usize, value: u32): bool {
  if (!ASC_FEATURE_THREADS) return false;
  for (let i: u32 = 0; i < SPINS; i++) {
    if (atomic.load<u32>(p) !== value) return false;
  }
  while (atomic.load<u32>(p) === value) atomic.wait<i32>(p, value, -1);
  return true;
}

/** Whether the host has asked to stop. Threads may see it at different times: only to skip work before a barrier. */
export function cancelled(): bool {
  return read(changetype<usize>(job) + offsetof<Job>("cancel")) !== 0;
}

/** Whether the job was cancelled at the last barrier: the same answer in every thread. */
export function stopped(): bool {
  return job.stopped !== 0;
}

/** Returns when every thread has come here. */
export function barrier(): void {
  if (threads === 1) {
    if (cancelled()) job.stopped = 1;
    return;
  }
  const at = changetype<usize>(job);
  const phase = read(at + offsetof<Job>("phase")); // stays until this thread has arrived
  if (add(at + offsetof<Job>("arrived"), 1) + 1 !== threads) {
    if (waitWhile(at + offsetof<Job>("phase"), phase)) add(at + offsetof<Job>("blocked"), 1);
    return;
  }
  write(at + offsetof<Job>("arrived"), 0);
  if (cancelled()) job.stopped = 1;
  write(at + offsetof<Job>("phase"), phase + 1);
  if (ASC_FEATURE_THREADS) atomic.notify(at + offsetof<Job>("phase"));
}

/** Begins this thread's part of a job. */
export function enter(pointer: usize, number: u32): void {
  setJob(pointer, number);
  firstItem = read(pointer + offsetof<Job>("next"));
  if (number === 0) job.stopped = 0;
  barrier();
}

/**
 * The next item of a list of `count` that the threads share out, or `count` when none is left. Every thread asks until
 * then, and calls `endItems` after it.
 */
export function nextItem(count: u32): u32 {
  const item = add(changetype<usize>(job) + offsetof<Job>("next"), 1) - firstItem;
  return item < count ? item : count;
}

/** Ends a list: a barrier. */
export function endItems(count: u32): void {
  firstItem += count + threads; // each thread asked once in vain
  barrier();
}

/** This thread's share of 0 … count − 1, its bounds multiples of `unit`. */
export function shareBegin(count: u32, unit: u32): u32 {
  return bound(count, unit, thread);
}

export function shareEnd(count: u32, unit: u32): u32 {
  return bound(count, unit, thread + 1);
}

function bound(count: u32, unit: u32, number: u32): u32 {
  const units = (u64(count) + unit - 1) / unit;
  const at = ((units * number) / threads) * unit;
  return at < count ? u32(at) : count;
}

/** Of a control (src/backends/wasm/abi.ts): byte offsets. */
const ROUND: usize = 0;
const JOB: usize = 4;
const FINISHED: usize = 8;
const RUNNING: usize = 12;
const PAGES: usize = 16;

/** Waits for the round after `seen`; returns it. */
export function awaitRound(control: usize, seen: u32): u32 {
  waitWhile(control + ROUND, seen);
  return read(control + ROUND);
}

/**
 * Makes this thread's instance see all of the memory. V8 checks filling, copying and atomics, and without guard pages
 * every access, against a size that each thread keeps: one that starts while another grows the memory may keep the old
 * one for a whole job. Growing by nothing brings it up to date before it returns.
 */
export function seeMemory(control: usize): void {
  if (u32(memory.size()) < read(control + PAGES)) memory.grow(0);
}

export function controlJob(control: usize): usize {
  return read(control + JOB);
}

/** Ends this thread's part of a round; the last thread says so. */
export function endRound(control: usize, round: u32, all: u32): void {
  if (add(control + RUNNING, 1) + 1 !== all) return;
  write(control + RUNNING, 0);
  write(control + FINISHED, round);
  if (ASC_FEATURE_THREADS) atomic.notify(control + FINISHED);
}
