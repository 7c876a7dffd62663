/**
 * Columns to inputs and answers by an encoding, and back: rows of the table itself, and any later ones.
 */
import * as z from "zod/mini";
import { DataError, describe, expected, OptionError } from "../errors.ts";
import { nextTurn } from "../host.ts";
import { flag, integer, leaf, number, object, oneOf, parse, positive } from "../options/values.ts";
import { Column } from "./columns.ts";
import type { Encoding } from "./encoding.ts";
import { didYouMean, readSource, type TableSource } from "./source.ts";

/** Rows that were encoded. */
export interface EncodedRows {
  /** count × width, row-major: what `predict` takes. */
  readonly inputs: Float32Array;
  /** Number of rows. */
  readonly count: number;
  /** Numbers in a row of `inputs`. */
  readonly width: number;
  /** Class of each row, where the source has the column of labels. */
  readonly labels?: Uint8Array | Uint16Array;
  /** Number of classes, beside `labels`. */
  readonly classes?: number;
  /** count × 1, standardized, where the source has the column of the target. */
  readonly targets?: Float32Array;
  /** 1, beside `targets`. */
  readonly outputs?: number;
}

type Feature = Encoding["features"][number];

/** Bytes of inputs, more than which are refused. */
const MOST_BYTES = 2 ** 31;

/** A function from a row's number to its category's place; −1 where it is missing. */
export type CategoryOf = (row: number) => number;

/**
 * Inputs of `rows`: count × width, row-major.
 *
 * @param columns of the features, in their order
 * @param categoryOf of a feature's rows
 */
export async function encodeInputs(
  features: readonly Feature[],
  columns: readonly Column[],
  categoryOf: (feature: number) => CategoryOf,
  rows: Uint32Array,
): Promise<Float32Array> {
  const width = widthOf(features);
  const inputs = new Float32Array(rows.length * width);
  let offset = 0;
  for (const [f, feature] of features.entries()) {
    if (feature.kind === "number") {
      standardize(feature, columns[f].numbers, rows, inputs, offset, width);
      offset++;
    } else {
      const of = categoryOf(f);
      const most = feature.categories.indexOf(feature.mostFrequent);
      for (let i = 0; i < rows.length; i++) {
        const category = of(rows[i]);
        inputs[i * width + offset + (category < 0 ? most : category)] = 1;
      }
      offset += feature.categories.length;
    }
    await nextTurn();
  }
  return inputs;
}

/** (value − mean)/deviation of `rows` into `out`, from `offset` on, each `stride` further; a missing one is the mean. */
export function standardize(
  { name, mean, deviation }: { name: string; mean: number; deviation: number },
  values: Float64Array,
  rows: Uint32Array,
  out: Float32Array,
  offset = 0,
  stride = 1,
): void {
  for (let i = 0; i < rows.length; i++) {
    const value = values[rows[i]];
    const scaled = Number.isNaN(value) ? 0 : (value - mean) / deviation;
    out[offset + i * stride] = scaled;
    if (Number.isFinite(out[offset + i * stride])) continue;
    throw new DataError(
      `Expected numbers of one order in column ${describe(name)} but found ${value}, beside the training rows' mean ` +
        `${mean} and deviation ${deviation}; correct it or leave its row out`,
    );
  }
}

/** Inputs of a row. */
export function widthOf(features: readonly Feature[]): number {
  return features.reduce(
    (sum, feature) => sum + (feature.kind === "number" ? 1 : feature.categories.length),
    0,
  );
}

/** A name for each input. */
export function namesOfInputs(features: readonly Feature[]): string[] {
  return features.flatMap((feature) =>
    feature.kind === "number"
      ? [feature.name]
      : feature.categories.map((category) => `${feature.name}=${category}`),
  );
}

/** @throws DataError where the inputs would be more than 2 GiB */
export function requireRoom(count: number, width: number): void {
  if (4 * count * width < MOST_BYTES) return;
  throw new DataError(
    `Expected inputs below 2 GiB but ${count} rows of ${width} numbers take ${4 * count * width} bytes; ` +
      "leave out columns, of many categories first, or take a part of the rows",
  );
}

const NOT_FILLED = 'give one, or encode by a table that fills missing values of inputs (missing: "fill")';

/** Labels as small as their number allows. */
export function labelsOf(count: number, classes: number): Uint8Array | Uint16Array {
  return classes <= 256 ? new Uint8Array(count) : new Uint16Array(count);
}

const text = () => leaf<string>("a text", (v) => typeof v === "string");
const finite = () => number("a finite number", () => true);
const texts = (least: number) =>
  leaf<readonly string[]>(
    `an array of ${least} or more different texts`,
    (v) =>
      Array.isArray(v) &&
      v.length >= least &&
      v.every((entry) => typeof entry === "string") &&
      new Set(v).size === v.length,
  );
const numberFeature = { name: text(), mean: finite(), deviation: positive() };

