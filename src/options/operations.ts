/**
 * The checks of the operations' inputs: one function an operation, from the public input to the seam's.
 */
import * as z from "zod/mini";
import {
  type BatchInput,
  type EvolutionStrategiesInput,
  type Examples,
  type GaussianInput,
  type HessianProductInput,
  type OutputsInput,
  type PredictInput,
  sampleCount,
  type Vector,
  type WeightsInput,
} from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import { keyOf, layerStream, STREAMS } from "../reference/random/streams.ts";
import { checkArray, checkInputs, checkVector } from "./arrays.ts";
import { checkRobbinsMonro, checkSgld, type robbinsMonroSchema, type sgldSchema } from "./chains.ts";
import {
  checkCounts,
  type EigenvaluesInput,
  eigenvaluesShape,
  productShape,
  requireCrossEntropy,
} from "./hessian.ts";
import { locate, located, locateWithLoss, position, rowCount, withLoss } from "./located.ts";
import { checkRowsOf } from "./model.ts";
import { checkLoss, fewestOutputs, refuseWithoutGradient } from "./network.ts";
import type {
  AccuracyOptions,
  AnyPredictOptions,
  BatchOptions,
  ErrorsOptions,
  GaussianOptions,
  HessianEigenvaluesOptions,
  HessianProductOptions,
  OutputsOptions,
  RobbinsMonroCallOptions,
  SgldCallOptions,
  StepOptions,
  WeightsOptions,
} from "./operation-types.ts";
import { leastNoise, madeOfSampling, requireHeld, requireNoise } from "./precision.ts";
import { resolveSampling } from "./sampling.ts";
import {
  coupling,
  type Hold,
  machineShape,
  projection,
  rowwise,
  type SameKeys,
  temperature,
} from "./schemas.ts";
import { checkStep, type stepSchema } from "./step.ts";
import {
  checkedElsewhere,
  integer,
  object,
  optional,
  parse,
  positive,
  quoted,
  signal,
  withDefault,
  word,
} from "./values.ts";

const CHECKS = {
  openBackend: (root: string, input: unknown) => parse(root, openBackendSchema, input),
  gaussian: checkGaussian,
  loss: checkBatch,
  gradient: checkGradient,
  predict: checkPredict,
  accuracy: checkAccuracy,
  errors: checkErrors,
  outputs: checkOutputs,
  weights: checkWeights,
  importanceSampling: checkWeights,
  evolutionStrategies: checkEvolutionStrategies,
  sgld: checkSgld,
  robbinsMonro: checkRobbinsMonro,
  step: checkStep,
  hessianProduct: checkHessianProduct,
  hessianEigenvalues: checkHessianEigenvalues,
};

/** What each check gives. */
export type OperationInputs = {
  [Operation in keyof typeof CHECKS]: ReturnType<(typeof CHECKS)[Operation]>;
};

/**
 * The seam's input for what a user passed to an operation.
 *
 * @throws OptionError that names the option, what is allowed and what was given
 */
export function checkOperation<Operation extends keyof OperationInputs>(
  name: Operation,
  input: unknown,
): OperationInputs[Operation] {
  return CHECKS[name](name, input) as OperationInputs[Operation];
}

/** Where `xInto` writes: a float array of this length that is still there. */
export function checkOut(path: string, out: unknown, length: number): Vector {
  return checkArray<Vector>(path, out, ["Float32Array", "Float64Array"], length);
}

const openBackendSchema = object(machineShape);

// One operation each.

const gaussianSchema = object({
  ...position,
  stream: checkedElsewhere<string | number>(),
  sample: withDefault(word(), 0),
  count: integer(0, 2 ** 31),
  signal: signal(),
});

function checkGaussian(root: string, input: unknown): GaussianInput {
  const { seed, update, stream, sample, count, signal } = parse(root, gaussianSchema, input);
  return { key: keyOf(seed), stream: streamNumber(`${root}.stream`, stream), update, sample, count, signal };
}

