/** The paper's methods on its network, in both readings of the noise, and ours: what the experiments are made of. */

import type { ImportanceSamplingOptions, NoiseReading, ObjectiveOptions } from "../../options/types.ts";
import { cosine } from "../../schedules.ts";
import { paper } from "../settings.ts";
import type { Settings } from "../training.ts";

/** Section 6.1. */
export const NETWORK = [784, 200, 10];
export const SMALL_NETWORK = [784, 10];

/** The printed rows of Table 1, at 100 … 500 updates. */
export const PRINTED = {
  SGD: [0.75, 0.8, 0.85, 0.87, 0.87],
  IS: [0.27, 0.45, 0.54, 0.57, 0.65],
  SGLD: [0.72, 0.81, 0.84, 0.86, 0.88],
  HR: [0.52, 0.64, 0.7, 0.73, 0.76],
} as const;

/** Table 2, seconds. */
export const PRINTED_SECONDS = { SGD: 0.0032, IS: 6.2504, SGLD: 7.0599, HR: 3.3053 } as const;

type Method = keyof typeof PRINTED;

/** A method's settings of section 6.2, with what is changed. */
export function method(
  name: Method,
  noise: NoiseReading = "variance",
  network: Settings["network"] = NETWORK,
): Settings {
  const settings = { SGD: paper.sgd, IS: paper.importanceSampling, SGLD: paper.sgld, HR: paper.robbinsMonro }[
    name
  ]();
  const { objective } = settings;
  if (objective.kind === "loss") return { ...settings, network };
  return { ...settings, network, objective: withEstimator(objective, { noise }) };
}

/** The same objective with some of its estimator's options changed. */
export function withEstimator(objective: ObjectiveOptions, changed: object): ObjectiveOptions {
  if (objective.kind === "loss") return objective;
  return { ...objective, estimator: { ...objective.estimator, ...changed } } as ObjectiveOptions;
}

/** The same method with another τ. */
export function withTau(
  settings: Settings,
  tau: Exclude<ObjectiveOptions, { kind: "loss" }>["tau"],
): Settings {
  return { ...settings, objective: { ...settings.objective, tau } as ObjectiveOptions };
}

export const WALSH: ImportanceSamplingOptions = {
  kind: "importance-sampling",
  coupling: { kind: "walsh", blocks: 2 },
};

/** Every method of the paper in the readings that it allows. */
export const READINGS: Readonly<Record<string, Settings>> = {
  SGD: method("SGD"),
  "IS, τ a variance": method("IS"),
  "IS, τ a deviation": method("IS", "standard-deviation"),
  "SGLD, ε a variance": method("SGLD"),
  "SGLD, ε a deviation": method("SGLD", "standard-deviation"),
  "HR, τ a variance": method("HR"),
  "HR, τ a deviation": method("HR", "standard-deviation"),
};

const COMMON = { network: NETWORK, batchSize: 20, updates: 500 };
const entropy = (estimator: ImportanceSamplingOptions, tau = 0.01): ObjectiveOptions => ({
  kind: "local-entropy",
  tau,
  estimator,
});
const ADAM = { kind: "adam", rate: cosine(1e-3, 0) } as const;
const independent = (centred: boolean, rowwise: boolean): ImportanceSamplingOptions => ({
  kind: "importance-sampling",
  coupling: { kind: "independent", samples: 1000, complement: "marginalize", centred },
  rowwise,
});
const walshOnly = { ...WALSH, rowwise: false };

/** The same objective by our estimators, one thing changed after the other. */
export const OURS: Readonly<Record<string, Settings>> = {
  "complement at its mean": {
    ...COMMON,
    objective: entropy(independent(false, false)),
    optimizer: { kind: "shift" },
  },
  "and centred": { ...COMMON, objective: entropy(independent(true, false)), optimizer: { kind: "shift" } },
  "Walsh, weights only": { ...COMMON, objective: entropy(walshOnly), optimizer: { kind: "shift" } },
  "Walsh and row split": { ...COMMON, objective: entropy(WALSH), optimizer: { kind: "shift" } },
  "the same by Adam": { ...COMMON, objective: entropy(WALSH), optimizer: ADAM },
  "heat by Walsh and row split": {
    ...COMMON,
    objective: {
      kind: "heat",
      tau: 0.01,
      estimator: { kind: "evolution-strategies", coupling: { kind: "walsh", blocks: 2 } },
    },
    optimizer: { kind: "shift" },
  },
  "heat by Walsh, by Adam": {
    ...COMMON,
    objective: {
      kind: "heat",
      tau: 0.01,
      estimator: { kind: "evolution-strategies", coupling: { kind: "walsh", blocks: 2 } },
    },
    optimizer: ADAM,
  },
  "the loss by Adam": { ...COMMON, objective: { kind: "loss" }, optimizer: ADAM },
};
