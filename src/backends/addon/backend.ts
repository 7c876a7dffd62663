/**
 * A backend that is an addon, whichever engine it has: the processor's (`native.ts`) or CUDA's (`cuda.ts`).
 *
 * What this file leaves out: any arithmetic. It hands flat jobs to the addon, which copies their arrays, and makes the
 * typed arrays that outputs are copied into. A backend's calls run one after another, in order, on a thread of its own
 * (native/node/jobs.h).
 */
import { BackendError, ofLength } from "../../errors.ts";
import { nextTurn } from "../../host.ts";
import { parameterCount } from "../../network.ts";
import type {
  AbortSignalLike,
  Backend,
  DataSplit,
  Operations,
  Predictor,
  Session,
  SessionSetup,
} from "../backend.ts";
import { type ArrayName, KINDS } from "../description.ts";
import {
  type Answer,
  DATA_SPLITS,
  type Job,
  type JobArrays,
  jobOf,
  lossPart,
  networkPart,
  type Runner,
  SCALAR_NAMES,
  type SessionJob,
  sessionJob,
} from "../job.ts";
import { operationsOf } from "../job-operations.ts";
import { JobSession, type SessionRunner } from "../job-session.ts";
import type { Addon, Done, NativeSession, Queue } from "./addon.ts";
import { Calls, newArrays, translated } from "./calls.ts";
import type { Engine } from "./failures.ts";
import { wrongAnswer } from "./known-question.ts";

/** Bytes of inputs that the addon copies at one go: about a millisecond. */
const PIECE = 2 ** 20;

interface AddonOptions {
  /** Name of one of the addon's, or "" for the best. */
  readonly instructionSet: string;
  readonly threads: number;
}

export class AddonBackend implements Backend<Engine> {
  readonly name: Engine;
  readonly instructionSet: string;
  readonly threads: number;
  readonly shortfall: string;
  readonly operations: Operations;
  readonly #addon: Addon;
  readonly #queue: Queue;
  readonly #calls: Calls;
  readonly #sessions = new Set<Session>();

