/**
 * Is it the smoothing that regularizes? Backpropagation at weights perturbed by the same N(0, τI), tuned with equal care, beside
 * gradient-free local entropy and heat at the same τ, and backpropagation as it is.
 *
 * Robbins–Monro with M = J = 1 and step size 1 moves x_k to x_k − τ∇f(x_k + √τ Z); its gradient, (x_k − x_out)/τ, is that of one
 * perturbed network: an unbiased estimate of the heat regularization's.
 */
import type { ObjectiveOptions } from "../../options/types.ts";
import { bandOf } from "../curves.ts";
import type { Experiment, Scale } from "../experiment.ts";
import { panels } from "../plots.ts";
import { mean, short, spread } from "../statistics.ts";
import { at, last, type Settings, type Training, type TrainingResult, training } from "../training.ts";
import { NETWORK, WALSH } from "./methods.ts";

const RATES = [5e-4, 1e-3, 2e-3];
const TAUS = [2e-3, 5e-3, 1e-2];
const HELD_OUT = 5000;

interface Method {
  readonly name: string;
  readonly taus: readonly (number | null)[];
  readonly objective: (tau: number) => ObjectiveOptions;
  /** How many times more updates it is given: they cost less. */
  readonly more: number;
}

const METHODS: readonly Method[] = [
  { name: "backpropagation", taus: [null], objective: () => ({ kind: "loss" }), more: 3 },
  {
    ...{ name: "backpropagation at perturbed weights", taus: TAUS, more: 3 },
    objective: (tau) => ({
      kind: "heat",
      tau,
      estimator: { kind: "robbins-monro", samples: 1, steps: 1, stepSize: 1 },
    }),
  },
  {
    ...{ name: "heat, gradient-free", taus: TAUS, more: 1 },
    objective: (tau) => ({
      kind: "heat",
      tau,
      estimator: { kind: "evolution-strategies", coupling: { kind: "walsh", blocks: 2 } },
    }),
  },
  {
    ...{ name: "local entropy, gradient-free", taus: TAUS, more: 1 },
    objective: (tau) => ({ kind: "local-entropy", tau, estimator: WALSH }),
  },
];

interface Tried {
  readonly method: Method;
  readonly tau: number | null;
  readonly rate: number;
  readonly runs: readonly Training[];
}

/** Updates of the gradient-free methods. */
function updatesOf({ quick }: Scale): number {
  return quick ? 400 : 14_000;
}

function triedOf(scale: Scale): Tried[] {
  const base = updatesOf(scale);
  const seeds = scale.quick ? 1 : 3;
  const [taus, rates] = scale.quick ? [[5e-3], [1e-3]] : [TAUS, RATES];
  return METHODS.flatMap((method) =>
    (method.taus[0] === null ? [null] : taus).flatMap((tau) =>
      rates.map((rate) => {
        const phase: Settings = {
          ...{ network: NETWORK, batchSize: 32, averaging: true, updates: base * method.more },
          objective: method.objective(tau ?? 0),
          optimizer: { kind: "adam", rate, weightDecay: 0.05 },
        };
        const series = `${method.name}${tau === null ? "" : `, τ = ${tau}`}, rate ${rate}`;
        const runs = Array.from({ length: seeds }, (_, i) => ({
          ...{ series, phases: [phase], seed: i + 1, evaluateEvery: base / 4, heldOut: HELD_OUT },
        }));
        return { method, tau, rate, runs };
      }),
    ),
  );
}

export const CONTROL: Experiment = {
  id: "control",
  title: "Is it the smoothing that regularizes?",
  paper:
    "“There are various heuristic, theoretical, and empirical arguments that support regularizing the loss.” The paper has no such control.",
  note:
    "784-200-10, minibatches of 32, Adam with weight decay 0.05 at a constant rate, iterates averaged. Trained on 55,000 images; τ and rate of each method are " +
    "chosen by the mean accuracy on the other 5,000, then read on the test images: all that were tried are in the second table. Backpropagation gets three " +
    "times as many updates, since they cost less.",
  mnist: true,
  tasks: (scale) => triedOf(scale).flatMap(({ runs }) => runs.map(training)),
  show(scale, results) {
    const base = updatesOf(scale);
    const all = triedOf(scale).map((one) => ({
      ...one,
      trained: one.runs.map((run) => results(training(run))),
    }));
    const held = (run: TrainingResult, update: number) => 100 * (at(run, update).part ?? Number.NaN);
    const chosen = (method: Method, update: number) => {
      const own = all.filter((one) => one.method === method);
      const score = ({ trained }: (typeof all)[number]) => mean(trained.map((run) => held(run, update)));
      return own.reduce((best, one) => (score(one) > score(best) ? one : best));
    };
    const rowOf = (method: Method, update: number) => {
      const { tau, rate, trained } = chosen(method, update);
      return [
        method.name,
        update,
        short(mean(trained.map((run) => at(run, update).seconds))),
        tau === null ? "–" : String(tau),
        String(rate),
        spread(
          trained.map((run) => held(run, update)),
          2,
        ),
        spread(
          trained.map((run) => 100 * at(run, update).accuracy),
          2,
        ),
      ];
    };
    const columns = ["", "updates", "seconds", "τ", "rate", "held-out accuracy (%)", "test accuracy (%)"];
    const ends = METHODS.map((method) => ({ method, update: base * method.more }));
    const drawn = ends.map(({ method, update }) => ({
      name: method.name,
      trained: chosen(method, update).trained,
    }));
    return {
      parts: [
        {
          kind: "table",
          title: `The same number of updates: each method's best setting, ${all[0].runs.length} seeds`,
          columns,
          rows: METHODS.map((method) => rowOf(method, base)),
        },
        {
          kind: "table",
          title: "More updates for backpropagation, whose updates cost less",
          columns,
          rows: ends.map(({ method, update }) => rowOf(method, update)),
        },
        {
          kind: "plot",
          title: "Over updates, and over time",
          caption:
            "Test accuracy of the average of the iterates; bands are one standard deviation over seeds. Time is this machine's.",
          svg: panels("accuracy over updates and over time", [
            {
              label: "accuracy over updates",
              x: { label: "updates" },
              y: { label: "test accuracy (%)" },
              series: drawn.map(({ name, trained }) => bandOf(name, trained)),
            },
            {
              label: "accuracy over time",
              x: { label: "seconds of updates", log: true },
              y: { label: "test accuracy (%)" },
              series: drawn.map(({ name, trained }) => ({
                name,
                points: bandOf(name, trained).points.map(({ x, y }) => ({
                  x: mean(trained.map((run) => at(run, x).seconds)),
                  y,
                })),
              })),
            },
          ]),
        },
        {
          kind: "table",
          title: "All settings that were tried, at their last update",
          columns: ["", "τ", "rate", "held-out accuracy (%)", "test accuracy (%)"],
          rows: all.map(({ method, tau, rate, trained }) => [
            ...[method.name, tau === null ? "–" : String(tau), String(rate)],
            spread(
              trained.map((run) => held(run, last(run).update)),
              2,
            ),
            spread(
              trained.map((run) => 100 * last(run).accuracy),
              2,
            ),
          ]),
        },
      ],
      rows: all.flatMap(({ method, tau, rate, trained }) =>
        trained.flatMap(({ points }, i) =>
          points.map(({ update, accuracy, part, seconds }) => ({
            ...{
              method: method.name,
              tau,
              rate,
              seed: i + 1,
              update,
              test: accuracy,
              held_out: part,
              seconds,
            },
          })),
        ),
      ),
    };
  },
};
