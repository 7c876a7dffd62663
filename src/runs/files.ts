/**
 * The files of a run's folder: their names, writing one whole or not at all, and the version that wrote it.
 *
 * A file is written beside its place, flushed to the disk and renamed over what was there: whoever reads sees the
 * old file or the new one, never a part, even if the process or the machine dies in between.
 */

import { pieces, plainReason } from "../disk.ts";
import { CheckpointError } from "../errors.ts";
import { nodeModule } from "../host.ts";
import { VERSION } from "../version.ts";

/** What a run's folder holds. */
export const RUN_FILE = "run.json";
export const METRICS_FILE = "metrics.jsonl";
export const CHECKPOINT_FILE = "checkpoint.safetensors";
export const REPORT_FILE = "report.html";

/**
 * Makes a folder and those above it. Whether one is there is told by making it, never by looking before: others may make
 * the same one meanwhile. Node's own recursive mkdir never returns where nothing can be made (/proc).
 */
export async function makeFolder(directory: string): Promise<void> {
  const { mkdir, stat } = nodeModule("node:fs/promises");
  const make = async (above: boolean): Promise<void> => {
    try {
      await mkdir(directory);
    } catch (error) {
      const parent = nodeModule("node:path").dirname(directory);
      if (above && (error as NodeJS.ErrnoException).code === "ENOENT" && parent !== directory) {
        await makeFolder(parent);
        return make(false);
      }
      const there = await stat(directory).catch(() => null);
      if (!there?.isDirectory()) throw error;
    }
  };
  return make(true);
}

/** A file that is whole on the disk, beside its place. */
export interface Staged {
  /** Puts it in its place, over what was there. */
  place(): Promise<void>;
  /** Removes it, unless it is in its place. */
  drop(): Promise<void>;
}

/** Writes a file beside its place; on error nothing is left behind. */
export async function stage(path: string, parts: Iterable<Uint8Array | string>): Promise<Staged> {
  const { open, rename, rm } = nodeModule("node:fs/promises");
  // No other process, thread or copy of this module makes the same name.
  const beside = `${path}.${nodeModule("node:crypto").randomBytes(8).toString("hex")}.tmp`;
  const drop = () => rm(beside, { force: true });
  const file = await open(beside, "wx");
  try {
    try {
      for (const part of parts) {
        if (typeof part === "string") await file.writeFile(part);
        else for (const piece of pieces(part)) await file.writeFile(piece);
      }
      await flushed(file.fd);
    } finally {
      await file.close();
    }
  } catch (error) {
    await drop();
    throw error;
  }
  return { place: () => rename(beside, path), drop };
}

/**
 * Waits until a file is on the disk. By its number: yarn's Plug'n'Play puts files of its own in the place of Node's, which
 * have no `sync`.
 */
const flushed = (file: number) => nodeModule("node:util").promisify(nodeModule("node:fs").fsync)(file);

/** Replaces `path` by `content`; on error, what was there stays and nothing is left behind. */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const staged = await stage(path, [content]);
  try {
    await staged.place();
  } finally {
    await staged.drop();
  }
}

/** Of the files that are written only by who holds the folder: a report is not. */
const LEFT_BEHIND = /^(?:run\.json|metrics\.jsonl|checkpoint\.safetensors)\.[\da-f-]+\.tmp$/;

/** Removes what a process that was killed while it wrote left beside its files. Only for who holds the folder. */
export async function removeLeftBehind(directory: string): Promise<void> {
  const { readdir, rm } = nodeModule("node:fs/promises");
  for (const name of await readdir(directory)) {
    if (LEFT_BEHIND.test(name)) await rm(nodeModule("node:path").join(directory, name), { force: true });
  }
}

/** Version of this package: a constant, since in a bundle no package.json of ours lies anywhere. */
export function packageVersion(): string {
  return VERSION;
}

/**
 * Does the work of writing a file.
 *
 * @param subject what could not be written, with its path
 * @throws CheckpointError that says why it could not, and what to do
 */
export async function writing<Result>(subject: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(`${subject} could not be written: ${plainReason(error)}. ${whatToDo(error)}`, {
      cause: error,
    });
  }
}

function whatToDo(error: unknown): string {
  switch ((error as NodeJS.ErrnoException | null)?.code) {
    case "ENOSPC":
    case "EDQUOT":
      return "Make room, or name a directory on another disk";
    case "EBUSY":
      return "Wait until it has ended, or name another directory";
    case "EFBIG":
      return "Raise the limit of a file's size (ulimit -f), or name a directory on another disk";
    case "EMFILE":
    case "ENFILE":
      return "Close some, or raise the limit (ulimit -n), and save again";
    default:
      if (error instanceof RangeError) return "Free memory, and save again";
      return "Name a directory that can be written to";
  }
}
