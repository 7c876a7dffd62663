/**
 * The calls of one WASM backend on their way to the thread that computes, one at a time:
 *
 *     caller's thread                        thread 0                       threads 1 … T − 1
 *     call ─▶ waiting ─▶ in hand ── post ──▶ job in memory, run ◀ barriers ▶ run (else they stand in `serve`)
 *     promise ◀─────────────── answer ◀──── result
 *
 * A call in hand is cancelled by a word of the shared memory, or by a message where none is shared; one that waits is
 * taken out. While calls are under way a thread holds Node's process; an idle backend lets it end.
 */

import { BackendError } from "../../errors.ts";
import type { AbortSignalLike } from "../backend.ts";
import type { Answer as JobAnswer } from "../job.ts";
import type { Answer, Calls } from "./calls.ts";
import type { Copied } from "./copies.ts";
import { type Build, type Choice, loadBuild, NotThere } from "./load.ts";
import { instantiate, Machine } from "./machine.ts";
import { newMemory } from "./memory.ts";
import { NoThread, Team } from "./team.ts";

interface Call extends Copied<unknown> {
  readonly name: keyof Calls;
  /** Whose closing rejects the call. */
  readonly owner: object | null;
  /** Settles the promise. Called once: a call that was given up is not heard again. */
  settle: ((answer: Answer | Error) => void) | null;
}

/** Each reason, and what did not start for it. */
type Failed = Map<string, Set<string>>;

/** @param but a name that is left out */
function told(failed: Failed, but?: string): string {
  const reasons = [...failed].map(([reason, names]) => ({
    reason,
    names: [...names].filter((name) => name !== but),
  }));
  return reasons
    .filter(({ names }) => names.length > 0)
    .map(({ reason, names }) => `${names.join(", ")} (${reason})`)
    .join("; ");
}

export class WasmQueue {
  /** Resolves when the threads compute; rejects with a BackendError where no way of starting them worked. */
  readonly started: Promise<void>;
  readonly #waiting: Call[] = [];
  #inHand: Call | null = null;
  #ready = false;
  #team: Team | null = null;
  readonly #best: string;
  #failure: Error | null = null;
  #shortfall = "";
  #near: Promise<Machine> | null = null;

  /** @param choices to be tried in this order, at least one */
  constructor(choices: readonly Choice[], threads: number) {
    this.#best = choices[0].name;
    this.started = this.#start(choices, threads);
    this.started.catch(() => {}); // each call says so too
  }

  /** The name of the build that runs, or is being started. */
  get build(): string {
    return this.#team?.build.name ?? this.#best;
  }

  get threads(): number {
    return this.#team?.threads ?? 1;
  }

  /** Why it runs with less than was asked for; empty where it does not. */
  get shortfall(): string {
    return this.#shortfall;
  }

  /** Why no more calls are taken, or null. */
  get failure(): Error | null {
    return this.#failure;
  }

  /**
   * Starts the first that works of: each build on workers, then, on the calling thread, which takes turns with the
   * kernels, the build in which no thread waits for another; each from its file, and from the code once a file or the
   * workers' script was lacking. What makes the first workers is done before this returns.
   */
  async #start(choices: readonly Choice[], threads: number): Promise<void> {
    const failed: Failed = new Map();
    const workers = { file: true, inCode: true };
    let lacking = choices.every(({ file }) => file === null);
    for (const near of [false, true]) {
      for (const choice of choices.filter((choice) => !near || !choice.threads)) {
        for (const source of ["file", "inCode"] as const) {
          if (!(near || workers[source]) || (source === "inCode" && !lacking)) continue;
          try {
            const build = source === "file" ? choice.file : await choice.inCode();
            if (build === null) continue;
            await this.#startTeam(build, threads, near, failed);
            return;
          } catch (cause) {
            if (this.#failure !== null) throw this.#failure;
            const { message } = cause as Error;
            const name = near ? `${choice.name} on the calling thread` : choice.name;
            failed.set(message, (failed.get(message) ?? new Set()).add(name));
            lacking ||= cause instanceof NotThere || cause instanceof NoThread;
            workers[source] &&= !(cause instanceof NoThread);
          }
        }
      }
    }
    const failure = new BackendError(`The wasm backend did not start: ${told(failed)}`);
    this.fail(failure);
    throw failure;
  }

  /** @param failed what was tried before; its names but this build's are told of as better */
  async #startTeam(build: Build, threads: number, near: boolean, failed: Failed): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const team = new Team(build, threads, near, {
      message: (data) => this.#hear(data as Answer),
      ended: (reason) =>
        this.fail(new BackendError(`A worker of the wasm backend ended (${reason}); open a new backend`)),
    });
    this.#team = team;
    try {
      await team.start();
    } catch (error) {
      team.end();
      throw error;
    }
    team.hold(this.#waiting.length > 0);
    const better = told(failed, near ? undefined : build.name);
    const instead = better && `${build.name} in place of ${better}`;
    this.#shortfall = [instead, team.shortfall].filter(Boolean).join("; ");
    this.#ready = true;
    this.#next();
  }

  /** Runs a call on the thread that computes; resolves to its answer, or to null where it was cancelled. */
  call<Name extends keyof Calls>(
    name: Name,
    { input, buffers }: Copied<Calls[Name]>,
    owner: object,
    signal?: AbortSignalLike,
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

  /**
   * The kernels of the same build on the calling thread, in a memory of its own, which the first call makes. For what takes
   * less time than a message there and back.
   */
  async near(): Promise<Machine> {
    await this.started;
    if (this.#failure !== null) throw this.#failure;
    const { build } = this.#team!;
    this.#near ??= loadBuild(build).then((module) => {
      const memory = newMemory(build.threads);
      return new Machine(instantiate(module, memory), memory, 1);
    });
    return this.#near;
  }

  /** Ends the threads and frees the memory; calls under way, and all later ones, reject with `error`. */
  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#near = null;
    this.#team?.end();
    for (const call of [...this.#waiting.splice(0), this.#inHand]) call?.settle?.(error);
    this.#inHand = null;
  }

  #push(call: Call): void {
    if (this.#failure !== null) {
      call.settle?.(this.#failure);
      return;
    }
    this.#waiting.push(call);
    this.#team?.hold(true); // before there is one, loading it holds the process
    this.#next();
  }

  #next(): void {
    if (!this.#ready || this.#inHand !== null) return;
    const call = this.#waiting.shift();
    if (call === undefined) {
      this.#team!.hold(false);
      return;
    }
    this.#inHand = call;
    this.#setCancel(0);
    const { name, input, buffers } = call;
    this.#team!.post({ kind: "call", name, input }, buffers);
  }

  #hear(answer: Answer): void {
    if (answer.kind === "trapped") {
      this.fail(new BackendError(`The wasm backend failed: ${answer.message}; open a new one`));
      return;
    }
    const call = this.#inHand;
    this.#inHand = null;
    call?.settle?.(answer);
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
      if (this.#team!.memory !== null) return;
      this.#team!.post({ kind: "cancel" });
      // Only a run leaves something behind that its caller has to know.
      if (call.name !== "run") call.settle?.({ kind: "cancelled" });
    }
  }

  #setCancel(value: 0 | 1): void {
    const { memory, cancelAt } = this.#team!;
    if (memory !== null) Atomics.store(new Int32Array(memory.buffer), cancelAt / 4, value);
  }
}

/** The package's error for an answer; its cause has the caller's stack. */
function asError({ message, code }: Extract<Answer, { kind: "error" }>, caller: Error): BackendError {
  return new BackendError(message, { cause: Object.assign(caller, { code, message }) });
}
