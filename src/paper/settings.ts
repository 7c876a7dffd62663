/**
 * The paper's own settings, section 6: García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, 21(5), 511.
 *
 * Plain objects to spread into `train`: `train({ network: [784, 200, 10], data, ...paper.sgld() })`. Noise is read as
 * the text says, as variances; where the paper is silent (pixel scale, initialization) the package's defaults stand.
 */
import { PAPER } from "../options/defaults.ts";
import type { TrainOptions } from "../options/types.ts";

/** What the settings fix; more may be spread beside them. */
export type PaperSettings = Required<Pick<TrainOptions, "objective" | "optimizer" | "batchSize" | "updates">>;

/** Section 6.2, of every algorithm: minibatches of 20, 500 parameter updates, τ = 0.01. */
const COMMON = { batchSize: 20, updates: 500 } as const;
const { tau } = PAPER;

/** The settings by algorithm. Each call makes a new object. */
export const paper = {
  /** The baseline of section 6.2: SGD on f at rate 0.01. */
  sgd(): PaperSettings {
    return {
      ...COMMON,
      objective: { kind: "loss" },
      optimizer: { kind: "gradient-descent", rate: PAPER.rate },
    };
  },

  /** Algorithm 1 by Algorithm 4 (section 6.2): J = 1,000 independent samples of N(x_k, τI) and their raw weights. */
  importanceSampling(): PaperSettings {
    return {
      ...COMMON,
      objective: {
        kind: "local-entropy",
        tau,
        estimator: {
          kind: "importance-sampling",
          coupling: { kind: "independent", samples: PAPER.samples, complement: "sample", centred: false },
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
        tau,
        estimator: {
          kind: "sgld",
          ...PAPER.sgld,
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
        tau,
        estimator: {
          kind: "robbins-monro",
          ...PAPER.robbinsMonro,
          minibatch: "per-update",
        },
      },
      optimizer: { kind: "shift" },
    };
  },
};
