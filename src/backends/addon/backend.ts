/**
 * A backend that is an addon, whichever engine it has: the processor's (`native.ts`) or CUDA's (`cuda.ts`).
 *
 * What this file leaves out: any arithmetic. It hands the seam's objects to the addon, and makes the typed arrays
 * that results are copied into. A backend's calls run one after another, in order, on a thread of its own
 * (native/node/jobs.h).
 */
import { BackendError, OptionError } from "../../errors.ts";
import { parameterCount } from "../../network.ts";
import type {
  Backend,
  Operations,
  Plan,
  PlanResult,
  Session,
  SessionSetup,
  SessionState,
  Split,
} from "../backend.ts";
import { VALUES } from "../backend.ts";
import { Calls, translated } from "./calls.ts";
import type { Addon, Engine, NativeSession, Queue } from "./load.ts";
import { operationsOf } from "./operations.ts";

interface AddonOptions {
  /** Name of one of the addon's, or "" for the best. */
  readonly instructionSet: string;
  readonly threads: number;
}

export class AddonBackend implements Backend<Engine> {
  readonly name: Engine;
  readonly instructionSet: string;
  readonly threads: number;
  readonly operations: Operations;
  readonly #addon: Addon;
  readonly #queue: Queue;
  readonly #calls: Calls;
  readonly #sessions = new Set<AddonSession>();

  constructor(name: Engine, addon: Addon, { instructionSet, threads }: AddonOptions) {
    this.name = name;
    this.#addon = addon;
    this.#queue = translated(() => addon.open(instructionSet, threads));
    this.#calls = new Calls(addon, "backend");
    this.instructionSet = addon.instructionSet(this.#queue);
    this.threads = threads;
    this.operations = operationsOf(addon, this.#queue, this.#calls);
  }

  openSession(setup: SessionSetup): Session {
    this.#calls.checkOpen();
    const handle = translated(() => this.#addon.openSession(this.#queue, setup));
    const session = new AddonSession(this.#addon, this.#queue, handle, setup, () =>
      this.#sessions.delete(session),
    );
    this.#sessions.add(session);
    return session;
  }

  close(): void {
    if (this.#calls.closed) return;
    this.#calls.close();
    for (const session of this.#sessions) session.close();
    this.#addon.close(this.#queue);
  }
}

const SPLITS: readonly Split[] = ["train", "test", "validation"];

class AddonSession implements Session {
  readonly #addon: Addon;
  readonly #queue: Queue;
  readonly #handle: NativeSession;
  readonly #calls: Calls;
  readonly #parameters: number;
  readonly #splits: readonly Split[];
  readonly #onClose: () => void;

  constructor(addon: Addon, queue: Queue, handle: NativeSession, setup: SessionSetup, onClose: () => void) {
    this.#addon = addon;
    this.#queue = queue;
    this.#handle = handle;
    this.#calls = new Calls(addon, "session");
    this.#parameters = parameterCount(setup.network);
    this.#splits = SPLITS.filter((split) => setup.data[split] !== undefined);
    this.#onClose = onClose;
  }

  run(plan: Plan, signal?: AbortSignal): Promise<PlanResult> {
    const nothing = () => ({ done: 0, values: new Float64Array(0) });
    if (signal?.aborted && !this.#calls.closed) return Promise.resolve(nothing());
    return this.#calls.start({
      begin: (done) => this.#addon.run(this.#queue, this.#handle, plan, done),
      finish: ([done], collect) => {
        const values = new Float64Array(done * VALUES);
        collect(values);
        return { done, values };
      },
      cancelled: nothing,
      signal,
    });
  }

  async accuracy(split: Split): Promise<number> {
    this.#calls.checkOpen();
    if (!this.#splits.includes(split)) {
      throw new OptionError(`Expected ${this.#splits.join(", ")} for split but received "${split}"`);
    }
    return this.#calls.start({
      begin: (done) => this.#addon.accuracy(this.#queue, this.#handle, SPLITS.indexOf(split), done),
      finish: ([fraction]) => fraction,
      cancelled: unexpectedCancel,
    });
  }

  read(): Promise<SessionState> {
    return this.#calls.start({
      begin: (done) => this.#addon.read(this.#queue, this.#handle, done),
      finish: ([hasChain, momentCount], collect) => {
        const vector = () => new Float32Array(this.#parameters);
        const parameters = vector();
        const chain = hasChain ? vector() : null;
        const moments = Array.from({ length: momentCount }, vector);
        collect(parameters, chain ?? undefined, ...moments);
        return { parameters, moments, chain };
      },
      cancelled: unexpectedCancel,
    });
  }

  close(): void {
    if (this.#calls.closed) return;
    this.#calls.close();
    this.#addon.closeSession(this.#handle);
    this.#onClose();
  }
}

/** Only closing cancels a call without a signal, and a closed owner's calls reject before they come here. */
function unexpectedCancel(): never {
  throw new BackendError("The call was cancelled");
}