/** A stream's number from its name: "complement", "layer-1", …, or from itself. */
function streamNumber(path: string, stream: unknown): number {
  if (typeof stream === "number") return parse(path, word(), stream);
  if (typeof stream === "string") {
    if (Object.hasOwn(STREAMS, stream)) return STREAMS[stream as keyof typeof STREAMS];
    const layer = /^layer-([1-9]\d{0,5})$/.exec(stream);
    if (layer) return layerStream(Number(layer[1]));
  }
  const names = [...Object.keys(STREAMS), "layer-1"];
  throw new OptionError(expected(`${quoted(names)} (and so on), or a stream's number,`, path, stream));
}

const batchSchema = object({ ...withLoss, batch: checkedElsewhere<unknown>() });

function checkBatch(root: string, input: unknown): BatchInput {
  const given = parse(root, batchSchema, input);
  const { place, check } = locateWithLoss(root, given, given.batch);
  return { ...place, batch: check(`${root}.batch`, given.batch) };
}

function checkGradient(root: string, input: unknown): BatchInput {
  const checked = checkBatch(root, input);
  refuseWithoutGradient(root, "this operation", checked.network, checked.loss);
  return checked;
}

const hessianProductSchema = object({ ...batchSchema.shape, ...productShape });

function checkHessianProduct(root: string, input: unknown): HessianProductInput {
  const { vector, ...given } = parse(root, hessianProductSchema, input);
  const { loss, ...point } = checkGradient(root, given);
  requireCrossEntropy(root, loss);
  return { ...point, vector: checkVector(`${root}.vector`, vector, point.parameters.length) };
}

const hessianEigenvaluesSchema = object({ ...batchSchema.shape, ...eigenvaluesShape });

function checkHessianEigenvalues(root: string, input: unknown): EigenvaluesInput {
  const { largest, smallest, tolerance, products, seed, ...given } = parse(
    root,
    hessianEigenvaluesSchema,
    input,
  );
  const { loss, ...point } = checkGradient(root, given);
  requireCrossEntropy(root, loss);
  const counts = checkCounts(root, { largest, smallest, products }, point.parameters.length);
  return { ...point, ...counts, tolerance, key: keyOf(seed) };
}

const predictSchema = object({ ...withLoss, inputs: checkedElsewhere<unknown>() });

function checkPredict(root: string, input: unknown): PredictInput {
  const given = parse(root, predictSchema, input);
  const place = locate(root, given);
  const { layers } = place.network;
  const answers = fewestOutputs(given.loss) === 1 ? "targets" : "labels"; // a name says what it is for
  const { loss } = checkLoss(`${root}.loss`, given.loss, layers[layers.length - 1], answers);
  return { ...place, loss, inputs: checkInputs(`${root}.inputs`, given.inputs, layers[0]) };
}

const accuracySchema = object({ ...located, data: checkedElsewhere<unknown>() });

function checkAccuracy(root: string, input: unknown): Omit<BatchInput, "loss"> {
  const given = parse(root, accuracySchema, input);
  const place = locate(root, given);
  return { ...place, batch: checkRowsOf(`${root}.data`, given.data, place.network) };
}

function checkErrors(root: string, input: unknown): BatchInput {
  const given = parse(root, accuracySchema, input);
  const place = locate(root, given, 1);
  const loss = { loss: { kind: "squared-error" }, answers: "targets", smoothing: 0 } as const;
  return { ...place, loss: loss.loss, batch: checkRowsOf(`${root}.data`, given.data, place.network, loss) };
}

const evolutionStrategiesSchema = object({
  ...batchSchema.shape,
  ...position,
  tau: positive(),
  noiseScale: optional(positive()),
  coupling: coupling(),
  projection: projection(),
  rowwise: rowwise(),
  losses: optional(checkedElsewhere<Float32Array>()),
});
const weightsSchema = object({ ...evolutionStrategiesSchema.shape, temperature: temperature() });
const { batch: _batch, loss: _loss, losses: _losses, ...drawnShape } = evolutionStrategiesSchema.shape;
const outputsSchema = object({ ...drawnShape, inputs: checkedElsewhere<unknown>() });

function checkOutputs(root: string, input: unknown): OutputsInput {
  const { inputs: rows, ...given } = parse(root, outputsSchema, input);
  const place = locate(root, given, 1);
  const inputs = checkInputs(`${root}.inputs`, rows, place.network.layers[0]);
  if (inputs.length === 0) throw new OptionError(expected("at least one row", `${root}.inputs`, rows));
  return { ...drawn(root, given, place, { inputs }, 1), inputs };
}

