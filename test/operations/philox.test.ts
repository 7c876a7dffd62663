/**
 * Philox4x32-10 against the published vectors, against 64-bit integer arithmetic, and on the WASM build.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { philox4x32 } from "../../src/reference/random/philox.ts";
import { keyOf } from "../../src/reference/random/streams.ts";
import { openKernels } from "../support/wasm.ts";

const word = (text: string) => Number.parseInt(text, 16);

/** Rows of the vector file: counter (4), key (2), result (4). */
const vectors = readFileSync(new URL("../vectors/philox.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [name, rounds, ...words] = line.split(/\s+/);
    return { name: `${name} ${rounds}`, hex: words.slice(0, 6).join(" "), words: words.map(word) };
  });

/** The generator as Salmon et al. write it, on integers of any size: slow, and nothing shared with the reference. */
function philoxByBigInt(counter: readonly number[], key: readonly number[]): number[] {
  const mask = 0xffffffffn;
  let [c0, c1, c2, c3] = counter.map(BigInt);
  let [k0, k1] = key.map(BigInt);
  for (let round = 0; round < 10; round++) {
    const product0 = 0xd2511f53n * c0;
    const product1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [
      (product1 >> 32n) ^ c1 ^ k0,
      product1 & mask,
      (product0 >> 32n) ^ c3 ^ k1,
      product0 & mask,
    ];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [c0, c1, c2, c3].map(Number);
}

/** 6-tuples of words whose halves carry: 0, 1, all ones, the halves' borders, and what the generator itself gives. */
function inputs(): number[][] {
  const edges = [0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffff0000, 0xffffffff];
  const rows: number[][] = [];
  for (let i = 0; i < 6; i++) {
    for (const edge of edges) rows.push([3, 5, 7, 11, 13, 17].map((other, at) => (at === i ? edge : other)));
  }
  for (let i = 0; i < 2000; i++) {
    rows.push([
      ...philoxByBigInt([i, 1, 2, 3], [4, 5]),
      ...philoxByBigInt([i, 6, 7, 8], [9, 10]).slice(0, 2),
    ]);
  }
  return rows;
}

test("the vector file holds the three published rows", () => {
  expect(vectors.slice(0, 3).map(({ name, words }) => ({ name, words }))).toEqual(
    [
      "0 0 0 0  0 0  6627e8d5 e169c58d bc57ac4c 9b00dbd8",
      "ffffffff ffffffff ffffffff ffffffff  ffffffff ffffffff  408f276d 41c83b0e a20bc7c6 6d5451fd",
      "243f6a88 85a308d3 13198a2e 03707344  a4093822 299f31d0  d16cfe09 94fdcceb 5001e420 24126ea1",
    ].map((row) => ({ name: "philox4x32 10", words: row.split(/\s+/).map(word) })),
  );
  expect(vectors.length).toBeGreaterThan(8);
});

describe("reference", () => {
  test.each(vectors)("$name: $hex", ({ words }) => {
    expect(Array.from(philox4x32(words.slice(0, 4), words.slice(4, 6)))).toEqual(words.slice(6));
  });

  test("equals 64-bit integer arithmetic on carries and on 2,000 mixed inputs", () => {
    for (const row of inputs()) {
      const [counter, key] = [row.slice(0, 4), row.slice(4)];
      expect(Array.from(philox4x32(counter, key))).toEqual(philoxByBigInt(counter, key));
    }
  });

  test("refuses a counter or key of the wrong length, and says which", () => {
    expect(() => philox4x32([1, 2, 3], [1, 2])).toThrow("Expected 4 words for counter but received 3");
    expect(() => philox4x32([1, 2, 3, 4], [1])).toThrow("Expected 2 words for key but received 1");
  });

  test("a seed is the key's 64 bits, low word first", () => {
    expect(keyOf(1)).toEqual([1, 0]);
    expect(keyOf(2 ** 32 + 5)).toEqual([5, 1]);
    expect(keyOf(Number.MAX_SAFE_INTEGER)).toEqual([0xffffffff, 0x1fffff]);
    expect(keyOf(2n ** 64n - 2n)).toEqual([0xfffffffe, 0xffffffff]);
  });
});

describe("wasm", () => {
  test("eight blocks at a time equal the reference, and nothing else is written", async () => {
    const { kernels, run } = await openKernels();
    for (const row of inputs()) {
      const [c0, c1, c2, c3, k0, k1] = row;
      const words = run(32, (pointer) => kernels.philox(c0, c1, c2, c3, k0, k1, pointer));
      for (let lane = 0; lane < 8; lane++) {
        const expected = philox4x32([(c0 + lane) >>> 0, c1, c2, c3], [k0, k1]);
        expect([0, 1, 2, 3].map((w) => words[8 * w + lane])).toEqual(Array.from(expected));
      }
    }
  });
});
