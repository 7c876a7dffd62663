/**
 * The backend that "auto" has taken while it starts: where the start fails, the next one takes its place before any work
 * is done.
 */
import type { Backend, Operations, Predictor, Session, SessionSetup } from "./backend.ts";

/** What can be had of a backend that may still be starting: whoever opens a session waits for that. */
export type Started<Name extends string> = Omit<Backend<Name>, "openSession">;

export class StartingBackend<Name extends string> implements Started<Name> {
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

  async openPredictor(input: Parameters<Backend["openPredictor"]>[0]): Promise<Predictor> {
    const parameters = input.parameters.slice();
    await this.started;
    return this.#backend.openPredictor({ ...input, parameters });
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
