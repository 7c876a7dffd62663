/**
 * A trained network to use: it keeps a backend open, with its parameters there, so that a prediction costs what its
 * arithmetic does.
 */
import type { AbortSignalLike, Predictions, Predictor, Vector } from "./backends/backend.ts";
import { type BackendName, selectBackend } from "./backends/registry.ts";
import type { Started } from "./backends/starting.ts";
import { plainReason, readingFile, sourceOf } from "./disk.ts";
import { BackendError, CheckpointError, expected, OptionError, typeName } from "./errors.ts";
import { isNode, nodeModule } from "./host.ts";
import { layerShapes, type Network, type Predicts, parameterCount } from "./network.ts";
import { checkModel, checkModelRows, checkRowsOf } from "./options/model.ts";
import type { Batch } from "./options/operation-types.ts";
import type { NetworkOptions } from "./options/types.ts";
import { makeFolder, writeAtomically, writing } from "./runs/files.ts";
import { decodeModel, encodeModel } from "./runs/model-file.ts";

/** Where a model computes. */
export interface ModelPlace {
  /** Default "auto": the best that starts here. */
  readonly backend?: BackendName | "auto";
  /** Threads for many rows, 1 … 1024 (default: the machine's cores). */
  readonly threads?: number;
}

/** What a model is made of. */
export interface ModelOptions extends ModelPlace {
  /** Widths d_0 … d_L, or widths and activation. */
  readonly network: NetworkOptions;
  /** x (n, as `parameterCount` says), finite, copied. */
  readonly parameters: Vector;
  /**
   * What its outputs are (default "classes"): "numbers" after the losses "squared-error" and "absolute-error",
   * "probabilities", one an output, after "logistic". `load` knows it of a run.
   */
  readonly predicts?: Predicts;
}

/** One layer of a model: views of its parameters. */
export interface Layer {
  /** "layer-1" … "layer-L". */
  readonly name: string;
  /** d_{ℓ−1}. */
  readonly inputs: number;
  /** d_ℓ. */
  readonly outputs: number;
  /** inputs × outputs, row-major: entry [i · outputs + j] leads from input i to output j. */
  readonly weights: Vector;
  /** outputs. */
  readonly biases: Vector;
}

/**
 * Rows to predict: a typed array of rows × d_0 (bytes stand for byte/255, floats for themselves), one row of numbers, or an
 * array of such rows.
 */
export type Rows = Uint8Array | Float32Array | readonly number[] | readonly (readonly number[])[];

/**
 * Multiply-adds that are done at once on the calling thread: less than a tenth of a millisecond natively, and about as
 * much as it takes to ask another thread.
 */
const AT_ONCE = 2 ** 20;

/** A loss of each kind of outputs, for what is made of them. */
const LOSSES = {
  classes: { kind: "cross-entropy" },
  probabilities: { kind: "logistic" },
  numbers: { kind: "squared-error" },
} as const satisfies Record<Predicts, object>;

interface Opened {
  readonly backend: Started<BackendName>;
  readonly predictor: Predictor;
}

/** Closes the backend of a model that nobody closed. */
const abandoned = new FinalizationRegistry<{ opened: Promise<Opened> | null }>(({ opened }) => {
  opened?.then(({ backend }) => backend.close()).catch(() => {});
});

/** A trained network to use. */
export class Model {
  /** Widths and activation. */
  readonly network: Network;
  /** x (n), the model's own copy: not to be written. */
  readonly parameters: Vector;
  /** What its outputs are. */
  readonly predicts: Predicts;
  /** Its matrices and biases by name, views of `parameters`. */
  readonly layers: readonly Layer[];
  readonly #place: { readonly backend: BackendName | "auto"; readonly threads: number };
  /** Multiply-adds of a row. */
  readonly #work: number;
  readonly #held: { opened: Promise<Opened> | null } = { opened: null };
  #closed = false;

