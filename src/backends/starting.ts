/**
 * The backend that "auto" has taken while it starts: where the start fails, the next one takes its place before any work
 * is done. Until then its sessions hold copies of what they were opened with.
 */
import { BackendError } from "../errors.ts";
import type {
  Backend,
  DataSplit,
  Examples,
  Operations,
  Plan,
  PlanResult,
  Session,
  SessionSetup,
  SessionState,
  Vector,
} from "./backend.ts";

export class StartingBackend<Name extends string> implements Backend<Name> {
  readonly started: Promise<void>;
  #backend: Backend<Name>;
  #closed = false;

  /** @param next opens the next best one, told why the one before did not start */
  constructor(first: Backend<Name>, next: (failed: Name, reason: string) => Backend<Name>) {
    this.#backend = first;
    this.started = this.#start(next);
    this.started.catch(() => {}); // whoever waits for it is told
  }

  async #start(next: (failed: Name, reason: string) => Backend<Name>): Promise<void> {
    for (;;) {
      try {
        return await this.#backend.started;
      } catch (error) {
        if (this.#closed) throw error;
        const { name } = this.#backend;
        this.#backend.close();
        this.#backend = next(name, (error as Error).message);
      }
    }
  }

  get name(): Name {
    return this.#backend.name;
  }

  get instructionSet(): string {
    return this.#backend.instructionSet;
  }

  get threads(): number {
    return this.#backend.threads;
  }

  get shortfall(): string {
    return this.#backend.shortfall ?? "";
  }

  /** Those of the backend that has started; before that, of one that may yet be replaced. */
  get operations(): Operations {
    return this.#backend.operations;
  }

  openSession(setup: SessionSetup): Session {
    if (this.#closed) throw new BackendError("The backend is closed; open a new one");
    const copy = copyOf(setup);
    return new StartingSession(this.started.then(() => this.#backend.openSession(copy)));
  }

  async takeSession(setup: SessionSetup): Promise<Session> {
    await this.started;
    return this.#backend.takeSession(setup);
  }

  close(): void {
    this.#closed = true;
    this.#backend.close();
  }
}

/** A session that is opened when its backend has started. */
class StartingSession implements Session {
  readonly #session: Promise<Session>;

  constructor(session: Promise<Session>) {
    this.#session = session;
    session.catch(() => {}); // its first call says so
  }

  async run(plan: Plan, signal?: AbortSignal): Promise<PlanResult> {
    return (await this.#session).run(plan, signal);
  }

  async accuracy(split: DataSplit): Promise<number> {
    return (await this.#session).accuracy(split);
  }

  async read(): Promise<SessionState> {
    return (await this.#session).read();
  }

  close(): void {
    this.#session.then(
      (session) => session.close(),
      () => {},
    );
  }
}

const TYPES = { Uint8Array, Float32Array, Float64Array };

function copyArray<A extends Uint8Array | Vector>(array: A): A {
  const type = Object.prototype.toString.call(array).slice(8, -1) as keyof typeof TYPES;
  return new TYPES[type](array) as A;
}

function copyOf(setup: SessionSetup): SessionSetup {
  const { data, state } = setup;
  const rows = Object.entries(data).map(([split, { inputs, labels }]: [string, Examples]) => [
    split,
    { inputs: copyArray(inputs), labels: new Uint16Array(labels) },
  ]);
  return {
    ...structuredClone({ ...setup, data: {}, state: null }),
    data: Object.fromEntries(rows),
    state: {
      parameters: copyArray(state.parameters),
      moments: state.moments.map(copyArray),
      chain: state.chain && copyArray(state.chain),
    },
  };
}
