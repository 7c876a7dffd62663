/**
 * `openBackend`: the operations beneath `train`, stateless, each one options object in and a promise out.
 *
 * `x(options)` allocates; `xInto(options, out)` writes the result's first array into `out` when the work is done and
 * resolves to the rest. Inputs are checked and copied before the call returns.
 */
import type {
  Backend,
  BackendName,
  EvolutionStrategiesOutput,
  ImportanceSamplingOutput,
  Vector,
} from "./backends/backend.ts";
import { sampleCount } from "./backends/backend.ts";
import { type Declined, selectBackend } from "./backends/select.ts";
import {
  type AccuracyOptions,
  type BatchOptions,
  checkOperation,
  checkOut,
  type EvolutionStrategiesCallOptions,
  type GaussianOptions,
  type ImportanceSamplingCallOptions,
  type PredictOptions,
  type RobbinsMonroCallOptions,
  type SgldCallOptions,
  type StepOptions,
  type WeightsOptions,
} from "./options.ts";

/** Where `xInto` writes: as long as the array it takes the place of. */
export type Out = Float32Array | Float64Array;

/** An open backend and its operations. Float32 results, float64 from the reference. Losses in nats, means over rows. */
export interface OpenBackend {
  readonly name: BackendName;
  readonly instructionSet: string;
  readonly threads: number;
  /** Each better backend and why it was not taken. */
  readonly declined: readonly Declined[];

  /** Standard normals (count) of a stream. */
  gaussian(options: GaussianOptions): Promise<Vector>;
  gaussianInto(options: GaussianOptions, out: Out): Promise<void>;
  /** f: mean loss of the batch. */
  loss(options: BatchOptions): Promise<number>;
  /** ∇f (n) and f. */
  gradient(options: BatchOptions): Promise<{ gradient: Vector; loss: number }>;
  gradientInto(options: BatchOptions, out: Out): Promise<{ loss: number }>;
  /** Softmax probabilities (B × classes) and most likely classes (B). */
  predict(options: PredictOptions): Promise<{ probabilities: Vector; labels: Uint16Array }>;
  predictInto(options: PredictOptions, out: Out): Promise<{ labels: Uint16Array }>;
  /** Fraction 0 … 1 of the rows whose largest logit is the label's. */
  accuracy(options: AccuracyOptions): Promise<number>;
  /** Losses (J) and log weights −losses/δ (J) of the samples of one update of importance sampling. */
  weights(options: WeightsOptions): Promise<{ losses: Vector; logWeights: Vector }>;
  weightsInto(options: WeightsOptions, out: Out): Promise<{ logWeights: Vector }>;
  /** E_q[X] by importance sampling (Algorithm 4): mean and gradient (n) and diagnostics. */
  importanceSampling(options: ImportanceSamplingCallOptions): Promise<ImportanceSamplingOutput>;
  importanceSamplingInto(
    options: ImportanceSamplingCallOptions,
    out: Out,
  ): Promise<Omit<ImportanceSamplingOutput, "mean">>;
  /** The heat loss's gradient, gradient-free and without a quotient: mean = x − τ·gradient (n). */
  evolutionStrategies(options: EvolutionStrategiesCallOptions): Promise<EvolutionStrategiesOutput>;
  evolutionStrategiesInto(
    options: EvolutionStrategiesCallOptions,
    out: Out,
  ): Promise<Omit<EvolutionStrategiesOutput, "mean">>;
  /** E_q[X] by Langevin dynamics (Algorithm 3): mean and last iterate (n). */
  sgld(options: SgldCallOptions): Promise<{ mean: Vector; last: Vector; loss: number }>;
  sgldInto(options: SgldCallOptions, out: Out): Promise<{ last: Vector; loss: number }>;
  /** The best Gaussian's mean for the heat objective by Robbins–Monro (Algorithm 5), n. */
  robbinsMonro(options: RobbinsMonroCallOptions): Promise<{ mean: Vector; loss: number }>;
  robbinsMonroInto(options: RobbinsMonroCallOptions, out: Out): Promise<{ loss: number }>;
  /** One step of an optimizer: parameters (n) and its state. */
  step(options: StepOptions): Promise<{ parameters: Vector; state: Vector[] }>;
  stepInto(options: StepOptions, out: Out): Promise<{ state: Vector[] }>;

