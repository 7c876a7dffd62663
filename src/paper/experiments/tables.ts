/** Tables 1 and 2. */

import { subset } from "../../data/mnist.ts";
import { describeOptions } from "../../options/objective.ts";
import { train } from "../../train.ts";
import { bandOf, rowsOf, type Trained, trainings } from "../curves.ts";
import type { Cell, Context, Experiment, Scale, Task } from "../experiment.ts";
import { linePlot } from "../plots.ts";
import { distance, mean, short, spread } from "../statistics.ts";
import { at, type Settings, training } from "../training.ts";
import { method, PRINTED, PRINTED_SECONDS, READINGS, WALSH, withEstimator } from "./methods.ts";

/** Distance within which a row agrees with print: twice the error of an accuracy on 1,000 images. */
export const NEAR = 0.03;

/** Columns of Table 1. */
export const COLUMNS = [100, 200, 300, 400, 500];
export const TABLE_1 = { seeds: 10, evaluateEvery: 20 };

/** Columns that runs reach. */
export function reached({ quick }: Scale): number[] {
  return quick ? COLUMNS.slice(0, 1) : COLUMNS;
}

export function table1Results(scale: Scale): ReturnType<typeof trainings> {
  return trainings(READINGS, TABLE_1, scale);
}

/** "IS, τ a variance" as IS. */
const methodOf = (name: string) => name.split(",")[0] as keyof typeof PRINTED;

/**
 * Why a row differs from print: each was tested by a run that changes that one thing, in “What explains the printed rows”.
 */
const WHY: Readonly<Record<string, string>> = {
  SGD: "tanh for ReLU explains it",
  "IS, τ a variance": "not explained: summed losses, fewer samples, another start come nearer",
  "IS, τ a deviation": "noise of variance τ² is too little to learn from in 500 updates",
  "SGLD, ε a variance": "ε a deviation explains it: the row below",
  "SGLD, ε a deviation": "nearly printed; with tanh nearer",
  "HR, τ a variance": "tanh for ReLU explains it",
  "HR, τ a deviation": "tanh with the other reading explains it",
};

/** Rows of one method: printed, then found. */
function compared(trained: Trained, columns: readonly number[], which: "accuracy" | "part"): Cell[][] {
  const rows: Cell[][] = [];
  let before = "";
  for (const [name, runs] of Object.entries(trained)) {
    const printed = PRINTED[methodOf(name)].slice(0, columns.length);
    if (methodOf(name) !== before) {
      before = methodOf(name);
      rows.push([`${before}, printed`, ...printed.map((value) => value.toFixed(2)), null, null]);
    }
    const values = columns.map((update) => runs.map((run) => at(run, update)[which] ?? Number.NaN));
    const far = distance(values.map(mean), printed);
    const why = far <= NEAR ? "within the error of 1,000 images" : WHY[name];
    rows.push([name, ...values.map((all) => spread(all)), far.toFixed(3), why]);
  }
  return rows;
}

/** Of each method with two readings, which is nearer to print. */
function nearest(trained: Trained, columns: readonly number[]): string {
  const sentences = (Object.keys(PRINTED) as (keyof typeof PRINTED)[]).flatMap((name) => {
    const read = Object.entries(trained)
      .filter(([series]) => methodOf(series) === name && series !== name)
      .map(([series, runs]) => {
        const means = columns.map((update) => mean(runs.map((run) => at(run, update).accuracy)));
        return { series, far: distance(means, PRINTED[name].slice(0, columns.length)) };
      })
      .sort((a, b) => a.far - b.far);
    if (read.length < 2) return [];
    const [near, other] = read;
    return [`Nearer to print is “${near.series}” (${near.far.toFixed(3)} against ${other.far.toFixed(3)}).`];
  });
  return sentences.join(" ");
}

