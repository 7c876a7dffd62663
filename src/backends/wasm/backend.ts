/**
 * The WASM backend: float32 on WebAssembly's vector units, by the kernels in `assembly/`, where no binary fits.
 *
 * What this file leaves out: any arithmetic. It checks and copies what it is given (`wasm/inputs.ts`) and sends it to a
 * thread that computes (`wasm/queue.ts`); there it becomes a job in memory (`wasm/jobs.ts`, `wasm/session.ts`).
 */
import { BackendError, OptionError } from "../../errors.ts";
import type {
  Backend,
  BackendOptions,
  Operations,
  Plan,
  PlanResult,
  Session,
  SessionSetup,
  SessionState,
  Split,
} from "../backend.ts";
import {
  type Copied,
  copyBatch,
  copyGaussian,
  copyInputs,
  copyPlan,
  copyRobbinsMonro,
  copySampling,
  copySetup,
  copySgld,
  copyStep,
} from "./inputs.ts";
import { chooseBuild } from "./load.ts";
import { WasmQueue } from "./queue.ts";

/**
 * Opens the WASM backend; its file and its threads are loaded meanwhile, and calls wait for them.
 *
 * @param threads of the backend, at least 1, where the build has threads
 * @param instructionSet "relaxed-simd+threads", "simd+threads" or "simd" (default: the environment variable
 *   LOCAL_ENTROPY_WASM_BUILD, else the best that runs here)
 * @throws BackendError where none runs here, or not the one that was named
 */
export function openWasm({ threads, instructionSet }: BackendOptions): Backend<"wasm"> {
  const queue = new WasmQueue(chooseBuild(instructionSet), threads);
  const backend = new WasmBackend(queue);
  abandoned.register(backend, () => queue.fail(closed("backend")));
  return backend;
}

/** Frees what a backend or a session that nobody closed leaves behind. */
const abandoned = new FinalizationRegistry<() => void>((free) => free());

function closed(owner: "backend" | "session"): BackendError {
  return new BackendError(`The ${owner} is closed; open a new one`);
}

class WasmBackend implements Backend<"wasm"> {
  readonly name = "wasm";
  readonly instructionSet: string;
  readonly threads: number;
  readonly operations: Operations;
  readonly #queue: WasmQueue;
  #opened = 0;

  constructor(queue: WasmQueue) {
    this.#queue = queue;
    this.instructionSet = queue.build.name;
    this.threads = queue.threads;
    this.operations = operationsOf(queue, this);
  }

  openSession(setup: SessionSetup): Session {
    const failure = this.#queue.failure;
    if (failure !== null) throw failure;
    const id = this.#opened++;
    const session = new WasmBackendSession(this.#queue, id, setup, this);
    abandoned.register(
      session,
      () => this.#queue.tell("close", { input: { session: id }, buffers: [] }),
      session,
    );
    return session;
  }

  close(): void {
    this.#queue.fail(closed("backend"));
  }
}

class WasmBackendSession implements Session {
  readonly #queue: WasmQueue;
  readonly #id: number;
  readonly #perUpdate: number;
  readonly #splits: readonly string[];
  /** Kept from being collected as long as its sessions are in use. */
  readonly backend: Backend;
  #closed = false;

  constructor(queue: WasmQueue, id: number, setup: SessionSetup, backend: Backend) {
    const { batchSize, estimator, data } = setup;
    this.#queue = queue;
    this.#id = id;
    this.#perUpdate = batchSize * ("batches" in estimator ? estimator.batches : 1);
    this.#splits = (["train", "test", "validation"] satisfies Split[]).filter(
      (split) => data[split] !== undefined,
    );
    this.backend = backend;
    queue.tell("open", this.#addressed(copySetup(setup)));
  }

  async run(plan: Plan, signal?: AbortSignal): Promise<PlanResult> {
    this.#checkOpen();
    const cancelled = () => ({ done: 0, values: new Float64Array(0) });
    if (signal?.aborted) return cancelled();
    const copied = this.#addressed(copyPlan(plan, this.#perUpdate));
    return this.#queue.call("run", copied, { owner: this, signal, cancelled });
  }

  async accuracy(split: Split): Promise<number> {
    this.#checkOpen();
    if (!this.#splits.includes(split)) {
      throw new OptionError(`Expected ${this.#splits.join(", ")} for split but received "${split}"`);
    }
    const copied = this.#addressed({ input: { split }, buffers: [] });
    return this.#queue.call("measure", copied, { owner: this, cancelled: unexpectedCancel });
  }

  async read(): Promise<SessionState> {
    this.#checkOpen();
    const copied = this.#addressed({ input: {}, buffers: [] });
    return this.#queue.call("read", copied, { owner: this, cancelled: unexpectedCancel });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    abandoned.unregister(this);
    this.#queue.drop(this, closed("session"));
    this.#queue.tell("close", this.#addressed({ input: {}, buffers: [] }));
  }

  #checkOpen(): void {
    if (this.#closed) throw closed("session");
    if (this.#queue.failure !== null) throw this.#queue.failure;
  }

  #addressed({ input, buffers }: Copied<object>): Copied<object> {
    return { input: { ...input, session: this.#id }, buffers };
  }
}

/** Only closing cancels a call without a signal, and that rejects it before. */
function unexpectedCancel(): never {
  throw new BackendError("The call was cancelled");
}

/** The operations: one call each, of the same name. */
function operationsOf(queue: WasmQueue, owner: object): Operations {
  function operation<Input extends { readonly signal?: AbortSignal }, T>(
    name: keyof Operations,
    copy: (input: Input) => Copied<unknown>,
  ): (input: Input) => Promise<T> {
    return async (input) => {
      const { signal } = input;
      if (queue.failure !== null) throw queue.failure;
      signal?.throwIfAborted();
      const cancelled = () => {
        throw signal?.reason;
      };
      const result = await queue.call<T>(name, copy(input), { owner, signal, cancelled });
      signal?.throwIfAborted();
      return result;
    };
  }

  return {
    gaussian: operation("gaussian", copyGaussian),
    loss: operation("loss", copyBatch),
    gradient: operation("gradient", copyBatch),
    predict: operation("predict", copyInputs),
    accuracy: operation("accuracy", (input) => copyBatch({ ...input, loss: { kind: "cross-entropy" } })),
    weights: operation("weights", copySampling),
    importanceSampling: operation("importanceSampling", copySampling),
    evolutionStrategies: operation("evolutionStrategies", copySampling),
    sgld: operation("sgld", copySgld),
    robbinsMonro: operation("robbinsMonro", copyRobbinsMonro),
    step: operation("step", copyStep),
  };
}
