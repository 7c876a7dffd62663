/**
 * The kernels on their memory: an instance of the WASM build, the arena that calls keep their arrays in, and the one job
 * that is filled in and run for each call.
 *
 *     | the kernels' own | control | job | pieces of the arena: arrays of sessions and calls, workspace … |
 *       0                  heap base
 *
 * It runs in the thread that computes, as thread 0 of T; the others stand in `serve` and take their part of each job.
 */
import { nextTurn } from "../../host.ts";
import { ARRAYS, type ArrayName, KINDS, RESULTS, type ResultName } from "../description.ts";
import { type Answer, type Job, type JobArrays, SCALAR_NAMES } from "../job.ts";
import {
  CONTROL,
  CONTROL_BYTES,
  JOB,
  JOB_BYTES,
  type JobField,
  readJob,
  type WasmExports,
  writeJob,
} from "./abi.ts";
import { TYPES } from "./copies.ts";
import { Arena, PAGE, type WasmMemory } from "./memory.ts";

/** The part of WebAssembly's interface in use: its types come with the DOM's, which is no part of this build. */
declare const WebAssembly: {
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

/** Fields that outlive a call: the kernels' own, and the one that another thread writes. */
const KEPT: ReadonlySet<string> = new Set(["arrived", "phase", "stopped", "next", "cancel"]);
const CLEARED = Object.fromEntries(
  Object.keys(JOB)
    .filter((name) => !KEPT.has(name))
    .map((name) => [name, 0]),
) as Partial<Record<JobField, number>>;

/** How long the calling thread computes before others have their turn. */
export const TURN_MILLISECONDS = 10;

export type Fields = Partial<Record<JobField, number>>;

/** A call whose job was cancelled. */
export class Cancelled extends Error {}

/** Instantiates the kernels. */
export function instantiate(module: object, memory: WasmMemory): WasmExports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as WasmExports;
}

/** Where the control of a memory is: the first thing that is the host's. */
export function controlOf({ heapBase }: WasmExports): number {
  return Math.ceil(heapBase.value / 64) * 64;
}

/** Where a memory's one job is: behind the control. */
const jobOf = (kernels: WasmExports) => controlOf(kernels) + CONTROL_BYTES;

/** Byte address of the word that cancels the job in hand where it is not 0. */
export function cancelAtOf(kernels: WasmExports): number {
  return jobOf(kernels) + JOB.cancel;
}

/** Pieces of the arena that are freed together. */
export class Pieces {
  readonly #memory: WasmMemory;
  readonly #arena: Arena;
  readonly #starts: number[] = [];

  constructor(memory: WasmMemory, arena: Arena) {
    this.#memory = memory;
    this.#arena = arena;
  }

  /** Room for so many bytes, undefined. */
  room(bytes: number): number {
    const start = this.#arena.allocate(bytes);
    this.#starts.push(start);
    return start;
  }

