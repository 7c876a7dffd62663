/**
 * A model as ONNX, which onnxruntime and many other programs run.
 *
 *     rows ─ Gemm ─ Relu ─ Gemm ─ … ─ Gemm ─▶ outputs ─ Softmax ─▶ probabilities
 *
 * A step is Greater than 0 and a Cast.
 */
import { DataError, describe, expected, OptionError, typeName } from "../errors.ts";
import type { Model, ModelPlace } from "../model.ts";
import { packageVersion } from "../runs/files.ts";
import { type Dense, denseOf, modelOf, oneActivation, transposed } from "./dense.ts";
import { decodeOnnx, encodeOnnx, type OnnxGraph, type OnnxNode, type OnnxTensor } from "./onnx-file.ts";

const WHAT = "The ONNX model";
const ACTIVATIONS = { Relu: "relu", Tanh: "tanh", Greater: "step" } as const;

/**
 * A model as the bytes of an ONNX file (operators of version 13). In: `rows` (rows × d_0), float32; a row of bytes is
 * given divided by 255. Out: `outputs`, the last layer's, and `probabilities`, their softmax, both rows × classes.
 */
export function toOnnx(model: Model): Uint8Array {
  const { layers, activation } = denseOf(model);
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const node = (
    operator: string,
    inputs: string[],
    output: string,
    attributes: OnnxNode["attributes"] = {},
  ) => {
    nodes.push({ operator, inputs, outputs: [output], attributes });
    return output;
  };
  let values = "rows";
  for (const [i, { inputs, outputs, weights, biases }] of layers.entries()) {
    const name = `layer-${i + 1}`;
    initializers.push({ name: `${name}.weight`, shape: [inputs, outputs], values: weights });
    initializers.push({ name: `${name}.bias`, shape: [outputs], values: biases });
    const last = i === layers.length - 1;
    values = node("Gemm", [values, `${name}.weight`, `${name}.bias`], last ? "outputs" : `${name}.before`);
    if (last) break;
    if (activation === "step") {
      if (i === 0) initializers.push({ name: "zero", shape: [1], values: new Float32Array(1) });
      const positive = node("Greater", [values, "zero"], `${name}.positive`);
      values = node("Cast", [positive], `${name}.after`, { to: 1 });
    } else {
      values = node(activation === "tanh" ? "Tanh" : "Relu", [values], `${name}.after`);
    }
  }
  node("Softmax", [values], "probabilities", { axis: -1 });
  const classes = layers[layers.length - 1].outputs;
  return encodeOnnx(
    { nodes, initializers, metadata: {} },
    { name: "rows", columns: layers[0].inputs },
    [
      { name: "outputs", columns: classes },
      { name: "probabilities", columns: classes },
    ],
    ["local-entropy", packageVersion()],
  );
}

/**
 * The model of an ONNX file, where it is a dense network: one chain of Gemm, or MatMul and Add, with one activation
 * between them (Relu, Tanh, or Greater than 0 and Cast), and perhaps a Softmax at its end.
 *
 * @param bytes of the file, its parameters in it and in float32
 * @param place where the model is to compute
 * @throws DataError that says which node is none of a dense network's
 */
export function fromOnnx(bytes: Uint8Array, place: ModelPlace = {}): Model {
  if (typeName(bytes) !== "Uint8Array")
    throw new OptionError(expected("a Uint8Array", "fromOnnx.bytes", bytes));
  const graph = decodeOnnx(bytes);
  const constants = constantsOf(graph);
  const layers: Dense[] = [];
  const activations: string[] = [];
  let ended = false;
  for (const node of chainOf(graph, constants)) {
    const { operator } = node;
    if (ended) throw new DataError(`${WHAT} goes on with ${operator} after Softmax`);
    if (operator === "Gemm") layers.push(ofGemm(node, constants));
    else if (operator === "MatMul") layers.push(ofMatMul(node, constants));
    else if (operator === "Add") addBiases(layers, node, constants, activations.length);
    else if (Object.hasOwn(ACTIVATIONS, operator)) {
      if (operator === "Greater") requireZero(node, constants);
      activations.push(operator);
    } else if (operator === "Softmax") ended = true;
    else if (!PASSED.has(operator))
      throw new DataError(`${WHAT} has the operator ${describe(operator)}, which no dense network has here`);
  }
  if (activations.length !== layers.length - 1) {
    throw new DataError(
      `${WHAT} has ${layers.length} dense layers and ${activations.length} activations; here one stands between two layers`,
    );
  }
  return modelOf(WHAT, { layers, activation: oneActivation(WHAT, activations, ACTIVATIONS) }, place);
}

