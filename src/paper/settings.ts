/**
 * The paper's own settings, section 6: García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, 21(5), 511.
 *
 * Plain objects to spread into `train`: `train({ network: [784, 200, 10], data, ...paper.sgld() })`. Noise is read as
 * the text says, as variances; where the paper is silent (pixel scale, initialization) the package's defaults stand.
 */
import type { TrainOptions } from "../options/types.ts";
import { inverseShift, power } from "../schedules.ts";

/** What the settings fix; more may be spread beside them. */
export type PaperSettings = Required<Pick<TrainOptions, "objective" | "optimizer" | "batchSize" | "updates">>;

/** Section 6.2, of every algorithm: minibatches of 20, 500 parameter updates, τ = 0.01. */
const COMMON = { batchSize: 20, updates: 500 } as const;
const TAU = 0.01;

/** The settings by algorithm. Each call makes a new object. */
export const paper = {
  /** The baseline of section 6.2: SGD on f at rate 0.01. */
  sgd(): PaperSettings {
    return { ...COMMON, objective: { kind: "loss" }, optimizer: { kind: "gradient-descent", rate: 0.01 } };
  },

  /** Algorithm 1 by Algorithm 4 (section 6.2): J = 1,000 independent samples of N(x_k, τI) and their raw weights. */
  importanceSampling(): PaperSettings {
    return {
      ...COMMON,
      objective: {
        kind: "local-entropy",
        tau: TAU,
        estimator: {
          kind: "importance-sampling",
          coupling: { kind: "independent", samples: 1000, complement: "sample", centred: false },
        },
      },
      optimizer: { kind: "shift" },
    };
  },

  /** Algorithm 1 by Algorithm 3 (section 6.2): J = 1,000 Langevin steps ε_j = 1/(1000 + j). */
  sgld(): PaperSettings {
    return {
      ...COMMON,
      objective: {
        kind: "local-entropy",
        tau: TAU,
        estimator: {
          kind: "sgld",
          steps: 1000,
          stepSize: inverseShift(1, 1000),
          chainStart: "previous",
          minibatch: "per-update",
        },
      },
      optimizer: { kind: "shift" },
    };
  },

  /** Algorithm 2 by Algorithm 5 (section 6.2): M = J = 30, a_j = 0.1 j^−0.7. */
  robbinsMonro(): PaperSettings {
    return {
      ...COMMON,
      objective: {
        kind: "heat",
        tau: TAU,
        estimator: {
          kind: "robbins-monro",
          samples: 30,
          steps: 30,
          stepSize: power(0.1, 0.7),
          minibatch: "per-update",
        },
      },
      optimizer: { kind: "shift" },
    };
  },
};
