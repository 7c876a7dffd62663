/**
 * `metrics.jsonl`: the records of a run, one JSON object a line, appended as they come.
 *
 * A run that was killed may leave half a line at the end: it is dropped. Resuming cuts the records off after the
 * checkpoint's update, so that the file reads as if the run had never stopped. A number that is not finite is null.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { plainReason, readingFile, type Source } from "../disk.ts";
import { CheckpointError } from "../errors.ts";
import type { TrainRecord } from "../run.ts";
import { METRICS_FILE } from "./files.ts";
import { parseJson } from "./json.ts";

const NEWLINE = 10;
/** Most bytes of a line: a record has some hundred. */
const LONGEST = 2 ** 16;
/** Most records that are kept in memory, for a report or while they cannot be written. */
const MOST = 100_000;
/** Bytes that are read at a time. */
const PIECE = 2 ** 20;

/** A record as its line, newline included. */
export function recordLine(record: TrainRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Appends to a run's records. What could not be written is kept, and goes with the next record. */
export class MetricsWriter {
  readonly #path: string;
  readonly #held: () => boolean;
  #waiting: string[] = [];

  /** @param held whether the folder still is the run's */
  constructor(directory: string, held: () => boolean) {
    this.#held = held;
    this.#path = join(directory, METRICS_FILE);
  }

  /**
   * The line is in the system's hands when this returns.
   *
   * @throws CheckpointError if it could not be written
   */
  append(record: TrainRecord): void {
    this.#waiting.push(recordLine(record));
    if (this.#waiting.length > MOST) this.#waiting.shift();
    this.#flush();
  }

  #flush(): void {
    try {
      if (!this.#held()) throw new Error("its folder was moved or removed");
      const file = openSync(this.#path, "a");
      const before = fstatSync(file).size;
      try {
        const bytes = Buffer.from(this.#waiting.join(""));
        for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
        this.#waiting = [];
      } catch (error) {
        ftruncateSync(file, before); // no half line in the middle, and none twice
        throw error;
      } finally {
        closeSync(file);
      }
    } catch (error) {
      throw new CheckpointError(`The records ${this.#path} could not be written: ${plainReason(error)}`, {
        cause: error,
      });
    }
  }
}

/**
 * The records of a run's folder, in order; none if there is no file. Of more than 100,000 every second, fourth, … is
 * left out, but none with an accuracy before all others are.
 *
 * @throws CheckpointError if the file cannot be read, or a line other than an unfinished last one is no record
 */
export function readMetrics(directory: string): TrainRecord[] {
  const path = join(directory, METRICS_FILE);
  return reading(path, (source) => thinned(recordsIn(source, path))) ?? [];
}

/** Drops the records after `update`, and a half line at the end. */
export function truncateMetrics(directory: string, update: number): void {
  const path = join(directory, METRICS_FILE);
  const kept = reading(path, (source) => {
    let length = 0;
    for (const { record, end } of recordsIn(source, path)) {
      if (record.update > update) break;
      length = end;
    }
    return length;
  });
  if (kept === null) return;
  try {
    // In place: it needs no room, and is done or not done.
    const file = openSync(path, "r+");
    try {
      ftruncateSync(file, kept);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new CheckpointError(`The records ${path} could not be cut off: ${plainReason(error)}`, {
      cause: error,
    });
  }
}

/** Null if there is no such file. */
function reading<Result>(path: string, use: (source: Source) => Result): Result | null {
  try {
    return readingFile(path, use);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new CheckpointError(`The records ${path} could not be read: ${plainReason(error, "reading")}`, {
      cause: error,
    });
  }
}

/** The records of a file, with the place where each one's line ends; after the last newline there may be half a line. */
export function* recordsIn(source: Source, path: string): Generator<{ record: TrainRecord; end: number }> {
  const piece = new Uint8Array(Math.min(PIECE, source.size));
  let begin = 0;
  let line = 0;
  while (begin < source.size) {
    const bytes = piece.subarray(0, Math.min(piece.length, source.size - begin));
    source.read(bytes, begin);
    let used = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, used)) {
      line++;
      const record = parseRecord(bytes.subarray(used, at));
      if (record === null) throw notRecord(line, path);
      used = at + 1;
      yield { record, end: begin + used };
    }
    begin += used;
    if (used === 0 && bytes.length > LONGEST) throw notRecord(line + 1, path);
    if (used === 0) return;
  }
}

function notRecord(line: number, path: string): CheckpointError {
  return new CheckpointError(
    `Line ${line} of ${path} is not a record of a run. Restore the file from a copy, or remove that line`,
  );
}

function parseRecord(line: Uint8Array): TrainRecord | null {
  if (line.length > LONGEST) return null;
  try {
    const record = numbersOf(parseJson(line, 2));
    if (record === null) return null;
    for (const name of ERRORS) if (record[name] !== undefined) record[name] = numbersOf(record[name]);
    return isRecord(record) ? record : null;
  } catch {
    return null;
  }
}

/** An object's copy, in which NaN stands where null stood; null where it is none. */
function numbersOf(read: unknown): Record<string, unknown> | null {
  if (typeof read !== "object" || read === null || Array.isArray(read)) return null;
  const numbers: Record<string, unknown> = { ...read };
  for (const name in numbers) if (numbers[name] === null) numbers[name] = Number.NaN;
  return numbers;
}

const ALWAYS = ["loss", "gradientNorm", "seconds", "updatesPerSecond"];
const ACCURACIES = ["testAccuracy", "validationAccuracy"];
const SOMETIMES = ["effectiveSampleSize", "freeEnergy", ...ACCURACIES];
const ERRORS = ["testErrors", "validationErrors"];
const OF_ERRORS = ["rootMeanSquareError", "meanAbsoluteError", "rSquared"];

function isRecord(record: Record<string, unknown>): record is Record<string, unknown> & TrainRecord {
  return (
    Number.isSafeInteger(record.update) &&
    ALWAYS.every((name) => typeof record[name] === "number") &&
    SOMETIMES.every((name) => record[name] === undefined || typeof record[name] === "number") &&
    ERRORS.every((name) => record[name] === undefined || areErrors(record[name])) &&
    Object.keys(record).every((name) => ERRORS.includes(name) || typeof record[name] !== "object") &&
    (record.warning === undefined || typeof record.warning === "string")
  );
}

function areErrors(value: unknown): boolean {
  const errors = value as Record<string, unknown> | null;
  return errors !== null && OF_ERRORS.every((name) => typeof errors[name] === "number");
}

function thinned(all: Iterable<{ record: TrainRecord }>): TrainRecord[] {
  let kept: TrainRecord[] = [];
  let every = 1;
  let count = 0;
  const measured = (record: TrainRecord) => [...ACCURACIES, ...ERRORS].some((name) => name in record);
  for (const { record } of all) {
    if (count++ % every === 0 || measured(record)) kept.push(record);
    if (kept.length <= MOST) continue;
    every *= 2;
    const fewer = kept.filter((each, i) => i % 2 === 0 || measured(each));
    kept = fewer.length <= MOST ? fewer : kept.filter((_, i) => i % 2 === 0);
  }
  return kept;
}
