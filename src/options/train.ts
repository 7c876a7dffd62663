/**
 * The check of `train`'s options: everything that can be wrong is found here, before work starts.
 */
import {
  type AbortSignalLike,
  type Estimator,
  type Examples,
  type Loss,
  MOMENT_COUNTS,
  type Optimizer,
  type SessionState,
  type Vector,
} from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import { initialParameters } from "../initialization.ts";
import { type Network, parameterCount } from "../network.ts";
import { atOnce, finish, type Work } from "../reference/machine/work.ts";
import { type Key, keyOf } from "../reference/random/streams.ts";
import type { Encoding } from "../table/encoding.ts";
import { type CheckedLoss, checkArray, checkExamples, checkVector, copied } from "./arrays.ts";
import { DEFAULTS, NAMES } from "./defaults.ts";
import { differing, fingerprint } from "./fingerprint.ts";
import { answersOf, checkLoss, checkNetwork, fewestOutputs, refuseWithoutGradient } from "./network.ts";
import {
  adviceAgainstDivergence,
  describeOptions,
  type PlanValues,
  resolveObjective,
  resolveOptimizer,
  resolvePlanValues,
  seamOptimizer,
} from "./objective.ts";
import { outerSchedules } from "./outer-schedules.ts";
import { FLOAT32 } from "./precision.ts";
import {
  type Hold,
  machineShape,
  needsGradient,
  type Objective,
  objectiveSchema,
  optimizerSchema,
  type SameKeys,
} from "./schemas.ts";
import type {
  BackendChoice,
  Data,
  Dataset,
  LossFunction,
  LossOptions,
  NetworkOptions,
  Resume,
  TargetDataset,
  TrainOptions,
} from "./types.ts";
import {
  checkedElsewhere,
  flag,
  integer,
  leaf,
  listed,
  notNegative,
  object,
  optional,
  parse,
  seed,
  signal,
  withDefault,
} from "./values.ts";

/** Options of a run in the seam's language: no array in it, and no object, is the caller's. */
export interface CheckedTrain {
  readonly network: Network;
  readonly loss: Loss;
  /** In its place, where the loss is given. */
  readonly lossFunction?: LossFunction;
  readonly data: { readonly train: Examples; readonly test?: Examples; readonly validation?: Examples };
  /** How the data's rows became inputs, where that is known. */
  readonly encoding?: Encoding;
  readonly estimator: Estimator;
  readonly optimizer: Optimizer;
  /** τ, noise scale and rate of updates first … first + count − 1, asked for in order. */
  readonly planValues: PlanValues;
  /** As `OuterSchedules.forward`. */
  forward(first: number): Promise<void>;
  readonly batchSize: number;
  readonly updates: number;
  readonly key: Key;
  /** Where the run starts: x_0 with zero moments, or what `resume` holds. */
  readonly state: SessionState;
  readonly backend: BackendChoice;
  readonly threads: number;
  readonly recordEvery: number;
  readonly evaluateEvery: number;
  readonly averaging: boolean;
  readonly signal?: AbortSignalLike;
  readonly resume?: Resume;
  /** Of `data.train` as it is until then; done where there is a `resume` to hold it against. */
  readonly fingerprint: Work<string>;
  /** The options that are others than those of the run that is resumed. */
  readonly changed: readonly string[];
  /** What helps where the run diverges. */
  readonly advice: string;
  /** The options as given, with their defaults, as JSON: for `run.json`. */
  readonly description: Record<string, unknown>;
}

const resumeSchema = object({
  update: integer(0, 2 ** 32),
  fingerprint: leaf<string>("a string", (v) => typeof v === "string"),
  parameters: checkedElsewhere<Vector>(),
  moments: leaf<readonly Vector[]>("an array of vectors", Array.isArray),
  chain: checkedElsewhere<Vector | null>(),
  average: checkedElsewhere<Vector | null>(),
  pending: leaf<readonly number[]>(
    "an array of numbers, none of them NaN,",
    (v) => Array.isArray(v) && v.every((sum) => typeof sum === "number" && !Number.isNaN(sum)),
  ),
  backend: leaf<string>("a string", (v) => typeof v === "string"),
  instructionSet: leaf<string>("a string", (v) => typeof v === "string"),
  seconds: notNegative(),
});

const trainSchema = object({
  network: checkedElsewhere<NetworkOptions>(),
  data: checkedElsewhere<Data>(),
  loss: optional(checkedElsewhere<LossOptions | LossFunction>()),
  objective: objectiveSchema,
  optimizer: optional(optimizerSchema),
  batchSize: optional(integer(1, 2 ** 32 - 1)),
  updates: integer(1, 2 ** 32),
  seed: withDefault(seed(), DEFAULTS.seed),
  parameters: optional(checkedElsewhere<Vector>()),
  ...machineShape,
  recordEvery: withDefault(integer(1, 2 ** 32), DEFAULTS.recordEvery),
  evaluateEvery: withDefault(integer(0, 2 ** 32), DEFAULTS.evaluateEvery),
  averaging: withDefault(flag(), DEFAULTS.averaging),
  signal: signal(),
  resume: optional(resumeSchema),
});

