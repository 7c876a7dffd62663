/**
 * `train`: checks its options, opens a session on a backend, and starts the run (`drive.ts`), whose updates are
 * Algorithm 1 or 2 of García Trillos, Kaplan, Sanz-Alonso, Entropy 2019, or SGD (`options/objectives/`).
 */

import { withLast } from "./averaging.ts";
import {
  type Backend,
  type DataSplit,
  type Estimator,
  type Examples,
  sampleCount,
} from "./backends/backend.ts";
import { type BackendName, type Declined, selectBackend } from "./backends/registry.ts";
import { minibatches } from "./data/minibatches.ts";
import { type Snapshot, startRun } from "./drive.ts";
import { type Network, placeOf } from "./network.ts";
import { drawsSamples, FLOAT32 } from "./options/precision.ts";
import { type CheckedTrain, checkTrainOptions } from "./options/train.ts";
import type { TrainOptions } from "./options/types.ts";
import type { BackendReport, Run, TrainResult } from "./run.ts";
import { save } from "./runs/checkpoint.ts";

/** Most row numbers in one crossing: 16 MB. */
const ROWS_PER_CROSSING = 2 ** 22;

/**
 * Trains a network. Everything is checked before it returns; the run then goes on by itself, on the backend's own
 * threads, whether or not anyone reads its records.
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

function start(checked: CheckedTrain, backend: Backend<BackendName>, declined: readonly Declined[]): Run {
  const { network, loss, data, estimator, optimizer, batchSize, updates, key, state, resume } = checked;
  const session = backend.openSession({ network, loss, data, batchSize, estimator, optimizer, key, state });
  const batches = "batches" in estimator ? estimator.batches : 1;
  const rowsOf = minibatches(key, data.train.labels.length, batchSize);
  const report = describeBackend(backend, network, estimator, declined);
  const shown = ({ average, state, update }: Snapshot) =>
    average === null ? state.parameters : withLast(average, state.parameters, update);
  const write = (snapshot: Snapshot, directory: string) => {
    const { average, update, pending, seconds, completed, testAccuracy, validationAccuracy } = snapshot;
    const where = { backend: backend.name, instructionSet: backend.instructionSet };
    const { fingerprint, description } = checked;
    return save(
      directory,
      { network, resume: { ...snapshot.state, average, ...where, update, fingerprint, pending, seconds } },
      {
        options: description,
        backend: report,
        updates: update,
        seconds,
        completed,
        testAccuracy,
        validationAccuracy,
      },
    );
  };
  return startRun<TrainResult>({
    session,
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
    splits: (["test", "validation"] satisfies DataSplit[]).filter((split) => data[split] !== undefined),
    averaging: checked.averaging,
    accuracy(split, average) {
      if (average === null) return session.accuracy(split);
      return backend.operations.accuracy({ network, parameters: average, batch: data[split] as Examples });
    },
    signal: checked.signal,
    resume,
    backend: report,
    advice: checked.advice,
    precision: drawsSamples(estimator) ? FLOAT32 : null,
    placeOf: (index) => placeOf(network, index),
    weighted: estimator.kind === "importance-sampling",
    updatesPerCrossing: Math.max(1, Math.floor(ROWS_PER_CROSSING / (batches * batchSize))),
    finish(snapshot) {
      const { update, seconds, completed, testAccuracy, validationAccuracy } = snapshot;
      return {
        // A copy: the file is written in pieces, and must not change with what the caller does meanwhile.
        parameters: shown(snapshot).slice(),
        network,
        testAccuracy,
        validationAccuracy,
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

/** What ran, for `run.backend` and `run.json`. */
export function describeBackend(
  backend: Backend<BackendName>,
  network: Network,
  estimator: Estimator,
  declined: readonly Declined[],
): BackendReport {
  const form = "projected" in estimator && estimator.projected ? "projected" : "direct";
  return {
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
    declined,
  };
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
