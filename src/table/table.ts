/**
 * What `import … from "local-entropy/table"` gives: tables as the data of a run, from CSV or rows in memory.
 *
 * A file is read once, in pieces, into typed columns (`columns.ts`); then its rows are split (`split.ts`), mean, deviation
 * and most frequent category of the training rows become an encoding, and every part is encoded by it (`encode.ts`), as
 * are rows that come later.
 */
import { DataError, describe, expected, OptionError } from "../errors.ts";
import type { Dataset } from "../options/types.ts";
import { keyOf } from "../reference/random/streams.ts";
import { Column, key } from "./columns.ts";
import { encodeInputs, labelsOf, namesOfInputs, requireRoom, standardize, widthOf } from "./encode.ts";
import type { Encoding } from "./encoding.ts";
import { checkOptions, type LabelTableOptions, type Options, type TargetTableOptions } from "./options.ts";
import { didYouMean, readSource, type TableSource } from "./source.ts";
import { type Split, splitRows } from "./split.ts";

export { decode, type EncodedRows, encode } from "./encode.ts";
export type { CategoryFeature, Encoding, NumberFeature } from "./encoding.ts";
export type { ColumnKind, LabelTableOptions, TableOptions, TargetTableOptions } from "./options.ts";
export type { TableSource } from "./source.ts";

/** Rows of a table with a class each. */
export interface LabelTable {
  /** What is trained on. */
  readonly train: Dataset;
  /** Held out by `test`. */
  readonly test?: Dataset;
  /** Held out by `validation`. */
  readonly validation?: Dataset;
  /** How rows became numbers. */
  readonly encoding: Encoding;
}

/** Rows of a table with a number each that is predicted. */
export interface TargetRows {
  /** count × width, row-major. */
  readonly inputs: Float32Array;
  /** count × 1: (value − mean)/deviation, both of the training rows. */
  readonly targets: Float32Array;
  /** Number of rows. */
  readonly count: number;
  /** Numbers in a row of `inputs`. */
  readonly width: number;
  /** Numbers in a row of `targets`: 1. */
  readonly outputs: number;
}

/** As `LabelTable`, of a table whose target is a number. */
export interface TargetTable {
  /** What is trained on. */
  readonly train: TargetRows;
  /** Held out by `test`. */
  readonly test?: TargetRows;
  /** Held out by `validation`. */
  readonly validation?: TargetRows;
  /** How rows became numbers. */
  readonly encoding: Encoding;
}

/**
 * Rows of a CSV file, of its text or in memory as the data of a run: numbers standardized by the training rows, an input
 * for each category, labels numbered in the order of their names, or a target standardized too. The same source and seed
 * give the same rows in the same parts.
 *
 * @param source path of a CSV file (UTF-8, below 2 GiB, read in pieces), its text, or an array of rows, each an object by
 *   the columns' names or an array of cells under a first array of names
 * @param options `label` or `target`, the name of the column to be predicted, and how to read and split
 * @returns `train`, `test` and `validation` where they are held out, and the `encoding`, with which `encode` encodes other
 *   rows. Classes are in equal parts in each
 * @throws DataError that names line and column, what is wrong there and what to do; OptionError for a wrong option
 */
export function table(source: TableSource, options: LabelTableOptions): Promise<LabelTable>;
/** As above, for a number to be predicted. */
export function table(source: TableSource, options: TargetTableOptions): Promise<TargetTable>;
/** Either. `options` are checked. */
export async function table(source: TableSource, options: unknown): Promise<LabelTable | TargetTable> {
  const checked = checkOptions(options);
  const read = await readColumns(source, checked);
  return checked.isLabel ? withLabels(read, checked) : withTarget(read, checked);
}

/** Columns as they stand in the source, and the rows that are kept of them. */
interface Read {
  readonly features: readonly Column[];
  readonly answer: Column;
  readonly rows: Uint32Array;
  readonly dropped: number;
}

