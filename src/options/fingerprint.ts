/**
 * A run's fingerprint: SHA-256 of each thing that shapes its numbers, so that a run that goes on knows in what it differs.
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

/** Hexadecimal digits of an option's hash; those of data are twice as many. */
const DIGITS = 16;

/**
 * @param train the training rows, which nobody changes meanwhile
 * @returns work, in pieces of a few milliseconds, that ends in a hash of each option, as "network=…,loss=…"; in nothing in a
 *   browser, where no run is saved and none resumed
 */
export function* fingerprint(
  shaping: Shaping,
  train: Examples,
  { lookedAt, unseen }: OuterSchedules,
): Work<string> {
  if (!isNode) return "";
  const { createHash } = nodeModule("node:crypto");
  const parts: string[] = [];
  for (const [name, value] of Object.entries(shaping)) {
    const text = JSON.stringify(value, (_key, inner) => (ArrayBuffer.isView(inner) ? plain(inner) : inner));
    parts.push(
      `${NAMES_OF[name as keyof Shaping]}=${createHash("sha256").update(text).digest("hex").slice(0, DIGITS)}`,
    );
  }
  const [tauUnseen, rateUnseen] = unseen ?? [];
  const { tau, noiseScale, rate } = lookedAt;
  for (const [name, columns, text] of [
    ["tau", [tau, noiseScale], tauUnseen],
    ["rate", [rate], rateUnseen],
  ] as const) {
    const hash = createHash("sha256").update(JSON.stringify(text ?? null));
    for (const values of columns) {
      // A constant is the same schedule for any number of updates.
      for (const piece of pieces(isConstant(values) ? values.subarray(0, 1) : values, PIECE)) {
        hash.update(piece);
        yield;
      }
    }
    parts.push(`${name}=${hash.digest("hex").slice(0, DIGITS)}`);
  }
  const data = createHash("sha256");
  const { inputs, labels, targets } = train;
  data.update(`${typeName(inputs)} ${inputs.length} ${labels.length}`);
  for (const array of [inputs, labels, ...(targets ? [targets] : [])]) {
    for (const piece of pieces(array, PIECE)) {
      data.update(piece);
      yield;
    }
  }
  parts.push(`data=${data.digest("hex").slice(0, 2 * DIGITS)}`);
  return parts.join(",");
}

/** The options that shape the numbers, as users know them. */
const NAMES_OF: Readonly<Record<keyof Shaping, string>> = {
  network: "network",
  loss: "loss",
  estimator: "objective",
  optimizer: "optimizer",
  batchSize: "batchSize",
  updates: "updates",
  averaging: "averaging",
  key: "seed",
};

const isConstant = (values: Float64Array) => values.every((value) => Object.is(value, values[0]));

/**
 * The options in which two fingerprints differ, or null where one of them is of another form.
 */
export function differing(before: string, now: string): string[] | null {
  const [old, own] = [before, now].map(
    (print) => new Map(print.split(",").map((part) => part.split("=") as [string, string])),
  );
  if (old.size !== own.size || [...own.keys()].some((name) => !old.has(name))) return null;
  return [...own.keys()].filter((name) => old.get(name) !== own.get(name));
}

function plain(array: ArrayBufferView): number[] {
  return Array.from(array as unknown as ArrayLike<number>);
}