  /** Frees the backend; what is under way rejects. Safe to repeat. */
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * Opens a backend for its operations.
 *
 * @param name "auto" takes the best that loads: cuda, native, wasm, reference
 * @param options.threads of the backend (default: the machine's cores)
 * @throws BackendError if the named one cannot be opened here; OptionError for a wrong option
 */
export async function openBackend(
  name: BackendName | "auto" = "auto",
  options: { threads?: number } = {},
): Promise<OpenBackend> {
  const { threads } = checkOperation("openBackend", { backend: name, ...options });
  const { backend, declined } = selectBackend(name, threads);
  return openOperations(backend, declined);
}

/** Checks `out` before the work, waits for it, checks again (its buffer may have been detached meanwhile) and writes. */
async function into<Result extends object, First extends keyof Result & string>(
  name: string,
  out: Out,
  length: number,
  result: Promise<Result>,
  first: First,
): Promise<Omit<Result, First>> {
  result.catch(() => {}); // told below, or after the fault of `out`
  checkOut(`${name}.out`, out, length);
  const { [first]: values, ...rest } = await result;
  checkOut(`${name}.out`, out, length);
  out.set(values as ArrayLike<number>);
  return rest;
}

function openOperations(backend: Backend, declined: readonly Declined[]): OpenBackend {
  const run = backend.operations;
  const n = ({ parameters }: { parameters: Vector }) => parameters.length;
  const close = () => backend.close();
  const open: OpenBackend = {
    name: backend.name,
    instructionSet: backend.instructionSet,
    threads: backend.threads,
    declined,
    gaussian: async (options) => run.gaussian(checkOperation("gaussian", options)),
    async gaussianInto(options, out) {
      const normals = open.gaussian(options).then((values) => ({ values }));
      await into("gaussianInto", out, options.count, normals, "values");
    },
    loss: async (options) => run.loss(checkOperation("loss", options)),
    gradient: async (options) => run.gradient(checkOperation("gradient", options)),
    gradientInto: async (options, out) =>
      into("gradientInto", out, n(options), open.gradient(options), "gradient"),
    predict: async (options) => run.predict(checkOperation("predict", options)),
    async predictInto(options, out) {
      const { network, inputs } = checkOperation("predict", options);
      const [width, classes] = [network.layers[0], network.layers[network.layers.length - 1]];
      return into(
        "predictInto",
        out,
        (inputs.length / width) * classes,
        open.predict(options),
        "probabilities",
      );
    },
    accuracy: async (options) => run.accuracy(checkOperation("accuracy", options)),
    async weights(options) {
      const input = checkOperation("weights", options);
      const { losses } = await run.weights(input);
      return { losses, logWeights: losses.map((loss) => -loss / input.temperature) };
    },
    async weightsInto(options, out) {
      const { network, coupling, rowwise } = checkOperation("weights", options);
      return into(
        "weightsInto",
        out,
        sampleCount(coupling, network, rowwise),
        open.weights(options),
        "losses",
      );
    },
    importanceSampling: async (options) =>
      run.importanceSampling(checkOperation("importanceSampling", options)),
    importanceSamplingInto: async (options, out) =>
      into("importanceSamplingInto", out, n(options), open.importanceSampling(options), "mean"),
    evolutionStrategies: async (options) =>
      run.evolutionStrategies(checkOperation("evolutionStrategies", options)),
    evolutionStrategiesInto: async (options, out) =>
      into("evolutionStrategiesInto", out, n(options), open.evolutionStrategies(options), "mean"),
    sgld: async (options) => run.sgld(checkOperation("sgld", options)),
    sgldInto: async (options, out) => into("sgldInto", out, n(options), open.sgld(options), "mean"),
    robbinsMonro: async (options) => run.robbinsMonro(checkOperation("robbinsMonro", options)),
    robbinsMonroInto: async (options, out) =>
      into("robbinsMonroInto", out, n(options), open.robbinsMonro(options), "mean"),
    async step(options) {
      const { parameters, moments } = await run.step(checkOperation("step", options));
      return { parameters, state: moments };
    },
    stepInto: async (options, out) => into("stepInto", out, n(options), open.step(options), "parameters"),
    close,
    [Symbol.dispose]: close,
  };
  return open;
}
