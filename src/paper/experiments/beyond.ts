/** Beyond the paper: coupling, the row split and an outer optimizer on Table 1's network, and what limits importance sampling. */
import { subset } from "../../data/mnist.ts";
import { openBackend } from "../../operations.ts";
import type { CouplingOptions } from "../../options/types.ts";
import { train } from "../../train.ts";
import { bandOf, rowsOf, type Trained, trainings } from "../curves.ts";
import type { Context, Experiment, Scale, Task } from "../experiment.ts";
import { linePlot, panels } from "../plots.ts";
import { mean, short, spread } from "../statistics.ts";
import { at, type TrainingResult, training } from "../training.ts";
import { flatNetworks } from "./flatness.ts";
import { flatnessShown } from "./flatness-report.ts";
import { method, NETWORK, OURS, READINGS } from "./methods.ts";
import { reached, TABLE_1 } from "./tables.ts";

const PAPERS = ["SGD", "IS, τ a variance", "SGLD, ε a deviation", "HR, τ a variance"];
const SERIES = { ...Object.fromEntries(PAPERS.map((name) => [name, READINGS[name]])), ...OURS };
export const BEYOND = { series: SERIES, ...TABLE_1 };

interface Measured {
  readonly estimator: string;
  readonly trainedUpdates: number;
  readonly testAccuracy: number;
  readonly samples: number;
  /** ESS/J. */
  readonly share: number;
  /** E|g − ∇F|²/|∇F|². */
  readonly relativeError: number;
  readonly freeEnergy: number;
}

const TAU = 0.01;
const SAMPLERS: Readonly<Record<string, { coupling: CouplingOptions; rowwise: boolean }>> = {
  "independent, raw weights": {
    coupling: { kind: "independent", samples: 1000, complement: "marginalize", centred: false },
    rowwise: false,
  },
  "independent, centred": {
    coupling: { kind: "independent", samples: 1000, complement: "marginalize", centred: true },
    rowwise: false,
  },
  "antithetic and row split": { coupling: { kind: "antithetic", samples: 1000 }, rowwise: true },
  "Walsh, weights only": { coupling: { kind: "walsh", blocks: 2 }, rowwise: false },
  "Walsh and row split": { coupling: { kind: "walsh", blocks: 2 }, rowwise: true },
};

/** Weights' spread and error of the gradient, at points of a training by SGD. */
function measured({ quick }: Scale): Task<Measured[]> {
  const settings = {
    repeats: quick ? 4 : 20,
    blocks: quick ? 64 : 512,
    points: quick ? [0, 500] : [0, 100, 500, 3000],
  };
  return {
    name: "effective sample size and error",
    options: { measured: "estimators", tau: TAU, samplers: SAMPLERS, ...settings },
    onBackend: true,
    async compute(context: Context) {
      const data = await context.data();
      const opened = await openBackend(context.backend, { threads: context.threads });
      try {
        const rows = subset(data.train, { from: 1000, to: 1020 });
        const batch = { inputs: rows.inputs, labels: rows.labels };
        const out: Measured[] = [];
        for (const point of settings.points) {
          const options = {
            ...method("SGD"),
            network: NETWORK,
            data,
            updates: Math.max(1, point),
            backend: context.backend,
          };
          // One update at rate 0 is where a training starts.
          const still = point === 0 ? { optimizer: { kind: "gradient-descent", rate: 0 } as const } : {};
          const { parameters, testAccuracy } = await train({ ...options, ...still, threads: context.threads })
            .result;
          const common = { network: NETWORK, parameters, batch, tau: TAU };
          const coupling = { kind: "walsh", blocks: settings.blocks } as const;
          const exact = (await opened.importanceSampling({ ...common, coupling, seed: 999 })).gradient;
          for (const [estimator, how] of Object.entries(SAMPLERS)) {
            const found = [];
            for (let update = 0; update < settings.repeats; update++) {
              found.push(await opened.importanceSampling({ ...common, ...how, seed: 1, update }));
            }
            const samples = how.coupling.kind === "walsh" ? 1024 : how.coupling.samples;
            const ratio = (gradient: ArrayLike<number>) => relativeError(gradient, exact);
            out.push({
              ...{ estimator, trainedUpdates: point, testAccuracy: testAccuracy ?? 0, samples },
              share: mean(found.map(({ effectiveSampleSize }) => effectiveSampleSize)) / samples,
              relativeError: mean(found.map(({ gradient }) => ratio(gradient))),
              freeEnergy: mean(found.map(({ freeEnergy }) => freeEnergy)),
            });
          }
        }
        return out;
      } finally {
        opened.close();
      }
    },
  };
}

