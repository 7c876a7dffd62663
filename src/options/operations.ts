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
  type RobbinsMonroInput,
  type SgldInput,
  sampleCount,
  type Vector,
  type WeightsInput,
} from "../backends/backend.ts";
import { expected, OptionError } from "../errors.ts";
import { type Network, parameterCount } from "../network.ts";
import { keyOf, layerStream, STREAMS } from "../reference/random/streams.ts";
import { checkArray, checkInputs, checkNumbers, checkVector } from "./arrays.ts";
import { DEFAULTS } from "./defaults.ts";
import {
  checkCounts,
  type EigenvaluesInput,
  eigenvaluesShape,
  productShape,
  requireCrossEntropy,
} from "./hessian.ts";
import { checkRowsOf } from "./model.ts";
import { answersOf, checkLoss, checkNetwork, fewestOutputs, refuseWithoutGradient } from "./network.ts";
import { checkDraws } from "./objectives/heat.ts";
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
import { extremes, leastNoise, madeOfChain, madeOfSampling, requireHeld, requireNoise } from "./precision.ts";
import { resolveSampling } from "./sampling.ts";
import {
  coupling,
  type Hold,
  machineShape,
  projection,
  rowwise,
  type SameKeys,
  samples,
  temperature,
} from "./schemas.ts";
import { checkStep, type stepSchema } from "./step.ts";
import type { LossOptions, NetworkOptions } from "./types.ts";
import {
  checkedElsewhere,
  integer,
  leaf,
  notNegative,
  object,
  optional,
  parse,
  positive,
  quoted,
  seed,
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

// Shapes that several operations share. Arrays are checked once the network is known.

const position = { seed: withDefault(seed(), DEFAULTS.seed), update: withDefault(word(), 0) };
const located = {
  network: checkedElsewhere<NetworkOptions>(),
  parameters: checkedElsewhere<Vector>(),
  signal: signal(),
};
const withLoss = { ...located, loss: optional(checkedElsewhere<LossOptions>()) };

type Located = z.output<z.ZodMiniObject<typeof located>>;
type WithLoss = Located & { readonly loss?: LossOptions };

function locate(root: string, given: WithLoss, fewest = fewestOutputs(given.loss)) {
  const network = checkNetwork(`${root}.network`, given.network, fewest);
  const parameters = checkVector(`${root}.parameters`, given.parameters, parameterCount(network));
  return { network, parameters, signal: given.signal };
}

/** The place, the loss on rows like `rows`, and the check of such rows. */
function locateWithLoss(root: string, given: WithLoss, rows: unknown) {
  const place = locate(root, given);
  const { layers } = place.network;
  const checked = checkLoss(`${root}.loss`, given.loss, layers[layers.length - 1], answersOf(rows));
  return {
    place: { ...place, loss: checked.loss },
    check: (path: string, value: unknown) => checkRowsOf(path, value, place.network, checked),
  };
}

const rowCount = ({ inputs }: Pick<Examples, "inputs">, { layers }: Network) => inputs.length / layers[0];

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

const chainShape = {
  ...withLoss,
  ...position,
  batch: optional(checkedElsewhere<unknown>()),
  batches: optional(leaf<readonly unknown[]>("an array of batches", Array.isArray)),
  tau: positive(),
  stepSizes: checkedElsewhere<ArrayLike<number>>(),
  projection: projection(),
};
const chainSchema = z.object(chainShape);

/** What both chains check; `transitions` of J steps is J − 1 for SGLD, J for Robbins–Monro. */
function checkChain(
  root: string,
  given: z.output<typeof chainSchema>,
  transitionsOf: (steps: number) => number,
) {
  const { place, check } = locateWithLoss(root, given, given.batches?.[0] ?? given.batch);
  refuseWithoutGradient(root, "this operation", place.network, place.loss);
  const stepSizes = checkNumbers(`${root}.stepSizes`, given.stepSizes);
  stepSizes.forEach((size, i) => {
    parse(`${root}.stepSizes[${i}]`, positive(), size);
  });
  const transitions = transitionsOf(stepSizes.length);
  if (transitions < 1) {
    const fewest = 1 + stepSizes.length - transitions;
    throw new OptionError(expected(`at least ${fewest} step sizes`, `${root}.stepSizes`, given.stepSizes));
  }
  if ((given.batch === undefined) === (given.batches === undefined)) {
    const both = given.batch === undefined ? "neither" : "both";
    throw new OptionError(`Expected either batch or batches for ${root} but received ${both}`);
  }
  const many = given.batches;
  if (many && many.length !== 1 && many.length !== transitions) {
    throw new OptionError(
      expected(`1 or ${transitions} batches, one a transition,`, `${root}.batches`, many),
    );
  }
  const batches = many
    ? many.map((batch, i) => check(`${root}.batches[${i}]`, batch))
    : [check(`${root}.batch`, given.batch)];
  const rows = rowCount(batches[0], place.network);
  for (const [i, batch] of batches.entries()) {
    if (rowCount(batch, place.network) === rows) continue;
    const range = `${rows} rows, as in the first batch,`;
    const answers = batch.labels.length > 0 ? "labels" : "targets";
    throw new OptionError(expected(range, `${root}.batches[${i}].${answers}`, batch[answers]));
  }
  const fits = batches.length === 1 && rows <= place.network.layers[0];
  const projected = given.projection === "auto" && fits;
  return {
    ...place,
    batches,
    key: keyOf(given.seed),
    update: given.update,
    tau: given.tau,
    stepSizes,
    projected,
  };
}

const sgldSchema = object({
  ...chainShape,
  noiseScales: optional(checkedElsewhere<ArrayLike<number>>()),
  start: optional(checkedElsewhere<Vector>()),
});

function checkSgld(root: string, input: unknown): SgldInput {
  const given = parse(root, sgldSchema, input);
  const chain = checkChain(root, given, (steps) => steps - 1);
  const { parameters, stepSizes } = chain;
  const start =
    given.start === undefined ? parameters : checkVector(`${root}.start`, given.start, parameters.length);
  const noiseScales =
    given.noiseScales === undefined
      ? stepSizes.map(Math.sqrt)
      : checkNumbers(`${root}.noiseScales`, given.noiseScales, stepSizes.length);
  noiseScales.forEach((scale, i) => {
    parse(`${root}.noiseScales[${i}]`, notNegative(), scale);
  });
  requireHeld(`${root}.tau`, chain.tau, madeOfChain(chain.tau, extremes(stepSizes), extremes(noiseScales)));
  return { ...chain, start, noiseScales };
}

const robbinsMonroSchema = object({ ...chainShape, samples: samples(), noiseScale: optional(positive()) });

function checkRobbinsMonro(root: string, input: unknown): RobbinsMonroInput {
  const given = parse(root, robbinsMonroSchema, input);
  const chain = checkChain(root, given, (steps) => steps);
  checkDraws(`${root}.samples`, given.samples, chain.stepSizes.length);
  const noiseScale = given.noiseScale ?? Math.sqrt(chain.tau);
  const made = madeOfChain(chain.tau, extremes(chain.stepSizes), [noiseScale, noiseScale]);
  requireHeld(`${root}.tau`, chain.tau, made);
  return { ...chain, samples: given.samples, noiseScale };
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