const encodingSchema = object({
  format: leaf<Encoding["format"]>('"local-entropy-table-1"', (v) => v === "local-entropy-table-1"),
  features: z.array(
    oneOf([
      object({ kind: z.literal("number"), ...numberFeature }),
      object({ kind: z.literal("category"), name: text(), categories: texts(1), mostFrequent: text() }),
    ]),
    "an array of features",
  ),
  featureNames: texts(1),
  answer: oneOf([
    object({ kind: z.literal("label"), name: text(), classNames: texts(2) }),
    object({ kind: z.literal("target"), ...numberFeature }),
  ]),
  fill: flag(),
  decimal: leaf<"." | ",">('"." or ","', (v) => v === "." || v === ","),
  dropped: integer(0, 2 ** 32),
});

/** An encoding that may have been a file meanwhile. */
export function checkEncoding(path: string, value: unknown): Encoding {
  const encoding: Encoding = parse(path, encodingSchema, value);
  encoding.features.forEach((feature, i) => {
    if (feature.kind === "number" || feature.categories.includes(feature.mostFrequent)) return;
    const range = `one of ${feature.categories.length} categories`;
    throw new OptionError(expected(range, `${path}.features[${i}].mostFrequent`, feature.mostFrequent));
  });
  const { featureNames, features } = encoding;
  if (featureNames.length === widthOf(features)) return encoding;
  throw new OptionError(expected(`${widthOf(features)} names`, `${path}.featureNames`, featureNames));
}

/**
 * Encodes rows as those of a table were: the same columns by their names, the same categories, mean and deviation.
 * Columns that the encoding does not know are passed over, as is the answer's where it is not there.
 *
 * @param source as `table` takes it; its first row, or the rows' keys, are the columns' names
 * @param encoding of `table`, or what JSON made of it
 * @throws DataError for a column that is not there, a value that is missing (unless they are filled) or a category that no
 *   training row had; OptionError for what is no encoding
 */
export async function encode(source: TableSource, encoding: Encoding): Promise<EncodedRows> {
  const { features, answer, fill, decimal } = checkEncoding("encode.encoding", encoding);
  const columns: Column[] = [];
  let answers: Column | null = null;
  let count = 0;
  await readSource("encode.source", source, undefined, (names, placeOf) => {
    const placeIn = (name: string) => {
      const place = names.indexOf(name);
      if (place >= 0) return place;
      throw new DataError(
        `Expected a column ${describe(name)} in the rows but found none; ${didYouMean(name, names)}there are ${names.map(describe).join(", ")}`,
      );
    };
    const places = features.map(({ name }) => placeIn(name));
    for (const feature of features) {
      const known = feature.kind === "category" ? feature.categories : null;
      columns.push(
        new Column({
          name: feature.name,
          kind: feature.kind,
          known,
          complete: fill ? null : NOT_FILLED,
          decimal,
          placeOf,
        }),
      );
    }
    if (names.includes(answer.name)) {
      places.push(placeIn(answer.name));
      const [kind, known] =
        answer.kind === "label" ? (["category", answer.classNames] as const) : (["number", null] as const);
      answers = new Column({ name: answer.name, kind, known, complete: NOT_FILLED, decimal, placeOf });
    }
    const all = answers === null ? columns : [...columns, answers];
    return (cells, at) => {
      count++;
      for (let c = 0; c < all.length; c++) all[c].add(cells[places[c]], at);
    };
  });
  const width = widthOf(features);
  requireRoom(count, width);
  const rows = Uint32Array.from({ length: count }, (_, i) => i);
  const inputs = await encodeInputs(features, columns, (f) => (row) => columns[f].codeOf(row), rows);
  const encoded = { inputs, count, width };
  if (answers === null) return encoded;
  const answered = answers as Column;
  if (answer.kind === "target") {
    const targets = new Float32Array(count);
    standardize(answer, answered.numbers, rows, targets);
    return { ...encoded, targets, outputs: 1 };
  }
  const classes = answer.classNames.length;
  const labels = labelsOf(count, classes);
  for (let i = 0; i < count; i++) labels[i] = answered.codeOf(i);
  return { ...encoded, labels, classes };
}

/**
 * What a network says, in the table's words: of labels the names of the classes, of a target's outputs the values in the
 * column's unit.
 *
 * @param answers predicted class numbers where the encoding has a label; outputs of the network, one a row, where it has a
 *   target
 * @throws OptionError for a number that is no class
 */
export function decode(answers: ArrayLike<number>, encoding: Encoding): string[] | Float64Array {
  const { answer } = checkEncoding("decode.encoding", encoding);
  if (answer.kind === "target") {
    return Float64Array.from(answers, (output) => answer.mean + answer.deviation * output);
  }
  return Array.from(answers, (label, i) => {
    const name = answer.classNames[label];
    if (name !== undefined) return name;
    throw new OptionError(
      expected(`an integer 0 … ${answer.classNames.length - 1}`, `decode.answers[${i}]`, label),
    );
  });
}
