/**
 * Experiments that are trainings: named settings, seeds, and what is drawn of them. An experiment of this kind is ten lines of
 * data (`experiments/figures.ts`).
 */
import type { Experiment, Part, Scale, Shown } from "./experiment.ts";
import { panels, type Series } from "./plots.ts";
import { deviation, mean, spread } from "./statistics.ts";
import { at, last, type Settings, type Training, type TrainingResult, training } from "./training.ts";

/** Name → settings, or settings that follow each other. */
export type Named = Readonly<Record<string, Settings | readonly Settings[]>>;

export interface Curves {
  readonly id: string;
  readonly title: string;
  readonly paper: string;
  readonly note?: string;
  readonly series: Named;
  /** How many: 1, 2, … */
  readonly seeds: number;
  readonly evaluateEvery: number;
  /** Panels of the plot: heading and the names of the series in it. Default: all in one. */
  readonly panels?: readonly { readonly heading: string; readonly series: readonly string[] }[];
  /** Update at which a panel's curves begin. Default 0. */
  readonly from?: number;
  /** What is told beside the curves. */
  readonly more?: (results: Trained, scale: Scale) => readonly Part[];
}

/** Results by the name of the series, in the order of their seeds. */
export type Trained = Readonly<Record<string, readonly TrainingResult[]>>;

/** Of `--quick`: so many updates a phase, and a fifth of the seeds. */
export const QUICK = { updates: 100, seeds: (all: number) => Math.max(1, Math.floor(all / 5)) };

/** The trainings of named settings. */
export function trainings(
  named: Named,
  { seeds, evaluateEvery }: { seeds: number; evaluateEvery: number },
  { quick }: Scale,
): Record<string, Training[]> {
  const count = quick ? QUICK.seeds(seeds) : seeds;
  return Object.fromEntries(
    Object.entries(named).map(([series, settings]) => {
      const phases = (Array.isArray(settings) ? settings : [settings]) as Settings[];
      const own = phases.map((phase) =>
        quick ? { ...phase, updates: Math.min(QUICK.updates, phase.updates) } : phase,
      );
      const runs = Array.from({ length: count }, (_, i) => ({
        ...{ series, phases: own, seed: i + 1, evaluateEvery },
      }));
      return [series, runs];
    }),
  );
}

export function curves(description: Curves): Experiment {
  const { id, title, paper, note, more } = description;
  const of = (scale: Scale) => trainings(description.series, description, scale);
  return {
    ...{ id, title, paper, note, mnist: true },
    tasks: (scale) => Object.values(of(scale)).flat().map(training),
    show(scale, results): Shown {
      const trained: Trained = Object.fromEntries(
        Object.entries(of(scale)).map(([name, runs]) => [name, runs.map((run) => results(training(run)))]),
      );
      const svg = panels(title, panelsOf(description, trained));
      const count = Object.values(trained)[0].length;
      const caption =
        `Accuracy on all 10,000 test images over updates: mean of ${count} ${count === 1 ? "seed" : "seeds"}` +
        (count > 1 ? ", the bands one standard deviation over seeds." : ".");
      return {
        parts: [{ kind: "plot", title, caption, svg }, endTable(trained), ...(more?.(trained, scale) ?? [])],
        rows: rowsOf(trained),
      };
    },
  };
}

function panelsOf({ series, panels: given, from = 0 }: Curves, trained: Trained) {
  const all = given ?? [{ heading: "", series: Object.keys(series) }];
  return all.map(({ heading, series: names }) => ({
    heading: heading === "" ? undefined : heading,
    label: `${heading} test accuracy over updates`,
    x: { label: "updates" },
    y: { label: "test accuracy (%)" },
    series: names.map((name) => bandOf(name, trained[name], from)),
  }));
}

/** Mean and one standard deviation over seeds, in percent, at each update that all seeds reached. */
export function bandOf(name: string, runs: readonly TrainingResult[], from = 0): Series {
  const updates = runs[0].points.map(({ update }) => update).filter((update) => update >= from);
  const reached = updates.filter((update) =>
    runs.every(({ points }) => points.some((p) => p.update === update)),
  );
  const points = reached.map((update) => {
    const values = runs.map((run) => 100 * at(run, update).accuracy);
    const [y, half] = [mean(values), deviation(values)];
    return values.length > 1 ? { x: update, y, low: y - half, high: y + half } : { x: update, y };
  });
  return { name, points };
}

function endTable(trained: Trained): Part {
  return {
    kind: "table",
    title: "At the end",
    columns: ["", "updates", "test accuracy, all images", "of 1,000 random ones", "ended early"],
    rows: Object.entries(trained).map(([name, runs]) => {
      const ended = runs.filter((run) => run.points.length > 0).map(last);
      const early = runs.filter(({ diverged }) => diverged !== null).length;
      return [
        name,
        Math.max(0, ...ended.map(({ update }) => update)),
        ended.length === 0 ? "–" : spread(ended.map(({ accuracy }) => accuracy)),
        ended.some(({ part }) => part === null) ? "–" : spread(ended.map(({ part }) => part!)),
        early === 0 ? "" : `${early} of ${runs.length} diverged`,
      ];
    }),
  };
}

/** Every point of every training, for the CSV file. */
export function rowsOf(trained: Trained): Shown["rows"] {
  return Object.entries(trained).flatMap(([series, runs]) =>
    runs.flatMap(({ points, backend, form }, i) =>
      points.map((point) => ({ series, seed: i + 1, ...point, backend, form })),
    ),
  );
}
