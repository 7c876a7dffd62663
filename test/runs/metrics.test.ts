/** `metrics.jsonl`: records come back as they went, half lines and later records are cut off. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { TrainRecord } from "../../src/run.ts";
import { METRICS_FILE } from "../../src/runs/files.ts";
import { MetricsWriter, readMetrics, recordLine, truncateMetrics } from "../../src/runs/metrics.ts";

let directory: string;
let path: string;
let writer: MetricsWriter;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "metrics-"));
  path = join(directory, METRICS_FILE);
  writer = new MetricsWriter(directory, () => true);
});
afterEach(() => rmSync(directory, { recursive: true }));

function record(update: number, more: Partial<TrainRecord> = {}): TrainRecord {
  return {
    update,
    loss: 1 / update,
    gradientNorm: update / 3,
    seconds: update / 7,
    updatesPerSecond: 7,
    ...more,
  };
}

const records = [
  record(10),
  record(20, { effectiveSampleSize: 931.25, freeEnergy: -0.1 }),
  record(30, { testAccuracy: 0.9 }),
];

test("records come back in order and exactly", () => {
  for (const each of records) writer.append(each);
  expect(readMetrics(directory)).toEqual(records);
  expect(readFileSync(path, "utf8").split("\n")).toHaveLength(records.length + 1);
});

test("a folder without the file has no records", () => {
  expect(readMetrics(directory)).toEqual([]);
});

test("a number that is not finite stays one", () => {
  writer.append(record(1, { loss: Number.POSITIVE_INFINITY }));
  expect(readMetrics(directory)).toEqual([record(1, { loss: Number.NaN })]);
});

test("half a line at the end is dropped, wherever it was cut", () => {
  const last = recordLine(records[2]);
  for (let length = 0; length < last.length; length++) {
    writeFileSync(path, records.slice(0, 2).map(recordLine).join("") + last.slice(0, length));
    expect(readMetrics(directory)).toEqual(records.slice(0, 2));
  }
});

test("truncating keeps the records up to the update, to the byte, and the next one follows", async () => {
  for (const each of records) writer.append(each);
  appendFileSync(path, '{"update":4');
  truncateMetrics(directory, 25);
  expect(readFileSync(path, "utf8")).toBe(records.slice(0, 2).map(recordLine).join(""));
  writer.append(records[2]);
  expect(readMetrics(directory)).toEqual(records);
});

test("truncating at a record's update keeps that record", async () => {
  for (const each of records) writer.append(each);
  truncateMetrics(directory, 20);
  expect(readMetrics(directory)).toEqual(records.slice(0, 2));
});

test.each(["no json", "[]", '{"update":"ten"}'])("a line %s in the middle is named", (line) => {
  writeFileSync(path, `${recordLine(records[0])}${line}\n${recordLine(records[1])}`);
  expect(() => readMetrics(directory)).toThrow(`Line 2 of ${path} is not a record of a run`);
});

test("a folder that is no longer the run's gets no record, and all of them once it is again", () => {
  let held = false;
  const careful = new MetricsWriter(directory, () => held);
  expect(() => careful.append(records[0])).toThrow(/could not be written: its folder was moved or removed/);
  expect(readMetrics(directory)).toEqual([]);
  held = true;
  careful.append(records[1]);
  expect(readMetrics(directory)).toEqual(records.slice(0, 2));
});
