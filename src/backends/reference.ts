/**
 * The reference backend: the float64 specification in `src/reference/`, behind the seam that every backend has.
 *
 * It runs on JavaScript's own thread, in turns of about 10 ms, so that timers and abort signals work meanwhile.
 * What it leaves out: speed.
 */
import { BackendError, notEmpty, OptionError } from "../errors.ts";
import { type Network, parameterCount } from "../network.ts";
import { robbinsMonro } from "../reference/chains/robbins-monro.ts";
import { sgld } from "../reference/chains/sgld.ts";
import { copyDoubles, copyRows } from "../reference/machine/memory.ts";
import { atOnce, finish, finishInTurns, type Work } from "../reference/machine/work.ts";
import { accuracy, type NetworkPoint, networkLoss, predict } from "../reference/network/dense.ts";
import { hessianProduct } from "../reference/network/hessian-product.ts";
import { minibatchesOf } from "../reference/network/rows.ts";
import { sgdDirect } from "../reference/network/sgd.ts";
import { gaussian } from "../reference/random/gaussian.ts";
import { evolutionStrategies } from "../reference/sampling/evolution-strategies.ts";
import { importanceSampling, sampleOutputs, weights } from "../reference/sampling/importance-sampling.ts";
import { openUpdates } from "../reference/update/session.ts";
import { step } from "../reference/update/step.ts";
import { networkProblem } from "../reference/update/update.ts";
import {
  type AbortSignalLike,
  type Backend,
  type BatchInput,
  checkedMoments,
  type DataSplit,
  type Examples,
  type Loss,
  type Operations,
  type RobbinsMonroInput,
  type Session,
  type SessionSetup,
  type SgldInput,
  type WeightsInput,
} from "./backend.ts";
import { code, targetWidth } from "./job.ts";

export function openReference(): Backend<"reference"> {
  let closed = false;
  const isClosed = () => closed;
  return {
    name: "reference",
    instructionSet: "float64",
    threads: 1,
    operations: operations(isClosed),
    openSession(setup) {
      checkOpen(closed);
      return openSession(setup, isClosed, copyRows);
    },
    async openPredictor({ network, loss, parameters }) {
      checkOpen(closed);
      code("activation", network.activation);
      const x = copyDoubles("parameters", parameters, parameterCount(network));
      return {
        predict: (inputs) => {
          checkOpen(closed);
          return finish(predict(network, loss, x, inputs));
        },
        close() {},
      };
    },
    async takeSession(setup) {
      checkOpen(closed);
      return openSession(setup, isClosed, (rows) => rows as Examples);
    },
    close() {
      closed = true;
    },
  };
}

function checkOpen(closed: boolean): void {
  if (closed) throw new BackendError("The backend is closed; open a new one");
}

/** The stateless operations. Inputs are copied before the call returns. */
function operations(isClosed: () => boolean): Operations {
  /** One operation: `begin` copies what it is given and says what is to be done with it. */
  function operation<Input extends { readonly signal?: AbortSignalLike }, T>(
    begin: (input: Input) => Work<T>,
  ) {
    return async (input: Input): Promise<T> => {
      const { signal } = input;
      const check = () => {
        checkOpen(isClosed());
        signal?.throwIfAborted();
      };
      check();
      const result = await finishInTurns(begin(input), () => isClosed() || signal?.aborted === true);
      check();
      return result as T; // where it was cancelled, the check has thrown
    };
  }
  const lossAt = (input: BatchInput) => {
    const { network, loss, batches, x } = pointOf(input, [input.batch]);
    return { f: networkLoss(network, loss, batches[0]), x };
  };
  const losses = operation((input: WeightsInput) => weights(sampledPoint(input), { ...input }, { ...input }));
  return {
    gaussian: operation(({ key, stream, update, sample, count }) =>
      atOnce(() => gaussian(key, stream, update, sample, count)),
    ),
    loss: operation((input) => {
      const { f, x } = lossAt(input);
      return atOnce(() => f.value(x));
    }),
    gradient: operation((input) => {
      const { f, x } = lossAt(input);
      return sgdDirect(f, x);
    }),
    predict: operation(({ network, loss, parameters, inputs }) => {
      const known = knownLoss(loss, network);
      const x = copyDoubles("parameters", parameters, parameterCount(network));
      return predict(network, known, x, copyRows({ inputs }, network.layers[0]).inputs);
    }),
    accuracy: operation((input) => {
      const { network, x, batches } = pointOf({ ...input, loss: { kind: "cross-entropy" } }, [input.batch]);
      return accuracy(network, x, batches[0]);
    }),
    outputs: operation((input) => {
      const { network, x, batches } = sampledPoint({
        ...input,
        loss: NO_LOSS,
        batch: { inputs: input.inputs, labels: new Uint16Array(0) },
      });
      return sampleOutputs({ network, x, batches }, { ...input }, { ...input });
    }),
    weights: async (input) => ({ losses: await losses(input) }),
    importanceSampling: operation((input) =>
      importanceSampling(sampledPoint(input), { ...input }, { ...input }),
    ),
    evolutionStrategies: operation((input) =>
      evolutionStrategies(sampledPoint(input), { ...input }, { ...input }),
    ),
    sgld: operation((input) => {
      const stepSizes = copyStepSizes(input);
      const noiseScales = copyDoubles("noiseScales", input.noiseScales, stepSizes.length);
      const start = copyDoubles("start", input.start, parameterCount(input.network));
      const settings = { tau: input.tau, stepSizes, noiseScales };
      return sgld(pointOf(input, input.batches), { ...input }, start, settings);
    }),
    robbinsMonro: operation((input) => {
      const stepSizes = copyStepSizes(input);
      return robbinsMonro(pointOf(input, input.batches), { ...input }, { ...input, stepSizes });
    }),
    step: operation(({ optimizer, rate, parameters, gradient, moments, index }) => {
      code("optimizer", optimizer.kind);
      const n = notEmpty("parameters", parameters).length;
      const x = copyDoubles("parameters", parameters, n);
      const g = copyDoubles("gradient", gradient, n);
      const carried = checkedMoments(moments, n, optimizer).map((moment) => new Float64Array(moment));
      return atOnce(() => step(optimizer, rate, x, g, carried, index));
    }),
    hessianProduct: operation((input) => {
      const { network, x, batches } = pointOf({ ...input, loss: { kind: "cross-entropy" } }, [input.batch]);
      return hessianProduct(network, x, batches[0], copyDoubles("vector", input.vector, x.length));
    }),
  };
}

