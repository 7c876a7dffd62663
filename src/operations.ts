/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `openBackend`: the operations beneath `train`, stateless, each one options object in and a promise out.
 *
 * `x(options)` allocates; `xInto(options, out)` writes the result's first array into `out` when the work is done and
 * resolves to the rest. Inputs are checked and copied before the call returns.
 */
import {
  type EvolutionStrategiesOutput,
  type ImportanceSamplingOutput,
  sampleCount,
  type Vector,
} from "./backends/backend.ts";
import { LINKS } from "./backends/description.ts";
import { type BackendName, type Declined, selectBackend } from "./backends/registry.ts";
import type { Started } from "./backends/starting.ts";
import { hessianEigenvalues } from "./eigenvalues.ts";
import { errorsOf, type RegressionErrors } from "./measures.ts";
import { meanOf } from "./network.ts";
import type {
  AccuracyOptions,
  BatchOptions,
  ErrorsOptions,
  EvolutionStrategiesCallOptions,
  GaussianOptions,
  HessianEigenvalues,
  HessianEigenvaluesOptions,
  HessianProductOptions,
  ImportanceSamplingCallOptions,
  OutputsOptions,
  PredictOptions,
  PredictOutputsOptions,
  RobbinsMonroCallOptions,
  SgldCallOptions,
  StepOptions,
  WeightsOptions,
} from "./options/operation-types.ts";
import { checkOperation, checkOut, type OperationInputs } from "./options/operations.ts";

/** Where `xInto` writes: as long as the array it takes the place of. */
export type Out = Float32Array | Float64Array;

/** A sampler's gradient and the mean that it stands for. */
type WithMean<Output> = Output & {
  /** x − (τ/δ)·gradient (n), eq. 12 of the paper; δ is 1 for evolution strategies. */
  readonly mean: Vector;
};

/**
 * An open backend and its operations. Float32 results, float64 from the reference. Losses are means over rows, in nats
 * (a cost matrix's in its own unit).
 *
 * Each promise rejects with an OptionError for a wrong option, a BackendError if the backend is closed or failed, and
 * the signal's reason if the call was aborted.
 */
export interface OpenBackend {
  /** Which one was opened. */
  readonly name: BackendName;
  /** As `BackendReport.instructionSet`. */
  readonly instructionSet: string;
  /** Threads that it works on, at least 1. */
  readonly threads: number;
  /** Each better backend and why it was not taken; the one that was, where it goes without something, as threads. */
  readonly declined: readonly Declined[];