  constructor(name: Engine, addon: Addon, { instructionSet, threads }: AddonOptions) {
    this.name = name;
    this.#addon = addon;
    this.#queue = translated(() => addon.open(instructionSet, threads));
    this.#calls = new Calls(addon, this.#queue, "backend");
    this.instructionSet = addon.instructionSet(this.#queue);
    this.threads = addon.threads(this.#queue);
    this.shortfall =
      this.threads < threads
        ? `${this.threads} of ${threads} threads could be started: the system allows this process no more`
        : "";
    this.operations = operationsOf(this.#runner());
  }

  async openPredictor({
    network,
    loss,
    parameters,
  }: Parameters<Backend["openPredictor"]>[0]): Promise<Predictor> {
    this.#calls.checkOpen();
    const { scalars, arrays } = jobOf("predict", [
      networkPart(network),
      lossPart(loss, network),
      { arrays: { parameters: ofLength("parameters", parameters, parameterCount(network)) } },
    ]);
    const handle = translated(() => this.#addon.openPredictor(this.#queue, scalars, arrays));
    const [width] = network.layers;
    const columns = network.layers[network.layers.length - 1];
    return {
      predict: (inputs) => {
        this.#calls.checkOpen();
        const rows = inputs.length / width;
        const outputs = new Float32Array(rows * columns);
        const labels = new Uint16Array(rows);
        translated(() => this.#addon.predict(handle, inputs, outputs, labels));
        return { outputs, labels };
      },
      close: () => this.#addon.closePredictor(handle),
    };
  }

  openSession(setup: SessionSetup): Session {
    return this.#open(setup, sessionJob(setup)).session;
  }

  async takeSession(setup: SessionSetup): Promise<Session> {
    const { job, splits } = sessionJob(setup);
    const withoutInputs = Object.entries(splits).map(
      ([
        split,
        {
          arrays: { inputs: _, ...arrays },
          ...rows
        },
      ]) => [split, { ...rows, arrays }],
    );
    const { session, handle } = this.#open(setup, { job, splits: Object.fromEntries(withoutInputs) });
    for (const [place, split] of DATA_SPLITS.entries()) {
      const inputs = setup.data[split]?.inputs;
      const step = PIECE / (inputs?.BYTES_PER_ELEMENT ?? 1);
      for (let at = 0; inputs !== undefined && at < inputs.length; at += step) {
        await nextTurn();
        this.#calls.checkOpen();
        translated(() => this.#addon.addInputs(handle, place, inputs.subarray(at, at + step)));
      }
    }
    return session;
  }

  #open(setup: SessionSetup, { job, splits }: SessionJob): { session: Session; handle: NativeSession } {
    this.#calls.checkOpen();
    const handle = translated(() =>
      this.#addon.openSession(this.#queue, job, ...DATA_SPLITS.map((split) => splits[split])),
    );
    const runner = new AddonSession(this.#addon, this.#queue, handle, () => this.#sessions.delete(session));
    const session = new JobSession(runner, setup);
    this.#sessions.add(session);
    return { session, handle };
  }

  close(): void {
    if (this.#calls.closed) return;
    this.#calls.close();
    for (const session of this.#sessions) session.close();
    this.#addon.close(this.#queue);
  }

  #runner(): Runner {
    return {
      checkOpen: () => this.#calls.checkOpen(),
      run: async ({ scalars, arrays, outputs }, signal) => {
        const start = (given: JobArrays, wanted: Job["outputs"]) =>
          this.#calls.start(
            (done) => this.#addon.start(this.#queue, scalars, given, done),
            () => wanted,
            signal,
          );
        if (scalars[OPERATION] !== GAUSSIAN) return start(arrays, outputs);
        // Normals are written where the caller gets them: nobody else has that array before the job is done.
        const normals = translated(() => newArrays(outputs));
        const answer = await start(normals, {});
        return answer && { ...answer, arrays: normals };
      },
    };
  }
}

/**
 * Opens an addon's backend, after a known question on the instruction set that it runs.
 *
 * @throws BackendError where it does not open, or answers wrongly
 */
export function openAddon(name: Engine, addon: Addon, options: AddonOptions): Backend<Engine> {
  const backend = new AddonBackend(name, addon, options);
  const { instructionSet } = backend;
  const wrong = wrongAnswer(addon, instructionSet);
  if (wrong === "") return backend;
  backend.close();
  throw new BackendError(`its addon answers a known question wrongly on ${instructionSet}: ${wrong}`);
}

const OPERATION = SCALAR_NAMES.indexOf("operation");
const GAUSSIAN = KINDS.operation.indexOf("gaussian");

class AddonSession implements SessionRunner {
  readonly #addon: Addon;
  readonly #handle: NativeSession;
  readonly #calls: Calls;
  readonly #onClose: () => void;

  constructor(addon: Addon, queue: Queue, handle: NativeSession, onClose: () => void) {
    this.#addon = addon;
    this.#handle = handle;
    this.#calls = new Calls(addon, queue, "session");
    this.#onClose = onClose;
  }

  checkOpen(): void {
    this.#calls.checkOpen();
  }

  run({ scalars, arrays, outputs }: Job, signal?: AbortSignalLike): Promise<Answer | null> {
    const begin = (done: Done) => this.#addon.run(this.#handle, scalars, arrays, done);
    return this.#calls.start(begin, () => outputs, signal);
  }

  outputs({ scalars, arrays, outputs }: Job, signal?: AbortSignalLike): Promise<Answer | null> {
    const begin = (done: Done) => this.#addon.outputs(this.#handle, scalars, arrays, done);
    return this.#calls.start(begin, () => outputs, signal);
  }

  accuracy(split: DataSplit): Promise<Answer | null> {
    const place = DATA_SPLITS.indexOf(split);
    return this.#calls.start(
      (done) => this.#addon.accuracy(this.#handle, place, done),
      () => ({}),
    );
  }

  predict(split: DataSplit, length: number): Promise<Answer | null> {
    const place = DATA_SPLITS.indexOf(split);
    return this.#calls.start(
      (done) => this.#addon.predictSplit(this.#handle, place, done),
      () => ({ output: length }),
    );
  }

  read(length: number, names: readonly ArrayName[]): Promise<Answer | null> {
    return this.#calls.start(
      (done) => this.#addon.read(this.#handle, done),
      ({ chainValid }) =>
        Object.fromEntries([...names, ...(chainValid ? ["chain"] : [])].map((name) => [name, length])),
    );
  }

  close(): void {
    if (this.#calls.closed) return;
    this.#calls.close();
    this.#addon.closeSession(this.#handle);
    this.#onClose();
  }
}
