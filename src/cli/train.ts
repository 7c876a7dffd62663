/**
 * `local-entropy train`: runs `train` into a folder, tells how it goes, and stops well on Ctrl-C.
 *
 * The folder is checked before work starts and nothing in it is replaced unless asked for. A checkpoint is written
 * at each evaluation and at least once a minute, so a killed process loses a minute.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadMnist, subset } from "../data/mnist.ts";
import { CheckpointError } from "../errors.ts";
import { openBackend } from "../operations.ts";
import type { Data, Dataset, TrainOptions } from "../options/types.ts";
import type { Run, TrainResult } from "../run.ts";
import { load } from "../runs/checkpoint.ts";
import { CHECKPOINT_FILE, RUN_FILE } from "../runs/files.ts";
import { clearFolder, prepareFolder, readRunFile, updateRunFile } from "../runs/folder.ts";
import { appendRecord, truncateMetrics } from "../runs/metrics.ts";
import { train } from "../train.ts";
import { type Given, keptFlags, type Request, requestOf, resumedFlags } from "./flags.ts";
import { Progress } from "./progress.ts";

const CHECKPOINT_INTERVAL = 60_000;
/** Rows of the test set that cross to the backend at a time. */
const PREDICTED_ROWS = 2_000;

/** Exit codes of a process that a signal stopped, as shells report them. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** Runs the command; resolves to the exit code. */
export async function trainCommand(given: Given): Promise<number> {
  const resumed = typeof given.resume === "string" ? given.resume : undefined;
  const before = resumed === undefined ? null : await flagsOf(resumed);
  const flags = before === null ? given : resumedFlags(given, before);
  const request = requestOf(flags);
  const directory = resumed ?? request.run ?? newFolder();
  const giveBack = await prepareFolder(
    directory,
    before ? "resume" : request.overwrite ? "overwrite" : "new",
  );

  let data: Data;
  let run: Run;
  let first = 0;
  try {
    data = await dataOf(request);
    const options: TrainOptions = { ...request.options, data };
    if (resumed === undefined) {
      run = train(options);
      await clearFolder(directory);
      const command = keptFlags(flags);
      await updateRunFile(directory, { command });
    } else {
      // A run that was killed before its first checkpoint begins again.
      const state = existsSync(join(directory, CHECKPOINT_FILE)) ? (await load(directory)).resume : undefined;
      first = state?.update ?? 0;
      if (first >= options.updates) {
        throw new CheckpointError(
          `The run in ${directory} is complete (${first} updates). Begin another one by --run`,
        );
      }
      run = train({ ...options, resume: state });
      await truncateMetrics(directory, first);
    }
  } catch (error) {
    await giveBack();
    throw error;
  }

  const progress = new Progress(request.options.updates, { stream: process.stderr, quiet: request.quiet });
  if (!request.quiet) progress.note(opening(run, directory, first));
  const { result, exitCode } = await follow(run, directory, progress);
  await result.save(directory);
  if (result.completed) await updateRunFile(directory, { confusion: await confusionOf(result, data.test) });
  if (request.report) await (await import("../runs/report.ts")).writeReport(directory);
  tell(result, directory, request, progress);
  return exitCode;
}

/** The flags under which the folder's run began. */
async function flagsOf(directory: string): Promise<Given> {
  const command = (await readRunFile(directory))?.command;
  if (command === undefined) {
    throw new CheckpointError(
      `The folder ${directory} holds no run of this command (its ${RUN_FILE} is missing or says no flags). ` +
        "Name the folder that --run made",
    );
  }
  return command as Given;
}

/** runs/2026-01-31T12-00-00, or the next free name. */
function newFolder(): string {
  const name = join("runs", new Date().toISOString().slice(0, 19).replaceAll(":", "-"));
  let folder = name;
  for (let i = 2; existsSync(folder); i++) folder = `${name}-${i}`;
  return folder;
}

