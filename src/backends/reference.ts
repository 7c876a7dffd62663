/**
 * The reference backend: the float64 specification in `src/reference/`, behind the seam that every backend has.
 *
 * It runs on JavaScript's own thread, in turns of about 10 ms, so that timers and abort signals work meanwhile.
 * What it leaves out: speed.
 */

import { robbinsMonro } from "../reference/chains/robbins-monro.ts";
import { sgld } from "../reference/chains/sgld.ts";
import { finishInTurns, type Work } from "../reference/machine/work.ts";
import { accuracy, type Draw, type NetworkPoint, networkLoss, predict } from "../reference/network/dense.ts";
import { sgdDirect } from "../reference/network/sgd.ts";
import { gaussian } from "../reference/random/gaussian.ts";
import { evolutionStrategies } from "../reference/sampling/evolution-strategies.ts";
import { importanceSampling, weights } from "../reference/sampling/importance-sampling.ts";
import { step } from "../reference/update/step.ts";
import { networkPlace, type State, update } from "../reference/update/update.ts";
import {
  type Backend,
  type BatchInput,
  type DataSplit,
  type Examples,
  type Operations,
  type Plan,
  type PlanResult,
  type Session,
  type SessionSetup,
  type SessionState,
  VALUES,
  type Vector,
} from "./backend.ts";

export function openReference(): Backend<"reference"> {
  const sessions = new Set<Session>();
  let closed = false;
  return {
    name: "reference",
    instructionSet: "float64",
    threads: 1,
    operations: operations(() => closed),
    openSession(setup) {
      const session = openSession(setup, () => sessions.delete(session));
      sessions.add(session);
      return session;
    },
    close() {
      closed = true;
      for (const session of sessions) session.close();
    },
  };
}

/** The stateless operations. Inputs are copied before the call returns. */
function operations(closed: () => boolean): Operations {
  const run = async <T>(work: Work<T>, signal?: AbortSignal): Promise<T> => {
    const result = await finishInTurns(work, () => closed() || signal?.aborted === true);
    if (result !== "cancelled") return result;
    throw signal?.aborted ? signal.reason : new Error("The backend was closed during the call");
  };
  return {
    async gaussian({ key, stream, update: k, sample, count }) {
      return gaussian(key, stream, k, sample, count);
    },
    async loss(input) {
      const { network, loss, batches, x } = pointOf(input, [input.batch]);
      return networkLoss(network, loss, batches[0]).value(x);
    },
    async gradient(input) {
      const { network, loss, batches, x } = pointOf(input, [input.batch]);
      return run(sgdDirect(networkLoss(network, loss, batches[0]), x), input.signal);
    },
    async predict({ network, parameters, inputs, signal }) {
      return run(predict(network, Float64Array.from(parameters), inputs.slice()), signal);
    },
    async accuracy({ network, parameters, batch, signal }) {
      return run(accuracy(network, Float64Array.from(parameters), copied(batch)), signal);
    },
    async weights(input) {
      const losses = await run(weights(pointOf(input, [input.batch]), drawOf(input), input), input.signal);
      return { losses };
    },
    async importanceSampling(input) {
      const point = pointOf(input, [input.batch]);
      return run(importanceSampling(point, drawOf(input), { ...input }), input.signal);
    },
    async evolutionStrategies(input) {
      const point = pointOf(input, [input.batch]);
      return run(evolutionStrategies(point, drawOf(input), { ...input }), input.signal);
    },
    async sgld(input) {
      const { tau } = input;
      const settings = {
        tau,
        stepSizes: input.stepSizes.slice(),
        noiseScales: input.noiseScales.slice(),
      };
      const start = Float64Array.from(input.start);
      return run(sgld(pointOf(input, input.batches), drawOf(input), start, settings), input.signal);
    },
    async robbinsMonro(input) {
      const { tau, noiseScale, samples } = input;
      const settings = { tau, noiseScale, samples, stepSizes: input.stepSizes.slice() };
      return run(robbinsMonro(pointOf(input, input.batches), drawOf(input), settings), input.signal);
    },
    async step({ optimizer, rate, parameters, gradient, moments, index }) {
      const [x, g] = [Float64Array.from(parameters), Float64Array.from(gradient)];
      return step(optimizer, rate, x, g, moments.map(widened), index);
    },
  };
}

