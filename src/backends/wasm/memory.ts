/**
 * The memory of the WASM kernels, and the arena that owns what lies behind their own stack and constants:
 *
 *     | 0 … the kernels' own | heap base: piece | piece | free | piece | … | end, grows by pages of 64 KiB
 *
 * A piece begins at a multiple of 64 bytes and is followed by at least 64 more, since a kernel may read one vector past
 * an end. Memory grows only when no free stretch will do; WASM cannot give any back, so what a backend has grown to
 * goes with the backend.
 */
import { BackendError } from "../../errors.ts";
import { MEMORY } from "./abi.ts";

/** WebAssembly's memory: its types come with the DOM's, which is no part of this build. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  grow(pages: number): number;
}
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
};

/** 256 MiB: MNIST and a run on it. */
const LEAST_MAXIMUM = 2 ** 12;

/**
 * A new memory. A shared one reserves the addresses of its maximum at once, so it takes a smaller one where a host does not
 * grant that many.
 */
export function newMemory(shared: boolean): WasmMemory {
  for (let maximum: number = MEMORY.maximum; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: MEMORY.initial, maximum, shared });
    } catch (cause) {
      if (maximum > LEAST_MAXIMUM) continue;
      const message = `The wasm backend was refused a memory of ${maximum / 16} MiB: close other pages or programs, or raise the limit of addresses (ulimit -v)`;
      throw new BackendError(message, { cause });
    }
  }
}

export const PAGE = 2 ** 16;
const ALIGNMENT = 64;
/** Grown at once, at least: 1 MiB, so that small pieces do not each move the end. */
const LEAST_GROWTH = 2 ** 20;
/** A 32-bit address space. */
const MOST = 2 ** 32;

interface Stretch {
  start: number;
  end: number;
}

export class Arena {
  readonly #memory: WasmMemory;
  /** Free stretches in order, none touching the next. */
  readonly #free: Stretch[];
  /** Sizes of the pieces given out, by where they start. */
  readonly #pieces = new Map<number, number>();

  constructor(memory: WasmMemory, heapBase: number) {
    this.#memory = memory;
    this.#free = [{ start: aligned(heapBase), end: memory.buffer.byteLength }];
  }

  /** Bytes given out. */
  get used(): number {
    let sum = 0;
    for (const size of this.#pieces.values()) sum += size;
    return sum;
  }

  /**
   * @returns where a piece of so many bytes starts; what it holds is undefined
   * @throws BackendError where the memory cannot grow so far
   */
  allocate(bytes: number): number {
    const size = aligned(bytes + ALIGNMENT);
    let at = this.#free.findIndex(({ start, end }) => end - start >= size);
    if (at < 0) {
      this.#grow(size, bytes);
      at = this.#free.length - 1;
    }
    const stretch = this.#free[at];
    const { start } = stretch;
    stretch.start += size;
    if (stretch.start === stretch.end) this.#free.splice(at, 1);
    this.#pieces.set(start, size);
    return start;
  }

  /** Gives a piece back. */
  free(start: number): void {
    const size = this.#pieces.get(start);
    if (size === undefined) throw new Error(`No piece of the arena starts at ${start}`);
    this.#pieces.delete(start);
    this.#release({ start, end: start + size });
  }

  /** Joins a stretch to the free ones. */
  #release(freed: Stretch): void {
    const after = this.#free.findIndex(({ start }) => start > freed.start);
    const at = after < 0 ? this.#free.length : after;
    this.#free.splice(at, 0, freed);
    const [before, next] = [this.#free[at - 1], this.#free[at + 1]];
    if (next !== undefined && freed.end === next.start) {
      freed.end = next.end;
      this.#free.splice(at + 1, 1);
    }
    if (before !== undefined && before.end === freed.start) {
      before.end = freed.end;
      this.#free.splice(at, 1);
    }
  }

  #grow(size: number, asked: number): void {
    const end = this.#memory.buffer.byteLength;
    const last = this.#free.at(-1);
    const there = last?.end === end ? end - last.start : 0;
    const missing = Math.ceil((size - there) / PAGE);
    // What is missing is enough where more cannot be had.
    const pages = [Math.max(missing, LEAST_GROWTH / PAGE), missing].find((count) => this.#grew(count));
    if (pages === undefined) throw outOfMemory(asked, this.used);
    this.#release({ start: end, end: end + pages * PAGE });
  }

  #grew(pages: number): boolean {
    if (this.#memory.buffer.byteLength + pages * PAGE > MOST) return false;
    try {
      this.#memory.grow(pages);
      return true;
    } catch {
      return false;
    }
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function outOfMemory(asked: number, used: number): BackendError {
  const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return new BackendError(
    `The wasm backend has not enough memory: this call asks for ${mebibytes(asked)} beside the ${mebibytes(used)} in ` +
      "use, and a WebAssembly memory holds at most 4096 MiB. Ask for fewer samples or rows, close other sessions, or " +
      "use the native backend",
    { cause: { code: "OUT_OF_MEMORY" } },
  );
}
