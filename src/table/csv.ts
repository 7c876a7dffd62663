/**
 * CSV in pieces: text to records of cells, each with the line that it begins in.
 *
 * Papa Parse knows quotes; what it would have to guess of a text (RFC 4180 leaves much open) is settled before: the byte
 * order mark is taken off, every end of a line is one LF, and the delimiter is the one that parts the first line most.
 */
import Papa from "papaparse";
import { DataError } from "../errors.ts";

/** Cells of a record, and the line in which it begins, counted from 1. */
export type CsvRecord = readonly [cells: readonly string[], line: number];

/** In order of preference. */
const DELIMITERS = [",", ";", "\t", "|"];
/** Characters of a record: more, and a quote was left open. */
const LONGEST_RECORD = 2 ** 24;

/**
 * @param what the text is, for errors
 * @returns a function that takes the text piece by piece, `last` with the last, and gives the records that are whole
 */
export function csvRecords(what: string): (piece: string, last: boolean) => Iterable<CsvRecord> {
  let rest = "";
  let line = 1;
  let parser: Papa.Parser | null = null;
  let begun = false;
  return function* records(piece, last) {
    let text = rest + piece;
    rest = "";
    if (!begun && text !== "") {
      begun = true;
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    // The LF of a CR at the end may be in the next piece.
    const held = !last && text.endsWith("\r") ? "\r" : "";
    text = text.slice(0, text.length - held.length).replace(/\r\n?/g, "\n");
    parser ??= parserOf(text, last);
    const { data, errors, meta } = parser?.parse(text, 0, !last) ?? {
      data: [],
      errors: [],
      meta: { cursor: 0 },
    };
    const [fault] = errors.filter(({ row }: { row: number }) => last || row < data.length);
    for (const [row, cells] of (data as string[][]).entries()) {
      if (fault?.row === row) throw badQuotes(what, line, fault.code);
      // Between two line ends there is nothing: no record.
      if (cells.length > 1 || cells[0].trim() !== "") yield [cells, line];
      line += 1 + breaksIn(cells);
    }
    rest = (last ? "" : text.slice(meta.cursor)) + held;
    if (rest.length > LONGEST_RECORD) throw badQuotes(what, line, "MissingQuotes");
  };
}

/** Null while the first line is not whole. */
function parserOf(text: string, last: boolean): Papa.Parser | null {
  const outside = text.replace(/"[^"]*(?:"|$)/g, "").trimStart();
  const end = outside.indexOf("\n");
  if (end < 0 && !last) return null;
  const first = end < 0 ? outside : outside.slice(0, end);
  const counts = DELIMITERS.map((delimiter) => first.split(delimiter).length);
  const delimiter = DELIMITERS[counts.indexOf(Math.max(...counts))];
  return new Papa.Parser({ delimiter, newline: "\n" });
}

/** Line ends within cells. */
function breaksIn(cells: readonly string[]): number {
  let breaks = 0;
  for (const cell of cells) {
    for (let at = cell.indexOf("\n"); at >= 0; at = cell.indexOf("\n", at + 1)) breaks++;
  }
  return breaks;
}

function badQuotes(what: string, line: number, code: string): DataError {
  const found = code === "MissingQuotes" ? "one that is not closed" : "one that ends within its cell";
  return new DataError(
    `Expected whole quoted cells in ${what} but found ${found} in the record that begins in line ${line}; ` +
      'a quote within quotes is written twice, as in "5"" pipe"',
  );
}
