/**
 * The threads of one WASM backend and the memory that they share, from the making of the first to the end of all:
 *
 *     made ── start: module, memory ──▶ each instantiates ── ready ──▶ enter: number t of T ──▶ thread 0 takes calls,
 *     the others serve
 *
 * Nobody enters before all are ready or gone, so those that the host does not let start are missed by none.
 */
import { addressesLeft } from "../../host.ts";
import type { Answer, Enter, Start } from "./calls.ts";
import { type Build, loadBuild } from "./load.ts";
import { newMemory, type WasmMemory } from "./memory.ts";
import { callingThread, type Listener, startThread, type Thread } from "./thread.ts";

/** A worker of Node takes some 5 MB; results do not depend on how many there are. */
const MOST_THREADS = 64;
/** Left to the process where the system refuses one: Node's own pool is as many, and ends the process without them. */
const SPARE_THREADS = 4;

/**
 * Addresses that V8 takes at most: ten gigabytes and more for each WebAssembly memory with its guard, of which Node 22
 * makes one in every thread that hears a message, and ends that thread where it is refused.
 */
const MEMORY_ADDRESSES = 23 * 2 ** 30;
const WORKER_ADDRESSES = 11 * 2 ** 30;

const NO_ROOM = "the limit of addresses (ulimit -v) leaves no room for more";

/** No thread started: workers are of no use here. */
export class NoThread extends Error {}

interface Seat {
  readonly thread: Thread;
  /** Resolves when it is ready; rejects when it ended before. */
  readonly ready: Promise<void>;
  readonly giveUp: (reason: Error) => void;
}

export class Team {
  readonly build: Build;
  /** Shared by all threads, or null; null too when the team has ended, so that it is given back. */
  memory: WasmMemory | null;
  /** Byte address of the word that cancels the call in hand. */
  cancelAt = 0;
  /** Why there are fewer threads than asked for; empty where there are as many. */
  shortfall = "";
  readonly #wanted: number;
  readonly #listener: Listener;
  readonly #module: Promise<object>;
  #seats: Seat[] = [];
  #ended = false;

  /**
   * Makes the threads; nothing runs in them yet.
   *
   * @param near whether the calling thread is the only one
   * @param listener hears thread 0's answers, and when a thread of a team that has started ends
   * @throws NoThread where not even one can be made, BackendError where memory is refused
   */
  constructor(build: Build, threads: number, near: boolean, listener: Listener) {
    this.build = build;
    this.#listener = listener;
    // Before any thread: reading makes Node's own pool, which ends the process where it can have none.
    this.#module = loadBuild(build);
    this.#module.catch(() => {}); // `start` says so
    this.#wanted = build.threads ? Math.min(threads, MOST_THREADS) : 1;
    const room = near ? 1 : Math.floor((addressesLeft() - MEMORY_ADDRESSES) / WORKER_ADDRESSES);
    // V8 ends the process too, where a worker's addresses are refused.
    if (room < 1) throw new NoThread(NO_ROOM);
    this.memory = build.threads ? newMemory(true) : null;
    try {
      while (this.#seats.length < Math.min(this.#wanted, room))
        this.#seats.push(
          this.#seat(near ? callingThread : (listener) => startThread(listener, build.script)),
        );
      if (room < this.#wanted) this.#fewer(this.#seats, NO_ROOM);
    } catch (error) {
      const { message } = error as Error;
      if (this.#seats.length === 0) throw new NoThread(message);
      this.#fewer(this.#seats.slice(0, Math.max(1, this.#seats.length - SPARE_THREADS)), message);
    }
  }

  get threads(): number {
    return this.#seats.length;
  }

  /**
   * Starts them; meanwhile they hold Node's process.
   *
   * @throws NoThread where none becomes ready, and what `loadBuild` throws
   */
  async start(): Promise<void> {
    for (const { thread } of this.#seats) thread.hold(true);
    const module = await this.#module;
    for (const { thread } of this.#seats) {
      thread.post({ kind: "start", module, memory: this.memory } satisfies Start);
    }
    const settled = await Promise.allSettled(this.#seats.map(({ ready }) => ready));
    const refused = settled.find((result) => result.status === "rejected");
    if (refused !== undefined) {
      this.#fewer(
        this.#seats.filter((_, i) => settled[i].status === "fulfilled"),
        (refused.reason as Error).message,
      );
    }
    const { threads } = this;
    if (threads === 0) throw new NoThread((refused!.reason as Error).message);
    for (const [thread, seat] of this.#seats.entries()) {
      seat.thread.post({ kind: "enter", thread, threads } satisfies Enter);
      seat.thread.hold(false);
    }
  }

  /** A message to thread 0. */
  post(message: object, transfer: readonly ArrayBuffer[] = []): void {
    this.#seats[0].thread.post(message, transfer);
  }

  /** Whether Node's process must not end. */
  hold(on: boolean): void {
    this.#seats[0].thread.hold(on);
  }

  end(): void {
    this.#ended = true;
    this.memory = null;
    for (const { thread, giveUp } of this.#seats) {
      thread.end();
      giveUp(new Error("it was ended"));
    }
  }

  /** Goes on with these, and ends the others. */
  #fewer(seats: Seat[], reason: string): void {
    for (const seat of this.#seats) if (!seats.includes(seat)) seat.thread.end();
    this.#seats = seats;
    this.shortfall = `${seats.length} of ${this.#wanted} threads could be started: ${reason}`;
  }

  #seat(make: (listener: Listener) => Thread): Seat {
    let isReady = false;
    let resolve!: () => void;
    let giveUp!: (reason: Error) => void;
    const ready = new Promise<void>((accept, reject) => {
      resolve = accept;
      giveUp = reject;
    });
    ready.catch(() => {}); // of a team that is ended before it is started
    const thread = make({
      message: (data) => {
        const answer = data as Answer;
        if (isReady) this.#listener.message(answer);
        else if (answer.kind === "ready") {
          isReady = true;
          this.cancelAt = answer.cancelAt;
          resolve();
        } else if (answer.kind === "trapped") giveUp(new Error(answer.message));
      },
      ended: (reason) => {
        if (!isReady) giveUp(new Error(reason));
        else if (!this.#ended) this.#listener.ended(reason);
      },
    });
    return { thread, ready, giveUp };
  }
}