/** Opens a session on data that `take` makes its own, its minibatches picked by row numbers. */
function openSession(setup: SessionSetup, isClosed: () => boolean, take: typeof copyRows): Session {
  const { network, batchSize, optimizer, key, state } = setup;
  const [d0] = network.layers;
  const loss = knownLoss(setup.loss, network);
  const estimator = structuredClone(setup.estimator);
  code("estimator", estimator.kind);
  if ("coupling" in estimator) code("coupling", estimator.coupling.kind);
  code("optimizer", optimizer.kind);
  const data: Partial<Record<DataSplit, Examples>> = {};
  for (const [split, examples] of Object.entries(setup.data)) {
    if (examples) data[split as DataSplit] = take(examples, d0, targetWidth(loss, network));
  }
  return openUpdates({
    dimension: parameterCount(network),
    estimator,
    optimizer,
    state,
    rowsPerUpdate: batchSize * ("batches" in estimator ? estimator.batches : 1),
    problem(k, rows, x, losses) {
      const batches = minibatchesOf(data.train!, d0, rows, batchSize);
      const own = losses === undefined ? loss : ({ kind: "given", losses } as const);
      return networkProblem({ network, loss: own, batches, x }, { key, update: k });
    },
    outputs(k, rows, x, noiseScale) {
      if (!("coupling" in estimator)) throw new OptionError("Expected an estimator of samples for outputs");
      const batches = minibatchesOf(data.train!, d0, rows, batchSize);
      const draw = { key, update: k, projected: estimator.projected };
      return sampleOutputs({ network, batches, x }, draw, { ...estimator, noiseScale });
    },
    splits: Object.keys(data) as DataSplit[],
    accuracy: (split, x) => accuracy(network, x, data[split]!),
    predict: (split, x) => predict(network, loss, x, data[split]!.inputs),
    isClosed,
  });
}

/** A network at given parameters on copies of minibatches. */
function pointOf(
  { network, loss, parameters }: Omit<BatchInput, "batch">,
  batches: readonly Examples[],
): NetworkPoint {
  return {
    network,
    loss: knownLoss(loss, network),
    x: copyDoubles("parameters", parameters, parameterCount(network)),
    batches: batches.map((batch) => copyRows(batch, network.layers[0], targetWidth(loss, network))),
  };
}

function copyStepSizes({ stepSizes }: SgldInput | RobbinsMonroInput): Float64Array {
  return copyDoubles("stepSizes", stepSizes, notEmpty("stepSizes", stepSizes).length);
}

function sampledPoint(input: Omit<WeightsInput, "temperature">): NetworkPoint {
  code("coupling", input.coupling.kind);
  return pointOf(input, [input.batch]);
}

/** Of operations that take no losses. */
const NO_LOSS: Loss = { kind: "given", losses: new Float64Array(0) };

/** A copy of the loss, on a network whose activation is known too. */
function knownLoss(loss: Loss, { layers, activation }: Network): Loss {
  code("activation", activation);
  code("loss", loss.kind);
  if (loss.kind === "given") return { kind: loss.kind, losses: new Float64Array(loss.losses) };
  if (loss.kind !== "cost-matrix") return loss;
  return { kind: loss.kind, costs: copyDoubles("loss.costs", loss.costs, layers[layers.length - 1] ** 2) };
}
