/**
 * The seam's operations as jobs, for every backend that runs jobs.
 */
import { notEmpty, ofLength } from "../errors.ts";
import { meanOf, parameterCount } from "../network.ts";
import {
  type AbortSignalLike,
  type Estimator,
  type EvolutionStrategiesInput,
  type Loss,
  type Operations,
  type RobbinsMonroInput,
  type SgldInput,
  sampleCount,
  type Vector,
  type WeightsInput,
} from "./backend.ts";
import {
  type Answer,
  estimatorPart,
  examplesPart,
  finished,
  type Job,
  jobOf,
  lossPart,
  MOMENTS,
  momentsPart,
  networkPart,
  optimizerPart,
  type Part,
  pointPart,
  type Runner,
  type Scalars,
  seedPart,
  updatePart,
} from "./job.ts";

/** What a sampler's answer says of its error. */
const errorOf = (
  { coupling, network, rowwise }: EvolutionStrategiesInput,
  { standardError }: Answer["numbers"],
) => ({
  standardError: Number.isNaN(standardError) ? null : standardError!,
  samples: sampleCount(coupling, network, rowwise),
});

type Outputs = Job["outputs"];

/** Of an operation that takes no losses. */
const NO_LOSS: Loss = { kind: "given", losses: new Float32Array(0) };

