/**
 * The messages between the caller's thread and the one that computes, and the latter's end of them: calls come one at a
 * time, each is answered once.
 */
import { BackendError } from "../../errors.ts";
import type { DataSplit } from "../backend.ts";
import type { ArrayName } from "../description.ts";
import type { Job, Answer as JobAnswer, SessionJob } from "../job.ts";
import type { WasmExports } from "./abi.ts";
import { Cancelled, cancelAtOf, controlOf, instantiate, Machine } from "./machine.ts";
import { newMemory, type WasmMemory } from "./memory.ts";
import { WasmSession } from "./session.ts";

/** The first message to a thread. */
export interface Start {
  readonly kind: "start";
  readonly module: object;
  /** Shared by all threads; null for a memory of the thread's own. */
  readonly memory: WasmMemory | null;
}

/** The second, when all are ready. Thread 0 computes and is asked; the others of a shared memory serve it. */
export interface Enter {
  readonly kind: "enter";
  readonly threads: number;
  readonly thread: number;
}

export type Request =
  | Start
  | Enter
  | { readonly kind: "call"; readonly name: keyof Calls; readonly input: unknown }
  /** Stops the call in hand, where no memory is shared. */
  | { readonly kind: "cancel" };

export type Answer =
  /** The kernels are there; the word at this byte address of the shared memory is to cancel the call in hand. */
  | { readonly kind: "ready"; readonly cancelAt: number }
  | { readonly kind: "result"; readonly result: JobAnswer | null }
  | { readonly kind: "cancelled" }
  | { readonly kind: "error"; readonly message: string; readonly code: string }
  /** The kernels did not start, or stopped in mid-job: no thread of theirs is of further use. */
  | { readonly kind: "trapped"; readonly message: string };

/** A port of either host. */
export interface Port {
  postMessage(message: object, transfer: readonly ArrayBuffer[]): void;
  addEventListener(type: "message", hear: (event: { data: unknown }) => void): void;
  start?(): void;
}

/** Begins to answer on a port. */
export function listen(port: Port): void {
  const answer = (message: Answer, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  let started: Started | null = null;
  let computer: Computer | null = null;
  const guarded = (begin: () => void) => {
    try {
      begin();
    } catch (error) {
      answer({ kind: "trapped", message: (error as Error).message });
    }
  };
  port.addEventListener("message", ({ data }) => {
    const request = data as Request;
    if (request.kind === "start") {
      guarded(() => {
        started = start(request);
        answer({ kind: "ready", cancelAt: cancelAtOf(started.kernels) });
      });
    } else if (request.kind === "enter") {
      guarded(() => {
        computer = enter(started!, request);
      });
    } else if (request.kind === "cancel") {
      computer?.cancel();
    } else {
      computer!.answer(request.name, request.input).then((message) => answer(message, buffersOf(message)));
    }
  });
  port.start?.();
}

/** A thread's kernels and their memory. */
interface Started {
  readonly kernels: WasmExports;
  readonly memory: WasmMemory;
  readonly shared: boolean;
}

function start({ module, memory: given }: Start): Started {
  const memory = given ?? newMemory(false);
  return { kernels: instantiate(module, memory), memory, shared: given !== null };
}

/** Takes a thread's place in its team; one that serves does not return. */
function enter({ kernels, memory, shared }: Started, { thread, threads }: Enter): Computer | null {
  if (thread === 0) return new Computer(new Machine(kernels, memory, threads), shared);
  kernels.serve!(controlOf(kernels), thread);
  return null;
}

/** What the computing thread is asked, by name; those of a session have its number. */
export interface Calls {
  job: Job;
  open: SessionJob & { readonly session: number };
  run: Job & { readonly session: number };
  outputs: Job & { readonly session: number };
  accuracy: { readonly session: number; readonly split: DataSplit };
  predict: { readonly session: number; readonly split: DataSplit; readonly length: number };
  read: { readonly session: number; readonly length: number; readonly names: readonly ArrayName[] };
  close: { readonly session: number };
}

class Computer {
  readonly #machine: Machine;
  readonly #shared: boolean;
  /** A session, or why it could not be opened. */
  readonly #sessions = new Map<number, WasmSession | Error>();
  readonly #calls: {
    readonly [Name in keyof Calls]: (input: Calls[Name]) => JobAnswer | Promise<JobAnswer> | undefined;
  };

  constructor(machine: Machine, shared: boolean) {
    this.#machine = machine;
    this.#shared = shared;
    this.#calls = {
      job: (job) => machine.answer(job),
      open: (setup) => this.#open(setup),
      run: ({ session, ...plan }) => this.#session(session).run(plan),
      outputs: ({ session, ...plan }) => this.#session(session).outputs(plan),
      accuracy: ({ session, split }) => this.#session(session).accuracy(split),
      predict: ({ session, split, length }) => this.#session(session).predict(split, length),
      read: ({ session, length, names }) => this.#session(session).read(length, names),
      close: ({ session }) => this.#close(session),
    };
  }

  cancel(): void {
    this.#machine.cancel(true);
  }

  async answer(name: keyof Calls, input: unknown): Promise<Answer> {
    // On a shared memory the caller clears the word before it sends a call, and may have set it since.
    if (!this.#shared) this.#machine.cancel(false);
    try {
      return { kind: "result", result: (await this.#calls[name](input as never)) ?? null };
    } catch (error) {
      if (error instanceof Cancelled) return { kind: "cancelled" };
      const { name, message, cause } = error as Error & { cause?: { code?: string } };
      if (name === "RuntimeError") return { kind: "trapped", message };
      return { kind: "error", message, code: cause?.code ?? "FAILED" };
    }
  }

  #session(id: number): WasmSession {
    const session = this.#sessions.get(id);
    if (session instanceof WasmSession) return session;
    throw session ?? new BackendError("The session is closed; open a new one");
  }

  /** A session that cannot be opened says so in its first call, as its opening has no promise. */
  #open({ session, ...setup }: Calls["open"]): undefined {
    try {
      this.#sessions.set(session, new WasmSession(this.#machine, this.#shared, setup));
    } catch (error) {
      this.#sessions.set(session, error as Error);
    }
  }

  #close(id: number): undefined {
    const session = this.#sessions.get(id);
    if (session instanceof WasmSession) session.free();
    this.#sessions.delete(id);
  }
}

/** Buffers of the arrays in an answer: they move instead of being copied. */
function buffersOf(message: Answer): ArrayBuffer[] {
  const arrays = message.kind === "result" ? Object.values(message.result?.arrays ?? {}) : [];
  return arrays.map(({ buffer }) => buffer as ArrayBuffer);
}
