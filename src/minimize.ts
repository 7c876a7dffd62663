/**
 * `minimize`: the algorithms of `train` on a user's own function, in float64 on the reference backend.
 *
 * A function has no minibatch, so every estimator is in its direct form over all n coordinates; sample j of update k
 * takes its n normals from stream "layer-1".
 */
import type { Session } from "./backends/backend.ts";
import { openReference } from "./backends/reference.ts";
import { startRun } from "./drive.ts";
import { BackendError, DivergedError, expected, OptionError } from "./errors.ts";
import { type CheckedMinimize, checkMinimizeOptions } from "./options/minimize.ts";
import { drawsSamples, FLOAT64 } from "./options/precision.ts";
import type { FunctionLoss, MinimizeOptions } from "./options/types.ts";
import type { LossFunction } from "./reference/machine/work.ts";
import { gaussian } from "./reference/random/gaussian.ts";
import { layerStream } from "./reference/random/streams.ts";
import { openUpdates } from "./reference/update/session.ts";
import { functionProblem } from "./reference/update/update.ts";
import type { BackendReport, Run } from "./run.ts";
import { describeBackend } from "./train.ts";

/** What a run of `minimize` comes to. */
export interface MinimizeResult {
  /** x after the last update (n). */
  readonly parameters: Float64Array;
  /** f(x). */
  readonly value: number;
  /** Updates done. */
  readonly updates: number;
  /** Time spent in updates, in seconds. */
  readonly seconds: number;
  /** False after `break` or `stop()`. */
  readonly completed: boolean;
  /** What ran: always the reference, in the direct form. */
  readonly backend: BackendReport;
}

/**
 * Minimizes a function's local entropy, its heat regularization, or the function itself.
 *
 * @returns a run, begun: iterate over its records, await its `result`, which rejects with a DivergedError once f, a
 *   gradient or x is no longer finite, and with an OptionError where f returns no number or a gradient that is not n
 *   numbers; its `save` rejects, since a function has no checkpoint. Importance sampling gives a sample where f is
 *   Infinity the weight 0: outside a feasible set f may be infinite
 * @throws OptionError for a wrong option; a gradient is required by sgld, robbins-monro and the objective "loss"
 */
export function minimize(options: MinimizeOptions): Run<MinimizeResult> {
  const checked = checkMinimizeOptions(options);
  const loss = guarded(checked.loss);
  const session = openFunctionSession(loss, checked);
  const backend = describeBackend(
    openReference(),
    // Only Walsh blocks look at it, and a function has none.
    { layers: [loss.dimension, 1], activation: "relu" },
    checked.estimator,
    [],
  );
  return startRun<MinimizeResult>({
    open: async () => session,
    start: checked.state,
    plan: (first, count) => ({ first, count, rows: new Uint32Array(0), ...checked.planValues(first, count) }),
    updates: checked.updates,
    recordEvery: checked.recordEvery,
    evaluateEvery: 0,
    splits: [],
    measure: async (split) => ({ accuracy: await session.accuracy(split) }),
    averaging: false,
    signal: checked.signal,
    backend,
    advice: checked.advice,
    precision: drawsSamples(checked.estimator) ? FLOAT64 : null,
    placeOf: (index) => `x[${index}]`,
    weighted: checked.estimator.kind === "importance-sampling",
    updatesPerCrossing: Number.POSITIVE_INFINITY,
    finish({ state, update: updates, seconds, completed }) {
      const parameters = state.parameters as Float64Array;
      return { parameters, value: loss.value(parameters), updates, seconds, completed, backend };
    },
    async save() {
      throw new BackendError("A run on a function has no checkpoint; keep `result.parameters`");
    },
    close() {},
  });
}

/** A session whose loss is one function, the same at every update. */
function openFunctionSession(
  loss: LossFunction,
  { estimator, optimizer, key, state }: CheckedMinimize,
): Session {
  return openUpdates({
    dimension: loss.dimension,
    estimator,
    optimizer,
    state,
    rowsPerUpdate: 0,
    problem(k, _rows, x) {
      const normals = (index: number) => gaussian(key, layerStream(1), k, index, loss.dimension);
      return functionProblem(loss, x, normals);
    },
    splits: [],
    predict() {
      throw new BackendError("A function predicts nothing");
    },
    accuracy() {
      throw new BackendError("A function has no accuracy");
    },
    isClosed: () => false,
  });
}

/**
 * A user's function, who gets a copy of x to scribble on and whose answers are checked and copied: what it returned may
 * be an array that its next call writes over.
 */
function guarded({ dimension, value, gradient }: FunctionLoss): LossFunction {
  const valueAt = (x: Float64Array): number => {
    const returned: unknown = value(x.slice());
    if (typeof returned !== "number") {
      throw new OptionError(
        expected("a number", "what minimize.loss.value(x) returns", returned, why(returned)),
      );
    }
    if (Number.isNaN(returned)) refuseNaN("what minimize.loss.value(x) returns", x);
    return returned;
  };
  if (gradient === undefined) return { dimension, value: valueAt };
  return {
    dimension,
    value: valueAt,
    gradient(x) {
      const path = "what minimize.loss.gradient(x) returns";
      const returned: unknown = gradient(x.slice());
      const isArray = Array.isArray(returned) || (ArrayBuffer.isView(returned) && "length" in returned);
      if (!isArray || (returned as ArrayLike<unknown>).length !== dimension) {
        const range = dimension === 1 ? "an array of 1 number" : `an array of ${dimension} numbers`;
        throw new OptionError(expected(range, path, returned, why(returned)));
      }
      const entries = returned as ArrayLike<unknown>;
      const copy = new Float64Array(dimension);
      for (let i = 0; i < dimension; i++) {
        const entry = entries[i];
        if (typeof entry !== "number")
          throw new OptionError(expected("a number", `[${i}] of ${path}`, entry));
        if (Number.isNaN(entry)) refuseNaN(`[${i}] of ${path}`, x);
        copy[i] = entry;
      }
      return copy;
    },
  };
}

/** What to do about an answer that is none. */
function why(returned: unknown): string {
  if (returned === undefined) return "a function without a return statement returns undefined";
  return typeof (returned as PromiseLike<unknown> | null)?.then === "function"
    ? "it must not be async: nothing waits for it"
    : "";
}

/** Where x itself is no longer finite, that is what the run tells of. */
function refuseNaN(path: string, x: Float64Array): void {
  if (!x.every(Number.isFinite)) return;
  const advice =
    "give the function a value there, or keep away from there by a smaller rate, tau or stepSize";
  throw new DivergedError(expected("a number", path, Number.NaN, advice));
}
