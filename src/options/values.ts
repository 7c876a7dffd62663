/**
 * The checks that all options share: a schema's faults as one sentence, numbers, networks, losses, arrays, rows.
 *
 * A leaf of a schema carries its range in words; `parse` puts range, path and value together.
 */
import { z } from "zod";
import type { Examples, Loss, Vector } from "../backends/backend.ts";
import { expected, OptionError, typeName } from "../errors.ts";
import { type Activation, type Network, parameterCount } from "../network.ts";
import type { Schedule } from "../schedules.ts";
import type { NetworkOptions } from "./types.ts";

// Leaves. `range` completes "Expected <range> for …".

export function leaf<Type>(range: string, allows: (value: unknown) => boolean) {
  return z.custom<Type>(allows, range);
}

export function integer(low: number, high: number) {
  const allows = (v: unknown) => Number.isSafeInteger(v) && (v as number) >= low && (v as number) <= high;
  return leaf<number>(`an integer ${low} … ${high}`, allows);
}

export function number(range: string, allows: (value: number) => boolean) {
  return leaf<number>(range, (v) => typeof v === "number" && Number.isFinite(v) && allows(v));
}

export const positive = () => number("a finite number above 0", (v) => v > 0);
export const notNegative = () => number("a finite number, 0 or more,", (v) => v >= 0);

export function choice<const Name extends string>(...names: Name[]) {
  return leaf<Name>(quoted(names), (v) => names.includes(v as Name));
}

/**
 * A key whose value another function checks, under the same path, its absence too. Absent values pass here, though
 * the type says otherwise: what checks them takes anything.
 */
export function checkedElsewhere<Type>() {
  return z.custom<Type>(() => true).optional() as unknown as z.ZodCustom<Type, Type>;
}

export const flag = () => leaf<boolean>("true or false", (v) => typeof v === "boolean");

export const schedule = () =>
  leaf<Schedule>("a number or a schedule", (v) => typeof v === "number" || typeof v === "function");

export const seed = () =>
  leaf<number | bigint>("an integer 0 … 2^53 - 1, or a bigint 0n … 2n ** 64n - 1n,", (v) =>
    typeof v === "bigint" ? v >= 0n && v < 2n ** 64n : Number.isSafeInteger(v) && (v as number) >= 0,
  );

/** A word of Philox's counter. */
export const word = () => integer(0, 2 ** 32 - 1);

export const signal = () =>
  leaf<AbortSignal>("an AbortSignal", (v) => {
    const { aborted, addEventListener } = (v ?? {}) as Partial<AbortSignal>;
    return typeof aborted === "boolean" && typeof addEventListener === "function";
  }).optional();

/** "a", "b" or "c", in quotes. */
export function quoted(names: readonly string[]): string {
  const all = names.map((name) => `"${name}"`);
  return all.length === 1 ? all[0] : `${all.slice(0, -1).join(", ")} or ${all[all.length - 1]}`;
}

/** An object of these keys and no others; the error carries the keys, for `parse` to find the nearest. */
export function object<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: ({ code }) =>
      code === "unrecognized_keys"
        ? Object.keys(shape).join(" ")
        : `an object with ${Object.keys(shape).join(", ")}`,
  });
}

/** What `schema` makes of `value`, or one sentence about its first fault; unknown keys come first. */
export function parse<Schema extends z.ZodType>(
  root: string,
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  let path = root;
  let received = value;
  for (const key of issue.path) {
    path += typeof key === "number" ? `[${key}]` : `.${String(key)}`;
    received = (received as Record<PropertyKey, unknown> | null | undefined)?.[key];
  }
  if (issue.code !== "unrecognized_keys") throw new OptionError(expected(issue.message, path, received));
  const [key] = issue.keys;
  const names = issue.message.split(" ");
  const near = nearest(key, names);
  const advice = near ? `did you mean ${near}?` : `allowed are ${names.join(", ")}`;
  throw new OptionError(`Unknown option ${path}.${key}; ${advice}`);
}

