/**
 * The results of tasks on disk: one JSON file each, written whole when the task has ended, named by a hash of all
 * that decides its result. Two commands that write into one folder do each other no harm.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, packageVersion, writeAtomically, writing } from "../runs/files.ts";
import type { Task } from "./experiment.ts";

/** What a file holds. */
export interface Kept {
  readonly name: string;
  readonly options: object;
  /** "native avx512", or "none". */
  readonly backend: string;
  readonly versions: { readonly package: string; readonly node: string };
  /** Seconds that the task took. */
  readonly seconds: number;
  readonly result: unknown;
}

/** For JSON.stringify: an object's entries by their names, since it means the same in whatever order it was written. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export class Store {
  readonly #directory: string;
  readonly #backend: string;

  /**
   * @param directory made if missing
   * @param backend name and instruction set of the backend, a part of the hash of what it computes
   */
  constructor(directory: string, backend: string) {
    this.#directory = join(directory, "runs");
    this.#backend = backend;
  }

  /** What names a task's result. */
  key({ options, onBackend }: Task): string {
    const decides = { options, backend: this.#backendOf(onBackend), version: packageVersion() };
    return createHash("sha256").update(JSON.stringify(decides, inOrder)).digest("hex").slice(0, 16);
  }

  /** What was kept of a task; null where nothing was, or a file that is not what this class writes. */
  read(task: Task): Kept | null {
    const path = this.#path(task);
    if (!existsSync(path)) return null;
    try {
      const kept = JSON.parse(readFileSync(path, "utf8"));
      return typeof kept === "object" && kept !== null && "result" in kept ? kept : null;
    } catch {
      return null; // computed again, and written over
    }
  }

  /** @throws CheckpointError where it cannot be written */
  async write(task: Task, result: unknown, seconds: number): Promise<void> {
    const path = this.#path(task);
    const kept: Kept = {
      name: task.name,
      options: task.options,
      backend: this.#backendOf(task.onBackend),
      versions: { package: packageVersion(), node: process.version },
      seconds,
      result,
    };
    await writing(`The result ${path}`, async () => {
      await makeFolder(this.#directory);
      await writeAtomically(path, `${JSON.stringify(kept)}\n`);
    });
  }

  #path(task: Task): string {
    // Not by its name too: experiments call the same run what it is to them.
    return join(this.#directory, `${this.key(task)}.json`);
  }

  #backendOf(onBackend: boolean): string {
    return onBackend ? this.#backend : "none";
  }
}
