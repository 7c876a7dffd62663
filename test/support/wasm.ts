/**
 * The WASM kernels by themselves, without the backend: an instance of a build on a memory of its own.
 */
import { existsSync, readFileSync } from "node:fs";
import { ARRAYS, type ArrayName } from "../../src/backends/description.ts";
import type { NumberArray, Part } from "../../src/backends/job.ts";
import {
  JOB_BYTES,
  type JobField,
  MEMORY,
  type WasmBuild,
  type WasmExports,
  writeJob,
} from "../../src/backends/wasm/abi.ts";
import { TYPES } from "../../src/backends/wasm/copies.ts";

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
  const file = new URL(`../../dist/wasm/local-entropy.${build}.wasm`, import.meta.url);
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

/** A piece of the arena: what was put there, and where. */
interface Piece {
  readonly at: number;
  readonly bytes: number;
  /** What must be there after a job, or null where the job may write. */
  readonly expected: Uint8Array | null;
}

const GUARD_BYTES = 64;

/**
 * A host's arena on a build's memory, for jobs: each piece is followed by a pattern, which `check` looks at, as it does at
 * inputs that no job may change.
 */
export async function openArena(build: WasmBuild = "simd") {
  const { kernels, memory } = await openKernels(build);
  const view = new DataView(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  const pieces: Piece[] = [];
  let end = Math.ceil(kernels.heapBase.value / 64) * 64;

  function take(size: number, expected: Uint8Array | null): number {
    const at = end;
    const stop = at + Math.ceil(size / 4) * 4;
    end = Math.ceil((stop + GUARD_BYTES) / 64) * 64;
    if (end + 64 > bytes.length) throw new Error(`Expected ${end} bytes in the tests' memory`);
    new Uint32Array(memory.buffer, at, (end - at) / 4).fill(PATTERN);
    pieces.push({ at, bytes: size, expected });
    return at;
  }

  return {
    kernels,
    memory,
    view,
    /** An input: a copy that no job may change. */
    input(array: ArrayBufferView): number {
      const copy = new Uint8Array(array.buffer, array.byteOffset, array.byteLength).slice();
      const at = take(copy.length, copy);
      bytes.set(copy, at);
      return at;
    },
    /** A piece that jobs write. */
    state(array: ArrayBufferView): number {
      const at = take(array.byteLength, null);
      bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
      return at;
    },
    /** An output of so many bytes, patterned. */
    output: (size: number): number => take(size, null),
    floats: (at: number, count: number): Float32Array => new Float32Array(memory.buffer, at, count).slice(),
    /** Fields of a flat job's parts: their numbers, and their arrays as inputs, each in the kernels' type. */
    fields(parts: readonly Part[]): Partial<Record<JobField, number>> {
      const fields: Partial<Record<JobField, number>> = {};
      for (const { scalars, arrays } of parts) {
        Object.assign(fields, scalars);
        for (const [name, array] of Object.entries(arrays ?? {}) as [ArrayName, NumberArray][]) {
          const bytes = array.BYTES_PER_ELEMENT === 1;
          const type = name === "inputs" && !bytes ? "f32" : ARRAYS[name];
          fields[name] = this.input(new TYPES[type](array));
        }
      }
      return fields;
    },
    /** A job of these fields with a workspace that fits exactly. */
    job(fields: Partial<Record<JobField, number>>): number {
      const job = take(JOB_BYTES, null);
      bytes.fill(0, job, job + JOB_BYTES);
      writeJob(view, job, fields);
      writeJob(view, job, { workspace: take(kernels.workspaceBytes(job), null) });
      return job;
    },
    /** Throws if a guard or an input was changed. */
    check(): void {
      for (const { at, bytes: size, expected } of pieces) {
        const from = at + Math.ceil(size / 4) * 4;
        const guard = new Uint32Array(memory.buffer, from, GUARD_BYTES / 4);
        if (guard.some((word) => word !== PATTERN)) throw new Error(`Expected no write past ${size} bytes`);
        if (expected?.some((byte, i) => byte !== bytes[at + i]))
          throw new Error("Expected inputs as they were");
      }
    },
  };
}

export type Arena = Awaited<ReturnType<typeof openArena>>;