/** The name that is at most a third of its letters away from `key`, if there is one. */
export function nearest(key: string, names: readonly string[]): string | undefined {
  const distances = names.map((name) => editDistance(key.toLowerCase(), name.toLowerCase()));
  const best = distances.indexOf(Math.min(...distances));
  return distances[best] <= names[best]?.length / 3 ? names[best] : undefined;
}

/** Levenshtein's distance: insertions, deletions and replacements from a to b. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

// Networks and losses.

/** Largest width but the last, and number of parameters: what arrays and counters hold with room to spare. */
const LARGEST_WIDTH = 2 ** 24;
const LARGEST_CLASSES = 2 ** 16;
const MOST_PARAMETERS = 2 ** 30;

const networkSchema = object({
  layers: leaf<readonly number[]>("an array of widths, inputs first and classes last,", Array.isArray),
  activation: choice("relu", "tanh", "step").default("relu"),
});

/** @returns the network, its layers copied */
export function checkNetwork(path: string, value: NetworkOptions | unknown): Network {
  const bare = Array.isArray(value);
  if (!bare && (typeof value !== "object" || value === null)) {
    throw new OptionError(
      expected("an array of widths, or { layers, activation },", path, value, "for example [784, 200, 10]"),
    );
  }
  const network: { layers: readonly number[]; activation: Activation } = parse(
    path,
    networkSchema,
    bare ? { layers: value } : value,
  );
  const at = bare ? path : `${path}.layers`;
  if (network.layers.length < 2) throw new OptionError(expected("at least two widths", at, network.layers));
  const layers = Array.from(network.layers, (width, i) => {
    const [low, high] = i === network.layers.length - 1 ? [2, LARGEST_CLASSES] : [1, LARGEST_WIDTH];
    return parse(`${at}[${i}]`, integer(low, high), width);
  });
  const checked = { layers, activation: network.activation };
  const count = parameterCount(checked);
  if (count > MOST_PARAMETERS) {
    throw new OptionError(
      expected(`at most ${MOST_PARAMETERS} parameters in all`, at, count, "use smaller widths"),
    );
  }
  return checked;
}

const costMatrixSchema = object({
  kind: choice("cost-matrix"),
  costs: leaf<readonly (readonly number[])[]>("an array of rows", Array.isArray),
});

/** Zero-one is the cost matrix 1 − I. `classes`: d_L. */
export function checkLoss(path: string, value: unknown, classes: number): Loss {
  if (value === undefined || value === "cross-entropy") return { kind: "cross-entropy" };
  if (value === "zero-one") {
    const costs = new Float64Array(classes * classes).fill(1);
    for (let c = 0; c < classes; c++) costs[c * classes + c] = 0;
    return { kind: "cost-matrix", costs };
  }
  if (typeof value !== "object" || value === null) {
    throw new OptionError(
      expected('"cross-entropy", "zero-one" or { kind: "cost-matrix", costs }', path, value),
    );
  }
  const rows: unknown[] = [...parse(path, costMatrixSchema, value).costs];
  if (rows.length !== classes) {
    throw new OptionError(expected(`${classes} rows, one a class,`, `${path}.costs`, rows));
  }
  const costs = rows.flatMap((row, label) => [...checkNumbers(`${path}.costs[${label}]`, row, classes)]);
  return { kind: "cost-matrix", costs: Float64Array.from(costs) };
}

/** Says which part has no useful gradient, to an estimator that needs one. */
export function refuseWithoutGradient(root: string, who: string, network: Network, loss: Loss): void {
  const advice = `${who} needs gradients: use the estimator "importance-sampling", which does not`;
  if (network.activation === "step") {
    throw new OptionError(expected('"relu" or "tanh"', `${root}.network.activation`, "step", advice));
  }
  if (loss.kind !== "cross-entropy") {
    throw new OptionError(
      `Expected "cross-entropy" for ${root}.loss but received a loss without a gradient (zero-one or a cost matrix); ${advice}`,
    );
  }
}

// Arrays.

