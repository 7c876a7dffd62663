/**
 * A column while it is read: numbers, or categories by number, in typed arrays, so that a table of millions of rows fits.
 *
 * What a column is, is told by whoever asks for it, or by its first value; a value of the other kind later is an error that
 * says how to tell, since a stray text must not make a thousand numbers a thousand categories.
 */
import { DataError, describe } from "../errors.ts";
import { type Decimal, NO_NUMBERS, nearlyNumber, numberIn } from "./cells.ts";
import { didYouMean } from "./source.ts";

/** How a column is read. */
export interface Reading {
  readonly name: string;
  /** Null: its first value says. */
  readonly kind: "number" | "category" | null;
  /** Categories that there are, in their order; null: those that are found. */
  readonly known: readonly string[] | null;
  /** Where a missing value is an error, what to do about it; else null. */
  readonly complete: string | null;
  readonly decimal: Decimal;
  /** How a row's place is spoken of. */
  readonly placeOf: (at: number) => string;
}

/** A missing category. */
const NONE = 0xffffffff;
/** Categories of a column of inputs, and of one of labels. */
const MOST_INPUTS = 1000;
const MOST_CLASSES = 2 ** 16 - 1;
/** So many categories are never taken for names or numbers. */
const FEW = 20;

export class Column {
  readonly reading: Reading;
  /** Null until the first value. */
  kind: Reading["kind"];
  #numbers = new Growing(Float64Array);
  #codes = new Growing(Uint32Array);
  readonly #texts = new Map<string, { readonly code: number; readonly at: number }>();
  /** Cells before the kind is known: empty, or what is missing in a column of numbers. */
  #before: { readonly text: string; readonly at: number }[] = [];

  constructor(reading: Reading) {
    this.reading = reading;
    this.kind = reading.kind;
    reading.known?.forEach((text, code) => {
      this.#texts.set(text, { code, at: -1 });
    });
  }

  /** Takes the next row's cell, whose place is `at`. */
  add(cell: unknown, at: number): void {
    const value = this.#plain(cell, at);
    if (this.kind === null) this.#begin(value, at);
    if (this.kind === "category") this.#codes.push(this.#code(String(value), at));
    else if (this.kind === "number") this.#numbers.push(this.#number(value, at));
  }

  /** Takes the first value's kind; what is none waits for it. */
  #begin(value: number | string, at: number): void {
    if (value === "" || NO_NUMBERS.has(value as string)) {
      if (value === "") this.#refuseMissing(value, at);
      this.#before.push({ text: value as string, at });
      return;
    }
    if (typeof value === "string") this.#refuseNearlyNumber(value, at);
    const isNumber = typeof value === "number" || numberIn(value, this.reading.decimal) !== null;
    this.kind = isNumber ? "number" : "category";
    for (const { text, at: place } of this.#before) this.add(text, place);
    this.#before = [];
  }

