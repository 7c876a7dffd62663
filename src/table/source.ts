/**
 * Where a table comes from: a file, text, or rows in memory. Each gives its columns' names once and then its rows, with
 * their places, in turns that leave the event loop free.
 */
import { plainReason, readingFile } from "../disk.ts";
import { DataError, describe, expected, OptionError } from "../errors.ts";
import { isNode, nextTurn } from "../host.ts";
import { nearest } from "../options/values.ts";
import { numberIn } from "./cells.ts";
import { type CsvRecord, csvRecords } from "./csv.ts";

/**
 * A table: the path of a CSV file, its text (what has an end of a line in it), or its rows, each an object by the columns'
 * names or an array of cells. Delimiters are commas, semicolons, tabs or bars.
 */
export type TableSource = string | readonly object[];

/** Takes a row: its cells in the order of the names, and its line (its index, of rows in memory). */
export type TakeRow = (cells: readonly unknown[], at: number) => void;

/** Is told the columns' names, and how a row's place is spoken of. */
export type BeginTable = (names: readonly string[], placeOf: (at: number) => string) => TakeRow;

/** Characters, or bytes, that are read at one go. */
const PIECE = 2 ** 20;
/** Rows in memory that are taken at one go. */
const ROWS = 2 ** 13;
const LARGEST_FILE = 2 ** 31;

/**
 * @param path of the argument, for errors
 * @param header the columns' names, where the source does not begin with them
 * @throws DataError for what cannot be read, or is no table; OptionError for what is no source
 */
export async function readSource(
  path: string,
  source: TableSource | unknown,
  header: readonly string[] | undefined,
  begin: BeginTable,
): Promise<void> {
  if (typeof source === "string" && source !== "") {
    const isText = /[\r\n]/.test(source);
    const what = isText ? "the text" : source;
    return readCsv(what, isText ? slices(source) : filePieces(source), header, begin);
  }
  if (Array.isArray(source)) return readArray(path, source, header, begin);
  throw new OptionError(
    expected("the path of a CSV file, its text, or an array of rows,", path, source, ofWhatElse(source)),
  );
}

/** What to do with a source that a page or a program has at hand. */
function ofWhatElse(source: unknown): string {
  if (typeof source === "string") return "it is empty";
  if (source instanceof Uint8Array) return "give the text: new TextDecoder().decode(bytes)";
  if (typeof (source as Blob | null)?.text === "function") return "give its text: await file.text()";
  return "rows are objects, or arrays of cells";
}

async function readCsv(
  what: string,
  pieces: AsyncIterable<string>,
  header: readonly string[] | undefined,
  begin: BeginTable,
): Promise<void> {
  const placeOf = (line: number) => `line ${line} of ${what}`;
  const records = csvRecords(what);
  let take: TakeRow | null = null;
  let width = 0;
  let rows = 0;
  const start = (names: readonly string[]) => {
    width = names.length;
    take = begin(names, placeOf);
  };
  const takeRecord = ([cells, line]: CsvRecord) => {
    if (take === null && header === undefined) return start(firstRowAsNames(cells, placeOf(line)));
    if (take === null) start(header!);
    if (cells.length !== width) throw ragged(cells.length, width, placeOf(line));
    take!(cells, line);
    rows++;
  };
  for await (const piece of pieces) {
    for (const record of records(piece, false)) takeRecord(record);
    await nextTurn();
  }
  for (const record of records("", true)) takeRecord(record);
  if (rows === 0) throw noRows(what);
}

function ragged(found: number, width: number, place: string): DataError {
  const advice =
    found > width
      ? "quote cells that have the delimiter in them, as numbers with decimal commas have"
      : "write nothing between two delimiters for a missing value";
  return new DataError(`Expected ${width} cells in ${place} but found ${found}; ${advice}`);
}

function noRows(what: string): DataError {
  return new DataError(`Expected rows in ${what} but found none`);
}

async function* slices(text: string): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += PIECE) yield text.slice(at, at + PIECE);
}

