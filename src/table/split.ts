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
  counts.forEach((count, c) => {
    if (count < needed) throw tooFew(names, c, count, needed);
  });
  const kept = validation > 0 ? 2 : 1;
  const forTest = shares(counts, test, (c) => counts[c] - kept);
  const forValidation = shares(counts, validation, (c) => counts[c] - forTest[c] - 1);
  const quotas = counts.map((_, c) => ({ test: forTest[c], validation: forValidation[c] }));
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

/**
 * So many of each class, of all classes the nearest number to their part: what is over of it goes to the classes whose
 * parts were cut most. At least one of each where any is wanted.
 */
function shares(counts: readonly number[], part: number, most: (c: number) => number): number[] {
  if (part === 0) return counts.map(() => 0);
  const whole = counts.map((count) => Math.floor(part * count));
  const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);
  const over = Math.round(part * sum(counts)) - sum(whole);
  const cut = (c: number) => part * counts[c] - whole[c];
  const order = counts.map((_, c) => c).sort((a, b) => cut(b) - cut(a) || a - b);
  for (const c of order.slice(0, over)) whole[c]++;
  return whole.map((n, c) => Math.min(most(c), Math.max(1, n)));
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
