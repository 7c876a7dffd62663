/**
 * Calls of the seam as flat jobs (`description.ts`): what the addon and the WASM kernels are given, each in its own way.
 *
 * Every array is checked here for the length that its call implies; one that was detached has none. Nothing is copied:
 * whoever takes a job copies its arrays before the call returns.
 *
 * Symbols: B rows of a minibatch, d_0 the width of a row, n parameters.
 */
import { BackendError, expected, notEmpty, OptionError, ofLength } from "../errors.ts";
import { type Network, parameterCount } from "../network.ts";
import type { Key } from "../reference/random/streams.ts";
import {
  type AbortSignalLike,
  type Coupling,
  checkedMoments,
  type DataSplit,
  type Estimator,
  type Examples,
  type Loss,
  type Optimizer,
  type Plan,
  type SessionSetup,
  type Vector,
} from "./backend.ts";
import {
  type ArrayName,
  CONSTANTS,
  KINDS,
  type KindOf,
  READS,
  type ResultName,
  SCALARS,
  type ScalarName,
} from "./description.ts";

export type NumberArray = Uint8Array | Uint16Array | Uint32Array | Vector;
export type JobArrays = Partial<Record<ArrayName, NumberArray>>;
export type Scalars = Partial<Record<ScalarName, number>>;

/** A question to the kernels. */
export interface Job {
  /** Numbers in the order of `SCALARS`. */
  readonly scalars: Float64Array;
  readonly arrays: JobArrays;
  /** Arrays that the job writes, and how many entries each has. One that is given too is written in place. */
  readonly outputs: Partial<Record<ArrayName, number>>;
}

/** Their answer: results, and the outputs that were asked for, in arrays of their own. */
export interface Answer {
  readonly numbers: Partial<Record<ResultName, number>>;
  readonly arrays: JobArrays;
}

/**
 * What runs jobs: a backend's operations, or one of its sessions. A job that was cancelled resolves to null. Calls under
 * way when it is closed reject.
 */
export interface Runner {
  /** @throws BackendError where it was closed, or failed */
  checkOpen(): void;
  run(job: Job, signal?: AbortSignalLike): Promise<Answer | null>;
}

/** The answer of a call that has no signal: only closing cancels that, and then it rejects before it comes here. */
export function finished(answer: Answer | null): Answer {
  if (answer === null) throw new BackendError("The call was cancelled");
  return answer;
}

/** Some of a job's fields; a number that none names is 0. */
export interface Part {
  readonly scalars?: Scalars;
  readonly arrays?: JobArrays;
}

export const SCALAR_NAMES = Object.keys(SCALARS) as ScalarName[];

const PLACES = Object.fromEntries(SCALAR_NAMES.map((name, place) => [name, place]));

/** A job of these parts. */
export function jobOf(
  operation: KindOf<"operation">,
  parts: readonly Part[],
  outputs: Job["outputs"] = {},
): Job {
  const scalars = new Float64Array(SCALAR_NAMES.length);
  scalars[PLACES.operation] = code("operation", operation);
  const arrays: JobArrays = {};
  for (const part of parts) {
    for (const name in part.scalars) scalars[PLACES[name]] = part.scalars[name as ScalarName]!;
    Object.assign(arrays, part.arrays);
  }
  return { scalars, arrays, outputs };
}

/** A kind's place in its list: the one door for kinds. */
export function code<Name extends keyof typeof KINDS>(name: Name, kind: KindOf<Name>): number {
  const kinds: readonly string[] = KINDS[name];
  const place = kinds.indexOf(kind);
  if (place < 0) throw new OptionError(expected(kinds.join(", "), name, kind));
  return place;
}

export function networkPart({ layers, activation }: Network): Part {
  return {
    scalars: { depth: layers.length - 1, activation: code("activation", activation) },
    arrays: { layers: new Uint32Array(layers) },
  };
}

export function lossPart(loss: Loss, { layers }: Network): Part {
  const scalars = { lossKind: code("loss", loss.kind) };
  if (loss.kind === "given") return { scalars, arrays: { rowLosses: loss.losses } };
  if (loss.kind !== "cost-matrix") return { scalars };
  const classes = layers[layers.length - 1];
  return { scalars, arrays: { costs: ofLength("loss.costs", loss.costs, classes * classes) } };
}

