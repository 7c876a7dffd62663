/**
 * The checks of arrays and of rows of data. What an array is goes by its tag, so that another realm's pass.
 */
import type { Examples, Loss, Vector } from "../backends/backend.ts";
import { BackendError, expected, OptionError, typeName } from "../errors.ts";
import type { Network } from "../network.ts";
import { FLOAT32, type Precision } from "./precision.ts";

/** A typed array of one of these types and, where given, of this length, that is still there. */
export function checkArray<Type extends ArrayBufferView & ArrayLike<number>>(
  path: string,
  value: unknown,
  types: readonly string[],
  length?: number,
): Type {
  const range = `a ${types.join(" or ")}`;
  const whole = length === undefined ? range : `${range} of length ${length}`;
  if (!types.includes(typeName(value))) {
    throw new OptionError(expected(whole, path, value, conversion(path, value, types)));
  }
  const array = value as Type;
  if (isDetached(array.buffer)) {
    throw new OptionError(
      `Expected ${whole} for ${path} but received one whose buffer was transferred away; pass a copy of it`,
    );
  }
  if (length !== undefined && array.length !== length) throw new OptionError(expected(whole, path, value));
  return array;
}

/** The line that makes one of these types of rows, numbers or names; nothing where it is not that simple. */
function conversion(path: string, value: unknown, types: readonly string[]): string {
  const name = path.slice(path.lastIndexOf(".") + 1);
  const type = types.includes("Float32Array") ? "Float32Array" : types[0];
  if (ArrayBuffer.isView(value) && "length" in value) return `${type}.from(${name}) makes it one`;
  if (!Array.isArray(value)) return "";
  const [first] = value;
  if (typeof first === "number") return `${type}.from(${name}) makes it one`;
  if (typeof first === "string") {
    return (
      `number the names: const names = [...new Set(${name})].sort(), ${type}.from(${name}, (name) => names.indexOf(name)); ` +
      "or let table of local-entropy/table do it"
    );
  }
  return Array.isArray(first) || ArrayBuffer.isView(first)
    ? `${type}.from(${name}.flatMap((row) => [...row])) makes it one`
    : "";
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** Parameters and the like: `length` numbers that are finite in float32. */
export function checkVector(path: string, value: unknown, length: number): Vector {
  const vector = checkArray<Vector>(path, value, ["Float32Array", "Float64Array"], length);
  requireAllFinite(path, vector, typeName(vector) === "Float64Array" ? FLOAT32 : null);
  return vector;
}

/** A plain or typed array of numbers finite in `precision`. @returns a Float64Array copy, of `length` where given */
export function checkNumbers(
  path: string,
  value: unknown,
  length?: number,
  precision: Precision = FLOAT32,
): Float64Array {
  const range = length === undefined ? "an array of numbers" : `an array of ${length} numbers`;
  const isArray = Array.isArray(value) || ["Float32Array", "Float64Array"].includes(typeName(value));
  if (!isArray || (length !== undefined && (value as ArrayLike<number>).length !== length)) {
    throw new OptionError(expected(range, path, value));
  }
  if (!Array.isArray(value)) checkArray(path, value, [typeName(value)]);
  const numbers = Array.from(value as ArrayLike<unknown>);
  requireAllFinite(path, numbers, precision);
  return Float64Array.from(numbers as number[]);
}

/**
 * Names the first entry that is no finite number, or none in a `precision` that its array does not have; `advice` may
 * say more of its place.
 */
function requireAllFinite(
  path: string,
  values: ArrayLike<unknown>,
  precision: Precision | null,
  advice = (_: number) => "",
): void {
  const largest = precision?.largest ?? Number.MAX_VALUE;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === "number" && value <= largest && value >= -largest) continue;
    const range = Number.isFinite(value)
      ? `a number that is finite in ${precision?.name} (at most ${largest.toPrecision(3)} in size)`
      : "a finite number";
    throw new OptionError(expected(range, `${path}[${i}]`, value, advice(i)));
  }
}

/** What a check leaves in the place of an array whose type and length are right: itself, or a copy. */
type Take = <Type extends Uint8Array | Uint16Array | Float32Array>(path: string, array: Type) => Type;

const itself: Take = (_path, array) => array;

/** A copy in a buffer of its own, an array of this realm. */
export const copied: Take = (path, array) => {
  const types = { Uint8Array, Uint16Array, Float32Array };
  try {
    return new types[typeName(array) as keyof typeof types](array) as typeof array;
  } catch (cause) {
    const what = `a copy of ${path}, of ${array.byteLength} bytes`;
    throw new BackendError(`The machine has not enough memory for ${what}; pass fewer rows`, { cause });
  }
};

/** Inputs of rows of this width: bytes, or finite floats. What is there is checked in what `take` leaves. */
export function checkInputs(path: string, value: unknown, width: number, count?: number, take = itself) {
  const given = checkArray<Uint8Array | Float32Array>(path, value, ["Uint8Array", "Float32Array"]);
  const fits = count === undefined ? given.length % width === 0 : given.length === count * width;
  if (!fits) {
    const range =
      count === undefined
        ? `a multiple of ${width} numbers`
        : `${count} × ${width} = ${count * width} numbers`;
    throw new OptionError(expected(range, path, given, `a row has the network's ${width} inputs`));
  }
  const inputs = take(path, given);
  if (typeName(inputs) === "Float32Array") {
    requireAllFinite(path, inputs, null, (i) => `row ${Math.floor(i / width)}, column ${i % width}`);
  }
  return inputs;
}

