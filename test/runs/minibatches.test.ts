/**
 * Minibatches: every epoch a permutation, taken in order, the same from any starting number.
 */
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { minibatches } from "../../src/data/minibatches.ts";
import { philox4x32 } from "../../src/reference/random/philox.ts";
import { type Key, keyOf, STREAMS } from "../../src/reference/random/streams.ts";

function rows(key: Key, count: number, size: number, first: number, batches: number): number[] {
  const batch = minibatches(key, count, size);
  const out = new Uint32Array(size);
  return Array.from({ length: batches }, (_, i) => {
    batch(first + i, out);
    return [...out];
  }).flat();
}

const sizes = fc
  .integer({ min: 1, max: 40 })
  .chain((count) => fc.tuple(fc.constant(count), fc.integer({ min: 1, max: count })));
const options = { numRuns: 100, seed: 1 };

test("the rows of any whole number of epochs hold each row that often, epoch by epoch", () => {
  fc.assert(
    fc.property(sizes, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), ([count, size], seed) => {
      const all = rows(keyOf(seed), count, size, 0, 3 * count); // 3·size epochs
      for (let epoch = 0; epoch < 3 * size; epoch++) {
        const sorted = all.slice(epoch * count, (epoch + 1) * count).sort((a, b) => a - b);
        expect(sorted).toEqual(Array.from({ length: count }, (_, i) => i));
      }
    }),
    options,
  );
});

test("a minibatch depends on the key and its number alone", () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 200 }), ([count, size], t) => {
      const key = keyOf(7);
      const whole = rows(key, count, size, 0, t + 2);
      expect(rows(key, count, size, t, 2)).toEqual(whole.slice(t * size));
      const batch = minibatches(key, count, size);
      const out = new Uint32Array(size);
      batch(t + 1, out);
      batch(t, out); // backwards too
      expect([...out]).toEqual(whole.slice(t * size, (t + 1) * size));
    }),
    options,
  );
});

test("an epoch is the shuffle that the file describes, word by word", () => {
  const key = keyOf(0x1_2345_6789);
  const [count, epoch] = [11, 3];
  const words = [0, 1, 2].flatMap((block) => [
    ...philox4x32([block, 0, epoch, STREAMS["minibatch-order"]], key),
  ]);
  const shuffled = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i >= 1; i--) {
    const j = Number((BigInt(words[count - 1 - i]) * BigInt(i + 1)) >> 32n);
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  expect(rows(key, count, count, epoch, 1)).toEqual(shuffled);
});

test("seeds and epochs shuffle differently", () => {
  const orders = [rows(keyOf(1), 50, 50, 0, 1), rows(keyOf(1), 50, 50, 1, 1), rows(keyOf(2), 50, 50, 0, 1)];
  expect(new Set(orders.map(String)).size).toBe(3);
});

test("all orders of four rows are as likely as each other", () => {
  // 24,000 epochs, 24 orders: chi-squared with 23 degrees of freedom is above 58.6 with probability 6e-5.
  const counts = new Map<string, number>();
  const epochs = 24_000;
  const all = rows(keyOf(5), 4, 4, 0, epochs);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = String(all.slice(4 * epoch, 4 * epoch + 4));
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  const expected = epochs / 24;
  const squares = [...counts.values()].map((n) => (n - expected) ** 2 / expected);
  expect(counts.size).toBe(24);
  expect(squares.reduce((sum, square) => sum + square, 0)).toBeLessThan(58.6);
});
