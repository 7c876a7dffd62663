/**
 * The WASM kernels: what src/backends/wasm/abi.ts describes. Memory is imported and belongs to the host; nothing here
 * allocates, and all state is in the job.
 */

import { exp, expRemainder, Inline, log1p, tanh } from "./linear/math";
import { Job } from "./machine/job";
import { awaitRound, controlJob, endRound } from "./machine/team";
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
    run(pointer, thread);
    endRound(control, round, changetype<Job>(pointer).threads);
  }
}

/** Writes the offsets of a job's fields in order (u32) from `pointer` on; returns how many. */
export function layout(pointer: usize): u32 {
  let at = pointer;
  at = put(at, offsetof<Job>("temperature"));
  at = put(at, offsetof<Job>("momentum"));
  at = put(at, offsetof<Job>("beta1"));
  at = put(at, offsetof<Job>("beta2"));
  at = put(at, offsetof<Job>("epsilon"));
  at = put(at, offsetof<Job>("weightDecay"));
  at = put(at, offsetof<Job>("loss"));
  at = put(at, offsetof<Job>("gradientNorm"));
  at = put(at, offsetof<Job>("effectiveSampleSize"));
  at = put(at, offsetof<Job>("freeEnergy"));
  at = put(at, offsetof<Job>("largestWeight"));
  at = put(at, offsetof<Job>("standardError"));
  at = put(at, offsetof<Job>("operation"));
  at = put(at, offsetof<Job>("threads"));
  at = put(at, offsetof<Job>("seedLow"));
  at = put(at, offsetof<Job>("seedHigh"));
  at = put(at, offsetof<Job>("depth"));
  at = put(at, offsetof<Job>("layers"));
  at = put(at, offsetof<Job>("activation"));
  at = put(at, offsetof<Job>("costs"));
  at = put(at, offsetof<Job>("inputs"));
  at = put(at, offsetof<Job>("inputsAreFloats"));
  at = put(at, offsetof<Job>("labels"));
  at = put(at, offsetof<Job>("sampleCount"));
  at = put(at, offsetof<Job>("batchSize"));
  at = put(at, offsetof<Job>("batches"));
  at = put(at, offsetof<Job>("rows"));
  at = put(at, offsetof<Job>("estimator"));
  at = put(at, offsetof<Job>("coupling"));
  at = put(at, offsetof<Job>("samples"));
  at = put(at, offsetof<Job>("centred"));
  at = put(at, offsetof<Job>("sampleComplement"));
  at = put(at, offsetof<Job>("rowwise"));
  at = put(at, offsetof<Job>("projected"));
  at = put(at, offsetof<Job>("steps"));
  at = put(at, offsetof<Job>("stepSizes"));
  at = put(at, offsetof<Job>("noiseScales"));
  at = put(at, offsetof<Job>("chainPrevious"));
  at = put(at, offsetof<Job>("wantsError"));
  at = put(at, offsetof<Job>("optimizer"));
  at = put(at, offsetof<Job>("first"));
  at = put(at, offsetof<Job>("count"));
  at = put(at, offsetof<Job>("tau"));
  at = put(at, offsetof<Job>("noiseScale"));
  at = put(at, offsetof<Job>("rate"));
  at = put(at, offsetof<Job>("values"));
  at = put(at, offsetof<Job>("parameters"));
  at = put(at, offsetof<Job>("gradient"));
  at = put(at, offsetof<Job>("moment1"));
  at = put(at, offsetof<Job>("moment2"));
  at = put(at, offsetof<Job>("chain"));
  at = put(at, offsetof<Job>("losses"));
  at = put(at, offsetof<Job>("output"));
  at = put(at, offsetof<Job>("outputLabels"));
  at = put(at, offsetof<Job>("entries"));
  at = put(at, offsetof<Job>("stream"));
  at = put(at, offsetof<Job>("sample"));
  at = put(at, offsetof<Job>("workspace"));
  at = put(at, offsetof<Job>("chainValid"));
  at = put(at, offsetof<Job>("cancel"));
  at = put(at, offsetof<Job>("done"));
  at = put(at, offsetof<Job>("correct"));
  at = put(at, offsetof<Job>("arrived"));
  at = put(at, offsetof<Job>("phase"));
  at = put(at, offsetof<Job>("stopped"));
  at = put(at, offsetof<Job>("next"));
  return u32(at - pointer) / 4;
}

function put(at: usize, offset: usize): usize {
  store<u32>(at, u32(offset));
  return at + 4;
}