/** d_L where the loss reads targets, so many a row, 0 where it reads labels, null where neither. */
export function targetWidth({ kind }: Loss, { layers }: Network): number | null {
  if (READS[kind] === "nothing") return null;
  return READS[kind] === "targets" ? layers[layers.length - 1] : 0;
}

/**
 * Rows of width d_0, with their labels but for predict, or with so many targets each where `outputs` is not 0, and then, as
 * where it is null, with labels where there are some.
 */
export function examplesPart(
  { inputs, labels, targets }: Partial<Examples> & Pick<Examples, "inputs">,
  width: number,
  outputs: number | null = 0,
): Part {
  const labelled = outputs === 0 ? labels?.length : undefined;
  const answers = outputs ? (targets?.length ?? 0) / outputs : labelled;
  const exampleCount = answers ?? inputs.length / width;
  if (exampleCount === 0) {
    throw new OptionError("Expected at least one row of inputs but received none; a detached array has none");
  }
  ofLength("inputs", inputs, exampleCount * width);
  const arrays: JobArrays = { inputs };
  if (labels !== undefined && (outputs === 0 || labels.length > 0))
    arrays.labels = ofLength("labels", labels, exampleCount);
  if (outputs) arrays.targets = targets;
  return { scalars: { exampleCount, inputsAreFloats: Number(inputs.BYTES_PER_ELEMENT !== 1) }, arrays };
}

/** Several batches of as many rows each as one set of rows: bytes where all are bytes, else byte/255 as a float. */
function batchesPart(batches: readonly Examples[], width: number, outputs: number | null): Part {
  const parts = batches.map((batch) => examplesPart(batch, width, outputs));
  const counts = parts.map(({ scalars }) => scalars!.exampleCount!);
  if (batches.length === 1) return { ...parts[0], scalars: { ...parts[0].scalars, batchSize: counts[0] } };
  const isBytes = ({ scalars }: Part) => scalars!.inputsAreFloats === 0;
  const bytes = parts.every(isBytes);
  const count = counts.reduce((sum, some) => sum + some, 0);
  const inputs = bytes ? new Uint8Array(count * width) : new Float32Array(count * width);
  const answers = outputs ? new Float32Array(count * outputs) : new Uint16Array(count);
  let row = 0;
  for (const [i, batch] of batches.entries()) {
    const scaled = !bytes && isBytes(parts[i]);
    inputs.set(scaled ? Float32Array.from(batch.inputs, (byte) => byte / 255) : batch.inputs, row * width);
    if (outputs) answers.set(batch.targets!, row * outputs);
    else answers.set(batch.labels, row);
    row += counts[i];
  }
  return {
    scalars: { exampleCount: count, inputsAreFloats: Number(!bytes), batchSize: count / batches.length },
    arrays: { inputs, [outputs ? "targets" : "labels"]: answers },
  };
}

/** A network at given parameters, and batches to look at. */
export function pointPart(
  { network, parameters, loss }: { network: Network; parameters: Vector; loss: Loss },
  batches: readonly Examples[],
): Part[] {
  return [
    networkPart(network),
    lossPart(loss, network),
    batchesPart(batches, network.layers[0], targetWidth(loss, network)),
    { arrays: { parameters: ofLength("parameters", parameters, parameterCount(network)) } },
  ];
}

export function seedPart([seedLow, seedHigh]: Key): Part {
  return { scalars: { seedLow, seedHigh } };
}

function couplingScalars(coupling: Coupling): Scalars {
  const kind = { coupling: code("coupling", coupling.kind) };
  switch (coupling.kind) {
    case "independent": {
      const { samples, centred, complement } = coupling;
      return {
        ...kind,
        samples,
        centred: Number(centred),
        sampleComplement: Number(complement === "sample"),
      };
    }
    case "antithetic":
      return { ...kind, samples: coupling.samples };
    case "walsh":
      return { ...kind, blocks: coupling.blocks };
    default:
      return coupling satisfies never;
  }
}

