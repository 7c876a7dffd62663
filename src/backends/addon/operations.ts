/**
 * The native backend's operations: one job of the addon each (native/node/operations.h).
 *
 * All sampling operations and the gradient are one native call, `estimate`, with the estimator named in it.
 */
import { parameterCount } from "../../network.ts";
import {
  type Estimator,
  type ImportanceSamplingOutput,
  type Operations,
  sampleCount,
  type WeightsInput,
} from "../backend.ts";
import { type CallOptions, type Calls, translated } from "./calls.ts";
import type { Addon, Queue } from "./load.ts";

/** The operations on an open queue; `calls` are the backend's. */
export function operationsOf(addon: Addon, queue: Queue, calls: Calls): Operations {
  /** An operation's promise: it rejects with the signal's reason where that is aborted. */
  async function call<T, Input extends { readonly signal?: AbortSignal }>(
    operation: "gaussian" | "loss" | "predict" | "correct" | "estimate" | "step",
    input: Input,
    finish: CallOptions<T>["finish"],
  ): Promise<T> {
    const { signal } = input;
    calls.checkOpen();
    signal?.throwIfAborted();
    return calls.start({
      begin: (done) => addon[operation](queue, input, done),
      finish: (numbers, collect) => {
        signal?.throwIfAborted();
        return finish(numbers, collect);
      },
      cancelled: () => {
        throw signal?.reason;
      },
      signal,
    });
  }

  /** Importance sampling, with what `finish` wants of it, `wantedLosses` of its losses among that. */
  async function sample<T>(
    input: WeightsInput,
    wantedLosses: number,
    finish: CallOptions<T>["finish"],
  ): Promise<T> {
    const { batch, coupling, temperature, rowwise, projected } = input;
    const estimator: Estimator = { kind: "importance-sampling", coupling, temperature, rowwise, projected };
    return call("estimate", { ...input, batches: [batch], estimator, wantedLosses }, finish);
  }

  return {
    gaussian: async (input) => {
      const out = translated(() => new Float32Array(input.count));
      return call("gaussian", { ...input, out }, () => out);
    },

    loss: (input) => call("loss", input, ([loss]) => loss),

    gradient: (input) => {
      const key = [0, 0];
      const question = { ...input, batches: [input.batch], estimator: { kind: "sgd" }, key };
      return call(
        "estimate",
        { ...question, update: 0, tau: 0, noiseScale: 0, wantedLosses: 0 },
        ([loss], collect) => {
          const gradient = new Float32Array(parameterCount(input.network));
          collect(gradient, undefined, undefined, undefined);
          return { gradient, loss };
        },
      );
    },

    predict: (input) => {
      const { layers } = input.network;
      const rows = input.inputs.length / layers[0];
      return call("predict", input, (_, collect) => {
        const probabilities = new Float32Array(rows * layers[layers.length - 1]);
        const labels = new Uint16Array(rows);
        collect(probabilities, labels);
        return { probabilities, labels };
      });
    },

    accuracy: (input) => {
      const rows = input.batch.labels.length;
      return call("correct", input, ([correct]) => correct / rows);
    },

    weights: (input) => {
      const count = sampleCount(input.coupling, input.network, input.rowwise);
      return sample(input, count, (_, collect) => {
        const losses = new Float32Array(count);
        collect(undefined, undefined, losses, undefined);
        return { losses };
      });
    },

    importanceSampling: (input) =>
      sample(input, 0, (numbers, collect): ImportanceSamplingOutput => {
        const [loss, freeEnergy, effectiveSampleSize, largestWeight, standardError, samples] = numbers;
        const gradient = new Float32Array(parameterCount(input.network));
        const mean = new Float32Array(gradient.length);
        collect(gradient, mean, undefined, undefined);
        return {
          mean,
          gradient,
          loss,
          freeEnergy,
          effectiveSampleSize,
          largestWeight,
          standardError: Number.isNaN(standardError) ? null : standardError,
          samples,
        };
      }),

    evolutionStrategies: async (input) => {
      const { batch, coupling, rowwise, projected } = input;
      const estimator: Estimator = { kind: "evolution-strategies", coupling, rowwise, projected };
      const question = { ...input, batches: [batch], estimator, wantedLosses: 0 };
      return call("estimate", question, ([loss, , , , standardError, samples], collect) => {
        const gradient = new Float32Array(parameterCount(input.network));
        const mean = new Float32Array(gradient.length);
        collect(gradient, mean, undefined, undefined);
        return {
          mean,
          gradient,
          loss,
          standardError: Number.isNaN(standardError) ? null : standardError,
          samples,
        };
      });
    },

    sgld: (input) => {
      const { stepSizes, noiseScales, projected, batches } = input;
      const chainStart = "previous";
      const estimator = {
        kind: "sgld",
        stepSizes,
        noiseScales,
        chainStart,
        batches: batches.length,
        projected,
      };
      return call("estimate", { ...input, estimator, noiseScale: 0, wantedLosses: 0 }, ([loss], collect) => {
        const mean = new Float32Array(parameterCount(input.network));
        const last = new Float32Array(mean.length);
        collect(undefined, mean, undefined, last);
        return { mean, last, loss };
      });
    },

    robbinsMonro: (input) => {
      const { samples, stepSizes, projected, batches } = input;
      const estimator = { kind: "robbins-monro", samples, stepSizes, batches: batches.length, projected };
      return call("estimate", { ...input, estimator, wantedLosses: 0 }, ([loss], collect) => {
        const mean = new Float32Array(parameterCount(input.network));
        collect(undefined, mean, undefined, undefined);
        return { mean, loss };
      });
    },

    step: (input) =>
      call("step", input, (_, collect) => {
        const parameters = new Float32Array(input.parameters.length);
        const moments = input.moments.map(({ length }) => new Float32Array(length));
        collect(parameters, ...moments);
        return { parameters, moments };
      }),
  };
}
