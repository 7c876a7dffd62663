/**
 * A model as a safetensors file with PyTorch's names and orientation: what
 * `safetensors.torch.save_file(torch.nn.Sequential(Linear, ReLU, Linear, …).state_dict(), …)` writes.
 *
 *     0.weight (d_1 × d_0)  0.bias (d_1)  2.weight (d_2 × d_1)  2.bias (d_2)  …
 */
import { sourceOf } from "../disk.ts";
import { DataError, describe, expected, OptionError, typeName } from "../errors.ts";
import type { Model, ModelPlace } from "../model.ts";
import type { Activation } from "../network.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  FormatError,
  joined,
  type Tensor,
} from "../runs/safetensors.ts";
import { type Dense, denseOf, modelOf, oneActivation, transposed } from "./dense.ts";

const WHAT = "The safetensors model";
const ACTIVATIONS = { relu: "relu", tanh: "tanh", step: "step" } as const;

/** How `fromSafetensors` reads what the file may not say. */
export interface SafetensorsOptions extends ModelPlace {
  /** Of the hidden layers (default: what the file's metadata say, where this package wrote it). */
  readonly activation?: Activation;
}

/** A model's float32 parameters as the bytes of such a file. */
export function toSafetensors(model: Model): Uint8Array {
  const tensors = new Map<string, Tensor>();
  for (const [i, { inputs, outputs, weights, biases }] of denseOf(model).layers.entries()) {
    // Every other module of the Sequential is an activation.
    tensors.set(`${2 * i}.weight`, { shape: [outputs, inputs], data: transposed(weights, inputs, outputs) });
    tensors.set(`${2 * i}.bias`, { shape: [outputs], data: biases });
  }
  const { activation } = model.network;
  return joined(encodeSafetensors({ metadata: { format: "pt", activation }, tensors }));
}

/**
 * The model of such a file: each `NAME.weight` (outputs × inputs) with its `NAME.bias`, by the numbers in their names or
 * else by the order in which they fit each other.
 *
 * @param bytes of the whole file, in float32 or float64
 * @throws DataError that says what is wrong with it; OptionError where the activation is not known
 */
export function fromSafetensors(bytes: Uint8Array, options: SafetensorsOptions = {}): Model {
  const { activation, ...place } = options;
  const { metadata, tensors } = decoded(bytes);
  const names = [...tensors.keys()].filter((name) => /(^|\.)weight$/.test(name)).sort(byNumbers);
  const left = new Set(tensors.keys());
  const layers = names.map((name) => {
    const bias = name.replace(/weight$/, "bias");
    left.delete(name);
    left.delete(bias);
    return linear(name, tensors.get(name)!, tensors.get(bias));
  });
  if (left.size > 0)
    throw new DataError(
      `${WHAT} has ${describe([...left][0])}, which is no weight of a linear layer with its bias`,
    );
  const stated = activation ?? metadata.activation;
  if (stated === undefined && layers.length > 1) {
    throw new OptionError(
      expected(
        '"relu", "tanh" or "step"',
        "fromSafetensors.activation",
        stated,
        "a file of PyTorch's does not say which",
      ),
    );
  }
  const hidden = layers.length > 1 ? [stated!] : [];
  return modelOf(WHAT, { layers, activation: oneActivation(WHAT, hidden, ACTIVATIONS) }, place);
}

function decoded(bytes: Uint8Array) {
  if (typeName(bytes) !== "Uint8Array")
    throw new OptionError(expected("a Uint8Array", "fromSafetensors.bytes", bytes));
  try {
    return decodeSafetensors(sourceOf(bytes));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new DataError(`${WHAT} cannot be read: ${error.message}`, { cause: error });
  }
}

/** "fc2.weight" before "fc10.weight". */
const byNumbers = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });

function linear(name: string, weight: Tensor, bias: Tensor | undefined): Dense {
  const [outputs, inputs, ...more] = weight.shape;
  if (inputs === undefined || more.length > 0)
    throw new DataError(
      `${WHAT} has ${describe(name)} of shape ${weight.shape.join(" × ")}; a linear layer's has two`,
    );
  const data = Float32Array.from(weight.data);
  return {
    inputs,
    outputs,
    weights: transposed(data, outputs, inputs),
    biases: bias === undefined ? new Float32Array(outputs) : Float32Array.from(bias.data),
  };
}