export function estimatorPart(estimator: Estimator): Part {
  const kind = { estimator: code("estimator", estimator.kind), batches: 1, temperature: 1 };
  switch (estimator.kind) {
    case "sgd":
      return { scalars: kind };
    case "importance-sampling":
    case "evolution-strategies": {
      const { coupling, rowwise, projected } = estimator;
      const temperature = estimator.kind === "importance-sampling" ? estimator.temperature : 1;
      const flags = { rowwise: Number(rowwise), projected: Number(projected) };
      return { scalars: { ...kind, ...couplingScalars(coupling), ...flags, temperature } };
    }
    case "sgld":
    case "robbins-monro": {
      const { batches } = estimator;
      const stepSizes = notEmpty("stepSizes", estimator.stepSizes);
      const chain = { iterates: stepSizes.length, batches, projected: Number(estimator.projected) };
      if (estimator.kind === "robbins-monro") {
        return { scalars: { ...kind, ...chain, samples: estimator.samples }, arrays: { stepSizes } };
      }
      const noiseScales = ofLength("noiseScales", estimator.noiseScales, stepSizes.length);
      const chainPrevious = Number(estimator.chainStart === "previous");
      return { scalars: { ...kind, ...chain, chainPrevious }, arrays: { stepSizes, noiseScales } };
    }
    default:
      return estimator satisfies never;
  }
}

/** The first update of a plan, for an operation. */
export function updatePart({
  update,
  tau,
  noiseScale,
}: {
  readonly update: number;
  readonly tau: number;
  readonly noiseScale: number;
}): Part {
  return {
    scalars: { first: update, count: 1 },
    arrays: { tau: Float64Array.of(tau), noiseScale: Float64Array.of(noiseScale) },
  };
}

export function optimizerPart({ kind, ...constants }: Optimizer): Part {
  return { scalars: { optimizer: code("optimizer", kind), ...constants } };
}

export const MOMENTS = ["moment1", "moment2"] as const satisfies ArrayName[];

export function momentsPart(moments: readonly Vector[], n: number, optimizer: Optimizer): Part {
  const named = checkedMoments(moments, n, optimizer).map((moment, i) => [MOMENTS[i], moment]);
  return { arrays: Object.fromEntries(named) };
}

/** The order in which a session's rows are given; the first is always there. */
export const DATA_SPLITS = ["train", "test", "validation"] as const satisfies DataSplit[];

/** What a session is opened with: the fields of all its jobs, and each data split's. */
export interface SessionJob {
  readonly job: Job;
  readonly splits: Partial<Record<DataSplit, Job>>;
}

export function sessionJob(setup: SessionSetup): SessionJob {
  const { network, loss, data, batchSize, estimator, optimizer, key, state } = setup;
  const n = parameterCount(network);
  const splits: Partial<Record<DataSplit, Job>> = {};
  for (const split of DATA_SPLITS) {
    const examples = data[split];
    if (examples === undefined) continue;
    const rows = examplesPart(examples, network.layers[0], targetWidth(loss, network));
    splits[split] = jobOf("accuracy", [rows]);
  }
  const parts = [
    networkPart(network),
    lossPart(loss, network),
    estimatorPart(estimator),
    optimizerPart(optimizer),
    momentsPart(state.moments, n, optimizer),
    seedPart(key),
    { scalars: { batchSize }, arrays: { parameters: ofLength("state.parameters", state.parameters, n) } },
    state.chain ? { arrays: { chain: ofLength("state.chain", state.chain, n) } } : {},
  ];
  return { job: jobOf("run", parts), splits };
}

/** @param perUpdate row numbers that one update takes: batches × B */
export function planJob(plan: Plan, perUpdate: number): Job {
  const { first, count, rows, tau, noiseScale, rate, losses } = plan;
  const arrays = {
    rows: ofLength("rows", rows, count * perUpdate),
    tau: ofLength("tau", tau, count),
    noiseScale: ofLength("noiseScale", noiseScale, count),
    rate: ofLength("rate", rate, count),
    ...(losses && { rowLosses: losses }),
  };
  const outputs = { values: count * CONSTANTS.valuesOfUpdate };
  return jobOf("run", [{ scalars: { first, count }, arrays }], outputs);
}
