/**
 * Which rows are for training, which are held out: a seeded shuffle, with as much of each class in each part.
 */
import { permute } from "../data/minibatches.ts";
import { DataError, describe } from "../errors.ts";
import { type Key, STREAMS } from "../reference/random/streams.ts";

/** The parts of the rows that are held out, from 0 to below 1. */
export interface HeldOut {
  readonly test: number;
  readonly validation: number;
}

/** Row numbers of each part, ascending. */
export interface Split {
  readonly train: Uint32Array;
  readonly test: Uint32Array;
  readonly validation: Uint32Array;
}

/**
 * @param rows ascending row numbers
 * @param names of the classes; of one that stands for all rows where a number is predicted
 * @param classOf a row's place among them
 * @throws DataError where a class has too few rows for each part to have one
 */
export function splitRows(
  rows: Uint32Array,
  names: readonly string[],
  classOf: (row: number) => number,
  { test, validation }: HeldOut,
  key: Key,
): Split {
  const counts = new Array<number>(names.length).fill(0);
  for (const row of rows) counts[classOf(row)]++;
  const needed = 1 + (test > 0 ? 1 : 0) + (validation > 0 ? 1 : 0);
  const quotas = counts.map((count, c) => {
    if (count < needed) throw tooFew(names, c, count, needed);
    const most = count - 1 - (validation > 0 ? 1 : 0);
    const forTest = share(count, test, most);
    return { test: forTest, validation: share(count, validation, count - 1 - forTest) };
  });
  const order = new Uint32Array(rows.length);
  permute(key, 0, order, STREAMS["table-split"]);
  const parts: { [Name in keyof Split]: number[] } = { train: [], test: [], validation: [] };
  for (const place of order) {
    const row = rows[place];
    const quota = quotas[classOf(row)];
    const part = quota.test > 0 ? "test" : quota.validation > 0 ? "validation" : "train";
    if (part !== "train") quota[part]--;
    parts[part].push(row);
  }
  const sorted = (part: number[]) => Uint32Array.from(part).sort();
  return { train: sorted(parts.train), test: sorted(parts.test), validation: sorted(parts.validation) };
}

/** So many of `count`: the nearest number, at least one where any is wanted. */
function share(count: number, part: number, most: number): number {
  return part === 0 ? 0 : Math.min(most, Math.max(1, Math.round(part * count)));
}

function tooFew(names: readonly string[], c: number, count: number, needed: number): DataError {
  const has = `${count} ${count === 1 ? "row" : "rows"}`;
  const what =
    names.length === 1 ? `the table, which has ${has}` : `the class ${describe(names[c])}, which has ${has}`;
  return new DataError(
    `Expected at least ${needed} rows of ${what}: one for each of training, test and validation that there is; ` +
      "leave the class out, join it with another, or hold nothing out (test: 0)",
  );
}
