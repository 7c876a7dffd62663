/**
 * A run's folder, and its `run.json`: the options as given, what ran, versions, times and the result.
 *
 *     run.json   metrics.jsonl   checkpoint.safetensors   report.html
 *
 * A folder belongs to one run. Whoever starts another one in it says so, and is refused otherwise.
 */
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { nodeModule } from "../host.ts";
import type { BackendReport } from "../run.ts";
import {
  CHECKPOINT_FILE,
  METRICS_FILE,
  makeFolder,
  packageVersion,
  plainReason,
  REPORT_FILE,
  RUN_FILE,
  writeAtomically,
} from "./files.ts";

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

const fraction = z.number().min(0).max(1).nullable().optional();

/** Only what is read back is asked for; the rest may grow. */
const runFile = z.looseObject({
  versions: z.object({ package: z.string(), node: z.string(), platform: z.string() }),
  started: z.string(),
  fingerprint: z.string().optional(),
  command: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  confusion: z.array(z.array(z.number().int().min(0))).optional(),
  options: z.record(z.string(), z.unknown()).optional(),
  backend: z
    .looseObject({
      name: z.string(),
      instructionSet: z.string(),
      threads: z.number(),
      form: z.string(),
      coupling: z.string().optional(),
      samples: z.number().optional(),
      declined: z.array(z.object({ name: z.string(), reason: z.string() })),
    })
    .optional(),
  updates: z.number().int().min(0).optional(),
  seconds: z.number().min(0).optional(),
  completed: z.boolean().optional(),
  testAccuracy: fraction,
  validationAccuracy: fraction,
});

/**
 * Reads `run.json`; null where there is none.
 *
 * @throws CheckpointError if it is not what a run writes
 */
export async function readRunFile(directory: string): Promise<RunFile | null> {
  const path = nodeModule("node:path").join(directory, RUN_FILE);
  let text: string;
  try {
    text = await nodeModule("node:fs/promises").readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new CheckpointError(`The file ${path} could not be read: ${plainReason(error)}`, { cause: error });
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`The file ${path} is not JSON. Restore it from a copy, or remove it`, {
      cause: error,
    });
  }
  const checked = runFile.safeParse(content);
  if (!checked.success) {
    const { path: keys, message } = checked.error.issues[0];
    throw new CheckpointError(
      `The file ${path} does not describe a run (${keys.join(".")}: ${message}). Restore it from a copy, or remove it`,
    );
  }
  return checked.data as RunFile;
}

/**
 * Writes what is known now into `run.json`, and keeps what else the same run had told; begins the file if there
 * is none. A file with another fingerprint is another run's, and nothing of it is kept.
 */
export async function updateRunFile(directory: string, news: Partial<RunFile>): Promise<void> {
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
  await writeAtomically(nodeModule("node:path").join(directory, RUN_FILE), `${text}\n`);
}

/** What to do with a folder that holds a run already. */
export type Claim = "new" | "overwrite" | "resume";

/**
 * Makes sure, before any work, that a run can write into a folder; makes it if missing. Removes nothing.
 *
 * @returns a function that takes the folder back if the run does not start after all: it is removed if it was made here
 * @throws CheckpointError if the folder cannot be written to, or holds another run and `claim` is "new"
 */
export async function prepareFolder(directory: string, claim: Claim): Promise<() => Promise<void>> {
  const { existsSync } = nodeModule("node:fs");
  const { open, rm, rmdir } = nodeModule("node:fs/promises");
  const { join } = nodeModule("node:path");
  const held = [RUN_FILE, METRICS_FILE, CHECKPOINT_FILE, REPORT_FILE].find((name) =>
    existsSync(join(directory, name)),
  );
  if (claim === "new" && held !== undefined) {
    throw new CheckpointError(
      `The folder ${directory} holds a run already (${held}). Go on with it by --resume ${directory}, ` +
        "replace it by --overwrite, or name another folder by --run",
    );
  }
  try {
    const made = !existsSync(directory);
    await makeFolder(directory);
    const probe = join(directory, `.probe-${process.pid}`);
    await (await open(probe, "w")).close();
    await rm(probe);
    return async () => {
      if (made) await rmdir(directory).catch(() => {}); // not empty: then it is somebody's
    };
  } catch (error) {
    throw new CheckpointError(
      `The folder ${directory} cannot be written to: ${plainReason(error)}. Name another one by --run`,
      { cause: error },
    );
  }
}

/** Removes what an earlier run left in a folder, and nothing else there. */
export async function clearFolder(directory: string): Promise<void> {
  const { rm } = nodeModule("node:fs/promises");
  const { join } = nodeModule("node:path");
  for (const name of [RUN_FILE, METRICS_FILE, CHECKPOINT_FILE, REPORT_FILE]) {
    await rm(join(directory, name), { force: true });
  }
}