  /**
   * A model of a network and its parameters, as a run's result has them. The backend is opened by the first call that
   * needs one.
   *
   * @throws OptionError for a network or parameters that are none
   */
  constructor(options: ModelOptions) {
    const { network, parameters, predicts, backend, threads } = checkModel(options);
    this.network = Object.freeze({ ...network, layers: Object.freeze([...network.layers]) as number[] });
    this.parameters = parameters;
    this.predicts = predicts;
    this.layers = layersOf(this.network, parameters);
    this.#place = { backend, threads };
    this.#work = parameterCount(network);
    abandoned.register(this, this.#held, this.#held);
  }

  /**
   * Predicts rows: the first most likely class of each, `labels` (rows), and softmax `probabilities` (rows × classes,
   * row-major). Few rows are computed on the calling thread, many on the backend's own.
   *
   * @param rows raw, as in training
   * @param options.signal gives many rows up: the promise rejects with its reason
   * @throws OptionError for rows of another width or with a number that is not finite, and for a model whose outputs are no
   *   classes; BackendError where no backend opens, or the model is closed
   */
  async predict(rows: Rows, options: { readonly signal?: AbortSignalLike } = {}): Promise<Predictions> {
    this.#requireClasses("predict");
    const inputs = checkModelRows("predict.rows", rows, this.network.layers[0]);
    const { outputs, labels } = await this.#answer(inputs, options.signal);
    return { probabilities: outputs, labels };
  }

  /**
   * The outputs of rows (rows × d_L, row-major): numbers in the targets' unit, probabilities, or of classes the last layer's
   * values, before the softmax.
   *
   * @param rows raw, as in training
   * @param options.signal gives many rows up: the promise rejects with its reason
   * @throws as `predict`
   */
  async outputs(rows: Rows, options: { readonly signal?: AbortSignalLike } = {}): Promise<Vector> {
    const inputs = checkModelRows("outputs.rows", rows, this.network.layers[0]);
    if (this.predicts !== "classes") return (await this.#answer(inputs, options.signal)).outputs;
    const { network, parameters } = this;
    const { backend } = await this.#open();
    const asked = { network, parameters, loss: LOSSES.numbers, inputs, ...options };
    return (await backend.operations.predict(asked)).outputs;
  }

  /** What it predicts of rows: few on the calling thread, many on the backend's. */
  async #answer(inputs: Uint8Array | Float32Array, signal?: AbortSignalLike) {
    const { network, parameters, predicts } = this;
    const { backend, predictor } = await this.#open();
    signal?.throwIfAborted();
    if ((inputs.length / network.layers[0]) * this.#work <= AT_ONCE) return predictor.predict(inputs);
    return backend.operations.predict({ network, parameters, loss: LOSSES[predicts], inputs, signal });
  }

  #requireClasses(call: string): void {
    if (this.predicts === "classes") return;
    throw new OptionError(
      `Expected a model that predicts classes for ${call} but this one predicts ${this.predicts}; use model.outputs(rows), ` +
        "and the operation `errors` of an open backend to measure them",
    );
  }

  /**
   * How good it is on rows with labels: `accuracy`, the fraction 0 … 1 that is predicted right, and `loss`, the mean
   * cross-entropy in nats.
   *
   * @param data a dataset, or { inputs, labels }
   * @throws as `predict`
   */
  async evaluate(data: Batch): Promise<{ accuracy: number; loss: number }> {
    const { network, parameters } = this;
    this.#requireClasses("evaluate");
    const batch = checkRowsOf("evaluate.data", data, network);
    const { backend } = await this.#open();
    const [accuracy, loss] = await Promise.all([
      backend.operations.accuracy({ network, parameters, batch }),
      backend.operations.loss({ network, parameters, batch, loss: { kind: "cross-entropy" } }),
    ]);
    return { accuracy, loss };
  }

  /** The model as the bytes of a safetensors file, which `Model.fromBytes` and other tools read; in browsers too. */
  toBytes(): Uint8Array {
    return encodeModel(this);
  }

  /**
   * The model of such bytes.
   *
   * @param bytes a whole file
   * @param place where the model is to compute
   * @throws CheckpointError that says what is wrong with them
   */
  static fromBytes(bytes: Uint8Array, place: ModelPlace = {}): Model {
    if (typeName(bytes) !== "Uint8Array") {
      throw new OptionError(expected("a Uint8Array", "fromBytes.bytes", bytes));
    }
    return new Model({ ...place, ...decodeModel(sourceOf(bytes), "The bytes given to Model.fromBytes") });
  }

  /**
   * Writes those bytes into a file, whole or not at all; folders above it are made.
   *
   * @param path of the file, for example "model.safetensors"
   * @throws CheckpointError if it cannot be written; what was there before stays
   */
  async save(path: string): Promise<void> {
    checkPath("save", path);
    await writing(`The model ${path}`, async () => {
      await makeFolder(nodeModule("node:path").dirname(path));
      await writeAtomically(path, this.toBytes());
    });
  }

  /**
   * Reads a file that `save` wrote. (`load` reads a run's directory.)
   *
   * @param path of the file
   * @param place where the model is to compute
   * @throws CheckpointError that names the file and what is wrong with it
   */
  static async load(path: string, place: ModelPlace = {}): Promise<Model> {
    checkPath("load", path);
    try {
      const file = readingFile(path, (source) => decodeModel(source, `The model ${path}`));
      return new Model({ ...place, ...file });
    } catch (error) {
      if (error instanceof CheckpointError || error instanceof OptionError) throw error;
      throw new CheckpointError(`The model ${path} could not be read: ${plainReason(error, "reading")}`, {
        cause: error,
      });
    }
  }

  /** Frees its backend; what is under way rejects. Safe to repeat; a model that nobody closes is freed when it is collected. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    abandoned.unregister(this.#held);
    this.#held.opened?.then(({ backend }) => backend.close()).catch(() => {});
    this.#held.opened = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #open(): Promise<Opened> {
    if (this.#closed) throw new BackendError("The model is closed; load it again");
    this.#held.opened ??= open(this, this.#place);
    try {
      return await this.#held.opened;
    } catch (error) {
      this.#held.opened = null; // the next call tries again
      throw error;
    }
  }
}

/** Nothing that it gives holds the model, so that it can be collected. */
async function open(
  { network, parameters, predicts }: Model,
  { backend: name, threads }: { readonly backend: BackendName | "auto"; readonly threads: number },
): Promise<Opened> {
  const { backend } = selectBackend(name, threads);
  try {
    await backend.started;
    const predictor = await backend.openPredictor({ network, loss: LOSSES[predicts], parameters });
    return { backend, predictor };
  } catch (error) {
    backend.close();
    throw error;
  }
}

function layersOf(network: Network, parameters: Vector): readonly Layer[] {
  return layerShapes(network).map(({ offset, rows, columns }, index) => {
    const biases = offset + (rows - 1) * columns;
    return Object.freeze({
      name: `layer-${index + 1}`,
      inputs: rows - 1,
      outputs: columns,
      weights: parameters.subarray(offset, biases),
      biases: parameters.subarray(biases, biases + columns),
    });
  });
}

function checkPath(call: "save" | "load", path: string): void {
  if (!isNode) {
    throw new CheckpointError(
      "A browser has no files: keep the bytes of model.toBytes(), and give them to Model.fromBytes",
    );
  }
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new OptionError(expected("a file's path", `${call}.path`, path));
  }
}
