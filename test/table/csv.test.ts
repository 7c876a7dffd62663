/**
 * CSV text to records: quotes, ends of lines, delimiters, lines as an editor counts them, and the same records however the
 * text comes in pieces.
 */
import { expect, test } from "@jest/globals";
import { csvRecords } from "../../src/table/csv.ts";
import { table } from "../../src/table/table.ts";

/** Records of a text that comes in pieces of so many characters. */
function recordsOf(text: string, size = text.length) {
  const take = csvRecords("the text");
  const records = [];
  for (let at = 0; at < text.length; at += size) records.push(...take(text.slice(at, at + size), false));
  return [...records, ...take("", true)];
}

const HARD =
  '\ufeffname,"a, b",note\r\n1,"2 ""x""",é\n"line\r\nbreak",3,"end"\r\r\n  \n"",,"x"\n😀,"5",\'q"q\'\n"last","",7';

test("quotes, a byte order mark, every end of a line, and the line that a record begins in", () => {
  expect(recordsOf(HARD)).toEqual([
    [["name", "a, b", "note"], 1],
    [["1", '2 "x"', "é"], 2],
    [["line\nbreak", "3", "end"], 3],
    [["", "", "x"], 7],
    [["😀", "5", "'q\"q'"], 8],
    [["last", "", "7"], 9],
  ]);
});

test.each([1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 17, 23, 40])("the same records from pieces of %i", (size) => {
  expect(recordsOf(HARD, size)).toEqual(recordsOf(HARD));
});

test.each([
  ["a;b\n1,5;2\n", "1,5"],
  ["a\tb\n1,5\t2\n", "1,5"],
  ["a|b\n1;5|2\n", "1;5"],
  ['"x;y;z",b\n1;5,2\n', "1;5"],
  ["\n\na;b\n1,5;2\n", "1,5"],
])("the delimiter is what parts the first line: %j", (text, cell) => {
  expect(recordsOf(text)[1][0]).toEqual([cell, "2"]);
});

test.each([
  ['a,b\n"open,1\n2,3\n', "is not closed in the record that begins in line 2"],
  ['a,b\n1,2\n"shut"x,1\n2,3\n', "ends within its cell in the record that begins in line 3"],
])("quotes that do not fit are named by their line: %j", (text, message) => {
  expect(() => recordsOf(text)).toThrow(message);
  expect(() => recordsOf(text, 3)).toThrow(message);
});

test("a quote that is left open ends the reading before it takes the file", () => {
  const take = csvRecords("the text");
  const megabyte = "1,2\n".repeat(2 ** 18);
  const all = () => {
    for (let i = 0; i < 20; i++) for (const _ of take(i === 0 ? `a,b\n"${megabyte}` : megabyte, false));
  };
  expect(all).toThrow("is not closed in the record that begins in line 2");
});

test("inputs above 2 GiB are refused before they are made", async () => {
  const rows = Array.from({ length: 30_000 }, (_, i) => [
    ...Array.from({ length: 40 }, (_, c) => `c${(i + c) % 900}`),
    i % 2,
  ]);
  const header = [...Array.from({ length: 40 }, (_, c) => `x${c}`), "y"];
  await expect(table(rows, { label: "y", header })).rejects.toThrow(
    "Expected inputs below 2 GiB but 30000 rows of",
  );
});
