/**
 * A training of an experiment: settings of `train`, one after the other, with a seed, and the curve that it came to.
 */

import { subset } from "../data/mnist.ts";
import { DivergedError } from "../errors.ts";
import { initialParameters } from "../initialization.ts";
import { checkNetwork } from "../options/network.ts";
import { describeOptions } from "../options/objective.ts";
import type { Data, TrainOptions } from "../options/types.ts";
import { keyOf } from "../reference/random/streams.ts";
import { train } from "../train.ts";
import type { Context, Task } from "./experiment.ts";
import { mean } from "./statistics.ts";

/** What `train` is told, but for what the driver gives. */
export interface Settings
  extends Omit<
    TrainOptions,
    | "data"
    | "seed"
    | "backend"
    | "threads"
    | "signal"
    | "resume"
    | "parameters"
    | "recordEvery"
    | "evaluateEvery"
  > {
  /** Multiplies Glorot's starting weights. Default 1. */
  readonly initialScale?: number;
}

export interface Training {
  /** The name of its curve. */
  readonly series: string;
  /** One setting, or several that follow each other, each from where the one before ended. */
  readonly phases: readonly Settings[];
  readonly seed: number;
  /** Updates between two points of the curve. */
  readonly evaluateEvery: number;
  /** Keep so many training images aside, and measure on them in place of random test images: settings are chosen by it. */
  readonly heldOut?: number;
}

export interface Point {
  /** Updates done, of all phases. */
  readonly update: number;
  /** Fraction of all test images that are classified right. */
  readonly accuracy: number;
  /** The same of `PAPER_IMAGES` random test images, as in the paper; of held-out images where those are asked for. */
  readonly part: number | null;
  /** Mean loss that the updates since the last point saw, nats. */
  readonly loss: number;
  /** ESS/J, importance sampling only. */
  readonly weightsShare: number | null;
  /** Seconds in updates. */
  readonly seconds: number;
}

export interface TrainingResult {
  readonly points: readonly Point[];
  /** Why it ended early, or null. */
  readonly diverged: string | null;
  readonly backend: string;
  readonly threads: number;
  readonly form: string;
}

/** Section 6.2: "1000 randomly-selected images from the held-out MNIST test set". */
export const PAPER_IMAGES = 1000;

/** A training as a task. */
export function training(description: Training): Task<TrainingResult> {
  const { series, seed } = description;
  return {
    name: `${series}, seed ${seed}`,
    // What a curve is called changes nothing about it: experiments share it by what is computed.
    options: describeOptions({ ...description, series: undefined }),
    onBackend: true,
    compute: (context) => run(description, context),
  };
}

async function run(description: Training, context: Context): Promise<TrainingResult> {
  const { phases, seed, evaluateEvery, heldOut } = description;
  const data = dataOf(await context.data(), seed, heldOut);
  const points: Point[] = [];
  let parameters: TrainOptions["parameters"];
  let [before, seconds] = [0, 0];
  let ran = { backend: context.backend as string, threads: 0, form: "direct" };
  for (const [index, { initialScale, ...phase }] of phases.entries()) {
    if (initialScale !== undefined) parameters = scaledStart(phase.network, seed, initialScale);
    const going = train({
      ...phase,
      data,
      // Each phase has an order of minibatches and noise of its own.
      seed: seed + 1000 * index,
      parameters,
      backend: context.backend,
      threads: context.threads,
      recordEvery: evaluateEvery,
      evaluateEvery,
    });
    try {
      for await (const record of going) {
        if (record.testAccuracy === undefined) continue;
        points.push({
          update: before + record.update,
          accuracy: record.testAccuracy,
          part: record.validationAccuracy ?? null,
          loss: record.loss,
          weightsShare:
            record.effectiveSampleSize === undefined
              ? null
              : record.effectiveSampleSize / (going.backend.samples ?? 1),
          seconds: seconds + record.seconds,
        });
      }
      const result = await going.result;
      parameters = result.parameters;
      before += result.updates;
      seconds += result.seconds;
      const { name, instructionSet, threads, form } = result.backend;
      ran = { backend: `${name} ${instructionSet}`, threads, form };
    } catch (error) {
      if (!(error instanceof DivergedError)) throw error;
      return { points, diverged: error.message, ...ran };
    }
  }
  return { points, diverged: null, ...ran };
}

/** Test images, all and `PAPER_IMAGES` of them at random, or images kept aside from the training set. */
function dataOf(data: Data, seed: number, heldOut: number | undefined): Data {
  const { train: all, test } = data;
  if (heldOut !== undefined) {
    const kept = all.count - heldOut;
    return { train: subset(all, kept), test, validation: subset(all, { from: kept, to: all.count }) };
  }
  if (test === undefined || test.count <= PAPER_IMAGES) return data;
  return { train: all, test, validation: subset(test, chosen(test.count, seed)) };
}

/** `PAPER_IMAGES` different numbers below `count`: a shuffle's first ones, by a linear congruential generator. */
function chosen(count: number, seed: number): number[] {
  const numbers = Array.from({ length: count }, (_, i) => i);
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n;
  for (let i = 0; i < PAPER_IMAGES; i++) {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    const other = i + Number((state >> 33n) % BigInt(count - i));
    [numbers[i], numbers[other]] = [numbers[other], numbers[i]];
  }
  return numbers.slice(0, PAPER_IMAGES);
}

function scaledStart(network: Settings["network"], seed: number, scale: number): Float32Array {
  return initialParameters(checkNetwork("paper.network", network), keyOf(seed)).map((value) => value * scale);
}

/** The curve's point at an update, or the last before it where the training ended early. */
export function at({ points }: TrainingResult, update: number): Point {
  const point = points.findLast((one) => one.update <= update);
  if (point === undefined)
    throw new RangeError(`Expected a point at update ${update} or before, but found none`);
  return point;
}

/** The last point. */
export function last({ points }: TrainingResult): Point {
  return points[points.length - 1];
}

/** How many times an accuracy was lower than at the point before, from the update `from` on, as a share of the steps. */
export function drops({ points }: TrainingResult, from = 0): number {
  const shown = points.filter(({ update }) => update >= from);
  return mean(shown.slice(1).map(({ accuracy }, i) => (accuracy < shown[i].accuracy ? 1 : 0)));
}

/** Mean fall of the accuracy from a point to the next, rises counted as 0, from the update `from` on. */
export function fall({ points }: TrainingResult, from = 0): number {
  const shown = points.filter(({ update }) => update >= from);
  return mean(shown.slice(1).map(({ accuracy }, i) => Math.max(0, shown[i].accuracy - accuracy)));
}
