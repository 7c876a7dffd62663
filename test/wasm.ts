/**
 * The WASM build's kernels, instantiated on a memory of their own.
 */
import { existsSync, readFileSync } from "node:fs";

const FILE = new URL("../build/local-entropy.wasm", import.meta.url);
/** 16 MB: the largest output of the tests and its guard. */
const PAGES = 256;
/** Fills the output before a call and past its end, so that an unwritten or an overrun place shows. */
const PATTERN = 0x7fc0dead;

/** The part of WebAssembly's interface in use: its types come with the DOM's, which is no part of this build. */
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  instantiate(
    code: Uint8Array,
    imports: { env: { memory: object } },
  ): Promise<{ instance: { readonly exports: unknown } }>;
};

interface Kernels {
  gaussian(
    key0: number,
    key1: number,
    stream: number,
    update: number,
    index: number,
    count: number,
    pointer: number,
  ): void;
  philox(c0: number, c1: number, c2: number, c3: number, k0: number, k1: number, pointer: number): void;
}

/** @returns the kernels, their memory, and `run`, which calls one on patterned and guarded places */
export async function openWasm() {
  if (!existsSync(FILE)) throw new Error(`Expected ${FILE.pathname} but found none: run \`npm run build\``);
  const memory = new WebAssembly.Memory({ initial: PAGES });
  const { instance } = await WebAssembly.instantiate(readFileSync(FILE), { env: { memory } });
  const words = new Uint32Array(memory.buffer);
  return {
    kernels: instance.exports as Kernels,
    memory,
    /** Runs `kernel` on a pointer to `room` patterned words; returns them, or throws if it wrote anywhere else. */
    run(room: number, kernel: (pointer: number) => void): Uint32Array {
      const first = 64;
      words.fill(PATTERN, 0, first + room + 64);
      kernel(4 * first);
      const around = [...words.subarray(0, first), ...words.subarray(first + room, first + room + 64)];
      if (around.some((word) => word !== PATTERN))
        throw new Error(`Expected no write outside of ${room} words`);
      return words.slice(first, first + room);
    },
  };
}