function checkWeights(root: string, input: unknown): WeightsInput {
  const given = parse(root, weightsSchema, input);
  return { ...sampled(root, given, given.temperature), temperature: given.temperature };
}

function checkEvolutionStrategies(root: string, input: unknown): EvolutionStrategiesInput {
  return sampled(root, parse(root, evolutionStrategiesSchema, input), null);
}

/**
 * What the operations that are made of samples share; δ where they are weighted: their mean E_q[X] is that of samples of
 * variance s² alone, whatever τ.
 */
function sampled(
  root: string,
  given: z.output<typeof evolutionStrategiesSchema>,
  delta: number | null,
): EvolutionStrategiesInput {
  if (given.losses === undefined) {
    const { place, check } = locateWithLoss(root, given, given.batch);
    const batch = check(`${root}.batch`, given.batch);
    return { ...place, batch, ...drawn(root, given, place, batch, delta) };
  }
  if (given.loss !== undefined)
    throw new OptionError(`Expected either loss or losses for ${root} but received both`);
  const place = locate(root, given, 1);
  const { inputs } = parse(`${root}.batch`, anyRowsSchema, given.batch);
  const width = place.network.layers[0];
  const batch = { inputs: checkInputs(`${root}.batch.inputs`, inputs, width), labels: new Uint16Array(0) };
  const { coupling, rowwise } = resolveSampling(root, given, place.network);
  const samples = sampleCount(coupling, place.network, rowwise) + 1;
  const count = samples * rowCount(batch, place.network);
  const losses = checkArray<Float32Array>(`${root}.losses`, given.losses, ["Float32Array"], count);
  const wrong = losses.findIndex(Number.isNaN);
  if (wrong >= 0) throw new OptionError(expected("a number", `${root}.losses[${wrong}]`, losses[wrong]));
  return { ...place, loss: { kind: "given", losses }, batch, ...drawn(root, given, place, batch, delta) };
}

const anyRowsSchema = z.object({ inputs: checkedElsewhere<unknown>() });

/** The noise of samples; δ where they are weighted. */
function drawn(
  root: string,
  given: Omit<z.output<typeof evolutionStrategiesSchema>, "batch" | "loss" | "losses">,
  place: Omit<BatchInput, "batch" | "loss">,
  batch: Pick<Examples, "inputs">,
  delta: number | null,
) {
  const { update } = given;
  const rows = rowCount(batch, place.network);
  const projected = given.projection === "auto" && rows <= place.network.layers[0];
  const noiseScale = given.noiseScale ?? Math.sqrt(given.tau);
  // √τ squared need not be τ to the last bit.
  const tau = delta === null || noiseScale === Math.sqrt(given.tau) ? given.tau : noiseScale ** 2;
  const [path, value] = given.noiseScale === undefined ? ["tau", tau] : ["noiseScale", noiseScale];
  const [named, held] = delta === null ? ["tau", tau] : [path, value];
  requireHeld(`${root}.${named}`, held, madeOfSampling(tau, noiseScale, delta));
  requireNoise(`${root}.${path}`, value, noiseScale, leastNoise(place.parameters));
  return {
    ...place,
    key: keyOf(given.seed),
    update,
    tau,
    noiseScale,
    ...resolveSampling(root, given, place.network),
    projected,
  };
}

// The schemas and the public types have the same keys.
export type Tied = Hold<
  [
    SameKeys<GaussianOptions, typeof gaussianSchema>,
    SameKeys<BatchOptions, typeof batchSchema>,
    SameKeys<AnyPredictOptions, typeof predictSchema>,
    SameKeys<AccuracyOptions, typeof accuracySchema>,
    SameKeys<ErrorsOptions, typeof accuracySchema>,
    SameKeys<OutputsOptions, typeof outputsSchema>,
    SameKeys<WeightsOptions, typeof weightsSchema>,
    SameKeys<SgldCallOptions, typeof sgldSchema>,
    SameKeys<RobbinsMonroCallOptions, typeof robbinsMonroSchema>,
    SameKeys<StepOptions, typeof stepSchema>,
    SameKeys<HessianProductOptions, typeof hessianProductSchema>,
    SameKeys<HessianEigenvaluesOptions, typeof hessianEigenvaluesSchema>,
  ]
>;
