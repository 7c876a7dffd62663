/**
 * `metrics.jsonl`: the records of a run, one JSON object a line, appended as they come.
 *
 * A run that was killed may leave half a line at the end: it is dropped. Resuming cuts the records off after the
 * checkpoint's update, so that the file reads as if the run had never stopped. A number that is not finite is null.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import type { TrainRecord } from "../run.ts";
import { METRICS_FILE, writeAtomically } from "./files.ts";

/** A record as its line, newline included. */
export function recordLine(record: TrainRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Appends a record; the line is in the system's hands when this returns. */
export function appendRecord(directory: string, record: TrainRecord): void {
  appendFileSync(join(directory, METRICS_FILE), recordLine(record));
}

/**
 * The records of a run's folder, in order; none if there is no file.
 *
 * @throws CheckpointError if a line other than an unfinished last one is no record
 */
export function readMetrics(directory: string): TrainRecord[] {
  const path = join(directory, METRICS_FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const lines = text.split("\n");
  lines.pop(); // after the last newline: nothing, or half a line
  return lines.map((line, index) => {
    try {
      const record: unknown = JSON.parse(line, (_, value) => (value === null ? Number.NaN : value));
      if (isRecord(record)) return record;
    } catch {}
    throw new CheckpointError(
      `Line ${index + 1} of ${path} is not a record of a run. Restore the file from a copy, or remove that line`,
    );
  });
}

/** Drops the records after `update`, and a half line at the end. */
export async function truncateMetrics(directory: string, update: number): Promise<void> {
  const kept = readMetrics(directory).filter((record) => record.update <= update);
  await writeAtomically(join(directory, METRICS_FILE), kept.map(recordLine).join(""));
}

function isRecord(value: unknown): value is TrainRecord {
  if (typeof value !== "object" || value === null) return false;
  const { update, loss, gradientNorm, seconds, updatesPerSecond } = value as Record<string, unknown>;
  return [update, loss, gradientNorm, seconds, updatesPerSecond].every(
    (number) => typeof number === "number",
  );
}