async function readColumns(source: TableSource, options: Options): Promise<Read> {
  const { answer: answerName, isLabel, missing, header, decimal } = options;
  const features: Column[] = [];
  let answer: Column | undefined;
  let count = 0;
  await readSource("table.source", source, header, (names, placeOf) => {
    requireNames(names, options);
    const columns = names.map((name) => {
      const isAnswer = name === answerName;
      const given = Object.hasOwn(options.columns, name) ? options.columns[name] : null;
      if (given === "ignore") return null;
      const kind = isAnswer ? (isLabel ? "category" : "number") : given;
      const complete = adviceOnMissing(missing, isAnswer);
      const column = new Column({ name, kind, known: null, complete, decimal, placeOf });
      if (isAnswer) answer = column;
      else features.push(column);
      return column;
    });
    return (cells, at) => {
      count++;
      for (let c = 0; c < columns.length; c++) columns[c]?.add(cells[c], at);
    };
  });
  const read = [...features, answer!];
  for (const column of read) column.requireValues();
  const whole = (i: number) => missing !== "drop" || !read.some((column) => column.isMissing(i));
  const rows = new Uint32Array(count);
  let kept = 0;
  for (let i = 0; i < count; i++) if (whole(i)) rows[kept++] = i;
  if (kept === 0) {
    throw new DataError(
      `Expected rows without missing values but all ${count} have one; leave columns out ` +
        '(columns: { name: "ignore" }) or fill them (missing: "fill")',
    );
  }
  return { features, answer: answer!, rows: rows.slice(0, kept), dropped: count - kept };
}

/** What to do about a missing value where it is an error; else null. */
function adviceOnMissing(missing: Options["missing"], isAnswer: boolean): string | null {
  if (missing === "drop" || (missing === "fill" && !isAnswer)) return null;
  const drop = 'leave such rows out (missing: "drop")';
  return isAnswer
    ? `what is predicted is never filled: ${drop}`
    : `fill missing values (missing: "fill") or ${drop}`;
}

/** @throws where names are missing, twice there, or asked for and not there */
function requireNames(names: readonly string[], { answer, isLabel, columns }: Options): void {
  names.forEach((name, i) => {
    if (names.indexOf(name) < i) {
      throw new DataError(
        `Expected different names of columns but ${describe(name)} names number ${names.indexOf(name) + 1} and number ${i + 1}; rename one`,
      );
    }
    if (name !== "" || Object.hasOwn(columns, "")) return;
    throw new DataError(
      `Expected a name for column number ${i + 1} of ${names.length} but found none; ` +
        'name it, or leave it out, as the number of a row must be: columns: { "": "ignore" }',
    );
  });
  const wanted = [
    [isLabel ? "table.label" : "table.target", answer],
    ...Object.keys(columns).map((name) => [`table.columns.${name}`, name]),
  ];
  for (const [path, name] of wanted) {
    if (names.includes(name)) continue;
    throw new OptionError(
      expected(
        "the name of a column",
        path,
        name,
        `${didYouMean(name, names)}there are ${listedNames(names)}`,
      ),
    );
  }
  const kind = Object.hasOwn(columns, answer) ? columns[answer] : undefined;
  if (kind !== undefined && kind !== (isLabel ? "category" : "number")) {
    throw new OptionError(
      expected(
        `"${isLabel ? "category" : "number"}"`,
        `table.columns.${answer}`,
        kind,
        "it is what is predicted",
      ),
    );
  }
  if (names.some((name) => name !== answer && columns[name] !== "ignore")) return;
  throw new DataError(
    `Expected columns to predict ${describe(answer)} from but found none; are cells parted by commas, semicolons, tabs or bars?`,
  );
}

const SHOWN_NAMES = 20;

function listedNames(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).map(describe).join(", ");
  return names.length > SHOWN_NAMES ? `${shown}, … (${names.length})` : shown;
}

async function withLabels(read: Read, options: Options): Promise<LabelTable> {
  const { names, of } = read.answer.categories(read.rows, true);
  if (names.length < 2) {
    throw new DataError(
      `Expected at least two classes in column ${describe(options.answer)} but found ${describe(names[0])} alone; ` +
        "there is nothing to tell apart",
    );
  }
  const split = splitRows(read.rows, names, of, options, keyOf(options.seed));
  const { width, encode, encoding } = await encodingOf(read, options, split, {
    kind: "label",
    name: options.answer,
    classNames: names,
  });
  const dataset = async (rows: Uint32Array): Promise<Dataset> => {
    const labels = labelsOf(rows.length, names.length);
    rows.forEach((row, i) => {
      labels[i] = of(row);
    });
    return { inputs: await encode(rows), labels, count: rows.length, width, classes: names.length };
  };
  return { ...(await parts(split, dataset)), encoding };
}

