/**
 * Small right options that the tests of options vary.
 */
import { expect } from "@jest/globals";
import { OptionError } from "../../src/errors.ts";
import { checkTrainOptions } from "../../src/options/train.ts";
import type { Dataset, TrainOptions } from "../../src/options/types.ts";
import { power } from "../../src/schedules.ts";

// 12 rows of 6 byte inputs in 3 classes; 6-4-3 has (6 + 1)·4 + (4 + 1)·3 = 43 parameters.
export const dataset: Dataset = {
  inputs: Uint8Array.from({ length: 72 }, (_, i) => (37 * i) % 256),
  labels: Uint8Array.from({ length: 12 }, (_, i) => i % 3),
  count: 12,
  width: 6,
  classes: 3,
};
export const base: TrainOptions = { network: [6, 4, 3], data: { train: dataset }, batchSize: 5, updates: 4 };
export const langevin = { kind: "sgld", steps: 3, stepSize: 0.04 } as const;
export const descent = { kind: "robbins-monro", samples: 2, steps: 3, stepSize: power(0.1, 0.5) } as const;
export const sgd = {
  objective: { kind: "loss" },
  optimizer: { kind: "gradient-descent", rate: 0.1 },
} as const;

export const check = (more: object = {}) => checkTrainOptions({ ...base, ...more });

/** The sentence that `work` throws. */
export function sentence(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(OptionError);
    return (error as Error).message;
  }
  throw new Error("Nothing was refused");
}