const table1: Experiment = {
  id: "table-1",
  title: "Table 1: accuracy after 100 … 500 updates",
  paper:
    "“Classification accuracy on held-out test data.” 784-200-10, minibatches of 20, τ = 0.01, SGD's rate 0.01, 10³ samples for SGLD " +
    "and IS, M = 30 and 30 updates of the chain for HR; accuracy on 1,000 randomly selected test images.",
  note:
    "Each row in both readings of the noise: τ and ε_j as variances (the text) and as standard deviations. One seed in the paper; " +
    "here means and standard deviations over seeds. The standard error of an accuracy on 1,000 images is 0.011 to 0.015.",
  mnist: true,
  tasks: (scale) => Object.values(table1Results(scale)).flat().map(training),
  show(scale, results) {
    const trained: Trained = Object.fromEntries(
      Object.entries(table1Results(scale)).map(([name, runs]) => [
        name,
        runs.map((run) => results(training(run))),
      ]),
    );
    const columns = reached(scale);
    const head = ["", ...columns.map((update) => `${update} updates`), "rms distance to print", "why"];
    const count = Object.values(trained)[0].length;
    return {
      parts: [
        {
          kind: "table",
          title: `On all 10,000 test images, mean ± standard deviation of ${count} seeds`,
          columns: head,
          rows: compared(trained, columns, "accuracy"),
        },
        {
          kind: "table",
          title: `On 1,000 random test images, as the paper; ${count} seeds`,
          columns: head,
          rows: compared(trained, columns, "part"),
        },
        {
          kind: "plot",
          title: "What is printed, and what is found in each reading",
          caption:
            "All test images; bands are one standard deviation over seeds. Dots alone: the printed values.",
          svg: linePlot({
            ...{ label: "accuracy over updates, printed and found", width: 760, height: 380 },
            x: { label: "updates" },
            y: { label: "test accuracy (%)" },
            series: [
              ...Object.entries(trained).map(([name, runs]) => bandOf(name, runs, 20)),
              {
                ...{ name: "printed", scatter: true },
                points: Object.values(PRINTED).flatMap((row) =>
                  columns.map((update, i) => ({ x: update, y: 100 * row[i] })),
                ),
              },
            ],
          }),
        },
        {
          kind: "text",
          text: `${nearest(trained, columns)} Why the rows differ: see “What explains the printed rows”, where one thing at a time is changed.`,
        },
      ],
      rows: rowsOf(trained),
    };
  },
};

/** Why a time differs from print: the same update, computed otherwise, is a row of the table. */
function whyTime(name: string): string {
  if (name === "SGD") return "another machine and library";
  return name.endsWith("direct")
    ? "another machine and library; all weights are filled, as the paper did"
    : "noise of the first layer only where the minibatch sees it: the row above fills all weights";
}

/** The time of an update. */
interface Timed {
  readonly seconds: number;
  readonly updates: number;
  readonly form: string;
  readonly instructionSet: string;
}

interface Timing {
  readonly name: string;
  readonly settings: Settings;
  readonly threads: number;
  readonly updates: number;
}

