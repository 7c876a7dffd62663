/**
 * The parts of ONNX's protocol buffers that a dense network needs (onnx.proto, IR version 8): graphs of nodes, float32
 * initializers, and the names of what goes in and comes out.
 */
import { PbfReader, PbfWriter } from "pbf";
import { DataError } from "../errors.ts";
import { bytesOf, floatsOf } from "./dense.ts";

/** A tensor of numbers; whole ones are numbers too. */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Null of a type that no dense network has. */
  readonly values: Float32Array | null;
}

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whole numbers, numbers and tensors by name. */
  readonly attributes: Readonly<Record<string, number | OnnxTensor>>;
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  /** Names; those of initializers may be among them. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The model's metadata. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What goes in or comes out: a name, and how many columns each of its rows has. */
export interface OnnxValue {
  readonly name: string;
  readonly columns: number;
}

const FLOAT = 1;
/** Types of an attribute. */
const ATTRIBUTE = { float: 1, int: 2 } as const;
const IR_VERSION = 8;
/** Of the operators: the first with Gemm, Softmax and Greater as they still are. */
const OPERATORS = 13;

// Writing.

function writeTensor({ name, shape, values }: OnnxTensor, to: PbfWriter): void {
  to.writePackedVarint(1, [...shape]);
  to.writeVarintField(2, FLOAT);
  to.writeStringField(8, name);
  to.writeBytesField(9, bytesOf(values!));
}

function writeNode({ operator, inputs, outputs, attributes }: OnnxNode, to: PbfWriter): void {
  for (const input of inputs) to.writeStringField(1, input);
  for (const output of outputs) to.writeStringField(2, output);
  to.writeStringField(3, `${operator}:${outputs[0]}`);
  to.writeStringField(4, operator);
  for (const [name, value] of Object.entries(attributes)) {
    to.writeMessage(
      5,
      (_: null, attribute: PbfWriter) => {
        attribute.writeStringField(1, name);
        attribute.writeVarintField(3, value as number);
        attribute.writeVarintField(20, ATTRIBUTE.int);
      },
      null,
    );
  }
}

function writeValue({ name, columns }: OnnxValue, to: PbfWriter): void {
  to.writeStringField(1, name);
  const dimensions = (_: null, shape: PbfWriter) => {
    shape.writeMessage(1, (_: null, dimension: PbfWriter) => dimension.writeStringField(2, "rows"), null);
    shape.writeMessage(1, (_: null, dimension: PbfWriter) => dimension.writeVarintField(1, columns), null);
  };
  const tensor = (_: null, type: PbfWriter) => {
    type.writeVarintField(1, FLOAT);
    type.writeMessage(2, dimensions, null);
  };
  to.writeMessage(2, (_: null, type: PbfWriter) => type.writeMessage(1, tensor, null), null);
}

/** The bytes of a model of one graph. */
export function encodeOnnx(
  { nodes, initializers, metadata }: Omit<OnnxGraph, "inputs" | "outputs">,
  input: OnnxValue,
  outputs: readonly OnnxValue[],
  producer: readonly [name: string, version: string],
): Uint8Array {
  const file = new PbfWriter();
  file.writeVarintField(1, IR_VERSION);
  file.writeStringField(2, producer[0]);
  file.writeStringField(3, producer[1]);
  const graph = (_: null, to: PbfWriter) => {
    for (const node of nodes) to.writeMessage(1, writeNode, node);
    to.writeStringField(2, "network");
    for (const tensor of initializers) to.writeMessage(5, writeTensor, tensor);
    to.writeMessage(11, writeValue, input);
    for (const output of outputs) to.writeMessage(12, writeValue, output);
  };
  file.writeMessage(7, graph, null);
  file.writeMessage(8, (_: null, to: PbfWriter) => to.writeVarintField(2, OPERATORS), null);
  for (const [key, value] of Object.entries(metadata)) {
    const entry = (_: null, to: PbfWriter) => {
      to.writeStringField(1, key);
      to.writeStringField(2, value);
    };
    file.writeMessage(14, entry, null);
  }
  return file.finish();
}

// Reading: a field that is not named is left out.

type Fields = Record<number, (from: PbfReader) => void>;

function readFields(from: PbfReader, fields: Fields, message = true): void {
  const read = (tag: number) => fields[tag]?.(from);
  if (message) from.readMessage(read, undefined);
  else from.readFields(read, undefined);
}

function readTensor(from: PbfReader): OnnxTensor {
  const shape: number[] = [];
  const floats: number[] = [];
  let [name, type] = ["", 0];
  let raw: Uint8Array | null = null;
  readFields(from, {
    1: () => from.readPackedVarint(shape),
    2: () => {
      type = from.readVarint();
    },
    4: () => from.readPackedFloat(floats),
    8: () => {
      name = from.readString();
    },
    9: () => {
      raw = from.readBytes();
    },
  });
  if (type !== FLOAT) return { name, shape, values: null };
  const values = raw === null ? Float32Array.from(floats) : floatsOf(raw);
  const entries = shape.reduce((product, size) => product * size, 1);
  if (values.length !== entries) {
    throw new DataError(
      `The ONNX model's tensor "${name}" has ${values.length} numbers for a shape of ${shape.join(" × ")}; data outside of the file is not read`,
    );
  }
  return { name, shape, values };
}

function readNode(from: PbfReader): OnnxNode {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes: Record<string, number | OnnxTensor> = {};
  let operator = "";
  const attribute = () => {
    let name = "";
    let value: number | OnnxTensor | null = null;
    readFields(from, {
      1: () => {
        name = from.readString();
      },
      2: () => {
        value = from.readFloat();
      },
      3: () => {
        value = from.readVarint(true);
      },
      5: () => {
        value = readTensor(from);
      },
    });
    if (value !== null) attributes[name] = value;
  };
  readFields(from, {
    1: () => inputs.push(from.readString()),
    2: () => outputs.push(from.readString()),
    4: () => {
      operator = from.readString();
    },
    5: attribute,
  });
  return { operator, inputs, outputs, attributes };
}

function readName(from: PbfReader): string {
  let name = "";
  readFields(from, {
    1: () => {
      name = from.readString();
    },
  });
  return name;
}

/** @throws DataError where the bytes are no ONNX model */
export function decodeOnnx(bytes: Uint8Array): OnnxGraph {
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const metadata: Record<string, string> = {};
  const from = new PbfReader(bytes);
  const graph = () =>
    readFields(from, {
      1: () => nodes.push(readNode(from)),
      5: () => initializers.push(readTensor(from)),
      11: () => inputs.push(readName(from)),
      12: () => outputs.push(readName(from)),
    });
  const entry = () => {
    let [key, value] = ["", ""];
    readFields(from, {
      1: () => {
        key = from.readString();
      },
      2: () => {
        value = from.readString();
      },
    });
    metadata[key] = value;
  };
  try {
    readFields(from, { 7: graph, 14: entry }, false);
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(`The ONNX model cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (nodes.length === 0)
    throw new DataError("The ONNX model has no nodes: these bytes are no ONNX model, or an empty one");
  return { nodes, initializers, inputs, outputs, metadata };
}
