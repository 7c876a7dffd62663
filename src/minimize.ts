/**
 * `minimize`: the algorithms of `train` on a user's own function, in float64 on the reference backend.
 *
 * A function has no minibatch, so every estimator is in its direct form over all n coordinates; sample j of update k
 * takes its n normals from stream "layer-1".
 */
import type { Plan, PlanResult, Session, SessionState } from "./backends/backend.ts";
import { VALUES } from "./backends/backend.ts";
import { openReference } from "./backends/reference.ts";
import { BackendError } from "./errors.ts";
import { type CheckedMinimize, checkMinimizeOptions, type MinimizeOptions } from "./options.ts";
import { finishInTurns } from "./reference/machine/work.ts";
import { gaussian } from "./reference/random/gaussian.ts";
import { layerStream } from "./reference/random/streams.ts";
import { functionPlace, type State, update } from "./reference/update/update.ts";
import { type BackendReport, type Run, startRun } from "./run.ts";
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
 * @returns a run, begun: iterate over its records, await its `result`, which rejects with a DivergedError once f or a
 *   gradient is no longer finite; its `save` rejects, since a function has no checkpoint
 * @throws OptionError for a wrong option; a gradient is required by sgld, robbins-monro and the objective "loss"
 */
export function minimize(options: MinimizeOptions): Run<MinimizeResult> {
  const checked = checkMinimizeOptions(options);
  const session = openFunctionSession(checked);
  const backend = describeBackend(
    openReference(),
    // Only Walsh blocks look at it, and a function has none.
    { layers: [checked.loss.dimension, 1], activation: "relu" },
    checked.estimator,
    [],
  );
  return startRun<MinimizeResult>({
    session,
    plan: (first, count) => ({ first, count, rows: new Uint32Array(0), ...checked.planValues(first, count) }),
    updates: checked.updates,
    recordEvery: checked.recordEvery,
    evaluateEvery: 0,
    splits: [],
    accuracy: (split) => session.accuracy(split),
    averaging: false,
    signal: checked.signal,
    backend,
    weighted: checked.estimator.kind === "importance-sampling",
    updatesPerCrossing: Number.POSITIVE_INFINITY,
    finish({ state, update: updates, seconds, completed }) {
      const parameters = state.parameters as Float64Array;
      return { parameters, value: checked.loss.value(parameters), updates, seconds, completed, backend };
    },
    async save() {
      throw new BackendError("A run on a function has no checkpoint; keep `result.parameters`");
    },
    close() {},
  });
}

/** A session whose loss is one function, the same at every update. */
function openFunctionSession({ loss, estimator, optimizer, key, state: start }: CheckedMinimize): Session {
  let state = start as State;
  let closed = false;
  return {
    async run(plan: Plan, signal?: AbortSignal): Promise<PlanResult> {
      const values = new Float64Array(plan.count * VALUES);
      let done = 0;
      for (; done < plan.count; done++) {
        const k = plan.first + done;
        const normals = (index: number) => gaussian(key, layerStream(1), k, index, loss.dimension);
        const schedules = { tau: plan.tau[done], noiseScale: plan.noiseScale[done], rate: plan.rate[done] };
        const place = functionPlace(loss, state.parameters, normals);
        const work = update(place, estimator, optimizer, k, schedules, state);
        const result = await finishInTurns(work, () => closed || signal?.aborted === true);
        if (result === "cancelled") break;
        state = result.state;
        values.set(result.values, done * VALUES);
      }
      return { done, values: values.slice(0, done * VALUES) };
    },
    accuracy: () => Promise.reject(new BackendError("A function has no accuracy")),
    async read(): Promise<SessionState> {
      const { parameters, moments, chain } = state;
      return {
        parameters: parameters.slice(),
        moments: moments.map((m) => m.slice()),
        chain: chain?.slice() ?? null,
      };
    },
    close() {
      closed = true;
    },
  };
}
