/**
 * What every format says of a dense network, and a model made of it.
 */
import { DataError, describe } from "../errors.ts";
import { Model, type ModelPlace } from "../model.ts";
import type { Activation } from "../network.ts";

/** A layer as formats have it. */
export interface Dense {
  readonly inputs: number;
  readonly outputs: number;
  /** inputs × outputs, row-major. */
  readonly weights: Float32Array;
  /** outputs. */
  readonly biases: Float32Array;
}

/** A network as formats have it. The activation is that of the hidden layers; none where there are none. */
export interface DenseNetwork {
  readonly layers: readonly Dense[];
  readonly activation: Activation | null;
}

/** A model's layers in float32, which all formats have. */
export function denseOf(model: Model): DenseNetwork {
  if (model.predicts !== "classes") {
    throw new DataError(
      `Other tools' formats are written with a softmax at their end, and this model predicts ${model.predicts}: ` +
        "take model.layers, its matrices and biases",
    );
  }
  const layers = model.layers.map(({ inputs, outputs, weights, biases }) => ({
    inputs,
    outputs,
    weights: Float32Array.from(weights),
    biases: Float32Array.from(biases),
  }));
  return { layers, activation: layers.length > 1 ? model.network.activation : null };
}

/**
 * The model of such layers.
 *
 * @param what is read, for the errors' sentences: "The ONNX model"
 * @throws DataError where they do not follow each other, or hold what is not finite
 */
export function modelOf(what: string, { layers, activation }: DenseNetwork, place: ModelPlace): Model {
  if (layers.length === 0) throw new DataError(`${what} has no dense layer`);
  for (const [i, { inputs, outputs, weights, biases }] of layers.entries()) {
    const before = i === 0 ? inputs : layers[i - 1].outputs;
    if (inputs !== before)
      throw new DataError(`${what} has a layer of ${inputs} inputs after one of ${before} outputs`);
    if (weights.length !== inputs * outputs || biases.length !== outputs) {
      throw new DataError(
        `${what} has ${weights.length} weights and ${biases.length} biases for a layer of ${inputs} × ${outputs}`,
      );
    }
  }
  const last = layers[layers.length - 1].outputs;
  if (last < 2)
    throw new DataError(`${what} has ${last} output; a network here has one for each of two classes or more`);
  const parameters = new Float32Array(
    layers.reduce((sum, { weights, biases }) => sum + weights.length + biases.length, 0),
  );
  let at = 0;
  for (const { weights, biases } of layers) {
    parameters.set(weights, at);
    parameters.set(biases, at + weights.length);
    at += weights.length + biases.length;
  }
  const wrong = parameters.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new DataError(`${what} has the value ${parameters[wrong]} among its parameters`);
  const widths = [layers[0].inputs, ...layers.map(({ outputs }) => outputs)];
  return new Model({ ...place, network: { layers: widths, activation: activation ?? "relu" }, parameters });
}

/** The one activation of all hidden layers. @throws DataError where they differ */
export function oneActivation(
  what: string,
  names: readonly string[],
  known: Readonly<Record<string, Activation>>,
): Activation | null {
  if (names.length === 0) return null;
  const [first] = names;
  const other = names.find((name) => name !== first);
  if (other !== undefined) {
    throw new DataError(
      `${what} has hidden layers of ${describe(first)} and of ${describe(other)}; here all have the same activation`,
    );
  }
  if (Object.hasOwn(known, first)) return known[first];
  throw new DataError(
    `${what} has hidden layers of ${describe(first)}; here is ${Object.keys(known)
      .map((name) => describe(name))
      .join(", ")}`,
  );
}

/** rows × columns → columns × rows. */
export function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(matrix.length);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[j * rows + i] = matrix[i * columns + j];
  return out;
}

/** Little-endian float32 numbers of bytes, wherever they begin. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength >> 2 }, (_, i) => view.getFloat32(4 * i, true));
}

/** The same back. */
export function bytesOf(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
  return bytes;
}

/** What a text of JSON says. @throws DataError where it is none */
export function parsedJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${what} is no JSON: ${(cause as Error).message}`, { cause });
  }
}
