/**
 * Minibatches without replacement: epochs of a seeded permutation, one after the other.
 *
 * Minibatch t holds positions tB … tB + B − 1 of the concatenated epochs' permutations of N rows, so it may run on
 * from one epoch into the next. An epoch's permutation is Fisher and Yates's: from the identity, for
 * i = N − 1, …, 1 position i is swapped with position ⌊word · (i + 1)/2³²⌋, word number N − 1 − i of the stream
 * minibatch-order at update = epoch. (A position's probability is off by at most N/2³² of itself.)
 *
 * Rows depend on the key and t alone, so that resuming is a matter of the number.
 */
import { philoxBlock } from "../reference/random/philox.ts";
import { type Key, STREAMS } from "../reference/random/streams.ts";

/**
 * @param count N
 * @param batchSize B
 * @returns a function that writes the rows (B) of minibatch t; it keeps the last epoch's permutation (4N bytes)
 */
export function minibatches(
  key: Key,
  count: number,
  batchSize: number,
): (t: number, out: Uint32Array) => void {
  const permutation = new Uint32Array(count);
  let cached = -1;
  return (t, out) => {
    let position = t * batchSize;
    for (let filled = 0; filled < batchSize; ) {
      const epoch = Math.floor(position / count);
      if (epoch !== cached) permute(key, epoch, permutation);
      cached = epoch;
      const from = position - epoch * count;
      const length = Math.min(count - from, batchSize - filled);
      out.set(permutation.subarray(from, from + length), filled);
      filled += length;
      position += length;
    }
  };
}

/** Writes the epoch's permutation of 0 … N − 1 over `out` (N); of another stream, the one at update = `epoch` of it. */
export function permute(
  key: Key,
  epoch: number,
  out: Uint32Array,
  stream: number = STREAMS["minibatch-order"],
): void {
  const words = new Uint32Array(4);
  for (let i = 0; i < out.length; i++) out[i] = i;
  for (let i = out.length - 1, n = 0; i >= 1; i--, n++) {
    if (n % 4 === 0) philoxBlock(n / 4, 0, epoch, stream, key[0], key[1], words);
    const j = Math.floor((words[n % 4] * (i + 1)) / 2 ** 32);
    const swapped = out[i];
    out[i] = out[j];
    out[j] = swapped;
  }
}