/** Seconds of an update: the least of three runs, their start and what is evaluated left out. */
function timing({ name, settings, threads, updates }: Timing): Task<Timed> {
  return {
    name: `time of ${name}, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    options: describeOptions({ timed: name, settings, threads, updates }),
    onBackend: true,
    async compute({ backend, data }: Context) {
      const all = (await data()).train;
      const rows = { train: subset(all, Math.min(all.count, 2000)) };
      let best = Number.POSITIVE_INFINITY;
      let [form, instructionSet] = ["", ""];
      for (let round = 0; round < 3; round++) {
        const { result } = train({ ...settings, data: rows, updates, seed: 1, backend, threads });
        const ended = await result;
        best = Math.min(best, ended.seconds / updates);
        ({ form, instructionSet } = ended.backend);
      }
      return { seconds: best, updates, form, instructionSet };
    },
  };
}

const direct = (settings: Settings): Settings => ({
  ...settings,
  objective: withEstimator(settings.objective!, { projection: "off" }),
});

function timings({ quick }: Scale): Timing[] {
  const few = quick ? 1 : 4;
  const some = quick ? 10 : 40;
  const many = quick ? 300 : 2000;
  const named: [string, Settings, number][] = [
    ["SGD", method("SGD"), many],
    ["IS, direct", direct(method("IS")), few],
    ["IS, projected", method("IS"), some],
    ["SGLD, direct", direct(method("SGLD")), few],
    ["SGLD, projected", method("SGLD"), some],
    ["HR, direct", direct(method("HR")), few],
    ["HR, projected", method("HR"), some],
    [
      "IS by Walsh and row split, J = 1,024",
      { ...method("IS"), objective: { kind: "local-entropy", tau: 0.01, estimator: WALSH } },
      many,
    ],
  ];
  return named.flatMap(([name, settings, updates]) =>
    [1, 2].map((threads) => ({ name, settings, threads, updates })),
  );
}

const table2: Experiment = {
  id: "table-2",
  title: "Table 2: time of an update",
  paper:
    "“Runtime per weight update.” SGD 0.0032 s, IS 6.2504 s, SGLD 7.0599 s, HR 3.3053 s, in TensorFlow. “SGD performed roughly " +
    "10³-times faster than the others, an expected result considering the most costly operation in training, filling the network " +
    "weights, was performed 10³-times per parameter update.”",
  note:
    "Measured on this machine, the least of three rounds, projected (noise of the first layer only where the minibatch sees it: the same " +
    "law) and direct (all weights filled, as the paper did). Times are the machine's: no seed repeats them. TensorFlow.js was not measured " +
    "here; docs/performance.md has it beside other packages.",
  mnist: true,
  tasks: (scale) => timings(scale).map(timing),
  show(scale, results) {
    const all = timings(scale).map((one) => ({ ...one, ...results(timing(one)) }));
    const of = (name: string, threads: number) =>
      all.find((one) => one.name === name && one.threads === threads)!;
    const sgd = of("SGD", 1).seconds;
    const names = [...new Set(all.map(({ name }) => name))];
    return {
      parts: [
        {
          kind: "table",
          title: "Milliseconds an update",
          columns: [
            "",
            "printed",
            "one thread",
            "two threads",
            "printed, in SGD's",
            "one thread, in SGD's",
            "form",
            "why",
          ],
          rows: names.map((name) => {
            const printed = PRINTED_SECONDS[methodOf(name)];
            const own = name.startsWith("IS by") ? null : printed;
            return [
              name,
              own === null ? null : short(1000 * own, 4),
              short(1000 * of(name, 1).seconds),
              short(1000 * of(name, 2).seconds),
              own === null ? null : short(own / PRINTED_SECONDS.SGD),
              short(of(name, 1).seconds / sgd),
              of(name, 1).form,
              own === null ? "not in the paper" : whyTime(name),
            ];
          }),
        },
        {
          kind: "plot",
          title: "Time of an update",
          caption: "One thread here; printed: the paper's machine and library.",
          svg: linePlot({
            ...{ label: "time of an update by method", width: 620, height: 260 },
            x: { label: "milliseconds an update", log: true },
            y: { label: "row of the table above", domain: [0, names.length + 1] },
            series: [
              {
                name: "here",
                scatter: true,
                points: names.map((name, i) => ({ x: 1000 * of(name, 1).seconds, y: i + 1 })),
              },
              {
                ...{ name: "printed", scatter: true },
                points: names.flatMap((name, i) =>
                  name.startsWith("IS by") ? [] : [{ x: 1000 * PRINTED_SECONDS[methodOf(name)], y: i + 1 }],
                ),
              },
            ],
          }),
        },
      ],
      rows: all.map(({ name, threads, seconds, updates, form, instructionSet }) => ({
        ...{ name, threads, seconds, updates, form, instructionSet },
      })),
    };
  },
};

export const TABLES: readonly Experiment[] = [table1, table2];
