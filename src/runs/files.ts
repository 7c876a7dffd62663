/**
 * The files of a run's folder: their names, writing one whole or not at all, and the version that wrote it.
 *
 * A file is written beside its place, flushed to the disk and renamed over what was there: whoever reads sees the
 * old file or the new one, never a part, even if the process or the machine dies in between.
 */
import { nodeModule } from "../host.ts";
import { VERSION } from "../version.ts";

/** What a run's folder holds. */
export const RUN_FILE = "run.json";
export const METRICS_FILE = "metrics.jsonl";
export const CHECKPOINT_FILE = "checkpoint.safetensors";
export const REPORT_FILE = "report.html";

/** Makes a folder and those above it. Node's own recursive mkdir never returns where nothing can be made (/proc). */
export async function makeFolder(directory: string): Promise<void> {
  if (nodeModule("node:fs").existsSync(directory)) return;
  await makeFolder(nodeModule("node:path").dirname(directory));
  await nodeModule("node:fs/promises").mkdir(directory);
}

let written = 0;

/** Replaces `path` by `content`; on error, what was there stays and nothing is left behind. */
export async function writeAtomically(path: string, content: Uint8Array | string): Promise<void> {
  const { open, rename, rm } = nodeModule("node:fs/promises");
  const beside = `${path}.${process.pid}-${written++}.tmp`;
  try {
    const file = await open(beside, "wx");
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** Version of this package: a constant, since in a bundle no package.json of ours lies anywhere. */
export function packageVersion(): string {
  return VERSION;
}

/** A system error in plain words: what could not be done, without the path, which the caller names. */
export function plainReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "writing there is not permitted";
    case "ENOSPC":
    case "EDQUOT":
      return "the disk is full";
    case "ENOTDIR":
    case "EEXIST":
      return "a part of this path is a file";
    case "EISDIR":
      return "it is a directory";
    case "ENOENT":
      return "there is no such place";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