async function withTarget(read: Read, options: Options): Promise<TargetTable> {
  const split = splitRows(read.rows, ["all"], () => 0, options, keyOf(options.seed));
  const scale = scaleOf(read.answer, split.train);
  const { width, encode, encoding } = await encodingOf(read, options, split, { kind: "target", ...scale });
  const dataset = async (rows: Uint32Array): Promise<TargetRows> => {
    const targets = new Float32Array(rows.length);
    standardize(scale, read.answer.numbers, rows, targets);
    return { inputs: await encode(rows), targets, count: rows.length, width, outputs: 1 };
  };
  return { ...(await parts(split, dataset)), encoding };
}

/** The parts that have rows. */
async function parts<Rows>(split: Split, dataset: (rows: Uint32Array) => Promise<Rows>) {
  return {
    train: await dataset(split.train),
    ...(split.test.length > 0 ? { test: await dataset(split.test) } : {}),
    ...(split.validation.length > 0 ? { validation: await dataset(split.validation) } : {}),
  };
}

/** The encoding of the training rows, and what encodes rows of the table by it. */
async function encodingOf(read: Read, options: Options, split: Split, answer: Encoding["answer"]) {
  const { features: columns, rows, dropped } = read;
  const found = columns.map((column) => (column.kind === "category" ? column.categories(rows) : null));
  const features = columns.map((column, f): Encoding["features"][number] => {
    const categories = found[f];
    if (categories === null) return { kind: "number", ...scaleOf(column, split.train) };
    const { name } = column.reading;
    if (categories.names.length < 2) throw constant(name, describe(categories.names[0]));
    return {
      kind: "category",
      name,
      categories: categories.names,
      mostFrequent: mostFrequent(categories, split.train),
    };
  });
  const width = widthOf(features);
  requireRoom(rows.length, width);
  const encoding: Encoding = {
    format: "local-entropy-table-1",
    features,
    featureNames: namesOfInputs(features),
    answer,
    fill: options.missing === "fill",
    decimal: options.decimal,
    dropped,
  };
  const encode = (some: Uint32Array) => encodeInputs(features, columns, (f) => found[f]!.of, some);
  return { width, encode, encoding };
}

/** Mean and standard deviation of the values that these rows have, each in one pass (Welford's). */
function scaleOf(column: Column, rows: Uint32Array): { name: string; mean: number; deviation: number } {
  const { numbers } = column;
  const { name } = column.reading;
  let count = 0;
  let mean = 0;
  let squares = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    const value = numbers[row];
    if (Number.isNaN(value)) continue;
    count++;
    const apart = value - mean;
    mean += apart / count;
    squares += apart * (value - mean);
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  if (count === 0) {
    throw new DataError(
      `Expected values in column ${describe(name)} of the training rows but found none; ` +
        `leave it out: columns: { ${key(name)}: "ignore" }`,
    );
  }
  const deviation = Math.sqrt(squares / count);
  if (least === most || deviation === 0) throw constant(name, String(least));
  if (Number.isFinite(deviation)) return { name, mean, deviation };
  throw new DataError(
    `Expected numbers whose squares are finite in column ${describe(name)} but found ${least} … ${most}; write them in another unit`,
  );
}

function constant(name: string, value: string): DataError {
  return new DataError(
    `Expected different values in column ${describe(name)} but found ${value} in every training row, which tells nothing; ` +
      `leave it out: columns: { ${key(name)}: "ignore" }`,
  );
}

/** The first of the categories that most of these rows have. */
function mostFrequent(
  { names, of }: { names: readonly string[]; of: (row: number) => number },
  rows: Uint32Array,
): string {
  const counts = new Array<number>(names.length).fill(0);
  for (const row of rows) if (of(row) >= 0) counts[of(row)]++;
  return names[counts.indexOf(Math.max(...counts))];
}