/** A file's text, its bytes read piece by piece; it is opened for each, so that none stays open. */
async function* filePieces(path: string): AsyncGenerator<string> {
  if (!isNode) {
    throw new DataError(
      `Expected the text of a CSV file, which has ends of lines, but received ${describe(path)}: a browser reads no ` +
        "paths; give the text itself (await file.text(), await (await fetch(address)).text())",
    );
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let size = -1;
  for (let at = 0; at !== size; ) {
    const bytes = readPiece(path, at, size);
    if (size < 0) size = bytes.size;
    if (at === 0) refuseForeign(path, bytes.piece);
    at += bytes.piece.length;
    let text: string;
    try {
      text = decoder.decode(bytes.piece, { stream: at < size });
    } catch (cause) {
      const near = `near byte ${at - bytes.piece.length}`;
      throw new DataError(
        `Expected text in UTF-8 in ${path} but found other bytes ${near}; save it as UTF-8`,
        { cause },
      );
    }
    yield text;
  }
}

/** @param size of the file when its first piece was read; below 0 for the first */
function readPiece(path: string, at: number, size: number): { piece: Uint8Array; size: number } {
  try {
    return readingFile(path, (source) => {
      if (source.size >= LARGEST_FILE) {
        throw new DataError(
          `Expected a file below 2 GiB but ${path} has ${source.size} bytes; leave columns out of it, or take a part of its rows`,
        );
      }
      if (size >= 0 && source.size !== size) throw new Error("it changed while it was read");
      const piece = new Uint8Array(Math.min(PIECE, source.size - at));
      source.read(piece, at);
      return { piece, size: source.size };
    });
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(`The table ${path} could not be read: ${plainReason(cause, "reading")}`, { cause });
  }
}

/** Files that are taken for CSV by their name, or a program's habit, and are not. */
function refuseForeign(path: string, bytes: Uint8Array): void {
  const begins = (...first: number[]) => first.every((byte, i) => bytes[i] === byte);
  const found = begins(0x1f, 0x8b)
    ? "gzip: unzip it"
    : begins(0x50, 0x4b, 3, 4)
      ? "a spreadsheet or a zip file: save it as CSV"
      : begins(0xff, 0xfe) || begins(0xfe, 0xff)
        ? "text in UTF-16: save it as UTF-8"
        : null;
  if (found !== null) throw new DataError(`Expected a CSV file at ${path} but found ${found}`);
}

async function readArray(
  path: string,
  rows: readonly unknown[],
  header: readonly string[] | undefined,
  begin: BeginTable,
): Promise<void> {
  const placeOf = (at: number) => `${path}[${at}]`;
  const [first] = rows;
  if (first === undefined) throw noRows(path);
  const byName = typeof first === "object" && first !== null && !Array.isArray(first);
  if (byName && header !== undefined) {
    throw new OptionError("Expected no header for rows that are objects: their keys are the columns' names");
  }
  const names = byName
    ? Object.keys(first)
    : (header ?? firstRowAsNames(arrayAt(rows, 0, placeOf), placeOf(0)));
  const known = new Set(names);
  const take = begin(names, placeOf);
  const from = byName || header !== undefined ? 0 : 1;
  if (from === rows.length) throw noRows(path);
  for (let at = from; at < rows.length; at++) {
    if (at % ROWS === 0) await nextTurn();
    if (!byName) {
      const cells = arrayAt(rows, at, placeOf);
      if (cells.length !== names.length) throw ragged(cells.length, names.length, placeOf(at));
      take(cells, at);
      continue;
    }
    const row = rows[at] as Record<string, unknown> | null;
    if (typeof row !== "object" || row === null || Array.isArray(row)) {
      throw new OptionError(expected("an object, as the first row is,", placeOf(at), row));
    }
    for (const key of Object.keys(row)) {
      if (known.has(key)) continue;
      throw new DataError(
        `Expected the columns of the first row in ${placeOf(at)} but found ${describe(key)}; ` +
          `${didYouMean(key, names)}give every row every column, null where a value is missing`,
      );
    }
    take(
      names.map((name) => row[name]),
      at,
    );
  }
}

/** "did you mean …? " where a name is near, else nothing. */
export function didYouMean(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  return near === undefined ? "" : `did you mean ${describe(near)}? `;
}

function arrayAt(rows: readonly unknown[], at: number, placeOf: (at: number) => string): readonly unknown[] {
  const row = rows[at];
  if (Array.isArray(row) || (ArrayBuffer.isView(row) && "length" in row))
    return Array.from(row as ArrayLike<unknown>);
  throw new OptionError(expected("an array of cells, as the first row is,", placeOf(at), row));
}

/** @throws DataError where the first row is data */
function firstRowAsNames(cells: readonly unknown[], place: string): string[] {
  return cells.map((cell, i) => {
    const name = String(cell ?? "").trim();
    if (numberIn(name, ".") === null && numberIn(name, ",") === null) return name;
    const example = cells.map((_, j) => `"column-${j + 1}"`).slice(0, 3);
    throw new DataError(
      `Expected the columns' names in ${place} but found the number ${name} as number ${i + 1} of ${cells.length}; ` +
        `where there is no such line, give them: header: [${example.join(", ")}${cells.length > 3 ? ", …" : ""}]`,
    );
  });
}
