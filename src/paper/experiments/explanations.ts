/** What explains the printed rows of Table 1: one thing changed at a time, and how near the row comes. */
import type { NoiseReading } from "../../options/types.ts";
import { type Named, rowsOf, type Trained, trainings } from "../curves.ts";
import type { Cell, Experiment, Part, Scale } from "../experiment.ts";
import { distance, mean } from "../statistics.ts";
import { at, type Settings, training } from "../training.ts";
import { method, NETWORK, PRINTED, withEstimator } from "./methods.ts";
import { reached, TABLE_1 } from "./tables.ts";

type Method = keyof typeof PRINTED;

const TANH = { layers: NETWORK, activation: "tanh" } as const;
const tanh = (name: Method, noise?: NoiseReading) => method(name, noise, TANH);

/** Importance sampling with its estimator changed. */
function changed(estimator: object, more: Partial<Settings> = {}): Settings {
  const settings = method("IS");
  return { ...settings, ...more, objective: withEstimator(settings.objective!, estimator) };
}
const samples = (count: number) => ({
  coupling: { kind: "independent", samples: count, complement: "sample", centred: false },
});
/** e^{−Σf} over 20 rows is e^{−f/δ} with δ = 1/20. */
const SUMMED = { temperature: 1 / 20 };

/** By method: what is changed of section 6.2's settings, and to what. */
const VARIANTS: Readonly<Record<Method, Named>> = {
  SGD: {
    "as the text says": method("SGD"),
    tanh: tanh("SGD"),
    "half of Glorot's scale": { ...method("SGD"), initialScale: 0.5 },
  },
  SGLD: {
    "as the text says": method("SGLD"),
    "ε a deviation": method("SGLD", "standard-deviation"),
    tanh: tanh("SGLD"),
    "ε a deviation, tanh": tanh("SGLD", "standard-deviation"),
  },
  HR: {
    "as the text says": method("HR"),
    "τ a deviation": method("HR", "standard-deviation"),
    tanh: tanh("HR"),
    "τ a deviation, tanh": tanh("HR", "standard-deviation"),
  },
  IS: {
    "as the text says": method("IS"),
    "τ a deviation": method("IS", "standard-deviation"),
    tanh: method("IS", "variance", TANH),
    "loss summed over the minibatch (δ = 1/20)": changed(SUMMED),
    "J = 100": changed(samples(100)),
    "J = 30": changed(samples(30)),
    "half of Glorot's scale": changed({}, { initialScale: 0.5 }),
    "zero start": changed({}, { initialScale: 0 }),
    "summed loss, tanh": changed(SUMMED, { network: TANH }),
    "summed loss, J = 100": changed({ ...SUMMED, ...samples(100) }),
    "J = 100, tanh": changed(samples(100), { network: TANH }),
    "J = 100, half of Glorot's scale": changed(samples(100), { initialScale: 0.5 }),
    "summed loss, half of Glorot's scale": changed(SUMMED, { initialScale: 0.5 }),
    "J = 300, half of Glorot's scale": changed(samples(300), { initialScale: 0.5 }),
  },
};
/** Evaluated as often as Table 1's, so that runs which are the same are shared. */
const RUNS = { ...TABLE_1, seeds: 3 };

function runsOf(scale: Scale): Record<Method, ReturnType<typeof trainings>> {
  const named = Object.entries(VARIANTS).map(([name, variants]) => [name, trainings(variants, RUNS, scale)]);
  return Object.fromEntries(named);
}

/** Float32's least normal number is e^{−87.3}. */
const LEAST_EXPONENT = 87;

/** Distance within which a row is called explained: twice the error of an accuracy on 1,000 images. */
const NEAR = 0.03;

function tableOf(name: Method, trained: Trained, columns: readonly number[]): { part: Part; best: string } {
  const printed = PRINTED[name].slice(0, columns.length);
  const measured = Object.entries(trained).map(([variant, runs]) => {
    const values = columns.map((update) => mean(runs.map((run) => at(run, update).accuracy)));
    return { variant, values, far: distance(values, printed) };
  });
  const rows: Cell[][] = measured.map(({ variant, values, far }) => [
    variant,
    ...values.map((value) => value.toFixed(3)),
    far.toFixed(3),
    why(far, measured[0].far),
  ]);
  const least = measured.reduce((a, b) => (b.far < a.far ? b : a));
  const part: Part = {
    kind: "table",
    title: name,
    columns: ["changed", ...columns.map((update) => `${update} updates`), "rms distance to print", "why"],
    rows: [["printed", ...printed.map((value) => value.toFixed(2)), null, null], ...rows],
  };
  const verdict = least.far <= NEAR ? "explains the row" : "is nearest, and does not explain it";
  return { part, best: `${name}: “${least.variant}” ${verdict} (${least.far.toFixed(3)}).` };
}

function why(far: number, asPrinted: number): string {
  if (far <= NEAR) return "explains it within the error of 1,000 images";
  if (far < asPrinted - 0.01) return "nearer";
  return far > asPrinted + 0.01 ? "farther" : far === asPrinted ? "" : "no difference";
}

export const EXPLANATIONS: Experiment = {
  id: "explanations",
  title: "What explains the printed rows",
  paper: "Table 1's rows, which our runs of the text's settings do not give.",
  note:
    "One thing is changed at a time, then some together; the distance is the root mean square over the columns, of the mean of the seeds. A row counts " +
    "as explained within 0.03, twice the standard error of an accuracy on 1,000 images.",
  mnist: true,
  tasks: (scale) => Object.values(runsOf(scale)).flatMap((runs) => Object.values(runs).flat().map(training)),
  show(scale, results) {
    const columns = reached(scale);
    const trained = Object.entries(runsOf(scale)).map(([name, runs]) => {
      const own = Object.entries(runs).map(([variant, all]) => [
        variant,
        all.map((run) => results(training(run))),
      ]);
      return [name as Method, Object.fromEntries(own) as Trained] as const;
    });
    const tables = trained.map(([name, own]) => tableOf(name, own, columns));
    const summed = trained.find(([name]) => name === "IS")![1]["loss summed over the minibatch (δ = 1/20)"];
    const largest = 20 * Math.max(...summed.flatMap(({ points }) => points.map(({ loss }) => loss)));
    return {
      parts: [
        { kind: "text", text: tables.map(({ best }) => best).join(" ") },
        ...tables.map(({ part }) => part),
        {
          kind: "text",
          text:
            `The summed loss of the sampled networks was ${largest.toFixed(0)} on average at most` +
            (largest > LEAST_EXPONENT
              ? `: e^{−f} formed in float32, which holds e^{−${LEAST_EXPONENT}}, would lose weights; here they are summed by their logs, and what the ` +
                "loss of weights does was not tried."
              : `, and float32 holds e^{−${LEAST_EXPONENT}}: no weight is lost.`) +
            " Not tried either: another minibatch for each sample, biases that are not perturbed, minibatches with replacement.",
        },
      ],
      rows: trained.flatMap(([name, own]) => rowsOf(own).map((row) => ({ method: name, ...row }))),
    };
  },
};
