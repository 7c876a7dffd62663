/**
 * A run's fingerprint: SHA-256 of everything that shapes its numbers, to refuse resuming another run.
 *
 * The training data goes in whole: MNIST's 47 MB take some 30 ms, once a run.
 */
import type { Examples } from "../backends/backend.ts";
import { pieces } from "../disk.ts";
import { typeName } from "../errors.ts";
import { isNode, nodeModule } from "../host.ts";
import { type OuterValues, type PlanValues, walk } from "./objective.ts";

/** What shapes the numbers, beside the data and the schedules. */
export type Shaping = Record<
  "network" | "loss" | "estimator" | "optimizer" | "batchSize" | "updates" | "averaging" | "key",
  unknown
>;

/**
 * Also the one walk over the outer schedules before the run: throws at a wrong value.
 *
 * @param train the training rows
 * @returns 64 hexadecimal digits; nothing in a browser, where no run is saved and none resumed
 */
export function fingerprint(
  shaping: Shaping,
  train: Examples,
  planValues: PlanValues,
  updates: number,
): string {
  const hash = isNode ? nodeModule("node:crypto").createHash("sha256") : null;
  const add = (array: ArrayBufferView) => {
    if (hash !== null) for (const piece of pieces(array)) hash.update(piece);
  };
  hash?.update(JSON.stringify(shaping, (_key, value) => (ArrayBuffer.isView(value) ? plain(value) : value)));
  hash?.update(`${typeName(train.inputs)} ${train.inputs.length} ${train.labels.length}`);
  add(train.inputs);
  add(train.labels);
  walk(planValues, updates, ({ tau, noiseScale, rate }: OuterValues) => {
    add(tau);
    add(noiseScale);
    add(rate);
  });
  return hash?.digest("hex") ?? "";
}

function plain(array: ArrayBufferView): number[] {
  return Array.from(array as unknown as ArrayLike<number>);
}