  /** A copy of an array. */
  put(array: ArrayBufferView): number {
    const start = this.room(array.byteLength);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    new Uint8Array(this.#memory.buffer).set(bytes, start);
    return start;
  }

  free(): void {
    for (const start of this.#starts.splice(0)) this.#arena.free(start);
  }
}

const ESTIMATE = KINDS.operation.indexOf("estimate");
const RESULT_NAMES = Object.keys(RESULTS) as ResultName[];

/** Normals are made by groups of 64. */
const wholeGroups = (length: number) => 64 * Math.ceil(length / 64);

export class Machine {
  readonly #exports: WasmExports;
  readonly #memory: WasmMemory;
  readonly #arena: Arena;
  readonly #threads: number;
  readonly #control: number;
  readonly #job: number;
  #turnEnd = 0;

  /** @param threads T; more than one only on a shared memory */
  constructor(kernels: WasmExports, memory: WasmMemory, threads: number) {
    this.#exports = kernels;
    this.#memory = memory;
    this.#threads = threads;
    this.#control = controlOf(kernels);
    this.#job = jobOf(kernels);
    this.#arena = new Arena(memory, this.#job + JOB_BYTES);
  }

  pieces(): Pieces {
    return new Pieces(this.#memory, this.#arena);
  }

  /** A job's fields: its numbers, and its arrays and room for its outputs in pieces of the arena. */
  place(pieces: Pieces, { scalars, arrays, outputs }: Job): Fields {
    const fields: Fields = Object.fromEntries(SCALAR_NAMES.map((name, i) => [name, scalars[i]]));
    for (const [name, array] of Object.entries(arrays) as [ArrayName, ArrayBufferView][])
      fields[name] = pieces.put(array);
    for (const [name, length] of Object.entries(outputs) as [ArrayName, number][])
      fields[name] ??= pieces.room(TYPES[ARRAYS[name]].BYTES_PER_ELEMENT * wholeGroups(length));
    // The kernels of an estimate write its gradient, whether or not it is asked for.
    if (fields.operation === ESTIMATE) fields.gradient ??= pieces.room(arrays.parameters!.length * 4);
    return fields;
  }

  /** Copies of arrays of these lengths. */
  arrays(fields: Fields, lengths: Job["outputs"]): JobArrays {
    const entries = Object.entries(lengths) as [ArrayName, number][];
    return Object.fromEntries(
      entries.map(([name, length]) => [
        name,
        new TYPES[ARRAYS[name]](this.#memory.buffer as ArrayBuffer, fields[name]!, length).slice(),
      ]),
    );
  }

  /** Runs a job by itself, on pieces that are freed when its answer has been copied. */
  answer(job: Job): Answer {
    const pieces = this.pieces();
    try {
      const fields = this.place(pieces, job);
      this.run(fields);
      if (this.field("cancel") !== 0) throw new Cancelled();
      const numbers = RESULT_NAMES.map((name) => [name, this.field(name)]);
      return { numbers: Object.fromEntries(numbers), arrays: this.arrays(fields, job.outputs) };
    } finally {
      pieces.free();
    }
  }

  /** A field of the job that ran last. */
  field(name: JobField): number {
    return readJob(this.#view, this.#job, name);
  }

  get #view(): DataView {
    return new DataView(this.#memory.buffer);
  }

  /** T. */
  get threads(): number {
    return this.#threads;
  }

  /** Runs one job to its end on all threads, or alone: on this one, with the same bits. */
  run(fields: Fields, alone = false): void {
    const threads = alone ? 1 : this.#threads;
    writeJob(this.#view, this.#job, { ...CLEARED, ...fields, threads });
    const pieces = this.pieces();
    try {
      const workspace = pieces.room(this.#exports.workspaceBytes(this.#job));
      writeJob(this.#view, this.#job, { workspace });
      if (threads === 1) this.#exports.run(this.#job, 0);
      else this.#enter();
    } finally {
      pieces.free();
    }
  }

  /** This thread's part of the job, as `serve` does it for the others; returns when all have left it. */
  #enter(): void {
    const words = new Int32Array(this.#memory.buffer);
    const word = (name: keyof typeof CONTROL) => (this.#control + CONTROL[name]) / 4;
    Atomics.store(words, word("job"), this.#job);
    Atomics.store(words, word("pages"), words.byteLength / PAGE);
    const before = Atomics.add(words, word("round"), 1);
    Atomics.notify(words, word("round"));
    this.#exports.run(this.#job, 0);
    if (Atomics.add(words, word("running"), 1) + 1 === this.#threads) {
      Atomics.store(words, word("running"), 0);
      Atomics.store(words, word("finished"), before + 1);
      return;
    }
    while (Atomics.load(words, word("finished")) !== ((before + 1) | 0)) {
      Atomics.wait(words, word("finished"), before);
    }
  }

  /**
   * Says whether the job in hand is to stop, where messages can tell (`cancel`); lets them come every 10 ms.
   */
  async cancelled(): Promise<boolean> {
    if (performance.now() >= this.#turnEnd) {
      await nextTurn();
      this.#turnEnd = performance.now() + TURN_MILLISECONDS;
    }
    return this.field("cancel") !== 0;
  }

  /** Sets or clears the word that cancels, on a memory that is not shared. */
  cancel(on: boolean): void {
    writeJob(this.#view, this.#job, { cancel: Number(on) });
  }
}
