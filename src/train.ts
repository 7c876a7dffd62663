/**
 * `train`: checks its options, opens a session on a backend, and starts the run (`drive.ts`), whose updates are
 * Algorithm 1 or 2 of García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, or SGD (`options/objectives/`).
 */

import { withLast } from "./averaging.ts";
import {
  type BatchInput,
  type DataSplit,
  type Estimator,
  type Examples,
  type Session,
  sampleCount,
  type Vector,
} from "./backends/backend.ts";
import { LINKS } from "./backends/description.ts";
import { type BackendName, type Declined, selectBackend } from "./backends/registry.ts";
import type { Started } from "./backends/starting.ts";
import { minibatches } from "./data/minibatches.ts";
import { type Snapshot, startRun } from "./drive.ts";
import { answersOfRows, GivenSession } from "./given.ts";
import { nextTurn } from "./host.ts";
import { errorsOf, type Measures, rightSides } from "./measures.ts";
import { type Network, type Predicts, placeOf } from "./network.ts";
import { drawsSamples, FLOAT32 } from "./options/precision.ts";
import { type CheckedTrain, checkTrainOptions } from "./options/train.ts";
import type { TrainOptions } from "./options/types.ts";
import type { Work } from "./reference/machine/work.ts";
import type { BackendReport, Run, TrainResult } from "./run.ts";
import { save } from "./runs/checkpoint.ts";

/** Most row numbers in one crossing: they are made in a millisecond. */
const ROWS_PER_CROSSING = 2 ** 16;
/** Bytes of inputs that cross at a time where the average's accuracy is measured. */
const EVALUATED_BYTES = 2 ** 21;

/**
 * Trains a network. Everything is checked and copied before it returns; the run then goes on by itself, on the backend's
 * own threads, whether or not anyone reads its records.
 *
 * @returns the run: iterate over its records, await its `result`, which rejects with a DivergedError once the
 *   loss, the gradient or, at a record, a parameter is no longer finite (importance sampling gives a sample of infinite
 *   loss the weight 0 and goes on)
 * @throws OptionError for a wrong option, BackendError for a backend that cannot be used here
 */
export function train(options: TrainOptions): Run {
  const checked = checkTrainOptions(options);
  const { backend, declined } = selectBackend(checked.backend, checked.threads);
  try {
    return start(checked, backend, declined);
  } catch (error) {
    backend.close();
    throw error;
  }
}

function start(checked: CheckedTrain, backend: Started<BackendName>, declined: readonly Declined[]): Run {
  const { network, loss, data, estimator, optimizer, batchSize, updates, key, state, resume, averaging } =
    checked;
  const { lossFunction } = checked;
  const outputs = network.layers[network.layers.length - 1];
  const batches = "batches" in estimator ? estimator.batches : 1;
  const rowsOf = minibatches(key, data.train.inputs.length / network.layers[0], batchSize);
  const splits = (["test", "validation"] satisfies DataSplit[]).filter((split) => data[split] !== undefined);
  const measures = measuresOf(checked, splits);
  const predicts = predictsOf(checked);
  const report = describeBackend(backend, network, estimator, declined);
  const shown = ({ average, state, update }: Snapshot) =>
    average === null ? state.parameters : withLast(average, state.parameters, update);
  let session: Session;
  let fingerprint = "";
  const write = (snapshot: Snapshot, directory: string) => {
    const { average, update, pending, seconds, completed } = snapshot;
    const { testAccuracy, validationAccuracy, testErrors, validationErrors } = snapshot;
    const where = { backend: backend.name, instructionSet: backend.instructionSet };
    return save(
      directory,
      {
        network,
        predicts,
        resume: { ...snapshot.state, average, ...where, update, fingerprint, pending, seconds },
        encoding: checked.encoding,
      },
      {
        options: checked.description,
        backend: report,
        updates: update,
        seconds,
        completed,
        testAccuracy,
        validationAccuracy,
        testErrors,
        validationErrors,
      },
    );
  };
  return startRun<TrainResult>({
    async open() {
      fingerprint = await inTurns(checked.fingerprint);
      await checked.forward(resume?.update ?? 0);
      // The average is measured on rows that stay here.
      const held = averaging ? { train: data.train } : data;
      const setup = { network, loss, data: held, batchSize, estimator, optimizer, key, state };
      const answers = lossFunction && answersOfRows(data.train, outputs); // before the data is moved away
      session = await backend.takeSession(setup);
      if (lossFunction !== undefined) session = new GivenSession(session, lossFunction, answers!, outputs);
      return session;
    },
    start: state,
    plan(first, count) {
      const rows = new Uint32Array(count * batches * batchSize);
      for (let t = 0; t < count * batches; t++) {
        rowsOf(first * batches + t, rows.subarray(t * batchSize, (t + 1) * batchSize));
      }
      return { first, count, rows, ...checked.planValues(first, count) };
    },
    updates,
    recordEvery: checked.recordEvery,
    evaluateEvery: checked.evaluateEvery,
    splits,
    averaging,
    async measure(split, average) {
      const targets = measures.targets[split];
      if (!averaging) {
        if (targets === undefined) return { accuracy: await session.accuracy(split) };
        return measures.of(await session.predict(split), targets);
      }
      const parameters = average ?? (await session.read()).parameters;
      const input = { network, loss, parameters, batch: data[split]! };
      if (targets === undefined) return { accuracy: await accuracyInParts(backend, input) };
      return measures.of(await outputsInParts(backend, input), targets);
    },
    signal: checked.signal,
    resume,
    changed: checked.changed,
    backend: report,
    advice: checked.advice,
    precision: drawsSamples(estimator) ? FLOAT32 : null,
    placeOf: (index) => placeOf(network, index),
    weighted: estimator.kind === "importance-sampling",
    warning: (effectiveSampleSize) => poorWeights(estimator, report.samples ?? 0, effectiveSampleSize),
    updatesPerCrossing: Math.max(1, Math.floor(ROWS_PER_CROSSING / (batches * batchSize))),
    finish(snapshot) {
      const { update, seconds, completed } = snapshot;
      const { testAccuracy, validationAccuracy, testErrors, validationErrors } = snapshot;
      return {
        // Its reader's own: whatever becomes of them, `save` writes what the run came to.
        parameters: shown(snapshot).slice(),
        network: { ...network, layers: [...network.layers] },
        testAccuracy,
        validationAccuracy,
        testErrors,
        validationErrors,
        updates: update,
        seconds,
        completed,
        backend: report,
        save: (directory) => write(snapshot, directory),
      };
    },
    save: write,
    close: () => backend.close(),
  });
}

