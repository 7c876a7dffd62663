/**
 * `local-entropy paper`: runs experiments of the paper into a folder and writes their report.
 *
 * A finished run is kept at once, so a command that was stopped goes on where it was when it is given again.
 */
import { join } from "node:path";
import { BACKENDS, type BackendName } from "../backends/registry.ts";
import { listed } from "../options/values.ts";
import { runPaper } from "../paper/driver.ts";
import { EXPERIMENTS } from "../paper/experiments/index.ts";
import { parseNumber, UsageError } from "./values.ts";

/** Flags of the command, as commander reads them. */
export interface PaperFlags {
  readonly quick?: boolean;
  readonly backend?: string;
  readonly threads?: string;
  readonly out?: string;
}

/** The default of --out. */
export const PAPER_FOLDER = join("runs", "paper");

/** Names of the experiments, for --help and for errors. */
export const PAPER_NAMES = EXPERIMENTS.map(({ id }) => id);

/** Runs the command; resolves to the exit code: 1 where an experiment could not run. */
export async function paperCommand(names: readonly string[], flags: PaperFlags): Promise<number> {
  const { quick = false, backend = "native", out = PAPER_FOLDER } = flags;
  const wanted = names.length === 0 ? ["all"] : names;
  const unknown = wanted.find((name) => name !== "all" && !PAPER_NAMES.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`Expected some of ${PAPER_NAMES.join(", ")}, or all, but received "${unknown}"`);
  }
  // What an experiment is compared on must not depend on what happens to be there.
  if (!BACKENDS.includes(backend as BackendName)) {
    throw new UsageError(`Expected ${listed(BACKENDS)} for --backend but received "${backend}"`);
  }
  const { report, missing } = await runPaper({
    all: EXPERIMENTS,
    chosen: EXPERIMENTS.filter(({ id }) => wanted.includes("all") || wanted.includes(id)),
    scale: { quick },
    backend: backend as BackendName,
    threads: flags.threads === undefined ? undefined : parseNumber(flags.threads, "--threads"),
    directory: out,
    tell: (line) =>
      void process.stderr.write(`${line}
`),
  });
  for (const { id, reason } of missing) process.stderr.write(`local-entropy: ${id} did not run: ${reason}\n`);
  process.stdout.write(`${report}\n`);
  return missing.length === 0 ? 0 : 1;
}