/** What rows of data have beside their inputs. */
export type Answers = "labels" | "targets";

/** A loss in the seam's words, and what it takes of the data that it was checked for. */
export interface CheckedLoss {
  readonly loss: Loss;
  readonly answers: Answers;
  /** Part of a row's probability that is spread over all classes. */
  readonly smoothing: number;
}

/** What stands in rows of data, before it is checked. */
interface GivenRows {
  readonly inputs: unknown;
  readonly labels?: unknown;
  readonly targets?: unknown;
}

/**
 * Rows for a network, with what its loss reads: as many labels as rows, each a class, or d_L targets a row. Labels come
 * out as 16-bit numbers; of targets that are probabilities of classes they are the class of the first largest.
 *
 * @param take by default the caller's arrays stay its own; `copied` makes both copies, before what is in them is checked
 */
export function checkExamples(
  path: string,
  value: GivenRows,
  network: Network,
  { loss, answers, smoothing }: CheckedLoss,
  take = itself,
): Examples {
  const outputs = network.layers[network.layers.length - 1];
  if (answers === "labels") {
    const rows = checkLabelled(path, value, network, take);
    if (loss.kind !== "soft-cross-entropy") return rows;
    const targets = Float32Array.from({ length: rows.labels.length * outputs }, (_, i) => {
      const own = rows.labels[Math.floor(i / outputs)] === i % outputs ? 1 : 0;
      return (1 - smoothing) * own + smoothing / outputs;
    });
    return { ...rows, targets };
  }
  const given = checkArray<Float32Array>(`${path}.targets`, value.targets, ["Float32Array"]);
  if (given.length === 0 || given.length % outputs !== 0) {
    const range = `a multiple of ${outputs} numbers, at least one row,`;
    throw new OptionError(
      expected(range, `${path}.targets`, given, `a row has the network's ${outputs} outputs`),
    );
  }
  const count = given.length / outputs;
  const inputs = checkInputs(`${path}.inputs`, value.inputs, network.layers[0], count, take);
  const targets = take(`${path}.targets`, given);
  checkTargets(`${path}.targets`, targets, outputs, loss);
  if (loss.kind !== "soft-cross-entropy") return { inputs, labels: new Uint16Array(0), targets };
  const labels = Uint16Array.from({ length: count }, (_, b) => firstLargest(targets, b * outputs, outputs));
  const smoothed = smoothing > 0 ? targets.map((t) => (1 - smoothing) * t + smoothing / outputs) : targets;
  return { inputs, labels, targets: smoothed };
}

/** Names the first target that the loss has no use for. */
function checkTargets(path: string, targets: Float32Array, outputs: number, loss: Loss): void {
  const place = (i: number) => `row ${Math.floor(i / outputs)}, output ${i % outputs}`;
  requireAllFinite(path, targets, null, place);
  if (loss.kind !== "logistic" && loss.kind !== "soft-cross-entropy") return;
  const of = loss.kind === "logistic" ? '"logistic"' : '"cross-entropy"';
  const other = 'a regression has the loss "squared-error" or "absolute-error"';
  for (let i = 0; i < targets.length; i++) {
    if (targets[i] >= 0 && targets[i] <= 1) continue;
    const advice = `${place(i)}: targets of ${of} are probabilities; ${other}`;
    throw new OptionError(expected("a number from 0 to 1", `${path}[${i}]`, targets[i], advice));
  }
  for (let b = 0; loss.kind === "soft-cross-entropy" && b * outputs < targets.length; b++) {
    const sum = targets.subarray(b * outputs, (b + 1) * outputs).reduce((total, t) => total + t, 0);
    if (Math.abs(sum - 1) <= SUM_ERROR) continue;
    const advice = `row ${b}: independent outputs have the loss "logistic"; ${other}`;
    throw new OptionError(expected("a row of probabilities that sums to 1", path, sum, advice));
  }
}

/** How far a row of probabilities may sum from 1: what rounding and a few digits in a file make of it. */
const SUM_ERROR = 1e-3;

function firstLargest(values: Float32Array, begin: number, count: number): number {
  let best = 0;
  for (let c = 1; c < count; c++) if (values[begin + c] > values[begin + best]) best = c;
  return best;
}

function checkLabelled(path: string, value: GivenRows, network: Network, take: Take): Examples {
  const classes = network.layers[network.layers.length - 1];
  const given = checkArray<Uint8Array | Uint16Array>(`${path}.labels`, value.labels, [
    "Uint8Array",
    "Uint16Array",
  ]);
  if (given.length === 0) throw new OptionError(expected("at least one row", `${path}.labels`, given));
  const inputs = checkInputs(`${path}.inputs`, value.inputs, network.layers[0], given.length, take);
  const labels =
    typeName(given) === "Uint16Array" ? take(`${path}.labels`, given as Uint16Array) : new Uint16Array(given);
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] < classes) continue;
    const advice = `row ${i} has a class that the network, of ${classes} classes, lacks`;
    throw new OptionError(
      expected(`an integer 0 … ${classes - 1}`, `${path}.labels[${i}]`, labels[i], advice),
    );
  }
  return { inputs, labels };
}
