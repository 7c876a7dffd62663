/**
 * The WASM kernels by themselves, without the backend: an instance of a build on a memory of its own.
 */
import { existsSync, readFileSync } from "node:fs";
import { MEMORY, type WasmBuild, type WasmExports } from "../src/backends/wasm-abi.ts";

/** 64 MB: the largest job of the tests. */
const PAGES = 1024;
/** Fills the output before a call and past its end, so that an unwritten or an overrun place shows. */
export const PATTERN = 0x7fc0dead;

/** The part of WebAssembly's interface in use: its types come with the DOM's, which is no part of this build. */
declare const WebAssembly: {
  Memory: new (size: {
    initial: number;
    maximum?: number;
    shared?: boolean;
  }) => { readonly buffer: ArrayBuffer };
  instantiate(
    code: Uint8Array,
    imports: { env: { memory: object } },
  ): Promise<{ instance: { readonly exports: unknown } }>;
};

export function wasmFile(build: WasmBuild): URL {
  const file = new URL(`../dist/wasm/local-entropy.${build}.wasm`, import.meta.url);
  if (!existsSync(file)) throw new Error(`Expected ${file.pathname} but found none: run \`npm run build\``);
  return file;
}

/** @returns the kernels, their memory, and `run`, which calls one on patterned and guarded places */
export async function openKernels(build: WasmBuild = "simd") {
  const shared = build !== "simd";
  const memory = new WebAssembly.Memory(
    shared ? { initial: PAGES, maximum: MEMORY.maximum, shared } : { initial: PAGES },
  );
  const { instance } = await WebAssembly.instantiate(readFileSync(wasmFile(build)), { env: { memory } });
  const kernels = instance.exports as WasmExports;
  const words = new Uint32Array(memory.buffer);
  return {
    kernels,
    memory,
    /** Runs `kernel` on a pointer to `room` patterned words; returns them, or throws if it wrote anywhere else. */
    run(room: number, kernel: (pointer: number) => void): Uint32Array {
      const first = Math.ceil(kernels.heapBase.value / 4) + 64;
      words.fill(PATTERN, first - 64, first + room + 64);
      kernel(4 * first);
      const around = [
        ...words.subarray(first - 64, first),
        ...words.subarray(first + room, first + room + 64),
      ];
      if (around.some((word) => word !== PATTERN))
        throw new Error(`Expected no write outside of ${room} words`);
      return words.slice(first, first + room);
    },
  };
}