  /** A number, or trimmed text, "" for nothing. */
  #plain(cell: unknown, at: number): number | string {
    if (typeof cell === "string") return cell.trim();
    if (cell === null || cell === undefined) return "";
    if (typeof cell === "number") {
      if (Number.isNaN(cell)) return "";
      if (Number.isFinite(cell)) return cell;
    }
    if (typeof cell === "boolean" || typeof cell === "bigint") return String(cell);
    const { name, placeOf } = this.reading;
    throw new DataError(
      `Expected a finite number, a text, true, false or null in column ${describe(name)} of ${placeOf(at)} but found ${describe(cell)}`,
    );
  }

  /** NaN where it is missing. */
  #number(value: number | string, at: number): number {
    if (typeof value === "number") return value;
    if (value === "" || NO_NUMBERS.has(value)) {
      this.#refuseMissing(value, at);
      return Number.NaN;
    }
    const number = numberIn(value, this.reading.decimal);
    if (number !== null && Number.isFinite(number)) return number;
    this.#refuseNearlyNumber(value, at);
    const { name, placeOf, kind } = this.reading;
    const advice =
      kind === "number"
        ? "correct it, or leave the cell empty and say what becomes of missing values: missing"
        : `where it stands for a missing value leave the cell empty; a column of categories is columns: { ${key(name)}: "category" }`;
    throw new DataError(
      `Expected a number in column ${describe(name)} of ${placeOf(at)} but found ${describe(value)}; ${advice}`,
    );
  }

  #code(text: string, at: number): number {
    if (text === "") {
      this.#refuseMissing(text, at);
      return NONE;
    }
    const { name, kind, known, decimal, placeOf } = this.reading;
    if (kind === null && numberIn(text, decimal) !== null) {
      throw new DataError(
        `Expected a text in column ${describe(name)} of ${placeOf(at)}, as in the rows before, but found the number ${text}; ` +
          `say what the column is: columns: { ${key(name)}: "category" }, or "number", or "ignore"`,
      );
    }
    const found = this.#texts.get(text);
    if (found !== undefined) return found.code;
    if (known !== null) {
      if (this.reading.complete === null) return NONE;
      throw new DataError(
        `Expected one of ${known.length} categories in column ${describe(name)} of ${placeOf(at)} but found ${describe(text)}; ` +
          `${didYouMean(text, known)}no training row had it`,
      );
    }
    const code = this.#texts.size;
    this.#texts.set(text, { code, at });
    return code;
  }

  #refuseMissing(text: string, at: number): void {
    const { name, complete, placeOf } = this.reading;
    if (complete === null) return;
    const found = text === "" ? "none" : describe(text);
    throw new DataError(
      `Expected a value in column ${describe(name)} of ${placeOf(at)} but found ${found}; ${complete}`,
    );
  }

  #refuseNearlyNumber(text: string, at: number): void {
    const advice = nearlyNumber(text, this.reading.decimal);
    if (advice === null) return;
    const { name, placeOf } = this.reading;
    throw new DataError(
      `Expected a number in column ${describe(name)} of ${placeOf(at)} but found ${describe(text)}; ${advice}`,
    );
  }

  /** Whether row `i` of those taken has no value. */
  isMissing(i: number): boolean {
    return this.kind === "number" ? Number.isNaN(this.#numbers.at(i)) : this.#codes.at(i) === NONE;
  }

  /** Of a column of numbers, NaN where missing. */
  get numbers(): Float64Array {
    return this.#numbers.array;
  }

  /**
   * Of a column of categories: those that `rows` have, numbers by size and texts by their letters, and a function from a
   * row to its category's place among them; −1 where it is missing.
   *
   * @throws DataError where there are so many that they must be something else
   */
  categories(rows: Uint32Array, forLabels = false): { names: string[]; of: (row: number) => number } {
    const codes = this.#codes.array;
    const used = new Uint8Array(this.#texts.size);
    for (const row of rows) if (codes[row] !== NONE) used[codes[row]] = 1;
    const all = [...this.#texts].filter(([, { code }]) => used[code] === 1);
    this.#refuseMany(all.length, rows.length, forLabels);
    const areNumbers = all.every(([text]) => numberIn(text, this.reading.decimal) !== null);
    const size = (text: string) => numberIn(text, this.reading.decimal) as number;
    all.sort(([a], [b]) => (areNumbers ? size(a) - size(b) : 0) || (a < b ? -1 : 1));
    const places = new Int32Array(this.#texts.size).fill(-1);
    all.forEach(([, { code }], place) => {
      places[code] = place;
    });
    return {
      names: all.map(([text]) => text),
      of: (row) => (codes[row] === NONE ? -1 : places[codes[row]]),
    };
  }

  #refuseMany(count: number, rows: number, forLabels: boolean): void {
    const most = forLabels ? MOST_CLASSES : MOST_INPUTS;
    if (count <= FEW || (count <= rows / 2 && count <= most)) return;
    const { name } = this.reading;
    const [what, advice] = forLabels
      ? ["classes", `a number to be predicted is the target: target: ${describe(name)}`]
      : ["categories", `names, dates and texts tell nothing as such: columns: { ${key(name)}: "ignore" }`];
    throw new DataError(
      `Expected at most ${Math.min(most, Math.max(FEW, Math.floor(rows / 2)))} ${what} in column ${describe(name)} of ${rows} rows but found ${count}; ${advice}`,
    );
  }

  /** Of known categories: the place of row `i`'s; −1 where it is missing. */
  codeOf(i: number): number {
    const code = this.#codes.at(i);
    return code === NONE ? -1 : code;
  }

  /** @throws DataError where no row had a value */
  requireValues(): void {
    if (this.kind !== null) return;
    const { name } = this.reading;
    throw new DataError(
      `Expected values in column ${describe(name)} but found none; leave it out: columns: { ${key(name)}: "ignore" }`,
    );
  }
}

/** A name as a key of an object in TypeScript. */
export function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : describe(name);
}

/** A typed array that grows by half. */
class Growing<Type extends Float64Array | Uint32Array> {
  #room: Type;
  #length = 0;

  constructor(type: new (length: number) => Type) {
    this.#room = new type(1024);
  }

  push(value: number): void {
    if (this.#length === this.#room.length) {
      const larger = new (this.#room.constructor as new (length: number) => Type)(
        Math.ceil(1.5 * this.#length),
      );
      larger.set(this.#room);
      this.#room = larger;
    }
    this.#room[this.#length++] = value;
  }

  at(i: number): number {
    return this.#room[i];
  }

  get array(): Type {
    return this.#room.subarray(0, this.#length) as Type;
  }
}