/** @throws OptionError that names the option, what is allowed and what was given */
export function checkTrainOptions(options: TrainOptions | unknown): CheckedTrain {
  const given = parse("train", trainSchema, options);
  const { objective, updates, averaging } = given;
  const answers = answersOf(given.data?.train);
  const network = checkNetwork("train.network", given.network, fewestOutputs(given.loss, answers));
  const outputs = network.layers[network.layers.length - 1];
  const wanted = checkLoss("train.loss", given.loss, outputs, answers);
  const lossFunction = typeof given.loss === "function" ? given.loss : undefined;
  const { loss } = wanted;
  const needs = needsGradient(objective);
  if (needs !== null) refuseWithoutGradient("train", needs, network, loss);
  const { data, sizes, encoding } = checkData(given.data, network, wanted);
  const rows = data.train.inputs.length / network.layers[0];
  const batchSize = given.batchSize ?? Math.min(DEFAULTS.batchSize, rows);
  if (batchSize > rows) {
    const advice = `the training data has ${rows} rows`;
    throw new OptionError(expected(`an integer 1 … ${rows}`, "train.batchSize", batchSize, advice));
  }
  const resolved = resolveObjective("train", objective, batchSize <= network.layers[0], network);
  const { estimator } = resolved;
  const chosen = resolveOptimizer("train", given.optimizer, objective);
  const optimizer = seamOptimizer(chosen);
  const key = keyOf(given.seed);
  // A function is known by its text: what it closes over is not seen.
  const known = lossFunction === undefined ? loss : { kind: "function", text: String(lossFunction) };
  const shaping = { network, loss: known, estimator, optimizer, batchSize, updates, averaging, key };
  const n = parameterCount(network);
  const parameters =
    given.parameters === undefined ? null : checkVector("train.parameters", given.parameters, n).slice();
  const start = parameters ?? initialParameters(network, key);
  const rate = chosen.kind === "shift" ? null : chosen.rate;
  const values = resolvePlanValues("train", resolved, chosen, updates, start, FLOAT32);
  const outer = outerSchedules(values, [resolved.tau, rate], updates);
  const moments = MOMENT_COUNTS[optimizer.kind];
  let print = fingerprint(shaping, data.train, outer);
  let resume: Resume | undefined;
  let changed: readonly string[] = Object.freeze([]);
  if (given.resume !== undefined) {
    const text = finish(print);
    print = atOnce(() => text);
    ({ resume, changed } = checkResume(given.resume, text, updates, n, optimizer));
  }
  const goesOn = estimator.kind === "sgld" && estimator.chainStart === "previous";
  const { backend, threads, recordEvery, evaluateEvery } = given;
  return {
    network,
    loss,
    lossFunction,
    data,
    encoding,
    estimator,
    optimizer,
    planValues: outer.planValues,
    forward: outer.forward,
    batchSize,
    updates,
    key,
    state: resume
      ? { parameters: resume.parameters, moments: resume.moments, chain: goesOn ? resume.chain : null }
      : freshState(start, moments),
    backend,
    threads,
    recordEvery,
    evaluateEvery,
    averaging,
    signal: given.signal,
    resume,
    changed,
    fingerprint: print,
    advice: adviceAgainstDivergence(estimator, chosen),
    description: describeOptions({
      network,
      loss: lossFunction ? { kind: "function", name: lossFunction.name } : (given.loss ?? NAMES.loss[0]),
      data: sizes,
      objective: withSampling(objective, estimator),
      optimizer: chosen,
      batchSize,
      updates,
      seed: given.seed,
      parameters: parameters ? "given" : "Glorot",
      backend,
      threads,
      recordEvery,
      evaluateEvery,
      averaging,
    }),
  };
}

/** The objective as it runs: a coupling that was left to the default is named. */
function withSampling(objective: Objective, estimator: Estimator): object {
  if (!("coupling" in estimator) || objective.kind === "loss") return objective;
  const { coupling, rowwise } = estimator;
  return { ...objective, estimator: { ...objective.estimator, coupling, rowwise } };
}

const dataSchema = object({
  train: checkedElsewhere<Dataset>(),
  test: optional(checkedElsewhere<Dataset>()),
  validation: optional(checkedElsewhere<Dataset>()),
  encoding: optional(
    leaf<Encoding>(
      "what table found (its encoding)",
      (v) => typeof (v as Encoding | null)?.format === "string",
    ),
  ),
});