function relativeError(gradient: ArrayLike<number>, exact: ArrayLike<number>): number {
  let [error, size] = [0, 0];
  for (let i = 0; i < exact.length; i++) {
    error += (gradient[i] - exact[i]) ** 2;
    size += exact[i] ** 2;
  }
  return error / size;
}

export const BEYOND_EXPERIMENT: Experiment = {
  id: "beyond",
  title: "Beyond: coupling, the row split, an outer optimizer; flatness",
  paper:
    "“A potential explanation [of importance sampling's poor performance] is the so-called curse of dimension for importance sampling.” “The computational " +
    "overload of the regularized methods far exceeds the cost of performing stochastic gradient descent on the original loss.”",
  note:
    "The paper's rows (in the reading that fits each) and ours, same network, minibatches, seeds and τ = 0.01. Adam: rate 1e-3 with cosine decay. Each sample " +
    "keeps the law N(x, τI) in all of them; what differs is how samples depend on each other and what of a weight is conditioned on its row.",
  mnist: true,
  tasks: (scale) => [
    ...Object.values(trainings(SERIES, BEYOND, scale))
      .flat()
      .map(training),
    measured(scale),
    ...flatNetworks(scale),
  ],
  show(scale, results) {
    const trained: Trained = Object.fromEntries(
      Object.entries(trainings(SERIES, BEYOND, scale)).map(([name, runs]) => [
        name,
        runs.map((run) => results(training(run))),
      ]),
    );
    const columns = reached(scale);
    const errors = results(measured(scale));
    const share = (runs: readonly TrainingResult[]) =>
      runs[0].points.map(({ update }, i) => ({
        x: update,
        y: 100 * mean(runs.map(({ points }) => points[i].weightsShare ?? Number.NaN)),
      }));
    const weighted = Object.entries(trained).filter(([, runs]) => runs[0].points[0]?.weightsShare !== null);
    const flatness = flatnessShown(scale, results);
    const timed = [...PAPERS, "Walsh and row split", "the same by Adam", "the loss by Adam"];
    return {
      parts: [
        {
          kind: "table",
          title: "Test accuracy, all 10,000 images",
          columns: ["", ...columns.map((update) => `${update} updates`), "ms an update"],
          rows: Object.entries(trained).map(([name, runs]) => [
            name,
            ...columns.map((update) => spread(runs.map((run) => at(run, update).accuracy))),
            short(
              (1000 * mean(runs.map((run) => at(run, columns[columns.length - 1]).seconds))) /
                columns[columns.length - 1],
            ),
          ]),
        },
        {
          kind: "plot",
          title: "Over updates, and over time",
          caption: "Mean over seeds. Time is that of the updates on this machine, evaluation left out.",
          svg: panels("accuracy over updates and over time", [
            {
              label: "accuracy over updates",
              x: { label: "updates" },
              y: { label: "test accuracy (%)" },
              series: timed.map((name) => bandOf(name, trained[name], 20)),
            },
            {
              label: "accuracy over time",
              x: { label: "seconds of updates", log: true },
              y: { label: "test accuracy (%)" },
              series: timed.map((name) => ({
                name,
                points: bandOf(name, trained[name], 20).points.map(({ x, y }) => ({
                  x: Math.max(1e-4, mean(trained[name].map((run) => at(run, x).seconds))),
                  y,
                })),
              })),
            },
          ]),
        },
        {
          kind: "plot",
          title: "Effective sample size along training",
          caption:
            "ESS/J = (Σw)²/(J Σw²), mean of the updates since the point before and over seeds: the weights do not collapse.",
          svg: linePlot({
            label: "effective sample size along training",
            x: { label: "updates" },
            y: { label: "ESS/J (%)", domain: [0, 100] },
            series: weighted.map(([name, runs]) => ({ name, points: share(runs) })),
          }),
        },
        {
          kind: "table",
          title:
            "Why importance sampling is slow: ESS/J beside the relative error of the gradient (τ = 0.01, one minibatch of 20)",
          columns: ["after so many updates of SGD", "estimator", "J", "ESS/J", "E|g − ∇F|²/|∇F|²"],
          rows: errors.map(({ estimator, trainedUpdates, samples, share: part, relativeError: error }) => [
            trainedUpdates,
            estimator,
            samples,
            short(part),
            short(error),
          ]),
        },
        {
          kind: "text",
          text:
            "Where ESS/J is near 1 and the relative error large, weights have not collapsed: each sample's noise has as many directions as there are parameters, " +
            "and J samples average it by 1/J only. ∇F here is the mean of many Walsh blocks.",
        },
        ...flatness.parts,
      ],
      rows: [...rowsOf(trained), ...errors.map((row) => ({ ...row })), ...flatness.rows],
    };
  },
};
