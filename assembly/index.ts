/**
 * The WASM kernels: what src/backends/wasm/abi.ts describes. Memory is imported and belongs to the host; nothing here
 * allocates, and all state is in the job.
 */

import { exp, expRemainder, Inline, log1p, tanh } from "./linear/math";
import { Job } from "./machine/job";
import { awaitRound, controlJob, endRound, seeMemory } from "./machine/team";
import { run } from "./update/update";

export { gaussian } from "./random/gaussian";
export { philox } from "./random/philox";
export { run, workspaceBytes } from "./update/update";

/** Functions of math.ts by number, for their test: x ← f(x) for `count` floats, a multiple of four, in place. */
export function elementary(f: u32, pointer: usize, count: u32): void {
  for (const end = pointer + 4 * count; pointer < end; pointer += 16) {
    const x = v128.load(pointer);
    let y = exp(x);
    if (f === 1) y = Inline.exp2(x);
    else if (f === 2) y = log1p(x);
    else if (f === 3) y = tanh(x);
    else if (f === 4) y = expRemainder(x);
    v128.store(pointer, y);
  }
}

/** First byte that belongs to the host. */
export const heapBase: usize = __heap_base;

/** A worker's loop: waits for a round, does its part of the round's job, until there is none. */
export function serve(control: usize, thread: u32): void {
  let round: u32 = 0;
  for (;;) {
    const next = awaitRound(control, round);
    if (next === round) continue;
    round = next;
    const pointer = controlJob(control);
    if (pointer === 0) return;
    seeMemory(control);
    run(pointer, thread);
    endRound(control, round, changetype<Job>(pointer).threads);
  }
}