const datasetSchema = object({
  inputs: checkedElsewhere<Dataset["inputs"]>(),
  labels: checkedElsewhere<Dataset["labels"]>(),
  count: integer(1, 2 ** 32 - 1),
  width: integer(1, 2 ** 24),
  classes: integer(2, 2 ** 16),
});
const targetDatasetSchema = object({
  inputs: checkedElsewhere<TargetDataset["inputs"]>(),
  targets: checkedElsewhere<TargetDataset["targets"]>(),
  count: integer(1, 2 ** 32 - 1),
  width: integer(1, 2 ** 24),
  outputs: integer(1, 2 ** 16),
});

type Sizes =
  | Pick<Dataset, "count" | "width" | "classes">
  | Pick<TargetDataset, "count" | "width" | "outputs">;

function checkData(
  value: Data | Data<TargetDataset>,
  network: Network,
  wanted: CheckedLoss,
): Pick<CheckedTrain, "data" | "encoding"> & { sizes: Record<string, Sizes> } {
  const splits = parse("train.data", dataSchema, value);
  const data: Record<string, Examples> = {};
  const sizes: Record<string, Sizes> = {};
  for (const name of ["train", "test", "validation"] as const) {
    const split = splits[name];
    if (split === undefined && name !== "train") continue;
    const path = `train.data.${name}`;
    const last = network.layers[network.layers.length - 1];
    if (wanted.answers === "targets") {
      const dataset = parse(path, targetDatasetSchema, split);
      const { count, width, outputs } = dataset;
      requireSame(`${path}.width`, width, network.layers[0], "first width");
      requireSame(`${path}.outputs`, outputs, last, "last width");
      checkArray(`${path}.targets`, dataset.targets, ["Float32Array"], count * outputs);
      data[name] = checkExamples(path, dataset, network, wanted, copied);
      sizes[name] = { count, width, outputs };
      continue;
    }
    const dataset = parse(path, datasetSchema, split);
    const { count, width, classes } = dataset;
    requireSame(`${path}.width`, width, network.layers[0], "first width");
    requireSame(`${path}.classes`, classes, last, "last width");
    checkArray(`${path}.labels`, dataset.labels, ["Uint8Array", "Uint16Array"], count);
    data[name] = checkExamples(path, dataset, network, wanted, copied);
    sizes[name] = { count, width, classes };
  }
  const encoding = splits.encoding && (JSON.parse(JSON.stringify(splits.encoding)) as Encoding);
  return { data: data as unknown as CheckedTrain["data"], sizes, encoding };
}

function requireSame(path: string, value: number, wanted: number, which: string): void {
  if (value === wanted) return;
  throw new OptionError(
    expected(String(wanted), path, value, `the network's ${which} is ${wanted}: change one of them`),
  );
}

function freshState(parameters: Vector, moments: number): SessionState {
  return { parameters, moments: Array.from({ length: moments }, () => parameters.map(() => 0)), chain: null };
}

/** What a run that goes on has of the one before, since its state was made with it. */
const FIXED = ["network", "averaging", "seed"];

/**
 * @param print of the options now
 * @returns a copy of where the run goes on from, and the options that are others than before
 */
function checkResume(
  resume: Resume,
  print: string,
  updates: number,
  n: number,
  { kind }: Optimizer,
): { resume: Resume; changed: readonly string[] } {
  const changed = differing(resume.fingerprint, print);
  if (changed === null) {
    throw new OptionError(
      expected(
        "the fingerprint of a run of this version",
        "train.resume.fingerprint",
        resume.fingerprint,
        ANEW,
      ),
    );
  }
  const fixed = changed.find((name) => FIXED.includes(name));
  if (fixed !== undefined) {
    throw new OptionError(
      `Expected train.${fixed} to be that of the run that is resumed, and it differs; a run goes on under the same ${listed(FIXED)}: ${ANEW}`,
    );
  }
  if (resume.update > updates) {
    const advice = `so many are done; updates counts all, those before included`;
    throw new OptionError(expected(`an integer from ${resume.update}`, "train.updates", updates, advice));
  }
  const moments = MOMENT_COUNTS[kind];
  if (resume.moments.length !== moments) {
    throw new OptionError(
      expected(
        "the kind of the run that is resumed",
        "train.optimizer.kind",
        kind,
        `it carries ${moments} vectors of moments where that run has ${resume.moments.length}: ${ANEW}`,
      ),
    );
  }
  const vector = (name: string, value: unknown) => checkVector(`train.resume.${name}`, value, n).slice();
  const { chain, average } = resume;
  const copy = {
    ...resume,
    parameters: vector("parameters", resume.parameters),
    moments: resume.moments.map((moment, i) => vector(`moments[${i}]`, moment)),
    chain: chain === null ? null : vector("chain", chain),
    average: average === null ? null : vector("average", average),
    pending: [...resume.pending],
  };
  return { resume: copy, changed: Object.freeze(changed) };
}

/** What to do where a run cannot go on. */
const ANEW = "begin a new run where it ended, by `parameters` in place of `resume`";

// The schema and the public type have the same keys.
export type Tied = Hold<[SameKeys<TrainOptions, typeof trainSchema>]>;