export function operationsOf(runner: Runner): Operations {
  /** Runs what `fill` makes of the call's input, which it does before the call returns. */
  async function ask(fill: () => Job, signal?: AbortSignalLike): Promise<Answer> {
    runner.checkOpen();
    signal?.throwIfAborted();
    const answer = await runner.run(fill(), signal);
    signal?.throwIfAborted();
    return finished(answer);
  }

  /** A sampler's gradient, and what it tells beside. */
  const sample = (input: EvolutionStrategiesInput, estimator: Estimator, more: Scalars, outputs: Outputs) => {
    const parts = () => [
      ...pointPart(input, [input.batch]),
      estimatorPart(estimator),
      seedPart(input.key),
      updatePart(input),
      { scalars: more },
    ];
    return ask(() => jobOf("estimate", parts(), outputs), input.signal);
  };

  const importanceSampling = (input: WeightsInput, more: Scalars, outputs: Outputs) => {
    const { coupling, temperature, rowwise, projected } = input;
    const estimator = { kind: "importance-sampling", coupling, temperature, rowwise, projected } as const;
    return sample(input, estimator, more, outputs);
  };

  /** A chain, whose kernels answer (x − mean)/τ. */
  async function run(
    input: RobbinsMonroInput | (SgldInput & { readonly noiseScale: number }),
    estimator: Estimator,
    more: () => Part = () => ({}),
    outputs: Outputs = {},
  ): Promise<Answer & { mean: Vector }> {
    const n = parameterCount(input.network);
    let x = input.parameters;
    const parts = () => {
      x = new Float32Array(ofLength("parameters", input.parameters, n)); // the caller may change its own
      return [
        ...pointPart({ ...input, parameters: x }, input.batches),
        estimatorPart(estimator),
        seedPart(input.key),
        updatePart(input),
        more(),
      ];
    };
    const answer = await ask(() => jobOf("estimate", parts(), { gradient: n, ...outputs }), input.signal);
    return { ...answer, mean: meanOf(x, answer.arrays.gradient as Vector, input.tau) };
  }

  return {
    async gaussian({ key, stream, update, sample, count, signal }) {
      const scalars = { stream, first: update, sample, entries: count };
      const { arrays } = await ask(
        () => jobOf("gaussian", [seedPart(key), { scalars }], { output: count }),
        signal,
      );
      return arrays.output as Vector;
    },

    async loss(input) {
      const { numbers } = await ask(() => jobOf("loss", pointPart(input, [input.batch])), input.signal);
      return numbers.loss!;
    },

    async gradient(input) {
      const nowhere = [seedPart([0, 0]), updatePart({ update: 0, tau: 0, noiseScale: 0 })];
      const parts = () => [...pointPart(input, [input.batch]), estimatorPart({ kind: "sgd" }), ...nowhere];
      const n = parameterCount(input.network);
      const { numbers, arrays } = await ask(() => jobOf("estimate", parts(), { gradient: n }), input.signal);
      return { gradient: arrays.gradient as Vector, loss: numbers.loss! };
    },

    async predict({ network, loss, parameters, inputs, signal }) {
      const { layers } = network;
      const rows = inputs.length / layers[0];
      const outputs = { output: rows * layers[layers.length - 1], outputLabels: rows };
      const parts = () => [
        networkPart(network),
        lossPart(loss, network),
        examplesPart({ inputs }, layers[0]),
        {
          scalars: { batchSize: rows },
          arrays: { parameters: ofLength("parameters", parameters, parameterCount(network)) },
        },
      ];
      const { arrays } = await ask(() => jobOf("predict", parts(), outputs), signal);
      return { outputs: arrays.output as Vector, labels: arrays.outputLabels as Uint16Array };
    },

    async accuracy({ batch, signal, ...input }) {
      const point = { ...input, loss: { kind: "cross-entropy" } } as const;
      const { numbers } = await ask(() => jobOf("accuracy", pointPart(point, [batch])), signal);
      return numbers.correct! / batch.labels.length;
    },

    async outputs(input) {
      const { inputs, coupling, network, rowwise, projected } = input;
      const { layers } = network;
      const samples = sampleCount(coupling, network, rowwise) + 1;
      const rows = inputs.length / layers[0];
      const parts = () => [
        ...pointPart({ ...input, loss: NO_LOSS }, [{ inputs, labels: new Uint16Array(0) }]),
        estimatorPart({ kind: "evolution-strategies", coupling, rowwise, projected }),
        seedPart(input.key),
        updatePart(input),
      ];
      const length = samples * rows * layers[layers.length - 1];
      const { arrays } = await ask(() => jobOf("outputs", parts(), { output: length }), input.signal);
      return arrays.output as Vector;
    },

    async weights(input) {
      const count = sampleCount(input.coupling, input.network, input.rowwise);
      const { arrays } = await importanceSampling(input, { entries: count }, { losses: count });
      return { losses: arrays.losses as Vector };
    },

    async importanceSampling(input) {
      const outputs = { gradient: parameterCount(input.network) };
      const { numbers, arrays } = await importanceSampling(input, { wantsError: 1 }, outputs);
      const { loss, freeEnergy, effectiveSampleSize, largestWeight } = numbers as Required<Answer["numbers"]>;
      return {
        gradient: arrays.gradient as Vector,
        ...{ loss, freeEnergy, effectiveSampleSize, largestWeight },
        ...errorOf(input, numbers),
      };
    },

    async evolutionStrategies(input) {
      const { coupling, rowwise, projected } = input;
      const estimator = { kind: "evolution-strategies", coupling, rowwise, projected } as const;
      const outputs = { gradient: parameterCount(input.network) };
      const { numbers, arrays } = await sample(input, estimator, { wantsError: 1 }, outputs);
      return { gradient: arrays.gradient as Vector, loss: numbers.loss!, ...errorOf(input, numbers) };
    },

    async sgld(input) {
      const { stepSizes, noiseScales, batches, projected } = input;
      const chain = { stepSizes, batches: batches.length, projected };
      const estimator = { kind: "sgld", noiseScales, chainStart: "previous", ...chain } as const;
      const n = parameterCount(input.network);
      const start = () => ({ arrays: { chain: ofLength("start", input.start, n) } });
      const { mean, numbers, arrays } = await run({ ...input, noiseScale: 0 }, estimator, start, {
        chain: n,
      });
      return { mean, last: arrays.chain as Vector, loss: numbers.loss! };
    },

    async robbinsMonro(input) {
      const { samples, stepSizes, batches, projected } = input;
      const chain = { stepSizes, batches: batches.length, projected };
      const { mean, numbers } = await run(input, { kind: "robbins-monro", samples, ...chain });
      return { mean, loss: numbers.loss! };
    },

    async step({ optimizer, rate, parameters, gradient, moments, index, signal }) {
      const n = notEmpty("parameters", parameters).length;
      const parts = () => [
        optimizerPart(optimizer),
        momentsPart(moments, n, optimizer),
        {
          scalars: { entries: n, first: index - 1 },
          arrays: { rate: Float64Array.of(rate), parameters, gradient: ofLength("gradient", gradient, n) },
        },
      ];
      const kept = MOMENTS.slice(0, moments.length);
      const outputs = Object.fromEntries(["parameters", ...kept].map((name) => [name, n]));
      const { arrays } = await ask(() => jobOf("step", parts(), outputs), signal);
      return {
        parameters: arrays.parameters as Vector,
        moments: kept.map((name) => arrays[name] as Vector),
      };
    },

    async hessianProduct({ batch, vector, signal, ...input }) {
      const n = parameterCount(input.network);
      const parts = () => [
        ...pointPart({ ...input, loss: { kind: "cross-entropy" } }, [batch]),
        { arrays: { vector: ofLength("vector", vector, n) } },
      ];
      const { arrays } = await ask(() => jobOf("hessian-product", parts(), { output: n }), signal);
      return arrays.output as Vector;
    },
  };
}