/** Does work piece by piece, with a turn of the event loop after each. */
async function inTurns<T>(work: Work<T>): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value as T;
    await nextTurn();
  }
}

/** Targets that outputs are held against, kept here, since a session may move its data away; none where classes are. */
function measuresOf({ network, loss, data }: CheckedTrain, splits: readonly DataSplit[]) {
  const { layers } = network;
  const link = LINKS[loss.kind];
  const targets: Partial<Record<DataSplit, Float32Array>> = {};
  for (const split of splits) {
    const own = data[split]!.targets;
    if (link !== "softmax" && own !== undefined) targets[split] = own.slice();
  }
  const of = (outputs: Vector, targets: Float32Array): Measures =>
    link === "sigmoid"
      ? { accuracy: rightSides(outputs, targets) }
      : { errors: errorsOf(outputs, targets, layers[layers.length - 1]) };
  return { targets, of };
}

/** What the outputs are that a loss was taken of. */
function predictsOf({ loss, data }: CheckedTrain): Predicts {
  switch (LINKS[loss.kind]) {
    case "softmax":
      return "classes";
    case "sigmoid":
      return "probabilities";
    case "identity": // a function's outputs are what it has them answer
      return loss.kind === "given" && data.train.targets === undefined ? "classes" : "numbers";
  }
}

/** A split's rows, so many at a time that copying them holds nothing up. */
function* parts({ network, batch }: BatchInput): Generator<Examples> {
  const { inputs, labels } = batch;
  const width = network.layers[0];
  const rows = Math.max(1, Math.floor(EVALUATED_BYTES / (width * inputs.BYTES_PER_ELEMENT)));
  for (let at = 0; at * width < inputs.length; at += rows) {
    yield {
      inputs: inputs.subarray(at * width, (at + rows) * width),
      labels: labels.subarray(at, at + rows),
    };
  }
}

async function accuracyInParts({ operations }: Started<BackendName>, input: BatchInput): Promise<number> {
  const { network, parameters } = input;
  let correct = 0;
  for (const batch of parts(input)) {
    const fraction = await operations.accuracy({ network, parameters, batch });
    correct += Math.round(fraction * batch.labels.length);
  }
  return correct / input.batch.labels.length;
}

async function outputsInParts({ operations }: Started<BackendName>, input: BatchInput): Promise<Vector> {
  const { network, loss, parameters } = input;
  const all = new Float64Array(input.batch.targets!.length);
  let at = 0;
  for (const { inputs } of parts(input)) {
    const { outputs } = await operations.predict({ network, loss, parameters, inputs });
    all.set(outputs, at);
    at += outputs.length;
  }
  return all;
}

/**
 * Of J the effective samples below which the row split's error is larger than that of plain weights: its first-order part
 * is then worth nothing, and the remainder has to take it off again. `bench/studies/row-split.mjs` measures it.
 */
const LEAST_SHARE = 1 / 5;

function poorWeights(estimator: Estimator, samples: number, effective: number): string | null {
  const split = estimator.kind === "importance-sampling" && estimator.rowwise;
  if (!split || !(effective < LEAST_SHARE * samples)) return null;
  return (
    `The effective sample size is ${effective.toPrecision(3)} of ${samples} samples, less than a fifth: there the row split ` +
    "has a larger error than plain weights. Try a smaller tau or a larger temperature, or else rowwise: false"
  );
}

/** What ran, for `run.backend` and `run.json`. */
export function describeBackend(
  backend: Started<BackendName>,
  network: Network,
  estimator: Estimator,
  declined: readonly Declined[],
): BackendReport {
  const form = "projected" in estimator && estimator.projected ? "projected" : "direct";
  return Object.freeze({
    // Asked for when they are read: a backend that is still starting may give way to the next.
    get name() {
      return backend.name;
    },
    get instructionSet() {
      return backend.instructionSet;
    },
    get threads() {
      return backend.threads;
    },
    form,
    ...sampling(network, estimator),
    get declined() {
      return Object.freeze(declined.map((one) => Object.freeze({ ...one })));
    },
  });
}

function sampling(network: Network, estimator: Estimator): Pick<BackendReport, "coupling" | "samples"> {
  switch (estimator.kind) {
    case "sgd":
      return {};
    case "sgld":
      return { samples: estimator.stepSizes.length };
    case "robbins-monro":
      return { samples: estimator.samples * estimator.stepSizes.length };
    case "importance-sampling":
    case "evolution-strategies": {
      const { coupling, rowwise } = estimator;
      return { coupling: coupling.kind, samples: sampleCount(coupling, network, rowwise) };
    }
    default:
      return estimator satisfies never;
  }
}
