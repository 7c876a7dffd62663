/**
 * `local-entropy train`: runs `train` into a folder, tells how it goes, and stops well on Ctrl-C.
 *
 * The folder is held before work starts, so that no other run has it, and nothing in it is replaced unless asked for. A
 * checkpoint is written at each evaluation and at least once a minute, so a killed process loses a minute.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { subset } from "../data/mnist.ts";
import { CheckpointError } from "../errors.ts";
import { openBackend } from "../operations.ts";
import type { Data, Dataset } from "../options/types.ts";
import type { Run, TrainResult } from "../run.ts";
import { load } from "../runs/checkpoint.ts";
import { type Claimed, claimFolder, claimNewFolder, clearFolder } from "../runs/claim.ts";
import { CHECKPOINT_FILE, RUN_FILE } from "../runs/files.ts";
import { type RunFile, readRunFile, updateRunFile } from "../runs/folder.ts";
import { truncateMetrics } from "../runs/metrics.ts";
import { train } from "../train.ts";
import { dataOf, networkFor } from "./data.ts";
import { type Given, keptFlags, type Request, requestOf, resumedFlags } from "./flags.ts";
import { type Ended, follow } from "./follow.ts";
import { Progress } from "./progress.ts";

/** Rows of the test set that cross to the backend at a time. */
const PREDICTED_ROWS = 2_000;

/** Runs the command; resolves to the exit code. */
export async function trainCommand(given: Given): Promise<number> {
  const resumed = typeof given.resume === "string" ? given.resume : undefined;
  if (resumed !== undefined) return resume(given, resumed);
  const request = requestOf(given);
  const claimed =
    request.run === undefined
      ? await claimNewFolder()
      : await claimFolder(request.run, request.overwrite ? "overwrite" : "new");
  return running(claimed, request, async (data) => ({
    run: train({ ...request.options, network: networkFor(request, data), data }),
    first: 0,
    async begin() {
      await clearFolder(claimed.directory);
      await updateRunFile(claimed.directory, { command: keptFlags(given) });
    },
  }));
}

async function resume(given: Given, directory: string): Promise<number> {
  // Before the folder is held, which makes it, and again when nobody else can change it.
  await flagsOf(directory);
  const claimed = await claimFolder(directory, "resume");
  let request: Request;
  let flags: Given;
  try {
    flags = resumedFlags(given, await flagsOf(directory));
    request = requestOf(flags);
  } catch (error) {
    await claimed.giveBack();
    throw error;
  }
  return running(claimed, request, async (data) => {
    // A run that was killed before its first checkpoint begins again.
    const state = existsSync(join(directory, CHECKPOINT_FILE)) ? (await load(directory)).resume : undefined;
    const first = state?.update ?? 0;
    if (first >= request.options.updates) {
      throw new CheckpointError(
        `The run in ${directory} is complete (${first} updates). Go on with it by --updates and more than ${first}, or begin another one by --run`,
      );
    }
    return {
      run: train({ ...request.options, network: networkFor(request, data), data, resume: state }),
      first,
      async begin() {
        await truncateMetrics(directory, first);
        await updateRunFile(directory, { command: keptFlags(flags) });
      },
    };
  });
}

/** A run that has started. */
interface Started {
  readonly run: Run;
  /** Updates that were done before. */
  readonly first: number;
  /** Makes the folder ready for it. */
  begin(): Promise<void>;
}

/** Starts a run in a folder that is claimed for it, follows it to its end, and tells what it came to. */
async function running(
  claimed: Claimed,
  request: Request,
  start: (data: Data) => Promise<Started>,
): Promise<number> {
  const { directory } = claimed;
  let data: Data;
  let started: Started | undefined;
  let beginning: Pick<RunFile, "command" | "started">;
  try {
    data = await dataOf(request.data, request.options.seed);
    started = await start(data);
    await started.begin();
    beginning = (await readRunFile(directory)) as RunFile;
  } catch (error) {
    started?.run.stop();
    await claimed.giveBack();
    throw error;
  }
  const progress = new Progress(request.options.updates, { stream: process.stderr, quiet: request.quiet });
  const { run, first } = started;
  if (!request.quiet) progress.note(opening(run, directory, first));
  if (run.changed.length > 0) progress.note(`Other options than before: ${run.changed.join(", ")}`);
  progress.declined(run.backend);
  try {
    const { command, started: when } = beginning;
    const ended = await follow({ run, claimed, beginning: { command, started: when }, progress });
    const whole = await finish(ended, data, request).catch((error: Error) => error);
    tell(ended, request, progress);
    if (whole instanceof Error) throw whole;
    return ended.exitCode;
  } finally {
    await claimed.release();
  }
}

/** What follows a run that is saved: its confusion matrix and its report. */
async function finish({ result, directory }: Ended, data: Data, request: Request): Promise<void> {
  if (result.completed) await updateRunFile(directory, { confusion: await confusionOf(result, data.test) });
  if (request.report) await (await import("../runs/report.ts")).writeReport(directory);
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

function opening(run: Run, directory: string, first: number): string {
  const { name, instructionSet, threads, form, coupling, samples } = run.backend;
  const what =
    samples === undefined ? "" : `, ${samples} ${coupling ?? ""}${coupling ? " " : ""}evaluations an update`;
  const from = first > 0 ? `Going on after update ${first}` : "Training";
  return `${from} into ${directory}: ${name} (${instructionSet}, ${threads} ${threads === 1 ? "thread" : "threads"}), ${form}${what}`;
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
function tell({ result, directory }: Ended, request: Request, progress: Progress): void {
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
