/**
 * `run.json` of a run's folder: the options as given, what ran, versions, times and the result.
 */
import * as z from "zod/mini";
import english from "zod/v4/locales/en.js";
import { fileBytes, plainReason, readingFile } from "../disk.ts";
import { CheckpointError } from "../errors.ts";
import { nodeModule } from "../host.ts";
import type { RegressionErrors } from "../measures.ts";
import type { BackendReport } from "../run.ts";
import { packageVersion, RUN_FILE, writeAtomically, writing } from "./files.ts";
import { parseJson } from "./json.ts";

/** What a run tells `run.json` about itself. */
export interface RunReport {
  /** The options as given, as plain JSON (data as counts, schedules by their text). */
  readonly options: Readonly<Record<string, unknown>>;
  /** What ran, and why nothing better did. */
  readonly backend: BackendReport;
  /** Updates done. */
  readonly updates: number;
  /** Time spent in updates, in seconds, evaluation left out. */
  readonly seconds: number;
  /** Whether all updates were done. */
  readonly completed: boolean;
  /** Fraction 0 … 1 of the test rows, where it was measured. */
  readonly testAccuracy: number | null;
  /** The same of the validation rows. */
  readonly validationAccuracy: number | null;
  /** How far off the outputs of the test rows are, of a regression; left out before there were regressions. */
  readonly testErrors?: RegressionErrors | null;
  /** The same of the validation rows. */
  readonly validationErrors?: RegressionErrors | null;
}

/** `run.json`. What a run has not told yet is left out. */
export interface RunFile extends Partial<RunReport> {
  /** Of the `package` and of `node`; `platform` as "linux-x64". */
  readonly versions: { readonly package: string; readonly node: string; readonly platform: string };
  /** When the folder's run began, ISO 8601. */
  readonly started: string;
  /** Fingerprint of the options that shape the numbers. */
  readonly fingerprint?: string;
  /** What the command line was given: enough to go on with the run. */
  readonly command?: Readonly<Record<string, string | number | boolean>>;
  /** Counts of the test set at the end: rows labels, columns predictions. */
  readonly confusion?: readonly (readonly number[])[];
}

const count = z.int().check(z.minimum(0));
/** A number that is not finite is null in a file. */
const error = z.nullable(z.number());
const errors = z.optional(
  z.nullable(z.looseObject({ rootMeanSquareError: error, meanAbsoluteError: error, rSquared: error })),
);
const fraction = z.optional(z.nullable(z.number().check(z.minimum(0), z.maximum(1))));

/** Only what is read back is asked for; the rest may grow. */
const runFile = z.looseObject({
  versions: z.object({ package: z.string(), node: z.string(), platform: z.string() }),
  started: z.string(),
  fingerprint: z.optional(z.string()),
  command: z.optional(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))),
  confusion: z.optional(z.array(z.array(count))),
  options: z.optional(z.record(z.string(), z.unknown())),
  backend: z.optional(
    z.looseObject({
      name: z.string(),
      instructionSet: z.string(),
      threads: z.number(),
      form: z.string(),
      coupling: z.optional(z.string()),
      samples: z.optional(z.number()),
      declined: z.array(z.object({ name: z.string(), reason: z.string() })),
    }),
  ),
  updates: z.optional(count),
  seconds: z.optional(z.number().check(z.minimum(0))),
  completed: z.optional(z.boolean()),
  testAccuracy: fraction,
  validationAccuracy: fraction,
  testErrors: errors,
  validationErrors: errors,
});

/** What is wrong, in English, whatever an application has told a zod of its own to speak. */
const ENGLISH = { error: english().localeError };

/** A run writes some kilobytes, or as many more as its matrices of costs and of confusion need. */
const LARGEST = 2 ** 28;
/** How many objects and lists stand in each other at most: no option goes half as deep. */
const DEEPEST = 100;

/**
 * Reads `run.json`; null where there is none.
 *
 * @throws CheckpointError if it is not what a run writes
 */
export async function readRunFile(directory: string): Promise<RunFile | null> {
  const path = nodeModule("node:path").join(directory, RUN_FILE);
  let bytes: Uint8Array;
  try {
    bytes = readingFile(path, (source) => {
      if (source.size > LARGEST) throw new Error(`it has ${source.size} bytes, of ${LARGEST} at most`);
      return fileBytes(source);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new CheckpointError(
      `The file ${path} could not be read: ${plainReason(error, "reading")}. Restore it from a copy, or remove it`,
      { cause: error },
    );
  }
  return parseRunFile(bytes, path);
}

/** What `run.json` says, from its bytes; `path` is for errors. */
export function parseRunFile(bytes: Uint8Array, path: string): RunFile {
  let content: unknown;
  try {
    content = parseJson(bytes, DEEPEST);
  } catch (error) {
    throw new CheckpointError(`The file ${path} is not JSON. Restore it from a copy, or remove it`, {
      cause: error,
    });
  }
  const checked = runFile.safeParse(content, ENGLISH);
  if (!checked.success) {
    const { path: keys, message } = checked.error.issues[0];
    throw new CheckpointError(
      `The file ${path} does not describe a run (${keys.join(".")}: ${message}). Restore it from a copy, or remove it`,
    );
  }
  return checked.data as RunFile;
}

/**
 * The text of `run.json` with what is known now, and what else the same run had told; the file's beginning if there is
 * none. A file with another fingerprint is another run's, and nothing of it is kept.
 */
export async function updatedRunFile(directory: string, news: Partial<RunFile>): Promise<string> {
  const old = await readRunFile(directory);
  const another =
    news.fingerprint !== undefined && old?.fingerprint !== undefined && old.fingerprint !== news.fingerprint;
  const versions = {
    package: packageVersion(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
  };
  const started = new Date().toISOString();
  const content: RunFile = { started, ...(another ? {} : old), versions, ...news };
  // Rows of numbers on one line each.
  const text = JSON.stringify(content, null, 2).replace(/\[\n[\s\d.,e+-]*\]/g, (row) =>
    row.replace(/\s+/g, " "),
  );
  return `${text}\n`;
}

/**
 * Writes what is known now into `run.json`. The caller holds the folder.
 *
 * @throws CheckpointError if it cannot be read or written
 */
export async function updateRunFile(directory: string, news: Partial<RunFile>): Promise<void> {
  const path = nodeModule("node:path").join(directory, RUN_FILE);
  await writing(`The file ${path}`, async () => writeAtomically(path, await updatedRunFile(directory, news)));
}