  /** Standard normals (count) of a stream: Philox4x32-10 and Box–Muller, the same bits on every backend. */
  gaussian(options: GaussianOptions): Promise<Vector>;
  /** The same, into `out` (count). */
  gaussianInto(options: GaussianOptions, out: Out): Promise<void>;
  /** f: mean loss of the batch. */
  loss(options: BatchOptions): Promise<number>;
  /** `gradient` ∇f (n) and `loss` f, by back-propagation; "step", "zero-one" and cost matrices have none. */
  gradient(options: BatchOptions): Promise<{ gradient: Vector; loss: number }>;
  /** The same, ∇f into `out` (n); the `loss` is left. */
  gradientInto(options: BatchOptions, out: Out): Promise<{ loss: number }>;
  /**
   * Softmax `probabilities` (rows × classes, row-major) and the first most likely class of each row, `labels` (rows).
   * A row with a logit that is NaN has no class: its label is 65535, its probabilities are NaN.
   */
  predict(options: PredictOptions): Promise<{ probabilities: Vector; labels: Uint16Array }>;
  /** `outputs` (rows × d_L, row-major) in the targets' unit; with the loss "logistic" each a probability by itself. */
  predict(options: PredictOutputsOptions): Promise<{ outputs: Vector }>;
  /** The same, the probabilities into `out` (rows × classes); `labels` are left. */
  predictInto(options: PredictOptions, out: Out): Promise<{ labels: Uint16Array }>;
  /** The same, the outputs into `out` (rows × d_L). */
  predictInto(options: PredictOutputsOptions, out: Out): Promise<Record<string, never>>;
  /** Fraction 0 … 1 of the rows whose first largest logit is the label's; one with a logit that is NaN has none. */
  accuracy(options: AccuracyOptions): Promise<number>;
  /** How far the outputs are from the targets: root mean square and mean absolute error, and R². */
  errors(options: ErrorsOptions): Promise<RegressionErrors>;
  /**
   * The network's outputs at each sample of a minibatch, in the order of `weights`, and at last at x itself, (J + 1) × B × d_L
   * row-major: what losses of your own are computed from, which `weights`, `importanceSampling` and `evolutionStrategies`
   * take as `losses`.
   */
  outputs(options: OutputsOptions): Promise<Vector>;
  /** The same, into `out` ((J + 1) × B × d_L). */
  outputsInto(options: OutputsOptions, out: Out): Promise<Record<string, never>>;
  /** `losses` (J) and `logWeights` −losses/δ (J) of the samples of one update of importance sampling. */
  weights(options: WeightsOptions): Promise<{ losses: Vector; logWeights: Vector }>;
  /** The same, the losses into `out` (J); `logWeights` are left. */
  weightsInto(options: WeightsOptions, out: Out): Promise<{ logWeights: Vector }>;
  /** E_q[X] by importance sampling (Algorithm 4, eq. 16): mean and gradient (n) and diagnostics. */
  importanceSampling(options: ImportanceSamplingCallOptions): Promise<WithMean<ImportanceSamplingOutput>>;
  /** The same, the mean into `out` (n). */
  importanceSamplingInto(options: ImportanceSamplingCallOptions, out: Out): Promise<ImportanceSamplingOutput>;
  /** The heat loss's gradient (n), gradient-free and without a quotient, and mean = x − τ·gradient (n). */
  evolutionStrategies(options: EvolutionStrategiesCallOptions): Promise<WithMean<EvolutionStrategiesOutput>>;
  /** The same, the mean into `out` (n). */
  evolutionStrategiesInto(
    options: EvolutionStrategiesCallOptions,
    out: Out,
  ): Promise<EvolutionStrategiesOutput>;
  /** E_q[X] by Langevin dynamics (Algorithm 3): `mean` and `last` iterate (n), mean `loss` of x¹ … x^{J−1}. */
  sgld(options: SgldCallOptions): Promise<{ mean: Vector; last: Vector; loss: number }>;
  /** The same, the mean into `out` (n); `last` and `loss` are left. */
  sgldInto(options: SgldCallOptions, out: Out): Promise<{ last: Vector; loss: number }>;
  /** The best Gaussian's `mean` for the heat objective (n) by Robbins–Monro (Algorithm 5), mean `loss` of its J·M samples. */
  robbinsMonro(options: RobbinsMonroCallOptions): Promise<{ mean: Vector; loss: number }>;
  /** The same, the mean into `out` (n); the `loss` is left. */
  robbinsMonroInto(options: RobbinsMonroCallOptions, out: Out): Promise<{ loss: number }>;
  /** One step of an optimizer: the new `parameters` (n) and `state`, as `StepOptions.state`. */
  step(options: StepOptions): Promise<{ parameters: Vector; state: Vector[] }>;
  /** The same, the parameters into `out` (n); the `state` is left. */
  stepInto(options: StepOptions, out: Out): Promise<{ state: Vector[] }>;
  /**
   * ∇²f v (n), exactly, without the matrix; f the mean cross-entropy of the batch, in pieces, however many rows it has.
   * A ReLU's second derivative counts as 0, which it is away from its kink. "step" and other losses have no Hessian.
   */
  hessianProduct(options: HessianProductOptions): Promise<Vector>;
  /** The same, into `out` (n). */
  hessianProductInto(options: HessianProductOptions, out: Out): Promise<void>;
  /**
   * Eigenvalues at the ends of ∇²f's spectrum by Lanczos' method with full reorthogonalization. Of an eigenvalue that stands several times in the spectrum it finds one.
   */
  hessianEigenvalues(options: HessianEigenvaluesOptions): Promise<HessianEigenvalues>;

