/**
 * A session: the state of a run inside the reference, moved on update by update in turns of the event loop.
 *
 * Its calls run one after another, in the order in which they were made.
 *
 * What this file leaves out: the data, which a problem knows.
 */
import {
  checkedMoments,
  type DataSplit,
  type Estimator,
  type Optimizer,
  type Plan,
  type PlanResult,
  type Session,
  type SessionState,
  VALUES,
} from "../../backends/backend.ts";
import { BackendError, expected, OptionError } from "../../errors.ts";
import { copyDoubles, copyWords } from "../machine/memory.ts";
import { finishInTurns, type Work } from "../machine/work.ts";
import { type Problem, type State, update } from "./update.ts";

export interface Updates {
  /** n. */
  readonly dimension: number;
  readonly estimator: Estimator;
  readonly optimizer: Optimizer;
  readonly state: SessionState;
  /** Row numbers that an update takes. */
  readonly rowsPerUpdate: number;
  /** What update k minimizes, at x (n), by its samples' losses where these are given. */
  problem(k: number, rows: Uint32Array, x: Float64Array, losses?: Float64Array): Problem;
  /** The outputs of update k's samples at x. */
  outputs?(k: number, rows: Uint32Array, x: Float64Array, noiseScale: number): Work<Float64Array>;
  /** Splits to measure. */
  readonly splits: readonly DataSplit[];
  accuracy(split: DataSplit, x: Float64Array): Work<number>;
  predict(split: DataSplit, x: Float64Array): Work<{ outputs: Float64Array }>;
  /** Whether the backend was closed. */
  isClosed(): boolean;
}

export function openUpdates(updates: Updates): Session {
  const { dimension, estimator, optimizer, rowsPerUpdate, splits } = updates;
  let state = copyState(updates.state, dimension, optimizer);
  let closed = false;
  let last: Promise<unknown> = Promise.resolve();
  const isClosed = () => closed || updates.isClosed();
  const checkOpen = () => {
    if (!isClosed()) return;
    throw new BackendError(`The ${updates.isClosed() ? "backend" : "session"} is closed; open a new one`);
  };
  /** The call after those before it; rejects where the session is closed before the call has ended. */
  const inOrder = <T>(call: () => Promise<T>): Promise<T> => {
    const result = last.then(async () => {
      checkOpen();
      const value = await call();
      checkOpen();
      return value;
    });
    last = result.catch(() => {});
    return result;
  };
  const checkSplit = (split: DataSplit) => {
    if (!splits.includes(split)) throw new OptionError(expected(splits.join(", "), "split", split));
  };
  return {
    async run(given, signal) {
      checkOpen();
      const plan = copyPlan(given, rowsPerUpdate);
      return inOrder(async () => {
        const values = new Float64Array(plan.count * VALUES);
        let done = 0;
        for (; done < plan.count; done++) {
          const k = plan.first + done;
          const rows = plan.rows.subarray(done * rowsPerUpdate, (done + 1) * rowsPerUpdate);
          const [tau, noiseScale, rate] = [plan.tau[done], plan.noiseScale[done], plan.rate[done]];
          const problem = updates.problem(k, rows, state.parameters, plan.losses as Float64Array | undefined);
          const work = update(problem, estimator, optimizer, k, { tau, noiseScale, rate }, state);
          const result = await finishInTurns(work, () => isClosed() || signal?.aborted === true);
          if (result === "cancelled") break;
          state = result.state;
          values.set(result.values, done * VALUES);
        }
        const finite = state.parameters.every(Number.isFinite);
        return { done, values: values.slice(0, done * VALUES), finite } satisfies PlanResult;
      });
    },
    async accuracy(split) {
      checkOpen();
      checkSplit(split);
      return inOrder(async () => {
        const fraction = await finishInTurns(updates.accuracy(split, state.parameters), isClosed);
        return fraction as number; // where it was cancelled, closing is what rejects
      });
    },
    async predict(split) {
      checkOpen();
      checkSplit(split);
      return inOrder(async () => {
        const made = await finishInTurns(updates.predict(split, state.parameters), isClosed);
        return made === "cancelled" ? new Float64Array(0) : made.outputs;
      });
    },
    async outputs(given, signal) {
      checkOpen();
      const plan = copyPlan(given, rowsPerUpdate);
      return inOrder(async () => {
        if (updates.outputs === undefined) throw new BackendError("A function has no outputs");
        const work = updates.outputs(plan.first, plan.rows, state.parameters, plan.noiseScale[0]);
        const made = await finishInTurns(work, () => isClosed() || signal?.aborted === true);
        return made === "cancelled" ? null : made;
      });
    },
    async read() {
      checkOpen();
      return inOrder(async () => copyState(state, dimension, optimizer));
    },
    close() {
      closed = true;
    },
  };
}

function copyState({ parameters, moments, chain }: SessionState, n: number, optimizer: Optimizer): State {
  return {
    parameters: copyDoubles("state.parameters", parameters, n),
    moments: checkedMoments(moments, n, optimizer).map((moment) => new Float64Array(moment)),
    chain: chain && copyDoubles("state.chain", chain, n),
  };
}

function copyPlan(given: Plan, rowsPerUpdate: number): Plan {
  const { first, count, rows, tau, noiseScale, rate, losses } = given;
  return {
    first,
    count,
    rows: copyWords("rows", rows, count * rowsPerUpdate),
    tau: copyDoubles("tau", tau, count),
    noiseScale: copyDoubles("noiseScale", noiseScale, count),
    rate: copyDoubles("rate", rate, count),
    ...(losses && { losses: new Float64Array(losses) }),
  };
}
