/**
 * A loss that is a function of the user's: called for every row of every sample, in slices that give the event loop back,
 * between the outputs of an update's samples and the estimate from their losses.
 *
 * Symbols: J samples, B rows of a minibatch, d_L outputs.
 */
import type { AbortSignalLike, Examples, Plan, PlanResult, Session, Vector } from "./backends/backend.ts";
import { VALUES } from "./backends/backend.ts";
import { describe, OptionError } from "./errors.ts";
import { nextTurn } from "./host.ts";
import type { LossFunction } from "./options/types.ts";

/** How long the function is called at a stretch. */
const TURN_MILLISECONDS = 4;
/** Calls between looks at the clock. */
const CALLS = 8;

/** What the rows of the training data, or of a batch, are to be: their classes or their targets. */
export type RowAnswers = (row: number) => number | Float32Array;

/** @param width d_L */
export function answersOfRows({ labels, targets }: Examples, width: number): RowAnswers {
  if (targets === undefined) {
    const own = labels.slice();
    return (row) => own[row];
  }
  const own = targets.slice();
  return (row) => own.slice(row * width, (row + 1) * width);
}

/**
 * Losses ((J + 1) × B) of outputs ((J + 1) × B × d_L) whose B rows have these places; null where the signal was aborted.
 *
 * @param width d_L
 * @throws OptionError where the function throws or returns no number
 */
export async function lossesOf(
  loss: LossFunction,
  outputs: Vector,
  rows: ArrayLike<number>,
  answers: RowAnswers,
  width: number,
  signal?: AbortSignalLike,
): Promise<Float64Array | null> {
  const count = rows.length;
  const targets = Array.from(rows, answers);
  const losses = new Float64Array(outputs.length / width);
  const output = new Float32Array(width);
  let turn = performance.now() + TURN_MILLISECONDS;
  for (let at = 0; at < losses.length; at++) {
    const b = at % count;
    for (let c = 0; c < width; c++) output[c] = outputs[at * width + c];
    let value: unknown;
    try {
      value = loss(output, targets[b], rows[b]);
    } catch (cause) {
      throw new OptionError(
        `The function loss(output, target, row) threw for row ${rows[b]}, whose outputs were ${shown(outputs, at, width)}: ` +
          `${cause instanceof Error ? cause.message : describe(cause)}`,
        { cause },
      );
    }
    if (typeof value !== "number" || Number.isNaN(value)) throw noNumber(value, rows[b], outputs, at, width);
    losses[at] = value;
    if (at % CALLS === 0 && performance.now() > turn) {
      await nextTurn();
      if (signal?.aborted) return null;
      turn = performance.now() + TURN_MILLISECONDS;
    }
  }
  return losses;
}

function noNumber(value: unknown, row: number, outputs: Vector, at: number, width: number): OptionError {
  return new OptionError(
    `Expected a number for loss(output, target, row) but received ${describe(value)} for row ${row}, whose outputs were ` +
      `${shown(outputs, at, width)}; where nothing can be charged return Infinity, whose sample then has the weight 0`,
  );
}

/** The outputs of a row, so many as are told in a sentence. */
function shown(outputs: Vector, at: number, width: number): string {
  const text = Array.from(outputs.slice(at * width, (at + 1) * width)).join(", ");
  return `[${text.length > 200 ? `${text.slice(0, 200)}…` : text}]`;
}

/** A session whose loss is a function: each update's outputs, its losses, then the update from these. */
export class GivenSession implements Session {
  readonly #inner: Session;
  readonly #loss: LossFunction;
  readonly #answers: RowAnswers;
  readonly #width: number;

  /**
   * @param inner a session on the loss "given"
   * @param width d_L
   */
  constructor(inner: Session, loss: LossFunction, answers: RowAnswers, width: number) {
    this.#inner = inner;
    this.#loss = loss;
    this.#answers = answers;
    this.#width = width;
  }

  async run(plan: Plan, signal?: AbortSignalLike): Promise<PlanResult> {
    const values = new Float64Array(plan.count * VALUES);
    const perUpdate = plan.rows.length / plan.count;
    let done = 0;
    let finite = true;
    for (; finite && done < plan.count && !signal?.aborted; done++) {
      const next = done + 1;
      const one = {
        first: plan.first + done,
        count: 1,
        rows: plan.rows.slice(done * perUpdate, next * perUpdate),
        tau: plan.tau.slice(done, next),
        noiseScale: plan.noiseScale.slice(done, next),
        rate: plan.rate.slice(done, next),
      };
      const outputs = await this.#inner.outputs(one, signal);
      if (outputs === null) break;
      const losses = await lossesOf(this.#loss, outputs, one.rows, this.#answers, this.#width, signal);
      if (losses === null) break;
      const result = await this.#inner.run({ ...one, losses }, signal);
      if (result.done === 0) break;
      values.set(result.values, done * VALUES);
      finite = result.finite;
    }
    return { done, values: values.slice(0, done * VALUES), finite };
  }

  outputs(plan: Plan, signal?: AbortSignalLike) {
    return this.#inner.outputs(plan, signal);
  }

  accuracy(split: Parameters<Session["accuracy"]>[0]) {
    return this.#inner.accuracy(split);
  }

  predict(split: Parameters<Session["predict"]>[0]) {
    return this.#inner.predict(split);
  }

  read() {
    return this.#inner.read();
  }

  close(): void {
    this.#inner.close();
  }
}
