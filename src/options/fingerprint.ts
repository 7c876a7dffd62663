/**
 * A run's fingerprint: SHA-256 of everything that shapes its numbers, to refuse resuming another run.
 *
 * The training data goes in whole: MNIST's 47 MB take some 40 ms, once a run, in pieces after `train` has returned.
 */
import type { Examples } from "../backends/backend.ts";
import { pieces } from "../disk.ts";
import { typeName } from "../errors.ts";
import { isNode, nodeModule } from "../host.ts";
import type { Work } from "../reference/machine/work.ts";
import type { OuterSchedules } from "./outer-schedules.ts";

/** What shapes the numbers, beside the data and the schedules. */
export type Shaping = Record<
  "network" | "loss" | "estimator" | "optimizer" | "batchSize" | "updates" | "averaging" | "key",
  unknown
>;

/** Bytes that are hashed at one go: some 2 ms. */
const PIECE = 2 ** 21;

/**
 * @param train the training rows, which nobody changes meanwhile
 * @returns work, in pieces of a few milliseconds, that ends in 64 hexadecimal digits; in nothing in a browser, where no
 *   run is saved and none resumed
 */
export function* fingerprint(
  shaping: Shaping,
  train: Examples,
  { lookedAt, unseen }: OuterSchedules,
): Work<string> {
  if (!isNode) return "";
  const hash = nodeModule("node:crypto").createHash("sha256");
  hash.update(
    JSON.stringify({ ...shaping, unseen }, (_key, value) =>
      ArrayBuffer.isView(value) ? plain(value) : value,
    ),
  );
  hash.update(`${typeName(train.inputs)} ${train.inputs.length} ${train.labels.length}`);
  for (const array of [train.inputs, train.labels, ...lookedAt]) {
    for (const piece of pieces(array, PIECE)) {
      hash.update(piece);
      yield;
    }
  }
  return hash.digest("hex");
}

function plain(array: ArrayBufferView): number[] {
  return Array.from(array as unknown as ArrayLike<number>);
}
