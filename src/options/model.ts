/**
 * The checks of a model's options and rows.
 */
import type { Examples, Vector } from "../backends/backend.ts";
import { expected, OptionError, typeName } from "../errors.ts";
import { type Network, PREDICTS, parameterCount } from "../network.ts";
import { type CheckedLoss, checkExamples, checkInputs, checkVector } from "./arrays.ts";
import { checkNetwork } from "./network.ts";
import { machineShape } from "./schemas.ts";
import type { NetworkOptions } from "./types.ts";
import { checkedElsewhere, choice, object, optional, parse } from "./values.ts";

const modelSchema = object({
  ...machineShape,
  network: checkedElsewhere<NetworkOptions>(),
  parameters: checkedElsewhere<Vector>(),
  predicts: choice(PREDICTS),
});

/** @returns the options, their arrays copied */
export function checkModel(options: unknown) {
  const { backend, threads, ...given } = parse("Model", modelSchema, options);
  const { predicts } = given;
  const network = checkNetwork("Model.network", given.network, predicts === "classes" ? 2 : 1);
  const parameters = checkVector("Model.parameters", given.parameters, parameterCount(network)).slice();
  return { network, parameters, predicts, backend, threads };
}

/** Rows of numbers as one array: typed ones as they are, plain ones as floats. */
export function checkModelRows(path: string, rows: unknown, width: number): Uint8Array | Float32Array {
  const inputs = Array.isArray(rows) ? fromNumbers(path, rows, width) : checkInputs(path, rows, width);
  if (inputs.length === 0) throw new OptionError(expected("at least one row", path, rows));
  return inputs;
}

/** One row of numbers, or an array of rows. */
function fromNumbers(path: string, rows: readonly unknown[], width: number): Float32Array {
  const nested = rows.length > 0 && isList(rows[0]);
  const list = nested ? rows : [rows];
  const inputs = new Float32Array(list.length * width);
  for (const [i, row] of list.entries()) {
    const at = nested ? `${path}[${i}]` : path;
    if (!isList(row) || row.length !== width) {
      throw new OptionError(expected(`${width} numbers, the network's inputs,`, at, row));
    }
    for (let j = 0; j < width; j++) {
      const value = Math.fround(row[j] as number);
      if (typeof row[j] !== "number" || !Number.isFinite(value)) {
        throw new OptionError(expected("a number that is finite in float32", `${at}[${j}]`, row[j]));
      }
      inputs[i * width + j] = value;
    }
  }
  return inputs;
}

const isList = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || ["Float32Array", "Float64Array"].includes(typeName(value));

const sizes = {
  count: optional(checkedElsewhere<number>()),
  width: optional(checkedElsewhere<number>()),
};
const rowsSchemas = {
  labels: object({
    inputs: checkedElsewhere<unknown>(),
    labels: checkedElsewhere<unknown>(),
    ...sizes,
    classes: optional(checkedElsewhere<number>()),
  }),
  targets: object({
    inputs: checkedElsewhere<unknown>(),
    targets: checkedElsewhere<unknown>(),
    ...sizes,
    outputs: optional(checkedElsewhere<number>()),
  }),
};

const BY_LABELS: CheckedLoss = { loss: { kind: "cross-entropy" }, answers: "labels", smoothing: 0 };

/**
 * Rows for a network with what its loss reads, labels or targets; a dataset has its sizes beside them, which must be those
 * of its arrays and of the network.
 */
export function checkRowsOf(path: string, value: unknown, network: Network, loss = BY_LABELS): Examples {
  const given: Record<string, unknown> = parse(path, rowsSchemas[loss.answers], value);
  const examples = checkExamples(path, given as unknown as Examples, network, loss);
  const { layers } = network;
  const last = layers[layers.length - 1];
  const found = {
    count: examples.inputs.length / layers[0],
    width: layers[0],
    ...(loss.answers === "labels" ? { classes: last } : { outputs: last }),
  };
  for (const [name, size] of Object.entries(found)) {
    if (given[name] === undefined || given[name] === size) continue;
    const whose = name === "count" ? `as many as ${loss.answers}` : "as the network has";
    throw new OptionError(expected(`${size}, ${whose},`, `${path}.${name}`, given[name]));
  }
  return examples;
}
