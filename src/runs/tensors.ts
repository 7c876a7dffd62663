/**
 * A network and vectors of its n parameters as tensors of a safetensors file: `layer-ℓ.weight` (d_{ℓ−1} × d_ℓ) and
 * `layer-ℓ.bias` (d_ℓ), ℓ = 1 … L, after a prefix; the network itself in the file's metadata.
 */
import type { Vector } from "../backends/backend.ts";
import { KINDS } from "../backends/description.ts";
import { describe } from "../errors.ts";
import {
  type Activation,
  layerShapes,
  type Network,
  PREDICTS,
  type Predicts,
  parameterCount,
} from "../network.ts";
import { FormatError, type Tensor } from "./safetensors.ts";

/** A network as metadata, which `networkOf` reads. */
export function networkMetadata({ layers, activation }: Network): { layers: string; activation: string } {
  return { layers: layers.join(" "), activation };
}

/** The same as metadata, which `predictsOf` reads; none for classes. */
export function predictsMetadata(predicts: Predicts = "classes"): Record<string, string> {
  return predicts === "classes" ? {} : { predicts };
}

/** @throws FormatError where it is none of them */
export function predictsOf({ predicts = "classes" }: Readonly<Record<string, string>>): Predicts {
  const known = PREDICTS.find((name) => name === predicts);
  if (known === undefined) throw new FormatError(`it predicts ${describe(predicts)}`);
  return known;
}

/** The network that metadata name. @throws FormatError where they name none */
export function networkOf({ layers = "", activation }: Readonly<Record<string, string>>): Network {
  const widths = layers.split(" ").map(Number);
  if (widths.length < 2 || !widths.every((width) => Number.isSafeInteger(width) && width > 0)) {
    throw new FormatError(`its layers are ${describe(layers)}`);
  }
  if (!KINDS.activation.includes(activation as Activation)) {
    throw new FormatError(`its activation is ${describe(activation)}`);
  }
  return { layers: widths, activation: activation as Activation };
}

/**
 * Joins the tensors of one vector, and removes them from `tensors`.
 *
 * @throws FormatError where one is missing, has another shape or type, or a number that is not finite
 */
export function takeVector(network: Network, prefix: string, tensors: Map<string, Tensor>): Vector {
  const first = tensors.get(`${prefix}layer-1.weight`);
  // The tensors come first: a wrong width must not make this reserve memory that the file does not fill.
  const entries = [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
  const count = parameterCount(network);
  if (!first || entries < count)
    throw new FormatError(`it lacks tensors of ${prefix || "the parameters, "}layer-1 …`);
  const vector = first.data.BYTES_PER_ELEMENT === 4 ? new Float32Array(count) : new Float64Array(count);
  for (const [name, { shape, data: place }] of layersOf(network, prefix, vector)) {
    const tensor = tensors.get(name);
    if (!tensor) throw new FormatError(`it lacks the tensor ${name}`);
    if (tensor.shape.join("×") !== shape.join("×")) {
      throw new FormatError(
        `tensor ${name} has shape ${tensor.shape.join("×")}; its network needs ${shape.join("×")}`,
      );
    }
    if (tensor.data.BYTES_PER_ELEMENT !== vector.BYTES_PER_ELEMENT)
      throw new FormatError(`tensor ${name} has another type`);
    const at = tensor.data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) throw new FormatError(`tensor ${name} has the value ${tensor.data[at]} at ${at}`);
    place.set(tensor.data);
    tensors.delete(name);
  }
  return vector;
}

/** Cuts a vector (n) into the tensors of its layers. */
export function* layersOf(
  network: Network,
  prefix: string,
  vector: Vector,
): Generator<[name: string, tensor: Tensor]> {
  for (const [index, { offset, rows, columns }] of layerShapes(network).entries()) {
    const biases = offset + (rows - 1) * columns;
    const layer = `${prefix}layer-${index + 1}`;
    yield [`${layer}.weight`, { shape: [rows - 1, columns], data: vector.subarray(offset, biases) }];
    yield [`${layer}.bias`, { shape: [columns], data: vector.subarray(biases, biases + columns) }];
  }
}
