/**
 * The WASM backend: float32 on WebAssembly's vector units, by the kernels in `assembly/`, where no binary fits.
 *
 * What this file leaves out: any arithmetic. It copies the arrays of a job (`wasm/copies.ts`) and sends it to a thread that
 * computes (`wasm/queue.ts`); there it is put into the kernels' memory (`wasm/machine.ts`, `wasm/session.ts`).
 */
import { BackendError, ofLength } from "../../errors.ts";
import { parameterCount } from "../../network.ts";
import type {
  AbortSignalLike,
  Backend,
  BackendOptions,
  DataSplit,
  Operations,
  Predictor,
  Session,
  SessionSetup,
} from "../backend.ts";
import type { ArrayName } from "../description.ts";
import { type Answer, type Job, jobOf, lossPart, networkPart, type SessionJob, sessionJob } from "../job.ts";
import { operationsOf } from "../job-operations.ts";
import { JobSession, type SessionRunner } from "../job-session.ts";
import { type Copied, copyJob, copySession } from "./copies.ts";
import { chooseBuilds } from "./load.ts";
import { nearPredictor } from "./predictor.ts";
import { WasmQueue } from "./queue.ts";

/**
 * Opens the WASM backend; its file and its threads are loaded meanwhile, and calls wait for them. Where the best build or
 * the threads do not start, it goes on with what does: another build, fewer threads, the calling thread.
 *
 * @param threads of the backend, at least 1, where the build has threads
 * @param instructionSet "relaxed-simd+threads", "simd+threads" or "simd" (default: the environment variable
 *   LOCAL_ENTROPY_WASM_BUILD, else the best that runs here)
 * @throws BackendError where none runs here, or not the one that was named
 */
export function openWasm({ threads, instructionSet }: BackendOptions): Backend<"wasm"> {
  const builds = chooseBuilds(instructionSet);
  const queue = new WasmQueue(builds, threads);
  const backend = new WasmBackend(queue);
  abandoned.register(backend, () => queue.fail(closed("backend")), queue);
  return backend;
}

/**
 * Frees what a backend or a session that nobody closed leaves behind. One that was closed is taken out: its queue keeps
 * the error of its closing, whose stack can hold whoever closed it, and that one holds the backend.
 */
const abandoned = new FinalizationRegistry<() => void>((free) => free());

function closed(owner: "backend" | "session"): BackendError {
  return new BackendError(`The ${owner} is closed; open a new one`);
}

class WasmBackend implements Backend<"wasm"> {
  readonly name = "wasm";
  readonly operations: Operations;
  readonly #queue: WasmQueue;
  #opened = 0;

  constructor(queue: WasmQueue) {
    this.#queue = queue;
    this.operations = operationsOf({
      checkOpen: () => {
        if (queue.failure !== null) throw queue.failure;
      },
      run: (job, signal) => queue.call("job", copyJob(job), this, signal),
    });
  }

  get instructionSet(): string {
    return this.#queue.build;
  }

  get threads(): number {
    return this.#queue.threads;
  }

  get started(): Promise<void> {
    return this.#queue.started;
  }

  get shortfall(): string {
    return this.#queue.shortfall;
  }

  async openPredictor({
    network,
    loss,
    parameters,
  }: Parameters<Backend["openPredictor"]>[0]): Promise<Predictor> {
    const copy = new Float32Array(ofLength("parameters", parameters, parameterCount(network)));
    const machine = await this.#queue.near();
    const job = jobOf("predict", [
      networkPart(network),
      lossPart(loss, network),
      { arrays: { parameters: copy } },
    ]);
    return nearPredictor(machine, job, network, () => {
      if (this.#queue.failure !== null) throw this.#queue.failure;
    });
  }

  openSession(setup: SessionSetup): Session {
    return this.#open(setup, copySession(sessionJob(setup)));
  }

  async takeSession(setup: SessionSetup): Promise<Session> {
    return this.#open(
      setup,
      copySession(sessionJob(setup), (rows) => rows),
    );
  }

  #open(setup: SessionSetup, copied: Copied<SessionJob>): Session {
    const failure = this.#queue.failure;
    if (failure !== null) throw failure;
    const queue = this.#queue;
    const id = this.#opened++;
    const runner = new WasmSessionRunner(queue, id);
    // Before the arrays go to the worker: they have no length here then.
    const session = new WasmBackendSession(runner, setup, this);
    queue.tell("open", addressed(id, copied));
    abandoned.register(session, () => queue.tell("close", addressed(id)), runner);
    return session;
  }

  close(): void {
    abandoned.unregister(this.#queue);
    this.#queue.fail(closed("backend"));
  }
}

/** A session that keeps its backend from being collected. */
class WasmBackendSession extends JobSession {
  readonly backend: Backend;

  constructor(runner: SessionRunner, setup: SessionSetup, backend: Backend) {
    super(runner, setup);
    this.backend = backend;
  }
}

class WasmSessionRunner implements SessionRunner {
  readonly #queue: WasmQueue;
  readonly #id: number;
  #closed = false;

  constructor(queue: WasmQueue, id: number) {
    this.#queue = queue;
    this.#id = id;
  }

  checkOpen(): void {
    if (this.#closed) throw closed("session");
    if (this.#queue.failure !== null) throw this.#queue.failure;
  }

  run(plan: Job, signal?: AbortSignalLike): Promise<Answer | null> {
    return this.#queue.call("run", addressed(this.#id, copyJob(plan)), this, signal);
  }

  outputs(plan: Job, signal?: AbortSignalLike): Promise<Answer | null> {
    return this.#queue.call("outputs", addressed(this.#id, copyJob(plan)), this, signal);
  }

  accuracy(split: DataSplit): Promise<Answer | null> {
    const { input } = addressed(this.#id);
    return this.#queue.call("accuracy", { input: { ...input, split }, buffers: [] }, this);
  }

  predict(split: DataSplit, length: number): Promise<Answer | null> {
    const { input } = addressed(this.#id);
    return this.#queue.call("predict", { input: { ...input, split, length }, buffers: [] }, this);
  }

  read(length: number, names: readonly ArrayName[]): Promise<Answer | null> {
    const { input } = addressed(this.#id);
    return this.#queue.call("read", { input: { ...input, length, names }, buffers: [] }, this);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    abandoned.unregister(this);
    this.#queue.drop(this, closed("session"));
    this.#queue.tell("close", addressed(this.#id));
  }
}

/** A call of session `session`. */
function addressed<T extends object>(
  session: number,
  { input, buffers }: Copied<T | object> = { input: {}, buffers: [] },
): Copied<T & { session: number }> {
  return { input: { ...(input as T), session }, buffers };
}
