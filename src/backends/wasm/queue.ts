/**
 * The threads of one WASM backend, and the calls on their way to the one that computes, one at a time:
 *
 *     caller's thread                        thread 0                       threads 1 … T − 1
 *     call ─▶ waiting ─▶ in hand ── post ──▶ job in memory, run ◀ barriers ▶ run (else they stand in `serve`)
 *     promise ◀─────────────── answer ◀──── result
 *
 * A call in hand is cancelled by a word of the shared memory, or by a message where none is shared; one that waits is
 * taken out. While calls are under way a thread holds Node's process; an idle backend lets it end.
 */
import { BackendError } from "../../errors.ts";
import type { Answer as JobAnswer } from "../job.ts";
import type { Answer, Calls, Start } from "./calls.ts";
import type { Copied } from "./copies.ts";
import { type Build, chooseBuild, loadBuild } from "./load.ts";
import { newMemory, type WasmMemory } from "./memory.ts";
import { callingThread, startThread, type Thread } from "./thread.ts";

/** A worker of Node takes some 5 MB; results do not depend on how many there are. */
const MOST_THREADS = 64;

interface Call extends Copied<unknown> {
  readonly name: keyof Calls;
  /** Whose closing rejects the call. */
  readonly owner: object | null;
  /** Settles the promise. Called once: a call that was given up is not heard again. */
  settle: ((answer: Answer | Error) => void) | null;
}

export class WasmQueue {
  readonly build: Build;
  /** Thread 0 first. */
  readonly #threads: readonly Thread[];
  readonly #waiting: Call[] = [];
  #inHand: Call | null = null;
  #ready = false;
  /** Shared by all threads, or null. */
  #memory: WasmMemory | null = null;
  #cancelAt = 0;
  #failure: Error | null = null;

  /** @throws BackendError where the build's threads or memory cannot be had */
  constructor(build: Build, threads: number) {
    const listener = {
      message: (data: unknown) => this.#hear(data as Answer),
      ended: (reason: string) =>
        this.fail(new BackendError(`A worker of the wasm backend ended (${reason}); open a new backend`)),
    };
    const first = startThread(listener);
    // Where no worker can be made, the calling thread takes turns with the kernels, and none can wait for another.
    this.build = first ? build : chooseBuild("simd");
    const others = this.build.threads ? Math.min(threads, MOST_THREADS) - 1 : 0;
    this.#threads = [
      first ?? callingThread(listener),
      ...Array.from({ length: others }, () => startThread(listener)).filter((thread) => thread !== null),
    ];
    this.#start().catch((cause) =>
      this.fail(new BackendError(`The wasm backend did not start: ${cause.message}`, { cause })),
    );
  }

  get threads(): number {
    return this.#threads.length;
  }

  /** Why no more calls are taken, or null. */
  get failure(): Error | null {
    return this.#failure;
  }

  async #start(): Promise<void> {
    if (this.build.threads) this.#memory = newMemory(true);
    const module = await loadBuild(this.build);
    const threads = this.threads;
    for (const [thread, { post }] of this.#threads.entries()) {
      post({ kind: "start", module, memory: this.#memory, threads, thread } satisfies Start);
    }
  }

  /** Runs a call on the thread that computes; resolves to its answer, or to null where it was cancelled. */
  call<Name extends keyof Calls>(
    name: Name,
    { input, buffers }: Copied<Calls[Name]>,
    owner: object,
    signal?: AbortSignal,
  ): Promise<JobAnswer | null> {
    return new Promise((resolve, reject) => {
      const caller = new Error(); // its stack shows who called, which the answer no longer knows
      const call: Call = { name, input, buffers, owner, settle: null };
      const abort = () => this.#cancel(call);
      call.settle = (answer) => {
        signal?.removeEventListener("abort", abort);
        call.settle = null;
        if (answer instanceof Error) reject(answer);
        else if (answer.kind === "cancelled") resolve(null);
        else if (answer.kind === "result") resolve(answer.result);
        else if (answer.kind === "error") reject(asError(answer, caller));
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#push(call);
    });
  }

  /** Runs a call that nobody waits for. */
  tell<Name extends keyof Calls>(name: Name, { input, buffers }: Copied<Calls[Name]>): void {
    this.#push({ name, input, buffers, owner: null, settle: null });
  }

  /** Rejects an owner's calls with `error`, and cancels the one in hand. */
  drop(owner: object, error: Error): void {
    for (const call of [...this.#waiting, this.#inHand]) {
      if (call === null || call.owner !== owner) continue;
      call.settle?.(error);
      this.#cancel(call);
    }
  }

  /** Ends the threads and frees the memory; calls under way, and all later ones, reject with `error`. */
  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const thread of this.#threads) thread.end();
    for (const call of [...this.#waiting.splice(0), this.#inHand]) call?.settle?.(error);
    this.#inHand = null;
    this.#memory = null;
  }

  #push(call: Call): void {
    if (this.#failure !== null) {
      call.settle?.(this.#failure);
      return;
    }
    this.#waiting.push(call);
    this.#threads[0].hold(true);
    this.#next();
  }

  #next(): void {
    if (!this.#ready || this.#inHand !== null) return;
    const call = this.#waiting.shift();
    if (call === undefined) {
      this.#threads[0].hold(false);
      return;
    }
    this.#inHand = call;
    this.#setCancel(0);
    const { name, input, buffers } = call;
    this.#threads[0].post({ kind: "call", name, input }, buffers);
  }

  #hear(answer: Answer): void {
    if (answer.kind === "ready") {
      this.#ready = true;
      this.#cancelAt = answer.cancelAt;
    } else if (answer.kind === "trapped") {
      this.fail(new BackendError(`The wasm backend failed: ${answer.message}; open a new one`));
      return;
    } else {
      const call = this.#inHand;
      this.#inHand = null;
      call?.settle?.(answer);
    }
    this.#next();
  }

  #cancel(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at >= 0) {
      this.#waiting.splice(at, 1);
      call.settle?.({ kind: "cancelled" });
      this.#next();
    } else if (call === this.#inHand) {
      this.#setCancel(1);
      if (this.#memory !== null) return;
      this.#threads[0].post({ kind: "cancel" });
      // Only a run leaves something behind that its caller has to know.
      if (call.name !== "run") call.settle?.({ kind: "cancelled" });
    }
  }

  #setCancel(value: 0 | 1): void {
    if (this.#memory !== null) Atomics.store(new Int32Array(this.#memory.buffer), this.#cancelAt / 4, value);
  }
}

/** The package's error for an answer; its cause has the caller's stack. */
function asError({ message, code }: Extract<Answer, { kind: "error" }>, caller: Error): BackendError {
  return new BackendError(message, { cause: Object.assign(caller, { code, message }) });
}
