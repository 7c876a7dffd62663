/**
 * A run's folder as the command claims it:
 *
 *     run.json   metrics.jsonl   checkpoint.safetensors   report.html
 *
 * A folder belongs to one run, for its life: whoever starts another one in it says so, and is refused otherwise. And
 * while a run is under way it holds the folder (lock.ts), so nobody else starts, resumes or saves there.
 */

import { plainReason } from "../disk.ts";
import { CheckpointError } from "../errors.ts";
import { nodeModule } from "../host.ts";
import {
  CHECKPOINT_FILE,
  METRICS_FILE,
  makeFolder,
  REPORT_FILE,
  RUN_FILE,
  removeLeftBehind,
} from "./files.ts";
import { FolderLock } from "./lock.ts";

/** What to do with a folder that holds a run already. */
export type Claim = "new" | "overwrite" | "resume";

/** What a run writes; run.json, which tells that the others are a run's, goes last when they are removed. */
const FILES = [METRICS_FILE, CHECKPOINT_FILE, REPORT_FILE, RUN_FILE];

/** A folder that is held for a run. */
export interface Claimed {
  readonly directory: string;
  /** Whether it still is: somebody may have moved it, and another run may have the name now. */
  readonly held: boolean;
  /** Lets others have the folder. */
  release(): Promise<void>;
  /** The same for a run that did not start after all: a folder that was made for it is removed. */
  giveBack(): Promise<void>;
}

/**
 * Claims a folder for a run before any work, and makes it if missing. Removes nothing but what killed processes left.
 *
 * @throws CheckpointError if the folder cannot be written to, a run is under way in it, or it holds another run and
 *   `claim` is "new"
 */
export async function claimFolder(directory: string, claim: Claim): Promise<Claimed> {
  const { existsSync } = nodeModule("node:fs");
  const { join } = nodeModule("node:path");
  const made = !existsSync(directory);
  const claimed = await holdFolder(directory, made);
  const held = FILES.filter((name) => existsSync(join(directory, name)));
  const refuse = async (sentence: string) => {
    await claimed.giveBack();
    throw new CheckpointError(sentence);
  };
  if (claim === "new" && held.length > 0) {
    await refuse(
      `The folder ${directory} holds a run already (${held.at(-1)}). Go on with it by --resume ${directory}, ` +
        "replace it by --overwrite, or name another folder by --run",
    );
  }
  if (claim === "overwrite" && held.length > 0 && !held.includes(RUN_FILE)) {
    await refuse(
      `The folder ${directory} holds ${held[0]} but no ${RUN_FILE}, so this is no run to replace. ` +
        "Remove the file, or name another folder by --run",
    );
  }
  return claimed;
}

/** Claims a new folder: runs/2026-01-31T12-00-00, or the next name that nobody has. */
export async function claimNewFolder(): Promise<Claimed> {
  const { join } = nodeModule("node:path");
  const name = join("runs", new Date().toISOString().slice(0, 19).replaceAll(":", "-"));
  for (let i = 1; ; i++) {
    const directory = i === 1 ? name : `${name}-${i}`;
    try {
      await makeFolder("runs");
      await nodeModule("node:fs/promises").mkdir(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw notWritable(directory, error);
    }
    return holdFolder(directory, true);
  }
}

async function holdFolder(directory: string, made: boolean): Promise<Claimed> {
  const lock = await FolderLock.take(directory, "run").catch((error) => {
    throw notWritable(directory, error);
  });
  try {
    await removeLeftBehind(directory);
  } catch (error) {
    await lock.release();
    throw notWritable(directory, error);
  }
  return {
    directory,
    get held() {
      return lock.held;
    },
    release: () => lock.release(),
    async giveBack() {
      await lock.release();
      if (made)
        await nodeModule("node:fs/promises")
          .rmdir(directory)
          .catch(() => {}); // not empty: then it is somebody's
    },
  };
}

function notWritable(directory: string, error: unknown): CheckpointError {
  const { code } = error as NodeJS.ErrnoException;
  const sentence =
    code === "EBUSY"
      ? `The folder ${directory} is not free: ${plainReason(error)}. Wait until it has ended, or name another one by --run`
      : `The folder ${directory} cannot be written to: ${plainReason(error)}. Name another one by --run`;
  return new CheckpointError(sentence, { cause: error });
}

/** Removes what an earlier run left in a folder that is claimed, and nothing else there. */
export async function clearFolder(directory: string): Promise<void> {
  const { rm } = nodeModule("node:fs/promises");
  for (const name of FILES) await rm(nodeModule("node:path").join(directory, name), { force: true });
}