async function dataOf({ data: { directory, trainSize, validation } }: Request): Promise<Data> {
  const data = await loadMnist({ directory, validation });
  return trainSize === undefined ? data : { ...data, train: subset(data.train, trainSize) };
}

function opening(run: Run, directory: string, first: number): string {
  const { name, instructionSet, threads, form, coupling, samples, declined } = run.backend;
  const what =
    samples === undefined ? "" : `, ${samples} ${coupling ?? ""}${coupling ? " " : ""}evaluations an update`;
  const from = first > 0 ? `Going on after update ${first}` : "Training";
  const line = `${from} into ${directory}: ${name} (${instructionSet}, ${threads} ${threads === 1 ? "thread" : "threads"}), ${form}${what}`;
  // Only a fall to the slow reference is worth a line: the rest is in the folder and in `doctor`.
  const reason = name === "reference" && declined.find((other) => other.name === "native")?.reason;
  return reason ? `${line}\nThe native backend was not taken: ${reason}` : line;
}

/** Writes records and checkpoints until the run ends; the first signal stops it, the second one leaves at once. */
async function follow(
  run: Run,
  directory: string,
  progress: Progress,
): Promise<{ result: TrainResult; exitCode: number }> {
  let exitCode = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    const code = SIGNALS[signal as keyof typeof SIGNALS];
    if (exitCode !== 0) process.exit(code);
    exitCode = code;
    progress.note("Stopping and writing a checkpoint; once more leaves at once");
    run.stop();
  };
  let saving = Promise.resolve();
  const save = () => {
    saving = saving.then(() => run.save(directory));
    saving.catch(() => run.stop()); // the error comes out below
  };
  const timer = setInterval(save, CHECKPOINT_INTERVAL);
  for (const signal of Object.keys(SIGNALS)) process.on(signal, onSignal);
  try {
    for await (const record of run) {
      appendRecord(directory, record);
      progress.record(record);
      if (record.testAccuracy !== undefined || record.validationAccuracy !== undefined) save();
    }
    const result = await run.result;
    await saving;
    return { result, exitCode };
  } finally {
    progress.end();
    clearInterval(timer);
  }
}

/** Counts of the test set: rows labels, columns predictions. */
async function confusionOf(result: TrainResult, test: Dataset | undefined): Promise<number[][] | undefined> {
  if (test === undefined) return undefined;
  const { network, parameters, backend: ran } = result;
  const counts = Array.from({ length: test.classes }, () => new Array<number>(test.classes).fill(0));
  const backend = await openBackend(ran.name, { threads: ran.threads });
  try {
    for (let begin = 0; begin < test.count; begin += PREDICTED_ROWS) {
      const part = subset(test, { from: begin, to: Math.min(test.count, begin + PREDICTED_ROWS) });
      const { labels } = await backend.predict({ network, parameters, inputs: part.inputs });
      labels.forEach((predicted, row) => {
        counts[part.labels[row]][predicted]++;
      });
    }
  } finally {
    backend.close();
  }
  return counts;
}

/** The result on stdout; how to go on, if it was stopped, on stderr. */
function tell(result: TrainResult, directory: string, request: Request, progress: Progress): void {
  const { testAccuracy, validationAccuracy, updates, seconds, completed, backend } = result;
  if (request.json) {
    const { name, instructionSet, threads, form, coupling, samples } = backend;
    const line = {
      testAccuracy,
      validationAccuracy,
      updates,
      seconds,
      backend: name,
      instructionSet,
      threads,
      form,
      coupling: coupling ?? null,
      samples: samples ?? null,
      completed,
      directory,
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  } else {
    const accuracy =
      testAccuracy === null ? "No test set" : `Test accuracy ${(100 * testAccuracy).toFixed(2)} %`;
    process.stdout.write(`${accuracy} after ${updates} updates in ${seconds.toFixed(1)} s\n`);
    process.stdout.write(`${request.report ? join(directory, "report.html") : directory}\n`);
  }
  if (!completed) progress.note(`Go on with: local-entropy train --resume ${directory}`);
}
