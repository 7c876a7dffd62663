/**
 * Follows a run of the command to its end: records and checkpoints go into its folder, signals stop it.
 *
 * A file that cannot be written ends no run: it is told once and tried again at the next one's turn. What cannot be
 * written into the folder at the end goes somewhere else, and so does the last good state of a run that failed.
 */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { CheckpointError, DivergedError } from "../errors.ts";
import type { Run, TrainResult } from "../run.ts";
import type { Claimed } from "../runs/claim.ts";
import { METRICS_FILE } from "../runs/files.ts";
import { type RunFile, readRunFile, updateRunFile } from "../runs/folder.ts";
import { MetricsWriter } from "../runs/metrics.ts";
import type { Progress } from "./progress.ts";

const CHECKPOINT_INTERVAL = 60_000;

/** What is measured of a run's parameters. */
const MEASURED = ["testAccuracy", "validationAccuracy", "testErrors", "validationErrors"] as const;
/** Exit codes of a process that a signal stopped, as shells report them. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** A run, and where it goes. */
export interface Followed {
  readonly run: Run;
  readonly claimed: Claimed;
  /** What `run.json` told at the beginning, without which nobody can go on with the run. */
  readonly beginning: Pick<RunFile, "command" | "started">;
  readonly progress: Progress;
}

/** How a run ended. */
export interface Ended {
  readonly result: TrainResult;
  /** Where it is saved: its folder, or where there was room. */
  readonly directory: string;
  readonly exitCode: number;
}

/**
 * Writes records and checkpoints until the run ends; the first signal stops it, the second one leaves at once.
 *
 * @throws what the run failed with, after its last good state was saved; CheckpointError if the state could be saved
 *   nowhere
 */
export async function follow(followed: Followed): Promise<Ended> {
  const { run, claimed, progress } = followed;
  let exitCode = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    const code = SIGNALS[signal as keyof typeof SIGNALS];
    if (exitCode !== 0) process.exit(code);
    exitCode = code;
    progress.note("Stopping and writing a checkpoint; once more leaves at once");
    run.stop();
  };
  const keeper = new Keeper(followed);
  const timer = setInterval(() => keeper.checkpoint(), CHECKPOINT_INTERVAL);
  for (const signal of Object.keys(SIGNALS)) process.on(signal, onSignal);
  let result: TrainResult;
  try {
    for await (const record of run) {
      keeper.record(record);
      progress.declined(run.backend);
      progress.warning(record);
      progress.record(record);
      if (MEASURED.some((name) => record[name] !== undefined)) keeper.checkpoint();
    }
    result = await run.result;
  } catch (error) {
    progress.end();
    await keeper.ended();
    // A run that failed before it had a state has nothing to save, and says why itself.
    const place = await saveSomewhere(followed).catch((reason) => {
      if (reason !== error) progress.note((reason as Error).message);
      return null;
    });
    if (place !== null) progress.note(await goodState(place, error));
    throw error;
  } finally {
    progress.end();
    clearInterval(timer);
  }
  await keeper.ended();
  const place = await saveSomewhere(followed);
  return { result, directory: place, exitCode: place === claimed.directory ? exitCode : 1 };
}

/** Writes what a run's folder holds while the run is under way, and tells once of each kind of file that it could not. */
class Keeper {
  readonly #followed: Followed;
  readonly #metrics: MetricsWriter;
  readonly #told = new Set<string>();
  #saving: Promise<void> | null = null;

  constructor(followed: Followed) {
    this.#followed = followed;
    this.#metrics = new MetricsWriter(followed.claimed.directory, () => followed.claimed.held);
  }

  record(record: Parameters<MetricsWriter["append"]>[0]): void {
    try {
      this.#metrics.append(record);
      this.#told.delete("records");
    } catch (error) {
      this.#tell("records", error, "the next record");
    }
  }

  /** Begins to write a checkpoint, unless one is being written. */
  checkpoint(): void {
    if (this.#saving !== null) return;
    this.#saving = saveInto(this.#followed.claimed.directory, this.#followed)
      .then(
        () => void this.#told.delete("checkpoint"),
        (error) => this.#tell("checkpoint", error, "the next checkpoint"),
      )
      .finally(() => {
        this.#saving = null;
      });
  }

  /** Resolves once nothing is being written. */
  async ended(): Promise<void> {
    await this.#saving;
  }

  #tell(kind: string, error: unknown, next: string): void {
    if (!this.#told.has(kind)) {
      this.#followed.progress.note(
        `${(error as Error).message}. The run goes on, and tries again with ${next}`,
      );
    }
    this.#told.add(kind);
  }
}

/** Saves the run's state, and its beginning where the folder has lost it. */
async function saveInto(directory: string, { run, beginning }: Followed): Promise<void> {
  await run.save(directory);
  if ((await readRunFile(directory))?.command === undefined) await updateRunFile(directory, beginning);
}

/** Saves into the run's folder or, told, where there is room; where it was. */
async function saveSomewhere(followed: Followed): Promise<string> {
  const { progress } = followed;
  const { directory } = followed.claimed;
  try {
    await saveInto(directory, followed);
    return directory;
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    for (const room of [tmpdir(), homedir()]) {
      let place: string | undefined;
      try {
        place = await mkdtemp(join(room, "local-entropy-"));
        await saveInto(place, followed);
        await copyFile(join(directory, METRICS_FILE), join(place, METRICS_FILE)).catch(() => {});
        progress.note(`${error.message}. The run was saved into ${place} instead`);
        return place;
      } catch {
        if (place !== undefined) await rm(place, { recursive: true, force: true }).catch(() => {});
      }
    }
    throw error;
  }
}

async function goodState(directory: string, error: unknown): Promise<string> {
  const { updates } = (await readRunFile(directory)) ?? {};
  const state = `The last good state, after ${updates} updates, is in ${directory}`;
  // What diverged would do so again.
  return error instanceof DivergedError
    ? state
    : `${state}. Go on with: local-entropy train --resume ${directory}`;
}
