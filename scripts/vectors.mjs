/**
 * Writes test/vectors/{philox,normals}.txt from the reference (run after `npm run build`), in plain text, so that
 * every host reads the same files. They pin every number that a seed gives: a difference after running this is a
 * change of results, and belongs in CHANGELOG.md.
 */
import { writeFileSync } from "node:fs";
import { gaussian } from "../lib/reference/random/gaussian.js";
import { philox4x32 } from "../lib/reference/random/philox.js";
import { keyOf } from "../lib/reference/random/streams.js";

const folder = new URL("../test/vectors/", import.meta.url);
const hex = (word) => word.toString(16).padStart(8, "0");
const hexes = (words) => Array.from(words, hex).join(" ");

/** Counter, key and words as Salmon et al. publish them, for zeros, ones and the digits of π. */
const published = [
  ["00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
  ["ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"],
  ["243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"],
];

/** Counters and keys that differ in every word, and one that differs in a single bit from zeros, word by word. */
const generated = [
  [
    [1, 0, 0, 0],
    [0, 0],
  ],
  [
    [0, 1, 0, 0],
    [0, 0],
  ],
  [
    [0, 0, 1, 0],
    [0, 0],
  ],
  [
    [0, 0, 0, 1],
    [0, 0],
  ],
  [
    [0, 0, 0, 0],
    [1, 0],
  ],
  [
    [0, 0, 0, 0],
    [0, 1],
  ],
  [
    [0x80000000, 0x7fffffff, 0xffff0000, 0x0000ffff],
    [0x12345678, 0x9abcdef0],
  ],
  [
    [375, 999, 499, 16],
    [1, 0],
  ],
];

function philoxFile() {
  const lines = [
    "# name rounds  counter (4 words)  key (2 words)  result (4 words), hexadecimal",
    "# Published:",
  ];
  for (const [counter, key, result] of published) {
    const words = (text) => text.split(" ").map((word) => Number.parseInt(word, 16));
    const got = hexes(philox4x32(words(counter), words(key)));
    if (got !== result) throw new Error(`Expected ${result} for counter ${counter} but received ${got}`);
    lines.push(`philox4x32 10  ${counter}  ${key}  ${result}`);
  }
  lines.push("# Generated from src/reference/random/philox.ts:");
  for (const [counter, key] of generated) {
    lines.push(`philox4x32 10  ${hexes(counter)}  ${hexes(key)}  ${hexes(philox4x32(counter, key))}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Positions at both sides of lanes, pairs, groups. */
const EDGES = [0, 1, 15, 16, 31, 32, 47, 48, 63, 64, 65, 127, 128, 200, 1000];

/** Seed, stream, update, index, and the positions to pin. */
const normals = [
  [1n, 16, 0, 0, EDGES],
  [1n, 17, 0, 0, EDGES],
  [1n, 0, 0, 0, EDGES],
  [1n, 1, 0, 0, EDGES],
  [1n, 2, 0, 1, EDGES],
  [1n, 16, 1, 0, EDGES],
  [1n, 16, 0, 1, EDGES],
  [1n, 16, 20_000, 999, [...EDGES, 6009, 158_999]],
  [0n, 16, 0, 0, EDGES],
  [2n ** 32n + 5n, 16, 3, 7, EDGES],
  [2n ** 53n - 1n, 18, 3, 7, EDGES],
  [2n ** 64n - 1n, 0xffffffff, 0xffffffff, 0xffffffff, EDGES],
];

/**
 * Blocks of seed 1, stream 16, update 0 whose first or third word rounds to u = 1 (radius −0), to the u below 1, or is
 * less than 64 (the largest radii): index, and the positions of sine and cosine. One in 2²⁵ words is such.
 */
const ends = [
  [281_589, [1, 17]], // word ffffffeb
  [3_453_775, [43, 59]], // ffffffce
  [978_269, [3, 19]], // fffffef5
  [4_423_891, [35, 51]], // ffffff49
  [1_993_763, [15, 31]], // 00000001
  [1_283_734, [34, 50]], // 00000031
];

/** The eight largest and the eight smallest of |z| among the first 2²¹ normals of a stream, by position. */
function extremes(key, stream, update, index) {
  const values = gaussian(key, stream, update, index, 2 ** 21);
  const order = Array.from(values.keys()).sort((a, b) => Math.abs(values[a]) - Math.abs(values[b]));
  return [...order.slice(0, 8), ...order.slice(-8)].sort((a, b) => a - b);
}

function normalsFile() {
  const bits = new DataView(new ArrayBuffer(4));
  const lines = [
    "# seed (16 hexadecimal digits)  stream  update  index  position  float32 bits (hexadecimal)",
  ];
  const add = (seed, stream, update, index, positions) => {
    const values = gaussian(keyOf(seed), stream, update, index, Math.max(...positions) + 1);
    for (const position of positions) {
      bits.setFloat32(0, values[position]);
      const place = `${stream} ${update} ${index} ${position}`;
      lines.push(`${seed.toString(16).padStart(16, "0")} ${place} ${hex(bits.getUint32(0))}`);
    }
  };
  for (const row of normals) add(...row);
  lines.push("# Radii at both ends:");
  for (const [index, positions] of ends) add(1n, 16, 0, index, positions);
  lines.push("# The largest and smallest of 2097152 normals:");
  add(7n, 16, 0, 0, extremes(keyOf(7n), 16, 0, 0));
  return `${lines.join("\n")}\n`;
}

writeFileSync(new URL("philox.txt", folder), philoxFile());
writeFileSync(new URL("normals.txt", folder), normalsFile());
