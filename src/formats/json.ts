/**
 * A model as plain JSON: layers with nested arrays, readable by anything.
 *
 *     { "format": "local-entropy-json-1", "activation": "relu",
 *       "layers": [{ "inputs": 784, "outputs": 200, "weights": [[…200 numbers] …784 of them], "biases": [… 200] }, …] }
 */
import { DataError, describe, expected } from "../errors.ts";
import type { Model, ModelPlace } from "../model.ts";
import type { Activation } from "../network.ts";
import { type Dense, denseOf, modelOf, oneActivation, parsedJson } from "./dense.ts";

const FORMAT = "local-entropy-json-1";
const WHAT = "The JSON model";

/** What `toJson` gives; `JSON.stringify` makes text of it. */
export interface JsonModel {
  /** "local-entropy-json-1". */
  readonly format: string;
  /** Of the hidden layers. */
  readonly activation: Activation;
  /** First to last. */
  readonly layers: readonly JsonLayer[];
}

/** One dense layer: outputs = inputs · weights + biases. */
export interface JsonLayer {
  /** d_{ℓ−1}. */
  readonly inputs: number;
  /** d_ℓ. */
  readonly outputs: number;
  /** inputs rows of outputs numbers. */
  readonly weights: readonly (readonly number[])[];
  /** outputs numbers. */
  readonly biases: readonly number[];
}

/** A model as an object of numbers and names. Its float32 parameters come back to the bit. */
export function toJson(model: Model): JsonModel {
  const layers = denseOf(model).layers.map(({ inputs, outputs, weights, biases }) => ({
    inputs,
    outputs,
    weights: Array.from({ length: inputs }, (_, i) =>
      Array.from(weights.subarray(i * outputs, (i + 1) * outputs)),
    ),
    biases: Array.from(biases),
  }));
  return { format: FORMAT, activation: model.network.activation, layers };
}

/**
 * The model of such an object, or of its text.
 *
 * @param json what `toJson` gave, or text of it
 * @param place where the model is to compute
 * @throws DataError that says what is wrong with it
 */
export function fromJson(json: JsonModel | string, place: ModelPlace = {}): Model {
  const value = typeof json === "string" ? parsedJson(WHAT, json) : json;
  if (typeof value !== "object" || value === null || (value as JsonModel).format !== FORMAT) {
    const format = (value as JsonModel | null)?.format;
    throw new DataError(expected(describe(FORMAT), "the JSON model's format", format));
  }
  const { layers, activation } = value as JsonModel;
  if (!Array.isArray(layers)) throw new DataError(expected("an array", "the JSON model's layers", layers));
  const hidden = layers.length > 1 ? [activation] : [];
  return modelOf(
    WHAT,
    {
      layers: layers.map((layer, i) => denseLayer(layer, `layers[${i}]`)),
      activation: oneActivation(WHAT, hidden, { relu: "relu", tanh: "tanh", step: "step" }),
    },
    place,
  );
}

function denseLayer(layer: unknown, path: string): Dense {
  const { inputs, outputs, weights, biases } = (layer ?? {}) as JsonLayer;
  const numbers = (values: unknown, count: number, at: string): readonly number[] => {
    if (
      !Array.isArray(values) ||
      values.length !== count ||
      !values.every((value) => typeof value === "number")
    )
      throw new DataError(expected(`${count} numbers`, `the JSON model's ${at}`, values));
    return values;
  };
  if (!Array.isArray(weights) || weights.length !== inputs)
    throw new DataError(expected(`${inputs} rows`, `the JSON model's ${path}.weights`, weights));
  const rows = weights.flatMap((row, i) => numbers(row, outputs, `${path}.weights[${i}]`));
  return {
    inputs,
    outputs,
    weights: Float32Array.from(rows),
    biases: Float32Array.from(numbers(biases, outputs, `${path}.biases`)),
  };
}