/** They change no number of a row. */
const PASSED: ReadonlySet<string> = new Set(["Cast", "Dropout", "Flatten", "Identity", "Reshape"]);

function constantsOf({ nodes, initializers }: OnnxGraph): ReadonlyMap<string, OnnxTensor> {
  const constants = new Map(initializers.map((tensor) => [tensor.name, tensor]));
  for (const { operator, outputs, attributes } of nodes) {
    const { value } = attributes;
    if (operator === "Constant" && typeof value === "object") constants.set(outputs[0], value);
  }
  return constants;
}

/** The nodes from the rows on, each that reads what the one before wrote: the way of the classes, where others branch off. */
function* chainOf(graph: OnnxGraph, constants: ReadonlyMap<string, OnnxTensor>): Generator<OnnxNode> {
  const rows = graph.inputs.filter((name) => !constants.has(name));
  if (rows.length !== 1) throw new DataError(`${WHAT} has ${rows.length} inputs; a dense network has one`);
  let [values] = rows;
  for (let passed = 0; ; passed++) {
    if (passed > graph.nodes.length)
      throw new DataError(`${WHAT} goes round in a circle at ${describe(values)}`);
    const readers = graph.nodes.filter(
      ({ inputs, operator }) => inputs.includes(values) && !SIDE.has(operator),
    );
    if (readers.length === 0) return;
    if (readers.length > 1) {
      const names = readers.map(({ operator }) => operator).join(" and ");
      throw new DataError(`${WHAT} branches into ${names}; here is one chain of layers`);
    }
    yield readers[0];
    values = readers[0].outputs[0];
  }
}

/** They read what the network says and change nothing of it. */
const SIDE: ReadonlySet<string> = new Set(["ArgMax", "Shape"]);

function matrixOf(
  node: OnnxNode,
  place: number,
  dimensions: number,
  constants: ReadonlyMap<string, OnnxTensor>,
): OnnxTensor & { values: Float32Array } {
  const name = node.inputs[place];
  const tensor = constants.get(name);
  if (tensor === undefined || tensor.values === null || tensor.shape.length !== dimensions) {
    const found =
      tensor === undefined
        ? "something computed"
        : tensor.values === null
          ? "numbers of another type"
          : `a shape of ${tensor.shape.join(" × ")}`;
    throw new DataError(
      `${WHAT} has ${found} for ${describe(name)} of ${node.operator}; here it is a float32 array of ${dimensions} dimensions`,
    );
  }
  return tensor as OnnxTensor & { values: Float32Array };
}

function ofGemm(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>): Dense {
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = node.attributes;
  if (alpha !== 1 || beta !== 1 || transA !== 0)
    throw new DataError(
      `${WHAT} has a Gemm with alpha ${alpha}, beta ${beta}, transA ${transA}; here they are 1, 1 and 0`,
    );
  const { shape, values } = matrixOf(node, 1, 2, constants);
  const [inputs, outputs] = transB ? [shape[1], shape[0]] : shape;
  const biases = node.inputs[2] ? matrixOf(node, 2, 1, constants).values : new Float32Array(outputs);
  return { inputs, outputs, weights: transB ? transposed(values, outputs, inputs) : values, biases };
}

function ofMatMul(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>): Dense {
  const { shape, values } = matrixOf(node, 1, 2, constants);
  return { inputs: shape[0], outputs: shape[1], weights: values, biases: new Float32Array(shape[1]) };
}

function addBiases(
  layers: Dense[],
  node: OnnxNode,
  constants: ReadonlyMap<string, OnnxTensor>,
  activations: number,
): void {
  const place = constants.has(node.inputs[1]) ? 1 : 0;
  const { values } = matrixOf(node, place, 1, constants);
  const last = layers.length - 1;
  if (last !== activations) throw new DataError(`${WHAT} has an Add that follows no MatMul`);
  layers[last] = { ...layers[last], biases: values };
}

function requireZero(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>): void {
  const bound = constants.get(node.inputs[1])?.values;
  if (bound?.length !== 1 || bound[0] !== 0)
    throw new DataError(`${WHAT} has a Greater than something else than 0`);
}
