/**
 * What the estimators are written over: a loss function, a supply of normals, and work that can pause.
 *
 * An estimator is a generator. It yields after each loss evaluation, so that whoever drives it can let the event
 * loop run and look at an abort signal; nothing else passes through a yield. What it computes does not depend on
 * when, or whether, it pauses.
 */
import { expected, OptionError } from "../../errors.ts";
import { nextTurn } from "../../host.ts";

/** A function to minimize, f: R^n → R. A network's loss on a minibatch is one; so is any of a user's own. */
export interface LossFunction {
  /** n. */
  readonly dimension: number;
  /** f(x), x of n entries; `sample` is its number among the samples of an update, where it is one. */
  value(x: Float64Array, sample?: number): number;
  /** ∇f(x), n entries; absent where f has no useful gradient. */
  gradient?(x: Float64Array): ArrayLike<number>;
}

/** The standard normals of sample (or chain step) `index`, zero-based: the same n numbers each time it is asked. */
export type Normals = (index: number) => Float64Array;

/** Work that pauses after each loss evaluation and ends in a T. */
export type Work<T> = Generator<undefined, T, undefined>;

/** Work without a pause. */
export function* atOnce<T>(compute: () => T): Work<T> {
  yield;
  return compute();
}

/** Does the work at one go. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value as T;
  }
}

const TURN_MILLISECONDS = 10;

/** When this turn of the event loop has lasted long enough; shared, since all work shares JavaScript's one thread. */
let turnEnd = 0;

/**
 * Does the work in turns of about 10 ms (or one loss evaluation, if that takes longer) with the event loop in
 * between, also between short pieces of work that follow each other; resolves to "cancelled" once `cancelled()`
 * says so.
 */
export async function finishInTurns<T>(work: Work<T>, cancelled: () => boolean): Promise<T | "cancelled"> {
  for (;;) {
    if (performance.now() >= turnEnd) {
      await nextTurn();
      turnEnd = performance.now() + TURN_MILLISECONDS;
    }
    if (cancelled()) return "cancelled";
    do {
      const { done, value } = work.next();
      if (done) return value as T;
    } while (performance.now() < turnEnd);
  }
}

/** ∇f, or a sentence that says what is missing. */
export function gradientOf(loss: LossFunction): (x: Float64Array) => ArrayLike<number> {
  if (!loss.gradient) {
    const advice = "importance sampling needs none";
    throw new OptionError(
      expected("a function (this estimator needs it)", "loss.gradient", undefined, advice),
    );
  }
  return (x) => loss.gradient!(x);
}

/** x + s·z. */
export function shifted(x: Float64Array, s: number, z: ArrayLike<number>): Float64Array {
  return x.map((value, i) => value + s * z[i]);
}