/** A typed array of one of these types and, where given, of this length, that is still there. */
export function checkArray<Type extends ArrayBufferView & ArrayLike<number>>(
  path: string,
  value: unknown,
  types: readonly string[],
  length?: number,
): Type {
  const range = `a ${types.join(" or ")}`;
  const whole = length === undefined ? range : `${range} of length ${length}`;
  if (!types.includes(typeName(value))) throw new OptionError(expected(whole, path, value));
  const array = value as Type;
  if (isDetached(array.buffer)) {
    throw new OptionError(
      `Expected ${whole} for ${path} but received one whose buffer was transferred away; pass a copy of it`,
    );
  }
  if (length !== undefined && array.length !== length) throw new OptionError(expected(whole, path, value));
  return array;
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** Parameters and the like: `length` finite numbers. */
export function checkVector(path: string, value: unknown, length: number): Vector {
  const vector = checkArray<Vector>(path, value, ["Float32Array", "Float64Array"], length);
  for (let i = 0; i < length; i++) requireFinite(`${path}[${i}]`, vector[i]);
  return vector;
}

/** A plain or typed array of finite numbers. @returns a Float64Array copy, of `length` where given */
export function checkNumbers(path: string, value: unknown, length?: number): Float64Array {
  const range = length === undefined ? "an array of numbers" : `an array of ${length} numbers`;
  const isArray = Array.isArray(value) || ["Float32Array", "Float64Array"].includes(typeName(value));
  if (!isArray || (length !== undefined && (value as ArrayLike<number>).length !== length)) {
    throw new OptionError(expected(range, path, value));
  }
  if (!Array.isArray(value)) checkArray(path, value, [typeName(value)]);
  const numbers = Array.from(value as ArrayLike<unknown>);
  numbers.forEach((entry, i) => {
    requireFinite(`${path}[${i}]`, entry);
  });
  return Float64Array.from(numbers as number[]);
}

function requireFinite(path: string, value: unknown, advice = ""): void {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new OptionError(expected("a finite number", path, value, advice));
  }
}

/** Inputs of rows of this width: bytes, or finite floats. */
export function checkInputs(path: string, value: unknown, width: number, count?: number) {
  const inputs = checkArray<Uint8Array | Float32Array>(path, value, ["Uint8Array", "Float32Array"]);
  const fits = count === undefined ? inputs.length % width === 0 : inputs.length === count * width;
  if (!fits) {
    const range =
      count === undefined
        ? `a multiple of ${width} numbers`
        : `${count} × ${width} = ${count * width} numbers`;
    throw new OptionError(expected(range, path, inputs, `a row has the network's ${width} inputs`));
  }
  if (typeName(inputs) === "Float32Array") {
    for (let i = 0; i < inputs.length; i++) {
      if (Number.isFinite(inputs[i])) continue;
      requireFinite(`${path}[${i}]`, inputs[i], `row ${Math.floor(i / width)}, column ${i % width}`);
    }
  }
  return inputs;
}

/** Rows for a network: as many inputs as labels, each label a class. Labels come out as 16-bit numbers. */
export function checkSamples(
  path: string,
  value: { inputs: unknown; labels: unknown },
  network: Network,
): Examples {
  const classes = network.layers[network.layers.length - 1];
  const given = checkArray<Uint8Array | Uint16Array>(`${path}.labels`, value.labels, [
    "Uint8Array",
    "Uint16Array",
  ]);
  if (given.length === 0) throw new OptionError(expected("at least one row", `${path}.labels`, given));
  const inputs = checkInputs(`${path}.inputs`, value.inputs, network.layers[0], given.length);
  for (let i = 0; i < given.length; i++) {
    if (given[i] < classes) continue;
    const advice = `row ${i} has a class that the network, of ${classes} classes, lacks`;
    throw new OptionError(
      expected(`an integer 0 … ${classes - 1}`, `${path}.labels[${i}]`, given[i], advice),
    );
  }
  return {
    inputs,
    labels: typeName(given) === "Uint16Array" ? (given as Uint16Array) : Uint16Array.from(given),
  };
}
