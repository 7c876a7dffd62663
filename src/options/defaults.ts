/**
 * Every default of an option and every list of its names, once, with its reason: the schemas, the command's flags and
 * the paper's settings take them from here, and tests hold the guides and the docstrings against them.
 */
import { KINDS, READS } from "../backends/description.ts";
import { BACKENDS } from "../backends/registry.ts";
import { cosine, inverseShift, power } from "../schedules.ts";

/** Losses that are their name alone: not the cost matrix, and of the two cross-entropies the data tells which. */
const LOSSES = KINDS.loss.filter(
  (kind) => kind !== "cost-matrix" && kind !== "soft-cross-entropy" && kind !== "given",
);

/** What an option of names allows; the first is the default. */
export const NAMES = {
  activation: KINDS.activation,
  /** Zero-one is the cost matrix that has a name. */
  loss: [...LOSSES, "zero-one"],
  /** The same on data with labels, and on data with targets. */
  lossOfLabels: [...LOSSES.filter((kind) => READS[kind] === "labels"), "zero-one"],
  lossOfTargets: ["cross-entropy", ...LOSSES.filter((kind) => READS[kind] === "targets")],
  complement: ["marginalize", "sample"],
  chainStart: ["previous", "center"],
  minibatch: ["per-update", "per-step"],
  noise: ["variance", "standard-deviation"],
  projection: ["auto", "off"],
  backend: ["auto", ...BACKENDS],
} as const;

export const DEFAULTS = {
  /** The paper's. */
  tau: 0.01,
  /** The estimator of local entropy. */
  estimator: { kind: "importance-sampling" },
  /** Two blocks, 2 × 512 samples for 784-200-10: the fewest that can be cross-fitted, and the best accuracy a second. */
  coupling: { kind: "walsh", blocks: 2 },
  /** For deeper networks and for a user's function: the paper's J, in pairs. */
  uncoupled: { kind: "antithetic", samples: 1000 },
  /** The paper. */
  temperature: 1,
  momentum: 0.9,
  /** Kingma and Ba's values, decay only where asked for. */
  adam: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  /** Weights give a gradient that is unbiased but noisy: Adam averages it, decay and cosine reach the best accuracy. */
  weighted: { rate: cosine(1e-3, 0), weightDecay: 0.05 },
  /** Rows of a minibatch: enough for Adam at 1e-3, few enough for the projection to pay. */
  batchSize: 32,
  seed: 1,
  /** Some 200 records in a usual run of 20,000 updates; a record costs a crossing. */
  recordEvery: 100,
  /** At the end only: an evaluation of 10,000 rows costs as much as many updates. */
  evaluateEvery: 0,
  averaging: false,
  /** Of `hessianEigenvalues`. A residual of 1e-3 leaves an eigenvalue that stands apart exact to 1e-6. */
  eigenvalues: { largest: 1, smallest: 0, tolerance: 1e-3, products: 100 },
} as const;

/** The paper's settings (García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, section 6.2). */
export const PAPER = {
  tau: DEFAULTS.tau,
  /** The rate of the baseline, SGD. */
  rate: 0.01,
  /** J of importance sampling. */
  samples: DEFAULTS.uncoupled.samples,
  /** ε_j = 1/(1000 + j). */
  sgld: { steps: 1000, stepSize: inverseShift(1, 1000) },
  /** M = J = 30, a_j = 0.1 j^−0.7. */
  robbinsMonro: { samples: 30, steps: 30, stepSize: power(0.1, 0.7) },
} as const;
