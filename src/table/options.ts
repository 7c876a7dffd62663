/**
 * What `table` is told, and its check.
 */
import { expected, OptionError } from "../errors.ts";
import { leaf, number, object, optional, parse, quoted, seed, withDefault } from "../options/values.ts";

/** What a column is: numbers, categories by name, or no input at all. */
export type ColumnKind = "number" | "category" | "ignore";

/** Of `table`, beside what is predicted. */
export interface TableOptions {
  /** Part of the rows that is held out as `test`, from 0 (none) to below 1 (default 0.2). */
  readonly test?: number;
  /** Part of the rows that is held out as `validation`, from 0 to below 1 (default 0: none). */
  readonly validation?: number;
  /** What columns are, by name (default: numbers where the first value is one, else categories). */
  readonly columns?: Readonly<Record<string, ColumnKind>>;
  /**
   * Where a value is missing: "error" (default), "fill" (the mean of the training rows, of categories the most frequent
   * one) or "drop" (the row is left out). A missing label or target is never filled. Empty cells, null and NaN are
   * missing, in columns of numbers also NA, N/A, NaN, NULL, None, ? and -.
   */
  readonly missing?: "error" | "fill" | "drop";
  /** The columns' names, where the first row is data. */
  readonly header?: readonly string[];
  /** The sign before a number's fraction in text (default "."). */
  readonly decimal?: "." | ",";
  /** Of the split: integer < 2⁵³ or bigint < 2⁶⁴ (default 1). */
  readonly seed?: number | bigint;
}

/** Of `table`, for a class to be predicted. */
export interface LabelTableOptions extends TableOptions {
  /** The column of classes. */
  readonly label: string;
}

/** Of `table`, for a number to be predicted. */
export interface TargetTableOptions extends TableOptions {
  /** The column of the number. */
  readonly target: string;
}

const KINDS: readonly ColumnKind[] = ["number", "category", "ignore"];
/** What becomes of missing values. */
export const POLICIES = ["error", "fill", "drop"] as const;
const DECIMALS = [".", ","] as const;

const columnKind = leaf<ColumnKind>(quoted(KINDS), (v) => KINDS.includes(v as ColumnKind));
const part = (value: number) =>
  withDefault(
    number("a part of the rows, from 0 to below 1,", (v) => v >= 0 && v < 1),
    value,
  );
const name = () => optional(leaf<string>("a column's name", (v) => typeof v === "string"));
const oneOfNames = <const Name extends string>(names: readonly Name[]) =>
  withDefault(
    leaf<Name>(quoted(names), (v) => names.includes(v as Name)),
    () => names[0],
  );

const optionsSchema = object({
  label: name(),
  target: name(),
  test: part(0.2),
  validation: part(0),
  columns: withDefault(
    leaf<Readonly<Record<string, ColumnKind>>>(
      "an object with the kinds of columns by their names",
      (v) => typeof v === "object" && v !== null && !Array.isArray(v),
    ),
    {},
  ),
  missing: oneOfNames(POLICIES),
  header: optional(
    leaf<readonly string[]>(
      "an array of the columns' names",
      (v) => Array.isArray(v) && v.length > 0 && v.every((entry) => typeof entry === "string"),
    ),
  ),
  decimal: oneOfNames(DECIMALS),
  seed: withDefault(seed(), 1),
});
export type Options = ReturnType<typeof checkOptions>;

/** @throws OptionError */
export function checkOptions(value: unknown) {
  const options = parse("table", optionsSchema, value);
  const { label, target, test, validation, columns } = options;
  for (const [name, kind] of Object.entries(columns)) parse(`table.columns.${name}`, columnKind, kind);
  if ((label === undefined) === (target === undefined)) {
    throw new OptionError(
      "Expected either table.label (the column of classes) or table.target (the column of a number to be predicted) " +
        `but received ${label === undefined ? "neither" : "both"}`,
    );
  }
  if (test + validation >= 1) {
    const advice = `with table.test = ${test} no row is left to train on`;
    throw new OptionError(expected("a part below 1 − test", "table.validation", validation, advice));
  }
  return { ...options, answer: (label ?? target) as string, isLabel: label !== undefined };
}