  /** Frees the backend; what is under way rejects. Safe to repeat. */
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * Opens a backend for its operations.
 *
 * @param name "auto" (default) takes the best that starts: cuda, native, wasm, reference
 * @param options.threads of the backend, 1 … 1024 (default: the machine's cores)
 * @throws BackendError if the named one cannot be opened here; OptionError for a wrong option
 */
export async function openBackend(
  name: BackendName | "auto" = "auto",
  options: { threads?: number } = {},
): Promise<OpenBackend> {
  const { threads } = checkOperation("openBackend", { backend: name, ...options });
  const { backend, declined } = selectBackend(name, threads);
  await backend.started;
  return openOperations(backend, declined);
}

/**
 * The form of an operation that writes: input and `out` are checked before the work, and `out` again after it, since
 * its buffer may have been detached meanwhile.
 *
 * @param length of the result's first array, from the checked input
 */
async function into<Name extends keyof OperationInputs, Result extends object, First extends keyof Result>(
  name: Name,
  options: unknown,
  out: Out,
  length: (input: OperationInputs[Name]) => number,
  compute: (input: OperationInputs[Name]) => Promise<Result>,
  first: First,
): Promise<Omit<Result, First>> {
  const input = checkOperation(name, options);
  const path = `${name}Into.out`;
  checkOut(path, out, length(input));
  const { [first]: values, ...rest } = await compute(input);
  checkOut(path, out, length(input));
  out.set(values as ArrayLike<number>);
  return rest;
}

function openOperations(backend: Started<BackendName>, declined: readonly Declined[]): OpenBackend {
  const run = backend.operations;
  const n = ({ parameters }: { parameters: Vector }) => parameters.length;
  const weights = async (input: OperationInputs["weights"]) => {
    const { losses } = await run.weights(input);
    return { losses, logWeights: losses.map((loss) => -loss / input.temperature) };
  };
  /** Labels only where the outputs tell classes. */
  const predict = async (input: OperationInputs["predict"]) => {
    const { outputs: values, labels } = await run.predict(input);
    return LINKS[input.loss.kind] === "softmax" ? { values, labels } : { values };
  };
  const step = async (input: OperationInputs["step"]) => {
    const { parameters, moments } = await run.step(input);
    return { parameters, state: moments };
  };
  /** With the mean, which only here is made of a gradient: x is copied before the call returns. */
  const withMean = async <Output extends { gradient: Vector }>(
    { parameters, tau }: { parameters: Vector; tau: number },
    temperature: number,
    call: Promise<Output>,
  ) => {
    const x = parameters.length > 0 ? parameters.slice() : parameters; // a detached array is told of by the call
    const output = await call;
    return { mean: meanOf(x, output.gradient, tau / temperature), ...output };
  };
  const importanceSampling = (input: OperationInputs["importanceSampling"]) =>
    withMean(input, input.temperature, run.importanceSampling(input));
  const evolutionStrategies = (input: OperationInputs["evolutionStrategies"]) =>
    withMean(input, 1, run.evolutionStrategies(input));
  const close = () => backend.close();
  return {
    name: backend.name,
    instructionSet: backend.instructionSet,
    threads: backend.threads,
    declined: Object.freeze(declined.map((one) => Object.freeze(one))),
    gaussian: async (options) => run.gaussian(checkOperation("gaussian", options)),
    async gaussianInto(options, out) {
      const normals = async (input: OperationInputs["gaussian"]) => ({ values: await run.gaussian(input) });
      await into("gaussian", options, out, ({ count }) => count, normals, "values");
    },
    loss: async (options) => run.loss(checkOperation("loss", options)),
    gradient: async (options) => run.gradient(checkOperation("gradient", options)),
    gradientInto: (options, out) => into("gradient", options, out, n, run.gradient, "gradient"),
    predict: (async (options: unknown) => {
      const { values, ...rest } = await predict(checkOperation("predict", options));
      return "labels" in rest ? { probabilities: values, ...rest } : { outputs: values };
    }) as OpenBackend["predict"],
    predictInto: ((options: unknown, out: Out) => {
      const length = ({ network: { layers }, inputs }: OperationInputs["predict"]) =>
        (inputs.length / layers[0]) * layers[layers.length - 1];
      return into("predict", options, out, length, predict, "values");
    }) as OpenBackend["predictInto"],
    accuracy: async (options) => run.accuracy(checkOperation("accuracy", options)),
    async errors(options) {
      const input = checkOperation("errors", options);
      const { layers } = input.network;
      const targets = input.batch.targets!.slice(); // copied before the call returns, as the inputs are
      const { outputs } = await run.predict({ ...input, inputs: input.batch.inputs });
      return errorsOf(outputs, targets, layers[layers.length - 1]);
    },
    outputs: async (options) => run.outputs(checkOperation("outputs", options)),
    outputsInto: ((options: unknown, out: Out) => {
      const length = ({ network, coupling, rowwise, inputs }: OperationInputs["outputs"]) => {
        const { layers } = network;
        const rows = inputs.length / layers[0];
        return (sampleCount(coupling, network, rowwise) + 1) * rows * layers[layers.length - 1];
      };
      const values = async (input: OperationInputs["outputs"]) => ({ values: await run.outputs(input) });
      return into("outputs", options, out, length, values, "values");
    }) as OpenBackend["outputsInto"],
    weights: async (options) => weights(checkOperation("weights", options)),
    weightsInto(options, out) {
      const length = ({ coupling, network, rowwise }: OperationInputs["weights"]) =>
        sampleCount(coupling, network, rowwise);
      return into("weights", options, out, length, weights, "losses");
    },
    importanceSampling: async (options) => importanceSampling(checkOperation("importanceSampling", options)),
    importanceSamplingInto: (options, out) =>
      into("importanceSampling", options, out, n, importanceSampling, "mean"),
    evolutionStrategies: async (options) =>
      evolutionStrategies(checkOperation("evolutionStrategies", options)),
    evolutionStrategiesInto: (options, out) =>
      into("evolutionStrategies", options, out, n, evolutionStrategies, "mean"),
    sgld: async (options) => run.sgld(checkOperation("sgld", options)),
    sgldInto: (options, out) => into("sgld", options, out, n, run.sgld, "mean"),
    robbinsMonro: async (options) => run.robbinsMonro(checkOperation("robbinsMonro", options)),
    robbinsMonroInto: (options, out) => into("robbinsMonro", options, out, n, run.robbinsMonro, "mean"),
    step: async (options) => step(checkOperation("step", options)),
    stepInto: (options, out) => into("step", options, out, n, step, "parameters"),
    hessianProduct: async (options) => run.hessianProduct(checkOperation("hessianProduct", options)),
    async hessianProductInto(options, out) {
      const product = async (input: OperationInputs["hessianProduct"]) => ({
        values: await run.hessianProduct(input),
      });
      await into("hessianProduct", options, out, n, product, "values");
    },
    hessianEigenvalues: async (options) =>
      hessianEigenvalues(run, checkOperation("hessianEigenvalues", options)),
    close,
    [Symbol.dispose]: close,
  };
}