/** Opens a session: data and state in float64, one update at a time. */
function openSession(setup: SessionSetup, onClose: () => void): Session {
  const { network, loss, batchSize, estimator, optimizer, key } = setup;
  const data = {
    train: copied(setup.data.train),
    test: setup.data.test && copied(setup.data.test),
    validation: setup.data.validation && copied(setup.data.validation),
  };
  let state = stateOf(setup.state);
  let closed = false;
  const mustBeOpen = () => {
    if (closed) throw new Error("The session is closed; open another");
  };
  return {
    async run(plan: Plan, signal?: AbortSignal): Promise<PlanResult> {
      mustBeOpen();
      const values = new Float64Array(plan.count * VALUES);
      const perUpdate = plan.rows.length / plan.count;
      let done = 0;
      for (; done < plan.count; done++) {
        const rows = plan.rows.subarray(done * perUpdate, (done + 1) * perUpdate);
        const batches = gathered(data.train, network.layers[0], rows, batchSize);
        const k = plan.first + done;
        const place = networkPlace({ network, loss, batches, x: state.parameters }, { key, update: k });
        const schedules = {
          tau: plan.tau[done],
          noiseScale: plan.noiseScale[done],
          rate: plan.rate[done],
        };
        const work = update(place, estimator, optimizer, k, schedules, state);
        const result = await finishInTurns(work, () => closed || signal?.aborted === true);
        if (result === "cancelled") break;
        state = result.state;
        values.set(result.values, done * VALUES);
      }
      return { done, values: values.slice(0, done * VALUES) };
    },
    async accuracy(split: DataSplit) {
      mustBeOpen();
      const samples = data[split];
      if (!samples) throw new RangeError(`Expected a split that the session holds but received ${split}`);
      const result = await finishInTurns(accuracy(network, state.parameters, samples), () => closed);
      if (result === "cancelled") throw new Error("The session was closed during the call");
      return result;
    },
    async read() {
      mustBeOpen();
      return stateOf(state);
    },
    close() {
      closed = true;
      onClose();
    },
  };
}

/** A copy of a state, in float64. */
function stateOf({ parameters, moments, chain }: SessionState): State {
  return {
    parameters: Float64Array.from(parameters),
    moments: moments.map(widened),
    chain: chain && Float64Array.from(chain),
  };
}

const widened = (vector: Vector) => Float64Array.from(vector);

function copied({ inputs, labels }: Examples): Examples {
  return { inputs: inputs.slice(), labels: labels.slice() };
}

/** The minibatches that row numbers pick, `size` rows each. */
function gathered(data: Examples, width: number, rows: Uint32Array, size: number): Examples[] {
  const batches: Examples[] = [];
  for (let start = 0; start < rows.length; start += size) {
    const inputs = data.inputs.slice(0, size * width);
    const labels = new Uint16Array(size);
    rows.subarray(start, start + size).forEach((row, b) => {
      inputs.set(data.inputs.subarray(row * width, (row + 1) * width), b * width);
      labels[b] = data.labels[row];
    });
    batches.push({ inputs, labels });
  }
  return batches;
}

function pointOf(
  { network, loss, parameters }: Omit<BatchInput, "batch">,
  batches: readonly Examples[],
): NetworkPoint {
  return { network, loss, x: Float64Array.from(parameters), batches: batches.map(copied) };
}

function drawOf({ key, update: k, projected }: Draw): Draw {
  return { key, update: k, projected };
}
