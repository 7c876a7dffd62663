/**
 * A fuzzer of parsers: changes valid files and watches what a parser makes of them.
 *
 * A parser is `{ name, seeds, parse, allowed }`: `seeds` are valid files as Uint8Arrays, `parse(bytes)` reads one (and may
 * be async), and `allowed(error)` says whether that is how it refuses one. Further parsers come as further entries.
 *
 * Inputs are made of inputs: bits and bytes are changed, pieces are cut, doubled, moved or taken from another input,
 * sizes are set to values at the edges of their types, and texts get what breaks readers of JSON. An input whose outcome
 * is new (another sentence, numbers and names left out, or another shape of what was read) is kept and changed further: the
 * parsers' faults are their branches, so that leads in as coverage of branches would.
 */
import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { random } from "./command.mjs";

/** Milliseconds that an input may take on a machine that does other things too. */
const SLOWEST = 5_000;
/** Bytes that arrays may take for an input, beside this many times the input's own size. */
const SPARE = 2 ** 21;
const TIMES = 8;
const EDGES = [
  0,
  1,
  2,
  7,
  8,
  127,
  128,
  255,
  256,
  2 ** 15,
  2 ** 16,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
];
const WIDE = [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const TEXTS = [
  "__proto__",
  "constructor",
  "null",
  "true",
  "-0",
  "1e999",
  "-1",
  "9007199254740993",
  "1e-400",
  '"',
  "\\",
  "\\u0000",
  "\ud800",
  "[]",
  "{}",
  "[[[[[[[[",
  '{"a":',
  "../../etc/passwd",
  "/",
  "\n",
  "\r\n",
  "\0",
  "0x10",
  "NaN",
  ",",
  ":",
  " ",
].map((text) => new TextEncoder().encode(text));
const LARGEST = 2 ** 16;
const CORPUS = 2_000;

/**
 * Fuzzes a parser for so many inputs or milliseconds, whichever is first.
 *
 * @returns what broke as `{ what, input }`, at most ten, and how many inputs and outcomes there were
 */
export async function fuzz({ name, seeds, parse, allowed }, { inputs, milliseconds, seed }) {
  const next = random(seed);
  const below = (count) => Math.floor(next() * count);
  const corpus = [...seeds];
  const outcomes = new Set();
  const broken = [];
  for (const valid of seeds) {
    try {
      await parse(valid);
    } catch (error) {
      broken.push({ what: `${name}: a valid file is refused: ${error.message}`, input: valid });
    }
  }
  const began = performance.now();
  let count = 0;
  while (count < inputs && performance.now() - began < milliseconds && broken.length < 10) {
    const input = changed(corpus[below(corpus.length)], corpus, below);
    count++;
    const before = getHeapStatistics().external_memory;
    const start = performance.now();
    let outcome;
    try {
      outcome = `read ${shape(await parse(input))}`;
    } catch (error) {
      outcome = sentence(error);
      if (!allowed(error)) broken.push({ what: `${name}: ${error?.stack ?? error}`, input });
    }
    const took = performance.now() - start;
    const taken = getHeapStatistics().external_memory - before;
    if (took > SLOWEST) broken.push({ what: `${name}: ${took.toFixed(0)} ms`, input });
    if (taken > SPARE + TIMES * input.length) broken.push({ what: `${name}: takes ${taken} bytes`, input });
    if (!outcomes.has(outcome)) {
      outcomes.add(outcome);
      if (corpus.length < CORPUS) corpus.push(input);
    }
  }
  return { broken, count, outcomes: outcomes.size };
}

/** An error's sentence without what is quoted in it, numbers and bytes. */
function sentence(error) {
  const words = String(error?.message).replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return words
    .replaceAll(/\b[\da-f]{2}\b/g, "#")
    .replaceAll(/[\d.e+×…-]+/g, "#")
    .replaceAll(/(?:# ?)+/g, "#")
    .slice(0, 200);
}

function changed(input, corpus, below) {
  let bytes = Uint8Array.from(input);
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(bytes.length + 1);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    switch (below(12)) {
      case 0:
      case 1:
        if (at < bytes.length) bytes[at] ^= 1 << below(8);
        break;
      case 2:
        if (at < bytes.length) bytes[at] = below(256);
        break;
      case 3:
        bytes = bytes.slice(0, at); // truncated
        break;
      case 4: {
        const end = Math.min(bytes.length, at + 1 + below(16));
        bytes = joined(bytes.subarray(0, at), bytes.subarray(end)); // cut out
        break;
      }
      case 5: {
        const end = Math.min(bytes.length, at + 1 + below(64));
        bytes = joined(bytes.subarray(0, end), bytes.subarray(at)); // doubled
        break;
      }
      case 6: {
        const other = corpus[below(corpus.length)];
        bytes = joined(bytes.subarray(0, at), other.subarray(below(other.length + 1))); // spliced
        break;
      }
      case 7:
      case 8:
        if (at + 4 <= bytes.length) view.setUint32(at, EDGES[below(EDGES.length)], below(2) === 0);
        break;
      case 9:
        if (at + 8 <= bytes.length) view.setBigUint64(at, WIDE[below(WIDE.length)], true);
        break;
      case 10:
        bytes = joined(bytes.subarray(0, at), TEXTS[below(TEXTS.length)], bytes.subarray(at));
        break;
      default:
        bytes = withNumber(bytes, at, below);
    }
  }
  return bytes.length > LARGEST ? bytes.slice(0, LARGEST) : bytes;
}

/** A number of a text, at or after a place, replaced by one at an edge. */
function withNumber(bytes, at, below) {
  const digit = (byte) => byte >= 48 && byte <= 57;
  let begin = at;
  while (begin < bytes.length && !digit(bytes[begin])) begin++;
  let end = begin;
  while (end < bytes.length && digit(bytes[end])) end++;
  const numbers = [...EDGES, ...WIDE, -1, 0.5, "1e308", "1e999"];
  const text = new TextEncoder().encode(String(numbers[below(numbers.length)]));
  return joined(bytes.subarray(0, begin), text, bytes.subarray(end));
}

function joined(...parts) {
  return new Uint8Array(Buffer.concat(parts));
}

/** What was read, without its values. */
function shape(value, depth = 0) {
  if (Array.isArray(value)) return `[${Math.min(value.length, 3)}]`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} ${Math.min(value.length, 3)}`;
  if (typeof value !== "object" || value === null) return typeof value;
  if (depth > 1) return "{}";
  return `{${Object.keys(value)
    .slice(0, 12)
    .map((key) => `${key.slice(0, 12)}: ${shape(value[key], depth + 1)}`)}}`;
}
