/** The networks and minibatches on which SGLD and Robbins–Monro are held against the reference. */
import type { Examples } from "../../src/backends/backend.ts";
import { type CaseOptions, examples } from "./fixtures.ts";

export interface ChainForm {
  readonly options: CaseOptions;
  readonly projected: boolean;
  /** A minibatch of its own for each transition. */
  readonly fresh?: boolean;
}

export const CHAIN_FORMS: readonly ChainForm[] = [
  { options: { layers: [21, 5], rows: 6 }, projected: true },
  { options: { layers: [33, 17, 5], activation: "tanh", rows: 33, inputs: "floats" }, projected: true },
  { options: { layers: [8, 15, 4], rows: 11 }, projected: false },
  { options: { layers: [40, 33, 16, 7, 5], rows: 9 }, projected: true },
  { options: { layers: [40, 33, 16, 7, 5], rows: 9 }, projected: false },
  { options: { layers: [30, 31, 6], rows: 8, repeats: [[3, 1], [7, 1]] }, projected: true }, // biome-ignore format: pairs
  { options: { layers: [19, 16, 5], rows: 6 }, projected: false, fresh: true },
  { options: { layers: [784, 200, 10], rows: 20 }, projected: true },
];

/** The form's one minibatch, or `transitions` fresh ones. */
export function batchesOf({ options, fresh }: ChainForm, batch: Examples, transitions: number): Examples[] {
  if (!fresh) return [batch];
  const { layers, rows, inputs = "bytes" } = options;
  return Array.from({ length: transitions }, (_, j) => examples(layers, rows, inputs, 40 + j));
}
