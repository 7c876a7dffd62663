/**
 * The arena of the WASM backend, against a plain list of who owns which bytes; and threads that start while it grows.
 */
import { expect, test } from "@jest/globals";
import { openWasm } from "../../src/backends/wasm/backend.ts";
import { wasmStatus } from "../../src/backends/wasm/load.ts";
import { Arena, newMemory, type WasmMemory } from "../../src/backends/wasm/memory.ts";
import { CROSS_ENTROPY, integers, KEY, networkCase } from "../support/fixtures.ts";
import { expectSameBits } from "../support/same-bits.ts";

const BASE = 1000;

/** A memory that refuses to grow past so many bytes. */
function limited(bytes: number): WasmMemory & { readonly grown: number[] } {
  const state = { size: 2 ** 16, grown: [] as number[] };
  return {
    grown: state.grown,
    get buffer() {
      return { byteLength: state.size } as ArrayBuffer;
    },
    grow(pages) {
      if (state.size + pages * 2 ** 16 > bytes) throw new RangeError("Maximum memory size exceeded");
      state.grown.push(pages);
      state.size += pages * 2 ** 16;
      return 0;
    },
  };
}

test("pieces are aligned, apart from each other and inside the memory, in any order of giving back", () => {
  const memory = limited(2 ** 24);
  const arena = new Arena(memory, BASE);
  const pieces: { start: number; bytes: number }[] = [];
  const numbers = integers(11, 3000, 40_000);
  for (let i = 0; i < numbers.length; i++) {
    const full = pieces.length > 60 || (pieces.length > 0 && numbers[i] % 2 === 1);
    if (full) {
      const [{ start }] = pieces.splice(numbers[i] % pieces.length, 1);
      arena.free(start);
      continue;
    }
    const bytes = numbers[i] % 7 === 0 ? 0 : numbers[i];
    const start = arena.allocate(bytes);
    expect(start % 64).toBe(0);
    expect(start).toBeGreaterThanOrEqual(BASE);
    // A kernel may read 64 bytes past an end.
    expect(start + bytes + 64).toBeLessThanOrEqual(memory.buffer.byteLength);
    const apart = pieces.every(
      (other) => start + bytes + 64 <= other.start || other.start + other.bytes + 64 <= start,
    );
    expect(apart).toBe(true);
    pieces.push({ start, bytes });
  }
  for (const { start } of pieces) arena.free(start);
  expect(arena.used).toBe(0);
  // What was given back is one stretch again: a piece as large as all of it fits without growing.
  const before = memory.grown.length;
  arena.allocate(memory.buffer.byteLength - 2048);
  expect(memory.grown.length).toBe(before);
});

test("what is freed is used again, so a thousand equal calls take the room of one", () => {
  const memory = limited(2 ** 24);
  const arena = new Arena(memory, BASE);
  for (let i = 0; i < 1000; i++) {
    const starts = [300_000, 10, 64].map((bytes) => arena.allocate(bytes));
    for (const start of starts) arena.free(start);
  }
  expect(memory.grown.length).toBe(1);
});

test("grows by what is missing where a whole step is refused, and is unharmed by a refusal", () => {
  const memory = limited(6 * 2 ** 16);
  const arena = new Arena(memory, BASE);
  const start = arena.allocate(300_000);
  expect(memory.grown).toEqual([4]); // beside the 64,000 bytes that were there
  expect(() => arena.allocate(2 ** 20)).toThrow(
    /^The wasm backend has not enough memory: this call asks for 1 MiB beside the 1 MiB in use, .*Ask for fewer/,
  );
  expect(() => arena.allocate(2 ** 40)).toThrow(/asks for 1048576 MiB/);
  expect(() => arena.allocate(Number.POSITIVE_INFINITY)).toThrow(/not enough memory/);
  arena.free(start);
  expect(arena.allocate(320_000)).toBe(start);
  expect(() => arena.free(start + 64)).toThrow(/No piece/);
});

test("a real memory grows under its arena, shared or not", () => {
  for (const shared of [false, true]) {
    const memory = newMemory(shared);
    const arena = new Arena(memory, BASE);
    const start = arena.allocate(5 * 2 ** 20);
    new Uint8Array(memory.buffer)[start + 5 * 2 ** 20 - 1] = 7;
    expect(memory.buffer.byteLength).toBeLessThan(7 * 2 ** 20);
    expect(Object.prototype.toString.call(memory.buffer)).toBe(
      shared ? "[object SharedArrayBuffer]" : "[object ArrayBuffer]",
    );
  }
});

const threaded = wasmStatus().instructionSets.filter((name) => name.endsWith("+threads"));
const testThreads = threaded.length > 0 ? test : test.skip;

// On two cores one backend in ten failed, in its first call alone: test/reliability/wasm-threads.mjs opens hundreds.
testThreads("threads that start while the memory grows see all of it", async () => {
  const { network, parameters, batch } = networkCase({ layers: [784, 200, 10], rows: 20 });
  const settings = { stepSizes: new Float64Array(4).fill(1e-3), noiseScales: new Float64Array(4).fill(0.03) };
  const chain = { ...settings, network, parameters, batches: [batch], start: parameters, projected: false };
  const first = async (threads: number) => {
    const backend = openWasm({ threads, instructionSet: threaded[0] });
    try {
      return await backend.operations.sgld({ ...chain, loss: CROSS_ENTROPY, key: KEY, update: 1, tau: 0.1 });
    } finally {
      backend.close();
    }
  };
  const one = await first(1);
  for (let i = 0; i < 6; i++) expectSameBits(await first(16), one);
});
